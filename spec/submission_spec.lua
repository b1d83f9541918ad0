-- Submissions without I/O: what is read before the POST, what is looked up after it, what
-- is adopted, and what an intent finds again. The clock is the spec's.

local cjson = require "cjson"
local cloudpartner = require "cloudpartner"

local OFFER = "contoso-offer"
local ORIGIN = "https://cloudpartner.azure.com"
local OFFERS = "/api/publishers/contoso/offers/" .. OFFER
local NOW = 1522100760 -- 2018-03-26T21:46:00Z

local function reply(status, body, headers)
  return { status = status, headers = headers or {}, body = body or "" }
end

local function accepted(location) return reply(202, "", { Location = location }) end

-- The service's time of a beginning: 100 ns since the year 1, more than a double holds.
local function ticks(time) return ("%d0000000"):format(time + 62135596800) end

-- The text of an entry. What it leaves out is left out: `version` and `changedTime` too.
local function entry(id, traits)
  traits = traits or {}
  local members = {
    ('"id":%q'):format(id),
    ('"submissionType":%q'):format(traits.kind or "golive"),
    ('"submissionState":%q'):format(traits.state or "running"),
  }
  if traits.began then members[#members + 1] = '"version":' .. ticks(traits.began) end
  if traits.changed then
    members[#members + 1] = os.date('!"changedTime":"%Y-%m-%dT%H:%M:%S.1234567Z"', traits.changed)
  end
  return "{" .. table.concat(members, ",") .. "}"
end

local function list(...) return reply(200, "[" .. table.concat({ ... }, ",") .. "]") end

local function lost() return nil, "connection reset", "network" end

-- A service whose lists and other answers come in turn, the last of each for ever. `asked`
-- holds "GET submissions" and the like.
local function open(lists, others, options)
  local asked, time, slept = {}, { at = NOW }, {}
  local function next_of(answers)
    local answer = #answers > 1 and table.remove(answers, 1) or answers[1]
    if type(answer) == "function" then return answer() end
    return answer
  end
  local given = {
    publisher = "contoso", token = "secret", retries = 2,
    now = function() return time.at end,
    random = function() return 0.5 end,
    sleep = function(seconds)
      slept[#slept + 1] = seconds
      time.at = time.at + seconds
    end,
    transport = function(request)
      local path = request.url:match "^https://[^/]+([^?]*)"
      asked[#asked + 1] = request.method .. " " .. path:gsub("/$", ""):match "[^/]+$"
      return next_of(path:find "/submissions/$" and lists or others)
    end,
  }
  for name, value in pairs(options or {}) do given[name] = value end
  return cloudpartner.new(given), asked, slept, time
end

local function total(numbers)
  local sum = 0
  for _, number in ipairs(numbers) do sum = sum + number end
  return sum
end

local function fails(code, result, err)
  assert.is_nil(result)
  assert.equal(code, err.code, tostring(err))
  return err
end

local function raises(text, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(message):find(text, 1, true), tostring(message))
end

describe("before a submission", function()
  it("the list is read, and nothing is sent when it can't be", function()
    local client, asked = open({ list() }, { accepted(OFFERS .. "/operations/a") })
    assert(client:golive(OFFER))
    assert.same({ "GET submissions", "POST golive" }, asked)
    for code, answer in pairs { server_error = reply(500), forbidden = reply(403, "{}"),
                                protocol = reply(200, "no list") } do
      client, asked = open({ answer }, { accepted(OFFERS .. "/operations/a") })
      local err = fails(code, client:golive(OFFER))
      assert.equal("no", err.sent)
      assert.is_nil(err.intent)
      for _, request in ipairs(asked) do assert.equal("GET submissions", request) end
    end
  end)

  it("no list is read where that is not wished", function()
    local client, asked = open({ list() }, { lost })
    fails("ambiguous", client:golive(OFFER, { reconcile = false }))
    assert.same({ "POST golive" }, asked)
  end)

  it("the ids of the list are in the intent", function()
    local client = open({ list(entry "b", entry "a", entry "b") }, { lost })
    local intent
    fails("ambiguous", client:golive(OFFER, {
      reconcile = 0, before_send = function(given) intent = given end,
    }))
    assert.same({ "a", "b" }, intent.seen)
    assert.equal("2018-03-26T21:46:00.000Z", intent.time)
  end)
end)

describe("an unclear submission", function()
  local unclear = {
    ["a reset"] = lost,
    ["a timeout"] = function() return nil, "no answer", "timeout" end,
    ["500"] = reply(500), ["502"] = reply(502), ["504"] = reply(504), ["408"] = reply(408),
    ["503 alone"] = reply(503),
    ["a 202 without a URL"] = reply(202),
    ["a 202 with another origin's URL"] = accepted "https://example.com/api/x",
    ["a 202 with the URL of what was there before"] = accepted(OFFERS .. "/operations/old"),
  }

  for name, answer in pairs(unclear) do
    it("is adopted when the list has a new one: " .. name, function()
      local client, asked = open({ list(entry "old"), list(entry "new", entry "old") }, { answer })
      local operation = assert(client:golive(OFFER))
      assert.same({ "GET submissions", "POST golive", "GET submissions" }, asked)
      assert.equal("new", operation.id)
      assert.is_true(operation.adopted)
      assert.is_false(operation.done)
      assert.equal(ORIGIN .. OFFERS .. "/operations/new?api-version=2017-10-31", operation.url)
      assert.equal("2018-03-26T21:46:00.000Z", operation.submitted_at)
    end)

    it("stays unclear when the list has none: " .. name, function()
      local client, asked, slept = open({ list(entry "old") }, { answer })
      local untrusted = name:find "another origin"
      local err = fails(untrusted and "untrusted_url" or "ambiguous", client:golive(OFFER))
      assert.is_true(err.sent ~= "no")
      assert.is_false(err.retryable)
      assert.equal(30, total(slept))
      local posts = 0
      for _, request in ipairs(asked) do posts = posts + (request == "POST golive" and 1 or 0) end
      assert.equal(1, posts)
      assert.same({ "old" }, err.intent.seen)
    end)
  end

  it("is looked up for as long as is wished, and a last time then", function()
    local lists = { list(), list(), list(), list(entry "new") }
    local client, asked, slept = open(lists, { lost }, { retry_delay = 2 })
    assert(client:golive(OFFER, { reconcile = 4 }))
    assert.same({ 1.5, 2.5 }, { slept[1], slept[2] })
    assert.equal(4, total(slept))
    assert.equal(5, #asked)
    client, asked = open({ list(), list(entry("old", { state = "failed" })) }, { lost })
    local operation = assert(client:golive(OFFER, { reconcile = 0 }))
    assert.is_true(operation.done)
    assert.equal(3, #asked)
  end)

  it("outlasts lists that fail", function()
    local lists = { list(), reply(503, "", { ["Retry-After"] = "3" }), lost, reply(200, "<p>"),
                    list(entry "new") }
    local client, _, slept = open(lists, { lost })
    assert.equal("new", assert(client:golive(OFFER)).id)
    assert.equal(3, slept[1])
    client = open({ list(), reply(500) }, { reply(502, '{"error":{"message":"bad gateway"}}') })
    local err = fails("ambiguous", client:golive(OFFER))
    assert.equal(502, err.http_status)
    assert.equal("bad gateway", err.message)
  end)

  it("asks no faster than five times a second", function()
    local lists = { list(), reply(503, "", { ["Retry-After"] = "0" }) }
    local client, asked = open(lists, { lost }, { retry_delay = 0 })
    fails("ambiguous", client:golive(OFFER, { reconcile = 10 }))
    assert.is_true(#asked > 50 and #asked <= 2 + 51, tostring(#asked))
  end)

  it("is no other kind, and no offer's newest by right", function()
    local client = open({ list(entry "old"), list(entry("p", { kind = "publish" }), entry "old") },
      { lost })
    fails("ambiguous", client:golive(OFFER))
    client = open({ list(), list(entry("p", { kind = "publish" }), entry "new") }, { lost })
    assert.equal("new", assert(client:golive(OFFER)).id)
  end)

  it("is none of several", function()
    local client = open({ list(), list(entry "b", entry "a", entry "b") }, { lost })
    local err = fails("ambiguous", client:golive(OFFER))
    assert.same({ "a", "b" }, err.details)
    assert.truthy(tostring(err):find "2 operations")
    client = open({ list(), list(entry "a", entry "a") }, { lost })
    assert.equal("a", assert(client:golive(OFFER)).id)
  end)

  it("is told in the log", function()
    local kinds = {}
    local client = open({ list(), list(), list(entry "new") }, { lost }, {
      log = function(event) kinds[#kinds + 1] = event.kind end,
    })
    assert(client:golive(OFFER))
    assert.equal("request answer request answer reconcile request answer reconcile "
      .. "request answer", table.concat(kinds, " "))
  end)

  it("keeps its intent and what is known when it is canceled", function()
    local client, _, _, time = open({ list(entry "old"), list() }, { lost })
    local task = client:start("golive", OFFER)
    for _ = 1, 3 do client:step() end
    task:cancel()
    local err = fails("canceled", task:result())
    assert.equal("maybe", err.sent)
    assert.same({ "old" }, err.intent.seen)
    task = client:start("golive", OFFER, { timeout = 10 })
    while client:step() > 0 do time.at = time.at + client:timeout() end
    err = fails("deadline", task:result())
    assert.equal("maybe", err.sent)
    assert.is_false(err.retryable)
    assert.truthy(err.intent)
  end)
end)

describe("a definite answer", function()
  for status, code in pairs { [400] = "invalid_request", [409] = "conflict",
                              [422] = "invalid_request" } do
    it(status .. " names what runs", function()
      local running = list(entry("p", { kind = "publish" }), entry("old", { state = "failed" }))
      local client, asked, slept = open({ list(), running }, { reply(status, '{"a":1}') })
      local err = fails(code, client:golive(OFFER))
      assert.same({ "GET submissions", "POST golive", "GET submissions" }, asked)
      assert.same({ "p", "publish" }, { err.operation.id, err.operation.kind })
      assert.equal(ORIGIN .. OFFERS .. "/operations/p?api-version=2017-10-31", err.operation.url)
      assert.equal(status, err.http_status)
      assert.equal(1, err.details.a)
      assert.equal("yes", err.sent)
      assert.same({}, slept)
    end)
  end

  it("stays what it is when nothing runs, or no list tells", function()
    for _, lists in ipairs { { list(), list(entry("old", { state = "complete" })) },
                             { list(), reply(403) } } do
      local client = open(lists, { reply(409) })
      local err = fails("conflict", client:golive(OFFER))
      assert.is_nil(err.operation)
      assert.equal(409, err.http_status)
    end
  end)

  it("is what the call ends with when its time is over meanwhile", function()
    local given, _, slept, time = open({}, {})
    given:close()
    local lists = { list(), function() time.at = time.at + 60 return lost() end }
    local client = open(lists, { reply(409) }, { now = function() return time.at end })
    fails("conflict", client:golive(OFFER, { timeout = 30 }))
    assert.same({}, slept)
  end)

  it("of another kind asks nothing more", function()
    local client, asked = open({ list() }, { reply(404) })
    local err = fails("not_found", client:golive(OFFER))
    assert.equal("without explanation", err.message)
    assert.equal(2, #asked)
  end)
end)

describe("an accepted submission", function()
  local NAMELESS = "/api/operations/contoso$contoso-offer$2$preview"

  it("has the list's id where its URL has none", function()
    local client, asked = open({ list(entry "old"), list(entry "new", entry "old") },
      { accepted(NAMELESS) })
    local operation = assert(client:golive(OFFER))
    assert.equal("new", operation.id)
    assert.is_false(operation.adopted)
    assert.truthy(operation.url:find(NAMELESS, 1, true))
    assert.equal(3, #asked)
  end)

  it("is accepted all the same when the list has no id for it", function()
    for _, second in ipairs { list(), reply(500), list(entry "a", entry "b") } do
      local client, asked = open({ list(), second }, { accepted(NAMELESS) })
      assert.is_nil(assert(client:golive(OFFER)).id)
      assert.equal(3, #asked)
    end
  end)

  it("is polled when its 202 says, even by another process", function()
    local hinted = accepted(OFFERS .. "/operations/a")
    hinted.headers["Retry-After"] = "20"
    local done = reply(200, '{"status":"succeeded"}')
    local client, _, slept, time = open({ list() }, { hinted, done })
    local operation = assert(client:golive(OFFER))
    local saved = cjson.decode(cjson.encode(operation))
    time.at = time.at + 5
    assert(client:wait(saved))
    assert.same({ 15 }, slept)
    assert(client:wait(saved))
    saved.poll_after = "2999-01-01T00:00:00Z"
    assert(client:wait(saved))
    assert.same({ 15, 3600 }, slept)
  end)
end)

describe("adopt", function()
  local golive = { accepted(OFFERS .. "/operations/a") }
  local HOUR = 3600

  it("takes what already runs, of that kind", function()
    for _, adopt in ipairs { "running", NOW } do
      local client, asked = open({ list(entry("p", { kind = "publish" }),
        entry("r", { began = NOW - HOUR })) }, golive)
      local operation = assert(client:golive(OFFER, { adopt = adopt }))
      assert.equal("r", operation.id)
      assert.is_true(operation.adopted)
      assert.equal("2018-03-26T20:46:00.000Z", operation.submitted_at)
      assert.same({ "GET submissions" }, asked)
    end
  end)

  it("submits when nothing of that kind runs", function()
    local ended = entry("e", { state = "complete", began = NOW + 1, changed = NOW + 1 })
    local preview = entry("p", { kind = "publish", state = "waitingForPublisherReview" })
    local client, asked = open({ list(ended, preview) }, golive)
    assert.equal("a", assert(client:golive(OFFER, { adopt = "running" })).id)
    assert.is_false(assert(client:publish(OFFER, { adopt = "running" })).adopted)
    assert.same({ "GET submissions", "POST golive", "GET submissions", "POST publish" }, asked)
  end)

  it("takes what began since then and has ended", function()
    for _, state in ipairs { "complete", "failed" } do
      local ended = entry("e", { state = state, began = NOW, changed = NOW + 60 })
      local client, asked = open({ list(ended) }, golive)
      local operation = assert(client:golive(OFFER, { adopt = NOW }))
      assert.equal("e", operation.id)
      assert.is_true(operation.done)
      assert.same({ "GET submissions" }, asked)
    end
  end)

  it("does not take what began before, however lately it changed", function()
    local ended = entry("e", { state = "complete", began = NOW - 60, changed = NOW + 60 })
    local client, asked = open({ list(ended) }, golive)
    assert.equal("a", assert(client:golive(OFFER, { adopt = NOW })).id)
    assert.same({ "GET submissions", "POST golive" }, asked)
  end)

  local function created(time)
    return reply(200, os.date('!{"status":"succeeded","createdDateTime":"%Y-%m-%dT%H:%M:%SZ"}', time))
  end

  it("asks when the list does not say when it began", function()
    local ended = entry("e", { state = "complete", changed = NOW + 60 })
    local client, asked = open({ list(ended) }, { created(NOW + 5) })
    local operation = assert(client:golive(OFFER, { adopt = NOW }))
    assert.same({ "e", true }, { operation.id, operation.done })
    assert.same({ "GET submissions", "GET e" }, asked)
    client, asked = open({ list(ended) }, { created(NOW - 5), golive[1] })
    assert.equal("a", assert(client:golive(OFFER, { adopt = NOW })).id)
    assert.same({ "GET submissions", "GET e", "POST golive" }, asked)
  end)

  it("asks nothing about what changed last before", function()
    local ended = entry("e", { state = "complete", changed = NOW - 60 })
    local client, asked = open({ list(ended) }, golive)
    assert.equal("a", assert(client:golive(OFFER, { adopt = NOW })).id)
    assert.same({ "GET submissions", "POST golive" }, asked)
  end)

  it("sends nothing when nobody says when it began", function()
    local ended = entry("e", { state = "complete", changed = NOW + 60 })
    local client, asked = open({ list(ended) }, { reply(200, '{"status":"succeeded"}') })
    local err = fails("ambiguous", client:golive(OFFER, { adopt = NOW }))
    assert.equal("no", err.sent)
    assert.same({ "e" }, err.details)
    assert.same({ "GET submissions", "GET e" }, asked)
  end)

  it("counts by the service's clock", function()
    local ahead = 7200
    local function listed(began)
      local answer = list(entry("e", { state = "complete", began = began }))
      answer.headers.Date = os.date("!%a, %d %b %Y %H:%M:%S GMT", NOW + ahead)
      return answer
    end
    local client = open({ listed(NOW + ahead + 5) }, golive)
    assert.equal("e", assert(client:golive(OFFER, { adopt = NOW })).id)
    client = open({ listed(NOW + ahead - 60) }, golive)
    assert.equal("a", assert(client:golive(OFFER, { adopt = NOW })).id)
  end)
end)

describe("an intent", function()
  local function intent(more)
    local saved = {
      format = 1, api = "cloudpartner/2017-10-31", kind = "golive", publisher = "contoso",
      offer = OFFER, client_request_id = "mine", time = "2018-03-26T21:46:00.000Z",
      seen = { "old" },
    }
    for name, value in pairs(more or {}) do saved[name] = value or nil end
    return saved
  end

  it("finds its submission, running or ended, and never sends", function()
    for _, state in ipairs { "running", "complete" } do
      local client, asked = open({ list(), list(entry("new", { state = state }), entry "old") }, {})
      local operation = assert(client:resume(cjson.decode(cjson.encode(intent()))))
      assert.equal("new", operation.id)
      assert.is_true(operation.adopted)
      assert.equal(state == "complete", operation.done)
      assert.equal("2018-03-26T21:46:00.000Z", operation.submitted_at)
      assert.same({ "GET submissions", "GET submissions" }, asked)
    end
  end)

  it("is ambiguous when the list does not have it", function()
    local client, _, slept = open({ list(entry "old") }, {})
    local err = fails("ambiguous", client:resume(intent()))
    assert.same({ "maybe", "mine", 30 }, { err.sent, err.client_request_id, total(slept) })
    assert.same({ "old" }, err.intent.seen)
    fails("ambiguous", client:resume(intent(), { reconcile = 1 }))
    assert.equal(31, total(slept))
  end)

  it("of a submission without a list goes by its time", function()
    local client = open({ list(entry("new", { began = NOW + 1 }), entry("old", { began = NOW - 9 })) },
      {})
    assert.equal("new", assert(client:resume(intent { seen = false })).id)
  end)

  it("to cancel is watched", function()
    local client, asked = open({}, {})
    local cancel = assert(client:resume(intent { kind = "cancel", cancels = "b" }))
    assert.same({ "cancel", "b" }, { cancel.kind, cancel.cancels })
    assert.truthy(cancel.url:find("/operations/b?", 1, true))
    assert.same({}, asked)
  end)

  it("can be looked up without waiting", function()
    local client = open({ list(entry "new") }, {})
    local task = client:start("resume", intent())
    while client:step() > 0 do assert.is_false(task:done()) end
    assert.equal("new", task:result().id)
    task = client:start("resume", OFFERS .. "/operations/a")
    assert.is_true(task:done())
    assert.equal("a", task:result().id)
  end)

  local wrong = {
    ["'seen' must be a list of ids"] = { seen = "old" },
    ["'seen' must be a list of ids "] = { seen = { 5 } },
    ["'seen' must be a list of ids  "] = { seen = { "a\nb" } },
    ["'format' is not 1"] = { format = 2 },
    ["'offer' is no id"] = { offer = "../x" .. ("y"):rep(10) .. "\n" },
    ["'offer' is too long"] = { offer = ("o"):rep(2 ^ 20) },
    ["without 'offer'"] = { offer = false },
    ["'kind' must be"] = { kind = "delete" },
    ["'time' is not a time"] = { time = "soon" },
    ["without 'seen' and 'time'"] = { time = false, seen = false },
    ["without 'cancels'"] = { kind = "cancel" },
    ["'client_request_id' must be a string"] = { client_request_id = {} },
  }
  for text, change in pairs(wrong) do
    it("is refused before any I/O: " .. text, function()
      local client, asked = open({ list() }, {})
      raises(text:gsub(" +$", ""), client.resume, client, intent(change))
      assert.same({}, asked)
    end)
  end
end)

describe("a wait", function()
  local function operation(more)
    local saved = {
      kind = "golive", publisher = "contoso", offer = OFFER, id = "a",
      url = OFFERS .. "/operations/a", submitted_at = "2018-03-26T21:46:00Z",
    }
    for name, value in pairs(more or {}) do saved[name] = value end
    return saved
  end

  it("is not misled by a wall clock that jumps", function()
    local client = open({ list() }, { reply(404), reply(200, '{"status":"succeeded"}') })
    assert.equal("succeeded", assert(client:wait(operation())).state)
    client = open({ list() }, { reply(404) })
    fails("operation_lost", client:wait(operation { submitted_at = "2018-03-26T21:44:00Z" }))
  end)

  it("of an offer's operation is lost when versions go back, though its id is known", function()
    local function version(word, n)
      return reply(200, ('{"status":"%s","publishingVersion":%d}'):format(word, n))
    end
    local named = operation { url = "/api/operations/contoso$contoso-offer$2$preview" }
    local client = open({ list() }, { version("running", 3), version("succeeded", 2) })
    fails("operation_lost", client:wait(named))
  end)

  it("goes where the list's id is when a URL is gone", function()
    local moved = operation { url = "/api/elsewhere", submitted_at = "2018-03-26T20:46:00Z" }
    local client, asked = open({ list(entry "a") }, { reply(410), reply(200, '{"status":"complete"}') })
    assert(client:wait(moved))
    assert.same({ "GET elsewhere", "GET submissions", "GET a" }, asked)
  end)
end)
