--- HTTP: a request out of nginx, an answer into it.

local guid = require "emulator.guid"
local ledger = require "emulator.ledger"
local once = require "emulator.once"
local service = require "emulator.service"

local exchange = {}

function exchange.origin()
  local host = ngx.var.http_host or "127.0.0.1:" .. ngx.var.server_port
  return ngx.var.scheme .. "://" .. host
end

-- nginx itself would compare If-Match with the ETag of the answer: after an update that
-- is the new one, and nginx would turn our 200 into a 412.
local function take_headers()
  local headers = ngx.req.get_headers()
  ngx.req.clear_header("If-Match")
  ngx.req.clear_header("If-None-Match")
  return headers
end

function exchange.request()
  ngx.req.read_body()
  return {
    method = ngx.req.get_method(), path = ngx.var.uri, uri = ngx.var.request_uri,
    args = ngx.req.get_uri_args(), headers = take_headers(),
    body = ngx.req.get_body_data() or "", origin = exchange.origin(),
    reused = ngx.var.connection_requests ~= "1",
  }
end

--- Closes the connection without an answer.
function exchange.hang_up()
  return ngx.exit(444)
end

local function drip(text, seconds, put)
  for byte in text:gmatch "." do
    if not put(byte) then return false end
    ngx.sleep(seconds)
  end
  return true
end

-- Puts a text as often and as slowly as the order says, as long as someone takes it.
local function pour(text, order, put)
  for _ = 1, order.copies or 1 do
    local taken
    if order.drip then taken = drip(text, order.drip, put) else taken = put(text) end
    if not taken then return end
  end
end

local function put_out(text)
  ngx.print(text)
  return ngx.flush(true)
end

function exchange.send(answer)
  ngx.status = answer.status
  for name, value in pairs(answer.headers) do ngx.header[name] = value end
  ngx.header["Content-Length"] = ("%.0f"):format(#answer.body * (answer.copies or 1))
  if answer.copies or answer.drip then
    pour(answer.body, answer, put_out)
  else
    ngx.print(answer.body)
  end
end

-- Whatever it is goes out as it is; nginx closes the connection afterwards, or resets it.
local function send_raw(reply)
  local socket = assert(ngx.req.socket(true))
  pour(reply.raw, reply, function(text) return socket:send(text) end)
  if reply.reset then ngx.exit(444) end
end

local function add_ids(request)
  ngx.header["x-ms-request-id"] = guid()
  ngx.header["x-ms-client-request-id"] = request.headers["x-ms-client-request-id"]
end

local function add_type(reply)
  if reply.body == "" or reply.headers["Content-Type"] then return end
  ngx.header["Content-Type"] = "application/json; charset=utf-8"
end

local function answer(request)
  local rule = once.take(request)
  if not rule then return service.answer(request) end
  if rule.fault then ledger.fault() end
  return once.answer(rule, request, service.answer)
end

local function begin(request)
  if request.exchange == "token" then return ledger.token_request() end
  return ledger.request(not request.reused)
end

function exchange.serve()
  local request = exchange.request()
  request.exchange = service.exchange(request)
  local finish = begin(request)
  local ok, reply = pcall(answer, request)
  finish()
  if not ok then error(reply, 0) end
  if reply.raw then return send_raw(reply) end
  add_ids(request)
  add_type(reply)
  exchange.send(reply)
end

return exchange
