/*
** transfer.c - one exchange by libcurl, its answer bounded
** libcurl's callbacks only append to bounded texts.
*/
#include "transfer.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* All of one answer's headers. */
#define HEADERS_MAX (256 * 1024)

#if LIBCURL_VERSION_NUM < 0x074400
#error "libcurl 7.68 or later is needed (curl_multi_poll, curl_multi_wakeup)"
#endif

struct cp_transfer {
  CURL *easy;
  struct curl_slist *lines; /* of the request's headers: they point into its text */
  size_t line_size;
  bool is_changed; /* for good: libcurl before 7.70 does not tell its own certificates */
  char no_expect[sizeof "Expect:"];
  cp_answer *answer;
  const cp_request *request;
  void *owner;
  bool connected; /* libcurl was about to send, or has sent */
  bool too_large;
  const char *ca_file; /* libcurl's own */
  const char *ca_path;
  char message[CURL_ERROR_SIZE];
};

void cp_route_free(cp_route *route) {
  cp_free_secret(route->proxy); /* it may hold a password */
  cp_free(route->no_proxy);
  cp_free(route->ca_file);
  cp_free(route->ca_path);
  *route = (cp_route){0};
}

void cp_request_free(cp_request *request) {
  cp_free(request->url);
  cp_text_free_secret(&request->headers);
  cp_free_secret(request->body); /* of a request for a token */
  cp_free_secrets(request->program);
  cp_free_secrets(request->environment);
  *request = (cp_request){0};
}

static const char *first_set(const char *a, const char *b) {
  const char *value = getenv(a);
  if (!value || !*value) value = getenv(b);
  return value && *value ? value : NULL;
}

/* libcurl's own names: http:// needs none, since only loopback may be http://. */
const char *cp_route_environment_proxy(void) {
  const char *proxy = first_set("https_proxy", "HTTPS_PROXY");
  if (!proxy) proxy = first_set("all_proxy", "ALL_PROXY");
  return proxy ? proxy : "";
}

const char *cp_route_environment_no_proxy(void) {
  const char *hosts = first_set("no_proxy", "NO_PROXY");
  return hosts ? hosts : "";
}

bool cp_transfer_global_init(void) {
  return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/* Callbacks */

static size_t take_body(char *data, size_t size, size_t count, void *self) {
  cp_transfer *transfer = self;
  cp_text *body = &transfer->answer->body;
  body->limit = transfer->request->max_body;
  if (transfer->request->is_secret && !body->size) cp_text_reserve(body, CP_SECRET_SIZE);
  if (cp_text_add(body, data, size * count)) return size * count;
  transfer->too_large = true;
  return 0;
}

/* An answer's headers begin anew at each status line: interim answers come before it. */
static size_t take_header(char *data, size_t size, size_t count, void *self) {
  cp_transfer *transfer = self;
  size_t length = size * count;
  cp_text *headers = &transfer->answer->headers;
  headers->limit = HEADERS_MAX;
  if (length > 5 && memcmp(data, "HTTP/", 5) == 0) {
    cp_text_clear(headers);
    return length;
  }
  if (cp_text_add(headers, data, length)) return length;
  transfer->too_large = true;
  return 0;
}

/* A host that starts programs must not leave them our connections. */
static int close_on_exec(void *self, curl_socket_t fd, curlsocktype purpose) {
  (void)self;
  (void)purpose;
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  return CURL_SOCKOPT_OK;
}

#if LIBCURL_VERSION_NUM >= 0x075000
/* The connection stands and nothing is sent yet. A submission gets here once. */
static int about_to_send(void *self, char *remote, char *local, int remote_port,
                         int local_port) {
  cp_transfer *transfer = self;
  (void)remote, (void)local, (void)remote_port, (void)local_port;
  bool again = transfer->connected && transfer->request->once;
  transfer->connected = true;
  return again ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}
#endif

/* Handles */

/* Where libcurl was built to look for certificates; 7.70 and later tell. */
static void find_certificates(cp_transfer *transfer) {
  const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
  if (info->age < CURLVERSION_SEVENTH) return;
  transfer->ca_file = info->cainfo;
  transfer->ca_path = info->capath;
}

#define SET(option, value) curl_easy_setopt(easy, CURLOPT_##option, value)

/* What no exchange changes. */
static void set_constants(CURL *easy, cp_transfer *transfer) {
  SET(PRIVATE, transfer);
  SET(NOSIGNAL, 1L);
  SET(FOLLOWLOCATION, 0L); /* a redirect would take the token to another origin */
  SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  SET(ACCEPT_ENCODING, ""); /* all that libcurl can decode */
  SET(SUPPRESS_CONNECT_HEADERS, 1L);
  SET(ERRORBUFFER, transfer->message);
  SET(WRITEFUNCTION, take_body);
  SET(WRITEDATA, transfer);
  SET(HEADERFUNCTION, take_header);
  SET(HEADERDATA, transfer);
  SET(SOCKOPTFUNCTION, close_on_exec);
#if LIBCURL_VERSION_NUM >= 0x075000
  SET(PREREQFUNCTION, about_to_send);
  SET(PREREQDATA, transfer);
#endif
#if LIBCURL_VERSION_NUM >= 0x075500
  SET(PROTOCOLS_STR, "http,https");
#else
  SET(PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
  SET(QUICK_EXIT, 1L); /* else a name that resolves slowly holds up whoever gives it up */
#endif
}

cp_transfer *cp_transfer_new(void) {
  cp_transfer *transfer = cp_calloc(sizeof *transfer);
  if (!transfer) return NULL;
  transfer->easy = curl_easy_init();
  if (transfer->easy) {
    find_certificates(transfer);
    set_constants(transfer->easy, transfer);
    return transfer;
  }
  cp_free(transfer);
  return NULL;
}

void cp_transfer_free(cp_transfer *transfer) {
  if (!transfer) return;
  cp_transfer_abandon(transfer);
  curl_easy_cleanup(transfer->easy);
  cp_free(transfer->lines);
  cp_free(transfer);
}

void *cp_transfer_handle(cp_transfer *transfer) {
  return transfer->easy;
}

cp_transfer *cp_transfer_of(void *handle) {
  char *transfer = NULL;
  curl_easy_getinfo(handle, CURLINFO_PRIVATE, &transfer);
  return (cp_transfer *)(void *)transfer;
}

bool cp_transfer_is_reusable(const cp_transfer *transfer) {
  return !transfer->is_changed;
}

void *cp_transfer_owner(const cp_transfer *transfer) {
  return transfer->owner;
}

/* Beginning */

/* libcurl takes "Name: " for a wish to leave it out, and "Name;" for an empty value. */
static void keep_empty(char *line, char *end) {
  if (end - line > 2 && end[-1] == ' ' && end[-2] == ':') memcpy(end - 2, ";", 2);
}

static bool reserve_lines(cp_transfer *transfer, size_t count) {
  if (count <= transfer->line_size) return true;
  struct curl_slist *lines = cp_realloc(transfer->lines, count * sizeof *lines);
  if (!lines) return false;
  transfer->lines = lines;
  transfer->line_size = count;
  return true;
}

static size_t count_lines(const char *text) {
  size_t count = 0;
  for (; (text = strchr(text, '\n')); text++) count++;
  return count;
}

/*
** Makes libcurl's list of headers from the request's own text, in place: no second copy
** of the token to look after. No "Expect: 100-continue": it would only delay a short
** body.
*/
static bool set_headers(cp_transfer *transfer, const cp_text *headers) {
  char *line = headers->data, *end;
  size_t count = count_lines(cp_text_get(headers));
  if (!reserve_lines(transfer, count + 1)) return false;
  struct curl_slist *lines = transfer->lines;
  for (size_t i = 0; i < count; i++, line = end + 1) {
    end = strchr(line, '\n');
    *end = '\0';
    keep_empty(line, end);
    lines[i] = (struct curl_slist){.data = line, .next = &lines[i + 1]};
  }
  memcpy(transfer->no_expect, "Expect:", sizeof transfer->no_expect);
  lines[count] = (struct curl_slist){.data = transfer->no_expect};
  return true;
}

/* The handle has been used before: each option is set, whichever method it was. */
static void set_method(CURL *easy, const cp_request *request) {
  SET(CUSTOMREQUEST, strcmp(request->method, "PUT") == 0 ? "PUT" : (char *)NULL);
  if (strcmp(request->method, "GET") == 0) {
    SET(HTTPGET, 1L);
    return;
  }
  const char *body = request->body ? request->body : "";
  SET(POST, 1L);
  SET(POSTFIELDS, body);
  SET(POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
}

/* 0 would mean "without limit" to libcurl. */
static long milliseconds(double seconds) {
  return (long)fmax(1, ceil(fmin(seconds, 86400) * 1000));
}

/*
** Whose certificates count: those that the user named and no others, else libcurl's
** own. A handle may come from another client, so nothing is left as it was. Beside a
** bundle CAPATH stays away: with it libcurl parses the whole bundle for each
** connection, 35-57 ms.
*/
static void set_certificates(cp_transfer *transfer, const cp_route *route) {
  CURL *easy = transfer->easy;
  bool own = !route->ca_file && !route->ca_path;
  bool known = transfer->ca_file || transfer->ca_path;
  if (own && !known) return;
  transfer->is_changed = !known;
  const char *bundle = own ? transfer->ca_file : route->ca_file;
  const char *folder = own ? transfer->ca_path : route->ca_path;
  SET(CAINFO, bundle);
  SET(CAPATH, own && bundle ? NULL : folder);
}

static void set_route(CURL *easy, const cp_route *route) {
  SET(PROXY, route->proxy ? route->proxy : "");
  SET(NOPROXY, route->no_proxy ? route->no_proxy : "");
  SET(CONNECTTIMEOUT_MS, milliseconds(route->connect_timeout));
}

bool cp_transfer_begin(cp_transfer *transfer, const cp_route *route,
                       const cp_request *request, cp_answer *answer, void *owner) {
  CURL *easy = transfer->easy;
  transfer->request = request;
  transfer->answer = answer;
  transfer->owner = owner;
  transfer->connected = transfer->too_large = false;
  transfer->message[0] = '\0';
  if (!set_headers(transfer, &request->headers)) return false;
  set_method(easy, request);
  set_route(easy, route);
  set_certificates(transfer, route);
  SET(HTTPHEADER, transfer->lines);
  SET(FRESH_CONNECT, request->once ? 1L : 0L);
  SET(TIMEOUT_MS, milliseconds(request->timeout));
  return SET(URL, request->url) == CURLE_OK;
}

/* Ending */

static cp_failure failure_of(const cp_transfer *transfer, CURLcode code) {
  if (transfer->too_large) return CP_FAIL_TOO_LARGE;
  switch (code) {
    case CURLE_OK: return CP_FAIL_NONE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return CP_FAIL_RESOLVE;
    case CURLE_COULDNT_CONNECT: return CP_FAIL_CONNECT;
    case CURLE_OPERATION_TIMEDOUT: return CP_FAIL_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR: return CP_FAIL_TLS;
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: not an HTTP answer at all */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING: return CP_FAIL_PROTOCOL;
    default: return CP_FAIL_NETWORK;
  }
}

/* A header line of 200 kB makes libcurl say that there is no memory. */
static bool is_header_too_large(CURLcode code, long request_size) {
  return code == CURLE_OUT_OF_MEMORY && request_size > 0;
}

/* Sent, by what libcurl knows: its code alone does not tell. */
static cp_sent sent_of(const cp_transfer *transfer, long request_size, long status) {
  if (status > 0) return CP_SENT_YES;
#if LIBCURL_VERSION_NUM >= 0x075000
  (void)request_size;
  return transfer->connected ? CP_SENT_MAYBE : CP_SENT_NO;
#else
  (void)transfer;
  return request_size > 0 ? CP_SENT_MAYBE : CP_SENT_NO;
#endif
}

static void complete(cp_transfer *transfer, CURLcode code) {
  cp_answer *answer = transfer->answer;
  long status = 0, request_size = 0;
  curl_off_t microseconds = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &request_size);
  curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &microseconds);
  if (is_header_too_large(code, request_size)) transfer->too_large = true;
  answer->failure = failure_of(transfer, code);
  answer->http_status = (int)status;
  answer->sent = sent_of(transfer, request_size, status);
  answer->certificate_refused =
      code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
  answer->seconds = (double)microseconds / 1e6;
  if (code != CURLE_OK)
    cp_text_puts(&answer->detail,
                 transfer->message[0] ? transfer->message : curl_easy_strerror(code));
}

void cp_transfer_abandon(cp_transfer *transfer) {
  curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, NULL);
  transfer->request = NULL;
  transfer->answer = NULL;
  transfer->owner = NULL;
}

void cp_transfer_end(cp_transfer *transfer, int result) {
  complete(transfer, (CURLcode)result);
  cp_transfer_abandon(transfer);
}
