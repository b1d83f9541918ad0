-- Many operations at once on one client: each its own answer, and no more done than is due.

local cjson = require "cjson"
local cloudpartner = require "cloudpartner"
local live = require "spec.host.live"

local variant = os.getenv "VARIANT"
local MANY = variant and 1000 or 10000

-- A service within this process: an operation runs for `polls` answers, then it has
-- succeeded. It counts what it is asked.
local function service_of(polls)
  local service = { asked = 0, left = {}, posted = {} }

  local function answer(status, body, headers)
    return { status = status, headers = headers or {}, body = body or "" }
  end

  local function post(path, offer)
    service.posted[offer] = (service.posted[offer] or 0) + 1
    service.left[offer] = polls
    return answer(202, "", { ["Operation-Location"] =
      path:gsub("/golive.*", "/operations/id-of-" .. offer) })
  end

  local function poll(offer, id)
    assert(id == "id-of-" .. offer, "an id of another offer's")
    service.left[offer] = service.left[offer] - 1
    local word = service.left[offer] > 0 and "running" or "succeeded"
    return answer(200, ('{"status":"%s","offerId":"%s"}'):format(word, offer))
  end

  function service.transport(request)
    service.asked = service.asked + 1
    local path = request.url:match "^https?://[^/]+([^?]*)"
    local offer, rest = path:match "/offers/([^/]+)/(.*)$"
    if request.method == "POST" then return post(path, offer) end
    local id = rest:match "^operations/(.+)$"
    return id and poll(offer, id) or answer(200, "[]")
  end
  return service
end

-- A client whose time the spec turns.
local function client_of(service)
  local clock = { now = 1500000000 }
  clock.asked = 0
  clock.client = cloudpartner.new {
    publisher = "contoso", token = "secret", transport = service.transport,
    now = function() clock.asked = clock.asked + 1 return clock.now end,
    random = function() return 0.5 end,
  }
  return clock
end

local WAIT = { interval = 60, min_interval = 60 }

local function begin(client, count)
  local tasks, golives = {}, {}
  for i = 1, count do golives[i] = client:start("golive", "offer-" .. i) end
  while client:step() > 0 do end
  for i = 1, count do tasks[i] = client:start("wait", assert(golives[i]:result()), WAIT) end
  client:step()
  return tasks
end

describe("one client", function()
  it("follows ten thousand operations to their ends, each to its own", function()
    local service = service_of(3)
    local clock = client_of(service)
    local tasks = begin(clock.client, MANY)
    local rounds = 0
    while clock.client:step() > 0 do
      clock.now, rounds = clock.now + 10, rounds + 1
      assert(rounds < 100, "it does not end")
    end
    for i, task in ipairs(tasks) do
      local status = assert(task:result())
      assert.equal("succeeded", status.state)
      assert.equal("offer-" .. i, status.document.offerId)
      assert.equal(1, service.posted["offer-" .. i])
    end
    assert.same({}, clock.client:tasks())
    clock.client:close()
  end)

  it("touches only what is due in a step", function()
    local service = service_of(1000)
    local clock = client_of(service)
    begin(clock.client, MANY)
    assert.equal(MANY, clock.client:step())
    service.asked, clock.asked = 0, 0
    for _ = 1, 100 do clock.client:step() end
    assert.equal(0, service.asked)
    assert.truthy(clock.asked <= 200, "the clock was read " .. clock.asked .. " times")

    clock.client:start("golive", "offer-late")
    clock.client:step()
    assert.equal(2, service.asked) -- its list and its POST
    assert.truthy(clock.asked <= 300, "the clock was read " .. clock.asked .. " times")
    clock.client:close()
  end)

  it("costs as little with ten thousand asleep as with ten", function()
    local function cost(count)
      local clock = client_of(service_of(1000))
      begin(clock.client, count)
      local best = math.huge
      for _ = 1, 20 do
        local began = live.calls.now()
        for _ = 1, 1000 do clock.client:step() end
        best = math.min(best, live.calls.now() - began)
      end
      clock.client:close()
      return best
    end
    local few, many = cost(10), cost(MANY)
    assert.truthy(many < 5 * few, ("%g s against %g s"):format(many, few))
  end)
end)

local function count(directory)
  local pipe = assert(io.popen("ls /proc/" .. live.calls.pid() .. "/" .. directory .. " | wc -l"))
  local found = tonumber(pipe:read "*a")
  pipe:close()
  return found
end

describe("over sockets", function()
  local service, other = live.service("--speed", "600"), live.service("--speed", "600")

  it("a close in the middle ends hundreds at once, and leaves nothing behind", function()
    local warm = service.client()
    assert(warm:operations "spec-warm") -- the engine's own descriptors and thread stay
    warm:close()
    collectgarbage() collectgarbage()
    local descriptors, threads = count "fd", count "task"
    local client = service.client { max_connections = 300 }
    service.order { path_contains = "spec-hang", delay = 3, times = 300 }
    local tasks = {}
    for i = 1, 300 do tasks[i] = client:start("operations", "spec-hang-" .. i) end
    client:step()
    service.await_in_flight(300)
    assert.equal(300, client:in_flight())
    live.within(1, client.close, client)
    for _, task in ipairs(tasks) do
      local _, err = task:result()
      assert.equal("canceled", err.code)
    end
    collectgarbage() collectgarbage()
    live.await(function() return count "fd" <= descriptors end)
    assert.equal(threads, count "task")
  end)

  it("two clients, interleaved, each have their own answers", function()
    local clients, tasks = {}, {}
    for i, of in ipairs { service, other } do
      clients[i] = of.client()
      for j = 1, 100 do
        tasks[#tasks + 1] = { of.address, "spec-both-" .. j,
          clients[i]:start("golive", "spec-both-" .. j) }
      end
    end
    repeat
      local left = clients[1]:step(0.01) + clients[2]:step(0.01)
    until left == 0
    local ids = {}
    for _, begun in ipairs(tasks) do
      local operation = assert(begun[3]:result())
      local place = begun[1] .. "/api/publishers/contoso/offers/" .. begun[2] .. "/"
      assert.equal(place, operation.url:sub(1, #place))
      assert.is_nil(ids[operation.id])
      ids[operation.id] = true
    end
  end)

  it("says in a line that there are no descriptors, and goes on when there are", function()
    local ended = live.spawn({ "sh", "-c",
      "ulimit -n 40; exec \"$@\"", "sh", "sh", "tools/with-module", live.interpreter,
      "spec/host/descriptors.lua", "spec-few" }, service.environment()).ended(20)
    local lines = {}
    for line in ended.output:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.truthy(lines[1]:find "^network no: ", ended.output)
    assert.truthy(lines[1]:find("descriptor", 1, true), ended.output)
    assert.truthy(lines[2]:find "^true", ended.output)
    assert.equal("a list", lines[3], ended.output)
    assert.equal("number", lines[4], ended.output)
    assert.equal(4, #lines, cjson.encode(lines))
  end)
end)
