--- Runs every measurement and prints each figure beside its aim: docs/speed.md.
-- The emulator's address is in the environment, as tools/with-emulator sets it.

local function setting(name, default)
  return tonumber(os.getenv(name) or "") or default
end

local GOLIVES = setting("BENCH_GOLIVES", 10000)
local ROUNDS = setting("BENCH_ROUNDS", 5)
local WAITING = setting("BENCH_WAITING", 100000)
local CALLS = setting("BENCH_CALLS", 500)
local LOADS = 20

local LUAS = {"lua5.4", "luajit"}

-- Offers whose names begin with "same" get the same bytes at every poll.
local POLLS = {
  {what = "differs", offer = "demo", aim = 1.6},
  {what = "repeats", offer = "same", aim = 1.25},
}

local function say(format, ...)
  print(format:format(...))
  io.stdout:flush()
end

-- The numbers that a command prints, one a line.
local function numbers_of(format, ...)
  local command = format:format(...)
  local pipe = assert(io.popen(command))
  local numbers = {}
  for line in pipe:lines() do numbers[#numbers + 1] = tonumber(line) end
  if not pipe:close() or #numbers == 0 then
    io.stderr:write("bench: this failed: ", command, "\n")
    os.exit(1)
  end
  return table.unpack(numbers)
end

local function by_lua(lua, arguments)
  return numbers_of("exec sh tools/with-module %s bench/%s", lua, arguments)
end

local function median(values)
  table.sort(values)
  local low, high = (#values + 1) // 2, #values // 2 + 1
  return (values[low] + values[high]) / 2
end

local function verdict(value, aim)
  return value <= aim and "met" or "missed"
end

local function new_samples()
  local samples = {limit = {}}
  for _, lua in ipairs(LUAS) do samples[lua] = {} end
  return samples
end

-- In turn, so that a machine that is busy for a while is so for all of them.
local function run_round(polls, samples)
  local arguments = ("%d %s"):format(GOLIVES, polls.offer)
  table.insert(samples.limit, (numbers_of("exec build/bench/limit %s", arguments)))
  for _, lua in ipairs(LUAS) do
    table.insert(samples[lua], (by_lua(lua, "golives.lua " .. arguments)))
  end
end

local function print_exchanges(polls, samples)
  local limit = median(samples.limit)
  say("%-10s %-10s %8.1f", polls.what, "limit", limit)
  for _, lua in ipairs(LUAS) do
    local own = median(samples[lua])
    say("%-10s %-10s %8.1f %8.2f %8.2f  %s", polls.what, lua, own, own / limit, polls.aim,
      verdict(own / limit, polls.aim))
  end
end

local function measure_exchanges()
  say("CPU microseconds of an exchange: %d go-lives, each a POST and 3 polls,", GOLIVES)
  say("8 at a time; medians of %d runs, taken in turn\n", ROUNDS)
  say("%-10s %-10s %8s %8s %8s", "each poll", "by", "time", "ratio", "aim")
  local samples = {}
  for i in ipairs(POLLS) do samples[i] = new_samples() end
  for _ = 1, ROUNDS do
    for i, polls in ipairs(POLLS) do run_round(polls, samples[i]) end
  end
  for i, polls in ipairs(POLLS) do print_exchanges(polls, samples[i]) end
end

local function print_figure(what, lua, value, aim)
  say("%-46s %-8s %8.2f %8g  %s", what, lua, value, aim, verdict(value, aim))
end

local function measure_waiting(lua)
  local bytes, step = by_lua(lua, ("waiting.lua %d"):format(WAITING))
  print_figure("bytes of a waiting operation, beside its body", lua, bytes, 1024)
  print_figure("microseconds of client:step(0), nothing due", lua, step, 20)
end

local REQUIRE = "ms of require, median of %d processes"

local function measure_loading(lua)
  local whole, libcurl = {}, {}
  for i = 1, LOADS do
    local all, part = by_lua(lua, "loading.lua")
    whole[i], libcurl[i] = all / 1000, part / 1000
  end
  print_figure(REQUIRE:format(LOADS), lua, median(whole), 5)
  say("%-46s %-8s %8.2f", "  of these, to load libcurl", lua, median(libcurl))
end

-- What an answer takes to whoever waits for it. Each prints its median and its 99th
-- percentile; what is added is added to libcurl's.

local LATENCIES = {{what = "libcurl alone", run = function()
  return numbers_of("exec build/bench/arrival %d", CALLS)
end}}

for _, lua in ipairs(LUAS) do
  for _, host in ipairs {"blocking", "async.run", "luv", "cqueues"} do
    table.insert(LATENCIES, {what = host .. ", " .. lua, run = function()
      return by_lua(lua, ("latency.lua %s %d"):format(host, CALLS))
    end})
  end
end

table.insert(LATENCIES, {what = "nginx", run = function()
  return by_lua("lua5.4", ("nginx.lua latency %d"):format(CALLS))
end})

local function print_latency(entry, least)
  local middle, late = median(entry.medians), median(entry.late)
  local added = least and ("%8.0f"):format(middle - least) or ""
  say("%-24s %8.0f %8.0f %s", entry.what, middle, late, added)
  return middle
end

local function measure_latency()
  say("\nmicroseconds from an answer's leaving the server to whoever waits for it: %d calls,",
    CALLS)
  say("one after another; medians of %d runs, taken in turn\n", ROUNDS)
  say("%-24s %8s %8s %8s", "", "median", "99 %", "added")
  for _, entry in ipairs(LATENCIES) do entry.medians, entry.late = {}, {} end
  for round = 1, ROUNDS do
    for _, entry in ipairs(LATENCIES) do
      entry.medians[round], entry.late[round] = entry.run()
    end
  end
  local least
  for _, entry in ipairs(LATENCIES) do
    local middle = print_latency(entry, least)
    least = least or middle
  end
end

-- Pairs of runs, without and with go-lives followed: the medians of their ratios.
local function measure_nginx()
  local figures = {by_lua("lua5.4", ("nginx.lua load 2 %d"):format(ROUNDS))}
  local rates, lates, plain, late = {}, {}, {}, {}
  for i = 1, #figures, 4 do
    table.insert(rates, figures[i + 2] / figures[i])
    table.insert(lates, figures[i + 3] / figures[i + 1])
    table.insert(plain, figures[i])
    table.insert(late, figures[i + 1])
  end
  local ratio = median(rates)
  say("\nnginx, one worker, a trivial location, with 100 go-lives followed beside without;")
  say("medians of %d runs, taken in turn\n", ROUNDS)
  say("%-46s %8.0f", "requests a second, without", median(plain))
  say("%-46s %8.3f %8.2f  %s", "the same with, ratio", ratio, 0.95,
    ratio >= 0.95 and "met" or "missed")
  say("%-46s %8.0f", "99th percentile, microseconds, without", median(late))
  say("%-46s %8.3f", "the same with, ratio", median(lates))
end

local ONLY = {latency = measure_latency, nginx = measure_nginx}

if ONLY[os.getenv "BENCH_ONLY"] then
  ONLY[os.getenv "BENCH_ONLY"]()
  return
end

measure_exchanges()
say("\nwith %d operations waiting, and of a fresh process\n", WAITING)
say("%-46s %-8s %8s %8s", "", "", "", "aim")
for _, lua in ipairs(LUAS) do measure_waiting(lua) end
for _, lua in ipairs(LUAS) do measure_loading(lua) end
measure_latency()
measure_nginx()
