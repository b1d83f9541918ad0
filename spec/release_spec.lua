-- From draft to live: without I/O, against a service of the spec's own; and over a socket.

local cjson = require "cjson"
local cloudpartner = require "cloudpartner"
local live = require "spec.host.live"

local unpack = table.unpack or unpack
local fails = live.fails

local OFFERS = "/api/publishers/contoso/offers/"

local function raises(text, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(message):find(text, 1, true), tostring(message))
end

local function reply(status, body, headers)
  return { status = status, headers = headers or {}, body = body or "" }
end

-- A service with one offer: its slots are texts, its operations the newest first. Each poll
-- takes an operation a word further. `asked` lists what was asked for.
local function new_service(slots, operations)
  local service = { slots = slots, operations = operations or {}, asked = {}, bodies = {} }
  local ways = {
    publish = { "running", "waitingForPublisherReview" },
    golive = { "running", "succeeded" },
  }

  function service.find(id)
    for _, operation in ipairs(service.operations) do
      if operation.id == id then return operation end
    end
  end

  function service.move(operation)
    local way = service.way or ways[operation.kind] or { "running" }
    for i, word in ipairs(way) do
      if operation.state == word and way[i + 1] then operation.state = way[i + 1] break end
    end
    if operation.state == "waitingForPublisherReview" then service.slots.preview = operation.text end
    if operation.state == "succeeded" then service.slots.production = operation.text end
  end

  function service.submit(kind)
    local newest = service.operations[1]
    if newest and newest.state == "running" then return reply(409) end
    local text = kind == "publish" and service.slots.draft or service.slots.preview
    local operation = { id = kind .. #service.operations + 1, kind = kind, state = "running",
      text = text }
    table.insert(service.operations, 1, operation)
    return reply(202, "", { Location = OFFERS .. "o/operations/" .. operation.id })
  end

  local function list()
    local entries = {}
    for i, operation in ipairs(service.operations) do
      entries[i] = ('{"id":%q,"submissionType":%q,"submissionState":%q}')
        :format(operation.id, operation.kind, operation.state)
    end
    return reply(200, "[" .. table.concat(entries, ",") .. "]")
  end

  local function slot(name)
    local text = service.slots[name]
    return text and reply(200, text) or reply(404, '{"error":{"message":"nothing there"}}')
  end

  local function answer(method, what, id)
    if method == "POST" then return service.submit(what) end
    if what == "status" then
      local newest = service.operations[1]
      return reply(200, ('{"status":%q}'):format(newest and newest.state or "neverPublished"))
    end
    if what == "submissions" then return list() end
    if what == "operations" then
      local operation = service.find(id)
      service.move(operation)
      return reply(200, ('{"status":%q,"id":%q}'):format(operation.state, id))
    end
    return slot(id or "draft")
  end

  function service.transport(request)
    local path = request.url:match "^https://[^/]+([^?]*)"
    local what, id = path:match "^/api/publishers/contoso/offers/o/?([^/]*)/?([^/]*)"
    local name = request.method == "POST" and "POST " .. what
      or what == "" and "draft" or what == "slot" and id or what
    service.asked[#service.asked + 1] = name
    service.bodies[#service.bodies + 1] = request.body
    local fault = service.fault and service.fault(name, request)
    if fault then return unpack(fault) end
    return answer(request.method, what, id ~= "" and id or nil)
  end

  return service
end

local function client_of(service, options)
  local time = 1500000000
  local given = {
    publisher = "contoso", token = "secret", retries = 1, transport = service.transport,
    now = function() return time end,
    random = function() return 0.5 end,
    sleep = function(seconds) time = time + seconds end,
  }
  for name, value in pairs(options or {}) do given[name] = value end
  return cloudpartner.new(given)
end

local LOOK = { "status", "submissions", "draft", "production", "preview" }

local function asked_for(service, ...)
  local expected = {}
  for _, part in ipairs { ... } do
    if type(part) == "string" then part = { part } end
    for _, name in ipairs(part) do expected[#expected + 1] = name end
  end
  assert.same(expected, service.asked)
end

local function phases_of(client, options)
  local phases = {}
  options = options or {}
  options.on_progress = function(status, phase)
    phases[#phases + 1] = phase .. " " .. status.state
  end
  local status, err = client:release("o", options)
  return phases, status, err
end

describe("release", function()
  it("publishes, goes live, and tells each phase", function()
    local service = new_service { draft = '{"a":1}' }
    local phases, status = phases_of(client_of(service))
    assert.equal("succeeded", assert(status).state)
    assert.equal("live", status.phase)
    assert.same({ "preview waiting_for_publisher", "live succeeded" }, phases)
    asked_for(service, LOOK, "submissions", "POST publish", "operations", "submissions",
      "POST golive", "operations")
  end)

  it("tells each change of what is under way, with its phase", function()
    local service = new_service { draft = "{}", preview = "{}" }
    service.way = { "running", "inProgress", "inProgress", "succeeded" }
    service.find = function() return service.operations[1] end
    local word = 0
    service.move = function(operation)
      word = word + 1
      operation.state = service.way[word]
      if operation.state == "succeeded" then service.slots.production = operation.text end
    end
    assert.same({ "preview not_started", "golive running", "golive running", "live succeeded" },
      (phases_of(client_of(service))))
  end)

  it("does nothing for what is live, whatever the service wrote into it", function()
    local service = new_service {
      draft = '{"definition":{"a":[1,{}]},"version":9,"changedTime":"x","status":"s"}',
      production = '{"version":3, "slot":"production", "definition": {"a":[1.0,{}] }}',
    }
    local phases, status = phases_of(client_of(service))
    assert.equal("live", assert(status).phase)
    assert.same({ "live not_started" }, phases)
    asked_for(service, { "status", "submissions", "draft", "production" })
  end)

  it("goes live with a preview that is the draft", function()
    local service = new_service({ draft = "{}", preview = "{}", production = '{"old":1}' },
      { { id = "p", kind = "publish", state = "waitingForPublisherReview" } })
    local asked_about
    local phases, status = phases_of(client_of(service), {
      confirm = function(of)
        asked_about = of.state
        return true
      end,
    })
    assert.equal("live", assert(status).phase)
    assert.equal("waiting_for_publisher", asked_about)
    assert.same({ "preview waiting_for_publisher", "live succeeded" }, phases)
    asked_for(service, LOOK, "submissions", "POST golive", "operations")
  end)

  it("publishes anew when the preview is not the draft", function()
    local service = new_service({ draft = '{"a":2}', preview = '{"a":1}' },
      { { id = "p", kind = "publish", state = "waitingForPublisherReview" } })
    local _, status = phases_of(client_of(service))
    assert.equal("live", assert(status).phase)
    assert.equal('{"a":2}', service.slots.production)
  end)

  it("stops at the preview when it is told to", function()
    for _, no in ipairs { false, "nil" } do
      local service = new_service { draft = "{}" }
      local _, status = phases_of(client_of(service), {
        confirm = function() if no == false then return false end end,
      })
      assert.equal("preview", assert(status).phase)
      assert.equal("waiting_for_publisher", status.state)
      for _, name in ipairs(service.asked) do assert.not_equal("POST golive", name) end
    end
  end)

  it("follows a publish that is under way, and looks again", function()
    local service = new_service({ draft = "{}" },
      { { id = "p", kind = "publish", state = "running", text = "{}" } })
    local phases, status = phases_of(client_of(service))
    assert.equal("live", assert(status).phase)
    assert.same({ "preview waiting_for_publisher", "live succeeded" }, phases)
    asked_for(service, { "status", "submissions", "draft", "production", "operations" }, LOOK,
      "submissions", "POST golive", "operations")
  end)

  it("has nothing to do with an operation on an offer whose draft is live", function()
    local service = new_service({ draft = "{}", production = "{}" },
      { { id = "p", kind = "publish", state = "running", text = "{}" } })
    local client = client_of(service)
    assert.same({ offer = "o", next = "nothing", differences = {} },
      assert(client:release("o", { dry_run = true })))
    assert.equal("live", assert(client:release "o").phase)
    for _, asked in ipairs(service.asked) do assert.not_equal("operations", asked) end
  end)

  it("tells its functions which offer it is", function()
    local told = {}
    assert(client_of(new_service { draft = "{}" }):release("o", {
      on_progress = function(_, phase, offer) told[#told + 1] = phase .. " " .. offer end,
      confirm = function(_, offer)
        told[#told + 1] = "confirm " .. offer
        return true
      end,
    }))
    assert.same({ "preview o", "confirm o", "live o" }, told)
  end)

  it("follows a go live that is under way, and looks again", function()
    local service = new_service({ draft = "{}", preview = "{}" },
      { { id = "g", kind = "golive", state = "running", text = "{}" } })
    local phases, status = phases_of(client_of(service))
    assert.equal("live", assert(status).phase)
    assert.same({ "live succeeded" }, phases)
    asked_for(service, { "status", "submissions", "draft", "production", "operations" },
      { "status", "submissions", "draft", "production" })
  end)

  it("publishes what was edited while another version went live", function()
    local service = new_service({ draft = '{"a":2}', preview = '{"a":1}' },
      { { id = "g", kind = "golive", state = "running", text = '{"a":1}' } })
    local _, status = phases_of(client_of(service))
    assert.equal("live", assert(status).phase)
    assert.equal('{"a":2}', service.slots.production)
    assert.equal(3, #service.operations)
  end)

  it("does not submit beside an operation that it can't follow", function()
    local service = new_service({ draft = "{}" },
      { { id = "x", kind = "delist", state = "running" } })
    local err = fails("conflict", client_of(service):release "o")
    assert.equal("x", err.operation.id)
    assert.equal("no", err.sent)
    asked_for(service, { "status", "submissions", "draft", "production" })
  end)

  it("takes an operation that began after its look for its own", function()
    local service = new_service { draft = "{}" }
    local lists = 0
    service.fault = function(name)
      lists = lists + (name == "submissions" and 1 or 0)
      if lists == 2 and #service.operations == 0 then service.submit "publish" end
    end
    local _, status = phases_of(client_of(service))
    assert.equal("live", assert(status).phase)
    assert.equal(2, #service.operations)
    for _, name in ipairs(service.asked) do assert.not_equal("POST publish", name) end
  end)

  it("has the operation under way in its error, and goes on from there", function()
    local service = new_service { draft = "{}" }
    service.way = { "running" }
    local client = client_of(service)
    local err = fails("deadline", client:release("o", { timeout = 100 }))
    assert.equal("publish1", err.operation.id)
    assert.equal("running", err.last_status.state)
    assert.equal("publish", err.phase)
    assert.equal("release contoso/o", err.call)
    assert.is_nil(err.intent)
    service.way = nil
    assert.equal("live", assert(client:release "o").phase)
    assert.equal(2, #service.operations)
  end)

  it("fails as the operation does, and as its submission does", function()
    local service = new_service { draft = "{}" }
    service.way = { "running", "failed" }
    local err = fails("operation_failed", client_of(service):release "o")
    assert.equal("publish1", err.operation.id)
    service = new_service { draft = "{}" }
    service.fault = function(name)
      if name == "POST publish" then
        return { reply(422, '{"error":{"code":"Invalid","message":"no plan"}}') }
      end
    end
    err = fails("invalid_request", client_of(service):release "o")
    assert.equal("Invalid", err.service_code)
    assert.equal(422, err.http_status)
  end)

  it("speaks of the exchange that failed, not of an earlier one", function()
    local service = new_service { draft = "{}" }
    service.fault = function(name)
      if name == "operations" then return { reply(403, '{"error":{"message":"not yours"}}') } end
    end
    local err = fails("forbidden", client_of(service):release "o")
    assert.equal(403, err.http_status)
    assert.truthy(err.message:find("not yours", 1, true))
    assert.equal("publish1", err.operation.id)
  end)

  it("does not take its publish for the go live that was refused", function()
    local service = new_service { draft = "{}" }
    service.fault = function(name)
      if name == "POST golive" then return { reply(403, '{"error":{"message":"no"}}') } end
    end
    local err = fails("forbidden", client_of(service):release "o")
    assert.is_nil(err.operation)
    assert.equal("preview", err.phase)
    assert.equal("golive", err.intent.kind)
  end)

  it("has an intent in its error when it is not known what became of the POST", function()
    local service = new_service { draft = "{}" }
    service.fault = function(name)
      if name == "POST publish" then return { nil, "reset", "network" } end
    end
    local announced
    local err = fails("ambiguous", client_of(service):release("o", {
      reconcile = 5, before_send = function(intent) announced = intent end,
    }))
    assert.same(announced.client_request_id, err.intent.client_request_id)
    assert.equal("publish", err.intent.kind)
    assert.equal("maybe", err.sent)
  end)

  it("finds what an unclear POST began, and goes on", function()
    local service = new_service { draft = "{}" }
    service.fault = function(name)
      if name:find "^POST" then
        service.submit(name:match "%w+$")
        return { nil, "reset", "network" }
      end
    end
    assert.equal("live", assert(client_of(service):release "o").phase)
    assert.equal(2, #service.operations)
  end)

  it("fails when it can't look, with nothing sent", function()
    for _, name in ipairs(LOOK) do
      local service = new_service { draft = "{}" }
      service.fault = function(asked)
        if asked == name then return { reply(403, '{"error":{"message":"no"}}') } end
      end
      local err = fails("forbidden", client_of(service):release "o")
      assert.equal("no", err.sent)
      for _, asked in ipairs(service.asked) do assert.is_nil(asked:find "POST") end
    end
  end)

  it("keeps to its timeout at each exchange", function()
    for _, name in ipairs { "status", "preview", "POST publish", "submissions" } do
      local service = new_service { draft = "{}" }
      service.fault = function(asked)
        if asked == name then return { reply(503, "", { ["Retry-After"] = "40" }) } end
      end
      fails({ "deadline", "server_error" }, client_of(service):release("o", { timeout = 30 }))
      assert.is_true(#service.asked < 12)
    end
  end)

  it("polls a last time at its timeout", function()
    local service = new_service { draft = "{}", preview = "{}" }
    local polls = { "running", "running", "succeeded" } -- after 0, 60 and 100 seconds
    service.move = function(operation) operation.state = table.remove(polls, 1) end
    assert.equal("live", assert(client_of(service):release("o", { timeout = 100 })).phase)
  end)

  it("sends the addresses with what it submits", function()
    local service = new_service { draft = "{}" }
    assert(client_of(service):release("o", { notification_emails = { "a@x", "b@y" } }))
    assert.same({ '{"metadata":{"notification-emails":"a@x,b@y"}}',
      '{"metadata":{"notification-emails":"a@x,b@y"}}' }, service.bodies)
  end)

  it("raises what its functions raise", function()
    local service = new_service { draft = "{}" }
    local client = client_of(service)
    raises("stop", client.release, client, "o", { confirm = function() error "stop" end })
    raises("unknown option 'adopt'", client.release, client, "o", { adopt = "running" })
    raises("option 'confirm'", client.release, client, "o", { confirm = true })
    raises("an id, or a list of ids, expected, not", client.release, client)
    raises("an id, or a list of ids, expected, not number", client.release, client, 5)
    raises("of an offer, its id", client.release, client, cloudpartner.offer("{}", "o"))
    raises("of an offer, its id", client.release, client, { offer = "o" })
    raises("of an offer, its id", client.release, client, { "a", nil, "b" })
  end)

  it("speaks of its own failure when it has no token for what comes next", function()
    local service, fail = new_service { draft = "{}" }, false
    service.fault = function(name)
      if name == "POST publish" then fail = true end
      if name == "operations" then return { reply(403, '{"error":{"message":"not yours"}}') } end
    end
    local client = client_of(service, { token = function()
      if not fail then return "secret" end
      fail = false
      return nil, "no token now"
    end })
    local err = fails("forbidden", client:release "o")
    assert.equal(403, err.http_status)
    assert.truthy(err.message:find("not yours", 1, true))
  end)

  it("claims nothing of a go live that was not sent", function()
    local service = new_service { draft = "{}" }
    local client, task = client_of(service), nil
    task = client:start("release", "o", { confirm = function()
      task:cancel()
      return true
    end })
    repeat client:step(60) until task:done()
    local err = fails("canceled", task:result())
    assert.equal("publish1", err.operation.id)
    assert.is_nil(err.intent)
    for _, asked in ipairs(service.asked) do assert.not_equal("POST golive", asked) end
    service = new_service { draft = "{}", preview = "{}" }
    service.fault = function(name)
      local looked = service.asked[#service.asked - 1] == "preview"
      if name == "submissions" and looked then return { reply(503, "", { ["Retry-After"] = "40" }) } end
    end
    err = fails("deadline", client_of(service):release("o", { timeout = 30 }))
    assert.equal("no", err.sent)
    assert.is_nil(err.intent)
  end)

  it("does not ask for what there is no time left to do", function()
    local service, asked = new_service { draft = "{}" }, false
    local polls = { "running", "waitingForPublisherReview" } -- after 0 and 30 seconds
    service.move = function(operation) operation.state = table.remove(polls, 1) end
    local err = fails("deadline", client_of(service):release("o", {
      timeout = 30, confirm = function() asked = true return true end,
    }))
    assert.is_false(asked)
    assert.equal("publish1", err.operation.id)
    assert.equal("preview", err.phase)
    assert.equal("yes", err.sent)
  end)

  it("says of what it follows that it was sent", function()
    local service = new_service({ draft = "{}" }, { { id = "p", kind = "publish", state = "running" } })
    service.way = { "running" }
    local client = client_of(service)
    local task = client:start("release", "o")
    repeat client:step() until service.asked[#service.asked] == "operations"
    task:cancel()
    local err = fails("canceled", task:result())
    assert.equal("yes", err.sent)
    assert.equal("p", err.operation.id)
  end)

  it("goes live once, though its POST was unclear and the service adds to what is live", function()
    local service, posts = new_service { draft = '{"a":1}' }, 0
    service.fault = function(name)
      if name == "production" and service.slots.production then
        return { reply(200, '{"a":1,"publishedTime":"x"}') }
      end
      if name == "POST golive" then
        posts = posts + 1
        service.submit "golive"
        return { nil, "reset", "network" }
      end
    end
    assert.equal("live", assert(client_of(service):release "o").phase)
    assert.equal(1, posts)
  end)

  it("has no end by itself when none is asked for", function()
    local service = new_service { draft = "{}" }
    service.way = { "running" }
    local time = 1500000000
    local client = client_of(service, { now = function() return time end,
      sleep = function(seconds) time = time + seconds end })
    local task = client:start("release", "o", { timeout = math.huge, interval = 3600 })
    while time < 1500000000 + 8 * 86400 do
      client:step(3600)
      time = time + 3600
    end
    assert.is_false(task:done())
    client:close()
  end)

  it("is canceled at any moment, and says what goes on", function()
    local service = new_service { draft = "{}" }
    service.way = { "running" }
    local client = client_of(service)
    local task = client:start("release", "o")
    repeat client:step() until service.asked[#service.asked] == "operations"
    task:cancel()
    local err = fails("canceled", task:result())
    assert.equal("publish1", err.operation.id)
    assert.equal("yes", err.sent)
  end)
end)

-- What may go wrong with an exchange, by chance; a POST may have been taken all the same.
local function faults_of(service, random)
  local function lost() return { nil, "reset", "network" } end
  local function answered(status) return { reply(status, "", { ["Retry-After"] = "1" }) } end
  return function(name)
    local chance, kind = random(), name:match "^POST (%w+)"
    if chance > 0.25 then return nil end
    if kind and chance < 0.12 then service.submit(kind) end
    if chance < 0.06 then return lost() end
    if chance < 0.09 then return { reply(500) } end
    if chance < 0.12 then return { reply(202) } end
    if chance < 0.16 then return { nil, "unreachable", "connect" } end
    if chance < 0.2 then return answered(429) end
    return kind and answered(503) or lost()
  end
end

-- Begins it anew, and ends it again at some exchange, until it has come to its end.
local function release_in_pieces(service, random)
  for attempt = 1, 100 do
    local left = attempt < 20 and math.floor(random() * 24) or math.huge
    local client = client_of(service, { transport = function(request)
      left = left - 1
      return service.transport(request)
    end })
    local task = client:start("release", "o", { reconcile = 20, timeout = 86400 })
    repeat client:step(1e6) until task:done() or left < 0
    if task:done() and task:result() then return attempt end
    client:close()
  end
end

describe("a release that is ended at random, under random faults,", function()
  it("is live in the end, with one publish and one go live", function()
    local attempts, struck = 0, 0
    for seed = 1, 500 do
      local random = live.random_from(seed)
      local service = new_service { draft = '{"n":' .. seed .. "}" }
      local fault = faults_of(service, random)
      service.fault = function(name)
        local result = fault(name)
        if result then struck = struck + 1 end
        return result
      end
      attempts = attempts + assert(release_in_pieces(service, random), "seed " .. seed)
      assert.equal(service.slots.draft, service.slots.production)
      local kinds = {}
      for i, operation in ipairs(service.operations) do kinds[i] = operation.kind end
      assert.same({ "golive", "publish" }, kinds, "seed " .. seed)
    end
    assert.is_true(attempts > 800, attempts .. " attempts")
    assert.is_true(struck > 1000, struck .. " faults")
  end)
end)

describe("a dry run", function()
  local function plan(slots, operations)
    local service = new_service(slots, operations)
    local result = assert(client_of(service):release("o", { dry_run = true }))
    for _, name in ipairs(service.asked) do assert.is_nil(name:find "POST") end
    return result
  end

  it("says what comes next, and where the draft differs from what is live", function()
    assert.same({ offer = "o", next = "publish" }, plan { draft = "{}" })
    assert.same({ offer = "o", next = "golive" }, plan { draft = "{}", preview = "{}" })
    assert.same({ offer = "o", next = "nothing", differences = {} },
      plan { draft = "{}", production = '{"version":1}' })
    assert.same({ offer = "o", next = "publish", differences = { "/a~1b/1", "/c" } },
      plan { draft = '{"a/b":[1,2],"c":1}', production = '{"a/b":[1,3],"c":[]}' })
    local followed = plan({ draft = "{}" }, { { id = "g", kind = "golive", state = "running" } })
    assert.equal("follow", followed.next)
    assert.equal("g", followed.operation.id)
    assert.equal("golive", followed.operation.kind)
  end)
end)

describe("several offers", function()
  local service = live.service("--speed", "2000")
  local quick = { interval = 0.05, min_interval = 0.01 }

  it("are released side by side, and one that fails stops no other", function()
    local client = service.client()
    service.configure("spec-fails", { outcome = "failed" })
    local results = assert(client:release({ "spec-a", "not-there", "spec-fails", "spec-b" }, quick))
    assert.equal(4, #results)
    for i, name in ipairs { "spec-a", "not-there", "spec-fails", "spec-b" } do
      assert.equal(name, results[i].offer)
    end
    assert.equal("live", results[1].status.phase)
    assert.equal("live", results[4].status.phase)
    fails("not_found", nil, results[2].error)
    fails("operation_failed", nil, results[3].error)
    assert.equal("golive", results[3].error.operation.kind)
    assert.equal(0, #client:tasks())
  end)

  it("are one task, with members, which ends with the last", function()
    local client = service.client()
    local task = client:start("release", { "spec-c", "spec-d" }, quick)
    assert.equal(3, #client:tasks())
    repeat client:step(1) until task:done()
    assert.equal(0, #client:tasks())
    for _, result in ipairs(task:result()) do assert.equal("succeeded", result.status.state) end
  end)

  it("are canceled together, and end together when the client is closed", function()
    local client = service.client()
    local task = client:start("release", { "spec-e", "spec-f" }, quick)
    client:step(0.1)
    task:cancel()
    fails("canceled", task:result())
    assert.equal(0, #client:tasks())
    local err = select(2, task:result())
    assert.equal("spec-f", err.details[2].offer)
    fails("canceled", nil, err.details[2].error)
    local other = client:start("release", { "spec-e", "spec-f" }, quick)
    client:step()
    client:close()
    fails("canceled", other:result())
  end)

  it("say when canceled what of them was sent", function()
    local one, task = new_service { draft = "{}", preview = "{}" }, nil
    one.fault = function(name) if name == "POST golive" then task:cancel() end end
    local client = client_of(one)
    task = client:start("release", { "o" })
    repeat client:step(60) until task:done()
    local err = fails("canceled", task:result())
    assert.equal("maybe", err.sent)
    assert.equal("golive", err.details[1].error.intent.kind)
  end)

  it("end as canceled when the clock of their group raises", function()
    local armed = false
    local client = client_of(new_service { draft = "{}" }, { now = function()
      if armed then error "no clock" end
      return 1500000000
    end })
    local task = client:start("release", { "o" })
    local members = client:tasks()
    armed = true
    client:step()
    armed = false
    assert.is_true(task:done())
    for _, member in ipairs(members) do
      local ok, result, err = pcall(member.result, member)
      assert.is_true(not ok or (result == nil and err.code == "canceled"))
    end
  end)

  it("have operations that await, also in a plan", function()
    local async = require "cloudpartner.async"
    local client = service.client()
    service.configure("spec-plan", { duration = 1e6 })
    assert(client:golive "spec-plan")
    local results = async.run(client, function(wrapped)
      local plan = assert(wrapped:release({ "spec-plan" }, { dry_run = true }))[1].status
      assert.not_equal(getmetatable(client:operations("spec-plan")[1]), getmetatable(plan.operation))
      return plan.next
    end)
    assert.equal("follow", results[1][1], tostring(results[1].error))
  end)

  it("have what one of their functions raises as the error of that one", function()
    local client = service.client()
    local results = assert(client:release({ "spec-g", "spec-h" }, {
      interval = 0.05, min_interval = 0.01,
      on_progress = function(status) if status.document.id == nil then error("oops", 0) end end,
    }))
    for _, result in ipairs(results) do assert.equal("oops", result.error) end
  end)

  it("are a list of different ids", function()
    local client = service.client()
    raises("comes twice", client.release, client, { "a", "b", "a" })
    raises("each offer must be a string", client.release, client, { "a", 7 })
    raises("each offer must be an id", client.release, client, { "a", ".." })
    assert.same({}, client:release({}))
    assert.equal(0, #client:tasks())
  end)

  it("keep their deadline, each with its operation", function()
    local client = service.client()
    service.configure("spec-slow", { duration = 1e6 })
    local results = live.within(10, function()
      return assert(client:release({ "spec-slow", "spec-i" },
        { interval = 0.05, min_interval = 0.01, timeout = 1 }))
    end)
    fails("deadline", nil, results[1].error)
    assert.equal("golive", results[1].error.operation.kind)
    assert.equal("live", results[2].status.phase)
  end)

  it("have functions that may yield in the coroutine that awaits", function()
    local async = require "cloudpartner.async"
    local client = service.client()
    local confirmed = {}
    local results = async.run(client, function(wrapped)
      return wrapped:release({ "spec-j", "spec-k", "not-there" }, {
        interval = 0.05, min_interval = 0.01,
        confirm = function()
          confirmed[#confirmed + 1] = assert(wrapped:offer_status "spec-j").state
          coroutine.yield()
          return true
        end,
        on_progress = function() coroutine.yield() end,
      })
    end, function(wrapped) return wrapped:release("spec-l", quick) end)
    assert.is_true(results[1].ok, tostring(results[1].traceback))
    assert.equal(2, #confirmed)
    local list = results[1][1]
    assert.equal("live", list[1].status.phase)
    assert.equal("live", list[2].status.phase)
    fails("not_found", nil, list[3].error)
    assert.equal("live", results[2][1].phase)
  end)

  it("go on when the coroutine that awaited them is gone", function()
    local async = require "cloudpartner.async"
    local client = service.client()
    do
      local wrapped = async.wrap(client, coroutine.yield)
      local thread = coroutine.create(function()
        wrapped:release({ "spec-m" }, { interval = 0.05, min_interval = 0.01,
          confirm = function() return true end })
      end)
      assert(coroutine.resume(thread))
    end
    repeat
      collectgarbage()
    until client:step(0.2) == 0
    assert.equal("succeeded", assert(client:offer_status "spec-m").state)
  end)
end)

describe("a release over a socket", function()
  local service = live.service("--speed", "2000")

  it("takes a draft live, with one publish and one go live", function()
    local client = service.client()
    service.configure("spec-draft", { published = false })
    local status = assert(client:release("spec-draft", { interval = 0.05, min_interval = 0.01 }))
    assert.equal("succeeded", status.state)
    assert.equal(1, service.count("submissions", "spec-draft"))
    local counts = service.state().submissions["contoso/spec-draft"]
    assert.same({ publish = 1, golive = 1, cancel = 0 }, counts)
    assert.truthy(cjson.encode(status.steps))
    status = assert(client:release "spec-draft")
    assert.equal("live", status.phase)
    assert.same({ publish = 1, golive = 1, cancel = 0 },
      service.state().submissions["contoso/spec-draft"])
  end)
end)
