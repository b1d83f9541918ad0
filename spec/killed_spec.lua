-- A job is killed with SIGKILL, anywhere from `before_send` on; a new process finds what it
-- has begun, and never submits it again. The emulator counts.
--
-- Where a kill has struck is not guessed: the emulator and the job's files tell afterwards.
-- tools/kills runs more of them (KILLS="FROM TO") and adds up what is in KILLS_COUNTS then.

local cjson = require "cjson"
local live = require "spec.host.live"

local calls = live.calls
local unpack = table.unpack or unpack

local SPEED = 600
local SIGKILLED = 128 + 9
local HOLD = 20 * live.patience -- longer than a run

local only = os.getenv "KILLS"
local first, last = (only or "1 40"):match "(%d+) (%d+)"
first, last = tonumber(first), tonumber(last)
if os.getenv "VARIANT" then last = first + 9 end -- each moment once

local random_from, in_directory, read = live.random_from, live.in_directory, live.text_of

-- Moments: `order` is how the emulator holds the job there, `has_come` whether it has, and
-- `how` where the job kills itself.

local HOLD_POST = { method = "POST", delay = HOLD }
local LOSE_POST = { method = "POST", close = true, delay = HOLD }
local HOLD_POLL = { exchange = "poll", delay = HOLD }

local function is_held(state)
  return state.once == 0 and state.in_flight == 1
end

local function writing() return { how = "writing" } end

local function announced() return { how = "announced" } end

local function leaving(random) return { how = "leaving", seconds = 0.007 + random() * 0.006 } end

local function arriving() return { order = LOSE_POST, has_come = is_held } end

local function taken() return { order = HOLD_POST, has_come = is_held } end

local function noted()
  return { has_come = function(_, job) return job.has "operation" end }
end

local function polling()
  return { has_come = function(state) return state.polls > 0 end }
end

local function polled() return { order = HOLD_POLL, has_come = is_held } end

-- By a run's number.
local moments = {
  { "in before_send", announced }, { "before it is taken", arriving },
  { "once it is taken", taken }, { "with the operation noted", noted },
  { "around the POST", leaving }, { "between two polls", polling },
  { "before it is taken", arriving }, { "once it is taken", taken },
  { "while a poll is held", polled }, { "once it is taken", taken },
}

-- What becomes of the operation, and how long it takes on this machine.
local fates = {
  { name = "has ended", seconds = 0.1 }, { name = "ends", seconds = 0.4 },
  { name = "goes on", seconds = 1e4 },
}

local function plan_of(number)
  local random = random_from(number)
  local name, moment = unpack(moments[number % #moments + 1])
  local plan = moment(random)
  plan.name, plan.pause = name, random() * 0.02
  plan.fate = fates[math.floor(random() * #fates) + 1]
  plan.offer = "spec-kill-" .. number
  return plan
end

-- The job

local function await_moment(service, plan, job)
  live.await(function() return plan.has_come(service.state(), job) end)
  calls.poll(-1, plan.pause)
  os.execute("kill -9 " .. job.read "pid")
end

-- Runs a job up to its end, which is that it is killed.
local function kill_job(service, plan, directory)
  local job = { began = os.time() }
  function job.read(name) return read(directory .. "/" .. name) end
  function job.has(name) return job.read(name) ~= nil end
  service.configure(plan.offer, { duration = plan.fate.seconds * SPEED * live.patience })
  if plan.order then service.order(plan.order) end
  local process = live.spawn({ live.interpreter, "spec/host/killed.lua", "submit", plan.offer,
    directory, plan.how, plan.seconds }, service.environment())
  if plan.has_come then await_moment(service, plan, job) end
  local ended = process.ended(20)
  assert.equal(SIGKILLED, ended.status, ended.output)
  return job
end

-- The counts, once what the job had sent has been read by the emulator.
local function settled(service, offer)
  local state = service.state()
  repeat
    local before = state.requests
    calls.poll(-1, 0.01)
    state = service.state()
  until state.requests == before
  local counts = state.submissions["contoso/" .. offer]
  return counts and counts.golive or 0, state.in_flight
end

local BEFORE, BETWEEN = "before the POST was taken", "taken, not answered"
local UNNOTED, AFTER = "answered, not noted", "answered and noted"

-- Where the kill has struck.
local function class_of(service, offer, job)
  local submitted, in_flight = settled(service, offer)
  if submitted == 0 then return BEFORE end
  if job.has "operation" then return AFTER end
  return in_flight == 1 and BETWEEN or UNNOTED
end

-- The process after

local tally = { classes = {}, ways = {} }

local function ways_of(job)
  local ways = {}
  if job.has "intent" then ways[1] = "intent" end
  if job.has "operation" then ways[2], ways[3] = "operation", "url" end
  ways[#ways + 1] = "adopt"
  return ways
end

-- In turn, for each class.
local function way_of(class, job)
  local ways, count = ways_of(job), tally.classes[class] or 0
  tally.classes[class] = count + 1
  local way = ways[count % #ways + 1]
  tally.ways[class .. ": " .. way] = (tally.ways[class .. ": " .. way] or 0) + 1
  return way
end

-- What another process finds; `began` is the time to adopt from.
local function resume(service, offer, directory, way, seconds, began)
  local ended = live.run({ live.interpreter, "spec/host/killed.lua", "resume", offer, directory,
    way, seconds, began }, service.environment())
  assert.equal(0, ended.status, ended.output)
  return cjson.decode(ended.output)
end

local function assert_nothing_found(found)
  assert.equal("ambiguous", found.code, found.message)
  assert.equal("maybe", found.sent)
  assert.is_true(found.has_intent)
end

-- The list's, the newest first. An offer has been published before.
local function golives(service, offer)
  local list = {}
  for _, operation in ipairs(assert(service.client():operations(offer))) do
    if operation.kind == "golive" then list[#list + 1] = operation end
  end
  return list
end

local function assert_submitted_once(service, offer)
  local state, name = service.state(), "contoso/" .. offer
  assert.same({ golive = 1, publish = 0, cancel = 0 }, state.attempts[name])
  assert.same({ golive = 1, publish = 0, cancel = 0 }, state.submissions[name])
end

-- It is what the list has, and the only one.
local function assert_the_one(service, offer, found)
  assert(found.id, found.message)
  local list = golives(service, offer)
  assert.equal(1, #list)
  assert.equal(list[1].id, found.id)
  assert.equal(list[1].url, found.url)
  assert.equal("golive", found.kind)
  assert_submitted_once(service, offer)
end

local function assert_fate(fate, found)
  if fate.name == "goes on" then
    assert.equal("deadline", found.code, found.message)
    assert.is_true(found.state == "running" or found.state == "not_started", found.state)
  else
    assert.equal("succeeded", found.state, found.message)
  end
end

local function await_end(service, offer)
  live.await(function() return golives(service, offer)[1].done end)
end

-- Finds again what a killed job has left, in one of the ways. An intent that was never taken
-- is not to be found; then the job begins anew.
local function find_again(service, plan, directory, job)
  local class = class_of(service, plan.offer, job)
  local way = way_of(class, job)
  local seconds = plan.fate.name == "goes on" and 0 or 10 * live.patience
  local function by(one)
    return resume(service, plan.offer, directory, one, seconds, job.began)
  end
  local was_taken, has_ended = class ~= BEFORE, plan.fate.name == "has ended"
  if was_taken and has_ended then await_end(service, plan.offer) end
  local found = by(way)
  if way == "intent" and not was_taken then
    assert_nothing_found(found)
    assert.equal(0, service.count("attempts", plan.offer))
    found = by "adopt"
  end
  assert_the_one(service, plan.offer, found)
  assert_fate(plan.fate, found)
  local looked_up = was_taken and (way == "intent" or way == "adopt")
  assert.equal(looked_up, found.adopted)
  assert.equal(looked_up and has_ended, found.done)
end

describe("a job that is killed", function()
  local service = live.service("--speed", tostring(SPEED))

  teardown(function() live.write_counts(tally.ways) end)

  for number = first, last do
    local plan = plan_of(number)
    local name = ("is found again, run %d: killed %s, the operation %s")
      :format(number, plan.name, plan.fate.name)
    it(name, function()
      in_directory(function(directory)
        find_again(service, plan, directory, kill_job(service, plan, directory))
      end)
    end)
  end

  if only then return end

  it("was killed before, between and after", function()
    for _, class in ipairs { BEFORE, BETWEEN, AFTER } do
      assert((tally.classes[class] or 0) > 0, "none was killed: " .. class)
    end
  end)

  local function killed_at(moment, fate, directory, offer)
    local plan = moment(random_from(1))
    plan.offer, plan.fate, plan.pause = offer, fate, 0
    return kill_job(service, plan, directory)
  end

  it("while it writes the intent has sent nothing", function()
    in_directory(function(directory)
      local job = killed_at(writing, fates[2], directory, "spec-kill")
      assert.is_false(job.has "intent")
      assert.equal(0, (settled(service, "spec-kill")))
      local found = resume(service, "spec-kill", directory, "adopt", 10, job.began)
      assert_the_one(service, "spec-kill", found)
      assert.is_false(found.adopted)
    end)
  end)

  local function submit_earlier(offer)
    service.configure(offer, { duration = 0.05 * SPEED })
    local earlier = assert(service.client():golive(offer))
    await_end(service, offer)
    return earlier.id
  end

  local function assert_not_the_earlier(way, moment)
    in_directory(function(directory)
      local earlier = submit_earlier "spec-kill"
      if way == "adopt" then calls.poll(-1, 2.5) end -- two times cut to the second
      local job = killed_at(moment, fates[1], directory, "spec-kill")
      local found = resume(service, "spec-kill", directory, way, 10, job.began)
      assert(found.id, found.message)
      assert.not_equal(earlier, found.id)
      assert.equal("succeeded", found.state)
      assert.equal(moment == taken, found.adopted)
      assert.equal(2, service.count("submissions", "spec-kill"))
      assert.equal(2, #golives(service, "spec-kill"))
    end)
  end

  it("does not take an earlier operation for its own: the intent", function()
    assert_not_the_earlier("intent", taken)
  end)

  it("does not take an earlier operation for its own: the time it began", function()
    assert_not_the_earlier("adopt", taken)
  end)

  it("submits when there is only an earlier operation", function()
    assert_not_the_earlier("adopt", arriving)
  end)
end)

if only then return end

describe("an intent", function()
  local service = live.service("--speed", tostring(SPEED))

  -- That of a submission whose POST is held, by a client that is closed meanwhile.
  local function intent_of(order)
    local intent
    service.order(order)
    local client = service.client()
    local task = client:start("golive", "spec-late", {
      before_send = function(one) intent = cjson.decode(cjson.encode(one)) end,
    })
    live.await(function()
      client:step(0.01)
      return is_held(service.state())
    end)
    client:close()
    assert.is_true(task:done())
    return intent
  end

  -- A task that looks an intent up, and has found nothing yet.
  local function looking(intent)
    local looks = 0
    local client = service.client {
      log = function(event) if event.kind == "reconcile" then looks = looks + 1 end end,
    }
    local task = client:start("resume", intent, { reconcile = 8 * live.patience })
    live.await(function()
      client:step(0.01)
      return looks >= 2
    end)
    assert.is_false(task:done())
    return client, task
  end

  local function result_of(client, task)
    live.await(function()
      client:step(0.05)
      return task:done()
    end)
    local operation = assert(task:result())
    assert.equal(assert(client:operations "spec-late")[1].id, operation.id)
    assert.is_true(operation.adopted)
    assert.equal(1, service.count("submissions", "spec-late"))
  end

  it("is found when the service takes its POST late", function()
    local client, task = looking(intent_of(LOSE_POST))
    assert(service.client():golive "spec-late") -- as the POST that was on its way
    result_of(client, task)
  end)

  it("is found when the list lags", function()
    local intent = intent_of(HOLD_POST)
    service.order { exchange = "list", body = "[]", times = 2 }
    result_of(looking(intent))
  end)
end)

-- A list that lags shows nothing to adopt; but then the service refuses, and tells why.
describe("adopt", function()
  local service = live.service("--speed", tostring(SPEED))

  it("by time submits nothing that runs, though the list lags", function()
    service.configure("spec-late", { duration = 1e6 })
    local running = assert(service.client():golive "spec-late")
    service.order { exchange = "list", body = "[]" }
    local err = live.fails("conflict",
      service.client():golive("spec-late", { adopt = os.time() - 10 }))
    assert.equal(running.id, err.operation.id)
    assert.equal(1, service.count("submissions", "spec-late"))
  end)
end)

describe("examples/ci.lua", function()
  local service = live.service("--speed", tostring(SPEED))

  before_each(function() service.configure("spec-ci", { duration = 0.3 * SPEED }) end)

  local function words(phase, directory)
    return { live.interpreter, "examples/ci.lua", phase, "spec-ci", directory .. "/golive.json" }
  end

  local function run(phase, directory, began)
    return live.run(words(phase, directory), service.environment { BEGAN = began })
  end

  -- The shell's process becomes the program's.
  local function kill_submit(directory, order)
    service.order(order)
    local process = live.spawn({ "sh", "-c", "echo $$ >$0; exec \"$@\"", directory .. "/pid",
      unpack(words("submit", directory)) }, service.environment())
    live.await(function() return is_held(service.state()) end)
    os.execute("kill -9 " .. read(directory .. "/pid"):match "%d+")
    assert.equal(SIGKILLED, process.ended(10).status)
  end

  local function assert_ended(status, pattern, ended)
    assert.equal(status, ended.status, ended.output)
    assert.matches(pattern, ended.output)
  end

  local function assert_live(directory)
    assert_ended(0, "100 %% succeeded\n$", run("wait", directory))
    assert.is_nil(read(directory .. "/golive.json"))
    assert_submitted_once(service, "spec-ci")
  end

  it("submits in one job and waits in another", function()
    in_directory(function(directory)
      assert_ended(0, "^spec%-ci: http", run("submit", directory))
      assert_ended(0, "^spec%-ci: http", run("submit", directory))
      assert_live(directory)
      assert_ended(1, "nothing was submitted\n$", run("wait", directory))
    end)
  end)

  it("waits for what a killed job has submitted", function()
    in_directory(function(directory)
      kill_submit(directory, HOLD_POST)
      assert_live(directory)
    end)
  end)

  it("that is run again finds what was submitted, without its file too", function()
    in_directory(function(directory)
      local began = os.time()
      kill_submit(directory, HOLD_POST)
      assert_ended(0, "^spec%-ci: http", run("submit", directory))
      await_end(service, "spec-ci")
      os.remove(directory .. "/golive.json")
      assert_ended(0, "^spec%-ci: http", run("submit", directory, began))
      assert_live(directory)
    end)
  end)

  it("is what docs/resuming.md shows", function()
    local program = read "docs/resuming.md":match "\n```lua\n(.-)```\n"
    assert(program:find("local function submit()", 1, true))
    assert(read "examples/ci.lua":find(program, 1, true), "it has changed")
  end)

  it("is described in lines of up to 100 columns", function()
    for line in read "docs/resuming.md":gmatch "[^\n]+" do assert(#line <= 100, line) end
  end)
end)
