/*
** process.c - the POSIX seam to a program that is run for its output
*/
#if defined(__linux__)
#define _GNU_SOURCE /* pipe2 */
#endif
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* How often a killed process is waited for, a millisecond each time. */
#define PATIENCE 200

/* Where there is no PATH: confstr(_CS_PATH) of the systems that there are. */
#define DEFAULT_PATH "/bin:/usr/bin"

/* What is read of the environment */

static char *join(const char *directory, size_t length, const char *name) {
  cp_text path = {0};
  bool ok = cp_text_add(&path, directory, length) && cp_text_putc(&path, '/') &&
            cp_text_puts(&path, name);
  if (!ok) cp_text_free(&path);
  return path.data;
}

static bool is_program(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/*
** An empty directory of PATH means the working directory, which may be anybody's: it is
** passed over.
*/
char *cp_process_find(const char *name) {
  const char *at = getenv("PATH"), *end;
  for (at = at && *at ? at : DEFAULT_PATH;; at = end + 1) {
    end = at + strcspn(at, ":");
    char *path = end > at ? join(at, (size_t)(end - at), name) : NULL;
    if (path && is_program(path)) return path;
    cp_free(path);
    if (!*end) return NULL;
  }
}

char **cp_process_environment(void) {
  size_t count = 0;
  while (environ && environ[count]) count++;
  char **copy = cp_calloc((count + 1) * sizeof *copy);
  bool ok = copy != NULL;
  for (size_t i = 0; ok && i < count; i++) ok = (copy[i] = cp_strdup(environ[i])) != NULL;
  if (ok) return copy;
  cp_free_secrets(copy);
  return NULL;
}

/* Starting */

/* At once, where that is to be had: another thread of the host may start a program. */
static bool open_unshared(int ends[2]) {
#if defined(__linux__)
  return pipe2(ends, O_CLOEXEC) == 0;
#else
  if (pipe(ends) != 0) return false;
  for (int i = 0; i < 2; i++) (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  return true;
#endif
}

static bool open_pipe(int ends[2]) {
  if (!open_unshared(ends)) return false;
  (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return true;
}

static void close_end(int *end) {
  if (*end >= 0) close(*end);
  *end = -1;
}

static bool open_pipes(int pipes[CP_STREAMS][2]) {
  for (int i = 0; i < CP_STREAMS; i++) pipes[i][0] = pipes[i][1] = -1;
  for (int i = 0; i < CP_STREAMS; i++)
    if (!open_pipe(pipes[i])) return false;
  return true;
}

/*
** As a shell would start it: a host that ignores SIGPIPE, or whose thread blocks signals,
** must not hand that on.
*/
static int set_attributes(posix_spawnattr_t *attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  sigdelset(&all, SIGKILL); /* their action can't be set */
  sigdelset(&all, SIGSTOP);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP;
  int error = posix_spawnattr_setsigmask(attributes, &none);
  if (!error) error = posix_spawnattr_setsigdefault(attributes, &all);
  if (!error) error = posix_spawnattr_setpgroup(attributes, 0);
  return error ? error : posix_spawnattr_setflags(attributes, flags);
}

/* Nothing that the host, or libcurl, has left open is the program's. */
static int close_others(posix_spawn_file_actions_t *actions) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  return posix_spawn_file_actions_addclosefrom_np(actions, STDOUT_FILENO + CP_STREAMS);
#else
  (void)actions;
  return 0;
#endif
}

static int set_streams(posix_spawn_file_actions_t *actions, int pipes[CP_STREAMS][2]) {
  int error =
      posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  for (int i = 0; !error && i < CP_STREAMS; i++)
    error = posix_spawn_file_actions_adddup2(actions, pipes[i][1], STDOUT_FILENO + i);
  return error ? error : close_others(actions);
}

static int spawn_with(pid_t *pid, char *const *words, char *const *environment,
                      const posix_spawn_file_actions_t *actions) {
  posix_spawnattr_t attributes;
  int error = posix_spawnattr_init(&attributes);
  if (error) return error;
  error = set_attributes(&attributes);
  if (!error)
    error = posix_spawn(pid, words[0], actions, &attributes, words, environment);
  posix_spawnattr_destroy(&attributes);
  return error;
}

static int spawn(pid_t *pid, char *const *words, char *const *environment,
                 int pipes[CP_STREAMS][2]) {
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  error = set_streams(&actions, pipes);
  if (!error) error = spawn_with(pid, words, environment, &actions);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

int cp_process_start(cp_process *process, char *const *words, char *const *environment) {
  int pipes[CP_STREAMS][2];
  int error = open_pipes(pipes) ? spawn(&process->pid, words, environment, pipes) : errno;
  for (int i = 0; i < CP_STREAMS; i++) {
    close_end(&pipes[i][1]);
    if (error) close_end(&pipes[i][0]);
    process->streams[i] = pipes[i][0];
  }
  process->runs = !error;
  return error;
}

/* Looking after it */

/*
** So often a stream without a bound is read at one visit: others wait for the engine's
** thread.
*/
#define DRAIN_MAX 64

/* False when the output is over its limit; of the errors the rest is dropped. */
static bool take(cp_text *text, const char *data, size_t length, bool may_drop) {
  size_t room = text->limit - text->length;
  if (may_drop && length > room) length = room;
  return cp_text_add(text, data, length);
}

/* Reads what is there; false when it is too much. */
static bool drain(int *stream, cp_text *text, bool may_drop) {
  char data[4096];
  ssize_t got = 1;
  bool fits = true;
  for (int i = 0; fits && *stream >= 0 && got > 0; i++) {
    if (may_drop && i >= DRAIN_MAX) break;
    got = read(*stream, data, sizeof data);
    if (got > 0) fits = take(text, data, (size_t)got, may_drop);
  }
  cp_wipe(data, sizeof data);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) close_end(stream);
  return fits;
}

/* Somebody else may have reaped it, or the host has no zombies at all: ECHILD. */
static bool is_gone(const cp_process *process) {
  pid_t found = waitpid(process->pid, NULL, WNOHANG);
  return found == process->pid || (found < 0 && errno == ECHILD);
}

cp_progress cp_process_tend(cp_process *process, cp_text *output, cp_text *errors) {
  bool gone = is_gone(process); /* first: what it wrote before is read after */
  if (gone) process->runs = false;
  bool fits = drain(&process->streams[CP_OUTPUT], output, false);
  drain(&process->streams[CP_ERRORS], errors, true);
  if (!fits) return CP_TOO_MUCH;
  return gone ? CP_ENDED : CP_RUNS_ON;
}

/* Ending it */

static void rest(void) {
  const struct timespec millisecond = {.tv_nsec = 1000000};
  nanosleep(&millisecond, NULL);
}

/* One that can't be killed now, in the depths of the kernel, is left to the host. */
static void reap(const cp_process *process) {
  for (int i = 0; i < PATIENCE && !is_gone(process); i++) rest();
}

void cp_process_end(cp_process *process) {
  if (process->runs) {
    kill(-process->pid, SIGKILL);
    reap(process);
  }
  process->runs = false;
  for (int i = 0; i < CP_STREAMS; i++) close_end(&process->streams[i]);
}
