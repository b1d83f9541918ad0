/*
** lua_start.h - how a method makes its task: what the files of methods share
** In all of these the client is at stack index 1, and the task that is made is pushed.
*/
#ifndef CP_LUA_START_H
#define CP_LUA_START_H

#include "lua_client.h"

/* The client's publisher; raises when it has none. */
const char *cp_check_publisher(lua_State *L, const cp_client *client);

/* Pushes a task about the offer that is argument 2. */
cp_lua_task *cp_new_offer_task(lua_State *L, const char *call, cp_result result,
                               int options);

/* Begins the task on top of the stack as the reading of an endpoint; gives 1. */
int cp_begin_read(lua_State *L, cp_lua_task *task, cp_endpoint endpoint);

/* Notes an option of a task's as a function to be called; was it given? */
bool cp_note_call(lua_State *L, const cp_lua_task *task, int options, const char *name);

/* lua_offers.c: the methods that read offers and put them; each pushes a task. */
int cp_start_publishers(lua_State *L);
int cp_start_offer_types(lua_State *L);
int cp_start_offers(lua_State *L);
int cp_start_offer(lua_State *L);
int cp_start_put_offer(lua_State *L);
int cp_start_update(lua_State *L);

/* Pushes what the task of one of these gives. */
void cp_push_list_result(lua_State *L, const cp_task *task);
void cp_push_offer_result(lua_State *L, const cp_task *task);

/*
** Pushes the offer that was read, for CP_CALL_EDIT; and takes the edited one: is it to be
** put? Raises for what can't be.
*/
void cp_push_edit(lua_State *L, int env, const cp_lua_task *task);
bool cp_take_edit(lua_State *L, int env, cp_lua_task *task, bool refused);

#endif
