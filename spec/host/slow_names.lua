-- What a client does while a name of its own does not resolve; run with slow_names.so.
-- Argument: which of the scenes. Prints how long the longest of the steps or calls took,
-- in milliseconds, and on a second line what came of it.

local cloudpartner = require "cloudpartner"
local calls = require "spec.host.calls"

local scene = arg[1]
local longest = 0

local function timed(f, ...)
  local function note(began, ...)
    longest = math.max(longest, calls.now() - began)
    return ...
  end
  return note(calls.now(), f(...))
end

local function slow(options)
  local all = { endpoint = "https://slow.invalid", publisher = "contoso", token = "secret",
    proxy = "", retries = 0 }
  for name, value in pairs(options or {}) do all[name] = value end
  return cloudpartner.new(all)
end

-- Steps as a frame loop does, for so many seconds, or until the client has no task.
local function frames(client, seconds)
  local limit = calls.now() + seconds
  repeat
    local left = timed(client.step, client, 0)
    calls.poll(-1, 0.01)
  until left == 0 or calls.now() > limit
end

local scenes = {}

function scenes.step()
  local client = slow()
  local task = client:start("offer_status", "spec-slow")
  frames(client, 1)
  return task:done() and "ended" or "hangs"
end

function scenes.cancel()
  local client = slow()
  local task = client:start("golive", "spec-slow", { reconcile = false })
  frames(client, 0.3)
  assert(not task:done(), "it did not hang")
  timed(task.cancel, task)
  frames(client, 0.3)
  local _, err = task:result()
  return err.code .. " " .. err.sent
end

function scenes.close()
  local client = slow()
  local task = client:start("offer_status", "spec-slow")
  frames(client, 0.3)
  assert(not task:done(), "it did not hang")
  timed(client.close, client)
  return "closed"
end

function scenes.timeout()
  local began = calls.now()
  local _, err = slow():offer_status("spec-slow", { timeout = 0.5 })
  longest = calls.now() - began
  return err.code
end

function scenes.exchange_timeout()
  local began = calls.now()
  local _, err = slow { exchange_timeout = 0.5 }:offer_status "spec-slow"
  longest = calls.now() - began
  return err.code
end

-- Five names hang, and another client goes on.
function scenes.others()
  local client = slow()
  for i = 1, 5 do client:start("offer_status", "spec-slow" .. i) end
  client:step(0)
  local other = cloudpartner.new {}
  for _ = 1, 20 do assert(timed(other.offer_status, other, "spec-other")) end
  return client:step(0) == 5 and "hangs" or "ended"
end

local outcome = scenes[scene]()
print(("%.2f\n%s"):format(longest * 1000, outcome))
