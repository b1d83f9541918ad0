--- An offer of 1 MiB read and edited, beside lua-cjson, beside a pass over its text that only
-- finds where each value ends, and beside memcpy.

local ROUNDS = tonumber(os.getenv "BENCH_ROUNDS" or "") or 5
local SIZE = 1024 * 1024
local SAMPLES = 21

local PLAN = [[
      { "planId": "plan-%d", "microsoft-azure-virtualmachines.skuTitle": "Contoso \u2013 size %d",
        "microsoft-azure-virtualmachines.openPorts": [], "tags": {}, "lastSynced": 636576975611768%03d,
        "microsoft-azure-virtualmachines.vmImages": {%s
        } }]]

local IMAGE = [[

          "1.0.%d": { "osVhdUrl": "https://contoso.blob.core.windows.net/vhds/os-%d.vhd?sv=2017-04-17&]]
  .. [[sr=c&sig=WlDo6Q4xwYH%%2B5QEJbItPUVdgHhBcrVxPBmntZ2vU96w%%3D&se=2030-01-01T00%%3A00%%3A00Z&sp=rl",
            "lunVhdDetails": [], "showInGui": true, "publishedDate": "03/15/2020" }]]

local function plan(i, images)
  local list = {}
  for j = 1, images do list[j] = IMAGE:format(j, i * 100 + j) end
  return PLAN:format(i, i, i, table.concat(list, ","))
end

local function document()
  local plans, images = {}, 1
  while #plan(100, images) < SIZE / 100 do images = images + 1 end
  for i = 1, 100 do plans[i] = plan(i, images - 1) end
  return '{\n  "id": "contoso",\n  "definition": {\n    "plans": [\n' .. table.concat(plans, ",\n")
    .. "\n    ]\n  }\n}\n"
end

local function numbers_of(format, ...)
  local pipe = assert(io.popen(format:format(...)))
  local numbers = {}
  for line in pipe:lines() do numbers[#numbers + 1] = tonumber(line) end
  assert(pipe:close() and #numbers > 1, "bench: this failed: " .. format:format(...))
  return numbers
end

local function median(values)
  table.sort(values)
  return values[(#values + 1) // 2]
end

-- Of each of the numbers that a command prints, the median of all rounds.
local function medians(samples)
  local result = {}
  for i = 1, #samples[1] do
    local values = {}
    for round, numbers in ipairs(samples) do values[round] = numbers[i] end
    result[i] = median(values)
  end
  return result
end

local function say(what, by, value, ratio, aim)
  print(("%-42s %-8s %9.0f %8s %6s  %s"):format(what, by, value, ratio and ("%.2f"):format(ratio) or "",
    aim or "", aim and (ratio <= aim and "met" or "missed") or ""))
end

local path = os.tmpname()
local file = assert(io.open(path, "wb"))
file:write(document())
file:close()

local samples = { pass = {}, ["lua5.4"] = {}, luajit = {} }
for _ = 1, ROUNDS do
  table.insert(samples.pass, numbers_of("exec build/bench/pass %s %d", path, SAMPLES))
  for _, lua in ipairs { "lua5.4", "luajit" } do
    table.insert(samples[lua],
      numbers_of("exec sh tools/with-module %s bench/offers.lua %s %d", lua, path, SAMPLES))
  end
end
os.remove(path)

print(("\nCPU microseconds for an offer of %.2f MiB; medians of %d runs of %d, taken in turn\n")
  :format(#document() / SIZE, ROUNDS, SAMPLES))
print(("%-42s %-8s %9s %8s %6s"):format("", "by", "time", "ratio", "aim"))
local copied, passed = table.unpack(medians(samples.pass))
say("memcpy of its text", "C", copied)
say("a pass that finds where each value ends", "C", passed)
for _, lua in ipairs { "lua5.4", "luajit" } do
  local decoded, document_read, set, few, many = table.unpack(medians(samples[lua]))
  say("cjson.decode", lua, decoded)
  say("offer.document, beside cjson.decode", lua, document_read, document_read / decoded, 3)
  say("offer:set, beside that pass", lua, set, set / passed, 2)
  say("a patch of 1,000 operations", lua, few)
  say("a patch of 10,000, beside that", lua, many, many / few, 10)
end
