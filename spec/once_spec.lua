-- A submission is sent once, whatever becomes of it: what is unclear is looked up in the
-- offer's list. The emulator counts what comes.

local live = require "spec.host.live"

local calls = live.calls

local OFFER = "spec-once"
local GOLIVE = "/api/publishers/contoso/offers/" .. OFFER .. "/golive"
local STATUS = "/api/publishers/contoso/offers/" .. OFFER .. "/operations/none"

local function refused_port()
  local fd, port = calls.listen()
  calls.close(fd)
  return port
end

-- Whose orders strike the POST, and not the list.
local function closed(more)
  local order = { method = "POST", close = true }
  for name, value in pairs(more or {}) do order[name] = value end
  return order
end

-- The methods and the last words of the paths of what a client with these options asks
-- for: "GET submissions", "POST golive".
local function noting(options)
  local asked = {}
  options.log = function(event)
    if event.kind ~= "request" then return end
    asked[#asked + 1] = event.method .. " " .. event.url:match "([^/]+)/?$"
  end
  return asked
end

-- A client on this clock: its time passes when it sleeps.
local function jumping(service, options)
  local given, slept = live.jumping_clock()
  for name, value in pairs(options or {}) do given[name] = value end
  local asked = noting(given)
  return service.client(given), slept, asked
end

-- All of what a client asked for, and nothing more came: libcurl can repeat by itself.
local function assert_asked(expected, asked, service)
  assert.same(expected, asked)
  assert.equal(#expected, service.state().requests)
end

local function total(seconds)
  local sum = 0
  for _, s in ipairs(seconds) do sum = sum + s end
  return sum
end

local LIST, POST = "GET submissions", "POST golive"
local ONE_LOOK, NO_LIST = { reconcile = 0 }, { reconcile = false }

describe("a submission", function()
  local service = live.service("--speed", "600")

  local function open(options) return jumping(service, options) end

  -- One go live by a client whose time jumps: its results, what it slept between, and what
  -- it asked for.
  local function golive(options, wishes)
    local client, slept, asked = open(options)
    local operation, err = client:golive(OFFER, wishes)
    return operation, err, slept, asked
  end

  local function newest(offer)
    return assert(service.client():operations(offer or OFFER))[1]
  end

  -- It is the one that the service took, and the only one.
  local function assert_adopted(operation, err)
    assert(operation, tostring(err))
    assert.is_true(operation.adopted)
    assert.equal(1, service.count("attempts", operation.offer, operation.kind))
    assert.equal(1, service.count("submissions", operation.offer, operation.kind))
    local found = newest(operation.offer)
    assert.equal(found.id, operation.id)
    assert.equal(found.url, operation.url)
    assert.equal(operation.kind, found.kind)
  end

  -- libcurl repeats a request by itself, a POST too, when a connection that it kept dies
  -- without an answer: so a submission never goes by a kept one.
  local function lose_connection(wishes, requests)
    local client = service.client()
    assert(client:offer_status(OFFER))
    local before = service.state().connections
    service.order(closed { take = true })
    local operation, err = client:golive(OFFER, wishes)
    local state = service.state()
    assert.equal(requests, state.requests)
    assert.equal(1, state.connections - before)
    assert.equal(1, service.count("attempts", OFFER))
    assert.equal(1, service.count("submissions", OFFER))
    return operation, err
  end

  it("has a connection of its own, and its loss is looked up", function()
    assert_adopted(lose_connection(nil, 4))
  end)

  it("has a connection of its own, and its loss is ambiguous without the list", function()
    local err = live.fails("ambiguous", lose_connection(NO_LIST, 2))
    assert.equal("maybe", err.sent)
    assert.equal("golive", err.intent.kind)
  end)

  for _, kind in ipairs { "golive", "publish" } do
    local ONE = "POST " .. kind

    it("that nobody answers is adopted when it was taken: " .. kind, function()
      service.order(closed { take = true })
      local client, _, asked = open()
      local operation, err = client[kind](client, OFFER)
      assert_asked({ LIST, ONE, LIST }, asked, service)
      assert.equal(kind, operation and operation.kind)
      assert_adopted(operation, err)
    end)

    it("that nobody answers is looked up, and one request: " .. kind, function()
      service.order(closed())
      local client, slept, asked = open()
      local err = live.fails("ambiguous", client[kind](client, OFFER))
      assert.equal("maybe", err.sent)
      assert.equal(kind, err.intent.kind)
      assert.is_true(math.abs(total(slept) - 30) < 0.01, total(slept) .. " s")
      local expected = { LIST, ONE }
      for i = 3, #asked do expected[i] = LIST end
      assert.is_true(#asked > 4 and #asked < 32, #asked .. " requests")
      assert_asked(expected, asked, service)
    end)

    it("that nobody answers is ambiguous at once without a list: " .. kind, function()
      service.order(closed { take = true })
      local client, slept, asked = open()
      local err = live.fails("ambiguous", client[kind](client, OFFER, NO_LIST))
      assert.equal("maybe", err.sent)
      assert.same({}, slept)
      assert_asked({ ONE }, asked, service)
      assert.equal(1, service.count("submissions", OFFER, kind))
    end)
  end

  -- On a clock that does not jump.
  it("that shows late in the list is found within the time that is given", function()
    service.order(closed { take = true })
    local began = calls.now()
    local operation, err = service.client { retry_delay = 0.05 }:golive(OFFER, {
      reconcile = 10,
      before_send = function()
        service.order { path_contains = "/submissions/", times = 3, body = "[]" }
      end,
    })
    assert.is_true(calls.now() - began > 0.15)
    assert.equal(6, service.state().requests)
    assert_adopted(operation, err)
  end)

  it("that was not taken is looked up no longer than is wished", function()
    service.order(closed())
    local client = service.client { retry_delay = 0.05 }
    local began = calls.now()
    live.fails("ambiguous",
      live.within(2, client.golive, client, OFFER, { reconcile = 0.4 }))
    assert.is_true(calls.now() - began > 0.39)
  end)

  it("that is accepted is one request", function()
    local operation, err, slept, asked = golive()
    assert(operation, err)
    assert.falsy(operation.adopted)
    assert.same({}, slept)
    assert_asked({ LIST, POST }, asked, service)
    assert.equal(newest().id, operation.id)
  end)

  it("that is accepted is one request without a list", function()
    local operation, err, _, asked = golive(nil, NO_LIST)
    assert(operation, err)
    assert_asked({ POST }, asked, service)
  end)

  it("is not sent when the list can't be read", function()
    service.order { path_contains = "/submissions/", times = 9, status = 500 }
    local operation, err, slept, asked = golive { retries = 2 }
    live.fails("server_error", operation, err)
    assert.equal("no", err.sent)
    assert.is_nil(err.intent)
    assert.equal(2, #slept)
    assert_asked({ LIST, LIST, LIST }, asked, service)
  end)

  for _, status in ipairs { 408, 500, 502, 503, 504 } do
    it("answered " .. status .. " alone is adopted when it was taken", function()
      service.order { method = "POST", status = status, take = true }
      local operation, err, _, asked = golive()
      assert_asked({ LIST, POST, LIST }, asked, service)
      assert_adopted(operation, err)
    end)

    it("answered " .. status .. " alone is ambiguous, and not repeated", function()
      service.order { method = "POST", status = status }
      local operation, err, slept, asked = golive(nil, ONE_LOOK)
      live.fails("ambiguous", operation, err)
      assert.equal(status, err.http_status)
      assert.equal(0, total(slept))
      assert_asked({ LIST, POST, LIST }, asked, service)
      assert.equal(0, service.count("attempts", OFFER))
    end)

    it("answered " .. status .. " alone is ambiguous at once without a list", function()
      service.order { method = "POST", status = status, take = true }
      local operation, err, slept, asked = golive(nil, NO_LIST)
      live.fails("ambiguous", operation, err)
      assert.equal(status, err.http_status)
      assert.same({}, slept)
      assert_asked({ POST }, asked, service)
      assert.equal(1, service.count("attempts", OFFER))
    end)
  end

  for _, status in ipairs { 429, 503 } do
    it(("turned away by %d with a delay is repeated after it"):format(status), function()
      service.order { method = "POST", times = 2, status = status,
        headers = { ["Retry-After"] = "7" } }
      local operation, err, slept, asked = golive()
      assert(operation, err)
      assert.same({ 7, 7 }, slept)
      assert_asked({ LIST, POST, POST, POST }, asked, service)
      assert.equal(1, service.count("submissions", OFFER))
    end)
  end

  it("is repeated only as often as `retries` says", function()
    service.order { method = "POST", times = 9, status = 429 }
    local operation, err, slept, asked = golive { retries = 2 }
    live.fails("throttled", operation, err)
    assert.equal(2, #slept)
    assert_asked({ LIST, POST, POST, POST }, asked, service)
  end)

  local definite = { [400] = "invalid_request", [403] = "forbidden", [404] = "not_found",
    [409] = "conflict", [412] = "precondition_failed", [422] = "invalid_request" }
  local explained = { [400] = true, [409] = true, [422] = true }
  for status, code in pairs(definite) do
    it(("answered %d is definite"):format(status), function()
      local body = { error = { code = "No" } }
      service.order { method = "POST", status = status, body = body }
      local operation, err, slept, asked = golive()
      live.fails(code, operation, err)
      assert.equal("yes", err.sent)
      assert.same({}, slept)
      assert_asked({ LIST, POST, explained[status] and LIST }, asked, service)
      assert.is_nil(err.operation)
    end)
  end

  -- Takes something that does not end by itself to the service.
  local function begin(kind, offer)
    service.configure(offer or OFFER, { duration = 1e6 })
    local client = service.client()
    return assert(client[kind](client, offer or OFFER))
  end

  for _, kind in ipairs { "golive", "publish" } do
    it("in conflict says what runs: " .. kind, function()
      local running = begin(kind)
      local client = service.client()
      local err = live.fails("conflict", client:golive(OFFER))
      assert.equal("yes", err.sent)
      assert.equal(running.id, err.operation.id)
      assert.equal(kind, err.operation.kind)
      assert.is_false(assert(err.operation:status()).done)
      assert.equal(1, service.count("submissions", OFFER, kind))
      assert.equal(6, service.state().requests)
    end)
  end

  -- Whoever submits between the list and the POST does it for another offer.
  it("is no operation of another offer", function()
    service.order(closed { path_contains = "/" .. OFFER .. "/" })
    local theirs
    local client, _, asked = open()
    local err = live.fails("ambiguous", client:golive(OFFER, {
      reconcile = 0, before_send = function() theirs = begin("golive", OFFER .. "-2") end,
    }))
    assert.is_nil(err.operation)
    assert.is_nil(err.details)
    assert.same({ LIST, POST, LIST }, asked)
    assert.equal("golive", theirs.kind)
    assert.equal(1, service.count("submissions", OFFER .. "-2"))
    assert.equal(0, service.count("attempts", OFFER))
  end)

  it("is no operation that was there before", function()
    service.configure(OFFER, { outcome = "failed", duration = 1 })
    local before = { assert(service.client():golive(OFFER)).id }
    for i, operation in ipairs(service.client():operations(OFFER)) do
      before[i] = operation.id
    end
    service.order(closed())
    local operation, err = golive(nil, ONE_LOOK)
    live.fails("ambiguous", operation, err)
    table.sort(before)
    table.sort(err.intent.seen)
    assert.same(before, err.intent.seen)
    assert.equal(1, service.count("attempts", OFFER))
  end)

  it("that no list shows in time is found by its intent, and not sent again", function()
    service.order(closed { take = true })
    local client, _, asked = open()
    local err = live.fails("ambiguous", client:golive(OFFER, {
      reconcile = 0,
      before_send = function()
        service.order { path_contains = "/submissions/", body = "[]" }
      end,
    }))
    local operation, trouble = client:resume(err.intent, ONE_LOOK)
    assert_asked({ LIST, POST, LIST, LIST }, asked, service)
    assert_adopted(operation, trouble)
  end)

  it("accepted without a URL is found in the list", function()
    service.order { method = "POST", status = 202, take = true }
    local operation, err, _, asked = golive()
    assert_asked({ LIST, POST, LIST }, asked, service)
    assert_adopted(operation, err)
  end)

  it("accepted at a URL without an id has the list's", function()
    service.configure(OFFER, { migrated = false })
    local operation, err, slept, asked = golive()
    assert(operation, err)
    assert.falsy(operation.adopted)
    assert.same({}, slept)
    assert.truthy(operation.url:find("$2$preview", 1, true), operation.url)
    assert_asked({ LIST, POST, LIST }, asked, service)
    assert.equal(newest().id, operation.id)
    assert.equal(1, service.count("attempts", OFFER))
  end)

  it("accepted at a URL without an id has none without a list", function()
    service.configure(OFFER, { migrated = false })
    local operation, err, _, asked = golive(nil, NO_LIST)
    assert(operation, err)
    assert.is_nil(operation.id)
    assert_asked({ POST }, asked, service)
  end)

  local unreachable = {
    { "a port where nobody listens", "http://127.0.0.1:" .. refused_port(), "connect" },
    { "a name that doesn't exist", "https://nonexistent.invalid", "resolve", "connect" },
  }
  for _, case in ipairs(unreachable) do
    local name, endpoint, codes = case[1], case[2], { case[3], case[4] }
    for word, wishes in pairs { [LIST] = {}, [POST] = NO_LIST } do
      it(("to %s is not sent, and tried again: %s"):format(name, word), function()
        local operation, err, slept, asked =
          golive({ endpoint = endpoint, retries = 2, proxy = "" }, wishes)
        live.fails(codes, operation, err)
        assert.equal("no", err.sent)
        assert.is_nil(err.intent)
        assert.equal(2, #slept)
        assert.same({ word, word, word }, asked)
      end)
    end
  end
end)

-- What a job that is run again finds of the one before.
describe("an earlier submission", function()
  local service = live.service("--speed", "600")

  local function golive(adopt)
    local options = {}
    local asked = noting(options)
    return assert(service.client(options):golive(OFFER, { adopt = adopt })), asked
  end

  -- A go live that has ended; at speed 600 that is a moment. And when it began.
  local function ended()
    service.configure(OFFER, { duration = 6 })
    local began = os.time()
    local operation = assert(service.client():golive(OFFER))
    local status = assert(operation:wait { interval = 0.02, min_interval = 0.02 })
    assert.equal("succeeded", status.state)
    return operation, began
  end

  local function assert_adopted(earlier, operation, asked)
    assert.same({ LIST }, asked)
    assert.equal(earlier.id, operation.id)
    assert.equal(earlier.url, operation.url)
    assert.is_true(operation.adopted)
    assert.equal(1, service.count("attempts", OFFER))
  end

  local function assert_submitted(earlier, operation, asked)
    assert.same({ LIST, POST }, asked)
    assert.not_equal(earlier.id, operation.id)
    assert.falsy(operation.adopted)
    assert.equal(2, service.count("submissions", OFFER))
  end

  for name, adopt in pairs { running = "running", ["a time to come"] = os.time() + 1e5 } do
    it("that runs is taken instead of another: " .. name, function()
      service.configure(OFFER, { duration = 1e6 })
      local earlier = assert(service.client():golive(OFFER))
      local operation, asked = golive(adopt)
      assert_adopted(earlier, operation, asked)
      assert.is_false(operation.done)
      assert.is_false(assert(operation:status()).done)
    end)
  end

  it("that runs is none of another kind", function()
    service.configure(OFFER, { duration = 1e6 })
    local earlier = assert(service.client():publish(OFFER))
    local err = live.fails("conflict",
      service.client():golive(OFFER, { adopt = "running" }))
    assert.equal(earlier.id, err.operation.id)
    assert.equal("publish", err.operation.kind)
    assert.equal(0, service.count("submissions", OFFER))
  end)

  it("that runs is none of another offer", function()
    service.configure(OFFER .. "-2", { duration = 1e6 })
    local earlier = assert(service.client():golive(OFFER .. "-2"))
    local operation, asked = golive "running"
    assert.same({ LIST, POST }, asked)
    assert.not_equal(earlier.id, operation.id)
    assert.falsy(operation.adopted)
  end)

  it("that has ended is taken when it began in time", function()
    local earlier, began = ended()
    local operation, asked = golive(began - 60)
    assert_adopted(earlier, operation, asked)
    assert.is_true(operation.done)
    assert.equal("succeeded", assert(operation:wait()).state)
  end)

  it("that ended and began before that time is not", function()
    local earlier, began = ended()
    assert_submitted(earlier, golive(began + 60))
  end)

  it("that has ended does not run", function()
    assert_submitted(ended(), golive "running")
  end)
end)

describe("a token", function()
  local service, other = live.service("--speed", "600"), live.service()

  local function assert_kept()
    assert.equal(0, other.state().requests)
  end

  local function to_other(header, path)
    return { [header] = other.address .. path }
  end

  for _, status in ipairs { 301, 302, 303, 307, 308 } do
    it(("is not taken elsewhere by a %d"):format(status), function()
      local headers = to_other("Location", GOLIVE)
      service.order { method = "POST", status = status, headers = headers }
      local client = service.client()
      local err = live.fails("unexpected_status", client:golive(OFFER))
      assert.equal("yes", err.sent)
      assert.equal(status, err.http_status)
      assert.equal(2, service.state().requests)
      service.order { times = 2, status = status, headers = headers }
      err = live.fails("unexpected_status", client:golive(OFFER))
      assert.equal("no", err.sent)
      live.fails("unexpected_status", client:offer_status(OFFER))
      assert.equal(4, service.state().requests)
      assert_kept()
    end)
  end

  for _, name in ipairs { "Location", "Operation-Location" } do
    local function golive(order, wishes)
      order.method, order.status, order.headers = "POST", 202, to_other(name, STATUS)
      service.order(order)
      local client, _, asked = jumping(service)
      local operation, err = client:golive(OFFER, wishes)
      return operation, err, asked
    end

    it("does not go to another origin's poll URL: " .. name, function()
      local operation, err, asked = golive({}, ONE_LOOK)
      live.fails("untrusted_url", operation, err)
      assert.equal("yes", err.sent)
      assert.equal("golive", err.intent.kind)
      assert_asked({ LIST, POST, LIST }, asked, service)
      assert_kept()
    end)

    it("does not go there at once without a list: " .. name, function()
      local operation, err, asked = golive({ take = true }, NO_LIST)
      live.fails("untrusted_url", operation, err)
      assert.equal("yes", err.sent)
      assert_asked({ POST }, asked, service)
      assert_kept()
    end)

    it("goes where the list says instead: " .. name, function()
      local operation, err, asked = golive { take = true }
      assert(operation, tostring(err))
      assert_asked({ LIST, POST, LIST }, asked, service)
      assert.is_true(operation.adopted)
      assert.equal(service.address, operation.url:match "^http://[^/]+")
      assert.equal(service.client():operations(OFFER)[1].id, operation.id)
      assert(operation:status())
      assert.equal(1, service.count("submissions", OFFER))
      assert_kept()
    end)
  end

  local function authority(address) return address:match "//(.*)$" end

  -- What an operation's URL might have become in a file, by a hand that means ill: of our
  -- own address and the other's.
  local changed = {
    ["another port"] = function(_, theirs) return "http://" .. theirs .. STATUS end,
    ["another scheme"] = function(ours) return "https://" .. ours .. STATUS end,
    ["another name"] = function(ours)
      return "http://localhost" .. ours:match ":%d+$" .. STATUS
    end,
    ["no scheme"] = function(_, theirs) return "//" .. theirs .. STATUS end,
    ["a user name"] = function(ours) return "http://user@" .. ours .. STATUS end,
    ["a password"] = function(ours) return "http://u:p@" .. ours .. STATUS end,
    ["our name for a user"] = function(ours, theirs)
      return "http://" .. ours .. "@" .. theirs .. STATUS
    end,
    ["a header"] = function(ours) return "http://" .. ours .. STATUS .. "\r\nX: 1" end,
    ["a NUL"] = function(ours) return "http://" .. ours .. STATUS .. "\0" end,
    ["a blank"] = function(ours) return "http://" .. ours .. STATUS .. " HTTP/1.1" end,
    ["a path of this machine"] = function() return "file:///etc/passwd" end,
    ["a mebibyte"] = function(ours) return "http://" .. ours .. ("/"):rep(2 ^ 20) end,
  }

  local function saved(url)
    return { kind = "golive", publisher = "contoso", offer = OFFER, url = url }
  end

  -- Such a URL is refused as any other outcome, or raises as what no program makes.
  local function assert_refused(client, method, operation)
    local ok, result, err = pcall(client[method], client, operation)
    if ok then live.fails("untrusted_url", result, err) end
  end

  for name, url in pairs(changed) do
    it("does not go to a saved URL with " .. name, function()
      local client = service.client { retries = 0 }
      local text = url(authority(service.address), authority(other.address))
      for _, method in ipairs { "status", "wait", "resume" } do
        assert_refused(client, method, saved(text))
        assert_refused(client, method, text)
      end
      assert.equal(0, service.state().requests)
      assert_kept()
    end)
  end
end)
