/*
** json.c - a strict reader of JSON text (RFC 8259) that builds nothing
*/
#include "json.h"

#include <string.h>

void cp_json_begin(cp_json *json, const char *text, size_t length) {
  *json = (cp_json){.at = text, .end = text + length};
}

static bool fail(cp_json *json) {
  json->bad = true;
  return false;
}

char cp_json_peek(cp_json *json) {
  if (json->bad) return '\0';
  while (json->at < json->end && (*json->at == ' ' || *json->at == '\n' ||
                                  *json->at == '\r' || *json->at == '\t'))
    json->at++;
  return json->at < json->end ? *json->at : '\0';
}

static bool take(cp_json *json, char c) {
  if (cp_json_peek(json) != c || json->at == json->end) return false;
  json->at++;
  return true;
}

/* Objects and arrays */

bool cp_json_open(cp_json *json, char bracket) {
  if (!take(json, bracket) || ++json->depth > CP_JSON_DEPTH) return fail(json);
  if (!take(json, bracket == '{' ? '}' : ']')) return true;
  json->depth--;
  return false;
}

bool cp_json_more(cp_json *json, char bracket) {
  if (json->bad || take(json, ',')) return !json->bad;
  json->depth--;
  return take(json, bracket) ? false : fail(json);
}

bool cp_json_key(cp_json *json, cp_json_text *key) {
  return cp_json_string(json, key) && (take(json, ':') || fail(json));
}

/* Strings */

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The four digits of \uXXXX at `at`; -1 when they are none. */
static long code_unit(const char *at, const char *end) {
  long unit = 0;
  if (end - at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

/*
** Reads what follows a backslash and \u; gives the character, -1 for half a pair. `*at`
** moves past it.
*/
static long read_unicode(const char **at, const char *end) {
  long high = code_unit(*at, end);
  if (high < 0 || (high >= 0xdc00 && high < 0xe000)) return -1;
  *at += 4;
  if (high < 0xd800 || high >= 0xe000) return high;
  if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return -1;
  long low = code_unit(*at + 2, end);
  if (low < 0xdc00 || low >= 0xe000) return -1;
  *at += 6;
  return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* Moves past an escape, behind its backslash. */
static bool skip_escape(cp_json *json) {
  char c = json->at < json->end ? *json->at++ : '\0';
  if (c == 'u') return read_unicode(&json->at, json->end) >= 0 || fail(json);
  return (c && strchr("\"\\/bfnrt", c)) || fail(json);
}

bool cp_json_string(cp_json *json, cp_json_text *string) {
  if (!take(json, '"')) return fail(json);
  *string = (cp_json_text){.at = json->at};
  while (json->at < json->end && *json->at != '"') {
    unsigned char c = (unsigned char)*json->at++;
    if (c < ' ') return fail(json);
    if (c != '\\') continue;
    string->escaped = true;
    if (!skip_escape(json)) return false;
  }
  string->length = (size_t)(json->at - string->at);
  return take(json, '"') || fail(json);
}

static char *put_utf8(char *plain, unsigned long c) {
  int rest = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
  *plain++ = (char)(leads[rest] | c >> (6 * rest));
  while (rest--) *plain++ = (char)(0x80 | (c >> (6 * rest) & 0x3f));
  return plain;
}

/* Writes the character of a good escape, and moves past it. */
static char *put_escape(char *plain, const char **at, const char *end) {
  static const char named[] = "b\bf\fn\nr\rt\t";
  char c = *(*at)++;
  if (c == 'u') return put_utf8(plain, (unsigned long)read_unicode(at, end));
  const char *found = strchr(named, c);
  *plain++ = found ? found[1] : c;
  return plain;
}

size_t cp_json_unescape(const cp_json_text *string, char *plain) {
  const char *at = string->at, *end = at + string->length;
  char *start = plain;
  while (at < end) {
    char c = *at++;
    if (c == '\\')
      plain = put_escape(plain, &at, end);
    else
      *plain++ = c;
  }
  return (size_t)(plain - start);
}

/* An escape has at most six characters for each byte that it stands for. */
bool cp_json_is(const cp_json_text *string, const char *name) {
  char plain[128];
  size_t length = strlen(name);
  if (!string->escaped)
    return string->length == length && memcmp(string->at, name, length) == 0;
  if (string->length > sizeof plain) return false;
  return cp_json_unescape(string, plain) == length && memcmp(plain, name, length) == 0;
}

/* Other values */

static bool skip_digits(cp_json *json) {
  const char *start = json->at;
  while (json->at < json->end && *json->at >= '0' && *json->at <= '9') json->at++;
  return json->at > start || fail(json);
}

static bool is_next(const cp_json *json, const char *any) {
  return json->at < json->end && *json->at && strchr(any, *json->at);
}

static bool skip_number(cp_json *json) {
  if (is_next(json, "-")) json->at++;
  if (is_next(json, "0"))
    json->at++;
  else if (!skip_digits(json))
    return false;
  if (is_next(json, ".")) {
    json->at++;
    if (!skip_digits(json)) return false;
  }
  if (!is_next(json, "eE")) return true;
  json->at++;
  if (is_next(json, "+-")) json->at++;
  return skip_digits(json);
}

static bool skip_word(cp_json *json, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(json->end - json->at) < length || memcmp(json->at, word, length) != 0)
    return fail(json);
  json->at += length;
  return true;
}

static bool skip_object(cp_json *json) {
  cp_json_text key;
  for (bool more = cp_json_open(json, '{'); more; more = cp_json_more(json, '}'))
    if (!cp_json_key(json, &key) || !cp_json_skip(json)) return false;
  return !json->bad;
}

static bool skip_array(cp_json *json) {
  for (bool more = cp_json_open(json, '['); more; more = cp_json_more(json, ']'))
    if (!cp_json_skip(json)) return false;
  return !json->bad;
}

bool cp_json_skip(cp_json *json) {
  cp_json_text string;
  switch (cp_json_peek(json)) {
    case '{': return skip_object(json);
    case '[': return skip_array(json);
    case '"': return cp_json_string(json, &string);
    case 't': return skip_word(json, "true");
    case 'f': return skip_word(json, "false");
    case 'n': return skip_word(json, "null");
    default: return !json->bad && skip_number(json);
  }
}

bool cp_json_count(cp_json *json, int digits, double *count) {
  *count = -1;
  cp_json_peek(json);
  const char *digit = json->at;
  if (!cp_json_skip(json)) return false;
  if (json->at == digit || json->at - digit > digits) return true;
  double value = 0;
  for (; digit < json->at; digit++) {
    if (*digit < '0' || *digit > '9') return true;
    value = value * 10 + (*digit - '0');
  }
  *count = value;
  return true;
}

bool cp_json_ended(cp_json *json) {
  return cp_json_peek(json) == '\0' && json->at == json->end && !json->bad;
}

/* How many bytes the character at `at` has in UTF-8 (RFC 3629); 0: it is none. */
static size_t character(const unsigned char *at, size_t left) {
  static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t length = *at < 0x80   ? 1
                  : *at < 0xc2 ? 0
                  : *at < 0xe0 ? 2
                  : *at < 0xf0 ? 3
                  : *at < 0xf5 ? 4
                               : 0;
  unsigned value = length == 1 ? *at : *at & (0x7fu >> length);
  if (length > left) return 0;
  for (size_t i = 1; i < length; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
    value = value << 6 | (at[i] & 0x3fu);
  }
  bool surrogate = value >= 0xd800 && value < 0xe000;
  return length && value >= least[length] && value < 0x110000 && !surrogate ? length : 0;
}

bool cp_is_utf8(const char *text, size_t length) {
  for (size_t i = 0, size; i < length; i += size)
    if (!(size = character((const unsigned char *)text + i, length - i))) return false;
  return true;
}
