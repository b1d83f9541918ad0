--- Recorded HTTP: reads, plays and records HAR 1.2 files.
--
--     local har = require "cloudpartner.har"
--
--     local player = assert(har.player "golive.har")
--     local client = cloudpartner.new(player:options())
--     assert(client:golive "contoso-virtualmachineoffer")
--     assert(player:finish())
--
--     local recorder = har.record(client)
--     assert(client:golive "contoso-virtualmachineoffer")
--     assert(recorder:save "golive.har")
--
-- The format: http://www.softwareishard.com/blog/har-12-spec/
--
-- A **recording** is what a HAR file says, in Lua's terms:
--
--     { version = "1.2", comment = "...", origin = "https://cloudpartner.azure.com",
--       entries = { {
--         comment = "...", started_at = 1522100760.5, seconds = 0.2,
--         request = { method = "GET", url = "https://...", headers = {}, body = "" },
--         response = { status = 202, headers = { { "Location", "..." } }, body = "" },
--       } } }
--
-- Headers are a list of name and value. A body is a string, empty when there is none.
-- A status of 0 is HAR's word for "no answer"; `response.error` then may hold the code.

-- A configuration of our own: the host's settings of cjson don't reach it.
local json = require("cjson").new()

local har = {}

local LIMIT = 64 * 1024 * 1024 -- of a file, in bytes
local BLOCK = 64 * 1024
local WIDTH = 90 -- of a line that an object or a list may take
local BLANK = "..."
local START = 1514764800 -- 2018-01-01, for a recording that has no times

local function set(words)
  local members = {}
  for word in words:gmatch("%S+") do members[word] = true end
  return members
end

-- What may be said of an exchange without an answer, by a transport or by the client.
local CODES = set [[
  resolve connect tls network timeout protocol too_large untrusted_url credential
]]

--------------------------------------------------------------------- redaction --

-- The allow-lists. What they don't name isn't written: a header is left out, a string
-- under another key becomes "..." (its shape stays: no key, number or list is dropped).
local KEPT_HEADERS = set [[
  accept content-length content-type date etag if-match location operation-location
  request-id retry-after retry-after-ms user-agent x-azure-ref x-ms-client-request-id
  x-ms-correlation-request-id x-ms-request-id x-ms-retry-after-ms
]]

local KEPT_KEYS = set [[
  cancellationRequestState createdDateTime displayText error lastActionDateTime liveLinks
  messages offerVersion previewLinks publishingVersion status steps uri
  description estimatedTimeFrame id level messageHtml progressPercentage stepName
  timestamp changedTime offerId offerTypeId publisherId slot submissionState
  submissionType version
  code correlationId details errors message serviceName title traceId
]]

-- Parameters whose value never survives, in whatever text they stand.
local SECRETS = {
  "access_token", "client_assertion", "client_secret", "id_token", "password",
  "refresh_token", "sig",
}

local function any_case(word)
  return (word:gsub("%a", function(letter)
    return "[" .. letter:upper() .. letter:lower() .. "]"
  end))
end

-- What stands before the "&" that ends a parameter is dropped, however often that "&"
-- was percent-encoded: %26, %2526, ...
local function blank_encoded(name, value)
  local stop = value:find("%%[25]*26")
  return name .. BLANK .. (stop and value:sub(stop) or "")
end

-- In JSON that is cut off or broken a quoted value has no certain end: the rest goes.
local function blank_parameter(text, name)
  local pattern = any_case(name)
  text = text:gsub("(" .. pattern .. "=)[^&%s\"<>]*", "%1" .. BLANK)
  text = text:gsub("(" .. pattern .. "%%[25]*3[Dd])([^&%s\"<>]*)", blank_encoded)
  return (text:gsub("(" .. pattern .. "\\*[\"']%s*[:=]).*", "%1" .. BLANK))
end

local function blank_jwt(dotted)
  local start = dotted:find("eyJ", 1, true)
  return start and dotted:sub(1, start - 1) .. BLANK
end

local BEARER = any_case("bearer") .. "[%s+]+[%w._~+/=-]+"
local MAILBOX = "%f[%w._+%%\128-\255-][%w._+%%\128-\255-]+"
local DOMAIN = "[%w.\128-\255-]+"

-- The frontiers let each run of letters be looked at once: time stays linear.
local function scrub_text(text)
  text = text:gsub("%f[%w_-][%w_-]+%.[%w_.-]+", blank_jwt)
  text = text:gsub(BEARER, BLANK)
  for _, name in ipairs(SECRETS) do text = blank_parameter(text, name) end
  text = text:gsub(MAILBOX .. "@" .. DOMAIN, BLANK)
  return (text:gsub(MAILBOX .. "%%40" .. DOMAIN, BLANK))
end

-- nil for what isn't JSON; a JSON false or null is no nil.
local function decode(text)
  local ok, value = pcall(json.decode, text)
  if ok then return value end
end

local ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n",
  ["\r"] = "\\r", ["\t"] = "\\t",
}

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(char)
    return ESCAPES[char] or ("\\u%04x"):format(char:byte())
  end) .. '"'
end

local function unquote(token)
  return json.decode("[" .. token .. "]")[1]
end

local function string_end(text, start)
  local at = text:find('["\\]', start + 1)
  while text:sub(at, at) == "\\" do at = text:find('["\\]', at + 2) end
  return at
end

-- Follows the brackets between two strings: `outer` holds the key of each open object or
-- list. Gives the key that the next value has.
local function follow(brackets, outer, name)
  for bracket in brackets:gmatch("[%[%]{}]") do
    if bracket == "[" or bracket == "{" then
      name = name or ""
      outer[#outer + 1] = name
    else
      name = table.remove(outer)
    end
  end
  return name
end

-- Puts in the place of each string of valid JSON what `edit(token, name, outer, is_key)`
-- gives for it. `name` is the key of the nearest object, nil at the root; `outer` are the
-- keys around. Every other byte stays: numbers above 2^53, `[]` and `{}`, blanks, order.
local function edit_strings(text, edit)
  local out, outer, at, name = {}, {}, 1, nil
  local start = text:find('"', 1, true)
  while start do
    local between, stop = text:sub(at, start - 1), string_end(text, start)
    local token, is_key = text:sub(start, stop), text:find("^%s*:", stop + 1)
    name = follow(between, outer, name)
    if is_key then name = unquote(token) end
    out[#out + 1] = between .. edit(token, name, outer, is_key)
    at = stop + 1
    start = text:find('"', at, true)
  end
  return table.concat(out) .. text:sub(at)
end

-- Below `errors` the keys are the names of the caller's own fields.
local function is_kept(name, outer)
  if name == nil or KEPT_KEYS[name] then return true end
  for _, key in ipairs(outer) do
    if key == "errors" then return true end
  end
  return false
end

local scrub_body

local function scrub_string(token, name, outer, is_key)
  local text, clean = unquote(token), BLANK
  if is_key then
    clean = scrub_text(text)
  elseif is_kept(name, outer) then
    clean = scrub_body(text)
  end
  return clean == text and token or quote(clean)
end

-- A string can hold JSON in turn, as error bodies do.
function scrub_body(text)
  if decode(text) == nil then return scrub_text(text) end
  return edit_strings(text, scrub_string)
end

local function scrub_headers(headers)
  local kept = {}
  for _, header in ipairs(headers or {}) do
    if KEPT_HEADERS[header[1]:lower()] then
      kept[#kept + 1] = { header[1], scrub_text(header[2]) }
    end
  end
  return kept
end

-------------------------------------------------------------- base64 and times --

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local DIGITS = { ["="] = 0 }
for value = 0, 63 do DIGITS[ALPHABET:sub(value + 1, value + 1)] = value end

local function bytes_of(a, b, c, d)
  local number = ((DIGITS[a] * 64 + DIGITS[b]) * 64 + DIGITS[c]) * 64 + DIGITS[d]
  local bytes = string.char(math.floor(number / 65536), math.floor(number / 256) % 256,
    number % 256)
  return bytes:sub(1, c == "=" and 1 or d == "=" and 2 or 3)
end

-- nil for what isn't base64.
local function from_base64(text)
  text = text:gsub("%s", "")
  if #text % 4 ~= 0 or not text:find("^[%w+/]*=?=?$") then return nil end
  return (text:gsub("(.)(.)(.)(.)", bytes_of))
end

local function digit(number, shift)
  local value = math.floor(number / shift) % 64
  return ALPHABET:sub(value + 1, value + 1)
end

local function digits_of(a, b, c)
  local number = (a:byte() * 256 + b:byte()) * 256 + c:byte()
  return digit(number, 262144) .. digit(number, 4096) .. digit(number, 64)
    .. digit(number, 1)
end

local function to_base64(text)
  local missing = -#text % 3
  local coded = (text .. ("\0"):rep(missing)):gsub("(.)(.)(.)", digits_of)
  return coded:sub(1, #coded - missing) .. ("="):rep(missing)
end

-- A sequence that is known to be good leaves a blank, so its neighbours don't join.
local function is_utf8(text)
  text = text:gsub("[\194-\223][\128-\191]", " ")
  text = text:gsub("[\224-\239][\128-\191][\128-\191]", " ")
  text = text:gsub("[\240-\244][\128-\191][\128-\191][\128-\191]", " ")
  return not text:find("[\128-\255]")
end

-- Days since 1970-01-01; a year begins in March here, so that a leap day comes last.
local function days(year, month, day)
  if month < 3 then year, month = year - 1, month + 12 end
  local leaps = math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
  return year * 365 + leaps + math.floor((month - 3) * 30.6 + 0.5) + day - 719469
end

-- Unix seconds of an ISO 8601 time, nil for another text.
local function from_iso(text)
  local year, month, day, hour, minute, second, zone =
    text:match("^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d%.?%d*)(.*)$")
  local sign, ahead, past = (zone == "Z" and "+00:00" or zone or ""):match(
    "^([+-])(%d%d):?(%d%d)$")
  if not sign then return nil end
  local seconds = ((days(tonumber(year), tonumber(month), tonumber(day)) * 24 + hour) * 60
    + minute) * 60 + second
  return seconds - tonumber(sign .. ahead * 3600 + past * 60)
end

local function to_iso(seconds)
  local milliseconds = math.floor(seconds * 1000 + 0.5)
  local date = os.date("!%Y-%m-%dT%H:%M:%S", math.floor(milliseconds / 1000))
  return ("%s.%03dZ"):format(date, milliseconds % 1000)
end

--------------------------------------------------------------------------- URLs --

local function split(url)
  local origin, path, query = url:match("^(%a[%w+.-]*://[^/?#]+)([^?#]*)%??([^#]*)")
  return origin, path == "" and "/" or path, query
end

local function unescape(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local function parameters(query)
  local list = {}
  for parameter in query:gmatch("[^&]+") do
    local name, value = parameter:match("^([^=]*)=?(.*)$")
    list[#list + 1] = { unescape(name), unescape(value) }
  end
  return list
end

-- Of the authority, of IMDS and of App Service alike.
local function is_token_request(request)
  local _, path = split(request.url)
  return path ~= nil and (path:find "/oauth2/.*token$" or path:find "/msi/token$") ~= nil
end

------------------------------------------------------------------------ reading --

-- Readers raise a plain message; `har.parse` catches it.
local function fail(format, ...)
  error(format:format(...), 0)
end

local KINDS = { table = "an object or a list", string = "a string", number = "a number" }

local function optional(object, where, name, kind)
  local value = object[name]
  if value == nil or value == json.null then return nil end
  if type(value) ~= kind then fail("%s.%s is not %s", where, name, KINDS[kind]) end
  return value
end

local function required(object, where, name, kind)
  local value = optional(object, where, name, kind)
  if value == nil then fail("%s has no %s", where, name) end
  return value
end

local function read_list(object, where, name, read)
  local list = {}
  local items = optional(object, where, name, "table") or {}
  if type(next(items)) == "string" then fail("%s.%s is not a list", where, name) end
  for i, item in ipairs(items) do
    local place = ("%s.%s[%d]"):format(where, name, i)
    if type(item) ~= "table" then fail("%s is not an object", place) end
    list[i] = read(item, place)
  end
  return list
end

local function read_header(header, where)
  return { required(header, where, "name", "string"),
    required(header, where, "value", "string") }
end

-- HAR has `encoding` for answers only; other recorders, too, use it for requests.
local function read_body(message, where, name)
  local content = optional(message, where, name, "table")
  if not content then return "" end
  where = where .. "." .. name
  local text = optional(content, where, "text", "string") or ""
  local encoding = optional(content, where, "encoding", "string") or ""
  if encoding == "" then return text end
  if encoding:lower() ~= "base64" then fail("%s has an unknown encoding", where) end
  return from_base64(text) or fail("%s.text is not base64", where)
end

local function read_request(entry, where)
  local request = required(entry, where, "request", "table")
  where = where .. ".request"
  local url = required(request, where, "url", "string")
  if not split(url) then fail("%s.url is not an absolute URL", where) end
  return {
    method = required(request, where, "method", "string"),
    url = url,
    headers = read_list(request, where, "headers", read_header),
    body = read_body(request, where, "postData"),
  }
end

local function read_response(entry, where)
  local response = required(entry, where, "response", "table")
  where = where .. ".response"
  local status = required(response, where, "status", "number")
  if status % 1 ~= 0 or status < 0 or status > 999 then
    fail("%s.status is not an HTTP status", where)
  end
  local code = optional(response, where, "_error", "string")
  if code and not CODES[code] then fail("%s._error is not a known code", where) end
  return {
    status = math.floor(status),
    headers = read_list(response, where, "headers", read_header),
    body = read_body(response, where, "content"),
    error = code,
  }
end

local function read_start(entry, where)
  local text = optional(entry, where, "startedDateTime", "string")
  return text and (from_iso(text) or fail("%s.startedDateTime is not a time", where))
end

local function read_entry(entry, where)
  return {
    comment = optional(entry, where, "comment", "string"),
    started_at = read_start(entry, where),
    seconds = (optional(entry, where, "time", "number") or 0) / 1000,
    request = read_request(entry, where),
    response = read_response(entry, where),
  }
end

-- Tokens come from another origin than the service's answers.
local function origin_of(entries)
  for _, entry in ipairs(entries) do
    if not is_token_request(entry.request) then return (split(entry.request.url)) end
  end
end

local function read_log(text)
  if #text > LIMIT then fail("bigger than %d MiB", LIMIT / 1024 / 1024) end
  local document = decode(text)
  if type(document) ~= "table" then fail("not JSON, or no object") end
  local log = required(document, "the file", "log", "table")
  required(log, "log", "entries", "table")
  local entries = read_list(log, "log", "entries", read_entry)
  return {
    version = optional(log, "log", "version", "string"),
    comment = optional(log, "log", "comment", "string"),
    origin = origin_of(entries),
    entries = entries,
  }
end

--- Reads the text of a HAR file.
-- @param text string
-- @return a recording; or nil and a message of one line: no JSON, no `log.entries`, a
--   wrong type (named by its place), content that isn't the base64 it says it is
function har.parse(text)
  if type(text) ~= "string" then error("har.parse: text must be a string", 2) end
  local ok, result = pcall(read_log, text)
  if not ok then return nil, result end
  return result
end

local function read_blocks(file)
  local blocks, size = {}, 0
  repeat
    local block, message = file:read(BLOCK)
    if message then return nil, message end
    blocks[#blocks + 1] = block
    size = size + #(block or "")
  until not block or size > LIMIT
  return table.concat(blocks)
end

--- Reads a HAR file of up to 64 MiB.
-- @param path string
-- @return a recording; or nil and a message that begins with the path
function har.read(path)
  local file, trouble = io.open(path, "rb")
  if not file then return nil, trouble end
  local text, message = read_blocks(file)
  file:close()
  local recording
  if text then recording, message = har.parse(text) end
  if not recording then return nil, path .. ": " .. message end
  return recording
end

------------------------------------------------------------------------ playing --

local function equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not equal(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function same_json(recorded, given)
  local expected = decode(recorded)
  return expected ~= nil and equal(expected, decode(given))
end

-- A recording holds "..." where the request holds an address or a secret.
local function same_body(recorded, given)
  if recorded == given or same_json(recorded, given) then return true end
  local scrubbed = scrub_body(given)
  return recorded == scrubbed or same_json(recorded, scrubbed)
end

local function sorted(query)
  local list = {}
  for i, parameter in ipairs(parameters(query)) do
    list[i] = table.concat(parameter, "\0")
  end
  table.sort(list)
  return table.concat(list, "\0\0")
end

local function same_path(recorded, given)
  return recorded == given or recorded == scrub_text(given)
end

local function same_query(recorded, given)
  local expected = sorted(recorded)
  return expected == sorted(given) or expected == sorted(scrub_text(given))
end

-- What tells a request from the one that was recorded; nil when nothing does. The origin
-- and the headers may differ: the client's endpoint and its ids are its own.
local function difference(recorded, request)
  local _, path, query = split(recorded.url)
  local origin, given_path, given_query = split(request.url)
  if recorded.method ~= request.method then return "the method differs" end
  if not origin then return "its URL is not absolute" end
  if not same_path(path, given_path) then return "the path differs" end
  if not same_query(query, given_query) then return "the query differs" end
  if not same_body(recorded.body, request.body or "") then return "the body differs" end
end

-- A name that only begins like the origin's, or another port, stays.
local function move_origin(text, from, to)
  local pattern = from:gsub("%p", "%%%0") .. "%f[^%w.:@-]"
  return (text:gsub(pattern, (to:gsub("%%", "%%%%"))))
end

local function answer(entry, request)
  local response = entry.response
  if response.status == 0 then
    return nil, "the recording has no answer to this request", response.error
  end
  local from, to = split(entry.request.url), split(request.url)
  local headers = {}
  for i, header in ipairs(response.headers) do
    headers[i] = { header[1], move_origin(header[2], from, to) }
  end
  return { status = response.status, headers = headers,
    body = move_origin(response.body, from, to) }
end

local function title(request)
  return request.method .. " " .. request.url
end

local Player = {}
Player.__index = Player

-- A client that was given its token asks for none: those entries are passed over.
local function pass_tokens(player)
  local entries = player.recording.entries
  while entries[player.at] and is_token_request(entries[player.at].request) do
    player.at = player.at + 1
  end
end

local function refuse(player, request, reason)
  local message = ("%s is not in the recording: %s"):format(title(request), reason)
  player.unmatched[#player.unmatched + 1] = message
  return nil, message, "connect"
end

local function play(player, request)
  if not is_token_request(request) then pass_tokens(player) end
  local entry = player.recording.entries[player.at]
  if not entry then return refuse(player, request, "it has ended") end
  local reason = difference(entry.request, request)
  if reason then
    return refuse(player, request, ("%s from %s"):format(reason, title(entry.request)))
  end
  player.at = player.at + 1
  return answer(entry, request)
end

local function publisher_of(recording)
  for _, entry in ipairs(recording.entries) do
    local _, path = split(entry.request.url)
    local publisher = path:match("/api/publishers/([^/]+)")
      or path:match("/api/operations/([^/$]+)%$")
    if publisher then return unescape(publisher) end
  end
end

--- A player gives a client the recorded answers, in order, in place of the service's.
-- The next request must have the next entry's method, path, query and body: the query as
-- a set of decoded names and values, a JSON body as a value; what the recorder blanked
-- matches any value. Origins and headers aren't compared; the recording's origin in an
-- answer becomes that of the request. A request that differs is refused ("connect"),
-- remembered in `player.unmatched`, and the entry stays the next one. Token requests in
-- the recording are passed over when the client makes none.
--
-- `player.transport`, `player.now`, `player.sleep` and `player.random` are functions for
-- the client's options of these names: the clock starts with the first entry and jumps
-- where it should sleep, `player.slept` lists the seconds, `random` is always 0.5.
-- @param source a recording, or the path of a HAR file
-- @return a player; or nil and a message when the file can't be read
function har.player(source)
  local recording, message = source, nil
  if type(source) == "string" then
    recording, message = har.read(source)
  elseif type(source) ~= "table" then
    error("har.player: source must be a recording or a path", 2)
  end
  if not recording then return nil, message end
  local player = { recording = recording, at = 1, slept = {}, unmatched = {} }
  local first = recording.entries[1]
  local clock = first and first.started_at or START
  function player.transport(request) return play(player, request) end
  function player.now() return clock end
  function player.random() return 0.5 end
  function player.sleep(seconds)
    clock = clock + seconds
    player.slept[#player.slept + 1] = seconds
  end
  return setmetatable(player, Player)
end

--- Options for `cloudpartner.new`: the player's functions, the publisher that the
-- recording's URLs name, and a token (unless `more` has one, or a credential).
-- @param more table of options that are added, or take precedence; optional
-- @return a new table
function Player:options(more)
  local options = {
    transport = self.transport, now = self.now, sleep = self.sleep, random = self.random,
    publisher = publisher_of(self.recording),
  }
  for name, value in pairs(more or {}) do options[name] = value end
  if not options.credential then options.token = options.token or "recorded" end
  return options
end

--- Tells whether all went as recorded.
-- @return true; or nil and a message that names the entries that nobody asked for and
--   the requests that were refused
function Player:finish()
  pass_tokens(self)
  local entries, troubles = self.recording.entries, {}
  for i = self.at, #entries do
    troubles[#troubles + 1] = title(entries[i].request) .. " was not asked for"
  end
  for _, message in ipairs(self.unmatched) do troubles[#troubles + 1] = message end
  if #troubles == 0 then return true end
  return nil, table.concat(troubles, "; ")
end

------------------------------------------------------------------------ writing --

-- JSON in a fixed order: an object is written as its names and values come here, and
-- what is nil is left out.
local function object(...)
  local members = { is_object = true }
  for i = 1, select("#", ...), 2 do
    local name, value = select(i, ...)
    if value ~= nil then members[#members + 1] = { name, value } end
  end
  return members
end

local function map(list, f)
  local results = {}
  for i, item in ipairs(list) do results[i] = f(item) end
  return results
end

-- What is short and holds no other object or list takes one line.
local function layout(open, members, close, indent, is_flat)
  if #members == 0 then return open .. close end
  local line = open .. " " .. table.concat(members, ", ") .. " " .. close
  if is_flat and #indent + #line <= WIDTH then return line end
  local inner = "\n" .. indent .. "  "
  return open .. inner .. table.concat(members, "," .. inner) .. "\n" .. indent .. close
end

local function write(value, indent)
  if type(value) == "string" then return quote(value) end
  if type(value) == "number" then return ("%.14g"):format(value) end
  local is_flat = true
  local members = map(value, function(member)
    local item = member
    if value.is_object then item = member[2] end
    is_flat = is_flat and type(item) ~= "table"
    local text = write(item, indent .. "  ")
    return value.is_object and quote(member[1]) .. ": " .. text or text
  end)
  if value.is_object then return layout("{", members, "}", indent, is_flat) end
  return layout("[", members, "]", indent, is_flat)
end

local function write_pair(pair)
  return object("name", pair[1], "value", pair[2])
end

local function content_type(headers)
  for _, header in ipairs(headers) do
    if header[1]:lower() == "content-type" then return header[2] end
  end
  return ""
end

local function write_text(body)
  if is_utf8(body) then return body end
  return to_base64(body), "base64"
end

local function write_request(request)
  local _, _, query = split(request.url)
  local text, encoding = write_text(request.body)
  return object(
    "method", request.method, "url", request.url, "httpVersion", "HTTP/1.1",
    "cookies", {}, "headers", map(request.headers, write_pair),
    "queryString", map(parameters(query or ""), write_pair),
    "postData", text ~= "" and object("mimeType", content_type(request.headers),
      "text", text, "encoding", encoding) or nil,
    "headersSize", -1, "bodySize", #request.body)
end

local function write_response(response)
  local text, encoding = write_text(response.body)
  return object(
    "status", response.status, "statusText", "", "httpVersion", "HTTP/1.1",
    "cookies", {}, "headers", map(response.headers, write_pair),
    "content", object("size", #response.body, "mimeType", content_type(response.headers),
      "text", text, "encoding", encoding),
    "redirectURL", "", "headersSize", -1, "bodySize", #response.body,
    "_error", response.error)
end

local function write_entry(entry)
  local milliseconds = math.floor(entry.seconds * 1e6 + 0.5) / 1e3
  return object(
    "comment", entry.comment,
    "startedDateTime", to_iso(entry.started_at or START), "time", milliseconds,
    "request", write_request(entry.request), "response", write_response(entry.response),
    "cache", object(), "timings", object("send", 0, "wait", milliseconds, "receive", 0))
end

--- Writes a recording as the text of a HAR file: two blanks of indentation, and keys in
-- the order of the format's description. Nothing is redacted here: `har.record` does.
-- @param recording as `har.parse` gives it
-- @return string
function har.format(recording)
  return write(object("log", object(
    "version", "1.2",
    "creator", object("name", "cloudpartner", "version", "1"),
    "comment", recording.comment,
    "entries", map(recording.entries, write_entry))), "") .. "\n"
end

---------------------------------------------------------------------- recording --

local Recorder = {}
Recorder.__index = Recorder

local function record_response(exchange)
  local response = exchange.response
  if not response then
    return { status = 0, headers = {}, body = "", error = exchange.error }
  end
  return { status = response.status, headers = scrub_headers(response.headers),
    body = scrub_body(response.body or "") }
end

-- Redacts at once: a recorder never holds a secret.
local function record_exchange(exchange)
  local request = exchange.request
  return {
    started_at = exchange.started_at,
    seconds = exchange.seconds or 0,
    request = { method = request.method, url = scrub_text(request.url),
      headers = scrub_headers(request.headers), body = scrub_body(request.body or "") },
    response = record_response(exchange),
  }
end

--- Records what a client exchanges with the service from now on, in memory.
-- Redacted by allow-list, `KEPT_HEADERS` and `KEPT_KEYS` above; in what they let through,
-- and in URLs and bodies of any kind, e-mail addresses, bearer tokens, JWTs, signatures
-- of shared access and the values of `SECRETS` become "...".
-- @param client a client; its observer is replaced
-- @param comment string for the file; by default "Recorded from" and the origin
-- @return a recorder
function har.record(client, comment)
  local recorder = { client = client, comment = comment, entries = {} }
  client:observe(function(exchange)
    recorder.entries[#recorder.entries + 1] = record_exchange(exchange)
  end)
  return setmetatable(recorder, Recorder)
end

--- What was recorded so far, as the text of a HAR file.
-- @return string
function Recorder:text()
  local origin = origin_of(self.entries) or "a client that sent nothing"
  return har.format { comment = self.comment or "Recorded from " .. origin,
    entries = self.entries }
end

local function write_file(path, text)
  local file, message = io.open(path, "wb")
  if not file then return nil, message end
  local written, trouble = file:write(text)
  local closed, late_trouble = file:close()
  if written and closed then return true end
  return nil, path .. ": " .. (trouble or late_trouble)
end

--- Writes what was recorded so far to a file: all of it or nothing, since the text goes
-- to `path .. ".part"` first. It can be called again, and while recording goes on.
-- @param path string
-- @return true; or nil and a message
function Recorder:save(path)
  local part = path .. ".part"
  local ok, message = write_file(part, self:text())
  if ok then ok, message = os.rename(part, path) end
  if ok then return true end
  os.remove(part)
  return nil, message
end

--- Ends the recording; what was recorded stays.
function Recorder:stop()
  self.client:observe(nil)
end

return har
