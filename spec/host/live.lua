--- What the specs that run the real thing share: an emulator with orders and counts,
-- clients of it, processes beside this one, and time.
--
--     local live = require "spec.host.live"
--     describe("a submission", function()
--       local service = live.service("--speed", "600")
--       it("is sent once", function()
--         service.order { method = "POST", close = true }
--         local operation, err = service.client():golive("spec-offer", { reconcile = 0 })
--         live.fails("ambiguous", operation, err)
--       end)
--     end)

local busted = require "busted"
local cjson = require "cjson"
local cloudpartner = require "cloudpartner"
local emulator = require "spec.support.emulator"

local live = {}

local unpack = table.unpack or unpack
local version = _VERSION:match "%d+%.%d+"

--- The interpreter that runs this, by name.
live.interpreter = rawget(_G, "jit") and "luajit" or "lua" .. version

--- Instrumented programs are slow: they have so many times as long.
live.patience = ({ asan = 3, tsan = 3, valgrind = 10 })[os.getenv "VARIANT" or ""] or 1

local function quoted(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read "*a"
  pipe:close()
  return output
end

--- Where the programs of spec/host are, built for this Lua.
live.directory = assert(output_of("sh spec/host/build " .. version):match "[^\n]+")

--- calls.c's functions.
live.calls = require "spec.host.calls"

local calls = live.calls

--- A file's text, or nil where there is none.
function live.text_of(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

local function read(path) return live.text_of(path) or "" end

-- Time

--- Calls `f` and gives what it gives. Raises when it took longer than so many seconds.
function live.within(seconds, f, ...)
  local function judge(began, ...)
    local took, limit = calls.now() - began, seconds * live.patience
    assert(took <= limit, ("it took %.2f s, more than %g s"):format(took, limit))
    return ...
  end
  return judge(calls.now(), f(...))
end

--- What `look` gives as soon as it gives something; raises after ten seconds without.
function live.await(look)
  local limit = calls.now() + 10 * live.patience
  repeat
    local found = look()
    if found then return found end
    calls.poll(-1, 0.01)
  until calls.now() > limit
  error("nothing came of it in time", 2)
end

--- Options of a client whose time passes when it sleeps, and not otherwise; and the list
-- of its sleeps.
function live.jumping_clock()
  local time, slept = 1500000000, {}
  return {
    now = function() return time end,
    random = function() return 0.5 end,
    sleep = function(seconds)
      slept[#slept + 1] = seconds
      time = time + seconds
    end,
  }, slept
end

--- A function that gives numbers in [0, 1), the same under every Lua (Park and Miller's).
function live.random_from(seed)
  local state = seed
  local function random()
    state = state * 16807 % 2147483647
    return state / 2147483647
  end
  for _ = 1, 3 do random() end -- the first ones of neighbours are neighbours
  return random
end

--- Calls `f(path)` with an empty directory, which is gone afterwards.
function live.in_directory(f)
  local directory = output_of "mktemp -d":match "[^\n]+"
  local ok, err = pcall(f, directory)
  os.execute("rm -rf " .. directory)
  if not ok then error(err, 0) end
end

-- Errors

local sound = { no = true, maybe = true, yes = true }

--- The error of a call that must fail, with a code, or one of a list of codes.
function live.fails(code, result, err)
  assert(result == nil and type(err) == "table", "it did not fail")
  local allowed = type(code) == "table" and code or { code }
  local found
  for _, one in ipairs(allowed) do found = found or one == err.code end
  assert(found, table.concat(allowed, " or ") .. " expected, not " .. tostring(err))
  assert(sound[err.sent], "sent: " .. tostring(err.sent))
  assert(not tostring(err):find "[%c]", "more than a line: " .. tostring(err))
  return err
end

-- The service

local function with_defaults(options, address, ca)
  local all = { publisher = "contoso", token = "secret", endpoint = address }
  all.ca_file = ca
  for name, value in pairs(options or {}) do all[name] = value or nil end
  return all
end

-- Bodies go by a file: a command's words have a bound.
local function post(running, path, value)
  local name = os.tmpname()
  local file = assert(io.open(name, "wb"))
  file:write(cjson.encode(value))
  file:close()
  local trust = running.ca and "--cacert " .. quoted(running.ca) or ""
  local answer = output_of(("curl --silent --show-error --noproxy '*' --max-time 10 %s"
    .. " --data-binary @%s %s 2>&1"):format(trust, name, quoted(running.address .. path)))
  os.remove(name)
  assert(not answer:find '"error"' and answer:find "^{", answer)
end

local function methods(service, open)
  local running

  function service.start(...)
    running = emulator.start(...)
    service.address, service.ca = running.address, running.ca
  end

  function service.stop() running.stop() end

  --- Closes the clients, forgets orders and counts.
  function service.reset()
    while #open > 0 do table.remove(open):close() end
    post(running, "/_emulator/reset", {})
  end

  --- A client of this emulator; `false` for an option leaves it out.
  function service.client(options)
    local client = cloudpartner.new(with_defaults(options, service.address, service.ca))
    open[#open + 1] = client
    return client
  end

  --- Orders an answer: emulator/README.md tells which.
  function service.order(rule) post(running, "/_emulator/once", rule) end

  --- Configures the tokens that it gives out: emulator/README.md tells how.
  function service.tokens(settings) post(running, "/_emulator/tokens", settings) end

  --- Configures an offer of contoso's.
  function service.configure(offer, traits)
    post(running, "/_emulator/offers/contoso/" .. offer, traits)
  end

  --- The emulator's counts.
  function service.state()
    return cjson.decode(emulator.get(service.address .. "/_emulator/state", service.ca))
  end

  --- How often an offer's POSTs reached it ("attempts") or were taken ("submissions").
  function service.count(book, offer, kind)
    local counts = service.state()[book]["contoso/" .. offer]
    return counts and counts[kind or "golive"] or 0
  end

  --- Returns once so many requests wait for their answer.
  function service.await_in_flight(count)
    live.await(function() return service.state().in_flight == count end)
  end

  --- The environment in which another process finds this emulator.
  function service.environment(more)
    local all = {
      CLOUDPARTNER_ENDPOINT = service.address, CLOUDPARTNER_PUBLISHER = "contoso",
      CLOUDPARTNER_TOKEN = "secret",
    }
    for name, value in pairs(more or {}) do all[name] = value end
    return all
  end
end

--- An emulator for the specs of this `describe`, started with these options; before each
-- of them it is as new.
function live.service(...)
  local service, words = {}, { ... }
  methods(service, {})
  busted.setup(function() service.start(unpack(words)) end)
  busted.teardown(function() service.stop() end)
  busted.before_each(function() service.reset() end)
  return service
end

-- Processes

-- What a failed spec leaves behind ends by itself. (In the foreground a signal comes
-- once: the second one would kill an interpreter.)
local LIFE = "timeout --foreground -k 30 200 "

local function command_line(words, environment)
  local line = { "env" }
  for name, value in pairs(environment or {}) do
    line[#line + 1] = name .. "=" .. quoted(value)
  end
  for _, word in ipairs(words) do line[#line + 1] = quoted(word) end
  return table.concat(line, " ")
end

-- Valgrind and the sanitizers show in the status what is wrong; what they say is noise.
local function without_noise(output)
  return (output:gsub("==%d+==[^\n]*\n", ""))
end

local function finish(process)
  local status = read(process.scratch .. "/status"):match "%d+"
  if not status then return nil end
  local output = read(process.scratch .. "/out") .. read(process.scratch .. "/err")
  os.execute("rm -rf " .. process.scratch)
  return { status = tonumber(status), output = without_noise(output) }
end

-- The shell stays, and notes the status. `mv`: nobody sees half of it.
local function launch(scratch, command)
  local template = [[{ COMMAND >DIR/out 2>DIR/err </dev/null & echo $! >DIR/pid; wait $!
    echo $? >DIR/end; mv DIR/end DIR/status; } >/dev/null 2>&1 &]]
  os.execute((template:gsub("%u%u%u+", { COMMAND = command, DIR = scratch })))
  return live.await(function() return read(scratch .. "/pid"):match "(%d+)\n" end)
end

--- Starts a command, a list of words, and does not wait. The process has `said(text)`:
-- has it written that? `kill(signal)`; and `ended(seconds)`: its `status`, as a shell has
-- it, and `output`, once it has ended. One that takes longer is ended, and that raises.
function live.spawn(words, environment)
  local process = { scratch = output_of "mktemp -d":match "[^\n]+" }
  local pid = launch(process.scratch, LIFE .. command_line(words, environment))

  function process.said(text)
    return read(process.scratch .. "/out"):find(text, 1, true) ~= nil
  end

  function process.has_ended() return read(process.scratch .. "/status") ~= "" end

  function process.kill(signal) os.execute(("kill -%s %s"):format(signal, pid)) end

  function process.ended(seconds)
    local limit = calls.now() + seconds * live.patience
    repeat
      local found = finish(process)
      if found then return found end
      calls.poll(-1, 0.01)
    until calls.now() > limit
    process.kill "TERM"
    live.await(function() return finish(process) end)
    error("it did not end in time: " .. table.concat(words, " "), 2)
  end
  return process
end

--- Runs a command to its end: `status` and `output`. Half a minute is the most.
function live.run(words, environment)
  return live.spawn(words, environment).ended(30)
end

--- Runs Lua text, or a script of spec/host with arguments, under this interpreter.
function live.lua(text, environment)
  return live.run({ live.interpreter, "-e", text }, environment)
end

--- Writes how often each thing has come, into the file that tools/kills adds up, if it asks.
function live.write_counts(counts)
  local path = os.getenv "KILLS_COUNTS"
  if not path then return end
  local file = assert(io.open(path, "w"))
  for name, count in pairs(counts) do file:write(name, ": ", count, "\n") end
  file:close()
end

return live
