/*
** lua_call.h - the caller's functions, called between two steps by whoever drives a task
** `cp_push_...` gives a function with its arguments, and `cp_take_...` takes what came of
** the call: who calls it, the driver or a coroutine, is not seen here.
*/
#ifndef CP_LUA_CALL_H
#define CP_LUA_CALL_H

#include "lua_client.h"

/* What a call came to: its three results, or what it raised, from stack index `first`. */
typedef struct cp_came {
  bool ok;
  int first;
} cp_came;

/*
** Pushes the function that the task is at, and its arguments; gives the number of
** values. `request`: for the transport.
*/
int cp_push_function(lua_State *L, int env, const cp_lua_task *task,
                     const cp_clock *clock, const cp_request *request);

/* Takes the token that the token function returned, or why it is none. */
cp_renewal cp_take_token(lua_State *L, cp_credential *credential, const cp_came *came,
                         const cp_clock *clock);

/* Fills in the transport's answer, whatever came of it. */
void cp_take_answer(lua_State *L, size_t max_body, const cp_came *came,
                    cp_answer *answer);

/* Tells the task's machine what its caller's function returned, where that counts. */
void cp_take_said(lua_State *L, int env, cp_lua_task *task, int first);

/* Does the task's machine ask for a function that its caller gave? */
bool cp_has_call(lua_State *L, int env, const cp_lua_task *task);

/* Tells `observe` of the task's answer; false with what it raised. */
bool cp_observe(lua_State *L, int env, const cp_lua_task *task, const cp_clock *clock);

/* The same for the last request for a token, which is shown without its secrets. */
bool cp_observe_renewal(lua_State *L, int env, cp_credential *credential,
                        const cp_clock *clock);

/*
** Appends the headers of a task's request, "Name: value\n" for each; with the token, if
** that is asked for. False without memory.
*/
bool cp_add_headers(const cp_client *client, const cp_lua_task *task, bool with_token,
                    cp_text *headers);

/* Appends the URL of a task's request. */
bool cp_add_url(const cp_client *client, const cp_task *task, cp_text *url);

#endif
