/*
** lua_settings.c - what a client and a credential are made of
*/
#include "lua_settings.h"

#include <stdlib.h>

#include "lua_client.h"
#include "lua_options.h"
#include "url.h"

#define OPTIONS 1

const char *cp_environment(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

char *cp_keep(lua_State *L, const char *text) {
  char *copy = cp_strdup(text);
  if (text && !copy) luaL_error(L, "not enough memory");
  return copy;
}

const char *cp_setting(lua_State *L, const char *name, const char *variable,
                       const char *otherwise) {
  const char *value = cp_option_string(L, OPTIONS, name);
  if (!value && variable) value = cp_environment(variable);
  return value ? value : otherwise;
}

void cp_set_base(lua_State *L, const char *name, const char *url, char **base) {
  cp_text text = {.limit = CP_URL_MAX};
  const char *fault = cp_url_base(url, &text);
  cp_free(*base);
  *base = text.data;
  if (fault) luaL_error(L, "option '%s' %s", name, fault);
}

void cp_set_retry(lua_State *L, cp_retry_policy *retry) {
  retry->retries = (int)cp_option_number(L, OPTIONS, "retries", 3);
  retry->delay = cp_option_number(L, OPTIONS, "retry_delay", 0.8);
  retry->max_delay = cp_option_number(L, OPTIONS, "retry_max_delay", 60);
}

/* Read here, not by libcurl: where it is read, a token goes by it. */
void cp_set_route(lua_State *L, const char *base, cp_route *route) {
  bool direct = !base || cp_url_is_local(base);
  const char *own = cp_setting(L, "proxy", NULL, NULL);
  const char *proxy = own ? own : cp_route_environment_proxy();
  route->connect_timeout = cp_option_number(L, OPTIONS, "connect_timeout", 10);
  route->proxy = cp_keep(L, direct ? "" : proxy);
  route->no_proxy = cp_keep(L, own ? "" : cp_route_environment_no_proxy());
  route->ca_file = cp_keep(L, cp_setting(L, "ca_file", NULL, NULL));
  route->ca_path = cp_keep(L, cp_setting(L, "ca_path", NULL, NULL));
}

const char *cp_push_agent(lua_State *L) {
  const char *own = cp_setting(L, "user_agent", NULL, NULL);
  return lua_pushfstring(
      L, "User-Agent: %s%scloudpartner-lua/%s\nAccept: application/json\n",
      own ? own : "", own ? " " : "", CP_VERSION);
}
