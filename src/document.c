/*
** document.c - the service's documents digested: from JSON text to what a machine needs
** Shapes: wire, "Status documents". A key that comes twice counts the last time, as it
** does for lua-cjson.
*/
#include "document.h"

#include <string.h>

#include "json.h"
#include "url.h"

/* The longest word that is looked up; a longer one is unknown. */
#define WORD_MAX 128

/* What a status document says, before the parts are held against one another. */
typedef struct facts {
  bool has_word;
  cp_state state;
  bool signoff_waits;
  bool blocked;
  double publishing_version, offer_version, began; /* -1: not said */
} facts;

/* Reads a string without its escapes into `word`; an empty one for anything else. */
static bool read_word(cp_json *json, char *word, size_t *length) {
  cp_json_text string;
  *length = 0;
  if (cp_json_peek(json) != '"') return cp_json_skip(json);
  if (!cp_json_string(json, &string)) return false;
  if (string.length <= WORD_MAX) *length = cp_json_unescape(&string, word);
  if (string.length > WORD_MAX) word[(*length)++] = '?';
  return true;
}

/* Reads a time; -1 for anything else. */
static bool read_time(cp_json *json, double *time) {
  char word[WORD_MAX + 1];
  size_t length;
  if (!read_word(json, word, &length)) return false;
  word[length] = '\0';
  *time = cp_iso_time_read(word);
  return true;
}

static bool read_level(cp_json *json, bool *is_error) {
  char word[WORD_MAX];
  size_t length;
  if (!read_word(json, word, &length)) return false;
  *is_error = cp_word_same(word, length, "error", 5);
  return true;
}

static bool read_message(cp_json *json, bool *has_error) {
  cp_json_text key;
  bool is_error = false;
  if (cp_json_peek(json) != '{') return cp_json_skip(json);
  for (bool more = cp_json_open(json, '{'); more; more = cp_json_more(json, '}')) {
    if (!cp_json_key(json, &key)) return false;
    bool level = cp_json_is(&key, "level");
    if (!(level ? read_level(json, &is_error) : cp_json_skip(json))) return false;
  }
  *has_error = *has_error || is_error;
  return !json->bad;
}

static bool read_messages(cp_json *json, bool *has_error) {
  *has_error = false;
  if (cp_json_peek(json) != '[') return cp_json_skip(json);
  for (bool more = cp_json_open(json, '['); more; more = cp_json_more(json, ']'))
    if (!read_message(json, has_error)) return false;
  return !json->bad;
}

/* What a step says. */
typedef struct step {
  bool is_signoff;
  cp_state state;
  bool has_error;
} step;

static bool read_step_member(cp_json *json, const cp_json_text *key, step *of) {
  char word[WORD_MAX];
  size_t length;
  if (cp_json_is(key, "messages")) return read_messages(json, &of->has_error);
  bool id = cp_json_is(key, "id"), status = cp_json_is(key, "status");
  if (!id && !status) return cp_json_skip(json);
  if (!read_word(json, word, &length)) return false;
  if (id)
    of->is_signoff = cp_step_is_signoff(word, length);
  else
    of->state = cp_word_step(word, length);
  return true;
}

static bool read_step(cp_json *json, facts *said) {
  cp_json_text key;
  step of = {0};
  if (cp_json_peek(json) != '{') return cp_json_skip(json);
  for (bool more = cp_json_open(json, '{'); more; more = cp_json_more(json, '}'))
    if (!cp_json_key(json, &key) || !read_step_member(json, &key, &of)) return false;
  if (of.is_signoff && of.state == CP_WAITING_FOR_PUBLISHER) said->signoff_waits = true;
  if (of.state == CP_REJECTED || (of.state == CP_BLOCKED && of.has_error))
    said->blocked = true;
  return !json->bad;
}

static bool read_steps(cp_json *json, facts *said) {
  said->signoff_waits = said->blocked = false;
  if (cp_json_peek(json) != '[') return cp_json_skip(json);
  for (bool more = cp_json_open(json, '['); more; more = cp_json_more(json, ']'))
    if (!read_step(json, said)) return false;
  return !json->bad;
}

static cp_state state_of(cp_document document, const char *word, size_t length) {
  return document == CP_DOC_OFFER_STATUS ? cp_word_offer(word, length)
                                         : cp_word_operation(word, length);
}

static bool read_status_member(cp_json *json, const cp_json_text *key, facts *said,
                               char *word, size_t *length) {
  if (cp_json_is(key, "status")) return read_word(json, word, length);
  if (cp_json_is(key, "steps")) return read_steps(json, said);
  if (cp_json_is(key, "publishingVersion"))
    return cp_json_count(json, 15, &said->publishing_version);
  if (cp_json_is(key, "offerVersion"))
    return cp_json_count(json, 15, &said->offer_version);
  if (cp_json_is(key, "createdDateTime")) return read_time(json, &said->began);
  return cp_json_skip(json);
}

static bool read_status(cp_json *json, cp_document document, facts *said) {
  cp_json_text key;
  char word[WORD_MAX];
  size_t length = 0;
  for (bool more = cp_json_open(json, '{'); more; more = cp_json_more(json, '}'))
    if (!cp_json_key(json, &key) || !read_status_member(json, &key, said, word, &length))
      return false;
  said->has_word = length > 0;
  said->state = state_of(document, word, length);
  return !json->bad;
}

/* The service wraps an operation in an array of one: wire, "Endpoints". */
static bool read_wrapped(cp_json *json, cp_document document, facts *said) {
  if (cp_json_peek(json) == '{') return read_status(json, document, said);
  if (cp_json_peek(json) != '[' || !cp_json_open(json, '[')) return false;
  return cp_json_peek(json) == '{' && read_status(json, document, said) &&
         !cp_json_more(json, ']');
}

/* The sign-off counts only while the whole says running: contract, "Status". */
static void digest_status(cp_document document, const cp_text *body, cp_digest *digest) {
  cp_json json;
  facts said = {.publishing_version = -1, .offer_version = -1, .began = -1};
  cp_json_begin(&json, cp_text_get(body), body->length);
  bool read = read_wrapped(&json, document, &said) && cp_json_ended(&json);
  bool waits = said.signoff_waits && said.state == CP_RUNNING;
  digest->understood = read && said.has_word;
  digest->state = waits ? CP_WAITING_FOR_PUBLISHER : said.state;
  digest->blocked = said.blocked;
  digest->publishing_version = said.publishing_version;
  digest->offer_version = said.offer_version;
  digest->began = said.began;
}

/* Lists */

/*
** Its ids lie one after the other in `ids`, each with a NUL behind it: an id of the text
** may hold escapes.
*/
typedef struct list {
  cp_entry *entries;
  size_t count, size;
  cp_text ids;
} list;

static bool grow(list *of) {
  if (of->count < of->size) return true;
  size_t size = of->size ? of->size * 2 : 16;
  cp_entry *entries = cp_realloc(of->entries, size * sizeof *entries);
  if (!entries) return false;
  of->entries = entries;
  of->size = size;
  return true;
}

/*
** `version` is a time in 100 ns since the year 1: wire, "Endpoints". What would not be
** one of 1970 to 2100 is none.
*/
static bool read_began(cp_json *json, double *began) {
  const double epoch = 62135596800.0; /* 1970, in seconds since the year 1 */
  double ticks;
  if (!cp_json_count(json, 18, &ticks)) return false;
  double seconds = ticks / 1e7 - epoch;
  *began = seconds > 0 && seconds < 4102444800.0 ? seconds : -1;
  return true;
}

static bool read_word_member(cp_json *json, bool is_kind, cp_entry *entry) {
  char word[WORD_MAX];
  size_t length;
  if (!read_word(json, word, &length)) return false;
  if (is_kind)
    entry->kind = cp_kind_of(word, length);
  else
    entry->state = cp_word_operation(word, length);
  return true;
}

/* Reads a string as it stands there; an empty one for anything else. */
static bool read_id(cp_json *json, cp_json_text *id) {
  *id = (cp_json_text){0};
  return cp_json_peek(json) == '"' ? cp_json_string(json, id) : cp_json_skip(json);
}

static bool read_entry_member(cp_json *json, const cp_json_text *key, cp_json_text *id,
                              cp_entry *entry) {
  if (cp_json_is(key, "id")) return read_id(json, id);
  if (cp_json_is(key, "version")) return read_began(json, &entry->began);
  if (cp_json_is(key, "changedTime")) return read_time(json, &entry->changed);
  bool is_kind = cp_json_is(key, "submissionType");
  if (is_kind || cp_json_is(key, "submissionState"))
    return read_word_member(json, is_kind, entry);
  return cp_json_skip(json);
}

/* Something without an id that could be asked for is no entry. */
static bool add_entry(list *to, const cp_json_text *id, const cp_entry *entry) {
  if (id->length == 0) return true;
  if (!grow(to) || !cp_text_reserve(&to->ids, id->length + 1)) return false;
  char *place = to->ids.data + to->ids.length;
  size_t length = cp_json_unescape(id, place);
  if (!cp_url_segment_ok(place, length)) return true;
  place[length] = '\0';
  to->ids.length += length + 1;
  to->entries[to->count++] = *entry;
  return true;
}

static bool read_entry(cp_json *json, list *to) {
  cp_json_text key, id = {0};
  cp_entry entry = {.began = -1, .changed = -1};
  if (cp_json_peek(json) != '{') return cp_json_skip(json);
  for (bool more = cp_json_open(json, '{'); more; more = cp_json_more(json, '}'))
    if (!cp_json_key(json, &key) || !read_entry_member(json, &key, &id, &entry))
      return false;
  return !json->bad && add_entry(to, &id, &entry);
}

static bool read_list(cp_json *json, list *to) {
  if (cp_json_peek(json) != '[') return false;
  for (bool more = cp_json_open(json, '['); more; more = cp_json_more(json, ']'))
    if (!read_entry(json, to)) return false;
  return cp_json_ended(json);
}

/*
** The ids move while they are collected, so the entries learn where they are at the
** end.
*/
static void point_to_ids(list *of) {
  char *id = of->ids.data;
  for (size_t i = 0; i < of->count; i++) {
    of->entries[i].id = id;
    id += strlen(id) + 1;
  }
}

static void digest_list(const cp_text *body, cp_digest *digest) {
  cp_json json;
  list read = {0};
  cp_json_begin(&json, cp_text_get(body), body->length);
  digest->understood = read_list(&json, &read);
  point_to_ids(&read);
  digest->entries = read.entries;
  digest->entry_count = digest->understood ? read.count : 0;
  digest->texts = read.ids.data;
}

/* Only its form is looked at: it is handed on as it is. */
static void digest_array(const cp_text *body, cp_digest *digest) {
  cp_json json;
  cp_json_begin(&json, cp_text_get(body), body->length);
  digest->understood =
      cp_json_peek(&json) == '[' && cp_json_skip(&json) && cp_json_ended(&json);
}

/* The reference pages spell it in both ways. */
static bool is_etag(const cp_json_text *key) {
  return cp_json_is(key, "etag") || cp_json_is(key, "eTag");
}

static bool read_offer(cp_json *json, cp_json_text *etag) {
  cp_json_text key;
  if (cp_json_peek(json) != '{') return false;
  for (bool more = cp_json_open(json, '{'); more; more = cp_json_more(json, '}'))
    if (!cp_json_key(json, &key) ||
        !(is_etag(&key) ? read_id(json, etag) : cp_json_skip(json)))
      return false;
  return cp_json_ended(json);
}

/* The header is missing now and then: wire, "Endpoints". The offer says it too. */
static void digest_offer(const cp_text *body, cp_digest *digest) {
  cp_json json;
  cp_json_text etag = {0};
  cp_json_begin(&json, cp_text_get(body), body->length);
  digest->understood = read_offer(&json, &etag);
  if (digest->etag && digest->etag_length) return;
  if (!digest->understood || !etag.length) return;
  digest->etag = digest->texts = cp_calloc(etag.length);
  if (digest->texts)
    digest->etag_length = cp_json_unescape(&etag, digest->texts);
  else
    digest->understood = false;
}

void cp_document_digest(cp_document document, const cp_text *body, cp_digest *digest) {
  if (document == CP_DOC_LIST)
    digest_list(body, digest);
  else if (document == CP_DOC_ARRAY)
    digest_array(body, digest);
  else if (document == CP_DOC_OFFER)
    digest_offer(body, digest);
  else if (document != CP_DOC_NONE)
    digest_status(document, body, digest);
}

void cp_digest_free(cp_digest *digest) {
  cp_free(digest->entries);
  cp_free(digest->texts);
  digest->entries = NULL;
  digest->texts = NULL;
  digest->entry_count = 0;
}
