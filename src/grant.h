/*
** grant.h - how a token is asked for, and what the answer says: OAuth 2.0 client
** credentials at Microsoft Entra ID, managed identity, the Azure CLI
** Nothing here does I/O. Sources: learn.microsoft.com, "OAuth 2.0 client credentials
** flow" (v2), "Service to service calls using client credentials" (v1), "How to use
** managed identities to get an access token" (IMDS), "Managed identities in App Service",
** and `az account get-access-token --help`.
*/
#ifndef CP_GRANT_H
#define CP_GRANT_H

#include "transfer.h"

/* Where tokens come from. */
typedef enum cp_source {
  CP_SOURCE_NONE,     /* nowhere */
  CP_SOURCE_TOKEN,    /* there is one, and there will be no other */
  CP_SOURCE_FUNCTION, /* the caller's function gives them */
  CP_SOURCE_SECRET,
  CP_SOURCE_FEDERATED,
  CP_SOURCE_IMDS,
  CP_SOURCE_APP_SERVICE,
  CP_SOURCE_AZURE_CLI,
} cp_source;

/* Who asks, where, and for what. Texts are NULL where the source has no use for them. */
typedef struct cp_identity {
  cp_source source;
  bool v1;      /* the authority's older protocol */
  char *tenant; /* directory id or domain */
  char *client; /* application id; of a managed identity: the user-assigned one */
  char *secret; /* the client's; of App Service: the value of its header */
  char *file;   /* that holds the federated token */
  char *base;   /* URL of the authority, of IMDS, of App Service's endpoint */
  char *scope;  /* "https://cloudpartner.azure.com/.default" */
} cp_identity;

void cp_identity_free(cp_identity *identity);

/* Is a token asked for by an HTTP request? */
bool cp_source_is_http(cp_source source);

/* What a source is called, for people: "client secret". */
const char *cp_source_name(cp_source source);

/* What to do when it gives no token; NULL where there is nothing to say. */
const char *cp_source_advice(cp_source source);

/*
** Fills in method, URL, headers and body (or the program) of the request for a token.
** `secret`: the client's, or the federated token that was read for this request; what
** stands here instead of it goes into a recording. `agent`: header lines that go along.
** False without memory.
*/
bool cp_grant_request(const cp_identity *identity, const char *secret, const char *agent,
                      cp_request *request);

/* What an answer grants. Its texts are for whoever takes them to free. */
typedef struct cp_grant {
  char *token;        /* a secret; NULL: none */
  double life;        /* seconds since the request was made */
  char *reason;       /* why there is none, in a line; NULL: no memory to say it */
  const char *advice; /* likewise, what to do about it */
} cp_grant;

/* For how long a token is taken to last whose answer does not say. */
#define CP_GRANT_LIFE 300.0

/*
** Reads the answer to such a request, which was sent at `wall` in Unix seconds, and blots
** the token out of it. A body that was not understood, and might hold one, is gone then.
** The reason does not hold `secret`, which may be empty.
*/
void cp_grant_read(const cp_identity *identity, const char *secret, cp_answer *answer,
                   double wall, cp_grant *grant);

/* May the same request have another outcome? As cp_retry_may_read, with IMDS's habits. */
bool cp_grant_may_repeat(const cp_identity *identity, const cp_digest *digest);

/*
** Finds the authority's own code ("AADSTS7000222") in a failure's words; NULL: there is
** none.
*/
const char *cp_grant_code(const char *words, size_t *length);

#endif
