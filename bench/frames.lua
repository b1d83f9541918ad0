--- The longest frames of a loop at 60 Hz in which offers go live meanwhile: what a frame
-- gives to the client, by `client:step()`.
-- usage: frames.lua CA_FILE OFFERS SECONDS; prints the longest and the 99.9th percentile,
-- in microseconds.

local cloudpartner = require "cloudpartner"
local cqueues = require "cqueues"

local ca_file, offers, seconds = arg[1], tonumber(arg[2]), tonumber(arg[3])
local FRAME = 1 / 60

local client = cloudpartner.new { ca_file = ca_file, max_connections = offers }
local tasks, golives = {}, 0

local function follow(i)
  local result = assert(tasks[i]:result())
  tasks[i] = nil
  if result.kind ~= "golive" then return end
  golives = golives + 1
  tasks[i] = client:start("wait", result, { interval = 0.5, min_interval = 0.5 })
end

-- All that is the client's in a frame; the first also begins the offers.
local function update(frame)
  for i = 1, frame == 1 and offers or 0 do
    tasks[i] = client:start("golive", "demo-frame-" .. i)
  end
  client:step()
  for i = 1, offers do
    if tasks[i] and tasks[i]:done() then follow(i) end
  end
end

local took = {}
for frame = 1, seconds * 60 do
  local began = cqueues.monotime()
  update(frame)
  took[frame] = cqueues.monotime() - began
  cqueues.sleep(FRAME)
end
assert(golives == offers, "not all went live")
table.sort(took)
print(("%.0f\n%.0f"):format(took[#took] * 1e6, took[math.ceil(#took * 0.999)] * 1e6))
