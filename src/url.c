/*
** url.c - join, compare origins, escape: over libcurl's own URL parser
*/
#include "url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

static bool has_controls(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f) return true;
  return false;
}

static bool in_ipv4(const char *host, uint32_t network, uint32_t mask) {
  struct in_addr address;
  if (inet_pton(AF_INET, host, &address) != 1) return false;
  return (ntohl(address.s_addr) & mask) == network;
}

/* libcurl gives an IPv6 host in its brackets, its zone apart. */
static bool read_ipv6(const char *host, struct in6_addr *address) {
  char plain[INET6_ADDRSTRLEN];
  size_t length = strlen(host);
  if (length < 3 || host[0] != '[' || length - 2 >= sizeof plain) return false;
  memcpy(plain, host + 1, length - 2);
  plain[length - 2] = '\0';
  return inet_pton(AF_INET6, plain, address) == 1;
}

static bool is_loopback(const char *host) {
  struct in6_addr address;
  if (strcasecmp(host, "localhost") == 0) return true;
  if (in_ipv4(host, 0x7f000000u, 0xff000000u)) return true;
  return read_ipv6(host, &address) && IN6_IS_ADDR_LOOPBACK(&address);
}

static bool is_link_local(const char *host) {
  struct in6_addr address;
  if (in_ipv4(host, 0xa9fe0000u, 0xffff0000u)) return true;
  return read_ipv6(host, &address) && IN6_IS_ADDR_LINKLOCAL(&address);
}

/* A copy of a part of a URL, "" when it has none; NULL without memory. */
static char *part_of(CURLU *url, CURLUPart part) {
  char *text = NULL;
  unsigned flags = part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0;
  CURLUcode code = curl_url_get(url, part, &text, flags);
  if (code == CURLUE_OUT_OF_MEMORY) return NULL;
  char *copy = cp_strdup(code == CURLUE_OK ? text : "");
  curl_free(text);
  return copy;
}

static bool part_is(CURLU *url, CURLUPart part, const char *expected) {
  char *text = part_of(url, part);
  bool same = text && strcasecmp(text, expected) == 0;
  cp_free(text);
  return same;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part) {
  char *text = part_of(b, part);
  bool same = text && part_is(a, part, text);
  cp_free(text);
  return same;
}

static bool same_origin(CURLU *a, CURLU *b) {
  return same_part(a, b, CURLUPART_SCHEME) && same_part(a, b, CURLUPART_HOST) &&
         same_part(a, b, CURLUPART_ZONEID) && same_part(a, b, CURLUPART_PORT);
}

static bool has_user(CURLU *url) {
  return !part_is(url, CURLUPART_USER, "") || !part_is(url, CURLUPART_PASSWORD, "");
}

static bool host_is(CURLU *url, bool (*test)(const char *host)) {
  char *host = part_of(url, CURLUPART_HOST);
  bool yes = host && test(host);
  cp_free(host);
  return yes;
}

static CURLU *parse(const char *text) {
  CURLU *url = curl_url();
  if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) return url;
  curl_url_cleanup(url);
  return NULL;
}

static bool append(CURLU *url, cp_text *text) {
  char *whole = NULL;
  bool ok = curl_url_get(url, CURLUPART_URL, &whole, 0) == CURLUE_OK &&
            cp_text_puts(text, whole);
  curl_free(whole);
  return ok;
}

static bool is_local(const char *host) {
  return is_loopback(host) || is_link_local(host);
}

static const char *base_fault(CURLU *url, bool (*may_be_http)(const char *host)) {
  bool http = part_is(url, CURLUPART_SCHEME, "http");
  if (!http && !part_is(url, CURLUPART_SCHEME, "https"))
    return "must begin with https://";
  if (http && !host_is(url, may_be_http))
    return "may be http:// only for a loopback address; use https://";
  if (has_user(url)) return "must not hold a user name or password";
  if (!part_is(url, CURLUPART_QUERY, "") || !part_is(url, CURLUPART_FRAGMENT, ""))
    return "must not hold a query or fragment";
  return NULL;
}

static const char *read_base(const char *text, bool (*may_be_http)(const char *host),
                             cp_text *base) {
  size_t length = strlen(text);
  if (length > CP_URL_MAX || has_controls(text, length) || !strstr(text, "://"))
    return "is not a URL";
  CURLU *url = parse(text);
  if (!url) return "is not a URL";
  const char *fault = base_fault(url, may_be_http);
  if (!fault && !append(url, base)) fault = "is too long";
  curl_url_cleanup(url);
  while (base->length && base->data[base->length - 1] == '/')
    base->data[--base->length] = 0;
  return fault;
}

const char *cp_url_base(const char *text, cp_text *base) {
  return read_base(text, is_loopback, base);
}

const char *cp_url_local_base(const char *text, cp_text *base) {
  return read_base(text, is_local, base);
}

static bool has_api_version(CURLU *url) {
  char *query = part_of(url, CURLUPART_QUERY);
  bool found = false;
  for (const char *at = query; at && !found; at = strchr(at, '&')) {
    if (*at == '&') at++;
    found = strncasecmp(at, "api-version=", 12) == 0;
  }
  cp_free(query);
  return found;
}

static bool add_api_version(CURLU *url, const char *api_version) {
  cp_text pair = {0};
  unsigned flags = CURLU_APPENDQUERY | CURLU_URLENCODE;
  bool ok = cp_text_printf(&pair, "api-version=%s", api_version) &&
            curl_url_set(url, CURLUPART_QUERY, pair.data, flags) == CURLUE_OK;
  cp_text_free(&pair);
  return ok;
}

/* The request must be what was checked: no fragment, and an `api-version` always. */
static cp_url_verdict finish(CURLU *url, const char *api_version, cp_text *text) {
  curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
  if (!has_api_version(url) && !add_api_version(url, api_version)) return CP_URL_MISSING;
  return append(url, text) ? CP_URL_OK : CP_URL_MISSING;
}

/* RFC 3986, 2.3: the unreserved characters, which need no encoding. */
static bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         c == '-' || c == '.' || c == '_' || c == '~';
}

/* Characters of a path or query that every parser leaves as they are. */
static bool is_plain(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (!is_unreserved(text[i]) && (!text[i] || !strchr("/?&=$%", text[i]))) return false;
  return true;
}

/*
** The usual case needs no parser: the base, a path without dot segments, an
** `api-version`. The path begins with a slash, so nothing in it can be taken for the
** host.
*/
static bool is_below(const char *base, const char *location, size_t length) {
  size_t base_length = strlen(base);
  if (length <= base_length || memcmp(location, base, base_length) != 0) return false;
  const char *path = location + base_length;
  return *path == '/' && is_plain(path, length - base_length) && !strstr(path, "/.") &&
         !strstr(path, "//") &&
         strncmp(path + strcspn(path, "?"), "?api-version=", 13) == 0;
}

static cp_url_verdict resolve(CURLU *url, CURLU *origin, const char *location,
                              const char *api_version, cp_text *text) {
  if (curl_url_set(url, CURLUPART_URL, location, 0) != CURLUE_OK) return CP_URL_UNTRUSTED;
  if (!same_origin(url, origin) || has_user(url)) return CP_URL_UNTRUSTED;
  return finish(url, api_version, text);
}

static cp_url_verdict resolve_by_parser(const char *base, const char *location,
                                        const char *api_version, cp_text *text) {
  CURLU *origin = parse(base), *url = parse(base);
  cp_url_verdict verdict = CP_URL_MISSING;
  if (origin && url) verdict = resolve(url, origin, location, api_version, text);
  curl_url_cleanup(url);
  curl_url_cleanup(origin);
  return verdict;
}

cp_url_verdict cp_url_resolve(const char *base, const char *location, size_t length,
                              const char *api_version, cp_text *text) {
  if (length == 0) return CP_URL_MISSING;
  if (length > CP_URL_MAX || has_controls(location, length)) return CP_URL_UNTRUSTED;
  char *copy = cp_strndup(location, length);
  cp_url_verdict verdict = CP_URL_MISSING;
  if (copy && is_below(base, copy, length))
    verdict = cp_text_add(text, copy, length) ? CP_URL_OK : CP_URL_MISSING;
  else if (copy)
    verdict = resolve_by_parser(base, copy, api_version, text);
  cp_free(copy);
  return verdict;
}

bool cp_url_escape(cp_text *url, const char *segment, size_t length) {
  for (size_t i = 0; i < length; i++) {
    bool ok = is_unreserved(segment[i])
                  ? cp_text_putc(url, segment[i])
                  : cp_text_printf(url, "%%%02X", (unsigned)(unsigned char)segment[i]);
    if (!ok) return false;
  }
  return true;
}

bool cp_url_segment_ok(const char *id, size_t length) {
  if (length == 0 || (length == 1 && id[0] == '.')) return false;
  if (length == 2 && id[0] == '.' && id[1] == '.') return false;
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)id[i] < ' ' || id[i] == 0x7f) return false;
  return true;
}

bool cp_url_is_local(const char *text) {
  CURLU *url = parse(text);
  bool local = url && (host_is(url, is_local));
  curl_url_cleanup(url);
  return local;
}

/*
** The text from `*at` to the next of `stops`, decoded; `*at` moves past that stop. NULL
** when there is none, when it would not be a segment of ours, or without memory.
*/
static char *segment(const char **at, const char *stops) {
  size_t length = strcspn(*at, stops);
  int decoded = 0;
  char *text = length ? curl_easy_unescape(NULL, *at, (int)length, &decoded) : NULL;
  bool ok = text && cp_url_segment_ok(text, (size_t)decoded);
  char *copy = ok ? cp_strndup(text, (size_t)decoded) : NULL;
  curl_free(text);
  *at += length;
  if (**at) (*at)++;
  return copy;
}

static bool skip(const char **at, const char *prefix) {
  const char *found = strstr(*at, prefix);
  if (found) *at = found + strlen(prefix);
  return found != NULL;
}

/*
** The two forms of an operation's URL: samples/location_values.txt of the wire's notes.
*/
bool cp_url_names_read(const char *url, cp_url_names *names) {
  const char *at = url;
  *names = (cp_url_names){0};
  if (skip(&at, "/api/publishers/")) {
    names->publisher = segment(&at, "/?");
    if (skip(&at, "offers/")) names->offer = segment(&at, "/?");
    if (skip(&at, "operations/")) names->operation = segment(&at, "/?");
  } else if (skip(&at, "/api/operations/")) {
    names->publisher = segment(&at, "$/?");
    names->offer = segment(&at, "$/?");
  }
  return names->publisher && names->offer;
}

void cp_url_names_free(cp_url_names *names) {
  cp_free(names->publisher);
  cp_free(names->offer);
  cp_free(names->operation);
  *names = (cp_url_names){0};
}

/* The text of a part of a URL, which curl_free frees; NULL: it has none. */
static char *copy_part(const char *text, CURLUPart part) {
  char *copy = NULL;
  CURLU *url = curl_url();
  bool ok = url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
            curl_url_get(url, part, &copy, 0) == CURLUE_OK;
  curl_url_cleanup(url);
  return ok ? copy : NULL;
}

bool cp_url_is_web(const char *url) {
  char *scheme = copy_part(url, CURLUPART_SCHEME);
  bool yes = scheme && strncmp(scheme, "http", 4) == 0;
  curl_free(scheme);
  return yes;
}

static bool add_unescaped(cp_text *value, const char *text, size_t length) {
  int plain_length = 0;
  char *plain = curl_easy_unescape(NULL, text, (int)length, &plain_length);
  bool ok = plain && cp_text_add(value, plain, (size_t)plain_length);
  curl_free(plain);
  return ok;
}

bool cp_url_parameter(const char *url, const char *name, cp_text *value) {
  size_t name_length = strlen(name), length;
  char *query = copy_part(url, CURLUPART_QUERY);
  bool found = false;
  for (const char *at = query; at && *at && !found; at += length + (at[length] == '&')) {
    length = strcspn(at, "&");
    found = length > name_length && at[name_length] == '=' &&
            strncmp(at, name, name_length) == 0;
    if (found)
      found = add_unescaped(value, at + name_length + 1, length - name_length - 1);
  }
  curl_free(query);
  return found;
}
