--- Runs one spec text over recorded HTTP in two ways: in this process, through the client's
-- `transport` option, and over a socket, from an emulator that answers from the same file.
--
--     scenario.each(function(way, open)
--       it("goes live", function()
--         local client, finish, replay = open("golive_succeeded", { retries = 0 })
--         assert(client:golive "contoso-virtualmachineoffer")
--         finish()
--       end)
--     end)
--
-- In both ways no time passes: the client's clock jumps where it would sleep.

local busted = require "busted"
local cjson = require "cjson"
local cloudpartner = require "cloudpartner"
local emulator = require "spec.support.emulator"
local har = require "cloudpartner.har"

local scenario = {}

local FIXTURES = "spec/fixtures/"

-- A way gives the client's options, what finishes a good spec, and what cleans up after any.
local ways = {}

ways[1] = {
  name = "in process",
  open = function(player, _, options)
    local function finish() assert(player:finish()) end
    return player:options(options), "https://cloudpartner.azure.com", finish, function() end
  end,
}

local function finish_replay(address)
  local replay = cjson.decode(emulator.get(address .. "/_emulator/replay"))
  assert(#replay.unmatched == 0, "not in the recording: " .. cjson.encode(replay.unmatched))
  assert(replay.left == 0, ("%d recorded answers were not asked for"):format(replay.left))
end

ways[2] = {
  name = "over a socket",
  open = function(player, path, options)
    local running = emulator.start("--replay", path)
    local given = player:options(options)
    given.transport, given.endpoint, given.authority = nil, running.address, running.address
    return given, running.address, function() finish_replay(running.address) end, running.stop
  end,
}

-- `finish` runs at the end of a spec that went well; what a failed one leaves open is closed
-- after it all the same.
local function opener(way, open_ones)
  return function(fixture, options)
    local path = FIXTURES .. fixture .. ".har"
    local player = assert(har.player(path))
    local given, endpoint, finish, clean_up = way.open(player, path, options)
    open_ones[#open_ones + 1] = clean_up
    local client = cloudpartner.new(given)
    open_ones[#open_ones + 1] = function() client:close() end
    return client, finish, { slept = player.slept, now = player.now, endpoint = endpoint }
  end
end

--- Calls `body(way, open)` in a `describe` for each way, named "in process" and "over a
-- socket". `open(fixture, options)` gives a client whose exchanges are those of
-- `spec/fixtures/<fixture>.har`; `finish`, which fails the spec when a recorded answer was
-- not asked for or a request was not recorded; and the replay: `slept`, the seconds of each
-- sleep, `now()`, and `endpoint`, the origin that the client talks to. Clients are closed and
-- emulators stopped after each spec.
function scenario.each(body)
  for _, way in ipairs(ways) do
    busted.describe(way.name, function()
      local open_ones = {}
      busted.after_each(function()
        while #open_ones > 0 do table.remove(open_ones)() end
      end)
      body(way.name, opener(way, open_ones))
    end)
  end
end

return scenario
