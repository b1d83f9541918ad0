--- What nginx calls when it starts: the parts of the mode that `run` was given.

local clock = require "emulator.clock"
local handshake = require "emulator.handshake"
local tokens = require "emulator.tokens"

local emulator = {}

-- `run` puts the plan there when it was given one.
local function plan(path)
  local file = io.open(path, "rb")
  if not file then return end
  file:close()
  require("emulator.faults").load(path)
end

local load = {
  service = function()
    require "emulator.exchange"
    plan(ngx.config.prefix() .. "faults.json")
  end,
  replay = function()
    require("emulator.replay").load(ngx.config.prefix() .. "recording.har")
  end,
  fast = function() require "emulator.fast" end,
}

local start = {
  service = function() require("emulator.catalog").reset() end,
  replay = function() end,
  fast = function() require("emulator.fast").start() end,
}

-- Before nginx listens: what is wrong is told here, and nginx does not start.
function emulator.load(mode, speed, tls, token_life)
  clock.speed = speed
  tokens.defaults.life = token_life
  tokens.reset()
  handshake.enabled = tls
  load[mode]()
end

-- `run` waits for this word; the timer runs in the event loop, so connections are served.
local function announce()
  io.stdout:write("ready\n")
  io.stdout:flush()
end

function emulator.start(mode)
  math.randomseed(ngx.now() * 1000 + ngx.worker.pid())
  start[mode]()
  ngx.timer.at(0, announce)
end

return emulator
