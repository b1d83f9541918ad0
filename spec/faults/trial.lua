--- What the specs of faults share: a go live under one, and what came of it.

local busted = require "busted"
local cells = require "spec.faults.cells"
local cjson = require "cjson"
local emulator = require "spec.support.emulator"
local live = require "spec.host.live"
local luassert = require "luassert"

local trial = {}

local OFFER = "spec-faults"
local PATIENCE = live.patience

--- The offer that goes live.
trial.OFFER = OFFER

--- A go live takes an eighth of a second: long enough to be found running.
trial.SPEED = tostring(5000 / PATIENCE)

--- Seconds. Where only the end of its time ends a call, it has little.
function trial.limits(cell)
  local brief = cell.way == "always" or cell.way == "not_taken"
  return {
    exchange = (cell.row.slow and 0.3 or 5) * PATIENCE,
    reconcile = (brief and 0.15 or 1) * PATIENCE,
    outage = (brief and not cell.row.long and 0.15 or 60) * PATIENCE,
    wait = (cell.row.long and 0.4 or 10) * PATIENCE,
  }
end

--- A client; `more` has other options than its token function.
function trial.client_of(service, cell, more)
  local options = {
    token = function() return "secret", 3600 end,
    exchange_timeout = trial.limits(cell).exchange, retries = 2, retry_delay = 0.01,
    retry_max_delay = 0.05,
  }
  for name, value in pairs(more or {}) do options[name] = value end
  return service.client(options)
end

--- Submits, and waits for what was submitted when the cell is about that.
function trial.go(cell, client, before_wait)
  local most = trial.limits(cell)
  local operation, err = client:golive(OFFER, { reconcile = most.reconcile })
  if cell.exchange ~= "poll" or not operation then return operation, operation, err end
  before_wait()
  return operation, operation:wait {
    interval = 0.02, min_interval = 0.01, timeout = most.wait, outage = most.outage,
  }
end

-- The emulator's control, without TLS: a fault of TLS keeps it out as well.
local function control(service, name)
  return service.address:gsub("^https:", "http:") .. "/_emulator/" .. name
end

--- An order for the emulator.
function trial.post(service, name, value)
  local answer = emulator.post(control(service, name), cjson.encode(value))
  assert(answer:find "^{" and not answer:find '"error"', answer)
end

--- Its counts.
function trial.state(service)
  return cjson.decode(emulator.get(control(service, "state")))
end

--- How many go lives it took.
function trial.count(counts)
  local of_offer = counts.submissions["contoso/" .. OFFER]
  return of_offer and of_offer.golive or 0
end

-- What came of it, in the words of spec/faults/outcomes.lua.
local function outcome(submissions, operation, result, err)
  if result then
    return { result = "live", adopted = operation.adopted == true, submissions = submissions }
  end
  return { result = err.code, sent = err.sent, submissions = submissions,
    operation = err.operation ~= nil }
end

--- Checks what came of it.
function trial.assert_outcome(expected, submissions, operation, result, err)
  assert(result or type(err) == "table", tostring(err))
  luassert.same(expected, outcome(submissions, operation, result, err))
  if err and (err.code == "ambiguous" or err.code == "untrusted_url") then
    luassert.equal("golive", err.intent.kind)
  end
end

--- A spec for each cell of these rows, which `f(cell)` runs.
function trial.each(rows, f)
  for _, cell in ipairs(cells.of(rows)) do
    busted.it(("%s, %s, %s"):format(cell.exchange, cell.row.name, cell.way), function() f(cell) end)
  end
end

return trial
