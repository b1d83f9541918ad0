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

/* Notes those of a task's options that are functions to be called. */
void cp_note_calls(lua_State *L, const cp_lua_task *task, int options);

/* What submissions and waits have of the options at an index. */
cp_submission_policy cp_read_submission_policy(lua_State *L, int options);
cp_watch_policy cp_read_watch_policy(lua_State *L, int options);

/* Makes `notification_emails`, if there are some, the body of what a task submits. */
void cp_take_emails(lua_State *L, cp_task *task, int options);

/* lua_offers.c: the methods that read offers and put them; each pushes a task. */
int cp_start_publishers(lua_State *L);
int cp_start_offer_types(lua_State *L);
int cp_start_offers(lua_State *L);
int cp_start_offer(lua_State *L);
int cp_start_put_offer(lua_State *L);
int cp_start_update(lua_State *L);

/* lua_release.c: client:release; and what the tasks of these give, pushed. */
int cp_start_release(lua_State *L);
void cp_push_release_result(lua_State *L, int env, const cp_lua_task *task);
void cp_push_group_result(lua_State *L, int env, const cp_lua_task *group);

/* Pushes the list of the tasks that are members of a group. */
void cp_push_members(lua_State *L, int env, const cp_lua_task *group);

/* Pushes what the task of one of lua_offers.c gives. */
void cp_push_list_result(lua_State *L, const cp_task *task);
void cp_push_offer_result(lua_State *L, const cp_task *task);

/*
** Pushes the offer that was read, for CP_CALL_EDIT; and takes the edited one: is it to be
** put? Raises for what can't be.
*/
void cp_push_edit(lua_State *L, int env, const cp_lua_task *task);
bool cp_take_edit(lua_State *L, int env, cp_lua_task *task, bool refused);

#endif
