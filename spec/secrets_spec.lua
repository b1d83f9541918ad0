-- The token, and whoever might tell it: errors, logs, recordings, answers that give it back.

local cjson = require "cjson"
local cloudpartner = require "cloudpartner"
local har = require "cloudpartner.har"
local live = require "spec.host.live"

local OFFER = "spec-secrets"
local TOKEN = "eyJ0b2tlbiI6InNlY3JldCJ9.spec." .. os.time()

-- Every string in a value, its keys and its metatable's `__tostring` too.
local function strings_of(value, found, seen)
  if type(value) == "string" then found[#found + 1] = value end
  if type(value) ~= "table" or seen[value] then return found end
  seen[value] = true
  for key, member in pairs(value) do
    strings_of(key, found, seen)
    strings_of(member, found, seen)
  end
  found[#found + 1] = tostring(value)
  return found
end

local function assert_clean(...)
  for _, text in ipairs(strings_of({ ... }, {}, {})) do
    assert.is_nil(text:find(TOKEN, 1, true), text)
  end
end

describe("the token", function()
  local service = live.service("--speed", "600")

  -- Answers that give the request's token back, as a debugging proxy would.
  local echoes = {
    ["a message"] = { status = 400, body = { error = { code = "Bad", message = "got " .. TOKEN } } },
    ["a page"] = { status = 502, body = "<p>Authorization: Bearer " .. TOKEN .. "</p>" },
    ["an id"] = { status = 403, headers = { ["x-ms-request-id"] = TOKEN }, body = "" },
    ["noise"] = { raw = "HTTP/1.1 500 " .. TOKEN .. "\r\nX: " .. TOKEN .. "\r\n\r\n" .. TOKEN },
    ["a word"] = { status = 200, body = { status = TOKEN, messages = {} } },
  }

  for name, echo in pairs(echoes) do
    it("given back as " .. name .. " is told to nobody", function()
      local events = {}
      local client = service.client { token = TOKEN, retries = 0,
        log = function(event) events[#events + 1] = event end }
      local recorder = har.record(client)
      echo.times = 9
      service.order(echo)
      local _, err = client:golive(OFFER, { reconcile = 0 })
      local status, unread = client:offer_status(OFFER)
      assert.is_true(#events > 0)
      assert.is_true(err ~= nil)
      assert_clean(err, status or unread, events, recorder:text(), tostring(client), tostring(err))
    end)
  end

  it("is in nothing that a whole go live leaves behind", function()
    local left = {}
    local function keep(value) left[#left + 1] = value end
    local client = service.client { token = TOKEN, log = keep }
    local recorder = har.record(client)
    service.order { method = "POST", close = true, take = true }
    local operation = assert(client:golive(OFFER, { before_send = keep, reconcile = 5 }))
    keep(assert(operation:wait { interval = 0.2, min_interval = 0.05, on_progress = keep }))
    local _, err = client:golive(OFFER, { timeout = 0 })
    keep(err)
    keep(cjson.encode(operation))
    assert_clean(left, recorder:text(), operation)
  end)

  it("is in no error of a transport that repeats its request", function()
    local client = cloudpartner.new { publisher = "contoso", token = TOKEN, retries = 0,
      transport = function(request) error("can't send " .. request.headers[1][2], 0) end }
    local _, err = client:golive(OFFER, { reconcile = false })
    assert.truthy(err.message:find("can't send Bearer ***", 1, true), err.message)
    assert_clean(err)
  end)
end)

describe("TLS 1.1", function()
  local directory, pid

  local function run(command)
    local pipe = assert(io.popen(command .. " 2>&1"))
    local output = pipe:read "*a"
    pipe:close()
    return output
  end

  -- A server that speaks nothing newer, and a system that would allow it to us.
  local function start(port)
    directory = run("mktemp -d"):match "[^\n]+"
    local file = assert(io.open(directory .. "/openssl.cnf", "w"))
    file:write("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
      .. "MinProtocol = TLSv1\nCipherString = DEFAULT@SECLEVEL=0\n")
    file:close()
    run("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
      .. " -addext subjectAltName=DNS:localhost -keyout " .. directory .. "/key -out "
      .. directory .. "/ca")
    pid = run(("OPENSSL_CONF=%s/openssl.cnf sh -c 'openssl s_server -quiet -www -tls1_1"
      .. " -accept %d -cert %s/ca -key %s/key </dev/null >%s/log 2>&1 & echo $!'")
      :format(directory, port, directory, directory, directory)):match "%d+"
  end

  after_each(function()
    run("kill " .. pid)
    run("rm -rf " .. directory)
  end)

  it("is refused, where curl would take it", function()
    local fd, port = live.calls.listen()
    live.calls.close(fd)
    start(port)
    local url = "https://localhost:" .. port
    local environment = ("OPENSSL_CONF=%s/openssl.cnf CA=%s/ca URL=%s"):format(directory, directory, url)
    live.await(function()
      return run(environment .. " curl -s --noproxy '*' --tlsv1.0 "
        .. "--cacert " .. directory .. "/ca " .. url):find "TLSv1.1"
    end)
    local script = [[local _, err = require "cloudpartner".new { publisher = "contoso",
      token = "t", endpoint = os.getenv "URL", ca_file = os.getenv "CA", retries = 0 }
      :offer_status "o"; print(err.code, err.message)]]
    local said = run(environment .. " " .. live.interpreter .. " -e '" .. script .. "'")
    assert.matches("^tls\t", said)
    assert.matches("protocol", said)
  end)
end)

-- What a credential holds, and whoever might tell that.

local function file_with(text)
  local name = os.tmpname()
  local file = assert(io.open(name, "wb"))
  file:write(text)
  file:close()
  return name
end

local SECRETS = {
  client = "s3cret~" .. os.time() .. "/of+the=client",
  assertion = "s3cret-assertion-" .. os.time(),
}

local function escaped(text)
  return (text:gsub("[^%w._~-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- Tokens of the emulator's, and those secrets as they are and as they are sent.
local function assert_no_secret(...)
  for _, text in ipairs(strings_of({ ... }, {}, {})) do
    for _, secret in pairs(SECRETS) do
      assert.is_nil(text:find(secret, 1, true), text)
      assert.is_nil(text:find(escaped(secret), 1, true), text)
    end
    assert.is_nil(text:find "eyJ0eXAi[%w_-]+%.[%w_-]+", text)
  end
end

describe("a credential's secret", function()
  local service = live.service("--speed", "600")
  local file
  setup(function() file = file_with(SECRETS.assertion .. "\n") end)
  teardown(function() os.remove(file) end)

  local identities = {
    secret = function() return { client_secret = SECRETS.client } end,
    assertion = function() return { federated_token_file = file } end,
  }

  local function client_of(name, log)
    local identity = identities[name]()
    identity.tenant_id, identity.client_id = "contoso.com", "app"
    local credential = cloudpartner.credential {
      credential = identity, authority = service.address, retries = 1, retry_delay = 0.01 }
    return service.client { token = false, credential = credential, log = log }, credential
  end

  -- Answers that give a secret back, as it is and as it was sent; and tokens nobody asked for.
  local function echoes(secret)
    local all = secret .. " " .. escaped(secret)
    return {
      ["a page with an error"] = { status = 400, body = "<p>" .. all .. "</p>" },
      ["a page that passes"] = { status = 503, body = all },
      ["an error with its slashes escaped"] = { status = 401,
        body = '{"error_description":"' .. secret:gsub("/", "\\/") .. '"}' },
      ["an error"] = { status = 401, body = { error = "invalid_client",
        error_description = "AADSTS7000215: " .. all } },
      ["a page"] = { status = 200, body = "<p>" .. all .. "</p>" },
      ["noise"] = { raw = "HTTP/1.1 500 " .. all .. "\r\nX: " .. all .. "\r\n\r\n" .. all },
      ["an id"] = { status = 400, headers = { ["x-ms-request-id"] = secret }, body = "" },
      ["a token and more"] = { status = 200, body = { access_token = "eyJ0eXAi" .. ("x"):rep(40)
        .. ".eyJ0eXAi", refresh_token = "eyJ0eXAi" .. ("y"):rep(40) .. ".z", expires_in = 60 } },
      ["two tokens"] = { status = 200, body = '{"access_token":"eyJ0eXAi' .. ("x"):rep(40)
        .. '.a","access_token":"eyJ0eXAi' .. ("y"):rep(40) .. '.b","expires_in":60}' },
      ["half a token"] = { raw = "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"
        .. '{"access_token":"eyJ0eXAi' .. ("x"):rep(400) .. "." },
    }
  end
  for name in pairs(identities) do
    for how, echo in pairs(echoes(SECRETS[name == "secret" and "client" or name])) do
      it(("(%s) given back as %s is told to nobody"):format(name, how), function()
        local left = {}
        local function keep(value) left[#left + 1] = value end
        local client, credential = client_of(name, keep)
        client:observe(keep)
        echo.times, echo.exchange = 2, "token"
        service.order(echo)
        keep { client:offer_status(OFFER) }
        keep { client:offer_status(OFFER) }
        local recorder = har.record(client)
        keep { client:offer_status(OFFER) }
        assert.is_true(#left > 3)
        assert_no_secret(left, recorder:text(), tostring(client), tostring(credential))
      end)
    end

    it(("(%s) is in nothing that a whole go live leaves behind"):format(name), function()
      local left = {}
      local function keep(value) left[#left + 1] = value end
      local client, credential = client_of(name, keep)
      local recorder = har.record(client)
      local operation = assert(client:golive(OFFER, { before_send = keep }))
      service.tokens { revoke = true }
      keep(assert(operation:wait { interval = 0.2, min_interval = 0.05, on_progress = keep }))
      assert.equal(2, service.state().tokens.issued)
      keep(cjson.encode(operation))
      local text = recorder:text()
      assert.truthy(text:find("/oauth2/v2.0/token", 1, true))
      assert_no_secret(left, text, tostring(client), tostring(credential))
    end)
  end
end)
