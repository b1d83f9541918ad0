/*
** talk.c - what an answer of the service is put together from
*/
#include "talk.h"

#include <math.h>
#include <time.h>

double talk_shape(const talk *t, unsigned which) {
  return fault_draw(&t->of->faults, DRAW_SHAPE, t->n * SHAPES + which);
}

unsigned talk_choice(const talk *t, unsigned which, unsigned count) {
  return (unsigned)(talk_shape(t, which) * count);
}

bool talk_odd(const talk *t, fault which, double probability) {
  return fault_strikes(&t->of->faults, which, t->n, probability);
}

bool talk_posts(const talk *t) {
  return cp_api_is_submission(t->endpoint);
}

bool talk_polls(const talk *t) {
  return t->endpoint == CP_ENDPOINT_POLL;
}

bool talk_lists(const talk *t) {
  return t->endpoint == CP_ENDPOINT_OPERATIONS;
}

/* Headers */

static void put_header(cp_answer *answer, const char *name, const char *value) {
  cp_text_puts(&answer->headers, name);
  cp_text_puts(&answer->headers, ": ");
  cp_text_puts(&answer->headers, value);
  cp_text_puts(&answer->headers, "\r\n");
}

static void put_date(cp_answer *answer, const char *name, double unix_seconds) {
  char text[40];
  time_t seconds = (time_t)floor(unix_seconds);
  struct tm parts;
  gmtime_r(&seconds, &parts);
  strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  put_header(answer, name, text);
}

static void put_hint(talk *t, const char *name, const char *value, double seconds) {
  put_header(t->answer, name, value);
  t->of->flight.hint = seconds;
}

/* A delay that can be read, which a date is only beside a Date. */
static void hint(talk *t, bool dated) {
  double now = SERVICE_EPOCH + t->served;
  switch (talk_choice(t, SHAPE_HINT, dated ? 8 : 6)) {
    case 0: put_hint(t, "Retry-After", "0", 0); break;
    case 1: put_hint(t, "retry-after", "2", 2); break;
    case 2: put_hint(t, "Retry-After", "-5", 0); break;
    case 3: put_hint(t, "Retry-After", "40", 40); break;
    case 4: put_hint(t, "x-ms-retry-after-ms", "1500", 1.5); break;
    case 5: put_hint(t, "Retry-After-Ms", "250.5", 0.2505); break;
    case 6:
      put_date(t->answer, "Retry-After", now + 20);
      t->of->flight.hint = 20;
      break;
    default:
      put_date(t->answer, "Retry-After", now - 100);
      t->of->flight.hint = 0;
      break;
  }
}

static void absurd_hint(talk *t, bool must_be_read) {
  switch (talk_choice(t, SHAPE_ABSURD, must_be_read ? 3 : 6)) {
    case 0: put_hint(t, "Retry-After", "86400", 86400); break;
    case 1: put_hint(t, "Retry-After", "99999999999999999999", 31536000); break;
    case 2: put_hint(t, "retry-after-ms", "999999999999", 31536000); break;
    case 3: put_hint(t, "Retry-After", "soon", -1); break;
    case 4: put_hint(t, "Retry-After", "1e9", -1); break;
    default: put_hint(t, "Retry-After", "", -1); break;
  }
}

/* A 503 that turns away always says something that can be read. */
void talk_tell_hints(talk *t, bool always, bool never) {
  bool dated = !(t->of->skew == 0 && talk_odd(t, FAULT_NO_DATE, 0.03));
  if (dated) put_date(t->answer, "Date", SERVICE_EPOCH + t->served);
  if (t->of->world.pushy && !never)
    put_hint(t, "Retry-After", "0", 0);
  else if (!never && talk_odd(t, FAULT_ABSURD_HINT, always ? 0.2 : 0.02))
    absurd_hint(t, always);
  else if (always || (!never && talk_odd(t, FAULT_HINT, 0.12)))
    hint(t, dated);
}

void talk_tell_url(talk *t, const operation *of, url_form form) {
  static const char *const names[] = {"Location", "Operation-Location", "location",
                                      "operation-location"};
  cp_text url = {0};
  service_url(of, form, &url);
  put_header(t->answer, names[talk_choice(t, SHAPE_SIDE, 4)], cp_text_get(&url));
  cp_text_free(&url);
}

/* Answers */

void talk_say(talk *t, int status, const char *body) {
  cp_text_clear(&t->answer->body);
  t->answer->http_status = status;
  cp_text_puts(&t->answer->body, body);
}

void talk_say_error(talk *t, int status) {
  static const char *const bodies[] = {
      "{\"error\":{\"code\":\"Oops\",\"message\":\"no\"}}",
      "<html>no</html>",
      "",
      "\"no\"",
  };
  talk_say(t, status, bodies[talk_choice(t, SHAPE_BODY, 4)]);
}
