--- Polls at the rate of a benchmark: texts made beforehand, one count for each operation.

local catalog = require "emulator.catalog"
local clock = require "emulator.clock"
local documents = require "emulator.documents"
local json = require "emulator.json"
local timeline = require "emulator.timeline"

local fast = {}

local RUNNING_POLLS = 2

local running, before_count, after_count, succeeded
local polls, different = {}, 0

local function document_at(elapsed)
  local offer = catalog.create {id = "benchmark"}
  local now = clock.now()
  local operation = timeline.begin("golive", offer, now - elapsed / clock.speed)
  catalog.record(offer, operation)
  return documents.operation(offer, operation, now)
end

-- The running text, cut where a message holds the count that makes each one different.
local function cut_running_text()
  local document = document_at(120)
  document.steps[2].messages[1] = {
    messageHtml = "Images analyzed: @", level = "information",
    timestamp = clock.iso(clock.now()),
  }
  local text = json.encode(document)
  local before, after = text:match("^(.-)@(.*)$")
  return before, after
end

function fast.start()
  before_count, after_count = cut_running_text()
  running = before_count .. 0 .. after_count
  succeeded = json.encode(document_at(3600))
end

local function send(text)
  ngx.header["Content-Length"] = #text
  ngx.print(text)
end

-- In three parts: joining them would cost Lua more than all the rest of the answer.
local function send_different()
  different = different + 1
  local count = tostring(different)
  ngx.header["Content-Length"] = #before_count + #count + #after_count
  ngx.print(before_count, count, after_count)
end

-- Offers named same... have one text for all their polls.
local function send_running()
  if ngx.var.offer:sub(1, 4) == "same" then return send(running) end
  send_different()
end

--- Two polls say running, the third succeeded, and then the operation is forgotten.
function fast.poll()
  local uri = ngx.var.uri
  local count = (polls[uri] or 0) + 1
  if count > RUNNING_POLLS then
    polls[uri] = nil
    return send(succeeded)
  end
  polls[uri] = count
  send_running()
end

return fast
