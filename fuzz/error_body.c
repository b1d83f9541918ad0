/*
** error_body.c - fuzzes what becomes of a body in Lua: an error's, and a document's
** lua-cjson has to take what src/json.c takes, and tell the same of it.
*/
#include "../src/lua_document.h"

#include <lualib.h>
#include <stdio.h>

#include "../src/document.h"
#include "../src/json.h"
#include "../src/lua_json.h"
#include "../src/plain.h"
#include "../src/url.h"
#include "harness.h"

/* A body of a few kB needs no more memory than this, in bytes. */
#define MEMORY_MAX ((size_t)16 << 20)

/* What may come between the texts that a message is made of, in bytes. */
#define MESSAGE_EXTRA 80

/* Plain text */

/* The bytes of the UTF-8 character at `at`; 0 when there is none. */
static size_t utf8_size(const unsigned char *at, size_t left) {
  size_t size = *at < 0x80 ? 1 : *at < 0xc2 ? 0 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
  if (size == 0 || size > left || *at > 0xf4) return 0;
  for (size_t i = 1; i < size; i++)
    if ((at[i] & 0xc0) != 0x80) return 0;
  return size;
}

static bool is_utf8(const char *text, size_t length) {
  for (size_t size; length; text += size, length -= size)
    if (!(size = utf8_size((const unsigned char *)text, length))) return false;
  return true;
}

static void check_line(const char *text, size_t length, size_t limit) {
  char *line = malloc(limit + CP_LINE_EXTRA);
  assert(line);
  size_t written = cp_line(text, length, limit, line);
  assert(written <= limit + CP_LINE_EXTRA && !has_control(line, written));
  assert(length > limit || written == length);
  if (is_utf8(text, length)) assert(is_utf8(line, written));
  free(line);
}

static void check_plain_text(const char *plain, size_t length) {
  assert(!has_control(plain, length));
  if (length) assert(plain[0] != ' ' && plain[length - 1] != ' ');
  for (size_t i = 1; i < length; i++) assert(plain[i] != ' ' || plain[i - 1] != ' ');
}

static void check_plain(const uint8_t *data, size_t size) {
  cp_text html = exact_bytes(data, size), plain = exact_bytes(data, size);
  plain.length = cp_plain(html.data, html.length, plain.data);
  assert(plain.length <= size);
  check_plain_text(plain.data, plain.length);
  if (is_utf8(html.data, size)) assert(is_utf8(plain.data, plain.length));
  cp_text_free(&plain);
  cp_text_free(&html);
}

/* Errors */

/* What `said` names is a string that is there, and says something. */
static void check_said(lua_State *L, int index, int first, size_t limit) {
  if (index == 0) return;
  assert(index >= first && index <= lua_gettop(L));
  assert(lua_type(L, index) == LUA_TSTRING);
  assert(lua_rawlen(L, index) > 0 && lua_rawlen(L, index) <= limit);
}

static void check_error(lua_State *L, const cp_text *body) {
  cp_answer answer = {.http_status = 500, .body = *body};
  cp_said said;
  int details = lua_gettop(L) + 1;
  size_t length, limit = body->length + MESSAGE_EXTRA;
  cp_push_error_body(L, &answer, &said);
  assert(lua_gettop(L) >= details && lua_isnil(L, details) == (body->length == 0));
  check_said(L, said.message, details, limit);
  check_said(L, said.code, details, limit);
  check_said(L, said.request_id, details, limit);
  if (said.message) {
    const char *text = lua_tolstring(L, said.message, &length);
    check_line(text, length, 1000);
    check_line(text, length, 10);
  }
  lua_settop(L, details - 1);
}

/* Documents */

static bool is_json(const cp_text *body) {
  cp_json json;
  cp_json_begin(&json, body->data, body->length);
  return cp_json_skip(&json) && cp_json_ended(&json);
}

static void check_decoded(lua_State *L, const cp_text *body) {
  int top = lua_gettop(L);
  bool decoded = cp_decode(L, body->data, body->length);
  assert(lua_gettop(L) == top + decoded);
  assert(decoded || !is_json(body));
  lua_settop(L, top);
}

static void check_type(lua_State *L, int table, const char *name, int type) {
  lua_getfield(L, table, name);
  assert(lua_type(L, -1) == type);
  lua_pop(L, 1);
}

static void check_message(lua_State *L, int message) {
  size_t length;
  check_type(L, message, "html", LUA_TSTRING);
  check_type(L, message, "text", LUA_TSTRING);
  const char *text = cp_field_text(L, message, "text", &length);
  check_plain_text(text, length);
  lua_pop(L, 1);
}

/* Calls `check` with each element of the list in a field of the table at `from`. */
static void check_each(lua_State *L, int from, const char *name,
                       void (*check)(lua_State *L, int index)) {
  assert(cp_field_table(L, from, name));
  int list = lua_gettop(L);
  for (int i = 1; i <= (int)lua_rawlen(L, list); i++) {
    lua_rawgeti(L, list, i);
    check(L, list + 1);
    lua_settop(L, list);
  }
  lua_settop(L, list - 1);
}

static void check_progress(lua_State *L, int table) {
  lua_getfield(L, table, "progress");
  assert(lua_isinteger(L, -1));
  assert(lua_tointeger(L, -1) >= 0 && lua_tointeger(L, -1) <= 100);
  lua_pop(L, 1);
}

static void check_step(lua_State *L, int step) {
  check_type(L, step, "state", LUA_TSTRING);
  check_progress(L, step);
  check_each(L, step, "messages", check_message);
}

static void check_reason(lua_State *L, const cp_lua_task *task) {
  int top = lua_gettop(L);
  cp_push_reason(L, task);
  assert(lua_gettop(L) == top + 1);
  assert(lua_isnil(L, -1) || lua_type(L, -1) == LUA_TSTRING);
  lua_settop(L, top);
}

/* The status as a user sees it tells what the machine has understood. */
static void check_status_table(lua_State *L, const cp_digest *digest, int status) {
  bool ended = cp_state_ended(digest->state);
  assert(lua_istable(L, status));
  check_type(L, status, "status", LUA_TSTRING);
  check_type(L, status, "document", LUA_TTABLE);
  check_type(L, status, "blocked_by", digest->blocked && !ended ? LUA_TTABLE : LUA_TNIL);
  lua_getfield(L, status, "done");
  assert(lua_toboolean(L, -1) == ended);
  lua_pop(L, 1);
  check_progress(L, status);
  check_each(L, status, "messages", check_message);
  check_each(L, status, "steps", check_step);
}

static void check_status(lua_State *L, const cp_text *body) {
  cp_digest digest = {0};
  int top = lua_gettop(L);
  cp_document_digest(CP_DOC_OPERATION, body, &digest);
  if (!digest.understood) return;
  cp_lua_task task = {.task = {.document = *body, .state = digest.state, .hint = -1}};
  cp_push_status(L, &task);
  assert(lua_gettop(L) == top + 1);
  check_status_table(L, &digest, top + 1);
  lua_settop(L, top);
  check_reason(L, &task);
}

/* Lists */

/* Is the element of a list on top of the stack an entry, and which? */
static const char *entry_id(lua_State *L) {
  size_t length;
  int element = lua_gettop(L);
  if (!lua_istable(L, element)) return NULL;
  const char *id = cp_field_text(L, element, "id", &length);
  return id && cp_url_segment_ok(id, length) ? id : NULL;
}

static void check_entries(lua_State *L, const cp_digest *digest) {
  int list = lua_gettop(L);
  size_t count = 0;
  assert(lua_istable(L, list));
  for (int i = 1; i <= (int)lua_rawlen(L, list); i++) {
    lua_rawgeti(L, list, i);
    const char *id = entry_id(L);
    if (id) assert(count < digest->entry_count);
    if (id) assert(strcmp(digest->entries[count++].id, id) == 0);
    lua_settop(L, list);
  }
  assert(count == digest->entry_count);
}

static void check_list(lua_State *L, const cp_text *body) {
  cp_answer answer = {.http_status = 200, .body = *body};
  cp_digest digest = {0};
  int top = lua_gettop(L);
  cp_document_digest(CP_DOC_LIST, body, &digest);
  cp_push_list(L, &answer);
  assert(lua_gettop(L) == top + 1);
  if (digest.understood) check_entries(L, &digest);
  cp_digest_free(&digest);
  lua_settop(L, top);
}

/* Lua */

static int check_body(lua_State *L) {
  const cp_text *body = lua_touserdata(L, 1);
  check_error(L, body);
  check_decoded(L, body);
  check_status(L, body);
  check_list(L, body);
  return 0;
}

static void *allocate(void *used, void *block, size_t old_size, size_t size) {
  size_t *sum = used;
  *sum += size - (block ? old_size : 0);
  assert(*sum <= MEMORY_MAX);
  if (size) return realloc(block, size);
  free(block);
  return NULL;
}

static int open_lua(lua_State *L) {
  luaL_requiref(L, LUA_LOADLIBNAME, luaopen_package, 1);
  cp_open_json(L);
  return 0;
}

static lua_State *new_state(void) {
  static size_t used;
  lua_State *L = lua_newstate(allocate, &used);
  assert(L);
  luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
  lua_settop(L, 0);
  lua_pushcfunction(L, open_lua);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    abort();
  }
  return L;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static lua_State *L;
  if (!L) L = new_state();
  check_plain(data, size);
  cp_text body = exact_text(data, size);
  lua_pushcfunction(L, check_body);
  lua_pushlightuserdata(L, &body);
  assert(lua_pcall(L, 1, 0, 0) == LUA_OK && lua_gettop(L) == 0);
  cp_text_free(&body);
  return 0;
}
