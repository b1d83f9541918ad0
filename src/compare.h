/*
** compare.h - where two JSON texts differ
** Order of members, blanks, escapes and the spelling of numbers make no difference:
** RFC 6902, section 4.6.
*/
#ifndef CP_COMPARE_H
#define CP_COMPARE_H

#include "tree.h"

/* Told the pointer of each difference; false ends the comparison. */
typedef bool (*cp_differs)(void *context, const cp_text *pointer);

/* A `cp_differs` that notes the pointer in a cp_text, its length before it. */
bool cp_note_pointer(void *text, const cp_text *pointer);

/* Does a member of this key not count? `at_top`: it is the whole document's own. */
typedef bool (*cp_ignores)(const cp_span *key, bool at_top);

/*
** Compares two values and tells each place at which they differ: a value that is another,
** or that only one of them has. `ignores` may be NULL. False without memory, or when
** `told` said so.
*/
bool cp_compare(cp_tree *a, cp_node *of_a, cp_tree *b, cp_node *of_b, cp_ignores ignores,
                cp_differs told, void *context);

/* Are two values the same? `*same` is the answer; false without memory. */
bool cp_same(cp_tree *a, cp_node *of_a, cp_tree *b, cp_node *of_b, bool *same);

/* Are two texts the same document? Texts that are no JSON are not. */
bool cp_same_document(const cp_span *a, const cp_span *b, cp_ignores ignores, bool *same);

/* Do two JSON numbers mean the same? Exactly, however large they are. */
bool cp_same_number(const cp_span *a, const cp_span *b);

#endif
