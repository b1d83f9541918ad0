/*
** ids.h - a set of ids, made once: what an offer's list held at one moment
*/
#ifndef CP_IDS_H
#define CP_IDS_H

#include <stdbool.h>
#include <stddef.h>

/* Sorted, each id once. All zero is empty. */
typedef struct cp_ids {
  char **ids; /* one block of memory, the texts in it too */
  size_t count;
} cp_ids;

/* Replaces a set by that of these ids; false, and nothing changed, without memory. */
bool cp_ids_make(cp_ids *set, const char *const *ids, size_t count);

bool cp_ids_hold(const cp_ids *set, const char *id);

void cp_ids_free(cp_ids *set);

#endif
