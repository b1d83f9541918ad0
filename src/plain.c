/*
** plain.c - somebody else's words as plain text: HTML without markup, many lines as one
*/
#include "plain.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The text written so far. It is never longer than the HTML read for it. */
typedef struct output {
  char *text;
  size_t length;
  bool tags_ended; /* no `>` follows: looking for one again would take quadratic time */
} output;

static void put(output *out, unsigned long byte) {
  out->text[out->length++] = (char)byte;
}

static void put_blank(output *out) {
  if (out->length && out->text[out->length - 1] != ' ') put(out, ' ');
}

/* The last `count` sixes of bits of a character, as UTF-8 has them. */
static void put_rest(output *out, unsigned long c, int count) {
  while (count--) put(out, 0x80 | (c >> (6 * count) & 0x3f));
}

static void put_utf8(output *out, unsigned long c) {
  int rest = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
  put(out, leads[rest] | c >> (6 * rest));
  put_rest(out, c, rest);
}

/* Entities */

static unsigned long numbered(const char *digits) {
  bool hex = *digits == 'x' || *digits == 'X';
  unsigned long c = strtoul(digits + hex, NULL, hex ? 16 : 10);
  bool surrogate = c >= 0xd800 && c <= 0xdfff;
  bool control = c < ' ' || (c >= 0x7f && c < 0xa0);
  return !control && c <= 0x10ffff && !surrogate ? c : 0;
}

/* The character that an entity names, without & and ;; 0 for one that is not known. */
static unsigned long entity(const char *name) {
  static const struct {
    const char *name;
    unsigned long c;
  } known[] = {{"amp", '&'},  {"lt", '<'},    {"gt", '>'},
               {"quot", '"'}, {"apos", '\''}, {"nbsp", ' '}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i].name, name) == 0) return known[i].c;
  return name[0] == '#' ? numbered(name + 1) : 0;
}

/* The entity at `at`, its length in `*used`; 0 when that is just an ampersand. */
static unsigned long read_entity(const char *at, const char *end, size_t *used) {
  char name[12];
  size_t length = 0;
  for (at++; at + length < end && at[length] != ';'; length++) {
    if (length == sizeof name - 1) return 0;
    name[length] = at[length];
  }
  if (at + length == end) return 0;
  name[length] = '\0';
  *used = length + 2;
  return entity(name);
}

/* Tags */

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The end of the tag that begins at `at`; `at` when that is just a less-than sign. */
static const char *skip_tag(output *out, const char *at, const char *end) {
  char next = at + 1 < end ? at[1] : ' ';
  bool tag = is_letter(next) || next == '/' || next == '!' || next == '?';
  if (!tag || out->tags_ended) return at;
  const char *close = memchr(at, '>', (size_t)(end - at));
  out->tags_ended = close == NULL;
  return close ? close + 1 : at;
}

/* Tags within a word part nothing: <b>contoso</b>. is "contoso." */
static bool is_inline(const char *tag) {
  static const char *const names[] = {"a",    "b",     "i",    "u",     "em",
                                      "span", "small", "code", "strong"};
  const char *name = tag + 1 + (tag[1] == '/');
  size_t length = 0;
  while (is_letter(name[length])) length++;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strlen(names[i]) == length && strncasecmp(names[i], name, length) == 0)
      return true;
  return false;
}

/* Writes what begins at `at`; gives where the next piece begins. */
static const char *put_piece(output *out, const char *at, const char *end) {
  size_t used = 1;
  const char *after = *at == '<' ? skip_tag(out, at, end) : at;
  if (after != at) {
    if (!is_inline(at)) put_blank(out);
    return after;
  }
  unsigned long c = *at == '&' ? read_entity(at, end, &used) : 0;
  if (c == 0) used = 1;
  unsigned char plain = (unsigned char)*at;
  if (c > ' ')
    put_utf8(out, c);
  else if (c == ' ' || plain <= ' ' || plain == 0x7f)
    put_blank(out);
  else
    put(out, plain);
  return at + used;
}

size_t cp_plain(const char *html, size_t length, char *plain) {
  output out = {.text = plain};
  const char *end = html + length;
  while (html < end) html = put_piece(&out, html, end);
  while (out.length && plain[out.length - 1] == ' ') out.length--;
  return out.length;
}

/* A long text is cut where a UTF-8 character begins. */
static size_t cut(const char *text, size_t length, size_t limit) {
  if (length <= limit) return length;
  while (limit > 0 && ((unsigned char)text[limit] & 0xc0) == 0x80) limit--;
  return limit;
}

size_t cp_line(const char *text, size_t length, size_t limit, char *line) {
  size_t end = cut(text, length, limit);
  for (size_t i = 0; i < end; i++) {
    bool control = (unsigned char)text[i] < ' ' || text[i] == 0x7f;
    line[i] = control ? ' ' : text[i];
  }
  if (end == length) return end;
  memset(line + end, '.', 3);
  return end + 3;
}
