--- What an operation has come to, from its beginning and the clock alone: nothing here
-- runs in the background, an operation is looked at when someone asks.

local clock = require "emulator.clock"

local timeline = {}

--- The steps, with the seconds each takes at speed 1. A publish ends where the publisher
-- has to sign off; a go live certifies again, as the service has done since about 2021.
timeline.stages = {
  {id = "displaydummycertify", name = "Validate Pre-Requisites", estimate = "< 15 min",
   description = "Offer settings provided are validated", publish = 30, golive = 30},
  {id = "displaycertify", name = "Certification", estimate = "< 5 day",
   description = "Your offer is analyzed by our certification systems for issues.",
   publish = 120, golive = 240},
  {id = "displayprovision", name = "Provisioning", estimate = "< 1 day",
   description = "Your offer is provisioned.", publish = 90, golive = 120},
  {id = "displaypackage", name = "Packaging and Lead Generation Registration",
   estimate = "< 1 hour", description = "Your offer is packaged for customers.",
   publish = 60, golive = 90},
  {id = "publisher-signoff", name = "Publisher signoff", estimate = "< 1 hour",
   description = "Offer is available to preview. Ensure that everything looks good "
     .. "before making your offer live.", golive = 0},
  {id = "live", name = "Live", estimate = "~2-5 days",
   description = "Offer is publicly visible and is available for purchase.",
   golive = 120},
}

timeline.positions = {}
for position, stage in ipairs(timeline.stages) do
  timeline.positions[stage.id] = position
end

local ends_operation = {failed = true, canceled = true}

-- Before this part of an operation it has not started; a cancel takes the other.
local START, CANCEL = 1 / 300, 1 / 120

local function finishes(kind)
  local ends, reached = {}, 0
  for i, stage in ipairs(timeline.stages) do
    if not stage[kind] then break end
    reached = reached + stage[kind]
    ends[i] = reached
  end
  return ends
end

local function stretched(ends, duration)
  local factor = duration / ends[#ends]
  for i, finish in ipairs(ends) do ends[i] = finish * factor end
  return ends
end

-- An operation that goes wrong does so half way through a step.
local function halt(ends, outcome, step)
  local position = timeline.positions[step or "displaycertify"]
  if outcome == "succeeded" or position > #ends then return nil end
  local start = ends[position - 1] or 0
  return {outcome = outcome, position = position, at = (start + ends[position]) / 2}
end

--- An operation that begins now. `wishes` has duration, outcome and failed_step.
function timeline.begin(kind, wishes, now)
  local ends = finishes(kind)
  if wishes.duration then ends = stretched(ends, wishes.duration) end
  return {
    kind = kind, began = now, ends = ends, total = ends[#ends],
    halt = halt(ends, wishes.outcome or "succeeded", wishes.failed_step),
  }
end

local function natural_end(operation)
  if not operation.halt then return operation.total end
  return ends_operation[operation.halt.outcome] and operation.halt.at or math.huge
end

--- A cancel takes its time, and an operation that ends by itself before has won.
function timeline.cancel(operation, now)
  if operation.cancel_asked then return end
  operation.cancel_asked = true
  local at = clock.elapsed(operation.began, now) + operation.total * CANCEL
  if at < natural_end(operation) then operation.cancel_at = at end
end

local function has_halted(operation, elapsed)
  return operation.halt and elapsed >= operation.halt.at
end

local function is_canceled(operation, elapsed)
  return operation.cancel_at and elapsed >= operation.cancel_at
end

local function ending(operation)
  if operation.kind == "golive" or operation.released then return "succeeded" end
  return "waitingForPublisherReview"
end

local function state(operation, elapsed)
  if is_canceled(operation, elapsed) then return "canceled" end
  if has_halted(operation, elapsed) then
    local outcome = operation.halt.outcome
    return ends_operation[outcome] and outcome or "running"
  end
  if elapsed >= operation.total then return ending(operation) end
  return elapsed < operation.total * START and "notStarted" or "running"
end

local function position(operation, elapsed)
  if has_halted(operation, elapsed) then return operation.halt.position end
  for i, finish in ipairs(operation.ends) do
    if elapsed < finish then return i end
  end
  return #operation.ends + 1
end

local step_words = {
  notStarted = "notStarted", running = "inProgress", succeeded = "complete",
  failed = "failed", canceled = "canceled",
  waitingForPublisherReview = "waitingForPublisherReview",
}

local function current_step(operation, elapsed, here)
  local word = state(operation, elapsed)
  local status = step_words[word]
  if word == "running" and has_halted(operation, elapsed) then
    status = operation.halt.outcome
  end
  local start, finish = operation.ends[here - 1] or 0, operation.ends[here]
  local part = finish and (elapsed - start) / (finish - start) or 0
  return {
    status = status, at = clock.moment(operation.began, start),
    progress = status == "complete" and 100 or math.floor(100 * part + 0.5),
  }
end

local function steps(operation, elapsed)
  local list, here = {}, position(operation, elapsed)
  for i in ipairs(timeline.stages) do
    if i < here then
      local at = clock.moment(operation.began, operation.ends[i])
      list[i] = {status = "complete", progress = 100, at = at}
    elseif i == here then
      list[i] = current_step(operation, elapsed, here)
    else
      list[i] = {status = "notStarted", progress = 0}
    end
  end
  return list
end

local function latest(moments, elapsed)
  local moment = 0
  for _, candidate in ipairs(moments) do
    if candidate <= elapsed then moment = math.max(moment, candidate) end
  end
  return moment
end

-- changedTime moves with every change of state: each end of a step is one.
local function changed(operation, elapsed)
  local moments = {operation.total * START, unpack(operation.ends)}
  if operation.halt then moments[#moments + 1] = operation.halt.at end
  if operation.cancel_at then moments[#moments + 1] = operation.cancel_at end
  local moment = clock.moment(operation.began, latest(moments, elapsed))
  return math.max(moment, operation.released or 0)
end

-- Where a canceled or halted operation stands still.
local function standstill(operation)
  return operation.cancel_at or operation.halt and operation.halt.at or math.huge
end

--- The state of an operation: its word, its steps, when it last changed.
function timeline.view(operation, now)
  local elapsed = clock.elapsed(operation.began, now)
  elapsed = math.min(elapsed, standstill(operation))
  return {
    state = state(operation, elapsed),
    steps = steps(operation, elapsed),
    changed = changed(operation, elapsed),
  }
end

function timeline.state(operation, now)
  return state(operation, clock.elapsed(operation.began, now))
end

function timeline.is_running(operation, now)
  local word = timeline.state(operation, now)
  return word == "running" or word == "notStarted"
end

return timeline
