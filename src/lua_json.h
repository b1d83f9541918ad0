/*
** lua_json.h - JSON by lua-cjson, in a configuration of our own
*/
#ifndef CP_LUA_JSON_H
#define CP_LUA_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "lua_compat.h"

/* Loads lua-cjson; raises when it is missing. */
void cp_open_json(lua_State *L);

/* Pushes the value of a JSON text; false, and nothing pushed, when it is none. */
bool cp_decode(lua_State *L, const char *text, size_t length);

/* Replaces the value on top of the stack by its JSON text. */
void cp_encode(lua_State *L);

/* Is the value at `index` JSON's null? */
bool cp_is_null(lua_State *L, int index);

/*
** Pushes field `name` of the table at `index`, without metamethods: its text, when it
** is a string; else NULL.
*/
const char *cp_field_text(lua_State *L, int index, const char *name, size_t *length);

/* Pushes field `name` of the table at `index`; is it a table? */
bool cp_field_table(lua_State *L, int index, const char *name);

#endif
