/*
** words.h - what the service's status words mean
*/
#ifndef CP_WORDS_H
#define CP_WORDS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum cp_state {
  CP_UNKNOWN, /* a word that is in no table: still going */
  CP_NOT_STARTED,
  CP_RUNNING,
  CP_WAITING_FOR_PUBLISHER,
  CP_SUCCEEDED,
  CP_FAILED,
  CP_CANCELED,
  CP_BLOCKED, /* this and the next two: of a step only */
  CP_REJECTED,
  CP_WAITING_FOR_APPROVAL
} cp_state;

typedef enum cp_kind { CP_KIND_OTHER, CP_GOLIVE, CP_PUBLISH, CP_CANCEL } cp_kind;

/* The meaning of the overall word of an operation or of a list's entry. */
cp_state cp_word_operation(const char *word, size_t length);

/* The meaning of the overall word of an offer's status. */
cp_state cp_word_offer(const char *word, size_t length);

/* The meaning of a step's word. */
cp_state cp_word_step(const char *word, size_t length);

/* The name that a user sees: "succeeded", "waiting_for_publisher", ... */
const char *cp_state_name(cp_state state);

/* Has what is in this state come to its end? */
bool cp_state_ended(cp_state state);

/*
** Is an operation of this kind over in this state? A publish that waits for its publisher
** is: the preview is ready.
*/
bool cp_kind_is_over(cp_kind kind, cp_state state);

/*
** "golive", "publish" or "cancel" in any letter case; CP_KIND_OTHER for any other word.
*/
cp_kind cp_kind_of(const char *word, size_t length);

/* The name of a kind; NULL for CP_KIND_OTHER. */
const char *cp_kind_name(cp_kind kind);

/* Are two words the same without regard to case, blanks and hyphens? */
bool cp_word_same(const char *a, size_t a_length, const char *b, size_t b_length);

/* Is this the id of the step at which the publisher approves the preview? */
bool cp_step_is_signoff(const char *id, size_t length);

#endif
