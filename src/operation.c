/*
** operation.c - what is known of one operation, as machines need it
*/
#include "operation.h"

#include "memory.h"

bool cp_operation_set(char **field, const char *text) {
  char *copy = cp_strdup(text);
  if (text && !copy) return false;
  cp_free(*field);
  *field = copy;
  return true;
}

void cp_operation_free(cp_operation *operation) {
  cp_free(operation->publisher);
  cp_free(operation->offer);
  cp_free(operation->id);
  cp_free(operation->url);
  cp_free(operation->cancels);
  *operation = (cp_operation){.submitted_at = -1};
}
