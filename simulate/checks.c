/*
** checks.c - what must hold, whatever goes wrong
*/
#include "checks.h"

#include <math.h>
#include <string.h>

/* Seconds by which sums of doubles may differ. */
#define EPSILON 1e-6

/* An exchange's whole time, and more: the fault before it is counted from its answer. */
#define EXCHANGE 45.0

static const struct {
  const char *id, *text;
} checks[] = {[CHECK_NONE] = {"none", "none"},
#define X(name, id, text) [CHECK_##name] = {(id), (text)},
              CHECKS(X)
#undef X
};

const char *check_id(check which) {
  return checks[which].id;
}

const char *check_text(check which) {
  return checks[which].text;
}

check check_named(const char *id) {
  check which = CHECK_COUNT;
  while (which-- > CHECK_NONE + 1)
    if (strcmp(checks[which].id, id) == 0) return which;
  return CHECK_NONE;
}

void sim_fail(sim *of, check which) {
  if (of->only != CHECK_NONE && which != of->only) return;
  sim_trace(of, "VIOLATION %s: %s", check_id(which), check_text(which));
  if (of->failed == CHECK_NONE) of->failed = which;
}

static bool watches(const cp_task *task) {
  return task->machine == &cp_watch_machine;
}

/* Seconds between two looks into the list, whatever the service hints. */
#define LOOK_PAUSE 0.2

/* The budget */

/* A repetition waits at least half of what the policy's exponential growth says. */
static double least_backoff(const sim *of, unsigned attempt) {
  return cp_retry_backoff(&of->client.retry, (int)attempt, 0);
}

/* What is repeated at most `retries` times, each time with one more for a 401. */
static unsigned most_tries(const sim *of) {
  return 2 * (1 + (unsigned)of->client.retry.retries);
}

/*
** Reads beside the look-up: the list before, the list that explains a refusal, each of
** the operations whose beginning is asked for; and the one look that finds the id of what
** was accepted.
*/
static unsigned most_reads(const sim *of) {
  return most_tries(of) * (2 + of->service.count) + 2;
}

static bool looks(const cp_task *task) {
  return task->machine == &cp_submission_machine &&
         task->as.submission.phase == CP_SUBMISSION_LOOK_UP;
}

/*
** No look before the hint's time, or without one the policy's, but for the last; so there
** are no more than those make room for. One that met a 401 is sent again at once.
*/
static void check_look(sim *of) {
  bool last = of->now >= of->did.doubted + of->world.policy.reconcile - EPSILON;
  bool in_time = of->now >= of->did.due - EPSILON || last;
  if (!in_time && !of->did.again) sim_fail(of, CHECK_BUDGET);
}

static void check_submission_budget(sim *of, const cp_task *task) {
  bool submits = cp_api_is_submission(task->todo.as.send.endpoint);
  deeds *did = &of->did;
  if (looks(task))
    check_look(of);
  else if (submits && ++did->posts > most_tries(of))
    sim_fail(of, CHECK_BUDGET);
  else if (!submits && ++did->reads > most_reads(of))
    sim_fail(of, CHECK_BUDGET);
}

/*
** No poll before its time, which is the hint's within its bounds, the interval's, or for
** the first failures in a row the policy's; so there are no more polls than those make
** room for. At the deadline there is one whatever the time, and what is asked at once
** after a 401 or a 404 is asked once.
*/
static void check_pace(sim *of, const cp_task *task) {
  double deadline = task->as.watch.deadline, now = sim_clock(of).now;
  bool in_time = of->now >= of->did.due - EPSILON || now >= deadline - EPSILON;
  if (!in_time && !of->did.again) sim_fail(of, CHECK_BUDGET);
}

static void check_outage(sim *of, const cp_task *task) {
  const deeds *did = &of->did;
  double longest = task->as.watch.policy.outage + EXCHANGE + did->late;
  bool over = did->failing_since >= 0 && did->failed_at - did->failing_since > longest;
  if (over && task->todo.as.send.endpoint == CP_ENDPOINT_POLL)
    sim_fail(of, CHECK_ENDLESS);
}

void check_request(sim *of, const cp_task *task) {
  if (watches(task)) {
    check_pace(of, task);
    check_outage(of, task);
  } else {
    check_submission_budget(of, task);
  }
  of->did.again = false;
}

/* What an answer told */

static double by_hint(const sim *of) {
  const cp_watch_policy *policy = &of->world.watch;
  double hint = of->flight.hint;
  if (hint < 0) return policy->interval * 0.9;
  return fmax(fmin(hint, 3600), policy->min_interval);
}

static double least_delay(const sim *of) {
  const deeds *did = &of->did;
  bool early = did->failures > 0 && did->failures <= (unsigned)of->client.retry.retries;
  return early && of->flight.hint < 0 ? least_backoff(of, did->failures) : by_hint(of);
}

static bool is_missing(const cp_answer *answer) {
  return answer->http_status == 404 || answer->http_status == 410;
}

static bool is_final(const cp_answer *answer) {
  return answer->http_status == 400 || answer->http_status == 403 ||
         answer->http_status == 401 || answer->certificate_refused;
}

static void note_failed(sim *of, const cp_answer *answer) {
  deeds *did = &of->did;
  bool poll = of->flight.endpoint == CP_ENDPOINT_POLL;
  if (did->failing_since < 0) did->failing_since = of->now;
  did->failed_at = of->now;
  did->failures += poll;
  did->again = poll && is_missing(answer);
}

static void note_poll(sim *of, const cp_answer *answer) {
  deeds *did = &of->did;
  if (of->flight.good && of->flight.endpoint == CP_ENDPOINT_POLL) {
    did->failing_since = -1;
    did->failures = 0;
    did->version = of->flight.version > did->version ? of->flight.version : did->version;
  } else {
    note_failed(of, answer);
  }
  did->final = is_final(answer);
  did->old_told = did->old_told || of->flight.shows_old;
  did->due = of->now + least_delay(of);
}

static void note_look(sim *of) {
  double hint = of->flight.hint, least = least_backoff(of, ++of->did.looks);
  of->did.due = of->now + fmax(hint >= 0 ? hint : least, LOOK_PAUSE);
}

void check_answer(sim *of, const cp_task *task) {
  deeds *did = &of->did;
  if (watches(task)) {
    note_poll(of, task->answer);
  } else if (cp_api_is_submission(of->flight.endpoint)) {
    did->doubted = did->due = of->now;
  } else {
    if (looks(task)) note_look(of);
    did->told = did->told || (of->flight.good && of->flight.shows_ours);
  }
}

/* The end of a submission */

static bool is_it(const operation *ours, const char *id) {
  return ours && id && strcmp(ours->id, id) == 0;
}

/* Adopting what ran when the list was read, or began since, is what was asked for. */
static bool may_adopt(const sim *of, const operation *found) {
  const world *w = &of->world;
  if (!w->policy.adopts || found->kind != w->kind) return false;
  return found->ends >= of->did.began - EXCHANGE || found->began >= w->job_began;
}

static operation *returned(sim *of, const cp_operation *result) {
  if (result->id) return service_named(&of->service, result->id);
  return service_ours(&of->service);
}

/* Its URL must lead to it too. */
static void check_returned(sim *of, const cp_operation *result) {
  operation *found = returned(of, result);
  const char *name = result->url ? strstr(result->url, "/operations/") : NULL;
  bool named = found && name && !service_is_nameless(result->url);
  if (!found || !(found->ours || may_adopt(of, found)))
    sim_fail(of, CHECK_NOT_OURS);
  else if (named && strncmp(name + 12, found->id, 36) != 0)
    sim_fail(of, CHECK_NOT_OURS);
  else if (!result->url)
    sim_fail(of, CHECK_LOST);
  else if (result->done && !operation_over(found, of->now))
    sim_fail(of, CHECK_SUCCESS);
  of->covered->adopted += result->adopted;
  of->covered->adopted_older += found && !found->ours;
}

static bool is_named(const operation *ours, const cp_task *task) {
  const cp_submission *submission = &task->as.submission;
  const cp_operation *instead = submission->instead;
  for (size_t i = 0; i < submission->candidates.count; i++)
    if (is_it(ours, submission->candidates.ids[i])) return true;
  return is_it(ours, task->operation.id) || (instead && is_it(ours, instead->id));
}

/* Those of its kind that began since the job did: of several nobody can tell which. */
static unsigned count_new(const sim *of) {
  unsigned count = 0;
  for (unsigned i = 0; i < of->service.count; i++) {
    const operation *one = &of->service.operations[i];
    count += one->kind == of->world.kind && one->began >= of->world.job_began;
  }
  return count;
}

/* Looked for until the list had to tell; nothing is looked for before it was sent. */
static bool looked_enough(const sim *of) {
  double from = of->did.doubted;
  return from < 0 || of->now - from >= of->world.policy.reconcile - EPSILON;
}

static void check_lost(sim *of, const cp_task *task) {
  const operation *ours = service_ours(&of->service);
  cp_code code = task->outcome.code;
  bool cut_short = code == CP_CODE_DEADLINE || !of->world.policy.looks_up;
  bool resolved = task->as.submission.knows && !of->service.versionless;
  if (of->did.took && task->outcome.sent == CP_SENT_NO) sim_fail(of, CHECK_DENIED);
  if (is_named(ours, task)) {
    bool needless = code == CP_CODE_AMBIGUOUS && resolved && count_new(of) == 1;
    if (needless) sim_fail(of, CHECK_LOST);
  } else if (!cut_short && (of->did.told || !looked_enough(of))) {
    sim_fail(of, CHECK_LOST);
  }
}

static void check_call_end(sim *of, const cp_task *task) {
  double late = sim_clock(of).now - task->deadline - of->did.overdue;
  if (late > EPSILON) sim_fail(of, CHECK_TOO_LATE);
}

/* What is over already needs no wait. */
static void check_cancel(sim *of, const cp_task *task) {
  cp_code code = task->outcome.code;
  const operation *target = service_named(&of->service, task->operation.cancels);
  bool over = target && operation_over(target, of->now);
  bool canceled = over && target->end == CP_CANCELED;
  bool denies = code != CP_CODE_NONE && task->outcome.sent == CP_SENT_NO;
  if (of->did.took && denies) sim_fail(of, CHECK_DENIED);
  if (code == CP_CODE_NONE && !target) sim_fail(of, CHECK_NOT_OURS);
  if (code == CP_CODE_NONE && task->operation.done && !canceled)
    sim_fail(of, CHECK_SUCCESS);
  if (code == CP_CODE_NOT_CANCELED && (!over || canceled)) sim_fail(of, CHECK_FAILURE);
}

void check_submission(sim *of, const cp_task *task) {
  cp_code code = task->outcome.code;
  const operation *ours = service_ours(&of->service);
  bool cancels = of->world.kind == CP_CANCEL;
  bool began = ours && ours->began <= of->now && ours->gone > of->now;
  check_call_end(of, task);
  of->covered->submitted++;
  of->covered->submit_codes[code]++;
  of->covered->several +=
      code == CP_CODE_AMBIGUOUS && task->as.submission.candidates.count > 1;
  if (cancels)
    check_cancel(of, task);
  else if (code == CP_CODE_NONE)
    check_returned(of, &task->operation);
  else if (began)
    check_lost(of, task);
}

/* The end of a wait */

static operation *watched(sim *of, const cp_operation *result) {
  const char *id = result->kind == CP_CANCEL ? result->cancels : result->id;
  if (id) return service_named(&of->service, id);
  return service_newest(&of->service, of->now);
}

static bool is_success(cp_kind kind, const operation *of, double now) {
  cp_state state = operation_state(of, now);
  if (kind == CP_CANCEL) return state == CP_CANCELED;
  if (kind == CP_PUBLISH && state == CP_WAITING_FOR_PUBLISHER) return true;
  return state == CP_SUCCEEDED;
}

/* At the deadline there was a poll, or one was under way. */
static void check_deadline(sim *of, const cp_task *task) {
  double deadline = task->as.watch.deadline, ahead = sim_clock(of).now - of->now;
  if (sim_clock(of).now < deadline - EPSILON) sim_fail(of, CHECK_FAILURE);
  if (of->did.last_end + ahead < deadline - EPSILON) sim_fail(of, CHECK_NO_POLL);
}

/* A failed poll ends a wait when time will not mend it, or after the outage. */
static bool may_give_up(const sim *of) {
  const deeds *did = &of->did;
  return did->final || (did->failing_since >= 0 &&
                        of->now - did->failing_since >= of->world.watch.outage - EPSILON);
}

static bool is_justified(const sim *of, cp_code code, const operation *subject) {
  cp_state state = operation_state(subject, of->now);
  switch (code) {
    case CP_CODE_OPERATION_FAILED: return state == CP_FAILED;
    case CP_CODE_OPERATION_CANCELED: return state == CP_CANCELED;
    case CP_CODE_OPERATION_BLOCKED: return subject->blocked_from <= of->now;
    case CP_CODE_OPERATION_LOST: return subject->gone <= of->now || of->did.old_told;
    case CP_CODE_NOT_CANCELED:
      return operation_over(subject, of->now) && state != CP_CANCELED;
    default: return may_give_up(of);
  }
}

static void check_outcome(sim *of, const cp_task *task, const operation *subject) {
  cp_code code = task->outcome.code;
  if (code == CP_CODE_DEADLINE) {
    check_deadline(of, task);
  } else if (code == CP_CODE_NONE) {
    if (!subject || !is_success(task->operation.kind, subject, of->now))
      sim_fail(of, CHECK_SUCCESS);
  } else if (!subject || !is_justified(of, code, subject)) {
    sim_fail(of, CHECK_FAILURE);
  }
}

/*
** Its last poll starts at the deadline, or when it is next stepped, and has its limit;
** the driver may then be late once more.
*/
void check_wait(sim *of, const cp_task *task) {
  double latest = task->as.watch.deadline + CP_LAST_POLL + of->did.overdue;
  if (sim_clock(of).now > latest + EPSILON) sim_fail(of, CHECK_TOO_LATE);
  check_outcome(of, task, watched(of, &task->operation));
  of->covered->waited++;
  of->covered->wait_codes[task->outcome.code]++;
}
