/*
** lua_options.h - the one list of options: their names, types, bounds, and where they
** belong
*/
#ifndef CP_LUA_OPTIONS_H
#define CP_LUA_OPTIONS_H

#include <stdbool.h>

#include "lua_compat.h"

/* Where an option can stand. */
enum {
  CP_FOR_NEW = 1,
  CP_FOR_CALL = 2,         /* every method */
  CP_FOR_SUBMIT = 4,       /* golive, publish, cancel */
  CP_FOR_WAIT = 8,         /* wait */
  CP_FOR_LIST = 16,        /* operations */
  CP_FOR_RESUME = 32,      /* resume */
  CP_FOR_GOLIVE = 64,      /* cloudpartner.golive */
  CP_FOR_FOLLOW = 128,     /* cloudpartner.status, cloudpartner.wait */
  CP_FOR_CREDENTIAL = 256, /* cloudpartner.credential */
  CP_FOR_IDENTITY = 512,   /* the table in the option `credential` */
  CP_FOR_OFFERS = 1024,    /* offers */
  CP_FOR_OFFER = 2048,     /* offer */
  CP_FOR_PUT = 4096,       /* put_offer */
  CP_FOR_UPDATE = 8192,    /* update */
  CP_FOR_RELEASE = 16384,  /* release */
};

/*
** Checks the table of options at `index`: raises for a name that is not for `scope`, a
** wrong type or a value out of bounds. Nothing there counts as an empty table, which is
** put there.
*/
void cp_options_check(lua_State *L, int index, int scope);

/* Does the option `name` belong to `scope`? */
bool cp_option_is_for(const char *name, int scope);

/* Pushes an option as it was checked: what a metatable would add does not count. */
void cp_option_push(lua_State *L, int index, const char *name);

/* The value of an option, or a default. The table has been checked. */
double cp_option_number(lua_State *L, int index, const char *name, double otherwise);
bool cp_option_given(lua_State *L, int index, const char *name);
bool cp_option_is_false(lua_State *L, int index, const char *name);
bool cp_option_is_true(lua_State *L, int index, const char *name);

/* Pushes the option's value. Its text, or NULL when it is not given. */
const char *cp_option_string(lua_State *L, int index, const char *name);

/*
** Pushes the option `headers` as a string of lines, "Name: value\n" for each: it is a
** table by names (values: a string or a list of them) or a list of {name, value}.
** Raises for what no header can hold.
*/
const char *cp_option_headers(lua_State *L, int index);

/* Checks that argument `index` is an id that can be part of a path. */
const char *cp_check_id(lua_State *L, int index, const char *what);

#endif
