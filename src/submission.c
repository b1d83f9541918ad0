/*
** submission.c - a POST that must not happen twice
*/
#include "submission.h"

#include <string.h>

#include "url.h"

void cp_submission_init(cp_submission *submission, const cp_service *service,
                        cp_operation *operation, bool announces) {
  *submission = (cp_submission){
      .service = service,
      .operation = operation,
      .announces = announces,
      .phase =
          operation->kind == CP_CANCEL ? CP_SUBMISSION_PREPARE : CP_SUBMISSION_ANNOUNCE,
  };
  cp_read_init(&submission->list, service, CP_ENDPOINT_OPERATIONS, operation);
}

static void fail(cp_submission *submission, cp_code code, cp_sent sent, bool of_answer) {
  submission->phase = CP_SUBMISSION_FAILED;
  submission->code = code;
  submission->sent = sent;
  submission->of_answer = of_answer;
}

/*
** Nothing is sent when the list can't be read: what a cancel ends must be known before.
*/
static void next_of_list(cp_submission *submission, const cp_clock *clock,
                         cp_todo *todo) {
  cp_read_machine.next(&submission->list, clock, todo);
  if (todo->kind == CP_TODO_FAILED) todo->as.failed.sent = CP_SENT_NO;
}

static void announce(cp_submission *submission, cp_todo *todo) {
  submission->phase = CP_SUBMISSION_SEND;
  if (submission->announces)
    cp_todo_call(todo, CP_CALL_BEFORE_SEND);
  else
    cp_todo_send(todo, cp_api_submission(submission->operation->kind),
                 submission->operation);
}

static void next(void *self, const cp_clock *clock, cp_todo *todo) {
  cp_submission *submission = self;
  cp_operation *operation = submission->operation;
  if (submission->phase == CP_SUBMISSION_WAIT && clock->now >= submission->until)
    submission->phase = CP_SUBMISSION_SEND;
  switch (submission->phase) {
    case CP_SUBMISSION_PREPARE: next_of_list(submission, clock, todo); break;
    case CP_SUBMISSION_ANNOUNCE:
      operation->submitted_at = clock->wall;
      announce(submission, todo);
      break;
    case CP_SUBMISSION_SEND:
      operation->submitted_at = clock->wall;
      cp_todo_send(todo, cp_api_submission(operation->kind), operation);
      break;
    case CP_SUBMISSION_WAIT:
      cp_todo_wait(todo, submission->until, CP_BEFORE_RETRY);
      break;
    case CP_SUBMISSION_DONE: cp_todo_done(todo); break;
    case CP_SUBMISSION_FAILED:
      cp_todo_failed(todo, submission->code, submission->sent, submission->of_answer);
      break;
  }
}

static const cp_entry *find_running(const cp_digest *digest) {
  for (size_t i = 0; i < digest->entry_count; i++)
    if (!cp_state_ended(digest->entries[i].state)) return &digest->entries[i];
  return NULL;
}

static const cp_entry *find_id(const cp_digest *digest, const char *id) {
  for (size_t i = 0; i < digest->entry_count; i++)
    if (cp_entry_is(&digest->entries[i], id)) return &digest->entries[i];
  return NULL;
}

static bool remember(cp_submission *submission, const cp_entry *entry) {
  char *id = cp_strndup(entry->id, entry->id_length);
  cp_free(submission->operation->cancels);
  submission->operation->cancels = id;
  return id != NULL;
}

/* The URL at which the operation to be canceled tells its state. */
static bool set_canceled_url(cp_submission *submission) {
  cp_operation *operation = submission->operation;
  cp_operation canceled = {.publisher = operation->publisher,
                           .offer = operation->offer,
                           .id = operation->cancels};
  cp_text url = {.limit = CP_URL_MAX};
  bool ok =
      cp_api_url(submission->service, CP_ENDPOINT_OPERATION, &canceled, NULL, &url) &&
      cp_operation_set(&operation->url, url.data) &&
      cp_operation_set(&operation->id, operation->cancels);
  cp_text_free(&url);
  return ok;
}

/* Nothing else runs: what the caller named has ended, or the list is behind. */
static void prepare_named(cp_submission *submission, const cp_entry *named) {
  if (!named) {
    submission->phase = CP_SUBMISSION_ANNOUNCE;
  } else if (named->state == CP_CANCELED) {
    submission->operation->done = true;
    submission->phase = CP_SUBMISSION_DONE;
  } else {
    fail(submission, CP_CODE_NOT_CANCELED, CP_SENT_NO, false);
  }
}

/* Decides from the list what a cancel is to end: contract, "Cancel". */
static void prepare(cp_submission *submission, const cp_digest *digest) {
  const char *named = submission->operation->cancels;
  const cp_entry *running = find_running(digest);
  if (running && named && !cp_entry_is(running, named)) {
    fail(submission, CP_CODE_CONFLICT, CP_SENT_NO, false);
    return;
  }
  if (!running && !named) {
    fail(submission, CP_CODE_NOT_FOUND, CP_SENT_NO, false);
    return;
  }
  if (running) {
    submission->phase = CP_SUBMISSION_ANNOUNCE;
    if (!remember(submission, running)) fail(submission, CP_CODE_NONE, CP_SENT_NO, false);
  } else {
    prepare_named(submission, find_id(digest, named));
  }
  if (submission->phase != CP_SUBMISSION_FAILED && !set_canceled_url(submission))
    fail(submission, CP_CODE_NONE, CP_SENT_NO, false);
}

/* Takes where the accepted operation is from the answer, when that can be trusted. */
static cp_url_verdict locate(cp_submission *submission, const cp_digest *digest) {
  const cp_service *service = submission->service;
  cp_text url = {.limit = CP_URL_MAX};
  cp_url_verdict verdict =
      cp_url_resolve(service->base, digest->location, digest->location_length,
                     service->api_version, &url);
  if (verdict == CP_URL_OK && !cp_operation_move(submission->operation, url.data))
    verdict = CP_URL_MISSING;
  cp_text_free(&url);
  return verdict;
}

/*
** What the service took, or may have taken. A cancel is then watched, whatever was
** answered: its proof is the state of the operation that it ends.
*/
static void settle(cp_submission *submission, const cp_digest *digest) {
  bool accepted = digest->http_status >= 200 && digest->http_status < 300;
  cp_url_verdict verdict = accepted ? locate(submission, digest) : CP_URL_MISSING;
  if (verdict == CP_URL_OK || submission->operation->kind == CP_CANCEL)
    submission->phase = CP_SUBMISSION_DONE;
  else if (verdict == CP_URL_UNTRUSTED)
    fail(submission, CP_CODE_UNTRUSTED_URL, CP_SENT_YES, true);
  else
    fail(submission, CP_CODE_AMBIGUOUS, digest->sent, true);
}

static void repeat(cp_submission *submission, const cp_clock *clock,
                   const cp_digest *digest) {
  double delay = cp_retry_delay(&submission->service->retry, submission->repetitions,
                                digest, clock->random);
  if (delay < 0) {
    fail(submission, cp_code_of(digest), digest->sent, true);
    return;
  }
  submission->repetitions++;
  submission->until = clock->now + delay;
  submission->phase = CP_SUBMISSION_WAIT;
}

static void take(void *self, const cp_clock *clock, const cp_digest *digest) {
  cp_submission *submission = self;
  if (submission->phase == CP_SUBMISSION_PREPARE) {
    cp_read_machine.take(&submission->list, clock, digest);
    if (submission->list.phase == CP_READ_DONE) prepare(submission, digest);
  } else if (cp_retry_may_submit(digest)) {
    repeat(submission, clock, digest);
  } else if (cp_retry_is_unclear(digest)) {
    settle(submission, digest);
  } else {
    fail(submission, cp_code_of(digest), digest->sent, true);
  }
}

const cp_machine cp_submission_machine = {next, take};
