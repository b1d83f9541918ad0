/*
** lua_identity.c - where a credential's tokens come from: options and environment
** What an option has wrong is raised; what the environment has wrong is told by the first
** call that needs a token.
*/
#include "lua_identity.h"

#include <string.h>

#include "lua_options.h"
#include "lua_settings.h"
#include "os.h"
#include "url.h"

#define DEFAULT_AUTHORITY "https://login.microsoftonline.com"
#define DEFAULT_IMDS      "http://169.254.169.254"

/* The options, of a client or of the credential itself, are at stack index 1. */
#define OPTIONS 1

/* Where an identity is told: the options themselves, or a table in them. */
static const char *text_at(lua_State *L, int table, const char *name) {
  const char *text = cp_option_string(L, table, name);
  if (text && !*text) luaL_error(L, "option '%s' must not be empty", name);
  return text;
}

/* An option of the identity's table, or of the whole. */
static const char *text_of(lua_State *L, int table, const char *name) {
  const char *text = text_at(L, table, name);
  return text ? text : text_at(L, OPTIONS, name);
}

static const char *needed(lua_State *L, int table, const char *name) {
  const char *text = text_at(L, table, name);
  if (!text) luaL_error(L, "option 'credential' needs '%s'", name);
  return text;
}

/* What is wrong, or what to do without one */

/* There is no credential, for the reason on top of the stack, which is popped. */
static void refuse(lua_State *L, cp_credential *credential, const char *advice) {
  const cp_clock never = {0};
  credential->identity.source = CP_SOURCE_NONE;
  cp_credential_refused(credential, lua_tostring(L, -1), advice, &never);
  if (!credential->reason) luaL_error(L, "not enough memory");
  lua_pop(L, 1);
}

static const char *const looked_for[] = {
    "CLOUDPARTNER_TOKEN",  "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",     "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",     "AZURE_POD_IDENTITY_AUTHORITY_HOST",
};

static void push_names(lua_State *L, bool set) {
  lua_pushliteral(L, "");
  for (size_t i = 0; i < sizeof looked_for / sizeof *looked_for; i++) {
    if ((cp_environment(looked_for[i]) != NULL) != set) continue;
    bool first = lua_rawlen(L, -1) == 0;
    lua_pushfstring(L, "%s%s%s", lua_tostring(L, -1), first ? "" : ", ", looked_for[i]);
    lua_remove(L, -2);
  }
}

static void refuse_environment(lua_State *L, cp_credential *credential) {
  push_names(L, false);
  push_names(L, true);
  bool any = lua_rawlen(L, -1) > 0;
  lua_pushfstring(L, "no credential in the environment: not set are %s%s%s",
                  lua_tostring(L, -2), any ? "; set are " : "", lua_tostring(L, -1));
  refuse(L, credential,
         "set CLOUDPARTNER_TOKEN, or AZURE_TENANT_ID, AZURE_CLIENT_ID and "
         "AZURE_CLIENT_SECRET, or give the option 'credential' or 'token'");
  lua_pop(L, 2);
}

/* Sources */

static bool take_token(lua_State *L, cp_credential *credential, const char *token) {
  const cp_clock start = {0};
  size_t length = strlen(token);
  if (!cp_token_text_ok(token, length)) return false;
  credential->identity.source = CP_SOURCE_TOKEN;
  if (!cp_credential_came(credential, token, length, CP_TOKEN_FOREVER, &start))
    luaL_error(L, "not enough memory");
  credential->untold = false;
  return true;
}

/* AZURE_AUTHORITY_HOST may be a host only. */
static void push_authority_of_environment(lua_State *L) {
  const char *host = cp_environment("AZURE_AUTHORITY_HOST");
  if (!host)
    lua_pushliteral(L, DEFAULT_AUTHORITY);
  else
    lua_pushfstring(L, "%s%s", strstr(host, "://") ? "" : "https://", host);
}

/* The URL on top of the stack, which is popped, as where the identity is asked. */
static void take_base(lua_State *L, cp_credential *credential, const char *name,
                      const char *read(const char *text, cp_text *base)) {
  cp_text base = {.limit = CP_URL_MAX};
  const char *fault = read(lua_tostring(L, -1), &base);
  cp_free(credential->identity.base);
  credential->identity.base = base.data;
  lua_pop(L, 1);
  if (!fault) return;
  lua_pushfstring(L, "%s %s", name, fault);
  refuse(L, credential, "correct that variable");
}

/* An option `authority` is checked even where no authority is asked. */
static void take_authority(lua_State *L, cp_credential *credential, int table) {
  const char *authority = text_of(L, table, "authority");
  if (authority) {
    cp_set_base(L, "authority", authority, &credential->identity.base);
    return;
  }
  push_authority_of_environment(L);
  take_base(L, credential, "AZURE_AUTHORITY_HOST", cp_url_base);
}

static void check_tenant(lua_State *L, const char *tenant) {
  if (tenant && !cp_url_segment_ok(tenant, strlen(tenant)))
    luaL_error(L, "option 'tenant_id' must be a directory id or a domain");
}

/* An app registration, with the texts of its source. */
static void take_application(lua_State *L, cp_credential *credential, const char *tenant,
                             const char *client, const char *secret, const char *file) {
  cp_identity *identity = &credential->identity;
  identity->source = secret ? CP_SOURCE_SECRET : CP_SOURCE_FEDERATED;
  identity->tenant = cp_keep(L, tenant);
  identity->client = cp_keep(L, client);
  identity->secret = cp_keep(L, secret);
  identity->file = cp_keep(L, file);
}

static bool is_app_service(void) {
  return cp_environment("IDENTITY_ENDPOINT") && cp_environment("IDENTITY_HEADER");
}

static void take_app_service(lua_State *L, cp_credential *credential) {
  const char *header = cp_environment("IDENTITY_HEADER");
  credential->identity.source = CP_SOURCE_APP_SERVICE;
  lua_pushstring(L, cp_environment("IDENTITY_ENDPOINT"));
  take_base(L, credential, "IDENTITY_ENDPOINT", cp_url_local_base);
  credential->identity.secret = cp_keep(L, header);
  if (cp_token_text_ok(header, strlen(header))) return;
  lua_pushliteral(L, "IDENTITY_HEADER is no header's value");
  refuse(L, credential, "correct that variable");
}

static void take_imds(lua_State *L, cp_credential *credential) {
  const char *host = cp_environment("AZURE_POD_IDENTITY_AUTHORITY_HOST");
  credential->identity.source = CP_SOURCE_IMDS;
  lua_pushstring(L, host ? host : DEFAULT_IMDS);
  take_base(L, credential, "AZURE_POD_IDENTITY_AUTHORITY_HOST", cp_url_local_base);
}

static void take_managed(lua_State *L, cp_credential *credential, const char *client) {
  if (!client) client = cp_environment("AZURE_CLIENT_ID");
  credential->identity.client = cp_keep(L, client);
  if (is_app_service())
    take_app_service(L, credential);
  else
    take_imds(L, credential);
}

static void take_application_of_environment(lua_State *L, cp_credential *credential,
                                            int table) {
  const char *file = cp_environment("AZURE_FEDERATED_TOKEN_FILE");
  const char *tenant = cp_environment("AZURE_TENANT_ID");
  take_application(L, credential, tenant, cp_environment("AZURE_CLIENT_ID"),
                   file ? NULL : cp_environment("AZURE_CLIENT_SECRET"), file);
  if (cp_url_segment_ok(tenant, strlen(tenant))) {
    take_authority(L, credential, table);
    return;
  }
  lua_pushliteral(L, "AZURE_TENANT_ID is neither a directory id nor a domain");
  refuse(L, credential, "correct that variable");
}

static void take_token_of_environment(lua_State *L, cp_credential *credential) {
  if (take_token(L, credential, cp_environment("CLOUDPARTNER_TOKEN"))) return;
  lua_pushliteral(L, "CLOUDPARTNER_TOKEN is not a token");
  refuse(L, credential, "correct that variable");
}

static void take_environment(lua_State *L, cp_credential *credential, int table) {
  bool application = cp_environment("AZURE_TENANT_ID") &&
                     cp_environment("AZURE_CLIENT_ID") &&
                     (cp_environment("AZURE_FEDERATED_TOKEN_FILE") ||
                      cp_environment("AZURE_CLIENT_SECRET"));
  if (cp_environment("CLOUDPARTNER_TOKEN"))
    take_token_of_environment(L, credential);
  else if (application)
    take_application_of_environment(L, credential, table);
  else if (is_app_service() || cp_environment("AZURE_POD_IDENTITY_AUTHORITY_HOST"))
    take_managed(L, credential, NULL);
  else
    refuse_environment(L, credential);
}

static void take_azure_cli(lua_State *L, cp_credential *credential, int table) {
  const char *tenant = text_at(L, table, "tenant_id");
  check_tenant(L, tenant);
  credential->identity.source = CP_SOURCE_AZURE_CLI;
  credential->identity.tenant = cp_keep(L, tenant);
}

static void refuse_with(lua_State *L, int table, const char *kind) {
  static const char *const others[] = {"client_secret", "federated_token_file"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (cp_option_given(L, table, others[i]))
      luaL_error(L, "option '%s' does not go with \"%s\"", others[i], kind);
}

static void take_kind(lua_State *L, cp_credential *credential, int table,
                      const char *kind) {
  refuse_with(L, table, kind);
  if (strcmp(kind, "environment") == 0)
    take_environment(L, credential, table);
  else if (strcmp(kind, "managed_identity") == 0)
    take_managed(L, credential, text_at(L, table, "client_id"));
  else if (strcmp(kind, "azure_cli") == 0)
    take_azure_cli(L, credential, table);
  else
    luaL_error(L, "option 'credential' must be \"environment\", \"managed_identity\", "
                  "\"azure_cli\", a table or a credential");
}

static void take_table(lua_State *L, cp_credential *credential, int table) {
  const char *secret = text_at(L, table, "client_secret");
  const char *file = text_at(L, table, "federated_token_file");
  if (!secret == !file)
    luaL_error(L, "option 'credential' needs either 'client_secret' or "
                  "'federated_token_file'");
  const char *tenant = needed(L, table, "tenant_id");
  check_tenant(L, tenant);
  take_application(L, credential, tenant, needed(L, table, "client_id"), secret, file);
  take_authority(L, credential, table);
}

static void take_protocol(lua_State *L, cp_credential *credential, int table) {
  const char *oauth = text_of(L, table, "oauth");
  if (oauth && strcmp(oauth, "v1") != 0 && strcmp(oauth, "v2") != 0)
    luaL_error(L, "option 'oauth' must be \"v1\" or \"v2\"");
  credential->identity.v1 = oauth && strcmp(oauth, "v1") == 0;
}

static void take_scope(lua_State *L, cp_credential *credential, int table) {
  const char *scope = text_of(L, table, "scope");
  credential->identity.scope = cp_keep(L, scope);
  credential->is_scoped = scope != NULL;
}

static void check_authority(lua_State *L, cp_credential *credential) {
  const char *authority = text_at(L, OPTIONS, "authority");
  if (authority) cp_set_base(L, "authority", authority, &credential->identity.base);
}

/* Is it told by the options themselves, with no table of its own? */
static bool is_told(lua_State *L, int table) {
  static const char *const names[] = {"tenant_id", "client_id", "client_secret",
                                      "federated_token_file"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (cp_option_given(L, table, names[i])) return true;
  return false;
}

void cp_take_identity(lua_State *L, cp_credential *credential, int table,
                      const char *kind) {
  if (!kind) kind = text_at(L, table, "kind");
  if (!kind && table == OPTIONS && !is_told(L, table)) kind = "environment";
  check_authority(L, credential);
  take_protocol(L, credential, table);
  take_scope(L, credential, table);
  if (kind)
    take_kind(L, credential, table, kind);
  else
    take_table(L, credential, table);
}

void cp_take_given_token(lua_State *L, cp_credential *credential, const char *token) {
  check_authority(L, credential);
  take_scope(L, credential, OPTIONS);
  if (!take_token(L, credential, token)) luaL_error(L, "option 'token' is not a token");
}

void cp_take_given_function(lua_State *L, cp_credential *credential) {
  check_authority(L, credential);
  take_scope(L, credential, OPTIONS);
  credential->identity.source = CP_SOURCE_FUNCTION;
}
