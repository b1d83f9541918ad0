--- The client under luv: a method that would block yields, and goes on from `uv.run`.
--
--     local uv = require "luv"
--     local luv = require "cloudpartner.luv"
--     local client = luv.new { publisher = "contoso" }
--
--     coroutine.wrap(function()
--       local operation = assert(client:golive "contoso-virtualmachineoffer")
--       print(assert(operation:wait()).state)
--     end)()
--     uv.run()
--
-- or with callbacks:
--
--     luv.start(client, "golive", "contoso-virtualmachineoffer", function(err, operation)
--       print(err or operation.id)
--     end)
--
-- A client has a poll handle and a timer while it has something open, and none otherwise,
-- so `uv.run` ends when the work has.

local uv = require "luv"

local async = require "cloudpartner.async"
local cloudpartner = require "cloudpartner"

local host = {}

local MOST = 2 ^ 31 -- milliseconds that a timer of ours runs at a time

local unpack = table.unpack or unpack

-------------------------------------------------------------------------- driver --

-- Steps one client from callbacks of luv's, and resumes from there whoever waited. A step
-- only notes who can go on: nobody is resumed within it.
local Driver = {}
Driver.__index = Driver

local function new_driver(client, on_error)
  return setmetatable({
    client = client,
    on_error = on_error,
    ready = {}, -- those who can go on
    calls = setmetatable({}, { __mode = "k" }), -- those of `start`, by coroutine
    due = false, -- a turn was asked for
    closed = false,
  }, Driver)
end

-- The loop keeps a driver alive by these callbacks, so one that rests has none.
function Driver:open_handles()
  local function turn() self:turn() end
  self.turning = turn
  self.timer = uv.new_timer()
  local descriptor = not self.closed and self.client:pollfd()
  if not descriptor then return end
  self.poll = assert(uv.new_poll(descriptor))
  self.poll:start("r", turn)
end

function Driver:close_poll()
  if self.poll then self.poll:close() end
  self.poll = nil
end

function Driver:rest()
  self:close_poll()
  if self.timer then self.timer:close() end
  self.timer = nil
end

-- Asks for a turn as soon as the loop comes round.
function Driver:wake()
  if self.due then return end
  self.due = true
  if not self.timer then self:open_handles() end
  self.timer:start(0, 0, self.turning)
end

-- Whole milliseconds, and never too few: it would only be woken again.
function Driver:arm()
  local seconds = self.client:timeout()
  if seconds then
    self.timer:start(math.ceil(math.min(seconds * 1000, MOST)), 0, self.turning)
  else
    self.timer:stop()
  end
end

function Driver:note(waiter)
  self.ready[#self.ready + 1] = waiter
  self:wake()
end

local function end_failed(thread, err)
  local failure = { err, debug.traceback(thread, tostring(err)) }
  if coroutine.close then coroutine.close(thread) end
  return failure
end

-- What is raised in a call of `start` is its callback's, unless that has raised it.
function Driver:resume(thread)
  local ok, err = coroutine.resume(thread)
  if ok then return end
  local failure, call = end_failed(thread, err), self.calls[thread]
  if not call or call.told then return failure end
  call.told = true
  local telling = coroutine.create(call.callback)
  ok, err = coroutine.resume(telling, failure[1])
  if not ok then return end_failed(telling, err) end
end

-- Each once: those who are noted meanwhile have their turn with the next.
function Driver:resume_ready()
  local ready, failures = self.ready, {}
  self.ready = {}
  for _, waiter in ipairs(ready) do
    if waiter.waits then failures[#failures + 1] = self:resume(waiter.thread) end
  end
  return failures
end

-- After all else, so that a raise keeps nobody from going on.
function Driver:report(failures)
  if #failures == 0 then return end
  local texts = {}
  for i, failure in ipairs(failures) do
    texts[i] = failure[2]
    if self.on_error then self.on_error(unpack(failure)) end
  end
  if not self.on_error then error(table.concat(texts, "\n"), 0) end
end

-- Who is noted within the step goes on in this turn, and needs no other.
function Driver:step()
  if self.closed then return 0 end
  self.due = true
  local ok, open = pcall(self.client.step, self.client)
  self.due = false
  if ok then return open end
  return 0, { open, tostring(open) }
end

function Driver:turn()
  self.due = false
  local open, failure = self:step()
  local failures = self:resume_ready()
  failures[#failures + 1] = failure
  if not self.due then
    if open > 0 and not self.closed then self:arm() else self:rest() end
  end
  self:report(failures)
end

-- A descriptor that libuv polls must not be closed.
function Driver:close()
  self.closed = true
  self:close_poll()
  self.client:close()
  if not self.due then self:rest() end
end

-------------------------------------------------------------------------- waiting --

local OUTSIDE = "cloudpartner.luv: call it in a coroutine, or use luv.start"

local function new_await(driver)
  return function(_, task)
    local thread = async.running()
    if not thread then
      task:cancel()
      error(OUTSIDE, 0)
    end
    local waiter = { thread = thread, waits = true }
    task:notify(function() driver:note(waiter) end)
    if driver.calls[thread] then driver.calls[thread].task = task end
    driver:wake()
    while not task:done() do coroutine.yield() end
    waiter.waits = false
  end
end

local drivers = setmetatable({}, { __mode = "k" }) -- by client

--- A client whose methods yield in the coroutine that calls them.
-- @param options those of `cloudpartner.new`, and `on_error(err, traceback)`: gets what a
--   coroutine raises that the client resumes. Without it, that is an error in a callback
--   of luv's
-- @return the client; its methods give what those of `cloudpartner.new`'s give
-- Raises what `cloudpartner.new` raises.
function host.new(options)
  local given = {}
  for name, value in pairs(options or {}) do given[name] = value end
  given.on_error = nil
  local client = cloudpartner.new(given)
  local driver = new_driver(client, options and options.on_error)
  local wrapped = async.wrap(client, new_await(driver))
  drivers[wrapped] = driver

  function wrapped.start(_, ...)
    local task = client:start(...)
    driver:wake()
    return task
  end

  function wrapped.close() driver:close() end
  return wrapped
end

------------------------------------------------------------------------ callbacks --

local Call = {}
Call.__index = Call

--- Ends the call now: its callback gets `canceled`. An operation that was begun goes on.
function Call:cancel()
  if self.task then self.task:cancel() end
end

-- A callback is never called before `start` has returned.
local function let_start_return(driver, call)
  if call.started then return end
  local waiter = { thread = async.running(), waits = true }
  driver:note(waiter)
  coroutine.yield()
  waiter.waits = false
end

local function hand_over(driver, call, result, err)
  let_start_return(driver, call)
  call.told = true
  call.callback(err, result)
end

local function expect(given, what)
  if not given then error("luv.start expects " .. what, 3) end
end

--- Calls a method of a client, and a callback with what it gives.
-- @param client of `luv.new`
-- @param method the name of one that talks to the service, such as "golive"
-- @param ... its arguments; the last is `callback(err, result)`, which is called once,
--   from `uv.run`, in a coroutine of its own. `err` is nil, an error, or what a function
--   of yours has raised
-- @return a call, that has `cancel()`
-- Raises what the method raises at once.
function host.start(client, method, ...)
  local driver, count = drivers[client], select("#", ...)
  local arguments, callback = { ... }, count > 0 and select(count, ...)
  expect(driver, "a client of luv.new")
  expect(type(callback) == "function", "a callback as the last argument")
  expect(client[method], "a method of the client, not " .. tostring(method))
  local call = setmetatable({ callback = callback }, Call)
  local thread = coroutine.create(function()
    hand_over(driver, call, client[method](client, unpack(arguments, 1, count - 1)))
  end)
  driver.calls[thread] = call
  local ok, err = coroutine.resume(thread)
  if not ok then error(err, 0) end
  call.started = true
  return call
end

return host
