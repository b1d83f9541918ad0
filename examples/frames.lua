-- A program that draws sixty frames a second, and takes an offer live meanwhile.
--
--     lua5.4 examples/frames.lua [OFFER]
--
-- The loop is the program's own. Each frame gives the client a moment: `client:step()` does
-- what can be done now and never waits; here it also is the clock of the frames.

local cloudpartner = require "cloudpartner"

local FRAME = 1 / 60

local client = cloudpartner.new()
local task = client:start("golive", arg[1] or "demo-frames")
local frames, scene = 0, "submitting"

-- One thing follows another: the wait begins when the submission has ended.
local function follow()
  local result, err = task:result()
  if not result then error(err) end
  if result.kind ~= "golive" then return true end
  task = client:start("wait", result, {
    interval = 0.5, min_interval = 0.1,
    on_progress = function(status) scene = ("%s, %d%%"):format(status.state, status.progress) end,
  })
  return false
end

local function draw()
  if frames % 60 == 0 then print(("frame %d: %s"):format(frames, scene)) end
end

repeat
  frames = frames + 1
  draw()
  client:step(FRAME) -- a loop that waits for its display calls step() without seconds
until task:done() and follow()

print(("live after %d frames"):format(frames))
client:close()
