/*
** lua_release.c - from draft to live: one offer, or several side by side
*/
#include <math.h>
#include <string.h>

#include "lua_document.h"
#include "lua_offer.h"
#include "lua_operation.h"
#include "lua_options.h"
#include "lua_settings.h"
#include "lua_start.h"

#define RELEASE_OPTIONS (CP_FOR_RELEASE | CP_FOR_CALL)

/*
** What runs already is as good as what would be submitted: somebody may have been quicker
** than the look before.
*/
static cp_release_policy read_policy(lua_State *L) {
  cp_release_policy policy = {
      .looks_only = cp_option_is_true(L, 3, "dry_run"),
      .submission = cp_read_submission_policy(L, 3),
      .watch = cp_read_watch_policy(L, 3),
  };
  policy.submission.adopts = policy.submission.looks_up;
  policy.submission.since = INFINITY;
  policy.submission.announces = cp_option_given(L, 3, "before_send");
  return policy;
}

/* Begins to release the offer that is argument 2, as one of a group or alone. */
static cp_lua_task *start_one(lua_State *L, cp_task *group) {
  cp_lua_task *task = cp_new_offer_task(L, "release", CP_RESULT_RELEASE, 3);
  int top = lua_gettop(L);
  cp_task *of = &task->task;
  cp_take_emails(L, of, 3);
  double now = cp_client_now(L, cp_push_env(L, 1), task->client);
  if (!cp_option_given(L, 3, "timeout")) of->deadline = now + CP_PATIENCE;
  cp_release_policy policy = read_policy(L);
  cp_note_calls(L, task, 3);
  lua_settop(L, top);
  cp_release_init(&of->as.release, &task->client->service, &of->operation, &policy,
                  of->deadline);
  of->machine = &cp_release_machine;
  cp_task_begin(L, task);
  of->group = group;
  if (group) group->as.group.open++;
  return task;
}

/* A group. The client is at 1, the list of offers at 2, the options at 3. */

/* Raises for what is no list of ids, or names one twice. */
static int check_offers(lua_State *L) {
  int count = (int)lua_rawlen(L, 2), top = lua_gettop(L), keys = 0;
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) keys++;
  if (keys != count)
    luaL_error(L, "bad argument 'offer': an id, or a list of ids, expected, not a table "
                  "with other keys (of an offer, its id)");
  lua_newtable(L);
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, 2, i);
    cp_check_id(L, top + 2, "each offer");
    lua_pushvalue(L, -1);
    lua_rawget(L, top + 1);
    if (!lua_isnil(L, -1))
      luaL_error(L, "bad argument 'offers': '%s' comes twice", lua_tostring(L, top + 2));
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, top + 1);
  }
  lua_settop(L, top);
  return count;
}

/* With the list of members on top. */
static void start_member(lua_State *L, cp_task *group, int i) {
  int members = lua_gettop(L);
  lua_pushvalue(L, 2);
  lua_rawgeti(L, members + 1, i);
  lua_replace(L, 2);
  start_one(L, group);
  lua_rawseti(L, members, i);
  lua_pushvalue(L, members + 1);
  lua_replace(L, 2);
  lua_settop(L, members);
}

/* With the client, the offers, the options, the group and its members on the stack. */
static int start_members(lua_State *L) {
  cp_lua_task *group = lua_touserdata(L, 4);
  int count = (int)lua_rawlen(L, 2);
  for (int i = 1; i <= count; i++) start_member(L, &group->task, i);
  return 0;
}

/* None of them goes on unseen when one can't begin. */
static void start_all(lua_State *L, cp_lua_task *group, int members) {
  lua_pushcfunction(L, start_members);
  for (int i = 1; i <= 3; i++) lua_pushvalue(L, i);
  lua_pushvalue(L, members - 1);
  lua_pushvalue(L, members);
  if (lua_pcall(L, 5, 0, 0) == 0) return;
  cp_task_stop(L, cp_push_env(L, 1), group, CP_CODE_CANCELED);
  lua_pushvalue(L, members + 1);
  lua_error(L);
}

static int start_group(lua_State *L) {
  cp_client *client = cp_check_client(L, 1);
  cp_check_publisher(L, client);
  int count = check_offers(L);
  cp_lua_task *task = cp_task_new(L, "release", CP_RESULT_GROUP, 3);
  int top = lua_gettop(L), env = cp_push_env(L, 1);
  task->task.machine = &cp_group_machine;
  lua_createtable(L, count, 0);
  lua_pushvalue(L, -1);
  cp_task_note(L, env, "members", task);
  lua_insert(L, top + 1);
  lua_settop(L, top + 1);
  lua_pushvalue(L, top);
  cp_task_begin(L, task);
  lua_settop(L, top + 1);
  start_all(L, task, top + 1);
  lua_settop(L, top);
  return 1;
}

/*
** client:release(offer or offers [, options]): from draft to live, whatever was done of
** that before. A status; of several offers a list of {offer =, status =} or {offer =,
** error =}; with `dry_run` what would be done.
*/
int cp_start_release(lua_State *L) {
  cp_options_check(L, 3, RELEASE_OPTIONS);
  lua_settop(L, 3);
  if (lua_istable(L, 2)) return start_group(L);
  if (lua_type(L, 2) != LUA_TSTRING)
    luaL_error(L, "bad argument 'offer': an id, or a list of ids, expected, not %s",
               luaL_typename(L, 2));
  start_one(L, NULL);
  return 1;
}

/* Results */

static void set_operation(lua_State *L, int env, const cp_task *task) {
  if (!task->operation.url) return;
  cp_push_operation(L, env, &task->operation);
  lua_setfield(L, -2, "operation");
}

/* What would be done, and where the draft differs from what is live. */
static void push_plan(lua_State *L, int env, const cp_task *task) {
  const cp_release *release = &task->as.release;
  lua_createtable(L, 0, 4);
  lua_pushstring(L, task->operation.offer);
  lua_setfield(L, -2, "offer");
  lua_pushstring(L, cp_step_to_live_name(release->step));
  lua_setfield(L, -2, "next");
  set_operation(L, env, task);
  if (!release->is_live) return;
  cp_push_pointers(L, &release->differences);
  lua_setfield(L, -2, "differences");
}

void cp_push_release_result(lua_State *L, int env, const cp_lua_task *task) {
  const cp_release *release = &task->task.as.release;
  if (release->policy.looks_only) {
    push_plan(L, env, &task->task);
    return;
  }
  cp_push_status(L, task);
  if (lua_isnil(L, -1)) return;
  lua_pushstring(L, cp_phase_name(release->phase));
  lua_setfield(L, -2, "phase");
}

static int member_result(lua_State *L) {
  return cp_task_result(L, 1, lua_touserdata(L, 2));
}

/* Pushes {offer =, status =} or {offer =, error =}: what it raised is its error too. */
static void push_member_result(lua_State *L, int env, cp_lua_task *member) {
  lua_createtable(L, 0, 2);
  int result = lua_gettop(L);
  lua_pushstring(L, member->task.operation.offer);
  lua_setfield(L, result, "offer");
  lua_pushcfunction(L, member_result);
  lua_pushvalue(L, env);
  lua_pushlightuserdata(L, member);
  bool ok = lua_pcall(L, 2, 2, 0) == 0, good = ok && !lua_isnil(L, result + 1);
  lua_settop(L, ok && !good ? result + 2 : result + 1);
  lua_setfield(L, result, good ? "status" : "error");
  lua_settop(L, result);
}

void cp_push_members(lua_State *L, int env, const cp_lua_task *group) {
  lua_getfield(L, env, "members");
  cp_rawgetp(L, -1, group);
  lua_remove(L, -2);
}

void cp_push_group_result(lua_State *L, int env, const cp_lua_task *group) {
  cp_push_members(L, env, group);
  int members = lua_gettop(L), count = (int)lua_rawlen(L, members);
  lua_createtable(L, count, 0);
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, members, i);
    push_member_result(L, env, lua_touserdata(L, -1));
    lua_rawseti(L, members + 1, i);
    lua_settop(L, members + 1);
  }
}
