/*
** lua_json.c - JSON by lua-cjson, in a configuration of our own
*/
#include "lua_json.h"

/* In the registry: our instance of lua-cjson. */
static const char KEY[] = "cloudpartner.json";

void cp_open_json(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "cjson");
  if (lua_pcall(L, 1, 1, 0) != 0)
    luaL_error(L,
               "cloudpartner needs lua-cjson (apt install lua-cjson, or luarocks install "
               "lua-cjson): %s",
               lua_tostring(L, -1));
  lua_getfield(L, -1, "new");
  lua_call(L, 0, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, KEY);
  lua_pop(L, 1);
}

static void push_function(lua_State *L, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, KEY);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

bool cp_decode(lua_State *L, const char *text, size_t length) {
  luaL_checkstack(L, 8, "JSON");
  push_function(L, "decode");
  lua_pushlstring(L, text, length);
  if (lua_pcall(L, 1, 1, 0) == 0) return true;
  lua_pop(L, 1);
  return false;
}

void cp_encode(lua_State *L) {
  push_function(L, "encode");
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}

/* cjson.null is a light userdata of NULL. */
bool cp_is_null(lua_State *L, int index) {
  return lua_islightuserdata(L, index) && lua_touserdata(L, index) == NULL;
}

static void push_field(lua_State *L, int index, const char *name) {
  index = lua_absindex(L, index);
  lua_pushstring(L, name);
  lua_rawget(L, index);
}

const char *cp_field_text(lua_State *L, int index, const char *name, size_t *length) {
  push_field(L, index, name);
  return lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, length) : NULL;
}

bool cp_field_table(lua_State *L, int index, const char *name) {
  push_field(L, index, name);
  return lua_istable(L, -1);
}
