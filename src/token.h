/*
** token.h - when to renew a token
*/
#ifndef CP_TOKEN_H
#define CP_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "digest.h"

/* A token and its life. All zero is none. Its copy is overwritten before it is freed. */
typedef struct cp_token {
  char *text;
  double renew_at; /* by cp_clock.now */
} cp_token;

/* For how long a token serves. */
#define CP_TOKEN_FOREVER (-1.0) /* it can't be renewed */
#define CP_TOKEN_ONCE    (-2.0) /* for the exchange that it was asked for */

/*
** Takes a new token that lasts for `seconds_left` from `now`, or for one of the
** constants. False without memory, and then there is none.
*/
bool cp_token_set(cp_token *token, const char *text, size_t length, double seconds_left,
                  double now);

/* Is there a token that can be sent now, well before its end? */
bool cp_token_serves(const cp_token *token, double now);

/*
** Blots the token out of an answer that gives it back, as a proxy's page of an error does
** with the request: it would go on into errors, logs and recordings.
*/
void cp_token_blot(const cp_token *token, cp_answer *answer);

void cp_token_free(cp_token *token);

/* Can this text be sent as a token: visible ASCII, not empty, at most 64 KiB? */
bool cp_token_text_ok(const char *text, size_t length);

#endif
