--- What an offer costs that is read and edited.
-- usage: offers.lua FILE ROUNDS; prints medians in microseconds of cjson.decode, of
-- offer.document, of offer:set, of a patch of 1000 operations, and of one of 10,000

local cjson = require "cjson"
local cloudpartner = require "cloudpartner"

local file = assert(io.open(arg[1], "rb"))
local text, rounds = file:read "*a", tonumber(arg[2])
file:close()

local metatable = getmetatable(cloudpartner.offer "{}")

-- As the client gives it: the text has been looked at already.
local function offer() return setmetatable({ json = text }, metatable) end

local function median_of(f)
  local took = {}
  for i = 1, rounds do
    local subject = offer()
    collectgarbage()
    local began = os.clock()
    f(subject)
    took[i] = (os.clock() - began) * 1e6
  end
  table.sort(took)
  return took[math.ceil(rounds / 2)]
end

local function operations(count)
  local list = {}
  for i = 1, count do
    list[i] = { op = "replace", path = "/definition/plans/" .. i % 100 .. "/planId", value = "p" .. i }
  end
  return list
end

-- Made when its turn comes: the collector's work for it is nobody else's.
local function patching(count)
  return function()
    local list = operations(count)
    return function(o) o:patch(list) end
  end
end

local function plain(f)
  return function() return f end
end

for _, make in ipairs {
  plain(function() assert(cjson.decode(text)) end),
  plain(function(o) assert(o.document) end),
  plain(function(o) o:set("/definition/plans/50/planId", "another") end),
  patching(1000), patching(10000),
} do
  print(("%.1f"):format(median_of(make())))
end
