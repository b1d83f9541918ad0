/*
** lua_operation.c - operations and intents as tables
*/
#include "lua_operation.h"

#include <math.h>
#include <string.h>

#include "lua_json.h"
#include "lua_options.h"
#include "url.h"

#define FORMAT 1
#define API    "cloudpartner/2017-10-31"

/* To tables */

static void set(lua_State *L, const char *name, const char *text) {
  if (!text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, double unix_seconds) {
  char text[25];
  if (unix_seconds < 0) return;
  cp_iso_time(unix_seconds, text);
  set(L, name, text);
}

static void push_named(lua_State *L, const cp_operation *operation) {
  lua_createtable(L, 0, 10);
  lua_pushinteger(L, FORMAT);
  lua_setfield(L, -2, "format");
  set(L, "api", API);
  set(L, "kind", cp_kind_name(operation->kind));
  set(L, "publisher", operation->publisher);
  set(L, "offer", operation->offer);
}

void cp_push_operation(lua_State *L, int env, const cp_operation *operation) {
  luaL_checkstack(L, 8, "an operation");
  push_named(L, operation);
  set(L, "id", operation->id);
  set(L, "url", operation->url);
  set(L, "cancels", operation->cancels);
  set_time(L, "submitted_at", operation->submitted_at);
  set_time(L, "poll_after", operation->poll_after);
  lua_pushboolean(L, operation->adopted);
  lua_setfield(L, -2, "adopted");
  lua_pushboolean(L, operation->done);
  lua_setfield(L, -2, "done");
  lua_getfield(L, env, "operation");
  lua_setmetatable(L, -2);
}

/* Sets the ids that the list held before: what is not among them is new. */
static void set_seen(lua_State *L, const cp_submission *submission) {
  if (!submission->knows) return;
  const cp_ids *known = &submission->known;
  lua_createtable(L, (int)known->count, 0);
  for (size_t i = 0; i < known->count; i++) {
    lua_pushstring(L, known->ids[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "seen");
}

void cp_push_intent(lua_State *L, const cp_lua_task *task) {
  luaL_checkstack(L, 8, "an intent");
  push_named(L, &task->task.operation);
  set(L, "cancels", task->task.operation.cancels);
  set(L, "client_request_id", task->task.guid);
  set_time(L, "time", task->task.operation.submitted_at);
  const cp_submission *submission = cp_task_submission(&task->task);
  if (submission) set_seen(L, submission);
}

/* From tables */

/*
** The argument is named, not numbered: its number depends on how the method was called.
*/
static int fault(lua_State *L, const char *what) {
  return luaL_error(L, "bad argument 'operation': %s", what);
}

/*
** Pushes a field's text; NULL when there is none. Raises for another type or a long
** one.
*/
static const char *text_of(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  if (lua_isnil(L, -1) || cp_is_null(L, -1)) return NULL;
  if (lua_type(L, -1) != LUA_TSTRING)
    fault(L, lua_pushfstring(L, "field '%s' must be a string", name));
  if (lua_rawlen(L, -1) > CP_URL_MAX)
    fault(L, lua_pushfstring(L, "field '%s' is too long", name));
  return lua_tostring(L, -1);
}

static void take(lua_State *L, char **field, const char *text) {
  if (text && !cp_operation_set(field, text)) luaL_error(L, "not enough memory");
}

static void take_id(lua_State *L, int index, const char *name, char **field) {
  const char *id = text_of(L, index, name);
  if (id && !cp_url_segment_ok(id, lua_rawlen(L, -1)))
    fault(L, lua_pushfstring(L, "field '%s' is no id", name));
  take(L, field, id);
  lua_pop(L, 1);
}

static void check_format(lua_State *L, int index) {
  lua_getfield(L, index, "format");
  if (!lua_isnil(L, -1) &&
      !(lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) == FORMAT))
    fault(L, "field 'format' is not 1: another version of this module made it");
  const char *api = text_of(L, index, "api");
  if (api && strcmp(api, API) != 0) fault(L, "field 'api' is not '" API "'");
  lua_pop(L, 2);
}

static void take_kind(lua_State *L, int index, cp_operation *operation) {
  const char *kind = text_of(L, index, "kind");
  if (kind) operation->kind = cp_kind_of(kind, strlen(kind));
  if (kind && operation->kind == CP_KIND_OTHER)
    fault(L, "field 'kind' must be 'golive', 'publish' or 'cancel'");
  lua_pop(L, 1);
}

static void take_time(lua_State *L, int index, const char *name, double *field) {
  lua_getfield(L, index, name);
  bool number = lua_type(L, -1) == LUA_TNUMBER;
  double time = lua_tonumber(L, -1);
  lua_pop(L, 1);
  if (!number) {
    const char *text = text_of(L, index, name);
    time = text ? cp_iso_time_read(text) : -1;
    if (text && time < 0)
      fault(L, lua_pushfstring(L, "field '%s' is not a time in UTC (ISO 8601)", name));
    lua_pop(L, 1);
  }
  *field = time >= 0 ? time : -1;
}

static void take_flags(lua_State *L, int index, cp_operation *operation) {
  lua_getfield(L, index, "adopted");
  lua_getfield(L, index, "done");
  operation->adopted = lua_type(L, -2) == LUA_TBOOLEAN && lua_toboolean(L, -2);
  operation->done = lua_type(L, -1) == LUA_TBOOLEAN && lua_toboolean(L, -1);
  lua_pop(L, 2);
}

/* A URL is looked at each time it comes in: it may have been saved, and changed since. */
static bool take_url(lua_State *L, const cp_client *client, const char *url,
                     size_t length, cp_operation *operation) {
  const cp_service *service = &client->service;
  cp_text resolved = {.limit = CP_URL_MAX};
  cp_url_verdict verdict =
      cp_url_resolve(service->base, url, length, service->api_version, &resolved);
  if (verdict == CP_URL_OK) {
    cp_free(operation->url);
    cp_text_shrink(&resolved);
    operation->url = resolved.data;
    return true;
  }
  cp_text_free(&resolved);
  if (verdict == CP_URL_MISSING && length) luaL_error(L, "not enough memory");
  return false;
}

/* What the URL says of publisher, offer and id, where nothing else said it. */
static void take_names(lua_State *L, cp_operation *operation) {
  cp_url_names names;
  cp_url_names_read(operation->url, &names);
  bool ok = (operation->publisher || !names.publisher ||
             cp_operation_set(&operation->publisher, names.publisher)) &&
            (operation->offer || !names.offer ||
             cp_operation_set(&operation->offer, names.offer)) &&
            (operation->id || !names.operation ||
             cp_operation_set(&operation->id, names.operation));
  cp_url_names_free(&names);
  if (!ok) luaL_error(L, "not enough memory");
}

/* Without a URL, the id tells where the operation is. */
static bool build_url(lua_State *L, const cp_client *client, cp_operation *operation) {
  cp_text url = {.limit = CP_URL_MAX};
  if (!operation->publisher) take(L, &operation->publisher, client->publisher);
  if (!operation->publisher || !operation->offer || !operation->id)
    fault(L, "it has neither a 'url' nor 'publisher', 'offer' and 'id'");
  if (!cp_api_url(&client->service, CP_ENDPOINT_OPERATION, operation, NULL, &url)) {
    cp_text_free(&url);
    luaL_error(L, "not enough memory");
  }
  cp_free(operation->url);
  operation->url = url.data;
  return true;
}

/* An intent has a client request id where an operation has a URL. */
static bool reads_intent(lua_State *L, int index) {
  const char *guid = text_of(L, index, "client_request_id");
  const char *url = text_of(L, index, "url");
  lua_pop(L, 2);
  return guid && !url;
}

static bool read_table(lua_State *L, int index, const cp_client *client,
                       cp_operation *operation, bool *is_intent) {
  check_format(L, index);
  take_id(L, index, "publisher", &operation->publisher);
  take_id(L, index, "offer", &operation->offer);
  take_id(L, index, "id", &operation->id);
  take_id(L, index, "cancels", &operation->cancels);
  take_kind(L, index, operation);
  *is_intent = reads_intent(L, index);
  take_time(L, index, *is_intent ? "time" : "submitted_at", &operation->submitted_at);
  take_time(L, index, "poll_after", &operation->poll_after);
  take_flags(L, index, operation);
  if (*is_intent) return true;
  const char *url = text_of(L, index, "url");
  if (!url) return build_url(L, client, operation);
  if (!take_url(L, client, url, lua_rawlen(L, -1), operation)) return false;
  take_names(L, operation);
  return true;
}

bool cp_read_operation(lua_State *L, int index, const cp_client *client,
                       cp_operation *operation, bool *is_intent) {
  luaL_checkstack(L, 12, "an operation");
  *is_intent = false;
  *operation = CP_OPERATION_NONE;
  if (lua_istable(L, index)) return read_table(L, index, client, operation, is_intent);
  if (lua_type(L, index) != LUA_TSTRING) fault(L, "a table or a URL expected");
  size_t length;
  const char *url = lua_tolstring(L, index, &length);
  if (!take_url(L, client, url, length, operation)) return false;
  take_names(L, operation);
  return true;
}

/* An offer's list of operations is not expected to be longer. */
#define SEEN_MAX 100000

static const char *seen_at(lua_State *L, int list, int place) {
  lua_rawgeti(L, list, place);
  if (lua_type(L, -1) != LUA_TSTRING ||
      !cp_url_segment_ok(lua_tostring(L, -1), lua_rawlen(L, -1)))
    fault(L, "field 'seen' must be a list of ids");
  const char *id = lua_tostring(L, -1);
  lua_pop(L, 1);
  return id;
}

/* The list stays on the stack meanwhile, and so do the ids in it. */
bool cp_read_seen(lua_State *L, int index, cp_ids *seen) {
  lua_getfield(L, index, "seen");
  int list = lua_gettop(L);
  if (lua_isnil(L, list) || cp_is_null(L, list)) return false;
  if (!lua_istable(L, list)) fault(L, "field 'seen' must be a list of ids");
  size_t count = lua_rawlen(L, list);
  if (count > SEEN_MAX) fault(L, "field 'seen' is too long");
  const char **ids = lua_newuserdatauv(L, (count + 1) * sizeof *ids, 0);
  for (size_t i = 0; i < count; i++) ids[i] = seen_at(L, list, (int)i + 1);
  if (!cp_ids_make(seen, ids, count)) luaL_error(L, "not enough memory");
  return true;
}

/* The methods of a handle: those of its client, found through the metatable. */

static int call_client(lua_State *L, const char *method) {
  if (!luaL_getmetafield(L, 1, "client"))
    return luaL_error(L, "this operation has no client: use client:%s(operation)",
                      method);
  lua_insert(L, 1);
  return cp_call_method(L, method);
}

/* operation:status([options]): as client:status(operation). */
static int operation_status(lua_State *L) {
  return call_client(L, "status");
}

/* operation:wait([options]): as client:wait(operation). */
static int operation_wait(lua_State *L) {
  return call_client(L, "wait");
}

/*
** operation:cancel([options]): a cancel of this operation; `conflict` when another
** runs.
*/
static int operation_cancel(lua_State *L) {
  return call_client(L, "cancel_operation");
}

static const luaL_Reg methods[] = {
    {"status", operation_status},
    {"wait", operation_wait},
    {"cancel", operation_cancel},
    {NULL, NULL},
};

void cp_open_operation(lua_State *L) {
  lua_newtable(L);
  for (const luaL_Reg *method = methods; method->name; method++) {
    lua_pushcfunction(L, method->func);
    lua_setfield(L, -2, method->name);
  }
  lua_setfield(L, LUA_REGISTRYINDEX, "cloudpartner.operation");
}
