/*
** lua_drive.c - driving tasks: what they want is done here, between two steps
*/
#include <assert.h>
#include <math.h>
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

static void answer_failure(drive *d, cp_failure failure, cp_sent sent,
                           const char *detail) {
  cp_answer *answer = cp_calloc(sizeof *answer);
  if (!answer) {
    cp_task_end(&d->client->tasks, &d->task->task, CP_CODE_NETWORK);
    d->task->task.outcome.no_memory = true;
    return;
  }
  answer->failure = failure;
  answer->sent = sent;
  cp_text_puts(&answer->detail, detail);
  cp_task_answered(&d->client->tasks, &d->task->task, answer);
}

static void tell(lua_State *L, drive *d) {
  if (!cp_tell(L, d->env, d->client, d->task, &d->clock)) raise(L, d);
}

static void get_token(lua_State *L, drive *d) {
  bool had = cp_token_serves(&d->client->token, d->clock.now);
  bool ok = cp_ask_token(L, d->env, d->client, d->clock.now);
  if (d->task->task.stage == CP_STAGE_ENDED) return;
  if (!ok) {
    answer_failure(d, CP_FAIL_CREDENTIAL, CP_SENT_NO, lua_tostring(L, -1));
  } else if (!had && d->client->has_log) {
    d->task->task.event = CP_EVENT_TOKEN;
    tell(L, d);
  }
}

static bool make_request(const drive *d, cp_request *request) {
  const cp_task *task = &d->task->task;
  double limit = task->todo.as.send.limit;
  bool submits = cp_api_is_submission(task->todo.as.send.endpoint);
  cp_text url = {0};
  *request = (cp_request){
      .method = cp_api_method(task->todo.as.send.endpoint),
      .timeout = d->client->service.exchange_timeout,
      .max_body = d->client->max_body,
      .body = submits && task->body ? cp_strdup(task->body) : NULL,
      .once = submits,
  };
  if (limit > 0)
    request->timeout = fmax(fmin(request->timeout, limit - d->clock.now), 0.001);
  bool ok = cp_add_url(d->client, task, &url) &&
            cp_add_headers(d->client, d->task, true, &request->headers) &&
            (!submits || !task->body || request->body);
  request->url = url.data;
  if (!ok) cp_request_free(request);
  return ok;
}

static void exchange_by_transport(lua_State *L, drive *d, cp_request *request) {
  double began = d->clock.now;
  d->answer = cp_calloc(sizeof *d->answer);
  if (d->answer) cp_call_transport(L, d->env, d->client, request, d->answer);
  cp_request_free(request);
  if (!d->answer) {
    answer_failure(d, CP_FAIL_NETWORK, CP_SENT_NO, "not enough memory");
    return;
  }
  if (d->task->task.stage == CP_STAGE_ENDED || !read_clock(L, d)) return;
  d->answer->seconds = d->clock.now - began;
  cp_token_blot(&d->client->token, d->answer);
  cp_task_answered(&d->client->tasks, &d->task->task, d->answer);
  d->answer = NULL;
}

static void free_drive(drive *d) {
  cp_request_free(&d->request);
  if (d->answer) cp_answer_free(d->answer);
  cp_free(d->answer);
}

static void exchange(lua_State *L, drive *d) {
  if (!d->client->token.text) { /* renewed in vain while it was on its way */
    answer_failure(d, CP_FAIL_CREDENTIAL, CP_SENT_NO, "the token is gone");
    return;
  }
  if (!make_request(d, &d->request)) {
    answer_failure(d, CP_FAIL_NETWORK, CP_SENT_NO, "not enough memory");
    return;
  }
  if (d->client->has_transport) {
    exchange_by_transport(L, d, &d->request);
    return;
  }
  cp_port *port = cp_client_port(d->client);
  if (port) d->task->exchange = cp_port_submit(port, &d->request, d->task);
  if (!port) cp_request_free(&d->request);
  if (d->task->exchange)
    d->client->flying++;
  else
    answer_failure(d, CP_FAIL_NETWORK, CP_SENT_NO,
                   "no thread, descriptor or memory for it");
}

static bool may_renew(const drive *d) {
  return d->task->task.answer->http_status == 401 && d->client->asks_token &&
         !d->task->task.renewed;
}

static void digest_answer(drive *d) {
  cp_task *task = &d->task->task;
  if (may_renew(d)) {
    d->client->token.renew_at = -INFINITY; /* kept: another may be about to send it */
    cp_task_send_again(&d->client->tasks, task);
  } else {
    cp_task_digest(task, &d->clock);
  }
}

static void give_up(drive *d) {
  bool sent = d->task->exchange != NULL;
  cp_task_abandon(d->task);
  answer_failure(d, CP_FAIL_TIMEOUT, sent ? CP_SENT_MAYBE : CP_SENT_NO,
                 "no answer in time");
}

/* Does what the task wants; false when it can't go on now. */
static bool satisfy(lua_State *L, drive *d, cp_want want) {
  switch (want) {
    case CP_WANT_TOKEN: get_token(L, d); return true;
    case CP_WANT_LOG: tell(L, d); return true;
    case CP_WANT_EXCHANGE: exchange(L, d); return true;
    case CP_WANT_DIGEST: digest_answer(d); return d->task->task.driven;
    case CP_WANT_GIVE_UP: give_up(d); return true;
    case CP_WANT_CALL:
      if (!cp_call_back(L, d->env, d->task)) raise(L, d);
      return true;
    default: return false;
  }
}

/* After a function of the caller's it is later than it was. */
static bool may_have_called(const drive *d, cp_want want) {
  return want == CP_WANT_CALL || want == CP_WANT_LOG || d->client->has_transport ||
         (want == CP_WANT_TOKEN && d->client->asks_token);
}

/* With the environment, the drive and the task on the stack. */
static int carry(lua_State *L) {
  drive *d = lua_touserdata(L, 2);
  luaL_checkstack(L, 30, "a task");
  bool goes_on = read_clock(L, d);
  while (goes_on) {
    cp_want want = cp_task_advance(&d->client->tasks, &d->task->task, &d->clock);
    goes_on = satisfy(L, d, want);
    if (goes_on && may_have_called(d, want)) goes_on = read_clock(L, d);
    lua_settop(L, 3);
  }
  return 0;
}

/*
** Carries one task on as far as it gets. Whatever raises in between, want of memory
** before all, ends this task and no other, and no task stays half driven.
*/
static void drive_task(lua_State *L, int env, cp_client *client, cp_lua_task *task) {
  drive d = {.env = 1, .client = client, .task = task};
  int top = lua_gettop(L);
  luaL_checkstack(L, 10, "a task");
  lua_getfield(L, env, "tasks");
  cp_rawgetp(L, -1, task);
  lua_pushcfunction(L, carry);
  lua_pushvalue(L, env);
  lua_pushlightuserdata(L, &d);
  lua_pushvalue(L, top + 2);
  bool ok = lua_pcall(L, 3, 0, 0) == 0;
  free_drive(&d);
  d.env = env;
  if (!ok) raise(L, &d);
  if (task->task.stage == CP_STAGE_ENDED) cp_task_stop(L, env, task, CP_CODE_NONE);
  lua_settop(L, top);
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
      cp_token_blot(&client->token, answer);
      cp_task_answered(&client->tasks, &task->task, answer);
    } else {
      cp_answer_free(answer);
      cp_free(answer);
    }
  }
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
  lua_settop(L, tasks - 1);
  if (client->port) client->route = cp_port_leave(client->port);
  client->port = NULL;
}

void cp_drive(lua_State *L, int env, cp_client *client) {
  cp_leave_parent(L, env, client);
  collect(client);
  if (client->tasks.heap_count)
    cp_tasks_wake(&client->tasks, cp_client_now(L, env, client));
  cp_task *task;
  while (client->open && (task = cp_tasks_next(&client->tasks)))
    drive_task(L, env, client, (cp_lua_task *)task);
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

void cp_rest(lua_State *L, int env, cp_client *client, double seconds) {
  double next = cp_tasks_timeout(&client->tasks, cp_client_now(L, env, client));
  if (next >= 0) seconds = fmin(seconds, next);
  if (seconds <= 0) return;
  if (!client->flying && !(seconds < INFINITY))
    luaL_error(L, "this call would wait for ever: it waits for a task that waits for it");
  if (!client->flying && client->has_sleep) {
    sleep_as_told(L, env, seconds);
    return;
  }
  cp_signal_wait(client->port ? cp_port_signal(client->port) : NULL,
                 fmin(seconds, BREATH));
  breathe(L);
}
