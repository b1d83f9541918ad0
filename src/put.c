/*
** put.c - an offer stored: a PUT under its condition
*/
#include "put.h"

#include <string.h>

#include "offer.h"

static void read_offer(cp_put *put, cp_put_phase phase) {
  cp_read_init(&put->read, put->service, CP_ENDPOINT_OFFER, put->operation);
  put->phase = phase;
}

void cp_put_init(cp_put *put, const cp_service *service, const cp_operation *operation,
                 char *const *body, bool edits, bool creates) {
  *put = (cp_put){
      .service = service,
      .operation = operation,
      .body = body,
      .edits = edits,
      .creates = creates,
  };
  read_offer(put, edits ? CP_PUT_READ : CP_PUT_SEND);
}

static void fail(cp_put *put, cp_code code, cp_sent sent) {
  put->phase = CP_PUT_FAILED;
  put->code = code;
  put->sent = sent;
  put->of_answer = code != CP_CODE_NONE;
}

/* What now? */

/* What was answered to an earlier PUT explains nothing from here on. */
static void read(cp_put *put, const cp_clock *clock, cp_todo *todo) {
  cp_read_machine.next(&put->read, clock, todo);
  if (todo->kind == CP_TODO_SEND) todo->as.send.anew = true;
  if (todo->kind == CP_TODO_FAILED) todo->as.failed.sent = CP_SENT_NO;
}

static void edit(cp_put *put, cp_todo *todo) {
  put->edited++;
  put->repetitions = 0;
  put->phase = CP_PUT_SEND;
  cp_todo_call(todo, CP_CALL_EDIT);
}

static void next(void *self, const cp_clock *clock, cp_todo *todo) {
  cp_put *put = self;
  if (put->phase == CP_PUT_WAIT && clock->now >= put->until) put->phase = CP_PUT_SEND;
  switch (put->phase) {
    case CP_PUT_READ: read(put, clock, todo); break;
    case CP_PUT_EDIT: edit(put, todo); break;
    case CP_PUT_SEND: cp_todo_send(todo, CP_ENDPOINT_PUT_OFFER, put->operation); break;
    case CP_PUT_WAIT: cp_todo_wait(todo, put->until, CP_BEFORE_RETRY); break;
    case CP_PUT_READ_BACK: cp_read_machine.next(&put->read, clock, todo); break;
    case CP_PUT_DONE: cp_todo_done(todo); break;
    case CP_PUT_FAILED: cp_todo_failed(todo, put->code, put->sent, put->of_answer); break;
  }
}

/* The caller may have changed nothing. */
static void told(void *self, bool yes) {
  cp_put *put = self;
  if (!yes) put->phase = CP_PUT_DONE;
}

/* What came of it? */

/* Without If-Match the service says 409 where something is: wire, "Endpoints". */
static cp_code code_of(const cp_put *put, const cp_digest *digest) {
  cp_code code = cp_code_of(digest);
  return code == CP_CODE_CONFLICT && put->creates ? CP_CODE_PRECONDITION_FAILED : code;
}

static void repeat(cp_put *put, const cp_clock *clock, const cp_digest *digest) {
  double delay =
      cp_retry_delay(&put->service->retry, put->repetitions++, digest, clock->random);
  if (delay < 0) {
    fail(put, cp_code_of(digest), digest->sent);
    return;
  }
  put->until = clock->now + delay;
  put->phase = CP_PUT_WAIT;
}

/* A good answer whose body is no offer may be anybody's: a proxy's page of its own. */
static bool speaks_of_offer(const cp_digest *digest) {
  return digest->understood || digest->body->length == 0;
}

static void doubt(cp_put *put, const cp_digest *digest) {
  put->sent = digest->sent;
  read_offer(put, CP_PUT_READ_BACK);
}

static void take_answer(cp_put *put, const cp_clock *clock, const cp_digest *digest) {
  cp_code code = code_of(put, digest);
  if (cp_retry_may_submit(digest))
    repeat(put, clock, digest);
  else if (code == CP_CODE_NONE && speaks_of_offer(digest))
    put->phase = CP_PUT_DONE;
  else if (code == CP_CODE_NONE || cp_retry_is_unclear(digest))
    doubt(put, digest);
  else if (code == CP_CODE_PRECONDITION_FAILED && put->edited > 0 &&
           put->edited < CP_EDITS_MAX)
    read_offer(put, CP_PUT_READ);
  else
    fail(put, code, digest->sent);
}

static void take_offer(cp_put *put, const cp_clock *clock, const cp_digest *digest) {
  cp_read_machine.take(&put->read, clock, digest);
  if (put->read.phase == CP_READ_DONE) put->phase = CP_PUT_EDIT;
}

/*
** Another document proves nothing: the PUT may be stored yet, or somebody else's was
** stored after it.
*/
static void take_proof(cp_put *put, const cp_clock *clock, const cp_digest *digest) {
  bool same = false, ok = true;
  cp_read_machine.take(&put->read, clock, digest);
  if (put->read.phase == CP_READ_DONE) {
    cp_text sent = {.data = *put->body, .length = strlen(*put->body)};
    ok = cp_offer_same(&sent, digest->body, &same);
  }
  if (same)
    put->phase = CP_PUT_DONE;
  else if (put->read.phase == CP_READ_DONE || put->read.phase == CP_READ_FAILED)
    fail(put, ok ? CP_CODE_AMBIGUOUS : CP_CODE_NONE, put->sent);
}

static void take(void *self, const cp_clock *clock, const cp_digest *digest) {
  cp_put *put = self;
  switch (put->phase) {
    case CP_PUT_READ: take_offer(put, clock, digest); break;
    case CP_PUT_READ_BACK: take_proof(put, clock, digest); break;
    default: take_answer(put, clock, digest); break;
  }
}

const cp_machine cp_put_machine = {.next = next, .take = take, .told = told};
