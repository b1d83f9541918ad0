-- The emulator's faults as they are on the wire, seen by curl.

local cjson = require "cjson"
local emulator = require "spec.support.emulator"

local OFFER = "/api/publishers/contoso/offers/spec-wire/"
local LIST, GOLIVE, STATUS = OFFER .. "submissions/", OFFER .. "golive", OFFER .. "status"

-- What curl's exit status says.
local OK, EMPTY, RESET, SHORT, TIMEOUT = "0", "52", "56", "18", "28"

local running

local function start(...)
  local words = { ... }
  setup(function() running = emulator.start((table.unpack or unpack)(words)) end)
  teardown(function() running.stop() end)
  before_each(function() emulator.post(running.address .. "/_emulator/reset", "{}", running.ca) end)
end

-- A plan, as a table or as text: the emulator's answer, decoded.
local function plan(faults)
  local text = type(faults) == "string" and faults or cjson.encode(faults)
  return cjson.decode(emulator.post(running.address .. "/_emulator/faults", text, running.ca))
end

-- The emulator's counts; without TLS as well, where faults of TLS would keep us out.
local function state()
  local address = running.address:gsub("^https:", "http:")
  return cjson.decode(emulator.get(address .. "/_emulator/state"))
end

local function submissions()
  local counts = state().submissions["contoso/spec-wire"]
  return counts and counts.golive or 0
end

-- Requests of one curl, over one connection where that is kept: all that comes, heads
-- included, and curl's exit status.
local function curl(options, ...)
  local words = { "curl --silent --include --noproxy '*' --max-time 0.3", options,
    "--header 'Authorization: Bearer any'" }
  if running.ca then words[#words + 1] = "--cacert " .. running.ca end
  for _, path in ipairs { ... } do
    words[#words + 1] = ("'%s%s?api-version=2017-10-31'"):format(running.address, path)
  end
  local pipe = io.popen(table.concat(words, " ") .. " 2>/dev/null; echo \" $?\"")
  local output, status = pipe:read "*a":match "^(.*) (%d+)\n$"
  pipe:close()
  return output, status
end

local function get(...) return curl("", ...) end

local function post(path) return curl("--data ''", path) end

-- The HTTP status that each request of a series gets; curl's exit status where none comes.
local function series(count, request, path)
  local list = {}
  for i = 1, count do
    local output, exit = request(path)
    list[i] = output:match "^HTTP/1.1 (%d+)" or "curl " .. exit
  end
  return table.concat(list, " ")
end

describe("a fault", function()
  start("--speed", "600")

  -- What is to be seen of a list that it strikes, and curl's exit status.
  local wire = {
    close = { "^$", EMPTY },
    reset_before_headers = { "^$", RESET },
    reset_in_headers = { "^HTTP/1.1 200 \r\n$", RESET },
    reset_after_headers = { "^HTTP/1.1 200 \r\nContent%-Length: %d+\r\n\r\n$", RESET },
    cut_body = { '\r\n\r\n%[{"changedTime"', SHORT },
    drip_body = { "\r\n\r\n%[", TIMEOUT },
    bad_chunk = { "\r\nTransfer%-Encoding: chunked\r\n\r\n$", RESET },
    hang = { "^$", TIMEOUT },
    html = { "^HTTP/1.1 200 .*\r\nContent%-Type: text/html\r\n.*<html>", OK },
    token_refused = { "^HTTP/1.1 401 .*\r\nWWW%-Authenticate: Bearer\r\n", OK },
  }
  for name, seen in pairs(wire) do
    it(name .. " strikes once, and then all is well", function()
      plan { { fault = name, exchange = "list", take = true } }
      local output, exit = get(LIST)
      assert.matches(seen[1], output)
      assert.equal(seen[2], exit)
      assert.equal("200", series(1, get, LIST))
      assert.equal(1, state().faults)
    end)
  end

  it("garbage is no HTTP", function()
    plan { { fault = "garbage" } }
    local output = curl("--http0.9", LIST)
    assert.matches("no HTTP at all", output, 1, true)
  end)

  it("oversized_header is a line of 300 kB", function()
    plan { { fault = "oversized_header" } }
    local _, exit = get(LIST)
    assert.not_equal(OK, exit)
  end)

  it("close_reused strikes a connection that was used before", function()
    plan { { fault = "close_reused", times = 9 } }
    assert.equal("200 200", series(2, get, LIST))
    assert.equal(0, state().faults)
    get(LIST, LIST)
    assert.equal(1, state().faults)
  end)

  it("status has the status, the delay, and a Retry-After of the plan", function()
    plan { { fault = "status", status = 503, delay = 0.1, retry_after = 7 } }
    local output = curl("--write-out ' %{time_total}'", LIST)
    assert.matches("^HTTP/1.1 503 ", output)
    assert.matches("\r\nRetry%-After: 7\r\n", output)
    assert.truthy(tonumber(output:match " ([%d.]+)$") >= 0.1)
  end)

  it("redirect names the location of the plan", function()
    plan { { fault = "redirect", location = "http://127.0.0.1:1/x" } }
    local output = get(LIST)
    assert.matches("^HTTP/1.1 307 ", output)
    assert.matches("\r\nLocation: http://127.0.0.1:1/x\r\n", output)
  end)

  it("strikes from its occurrence on, so many times", function()
    plan { { fault = "status", status = 500, occurrence = 2, times = 2 } }
    assert.equal("200 500 500 200", series(4, get, LIST))
  end)

  it("counts the requests that another one struck", function()
    plan { { fault = "status", status = 429 },
      { fault = "status", status = 500, occurrence = 3 } }
    assert.equal("429 200 500 200", series(4, get, LIST))
  end)

  it("strikes only the exchange that it names", function()
    plan { { fault = "status", status = 500, exchange = "list" } }
    assert.equal("200", series(1, get, STATUS))
    assert.equal("202", series(1, post, GOLIVE))
    assert.equal("500", series(1, get, LIST))
  end)

  it("strikes only what method and path say", function()
    plan { { fault = "close", method = "GET", path_contains = "spec-wire/status" } }
    assert.equal("200", series(1, get, LIST))
    assert.equal("curl " .. EMPTY, series(1, get, STATUS))
  end)

  for _, name in ipairs { "close", "reset_before_headers", "reset_in_headers", "cut_body",
    "reset_after_headers", "drip_body", "bad_chunk", "oversized_header", "hang", "garbage" } do
    it(name .. " lets the service take a submission when told so", function()
      plan { { fault = name, exchange = "submit" },
        { fault = name, exchange = "submit", occurrence = 2, take = true } }
      post(GOLIVE)
      assert.equal(0, submissions())
      post(GOLIVE)
      assert.equal(1, submissions())
    end)
  end

  it("is forgotten by a reset", function()
    plan { { fault = "close", times = 9 } }
    emulator.post(running.address .. "/_emulator/reset", "{}")
    assert.equal("200", series(1, get, LIST))
  end)
end)

describe("an order", function()
  start()

  local function order(rule)
    local answer =
      emulator.post(running.address .. "/_emulator/once", cjson.encode(rule), running.ca)
    return cjson.decode(answer)
  end

  it("strikes by exchange and occurrence as a fault does", function()
    order { exchange = "list", occurrence = 2, status = 500 }
    assert.equal("200", series(1, get, STATUS))
    assert.equal("200 500 200", series(3, get, LIST))
  end)

  it("resets the connection, after its bytes", function()
    order { reset = true, raw = "HTTP/1.1 200 \r\nX: " }
    local output, exit = get(LIST)
    assert.matches("^HTTP/1.1 200 ", output)
    assert.equal(RESET, exit)
    order { reset = true }
    output, exit = get(LIST)
    assert.equal("", output)
    assert.equal(RESET, exit)
  end)

  it("of an exchange that there is not is refused", function()
    assert.equal("The value of exchange is not one it can have.",
      order { exchange = "tea" }.error.message)
  end)

  it("takes null for a member that is not there", function()
    order { delay = cjson.null, status = 503 }
    assert.equal("503", series(1, get, LIST))
  end)
end)

describe("a plan", function()
  start()

  local wrong = {
    ["{}"] = "The plan is not JSON: an array was expected.",
    ["[1]"] = "Fault 1: It is not an object.",
    ['[{"times":1}]'] = "Fault 1: It needs fault, the name of a kind.",
    ['[{"fault":"melt"}]'] = "Fault 1: The value of fault is not one it can have.",
    ['[{"fault":"hang"},{"fault":"hang","x":1}]'] = "Fault 2: There is no x to set.",
    ['[{"fault":"hang","exchange":"tea"}]'] =
      "Fault 1: The value of exchange is not one it can have.",
    ['[{"fault":"hang","times":0.5}]'] =
      "Fault 1: The value of times is not one it can have.",
    ['[{"fault":"status"}]'] = "Fault 1: It needs status to be a status.",
    ['[{"fault":"redirect"}]'] = "Fault 1: It needs location to be a redirect.",
    ['[{"fault":"expired_certificate"}]'] = "Fault 1: expired_certificate needs --tls.",
  }
  for text, why in pairs(wrong) do
    it("is refused, and none of it holds: " .. text, function()
      assert.equal(why, plan(text).error.message)
      assert.equal(0, state().once)
    end)
  end

  it("tells how much of it waits", function()
    assert.same({ once = 2, handshakes = 0 }, plan { { fault = "hang" }, { fault = "close" } })
  end)
end)

describe("a plan in a file", function()
  local function write(text)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    return path
  end

  local function refusal(...)
    local ok, err = pcall(emulator.start, ...)
    assert.is_false(ok)
    return err
  end

  it("holds from the start", function()
    local path = write '[{"fault":"status","status":418}]'
    running = emulator.start("--faults", path)
    assert.equal("418 200", series(2, get, LIST))
    running.stop()
    os.remove(path)
  end)

  it("that is wrong keeps the emulator from starting", function()
    local path = write '[{"fault":"melt"}]'
    local err = refusal("--faults", path)
    assert.matches("emulator: the fault plan is refused: Fault 1: The value of fault is not "
      .. "one it can have.\n", err, 1, true)
    os.remove(path)
  end)

  it("that is not there keeps it from starting", function()
    assert.matches("there is no fault plan /nonexistent to read",
      refusal("--faults", "/nonexistent"), 1, true)
  end)

  it("is for the service alone", function()
    assert.matches("%-%-faults goes with neither", refusal("--fast", "--faults", "emulator/run"))
  end)
end)

describe("a fault of TLS", function()
  start("--tls")

  local NOT_TRUSTED, NO_TLS = "60", "35"
  local kinds = {
    close_after_accept = NO_TLS, expired_certificate = NOT_TRUSTED,
    other_host_certificate = NOT_TRUSTED, unknown_authority_certificate = NOT_TRUSTED,
  }
  for name, expected in pairs(kinds) do
    it(name .. " strikes a handshake, and then all is well", function()
      plan { { fault = name, occurrence = 2 } }
      assert.equal("200 curl " .. expected .. " 200", series(3, get, LIST))
      assert.equal(1, state().faults)
    end)
  end

  it("leaves control open, without TLS", function()
    local address = running.address:gsub("^https:", "http:")
    plan { { fault = "close_after_accept", times = 1000 } }
    assert.equal("curl " .. NO_TLS, series(1, get, LIST))
    emulator.post(address .. "/_emulator/reset", "{}")
    assert.equal("200", series(1, get, LIST))
  end)

  it("leaves the service closed without TLS", function()
    local address = running.address:gsub("^https:", "http:")
    assert.matches('"ResourceNotFound"', emulator.get(address .. LIST), 1, true)
  end)

  it("strikes no exchange in particular", function()
    local answer = plan { { fault = "expired_certificate", exchange = "list" } }
    assert.equal("Fault 1: There is no exchange to set.", answer.error.message)
  end)

  it("does not hinder the others", function()
    plan { { fault = "cut_body", take = true }, { fault = "reset_in_headers" } }
    local _, exit = get(LIST)
    assert.equal(SHORT, exit)
    _, exit = get(LIST)
    assert.equal(RESET, exit)
  end)
end)
