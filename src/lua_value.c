/*
** lua_value.c - JSON text as Lua values and back, without the loss that lua-cjson has
*/
#include "lua_value.h"

#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "lua_json.h"
#include "lua_offer.h"

#define CP_ARRAY "cloudpartner.array"
#define CP_RAW   "cloudpartner.raw"
#define CP_TEXT  "cloudpartner.text"

/* The most text that is made of one value: tables that share tables grow fast. */
#define JSON_MAX ((size_t)256 * 1024 * 1024)

/* Texts */

static int text_gc(lua_State *L) {
  cp_text_free(lua_touserdata(L, 1));
  return 0;
}

cp_text *cp_push_text(lua_State *L) {
  cp_text *text = lua_newuserdatauv(L, sizeof *text, 0);
  *text = (cp_text){.limit = JSON_MAX};
  luaL_getmetatable(L, CP_TEXT);
  lua_setmetatable(L, -2);
  return text;
}

/* Numbers. The C library reads and writes them with the locale's point. */

static const char *point_of_locale(void) {
  const char *point = localeconv()->decimal_point;
  return point && *point ? point : ".";
}

static double read_double(const char *text, size_t length) {
  char copy[512];
  const char *point = point_of_locale();
  size_t used = 0, size = strlen(point);
  for (size_t i = 0; i < length && used + size < sizeof copy; i++) {
    if (text[i] == '.') memcpy(copy + used, point, size);
    if (text[i] != '.') copy[used] = text[i];
    used += text[i] == '.' ? size : 1;
  }
  copy[used] = '\0';
  return strtod(copy, NULL);
}

#define NUMBER_SIZE 64

/*
** Writes the shortest text that is read back as the same number; gives its length. An
** integer that is exact has no exponent.
*/
static size_t format_double(char *text, double value) {
  bool whole = value == floor(value) && fabs(value) <= 9007199254740992.0;
  int digits = 15, length;
  if (whole) return (size_t)snprintf(text, NUMBER_SIZE, "%.0f", value);
  do length = snprintf(text, NUMBER_SIZE, "%.*g", digits, value);
  while (strtod(text, NULL) != value && digits++ < 17);
  const char *point = point_of_locale();
  char *found = strstr(text, point);
  size_t extra = strlen(point) - 1;
  if (!found) return (size_t)length;
  *found = '.';
  memmove(found + 1, found + 1 + extra, strlen(found + 1 + extra) + 1);
  return (size_t)length - extra;
}

static void push_raw(lua_State *L, const char *text, size_t length) {
  lua_createtable(L, 1, 0);
  lua_pushlstring(L, text, length);
  lua_rawseti(L, -2, 1);
  luaL_getmetatable(L, CP_RAW);
  lua_setmetatable(L, -2);
}

#if LUA_VERSION_NUM >= 503
#define INTEGER_MAX(negative) ((uint64_t)LUA_MAXINTEGER + (negative))
#define push_integer(L, negative, size) \
  lua_pushinteger(L, (lua_Integer)((negative) ? 0 - (size) : (size)))
#else
#define INTEGER_MAX(negative) ((uint64_t)1 << 53)
#define push_integer(L, negative, size) \
  lua_pushnumber(L, (negative) ? -(lua_Number)(size) : (lua_Number)(size))
#endif

/* Pushes an integer that Lua can hold; false for any other number. */
static bool push_whole(lua_State *L, const char *at, const char *end) {
  bool negative = *at == '-';
  uint64_t size = 0;
  if (negative) at++;
  if (end - at > 19 || (negative && *at == '0')) return false;
  for (; at < end; at++) {
    if (*at < '0' || *at > '9') return false;
    size = size * 10 + (uint64_t)(*at - '0');
  }
  if (size > INTEGER_MAX(negative)) return false;
  push_integer(L, negative, size);
  return true;
}

/* As long as this a text is surely read whole; a longer one stays text. */
#define NUMBER_MAX 400

/* Is a double, written again, the number that it was read from? */
static bool is_exact(const char *text, size_t length, double value) {
  char written[NUMBER_SIZE];
  cp_span before = {text, length}, after = {written, 0};
  if (!isfinite(value)) return false;
  after.length = format_double(written, value);
  return cp_same_number(&before, &after);
}

/* What Lua would make another number of stays its text. */
static void push_number(lua_State *L, const char *text, size_t length) {
  bool whole = !memchr(text, '.', length) && !memchr(text, 'e', length) &&
               !memchr(text, 'E', length);
  bool zero = whole && length == 2 && text[0] == '-' && text[1] == '0';
  if (whole && push_whole(L, text, text + length)) return;
  double value = length <= NUMBER_MAX ? read_double(text, length) : INFINITY;
  if ((whole && !zero) || !is_exact(text, length, value))
    push_raw(L, text, length);
  else
    lua_pushnumber(L, value);
}

/* Reading */

/* Within a table that is read: where the metatable of arrays is, and the reader. */
typedef struct reader {
  cp_json json;
  int array;
} reader;

static void read_value(lua_State *L, reader *r);

static void push_string(lua_State *L, const cp_json_text *string) {
  char small[512];
  if (!string->escaped) {
    lua_pushlstring(L, string->at, string->length);
    return;
  }
  bool fits = string->length <= sizeof small;
  char *plain = fits ? small : lua_newuserdatauv(L, string->length, 0);
  lua_pushlstring(L, plain, cp_json_unescape(string, plain));
  if (!fits) lua_remove(L, -2);
}

static void read_object(lua_State *L, reader *r) {
  cp_json_text key;
  lua_newtable(L);
  for (bool more = cp_json_open(&r->json, '{'); more;
       more = cp_json_more(&r->json, '}')) {
    if (!cp_json_key(&r->json, &key)) return;
    push_string(L, &key);
    read_value(L, r);
    lua_rawset(L, -3);
  }
}

static void read_array(lua_State *L, reader *r) {
  int count = 0;
  lua_newtable(L);
  for (bool more = cp_json_open(&r->json, '['); more;
       more = cp_json_more(&r->json, ']')) {
    read_value(L, r);
    lua_rawseti(L, -2, ++count);
  }
  lua_pushvalue(L, r->array);
  lua_setmetatable(L, -2);
}

static void read_scalar(lua_State *L, reader *r, char kind) {
  const char *start = r->json.at;
  cp_json_skip(&r->json);
  if (kind == 't' || kind == 'f')
    lua_pushboolean(L, kind == 't');
  else if (kind == 'n' || r->json.bad)
    lua_pushlightuserdata(L, NULL);
  else
    push_number(L, start, (size_t)(r->json.at - start));
}

/* Of a text that is not good something is pushed, too. */
static void read_value(lua_State *L, reader *r) {
  cp_json_text string;
  char kind = cp_json_peek(&r->json);
  luaL_checkstack(L, 6, "JSON");
  if (kind == '{')
    read_object(L, r);
  else if (kind == '[')
    read_array(L, r);
  else if (kind == '"' && cp_json_string(&r->json, &string))
    push_string(L, &string);
  else
    read_scalar(L, r, kind);
}

void cp_push_value(lua_State *L, const char *text, size_t length) {
  reader r;
  luaL_checkstack(L, 6, "JSON");
  luaL_getmetatable(L, CP_ARRAY);
  r.array = lua_gettop(L);
  cp_json_begin(&r.json, text, length);
  read_value(L, &r);
  lua_remove(L, r.array);
}

/* Writing. What can't be written is told by its words; NULL: it was written. */

typedef struct writer {
  cp_text *out;
  int path; /* stack index: the tables that lie around the one under way */
  int depth;
} writer;

static const char *write_value(lua_State *L, writer *w, int index);

static const char *written(lua_State *L, bool ok, const writer *w) {
  if (ok) return NULL;
  if (w->out->length >= JSON_MAX / 2) return "a value of that size";
  luaL_error(L, "not enough memory");
  return NULL;
}

static bool is_too_large(const writer *w, size_t length) {
  return length > JSON_MAX / 2 - 8 || w->out->length > JSON_MAX / 2;
}

static const char *write_number(lua_State *L, writer *w, int index) {
  lua_Number value = lua_tonumber(L, index);
#if LUA_VERSION_NUM >= 503
  if (lua_isinteger(L, index))
    return written(L, cp_text_printf(w->out, "%lld", (long long)lua_tointeger(L, index)),
                   w);
#endif
  char text[NUMBER_SIZE];
  if (!isfinite(value)) return "NaN or an infinite number";
  return written(L, cp_text_add(w->out, text, format_double(text, value)), w);
}

static const char *write_string(lua_State *L, writer *w, int index) {
  size_t length;
  const char *text = lua_tolstring(L, index, &length);
  if (is_too_large(w, length)) return "a value of that size";
  if (!cp_is_utf8(text, length)) return "a string that is not UTF-8";
  return written(L, cp_json_quote(w->out, &(cp_span){text, length}), w);
}

bool cp_has_metatable(lua_State *L, int index, const char *name) {
  if (!lua_getmetatable(L, index)) return false;
  luaL_getmetatable(L, name);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* Somebody may have changed it since it was checked. */
static const char *write_raw(lua_State *L, writer *w, int index) {
  size_t length;
  cp_json json;
  lua_rawgeti(L, index, 1);
  const char *text =
      lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
  lua_pop(L, 1); /* the table holds it */
  if (!text) return "a raw text that is none";
  if (is_too_large(w, length)) return "a value of that size";
  cp_json_begin(&json, text, length);
  if (!cp_json_skip(&json) || !cp_json_ended(&json)) return "a raw text that is no JSON";
  return written(L, cp_text_add(w->out, text, length), w);
}

static const char *write_array(lua_State *L, writer *w, int index) {
  size_t count = lua_rawlen(L, index);
  const char *fault = written(L, cp_text_putc(w->out, '['), w);
  for (size_t i = 1; !fault && i <= count; i++) {
    if (i > 1) fault = written(L, cp_text_putc(w->out, ','), w);
    lua_rawgeti(L, index, (int)i);
    if (!fault) fault = write_value(L, w, lua_gettop(L));
    lua_pop(L, 1);
  }
  return fault ? fault : written(L, cp_text_putc(w->out, ']'), w);
}

static int compare_keys(const void *a, const void *b) {
  const cp_span *x = a, *y = b;
  size_t length = x->length < y->length ? x->length : y->length;
  int order = memcmp(x->at, y->at, length);
  return order ? order : (x->length > y->length) - (x->length < y->length);
}

/* Pushes a list of the keys that are names, and gives their number. */
static size_t push_names(lua_State *L, int index, size_t count) {
  lua_createtable(L, (int)count, 0);
  int list = lua_gettop(L), found = 0;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    lua_pushvalue(L, -2);
    lua_rawseti(L, list, ++found);
  }
  return (size_t)found;
}

/*
** Pushes the keys, and memory with them in their order. A finalizer may change the table
** whenever memory is taken: only what the list holds is sure to stay.
*/
static const cp_span *push_keys(lua_State *L, int index, size_t *count) {
  *count = push_names(L, index, *count);
  int list = lua_gettop(L);
  cp_span *keys = lua_newuserdatauv(L, (*count + 1) * sizeof *keys, 0);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, list, (int)i + 1);
    keys[i].at = lua_tolstring(L, -1, &keys[i].length);
    lua_pop(L, 1);
  }
  qsort(keys, *count, sizeof *keys, compare_keys);
  return keys;
}

static const char *write_member(lua_State *L, writer *w, int index, const cp_span *key) {
  if (!cp_is_utf8(key->at, key->length)) return "a key that is not UTF-8";
  const char *fault =
      written(L, cp_json_quote(w->out, key) && cp_text_putc(w->out, ':'), w);
  lua_pushlstring(L, key->at, key->length);
  lua_rawget(L, index);
  if (!fault) fault = write_value(L, w, lua_gettop(L));
  lua_pop(L, 1);
  return fault;
}

static const char *write_object(lua_State *L, writer *w, int index, size_t count) {
  const char *fault = written(L, cp_text_putc(w->out, '{'), w);
  const cp_span *keys = push_keys(L, index, &count);
  for (size_t i = 0; !fault && i < count; i++) {
    if (i > 0) fault = written(L, cp_text_putc(w->out, ','), w);
    if (!fault) fault = write_member(L, w, index, &keys[i]);
  }
  lua_pop(L, 2);
  return fault ? fault : written(L, cp_text_putc(w->out, '}'), w);
}

typedef struct census {
  size_t names, numbers, others;
} census;

static census count_keys(lua_State *L, int index) {
  census keys = {0};
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    int type = lua_type(L, -2);
    keys.names += type == LUA_TSTRING;
    keys.numbers += type == LUA_TNUMBER;
    keys.others += type != LUA_TSTRING && type != LUA_TNUMBER;
  }
  return keys;
}

/* A table without keys is an object, unless it says that it is an array. */
static const char *write_plain_table(lua_State *L, writer *w, int index) {
  census keys = count_keys(L, index);
  bool is_array = cp_has_metatable(L, index, CP_ARRAY) || keys.numbers;
  if (keys.others) return "a table with keys that are neither names nor indexes";
  if (keys.names && is_array) return "a table with mixed keys";
  if (!is_array) return write_object(L, w, index, keys.names);
  if (keys.numbers != lua_rawlen(L, index)) return "a list with holes";
  return write_array(L, w, index);
}

/* Marks the table at `index` as one that lies around what is written, or no more. */
static void mark(lua_State *L, const writer *w, int index, bool around) {
  lua_pushvalue(L, index);
  if (around)
    lua_pushboolean(L, 1);
  else
    lua_pushnil(L);
  lua_rawset(L, w->path);
}

static bool is_around(lua_State *L, const writer *w, int index) {
  lua_pushvalue(L, index);
  lua_rawget(L, w->path);
  bool around = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return around;
}

static const char *write_table(lua_State *L, writer *w, int index) {
  if (cp_has_metatable(L, index, CP_RAW)) return write_raw(L, w, index);
  if (cp_has_metatable(L, index, CP_OFFER)) return "an offer (its document is meant?)";
  if (is_around(L, w, index)) return "a table that holds itself";
  if (w->depth >= CP_JSON_DEPTH) return "a table of that depth";
  mark(L, w, index, true);
  w->depth++;
  const char *fault = write_plain_table(L, w, index);
  w->depth--;
  mark(L, w, index, false);
  return fault;
}

static const char *write_value(lua_State *L, writer *w, int index) {
  luaL_checkstack(L, 10, "JSON");
  switch (lua_type(L, index)) {
    case LUA_TSTRING: return write_string(L, w, index);
    case LUA_TNUMBER: return write_number(L, w, index);
    case LUA_TTABLE: return write_table(L, w, index);
    case LUA_TBOOLEAN:
      return written(L, cp_text_puts(w->out, lua_toboolean(L, index) ? "true" : "false"),
                     w);
    case LUA_TNIL: return "nil (JSON's null is cjson.null)";
    case LUA_TFUNCTION: return "a function";
    case LUA_TTHREAD: return "a coroutine";
    default:
      if (lua_type(L, index) > LUA_TTHREAD)
        return "a cdata (cloudpartner.raw makes a number of its text)";
      if (!cp_is_null(L, index)) return "a userdata";
      return written(L, cp_text_puts(w->out, "null"), w);
  }
}

const char *cp_push_json(lua_State *L, int index) {
  writer w = {0};
  index = lua_absindex(L, index);
  luaL_checkstack(L, 10, "JSON");
  lua_newtable(L);
  w.path = lua_gettop(L);
  w.out = cp_push_text(L);
  const char *fault = write_value(L, &w, index);
  if (!fault) lua_pushlstring(L, cp_text_get(w.out), w.out->length);
  cp_text_free(w.out);
  if (!fault) lua_replace(L, w.path);
  lua_settop(L, fault ? w.path - 1 : w.path);
  return fault;
}

/* array, raw */

void cp_mark_array(lua_State *L) {
  luaL_getmetatable(L, CP_ARRAY);
  lua_setmetatable(L, -2);
}

/*
** cloudpartner.array(list): the same table, which JSON has for an array from now on, also
** when it is empty.
*/
static int make_array(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (lua_getmetatable(L, 1) && !cp_has_metatable(L, 1, CP_ARRAY))
    return luaL_error(L, "bad argument 'list': it has a metatable of its own");
  lua_settop(L, 1);
  cp_mark_array(L);
  return 1;
}

/*
** cloudpartner.raw(text): a value that is written as this JSON text, byte for byte.
** Raises for text that is none. tostring() gives it.
*/
static int make_raw(lua_State *L) {
  size_t length;
  cp_json json;
  const char *text = luaL_checklstring(L, 1, &length);
  cp_json_begin(&json, text, length);
  if (!cp_json_skip(&json) || !cp_json_ended(&json))
    return luaL_error(L, "bad argument 'text': it is no JSON");
  push_raw(L, text, length);
  return 1;
}

static int raw_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_rawgeti(L, 1, 1);
  return 1;
}

static int raw_equal(lua_State *L) {
  lua_settop(L, 2);
  bool both = lua_istable(L, 1) && lua_istable(L, 2) && cp_has_metatable(L, 1, CP_RAW) &&
              cp_has_metatable(L, 2, CP_RAW);
  if (both) lua_rawgeti(L, 1, 1), lua_rawgeti(L, 2, 1);
  lua_pushboolean(L, both && lua_rawequal(L, -1, -2));
  return 1;
}

static void add_function(lua_State *L, const char *name, lua_CFunction function) {
  lua_pushcfunction(L, function);
  lua_setfield(L, -2, name);
}

void cp_open_value(lua_State *L) {
  luaL_newmetatable(L, CP_ARRAY);
  luaL_newmetatable(L, CP_TEXT);
  add_function(L, "__gc", text_gc);
  luaL_newmetatable(L, CP_RAW);
  add_function(L, "__tostring", raw_tostring);
  add_function(L, "__eq", raw_equal);
  lua_pop(L, 3);
  add_function(L, "array", make_array);
  add_function(L, "raw", make_raw);
}
