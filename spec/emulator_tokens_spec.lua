-- The emulator's tokens as they are on the wire, seen by curl.

local cjson = require "cjson"
local emulator = require "spec.support.emulator"

local STATUS = "/api/publishers/contoso/offers/spec-wire/status?api-version=2017-10-31"
local FORM = "grant_type=client_credentials&client_id=app&client_secret=any&scope="

local running

local function curl(path, options)
  local command = "curl --silent --noproxy '*' --max-time 5 --write-out '\n%{http_code} %{time_total}' "
    .. (options or "") .. " '" .. running.address .. path .. "'"
  local pipe = assert(io.popen(command))
  local body, status, seconds = pipe:read "*a":match "^(.*)\n(%d+) ([%d.]+)$"
  pipe:close()
  return tonumber(status), body:find "^{" and cjson.decode(body) or body, tonumber(seconds)
end

local function ask(form, path)
  return curl(path or "/contoso.com/oauth2/v2.0/token", "--data '" .. form .. "'")
end

local function scope() return running.address .. "/.default" end

local function control(path, value)
  return cjson.decode(emulator.post(running.address .. "/_emulator/" .. path, cjson.encode(value)))
end

local function use(token)
  return (curl(STATUS, "--header 'Authorization: Bearer " .. token .. "'"))
end

local function counts()
  return cjson.decode(emulator.get(running.address .. "/_emulator/state"))
end

describe("the emulator's authority", function()
  setup(function() running = emulator.start("--token-life", "2") end)
  teardown(function() running.stop() end)
  before_each(function() control("reset", {}) end)

  it("gives out tokens that the service takes for so long", function()
    local status, answer = ask(FORM .. scope())
    assert.same({ 200, 2, "Bearer" }, { status, answer.expires_in, answer.token_type })
    assert.truthy(answer.access_token:find "^eyJ[%w_-]+%.[%w_-]+%.[%w_-]+$")
    assert.is_true(#answer.access_token > 250)
    assert.equal(200, use(answer.access_token))
    os.execute "sleep 2.1"
    assert.equal(401, use(answer.access_token))
    local _, other = ask(FORM .. scope())
    assert.not_equal(answer.access_token, other.access_token)
  end)

  it("gives out tokens for an audience", function()
    local _, answer = ask(FORM .. "https://management.azure.com/.default")
    assert.equal(401, use(answer.access_token))
    _, answer = ask(FORM .. "https://cloudpartner.azure.com/.default")
    assert.equal(200, use(answer.access_token))
  end)

  it("answers numbers as strings by the older protocol", function()
    local _, answer = ask("grant_type=client_credentials&client_id=app&client_secret=any&resource="
      .. running.address, "/contoso.com/oauth2/token")
    assert.equal("2", answer.expires_in)
    assert.equal("string", type(answer.expires_on))
    assert.equal(200, use(answer.access_token))
  end)

  it("plays IMDS and App Service", function()
    local query = "?api-version=2018-02-01&resource=" .. running.address
    local path = "/metadata/identity/oauth2/token"
    local _, answer = curl(path .. query, "--header 'Metadata: true'")
    assert.same({ "2", 200 }, { answer.expires_in, use(answer.access_token) })
    assert.equal(400, (curl(path .. query)))
    assert.equal(400, (curl(path .. query, "--header 'Metadata: true' --header 'X-Forwarded-For: a'")))
    assert.equal(400, (curl(path .. "?api-version=2018-02-01", "--header 'Metadata: true'")))
    assert.equal(400, (curl(path .. query:gsub("2018", "2019"), "--header 'Metadata: true'")))
    query = query:gsub("2018%-02", "2019-08")
    _, answer = curl("/msi/token" .. query, "--header 'X-IDENTITY-HEADER: emulated-header'")
    assert.is_nil(answer.expires_in)
    assert.equal(200, use(answer.access_token))
    assert.equal(401, (curl("/msi/token" .. query, "--header 'X-IDENTITY-HEADER: other'")))
  end)

  local refusals = {
    { "client_id=app&client_secret=wrong", 401, 7000215 },
    { "client_id=app&client_secret=expired", 401, 7000222 },
    { "client_id=unknown&client_secret=any", 400, 700016 },
    { "client_id=app", 401, 7000218 },
    { "client_secret=any", 400, 900144 },
    { "client_id&client_secret=any", 400, 900144 },
    { "client_id=&client_secret=any", 400, 900144 },
    { "client_id=app&client_id=other&client_secret=any", 400, 900144 },
    { "client_id=app&client_secret=", 401, 7000218 },
    { "client_id=app&client_assertion=any", 400, 900144 },
    { "client_id=app&client_assertion=wrong&client_assertion_type="
      .. "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", 401, 700213 },
    { "client_id=app&client_assertion=expired&client_assertion_type="
      .. "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", 401, 700024 },
  }
  for _, case in ipairs(refusals) do
    it("refuses with " .. case[3] .. ": " .. case[1], function()
      local status, answer = ask("grant_type=client_credentials&" .. case[1] .. "&scope=" .. scope())
      assert.same({ case[2], case[3] }, { status, answer.error_codes[1] })
      assert.truthy(answer.error_description:find("AADSTS" .. case[3] .. ": ", 1, true))
      assert.truthy(answer.error_description:find(answer.correlation_id, 1, true))
    end)
  end

  it("refuses a tenant and a scope that it does not know", function()
    local _, answer = ask(FORM .. scope(), "/unknown/oauth2/v2.0/token")
    assert.equal(90002, answer.error_codes[1])
    _, answer = ask(FORM .. running.address)
    assert.equal(1002012, answer.error_codes[1])
  end)

  it("takes an assertion", function()
    local status, answer = ask("grant_type=client_credentials&client_id=app&client_assertion=any"
      .. "&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&scope=" .. scope())
    assert.same({ 200, 200 }, { status, use(answer.access_token) })
    assert.equal(1, counts().tokens.by.federated)
  end)

  it("can be made slow, brief and strict", function()
    control("tokens", { life = 100, delay = 0.3 })
    local status, answer, seconds = ask(FORM .. scope())
    assert.same({ 200, 100 }, { status, answer.expires_in })
    assert.is_true(seconds >= 0.3)
    control("tokens", { revoke = true, life = cjson.null })
    answer = select(2, ask(FORM .. scope()))
    assert.equal(2, answer.expires_in)
    control("tokens", { revoke = true, delay = cjson.null })
    assert.equal(401, use(answer.access_token))
    assert.truthy(control("tokens", { lives = 9 }).error)
    local _, forbidden = ask(FORM:gsub("=app", "=forbidden") .. scope())
    assert.equal(403, use(forbidden.access_token))
  end)

  it("counts its own, and nothing of it elsewhere", function()
    ask(FORM .. scope())
    ask((FORM:gsub("=any", "=wrong")) .. scope())
    local state = counts()
    assert.same({ asked = 2, issued = 1, at_once = 0, most_at_once = 1,
      by = { secret = 1, federated = 0, imds = 0, app_service = 0 } }, state.tokens)
    assert.same({ 0, 0, 0 }, { state.requests, state.connections, state.most_in_flight })
  end)

  it("counts how many ask at once", function()
    control("tokens", { delay = 0.5 })
    local command = ("curl --silent --noproxy '*' --max-time 5 --data '%s' '%s' & "):format(
      FORM .. scope(), running.address .. "/contoso.com/oauth2/v2.0/token")
    os.execute("{ " .. command:rep(3) .. "wait; } >/dev/null")
    assert.same({ 0, 3 }, { counts().tokens.at_once, counts().tokens.most_at_once })
  end)

  it("goes wrong as a plan says", function()
    control("faults", { { fault = "html", exchange = "token" } })
    local status, page = ask(FORM .. scope())
    assert.equal(200, status)
    assert.truthy(page:find("<html>", 1, true))
    assert.equal(200, (ask(FORM .. scope())))
    assert.equal(1, counts().faults)
  end)
end)
