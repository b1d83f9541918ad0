/*
** credential.c - a credential: an identity, its token, and those who share that
*/
#include "credential.h"

#include <string.h>

#include "os.h"
#include "process.h"
#include "url.h"

/* The longest federated token, in bytes. */
#define ASSERTION_MAX 65536

/* While IMDS is updated, for up to 70 seconds, it is asked so many times more. */
#define UPDATE_REPETITIONS 4

/* A shorter secret could be a word of any answer. Real ones have some forty bytes. */
#define BLOT_MIN 8

/* Stands where a secret was. */
#define SHOWN "***"

/* Those who share it */

void cp_credential_join(cp_credential *credential, cp_sharer *sharer) {
  sharer->credential = credential;
  sharer->next = credential->sharers;
  credential->sharers = sharer;
}

void cp_credential_part(cp_sharer *sharer) {
  if (!sharer->credential) return;
  cp_sharer **link = &sharer->credential->sharers;
  while (*link != sharer) link = &(*link)->next;
  *link = sharer->next;
  if (*sharer->port) cp_port_follow(*sharer->port, NULL);
  sharer->credential = NULL;
}

void cp_credential_follow(const cp_sharer *sharer) {
  cp_port_follow(*sharer->port, sharer->credential->port);
}

/* Those who wait go on; a host that watches another descriptor hears of it. */
static void wake(const cp_credential *credential, cp_token_news news) {
  for (cp_sharer *sharer = credential->sharers; sharer; sharer = sharer->next)
    if (cp_tasks_tell_token(sharer->tasks, news) && *sharer->port)
      cp_port_ring(*sharer->port);
}

/* Asking */

static bool has_file(const cp_credential *credential) {
  return credential->identity.source == CP_SOURCE_FEDERATED;
}

static void forget_assertion(cp_credential *credential) {
  cp_free_secret(credential->assertion);
  credential->assertion = NULL;
}

static void trim(cp_text *text) {
  while (text->length && strchr(" \t\r\n", text->data[text->length - 1]))
    text->data[--text->length] = '\0';
}

/* Read for each request: whoever runs the job replaces it while a go live goes on. */
static bool read_assertion(cp_credential *credential, cp_text *fault) {
  const char *path = credential->identity.file;
  cp_text text = {.limit = ASSERTION_MAX};
  const char *why = cp_os_read(path, &text);
  trim(&text);
  if (!why && !cp_token_text_ok(cp_text_get(&text), text.length))
    why = text.length ? "holds no token" : "is empty";
  forget_assertion(credential);
  if (why)
    cp_text_free_secret(&text);
  else
    credential->assertion = text.data;
  if (why) cp_text_printf(fault, "the federated token file %s %s", path, why);
  return !why;
}

static void set_bounds(const cp_credential *credential, cp_request *request) {
  request->timeout = credential->exchange_timeout;
  request->max_body = credential->max_body;
  request->is_secret = true;
}

static const char *secret_of(const cp_credential *credential) {
  const char *secret =
      has_file(credential) ? credential->assertion : credential->identity.secret;
  return secret ? secret : "";
}

/* The environment is read here, not by the engine's thread: the host may change it. */
static bool find_program(cp_request *request, cp_text *fault) {
  if (!request->program) return true;
  char *path = cp_process_find(request->program[0]);
  if (!path) cp_text_printf(fault, "%s is not on PATH", request->program[0]);
  if (!path) return false;
  cp_free(request->program[0]);
  request->program[0] = path;
  request->environment = cp_process_environment();
  return request->environment != NULL;
}

bool cp_credential_request(cp_credential *credential, cp_request *request,
                           cp_text *fault) {
  *request = (cp_request){0};
  set_bounds(credential, request);
  if (has_file(credential) && !read_assertion(credential, fault)) return false;
  if (cp_grant_request(&credential->identity, secret_of(credential), credential->agent,
                       request) &&
      find_program(request, fault))
    return true;
  cp_request_free(request);
  if (!fault->length) cp_text_puts(fault, "not enough memory");
  return false;
}

bool cp_credential_request_shown(const cp_credential *credential, cp_request *request) {
  *request = (cp_request){0};
  set_bounds(credential, request);
  return cp_grant_request(&credential->identity, SHOWN, credential->agent, request);
}

static cp_port *get_port(cp_credential *credential) {
  if (credential->port) return credential->port;
  credential->port = cp_port_new(&credential->route);
  if (credential->port) credential->route = (cp_route){0};
  return credential->port;
}

static void begin(cp_credential *credential, const cp_clock *clock) {
  cp_token_ask(&credential->token);
  credential->asked_at = clock->now;
  credential->asked_wall = clock->wall;
}

void cp_credential_begin(cp_credential *credential, void *asker, const cp_clock *clock) {
  begin(credential, clock);
  credential->asker = asker;
}

static void submit(cp_credential *credential, cp_request *request, cp_text *fault) {
  cp_port *port = get_port(credential);
  if (port) credential->exchange = cp_port_submit(port, request, credential);
  if (!port) cp_request_free(request);
  if (!credential->exchange)
    cp_text_puts(fault, "no thread, descriptor or memory for it");
}

void cp_credential_ask(cp_credential *credential, const cp_clock *clock) {
  cp_request request;
  cp_text fault = {0};
  begin(credential, clock);
  if (cp_credential_request(credential, &request, &fault))
    submit(credential, &request, &fault);
  if (!credential->exchange) cp_credential_refused(credential, fault.data, NULL, clock);
  cp_text_free(&fault);
}

bool cp_credential_is_in_flight(const cp_credential *credential) {
  return credential->exchange != NULL;
}

/* Answers */

static void forget_last(cp_credential *credential) {
  if (credential->last) cp_answer_free(credential->last);
  cp_free(credential->last);
  cp_free(credential->reason);
  credential->last = NULL;
  credential->reason = NULL;
  credential->unobserved = false;
}

void cp_credential_give_back(cp_credential *credential, cp_answer *last) {
  if (credential->open && !credential->last) {
    credential->last = last;
    return;
  }
  if (last) cp_answer_free(last);
  cp_free(last);
}

/* An answer of which an observer will hear. */
static void keep_last(cp_credential *credential, cp_answer *answer) {
  forget_last(credential);
  credential->last = answer;
  credential->unobserved = cp_source_is_http(credential->identity.source);
}

/* A secret that is given back, however it is spelled. */
static void blot(const char *secret, cp_answer *answer, char *reason) {
  cp_text whole = {.data = reason, .length = reason ? strlen(reason) : 0};
  if (!*secret) return;
  cp_text_blot_spelled(&answer->headers, secret);
  cp_text_blot_spelled(&answer->body, secret);
  cp_text_blot_spelled(&answer->detail, secret);
  cp_text_blot_spelled(&whole, secret);
}

static double delay_of(const cp_credential *credential, const cp_digest *digest,
                       const cp_clock *clock) {
  cp_retry_policy policy = credential->retry;
  if (digest->http_status == 410 && policy.retries) policy.retries += UPDATE_REPETITIONS;
  if (!cp_grant_may_repeat(&credential->identity, digest)) return -1;
  return cp_retry_delay(&policy, credential->token.repetitions, digest, clock->random);
}

/* What a function of the caller's gives, or not, is told to the one that called it. */
static bool is_for_all(const cp_credential *credential) {
  return credential->identity.source != CP_SOURCE_FUNCTION;
}

/*
** There is no token, for a reason. Those who waited for it share the failure; a function
** of the caller's, which nobody repeats, is called by each of them.
*/
static cp_renewal settle(cp_credential *credential, char *reason, const char *advice,
                         double delay, const cp_clock *clock) {
  bool failed = delay < 0;
  credential->reason = reason ? reason : cp_strdup("not enough memory");
  credential->advice = advice ? advice : cp_source_advice(credential->identity.source);
  cp_token_failed(&credential->token, delay, clock->now);
  credential->untold = failed;
  wake(credential, failed && is_for_all(credential) ? CP_NEWS_FAILED : CP_NEWS_NONE);
  return failed ? CP_RENEWAL_FAILED : CP_RENEWAL_REPEATED;
}

static bool take(cp_credential *credential, const char *token, size_t length, double life,
                 double since, const cp_clock *clock) {
  if (!cp_token_came(&credential->token, token, length, life, since, clock->random))
    return false;
  credential->untold = true;
  wake(credential, is_for_all(credential) ? CP_NEWS_CAME : CP_NEWS_NONE);
  return true;
}

cp_renewal cp_credential_answered(cp_credential *credential, cp_answer *answer,
                                  const cp_clock *clock) {
  cp_digest digest;
  cp_grant grant;
  cp_digest_headers(answer, clock->wall, &digest);
  double delay = delay_of(credential, &digest, clock);
  const char *secret =
      strlen(secret_of(credential)) < BLOT_MIN ? "" : secret_of(credential);
  cp_grant_read(&credential->identity, secret, answer, credential->asked_wall, &grant);
  blot(secret, answer, grant.reason);
  forget_assertion(credential);
  keep_last(credential, answer);
  if (!grant.token) return settle(credential, grant.reason, grant.advice, delay, clock);
  bool ok = take(credential, grant.token, strlen(grant.token), grant.life,
                 credential->asked_at, clock);
  cp_free_secret(grant.token);
  return ok ? CP_RENEWED : settle(credential, NULL, NULL, -1, clock);
}

void cp_credential_collect(cp_credential *credential, const cp_clock *clock) {
  void *owner;
  cp_answer *answer = cp_port_take(credential->port, &owner);
  if (!answer) return;
  credential->exchange = NULL;
  cp_credential_answered(credential, answer, clock);
}

bool cp_credential_came(cp_credential *credential, const char *token, size_t length,
                        double life, const cp_clock *clock) {
  forget_last(credential);
  return take(credential, token, length, life, clock->now, clock);
}

cp_renewal cp_credential_refused(cp_credential *credential, const char *reason,
                                 const char *advice, const cp_clock *clock) {
  forget_last(credential);
  return settle(credential, cp_strdup(reason), advice, -1, clock);
}

void cp_credential_forsake(cp_credential *credential, const void *asker) {
  if (credential->asker != asker) return;
  credential->asker = NULL;
  cp_token_leave(&credential->token);
  wake(credential, CP_NEWS_NONE);
}

static bool copy_text(const cp_text *from, cp_text *to) {
  return cp_text_add(to, cp_text_get(from), from->length);
}

cp_answer *cp_credential_failure(const cp_credential *credential) {
  const cp_answer *last = credential->last;
  cp_answer *answer = cp_calloc(sizeof *answer);
  if (!answer) return NULL;
  *answer = (cp_answer){.failure = CP_FAIL_CREDENTIAL, .advice = credential->advice};
  cp_text_puts(&answer->detail, credential->reason ? credential->reason : "no token");
  if (last) copy_text(&last->headers, &answer->headers);
  if (last) copy_text(&last->body, &answer->body);
  return answer;
}

/* The end */

void cp_credential_leave_parent(cp_credential *credential) {
  if (credential->generation == cp_engine_generation()) return;
  credential->generation = cp_engine_generation();
  if (credential->port) credential->route = cp_port_leave(credential->port);
  credential->port = NULL;
  credential->exchange = NULL;
  credential->asker = NULL;
  cp_token_leave(&credential->token);
}

void cp_credential_close(cp_credential *credential) {
  if (!credential->open) return;
  credential->open = false;
  if (credential->port) cp_port_close(credential->port);
  credential->port = NULL;
  credential->exchange = NULL;
  cp_token_free(&credential->token);
  cp_identity_free(&credential->identity);
  cp_route_free(&credential->route);
  cp_free(credential->agent);
  credential->agent = NULL;
  forget_assertion(credential);
  forget_last(credential);
  wake(credential, CP_NEWS_NONE);
}

void cp_credential_free(cp_credential *credential) {
  cp_credential_close(credential);
  while (credential->sharers) cp_credential_part(credential->sharers);
}
