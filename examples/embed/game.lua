-- The script of examples/embed/host.c: no files, no processes, no `require` of anything but
-- what the host gave it. The host calls `update` each frame.

local cloudpartner = require "cloudpartner"

local host = ... -- of the host: endpoint, publisher, token, offers, say(text)
local client = cloudpartner.new {
  endpoint = host.endpoint, publisher = host.publisher, token = host.token,
}
local open = {}

for _, offer in ipairs(host.offers) do open[offer] = client:start("golive", offer) end

local function follow(offer, task)
  local result, err = task:result()
  if result and result.kind == "golive" then
    open[offer] = client:start("wait", result, { interval = 0.5, min_interval = 0.1 })
  else
    open[offer] = nil
    host.say(offer .. ": " .. (result and result.state or tostring(err)))
  end
end

--- One frame; false when there is nothing left to do.
function update()
  client:step()
  for offer, task in pairs(open) do
    if task:done() then follow(offer, task) end
  end
  if next(open) then return true end
  client:close()
  return false
end
