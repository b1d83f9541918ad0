-- A job that takes an offer live, waits, and is killed; or one that finds again what that
-- job has left behind.
--
--     killed.lua submit OFFER DIRECTORY [WHERE [SECONDS]]
--     killed.lua resume OFFER DIRECTORY WAY SECONDS [BEGAN]
--
-- A job that submits leaves its process id, the intent and the operation as files. WHERE it
-- ends by itself: "writing" the intent, "announced" once that is written, or "leaving": around
-- the POST, later with more SECONDS. WAY: "intent", "operation", "url", or "adopt" with the time at which
-- the first job began. SECONDS is how long to wait then. A line of JSON tells what came of it.

local calls = require "spec.host.calls"
local cjson = require "cjson"
local cloudpartner = require "cloudpartner"

local phase, OFFER, DIRECTORY, how = arg[1], arg[2], arg[3], arg[4]
local seconds, began = tonumber(arg[5]), tonumber(arg[6])
local PACE = { interval = 0.05, min_interval = 0.01 }

local client = cloudpartner.new { retries = 1, retry_delay = 0.1 }

local function place(name)
  return DIRECTORY .. "/" .. name
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local function be_killed()
  calls.kill(0)
  calls.poll(-1, 60)
end

-- Whole or not at all, whenever this process ends.
local function save(name, text)
  write(place(name .. ".new"), text)
  if name == "intent" and how == "writing" then be_killed() end
  assert(os.rename(place(name .. ".new"), place(name)))
end

local function load(name)
  local file = assert(io.open(place(name), "rb"))
  local text = file:read "*a"
  file:close()
  return cjson.decode(text)
end

local function before_send(intent)
  save("intent", cjson.encode(intent))
  if how == "announced" then be_killed() end
  if how == "leaving" then calls.kill(seconds) end
end

local function submit()
  save("pid", tostring(calls.pid()))
  local operation = assert(client:golive(OFFER, { before_send = before_send }))
  save("operation", cjson.encode(operation))
  assert(operation:wait(PACE))
  for _ = 1, 60 do calls.poll(-1, 1) end
  error "nobody has killed it"
end

local ways = {
  intent = function() return client:resume(load "intent", { reconcile = 0.3 }) end,
  operation = function() return client:resume(load "operation") end,
  url = function() return client:resume(load "operation".url) end,
  adopt = function() return client:golive(OFFER, { adopt = began }) end,
}

-- What is known of an error, flat.
local function failure(err)
  local last = err.last_status
  return {
    code = err.code, sent = err.sent, message = tostring(err), state = last and last.state,
    has_intent = err.intent ~= nil,
  }
end

local function resume()
  local operation, err = ways[how]()
  if not operation then return failure(err) end
  local status
  status, err = operation:wait { interval = 0.05, min_interval = 0.01, timeout = seconds }
  local told = status and { state = status.state } or failure(err)
  told.id, told.kind, told.url = operation.id, operation.kind, operation.url
  told.adopted, told.done = operation.adopted, operation.done
  return told
end

if phase == "submit" then submit() else print(cjson.encode(resume())) end
