/*
** lua_cloudpartner.c - require "cloudpartner"
*/
#include "lua_client.h"
#include "lua_credential.h"
#include "lua_error.h"
#include "lua_json.h"
#include "lua_offer.h"
#include "lua_operation.h"
#include "lua_value.h"

/*
** A Lua state that uses the engine says so, and says when it ends: the last one joins
** it.
*/

static int leave_engine(lua_State *L) {
  bool *entered = lua_touserdata(L, 1);
  if (*entered) cp_engine_leave();
  *entered = false;
  return 0;
}

/* A state that loads the module again has entered already. */
static void enter_engine(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "cloudpartner.engine");
  bool is_in = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (is_in) return;
  bool *entered = lua_newuserdatauv(L, sizeof *entered, 0);
  *entered = false;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, leave_engine);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  cp_engine_enter();
  *entered = true;
  lua_setfield(L, LUA_REGISTRYINDEX, "cloudpartner.engine");
}

static void make_breath(lua_State *L) {
  if (luaL_loadstring(L, "") != 0) lua_error(L);
  lua_setfield(L, LUA_REGISTRYINDEX, "cloudpartner.breathe");
}

__attribute__((visibility("default"))) int luaopen_cloudpartner(lua_State *L) {
  luaL_checkstack(L, 20, "cloudpartner");
  enter_engine(L);
  make_breath(L);
  cp_open_json(L);
  cp_open_error(L);
  cp_open_operation(L);
  cp_open_task(L);
  cp_open_credential(L);
  cp_open_client(L);
  lua_createtable(L, 0, 10);
  cp_open_value(L);
  cp_open_offer(L);
  lua_pushcfunction(L, cp_client_new);
  lua_setfield(L, -2, "new");
  lua_pushcfunction(L, cp_credential_new);
  lua_setfield(L, -2, "credential");
  cp_add_calls(L);
  lua_pushliteral(L, "cloudpartner " CP_VERSION);
  lua_setfield(L, -2, "_VERSION");
  return 1;
}
