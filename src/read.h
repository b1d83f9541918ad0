/*
** read.h - a GET, repeated while that can help
*/
#ifndef CP_READ_H
#define CP_READ_H

#include "machine.h"

typedef struct cp_read {
  const cp_service *service;
  const cp_operation *of;
  cp_endpoint endpoint;
  enum { CP_READ_SEND, CP_READ_WAIT, CP_READ_DONE, CP_READ_FAILED } phase;
  int repetitions;
  double until;
  cp_code code;
  cp_sent sent;
} cp_read;

extern const cp_machine cp_read_machine;

void cp_read_init(cp_read *read, const cp_service *service, cp_endpoint endpoint,
                  const cp_operation *of);

#endif
