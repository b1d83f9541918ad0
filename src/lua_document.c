/*
** lua_document.c - the service's JSON documents as tables for users
*/
#include "lua_document.h"

#include <string.h>

#include "lua_json.h"
#include "plain.h"

/* Reading */

/* The service wraps an operation in an array of one: wire, "Endpoints". */
static void unwrap(lua_State *L) {
  if (!lua_istable(L, -1) || lua_rawlen(L, -1) != 1) return;
  lua_rawgeti(L, -1, 1);
  if (lua_istable(L, -1))
    lua_remove(L, -2);
  else
    lua_pop(L, 1);
}

/* Pushes the document of a text; false, and nothing pushed, when that is no object. */
static bool push_document(lua_State *L, const cp_text *text) {
  if (!text->length || !cp_decode(L, text->data, text->length)) return false;
  unwrap(L);
  if (lua_istable(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

static bool has_text(lua_State *L, int table, const char *name, const char *text) {
  size_t length;
  const char *value = cp_field_text(L, table, name, &length);
  bool same = value && cp_word_same(value, length, text, strlen(text));
  lua_pop(L, 1);
  return same;
}

static bool has_error_message(lua_State *L, int step) {
  bool found = false;
  if (cp_field_table(L, step, "messages"))
    for (int i = 1; !found && i <= (int)lua_rawlen(L, -1); i++) {
      lua_rawgeti(L, -1, i);
      found = lua_istable(L, -1) && has_text(L, lua_gettop(L), "level", "error");
      lua_pop(L, 1);
    }
  lua_pop(L, 1);
  return found;
}

static cp_state state_of_step(lua_State *L, int step) {
  size_t length;
  const char *word = cp_field_text(L, step, "status", &length);
  cp_state state = word ? cp_word_step(word, length) : CP_UNKNOWN;
  lua_pop(L, 1);
  return state;
}

static bool step_blocks(lua_State *L, int step, cp_state state) {
  return state == CP_REJECTED || (state == CP_BLOCKED && has_error_message(L, step));
}

static bool is_array(const cp_text *text) {
  const char *data = cp_text_get(text);
  return data[strspn(data, " \t\r\n")] == '[';
}

void cp_push_list(lua_State *L, const cp_answer *answer) {
  const cp_text *body = &answer->body;
  if (!is_array(body) || !cp_decode(L, body->data, body->length)) lua_pushnil(L);
}

/* Tables for users */

/*
** Pushes HTML as plain text. What it is written to is Lua's, so a raise leaves nothing.
*/
static void push_plain(lua_State *L, const char *html, size_t length) {
  char *plain = lua_newuserdatauv(L, length + 1, 0);
  lua_pushlstring(L, plain, cp_plain(html, length, plain));
  lua_remove(L, -2);
}

/* Copies a field that is there, under another name. */
static void copy(lua_State *L, int from, const char *field, int to, const char *name) {
  lua_pushstring(L, field);
  lua_rawget(L, from);
  if (cp_is_null(L, -1)) lua_pushnil(L);
  if (lua_isnil(L, -1))
    lua_settop(L, to);
  else
    lua_setfield(L, to, name);
}

/* Appends to the list on top of the stack the message at `index`. */
static void add_message(lua_State *L, int index, int place) {
  lua_newtable(L);
  int message = lua_gettop(L);
  size_t length;
  bool whole = lua_istable(L, index);
  const char *html = whole ? cp_field_text(L, index, "messageHtml", &length)
                           : lua_tolstring(L, index, &length);
  lua_pushlstring(L, html ? html : "", html ? length : 0);
  lua_setfield(L, message, "html");
  push_plain(L, html ? html : "", html ? length : 0);
  lua_setfield(L, message, "text");
  lua_settop(L, message);
  if (whole) copy(L, index, "level", message, "level");
  if (whole) copy(L, index, "timestamp", message, "timestamp");
  lua_rawseti(L, message - 2, place);
}

/* Pushes the list of messages of a step or document. */
static void push_messages(lua_State *L, int from) {
  bool given = cp_field_table(L, from, "messages");
  int messages = lua_gettop(L), count = 0;
  lua_newtable(L);
  for (int i = 1; given && i <= (int)lua_rawlen(L, messages); i++) {
    lua_rawgeti(L, messages, i);
    bool readable = lua_istable(L, -1) || lua_type(L, -1) == LUA_TSTRING;
    if (readable) add_message(L, lua_gettop(L), ++count);
    lua_settop(L, messages + 1);
  }
  lua_remove(L, messages);
}

static int percentage(lua_State *L, int step, cp_state state) {
  if (state == CP_SUCCEEDED) return 100;
  lua_pushliteral(L, "progressPercentage");
  lua_rawget(L, step);
  double value = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return value >= 0 && value <= 100 ? (int)value : value > 100 ? 100 : 0;
}

static void set_integer(lua_State *L, int table, const char *name, int value) {
  lua_pushinteger(L, value);
  lua_setfield(L, table, name);
}

static void set_string(lua_State *L, int table, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, table, name);
}

/* Pushes the step at `from` as a table; gives its state. */
static cp_state push_step(lua_State *L, int from) {
  cp_state state = state_of_step(L, from);
  lua_createtable(L, 0, 8);
  int step = lua_gettop(L);
  copy(L, from, "id", step, "id");
  copy(L, from, "stepName", step, "name");
  copy(L, from, "description", step, "description");
  copy(L, from, "status", step, "status");
  copy(L, from, "estimatedTimeFrame", step, "estimated_time");
  set_string(L, step, "state", cp_state_name(state));
  set_integer(L, step, "progress", percentage(L, from, state));
  push_messages(L, from);
  lua_setfield(L, step, "messages");
  return state;
}

/* The step on top of the stack blocks, unless an earlier one does already. */
static void set_blocked_by(lua_State *L, int status) {
  lua_getfield(L, status, "blocked_by");
  lua_pushvalue(L, lua_isnil(L, -1) ? -2 : -1);
  lua_setfield(L, status, "blocked_by");
  lua_pop(L, 1);
}

/* Sets `steps` and `blocked_by` of the status; gives the mean of the steps' progress. */
static int set_steps(lua_State *L, int document, int status) {
  bool given = cp_field_table(L, document, "steps");
  int from = lua_gettop(L), count = 0, sum = 0;
  lua_newtable(L);
  for (int i = 1; given && i <= (int)lua_rawlen(L, from); i++) {
    lua_rawgeti(L, from, i);
    if (lua_istable(L, -1)) {
      cp_state state = push_step(L, from + 2);
      sum += percentage(L, from + 2, state);
      if (step_blocks(L, from + 2, state)) {
        set_blocked_by(L, status);
      }
      lua_rawseti(L, from + 1, ++count);
    }
    lua_settop(L, from + 1);
  }
  lua_setfield(L, status, "steps");
  lua_settop(L, from - 1);
  return count ? sum / count : 0;
}

/* What is blocked does so only while the operation runs. */
static void forget_blocked(lua_State *L, int status) {
  lua_pushnil(L);
  lua_setfield(L, status, "blocked_by");
}

static void fill_status(lua_State *L, const cp_lua_task *task, int document, int status) {
  const cp_task *of = &task->task;
  bool ended = cp_state_ended(of->state);
  int progress = set_steps(L, document, status);
  set_integer(L, status, "progress", of->state == CP_SUCCEEDED ? 100 : progress);
  set_string(L, status, "state", cp_state_name(of->state));
  copy(L, document, "status", status, "status");
  lua_pushboolean(L, ended);
  lua_setfield(L, status, "done");
  if (ended) forget_blocked(L, status);
  push_messages(L, document);
  lua_setfield(L, status, "messages");
  copy(L, document, "error", status, "error");
  if (of->hint >= 0) {
    lua_pushnumber(L, of->hint);
    lua_setfield(L, status, "retry_after");
  }
  lua_pushvalue(L, document);
  lua_setfield(L, status, "document");
}

void cp_push_status(lua_State *L, const cp_lua_task *task) {
  luaL_checkstack(L, 30, "a status");
  if (!push_document(L, &task->task.document)) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 11);
  int status = lua_gettop(L);
  fill_status(L, task, status - 1, status);
  lua_remove(L, status - 1);
}

/* Errors */

/*
** Takes a string field of the table at `from` for `*place`, unless that is known
** already.
*/
/* So many of the fields that a problem names go into a message. */
#define PROBLEM_FIELDS 20

static void look(lua_State *L, int from, const char *name, int *place) {
  size_t length;
  const char *text = cp_field_text(L, from, name, &length);
  if (text && length && !*place)
    *place = lua_gettop(L);
  else
    lua_pop(L, 1);
}

static void look_into(lua_State *L, int from, cp_said *said, int depth);

/* {"error": {"code", "message", "details": [...]}}, {"error": "text"} */
static void look_at_error(lua_State *L, int from, cp_said *said, int depth) {
  size_t length;
  if (cp_field_table(L, from, "error")) {
    look_into(L, lua_gettop(L), said, depth + 1);
    return;
  }
  lua_pop(L, 1);
  const char *text = cp_field_text(L, from, "error", &length);
  if (text && length && !said->message) said->message = lua_gettop(L);
}

/*
** RFC 9110 problem: {"title", "errors": {field: [text, ...]}}: the fields say what to
** do.
*/
static void look_at_problem(lua_State *L, int from, cp_said *said) {
  size_t length;
  int fields = 0;
  const char *title = cp_field_text(L, from, "title", &length);
  if (!title || said->message) return;
  int text = lua_gettop(L);
  if (cp_field_table(L, from, "errors"))
    for (lua_pushnil(L); fields < PROBLEM_FIELDS && lua_next(L, text + 1);
         lua_settop(L, text + 2), fields++) {
      if (lua_istable(L, -1)) lua_rawgeti(L, -1, 1);
      if (lua_type(L, -1) != LUA_TSTRING || lua_type(L, text + 2) != LUA_TSTRING)
        continue;
      lua_pushfstring(L, "%s; %s: %s", lua_tostring(L, text), lua_tostring(L, text + 2),
                      lua_tostring(L, -1));
      lua_replace(L, text);
    }
  if (lua_rawlen(L, text)) said->message = text;
  lua_settop(L, text);
}

/* {"Variant": {"serviceName", "error"}}: keyed by the name of a service. */
static void look_at_service(lua_State *L, int from, cp_said *said, int depth) {
  lua_pushnil(L);
  if (!lua_next(L, from)) return;
  int inner = lua_gettop(L);
  if (!lua_istable(L, inner) || lua_type(L, inner - 1) != LUA_TSTRING) return;
  look(L, inner, "serviceName", &said->code);
  look_into(L, inner, said, depth + 1);
}

/* Shapes: wire, "Errors". What is found stays on the stack. */
static void look_into(lua_State *L, int from, cp_said *said, int depth) {
  if (depth > 4) return;
  luaL_checkstack(L, 20, "an error");
  look(L, from, "code", &said->code);
  look(L, from, "message", &said->message);
  look(L, from, "Message", &said->message);
  look(L, from, "detail", &said->message);
  look(L, from, "traceId", &said->request_id);
  look(L, from, "correlationId", &said->request_id);
  look(L, from, "correlation_id", &said->request_id);
  look_at_error(L, from, said, depth);
  look_at_problem(L, from, said);
  look(L, from, "error_description", &said->message);
  if (!said->message) look_at_service(L, from, said, depth);
}

/* A string may hold JSON, or text followed by JSON. */
static void look_into_text(lua_State *L, int index, cp_said *said) {
  size_t length;
  const char *text = lua_tolstring(L, index, &length);
  const char *json = memchr(text, '{', length);
  if (json && cp_decode(L, json, length - (size_t)(json - text)) && lua_istable(L, -1))
    look_into(L, lua_gettop(L), said, 1);
  if (said->message || !length) return;
  push_plain(L, text, length);
  if (lua_rawlen(L, -1)) said->message = lua_gettop(L);
}

void cp_push_error_body(lua_State *L, const cp_answer *answer, cp_said *said) {
  const cp_text *body = &answer->body;
  *said = (cp_said){0};
  luaL_checkstack(L, 20, "an error");
  if (!body->length) {
    lua_pushnil(L);
    return;
  }
  if (!cp_decode(L, body->data, body->length))
    lua_pushlstring(L, body->data, body->length);
  int details = lua_gettop(L);
  if (lua_istable(L, details)) look_into(L, details, said, 0);
  if (lua_type(L, details) == LUA_TSTRING) look_into_text(L, details, said);
}

/*
** The place of the first message of level `error`; else of the first one, or 0:
** `otherwise`.
*/
static int telling_message(lua_State *L, int messages, int otherwise) {
  int place = 0, count = (int)lua_rawlen(L, messages);
  for (int i = 1; !place && i <= count; i++) {
    lua_rawgeti(L, messages, i);
    if (has_text(L, lua_gettop(L), "level", "error")) place = i;
    lua_pop(L, 1);
  }
  return place || !count ? place : otherwise;
}

/* Pushes "name: text" of the step or status at `from`; false: it has nothing to say. */
static bool push_reason_of(lua_State *L, int from, int otherwise) {
  int top = lua_gettop(L);
  lua_getfield(L, from, "messages");
  int place = lua_istable(L, -1) ? telling_message(L, top + 1, otherwise) : 0;
  if (!place) {
    lua_settop(L, top);
    return false;
  }
  lua_rawgeti(L, top + 1, place);
  lua_getfield(L, top + 2, "text");
  lua_getfield(L, from, "name");
  if (lua_isstring(L, -1))
    lua_pushfstring(L, "%s: %s", lua_tostring(L, -1), lua_tostring(L, -2));
  else
    lua_pop(L, 1);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return true;
}

/* What blocks speaks even by a message that is no error. */
static bool push_blocked_reason(lua_State *L, int status) {
  lua_getfield(L, status, "blocked_by");
  return lua_istable(L, -1) && push_reason_of(L, lua_gettop(L), 1);
}

static bool push_steps_reason(lua_State *L, int status) {
  lua_getfield(L, status, "steps");
  int steps = lua_gettop(L);
  for (int i = 1; i <= (int)lua_rawlen(L, steps); i++) {
    lua_rawgeti(L, steps, i);
    if (push_reason_of(L, steps + 1, 0)) return true;
    lua_settop(L, steps);
  }
  return false;
}

static bool push_error_reason(lua_State *L, int status) {
  cp_said said = {0};
  lua_getfield(L, status, "error");
  int error = lua_gettop(L);
  if (lua_istable(L, error)) look_into(L, error, &said, 0);
  bool text = lua_type(L, error) == LUA_TSTRING && lua_rawlen(L, error);
  if (text) said.message = error;
  if (said.message) lua_pushvalue(L, said.message);
  return said.message != 0;
}

void cp_push_reason(lua_State *L, const cp_lua_task *task) {
  cp_push_status(L, task);
  int status = lua_gettop(L);
  if (lua_isnil(L, status)) return;
  if (!push_error_reason(L, status) && !push_blocked_reason(L, status) &&
      !push_reason_of(L, status, 0) && !push_steps_reason(L, status))
    lua_pushnil(L);
  lua_replace(L, status);
  lua_settop(L, status);
}
