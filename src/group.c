/*
** group.c - a task that is over when its members are
*/
#include "group.h"

#include <math.h>

static void next(void *self, const cp_clock *clock, cp_todo *todo) {
  const cp_group *group = self;
  (void)clock;
  if (group->open)
    cp_todo_wait(todo, INFINITY, CP_BEFORE_LAST);
  else
    cp_todo_done(todo);
}

/* It asks for nothing that could be answered. */
static void take(void *self, const cp_clock *clock, const cp_digest *digest) {
  (void)self, (void)clock, (void)digest;
}

/* The deadline is each member's, and some do more at it than to end. */
static bool keeps_time(const void *self) {
  (void)self;
  return true;
}

const cp_machine cp_group_machine = {
    .next = next, .take = take, .keeps_time = keeps_time};
