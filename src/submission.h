/*
** submission.h - a POST that must not happen twice
** Prepare: the offer's list is read and its ids remembered; what may be adopted is looked
** for; a cancel learns what it is to end. Commit: the POST, sent again only when the
** service certainly did not take it. Settle: accepted, definite, or unclear, and what is
** unclear is looked up in the list, where an entry of that kind with a new id is it.
*/
#ifndef CP_SUBMISSION_H
#define CP_SUBMISSION_H

#include "ids.h"
#include "machine.h"
#include "read.h"

/* What its caller wants of a submission. */
typedef struct cp_submission_policy {
  bool announces; /* to hear of it before it is sent */
  bool looks_up;  /* false: no list is read, what is unclear stays unclear */
  bool adopts;    /* an operation that runs already is as good */
  double
      since; /* and one that ended, if it began then or later; Unix seconds, INFINITY */
  double reconcile; /* for so many seconds an unclear submission is looked up */
} cp_submission_policy;

typedef struct cp_submission {
  const cp_service *service;
  cp_operation
      *operation; /* filled as it becomes known; its kind says what is submitted */
  cp_submission_policy policy;
  enum {
    CP_SUBMISSION_PREPARE,
    CP_SUBMISSION_JUDGE, /* when did this operation, which has ended, begin? */
    CP_SUBMISSION_ANNOUNCE,
    CP_SUBMISSION_SEND,
    CP_SUBMISSION_WAIT,
    CP_SUBMISSION_DOUBT, /* it will be looked up: that is told first */
    CP_SUBMISSION_LOOK_UP,
    CP_SUBMISSION_LOOK_UP_LATER,
    CP_SUBMISSION_IDENTIFY, /* accepted, at a URL without an id: the list has that */
    CP_SUBMISSION_EXPLAIN,  /* refused: what runs instead? */
    CP_SUBMISSION_DONE,
    CP_SUBMISSION_FAILED
  } phase;
  bool knows;     /* the list was read before the POST, and so `known` is all of it */
  bool of_answer; /* this and the next two: how it fails, when it does */
  cp_code code;
  cp_sent sent;
  cp_read list;
  cp_ids known;      /* the ids that were there before */
  cp_ids candidates; /* those that may be this submission's; looked at from `judged` on */
  unsigned judged;
  int repetitions;
  int looks;
  double until;
  double looks_until;    /* when looking up ends */
  cp_operation *instead; /* what runs, when this was refused; NULL: nothing is known */
} cp_submission;

extern const cp_machine cp_submission_machine;

/*
** Begins a submission of the kind, publisher and offer in `operation`. A cancel may
** name in `operation->cancels` what it is to end; otherwise that is whatever runs.
*/
void cp_submission_init(cp_submission *submission, const cp_service *service,
                        cp_operation *operation, const cp_submission_policy *policy);

/*
** Looks up, from `now` on, a submission that an earlier process was about to send, and
** never sends. `known`, which it takes over, are the ids that were in the list before,
** if that was read; otherwise `operation->submitted_at` tells new operations from old.
*/
void cp_submission_resume(cp_submission *submission, const cp_service *service,
                          cp_operation *operation, const cp_submission_policy *policy,
                          cp_ids *known, double now);

#endif
