/*
** words.c - what the service's status words mean
** The tables are the reference's words (2017-2021) and those that clients have met. An
** offer knows all words of an operation and a few of its own; a word that only an offer
** knows ends no operation.
*/
#include "words.h"

#include <string.h>

typedef struct meaning {
  const char *word; /* lower case, no blanks, no hyphens */
  cp_state state;
} meaning;

static const meaning operation[] = {
    {"notstarted", CP_NOT_STARTED},
    {"running", CP_RUNNING},
    {"inprogress", CP_RUNNING},
    {"waitingforpublisherreview", CP_WAITING_FOR_PUBLISHER},
    {"complete", CP_SUCCEEDED},
    {"completed", CP_SUCCEEDED},
    {"succeeded", CP_SUCCEEDED},
    {"failed", CP_FAILED},
    {"canceled", CP_CANCELED},
    {"cancelled", CP_CANCELED},
    {NULL, CP_UNKNOWN},
};

static const meaning offer[] = {
    {"neverpublished", CP_NOT_STARTED},
    {"published", CP_SUCCEEDED},
    {NULL, CP_UNKNOWN},
};

static const meaning step[] = {
    {"notstarted", CP_NOT_STARTED},
    {"running", CP_RUNNING},
    {"inprogress", CP_RUNNING},
    {"waitingforpublisherreview", CP_WAITING_FOR_PUBLISHER},
    {"waitingforapproval", CP_WAITING_FOR_APPROVAL},
    {"complete", CP_SUCCEEDED},
    {"completed", CP_SUCCEEDED},
    {"succeeded", CP_SUCCEEDED},
    {"failed", CP_FAILED},
    {"canceled", CP_CANCELED},
    {"cancelled", CP_CANCELED},
    {"blocked", CP_BLOCKED},
    {"rejected", CP_REJECTED},
    {NULL, CP_UNKNOWN},
};

static const char *const names[] = {
    [CP_UNKNOWN] = "unknown",     [CP_NOT_STARTED] = "not_started",
    [CP_RUNNING] = "running",     [CP_WAITING_FOR_PUBLISHER] = "waiting_for_publisher",
    [CP_SUCCEEDED] = "succeeded", [CP_FAILED] = "failed",
    [CP_CANCELED] = "canceled",   [CP_BLOCKED] = "blocked",
    [CP_REJECTED] = "rejected",   [CP_WAITING_FOR_APPROVAL] = "waiting_for_approval",
};

static const char *const kinds[] = {
    [CP_KIND_OTHER] = NULL,
    [CP_GOLIVE] = "golive",
    [CP_PUBLISH] = "publish",
    [CP_CANCEL] = "cancel",
};

static bool counts(char c) {
  return c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '-';
}

/* The next character that counts, in lower case; -1 at the end. No locale: ASCII. */
static int significant(const char **at, const char *end) {
  while (*at < end && !counts(**at)) (*at)++;
  if (*at == end) return -1;
  unsigned char c = (unsigned char)*(*at)++;
  return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool cp_word_same(const char *a, size_t a_length, const char *b, size_t b_length) {
  const char *a_end = a + a_length, *b_end = b + b_length;
  for (;;) {
    int x = significant(&a, a_end), y = significant(&b, b_end);
    if (x != y || x < 0) return x == y;
  }
}

static cp_state look_up(const meaning *table, const char *word, size_t length) {
  while (table->word && !cp_word_same(table->word, strlen(table->word), word, length))
    table++;
  return table->state;
}

cp_state cp_word_operation(const char *word, size_t length) {
  return look_up(operation, word, length);
}

cp_state cp_word_offer(const char *word, size_t length) {
  cp_state own = look_up(offer, word, length);
  return own != CP_UNKNOWN ? own : cp_word_operation(word, length);
}

cp_state cp_word_step(const char *word, size_t length) {
  return look_up(step, word, length);
}

const char *cp_state_name(cp_state state) {
  return names[state];
}

bool cp_state_ended(cp_state state) {
  return state == CP_SUCCEEDED || state == CP_FAILED || state == CP_CANCELED;
}

bool cp_kind_is_over(cp_kind kind, cp_state state) {
  return cp_state_ended(state) ||
         (kind == CP_PUBLISH && state == CP_WAITING_FOR_PUBLISHER);
}

cp_kind cp_kind_of(const char *word, size_t length) {
  for (cp_kind kind = CP_GOLIVE; kind <= CP_CANCEL; kind++)
    if (cp_word_same(kinds[kind], strlen(kinds[kind]), word, length)) return kind;
  return CP_KIND_OTHER;
}

const char *cp_kind_name(cp_kind kind) {
  return kinds[kind];
}

bool cp_step_is_signoff(const char *id, size_t length) {
  return cp_word_same(id, length, "publishersignoff", 16);
}
