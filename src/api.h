/*
** api.h - the endpoints of the service as a table: method, path, what it answers
*/
#ifndef CP_API_H
#define CP_API_H

#include <stdbool.h>

#include "memory.h"
#include "operation.h"
#include "retry.h"

/* What the body of a good answer is. */
typedef enum cp_document {
  CP_DOC_NONE, /* anything: it is not looked at */
  CP_DOC_OPERATION,
  CP_DOC_OFFER_STATUS,
  CP_DOC_LIST,
  CP_DOC_ARRAY, /* this and the next: only its form is looked at */
  CP_DOC_OFFER,
} cp_document;

typedef enum cp_endpoint {
  CP_ENDPOINT_POLL, /* the URL that the service named for an operation */
  CP_ENDPOINT_GOLIVE,
  CP_ENDPOINT_PUBLISH,
  CP_ENDPOINT_CANCEL,
  CP_ENDPOINT_OFFER_STATUS,
  CP_ENDPOINT_OPERATIONS,
  CP_ENDPOINT_OPERATION,
  CP_ENDPOINT_PUBLISHERS,
  CP_ENDPOINT_OFFER_TYPES,
  CP_ENDPOINT_OFFERS,
  CP_ENDPOINT_OFFER,
  CP_ENDPOINT_VERSION, /* of an offer */
  CP_ENDPOINT_SLOT,    /* likewise */
  CP_ENDPOINT_PREVIEW, /* the slots by name */
  CP_ENDPOINT_PRODUCTION,
  CP_ENDPOINT_PUT_OFFER,
} cp_endpoint;

/* The service as one client sees it. */
typedef struct cp_service {
  char *base; /* without a slash at its end */
  char *api_version;
  cp_retry_policy retry;
  double exchange_timeout;
  double connect_timeout;
} cp_service;

/* "GET", "POST" or "PUT" */
const char *cp_api_method(cp_endpoint endpoint);

cp_document cp_api_document(cp_endpoint endpoint);

/* Is a request to this endpoint one that must not happen twice? */
bool cp_api_is_submission(cp_endpoint endpoint);

/* Does a request to this endpoint change something? It has a body, and a condition. */
bool cp_api_writes(cp_endpoint endpoint);

/* The endpoint that begins an operation of this kind. */
cp_endpoint cp_api_submission(cp_kind kind);

/*
** Appends the whole URL of an endpoint, its ids percent-encoded. `argument`: what a list
** is asked for, if anything, or which version or slot. False without memory. Not for
** CP_ENDPOINT_POLL.
*/
bool cp_api_url(const cp_service *service, cp_endpoint endpoint, const cp_operation *of,
                const char *argument, cp_text *url);

/* Sets an operation's id, and the URL that tells its state; false without memory. */
bool cp_api_place(const cp_service *service, cp_operation *operation, const char *id);

#endif
