-- Ends while exchanges are under way: a submission and a read that hang, TLS handshakes.
-- Arguments: how, after how many seconds, and an https endpoint.

local cloudpartner = require "cloudpartner"

local how, seconds, secure = arg[1], tonumber(arg[2]), arg[3]
local client = cloudpartner.new {}
assert(client:offer_status "spec-other")
client:start("golive", "spec-exits", { reconcile = false })
client:start("offer_status", "spec-exits")
client:step(0)

local other = cloudpartner.new { endpoint = secure }
for _ = 1, 5 do other:start("offer_status", "spec-exits") end
other:step(seconds)

if how == "exit" then os.exit(0) end
if how == "close" then os.exit(0, true) end
