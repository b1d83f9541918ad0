-- A DNS server that is slow or silent: nobody waits for it who does not ask for it.

local live = require "spec.host.live"

local BOUND = 100 -- milliseconds, of what must not wait

-- An instrumented interpreter preloads what SPEC_PRELOAD names behind its own libraries.
local function run_scene(name, more)
  local environment = more or {}
  local library = live.directory .. "/slow_names.so"
  environment.LD_PRELOAD, environment.SPEC_PRELOAD = library, library
  local began = live.calls.now()
  local ended = live.run({ live.interpreter, "spec/host/slow_names.lua", name }, environment)
  local took = live.calls.now() - began
  assert.equal(0, ended.status, ended.output)
  local longest, outcome = ended.output:match "^(%S+)\n(.-)\n"
  assert(longest, ended.output)
  return outcome, tonumber(longest), took
end

local function assert_prompt(milliseconds, bound)
  local limit = (bound or BOUND) * live.patience
  assert(milliseconds <= limit, ("it took %.1f ms, more than %g"):format(milliseconds, limit))
end

describe("while a name does not resolve", function()
  local service = live.service()

  it("a step returns at once, and the process ends when it wants", function()
    local outcome, longest, took = run_scene "step"
    assert.equal("hangs", outcome)
    assert_prompt(longest)
    assert_prompt(took * 1000, 3500)
  end)

  it("a submission is cancelled at once", function()
    local outcome, longest, took = run_scene "cancel"
    assert.matches("^canceled ", outcome)
    assert_prompt(longest)
    assert_prompt(took * 1000, 3500)
  end)

  it("a client is closed at once", function()
    local outcome, longest, took = run_scene "close"
    assert.equal("closed", outcome)
    assert_prompt(longest)
    assert_prompt(took * 1000, 3500)
  end)

  it("a call ends at its timeout", function()
    local outcome, longest, took = run_scene "timeout"
    assert.equal("deadline", outcome)
    assert_prompt(longest, 2500)
    assert_prompt(took * 1000, 3500)
  end)

  it("an exchange ends at its timeout", function()
    local outcome, longest, took = run_scene "exchange_timeout"
    assert.equal("timeout", outcome)
    assert_prompt(longest, 2500)
    assert_prompt(took * 1000, 3500)
  end)

  it("another client's exchanges go on", function()
    local outcome, longest = run_scene("others", service.environment())
    assert.equal("hangs", outcome)
    assert_prompt(longest, 500)
  end)
end)
