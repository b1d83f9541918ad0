/*
** submission.c - a POST that must not happen twice
*/
#include "submission.h"

#include <math.h>
#include <string.h>

#include "url.h"

/* The longest delay, in seconds, that the hint of an accepted submission can ask for. */
#define HINT_MAX 3600.0

/* Seconds between two looks into the list, whatever the service or the options say. */
#define LOOK_PAUSE 0.2

/* Seconds that the last look into the list, at the end of its time, may take. */
#define LAST_LOOK 10.0

static void begin(cp_submission *submission, const cp_service *service,
                  cp_operation *operation, const cp_submission_policy *policy) {
  *submission = (cp_submission){
      .service = service,
      .operation = operation,
      .policy = *policy,
      .code = CP_CODE_AMBIGUOUS,
      .sent = CP_SENT_MAYBE,
  };
  cp_read_init(&submission->list, service, CP_ENDPOINT_OPERATIONS, operation);
}

void cp_submission_init(cp_submission *submission, const cp_service *service,
                        cp_operation *operation, const cp_submission_policy *policy) {
  begin(submission, service, operation, policy);
  bool reads = policy->looks_up || operation->kind == CP_CANCEL;
  submission->phase = reads ? CP_SUBMISSION_PREPARE : CP_SUBMISSION_ANNOUNCE;
}

static void look_up_from(cp_submission *submission, double now) {
  submission->looks_until = now + submission->policy.reconcile;
  submission->until = now;
  submission->phase = CP_SUBMISSION_DOUBT;
}

void cp_submission_resume(cp_submission *submission, const cp_service *service,
                          cp_operation *operation, const cp_submission_policy *policy,
                          cp_ids *known, double now) {
  begin(submission, service, operation, policy);
  submission->knows = known != NULL;
  if (known) submission->known = *known;
  submission->policy.since = operation->submitted_at;
  look_up_from(submission, now);
}

static void fail(cp_submission *submission, cp_code code, cp_sent sent, bool of_answer) {
  submission->phase = CP_SUBMISSION_FAILED;
  submission->code = code;
  submission->sent = sent;
  submission->of_answer = of_answer;
}

static void fail_for_memory(cp_submission *submission, cp_sent sent) {
  fail(submission, CP_CODE_NONE, sent, false);
}

/* What now? */

/* Nothing is sent when the list can't be read: what is new must be known before. */
static void next_of_list(cp_submission *submission, const cp_clock *clock,
                         cp_todo *todo) {
  cp_read_machine.next(&submission->list, clock, todo);
  if (todo->kind == CP_TODO_FAILED) todo->as.failed.sent = CP_SENT_NO;
}

static void send(cp_submission *submission, const cp_clock *clock, cp_todo *todo) {
  submission->operation->submitted_at = clock->wall;
  cp_todo_send(todo, cp_api_submission(submission->operation->kind),
               submission->operation);
}

static void announce(cp_submission *submission, const cp_clock *clock, cp_todo *todo) {
  submission->phase = CP_SUBMISSION_SEND;
  send(submission, clock, todo);
  if (submission->policy.announces) cp_todo_call(todo, CP_CALL_BEFORE_SEND);
}

static void send_list(const cp_submission *submission, cp_todo *todo) {
  cp_todo_send(todo, CP_ENDPOINT_OPERATIONS, submission->operation);
}

/* A look that is under way when its time ends has the last look's time to answer. */
static void look(const cp_submission *submission, const cp_clock *clock, cp_todo *todo) {
  send_list(submission, todo);
  todo->as.send.limit = fmax(submission->looks_until, clock->now) + LAST_LOOK;
}

/* What was refused stays refused, whether or not the list tells why. */
static void explain(cp_submission *submission, const cp_clock *clock, cp_todo *todo) {
  cp_read_machine.next(&submission->list, clock, todo);
  if (todo->kind == CP_TODO_FAILED)
    cp_todo_failed(todo, submission->code, submission->sent, submission->of_answer);
}

static void wake(cp_submission *submission, const cp_clock *clock) {
  if (clock->now < submission->until) return;
  if (submission->phase == CP_SUBMISSION_WAIT) submission->phase = CP_SUBMISSION_SEND;
  if (submission->phase == CP_SUBMISSION_LOOK_UP_LATER)
    submission->phase = CP_SUBMISSION_LOOK_UP;
}

static void next(void *self, const cp_clock *clock, cp_todo *todo) {
  cp_submission *submission = self;
  wake(submission, clock);
  switch (submission->phase) {
    case CP_SUBMISSION_PREPARE:
    case CP_SUBMISSION_JUDGE: next_of_list(submission, clock, todo); break;
    case CP_SUBMISSION_ANNOUNCE: announce(submission, clock, todo); break;
    case CP_SUBMISSION_SEND: send(submission, clock, todo); break;
    case CP_SUBMISSION_WAIT:
      cp_todo_wait(todo, submission->until, CP_BEFORE_RETRY);
      break;
    case CP_SUBMISSION_DOUBT:
      cp_todo_wait(todo, submission->until, CP_BEFORE_LOOK_UP);
      submission->phase = CP_SUBMISSION_LOOK_UP_LATER;
      break;
    case CP_SUBMISSION_LOOK_UP: look(submission, clock, todo); break;
    case CP_SUBMISSION_LOOK_UP_LATER:
      cp_todo_wait(todo, submission->until, CP_BEFORE_LOOK_UP);
      break;
    case CP_SUBMISSION_IDENTIFY: send_list(submission, todo); break;
    case CP_SUBMISSION_EXPLAIN: explain(submission, clock, todo); break;
    case CP_SUBMISSION_DONE: cp_todo_done(todo); break;
    case CP_SUBMISSION_FAILED:
      cp_todo_failed(todo, submission->code, submission->sent, submission->of_answer);
      break;
  }
}

/* What is an entry to this submission? */

typedef bool (*cp_test)(const cp_submission *submission, const cp_digest *digest,
                        const cp_entry *entry);

/* The first entry that passes: the service lists the newest first. */
static const cp_entry *find(const cp_submission *submission, const cp_digest *digest,
                            cp_test test) {
  for (size_t i = 0; i < digest->entry_count; i++)
    if (test(submission, digest, &digest->entries[i])) return &digest->entries[i];
  return NULL;
}

/* Puts together the ids that pass; false without memory. */
static bool collect(const cp_submission *submission, const cp_digest *digest,
                    cp_test test, cp_ids *set) {
  size_t count = 0;
  const char **ids = cp_calloc((digest->entry_count + 1) * sizeof *ids);
  if (!ids) return false;
  for (size_t i = 0; i < digest->entry_count; i++)
    if (test(submission, digest, &digest->entries[i]))
      ids[count++] = digest->entries[i].id;
  bool ok = cp_ids_make(set, ids, count);
  cp_free(ids);
  return ok;
}

static bool is_any(const cp_submission *submission, const cp_digest *digest,
                   const cp_entry *entry) {
  (void)submission, (void)digest, (void)entry;
  return true;
}

static bool is_unended(const cp_submission *submission, const cp_digest *digest,
                       const cp_entry *entry) {
  (void)submission, (void)digest;
  return !cp_state_ended(entry->state);
}

static bool is_named(const cp_submission *submission, const cp_digest *digest,
                     const cp_entry *entry) {
  (void)digest;
  return strcmp(entry->id, submission->operation->cancels) == 0;
}

/* A publish whose preview is ready has not ended, but nothing has to wait for it. */
static bool is_running(const cp_submission *submission, const cp_digest *digest,
                       const cp_entry *entry) {
  (void)submission, (void)digest;
  return !cp_kind_is_over(entry->kind, entry->state);
}

static bool is_running_alike(const cp_submission *submission, const cp_digest *digest,
                             const cp_entry *entry) {
  return entry->kind == submission->operation->kind &&
         is_running(submission, digest, entry);
}

/* By the service's clock, as the time of an operation's beginning is. */
static double since(const cp_submission *submission, const cp_digest *digest) {
  return submission->policy.since + cp_digest_skew(digest);
}

/* Began at or after that time. */
static bool is_recent(const cp_submission *submission, const cp_digest *digest,
                      const cp_entry *entry) {
  return entry->kind == submission->operation->kind &&
         entry->began >= since(submission, digest);
}

/* The list does not say when it began. What changed last before that time is older. */
static bool is_perhaps_recent(const cp_submission *submission, const cp_digest *digest,
                              const cp_entry *entry) {
  double from = since(submission, digest);
  bool older = !(from < INFINITY) || (entry->changed >= 0 && entry->changed < from);
  return entry->kind == submission->operation->kind && entry->began < 0 && !older;
}

/* Did the submission begin this one? Being the newest proves nothing: its id is new. */
static bool is_ours(const cp_submission *submission, const cp_digest *digest,
                    const cp_entry *entry) {
  if (!submission->knows) return is_recent(submission, digest, entry);
  return entry->kind == submission->operation->kind &&
         !cp_ids_hold(&submission->known, entry->id);
}

/* Taking an operation over from the list */

static void adopt(cp_submission *submission, const cp_entry *entry) {
  cp_operation *operation = submission->operation;
  operation->adopted = true;
  operation->done = cp_state_ended(entry->state);
  submission->phase = CP_SUBMISSION_DONE;
  if (!cp_api_place(submission->service, operation, entry->id))
    fail_for_memory(submission, submission->sent);
}

/* One that was not submitted here began when the service says so. */
static void adopt_earlier(cp_submission *submission, const cp_entry *entry) {
  submission->operation->submitted_at = entry->began;
  submission->sent = CP_SENT_NO;
  adopt(submission, entry);
}

/* Which one of these is looked at is not known before the service is asked. */
static void judge_next(cp_submission *submission) {
  cp_operation *operation = submission->operation;
  const cp_ids *candidates = &submission->candidates;
  bool left = submission->judged < candidates->count;
  const char *id = left ? candidates->ids[submission->judged] : NULL;
  submission->phase = left ? CP_SUBMISSION_JUDGE : CP_SUBMISSION_ANNOUNCE;
  cp_read_init(&submission->list, submission->service, CP_ENDPOINT_OPERATION, operation);
  if (!cp_operation_set(&operation->id, id)) fail_for_memory(submission, CP_SENT_NO);
}

/*
** Takes what the document of a candidate says of its beginning. Where not even that
** tells, nothing is sent: it may be what this job has submitted before.
*/
static void judge(cp_submission *submission, const cp_digest *digest) {
  cp_entry entry = {.id = submission->candidates.ids[submission->judged++],
                    .state = digest->state,
                    .began = digest->began};
  if (entry.began >= since(submission, digest)) {
    adopt_earlier(submission, &entry);
  } else if (entry.began < 0) {
    cp_operation_set(&submission->operation->id, NULL);
    fail(submission, CP_CODE_AMBIGUOUS, CP_SENT_NO, false);
  } else {
    judge_next(submission);
  }
}

/* What runs is adopted, or what began in time and has ended: contract, "Submissions". */
static void look_for_earlier(cp_submission *submission, const cp_digest *digest) {
  const cp_entry *entry = find(submission, digest, is_running_alike);
  if (!entry) entry = find(submission, digest, is_recent);
  if (entry)
    adopt_earlier(submission, entry);
  else if (collect(submission, digest, is_perhaps_recent, &submission->candidates))
    judge_next(submission);
  else
    fail_for_memory(submission, CP_SENT_NO);
}

static void prepare(cp_submission *submission, const cp_digest *digest) {
  submission->knows = true;
  if (!collect(submission, digest, is_any, &submission->known))
    fail_for_memory(submission, CP_SENT_NO);
  else if (submission->policy.adopts)
    look_for_earlier(submission, digest);
  else
    submission->phase = CP_SUBMISSION_ANNOUNCE;
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
static void prepare_cancel(cp_submission *submission, const cp_digest *digest) {
  cp_operation *operation = submission->operation;
  const cp_entry *running = find(submission, digest, is_unended);
  bool named = operation->cancels != NULL;
  if (running && named && !is_named(submission, digest, running)) {
    fail(submission, CP_CODE_CONFLICT, CP_SENT_NO, false);
    return;
  }
  if (!running && !named) {
    fail(submission, CP_CODE_NOT_FOUND, CP_SENT_NO, false);
    return;
  }
  if (!running) {
    prepare_named(submission, find(submission, digest, is_named));
  } else {
    submission->phase = CP_SUBMISSION_ANNOUNCE;
    if (!cp_operation_set(&operation->cancels, running->id))
      fail_for_memory(submission, CP_SENT_NO);
  }
  if (submission->phase != CP_SUBMISSION_FAILED &&
      !cp_api_place(submission->service, operation, operation->cancels))
    fail_for_memory(submission, CP_SENT_NO);
}

static void take_list(cp_submission *submission, const cp_clock *clock,
                      const cp_digest *digest) {
  cp_read_machine.take(&submission->list, clock, digest);
  if (submission->list.phase != CP_READ_DONE) return;
  if (submission->phase == CP_SUBMISSION_JUDGE)
    judge(submission, digest);
  else if (submission->operation->kind == CP_CANCEL)
    prepare_cancel(submission, digest);
  else
    prepare(submission, digest);
}

/* Settling */

/*
** Takes where the accepted operation is from the answer, when that can be trusted. An id
** that was there before is not what was accepted now.
*/
static cp_url_verdict locate(cp_submission *submission, const cp_digest *digest) {
  const cp_service *service = submission->service;
  cp_operation *operation = submission->operation;
  cp_text url = {.limit = CP_URL_MAX};
  cp_url_verdict verdict =
      cp_url_resolve(service->base, digest->location, digest->location_length,
                     service->api_version, &url);
  if (verdict == CP_URL_OK && !cp_operation_move(operation, url.data))
    verdict = CP_URL_MISSING;
  cp_text_free(&url);
  if (operation->id && cp_ids_hold(&submission->known, operation->id)) {
    cp_operation_set(&operation->id, NULL);
    cp_operation_set(&operation->url, NULL);
    verdict = CP_URL_MISSING;
  }
  return verdict;
}

static void accept(cp_submission *submission, const cp_clock *clock,
                   const cp_digest *digest) {
  cp_operation *operation = submission->operation;
  operation->submitted_at = clock->wall; /* it may have been sent again for a new token */
  if (digest->retry_after >= 0)
    operation->poll_after = clock->wall + fmin(digest->retry_after, HINT_MAX);
  bool identifies = submission->knows && !operation->id;
  submission->phase = identifies ? CP_SUBMISSION_IDENTIFY : CP_SUBMISSION_DONE;
}

/* Whether the service took it is not known; the list will tell, if anything does. */
static void doubt(cp_submission *submission, const cp_clock *clock,
                  const cp_digest *digest, cp_code code) {
  fail(submission, code, digest->sent, true);
  if (submission->policy.looks_up) look_up_from(submission, clock->now);
}

/*
** What the service took, or may have taken. A cancel is then watched, whatever was
** answered: its proof is the state of the operation that it ends.
*/
static void settle(cp_submission *submission, const cp_clock *clock,
                   const cp_digest *digest) {
  bool accepted = digest->http_status >= 200 && digest->http_status < 300;
  cp_url_verdict verdict = accepted ? locate(submission, digest) : CP_URL_MISSING;
  if (verdict == CP_URL_OK || submission->operation->kind == CP_CANCEL)
    accept(submission, clock, digest);
  else if (verdict == CP_URL_UNTRUSTED)
    doubt(submission, clock, digest, CP_CODE_UNTRUSTED_URL);
  else
    doubt(submission, clock, digest, CP_CODE_AMBIGUOUS);
}

/* After these the list tells what runs: contract, "Submissions". */
static bool may_be_explained(const cp_submission *submission, const cp_digest *digest) {
  int status = digest->http_status;
  return submission->knows && (status == 400 || status == 409 || status == 422);
}

static void refuse(cp_submission *submission, const cp_digest *digest) {
  fail(submission, cp_code_of(digest), digest->sent, true);
  if (!may_be_explained(submission, digest)) return;
  submission->phase = CP_SUBMISSION_EXPLAIN;
  cp_read_init(&submission->list, submission->service, CP_ENDPOINT_OPERATIONS,
               submission->operation);
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

static void take_answer(cp_submission *submission, const cp_clock *clock,
                        const cp_digest *digest) {
  if (cp_retry_may_submit(digest))
    repeat(submission, clock, digest);
  else if (cp_retry_is_unclear(digest))
    settle(submission, clock, digest);
  else
    refuse(submission, digest);
}

static bool is_read(const cp_digest *digest) {
  return cp_code_of(digest) == CP_CODE_NONE && digest->understood;
}

/* The list that tells nothing yet is read again, a last time when its time is over. */
static void look_later(cp_submission *submission, const cp_clock *clock,
                       const cp_digest *digest) {
  if (clock->now >= submission->looks_until) {
    submission->phase = CP_SUBMISSION_FAILED;
    return;
  }
  double delay =
      cp_retry_backoff(&submission->service->retry, ++submission->looks, clock->random);
  if (digest->retry_after >= 0) delay = digest->retry_after;
  submission->until = fmin(clock->now + fmax(delay, LOOK_PAUSE), submission->looks_until);
  submission->phase = CP_SUBMISSION_LOOK_UP_LATER;
}

/* One new id is it; of several, nobody can tell which. */
static void take_look(cp_submission *submission, const cp_clock *clock,
                      const cp_digest *digest) {
  cp_ids *candidates = &submission->candidates;
  if (is_read(digest) && !collect(submission, digest, is_ours, candidates))
    fail_for_memory(submission, submission->sent);
  else if (!is_read(digest) || candidates->count == 0)
    look_later(submission, clock, digest);
  else if (candidates->count == 1)
    adopt(submission, find(submission, digest, is_ours));
  else
    fail(submission, CP_CODE_AMBIGUOUS, submission->sent, submission->of_answer);
}

/* It was accepted, whatever this list says. */
static void take_identity(cp_submission *submission, const cp_digest *digest) {
  cp_ids *candidates = &submission->candidates;
  submission->phase = CP_SUBMISSION_DONE;
  if (!is_read(digest) || !collect(submission, digest, is_ours, candidates)) return;
  if (candidates->count == 1)
    cp_operation_set(&submission->operation->id, candidates->ids[0]);
}

/* An operation of the same offer; NULL without memory. */
static cp_operation *operation_of(const cp_submission *submission,
                                  const cp_entry *entry) {
  const cp_operation *own = submission->operation;
  cp_operation *operation = cp_calloc(sizeof *operation);
  if (!operation) return NULL;
  *operation = CP_OPERATION_NONE;
  operation->kind = entry->kind;
  operation->adopted = true;
  if (cp_operation_set(&operation->publisher, own->publisher) &&
      cp_operation_set(&operation->offer, own->offer) &&
      cp_api_place(submission->service, operation, entry->id))
    return operation;
  cp_operation_free(operation);
  cp_free(operation);
  return NULL;
}

static void take_explanation(cp_submission *submission, const cp_clock *clock,
                             const cp_digest *digest) {
  cp_read_machine.take(&submission->list, clock, digest);
  if (submission->list.phase != CP_READ_DONE) return;
  const cp_entry *running = find(submission, digest, is_running);
  submission->phase = CP_SUBMISSION_FAILED;
  if (running) submission->instead = operation_of(submission, running);
}

static void take(void *self, const cp_clock *clock, const cp_digest *digest) {
  cp_submission *submission = self;
  switch (submission->phase) {
    case CP_SUBMISSION_PREPARE:
    case CP_SUBMISSION_JUDGE: take_list(submission, clock, digest); break;
    case CP_SUBMISSION_LOOK_UP: take_look(submission, clock, digest); break;
    case CP_SUBMISSION_IDENTIFY: take_identity(submission, digest); break;
    case CP_SUBMISSION_EXPLAIN: take_explanation(submission, clock, digest); break;
    default: take_answer(submission, clock, digest); break;
  }
}

/* What else the list could tell is not worth losing what is known. */
static bool is_decided(const void *self, cp_todo *todo) {
  const cp_submission *submission = self;
  if (submission->phase == CP_SUBMISSION_IDENTIFY)
    cp_todo_done(todo);
  else if (submission->phase == CP_SUBMISSION_EXPLAIN)
    cp_todo_failed(todo, submission->code, submission->sent, submission->of_answer);
  else
    return false;
  return true;
}

static void release(void *self) {
  cp_submission *submission = self;
  cp_ids_free(&submission->known);
  cp_ids_free(&submission->candidates);
  if (submission->instead) cp_operation_free(submission->instead);
  cp_free(submission->instead);
  submission->instead = NULL;
}

const cp_machine cp_submission_machine = {
    .next = next, .take = take, .is_decided = is_decided, .release = release};
