--- A server whose answers say when they were sent: each is a list of one operation, whose
-- id is that moment in microseconds of the monotonic clock. Prints its address, and runs
-- until it is ended.
-- usage: stamps.lua

local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local PAUSE = 0.001 -- until an answer, so that whoever waits has gone to sleep

local ENTRY = '[{"id":"%d","submissionType":"golive","submissionState":"running"}]'
local ANSWER = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"

local function read_head(connection)
  local line
  repeat line = connection:read "*l" until not line or line == "" or line == "\r"
  return line
end

local function answer(connection)
  cqueues.sleep(PAUSE)
  local body = ENTRY:format(cqueues.monotime() * 1e6 // 1)
  connection:write(ANSWER:format(#body, body))
  connection:flush()
end

local function serve(connection)
  connection:setmode("b", "bf")
  while read_head(connection) do answer(connection) end
  connection:close()
end

local loop = cqueues.new()
local server = socket.listen("127.0.0.1", 0)

loop:wrap(function()
  for connection in server:clients() do loop:wrap(serve, connection) end
end)

server:listen()
local _, host, port = server:localname()
print(("http://%s:%d"):format(host, port))
io.stdout:flush()
for message in loop:errors() do io.stderr:write("stamps: ", tostring(message), "\n") end
