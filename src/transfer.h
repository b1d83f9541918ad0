/*
** transfer.h - one exchange by libcurl, its answer bounded
*/
#ifndef CP_TRANSFER_H
#define CP_TRANSFER_H

#include <stdbool.h>

#include "digest.h"

/*
** Room for an answer that holds a secret, taken at once: what grows leaves copies behind.
*/
#define CP_SECRET_SIZE (32 * 1024)

/*
** How a client's connections are made; shared by its exchanges, changed by none of
** them.
*/
typedef struct cp_route {
  char *proxy;    /* "": none */
  char *no_proxy; /* hosts that the proxy is not for, as libcurl reads it; "": none */
  char *ca_file;  /* NULL: libcurl's own */
  char *ca_path;
  double connect_timeout;
} cp_route;

void cp_route_free(cp_route *route);

typedef struct cp_request {
  const char *method; /* a constant */
  char *url;
  cp_text headers;    /* "Name: value\n" for each; holds the token */
  char *body;         /* NULL: none */
  double timeout;     /* seconds from sending to the end of the answer */
  size_t max_body;    /* bytes of the answer's body, decompressed */
  bool once;          /* a submission: on a fresh connection, and never sent twice */
  bool is_secret;     /* its answer holds a token */
  char **program;     /* the words of a command to run instead, NULL after the last: its
                      output is the answer's body; the first is a path */
  char **environment; /* likewise, of that command; it may hold secrets */
} cp_request;

void cp_request_free(cp_request *request);

/* An easy handle with what one exchange needs of it; reused from exchange to exchange. */
typedef struct cp_transfer cp_transfer;

cp_transfer *cp_transfer_new(void);
void cp_transfer_free(cp_transfer *transfer);

/* libcurl's handle, as void * so that who includes this needs no curl.h. */
void *cp_transfer_handle(cp_transfer *transfer);

/* The transfer to which a handle belongs. */
cp_transfer *cp_transfer_of(void *handle);

/*
** Sets the handle up for a request; what comes will be put into `answer`. All three must
** stay until cp_transfer_end. `owner` is given back by cp_transfer_owner.
*/
bool cp_transfer_begin(cp_transfer *transfer, const cp_route *route,
                       const cp_request *request, cp_answer *answer, void *owner);

/* Can another client have it after this exchange? */
bool cp_transfer_is_reusable(const cp_transfer *transfer);

void *cp_transfer_owner(const cp_transfer *transfer);

/* Completes the answer from libcurl's result (a CURLcode) and forgets the request. */
void cp_transfer_end(cp_transfer *transfer, int result);

/* Forgets the request, whatever came of it. */
void cp_transfer_abandon(cp_transfer *transfer);

/* libcurl's own initialization, once for the process; and its version's name. */
bool cp_transfer_global_init(void);

/* The proxy that this environment names for https; "" when it names none. */
const char *cp_route_environment_proxy(void);
const char *cp_route_environment_no_proxy(void);

#endif
