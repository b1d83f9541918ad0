/*
** compare.c - where two JSON texts differ
*/
#include "compare.h"

#include <string.h>

#include "pointer.h"

/* Numbers: 0.ddd times ten to a power, without zeros at either end of the digits */

typedef struct number {
  bool negative;
  cp_span digits; /* from the first that counts to the last, perhaps with a point */
  size_t count;   /* of digits in there, without that point; 0: it is zero */
  long long power;
} number;

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* An exponent beyond this is this: there are not that many digits to make up for it. */
#define POWER_MAX 1000000000000000LL

static long long read_power(const char *at, const char *end) {
  long long power = 0;
  bool negative = at < end && *at == '-';
  if (at < end && !is_digit(*at)) at++;
  for (; at < end; at++)
    if (power < POWER_MAX) power = power * 10 + (*at - '0');
  return negative ? -power : power;
}

static const char *end_of_digits(const char *at, const char *end) {
  while (at < end && (is_digit(*at) || *at == '.')) at++;
  return at;
}

static number read_number(const cp_span *text) {
  const char *at = text->at, *end = at + text->length;
  number n = {.negative = *at == '-'};
  if (n.negative) at++;
  const char *last = end_of_digits(at, end);
  if (last < end) n.power = read_power(last + 1, end);
  const char *point = memchr(at, '.', (size_t)(last - at));
  const char *whole_end = point ? point : last;
  while (at < last && (*at == '0' || *at == '.')) at++;
  if (at == last) return (number){0};
  n.power += at < whole_end ? whole_end - at : whole_end + 1 - at;
  while (last[-1] == '0' || last[-1] == '.') last--;
  n.digits = (cp_span){at, (size_t)(last - at)};
  n.count = n.digits.length - (point > at && point < last);
  return n;
}

static char next_digit(const char **at) {
  if (**at == '.') (*at)++;
  return *(*at)++;
}

bool cp_same_number(const cp_span *a, const cp_span *b) {
  number x = read_number(a), y = read_number(b);
  if (x.negative != y.negative || x.power != y.power || x.count != y.count) return false;
  const char *of_x = x.digits.at, *of_y = y.digits.at;
  for (size_t i = 0; i < x.count; i++)
    if (next_digit(&of_x) != next_digit(&of_y)) return false;
  return true;
}

/* Documents */

typedef struct comparison {
  cp_tree *a, *b;
  cp_ignores ignores;
  cp_differs told;
  void *context;
  cp_text pointer;
} comparison;

static bool compare(comparison *c, cp_node *a, cp_node *b);

static void shorten(comparison *c, size_t length) {
  c->pointer.length = length;
  if (c->pointer.data) c->pointer.data[length] = '\0';
}

/* Either is NULL where there is none. */
static bool compare_child(comparison *c, const cp_span *step, cp_node *a, cp_node *b) {
  size_t length = c->pointer.length;
  bool ok = cp_pointer_add(&c->pointer, step);
  if (ok) ok = a && b ? compare(c, a, b) : c->told(c->context, &c->pointer);
  shorten(c, length);
  return ok;
}

/* Of members with one key the last one counts, as for everybody who decodes this. */
static bool compare_member(comparison *c, cp_tree *tree, cp_node *node,
                           const cp_node *other, bool is_a) {
  cp_span key = cp_tree_plain(tree, &node->key);
  if (!key.at) return false;
  if (c->ignores && c->ignores(&key, c->pointer.length == 0)) return true;
  if (node->repeated && cp_node_member(tree, node->parent, &key) != node) return true;
  cp_node *same = cp_node_member(is_a ? c->b : c->a, other, &key);
  if (!is_a && same) return true;
  return compare_child(c, &key, is_a ? node : same, is_a ? same : node);
}

static bool compare_objects(comparison *c, cp_node *a, cp_node *b) {
  bool ok = true;
  for (cp_node *node = cp_node_first(a); ok && node; node = node->next)
    ok = compare_member(c, c->a, node, b, true);
  for (cp_node *node = cp_node_first(b); ok && node; node = node->next)
    ok = compare_member(c, c->b, node, a, false);
  return ok;
}

static bool compare_arrays(comparison *c, cp_node *a, cp_node *b) {
  bool ok = true;
  cp_node *of_a = cp_node_first(a), *of_b = cp_node_first(b);
  for (size_t i = 0; ok && (of_a || of_b); i++) {
    cp_text digits = {0};
    ok = cp_text_printf(&digits, "%zu", i);
    cp_span step = {digits.data, digits.length};
    ok = ok && compare_child(c, &step, of_a, of_b);
    cp_text_free(&digits);
    of_a = of_a ? of_a->next : NULL;
    of_b = of_b ? of_b->next : NULL;
  }
  return ok;
}

static cp_json_text string_of(const cp_span *value) {
  size_t length = value->length - 2;
  return (cp_json_text){value->at + 1, length, memchr(value->at, '\\', length + 1)};
}

static bool same_strings(comparison *c, const cp_node *a, const cp_node *b, bool *same) {
  cp_json_text of_a = string_of(&a->value), of_b = string_of(&b->value);
  cp_span x = cp_tree_plain(c->a, &of_a), y = cp_tree_plain(c->b, &of_b);
  *same = x.at && y.at && x.length == y.length && memcmp(x.at, y.at, x.length) == 0;
  return x.at && y.at;
}

static bool same_spelling(const cp_node *a, const cp_node *b) {
  return !a->changed && !b->changed && a->value.length == b->value.length &&
         memcmp(a->value.at, b->value.at, a->value.length) == 0;
}

/* Scalars of one kind whose texts differ. */
static bool same_scalars(comparison *c, const cp_node *a, const cp_node *b, bool *same) {
  char kind = cp_node_kind(a), other = cp_node_kind(b);
  *same = false;
  if (kind == '"' && other == '"') return same_strings(c, a, b, same);
  bool numbers = (is_digit(kind) || kind == '-') && (is_digit(other) || other == '-');
  if (numbers) *same = cp_same_number(&a->value, &b->value);
  return true;
}

static bool compare(comparison *c, cp_node *a, cp_node *b) {
  bool same;
  char kind = cp_node_kind(a);
  if (same_spelling(a, b)) return true;
  if (kind == cp_node_kind(b) && (kind == '{' || kind == '['))
    return cp_tree_open(c->a, a) == CP_TREE_OK && cp_tree_open(c->b, b) == CP_TREE_OK &&
           (kind == '{' ? compare_objects(c, a, b) : compare_arrays(c, a, b));
  if (!same_scalars(c, a, b, &same)) return false;
  return same || c->told(c->context, &c->pointer);
}

bool cp_compare(cp_tree *a, cp_node *of_a, cp_tree *b, cp_node *of_b, cp_ignores ignores,
                cp_differs told, void *context) {
  comparison c = {a, b, ignores, told, context, {0}};
  bool ok = compare(&c, of_a, of_b);
  cp_text_free(&c.pointer);
  return ok;
}

/* A pointer may hold any byte. */
bool cp_note_pointer(void *text, const cp_text *pointer) {
  return cp_text_add(text, &pointer->length, sizeof pointer->length) &&
         cp_text_add(text, cp_text_get(pointer), pointer->length);
}

static bool note_difference(void *context, const cp_text *pointer) {
  (void)pointer;
  *(bool *)context = false;
  return false;
}

/* One difference is enough, and ends it as want of memory does. */
static bool find_same(cp_tree *a, cp_node *of_a, cp_tree *b, cp_node *of_b,
                      cp_ignores ignores, bool *same) {
  *same = true;
  bool ok = cp_compare(a, of_a, b, of_b, ignores, note_difference, same);
  return ok || !*same;
}

bool cp_same(cp_tree *a, cp_node *of_a, cp_tree *b, cp_node *of_b, bool *same) {
  return find_same(a, of_a, b, of_b, NULL, same);
}

bool cp_same_document(const cp_span *a, const cp_span *b, cp_ignores ignores,
                      bool *same) {
  cp_tree of_a = {0}, of_b = {0};
  *same = false;
  cp_tree_result first = cp_tree_begin(&of_a, a->at, a->length, NULL);
  cp_tree_result second = cp_tree_begin(&of_b, b->at, b->length, NULL);
  bool good = first == CP_TREE_OK && second == CP_TREE_OK;
  bool ok = first != CP_TREE_NO_MEMORY && second != CP_TREE_NO_MEMORY;
  if (good) ok = find_same(&of_a, &of_a.root, &of_b, &of_b.root, ignores, same);
  cp_tree_free(&of_a);
  cp_tree_free(&of_b);
  return ok;
}
