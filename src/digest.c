/*
** digest.c - the few facts of an answer that a machine needs
*/
#include "digest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The longest delay that is believed, in seconds: a year. */
#define HINT_MAX 31536000.0

void cp_answer_free(cp_answer *answer) {
  cp_text_free(&answer->headers);
  cp_text_free(&answer->body);
  cp_text_free(&answer->detail);
  *answer = (cp_answer){0};
}

static const char *trim(const char *value, const char *end, size_t *length) {
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && strchr(" \t\r\n", end[-1])) end--;
  *length = (size_t)(end - value);
  return value;
}

const char *cp_header(const cp_text *headers, const char *name, size_t *length) {
  size_t name_length = strlen(name);
  const char *line = cp_text_get(headers), *end;
  for (; (end = strchr(line, '\n')); line = end + 1)
    if ((size_t)(end - line) > name_length && line[name_length] == ':' &&
        strncasecmp(line, name, name_length) == 0)
      return trim(line + name_length + 1, end, length);
  return NULL;
}

const char *cp_header_request_id(const cp_text *headers, size_t *length) {
  static const char *const names[] = {"x-ms-request-id", "request-id",
                                      "x-ms-correlation-request-id", "x-azure-ref"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *value = cp_header(headers, names[i], length);
    if (value && *length) return value;
  }
  return NULL;
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar. */
static long days_since_1970(int year, int month, int day) {
  long y = month <= 2 ? year - 1L : year;
  long m = month + (month <= 2 ? 9 : -3);
  return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 719469;
}

static double seconds_since_1970(int year, int month, int day, int hour, int minute,
                                 double second) {
  if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31) return -1;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || !(second >= 0 && second < 61))
    return -1;
  return (double)days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 +
         second;
}

static int month_number(const char *name) {
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  for (int i = 0; i < 12; i++)
    if (strncmp(months + i * 3, name, 3) == 0) return i + 1;
  return 0;
}

double cp_http_date(const char *text, size_t length) {
  char copy[32], month[4];
  int day, year, hour, minute, second, used = 0;
  if (length >= sizeof copy) return -1;
  memcpy(copy, text, length);
  copy[length] = '\0';
  if (sscanf(copy, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT%n", &day, month, &year, &hour,
             &minute, &second, &used) != 6 ||
      used == 0)
    return -1;
  return seconds_since_1970(year, month_number(month), day, hour, minute, second);
}

/* Reads a point and digits, if they are there, cut to the millisecond; `*at` moves on. */
static int read_milliseconds(const char **at) {
  int milliseconds = 0, unit = 100;
  if ((*at)[0] != '.' || !strspn(*at + 1, "0123456789")) return 0;
  for ((*at)++; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
    milliseconds += (**at - '0') * unit;
  return milliseconds;
}

double cp_iso_time_read(const char *text) {
  int year, month, day, hour, minute, second, used = 0;
  if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute,
             &second, &used) != 6)
    return -1;
  text += used;
  int milliseconds = read_milliseconds(&text);
  if (strcmp(text, "Z") != 0) return -1;
  double whole = seconds_since_1970(year, month, day, hour, minute, second);
  return whole < 0 ? -1 : whole + milliseconds / 1000.0;
}

/* The inverse of days_since_1970. */
static void civil_date(long days, int *year, int *month, int *day) {
  days += 719468;
  long era = days / 146097, of_era = days % 146097;
  long y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  long of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
  *day = (int)(of_year - (153 * m + 2) / 5 + 1);
  *month = (int)(m < 10 ? m + 3 : m - 9);
  *year = (int)(y + era * 400 + (*month <= 2));
}

void cp_iso_time(double unix_seconds, char *text) {
  double limit = 253402300799.0; /* the end of year 9999 */
  double time = unix_seconds > 0 ? fmin(unix_seconds, limit) : 0;
  long long milliseconds = (long long)(time * 1000 + 0.5);
  long seconds = (long)(milliseconds / 1000), of_day = seconds % 86400;
  int year, month, day;
  civil_date(seconds / 86400, &year, &month, &day);
  char whole[80];
  snprintf(whole, sizeof whole, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day,
           (int)(of_day / 3600), (int)(of_day / 60 % 60), (int)(of_day % 60),
           (int)(milliseconds % 1000));
  memcpy(text, whole, 24);
  text[24] = '\0';
}

static double bounded(double seconds) {
  return seconds < 0 ? 0 : seconds > HINT_MAX ? HINT_MAX : seconds;
}

/* A decimal number, whatever the locale; a negative one counts as zero. */
static bool read_number(const char *text, size_t length, double *number) {
  bool negative = length && *text == '-', fraction = false, digits = false;
  size_t i = negative;
  double value = 0, unit = 1;
  if (length > 300) return false;
  for (; i < length; i++) {
    if (text[i] == '.' && !fraction) {
      fraction = true;
      continue;
    }
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
    if (fraction) unit *= 10;
    digits = true;
  }
  *number = negative ? 0 : value / unit;
  return digits;
}

/* A date counts by the server's own clock, so that ours may be wrong; else by ours. */
static double until_date(const cp_text *headers, const char *value, size_t length,
                         double wall) {
  size_t date_length;
  double then = cp_http_date(value, length);
  const char *date = cp_header(headers, "date", &date_length);
  double now = date ? cp_http_date(date, date_length) : -1;
  return then < 0 ? -1 : bounded(then - (now < 0 ? wall : now));
}

/* The first hint that can be read; those in milliseconds are the finer ones. */
static double read_hint(const cp_text *headers, double wall) {
  static const char *const in_ms[] = {"retry-after-ms", "x-ms-retry-after-ms"};
  size_t length;
  double number;
  const char *value;
  for (int i = 0; i < 2; i++)
    if ((value = cp_header(headers, in_ms[i], &length)) &&
        read_number(value, length, &number))
      return bounded(number / 1000);
  if (!(value = cp_header(headers, "retry-after", &length))) return -1;
  if (read_number(value, length, &number)) return bounded(number);
  return until_date(headers, value, length, wall);
}

/* Docs to 2020 say Operation-Location, later ones Location. */
static const char *read_location(const cp_text *headers, size_t *length) {
  const char *value = cp_header(headers, "operation-location", length);
  if (value && *length) return value;
  value = cp_header(headers, "location", length);
  return value && *length ? value : NULL;
}

double cp_digest_skew(const cp_digest *digest) {
  double then = digest->date ? cp_http_date(digest->date, digest->date_length) : -1;
  return then < 0 ? 0 : then - digest->came;
}

void cp_digest_headers(const cp_answer *answer, double wall, cp_digest *digest) {
  *digest = (cp_digest){
      .failure = answer->failure,
      .sent = answer->sent,
      .certificate_refused = answer->certificate_refused,
      .http_status = answer->http_status,
      .publishing_version = -1,
      .offer_version = -1,
      .began = -1,
      .came = wall,
      .retry_after = read_hint(&answer->headers, wall),
  };
  digest->date = cp_header(&answer->headers, "date", &digest->date_length);
  digest->location = read_location(&answer->headers, &digest->location_length);
  digest->etag = cp_header(&answer->headers, "etag", &digest->etag_length);
}
