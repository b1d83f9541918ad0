-- Forks while a submission, the list before another one, a read and a wait are under way.
-- The child's copies end; the parent's go on; both can begin new ones. Argument: how the
-- child exits. $CA is the authority to trust, if any.

local calls = require "spec.host.calls"
local cloudpartner = require "cloudpartner"

local how = arg[1]
local AT_ONCE = { reconcile = false } -- the POST, without a list before it
local options = { ca_file = os.getenv "CA", retries = 0 }
local client = cloudpartner.new(options)

-- Steps until all its tasks have ended.
local function settle(one)
  local limit = calls.now() + 10
  while one:step(1) > 0 do assert(calls.now() < limit, "open for too long") end
end

local function begin()
  local running = assert(client:golive "spec-waits")
  local tasks = {
    client:start("golive", "spec-parent", AT_ONCE), client:start("golive", "spec-listed"),
    client:start("offer_status", "spec-parent"),
    client:start("wait", running, { timeout = 0.3 }),
  }
  client:step(0.05)
  return tasks
end

-- Of a client that has not sent anything yet: it is the parent's to send all the same.
local fresh = cloudpartner.new(options)
local unsent = fresh:start("golive", "spec-unsent")

local function be_child(tasks)
  settle(client)
  settle(fresh)
  tasks[#tasks + 1] = unsent
  for _, task in ipairs(tasks) do
    local result, err = task:result()
    assert(result == nil and err.code == "network", tostring(err))
    assert(err.sent == "maybe", err.sent)
  end
  assert(client:offer_status "spec-child")
  assert(cloudpartner.new(options):golive "spec-child")
  local left = client:start("golive", "spec-child-left", AT_ONCE)
  client:step(0)
  assert(not left:done())
  if how == "exit" then os.exit(0) end
  os.exit(0, how == "close")
end

local function be_parent(tasks, pid)
  settle(client)
  settle(fresh)
  assert(unsent:result())
  assert(tasks[1]:result())
  assert(tasks[2]:result())
  assert(tasks[3]:result())
  local status, err = tasks[4]:result()
  assert(status == nil and err.code == "deadline", tostring(err))
  local ended = calls.wait(pid, 10)
  assert(ended == 0, "the child ended with " .. ended)
  assert(client:offer_status "spec-parent")
end

local tasks = begin()
local pid = calls.fork()
if pid == 0 then be_child(tasks) else be_parent(tasks, pid) end
