-- A program that draws sixty frames a second, and takes offers live meanwhile.
--
--     lua5.4 examples/game.lua [OFFER...]
--
-- The loop is the program's own. Each frame gives the client a moment: `client:step()` does
-- what can be done now and never waits; here it also is the clock of the frames.

local cloudpartner = require "cloudpartner"

local FRAME = 1 / 60

local offers = #arg > 0 and arg or { "demo-sword", "demo-shield", "demo-dragon" }
local client = cloudpartner.new()
local quests, frames, open = {}, 0, #offers

for i, offer in ipairs(offers) do
  quests[i] = { offer = offer, scene = "submitting", task = client:start("golive", offer) }
end

local function finish(quest, scene)
  quest.scene, quest.task = scene, nil
  open = open - 1
  print(("frame %d: %s is %s"):format(frames, quest.offer, scene))
end

-- One thing follows another: the wait begins when the submission has ended.
local function follow(quest)
  local result, err = quest.task:result()
  if not result then return finish(quest, tostring(err)) end
  if result.kind ~= "golive" then return finish(quest, "live") end
  quest.task = client:start("wait", result, {
    interval = 0.5, min_interval = 0.1,
    on_progress = function(status)
      quest.scene = ("%s, %d%%"):format(status.state, status.progress)
    end,
  })
end

local function update()
  for _, quest in ipairs(quests) do
    if quest.task and quest.task:done() then follow(quest) end
  end
end

local function draw()
  if frames % 60 ~= 0 then return end
  local scenes = {}
  for i, quest in ipairs(quests) do scenes[i] = quest.offer .. " " .. quest.scene end
  print(("frame %d: %s"):format(frames, table.concat(scenes, "; ")))
end

while open > 0 do
  frames = frames + 1
  client:step(FRAME) -- a loop that waits for its display calls step() without seconds
  update()
  draw()
end
client:close()
