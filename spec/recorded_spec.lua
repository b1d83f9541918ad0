-- The module against recorded HTTP: each text runs in process and over a socket.
-- What is expected comes from the contract; what the service says, from the fixtures.

local cjson = require "cjson"
local scenario = require "spec.support.scenario"

local OFFER = "contoso-virtualmachineoffer"
local ID = "56615b67-2185-49fe-80d2-c4ddf77bb2e8"
local OLDER = "5a63deb5-925b-4ee0-938b-7c86fbf287c5"
local REQUEST = "3f1bd9a2-5a0c-4b1e-9c57-0d2f6a1e8b44"
local PATH = "/api/publishers/contoso/offers/" .. OFFER .. "/operations/" .. ID
local NEW = "9b5e1f0c-7c1d-4b7e-8a2f-3d0c5f6a7b81"
local NO_RETRY = { retries = 0 }
local ONE_LOOK = { reconcile = 0 }

-- What a job would have kept of an operation in a file.
local function saved(replay)
  return {
    format = 1, api = "cloudpartner/2017-10-31", kind = "golive", publisher = "contoso",
    offer = OFFER, id = ID, submitted_at = "2018-03-26T21:46:00Z",
    url = replay.endpoint .. PATH .. "?api-version=2017-10-31",
  }
end

local function total(seconds)
  local sum = 0
  for _, s in ipairs(seconds) do sum = sum + s end
  return sum
end

local function assert_slept(expected, replay)
  local slept = total(replay.slept)
  assert.is_true(math.abs(slept - expected) < 0.01, ("slept %g s, not %g"):format(slept, expected))
end

local function assert_says(text, err)
  assert.truthy(err.message:find(text, 1, true), err.message)
  assert.truthy(tostring(err):find(text, 1, true), tostring(err))
end

-- The error of a call that must fail: `fails("conflict", client:golive(OFFER))`.
local function fails(code, result, err)
  assert.is_nil(result)
  assert.is_table(err)
  assert.equal(code, err.code, tostring(err))
  assert.is_string(err.message)
  assert.is_nil(tostring(err):find("\n", 1, true))
  return err
end

-- Waits, and lists the states that on_progress was told.
local function watch(operation, options)
  local states = {}
  options = options or {}
  options.on_progress = function(status) states[#states + 1] = status.state end
  local status, err = operation:wait(options)
  return states, status, err
end

scenario.each(function(way, open)
  describe("an operation", function()
    it("is a plain table that can be saved", function()
      local client, finish = open "location_form_4"
      local operation = assert(client:golive "contoso-offer")
      assert.equal(1, operation.format)
      assert.equal("cloudpartner/2017-10-31", operation.api)
      assert.equal("golive", operation.kind)
      assert.equal("contoso", operation.publisher)
      assert.equal("contoso-offer", operation.offer)
      assert.equal(ID, operation.id)
      assert.matches("^2018%-03%-26T21:46:0%d[%d.]*Z$", operation.submitted_at)
      assert.falsy(operation.adopted)
      assert.falsy(operation.done)
      local copy = cjson.decode(cjson.encode(operation))
      assert.equal(operation.url, copy.url)
      assert.equal("succeeded", assert(client:wait(copy)).state)
      finish()
    end)

    for form, offer in ipairs { OFFER, OFFER, "contoso-offer", "contoso-offer" } do
      it("is polled where the header says, form " .. form, function()
        local client, finish, replay = open("location_form_" .. form)
        local operation = assert(client:golive(offer))
        local place = form % 2 == 1 and "$2$preview" or "/operations/" .. ID
        assert.truthy(operation.url:find(place, 1, true), operation.url)
        assert.equal(form % 2 == 1 and NEW or ID, operation.id)
        local states, status = watch(operation)
        assert.same({ "running", "succeeded" }, states)
        assert.equal("succeeded", status.state)
        assert_slept(5, replay)
        finish()
      end)
    end

    for _, body in ipairs { "quotes", "text", "json" } do
      it("is accepted whatever the body is: " .. body, function()
        local client, finish = open("accepted_" .. body)
        assert(assert(client:golive(OFFER)):wait())
        finish()
      end)
    end

    it("can be resumed", function()
      local client, finish, replay = open "operation"
      local operation = client:resume(saved(replay))
      assert.equal(ID, operation.id)
      assert.equal("running", assert(operation:status()).state)
      finish()
    end)

    it("carries addresses to notify", function()
      local client, finish = open "golive_notification_emails"
      assert(client:golive(OFFER, {
        notification_emails = { "a@example.com", "b@example.com" },
      }))
      finish()
    end)
  end)

  describe("a wait", function()
    it("polls to the good end, by the server's hints", function()
      local client, finish, replay = open "golive_succeeded"
      local states, status = watch(assert(client:golive(OFFER)), { interval = 60 })
      assert.same({ "not_started", "running", "running", "succeeded" }, states)
      assert.equal("succeeded", status.status)
      assert.is_true(status.done)
      assert.equal(100, status.progress)
      local without_hint = total(replay.slept) - 5 - 15
      assert.is_true(without_hint >= 30 and without_hint <= 90, tostring(without_hint))
      finish()
    end)

    it("goes as it went when it was recorded", function()
      local client, finish = open "recorded_golive"
      local states, status = watch(assert(client:golive(OFFER)))
      assert.same({ "running", "running", "running", "succeeded" }, states)
      assert.equal(6, #status.steps)
      finish()
    end)

    it("gets tokens as it did when it was recorded, and another after a 401", function()
      local client, finish = open("credential_golive", { credential = {
        tenant_id = "contoso.com", client_id = "app", client_secret = "another",
        scope = "https://cloudpartner.azure.com/.default",
      } })
      local _, status = watch(assert(client:golive(OFFER)))
      assert.equal("succeeded", status.state)
      finish()
    end)

    it("gives the reason of a failure", function()
      local client, finish, replay = open "golive_failed"
      local operation = assert(client:golive(OFFER))
      local err = fails("operation_failed", operation:wait())
      assert_says("The plan contoso has no SSH server & no agent.", err)
      assert.equal("failed", err.last_status.state)
      assert.equal(ID, err.operation.id)
      assert_slept(30, replay)
      finish()
    end)

    it("tells that the operation was canceled", function()
      local client, finish = open "golive_canceled"
      local err = fails("operation_canceled", assert(client:golive(OFFER)):wait())
      assert.equal("canceled", err.last_status.state)
      assert.equal("cancelled", err.last_status.status)
      finish()
    end)

    it("reads words without regard to case, blanks and hyphens", function()
      local client, finish = open "golive_completed"
      local states, status = watch(assert(client:golive(OFFER)))
      assert.same({ "not_started", "running", "succeeded" }, states)
      assert.equal("COMPLETED", status.status)
      finish()
    end)

    it("goes on over an unknown word, and tells it", function()
      local client, finish = open "word_unknown"
      local words = {}
      assert(assert(client:golive(OFFER)):wait {
        on_progress = function(status) words[#words + 1] = status.state .. " " .. status.status end,
      })
      assert.same({ "unknown reticulating", "succeeded succeeded" }, words)
      finish()
    end)

    it("believes succeeded over steps that were skipped", function()
      local client, finish = open "succeeded_over_not_started"
      local status = assert(assert(client:golive(OFFER)):wait())
      assert.equal(100, status.progress)
      assert.equal("not_started", status.steps[1].state)
      finish()
    end)

    it("does not derive the end from the steps", function()
      local client, finish = open "running_over_complete"
      local states = watch(assert(client:golive(OFFER)))
      assert.same({ "running", "succeeded" }, states)
      finish()
    end)

    for _, fixture in ipairs { "publish_waiting", "publish_waiting_step" } do
      it("ends a publish that waits for its publisher: " .. fixture, function()
        local client, finish = open(fixture)
        local operation = assert(client:publish(OFFER))
        assert.equal("publish", operation.kind)
        assert.equal("waiting_for_publisher", assert(operation:wait()).state)
        finish()
      end)
    end

    it("goes on over a go live that waits for its publisher", function()
      local client, finish, replay = open "golive_signoff_waits"
      local states = watch(assert(client:golive(OFFER)))
      assert.same({ "waiting_for_publisher", "succeeded" }, states)
      assert_slept(20, replay)
      finish()
    end)

    it("ends when a step is blocked, if that is wished", function()
      local client, finish = open "step_blocked"
      local err = fails("operation_blocked",
        assert(client:golive(OFFER)):wait { on_blocked = "return" })
      assert_says("No virtual machine image was found for the plan contoso.", err)
      assert.equal("running", err.last_status.state)
      assert.equal("displaycertify", err.last_status.blocked_by.id)
      assert.equal(ID, err.operation.id)
      finish()
    end)

    it("goes on when a step is blocked, if that is wished", function()
      local client, finish, replay = open "step_blocked_then_succeeded"
      assert(assert(client:golive(OFFER)):wait { on_blocked = "wait" })
      assert_slept(5, replay)
      finish()
    end)

    it("goes on over a blocked step without an error", function()
      local client, finish = open "step_blocked_information"
      local states = watch(assert(client:golive(OFFER)), { on_blocked = "return" })
      assert.same({ "running", "succeeded" }, states)
      finish()
    end)

    it("ends when a step is rejected", function()
      local client, finish = open "step_rejected"
      local err = fails("operation_blocked",
        assert(client:golive(OFFER)):wait { on_blocked = "return" })
      assert.equal("rejected", err.last_status.blocked_by.state)
      assert_says("The offer's logo is missing.", err)
      finish()
    end)

    it("survives polls that are not understood", function()
      local client, finish, replay = open "poll_not_understood"
      local states = watch(assert(client:golive(OFFER)))
      assert.same({ "succeeded" }, states)
      assert_slept(20, replay)
      finish()
    end)

    it("survives polls that fail", function()
      local client, finish = open "poll_failures"
      assert(assert(client:golive(OFFER)):wait())
      finish()
    end)

    it("ends at once when it is forbidden", function()
      local client, finish = open "poll_forbidden"
      local err = fails("forbidden", assert(client:golive(OFFER)):wait())
      assert.equal(403, err.http_status)
      assert.equal("Forbidden", err.service_code)
      assert.equal(REQUEST, err.request_id)
      assert.equal("running", err.last_status.state)
      assert.equal(ID, err.operation.id)
      finish()
    end)

    it("ends at once when its request is invalid", function()
      local client, finish, replay = open "poll_invalid"
      local err = fails("invalid_request", assert(client:golive(OFFER)):wait())
      assert.equal("InvalidAPIVersion", err.service_code)
      assert.equal(ID, err.operation.id)
      assert_slept(0, replay)
      finish()
    end)

    it("looks an operation that is gone up in the list", function()
      local client, finish = open "poll_gone"
      local err = fails("operation_lost", assert(client:golive(OFFER)):wait())
      assert.equal("running", err.last_status.state)
      assert.equal(ID, err.operation.id)
      finish()
    end)

    it("ends when an outage lasts", function()
      local client, finish, replay = open "poll_outage"
      local err = fails("server_error", assert(client:golive(OFFER)):wait { outage = 100 })
      assert.equal(503, err.http_status)
      assert.equal(ID, err.operation.id)
      assert_slept(120, replay)
      finish()
    end)

    it("polls a last time at its deadline", function()
      local client, finish, replay = open "wait_deadline"
      local err = fails("deadline", assert(client:golive(OFFER)):wait { timeout = 150 })
      assert.equal("running", err.last_status.state)
      assert.equal(ID, err.operation.id)
      assert_slept(150, replay)
      finish()
    end)
  end)

  describe("a cancel", function()
    it("is done when the operation is canceled", function()
      local client, finish, replay = open "cancel_canceled"
      local operation = assert(client:cancel(OFFER))
      assert.equal("cancel", operation.kind)
      assert.equal(ID, operation.cancels)
      assert.equal("canceled", assert(operation:wait()).state)
      assert_slept(5, replay)
      finish()
    end)

    it("is confirmed by the operation even when it is done at once", function()
      local client, finish = open "cancel_at_once"
      assert.equal("canceled", assert(assert(client:cancel(OFFER)):wait()).state)
      finish()
    end)

    it("tells when the operation ended otherwise", function()
      local client, finish = open "cancel_too_late"
      local err = fails("not_canceled", assert(client:cancel(OFFER)):wait())
      assert.equal("succeeded", err.last_status.state)
      finish()
    end)
  end)

  describe("go live, answered without a place to look,", function()
    it("is ambiguous when the 202 has no URL", function()
      local client, finish = open "accepted_without_url"
      local err = fails("ambiguous", client:golive(OFFER, ONE_LOOK))
      assert.equal("yes", err.sent)
      assert.equal(REQUEST, err.request_id)
      assert.falsy(err.retryable)
      finish()
    end)

    for _, other in ipairs { "host", "port", "scheme" } do
      it("does not follow a URL on another " .. other, function()
        local client, finish = open("accepted_other_" .. other)
        local err = fails("untrusted_url", client:golive(OFFER, ONE_LOOK))
        assert.equal("yes", err.sent)
        assert.falsy(err.retryable)
        finish()
      end)
    end
  end)

  describe("go live, found in the list,", function()
    for _, fixture in ipairs {
      "golive_500_taken", "golive_no_answer_taken", "accepted_without_url_found",
    } do
      it("is adopted: " .. fixture, function()
        local client, finish, replay = open(fixture)
        local operation = assert(client:golive(OFFER))
        assert.equal(NEW, operation.id)
        assert.is_true(operation.adopted)
        assert.is_false(operation.done)
        assert.truthy(operation.url:find("/operations/" .. NEW, 1, true), operation.url)
        assert.is_true(total(replay.slept) > 0)
        finish()
      end)
    end
  end)

  describe("go live, refused,", function()
    for _, case in ipairs {
      { 400, "invalid_request", "Invalid api version.", service_code = "InvalidAPIVersion" },
      { 403, "forbidden", "User does not have the required permissions",
        service_code = "Forbidden" },
      { 404, "not_found", "There is no offer of that name." },
      { 409, "conflict", "An operation is in progress on the offer", service_code = "Conflict" },
      { 422, "invalid_request", "A plan has no price.",
        request_id = "00-4f9d6c9f8b7e4c1aa2d1f0e3b5c7d9e1-01" },
    } do
      local http_status, code, text = case[1], case[2], case[3]
      it("is " .. code .. " after " .. http_status, function()
        local client, finish, replay = open("golive_" .. http_status)
        local err = fails(code, client:golive(OFFER))
        assert.equal(http_status, err.http_status)
        if case.service_code then assert.equal(case.service_code, err.service_code) end
        assert.equal(case.request_id or REQUEST, err.request_id)
        assert_says(text, err)
        assert.is_string(err.client_request_id)
        assert.falsy(err.retryable)
        assert_slept(0, replay)
        finish()
      end)
    end

    it("has the decoded body in its details", function()
      local client, finish = open "golive_409"
      local err = fails("conflict", client:golive(OFFER))
      assert.equal("OperationInProgress", err.details.error.details[1].code)
      assert.same({ NEW, "golive" }, { err.operation.id, err.operation.kind })
      finish()
    end)

    local function counting_token()
      local asked = {}
      return function()
        asked[#asked + 1] = "recorded"
        return "recorded"
      end, asked
    end

    it("renews its token and asks once more after 401", function()
      local token, asked = counting_token()
      local client, finish = open("golive_401", { token = token })
      local err = fails("unauthorized", client:golive(OFFER))
      assert.equal(401, err.http_status)
      assert.equal(REQUEST, err.request_id)
      assert.equal(3, #asked) -- of these one for the list
      finish()
    end)

    it("is accepted with a new token", function()
      local client, finish = open("golive_401_then_202", { token = counting_token() })
      assert.equal(ID, assert(client:golive(OFFER)).id)
      finish()
    end)
  end)

  describe("go live, turned away,", function()
    for fixture, seconds in pairs {
      golive_429_then_202 = 7, golive_503_then_202 = 12, golive_429_milliseconds = 4,
    } do
      it("is repeated after the server's delay: " .. fixture, function()
        local client, finish, replay = open(fixture)
        assert.equal(ID, assert(client:golive(OFFER)).id)
        assert_slept(seconds, replay)
        finish()
      end)
    end

    -- A server on a socket always tells its date.
    if way == "in process" then
      it("counts a date from its own clock when the answer has none", function()
        local client, finish, replay = open "golive_503_without_date"
        assert.equal(ID, assert(client:golive(OFFER)).id)
        assert_slept(12, replay)
        finish()
      end)
    end

    it("hands a long delay on", function()
      local client, finish, replay = open "golive_429_long"
      local err = fails("throttled", client:golive(OFFER))
      assert.equal(429, err.http_status)
      assert.equal(3600, err.retry_after)
      assert.is_true(err.retryable)
      assert_slept(0, replay)
      finish()
    end)
  end)

  describe("go live, unclear,", function()
    for fixture, text in pairs {
      golive_500 = "snapshot() resulted in an internal conflict!",
      golive_502 = "The proxy has no answer.",
      golive_503 = "", golive_no_answer = "",
    } do
      it("is never repeated: " .. fixture, function()
        local client, finish, replay = open(fixture)
        local err = fails("ambiguous", client:golive(OFFER, ONE_LOOK))
        assert.truthy(err.sent == "maybe" or err.sent == "yes", err.sent)
        assert.falsy(err.retryable)
        assert_says(text, err)
        assert_slept(0, replay)
        finish()
      end)
    end

    -- A server can't refuse the connection that carries a request.
    if way == "in process" then
      it("is repeated when nothing was sent", function()
        local client, finish = open "golive_not_sent"
        assert.equal(ID, assert(client:golive(OFFER)).id)
        finish()
      end)

      it("says so when nothing was sent", function()
        local client = open("golive_not_sent", NO_RETRY)
        local err = fails("connect", client:golive(OFFER))
        assert.equal("no", err.sent)
        assert.is_true(err.retryable)
      end)
    end
  end)

  describe("a status", function()
    it("tells the steps, and what blocks", function()
      local client, finish, replay = open "status_in_array"
      local status = assert(client:status(saved(replay)))
      assert.equal("running", status.state)
      assert.equal("running", status.status)
      assert.falsy(status.done)
      assert.is_true(status.progress >= 0 and status.progress < 100)
      assert.equal(3, #status.steps)
      local step = status.steps[2]
      assert.equal("displaycertify", step.id)
      assert.equal("Certification", step.name)
      assert.equal("blocked", step.state)
      assert.equal("blocked", step.status)
      assert.equal(0, step.progress)
      assert.equal("< 5 day", step.estimated_time)
      assert.equal("No virtual machine image was found for the plan contoso.",
        step.messages[1].text)
      assert.equal("error", step.messages[1].level)
      assert.equal("2018-03-26T21:50:39.5506018Z", step.messages[1].timestamp)
      assert.equal("succeeded", status.steps[1].state)
      assert.equal(step.id, status.blocked_by.id)
      finish()
    end)

    it("has messages without markup, and with it", function()
      local client, finish = open "golive_failed"
      local err = fails("operation_failed", assert(client:golive(OFFER)):wait())
      local message = err.last_status.steps[1].messages[1]
      assert.equal("The plan contoso has no SSH server & no agent.", message.text)
      assert.equal("<p>The plan <b>contoso</b> has no SSH server &amp; no agent.</p>", message.html)
      finish()
    end)

    for shape, text in pairs {
      object = "The store is not reachable",
      service = "snapshot() resulted in an internal conflict!",
      problem = "The store is not reachable",
      string = "The store is not reachable",
      string_of_json = "The store is not reachable",
      text_and_json = "The store is not reachable",
      html = "The store is not reachable",
      empty = "",
    } do
      it("has the service's reason in its error: " .. shape, function()
        local client, finish, replay = open("status_500_" .. shape, NO_RETRY)
        local err = fails("server_error", client:status(saved(replay)))
        assert.equal(500, err.http_status)
        assert.equal(REQUEST, err.request_id)
        assert.is_true(err.retryable)
        assert_says(text, err)
        assert.is_nil(err.message:find("<", 1, true))
        finish()
      end)
    end

    for _, shape in ipairs { "object", "string_of_json", "text_and_json" } do
      it("has the service's code in its error: " .. shape, function()
        local client, finish, replay = open("status_500_" .. shape, NO_RETRY)
        local err = fails("server_error", client:status(saved(replay)))
        assert.equal("InternalServerError", err.service_code)
        finish()
      end)
    end

    it("is asked for again after a failure", function()
      local client, finish, replay = open "status_500_then_200"
      assert.equal("running", assert(client:status(saved(replay))).state)
      assert.is_true(total(replay.slept) > 0)
      finish()
    end)

    it("is a fault of the protocol when it is no JSON", function()
      local client, finish, replay = open("status_not_json", NO_RETRY)
      local err = fails("protocol", client:status(saved(replay)))
      assert.equal(200, err.http_status)
      finish()
    end)
  end)

  describe("the status of an offer", function()
    it("has states, steps and links", function()
      local client, finish = open "offer_status"
      local status = assert(client:offer_status(OFFER))
      assert.equal("succeeded", status.state)
      assert.is_true(status.done)
      assert.equal("live", status.steps[2].id)
      assert.equal("succeeded", status.steps[2].state)
      assert.equal("The offer", status.document.liveLinks[1].displayText)
      finish()
    end)

    it("keeps the service's word for what was never published", function()
      local client, finish = open "offer_never_published"
      local status = assert(client:offer_status(OFFER))
      assert.equal("neverPublished", status.status)
      assert.falsy(status.done)
      finish()
    end)
  end)

  describe("the list of operations", function()
    it("gives handles with their states", function()
      local client, finish = open "operations"
      local operations = assert(client:operations(OFFER))
      assert.equal(2, #operations)
      local newest, oldest = operations[1], operations[2]
      assert.equal(OLDER, newest.id)
      assert.equal("publish", newest.kind)
      assert.equal(OFFER, newest.offer)
      assert.equal("running", newest.state)
      assert.equal("running", newest.status)
      assert.equal("staging", newest.slot)
      assert.equal("2018-03-26T21:46:01.179948Z", newest.changed_at)
      assert.equal("golive", oldest.kind)
      assert.equal("succeeded", oldest.state)
      assert.equal("complete", oldest.status)
      finish()
    end)

    it("can be asked for one state", function()
      local client, finish = open "operations_running"
      assert.equal(1, #assert(client:operations(OFFER, { status = "running" })))
      finish()
    end)

    it("gives one by its id", function()
      local client, finish = open "operation"
      local operation = assert(client:operation(OFFER, ID))
      assert.equal(ID, operation.id)
      assert.equal(OFFER, operation.offer)
      assert.equal("running", operation.state)
      finish()
    end)
  end)
end)
