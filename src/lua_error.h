/*
** lua_error.h - the error as a table
*/
#ifndef CP_LUA_ERROR_H
#define CP_LUA_ERROR_H

#include "lua_client.h"

/* Registers the metatable of errors. */
void cp_open_error(lua_State *L);

/* Pushes the error that a task ended with. */
void cp_push_error(lua_State *L, int env, const cp_lua_task *task);

#endif
