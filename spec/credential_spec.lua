-- Credentials without I/O: what is asked of whom, when, and what comes of the answers. The
-- authority and the service are one function, and the clock is the spec's.

local cjson = require "cjson"
local cloudpartner = require "cloudpartner"
local environment = require "spec.support.environment"

local OFFER = "contoso-offer"
local SERVICE = "https://cloudpartner.azure.com"
local AUTHORITY = "https://login.microsoftonline.com"
local SECRET = "s3cret/+~of=the&client"

local DOCUMENT = { status = 200, body = cjson.encode { status = "running", messages = {} } }

local function json(status, value)
  return { status = status, body = cjson.encode(value) }
end

local function granted(token, lasts)
  return json(200, { token_type = "Bearer", access_token = token, expires_in = lasts or 3600 })
end

local function refused(code, description)
  return json(401, {
    error = code, error_description = description .. "\r\nTrace ID: t-1\r\nCorrelation ID: c-1",
    error_codes = { 7000222 }, trace_id = "t-1", correlation_id = "c-1",
  })
end

local function header(request, name)
  for _, pair in ipairs(request.headers) do
    if pair[1]:lower() == name then return pair[2] end
  end
end

local function is_for_token(request)
  return request.url:find("/oauth2/", 1, true) or request.url:find("/msi/", 1, true)
end

-- A world: what it was asked, by whom; `grants` answers requests for tokens in turn, the
-- last one for good; `answers` those to the service.
local function new_world(grants, answers)
  local world = { at = 1e9, tokens = {}, asked = {}, slept = {} }
  local function next_of(list, count)
    local answer = list[count] or list[#list]
    if type(answer) == "function" then return answer(world) end
    return answer
  end
  function world.transport(request)
    local list = is_for_token(request) and world.tokens or world.asked
    list[#list + 1] = request
    if list == world.tokens then return next_of(grants, #list) end
    return next_of(answers or { DOCUMENT }, #list)
  end
  function world.now() return world.at end
  function world.sleep(seconds)
    world.slept[#world.slept + 1] = seconds
    world.at = world.at + seconds
  end
  return world
end

local SECRET_CREDENTIAL = { tenant_id = "contoso.com", client_id = "app", client_secret = SECRET }

local function client_of(world, more)
  local options = {
    publisher = "contoso", credential = SECRET_CREDENTIAL, transport = world.transport,
    now = world.now, sleep = world.sleep, random = function() return 0.5 end,
  }
  for name, value in pairs(more or {}) do options[name] = value or nil end
  return cloudpartner.new(options)
end

local function fails(result, err)
  assert.is_nil(result)
  assert.equal("credential", err.code, tostring(err))
  assert.equal("no", err.sent)
  assert.is_nil(tostring(err):find "%c", tostring(err))
  assert.is_nil(tostring(err):find(SECRET, 1, true))
  return err
end

local function raises(text, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(message):find(text, 1, true), tostring(message))
end

local function file_with(text)
  local name = os.tmpname()
  local file = assert(io.open(name, "wb"))
  file:write(text)
  file:close()
  return name
end

local function form(request)
  local values = {}
  for name, value in (request.body or request.url:match "%?(.*)"):gmatch "([^&=]+)=([^&]*)" do
    values[name] = value:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  end
  return values
end

describe("a credential", function()
  before_each(environment.clear)
  after_each(environment.restore)

  -- What each is asked with.

  it("of a client secret asks the authority", function()
    local world = new_world { granted "t1" }
    assert(client_of(world):offer_status(OFFER))
    local request = world.tokens[1]
    assert.equal("POST", request.method)
    assert.equal(AUTHORITY .. "/contoso.com/oauth2/v2.0/token", request.url)
    assert.equal("application/x-www-form-urlencoded", header(request, "content-type"))
    assert.equal("application/json", header(request, "accept"))
    assert.is_nil(header(request, "authorization"))
    assert.same({
      grant_type = "client_credentials", client_id = "app", client_secret = SECRET,
      scope = SERVICE .. "/.default",
    }, form(request))
    assert.equal("Bearer t1", header(world.asked[1], "authorization"))
    assert.equal(1, #world.tokens)
  end)

  it("asks by the older protocol, of another authority, for another scope", function()
    local answer = json(200, { access_token = "t1", expires_in = "3599", expires_on = "1" })
    local world = new_world { answer }
    assert(client_of(world, {
      oauth = "v1", authority = "https://login.microsoftonline.us/", scope = "https://x.example/.default",
    }):offer_status(OFFER))
    local request = world.tokens[1]
    assert.equal("https://login.microsoftonline.us/contoso.com/oauth2/token", request.url)
    assert.equal("https://x.example", form(request).resource)
    assert.is_nil(form(request).scope)
  end)

  it("takes the authority of the environment, which may be a host only", function()
    for _, host in ipairs { "login.chinacloudapi.cn", "https://login.chinacloudapi.cn/" } do
      environment.set { AZURE_AUTHORITY_HOST = host }
      local world = new_world { granted "t1" }
      assert(client_of(world):offer_status(OFFER))
      assert.equal("https://login.chinacloudapi.cn/contoso.com/oauth2/v2.0/token", world.tokens[1].url)
    end
  end)

  it("of a federated token reads its file at each renewal", function()
    local name = file_with "assertion-1\n"
    local world = new_world { granted("t1", 100), granted("t2", 100) }
    local client = client_of(world, { credential = {
      tenant_id = "t", client_id = "app", federated_token_file = name } })
    assert(client:offer_status(OFFER))
    local file = assert(io.open(name, "wb"))
    file:write "assertion-2"
    file:close()
    world.at = world.at + 200
    assert(client:offer_status(OFFER))
    os.remove(name)
    local first, second = form(world.tokens[1]), form(world.tokens[2])
    assert.equal("assertion-1", first.client_assertion)
    assert.equal("urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      first.client_assertion_type)
    assert.equal("assertion-2", second.client_assertion)
    assert.is_nil(first.client_secret)
  end)

  it("of a managed identity asks IMDS", function()
    local answer = json(200, { access_token = "t1", expires_in = "86399", token_type = "Bearer" })
    local world = new_world { answer }
    assert(client_of(world, { credential = { kind = "managed_identity", client_id = "mine" } })
      :offer_status(OFFER))
    local request = world.tokens[1]
    assert.equal("GET", request.method)
    assert.equal("http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
      .. "&resource=https%3A%2F%2Fcloudpartner.azure.com&client_id=mine", request.url)
    assert.equal("true", header(request, "metadata"))
  end)

  it("of a managed identity asks App Service where its variables are set", function()
    environment.set { IDENTITY_ENDPOINT = "http://127.0.0.1:4141/msi/token",
      IDENTITY_HEADER = "header-secret", AZURE_CLIENT_ID = "mine" }
    local world
    world = new_world { function() return json(200,
      { access_token = "t1", expires_on = tostring(world.at + 500), resource = "r" }) end }
    local client = client_of(world, { credential = "managed_identity" })
    assert(client:offer_status(OFFER))
    local request = world.tokens[1]
    assert.equal("http://127.0.0.1:4141/msi/token?api-version=2019-08-01"
      .. "&resource=https%3A%2F%2Fcloudpartner.azure.com&client_id=mine", request.url)
    assert.equal("header-secret", header(request, "x-identity-header"))
    world.at = world.at + 240
    assert(client:offer_status(OFFER))
    assert.equal(1, #world.tokens)
    world.at = world.at + 20
    assert(client:offer_status(OFFER))
    assert.equal(2, #world.tokens)
  end)

  -- The environment.

  it("is looked for in the environment, in an order", function()
    local file = file_with "assertion"
    local application = { AZURE_TENANT_ID = "t", AZURE_CLIENT_ID = "app" }
    local steps = {
      { set = { AZURE_POD_IDENTITY_AUTHORITY_HOST = "http://127.0.0.1:99" }, asks = "metadata" },
      { set = { AZURE_CLIENT_SECRET = "x" }, asks = "client_secret=x" },
      { set = { AZURE_FEDERATED_TOKEN_FILE = file }, asks = "client_assertion=assertion" },
      { set = { CLOUDPARTNER_TOKEN = "given" }, asks = nil },
    }
    environment.set(application)
    for _, step in ipairs(steps) do
      environment.set(step.set)
      local world = new_world { granted "t1" }
      if step.asks == "metadata" then
        world = new_world { json(200, { access_token = "t1", expires_in = "60" }) }
      end
      assert(client_of(world, { credential = false }):offer_status(OFFER))
      local asked = world.tokens[1] and world.tokens[1].url .. (world.tokens[1].body or "")
      if step.asks then assert.truthy(asked:find(step.asks, 1, true), asked)
      else
        assert.is_nil(asked)
        assert.equal("Bearer given", header(world.asked[1], "authorization"))
      end
    end
    os.remove(file)
  end)

  it("that the environment lacks is told, with what was looked for", function()
    environment.set { AZURE_CLIENT_ID = "app", AZURE_CLIENT_SECRET = "" }
    local err = fails(client_of(new_world {}, { credential = false }):offer_status(OFFER))
    for _, name in ipairs { "CLOUDPARTNER_TOKEN", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET",
      "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT" } do
      assert.truthy(err.message:match("not set are .*" .. name .. ".*; set"), err.message)
    end
    assert.truthy(err.message:find("set are AZURE_CLIENT_ID", 1, true))
    assert.truthy(err.advice:find("AZURE_TENANT_ID", 1, true))
  end)

  local bad = {
    ["CLOUDPARTNER_TOKEN is not a token"] = { CLOUDPARTNER_TOKEN = "two words" },
    ["AZURE_AUTHORITY_HOST may be http:// only"] = { AZURE_AUTHORITY_HOST = "http://login.example.com",
      AZURE_TENANT_ID = "t", AZURE_CLIENT_ID = "a", AZURE_CLIENT_SECRET = "s" },
    ["AZURE_TENANT_ID is neither"] = { AZURE_TENANT_ID = "..", AZURE_CLIENT_ID = "a",
      AZURE_CLIENT_SECRET = "s" },
    ["IDENTITY_ENDPOINT may be http:// only"] = { IDENTITY_ENDPOINT = "http://10.0.0.1/x",
      IDENTITY_HEADER = "h" },
    ["IDENTITY_HEADER is no header's value"] = { IDENTITY_ENDPOINT = "http://127.0.0.1/x",
      IDENTITY_HEADER = "a\r\nb" },
    ["AZURE_POD_IDENTITY_AUTHORITY_HOST is not a URL"] = { AZURE_POD_IDENTITY_AUTHORITY_HOST = "x" },
  }
  for text, variables in pairs(bad) do
    it("that the environment has wrong is told by the first call: " .. text, function()
      environment.set(variables)
      local client = client_of(new_world {}, { credential = "environment" })
      local err = fails(client:offer_status(OFFER))
      assert.truthy(err.message:find(text, 1, true), err.message)
      assert.truthy(tostring(err):find("correct that variable", 1, true))
    end)
  end

  local wrong = {
    ["must be \"environment\""] = { credential = "password" },
    ["needs either 'client_secret' or 'federated_token_file'"] = { credential = {} },
    ["needs 'tenant_id'"] = { credential = { client_id = "a", client_secret = "s" } },
    ["needs 'client_id'"] = { credential = { tenant_id = "t", client_secret = "s" } },
    ["needs either"] = { credential = { tenant_id = "t", client_id = "a", client_secret = "s",
      federated_token_file = "f" } },
    ["'client_secret' must not be empty"] = { credential = { tenant_id = "t", client_id = "a",
      client_secret = "" } },
    ["unknown option 'clientid'"] = { credential = { clientid = "a" } },
    ["must not hold control characters"] = { credential = { tenant_id = "t", client_id = "a",
      client_secret = "a\nb" } },
    ["must be a directory id or a domain"] = { credential = { tenant_id = "..", client_id = "a",
      client_secret = "s" } },
    ["'client_secret' does not go with \"azure_cli\""] = { credential = { kind = "azure_cli",
      client_secret = "s" } },
    ["option 'oauth' must be"] = { oauth = "v3" },
    ["option 'authority' may be http://"] = { authority = "http://login.example.com" },
    ["must be a string, a table or a credential"] = { credential = io.stdout },
  }
  for text, options in pairs(wrong) do
    it("that an option has wrong raises: " .. text, function()
      raises(text, client_of, new_world {}, options)
    end)
  end

  -- Its life.

  local function renewals(lasts, seconds)
    local world = new_world { granted("t1", lasts), granted("t2", lasts) }
    local client = client_of(world)
    assert(client:offer_status(OFFER))
    world.at = world.at + seconds
    assert(client:offer_status(OFFER))
    return #world.tokens, header(world.asked[2], "authorization")
  end

  it("is renewed five minutes ahead of its end, or at half its life", function()
    assert.equal(1, (renewals(3600, 3299)))
    assert.equal(2, (renewals(3600, 3301)))
    assert.equal(1, (renewals(10, 4.9)))
    assert.equal(2, (renewals(10, 5.1)))
  end)

  it("is renewed a tenth of that sooner or later, by chance", function()
    for _, case in ipairs { { 0, 3329, 3331 }, { 0.999999, 3269, 3271 } } do
      local function count(seconds)
        local world = new_world { granted "t1" }
        local client = client_of(world, { random = function() return case[1] end })
        assert(client:offer_status(OFFER))
        world.at = world.at + seconds
        assert(client:offer_status(OFFER))
        return #world.tokens
      end
      assert.equal(1, count(case[2]))
      assert.equal(2, count(case[3]))
    end
  end)

  it("serves on when it can't be renewed, until its end", function()
    local down = { status = 400, body = '{"error":"invalid_client"}' }
    local world = new_world { granted("t1", 1000), down, down, down, granted "t2" }
    local events = {}
    local client = client_of(world, { log = function(event)
      if event.kind == "token" then events[#events + 1] = event end
    end })
    assert(client:offer_status(OFFER))
    world.at = world.at + 800
    assert(client:offer_status(OFFER))
    assert(client:offer_status(OFFER))
    assert.equal(2, #world.tokens) -- it is not asked again at once
    world.at = world.at + 31
    assert(client:offer_status(OFFER))
    assert.equal(3, #world.tokens)
    world.at = world.at + 200
    fails(client:offer_status(OFFER))
    assert(client:offer_status(OFFER))
    assert.equal("Bearer t2", header(world.asked[#world.asked], "authorization"))
    assert.equal(4, #events)
    assert.equal("credential", events[2].error)
    assert.equal("no token by client secret: HTTP 400", events[2].message)
    assert.is_nil(events[4].error)
  end)

  it("is renewed once after a 401, and never after a 403", function()
    local world = new_world({ granted "t1", granted "t2" },
      { { status = 401, body = "" }, DOCUMENT, { status = 401, body = "" } })
    local client = client_of(world)
    assert(client:offer_status(OFFER))
    assert.equal("Bearer t2", header(world.asked[2], "authorization"))
    local _, err = client:offer_status(OFFER)
    assert.equal("unauthorized", err.code)
    assert.equal(3, #world.tokens)
    world = new_world({ granted "t1" }, { { status = 403, body = "" } })
    _, err = client_of(world):offer_status(OFFER)
    assert.equal("forbidden", err.code)
    assert.truthy(tostring(err):find("user of that publisher", 1, true))
    assert.equal(1, #world.tokens)
  end)

  it("is asked for again when the authority is out of order for a while", function()
    local busy = { status = 429, headers = { ["Retry-After"] = "7" }, body = "" }
    local world = new_world { { status = 503, body = "" }, busy, granted "t1" }
    assert(client_of(world):offer_status(OFFER))
    assert.equal(3, #world.tokens)
    assert.is_true(math.abs(0.8 * 0.75 - world.slept[1]) < 1e-3)
    assert.equal(7, world.slept[2])
    world = new_world { { status = 500, body = "" } }
    local err = fails(client_of(world, { retries = 2 }):offer_status(OFFER))
    assert.equal(3, #world.tokens)
    assert.equal("no token by client secret: HTTP 500", err.message)
    world = new_world { { status = 404, body = "" } }
    fails(client_of(world):offer_status(OFFER))
    assert.equal(1, #world.tokens)
  end)

  it("of IMDS is asked for again while that is updated", function()
    local grant = json(200, { access_token = "t1", expires_in = "60" })
    for _, status in ipairs { 404, 410, 429, 500 } do
      local world = new_world { { status = status, body = "" }, grant }
      assert(client_of(world, { credential = "managed_identity" }):offer_status(OFFER))
      assert.equal(2, #world.tokens)
    end
    local world = new_world { { status = 410, body = "" } }
    fails(client_of(world, { credential = "managed_identity" }):offer_status(OFFER))
    assert.equal(8, #world.tokens)
    local slept = 0
    for _, seconds in ipairs(world.slept) do slept = slept + seconds end
    assert.is_true(slept >= 70, slept)
  end)

  -- Answers.

  it("tells the authority's words, its codes, and what to do", function()
    local world = new_world { refused("invalid_client",
      "AADSTS7000222: The provided client secret keys for app 'app' are expired.") }
    local err = fails(client_of(world):offer_status(OFFER))
    assert.equal("AADSTS7000222", err.service_code)
    assert.equal("no token by client secret: AADSTS7000222: The provided client secret keys "
      .. "for app 'app' are expired.", err.message)
    assert.equal("c-1", err.request_id)
    assert.equal("invalid_client", err.details.error)
    assert.truthy(tostring(err):find("; make a new client secret for this app registration"
      .. " [request c-1]", 1, true), tostring(err))
    assert.is_false(err.retryable)
  end)

  local advices = {
    AADSTS7000215 = "secret's value, not its id", AADSTS90002 = "check tenant_id",
    AADSTS700016 = "check client_id", AADSTS700213 = "federated credential",
    AADSTS700024 = "expired", AADSTS9999999 = "check tenant_id, client_id",
  }
  for code, text in pairs(advices) do
    it("tells what to do about " .. code, function()
      local world = new_world { refused("x", code .. ": Something.") }
      local err = fails(client_of(world):offer_status(OFFER))
      assert.equal(code, err.service_code)
      assert.truthy(err.advice:find(text, 1, true), err.advice)
    end)
  end

  local answers = {
    ["HTML"] = { { status = 200, body = "<html>login</html>" }, "no JSON object" },
    ["nothing"] = { { status = 200, body = "" }, "no JSON object" },
    ["half of it"] = { { status = 200, body = '{"access_token":"abc' }, "no JSON object" },
    ["no token"] = { json(200, { expires_in = 60 }), "without access_token" },
    ["a token that is a number"] = { json(200, { access_token = 5, expires_in = 60 }),
      "without access_token" },
    ["a token that is none"] = { granted "two words", "is no token" },
    ["a token of two lines"] = { granted "a\r\nX-A: b", "is no token" },
    ["an empty token"] = { granted "", "is no token" },
    ["a life in words"] = { granted("t", "soon"), "expires_in" },
    ["a life that is a string"] = { granted("t", "3600"), "expires_in" },
    ["no life"] = { granted("t", 0), "expires_in" },
    ["a negative life"] = { granted("t", -5), "expires_in" },
    ["an endless life"] = { { status = 200, body = '{"access_token":"t","expires_in":1e300}' },
      "expires_in" },
    ["a life that is null"] = { granted("t", cjson.null), "expires_in" },
    ["a redirect"] = { { status = 302, headers = { Location = "https://x.example" }, body = "" },
      "HTTP 302" },
    ["a page with an error"] = { { status = 400, body = "<p>no</p>" }, "HTTP 400" },
    ["too much"] = { { status = 200, body = (" "):rep(9 * 2 ^ 20) }, "over max_body" },
  }
  for name, case in pairs(answers) do
    it("fails in a line for " .. name .. ", and can be used again", function()
      local world = new_world { case[1], granted "good" }
      local client = client_of(world)
      local err = fails(client:offer_status(OFFER))
      assert.truthy(err.message:find(case[2], 1, true), err.message)
      assert.equal(0, #world.asked)
      assert(client:offer_status(OFFER))
    end)
  end

  it("takes a token whose answer does not say how long it lasts", function()
    local world = new_world { json(200, { access_token = "t1" }) }
    local client = client_of(world)
    assert(client:offer_status(OFFER))
    world.at = world.at + 140
    assert(client:offer_status(OFFER))
    assert.equal(1, #world.tokens)
    world.at = world.at + 20
    assert(client:offer_status(OFFER))
    assert.equal(2, #world.tokens)
  end)

  it("fails in a line for a transport that fails or raises", function()
    for _, case in ipairs {
      { function() return nil, "no route", "connect" end, "no route" },
      { function() error("broken", 0) end, "broken" },
      { function() return 5 end, "the transport failed" },
    } do
      local world = new_world { case[1] }
      local err = fails(client_of(world, { retries = 0 }):offer_status(OFFER))
      assert.truthy(err.message:find(case[2], 1, true), err.message)
    end
  end)

  local big = ("x"):rep(10 * 2 ^ 20)
  local files = {
    ["is missing"] = function() return os.tmpname() .. ".not" end,
    ["is a directory"] = function() return "/tmp" end,
    ["is no regular file"] = function() return "/dev/null" end,
    ["is empty"] = function() return file_with " \n" end,
    ["is too large"] = function() return file_with(big) end,
    ["holds no token"] = function() return file_with "two words" end,
  }
  for text, make in pairs(files) do
    it("of a file that " .. text .. " fails in a line, and can be used again", function()
      local name = make()
      local world = new_world { granted "t1" }
      local client = client_of(world, { credential = { tenant_id = "t", client_id = "a",
        federated_token_file = name } })
      for _ = 1, 2 do
        local err = fails(client:offer_status(OFFER))
        assert.truthy(err.message:find("the federated token file " .. name .. " " .. text, 1, true),
          err.message)
      end
      assert.equal(0, #world.tokens)
      if name:find "^/tmp/." then os.remove(name) end
    end)
  end

  it("is not lost when its secret is a word of the answer", function()
    for _, secret in ipairs { "t", "a", "access_token", '"', "Bearer", ("*"):rep(30) } do
      local world = new_world { granted "t1" }
      assert(client_of(world, { credential = { tenant_id = "t", client_id = "a",
        client_secret = secret } }):offer_status(OFFER))
      assert.equal("Bearer t1", header(world.asked[1], "authorization"))
    end
  end)

  it("may be of asterisks", function()
    local token = ("*"):rep(30)
    local world = new_world({ granted(token) }, { { status = 400, body = token .. " " .. token } })
    local _, err = client_of(world):offer_status(OFFER)
    assert.equal("invalid_request", err.code)
  end)

  -- Sharing.

  it("can be shared by clients, which renew it once", function()
    local world = new_world { granted "t1", granted "t2" }
    local shared = cloudpartner.credential {
      tenant_id = "contoso.com", client_id = "app", client_secret = SECRET }
    local one, two = client_of(world, { credential = shared }), client_of(world, { credential = shared })
    assert(one:offer_status(OFFER))
    assert(two:offer_status(OFFER))
    one:close()
    assert(two:offer_status(OFFER))
    assert.equal(1, #world.tokens)
    shared:close()
    local err = fails(two:offer_status(OFFER))
    assert.truthy(err.message:find("closed", 1, true))
    raises("option 'credential' is closed", client_of, world, { credential = shared })
  end)

  it("can be made from all that new takes", function()
    local shared = cloudpartner.credential "managed_identity"
    assert.equal(shared, cloudpartner.credential { credential = shared })
    assert.truthy(cloudpartner.credential { credential = SECRET_CREDENTIAL, retries = 0 })
    assert.truthy(cloudpartner.credential { credential = "azure_cli", exchange_timeout = 5 })
    assert.truthy(cloudpartner.credential { kind = "managed_identity", client_id = "mine" })
    assert.truthy(cloudpartner.credential())
    raises("unknown option 'publisher'", cloudpartner.credential, { publisher = "contoso" })
    raises("does not go with", cloudpartner.credential, { kind = "azure_cli", client_secret = "s" })
  end)

  it("gives tokens for one endpoint only, unless its scope is named", function()
    local world = new_world { granted "t1" }
    local shared = cloudpartner.credential(SECRET_CREDENTIAL)
    client_of(world, { credential = shared })
    raises("gives tokens for https://cloudpartner.azure.com/.default, not for", client_of, world,
      { credential = shared, endpoint = "https://other.example" })
    local named = cloudpartner.credential { tenant_id = "t", client_id = "a", client_secret = "s",
      scope = SERVICE .. "/.default" }
    assert.truthy(client_of(world, { credential = named, endpoint = "https://other.example" }))
    raises("gives tokens for", client_of, world, { credential = named, scope = "x" })
    raises("the same option 'now'", client_of, world, { credential = named, now = os.time })
  end)

  it("shows no secret", function()
    local text = tostring(cloudpartner.credential(SECRET_CREDENTIAL))
    assert.equal("cloudpartner credential (client secret, client app, tenant contoso.com)", text)
    local shared = cloudpartner.credential(SECRET_CREDENTIAL)
    shared:close()
    shared:close()
    assert.equal("cloudpartner credential (closed)", tostring(shared))
  end)

  it("shows an observer its exchanges, without secret and token", function()
    local token = ("t"):rep(50)
    local world = new_world { { status = 500, body = "no, " .. SECRET }, granted(token) }
    local client, seen = client_of(world), {}
    client:observe(function(exchange) seen[#seen + 1] = exchange end)
    assert(client:offer_status(OFFER))
    assert.equal(3, #seen)
    local text = cjson.encode(seen)
    assert.is_nil(text:find(SECRET, 1, true))
    assert.is_nil(text:find(token, 1, true))
    assert.is_nil(text:find("s3cret", 1, true))
    assert.equal("***", form(seen[1].request).client_secret)
    assert.equal(500, seen[1].response.status)
    assert.equal(200, seen[2].response.status)
    assert.equal(("*"):rep(50), cjson.decode(seen[2].response.body).access_token)
  end)

  it("may be closed with its client by the observer that is shown its exchange", function()
    for _, method in ipairs { "close", "cancel" } do
      local client
      client = cloudpartner.new {
        publisher = "contoso", retries = 0,
        credential = { tenant_id = "t", client_id = "c", client_secret = "a-secret" },
        transport = function() return { status = 200, body = '{"access_token":"abc","expires_in":3600}' } end,
      }
      client:observe(function()
        if method == "close" then return client:close() end
        for _, task in ipairs(client:tasks()) do task:cancel() end
      end)
      local result, err = client:offer_status "o"
      assert.is_nil(result)
      assert.equal("canceled", err.code)
    end
  end)

  local function message_of(result, err)
    assert.is_nil(result)
    assert.equal("credential", err.code, tostring(err))
    return err.message
  end

  -- A client by transport, whose credential others may close.
  local function shared_client(options)
    local shared = cloudpartner.credential { tenant_id = "t", client_id = "c", client_secret = "a-secret" }
    local given = { publisher = "contoso", retries = 0, credential = shared, transport = function()
      return { status = 200, body = '{"access_token":"abc","expires_in":3600,"status":"running"}' }
    end }
    for name, value in pairs(options or {}) do given[name] = value end
    return cloudpartner.new(given), shared
  end

  it("may be closed by whatever is called while it is asked", function()
    local client, shared = shared_client()
    client:observe(function() shared:close() end)
    assert.matches("the credential is closed", message_of(client:offer_status "o"), 1, true)

    client, shared = shared_client()
    local task = client:start("offer_status", "o")
    task:hold()
    client:step()
    assert.is_true(task:wanted())
    shared:close()
    assert.is_false((pcall(task.call, task)))
    task:release()
    client:step()
    assert.matches("the credential is closed", message_of(task:result()), 1, true)

    local sent = 0
    client, shared = shared_client { transport = function(request)
      if not request.url:find "oauth2" then sent = sent + 1 end
      shared:close()
      return { status = 200, body = '{"access_token":"abc","expires_in":3600}' }
    end }
    assert.matches("the credential is closed", message_of(client:offer_status "o"), 1, true)
    assert.equal(0, sent)
  end)

  it("is read again by step when the holder of its request is gone", function()
    local asked = {}
    local client = cloudpartner.new {
      publisher = "contoso", token = "abc", retries = 0, transport = function(request)
        asked[#asked + 1] = request.method .. " " .. request.url:match "[^/]+/?%?"
        if request.method == "GET" then return { status = 200, body = "[]" } end
        return { status = 400, body = "{}" }
      end,
    }
    local task = client:start("golive", "o", { reconcile = 0 })
    task:hold()
    client:step()
    task:release()
    client:step()
    assert.equal("GET submissions/?", asked[1])
    assert.equal("POST golive?", asked[2])
    client = shared_client { transport = function(request)
      asked[#asked + 1] = request.method .. " " .. request.url:match "[^/?]+$"
      return { status = 200, body = '{"access_token":"abc","expires_in":3600,"status":"running"}' }
    end }
    task = client:start("offer_status", "o")
    task:hold()
    client:step()
    task:release()
    for _ = 1, 3 do client:step() end
    assert.equal("POST token", asked[#asked - 1])
    assert.equal("running", assert(task:result()).state)
  end)

  it("tells no part of its secret, however it is given back", function()
    local secret = "s3cr+t/of&mine"
    for _, back in ipairs {
      ("x"):rep(485) .. secret, "s3cr\\u002bt\\/of\\u0026mine", "s3cr\\u002Bt/of\\u0026mine",
      "s3cr%2Bt%2fof%26mine", secret,
    } do
      local client = cloudpartner.new {
        publisher = "contoso", retries = 0,
        credential = { tenant_id = "t", client_id = "c", client_secret = secret },
        transport = function()
          return { status = 401, body = '{"error_description":"' .. back .. '"}' }
        end,
      }
      local seen = {}
      client:observe(function(exchange) seen[#seen + 1] = cjson.encode(exchange.response or {}) end)
      local _, err = client:offer_status "o"
      local all = tostring(err) .. err.message .. cjson.encode(err.details) .. table.concat(seen)
      assert.is_nil(all:find("s3cr", 1, true), all)
      assert.is_nil(all:find("mine", 1, true), all)
    end
  end)

  it("is bound to no endpoint by a client that could not be made", function()
    local shared = cloudpartner.credential { tenant_id = "t", client_id = "c", client_secret = "a-secret" }
    assert.is_false((pcall(cloudpartner.new, {
      credential = shared, endpoint = "https://a.example", headers = { Authorization = "x" },
    })))
    cloudpartner.new { credential = shared, endpoint = "https://b.example" }:close()
  end)

  it("asks once more when its file was gone for a moment, under a holder too", function()
    local async = require "cloudpartner.async"
    local path = os.tmpname()
    local function write(text)
      local file = assert(io.open(path, "w"))
      file:write(text)
      file:close()
    end
    write "an-assertion-of-some-length"
    local client = cloudpartner.new {
      publisher = "contoso", retries = 0,
      credential = { tenant_id = "t", client_id = "c", federated_token_file = path },
      transport = function()
        return { status = 200, body = '{"access_token":"abc","expires_in":3600,"status":"running"}' }
      end,
    }
    local task = client:start("offer_status", "o")
    task:hold()
    client:step()
    os.remove(path)
    task:answer(pcall(function() return (function(f, ...) return f(...) end)(task:call()) end))
    for _ = 1, 3 do client:step() end
    assert.equal("credential", select(2, task:result()).code)
    write "an-assertion-of-some-length"
    local results = async.run(client, function(wrapped) return assert(wrapped:offer_status "o").state end)
    assert.equal("running", results[1][1], tostring(results[1].error))
    os.remove(path)
  end)
end)
