-- Credentials over real sockets and with real processes: the emulator is the authority, IMDS
-- and App Service, and a stand-in is the Azure CLI.

local cjson = require "cjson"
local async = require "cloudpartner.async"
local cloudpartner = require "cloudpartner"
local environment = require "spec.support.environment"
local live = require "spec.host.live"

local calls = live.calls

local OFFER = "spec-identity"

local function application(more)
  local identity = { tenant_id = "contoso.com", client_id = "app", client_secret = "s3cret" }
  for name, value in pairs(more or {}) do identity[name] = value or nil end
  return identity
end

local function fails(text, result, err)
  live.fails("credential", result, err)
  assert.equal("no", err.sent)
  assert.truthy(err.message:find(text, 1, true), tostring(err))
  return err
end

local function file_with(text)
  local name = os.tmpname()
  local file = assert(io.open(name, "wb"))
  file:write(text)
  file:close()
  return name
end

local function text_of(name)
  local file = io.open(name, "rb")
  local text = file and file:read "*a" or ""
  if file then file:close() end
  return text
end

describe("a credential", function()
  local service = live.service("--speed", "600")
  before_each(environment.clear)
  after_each(environment.restore)

  local function client(credential, more)
    local options = { token = false, credential = credential, authority = service.address,
      retry_delay = 0.01 }
    for name, value in pairs(more or {}) do options[name] = value end
    return service.client(options)
  end

  local function tokens() return service.state().tokens end

  -- The whole way, by each source.

  it("of a client secret takes an offer live", function()
    local one = client(application())
    local operation = assert(one:golive(OFFER))
    local status = assert(one:wait(operation, { interval = 0.2, min_interval = 0.05 }))
    assert.equal("succeeded", status.state)
    assert.same({ 1, 1 }, { tokens().asked, tokens().by.secret })
    assert.equal(0, service.state().unauthorized)
  end)

  it("asks by the older protocol", function()
    assert(client(application { oauth = "v1" }):offer_status(OFFER))
    assert.equal(1, tokens().by.secret)
  end)

  it("of a federated token", function()
    local name = file_with "an-assertion"
    assert(client(application { client_secret = false, federated_token_file = name })
      :offer_status(OFFER))
    os.remove(name)
    assert.equal(1, tokens().by.federated)
  end)

  it("of a managed identity", function()
    environment.set { AZURE_POD_IDENTITY_AUTHORITY_HOST = service.address }
    assert(client "managed_identity":offer_status(OFFER))
    assert.equal(1, tokens().by.imds)
    environment.set { IDENTITY_ENDPOINT = service.address .. "/msi/token",
      IDENTITY_HEADER = "emulated-header" }
    assert(client "environment":offer_status(OFFER))
    assert.equal(1, tokens().by.app_service)
  end)

  local refusals = {
    AADSTS7000222 = { client_secret = "expired" }, AADSTS7000215 = { client_secret = "wrong" },
    AADSTS90002 = { tenant_id = "unknown" }, AADSTS700016 = { client_id = "unknown" },
    AADSTS1002012 = { scope = "https://cloudpartner.azure.com" },
  }
  for code, more in pairs(refusals) do
    it("is refused by the authority: " .. code, function()
      local err = fails(code, client(application(more)):offer_status(OFFER))
      assert.equal(code, err.service_code)
      assert.truthy(err.request_id and err.advice)
      assert.equal(0, service.state().requests)
    end)
  end

  it("of a principal that is no user of the publisher is told what to do", function()
    local _, err = client(application { client_id = "forbidden" }):offer_status(OFFER)
    assert.equal("forbidden", err.code)
    assert.truthy(tostring(err):find("add the service principal as a user", 1, true))
    assert.equal(1, tokens().asked)
  end)

  -- Bounds.

  it("is a secret's way to the authority only", function()
    service.order { exchange = "token", status = 307, headers = { Location = "http://127.0.0.1:9/t" } }
    fails("HTTP 307", client(application()):offer_status(OFFER))
    assert.equal(1, tokens().asked)
  end)

  it("that the authority answers too late fails in its time", function()
    service.order { exchange = "token", delay = 3, times = 9 }
    local one = client(application(), { exchange_timeout = 0.2, retries = 1 })
    live.within(2.5, function()
      fails("no answer in time", one:offer_status(OFFER))
    end)
    service.reset()
  end)

  it("that the authority answers with too much, with noise, or not at all", function()
    local one = client(application(), { max_body = 100000, retries = 0 })
    service.order { exchange = "token", body = ("x"):rep(200000) }
    fails("no token by client secret: ", one:offer_status(OFFER))
    service.order { exchange = "token", raw = "\1\2\3 no HTTP\r\n\r\n" }
    fails("no token by client secret: ", one:offer_status(OFFER))
    service.order { exchange = "token", close = true }
    fails("no token by client secret: ", one:offer_status(OFFER))
    assert(one:offer_status(OFFER))
    local nobody = client(application(), { authority = "http://127.0.0.1:9", retries = 0 })
    fails("no token by client secret: ", nobody:offer_status(OFFER))
  end)

  it("is asked for again when the authority was out of order", function()
    service.order { exchange = "token", status = 503, body = "", times = 2 }
    assert(client(application()):offer_status(OFFER))
    assert.equal(3, tokens().asked)
  end)

  -- One renewal at a time.

  it("is asked for once by many, and its failure is shared", function()
    local one, ended = client(application(), { max_connections = 20 }), {}
    service.order { exchange = "token", delay = 0.1, status = 400, body = "" }
    for i = 1, 20 do ended[i] = one:start("offer_status", OFFER .. i) end
    while one:step(1) > 0 do end
    for _, task in ipairs(ended) do fails("HTTP 400", task:result()) end
    assert.equal(1, tokens().asked)
    for i = 1, 20 do ended[i] = one:start("offer_status", OFFER .. i) end
    while one:step(1) > 0 do end
    for _, task in ipairs(ended) do assert(task:result()) end
    assert.equal(2, tokens().asked)
  end)

  it("that all hear is refused is renewed once", function()
    local one, ended = client(application(), { max_connections = 20 }), {}
    assert(one:offer_status(OFFER))
    service.tokens { revoke = true, delay = 0.05 }
    for i = 1, 20 do ended[i] = one:start("offer_status", OFFER .. i) end
    while one:step(1) > 0 do end
    for _, task in ipairs(ended) do assert(task:result()) end
    assert.equal(2, tokens().asked)
    assert.is_true(service.state().unauthorized >= 2)
  end)

  it("is renewed while the old token serves, and nobody waits for that", function()
    service.tokens { life = 4 }
    local one = client(application())
    assert(one:offer_status(OFFER))
    service.tokens { delay = 0.5, life = 100 }
    calls.poll(-1, 2.3) -- half its life, and a tenth of that
    live.within(0.4, function() assert(one:offer_status(OFFER)) end)
    live.await(function() return tokens().asked == 2 and tokens().at_once == 0 end)
    calls.poll(-1, 1.6) -- the first one's end
    assert(one:offer_status(OFFER))
    assert.equal(2, tokens().asked)
    assert.equal(0, service.state().unauthorized)
  end)

  it("is used once, though its life is over when it comes", function()
    service.tokens { life = 1, delay = 1.2 }
    local one = client(application())
    assert(one:offer_status(OFFER, { timeout = 15 }))
    assert.equal(1, tokens().asked)
  end)

  it("raises the descriptor when its answer came before anybody waited", function()
    for _ = 1, 60 do
      local one = client(application { authority = "http://127.0.0.1:9" }, { retries = 0 })
      local task = one:start("offer_status", OFFER)
      one:step()
      if not task:done() then assert.is_true(calls.poll(one:pollfd(), 5)) end
      while one:step(1) > 0 do end
      assert.equal("credential", select(2, task:result()).code)
      one:close()
    end
  end)

  it("serves a client though the one that asked is not stepped any more", function()
    local shared = cloudpartner.credential(application { authority = service.address })
    local one, two = client(shared), client(shared)
    service.tokens { delay = 0.2 }
    local task = one:start("offer_status", OFFER)
    one:step()
    live.within(2, function() assert(two:offer_status(OFFER)) end)
    assert.equal(1, tokens().asked)
    assert.is_false(task:done())
    while one:step(1) > 0 do end
    assert(task:result())
  end)

  it("raises the descriptor of a client that waits for what another asked", function()
    local shared = cloudpartner.credential(application { authority = service.address })
    local one, two = client(shared), client(shared)
    service.tokens { delay = 0.2 }
    local first, second = one:start("offer_status", OFFER), two:start("offer_status", OFFER)
    one:step()
    two:step()
    assert.equal(1, two:in_flight())
    assert.is_nil(two:timeout())
    assert.is_true(calls.poll(two:pollfd(), 5))
    while two:step(1) > 0 do end
    assert(second:result())
    while one:step(1) > 0 do end
    assert(first:result())
    assert.equal(1, tokens().asked)
  end)

  it("outlives the client that asked, and each can be closed at any time", function()
    local shared = cloudpartner.credential(application { authority = service.address })
    local one, two = client(shared), client(shared)
    service.tokens { delay = 0.1 }
    one:start("offer_status", OFFER)
    local task = two:start("offer_status", OFFER)
    one:step()
    two:step()
    one:close()
    while two:step(1) > 0 do end
    assert(task:result())
    assert.equal(1, tokens().asked)
    task = two:start("offer_status", OFFER)
    service.tokens { revoke = true }
    while two:step(0.02) > 0 and tokens().at_once == 0 do end
    shared:close()
    while two:step(1) > 0 do end
    fails("the credential is closed", task:result())
  end)

  -- ThreadSanitizer can't follow a fork.
  local forks = os.getenv "VARIANT" ~= "tsan" and it or function() end

  forks("is the child's too after a fork, but not what is in flight", function()
    local one = client(application())
    service.tokens { delay = 0.3 }
    local task = one:start("offer_status", OFFER)
    one:step()
    local pid = calls.fork()
    if pid == 0 then
      local ok = one:offer_status(OFFER)
      os.exit(ok and 7 or 8, false)
    end
    assert.equal(7, calls.wait(pid, 10))
    while one:step(1) > 0 do end
    assert(task:result())
    assert.equal(2, tokens().asked)
  end)

  forks("does not raise its parent's descriptors in a forked child", function()
    local shared = cloudpartner.credential(application { authority = service.address })
    local one, two = client(shared), client(shared)
    service.tokens { delay = 0.3 }
    local first, second = one:start("offer_status", OFFER), two:start("offer_status", OFFER)
    one:step()
    two:step()
    local pid = calls.fork()
    if pid == 0 then
      calls.poll(-1, 0.8) -- until the parent's are over
      local ok = one:offer_status(OFFER)
      os.exit(ok and 7 or 8, false)
    end
    while one:step(1) > 0 do end
    while two:step(1) > 0 do end
    assert(first:result())
    assert(second:result())
    assert.equal(7, calls.wait(pid, 10))
    assert.is_false((calls.poll(two:pollfd(), 0)))
  end)

  -- The caller's function, under the same rules.

  it("of a function serves on when it can't be renewed", function()
    local count = 0
    local one = service.client { token = function()
      count = count + 1
      if count > 1 then return nil, "not today" end
      return "good", 1
    end }
    assert(one:offer_status(OFFER))
    calls.poll(-1, 0.6)
    assert(one:offer_status(OFFER))
    assert.equal(2, count)
    calls.poll(-1, 0.6)
    fails("not today", one:offer_status(OFFER))
  end)

  -- A transport.

  it("is asked for by the caller's transport, which may yield", function()
    local real = client(application())
    assert(real:offer_status(OFFER))
    local seen = {}
    local function transport(request)
      coroutine.yield()
      seen[#seen + 1] = request.url
      if request.url:find("/oauth2/", 1, true) then
        return { status = 200, body = '{"access_token":"t","expires_in":60}' }
      end
      return { status = 200, body = '{"status":"running","messages":[]}' }
    end
    local one = client(application(), { transport = transport })
    local results = {}
    for i = 1, 3 do
      results[i] = coroutine.wrap(function()
        local wrapped = async.wrap(one, function(_, task)
          while not task:done() do coroutine.yield() end
        end)
        return assert(wrapped:offer_status(OFFER))
      end)
    end
    local left = 3
    local ended = {}
    while left > 0 do
      one:step()
      for i = 1, 3 do
        if not ended[i] then
          local status = results[i]()
          if status then ended[i], left = status, left - 1 end
        end
      end
    end
    assert.equal(4, #seen)
  end)

  -- The Azure CLI.

  describe("of the Azure CLI", function()
    local log

    -- What a sanitizer has preloaded into the interpreter is not for a shell.
    local forget = 'require("spec.host.calls").setenv "LD_PRELOAD"\n'

    before_each(function()
      log = os.tmpname()
      environment.set { FAKE_AZ_LOG = log, PATH = "spec/host/az:" .. os.getenv "PATH" }
    end)
    after_each(function()
      local child = text_of(log .. ".child"):match "%d+"
      if child then os.execute("kill " .. child) end
      os.remove(log)
      os.remove(log .. ".child")
    end)

    local function called()
      local lines = {}
      for line in text_of(log):gmatch "[^\n]+" do lines[#lines + 1] = line end
      return lines
    end

    local function is_alive(pid)
      return text_of("/proc/" .. pid .. "/stat"):match "^%d+ %(.*%) ([^Z])" ~= nil
    end

    it("takes an offer live", function()
      for _, mode in ipairs { "ok", "old", "noisy" } do
        environment.set { FAKE_AZ = mode }
        local one = client "azure_cli"
        assert(one:offer_status(OFFER))
        assert(one:offer_status(OFFER))
      end
      assert.equal(3, #called())
    end)

    it("is run with these words, and no signal blocked or ignored", function()
      local script = file_with(forget .. ([[
        local client = require "cloudpartner".new { credential = {
          kind = "azure_cli", tenant_id = "t" } }
        assert(client:offer_status "%s")]]):format(OFFER))
      local process = live.run({ "sh", "-c", "trap '' PIPE INT USR1; exec " .. live.interpreter
        .. " " .. script }, service.environment { CLOUDPARTNER_TOKEN = "" })
      os.remove(script)
      assert.equal(0, process.status, process.output)
      local line = called()[1]
      assert.truthy(line:find("account get-access-token --output json --tenant t --resource "
        .. service.address, 1, true), line)
      assert.truthy(line:find("Blk=0000000000000000", 1, true), line)
      -- glibc has the two signals of its own threads ignored in all that it spawns.
      assert.truthy(line:find "Ign=0000000[01]80000000" or line:find("Ign=0000000000000000", 1, true),
        line)
    end)

    local modes = {
      login = "Please run 'az login'", garbage = "no JSON object", silent = "no JSON object",
      flood = "no token by Azure CLI: ",
    }
    for mode, text in pairs(modes) do
      it("fails in a line: " .. mode, function()
        environment.set { FAKE_AZ = mode }
        local one = client("azure_cli", { max_body = 10000 })
        local err = fails(text, one:offer_status(OFFER))
        assert.is_nil(cjson.encode(err.details or {}):find("secret-in-garbage", 1, true))
        assert.truthy(tostring(err):find("run az login", 1, true))
        environment.set { FAKE_AZ = "ok" }
        assert(one:offer_status(OFFER))
      end)
    end

    it("fails in a line when there is none", function()
      environment.set { PATH = "/nowhere" }
      local one = client "azure_cli"
      local err = fails("az is not on PATH", one:offer_status(OFFER))
      assert.truthy(tostring(err):find("check that az is on PATH", 1, true), tostring(err))
    end)

    for _, mode in ipairs { "hang", "deaf" } do
      it("is killed with what it started when it takes too long: " .. mode, function()
        environment.set { FAKE_AZ = mode }
        local one = client("azure_cli", { exchange_timeout = 0.5 })
        live.within(3, function() fails("no answer in time", one:offer_status(OFFER)) end)
        assert.is_false(is_alive(called()[1]:match "^%d+"))
      end)
    end

    it("has ended when it has, though a child of it holds its output", function()
      environment.set { FAKE_AZ = "late_child" }
      live.within(3, function() assert(client "azure_cli":offer_status(OFFER)) end)
      assert.is_true(is_alive(text_of(log .. ".child"):match "%d+"))
    end)

    it("is killed when it is given up, and when the program ends", function()
      environment.set { FAKE_AZ = "hang" }
      local one = client "azure_cli"
      one:start("offer_status", OFFER)
      one:step()
      local pid = live.await(function() return (called()[1] or ""):match "^%d+" end)
      one:close()
      live.await(function() return not is_alive(pid) end)
      local process = live.lua(forget .. ([[
        local client = require "cloudpartner".new { credential = "azure_cli" }
        client:start("offer_status", "%s")
        client:step(0.5)]]):format(OFFER), service.environment { CLOUDPARTNER_TOKEN = "" })
      assert.equal(0, process.status, process.output)
      assert.is_false(is_alive(called()[2]:match "^%d+"))
    end)

    it("does not hold up its caller", function()
      environment.set { FAKE_AZ = "hang" }
      local one = client "azure_cli"
      one:start("offer_status", OFFER)
      for _ = 1, 20 do live.within(0.2, function() one:step() end) end
      live.within(0.2, function() one:close() end)
    end)

    it("is indifferent to who reaps it", function()
      for _, how in ipairs { "ignored", "reaped" } do
        local process = live.lua(forget .. ([[
          require("spec.host.calls").reaper "%s"
          local client = require "cloudpartner".new { credential = "azure_cli" }
          assert(client:offer_status "%s")
          os.exit(0)]]):format(how, OFFER),
          service.environment { CLOUDPARTNER_TOKEN = "" })
        assert.equal(0, process.status, process.output)
      end
      assert.equal(2, #called())
    end)

    it("serves a client with a transport, which has no descriptor", function()
      local one = client("azure_cli", { transport = function()
        return { status = 200, body = '{"status":"running","messages":[]}' }
      end })
      assert(one:offer_status(OFFER))
      local task = one:start("offer_status", OFFER)
      while one:step(0.1) > 0 do end
      assert(task:result())
    end)
  end)
end)

describe("a go live of 200 polls over tokens of two seconds", function()
  local service = live.service("--speed", "1", "--token-life", "2")

  it("renews one at a time, about once a second, with 50 operations in parallel", function()
    local client = service.client { token = false, authority = service.address, max_connections = 50,
      credential = application() }
    service.tokens { delay = 0.05 }
    local polls, tasks = 0, {}
    local began = calls.now()
    for i = 1, 50 do
      service.configure(OFFER .. i, { duration = 11 })
      tasks[i] = client:start("golive", OFFER .. i)
    end
    while client:step(1) > 0 do end
    for i, task in ipairs(tasks) do
      tasks[i] = client:start("wait", assert(task:result()), { interval = 0.05, min_interval = 0.05,
        on_progress = function() polls = polls + 1 end })
    end
    while client:step(1) > 0 do end
    for _, task in ipairs(tasks) do assert.equal("succeeded", assert(task:result()).state) end
    local seconds, state = calls.now() - began, service.state()
    assert.is_true(state.polls >= 50 * 150, state.polls)
    assert.equal(1, state.tokens.most_at_once)
    assert.is_true(state.tokens.issued >= seconds / 3 and state.tokens.issued <= seconds * 2 + 2,
      ("%d tokens in %.1f s"):format(state.tokens.issued, seconds))
    assert.equal(50, #tasks)
    assert.equal(0, state.unauthorized)
  end)
end)
