/*
** lua_task.c - a task as its users hold it
*/
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua_client.h"
#include "lua_document.h"
#include "lua_error.h"
#include "lua_json.h"
#include "lua_operation.h"
#include "lua_options.h"
#include "lua_start.h"
#include "url.h"

/* A random GUID: version 4 of RFC 9562, which fixes six of its bits. */
static void make_guid(cp_client *client, char *text) {
  uint64_t a = cp_client_random(client), b = cp_client_random(client);
  a = (a & 0xffffffffffff0fffu) | 0x4000u;
  b = (b & 0x3fffffffffffffffu) | 0x8000000000000000u;
  snprintf(text, CP_GUID_SIZE, "%08lx-%04lx-%04lx-%04lx-%012llx",
           (unsigned long)(a >> 32), (unsigned long)(a >> 16 & 0xffff),
           (unsigned long)(a & 0xffff), (unsigned long)(b >> 48),
           (unsigned long long)(b & 0xffffffffffffu));
}

/* Making one */

static void take_guid(lua_State *L, cp_client *client, cp_task *task, int options) {
  const char *guid = options ? cp_option_string(L, options, "client_request_id") : NULL;
  size_t length = guid ? strlen(guid) : 0;
  if (guid && (length == 0 || length >= CP_GUID_SIZE))
    luaL_error(L, "option 'client_request_id' must have 1 to %d characters",
               CP_GUID_SIZE - 1);
  if (guid)
    memcpy(task->guid, guid, length + 1);
  else
    make_guid(client, task->guid);
}

static void take_headers(lua_State *L, cp_task *task, int options) {
  const char *headers = cp_option_headers(L, options);
  if (!*headers) return;
  task->headers = cp_strdup(headers);
  if (!task->headers) luaL_error(L, "not enough memory");
}

static void take_options(lua_State *L, cp_lua_task *task, int options) {
  int top = lua_gettop(L), env = cp_push_env(L, 1);
  double timeout = cp_option_number(L, options, "timeout", INFINITY);
  if (timeout < INFINITY)
    task->task.deadline = cp_client_now(L, env, task->client) + timeout;
  take_headers(L, &task->task, options);
  lua_settop(L, top);
}

cp_lua_task *cp_task_new(lua_State *L, const char *call, cp_result result, int options) {
  luaL_checkstack(L, 20, "a task");
  cp_lua_task *task = lua_newuserdatauv(L, sizeof *task, 1);
  memset(task, 0, sizeof *task);
  task->task.stage = CP_STAGE_ENDED; /* closed, until it begins */
  task->task.deadline = INFINITY;
  task->task.hint = -1;
  task->task.operation = CP_OPERATION_NONE;
  task->client = cp_check_client(L, 1);
  task->call = call;
  task->result = result;
  lua_getuservalue(L, 1);
  lua_setuservalue(L, -2);
  luaL_getmetatable(L, CP_TASK);
  lua_setmetatable(L, -2);
  int top = lua_gettop(L);
  take_guid(L, task->client, &task->task, options);
  if (options) take_options(L, task, options);
  lua_settop(L, top);
  return task;
}

void cp_task_note(lua_State *L, int env, const char *table, const cp_lua_task *task) {
  lua_getfield(L, env, table);
  lua_insert(L, -2);
  cp_rawsetp(L, -2, task);
  lua_pop(L, 1);
}

void cp_task_begin(lua_State *L, cp_lua_task *task) {
  int top = lua_gettop(L), env = cp_push_env(L, 1);
  cp_leave_parent(L, env, task->client);
  lua_pushvalue(L, top);
  cp_task_note(L, env, "tasks", task);
  if (!task->client->open) luaL_error(L, "attempt to use a closed client");
  task->task.stage = CP_STAGE_THINK;
  lua_settop(L, top);
  if (cp_tasks_add(&task->client->tasks, &task->task)) return;
  task->task.stage = CP_STAGE_ENDED;
  env = cp_push_env(L, top);
  lua_pushnil(L);
  cp_task_note(L, env, "tasks", task);
  luaL_error(L, "not enough memory");
}

void cp_task_refuse(cp_lua_task *task, cp_code code) {
  task->task.outcome = (cp_outcome){.code = code, .sent = CP_SENT_NO};
}

/* Ending one */

void cp_task_abandon(cp_lua_task *task) {
  if (!task->exchange) return;
  cp_exchange_abandon(task->exchange);
  task->exchange = NULL;
  task->client->flying--;
}

void cp_task_release_bearer(cp_lua_task *task) {
  cp_bearer_release(task->bearer);
  task->bearer = NULL;
}

/* Those that wait for the token ask for it themselves. */
static void stop_asking(cp_lua_task *task) {
  task->function = CP_FUNCTION_NONE;
  if (task->client->sharer.credential)
    cp_credential_forsake(task->client->sharer.credential, task);
}

/* The members of a group that has been ended go on no more than it does. */
static void stop_members(lua_State *L, int env, cp_lua_task *group, cp_code code) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 10, "a group");
  cp_push_members(L, env, group);
  for (int i = 1; i <= (int)lua_rawlen(L, top + 1); i++) {
    lua_rawgeti(L, top + 1, i);
    cp_lua_task *member = lua_touserdata(L, -1);
    member->task.group = NULL;
    if (member->task.stage != CP_STAGE_ENDED)
      cp_task_stop(L, env, member, code == CP_CODE_NONE ? CP_CODE_CANCELED : code);
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
}

void cp_task_stop(lua_State *L, int env, cp_lua_task *task, cp_code code) {
  cp_task_abandon(task);
  cp_task_release_bearer(task);
  cp_task_end(&task->client->tasks, &task->task, code);
  lua_pushnil(L);
  cp_task_note(L, env, "tasks", task);
  lua_pushnil(L);
  cp_task_note(L, env, "calls", task);
  stop_asking(task);
  if (task->result == CP_RESULT_GROUP) stop_members(L, env, task, code);
  if (task->held) cp_task_wake(L, env, task);
}

/* What it returns */

/* Sets what the list says beside the operation: state, status, slot, changed_at. */
static void set_entry(lua_State *L, int handle, int entry, const char *status_field) {
  size_t length = 0;
  const char *word = cp_field_text(L, entry, status_field, &length);
  cp_state state = word ? cp_word_operation(word, length) : CP_UNKNOWN;
  lua_setfield(L, handle, "status");
  lua_pushstring(L, cp_state_name(state));
  lua_setfield(L, handle, "state");
  lua_pushboolean(L, cp_state_ended(state));
  lua_setfield(L, handle, "done");
}

static void copy_text(lua_State *L, int from, const char *field, int to,
                      const char *name) {
  size_t length;
  bool given = cp_field_text(L, from, field, &length) != NULL;
  if (given)
    lua_setfield(L, to, name);
  else
    lua_pop(L, 1);
}

static void push_url(lua_State *L, const cp_service *service,
                     const cp_operation *operation) {
  cp_text url = cp_borrow(L, CP_URL_MAX);
  cp_api_url(service, CP_ENDPOINT_OPERATION, operation, NULL, &url);
  lua_pushlstring(L, url.data, url.length);
  lua_remove(L, -2);
}

/* Pushes the handle of the list's entry at `entry`; nil for one without an id. */
static void push_entry(lua_State *L, int env, const cp_lua_task *task, int entry) {
  cp_operation operation = task->task.operation;
  size_t length;
  operation.id = (char *)cp_field_text(L, entry, "id", &length);
  const char *kind = cp_field_text(L, entry, "submissionType", &length);
  operation.kind = kind ? cp_kind_of(kind, length) : CP_KIND_OTHER;
  operation.adopted = true;
  if (!operation.id || !cp_url_segment_ok(operation.id, strlen(operation.id))) {
    lua_pushnil(L);
    return;
  }
  cp_push_operation(L, env, &operation);
  int handle = lua_gettop(L);
  set_entry(L, handle, entry, "submissionState");
  copy_text(L, entry, "slot", handle, "slot");
  copy_text(L, entry, "changedTime", handle, "changed_at");
  push_url(L, &task->client->service, &operation);
  lua_setfield(L, handle, "url");
}

/*
** The service's two names for its filter disagree, so what it lets through is looked
** at.
*/
static bool passes(lua_State *L, const cp_task *task, int handle) {
  size_t length = 0;
  if (!task->argument) return true;
  const char *word = cp_field_text(L, handle, "status", &length);
  size_t filter_length = strlen(task->argument);
  cp_state wanted = cp_word_operation(task->argument, filter_length);
  bool same =
      word && (cp_word_same(word, length, task->argument, filter_length) ||
               (wanted != CP_UNKNOWN && cp_word_operation(word, length) == wanted));
  lua_pop(L, 1);
  return same;
}

static void push_operations(lua_State *L, int env, const cp_lua_task *task) {
  cp_push_list(L, task->task.answer);
  int list = lua_gettop(L), count = 0;
  lua_newtable(L);
  for (int i = 1; i <= (int)lua_rawlen(L, list); i++) {
    lua_rawgeti(L, list, i);
    if (!lua_istable(L, -1)) lua_newtable(L);
    push_entry(L, env, task, lua_gettop(L));
    int handle = lua_gettop(L);
    if (lua_istable(L, handle) && passes(L, &task->task, handle))
      lua_rawseti(L, list + 1, ++count);
    lua_settop(L, list + 1);
  }
}

static void push_one(lua_State *L, int env, const cp_lua_task *task) {
  cp_push_operation(L, env, &task->task.operation);
  int handle = lua_gettop(L);
  cp_push_status(L, task);
  set_entry(L, handle, handle + 1, "status");
  lua_getfield(L, handle + 1, "document");
  copy_text(L, lua_gettop(L), "lastActionDateTime", handle, "changed_at");
  lua_settop(L, handle);
}

static void push_success(lua_State *L, int env, cp_lua_task *task) {
  switch (task->result) {
    case CP_RESULT_OPERATION: cp_push_operation(L, env, &task->task.operation); break;
    case CP_RESULT_STATUS:
    case CP_RESULT_OFFER_STATUS: cp_push_status(L, task); break;
    case CP_RESULT_RELEASE: cp_push_release_result(L, env, task); break;
    case CP_RESULT_GROUP: cp_push_group_result(L, env, task); break;
    case CP_RESULT_LIST: cp_push_list_result(L, &task->task); break;
    case CP_RESULT_OFFER: cp_push_offer_result(L, &task->task); break;
    case CP_RESULT_OPERATIONS: push_operations(L, env, task); break;
    case CP_RESULT_ONE_OPERATION: push_one(L, env, task); break;
  }
}

int cp_task_result(lua_State *L, int env, cp_lua_task *task) {
  luaL_checkstack(L, 30, "a result");
  if (task->raised) {
    lua_getfield(L, env, "raised");
    cp_rawgetp(L, -1, task);
    return lua_error(L);
  }
  if (task->task.outcome.no_memory) return luaL_error(L, "not enough memory");
  if (task->task.outcome.code == CP_CODE_NONE) {
    push_success(L, env, task);
    return 1;
  }
  lua_pushnil(L);
  cp_push_error(L, env, task);
  return 2;
}

/* Methods */

cp_lua_task *cp_check_task(lua_State *L, int index) {
  return luaL_checkudata(L, index, CP_TASK);
}

/* task:done(): has it ended? */
static int task_done(lua_State *L) {
  lua_pushboolean(L, cp_check_task(L, 1)->task.stage == CP_STAGE_ENDED);
  return 1;
}

/* task:result(): what the method would have returned; raises before the end. */
static int task_result(lua_State *L) {
  cp_lua_task *task = cp_check_task(L, 1);
  if (task->task.stage != CP_STAGE_ENDED)
    return luaL_error(L, "the task has not ended: call client:step until task:done()");
  return cp_task_result(L, cp_push_env(L, 1), task);
}

/* task:cancel(): ends it at once (`canceled`); an operation that was begun goes on. */
static int task_cancel(lua_State *L) {
  cp_lua_task *task = cp_check_task(L, 1);
  if (task->task.stage != CP_STAGE_ENDED)
    cp_task_stop(L, cp_push_env(L, 1), task, CP_CODE_CANCELED);
  return 0;
}

static int task_tostring(lua_State *L) {
  cp_lua_task *task = cp_check_task(L, 1);
  lua_pushfstring(L, "cloudpartner task (%s, %s)", task->call,
                  task->task.stage == CP_STAGE_ENDED ? "ended" : "open");
  return 1;
}

static void forget(lua_State *L, const cp_lua_task *task, const char *table) {
  int env = cp_push_env(L, 1);
  lua_pushnil(L);
  cp_task_note(L, env, table, task);
}

/*
** An open task is in its client's table, so this is one that has ended, or the state's
** end.
*/
static int task_gc(lua_State *L) {
  cp_lua_task *task = cp_check_task(L, 1);
  cp_task_abandon(task);
  cp_task_release_bearer(task);
  if (task->raised) forget(L, task, "raised");
  if (task->result == CP_RESULT_GROUP) forget(L, task, "members");
  cp_task_free(&task->client->tasks, &task->task);
  return 0;
}

static const luaL_Reg methods[] = {
    {"done", task_done},
    {"result", task_result},
    {"cancel", task_cancel},
    {NULL, NULL},
};

void cp_open_task(lua_State *L) {
  luaL_newmetatable(L, CP_TASK);
  lua_pushcfunction(L, task_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, task_tostring);
  lua_setfield(L, -2, "__tostring");
  luaL_newlib(L, methods);
  cp_add_holding(L);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
