/*
** grant.c - fuzzes the reading of answers to requests for tokens, of all sources
*/
#define _GNU_SOURCE /* memmem */
#include "../src/grant.h"

#include "../src/token.h"
#include "harness.h"

/* In Unix seconds, when the request was made. */
#define ASKED 1522100760.0

static void check_granted(const cp_grant *grant) {
  assert(!grant->reason && !grant->advice);
  assert(cp_token_text_ok(grant->token, strlen(grant->token)));
  assert(grant->life > 0 && grant->life <= 366 * 86400.0);
}

/* One line of bounded length, with something to do about it. */
static void check_refused(const cp_grant *grant) {
  size_t length = 0;
  assert(grant->reason && grant->advice);
  assert(!has_control(grant->reason, strlen(grant->reason)));
  assert(strlen(grant->reason) < 700);
  const char *code = cp_grant_code(grant->reason, &length);
  assert(!code || length > 6);
}

/* A body that was not understood may hold a token, and is not kept. */
static void check_body(const cp_answer *answer, const cp_grant *grant, bool kept) {
  assert(grant->token || kept || answer->body.length == 0);
  if (!grant->token || strlen(grant->token) < 20) return;
  assert(!memmem(answer->body.data, answer->body.length, grant->token,
                 strlen(grant->token)));
}

static void check(cp_source source, bool v1, int status, const uint8_t *data,
                  size_t size) {
  const cp_identity identity = {.source = source, .v1 = v1};
  cp_answer answer = {.http_status = status, .body = exact_text(data, size)};
  cp_grant grant;
  cp_grant_read(&identity, "", &answer, ASKED, &grant);
  assert(!grant.token || status == 200 || source == CP_SOURCE_AZURE_CLI);
  if (grant.token)
    check_granted(&grant);
  else
    check_refused(&grant);
  check_body(&answer, &grant, status && status / 100 != 2);
  cp_free_secret(grant.token);
  cp_free(grant.reason);
  cp_answer_free(&answer);
}

/* The first byte says who answers, and how; the rest is the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int statuses[] = {200, 200, 400, 401, 204, 500};
  if (size == 0) return 0;
  cp_source source = (cp_source)(CP_SOURCE_SECRET + data[0] % 5);
  int status = source == CP_SOURCE_AZURE_CLI ? 0 : statuses[data[0] / 5 % 6];
  check(source, data[0] >= 128, status, data + 1, size - 1);
  return 0;
}
