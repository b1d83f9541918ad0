/*
** words.c - fuzzes the status words: two words with a slash between them
** However a word is written (case, blanks, hyphens), it means the same.
*/
#include "../src/words.h"

#include "harness.h"

/* The reference: a word as the tables of src/words.c write it. */
static cp_text canonical(const char *word, size_t length) {
  cp_text text = exact_text(word, length);
  text.length = 0;
  for (size_t i = 0; i < length; i++) {
    char c = word[i];
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '-') continue;
    text.data[text.length++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return text;
}

/* Another spelling of a canonical word; `variant` picks which. */
static cp_text respelt(const cp_text *word, unsigned variant) {
  cp_text text = {0};
  assert(cp_text_reserve(&text, word->length * 2));
  for (size_t i = 0; i < word->length; i++, variant = variant * 5 + 1) {
    char c = word->data[i];
    bool upper = (variant & 4) && c >= 'a' && c <= 'z';
    text.data[text.length++] = (char)(upper ? c - 'a' + 'A' : c);
    if (variant & 8) text.data[text.length++] = " -\t\r\n- -"[variant >> 4 & 7];
  }
  return text;
}

static void check_state(cp_state state) {
  bool ended = state == CP_SUCCEEDED || state == CP_FAILED || state == CP_CANCELED;
  assert(state <= CP_WAITING_FOR_APPROVAL);
  assert(*cp_state_name(state));
  assert(cp_state_ended(state) == ended);
  for (cp_kind kind = CP_KIND_OTHER; kind <= CP_CANCEL; kind++) {
    bool previewed = kind == CP_PUBLISH && state == CP_WAITING_FOR_PUBLISHER;
    assert(cp_kind_is_over(kind, state) == (ended || previewed));
  }
}

static void check_tables(const cp_text *word) {
  cp_state operation = cp_word_operation(word->data, word->length);
  cp_state offer = cp_word_offer(word->data, word->length);
  cp_state step = cp_word_step(word->data, word->length);
  check_state(operation);
  check_state(offer);
  check_state(step);
  assert(operation < CP_BLOCKED && offer < CP_BLOCKED);
  if (operation != CP_UNKNOWN) assert(offer == operation && step == operation);
}

static void check_kind(const cp_text *word) {
  cp_kind kind = cp_kind_of(word->data, word->length);
  const char *name = cp_kind_name(kind);
  assert((kind == CP_KIND_OTHER) == (name == NULL));
  if (name) assert(cp_word_same(name, strlen(name), word->data, word->length));
}

static void check_same_meaning(const cp_text *a, const cp_text *b) {
  const char *x = a->data, *y = b->data;
  assert(cp_word_same(x, a->length, y, b->length));
  assert(cp_word_operation(x, a->length) == cp_word_operation(y, b->length));
  assert(cp_word_offer(x, a->length) == cp_word_offer(y, b->length));
  assert(cp_word_step(x, a->length) == cp_word_step(y, b->length));
  assert(cp_kind_of(x, a->length) == cp_kind_of(y, b->length));
  assert(cp_step_is_signoff(x, a->length) == cp_step_is_signoff(y, b->length));
}

static void check_word(const cp_text *word, const cp_text *plain) {
  check_tables(word);
  check_kind(word);
  check_same_meaning(word, plain);
  if (word->length == 0) return;
  cp_text other = respelt(plain, (unsigned)word->length + (unsigned char)*word->data);
  check_same_meaning(&other, word);
  cp_text_free(&other);
}

static void check_pair(const cp_text *a, const cp_text *b) {
  cp_text x = canonical(a->data, a->length), y = canonical(b->data, b->length);
  bool same = x.length == y.length && memcmp(x.data, y.data, x.length) == 0;
  assert(cp_word_same(a->data, a->length, b->data, b->length) == same);
  assert(cp_word_same(b->data, b->length, a->data, a->length) == same);
  check_word(a, &x);
  check_word(b, &y);
  cp_text_free(&x);
  cp_text_free(&y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *slash = size ? memchr(data, '/', size) : NULL;
  size_t first = slash ? (size_t)(slash - data) : size;
  size_t rest = slash ? first + 1 : first;
  cp_text a = exact_bytes(data, first), b = exact_bytes(data + rest, size - rest);
  check_pair(&a, &b);
  cp_text_free(&a);
  cp_text_free(&b);
  return 0;
}
