-- Recorded HTTP, without the module: a table with `observe` is client enough.

local cjson = require "cjson"
local har = require "cloudpartner.har"

local ORIGIN = "https://cloudpartner.azure.com"
local GOLIVE = "/api/publishers/contoso/offers/o/golive?api-version=2017-10-31"
local STATUS = "/api/publishers/contoso/offers/o/status?api-version=2017-10-31"

local function log(entries)
  return '{"log":{"version":"1.2","entries":[' .. entries .. ']}}'
end

-- The shortest HAR: `request` and `response` are the members that a test is about.
local function entry(request, response)
  return ('{"request":{%s},"response":{%s}}'):format(request, response)
end

local function parse(entries)
  return assert(har.parse(log(entries)))
end

local function get(path, response)
  return entry(('"method":"GET","url":"%s%s"'):format(ORIGIN, path), response)
end

local function post(path, body, response)
  return entry(('"method":"POST","url":"%s%s","postData":{"mimeType":"","text":%s}')
    :format(ORIGIN, path, cjson.encode(body)), response)
end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function fixtures()
  local paths = {}
  local listing = assert(io.popen("ls spec/fixtures/*.har"))
  for path in listing:lines() do paths[#paths + 1] = path end
  listing:close()
  return paths
end

describe("a recording", function()
  it("says what the file says", function()
    local text = read_file "spec/fixtures/golive_429_then_202.har"
    local recording = assert(har.parse(text))
    local list, submission = recording.entries[1], recording.entries[2]
    assert.equal("1.2", recording.version)
    assert.matches("^Written by hand", recording.comment)
    assert.equal(ORIGIN, recording.origin)
    assert.equal(3, #recording.entries)
    assert.equal("GET", list.request.method)
    assert.equal(1522100760, list.started_at)
    assert.equal("POST", submission.request.method)
    assert.equal("", submission.request.body)
    assert.same({ "Content-Length", "0" }, submission.request.headers[2])
    assert.equal(429, submission.response.status)
    assert.equal("Slow down", cjson.decode(submission.response.body).error.message)
    assert.equal(1522100760, submission.started_at)
    assert.equal(0.15, submission.seconds)
  end)

  it("decodes base64", function()
    local body = parse(get("/", '"status":200,"content":{"text":"AP8=","encoding":"base64"}'))
      .entries[1].response.body
    assert.equal("\0\255", body)
  end)

  it("takes null for absent", function()
    local first = parse(get("/", '"status":200,"content":null,"headers":null,"_error":null'))
      .entries[1]
    assert.same({ status = 200, headers = {}, body = "" }, first.response)
  end)

  it("reads times with a zone", function()
    local text = get("/", '"status":200'):gsub("^{",
      '{"startedDateTime":"2018-03-26T23:46:00.500+02:00",')
    assert.equal(1522100760.5, parse(text).entries[1].started_at)
  end)

  it("is written as it was read", function()
    local text = har.format(parse(get("/?a=%20b", '"status":200,"content":{"text":"\\u0000\\n"}')))
    assert.equal(text, har.format(assert(har.parse(text))))
  end)

  it("keeps bodies that are no text", function()
    local recording = parse(post("/", "", '"status":200'))
    recording.entries[1].started_at = 1522100760
    recording.entries[1].request.body = "\254\255"
    recording.entries[1].response.body = "\0\128"
    assert.same(recording.entries, assert(har.parse(har.format(recording))).entries)
  end)

  local request = '"method":"GET","url":"http://localhost/"'
  for text, message in pairs {
    ["{"] = "not JSON",
    ["[]"] = "the file has no log",
    ["7"] = "not JSON, or no object",
    ['{"log":[]}'] = "log has no entries",
    ['{"log":{"entries":{"a":1}}}'] = "log.entries is not a list",
    ['{"log":{"entries":"a"}}'] = "log.entries is not an object or a list",
    [log "1"] = "log.entries[1] is not an object",
    [log "{}"] = "log.entries[1] has no request",
    [log(entry('"method":"GET"', ""))] = "log.entries[1].request has no url",
    [log(entry('"method":1,"url":"http://h/"', ""))] = "request.method is not a string",
    [log(entry('"method":"GET","url":"/x"', ""))] = "request.url is not an absolute URL",
    [log(entry(request, ""))] = "log.entries[1].response has no status",
    [log(entry(request, '"status":"200"'))] = "response.status is not a number",
    [log(entry(request, '"status":200.5'))] = "response.status is not an HTTP status",
    [log(entry(request, '"status":0,"_error":"odd"'))] = "response._error is not a known code",
    [log(entry(request, '"status":200,"headers":[{"name":"a"}]'))] = "headers[1] has no value",
    [log(entry(request, '"status":200,"content":{"text":"*","encoding":"base64"}'))] =
      "response.content.text is not base64",
    [log(entry(request, '"status":200,"content":{"text":"","encoding":"rot13"}'))] =
      "response.content has an unknown encoding",
  } do
    it("is refused in one line: " .. message, function()
      local recording, why = har.parse(text)
      assert.is_nil(recording)
      assert.truthy(why:find(message, 1, true), why)
      assert.is_nil(why:find("\n", 1, true))
    end)
  end

  it("is refused by the name of its file", function()
    local recording, missing = har.read "spec/fixtures/none.har"
    assert.is_nil(recording)
    assert.matches("spec/fixtures/none.har", missing, 1, true)
    local _, not_json = har.read "spec/har_spec.lua"
    assert.matches("^spec/har_spec.lua: not JSON", not_json)
    local _, directory = har.read "spec"
    assert.matches("^spec: .*directory", directory)
  end)

  it("may not take more than 64 MiB", function()
    local recording, why = har.parse((" "):rep(64 * 1024 * 1024 + 1))
    assert.is_nil(recording)
    assert.equal("bigger than 64 MiB", why)
  end)
end)

describe("a player", function()
  local function ask(player, method, url, body, headers)
    return player.transport {
      method = method, url = url, headers = headers or {}, body = body, timeout = 30,
    }
  end

  it("answers in the recorded order", function()
    local player = har.player(parse(get("/a", '"status":200') .. "," .. get("/b", '"status":404')))
    assert.equal(200, ask(player, "GET", ORIGIN .. "/a").status)
    assert.equal(404, ask(player, "GET", ORIGIN .. "/b").status)
    assert.is_true(player:finish())
  end)

  it("gives headers and body", function()
    local player = har.player(parse(get("/a",
      '"status":202,"headers":[{"name":"X","value":"1"},{"name":"X","value":"2"}],'
      .. '"content":{"text":"{}"}')))
    assert.same({ status = 202, headers = { { "X", "1" }, { "X", "2" } }, body = "{}" },
      ask(player, "GET", ORIGIN .. "/a"))
  end)

  local function refused(recorded, method, url, body)
    local player = har.player(parse(recorded))
    local response, message, code = ask(player, method, url, body)
    assert.is_nil(response)
    assert.equal("connect", code)
    local ok, report = player:finish()
    assert.is_nil(ok)
    assert.truthy(report:find(message, 1, true), report)
    assert.truthy(report:find("was not asked for", 1, true), report)
    return message
  end

  it("refuses what differs, and remembers it", function()
    local recorded = post(GOLIVE, "", '"status":202')
    assert.matches("method", refused(recorded, "GET", ORIGIN .. GOLIVE))
    assert.matches("path", refused(recorded, "POST", ORIGIN .. STATUS))
    assert.matches("path", refused(get("/a$b", '"status":200'), "GET", ORIGIN .. "/a%24b"))
    assert.matches("query", refused(recorded, "POST", (ORIGIN .. GOLIVE):gsub("17", "18")))
    assert.matches("query", refused(recorded, "POST", (ORIGIN .. GOLIVE) .. "&a=b"))
    assert.matches("body", refused(recorded, "POST", ORIGIN .. GOLIVE, "{}"))
    assert.matches("not absolute", refused(recorded, "POST", GOLIVE))
  end)

  it("refuses what comes after the end", function()
    local player = har.player(parse "")
    assert.is_nil((ask(player, "GET", ORIGIN .. "/a")))
    local _, report = player:finish()
    assert.truthy(report:find("GET " .. ORIGIN .. "/a is not in the recording", 1, true), report)
  end)

  it("names what was not asked for", function()
    local _, report = har.player(parse(get("/a", '"status":200'))):finish()
    assert.equal("GET " .. ORIGIN .. "/a was not asked for", report)
  end)

  it("goes on after a refusal", function()
    local player = har.player(parse(get("/a", '"status":200')))
    ask(player, "GET", ORIGIN .. "/b")
    assert.equal(200, ask(player, "GET", ORIGIN .. "/a").status)
    assert.is_nil((player:finish()))
  end)

  it("compares a query as decoded names and values", function()
    local player = har.player(parse(get("/a?x=%24b+c&y=1&y=2", '"status":200')))
    assert.truthy(ask(player, "GET", ORIGIN .. "/a?y=2&x=$b%20c&y=1"))
    assert.is_true(player:finish())
  end)

  it("compares JSON bodies as values", function()
    local recorded = post(GOLIVE, '{"a":[1,{"b":null}],"c":"d"}', '"status":202')
    assert.truthy(ask(har.player(parse(recorded)), "POST", ORIGIN .. GOLIVE,
      '{ "c": "\\u0064", "a": [1.0, {"b": null}] }'))
    assert.matches("body", refused(recorded, "POST", ORIGIN .. GOLIVE, '{"a":[1,{}],"c":"d"}'))
    assert.matches("body", refused(recorded, "POST", ORIGIN .. GOLIVE, "not JSON"))
  end)

  it("matches what the recorder blanked", function()
    local player = har.player(parse(post(GOLIVE .. "&to=...",
      '{"metadata":{"notification-emails":"..."}}', '"status":202')))
    assert.truthy(ask(player, "POST", ORIGIN .. GOLIVE .. "&to=a%40example.com",
      '{"metadata":{"notification-emails":"a@example.com"}}'))
  end)

  it("compares neither origin nor headers", function()
    local player = har.player(parse(get("/a", '"status":200')))
    assert.truthy(ask(player, "GET", "http://127.0.0.1:8080/a", nil, { { "User-Agent", "x" } }))
  end)

  it("moves the recording's origin in answers to the request's", function()
    local player = har.player(parse(get("/a",
      '"status":202,"headers":[{"name":"Location","value":"' .. ORIGIN .. '/op"}],'
      .. '"content":{"text":"see ' .. ORIGIN .. ', not ' .. ORIGIN .. '.example.com, '
      .. ORIGIN .. ':8443 or http://cloudpartner.azure.com/"}')))
    local response = ask(player, "GET", "http://127.0.0.1:8080/a")
    assert.equal("http://127.0.0.1:8080/op", response.headers[1][2])
    assert.equal("see http://127.0.0.1:8080, not " .. ORIGIN .. ".example.com, "
      .. ORIGIN .. ":8443 or http://cloudpartner.azure.com/", response.body)
  end)

  it("has no answer where the recording has none", function()
    local player = har.player(parse(get("/a", '"status":0,"_error":"tls"') .. ","
      .. get("/a", '"status":0')))
    local response, message, code = ask(player, "GET", ORIGIN .. "/a")
    assert.is_nil(response)
    assert.is_string(message)
    assert.equal("tls", code)
    assert.is_nil((select(3, ask(player, "GET", ORIGIN .. "/a"))))
    assert.is_true(player:finish())
  end)

  it("passes over token requests unless they are made", function()
    local url = "https://login.microsoftonline.com/t/oauth2/v2.0/token"
    local token = entry('"method":"POST","url":"' .. url .. '"', '"status":200')
    local text = token .. "," .. get("/a", '"status":200') .. "," .. token
    local player = har.player(parse(text))
    assert.truthy(ask(player, "GET", ORIGIN .. "/a"))
    assert.is_true(player:finish())
    assert.equal(ORIGIN, player.recording.origin)
    player = har.player(parse(text))
    assert.truthy(ask(player, "POST", url))
  end)

  it("has a clock that jumps", function()
    local player = assert(har.player "spec/fixtures/golive_succeeded.har")
    assert.equal(1522100760, player.now())
    player.sleep(2.5)
    player.sleep(60)
    assert.equal(1522100822.5, player.now())
    assert.same({ 2.5, 60 }, player.slept)
    assert.equal(0.5, player.random())
  end)

  it("gives options for a client", function()
    local player = assert(har.player "spec/fixtures/golive_succeeded.har")
    local options = player:options { retries = 0 }
    assert.same({
      transport = player.transport, now = player.now, sleep = player.sleep,
      random = player.random, publisher = "contoso", token = "recorded", retries = 0,
    }, options)
    assert.equal("fabrikam", player:options({ publisher = "fabrikam" }).publisher)
    assert.is_nil(player:options({ credential = "environment" }).token)
  end)

  it("finds the publisher in the URL of an offer's operation", function()
    local player = har.player(parse(get("/api/operations/contoso$offer$2$preview", '"status":200')))
    assert.equal("contoso", player:options().publisher)
  end)

  it("hands on why a file can't be read", function()
    local player, message = har.player "spec/fixtures/none.har"
    assert.is_nil(player)
    assert.matches("none.har", message)
    assert.has_error(function() har.player(7) end)
  end)
end)

describe("a recorder", function()
  local client, recorder

  before_each(function()
    client = { observe = function(self, f) self.observer = f end }
    recorder = har.record(client)
  end)

  local function observe(request, response, code)
    request.method = request.method or "POST"
    request.url = request.url or ORIGIN .. GOLIVE
    request.headers = request.headers or {}
    client.observer {
      request = request, response = response, error = code,
      started_at = 1522100760.25, seconds = 0.125,
    }
    return assert(har.parse(recorder:text())).entries[#recorder.entries]
  end

  local function answered(body, headers)
    return observe({}, { status = 200, headers = headers or {}, body = body }).response
  end

  it("writes what was exchanged", function()
    local written = observe({ body = '{"status":"x"}' },
      { status = 202, headers = { { "Location", "/op" } }, body = "" })
    assert.same({
      started_at = 1522100760.25, seconds = 0.125,
      request = { method = "POST", url = ORIGIN .. GOLIVE, headers = {}, body = '{"status":"x"}' },
      response = { status = 202, headers = { { "Location", "/op" } }, body = "" },
    }, written)
    assert.equal("Recorded from " .. ORIGIN, har.parse(recorder:text()).comment)
  end)

  it("writes HAR 1.2 with its required members", function()
    answered "{}"
    local entry_ = cjson.decode(recorder:text()).log.entries[1]
    assert.equal("2018-03-26T21:46:00.250Z", entry_.startedDateTime)
    assert.same({ { name = "api-version", value = "2017-10-31" } }, entry_.request.queryString)
    for _, name in ipairs { "httpVersion", "cookies", "headers", "headersSize", "bodySize" } do
      assert.truthy(entry_.request[name], name)
      assert.truthy(entry_.response[name], name)
    end
    assert.same({ size = 2, mimeType = "", text = "{}" }, entry_.response.content)
    assert.same({ {}, { send = 0, wait = 125, receive = 0 } }, { entry_.cache, entry_.timings })
  end)

  it("writes an exchange without an answer", function()
    assert.same({ status = 0, headers = {}, body = "", error = "timeout" },
      observe({}, nil, "timeout").response)
  end)

  it("plays what it recorded", function()
    observe({ body = '{"metadata":{"notification-emails":"a@example.com"}}' },
      { status = 202, headers = {}, body = "" })
    local player = har.player(assert(har.parse(recorder:text())))
    assert.truthy(player.transport {
      method = "POST", url = ORIGIN .. GOLIVE, headers = {},
      body = '{"metadata":{"notification-emails":"b@example.com"}}',
    })
    assert.is_true(player:finish())
  end)

  it("keeps headers by an allow-list", function()
    local headers = answered("", {
      { "Retry-After", "5" }, { "ETAG", 'W/"1"' }, { "Set-Cookie", "a=b" }, { "Server", "x" },
    }).headers
    assert.same({ { "Retry-After", "5" }, { "ETAG", 'W/"1"' } }, headers)
    local request = observe({ headers = { { "Authorization", "Bearer a" }, { "Accept", "*/*" } } })
      .request
    assert.same({ { "Accept", "*/*" } }, request.headers)
  end)

  it("keeps the strings of JSON by an allow-list, and its shape", function()
    local body = '[{ "id":"5a63","version":636576975611768314, "a":[], "b":{},"c":null,'
      .. '"messages":["kept"],"definition":{"metadata":{"emails":"x"},"status":"kept"},'
      .. '"plan":["x",{"id":"kept"},"y", 1.50, true],"errors":{"any.field":["kept"]}}, "z"]'
    assert.equal((body:gsub('"[xyz]"', '"..."')), answered(body).body)
  end)

  it("changes no byte of what it keeps", function()
    for _, body in ipairs {
      har.read("spec/fixtures/status_500_service.har").entries[1].response.body,
      '{"message":"a \\u00e9 \\/ \\" b"}', "null", '""', "", '"text"', " 12 ", "not JSON",
    } do
      assert.equal(body, answered(body).body)
    end
  end)

  it("looks into JSON in a string", function()
    assert.equal('"{\\"error\\":{\\"code\\":\\"F\\",\\"secret\\":\\"...\\"}}"',
      answered('"{\\"error\\":{\\"code\\":\\"F\\",\\"secret\\":\\"x\\"}}"').body)
  end)

  local JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln-_"
  for text, expected in pairs {
    ["to jdoe@contoso.com, now"] = "to ..., now",
    ["?to=jdoe%40contoso.com&x=1"] = "?to=...&x=1",
    ["j\195\188rgen@contoso.com"] = "...",
    ["Authorization: Bearer abc.d-e_f~+/= x"] = "Authorization: ... x",
    ["BEARER  abc"] = "...",
    ["token " .. JWT .. " ends"] = "token ... ends",
    ["x=" .. JWT .. "&y=1"] = "x=...&y=1",
    ["https://h/v.vhd?sv=1&sig=a%2Bb%3D&se=2"] = "https://h/v.vhd?sv=1&sig=...&se=2",
    ["u=h%3Fsv%3D1%26sig%3Da%252Bb%253D%26se%3D2"] = "u=h%3Fsv%3D1%26sig%3D...%26se%3D2",
    ["sig%253Dab%2526se"] = "sig%253D...%2526se",
    ['<a href="https://h/?SIG=ab">v</a>'] = '<a href="https://h/?SIG=...">v</a>',
    ["grant_type=x&client_secret=a~b%26&client_id=c"] =
      "grant_type=x&client_secret=...&client_id=c",
    ["client_assertion_type=urn&client_assertion=a.b"] =
      "client_assertion_type=urn&client_assertion=...",
    ["refresh_token=a&access_token=b"] = "refresh_token=...&access_token=...",
    ['{"status":"x","access_token":"ab'] = '{"status":"x","access_token":...',
    ['text {"refresh_token": "a\\"b"} tail'] = 'text {"refresh_token":...',
    ["the design=free and config=kept"] = "the design=free and config=kept",
  } do
    it("blanks secrets in " .. text:sub(1, 24), function()
      assert.equal(expected, answered(text).body)
      assert.equal(expected, observe({ body = text }).request.body)
      assert.equal(expected, cjson.decode(answered(cjson.encode { message = text }).body).message)
      assert.equal(expected, answered("", { { "Location", text } }).headers[1][2])
      assert.equal(ORIGIN .. "/" .. expected, observe({ url = ORIGIN .. "/" .. text }).request.url)
    end)
  end

  it("blanks what escapes hide", function()
    assert.equal('{"message":"to ..."}', answered('{"message":"to a\\u0040b.com"}').body)
  end)

  it("lets no token through", function()
    observe({
      url = "https://login.microsoftonline.com/t/oauth2/v2.0/token",
      body = "client_id=c&client_secret=hidden1&client_assertion=hidden2",
    }, { status = 200, headers = {}, body = '{"token_type":"hidden3","expires_in":3600,'
      .. '"access_token":"hidden4","refresh_token":"hidden5"}' })
    assert.is_nil(recorder:text():find("hidden", 1, true))
    assert.truthy(recorder:text():find("3600", 1, true))
  end)

  it("takes no more than a moment for a long text", function()
    local patience = os.getenv "VARIANT" == "valgrind" and 10 or 1
    local started = os.clock()
    for _, part in ipairs { "a", "eyJ", "%40", "a.", '"', "sig%25" } do
      answered(part:rep(50000))
    end
    assert.is_true(os.clock() - started < 5 * patience)
  end)

  it("stops", function()
    recorder:stop()
    assert.is_nil(client.observer)
  end)

  it("saves all or nothing", function()
    local path = os.tmpname()
    answered "{}"
    assert.is_true(recorder:save(path))
    assert.equal(recorder:text(), read_file(path))
    assert.is_nil((io.open(path .. ".part")))
    os.remove(path)
    local ok, message = recorder:save "spec/none/x.har"
    assert.is_nil(ok)
    assert.matches("spec/none", message)
  end)
end)

describe("the fixture", function()
  local function holds_no_secret(text)
    for address in text:gmatch "[%w._+-]+@([%w.-]+)" do
      assert.truthy(address == "example.com" or address == "contoso.com", address)
    end
    for _, secret in ipairs { "[Bb]earer", "[Ss]ig=[^.]", "[Ss]ig%%3[Dd][^.]", "eyJ" } do
      assert.is_nil(text:match(secret))
    end
  end

  for _, path in ipairs(fixtures()) do
    it(path .. " is in order", function()
      local text = read_file(path)
      local recording = assert(har.parse(text))
      assert.equal(har.format(recording), text)
      assert.truthy(recording.comment:find "^Written by hand from "
        or recording.comment:find "^Recorded from ")
      assert.is_true(#recording.entries > 0)
      holds_no_secret(text)
    end)
  end
end)
