/*
** api.c - the endpoints of the service as a table: method, path, what it answers
** Source: the reference's 2017-10-31 pages.
*/
#include "api.h"

#include <string.h>

#include "url.h"

/*
** In a path, {p} stands for the publisher, {o} for the offer, {i} for the operation's id,
** {a} for the caller's argument, where that is no parameter of the query.
*/
static const struct {
  const char *method;
  const char *path;
  cp_document document;
  const char *parameter;
} endpoints[] = {
    [CP_ENDPOINT_POLL] = {"GET", NULL, CP_DOC_OPERATION, NULL},
    [CP_ENDPOINT_GOLIVE] = {"POST", "/api/publishers/{p}/offers/{o}/golive", CP_DOC_NONE,
                            NULL},
    [CP_ENDPOINT_PUBLISH] = {"POST", "/api/publishers/{p}/offers/{o}/publish",
                             CP_DOC_NONE, NULL},
    [CP_ENDPOINT_CANCEL] = {"POST", "/api/publishers/{p}/offers/{o}/cancel", CP_DOC_NONE,
                            NULL},
    [CP_ENDPOINT_OFFER_STATUS] = {"GET", "/api/publishers/{p}/offers/{o}/status",
                                  CP_DOC_OFFER_STATUS, NULL},
    [CP_ENDPOINT_OPERATIONS] = {"GET", "/api/publishers/{p}/offers/{o}/submissions/",
                                CP_DOC_LIST, "&status="},
    [CP_ENDPOINT_OPERATION] = {"GET", "/api/publishers/{p}/offers/{o}/operations/{i}",
                               CP_DOC_OPERATION, NULL},
    [CP_ENDPOINT_PUBLISHERS] = {"GET", "/api/publishers", CP_DOC_ARRAY, NULL},
    [CP_ENDPOINT_OFFER_TYPES] = {"GET", "/api/offerTypes", CP_DOC_ARRAY, NULL},
    [CP_ENDPOINT_OFFERS] = {"GET", "/api/publishers/{p}/offers", CP_DOC_ARRAY,
                            "&$filter="},
    [CP_ENDPOINT_OFFER] = {"GET", "/api/publishers/{p}/offers/{o}", CP_DOC_OFFER, NULL},
    [CP_ENDPOINT_VERSION] = {"GET", "/api/publishers/{p}/offers/{o}/versions/{a}",
                             CP_DOC_OFFER, NULL},
    [CP_ENDPOINT_SLOT] = {"GET", "/api/publishers/{p}/offers/{o}/slot/{a}", CP_DOC_OFFER,
                          NULL},
    [CP_ENDPOINT_PREVIEW] = {"GET", "/api/publishers/{p}/offers/{o}/slot/preview",
                             CP_DOC_OFFER, NULL},
    [CP_ENDPOINT_PRODUCTION] = {"GET", "/api/publishers/{p}/offers/{o}/slot/production",
                                CP_DOC_OFFER, NULL},
    [CP_ENDPOINT_PUT_OFFER] = {"PUT", "/api/publishers/{p}/offers/{o}", CP_DOC_OFFER,
                               NULL},
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

bool cp_api_writes(cp_endpoint endpoint) {
  return strcmp(endpoints[endpoint].method, "GET") != 0;
}

cp_endpoint cp_api_submission(cp_kind kind) {
  if (kind == CP_PUBLISH) return CP_ENDPOINT_PUBLISH;
  return kind == CP_CANCEL ? CP_ENDPOINT_CANCEL : CP_ENDPOINT_GOLIVE;
}

static bool add_id(cp_text *url, char which, const cp_operation *of,
                   const char *argument) {
  const char *id = which == 'p'   ? of->publisher
                   : which == 'o' ? of->offer
                   : which == 'i' ? of->id
                                  : argument;
  return id && cp_url_escape(url, id, strlen(id));
}

static bool add_path(cp_text *url, const char *path, const cp_operation *of,
                     const char *argument) {
  for (const char *at = path; *at; at++) {
    bool ok = *at == '{' ? add_id(url, at[1], of, argument) : cp_text_putc(url, *at);
    if (!ok) return false;
    if (*at == '{') at += 2;
  }
  return true;
}

static bool add_pair(cp_text *url, const char *name, const char *value) {
  return cp_text_puts(url, name) && cp_url_escape(url, value, strlen(value));
}

bool cp_api_url(const cp_service *service, cp_endpoint endpoint, const cp_operation *of,
                const char *argument, cp_text *url) {
  const char *parameter = endpoints[endpoint].parameter;
  return service->base && cp_text_puts(url, service->base) &&
         add_path(url, endpoints[endpoint].path, of, argument) &&
         add_pair(url, "?api-version=", service->api_version) &&
         (!argument || !parameter || add_pair(url, parameter, argument));
}

bool cp_api_place(const cp_service *service, cp_operation *operation, const char *id) {
  cp_text url = {.limit = CP_URL_MAX};
  bool ok = cp_operation_set(&operation->id, id) &&
            cp_api_url(service, CP_ENDPOINT_OPERATION, operation, NULL, &url) &&
            cp_operation_set(&operation->url, url.data);
  cp_text_free(&url);
  return ok;
}
