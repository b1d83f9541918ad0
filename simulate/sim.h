/*
** sim.h - one go-live of the simulation: what its parts share
** A job is one go live (or publish, or cancel) that somebody wants; it is done by one
** process, or by several when they crash. Model: what is certain by contract is certain
** here. 429, 503 with a delay and 4xx never come after taking; nobody else submits the
** same kind between the list read and the look-up (but the RIVAL, whom the list shows
** whenever it shows ours); an operation is in the list after `reconcile` seconds at the
** latest, and before a process that adopts starts anew; an older one began clearly before
** the job (more than a Date's second and an exchange's time before it); the clocks run
** alike, only apart; an offer with a nameless URL has no other operation during the wait.
*/
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdio.h>

#include "service.h"
#include "tasks.h"
#include "token.h"

#define CHECKS(X)                                                                        \
  X(TWICE, "taken_twice", "the service took two submissions of one call")                \
  X(SUCCESS, "false_success", "a success that the service did not have")                 \
  X(NOT_OURS, "not_ours", "an operation that was not this call's was adopted")           \
  X(LOST, "lost_track", "an accepted operation neither returned nor named")              \
  X(DENIED, "denied", "an accepted submission of which it is said: not sent")            \
  X(TOO_LATE, "too_late", "a call that outlived its deadline and the last poll's limit") \
  X(NO_POLL, "no_last_poll", "a deadline without a poll at its end")                     \
  X(BUDGET, "over_budget", "more requests than the policy allows")                       \
  X(UNTRUSTED, "untrusted", "the token sent to another origin")                          \
  X(FAILURE, "false_failure", "a failure that the service did not have")                 \
  X(ENDLESS, "endless_outage", "a wait that goes on after its outage")                   \
  X(STUCK, "stuck", "a task that waits for nothing, or for ever")

typedef enum check {
  CHECK_NONE,
#define X(name, id, text) CHECK_##name,
  CHECKS(X)
#undef X
      CHECK_COUNT
} check;

const char *check_id(check which);
const char *check_text(check which);

/* CHECK_NONE: there is none of that name. */
check check_named(const char *id);

/* Where a process was when it crashed. */
#define POINTS(X)                                  \
  X(LIST, "reading the list")                      \
  X(ANNOUNCED, "between before_send and the POST") \
  X(POST, "POST in flight")                        \
  X(PAUSE, "before a POST's repetition")           \
  X(LOOK, "looking it up")                         \
  X(RETURNED, "operation returned, not yet saved") \
  X(POLL, "poll in flight")                        \
  X(WAIT, "between polls")

typedef enum point {
#define X(name, text) POINT_##name,
  POINTS(X)
#undef X
      POINT_COUNT
} point;

const char *point_text(point which);

/* What was covered, over all runs. */
typedef struct coverage {
  unsigned long jobs, kinds[CP_CANCEL + 1], processes, exchanges, polls;
  unsigned long submitted, submit_codes[CP_CODE_CANCELED + 1];
  unsigned long waited, wait_codes[CP_CODE_CANCELED + 1];
  unsigned long adopted, adopted_older, resumed_intent, resumed_adopt, resumed_operation,
      resumed_url, taken, several, renewed, given_up, nameless, in_outage;
  unsigned long crashes[POINT_COUNT];
} coverage;

/* How the job is to be done. */
typedef struct world {
  cp_kind kind;
  bool keeps_intent; /* by before_send; then a new process resumes that */
  bool keeps_url;    /* of an operation that was returned, its URL only */
  bool logs;
  cp_submission_policy policy; /* `since` is told by the job's own clock */
  cp_watch_policy watch;
  double job_began;
  double timeout;      /* of the wait */
  double call_timeout; /* of the submission; INFINITY: none */
  double duration;     /* of the operation, when it is taken */
  double lag;          /* until it is in the list */
  double token_life;
  bool nameless;
  bool names;           /* of a cancel: it says what is to be canceled */
  bool pushy;           /* the service asks for no delay, always */
  double outage_length; /* of one that begins in the middle of the wait; 0: none */
} world;

/* What the process before left for the next. */
typedef struct saved {
  bool intent;  /* the next four are saved */
  cp_ids known; /* the ids seen */
  bool knows;   /* and they were read */
  char cancels[37];
  double submitted_at;
  bool operation; /* `of` is saved */
  cp_operation of;
} saved;

/* What one task did, as its checks need it. */
typedef struct deeds {
  double began;
  double late;    /* in all that it was stepped later than it could have been */
  double overdue; /* of that what lies behind its deadline */
  unsigned posts, reads, looks;
  double doubted;       /* when the answer to the POST came; -1: none yet */
  bool told;            /* ours was in a list that arrived after that */
  bool took;            /* the service took a POST of this task */
  bool final;           /* the last answer was one that ends a wait */
  bool old_told;        /* a poll told of the operation before */
  int version;          /* the last that a poll told of; -1: none */
  double failing_since; /* the first of the failed polls in a row; -1: none */
  double failed_at;     /* the last of them */
  unsigned failures;
  double due;      /* no poll or look before, but for the last */
  double last_end; /* when the last exchange ended */
  bool again;      /* the next exchange is one with a renewed token, or of a lost poll */
} deeds;

/* An exchange in flight, and what was meant by its answer. */
typedef struct flight {
  cp_answer *answer; /* NULL: none */
  double at;         /* when it arrives */
  cp_endpoint endpoint;
  bool good;       /* a document of the kind asked for */
  bool shows_ours; /* a list in which ours is */
  bool shows_old;  /* a poll that tells of the operation before */
  int version;     /* that a poll tells of; -1: none */
  double hint;     /* as a client must read it; -1: none */
  double began;
  unsigned n;
} flight;

typedef struct sim {
  faults faults;
  coverage *covered;
  FILE *trace; /* NULL: none */
  check failed;
  check only;  /* the one check that counts; CHECK_NONE: all do */
  double pace; /* of the operation: 1, or more to make a trace shorter */
  service service;
  world world;
  saved saved;
  cp_service client;
  cp_tasks tasks;
  cp_token token;
  double token_dies;                /* by the service's clock */
  double now;                       /* the true time */
  double skew;                      /* of the job's wall clock */
  double outage_from, outage_until; /* of the whole service */
  double list_down_from;
  double served_until; /* when the last submission in flight reaches the service */
  unsigned exchanges, events, process, asked, taken;
  point crash_point; /* at which this process crashes; POINT_COUNT: none */
  int crash_in;      /* when it gets there so many times */
  point where;
  bool crashed;
  deeds did;
  flight flight;
} sim;

/* Notes the first violation of a run. */
void sim_fail(sim *of, check which);

/* A line of the trace, with the time. */
void sim_trace(const sim *of, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

cp_clock sim_clock(sim *of);

/* One whole job, from its seed. */
void sim_run(sim *of, uint64_t seed, const fault_set *off);

#endif
