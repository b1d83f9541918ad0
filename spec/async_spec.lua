-- cloudpartner.async: methods that await in coroutines, over a transport and over sockets.

local cloudpartner = require "cloudpartner"
local async = require "cloudpartner.async"
local live = require "spec.host.live"

local unpack = table.unpack or unpack

local LIST = { status = 200, headers = {}, body = "[]" }

local open = {}

local function client_of(options)
  local all = { publisher = "contoso", token = "secret", retries = 0, retry_delay = 0 }
  all.transport = function() return LIST end
  for name, value in pairs(options or {}) do all[name] = value end
  local client = cloudpartner.new(all)
  open[#open + 1] = client
  return client
end

local function list(client)
  return client:operations "spec-offer"
end

local function run_many(client, count, f)
  local functions = {}
  for i = 1, count do functions[i] = function(wrapped) return f(wrapped, i) end end
  return async.run(client, unpack(functions))
end

local function all_ok(results)
  for i, result in ipairs(results) do assert(result.ok, i .. ": " .. tostring(result.error)) end
  return results
end

after_each(function()
  while #open > 0 do table.remove(open):close() end
end)

describe("async.run", function()
  it("gives the results in order, nils among them", function()
    local results = async.run(client_of(),
      function(client) list(client) return nil, 1, nil end,
      function() return end,
      function(client) return #list(client), client:offer_status "x" end)
    assert.same({ ok = true, n = 3, [2] = 1 }, results[1])
    assert.same({ ok = true, n = 0 }, results[2])
    assert.equal(3, results[3].n)
    assert.equal(0, results[3][1])
    assert.equal("protocol", results[3][3].code)
  end)

  it("reports a function that errors with its traceback, and the rest go on", function()
    local value = {}
    local function fails_deep_within() error(value) end
    local results = async.run(client_of(),
      function(client) list(client) fails_deep_within() end,
      function(client) list(client) error "in words" end,
      function(client) return #list(client) end,
      function() error() end,
      42)
    assert.equal(value, results[1].error)
    assert.truthy(results[1].traceback:find("fails_deep_within", 1, true))
    assert.truthy(results[2].error:find("async_spec.lua:%d+: in words"))
    assert.truthy(results[2].traceback:find("in words", 1, true))
    assert.same({ ok = true, n = 1, 0 }, results[3])
    assert.is_false(results[4].ok)
    assert.is_false(results[5].ok)
    assert.equal(5, #results)
  end)

  it("gives an empty list for nothing", function()
    assert.same({}, async.run(client_of()))
  end)

  it("goes on with one that yields of its own accord", function()
    local turns = 0
    local results = async.run(client_of(), function(client)
      for _ = 1, 5 do coroutine.yield("mine") turns = turns + 1 end
      return #list(client)
    end, list)
    assert.equal(5, turns)
    all_ok(results)
  end)

  it("works within pcall", function()
    local results = async.run(client_of(), function(client)
      return async.pcall(function()
        list(client)
        error "after it"
      end)
    end)
    assert.is_true(results[1].ok)
    assert.is_false(results[1][1])
    assert.truthy(results[1][2]:find "after it")
  end)

  it("waits in a blocking method of the client that is not wrapped", function()
    local client = client_of()
    local results = async.run(client, function() return #list(client) end, list)
    assert.equal(0, all_ok(results)[1][1])
  end)

  it("may be run within itself", function()
    local client = client_of()
    local results = async.run(client, function()
      return all_ok(async.run(client, list, list))[2].n
    end)
    assert.equal(1, all_ok(results)[1][1])
  end)

  it("ends all that are left when a step raises", function()
    local time, broken = 0, false
    local client = client_of {
      now = function()
        if broken then error "the clock is broken" end
        return time
      end,
      sleep = function(seconds) time = time + seconds end,
    }
    local results = async.run(client, function(wrapped)
      list(wrapped)
      broken = true
      coroutine.yield()
      return list(wrapped)
    end, function(wrapped) return wrapped:wait("/api/operations/p$o$2$preview") end)
    broken = false
    assert.equal(2, #results)
    for i = 1, 2 do
      assert.is_false(results[i].ok)
      assert.truthy(tostring(results[i].error):find("the clock is broken", 1, true))
    end
  end)

  it("tells all of a client that is closed in the middle", function()
    local client = client_of { transport = function() coroutine.yield() return LIST end }
    local results = run_many(client, 20, function(wrapped, i)
      if i == 20 then
        coroutine.yield()
        wrapped:close()
        return nil, { code = "closed by me" }
      end
      while true do
        local found, err = list(wrapped)
        if not found then return found, err end
      end
    end)
    for i = 1, 19 do
      local err = results[i].ok and results[i][2].code or results[i].error
      assert.truthy(err == "canceled" or tostring(err):find "closed client", tostring(err))
    end
    assert.equal("closed by me", results[20][2].code)
  end)

  it("tells one whose task another cancels", function()
    local client = client_of {
      transport = function() return { status = 503, headers = {}, body = "" } end,
      retries = 3, retry_delay = 30,
    }
    local results = async.run(client, list, function()
      while #client:tasks() == 0 do coroutine.yield() end
      for _, task in ipairs(client:tasks()) do task:cancel() end
    end)
    assert.equal("canceled", results[1][2].code)
    assert.is_true(results[2].ok)
  end)

  it("keeps a call's own limit", function()
    local client = client_of {
      transport = function() return { status = 503, headers = {}, body = "" } end,
      retries = 3, retry_delay = 30,
    }
    local results = async.run(client, function(wrapped)
      return wrapped:operations("spec-offer", { timeout = 0.05 })
    end)
    assert.equal("deadline", results[1][2].code)
  end)
end)

describe("the caller's functions", function()
  -- Each says in which coroutine it was called, and yields there.
  local function noting(callers, name, ...)
    local results = { ... }
    return function()
      callers[name] = async.running()
      coroutine.yield()
      return unpack(results)
    end
  end

  it("are called in the coroutine that awaits, and may yield", function()
    local callers = {}
    local posted = { status = 202, headers = {
      ["Operation-Location"] = "/api/publishers/contoso/offers/o/operations/11111111-1111-1111-1111-111111111111",
    }, body = "" }
    local running = { status = 200, headers = {}, body = '{"status":"succeeded"}' }
    local client = client_of {
      token = noting(callers, "token", "secret", 3600), log = noting(callers, "log"),
      transport = function(request)
        noting(callers, "transport")()
        if request.method == "POST" then return posted end
        return request.url:find("/submissions", 1, true) and LIST
          or request.url:find("/operations/", 1, true) and running or LIST
      end,
    }
    local mine
    local results = async.run(client, function(wrapped)
      mine = async.running()
      local operation = assert(wrapped:golive("o", { before_send = noting(callers, "before_send") }))
      return operation:wait { on_progress = noting(callers, "on_progress") }
    end)
    assert.equal("succeeded", all_ok(results)[1][1].state)
    for _, name in ipairs { "token", "log", "transport", "before_send", "on_progress" } do
      assert.equal(mine, callers[name], name)
    end
  end)

  it("are asked for one token at a time, for all", function()
    local asking, most, asked = 0, 0, 0
    local client = client_of {
      token = function()
        asking, asked = asking + 1, asked + 1
        most = math.max(most, asking)
        for _ = 1, 3 do coroutine.yield() end
        asking = asking - 1
        return "secret", 3600
      end,
    }
    all_ok(run_many(client, 200, list))
    assert.same({ 1, 1 }, { most, asked })
  end)

  it("are asked for each exchange by a token without a life, still one at a time", function()
    local asking, most, asked = 0, 0, 0
    local client = client_of {
      token = function()
        asking, asked = asking + 1, asked + 1
        most = math.max(most, asking)
        coroutine.yield()
        asking = asking - 1
        return "secret"
      end,
    }
    all_ok(run_many(client, 30, list))
    assert.same({ 1, 30 }, { most, asked })
  end)

  it("fail those that ask, one by one, when there is no token", function()
    local asked = 0
    local client = client_of {
      token = function()
        asked = asked + 1
        coroutine.yield()
        if asked == 1 then error "no luck" end
        if asked == 2 then return nil, "none today" end
        return "secret", 3600
      end,
    }
    local codes, messages = {}, {}
    for _, result in ipairs(all_ok(run_many(client, 10, list))) do
      local code = result[2] and result[2].code or "ok"
      codes[code] = (codes[code] or 0) + 1
      messages[#messages + 1] = result[2] and result[2].message
    end
    assert.same({ credential = 2, ok = 8 }, codes)
    assert.truthy(table.concat(messages):find("none today", 1, true))
    assert.equal(3, asked)
  end)

  it("are asked again by another when the one that asks is canceled", function()
    local asked, asker = 0, nil
    local client = client_of {
      token = function()
        asked = asked + 1
        for _ = 1, 1000 do
          if asked > 1 then break end
          coroutine.yield()
        end
        return "secret", 3600
      end,
    }
    local function list_later(wrapped)
      while not asker do coroutine.yield() end
      return list(wrapped)
    end
    local results = async.run(client, list, list_later, list_later, function()
      while asked == 0 do coroutine.yield() end
      asker = client:tasks()[1]
      while #client:tasks() < 3 do coroutine.yield() end
      client:step()
      asker:cancel()
    end)
    assert.equal("canceled", results[1][2].code)
    assert.same({ {}, {} }, { results[2][1], results[3][1] })
    assert.equal(2, asked)
  end)

  it("are called by step when the coroutine is gone", function()
    local asked, yielded = 0, false
    local client = client_of { token = function() asked = asked + 1 return "secret", 3600 end }
    local wrapped = async.wrap(client, function() coroutine.yield() yielded = true end)
    local thread = coroutine.create(function() return list(wrapped) end)
    assert(coroutine.resume(thread))
    client:step()
    assert.equal(0, asked)
    thread = nil -- luacheck: ignore
    collectgarbage() collectgarbage()
    assert.equal(0, client:step())
    assert.is_false(yielded)
    assert.equal(1, asked)
  end)

  it("count as having raised when their coroutine is gone in the middle", function()
    local client = client_of {
      token = function() coroutine.yield() return "secret" end,
    }
    local wrapped = async.wrap(client, function() coroutine.yield() end)
    local thread = coroutine.create(function() return list(wrapped) end)
    assert(coroutine.resume(thread))
    client:step()
    local task = client:tasks()[1]
    assert(coroutine.resume(thread)) -- in the token function
    client:step()
    assert.is_false(task:done())
    thread = nil -- luacheck: ignore
    collectgarbage() collectgarbage()
    client:step()
    local _, err = task:result()
    assert.equal("credential", err.code)
    assert.truthy(err.message:find("coroutine", 1, true))
  end)
end)

describe("a token function that calls its own client", function()
  it("is told so, and what waits for it fails", function()
    local wrapped
    local client = client_of { token = function() return assert(wrapped:operations "spec-offer") end }
    wrapped = async.wrap(client, coroutine.yield)
    local results = async.run(client, function(own)
      wrapped = own
      return select(2, own:operations "spec-offer").code
    end, function(own) return select(2, own:operations "spec-offer").code end)
    assert.equal("credential", results[1][1], tostring(results[1].error))
    assert.equal("credential", results[2][1], tostring(results[2].error))
  end)

  it("may call another", function()
    local other = client_of()
    local client = client_of { token = function()
      return type(assert(other:operations "spec-offer")) == "table" and "secret", 3600
    end }
    local results = async.run(client, list)
    assert.is_true(results[1].ok, tostring(results[1].error))
  end)
end)

describe("a clock of the caller's", function()
  -- Calls `f` at its call number `at`, and tells how often it was called.
  local function clock(at, f)
    local count = 0
    return function()
      count = count + 1
      if count == at then f() end
      return 1500000000
    end, function() return count end
  end

  it("may cancel and close whatever it is called for", function()
    for _, method in ipairs { "close", "cancel" } do
      for at = 1, 12 do
        local client
        local now = clock(at, function()
          if not client then return end
          if method == "close" then return client:close() end
          for _, task in ipairs(client:tasks()) do task:cancel() end
        end)
        client = client_of { now = now, log = function() end, token = function() return "t", 9 end }
        pcall(async.run, client, list)
        client:close()
      end
    end
  end)

  it("may close the client of a task that was left alone in the middle", function()
    local client, armed
    client = client_of { token = function() return "t", 9 end, now = function()
      if armed then
        armed = false
        client:close()
      end
      return 1500000000
    end }
    local task = client:start("operations", "spec-offer")
    task:hold()
    client:step()
    assert.is_true(task:wanted())
    task:release()
    armed = true
    pcall(client.step, client)
    assert.equal("canceled", select(2, task:result()).code)
  end)
end)

describe("async.wrap", function()
  it("serves an await that polls, and one that is told", function()
    local client = client_of { token = function() coroutine.yield() return "secret", 60 end }
    local told = 0
    local awaits = {
      function(_, task) while not task:done() do client:step() coroutine.yield() end end,
      function(_, task)
        task:notify(function() told = told + 1 end)
        while not task:done() do client:step() coroutine.yield() end
      end,
    }
    for _, await in ipairs(awaits) do
      local found
      local thread = coroutine.wrap(function()
        found = async.wrap(client, await):operations "spec-offer"
      end)
      while not found do thread() end
      assert.same({}, found)
    end
    assert.truthy(told >= 1)
  end)

  it("has the client's other methods, and is no await without a function", function()
    local client = client_of()
    local wrapped = async.wrap(client, function() end)
    assert.equal(tostring(client), tostring(wrapped))
    assert.equal(0, wrapped:step())
    assert.is_nil(wrapped:timeout())
    assert.is_nil(wrapped.nothing)
    local task = wrapped:start("operations", "spec-offer")
    assert.equal(1, #wrapped:tasks())
    while not task:done() do client:step() end
    assert.same({}, task:result())
    assert.has_error(function() async.wrap(client) end)
    wrapped:close()
    assert.has_error(function() list(client) end)
  end)

  for _, ending in ipairs { "cancel", "close" } do
    it("tells who awaits of a " .. ending, function()
      local client, held, told = client_of(), nil, 0
      local wrapped = async.wrap(client, function(_, task)
        held = task
        task:notify(function() told = told + 1 end)
        while not task:done() do coroutine.yield() end
      end)
      local thread = coroutine.create(function() return list(wrapped) end)
      assert(coroutine.resume(thread))
      assert.equal(0, told)
      if ending == "cancel" then held:cancel() else client:close() end
      assert.equal(1, told)
      local _, found, err = coroutine.resume(thread)
      assert.is_nil(found)
      assert.equal("canceled", err.code)
    end)
  end

  it("holds tasks by methods that may come late", function()
    local client = client_of { token = function() return "secret" end }
    local task = client:start("operations", "spec-offer")
    assert.is_false(task:wanted())
    assert.has_error(function() task:call() end)
    task:answer(true) -- of no call: nothing
    task:hold()
    client:step()
    assert.is_true(task:wanted())
    local f = task:call()
    assert.equal("function", type(f))
    assert.has_error(function() task:call() end) -- it is being made
    client:close()
    task:answer(pcall(f))
    task:release()
    task:hold(print)
    local _, err = task:result()
    assert.equal("canceled", err.code)
    collectgarbage()
  end)

  it("shows a task that nobody awaits", function()
    local client = client_of()
    async.run(client, function(wrapped) wrapped:start("operations", "spec-offer") end)
    assert.equal(1, #client:tasks())
  end)
end)

describe("over sockets", function()
  local service = live.service("--speed", "600")

  local function take_live(client, offer)
    local operation = assert(client:golive(offer))
    local status = assert(operation:wait { interval = 0.3, min_interval = 0.05 })
    return offer, operation.offer, status.state, operation.id
  end

  it("hundreds go live at once, each once and with its own answer", function()
    local client = service.client()
    local ids = {}
    for i, result in ipairs(all_ok(run_many(client, 300, function(wrapped, i)
      return take_live(wrapped, "spec-" .. i)
    end))) do
      assert.same({ "spec-" .. i, "spec-" .. i, "succeeded" }, { result[1], result[2], result[3] })
      assert.is_nil(ids[result[4]])
      ids[result[4]] = true
    end
    for i = 1, 300, 53 do assert.equal(1, service.count("attempts", "spec-" .. i)) end
  end)

  it("operations, those of a list and those of an error await too", function()
    local client = service.client()
    local ended = false
    local results = async.run(client, function(wrapped)
      local begun = assert(wrapped:golive "spec-methods")
      local _, err = wrapped:golive "spec-methods"
      local listed = assert(wrapped:operations "spec-methods")[1]
      local seen = {}
      for i, operation in ipairs { begun, err.operation, listed, (wrapped:resume(begun)) } do
        local _, fault = operation:wait { timeout = 0.05, interval = 0.02, min_interval = 0.01 }
        seen[i] = fault and fault.code
      end
      local canceling = assert(begun:cancel())
      ended = true
      return err.code, table.concat(seen, " "), canceling.kind
    end, function()
      local turns = 0 -- one that blocked would leave this without turns
      while not ended do
        coroutine.yield()
        turns = turns + 1
      end
      return turns
    end)
    all_ok(results)
    assert.same({ "conflict", "deadline deadline deadline deadline", "cancel" },
      { results[1][1], results[1][2], results[1][3] })
    assert.truthy(results[2][1] > 10)
  end)

  it("a blocked operation does not block: others go on meanwhile", function()
    local client = service.client()
    service.order { path_contains = "spec-slow", delay = 1 }
    local order = {}
    all_ok(async.run(client, function(wrapped)
      wrapped:operations "spec-slow"
      order[#order + 1] = "slow"
    end, function(wrapped)
      for _ = 1, 5 do assert(wrapped:operations "spec-quick") end
      order[#order + 1] = "quick"
    end))
    assert.same({ "quick", "slow" }, order)
  end)
end)
