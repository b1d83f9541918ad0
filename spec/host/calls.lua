-- The module that spec/host/build has made of calls.c, for this Lua.

local variant, version = os.getenv "VARIANT", _VERSION:match "%d+%.%d+"
local directory = "build/host/" .. (variant and variant .. "-" or "") .. version

return assert(package.loadlib(directory .. "/calls.so", "luaopen_calls"))()
