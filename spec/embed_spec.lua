-- The C host of examples/embed, built by `make embed` (with the sanitizer, under one).

local live = require "spec.host.live"

local variant = os.getenv "VARIANT"
local HOST = "build/" .. (variant and variant .. "/" or "") .. "embed/host"

local service = live.service("--speed", "600")

local function play(script, ...)
  local words = { HOST, script, service.address, "contoso", ... }
  return live.spawn(words, service.environment()).ended(60)
end

-- A script that says what it can see, as the host's own script would.
local function see(expression)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write("local host = ... host.say(tostring(", expression, "))\n",
    "function update() return false end\n")
  file:close()
  local ended = play(name, "spec-none")
  os.remove(name)
  assert.equal(0, ended.status, ended.output)
  return ended.output:match "[^\n]+"
end

describe("a C host", function()
  it("takes several offers live while it draws, each once", function()
    local ended = play("examples/embed/game.lua", "spec-a", "spec-b", "spec-c")
    assert.equal(0, ended.status, ended.output)
    for _, offer in ipairs { "spec-a", "spec-b", "spec-c" } do
      assert.truthy(ended.output:find(offer .. ": succeeded", 1, true), ended.output)
      assert.equal(1, service.count("attempts", offer))
    end
    assert.falsy(ended.output:find("secret", 1, true))
  end)

  it("draws on at 60 Hz: no update takes long", function()
    service.order { path_contains = "spec-slow", delay = 1 }
    local output = play("examples/embed/game.lua", "spec-slow", "spec-d").output
    local frames, longest = output:match "(%d+) frames, the longest update took ([%d.]+) ms"
    assert.truthy(tonumber(frames) > 30, output)
    assert.truthy(tonumber(longest) < 5 * 16.7 * live.patience, output)
  end)

  it("tells of what fails, and goes on", function()
    service.order { method = "POST", path_contains = "spec-refused", status = 403, body = "{}" }
    local output = play("examples/embed/game.lua", "spec-refused", "spec-e").output
    assert.truthy(output:find("spec%-refused: [^\n]*forbidden"), output)
    assert.truthy(output:find("spec-e: succeeded", 1, true), output)
  end)

  it("says what is wrong with a script that is not there", function()
    local ended = play("examples/embed/nowhere.lua", "spec-none")
    assert.equal(1, ended.status)
    assert.truthy(ended.output:find("cannot open", 1, true), ended.output)
  end)

  it("gives its script no file system", function()
    for _, name in ipairs { "io", "os", "package", "dofile", "loadfile", "debug" } do
      assert.equal("nil", see(name))
    end
    assert.equal("false", see "pcall(require, 'io')")
    assert.equal("false", see "pcall(require, 'cloudpartner.async')")
    assert.truthy(see "require('cloudpartner')._VERSION":find "^cloudpartner ")
  end)
end)
