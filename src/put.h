/*
** put.h - an offer stored: a PUT under its condition
** Prepare: the offer is read, if its caller wants to edit that. Commit: the PUT, sent
** again only when the service certainly did not take it. Settle: taken, refused, or
** unclear, and then the offer is read back: the same document is proof that it was taken.
** When somebody else was quicker, an edit begins anew.
*/
#ifndef CP_PUT_H
#define CP_PUT_H

#include "machine.h"
#include "read.h"

/* So often an edit is made, when somebody else is quicker each time. */
#define CP_EDITS_MAX 5

typedef enum cp_put_phase {
  CP_PUT_READ,
  CP_PUT_EDIT,
  CP_PUT_SEND,
  CP_PUT_WAIT,
  CP_PUT_READ_BACK,
  CP_PUT_DONE,
  CP_PUT_FAILED,
} cp_put_phase;

typedef struct cp_put {
  const cp_service *service;
  const cp_operation *operation; /* its publisher and offer say which offer */
  char *const *body;             /* the text to be put, when that is known */
  bool edits;                    /* its caller changes what is read first */
  bool creates;                  /* nothing may be there yet */
  cp_put_phase phase;
  bool of_answer; /* this and the next two: how it fails, when it does */
  cp_code code;
  cp_sent sent;
  cp_read read;
  int repetitions;
  int edited; /* how often */
  double until;
} cp_put;

extern const cp_machine cp_put_machine;

/*
** Begins to put what `*body` is then. With `edits`, the offer is read first, and the call
** CP_CALL_EDIT must leave the text there, or say that there is nothing to put.
*/
void cp_put_init(cp_put *put, const cp_service *service, const cp_operation *operation,
                 char *const *body, bool edits, bool creates);

#endif
