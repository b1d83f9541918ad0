/*
** tree.h - a JSON text open for edits: what is not edited stays the text that it was
** A value is a span of text until somebody looks into it; then it is a list of such
** values, with the blanks, keys and colons between them as they came. Memory is given
** back all at once. Source: RFC 8259.
*/
#ifndef CP_TREE_H
#define CP_TREE_H

#include "json.h"
#include "memory.h"

typedef struct cp_span {
  const char *at;
  size_t length;
} cp_span;

typedef struct cp_node {
  struct cp_node *parent, *previous, *next;
  struct cp_node *chain;    /* the next member of the same hash, roughly */
  struct cp_inside *inside; /* NULL: nobody has looked into it */
  cp_span before, after;    /* blanks ahead of it and behind it */
  cp_json_text key;         /* of a member, between its quotes */
  cp_span head;             /* likewise: from the key's first quote to the value */
  cp_span value;            /* its text, good as long as it is not `changed` */
  unsigned hash;            /* of the key */
  bool repeated;            /* its parent has another member of that key */
  bool changed;             /* something within it is another than in `value` */
} cp_node;

/* All zero is closed. It must not be moved. */
typedef struct cp_tree {
  struct cp_block *blocks;
  cp_node root;
  size_t added; /* bytes of text that edits have brought */
} cp_tree;

/* One step of a pointer: the key, or the index as text; `end`: its end in the pointer. */
typedef struct cp_step {
  cp_span name;
  size_t end;
} cp_step;

/* The steps from a value to one within it. */
typedef struct cp_path {
  const cp_step *steps;
  size_t count;
} cp_path;

typedef enum cp_tree_result {
  CP_TREE_OK,
  CP_TREE_NO_MEMORY,
  CP_TREE_BAD, /* the text is no JSON */
} cp_tree_result;

/*
** Opens a text, which must stay as long as the tree, and looks into all that lies on the
** way. `way` may be empty.
*/
cp_tree_result cp_tree_begin(cp_tree *tree, const char *text, size_t length,
                             const cp_path *way);

/* How deep in objects and arrays a value lies. */
int cp_node_depth(const cp_node *node);

/* Looks into a value, if nobody has yet. */
cp_tree_result cp_tree_open(cp_tree *tree, cp_node *node);

/* '{', '[', '"', or the first character of another scalar. */
char cp_node_kind(const cp_node *node);

/* The first child of a value that was looked into; how many it has. */
cp_node *cp_node_first(const cp_node *node);
size_t cp_node_count(const cp_node *node);

/* The member of this key, the last one when there are several; or NULL. */
cp_node *cp_node_member(const cp_tree *tree, const cp_node *object, const cp_span *key);

/* The element at an index, from 0; or NULL. */
cp_node *cp_node_element(const cp_node *array, size_t index);

/*
** Edits. The text of a value must be JSON; it is copied. False without memory, and then
** nothing has changed. An element goes before the one at `index`, or to the end.
*/
bool cp_tree_replace(cp_tree *tree, cp_node *node, const cp_span *value);
bool cp_tree_add_member(cp_tree *tree, cp_node *object, const cp_span *key,
                        const cp_span *value);
bool cp_tree_add_element(cp_tree *tree, cp_node *array, size_t index,
                         const cp_span *value);
void cp_tree_remove(cp_node *node);

/* Memory that lasts as long as the tree; NULL without. */
void *cp_tree_alloc(cp_tree *tree, size_t size);

/* Appends the text of a value as it is now; false without memory. */
bool cp_node_write(const cp_node *node, cp_text *out);

/* A JSON string without its escapes, good as long as the tree; `at` NULL: no memory. */
cp_span cp_tree_plain(cp_tree *tree, const cp_json_text *string);

/* Appends a text as a JSON string, quotes and all; false without memory. */
bool cp_json_quote(cp_text *out, const cp_span *plain);

void cp_tree_free(cp_tree *tree);

#endif
