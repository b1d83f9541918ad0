/*
** operation.h - what is known of one operation, as machines need it
*/
#ifndef CP_OPERATION_H
#define CP_OPERATION_H

#include <stdbool.h>

#include "words.h"

/*
** An operation of which nothing is known is CP_OPERATION_NONE. The texts are its own.
*/
typedef struct cp_operation {
  char *publisher;
  char *offer;
  char *id;  /* NULL while it is not known */
  char *url; /* absolute, where its status is; checked against the endpoint at each use */
  char *cancels;       /* of a cancel: the id of what it is to end */
  double submitted_at; /* Unix seconds; -1 when not known */
  double poll_after;   /* likewise: the service wants no poll before; -1: does not care */
  cp_kind kind;
  bool adopted; /* found, not submitted here */
  bool done;    /* already over */
} cp_operation;

#define CP_OPERATION_NONE ((cp_operation){.submitted_at = -1, .poll_after = -1})

/* Replaces a text by a copy of another; false, and nothing changed, without memory. */
bool cp_operation_set(char **field, const char *text);

/*
** Takes a URL that the service named for where the operation is from now on, with the
** id in it; one that names another operation is left. A cancel is told by the operation
** that it ends, so there the URL must name that one. False without memory.
*/
bool cp_operation_move(cp_operation *operation, const char *url);

void cp_operation_free(cp_operation *operation);

#endif
