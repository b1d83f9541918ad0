/*
** talk.h - one exchange on its way, and what the service answers
*/
#ifndef SIM_TALK_H
#define SIM_TALK_H

#include "sim.h"

/* One exchange on its way. */
typedef struct talk {
  sim *of;
  cp_task *task;
  unsigned n; /* its number */
  cp_endpoint endpoint;
  const char *url;
  fault struck;  /* FAULT_COUNT: none */
  double served; /* when the service has it */
  cp_answer *answer;
} talk;

/* What such a number is for. */
enum {
  SHAPE_STATUS,
  SHAPE_SIDE,
  SHAPE_FORM,
  SHAPE_HINT,
  SHAPE_ABSURD,
  SHAPE_BODY,
  SHAPE_MOVED,
  SHAPE_OTHER,
  SHAPES
};

/* A number in [0, 1) for this exchange and use; or a whole one below `count`. */
double talk_shape(const talk *t, unsigned which);
unsigned talk_choice(const talk *t, unsigned which, unsigned count);

/* Does this fault strike this exchange? */
bool talk_odd(const talk *t, fault which, double probability);

bool talk_posts(const talk *t);
bool talk_polls(const talk *t);
bool talk_lists(const talk *t);

/* Sets status and body. */
void talk_say(talk *t, int status, const char *body);
void talk_say_error(talk *t, int status);

/* Adds a URL of this operation, in whatever header. */
void talk_tell_url(talk *t, const operation *of, url_form form);

/*
** Adds the time, and perhaps a delay: `always` one that can be read, or `never` one that
** can.
*/
void talk_tell_hints(talk *t, bool always, bool never);

/* The service has got it, with a token of some kind: what does it do and say? */
void talk_serve(talk *t);

/* While it is unclear what became of a submission, another kind may begin. */
void talk_let_other_come(talk *t, double ends);

#endif
