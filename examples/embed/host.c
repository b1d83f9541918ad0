/*
** host.c - a game with Lua linked in, whose script takes offers live while it draws
** usage: host SCRIPT ENDPOINT PUBLISHER OFFER...     the token is in CLOUDPARTNER_TOKEN
** The script sees no file system: this host reads it, and gives it `cloudpartner` and
** `cjson` from its own program, tables, strings and numbers, and nothing of io, os or
** package. Prints what the script says, then how many frames it took and the longest
** update. Exit status 1 when the script fails.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int luaopen_cloudpartner(lua_State *L);
int luaopen_cjson(lua_State *L);

#define FRAME 16666667L /* nanoseconds: 60 Hz */

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What the script may use of Lua. */
static void open_libraries(lua_State *L) {
  static const luaL_Reg libraries[] = {
      {LUA_GNAME, luaopen_base},       {LUA_LOADLIBNAME, luaopen_package},
      {LUA_TABLIBNAME, luaopen_table}, {LUA_STRLIBNAME, luaopen_string},
      {LUA_MATHLIBNAME, luaopen_math}, {NULL, NULL}};
  for (const luaL_Reg *library = libraries; library->name; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
}

/* `require` finds what is in this program, and looks nowhere else. */
static void preload(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_cloudpartner);
  lua_setfield(L, -2, "cloudpartner");
  lua_pushcfunction(L, luaopen_cjson);
  lua_setfield(L, -2, "cjson");
  lua_pop(L, 1);
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "path");
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "cpath");
  lua_pop(L, 1);
}

static void take_away(lua_State *L) {
  static const char *const names[] = {"dofile", "loadfile", "package"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    lua_pushnil(L);
    lua_setglobal(L, names[i]);
  }
}

static int say(lua_State *L) {
  puts(luaL_checkstring(L, 1));
  fflush(stdout);
  return 0;
}

static void set(lua_State *L, const char *name, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

/* Pushes what the script gets as its argument. */
static void push_host(lua_State *L, int count, char **words) {
  lua_newtable(L);
  set(L, "endpoint", words[2]);
  set(L, "publisher", words[3]);
  set(L, "token", getenv("CLOUDPARTNER_TOKEN"));
  lua_pushcfunction(L, say);
  lua_setfield(L, -2, "say");
  lua_newtable(L);
  for (int i = 4; i < count; i++) {
    lua_pushstring(L, words[i]);
    lua_rawseti(L, -2, i - 3);
  }
  lua_setfield(L, -2, "offers");
}

static int fail(lua_State *L, const char *what) {
  fprintf(stderr, "%s: %s\n", what, lua_tostring(L, -1));
  return 1;
}

/* Calls update(); is there more to do? A script that fails has nothing more. */
static int update(lua_State *L, int *failed) {
  lua_getglobal(L, "update");
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) *failed = fail(L, "update");
  int more = !*failed && lua_toboolean(L, -1);
  lua_pop(L, 1);
  return more;
}

static int play(lua_State *L) {
  const struct timespec frame = {.tv_nsec = FRAME};
  double longest = 0;
  int frames = 0, failed = 0, more = 1;
  while (more) {
    double began = seconds();
    more = update(L, &failed);
    double took = seconds() - began;
    longest = took > longest ? took : longest;
    frames++;
    nanosleep(&frame, NULL);
  }
  printf("%d frames, the longest update took %.2f ms\n", frames, longest * 1e3);
  return failed;
}

int main(int count, char **words) {
  if (count < 5) {
    fputs("usage: host SCRIPT ENDPOINT PUBLISHER OFFER...\n", stderr);
    return 2;
  }
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  open_libraries(L);
  preload(L);
  int failed = luaL_loadfile(L, words[1]);
  take_away(L);
  if (!failed) {
    push_host(L, count, words);
    failed = lua_pcall(L, 1, 0, 0);
  }
  failed = failed ? fail(L, words[1]) : play(L);
  lua_close(L);
  return failed;
}
