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

-- A recording holds no secret: what was left out of a form can have been anything.
local BLANK = "..."

local function same_body(recorded, body)
  if recorded == body or not recorded:find(BLANK, 1, true) then return recorded == body end
  local came_in, wanted = ngx.decode_args(body), ngx.decode_args(recorded)
  for name, value in pairs(wanted) do
    if not came_in[name] or value ~= BLANK and value ~= came_in[name] then return false end
    came_in[name] = nil
  end
  return next(came_in) == nil
end

local function same(came_in, wanted)
  return wanted ~= nil and came_in.method == wanted.method and came_in.path == wanted.path
    and came_in.query == wanted.query and same_body(wanted.body, came_in.body)
end

-- Of the service, not of the authority from which it had its token.
local function origin_of_recording()
  for _, entry in ipairs(exchanges) do
    if not entry.request.path:find "/oauth2/.*token$" then return entry.request.origin end
  end
  return exchanges[1].request.origin
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
  local from, to = origin_of_recording(), exchange.origin()
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
