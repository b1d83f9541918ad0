-- Offers as objects: edits of their text by JSON Pointer, without any I/O.

local cjson = require "cjson"
local cloudpartner = require "cloudpartner"
local json_patch = require "spec.data.json_patch"

local is_5_3 = math.type ~= nil
local unpack = table.unpack or unpack

-- The value of a JSON text, as an offer's `get` has it.
local function value_of(text)
  return cloudpartner.offer('{"v":' .. text .. "}"):get "/v"
end

local function refused(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

local function offer(text) return cloudpartner.offer(text) end

describe("a patch", function()
  for _, case in ipairs(json_patch) do
    local name, document, patch, result = unpack(case)
    it((result and "makes: " or "refuses: ") .. name, function()
      local o = offer '{"":0}'
      o.json = document
      if result then
        assert.equal(o, o:patch(value_of(patch)))
        assert.equal(result, o.json)
      else
        assert.matches(case.says, refused(o.patch, o, value_of(patch)), 1, true)
        assert.equal(document, o.json)
      end
    end)
  end

  it("of 10,000 operations changes a text once", function()
    local members, patch = {}, {}
    for i = 1, 10000 do
      members[i] = ('"key%d": [%d, "%s"]'):format(i, i, ("x"):rep(80))
      patch[i] = { op = "replace", path = "/key" .. i .. "/0", value = -i }
    end
    local o = offer("{" .. table.concat(members, ",\n") .. "}")
    local expected = o.json:gsub('": %[', '": [-')
    local began = os.clock()
    o:patch(patch)
    assert.is_true(os.clock() - began < 5)
    assert.equal(expected, o.json)
  end)
end)

describe("a raw value", function()
  it("is edited like any other, whatever blanks are around it", function()
    local o = offer '{"a":1}'
    o:patch {
      { op = "replace", path = "/a", value = cloudpartner.raw " {\n } " },
      { op = "add", path = "/a/b", value = cloudpartner.raw "\t2 " },
    }
    assert.equal('{"a":{\n "b":2}}', o.json)
  end)
end)

describe("an offer", function()
  local TEXT = [[
{
  "id" : "contoso",
  "definition": {
    "offer": { "microsoft-azure-marketplace.title": "Contoso \u2013 small \/ big",
               "list": [], "map": {}, "version": 636576975611768314 },
    "plans": [ {"planId": "one", "sas": "https://c.net/a?sig=a%2Bb%2Fc%3D&se=2030"}, {"planId": "two"} ]
  },
  "unknown": [1.50, 1E+2, -0, null, true]
}
]]
  local o
  before_each(function() o = offer(TEXT) end)

  -- What is left of the text without `was` is left of it without `is`.
  local function only_changed(was, is)
    local from, to = TEXT:find(was, 1, true)
    assert.equal(TEXT:sub(1, from - 1) .. is .. TEXT:sub(to + 1), o.json)
  end

  it("is read by pointers", function()
    assert.equal("Contoso – small / big", o:get "/definition/offer/microsoft-azure-marketplace.title")
    assert.equal("two", o:get "/definition/plans/1/planId")
    assert.equal(cjson.null, o:get "/unknown/3")
    assert.same({ planId = "two" }, o:get "/definition/plans/1")
    assert.equal("contoso", o:get("").id)
    for _, missing in ipairs { "/no", "/definition/plans/2", "/definition/plans/7", "/id/x", "/unknown/-" } do
      assert.is_nil(o:get(missing))
    end
    assert.matches("no JSON Pointer", refused(o.get, o, "id"))
    assert.matches("a pointer must be a string", refused(o.get, o, 7))
  end)

  it("changes where it is set, and nowhere else", function()
    assert.equal(o, o:set("/definition/plans/0/planId", "1\n\"é\\\1"))
    only_changed('"one"', [["1\n\"é\\\u0001"]])
    o = offer(TEXT):set("/definition/offer/map", { b = 1, a = { true, cjson.null } })
    only_changed('"map": {}', '"map": {"a":[true,null],"b":1}')
    o = offer(TEXT):set("/unknown/1", 1e300)
    only_changed("1E+2", "1e+300")
    o = offer(TEXT):set("/unknown/1", 0.1)
    only_changed("1E+2", "0.1")
    o = offer(TEXT):set("/id", cloudpartner.raw '{ "as": "it is" }')
    only_changed('"contoso"', '{ "as": "it is" }')
  end)

  it("keeps the layout of what it adds to, and takes away a comma with what it removes", function()
    o:set("/added", 1)
    only_changed("true]", 'true],\n  "added": 1')
    o = offer(TEXT):append("/definition/plans", { planId = "three" })
    only_changed('"two"}', '"two"}, {"planId":"three"}')
    o = offer(TEXT):append("/definition/offer/list", 1)
    only_changed("[],", "[1],")
    o = offer(TEXT):remove "/definition/plans/0"
    only_changed('{"planId": "one", "sas": "https://c.net/a?sig=a%2Bb%2Fc%3D&se=2030"}, ', "")
    o = offer(TEXT):remove "/unknown"
    only_changed(',\n  "unknown": [1.50, 1E+2, -0, null, true]', "")
    o = offer(TEXT):remove "/id"
    only_changed('"id" : "contoso",\n  ', "")
    o = offer '{"l": [{ "a" : 1 }]}':remove "/l/0/a"
    assert.equal('{"l": [{}]}', o.json)
  end)

  it("is what it was when an edit is taken back", function()
    for _, pointer in ipairs { "/id", "/definition/offer", "/definition/plans", "/unknown", "/unknown/2",
        "/definition/offer/list", "/definition/offer/map", "/definition/offer/version" } do
      local value = o:get(pointer)
      o:set(pointer, "x"):set(pointer, value)
      assert.same({}, o:diff(TEXT))
      o.json = TEXT
    end
    assert.equal(TEXT, o:set("/new", 1):remove "/new".json)
    assert.equal(TEXT, o:append("/definition/offer/list", 1):remove "/definition/offer/list/0".json)
  end)

  it("keeps integers and arrays apart from what Lua makes of them", function()
    local version = o:get "/definition/offer/version"
    assert.equal("636576975611768314", tostring(version))
    assert.equal(is_5_3 and "number" or "table", type(version))
    o:set("/copy", o:get "/definition/offer")
    assert.matches('"copy": {"list":[],"map":{},', o.json, 1, true)
    assert.matches('"version":636576975611768314}', o.json, 1, true)
    assert.equal("1e999", tostring(value_of "1e999"))
    assert.equal("-9223372036854775809", tostring(value_of "-9223372036854775809"))
    assert.equal(-5, value_of "-5")
    assert.equal(1.5, value_of "15e-1")
    assert.equal("[]", offer('{"a":1}'):set("/a", cloudpartner.array {}).json:match "%[%]")
    assert.equal('{"a":{}}', offer('{"a":1}'):set("/a", {}).json)
    assert.is_true(cloudpartner.raw "1" == cloudpartner.raw "1")
  end)

  it("has a document for reading, of the text as it is", function()
    assert.equal("contoso", o.document.id)
    assert.equal(o.document, o.document)
    o:set("/id", "other")
    assert.equal("other", o.document.id)
    o.json = "{"
    assert.is_nil(o.document)
    assert.is_nil(o.nothing)
    assert.same({ json = "{" }, cjson.decode(cjson.encode(o)))
  end)

  it("tells where another differs", function()
    assert.same({}, o:diff(TEXT:gsub("1.50", "15e-1"):gsub("\\/", "/")))
    local other = offer(TEXT):set("/id", "other"):remove "/definition/plans/0/sas":append("/unknown", 1)
      :set("/definition/offer/a~1b", 1)
    assert.same({ "/id", "/definition/offer/a~1b", "/definition/plans/0/sas", "/unknown/5" }, o:diff(other))
    assert.same({ "" }, offer("{}"):diff "[]")
  end)

  local unfit = {
    ["a function"] = print, ["a coroutine"] = coroutine.create(print), ["a userdata"] = io.stdout,
    ["NaN or an infinite number"] = 0 / 0, ["a table with mixed keys"] = { 1, a = 2 },
    ["a list with holes"] = { [1] = 1, [3] = 3 }, ["a string that is not UTF-8"] = "\255",
    ["a key that is not UTF-8"] = { ["\192\128"] = 1 },
    ["a table with keys that are neither names nor indexes"] = { [true] = 1 },
  }
  for name, value in pairs(unfit) do
    it("does not take " .. name, function()
      for _, method in ipairs { "set", "append" } do
        local message = refused(o[method], o, "/unknown", { deep = { value } })
        assert.matches("offer:" .. method .. ": " .. name .. " can't be put at '/unknown'", message, 1, true)
      end
      assert.equal(TEXT, o.json)
    end)
  end

  it("does not take tables without an end, nor raw text that is no JSON", function()
    local cyclic = {}
    cyclic[1] = { cyclic }
    assert.matches("a table that holds itself can't be put at '/x'", refused(o.set, o, "/x", cyclic), 1, true)
    local deep = {}
    for _ = 1, 2000 do deep = { deep } end
    assert.matches("a table of that depth", refused(o.set, o, "/x", deep))
    local nested = cloudpartner.raw(("["):rep(999) .. ("]"):rep(999))
    assert.matches("nested too deep: '/unknown/0'", refused(o.set, o, "/unknown/0", nested), 1, true)
    for _, text in ipairs { "", "{", "1 2", "nil", "'a'", '"\\x"', '"\\ud800"', "01", "\0" } do
      assert.matches("it is no JSON", refused(cloudpartner.raw, text))
    end
    local raw = cloudpartner.raw "1"
    raw[1] = "}"
    assert.matches("a raw text that is no JSON", refused(o.set, o, "/x", raw))
    assert.equal(TEXT, o.json)
  end)

  for name, text in pairs {
    ["a bad escape"] = '{"a":"\\x"}', ["half a surrogate pair"] = '{"a":"\\ud834"}', ["a NUL"] = '{"a":"\0"}',
    ["100,000 levels"] = ("["):rep(1e5) .. ("]"):rep(1e5), ["nothing"] = "", ["more behind it"] = "{} {}",
    ["a comma too many"] = '{"a":1,}',
  } do
    it("is not edited when its text has " .. name, function()
      o.json = text
      for _, edit in ipairs { { "set", "/a", 1 }, { "append", "/a", 1 }, { "remove", "/a" }, { "get", "/a" } } do
        local message = refused(o[edit[1]], o, edit[2], edit[3])
        assert.matches("offer:" .. edit[1] .. ": the text is no JSON; asked for '/a'", message, 1, true)
      end
      assert.equal(text, o.json)
    end)
  end

  it("of 100 MiB is edited as any other", function()
    o.json = '{"a":"' .. ("x"):rep(100 * 1024 * 1024) .. '","b":1}'
    o:set("/b", 2)
    assert.equal('","b":2}', o.json:sub(-8))
  end)

  it("is made of text or of a table", function()
    assert.equal('{ "a":1 }', offer('{ "a":1 }').json)
    local made = cloudpartner.offer({ list = cloudpartner.array {}, id = "x" }, "x")
    assert.same({ '{"id":"x","list":[]}', "x" }, { made.json, made.id })
    for _, wrong in ipairs { "[]", "1", "{", "" } do
      assert.matches("it is no JSON object", refused(cloudpartner.offer, wrong))
    end
    assert.matches("it holds a function", refused(cloudpartner.offer, { print }))
    assert.matches("offer:set: call it with a colon", refused(o.set, "/a", 1))
  end)
end)

-- A model of an edit on decoded values, and random documents for both.
describe("edits at random", function()
  local seed = 20261125
  local function random(n)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return math.floor(seed / 65536) % n + 1
  end

  local KEYS = { "a", "b~", "c/d", "é", "", "0", "\\\"" }
  local BLANKS = { "", "", " ", "\n  ", "\t" }
  local SCALARS = { "1", "-0.5e1", "true", "null", '"x"', '"\\u00e9\\n"', "636576975611768314", "[]", "{}" }

  local function blank() return BLANKS[random(#BLANKS)] end

  local function children(depth, make)
    local list, used = {}, {}
    for _ = 1, random(4) - 1 do
      local key = KEYS[random(#KEYS)]
      if not used[key] then list[#list + 1] = blank() .. make(key, depth - 1) .. blank() end
      used[key] = true
    end
    return table.concat(list, ",")
  end

  local function text(depth)
    local kind = depth > 0 and random(3) or 3
    if kind == 1 then
      return "{" .. children(depth, function(key, d)
        return cjson.encode(key):gsub("\\/", "/") .. blank() .. ":" .. blank() .. text(d)
      end) .. "}"
    elseif kind == 2 then
      return "[" .. children(depth, function(_, d) return text(d) end) .. "]"
    end
    return SCALARS[random(#SCALARS)]
  end

  local function is_list(value)
    return getmetatable(value) == getmetatable(cloudpartner.array {})
  end

  -- A pointer into a value at random, and the place that it means there.
  local function place(model)
    local pointer, parent, key, value = "/r", model, "r", model.r
    while type(value) == "table" and value[1] ~= "636576975611768314" and random(5) > 1 do
      parent = value
      if is_list(value) then
        key = random(#value + 1)
        pointer = pointer .. "/" .. key - 1
      else
        local name = KEYS[random(#KEYS)]
        key = name
        pointer = pointer .. "/" .. name:gsub("~", "~0"):gsub("/", "~1")
      end
      value = value[key]
    end
    return pointer, parent, key, value
  end

  it("are the same before and after decoding", function()
    local made = { set = 0, remove = 0 }
    for _ = 1, 3000 do
      local before = '{"r":' .. text(4) .. "}"
      local o, model = offer(before), offer(before):get ""
      local pointer, parent, key, old = place(model)
      local value = value_of(text(1))
      if random(2) == 1 then
        o:set(pointer, value)
        parent[key] = value
        made.set = made.set + 1
      elseif old ~= nil then
        o:remove(pointer)
        if is_list(parent) then table.remove(parent, key) else parent[key] = nil end
        made.remove = made.remove + 1
      end
      local expected = cloudpartner.offer(model)
      assert.same({}, o:diff(expected), before .. " " .. pointer)
      assert.same({}, cloudpartner.offer(o.json):diff(expected), before .. " " .. pointer)
    end
    assert.is_true(made.set > 1000 and made.remove > 100, cjson.encode(made))
  end)
end)

describe("what others do in the middle of an edit", function()
  -- Calls `f` from a finalizer, as soon as the collector runs. Lua 5.1's tables have none.
  local function on_collect(f)
    if not rawget(_G, "newproxy") then
      setmetatable({}, { __gc = f })
      return
    end
    getmetatable(newproxy(true)).__gc = f
  end

  local function long_list(count, element)
    local list = {}
    for i = 1, count do list[i] = element(i) end
    return list
  end

  it("leaves alone the text that it began with", function()
    local text = '{"list":[' .. table.concat(long_list(20000, function(i)
      return ('"%d %s"'):format(i, ("x"):rep(40))
    end), ",") .. "]}"
    for round = 1, 20 do
      local o = offer(text .. (" "):rep(round))
      on_collect(function() o.json = "{}" end)
      local list = o:get "/list"
      assert.equal(20000, #list)
      assert.equal("20000 " .. ("x"):rep(40), list[20000])
    end
  end)

  it("does not matter to a table that is written", function()
    local value = long_list(2000, function() return { a = 1, b = 2 } end)
    for _ = 1, 5 do
      on_collect(function()
        for i = 1, #value do
          for k = 1, 20 do value[i]["new" .. k] = k end
        end
      end)
      pcall(function() offer "{}":set("/v", value) end)
    end
  end)

  it("may be that its own table is asked", function()
    local o = offer('{"definition":{"plans":[{"planId":"p","x":"' .. ("y"):rep(50000) .. '"}]}}')
    local asked = setmetatable({ plan = "p", version = "1", os_vhd_url = "https://a/b" }, {
      __index = function() o.json = "{}" collectgarbage() return true end,
    })
    o:add_image(asked)
    assert.equal("https://a/b", o:images("p")["1"].osVhdUrl)
  end)
end)

describe("an edit that raises", function()
  local function resident()
    local file = io.open "/proc/self/status"
    local text = file and file:read "*a" or ""
    if file then file:close() end
    return tonumber(text:match "VmRSS:%s*(%d+)") or 0
  end

  it("keeps no memory until the collector comes", function()
    local plans = {}
    for i = 1, 30000 do plans[i] = ('{"planId":"p%d"}'):format(i) end
    local text = '{"definition":{"plans":[' .. table.concat(plans, ",") .. "]}}"
    local o, bad = offer(text), offer '{"a":1}'
    local failing = {
      function() o:set("/definition/plans/x", 1) end,
      function() o:set("/definition/plans/0", print) end,
      function() o:patch { { op = "test", path = "/definition/plans/0", value = 1 } } end,
      function() o:patch { { op = "no", path = "/definition/plans/0" } } end,
      function() o:add_image { plan = "no", version = "1", os_vhd_url = "https://a/b" } end,
      function() o:remove_image { plan = "p1", version = "1" } end,
      function() bad.json = "{" o:diff(bad) end,
      function() o:images "no" error "done" end,
    }
    for _, f in ipairs(failing) do assert.is_false(pcall(f)) end
    collectgarbage()
    local before = resident()
    for _ = 1, 40 do
      for _, f in ipairs(failing) do pcall(f) end
    end
    assert.is_true(resident() - before < 200 * 1024, (resident() - before) .. " KiB more")
  end)
end)

describe("what is misused", function()
  it("is refused, and crashes nothing", function()
    local raw, array = cloudpartner.raw, cloudpartner.array
    local equal = getmetatable(raw "1").__eq
    assert.is_false(equal(1, 2))
    assert.is_false(equal())
    assert.is_true(raw "1" == raw "1")
    assert.is_false(raw "1" == raw "2")
    assert.is_false(rawequal(raw "5", { "5" }))
    assert.matches("metatable of its own", refused(array, offer "{}"), 1, true)
    assert.matches("metatable of its own", refused(array, raw "5"), 1, true)
    assert.same(array {}, array(array {}))
    local o = offer '{"a":1}'
    assert.matches("a list of operations", refused(o.patch, o, { op = "replace", path = "/a", value = 2 }), 1, true)
    assert.matches("a list of operations", refused(o.patch, o, { { op = "remove", path = "/a" }, x = 1 }), 1, true)
    assert.matches("no operation of RFC 6902", refused(o.patch, o, { { op = "remove\0x", path = "/a" } }), 1, true)
    assert.is_nil(refused(o.patch, o, { { op = "x\n\27[31m", path = "/a" } }):find "%c")
    assert.matches("moved into itself", refused(o.patch, o, { { op = "move", from = "", path = "nonsense" } }), 1, true)
    assert.matches("an offer", refused(o.set, o, "/a", offer "{}"), 1, true)
    assert.matches("must be UTF-8", refused(o.set, o, "/\255", 1), 1, true)
    assert.matches("must be UTF-8", refused(o.patch, o, { { op = "add", path = "/\237\160\128", value = 1 } }), 1, true)
    assert.matches("id must be", refused(cloudpartner.offer, "{}", ".."), 1, true)
    assert.matches("id must be", refused(cloudpartner.offer, "{}", 5), 1, true)
    local deep = raw(("["):rep(1000) .. ("]"):rep(1000))
    assert.matches("too deep", refused(o.patch, o, { { op = "test", path = "/a", value = { deep } } }), 1, true)
    assert.equal('{"a":1}', o.json)
    assert.is_nil(o:get(("/"):rep(1000000)))
  end)

  it("an offer is a document of another", function()
    local o = offer '{"a": 1}'
    local copy = cloudpartner.offer(o, "other")
    assert.equal('{"a": 1}', copy.json)
    assert.equal("other", copy.id)
    assert.is_nil(copy.etag)
    assert.equal("cloudpartner offer (other)", tostring(copy))
  end)

  it("a member that is moved to itself stays where it is", function()
    assert.equal('{"a":1, "b":2}', offer '{"a":1, "b":2}'
      :patch { { op = "move", from = "/a", path = "/a" } }.json)
  end)
end)

describe("a number", function()
  it("is the same when it is set again as it was got", function()
    for _, number in ipairs { "1500000000000000", "9000000000000000", "-9007199254740992",
        "0.12345678901234567890123", "1e-400", "1E400", "-9223372036854775808", "123456789012345678",
        "1.5e300", "-0.1", "0", "1.0", "1e2" } do
      local o = offer('{"a":' .. number .. ',"b":null}')
      o:set("/b", o:get "/a")
      assert.same({ "/b" }, o:diff('{"a":' .. number .. ',"b":null}'))
      assert.same({}, o:diff('{"a":' .. number .. ',"b":' .. number .. "}"))
    end
    if is_5_3 then
      assert.equal(math.mininteger, offer '{"a":-9223372036854775808}':get "/a")
    end
  end)
end)
