/*
** url.c - fuzzes the checks of URLs: a base on the first line, behind it a location
** What is let through is parsed once more by libcurl, which would connect to it.
*/
#include "../src/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <strings.h>

#include "harness.h"

#define SERVICE "https://cloudpartner.azure.com"
#define VERSION "2017-10-31"

static CURLU *parsed(const char *text) {
  CURLU *url = curl_url();
  assert(url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK);
  return url;
}

/* To be freed by curl_free; NULL when the URL has no such part. */
static char *part_of(CURLU *url, CURLUPart part) {
  char *text = NULL;
  unsigned flags = part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0;
  return curl_url_get(url, part, &text, flags) == CURLUE_OK ? text : NULL;
}

static bool lacks(CURLU *url, CURLUPart part) {
  char *text = part_of(url, part);
  bool none = !text || !*text;
  curl_free(text);
  return none;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part) {
  char *x = part_of(a, part), *y = part_of(b, part);
  bool same = x && y ? strcasecmp(x, y) == 0 : x == y;
  curl_free(x);
  curl_free(y);
  return same;
}

/* The host of a base */

static bool is_ipv6_loopback(const char *host) {
  struct in6_addr address;
  char *plain = strdup(host + 1);
  assert(plain && *plain);
  plain[strlen(plain) - 1] = '\0';
  bool yes = inet_pton(AF_INET6, plain, &address) == 1 && IN6_IS_ADDR_LOOPBACK(&address);
  free(plain);
  return yes;
}

static bool is_loopback(const char *host) {
  struct in_addr address;
  if (host[0] == '[') return is_ipv6_loopback(host);
  if (strcasecmp(host, "localhost") == 0) return true;
  return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

static void check_scheme(CURLU *url) {
  char *scheme = part_of(url, CURLUPART_SCHEME), *host = part_of(url, CURLUPART_HOST);
  assert(scheme && host && *host);
  if (strcasecmp(scheme, "https") != 0)
    assert(strcasecmp(scheme, "http") == 0 && is_loopback(host));
  curl_free(scheme);
  curl_free(host);
}

static void check_base_again(const cp_text *base) {
  cp_text again = {0};
  assert(!cp_url_base(base->data, &again));
  assert(strcmp(again.data, base->data) == 0);
  cp_text_free(&again);
}

static void check_base(const cp_text *base) {
  CURLU *url = parsed(base->data);
  check_scheme(url);
  assert(lacks(url, CURLUPART_USER) && lacks(url, CURLUPART_PASSWORD));
  assert(lacks(url, CURLUPART_QUERY) && lacks(url, CURLUPART_FRAGMENT));
  curl_url_cleanup(url);
  assert(base->data[base->length - 1] != '/' && !has_control(base->data, base->length));
  if (base->length <= CP_URL_MAX) check_base_again(base);
}

/* The base that the input gives, the service's own when that is refused. */
static cp_text read_base(const char *text) {
  cp_text base = {0};
  if (cp_url_base(text, &base) == NULL) {
    check_base(&base);
    return base;
  }
  cp_text_clear(&base);
  assert(cp_text_puts(&base, SERVICE));
  return base;
}

/* What a location was resolved to */

static bool has_version(CURLU *url) {
  char *query = part_of(url, CURLUPART_QUERY);
  bool found = false;
  for (char *at = query; at && !found; at = strchr(at, '&')) {
    at += *at == '&';
    found = strncasecmp(at, "api-version=", 12) == 0;
  }
  curl_free(query);
  return found;
}

/* What was checked is what libcurl sends: it finds nothing to tidy up. */
static void check_tidy(CURLU *url, const char *target) {
  char *text = part_of(url, CURLUPART_URL);
  assert(text && strcmp(text, target) == 0);
  curl_free(text);
}

static void check_target(const char *base, const char *target) {
  CURLU *url = parsed(target), *origin = parsed(base);
  assert(same_part(url, origin, CURLUPART_SCHEME));
  assert(same_part(url, origin, CURLUPART_HOST));
  assert(same_part(url, origin, CURLUPART_PORT));
  assert(same_part(url, origin, CURLUPART_ZONEID));
  assert(lacks(url, CURLUPART_USER) && lacks(url, CURLUPART_PASSWORD));
  assert(lacks(url, CURLUPART_FRAGMENT) && has_version(url));
  check_tidy(url, target);
  curl_url_cleanup(url);
  curl_url_cleanup(origin);
}

static void check_target_again(const char *base, const cp_text *target) {
  cp_text again = {0};
  cp_url_verdict verdict =
      cp_url_resolve(base, target->data, target->length, VERSION, &again);
  assert(verdict == CP_URL_OK && strcmp(again.data, target->data) == 0);
  cp_text_free(&again);
}

/* A name that was read may be put into a URL, and is read from there again. */
static void check_name(const char *name) {
  cp_text url = {0};
  cp_url_names names;
  if (!name) return;
  assert(cp_url_segment_ok(name, strlen(name)));
  assert(cp_text_puts(&url, "/api/publishers/") &&
         cp_url_escape(&url, name, strlen(name)) && cp_text_puts(&url, "/offers/o?"));
  assert(cp_url_names_read(url.data, &names) && strcmp(names.publisher, name) == 0);
  cp_url_names_free(&names);
  cp_text_free(&url);
}

static void check_names(const char *url) {
  cp_url_names names;
  bool named = cp_url_names_read(url, &names);
  assert(named == (names.publisher && names.offer));
  check_name(names.publisher);
  check_name(names.offer);
  check_name(names.operation);
  cp_url_names_free(&names);
}

static void check_location(const char *base, const cp_text *location) {
  cp_text target = {0};
  cp_url_verdict verdict =
      cp_url_resolve(base, location->data, location->length, VERSION, &target);
  if (location->length == 0) assert(verdict == CP_URL_MISSING);
  if (verdict == CP_URL_OK) {
    assert(target.length && !has_control(target.data, target.length));
    assert(!memchr(target.data, ' ', target.length));
    check_target(base, target.data);
    check_names(target.data);
    if (target.length <= CP_URL_MAX) check_target_again(base, &target);
  }
  cp_text_free(&target);
}

/* Escaped text is one segment of a path, and libcurl reads the same out of it. */
static void check_escape(const cp_text *segment) {
  cp_text escaped = {0};
  int length = 0;
  assert(cp_url_escape(&escaped, segment->data, segment->length));
  const char *text = cp_text_get(&escaped);
  assert(strcspn(text, "/?#&=$\\ ") == escaped.length);
  char *back = curl_easy_unescape(NULL, text, (int)escaped.length, &length);
  assert(back && (size_t)length == segment->length);
  assert(memcmp(back, segment->data, segment->length) == 0);
  curl_free(back);
  cp_text_free(&escaped);
}

/* A parameter is no longer than its URL, and there only where that has its name. */
static void check_parameter(const char *url) {
  cp_text value = {0};
  bool there = cp_url_parameter(url, "se", &value);
  assert(!there || (cp_url_is_web(url) ? strstr(url, "se=") != NULL : true));
  assert(value.length <= strlen(url) && (there || !value.length));
  cp_text_free(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
  size_t first = line ? (size_t)(line - data) : 0, rest = line ? first + 1 : 0;
  cp_text text = exact_text(data, first);
  cp_text location = exact_text(data + rest, size - rest);
  cp_text base = read_base(text.data);
  cp_url_is_local(text.data);
  check_location(base.data, &location);
  check_names(location.data);
  check_escape(&location);
  check_parameter(location.data);
  cp_text_free(&base);
  cp_text_free(&location);
  cp_text_free(&text);
  return 0;
}
