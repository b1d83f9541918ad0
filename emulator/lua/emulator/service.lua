--- The service: a request in, an answer out.

local answers = require "emulator.answers"
local authority = require "emulator.authority"
local catalog = require "emulator.catalog"
local ledger = require "emulator.ledger"
local offers = require "emulator.offers"
local submissions = require "emulator.submissions"
local tokens = require "emulator.tokens"

local service = {}

local API_VERSION = "2017-10-31"

local function forbidden()
  return answers.fault(403, "Forbidden", "User does not have the required permissions")
end

local function of_publisher(handler)
  return function(request, publisher, ...)
    local known = catalog.publishers[publisher]
    if not known then return answers.not_found("Publisher " .. publisher) end
    if known.foreign then return forbidden() end
    return handler(request, publisher, ...)
  end
end

local function of_offer(handler, find)
  return of_publisher(function(request, publisher, id, ...)
    local offer = (find or catalog.find)(publisher, id)
    if not offer then return answers.not_found("Offer " .. id) end
    return handler(request, offer, ...)
  end)
end

local OFFERS = "^/api/publishers/([^/]+)/offers"
local OFFER = OFFERS .. "/([^/]+)"

-- Method, path, handler, and the name by which faults strike the exchange.
local routes = {
  {"GET", "^/api/publishers$", offers.publishers, "publishers"},
  {"GET", "^/api/offerTypes$", offers.types, "offer_types"},
  {"GET", OFFERS .. "$", of_publisher(offers.list), "offers"},
  {"GET", OFFER .. "$", of_offer(offers.get), "offer"},
  {"PUT", OFFER .. "$", of_publisher(offers.put), "put_offer"},
  {"GET", OFFER .. "/versions/(%d+)$", of_offer(offers.version), "version"},
  {"GET", OFFER .. "/slot/(%l+)$", of_offer(offers.slot), "slot"},
  {"GET", OFFER .. "/status$", of_offer(offers.status), "status"},
  {"POST", OFFER .. "/publish$", of_offer(submissions.publish), "submit"},
  {"POST", OFFER .. "/golive$", of_offer(submissions.golive), "submit"},
  {"POST", OFFER .. "/cancel$", of_offer(submissions.cancel), "cancel"},
  {"GET", OFFER .. "/submissions$", of_offer(submissions.list), "list"},
  {"GET", OFFER .. "/operations/([^/]+)$", of_offer(submissions.operation), "poll"},
  {"GET", "^/api/operations/([^/$]+)%$([^/$]+)%$2%$preview$",
    of_offer(submissions.newest_operation, catalog.find_either), "poll"},
}

local function unauthorized(request)
  local token = (request.headers.Authorization or ""):match("^[Bb]earer%s+(%S+)%s*$")
  local fault = tokens.fault(token or "", request.origin)
  if token == "forbidden" or fault == "forbidden" then return forbidden() end
  if token and token ~= "expired" and not fault then return nil end
  ledger.unauthorized()
  return answers.fault(401, "Unauthorized", "The token is missing, wrong or expired.",
    {["WWW-Authenticate"] = "Bearer"})
end

local function other_version(request)
  if request.args["api-version"] == API_VERSION then return nil end
  return answers.fault(400, "InvalidAPIVersion",
    "Invalid api version. Allowed values are [" .. API_VERSION .. "]")
end

--- The names of the exchanges there are, each true.
service.exchanges = {token = true}
for _, route in ipairs(routes) do service.exchanges[route[4]] = true end

local function plain_path(request)
  return (request.path:gsub("/$", ""))
end

--- The name of the exchange that a request begins; nil for none that is known.
function service.exchange(request)
  if authority.is_asked(request) then return "token" end
  local path = plain_path(request)
  for _, route in ipairs(routes) do
    if route[1] == request.method and path:find(route[2]) then return route[4] end
  end
end

local function unrouted(allowed)
  if #allowed == 0 then return answers.not_found("The resource") end
  return answers.fault(405, "MethodNotAllowed", "The resource has no such method.",
    {Allow = table.concat(allowed, ", ")})
end

local function routed(request)
  local path, allowed = plain_path(request), {}
  for _, route in ipairs(routes) do
    local method, pattern, handler = unpack(route)
    if path:find(pattern) then
      if method == request.method then return handler(request, path:match(pattern)) end
      allowed[#allowed + 1] = method
    end
  end
  return unrouted(allowed)
end

function service.answer(request)
  if request.exchange == "token" then return authority.answer(request) end
  return unauthorized(request) or other_version(request) or routed(request)
end

return service
