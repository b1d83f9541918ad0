/*
** lua_drive.c - driving tasks: what they want is done here, between two steps
*/
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua_call.h"
#include "lua_client.h"
#include "lua_document.h"

/* A blocking wait lets the host's signals in this often, in seconds. */
#define BREATH 1.0

/* One task being driven. Its userdata lies on the stack meanwhile, so it stays. */
typedef struct drive {
  int env;
  cp_client *client;
  cp_lua_task *task;
  cp_clock clock;
  cp_request request; /* here, so that a raise leaves no token behind */
  cp_answer *answer;  /* likewise, of a transport: until the task has it */
} drive;

/*
** Ends the task with the value on top of the stack, which comes out where it is asked
** for.
*/
static void raise(lua_State *L, drive *d) {
  cp_task_abandon(d->task);
  cp_task_end(&d->client->tasks, &d->task->task, CP_CODE_CANCELED);
  d->task->raised = true;
  cp_task_note(L, d->env, "raised", d->task);
}

static int protected_clock(lua_State *L) {
  cp_clock *clock = lua_touserdata(L, 3);
  *clock = cp_client_clock(L, 1, lua_touserdata(L, 2));
  return 0;
}

/* `now` and `random` are the caller's too, and may raise. */
static bool read_clock(lua_State *L, drive *d) {
  if (!d->client->has_now && !d->client->has_random) {
    d->clock = cp_client_clock(L, d->env, d->client);
    return true;
  }
  lua_pushcfunction(L, protected_clock);
  lua_pushvalue(L, d->env);
  lua_pushlightuserdata(L, d->client);
  lua_pushlightuserdata(L, &d->clock);
  if (lua_pcall(L, 3, 0, 0) == 0) return true;
  raise(L, d);
  return false;
}

/* The task's answer, which is the task's then; NULL: there is no memory for one. */
static void answer_with(drive *d, cp_answer *answer) {
  if (answer) {
    cp_task_answered(&d->client->tasks, &d->task->task, answer);
    return;
  }
  cp_task_end(&d->client->tasks, &d->task->task, CP_CODE_NETWORK);
  d->task->task.outcome.no_memory = true;
}

static void answer_failure(drive *d, cp_failure failure, cp_sent sent,
                           const char *detail) {
  cp_answer *answer = cp_calloc(sizeof *answer);
  if (answer) {
    answer->failure = failure;
    answer->sent = sent;
    cp_text_puts(&answer->detail, detail);
  }
  answer_with(d, answer);
}

/* The caller's functions */

static bool take(lua_State *L, drive *d, const cp_came *came);

static cp_credential *credential_of(const drive *d) {
  return d->client->sharer.credential;
}

/* With the environment, the drive and the task on the stack. */
static int protected_call(lua_State *L) {
  drive *d = lua_touserdata(L, 2);
  lua_call(L, cp_push_function(L, 1, d->task, &d->clock, &d->request) - 1, 3);
  return 3;
}

/*
** Calls one, between two steps; or leaves that to the task's holder, who may yield in it.
** False when the task can't go on now.
*/
static bool call(lua_State *L, drive *d, cp_function function) {
  d->task->function = (uint8_t)function;
  if (d->task->held) return false;
  bool asks = function == CP_FUNCTION_TOKEN || function == CP_FUNCTION_ASK;
  cp_credential *credential = credential_of(d);
  cp_came came = {.first = lua_gettop(L) + 1};
  luaL_checkstack(L, 10, "a call");
  lua_pushcfunction(L, protected_call);
  for (int i = 1; i <= 3; i++) lua_pushvalue(L, i);
  if (asks) credential->is_asking = true;
  came.ok = lua_pcall(L, 3, 3, 0) == 0;
  if (asks) credential->is_asking = false;
  return read_clock(L, d) && take(L, d, &came);
}

static bool observe(lua_State *L, drive *d) {
  const cp_task *task = &d->task->task;
  bool observes = d->client->has_observer && task->event == CP_EVENT_ANSWER;
  if (!observes || task->stage == CP_STAGE_ENDED) return true;
  if (cp_observe(L, d->env, d->task, &d->clock)) return read_clock(L, d);
  raise(L, d);
  return true;
}

static bool tell(lua_State *L, drive *d) {
  return d->client->has_log ? call(L, d, CP_FUNCTION_LOG) : observe(L, d);
}

/* Tokens */

/* Where no descriptor tells of its arrival, it is looked for this often, in seconds. */
#define GLANCE 0.05

static bool get_token(lua_State *L, drive *d);

static bool fail_by_credential(drive *d, const char *reason) {
  answer_failure(d, CP_FAIL_CREDENTIAL, CP_SENT_NO, reason);
  return true;
}

/* Whatever is called may close it: a function, an observer, a finalizer of the host. */
static bool is_credential_open(const drive *d) {
  return credential_of(d) && credential_of(d)->open;
}

static bool fail_as_closed(drive *d) {
  return fail_by_credential(d, "the credential is closed");
}

/*
** Shows an observer the exchange for a token that has ended; false when it raised, or has
** ended the task.
*/
static bool show_renewal(lua_State *L, drive *d) {
  cp_credential *credential = credential_of(d);
  if (!d->client->has_observer || !credential->unobserved) return true;
  credential->unobserved = false;
  bool ok = cp_observe_renewal(L, d->env, credential, &d->clock);
  if (!ok) raise(L, d);
  return read_clock(L, d) && ok && d->task->task.stage != CP_STAGE_ENDED;
}

/* The task has a token from now on, whatever becomes of the credential's. */
static bool take_bearer(lua_State *L, drive *d) {
  cp_credential *credential = credential_of(d);
  cp_bearer_release(d->task->bearer);
  d->task->bearer = cp_bearer_share(credential->token.bearer);
  if (!d->client->has_log || !credential->untold) return true;
  credential->untold = false;
  d->task->task.event = CP_EVENT_TOKEN;
  return call(L, d, CP_FUNCTION_LOG);
}

static bool is_served(const drive *d) {
  cp_token_todo todo = cp_token_look(&credential_of(d)->token, d->clock.now);
  return todo == CP_TOKEN_SEND || todo == CP_TOKEN_SEND_AND_RENEW;
}

/* While the old token serves, it is no error that there is no new one. */
static bool go_on(lua_State *L, drive *d, cp_renewal renewal) {
  if (!show_renewal(L, d)) return true;
  if (!is_credential_open(d)) return fail_as_closed(d);
  if (renewal == CP_RENEWED || is_served(d)) return take_bearer(L, d);
  if (renewal == CP_RENEWAL_REPEATED) return get_token(L, d);
  answer_with(d, cp_credential_failure(credential_of(d)));
  return true;
}

static bool ask_transport(lua_State *L, drive *d) {
  cp_credential *credential = credential_of(d);
  cp_text fault = {0};
  cp_credential_begin(credential, d->task, &d->clock);
  if (cp_credential_request(credential, &d->request, &fault))
    return call(L, d, CP_FUNCTION_ASK);
  cp_renewal renewal = cp_credential_refused(credential, fault.data, NULL, &d->clock);
  cp_text_free(&fault);
  return go_on(L, d, renewal);
}

/* One renews it for all; by the engine nobody has to wait for that. */
static bool renew(lua_State *L, drive *d) {
  cp_credential *credential = credential_of(d);
  cp_source source = credential->identity.source;
  if (source == CP_SOURCE_FUNCTION) {
    cp_credential_begin(credential, d->task, &d->clock);
    return call(L, d, CP_FUNCTION_TOKEN);
  }
  if (d->client->has_transport && cp_source_is_http(source)) return ask_transport(L, d);
  cp_credential_ask(credential, &d->clock);
  if (cp_credential_is_in_flight(credential)) return get_token(L, d);
  return go_on(L, d, CP_RENEWAL_FAILED);
}

/* When a task that waits for the token looks for it again, unless it is woken. */
static double next_look(drive *d) {
  cp_client *client = d->client;
  const cp_credential *credential = credential_of(d);
  if (!credential->token.is_asked) return credential->token.until;
  if (!cp_credential_is_in_flight(credential)) return INFINITY;
  if (client->has_transport || !cp_client_port(client)) return d->clock.now + GLANCE;
  cp_credential_follow(&client->sharer);
  return INFINITY;
}

/* Within the function that gets it nobody can wait for it. */
static bool await_token(drive *d) {
  if (credential_of(d)->is_asking)
    return fail_by_credential(d, "the token function called its own client");
  cp_task_await_token(&d->client->tasks, &d->task->task, next_look(d));
  return false;
}

static bool get_token(lua_State *L, drive *d) {
  if (!is_credential_open(d)) return fail_as_closed(d);
  cp_credential *credential = credential_of(d);
  cp_token_news news = d->task->task.token_news;
  d->task->task.token_news = CP_NEWS_NONE;
  if (credential->identity.source == CP_SOURCE_NONE) news = CP_NEWS_FAILED;
  if (!show_renewal(L, d)) return true;
  if (!is_credential_open(d)) return fail_as_closed(d);
  if (news == CP_NEWS_FAILED) return go_on(L, d, CP_RENEWAL_FAILED);
  if (news == CP_NEWS_CAME && credential->token.bearer) return take_bearer(L, d);
  switch (cp_token_look(&credential->token, d->clock.now)) {
    case CP_TOKEN_SEND: return take_bearer(L, d);
    case CP_TOKEN_WAIT: return await_token(d);
    default: return renew(L, d);
  }
}

static bool take_token(lua_State *L, drive *d, const cp_came *came) {
  cp_credential *credential = credential_of(d);
  if (!is_credential_open(d)) return fail_as_closed(d);
  credential->asker = NULL;
  return go_on(L, d, cp_take_token(L, credential, came, &d->clock));
}

/* What a transport answered to the request for a token. */
static bool take_asked(lua_State *L, drive *d, const cp_came *came) {
  cp_credential *credential = credential_of(d);
  cp_request_free(&d->request);
  if (!is_credential_open(d)) return fail_as_closed(d);
  credential->asker = NULL;
  d->answer = cp_calloc(sizeof *d->answer);
  if (!d->answer)
    return go_on(L, d, cp_credential_refused(credential, NULL, NULL, &d->clock));
  cp_take_answer(L, credential->max_body, came, d->answer);
  if (!is_credential_open(d)) return fail_as_closed(d);
  cp_answer *answer = d->answer;
  d->answer = NULL;
  answer->seconds = d->clock.now - credential->asked_at;
  return go_on(L, d, cp_credential_answered(credential, answer, &d->clock));
}

static bool call_back(lua_State *L, drive *d) {
  return !cp_has_call(L, d->env, d->task) || call(L, d, CP_FUNCTION_CALL);
}

static bool make_request(const drive *d, cp_request *request) {
  const cp_task *task = &d->task->task;
  double limit = task->todo.as.send.limit;
  bool writes = cp_api_writes(task->todo.as.send.endpoint);
  cp_text url = {0};
  *request = (cp_request){
      .method = cp_api_method(task->todo.as.send.endpoint),
      .timeout = d->client->service.exchange_timeout,
      .max_body = d->client->max_body,
      .body = writes && task->body ? cp_strdup(task->body) : NULL,
      .once = writes,
  };
  if (limit > 0)
    request->timeout = fmax(fmin(request->timeout, limit - d->clock.now), 0.001);
  bool ok = cp_add_url(d->client, task, &url) &&
            cp_add_headers(d->client, d->task, true, &request->headers) &&
            (!writes || !task->body || request->body);
  request->url = url.data;
  if (!ok) cp_request_free(request);
  return ok;
}

static void free_drive(drive *d) {
  cp_request_free(&d->request);
  if (d->answer) cp_answer_free(d->answer);
  cp_free(d->answer);
}

static bool take_answer(lua_State *L, drive *d, const cp_came *came) {
  cp_request_free(&d->request);
  d->answer = cp_calloc(sizeof *d->answer);
  if (!d->answer) {
    answer_failure(d, CP_FAIL_NETWORK, CP_SENT_MAYBE, "not enough memory");
    return true;
  }
  cp_take_answer(L, d->client->max_body, came, d->answer);
  if (d->task->task.stage == CP_STAGE_ENDED) return true;
  d->answer->seconds = d->clock.now - d->task->task.launched;
  cp_bearer_blot(d->task->bearer, d->answer);
  cp_task_answered(&d->client->tasks, &d->task->task, d->answer);
  d->answer = NULL;
  return true;
}

static void submit(drive *d) {
  cp_port *port = cp_client_port(d->client);
  if (port) d->task->exchange = cp_port_submit(port, &d->request, d->task);
  if (!port) cp_request_free(&d->request);
  if (d->task->exchange)
    d->client->flying++;
  else
    answer_failure(d, CP_FAIL_NETWORK, CP_SENT_NO,
                   "no thread, descriptor or memory for it");
}

static bool exchange(lua_State *L, drive *d) {
  if (!make_request(d, &d->request)) {
    answer_failure(d, CP_FAIL_NETWORK, CP_SENT_NO, "not enough memory");
    return true;
  }
  if (d->client->has_transport) return call(L, d, CP_FUNCTION_TRANSPORT);
  submit(d);
  return true;
}

static bool may_renew(const drive *d) {
  const cp_credential *credential = credential_of(d);
  return d->task->task.answer->http_status == 401 && !d->task->task.renewed &&
         credential && credential->identity.source > CP_SOURCE_TOKEN;
}

static void digest_answer(drive *d) {
  cp_task *task = &d->task->task;
  if (d->task->bearer && may_renew(d)) {
    cp_token_refused(&credential_of(d)->token, d->task->bearer);
    cp_task_send_again(&d->client->tasks, task);
  } else {
    cp_task_digest(task, &d->clock);
  }
  cp_task_release_bearer(d->task);
}

static void give_up(drive *d) {
  bool sent = d->task->exchange != NULL;
  cp_task_abandon(d->task);
  answer_failure(d, CP_FAIL_TIMEOUT, sent ? CP_SENT_MAYBE : CP_SENT_NO,
                 "no answer in time");
}

/* Takes what came of a call. A task that ended meanwhile stays as it is. */
static bool take(lua_State *L, drive *d, const cp_came *came) {
  cp_function function = (cp_function)d->task->function;
  d->task->function = CP_FUNCTION_NONE;
  d->task->calling = false;
  if (d->task->task.stage == CP_STAGE_ENDED) return true;
  if (function == CP_FUNCTION_TOKEN) return take_token(L, d, came);
  if (function == CP_FUNCTION_ASK) return take_asked(L, d, came);
  if (function == CP_FUNCTION_TRANSPORT) return take_answer(L, d, came);
  if (!came->ok) {
    lua_pushvalue(L, came->first);
    raise(L, d);
  } else if (function == CP_FUNCTION_CALL) {
    cp_take_said(L, d->env, d->task, came->first);
  }
  return function == CP_FUNCTION_LOG ? observe(L, d) : true;
}

/* Does what the task wants; false when it can't go on now. */
static bool satisfy(lua_State *L, drive *d, cp_want want) {
  switch (want) {
    case CP_WANT_TOKEN: return get_token(L, d);
    case CP_WANT_LOG: return tell(L, d);
    case CP_WANT_EXCHANGE: return exchange(L, d);
    case CP_WANT_DIGEST: digest_answer(d); return d->task->task.driven;
    case CP_WANT_GIVE_UP: give_up(d); return true;
    case CP_WANT_CALL: return call_back(L, d);
    default: return false;
  }
}

/* What is above the task: whether its holder's call went well, and three results. */
enum { TASK = 3, WENT_WELL, RESULTS };

/* What it was to be called with was made for its holder, who is gone. */
static bool call_anew(lua_State *L, drive *d) {
  cp_function function = (cp_function)d->task->function;
  if (function == CP_FUNCTION_TRANSPORT) return exchange(L, d);
  if (function != CP_FUNCTION_ASK) return call(L, d, function);
  d->task->function = CP_FUNCTION_NONE;
  return is_credential_open(d) ? ask_transport(L, d) : fail_as_closed(d);
}

/*
** Goes on with the call at which the task was left: it has been made; or its holder is
** gone, and then it is made here, unless that was in the middle of it.
*/
static bool resume(lua_State *L, drive *d) {
  cp_came came = {.first = RESULTS};
  if (lua_gettop(L) > TASK) {
    came.ok = lua_toboolean(L, WENT_WELL);
    return take(L, d, &came);
  }
  if (d->task->function == CP_FUNCTION_NONE) return true;
  if (d->task->task.stage == CP_STAGE_ENDED) return true;
  if (!d->task->calling) return call_anew(L, d);
  lua_pushnil(L);
  lua_pushliteral(L, "the coroutine that made this call is gone");
  return take(L, d, &came);
}

/* With the environment, the drive and the task on the stack, and perhaps results. */
static int carry(lua_State *L) {
  drive *d = lua_touserdata(L, 2);
  luaL_checkstack(L, 30, "a task");
  bool goes_on = read_clock(L, d) && resume(L, d);
  while (goes_on) {
    lua_settop(L, TASK);
    goes_on =
        satisfy(L, d, cp_task_advance(&d->client->tasks, &d->task->task, &d->clock));
  }
  return 0;
}

/* Pushes what `carry` is called with; gives the number of values. */
static int push_drive(lua_State *L, drive *d, int self, int answer) {
  int top = lua_gettop(L);
  lua_pushvalue(L, d->env);
  lua_pushlightuserdata(L, d);
  lua_pushvalue(L, self);
  for (int i = 0; answer && i < 4; i++) lua_pushvalue(L, answer + i);
  return lua_gettop(L) - top;
}

static void push_task(lua_State *L, int env, const cp_lua_task *task) {
  lua_getfield(L, env, "tasks");
  cp_rawgetp(L, -1, task);
  lua_remove(L, -2);
}

static void finish(lua_State *L, int env, cp_lua_task *task) {
  if (task->task.stage == CP_STAGE_ENDED) {
    cp_task_stop(L, env, task, CP_CODE_NONE);
  } else if (task->held && task->function) {
    task->client->tasks.news++;
    cp_task_wake(L, env, task);
  }
}

/*
** Whatever raises in between, want of memory before all, ends this task and no other, and
** no task stays half driven.
*/
void cp_drive_task(lua_State *L, int env, cp_lua_task *task, bool answered) {
  drive d = {.env = env, .client = task->client, .task = task};
  int top = lua_gettop(L);
  luaL_checkstack(L, 20, "a task");
  push_task(L, env, task);
  lua_pushcfunction(L, carry);
  int arguments = push_drive(L, &d, top + 1, answered ? top - 3 : 0);
  d.env = 1;
  bool ok = lua_pcall(L, arguments, 0, 0) == 0;
  free_drive(&d);
  d.env = env;
  if (!ok) raise(L, &d);
  finish(L, env, task);
  lua_settop(L, top);
}

static int raise_fault(lua_State *L, cp_text *fault) {
  char line[200];
  snprintf(line, sizeof line, "%s", fault->length ? fault->data : "not enough memory");
  cp_text_free(fault);
  return luaL_error(L, "%s", line);
}

/* With the environment and the drive on the stack. */
static int protected_push(lua_State *L) {
  drive *d = lua_touserdata(L, 2);
  d->clock = cp_client_clock(L, 1, d->client);
  if (d->task->function == CP_FUNCTION_NONE) return luaL_error(L, "the task has ended");
  bool sends = d->task->function == CP_FUNCTION_TRANSPORT;
  bool asks = d->task->function == CP_FUNCTION_ASK;
  cp_text fault = {0};
  if (asks && !is_credential_open(d)) return luaL_error(L, "the credential is closed");
  if ((sends && !make_request(d, &d->request)) ||
      (asks && !cp_credential_request(credential_of(d), &d->request, &fault)))
    return raise_fault(L, &fault);
  return cp_push_function(L, 1, d->task, &d->clock, &d->request);
}

int cp_push_wanted(lua_State *L, int env, cp_lua_task *task) {
  drive d = {.env = 1, .client = task->client, .task = task};
  int top = lua_gettop(L);
  luaL_checkstack(L, 20, "a call");
  lua_pushcfunction(L, protected_push);
  lua_pushvalue(L, env);
  lua_pushlightuserdata(L, &d);
  bool ok = lua_pcall(L, 2, LUA_MULTRET, 0) == 0;
  free_drive(&d);
  return ok ? lua_gettop(L) - top : lua_error(L);
}

/* Answers that have arrived go to their tasks; an abandoned exchange's has none. */
static void collect(cp_client *client) {
  cp_answer *answer;
  void *owner;
  while (client->port && (answer = cp_port_take(client->port, &owner))) {
    cp_lua_task *task = owner;
    if (task) {
      task->exchange = NULL;
      client->flying--;
      cp_bearer_blot(task->bearer, answer);
      cp_task_answered(&client->tasks, &task->task, answer);
    } else {
      cp_answer_free(answer);
      cp_free(answer);
    }
  }
}

/* Whose answer it is, the client that is driven takes it in for all that share it. */
static void collect_token(lua_State *L, int env, cp_client *client) {
  cp_credential *credential = client->sharer.credential;
  if (!credential || !cp_credential_is_in_flight(credential)) return;
  cp_clock clock = cp_client_clock(L, env, client);
  if (cp_credential_is_in_flight(credential)) cp_credential_collect(credential, &clock);
}

static void end_by_fork(cp_lua_task *task) {
  if (task->exchange) task->client->flying--;
  task->exchange = NULL;
  task->task.sent = CP_SENT_MAYBE;
  cp_task_end(&task->client->tasks, &task->task, CP_CODE_NETWORK);
}

/*
** What was open when this process was forked is the parent's, whether it was in flight,
** asleep or not begun: architecture, decision 3. Two processes would submit it twice.
*/
void cp_leave_parent(lua_State *L, int env, cp_client *client) {
  if (client->sharer.credential) cp_credential_leave_parent(client->sharer.credential);
  if (client->generation == cp_engine_generation()) return;
  client->generation = cp_engine_generation();
  cp_client_seed(client);
  lua_getfield(L, env, "tasks");
  int tasks = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, tasks); lua_pop(L, 1))
    end_by_fork(lua_touserdata(L, -1));
  lua_newtable(L);
  lua_setfield(L, env, "tasks");
  lua_newtable(L);
  lua_setfield(L, env, "calls");
  if (client->port) client->route = cp_port_leave(client->port);
  client->port = NULL;
  cp_wake_holders(L, env, tasks);
  lua_settop(L, tasks - 1);
}

void cp_drive(lua_State *L, int env, cp_client *client) {
  cp_leave_parent(L, env, client);
  collect(client);
  collect_token(L, env, client);
  if (client->tasks.heap_count)
    cp_tasks_wake(&client->tasks, cp_client_now(L, env, client));
  cp_task *task;
  while (client->open && (task = cp_tasks_next(&client->tasks)))
    cp_drive_task(L, env, (cp_lua_task *)task, false);
}

/* The `lua` program's Ctrl-C sets a hook, and hooks run only in Lua code. */
static void breathe(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "cloudpartner.breathe");
  lua_call(L, 0, 0);
}

static void sleep_as_told(lua_State *L, int env, double seconds) {
  lua_getfield(L, env, "sleep");
  lua_pushnumber(L, seconds);
  lua_call(L, 1, 0);
}

/* What tells of the answer that is awaited. */
static cp_port *port_to_watch(const cp_client *client) {
  const cp_credential *credential = client->sharer.credential;
  return client->port || !credential ? client->port : credential->port;
}

void cp_rest(lua_State *L, int env, cp_client *client, double seconds) {
  double next = cp_tasks_timeout(&client->tasks, cp_client_now(L, env, client));
  if (next >= 0) seconds = fmin(seconds, next);
  if (seconds <= 0) return;
  int flying = cp_client_in_flight(client);
  if (!flying && !(seconds < INFINITY))
    luaL_error(L, "this call would wait for ever: it waits for a task that waits for it");
  if (!flying && client->has_sleep) {
    sleep_as_told(L, env, seconds);
    return;
  }
  const cp_port *port = port_to_watch(client);
  cp_signal_wait(port ? cp_port_signal(port) : NULL, fmin(seconds, BREATH));
  breathe(L);
}
