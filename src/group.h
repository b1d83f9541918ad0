/*
** group.h - a task that is over when its members are
*/
#ifndef CP_GROUP_H
#define CP_GROUP_H

#include "machine.h"

typedef struct cp_group {
  size_t open; /* members that have not ended */
} cp_group;

extern const cp_machine cp_group_machine;

#endif
