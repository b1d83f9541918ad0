--- Publish, go live, cancel, and the operations they start.

local answers = require "emulator.answers"
local catalog = require "emulator.catalog"
local clock = require "emulator.clock"
local documents = require "emulator.documents"
local json = require "emulator.json"
local ledger = require "emulator.ledger"
local offers = require "emulator.offers"
local timeline = require "emulator.timeline"

local submissions = {}

local function poll_path(offer, operation)
  if offer.migrated then
    return ("/api/publishers/%s/offers/%s/operations/%s")
      :format(offer.publisher, offer.id, operation.id)
  end
  return ("/api/operations/%s$%s$2$preview"):format(offer.publisher, offer.id)
end

local function poll_url(request, offer, operation)
  local path = poll_path(offer, operation)
  if offer.api_version_in_url then path = path .. "?api-version=2017-10-31" end
  return offer.form == "absolute" and request.origin .. path or path
end

local function accepted(request, offer, operation)
  local headers = {["Retry-After"] = offer.retry_after}
  if operation then headers[offer.header] = poll_url(request, offer, operation) end
  return answers.text(202, offer.migrated and "" or '""', headers)
end

local function conflict(operation)
  return answers.fault(409, "OperationInProgress",
    "The operation " .. operation.id .. " is in progress on this offer.")
end

-- Nil, or why a publish or go live cannot begin.
local function refusal(request, offer)
  local unmet = offers.unmet(request, offer)
  if unmet then return unmet end
  local running = catalog.running(offer)
  return running and conflict(running) or nil
end

local function submit(request, offer, kind, emails)
  local operation = catalog.submit(offer, kind, emails)
  ledger.count("submissions", offer, kind)
  return accepted(request, offer, operation)
end

-- The addresses of `{"metadata":{"notification-emails":"a@x,b@y"}}`, or nil and why not.
local function notification_emails(body)
  if body == "" then return "" end
  local document, why = json.decode_object(body)
  if not document then return nil, "The body is not JSON: " .. why end
  local metadata = document.metadata
  local emails = type(metadata) == "table" and metadata["notification-emails"] or ""
  if type(emails) ~= "string" then
    return nil, "notification-emails is one string with commas."
  end
  return emails
end

local function invalid(fault)
  return answers.document(422, {error = {
    code = "ValidationFailed", message = "The offer failed validation.",
    details = json.array {{code = "InvalidOffer", message = fault}},
  }})
end

local function validation_fault(offer)
  if offer.fault then return offer.fault end
  local definition = catalog.draft(offer).document.definition
  local plans = type(definition) == "table" and definition.plans
  if type(plans) ~= "table" or not next(plans) then return "The offer has no plan." end
end

function submissions.publish(request, offer)
  ledger.count("attempts", offer, "publish")
  local emails, why = notification_emails(request.body)
  if not emails then return answers.bad_request(why) end
  local fault = validation_fault(offer)
  if fault then return invalid(fault) end
  -- For migrated offers the service ignores the addresses.
  return refusal(request, offer)
    or submit(request, offer, "publish", not offer.migrated and emails or "")
end

function submissions.golive(request, offer)
  ledger.count("attempts", offer, "golive")
  local refused = refusal(request, offer)
  if refused then return refused end
  if not catalog.in_slot(offer, "preview") then
    return answers.bad_request("The offer is not in preview; publish it first.")
  end
  return submit(request, offer, "golive")
end

--- 202 whether or not there was anything to cancel, as the service answers.
function submissions.cancel(request, offer)
  ledger.count("attempts", offer, "cancel")
  ledger.count("submissions", offer, "cancel")
  local running = catalog.running(offer)
  if running then timeline.cancel(running, clock.now()) end
  return accepted(request, offer, running or catalog.newest(offer))
end

-- The service compares words without regard to case, blanks or hyphens.
local function plain(text)
  return (tostring(text):lower():gsub("[%s-]", ""))
end

local function has_state(entry, wanted)
  return not wanted or plain(entry.submissionState) == plain(wanted)
end

function submissions.list(request, offer)
  local wanted = request.args.status or request.args.submissionState
  local list, now = json.array(), clock.now()
  for i = #offer.operations, 1, -1 do
    local entry = documents.submission(offer, offer.operations[i], now)
    if has_state(entry, wanted) then list[#list + 1] = entry end
  end
  return answers.document(200, list)
end

local function poll(offer, operation, in_array)
  ledger.poll()
  local now = clock.now()
  local document = documents.operation(offer, operation, now)
  local hint = timeline.is_running(operation, now) and offer.retry_after or nil
  return answers.document(200, in_array and json.array {document} or document,
    {["Retry-After"] = hint})
end

function submissions.operation(_, offer, id)
  local operation = catalog.operation(offer, id)
  if not operation then return answers.not_found("Operation " .. id) end
  return poll(offer, operation, offer.array)
end

--- The operation of an offer that has not migrated: its newest, in an array.
function submissions.newest_operation(_, offer)
  local operation = catalog.newest(offer)
  if offer.migrated or not operation then
    return answers.not_found("The operation of " .. offer.id)
  end
  return poll(offer, operation, offer.array ~= false)
end

return submissions
