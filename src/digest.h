/*
** digest.h - the few facts of an answer that a machine needs
** A digest is filled in two parts: from status line and headers here, from the JSON
** document by the binding, which decides nothing. Machines read digests and nothing
** else.
*/
#ifndef CP_DIGEST_H
#define CP_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "memory.h"
#include "words.h"

/* What kept an exchange from bringing an answer. */
typedef enum cp_failure {
  CP_FAIL_NONE,
  CP_FAIL_RESOLVE,
  CP_FAIL_CONNECT,
  CP_FAIL_TLS,
  CP_FAIL_TIMEOUT,
  CP_FAIL_NETWORK,
  CP_FAIL_PROTOCOL,
  CP_FAIL_TOO_LARGE,
  CP_FAIL_UNTRUSTED_URL,
  CP_FAIL_CREDENTIAL,
} cp_failure;

/* Did the request reach the service? */
typedef enum cp_sent { CP_SENT_NO, CP_SENT_MAYBE, CP_SENT_YES } cp_sent;

/* What one exchange brought, whoever did it. All zero is no answer yet. */
typedef struct cp_answer {
  cp_failure failure;
  cp_sent sent;
  bool certificate_refused;
  int http_status; /* 0: none came */
  cp_text headers; /* "Name: value\r\n" for each, of the last answer only */
  cp_text body;
  cp_text detail;     /* of a failure, for people */
  const char *advice; /* likewise, what to do about it; NULL: as its code has it */
  double seconds;     /* from sending to the end */
} cp_answer;

void cp_answer_free(cp_answer *answer);

/* One entry of an offer's list of operations; `id` belongs to the digest. */
typedef struct cp_entry {
  const char *id;
  cp_kind kind;
  cp_state state;
  double began;   /* Unix seconds by the service's clock, from `version`; -1: not said */
  double changed; /* likewise, when it last changed: it began no later */
} cp_entry;

typedef struct cp_digest {
  cp_failure failure;
  cp_sent sent;
  bool certificate_refused;
  int http_status;
  double retry_after; /* seconds, from any of the hints; -1: none */
  double came;        /* when the answer did, Unix seconds */
  const char *date;   /* the service's own time, within the answer's headers; or NULL */
  size_t date_length;
  const char *location; /* of the operation, within the answer's headers; or NULL */
  size_t location_length;
  const char *etag; /* of an offer: the header's, else its own; or NULL */
  size_t etag_length;

  const cp_text *body; /* as it came, as long as the answer is there; or NULL */
  bool understood;     /* the body is a document of the kind that was asked for */
  bool changed;        /* and another one than the last that was understood */
  cp_state state;      /* of an operation: its overall word, with the sign-off rule */
  bool blocked;        /* a step is rejected, or blocked with an error */
  double publishing_version, offer_version; /* of that document; -1: not said */
  double began;                             /* the operation, Unix seconds; likewise */
  cp_entry *entries;                        /* of a list; cp_digest_free frees them */
  size_t entry_count;
  char *texts; /* where the entries' ids are, or an offer's etag */
} cp_digest;

/*
** Fills all that status line and headers tell; the document's part is left at zero.
** `wall` is the time in Unix seconds at which it came: what the server's clock is held
** against.
*/
void cp_digest_headers(const cp_answer *answer, double wall, cp_digest *digest);

/*
** By how many seconds the service's clock is ahead of ours, at least: its Date is cut to
** the second and as old as the answer took to come. 0 when it tells none.
*/
double cp_digest_skew(const cp_digest *digest);

/*
** Finds a header by name in any letter case; NULL, or its value without blanks around
** it.
*/
const char *cp_header(const cp_text *headers, const char *name, size_t *length);

/*
** The id by which the service's people find this answer again; NULL when it names none.
*/
const char *cp_header_request_id(const cp_text *headers, size_t *length);

/*
** Unix seconds of an HTTP-date (RFC 9110, 5.6.7, the preferred form); -1 for anything
** else.
*/
double cp_http_date(const char *text, size_t length);

/*
** UTC as ISO 8601, to the millisecond: 2018-03-26T21:46:01.179Z. `text` holds 25 bytes.
*/
void cp_iso_time(double unix_seconds, char *text);

/* Unix seconds of such a text; -1 for anything else. */
double cp_iso_time_read(const char *text);

#endif
