--- The exchanges of limit.c by the module: go-lives, each waited for, eight at a time.
-- usage: golives.lua COUNT OFFER; prints CPU microseconds of each exchange

local cloudpartner = require "cloudpartner"

local AT_ONCE = 8
local EXCHANGES = 4 -- of one go-live: a POST and three polls

local SUBMISSION = {reconcile = false}
local WAIT = {interval = 0, min_interval = 0}

local count, offer = tonumber(arg[1]), arg[2]
local begun, ended = 0, 0
local tasks, waits = {}, {}

local function submit(client, place)
  if begun == count then
    tasks[place] = nil
    return
  end
  begun = begun + 1
  waits[place] = false
  tasks[place] = client:start("golive", offer .. "-" .. begun, SUBMISSION)
end

local function go_on(client, place)
  local result = assert(tasks[place]:result())
  if not waits[place] then
    waits[place] = true
    tasks[place] = client:start("wait", result, WAIT)
    return
  end
  assert(result.state == "succeeded", result.state)
  ended = ended + 1
  submit(client, place)
end

local function run(client)
  for place = 1, AT_ONCE do submit(client, place) end
  while ended < count do
    client:step(60)
    for place = 1, AT_ONCE do
      if tasks[place] and tasks[place]:done() then go_on(client, place) end
    end
  end
end

-- C's clock(): user and system time of the process, the engine's thread too.
local before = os.clock()
local client = cloudpartner.new {}
run(client)
print(("%.3f"):format((os.clock() - before) * 1e6 / (count * EXCHANGES)))
client:close()
