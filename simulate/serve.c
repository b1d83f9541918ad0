/*
** serve.c - what the service does with a request, and says
*/
#include <math.h>

#include "talk.h"
#include "world.h"

/* Submissions */

/* The operation that somebody else begins, at a moment when nothing else runs. */
static operation *add_other(talk *t, cp_kind kind, double began, double ends) {
  operation *other = service_add(&t->of->service, &t->of->faults, kind, began);
  if (!other) return NULL;
  other->ends = ends;
  other->end = CP_FAILED;
  return other;
}

static cp_kind other_kind(const talk *t) {
  cp_kind kind = t->task->operation.kind;
  return kind == CP_GOLIVE ? CP_PUBLISH : CP_GOLIVE;
}

static bool is_cancel(const talk *t) {
  return t->task->operation.kind == CP_CANCEL;
}

/* Somebody else's publish, while it is unclear what became of our go live. */
void talk_let_other_come(talk *t, double ends) {
  if (is_cancel(t) || service_busy(&t->of->service, t->served)) return;
  if (talk_odd(t, FAULT_OTHER_COMES, 0.25))
    add_other(t, other_kind(t), t->served - 0.01, ends);
}

/* The same kind, before or after ours, which is over at once; the list shows both. */
static void let_rival_come(talk *t, operation *ours) {
  const world *w = &t->of->world;
  bool fits = w->policy.looks_up && !w->policy.adopts && !w->nameless && w->lag == 0;
  if (!fits || !talk_odd(t, FAULT_RIVAL, 0.08)) return;
  ours->gone = INFINITY;
  if (talk_choice(t, SHAPE_OTHER, 2)) {
    ours->ends = t->served + 0.004;
    ours->end = CP_FAILED;
    add_other(t, ours->kind, t->served + 0.008, t->served + 60);
  } else {
    add_other(t, ours->kind, t->served - 0.008, t->served - 0.004);
  }
}

static url_form accepted_form(talk *t, operation *ours) {
  if (t->of->world.nameless) return URL_NAMELESS;
  if (!talk_odd(t, FAULT_ALIAS_URL, 0.1))
    return talk_choice(t, SHAPE_FORM, 2) ? URL_PLAIN : URL_PATH;
  if (talk_odd(t, FAULT_ALIAS_DIES, 0.4))
    ours->alias_dies =
        ours->began + 2 * talk_shape(t, SHAPE_MOVED) * t->of->world.duration;
  return URL_ALIAS;
}

/* That of an id which is known to be older; where no list was read, none is. */
static bool tell_seen(talk *t) {
  const operation *old = &t->of->service.operations[0];
  const cp_submission *submission = &t->task->as.submission;
  if (old->ours || !submission->knows || !cp_ids_hold(&submission->known, old->id))
    return false;
  if (!talk_odd(t, FAULT_SEEN_URL, 0.06)) return false;
  talk_tell_url(t, old, URL_PLAIN);
  return true;
}

/* Whether the answer that comes will say where ours is. */
static bool tell_where(talk *t, operation *ours) {
  if (talk_odd(t, FAULT_NO_URL, 0.06)) return false;
  if (tell_seen(t)) return false;
  bool away = talk_odd(t, FAULT_UNTRUSTED_URL, 0.05);
  talk_tell_url(t, ours, away ? URL_AWAY : accepted_form(t, ours));
  return !away;
}

static bool answer_gets_lost(const talk *t) {
  return t->struck == FAULT_ANSWER_LOST || t->struck == FAULT_ANSWER_HANGS ||
         t->struck == FAULT_ERROR_AFTER || t->struck == FAULT_GARBLED ||
         t->struck == FAULT_TOO_LARGE;
}

static void count_taken(talk *t) {
  t->of->did.took = true;
  t->of->covered->taken++;
  if (++t->of->taken > 1) sim_fail(t->of, CHECK_TWICE);
}

static void take_job(talk *t) {
  bool lost = answer_gets_lost(t);
  if (lost) talk_let_other_come(t, t->served - 0.001);
  operation *ours =
      service_add(&t->of->service, &t->of->faults, t->task->operation.kind, t->served);
  if (!ours) return;
  count_taken(t);
  world_take(t->of, ours);
  static const char *const bodies[] = {"", "\"\"", "{\"message\":\"Accepted\"}", "<p>"};
  talk_say(t, talk_choice(t, SHAPE_OTHER, 10) ? 202 : 200,
           bodies[talk_choice(t, SHAPE_BODY, 4)]);
  bool told = tell_where(t, ours);
  if (lost || !told) let_rival_come(t, ours);
}

/* It says 202 even when it cancels nothing. */
static void serve_cancel(talk *t) {
  operation *runs = service_busy(&t->of->service, t->served);
  if (!runs && talk_choice(t, SHAPE_FORM, 2)) {
    talk_say_error(t, 409);
    return;
  }
  count_taken(t);
  talk_say(t, talk_choice(t, SHAPE_BODY, 2) ? 202 : 200, "");
  if (runs && talk_choice(t, SHAPE_FORM, 4)) {
    runs->end = CP_CANCELED;
    runs->ends = fmin(runs->ends, t->served + 60 * talk_shape(t, SHAPE_MOVED));
  }
  if (runs && talk_choice(t, SHAPE_OTHER, 2)) talk_tell_url(t, runs, URL_PLAIN);
}

static void serve_post(talk *t) {
  static const int conflicts[] = {409, 409, 400, 422};
  if (is_cancel(t))
    serve_cancel(t);
  else if (service_busy(&t->of->service, t->served))
    talk_say_error(t, conflicts[talk_choice(t, SHAPE_STATUS, 4)]);
  else
    take_job(t);
}

/* Lists */

static const char *const no_documents[] = {
    "<html>maintenance</html>", "", "\"\"", "{", "{\"error\":null}", "null", "[[]]"};

static void serve_list(talk *t) {
  sim *of = t->of;
  if (talk_odd(t, FAULT_LIST_BAD, 0.03)) {
    talk_say(t, 200, no_documents[talk_choice(t, SHAPE_BODY, 6)]);
    return;
  }
  talk_say(t, 200, "");
  service_list(&of->service, &of->faults, t->n, t->served, &t->answer->body);
  const operation *ours = service_ours(&of->service);
  of->flight.good = true;
  of->flight.shows_ours = ours && t->served >= ours->listed && t->served < ours->gone;
}

/* Polls */

/* Where the next poll is to go, as the answer to this one has it. */
static void tell_moved(talk *t, const operation *of) {
  const operation *old = &t->of->service.operations[0];
  if (talk_odd(t, FAULT_MOVED, 0.01)) {
    talk_tell_url(t, of, talk_choice(t, SHAPE_MOVED, 2) ? URL_PLAIN : URL_ALIAS);
  } else if (talk_odd(t, FAULT_MOVED_AWAY, 0.01)) {
    talk_tell_url(t, of, URL_AWAY);
  } else if (old != of && t->task->operation.id &&
             talk_odd(t, FAULT_MOVED_ELSEWHERE, 0.01)) {
    talk_tell_url(t, old, URL_PLAIN);
  }
}

static bool redirect(talk *t, const operation *of) {
  bool near = talk_odd(t, FAULT_REDIRECT, 0.004);
  bool away = !near && talk_odd(t, FAULT_REDIRECT_AWAY, 0.004);
  if (!near && !away) return false;
  talk_say(t, 307, "");
  talk_tell_url(t, of, away ? URL_AWAY : URL_PLAIN);
  return true;
}

/* Where versions have been told, older ones give it away. */
static const operation *older_one(talk *t, const operation *of) {
  const operation *old = &t->of->service.operations[0];
  bool fits = talk_polls(t) && service_is_nameless(t->url) &&
              old->version < t->of->did.version && old != of;
  return fits && talk_odd(t, FAULT_OLD_DOCUMENT, 0.03) ? old : NULL;
}

static void serve_document(talk *t, const operation *of) {
  sim *s = t->of;
  const operation *old = older_one(t, of);
  bool runs = operation_state(of, t->served) == CP_RUNNING && talk_polls(t);
  bool strange = runs && talk_odd(t, FAULT_UNKNOWN_WORD, 0.01);
  s->flight.good = true;
  s->flight.shows_old = old != NULL;
  s->flight.version = of->version;
  talk_say(t, 200, "");
  service_document(&s->service, old ? old : of, &s->faults, t->n, t->served, strange,
                   &t->answer->body);
  if (talk_polls(t)) tell_moved(t, of);
}

static void serve_operation(talk *t) {
  operation *of = service_at(&t->of->service, t->url, t->served);
  if (!of || talk_odd(t, FAULT_MISSED, 0.003)) {
    talk_say_error(t, talk_choice(t, SHAPE_OTHER, 3) ? 404 : 410);
  } else if (talk_odd(t, FAULT_POLL_BAD, 0.01)) {
    talk_say(t, 200, no_documents[talk_choice(t, SHAPE_BODY, 7)]);
  } else if (!talk_polls(t) || !redirect(t, of)) {
    serve_document(t, of);
  }
}

/* Any */

void talk_serve(talk *t) {
  sim *of = t->of;
  bool refuses = t->struck == FAULT_UNAUTHORIZED || t->struck == FAULT_REVOKED;
  if (t->struck == FAULT_REVOKED) of->token_dies = t->served;
  if (refuses || t->served >= of->token_dies)
    talk_say_error(t, 401);
  else if (talk_posts(t))
    serve_post(t);
  else if (talk_lists(t))
    serve_list(t);
  else
    serve_operation(t);
}
