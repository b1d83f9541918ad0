--- Answers from a recording, strictly in its order.

local answers = require "emulator.answers"
local exchange = require "emulator.exchange"
local json = require "emulator.json"
local recording = require "emulator.recording"

local replay = {}

local exchanges, served, unmatched = {}, 0, {}

function replay.load(path)
  exchanges = recording.read(path)
end

local function rewind()
  served, unmatched = 0, {}
end

-- Sorted, decoded name=value pairs: the order of a query has no meaning.
local function query_pairs(query)
  local list = {}
  for pair in query:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    list[#list + 1] = ngx.escape_uri(ngx.unescape_uri(name)) .. "="
      .. ngx.escape_uri(ngx.unescape_uri(value))
  end
  table.sort(list)
  return table.concat(list, "&")
end

local function request_path(request)
  return ngx.unescape_uri(request.uri:match("^[^?]*"))
end

local function came(request)
  return {
    method = request.method, path = request_path(request),
    query = query_pairs(ngx.var.args or ""), body = request.body,
  }
end

local function expected(entry)
  if not entry then return nil end
  return {
    method = entry.request.method, path = entry.request.path,
    query = query_pairs(entry.request.query), body = entry.request.body,
  }
end

local function same(one, other)
  return other ~= nil and one.method == other.method and one.path == other.path
    and one.query == other.query and one.body == other.body
end

local function escaped(origin)
  return (origin:gsub("/", "\\/"))
end

local function replaced(text, from, to)
  -- The origin ends where no further character could belong to it.
  local pattern = from:gsub("%p", "%%%0") .. "%f[^%w.:-]"
  return (text:gsub(pattern, (to:gsub("%%", "%%%%"))))
end

-- The recording's own origin becomes this server's; JSON may have escaped its slashes.
local function relocated(text)
  local from, to = exchanges[1].request.origin, exchange.origin()
  return replaced(replaced(text, from, to), escaped(from), escaped(to))
end

-- What describes the recorded connection, not the answer; nginx writes its own. Date and
-- Server are not among them: nginx sends the recorded ones in place of its own.
local of_the_connection = {
  ["content-length"] = true, ["transfer-encoding"] = true, ["content-encoding"] = true,
  connection = true, ["keep-alive"] = true,
}

local function replayed_headers(recorded)
  local headers = {}
  for _, header in ipairs(recorded) do
    local name, value = header.name:lower(), relocated(header.value)
    -- HTTP/2's pseudo-headers begin with a colon.
    if not of_the_connection[name] and not name:find("^:") then
      headers[name] = headers[name] or {}
      table.insert(headers[name], value)
    end
  end
  return headers
end

-- nginx takes most headers as a list, but those that it handles itself as one text.
local function single(values)
  return #values == 1 and values[1] or values
end

local function send(response)
  if response.status == 0 then return exchange.hang_up() end
  local headers = replayed_headers(response.headers)
  for name, values in pairs(headers) do headers[name] = single(values) end
  exchange.send {
    status = response.status, headers = headers, body = relocated(response.body),
  }
end

local function in_words(request)
  return request and request.method .. " " .. request.path or "nothing more"
end

local function mismatch(entry, request)
  local difference = {
    entry = served, expected = expected(entry) or json.null, came = came(request),
  }
  unmatched[#unmatched + 1] = difference
  local message = ("Entry %d of the recording is %s; this request, %s, differs from it.")
    :format(served, in_words(entry and entry.request), in_words(difference.came))
  return answers.document(501, {error = {
    code = "UnexpectedRequest", message = message, difference = difference,
  }}, {["Content-Type"] = "application/json"})
end

function replay.serve()
  local request = exchange.request()
  local entry = exchanges[served + 1]
  if not same(came(request), expected(entry)) then
    return exchange.send(mismatch(entry, request))
  end
  served = served + 1
  send(entry.response)
end

local function report()
  return answers.document(200, {
    served = served, left = #exchanges - served, unmatched = json.array(unmatched),
  })
end

local controls = {
  ["GET /_emulator/replay"] = report,
  ["POST /_emulator/reset"] = function() rewind() return report() end,
}

function replay.serve_control()
  local request = exchange.request()
  local control = controls[request.method .. " " .. request.path]
  ngx.header["Content-Type"] = "application/json"
  exchange.send(control and control() or answers.not_found(request.path))
end

return replay
