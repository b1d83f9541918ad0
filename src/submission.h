/*
** submission.h - a POST that must not happen twice
** Three phases: prepare (a cancel reads which operation it is to end), commit (the
** POST, sent again only when the service certainly did not take it), and the answer
** sorted: accepted, definite, or unclear.
*/
#ifndef CP_SUBMISSION_H
#define CP_SUBMISSION_H

#include "machine.h"
#include "read.h"

typedef struct cp_submission {
  const cp_service *service;
  cp_operation
      *operation; /* filled as it becomes known; its kind says what is submitted */
  enum {
    CP_SUBMISSION_PREPARE,
    CP_SUBMISSION_ANNOUNCE,
    CP_SUBMISSION_SEND,
    CP_SUBMISSION_WAIT,
    CP_SUBMISSION_DONE,
    CP_SUBMISSION_FAILED
  } phase;
  bool announces; /* the caller wants to hear of it before it is sent */
  cp_read list;
  int repetitions;
  double until;
  cp_code code;
  cp_sent sent;
  bool of_answer;
} cp_submission;

extern const cp_machine cp_submission_machine;

/*
** Begins a submission of the kind, publisher and offer in `operation`. A cancel may
** name in `operation->cancels` what it is to end; otherwise that is whatever runs.
*/
void cp_submission_init(cp_submission *submission, const cp_service *service,
                        cp_operation *operation, bool announces);

#endif
