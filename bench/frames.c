/*
** frames.c - the same frames as frames.lua's with libcurl in the loop: one
** curl_multi_perform in each, with libcurl's and the system's defaults
** usage: frames CA_FILE OFFERS SECONDS; the server is CLOUDPARTNER_ENDPOINT
** For each offer the list, the POST and three polls, half a second apart; all offers at
** once. Prints the longest frame and the 99.9th percentile, in microseconds.
*/
#define _XOPEN_SOURCE 700
#include <curl/curl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define OFFERS_MAX 64
#define FRAMES_MAX 6000
#define REQUESTS   5 /* of an offer */

typedef struct offer {
  CURL *easy;
  int done; /* requests */
  double due;
  bool flying;
  char place[256]; /* of its operation */
} offer;

static offer offers[OFFERS_MAX];
static double took[FRAMES_MAX];

static void fail(const char *what) {
  fprintf(stderr, "frames: %s\n", what);
  exit(1);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static size_t drop(char *data, size_t size, size_t count, void *self) {
  (void)data, (void)self;
  return size * count;
}

static size_t take_header(char *line, size_t size, size_t count, void *self) {
  static const char name[] = "operation-location: ";
  offer *of = self;
  size_t length = size * count, skip = sizeof name - 1;
  if (length > skip && strncasecmp(line, name, skip) == 0 && length - skip < 256)
    snprintf(of->place, sizeof of->place, "%.*s", (int)strcspn(line + skip, "\r\n"),
             line + skip);
  return length;
}

static void make(offer *of, const char *ca_file) {
  of->easy = curl_easy_init();
  if (!of->easy) fail("no memory");
  curl_easy_setopt(of->easy, CURLOPT_CAINFO, ca_file);
  curl_easy_setopt(of->easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(of->easy, CURLOPT_WRITEFUNCTION, drop);
  curl_easy_setopt(of->easy, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(of->easy, CURLOPT_HEADERDATA, of);
  curl_easy_setopt(of->easy, CURLOPT_PRIVATE, of);
}

static void send_next(CURLM *multi, offer *of) {
  char url[512];
  const char *what = of->done == 0 ? "submissions" : "golive";
  snprintf(url, sizeof url, "%s/api/publishers/contoso/offers/demo-c-%d/%s",
           getenv("CLOUDPARTNER_ENDPOINT"), (int)(of - offers), what);
  curl_easy_setopt(of->easy, CURLOPT_URL, of->done > 1 ? of->place : url);
  if (of->done == 1)
    curl_easy_setopt(of->easy, CURLOPT_COPYPOSTFIELDS, "");
  else
    curl_easy_setopt(of->easy, CURLOPT_HTTPGET, 1L);
  curl_multi_add_handle(multi, of->easy);
  of->flying = true;
}

static void take(CURLM *multi, const CURLMsg *message) {
  offer *of;
  if (message->data.result != CURLE_OK) fail(curl_easy_strerror(message->data.result));
  curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&of);
  curl_multi_remove_handle(multi, of->easy);
  of->flying = false;
  of->done++;
  of->due = of->done > 2 ? seconds() + 0.5 : 0;
}

static void update(CURLM *multi, int count) {
  int running, left;
  for (int i = 0; i < count; i++)
    if (!offers[i].flying && offers[i].done < REQUESTS && offers[i].due <= seconds())
      send_next(multi, &offers[i]);
  curl_multi_perform(multi, &running);
  for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));)
    take(multi, message);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int words, char **word) {
  const struct timespec frame = {.tv_nsec = 16666667};
  int count = words == 4 ? atoi(word[2]) : 0,
      frames = words == 4 ? atoi(word[3]) * 60 : 0;
  if (count < 1 || count > OFFERS_MAX || frames > FRAMES_MAX) return 2;
  curl_global_init(CURL_GLOBAL_ALL);
  CURLM *multi = curl_multi_init();
  for (int i = 0; i < count; i++) make(&offers[i], word[1]);
  for (int i = 0; i < frames; i++) {
    double began = seconds();
    update(multi, count);
    took[i] = seconds() - began;
    nanosleep(&frame, NULL);
  }
  for (int i = 0; i < count; i++)
    if (offers[i].done < REQUESTS) fail("not all went live");
  qsort(took, (size_t)frames, sizeof *took, by_size);
  printf("%.0f\n%.0f\n", took[frames - 1] * 1e6,
         took[(int)ceil(frames * 0.999) - 1] * 1e6);
  return 0;
}
