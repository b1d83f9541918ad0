-- A go live over a socket, by libcurl on its thread: its answer is lost, the list has it, it
-- is followed to its end. The emulator of the environment does that to every go live: see
-- oom/faults.json. Each run has an offer of its own, since one goes live once at a time.

local cloudpartner = require "cloudpartner"

local client
local run = ("%x"):format(math.random(0))

local function go_live(offer)
  client = cloudpartner.new {
    token = TOKEN, retry_delay = 0.01,
    headers = { ["X-Job"] = "a" }, log = function() end,
  }
  local operation = assert(client:golive("spec-" .. offer, { reconcile = 5 }))
  assert(operation.adopted)
  local status = assert(operation:wait { interval = 0.01, min_interval = 0.01, timeout = 20 })
  assert(status.state == "succeeded", status.state)
  client:close()
end

local function work() go_live(run .. "a") end

local function check()
  if client then client:close() end
  collectgarbage()
  go_live(run .. "b")
end

return work, check
