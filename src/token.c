/*
** token.c - a token's life: when it is renewed, by one at a time
*/
#include "token.h"

#include <math.h>
#include <string.h>

#include "memory.h"

#define TEXT_MAX 65536

/*
** A token is renewed this long before its end, in seconds; a short one at half its life.
*/
#define MARGIN 300.0

/* A renewal that was given up while the old token serves is tried again after so long. */
#define PAUSE 30.0

/* A shorter token could be a word of any answer. Real ones have a thousand characters. */
#define BLOT_MIN 20

/* Bearers */

static cp_bearer *new_bearer(const char *text, size_t length) {
  cp_bearer *bearer = cp_calloc(sizeof *bearer + length + 1);
  if (!bearer) return NULL;
  bearer->users = 1;
  bearer->length = length;
  memcpy(bearer->text, text, length);
  return bearer;
}

cp_bearer *cp_bearer_share(cp_bearer *bearer) {
  if (bearer) bearer->users++;
  return bearer;
}

void cp_bearer_release(cp_bearer *bearer) {
  if (!bearer || --bearer->users) return;
  cp_wipe(bearer->text, bearer->length);
  cp_free(bearer);
}

void cp_secret_blot(const char *secret, cp_answer *answer) {
  if (!secret || !*secret) return;
  cp_text_blot(&answer->headers, secret);
  cp_text_blot(&answer->body, secret);
  cp_text_blot(&answer->detail, secret);
}

void cp_bearer_blot(const cp_bearer *bearer, cp_answer *answer) {
  if (bearer && bearer->length >= BLOT_MIN) cp_secret_blot(bearer->text, answer);
}

/* The token's life */

static bool serves(const cp_token *token, double now) {
  return token->bearer && now < token->ends_at;
}

cp_token_todo cp_token_look(const cp_token *token, double now) {
  bool can_renew = !token->is_asked && now >= token->until;
  if (!serves(token, now)) return can_renew ? CP_TOKEN_RENEW : CP_TOKEN_WAIT;
  return now >= token->renew_at && can_renew ? CP_TOKEN_SEND_AND_RENEW : CP_TOKEN_SEND;
}

void cp_token_ask(cp_token *token) {
  token->is_asked = true;
}

void cp_token_leave(cp_token *token) {
  token->is_asked = false;
}

static void set_life(cp_token *token, double life, double now, double random) {
  double margin = fmin(MARGIN, life / 2) * (0.9 + random / 5);
  token->ends_at = now + life;
  token->renew_at = token->ends_at - margin;
  if (life == CP_TOKEN_FOREVER) token->ends_at = token->renew_at = INFINITY;
  if (life == CP_TOKEN_ONCE || life == 0) token->ends_at = token->renew_at = -INFINITY;
}

bool cp_token_came(cp_token *token, const char *text, size_t length, double life,
                   double now, double random) {
  cp_token_free(token);
  token->bearer = new_bearer(text, length);
  set_life(token, life, now, random);
  return token->bearer != NULL;
}

void cp_token_failed(cp_token *token, double delay, double now) {
  token->is_asked = false;
  token->repetitions++;
  token->until = now + delay;
  if (delay >= 0) return;
  token->repetitions = 0;
  token->until = 0;
  if (serves(token, now)) token->until = now + fmin(PAUSE, (token->ends_at - now) / 2);
}

void cp_token_refused(cp_token *token, const cp_bearer *bearer) {
  if (bearer != token->bearer) return;
  token->ends_at = token->renew_at = -INFINITY;
  token->until = 0;
}

bool cp_token_is_forever(const cp_token *token) {
  return token->ends_at == INFINITY;
}

void cp_token_free(cp_token *token) {
  cp_bearer_release(token->bearer);
  *token = (cp_token){0};
}

bool cp_token_text_ok(const char *text, size_t length) {
  if (length == 0 || length > TEXT_MAX) return false;
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f) return false;
  return true;
}
