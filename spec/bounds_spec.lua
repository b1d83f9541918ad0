-- Whatever answers, a call ends with an error that has a code, in bounded time and
-- memory, and the client goes on working.

local cjson = require "cjson"
local live = require "spec.host.live"

local OFFER = "spec-bounds"
local OPERATION = "/api/publishers/contoso/offers/" .. OFFER .. "/operations/"
  .. "56615b67-2185-49fe-80d2-c4ddf77bb2e8"
local OK = "HTTP/1.1 200 OK\r\n"

-- Seconds: of an exchange, and the most that a call with such exchanges may take.
local EXCHANGE, BOUND = live.patience, 5

-- So many bytes, compressed; ten times less than it has characters in JSON.
local function gzipped(size)
  local pipe = assert(io.popen(("head -c %d /dev/zero | gzip -9"):format(size)))
  local data = pipe:read "*a"
  pipe:close()
  return data
end

local json = { ["Content-Type"] = "application/json" }
local gzip = { ["Content-Encoding"] = "gzip" }
local zip = { ["Content-Encoding"] = "zip" }
local chunked = OK .. "Transfer-Encoding: chunked\r\n\r\n"
local deep = 100000

-- What comes in place of a status, and the code that it gives, or a list of codes.
local answers = {
  { "null", { body = "null" }, "protocol" },
  { "a number", { body = "42" }, "protocol" },
  { "a string", { body = '"running"', headers = json }, "protocol" },
  { "a boolean", { body = "true" }, "protocol" },
  { "nothing", { body = "" }, "protocol" },
  { "no JSON", { body = "<html>" }, "protocol" },
  { "half a document", { body = '{"status":"succ' }, "protocol" },
  { "NULs", { body = "\0\0\0\0" }, "protocol" },
  { "an empty array", { body = "[]" }, "protocol" },
  { "an array of arrays", { body = "[[]]" }, "protocol" },
  { "an object without a status", { body = "{}" }, "protocol" },
  { "a status of another type", { body = '{"status":["running"]}' }, "protocol" },
  { "arrays in each other", { body = ("["):rep(deep) .. ("]"):rep(deep) }, "protocol" },
  { "objects in each other", { body = ('{"a":'):rep(deep) }, "protocol" },
  { "64 MiB", { body = (" "):rep(65536), copies = 1024 }, "too_large" },
  { "64 kiB more than it may", { body = (" "):rep(65536), copies = 129 }, "too_large" },
  { "16 MiB in 16 kB", { body = gzipped(2 ^ 24), headers = gzip }, "too_large" },
  { "gzip that is none", { body = '{"status":"running"}', headers = gzip }, "protocol" },
  { "an unknown encoding", { body = "x", headers = zip }, "protocol" },
  { "less than it promised", { raw = OK .. "Content-Length: 99\r\n\r\n{}" }, "network" },
  { "an unfinished chunk", { raw = chunked .. '30\r\n{"status":' }, "network" },
  { "a chunk of no size", { raw = chunked .. "many\r\n{}" }, { "network", "protocol" } },
  { "a header line of 200 kB", { raw = OK .. "X: " .. ("x"):rep(200000) }, "too_large" },
  { "endless headers", { raw = OK .. ("X-Many: 1\r\n"):rep(40000) }, "too_large" },
  { "headers without an end", { raw = OK .. "X-Half: " }, { "network", "protocol" } },
  { "half a status line", { raw = "HTTP/1." }, { "network", "protocol" } },
  { "another protocol", { raw = "SSH-2.0-OpenSSH_9.2\r\n" }, "protocol" },
  { "noise", { raw = "\1\2\3\255\254\0\r\n\r\n" }, "protocol" },
  { "no byte", { raw = "" }, "network" },
  { "a status of its own", { raw = "HTTP/1.1 799 Indeed\r\n\r\n" }, "unexpected_status" },
  { "only interim", { raw = "HTTP/1.1 103 Wait\r\n\r\n", copies = 1000 }, "network" },
  { "a byte now and then", { raw = OK, drip = 1 }, "timeout" },
  { "a body that comes now and then", { body = (" "):rep(100), drip = 1 }, "timeout" },
  { "silence", { delay = 60 }, "timeout" },
}

describe("an answer that is", function()
  local service = live.service("--speed", "600")
  local client

  before_each(function()
    client = service.client { retries = 0, exchange_timeout = EXCHANGE }
  end)

  local function saved()
    return { format = 1, kind = "golive", publisher = "contoso", offer = OFFER,
      url = service.address .. OPERATION }
  end

  local function assert_works()
    assert.equal("waiting_for_publisher", assert(client:offer_status(OFFER)).state)
  end

  for _, case in ipairs(answers) do
    local name, order, code = case[1], case[2], case[3]
    it(name .. " is an error of a status, and of nothing after it", function()
      -- On a connection that it kept libcurl asks once more when it got nothing.
      order.path_contains, order.times = OPERATION, 2
      service.order(order)
      local err = live.fails(code, live.within(BOUND, client.status, client, saved()))
      assert.truthy(err.operation)
      assert_works()
    end)
  end

  for _, text in ipairs { "null", "42", '"x"', "{}", "[[]]x", ("["):rep(deep) } do
    it("no list is an error of a list: " .. text:sub(1, 5), function()
      service.order { body = text }
      live.fails("protocol", live.within(BOUND, client.operations, client, OFFER))
      assert_works()
    end)
  end

  it("an empty list is a list", function()
    service.order { body = "[]" }
    assert.same({}, client:operations(OFFER))
  end)

  it("a list of anything gives what has an id", function()
    service.order {
      body = '[null,1,"x",[],{},{"id":7},{"id":""},{"id":"a","submissionType":5}]',
    }
    local list = assert(client:operations(OFFER))
    assert.equal(1, #list)
    assert.equal("a", list[1].id)
  end)

  local bodies = {
    "null", "[]", "{", '{"error":null}', '{"error":[1]}', '"{\\"error\\":"', "\0",
    '{"error":{"code":{},"message":[]}}', ("é"):rep(10000), ("["):rep(deep),
  }

  it("an error's body of any kind is still that error", function()
    for _, text in ipairs(bodies) do
      service.order { status = 403, body = text }
      live.fails("forbidden", live.within(BOUND, client.status, client, saved()))
    end
    assert_works()
  end)

  it("as large as allowed is read", function()
    local document = cjson.encode { status = "running" }
    service.order { body = document .. (" "):rep(1000) }
    client = service.client { max_body = #document + 1000 }
    assert.equal("running", assert(client:status(saved())).state)
  end)

  it("one byte larger than `max_body` is not", function()
    service.order { body = '{"status":"running"} ' }
    client = service.client { max_body = 20 }
    live.fails("too_large", client:status(saved()))
  end)

  it("no answer to a wait ends it only with its time", function()
    service.order { times = 1000, raw = "noise" }
    client = service.client { retry_delay = 0.05, retry_max_delay = 0.05 }
    local err = live.fails("deadline", live.within(BOUND, client.wait, client, saved(),
      { timeout = 0.5, interval = 0.05, min_interval = 0.05 }))
    assert.equal("yes", err.sent)
  end)
end)

describe("a go live whose answer is", function()
  local service = live.service("--speed", "600")
  local client

  before_each(function()
    client = service.client { exchange_timeout = EXCHANGE }
  end)

  -- The answer to the POST, and not to the list that is read before and after it.
  local function answer(order, more)
    local whole = { method = "POST" }
    for name, value in pairs(order) do whole[name] = value end
    for name, value in pairs(more or {}) do whole[name] = value end
    service.order(whole)
  end

  -- One look into the list, where that is needed.
  local function golive()
    return live.within(BOUND, client.golive, client, OFFER, { reconcile = 0 })
  end

  local accepted = "HTTP/1.1 202 Accepted\r\nLocation: " .. OPERATION .. "\r\n"
  local location = { Location = OPERATION }
  local packed = { Location = OPERATION, ["Content-Encoding"] = "gzip" }
  local spaces = (" "):rep(65536)

  -- The header says all: whatever becomes of the body, it was taken.
  local good = {
    ["cut short"] = { raw = accepted .. "Content-Length: 1000\r\n\r\n{" },
    ["without an end"] = { status = 202, headers = location, body = spaces, drip = 1 },
    ["64 MiB"] = { status = 202, headers = location, body = spaces, copies = 1024 },
    ["no JSON"] = { status = 202, headers = location, body = "<html>" },
    ["a bomb"] = { status = 202, headers = packed, body = gzipped(2 ^ 24) },
  }
  for name, order in pairs(good) do
    it(name .. " is accepted when its header tells where", function()
      answer(order)
      local operation = assert(golive())
      assert.truthy(operation.url:find(OPERATION, 1, true), operation.url)
      assert.falsy(operation.adopted)
      assert.equal(2, service.state().requests)
    end)
  end

  -- A status that refuses is definite, even when the body that explains it was lost.
  it("refused and cut short is refused", function()
    answer { raw = "HTTP/1.1 409 Conflict\r\nContent-Length: 1000\r\n\r\n{" }
    local err = live.fails("conflict", golive())
    assert.equal(409, err.http_status)
    assert.equal("yes", err.sent)
    assert.equal(3, service.state().requests)
  end)

  -- What may have been taken: the word for it, and how much of it is known.
  local unclear = {
    ["noise"] = { { raw = "noise\r\n" }, "maybe" },
    ["no byte"] = { { raw = "" }, "maybe" },
    ["half a status line"] = { { raw = "HTTP/1.1 2" }, "maybe" },
    ["a header line of 200 kB"] = { { raw = OK .. "X: " .. ("x"):rep(200000) } },
    ["silence"] = { { status = 202, delay = 60 }, "maybe" },
    ["a slow status"] = { { raw = "HTTP/1.1 202 Accepted", drip = 1 }, "maybe" },
    ["a 202 without a URL"] = { { status = 202, body = "{}" }, "yes" },
    ["a 200 of another server"] = { { status = 200, body = "<html>" }, "yes" },
  }
  for name, case in pairs(unclear) do
    it(name .. " is ambiguous, and one request", function()
      answer(case[1])
      local err = live.fails("ambiguous", golive())
      assert.truthy(not case[2] or case[2] == err.sent, err.sent)
      assert.equal("golive", err.intent.kind)
      assert.equal(3, service.state().requests)
      assert(client:offer_status(OFFER))
    end)

    it(name .. " is adopted when it was taken, and one request", function()
      answer(case[1], { take = true })
      local operation, err = golive()
      assert(operation, tostring(err))
      assert.is_true(operation.adopted)
      assert.equal(3, service.state().requests)
      assert.equal(1, service.count("submissions", OFFER))
      assert(client:offer_status(OFFER))
    end)
  end

  -- Locations that no service would send.
  local unusable = {
    ["of 64 kB"] = "/" .. ("x"):rep(60000), ["with a user"] = "http://u@127.0.0.1/x",
    ["with another scheme"] = "file:///etc/passwd", ["without a host"] = "http://",
    ["with a bad port"] = "http://127.0.0.1:99999/x", ["with a blank"] = "/a b",
  }
  for name, value in pairs(unusable) do
    it("a URL " .. name .. " is refused, and known to be sent", function()
      answer { raw = "HTTP/1.1 202 Accepted\r\nLocation: " .. value .. "\r\n\r\n" }
      local err = live.fails("untrusted_url", golive())
      assert.equal("yes", err.sent)
      assert.equal(3, service.state().requests)
    end)
  end
end)

describe("a go live whose list is", function()
  local service = live.service("--speed", "600")
  local client

  before_each(function()
    client = service.client {
      retries = 0, retry_delay = 0.1, exchange_timeout = EXCHANGE,
    }
  end)

  local function lists(order)
    local whole = { path_contains = "/submissions/" }
    for name, value in pairs(order) do whole[name] = value end
    service.order(whole)
  end

  -- The answer, and the code of a go live that can't read it before it submits.
  local unreadable = {
    ["null"] = { { body = "null" }, "protocol" },
    ["an object"] = { { body = "{}" }, "protocol" },
    ["no JSON"] = { { body = "<html>" }, "protocol" },
    ["arrays in each other"] = { { body = ("["):rep(deep) }, "protocol" },
    ["cut short"] = { { raw = OK .. "Content-Length: 99\r\n\r\n[]" }, "network" },
    ["64 MiB"] = { { body = (" "):rep(65536), copies = 1024 }, "too_large" },
    ["a bomb"] = { { body = gzipped(2 ^ 24), headers = gzip }, "too_large" },
    ["noise"] = { { raw = "noise\r\n" }, "protocol" },
    ["silence"] = { { delay = 60 }, "timeout" },
  }
  for name, case in pairs(unreadable) do
    it(name .. " is not followed by a POST", function()
      lists(case[1])
      local err = live.fails(case[2], live.within(BOUND, client.golive, client, OFFER))
      assert.equal("no", err.sent)
      assert.is_nil(err.intent)
      assert.equal(1, service.state().requests)
      assert.equal(0, service.count("attempts", OFFER))
    end)

    -- However it is answered, only time ends a look-up; a silent answer has its own.
    it(name .. " after a POST that nobody answered is passed over", function()
      service.order { method = "POST", close = true, take = true }
      local operation, err = live.within(BOUND, client.golive, client, OFFER, {
        reconcile = 3 * live.patience, before_send = function() lists(case[1]) end,
      })
      assert(operation, tostring(err))
      assert.is_true(operation.adopted)
      assert.equal(4, service.state().requests)
      assert.equal(1, service.count("attempts", OFFER))
    end)
  end

  it("unreadable to the end leaves it ambiguous", function()
    service.order { method = "POST", close = true, take = true }
    local err = live.fails("ambiguous", live.within(BOUND, client.golive, client, OFFER, {
      reconcile = 0.3,
      before_send = function() lists { body = "<html>", times = 1000 } end,
    }))
    assert.equal("maybe", err.sent)
    assert.equal("golive", err.intent.kind)
    assert.equal(1, service.count("attempts", OFFER))
  end)

  it("unreadable after a refusal leaves it refused", function()
    service.order { method = "POST", status = 409 }
    local err = live.fails("conflict", live.within(BOUND, client.golive, client, OFFER, {
      before_send = function() lists { body = "<html>", times = 1000 } end,
    }))
    assert.equal("yes", err.sent)
    assert.equal(409, err.http_status)
    assert.is_nil(err.operation)
  end)
end)
