/*
** credential.h - a credential: an identity, its token, and those who share that
** Requests for tokens go by a port of the credential's own, so a renewal is nobody's: the
** client that is driven next takes it in, whichever asked.
*/
#ifndef CP_CREDENTIAL_H
#define CP_CREDENTIAL_H

#include "engine.h"
#include "grant.h"
#include "tasks.h"
#include "token.h"

typedef struct cp_credential cp_credential;

/* One who needs its tokens: a client's tasks, and the port that its host watches. */
typedef struct cp_sharer {
  struct cp_sharer *next;
  cp_credential *credential; /* NULL: none, or it is gone */
  cp_tasks *tasks;
  cp_port **port;
} cp_sharer;

struct cp_credential {
  bool open;
  bool is_scoped; /* the scope is its maker's, whatever the endpoints are */
  cp_identity identity;
  cp_token token;
  cp_retry_policy retry;
  double exchange_timeout;
  size_t max_body;
  char *agent;    /* header lines of its requests */
  cp_route route; /* until the port takes it over */
  cp_port *port;
  cp_exchange *exchange;    /* in flight, by the port */
  unsigned long generation; /* of the process whose exchange that is: see engine */
  char *assertion;          /* the federated token of the request under way */
  double asked_at, asked_wall;
  void *asker;        /* the task for which a function of the caller's is called */
  bool is_asking;     /* by the driver, in which nobody can wait for it */
  cp_answer *last;    /* what came of the last request for a token, without secrets */
  char *reason;       /* why the last renewal failed; NULL: it did not */
  const char *advice; /* likewise, what to do about it; or NULL */
  bool unobserved, untold; /* `last` was not shown to an observer, to a log */
  cp_sharer *sharers;
};

/* What came of a renewal. */
typedef enum cp_renewal {
  CP_RENEWED,
  CP_RENEWAL_REPEATED, /* it will be */
  CP_RENEWAL_FAILED,
} cp_renewal;

void cp_credential_join(cp_credential *credential, cp_sharer *sharer);
void cp_credential_part(cp_sharer *sharer);

/* The sharer's descriptor is raised by the credential's answers from now on. */
void cp_credential_follow(const cp_sharer *sharer);

/*
** The request for a token, with its secrets or without. False with what is wrong in a
** line: a file that can't be read, or no memory.
*/
bool cp_credential_request(cp_credential *credential, cp_request *request,
                           cp_text *fault);
bool cp_credential_request_shown(const cp_credential *credential, cp_request *request);

/* Asks for a token by the engine, without waiting for it. */
void cp_credential_ask(cp_credential *credential, const cp_clock *clock);

/* Has it been asked for by the engine, with no answer taken in yet? */
bool cp_credential_is_in_flight(const cp_credential *credential);

/* Takes in the answer of the engine, if it has arrived. */
void cp_credential_collect(cp_credential *credential, const cp_clock *clock);

/* Takes in an answer, which is the credential's then; who waits for it is woken. */
cp_renewal cp_credential_answered(cp_credential *credential, cp_answer *answer,
                                  const cp_clock *clock);

/* The same for what the caller's function gave; false without memory. */
bool cp_credential_came(cp_credential *credential, const char *token, size_t length,
                        double life, const cp_clock *clock);
cp_renewal cp_credential_refused(cp_credential *credential, const char *reason,
                                 const char *advice, const cp_clock *clock);

/* A function of the caller's is called for the token, by this task. */
void cp_credential_begin(cp_credential *credential, void *asker, const cp_clock *clock);

/* The task that asks has ceased to: others do it then. */
void cp_credential_forsake(cp_credential *credential, const void *asker);

/* Why there is no token: an answer for a task, NULL without memory. */
cp_answer *cp_credential_failure(const cp_credential *credential);

/* Gives it back its last answer, if it has no newer one. */
void cp_credential_give_back(cp_credential *credential, cp_answer *last);

/* In a forked child: what is in flight is the parent's, the token is not. */
void cp_credential_leave_parent(cp_credential *credential);

/* Overwrites its secrets, gives up what is in flight; who needs it is told. */
void cp_credential_close(cp_credential *credential);

/* The end of its memory: nobody shares it any more. */
void cp_credential_free(cp_credential *credential);

#endif
