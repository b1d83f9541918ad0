-- Go-lives, and all that stands around them, over a transport in the process: the first
-- function is for failing memory, the second must work afterwards. TOKEN is the host's.

local cloudpartner = require "cloudpartner"

local OFFERS = "/api/publishers/contoso/offers/o"
local DOCUMENT = [[{"status":"%s","messages":[{"messageHtml":"<b>m</b>","level":"error"}],
  "steps":[{"id":"live","stepName":"Live","status":"inProgress","progressPercentage":5,
  "messages":[{"messageHtml":"x","level":"information","timestamp":"t"}]}]}]]
local CLIENT = "the client"

local client

local function reply(status, body, headers)
  return { status = status, headers = headers or {}, body = body }
end

local function entry(id, kind, state)
  return ('{"id":"%s","submissionType":"%s","submissionState":"%s","version":636576975611768314,'
    .. '"slot":"production","changedTime":"2018-03-26T21:46:01Z"}'):format(id, kind, state)
end

local function list(...) return reply(200, "[" .. table.concat({ ... }, ",") .. "]") end

-- What the service answers, by what is asked for: a list of answers in turn, the last for ever.
local function service(answers)
  return function(request)
    local name = (request.url .. "?"):match "([^/?]+)/?%?"
    local turn = answers[name] or answers.other
    return #turn > 1 and table.remove(turn, 1) or turn[1]
  end
end

-- Without a `now` that is the caller's, time would pass.
local function open(answers, options)
  local time = 1522100760
  local given = {
    publisher = "contoso", transport = service(answers), token = function() return TOKEN, 60 end,
    now = function() return time end, random = function() return 0.5 end,
    sleep = function(seconds) time = time + seconds end,
    headers = { ["X-Job"] = { "a", "b" } }, user_agent = CLIENT, log = function() end,
  }
  for name, value in pairs(options or {}) do given[name] = value or nil end
  return cloudpartner.new(given)
end

local LOST = reply(500, '{"error":{"code":"E","message":"m"}}', { ["x-ms-request-id"] = "r" })
local OLD = entry("old", "golive", "complete")

-- Unclear, found in the list, followed over a failed poll and a moved URL to its end.
local function go_live()
  client = open {
    submissions = { list(OLD), list(entry("new", "golive", "running"), OLD) },
    golive = { LOST },
    other = { reply(200, DOCUMENT:format "running", { Location = "/api/moved" }), LOST,
              reply(200, DOCUMENT:format "succeeded") },
  }
  client:observe(function() end)
  local operation = assert(client:golive("o", {
    before_send = function() end, notification_emails = { "a@example.com" }, if_match = "*",
    headers = { ["X-Call"] = "c" },
  }))
  assert(operation.id == "new" and operation.adopted)
  local status = assert(operation:wait { on_progress = function() end })
  assert(status.state == "succeeded" and #status.steps == 1)
  client:close()
end

local function be_refused()
  client = open {
    submissions = { list(OLD), list(entry("p", "publish", "running")) },
    golive = { reply(409, '{"error":{"code":"InProgress","details":[{"code":"c"}]}}') },
    cancel = { reply(202) },
  }
  local _, err = client:golive "o"
  assert(err.code == "conflict" and err.operation.id == "p", tostring(err))
  local task = client:start("operations", "o", { status = "running" })
  repeat until client:step(60) == 0
  assert(#task:result() == 1)
  local cancel = assert(client:cancel "o")
  assert(cancel.cancels == "p")
  client:close()
end

-- From an earlier process: an intent, an operation, a time.
local function resume()
  client = open {
    submissions = { list(entry("b", "golive", "running"), entry("a", "golive", "running")) },
    other = { reply(200, DOCUMENT:format "running") },
  }
  local intent = { format = 1, kind = "golive", offer = "o", client_request_id = "g",
                   time = "2018-03-26T21:46:00Z", seen = { "a" } }
  local operation = assert(client:resume(intent))
  assert(operation.id == "b")
  assert(assert(client:status(operation)).state == "running")
  intent.seen = {}
  local _, err = client:resume(intent, { reconcile = 0 })
  assert(err.code == "ambiguous" and #err.details == 2, tostring(err))
  assert(client:golive("o", { adopt = 1522100760 }))
  local task = client:start("wait", OFFERS .. "/operations/a", { interval = 5 })
  client:step()
  task:cancel()
  assert(select(2, task:result()).code == "canceled")
  client:close()
end

local GRANT = reply(200, ('{"token_type":"Bearer","access_token":"%s","expires_in":60}'):format(TOKEN))
local REFUSAL = reply(401, '{"error":"invalid_client","error_description":"AADSTS7000222: m"}')

-- By a credential that is shared: refused, repeated, renewed after a 401.
local function get_tokens()
  local shared = cloudpartner.credential {
    tenant_id = "t", client_id = "c", client_secret = TOKEN, user_agent = CLIENT }
  client = open({
    token = { REFUSAL, reply(503), GRANT },
    other = { reply(200, DOCUMENT:format "running"), reply(401), reply(200, DOCUMENT:format "running") },
  }, { credential = shared, token = false })
  client:observe(function() end)
  local _, err = client:offer_status "o"
  assert(err.code == "credential" and err.service_code == "AADSTS7000222", tostring(err))
  assert(client:offer_status "o")
  assert(client:offer_status "o")
  client:close()
  shared:close()
end

-- Offers read, edited and put: an edit that somebody else was quicker than, a PUT that is
-- settled by reading back, and images.
local function edit_offers()
  local text = '{"eTag":"e1","definition":{"plans":[{"planId":"p","n":636576975611768314,'
    .. '"microsoft-azure-corevm.legacyOfferId":"x"}],"list":[ ]}}'
  client = open {
    publishers = { list '{"id":"contoso"}' },
    o = { reply(200, text), reply(412), reply(200, text, { ETag = "e2" }), LOST,
          reply(200, '{"definition":{"plans":[{"planId":"p","n":636576975611768314}],"list":[ 1]}}') },
  }
  assert(client:publishers()[1].id == "contoso")
  local put = assert(client:update("o", function(offer) offer:append("/definition/list", 1) end))
  assert(put:get "/definition/list/0" == 1 and put.document.definition.list[1] == 1)
  local other = cloudpartner.offer { a = cloudpartner.array {}, b = { c = "d" } }
  other:patch { { op = "copy", from = "/b", path = "/a/-" }, { op = "test", path = "/a/0/c", value = "d" } }
  assert(#other:set("/b/e~1f", cloudpartner.raw "1"):remove("/b/c"):diff '{"b":{}}' == 2)
  local _, warnings = put:add_image { plan = "p", version = "1.0.0", os_vhd_url = "https://a/b?sp=r" }
  assert(#warnings == 3 and put:images("p")["1.0.0"])
  put:remove_image { plan = "p", version = "1.0.0" }
  client:close()
end

-- From draft to live, alone and in a group.
local function release()
  local function answers()
    return {
      status = { reply(200, '{"status":"neverPublished"}') },
      submissions = { list(), list(), list(entry("a", "publish", "waitingForPublisherReview")) },
      o = { reply(200, '{"a":1}') }, production = { reply(404) }, preview = { reply(404) },
      publish = { reply(202, "", { Location = OFFERS .. "/operations/a" }) },
      golive = { reply(202, "", { Location = OFFERS .. "/operations/b" }) },
      a = { reply(200, '{"status":"waitingForPublisherReview"}') },
      b = { reply(200, '{"status":"succeeded"}') },
    }
  end
  client = open(answers())
  local status = assert(client:release("o", {
    on_progress = function() end, confirm = function() return true end, before_send = function() end,
  }))
  assert(status.phase == "live")
  client:close()
  client = open(answers())
  local plans = assert(client:release({ "o", "x" }, { dry_run = true }))
  assert(plans[1].status.next == "publish" and plans[2].error)
  local task = client:start("release", { "o" }, { confirm = function() return false end })
  task:hold()
  client:step()
  task:release()
  task:cancel()
  client:close()
end

local function work()
  go_live()
  get_tokens()
  be_refused()
  resume()
  edit_offers()
  release()
end

local function check()
  if client then client:close() end
  collectgarbage()
  work()
end

return work, check
