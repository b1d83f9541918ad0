--- A store for resty.keep: a `lua_shared_dict`, which all workers see and which outlives
-- a reload (but not a restart) of nginx.

local shared = {}

local Store = {}
Store.__index = Store

--- store:get(key): the value, or nil.
function Store:get(key)
  return self.dict:get(key)
end

-- Never by the ways that throw others' entries out to make room.

--- store:add(key, value [, seconds]): true if it was not there, for so many seconds;
-- else nil and a message ("exists").
function Store:add(key, value, seconds)
  return self.dict:safe_add(key, value, seconds or 0)
end

--- store:set(key, value [, seconds]): true; or nil and a message.
function Store:set(key, value, seconds)
  return self.dict:safe_set(key, value, seconds or 0)
end

function Store:delete(key)
  self.dict:delete(key)
end

--- store:list(): all keys.
function Store:list()
  return self.dict:get_keys(0)
end

--- The store of the dict that nginx's configuration declares under this name.
function shared.new(name)
  local dict = ngx.shared[name]
  if not dict then
    error(("cloudpartner: there is no shared dict %q; add to nginx's http block: "
      .. "lua_shared_dict %s 1m;"):format(tostring(name), tostring(name)), 0)
  end
  return setmetatable({ dict = dict }, Store)
end

return shared
