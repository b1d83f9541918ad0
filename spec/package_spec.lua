-- The rock: what `luarocks make` installs, without a network, is enough to take an offer live.

local version = _VERSION:match "%d+%.%d+"
local interpreter = rawget(_G, "jit") and "luajit" or "lua" .. version
local rockspec = "cloudpartner-scm-1.rockspec"

local function run(command)
  local pipe = assert(io.popen("(" .. command .. ") 2>&1; echo status $?"))
  local output, status = pipe:read "*a":match "^(.*)status (%d+)\n$"
  pipe:close()
  return tonumber(status), output
end

local function succeeds(command)
  local status, output = run(command)
  assert(status == 0, command .. "\n" .. output)
  return output
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

describe("the rock for Lua " .. version, function()
  local copy

  -- All happens in a copy, with names that need no quotes: nothing is left in the checkout.
  local function luarocks(command)
    return succeeds(("cd %s && HOME=%s LUAROCKS_CONFIG=%s/config.lua luarocks --lua-version=%s %s")
      :format(copy, copy, copy, version, command))
  end

  setup(function()
    copy = succeeds "mktemp -d":gsub("%s+$", "")
    succeeds(("cp -r src lua %s %s"):format(rockspec, copy))
    write(copy .. "/config.lua", [[
      rocks_servers = {}
      rocks_provided = { ["lua-cjson"] = "2.1.0-1" }
    ]])
  end)

  teardown(function() succeeds("rm -rf " .. copy) end)

  it("has a rockspec without fault", function() luarocks("lint " .. rockspec) end)

  it("installs offline and takes an offer live", function()
    luarocks("make --tree=tree " .. rockspec)
    local path = ("LUA_PATH='%s/tree/share/lua/%s/?.lua;;' LUA_CPATH='%s/tree/lib/lua/%s/?.so;;'")
      :format(copy, version, copy, version)
    local output = succeeds(("sh tools/with-emulator --speed 600 -- env %s %s spec/smoke.lua")
      :format(path, interpreter))
    assert.equal("ok\n", output)
  end)

  it("has every Lua module", function()
    for name in succeeds("cd lua && find cloudpartner -name '*.lua'"):gmatch "[^\n]+" do
      assert.equal("", succeeds(("cmp lua/%s %s/tree/share/lua/%s/%s"):format(name, copy, version, name)))
    end
  end)
end)
