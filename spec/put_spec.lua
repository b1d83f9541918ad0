-- Offers read, put and updated: without I/O, on a clock of the spec's; and over a socket.

local cjson = require "cjson"
local cloudpartner = require "cloudpartner"
local live = require "spec.host.live"

local PATH = "/api/publishers/contoso/offers/o"
local ETAG = [[W/"datetime'2017-06-07T06%3A15%3A40.4771399Z'"]]

local function reply(status, body, headers)
  return { status = status, headers = headers or {}, body = body or "" }
end

local function read(body, etag) return reply(200, body, { ETag = etag }) end

local function lost() return nil, "connection reset", "network" end

local function unsent() return nil, "no route to host", "connect" end

-- A client to which these answers come in turn. `asked` holds each request: method and
-- path together under 1, If-Match under 2, the body under 3.
local function open(answers, options)
  local asked, time = {}, 1500000000
  local given = {
    publisher = "contoso", token = "secret", retries = 2,
    now = function() return time end,
    random = function() return 0.5 end,
    sleep = function(seconds) time = time + seconds end,
    transport = function(request)
      local condition
      for _, pair in ipairs(request.headers) do
        if pair[1]:lower() == "if-match" then condition = pair[2] end
      end
      local path = request.url:match "^https://[^/]+([^?]*)"
      asked[#asked + 1] = { request.method .. " " .. path, condition, request.body }
      local answer = assert(table.remove(answers, 1), "one request too many")
      if type(answer) == "function" then return answer(request) end
      return answer
    end,
  }
  for name, value in pairs(options or {}) do given[name] = value end
  return cloudpartner.new(given), asked
end

local function methods_of(asked)
  local methods = {}
  for i, request in ipairs(asked) do methods[i] = request[1]:match "^%u+" end
  return table.concat(methods, " ")
end

local fails = live.fails

local function raises(text, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(message):find(text, 1, true), tostring(message))
end

-- An offer as it is read.
local function offer(json, etag)
  local client = open { read(json, etag or ETAG) }
  return assert(client:offer "o")
end

describe("reading", function()
  it("asks for lists as the service gives them", function()
    local list = '[{"id":"a","version":3,"tags":[]},{"id":"b"}]'
    local client, asked = open { reply(200, list), reply(200, list), reply(200, list), reply(200, "[]") }
    assert.equal("b", assert(client:publishers())[2].id)
    assert.equal("a", assert(client:offer_types())[1].id)
    assert.equal(2, #assert(client:offers { filter = "offerTypeId eq 'x&y'" }))
    assert.same({}, assert(client:offers()))
    assert.equal("GET /api/publishers", asked[1][1])
    assert.equal("GET /api/offerTypes", asked[2][1])
    assert.equal("GET /api/publishers/contoso/offers", asked[3][1])
  end)

  it("sends the filter escaped, whatever it holds", function()
    local url
    local client = cloudpartner.new {
      publisher = "contoso", token = "t",
      transport = function(request)
        url = request.url
        return reply(200, "[]")
      end,
    }
    assert(client:offers { filter = "offerTypeId eq 'a&b#c%'" })
    assert.equal("https://cloudpartner.azure.com/api/publishers/contoso/offers"
      .. "?api-version=2017-10-31&$filter=offerTypeId%20eq%20%27a%26b%23c%25%27",
      (url:gsub("%%24filter", "$filter")))
  end)

  it("asks for a draft, a version or a slot", function()
    local client, asked = open { read("{}"), read("{}"), read("{}"), read("{}") }
    assert(client:offer "o")
    assert(client:offer("o", { version = 3 }))
    assert(client:offer("o", { version = "12" }))
    assert(client:offer("o", { slot = "preview" }))
    assert.equal("GET " .. PATH, asked[1][1])
    assert.equal("GET " .. PATH .. "/versions/3", asked[2][1])
    assert.equal("GET " .. PATH .. "/versions/12", asked[3][1])
    assert.equal("GET " .. PATH .. "/slot/preview", asked[4][1])
    raises("option 'version'", client.offer, client, "o", { version = 0 })
    raises("option 'version'", client.offer, client, "o", { version = "x" })
    raises("option 'version'", client.offer, client, "o", { version = 1.5 })
    raises("option 'slot'", client.offer, client, "o", { slot = "../offers" })
    raises("exclude each other", client.offer, client, "o", { slot = "draft", version = 1 })
    assert.equal(4, #asked)
  end)

  it("keeps the text byte for byte, and the etag of the header or else the offer's", function()
    local text = ' {"etag" : "W/\\"x\\"", "n": 636576975611768314, "a":[ ], "o":{}}\n'
    local o = offer(text)
    assert.equal(text, o.json)
    assert.equal(ETAG, o.etag)
    assert.equal("o", o.id)
    local client = open { read(text) }
    assert.equal('W/"x"', client:offer("o").etag)
    client = open { read '{"eTag":"y"}' }
    assert.equal("y", client:offer("o").etag)
    client = open { read('{"etag":"body"}', "") }
    assert.equal("body", client:offer("o").etag)
    client = open { read '{"etag":7}' }
    assert.is_nil(client:offer("o").etag)
  end)

  it("takes no etag that could not be sent back", function()
    local client = open { read '{"etag":"a\\r\\nAuthorization: b"}', read '{"etag":""}' }
    assert.is_nil(client:offer("o").etag)
    assert.is_nil(client:offer("o").etag)
  end)

  it("understands nothing but an object, and a list", function()
    for _, body in ipairs { "[]", "", "{", '{"a":1}x', '"{}"', "{\"a\":\"\1\"}" } do
      local client = open { read(body) }
      fails("protocol", client:offer "o")
    end
    for _, body in ipairs { "{}", "", "[", "[1,]", "null" } do
      local client = open { reply(200, body) }
      fails("protocol", client:offers())
    end
  end)

  it("is repeated while that can help, and no more", function()
    local client, asked = open { reply(503), lost, read("{}") }
    assert(client:offer "o")
    assert.equal(3, #asked)
    client, asked = open { reply(404, '{"error":{"code":"NotFound","message":"no"}}') }
    fails("not_found", client:offer "o")
    assert.equal(1, #asked)
  end)
end)

describe("put_offer", function()
  it("sends text and etag as they were read", function()
    local text = '{ "definition" : {"a.b":"x\\u0026y","n":1e400} }'
    local client, asked = open { reply(200, "", { ETag = '"2"' }) }
    local put = assert(client:put_offer("o", offer(text)))
    assert.same({ "PUT " .. PATH, ETAG, text }, asked[1])
    assert.equal(text, put.json)
    assert.equal('"2"', put.etag)
    assert.equal("o", put.id)
    assert.is_nil(put.left_out)
  end)

  it("reads back when the answer is good but speaks of no offer", function()
    local client, asked = open { reply(200, "<html>log in</html>"), read '{"a":1}' }
    fails("ambiguous", client:put_offer("o", offer '{"a":2}'))
    assert.equal("PUT GET", methods_of(asked))
    client = open { reply(200, "[]"), read '{"a":2}' }
    assert(client:put_offer("o", offer '{"a":2}'))
  end)

  it("does not take the etag of one offer for another", function()
    local client, asked = open { reply(200) }
    raises("the etag is that of 'o'", client.put_offer, client, "other", offer "{}")
    raises("control characters", client.put_offer, client, "o", { json = "{}", etag = "a\0b" })
    assert(client:put_offer("other", offer "{}", { create = true }))
    assert.equal(1, #asked)
  end)

  it("gives the offer that the service answers with", function()
    local client = open { reply(200, '{"b":2,"etag":"n"}') }
    local put = assert(client:put_offer("o", offer '{"b":1}'))
    assert.equal(2, put:get "/b")
    assert.equal("n", put.etag)
  end)

  it("sends what it is asked to, and nothing for what is new", function()
    local client, asked = open { reply(200), reply(200), reply(201), reply(200) }
    assert(client:put_offer("o", "{}", { if_match = "*" }))
    assert(client:put_offer("o", offer "{}", { if_match = "other" }))
    assert(client:put_offer("o", offer "{}", { create = true }))
    assert(client:put_offer("o", { json = "{}", etag = "plain" }))
    assert.equal("*", asked[1][2])
    assert.equal("other", asked[2][2])
    assert.is_nil(asked[3][2])
    assert.equal("plain", asked[4][2])
  end)

  it("raises for what can't be put, and sends nothing", function()
    local client, asked = open {}
    local put = client.put_offer
    raises("no etag", put, client, "o", "{}")
    raises("if_match = '*'", put, client, "o", cloudpartner.offer "{}")
    raises("exclude each other", put, client, "o", "{}", { create = true, if_match = "x" })
    raises("no JSON object", put, client, "o", "[]", { create = true })
    raises("no JSON object", put, client, "o", '{"a":1', { create = true })
    raises("expected", put, client, "o", {}, { create = true })
    raises("expected", put, client, "o", 7, { create = true })
    raises("control characters", put, client, "o", "{}", { if_match = "" })
    raises("control characters", put, client, "o", { json = "{}", etag = "a\nb: c" })
    raises("unknown option", put, client, "o", "{}", { slot = "draft" })
    assert.equal(0, #asked)
  end)

  it("leaves out what the service gives and refuses, and says so", function()
    local text = '{"plans":[{"microsoft-azure-corevm.legacyOfferId":"a","x":[]},'
      .. '{"microsoft-azure-corevm.legacyPublisherId" : {} }],'
      .. '"microsoft-azure-corevm.l\\u0065gacyOfferId":1, "y":0}'
    local client, asked = open { reply(200), reply(200) }
    local o = offer(text)
    local put = assert(client:put_offer("o", o))
    assert.equal('{"plans":[{"x":[]},{}], "y":0}', asked[1][3])
    assert.same({ "/plans/0/microsoft-azure-corevm.legacyOfferId",
      "/plans/1/microsoft-azure-corevm.legacyPublisherId",
      "/microsoft-azure-corevm.legacyOfferId" }, put.left_out)
    assert.equal(text, o.json)
    assert(client:put_offer("o", o, { leave_out = false }))
    assert.equal(text, asked[2][3])
  end)

  it("says that somebody was quicker, or that something is there", function()
    local body = '{"error":{"code":"InvalidResourceId","message":"exists"}}'
    local client = open { reply(412), reply(409, body), reply(409, body) }
    local err = fails("precondition_failed", client:put_offer("o", offer "{}"))
    assert.truthy(tostring(err):find("read it again", 1, true))
    err = fails("precondition_failed", client:put_offer("o", "{}", { create = true }))
    assert.equal(409, err.http_status)
    assert.equal("InvalidResourceId", err.service_code)
    fails("conflict", client:put_offer("o", offer "{}"))
  end)

  it("is repeated only when it certainly was not taken", function()
    local client, asked = open { unsent, reply(429), reply(503, "", { ["Retry-After"] = "1" }) }
    local err = fails("server_error", client:put_offer("o", offer "{}"))
    assert.equal("PUT PUT PUT", methods_of(asked))
    assert.equal(503, err.http_status)
    client, asked = open { unsent, reply(200) }
    assert(client:put_offer("o", offer "{}"))
    assert.equal("PUT PUT", methods_of(asked))
  end)

  it("is settled by reading back when it is unclear", function()
    for _, unclear in ipairs { lost, reply(500), reply(504), reply(503), reply(204), reply(408) } do
      local client, asked = open { unclear,
        read('{"version":4,"changedTime":"x","status":"s","b":[1.0], "a":"\\u0062" }', "new") }
      local put = assert(client:put_offer("o", offer '{"a":"b","b":[1]}'))
      assert.equal("PUT GET", methods_of(asked))
      assert.equal("new", put.etag)
      assert.equal(4, put:get "/version")
    end
  end)

  it("is ambiguous when another offer is read back, or none", function()
    for _, back in ipairs { read '{"a":2}', read '{"a":1,"b":2}', reply(404), reply(403) } do
      local client, asked = open { lost, back }
      local err = fails("ambiguous", client:put_offer("o", offer '{"a":1}'))
      assert.equal("maybe", err.sent)
      assert.is_false(err.retryable)
      assert.is_nil(err.intent)
      assert.truthy(tostring(err):find("compare client:offer", 1, true))
      assert.equal("PUT GET", methods_of(asked))
    end
  end)

  it("speaks of its own answer when it is ambiguous", function()
    local client = open { reply(500, '{"error":{"code":"Bad","message":"the disk is full"}}'),
      read '{"a":2}' }
    local err = fails("ambiguous", client:put_offer("o", offer '{"a":1}'))
    assert.equal(500, err.http_status)
    assert.truthy(err.message:find("the disk is full", 1, true))
  end)

  it("ends at its deadline, sent or not", function()
    local client = open { lost, reply(503), reply(503) }
    local err = fails("deadline", client:put_offer("o", offer '{"a":1}', { timeout = 0.3 }))
    assert.equal("maybe", err.sent)
    client = open { unsent, unsent }
    err = fails("deadline", client:put_offer("o", offer '{"a":1}', { timeout = 0.3 }))
    assert.equal("no", err.sent)
  end)
end)

describe("update", function()
  local function bump(o) o:set("/n", o:get "/n" + 1) end

  it("reads, edits, and puts under the etag that it read", function()
    local client, asked = open { read('{"n": 1}', "e1"), reply(200, "", { ETag = "e2" }) }
    local put = assert(client:update("o", bump))
    assert.equal("e1", asked[2][2])
    assert.equal('{"n": 2}', asked[2][3])
    assert.equal('{"n": 2}', put.json)
    assert.equal("e2", put.etag)
  end)

  it("begins anew when somebody else was quicker, and gives up in the end", function()
    local client, asked = open { read('{"n":1}', "e1"), reply(412), read('{"n":5}', "e2"), reply(200) }
    assert.equal(6, assert(client:update("o", bump)):get "/n")
    assert.equal("GET PUT GET PUT", methods_of(asked))
    assert.equal("e2", asked[4][2])
    local answers = {}
    for i = 1, 10, 2 do answers[i], answers[i + 1] = read('{"n":1}', "e" .. i), reply(412) end
    client, asked = open(answers)
    fails("precondition_failed", client:update("o", bump))
    assert.equal(10, #asked)
  end)

  it("puts nothing when it is told so, or nothing has changed", function()
    for _, f in ipairs { function() return false end, function() end,
        function(o) o:set("/n", 1) end, function(o) bump(o) return false end } do
      local client, asked = open { read('{"n":1}', "e") }
      local same = assert(client:update("o", f))
      assert.equal('{"n":1}', same.json)
      assert.equal("e", same.etag)
      assert.equal("GET", methods_of(asked))
    end
  end)

  it("comes out with what its function raises, and puts nothing", function()
    local client, asked = open { read('{"n":1}', "e"), read('{"n":1}', "e"), read('{"n":1}') }
    raises("no thanks", client.update, client, "o", function() error "no thanks" end)
    raises("no JSON object", client.update, client, "o", function(o) o.json = "[" end)
    raises("if_match = '*'", client.update, client, "o", bump)
    assert.equal("GET GET GET", methods_of(asked))
  end)

  it("overwrites an offer without an etag only when asked", function()
    local client, asked = open { read '{"n":1}', reply(200) }
    assert(client:update("o", bump, { if_match = "*" }))
    assert.equal("*", asked[2][2])
  end)

  it("tells in its error which exchange it speaks of", function()
    local client = open { read('{"n":1}', "e1"), reply(412, '{"error":{"message":"old"}}'),
      reply(403, '{"error":{"message":"not yours"}}') }
    local err = fails("forbidden", client:update("o", bump))
    assert.equal(403, err.http_status)
    assert.truthy(err.message:find("not yours", 1, true))
    assert.equal("no", err.sent)
  end)

  it("says of a part that was not sent that it was not", function()
    local client = open { read('{"n":1}', "e1"), reply(412), reply(503, "", { ["Retry-After"] = "40" }) }
    local err = fails({ "deadline", "server_error" }, client:update("o", bump, { timeout = 30 }))
    assert.equal("no", err.sent)
    local tokens = 0
    client = open({ read('{"n":1}', "e1"), reply(412, '{"error":{"code":"Etag"}}') }, {
      token = function()
        tokens = tokens + 1
        if tokens > 2 then return nil, "no token now" end
        return "secret"
      end,
    })
    err = fails("credential", client:update("o", bump))
    assert.is_nil(err.http_status)
    assert.is_nil(err.service_code)
    assert.truthy(err.message:find("no token now", 1, true))
  end)

  it("has as many repetitions for each edit", function()
    local client, asked = open({ read('{"n":1}', "e1"), unsent, reply(412), read('{"n":1}', "e2"),
      unsent, reply(200) }, { retries = 1 })
    assert(client:update("o", bump))
    assert.equal("GET PUT PUT GET PUT PUT", methods_of(asked))
  end)

  it("tells of nothing left out where nothing was put", function()
    local seen
    local client = open { read('{"microsoft-azure-corevm.legacyOfferId":1,"n":1}', "e1"), reply(412),
      read('{"n":1}', "e2") }
    local put = assert(client:update("o", function(o)
      seen = o
      if o.etag == "e2" then return false end
      bump(o)
    end))
    assert.is_nil(seen.left_out)
    assert.is_nil(put.left_out)
  end)

  it("raises for an etag that could not be sent", function()
    local client, asked = open {}
    raises("update: an etag", client.update, client, "o", bump, { if_match = "" })
    assert.equal(0, #asked)
  end)

  it("raises for what is no function", function()
    local client, asked = open {}
    raises("bad argument 'f'", client.update, client, "o", {})
    raises("unknown option", client.update, client, "o", bump, { create = true })
    assert.equal(0, #asked)
  end)

  it("has a function that may call anything, close included", function()
    local client = open { read('{"n":1}', "e"), read("{}", "x"), reply(200) }
    assert(client:update("o", function(o)
      assert.equal("{}", client:offer("other").json)
      bump(o)
    end))
    client = open { read('{"n":1}', "e") }
    fails("canceled", client:update("o", function() client:close() end))
  end)
end)

describe("against the service", function()
  local service = live.service("--speed", "600")

  it("nothing but the edited bytes differ, whatever an offer holds", function()
    local client = service.client()
    local text = [[{
  "offerTypeId" : "microsoft-azure-virtualmachines", "publisherId":"contoso", "id":"spec-bytes",
  "definition": { "plans": [ { "planId":"p", "empty": [ ], "none":{ },
     "microsoft-azure-virtualmachines.vmImages": {"1.0.0":{"osVhdUrl":
       "https:\/\/a.blob.core.windows.net/v/i.vhd?sv=2017&sig=a%2Bb%3D&se=2018-01-01T00%3A00%3A00Z"}},
     "big": 636576975611768314, "small": 1.10E-7, "ünï": "\ud83d\ude00 \u003c" } ] } }]]
    local made = assert(client:put_offer("spec-bytes", text, { if_match = "*" }))
    assert.equal(text, made.json)
    local put = assert(client:update("spec-bytes", function(o)
      o:set("/definition/plans/0/none/a.b~1c", cjson.null)
      o:append("/definition/plans/0/empty", "x")
    end))
    local expected = text:gsub("%[ %]", '["x" ]'):gsub('"none":{ }', '"none":{"a.b/c":null }')
    local stored = assert(client:offer "spec-bytes")
    assert.equal(put.json, stored.json)
    assert.same({}, stored:diff(expected))
    local removed = stored:remove "/definition/plans/0/none/a.b~1c"
      :remove "/definition/plans/0/empty/0"
    assert.equal((text:gsub("%s", "")), (removed.json:gsub("%s", "")))
    assert(client:put_offer("spec-bytes", removed))
  end)

  it("a legacy offer goes back without what is refused", function()
    local client = service.client()
    local put = assert(client:update("contoso-legacy", function(o)
      o:set("/definition/displayText", "again")
    end))
    assert.equal(2, #put.left_out)
    fails("invalid_request", client:put_offer("contoso-legacy",
      put:set("/definition/microsoft-azure-corevm.legacyOfferId", "x"), { leave_out = false }))
  end)

  it("two that update one offer at the same time lose nothing", function()
    local async = require "cloudpartner.async"
    local client = service.client()
    assert(client:update("spec-race", function(o) o:set("/definition/count", 0) end))
    local function bump(wrapped)
      return assert(wrapped:update("spec-race", function(o)
        o:set("/definition/count", o:get "/definition/count" + 1)
      end))
    end
    for _, result in ipairs(async.run(client, bump, bump, bump)) do
      assert.is_true(result.ok, tostring(result.error))
    end
    assert.equal(3, client:offer("spec-race"):get "/definition/count")
  end)

  it("a PUT whose answer is lost is stored once, and known to be", function()
    local client = service.client { retries = 0 }
    local o = assert(client:offer "spec-lost")
    o:set("/definition/displayText", "kept")
    service.order { method = "PUT", close = true, take = true }
    local put = assert(client:put_offer("spec-lost", o))
    assert.equal("kept", put:get "/definition/displayText")
    assert.equal(put.etag, client:offer("spec-lost").etag)
    service.order { method = "PUT", close = true }
    local err = fails("ambiguous", client:put_offer("spec-lost",
      put:set("/definition/displayText", "not kept")))
    assert.equal("maybe", err.sent)
    assert.equal("kept", client:offer("spec-lost"):get "/definition/displayText")
  end)

  it("update's function may yield in a coroutine that awaits", function()
    local async = require "cloudpartner.async"
    local client = service.client()
    local results = async.run(client, function(wrapped)
      return wrapped:update("spec-yield", function(o)
        assert(wrapped:offer_status "spec-yield")
        o:set("/definition/displayText", "from a coroutine")
      end)
    end)
    assert.is_true(results[1].ok, tostring(results[1].error))
    assert.equal("from a coroutine", results[1][1]:get "/definition/displayText")
  end)
end)
