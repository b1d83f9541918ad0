--- An answer as the bytes of HTTP, broken off or out of order.

local json = require "emulator.json"

local spoiled = {}

local OVERSIZED = ("x"):rep(300 * 1024)

-- A header of the spoiler's own comes first: those of the answer may get lost after it.
local function head(reply, name, value)
  local lines = {("HTTP/1.1 %d "):format(reply.status), name .. ": " .. value}
  for other, text in pairs(reply.headers) do
    if text ~= json.null then lines[#lines + 1] = other .. ": " .. tostring(text) end
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

local function sound_head(reply)
  return head(reply, "Content-Length", #reply.body)
end

local function half(text)
  return text:sub(1, math.floor(#text / 2))
end

--- The ways to spoil an answer, each a function from the answer to its bytes.
spoiled.ways = {
  in_head = function(reply) return half(sound_head(reply)) end,
  after_head = sound_head,
  in_body = function(reply) return sound_head(reply) .. half(reply.body) end,
  in_chunk = function(reply)
    return head(reply, "Transfer-Encoding", "chunked") .. "no size\r\n" .. reply.body
  end,
  oversized_head = function(reply) return head(reply, "X-Oversized", OVERSIZED) end,
}

return spoiled
