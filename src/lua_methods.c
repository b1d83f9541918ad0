/*
** lua_methods.c - the methods that ask the service: each makes a task, and blocking is
** driving that task to its end
*/
#include <math.h>
#include <string.h>

#include "lua_client.h"
#include "lua_json.h"
#include "lua_operation.h"
#include "lua_options.h"
#include "lua_settings.h"
#include "lua_start.h"
#include "url.h"

/* Arguments. In all of these the client is at stack index 1. */

const char *cp_check_publisher(lua_State *L, const cp_client *client) {
  if (!client->publisher)
    luaL_error(
        L, "no publisher: give the option 'publisher', or set CLOUDPARTNER_PUBLISHER");
  return client->publisher;
}

cp_lua_task *cp_new_offer_task(lua_State *L, const char *call, cp_result result,
                               int options) {
  cp_client *client = cp_check_client(L, 1);
  const char *offer = cp_check_id(L, 2, "offer");
  cp_check_publisher(L, client);
  cp_lua_task *task = cp_task_new(L, call, result, options);
  task->task.operation.publisher = cp_keep(L, client->publisher);
  task->task.operation.offer = cp_keep(L, offer);
  return task;
}

/* golive, publish, cancel */

static void check_email(lua_State *L, int index) {
  size_t length;
  const char *email =
      lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &length) : NULL;
  if (!email) luaL_error(L, "option 'notification_emails' must be a list of strings");
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)email[i] <= ' ' || email[i] == ',')
      luaL_error(
          L, "option 'notification_emails': an address must not hold blanks or commas");
  if (!length)
    luaL_error(L, "option 'notification_emails': an address must not be empty");
}

/* The number of addresses; raises for a table that is no list. */
static int count_emails(lua_State *L, int list) {
  int count = 0, length = lua_istable(L, list) ? (int)lua_rawlen(L, list) : 0;
  if (lua_istable(L, list))
    for (lua_pushnil(L); lua_next(L, list); lua_pop(L, 1)) count++;
  if (count != length) luaL_error(L, "option 'notification_emails' must be a list");
  return length;
}

/* Pushes the addresses as the service wants them: one string, joined by commas. */
static bool push_emails(lua_State *L, int options) {
  cp_option_push(L, options, "notification_emails");
  int list = lua_gettop(L), count = count_emails(L, list);
  luaL_checkstack(L, 8, "notification_emails");
  lua_pushliteral(L, "");
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, list, i);
    check_email(L, list + 2);
    lua_pushfstring(L, "%s%s%s", lua_tostring(L, list + 1), i > 1 ? "," : "",
                    lua_tostring(L, list + 2));
    lua_replace(L, list + 1);
    lua_pop(L, 1);
  }
  return count > 0;
}

/* {"metadata":{"notification-emails":"a@x,b@y"}}, or no body at all */
void cp_take_emails(lua_State *L, cp_task *task, int options) {
  if (push_emails(L, options)) {
    cp_encode(L);
    lua_pushfstring(L, "{\"metadata\":{\"notification-emails\":%s}}",
                    lua_tostring(L, -1));
    task->body = cp_keep(L, lua_tostring(L, -1));
  }
}

/* Seconds for which an unclear submission is looked up. */
#define RECONCILE 30.0

static void take_adopt(lua_State *L, int options, cp_submission_policy *policy) {
  cp_option_push(L, options, "adopt");
  bool time = lua_type(L, -1) == LUA_TNUMBER;
  const char *word = time ? NULL : lua_tostring(L, -1);
  if (word && strcmp(word, "running") != 0)
    luaL_error(L, "option 'adopt' must be 'running' or a Unix time");
  policy->adopts = time || word;
  policy->since = time ? lua_tonumber(L, -1) : INFINITY;
  lua_pop(L, 1);
  if (policy->adopts && !policy->looks_up)
    luaL_error(L, "option 'adopt' needs the list, which 'reconcile' forbids to read");
}

cp_submission_policy cp_read_submission_policy(lua_State *L, int options) {
  cp_submission_policy policy = {0};
  cp_option_push(L, options, "reconcile");
  policy.looks_up = lua_type(L, -1) != LUA_TBOOLEAN;
  lua_pop(L, 1);
  policy.reconcile = cp_option_number(L, options, "reconcile", RECONCILE);
  return policy;
}

void cp_note_calls(lua_State *L, const cp_lua_task *task, int options) {
  static const char *const names[] = {"before_send", "on_progress", "confirm"};
  int top = lua_gettop(L), env = cp_push_env(L, 1);
  bool any = false;
  lua_newtable(L);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    cp_option_push(L, options, names[i]);
    any = any || !lua_isnil(L, -1);
    lua_setfield(L, -2, names[i]);
  }
  if (!any) lua_pushnil(L); /* in the place of what another left at this address */
  cp_task_note(L, env, "calls", task);
  lua_settop(L, top);
}

/* With the task on top of the stack, its operation known as far as it can be. */
static int begin_submission(lua_State *L, cp_lua_task *task, cp_kind kind, int options) {
  int top = lua_gettop(L);
  cp_task *of = &task->task;
  of->operation.kind = kind;
  cp_take_emails(L, of, options);
  cp_submission_policy policy = cp_read_submission_policy(L, options);
  take_adopt(L, options, &policy);
  of->if_match = cp_keep(L, cp_option_string(L, options, "if_match"));
  lua_settop(L, top);
  policy.announces = cp_option_given(L, options, "before_send");
  cp_note_calls(L, task, options);
  cp_submission_init(&of->as.submission, &task->client->service, &of->operation, &policy);
  of->machine = &cp_submission_machine;
  cp_task_begin(L, task);
  return 1;
}

static int start_submission(lua_State *L, cp_kind kind) {
  cp_options_check(L, 3, CP_FOR_SUBMIT | CP_FOR_CALL);
  cp_lua_task *task = cp_new_offer_task(L, cp_kind_name(kind), CP_RESULT_OPERATION, 3);
  return begin_submission(L, task, kind, 3);
}

/* client:golive(offer [, options]): an operation. */
static int start_golive(lua_State *L) {
  return start_submission(L, CP_GOLIVE);
}

/* client:publish(offer [, options]): an operation. */
static int start_publish(lua_State *L) {
  return start_submission(L, CP_PUBLISH);
}

/*
** client:cancel(offer [, options]): an operation that is done when what it ends is
** canceled.
*/
static int start_cancel(lua_State *L) {
  return start_submission(L, CP_CANCEL);
}

/* Reads argument 2 into the task on top of the stack; false: it has ended untrusted. */
static bool take_operation(lua_State *L, cp_lua_task *task) {
  bool is_intent;
  bool trusted = cp_read_operation(L, 2, task->client, &task->task.operation, &is_intent);
  if (is_intent)
    luaL_error(L, "bad argument 'operation': an intent; use client:resume(intent)");
  if (!trusted) cp_task_refuse(task, CP_CODE_UNTRUSTED_URL);
  return trusted;
}

/* operation:cancel([options]): a cancel of that operation and no other. */
static int start_cancel_operation(lua_State *L) {
  cp_options_check(L, 3, CP_FOR_SUBMIT | CP_FOR_CALL);
  cp_lua_task *task = cp_task_new(L, "cancel", CP_RESULT_OPERATION, 3);
  int top = lua_gettop(L);
  if (!take_operation(L, task)) return 1;
  lua_settop(L, top);
  cp_operation *operation = &task->task.operation;
  if (!operation->publisher || !operation->offer)
    luaL_error(L, "bad argument 'operation': it does not say which offer it is of");
  cp_free(operation->cancels);
  operation->cancels = operation->id;
  operation->id = NULL;
  return begin_submission(L, task, CP_CANCEL, 3);
}

/* status, wait */

int cp_begin_read(lua_State *L, cp_lua_task *task, cp_endpoint endpoint) {
  cp_task *of = &task->task;
  cp_read_init(&of->as.read, &task->client->service, endpoint, &of->operation);
  of->machine = &cp_read_machine;
  cp_task_begin(L, task);
  return 1;
}

/* client:status(operation [, options]): its status now. */
static int start_status(lua_State *L) {
  cp_options_check(L, 3, CP_FOR_CALL);
  cp_lua_task *task = cp_task_new(L, "status", CP_RESULT_STATUS, 3);
  int top = lua_gettop(L);
  bool trusted = take_operation(L, task);
  lua_settop(L, top);
  return trusted ? cp_begin_read(L, task, CP_ENDPOINT_POLL) : 1;
}

static bool waits_when_blocked(lua_State *L, int options) {
  const char *choice = cp_option_string(L, options, "on_blocked");
  bool waits = choice && strcmp(choice, "wait") == 0;
  if (choice && !waits && strcmp(choice, "return") != 0)
    luaL_error(L, "option 'on_blocked' must be 'return' or 'wait'");
  lua_pop(L, 1);
  return waits;
}

cp_watch_policy cp_read_watch_policy(lua_State *L, int options) {
  return (cp_watch_policy){
      .interval = cp_option_number(L, options, "interval", 60),
      .min_interval = cp_option_number(L, options, "min_interval", 1),
      .outage = cp_option_number(L, options, "outage", 1800),
      .waits_when_blocked = waits_when_blocked(L, options),
  };
}

static void begin_watch(lua_State *L, cp_lua_task *task, int options) {
  cp_task *of = &task->task;
  cp_watch_policy policy = cp_read_watch_policy(L, options);
  int env = cp_push_env(L, 1);
  cp_clock clock = cp_client_clock(L, env, task->client);
  lua_pop(L, 1);
  of->sent = CP_SENT_YES;
  cp_watch_init(&of->as.watch, &task->client->service, &of->operation, &policy, &clock,
                cp_option_number(L, options, "timeout", CP_PATIENCE));
  of->machine = &cp_watch_machine;
  cp_note_calls(L, task, options);
  cp_task_begin(L, task);
}

/* client:wait(operation [, options]): its last status, once it is over. */
static int start_wait(lua_State *L) {
  cp_options_check(L, 3, CP_FOR_WAIT | CP_FOR_CALL);
  cp_lua_task *task = cp_task_new(L, "wait", CP_RESULT_STATUS, 3);
  int top = lua_gettop(L);
  bool trusted = take_operation(L, task);
  lua_settop(L, top);
  if (trusted && task->task.operation.kind == CP_KIND_OTHER)
    task->task.operation.kind = CP_GOLIVE;
  if (trusted) begin_watch(L, task, 3);
  return 1;
}

/* Reads */

/* client:offer_status(offer [, options]): a status. */
static int start_offer_status(lua_State *L) {
  cp_options_check(L, 3, CP_FOR_CALL);
  cp_lua_task *task = cp_new_offer_task(L, "offer_status", CP_RESULT_OFFER_STATUS, 3);
  return cp_begin_read(L, task, CP_ENDPOINT_OFFER_STATUS);
}

/* client:operations(offer [, {status =}]): a list of operations, newest first. */
static int start_operations(lua_State *L) {
  cp_options_check(L, 3, CP_FOR_LIST | CP_FOR_CALL);
  cp_lua_task *task = cp_new_offer_task(L, "operations", CP_RESULT_OPERATIONS, 3);
  task->task.argument = cp_keep(L, cp_option_string(L, 3, "status"));
  lua_pop(L, 1);
  return cp_begin_read(L, task, CP_ENDPOINT_OPERATIONS);
}

static void set_place(lua_State *L, cp_lua_task *task, const char *id) {
  if (!cp_api_place(&task->client->service, &task->task.operation, id))
    luaL_error(L, "not enough memory");
}

/* client:operation(offer, id [, options]): one operation. */
static int start_operation(lua_State *L) {
  const char *id = cp_check_id(L, 3, "id");
  cp_options_check(L, 4, CP_FOR_CALL);
  cp_lua_task *task = cp_new_offer_task(L, "operation", CP_RESULT_ONE_OPERATION, 4);
  cp_operation *operation = &task->task.operation;
  operation->adopted = true;
  set_place(L, task, id);
  return cp_begin_read(L, task, CP_ENDPOINT_OPERATION);
}

/* resume */

/* An option of `resume` counts where the saved text does not say it itself. */
static void take_resume_options(lua_State *L, cp_operation *operation) {
  cp_operation given = CP_OPERATION_NONE;
  const char *kind = cp_option_string(L, 3, "kind");
  given.kind = kind ? cp_kind_of(kind, strlen(kind)) : CP_GOLIVE;
  if (given.kind == CP_KIND_OTHER)
    luaL_error(L, "option 'kind' must be 'golive', 'publish' or 'cancel'");
  cp_option_push(L, 3, "submitted_at");
  bool number = lua_type(L, -1) == LUA_TNUMBER;
  const char *text = lua_tostring(L, -1);
  given.submitted_at = number ? lua_tonumber(L, -1) : text ? cp_iso_time_read(text) : -1;
  if (text && given.submitted_at < 0)
    luaL_error(L, "option 'submitted_at' must be a Unix time or one in UTC (ISO 8601)");
  if (operation->kind == CP_KIND_OTHER) operation->kind = given.kind;
  if (operation->submitted_at < 0) operation->submitted_at = given.submitted_at;
  lua_pop(L, 2);
}

/* The error about an intent speaks of the submission that was intended. */
static void take_guid(lua_State *L, cp_task *task) {
  size_t length;
  lua_getfield(L, 2, "client_request_id");
  const char *guid = lua_tolstring(L, -1, &length);
  if (length < sizeof task->guid) memcpy(task->guid, guid, length + 1);
  lua_pop(L, 1);
}

/* Whether it was sent or not, a cancel is watched where the operation is that it ends. */
static void resume_cancel(lua_State *L, cp_lua_task *task) {
  cp_operation *operation = &task->task.operation;
  if (!operation->cancels)
    luaL_error(L, "bad argument 'operation': an intent to cancel without 'cancels'");
  set_place(L, task, operation->cancels);
}

/* An intent is looked up in the offer's list, and never sent. */
static void resume_intent(lua_State *L, cp_lua_task *task) {
  cp_task *of = &task->task;
  cp_submission_policy policy = cp_read_submission_policy(L, 3);
  double now = cp_client_now(L, cp_push_env(L, 1), task->client);
  cp_ids seen = {0};
  bool knows = cp_read_seen(L, 2, &seen);
  if (!knows && of->operation.submitted_at < 0)
    luaL_error(L, "bad argument 'operation': an intent without 'seen' and 'time'");
  cp_submission_resume(&of->as.submission, &task->client->service, &of->operation,
                       &policy, knows ? &seen : NULL, now);
  of->machine = &cp_submission_machine;
  of->sent = CP_SENT_MAYBE;
}

static void complete_intent(lua_State *L, cp_lua_task *task) {
  cp_operation *operation = &task->task.operation;
  take_guid(L, &task->task);
  if (!operation->publisher)
    operation->publisher = cp_keep(L, cp_check_publisher(L, task->client));
  if (!operation->offer)
    luaL_error(L, "bad argument 'operation': an intent without 'offer'");
}

/*
** client:resume(saved [, {kind =, submitted_at =, reconcile =}]): the handle of a saved
** operation or URL, without I/O; or of what became of an intent, looked up in the list.
*/
static int start_resume(lua_State *L) {
  if (lua_isnone(L, 2)) lua_settop(L, 2);
  cp_options_check(L, 3, CP_FOR_RESUME | CP_FOR_CALL);
  cp_lua_task *task = cp_task_new(L, "resume", CP_RESULT_OPERATION, 3);
  int top = lua_gettop(L);
  cp_operation *operation = &task->task.operation;
  bool is_intent;
  bool trusted = cp_read_operation(L, 2, task->client, operation, &is_intent);
  take_resume_options(L, operation);
  if (!trusted) cp_task_refuse(task, CP_CODE_UNTRUSTED_URL);
  if (is_intent) complete_intent(L, task);
  if (is_intent && operation->kind == CP_CANCEL)
    resume_cancel(L, task);
  else if (is_intent)
    resume_intent(L, task);
  lua_settop(L, top);
  if (task->task.machine) cp_task_begin(L, task);
  return 1;
}

/* The list of these methods: each pushes a task that has begun, or has ended already. */

static const luaL_Reg starters[] = {
    {"golive", start_golive},
    {"publish", start_publish},
    {"cancel", start_cancel},
    {"cancel_operation", start_cancel_operation},
    {"status", start_status},
    {"wait", start_wait},
    {"offer_status", start_offer_status},
    {"operations", start_operations},
    {"operation", start_operation},
    {"resume", start_resume},
    {"publishers", cp_start_publishers},
    {"offer_types", cp_start_offer_types},
    {"offers", cp_start_offers},
    {"offer", cp_start_offer},
    {"put_offer", cp_start_put_offer},
    {"update", cp_start_update},
    {"release", cp_start_release},
    {NULL, NULL},
};

static const luaL_Reg *find_starter(const char *name) {
  const luaL_Reg *starter = starters;
  while (starter->name && strcmp(starter->name, name) != 0) starter++;
  return starter->name ? starter : NULL;
}

/* client:start(method, ...): a task that does what the method would, without waiting. */
int cp_client_start(lua_State *L) {
  cp_check_client(L, 1);
  const luaL_Reg *starter = find_starter(luaL_checkstring(L, 2));
  if (!starter) return luaL_error(L, "bad argument 'method': none that can be started");
  lua_remove(L, 2);
  return starter->func(L);
}

static int drive_to_end(lua_State *L) {
  cp_lua_task *task = lua_touserdata(L, 2);
  cp_client *client = task->client;
  int env = cp_push_env(L, 1);
  while (task->task.stage != CP_STAGE_ENDED) {
    cp_drive(L, env, client);
    if (task->task.stage != CP_STAGE_ENDED) cp_rest(L, env, client, INFINITY);
  }
  return 0;
}

/*
** A raise meanwhile, Ctrl-C before all, ends the call: nothing of it must go on unseen.
*/
static int block(lua_State *L, lua_CFunction start) {
  cp_check_client(L, 1);
  start(L);
  int top = lua_gettop(L);
  cp_lua_task *task = lua_touserdata(L, top);
  lua_pushcfunction(L, drive_to_end);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, top);
  bool ok = lua_pcall(L, 2, 0, 0) == 0;
  int env = cp_push_env(L, top);
  if (ok) return cp_task_result(L, env, task);
  cp_task_stop(L, env, task, CP_CODE_CANCELED);
  lua_pushvalue(L, top + 1);
  return lua_error(L);
}

int cp_call_method(lua_State *L, const char *name) {
  return block(L, find_starter(name)->func);
}

static int call_upvalue(lua_State *L) {
  return block(L, lua_tocfunction(L, lua_upvalueindex(1)));
}

void cp_push_methods(lua_State *L) {
  for (const luaL_Reg *starter = starters; starter->name; starter++) {
    if (starter->func == start_cancel_operation) continue; /* an operation's method */
    lua_pushcfunction(L, starter->func);
    lua_pushcclosure(L, call_upvalue, 1);
    lua_setfield(L, -2, starter->name);
  }
}

/* One call for scripts. The options are at stack index 1. */

/* Sets in `table` the key and value on top of the stack, which stay. */
static void copy_pair(lua_State *L, int table) {
  lua_pushvalue(L, -2);
  lua_pushvalue(L, -2);
  lua_settable(L, table);
}

/* Pushes those of the options that belong to `scope`. */
static void push_part(lua_State *L, int scope) {
  lua_newtable(L);
  int part = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && cp_option_is_for(lua_tostring(L, -2), scope))
      copy_pair(L, part);
}

static void push_client(lua_State *L) {
  lua_pushcfunction(L, cp_client_new);
  push_part(L, CP_FOR_NEW);
  lua_call(L, 1, 1);
}

/*
** Calls `method` of the client at 2 with the value at `subject`; its results are
** pushed.
*/
static int call_with(lua_State *L, const char *method, int subject, int scope) {
  int top = lua_gettop(L);
  lua_getfield(L, 2, method);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, subject);
  push_part(L, scope);
  lua_pushnil(L); /* these went to the client already */
  lua_setfield(L, -2, "headers");
  lua_call(L, 3, LUA_MULTRET);
  return lua_gettop(L) - top;
}

static void check_script_options(lua_State *L, int scope) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  cp_options_check(L, 1, CP_FOR_NEW | CP_FOR_CALL | scope);
  push_client(L);
}

static void push_needed(lua_State *L, const char *name) {
  cp_option_push(L, 1, name);
  if (lua_isnil(L, -1)) luaL_error(L, "option '%s' is missing", name);
}

/* What is left of the call's `timeout` after its first part. */
static void shorten_timeout(lua_State *L, double began, cp_client *client) {
  double timeout = cp_option_number(L, 1, "timeout", CP_PATIENCE);
  double spent = cp_client_now(L, cp_push_env(L, 2), client) - began;
  lua_newtable(L);
  int copy = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) copy_pair(L, copy);
  lua_pushnumber(L, fmax(timeout - spent, 0));
  lua_setfield(L, copy, "timeout");
  lua_replace(L, 1);
}

/*
** cloudpartner.golive{publisher =, offer =, ...}: an operation; with `wait = true` its
** last status. Options of the client and of the method in one table.
*/
static int golive(lua_State *L) {
  check_script_options(L, CP_FOR_SUBMIT | CP_FOR_WAIT | CP_FOR_GOLIVE);
  cp_client *client = cp_check_client(L, 2);
  double began = cp_client_now(L, cp_push_env(L, 2), client);
  cp_option_push(L, 1, "wait");
  bool waits = lua_toboolean(L, -1);
  push_needed(L, "offer");
  int results = call_with(L, "golive", lua_gettop(L), CP_FOR_SUBMIT | CP_FOR_CALL);
  if (!waits || results != 1) return results;
  int operation = lua_gettop(L);
  shorten_timeout(L, began, client);
  return call_with(L, "wait", operation, CP_FOR_WAIT | CP_FOR_CALL);
}

/* cloudpartner.status{publisher =, operation =, ...}: its status. */
static int status(lua_State *L) {
  check_script_options(L, CP_FOR_FOLLOW);
  push_needed(L, "operation");
  return call_with(L, "status", lua_gettop(L), CP_FOR_CALL);
}

/* cloudpartner.wait{publisher =, operation =, ...}: its last status, once it is over. */
static int wait(lua_State *L) {
  check_script_options(L, CP_FOR_WAIT | CP_FOR_FOLLOW);
  push_needed(L, "operation");
  return call_with(L, "wait", lua_gettop(L), CP_FOR_WAIT | CP_FOR_CALL);
}

void cp_add_calls(lua_State *L) {
  static const luaL_Reg calls[] = {
      {"golive", golive}, {"status", status}, {"wait", wait}, {NULL, NULL}};
  for (const luaL_Reg *call = calls; call->name; call++) {
    lua_pushcfunction(L, call->func);
    lua_setfield(L, -2, call->name);
  }
}
