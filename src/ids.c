/*
** ids.c - a set of ids, made once: what an offer's list held at one moment
*/
#include "ids.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

static int compare(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t length_of_all(const char *const *ids, size_t count) {
  size_t length = 0;
  for (size_t i = 0; i < count; i++) length += strlen(ids[i]) + 1;
  return length;
}

/* Copies the texts behind the pointers to them. */
static void fill(char **copies, const char *const *ids, size_t count) {
  char *place = (char *)(copies + count);
  for (size_t i = 0; i < count; i++) {
    size_t size = strlen(ids[i]) + 1;
    copies[i] = memcpy(place, ids[i], size);
    place += size;
  }
}

/* Drops what is the same as its neighbour; gives the new count. */
static size_t drop_doubles(char **ids, size_t count) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++)
    if (kept == 0 || strcmp(ids[kept - 1], ids[i]) != 0) ids[kept++] = ids[i];
  return kept;
}

bool cp_ids_make(cp_ids *set, const char *const *ids, size_t count) {
  char **copies = NULL;
  if (count) {
    copies = cp_calloc(count * sizeof *copies + length_of_all(ids, count));
    if (!copies) return false;
    fill(copies, ids, count);
    qsort(copies, count, sizeof *copies, compare);
  }
  cp_ids_free(set);
  *set = (cp_ids){.ids = copies, .count = drop_doubles(copies, count)};
  return true;
}

bool cp_ids_hold(const cp_ids *set, const char *id) {
  return set->count && bsearch(&id, set->ids, set->count, sizeof *set->ids, compare);
}

void cp_ids_free(cp_ids *set) {
  cp_free(set->ids);
  *set = (cp_ids){0};
}
