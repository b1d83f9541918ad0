/*
** token.h - a token's life: when it is renewed, by one at a time
** Whoever needs a token looks at it and is told what to do: send it, renew it, wait for
** another who is at that. A renewal ahead of its end keeps nobody waiting, and when it
** fails the old token is sent on.
*/
#ifndef CP_TOKEN_H
#define CP_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "retry.h"

/*
** The text of a token, shared by the exchanges that send it: a renewal takes it from none
** of them. It is overwritten when its last user has released it.
*/
typedef struct cp_bearer {
  unsigned users;
  size_t length;
  char text[];
} cp_bearer;

cp_bearer *cp_bearer_share(cp_bearer *bearer);
void cp_bearer_release(cp_bearer *bearer);

/*
** Blots the token out of an answer that gives it back, as a proxy's page of an error does
** with the request: it would go on into errors, logs and recordings.
*/
void cp_bearer_blot(const cp_bearer *bearer, cp_answer *answer);

/* The same for any secret, which may be NULL. */
void cp_secret_blot(const char *secret, cp_answer *answer);

/* A token and its life, in seconds by cp_clock.now. All zero is none. */
typedef struct cp_token {
  cp_bearer *bearer;
  double renew_at; /* from then on whoever looks renews it */
  double ends_at;  /* and from then on it is not sent any more */
  double until;    /* a renewal that failed is not repeated before */
  int repetitions; /* of the renewal under way */
  bool is_asked;   /* somebody is at that */
} cp_token;

/* For how long a token lasts. */
#define CP_TOKEN_FOREVER (-1.0) /* it can't be renewed */
#define CP_TOKEN_ONCE    (-2.0) /* for the exchange that it was asked for */

typedef enum cp_token_todo {
  CP_TOKEN_SEND,
  CP_TOKEN_SEND_AND_RENEW, /* it serves on meanwhile */
  CP_TOKEN_RENEW,          /* there is none to send */
  CP_TOKEN_WAIT,           /* likewise; until another has it, or until `token->until` */
} cp_token_todo;

/* What is to be done by somebody who needs the token now. */
cp_token_todo cp_token_look(const cp_token *token, double now);

/* Somebody renews it, or has ceased to without a result. */
void cp_token_ask(cp_token *token);
void cp_token_leave(cp_token *token);

/*
** A new one came, which lasts for `life` seconds from `now`, or for one of the constants.
** It is renewed five minutes ahead of its end, a short one at half its life, with a tenth
** of that more or less by chance: many processes should not all ask at once. False
** without memory, and then there is none.
*/
bool cp_token_came(cp_token *token, const char *text, size_t length, double life,
                   double now, double random);

/*
** The renewal failed; it is to be repeated after `delay` seconds, or given up (below 0).
** Given up, it is begun anew by who needs it next, but not at once while the old one
** serves.
*/
void cp_token_failed(cp_token *token, double delay, double now);

/* The service refused this token. If it is still the one there is, it serves no more. */
void cp_token_refused(cp_token *token, const cp_bearer *bearer);

/* Does it last as long as nobody refuses it? */
bool cp_token_is_forever(const cp_token *token);

void cp_token_free(cp_token *token);

/* Can this text be sent as a token: visible ASCII, not empty, at most 64 KiB? */
bool cp_token_text_ok(const char *text, size_t length);

#endif
