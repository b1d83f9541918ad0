--- A HAR 1.2 file as a list of exchanges; anything that is not one is an error.

local json = require "emulator.json"

local recording = {}

local function fault(where, what)
  error(("the recording is not HAR 1.2: %s %s; name a whole HAR file")
    :format(where, what), 0)
end

local in_words = {string = "a string", number = "a number", table = "an object"}

local function field(object, name, kind, where)
  local value = object[name]
  if type(value) ~= kind then fault(where .. "." .. name, "is not " .. in_words[kind]) end
  return value
end

local function optional(object, name, kind, where)
  if object[name] == nil or object[name] == json.null then return nil end
  return field(object, name, kind, where)
end

-- An array, to cjson, is a table whose keys are 1 to n.
local function list(object, name, where)
  local values = field(object, name, "table", where)
  if next(values) ~= nil and values[1] == nil then
    fault(where .. "." .. name, "is not an array")
  end
  return values
end

local function objects(object, name, where)
  local values = list(object, name, where)
  for i, value in ipairs(values) do
    if type(value) ~= "table" then
      fault(("%s.%s[%d]"):format(where, name, i - 1), "is not an object")
    end
  end
  return values
end

-- `encoding` is HAR's for the body of an answer; some recorders use it for requests too.
local function decoded(content, where)
  if not content then return "" end
  local text = optional(content, "text", "string", where) or ""
  if optional(content, "encoding", "string", where) ~= "base64" then return text end
  return ngx.decode_base64(text) or fault(where .. ".text", "is not base64")
end

local function url_parts(url, where)
  local origin, rest = url:match("^(%a[%w+.-]*://[^/?#]+)([^#]*)")
  if not origin then fault(where .. ".url", "is not an absolute URL") end
  local path, query = rest:match("^([^?]*)%??(.*)$")
  return origin, path == "" and "/" or path, query
end

local function headers(response, where)
  local read = {}
  for i, header in ipairs(objects(response, "headers", where)) do
    local here = ("%s.headers[%d]"):format(where, i - 1)
    local name = field(header, "name", "string", here)
    read[i] = {name = name, value = field(header, "value", "string", here)}
  end
  return read
end

-- 0 is HAR's status for a request that had no answer.
local function status(response, where)
  local number = field(response, "status", "number", where)
  if number ~= 0 and (number < 200 or number > 599 or number % 1 ~= 0) then
    fault(where .. ".status", "is not a status")
  end
  return number
end

local function request_of(entry, where)
  local request = field(entry, "request", "table", where)
  local here = where .. ".request"
  local origin, path, query = url_parts(field(request, "url", "string", here), here)
  local body = decoded(optional(request, "postData", "table", here), here .. ".postData")
  return {
    method = field(request, "method", "string", here), origin = origin,
    path = ngx.unescape_uri(path), query = query, body = body,
  }
end

local function response_of(entry, where)
  local response = field(entry, "response", "table", where)
  local here = where .. ".response"
  return {
    status = status(response, here), headers = headers(response, here),
    body = decoded(optional(response, "content", "table", here), here .. ".content"),
  }
end

local function text_of(path)
  local file = io.open(path, "rb") or fault("the file", "cannot be read")
  local text = file:read("*a")
  file:close()
  return text
end

local function entries_of(text)
  local document, why = json.decode_object(text)
  if not document then fault("the file", "is not JSON (" .. why .. ")") end
  return objects(field(document, "log", "table", "document"), "entries", "document.log")
end

--- The exchanges of a file, in order.
function recording.read(path)
  local exchanges = {}
  for i, entry in ipairs(entries_of(text_of(path))) do
    local where = ("document.log.entries[%d]"):format(i - 1)
    exchanges[i] = {
      request = request_of(entry, where), response = response_of(entry, where),
    }
  end
  return exchanges
end

return recording
