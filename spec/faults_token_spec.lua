-- Every fault of the emulator at the request for a token: what comes of the go live is told in
-- spec/faults/authority.lua by hand. docs/faults.md prints the same table.

local authority = require "spec.faults.authority"
local live = require "spec.host.live"
local trial = require "spec.faults.trial"

local ALWAYS = 1000000

local function client_of(service, cell)
  return trial.client_of(service, cell, {
    token = false, authority = service.address,
    credential = { tenant_id = "t", client_id = "app", client_secret = "secret" },
  })
end

local function fault_of(cell)
  local fault = { exchange = "token", times = cell.way == "once" and 1 or ALWAYS }
  for name, value in pairs(cell.row.fault) do fault[name] = value end
  return fault
end

describe("a go live whose request for a token goes wrong at", function()
  local service = live.service("--speed", trial.SPEED)

  trial.each(authority, function(cell)
    local client = client_of(service, cell)
    local function strike()
      trial.post(service, "tokens", { revoke = true })
      trial.post(service, "faults", { fault_of(cell) })
    end
    if cell.exchange == "list" then strike() end
    local operation, result, err = trial.go(cell, client, strike)
    local counts = trial.state(service)
    trial.assert_outcome(cell.expected, trial.count(counts), operation, result, err)
    assert(counts.faults >= 1, "it never struck")
    -- The emulator is at one that was given up for an hour.
    if not cell.row.slow then assert.equal(1, counts.tokens.most_at_once) end
  end)
end)
