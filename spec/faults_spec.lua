-- Every fault of the emulator at every exchange of a go live: what comes of it is told in
-- spec/faults/ by hand, from the contract. docs/faults.md prints the same tables. Those at the
-- request for a token: faults_token_spec.lua.

local cjson = require "cjson"
local live = require "spec.host.live"
local trial = require "spec.faults.trial"

local OFFER, SPEED = trial.OFFER, trial.SPEED

local ALWAYS = 1000000

local http, token = require "spec.faults.http", require "spec.faults.token"

local function rows_of(rows, has)
  local list = {}
  for _, row in ipairs(rows) do
    if has(row) then list[#list + 1] = row end
  end
  return list
end

-- Plans

local lost = { fault = "close", exchange = "submit", take = true }

-- The list is read a first time before the submission.
local places = {
  list = { exchange = "list" },
  submit = { exchange = "submit" },
  look_up = { exchange = "list", occurrence = 2 },
  poll = { exchange = "poll" },
}

-- Where every exchange has a connection of its own, handshakes count exchanges.
local handshakes = { list = 1, submit = 2, look_up = 3, poll = 1 }

local function place(cell, fault)
  local how = cell.row.tls and { occurrence = handshakes[cell.exchange] }
    or places[cell.exchange]
  for name, value in pairs(how) do fault[name] = value end
end

-- The fault of a cell, as the emulator takes it.
local function fault_of(cell, elsewhere)
  local single = cell.way == "once" or cell.way == "though_taken"
  local fault = { times = single and 1 or ALWAYS }
  for name, value in pairs(cell.row.fault) do fault[name] = value end
  place(cell, fault)
  if cell.way == "taken" or cell.way == "though_taken" then fault.take = true end
  if cell.row.elsewhere then fault.location = elsewhere end
  return fault
end

-- A submission whose outcome is unclear goes before a fault of the look-up.
local function order(cell, service, fault)
  trial.post(service, "faults", cell.exchange == "look_up" and { lost, fault } or { fault })
end

-- How often the faults of a cell strike, at least and at most.
local function strikes(cell)
  local before = cell.exchange == "look_up" and 1 or 0
  if cell.row.unstruck == cell.exchange then return before, before end
  local single = cell.way ~= "always"
  return before + 1, before + (single and 1 or ALWAYS)
end

-- Where the list decides: an operation that has ended before, and must not be taken for
-- the new one. Its id, and how many there are.
local function go_live_before(cell, service, client)
  if cell.way ~= "taken" and cell.way ~= "not_taken" then return nil, 0 end
  service.configure(OFFER, { duration = 0.001 })
  local operation = assert(client:golive(OFFER))
  service.configure(OFFER, { duration = cjson.null })
  return operation.id, 1
end

local function assert_struck(cell, struck)
  local least, most = strikes(cell)
  assert(struck >= least and struck <= most, ("it struck %g times"):format(struck))
end

local function run(cell, service, elsewhere)
  local client = trial.client_of(service, cell)
  local fault = fault_of(cell, elsewhere)
  local earlier, before = go_live_before(cell, service, client)
  if cell.row.fault.fault == "close_reused" then assert(client:offer_status(OFFER)) end
  if cell.exchange ~= "poll" then order(cell, service, fault) end
  if cell.row.tls then
    trial.post(service, "once", { times = ALWAYS, headers = { Connection = "close" } })
  end
  local operation, result, err =
    trial.go(cell, client, function() order(cell, service, fault) end)
  assert(not operation or operation.id ~= earlier, "that one was there before")
  local counts = trial.state(service)
  trial.assert_outcome(cell.expected, trial.count(counts) - before, operation, result, err)
  assert_struck(cell, counts.faults)
end

describe("a go live under a fault at", function()
  local service = live.service("--speed", SPEED)

  trial.each(rows_of(http, function(row) return not row.tls and not row.elsewhere end),
    function(cell) run(cell, service) end)
end)

describe("a go live under a fault of TLS at", function()
  local service = live.service("--tls", "--speed", SPEED)
  after_each(function() trial.post(service, "reset", {}) end)

  trial.each(rows_of(http, function(row) return row.tls end),
    function(cell) run(cell, service) end)
end)

describe("a go live that is sent elsewhere at", function()
  local service, other = live.service("--speed", SPEED), live.service()

  trial.each(rows_of(http, function(row) return row.elsewhere end), function(cell)
    run(cell, service, other.address .. "/api/publishers/contoso/offers/x/operations/1")
    assert.equal(0, other.state().requests)
  end)
end)

-- The token

-- A function that gives what the cell says in place of the token for its exchange: without
-- an end it is asked for every exchange.
local function token_function(cell)
  local first = { list = 1, submit = 2, look_up = 3, poll = 3 }
  local from, calls = first[cell.exchange], 0
  local to = cell.way == "once" and from or ALWAYS
  return function()
    calls = calls + 1
    if calls >= from and calls <= to then return cell.row.give() end
    return "secret"
  end
end

describe("a go live whose token goes wrong at", function()
  local service = live.service("--speed", SPEED)

  trial.each(token, function(cell)
    if cell.exchange == "look_up" then trial.post(service, "faults", { lost }) end
    local client = trial.client_of(service, cell, { token = token_function(cell) })
    local operation, result, err = trial.go(cell, client, function() end)
    trial.assert_outcome(cell.expected, trial.count(trial.state(service)), operation, result, err)
  end)
end)

-- The page

describe("docs/faults.md", function()
  it("is what tools/faults.lua prints", function()
    local printed = live.run { live.interpreter, "tools/faults.lua" }
    assert.equal(0, printed.status, printed.output)
    assert.equal(live.text_of "docs/faults.md", printed.output)
  end)
end)
