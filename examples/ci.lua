-- Takes an offer live from CI, in two jobs: one submits, another waits. Each can be killed at
-- any moment and run again, and the offer is submitted once. docs/resuming.md tells the rest.
--
--     lua5.4 examples/ci.lua submit OFFER [FILE]
--     lua5.4 examples/ci.lua wait OFFER [FILE]
--
-- FILE (golive.json) is what one job leaves to the next. Without arguments both are done for
-- an offer of the emulator. CLOUDPARTNER_ENDPOINT, CLOUDPARTNER_TOKEN and
-- CLOUDPARTNER_PUBLISHER say where and who; BEGAN is the time of the first attempt.
-- The exit status is 0 when it is submitted, or live; else 1 and one line says why.

local cjson = require "cjson"
local cloudpartner = require "cloudpartner"

local PHASE, OFFER = arg[1] or "both", arg[2] or "demo-ci"
local FILE = arg[3] or arg[1] and "golive.json" or os.tmpname()
local BEGAN = tonumber(os.getenv "BEGAN") or os.time()
local HOURS = 5 -- a job on a hosted runner has six

local client = cloudpartner.new()

-- Operations of the emulator take a second.
local function interval()
  local near = (os.getenv "CLOUDPARTNER_ENDPOINT" or ""):find "^http://127%."
  return near and 0.2 or 60
end

local function show(status)
  print(("%3d %% %s"):format(status.progress, status.state))
  io.stdout:flush()
end

-- First the intent, then the operation in its place: each as a whole or not at all, so by
-- another name first. What can't be written raises, and then nothing is sent.
local function save(saved)
  local file = assert(io.open(FILE .. ".new", "wb"))
  assert(file:write(cjson.encode(saved)))
  assert(file:close())
  assert(os.rename(FILE .. ".new", FILE))
end

local function load_saved()
  local file = io.open(FILE, "rb")
  local text = file and file:read "*a" or ""
  if file then file:close() end
  if text == "" then return nil end
  local saved = cjson.decode(text)
  assert(saved.offer == OFFER, FILE .. " is about another offer")
  return saved
end

-- What was saved is looked for first. When it is not there, the list is read once more for
-- whatever began since BEGAN, and only then is the offer submitted.
local function submit()
  local saved, operation, err = load_saved(), nil, nil
  if saved then operation, err = client:resume(saved) end
  if not saved or err and err.code == "ambiguous" then
    operation, err = client:golive(OFFER, { adopt = BEGAN, before_send = save })
  end
  if not operation then return nil, err end
  save(operation)
  print(("%s: %s"):format(OFFER, operation.url))
  return operation
end

local function wait()
  local saved = load_saved()
  if not saved then return nil, FILE .. " is not there: nothing was submitted" end
  local operation, status, err
  operation, err = client:resume(saved)
  if not operation then return nil, err end
  save(operation)
  status, err = operation:wait {
    timeout = HOURS * 3600, interval = interval(), min_interval = math.min(1, interval()),
    on_progress = show,
  }
  local last = status or err.last_status
  if last and last.done then os.remove(FILE) end -- it is over: nothing to resume
  return status, err
end

local function both()
  local operation, err = submit()
  if not operation then return nil, err end
  return wait()
end

local phases = { submit = submit, wait = wait, both = both }
local phase = assert(phases[PHASE], "the phase is submit or wait")
local ok, err = phase()
client:close()
if not ok then
  io.stdout:flush()
  io.stderr:write(tostring(err), "\n")
  os.exit(1)
end
