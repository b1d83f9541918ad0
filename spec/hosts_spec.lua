-- A loop of select's, as examples/select.lua has it: the client beside other descriptors.

local live = require "spec.host.live"
local socket = require "socket"

local OFFER = "spec-select"

describe("examples/select.lua", function()
  local service = live.service("--speed", "600")

  local function free_port()
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    server:close()
    return port
  end

  -- What the example's server says to a visitor; nil while it does not listen.
  local function news(port)
    local visitor = socket.connect("127.0.0.1", port)
    if not visitor then return nil end
    visitor:settimeout(10)
    local line = visitor:receive "*l"
    visitor:close()
    return line
  end

  local function run(traits)
    local port = free_port()
    service.configure(OFFER, traits)
    return live.spawn({ live.interpreter, "examples/select.lua", OFFER, port },
      service.environment()), port
  end

  it("takes an offer live, and serves visitors meanwhile", function()
    local process, port = run { duration = 1200 }
    assert.equal("string", type(live.await(function() return news(port) end)))
    live.await(function() return news(port):find "^running, %d" end)
    local ended = process.ended(20)
    assert.equal(0, ended.status, ended.output)
    assert.matches("\nlive\n$", ended.output)
    assert.equal(1, service.count("submissions", OFFER))
  end)

  it("serves them while an answer is long in coming", function()
    service.order { method = "POST", path_contains = "/golive", delay = 30 }
    local process, port = run {}
    live.await(function() return news(port) end)
    live.await(function() return service.state().in_flight == 1 end)
    live.within(5, function()
      for _ = 1, 50 do assert.equal("submitting", news(port)) end
    end)
    process.kill "TERM"
    process.ended(10)
  end)
end)
