--- The client under cqueues: a method that would block yields to the controller instead.
--
--     local cqueues = require "cqueues"
--     local client = require("cloudpartner.cqueues").new { publisher = "contoso" }
--
--     local loop = cqueues.new()
--     loop:wrap(function()
--       local operation = assert(client:golive "contoso-virtualmachineoffer")
--       print(assert(operation:wait()).state)
--     end)
--     assert(loop:loop())
--
-- Of the coroutines of one controller that wait, one polls the client and steps it; the
-- others sleep, each on a bell of its own, so that an answer wakes only whom it is for.
-- There is no coroutine beside the caller's: a controller ends when they have ended. Each
-- controller has a poller of its own: one that nobody runs must not hold up another.

local condition = require "cqueues.condition"
local cqueues = require "cqueues"

local async = require "cloudpartner.async"
local cloudpartner = require "cloudpartner"

local host = {}

local SLICE = 1 -- seconds that a call outside of any controller blocks at a time
local CLOSE = 0.001 -- seconds: one moment is as good as another

-- `due`: until when one that leads sleeps, by the monotonic clock.
local function new_waiter(task)
  local waiter = { bell = condition.new(), due = 0 }
  task:notify(function() waiter.bell:signal() end)
  return waiter
end

-- Those who wait in one controller; `leader` is the one of them that steps the client.
local Group = {}
Group.__index = Group

function Group:join(waiter)
  self[#self + 1] = waiter
  waiter.place = #self
  if self.leader then
    self.leader.bell:signal() -- there is something to begin
  else
    self.leader = waiter
  end
end

-- The last takes the place of the one that leaves; whoever leads next is woken to it.
function Group:leave(waiter)
  local last = table.remove(self)
  if last ~= waiter then
    self[waiter.place], last.place = last, waiter.place
  end
  if self.leader ~= waiter then return end
  self.leader = self[1]
  if self.leader then self.leader.bell:signal() end
end

-- The leaders of other controllers sleep until what was next when they looked; now
-- something may be due before that.
local function wake_earlier(groups, due)
  for _, group in pairs(groups) do
    local leader = group.leader
    if leader and leader.due > due + CLOSE then leader.bell:signal() end
  end
end

local function leave(groups, group, waiter)
  group:leave(waiter)
  if not group.leader then wake_earlier(groups, -math.huge) end
end

-- What a step raises ends the leader's call, and somebody else leads.
local function step(groups, group, client, waiter)
  local ok, err = pcall(client.step, client)
  if ok then return end
  leave(groups, group, waiter)
  error(err, 0)
end

local function poll(groups, client, waiter)
  local timeout = client:timeout()
  waiter.due = cqueues.monotime() + (timeout or math.huge)
  wake_earlier(groups, waiter.due)
  cqueues.poll(client, waiter.bell)
end

local function wait(groups, group, client, task)
  local waiter = new_waiter(task)
  group:join(waiter)
  while not task:done() do
    if group.leader ~= waiter then
      waiter.bell:wait()
    else
      step(groups, group, client, waiter)
      if not task:done() then poll(groups, client, waiter) end
    end
  end
  leave(groups, group, waiter)
end

local function block(client, task)
  while not task:done() do client:step(SLICE) end
end

local function new_await()
  local groups = setmetatable({}, { __mode = "k" })
  return function(client, task)
    local controller = cqueues.running()
    if not controller then return block(client, task) end
    local group = groups[controller] or setmetatable({}, Group)
    groups[controller] = group
    wait(groups, group, client, task)
  end
end

--- A client whose methods yield to the controller of the coroutine that calls them.
-- @param options those of `cloudpartner.new`
-- @return the client; its methods give what those of `cloudpartner.new`'s give, and block
--   where no controller runs. `close` lets go of the descriptor in every controller first
-- Raises what `cloudpartner.new` raises.
function host.new(options)
  local client = cloudpartner.new(options)
  local wrapped = async.wrap(client, new_await())

  -- cqueues ends whichever coroutine comes next where a descriptor was closed under it.
  function wrapped.close()
    local open, descriptor = pcall(client.pollfd, client)
    if open then cqueues.cancel(descriptor) end
    client:close()
  end
  return wrapped
end

return host
