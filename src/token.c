/*
** token.c - when to renew a token
*/
#include "token.h"

#include <math.h>
#include <string.h>

#include "memory.h"

#define TEXT_MAX 65536

/*
** A token is renewed this long before its end, in seconds; a short one at half its
** life.
*/
#define MARGIN 300.0

/* A shorter token could be a word of any answer. Real ones have a thousand characters. */
#define BLOT_MIN 20

static double renewal(double seconds_left, double now) {
  if (seconds_left == CP_TOKEN_FOREVER) return INFINITY;
  if (seconds_left == CP_TOKEN_ONCE || !(seconds_left > 0)) return -INFINITY;
  return now + seconds_left - fmin(MARGIN, seconds_left / 2);
}

bool cp_token_set(cp_token *token, const char *text, size_t length, double seconds_left,
                  double now) {
  cp_token_free(token);
  token->text = cp_strndup(text, length);
  token->renew_at = renewal(seconds_left, now);
  return token->text != NULL;
}

bool cp_token_serves(const cp_token *token, double now) {
  return token->text && now < token->renew_at;
}

void cp_token_blot(const cp_token *token, cp_answer *answer) {
  if (!token->text || strlen(token->text) < BLOT_MIN) return;
  cp_text_blot(&answer->headers, token->text);
  cp_text_blot(&answer->body, token->text);
  cp_text_blot(&answer->detail, token->text);
}

void cp_token_free(cp_token *token) {
  cp_free_secret(token->text);
  *token = (cp_token){0};
}

bool cp_token_text_ok(const char *text, size_t length) {
  if (length == 0 || length > TEXT_MAX) return false;
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f) return false;
  return true;
}
