--- How long after an answer of stamps.lua was sent the coroutine that waits for it goes on,
-- under one of the hosts. One call after another; the process does nothing else.
-- usage: latency.lua HOST COUNT; prints microseconds, the median and the 99th percentile.

local cqueues = require "cqueues"

local WARM_UP = 20

local host, count = arg[1], tonumber(arg[2])

local OPTIONS = {
  endpoint = os.getenv "CLOUDPARTNER_STAMPS", publisher = "contoso", token = "any",
}

local took = {}

local function exchange(client)
  local operation = assert(client:operations "demo-latency")[1]
  return cqueues.monotime() * 1e6 - tonumber(operation.id)
end

local function measure(client)
  for _ = 1, WARM_UP do exchange(client) end
  for i = 1, count do took[i] = exchange(client) end
end

-- Each runs `measure` with a client of its own, as its users would.
local hosts = {}

function hosts.blocking()
  measure(require("cloudpartner").new(OPTIONS))
end

hosts["async.run"] = function()
  local client = require("cloudpartner").new(OPTIONS)
  local result = require("cloudpartner.async").run(client, measure)[1]
  assert(result.ok, result.traceback)
end

function hosts.luv()
  local client = require("cloudpartner.luv").new(OPTIONS)
  coroutine.wrap(function() measure(client) end)()
  require("luv").run()
end

function hosts.cqueues()
  local client = require("cloudpartner.cqueues").new(OPTIONS)
  local loop = cqueues.new()
  loop:wrap(function() measure(client) end)
  assert(loop:loop())
end

hosts[host]()
assert(#took == count, "not all were measured")
table.sort(took)
local median, worst = math.floor(count / 2) + 1, math.floor(count * 99 / 100) + 1
print(("%.1f\n%.1f"):format(took[median], took[worst]))
