-- Several offers go live at once, in one thread and without a callback.
--
--     lua5.4 examples/nonblocking.lua OFFER...
--
-- `start` gives a task, `step` carries all of them on, `timeout` says how long the loop may
-- do something else before `step` is needed again.

local cloudpartner = require "cloudpartner"

local offers = #arg > 0 and { (table.unpack or unpack)(arg) } or { "demo-a", "demo-b", "demo-c" }
local POLITE = { interval = 0.5, min_interval = 0.1 }

local client = cloudpartner.new()
local tasks, failures = {}, 0

for _, offer in ipairs(offers) do tasks[offer] = client:start("golive", offer) end

-- A task that has ended: what comes next for its offer? nil when nothing does.
local function next_task(offer, task)
  local result, err = task:result()
  if not result then
    failures = failures + 1
    print(offer .. ": " .. tostring(err))
  elseif result.kind == "golive" then
    print(offer .. ": accepted")
    return client:start("wait", result, POLITE)
  else
    print(offer .. ": " .. result.state)
  end
end

local function look_at_tasks()
  for offer, task in pairs(tasks) do
    if task:done() then tasks[offer] = next_task(offer, task) end
  end
end

-- With nothing else to do, this loop lets `step` wait. Another one would do its own work for
-- `client:timeout()` seconds at most, watch `client:pollfd()`, and then call `step()`.
while next(tasks) do
  client:step(client:timeout() or 1)
  look_at_tasks()
end

client:close()
os.exit(failures == 0 and 0 or 1)
