/*
** lua_options.c - the one list of options: their names, types, bounds, and where they
** belong
*/
#include "lua_options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "url.h"

/* Of a call, in bytes. */
#define HEADERS_MAX 65536

/* What an option's value can be. */
enum {
  STRING = 1,
  NUMBER = 2,
  INTEGER = 4,
  FUNCTION = 8,
  TABLE = 16,
  FALSE = 32,
  OBJECT = 64,
  BOOLEAN = 128,
};

static const struct option {
  const char *name;
  int types;
  int scope;
  double min, max; /* of a number */
} options[] = {
    {"publisher", STRING, CP_FOR_NEW, 0, 0},
    {"token", STRING | FUNCTION, CP_FOR_NEW, 0, 0},
    {"credential", STRING | TABLE | OBJECT, CP_FOR_NEW | CP_FOR_CREDENTIAL, 0, 0},
    {"endpoint", STRING, CP_FOR_NEW, 0, 0},
    {"authority", STRING, CP_FOR_NEW | CP_FOR_CREDENTIAL | CP_FOR_IDENTITY, 0, 0},
    {"scope", STRING, CP_FOR_NEW | CP_FOR_CREDENTIAL | CP_FOR_IDENTITY, 0, 0},
    {"oauth", STRING, CP_FOR_NEW | CP_FOR_CREDENTIAL | CP_FOR_IDENTITY, 0, 0},
    {"tenant_id", STRING, CP_FOR_CREDENTIAL | CP_FOR_IDENTITY, 0, 0},
    {"client_id", STRING, CP_FOR_CREDENTIAL | CP_FOR_IDENTITY, 0, 0},
    {"client_secret", STRING, CP_FOR_CREDENTIAL | CP_FOR_IDENTITY, 0, 0},
    {"federated_token_file", STRING, CP_FOR_CREDENTIAL | CP_FOR_IDENTITY, 0, 0},
    {"api_version", STRING, CP_FOR_NEW, 0, 0},
    {"exchange_timeout", NUMBER, CP_FOR_NEW | CP_FOR_CREDENTIAL, 0.001, INFINITY},
    {"connect_timeout", NUMBER, CP_FOR_NEW | CP_FOR_CREDENTIAL, 0.001, INFINITY},
    {"retries", INTEGER, CP_FOR_NEW | CP_FOR_CREDENTIAL, 0, 1000},
    {"retry_delay", NUMBER, CP_FOR_NEW | CP_FOR_CREDENTIAL, 0, INFINITY},
    {"retry_max_delay", NUMBER, CP_FOR_NEW | CP_FOR_CREDENTIAL, 0, INFINITY},
    {"max_body", INTEGER, CP_FOR_NEW | CP_FOR_CREDENTIAL, 1, 1 << 30},
    {"max_connections", INTEGER, CP_FOR_NEW, 1, 1000},
    {"headers", TABLE, CP_FOR_NEW | CP_FOR_CALL, 0, 0},
    {"user_agent", STRING, CP_FOR_NEW | CP_FOR_CREDENTIAL, 0, 0},
    {"proxy", STRING, CP_FOR_NEW | CP_FOR_CREDENTIAL, 0, 0},
    {"ca_file", STRING, CP_FOR_NEW | CP_FOR_CREDENTIAL, 0, 0},
    {"ca_path", STRING, CP_FOR_NEW | CP_FOR_CREDENTIAL, 0, 0},
    {"transport", FUNCTION, CP_FOR_NEW, 0, 0},
    {"log", FUNCTION, CP_FOR_NEW, 0, 0},
    {"now", FUNCTION, CP_FOR_NEW, 0, 0},
    {"sleep", FUNCTION, CP_FOR_NEW, 0, 0},
    {"random", FUNCTION, CP_FOR_NEW, 0, 0},
    {"timeout", NUMBER, CP_FOR_CALL | CP_FOR_WAIT, 0, INFINITY},
    {"client_request_id", STRING, CP_FOR_CALL, 0, 0},
    {"notification_emails", TABLE, CP_FOR_SUBMIT | CP_FOR_RELEASE, 0, 0},
    {"reconcile", NUMBER | FALSE, CP_FOR_SUBMIT | CP_FOR_RESUME | CP_FOR_RELEASE, 0,
     INFINITY},
    {"adopt", STRING | NUMBER, CP_FOR_SUBMIT, 0, INFINITY},
    {"before_send", FUNCTION, CP_FOR_SUBMIT | CP_FOR_RELEASE, 0, 0},
    {"if_match", STRING, CP_FOR_SUBMIT | CP_FOR_PUT | CP_FOR_UPDATE, 0, 0},
    {"interval", NUMBER, CP_FOR_WAIT | CP_FOR_RELEASE, 0, INFINITY},
    {"min_interval", NUMBER, CP_FOR_WAIT | CP_FOR_RELEASE, 0, 3600},
    {"outage", NUMBER, CP_FOR_WAIT | CP_FOR_RELEASE, 0, INFINITY},
    {"on_progress", FUNCTION, CP_FOR_WAIT | CP_FOR_RELEASE, 0, 0},
    {"on_blocked", STRING, CP_FOR_WAIT | CP_FOR_RELEASE, 0, 0},
    {"status", STRING, CP_FOR_LIST, 0, 0},
    {"filter", STRING, CP_FOR_OFFERS, 0, 0},
    {"version", STRING | NUMBER, CP_FOR_OFFER, 0, INFINITY},
    {"slot", STRING, CP_FOR_OFFER, 0, 0},
    {"confirm", FUNCTION, CP_FOR_RELEASE, 0, 0},
    {"dry_run", BOOLEAN, CP_FOR_RELEASE, 0, 0},
    {"create", BOOLEAN, CP_FOR_PUT, 0, 0},
    {"leave_out", BOOLEAN, CP_FOR_PUT | CP_FOR_UPDATE, 0, 0},
    {"kind", STRING, CP_FOR_RESUME | CP_FOR_CREDENTIAL | CP_FOR_IDENTITY, 0, 0},
    {"submitted_at", STRING | NUMBER, CP_FOR_RESUME, 0, INFINITY},
    {"offer", STRING, CP_FOR_GOLIVE, 0, 0},
    {"operation", STRING | TABLE, CP_FOR_FOLLOW, 0, 0},
    {"wait", BOOLEAN, CP_FOR_GOLIVE, 0, 0},
};

#define COUNT (sizeof options / sizeof *options)

static const struct option *find(const char *name) {
  for (size_t i = 0; i < COUNT; i++)
    if (strcmp(options[i].name, name) == 0) return &options[i];
  return NULL;
}

bool cp_option_is_for(const char *name, int scope) {
  const struct option *option = find(name);
  return option && (option->scope & scope) != 0;
}

bool cp_option_is_false(lua_State *L, int index, const char *name) {
  cp_option_push(L, index, name);
  bool no = lua_type(L, -1) == LUA_TBOOLEAN && !lua_toboolean(L, -1);
  lua_pop(L, 1);
  return no;
}

bool cp_option_is_true(lua_State *L, int index, const char *name) {
  cp_option_push(L, index, name);
  bool yes = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return yes;
}

static int type_at(lua_State *L, int index) {
  switch (lua_type(L, index)) {
    case LUA_TSTRING: return STRING;
    case LUA_TNUMBER: return NUMBER | INTEGER;
    case LUA_TFUNCTION: return FUNCTION;
    case LUA_TTABLE: return TABLE;
    case LUA_TUSERDATA: return OBJECT;
    case LUA_TBOOLEAN: return lua_toboolean(L, index) ? BOOLEAN : BOOLEAN | FALSE;
    default: return 0;
  }
}

static const char *expected(int types) {
  static const struct {
    int types;
    const char *text;
  } texts[] = {
      {STRING, "a string"},
      {NUMBER, "a number of seconds"},
      {INTEGER, "an integer"},
      {FUNCTION, "a function"},
      {TABLE, "a table"},
      {BOOLEAN, "a boolean"},
      {NUMBER | FALSE, "a number of seconds or false"},
      {STRING | FUNCTION, "a string or a function"},
      {STRING | NUMBER, "a string or a number"},
      {STRING | TABLE, "a string or a table"},
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (texts[i].types == types) return texts[i].text;
  return "a string, a table or a credential";
}

/* With the option's value on top of the stack. */
static void check_number(lua_State *L, const struct option *option) {
  double value = lua_tonumber(L, -1);
  if ((option->types & INTEGER) && value != floor(value))
    luaL_error(L, "option '%s' must be an integer", option->name);
  char bounds[80]; /* in the same words under every Lua */
  if (value >= option->min && value <= option->max) return;
  if (option->max < INFINITY)
    snprintf(bounds, sizeof bounds, "between %.10g and %.10g", option->min, option->max);
  else
    snprintf(bounds, sizeof bounds, "at least %.10g", option->min);
  luaL_error(L, "option '%s' must be %s", option->name, bounds);
}

static void check_text(lua_State *L, const struct option *option) {
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
      luaL_error(L, "option '%s' must not hold control characters", option->name);
}

/* With the option's name and value on top of the stack. */
static void check_option(lua_State *L, int scope) {
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
  if (!name) luaL_error(L, "options must have names, not %s keys", luaL_typename(L, -2));
  const struct option *option = find(name);
  if (!option || !(option->scope & scope)) luaL_error(L, "unknown option '%s'", name);
  int type = type_at(L, -1);
  if (!(type & option->types))
    luaL_error(L, "option '%s' must be %s, not %s", name, expected(option->types),
               luaL_typename(L, -1));
  if (type & NUMBER) check_number(L, option);
  if (type == STRING) check_text(L, option);
}

void cp_options_check(lua_State *L, int index, int scope) {
  if (lua_isnoneornil(L, index)) {
    lua_settop(L, index > lua_gettop(L) ? index : lua_gettop(L));
    lua_newtable(L);
    lua_replace(L, index);
  }
  luaL_checktype(L, index, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) check_option(L, scope);
}

void cp_option_push(lua_State *L, int index, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, index);
}

double cp_option_number(lua_State *L, int index, const char *name, double otherwise) {
  cp_option_push(L, index, name);
  double value = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : otherwise;
  lua_pop(L, 1);
  return value;
}

bool cp_option_given(lua_State *L, int index, const char *name) {
  cp_option_push(L, index, name);
  bool given = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return given;
}

const char *cp_option_string(lua_State *L, int index, const char *name) {
  cp_option_push(L, index, name);
  return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

/* Headers */

/* RFC 9110, 5.6.2 */
static bool is_token(const char *name, size_t length) {
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)name[i];
    if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c)) return false;
  }
  return length > 0;
}

/* What the module itself says in each request: a second one would contradict it. */
static bool is_ours(const char *name) {
  static const char *const ours[] = {
      "authorization", "content-length", "accept",     "transfer-encoding",
      "host",          "content-type",   "connection", "x-ms-client-request-id",
      "user-agent",    "if-match"};
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    if (strcasecmp(ours[i], name) == 0) return true;
  return false;
}

static const char *check_name(lua_State *L, int index) {
  size_t length;
  if (lua_type(L, index) != LUA_TSTRING)
    luaL_error(L, "option 'headers': a name must be a string, not %s",
               luaL_typename(L, index));
  const char *name = lua_tolstring(L, index, &length);
  if (!is_token(name, length)) luaL_error(L, "option 'headers': a name that is none");
  if (is_ours(name))
    luaL_error(L, "option 'headers': '%s' is set by the module itself", name);
  return name;
}

static const char *check_value(lua_State *L, int index, const char *name) {
  size_t length;
  if (lua_type(L, index) != LUA_TSTRING && lua_type(L, index) != LUA_TNUMBER)
    luaL_error(L, "option 'headers': the value of '%s' must be a string, not %s", name,
               luaL_typename(L, index));
  const char *value = lua_tolstring(L, index, &length);
  if (memchr(value, '\r', length) || memchr(value, '\n', length) ||
      memchr(value, 0, length))
    luaL_error(L, "option 'headers': the value of '%s' must not hold CR, LF or NUL",
               name);
  return value;
}

/* The lines so far are a Lua string at `lines`, so that a raise leaves nothing behind. */
static void add_header(lua_State *L, const char *name, int value_index, int lines) {
  lua_pushvalue(L, value_index);
  const char *value = check_value(L, lua_gettop(L), name);
  lua_pushfstring(L, "%s%s: %s\n", lua_tostring(L, lines), name, value);
  if (lua_rawlen(L, -1) > HEADERS_MAX)
    luaL_error(L, "option 'headers' holds more than %d bytes", HEADERS_MAX);
  lua_replace(L, lines);
  lua_pop(L, 1);
}

static void add_values(lua_State *L, const char *name, int values, int lines) {
  for (int i = 1; i <= (int)lua_rawlen(L, values); i++) {
    lua_rawgeti(L, values, i);
    add_header(L, name, lua_gettop(L), lines);
    lua_pop(L, 1);
  }
}

static void add_pair(lua_State *L, int pair, int lines) {
  if (!lua_istable(L, pair))
    luaL_error(L, "option 'headers': a list must hold {name, value} pairs");
  lua_rawgeti(L, pair, 1);
  lua_rawgeti(L, pair, 2);
  int top = lua_gettop(L);
  add_header(L, check_name(L, top - 1), top, lines);
  lua_pop(L, 2);
}

/* With a key of the table and its value on top of the stack. */
static void add_entry(lua_State *L, int lines) {
  int value = lua_gettop(L), key = value - 1;
  if (lua_type(L, key) == LUA_TNUMBER)
    add_pair(L, value, lines);
  else if (lua_istable(L, value))
    add_values(L, check_name(L, key), value, lines);
  else
    add_header(L, check_name(L, key), value, lines);
}

const char *cp_option_headers(lua_State *L, int index) {
  lua_pushliteral(L, "");
  int lines = lua_gettop(L);
  cp_option_push(L, index, "headers");
  if (lua_istable(L, -1))
    for (lua_pushnil(L); lua_next(L, lines + 1); lua_pop(L, 1)) add_entry(L, lines);
  lua_pop(L, 1);
  return lua_tostring(L, lines);
}

const char *cp_check_id(lua_State *L, int index, const char *what) {
  size_t length;
  if (lua_type(L, index) != LUA_TSTRING)
    luaL_error(L, "%s must be a string, not %s", what, luaL_typename(L, index));
  const char *id = lua_tolstring(L, index, &length);
  if (!cp_url_segment_ok(id, length))
    luaL_error(L,
               "%s must be an id: not empty, '.', '..', and without control characters",
               what);
  return id;
}
