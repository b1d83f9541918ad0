-- A program that has used up its descriptors, and has them back. Argument: the offer.
-- Prints what two calls come to.

local cloudpartner = require "cloudpartner"

local function take_all()
  local files = {}
  while true do
    local file = io.open "/dev/null"
    if not file then return files end
    files[#files + 1] = file
  end
end

local function tell(list, err)
  print(list and "a list" or err.code .. " " .. err.sent .. ": " .. tostring(err))
end

local client = cloudpartner.new { retries = 0 }
local files = take_all()
tell(client:operations(arg[1]))
print(pcall(client.pollfd, client))
for _, file in ipairs(files) do file:close() end
tell(client:operations(arg[1]))
print(type(client:pollfd()))
