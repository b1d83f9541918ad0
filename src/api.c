/*
** api.c - the endpoints of the service as a table: method, path, what it answers
** Source: the reference's 2017-10-31 pages.
*/
#include "api.h"

#include <string.h>

#include "url.h"

/*
** In a path, {p} stands for the publisher, {o} for the offer, {i} for the operation's
** id.
*/
static const struct {
  const char *method;
  const char *path;
  cp_document document;
} endpoints[] = {
    [CP_ENDPOINT_POLL] = {"GET", NULL, CP_DOC_OPERATION},
    [CP_ENDPOINT_GOLIVE] = {"POST", "/api/publishers/{p}/offers/{o}/golive", CP_DOC_NONE},
    [CP_ENDPOINT_PUBLISH] = {"POST", "/api/publishers/{p}/offers/{o}/publish",
                             CP_DOC_NONE},
    [CP_ENDPOINT_CANCEL] = {"POST", "/api/publishers/{p}/offers/{o}/cancel", CP_DOC_NONE},
    [CP_ENDPOINT_OFFER_STATUS] = {"GET", "/api/publishers/{p}/offers/{o}/status",
                                  CP_DOC_OFFER_STATUS},
    [CP_ENDPOINT_OPERATIONS] = {"GET", "/api/publishers/{p}/offers/{o}/submissions/",
                                CP_DOC_LIST},
    [CP_ENDPOINT_OPERATION] = {"GET", "/api/publishers/{p}/offers/{o}/operations/{i}",
                               CP_DOC_OPERATION},
};

const char *cp_api_method(cp_endpoint endpoint) {
  return endpoints[endpoint].method;
}

cp_document cp_api_document(cp_endpoint endpoint) {
  return endpoints[endpoint].document;
}

bool cp_api_is_submission(cp_endpoint endpoint) {
  return strcmp(endpoints[endpoint].method, "POST") == 0;
}

cp_endpoint cp_api_submission(cp_kind kind) {
  if (kind == CP_PUBLISH) return CP_ENDPOINT_PUBLISH;
  return kind == CP_CANCEL ? CP_ENDPOINT_CANCEL : CP_ENDPOINT_GOLIVE;
}

static bool add_id(cp_text *url, char which, const cp_operation *of) {
  const char *id = which == 'p' ? of->publisher : which == 'o' ? of->offer : of->id;
  return id && cp_url_escape(url, id, strlen(id));
}

static bool add_path(cp_text *url, const char *path, const cp_operation *of) {
  for (const char *at = path; *at; at++) {
    bool ok = *at == '{' ? add_id(url, at[1], of) : cp_text_putc(url, *at);
    if (!ok) return false;
    if (*at == '{') at += 2;
  }
  return true;
}

static bool add_pair(cp_text *url, const char *name, const char *value) {
  return cp_text_puts(url, name) && cp_url_escape(url, value, strlen(value));
}

bool cp_api_url(const cp_service *service, cp_endpoint endpoint, const cp_operation *of,
                const char *filter, cp_text *url) {
  return service->base && cp_text_puts(url, service->base) &&
         add_path(url, endpoints[endpoint].path, of) &&
         add_pair(url, "?api-version=", service->api_version) &&
         (!filter || add_pair(url, "&status=", filter));
}
