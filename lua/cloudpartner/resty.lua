--- The client for OpenResty, and for nginx with its Lua module: each method yields to
-- nginx.
--
--     local resty = require "cloudpartner.resty"
--     local client = resty.new { publisher = "contoso" }
--     local operation, err = client:golive "contoso-virtualmachineoffer"
--
-- nginx can't watch a descriptor of ours. So one timer for each worker steps every client
-- that has something open, and ends when none has: docs/nginx.md.

local semaphore = require "ngx.semaphore"

local async = require "cloudpartner.async"
local cloudpartner = require "cloudpartner"

local resty = {}

-- Where nginx lets Lua yield.
local YIELDING = {
  rewrite = true, server_rewrite = true, access = true, content = true, timer = true,
  preread = true, ssl_cert = true, ssl_session_fetch = true, ssl_client_hello = true,
}

-- A pause of the driver's, in seconds. While an exchange is under way it is a tenth of
-- the time for which that has been, so that looking adds little to what it takes anyway.
-- The longest is how late a worker's end may be noticed.
local SHORTEST, WHILE_IN_FLIGHT, LONGEST = 0.001, 0.05, 0.5

-- How long a coroutine waits until it looks again by itself, in seconds.
local LOOK = 60

-------------------------------------------------------------------------- driver --

-- The one of this worker: `attended` are the clients that have something open.
-- `jobs` are functions that run beside it, in light threads of its timer.
local driver = { attended = {}, jobs = {}, working = 0, running = false, moved_at = 0 }

local function cancel_all(client)
  for _, task in ipairs(client:tasks()) do task:cancel() end
end

-- Steps a client; false when nothing of it is open any more. One that was closed is not
-- attended to, and what its `now` raises is logged: others are not to suffer for it.
local function step(client)
  local ok, open = pcall(client.step, client)
  if ok then return open > 0 end
  if not tostring(open):find("closed client", 1, true) then
    ngx.log(ngx.ERR, "cloudpartner: ", tostring(open))
  end
  return false
end

local function step_one(client, state)
  local flying = step(client) and client:in_flight()
  if flying ~= state.flying then driver.moved_at = ngx.now() end
  state.flying = flying or 0
  if not flying then driver.attended[client] = nil end
end

-- What a step calls may attend to further clients.
local function step_all()
  local clients = {}
  for client in pairs(driver.attended) do clients[#clients + 1] = client end
  for _, client in ipairs(clients) do step_one(client, driver.attended[client]) end
end

local function pause_of(client, flying)
  local pause = math.min(client:timeout() or LONGEST, LONGEST)
  if flying == 0 then return pause end
  local looked_for = (ngx.now() - driver.moved_at) / 10
  return math.min(pause, looked_for, WHILE_IN_FLIGHT)
end

local function next_pause()
  local pause = LONGEST
  for client, state in pairs(driver.attended) do
    pause = math.min(pause, pause_of(client, state.flying))
  end
  return math.max(pause, SHORTEST)
end

local function is_ending(premature)
  return premature or ngx.worker.exiting()
end

-- A worker that ends waits for its requests: they hear `canceled` now, with what there is
-- to resume.
local function end_all()
  for client in pairs(driver.attended) do
    driver.attended[client] = nil
    pcall(cancel_all, client)
  end
end

local function work(job)
  local ok, message = pcall(job)
  driver.working = driver.working - 1
  if not ok then ngx.log(ngx.ERR, "cloudpartner: ", tostring(message)) end
end

local function start_jobs()
  while #driver.jobs > 0 do
    driver.working = driver.working + 1
    ngx.thread.spawn(work, table.remove(driver.jobs, 1))
  end
end

local function has_work()
  return next(driver.attended) or #driver.jobs > 0 or driver.working > 0
end

local function drive_to_end(premature)
  while has_work() and not is_ending(premature) do
    start_jobs()
    ngx.update_time()
    step_all()
    if has_work() then driver.bell:wait(next_pause()) end
  end
end

-- Whatever raises: the next who attends to a client starts it again.
local function drive(premature)
  local ok, message = pcall(drive_to_end, premature)
  driver.running = false
  if not ok then ngx.log(ngx.ERR, "cloudpartner: ", tostring(message)) end
  if is_ending(premature) then end_all() end
end

-- False when nginx has no timer for it.
local function run_driver()
  if driver.running then return true end
  driver.bell = driver.bell or semaphore.new()
  driver.running = ngx.timer.at(0, drive) ~= nil
  return driver.running
end

-- Sees to it that the client is stepped now, and for as long as it has something open.
local function attend(client)
  driver.attended[client] = driver.attended[client] or { flying = 0 }
  if not run_driver() then return false end
  if driver.bell:count() <= 0 then driver.bell:post() end
  return true
end

--- resty.background(f): f() runs in the one timer of this worker, and may yield.
function resty.background(f)
  table.insert(driver.jobs, f)
  if run_driver() and driver.bell:count() <= 0 then driver.bell:post() end
end

--------------------------------------------------------------------------- await --

local function check_phase()
  local phase = ngx.get_phase()
  if YIELDING[phase] then return end
  error("cloudpartner: nginx lets nothing wait in the phase " .. phase
    .. "; call it from ngx.timer.at(0, function() ... end)", 0)
end

-- Without a timer (nginx has 256, or the worker is ending) the coroutine looks itself.
local function drive_here(client, task)
  while not task:done() do
    if ngx.worker.exiting() then task:cancel() end
    step(client)
    ngx.sleep(SHORTEST)
  end
end

local function await(client, task)
  if not YIELDING[ngx.get_phase()] or ngx.worker.exiting() then task:cancel() end
  check_phase()
  local bell = semaphore.new()
  task:notify(function() bell:post() end)
  if not attend(client) then return drive_here(client, task) end
  while not task:done() do bell:wait(LOOK) end
end

-- A task that nobody awaits is stepped as well, where a timer can be had.
local function start(client, ...)
  local task = client:start(...)
  if ngx.get_phase() ~= "init" then attend(client) end
  return task
end

-- A new table without that field.
local function without(options, name)
  local others = {}
  for key, value in pairs(options or {}) do others[key] = value end
  others[name] = nil
  return others
end

--- resty.new(options): a client, each method of which yields to nginx where it would
-- block. Does no I/O and may be called in any phase, before the fork as well.
-- @param options as of cloudpartner.new; and `keep`, of resty.keep: what is submitted
--   survives a reload and an aborted request
function resty.new(options)
  local client = cloudpartner.new(without(options, "keep"))
  local wrapped = async.wrap(client, await)
  function wrapped.start(_, ...) return start(client, ...) end
  local keep = options and options.keep
  if not keep then return wrapped end
  local publisher = options.publisher or os.getenv "CLOUDPARTNER_PUBLISHER"
  return keep:wrap(wrapped, publisher, check_phase)
end

--- resty.keep(store [, options]): where intents and operations under way are kept; an
-- option of resty.new. See cloudpartner.resty.keep.
function resty.keep(store, options)
  return require("cloudpartner.resty.keep").new(store, options)
end

--- resty.shared(name): the store of a `lua_shared_dict` of nginx's.
function resty.shared(name)
  return require("cloudpartner.resty.shared").new(name)
end

--- resty.http(open): a transport that lets lua-resty-http do the I/O; an option of
-- resty.new. See cloudpartner.resty.http.
function resty.http(open)
  return require("cloudpartner.resty.http").new(open)
end

return resty
