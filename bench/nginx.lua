--- What 100 go-lives that one nginx worker follows cost the others whom it serves, and what
-- an answer takes to the light thread that waits for it.
-- usage: nginx.lua load SECONDS ROUNDS; prints, for each round, requests a second and the
--          99th percentile in microseconds: without, and with
--        nginx.lua latency COUNT; prints the median and the 99th percentile, microseconds

local nginx = require "spec.host.nginx"

local FOLLOWED = 100

local function server_of(endpoint)
  return nginx.start { service = { environment = function(more)
    more.CLOUDPARTNER_ENDPOINT, more.CLOUDPARTNER_PUBLISHER = endpoint, "contoso"
    more.CLOUDPARTNER_TOKEN = "any"
    return more
  end } }
end

local FOLLOW = [[
  for i = 1, %d do
    ngx.timer.at(0, function()
      local operation = assert(client:golive("demo-followed-" .. i))
      operation:wait { interval = %g, min_interval = 10 }
    end)
  end
  ngx.sleep(2)
  return #client:tasks() ]]

local function load_of(server, seconds)
  local port = server.address:match "%d+$"
  local pipe = assert(io.popen(("build/bench/load %s /trivial 32 %g"):format(port, seconds)))
  local rate, late = pipe:read("*n", "*n")
  pipe:close()
  return rate, late
end

-- Two servers, one of which follows; asked in turn, so that a busy machine is so for both.
local function measure_load(seconds, rounds)
  local endpoint = os.getenv "CLOUDPARTNER_ENDPOINT"
  local idle, busy = server_of(endpoint), server_of(endpoint)
  -- The emulator's have succeeded at the third poll: none ends before the last run does.
  local tasks = busy.run(FOLLOW:format(FOLLOWED, 2 * seconds * rounds))[1]
  assert(tasks == FOLLOWED, tasks .. " followed")
  for _ = 1, rounds do
    for _, server in ipairs { idle, busy } do
      print(("%d\n%d"):format(load_of(server, seconds)))
    end
  end
  assert(busy.run "return #client:tasks()" [1] == FOLLOWED, "some have ended meanwhile")
  idle.stop()
  busy.stop()
end

local LATENCY = [[
  local ffi = require "ffi"
  ffi.cdef "typedef struct { long s, ns; } bench_time; int clock_gettime(int, bench_time *);"
  local now, took = ffi.new "bench_time", {}
  for i = 1, %d + 20 do
    local operation = assert(client:operations "demo-latency")[1]
    ffi.C.clock_gettime(1, now)
    took[i - 20] = tonumber(now.s) * 1e6 + tonumber(now.ns) / 1e3 - tonumber(operation.id)
  end
  table.sort(took)
  return took[math.floor(#took / 2) + 1], took[math.floor(#took * 99 / 100) + 1] ]]

local function measure_latency(count)
  local server = server_of(os.getenv "CLOUDPARTNER_STAMPS")
  local times = server.run(LATENCY:format(count))
  server.stop()
  print(("%.1f\n%.1f"):format(times[1], times[2]))
end

if arg[1] == "latency" then
  measure_latency(tonumber(arg[2]))
else
  measure_load(tonumber(arg[2]), tonumber(arg[3]))
end
