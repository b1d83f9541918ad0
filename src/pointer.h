/*
** pointer.h - JSON Pointer edits on an offer's text, byte for byte
** Sources: RFC 6901 (pointers), RFC 6902 (patches).
*/
#ifndef CP_POINTER_H
#define CP_POINTER_H

#include "tree.h"

typedef enum cp_fault {
  CP_FAULT_NONE,
  CP_FAULT_MEMORY,
  CP_FAULT_TEXT,      /* the text is no JSON */
  CP_FAULT_POINTER,   /* that is no pointer */
  CP_FAULT_MISSING,   /* nothing is there */
  CP_FAULT_SCALAR,    /* what is there has nothing inside */
  CP_FAULT_INDEX,     /* that is no index of an array */
  CP_FAULT_RANGE,     /* beyond the array's end */
  CP_FAULT_REPEATED,  /* the object has that key more than once */
  CP_FAULT_NO_ARRAY,  /* what is there is no array */
  CP_FAULT_ROOT,      /* the whole document can't be removed */
  CP_FAULT_INSIDE,    /* nothing can be moved into itself */
  CP_FAULT_DIFFERENT, /* a test: another value is there */
  CP_FAULT_DEPTH,     /* the value would lie too deep */
  CP_FAULT_SIZE,      /* too much was added */
  CP_FAULT_UTF8,      /* no key of JSON */
} cp_fault;

/* How an edit ended: `length` bytes of the pointer lead to what the fault speaks of. */
typedef struct cp_edit {
  cp_fault fault;
  size_t length;
} cp_edit;

/* "there is nothing at", ... : words to stand before that part of the pointer. */
const char *cp_fault_words(cp_fault fault);

/*
** Splits a pointer into the steps of a path, which the tree's memory holds. It may be one
** that is not begun yet: `cp_tree_begin` then forgets it, so use cp_edit_begin.
*/
cp_edit cp_pointer_read(cp_tree *tree, const cp_span *pointer, cp_path *path);

/* Opens a text for edits, having looked into all that lies on the way to `pointer`. */
cp_edit cp_edit_begin(cp_tree *tree, const char *text, size_t length,
                      const cp_span *pointer);

/* The value at a pointer. */
cp_edit cp_edit_find(cp_tree *tree, const cp_span *pointer, cp_node **node);

/* Puts a value there, whether or not there was one; beyond an array's end it can't be. */
cp_edit cp_edit_set(cp_tree *tree, const cp_span *pointer, const cp_span *value);

/* Puts a value at the end of the array that is there. */
cp_edit cp_edit_append(cp_tree *tree, const cp_span *pointer, const cp_span *value);

cp_edit cp_edit_remove(cp_tree *tree, const cp_span *pointer);

/* The other operations of RFC 6902, section 4. */
cp_edit cp_edit_add(cp_tree *tree, const cp_span *pointer, const cp_span *value);
cp_edit cp_edit_replace(cp_tree *tree, const cp_span *pointer, const cp_span *value);
cp_edit cp_edit_test(cp_tree *tree, const cp_span *pointer, const cp_span *value);

/* Of these a fault can speak of `from`: then `*of_from` is true. */
cp_edit cp_edit_move(cp_tree *tree, const cp_span *from, const cp_span *pointer,
                     bool *of_from);
cp_edit cp_edit_copy(cp_tree *tree, const cp_span *from, const cp_span *pointer,
                     bool *of_from);

/* Appends a step to a pointer, escaped; false without memory. */
bool cp_pointer_add(cp_text *pointer, const cp_span *step);

#endif
