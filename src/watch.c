/*
** watch.c - polling one operation: hint or interval, outage, deadline, blocked
*/
#include "watch.h"

#include <math.h>
#include <string.h>

#include "url.h"

/* The longest delay that a server's hint can ask for, in seconds. */
#define HINT_MAX 3600.0

/* For so long after a submission, in seconds, its operation may not be there yet. */
#define PATIENCE 60.0

/* Of an operation that the service has just accepted, and asked to be patient with. */
static double first_delay(const cp_operation *operation, const cp_clock *clock) {
  if (operation->poll_after < 0) return 0;
  return fmax(fmin(operation->poll_after - clock->wall, HINT_MAX), 0);
}

static double age_of(const cp_operation *operation, const cp_clock *clock) {
  if (operation->submitted_at < 0) return -1;
  return fmax(clock->wall - operation->submitted_at, 0);
}

void cp_watch_init(cp_watch *watch, const cp_service *service, cp_operation *operation,
                   const cp_watch_policy *policy, const cp_clock *clock, double timeout) {
  *watch = (cp_watch){
      .service = service,
      .operation = operation,
      .policy = *policy,
      .deadline = clock->now + timeout,
      .began = clock->now,
      .age = age_of(operation, clock),
      .due = clock->now + first_delay(operation, clock),
      .phase = CP_WATCH_WAIT,
      .publishing_version = -1,
      .offer_version = -1,
      .rested = true,
  };
}

/*
** A poll that is under way at the deadline has the last poll's time to answer, and what
** then follows shares that time. A wait that nobody stepped at its deadline has it from
** now on.
*/
static void send(cp_watch *watch, cp_todo *todo, cp_endpoint endpoint, double now) {
  cp_todo_send(todo, endpoint, watch->operation);
  if (watch->rested) watch->limit = fmax(watch->deadline, now) + CP_LAST_POLL;
  watch->rested = false;
  todo->as.send.limit = watch->limit;
}

/* The last poll starts at the deadline, or at the first question after it. */
static void wake(cp_watch *watch, double now) {
  if (now >= watch->deadline) watch->last = true;
  if (watch->last || now >= watch->due) watch->phase = CP_WATCH_POLL;
}

static void wait(cp_watch *watch, cp_todo *todo, double now) {
  watch->rested = true;
  cp_todo_wait(todo, fmin(watch->due, watch->deadline), CP_BEFORE_POLL);
  if (watch->failures) todo->as.wait.failing_for = now - watch->failing_since;
}

static void next(void *self, const cp_clock *clock, cp_todo *todo) {
  cp_watch *watch = self;
  if (watch->reports) {
    watch->reports = false;
    cp_todo_call(todo, CP_CALL_PROGRESS);
    return;
  }
  if (watch->phase == CP_WATCH_WAIT) wake(watch, clock->now);
  switch (watch->phase) {
    case CP_WATCH_POLL: send(watch, todo, CP_ENDPOINT_POLL, clock->now); break;
    case CP_WATCH_LOOK_UP: send(watch, todo, CP_ENDPOINT_OPERATIONS, clock->now); break;
    case CP_WATCH_WAIT: wait(watch, todo, clock->now); break;
    case CP_WATCH_DONE: cp_todo_done(todo); break;
    case CP_WATCH_FAILED:
      cp_todo_failed(todo, watch->code, CP_SENT_YES, watch->of_answer);
      break;
  }
}

static void fail(cp_watch *watch, cp_code code, bool of_answer) {
  watch->phase = CP_WATCH_FAILED;
  watch->code = code;
  watch->of_answer = of_answer;
}

/* After the poll at the deadline there is no other. */
static void wait_for(cp_watch *watch, const cp_clock *clock, double delay) {
  if (watch->last) {
    fail(watch, CP_CODE_DEADLINE, false);
    return;
  }
  watch->due = clock->now + delay;
  watch->phase = CP_WATCH_WAIT;
}

static double by_interval(const cp_watch *watch, double random) {
  return watch->policy.interval * (0.9 + 0.2 * random);
}

static double by_hint(const cp_watch *watch, const cp_digest *digest, double random) {
  if (digest->retry_after < 0) return by_interval(watch, random);
  return fmax(fmin(digest->retry_after, HINT_MAX), watch->policy.min_interval);
}

/* A failed poll is repeated as soon as any exchange would be, later with the interval. */
static double after_failure(const cp_watch *watch, const cp_digest *digest,
                            double random) {
  const cp_retry_policy *retry = &watch->service->retry;
  if (digest->retry_after >= 0 || watch->failures > retry->retries)
    return by_hint(watch, digest, random);
  return cp_retry_backoff(retry, watch->failures, random);
}

/* A good answer that failed is one that was not understood. */
static cp_code code_of_failed(const cp_digest *digest) {
  cp_code code = cp_code_of(digest);
  return code != CP_CODE_NONE ? code : CP_CODE_PROTOCOL;
}

/*
** A poll without an understood status tells nothing of the operation. The wait goes on
** until that has lasted for the outage's length, except where time will not mend it.
*/
static void take_failure(cp_watch *watch, const cp_clock *clock, const cp_digest *digest,
                         cp_code code) {
  if (watch->failures++ == 0) watch->failing_since = clock->now;
  bool final = digest->http_status == 400 || digest->http_status == 403 ||
               digest->http_status == 401 || digest->certificate_refused ||
               code == CP_CODE_UNTRUSTED_URL;
  if (final || clock->now - watch->failing_since >= watch->policy.outage)
    fail(watch, code, code == code_of_failed(digest));
  else
    wait_for(watch, clock, after_failure(watch, digest, clock->random));
}

static bool is_lost(const cp_watch *watch, const cp_clock *clock,
                    const cp_digest *digest) {
  if (cp_code_of(digest) != CP_CODE_NOT_FOUND) return false;
  return watch->age < 0 || watch->age + (clock->now - watch->began) > PATIENCE;
}

static bool knows(const cp_digest *digest, const cp_operation *operation) {
  const char *id = operation->kind == CP_CANCEL ? operation->cancels : operation->id;
  for (size_t i = 0; i < digest->entry_count; i++) {
    const cp_entry *entry = &digest->entries[i];
    if (id ? strcmp(entry->id, id) == 0 : entry->kind == operation->kind) return true;
  }
  return false;
}

/* Gone from where it was, but not from the list: where every operation of an id is. */
static void go_by_id(cp_watch *watch) {
  cp_operation *operation = watch->operation;
  if (operation->id) cp_api_place(watch->service, operation, operation->id);
}

static void take_list(cp_watch *watch, const cp_clock *clock, const cp_digest *digest) {
  bool read = cp_code_of(digest) == CP_CODE_NONE && digest->understood;
  if (read && !knows(digest, watch->operation)) {
    fail(watch, CP_CODE_OPERATION_LOST, false);
    return;
  }
  if (read) go_by_id(watch);
  take_failure(watch, clock, digest, read ? CP_CODE_NOT_FOUND : code_of_failed(digest));
}

/* A URL that moves is followed on the same origin only; otherwise the old one is kept. */
static void follow(cp_watch *watch, const cp_digest *digest) {
  if (!digest->location) return;
  const cp_service *service = watch->service;
  cp_text url = {.limit = CP_URL_MAX};
  if (cp_url_resolve(service->base, digest->location, digest->location_length,
                     service->api_version, &url) == CP_URL_OK)
    cp_operation_move(watch->operation, url.data);
  cp_text_free(&url);
}

static cp_code code_of_end(cp_kind kind, cp_state state) {
  if (kind == CP_CANCEL)
    return state == CP_CANCELED ? CP_CODE_NONE : CP_CODE_NOT_CANCELED;
  if (state == CP_FAILED) return CP_CODE_OPERATION_FAILED;
  return state == CP_CANCELED ? CP_CODE_OPERATION_CANCELED : CP_CODE_NONE;
}

/* Does the URL name an offer, and so whatever operation that has? */
static bool is_of_offer(const char *url) {
  cp_url_names names;
  bool yes = cp_url_names_read(url, &names) && !names.operation;
  cp_url_names_free(&names);
  return yes;
}

static bool is_before(double version, double last) {
  return version >= 0 && version < last;
}

/* There, a document that tells of older versions than the last is another operation's. */
static bool goes_back(const cp_watch *watch, const cp_digest *digest) {
  return (is_before(digest->publishing_version, watch->publishing_version) ||
          is_before(digest->offer_version, watch->offer_version)) &&
         is_of_offer(watch->operation->url);
}

static void note_versions(cp_watch *watch, const cp_digest *digest) {
  watch->publishing_version = fmax(watch->publishing_version, digest->publishing_version);
  watch->offer_version = fmax(watch->offer_version, digest->offer_version);
}

static void take_status(cp_watch *watch, const cp_clock *clock, const cp_digest *digest) {
  cp_kind kind = watch->operation->kind;
  if (goes_back(watch, digest)) {
    fail(watch, CP_CODE_OPERATION_LOST, false);
    return;
  }
  note_versions(watch, digest);
  watch->failures = 0;
  watch->reports = digest->changed;
  follow(watch, digest);
  if (cp_kind_is_over(kind, digest->state)) {
    cp_code code = code_of_end(kind, digest->state);
    watch->phase = CP_WATCH_DONE;
    if (code != CP_CODE_NONE) fail(watch, code, false);
  } else if (digest->blocked && !watch->policy.waits_when_blocked && kind != CP_CANCEL) {
    fail(watch, CP_CODE_OPERATION_BLOCKED, false);
  } else {
    wait_for(watch, clock, by_hint(watch, digest, clock->random));
  }
}

/* A redirect is a failed poll; the next one goes where it points, on the same origin. */
static void take_failed_poll(cp_watch *watch, const cp_clock *clock,
                             const cp_digest *digest) {
  if (digest->http_status >= 300 && digest->http_status < 400) follow(watch, digest);
  take_failure(watch, clock, digest, code_of_failed(digest));
}

/*
** Where it isn't known which offer's list to read, nothing else can find the operation.
*/
static void look_up(cp_watch *watch) {
  if (watch->operation->publisher && watch->operation->offer)
    watch->phase = CP_WATCH_LOOK_UP;
  else
    fail(watch, CP_CODE_OPERATION_LOST, false);
}

static void take(void *self, const cp_clock *clock, const cp_digest *digest) {
  cp_watch *watch = self;
  if (watch->phase == CP_WATCH_LOOK_UP)
    take_list(watch, clock, digest);
  else if (cp_code_of(digest) == CP_CODE_NONE && digest->understood)
    take_status(watch, clock, digest);
  else if (is_lost(watch, clock, digest))
    look_up(watch);
  else
    take_failed_poll(watch, clock, digest);
}

/* The last poll comes at the deadline. */
static bool keeps_time(const void *self) {
  (void)self;
  return true;
}

const cp_machine cp_watch_machine = {
    .next = next, .take = take, .keeps_time = keeps_time};
