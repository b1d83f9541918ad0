/*
** lua_error.c - the error as a table
*/
#include "lua_error.h"

#include <string.h>

#include "grant.h"
#include "lua_document.h"
#include "lua_operation.h"
#include "lua_start.h"
#include "plain.h"

#define CP_ERROR "cloudpartner.error"

/* The most of somebody else's words that goes into a message, in bytes. */
#define WORDS_MAX 1000

/* Replaces the string on top of the stack by one line of it. */
static void make_line(lua_State *L) {
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  char line[WORDS_MAX + CP_LINE_EXTRA];
  lua_pushlstring(L, line, cp_line(text, length, WORDS_MAX, line));
  lua_remove(L, -2);
}

/* What happened, where neither the service nor libcurl has words for it. */
static const char *happened(cp_code code) {
  switch (code) {
    case CP_CODE_DEADLINE: return "the call's time is up";
    case CP_CODE_CANCELED: return "canceled by the caller";
    case CP_CODE_OPERATION_FAILED: return "the operation failed";
    case CP_CODE_OPERATION_CANCELED: return "the operation was canceled";
    case CP_CODE_OPERATION_BLOCKED: return "a step of the operation is blocked";
    case CP_CODE_OPERATION_LOST:
      return "neither its URL nor the offer's list tells of it any more";
    case CP_CODE_NOT_CANCELED: return "the operation ended otherwise than canceled";
    case CP_CODE_NOT_FOUND: return "nothing runs on this offer; nothing was sent";
    case CP_CODE_CONFLICT:
      return "another operation runs on this offer; nothing was sent";
    case CP_CODE_UNTRUSTED_URL: return "a URL that is not on the endpoint's origin";
    case CP_CODE_AMBIGUOUS: return "nothing tells whether it was taken";
    case CP_CODE_PROTOCOL: return "an answer that can't be understood";
    case CP_CODE_TOO_LARGE: return "an answer over max_body";
    case CP_CODE_NETWORK: return "this process was forked: its parent goes on with it";
    default: return "without explanation";
  }
}

/* Is it the service's words that explain this, or ours? */
static bool speaks(const cp_task *task) {
  cp_code code = task->outcome.code;
  bool accepted = cp_task_spoken(task)->http_status / 100 == 2;
  return !(code == CP_CODE_UNTRUSTED_URL || (accepted && code != CP_CODE_NETWORK));
}

static void push_words(lua_State *L, const char *text) {
  lua_pushstring(L, text);
  make_line(L);
}

/* What is said of these without an answer is that nothing was sent: not here. */
static const char *happened_by_answer(cp_code code) {
  bool refused = code == CP_CODE_NOT_FOUND || code == CP_CODE_CONFLICT;
  return refused ? "without explanation" : happened(code);
}

/* Pushes the message of an error that speaks of an answer. */
static void push_message_of_answer(lua_State *L, const cp_task *task,
                                   const cp_said *said) {
  const cp_answer *answer = cp_task_spoken(task);
  const cp_text *detail = &answer->detail;
  cp_code code = task->outcome.code;
  if (answer->failure == CP_FAIL_CREDENTIAL) {
    push_words(L, cp_text_get(detail));
  } else if (said->message && speaks(task)) {
    lua_pushvalue(L, said->message);
    make_line(L);
  } else if (detail->length && code != CP_CODE_UNTRUSTED_URL) {
    push_words(L, detail->data);
  } else if (code == CP_CODE_AMBIGUOUS && answer->http_status / 100 == 2 &&
             task->machine != &cp_put_machine) {
    lua_pushliteral(L, "accepted, but without the URL of the operation");
  } else {
    lua_pushstring(L, happened_by_answer(code));
  }
}

/* Does the operation's last status explain this? */
static bool is_explained(cp_code code) {
  return code == CP_CODE_OPERATION_FAILED || code == CP_CODE_OPERATION_CANCELED ||
         code == CP_CODE_OPERATION_BLOCKED || code == CP_CODE_NOT_CANCELED;
}

static void push_message(lua_State *L, const cp_lua_task *task) {
  cp_code code = task->task.outcome.code;
  bool missed = code == CP_CODE_NOT_FOUND && task->result == CP_RESULT_STATUS;
  if (is_explained(code))
    cp_push_reason(L, task);
  else
    lua_pushnil(L);
  if (lua_type(L, -1) == LUA_TSTRING) {
    make_line(L);
    return;
  }
  lua_pop(L, 1);
  lua_pushstring(L, missed ? "not at its URL, though the offer's list knows it"
                           : happened(code));
}

static void set_string(lua_State *L, int table, const char *name, const char *value,
                       size_t length) {
  if (!value) return;
  lua_pushlstring(L, value, length);
  make_line(L);
  lua_setfield(L, table, name);
}

static void set_value(lua_State *L, int table, const char *name, int index) {
  if (!index) return;
  lua_pushvalue(L, index);
  lua_setfield(L, table, name);
}

/* What the answer's head tells. */
static void set_head(lua_State *L, int error, const cp_task *task) {
  const cp_answer *answer = cp_task_spoken(task);
  size_t length = 0;
  if (answer->http_status) {
    lua_pushinteger(L, answer->http_status);
    lua_setfield(L, error, "http_status");
  }
  if (task->hint >= 0) {
    lua_pushnumber(L, task->hint);
    lua_setfield(L, error, "retry_after");
  }
  const char *id = cp_header_request_id(&answer->headers, &length);
  set_string(L, error, "request_id", id, length);
}

/* The authority's own code stands in its words: "AADSTS7000222"; its id in its body. */
static void set_refusal(lua_State *L, int error, const cp_answer *answer,
                        const cp_said *said) {
  size_t length = 0;
  if (answer->advice)
    set_string(L, error, "advice", answer->advice, strlen(answer->advice));
  if (answer->failure != CP_FAIL_CREDENTIAL) return;
  const char *code = cp_grant_code(cp_text_get(&answer->detail), &length);
  set_string(L, error, "service_code", code, length);
  set_value(L, error, "request_id", said->request_id);
}

static void set_answer(lua_State *L, int error, const cp_task *task) {
  cp_said said;
  cp_push_error_body(L, cp_task_spoken(task), &said);
  if (said.request_id) set_value(L, error, "request_id", said.request_id);
  set_value(L, error, "service_code", said.code);
  set_head(L, error, task);
  set_refusal(L, error, cp_task_spoken(task), &said);
  set_value(L, error, "details", error + 1);
  push_message_of_answer(L, task, &said);
  lua_setfield(L, error, "message");
  lua_settop(L, error);
}

/* Pushes what was called: "golive contoso/contoso-offer". */
static void push_call(lua_State *L, const cp_lua_task *task) {
  const cp_operation *of = &task->task.operation;
  if (of->publisher && of->offer)
    lua_pushfstring(L, "%s %s/%s", task->call, of->publisher, of->offer);
  else
    lua_pushstring(L, task->call);
}

/* An intent tells of it: a submission on its own, or one that a release is at. */
static bool is_submission(const cp_lua_task *task) {
  return task->result == CP_RESULT_OPERATION || cp_task_submission(&task->task);
}

/* A submission that may have been taken is never to be sent again as it is. */
static bool is_retryable(const cp_lua_task *task) {
  const cp_outcome *outcome = &task->task.outcome;
  bool unknown = task->result == CP_RESULT_OPERATION && outcome->sent != CP_SENT_NO &&
                 !outcome->of_answer;
  return cp_code_retryable(outcome->code) && !unknown;
}

static void set_flags(lua_State *L, int error, const cp_lua_task *task) {
  const cp_outcome *outcome = &task->task.outcome;
  lua_pushstring(L, cp_code_name(outcome->code));
  lua_setfield(L, error, "code");
  lua_pushstring(L, cp_sent_name(outcome->sent));
  lua_setfield(L, error, "sent");
  lua_pushboolean(L, is_retryable(task));
  lua_setfield(L, error, "retryable");
  lua_pushstring(L, task->task.guid);
  lua_setfield(L, error, "client_request_id");
  push_call(L, task);
  lua_setfield(L, error, "call");
}

/* When several operations may be the one, their ids say more than any answer. */
static void set_candidates(lua_State *L, int error, const cp_task *task) {
  const cp_submission *submission = cp_task_submission(task);
  if (!submission || task->outcome.code != CP_CODE_AMBIGUOUS) return;
  const cp_ids *ids = &submission->candidates;
  if (ids->count == 0) return;
  lua_createtable(L, (int)ids->count, 0);
  for (size_t i = 0; i < ids->count; i++) {
    lua_pushstring(L, ids->ids[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, error, "details");
  lua_pushfstring(L, "any of %d operations in the offer's list may be it: see details",
                  (int)ids->count);
  lua_setfield(L, error, "message");
}

/* The operation that an error speaks of: what runs instead of it, or its own; or NULL. */
static const cp_operation *subject_of(const cp_task *task) {
  const cp_submission *submission = cp_task_submission(task);
  if (submission && submission->instead) return submission->instead;
  return task->operation.url ? &task->operation : NULL;
}

/* The operation, the intent and the last status, whichever there is. */
static void set_subject(lua_State *L, int env, int error, const cp_lua_task *task) {
  const cp_task *of = &task->task;
  const cp_operation *subject = subject_of(of);
  bool follows = of->machine == &cp_watch_machine || of->machine == &cp_release_machine;
  if (subject) {
    cp_push_operation(L, env, subject);
    lua_setfield(L, error, "operation");
  }
  if (is_submission(task) && of->outcome.sent != CP_SENT_NO) {
    cp_push_intent(L, task);
    lua_setfield(L, error, "intent");
  }
  if (of->document.length && follows) {
    cp_push_status(L, task);
    lua_setfield(L, error, "last_status");
  }
}

/* What to do about a PUT: of which nothing tells, or for which others are too quick. */
static const char *advice_of_put(const cp_task *task) {
  const cp_outcome *outcome = &task->outcome;
  bool open = outcome->code == CP_CODE_AMBIGUOUS ||
              (!outcome->of_answer && outcome->sent != CP_SENT_NO);
  if (outcome->code == CP_CODE_PRECONDITION_FAILED && task->as.put.edited)
    return "others keep changing it; call again later";
  return open ? "the service may have stored it: compare client:offer with what was put "
                "before putting it again"
              : NULL;
}

static void set_own_advice(lua_State *L, int error, const cp_task *task) {
  const char *own = task->machine == &cp_put_machine ? advice_of_put(task) : NULL;
  if (!own) return;
  lua_pushstring(L, own);
  lua_setfield(L, error, "advice");
}

/* A group that was ended: what became of each, and whether anything of it was sent. */
static void set_members(lua_State *L, int env, int error, const cp_lua_task *group) {
  if (group->result != CP_RESULT_GROUP) return;
  cp_sent sent = CP_SENT_NO;
  cp_push_members(L, env, group);
  int members = lua_gettop(L);
  for (int i = 1; i <= (int)lua_rawlen(L, members); i++) {
    lua_rawgeti(L, members, i);
    const cp_lua_task *member = lua_touserdata(L, -1);
    if (member->task.outcome.sent > sent) sent = member->task.outcome.sent;
    lua_pop(L, 1);
  }
  lua_pushstring(L, cp_sent_name(sent));
  lua_setfield(L, error, "sent");
  cp_push_group_result(L, env, group);
  lua_setfield(L, error, "details");
  lua_settop(L, error);
}

/* How far a release had come. */
static void set_phase(lua_State *L, int error, const cp_task *task) {
  if (task->machine != &cp_release_machine) return;
  cp_phase phase = task->as.release.phase;
  if (phase == CP_PHASE_LOOK) return;
  lua_pushstring(L, cp_phase_name(phase));
  lua_setfield(L, error, "phase");
}

void cp_push_error(lua_State *L, int env, const cp_lua_task *task) {
  luaL_checkstack(L, 30, "an error");
  lua_createtable(L, 0, 12);
  int error = lua_gettop(L);
  luaL_getmetatable(L, CP_ERROR);
  lua_setmetatable(L, error);
  set_flags(L, error, task);
  if (task->task.outcome.of_answer && cp_task_spoken(&task->task)) {
    set_answer(L, error, &task->task);
  } else {
    push_message(L, task);
    lua_setfield(L, error, "message");
  }
  set_candidates(L, error, &task->task);
  set_subject(L, env, error, task);
  set_phase(L, error, &task->task);
  set_own_advice(L, error, &task->task);
  set_members(L, env, error, task);
}

/*
** The line: "golive contoso/offer: forbidden (HTTP 403): ...; what to do [request ...]"
*/

static const char *field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  return lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER
             ? lua_tostring(L, -1)
             : NULL;
}

static const char *advice(const char *own, const char *code) {
  if (own) return own;
  for (cp_code known = CP_CODE_INVALID_REQUEST; known <= CP_CODE_CANCELED; known++)
    if (code && strcmp(cp_code_name(known), code) == 0) return cp_code_advice(known);
  return "";
}

static int error_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  const char *call = field(L, "call"), *code = field(L, "code");
  const char *status = field(L, "http_status"), *message = field(L, "message");
  const char *request = field(L, "request_id"), *own = field(L, "advice");
  lua_pushfstring(L, "%s: %s", call ? call : "cloudpartner", code ? code : "error");
  if (status) lua_pushfstring(L, " (HTTP %s)", status);
  lua_pushfstring(L, ": %s; %s", message ? message : "without explanation",
                  advice(own, code));
  if (request) lua_pushfstring(L, " [request %s]", request);
  lua_concat(L, lua_gettop(L) - 7);
  return 1;
}

static int error_concat(lua_State *L) {
  lua_settop(L, 2);
  for (int i = 1; i <= 2; i++) {
    if (lua_type(L, i) == LUA_TSTRING || lua_type(L, i) == LUA_TNUMBER) {
      lua_pushvalue(L, i);
      continue;
    }
    lua_pushcfunction(L, error_tostring);
    lua_pushvalue(L, i);
    lua_call(L, 1, 1);
  }
  lua_concat(L, 2);
  return 1;
}

void cp_open_error(lua_State *L) {
  luaL_newmetatable(L, CP_ERROR);
  lua_pushcfunction(L, error_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, error_concat);
  lua_setfield(L, -2, "__concat");
  lua_pop(L, 1);
}
