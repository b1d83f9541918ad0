-- Takes an offer live and shows each of its steps as a progress bar, until it is live.
--
--     lua5.4 examples/golive.lua [OFFER]
--
-- CLOUDPARTNER_ENDPOINT, CLOUDPARTNER_TOKEN and CLOUDPARTNER_PUBLISHER say where and who.
-- CLOUDPARTNER_INTERVAL: seconds between two looks (the client's default; 0.25 on loopback).
-- A terminal gets bars that move; a file or a pipe gets a line for each change.
-- The exit status is 0 when the offer is live, else 1 and one line says why.

local cloudpartner = require "cloudpartner"

local OFFER = arg[1] or "contoso-virtualmachineoffer"
local NAME_WIDTH, BAR_WIDTH = 28, 22

-- What the service says never moves the cursor of a terminal.
local function plain(text)
  return (tostring(text or ""):gsub("%c+", " "))
end

local function fit(text, width)
  text = plain(text)
  if #text > width then text = text:sub(1, width - 2) .. ".." end
  return text .. (" "):rep(width - #text)
end

local function bar(progress)
  local full = math.floor(BAR_WIDTH * progress / 100)
  return ("#"):rep(full) .. ("."):rep(BAR_WIDTH - full)
end

local function word(state)
  return (state:gsub("_", " "))
end

-- Calls `show(text)` for each message of the step that was not shown before.
local function each_new_message(step, shown, show)
  for _, message in ipairs(step.messages) do
    local text = ("%s: %s"):format(plain(step.name or step.id), plain(message.text))
    if message.level then text = plain(message.level) .. ": " .. text end
    if not shown[text] then show(text) end
    shown[text] = true
  end
end

-- For files and pipes. A step's line comes again when its state or its tenth has changed.

local function printer()
  local before, shown = {}, {}
  return function(status)
    for i, step in ipairs(status.steps) do
      local now = step.state .. math.floor(step.progress / 10)
      local waits = before[i] == nil and step.state == "not_started"
      if now ~= before[i] and not waits then
        before[i] = now
        print(("[%3d%%] %s %s: %s"):format(step.progress, bar(step.progress),
          plain(step.name or step.id), word(step.state)))
      end
      each_new_message(step, shown, print)
    end
    io.stdout:flush()
  end
end

-- For terminals: one line for each step, drawn over the lines of the time before.

local COLOURS = {
  succeeded = "32", failed = "31", canceled = "31", rejected = "31", blocked = "31",
  running = "36",
}

local function paint(text, state)
  local no_colour = os.getenv "NO_COLOR"
  if not COLOURS[state] or no_colour and no_colour ~= "" then return text end
  return ("\27[%sm%s\27[0m"):format(COLOURS[state], text)
end

local function painter()
  local height, shown = 0, {}
  return function(status)
    local out = { height > 0 and ("\27[%dA\r\27[J"):format(height) or "" }
    local function above(text) out[#out + 1] = text .. "\n" end
    for _, step in ipairs(status.steps) do each_new_message(step, shown, above) end
    for _, step in ipairs(status.steps) do
      local line = ("%s %3d%% %s"):format(bar(step.progress), step.progress, word(step.state))
      out[#out + 1] = fit(step.name or step.id, NAME_WIDTH) .. " "
        .. paint(line, step.state) .. "\n"
    end
    height = #status.steps
    io.stdout:write(table.concat(out))
    io.stdout:flush()
  end
end

-- os.execute gives an exit status in Lua 5.1, and true or nil in later ones.
local function is_terminal()
  local term = os.getenv "TERM"
  if not term or term == "" or term == "dumb" then return false end
  local result = os.execute "test -t 1"
  return result == true or result == 0
end

local function is_loopback(url)
  local host = url:match "^%a+://([^/]+)" or ""
  return host:find "^127%." or host:find "^localhost" or host:find "^%[::1%]"
end

local function interval()
  local given = tonumber(os.getenv "CLOUDPARTNER_INTERVAL")
  return given or is_loopback(os.getenv "CLOUDPARTNER_ENDPOINT" or "") and 0.25 or nil
end

local function golive()
  local client = cloudpartner.new()
  local operation, status, err
  operation, err = client:golive(OFFER)
  if operation then
    print(("%s of %s: accepted at %s"):format(operation.kind, OFFER, operation.submitted_at))
    status, err = operation:wait {
      interval = interval(), min_interval = interval() and math.min(interval(), 1),
      on_progress = is_terminal() and painter() or printer(),
    }
  end
  client:close()
  if not status then return nil, err end
  print(OFFER .. " is live")
  return true
end

-- What the world does wrong is returned; what is raised is a mistake in the call, or Ctrl-C.
local called, ok, err = pcall(golive)
if not (called and ok) then
  io.stdout:flush()
  io.stderr:write(tostring(called and err or ok), "\n")
  os.exit(1)
end
