/*
** run.c - a job from its first process to its last, on a clock that jumps
** Tasks are driven as src/lua_drive.c drives them.
*/
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "checks.h"
#include "exchange.h"
#include "url.h"
#include "world.h"

/* The clock for delays has no date: it differs from the true time by this. */
#define AHEAD 1000.0

#define PROCESSES 3

/* A week of the shortest interval has fewer. */
#define EVENTS_MAX 1000000

static const char *const points[] = {
#define X(name, text) [POINT_##name] = (text),
    POINTS(X)
#undef X
};

const char *point_text(point which) {
  return points[which];
}

void sim_trace(const sim *of, const char *format, ...) {
  if (!of->trace) return;
  va_list arguments;
  va_start(arguments, format);
  fprintf(of->trace, "%10.3f  ", of->now);
  vfprintf(of->trace, format, arguments);
  fputc('\n', of->trace);
  va_end(arguments);
}

static double random_number(sim *of) {
  return fault_draw(&of->faults, DRAW_JITTER, of->asked++);
}

static cp_clock at_no_chance(const sim *of) {
  return (cp_clock){.now = of->now + AHEAD, .wall = SERVICE_EPOCH + of->now + of->skew};
}

cp_clock sim_clock(sim *of) {
  return at_no_chance(of);
}

/* Crashes */

/* Something has happened, after which the process may be no more. */
static void pass(sim *of, point where) {
  of->where = where;
  of->events++;
  if (where != of->crash_point || --of->crash_in > 0) return;
  of->crashed = fault_is_on(&of->faults, FAULT_CRASH, of->process);
  of->covered->crashes[where] += of->crashed;
  if (of->crashed) sim_trace(of, "crash: %s", point_text(where));
}

/* At a point of any kind: at once, or when it has been passed several times. */
static void draw_crash(sim *of) {
  const faults *chances = &of->faults;
  unsigned n = of->process * 3;
  bool drawn = fault_draw(chances, DRAW_CRASH, n) < (of->process == 1 ? 0.45 : 0.15);
  of->events = 0;
  of->crashed = false;
  of->crash_point =
      drawn ? (point)fault_pick(chances, DRAW_CRASH, n + 1, POINT_COUNT) : POINT_COUNT;
  bool often = of->crash_point == POINT_POLL || of->crash_point == POINT_WAIT;
  of->crash_in = (int)pow(often ? 40 : 3, fault_draw(chances, DRAW_CRASH, n + 2));
}

/* What the next process can know */

static void forget_intent(saved *of) {
  cp_ids_free(&of->known);
  of->intent = false;
}

static void copy_ids(cp_ids *to, const cp_ids *from) {
  cp_ids_make(to, (const char *const *)from->ids, from->count);
}

static void save_intent(sim *of, const cp_task *task) {
  saved *to = &of->saved;
  const cp_submission *submission = &task->as.submission;
  const char *cancels = task->operation.cancels;
  forget_intent(to);
  copy_ids(&to->known, &submission->known);
  to->knows = submission->knows;
  to->submitted_at = task->operation.submitted_at;
  snprintf(to->cancels, sizeof to->cancels, "%s", cancels ? cancels : "");
  to->intent = true;
}

static void copy_operation(cp_operation *to, const cp_operation *from) {
  cp_operation_free(to);
  *to = *from;
  to->publisher = cp_strdup(from->publisher);
  to->offer = cp_strdup(from->offer);
  to->id = cp_strdup(from->id);
  to->url = cp_strdup(from->url);
  to->cancels = cp_strdup(from->cancels);
}

static void save_operation(sim *of, const cp_operation *result) {
  copy_operation(&of->saved.of, result);
  of->saved.operation = true;
}

/* Driving */

static void deliver(sim *of, cp_task *task, cp_answer *answer) {
  of->did.last_end = of->now;
  cp_task_answered(&of->tasks, task, answer);
}

static void miss_token(sim *of, cp_task *task) {
  of->flight = (flight){.endpoint = task->todo.as.send.endpoint, .hint = -1};
  deliver(of, task, exchange_failure(CP_FAIL_CREDENTIAL, CP_SENT_NO));
}

static bool renew_token(sim *of, double now) {
  cp_token_ask(&of->token);
  if (fault_strikes(&of->faults, FAULT_NO_TOKEN, of->exchanges, 0.004)) {
    cp_token_failed(&of->token, -1, now);
    return false;
  }
  of->token_dies = of->now + of->world.token_life;
  return cp_token_came(&of->token, "token", 5, 3600, now, 0.5);
}

static void get_token(sim *of, cp_task *task) {
  double now = at_no_chance(of).now;
  cp_token_todo todo = cp_token_look(&of->token, now);
  if (todo == CP_TOKEN_SEND || renew_token(of, now)) return;
  if (todo != CP_TOKEN_SEND_AND_RENEW) miss_token(of, task);
}

static point point_of_exchange(const cp_task *task) {
  if (task->todo.as.send.endpoint == CP_ENDPOINT_POLL) return POINT_POLL;
  if (cp_api_is_submission(task->todo.as.send.endpoint)) return POINT_POST;
  bool looks = task->machine == &cp_submission_machine &&
               task->as.submission.phase == CP_SUBMISSION_LOOK_UP;
  return looks ? POINT_LOOK : POINT_LIST;
}

static void exchange(sim *of, cp_task *task) {
  check_request(of, task);
  exchange_begin(of, task);
  pass(of, point_of_exchange(task));
}

static void digest_answer(sim *of, cp_task *task, const cp_clock *clock) {
  if (task->answer->http_status == 401 && !task->renewed) {
    cp_token_refused(&of->token, of->token.bearer);
    of->covered->renewed++;
    of->did.again = true;
    cp_task_send_again(&of->tasks, task);
    return;
  }
  check_answer(of, task);
  cp_task_digest(task, clock);
}

static void give_up(sim *of, cp_task *task) {
  bool sent = of->flight.answer != NULL;
  exchange_drop(of);
  of->flight.good = false;
  of->flight.hint = -1;
  of->covered->given_up++;
  sim_trace(of, "given up");
  deliver(of, task, exchange_failure(CP_FAIL_TIMEOUT, sent ? CP_SENT_MAYBE : CP_SENT_NO));
}

/* Before or after it could be saved a process can end. */
static void call(sim *of, const cp_task *task) {
  if (task->todo.as.call != CP_CALL_BEFORE_SEND) return;
  pass(of, POINT_ANNOUNCED);
  if (of->crashed || !of->world.keeps_intent) return;
  save_intent(of, task);
  pass(of, POINT_ANNOUNCED);
}

static bool satisfy(sim *of, cp_task *task, cp_want want, const cp_clock *clock) {
  switch (want) {
    case CP_WANT_TOKEN: get_token(of, task); return true;
    case CP_WANT_LOG: return true;
    case CP_WANT_EXCHANGE: exchange(of, task); return true;
    case CP_WANT_GIVE_UP: give_up(of, task); return true;
    case CP_WANT_CALL: call(of, task); return true;
    case CP_WANT_DIGEST: digest_answer(of, task, clock); return task->driven;
    default: return false;
  }
}

static void drive(sim *of) {
  cp_task *task;
  cp_tasks_wake(&of->tasks, at_no_chance(of).now);
  while (!of->crashed && (task = cp_tasks_next(&of->tasks))) {
    cp_want want;
    cp_clock clock;
    do {
      clock = at_no_chance(of);
      clock.random = random_number(of);
      want = cp_task_advance(&of->tasks, task, &clock);
    } while (satisfy(of, task, want, &clock) && !of->crashed);
  }
}

static void collect(sim *of, cp_task *task) {
  cp_answer *answer = of->flight.answer;
  if (!answer || of->now < of->flight.at) return;
  of->flight.answer = NULL;
  deliver(of, task, answer);
}

static double deadline_of(const cp_task *task) {
  return task->machine == &cp_watch_machine ? task->as.watch.deadline : task->deadline;
}

/* A host that is busy, or asleep. */
static void be_late(sim *of, const cp_task *task) {
  unsigned which = of->process << 16 | of->events;
  if (!fault_strikes(&of->faults, FAULT_LATE, which, 0.01)) return;
  double late = pow(600, fault_draw(&of->faults, DRAW_LATE, which));
  of->now += late;
  of->did.late += late;
  of->did.overdue += fmax(fmin(late, sim_clock(of).now - deadline_of(task)), 0);
}

/* The wall clock counts for nothing but what is told by it in the beginning. */
static void set_wall(sim *of, const cp_task *task) {
  bool free = task->machine == &cp_watch_machine && of->crash_point == POINT_COUNT;
  if (free && fault_strikes(&of->faults, FAULT_WALL_JUMP, of->exchanges, 0.003))
    of->skew += 1e5 * (fault_draw(&of->faults, DRAW_SKEW, of->exchanges) - 0.5);
}

/* To the next moment at which anything can happen; false: there is none. */
static bool jump(sim *of, const cp_task *task) {
  double timeout = cp_tasks_timeout(&of->tasks, at_no_chance(of).now);
  double next = timeout < 0 ? INFINITY : of->now + timeout;
  if (of->flight.answer) next = fmin(next, of->flight.at);
  if (!(next < INFINITY)) return false;
  of->now = fmax(of->now, next);
  be_late(of, task);
  set_wall(of, task);
  return true;
}

static point point_of_sleep(const sim *of, const cp_task *task) {
  if (of->flight.answer) return of->where;
  if (task->machine == &cp_watch_machine) return POINT_WAIT;
  if (task->as.submission.phase == CP_SUBMISSION_WAIT) return POINT_PAUSE;
  return task->as.submission.phase == CP_SUBMISSION_LOOK_UP_LATER ? POINT_LOOK
                                                                  : POINT_LIST;
}

/* Sleeps until something happens; false when nothing will, or too much has. */
static bool sleep_on(sim *of, cp_task *task) {
  bool goes_on = of->events < EVENTS_MAX && jump(of, task);
  if (!goes_on) sim_fail(of, CHECK_STUCK);
  if (goes_on) collect(of, task);
  return goes_on;
}

static void carry(sim *of, cp_task *task) {
  for (drive(of); task->stage != CP_STAGE_ENDED && !of->crashed; drive(of)) {
    pass(of, point_of_sleep(of, task));
    if (of->crashed || !sleep_on(of, task)) return;
  }
}

/* Tasks */

static void begin_task(sim *of, cp_task *task) {
  task->hint = -1;
  task->stage = CP_STAGE_THINK;
  of->tasks.places = 8;
  of->tasks.logs = of->world.logs;
  of->did = (deeds){.began = of->now,
                    .doubted = -1,
                    .version = -1,
                    .failing_since = -1,
                    .due = of->now,
                    .last_end = -INFINITY};
  cp_tasks_add(&of->tasks, task);
}

static void end_task(sim *of, cp_task *task) {
  exchange_drop(of);
  cp_task_free(&of->tasks, task);
  cp_tasks_free(&of->tasks);
}

static void name_offer(const sim *of, cp_operation *to) {
  to->kind = of->world.kind;
  to->publisher = cp_strdup(SERVICE_PUBLISHER);
  to->offer = cp_strdup(SERVICE_OFFER);
}

static void begin_submission(sim *of, cp_task *task) {
  task->operation = CP_OPERATION_NONE;
  name_offer(of, &task->operation);
  if (of->world.names && of->service.count)
    task->operation.cancels = cp_strdup(of->service.operations[of->service.count - 1].id);
  task->deadline = at_no_chance(of).now + of->world.call_timeout;
  task->machine = &cp_submission_machine;
  cp_submission_init(&task->as.submission, &of->client, &task->operation,
                     &of->world.policy);
  begin_task(of, task);
}

static void resume_submission(sim *of, cp_task *task) {
  cp_submission_policy policy = of->world.policy;
  cp_ids known = {0};
  policy.looks_up = true;
  if (of->saved.knows) copy_ids(&known, &of->saved.known);
  task->operation = CP_OPERATION_NONE;
  name_offer(of, &task->operation);
  task->operation.submitted_at = of->saved.submitted_at;
  task->deadline = INFINITY;
  task->sent = CP_SENT_MAYBE;
  task->machine = &cp_submission_machine;
  cp_submission_resume(&task->as.submission, &of->client, &task->operation, &policy,
                       of->saved.knows ? &known : NULL, at_no_chance(of).now);
  begin_task(of, task);
  of->did.doubted = of->now;
}

static void report(const sim *of, const cp_task *task) {
  const cp_operation *result = &task->operation;
  sim_trace(of, "%s: %s, sent %s, id %s%s",
            task->machine == &cp_watch_machine ? "wait" : "submission",
            cp_code_name(task->outcome.code), cp_sent_name(task->outcome.sent),
            result->id ? result->id : "none", result->adopted ? ", adopted" : "");
}

/* One task that submits or looks up; true when it gave an operation that was saved. */
static bool submit(sim *of, bool resumes) {
  cp_task task = {0};
  bool done = false;
  if (resumes)
    resume_submission(of, &task);
  else
    begin_submission(of, &task);
  carry(of, &task);
  if (task.stage == CP_STAGE_ENDED) {
    report(of, &task);
    check_submission(of, &task);
    done = task.outcome.code == CP_CODE_NONE;
    pass(of, POINT_RETURNED);
  }
  if (done && !of->crashed) save_operation(of, &task.operation);
  if (!done && !of->crashed && task.outcome.sent == CP_SENT_NO) forget_intent(&of->saved);
  end_task(of, &task);
  return done && !of->crashed;
}

static void wait(sim *of) {
  cp_task task = {.deadline = INFINITY, .sent = CP_SENT_YES};
  cp_clock clock = at_no_chance(of);
  task.operation = of->saved.of;
  of->saved.of = CP_OPERATION_NONE;
  copy_operation(&of->saved.of, &task.operation);
  of->saved.of.poll_after = -1; /* this is not saved */
  task.machine = &cp_watch_machine;
  cp_watch_init(&task.as.watch, &of->client, &task.operation, &of->world.watch, &clock,
                of->world.timeout);
  of->covered->nameless += service_is_nameless(task.operation.url);
  begin_task(of, &task);
  carry(of, &task);
  if (task.stage == CP_STAGE_ENDED) report(of, &task);
  if (task.stage == CP_STAGE_ENDED) check_wait(of, &task);
  end_task(of, &task);
}

/* Processes */

/*
** A later process starts when what was in flight has arrived, and when the list tells of
** it where it must not be sent again.
*/
static void restart(sim *of) {
  const operation *ours = service_ours(&of->service);
  double pause = 1 + 600 * fault_draw(&of->faults, DRAW_CRASH, 100 + of->process);
  of->now = fmax(of->now, of->served_until);
  if (ours && of->world.policy.adopts) of->now = fmax(of->now, ours->listed);
  of->now += 0.1 + pause * fault_draw(&of->faults, DRAW_CRASH, 200 + of->process);
  cp_token_free(&of->token);
  of->list_down_from = INFINITY;
}

/* An URL tells of no time: what is behind it must have had the time to get there. */
static void keep_url_only(sim *of) {
  cp_operation *kept = &of->saved.of, of_url = CP_OPERATION_NONE;
  cp_url_names names;
  const operation *ours = service_ours(&of->service);
  cp_url_names_read(kept->url, &names);
  of_url.kind = kept->kind;
  of_url.publisher = names.publisher;
  of_url.offer = names.offer;
  of_url.id = names.operation;
  of_url.url = cp_strdup(kept->url);
  cp_operation_free(kept);
  *kept = of_url;
  if (ours) of->now = fmax(of->now, ours->began + 90);
  of->covered->resumed_url++;
}

static void resume_operation(sim *of) {
  of->covered->resumed_operation++;
  if (of->world.keeps_url && of->world.kind != CP_CANCEL) keep_url_only(of);
  sim_trace(of, "process %u resumes %s", of->process, of->saved.of.url);
  wait(of);
}

/* Whether it was sent or not: what is to be canceled is watched. */
static void resume_cancel(sim *of) {
  cp_operation *to = &of->saved.of;
  cp_text url = {0};
  cp_operation_free(to);
  name_offer(of, to);
  to->cancels = cp_strdup(of->saved.cancels);
  to->id = cp_strdup(of->saved.cancels);
  to->submitted_at = of->saved.submitted_at;
  cp_api_url(&of->client, CP_ENDPOINT_OPERATION, to, NULL, &url);
  to->url = url.data;
  forget_intent(&of->saved);
  of->saved.operation = true;
  wait(of);
}

static void resume_intent(sim *of) {
  of->covered->resumed_intent++;
  sim_trace(of, "process %u resumes an intent", of->process);
  if (of->world.kind == CP_CANCEL)
    resume_cancel(of);
  else if (submit(of, true))
    wait(of);
}

/* Nothing is known to have been sent, or what was sent will be adopted. */
static bool may_begin(const sim *of) {
  if (of->process == 1) return true;
  const cp_submission_policy *policy = &of->world.policy;
  bool adopts = policy->adopts && policy->since < INFINITY;
  return of->world.kind != CP_CANCEL && (adopts || of->world.keeps_intent);
}

static void begin(sim *of) {
  static const char *const adopts[] = {"nothing", "what runs", "since it began"};
  const world *w = &of->world;
  of->covered->resumed_adopt += of->process > 1 && w->policy.adopts;
  sim_trace(of, "process %u: %s, adopts %s, reconcile %g, retries %d, clock %+.3f",
            of->process, cp_kind_name(w->kind),
            adopts[w->policy.adopts + (w->policy.adopts && w->policy.since < INFINITY)],
            w->policy.looks_up ? w->policy.reconcile : -1, of->client.retry.retries,
            of->skew);
  if (submit(of, false)) wait(of);
}

/* False: there is nothing more to be done. */
static bool process(sim *of) {
  draw_crash(of);
  of->covered->processes++;
  if (of->saved.operation)
    resume_operation(of);
  else if (of->saved.intent)
    resume_intent(of);
  else if (may_begin(of))
    begin(of);
  else
    return false;
  bool unclear = of->saved.intent && !of->saved.operation;
  return of->crashed || (unclear && of->process == 1);
}

static void reset(sim *of) {
  of->failed = CHECK_NONE;
  of->now = 0;
  of->exchanges = of->asked = of->taken = 0;
  of->token_dies = 0;
  of->outage_from = of->list_down_from = INFINITY;
  of->served_until = 0;
  of->saved = (saved){.of = CP_OPERATION_NONE};
}

void sim_run(sim *of, uint64_t seed, const fault_set *off) {
  faults_begin(&of->faults, seed, off);
  reset(of);
  world_make(of);
  of->covered->jobs++;
  of->covered->kinds[of->world.kind]++;
  bool goes_on = true;
  for (of->process = 1; goes_on && of->process <= PROCESSES; of->process++) {
    goes_on = process(of);
    restart(of);
  }
  forget_intent(&of->saved);
  cp_operation_free(&of->saved.of);
}
