/*
** url.h - join, compare origins, escape: over libcurl's own URL parser, so that what is
** checked here is what libcurl will connect to
*/
#ifndef CP_URL_H
#define CP_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "memory.h"

/* The longest URL that is looked at. */
#define CP_URL_MAX 8192

typedef enum cp_url_verdict {
  CP_URL_OK,
  CP_URL_MISSING,   /* no URL at all, or no memory to look at it */
  CP_URL_UNTRUSTED, /* not a URL, or one that the token must not travel to */
} cp_url_verdict;

/*
** Checks a base URL given by the user (endpoint, authority) and appends it to `base`
** without a slash at its end. Returns NULL, or what is wrong with it in a few words.
** `http` is for loopback addresses only; a user name, query or fragment is refused.
*/
const char *cp_url_base(const char *text, cp_text *base);

/*
** The same for where a machine asks for its own identity: `http` for a link-local address
** too.
*/
const char *cp_url_local_base(const char *text, cp_text *base);

/*
** Resolves a URL or path that the service named against `base`, adds `api-version` when
** it is missing, and appends the result to `url`. Untrusted: another scheme, host or
** port, a user name, control characters, over CP_URL_MAX bytes.
*/
cp_url_verdict cp_url_resolve(const char *base, const char *location, size_t length,
                              const char *api_version, cp_text *url);

/* Appends `segment` percent-encoded, so that it stays one segment of a path. */
bool cp_url_escape(cp_text *url, const char *segment, size_t length);

/* May `id` be a segment of a path: not empty, ".", "..", and no control characters? */
bool cp_url_segment_ok(const char *id, size_t length);

/* Is this URL's host this machine or the local link, where no proxy belongs? */
bool cp_url_is_local(const char *url);

/* What the URL of an operation says. Texts are decoded; NULL where it says nothing. */
typedef struct cp_url_names {
  char *publisher;
  char *offer;
  char *operation; /* NULL for /api/operations/p$o$2$preview: that names the offer */
} cp_url_names;

/* Reads the names out of an operation's URL; true when it names publisher and offer. */
bool cp_url_names_read(const char *url, cp_url_names *names);
void cp_url_names_free(cp_url_names *names);

/* Is this an absolute URL of the Web? */
bool cp_url_is_web(const char *url);

/* Appends a parameter of a URL's query, without its escapes; false when it has none. */
bool cp_url_parameter(const char *url, const char *name, cp_text *value);

#endif
