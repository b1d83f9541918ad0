/*
** lua_operation.h - operations and intents as tables
*/
#ifndef CP_LUA_OPERATION_H
#define CP_LUA_OPERATION_H

#include "lua_client.h"

/* Registers the methods of operations. */
void cp_open_operation(lua_State *L);

/* Pushes an operation as its handle: a plain table with methods. */
void cp_push_operation(lua_State *L, int env, const cp_operation *operation);

/*
** Reads the operation at `index`: a handle, the same as a plain table, or a URL. Raises
** for a wrong type or another format; false when its URL is not to be trusted. With
** `index` holding an intent, `*is_intent` becomes true and the URL stays NULL.
*/
bool cp_read_operation(lua_State *L, int index, const cp_client *client,
                       cp_operation *operation, bool *is_intent);

/*
** Reads the ids that an intent at `index` says its list held before; false when it says
** nothing of them. Raises for what is no list of ids.
*/
bool cp_read_seen(lua_State *L, int index, cp_ids *seen);

/* Pushes the intent of a submission: what its caller saves before it is sent. */
void cp_push_intent(lua_State *L, const cp_lua_task *task);

#endif
