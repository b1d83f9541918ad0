/*
** tree.c - a JSON text open for edits: what is not edited stays the text that it was
*/
#include "tree.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Memory */

typedef struct cp_block {
  struct cp_block *next;
  size_t used, size;
  max_align_t data[];
} cp_block;

#define BLOCK_MIN 4096
#define BLOCK_MAX (1024 * 1024)

static size_t aligned(size_t size) {
  return (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
}

/* Each is twice as large as the last, so a small text costs little, and a large one. */
static cp_block *add_block(cp_tree *tree, size_t size) {
  size_t grown = tree->blocks ? tree->blocks->size * 2 : BLOCK_MIN;
  if (grown > BLOCK_MAX) grown = BLOCK_MAX;
  if (grown < size) grown = size;
  cp_block *block = cp_calloc(sizeof *block + grown);
  if (!block) return NULL;
  block->size = grown;
  block->next = tree->blocks;
  return tree->blocks = block;
}

void *cp_tree_alloc(cp_tree *tree, size_t size) {
  cp_block *block = tree->blocks;
  if (size > SIZE_MAX / 4) return NULL;
  size = aligned(size ? size : 1);
  if (!block || block->size - block->used < size) block = add_block(tree, size);
  if (!block) return NULL;
  char *memory = (char *)block->data + block->used;
  block->used += size;
  return memory;
}

void cp_tree_free(cp_tree *tree) {
  while (tree->blocks) {
    cp_block *block = tree->blocks;
    tree->blocks = block->next;
    cp_free(block);
  }
  *tree = (cp_tree){0};
}

/* What is inside of an object or array */

typedef struct cp_inside {
  cp_node *first, *last;
  size_t count;
  cp_span blanks;  /* between the brackets when there is nothing else */
  cp_node **index; /* of an array its elements, of an object its buckets; NULL: none */
  size_t size;
} cp_inside;

/* An object with fewer members is searched one by one. */
#define BUCKETS_FROM 8

char cp_node_kind(const cp_node *node) {
  return *node->value.at;
}

cp_node *cp_node_first(const cp_node *node) {
  return node->inside ? node->inside->first : NULL;
}

size_t cp_node_count(const cp_node *node) {
  return node->inside ? node->inside->count : 0;
}

/* FNV-1a from a start that nobody outside can know, least of all the text's author. */
static unsigned hash_of(const cp_tree *tree, const char *text, size_t length) {
  unsigned hash = 2166136261u ^ (unsigned)((uintptr_t)tree >> 4);
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
  return hash ^ hash >> 15;
}

static bool is_key(const cp_node *node, const cp_span *key) {
  char plain[256];
  const cp_json_text *own = &node->key;
  if (!own->escaped)
    return own->length == key->length && memcmp(own->at, key->at, key->length) == 0;
  if (own->length < key->length || own->length > 6 * key->length) return false;
  char *memory = own->length > sizeof plain ? cp_calloc(own->length) : plain;
  if (!memory) return true; /* as their hashes say: better that than a second one */
  size_t length = cp_json_unescape(own, memory);
  bool same = length == key->length && memcmp(memory, key->at, length) == 0;
  if (memory != plain) cp_free(memory);
  return same;
}

static cp_node *find_in_list(const cp_inside *inside, unsigned hash, const cp_span *key) {
  for (cp_node *node = inside->last; node; node = node->previous)
    if (node->hash == hash && is_key(node, key)) return node;
  return NULL;
}

static cp_node **bucket(const cp_inside *inside, unsigned hash) {
  return &inside->index[hash & (inside->size - 1)];
}

static cp_node *find_in_bucket(const cp_inside *inside, unsigned hash,
                               const cp_span *key) {
  for (cp_node *node = *bucket(inside, hash); node; node = node->chain)
    if (node->hash == hash && is_key(node, key)) return node;
  return NULL;
}

static cp_node *find_member(const cp_inside *inside, unsigned hash, const cp_span *key) {
  if (!inside) return NULL;
  return inside->index ? find_in_bucket(inside, hash, key)
                       : find_in_list(inside, hash, key);
}

cp_node *cp_node_member(const cp_tree *tree, const cp_node *object, const cp_span *key) {
  return find_member(object->inside, hash_of(tree, key->at, key->length), key);
}

cp_node *cp_node_element(const cp_node *array, size_t index) {
  return array->inside && index < array->inside->count ? array->inside->index[index]
                                                       : NULL;
}

static void put_in_bucket(cp_inside *inside, cp_node *node) {
  cp_node **head = bucket(inside, node->hash);
  node->chain = *head;
  *head = node;
}

/* Twice as many buckets as members, at least. */
static bool make_buckets(cp_tree *tree, cp_inside *inside) {
  size_t size = BUCKETS_FROM * 4;
  while (size < inside->count * 4) size *= 2;
  cp_node **buckets = cp_tree_alloc(tree, size * sizeof *buckets);
  if (!buckets) return false;
  inside->index = buckets;
  inside->size = size;
  for (cp_node *node = inside->first; node; node = node->next)
    put_in_bucket(inside, node);
  return true;
}

/* Room in the index for one child more. */
static bool reserve_member(cp_tree *tree, cp_inside *inside) {
  bool few = inside->count < BUCKETS_FROM;
  return few || inside->count < inside->size / 2 || make_buckets(tree, inside);
}

static bool reserve_element(cp_tree *tree, cp_inside *inside) {
  if (inside->count < inside->size) return true;
  size_t size = inside->size ? inside->size * 2 : 8;
  cp_node **elements = cp_tree_alloc(tree, size * sizeof *elements);
  if (!elements) return false;
  if (inside->count) memcpy(elements, inside->index, inside->count * sizeof *elements);
  inside->index = elements;
  inside->size = size;
  return true;
}

/* Puts a child before another of the list, or at its end. */
static void link_before(cp_inside *inside, cp_node *node, cp_node *other) {
  node->next = other;
  node->previous = other ? other->previous : inside->last;
  *(node->previous ? &node->previous->next : &inside->first) = node;
  *(other ? &other->previous : &inside->last) = node;
  inside->count++;
}

static bool link_member(cp_tree *tree, cp_inside *inside, cp_node *node) {
  if (!reserve_member(tree, inside)) return false;
  link_before(inside, node, NULL);
  if (inside->index) put_in_bucket(inside, node);
  return true;
}

static bool link_element(cp_tree *tree, cp_inside *inside, cp_node *node, size_t index) {
  if (!reserve_element(tree, inside)) return false;
  cp_node **place = inside->index + index;
  cp_node *other = index < inside->count ? *place : NULL;
  memmove(place + 1, place, (inside->count - index) * sizeof *place);
  *place = node;
  link_before(inside, node, other);
  return true;
}

/* Reading */

static cp_span span(const char *start, const char *end) {
  return (cp_span){start, (size_t)(end - start)};
}

static cp_tree_result read_value(cp_tree *tree, cp_json *json, cp_node *node,
                                 const cp_path *way);

cp_span cp_tree_plain(cp_tree *tree, const cp_json_text *string) {
  if (!string->escaped) return (cp_span){string->at, string->length};
  char *plain = cp_tree_alloc(tree, string->length);
  return (cp_span){plain, plain ? cp_json_unescape(string, plain) : 0};
}

/* Reads a member's key and links it; two of the same key know of each other. */
static cp_tree_result read_key(cp_tree *tree, cp_json *json, cp_node *node) {
  const char *start = json->at;
  if (!cp_json_key(json, &node->key)) return CP_TREE_BAD;
  cp_json_peek(json);
  node->head = span(start, json->at);
  cp_span key = cp_tree_plain(tree, &node->key);
  if (!key.at) return CP_TREE_NO_MEMORY;
  node->hash = hash_of(tree, key.at, key.length);
  cp_node *other = find_member(node->parent->inside, node->hash, &key);
  if (other) other->repeated = node->repeated = true;
  return link_member(tree, node->parent->inside, node) ? CP_TREE_OK : CP_TREE_NO_MEMORY;
}

/* What is left of the way behind this child; nothing when it leads elsewhere. */
static cp_path way_behind(const cp_node *node, size_t index, const cp_path *way) {
  char digits[24];
  if (way->count == 0) return (cp_path){0};
  const cp_span *name = &way->steps->name;
  bool on_way = node->head.length ? is_key(node, name) : false;
  if (!node->head.length && name->length < sizeof digits)
    on_way = (size_t)snprintf(digits, sizeof digits, "%zu", index) == name->length &&
             memcmp(digits, name->at, name->length) == 0;
  return on_way ? (cp_path){way->steps + 1, way->count - 1} : (cp_path){0};
}

/* The blanks ahead of a child begin at `start`: its bracket or comma is just before. */
static cp_node *new_node(cp_tree *tree, cp_json *json, cp_node *parent,
                         const char *start) {
  cp_node *node = cp_tree_alloc(tree, sizeof *node);
  if (!node) return NULL;
  cp_json_peek(json);
  node->parent = parent;
  node->before = span(start, json->at);
  return node;
}

static cp_tree_result link_child(cp_tree *tree, cp_json *json, cp_node *node) {
  cp_inside *inside = node->parent->inside;
  if (cp_node_kind(node->parent) == '{') return read_key(tree, json, node);
  return link_element(tree, inside, node, inside->count) ? CP_TREE_OK : CP_TREE_NO_MEMORY;
}

static cp_tree_result read_child(cp_tree *tree, cp_json *json, cp_node *parent,
                                 const cp_path *way, const char *start) {
  size_t index = parent->inside->count;
  cp_node *node = new_node(tree, json, parent, start);
  cp_tree_result result = node ? link_child(tree, json, node) : CP_TREE_NO_MEMORY;
  if (result != CP_TREE_OK) return result;
  cp_path rest = way_behind(node, index, way);
  result = read_value(tree, json, node, rest.steps ? &rest : NULL);
  const char *end = json->at;
  cp_json_peek(json);
  node->after = span(end, json->at);
  return result;
}

static cp_tree_result read_children(cp_tree *tree, cp_json *json, cp_node *node,
                                    const cp_path *way) {
  char open = *json->at, close = open == '{' ? '}' : ']';
  const char *start = json->at + 1;
  for (bool more = cp_json_open(json, open); more; more = cp_json_more(json, close)) {
    bool is_first = !node->inside->first;
    cp_tree_result result =
        read_child(tree, json, node, way, is_first ? start : json->at);
    if (result != CP_TREE_OK) return result;
  }
  if (json->bad) return CP_TREE_BAD;
  if (!node->inside->first) node->inside->blanks = span(start, json->at - 1);
  return CP_TREE_OK;
}

/* Reads a value, and looks into it when it is on the way; NULL: it is not. */
static cp_tree_result read_value(cp_tree *tree, cp_json *json, cp_node *node,
                                 const cp_path *way) {
  char kind = cp_json_peek(json);
  const char *start = json->at;
  cp_tree_result result = CP_TREE_OK;
  node->value.at = start;
  if (way && (kind == '{' || kind == '[')) {
    node->inside = cp_tree_alloc(tree, sizeof *node->inside);
    result = node->inside ? read_children(tree, json, node, way) : CP_TREE_NO_MEMORY;
  } else if (!cp_json_skip(json)) {
    result = CP_TREE_BAD;
  }
  node->value = span(start, json->at);
  return result;
}

cp_tree_result cp_tree_begin(cp_tree *tree, const char *text, size_t length,
                             const cp_path *way) {
  cp_json json;
  cp_json_begin(&json, text, length);
  *tree = (cp_tree){0};
  cp_json_peek(&json);
  tree->root.before = span(text, json.at);
  cp_tree_result result = read_value(tree, &json, &tree->root, way);
  const char *end = json.at;
  if (result == CP_TREE_OK && !cp_json_ended(&json)) result = CP_TREE_BAD;
  tree->root.after = span(end, json.at);
  if (result != CP_TREE_OK) cp_tree_free(tree);
  return result;
}

int cp_node_depth(const cp_node *node) {
  int depth = 0;
  for (; node->parent; node = node->parent) depth++;
  return depth;
}

/* Its text was good when it came: only want of memory can keep it closed. */
cp_tree_result cp_tree_open(cp_tree *tree, cp_node *node) {
  static const cp_path here = {0};
  char kind = cp_node_kind(node);
  if (node->inside || (kind != '{' && kind != '[')) return CP_TREE_OK;
  cp_json json;
  cp_json_begin(&json, node->value.at, node->value.length);
  json.depth = cp_node_depth(node);
  cp_tree_result result = read_value(tree, &json, node, &here);
  if (result != CP_TREE_OK) node->inside = NULL;
  return result;
}

/* Editing */

static void mark_changed(cp_node *node) {
  for (; node && !node->changed; node = node->parent) node->changed = true;
}

static bool copy(cp_tree *tree, const cp_span *text, cp_span *copied) {
  char *memory = cp_tree_alloc(tree, text->length);
  if (!memory) return false;
  memcpy(memory, text->at, text->length);
  tree->added += text->length;
  *copied = (cp_span){memory, text->length};
  return true;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Without the blanks around it: a value's first byte tells its kind. */
static bool copy_value(cp_tree *tree, const cp_span *value, cp_span *copied) {
  const char *start = value->at, *end = start + value->length;
  while (start < end && is_blank(*start)) start++;
  while (end > start && is_blank(end[-1])) end--;
  const cp_span trimmed = span(start, end);
  return copy(tree, &trimmed, copied);
}

bool cp_tree_replace(cp_tree *tree, cp_node *node, const cp_span *value) {
  cp_span copied;
  if (!copy_value(tree, value, &copied)) return false;
  node->value = copied;
  node->inside = NULL;
  node->changed = false;
  mark_changed(node->parent);
  return true;
}

static cp_node *new_child(cp_tree *tree, cp_node *parent, const cp_span *value) {
  cp_node *node = cp_tree_alloc(tree, sizeof *node);
  if (!node || !copy_value(tree, value, &node->value)) return NULL;
  node->parent = parent;
  return node;
}

/* The colon of a member, with the blanks about it. */
static cp_span colon_of(const cp_node *node) {
  const char *key_end = node->key.at + node->key.length + 1;
  return span(key_end, node->head.at + node->head.length);
}

/* A new member's colon has the blanks of its neighbour's. */
static bool set_head(cp_tree *tree, cp_node *node, const cp_node *neighbour,
                     const cp_span *key) {
  cp_text head = {0};
  cp_span colon = neighbour ? colon_of(neighbour) : (cp_span){":", 1}, copied;
  bool ok = cp_json_quote(&head, key) && cp_text_add(&head, colon.at, colon.length);
  cp_span made = {head.data, head.length};
  ok = ok && copy(tree, &made, &copied);
  cp_text_free(&head);
  if (!ok) return false;
  node->head = copied;
  size_t length = copied.length - colon.length - 2;
  node->key = (cp_json_text){copied.at + 1, length, memchr(copied.at, '\\', length + 1)};
  node->hash = hash_of(tree, key->at, key->length);
  return true;
}

/* Blanks as they stand between the others: a list of lines stays one. */
static void lay_out_last(cp_node *node, cp_node *previous) {
  if (!previous) return;
  node->before = previous->before;
  node->after = previous->after;
  previous->after = (cp_span){0};
}

bool cp_tree_add_member(cp_tree *tree, cp_node *object, const cp_span *key,
                        const cp_span *value) {
  cp_inside *inside = object->inside;
  cp_node *last = inside->last, *node = new_child(tree, object, value);
  if (!node || !set_head(tree, node, last, key)) return false;
  if (!link_member(tree, inside, node)) return false;
  lay_out_last(node, last);
  mark_changed(object);
  return true;
}

static void lay_out_before(cp_node *node, cp_node *next) {
  const cp_node *sample = next->next ? next->next : next;
  node->before = next->before;
  if (!node->previous) next->before = sample->before;
}

bool cp_tree_add_element(cp_tree *tree, cp_node *array, size_t index,
                         const cp_span *value) {
  cp_inside *inside = array->inside;
  cp_node *last = inside->last, *node = new_child(tree, array, value);
  if (index > inside->count) index = inside->count;
  if (!node || !link_element(tree, inside, node, index)) return false;
  if (node->next)
    lay_out_before(node, node->next);
  else
    lay_out_last(node, last);
  mark_changed(array);
  return true;
}

static void leave_bucket(cp_inside *inside, cp_node *node) {
  cp_node **link = bucket(inside, node->hash);
  while (*link != node) link = &(*link)->chain;
  *link = node->chain;
}

static size_t index_of(const cp_inside *inside, const cp_node *node) {
  size_t index = 0;
  while (inside->index[index] != node) index++;
  return index;
}

static void leave_elements(cp_inside *inside, cp_node *node) {
  size_t index = index_of(inside, node);
  cp_node **place = inside->index + index;
  memmove(place, place + 1, (inside->count - index - 1) * sizeof *place);
}

/* One comma goes with it, and the blanks between it and the child before. */
void cp_tree_remove(cp_node *node) {
  cp_node *parent = node->parent;
  cp_inside *inside = parent->inside;
  if (cp_node_kind(parent) == '[')
    leave_elements(inside, node);
  else if (inside->index)
    leave_bucket(inside, node);
  if (!node->previous && node->next) node->next->before = node->before;
  if (!node->next && node->previous) node->previous->after = node->after;
  *(node->previous ? &node->previous->next : &inside->first) = node->next;
  *(node->next ? &node->next->previous : &inside->last) = node->previous;
  inside->count--;
  mark_changed(parent);
}

/* Writing */

static bool put(cp_text *out, const cp_span *text) {
  return cp_text_add(out, text->at, text->length);
}

static bool write_child(const cp_node *node, cp_text *out) {
  return (!node->previous || cp_text_putc(out, ',')) && put(out, &node->before) &&
         put(out, &node->head) && cp_node_write(node, out) && put(out, &node->after);
}

bool cp_node_write(const cp_node *node, cp_text *out) {
  if (!node->changed) return put(out, &node->value);
  char open = cp_node_kind(node);
  bool ok = cp_text_putc(out, open) && put(out, &node->inside->blanks);
  for (const cp_node *child = node->inside->first; ok && child; child = child->next)
    ok = write_child(child, out);
  return ok && cp_text_putc(out, open == '{' ? '}' : ']');
}

static bool put_escaped(cp_text *out, unsigned char c) {
  static const char named[] = "\bb\ff\nn\rr\tt\"\"\\\\";
  const char *found = c ? strchr(named, c) : NULL;
  if (found) return cp_text_putc(out, '\\') && cp_text_putc(out, found[1]);
  return cp_text_printf(out, "\\u%04x", c);
}

bool cp_json_quote(cp_text *out, const cp_span *plain) {
  bool ok = cp_text_putc(out, '"');
  const char *start = plain->at, *end = start + plain->length;
  for (const char *at = start; ok && at < end; at++) {
    unsigned char c = (unsigned char)*at;
    if (c >= ' ' && c != '"' && c != '\\') continue;
    ok = cp_text_add(out, start, (size_t)(at - start)) && put_escaped(out, c);
    start = at + 1;
  }
  return ok && cp_text_add(out, start, (size_t)(end - start)) && cp_text_putc(out, '"');
}
