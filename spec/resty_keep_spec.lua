-- cloudpartner.resty.keep in a real nginx: what is under way outlives whoever began it.

local cjson = require "cjson"
local live = require "spec.host.live"
local nginx = require "spec.host.nginx"

local service = live.service("--speed", "300")

local server

local function start(options)
  options.service = service
  options.keep = options.keep or "kept"
  server = nginx.start(options)
end

local FOLLOW = [[ require("nginx_host").follow() ]]

local GO_LIVE = [[
  local operation, err = client:golive("spec-%s")
  if not operation then return err end
  local status, err = operation:wait { interval = 0.2, min_interval = 0.05 }
  return status and status.state or err ]]

local function submissions(offer) return service.count("submissions", offer) end

local function await_submission(offer)
  live.await(function() return submissions(offer) == 1 end)
end

-- How it ended for whoever followed it in the background.
local function await_end(offer)
  local found
  live.await(function()
    local ok, answer = pcall(server.run, ("return ngx.shared.kept:get 'ended %s'"):format(offer))
    found = ok and type(answer[1]) == "string" and answer[1]
    return found
  end)
  return found
end

local function await_new_workers(old)
  live.await(function()
    local now = server.workers()
    return #now == #old and now[1] ~= old[1] and now[#now] ~= old[#old]
  end)
end

local function reload()
  local old = server.workers()
  server.signal "HUP"
  live.within(10, function() await_new_workers(old) end)
end

describe("resty.keep", function()
  after_each(function()
    if server then server.stop() end
    server = nil
  end)

  it("keeps an operation until its end, which others hear", function()
    start {}
    assert.equal("succeeded", server.run(GO_LIVE:format "kept")[1])
    local answer = server.run [[
      local store = resty.shared "kept"
      local text = store:get "cloudpartner/contoso/spec-kept/golive"
      return require("cjson").decode(text).status.state, text:find("secret", 1, true),
        #store:list() ]]
    assert.equal("succeeded", answer[1])
    assert.equal(cjson.null, answer[2]) -- the token
    assert.equal(1, answer[3]) -- no lease is left
  end)

  it("submits once for two requests at the same time, and both hear the end", function()
    start { workers = 2 }
    local waiting = {}
    for i = 1, 6 do waiting[i] = server.spawn(GO_LIVE:format "once") end
    for i = 1, 6 do assert.equal("succeeded", waiting[i]()[1]) end
    assert.equal(1, service.count("attempts", "spec-once"))
  end)

  it("goes on after a reload in the middle of a wait", function()
    start { workers = 2, init_worker = FOLLOW }
    local waiting = server.spawn(GO_LIVE:format "reload")
    await_submission "spec-reload"
    reload()
    assert.equal("canceled", waiting()[1].code)
    assert.equal("succeeded", await_end "spec-reload")
    assert.equal(1, service.count("attempts", "spec-reload"))
  end)

  it("goes on after a reload in the middle of a POST", function()
    start { init_worker = FOLLOW }
    service.order { method = "POST", path_contains = "spec-posted", delay = 1, take = true }
    local waiting = server.spawn(GO_LIVE:format "posted")
    live.await(function() return service.count("attempts", "spec-posted") == 1 end)
    reload()
    local err = waiting()[1]
    assert.equal("canceled", err.code)
    assert.truthy(err.intent or err.operation)
    assert.equal("succeeded", await_end "spec-posted")
    assert.equal(1, service.count("attempts", "spec-posted"))
  end)

  it("goes on when the request's client goes away", function()
    start { init_worker = FOLLOW }
    local waiting = server.spawn(GO_LIVE:format "aborted", 0.5)
    await_submission "spec-aborted"
    assert.has_error(waiting)
    assert.equal("succeeded", await_end "spec-aborted")
    assert.equal(1, service.count("attempts", "spec-aborted"))
  end)

  it("goes on in another worker when the one that followed is killed", function()
    start { workers = 2, init_worker = FOLLOW }
    server.spawn(GO_LIVE:format "killed")
    await_submission "spec-killed"
    local answer = server.run [[
      return ngx.shared.kept:get "cloudpartner-lease/contoso/spec-killed/golive" ]]
    server.signal("KILL", answer[1])
    assert.equal("succeeded", await_end "spec-killed")
    assert.equal(1, service.count("attempts", "spec-killed"))
  end)

  it("sends nothing when the intent can't be kept", function()
    start { keep = "small" }
    local answer = server.run [[
      for i = 1, 10000 do ngx.shared.small:safe_add("filler" .. i, ("x"):rep(50)) end
      return client:golive "spec-full" ]]
    assert.equal("canceled", answer[2].code)
    assert.truthy(answer[2].text:find("no memory", 1, true), answer[2].text)
    assert.equal(0, service.count("attempts", "spec-full"))
  end)

  it("forgets a submission that was refused, and the next one is sent", function()
    start {}
    service.order { method = "POST", path_contains = "spec-refused", status = 403, body = "{}" }
    assert.equal("forbidden", server.run(GO_LIVE:format "refused")[1].code)
    assert.equal("succeeded", server.run(GO_LIVE:format "refused")[1])
  end)

  it("forgets what a function of the caller's keeps from being sent", function()
    start {}
    local answer = server.run [[
      local ok, message = pcall(client.golive, client, "spec-held-back", {
        before_send = function() error "not today" end,
      })
      return ok, tostring(message), #resty.shared("kept"):list() ]]
    assert.is_false(answer[1])
    assert.truthy(answer[2]:find("not today", 1, true))
    assert.equal(0, answer[3])
    assert.equal(0, service.count("attempts", "spec-held-back"))
  end)

  it("says what to do in a phase that can't wait", function()
    start { init_worker = [[
      local ok, message = pcall(function() require("nginx_host").client():golive "spec-x" end)
      ngx.shared.kept:set("said", tostring(message)) ]] }
    local message = server.run "return ngx.shared.kept:get 'said'"[1]
    assert.truthy(message:find("in the phase init_worker", 1, true), message)
  end)

  it("takes a store of the caller's, and says what one lacks", function()
    start {}
    local _, message = pcall(server.run, [[ resty.keep { get = print } ]])
    assert.truthy(tostring(message):find("no method 'add'", 1, true), message)
    local answer = server.run [[
      local values = {}
      local store = {
        get = function(_, key) return values[key] end,
        add = function(_, key, value)
          if values[key] then return nil, "exists" end
          values[key] = value
          return true
        end,
        set = function(_, key, value) values[key] = value return true end,
        delete = function(_, key) values[key] = nil end,
        list = function()
          local keys = {}
          for key in pairs(values) do keys[#keys + 1] = key end
          return keys
        end,
      }
      local other = resty.new { publisher = "contoso", keep = resty.keep(store) }
      local operation = assert(other:golive "spec-own")
      return assert(operation:wait { interval = 0.2, min_interval = 0.05 }).state, store.list()[1] ]]
    assert.same({ "succeeded", "cloudpartner/contoso/spec-own/golive" }, answer)
  end)
end)
