/*
** retry.c - which outcomes may be repeated, and after how long
*/
#include "retry.h"

static bool failed_in_passing(cp_failure failure) {
  return failure == CP_FAIL_RESOLVE || failure == CP_FAIL_CONNECT ||
         failure == CP_FAIL_TLS || failure == CP_FAIL_TIMEOUT ||
         failure == CP_FAIL_NETWORK;
}

static bool answers_in_passing(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 ||
         status == 503 || status == 504;
}

/* A status that refuses counts, even when the body that came with it was lost. */
static bool lacks_status(const cp_digest *digest) {
  return digest->failure != CP_FAIL_NONE && digest->http_status < 400;
}

bool cp_retry_may_read(const cp_digest *digest) {
  if (digest->certificate_refused) return false;
  if (lacks_status(digest)) return failed_in_passing(digest->failure);
  return answers_in_passing(digest->http_status);
}

bool cp_retry_may_submit(const cp_digest *digest) {
  if (lacks_status(digest))
    return digest->sent == CP_SENT_NO && failed_in_passing(digest->failure);
  if (digest->http_status == 429) return true;
  return digest->http_status == 503 && digest->retry_after >= 0;
}

bool cp_retry_is_unclear(const cp_digest *digest) {
  if (lacks_status(digest)) return digest->sent != CP_SENT_NO;
  int status = digest->http_status;
  if (status == 429 || (status == 503 && digest->retry_after >= 0)) return false;
  return status == 408 || status >= 500 || (status >= 200 && status < 300);
}

double cp_retry_backoff(const cp_retry_policy *policy, int attempt, double random) {
  double delay = policy->delay;
  for (int i = 1; i < attempt && delay < policy->max_delay; i++) delay *= 2;
  if (delay > policy->max_delay) delay = policy->max_delay;
  return delay * (0.5 + random / 2);
}

double cp_retry_delay(const cp_retry_policy *policy, int attempt, const cp_digest *digest,
                      double random) {
  if (attempt >= policy->retries || digest->retry_after > policy->max_delay) return -1;
  if (digest->retry_after >= 0) return digest->retry_after;
  return cp_retry_backoff(policy, attempt + 1, random);
}
