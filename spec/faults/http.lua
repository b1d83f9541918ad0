--- Every fault at every exchange of a go live, and what the contract says comes of it.
--
-- A row has a `name`, the `fault` as the emulator takes it, and a table for each exchange
-- that it strikes: `list` before the POST, `submit`, `look_up` in the list after an outcome
-- that was unclear, `poll`. In it, by how the fault strikes: `once` and `always`; for a
-- submission that isn't repeated `taken` and `not_taken`; for one that is `though_taken`
-- too, where the repetition meets what it did. Where once is the end, always is the same.
--
-- `tls` rows strike handshakes; `elsewhere` rows name another origin; `unstruck` names the
-- exchange that the fault can't reach; `slow` and `long` rows need a client, or a wait, in a
-- hurry.

local outcomes = require "spec.faults.outcomes"

local live, adopted, open = outcomes.live, outcomes.adopted, outcomes.open
local unsent, refused = outcomes.unsent, outcomes.refused
local refused_but_running = outcomes.refused_but_running
local unclear, ended = outcomes.unclear, outcomes.ended

-- A look-up goes on for as long as `reconcile` says, whatever kept it from the list.
local looked_up = { once = adopted, always = open }

local function status(code, more)
  local fault = { fault = "status", status = code }
  for name, value in pairs(more or {}) do fault[name] = value end
  return fault
end

return {
  -- Connections
  {
    name = "reset before the headers", fault = { fault = "reset_before_headers" },
    list = { once = live, always = unsent "network" },
    submit = { taken = adopted, not_taken = unclear "maybe" },
    look_up = looked_up,
    poll = { once = live, always = ended "network" },
  },
  {
    name = "reset during the headers", fault = { fault = "reset_in_headers" },
    list = { once = live, always = unsent "network" },
    submit = { taken = adopted, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "network" },
  },
  {
    -- The 202 and its URL are there: whatever becomes of the body, it was taken.
    name = "reset after the headers", fault = { fault = "reset_after_headers" },
    list = { once = live, always = unsent "network" },
    submit = { taken = live, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "network" },
  },
  {
    name = "closed without an answer", fault = { fault = "close" },
    list = { once = live, always = unsent "network" },
    submit = { taken = adopted, not_taken = unclear "maybe" },
    look_up = looked_up,
    poll = { once = live, always = ended "network" },
  },
  {
    -- A read is asked again on a new connection; a submission has a new one anyway.
    name = "a reused connection closed after taking the request",
    fault = { fault = "close_reused", take = true }, unstruck = "submit",
    list = { always = live },
    submit = { always = live },
    look_up = { always = adopted },
    poll = { always = live },
  },
  {
    name = "TLS closed after accept", fault = { fault = "close_after_accept" }, tls = true,
    list = { once = live, always = unsent "tls" },
    submit = { once = live, always = unsent "tls" },
    look_up = looked_up,
    poll = { once = live, always = ended "tls" },
  },
  {
    name = "certificate expired", fault = { fault = "expired_certificate" }, tls = true,
    list = { once = unsent "tls" },
    submit = { once = live, always = unsent "tls" },
    look_up = looked_up,
    poll = { once = ended "tls" },
  },
  {
    name = "certificate of another host", fault = { fault = "other_host_certificate" },
    tls = true,
    list = { once = unsent "tls" },
    submit = { once = live, always = unsent "tls" },
    look_up = looked_up,
    poll = { once = ended "tls" },
  },
  {
    name = "certificate of an unknown authority",
    fault = { fault = "unknown_authority_certificate" }, tls = true,
    list = { once = unsent "tls" },
    submit = { once = live, always = unsent "tls" },
    look_up = looked_up,
    poll = { once = ended "tls" },
  },

  -- Bytes
  {
    name = "body cut short", fault = { fault = "cut_body" },
    list = { once = live, always = unsent "network" },
    submit = { taken = live, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "network" },
  },
  {
    name = "body that drips", fault = { fault = "drip_body" }, slow = true,
    list = { once = live, always = unsent "timeout" },
    submit = { taken = live, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "timeout" },
  },
  {
    name = "silence", fault = { fault = "hang" }, slow = true,
    list = { once = live, always = unsent "timeout" },
    submit = { taken = adopted, not_taken = unclear "maybe" },
    look_up = looked_up,
    poll = { once = live, always = ended "timeout" },
  },
  {
    name = "garbage", fault = { fault = "garbage" },
    list = { once = unsent "protocol" },
    submit = { taken = adopted, not_taken = unclear "maybe" },
    look_up = looked_up,
    poll = { once = live, always = ended "protocol" },
  },
  {
    -- The connection can't be used any more: a read is repeated on another.
    name = "chunk of no size", fault = { fault = "bad_chunk" },
    list = { once = live, always = unsent "network" },
    submit = { taken = live, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "network" },
  },
  {
    name = "header of 300 kB", fault = { fault = "oversized_header" },
    list = { once = unsent "too_large" },
    submit = { taken = adopted, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "too_large" },
  },

  -- Refusals
  {
    name = "400", fault = status(400),
    list = { once = unsent "invalid_request" },
    submit = { not_taken = refused "invalid_request",
      taken = refused_but_running "invalid_request" },
    look_up = looked_up,
    poll = { once = ended "invalid_request" },
  },
  {
    -- The token function is asked again, once.
    name = "401, token refused", fault = { fault = "token_refused" },
    list = { once = live, always = unsent "unauthorized" },
    submit = { once = live, always = refused "unauthorized",
      though_taken = refused_but_running "conflict" },
    look_up = looked_up,
    poll = { once = live, always = ended "unauthorized" },
  },
  {
    name = "403", fault = status(403),
    list = { once = unsent "forbidden" },
    submit = { not_taken = refused "forbidden" },
    look_up = looked_up,
    poll = { once = ended "forbidden" },
  },
  {
    name = "403 after 0.1 s", fault = status(403, { delay = 0.1 }),
    list = { once = unsent "forbidden" },
    submit = { not_taken = refused "forbidden" },
    look_up = looked_up,
    poll = { once = ended "forbidden" },
  },
  {
    -- Within a minute of the submission the operation may not be there yet.
    name = "404", fault = status(404),
    list = { once = unsent "not_found" },
    submit = { not_taken = refused "not_found" },
    look_up = looked_up,
    poll = { once = live, always = ended "not_found" },
  },
  {
    name = "408", fault = status(408),
    list = { once = live, always = unsent "unexpected_status" },
    submit = { taken = adopted, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "unexpected_status" },
  },
  {
    name = "409", fault = status(409),
    list = { once = unsent "conflict" },
    submit = { not_taken = refused "conflict", taken = refused_but_running "conflict" },
    look_up = looked_up,
    poll = { once = live, always = ended "conflict" },
  },
  {
    name = "410", fault = status(410),
    list = { once = unsent "not_found" },
    submit = { not_taken = refused "not_found" },
    look_up = looked_up,
    poll = { once = live, always = ended "not_found" },
  },
  {
    name = "412", fault = status(412),
    list = { once = unsent "precondition_failed" },
    submit = { not_taken = refused "precondition_failed" },
    look_up = looked_up,
    poll = { once = live, always = ended "precondition_failed" },
  },
  {
    name = "418", fault = status(418),
    list = { once = unsent "unexpected_status" },
    submit = { not_taken = refused "unexpected_status" },
    look_up = looked_up,
    poll = { once = live, always = ended "unexpected_status" },
  },
  {
    name = "422", fault = status(422),
    list = { once = unsent "invalid_request" },
    submit = { not_taken = refused "invalid_request",
      taken = refused_but_running "invalid_request" },
    look_up = looked_up,
    poll = { once = live, always = ended "invalid_request" },
  },

  -- Later, perhaps
  {
    name = "429", fault = status(429),
    list = { once = live, always = unsent "throttled" },
    submit = { once = live, always = refused "throttled",
      though_taken = refused_but_running "conflict" },
    look_up = looked_up,
    poll = { once = live, always = ended "throttled" },
  },
  {
    name = "429, later", fault = status(429, { retry_after = 0 }),
    list = { once = live, always = unsent "throttled" },
    submit = { once = live, always = refused "throttled",
      though_taken = refused_but_running "conflict" },
    look_up = looked_up,
    poll = { once = live, always = ended "throttled" },
  },
  {
    -- Longer than `retry_max_delay`, `reconcile` and the wait's `timeout`: whoever looks
    -- for so long looks a last time at the end.
    name = "429, much later", fault = status(429, { retry_after = 100 }), long = true,
    list = { once = unsent "throttled" },
    submit = { once = refused "throttled" },
    look_up = looked_up,
    poll = { once = live, always = ended "deadline" },
  },
  {
    name = "500", fault = status(500),
    list = { once = live, always = unsent "server_error" },
    submit = { taken = adopted, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "server_error" },
  },
  {
    name = "500 after 0.1 s", fault = status(500, { delay = 0.1 }),
    list = { once = live, always = unsent "server_error" },
    submit = { taken = adopted, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "server_error" },
  },
  {
    name = "502", fault = status(502),
    list = { once = live, always = unsent "server_error" },
    submit = { taken = adopted, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "server_error" },
  },
  {
    name = "503", fault = status(503),
    list = { once = live, always = unsent "server_error" },
    submit = { taken = adopted, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "server_error" },
  },
  {
    name = "503, later", fault = status(503, { retry_after = 0 }),
    list = { once = live, always = unsent "server_error" },
    submit = { once = live, always = refused "server_error",
      though_taken = refused_but_running "conflict" },
    look_up = looked_up,
    poll = { once = live, always = ended "server_error" },
  },
  {
    name = "503, much later", fault = status(503, { retry_after = 100 }), long = true,
    list = { once = unsent "server_error" },
    submit = { once = refused "server_error" },
    look_up = looked_up,
    poll = { once = live, always = ended "deadline" },
  },
  {
    name = "504", fault = status(504),
    list = { once = live, always = unsent "server_error" },
    submit = { taken = adopted, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "server_error" },
  },

  -- Somebody else's answers
  {
    name = "HTML with 200", fault = { fault = "html" },
    list = { once = unsent "protocol" },
    submit = { taken = adopted, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "protocol" },
  },
  {
    name = "HTML with 403", fault = { fault = "html", status = 403 },
    list = { once = unsent "forbidden" },
    submit = { not_taken = refused "forbidden" },
    look_up = looked_up,
    poll = { once = ended "forbidden" },
  },
  {
    name = "HTML with 502", fault = { fault = "html", status = 502 },
    list = { once = live, always = unsent "server_error" },
    submit = { taken = adopted, not_taken = unclear "yes" },
    look_up = looked_up,
    poll = { once = live, always = ended "server_error" },
  },
  {
    name = "302 to another origin", fault = { fault = "redirect", status = 302 },
    elsewhere = true,
    list = { once = unsent "unexpected_status" },
    submit = { not_taken = refused "unexpected_status" },
    look_up = looked_up,
    poll = { once = live, always = ended "unexpected_status" },
  },
  {
    name = "307 to another origin", fault = { fault = "redirect" }, elsewhere = true,
    list = { once = unsent "unexpected_status" },
    submit = { not_taken = refused "unexpected_status" },
    look_up = looked_up,
    poll = { once = live, always = ended "unexpected_status" },
  },
  {
    name = "202 without a URL", fault = status(202),
    submit = { taken = adopted, not_taken = unclear "yes" },
  },
  {
    name = "202 with a URL on another origin", fault = status(202), elsewhere = true,
    submit = { taken = adopted, not_taken = outcomes.untrusted },
  },
}
