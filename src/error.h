/*
** error.h - the one error there is: its code, and the sentence made of it
*/
#ifndef CP_ERROR_H
#define CP_ERROR_H

#include <stdbool.h>

#include "digest.h"

/*
** The codes of the contract, with what a user can do about each: X(constant, name,
** advice).
*/
#define CP_CODES(X)                                                                      \
  X(INVALID_REQUEST, "invalid_request", "correct the request or the offer")              \
  X(UNAUTHORIZED, "unauthorized",                                                        \
    "the token is missing, wrong or expired; get a new one")                             \
  X(FORBIDDEN, "forbidden", "add the service principal as a user of that publisher")     \
  X(NOT_FOUND, "not_found", "check the ids of publisher, offer and operation")           \
  X(CONFLICT, "conflict",                                                                \
    "wait for the operation that runs on this offer, or cancel it")                      \
  X(PRECONDITION_FAILED, "precondition_failed",                                          \
    "read it again and apply the change to that")                                        \
  X(THROTTLED, "throttled", "try again later")                                           \
  X(SERVER_ERROR, "server_error", "the service failed; try again later")                 \
  X(UNEXPECTED_STATUS, "unexpected_status", "check the endpoint")                        \
  X(RESOLVE, "resolve", "check the endpoint's name and the network")                     \
  X(CONNECT, "connect", "check the network, the proxy and the endpoint")                 \
  X(TLS, "tls", "check ca_file, the proxy and the system's clock")                       \
  X(TIMEOUT, "timeout", "try again, or raise exchange_timeout")                          \
  X(NETWORK, "network", "try again")                                                     \
  X(PROTOCOL, "protocol", "check that the endpoint is the service itself")               \
  X(TOO_LARGE, "too_large", "raise max_body if the answer is meant to be that large")    \
  X(UNTRUSTED_URL, "untrusted_url", "the token goes to the endpoint's origin only")      \
  X(CREDENTIAL, "credential", "check the option 'token' or 'credential'")                \
  X(OPERATION_FAILED, "operation_failed",                                                \
    "correct what the steps' messages say and start again")                              \
  X(OPERATION_CANCELED, "operation_canceled", "start again if that was not meant")       \
  X(OPERATION_BLOCKED, "operation_blocked",                                              \
    "correct what blocks the step, or cancel the operation; it does not end by itself")  \
  X(OPERATION_LOST, "operation_lost", "look at client:operations for what became of it") \
  X(NOT_CANCELED, "not_canceled", "it had come to its end before")                       \
  X(AMBIGUOUS, "ambiguous",                                                              \
    "the service may have taken it; look at client:operations before sending again")     \
  X(DEADLINE, "deadline", "raise timeout; what was started goes on by itself")           \
  X(CANCELED, "canceled", "what was started goes on by itself")

typedef enum cp_code {
  CP_CODE_NONE, /* no error; of a call that failed: no memory */
#define X(constant, name, advice) CP_CODE_##constant,
  CP_CODES(X)
#undef X
} cp_code;

/* "invalid_request", ... */
const char *cp_code_name(cp_code code);

/* What a user can do, in a few words. */
const char *cp_code_advice(cp_code code);

/* The code of an answer or a failure; CP_CODE_NONE for 200, 201 and 202. */
cp_code cp_code_of(const cp_digest *digest);

/* The code of a failed exchange. */
cp_code cp_code_of_failure(cp_failure failure);

/* The failure that a transport function names ("resolve", ...); else CP_FAIL_NETWORK. */
cp_failure cp_failure_named(const char *name);

/* Could the same call succeed later, without anything being changed? */
bool cp_code_retryable(cp_code code);

/* "no", "maybe", "yes" */
const char *cp_sent_name(cp_sent sent);

#endif
