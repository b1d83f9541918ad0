/*
** grant.c - how a token is asked for, and what the answer says
*/
#include "grant.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "plain.h"
#include "retry.h"
#include "token.h"
#include "url.h"

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

#define IMDS_VERSION        "2018-02-01"
#define APP_SERVICE_VERSION "2019-08-01"

/* Nobody gives out tokens for longer than a year. */
#define LIFE_MAX (366 * 86400.0)

/* A shorter token could be a word of the answer. */
#define BLOT_MIN 20

/* The most of somebody else's words that goes into a message, in bytes. */
#define WORDS_MAX 500

void cp_identity_free(cp_identity *identity) {
  cp_free(identity->tenant);
  cp_free(identity->client);
  cp_free_secret(identity->secret);
  cp_free(identity->file);
  cp_free(identity->base);
  cp_free(identity->scope);
  *identity = (cp_identity){0};
}

bool cp_source_is_http(cp_source source) {
  return source >= CP_SOURCE_SECRET && source <= CP_SOURCE_APP_SERVICE;
}

const char *cp_source_name(cp_source source) {
  static const char *const names[] = {
      "none",
      "token",
      "token function",
      "client secret",
      "federated token",
      "managed identity",
      "managed identity of App Service",
      "Azure CLI",
  };
  return names[source];
}

/* Asking */

static bool add_pair(cp_text *to, const char *name, const char *value) {
  return cp_text_puts(to, name) && cp_url_escape(to, value, strlen(value));
}

/* A scope as the older protocols name it: without "/.default" at its end. */
static size_t length_of_resource(const char *scope) {
  static const char suffix[] = "/.default";
  size_t length = strlen(scope), end = sizeof suffix - 1;
  bool found = length > end && strcmp(scope + length - end, suffix) == 0;
  return found ? length - end : length;
}

static bool add_resource(cp_text *to, const char *scope) {
  return cp_url_escape(to, scope, length_of_resource(scope));
}

/* Room for all of it at once: what grows leaves copies of the secret behind. */
static bool reserve_form(const cp_identity *identity, const char *secret, cp_text *form) {
  size_t plain = strlen(secret) + strlen(identity->client) + strlen(identity->scope);
  return cp_text_reserve(form, 3 * plain + 256);
}

static bool add_proof(const cp_identity *identity, const char *secret, cp_text *form) {
  if (identity->source == CP_SOURCE_SECRET)
    return add_pair(form, "&client_secret=", secret);
  return add_pair(form, "&client_assertion_type=", ASSERTION_TYPE) &&
         add_pair(form, "&client_assertion=", secret);
}

static bool add_form(const cp_identity *identity, const char *secret, cp_text *form) {
  return reserve_form(identity, secret, form) &&
         cp_text_puts(form, "grant_type=client_credentials") &&
         add_pair(form, "&client_id=", identity->client) &&
         add_proof(identity, secret, form) &&
         (identity->v1
              ? cp_text_puts(form, "&resource=") && add_resource(form, identity->scope)
              : add_pair(form, "&scope=", identity->scope));
}

static bool ask_authority(const cp_identity *identity, const char *secret, cp_text *url,
                          cp_request *request) {
  cp_text form = {0};
  request->method = "POST";
  bool ok = cp_text_puts(url, identity->base) && add_pair(url, "/", identity->tenant) &&
            cp_text_puts(url, identity->v1 ? "/oauth2/token" : "/oauth2/v2.0/token") &&
            add_form(identity, secret, &form);
  request->body = form.data;
  return ok && cp_text_puts(&request->headers,
                            "Content-Type: application/x-www-form-urlencoded\n");
}

static bool add_query(const cp_identity *identity, const char *version, cp_text *url) {
  return add_pair(url, "?api-version=", version) && cp_text_puts(url, "&resource=") &&
         add_resource(url, identity->scope) &&
         (!identity->client || add_pair(url, "&client_id=", identity->client));
}

static bool ask_imds(const cp_identity *identity, cp_text *url, cp_request *request) {
  request->method = "GET";
  return cp_text_puts(url, identity->base) &&
         cp_text_puts(url, "/metadata/identity/oauth2/token") &&
         add_query(identity, IMDS_VERSION, url) &&
         cp_text_puts(&request->headers, "Metadata: true\n");
}

static bool ask_app_service(const cp_identity *identity, const char *secret, cp_text *url,
                            cp_request *request) {
  request->method = "GET";
  return cp_text_puts(url, identity->base) &&
         add_query(identity, APP_SERVICE_VERSION, url) &&
         cp_text_reserve(&request->headers, strlen(secret) + 1024) &&
         cp_text_printf(&request->headers, "X-IDENTITY-HEADER: %s\n", secret);
}

/* The words are in memory of their own, which the request owns. */
static bool add_word(cp_request *request, const char *word) {
  size_t count = 0;
  while (request->program && request->program[count]) count++;
  char **words = cp_realloc(request->program, (count + 2) * sizeof *words);
  if (!words) return false;
  request->program = words;
  words[count] = cp_strdup(word);
  words[count + 1] = NULL;
  return words[count] != NULL;
}

static bool add_words_of_az(const cp_identity *identity, cp_request *request) {
  static const char *const words[] = {"az", "account", "get-access-token", "--output",
                                      "json"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!add_word(request, words[i])) return false;
  return !identity->tenant ||
         (add_word(request, "--tenant") && add_word(request, identity->tenant));
}

/* A scope of another form than an endpoint's is only to be had as one. */
static bool run_az(const cp_identity *identity, cp_request *request) {
  size_t length = length_of_resource(identity->scope);
  bool whole = identity->scope[length] == '\0';
  char *resource = cp_strndup(identity->scope, length);
  bool ok = resource && add_words_of_az(identity, request) &&
            add_word(request, whole ? "--scope" : "--resource") &&
            add_word(request, resource);
  cp_free(resource);
  return ok;
}

static bool ask(const cp_identity *identity, const char *secret, cp_text *url,
                cp_request *request) {
  switch (identity->source) {
    case CP_SOURCE_AZURE_CLI: return run_az(identity, request);
    case CP_SOURCE_IMDS: return ask_imds(identity, url, request);
    case CP_SOURCE_APP_SERVICE: return ask_app_service(identity, secret, url, request);
    default: return ask_authority(identity, secret, url, request);
  }
}

bool cp_grant_request(const cp_identity *identity, const char *secret, const char *agent,
                      cp_request *request) {
  cp_text url = {0};
  bool ok =
      ask(identity, secret, &url, request) && cp_text_puts(&request->headers, agent);
  request->url = url.data;
  return ok;
}

/* Reading */

/* A member's value, as it stands in the text. */
typedef struct value {
  char *at; /* NULL: there is none */
  size_t length;
  bool quoted;
} value;

/* What is read of an answer: its members have other names at each source. */
typedef struct members {
  value token, lasts, ends, ends_local, words;
} members;

static value *member(members *found, const cp_json_text *key) {
  const struct {
    const char *name;
    value *value;
  } known[] = {
      {"access_token", &found->token},   {"accessToken", &found->token},
      {"expires_in", &found->lasts},     {"expires_on", &found->ends},
      {"expiresOn", &found->ends_local}, {"error_description", &found->words},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (cp_json_is(key, known[i].name)) return known[i].value;
  return NULL;
}

static void blot(const value *secret) {
  if (secret->at) memset(secret->at, '*', secret->length);
}

/* Another token than the one that is asked for is of no use to anybody. */
static bool is_unwanted(const cp_json_text *key, const value *to) {
  return cp_json_is(key, "refresh_token") || cp_json_is(key, "id_token") ||
         (to && to->at);
}

/* A member that stands twice counts once: the first. */
static bool read_member(cp_json *json, members *found) {
  cp_json_text key, text;
  if (!cp_json_key(json, &key)) return false;
  value *to = member(found, &key);
  bool quoted = cp_json_peek(json) == '"';
  const char *start = json->at;
  if (!(quoted ? cp_json_string(json, &text) : cp_json_skip(json))) return false;
  size_t length = quoted ? text.length : (size_t)(json->at - start);
  value read = {
      .at = (char *)(quoted ? text.at : start), .length = length, .quoted = quoted};
  if (quoted && is_unwanted(&key, to))
    blot(&read);
  else if (to && !to->at)
    *to = read;
  return true;
}

static bool read_members(const cp_text *body, members *found) {
  cp_json json;
  *found = (members){0};
  cp_json_begin(&json, cp_text_get(body), body->length);
  if (cp_json_peek(&json) != '{') return false;
  for (bool more = cp_json_open(&json, '{'); more; more = cp_json_more(&json, '}'))
    if (!read_member(&json, found)) return false;
  return cp_json_ended(&json);
}

/* A copy of a string without its escapes; it gets no longer. */
static char *unescaped(const value *string) {
  cp_json_text text = {.at = string->at, .length = string->length, .escaped = true};
  char *copy = string->quoted ? cp_calloc(string->length + 1) : NULL;
  if (copy) copy[cp_json_unescape(&text, copy)] = '\0';
  return copy;
}

/* A number, or NAN. v2 answers numbers; the older protocols, numbers or strings. */
static double number(const value *of, bool may_be_quoted) {
  char text[32], *end;
  if (of->quoted && !may_be_quoted) return NAN;
  if (of->length == 0 || of->length >= sizeof text) return NAN;
  memcpy(text, of->at, of->length);
  text[of->length] = '\0';
  double read = strtod(text, &end);
  return *end ? NAN : read;
}

/* `az` before 2.54 tells the end in local time only: 2018-03-26 21:46:01.179000. */
static double local_time(const value *of) {
  char text[32];
  struct tm time = {.tm_isdst = -1};
  if (of->length >= sizeof text) return NAN;
  memcpy(text, of->at, of->length);
  text[of->length] = '\0';
  if (sscanf(text, "%d-%d-%d %d:%d:%d", &time.tm_year, &time.tm_mon, &time.tm_mday,
             &time.tm_hour, &time.tm_min, &time.tm_sec) != 6)
    return NAN;
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  return (double)mktime(&time);
}

static double life_of(const cp_identity *identity, const members *found, double wall) {
  bool older = identity->v1 || identity->source > CP_SOURCE_FEDERATED;
  if (found->lasts.at) return number(&found->lasts, older);
  if (found->ends.at) return number(&found->ends, older) - wall;
  if (found->ends_local.at) return local_time(&found->ends_local) - wall;
  return CP_GRANT_LIFE;
}

/* NULL, or what is wrong with the answer. */
static const char *read_grant(const cp_identity *identity, const members *found,
                              double wall, cp_grant *grant) {
  if (!found->token.quoted) return "an answer without access_token";
  char *token = unescaped(&found->token);
  double life = life_of(identity, found, wall);
  const char *fault = NULL;
  if (!token || !cp_token_text_ok(token, strlen(token)))
    fault = "an access_token that is no token";
  else if (!(life > 0 && life <= LIFE_MAX))
    fault = "a token that lasts for no plausible time (expires_in, or expires_on by this "
            "machine's clock)";
  if (fault)
    cp_free_secret(token);
  else
    *grant = (cp_grant){.token = token, .life = life};
  return fault;
}

/* Failing */

const char *cp_grant_code(const char *words, size_t *length) {
  const char *code = strstr(words, "AADSTS");
  if (!code) return NULL;
  *length = 6 + strspn(code + 6, "0123456789");
  return *length > 6 ? code : NULL;
}

static const struct {
  const char *code;
  const char *advice;
} advices[] = {
    {"AADSTS7000215", "give the secret's value, not its id, and of this client_id"},
    {"AADSTS7000222", "make a new client secret for this app registration"},
    {"AADSTS7000112", "enable the service principal of this client_id in its tenant"},
    {"AADSTS700016", "check client_id, and that tenant_id is where it is registered"},
    {"AADSTS700024", "the federated token has expired; get a new one into its file"},
    {"AADSTS700211",
     "add a federated credential with the token's issuer to the app registration"},
    {"AADSTS700212",
     "add a federated credential with the token's audience to the app registration"},
    {"AADSTS700213",
     "add a federated credential with the token's subject to the app registration"},
    {"AADSTS70021",
     "add a federated credential with the token's issuer, subject and audience to the "
     "app registration"},
    {"AADSTS90002", "check tenant_id and authority"},
    {"AADSTS900023", "check tenant_id: a directory id or a domain"},
    {"AADSTS500011", "check scope, and that this authority is the endpoint's cloud"},
    {"AADSTS1002012", "give a scope that ends in /.default"},
    {"AADSTS53003", "a Conditional Access policy refuses it; ask who manages the tenant"},
};

static const char *advice_for_code(const char *words) {
  size_t length;
  const char *code = cp_grant_code(words, &length);
  for (size_t i = 0; code && i < sizeof advices / sizeof *advices; i++)
    if (strlen(advices[i].code) == length && memcmp(advices[i].code, code, length) == 0)
      return advices[i].advice;
  return NULL;
}

const char *cp_source_advice(cp_source source) {
  static const char *const texts[] = {
      [CP_SOURCE_SECRET] = "check tenant_id, client_id, client_secret and authority",
      [CP_SOURCE_FEDERATED] =
          "check tenant_id, client_id, federated_token_file and authority",
      [CP_SOURCE_IMDS] =
          "run this where there is a managed identity, or give another credential",
      [CP_SOURCE_APP_SERVICE] = "check that this app has a managed identity",
      [CP_SOURCE_AZURE_CLI] = "run az login, and check that az is on PATH",
  };
  return texts[source];
}

static const char *advice_for(const cp_identity *identity, const char *reason) {
  const char *advice = advice_for_code(reason);
  return advice ? advice : cp_source_advice(identity->source);
}

/* The authority's words end in ids and a time, which are in the body too. */
static size_t length_of_words(const char *words) {
  const char *end = strstr(words, "Trace ID:");
  size_t length = end ? (size_t)(end - words) : strlen(words);
  while (length && strchr(" \r\n", words[length - 1])) length--;
  return length;
}

/* The secret is blotted first: half of it, where the line is cut, would not be seen. */
static void add_blotted_line(cp_text *to, char *words, size_t length,
                             const char *secret) {
  char line[WORDS_MAX + CP_LINE_EXTRA];
  cp_text all = {.data = words, .length = length};
  if (*secret) cp_text_blot_spelled(&all, secret);
  cp_text_add(to, line, cp_line(words, length, WORDS_MAX, line));
}

/* What the authority, or az, says about it; else what is wrong by our own reading. */
static void add_reason(const cp_answer *answer, const char *secret, const char *fault,
                       const members *found, cp_text *to) {
  bool answered = answer->failure == CP_FAIL_NONE;
  char *words = answered ? unescaped(&found->words) : NULL;
  if (words)
    add_blotted_line(to, words, length_of_words(words), secret);
  else if (answered && answer->http_status && answer->http_status != 200)
    cp_text_printf(to, "HTTP %d", answer->http_status);
  else if (answer->failure == CP_FAIL_TIMEOUT)
    cp_text_puts(to, "no answer in time");
  else if (answer->detail.length)
    add_blotted_line(to, answer->detail.data, answer->detail.length, secret);
  else
    cp_text_puts(to, fault);
  cp_free_secret(words);
}

/* What was not understood may hold a token. */
static void drop_body(cp_answer *answer) {
  if (answer->http_status / 100 != 2 && answer->http_status) return;
  cp_text_free_secret(&answer->body);
}

static void fail(const cp_identity *identity, const char *secret, const char *fault,
                 const members *found, cp_answer *answer, cp_grant *grant) {
  cp_text reason = {0};
  cp_text_printf(&reason, "no token by %s: ", cp_source_name(identity->source));
  add_reason(answer, secret, fault, found, &reason);
  grant->reason = reason.data;
  grant->advice = advice_for(identity, cp_text_get(&reason));
  drop_body(answer);
}

void cp_grant_read(const cp_identity *identity, const char *secret, cp_answer *answer,
                   double wall, cp_grant *grant) {
  members found;
  const char *fault = "an answer that is no JSON object";
  bool is_read = read_members(&answer->body, &found);
  bool runs = identity->source == CP_SOURCE_AZURE_CLI; /* which has no HTTP status */
  bool answered = answer->failure == CP_FAIL_NONE;
  *grant = (cp_grant){0};
  if (answered && is_read && (answer->http_status == 200 || runs))
    fault = read_grant(identity, &found, wall, grant);
  blot(&found.token);
  if (grant->token && strlen(grant->token) >= BLOT_MIN)
    cp_secret_blot(grant->token, answer); /* should it stand elsewhere, too */
  if (!grant->token) fail(identity, secret, fault, &found, answer, grant);
}

/*
** While IMDS is updated it answers 410, or 404, for up to 70 seconds: "How to use managed
** identities to get an access token", Retry guidance.
*/
bool cp_grant_may_repeat(const cp_identity *identity, const cp_digest *digest) {
  bool updating = digest->http_status == 410 || digest->http_status == 404;
  if (identity->source == CP_SOURCE_AZURE_CLI) return false;
  return cp_retry_may_read(digest) || (identity->source == CP_SOURCE_IMDS && updating);
}
