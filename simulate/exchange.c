/*
** exchange.c - one exchange with the service, and what goes wrong with it
** At most one fault strikes the way there and back; what the answer says may be odd
** besides.
*/
#include "exchange.h"

#include <math.h>
#include <string.h>

#include "talk.h"

/* How often, of a list's reading; a submission meets twice as many, a poll fewer. */
static const struct {
  fault which;
  double probability;
} dangers[] = {
    {FAULT_RESOLVE, 0.004},     {FAULT_CONNECT, 0.006},       {FAULT_TLS, 0.004},
    {FAULT_CERTIFICATE, 0.001}, {FAULT_CONNECT_SLOW, 0.004},  {FAULT_REQUEST_LOST, 0.012},
    {FAULT_ANSWER_LOST, 0.015}, {FAULT_REQUEST_HANGS, 0.004}, {FAULT_ANSWER_HANGS, 0.008},
    {FAULT_ANSWER_CUT, 0.006},  {FAULT_GARBLED, 0.006},       {FAULT_TOO_LARGE, 0.003},
    {FAULT_ERROR_BEFORE, 0.02}, {FAULT_ERROR_AFTER, 0.02},    {FAULT_THROTTLED, 0.015},
    {FAULT_BUSY, 0.015},        {FAULT_REFUSED, 0.003},       {FAULT_ODD_STATUS, 0.003},
    {FAULT_REVOKED, 0.01},      {FAULT_UNAUTHORIZED, 0.002},
};

static fault draw_danger(const talk *t) {
  double u = fault_draw(&t->of->faults, DRAW_FAULT, t->n);
  u /= talk_posts(t) ? 2 : talk_polls(t) ? 0.3 : 1.2;
  for (size_t i = 0; i < sizeof dangers / sizeof *dangers; i++) {
    if (u < dangers[i].probability) {
      bool on = fault_is_on(&t->of->faults, dangers[i].which, t->n);
      return on ? dangers[i].which : FAULT_COUNT;
    }
    u -= dangers[i].probability;
  }
  return FAULT_COUNT;
}

/* The way there and back */

/* Unclear ones: after these nobody knows. */
static int error_status(const talk *t) {
  static const int all[] = {500, 502, 504, 503, 408, 500, 599};
  return all[talk_choice(t, SHAPE_STATUS, 7)];
}

/* Ones that were certainly not taken. */
static int refusal(const talk *t) {
  static const int all[] = {400, 403, 404, 412, 422};
  return all[talk_choice(t, SHAPE_STATUS, 5)];
}

static int odd_status(const talk *t) {
  static const int all[] = {302, 304, 418, 405};
  return all[talk_choice(t, SHAPE_STATUS, 4)];
}

/* With a token of the job's in its hands it says what the job hopes for. */
static bool goes_astray(talk *t) {
  size_t length = sizeof SERVICE_BASE - 1;
  if (strncmp(t->url, SERVICE_BASE, length) == 0 && t->url[length] == '/') return false;
  sim_fail(t->of, CHECK_UNTRUSTED);
  talk_say(t, 200, "{\"status\":\"succeeded\"}");
  return true;
}

/* What was answered is known no more. */
static void spoil(talk *t, cp_failure failure, cp_sent sent) {
  cp_text_clear(&t->answer->headers);
  talk_say(t, 0, "");
  t->answer->failure = failure;
  t->answer->sent = sent;
  t->of->flight.good = false;
  t->of->flight.hint = -1;
}

static void cut(talk *t) {
  t->of->flight.good = false;
  t->answer->failure = CP_FAIL_NETWORK;
  cp_text_clear(&t->answer->body);
}

/* Never any answer: the one in flight is the engine's word that the time is over. */
static void hang(talk *t) {
  double limit = t->task->todo.as.send.limit, left = limit - sim_clock(t->of).now;
  double patience = t->of->client.exchange_timeout;
  spoil(t, CP_FAIL_TIMEOUT, CP_SENT_MAYBE);
  if (limit > 0 && left < patience)
    patience = talk_choice(t, SHAPE_OTHER, 2) ? left : left + 1;
  t->of->flight.at = t->of->now + fmax(patience, 0.001);
}

static void fail_before(talk *t, int status) {
  t->of->flight.hint = -1;
  talk_say_error(t, status);
}

/* Before the service has it: true when it never gets it. */
static bool strike_before(talk *t) {
  bool coming = true;
  switch (t->struck) {
    case FAULT_RESOLVE: spoil(t, CP_FAIL_RESOLVE, CP_SENT_NO); return true;
    case FAULT_CONNECT: spoil(t, CP_FAIL_CONNECT, CP_SENT_NO); return true;
    case FAULT_CERTIFICATE: t->answer->certificate_refused = true; /* fallthrough */
    case FAULT_TLS: spoil(t, CP_FAIL_TLS, CP_SENT_NO); return true;
    case FAULT_CONNECT_SLOW:
      spoil(t, CP_FAIL_TIMEOUT, CP_SENT_NO);
      t->of->flight.at = t->of->now + t->of->client.connect_timeout;
      return true;
    case FAULT_REQUEST_LOST: spoil(t, CP_FAIL_NETWORK, CP_SENT_MAYBE); break;
    case FAULT_REQUEST_HANGS: hang(t); break;
    case FAULT_ERROR_BEFORE: fail_before(t, error_status(t)); break;
    case FAULT_THROTTLED: fail_before(t, 429); return true;
    case FAULT_BUSY: fail_before(t, 503); return true;
    case FAULT_REFUSED: fail_before(t, refusal(t)); return true;
    case FAULT_ODD_STATUS: fail_before(t, odd_status(t)); return true;
    default: coming = false; break;
  }
  if (coming && talk_posts(t)) talk_let_other_come(t, t->served + 300);
  return coming;
}

static void strike_after(talk *t) {
  switch (t->struck) {
    case FAULT_ANSWER_LOST: spoil(t, CP_FAIL_NETWORK, CP_SENT_MAYBE); break;
    case FAULT_ANSWER_HANGS: hang(t); break;
    case FAULT_ANSWER_CUT: cut(t); break;
    case FAULT_GARBLED: spoil(t, CP_FAIL_PROTOCOL, CP_SENT_YES); break;
    case FAULT_TOO_LARGE: spoil(t, CP_FAIL_TOO_LARGE, CP_SENT_YES); break;
    case FAULT_ERROR_AFTER:
      cp_text_clear(&t->answer->headers);
      t->of->flight.good = false;
      talk_say_error(t, error_status(t));
      break;
    default: break;
  }
}

/* While the whole service is out, or its list. */
static bool is_out(talk *t) {
  sim *of = t->of;
  bool out = of->now >= of->outage_from && of->now < of->outage_until && !talk_posts(t);
  if (!out && !(talk_lists(t) && of->now >= of->list_down_from)) return false;
  of->covered->in_outage += out;
  switch (talk_choice(t, SHAPE_STATUS, 4)) {
    case 0: spoil(t, CP_FAIL_CONNECT, CP_SENT_NO); break;
    case 1: spoil(t, CP_FAIL_NETWORK, CP_SENT_MAYBE); break;
    case 2: talk_say_error(t, 503); break;
    default: talk_say(t, 200, "<html>We are back soon</html>"); break;
  }
  return true;
}

static double draw_latency(talk *t) {
  double u = fault_draw(&t->of->faults, DRAW_LATENCY, t->n);
  return talk_odd(t, FAULT_SLOW, 0.02) ? 0.5 + 4 * u : 0.05 + 0.2 * u;
}

/* From a submission that is unclear on, the list may be out of reach. */
static void let_list_fail(talk *t) {
  bool unclear = t->answer->failure != CP_FAIL_NONE || t->answer->http_status >= 500 ||
                 t->answer->http_status == 202;
  if (talk_posts(t) && unclear && talk_odd(t, FAULT_LIST_DOWN, 0.04))
    t->of->list_down_from = t->of->now;
}

static void finish(talk *t) {
  int status = t->answer->http_status;
  bool taken_or_not = talk_posts(t) && status == 503 && t->struck != FAULT_BUSY;
  if (status) {
    t->answer->sent = CP_SENT_YES;
    talk_tell_hints(t, t->struck == FAULT_BUSY, taken_or_not);
  }
  if (talk_posts(t)) t->of->served_until = t->served;
  let_list_fail(t);
}

static void go(talk *t) {
  if (goes_astray(t) || is_out(t)) return;
  t->struck = draw_danger(t);
  if (strike_before(t)) return;
  talk_serve(t);
  strike_after(t);
}

static void tell_body(const talk *t) {
  int most = talk_polls(t) ? 100 : 500;
  const cp_text *body = &t->answer->body;
  if (body->length) fprintf(t->of->trace, "%14s%.*s\n", "", most, body->data);
}

static void tell_trace(const talk *t) {
  const cp_answer *answer = t->answer;
  const char *failure = cp_code_name(cp_code_of_failure(answer->failure));
  sim_trace(t->of, "%u: %s %s", t->n, cp_api_method(t->endpoint),
            t->url + sizeof SERVICE_BASE - 1);
  sim_trace(t->of, "-> %d %s (%s), there %.3f, back %.3f", answer->http_status,
            answer->failure ? failure : "",
            t->struck < FAULT_COUNT ? fault_text(t->struck) : "as it should", t->served,
            t->of->flight.at);
  if (answer->headers.length) fprintf(t->of->trace, "%s", answer->headers.data);
  tell_body(t);
}

static void put_url(const sim *of, const cp_task *task, cp_text *url) {
  cp_endpoint endpoint = task->todo.as.send.endpoint;
  const cp_operation *subject = task->todo.as.send.of;
  if (endpoint == CP_ENDPOINT_POLL)
    cp_text_puts(url, subject->url);
  else
    cp_api_url(&of->client, endpoint, subject, NULL, url);
}

static void begin_flight(const talk *t, double latency) {
  sim *of = t->of;
  of->flight = (flight){.answer = t->answer,
                        .at = of->now + latency,
                        .endpoint = t->endpoint,
                        .hint = -1,
                        .version = -1};
}

void exchange_begin(sim *of, cp_task *task) {
  cp_text url = {0};
  put_url(of, task, &url);
  talk t = {.of = of,
            .task = task,
            .n = of->exchanges++,
            .endpoint = task->todo.as.send.endpoint,
            .url = cp_text_get(&url),
            .struck = FAULT_COUNT,
            .answer = cp_calloc(sizeof *t.answer)};
  double latency = draw_latency(&t);
  t.served = of->now + latency / 2;
  begin_flight(&t, latency);
  go(&t);
  finish(&t);
  t.answer->seconds = of->flight.at - of->now;
  of->covered->exchanges++;
  of->covered->polls += talk_polls(&t);
  if (of->trace) tell_trace(&t);
  cp_text_free(&url);
}

cp_answer *exchange_failure(cp_failure failure, cp_sent sent) {
  cp_answer *answer = cp_calloc(sizeof *answer);
  answer->failure = failure;
  answer->sent = sent;
  return answer;
}

void exchange_drop(sim *of) {
  if (of->flight.answer) cp_answer_free(of->flight.answer);
  cp_free(of->flight.answer);
  of->flight.answer = NULL;
}
