-- The client's own behaviour, without I/O: options, calls, tasks, the caller's functions.
-- The service is a function, and the clock is the spec's.

local cjson = require "cjson"
local cloudpartner = require "cloudpartner"

local OFFER = "contoso-offer"
local ID = "56615b67-2185-49fe-80d2-c4ddf77bb2e8"
local ORIGIN = "https://cloudpartner.azure.com"
local PATH = "/api/publishers/contoso/offers/" .. OFFER .. "/operations/" .. ID
local URL = ORIGIN .. PATH .. "?api-version=2017-10-31"

local ACCEPTED = { status = 202, headers = { Location = PATH }, body = "" }

local function document(word, steps)
  local body = { status = word, messages = {}, steps = steps or {} }
  return { status = 200, headers = {}, body = cjson.encode(body) }
end

local EMPTY_LIST = { status = 200, headers = {}, body = "[]" }

-- A service that answers with each of `answers` in turn and keeps what it was asked. An
-- answer may be a function of the request. The offer's list is empty and does not count,
-- unless `lists` says that it is asked for in turn with the rest.
local function service(answers, lists)
  local asked = {}
  return function(request)
    if not lists and request.url:find("/submissions/", 1, true) then return EMPTY_LIST end
    asked[#asked + 1] = request
    local answer = answers[#asked] or answers[#answers]
    if type(answer) == "function" then return answer(request) end
    return answer
  end, asked
end

-- A client on a clock that jumps. `slept` holds the sleeps.
local function open(answers, options, lists)
  local time, slept = { at = 1e9 }, {}
  local transport, asked = service(answers, lists)
  local given = {
    publisher = "contoso", token = "secret-token", transport = transport,
    now = function() return time.at end,
    random = function() return 0.5 end,
    sleep = function(s)
      slept[#slept + 1] = s
      time.at = time.at + s
    end,
  }
  for name, value in pairs(options or {}) do given[name] = value end
  return cloudpartner.new(given), asked, slept, time
end

local function open_with_lists(answers, options) return open(answers, options, true) end

local function operation(more)
  local saved = {
    format = 1, api = "cloudpartner/2017-10-31", kind = "golive", publisher = "contoso",
    offer = OFFER, id = ID, url = URL, submitted_at = "2001-09-09T01:46:40Z",
  }
  for name, value in pairs(more or {}) do saved[name] = value end
  return saved
end

local function header(request, name)
  for _, pair in ipairs(request.headers) do
    if pair[1]:lower() == name then return pair[2] end
  end
end

local function raises(text, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(message):find(text, 1, true), tostring(message))
end

local function fails(code, result, err)
  assert.is_nil(result)
  assert.equal(code, err.code, tostring(err))
  return err
end

describe("cloudpartner.new", function()
  local function new(options) return function() return cloudpartner.new(options) end end

  local wrong = {
    ["unknown option 'publishr'"] = { publishr = "contoso" },
    ["option 'publisher' must be a string"] = { publisher = 1 },
    ["option 'publisher' must be an id"] = { publisher = ".." },
    ["option 'exchange_timeout' must be at least"] = { exchange_timeout = 0.0005 },
    ["option 'connect_timeout' must be at least"] = { connect_timeout = 0 },
    ["option 'retries' must be an integer"] = { retries = 1.5 },
    ["option 'retries' must be between"] = { retries = -1 },
    ["option 'retry_delay' must be at least"] = { retry_delay = 0 / 0 },
    ["option 'max_body' must be between"] = { max_body = 0 },
    ["option 'token' must be a string or a function"] = { token = 5 },
    ["option 'token' is not a token"] = { token = "two words" },
    ["option 'token' must not hold control characters"] = { token = "a\r\nb" },
    ["option 'credential' must be"] = { credential = "password" },
    ["option 'endpoint' is not a URL"] = { endpoint = "cloudpartner" },
    ["option 'endpoint' must begin with https://"] = { endpoint = "ftp://example.com" },
    ["only for a loopback address"] = { endpoint = "http://example.com" },
    ["must not hold a user name"] = { endpoint = "https://me@example.com" },
    ["must not hold a query"] = { endpoint = "https://example.com/?a=b" },
    ["option 'authority' may be http://"] = { authority = "http://login.example.com" },
    ["must not hold CR, LF or NUL"] = { headers = { ["X-A"] = "a\r\nX-B: b" } },
    ["'X-Nul' must not hold CR, LF or NUL"] = { headers = { ["X-Nul"] = "a\0b" } },
    ["a name that is none"] = { headers = { ["X A"] = "a" } },
    ["'Authorization' is set by the module"] = { headers = { Authorization = "Bearer x" } },
    ["must hold {name, value} pairs"] = { headers = { "X-A: a" } },
    ["options must have names"] = { "contoso" },
    ["option 'now' must be a function"] = { now = 5 },
  }
  for text, options in pairs(wrong) do
    it("raises: " .. text, function() raises(text, new(options)) end)
  end

  it("takes loopback addresses over http", function()
    for _, host in ipairs { "localhost", "127.0.0.1", "127.1.2.3", "[::1]" } do
      assert.truthy(cloudpartner.new { endpoint = "http://" .. host .. ":8080" })
    end
    for _, host in ipairs { "localhost.example.com", "127.0.0.1.example.com", "128.0.0.1" } do
      raises("only for a loopback", new { endpoint = "http://" .. host })
    end
  end)

  it("shows publisher and endpoint, and no secret", function()
    local text = tostring(cloudpartner.new { publisher = "contoso", token = "secret-token" })
    assert.truthy(text:find("contoso", 1, true))
    assert.truthy(text:find(ORIGIN, 1, true))
    assert.is_nil(text:find("secret", 1, true))
  end)

  it("tells its version", function()
    assert.matches("^cloudpartner %d+%.%d+%.%d+$", cloudpartner._VERSION)
  end)
end)

describe("a request", function()
  it("carries what the service wants", function()
    local client, asked = open({ ACCEPTED }, {
      user_agent = "shop/1", headers = { ["X-Team"] = { "a", "b" } },
    })
    assert(client:golive(OFFER, { headers = { { "X-Job", "7" } }, if_match = 'W/"1"' }))
    local request = asked[1]
    assert.equal("POST", request.method)
    assert.equal(ORIGIN .. "/api/publishers/contoso/offers/contoso-offer/golive" ..
      "?api-version=2017-10-31", request.url)
    assert.equal("Bearer secret-token", header(request, "authorization"))
    assert.matches("^shop/1 cloudpartner%-lua/", header(request, "user-agent"))
    assert.equal("application/json", header(request, "content-type"))
    assert.equal("a", header(request, "x-team"))
    assert.equal("7", header(request, "x-job"))
    assert.equal('W/"1"', header(request, "if-match"))
    assert.matches("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$", header(request, "x-ms-client-request-id"))
    assert.equal(30, request.timeout)
  end)

  it("keeps its client request id over repetitions, and takes another for each call", function()
    local busy = { status = 500, headers = {}, body = "" }
    local client, asked = open { busy, busy, document "running" }
    assert(client:status(operation()))
    assert(client:status(operation()))
    local ids = {}
    for i = 1, 4 do ids[i] = header(asked[i], "x-ms-client-request-id") end
    assert.equal(ids[1], ids[3])
    assert.not_equal(ids[3], ids[4])
    assert(client:status(operation(), { client_request_id = "mine" }))
    assert.equal("mine", header(asked[5], "x-ms-client-request-id"))
  end)

  it("percent-encodes ids", function()
    local client, asked = open({ ACCEPTED }, { publisher = "a b$/?#%" })
    assert(client:golive "\195\164.b")
    assert.equal(ORIGIN .. "/api/publishers/a%20b%24%2F%3F%23%25/offers/%C3%A4.b/golive" ..
      "?api-version=2017-10-31", asked[1].url)
  end)

  it("is not made for an id that is none", function()
    local client, asked = open { ACCEPTED }
    for _, id in ipairs { "", ".", "..", "a\nb", "a\0b", "\127" } do
      raises("offer must be an id", client.golive, client, id)
    end
    raises("offer must be a string", client.golive, client, 7)
    raises("id must be an id", client.operation, client, OFFER, "..")
    assert.equal(0, #asked)
  end)

  it("needs a publisher", function()
    local client = cloudpartner.new { token = "t", transport = function() end }
    raises("CLOUDPARTNER_PUBLISHER", client.golive, client, OFFER)
  end)

  it("sends addresses as one string", function()
    local client, asked = open { ACCEPTED }
    assert(client:publish(OFFER, { notification_emails = { "a@example.com", "b@example.com" } }))
    assert.equal('{"metadata":{"notification-emails":"a@example.com,b@example.com"}}',
      asked[1].body)
    raises("blanks or commas", client.publish, client, OFFER, { notification_emails = { "a,b" } })
    raises("list of strings", client.publish, client, OFFER, { notification_emails = { 1 } })
  end)
end)

describe("the token", function()
  it("is asked for every exchange without a life", function()
    local count = 0
    local client, asked = open({ document "running", document "succeeded" }, {
      token = function()
        count = count + 1
        return "t" .. count
      end,
    })
    assert(client:wait(operation()))
    assert.equal("Bearer t1", header(asked[1], "authorization"))
    assert.equal("Bearer t2", header(asked[2], "authorization"))
  end)

  it("is renewed before its end", function()
    local count = 0
    local client = open({ document "running" }, {
      token = function()
        count = count + 1
        return "t", 1000
      end,
    })
    local _, err = client:wait(operation(), { timeout = 690, interval = 60 })
    assert.equal("deadline", err.code)
    assert.equal(1, count)
    client:wait(operation(), { timeout = 60, interval = 60 })
    assert.equal(2, count)
  end)

  it("is renewed once after a 401", function()
    local refused = { status = 401, headers = {}, body = "" }
    local count = 0
    local function token()
      count = count + 1
      return "t" .. count, 3600
    end
    local client, asked = open({ refused, ACCEPTED }, { token = token })
    assert(client:golive(OFFER))
    assert.equal("Bearer t2", header(asked[2], "authorization"))
    client, asked = open({ refused }, { token = token })
    fails("unauthorized", client:golive(OFFER))
    assert.equal(2, #asked)
    client, asked = open({ refused })
    fails("unauthorized", client:golive(OFFER))
    assert.equal(1, #asked)
  end)

  local bad = {
    ["returned no string"] = function() end,
    ["is no token"] = function() return "two words" end,
    ["no number of seconds"] = function() return "t", "soon" end,
    ["login expired"] = function() return nil, "login expired" end,
    ["it broke"] = function() error("it broke", 0) end,
    ["raised an error"] = function() error({}) end,
  }
  for text, token in pairs(bad) do
    it("fails: " .. text, function()
      local client, asked = open({ ACCEPTED }, { token = token })
      local err = fails("credential", client:golive(OFFER))
      assert.truthy(err.message:find(text, 1, true), err.message)
      assert.equal("no", err.sent)
      assert.equal(0, #asked)
    end)
  end

  it("can't be had from the client that asks", function()
    local client
    client = open({ ACCEPTED }, { token = function()
      local _, err = client:offer_status(OFFER)
      return nil, err.message
    end })
    local err = fails("credential", client:golive(OFFER))
    assert.truthy(err.message:find("called its own client", 1, true))
  end)
end)

describe("an error", function()
  it("reads well", function()
    local client = open { {
      status = 403, headers = { ["x-ms-request-id"] = "r-1" },
      body = '{"error":{"code":"Forbidden","message":"No\\r\\npermission"}}',
    } }
    local err = fails("forbidden", client:golive(OFFER))
    assert.equal("Forbidden", err.service_code)
    assert.equal("No  permission", err.message)
    assert.equal("r-1", err.request_id)
    assert.equal(403, err.http_status)
    assert.equal("yes", err.sent)
    assert.is_false(err.retryable)
    assert.equal("Forbidden", err.details.error.code)
    assert.is_nil(tostring(err):find "[\r\n]")
    assert.equal("failed: " .. tostring(err), "failed: " .. err)
    assert.equal(tostring(err) .. "!", err .. "!")
    assert.is_nil(tostring(err):find("secret", 1, true))
  end)

  it("is bounded, whatever the service says", function()
    local client = open { { status = 400, headers = {}, body = ("x"):rep(1e6) } }
    local err = fails("invalid_request", client:golive(OFFER))
    assert.is_true(#tostring(err) < 2000)
    assert.equal(1e6, #err.details)
  end)

  it("tells a request that was not sent from one that may have been", function()
    for code, sent in pairs { connect = "no", resolve = "no", tls = "no", network = "maybe",
                              timeout = "maybe", nonsense = "maybe" } do
      local client = open({ function() return nil, "no luck", code end }, { retries = 0 })
      local err = fails(sent == "no" and code or "ambiguous", client:golive(OFFER))
      assert.equal(sent, err.sent)
      assert.truthy(err.message:find("no luck", 1, true))
    end
  end)

  it("holds an intent when the outcome is unclear", function()
    local client = open { function() error("broken", 0) end }
    local err = fails("ambiguous", client:golive(OFFER))
    assert.equal("golive", err.intent.kind)
    assert.equal(OFFER, err.intent.offer)
    assert.equal("contoso", err.intent.publisher)
    assert.equal(err.client_request_id, err.intent.client_request_id)
    assert.equal("2001-09-09T01:46:40.000Z", err.intent.time)
    local intent = cjson.decode(cjson.encode(err.intent))
    fails("ambiguous", client:resume(intent))
  end)
end)

describe("an answer that is no document", function()
  local nonsense = {
    "null", "5", '"running"', "true", "[]", "{}", "[[]]", "[{},{}]", '{"status":5}',
    '{"status":""}', '{"status":null}', "", "<html>", '{"status":"succeeded"',
    ("["):rep(1e5) .. ("]"):rep(1e5), ('{"a":'):rep(1e5),
  }
  for i, body in ipairs(nonsense) do
    it("is never a success: " .. i .. " " .. body:sub(1, 12), function()
      local client = open({ { status = 200, headers = {}, body = body } }, { retries = 0 })
      fails("protocol", client:status(operation()))
      fails("protocol", client:wait(operation(), { outage = 0 }))
    end)
  end

  it("is either refused or means what it says, however it is damaged", function()
    local whole = document("running", { { id = "publisher-signoff", status = "blocked",
      messages = { { level = "error", messageHtml = "\195\164 <b>\\\"x\\\"</b>" } } } }).body
    local body
    local client = open({ function() return { status = 200, headers = {}, body = body } end },
      { retries = 0 })
    local seed = 7
    local function pick(n)
      seed = (seed * 16807) % 2147483647
      return seed % n + 1
    end
    local understood = 0
    for _ = 1, 3000 do
      local at = pick(#whole)
      body = whole:sub(1, at - 1) .. string.char(pick(256) - 1) .. whole:sub(at + pick(3) - 1)
      local status, err = client:status(operation())
      if status then
        understood = understood + 1
        assert.equal(status.document.status, status.status)
        local word = status.status:gsub("[ \t\r\n-]", ""):lower()
        assert.equal(word == "running" and "running" or "unknown", status.state, body)
      else
        assert.equal("protocol", err.code)
      end
    end
    assert.is_true(understood > 300 and understood < 3000)
  end)

  it("is too large over max_body", function()
    local long = { status = 200, headers = {}, body = (" "):rep(101) .. '{"status":"succeeded"}' }
    local client = open({ long, document "running" }, { max_body = 100 })
    fails("too_large", client:status(operation()))
    assert.equal("running", assert(client:status(operation())).state)
  end)

  it("may be anything in a transport's answer", function()
    for _, answer in ipairs { {}, { status = "200" }, { status = 20 }, { status = 200.5 },
                              { status = 200, body = 5 }, { status = 200, headers = 5 } } do
      local client = open({ answer }, { retries = 0 })
      local _, err = client:status(operation())
      assert.equal("protocol", err.code)
    end
  end)
end)

describe("every word of the service", function()
  local words = {
    notStarted = "not_started", ["not started"] = "not_started", running = "running",
    inProgress = "running", ["in-progress"] = "running", complete = "succeeded",
    completed = "succeeded", succeeded = "succeeded", SUCCEEDED = "succeeded",
    failed = "failed", canceled = "canceled", cancelled = "canceled",
    waitingForPublisherReview = "waiting_for_publisher", published = "unknown",
    reticulating = "unknown",
  }
  for word, state in pairs(words) do
    it("of an operation: " .. word, function()
      local client = open { document(word) }
      local status = assert(client:status(operation()))
      assert.equal(state, status.state)
      assert.equal(word, status.status)
      assert.equal(state == "succeeded" or state == "failed" or state == "canceled", status.done)
    end)
  end

  for word, state in pairs { neverPublished = "not_started", published = "succeeded",
                             running = "running", canceled = "canceled" } do
    it("of an offer: " .. word, function()
      local client = open { document(word) }
      assert.equal(state, assert(client:offer_status(OFFER)).state)
    end)
  end

  local steps = {
    notStarted = "not_started", inProgress = "running", running = "running",
    complete = "succeeded", completed = "succeeded", failed = "failed", rejected = "rejected",
    canceled = "canceled", waitingForPublisherReview = "waiting_for_publisher",
    waitingForApproval = "waiting_for_approval", blocked = "blocked", odd = "unknown",
  }
  for word, state in pairs(steps) do
    it("of a step: " .. word, function()
      local client = open { document("running", { { id = "live", status = word } }) }
      local status = assert(client:status(operation()))
      assert.equal(state, status.steps[1].state)
      assert.equal("running", status.state)
    end)
  end

  it("keeps a wait going when it is unknown", function()
    local client, asked = open { document "odd", document "odd", document "succeeded" }
    assert.equal("succeeded", assert(client:wait(operation())).state)
    assert.equal(3, #asked)
  end)
end)

describe("a wait", function()
  it("asks the interval's way, or as the server hints", function()
    local hinted = document "running"
    hinted.headers["Retry-After"] = "7"
    local client, _, slept = open { document "running", hinted, document "succeeded" }
    assert(client:wait(operation()))
    assert.same({ 60, 7 }, slept)
  end)

  it("bounds a hint", function()
    local function hint(value)
      local answer = document "running"
      answer.headers["Retry-After"] = value
      return answer
    end
    local client, _, slept = open { hint "99999999999", hint "-5", hint "soon",
      hint "Sun, 09 Sep 2001 03:00:00 GMT", document "succeeded" }
    assert(client:wait(operation()))
    assert.same({ 3600, 1, 60, 1e9 and 739 }, { slept[1], slept[2], slept[3], slept[4] })
  end)

  it("polls a last time at its deadline, and not after it", function()
    local client, asked, slept = open { document "running" }
    local err = fails("deadline", client:wait(operation(), { timeout = 100, interval = 60 }))
    assert.same({ 60, 40 }, slept)
    assert.equal(3, #asked)
    assert.equal("running", err.last_status.state)
    assert.equal(ID, err.operation.id)
    assert.equal(10, asked[3].timeout)
  end)

  it("hears the end at its deadline", function()
    local client = open { document "running", document "succeeded" }
    assert.equal("succeeded", assert(client:wait(operation(), { timeout = 5 })).state)
    client = open { document "succeeded" }
    assert.equal("succeeded", assert(client:wait(operation(), { timeout = 0 })).state)
  end)

  it("tells what changed, and only that", function()
    local told = {}
    local first = document("running", { { id = "live", status = "notStarted" } })
    local second = document("running", { { id = "live", status = "running" } })
    local client = open { first, first, second, second, document "succeeded" }
    assert(client:wait(operation(), { on_progress = function(status)
      told[#told + 1] = status.steps[1] and status.steps[1].state or status.state
    end }))
    assert.same({ "not_started", "running", "succeeded" }, told)
  end)

  it("follows a URL that moves, on the same origin only", function()
    local moved = document "running"
    moved.headers["Operation-Location"] = "/api/moved"
    local lured = document "running"
    lured.headers["Operation-Location"] = "https://example.com/api/moved"
    local client, asked = open { moved, lured, document "succeeded" }
    assert(client:wait(operation()))
    assert.equal(ORIGIN .. "/api/moved?api-version=2017-10-31", asked[2].url)
    assert.equal(asked[2].url, asked[3].url)
  end)

  it("takes a publish for over when it waits for its publisher", function()
    local signoff = { id = "publisher-signoff", status = "waitingForPublisherReview" }
    local client = open { document("running", { signoff }) }
    local status = assert(client:wait(operation { kind = "publish" }))
    assert.equal("waiting_for_publisher", status.state)
    client = open { document("complete", { signoff }) }
    assert.equal("succeeded", assert(client:wait(operation { kind = "publish" })).state)
  end)

  it("is patient with an operation that is not there yet", function()
    local missing = { status = 404, headers = {}, body = "" }
    local client, asked = open({ missing, missing, document "succeeded" })
    assert(client:wait(operation()))
    assert.equal(3, #asked)
    client, asked = open_with_lists { missing, EMPTY_LIST }
    local old = operation { submitted_at = "2001-09-09T01:45:00Z" }
    fails("operation_lost", client:wait(old))
    assert.matches("/submissions/%?", asked[2].url)
  end)

  it("ends at once where time will not mend it", function()
    for status, code in pairs { [400] = "invalid_request", [403] = "forbidden",
                                [401] = "unauthorized" } do
      local client, asked = open { { status = status, headers = {}, body = "" } }
      fails(code, client:wait(operation()))
      assert.equal(1, #asked)
    end
  end)

  it("does not take an untrusted URL", function()
    local client, asked = open { document "succeeded" }
    for _, url in ipairs { "https://example.com/api/x", "http://cloudpartner.azure.com/api/x",
                           "https://cloudpartner.azure.com:8443/api/x",
                           "https://me@cloudpartner.azure.com/api/x",
                           "https://cloudpartner.azure.com/a b", "//example.com/x",
                           "https://cloudpartner.azure.com.example.com/", "file:///etc/passwd" } do
      fails("untrusted_url", client:wait(operation { url = url }))
      fails("untrusted_url", client:status(url))
      fails("untrusted_url", client:resume(url))
    end
    raises("too long", client.wait, client, operation { url = "/" .. ("a"):rep(1e6) })
    assert.equal(0, #asked)
  end)

  it("refuses a saved operation that is none", function()
    local client = open { document "succeeded" }
    raises("'format' is not 1", client.wait, client, operation { format = 2 })
    raises("'api' is not", client.wait, client, operation { api = "other" })
    raises("'kind' must be", client.wait, client, operation { kind = "delete" })
    raises("'id' must be a string", client.wait, client, operation { id = {} })
    raises("'offer' is no id", client.wait, client, operation { offer = "a\0b" })
    raises("not a time", client.wait, client, operation { submitted_at = "yesterday" })
    raises("bad argument 'operation': a table or a URL", client.wait, client)
  end)

  it("checks its options", function()
    local client = open { document "succeeded" }
    raises("unknown option 'intervall'", client.wait, client, operation(), { intervall = 1 })
    raises("'on_blocked' must be", client.wait, client, operation(), { on_blocked = "run" })
    raises("unknown option 'before_send'", client.wait, client, operation(),
      { before_send = print })
    raises("'reconcile'", client.golive, client, OFFER, { reconcile = true })
    raises("'adopt' must be 'running'", client.golive, client, OFFER, { adopt = "ended" })
    raises("'adopt' needs the list", client.golive, client, OFFER,
      { adopt = "running", reconcile = false })
  end)
end)

describe("resume", function()
  it("gives the handle again, without I/O", function()
    local client, asked = open { document "succeeded" }
    local saved = cjson.decode(cjson.encode(operation()))
    local handle = assert(client:resume(saved))
    assert.equal(0, #asked)
    assert.equal(ID, handle.id)
    assert.equal("succeeded", assert(handle:wait()).state)
    handle = assert(client:resume(PATH, { kind = "publish", submitted_at = 1e9 }))
    assert.same({ "publish", "contoso", OFFER, ID, URL, "2001-09-09T01:46:40.000Z" },
      { handle.kind, handle.publisher, handle.offer, handle.id, handle.url, handle.submitted_at })
    handle = assert(client:resume "/api/operations/contoso$contoso-offer$2$preview")
    assert.equal(OFFER, handle.offer)
    assert.is_nil(handle.id)
    assert.equal(ORIGIN .. "/api/operations/contoso$contoso-offer$2$preview" ..
      "?api-version=2017-10-31", handle.url)
  end)
end)

describe("a cancel", function()
  local function list(...)
    return { status = 200, headers = {}, body = cjson.encode { ... } }
  end
  local function entry(id, state)
    return { id = id, submissionType = "golive", submissionState = state }
  end

  it("is done when what ran is canceled", function()
    local client, asked = open_with_lists { list(entry("b", "running"), entry("a", "succeeded")), ACCEPTED,
      document "running", document "canceled" }
    local cancel = assert(client:cancel(OFFER))
    assert.equal("b", cancel.cancels)
    assert.equal("cancel", cancel.kind)
    assert.equal("canceled", assert(cancel:wait()).state)
    assert.matches("/operations/b%?", asked[3].url)
  end)

  it("says when it came too late", function()
    local client = open_with_lists { list(entry("b", "running")), { status = 200, headers = {}, body = "" },
      document "succeeded" }
    local err = fails("not_canceled", assert(client:cancel(OFFER)):wait())
    assert.equal("succeeded", err.last_status.state)
  end)

  it("is watched, not repeated, when its outcome is unclear", function()
    local client, asked = open_with_lists { list(entry("b", "running")),
      function() return nil, "reset", "network" end, document "canceled" }
    assert.equal("canceled", assert(assert(client:cancel(OFFER)):wait()).state)
    assert.equal(3, #asked)
  end)

  it("sends nothing when nothing runs, or its list can't be read", function()
    local client, asked = open_with_lists { list(entry("a", "succeeded")) }
    local err = fails("not_found", client:cancel(OFFER))
    assert.equal("no", err.sent)
    assert.equal(1, #asked)
    client, asked = open_with_lists({ { status = 500, headers = {}, body = "" } }, { retries = 1 })
    err = fails("server_error", client:cancel(OFFER))
    assert.equal("no", err.sent)
    assert.equal(2, #asked)
  end)

  it("of an operation ends no other", function()
    local client, asked = open_with_lists { list(entry("b", "running"), entry(ID, "succeeded")) }
    fails("conflict", assert(client:resume(operation())):cancel())
    assert.equal(1, #asked)
    client, asked = open_with_lists { list(entry(ID, "succeeded")) }
    fails("not_canceled", assert(client:resume(operation())):cancel())
    assert.equal(1, #asked)
    client = open_with_lists { list(entry(ID, "running")), ACCEPTED, document "canceled" }
    local cancel = assert(assert(client:resume(operation())):cancel())
    assert.equal(ID, cancel.cancels)
    assert.equal("canceled", assert(cancel:wait()).state)
  end)
end)

describe("a task", function()
  it("does what the method would, step by step", function()
    local client, asked, _, time = open { ACCEPTED, document "running", document "succeeded" }
    local task = client:start("golive", OFFER)
    assert.equal(0, #asked)
    assert.is_false(task:done())
    raises("has not ended", task.result, task)
    assert.equal(0, client:timeout())
    assert.equal(0, client:step())
    assert.is_true(task:done())
    local golive = task:result()
    assert.equal("golive", golive.kind)
    assert.is_nil(client:timeout())

    local wait = client:start("wait", golive, { interval = 60 })
    assert.equal(1, client:step())
    assert.equal(60, client:timeout())
    assert.equal(wait, client:tasks()[1])
    time.at = time.at + 59
    assert.equal(1, client:step())
    assert.equal(2, #asked)
    time.at = time.at + 1
    assert.equal(0, client:step())
    assert.equal("succeeded", wait:result().state)
    assert.same({}, client:tasks())
  end)

  it("is canceled at once, and tells what is known", function()
    local client = open { document "running" }
    local task = client:start("wait", operation())
    client:step()
    task:cancel()
    assert.is_true(task:done())
    local err = fails("canceled", task:result())
    assert.equal(ID, err.operation.id)
    assert.equal("running", err.last_status.state)
    task:cancel()
    assert.equal(0, client:step())
    task = client:start("golive", OFFER)
    task:cancel()
    err = fails("canceled", task:result())
    assert.equal("no", err.sent)
  end)

  it("lives until its end when it is dropped", function()
    local client, asked = open { ACCEPTED }
    client:start("golive", OFFER)
    collectgarbage()
    collectgarbage()
    assert.equal(0, client:step())
    assert.equal(1, #asked)
  end)

  it("ends with its client", function()
    local client = open { document "running" }
    local task = client:start("wait", operation())
    client:step()
    client:close()
    fails("canceled", task:result())
    raises("closed client", client.golive, client, OFFER)
    raises("closed client", client.step, client)
    client:close()
    assert.equal("cloudpartner client (closed)", tostring(client))
  end)

  it("ends by its call's own limit", function()
    local client, asked = open { { status = 500, headers = {}, body = "" } }
    local err = fails("deadline", client:status(operation(), { timeout = 0.5 }))
    assert.equal(1, #asked)
    assert.equal(ID, err.operation.id)
  end)

  it("is started by name", function()
    local client = open { ACCEPTED }
    raises("bad argument 'method'", client.start, client, "close")
    raises("unknown option", client.start, client, "golive", OFFER, { nope = 1 })
  end)

  it("has no descriptor where the caller does the I/O", function()
    local client = open { ACCEPTED }
    assert.is_nil(client:pollfd())
    assert.is_nil(client:events())
    local own = cloudpartner.new { publisher = "contoso", token = "t" }
    assert.is_number(own:pollfd())
    assert.equal("r", own:events())
    own:close()
  end)

  it("is one of many, each with its own time", function()
    local client, _, _, time = open { document "running" }
    local tasks = {}
    for i = 1, 200 do
      tasks[i] = client:start("wait", operation(), { interval = (i * 37) % 101 + 1, timeout = i })
    end
    while client:step() > 0 do time.at = time.at + client:timeout() end
    for _, task in ipairs(tasks) do fails("deadline", task:result()) end
    assert.equal(1e9 + 200, time.at)
  end)
end)

describe("a function of the caller's", function()
  it("comes out of the call with what it raised", function()
    local value = {}
    local function raise() error(value) end
    local client = open { document "running" }
    local _, raised = pcall(client.wait, client, operation(), { on_progress = raise })
    assert.equal(value, raised)
    local task = client:start("wait", operation(), { on_progress = raise })
    assert.equal(0, client:step())
    _, raised = pcall(task.result, task)
    assert.equal(value, raised)
    client = open({ document "running" }, { log = raise })
    _, raised = pcall(client.status, client, operation())
    assert.equal(value, raised)
    assert.equal(0, client:step())
  end)

  it("keeps a submission from being sent by raising", function()
    local client, asked = open { ACCEPTED }
    local _, raised = pcall(client.golive, client, OFFER,
      { before_send = function() error("not today", 0) end })
    assert.equal("not today", raised)
    assert.equal(0, #asked)
  end)

  it("hears the intent before it is sent", function()
    local client, asked = open { ACCEPTED }
    local intent, before
    assert(client:golive(OFFER, { before_send = function(it)
      intent, before = it, #asked
    end }))
    assert.equal(0, before)
    assert.equal(OFFER, intent.offer)
    assert.equal(header(asked[1], "x-ms-client-request-id"), intent.client_request_id)
  end)

  it("may close the client", function()
    local client
    client = open { document "running" }
    fails("canceled", client:wait(operation(), { on_progress = function() client:close() end }))
    client = open { function() client:close() return ACCEPTED end }
    fails("canceled", client:golive(OFFER))
    client = open({ ACCEPTED }, { token = function() client:close() return "t" end })
    fails("canceled", client:golive(OFFER))
    client = open({ ACCEPTED }, { log = function() client:close() end })
    fails("canceled", client:golive(OFFER))
  end)

  it("may call the client", function()
    local client, inner
    client = open { document "running", document "running", document "succeeded" }
    local status = assert(client:wait(operation(), { on_progress = function()
      inner = inner or assert(client:status(operation())).state
    end }))
    assert.equal("running", inner)
    assert.equal("succeeded", status.state)
  end)

  it("may not wait for what waits for it", function()
    local client
    client = open({ function() return client:offer_status(OFFER) end },
      { max_connections = 1, retries = 0 })
    local err = fails("network", client:status(operation()))
    assert.truthy(err.message:find("wait for ever", 1, true), err.message)
    assert.same({}, client:tasks())
  end)

  it("may not yield", function()
    local client = open { document "running" }
    local thread = coroutine.create(function()
      return client:wait(operation(), { on_progress = function() coroutine.yield() end })
    end)
    local ok, message = coroutine.resume(thread)
    assert.is_false(ok)
    assert.truthy(tostring(message):find "yield")
  end)

  it("is told each exchange and wait, without secrets", function()
    local events = {}
    local function log(event) events[#events + 1] = event end
    local busy = { status = 503, headers = { ["Retry-After"] = "3" }, body = "" }
    local client = open({ busy, ACCEPTED, document "running", document "succeeded" },
      { log = log, token = function() return "secret-token", 3600 end })
    assert(assert(client:golive(OFFER)):wait { interval = 5 })
    local kinds = {}
    for i, event in ipairs(events) do
      kinds[i] = event.kind
      assert.is_nil(cjson.encode(event):find("secret", 1, true))
    end
    assert.equal("token request answer request answer retry request answer"
      .. " request answer poll request answer", table.concat(kinds, " "))
    assert.equal(3, events[6].next_in)
    assert.equal(5, events[11].next_in)
    assert.equal("running", events[11].state)
    assert.equal(0, events[11].failing_for)
  end)

  it("observes each exchange, without the token", function()
    local seen = {}
    local client = open { ACCEPTED, document "succeeded" }
    client:observe(function(exchange) seen[#seen + 1] = exchange end)
    local golive = assert(client:golive(OFFER))
    assert.equal("POST", seen[2].request.method)
    assert.equal(202, seen[2].response.status)
    assert.is_nil(header(seen[2].request, "authorization"))
    client:observe(nil)
    assert(golive:wait())
    assert.equal(2, #seen)
  end)
end)

describe("one call for scripts", function()
  it("takes an offer live and waits", function()
    local transport, asked = service { ACCEPTED, document "running", document "succeeded" }
    local now = 1e9
    local told = 0
    local status = assert(cloudpartner.golive {
      publisher = "contoso", token = "t", offer = OFFER, wait = true, interval = 5,
      transport = transport, now = function() return now end,
      sleep = function(s) now = now + s end, headers = { ["X-Job"] = "7" },
      on_progress = function() told = told + 1 end,
    })
    assert.equal("succeeded", status.state)
    assert.equal(2, told)
    assert.equal("7", header(asked[3], "x-job"))
  end)

  it("gives the operation, and takes it again", function()
    local transport = service { ACCEPTED, document "running", document "succeeded" }
    local options = { publisher = "contoso", token = "t", transport = transport }
    local function with(more)
      for name, value in pairs(options) do more[name] = value end
      return more
    end
    local golive = assert(cloudpartner.golive(with { offer = OFFER }))
    assert.equal("golive", golive.kind)
    assert.equal("running", assert(cloudpartner.status(with { operation = golive })).state)
    assert.equal("succeeded", assert(cloudpartner.wait(with { operation = golive })).state)
  end)

  it("checks its options", function()
    raises("unknown option 'intervall'", cloudpartner.wait, { intervall = 1 })
    raises("option 'offer' is missing", cloudpartner.golive,
      { publisher = "contoso", token = "t", transport = print })
  end)
end)

describe("whatever happens", function()
  it("never calls a submission retryable that may have been taken", function()
    local client = open({ function() return ACCEPTED end })
    local task = client:start("golive", OFFER)
    client:observe(function(exchange)
      if exchange.request.method == "POST" then task:cancel() end
    end)
    client:step()
    local err = fails("canceled", task:result())
    assert.equal("yes", err.sent)
    assert.is_false(err.retryable)
    assert.truthy(err.intent)
  end)

  it("takes a response that raises for a transport that raised", function()
    local answer = setmetatable({}, { __index = function() error("no such field", 0) end })
    local client = open { answer }
    local err = fails("ambiguous", client:golive(OFFER))
    assert.equal("maybe", err.sent)
    assert.truthy(err.message:find("no such field", 1, true))
    assert.same({}, client:tasks())
  end)

  it("gives a list after its client was closed", function()
    local client = open_with_lists { { status = 200, headers = {},
      body = '[{"id":"a","submissionType":"GoLive","submissionState":"running"}]' } }
    local task = client:start("operations", OFFER)
    client:step()
    client:close()
    local list = task:result()
    assert.equal("golive", list[1].kind)
    assert.matches("/operations/a%?", list[1].url)
  end)

  it("survives a clock that closes the client, raises or tells nonsense", function()
    local client
    local function close() client:close() return 1e9 end
    for _, now in ipairs { close, function() error("late", 0) end,
                           function() return 0 / 0 end, function() return "noon" end } do
      local calls = 0
      client = open({ ACCEPTED }, { now = function()
        calls = calls + 1
        return calls > 3 and now() or 1e9
      end })
      local ok, result, err = pcall(client.golive, client, OFFER, { timeout = 60 })
      assert.is_true(not ok or result == nil or result.kind == "golive", tostring(err))
      client:close()
    end
  end)

  it("returns from a step once a task was ended by another's function", function()
    local client, other, _, slept
    client, _, slept = open { document "running" }
    other = client:start("wait", operation())
    client:step()
    client:start("status", operation())
    client:observe(function() other:cancel() end)
    assert.equal(0, client:step(3))
    assert.equal(0, #slept)
  end)

  it("reads no option that was not checked", function()
    local client, asked = open { ACCEPTED }
    local sneaky = setmetatable({}, { __index = { if_match = "x\r\nX-Injected: 1" } })
    assert(client:golive(OFFER, sneaky))
    assert.is_nil(header(asked[1], "if-match"))
  end)

  it("follows a redirect of a poll on the same origin only", function()
    local function redirect(to) return { status = 307, headers = { Location = to }, body = "" } end
    local client, asked = open { redirect "/api/there", redirect "https://example.com/x",
      document "succeeded" }
    assert(client:wait(operation()))
    assert.equal(ORIGIN .. "/api/there?api-version=2017-10-31", asked[3].url)
    client = open { redirect "/api/there" }
    fails("unexpected_status", client:golive(OFFER))
  end)

  it("believes of a cancel only the operation that it ends", function()
    local listed = { status = 200, headers = {}, body = cjson.encode {
      { id = "b", submissionType = "golive", submissionState = "running" } } }
    local lured = document "running"
    lured.headers["Location"] = PATH
    local client, asked = open_with_lists { listed, ACCEPTED, lured, document "succeeded" }
    fails("not_canceled", assert(client:cancel(OFFER)):wait())
    assert.matches("/operations/b%?", asked[4].url)
  end)

  it("takes an older version for another operation, where the URL names none", function()
    local function version(word, n)
      return { status = 200, headers = {},
               body = ('{"status":"%s","publishingVersion":%d,"offerVersion":1}'):format(word, n) }
    end
    local client = open { version("running", 3), version("succeeded", 2) }
    fails("operation_lost", client:wait "/api/operations/contoso$contoso-offer$2$preview")
    client = open { version("running", 2), version("succeeded", 3) }
    assert(client:wait "/api/operations/contoso$contoso-offer$2$preview")
    client = open { version("running", 3), version("succeeded", 2) }
    assert(client:wait(operation()))
  end)

  it("calls an operation lost that no list can tell of", function()
    local client = open { { status = 404, headers = {}, body = "" } }
    fails("operation_lost", client:wait "/api/moved/somewhere")
  end)

  it("reads a hint that a transport gives as a number", function()
    local client, _, slept = open {
      { status = 429, headers = { ["Retry-After"] = 7 }, body = "" }, ACCEPTED }
    assert(client:golive(OFFER))
    assert.same({ 7 }, slept)
  end)

  it("takes no longer for text that looks like tags", function()
    local client = open { { status = 400, headers = {}, body = ("<a"):rep(2e6) } }
    local before = os.clock()
    fails("invalid_request", client:golive(OFFER))
    assert.is_true(os.clock() - before < 5)
  end)

  it("stays usable when the module is loaded again", function()
    local loaded = package.loaded.cloudpartner
    package.loaded.cloudpartner = nil
    local client = require "cloudpartner".new { publisher = "contoso", token = "t",
      transport = service { ACCEPTED } }
    package.loaded.cloudpartner = loaded
    collectgarbage()
    collectgarbage()
    assert(client:golive(OFFER))
  end)
end)
