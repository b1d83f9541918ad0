-- Takes an offer live in a loop of luasocket's `select`, beside a server that tells whoever
-- connects how far it is.
--
--     lua5.4 examples/select.lua [OFFER [PORT]]
--
-- Every other loop goes the same way: wait until the client's descriptor is readable or its
-- time is up, then step. docs/hosts.md has the rules.

local cloudpartner = require "cloudpartner"
local socket = require "socket"

local EVERY = 0.5 -- seconds between two lines

local client = cloudpartner.new()
local server = assert(socket.bind("127.0.0.1", arg[2] or 0))
local task = client:start("golive", arg[1] or "demo-select")
local news, told_at = "submitting", 0

-- What `select` watches says which descriptor it is.
local answers = {}
function answers.getfd() return client:pollfd() end

-- One thing follows another: the wait begins when the submission has ended.
local function follow()
  local result = assert(task:result())
  if result.kind ~= "golive" then return true end
  task = client:start("wait", result, {
    interval = 0.5, min_interval = 0.1,
    on_progress = function(status) news = ("%s, %d%%"):format(status.state, status.progress) end,
  })
  return false
end

local function serve()
  local visitor = server:accept()
  visitor:send(news .. "\n")
  visitor:close()
end

-- A timer of the loop's own: seconds until the next line, after that of now.
local function tell()
  local left = told_at + EVERY - socket.gettime()
  if left > 0 then return left end
  print(news)
  io.stdout:flush()
  told_at = socket.gettime()
  return EVERY
end

local address, port = server:getsockname()
print(("ask %s:%d how it goes"):format(address, port))
repeat
  local timeout = math.min(tell(), client:timeout() or math.huge)
  local readable = socket.select({ server, answers }, nil, timeout)
  if readable[server] then serve() end
  client:step()
until task:done() and follow()

print "live"
client:close()
server:close()
