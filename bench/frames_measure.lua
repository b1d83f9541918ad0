--- The frames of a loop at 60 Hz, over TLS with the system's authorities and the emulator's:
-- by the module beside libcurl within the loop. The emulator's address and authority are in
-- the environment: tools/with-emulator --tls.

local ROUNDS = tonumber(os.getenv "BENCH_ROUNDS" or "") or 5
local SECONDS = 3
local BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- All that the system trusts is parsed, as in life.
local function make_bundle()
  local name = os.tmpname()
  local file = assert(io.open(name, "wb"))
  file:write(read(BUNDLE), read(os.getenv "EMULATOR_CA"))
  file:close()
  return name
end

local function numbers_of(command)
  local pipe = assert(io.popen(command))
  local worst, late = pipe:read("*n", "*n")
  if not pipe:close() or not late then
    io.stderr:write("bench: this failed: ", command, "\n")
    os.exit(1)
  end
  return worst, late
end

local function median(values)
  table.sort(values)
  return values[(#values + 1) // 2]
end

local function measure(bundle, offers)
  local commands = {
    "exec build/bench/frames", "exec sh tools/with-module lua5.4 bench/frames.lua",
    "exec sh tools/with-module luajit bench/frames.lua",
  }
  local worst, late = { {}, {}, {} }, { {}, {}, {} }
  for _ = 1, ROUNDS do
    for i, command in ipairs(commands) do
      local w, l = numbers_of(("%s %s %d %d"):format(command, bundle, offers, SECONDS))
      table.insert(worst[i], w)
      table.insert(late[i], l)
    end
  end
  for i = 1, 3 do worst[i], late[i] = median(worst[i]), median(late[i]) end
  return worst, late
end

local function print_figures(offers, worst, late)
  for i, by in ipairs { "libcurl in the loop", "lua5.4", "luajit" } do
    local ratio = worst[1] / worst[i]
    print(("%2d offers  %-22s %10.2f %10.2f %8s  %s"):format(offers, by, worst[i] / 1000,
      late[i] / 1000, i > 1 and ("%.0f"):format(ratio) or "",
      i == 1 and "" or ratio >= 20 and "met" or "missed"))
  end
end

local bundle = make_bundle()
print(("\nmilliseconds of a frame's share, over TLS, cold, %d s; medians of %d runs in turn;")
  :format(SECONDS, ROUNDS))
print "the ratio of the longest: aim 20\n"
print(("%-33s %10s %10s %8s"):format("", "longest", "99.9 %", "ratio"))
for _, offers in ipairs { 1, 20 } do print_figures(offers, measure(bundle, offers)) end
os.remove(bundle)
