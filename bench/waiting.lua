--- What many waiting operations take. usage: waiting.lua COUNT; prints bytes of each one
-- beside its last body, then CPU microseconds of a client:step(0) that finds nothing due.

local cloudpartner = require "cloudpartner"

local count = tonumber(arg[1])
local BATCH = 500
local STEPS = 100000

local STEP = [[{"id":"displaycertify","stepName":"Certification","messages":[],]]
  .. [["description":"Validating","status":"inProgress","progressPercentage":%d}]]

-- 2.1 kB: as long as a real one, and just over a power of two, where a buffer that grows
-- by doubling wastes most.
local function running_body()
  local steps = {}
  for i = 1, 15 do steps[i] = STEP:format(i) end
  return ('{"status":"running","steps":[%s]}'):format(table.concat(steps, ","))
end

local BODY = running_body()

local function answer()
  return {status = 200, headers = {["Retry-After"] = "3600"}, body = BODY}
end

-- What a program that was started again has read from its own store.
local function saved(number)
  local offer = ("contoso-offer-%06d"):format(number)
  local id = ("00000000-0000-4000-8000-%012d"):format(number)
  return {
    format = 1, api = "cloudpartner/2017-10-31", kind = "golive", publisher = "contoso",
    offer = offer, id = id, submitted_at = "2018-03-26T21:46:01.179Z", adopted = false,
    done = false,
    url = ("https://cloudpartner.azure.com/api/publishers/contoso/offers/%s/operations/%s"
      .. "?api-version=2017-10-31"):format(offer, id),
  }
end

-- The saved tables are garbage by then, and each batch's is collected: what the process
-- grows by is the module's.
local function add(client, first, last)
  for number = first, last do client:start("wait", saved(number)) end
  assert(client:step(0) == last)
  collectgarbage()
end

local function resident_bytes()
  for line in io.lines("/proc/self/status") do
    local kilobytes = line:match("^VmRSS:%s*(%d+)")
    if kilobytes then return kilobytes * 1024 end
  end
end

local function memory_of_each(client)
  add(client, 1, BATCH) -- what is there once for all is there from here on
  local before = resident_bytes()
  for first = BATCH + 1, count, BATCH do
    add(client, first, math.min(first + BATCH - 1, count))
  end
  collectgarbage()
  return (resident_bytes() - before) / (count - BATCH) - #BODY
end

local function time_of_a_step(client)
  local before = os.clock()
  for _ = 1, STEPS do client:step(0) end
  return (os.clock() - before) * 1e6 / STEPS
end

local client = cloudpartner.new {
  endpoint = "https://cloudpartner.azure.com", publisher = "contoso", token = "any",
  transport = answer,
}
print(("%.0f"):format(memory_of_each(client)))
print(("%.3f"):format(time_of_a_step(client)))
assert(#client:tasks() == count and client:timeout() > 3000, "something ended meanwhile")
client:close()
