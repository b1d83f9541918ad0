/*
** lua_settings.h - what a client and a credential are made of: options, at stack index 1,
** and the environment
*/
#ifndef CP_LUA_SETTINGS_H
#define CP_LUA_SETTINGS_H

#include "lua_compat.h"
#include "retry.h"
#include "transfer.h"

/* Seconds for which an operation is followed, unless `timeout` says otherwise. */
#define CP_PATIENCE (7 * 86400.0)

/* The value of a variable; one that is set to nothing counts as not set. */
const char *cp_environment(const char *name);

/* A copy of a text in C's memory, NULL of NULL; raises without memory. */
char *cp_keep(lua_State *L, const char *text);

/* Pushes an option; its text, else the variable's (if one is named), else `otherwise`. */
const char *cp_setting(lua_State *L, const char *name, const char *variable,
                       const char *otherwise);

/*
** Sets a base URL. The text is its owner's even while it may be refused, so that a raise
** leaves no leak; raises, naming the option `name`, when it is refused.
*/
void cp_set_base(lua_State *L, const char *name, const char *url, char **base);

void cp_set_retry(lua_State *L, cp_retry_policy *retry);

/* How connections to `base` (NULL: nowhere) are made. */
void cp_set_route(lua_State *L, const char *base, cp_route *route);

/* Pushes the header lines of every request. */
const char *cp_push_agent(lua_State *L);

#endif
