/*
** threads.c - Lua states in threads of one process
** usage: threads COUNT ROUNDS SCRIPT [ARGUMENT]
** In each of COUNT threads, ROUNDS times: a new Lua state runs the script with thread and
** round (from 1) and the argument, and is closed. Exit status 0 when no script raised.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS_MAX 64

typedef struct worker {
  pthread_t thread;
  int number, rounds, failures;
  const char *script, *argument;
} worker;

static int run_script(lua_State *L, const worker *self, int round) {
  luaL_openlibs(L);
  if (luaL_loadfile(L, self->script) != 0) return 1;
  lua_pushinteger(L, self->number);
  lua_pushinteger(L, round);
  lua_pushstring(L, self->argument);
  return lua_pcall(L, 3, 0, 0);
}

static void *work(void *argument) {
  worker *self = argument;
  for (int round = 1; round <= self->rounds; round++) {
    lua_State *L = luaL_newstate();
    if (run_script(L, self, round) != 0) {
      const char *message = lua_tostring(L, -1);
      fprintf(stderr, "thread %d, round %d: %s\n", self->number, round,
              message ? message : "an error that is no string");
      self->failures++;
    }
    lua_close(L);
  }
  return NULL;
}

static int finish(worker *workers, int count) {
  int failures = 0;
  for (int i = 0; i < count; i++) {
    pthread_join(workers[i].thread, NULL);
    failures += workers[i].failures;
  }
  return failures;
}

int main(int count, char **arguments) {
  static worker workers[THREADS_MAX];
  int threads = count > 3 ? atoi(arguments[1]) : 0;
  if (threads < 1 || threads > THREADS_MAX) return 2;
  for (int i = 0; i < threads; i++) {
    workers[i] = (worker){.number = i + 1,
                          .rounds = atoi(arguments[2]),
                          .script = arguments[3],
                          .argument = count > 4 ? arguments[4] : NULL};
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) return 2;
  }
  return finish(workers, threads) == 0 ? 0 : 1;
}
