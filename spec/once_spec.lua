-- A submission is sent once, whatever becomes of it. The emulator counts what comes.

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

describe("a submission", function()
  local service = live.service("--speed", "600")

  -- One go live by a client whose time jumps: its results, and what it slept between.
  local function golive(options)
    local given, slept = live.jumping_clock()
    for name, value in pairs(options or {}) do given[name] = value end
    local operation, err = service.client(given):golive(OFFER)
    return operation, err, slept
  end

  -- libcurl repeats a request by itself, a POST too, when a connection that it kept dies
  -- without an answer: so a submission never goes by a kept one.
  it("has a connection of its own, and its loss is ambiguous", function()
    local client = service.client()
    assert(client:offer_status(OFFER))
    service.order { method = "POST", close = true, take = true }
    local err = live.fails("ambiguous", client:golive(OFFER))
    assert.equal("maybe", err.sent)
    assert.equal("golive", err.intent.kind)
    local state = service.state()
    assert.equal(2, state.requests)
    assert.equal(2, state.connections)
    assert.equal(1, service.count("attempts", OFFER))
    assert.equal(1, service.count("submissions", OFFER))
  end)

  for _, kind in ipairs { "golive", "publish" } do
    it("that nobody answers is ambiguous, and one request: " .. kind, function()
      service.order { method = "POST", close = true }
      local client = service.client()
      local err = live.fails("ambiguous", client[kind](client, OFFER))
      assert.equal("maybe", err.sent)
      assert.equal(1, service.state().requests)
    end)
  end

  it("that is accepted is one request", function()
    assert(golive())
    assert.equal(1, service.state().requests)
  end)

  for _, status in ipairs { 408, 500, 502, 503, 504 } do
    it("answered " .. status .. " alone is ambiguous, and not repeated", function()
      service.order { method = "POST", status = status, take = true }
      local operation, err, slept = golive()
      live.fails("ambiguous", operation, err)
      assert.equal(status, err.http_status)
      assert.same({}, slept)
      assert.equal(1, service.count("attempts", OFFER))
    end)
  end

  for _, status in ipairs { 429, 503 } do
    it(("turned away by %d with a delay is repeated after it"):format(status), function()
      service.order { method = "POST", times = 2, status = status,
        headers = { ["Retry-After"] = "7" } }
      local operation, err, slept = golive()
      assert(operation, err)
      assert.same({ 7, 7 }, slept)
      assert.equal(3, service.state().requests)
      assert.equal(1, service.count("submissions", OFFER))
    end)
  end

  it("is repeated only as often as `retries` says", function()
    service.order { method = "POST", times = 9, status = 429 }
    local operation, err, slept = golive { retries = 2 }
    live.fails("throttled", operation, err)
    assert.equal(2, #slept)
    assert.equal(3, service.state().requests)
  end)

  local definite = { [400] = "invalid_request", [403] = "forbidden", [404] = "not_found",
    [409] = "conflict", [412] = "precondition_failed", [422] = "invalid_request" }
  for status, code in pairs(definite) do
    it(("answered %d is definite"):format(status), function()
      local body = { error = { code = "No" } }
      service.order { method = "POST", status = status, body = body }
      local operation, err, slept = golive()
      live.fails(code, operation, err)
      assert.equal("yes", err.sent)
      assert.same({}, slept)
      assert.equal(1, service.state().requests)
    end)
  end

  local unreachable = {
    { "a port where nobody listens", "http://127.0.0.1:" .. refused_port(), "connect" },
    { "a name that doesn't exist", "https://nonexistent.invalid", "resolve", "connect" },
  }
  for _, case in ipairs(unreachable) do
    local name, endpoint, codes = case[1], case[2], { case[3], case[4] }
    it("to " .. name .. " is not sent, and tried again", function()
      local operation, err, slept =
        golive { endpoint = endpoint, retries = 2, proxy = "" }
      live.fails(codes, operation, err)
      assert.equal("no", err.sent)
      assert.is_nil(err.intent)
      assert.equal(2, #slept)
    end)
  end
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
      service.order { times = 2, status = status, headers = to_other("Location", GOLIVE) }
      local client = service.client()
      local err = live.fails("unexpected_status", client:golive(OFFER))
      assert.equal("yes", err.sent)
      assert.equal(status, err.http_status)
      live.fails("unexpected_status", client:offer_status(OFFER))
      assert.equal(2, service.state().requests)
      assert_kept()
    end)
  end

  for _, name in ipairs { "Location", "Operation-Location" } do
    it("does not go to another origin's poll URL: " .. name, function()
      service.order { method = "POST", status = 202, headers = to_other(name, STATUS) }
      local err = live.fails("untrusted_url", service.client():golive(OFFER))
      assert.equal("yes", err.sent)
      assert.equal(1, service.state().requests)
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
