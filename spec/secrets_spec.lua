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
