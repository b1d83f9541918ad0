/*
** service.c - the simulated service: an offer's operations, and the texts that tell of
** them
*/
#include "service.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "digest.h"

/* The list may tell states of so many seconds ago. */
#define STALE 20.0

#define PATH "/api/publishers/" SERVICE_PUBLISHER "/offers/" SERVICE_OFFER "/operations/"

void service_begin(service *of) {
  of->count = 0;
  of->versionless = of->undated = false;
}

static void put_id(const faults *chances, unsigned number, char *id, size_t size) {
  double u = fault_draw(chances, DRAW_OPERATION, 1000 + number);
  snprintf(id, size, "%08x-2185-49fe-80d2-%012x", (unsigned)(u * 4294967296.0), number);
}

operation *service_add(service *of, const faults *chances, cp_kind kind, double began) {
  if (of->count == OPERATIONS_MAX) return NULL;
  unsigned number = of->count;
  operation *new = &of->operations[of->count++];
  *new = (operation){.kind = kind,
                     .began = began,
                     .runs_from = began,
                     .blocked_from = INFINITY,
                     .ends = INFINITY,
                     .end = CP_SUCCEEDED,
                     .listed = began,
                     .registered = began,
                     .gone = INFINITY,
                     .alias_dies = INFINITY,
                     .version = (int)number * 2 + 2,
                     .number = number};
  new->wrapped = fault_draw(chances, DRAW_OPERATION, number * 2) < 0.3;
  new->word_last = fault_draw(chances, DRAW_OPERATION, number * 2 + 1) < 0.5;
  put_id(chances, number, new->id, sizeof new->id);
  return new;
}

cp_state operation_state(const operation *of, double time) {
  if (time >= of->ends) return of->end;
  return time < of->runs_from ? CP_NOT_STARTED : CP_RUNNING;
}

bool operation_blocked(const operation *of, double time) {
  return time >= of->blocked_from && time >= of->runs_from && time < of->ends;
}

bool operation_over(const operation *of, double time) {
  return time >= of->ends;
}

operation *service_busy(service *of, double time) {
  for (unsigned i = 0; i < of->count; i++)
    if (of->operations[i].began <= time && !operation_over(&of->operations[i], time))
      return &of->operations[i];
  return NULL;
}

operation *service_ours(service *of) {
  for (unsigned i = 0; i < of->count; i++)
    if (of->operations[i].ours) return &of->operations[i];
  return NULL;
}

operation *service_named(service *of, const char *id) {
  for (unsigned i = 0; id && i < of->count; i++)
    if (strcmp(of->operations[i].id, id) == 0) return &of->operations[i];
  return NULL;
}

operation *service_newest(service *of, double time) {
  operation *newest = NULL;
  for (unsigned i = 0; i < of->count; i++) {
    operation *one = &of->operations[i];
    if (one->began <= time && (!newest || one->began > newest->began)) newest = one;
  }
  return newest;
}

bool service_is_nameless(const char *url) {
  return strstr(url, "/api/operations/") != NULL;
}

operation *service_at(service *of, const char *url, double time) {
  char id[37] = "";
  const char *name = strstr(url, "/operations/");
  operation *found = NULL;
  if (service_is_nameless(url))
    found = service_newest(of, time);
  else if (name && sscanf(name, "/operations/%36[^/?]", id) == 1)
    found = service_named(of, id);
  if (!found || time < found->registered || time >= found->gone) return NULL;
  return strstr(url, "/old/") && time >= found->alias_dies ? NULL : found;
}

static void put_path(const operation *of, url_form form, cp_text *url) {
  static const char nameless[] =
      "/api/operations/" SERVICE_PUBLISHER "$" SERVICE_OFFER "$2$preview";
  cp_text_puts(url, form == URL_NAMELESS ? nameless : PATH);
  if (form != URL_NAMELESS) cp_text_puts(url, of->id);
}

void service_url(const operation *of, url_form form, cp_text *url) {
  static const char *const hosts[] = {
      [URL_PLAIN] = SERVICE_BASE,
      [URL_PATH] = "",
      [URL_ALIAS] = SERVICE_BASE "/old",
      [URL_NAMELESS] = "",
      [URL_AWAY] = SERVICE_BASE ".example.net",
  };
  cp_text_puts(url, hosts[form]);
  put_path(of, form, url);
  if (form != URL_PATH) cp_text_puts(url, "?api-version=" SERVICE_VERSION);
}

/* Words */

typedef struct words {
  const char *any[4];
} words;

static const words told[] = {
    [CP_UNKNOWN] = {{"certifying", "on-hold", "pending review", "42"}},
    [CP_NOT_STARTED] = {{"notStarted", "not started", "NotStarted", "notStarted"}},
    [CP_RUNNING] = {{"running", "inProgress", "In Progress", "r\\u0075nning"}},
    [CP_WAITING_FOR_PUBLISHER] = {{"waitingForPublisherReview",
                                   "WaitingForPublisherReview",
                                   "waitingForPublisherReview",
                                   "waiting for publisher review"}},
    [CP_SUCCEEDED] = {{"succeeded", "complete", "Completed", "succeeded"}},
    [CP_FAILED] = {{"failed", "Failed", "failed", "FAILED"}},
    [CP_CANCELED] = {{"canceled", "cancelled", "Canceled", "canceled"}},
};

static void put_word(cp_text *body, const char *key, cp_state state, unsigned which) {
  cp_text_puts(body, key);
  cp_text_puts(body, told[state].any[which % 4]);
  cp_text_puts(body, "\"");
}

/* The list */

static void put_time(cp_text *body, const char *key, double time) {
  char text[25];
  cp_iso_time(SERVICE_EPOCH + time, text);
  cp_text_puts(body, key);
  cp_text_add(body, text, 23);
  cp_text_puts(body, "4567Z\"");
}

/* 100 ns since the year 1, more than a double holds. */
static void put_version(cp_text *body, double began) {
  const long long epoch = 62135596800000000LL;
  long long microseconds = llround((SERVICE_EPOCH + began) * 1e6);
  cp_text_printf(body, ",\"version\":%lld", (epoch + microseconds) * 10);
}

/* When its state changed last, as the service has it: any touch counts. */
static double changed(const operation *of, double time) {
  if (time >= of->ends) return fmin(of->ends + 0.5, time);
  return time < of->runs_from ? of->began : of->runs_from;
}

static void put_entry(const service *of, const operation *one, unsigned word, double time,
                      cp_text *body) {
  static const char *const kinds[][3] = {[CP_GOLIVE] = {"golive", "GoLive", "Golive"},
                                         [CP_PUBLISH] = {"publish", "Publish", "PUBLISH"},
                                         [CP_CANCEL] = {"cancel", "Cancel", "CANCEL"}};
  cp_text_puts(body, "{\"id\":\"");
  cp_text_puts(body, one->id);
  cp_text_puts(body, "\",\"offerId\":\"56615b67\",\"submissionType\":\"");
  cp_text_puts(body, kinds[one->kind][word % 3]);
  put_word(body, "\",\"submissionState\":\"", operation_state(one, time), word);
  if (!of->versionless) put_version(body, one->began);
  put_time(body, ",\"changedTime\":\"", changed(one, time));
  cp_text_puts(body, "}");
}

/* The newest comes first. */
static void put_entries(const service *of, faults *chances, unsigned n, double time,
                        double told_of, cp_text *body) {
  bool reversed = fault_strikes(chances, FAULT_LIST_REVERSED, n, 0.03);
  bool doubles = fault_strikes(chances, FAULT_LIST_DOUBLES, n, 0.08);
  unsigned word = fault_pick(chances, DRAW_WORD, n, 12);
  bool first = true;
  for (unsigned i = 0; i < of->count; i++) {
    const operation *one = &of->operations[reversed ? i : of->count - 1 - i];
    if (time < one->listed || time >= one->gone) continue;
    for (int twice = 0; twice <= doubles; twice++) {
      if (!first) cp_text_puts(body, ",");
      put_entry(of, one, word + i, fmax(told_of, one->began), body);
      first = false;
    }
  }
  if (!first && fault_strikes(chances, FAULT_LIST_NOISE, n, 0.05))
    cp_text_puts(body, ",null,{\"submissionType\":\"golive\"},{\"id\":\"..\"},7");
}

void service_list(service *of, faults *chances, unsigned n, double time, cp_text *body) {
  bool stale = fault_strikes(chances, FAULT_LIST_STALE, n, 0.05);
  cp_text_puts(body, "[");
  put_entries(of, chances, n, time, stale ? time - STALE : time, body);
  cp_text_puts(body, "]");
}

/* Documents */

/* Steps say what they like: they decide nothing. */
static cp_state step_state(const operation *of, cp_state whole, unsigned i, double time) {
  if (of->steps_complete && whole != CP_NOT_STARTED) return CP_SUCCEEDED;
  if (of->steps_skipped || whole == CP_NOT_STARTED) return CP_NOT_STARTED;
  if (whole != CP_RUNNING) return CP_SUCCEEDED;
  double progress = (time - of->runs_from) / (of->ends - of->runs_from);
  return progress * 3 > i ? CP_SUCCEEDED : CP_RUNNING;
}

static void put_step(cp_text *body, const char *id, cp_state state) {
  cp_text_puts(body, "{\"id\":\"");
  cp_text_puts(body, id);
  cp_text_puts(body, "\",\"stepName\":\"A step\",\"messages\":[{\"messageHtml\":\"<b>as "
                     "usual</b>\",\"level\":\"information\"}],");
  put_word(body, "\"status\":\"", state, 0);
  cp_text_puts(body, "}");
}

static void put_obstacle(cp_text *body, const operation *of) {
  cp_text_puts(body,
               of->number % 2
                   ? "{\"id\":\"displaycertify\",\"status\":\"rejected\"},"
                   : "{\"id\":\"displaycertify\",\"status\":\"blocked\",\"messages\":"
                     "[{\"level\":\"Error\",\"messageHtml\":\"no\"}]},");
}

static void put_steps(cp_text *body, const operation *of, cp_state whole, bool signoff,
                      double time) {
  static const char *const ids[] = {"displaycertify", "displayprovision", "live"};
  cp_text_puts(body, "\"steps\":[");
  if (operation_blocked(of, time)) put_obstacle(body, of);
  for (unsigned i = 0; i < 3; i++) {
    put_step(body, ids[i], step_state(of, whole, i, time));
    cp_text_puts(body, ",");
  }
  put_step(body, "publisher-signoff", signoff ? CP_WAITING_FOR_PUBLISHER : CP_SUCCEEDED);
  cp_text_puts(body, "]");
}

void service_document(const service *of, const operation *which, const faults *chances,
                      unsigned n, double time, bool odd, cp_text *body) {
  cp_state whole = operation_state(which, time);
  unsigned word = fault_pick(chances, DRAW_WORD, which->number * 8 + (unsigned)whole, 4);
  bool signoff =
      whole == CP_WAITING_FOR_PUBLISHER || (whole == CP_RUNNING && which->signoff_waits);
  if (whole == CP_WAITING_FOR_PUBLISHER && word == 2) whole = CP_RUNNING;
  if (odd && whole == CP_RUNNING) whole = CP_UNKNOWN;
  if (odd) word = fault_pick(chances, DRAW_WORD, n, 4);
  cp_text_puts(body, which->wrapped ? "[{" : "{");
  if (!which->word_last) put_word(body, "\"status\":\"", whole, word);
  if (!which->word_last) cp_text_puts(body, ",");
  put_steps(body, which, whole, signoff, time);
  if (which->word_last) put_word(body, ",\"status\":\"", whole, word);
  if (!of->undated) put_time(body, ",\"createdDateTime\":\"", which->began);
  cp_text_printf(body, ",\"publishingVersion\":%d,\"offerVersion\":1", which->version);
  cp_text_puts(body, which->wrapped ? "}]" : "}");
}
