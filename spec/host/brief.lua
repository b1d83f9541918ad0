-- A Lua state that asks once and ends: the last one of the process as often as not.

local endpoint = select(3, ...)
local client = require "cloudpartner".new {
  endpoint = endpoint, publisher = "contoso", token = "secret", retries = 0,
}
local status, err = client:offer_status "spec-brief"
assert(status, tostring(err))
