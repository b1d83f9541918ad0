/*
** pointer.c - JSON Pointer edits on an offer's text, byte for byte
*/
#include "pointer.h"

#include <string.h>

#include "compare.h"

/* As much text as edits may bring, in bytes: copies of copies grow fast. */
#define ADDED_MAX ((size_t)256 * 1024 * 1024)

const char *cp_fault_words(cp_fault fault) {
  static const char *const words[] = {
      [CP_FAULT_NONE] = "done",
      [CP_FAULT_MEMORY] = "not enough memory for",
      [CP_FAULT_TEXT] = "the text is no JSON; asked for",
      [CP_FAULT_POINTER] = "no JSON Pointer (RFC 6901):",
      [CP_FAULT_MISSING] = "there is nothing at",
      [CP_FAULT_SCALAR] = "there is neither an object nor an array at",
      [CP_FAULT_INDEX] = "no index of an array:",
      [CP_FAULT_RANGE] = "beyond the end of the array:",
      [CP_FAULT_REPEATED] = "the document has more than one of",
      [CP_FAULT_NO_ARRAY] = "there is no array at",
      [CP_FAULT_ROOT] = "the whole document can't be removed:",
      [CP_FAULT_INSIDE] = "nothing can be moved into itself:",
      [CP_FAULT_DIFFERENT] = "another value is at",
      [CP_FAULT_DEPTH] = "nested too deep:",
      [CP_FAULT_SIZE] = "too much text was added, at",
      [CP_FAULT_UTF8] = "a key must be UTF-8:",
  };
  return words[fault];
}

static const cp_edit done = {CP_FAULT_NONE, 0};

static cp_edit fail(cp_fault fault, size_t length) {
  return (cp_edit){fault, length};
}

/* Pointers */

static size_t count_steps(const cp_span *pointer) {
  size_t count = 0;
  for (size_t i = 0; i < pointer->length; i++) count += pointer->at[i] == '/';
  return count;
}

/* Moves `*at` past one step and writes it to `plain`; -1 for a bad escape. */
static long read_step(const char **at, const char *end, char *plain) {
  char *start = plain;
  while (*at < end && **at != '/') {
    char c = *(*at)++;
    if (c == '~') {
      if (*at == end || (**at != '0' && **at != '1')) return -1;
      c = *(*at)++ == '0' ? '~' : '/';
    }
    *plain++ = c;
  }
  return plain - start;
}

static cp_edit read_steps(const cp_span *pointer, cp_step *steps, char *plain) {
  const char *at = pointer->at, *end = at + pointer->length;
  for (; at < end; steps++) {
    if (*at++ != '/') return fail(CP_FAULT_POINTER, pointer->length);
    long length = read_step(&at, end, plain);
    if (length < 0) return fail(CP_FAULT_POINTER, pointer->length);
    *steps = (cp_step){{plain, (size_t)length}, (size_t)(at - pointer->at)};
    plain += length;
  }
  return done;
}

/* No value lies deeper than the text may be nested: a longer pointer is missing. */
cp_edit cp_pointer_read(cp_tree *tree, const cp_span *pointer, cp_path *path) {
  size_t count = count_steps(pointer);
  if (count > CP_JSON_DEPTH) return fail(CP_FAULT_MISSING, pointer->length);
  if (pointer->length && *pointer->at != '/')
    return fail(CP_FAULT_POINTER, pointer->length);
  cp_step *steps = cp_tree_alloc(tree, count * sizeof *steps);
  char *plain = cp_tree_alloc(tree, pointer->length);
  if (!steps || !plain) return fail(CP_FAULT_MEMORY, pointer->length);
  *path = (cp_path){steps, count};
  return read_steps(pointer, steps, plain);
}

bool cp_pointer_add(cp_text *pointer, const cp_span *step) {
  bool ok = cp_text_putc(pointer, '/');
  for (size_t i = 0; ok && i < step->length; i++) {
    char c = step->at[i];
    if (c == '~' || c == '/')
      ok = cp_text_puts(pointer, c == '~' ? "~0" : "~1");
    else
      ok = cp_text_putc(pointer, c);
  }
  return ok;
}

/* The tree has its own memory, so the way that it is to look along has another's. */
cp_edit cp_edit_begin(cp_tree *tree, const char *text, size_t length,
                      const cp_span *pointer) {
  static const cp_fault faults[] = {[CP_TREE_OK] = CP_FAULT_NONE,
                                    [CP_TREE_NO_MEMORY] = CP_FAULT_MEMORY,
                                    [CP_TREE_BAD] = CP_FAULT_TEXT};
  cp_tree scratch = {0};
  cp_path way = {0};
  cp_edit edit = cp_pointer_read(&scratch, pointer, &way);
  if (edit.fault == CP_FAULT_MISSING) edit = done; /* the edit itself will find that */
  if (edit.fault == CP_FAULT_NONE)
    edit = fail(faults[cp_tree_begin(tree, text, length, &way)], pointer->length);
  cp_tree_free(&scratch);
  return edit;
}

/* Finding */

/*
** An index is 0, or digits without a leading zero: RFC 6901, section 4. One that does not
** fit is beyond the end of any array. False: it is none.
*/
static bool read_index(const cp_span *name, size_t *index) {
  *index = 0;
  if (name->length == 0 || (name->length > 1 && *name->at == '0')) return false;
  for (size_t i = 0; i < name->length; i++) {
    if (name->at[i] < '0' || name->at[i] > '9') return false;
    if (i < 18) *index = *index * 10 + (size_t)(name->at[i] - '0');
  }
  return true;
}

static bool is_end(const cp_span *name) {
  return name->length == 1 && *name->at == '-';
}

/* The child that a step leads to; NULL when the parent could have it, but has not. */
static cp_edit step_to(cp_tree *tree, cp_node *parent, const cp_step *step,
                       size_t parent_end, cp_node **child) {
  size_t index;
  char kind = cp_node_kind(parent);
  if (kind != '{' && kind != '[') return fail(CP_FAULT_SCALAR, parent_end);
  if (cp_tree_open(tree, parent) != CP_TREE_OK) return fail(CP_FAULT_MEMORY, step->end);
  if (kind == '{') {
    *child = cp_node_member(tree, parent, &step->name);
    return *child && (*child)->repeated ? fail(CP_FAULT_REPEATED, step->end) : done;
  }
  *child = NULL;
  if (is_end(&step->name)) return done;
  if (!read_index(&step->name, &index)) return fail(CP_FAULT_INDEX, step->end);
  *child = cp_node_element(parent, index);
  return index > cp_node_count(parent) ? fail(CP_FAULT_RANGE, step->end) : done;
}

static cp_edit walk(cp_tree *tree, const cp_path *path, size_t count, cp_node **node) {
  size_t end = 0;
  *node = &tree->root;
  for (size_t i = 0; i < count; i++) {
    const cp_step *step = &path->steps[i];
    cp_edit edit = step_to(tree, *node, step, end, node);
    if (edit.fault != CP_FAULT_NONE) return edit;
    if (!*node) return fail(CP_FAULT_MISSING, step->end);
    end = step->end;
  }
  return done;
}

cp_edit cp_edit_find(cp_tree *tree, const cp_span *pointer, cp_node **node) {
  cp_path path;
  cp_edit edit = cp_pointer_read(tree, pointer, &path);
  return edit.fault == CP_FAULT_NONE ? walk(tree, &path, path.count, node) : edit;
}

/* Where an edit is to be made. The whole document has neither parent nor step. */
typedef struct place {
  cp_node *parent, *node; /* node NULL: nothing is there yet */
  const cp_step *step;
  size_t end; /* of the pointer */
} place;

static cp_edit find_place(cp_tree *tree, const cp_span *pointer, place *found) {
  cp_path path;
  *found = (place){.end = pointer->length};
  cp_edit edit = cp_pointer_read(tree, pointer, &path);
  if (edit.fault != CP_FAULT_NONE) return edit;
  if (path.count == 0) {
    found->node = &tree->root;
    return done;
  }
  edit = walk(tree, &path, path.count - 1, &found->parent);
  if (edit.fault != CP_FAULT_NONE) return edit;
  found->step = &path.steps[path.count - 1];
  size_t parent_end = path.count > 1 ? found->step[-1].end : 0;
  return step_to(tree, found->parent, found->step, parent_end, &found->node);
}

/* Editing */

/* Is there room for this value, as deep as it is to lie? */
static cp_edit check_value(const cp_tree *tree, const place *at, const cp_span *value) {
  cp_json json;
  cp_json_begin(&json, value->at, value->length);
  json.depth = at->parent ? cp_node_depth(at->parent) + 1 : 0;
  if (!cp_json_skip(&json)) return fail(CP_FAULT_DEPTH, at->end);
  return tree->added + value->length > ADDED_MAX ? fail(CP_FAULT_SIZE, at->end) : done;
}

static cp_edit made(bool ok, const place *at) {
  return ok ? done : fail(CP_FAULT_MEMORY, at->end);
}

/* Where nothing is: a new member, or an element before the one at that index. */
static bool insert(cp_tree *tree, const place *at, const cp_span *value) {
  size_t index = cp_node_count(at->parent);
  const cp_span *name = &at->step->name;
  if (cp_node_kind(at->parent) == '{')
    return cp_tree_add_member(tree, at->parent, name, value);
  if (!is_end(name)) read_index(name, &index);
  return cp_tree_add_element(tree, at->parent, index, value);
}

/* What others have written is kept; what is new here is good JSON. */
static cp_edit check_key(const place *at) {
  bool is_new = !at->node && at->step && cp_node_kind(at->parent) == '{';
  bool good = !is_new || cp_is_utf8(at->step->name.at, at->step->name.length);
  return good ? done : fail(CP_FAULT_UTF8, at->end);
}

static cp_edit put(cp_tree *tree, const cp_span *pointer, const cp_span *value,
                   bool inserts) {
  place at;
  cp_edit edit = find_place(tree, pointer, &at);
  if (edit.fault == CP_FAULT_NONE) edit = check_key(&at);
  if (edit.fault == CP_FAULT_NONE) edit = check_value(tree, &at, value);
  if (edit.fault != CP_FAULT_NONE) return edit;
  bool before = inserts && at.parent && cp_node_kind(at.parent) == '[';
  return made(at.node && !before ? cp_tree_replace(tree, at.node, value)
                                 : insert(tree, &at, value),
              &at);
}

cp_edit cp_edit_set(cp_tree *tree, const cp_span *pointer, const cp_span *value) {
  return put(tree, pointer, value, false);
}

cp_edit cp_edit_add(cp_tree *tree, const cp_span *pointer, const cp_span *value) {
  return put(tree, pointer, value, true);
}

/* What is there must be an array: its end is where nothing is yet. */
cp_edit cp_edit_append(cp_tree *tree, const cp_span *pointer, const cp_span *value) {
  static const cp_step end = {{"-", 1}, 0};
  place at = {.step = &end, .end = pointer->length};
  cp_edit edit = cp_edit_find(tree, pointer, &at.parent);
  if (edit.fault != CP_FAULT_NONE) return edit;
  if (cp_node_kind(at.parent) != '[') return fail(CP_FAULT_NO_ARRAY, pointer->length);
  if (cp_tree_open(tree, at.parent) != CP_TREE_OK) return made(false, &at);
  edit = check_value(tree, &at, value);
  return edit.fault == CP_FAULT_NONE ? made(insert(tree, &at, value), &at) : edit;
}

static cp_edit find_existing(cp_tree *tree, const cp_span *pointer, place *at) {
  cp_edit edit = find_place(tree, pointer, at);
  if (edit.fault == CP_FAULT_NONE && !at->node)
    return fail(CP_FAULT_MISSING, pointer->length);
  return edit;
}

cp_edit cp_edit_remove(cp_tree *tree, const cp_span *pointer) {
  place at;
  cp_edit edit = find_existing(tree, pointer, &at);
  if (edit.fault != CP_FAULT_NONE) return edit;
  if (!at.parent) return fail(CP_FAULT_ROOT, 0);
  cp_tree_remove(at.node);
  return done;
}

cp_edit cp_edit_replace(cp_tree *tree, const cp_span *pointer, const cp_span *value) {
  place at;
  cp_edit edit = find_existing(tree, pointer, &at);
  if (edit.fault == CP_FAULT_NONE) edit = check_value(tree, &at, value);
  if (edit.fault != CP_FAULT_NONE) return edit;
  return made(cp_tree_replace(tree, at.node, value), &at);
}

cp_edit cp_edit_test(cp_tree *tree, const cp_span *pointer, const cp_span *value) {
  bool same = false;
  cp_node *node;
  cp_edit edit = cp_edit_find(tree, pointer, &node);
  if (edit.fault != CP_FAULT_NONE) return edit;
  cp_tree other;
  cp_tree_result begun = cp_tree_begin(&other, value->at, value->length, NULL);
  bool ok = begun == CP_TREE_OK && cp_same(tree, node, &other, &other.root, &same);
  cp_tree_free(&other);
  if (begun == CP_TREE_BAD) return fail(CP_FAULT_DEPTH, pointer->length);
  if (!ok) return fail(CP_FAULT_MEMORY, pointer->length);
  return same ? done : fail(CP_FAULT_DIFFERENT, pointer->length);
}

static bool same_bytes(const cp_span *a, const cp_span *b) {
  return a->length == b->length && memcmp(a->at, b->at, a->length) == 0;
}

/* Does `pointer` lead into what is at `from`? */
static bool leads_into(const cp_span *pointer, const cp_span *from) {
  return pointer->length > from->length && pointer->at[from->length] == '/' &&
         memcmp(pointer->at, from->at, from->length) == 0;
}

/* The text at `from` as it is now. */
static cp_edit take_text(cp_tree *tree, const cp_span *from, cp_text *text) {
  cp_node *node;
  cp_edit edit = cp_edit_find(tree, from, &node);
  if (edit.fault != CP_FAULT_NONE) return edit;
  return cp_node_write(node, text) ? done : fail(CP_FAULT_MEMORY, from->length);
}

cp_edit cp_edit_copy(cp_tree *tree, const cp_span *from, const cp_span *pointer,
                     bool *of_from) {
  cp_text text = {.limit = ADDED_MAX};
  cp_edit edit = take_text(tree, from, &text);
  *of_from = edit.fault != CP_FAULT_NONE;
  if (!*of_from) edit = cp_edit_add(tree, pointer, &(cp_span){text.data, text.length});
  cp_text_free(&text);
  return edit;
}

/* Removed, then added: in an array the indexes are those without it. */
cp_edit cp_edit_move(cp_tree *tree, const cp_span *from, const cp_span *pointer,
                     bool *of_from) {
  cp_text text = {.limit = ADDED_MAX};
  *of_from = true;
  bool nowhere = same_bytes(pointer, from); /* that changes nothing */
  if (from->length == 0 && !nowhere) return fail(CP_FAULT_INSIDE, 0);
  if (leads_into(pointer, from)) return fail(CP_FAULT_INSIDE, from->length);
  cp_edit edit = take_text(tree, from, &text);
  if (edit.fault == CP_FAULT_NONE && !nowhere) edit = cp_edit_remove(tree, from);
  if (edit.fault == CP_FAULT_NONE && !nowhere) {
    *of_from = false;
    edit = cp_edit_add(tree, pointer, &(cp_span){text.data, text.length});
  }
  cp_text_free(&text);
  return edit;
}
