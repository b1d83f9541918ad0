--- JSON as the service writes it. lua-cjson 2.1.0, which Debian ships, has no empty
-- array, and writes 636576975611768314 as 6.3657697561177e+17: so cjson reads, and this
-- writes.

local cjson = require "cjson.safe"

local json = {decode = cjson.decode, null = cjson.null}

local Array, Verbatim = {}, {}
local write = {}

local function encode(value)
  return write[type(value)](value)
end

local function write_array(list)
  local texts = {}
  for i, value in ipairs(list) do texts[i] = encode(value) end
  return "[" .. table.concat(texts, ",") .. "]"
end

-- Keys are sorted, so that one state always has one text.
local function write_object(object)
  local texts = {}
  for key, value in pairs(object) do
    texts[#texts + 1] = encode(tostring(key)) .. ":" .. encode(value)
  end
  table.sort(texts)
  return "{" .. table.concat(texts, ",") .. "}"
end

function write.string(text)
  -- cjson escapes slashes, which is legal, and unreadable in a URL.
  return (cjson.encode(text):gsub("\\/", "/"))
end

function write.number(number)
  return string.format(number % 1 == 0 and "%.0f" or "%.14g", number)
end

function write.userdata()
  return "null"
end

function write.table(value)
  local kind = getmetatable(value)
  if kind == Verbatim then return value.text end
  return kind == Array and write_array(value) or write_object(value)
end

write.boolean = tostring
json.encode = encode

--- Marks a list, empty or not, as an array.
function json.array(list)
  return setmetatable(list or {}, Array)
end

--- JSON text that goes out as it is: integers beyond 2^53, offers byte for byte.
function json.verbatim(text)
  return setmetatable({text = text}, Verbatim)
end

-- cjson decodes objects and arrays alike.
local function decode(text, opening, expected)
  local value, why = cjson.decode(text)
  if type(value) == "table" and text:find("^%s*%" .. opening) then return value end
  return nil, why or expected .. " was expected"
end

--- A decoded object, or nil and why not.
function json.decode_object(text)
  return decode(text, "{", "an object")
end

--- A decoded array, or nil and why not.
function json.decode_array(text)
  return decode(text, "[", "an array")
end

return json
