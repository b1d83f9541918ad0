-- The engine in its host: signals, exits, forks, threads, and how many requests at once.

local cloudpartner = require "cloudpartner"
local live = require "spec.host.live"

local calls, variant = live.calls, os.getenv "VARIANT"
local OFFER = "spec-engine"

local function steps_to_end(client)
  repeat until client:step(10) == 0
end

describe("the host", function()
  local service, secure = live.service("--speed", "600"), live.service("--tls")

  before_each(function() service.configure(OFFER, { duration = 1e6 }) end)

  local function script(name, ...)
    return { live.interpreter, "spec/host/" .. name .. ".lua", ... }
  end

  local function assert_interrupted(process)
    process.kill "INT"
    local ended = process.ended(5)
    assert.equal(1, ended.status, ended.output)
    assert.truthy(ended.output:find("interrupted!", 1, true), ended.output)
    local operation = assert(service.client():operations(OFFER))[1]
    assert.is_false(operation.done)
  end

  local function await_accepted(process)
    live.await(function() return process.said "accepted" end)
    live.await(function()
      local state = service.state()
      return state.polls + state.in_flight > 0
    end)
  end

  it("can be interrupted between two polls, and the operation goes on", function()
    local process = live.spawn(script("interrupted", OFFER), service.environment())
    await_accepted(process)
    assert_interrupted(process)
  end)

  it("can be interrupted while a poll hangs, and the operation goes on", function()
    service.order { method = "GET", path_contains = "/operations/", delay = 30 }
    local process = live.spawn(script("interrupted", OFFER), service.environment())
    await_accepted(process)
    assert.equal(1, service.state().in_flight)
    assert_interrupted(process)
  end)

  -- A shell command: ten exits at a time, and a line with the status of each, which is
  -- 128 and more for a signal.
  local function exits(count)
    local words, ways = {}, { "fall", "exit", "close" }
    for i = 1, count do
      words[i] = ("%s %g"):format(ways[i % 3 + 1], i % 5 * 0.01 * live.patience)
    end
    local each = ("timeout 60 %s spec/host/exits.lua $0 $1 %s; echo $?")
      :format(live.interpreter, secure.address)
    local list = table.concat(words, " ")
    return ("echo %s | xargs -P 10 -n 2 sh -c '%s'"):format(list, each)
  end

  it("exits with exchanges in flight, a hundred times", function()
    local count = math.floor(100 / live.patience)
    service.order { path_contains = "spec-exits", times = 1000, delay = 30 }
    local ended = live.run({ "sh", "-c", exits(count) }, service.environment())
    assert.equal(("0\n"):rep(count), ended.output)
    assert.truthy(service.state().in_flight > count / 2)
  end)

  it("handles signals as before", function()
    local ended = live.run(script "handlers", service.environment())
    local before, after = ended.output:match "^([^\n]+)\n([^\n]+)\n$"
    assert.truthy(before and before:find "^B %x+ I %x+ C %x+$", ended.output)
    assert.equal(before, after)
  end)

  -- The signals that each thread of this process blocks, sorted. Read by the process itself:
  -- while it starts another one, it blocks them all for a moment.
  local function signal_masks()
    local directory, masks = ("/proc/%d/task/"):format(calls.pid()), {}
    local list = io.popen("ls " .. directory)
    local threads = list:read "*a"
    list:close()
    for thread in threads:gmatch "%d+" do
      local file = assert(io.open(directory .. thread .. "/status"))
      masks[#masks + 1] = file:read "*a":match "\nSigBlk:%s*(%x+)\n"
      file:close()
    end
    table.sort(masks)
    return masks
  end

  it("has no thread beside its own that takes a signal", function()
    if variant == "valgrind" then return end -- the masks are its own
    local client = service.client()
    assert(client:offer_status(OFFER))
    local masks = signal_masks()
    assert.matches("^0+$", masks[1])
    assert.truthy(masks[2])
    -- All of the first 31 but KILL and STOP. (A sanitizer may have a thread of its own.)
    for i = 2, #masks do assert.matches("7ffbfeff$", masks[i]) end
  end)

  -- ThreadSanitizer can't follow a fork.
  local ways_out = variant == "tsan" and {} or { "exit", "close", "fall" }

  local function fork(server, how)
    server.configure("spec-waits", { duration = 1e6 })
    server.order { path_contains = "/spec-parent/", times = 2, delay = 0.3 }
    server.order { path_contains = "/spec-listed/submissions/", delay = 0.3 }
    server.order { path_contains = "/spec-child-left/", delay = 30 }
    local environment = server.environment { CA = server.ca }
    local ended = live.run(script("forked", how), environment)
    assert.equal(0, ended.status, ended.output)
    assert.equal(1, server.count("attempts", "spec-parent"))
    assert.equal(1, server.count("attempts", "spec-listed"))
    assert.equal(1, server.count("attempts", "spec-child"))
    assert.equal(1, server.count("attempts", "spec-unsent"))
  end

  for _, how in ipairs(ways_out) do
    it("forks with tasks under way, and the child goes its own way: " .. how, function()
      fork(service, how)
    end)

    -- The child leaves the parent's connections alone: a leak to those who look for one.
    if not variant then
      it("forks, and what the client trusts is known in the child: " .. how, function()
        fork(secure, how)
      end)
    end
  end

  local function threads(count, rounds, name)
    local ended = live.run { live.directory .. "/threads", count, rounds,
      "spec/host/" .. name .. ".lua", service.address }
    assert.equal("", ended.output)
    assert.equal(0, ended.status)
  end

  it("has Lua states in eight threads, closed while others go on", function()
    threads(8, 3, "states")
    local submitted = 0
    for _, counts in pairs(service.state().submissions) do
      submitted = submitted + counts.golive
    end
    assert.equal(3 * (8 * 9 / 2 + 8 * 3), submitted)
  end)

  it("closes its last Lua state while another thread opens one", function()
    threads(2, 300, "brief")
  end)
end)

describe("a client", function()
  local service = live.service("--speed", "600")

  -- A task one of whose requests is with the service, which takes its time: the POST, if
  -- the order does not say otherwise.
  local function hanging(order)
    order = order or { method = "POST" }
    order.delay = 30
    service.order(order)
    local client = service.client()
    local task = client:start("golive", OFFER)
    live.await(function()
      client:step(0.01)
      local state = service.state()
      return state.once == 0 and state.in_flight == 1
    end)
    return client, task
  end

  local function assert_canceled(task)
    assert.is_true(task:done())
    local err = live.fails("canceled", task:result())
    assert.equal("maybe", err.sent)
    assert.equal("golive", err.intent.kind)
  end

  it("closes at once, whatever is in flight", function()
    local client, task = hanging()
    live.within(1, client.close, client)
    assert_canceled(task)
    client:close()
  end)

  it("cancels a task at once, and goes on", function()
    local client, task = hanging()
    live.within(1, task.cancel, task)
    assert_canceled(task)
    assert.same({}, client:tasks())
    assert(client:offer_status(OFFER))
  end)

  it("is collected with a task in flight", function()
    service.order { delay = 30 }
    local client = cloudpartner.new {
      endpoint = service.address, publisher = "contoso", token = "x",
    }
    local gone = setmetatable({ client }, { __mode = "v" })
    client:start("golive", OFFER, { reconcile = false })
    client:step(0)
    service.await_in_flight(1)
    client = nil -- luacheck: ignore
    live.within(1, collectgarbage)
    collectgarbage()
    assert.is_nil(gone[1])
  end)

  it("cancels a task that reads its list, and nothing was sent", function()
    local client, task = hanging { path_contains = "/submissions/" }
    live.within(1, task.cancel, task)
    assert.is_true(task:done())
    local err = live.fails("canceled", task:result())
    assert.equal("no", err.sent)
    assert.is_nil(err.intent)
    assert(client:offer_status(OFFER))
    assert.equal(0, service.count("attempts", OFFER))
  end)

  it("never waits in step(0)", function()
    local client, task = hanging()
    live.within(0.5, function() for _ = 1, 100 do client:step(0) end end)
    assert.is_false(task:done())
    assert.is_nil(client:timeout())
  end)

  it("waits in step as long as it is told", function()
    local client = hanging()
    local began = calls.now()
    assert.equal(1, live.within(2, client.step, client, 0.3))
    assert.is_true(calls.now() - began >= 0.29)
  end)

  it("has a descriptor that is readable once an answer is there", function()
    service.order { delay = 0.3 }
    local client = service.client()
    local task = client:start("offer_status", OFFER)
    client:step(0)
    assert.equal("r", client:events())
    assert.is_false(calls.poll(client:pollfd(), 0))
    assert.is_true(calls.poll(client:pollfd(), 10))
    assert.is_false(task:done())
    client:step(0)
    assert(task:result())
    assert.is_false(calls.poll(client:pollfd(), 0))
  end)

  it("has no more requests in flight than max_connections", function()
    service.order { times = 40, delay = 0.05 }
    local client = service.client { max_connections = 2 }
    local tasks = {}
    for i = 1, 20 do tasks[i] = client:start("golive", "spec-many-" .. i) end
    live.within(10, steps_to_end, client)
    for _, task in ipairs(tasks) do assert(task:result()) end
    assert.equal(2, service.state().most_in_flight)
    assert.equal(40, service.state().requests) -- a list and a POST for each
  end)

  it("lets submissions go before reads that wait longer", function()
    service.order { times = 10, delay = 0.1 }
    local client = service.client { max_connections = 1 }
    local reads = {}
    for i = 1, 5 do reads[i] = client:start("offer_status", OFFER) end
    client:step(0)
    local submission = client:start("golive", OFFER)
    repeat client:step(10) until submission:done()
    local done = 0
    for _, task in ipairs(reads) do done = done + (task:done() and 1 or 0) end
    assert.equal(1, done)
    steps_to_end(client)
  end)

  -- Eight one after the other take longer than one exchange may.
  it("counts exchange_timeout from when it is sent", function()
    service.order { times = 8, delay = 0.2 * live.patience }
    local client = service.client {
      max_connections = 1, exchange_timeout = live.patience, retries = 0,
    }
    local tasks = {}
    for i = 1, 8 do tasks[i] = client:start("offer_status", OFFER) end
    local began = calls.now()
    live.within(10, steps_to_end, client)
    assert.is_true(calls.now() - began > live.patience)
    for _, task in ipairs(tasks) do assert(task:result()) end
  end)
end)
