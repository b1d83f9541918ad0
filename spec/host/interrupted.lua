-- Takes the offer live, says so, and waits: until someone interrupts it.

local client = require "cloudpartner".new {}
local operation = assert(client:golive(arg[1]))
print "accepted"
io.stdout:flush()
print(operation:wait())
