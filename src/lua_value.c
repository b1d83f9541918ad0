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

#include "lua_json.h"
#include "tree.h"

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

/* The shortest text that is read back as the same number. */
static bool write_double(cp_text *out, double value) {
  char text[64];
  int digits = 15;
  do snprintf(text, sizeof text, "%.*g", digits, value);
  while (strtod(text, NULL) != value && digits++ < 17);
  const char *point = point_of_locale(), *found = strstr(text, point);
  if (!found) return cp_text_puts(out, text);
  return cp_text_add(out, text, (size_t)(found - text)) && cp_text_putc(out, '.') &&
         cp_text_puts(out, found + strlen(point));
}

static void push_raw(lua_State *L, const char *text, size_t length) {
  lua_createtable(L, 1, 0);
  lua_pushlstring(L, text, length);
  lua_rawseti(L, -2, 1);
  luaL_getmetatable(L, CP_RAW);
  lua_setmetatable(L, -2);
}

#if LUA_VERSION_NUM >= 503
#define INTEGER_MAX ((uint64_t)LUA_MAXINTEGER)
#define push_integer(L, negative, size) \
  lua_pushinteger(L, (lua_Integer)((negative) ? 0 - (size) : (size)))
#else
#define INTEGER_MAX ((uint64_t)1 << 53)
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
  if (size > INTEGER_MAX) return false;
  push_integer(L, negative, size);
  return true;
}

/* As long as this a text is surely read whole; a longer one stays text. */
#define NUMBER_MAX 400

/* An integer too large for Lua, or a number too large for a double, stays its text. */
static void push_number(lua_State *L, const char *text, size_t length) {
  bool whole = !memchr(text, '.', length) && !memchr(text, 'e', length) &&
               !memchr(text, 'E', length);
  bool zero = whole && length == 2 && text[0] == '-' && text[1] == '0';
  if (whole && push_whole(L, text, text + length)) return;
  double value = length <= NUMBER_MAX ? read_double(text, length) : INFINITY;
  if ((whole && !zero) || !isfinite(value))
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

static const char *write_number(lua_State *L, writer *w, int index) {
  lua_Number value = lua_tonumber(L, index);
#if LUA_VERSION_NUM >= 503
  if (lua_isinteger(L, index))
    return written(L, cp_text_printf(w->out, "%lld", (long long)lua_tointeger(L, index)),
                   w);
#endif
  if (!isfinite(value)) return "NaN or an infinite number";
  bool whole = value == floor(value) && fabs(value) < 1e15;
  return written(
      L, whole ? cp_text_printf(w->out, "%.0f", value) : write_double(w->out, value), w);
}

/* How many bytes the character at `at` has in UTF-8 (RFC 3629); 0: it is none. */
static size_t character(const unsigned char *at, size_t left) {
  static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t length = *at < 0x80   ? 1
                  : *at < 0xc2 ? 0
                  : *at < 0xe0 ? 2
                  : *at < 0xf0 ? 3
                  : *at < 0xf5 ? 4
                               : 0;
  unsigned value = length == 1 ? *at : *at & (0x7fu >> length);
  if (length > left) return 0;
  for (size_t i = 1; i < length; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
    value = value << 6 | (at[i] & 0x3fu);
  }
  bool surrogate = value >= 0xd800 && value < 0xe000;
  return length && value >= least[length] && value < 0x110000 && !surrogate ? length : 0;
}

static bool is_utf8(const char *text, size_t length) {
  for (size_t i = 0, size; i < length; i += size)
    if (!(size = character((const unsigned char *)text + i, length - i))) return false;
  return true;
}

static const char *write_string(lua_State *L, writer *w, int index) {
  size_t length;
  const char *text = lua_tolstring(L, index, &length);
  if (!is_utf8(text, length)) return "a string that is not UTF-8";
  return written(L, cp_json_quote(w->out, &(cp_span){text, length}), w);
}

static bool has_metatable(lua_State *L, int index, const char *name) {
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

/* Pushes memory with the keys in their order; they stay as long as the table. */
static cp_span *push_keys(lua_State *L, int index, size_t count) {
  cp_span *keys = lua_newuserdatauv(L, (count + 1) * sizeof *keys, 0);
  size_t i = 0;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1), i++)
    keys[i].at = lua_tolstring(L, -2, &keys[i].length);
  qsort(keys, count, sizeof *keys, compare_keys);
  return keys;
}

static const char *write_member(lua_State *L, writer *w, int index, const cp_span *key) {
  if (!is_utf8(key->at, key->length)) return "a key that is not UTF-8";
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
  const cp_span *keys = push_keys(L, index, count);
  for (size_t i = 0; !fault && i < count; i++) {
    if (i > 0) fault = written(L, cp_text_putc(w->out, ','), w);
    if (!fault) fault = write_member(L, w, index, &keys[i]);
  }
  lua_pop(L, 1);
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
  bool is_array = has_metatable(L, index, CP_ARRAY) || keys.numbers;
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
  if (has_metatable(L, index, CP_RAW)) return write_raw(L, w, index);
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
  lua_rawgeti(L, 1, 1);
  lua_rawgeti(L, 2, 1);
  lua_pushboolean(L, lua_rawequal(L, -1, -2));
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
