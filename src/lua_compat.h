/*
** lua_compat.h - the little that differs between Lua 5.1 (LuaJIT, nginx) and 5.4
*/
#ifndef CP_LUA_COMPAT_H
#define CP_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM < 504
#define lua_newuserdatauv(L, size, values) lua_newuserdata(L, size)
#endif

#if LUA_VERSION_NUM == 501
#define lua_getuservalue(L, index) lua_getfenv(L, index)
#define lua_setuservalue(L, index) lua_setfenv(L, index)
#define lua_rawlen(L, index)       lua_objlen(L, index)
#define luaL_newlib(L, functions)  (lua_newtable(L), luaL_register(L, NULL, functions))
#define lua_absindex(L, index) \
  ((index) > 0 || (index) <= LUA_REGISTRYINDEX ? (index) : lua_gettop(L) + (index) + 1)

static inline void cp_rawgetp(lua_State *L, int table, const void *key) {
  table = lua_absindex(L, table);
  lua_pushlightuserdata(L, (void *)key);
  lua_rawget(L, table);
}

static inline void cp_rawsetp(lua_State *L, int table, const void *key) {
  table = lua_absindex(L, table);
  lua_pushlightuserdata(L, (void *)key);
  lua_insert(L, -2);
  lua_rawset(L, table);
}
#else
#if LUA_VERSION_NUM >= 504
#undef lua_getuservalue
#undef lua_setuservalue
#define lua_getuservalue(L, index) lua_getiuservalue(L, index, 1)
#define lua_setuservalue(L, index) lua_setiuservalue(L, index, 1)
#endif
#define cp_rawgetp lua_rawgetp
#define cp_rawsetp lua_rawsetp
#endif

#endif
