/*
** retry.h - which outcomes may be repeated, and after how long
*/
#ifndef CP_RETRY_H
#define CP_RETRY_H

#include <stdbool.h>

#include "digest.h"

/* Seconds, and how often; the client's options of the same names. */
typedef struct cp_retry_policy {
  int retries;
  double delay;
  double max_delay;
} cp_retry_policy;

/*
** The time and chance that a machine decides by. It reads no clock itself: a spec, a
** simulation or a recording turns them.
*/
typedef struct cp_clock {
  double now;    /* seconds, for delays: runs on in suspend, has no date */
  double wall;   /* Unix seconds */
  double random; /* in [0, 1), another each time a machine is asked */
} cp_clock;

/* May an exchange without a side effect be repeated after this outcome? */
bool cp_retry_may_read(const cp_digest *digest);

/*
** Did the service certainly not take this submission, so that it may be sent again?
** Not sent at all, or turned away: 429, or 503 with a delay.
*/
bool cp_retry_may_submit(const cp_digest *digest);

/* Is it unknown whether the service took this submission? */
bool cp_retry_is_unclear(const cp_digest *digest);

/*
** Exponential backoff before repetition number `attempt` (from 1), with jitter of half.
*/
double cp_retry_backoff(const cp_retry_policy *policy, int attempt, double random);

/*
** What to do about an outcome that may be repeated, `attempt` repetitions having been
** made: the delay in seconds, or -1 to give up (no repetition left, or the server asks
** for more than the policy's longest delay).
*/
double cp_retry_delay(const cp_retry_policy *policy, int attempt, const cp_digest *digest,
                      double random);

#endif
