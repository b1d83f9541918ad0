/*
** release.c - an offer from draft to live, whatever was done of that before
*/
#include "release.h"

#include <string.h>

#include "offer.h"

static const cp_endpoint looked_at[] = {
    [CP_LOOK_STATUS] = CP_ENDPOINT_OFFER_STATUS,
    [CP_LOOK_LIST] = CP_ENDPOINT_OPERATIONS,
    [CP_LOOK_DRAFT] = CP_ENDPOINT_OFFER,
    [CP_LOOK_PRODUCTION] = CP_ENDPOINT_PRODUCTION,
    [CP_LOOK_PREVIEW] = CP_ENDPOINT_PREVIEW,
};

const char *cp_phase_name(cp_phase phase) {
  static const char *const names[] = {"look", "publish", "preview", "golive", "live"};
  return names[phase];
}

const char *cp_step_to_live_name(cp_step_to_live step) {
  static const char *const names[] = {"nothing", "follow", "golive", "publish"};
  return names[step];
}

static void look_at(cp_release *release, cp_look look) {
  release->stage = CP_RELEASE_LOOK;
  release->look = look;
  release->anew = true;
  cp_read_init(&release->as.read, release->service, looked_at[look], release->operation);
}

void cp_release_init(cp_release *release, const cp_service *service,
                     cp_operation *operation, const cp_release_policy *policy,
                     double deadline) {
  *release = (cp_release){.service = service,
                          .operation = operation,
                          .policy = *policy,
                          .deadline = deadline};
  look_at(release, CP_LOOK_STATUS);
}

const cp_submission *cp_release_submission(const cp_release *release) {
  return release->stage == CP_RELEASE_SUBMIT ? &release->as.submission : NULL;
}

/* Where it stands when `phase` has been told. */
static enum cp_release_stage after(cp_phase phase) {
  return phase == CP_PHASE_LIVE ? CP_RELEASE_DONE : CP_RELEASE_CONFIRM;
}

static void fail(cp_release *release, cp_code code, cp_sent sent) {
  release->stage = CP_RELEASE_FAILED;
  release->code = code;
  release->sent = sent;
}

/* Parts */

static const cp_machine *part(const cp_release *release) {
  switch (release->stage) {
    case CP_RELEASE_LOOK: return &cp_read_machine;
    case CP_RELEASE_SUBMIT: return &cp_submission_machine;
    case CP_RELEASE_WATCH: return &cp_watch_machine;
    default: return NULL;
  }
}

static void end_part(cp_release *release) {
  const cp_machine *ended = part(release);
  if (ended && ended->release) ended->release(&release->as);
}

static void forget_operation(cp_operation *operation) {
  cp_operation_set(&operation->id, NULL);
  cp_operation_set(&operation->url, NULL);
  operation->adopted = operation->done = false;
  operation->submitted_at = operation->poll_after = -1;
}

/* What was submitted before is over; what is submitted now is nowhere yet. */
static void submit(cp_release *release, cp_kind kind) {
  forget_operation(release->operation);
  release->operation->kind = kind;
  cp_submission_init(&release->as.submission, release->service, release->operation,
                     &release->policy.submission);
  release->stage = CP_RELEASE_SUBMIT;
  release->anew = true;
}

static void watch(cp_release *release, const cp_clock *clock, bool followed) {
  end_part(release);
  release->stage = CP_RELEASE_WATCH;
  release->followed = followed;
  release->phase =
      release->operation->kind == CP_GOLIVE ? CP_PHASE_GOLIVE : CP_PHASE_PUBLISH;
  release->anew = true;
  cp_watch_init(&release->as.watch, release->service, release->operation,
                &release->policy.watch, clock, release->deadline - clock->now);
}

/* Of its own publish it knows what is in preview; of another's it does not. */
static void go_on(cp_release *release) {
  if (release->followed)
    look_at(release, CP_LOOK_STATUS);
  else
    release->stage = after(release->phase);
}

/*
** What was found in the list after an unclear POST is this release's own: its id is new.
** What ran before the POST is not.
*/
static void follow_submitted(cp_release *release, const cp_clock *clock) {
  bool sent = release->as.submission.sent != CP_SENT_NO;
  watch(release, clock, release->operation->adopted && !sent);
}

/* What now? */

static void tell_failure(const cp_release *release, cp_todo *todo) {
  cp_todo_failed(todo, release->code, release->sent, false);
}

/* There is no use in asking when there is no time left to do it. */
static void confirm(cp_release *release, const cp_clock *clock, cp_todo *todo) {
  release->stage = CP_RELEASE_CONFIRMED;
  cp_todo_call(todo, CP_CALL_CONFIRM);
  if (clock->now < release->deadline) return;
  fail(release, CP_CODE_DEADLINE, release->operation->url ? CP_SENT_YES : CP_SENT_NO);
  tell_failure(release, todo);
}

static void report(cp_release *release, cp_todo *todo) {
  release->stage = after(release->phase);
  cp_todo_call(todo, CP_CALL_PROGRESS);
}

/* Asks the part that is under way; false when it has come to its end. */
static bool ask_part(cp_release *release, const cp_clock *clock, cp_todo *todo) {
  part(release)->next(&release->as, clock, todo);
  if (todo->kind == CP_TODO_DONE) return false;
  if (todo->kind == CP_TODO_FAILED && release->stage == CP_RELEASE_LOOK)
    todo->as.failed.sent = CP_SENT_NO;
  if (todo->kind == CP_TODO_SEND) {
    todo->as.send.anew = release->anew;
    release->anew = false;
  }
  return true;
}

static void next(void *self, const cp_clock *clock, cp_todo *todo) {
  cp_release *release = self;
  if (release->stage == CP_RELEASE_CONFIRMED) submit(release, CP_GOLIVE);
  while (part(release) && !ask_part(release, clock, todo)) {
    if (release->stage == CP_RELEASE_SUBMIT)
      follow_submitted(release, clock);
    else
      go_on(release);
  }
  switch (release->stage) {
    case CP_RELEASE_REPORT: report(release, todo); break;
    case CP_RELEASE_CONFIRM: confirm(release, clock, todo); break;
    case CP_RELEASE_DONE: cp_todo_done(todo); break;
    case CP_RELEASE_FAILED: tell_failure(release, todo); break;
    default: break;
  }
}

static void told(void *self, bool yes) {
  cp_release *release = self;
  if (!yes) release->stage = CP_RELEASE_DONE;
}

/* Looking */

/* Says so, if that is not what was said last. */
static void arrive(cp_release *release, cp_phase phase) {
  release->stage = release->phase == phase ? after(phase) : CP_RELEASE_REPORT;
  release->phase = phase;
}

static void follow(cp_release *release, const cp_clock *clock) {
  release->operation->done = false;
  release->operation->adopted = true;
  watch(release, clock, true);
}

static void decide(cp_release *release, const cp_clock *clock, cp_step_to_live step) {
  release->step = step;
  if (step == CP_STEP_NOTHING) forget_operation(release->operation);
  if (release->policy.looks_only)
    release->stage = CP_RELEASE_DONE;
  else if (step == CP_STEP_NOTHING)
    arrive(release, CP_PHASE_LIVE);
  else if (step == CP_STEP_FOLLOW)
    follow(release, clock);
  else if (step == CP_STEP_GOLIVE)
    arrive(release, CP_PHASE_PREVIEW);
  else
    submit(release, CP_PUBLISH);
}

static const cp_entry *find_running(const cp_digest *digest) {
  for (size_t i = 0; i < digest->entry_count; i++)
    if (!cp_kind_is_over(digest->entries[i].kind, digest->entries[i].state))
      return &digest->entries[i];
  return NULL;
}

/* Only one operation runs on an offer at a time: wire, "Endpoints". */
static void take_list(cp_release *release, const cp_digest *digest) {
  const cp_entry *running = find_running(digest);
  cp_operation *operation = release->operation;
  forget_operation(operation);
  release->is_running = running != NULL;
  look_at(release, CP_LOOK_DRAFT);
  if (!running) return;
  operation->kind = running->kind;
  operation->submitted_at = running->began;
  if (!cp_api_place(release->service, operation, running->id))
    fail(release, CP_CODE_NONE, CP_SENT_NO);
}

/* The draft is not what is live. */
static void take_running(cp_release *release, const cp_clock *clock) {
  cp_kind kind = release->operation->kind;
  if (kind == CP_PUBLISH || kind == CP_GOLIVE)
    decide(release, clock, CP_STEP_FOLLOW);
  else
    fail(release, CP_CODE_CONFLICT, CP_SENT_NO);
}

static void take_draft(cp_release *release, const cp_text *body) {
  cp_text_clear(&release->draft);
  look_at(release, CP_LOOK_PRODUCTION);
  if (!cp_text_add(&release->draft, cp_text_get(body), body->length))
    fail(release, CP_CODE_NONE, CP_SENT_NO);
}

static bool note_differences(cp_release *release, const cp_text *body) {
  cp_text_clear(&release->differences);
  return !release->policy.looks_only ||
         cp_offer_compare(&release->draft, body, cp_note_pointer, &release->differences);
}

/* `body`: what is in that slot; NULL: nothing. */
static void take_slot(cp_release *release, const cp_clock *clock, const cp_text *body) {
  bool same = false, production = release->look == CP_LOOK_PRODUCTION;
  bool ok = !body || cp_offer_same(&release->draft, body, &same);
  if (production) release->is_live = body != NULL;
  if (ok && body && production) ok = note_differences(release, body);
  if (!ok)
    fail(release, CP_CODE_NONE, CP_SENT_NO);
  else if (same)
    decide(release, clock, production ? CP_STEP_NOTHING : CP_STEP_GOLIVE);
  else if (production && release->is_running)
    take_running(release, clock);
  else if (production)
    look_at(release, CP_LOOK_PREVIEW);
  else
    decide(release, clock, CP_STEP_PUBLISH);
}

static void take_look(cp_release *release, const cp_clock *clock,
                      const cp_digest *digest) {
  cp_read_machine.take(&release->as.read, clock, digest);
  bool is_slot = release->look >= CP_LOOK_PRODUCTION;
  bool empty = is_slot && cp_code_of(digest) == CP_CODE_NOT_FOUND;
  if (empty) {
    take_slot(release, clock, NULL);
  } else if (release->as.read.phase == CP_READ_DONE) {
    switch (release->look) {
      case CP_LOOK_STATUS: look_at(release, CP_LOOK_LIST); break;
      case CP_LOOK_LIST: take_list(release, digest); break;
      case CP_LOOK_DRAFT: take_draft(release, digest->body); break;
      default: take_slot(release, clock, digest->body); break;
    }
  }
}

static void take_poll(cp_release *release, const cp_clock *clock,
                      const cp_digest *digest) {
  cp_watch_machine.take(&release->as.watch, clock, digest);
  if (release->as.watch.phase == CP_WATCH_DONE)
    release->phase = release->phase == CP_PHASE_GOLIVE ? CP_PHASE_LIVE : CP_PHASE_PREVIEW;
}

static void take(void *self, const cp_clock *clock, const cp_digest *digest) {
  cp_release *release = self;
  switch (release->stage) {
    case CP_RELEASE_LOOK: take_look(release, clock, digest); break;
    case CP_RELEASE_WATCH: take_poll(release, clock, digest); break;
    default: cp_submission_machine.take(&release->as.submission, clock, digest); break;
  }
}

/* What was accepted is not live yet: the deadline's end is no success. */
static bool is_decided(const void *self, cp_todo *todo) {
  const cp_release *release = self;
  return release->stage == CP_RELEASE_SUBMIT &&
         cp_submission_machine.is_decided(&release->as.submission, todo) &&
         todo->kind == CP_TODO_FAILED;
}

static bool keeps_time(const void *self) {
  return ((const cp_release *)self)->stage == CP_RELEASE_WATCH;
}

static void free_release(void *self) {
  cp_release *release = self;
  end_part(release);
  cp_text_free(&release->draft);
  cp_text_free(&release->differences);
}

const cp_machine cp_release_machine = {
    .next = next,
    .take = take,
    .is_decided = is_decided,
    .release = free_release,
    .told = told,
    .keeps_time = keeps_time,
};
