-- What docs/offers.md shows is run as it stands there, against the emulator.

local cloudpartner = require "cloudpartner"
local live = require "spec.host.live"

local function blocks_of(path)
  local file = assert(io.open(path, "rb"))
  local text, list = file:read "*a", {}
  file:close()
  for block in text:gmatch "\n```lua\n(.-\n)```" do list[#list + 1] = block end
  return list
end

-- Its blocks are one program: what is local in one is used in the next.
local function program_of(blocks)
  return table.concat(blocks, "\n"):gsub("interval = 1([ ,])", "interval = 0.05, min_interval = 0.01%1")
end

describe("the page about offers", function()
  local service = live.service("--speed", "2000")

  it("shows what works", function()
    local lines = {}
    local environment = setmetatable({
      client = service.client(), cloudpartner = cloudpartner,
      print = function(...)
        local words = { ... }
        for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
        lines[#lines + 1] = table.concat(words, " ")
      end,
    }, { __index = _G })
    local program, message
    local text = program_of(blocks_of "docs/offers.md")
    if setfenv then
      program, message = loadstring(text, "@docs/offers.md")
      if program then setfenv(program, environment) end
    else
      program, message = load(text, "@docs/offers.md", "t", environment)
    end
    assert(program, message)
    program()
    local output = table.concat(lines, "\n")
    for _, part in ipairs { "Contoso Virtual Machine", "stored as", "/definition/displayText",
        "live 100 % succeeded", "preview is ready: waitingForPublisherReview", "\nlive\nnothing ",
        "contoso-container live", "contoso-offer live" } do
      assert(output:find(part, 1, true), part .. " is missing in " .. output)
    end
    assert.is_nil(output:find("os_vhd_url:", 1, true))
  end)
end)
