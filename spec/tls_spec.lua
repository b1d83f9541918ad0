-- TLS and proxies: whose certificate counts, and what goes by which way.

local live = require "spec.host.live"

local calls = live.calls
local OFFER = "spec-tls"

-- Options of a go live, by what it asks for first.
local beginnings = { ["its list"] = {}, ["its POST"] = { reconcile = false } }

-- A port of this machine where nobody listens.
local function dead_port()
  local fd, port = calls.listen()
  calls.close(fd)
  return port
end

describe("an https endpoint", function()
  local service = live.service("--tls", "--speed", "600")

  it("takes an offer live", function()
    local client = service.client()
    local operation = assert(client:golive(OFFER))
    assert.matches("^https://", operation.url)
    local status = assert(operation:wait { interval = 0.2, min_interval = 0.05 })
    assert.equal("succeeded", status.state)
  end)

  it("takes five offers live at once", function()
    local client, tasks = service.client(), {}
    for i = 1, 5 do tasks[i] = client:start("golive", OFFER .. i) end
    repeat until client:step(10) == 0
    for i = 1, 5 do
      assert.truthy(assert(tasks[i]:result()).url:find("/" .. OFFER .. i .. "/", 1, true))
    end
    assert.equal(10, service.state().requests) -- a list and a POST for each
  end)

  local function assert_refused(client)
    for _, wishes in pairs(beginnings) do
      local err = live.fails("tls", client:golive(OFFER, wishes))
      assert.equal("no", err.sent)
      assert.is_false(err.retryable)
      assert.is_nil(err.intent)
      assert.falsy(err.message:find "[\r\n]")
    end
    live.fails("tls", client:offer_status(OFFER))
    assert.equal(0, service.state().requests)
  end

  it("is refused when nobody vouches for it", function()
    assert_refused(service.client { retries = 0, ca_file = false })
  end)

  it("is not asked again by a read that refused it", function()
    local options, slept = live.jumping_clock()
    options.ca_file = false
    live.fails("tls", service.client(options):offer_status(OFFER))
    assert.same({}, slept)
  end)

  it("is refused under a name that its certificate does not hold", function()
    local endpoint = "https://elsewhere.localhost" .. service.address:match ":%d+$"
    assert_refused(service.client { retries = 0, endpoint = endpoint, proxy = "" })
  end)

  it("is refused when ca_file is no file", function()
    assert_refused(service.client { retries = 0, ca_file = "/nonexistent/ca.pem" })
  end)

  it("is trusted by the client with its authority, and by no other beside it", function()
    assert(service.client():offer_status(OFFER))
    local other = service.client { retries = 0, ca_file = false }
    live.fails("tls", other:golive(OFFER))
    assert(service.client():offer_status(OFFER))
  end)

  for name, wishes in pairs(beginnings) do
    it("that speaks no TLS is refused: " .. name, function()
      local fd, port = calls.listen()
      local client = service.client { retries = 0, endpoint = "https://127.0.0.1:" .. port }
      local task = client:start("golive", OFFER, wishes)
      client:step(0)
      assert(calls.answer(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 1))
      repeat until client:step(10) == 0
      calls.close(fd)
      assert.equal("no", live.fails("tls", task:result()).sent)
    end)
  end
end)

describe("a proxy", function()
  local plain, secure = live.service(), live.service("--tls")

  local function proxies(address)
    return { http_proxy = address, HTTP_PROXY = address, https_proxy = address,
      HTTPS_PROXY = address, all_proxy = address, ALL_PROXY = address }
  end

  local SCRIPT = [[
    local ca = os.getenv "CA"
    assert(require "cloudpartner".new { ca_file = ca, retries = 0 }:golive "spec-tls")
  ]]

  it("of the environment is not for loopback", function()
    for _, service in ipairs { plain, secure } do
      local environment = proxies("http://127.0.0.1:" .. dead_port())
      environment.CA = service.ca
      local ended = live.lua(SCRIPT, service.environment(environment))
      assert.equal("", ended.output)
      assert.equal(0, ended.status)
    end
  end)

  -- A go live at a far origin by a proxy of ours, which answers so: the request's head,
  -- and the result.
  local function golive_by_proxy(answer, start, wishes)
    local fd, port = calls.listen()
    local client, task = start("http://127.0.0.1:" .. port, wishes)
    client:step(0)
    local head = assert(calls.answer(fd, answer, 5), "nobody came to the proxy")
    live.within(10, function() repeat until client:step(1) == 0 end)
    calls.close(fd)
    return head, task:result()
  end

  local function by_option(address, wishes)
    local client = plain.client {
      endpoint = "https://origin.invalid", proxy = address, retries = 0,
      headers = { ["X-Own"] = "1" },
    }
    return client, client:start("golive", OFFER, wishes)
  end

  local refusals = {
    ["refuses"] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    ["wants a password"] = "HTTP/1.1 407 Proxy Authentication Required\r\n"
      .. "Proxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
    ["hangs up"] = "",
    ["speaks something else"] = "SSH-2.0-OpenSSH_9.2\r\n",
  }
  local function assert_unsent(codes, result, err)
    live.fails(codes, result, err)
    assert.equal("no", err.sent)
    assert.is_nil(err.intent)
  end

  for first, wishes in pairs(beginnings) do
    for name, answer in pairs(refusals) do
      it(("that %s sees no token, and nothing was sent: %s"):format(name, first), function()
        local head, result, err = golive_by_proxy(answer, by_option, wishes)
        assert.matches("^CONNECT origin%.invalid:443 HTTP/1%.1\r\n", head)
        local lower = head:lower()
        for _, secret in ipairs { "secret", "authorization", "x%-own", "x%-ms%-" } do
          assert.falsy(lower:find(secret), head)
        end
        assert_unsent({ "connect", "network", "protocol" }, result, err)
      end)
    end

    it("that agrees is the way to TLS, and no way around it: " .. first, function()
      local answer = "HTTP/1.1 200 OK\r\n\r\nno TLS"
      local head, result, err = golive_by_proxy(answer, by_option, wishes)
      assert.matches("^CONNECT ", head)
      assert_unsent("tls", result, err)
    end)

    it("nobody runs is a connection that failed: " .. first, function()
      local client = by_option("http://127.0.0.1:" .. dead_port())
      assert_unsent("connect", client:golive(OFFER, wishes))
    end)
  end
end)
