--- Answers that specs have ordered in advance: the next so many requests that match.

local json = require "emulator.json"

local once = {}

local orders = {}

function once.reset()
  orders = {}
end

function once.order(rule)
  rule.times = rule.times or 1
  orders[#orders + 1] = rule
end

function once.pending()
  return #orders
end

local function matches(rule, request)
  return (not rule.method or rule.method == request.method)
    and (not rule.path_contains or request.uri:find(rule.path_contains, 1, true))
end

--- The rule for this request, used up by one.
function once.take(request)
  for i, rule in ipairs(orders) do
    if matches(rule, request) then
      rule.times = rule.times - 1
      if rule.times <= 0 then table.remove(orders, i) end
      return rule
    end
  end
end

local function body(rule)
  if rule.body == nil then return "" end
  return type(rule.body) == "string" and rule.body or json.encode(rule.body)
end

-- A rule that only delays, or that only adds headers, keeps the service's own answer.
local function reworded(rule, answer)
  for name, value in pairs(rule.headers or {}) do answer.headers[name] = value end
  return answer
end

--- The ordered answer, nil for none at all; the rule itself when it has raw text instead.
-- `serve` is the service; it takes the request when the order says so, however the answer
-- then turns out.
function once.answer(rule, request, serve)
  local replaced = rule.close or rule.raw or rule.status or rule.body ~= nil
  local own = (rule.take or not replaced) and serve(request) or nil
  if rule.delay then ngx.sleep(rule.delay) end
  if rule.close then return nil end
  if rule.raw then return rule end
  if not replaced then return reworded(rule, own) end
  return reworded(rule, {
    status = rule.status or 200, headers = {}, body = body(rule),
    copies = rule.copies, drip = rule.drip,
  })
end

return once
