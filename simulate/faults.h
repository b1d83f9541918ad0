/*
** faults.h - what can go wrong, and what did
** Everything that is not as plain as can be is a fault: drawn from the seed, counted when
** it strikes, and switchable one by one, so that a trace can be made short.
*/
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

#include "chance.h"

/* X(name, text) */
#define FAULTS(X)                                                  \
  /* of one exchange */                                            \
  X(RESOLVE, "name not resolved")                                  \
  X(CONNECT, "connection refused")                                 \
  X(TLS, "TLS handshake failed")                                   \
  X(CERTIFICATE, "certificate refused")                            \
  X(CONNECT_SLOW, "timeout before the first byte")                 \
  X(REQUEST_LOST, "request lost")                                  \
  X(ANSWER_LOST, "answer lost")                                    \
  X(REQUEST_HANGS, "request hangs until the timeout")              \
  X(ANSWER_HANGS, "answer hangs until the timeout")                \
  X(ANSWER_CUT, "body cut off behind the status")                  \
  X(GARBLED, "answer is no HTTP")                                  \
  X(TOO_LARGE, "answer too large")                                 \
  X(ERROR_BEFORE, "5xx or 408 before taking it")                   \
  X(ERROR_AFTER, "5xx or 408 after taking it")                     \
  X(THROTTLED, "429")                                              \
  X(BUSY, "503 with a delay")                                      \
  X(REFUSED, "400, 403, 404, 412 or 422")                          \
  X(ODD_STATUS, "a status of no meaning")                          \
  X(REVOKED, "token no longer valid")                              \
  X(UNAUTHORIZED, "401 whatever the token")                        \
  X(NO_TOKEN, "token not to be had")                               \
  X(SLOW, "slow answer")                                           \
  X(HINT, "a delay asked for")                                     \
  X(ABSURD_HINT, "an absurd delay asked for")                      \
  X(NO_DATE, "answer without a Date")                              \
  /* of an accepted submission */                                  \
  X(NO_URL, "202 without a URL")                                   \
  X(UNTRUSTED_URL, "202 with the URL of another origin")           \
  X(SEEN_URL, "202 with the URL of an older operation")            \
  X(ALIAS_URL, "202 with a URL that will move")                    \
  X(OTHER_COMES, "another kind of operation begins meanwhile")     \
  X(RIVAL, "somebody else's of the same kind begins meanwhile")    \
  /* of a list */                                                  \
  X(LIST_BAD, "a list that is none")                               \
  X(LIST_STALE, "list with states of a while ago")                 \
  X(LIST_DOUBLES, "list entries twice")                            \
  X(LIST_REVERSED, "list with the oldest first")                   \
  X(LIST_NOISE, "list entries without an id")                      \
  X(LIST_DOWN, "list unreachable from the submission on")          \
  X(VERSIONLESS, "list without versions")                          \
  X(UNDATED, "documents without a time of creation")               \
  /* of a poll */                                                  \
  X(POLL_BAD, "a status that is none")                             \
  X(UNKNOWN_WORD, "a word nobody knows")                           \
  X(MISSED, "404 or 410 by mistake")                               \
  X(MOVED, "poll URL moved")                                       \
  X(MOVED_AWAY, "poll URL moved to another origin")                \
  X(MOVED_ELSEWHERE, "poll URL moved to another operation")        \
  X(REDIRECT, "redirect within the origin")                        \
  X(REDIRECT_AWAY, "redirect to another origin")                   \
  X(OLD_DOCUMENT, "nameless URL tells of the operation before")    \
  X(WALL_JUMP, "wall clock set during a wait")                     \
  /* of the whole */                                               \
  X(SKEW_SMALL, "clocks seconds apart")                            \
  X(SKEW_LARGE, "clocks minutes to days apart")                    \
  X(OLDER_ENDED, "older one of the same kind has just ended")      \
  X(OLDER_RUNS, "older one of the same kind still runs")           \
  X(OTHER_RUNS, "one of another kind runs")                        \
  X(NOTHING_RUNS, "nothing runs that could be canceled")           \
  X(NAMELESS, "offer with a nameless URL")                         \
  X(LAG, "operation late in the list")                             \
  X(EARLY, "operation late at its URL")                            \
  X(QUICK, "operation over at once")                               \
  X(FAILS, "operation fails")                                      \
  X(CANCELED, "operation canceled by somebody")                    \
  X(BLOCKED, "step blocked or rejected")                           \
  X(STEPS_COMPLETE, "steps complete over a running whole")         \
  X(STEPS_SKIPPED, "steps not started under a whole that is over") \
  X(SIGNOFF_WAITS, "sign-off waits within a running go live")      \
  X(GONE, "operation forgotten by the service")                    \
  X(ALIAS_DIES, "old URL dies")                                    \
  X(OUTAGE_SHORT, "outage shorter than borne")                     \
  X(OUTAGE_LONG, "outage longer than borne")                       \
  X(TOKEN_SHORT, "token shorter than it said")                     \
  X(PUSHY, "service that always says: at once")                    \
  X(DEADLINE_CALL, "deadline of the submission")                   \
  X(DEADLINE_WAIT, "deadline of the wait")                         \
  X(LATE, "stepped late")                                          \
  X(CRASH, "crash")

typedef enum fault {
#define X(name, text) FAULT_##name,
  FAULTS(X)
#undef X
      FAULT_COUNT
} fault;

/* What is drawn beside the faults. */
typedef enum draw {
  DRAW_FAULT = FAULT_COUNT,
  DRAW_SHAPE,
  DRAW_LATENCY,
  DRAW_WORD,
  DRAW_JITTER,
  DRAW_WORLD,
  DRAW_OPERATION,
  DRAW_CRASH,
  DRAW_LATE,
  DRAW_SKEW,
} draw;

typedef struct fault_at {
  fault which;
  unsigned index; /* of the exchange, the process, ... */
} fault_at;

/* Those beyond are not switched off: a trace of so many faults is never short. */
#define FAULTS_KEPT 512

typedef struct fault_set {
  fault_at at[FAULTS_KEPT];
  size_t count;
} fault_set;

typedef struct faults {
  uint64_t seed;
  const fault_set *off;
  fault_set struck;
  unsigned long counts[FAULT_COUNT];
} faults;

const char *fault_text(fault which);

/* Begins a run; the counts go on. */
void faults_begin(faults *all, uint64_t seed, const fault_set *off);

/* Does this fault, of so small a probability, strike here? */
bool fault_strikes(faults *all, fault which, unsigned index, double probability);

/* The fault was drawn otherwise; is it switched on? Then it has struck. */
bool fault_is_on(faults *all, fault which, unsigned index);

/* Another number that the seed gives. */
double fault_draw(const faults *all, draw what, unsigned index);

/* A whole number below `count`. */
unsigned fault_pick(const faults *all, draw what, unsigned index, unsigned count);

#endif
