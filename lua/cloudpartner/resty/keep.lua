--- What is under way survives a reload, a crash of a worker, and a request whose client
-- went away.
--
--     local keep = resty.keep(resty.shared "cloudpartner")
--     local client = resty.new { publisher = "contoso", keep = keep }
--     init_worker: keep:follow(client, { on_end = function(operation, status, err) end })
--
-- An entry is a submission of one kind to one offer: its intent before it is sent, then
-- its operation, then how that ended. Whoever follows it holds its lease, which it renews
-- and which ends by itself when its worker or its request is gone. So of several workers
-- one follows; should two do so for a moment, they only read: nothing but golive, publish
-- and cancel sends, and these only where no entry is under way.

local cjson = require "cjson"

local Keep = {}
Keep.__index = Keep

local PREFIX, LEASE = "cloudpartner/", "cloudpartner-lease/"

-- How often one that doesn't follow looks into the store, in seconds.
local LOOK = 0.5

--------------------------------------------------------------------------- errors --

local Error = {}
Error.__index = Error

function Error:__tostring()
  return self.text or self.message
end

Error.__concat = function(a, b) return tostring(a) .. tostring(b) end

local function failure(code, message)
  return setmetatable({
    code = code, message = message, text = "cloudpartner: " .. code .. ": " .. message,
    retryable = false, sent = "no",
  }, Error)
end

-- What of an error is kept: enough to tell, and no answer of megabytes.
local function kept_error(err)
  return {
    code = err.code, message = err.message, text = tostring(err), sent = err.sent,
    http_status = err.http_status, service_code = err.service_code,
    request_id = err.request_id, retryable = err.retryable,
  }
end

local function kept_status(status)
  local kept = {}
  for key, value in pairs(status) do
    if key ~= "document" then kept[key] = value end
  end
  return kept
end

-------------------------------------------------------------------------- entries --

local function name_of(of)
  return table.concat({ of.publisher or "", of.offer or "", of.kind or "" }, "/")
end

function Keep:read(name)
  local text = self.store:get(PREFIX .. name)
  local ok, entry = pcall(cjson.decode, text)
  return ok and type(entry) == "table" and entry or nil
end

-- True; or nil and what the store said. An entry that has ended may go after a while.
function Keep:write(name, entry)
  local seconds = entry.ended and self.remember or 0
  return self.store:set(PREFIX .. name, cjson.encode(entry), seconds)
end

local function is_open(entry)
  return entry and not entry.ended
end

local function cannot_keep(message)
  return nil, failure("canceled", "the store can't keep it (" .. tostring(message)
    .. "), so nothing was sent")
end

-- True when the intent is in the store and no other is under way.
function Keep:announce(name, intent)
  local text = cjson.encode { intent = intent }
  if not is_open(self:read(name)) then self.store:delete(PREFIX .. name) end
  local ok, message = self.store:add(PREFIX .. name, text, 0)
  if ok then return true end
  if not is_open(self:read(name)) then return cannot_keep(message) end
  return nil, failure("conflict",
    "a " .. intent.kind .. " of this offer is under way elsewhere; nothing was sent")
end

--------------------------------------------------------------------------- leases --

local function me()
  return tostring(ngx.worker.pid())
end

function Keep:lease(name)
  return self.store:add(LEASE .. name, me(), self.seconds)
end

function Keep:renew_for_ever(name)
  while true do
    ngx.sleep(self.seconds / 3)
    self.store:set(LEASE .. name, me(), self.seconds)
  end
end

local function stop_renewing(keep, name, thread, ...)
  ngx.thread.kill(thread)
  keep.store:delete(LEASE .. name)
  return ...
end

local function or_raise(ok, ...)
  if not ok then error((...), 0) end
  return ...
end

-- Calls f while the lease is renewed. The thread that renews it dies with its request.
function Keep:holding(name, f, ...)
  local thread = ngx.thread.spawn(self.renew_for_ever, self, name)
  return or_raise(stop_renewing(self, name, thread, pcall(f, ...)))
end

---------------------------------------------------------------------- submissions --

-- Nobody knows whether it was taken: then its intent stays, to be looked up.
local function is_unclear(err)
  return err.sent ~= "no" and (err.code == "canceled" or err.code == "ambiguous"
    or err.code == "deadline" or err.code == "untrusted_url")
end

function Keep:settle(name, operation, err)
  if operation then
    self:write(name, { operation = operation })
  elseif not is_unclear(err) then
    self.store:delete(PREFIX .. name)
  end
  return operation, err
end

-- What the caller's function raises keeps the submission from being sent.
function Keep:call_before_send(options, name, intent)
  local ok, message = pcall(options.before_send, intent)
  if ok then return end
  self.store:delete(PREFIX .. name)
  error(message, 0)
end

-- The options, with an announcement to the store in front of the caller's.
function Keep:announcing(name, options)
  local all, refused = {}, {}
  for key, value in pairs(options or {}) do all[key] = value end
  function all.before_send(intent)
    local ok, err = self:announce(name, intent)
    if not ok then
      refused.err = err
      error(err, 0)
    end
    if options and options.before_send then
      self:call_before_send(options, name, intent)
    end
  end
  return all, refused
end

function Keep:send(client, method, name, subject, options)
  local all, refused = self:announcing(name, options)
  local ok, operation, err = pcall(client[method], client, subject, all)
  if ok then return self:settle(name, operation, err) end
  if refused.err then return nil, refused.err end
  error(operation, 0) -- of the caller's; what may have been sent stays in the store
end

-- What is under way already, instead of another submission.
function Keep:found(client, name, entry)
  if entry.operation then
    local operation, err = client:resume(entry.operation)
    if operation then operation.adopted = true end
    return operation, err
  end
  return self:settle_intent(client, name, entry)
end

function Keep:settle_intent(client, name, entry)
  local operation, err = client:resume(entry.intent)
  if operation then
    self:write(name, { operation = operation })
  elseif err.code ~= "canceled" then
    local ended = { ended = ngx.time(), intent = entry.intent, error = kept_error(err) }
    self:write(name, ended)
  end
  return operation, err
end

function Keep:submit_held(client, method, name, subject, options)
  local entry = self:read(name)
  if is_open(entry) then return self:found(client, name, entry) end
  return self:send(client, method, name, subject, options)
end

-- An operation that is there is the answer; else whoever holds the lease submits, or
-- looks up what another has left.
function Keep:submit(client, method, name, subject, options)
  repeat
    local entry = self:read(name)
    if is_open(entry) and entry.operation then return self:found(client, name, entry) end
    local ours, message = self:lease(name)
    if not ours and not self.store:get(LEASE .. name) then return cannot_keep(message) end
    if not ours then ngx.sleep(LOOK) end
  until ours or ngx.worker.exiting()
  if ngx.worker.exiting() then
    return nil, failure("canceled", "this worker ends; nothing was sent")
  end
  return self:holding(name, self.submit_held, self, client, method, name, subject,
    options)
end

------------------------------------------------------------------------ following --

-- After these an operation is over; after any other error it is followed again.
local FINAL = {
  operation_failed = true, operation_canceled = true, operation_lost = true,
  not_canceled = true,
}

function Keep:end_entry(name, operation, status, err)
  if not status and not FINAL[err.code] then return end
  self:write(name, {
    ended = ngx.time(), operation = operation,
    status = status and kept_status(status), error = err and kept_error(err),
  })
end

function Keep:follow_here(client, name, operation, options)
  local all = {}
  for key, value in pairs(options or {}) do all[key] = value end
  function all.on_progress(status)
    self:write(name, { operation = operation, status = kept_status(status) })
    if options and options.on_progress then options.on_progress(status) end
  end
  local status, err = client:wait(operation, all)
  self:end_entry(name, operation, status, err)
  return status, err
end

local function outcome(entry, operation)
  if not entry.error then return entry.status end
  entry.error.operation, entry.error.last_status = operation, entry.status
  return nil, setmetatable(entry.error, Error)
end

local function give_up(code, message, operation)
  local err = failure(code, message)
  err.operation, err.sent = operation, "yes"
  return nil, err
end

-- What another writes into the store is told here.
local function tell_progress(seen, entry, options)
  local text = entry.status and cjson.encode(entry.status)
  if text and text ~= seen.text and options and options.on_progress then
    options.on_progress(entry.status)
  end
  seen.text = text
end

local function is_entry_of(entry, operation)
  return entry and entry.operation and entry.operation.url == operation.url
end

-- The operation is followed by one, and by others read from the store.
function Keep:wait(client, operation, options)
  local name, seen = name_of(operation), {}
  local limit = options and options.timeout and ngx.now() + options.timeout or math.huge
  repeat
    local entry = self:read(name)
    if not is_entry_of(entry, operation) then return client:wait(operation, options) end
    if entry.ended then return outcome(entry, operation) end
    if self:lease(name) then
      return self:holding(name, self.follow_here, self, client, name, operation, options)
    end
    tell_progress(seen, entry, options)
    ngx.sleep(LOOK)
  until ngx.worker.exiting() or ngx.now() >= limit
  if ngx.worker.exiting() then
    return give_up("canceled", "this worker ends; the operation goes on", operation)
  end
  return give_up("deadline", "it has not ended in time; the operation goes on", operation)
end

----------------------------------------------------------------------- background --

function Keep:follow_entry(client, name, options)
  local entry = self:read(name)
  if not is_open(entry) then return end
  local operation, status, err
  if entry.operation then
    operation, err = client:resume(entry.operation)
  else
    operation, err = self:settle_intent(client, name, entry)
  end
  if operation then
    status, err = self:follow_here(client, name, operation, options.wait)
  end
  if options.on_end and not is_open(self:read(name)) then
    options.on_end(operation, status, err)
  end
end

function Keep:follow_in_thread(client, name, options)
  self.following[name] = true
  local ok, message = pcall(self.holding, self, name, self.follow_entry, self, client,
    name, options)
  self.following[name] = nil
  if not ok then ngx.log(ngx.ERR, "cloudpartner: ", tostring(message)) end
end

-- nginx keeps a light thread that has ended until its parent takes what it returned.
local function reap(threads)
  for i = #threads, 1, -1 do
    if coroutine.status(threads[i]) == "zombie" then
      ngx.thread.wait(table.remove(threads, i))
    end
  end
end

-- Those of this publisher that nobody follows.
function Keep:look_round(client, publisher, options, threads)
  for _, key in ipairs(self.store:list()) do
    local name = key:sub(1, #PREFIX) == PREFIX and key:sub(#PREFIX + 1)
    local ours = name and name:match "^[^/]*" == publisher and not self.following[name]
    if ours and is_open(self:read(name)) and self:lease(name) then
      table.insert(threads,
        ngx.thread.spawn(self.follow_in_thread, self, client, name, options))
    end
  end
end

function Keep:watch(client, publisher, options)
  local next_look, threads = 0, {}
  while not ngx.worker.exiting() do
    if ngx.now() >= next_look then
      next_look = ngx.now() + self.seconds / 3
      reap(threads)
      self:look_round(client, publisher, options, threads)
    end
    ngx.sleep(LOOK)
  end
end

--- keep:follow(client [, {on_end = function(operation, status, err), wait = {...}}]):
-- from now on this worker follows what nobody else does: what was under way at a reload,
-- what a request left whose client went away. Call it in init_worker_by_lua, in every
-- worker. `on_end` is called, in a timer's phase, by the worker that saw the end; `wait`
-- are options of operation:wait.
function Keep:follow(client, options)
  local publisher = self.publishers[client]
  assert(publisher, "bad argument 'client': one of resty.new{keep = this one} expected")
  local inner = self.clients[client]
  require("cloudpartner.resty").background(function()
    self:watch(inner, publisher, options or {})
  end)
end

----------------------------------------------------------------------------- wrap --

-- The handles that a kept client gives wait as it does.
local function make_handle_methods(keep, inner)
  local metatables = setmetatable({}, { __mode = "k" })
  return function(operation, ...)
    local old = operation and getmetatable(operation)
    if not old then return operation, ... end
    metatables[old] = metatables[old] or {
      client = old.client,
      __index = {
        status = old.__index.status, cancel = old.__index.cancel,
        wait = function(handle, options) return keep:wait(inner, handle, options) end,
      },
    }
    return setmetatable(operation, metatables[old]), ...
  end
end

local SUBMISSIONS = { golive = true, publish = true, cancel = true }

--- keep:wrap(client, publisher, check_phase): a client whose submissions are kept; of
-- resty.new.
function Keep:wrap(inner, publisher, check_phase)
  local client = {}
  local with_methods = make_handle_methods(self, inner)
  for method in pairs(SUBMISSIONS) do
    client[method] = function(_, offer, options)
      check_phase()
      local name = name_of { publisher = publisher, offer = offer, kind = method }
      return with_methods(self:submit(inner, method, name, offer, options))
    end
  end
  function client.resume(_, ...) return with_methods(inner:resume(...)) end
  function client.wait(_, ...)
    check_phase()
    return self:wait(inner, ...)
  end
  self.publishers[client], self.clients[client] = publisher, inner
  return setmetatable(client, {
    __index = function(_, key)
      local method = inner[key]
      return method and function(_, ...) return method(inner, ...) end
    end,
    __tostring = function() return tostring(inner) end,
  })
end

--- resty.keep(store [, {lease = 30, remember = 86400}]): `store` has the methods
-- get(key), add(key, value, seconds), set(key, value, seconds), delete(key) and list(),
-- which gives the keys; seconds 0: for ever. All workers must see the same one. `lease`:
-- seconds after which another may follow what a worker that crashed did; `remember`: for
-- how long an end is kept.
function Keep.new(store, options)
  for _, method in ipairs { "get", "add", "set", "delete", "list" } do
    if type(store) ~= "table" or not store[method] then
      error("bad argument 'store': it has no method '" .. method .. "'", 3)
    end
  end
  options = options or {}
  return setmetatable({
    store = store, seconds = options.lease or 30, remember = options.remember or 86400,
    following = {}, publishers = setmetatable({}, { __mode = "k" }),
    clients = setmetatable({}, { __mode = "k" }),
  }, Keep)
end

return Keep
