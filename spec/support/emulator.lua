--- Runs the emulator beside a spec, by a shell alone: the same under every Lua.
--
--     local emulator = require "spec.support.emulator"
--     local running = emulator.start("--replay", "spec/fixtures/golive_succeeded.har")
--     local state = emulator.get(running.address .. "/_emulator/replay")
--     running.stop()

local emulator = {}

local PATIENCE = 10 -- seconds for a start, and for a stop

local function quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a") or ""
  if file then file:close() end
  return text
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read("*a")
  pipe:close()
  return output
end

-- What `look` gives, as soon as it gives something; nil when patience has ended.
local function await(look)
  local limit = os.time() + PATIENCE
  repeat
    local found = look()
    if found then return found end
    os.execute("sleep 0.02")
  until os.time() > limit
end

-- A shell of its own waits for the emulator, so `ended` tells the truth where nothing else
-- reaps a process whose parent has gone.
local function launch(scratch, arguments)
  local command = [[{
    emulator/run ARGUMENTS >SCRATCH/out 2>SCRATCH/err </dev/null &
    echo $! >SCRATCH/pid
    wait $!
    echo ended >SCRATCH/ended
  } >/dev/null 2>&1 &]]
  local words = { ARGUMENTS = arguments, SCRATCH = scratch }
  os.execute((command:gsub("%u+", words)))
end

local function complete_lines(text, count)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  return #lines >= count and lines or nil
end

local function has_ended(scratch)
  return read(scratch .. "/ended") ~= ""
end

-- The lines that it prints when it is ready; nil when it ended or took too long.
local function await_start(scratch, count)
  local lines
  await(function()
    lines = complete_lines(read(scratch .. "/out"), count)
    return lines or has_ended(scratch)
  end)
  return lines
end

local function stop(scratch, pid)
  os.execute("kill -TERM " .. pid .. " 2>/dev/null")
  local ended = await(function() return has_ended(scratch) end)
  os.execute("rm -rf " .. scratch)
  if not ended then error("the emulator (process " .. pid .. ") did not stop", 2) end
end

--- Starts `emulator/run` of this checkout and waits until it listens.
-- @param ... its options, each a word
-- @return a table: `address`, `ca` (a path, with --tls), `pid`, and the function `stop`,
--   which returns once it has ended and does nothing the second time
-- Raises what the emulator said when it doesn't start.
function emulator.start(...)
  local arguments, lines_wanted = {}, 1
  for i, argument in ipairs { ... } do
    arguments[i] = quote(argument)
    if argument == "--tls" then lines_wanted = 2 end
  end
  local scratch = output_of("mktemp -d"):match("[^\n]+")
  launch(scratch, table.concat(arguments, " "))
  local lines = await_start(scratch, lines_wanted)
  local pid, trouble = read(scratch .. "/pid"):match("%d+"), read(scratch .. "/err")
  local running = { pid = tonumber(pid) }
  function running.stop()
    if pid then stop(scratch, pid) end
    pid = nil
  end
  if not lines then
    running.stop()
    error("the emulator did not start: " .. trouble, 2)
  end
  running.address, running.ca = lines[1], lines[2] and lines[2]:match("^ca: (.*)$")
  return running
end

local function curl(url, options)
  return output_of("curl --silent --show-error --noproxy '*' --max-time 10 " .. options .. " "
    .. quote(url) .. " 2>&1")
end

--- The body that GET gives.
-- @param url string, such as `address .. "/_emulator/state"`
-- @param ca path of the authority to trust, for https
function emulator.get(url, ca)
  return curl(url, ca and "--cacert " .. quote(ca) or "")
end

--- The body that POST gives.
-- @param url string
-- @param body string; optional
-- @param ca path of the authority to trust, for https
function emulator.post(url, body, ca)
  return curl(url, (ca and "--cacert " .. quote(ca) or "") .. " --data-raw " .. quote(body or ""))
end

return emulator
