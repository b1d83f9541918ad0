/*
** document.c - fuzzes the digestion of documents: an operation, an offer's status, a list,
** an offer
*/
#include "../src/document.h"

#include <math.h>

#include "../src/json.h"
#include "../src/url.h"
#include "harness.h"

static cp_digest digest_of(cp_document document, const cp_text *body) {
  cp_digest digest = {.publishing_version = -1, .offer_version = -1, .began = -1};
  cp_document_digest(document, body, &digest);
  return digest;
}

/* What one digest may say */

static void check_number(double number, double limit) {
  assert(number == -1 || (number >= 0 && number < limit));
}

/* Some states are of a step only. */
static void check_status(const cp_digest *digest) {
  assert(digest->state < CP_BLOCKED);
  assert(!digest->entries && !digest->entry_count && !digest->texts);
  check_number(digest->publishing_version, 1e15);
  check_number(digest->offer_version, 1e15);
  assert(digest->publishing_version == floor(digest->publishing_version));
  assert(digest->offer_version == floor(digest->offer_version));
  check_number(digest->began, 253402300801.0);
}

/* The ids lie one after the other; gives where the next one is. */
static const char *check_entry(const cp_entry *entry, const char *id) {
  size_t length = strlen(id);
  assert(entry->id == id && cp_url_segment_ok(id, length));
  assert(entry->kind <= CP_CANCEL && entry->state < CP_BLOCKED);
  check_number(entry->began, 4102444800.0);
  check_number(entry->changed, 253402300801.0);
  return id + length + 1;
}

static void check_list(const cp_digest *digest) {
  const char *id = digest->texts;
  assert(digest->understood || digest->entry_count == 0);
  for (size_t i = 0; i < digest->entry_count; i++)
    id = check_entry(&digest->entries[i], id);
}

/* What two digests have in common */

static bool same_entry(const cp_entry *a, const cp_entry *b) {
  return strcmp(a->id, b->id) == 0 && a->kind == b->kind && a->state == b->state &&
         a->began == b->began && a->changed == b->changed;
}

static void check_same(const cp_digest *a, const cp_digest *b) {
  assert(a->understood == b->understood);
  if (!a->understood) return;
  assert(a->state == b->state && a->blocked == b->blocked && a->began == b->began);
  assert(a->publishing_version == b->publishing_version);
  assert(a->offer_version == b->offer_version && a->entry_count == b->entry_count);
  for (size_t i = 0; i < a->entry_count; i++)
    assert(same_entry(&a->entries[i], &b->entries[i]));
}

static void check_as(cp_document document, const cp_text *body, const cp_digest *as) {
  cp_digest digest = digest_of(document, body);
  check_same(&digest, as);
  cp_digest_free(&digest);
}

/* Other texts for the same document */

static bool is_structural(char c) {
  return c && strchr("{}[]:,", c);
}

/* The same text with blanks around each bracket, colon and comma. */
static cp_text spaced(const cp_text *body) {
  cp_text text = {0};
  bool quoted = false;
  assert(cp_text_reserve(&text, body->length * 3));
  for (size_t i = 0; i < body->length; i++) {
    char c = body->data[i];
    bool escape = quoted && c == '\\' && i + 1 < body->length, apart = false;
    if (c == '"') quoted = !quoted;
    if (!quoted) apart = is_structural(c);
    if (apart) text.data[text.length++] = " \t\r\n"[i & 3];
    text.data[text.length++] = c;
    if (apart) text.data[text.length++] = "\n \t\r"[i >> 2 & 3];
    if (escape) text.data[text.length++] = body->data[++i];
  }
  text.data[text.length] = '\0';
  return text;
}

static void check_spaced(cp_document document, const cp_text *body, const cp_digest *as) {
  cp_text text = spaced(body);
  check_as(document, &text, as);
  cp_text_free(&text);
}

/* The service wraps an operation in an array of one. */
static void check_wrapped(cp_document document, const cp_text *body,
                          const cp_digest *as) {
  cp_text text = {0};
  bool object = body->data[strspn(body->data, " \t\r\n")] == '{';
  if (!object || body->length >= CP_JSON_DEPTH) return;
  assert(cp_text_putc(&text, '[') && cp_text_add(&text, body->data, body->length) &&
         cp_text_putc(&text, ']'));
  check_as(document, &text, as);
  cp_text_free(&text);
}

/* What follows a whole document makes it none. */
static void check_followed(cp_document document, const cp_text *body) {
  cp_text text = {0};
  cp_digest none = {0};
  assert(cp_text_add(&text, body->data, body->length) && cp_text_puts(&text, " 0"));
  check_as(document, &text, &none);
  cp_text_free(&text);
}

/* RFC 8259, 7: no control characters within quotes. */
static void check_quoted(const cp_text *body) {
  bool quoted = false;
  for (size_t i = 0; i < body->length; i++) {
    assert(!quoted || (unsigned char)body->data[i] >= ' ');
    if (quoted && body->data[i] == '\\')
      i++;
    else if (body->data[i] == '"')
      quoted = !quoted;
  }
  assert(!quoted);
}

static bool is_json(const cp_text *body) {
  cp_json json;
  cp_text text = exact_bytes(body->data, body->length);
  cp_json_begin(&json, text.data, text.length);
  bool whole = cp_json_skip(&json) && cp_json_ended(&json);
  cp_text_free(&text);
  return whole;
}

static void check_document(cp_document document, const cp_text *body) {
  cp_digest digest = digest_of(document, body);
  if (document == CP_DOC_LIST)
    check_list(&digest);
  else
    check_status(&digest);
  check_spaced(document, body, &digest);
  if (document != CP_DOC_LIST) check_wrapped(document, body, &digest);
  if (digest.understood) {
    assert(is_json(body));
    check_quoted(body);
    check_followed(document, body);
  }
  cp_digest_free(&digest);
}

/* An offer's status has a few words more; all else is the same. */
static void check_offer(const cp_text *body) {
  cp_digest operation = digest_of(CP_DOC_OPERATION, body);
  cp_digest offer = digest_of(CP_DOC_OFFER_STATUS, body);
  if (operation.state == CP_UNKNOWN) operation.state = offer.state;
  check_same(&operation, &offer);
}

/* Of these only the form counts, and an offer's etag. */
static void check_forms(const cp_text *body) {
  cp_digest array = digest_of(CP_DOC_ARRAY, body), offer = digest_of(CP_DOC_OFFER, body);
  cp_json json;
  cp_json_begin(&json, body->data, body->length);
  char first = cp_json_peek(&json);
  assert(array.understood == (first == '[' && is_json(body)));
  assert(offer.understood == (first == '{' && is_json(body)));
  assert(!array.etag && !array.texts);
  assert(!offer.etag || (offer.understood && offer.etag_length <= body->length));
  cp_digest_free(&offer);
  cp_digest_free(&array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cp_text body = exact_text(data, size);
  check_document(CP_DOC_OPERATION, &body);
  check_document(CP_DOC_OFFER_STATUS, &body);
  check_document(CP_DOC_LIST, &body);
  check_offer(&body);
  check_forms(&body);
  cp_text_free(&body);
  return 0;
}
