/*
** world.c - how a job is to be done, and what the offer has been through before
*/
#include "world.h"

#include <math.h>

#define DAY 86400.0

/* Numbers of what is drawn once. */
enum {
  D_KIND,
  D_LOOKS,
  D_RECONCILE,
  D_ADOPTS,
  D_ANNOUNCES,
  D_LOGS,
  D_INTERVAL,
  D_MINIMUM,
  D_OUTAGE,
  D_BLOCKED,
  D_TIMEOUT,
  D_RETRIES,
  D_DELAY,
  D_SKEW,
  D_SIGN,
  D_PRELUDE,
  D_OLD,
  D_DURATION,
  D_LAG,
  D_PAUSE,
  D_STEP,
  D_EARLY,
  D_LENGTH,
  D_KEEPS,
  D_FORM,
  D_OLD_TIME = 64
};

static double drawn(const sim *of, unsigned which) {
  return fault_draw(&of->faults, DRAW_WORLD, which);
}

static double one_of(const sim *of, unsigned which, double a, double b, double c) {
  double u = drawn(of, which);
  return u < 0.6 ? a : u < 0.8 ? b : c;
}

static bool happens(sim *of, fault which, double probability) {
  return fault_strikes(&of->faults, which, 0, probability);
}

/* From a to b, its logarithm evenly. */
static double spread(double u, double a, double b) {
  return a * pow(b / a, u);
}

static cp_kind draw_kind(const sim *of) {
  double u = drawn(of, D_KIND);
  return u < 0.76 ? CP_GOLIVE : u < 0.88 ? CP_PUBLISH : CP_CANCEL;
}

static void draw_policy(sim *of, world *new) {
  double adopts = drawn(of, D_ADOPTS);
  new->policy = (cp_submission_policy){
      .looks_up = drawn(of, D_LOOKS) > 0.06,
      .reconcile = one_of(of, D_RECONCILE, 30, 10, 45),
  };
  new->policy.adopts = new->policy.looks_up &&adopts < 0.5;
  new->policy.since = adopts < 0.1 ? INFINITY : 0;
  new->keeps_intent = drawn(of, D_ANNOUNCES) < 0.5;
  new->policy.announces = new->keeps_intent || drawn(of, D_ANNOUNCES) < 0.75;
  new->keeps_url = drawn(of, D_KEEPS) < 0.3;
  new->logs = drawn(of, D_LOGS) < 0.2;
}

static void draw_watch(sim *of, world *new) {
  new->watch = (cp_watch_policy){
      .interval = one_of(of, D_INTERVAL, 60, 15, 300),
      .min_interval = one_of(of, D_MINIMUM, 1, 5, 20),
      .outage = one_of(of, D_OUTAGE, 1800, 300, 60),
      .waits_when_blocked = drawn(of, D_BLOCKED) < 0.4,
  };
  new->timeout = 7 * DAY;
  if (happens(of, FAULT_DEADLINE_WAIT, 0.2))
    new->timeout = drawn(of, D_TIMEOUT) * 1.5 * new->duration;
  new->call_timeout = INFINITY;
  if (happens(of, FAULT_DEADLINE_CALL, 0.08))
    new->call_timeout = spread(drawn(of, D_TIMEOUT), 0.01, 90);
}

static void draw_outage(sim *of, world *new) {
  double outage = new->watch.outage, length = drawn(of, D_LENGTH);
  new->outage_length = 0;
  if (happens(of, FAULT_OUTAGE_SHORT, 0.1)) new->outage_length = outage *length * 0.9;
  if (happens(of, FAULT_OUTAGE_LONG, 0.06))
    new->outage_length = outage *(1.3 + 2 * length);
}

static void draw_job(sim *of) {
  world *new = &of->world;
  *new = (world){.kind = draw_kind(of)};
  new->duration = spread(drawn(of, D_DURATION), 20, 30000) / of->pace;
  if (happens(of, FAULT_QUICK, 0.15)) new->duration = 0.02 + 3 * drawn(of, D_DURATION);
  draw_policy(of, new);
  draw_watch(of, new);
  draw_outage(of, new);
  new->job_began = drawn(of, D_PRELUDE) < 0.5 ? 0 : -7200 * drawn(of, D_PRELUDE);
  double most = fmin(new->policy.reconcile, 20);
  new->lag = happens(of, FAULT_LAG, 0.3) ? drawn(of, D_LAG) * most : 0;
  new->token_life =
      happens(of, FAULT_TOKEN_SHORT, 0.2) ? 20 + 3000 * drawn(of, D_LENGTH) : 3600;
  new->names = new->kind == CP_CANCEL &&drawn(of, D_KEEPS) < 0.4;
  new->pushy = happens(of, FAULT_PUSHY, 0.01);
  new->nameless = new->kind != CP_CANCEL &&happens(of, FAULT_NAMELESS, 0.1);
}

static void draw_clocks(sim *of) {
  double u = drawn(of, D_SKEW), sign = drawn(of, D_SIGN) < 0.5 ? -1 : 1;
  of->skew = 0;
  if (happens(of, FAULT_SKEW_SMALL, 0.15)) of->skew = sign * 3 * u;
  if (happens(of, FAULT_SKEW_LARGE, 0.1)) of->skew = sign * spread(u, 3, 2 * DAY);
  of->world.policy.since += SERVICE_EPOCH + of->world.job_began + of->skew;
}

static void draw_client(sim *of) {
  of->client = (cp_service){
      .base = SERVICE_BASE,
      .api_version = SERVICE_VERSION,
      .retry = {.retries = (int)one_of(of, D_RETRIES, 3, 1, 6),
                .delay = one_of(of, D_DELAY, 0.8, 0.2, 3),
                .max_delay = 60},
      .exchange_timeout = 30,
      .connect_timeout = 10,
  };
}

static cp_kind other_kind(cp_kind kind) {
  return kind == CP_GOLIVE ? CP_PUBLISH : CP_GOLIVE;
}

/* Long over. */
static void add_old(sim *of) {
  unsigned count = fault_pick(&of->faults, DRAW_WORLD, D_OLD, 4);
  for (unsigned i = 0; i < count; i++) {
    double u = drawn(of, D_OLD_TIME + i);
    cp_kind kind = u < 0.5 ? CP_GOLIVE : CP_PUBLISH;
    operation *old = service_add(&of->service, &of->faults, kind, i * DAY - 30 * DAY);
    old->ends = old->began + 3600;
    old->end = (cp_state)(CP_SUCCEEDED + (int)(u * 24) % 3);
  }
}

/* Clearly before the job began, which is what its process can tell. */
static double before_job(const sim *of) {
  return of->world.job_began - 60 - spread(drawn(of, D_OLD_TIME + 9), 1, 40000);
}

static operation *add_running(sim *of, cp_kind kind) {
  operation *older = service_add(&of->service, &of->faults, kind, before_job(of));
  older->ends = spread(drawn(of, D_OLD_TIME + 8), 0.01, 2000);
  older->end = drawn(of, D_OLD_TIME + 7) < 0.5 ? CP_SUCCEEDED : CP_FAILED;
  return older;
}

/* What is to be canceled mostly runs for longer. */
static void add_target(sim *of) {
  cp_kind kind = drawn(of, D_OLD_TIME + 6) < 0.7 ? CP_GOLIVE : CP_PUBLISH;
  operation *target = add_running(of, kind);
  if (drawn(of, D_OLD_TIME + 5) < 0.7) target->ends += of->world.duration;
}

static void add_ended(sim *of) {
  cp_kind kind = of->world.kind;
  operation *older = service_add(&of->service, &of->faults, kind, before_job(of));
  double from = fmax(older->began, of->world.job_began - 30);
  older->ends = from + drawn(of, D_OLD_TIME + 4) * (-0.1 - from);
  older->end = drawn(of, D_OLD_TIME + 3) < 0.5 ? CP_SUCCEEDED : CP_FAILED;
}

/* At most one runs. */
static void add_operations(sim *of) {
  cp_kind kind = of->world.kind;
  add_old(of);
  if (kind == CP_CANCEL) {
    if (!happens(of, FAULT_NOTHING_RUNS, 0.1)) add_target(of);
  } else if (happens(of, FAULT_OLDER_ENDED, 0.15)) {
    add_ended(of);
  } else if (happens(of, FAULT_OLDER_RUNS, 0.1)) {
    add_running(of, kind);
  } else if (happens(of, FAULT_OTHER_RUNS, 0.08)) {
    add_running(of, other_kind(kind));
  }
}

void world_make(sim *of) {
  service_begin(&of->service);
  draw_job(of);
  draw_clocks(of);
  draw_client(of);
  of->service.versionless = happens(of, FAULT_VERSIONLESS, 0.1);
  of->service.undated = of->service.versionless && happens(of, FAULT_UNDATED, 0.3);
  add_operations(of);
}

static cp_state draw_end(sim *of, cp_kind kind) {
  if (happens(of, FAULT_FAILS, 0.15)) return CP_FAILED;
  if (happens(of, FAULT_CANCELED, 0.06)) return CP_CANCELED;
  bool waits = kind == CP_PUBLISH && drawn(of, D_STEP) < 0.8;
  return waits ? CP_WAITING_FOR_PUBLISHER : CP_SUCCEEDED;
}

static void draw_steps(sim *of, operation *taken) {
  taken->steps_complete = happens(of, FAULT_STEPS_COMPLETE, 0.1);
  taken->steps_skipped = happens(of, FAULT_STEPS_SKIPPED, 0.05);
  taken->signoff_waits =
      taken->kind == CP_GOLIVE && happens(of, FAULT_SIGNOFF_WAITS, 0.05);
  if (happens(of, FAULT_BLOCKED, 0.06))
    taken->blocked_from = taken->began + drawn(of, D_STEP) * of->world.duration;
}

void world_take(sim *of, operation *taken) {
  double duration = of->world.duration;
  taken->ours = true;
  taken->listed = taken->began + of->world.lag;
  taken->runs_from = taken->began + drawn(of, D_PAUSE) * fmin(duration, 60);
  taken->ends = taken->began + duration;
  taken->end = draw_end(of, taken->kind);
  if (happens(of, FAULT_EARLY, 0.1)) taken->registered += 20 * drawn(of, D_EARLY);
  if (!of->world.policy.adopts && happens(of, FAULT_GONE, 0.04))
    taken->gone = taken->began + 70 + drawn(of, D_EARLY) * duration;
  draw_steps(of, taken);
  if (of->world.outage_length > 0) {
    of->outage_from = taken->began + 0.01 + drawn(of, D_FORM) * duration;
    of->outage_until = of->outage_from + of->world.outage_length;
  }
}
