-- The Lua of docs/credentials.md, as it stands there, in the surroundings that it is for: each
-- takes an offer live on the emulator, by the identity that its recipe speaks of.

local environment = require "spec.support.environment"
local live = require "spec.host.live"
local nginx = require "spec.host.nginx"

local OFFER = "contoso-virtualmachineoffer"

-- The Lua blocks by their headings; and how many there are.
local function recipes()
  local found, count, heading, block = {}, 0, nil, nil
  for line in live.text_of "docs/credentials.md":gmatch "([^\n]*)\n" do
    heading = line:match "^## (.*)" or heading
    if block and line == "```" then
      found[heading], block = table.concat(block, "\n") .. "\n", nil
    elseif block then
      block[#block + 1] = line
    elseif line == "```lua" then
      block, count = {}, count + 1
    end
  end
  return found, count
end

describe("the recipe for", function()
  local service = live.service("--speed", "600")
  local assertion = os.tmpname()
  local recipe, count = recipes()
  local tried = 0

  before_each(environment.clear)
  after_each(environment.restore)
  teardown(function() os.remove(assertion) end)
  before_each(function() service.configure(OFFER, { retry_after = 1 }) end)

  local function surroundings(more)
    local all = service.environment {
      CLOUDPARTNER_TOKEN = "", AZURE_AUTHORITY_HOST = service.address }
    for name, value in pairs(more) do all[name] = value end
    return all
  end

  local application = { AZURE_TENANT_ID = "contoso.com", AZURE_CLIENT_ID = "app" }

  local function with(more)
    local all = {}
    for _, values in ipairs { application, more } do
      for name, value in pairs(values) do all[name] = value end
    end
    return all
  end

  local function goes_live(heading, more, way)
    local process = live.lua(assert(recipe[heading]), surroundings(more))
    assert.equal("succeeded\n", process.output)
    assert.equal(0, process.status)
    assert.equal(1, service.count("submissions", OFFER))
    if way then assert.equal(1, service.state().tokens.by[way]) end
    tried = tried + 1
  end

  it("a laptop", function()
    goes_live("A laptop", { PATH = "spec/host/az:" .. os.getenv "PATH" })
    assert.equal(0, service.state().tokens.asked)
  end)

  it("GitHub Actions", function()
    local file = assert(io.open(assertion, "wb"))
    file:write "an-assertion\n"
    file:close()
    goes_live("GitHub Actions", with { AZURE_FEDERATED_TOKEN_FILE = assertion }, "federated")
  end)

  it("Azure DevOps", function()
    goes_live("Azure DevOps", with { AZURE_CLIENT_SECRET = "a-secret" }, "secret")
  end)

  it("a virtual machine", function()
    goes_live("A virtual machine", { AZURE_POD_IDENTITY_AUTHORITY_HOST = service.address }, "imds")
  end)

  it("a container", function()
    goes_live("A container", { IDENTITY_ENDPOINT = service.address .. "/msi/token",
      IDENTITY_HEADER = "emulated-header" }, "app_service")
  end)

  it("nginx", function()
    environment.set(with { AZURE_CLIENT_SECRET = "a-secret", AZURE_AUTHORITY_HOST = service.address })
    local server = nginx.start { service = service, token = "" }
    local code = assert(recipe.nginx):gsub("ngx%.say(%b())", "return %1")
    assert.same({ "succeeded" }, server.run(code))
    assert.equal(0, server.stop())
    assert.equal(1, service.count("submissions", OFFER))
    assert.equal(1, service.state().tokens.by.secret)
    tried = tried + 1
  end)

  it("each of them was tried", function()
    assert.equal(6, count)
    assert.equal(6, tried)
  end)
end)
