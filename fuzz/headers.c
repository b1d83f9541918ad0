/*
** headers.c - fuzzes the headers of an answer: delays, dates, the operation's URL
** The input is the block of headers; it is also read as a date, and its first eight
** bytes as a time.
*/
#include "../src/digest.h"

#include <ctype.h>
#include <math.h>
#include <strings.h>
#include <time.h>

#include "harness.h"

#define WALL     1522100761.0   /* when the answer is read */
#define YEAR     31536000.0     /* the longest delay that is believed */
#define LAST_DAY 253402300800.0 /* the end of year 9999 */

/* Headers */

static void check_inside(const cp_text *headers, const char *value, size_t length) {
  const char *end = headers->data + headers->length;
  assert(value > headers->data && value < end && length <= (size_t)(end - value));
  assert(!memchr(value, '\n', length));
  if (length == 0) return;
  assert(!strchr(" \t", value[0]) && !strchr(" \t\r", value[length - 1]));
}

static void check_header(const cp_text *headers, const char *name) {
  size_t length;
  const char *value = cp_header(headers, name, &length);
  if (!value) return;
  check_inside(headers, value, length);
  const char *line = value;
  while (line > headers->data && line[-1] != '\n') line--;
  assert(strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':');
}

/* The names of headers have no letter case. */
static void check_case(const cp_text *headers, const cp_digest *digest) {
  cp_text upper = exact_text(headers->data, headers->length);
  cp_answer answer = {.headers = upper};
  cp_digest other;
  for (size_t i = 0; i < upper.length; i++)
    upper.data[i] = (char)toupper((unsigned char)upper.data[i]);
  cp_digest_headers(&answer, WALL, &other);
  assert((other.location != NULL) == (digest->location != NULL));
  if (other.location) {
    assert(other.location - upper.data == digest->location - headers->data);
    assert(other.location_length == digest->location_length);
  }
  cp_text_free(&upper);
}

/* Delays */

static bool has_digit(const cp_text *headers, const char *name) {
  size_t length;
  const char *value = cp_header(headers, name, &length);
  for (size_t i = 0; value && i < length; i++)
    if (isdigit((unsigned char)value[i])) return true;
  return false;
}

/* The reference: a whole number of up to nine digits; -1 for anything else. */
static double whole_number(const cp_text *headers, const char *name) {
  size_t length;
  double number = 0;
  const char *value = cp_header(headers, name, &length);
  if (!value || length == 0 || length > 9) return -1;
  for (size_t i = 0; i < length; i++) {
    if (!isdigit((unsigned char)value[i])) return -1;
    number = number * 10 + (value[i] - '0');
  }
  return number;
}

static void check_delay(const cp_text *headers, double delay) {
  bool fine =
      has_digit(headers, "retry-after-ms") || has_digit(headers, "x-ms-retry-after-ms");
  double ms = whole_number(headers, "retry-after-ms");
  double seconds = whole_number(headers, "retry-after");
  assert(delay == -1 || (delay >= 0 && delay <= YEAR));
  if (ms >= 0) assert(delay == fmin(ms / 1000, YEAR));
  if (!fine && seconds >= 0) assert(delay == fmin(seconds, YEAR));
  if (!fine && !has_digit(headers, "retry-after")) assert(delay == -1);
}

static void check_digest(const cp_text *headers) {
  cp_answer answer = {.http_status = 202, .seconds = 0.25, .headers = *headers};
  cp_digest digest;
  size_t length;
  cp_digest_headers(&answer, WALL, &digest);
  check_delay(headers, digest.retry_after);
  assert(isfinite(cp_digest_skew(&digest)) && fabs(cp_digest_skew(&digest)) < LAST_DAY);
  assert(digest.http_status == 202 && !digest.understood && !digest.entries);
  if (digest.location) check_inside(headers, digest.location, digest.location_length);
  if (digest.location) assert(digest.location_length > 0);
  check_case(headers, &digest);
  const char *id = cp_header_request_id(headers, &length);
  if (id) check_inside(headers, id, length);
}

/* Dates */

static void check_dates(const cp_text *text) {
  double http = cp_http_date(text->data, text->length);
  double iso = cp_iso_time_read(text->data);
  assert(http == -1 || (http >= 0 && http <= LAST_DAY));
  assert(iso == -1 || (iso >= 0 && iso <= LAST_DAY));
  const char *point = iso < 0 ? NULL : strchr(text->data, '.');
  if (!point) return;
  double fraction = isdigit((unsigned char)point[1]) ? strtod(point, NULL) : 0;
  assert(fabs(iso - floor(iso) - fraction) < 0.00101);
}

/* What is a good HTTP-date is read as what it says. */
static void check_http_round_trip(uint64_t bits) {
  time_t time = (time_t)(bits % (uint64_t)LAST_DAY);
  struct tm parts;
  char text[40];
  size_t length =
      strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&time, &parts));
  assert(length == 29 && cp_http_date(text, length) == (double)time);
}

static void check_iso_round_trip(uint64_t bits) {
  double time;
  char text[25];
  memcpy(&time, &bits, sizeof time);
  memset(text, 'x', sizeof text);
  cp_iso_time(time, text);
  assert(strlen(text) == 24 && text[10] == 'T' && text[23] == 'Z');
  double again = cp_iso_time_read(text);
  assert(fabs(again - fmin(fmax(isnan(time) ? 0 : time, 0), LAST_DAY - 1)) < 0.00101);
}

/* Times that occur, too: few doubles are one. */
static void check_round_trips(const uint8_t *data, size_t size) {
  uint64_t bits = 0;
  memcpy(&bits, data, size < sizeof bits ? size : sizeof bits);
  double likely = (double)(bits % (uint64_t)(LAST_DAY * 1000)) / 1000;
  check_http_round_trip(bits);
  check_iso_round_trip(bits);
  memcpy(&bits, &likely, sizeof bits);
  check_iso_round_trip(bits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const names[] = {"retry-after", "location", "date",
                                      "x-ms-request-id"};
  cp_text headers = exact_text(data, size);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    check_header(&headers, names[i]);
  check_digest(&headers);
  check_dates(&headers);
  check_round_trips(data, size);
  cp_text_free(&headers);
  return 0;
}
