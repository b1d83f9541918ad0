--- A random GUID (RFC 9562, version 4).

local random = math.random

return function()
  return string.format("%08x-%04x-4%03x-a%03x-%06x%06x",
    random(0, 0xffffffff), random(0, 0xffff), random(0, 0xfff), random(0, 0xfff),
    random(0, 0xffffff), random(0, 0xffffff))
end
