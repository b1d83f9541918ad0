--- The specs' hold on the emulator: what has happened, what is to happen.

local answers = require "emulator.answers"
local catalog = require "emulator.catalog"
local exchange = require "emulator.exchange"
local faults = require "emulator.faults"
local handshake = require "emulator.handshake"
local json = require "emulator.json"
local ledger = require "emulator.ledger"
local members = require "emulator.members"
local once = require "emulator.once"
local seeds = require "emulator.seeds"
local service = require "emulator.service"
local timeline = require "emulator.timeline"
local tokens = require "emulator.tokens"

local control = {}

local function step_id(value)
  return timeline.positions[value]
end

local is, one_of, whole = members.is, members.one_of, members.whole

local traits = {
  migrated = is "boolean", array = is "boolean", published = is "boolean",
  etag = is "boolean", api_version_in_url = is "boolean", fault = is "string",
  words = is "table", retry_after = is "number", duration = members.positive,
  type = one_of("vm", "container"), form = one_of("absolute", "relative"),
  header = one_of("Operation-Location", "Location"), failed_step = step_id,
  outcome = one_of("succeeded", "failed", "canceled", "rejected", "blocked"),
}

local function known_exchange(value)
  return service.exchanges[value]
end

local order = {
  method = is "string", path_contains = is "string", exchange = known_exchange,
  occurrence = whole, times = whole, status = members.http_status, headers = is "table",
  body = members.anything, take = is "boolean", close = is "boolean",
  reset = is "boolean", delay = members.positive, raw = is "string",
  drip = members.positive, copies = whole,
}

-- The body as a table whose members all pass, or nil and what does not.
local function read(request, allowed)
  local wishes, why = json.decode_object(request.body)
  if not wishes then return nil, "The body is not JSON: " .. why end
  local fault = members.fault(wishes, allowed)
  if fault then return nil, fault end
  return wishes
end

local function state()
  local counts = ledger.counts()
  counts.once = once.pending()
  counts.handshakes = handshake.pending()
  return answers.document(200, counts)
end

local function reset()
  catalog.reset()
  ledger.reset()
  once.reset()
  handshake.reset()
  tokens.reset()
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
  once.order(members.set(rule))
  return answers.document(200, {once = once.pending()})
end

local function add_faults(request)
  local ok, why = faults.plan(request.body)
  if not ok then return answers.bad_request(why) end
  return answers.document(200, {once = once.pending(), handshakes = handshake.pending()})
end

local settings = {life = members.positive, delay = members.not_negative, revoke = is "boolean"}

local function set_tokens(request)
  local wishes, why = read(request, settings)
  if not wishes then return answers.bad_request(why) end
  tokens.configure(wishes, json.null)
  return answers.document(200, {life = tokens.life(), delay = tokens.delay()})
end

local routes = {
  {"GET", "^/_emulator/state$", state},
  {"POST", "^/_emulator/reset$", reset},
  {"POST", "^/_emulator/once$", set_once},
  {"POST", "^/_emulator/faults$", add_faults},
  {"POST", "^/_emulator/tokens$", set_tokens},
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
