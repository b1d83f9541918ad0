/*
** watch.h - polling one operation: hint or interval, outage, deadline, blocked
*/
#ifndef CP_WATCH_H
#define CP_WATCH_H

#include "machine.h"

/* Seconds that the last poll, at the deadline, may take. */
#define CP_LAST_POLL 10.0

/* The options of `wait`, in seconds. */
typedef struct cp_watch_policy {
  double interval;
  double min_interval;
  double outage;
  bool waits_when_blocked;
} cp_watch_policy;

typedef struct cp_watch {
  const cp_service *service;
  cp_operation *operation;
  cp_watch_policy policy;
  double deadline; /* this and the following by cp_clock.now */
  double began,
      age; /* when the wait began, and how old the operation was; -1: not known */
  double due;
  double limit; /* when the poll under way is given up */
  double failing_since;
  int failures;                             /* in a row */
  double publishing_version, offer_version; /* the last that were told; -1: none */
  enum {
    CP_WATCH_POLL,
    CP_WATCH_LOOK_UP, /* the poll found nothing: does the list know the operation? */
    CP_WATCH_WAIT,
    CP_WATCH_DONE,
    CP_WATCH_FAILED
  } phase;
  bool rested;  /* there was a wait before the poll under way */
  bool last;    /* the poll at the deadline has begun */
  bool reports; /* the status changed and the caller is to hear of it */
  cp_code code;
  bool of_answer;
} cp_watch;

extern const cp_machine cp_watch_machine;

/*
** Begins to follow `operation` from now on; `timeout` in seconds. Of the clock only `now`
** and `wall` count; from here on the wall clock may jump.
*/
void cp_watch_init(cp_watch *watch, const cp_service *service, cp_operation *operation,
                   const cp_watch_policy *policy, const cp_clock *clock, double timeout);

#endif
