-- A client recorded over a socket: the recording plays again, and holds no secret.

local cjson = require "cjson"
local cloudpartner = require "cloudpartner"
local emulator = require "spec.support.emulator"
local har = require "cloudpartner.har"

local TOKEN = "eyJhbGciOiJub25lIn0.secret-token"
local EMAIL = "jane.doe@fabrikam.example"

describe("a recording of a client", function()
  local service

  setup(function() service = emulator.start("--speed", "2000") end)
  teardown(function() service.stop() end)

  local function open(offer, options)
    emulator.post(service.address .. "/_emulator/offers/contoso/" .. offer,
      cjson.encode { retry_after = 0 })
    local given = { publisher = "contoso", token = TOKEN, endpoint = service.address }
    for name, value in pairs(options or {}) do given[name] = value or nil end
    return cloudpartner.new(given)
  end

  -- Takes the offer live; the states that were told on the way.
  local function go_live(client, offer)
    local states = {}
    local golive = assert(client:golive(offer, { notification_emails = { EMAIL } }))
    local status = assert(golive:wait { interval = 0.05, min_interval = 0.05,
      on_progress = function(status) states[#states + 1] = status.state end })
    return states, status
  end

  local function record(offer)
    local client = open(offer)
    local recorder = har.record(client)
    local states, status = go_live(client, offer)
    recorder:stop()
    client:close()
    return recorder, states, status
  end

  it("plays again without the service", function()
    local recorder, states, status = record "spec-recorded"
    local player = assert(har.player(assert(har.parse(recorder:text()))))
    local client = cloudpartner.new(player:options())
    local again, ended = go_live(client, "spec-recorded")
    assert.same(states, again)
    assert.equal("succeeded", ended.state)
    assert.same(status.steps, ended.steps)
    assert(player:finish())
  end)

  it("plays the requests for tokens again, which hold no secret", function()
    local secret = "s3cret-of-a-recording/+"
    local identity = { tenant_id = "contoso.com", client_id = "app", client_secret = secret }
    local client = open("spec-tokens", { token = false, credential = identity,
      authority = service.address })
    local recorder = har.record(client)
    local states = go_live(client, "spec-tokens")
    client:close()
    local text = recorder:text()
    assert.is_nil(text:find("s3cret", 1, true))
    assert.is_nil(text:find("eyJ0eXAi", 1, true))
    local recording = assert(har.parse(text))
    assert.truthy(recording.entries[1].request.url:find("/oauth2/v2.0/token", 1, true))
    local player = assert(har.player(recording))
    identity.client_secret = "another"
    local again = cloudpartner.new(player:options { credential = identity,
      endpoint = service.address, authority = service.address })
    assert.same(states, (go_live(again, "spec-tokens")))
    assert(player:finish())
  end)

  it("holds no token and no address", function()
    local text = record "spec-private":text()
    for _, secret in ipairs { TOKEN, "secret-token", "Authorization", "Bearer", EMAIL, "jane" } do
      assert.is_nil(text:find(secret, 1, true), secret)
    end
    assert.truthy(text:find("/golive", 1, true))
  end)

  it("is saved as a file that can be read", function()
    local recorder = record "spec-saved"
    local path = os.tmpname()
    assert(recorder:save(path))
    local recording = assert(har.read(path))
    os.remove(path)
    local before, submission = recording.entries[1], recording.entries[2]
    assert.equal("GET", before.request.method)
    assert.truthy(before.request.url:find("/submissions/", 1, true))
    assert.equal("POST", submission.request.method)
    assert.equal(202, submission.response.status)
    assert.matches("^Recorded from ", recording.comment)
  end)
end)
