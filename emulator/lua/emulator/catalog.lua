--- The offers: their revisions, their operations, what stands in which slot.

local clock = require "emulator.clock"
local guid = require "emulator.guid"
local json = require "emulator.json"
local seeds = require "emulator.seeds"
local timeline = require "emulator.timeline"

local catalog = {publishers = seeds.publishers}

local offers = {}

local function key(publisher, id)
  return publisher .. "/" .. id
end

local function etag(time)
  return "W/\"datetime'" .. ngx.escape_uri(clock.iso(time)) .. "'\""
end

local function later(offer, now)
  local previous = offer.revisions[#offer.revisions]
  -- Two revisions of one offer never share a time, and so never an ETag.
  return previous and math.max(now, previous.changed + 0.001) or now
end

--- A new revision of an offer: its text, byte for byte.
function catalog.revise(offer, text)
  local changed = later(offer, clock.now())
  local document = json.decode(text)
  local revision = {
    number = #offer.revisions + 1, text = text, document = document,
    changed = changed, etag = etag(changed),
  }
  offer.revisions[revision.number] = revision
  return revision
end

function catalog.draft(offer)
  return offer.revisions[#offer.revisions]
end

local function new_offer(traits)
  local offer = {guid = guid(), revisions = {}, operations = {}, words = {}}
  for name, value in pairs(seeds.defaults) do offer[name] = value end
  for name, value in pairs(traits) do offer[name] = value end
  return offer
end

local HOUR = 3600

-- As if it had been published, without a fault, so long ago that all of it is over.
local function publish_in_the_past(offer)
  local operation = timeline.begin("publish", {}, clock.now() - HOUR)
  operation.began = operation.began - operation.total / clock.speed
  catalog.record(offer, operation)
end

--- Puts an offer into preview, or makes it one that was never published.
function catalog.set_published(offer, published)
  offer.published = published
  offer.operations = {}
  if published then publish_in_the_past(offer) end
end

function catalog.create(traits, text)
  local offer = new_offer(traits)
  offers[key(offer.publisher, offer.id)] = offer
  catalog.revise(offer, text or seeds.text(offer))
  catalog.set_published(offer, offer.published)
  return offer
end

function catalog.known(publisher, id)
  return offers[key(publisher, id)]
end

function catalog.find(publisher, id)
  local offer = catalog.known(publisher, id)
  if offer or not seeds.comes_into_being(publisher, id) then return offer end
  return catalog.create {id = id}
end

--- An offer by its name or by its GUID; poll URLs hold either.
function catalog.find_either(publisher, id)
  for _, offer in pairs(offers) do
    if offer.publisher == publisher and offer.guid == id then return offer end
  end
  return catalog.find(publisher, id)
end

function catalog.of_publisher(publisher)
  local list = {}
  for _, offer in pairs(offers) do
    if offer.publisher == publisher then list[#list + 1] = offer end
  end
  table.sort(list, function(a, b) return a.id < b.id end)
  return list
end

function catalog.newest(offer)
  return offer.operations[#offer.operations]
end

--- Enters an operation into an offer's list, under a new id.
function catalog.record(offer, operation, emails)
  operation.id = guid()
  operation.emails = emails or ""
  operation.offer_version = #offer.revisions
  operation.publishing_version = #offer.operations + 1
  offer.operations[#offer.operations + 1] = operation
end

-- A publish that waited for its publisher is over once the publisher does something else.
local function release(offer, now)
  local previous = catalog.newest(offer)
  if previous and timeline.state(previous, now) == "waitingForPublisherReview" then
    previous.released = now
  end
end

function catalog.submit(offer, kind, emails)
  local now = clock.now()
  local preview = catalog.in_slot(offer, "preview")
  release(offer, now)
  local operation = timeline.begin(kind, offer, now)
  catalog.record(offer, operation, emails)
  if kind == "golive" then operation.offer_version = preview.number end
  return operation
end

function catalog.running(offer)
  local operation = catalog.newest(offer)
  return operation and timeline.is_running(operation, clock.now()) and operation or nil
end

function catalog.operation(offer, id)
  for _, operation in ipairs(offer.operations) do
    if operation.id == id then return operation end
  end
end

local fills = {preview = "publish", production = "golive"}

local function has_filled(operation, slot, now)
  if operation.kind ~= fills[slot] then return false end
  local state = timeline.state(operation, now)
  return state == "succeeded" or state == "waitingForPublisherReview"
end

--- The revision in a slot: the draft, or what the last operation that ended well put in.
function catalog.in_slot(offer, slot)
  if slot == "draft" then return catalog.draft(offer) end
  local now = clock.now()
  for i = #offer.operations, 1, -1 do
    local operation = offer.operations[i]
    if has_filled(operation, slot, now) then
      return offer.revisions[operation.offer_version]
    end
  end
end

function catalog.reset()
  offers = {}
  for _, traits in ipairs(seeds.offers) do catalog.create(traits) end
end

return catalog
