/*
** read.c - a GET, repeated while that can help
*/
#include "read.h"

void cp_read_init(cp_read *read, const cp_service *service, cp_endpoint endpoint,
                  const cp_operation *of) {
  *read = (cp_read){.service = service, .endpoint = endpoint, .of = of};
}

static void next(void *self, const cp_clock *clock, cp_todo *todo) {
  cp_read *read = self;
  if (read->phase == CP_READ_WAIT && clock->now >= read->until)
    read->phase = CP_READ_SEND;
  switch (read->phase) {
    case CP_READ_SEND: cp_todo_send(todo, read->endpoint, read->of); break;
    case CP_READ_WAIT: cp_todo_wait(todo, read->until, CP_BEFORE_RETRY); break;
    case CP_READ_DONE: cp_todo_done(todo); break;
    case CP_READ_FAILED: cp_todo_failed(todo, read->code, read->sent, true); break;
  }
}

static void fail(cp_read *read, const cp_digest *digest) {
  cp_code code = cp_code_of(digest);
  read->phase = CP_READ_FAILED;
  read->code = code != CP_CODE_NONE ? code : CP_CODE_PROTOCOL;
  read->sent = digest->sent;
}

static void take(void *self, const cp_clock *clock, const cp_digest *digest) {
  cp_read *read = self;
  if (cp_code_of(digest) == CP_CODE_NONE && digest->understood) {
    read->phase = CP_READ_DONE;
    return;
  }
  double delay = -1;
  if (cp_retry_may_read(digest))
    delay =
        cp_retry_delay(&read->service->retry, read->repetitions, digest, clock->random);
  if (delay < 0) {
    fail(read, digest);
    return;
  }
  read->repetitions++;
  read->until = clock->now + delay;
  read->phase = CP_READ_WAIT;
}

const cp_machine cp_read_machine = {.next = next, .take = take};
