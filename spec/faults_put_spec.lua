-- Every fault of the emulator at a PUT, and at reading back what became of it: what comes of
-- it is told in spec/faults/put.lua by hand, from the contract.

local cells = require "spec.faults.cells"
local live = require "spec.host.live"
local trial = require "spec.faults.trial"

local ALWAYS = 1000000

local lost = { fault = "close", exchange = "put_offer", take = true }

-- The offer is read once before.
local function faults_of(cell)
  local fault = { times = cell.way == "once" and 1 or ALWAYS, take = cell.way == "taken" or nil }
  for name, value in pairs(cell.row.fault) do fault[name] = value end
  fault.exchange = cell.exchange == "put" and "put_offer" or "offer"
  return cell.exchange == "put" and { fault } or { lost, fault }
end

local function outcome(result, err, times)
  if result then return { result = "stored", times = times } end
  return { result = err.code, sent = err.sent, times = times }
end

-- How often the offer was stored since.
local function count(service, before)
  local client, times = service.client(), 0
  while true do
    local offer = client:offer(trial.OFFER, { version = before + times + 1 })
    if not offer then return times end
    times = times + 1
  end
end

describe("a PUT under a fault at", function()
  local service = live.service("--speed", "100")

  for _, cell in ipairs(cells.of(require "spec.faults.put", cells.of_put)) do
    it(("%s, %s, %s"):format(cell.exchange, cell.row.name, cell.way), function()
      local client = trial.client_of(service, cell)
      local offer = assert(client:offer(trial.OFFER))
      offer:set("/definition/displayText", "edited")
      trial.post(service, "faults", faults_of(cell))
      local result, err = client:put_offer(trial.OFFER, offer)
      assert.is_true(trial.state(service).faults > 0, "it did not strike")
      assert.same(cell.expected, outcome(result, err, count(service, 1)))
      if result then
        local stored = assert(service.client():offer(trial.OFFER))
        assert.equal(stored.etag, result.etag)
        assert.equal("edited", stored:get "/definition/displayText")
      end
    end)
  end
end)
