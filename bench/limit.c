/*
** limit.c - what libcurl alone takes for the exchanges of golives.lua: no Lua, no JSON,
** no retry. Options and callbacks follow src/transfer.c, set once where nothing changes
** them. usage: limit COUNT OFFER; prints CPU microseconds of each exchange.
*/
#define _XOPEN_SOURCE 700
#include <curl/curl.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define AT_ONCE  8
#define POLLS    3
#define URL_SIZE 1024

typedef struct text {
  char *data;
  size_t length, size;
} text;

/* One go-live: a POST, then polls of the URL that its answer names. */
typedef struct golive {
  CURL *easy;
  int polls;
  text headers, body;
  char url[URL_SIZE];
} golive;

typedef struct bench {
  CURLM *multi;
  struct curl_slist *headers;
  const char *endpoint, *publisher, *offer;
  long count, begun, ended;
} bench;

static void fail(const char *what) {
  fprintf(stderr, "limit: %s\n", what);
  exit(1);
}

static const char *variable(const char *name) {
  const char *value = getenv(name);
  if (!value) fail("CLOUDPARTNER_ENDPOINT, _PUBLISHER and _TOKEN must be set");
  return value;
}

/* Callbacks */

static void reserve(text *to, size_t needed) {
  if (needed <= to->size) return;
  size_t size = to->size ? to->size : 64;
  while (size < needed) size *= 2;
  to->data = realloc(to->data, size);
  if (!to->data) fail("out of memory");
  to->size = size;
}

static void append(text *to, const char *data, size_t length) {
  reserve(to, to->length + length + 1);
  memcpy(to->data + to->length, data, length);
  to->length += length;
  to->data[to->length] = '\0';
}

static size_t take_body(char *data, size_t size, size_t count, void *self) {
  golive *of = self;
  append(&of->body, data, size * count);
  return size * count;
}

static size_t take_header(char *data, size_t size, size_t count, void *self) {
  golive *of = self;
  if (size * count > 5 && memcmp(data, "HTTP/", 5) == 0) of->headers.length = 0;
  append(&of->headers, data, size * count);
  return size * count;
}

static int close_on_exec(void *self, curl_socket_t fd, curlsocktype purpose) {
  (void)self, (void)purpose;
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  return CURL_SOCKOPT_OK;
}

/* Exchanges */

#define SET(option, value) curl_easy_setopt(of->easy, CURLOPT_##option, value)

static void set_constants(const bench *b, golive *of) {
  SET(PRIVATE, of);
  SET(NOSIGNAL, 1L);
  SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(ACCEPT_ENCODING, "gzip, deflate");
  SET(PROXY, "");
  SET(TIMEOUT_MS, 30000L);
  SET(CONNECTTIMEOUT_MS, 10000L);
  SET(HTTPHEADER, b->headers);
  SET(WRITEFUNCTION, take_body);
  SET(WRITEDATA, of);
  SET(HEADERFUNCTION, take_header);
  SET(HEADERDATA, of);
  SET(SOCKOPTFUNCTION, close_on_exec);
}

static void send_request(const bench *b, golive *of) {
  of->headers.length = of->body.length = 0;
  SET(URL, of->url);
  if (curl_multi_add_handle(b->multi, of->easy) != CURLM_OK) fail("out of memory");
}

/* As a submission goes: never on a connection that may be dead. */
static void submit(bench *b, golive *of) {
  of->polls = 0;
  snprintf(of->url, URL_SIZE,
           "%s/api/publishers/%s/offers/%s-%ld/golive?api-version=2017-10-31",
           b->endpoint, b->publisher, b->offer, ++b->begun);
  SET(POST, 1L);
  SET(POSTFIELDS, "");
  SET(POSTFIELDSIZE, 0L);
  SET(FRESH_CONNECT, 1L);
  send_request(b, of);
}

static void read_location(golive *of) {
  static const char name[] = "\r\nOperation-Location: ";
  const char *found = strstr(of->headers.data, name);
  const char *url = found ? found + strlen(name) : "";
  size_t length = strcspn(url, "\r\n");
  if (!length || length >= URL_SIZE)
    fail("an answer without a usable Operation-Location");
  memcpy(of->url, url, length);
  of->url[length] = '\0';
}

static void poll_operation(const bench *b, golive *of) {
  of->polls++;
  SET(HTTPGET, 1L);
  SET(FRESH_CONNECT, 0L);
  send_request(b, of);
}

static void check(golive *of, CURLcode result) {
  long status = 0;
  curl_easy_getinfo(of->easy, CURLINFO_RESPONSE_CODE, &status);
  if (result != CURLE_OK) fail(curl_easy_strerror(result));
  if (status != (of->polls ? 200 : 202)) fail("an unexpected status");
}

/* Goes on with a go-live one of whose exchanges has ended. */
static void go_on(bench *b, golive *of, CURLcode result) {
  check(of, result);
  curl_multi_remove_handle(b->multi, of->easy);
  if (of->polls == 0) read_location(of);
  if (of->polls < POLLS) {
    poll_operation(b, of);
    return;
  }
  b->ended++;
  if (b->begun < b->count) submit(b, of);
}

/* How many exchanges ended. */
static int take_ended(bench *b) {
  int count = 0, left;
  for (CURLMsg *message; (message = curl_multi_info_read(b->multi, &left)); count++) {
    char *of = NULL;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &of);
    go_on(b, (golive *)(void *)of, message->data.result);
  }
  return count;
}

static void run(bench *b) {
  int under_way;
  while (b->ended < b->count) {
    curl_multi_perform(b->multi, &under_way);
    if (!take_ended(b)) curl_multi_poll(b->multi, NULL, 0, 1000, NULL);
  }
}

/* The whole */

static void add_header(bench *b, const char *line) {
  b->headers = curl_slist_append(b->headers, line);
  if (!b->headers) fail("out of memory");
}

static void add_headers(bench *b) {
  char token[URL_SIZE];
  snprintf(token, sizeof token, "Authorization: Bearer %s",
           variable("CLOUDPARTNER_TOKEN"));
  add_header(b, token);
  add_header(b, "User-Agent: cloudpartner-lua/limit");
  add_header(b, "Accept: application/json");
  add_header(b, "Content-Type: application/json");
  add_header(b, "x-ms-client-request-id: 00000000-0000-4000-8000-000000000000");
  add_header(b, "Expect:");
}

static void begin(bench *b, golive *golives) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  b->multi = curl_multi_init();
  if (!b->multi) fail("out of memory");
  curl_multi_setopt(b->multi, CURLMOPT_MAXCONNECTS, 32L);
  add_headers(b);
  for (int i = 0; i < AT_ONCE && b->begun < b->count; i++) {
    golives[i].easy = curl_easy_init();
    if (!golives[i].easy) fail("out of memory");
    set_constants(b, &golives[i]);
    submit(b, &golives[i]);
  }
}

static void end(const bench *b, golive *golives) {
  for (int i = 0; i < AT_ONCE; i++) {
    if (golives[i].easy) curl_easy_cleanup(golives[i].easy);
    free(golives[i].headers.data);
    free(golives[i].body.data);
  }
  curl_multi_cleanup(b->multi);
  curl_slist_free_all(b->headers);
  curl_global_cleanup();
}

static double microseconds(struct timeval time) {
  return (double)time.tv_sec * 1e6 + (double)time.tv_usec;
}

static double cpu_time(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
}

int main(int argc, char **argv) {
  golive golives[AT_ONCE] = {0};
  if (argc != 3 || atol(argv[1]) < 1) fail("usage: limit COUNT OFFER");
  bench b = {.endpoint = variable("CLOUDPARTNER_ENDPOINT"),
             .publisher = variable("CLOUDPARTNER_PUBLISHER"),
             .offer = argv[2],
             .count = atol(argv[1])};
  double before = cpu_time();
  begin(&b, golives);
  run(&b);
  printf("%.3f\n", (cpu_time() - before) / ((double)b.count * (1 + POLLS)));
  end(&b, golives);
  return 0;
}
