--- CPU microseconds of the first require, then those of them in which the system loads
-- libcurl: that is done first, so that it can be told apart.

local before = os.clock()
assert(package.loadlib("libcurl.so.4", "*"))
local loaded = os.clock()
require "cloudpartner"

print(("%.0f"):format((os.clock() - before) * 1e6))
print(("%.0f"):format((loaded - before) * 1e6))
