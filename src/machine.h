/*
** machine.h - how a protocol without I/O is asked "what now?"
** A machine answers with one thing to do and takes one digested answer at a time. Time
** and chance come in with each question (cp_clock); a machine keeps nothing of its own
** but facts.
*/
#ifndef CP_MACHINE_H
#define CP_MACHINE_H

#include "api.h"
#include "digest.h"
#include "error.h"
#include "retry.h"

typedef enum cp_todo_kind {
  CP_TODO_SEND, /* this request; then `take` its answer */
  CP_TODO_WAIT, /* until then; then ask again */
  CP_TODO_CALL, /* this function of the caller's; then ask again */
  CP_TODO_DONE,
  CP_TODO_FAILED,
} cp_todo_kind;

typedef enum cp_reason {
  CP_BEFORE_RETRY,
  CP_BEFORE_POLL,
  CP_BEFORE_LOOK_UP,
  CP_BEFORE_LAST, /* other tasks end first: there is nothing to tell */
} cp_reason;

typedef enum cp_call {
  CP_CALL_BEFORE_SEND,
  CP_CALL_PROGRESS,
  CP_CALL_EDIT,    /* of the offer that was read; told whether it is to be put */
  CP_CALL_CONFIRM, /* told whether to go on */
} cp_call;

typedef struct cp_todo {
  cp_todo_kind kind;
  union {
    struct {
      cp_endpoint endpoint;
      const cp_operation *of; /* whose ids or URL */
      double limit; /* by cp_clock.now: then it is given up; 0: as its options say */
      bool anew; /* a part begins: what was answered before explains nothing any more */
    } send;
    struct {
      double until; /* by cp_clock.now */
      cp_reason reason;
      double failing_for; /* seconds since the first failed poll; 0: none failed */
    } wait;
    cp_call call;
    struct {
      cp_code code;
      cp_sent sent;
      bool of_answer; /* the last answer is what it speaks of */
    } failed;
  } as;
} cp_todo;

typedef struct cp_machine {
  void (*next)(void *self, const cp_clock *clock, cp_todo *todo);
  void (*take)(void *self, const cp_clock *clock, const cp_digest *digest);
  /* Is its end decided, though it asks for more? Then `todo` is that end. NULL: never. */
  bool (*is_decided)(const void *self, cp_todo *todo);
  void (*release)(void *self); /* frees what it holds; NULL: nothing */
  /* What the caller's function said, where that counts. NULL: nowhere. */
  void (*told)(void *self, bool yes);
  /* Does it see to the deadline itself, for now? NULL: no. */
  bool (*keeps_time)(const void *self);
} cp_machine;

/* For the machines: what `todo` is set to. */
static inline void cp_todo_send(cp_todo *todo, cp_endpoint endpoint,
                                const cp_operation *of) {
  *todo = (cp_todo){.kind = CP_TODO_SEND, .as.send = {.endpoint = endpoint, .of = of}};
}

static inline void cp_todo_wait(cp_todo *todo, double until, cp_reason reason) {
  *todo = (cp_todo){.kind = CP_TODO_WAIT, .as.wait = {.until = until, .reason = reason}};
}

static inline void cp_todo_call(cp_todo *todo, cp_call call) {
  *todo = (cp_todo){.kind = CP_TODO_CALL, .as.call = call};
}

static inline void cp_todo_done(cp_todo *todo) {
  *todo = (cp_todo){.kind = CP_TODO_DONE};
}

static inline void cp_todo_failed(cp_todo *todo, cp_code code, cp_sent sent,
                                  bool of_answer) {
  *todo = (cp_todo){.kind = CP_TODO_FAILED,
                    .as.failed = {.code = code, .sent = sent, .of_answer = of_answer}};
}

#endif
