--- The service's documents: an operation, an entry of the list, an offer's status.

local catalog = require "emulator.catalog"
local clock = require "emulator.clock"
local json = require "emulator.json"
local timeline = require "emulator.timeline"

local documents = {}

-- The service's word for a state; an offer can be told to use another.
local function word(offer, state)
  return offer.words[state] or state
end

local function message(html, level, time)
  return {messageHtml = html, level = level, timestamp = clock.iso(time)}
end

local reasons = {
  failed = "<p>No image was found for the plan <b>contoso</b>.</p>",
  rejected = "<p>The offer was <b>rejected</b>: its description breaks the policies.</p>",
  blocked = "<p>No image was found for the plan <b>contoso</b>.</p>",
}

local function step_messages(step)
  if reasons[step.status] then
    return json.array {message(reasons[step.status], "error", step.at)}
  elseif step.status == "complete" then
    return json.array {message("Step completed.", "information", step.at)}
  end
  return json.array()
end

local function step_document(stage, step)
  return {
    id = stage.id, stepName = stage.name, description = stage.description,
    estimatedTimeFrame = stage.estimate, status = step.status,
    progressPercentage = step.progress, messages = step_messages(step),
  }
end

local function steps_document(steps)
  local list = json.array()
  for i, stage in ipairs(timeline.stages) do
    list[i] = step_document(stage, steps[i])
  end
  return list
end

-- Links are objects for some offers and strings for others.
local function links(offer, text, host)
  local uri = ("https://%s/%s/%s"):format(host, offer.publisher, offer.id)
  return json.array {offer.type == "vm" and {displayText = text, uri = uri} or uri}
end

local function preview_links(offer, operation, state)
  if operation.kind == "publish" and state ~= "waitingForPublisherReview"
    and state ~= "succeeded" then return json.array() end
  return links(offer, "Preview", "preview.example.com")
end

local function live_links(offer, operation, state)
  if operation.kind ~= "golive" or state ~= "succeeded" then return json.array() end
  return links(offer, "Live", "marketplace.example.com")
end

-- Of these three words only canCancel has been seen from the service.
local function cancellation(operation, state)
  if state ~= "running" and state ~= "notStarted" then return "none" end
  return operation.cancel_asked and "cancelRequested" or "canCancel"
end

local function add_failure(document, view)
  document.messages = json.array {message(reasons.failed, "error", view.changed)}
  document.error = {code = "CertificationFailed", message = "No image was found."}
end

local function add_times(document, operation, view)
  document.createdDateTime = clock.iso(operation.began)
  document.lastActionDateTime = clock.iso(view.changed)
end

function documents.operation(offer, operation, now)
  local view = timeline.view(operation, now)
  local document = {
    status = word(offer, view.state), messages = json.array(),
    steps = steps_document(view.steps),
    publishingVersion = operation.publishing_version,
    offerVersion = operation.offer_version,
    cancellationRequestState = cancellation(operation, view.state),
    previewLinks = preview_links(offer, operation, view.state),
    liveLinks = live_links(offer, operation, view.state),
  }
  if view.state == "failed" then add_failure(document, view) end
  if offer.migrated then add_times(document, operation, view) end
  return document
end

local slots = {publish = "staging", golive = "production"}

function documents.submission(offer, operation, now)
  local view = timeline.view(operation, now)
  return {
    id = operation.id, offerId = offer.guid, publisherId = offer.publisher,
    offerTypeId = catalog.draft(offer).document.offerTypeId,
    offerVersion = operation.offer_version,
    submissionType = operation.kind, submissionState = word(offer, view.state),
    publishingVersion = operation.publishing_version, slot = slots[operation.kind],
    version = json.verbatim(clock.ticks(operation.began)),
    definition = {metadata = {emails = operation.emails}},
    changedTime = clock.iso(view.changed),
  }
end

local function untouched_steps()
  local list = {}
  for i in ipairs(timeline.stages) do list[i] = {status = "notStarted", progress = 0} end
  return steps_document(list)
end

local function never_published()
  return {
    status = "neverPublished", messages = json.array(), steps = untouched_steps(),
    previewLinks = json.array(), liveLinks = json.array(),
  }
end

function documents.offer_status(offer, now)
  local operation = catalog.newest(offer)
  if not operation then return never_published() end
  local document = documents.operation(offer, operation, now)
  return {
    status = document.status, messages = document.messages, steps = document.steps,
    previewLinks = document.previewLinks, liveLinks = document.liveLinks,
  }
end

--- An entry in the list of offers. Its version counts publishings, not revisions.
function documents.offer_summary(offer, now)
  local draft, operation = catalog.draft(offer), catalog.newest(offer)
  local definition = draft.document.definition
  local text = type(definition) == "table" and definition.displayText
  local state = operation and timeline.state(operation, now)
  return {
    id = offer.id, publisherId = offer.publisher,
    offerTypeId = draft.document.offerTypeId,
    status = state and word(offer, state) or "neverPublished",
    version = math.max(#offer.operations, 1),
    definition = {displayText = text or offer.id}, changedTime = clock.iso(draft.changed),
  }
end

return documents
