/*
** tasks.h - what is under way: machines, a heap of timers, the client's queue
** A task is a machine with what it waits for. `cp_task_advance` carries it as far as it
** can get alone and says what it wants from whoever drives it: a token, an exchange, a
** document read, a function of the caller's called. Nothing here calls anybody.
*/
#ifndef CP_TASKS_H
#define CP_TASKS_H

#include "group.h"
#include "machine.h"
#include "put.h"
#include "read.h"
#include "release.h"
#include "submission.h"
#include "watch.h"

typedef enum cp_want {
  CP_WANT_NOTHING,  /* it is queued, in flight or asleep */
  CP_WANT_TOKEN,    /* for the exchange that comes next */
  CP_WANT_LOG,      /* `task->event` told */
  CP_WANT_EXCHANGE, /* `task->todo.as.send` done; its answer to cp_task_answered */
  CP_WANT_DIGEST,   /* `task->answer` looked at: another token, or cp_task_digest */
  CP_WANT_GIVE_UP,  /* the exchange abandoned and answered with a timeout */
  CP_WANT_CALL,     /* `task->todo.as.call` made */
  CP_WANT_END,      /* it has ended: `task->outcome` */
  CP_WANT_MORE,     /* within tasks.c only: ask again */
} cp_want;

typedef enum cp_stage {
  CP_STAGE_THINK,
  CP_STAGE_QUEUED,
  CP_STAGE_ADMITTED, /* it has a place in flight; its token comes next, or is awaited */
  CP_STAGE_REQUEST,
  CP_STAGE_LAUNCH,
  CP_STAGE_FLIGHT,
  CP_STAGE_ANSWERED,
  CP_STAGE_DIGEST,
  CP_STAGE_PAUSE, /* the machine waits: that is told, then the task lies down */
  CP_STAGE_LIE_DOWN,
  CP_STAGE_ASLEEP,
  CP_STAGE_ENDED,
} cp_stage;

typedef enum cp_event {
  CP_EVENT_REQUEST,
  CP_EVENT_ANSWER,
  CP_EVENT_RETRY,
  CP_EVENT_POLL,
  CP_EVENT_TOKEN,
  CP_EVENT_RECONCILE,
} cp_event;

typedef enum cp_token_news {
  CP_NEWS_NONE,   /* whoever waits looks anew */
  CP_NEWS_CAME,   /* there is one: it may be used once, however short its life */
  CP_NEWS_FAILED, /* there is none, and this was why it was waited for */
} cp_token_news;

typedef struct cp_outcome {
  cp_code code; /* CP_CODE_NONE: done */
  cp_sent sent;
  bool of_answer;
  bool no_memory;
} cp_outcome;

/* A GUID as text. */
#define CP_GUID_SIZE 37

typedef struct cp_task {
  struct cp_task *previous, *next; /* in the list of the ready or in a queue */
  struct cp_list *list;            /* which one; NULL: none */
  struct cp_task *group;           /* that it is a member of, which stays; NULL: none */
  size_t timer;                    /* its place in the heap, from 1; 0: none */
  double key;                      /* of the timer */
  cp_stage stage;
  bool driven;      /* somebody is at it, perhaps within a call of the caller's */
  bool holds_place; /* counted in `in_flight` */
  bool renewed;     /* the token was renewed for the exchange under way */
  cp_event event;
  cp_token_news token_news; /* what came of the renewal that it waited for */
  cp_sent sent;             /* did the last request reach the service? */
  double deadline;          /* by cp_clock.now */
  double launched;          /* likewise, the exchange */
  cp_todo todo;
  cp_outcome outcome;
  cp_answer *answer; /* the last one; kept only while somebody may ask for it */
  cp_answer *posted; /* that of a submission, once lists have been read after it */
  bool of_post;      /* the last one is a submission's */
  cp_text document;  /* the last status that was understood, as it came */
  cp_state state;    /* and what it said */
  bool blocked;
  double hint;             /* the delay that came with that answer; -1: none */
  cp_operation operation;  /* the one that this is about */
  char *argument;          /* what a list is asked for; a version, a slot */
  char *body;              /* of a submission, or what is put */
  char *if_match;          /* likewise */
  char *etag;              /* of the offer that was read or put last */
  cp_text left_out;        /* of the text that is put: what the service refuses */
  char *headers;           /* of this call: "Name: value\n" for each, NULL: none */
  char guid[CP_GUID_SIZE]; /* the client request id, the same over repetitions */
  const cp_machine *machine;
  union {
    cp_read read;
    cp_submission submission;
    cp_watch watch;
    cp_put put;
    cp_release release;
    cp_group group;
  } as;
} cp_task;

typedef struct cp_list {
  cp_task *first, *last;
} cp_list;

/* All zero, but for `places`, is empty. */
typedef struct cp_tasks {
  cp_task **heap;
  size_t heap_count, heap_size;
  cp_list ready;
  cp_list submissions, others; /* queued: submissions go before polls */
  cp_list tokenless;           /* admitted, while another asks for the token of all */
  int places;                  /* exchanges at once */
  int in_flight;
  size_t open;
  unsigned long news; /* how often one has ended, or been left to its holder, so far */
  bool logs;          /* somebody wants events */
} cp_tasks;

/*
** Takes in a task whose machine is ready; it ends at `deadline` at the latest. False
** without memory; after that nothing that its timers need can fail.
*/
bool cp_tasks_add(cp_tasks *tasks, cp_task *task);

/* Frees the container; its tasks are their owners'. */
void cp_tasks_free(cp_tasks *tasks);

/* Makes ready what is due. */
void cp_tasks_wake(cp_tasks *tasks, double now);

/* The next task that can be driven, which is then the caller's until it is parked. */
cp_task *cp_tasks_next(cp_tasks *tasks);

/* Seconds until something is due: 0 when something is ready, -1 when nothing will be. */
double cp_tasks_timeout(const cp_tasks *tasks, double now);

/* Carries a driven task on and says what it wants. */
cp_want cp_task_advance(cp_tasks *tasks, cp_task *task, const cp_clock *clock);

/*
** The driven task waits for a token that another asks for, but no longer than until then:
** see cp_tasks_tell_token.
*/
void cp_task_await_token(cp_tasks *tasks, cp_task *task, double until);

/*
** Those that wait for a token hear what came of it. True when there were some.
*/
bool cp_tasks_tell_token(cp_tasks *tasks, cp_token_news news);

/* Gives up driving it: whoever comes next goes on with it. */
void cp_task_leave(cp_tasks *tasks, cp_task *task);

/* The answer that CP_WANT_EXCHANGE asked for has come; the task owns it now. */
void cp_task_answered(cp_tasks *tasks, cp_task *task, cp_answer *answer);

/* Digests that answer and gives the digest to the machine. */
void cp_task_digest(cp_task *task, const cp_clock *clock);

/* The exchange just answered is to be done once more, with another token. */
void cp_task_send_again(cp_tasks *tasks, cp_task *task);

/* Ends a task at once, wherever it is. What is in flight is its driver's to abandon. */
void cp_task_end(cp_tasks *tasks, cp_task *task, cp_code code);

/* The answer that an outcome speaks of, when it is `of_answer`; NULL: none came. */
const cp_answer *cp_task_spoken(const cp_task *task);

/* The submission that a task is, or is at; NULL: none. */
const cp_submission *cp_task_submission(const cp_task *task);

/* Can this be sent back in a header? */
bool cp_is_etag(const char *text, size_t length);

/* Frees all that a task holds, and the task is closed. */
void cp_task_free(cp_tasks *tasks, cp_task *task);

#endif
