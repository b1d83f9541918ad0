/*
** lua_client.c - a client: made from options, stepped, closed
*/
#include "lua_client.h"

#include <math.h>
#include <string.h>

#include "lua_credential.h"
#include "lua_json.h"
#include "lua_options.h"
#include "lua_settings.h"
#include "url.h"

#define DEFAULT_ENDPOINT    "https://cloudpartner.azure.com"
#define DEFAULT_API_VERSION "2017-10-31"

/* Checkers */

cp_client *cp_to_client(lua_State *L, int index) {
  return luaL_checkudata(L, index, CP_CLIENT);
}

cp_client *cp_check_client(lua_State *L, int index) {
  cp_client *client = cp_to_client(L, index);
  if (!client->open) luaL_error(L, "attempt to use a closed client");
  return client;
}

cp_text cp_borrow(lua_State *L, size_t size) {
  char *memory = lua_newuserdatauv(L, size + 1, 0);
  *memory = '\0';
  return (cp_text){.data = memory, .size = size + 1, .limit = size};
}

int cp_push_env(lua_State *L, int index) {
  lua_getuservalue(L, index);
  return lua_gettop(L);
}

/* Time and chance */

static double call_for_number(lua_State *L, int env, const char *name) {
  lua_getfield(L, env, name);
  lua_call(L, 0, 1);
  if (lua_type(L, -1) != LUA_TNUMBER)
    luaL_error(L, "option '%s' must return a number, not %s", name, luaL_typename(L, -1));
  double number = lua_tonumber(L, -1);
  if (!isfinite(number)) luaL_error(L, "option '%s' must return a finite number", name);
  lua_pop(L, 1);
  return number;
}

double cp_client_now(lua_State *L, int env, cp_client *client) {
  return client->has_now ? call_for_number(L, env, "now") : cp_os_now();
}

/* xorshift128+, seeded by the system: a call of the system for each id would be felt. */
uint64_t cp_client_random(cp_client *client) {
  uint64_t x = client->chance[0], y = client->chance[1];
  client->chance[0] = y;
  x ^= x << 23;
  client->chance[1] = x ^ y ^ (x >> 17) ^ (y >> 26);
  return client->chance[1] + y;
}

void cp_client_seed(cp_client *client) {
  cp_os_random(client->chance, sizeof client->chance);
  client->chance[0] |= 1; /* xorshift's state must not be zero */
}

static double own_random(cp_client *client) {
  return (double)(cp_client_random(client) >> 11) / 9007199254740992.0;
}

static double random_of(lua_State *L, int env, cp_client *client) {
  if (!client->has_random) return own_random(client);
  double number = call_for_number(L, env, "random");
  return number >= 0 && number < 1 ? number : 0;
}

cp_clock cp_client_clock(lua_State *L, int env, cp_client *client) {
  double now = cp_client_now(L, env, client);
  return (cp_clock){.now = now,
                    .wall = client->has_now ? now : cp_os_wall(),
                    .random = random_of(L, env, client)};
}

/* new */

/* The options are at stack index 1, the client at 2, its environment at 3. */
enum { OPTIONS = 1, CLIENT = 2, ENV = 3 };

static void set_publisher(lua_State *L, cp_client *client) {
  const char *publisher = cp_setting(L, "publisher", "CLOUDPARTNER_PUBLISHER", NULL);
  if (publisher && !cp_url_segment_ok(publisher, strlen(publisher)))
    luaL_error(L, "option 'publisher' must be an id: not empty, '.' or '..'");
  client->publisher = cp_keep(L, publisher);
}

static void set_endpoint(lua_State *L, cp_client *client) {
  cp_service *service = &client->service;
  cp_set_base(L, "endpoint",
              cp_setting(L, "endpoint", "CLOUDPARTNER_ENDPOINT", DEFAULT_ENDPOINT),
              &service->base);
  service->api_version =
      cp_keep(L, cp_setting(L, "api_version", NULL, DEFAULT_API_VERSION));
}

static void set_numbers(lua_State *L, cp_client *client) {
  cp_service *service = &client->service;
  service->exchange_timeout = cp_option_number(L, OPTIONS, "exchange_timeout", 30);
  service->connect_timeout = cp_option_number(L, OPTIONS, "connect_timeout", 10);
  client->max_body = (size_t)cp_option_number(L, OPTIONS, "max_body", 8 << 20);
  client->tasks.places = (int)cp_option_number(L, OPTIONS, "max_connections", 8);
  cp_set_retry(L, &service->retry);
}

static bool set_function(lua_State *L, const char *name) {
  cp_option_push(L, OPTIONS, name);
  bool given = lua_isfunction(L, -1);
  lua_setfield(L, ENV, name);
  return given;
}

static void set_functions(lua_State *L, cp_client *client) {
  client->has_transport = set_function(L, "transport");
  client->has_log = client->tasks.logs = set_function(L, "log");
  client->has_now = set_function(L, "now");
  client->has_sleep = set_function(L, "sleep");
  client->has_random = set_function(L, "random");
}

/* The credential that the options name, or one of its own. */
static void set_credential(lua_State *L, cp_client *client) {
  client->sharer.tasks = &client->tasks;
  client->sharer.port = &client->port;
  cp_option_push(L, OPTIONS, "token");
  if (lua_isfunction(L, -1)) lua_setfield(L, ENV, "token");
  cp_credential *credential = cp_push_credential(L, &client->owns_credential);
  int index = lua_gettop(L);
  lua_pushvalue(L, index);
  lua_setfield(L, ENV, "credential");
  cp_credential_join(credential, &client->sharer);
  cp_credential_suit(L, index, client->service.base);
}

static void set_headers(lua_State *L, cp_client *client) {
  cp_push_agent(L);
  cp_option_headers(L, OPTIONS);
  lua_concat(L, 2);
  client->headers = cp_keep(L, lua_tostring(L, -1));
}

static void set_table(lua_State *L, const char *name) {
  lua_newtable(L);
  lua_setfield(L, ENV, name);
}

/* An operation's metatable leads to its client: contract, "Submissions". */
static void set_operation_metatable(lua_State *L) {
  lua_newtable(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "cloudpartner.operation");
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, CLIENT);
  lua_setfield(L, -2, "client");
  lua_setfield(L, ENV, "operation");
}

static void make_env(lua_State *L) {
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setuservalue(L, CLIENT);
  lua_pushvalue(L, CLIENT);
  lua_setfield(L, ENV, "client");
  set_table(L, "tasks");
  set_table(L, "calls");
  set_table(L, "raised");
  set_table(L, "wakes");
  set_table(L, "members");
  set_operation_metatable(L);
}

static cp_client *new_client(lua_State *L) {
  cp_client *client = lua_newuserdatauv(L, sizeof *client, 1);
  memset(client, 0, sizeof *client);
  luaL_getmetatable(L, CP_CLIENT);
  lua_setmetatable(L, -2);
  make_env(L);
  return client;
}

/*
** cloudpartner.new(options): a client. Options: docs/reference.md. No I/O; raises for a
** wrong or unknown option.
*/
int cp_client_new(lua_State *L) {
  lua_settop(L, 1);
  cp_options_check(L, OPTIONS, CP_FOR_NEW);
  luaL_checkstack(L, 40, "cloudpartner.new");
  cp_client *client = new_client(L);
  set_publisher(L, client);
  set_endpoint(L, client);
  set_numbers(L, client);
  set_functions(L, client);
  set_headers(L, client);
  cp_set_route(L, client->service.base, &client->route);
  set_credential(L, client); /* last: a shared one is bound by it */
  cp_client_seed(client);
  client->generation = cp_engine_generation();
  client->open = true;
  lua_settop(L, CLIENT);
  return 1;
}

/* close */

/* Pushes a table of those that it stopped. */
static void stop_tasks(lua_State *L, int env) {
  lua_getfield(L, env, "tasks");
  int tasks = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, tasks); lua_pop(L, 1)) {
    cp_lua_task *task = lua_touserdata(L, -1);
    cp_task_abandon(task);
    cp_task_release_bearer(task);
    cp_task_end(&task->client->tasks, &task->task, CP_CODE_CANCELED);
    task->function = CP_FUNCTION_NONE;
    if (task->client->sharer.credential)
      cp_credential_forsake(task->client->sharer.credential, task);
  }
  lua_newtable(L);
  lua_setfield(L, env, "tasks");
}

static void part_from_credential(cp_client *client) {
  cp_credential *credential = client->sharer.credential;
  cp_credential_part(&client->sharer);
  if (credential && client->owns_credential) cp_credential_close(credential);
}

static void free_client(cp_client *client) {
  part_from_credential(client);
  if (client->port) cp_port_close(client->port);
  cp_tasks_free(&client->tasks);
  cp_route_free(&client->route);
  cp_free(client->publisher);
  cp_free_secret(client->headers);
  *client = (cp_client){.service = client->service};
}

/*
** client:close(): ends its tasks (`canceled`), gives up what is in flight, and waits for
** nothing. Also __gc and __close; again is nothing.
*/
static int client_close(lua_State *L) {
  cp_client *client = cp_to_client(L, 1);
  bool open = client->open;
  if (!open) return 0;
  client->open = false;
  int env = cp_push_env(L, 1);
  stop_tasks(L, env);
  free_client(client);
  cp_wake_holders(L, env, env + 1);
  return 0;
}

/*
** Results of tasks, and calls that were being made, need the service's texts until
** here. Nobody is woken: who holds a task holds its client.
*/
static int client_gc(lua_State *L) {
  cp_client *client = cp_to_client(L, 1);
  if (client->open) stop_tasks(L, cp_push_env(L, 1));
  free_client(client);
  cp_free(client->service.base);
  cp_free(client->service.api_version);
  client->service = (cp_service){0};
  return 0;
}

/* Stepping */

cp_port *cp_client_port(cp_client *client) {
  if (!client->port) {
    client->port = cp_port_new(&client->route);
    if (client->port) client->route = (cp_route){0};
  }
  return client->port;
}

/*
** client:step([timeout = 0]): does what can be done now, waits at most `timeout` seconds,
** returns once something ended, or a holder has a call to make; the number of open
** tasks.
*/
static int client_step(lua_State *L) {
  cp_client *client = cp_check_client(L, 1);
  double timeout = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, timeout >= 0, 2, "seconds must not be negative");
  int env = cp_push_env(L, 1);
  double end = timeout > 0 ? cp_client_now(L, env, client) + timeout : 0;
  unsigned long news = client->tasks.news;
  for (;;) {
    cp_drive(L, env, client);
    if (client->tasks.news != news || !client->tasks.open || timeout == 0) break;
    double left = end - cp_client_now(L, env, client);
    if (left <= 0) break;
    cp_rest(L, env, client, left);
    if (!client->open) break;
  }
  lua_pushinteger(L, (lua_Integer)client->tasks.open);
  return 1;
}

/* client:timeout(): seconds until `step` is next needed; nil when no time needs it. */
static int client_timeout(lua_State *L) {
  cp_client *client = cp_check_client(L, 1);
  double now = cp_client_now(L, cp_push_env(L, 1), client);
  double seconds = cp_tasks_timeout(&client->tasks, now);
  if (client->generation != cp_engine_generation() && client->tasks.open) seconds = 0;
  if (seconds >= 0)
    lua_pushnumber(L, seconds);
  else
    lua_pushnil(L);
  return 1;
}

/*
** client:pollfd(): the descriptor that is readable when `step` is needed; nil with
** transport.
*/
static int client_pollfd(lua_State *L) {
  cp_client *client = cp_check_client(L, 1);
  cp_leave_parent(L, cp_push_env(L, 1), client);
  cp_port *port = client->has_transport ? NULL : cp_client_port(client);
  if (port)
    lua_pushinteger(L, cp_port_signal(port)->read_end);
  else
    lua_pushnil(L);
  return 1;
}

/* client:events(): "r", what to poll that descriptor for; nil with transport. */
static int client_events(lua_State *L) {
  cp_client *client = cp_check_client(L, 1);
  lua_pushstring(L, client->has_transport ? NULL : "r"); /* NULL: nil */
  return 1;
}

int cp_client_in_flight(const cp_client *client) {
  const cp_credential *credential = client->sharer.credential;
  bool awaits = client->tasks.tokenless.first && credential &&
                cp_credential_is_in_flight(credential);
  return client->flying + awaits;
}

/*
** client:in_flight(): how many exchanges libcurl is at. A host that can't watch the
** descriptor looks more often while there are some.
*/
static int client_in_flight(lua_State *L) {
  lua_pushinteger(L, cp_client_in_flight(cp_check_client(L, 1)));
  return 1;
}

/* client:tasks(): a list of the open tasks. */
static int client_tasks(lua_State *L) {
  cp_check_client(L, 1);
  lua_getfield(L, cp_push_env(L, 1), "tasks");
  lua_newtable(L);
  int tasks = lua_gettop(L) - 1, count = 0;
  for (lua_pushnil(L); lua_next(L, tasks); lua_pop(L, 1)) {
    lua_pushvalue(L, -1);
    lua_rawseti(L, tasks + 1, ++count);
  }
  return 1;
}

/*
** client:observe(f): `f(exchange)` is called after each exchange, with request and
** response but without the token; nil stops that. Source of recordings:
** cloudpartner.har.
*/
static int client_observe(lua_State *L) {
  cp_client *client = cp_check_client(L, 1);
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  client->has_observer = !lua_isnil(L, 2);
  client->tasks.logs = client->has_log || client->has_observer;
  int env = cp_push_env(L, 1);
  lua_pushvalue(L, 2);
  lua_setfield(L, env, "observe");
  return 0;
}

static int client_tostring(lua_State *L) {
  cp_client *client = cp_to_client(L, 1);
  if (!client->open)
    lua_pushliteral(L, "cloudpartner client (closed)");
  else
    lua_pushfstring(L, "cloudpartner client (publisher %s, %s)",
                    client->publisher ? client->publisher : "not set",
                    client->service.base);
  return 1;
}

static const luaL_Reg methods[] = {
    {"close", client_close},         {"step", client_step},
    {"timeout", client_timeout},     {"pollfd", client_pollfd},
    {"events", client_events},       {"tasks", client_tasks},
    {"observe", client_observe},     {"start", cp_client_start},
    {"in_flight", client_in_flight}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", client_gc},
    {"__close", client_close},
    {"__tostring", client_tostring},
    {NULL, NULL},
};

static void add_functions(lua_State *L, const luaL_Reg *functions) {
  for (; functions->name; functions++) {
    lua_pushcfunction(L, functions->func);
    lua_setfield(L, -2, functions->name);
  }
}

void cp_open_client(lua_State *L) {
  luaL_newmetatable(L, CP_CLIENT);
  add_functions(L, metamethods);
  lua_newtable(L);
  add_functions(L, methods);
  cp_push_methods(L);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
