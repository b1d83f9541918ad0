--- As much of lua-resty-http's interface as its adapter uses, for the specs: over a cosocket,
-- without TLS, an answer with a Content-Length.

local http = {}

local Connection = {}
Connection.__index = Connection

function http.new()
  return setmetatable({ socket = ngx.socket.tcp() }, Connection)
end

function Connection:set_timeout(milliseconds) self.socket:settimeout(milliseconds) end

function Connection:connect(server)
  self.host = server.host .. ":" .. server.port
  return self.socket:connect(server.host, server.port, { pool = server.pool })
end

local function head_of(connection, request)
  local lines = { request.method .. " " .. request.path .. " HTTP/1.1",
    "Host: " .. connection.host, "Content-Length: " .. #(request.body or "") }
  for name, value in pairs(request.headers) do lines[#lines + 1] = name .. ": " .. value end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (request.body or "")
end

local function read_headers(socket)
  local headers = {}
  for line in function() return socket:receive() end do
    if line == "" then return headers end
    local name, value = line:match "^([^:]+):%s*(.*)$"
    headers[name] = value
  end
end

function Connection:request(request)
  local ok, message = self.socket:send(head_of(self, request))
  local line, fault = nil, message
  if ok then line, fault = self.socket:receive() end
  if not line then return nil, fault end
  local headers = read_headers(self.socket)
  local length = tonumber(headers["Content-Length"])
  return {
    status = tonumber(line:match " (%d+)"), headers = headers, has_body = length ~= nil,
    read_body = function() return length == 0 and "" or self.socket:receive(length) end,
  }
end

function Connection:set_keepalive() return self.socket:setkeepalive() end

function Connection:close() return self.socket:close() end

return http
