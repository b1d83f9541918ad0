--- What can go wrong with the request for a token, and what the contract says comes of it.
-- As in spec/faults/http.lua: at the `list`, which needs the first token, and at a `poll`
-- whose token has been revoked. A request for a token is repeated as a read is; without one
-- nothing is sent, and a poll that was not sent is one that failed.

local outcomes = require "spec.faults.outcomes"

local live, unsent, ended = outcomes.live, outcomes.unsent, outcomes.ended

-- It passes, so it is repeated.
local function passing(name, fault, more)
  local row = {
    name = name, fault = fault,
    list = { once = live, always = unsent "credential" },
    poll = { once = live, always = ended "credential" },
  }
  for key, value in pairs(more or {}) do row[key] = value end
  return row
end

-- It is an answer, and not repeated; the next poll asks anew.
local function definite(name, fault)
  return {
    name = name, fault = fault,
    list = { once = unsent "credential" },
    poll = { once = live, always = ended "credential" },
  }
end

local function status(code, more)
  local fault = { fault = "status", status = code }
  for name, value in pairs(more or {}) do fault[name] = value end
  return fault
end

return {
  passing("reset before the headers", { fault = "reset_before_headers" }),
  passing("closed without an answer", { fault = "close" }),
  passing("body cut short", { fault = "cut_body", take = true }),
  passing("body that drips", { fault = "drip_body", take = true }, { slow = true }),
  passing("silence", { fault = "hang" }, { slow = true }),
  passing("chunk of no size", { fault = "bad_chunk" }),
  definite("garbage", { fault = "garbage" }),
  definite("header of 300 kB", { fault = "oversized_header" }),
  definite("HTML with 200", { fault = "html" }),
  definite("400", status(400)),
  definite("401", status(401)),
  definite("403", status(403)),
  definite("404", status(404)),
  passing("408", status(408)),
  passing("429", status(429)),
  definite("429, much later", status(429, { retry_after = 100 })),
  passing("500", status(500)),
  passing("503", status(503)),
  definite("307 to another origin", { fault = "redirect", location = "http://127.0.0.1:9/" }),
}
