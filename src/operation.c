/*
** operation.c - what is known of one operation, as machines need it
*/
#include "operation.h"

#include <string.h>

#include "memory.h"
#include "url.h"

bool cp_operation_set(char **field, const char *text) {
  char *copy = cp_strdup(text);
  if (text && !copy) return false;
  cp_free(*field);
  *field = copy;
  return true;
}

static bool concerns(const cp_operation *operation, const char *id) {
  bool cancels = operation->kind == CP_CANCEL;
  const char *own = cancels ? operation->cancels : operation->id;
  if (!id) return !cancels;
  return !own || strcmp(id, own) == 0;
}

bool cp_operation_move(cp_operation *operation, const char *url) {
  cp_url_names names;
  cp_url_names_read(url, &names);
  bool ok = !concerns(operation, names.operation) ||
            (cp_operation_set(&operation->url, url) &&
             (!names.operation || cp_operation_set(&operation->id, names.operation)));
  cp_url_names_free(&names);
  return ok;
}

void cp_operation_free(cp_operation *operation) {
  cp_free(operation->publisher);
  cp_free(operation->offer);
  cp_free(operation->id);
  cp_free(operation->url);
  cp_free(operation->cancels);
  *operation = CP_OPERATION_NONE;
}
