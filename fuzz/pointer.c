/*
** pointer.c - fuzzes the editor of offers: lines of edits, an empty one, and the text
** An edit is a letter (s, a, r, i, p, m, c: set, append, remove, insert, replace, move,
** copy), a pointer, a tab and a value, or the pointer to move or copy from. Decoding what was edited is held against a model that edits what was
** decoded; and outside of the edit each byte must be the one that was there.
*/
#include "../src/pointer.h"

#include <stdio.h>

#include "harness.h"

#define EDITS_MAX 8

/* The model: a value, its children in their order, a member with its key. */
typedef struct value {
  char kind; /* '{', '[', '"', or '0' for what is told by its text */
  cp_text text, key;
  struct value *children;
  size_t count;
} value;

static cp_text plain_of(const cp_json_text *string) {
  cp_text plain = exact_text(string->at, string->length);
  if (string->length) plain.length = cp_json_unescape(string, plain.data);
  return plain;
}

static void free_value(value *v) {
  for (size_t i = 0; i < v->count; i++) free_value(&v->children[i]);
  free(v->children);
  free(v->text.data);
  free(v->key.data);
  *v = (value){0};
}

static value *add_child(value *v, size_t at) {
  v->children = realloc(v->children, (v->count + 1) * sizeof *v->children);
  assert(v->children);
  memmove(&v->children[at + 1], &v->children[at], (v->count - at) * sizeof *v->children);
  v->children[at] = (value){0};
  v->count++;
  return &v->children[at];
}

static bool read_value(cp_json *json, value *v);

static bool read_children(cp_json *json, value *v) {
  char open = v->kind, close = open == '{' ? '}' : ']';
  for (bool more = cp_json_open(json, open); more; more = cp_json_more(json, close)) {
    cp_json_text key = {0};
    if (open == '{' && !cp_json_key(json, &key)) return false;
    value *child = add_child(v, v->count);
    child->key = plain_of(&key);
    if (!read_value(json, child)) return false;
  }
  return !json->bad;
}

static bool read_value(cp_json *json, value *v) {
  cp_json_text string;
  char first = cp_json_peek(json);
  v->kind = first == '{' || first == '[' || first == '"' ? first : '0';
  if (first == '{' || first == '[') return read_children(json, v);
  const char *start = json->at;
  bool ok = first == '"' ? cp_json_string(json, &string) : cp_json_skip(json);
  if (ok)
    v->text =
        first == '"' ? plain_of(&string) : exact_text(start, (size_t)(json->at - start));
  return ok;
}

static bool decode(const char *text, size_t length, value *v) {
  cp_json json;
  *v = (value){0};
  cp_json_begin(&json, text, length);
  bool ok = read_value(&json, v) && cp_json_ended(&json);
  if (!ok) free_value(v);
  return ok;
}

static bool same_bytes(const cp_text *a, const cp_text *b) {
  return a->length == b->length &&
         (!a->length || memcmp(a->data, b->data, a->length) == 0);
}

static bool same(const value *a, const value *b) {
  bool ok = a->kind == b->kind && a->count == b->count &&
            same_bytes(&a->text, &b->text) && same_bytes(&a->key, &b->key);
  for (size_t i = 0; ok && i < a->count; i++) ok = same(&a->children[i], &b->children[i]);
  return ok;
}

/* The place of a step in a value; its count when there is none, as for "-". */
static size_t place_of(const value *v, const cp_text *step) {
  if (v->kind == '[' && step->length == 1 && step->data[0] == '-') return v->count;
  if (v->kind == '[') return (size_t)strtoull(step->data, NULL, 10);
  for (size_t i = v->count; i > 0; i--)
    if (same_bytes(&v->children[i - 1].key, step)) return i - 1;
  return v->count;
}

/* Moves past one step of a pointer that is known to be good. */
static cp_text next_step(const char **at, const char *end) {
  cp_text step = exact_text(*at, (size_t)(end - *at));
  step.length = 0;
  for (++*at; *at < end && **at != '/'; ++*at) {
    char c = **at;
    if (c == '~') c = *++*at == '0' ? '~' : '/';
    step.data[step.length++] = c;
  }
  step.data[step.length] = '\0';
  return step;
}

static void put(value *parent, size_t place, bool inserts, const cp_text *key,
                value *new) {
  bool replaces = place < parent->count && !(inserts && parent->kind == '[');
  value *slot = replaces ? &parent->children[place] : add_child(parent, place);
  free_value(slot);
  *slot = *new;
  slot->key = exact_text(parent->kind == '{' ? key->data : "",
                         parent->kind == '{' ? key->length : 0);
}

static void take_away(value *parent, size_t place) {
  assert(place < parent->count);
  free_value(&parent->children[place]);
  parent->count--;
  memmove(&parent->children[place], &parent->children[place + 1],
          (parent->count - place) * sizeof *parent->children);
}

static value clone(const value *v) {
  value copy = {.kind = v->kind, .count = v->count};
  copy.text = exact_text(v->text.data, v->text.length);
  copy.key = exact_text(v->key.data, v->key.length);
  copy.children = calloc(v->count + 1, sizeof *copy.children);
  assert(copy.children);
  for (size_t i = 0; i < v->count; i++) copy.children[i] = clone(&v->children[i]);
  return copy;
}

/* What is at a pointer that is known to be good. */
static value *find(value *v, const cp_text *pointer) {
  const char *at = pointer->data, *end = at + pointer->length;
  while (at < end) {
    cp_text step = next_step(&at, end);
    size_t place = place_of(v, &step);
    free(step.data);
    assert(place < v->count);
    v = &v->children[place];
  }
  return v;
}

/* Does in the model what the editor has done; `new` is used up. */
static void edit_model(value *root, char letter, const cp_text *pointer, value *new) {
  const char *at = pointer->data, *end = at + pointer->length;
  value *v = root, *parent = NULL;
  cp_text step = {0};
  size_t place = 0;
  while (at < end) {
    free(step.data);
    step = next_step(&at, end);
    parent = v;
    place = place_of(parent, &step);
    v = place < parent->count ? &parent->children[place] : NULL;
    assert(v || at == end);
  }
  if (letter == 'a') {
    put(v, v->count, true, &step, new);
  } else if (letter == 'r') {
    take_away(parent, place);
    free_value(new);
  } else if (parent) {
    put(parent, place, letter == 'i', &step, new);
  } else {
    free_value(root);
    *root = *new;
  }
  free(step.data);
}

/* Removed, if it is moved, and then inserted: RFC 6902, 4.4 and 4.5. */
static void transfer_in_model(value *root, char letter, const cp_text *from,
                              const cp_text *pointer) {
  value copy = clone(find(root, from)), none = {0};
  if (letter == 'm' && same_bytes(from, pointer)) {
    free_value(&copy);
    return;
  }
  free(copy.key.data);
  copy.key = (cp_text){0};
  if (letter == 'm') edit_model(root, 'r', from, &none);
  edit_model(root, 'i', pointer, &copy);
}

/* The editor */

static cp_text written(const cp_tree *tree) {
  cp_text out = {0};
  const cp_node *root = &tree->root;
  assert(cp_text_add(&out, root->before.at, root->before.length) &&
         cp_node_write(root, &out) &&
         cp_text_add(&out, root->after.at, root->after.length));
  return out;
}

/* How many bytes of either are not the same at the beginning and at the end. */
static void check_outside(const cp_text *old, const cp_text *new, size_t old_value,
                          size_t value) {
  size_t most = old->length < new->length ? old->length : new->length, start = 0, end = 0;
  while (start < most && old->data[start] == new->data[start]) start++;
  while (end < most &&
         old->data[old->length - 1 - end] == new->data[new->length - 1 - end])
    end++;
  assert(start + end + old_value >= old->length || old_value == SIZE_MAX);
  assert(start + end + value >= new->length || value == SIZE_MAX);
}

static size_t length_at(cp_tree *tree, const cp_span *pointer) {
  cp_node *node;
  cp_text text = {0};
  if (cp_edit_find(tree, pointer, &node).fault != CP_FAULT_NONE) return 0;
  assert(cp_node_write(node, &text));
  size_t length = text.length;
  cp_text_free(&text);
  return length;
}

/* Does an insertion there move what is there, or replace it? */
static bool is_in_array(cp_tree *tree, const cp_text *pointer) {
  cp_node *node;
  const char *last = strrchr(pointer->data, '/');
  cp_span parent = {pointer->data, last ? (size_t)(last - pointer->data) : 0};
  return last && cp_edit_find(tree, &parent, &node).fault == CP_FAULT_NONE &&
         cp_node_kind(node) == '[';
}

static cp_edit edit(cp_tree *tree, char letter, const cp_span *pointer,
                    const cp_span *value) {
  switch (letter) {
    case 's': return cp_edit_set(tree, pointer, value);
    case 'a': return cp_edit_append(tree, pointer, value);
    case 'i': return cp_edit_add(tree, pointer, value);
    case 'p': return cp_edit_replace(tree, pointer, value);
    default: return cp_edit_remove(tree, pointer);
  }
}

/* What is taken away goes with a comma and the blanks around it. */
static void check_edit(cp_tree *tree, value *model, char letter, const cp_text *at,
                       value *new, const cp_text *text) {
  cp_span pointer = {at->data, at->length}, given = {text->data, text->length};
  cp_text before = written(tree);
  bool inserts = letter == 'a' || (letter == 'i' && is_in_array(tree, at));
  size_t there = inserts ? 0 : length_at(tree, &pointer);
  cp_edit made = edit(tree, letter, &pointer, &given);
  cp_text after = written(tree);
  if (made.fault != CP_FAULT_NONE) {
    assert(same_bytes(&before, &after) && made.length <= pointer.length);
    free_value(new);
  } else {
    bool removes = letter == 'r', whole = pointer.length == 0 && letter != 'a';
    if (!whole)
      check_outside(&before, &after, removes ? SIZE_MAX : there,
                    removes ? 0
                    : there ? given.length
                            : SIZE_MAX);
    edit_model(model, letter, at, new);
  }
  cp_text_free(&before);
  cp_text_free(&after);
}

/* A move that fails half way is the end of its patch: then nothing more is looked at. */
static bool check_transfer(cp_tree *tree, value *model, char letter, const cp_text *at,
                           const cp_text *from) {
  cp_span pointer = {at->data, at->length}, origin = {from->data, from->length};
  bool of_from;
  cp_edit made =
      (letter == 'm' ? cp_edit_move : cp_edit_copy)(tree, &origin, &pointer, &of_from);
  assert(made.length <= (of_from ? origin : pointer).length ||
         made.fault == CP_FAULT_NONE);
  if (made.fault == CP_FAULT_NONE) transfer_in_model(model, letter, from, at);
  return made.fault == CP_FAULT_NONE || letter == 'c';
}

/* Takes one line of edits, if it is a good one; false: nothing goes on from there. */
static bool take_line(cp_tree *tree, value *model, const char *line, size_t length) {
  const char *tab = memchr(line, '\t', length);
  size_t end = tab ? (size_t)(tab - line) : length;
  cp_text pointer = exact_text(line + 1, end - 1);
  cp_text text = exact_text(tab ? tab + 1 : line, tab ? length - end - 1 : 0);
  value new = {0};
  char letter = line[0];
  bool has_value = decode(text.data, text.length, &new);
  bool goes_on = true;
  if (letter == 'm' || letter == 'c')
    goes_on = check_transfer(tree, model, letter, &pointer, &text), free_value(&new);
  else if (strchr("saip", letter) ? has_value : letter == 'r')
    check_edit(tree, model, letter, &pointer, &new, &text);
  else
    free_value(&new);
  free(pointer.data);
  free(text.data);
  return goes_on;
}

static void check_result(const cp_tree *tree, const value *model) {
  value decoded;
  cp_text out = written(tree);
  assert(decode(out.data, out.length, &decoded));
  assert(same(&decoded, model));
  free_value(&decoded);
  cp_text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cp_text input = exact_text(data, size);
  const char *at = input.data, *line, *limit = input.data + size;
  const char *text = strstr(input.data, "\n\n");
  cp_tree tree = {0};
  value model;
  if (text) text += 2;
  cp_text bytes = exact_bytes(text ? text : "", text ? (size_t)(limit - text) : 0);
  cp_tree_result begun = cp_tree_begin(&tree, bytes.data, bytes.length, NULL);
  bool good = decode(bytes.data, bytes.length, &model);
  assert(begun == CP_TREE_OK || begun == CP_TREE_BAD);
  assert((begun == CP_TREE_OK) == good);
  bool goes_on = good;
  for (int i = 0; goes_on && i < EDITS_MAX && (line = at) < text - 1; i++) {
    at = strchr(line, '\n') + 1;
    if (at - line > 1 && *line != '\t')
      goes_on = take_line(&tree, &model, line, (size_t)(at - line - 1));
  }
  if (goes_on) check_result(&tree, &model);
  if (good) free_value(&model);
  cp_tree_free(&tree);
  free(bytes.data);
  free(input.data);
  return 0;
}
