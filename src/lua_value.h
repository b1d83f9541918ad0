/*
** lua_value.h - JSON text as Lua values and back, without the loss that lua-cjson has
** lua-cjson 2.1.0 makes one and the same table of [] and {}, and floats of large integers
** (wire facts, "Offers are documents"). What is read here can be written again as it was:
** an array has a metatable, and a number that Lua can't hold stays its text.
*/
#ifndef CP_LUA_VALUE_H
#define CP_LUA_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "lua_compat.h"
#include "memory.h"

/* Registers the metatables, and sets `array` and `raw` in the module's table on top. */
void cp_open_value(lua_State *L);

/* Pushes the value of a JSON text, which must be good. Raises without memory. */
void cp_push_value(lua_State *L, const char *text, size_t length);

/* Makes the table on top of the stack one that JSON has for an array. */
void cp_mark_array(lua_State *L);

/* Is it this registered metatable that the value at `index` has? */
bool cp_has_metatable(lua_State *L, int index, const char *name);

/*
** Pushes the JSON text of the value at `index`, members in the order of their keys. Or
** pushes nothing and gives what can't be written: "a function". Raises without memory.
*/
const char *cp_push_json(lua_State *L, int index);

/* Pushes an empty text that is freed with its userdata, whatever raises meanwhile. */
cp_text *cp_push_text(lua_State *L);

#endif
