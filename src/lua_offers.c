/*
** lua_offers.c - the methods that read offers and put them
*/
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua_json.h"
#include "lua_offer.h"
#include "lua_options.h"
#include "lua_settings.h"
#include "lua_start.h"
#include "lua_value.h"
#include "offer.h"

/* Reads */

/* client:publishers([options]): a list, as the service gives it. */
int cp_start_publishers(lua_State *L) {
  cp_options_check(L, 2, CP_FOR_CALL);
  return cp_begin_read(L, cp_task_new(L, "publishers", CP_RESULT_LIST, 2),
                       CP_ENDPOINT_PUBLISHERS);
}

/* client:offer_types([options]): likewise. */
int cp_start_offer_types(lua_State *L) {
  cp_options_check(L, 2, CP_FOR_CALL);
  return cp_begin_read(L, cp_task_new(L, "offer_types", CP_RESULT_LIST, 2),
                       CP_ENDPOINT_OFFER_TYPES);
}

/* client:offers([{filter =}]): likewise, of the client's publisher. */
int cp_start_offers(lua_State *L) {
  cp_options_check(L, 2, CP_FOR_OFFERS | CP_FOR_CALL);
  cp_lua_task *task = cp_task_new(L, "offers", CP_RESULT_LIST, 2);
  task->task.operation.publisher = cp_keep(L, cp_check_publisher(L, task->client));
  task->task.argument = cp_keep(L, cp_option_string(L, 2, "filter"));
  lua_pop(L, 1);
  return cp_begin_read(L, task, CP_ENDPOINT_OFFERS);
}

static void take_version(lua_State *L, cp_task *task) {
  char digits[24];
  cp_option_push(L, 3, "version");
  double number = lua_tonumber(L, -1);
  bool ok = number >= 1 && number <= 9007199254740992.0 && number == floor(number);
  if (!ok) luaL_error(L, "option 'version' must be an integer from 1 on");
  snprintf(digits, sizeof digits, "%.0f", number);
  task->argument = cp_keep(L, digits);
  lua_pop(L, 1);
}

static void take_slot(lua_State *L, cp_task *task) {
  const char *slot = cp_option_string(L, 3, "slot");
  if (strcmp(slot, "draft") != 0 && strcmp(slot, "preview") != 0 &&
      strcmp(slot, "production") != 0)
    luaL_error(L, "option 'slot' must be 'draft', 'preview' or 'production'");
  task->argument = cp_keep(L, slot);
  lua_pop(L, 1);
}

/* client:offer(id [, {version =} | {slot =}]): the draft, an earlier one, or a slot's. */
int cp_start_offer(lua_State *L) {
  cp_options_check(L, 3, CP_FOR_OFFER | CP_FOR_CALL);
  cp_lua_task *task = cp_new_offer_task(L, "offer", CP_RESULT_OFFER, 3);
  bool version = cp_option_given(L, 3, "version"), slot = cp_option_given(L, 3, "slot");
  if (version && slot) luaL_error(L, "options 'version' and 'slot' exclude each other");
  if (version) take_version(L, &task->task);
  if (slot) take_slot(L, &task->task);
  return cp_begin_read(L, task,
                       version ? CP_ENDPOINT_VERSION
                       : slot  ? CP_ENDPOINT_SLOT
                               : CP_ENDPOINT_OFFER);
}

void cp_push_list_result(lua_State *L, const cp_task *task) {
  const cp_text *body = &task->answer->body;
  cp_push_value(L, cp_text_get(body), body->length);
}

/* What was put is what is there, where the answer doesn't say it. */
void cp_push_offer_result(lua_State *L, const cp_task *task) {
  const cp_text *body = &task->answer->body;
  const char *etag = task->etag;
  if (cp_is_object(cp_text_get(body), body->length))
    lua_pushlstring(L, cp_text_get(body), body->length);
  else
    lua_pushstring(L, task->body);
  cp_push_offer(L, task->operation.offer, etag, etag ? strlen(etag) : 0);
  if (!task->left_out.length) return;
  cp_push_pointers(L, &task->left_out);
  lua_setfield(L, -2, "left_out");
}

/* What is put */

/*
** Takes the text of the offer at `index` for the task's body, but for what the service
** would refuse.
*/
static void take_text(lua_State *L, int index, cp_task *task, bool leaves_out) {
  int top = lua_gettop(L);
  cp_editor *editor = cp_push_editor(L, index, "put", &(cp_span){"", 0});
  cp_text *left_out = cp_push_text(L);
  bool ok = !leaves_out || cp_offer_prune(&editor->tree, cp_note_pointer, left_out);
  if (!ok) luaL_error(L, "not enough memory");
  cp_write_edits(L, editor);
  cp_free(task->body);
  task->body = NULL; /* it is made anew where this raises */
  task->body = cp_keep(L, cp_text_get(&editor->out));
  cp_text_free(&task->left_out);
  task->left_out = *left_out;
  *left_out = (cp_text){0};
  cp_close_editor(editor);
  lua_settop(L, top);
}

static const char *check_offer_text(lua_State *L, int index, size_t *length) {
  const char *text = cp_offer_text(L, index, length);
  if (!text)
    luaL_error(L,
               "bad argument 'offer': an offer, or its JSON text, expected, not %s "
               "(cloudpartner.offer makes one of a table)",
               luaL_typename(L, index));
  if (!cp_is_object(text, *length))
    luaL_error(L, "bad argument 'offer': its text is no JSON object");
  return text;
}

/* The value on top of the stack: a string that can be sent back, or no string. */
static const char *check_etag(lua_State *L, const char *name) {
  size_t length;
  if (lua_type(L, -1) != LUA_TSTRING) return NULL;
  const char *etag = lua_tolstring(L, -1, &length);
  if (!cp_is_etag(etag, length))
    luaL_error(L, "%s: an etag must not be empty or hold control characters", name);
  return etag;
}

/* The etag of the offer at 3, which must be of the offer that is put. */
static const char *push_etag(lua_State *L) {
  size_t length;
  const char *id = cp_field_text(L, 3, "id", &length);
  if (id && strcmp(id, lua_tostring(L, 2)) != 0)
    luaL_error(L,
               "put_offer: the etag is that of '%s': read '%s', or give if_match or "
               "create",
               cp_push_line(L, id, length), lua_tostring(L, 2));
  lua_pop(L, 1);
  lua_pushliteral(L, "etag");
  lua_rawget(L, 3);
  return check_etag(L, "put_offer");
}

/* The etag that a PUT sends: as asked for, or the one that was read with this offer. */
static void take_condition(lua_State *L, cp_task *task) {
  int top = lua_gettop(L);
  bool creates = cp_option_is_true(L, 4, "create");
  cp_option_push(L, 4, "if_match");
  const char *given = check_etag(L, "put_offer");
  if (given && creates)
    luaL_error(L, "options 'if_match' and 'create' exclude each other");
  if (!given && !creates && lua_istable(L, 3)) given = push_etag(L);
  if (!given && !creates)
    luaL_error(L, "put_offer: this offer has no etag: read it with client:offer, or give "
                  "if_match = '*' to overwrite whatever is there, or create = true where "
                  "nothing is");
  if (!creates) task->if_match = cp_keep(L, given);
  lua_settop(L, top);
}

static int begin_put(lua_State *L, cp_lua_task *task, bool edits, bool creates) {
  cp_task *of = &task->task;
  cp_put_init(&of->as.put, &task->client->service, &of->operation, &of->body, edits,
              creates);
  of->machine = &cp_put_machine;
  cp_task_begin(L, task);
  return 1;
}

/*
** client:put_offer(id, offer [, {if_match =, create =, leave_out =}]): the offer as it is
** then, with its new etag.
*/
int cp_start_put_offer(lua_State *L) {
  size_t length;
  cp_check_id(L, 2, "offer");
  if (lua_isnone(L, 3)) lua_settop(L, 3);
  cp_options_check(L, 4, CP_FOR_PUT | CP_FOR_CALL);
  check_offer_text(L, 3, &length);
  cp_lua_task *task = cp_new_offer_task(L, "put_offer", CP_RESULT_OFFER, 4);
  take_condition(L, &task->task);
  take_text(L, 3, &task->task, !cp_option_is_false(L, 4, "leave_out"));
  return begin_put(L, task, false, cp_option_is_true(L, 4, "create"));
}

/* update. Of its task env.calls holds the function, the options and the offer. */

/*
** client:update(id, f [, {leave_out =, if_match =}]): reads the offer, calls f(offer),
** puts what that made of it, and begins anew when somebody else was quicker. The offer as
** it is then. f may return false: then nothing is put, and nothing when it changed
** nothing.
*/
int cp_start_update(lua_State *L) {
  cp_check_id(L, 2, "offer");
  if (!lua_isfunction(L, 3))
    luaL_error(L, "bad argument 'f': a function expected, not %s", luaL_typename(L, 3));
  cp_options_check(L, 4, CP_FOR_UPDATE | CP_FOR_CALL);
  cp_option_push(L, 4, "if_match");
  check_etag(L, "update");
  lua_pop(L, 1);
  cp_lua_task *task = cp_new_offer_task(L, "update", CP_RESULT_OFFER, 4);
  int top = lua_gettop(L), env = cp_push_env(L, 1);
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "edit");
  lua_pushvalue(L, 4);
  lua_setfield(L, -2, "options");
  cp_task_note(L, env, "calls", task);
  lua_settop(L, top);
  return begin_put(L, task, true, false);
}

static void push_calls(lua_State *L, int env, const cp_lua_task *task) {
  lua_getfield(L, env, "calls");
  cp_rawgetp(L, -1, task);
  lua_remove(L, -2);
}

void cp_push_edit(lua_State *L, int env, const cp_lua_task *task) {
  push_calls(L, env, task);
  cp_push_offer_result(L, &task->task);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "offer");
  lua_remove(L, -2);
}

static void take_etag(lua_State *L, int options, cp_task *task) {
  const char *etag = task->etag ? task->etag : cp_option_string(L, options, "if_match");
  if (!etag)
    luaL_error(L,
               "update: the service told no etag of this offer: give if_match = '*' to "
               "overwrite whatever is there");
  cp_free(task->if_match);
  task->if_match = NULL;
  task->if_match = cp_keep(L, etag);
}

static bool is_unchanged(const cp_task *task, const char *text, size_t length) {
  const cp_text *read = &task->answer->body;
  return read->length == length && memcmp(cp_text_get(read), text, length) == 0;
}

bool cp_take_edit(lua_State *L, int env, cp_lua_task *task, bool refused) {
  int top = lua_gettop(L);
  size_t length;
  push_calls(L, env, task);
  lua_getfield(L, top + 1, "options");
  lua_getfield(L, top + 1, "offer");
  int options = top + 2, offer = top + 3;
  const char *text = check_offer_text(L, offer, &length);
  bool wants = !refused && !is_unchanged(&task->task, text, length);
  if (wants) {
    take_etag(L, options, &task->task);
    take_text(L, offer, &task->task, !cp_option_is_false(L, options, "leave_out"));
  }
  lua_settop(L, top);
  return wants;
}
