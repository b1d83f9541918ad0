--- cloudpartner.async: a client whose methods await in a coroutine instead of blocking.
--
-- A wrapped method starts the task that its method would block on, holds it (see
-- src/lua_hold.c), and awaits. The functions of the caller's that the task needs are
-- called here, in the coroutine that awaits, so they may yield.

local async = {}

-- pcall that may be yielded across. PUC Lua 5.1 has none: there the function runs in a
-- coroutine of its own, whose yields are passed on.

local function pass_on(thread, ok, ...)
  if ok and coroutine.status(thread) == "suspended" then
    return pass_on(thread, coroutine.resume(thread, coroutine.yield(...)))
  end
  return ok, ...
end

local inner_of = setmetatable({}, { __mode = "k" })

local function pcall_by_coroutine(f, ...)
  local outer = coroutine.running()
  local thread = coroutine.create(function(...) return f(...) end)
  inner_of[thread] = outer and (inner_of[outer] or outer)
  return pass_on(thread, coroutine.resume(thread, ...))
end

local is_plain_5_1 = _VERSION == "Lua 5.1" and not rawget(_G, "jit")

--- async.pcall(f, ...): as pcall, and f may await. On Lua 5.2 and later, and on LuaJIT,
-- it is pcall itself.
async.pcall = is_plain_5_1 and pcall_by_coroutine or pcall

--- async.running(): the coroutine that a scheduler has to resume for the running one to
-- go on: within async.pcall on PUC Lua 5.1, the one outside. nil in the main program.
function async.running()
  local thread, is_main = coroutine.running()
  if is_main then return nil end
  return inner_of[thread] or thread
end

-- A held task, as `await` gets it. When nobody has it any more, its coroutine is gone,
-- and whoever steps makes its calls.

local Held = {}
Held.__index = Held

--- held:done(): is there nothing to await: has the task ended, or is a call to be made?
function Held:done()
  local task = self.task
  return task:done() or task:wanted()
end

--- held:notify(f): f() is called whenever done() becomes true, from within client:step,
-- task:cancel or client:close. It must neither raise nor yield.
function Held:notify(f)
  self.task:hold(f)
end

--- held:result(), held:cancel(): the task's own.
function Held:result()
  return self.task:result()
end

function Held:cancel()
  return self.task:cancel()
end

local function release(task)
  if not task:done() then task:release() end
end

-- Lua 5.1's tables have no finalizer; what newproxy makes has one.
local function finalized(held)
  if rawget(_G, "newproxy") then
    local task = held.task
    held.guard = newproxy(true)
    getmetatable(held.guard).__gc = function() release(task) end
  end
  return held
end

function Held:__gc()
  release(self.task)
end

local function hold(task)
  task:hold()
  return finalized(setmetatable({ task = task }, Held))
end

local function invoke(f, ...) return f(...) end

-- What keeps the call from being made counts as raised in it.
local function answer(task)
  task:answer(async.pcall(function() return invoke(task:call()) end))
end

-- By coroutine: the client for which it is in a token function. There it would wait for
-- itself, if it called that client.
local asking = setmetatable({}, { __mode = "k" })

local function answer_with_token(client, task)
  local thread = coroutine.running() or asking
  asking[thread] = client
  answer(task)
  asking[thread] = nil
end

local function check_not_asking(client)
  if asking[coroutine.running() or asking] ~= client then return end
  error("the token function called its own client", 0)
end

local function make_call(client, task, is_for_token)
  if is_for_token then answer_with_token(client, task) else answer(task) end
end

-- Until the task has ended: its calls are made, and it is awaited in between.
local function finish(client, task, await)
  local held = hold(task)
  while not task:done() do
    local wanted, is_for_token = task:wanted()
    if wanted then make_call(client, task, is_for_token) else await(client, held) end
  end
  return task:result()
end

-- What a method gives may have methods of its own: an operation, a list of them, the
-- operation in an error or a plan, also in those of a list. Theirs shall await too.

local function is_operation(value, client)
  local metatable = getmetatable(value)
  return type(metatable) == "table" and rawget(metatable, "client") == client
end

local adopt

function adopt(value, client, metatable)
  if type(value) ~= "table" then return end
  if is_operation(value, client) then
    setmetatable(value, metatable)
  elseif type(value.operation) == "table" then
    adopt(value.operation, client, metatable)
  elseif getmetatable(value) == nil then
    for _, element in ipairs(value) do
      if is_operation(element, client) then
        setmetatable(element, metatable)
      elseif type(element) == "table" then
        adopt(rawget(element, "error") or rawget(element, "status"), client, metatable)
      end
    end
  end
end

local function adopt_all(client, metatable, ...)
  adopt((...), client, metatable)
  adopt((select(2, ...)), client, metatable)
  return ...
end

local function make_operation_metatable(client, call)
  return {
    client = client,
    __index = {
      status = function(...) return call("status", ...) end,
      wait = function(...) return call("wait", ...) end,
      cancel = function(...) return call("cancel_operation", ...) end,
    },
  }
end

-- These don't wait, or say themselves for how long; the others can be started.
local DIRECT = {
  start = true, step = true, timeout = true, pollfd = true, events = true, tasks = true,
  in_flight = true, observe = true, close = true,
}

local function direct(client, name)
  return function(_, ...) return client[name](client, ...) end
end

-- The methods of a wrapped client are made when they are first asked for.
local function method_of(client, call, name)
  if type(client[name]) ~= "function" then return nil end
  if DIRECT[name] then return direct(client, name) end
  return function(_, ...) return call(name, ...) end
end

--- async.wrap(client, await): a client with the same methods, of which those that block
-- call `await(client, task)` in the coroutine that runs instead, until the task has
-- ended. The operations and errors that they give have methods that await too.
-- @param client of cloudpartner.new
-- @param await function(client, task): sees to it that somebody steps the client, and
--   suspends the coroutine until task:done(); its results don't count. See docs/hosts.md.
function async.wrap(client, await)
  assert(type(await) == "function", "bad argument 'await': a function expected")
  local metatable
  local function call(name, ...)
    check_not_asking(client)
    local task = client:start(name, ...)
    return adopt_all(client, metatable, finish(client, task, await))
  end
  metatable = make_operation_metatable(client, call)
  local wrapped = {}
  return setmetatable(wrapped, {
    __index = function(_, name)
      wrapped[name] = method_of(client, call, name)
      return rawget(wrapped, name)
    end,
    __tostring = function() return tostring(client) end,
    __close = function() client:close() end,
  })
end

-- async.run

-- How long a step may wait while a coroutine has yielded of its own accord, in seconds.
local PATIENCE = 0.001

local AWAIT = {} -- yielded by one that is woken when its task is done

local function success(...)
  return { ok = true, n = select("#", ...), ... }
end

local function failure(thread, message)
  local text = type(message) == "string" and message or tostring(message)
  return { ok = false, error = message, traceback = debug.traceback(thread, text) }
end

local Run = {}
Run.__index = Run

function Run:enlist(i)
  self.ready[#self.ready + 1] = i
end

-- One that has yielded in a call of its task's is enlisted already.
function Run:wake(i)
  if not self.awaiting[i] then return end
  self.awaiting[i] = nil
  self:enlist(i)
end

function Run:finish(i, result)
  self.results[i] = result
  self.open = self.open - 1
end

-- Takes what a coroutine yielded or returned: it awaits, goes on in a while, or has
-- ended.
function Run:take(i, ok, ...)
  local thread = self.threads[i]
  if not ok then
    self:finish(i, failure(thread, (...)))
  elseif coroutine.status(thread) == "dead" then
    self:finish(i, success(...))
  elseif (...) ~= AWAIT then
    self:enlist(i)
    self.patience = PATIENCE
  end
end

function Run:resume(i)
  self.current = i
  self:take(i, coroutine.resume(self.threads[i], self.wrapped))
end

-- Those that are enlisted meanwhile have their turn after the next step.
function Run:resume_ready()
  local ready = self.ready
  self.ready, self.patience = {}, math.huge
  for _, i in ipairs(ready) do self:resume(i) end
end

function Run:await(task)
  local i = self.current
  task:notify(function() self:wake(i) end)
  while not task:done() do
    self.awaiting[i] = true
    coroutine.yield(AWAIT)
  end
end

-- What a step raises (Ctrl-C, a clock of the caller's) is the end of all that are left.
function Run:give_up(message)
  for i, thread in ipairs(self.threads) do
    if not self.results[i] then self:finish(i, failure(thread, message)) end
  end
end

function Run:step()
  if #self.ready > 0 and self.patience == math.huge then return end
  local ok, message = pcall(self.client.step, self.client, self.patience)
  if not ok then self:give_up(message) end
end

local function new_run(client, ...)
  local run = setmetatable({
    client = client, open = select("#", ...),
    threads = {}, awaiting = {}, ready = {}, results = {},
  }, Run)
  run.wrapped = async.wrap(client, function(_, task) run:await(task) end)
  for i = 1, run.open do
    local f = (select(i, ...))
    run.threads[i] = coroutine.create(function(...) return f(...) end)
    run:enlist(i)
  end
  return run
end

--- async.run(client, f, ...): calls each f(wrapped) as a coroutine, and steps the client
-- until all have ended. Never raises but for misuse.
-- @return a list in the order given: {ok = true, n = count, ...results} or
--   {ok = false, error =, traceback =}, the traceback of the coroutine
function async.run(client, ...)
  local run = new_run(client, ...)
  run:resume_ready()
  while run.open > 0 do
    run:step()
    run:resume_ready()
  end
  return run.results
end

return async
