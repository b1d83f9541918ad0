--- Publishers, offer types, offers: what is read, and the one PUT.

local answers = require "emulator.answers"
local catalog = require "emulator.catalog"
local clock = require "emulator.clock"
local documents = require "emulator.documents"
local json = require "emulator.json"

local offers = {}

function offers.publishers()
  local list = json.array()
  for id, publisher in pairs(catalog.publishers) do
    if not publisher.foreign then list[#list + 1] = {id = id, name = publisher.name} end
  end
  return answers.document(200, list)
end

function offers.types()
  return answers.document(200, json.array {
    {id = "microsoft-azure-virtualmachines", title = "Virtual Machine"},
    {id = "microsoft-azure-container", title = "Container"},
    {id = "microsoft-azure-iot-edge", title = "IoT Edge Module"},
    {id = "microsoft-azure-managed-services", title = "Managed Service"},
    {id = "microsoft-azure-consulting-services", title = "Consulting Service"},
    {id = "microsoft-azure-powerbi", title = "Power BI App"},
  })
end

function offers.list(request, publisher)
  local filter = request.args["$filter"]
  local wanted = filter and tostring(filter):match("^%s*offerTypeId%s+eq%s+'([^']*)'%s*$")
  if filter and not wanted then
    return answers.bad_request("The filter is not of the form offerTypeId eq '...'.")
  end
  local list, now = json.array(), clock.now()
  for _, offer in ipairs(catalog.of_publisher(publisher)) do
    local summary = documents.offer_summary(offer, now)
    if not wanted or summary.offerTypeId == wanted then list[#list + 1] = summary end
  end
  return answers.document(200, list)
end

local function revision_answer(status, offer, revision)
  return answers.text(status, revision.text, {ETag = offer.etag and revision.etag or nil})
end

function offers.get(_, offer)
  return revision_answer(200, offer, catalog.draft(offer))
end

function offers.version(_, offer, number)
  local revision = offer.revisions[tonumber(number)]
  if not revision then return answers.not_found("Version " .. number) end
  return revision_answer(200, offer, revision)
end

function offers.slot(_, offer, slot)
  local revision = catalog.in_slot(offer, slot)
  if not revision then return answers.not_found("The slot " .. slot) end
  return revision_answer(200, offer, revision)
end

function offers.status(_, offer)
  return answers.document(200, documents.offer_status(offer, clock.now()))
end

--- Nil, or the answer to a condition that the offer does not meet.
function offers.unmet(request, offer)
  local condition = request.headers["If-Match"]
  if not condition or condition == "*" then return nil end
  if not offer or condition ~= catalog.draft(offer).etag then
    return answers.precondition_failed()
  end
end

-- The service hands out both fields and, since 2024, takes neither back.
local refused_fields = {
  '"microsoft-azure-corevm.legacyOfferId"', '"microsoft-azure-corevm.legacyPublisherId"',
}

local function refused_field(text)
  for _, field in ipairs(refused_fields) do
    if text:find(field, 1, true) then
      return answers.bad_request("The property " .. field .. " cannot be set.")
    end
  end
end

local function malformed(text, id)
  local document, why = json.decode_object(text)
  if not document then return answers.bad_request("The offer is not JSON: " .. why) end
  if document.id ~= nil and document.id ~= id then
    return answers.bad_request("The id in the body differs from the one in the URL.")
  end
  return refused_field(text)
end

local function update(request, offer)
  if not request.headers["If-Match"] then
    return answers.fault(409, "InvalidResourceId", "Offer ID already exists. If you "
      .. "wanted to update an existing offer, please ensure If-Match header is specified "
      .. "as per documentation.")
  end
  return revision_answer(200, offer, catalog.revise(offer, request.body))
end

local function create(request, publisher, id)
  local document = json.decode(request.body)
  local container = document.offerTypeId == "microsoft-azure-container"
  local offer = catalog.create({
    publisher = publisher, id = id, type = container and "container" or "vm",
    published = false,
  }, request.body)
  return revision_answer(201, offer, catalog.draft(offer))
end

function offers.put(request, publisher, id)
  local offer = catalog.find(publisher, id)
  local refusal = malformed(request.body, id) or offers.unmet(request, offer)
  if refusal then return refusal end
  if offer then return update(request, offer) end
  return create(request, publisher, id)
end

return offers
