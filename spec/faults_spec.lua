-- Every fault of the emulator at every exchange of a go live: what comes of it is told in
-- spec/faults/ by hand, from the contract. docs/faults.md prints the same tables.

local cells = require "spec.faults.cells"
local cjson = require "cjson"
local emulator = require "spec.support.emulator"
local live = require "spec.host.live"

local OFFER = "spec-faults"
local PATIENCE = live.patience

-- A go live takes an eighth of a second: long enough to be found running.
local SPEED = tostring(5000 / PATIENCE)

local ALWAYS = 1000000

local http, token = require "spec.faults.http", require "spec.faults.token"

local function rows_of(rows, has)
  local list = {}
  for _, row in ipairs(rows) do
    if has(row) then list[#list + 1] = row end
  end
  return list
end

-- Seconds. Where only the end of its time ends a call, it has little.
local function limits(cell)
  local brief = cell.way == "always" or cell.way == "not_taken"
  return {
    exchange = (cell.row.slow and 0.3 or 5) * PATIENCE,
    reconcile = (brief and 0.15 or 1) * PATIENCE,
    outage = (brief and not cell.row.long and 0.15 or 60) * PATIENCE,
    wait = (cell.row.long and 0.4 or 10) * PATIENCE,
  }
end

local function client_of(service, cell, token_function)
  return service.client {
    token = token_function or function() return "secret", 3600 end,
    exchange_timeout = limits(cell).exchange, retries = 2, retry_delay = 0.01,
    retry_max_delay = 0.05,
  }
end

-- Submits, and waits for what was submitted when the cell is about that.
local function go(cell, client, before_wait)
  local most = limits(cell)
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

local function post(service, name, value)
  local answer = emulator.post(control(service, name), cjson.encode(value))
  assert(answer:find "^{" and not answer:find '"error"', answer)
end

local function state(service)
  return cjson.decode(emulator.get(control(service, "state")))
end

local function count(counts)
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

local function assert_outcome(expected, submissions, operation, result, err)
  assert(result or type(err) == "table", tostring(err))
  assert.same(expected, outcome(submissions, operation, result, err))
  if err and (err.code == "ambiguous" or err.code == "untrusted_url") then
    assert.equal("golive", err.intent.kind)
  end
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
  post(service, "faults", cell.exchange == "look_up" and { lost, fault } or { fault })
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
  local client = client_of(service, cell)
  local fault = fault_of(cell, elsewhere)
  local earlier, before = go_live_before(cell, service, client)
  if cell.row.fault.fault == "close_reused" then assert(client:offer_status(OFFER)) end
  if cell.exchange ~= "poll" then order(cell, service, fault) end
  if cell.row.tls then
    post(service, "once", { times = ALWAYS, headers = { Connection = "close" } })
  end
  local operation, result, err =
    go(cell, client, function() order(cell, service, fault) end)
  assert(not operation or operation.id ~= earlier, "that one was there before")
  local counts = state(service)
  assert_outcome(cell.expected, count(counts) - before, operation, result, err)
  assert_struck(cell, counts.faults)
end

local function each(rows, f)
  for _, cell in ipairs(cells.of(rows)) do
    it(("%s, %s, %s"):format(cell.exchange, cell.row.name, cell.way), function() f(cell) end)
  end
end

describe("a go live under a fault at", function()
  local service = live.service("--speed", SPEED)

  each(rows_of(http, function(row) return not row.tls and not row.elsewhere end),
    function(cell) run(cell, service) end)
end)

describe("a go live under a fault of TLS at", function()
  local service = live.service("--tls", "--speed", SPEED)
  after_each(function() post(service, "reset", {}) end)

  each(rows_of(http, function(row) return row.tls end),
    function(cell) run(cell, service) end)
end)

describe("a go live that is sent elsewhere at", function()
  local service, other = live.service("--speed", SPEED), live.service()

  each(rows_of(http, function(row) return row.elsewhere end), function(cell)
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

  each(token, function(cell)
    if cell.exchange == "look_up" then post(service, "faults", { lost }) end
    local client = client_of(service, cell, token_function(cell))
    local operation, result, err = go(cell, client, function() end)
    assert_outcome(cell.expected, count(state(service)), operation, result, err)
  end)
end)

-- The page

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

describe("docs/faults.md", function()
  it("is what tools/faults.lua prints", function()
    local printed = live.run { live.interpreter, "tools/faults.lua" }
    assert.equal(0, printed.status, printed.output)
    assert.equal(read "docs/faults.md", printed.output)
  end)
end)
