-- The client in real loops of cqueues: polled as it is, and by coroutines that it yields in.

local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local cloudpartner = require "cloudpartner"
local host = require "cloudpartner.cqueues"
local live = require "spec.host.live"

local OFTEN = { interval = 0.1, min_interval = 0.02 }

describe("under cqueues", function()
  local service, open = live.service("--speed", "2400"), {}

  local function options(more)
    local all = { publisher = "contoso", token = "secret", endpoint = service.address }
    for name, value in pairs(more or {}) do all[name] = value end
    return all
  end

  local function new_client(more)
    local client = host.new(options(more))
    open[#open + 1] = client
    return client
  end

  -- A client whose descriptor has that number, which is free: lower ones go first.
  local function client_at(descriptor)
    for _ = 1, 100 do
      local client = new_client()
      if client:pollfd() == descriptor then return client end
    end
    error "the number is not free"
  end

  after_each(function()
    while #open > 0 do table.remove(open):close() end
  end)

  -- Runs these functions as coroutines of one controller, until all have ended.
  local function run(...)
    local loop = cqueues.new()
    for _, f in ipairs { ... } do loop:wrap(f) end
    assert(loop:loop(20 * live.patience))
    assert(loop:empty(), "coroutines were left behind")
  end

  -- Counts how often it gets its turn, until `busy` is false.
  local function ticker(busy)
    local ticks = 0
    return function()
      while busy() do
        cqueues.sleep(0.01)
        ticks = ticks + 1
      end
    end, function() return ticks end
  end

  local function goes_live(client, offer)
    local operation = assert(client:golive(offer))
    assert.equal("succeeded", assert(operation:wait(OFTEN)).state)
  end

  describe("the client as it is", function()
    it("can be polled, beside sleepers and sockets", function()
      local client = service.client()
      local ready, echoed = 0, 0
      local here, there = socket.pair()
      local task = client:start("golive", "spec-polled")
      local tick, ticks = ticker(function() return not task:done() end)
      run(tick, function()
        while not task:done() do
          if cqueues.poll(client) == client then ready = ready + 1 end
          client:step()
        end
      end, function()
        for byte in there:lines(1) do echoed = echoed + #byte end
      end, function()
        for _ = 1, 5 do
          here:write("x"):flush()
          cqueues.sleep(0.001)
        end
        here:close()
      end)
      assert(task:result())
      assert.truthy(ready >= 2, "polled for a step, and for an answer")
      assert.equal(5, echoed)
      assert.truthy(ticks() >= 1)
    end)

    it("is waited for by time alone with a transport", function()
      local client = cloudpartner.new(options { transport = function()
        return { status = 200, body = '{"status":"running"}' }
      end })
      local task = client:start("wait", service.address .. "/api/operations/a", {
        timeout = 0.15, interval = 0.05, min_interval = 0.05,
      })
      assert.is_nil(client:pollfd())
      assert.equal(0, client:timeout())
      run(function()
        while not task:done() do
          assert.equal(client, cqueues.poll(client))
          client:step()
        end
      end)
      live.fails("deadline", task:result())
      client:close()
    end)

    it("wakes nobody while nothing is open", function()
      local client = service.client()
      run(function() assert.equal(0.05, cqueues.poll(client, 0.05)) end)
    end)
  end)

  it("one coroutine goes live", function()
    local client = new_client()
    run(function() goes_live(client, "spec-one") end)
    assert.equal(1, service.count("submissions", "spec-one"))
  end)

  it("three hundred go live at once, and others have their turn", function()
    local client, ended, functions = new_client(), 0, {}
    for i = 1, 300 do
      functions[i] = function()
        goes_live(client, "spec-many-" .. i)
        ended = ended + 1
      end
    end
    local tick, ticks = ticker(function() return ended < 300 end)
    functions[301] = tick
    run((table.unpack or unpack)(functions))
    assert.equal(0, #client:tasks())
    assert.truthy(ticks() > 10, ticks())
    local count = 0
    for _, submitted in pairs(service.state().submissions) do
      assert.equal(1, submitted.golive)
      count = count + 1
    end
    assert.equal(300, count)
  end)

  it("two clients in one controller, and one client in two", function()
    local one, two = new_client(), new_client()
    local outer, inner = cqueues.new(), cqueues.new()
    local ended = {}
    local function go(loop, client, offer)
      loop:wrap(function()
        goes_live(client, offer)
        ended[#ended + 1] = offer
      end)
    end
    go(outer, one, "spec-nested-a")
    go(outer, two, "spec-nested-b")
    go(inner, one, "spec-nested-c")
    go(inner, one, "spec-nested-d")
    outer:wrap(function() assert(inner:loop()) end)
    assert(outer:loop(20 * live.patience))
    assert.equal(4, #ended)
  end)

  -- Whichever steps takes all answers, those of the other controller's calls as well.
  describe("of two controllers, the second", function()
    local client, first, second, ended

    before_each(function()
      service.configure("spec-second", { duration = 4800 })
      client, first, second, ended = new_client(), cqueues.new(), cqueues.new(), false
      local operation
      run(function() operation = assert(client:golive "spec-second") end)
      second:wrap(function()
        assert(operation:wait(OFTEN))
        ended = true
      end)
      assert(second:step(0))
    end)

    local function second_ends()
      assert(second:loop(15 * live.patience))
      assert.is_true(ended)
      assert(first:step(0))
    end

    it("goes on when the first is left alone", function()
      service.order { method = "GET", path_contains = "/spec-first", delay = 60 }
      first:wrap(function() client:operations "spec-first" end)
      for _ = 1, 10 do assert(first:step(0.05)) end
      second_ends()
    end)

    it("goes on when the first has taken its answer and ended", function()
      first:wrap(function() assert(client:operations "spec-first") end)
      assert(first:step(0))
      live.calls.poll(-1, 0.5)
      for _ = 1, 10 do assert(first:step(0)) end
      assert.truthy(first:empty())
      second_ends()
    end)

    it("goes on when the first is closed", function()
      first:wrap(function() client:wait(client:golive "spec-first", OFTEN) end)
      assert(first:step(0))
      first:close()
      first = cqueues.new()
      second_ends()
    end)
  end)

  it("whoever does something else in between holds up nobody", function()
    service.configure("spec-slow", { duration = 60 })
    local client = new_client()
    local slept, waited
    run(function()
      assert(client:operations "spec-slow")
      cqueues.sleep(1.5)
      slept = cqueues.monotime()
    end, function()
      goes_live(client, "spec-slow")
      waited = cqueues.monotime()
    end)
    assert.truthy(waited < slept, "it waited for the other")
  end)

  it("the functions of the caller may yield", function()
    local asked, during = 0, 0
    local client = new_client {
      token = function()
        asked = asked + 1
        cqueues.sleep(0.1)
        return "secret", 3600
      end,
    }
    local seen = 0
    local busy = true
    run(function()
      local operation = assert(client:golive("spec-token", {
        before_send = function() cqueues.sleep(0.01) end,
      }))
      assert(client:wait(operation, {
        interval = 0.05, min_interval = 0.02,
        on_progress = function()
          cqueues.sleep(0.001)
          seen = seen + 1
        end,
      }))
      busy = false
    end, function()
      while busy do
        cqueues.sleep(0.01)
        if asked == 1 and seen == 0 then during = during + 1 end
      end
    end)
    assert.equal(1, asked)
    assert.truthy(during >= 2, "nobody had a turn while a token was fetched")
    assert.truthy(seen >= 2)
  end)

  it("offers are edited and released, with functions that yield", function()
    local client, results = new_client(), nil
    run(function()
      assert(client:update("spec-edit", function(offer)
        cqueues.sleep(0.01)
        offer:set("/definition/displayText", "edited")
      end))
      results = assert(client:release({ "spec-edit", "spec-other" }, {
        interval = 0.05, min_interval = 0.02,
        confirm = function()
          cqueues.sleep(0.01)
          return true
        end,
      }))
    end)
    for _, result in ipairs(results) do assert.equal("live", result.status.phase) end
    assert.equal(1, service.count("submissions", "spec-edit"))
  end)

  it("a function of the caller's may use the client", function()
    local client = new_client()
    local inner
    run(function()
      local operation = assert(client:golive "spec-inner")
      assert(operation:wait {
        interval = 0.05, min_interval = 0.02,
        on_progress = function() inner = inner or assert(client:status(operation)) end,
      })
    end)
    assert.truthy(inner.state)
  end)

  it("errors are returned, misuse raises", function()
    local client = new_client()
    run(function()
      live.fails("not_found", client:operation("spec-none", "no-such-operation"))
      local ok, err = pcall(client.golive, client, 7)
      assert.is_false(ok)
      assert.truthy(tostring(err):find("offer must be a string", 1, true), err)
    end)
  end)

  it("a deadline ends a wait, and the operation goes on", function()
    service.configure("spec-deadline", { duration = 1e6 })
    local client = new_client()
    run(function()
      local operation = assert(client:golive "spec-deadline")
      local began = cqueues.monotime()
      local err = live.fails("deadline", operation:wait { timeout = 0.3, interval = 30 })
      assert.truthy(cqueues.monotime() - began < 5 * live.patience)
      assert.equal(operation.id, err.operation.id)
    end)
  end)

  it("what one coroutine raises the controller tells, and the others go on", function()
    local client, ended = new_client(), 0
    local loop = cqueues.new()
    for i = 1, 5 do
      loop:wrap(function()
        assert(client:operations("spec-raises-" .. i))
        if i % 2 == 0 then error("raised by " .. i, 0) end
        goes_live(client, "spec-raises-" .. i)
        ended = ended + 1
      end)
    end
    local raised = {}
    for err in loop:errors(20 * live.patience) do raised[#raised + 1] = err end
    table.sort(raised)
    assert.equal("raised by 2, raised by 4", table.concat(raised, ", "))
    assert.equal(3, ended)
    assert.truthy(loop:empty())
  end)

  it("a task that another coroutine cancels ends at once", function()
    service.configure("spec-cancel", { duration = 1e6 })
    local client = new_client()
    local err
    run(function()
      local operation = assert(client:golive "spec-cancel")
      err = live.fails("canceled", operation:wait { interval = 60 })
    end, function()
      live.within(10, function()
        while service.state().polls == 0 do cqueues.sleep(0.02) end
      end)
      for _, task in ipairs(client:tasks()) do task:cancel() end
    end)
    assert.equal("spec-cancel", err.operation.offer)
  end)

  it("close ends what waits, and leaves the controller's other sockets alone", function()
    service.order { method = "GET", path_contains = "/spec-close", delay = 30, times = 9 }
    local client, canceled, echoed = new_client(), 0, 0
    local here, there = socket.pair()
    local functions = {
      function()
        while service.state().in_flight < 8 do cqueues.sleep(0.02) end
        client:close()
        cqueues.sleep(0.01)
        local later = new_client() -- its descriptor is likely the closed one's, by number
        goes_live(later, "spec-later")
        for _ = 1, 20 do
          here:write("x"):flush()
          cqueues.sleep(0.001)
        end
        here:close()
      end,
      function()
        for byte in there:lines(1) do echoed = echoed + #byte end
      end,
    }
    for i = 1, 9 do
      functions[#functions + 1] = function()
        live.fails("canceled", client:operations("spec-close-" .. i))
        canceled = canceled + 1
      end
    end
    live.within(15, run, (table.unpack or unpack)(functions))
    assert.equal(9, canceled)
    assert.equal(20, echoed)
    client:close()
    local ok, err = pcall(client.operations, client, "spec-close")
    assert.is_false(ok)
    assert.truthy(tostring(err):find("closed client", 1, true), err)
  end)

  it("close ends a wait between two polls, and its descriptor is free", function()
    service.configure("spec-close", { duration = 1e6 })
    local client, descriptor = new_client(), nil
    run(function()
      local operation = assert(client:golive "spec-close")
      live.fails("canceled", operation:wait { interval = 60 })
    end, function()
      descriptor = client:pollfd()
      while service.state().polls == 0 or service.state().in_flight > 0 do cqueues.sleep(0.02) end
      cqueues.sleep(0.1)
      client:close()
      local later = client_at(descriptor)
      goes_live(later, "spec-later")
    end)
  end)

  it("a wait on a condition beside a call is woken by its own", function()
    local client, bell = new_client(), condition.new()
    local order = {}
    run(function()
      bell:wait()
      order[#order + 1] = "rung"
    end, function()
      assert(client:operations "spec-bell")
      order[#order + 1] = "asked"
      bell:signal()
    end)
    assert.equal("asked rung", table.concat(order, " "))
  end)

  it("outside of a controller it blocks", function()
    local client = new_client()
    goes_live(client, "spec-outside")
    local thread = coroutine.wrap(function() goes_live(client, "spec-outside") return "ended" end)
    assert.equal("ended", thread())
  end)
end)
