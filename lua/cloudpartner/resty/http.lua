--- A transport over lua-resty-http, for those who want its cosockets, pools and TLS.
--
--     local http = require "resty.http"
--     local client = resty.new { transport = resty.http(http.new) }
--
-- nginx then needs `resolver`, and `lua_ssl_trusted_certificate` for TLS.

local http = {}

-- What its messages mean, of a request that was never sent.
local UNSENT = {
  { "could not be resolved", "resolve" }, { "no resolver", "resolve" },
  { "connection refused", "connect" }, { "no route", "connect" },
  { "handshake", "tls" }, { "certificate", "tls" },
}

local function code_of(message)
  for _, case in ipairs(UNSENT) do
    if message:lower():find(case[1], 1, true) then return case[2] end
  end
  return "connect"
end

local function split(url)
  local scheme, host, path = url:match "^(https?)://([^/?#]+)(.*)$"
  local name, port = host:match "^(.-):(%d+)$"
  return {
    scheme = scheme, host = name or host, ssl_verify = true,
    port = tonumber(port) or (scheme == "https" and 443 or 80),
  }, path == "" and "/" or path
end

local function headers_of(request)
  local headers = {}
  for _, pair in ipairs(request.headers) do headers[pair[1]] = pair[2] end
  return headers
end

local function exchange(connection, request, path)
  local response, message = connection:request {
    method = request.method, path = path, body = request.body,
    headers = headers_of(request),
  }
  if not response then return nil, message end
  local body, fault = "", nil
  if response.has_body then body, fault = response:read_body() end
  if not body then return nil, fault end
  if request.method == "GET" then connection:set_keepalive() else connection:close() end
  return { status = response.status, headers = response.headers, body = body }
end

--- http.new(open): the transport; `open` is lua-resty-http's `new`. What fails before a
-- connection stands was not sent; whatever fails later may have been. A connection is not
-- used again for a submission: one that died meanwhile would leave it unclear.
function http.new(open)
  return function(request)
    local connection, message = open()
    if not connection then return nil, message, "connect" end
    connection:set_timeout(request.timeout * 1000)
    local server, path = split(request.url)
    if request.method ~= "GET" then server.pool = "cloudpartner, never kept" end
    local ok, fault = connection:connect(server)
    if not ok then return nil, fault, code_of(fault) end
    return exchange(connection, request, path)
  end
end

return http
