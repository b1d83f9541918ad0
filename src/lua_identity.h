/*
** lua_identity.h - where a credential's tokens come from: options and environment
** In all of these the options, a client's or the credential's own, are at stack index 1.
*/
#ifndef CP_LUA_IDENTITY_H
#define CP_LUA_IDENTITY_H

#include "credential.h"
#include "lua_compat.h"

/*
** The identity that a table tells (which may be the options themselves), or the `kind`
** of one: "environment", "managed_identity", "azure_cli". Raises for what can't be one.
*/
void cp_take_identity(lua_State *L, cp_credential *credential, int table,
                      const char *kind);

/* The option `token`, as text or as a function. */
void cp_take_given_token(lua_State *L, cp_credential *credential, const char *token);
void cp_take_given_function(lua_State *L, cp_credential *credential);

#endif
