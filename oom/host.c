/*
** host.c - a host whose memory fails when it is told to
** usage: host SCRIPT lua|c FROM STEP [ARGUMENT...]
** Runs a script that returns two functions, each time in a new state: the first with the
** N-th allocation failing (and then with all from the N-th on), for N = FROM, FROM + STEP
** and so on until nothing fails; the second afterwards, with memory back. Then the state is
** closed, and every block must be back. Prints what it did; exit status 1 for a fault.
** Lua's allocations go through its allocator; the module's through the calloc, realloc and
** free of src/memory.c, which the linker leads here. A block that is given back must not
** hold the token.
*/
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int luaopen_cloudpartner(lua_State *L);

void *__real_calloc(size_t count, size_t size);
void __real_free(void *block);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

/* What the script gives for a token; nothing else holds these words. */
#define TOKEN "a-token-that-must-be-wiped"

/* One way to memory. The engine's thread uses the module's, so a lock guards both. */
typedef struct seam {
  const char *name;
  long asked;  /* allocations since it was armed */
  long fails;  /* the number of the first that fails; 0: none */
  bool lasts;  /* all after it fail too */
  bool failed; /* one did */
  long blocks; /* that are out */
} seam;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static seam seams[] = {{.name = "lua"}, {.name = "c"}};
static long secrets; /* blocks given back with the token in them */

/* In front of each block of the module's. */
typedef union header {
  size_t size;
  max_align_t aligned;
} header;

static bool may_have(seam *of) {
  pthread_mutex_lock(&lock);
  of->asked++;
  bool fails = of->fails && (of->lasts ? of->asked >= of->fails : of->asked == of->fails);
  if (fails) of->failed = true;
  pthread_mutex_unlock(&lock);
  return !fails;
}

static void count_blocks(seam *of, long change) {
  pthread_mutex_lock(&lock);
  of->blocks += change;
  pthread_mutex_unlock(&lock);
}

/* The module's */

static void look_for_token(const char *block, size_t size) {
  size_t length = strlen(TOKEN);
  for (size_t i = 0; i + length <= size; i++)
    if (memcmp(block + i, TOKEN, length) == 0) secrets++;
}

void *__wrap_calloc(size_t count, size_t size) {
  if (!may_have(&seams[1])) return NULL;
  header *block = __real_calloc(1, sizeof *block + count * size);
  if (!block) abort();
  block->size = count * size;
  count_blocks(&seams[1], 1);
  return block + 1;
}

void __wrap_free(void *memory) {
  header *block = memory;
  if (!block) return;
  block--;
  look_for_token(memory, block->size);
  count_blocks(&seams[1], -1);
  __real_free(block);
}

/* Always elsewhere: who grows a text with a secret in it leaves a copy behind. */
void *__wrap_realloc(void *old, size_t size) {
  void *new = __wrap_calloc(1, size);
  if (!new || !old) return new;
  size_t had = ((header *)old - 1)->size;
  memcpy(new, old, had < size ? had : size);
  __wrap_free(old);
  return new;
}

/* Lua's */

static void *allocate(void *self, void *old, size_t old_size, size_t size) {
  seam *of = self;
  if (size == 0) {
    if (old) count_blocks(of, -1);
    __real_free(old);
    return NULL;
  }
  bool grows = !old || size > old_size; /* Lua relies on shrinking, which can't fail */
  if (grows && !may_have(of)) return NULL;
  void *new = __real_calloc(1, size);
  if (!new) abort();
  if (old) memcpy(new, old, old_size < size ? old_size : size);
  if (!old) count_blocks(of, 1);
  __real_free(old);
  return new;
}

/* One run */

static void arm(seam *of, long fails, bool lasts) {
  pthread_mutex_lock(&lock);
  of->asked = 0;
  of->fails = fails;
  of->lasts = lasts;
  of->failed = false;
  pthread_mutex_unlock(&lock);
}

static int fall(const char *what, const char *message) {
  fprintf(stderr, "%s: %s\n", what, message ? message : "an error without a message");
  return 1;
}

static void set_arguments(lua_State *L, char **arguments) {
  lua_newtable(L);
  for (int i = 0; arguments[i]; i++) {
    lua_pushstring(L, arguments[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setglobal(L, "arg");
}

/* Leaves the functions `work` and `check` on the stack. */
static int load(lua_State *L, const char *script, char **arguments) {
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_cloudpartner);
  lua_setfield(L, -2, "cloudpartner");
  lua_settop(L, 0);
  lua_pushliteral(L, TOKEN);
  lua_setglobal(L, "TOKEN");
  set_arguments(L, arguments);
  return luaL_loadfile(L, script) || lua_pcall(L, 0, 2, 0);
}

/* With memory that fails anything may be raised; what must hold is checked afterwards. */
static int exercise(lua_State *L, seam *of, long fails, bool lasts, bool *failed) {
  lua_pushvalue(L, 1);
  arm(of, fails, lasts);
  int status = lua_pcall(L, 0, 0, 0);
  *failed = of->failed;
  arm(of, 0, false);
  if (status && !*failed)
    return fall("work, with all memory", luaL_tolstring(L, -1, NULL));
  lua_settop(L, 2);
  if (lua_pcall(L, 0, 0, 0))
    return fall("check, with memory back", luaL_tolstring(L, -1, NULL));
  return 0;
}

static int judge_blocks(void) {
  int faults = 0;
  for (int i = 0; i < 2; i++) {
    if (seams[i].blocks == 0) continue;
    fprintf(stderr, "%ld blocks of %s's memory are lost\n", seams[i].blocks,
            seams[i].name);
    seams[i].blocks = 0;
    faults = 1;
  }
  if (secrets) faults = fall("the token", "it is in memory that was given back");
  secrets = 0;
  return faults;
}

/* `*failed`: an allocation did, so there may be a next one to fail. */
static int run(char **words, seam *of, long fails, bool lasts, bool *failed) {
  *failed = false;
  lua_State *L = lua_newstate(allocate, &seams[0]);
  int faults = load(L, words[1], words + 5) ? fall(words[1], luaL_tolstring(L, -1, NULL))
                                            : exercise(L, of, fails, lasts, failed);
  lua_close(L);
  faults |= judge_blocks();
  if (faults)
    fprintf(stderr, "  again: %s %s %s %ld 1000000%s\n", words[0], words[1], of->name,
            fails, lasts ? " (the second of its two runs)" : "");
  return faults;
}

/* A state that stays, and with it lua-cjson: so what that leaks can be told by its name. */
static lua_State *keeper;

static bool keep_cjson(void) {
  keeper = luaL_newstate();
  if (!keeper) return false;
  luaL_openlibs(keeper);
  return luaL_dostring(keeper, "require 'cjson'") == 0;
}

int main(int count, char **words) {
  if (!keep_cjson()) return fall("lua-cjson", "it is not there");
  if (count < 5) return fall("usage", "host SCRIPT lua|c FROM STEP [ARGUMENT...]");
  seam *of = &seams[strcmp(words[2], "c") == 0];
  long step = strtol(words[4], NULL, 10), runs = 0, faults = 0, n = 0;
  bool failed = true;
  for (n = strtol(words[3], NULL, 10); failed && faults < 20; n += step) {
    bool lasting;
    faults += run(words, of, n, false, &failed);
    faults += run(words, of, n, true, &lasting);
    runs += 2;
  }
  printf("%s %s: %ld runs, to allocation %ld, %ld faults\n", words[1], of->name, runs,
         n - step, faults);
  return faults > 0;
}
