-- cloudpartner.resty in a real nginx.

local live = require "spec.host.live"
local nginx = require "spec.host.nginx"

local service = live.service("--speed", "600")

local server

local function start(options)
  options.service = service
  server = nginx.start(options)
  return server
end

local function stop(signal)
  if not server then return end
  local ended = server
  server = nil
  return ended.stop(signal)
end

local GO_LIVE = [[
  local operation = assert(client:golive("spec-%s"))
  local status = assert(operation:wait { interval = 0.1, min_interval = 0.05 })
  return status.state, operation.id ]]

describe("resty", function()
  after_each(function() stop() end)

  for _, phase in ipairs { "content", "access", "rewrite" } do
    it("takes an offer live in the phase " .. phase, function()
      start {}
      assert.equal("succeeded", server.run(GO_LIVE:format(phase), "/" .. phase)[1])
      assert.equal(1, service.count("submissions", "spec-" .. phase))
    end)
  end

  it("takes an offer live in a timer", function()
    start {}
    server.run([[ ngx.timer.at(0, function()
      local operation = assert(client:golive "spec-timer")
      ngx.shared.kept:set("timer", assert(operation:wait { interval = 0.1 }).state)
    end) ]])
    live.await(function() return server.run([[ return ngx.shared.kept:get "timer" ]])[1] == "succeeded" end)
  end)

  for _, phase in ipairs { "log", "header_filter" } do
    it("says what to do in the phase " .. phase, function()
      start {}
      server.run("", "/" .. phase)
      local message
      live.await(function()
        message = server.run(("return ngx.shared.kept:get 'phase %s'"):format(phase))[1]
        return type(message) == "string"
      end)
      assert.truthy(message:find("in the phase " .. phase, 1, true), message)
      assert.truthy(message:find("ngx.timer.at(0", 1, true), message)
      assert.equal(0, server.run("return #client:tasks()")[1])
    end)
  end

  it("says what to do in init_worker, and may be made there and before the fork", function()
    start {
      init = [[ local resty = require "cloudpartner.resty"
        before = resty.new { publisher = "contoso", token = "secret" } ]],
      init_worker = [[ require("nginx_host").note "init_worker" ]],
    }
    local message = server.run("return ngx.shared.kept:get 'phase init_worker'")[1]
    assert.truthy(message:find("in the phase init_worker", 1, true), message)
    assert.same({ 1 }, server.run "return #assert(before:operations 'spec-before')")
  end)

  it("follows hundreds with one timer for the worker, which ends with them", function()
    start {}
    local answer = server.run([[
      local threads, states, most = {}, {}, 0
      for i = 1, 200 do
        threads[i] = ngx.thread.spawn(function()
          local operation = assert(client:golive("spec-many-" .. i))
          most = math.max(most, ngx.timer.running_count() + ngx.timer.pending_count())
          states[i] = assert(operation:wait { interval = 0.2, min_interval = 0.05 }).offer or "succeeded"
        end)
      end
      for i = 1, 200 do assert(ngx.thread.wait(threads[i])) end
      ngx.sleep(0.1)
      return #states, most, ngx.timer.running_count(), #client:tasks() ]])
    assert.same({ 200, 1, 0, 0 }, answer)
    for i = 1, 200, 37 do assert.equal(1, service.count("submissions", "spec-many-" .. i)) end
  end)

  it("lets the token function yield, in the request that waits", function()
    start {}
    local answer = server.run([[
      local asked, where = 0, nil
      local other = resty.new { token = function()
        asked = asked + 1
        ngx.sleep(0.05)
        where = ngx.req.get_method()
        return "secret", 3600
      end }
      local threads = {}
      for i = 1, 20 do
        threads[i] = ngx.thread.spawn(function() return #assert(other:operations "spec-token") end)
      end
      for i = 1, 20 do assert(ngx.thread.wait(threads[i])) end
      return asked, where ]])
    assert.same({ 1, "POST" }, answer)
  end)

  it("edits offers and takes them from draft to live, with functions that yield", function()
    start {}
    local answer = server.run([[
      local put = assert(client:update("spec-resty-a", function(offer)
        ngx.sleep(0.01)
        offer:set("/definition/displayText", "edited")
      end))
      local asked = 0
      local results = assert(client:release({ "spec-resty-a", "spec-resty-b" }, {
        interval = 0.1, min_interval = 0.05,
        confirm = function()
          ngx.sleep(0.01)
          asked = asked + 1
          return true
        end,
        on_progress = function() ngx.sleep(0) end,
      }))
      local live = assert(client:offer("spec-resty-a", { slot = "production" }))
      return results[1].status.phase, results[2].status.phase, asked,
        live:get "/definition/displayText", #live:diff(put) ]])
    assert.same({ "live", "live", 2, "edited", 0 }, answer)
  end)

  it("stalls nobody while an answer is awaited", function()
    start {}
    service.order { path_contains = "spec-slow", delay = 2 }
    local waiting = server.spawn [[ return #assert(client:operations "spec-slow") ]]
    service.await_in_flight(1)
    live.within(1, function()
      for _ = 1, 10 do assert.same({ 1 }, server.run "return 1") end
    end)
    assert.same({ 1 }, waiting())
  end)

  it("runs where code is not cached", function()
    start { cache = "off" }
    for i = 1, 3 do
      assert.equal("succeeded", server.run(GO_LIVE:format("uncached-" .. i))[1])
    end
    assert.equal(1, service.count("submissions", "spec-uncached-2"))
  end)

  it("ends with its worker, in the middle of a wait", function()
    start {}
    local waiting = server.spawn(GO_LIVE:format "stopped":gsub("interval = 0.1", "interval = 3600"))
    live.await(function() return service.count("submissions", "spec-stopped") == 1 end)
    local began = live.calls.now()
    server.signal "QUIT"
    live.within(5, function() server.process.ended(10) end)
    assert.truthy(live.calls.now() - began < 5)
    local ok, message = pcall(waiting)
    assert.falsy(ok)
    assert.truthy(tostring(message):find("canceled", 1, true), message)
    os.execute("rm -rf " .. server.directory)
    server = nil
  end)

  it("crashes at none of twenty stops with exchanges in flight", function()
    for i = 1, 20 do
      start { workers = 2 }
      service.order { path_contains = "spec-flying", delay = 5, times = 2 }
      local waiting = server.spawn([[ return client:operations "spec-flying" ]], 2)
      service.await_in_flight(1)
      assert.equal(0, stop(i % 2 == 0 and "TERM" or "QUIT"))
      pcall(waiting)
      service.reset()
    end
  end)

  it("leaves the I/O to what has lua-resty-http's interface", function()
    start {}
    local answer = server.run([[
      client = resty.new { transport = resty.http(require("resty_http").new) }
      local nowhere = resty.new {
        endpoint = "http://127.0.0.1:9", transport = resty.http(require("resty_http").new),
        retries = 0,
      }
      local _, err = nowhere:golive "spec-nowhere"
      local state = (function() ]] .. GO_LIVE:format "http" .. [[ end)()
      return state, err ]])
    assert.equal("succeeded", answer[1])
    assert.equal("connect", answer[2].code)
    assert.equal("no", answer[2].sent)
    assert.equal(1, service.count("submissions", "spec-http"))
  end)

  it("runs in a single process, without a master", function()
    start { single = true }
    local variant = os.getenv "VARIANT"
    if variant == "asan" or variant == "tsan" then -- then it runs under that, no doubt
      local maps = server.run [[ return io.open("/proc/self/maps"):read "*a" ]][1]
      assert.truthy(maps:find("lib" .. variant, 1, true))
    end
    for i = 1, 10 do
      assert.equal("succeeded", server.run(GO_LIVE:format("single-" .. i))[1])
    end
    service.order { path_contains = "spec-flying", delay = 5 }
    local waiting = server.spawn([[ return client:operations "spec-flying" ]], 2)
    service.await_in_flight(1)
    assert.equal(0, stop())
    pcall(waiting)
  end)

  it("says which shared dict is missing", function()
    start {}
    local _, message = pcall(server.run, [[ resty.shared "nowhere" ]])
    assert.truthy(tostring(message):find("lua_shared_dict nowhere 1m;", 1, true), message)
    assert.falsy(tostring(message):find "\n")
  end)
end)
