/*
** lua_credential.c - a credential: made from options, shared by clients, closed
*/
#include "lua_credential.h"

#include <string.h>

#include "lua_identity.h"
#include "lua_options.h"
#include "lua_settings.h"

/* The options, of a client or of the credential itself, are at stack index 1. */
#define OPTIONS 1

static cp_credential *to_credential(lua_State *L, int index) {
  return luaL_checkudata(L, index, CP_CREDENTIAL);
}

/* Is the option `credential` one already? */
static bool is_given(lua_State *L) {
  cp_option_push(L, OPTIONS, "credential");
  luaL_getmetatable(L, CP_CREDENTIAL);
  if (!lua_isuserdata(L, -2)) return false;
  bool ours = lua_getmetatable(L, -2) && lua_rawequal(L, -1, -2);
  if (!ours)
    luaL_error(L, "option 'credential' must be a string, a table or a credential");
  lua_settop(L, lua_gettop(L) - 2);
  return true;
}

/* Making one */

static cp_credential *push_new(lua_State *L) {
  cp_credential *credential = lua_newuserdatauv(L, sizeof *credential, 1);
  memset(credential, 0, sizeof *credential);
  luaL_getmetatable(L, CP_CREDENTIAL);
  lua_setmetatable(L, -2);
  lua_newtable(L);
  lua_setuservalue(L, -2);
  credential->open = true;
  credential->generation = cp_engine_generation();
  return credential;
}

static void set_bounds(lua_State *L, cp_credential *credential) {
  credential->exchange_timeout = cp_option_number(L, OPTIONS, "exchange_timeout", 30);
  credential->max_body = (size_t)cp_option_number(L, OPTIONS, "max_body", 8 << 20);
  cp_set_retry(L, &credential->retry);
  cp_set_route(L, credential->identity.base, &credential->route);
  credential->agent = cp_keep(L, cp_push_agent(L));
}

/* The identity that the option `credential` tells; without it the options do. */
static void take_option(lua_State *L, cp_credential *credential) {
  cp_option_push(L, OPTIONS, "credential");
  int value = lua_gettop(L);
  if (lua_istable(L, value)) cp_options_check(L, value, CP_FOR_IDENTITY);
  if (lua_istable(L, value))
    cp_take_identity(L, credential, value, NULL);
  else
    cp_take_identity(L, credential, OPTIONS, lua_tostring(L, value));
}

static void take_token_or_option(lua_State *L, cp_credential *credential) {
  cp_option_push(L, OPTIONS, "token");
  if (lua_isfunction(L, -1))
    cp_take_given_function(L, credential);
  else if (lua_isstring(L, -1))
    cp_take_given_token(L, credential, lua_tostring(L, -1));
  else
    take_option(L, credential);
}

static cp_credential *make(lua_State *L) {
  cp_credential *credential = push_new(L);
  int index = lua_gettop(L);
  take_token_or_option(L, credential);
  set_bounds(L, credential);
  lua_settop(L, index);
  return credential;
}

cp_credential *cp_push_credential(lua_State *L, bool *owned) {
  *owned = !is_given(L) || cp_option_given(L, OPTIONS, "token");
  if (*owned) return make(L);
  cp_credential *credential = lua_touserdata(L, -1);
  if (!credential->open) luaL_error(L, "option 'credential' is closed");
  return credential;
}

/*
** cloudpartner.credential(options): a credential that clients can share. `options`: a
** word or a table as `new` takes it for its option `credential`, with the options that
** concern exchanges. No I/O; raises for a wrong or unknown option.
*/
int cp_credential_new(lua_State *L) {
  lua_settop(L, 1);
  luaL_checkstack(L, 30, "cloudpartner.credential");
  if (lua_type(L, 1) == LUA_TSTRING) {
    lua_createtable(L, 0, 1);
    lua_insert(L, 1);
    lua_setfield(L, 1, "kind");
  }
  cp_options_check(L, OPTIONS, CP_FOR_CREDENTIAL);
  if (is_given(L)) return 1;
  make(L);
  return 1;
}

/* Sharing it */

static void suit_scope(lua_State *L, cp_credential *credential, const char *endpoint) {
  const char *scope = cp_option_string(L, OPTIONS, "scope");
  bool given = scope != NULL;
  if (!given) scope = lua_pushfstring(L, "%s/.default", endpoint);
  const char *has = credential->identity.scope;
  if (!has)
    credential->identity.scope = cp_keep(L, scope);
  else if ((given || !credential->is_scoped) && strcmp(has, scope) != 0)
    luaL_error(L, "option 'credential' gives tokens for %s, not for %s", has, scope);
}

/* Until when a token serves is counted by one clock. */
static void suit_clock(lua_State *L, int index) {
  lua_getuservalue(L, index);
  int env = lua_gettop(L);
  cp_option_push(L, OPTIONS, "now");
  if (lua_isnil(L, -1)) lua_pushboolean(L, false);
  lua_getfield(L, env, "now");
  bool first = lua_isnil(L, -1);
  if (!first && !lua_rawequal(L, -1, -2))
    luaL_error(L, "clients that share a credential must have the same option 'now'");
  lua_pop(L, 1);
  lua_setfield(L, env, "now");
}

void cp_credential_suit(lua_State *L, int index, const char *endpoint) {
  suit_scope(L, to_credential(L, index), endpoint);
  suit_clock(L, index);
}

/* Methods */

/*
** credential:close(): overwrites its secrets; clients that share it get a `credential`
** error from then on. Also __gc and __close; again is nothing.
*/
static int credential_close(lua_State *L) {
  cp_credential_close(to_credential(L, 1));
  return 0;
}

static int credential_gc(lua_State *L) {
  cp_credential_free(to_credential(L, 1));
  return 0;
}

static int credential_tostring(lua_State *L) {
  const cp_credential *credential = to_credential(L, 1);
  const cp_identity *identity = &credential->identity;
  lua_pushliteral(L, "cloudpartner credential (");
  lua_pushstring(L, credential->open ? cp_source_name(identity->source) : "closed");
  if (identity->client) lua_pushfstring(L, ", client %s", identity->client);
  if (identity->tenant) lua_pushfstring(L, ", tenant %s", identity->tenant);
  lua_pushliteral(L, ")");
  lua_concat(L, lua_gettop(L) - 1);
  return 1;
}

void cp_open_credential(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", credential_gc},
                                         {"__close", credential_close},
                                         {"__tostring", credential_tostring},
                                         {NULL, NULL}};
  luaL_newmetatable(L, CP_CREDENTIAL);
  for (const luaL_Reg *method = metamethods; method->name; method++) {
    lua_pushcfunction(L, method->func);
    lua_setfield(L, -2, method->name);
  }
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, credential_close);
  lua_setfield(L, -2, "close");
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
