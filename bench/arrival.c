/*
** arrival.c - how long after an answer of stamps.lua was sent a plain curl_easy_perform
** returns: what latency.lua's figures are held against.
** usage: arrival COUNT; prints microseconds, the median and the 99th percentile.
*/
#define _XOPEN_SOURCE 700
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WARM_UP   20
#define BODY_SIZE 1024

typedef struct text {
  char data[BODY_SIZE];
  size_t length;
} text;

static void fail(const char *what) {
  fprintf(stderr, "arrival: %s\n", what);
  exit(1);
}

static size_t take_body(char *data, size_t size, size_t count, void *self) {
  text *body = self;
  if (size * count >= BODY_SIZE - body->length) return 0;
  memcpy(body->data + body->length, data, size * count);
  body->length += size * count;
  body->data[body->length] = '\0';
  return size * count;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static double sent_at(const text *body) {
  static const char name[] = "\"id\":\"";
  const char *found = strstr(body->data, name);
  if (!found) fail("an answer without a time");
  return strtod(found + strlen(name), NULL);
}

static double exchange(CURL *easy, text *body) {
  body->length = 0;
  CURLcode result = curl_easy_perform(easy);
  double returned = now();
  if (result != CURLE_OK) fail(curl_easy_strerror(result));
  return returned - sent_at(body);
}

static CURL *new_easy(text *body) {
  static char url[BODY_SIZE];
  const char *server = getenv("CLOUDPARTNER_STAMPS");
  if (!server) fail("CLOUDPARTNER_STAMPS must be set");
  snprintf(url, sizeof url, "%s/operations", server);
  CURL *easy = curl_easy_init();
  if (!easy) fail("out of memory");
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
  return easy;
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  static text body;
  long count = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
  if (count < 1) fail("usage: arrival COUNT");
  double *took = calloc((size_t)count, sizeof *took);
  if (!took) fail("out of memory");
  CURL *easy = new_easy(&body);
  for (long i = 0; i < WARM_UP; i++) (void)exchange(easy, &body);
  for (long i = 0; i < count; i++) took[i] = exchange(easy, &body);
  qsort(took, (size_t)count, sizeof *took, by_size);
  printf("%.1f\n%.1f\n", took[count / 2], took[count * 99 / 100]);
  curl_easy_cleanup(easy);
  free(took);
  return 0;
}
