--- Faults by name: each is an order of `once`, or one for TLS handshakes.

local answers = require "emulator.answers"
local handshake = require "emulator.handshake"
local json = require "emulator.json"
local members = require "emulator.members"
local once = require "emulator.once"
local service = require "emulator.service"

local faults = {}

local BLANKS = 200
local HTML = "<!DOCTYPE html><html><title>Bad Gateway</title><body>Bad Gateway</body></html>\n"
local FOREVER = 3600

local function refused(text)
  return {status = 401, headers = {["WWW-Authenticate"] = "Bearer"},
    body = answers.fault(401, "Unauthorized", text).body}
end

-- What each kind orders. Those of `own` spoil the service's own answer when it takes the
-- request, and a bare 200 when it doesn't.
local kinds = {
  close = {close = true},
  close_reused = {close = true, reused = true},
  reset_before_headers = {reset = true},
  reset_in_headers = {own = true, spoil = "in_head", reset = true},
  reset_after_headers = {own = true, spoil = "after_head", reset = true, blanks = BLANKS},
  cut_body = {own = true, spoil = "in_body", blanks = BLANKS},
  drip_body = {own = true, drip = 0.05, blanks = BLANKS},
  bad_chunk = {own = true, spoil = "in_chunk", blanks = BLANKS},
  oversized_header = {own = true, spoil = "oversized_head"},
  hang = {delay = FOREVER, close = true},
  garbage = {raw = "\1\2\3\255\254 no HTTP at all\r\n\r\n"},
  status = {body = answers.fault(0, "Fault", "This answer was ordered.").body},
  html = {status = 200, headers = {["Content-Type"] = "text/html"}, body = HTML},
  redirect = {status = 307},
  token_refused = refused "The token is refused, by order.",
  close_after_accept = {handshake = true},
  expired_certificate = {handshake = true, certificate = "expired"},
  other_host_certificate = {handshake = true, certificate = "other_host"},
  unknown_authority_certificate = {handshake = true, certificate = "unknown_authority"},
}

local needed = {status = "status", redirect = "location"}

local allowed = {
  fault = function(value) return kinds[value] end,
  exchange = function(value) return service.exchanges[value] end,
  method = members.is "string", path_contains = members.is "string",
  occurrence = members.whole, times = members.whole, take = members.is "boolean",
  delay = members.positive, status = members.http_status,
  retry_after = members.not_negative, location = members.is "string",
}

-- A handshake comes before any request.
local allowed_at_handshake = {fault = allowed.fault, occurrence = allowed.occurrence,
  times = allowed.times}

-- Nil, or what is wrong with one fault of a plan.
local function wrong(fault)
  if type(fault) ~= "table" then return "It is not an object." end
  local why = members.fault(fault, allowed)
  if why then return why end
  local name = fault.fault
  if not kinds[name] then return "It needs fault, the name of a kind." end
  if needed[name] and not members.set(fault)[needed[name]] then
    return ("It needs %s to be a %s."):format(needed[name], name)
  end
  if not kinds[name].handshake then return nil end
  if not handshake.enabled then return name .. " needs --tls." end
  return members.fault(fault, allowed_at_handshake)
end

local function copied(from, into)
  for name, value in pairs(from) do into[name] = value end
  return into
end

local function with_headers(order)
  order.headers = copied(order.headers or {}, {
    ["Retry-After"] = order.retry_after, Location = order.location,
  })
  return order
end

local function order_of(fault)
  local kind = kinds[fault.fault]
  local order = copied(members.set(fault), copied(kind, {}))
  if kind.own and not order.take then order.status = order.status or 200 end
  return with_headers(order)
end

local function place(fault)
  local order = order_of(fault)
  if order.handshake then handshake.order(order) else once.order(order) end
end

-- A plan is the JSON text of a list of faults: that list, or nil and what is wrong.
local function read(text)
  local plan, why = json.decode_array(text)
  if not plan then return nil, "The plan is not JSON: " .. why .. "." end
  for position, fault in ipairs(plan) do
    local what = wrong(fault)
    if what then return nil, ("Fault %d: %s"):format(position, what) end
  end
  return plan
end

--- Adds a plan's faults to those that wait. Nil and what is wrong, and none is added.
function faults.plan(text)
  local plan, why = read(text)
  if not plan then return nil, why end
  for _, fault in ipairs(plan) do place(fault) end
  return true
end

--- The same for a file, at the start.
function faults.load(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  local ok, why = faults.plan(text)
  if not ok then error("the fault plan is refused: " .. why, 0) end
end

return faults
