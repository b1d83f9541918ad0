-- usage: lua5.4 tools/rockspec.lua [--check]
-- Writes the lists of sources and of Lua modules in the rockspec from what is there, or checks that they agree.

local path = "cloudpartner-scm-1.rockspec"

local function list(command)
  local names = {}
  local pipe = assert(io.popen(command))
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close()
  return names
end

local function read()
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local function write(text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function sources()
  local lines = {}
  for _, name in ipairs(list "ls src/*.c") do lines[#lines + 1] = ("        %q,\n"):format(name) end
  return table.concat(lines)
end

local function modules()
  local lines = {}
  for _, name in ipairs(list "find lua -name '*.lua' 2>/dev/null | sort") do
    local module = name:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
    lines[#lines + 1] = ("    [%q] = %q,\n"):format(module, name)
  end
  return table.concat(lines)
end

-- Each list stands between two lines that don't change.
local function between(text, first, last, lines)
  local _, from = text:find(first, 1, true)
  local to = from and text:find(last, from, true)
  assert(to, path .. ": no list after " .. first)
  return text:sub(1, from) .. lines .. text:sub(to)
end

local old = read()
local new = between(old, "sources = {\n", "      },\n", sources())
new = between(new, "-- in Lua\n", "  },\n", modules())

if old == new then return end
if arg[1] == "--check" then
  io.stderr:write(path, ": the lists differ from src/ and lua/: run lua5.4 tools/rockspec.lua\n")
  os.exit(1)
end
write(new)
