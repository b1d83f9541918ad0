-- The client in real loops of luv: coroutines and callbacks that go on from `uv.run`.

local uv = require "luv"

local host = require "cloudpartner.luv"
local live = require "spec.host.live"

local OFTEN = { interval = 0.1, min_interval = 0.02 }

describe("under luv", function()
  local service, open, failures = live.service("--speed", "600"), {}, {}

  local function new_client(more)
    local options = { publisher = "contoso", token = "secret", endpoint = service.address }
    for name, value in pairs(more or {}) do options[name] = value end
    local client = host.new(options)
    open[#open + 1] = client
    return client
  end

  local function handles()
    local count = 0
    uv.walk(function(handle)
      if not handle:is_closing() then count = count + 1 end
    end)
    return count
  end

  before_each(function() failures = {} end)

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
    for _ = 1, 3 do uv.run "nowait" end
    local left = handles()
    uv.walk(function(handle)
      if not handle:is_closing() then handle:close() end
    end)
    uv.run()
    assert.equal(0, left)
  end)

  -- Runs the loop until it ends by itself; a watchdog stops one that does not.
  local function run()
    local dog, late = uv.new_timer(), false
    dog:start(20000 * live.patience, 0, function()
      late = true
      uv.stop()
    end)
    dog:unref()
    uv.run()
    dog:close()
    assert(not late, "the loop did not end")
    assert.equal("", table.concat(failures, "\n"))
  end

  -- What fails in there fails the spec: luv would end the whole program.
  local function spawn(f)
    coroutine.wrap(function()
      local ok, err = pcall(f)
      if not ok then failures[#failures + 1] = tostring(err) end
    end)()
  end

  local function goes_live(client, offer)
    local operation = assert(client:golive(offer))
    assert.equal("succeeded", assert(operation:wait(OFTEN)).state)
    return operation
  end

  local function sleep(milliseconds)
    local thread, timer = coroutine.running(), uv.new_timer()
    timer:start(milliseconds, 0, function()
      timer:close()
      coroutine.resume(thread)
    end)
    coroutine.yield()
  end

  describe("a coroutine", function()
    it("goes live, and the loop ends by itself", function()
      local client, ended = new_client(), false
      spawn(function()
        goes_live(client, "spec-one")
        ended = true
      end)
      assert.is_false(ended)
      run()
      assert.is_true(ended)
      assert.equal(0, handles())
      assert.equal(1, service.count("submissions", "spec-one"))
    end)

    it("has two hundred beside it, a timer and a socket", function()
      local client, ended, ticks, echoed = new_client(), 0, 0, 0
      local server, timer, visitor = uv.new_tcp(), uv.new_timer(), uv.new_tcp()
      assert(server:bind("127.0.0.1", 0))
      server:listen(1, function()
        local peer = uv.new_tcp()
        server:accept(peer)
        peer:read_start(function(_, data)
          if data then peer:write(data) else peer:close() end
        end)
      end)
      visitor:connect("127.0.0.1", server:getsockname().port, function()
        visitor:read_start(function(_, data) echoed = echoed + #data end)
      end)
      timer:start(10, 10, function()
        ticks = ticks + 1
        visitor:write "x"
        if ended < 200 then return end
        for _, handle in ipairs { server, visitor, timer } do handle:close() end
      end)
      for i = 1, 200 do
        spawn(function()
          goes_live(client, "spec-many-" .. i)
          ended = ended + 1
        end)
      end
      run()
      assert.equal(200, ended)
      assert.equal(0, #client:tasks())
      assert.truthy(ticks > 20, ticks)
      assert.truthy(echoed > 10, echoed)
      for _, submitted in pairs(service.state().submissions) do
        assert.equal(1, submitted.golive)
      end
    end)

    it("uses several clients in one loop", function()
      local one, two, ended = new_client(), new_client(), 0
      for _, client in ipairs { one, two, one, two } do
        spawn(function()
          assert(client:operations "spec-several")
          ended = ended + 1
        end)
      end
      run()
      assert.equal(4, ended)
    end)

    -- Calls `f`, and tells this one at each step of any client: how many are under way.
    local function observing_steps(tell, f)
      local methods, depth = getmetatable(service.client()).__index, 0
      local step = methods.step
      methods.step = function(...)
        depth = depth + 1
        tell(depth)
        local count = step(...)
        depth = depth - 1
        tell(depth)
        return count
      end
      local ok, err = pcall(f)
      methods.step = step
      assert(ok, err)
    end

    it("is never resumed within a step", function()
      local client, under_way, seen = new_client(), 0, nil
      observing_steps(function(depth) under_way = depth end, function()
        spawn(function()
          assert(client:operations "spec-within")
          seen = under_way
        end)
        run()
      end)
      assert.equal(0, seen)
    end)

    it("costs no step while there is nothing to do", function()
      service.configure("spec-idle", { duration = 1e6 })
      local client, told = new_client(), 0
      observing_steps(function() told = told + 1 end, function()
        spawn(function()
          local operation = assert(client:golive "spec-idle")
          operation:wait { timeout = 1, interval = 0.1, min_interval = 0.1 }
        end)
        run()
      end)
      assert.truthy(told / 2 < 150, told / 2 .. " steps")
    end)

    it("is given errors as they are returned, and misuse is raised", function()
      local client, err, ok, raised = new_client(), nil, nil, nil
      spawn(function()
        local _
        _, err = client:operation("spec-none", "no-such-operation")
        ok, raised = pcall(client.golive, client, 7)
      end)
      run()
      assert.equal("not_found", err.code)
      assert.is_false(ok)
      assert.truthy(tostring(raised):find("offer must be a string", 1, true), raised)
    end)

    it("has a deadline, after which the operation goes on", function()
      service.configure("spec-deadline", { duration = 1e6 })
      local client, operation, status, err = new_client(), nil, nil, nil
      spawn(function()
        operation = assert(client:golive "spec-deadline")
        status, err = operation:wait { timeout = 0.3, interval = 30 }
      end)
      live.within(5, run)
      live.fails("deadline", status, err)
      assert.equal(operation.id, err.operation.id)
    end)

    it("has functions that may yield, and others go on meanwhile", function()
      local asked, seen, during, ended = 0, 0, 0, false
      local client = new_client {
        token = function()
          asked = asked + 1
          sleep(100)
          return "secret", 3600
        end,
      }
      spawn(function()
        local operation = assert(client:golive("spec-token", {
          before_send = function() sleep(5) end,
        }))
        assert(operation:wait {
          interval = 0.05, min_interval = 0.02,
          on_progress = function()
            sleep(1)
            seen = seen + 1
          end,
        })
        ended = true
      end)
      local timer = uv.new_timer()
      timer:start(10, 10, function()
        if asked == 1 and seen == 0 then during = during + 1 end
        if ended then timer:close() end
      end)
      run()
      assert.equal(1, asked)
      assert.truthy(during >= 2, "nobody had a turn while a token was fetched")
      assert.truthy(seen >= 2)
    end)

    it("is left alone in a function of its own, whatever becomes of its call", function()
      local client, slept, status, err
      client = new_client {
        token = function()
          local timer, thread, rung = uv.new_timer(), coroutine.running(), false
          timer:start(200, 0, function()
            timer:close()
            rung = true
            coroutine.resume(thread)
          end)
          coroutine.yield()
          slept = rung
          return "secret", 3600
        end,
      }
      spawn(function() status, err = client:operations "spec-alone" end)
      local timer = uv.new_timer()
      timer:start(50, 0, function()
        timer:close()
        for _, task in ipairs(client:tasks()) do task:cancel() end
      end)
      run()
      assert.is_true(slept)
      live.fails("canceled", status, err)
    end)

    it("that somebody else resumes waits on", function()
      service.order { method = "GET", path_contains = "/spec-spurious", delay = 0.2 }
      local client, result = new_client(), nil
      local thread = coroutine.create(function()
        result = assert(client:operations "spec-spurious")
      end)
      assert(coroutine.resume(thread))
      assert(coroutine.resume(thread))
      assert.equal("suspended", coroutine.status(thread))
      run()
      assert.equal("table", type(result))
    end)

    it("waits by time alone with a transport", function()
      local client, status, err = new_client {
        transport = function() return { status = 200, body = '{"status":"running"}' } end,
      }, nil, nil
      spawn(function()
        status, err = client:wait(service.address .. "/api/operations/a", {
          timeout = 0.15, interval = 0.05, min_interval = 0.05,
        })
      end)
      assert.is_nil(client:pollfd())
      run()
      live.fails("deadline", status, err)
    end)

    it("is not lost when a step raises", function()
      local told, raises, ended = {}, false, false
      local client = new_client {
        now = function()
          if raises then error("no clock", 0) end
          return live.calls.now()
        end,
        on_error = function(err, traceback) told[#told + 1] = { err, traceback } end,
      }
      spawn(function()
        client:wait(service.address .. "/api/operations/a", { interval = 60 })
        ended = true
      end)
      local timer = uv.new_timer()
      timer:start(200, 0, function()
        timer:close()
        raises = true
        spawn(function() client:operations "spec-clock" end)
      end)
      run()
      raises = false
      client:close()
      run()
      assert.is_true(ended)
      assert.equal("no clock", told[1][1])
    end)

    it("that raises is told to on_error, and the others go on", function()
      local told, ended = {}, 0
      local client = new_client {
        on_error = function(err, traceback) told[#told + 1] = { err, traceback } end,
      }
      local function at_fault(i) error { number = i } end
      for i = 1, 5 do
        coroutine.wrap(function()
          assert(client:operations("spec-raises-" .. i))
          if i % 2 == 0 then at_fault(i) end
          assert(client:operations("spec-raises-" .. i))
          ended = ended + 1
        end)()
      end
      run()
      assert.equal(3, ended)
      assert.equal(6, told[1][1].number + told[2][1].number)
      assert.matches("luv_spec.lua:%d+: in .*at_fault", told[1][2])
    end)
  end)

  describe("uv", function()
    it("runs with nowait", function()
      local client, ended = new_client(), false
      spawn(function()
        goes_live(client, "spec-nowait")
        ended = true
      end)
      local rounds = 0
      live.await(function()
        rounds = rounds + 1
        uv.run "nowait"
        return ended
      end)
      assert.truthy(rounds > 5)
    end)

    it("is stopped and run again", function()
      service.configure("spec-stop", { duration = 60 })
      local client, state, timer = new_client(), nil, uv.new_timer()
      spawn(function()
        local operation = assert(client:golive "spec-stop")
        timer:start(30, 0, function()
          timer:close()
          uv.stop()
        end)
        state = assert(operation:wait(OFTEN)).state
      end)
      uv.run()
      assert.is_nil(state)
      assert.truthy(uv.loop_alive())
      run()
      assert.equal("succeeded", state)
    end)

    it("carries on what was started without waiting", function()
      local client = new_client()
      local task = client:start("golive", "spec-started")
      run()
      assert.equal("spec-started", assert(task:result()).offer)
    end)

    it("keeps no client that has nothing open", function()
      local client = new_client()
      local kept = setmetatable({ table.remove(open) }, { __mode = "v" })
      spawn(function() assert(client:operations "spec-kept") end)
      run()
      client = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      assert.is_nil(kept[1])
    end)

    it("has one call cancelled by another, at once", function()
      service.configure("spec-cancel", { duration = 1e6 })
      local client, status, err = new_client(), nil, nil
      spawn(function()
        local operation = assert(client:golive "spec-cancel")
        spawn(function()
          while service.state().polls == 0 do sleep(20) end
          for _, task in ipairs(client:tasks()) do task:cancel() end
        end)
        status, err = operation:wait { interval = 60 }
      end)
      live.within(10, run)
      live.fails("canceled", status, err)
    end)

    it("has a client closed in the middle, and ends", function()
      service.order { method = "GET", path_contains = "/spec-close", delay = 30, times = 9 }
      local client, canceled = new_client(), 0
      for i = 1, 9 do
        spawn(function()
          live.fails("canceled", client:operations("spec-close-" .. i))
          canceled = canceled + 1
        end)
      end
      spawn(function()
        while service.state().in_flight < 8 do sleep(20) end
        client:close()
        assert.equal(0, canceled, "they go on from the loop")
        goes_live(new_client(), "spec-later")
      end)
      live.within(15, run)
      assert.equal(9, canceled)
      client:close()
      local ok, err = pcall(client.operations, client, "spec-close")
      assert.is_false(ok)
      assert.truthy(tostring(err):find("closed client", 1, true), err)
    end)

    it("ends when a coroutine has closed the client that it waited for", function()
      service.order { method = "GET", path_contains = "/spec-open", delay = 30 }
      local client = new_client()
      local task = client:start("operations", "spec-open")
      spawn(function()
        assert(client:operations "spec-closes")
        client:close()
      end)
      live.within(10, run)
      live.fails("canceled", task:result())
    end)

    it("finds the descriptor of a client that was closed free", function()
      service.configure("spec-close", { duration = 1e6 })
      local client, status, err = new_client(), nil, nil
      spawn(function()
        local operation = assert(client:golive "spec-close")
        status, err = operation:wait { interval = 60 }
      end)
      spawn(function()
        while service.state().polls == 0 or service.state().in_flight > 0 do sleep(20) end
        sleep(100)
        local descriptor = client:pollfd()
        client:close()
        local later = client_at(descriptor)
        goes_live(later, "spec-later")
      end)
      run()
      live.fails("canceled", status, err)
    end)

    it("is needed: outside of a coroutine a method raises, and nothing is sent", function()
      local client = new_client()
      local ok, err = pcall(client.golive, client, "spec-outside")
      assert.is_false(ok)
      assert.truthy(tostring(err):find("in a coroutine", 1, true), err)
      assert.equal(0, #client:tasks())
      run()
      assert.equal(0, service.count("attempts", "spec-outside"))
    end)
  end)

  it("offers are edited and released, with functions that yield", function()
    local client, results = new_client(), nil
    spawn(function()
      assert(client:update("spec-edit", function(offer)
        sleep(10)
        offer:set("/definition/displayText", "edited")
      end))
      results = assert(client:release({ "spec-edit", "spec-other" }, {
        interval = 0.05, min_interval = 0.02,
        confirm = function()
          sleep(10)
          return true
        end,
      }))
    end)
    run()
    for _, result in ipairs(results) do assert.equal("live", result.status.phase) end
    assert.equal(1, service.count("submissions", "spec-edit"))
  end)

  describe("start", function()
    it("calls back once, from the loop", function()
      local client, calls, inside = new_client(), {}, true
      host.start(client, "golive", "spec-callback", function(err, operation)
        calls[#calls + 1] = { err, operation, inside }
      end)
      host.start(client, "resume", service.address .. "/api/operations/a", function(err, found)
        calls[#calls + 1] = { err, found, inside }
      end)
      inside = false
      run()
      assert.equal(2, #calls)
      for _, call in ipairs(calls) do
        assert.is_nil(call[1])
        assert.is_false(call[3])
        assert.equal("string", type(call[2].url))
      end
    end)

    it("takes options, and gives errors first", function()
      service.configure("spec-options", { duration = 1e6 })
      local client, found = new_client(), nil
      host.start(client, "golive", "spec-options", {}, function(_, operation)
        host.start(client, "wait", operation, { timeout = 0.2, interval = 30 }, function(err, status)
          found = live.fails("deadline", status, err)
        end)
      end)
      run()
      assert.equal("spec-options", found.operation.offer)
    end)

    it("has a callback in a coroutine: it may wait itself", function()
      local client, state = new_client(), nil
      host.start(client, "golive", "spec-may-wait", function(_, operation)
        state = assert(operation:wait(OFTEN)).state
      end)
      run()
      assert.equal("succeeded", state)
    end)

    it("raises misuse at once", function()
      local client = new_client()
      for _, case in ipairs {
        { "offer must be a string", client, "golive", 7, function() end },
        { "callback", client, "golive", "spec-misuse" },
        { "luv.new", {}, "golive", "spec-misuse", function() end },
        { "no_such_method", client, "no_such_method", function() end },
      } do
        local ok, err = pcall(host.start, (table.unpack or unpack)(case, 2))
        assert.is_false(ok)
        assert.truthy(tostring(err):find(case[1], 1, true), err)
      end
      run()
      assert.equal(0, service.count("attempts", "spec-misuse"))
    end)

    it("gives what a function of the caller's raises as the error", function()
      local client, found, calls = new_client(), nil, 0
      host.start(client, "golive", "spec-raise", {
        before_send = function() error("no room to save it", 0) end,
      }, function(err)
        calls, found = calls + 1, err
      end)
      run()
      assert.equal(1, calls)
      assert.equal("no room to save it", found)
      assert.equal(0, service.count("attempts", "spec-raise"))
    end)

    it("gives a call that can be cancelled", function()
      service.order { method = "GET", path_contains = "/spec-call", delay = 30 }
      local client, found = new_client(), nil
      local call = host.start(client, "operations", "spec-call", function(err) found = err end)
      spawn(function()
        while service.state().in_flight < 1 do sleep(20) end
        call:cancel()
      end)
      live.within(10, run)
      assert.equal("canceled", found.code)
      call:cancel()
    end)
  end)

  -- luv ends the program at an error that no callback catches, so these need their own.
  describe("without on_error", function()
    local function program(body)
      return live.lua([[
        local uv, host = require "luv", require "cloudpartner.luv"
        local client = host.new {}
        ]] .. body .. [[
        uv.run()
        print "the loop has ended"
      ]], service.environment())
    end

    it("what a coroutine raises is an uncaught error of luv's", function()
      local ended = program [[
        local function at_fault() error "it is my fault" end
        coroutine.wrap(function()
          client:operations "spec-uncaught"
          at_fault()
        end)()
      ]]
      assert.equal(255, ended.status, ended.output)
      assert.matches("it is my fault", ended.output)
      assert.matches("in .*at_fault", ended.output)
      assert.is_nil(ended.output:find("the loop has ended", 1, true))
    end)

    it("so is what a callback raises, after the others had their turn", function()
      local ended = program [[
        for i = 1, 2 do
          host.start(client, "resume", os.getenv "CLOUDPARTNER_ENDPOINT" .. "/api/operations/a",
            function()
              print("called", i)
              error("fault " .. i)
            end)
        end
      ]]
      assert.equal(255, ended.status, ended.output)
      for _, text in ipairs { "called\t1", "called\t2", "fault 1", "fault 2" } do
        assert.truthy(ended.output:find(text, 1, true), ended.output)
      end
    end)
  end)
end)
