--- The specs' hold on the emulator: what has happened, what is to happen.

local answers = require "emulator.answers"
local catalog = require "emulator.catalog"
local exchange = require "emulator.exchange"
local json = require "emulator.json"
local ledger = require "emulator.ledger"
local once = require "emulator.once"
local seeds = require "emulator.seeds"
local timeline = require "emulator.timeline"

local control = {}

local function is(kind)
  return function(value) return type(value) == kind end
end

local function one_of(...)
  local allowed = {}
  for _, word in ipairs {...} do allowed[word] = true end
  return function(value) return allowed[value] end
end

local function positive(value)
  return type(value) == "number" and value > 0
end

local function whole(value)
  return type(value) == "number" and value % 1 == 0 and value > 0
end

local function http_status(value)
  return whole(value) and value >= 200 and value <= 599
end

local function step_id(value)
  return timeline.positions[value]
end

local function anything()
  return true
end

local traits = {
  migrated = is "boolean", array = is "boolean", published = is "boolean",
  etag = is "boolean", api_version_in_url = is "boolean", fault = is "string",
  words = is "table", retry_after = is "number", duration = positive,
  type = one_of("vm", "container"), form = one_of("absolute", "relative"),
  header = one_of("Operation-Location", "Location"), failed_step = step_id,
  outcome = one_of("succeeded", "failed", "canceled", "rejected", "blocked"),
}

local order = {
  method = is "string", path_contains = is "string", times = whole, status = http_status,
  headers = is "table", body = anything, take = is "boolean", close = is "boolean",
  delay = positive, raw = is "string", drip = positive, copies = whole,
}

-- The body as a table whose members all pass, or nil and what does not.
local function read(request, members)
  local wishes, why = json.decode_object(request.body)
  if not wishes then return nil, "The body is not JSON: " .. why end
  for name, value in pairs(wishes) do
    if not members[name] then return nil, "There is no " .. name .. " to set." end
    if value ~= json.null and not members[name](value) then
      return nil, "The value of " .. name .. " is not one it can have."
    end
  end
  return wishes
end

local function state()
  local counts = ledger.counts()
  counts.once = once.pending()
  return answers.document(200, counts)
end

local function reset()
  catalog.reset()
  ledger.reset()
  once.reset()
  return answers.document(200, {})
end

local function apply(offer, wishes)
  for name, value in pairs(wishes) do
    if value == json.null then value = seeds.defaults[name] end
    offer[name] = value
  end
  offer.words = offer.words or {}
  if wishes.published ~= nil then catalog.set_published(offer, offer.published) end
end

local function configure(request, publisher, id)
  local wishes, why = read(request, traits)
  if not wishes then return answers.bad_request(why) end
  if not catalog.publishers[publisher] then
    return answers.not_found("Publisher " .. publisher)
  end
  local offer = catalog.known(publisher, id) or catalog.create {
    publisher = publisher, id = id, type = wishes.type,
  }
  apply(offer, wishes)
  return answers.document(200, {offer = offer.id, offerId = offer.guid})
end

local function set_once(request)
  local rule, why = read(request, order)
  if not rule then return answers.bad_request(why) end
  once.order(rule)
  return answers.document(200, {once = once.pending()})
end

local routes = {
  {"GET", "^/_emulator/state$", state},
  {"POST", "^/_emulator/reset$", reset},
  {"POST", "^/_emulator/once$", set_once},
  {"POST", "^/_emulator/offers/([^/]+)/([^/]+)$", configure},
}

local function routed(request)
  for _, route in ipairs(routes) do
    local method, pattern, handler = unpack(route)
    if method == request.method and request.path:find(pattern) then
      return handler(request, request.path:match(pattern))
    end
  end
  return answers.not_found(request.method .. " " .. request.path)
end

function control.serve()
  ngx.header["Content-Type"] = "application/json"
  exchange.send(routed(exchange.request()))
end

return control
