-- The images of virtual machine offers: edits of their text, without any I/O.

local cloudpartner = require "cloudpartner"
local live = require "spec.host.live"

local OLD, NEW = "microsoft-azure-virtualmachines.vmImages", "microsoft-azure-corevm.vmImagesPublicAzure"
local DAY = 86400

local TEXT = [[
{ "definition": { "plans": [
  { "planId" : "old", "]] .. OLD .. [[": { "1.0.0": {"osVhdUrl":"u","lunVhdDetails":[ ]} }, "x": [] },
  { "planId" : "new", "]] .. NEW .. [[" : {}, "diskGenerations": [ { "planId": "new-gen2" ,
      "microsoft-azure-corevm.skuTitle": "t"} ] },
  7, { "planId": 3 }, { "planId": "bare" }
] } }]]

local function offer(text) return cloudpartner.offer(text or TEXT) end

local function url_until(seconds, more)
  return "https://a.blob.core.windows.net/v/i.vhd?sv=2017-04-17&sr=c&sig=sgn%2Bsas&se="
    .. os.date("!%Y-%m-%dT%H%%3A%M%%3A%SZ", os.time() + seconds) .. (more or "&sp=rl")
end

local GOOD = url_until(40 * DAY)

local function raises(text, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(message):find(text, 1, true), tostring(message))
  assert.is_nil(tostring(message):find("sgn", 1, true))
end

local function add(o, fields)
  local given = { plan = "old", version = "1.0.1", os_vhd_url = GOOD }
  for name, value in pairs(fields or {}) do given[name] = value or nil end
  return o:add_image(given)
end

describe("add_image", function()
  it("adds a version to a plan, and changes nothing else", function()
    local o = offer()
    local same, warnings = add(o)
    assert.equal(o, same)
    assert.same({}, warnings)
    local added = ' "1.0.1": {"lunVhdDetails":[],"osVhdUrl":"' .. GOOD .. '"}'
    assert.equal((TEXT:gsub('("lunVhdDetails":%[ %]})', function(image)
      return image .. "," .. added
    end)), (o.json:gsub("\\/", "/")))
    assert.equal(GOOD, o:get("/definition/plans/0/" .. OLD .. "/1.0.1/osVhdUrl"))
  end)

  it("finds a plan's generations, and the key that the plan goes by", function()
    local o = offer()
    add(o, { plan = "new" })
    add(o, { plan = "new-gen2" })
    add(o, { plan = "bare" })
    assert.equal(GOOD, o:get("/definition/plans/1/" .. NEW .. "/1.0.1/osVhdUrl"))
    assert.equal(GOOD, o:get("/definition/plans/1/diskGenerations/0/" .. NEW .. "/1.0.1/osVhdUrl"))
    assert.equal(GOOD, o:get("/definition/plans/4/" .. OLD .. "/1.0.1/osVhdUrl"))
  end)

  it("refuses a version that is there, unless it is to replace it", function()
    local o = offer()
    raises("replace = true", add, o, { version = "1.0.0" })
    assert.equal(TEXT, o.json)
    add(o, { version = "1.0.0", replace = true })
    assert.equal(GOOD, o:images("old")["1.0.0"].osVhdUrl)
  end)

  it("has disks by their place, or as they are given, and further fields", function()
    local o = offer()
    local _, warnings = add(o, {
      data_disks = { GOOD, { lun = 7, other = "o" }, url_until(DAY, "&sp=r") },
      fields = { label = "L", showInGui = true },
    })
    local image = o:images("old")["1.0.1"]
    assert.equal("L", image.label)
    assert.is_true(image.showInGui)
    assert.same({ lun = 0, vhdUrl = GOOD }, image.lunVhdDetails[1])
    assert.same({ lun = 7, other = "o" }, image.lunVhdDetails[2])
    assert.equal(2, image.lunVhdDetails[3].lun)
    assert.equal(2, #warnings)
    for _, warning in ipairs(warnings) do assert.truthy(warning:find("data_disks[3]", 1, true)) end
  end)

  it("warns of what the service could not copy, without showing the URL", function()
    local plain = "https://a.blob.core.windows.net/v/i.vhd"
    for says, url in pairs {
      ["expires in"] = url_until(20 * DAY), ["has expired"] = url_until(-DAY),
      ["sp=rl"] = url_until(40 * DAY, "&sp=r"), ["to list (sp=rl)"] = url_until(40 * DAY, "&sp=wl"),
      ["to read and"] = url_until(40 * DAY, ""),
      ["(sig)"] = plain .. "?sp=rl&se=" .. os.date("!%Y-%m-%d", os.time() + 40 * DAY),
      ["no expiry"] = plain .. "?sig=sgn&sp=rl", ["can't be read"] = plain .. "?sig=a&sp=rl&se=soon",
    } do
      local _, warnings = add(offer(), { os_vhd_url = url })
      assert.equal(1, #warnings, says .. ": " .. table.concat(warnings, "; "))
      assert.truthy(warnings[1]:find("^os_vhd_url: "))
      assert.truthy(warnings[1]:find(says, 1, true), warnings[1])
      assert.is_nil(warnings[1]:find("sgn", 1, true))
    end
    local _, warnings = add(offer(), { os_vhd_url = plain .. "?si=policy&sig=a" })
    assert.same({}, warnings)
    local days = os.date("!%Y-%m-%d", os.time() + 40 * DAY)
    _, warnings = add(offer(), { os_vhd_url = plain .. "?sig=a&sp=racwdl&se=" .. days })
    assert.same({}, warnings)
    _, warnings = add(offer(), { os_vhd_url = plain .. "?sig=a&sp=rl&se=" .. days .. "T00:00Z" })
    assert.same({}, warnings)
    _, warnings = add(offer(), { os_vhd_url = plain })
    assert.equal(3, #warnings)
  end)

  it("looks under both keys, and takes null for none", function()
    local both = '{"definition":{"plans":[{"planId":"old","' .. OLD .. '":%s,"' .. NEW .. '":%s}]}}'
    local o = offer(both:format("{}", '{"1.0":{}}'))
    assert.truthy(o:images("old")["1.0"])
    raises("has a version '1.0' already", add, o, { version = "1.0" })
    add(o)
    assert.truthy(o:images("old")["1.0.1"])
    assert.same({}, o:get("/definition/plans/0/" .. OLD))
    assert.same({}, o:remove_image { plan = "old", version = "1.0" }
      :remove_image { plan = "old", version = "1.0.1" }:images "old")
    for _, none in ipairs { "null", "{}" } do
      o = offer(both:format(none, "null"))
      assert.same({}, o:images "old")
      assert.equal(GOOD, add(o):images("old")["1.0.1"].osVhdUrl)
    end
    o = offer('{"definition":{"plans":[{"planId":"old","' .. OLD .. '":[1]}]}}')
    assert.same({}, o:images "old")
    raises("there is no object at", add, o, { version = "0" })
    raises("there is nothing at", o.remove_image, o, { plan = "old", version = "0" })
  end)

  it("takes no half of a list, and nothing twice", function()
    local o = offer()
    raises("without holes", add, o, { data_disks = { GOOD, nil, GOOD } })
    raises("without holes", add, o, { data_disks = { [1] = GOOD, [4] = GOOD } })
    raises("without holes", add, o, { data_disks = { os = GOOD } })
    raises("fields.lunVhdDetails", add, o, { data_disks = {}, fields = { lunVhdDetails = {} } })
    raises("fields.osVhdUrl", add, o, { fields = { osVhdUrl = "x" } })
    raises("'replace' must be", add, o, { replace = "no" })
    raises("unknown field", add, o, { ["replace\0"] = true })
    raises("must be a URL", add, o, { os_vhd_url = GOOD .. "\0x" })
    raises("must be UTF-8", add, o, { version = "\255" })
    assert.equal(TEXT, o.json)
    add(o, { fields = { lunVhdDetails = { { lun = 1 } } } })
    assert.equal(1, o:images("old")["1.0.1"].lunVhdDetails[1].lun)
    local nul = offer('{"definition":{"plans":[{"planId":"old","' .. OLD .. '":{"1\\u00002":{}}}]}}')
    raises("already", add, nul, { version = "1\0" .. "2" })
    add(nul, { version = "1" })
    assert.truthy(nul:images("old")["1\0" .. "2"])
  end)

  it("says what is wrong with a document that has two lists of plans", function()
    local o = offer '{"definition":{"plans":[],"plans":[{"planId":"old"}]}}'
    raises("more than one of '/definition/plans'", add, o)
    raises("more than one of '/definition/plans'", o.images, o, "old")
  end)

  it("raises for what is none, and leaves the offer as it was", function()
    local o = offer()
    raises("no plan 'gone'", add, o, { plan = "gone" })
    raises("'version' must be a string", add, o, { version = false })
    raises("'version' must be a string", add, o, { version = "" })
    raises("'plan' must be a string", add, o, { plan = 3 })
    raises("'os_vhd_url' must be a URL", add, o, { os_vhd_url = "sgn" })
    raises("'os_vhd_url' must be a URL", add, o, { os_vhd_url = false })
    raises("'data_disks[1]' must be a URL", add, o, { data_disks = { 7 } })
    raises("'data_disks' must be a list", add, o, { data_disks = "x" })
    raises("a function", add, o, { fields = { f = print } })
    raises("unknown field 'sku'", add, o, { sku = "x" })
    raises("a table expected", o.add_image, o)
    raises("call it with a colon", o.add_image, nil)
    raises("there is no object at", add, offer('{"definition":{"plans":[{"planId":"old","' .. OLD .. '":7}]}}'))
    raises("no plan 'old'", add, offer '{"definition":{"plans":{"planId":"old"}}}')
    raises("no plan 'old'", add, offer '{}')
    assert.equal(TEXT, o.json)
  end)
end)

describe("remove_image", function()
  it("takes a version away, and nothing else", function()
    local o = offer()
    add(o)
    assert.equal(o, o:remove_image { plan = "old", version = "1.0.1" })
    assert.equal(TEXT, o.json)
    o:remove_image { plan = "old", version = "1.0.0" }
    assert.same({}, o:images "old")
    raises("there is nothing at", o.remove_image, o, { plan = "old", version = "1.0.0" })
    raises("no plan 'gone'", o.remove_image, o, { plan = "gone", version = "1.0.0" })
    raises("there is nothing at", o.remove_image, o, { plan = "bare", version = "1.0.0" })
    raises("unknown field", o.remove_image, o, { plan = "old", version = "1", replace = true })
  end)
end)

describe("images", function()
  it("are a plan's, by version", function()
    local o = offer()
    assert.equal("u", o:images("old")["1.0.0"].osVhdUrl)
    assert.same({}, o:images "new")
    assert.same({}, o:images "bare")
    assert.is_nil(o:images "gone")
    assert.equal(1, select("#", o:images "gone"))
    assert.is_nil(offer("{}"):images "old")
    raises("must be a string", o.images, o)
  end)
end)

describe("an image", function()
  local service = live.service("--speed", "2000")

  it("goes live with its offer", function()
    local client = service.client()
    assert(client:update("contoso-virtualmachineoffer", function(o)
      o:add_image { plan = "contososkuidentifier", version = "1.0.2", os_vhd_url = GOOD }
    end))
    local status = assert(client:release("contoso-virtualmachineoffer",
      { interval = 0.05, min_interval = 0.01 }))
    assert.equal("live", status.phase)
    local there = assert(client:offer("contoso-virtualmachineoffer", { slot = "production" }))
    assert.equal(GOOD, there:images("contososkuidentifier")["1.0.2"].osVhdUrl)
    assert.truthy(there:images("contososkuidentifier")["1.0.1"])
  end)
end)
