/*
** service.h - the simulated service: an offer's operations, and the texts that tell of
** them
** Its clock is the true one. Times are seconds from the start of the run, so that they
** keep their fractions; SERVICE_EPOCH makes Unix seconds of them.
*/
#ifndef SIM_SERVICE_H
#define SIM_SERVICE_H

#include "faults.h"
#include "memory.h"
#include "words.h"

#define SERVICE_EPOCH     1522100760.0
#define SERVICE_BASE      "https://cloudpartner.azure.com"
#define SERVICE_VERSION   "2017-10-31"
#define SERVICE_PUBLISHER "contoso"
#define SERVICE_OFFER     "contoso-offer"

#define OPERATIONS_MAX 32

typedef struct operation {
  char id[37];
  cp_kind kind;
  double began;
  double runs_from;
  double blocked_from; /* INFINITY: never */
  double ends;
  cp_state end;      /* which it reaches then */
  double listed;     /* from then on it is in the list */
  double registered; /* and at its URL */
  double gone;       /* until then */
  double alias_dies; /* until then it is at its alias too */
  int version;
  unsigned number;
  bool ours; /* taken from the job that is looked at */
  /* how it is told */
  bool steps_complete, steps_skipped, signoff_waits, wrapped, word_last;
} operation;

typedef struct service {
  operation operations[OPERATIONS_MAX];
  unsigned count;
  bool versionless; /* its list tells no time of a beginning */
  bool undated;     /* nor do its documents */
} service;

void service_begin(service *of);

/* Another operation, which stays until it is changed; NULL: the offer has too many. */
operation *service_add(service *of, const faults *chances, cp_kind kind, double began);

cp_state operation_state(const operation *of, double time);
bool operation_blocked(const operation *of, double time);

/* Over, so that another may begin: a publish whose preview is ready is. */
bool operation_over(const operation *of, double time);

/* What keeps another from beginning; NULL: nothing. */
operation *service_busy(service *of, double time);

operation *service_ours(service *of);
operation *service_named(service *of, const char *id);

/* The one that began last. */
operation *service_newest(service *of, double time);

/* Where this URL leads; NULL: nowhere. */
operation *service_at(service *of, const char *url, double time);

/* Is this the URL of the offer's newest operation, whichever that is? */
bool service_is_nameless(const char *url);

/* In what form an operation's URL is told. */
typedef enum url_form { URL_PLAIN, URL_PATH, URL_ALIAS, URL_NAMELESS, URL_AWAY } url_form;
void service_url(const operation *of, url_form form, cp_text *url);

/* Appends what the list tells at that time, with the faults of exchange `n`. */
void service_list(service *of, faults *chances, unsigned n, double time, cp_text *body);

/* Appends an operation's document, with a word that nobody knows when `odd`. */
void service_document(const service *of, const operation *which, const faults *chances,
                      unsigned n, double time, bool odd, cp_text *body);

#endif
