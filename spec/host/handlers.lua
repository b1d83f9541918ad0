-- Prints which signals this process blocks, ignores and catches, before and after it has
-- used the module. Those above 31 are the C library's own.

local function handling()
  local masks = {}
  for line in io.lines "/proc/self/status" do
    local name, mask = line:match "^Sig(%a)%a%a:%s*(%x+)$"
    if name and name ~= "P" then
      masks[#masks + 1] = ("%s %08x"):format(name, tonumber(mask:sub(-8), 16) % 2 ^ 31)
    end
  end
  return table.concat(masks, " ")
end

print(handling())
local client = require "cloudpartner".new {}
assert(client:golive "spec-handlers")
client:start("offer_status", "spec-handlers")
client:step(0)
print(handling())
