/*
** lua_hold.c - a task whose functions of the caller's are called by whoever awaits it
** C can't yield, so `step` can't call what may. A task that is held is left when it needs
** such a function, and its holder is woken: it asks for the call, makes it in a coroutine
** of its own, and gives the results back. cloudpartner.async stands on this.
*/
#include "lua_client.h"
#include "lua_start.h"

/* Who holds a group makes the calls of its members. */

typedef bool (*test)(const cp_lua_task *task);

static bool is_wanting(const cp_lua_task *task) {
  return task->task.stage != CP_STAGE_ENDED && task->held && task->function &&
         !task->calling;
}

static bool is_calling(const cp_lua_task *task) {
  return task->task.stage != CP_STAGE_ENDED && task->held && task->calling;
}

/*
** Pushes number i of the tasks of which the calls are made for the one at 1: a group's
** members, or that itself. NULL: there are no more.
*/
static cp_lua_task *push_part(lua_State *L, int env, int i) {
  cp_lua_task *task = cp_check_task(L, 1);
  if (task->result == CP_RESULT_GROUP) {
    cp_push_members(L, env, task);
    lua_rawgeti(L, -1, i);
  } else if (i == 1) {
    lua_pushvalue(L, 1);
  } else {
    lua_pushnil(L);
  }
  return lua_touserdata(L, -1);
}

/* The first of them that passes; or NULL. */
static cp_lua_task *find(lua_State *L, int env, test passes) {
  int top = lua_gettop(L);
  cp_lua_task *part;
  for (int i = 1; (part = push_part(L, env, i)) && !passes(part); i++) lua_settop(L, top);
  lua_settop(L, top);
  return part;
}

static void hold(lua_State *L, int env, cp_lua_task *task, int wake) {
  if (task->task.stage == CP_STAGE_ENDED) return;
  lua_pushvalue(L, wake);
  cp_task_note(L, env, "wakes", task);
  task->held = true;
}

/*
** task:hold([wake]): from now on its holder makes its calls. `wake()` is called whenever
** there is something for the holder to do, by the step, cancel or close that saw it; it
** must neither raise nor yield.
*/
static int task_hold(lua_State *L) {
  cp_lua_task *task = cp_check_task(L, 1), *part;
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  int env = cp_push_env(L, 1);
  hold(L, env, task, 2);
  for (int i = 1; (part = push_part(L, env, i)); i++) {
    hold(L, env, part, 2);
    lua_settop(L, env);
  }
  return 0;
}

static void release(lua_State *L, int env, cp_lua_task *task) {
  if (!task->held || task->task.stage == CP_STAGE_ENDED) return;
  task->held = false;
  lua_pushnil(L);
  cp_task_note(L, env, "wakes", task);
  if (task->function) cp_task_leave(&task->client->tasks, &task->task);
}

/*
** task:release(): the holder is gone, and `step` makes the calls. One in the middle of
** which it left counts as having raised.
*/
static int task_release(lua_State *L) {
  cp_lua_task *part;
  lua_settop(L, 1);
  int env = cp_push_env(L, 1);
  release(L, env, cp_check_task(L, 1));
  for (int i = 1; (part = push_part(L, env, i)); i++) {
    release(L, env, part);
    lua_settop(L, env);
  }
  return 0;
}

/*
** task:wanted(): is there a call for the holder to make? And is it one for a token:
** within that nobody can wait for the same.
*/
static int task_wanted(lua_State *L) {
  cp_check_task(L, 1);
  const cp_lua_task *task = find(L, cp_push_env(L, 1), is_wanting);
  lua_pushboolean(L, task != NULL);
  lua_pushboolean(L, task && task->function == CP_FUNCTION_TOKEN);
  return 2;
}

/* task:call(): the function that is wanted, and its arguments. */
static int task_call(lua_State *L) {
  cp_check_task(L, 1);
  int env = cp_push_env(L, 1);
  cp_lua_task *task = find(L, env, is_wanting);
  if (!task) return luaL_error(L, "no call is wanted of this task's holder");
  task->calling = true;
  return cp_push_wanted(L, env, task);
}

/* task:answer(ok, ...): what pcall made of that call; the task goes on. */
static int task_answer(lua_State *L) {
  cp_check_task(L, 1);
  luaL_checkany(L, 2);
  lua_settop(L, 5);
  cp_push_env(L, 1);
  lua_insert(L, 2);
  cp_lua_task *task = find(L, 2, is_calling);
  if (task) cp_drive_task(L, 2, task, true);
  return 0;
}

/* That one of a group has ended is nothing for its holder to do. */
static bool tells_holder(const cp_lua_task *task) {
  return task->task.stage != CP_STAGE_ENDED || !task->task.group;
}

void cp_task_wake(lua_State *L, int env, const cp_lua_task *task) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 5, "a task");
  lua_getfield(L, env, "wakes");
  cp_rawgetp(L, -1, task);
  if (task->task.stage == CP_STAGE_ENDED) {
    lua_pushnil(L);
    cp_rawsetp(L, top + 1, task);
  }
  if (lua_isfunction(L, top + 2) && tells_holder(task)) lua_call(L, 0, 0);
  lua_settop(L, top);
}

void cp_wake_holders(lua_State *L, int env, int tasks) {
  for (lua_pushnil(L); lua_next(L, tasks); lua_pop(L, 1))
    cp_task_wake(L, env, lua_touserdata(L, -1));
}

void cp_add_holding(lua_State *L) {
  static const luaL_Reg methods[] = {{"hold", task_hold},     {"release", task_release},
                                     {"wanted", task_wanted}, {"call", task_call},
                                     {"answer", task_answer}, {NULL, NULL}};
  for (const luaL_Reg *method = methods; method->name; method++) {
    lua_pushcfunction(L, method->func);
    lua_setfield(L, -2, method->name);
  }
}
