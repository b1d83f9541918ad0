/*
** release.h - an offer from draft to live, whatever was done of that before
** Look: at the offer's status, its operations and what is in its slots. The draft is live
** already: nothing to do. An operation is under way: follow it, and look again. The draft
** is in preview: ask, and go live. Otherwise publish. The operations are read before the
** slots: what has ended until then is in them. Nothing is remembered that the
** service does not tell, so it can be begun anew at any moment.
*/
#ifndef CP_RELEASE_H
#define CP_RELEASE_H

#include "machine.h"
#include "read.h"
#include "submission.h"
#include "watch.h"

/* How far the offer is, as its caller hears it. */
typedef enum cp_phase {
  CP_PHASE_LOOK,
  CP_PHASE_PUBLISH, /* a publish is under way */
  CP_PHASE_PREVIEW, /* its preview is ready */
  CP_PHASE_GOLIVE,  /* a go live is under way */
  CP_PHASE_LIVE,
} cp_phase;

/* What is looked at, in this order. */
typedef enum cp_look {
  CP_LOOK_STATUS,
  CP_LOOK_LIST,
  CP_LOOK_DRAFT,
  CP_LOOK_PRODUCTION,
  CP_LOOK_PREVIEW,
} cp_look;

/* What a look comes to. */
typedef enum cp_step_to_live {
  CP_STEP_NOTHING,
  CP_STEP_FOLLOW,
  CP_STEP_GOLIVE,
  CP_STEP_PUBLISH,
} cp_step_to_live;

typedef struct cp_release_policy {
  bool looks_only; /* and says what would be done */
  cp_submission_policy submission;
  cp_watch_policy watch;
} cp_release_policy;

typedef struct cp_release {
  const cp_service *service;
  cp_operation *operation; /* what is under way; its publisher and offer say what of */
  cp_release_policy policy;
  double deadline; /* by cp_clock.now */
  enum cp_release_stage {
    CP_RELEASE_LOOK,
    CP_RELEASE_REPORT,
    CP_RELEASE_CONFIRM,
    CP_RELEASE_CONFIRMED,
    CP_RELEASE_SUBMIT,
    CP_RELEASE_WATCH,
    CP_RELEASE_DONE,
    CP_RELEASE_FAILED
  } stage;
  cp_look look;
  bool is_running; /* `operation` is what was under way when the list was read */
  bool anew;       /* what was answered so far explains nothing of what comes */
  bool followed;   /* what is under way is somebody else's, or an earlier process's */
  cp_phase phase;
  cp_step_to_live step;
  cp_code code; /* this and the next: how it fails, when none of its parts does */
  cp_sent sent;
  cp_text draft;       /* as it was when it was looked at */
  bool is_live;        /* something is in production, and this is where it differs: */
  cp_text differences; /* pointers, as cp_note_pointer has them; for `looks_only` */
  union {
    cp_read read;
    cp_submission submission;
    cp_watch watch;
  } as;
} cp_release;

extern const cp_machine cp_release_machine;

/*
** Begins to release the offer of `operation`, until `deadline` at the latest, which is
** kept by whoever drives it but for the last poll.
*/
void cp_release_init(cp_release *release, const cp_service *service,
                     cp_operation *operation, const cp_release_policy *policy,
                     double deadline);

/* Its submission, while that is what is under way; or NULL. */
const cp_submission *cp_release_submission(const cp_release *release);

/* "publish", "preview", "golive", "live"; and "nothing", "follow", "golive", "publish" */
const char *cp_phase_name(cp_phase phase);
const char *cp_step_to_live_name(cp_step_to_live step);

#endif
