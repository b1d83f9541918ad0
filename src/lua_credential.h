/*
** lua_credential.h - a credential as its users give it: options and environment
*/
#ifndef CP_LUA_CREDENTIAL_H
#define CP_LUA_CREDENTIAL_H

#include "credential.h"
#include "lua_compat.h"

#define CP_CREDENTIAL "cloudpartner.credential"

/*
** Pushes the credential that the options at stack index 1 (of `new`) ask for: theirs, or
** a new one, and then it is `owned`. Raises for what can't be one.
*/
cp_credential *cp_push_credential(lua_State *L, bool *owned);

/*
** A client of this endpoint takes the credential at `index`; raises when that gives
** tokens for another one, or lives by another clock.
*/
void cp_credential_suit(lua_State *L, int index, const char *endpoint);

/* cloudpartner.credential */
int cp_credential_new(lua_State *L);

/* Registers the metatable; leaves nothing on the stack. */
void cp_open_credential(lua_State *L);

#endif
