-- An offer goes live under the bare interpreter, without busted: for the versions of Lua that the suite
-- does not run under, and for an installed rock. The emulator is the one $CLOUDPARTNER_ENDPOINT names.

local cloudpartner = require "cloudpartner"

local client = cloudpartner.new {}
local operation = assert(client:golive "contoso-virtualmachineoffer")
assert(operation.kind == "golive" and operation.offer == "contoso-virtualmachineoffer")

local seen = 0
local status = assert(operation:wait {
  timeout = 60, interval = 0.2, min_interval = 0.05,
  on_progress = function() seen = seen + 1 end,
})
assert(status.state == "succeeded", status.state)
assert(status.done and status.progress == 100)
assert(seen > 0, "no progress was told")

-- The same in coroutines, with a token function that yields and within a pcall.
local async = require "cloudpartner.async"
local asked = 0
local many = cloudpartner.new {
  token = function()
    asked = asked + 1
    coroutine.yield()
    return "secret", 3600
  end,
}

local function take_live(offer)
  return function(wrapped)
    local ok, ended = async.pcall(function()
      local begun = assert(wrapped:golive(offer))
      return assert(begun:wait { timeout = 60, interval = 0.2, min_interval = 0.05 }).state
    end)
    return ok and ended, offer
  end
end

local results = async.run(many, take_live "spec-smoke-1", take_live "spec-smoke-2", function()
  error "this one fails"
end)
assert(results[1].ok and results[1][1] == "succeeded" and results[1][2] == "spec-smoke-1")
assert(results[2].ok and results[2][1] == "succeeded" and results[2].n == 2)
assert(not results[3].ok and results[3].traceback:find("smoke.lua", 1, true))
assert(asked == 1, "the token was asked for more than once")
many:close()

client:close()
print "ok"
