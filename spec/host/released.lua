-- A job that takes an offer from draft to live, and is killed while it does.
--
--     released.lua OFFER DIRECTORY
--
-- It leaves its process id as the file "pid", and each phase that it hears of as an empty file
-- of that name. A line of JSON tells what came of it.

local calls = require "spec.host.calls"
local cjson = require "cjson"
local cloudpartner = require "cloudpartner"

local OFFER, DIRECTORY = arg[1], arg[2]

-- Seconds for which it rests where nothing is under way, so that a kill may fall there.
local REST = 0.15

local function save(name, text)
  local path = DIRECTORY .. "/" .. name
  local file = assert(io.open(path .. ".new", "wb"))
  assert(file:write(text))
  assert(file:close())
  assert(os.rename(path .. ".new", path))
end

local function rest() calls.poll(-1, REST) end

save("pid", tostring(calls.pid()))
rest()
local client = cloudpartner.new { retries = 1, retry_delay = 0.1 }
local status, err = client:release(OFFER, {
  interval = 0.03, min_interval = 0.01,
  on_progress = function(_, phase) save(phase, "") end,
  confirm = function()
    rest()
    return true
  end,
})
save("ended", "")
rest()
print(cjson.encode(status and { state = status.state, phase = status.phase }
  or { code = err.code, message = tostring(err) }))
