/*
** lua_call.c - the caller's functions, called between two steps by whoever drives a task
*/
#include "lua_call.h"

#include <math.h>
#include <string.h>

#include "lua_document.h"
#include "lua_json.h"
#include "lua_operation.h"
#include "lua_start.h"
#include "url.h"

/* Requests */

static bool add_line(cp_text *headers, const char *name, const char *value) {
  return cp_text_puts(headers, name) && cp_text_puts(headers, value) &&
         cp_text_putc(headers, '\n');
}

/* Those of a request, but for the token, are not longer. */
static size_t size_of_headers(const cp_client *client, const cp_task *task) {
  size_t size = 256 + strlen(client->headers);
  if (task->headers) size += strlen(task->headers);
  if (task->if_match) size += strlen(task->if_match);
  return size;
}

/* Room for all of it, so that the token is written once and wiped once. */
static bool reserve_headers(const cp_client *client, const cp_lua_task *task,
                            cp_text *headers) {
  size_t size = size_of_headers(client, &task->task) + task->bearer->length;
  return cp_text_reserve(headers, size);
}

bool cp_add_headers(const cp_client *client, const cp_lua_task *task, bool with_token,
                    cp_text *headers) {
  const cp_task *of = &task->task;
  bool writes = cp_api_writes(of->todo.as.send.endpoint);
  if (with_token && !(reserve_headers(client, task, headers) &&
                      add_line(headers, "Authorization: Bearer ", task->bearer->text)))
    return false;
  return cp_text_puts(headers, client->headers) &&
         cp_text_puts(headers, "Content-Type: application/json\n") &&
         add_line(headers, "x-ms-client-request-id: ", of->guid) &&
         (!of->if_match || !writes || add_line(headers, "If-Match: ", of->if_match)) &&
         (!of->headers || cp_text_puts(headers, of->headers));
}

bool cp_add_url(const cp_client *client, const cp_task *task, cp_text *url) {
  cp_endpoint endpoint = task->todo.as.send.endpoint;
  const cp_operation *of = task->todo.as.send.of;
  if (endpoint == CP_ENDPOINT_POLL) return cp_text_puts(url, of->url);
  return cp_api_url(&client->service, endpoint, of, task->argument, url);
}

/* token */

/* What is wrong with the two results of the token function, from `token` on; or NULL. */
static const char *fault_of(lua_State *L, int token) {
  int left = token + 1;
  size_t length;
  if (lua_isnil(L, token) && lua_type(L, left) == LUA_TSTRING)
    return lua_tostring(L, left);
  if (lua_type(L, token) != LUA_TSTRING) return "the token function returned no string";
  if (lua_type(L, left) != LUA_TNUMBER && !lua_isnil(L, left))
    return "the token function's second result is no number of seconds";
  const char *text = lua_tolstring(L, token, &length);
  return cp_token_text_ok(text, length)
             ? NULL
             : "the token function returned a string that is no token";
}

static const char *fault_of_call(lua_State *L, const cp_came *came) {
  if (came->ok) return fault_of(L, came->first);
  return lua_type(L, came->first) == LUA_TSTRING ? lua_tostring(L, came->first)
                                                 : "the token function raised an error";
}

cp_renewal cp_take_token(lua_State *L, cp_credential *credential, const cp_came *came,
                         const cp_clock *clock) {
  const char *fault = fault_of_call(L, came);
  if (fault) return cp_credential_refused(credential, fault, NULL, clock);
  size_t length;
  const char *text = lua_tolstring(L, came->first, &length);
  bool lasts = lua_type(L, came->first + 1) == LUA_TNUMBER;
  double life = lasts ? fmax(lua_tonumber(L, came->first + 1), 0) : CP_TOKEN_ONCE;
  if (cp_credential_came(credential, text, length, life, clock)) return CP_RENEWED;
  return cp_credential_refused(credential, NULL, NULL, clock);
}

/* transport */

static void set(lua_State *L, const char *name, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static void push_pair(lua_State *L, const char *line, const char *end) {
  const char *colon = memchr(line, ':', (size_t)(end - line));
  const char *value = colon ? colon + 1 : end;
  while (value < end && *value == ' ') value++;
  lua_createtable(L, 2, 0);
  lua_pushlstring(L, line, (size_t)((colon ? colon : end) - line));
  lua_rawseti(L, -2, 1);
  while (value < end && (end[-1] == '\r' || end[-1] == ' ')) end--;
  lua_pushlstring(L, value, (size_t)(end - value));
  lua_rawseti(L, -2, 2);
}

/* Pushes lines "Name: value\n" as a list of {name, value}. */
static void push_headers(lua_State *L, const cp_text *headers) {
  const char *line = cp_text_get(headers), *end;
  lua_newtable(L);
  for (int i = 1; (end = strchr(line, '\n')); line = end + 1) {
    if (end - line < 2) continue;
    push_pair(L, line, end);
    lua_rawseti(L, -2, i++);
  }
}

static void push_request(lua_State *L, const cp_request *request) {
  lua_createtable(L, 0, 5);
  set(L, "method", request->method);
  set(L, "url", request->url);
  if (request->body) set(L, "body", request->body);
  lua_pushnumber(L, request->timeout);
  lua_setfield(L, -2, "timeout");
  push_headers(L, &request->headers);
  lua_setfield(L, -2, "headers");
}

static void fail(cp_answer *answer, cp_failure failure, cp_sent sent,
                 const char *detail) {
  answer->failure = failure;
  answer->sent = sent;
  cp_text_clear(&answer->detail);
  cp_text_puts(&answer->detail, detail);
}

static void add_header(cp_answer *answer, lua_State *L, int name, int value) {
  bool readable = lua_type(L, value) == LUA_TSTRING || lua_type(L, value) == LUA_TNUMBER;
  if (lua_type(L, name) != LUA_TSTRING || !readable) return;
  const char *text = lua_tostring(L, value);
  if (strpbrk(text, "\r\n")) return;
  cp_text_printf(&answer->headers, "%s: %s\r\n", lua_tostring(L, name), text);
}

/* A header's values may be a list. The name is below the value, which is on top. */
static void take_header(lua_State *L, cp_answer *answer) {
  int value = lua_gettop(L), name = value - 1;
  if (!lua_istable(L, value)) {
    add_header(answer, L, name, value);
    return;
  }
  for (int i = 1; i <= (int)lua_rawlen(L, value); i++) {
    lua_rawgeti(L, value, i);
    add_header(answer, L, name, value + 1);
    lua_pop(L, 1);
  }
}

/* Headers as pairs, or as a map. */
static void take_headers(lua_State *L, int headers, cp_answer *answer) {
  answer->headers.limit = 256 * 1024;
  for (lua_pushnil(L); lua_next(L, headers); lua_settop(L, headers + 1)) {
    if (lua_type(L, headers + 1) == LUA_TNUMBER && lua_istable(L, headers + 2)) {
      lua_rawgeti(L, headers + 2, 1);
      lua_rawgeti(L, headers + 2, 2);
    }
    take_header(L, answer);
  }
  lua_settop(L, headers);
}

static void take_body(lua_State *L, int body, size_t max_body, cp_answer *answer) {
  size_t length;
  if (lua_isnil(L, body)) return;
  if (lua_type(L, body) != LUA_TSTRING) {
    fail(answer, CP_FAIL_PROTOCOL, CP_SENT_YES, "the transport's body is no string");
    return;
  }
  const char *text = lua_tolstring(L, body, &length);
  answer->body.limit = max_body;
  if (!cp_text_add(&answer->body, text, length))
    fail(answer, CP_FAIL_TOO_LARGE, CP_SENT_YES, "an answer over max_body");
}

static void take_response(lua_State *L, int response, size_t max_body,
                          cp_answer *answer) {
  lua_getfield(L, response, "status");
  double status = lua_tonumber(L, -1);
  if (!(status >= 100 && status <= 999 && status == floor(status))) {
    fail(answer, CP_FAIL_PROTOCOL, CP_SENT_MAYBE,
         "the transport's response has no status");
    return;
  }
  answer->http_status = (int)status;
  answer->sent = CP_SENT_YES;
  lua_getfield(L, response, "headers");
  if (lua_istable(L, -1)) take_headers(L, lua_gettop(L), answer);
  lua_getfield(L, response, "body");
  take_body(L, lua_gettop(L), max_body, answer);
}

/*
** nil, message, code: only with one of these codes is it certain that nothing was sent.
*/
static void take_failure(lua_State *L, int message, cp_answer *answer) {
  const char *text = lua_type(L, message) == LUA_TSTRING ? lua_tostring(L, message)
                                                         : "the transport failed";
  const char *code =
      lua_type(L, message + 1) == LUA_TSTRING ? lua_tostring(L, message + 1) : "";
  cp_failure failure = cp_failure_named(code);
  bool unsent =
      failure == CP_FAIL_RESOLVE || failure == CP_FAIL_CONNECT || failure == CP_FAIL_TLS;
  fail(answer, failure, unsent ? CP_SENT_NO : CP_SENT_MAYBE, text);
}

static void take_results(lua_State *L, int response, size_t max_body, cp_answer *answer) {
  if (lua_istable(L, response))
    take_response(L, response, max_body, answer);
  else
    take_failure(L, response + 1, answer);
}

/* With the answer, its bound and the transport's three results on the stack. */
static int take_protected(lua_State *L) {
  take_results(L, 3, (size_t)lua_tonumber(L, 2), lua_touserdata(L, 1));
  return 0;
}

static void fail_by_raise(lua_State *L, int raised, cp_answer *answer) {
  answer->http_status = 0;
  cp_text_clear(&answer->headers);
  fail(answer, CP_FAIL_NETWORK, CP_SENT_MAYBE,
       lua_type(L, raised) == LUA_TSTRING ? lua_tostring(L, raised)
                                          : "the transport raised an error");
}

/* What its response raises (it may have metamethods) is what the transport raised. */
void cp_take_answer(lua_State *L, size_t max_body, const cp_came *came,
                    cp_answer *answer) {
  int top = lua_gettop(L);
  if (!came->ok) {
    fail_by_raise(L, came->first, answer);
    return;
  }
  lua_pushcfunction(L, take_protected);
  lua_pushlightuserdata(L, answer);
  lua_pushnumber(L, (lua_Number)max_body);
  for (int i = 0; i < 3; i++) lua_pushvalue(L, came->first + i);
  if (lua_pcall(L, 5, 0, 0) != 0) fail_by_raise(L, lua_gettop(L), answer);
  lua_settop(L, top);
}

/* log */

static void set_number(lua_State *L, const char *name, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

static void set_request(lua_State *L, const cp_lua_task *task) {
  int event = lua_gettop(L);
  cp_text url = cp_borrow(L, CP_URL_MAX);
  bool ok = cp_add_url(task->client, &task->task, &url);
  lua_pushlstring(L, url.data, ok ? strcspn(url.data, "?") : 0);
  lua_setfield(L, event, "url");
  lua_settop(L, event);
  set(L, "method", cp_api_method(task->task.todo.as.send.endpoint));
}

static void set_answer(lua_State *L, const cp_answer *answer) {
  size_t length;
  const char *id = cp_header_request_id(&answer->headers, &length);
  if (answer->http_status) {
    lua_pushinteger(L, answer->http_status);
    lua_setfield(L, -2, "http_status");
  }
  if (answer->failure) set(L, "error", cp_code_name(cp_code_of_failure(answer->failure)));
  if (id) {
    lua_pushlstring(L, id, length);
    lua_setfield(L, -2, "request_id");
  }
  set_number(L, "seconds", answer->seconds);
}

static void set_wait(lua_State *L, const cp_task *task, const cp_clock *clock) {
  set_number(L, "next_in", fmax(task->todo.as.wait.until - clock->now, 0));
  if (task->event != CP_EVENT_POLL) return;
  set_number(L, "failing_for", task->todo.as.wait.failing_for);
  if (task->document.length) set(L, "state", cp_state_name(task->state));
}

/* Whether it was renewed; a failure is told here when the old one serves on. */
static void set_token(lua_State *L, const cp_credential *credential,
                      const cp_clock *clock) {
  const cp_token *token = &credential->token;
  double next = fmax(token->renew_at, token->until) - clock->now;
  if (isfinite(next)) set_number(L, "next_in", fmax(next, 0));
  if (!credential->reason) return;
  set(L, "error", "credential");
  set(L, "message", credential->reason);
}

static void push_event(lua_State *L, const cp_lua_task *task, const cp_clock *clock) {
  static const char *const kinds[] = {"request", "answer", "retry",
                                      "poll",    "token",  "reconcile"};
  const cp_task *of = &task->task;
  lua_createtable(L, 0, 10);
  set(L, "kind", kinds[of->event]);
  set(L, "call", task->call);
  set(L, "client_request_id", of->guid);
  if (of->operation.publisher) set(L, "publisher", of->operation.publisher);
  if (of->operation.offer) set(L, "offer", of->operation.offer);
  if (of->operation.id) set(L, "operation", of->operation.id);
  if (of->event == CP_EVENT_REQUEST || of->event == CP_EVENT_ANSWER) set_request(L, task);
  if (of->event == CP_EVENT_ANSWER) set_answer(L, of->answer);
  if (of->event == CP_EVENT_RETRY || of->event == CP_EVENT_POLL ||
      of->event == CP_EVENT_RECONCILE)
    set_wait(L, of, clock);
  if (of->event == CP_EVENT_TOKEN) set_token(L, task->client->sharer.credential, clock);
}

/* Pushes the request of an exchange that has ended, without the token. */
static void push_sent(lua_State *L, const cp_lua_task *task) {
  cp_endpoint endpoint = task->task.todo.as.send.endpoint;
  int top = lua_gettop(L);
  cp_text url = cp_borrow(L, CP_URL_MAX);
  cp_request request = {
      .method = cp_api_method(endpoint),
      .timeout = task->client->service.exchange_timeout,
      .headers = cp_borrow(L, size_of_headers(task->client, &task->task)),
      .body = cp_api_writes(endpoint) ? task->task.body : NULL,
  };
  cp_add_url(task->client, &task->task, &url);
  cp_add_headers(task->client, task, false, &request.headers);
  request.url = url.data;
  push_request(L, &request);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* Adds to the table on top what came of its request. */
static void set_outcome(lua_State *L, const cp_answer *answer, const cp_clock *clock) {
  set_number(L, "seconds", answer->seconds);
  set_number(L, "started_at", clock->wall - answer->seconds);
  if (answer->failure) set(L, "error", cp_code_name(cp_code_of_failure(answer->failure)));
  if (!answer->http_status) return;
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, answer->http_status);
  lua_setfield(L, -2, "status");
  push_headers(L, &answer->headers);
  lua_setfield(L, -2, "headers");
  lua_pushlstring(L, cp_text_get(&answer->body), answer->body.length);
  lua_setfield(L, -2, "body");
  lua_setfield(L, -2, "response");
}

/* Pushes request and answer of an exchange that has ended, for `observe`. */
static void push_exchange(lua_State *L, const cp_lua_task *task, const cp_clock *clock) {
  lua_createtable(L, 0, 5);
  push_sent(L, task);
  lua_setfield(L, -2, "request");
  set_outcome(L, task->task.answer, clock);
}

bool cp_observe(lua_State *L, int env, const cp_lua_task *task, const cp_clock *clock) {
  lua_getfield(L, env, "observe");
  push_exchange(L, task, clock);
  return lua_pcall(L, 1, 0, 0) == 0;
}

/* With the request in C's memory, which a raise must not leak. */
static int push_renewal(lua_State *L) {
  lua_createtable(L, 0, 5);
  push_request(L, lua_touserdata(L, 2));
  lua_setfield(L, -2, "request");
  set_outcome(L, lua_touserdata(L, 1), lua_touserdata(L, 3));
  lua_pushvalue(L, 4);
  lua_insert(L, -2);
  lua_call(L, 1, 0);
  return 0;
}

bool cp_observe_renewal(lua_State *L, int env, cp_credential *credential,
                        const cp_clock *clock) {
  cp_request request;
  cp_answer *last = credential->last; /* a finalizer may close the credential meanwhile */
  credential->last = NULL;
  bool ok = cp_credential_request_shown(credential, &request);
  lua_pushcfunction(L, push_renewal);
  lua_pushlightuserdata(L, last);
  lua_pushlightuserdata(L, &request);
  lua_pushlightuserdata(L, (void *)clock);
  lua_getfield(L, env, "observe");
  ok = !ok || lua_pcall(L, 4, 0, 0) == 0;
  cp_request_free(&request);
  cp_credential_give_back(credential, last);
  return ok;
}

/* on_progress, before_send, confirm, update's */

/* Pushes the function that the machine asks for; nil when its caller gave none. */
static void push_call(lua_State *L, int env, const cp_lua_task *task) {
  static const char *const names[] = {[CP_CALL_BEFORE_SEND] = "before_send",
                                      [CP_CALL_PROGRESS] = "on_progress",
                                      [CP_CALL_EDIT] = "edit",
                                      [CP_CALL_CONFIRM] = "confirm"};
  lua_getfield(L, env, "calls");
  cp_rawgetp(L, -1, task);
  if (lua_istable(L, -1))
    lua_getfield(L, -1, names[task->task.todo.as.call]);
  else
    lua_pushnil(L);
}

bool cp_has_call(lua_State *L, int env, const cp_lua_task *task) {
  int top = lua_gettop(L);
  push_call(L, env, task);
  bool given = lua_isfunction(L, -1);
  lua_settop(L, top);
  return given;
}

static void push_subject(lua_State *L, int env, const cp_lua_task *task) {
  switch (task->task.todo.as.call) {
    case CP_CALL_BEFORE_SEND: cp_push_intent(L, task); break;
    case CP_CALL_EDIT: cp_push_edit(L, env, task); break;
    default: cp_push_status(L, task); break;
  }
  if (task->task.machine != &cp_release_machine) return;
  if (task->task.todo.as.call == CP_CALL_PROGRESS)
    lua_pushstring(L, cp_phase_name(task->task.as.release.phase));
  lua_pushstring(L, task->task.operation.offer);
}

/* Only falsehood is a no, where it counts: see machine.h. */
void cp_take_said(lua_State *L, int env, cp_lua_task *task, int first) {
  cp_task *of = &task->task;
  bool no = lua_type(L, first) == LUA_TBOOLEAN && !lua_toboolean(L, first);
  if (!of->machine->told) return;
  if (of->todo.as.call == CP_CALL_EDIT)
    of->machine->told(&of->as, cp_take_edit(L, env, task, no));
  else if (of->todo.as.call == CP_CALL_CONFIRM)
    of->machine->told(&of->as, lua_toboolean(L, first));
}

int cp_push_function(lua_State *L, int env, const cp_lua_task *task,
                     const cp_clock *clock, const cp_request *request) {
  static const char *const names[] = {[CP_FUNCTION_TOKEN] = "token",
                                      [CP_FUNCTION_LOG] = "log",
                                      [CP_FUNCTION_TRANSPORT] = "transport",
                                      [CP_FUNCTION_ASK] = "transport"};
  int top = lua_gettop(L);
  if (task->function == CP_FUNCTION_CALL)
    push_call(L, env, task);
  else
    lua_getfield(L, env, names[task->function]);
  if (lua_gettop(L) > top + 1) lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  switch (task->function) {
    case CP_FUNCTION_LOG: push_event(L, task, clock); break;
    case CP_FUNCTION_TRANSPORT:
    case CP_FUNCTION_ASK: push_request(L, request); break;
    case CP_FUNCTION_CALL: push_subject(L, env, task); break;
    default: break;
  }
  return lua_gettop(L) - top;
}
