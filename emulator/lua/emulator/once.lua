--- Answers that specs have ordered in advance: the next so many requests that match.

local json = require "emulator.json"
local queue = require "emulator.queue"
local spoiled = require "emulator.spoiled"

local once = {}

local orders = queue.new()

function once.reset()
  orders:reset()
end

function once.order(rule)
  orders:add(rule)
end

function once.pending()
  return orders:pending()
end

local function matches(rule, request)
  return (not rule.method or rule.method == request.method)
    and (not rule.path_contains or request.uri:find(rule.path_contains, 1, true))
    and (not rule.exchange or rule.exchange == request.exchange)
    and (not rule.reused or request.reused)
end

--- The rule for this request, used up by one.
function once.take(request)
  return orders:take(function(rule) return matches(rule, request) end)
end

local function body(rule)
  if rule.body == nil then return "" end
  return type(rule.body) == "string" and rule.body or json.encode(rule.body)
end

local function ordered(rule)
  return {status = rule.status or 200, headers = {}, body = body(rule),
    copies = rule.copies}
end

-- Bytes instead of an HTTP answer; none is a connection closed without one.
local function bytes(rule, text)
  return {raw = text, copies = rule.copies, drip = rule.drip, reset = rule.reset}
end

local function has_no_answer(rule)
  return rule.close or rule.raw or rule.reset and not rule.spoil
end

-- A rule that only delays, adds headers or spoils keeps the service's own answer.
local function is_replaced(rule)
  return has_no_answer(rule) or rule.status or rule.body ~= nil
end

local function reworded(rule, answer)
  for name, value in pairs(rule.headers or {}) do answer.headers[name] = value end
  -- Blanks, so that there is something to drip or to lose; they change no document.
  answer.body = answer.body .. (" "):rep(rule.blanks or 0)
  answer.drip = rule.drip
  return answer
end

--- The ordered answer; one that has `raw` is bytes instead of HTTP.
-- `serve` is the service; it takes the request when the order says so, however the answer
-- then turns out.
function once.answer(rule, request, serve)
  local replaced = is_replaced(rule)
  local own = (rule.take or not replaced) and serve(request) or nil
  if rule.delay then ngx.sleep(rule.delay) end
  if has_no_answer(rule) then return bytes(rule, rule.raw or "") end
  local answer = reworded(rule, replaced and ordered(rule) or own)
  if not rule.spoil then return answer end
  return bytes(rule, spoiled.ways[rule.spoil](answer))
end

return once
