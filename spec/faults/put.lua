--- What can go wrong with a PUT, and with reading back what became of it, and what the
-- contract says comes of it. As in spec/faults/http.lua: `put` is the PUT, `back` the GET after
-- one that was stored and whose answer was lost.

-- What comes of it: "stored", or an error's code and its `sent`; and how often it was stored.
local stored = { result = "stored", times = 1 }

local function refused(code) return { result = code, sent = "yes", times = 0 } end

local function unclear(sent) return { result = "ambiguous", sent = sent, times = 0 } end

-- It was stored, but can't be read back.
local open = { result = "ambiguous", sent = "maybe", times = 1 }

local function status(code, more)
  local fault = { fault = "status", status = code }
  for name, value in pairs(more or {}) do fault[name] = value end
  return fault
end

local passes = { once = stored, always = open }
local stays = { once = open }

-- Whether it was stored is not told: reading back tells.
local function doubtful(name, fault, sent, back, more)
  local row = { name = name, fault = fault, put = { taken = stored, not_taken = unclear(sent) },
    back = back }
  for key, value in pairs(more or {}) do row[key] = value end
  return row
end

-- Turned away: it is repeated.
local function passing(name, fault, code)
  return { name = name, fault = fault, put = { once = stored, always = refused(code) },
    back = passes }
end

local function definite(name, fault, code)
  return { name = name, fault = fault, put = { not_taken = refused(code) }, back = stays }
end

return {
  doubtful("reset before the headers", { fault = "reset_before_headers" }, "maybe", passes),
  doubtful("reset during the headers", { fault = "reset_in_headers" }, "yes", passes),
  doubtful("reset after the headers", { fault = "reset_after_headers" }, "yes", passes),
  doubtful("closed without an answer", { fault = "close" }, "maybe", passes),
  doubtful("body cut short", { fault = "cut_body" }, "yes", passes),
  doubtful("body that drips", { fault = "drip_body" }, "yes", passes, { slow = true }),
  doubtful("silence", { fault = "hang" }, "maybe", passes, { slow = true }),
  doubtful("garbage", { fault = "garbage" }, "maybe", stays),
  doubtful("chunk of no size", { fault = "bad_chunk" }, "yes", passes),
  doubtful("header of 300 kB", { fault = "oversized_header" }, "yes", stays),
  definite("400", status(400), "invalid_request"),
  passing("401, token refused", { fault = "token_refused" }, "unauthorized"),
  definite("403", status(403), "forbidden"),
  definite("404", status(404), "not_found"),
  doubtful("408", status(408), "yes", passes),
  definite("409", status(409), "conflict"),
  definite("412", status(412), "precondition_failed"),
  definite("422", status(422), "invalid_request"),
  passing("429", status(429), "throttled"),
  doubtful("500", status(500), "yes", passes),
  doubtful("502", status(502), "yes", passes),
  doubtful("503", status(503), "yes", passes),
  passing("503, later", status(503, { retry_after = 0 }), "server_error"),
  doubtful("504", status(504), "yes", passes),
  doubtful("HTML with 502", { fault = "html", status = 502 }, "yes", passes),
  definite("302 to another origin",
    { fault = "redirect", status = 302, location = "http://127.0.0.1:9/" }, "unexpected_status"),
}
