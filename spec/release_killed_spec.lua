-- A release is killed with SIGKILL, anywhere; begun again, it ends live, with one publish and
-- one go live. The emulator counts.
--
-- Where a kill has struck is not guessed: the emulator tells afterwards. tools/kills runs more
-- of them (KILLS="FROM TO") and adds up what is in KILLS_COUNTS then.

local cjson = require "cjson"
local live = require "spec.host.live"

local calls = live.calls

local SPEED = 600
local SIGKILLED = 128 + 9

local only = os.getenv "KILLS"
local first, last = (only or "1 15"):match "(%d+) (%d+)"
first, last = tonumber(first), tonumber(last)
if os.getenv "VARIANT" then last = first + 4 end -- each moment once

-- The job is killed so long after it has left this file, at most, in seconds. "pid" comes
-- before its first look, "ended" when the offer is live.
local moments = {
  { "pid", 0.2 }, { "publish", 0.15 }, { "preview", 0.15 }, { "golive", 0.15 }, { "ended", 0.1 },
}

local function start(service, offer, directory)
  return live.spawn({ live.interpreter, "spec/host/released.lua", offer, directory },
    service.environment())
end

local function kill_job(service, number, offer, directory)
  local moment = moments[number % #moments + 1]
  local process = start(service, offer, directory)
  live.await(function() return live.text_of(directory .. "/" .. moment[1]) end)
  calls.poll(-1, live.random_from(number)() * moment[2])
  os.execute("kill -9 " .. live.text_of(directory .. "/pid"))
  assert.equal(SIGKILLED, process.ended(20).status)
end

-- The counts, once what the job had sent has been read by the emulator.
local function settled(service, offer)
  local state = service.state()
  repeat
    local before = state.requests
    calls.poll(-1, 0.01)
    state = service.state()
  until state.requests == before
  return state.submissions["contoso/" .. offer] or { publish = 0, golive = 0 }
end

-- Where the kill has struck.
local function phase_of(service, offer)
  local counts = settled(service, offer)
  if counts.publish == 0 then return "looking" end
  local newest = assert(service.client():operations(offer))[1]
  if counts.golive == 0 then
    return newest.state == "waiting_for_publisher" and "in preview" or "publishing"
  end
  return newest.done and "live" or "going live"
end

local tally = {} -- as tools/kills reads it: the phase, and how it went on

describe("a release that is killed", function()
  local service = live.service("--speed", tostring(SPEED))

  teardown(function() live.write_counts(tally) end)

  for number = first, last do
    it(("and begun again ends live, run %d"):format(number), function()
      live.in_directory(function(directory)
        local offer = "spec-release-" .. number
        service.configure(offer, { published = false, duration = 0.2 * SPEED * live.patience })
        kill_job(service, number, offer, directory)
        local way = phase_of(service, offer) .. ": again"
        tally[way] = (tally[way] or 0) + 1
        local ended = start(service, offer, directory).ended(30)
        assert.equal(0, ended.status, ended.output)
        local told = cjson.decode(ended.output)
        assert.equal("live", told.phase, told.message)
        assert.same({ publish = 1, golive = 1, cancel = 0 },
          service.state().submissions["contoso/" .. offer])
        assert.same({ publish = 1, golive = 1, cancel = 0 },
          service.state().attempts["contoso/" .. offer])
      end)
    end)
  end

  if only or os.getenv "VARIANT" then return end

  -- On a busy machine a kill may come late. `make kills` counts how many fell where.
  it("was killed in most of the phases", function()
    local struck = 0
    for _ in pairs(tally) do struck = struck + 1 end
    assert(struck >= 3, "killed in " .. struck .. " phases only")
  end)
end)
