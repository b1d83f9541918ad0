/*
** lua_client.h - the client and its tasks, as the files of the binding share them
** In all of them `env` is the stack index of a client's environment: a table that holds
** what C can't: the caller's functions (by option name), the client itself (`client`),
** its open tasks (`tasks`, by address), the functions of each (`calls`), what a
** function raised (`raised`), how to wake who holds one (`wakes`), the tasks of a group
** (`members`), and the metatable of its operations (`operation`).
*/
#ifndef CP_LUA_CLIENT_H
#define CP_LUA_CLIENT_H

#include <stdint.h>

#include "credential.h"
#include "engine.h"
#include "lua_compat.h"
#include "tasks.h"

#define CP_VERSION "0.1.0"

#define CP_CLIENT "cloudpartner.client"
#define CP_TASK   "cloudpartner.task"

typedef struct cp_client {
  bool open;
  int flying;               /* exchanges with the engine */
  unsigned long generation; /* of the process whose tasks these are: see engine */
  cp_service service;
  cp_route route; /* until a port takes it over */
  cp_port *port;
  cp_tasks tasks;
  cp_sharer sharer;     /* of its credential, which lies in env.credential */
  bool owns_credential; /* nobody else has it */
  char *publisher;
  char *headers; /* of every request, "Name: value\n" for each */
  size_t max_body;
  bool has_transport, has_log, has_observer, has_now, has_sleep, has_random;
  uint64_t chance[2]; /* the state of its random numbers */
} cp_client;

/* What `task:result` gives. */
typedef enum cp_result {
  CP_RESULT_OPERATION, /* the handle of what was submitted */
  CP_RESULT_STATUS,
  CP_RESULT_OFFER_STATUS,
  CP_RESULT_OPERATIONS,
  CP_RESULT_ONE_OPERATION,
  CP_RESULT_LIST, /* of what the service lists */
  CP_RESULT_OFFER,
  CP_RESULT_RELEASE,
  CP_RESULT_GROUP, /* what each of its members gives */
} cp_result;

/* A function of the caller's that a task is at. */
typedef enum cp_function {
  CP_FUNCTION_NONE,
  CP_FUNCTION_TOKEN,
  CP_FUNCTION_LOG,
  CP_FUNCTION_TRANSPORT,
  CP_FUNCTION_ASK,  /* the transport, with the request for a token */
  CP_FUNCTION_CALL, /* on_progress, before_send: as its machine says */
} cp_function;

/* A task's userdata. Its environment is the client's. */
typedef struct cp_lua_task {
  cp_task task; /* first: a cp_task of ours is a cp_lua_task */
  cp_client *client;
  cp_exchange *exchange; /* in flight */
  cp_bearer *bearer;     /* the token of the exchange under way */
  const char *call;      /* the method's name, for messages */
  cp_result result;
  bool raised;      /* a function of the caller's raised; the value is in env.raised */
  bool held;        /* whoever awaits it calls those functions: see lua_hold.c */
  uint8_t function; /* a cp_function: the one that its holder is to call */
  bool calling;     /* the holder is at it */
} cp_lua_task;

/* The client at a stack index; raises when that is something else, or closed. */
cp_client *cp_check_client(lua_State *L, int index);

/* The same, closed or not. */
cp_client *cp_to_client(lua_State *L, int index);

/*
** Pushes memory of Lua's for an empty text of up to `size` bytes, which is not to be
** freed: a raise leaves nothing behind.
*/
cp_text cp_borrow(lua_State *L, size_t size);

/* Pushes the environment of the client or task at `index`; gives its stack index. */
int cp_push_env(lua_State *L, int index);

/*
** Begins the client's random numbers anew: a forked child must not repeat its parent's.
*/
void cp_client_seed(cp_client *client);

/* 64 random bits, good for ids and delays. */
uint64_t cp_client_random(cp_client *client);

/* The machine's time and chance as this client's options say. May call the caller's. */
double cp_client_now(lua_State *L, int env, cp_client *client);
cp_clock cp_client_clock(lua_State *L, int env, cp_client *client);

/* The client's mailbox; NULL when there can be none. */
cp_port *cp_client_port(cp_client *client);

/* Registers the metatables; leaves nothing on the stack. */
void cp_open_client(lua_State *L);
void cp_open_task(lua_State *L);

/* The task at a stack index. */
cp_lua_task *cp_check_task(lua_State *L, int index);

/* lua_hold.c: adds the methods for those who await a task to the table on top. */
void cp_add_holding(lua_State *L);

/* Tells the holder of a task, if it has one, that there is something for it to do. */
void cp_task_wake(lua_State *L, int env, const cp_lua_task *task);

/* The same for each in the table at stack index `tasks`. */
void cp_wake_holders(lua_State *L, int env, int tasks);

/* cloudpartner.new */
int cp_client_new(lua_State *L);

/* Puts env[table][address of task] = the value on top of the stack, and pops that. */
void cp_task_note(lua_State *L, int env, const char *table, const cp_lua_task *task);

/*
** Pushes a new task of the client at stack index 1: call options at `options` (0: none)
** taken, no machine yet.
*/
cp_lua_task *cp_task_new(lua_State *L, const char *call, cp_result result, int options);

/* Lets the task on top of the stack begin; its machine is set. Raises without memory. */
void cp_task_begin(lua_State *L, cp_lua_task *task);

/* Ends the task on top of the stack before it began. */
void cp_task_refuse(cp_lua_task *task, cp_code code);

/* Nobody needs the token of the task's exchange any more. */
void cp_task_release_bearer(cp_lua_task *task);

/* How many answers of the engine are to come: of its tasks, and of a token for them. */
int cp_client_in_flight(const cp_client *client);

/* Gives up the exchange of a task that is in flight, if one is. */
void cp_task_abandon(cp_lua_task *task);

/* Ends a task now: nothing of it goes on. */
void cp_task_stop(lua_State *L, int env, cp_lua_task *task, cp_code code);

/*
** Pushes what an ended task returns; gives the number of values. Raises what was
** raised.
*/
int cp_task_result(lua_State *L, int env, cp_lua_task *task);

/* lua_drive.c: Does for all tasks of the client what can be done now. */
void cp_drive(lua_State *L, int env, cp_client *client);

/*
** Carries one driven task on as far as it gets. `answered`: its holder has made the call;
** whether that went well and its three results are on top of the stack.
*/
void cp_drive_task(lua_State *L, int env, cp_lua_task *task, bool answered);

/*
** Pushes the function that the task wants its holder to call, and the arguments; gives
** the number of values. Raises without memory, or what `now` raised.
*/
int cp_push_wanted(lua_State *L, int env, cp_lua_task *task);

/* In a forked child: ends what was open in the parent. Else nothing. */
void cp_leave_parent(lua_State *L, int env, cp_client *client);

/* Waits until there is something to do, at most `seconds`; lets the host's signals in. */
void cp_rest(lua_State *L, int env, cp_client *client, double seconds);

/*
** lua_methods.c: the methods that block and can be started, and the one-call functions.
*/
void cp_push_methods(lua_State *L);
int cp_client_start(lua_State *L);
int cp_call_method(lua_State *L, const char *name);
void cp_add_calls(lua_State *L);

#endif
