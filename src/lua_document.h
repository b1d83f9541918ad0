/*
** lua_document.h - the service's JSON documents as tables for users
*/
#ifndef CP_LUA_DOCUMENT_H
#define CP_LUA_DOCUMENT_H

#include "lua_client.h"

/* Pushes the status that a task last understood as a table; nil when there was none. */
void cp_push_status(lua_State *L, const cp_lua_task *task);

/*
** Pushes what explains an operation's end in the last status, in a line; nil: nothing
** does.
*/
void cp_push_reason(lua_State *L, const cp_lua_task *task);

/* What an error's body says. */
typedef struct cp_said {
  int message; /* stack index of a string, 0: none */
  int code;
  int request_id;
} cp_said;

/*
** Pushes an error's body, decoded if it is JSON, else its text (nil when empty), and
** above it the strings that `said` names.
*/
void cp_push_error_body(lua_State *L, const cp_answer *answer, cp_said *said);

/*
** Pushes the decoded list of an offer's operations; raises nothing, nil when it is
** none.
*/
void cp_push_list(lua_State *L, const cp_answer *answer);

#endif
