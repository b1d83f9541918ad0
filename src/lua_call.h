/*
** lua_call.h - the caller's functions, called between two steps by whoever drives a task
** None of them raises here: what a function of the caller's raised is left on the stack.
*/
#ifndef CP_LUA_CALL_H
#define CP_LUA_CALL_H

#include "lua_client.h"

/*
** Sees to a token that serves; false when there is none, with the reason pushed as a
** string.
*/
bool cp_ask_token(lua_State *L, int env, cp_client *client, double now);

/* Hands a request to the `transport`, and fills in its answer, whatever comes of it. */
void cp_call_transport(lua_State *L, int env, cp_client *client,
                       const cp_request *request, cp_answer *answer);

/*
** Tells `log` (and `observe`, an answer) of the task's event; false with what was
** raised.
*/
bool cp_tell(lua_State *L, int env, cp_client *client, const cp_lua_task *task,
             const cp_clock *clock);

/* Makes the call that the task's machine asks for; false with what was raised. */
bool cp_call_back(lua_State *L, int env, const cp_lua_task *task);

/*
** Appends the headers of a task's request, "Name: value\n" for each; with the token, if
** that is asked for. False without memory.
*/
bool cp_add_headers(const cp_client *client, const cp_lua_task *task, bool with_token,
                    cp_text *headers);

/* Appends the URL of a task's request. */
bool cp_add_url(const cp_client *client, const cp_task *task, cp_text *url);

#endif
