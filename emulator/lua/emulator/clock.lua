--- Time: the machine's for what is written down, times a factor for what operations take.

local clock = {speed = 1}

function clock.now()
  ngx.update_time()
  return ngx.now()
end

--- Seconds an operation has run, as the service would count them.
function clock.elapsed(began, now)
  return (now - began) * clock.speed
end

--- When an operation that began then had run for so many of its seconds.
function clock.moment(began, elapsed)
  return began + elapsed / clock.speed
end

local function parts(time)
  local seconds = math.floor(time)
  return seconds, math.floor((time - seconds) * 1e7)
end

--- 2018-03-26T21:46:01.1799480Z: the service writes seven digits of a second.
function clock.iso(time)
  local seconds, fraction = parts(time)
  return os.date("!%Y-%m-%dT%H:%M:%S", seconds) .. string.format(".%07dZ", fraction)
end

local SECONDS_FROM_YEAR_1_TO_1970 = 62135596800

--- 100 ns since year 1, as text: its 18 digits are more than a double holds.
function clock.ticks(time)
  local seconds, fraction = parts(time)
  return string.format("%.0f%07d", SECONDS_FROM_YEAR_1_TO_1970 + seconds, fraction)
end

return clock
