-- One Lua state of several in this process: two clients, each with go lives of its own,
-- all at once. Arguments: thread, round, endpoint.

local cloudpartner = require "cloudpartner"
local thread, round, endpoint = ...

-- A go live for each number up to `count`, begun by a client of its own.
local function begin(name, count)
  local client = cloudpartner.new {
    endpoint = endpoint, publisher = "contoso", token = "secret",
  }
  local tasks = {}
  for i = 1, count do
    local offer = ("spec-%d-%d-%s-%d"):format(thread, round, name, i)
    tasks[offer] = client:start("golive", offer)
  end
  return client, tasks
end

local function check(offer, operation, err)
  assert(operation, tostring(err))
  assert(operation.url:find("/offers/" .. offer .. "/", 1, true), operation.url)
end

local function finish(client, tasks)
  repeat until client:step(10) == 0
  for offer, task in pairs(tasks) do check(offer, task:result()) end
end

local first, first_tasks = begin("a", thread)
local second, second_tasks = begin("b", 3)
first:step(0)
finish(second, second_tasks)
if round % 2 == 0 then second:close() end
finish(first, first_tasks)

-- What is left under way goes with the state.
if round % 3 == 0 then first:start("offer_status", "spec-left") first:step(0) end
