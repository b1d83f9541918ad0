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

client:close()
print "ok"
