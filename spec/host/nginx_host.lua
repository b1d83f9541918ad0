--- What runs in the nginx of the specs: the Lua of a request's body, with a client.

local cjson = require "cjson"
local resty = require "cloudpartner.resty"

local host = {}

--- The client of this worker; with `HOST_KEEP` it keeps.
function host.client()
  if host.known then return host.known end
  local name = os.getenv "HOST_KEEP"
  host.keep = name and resty.keep(resty.shared(name), { lease = 3 })
  host.known = resty.new { keep = host.keep, retry_delay = 0.05 }
  return host.known
end

local function run(code)
  local environment = setmetatable({ client = host.client(), resty = resty, host = host },
    { __index = _G })
  return setfenv(assert(loadstring(code, "=spec")), environment)()
end

local function plain(value)
  if type(value) == "table" and getmetatable(value) and value.code then
    return { code = value.code, text = tostring(value), sent = value.sent,
      operation = value.operation and value.operation.id, intent = value.intent and true }
  end
  return value
end

local function answer(ok, ...)
  if not ok then return ngx.say(cjson.encode { raised = tostring((...)) }) end
  local results = { ... }
  for i = 1, select("#", ...) do
    results[i] = results[i] == nil and cjson.null or plain(results[i])
  end
  ngx.say(cjson.encode(results))
end

--- Runs a request's body, and answers with a list of what it returns.
function host.serve()
  ngx.req.read_body()
  answer(pcall(run, ngx.req.get_body_data()))
  return ngx.exit(ngx.HTTP_OK)
end

--- Calls a method in a phase that can't wait, and notes what came of it.
function host.note(phase)
  local _, message = pcall(function() return host.client():operations "spec-phase" end)
  ngx.shared.kept:set("phase " .. phase, tostring(message))
end

--- In init_worker: this worker follows what nobody else does.
function host.follow()
  local client = host.client()
  local often = { interval = 0.2, min_interval = 0.05 }
  host.keep:follow(client, { wait = often, on_end = function(operation, status, err)
    ngx.shared.kept:set("ended " .. operation.offer, status and status.state or tostring(err))
  end })
end

return host
