/*
** calls.c - the system calls that specs need and Lua lacks, as a Lua module
*/
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The head of a request, at most. */
#define HEAD_MAX 65536

static int failed(lua_State *L, const char *call) {
  return luaL_error(L, "%s: %s", call, strerror(errno));
}

static int milliseconds(lua_State *L, int index) {
  return (int)(luaL_checknumber(L, index) * 1000);
}

static double monotonic(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* now(): seconds, by a clock that nobody sets. */
static int calls_now(lua_State *L) {
  lua_pushnumber(L, monotonic());
  return 1;
}

/* pid(): of this process. */
static int calls_pid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

/*
** kill(seconds): ends this process by SIGKILL then, whatever it is at. No shell does it: a
** process with threads can't be forked under every tool.
*/
static int calls_kill(lua_State *L) {
  int after = milliseconds(L, 1);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
  struct itimerspec when = {.it_value = {after / 1000, after % 1000 * 1000000L + 1}};
  timer_t timer;
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return failed(L, "timer_create");
  if (timer_settime(timer, 0, &when, NULL) != 0) return failed(L, "timer_settime");
  return 0;
}

/* fork(): 0 in the child, the child's id in the parent. */
static int calls_fork(lua_State *L) {
  pid_t pid = fork();
  if (pid < 0) return failed(L, "fork");
  lua_pushinteger(L, pid);
  return 1;
}

/* waitpid, as long as there is nothing and it is not `end` yet. */
static pid_t wait_until(pid_t pid, double end, int *status) {
  pid_t found;
  while ((found = waitpid(pid, status, WNOHANG)) == 0 && monotonic() < end)
    poll(NULL, 0, 5);
  return found;
}

/*
** wait(pid, seconds): the exit status of a child, 128 and more for a signal as in a
** shell; "late" for one that had to be killed.
*/
static int calls_wait(lua_State *L) {
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  int status = 0;
  pid_t found = wait_until(pid, monotonic() + luaL_checknumber(L, 2), &status);
  if (found < 0) return failed(L, "waitpid");
  if (found == 0) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    lua_pushliteral(L, "late");
  } else {
    lua_pushinteger(L,
                    WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
  }
  return 1;
}

static int is_readable(int fd, int timeout) {
  struct pollfd one = {.fd = fd, .events = POLLIN};
  return poll(&one, 1, timeout) > 0 && (one.revents & POLLIN);
}

/* poll(fd, seconds): does it become readable in that time? */
static int calls_poll(lua_State *L) {
  lua_pushboolean(L, is_readable((int)luaL_checkinteger(L, 1), milliseconds(L, 2)));
  return 1;
}

/* listen(): a descriptor that listens on a free port of 127.0.0.1, and that port. */
static int calls_listen(lua_State *L) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
      listen(fd, 16) != 0 || getsockname(fd, (struct sockaddr *)&address, &length) != 0)
    return failed(L, "listen");
  lua_pushinteger(L, fd);
  lua_pushinteger(L, ntohs(address.sin_port));
  return 2;
}

/* Pushes what comes in up to an empty line. */
static void push_head(lua_State *L, int fd, int timeout) {
  char head[HEAD_MAX + 1] = "";
  size_t length = 0;
  while (length < HEAD_MAX && !strstr(head, "\r\n\r\n") && is_readable(fd, timeout)) {
    ssize_t count = read(fd, head + length, HEAD_MAX - length);
    if (count <= 0) break;
    length += (size_t)count;
    head[length] = '\0';
  }
  lua_pushlstring(L, head, length);
}

/*
** answer(fd, text, seconds): the head of the request on the next connection to that
** listening descriptor, which is answered with the text and closed; nil when none comes.
*/
static int calls_answer(lua_State *L) {
  int listening = (int)luaL_checkinteger(L, 1), timeout = milliseconds(L, 3);
  size_t length;
  const char *text = luaL_checklstring(L, 2, &length);
  if (!is_readable(listening, timeout)) return 0;
  int fd = accept(listening, NULL, NULL);
  if (fd < 0) return failed(L, "accept");
  push_head(L, fd, timeout);
  (void)send(fd, text, length, MSG_NOSIGNAL);
  close(fd);
  return 1;
}

/* close(fd) */
static int calls_close(lua_State *L) {
  close((int)luaL_checkinteger(L, 1));
  return 0;
}

/* setenv(name, value): nil removes it. */
static int calls_setenv(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  if (lua_isnoneornil(L, 2))
    unsetenv(name);
  else
    setenv(name, luaL_checkstring(L, 2), 1);
  return 0;
}

/* Reaps whatever ends in this process, before anybody else can. */
static void *reap_all(void *unused) {
  for (;;)
    if (waitpid(-1, NULL, 0) < 0) usleep(100);
  return unused;
}

/* reaper("ignored"): this process has no zombies; ("reaped"): a thread takes them all. */
static int calls_reaper(lua_State *L) {
  pthread_t thread;
  if (strcmp(luaL_checkstring(L, 1), "ignored") == 0)
    signal(SIGCHLD, SIG_IGN);
  else if (pthread_create(&thread, NULL, reap_all, NULL) != 0)
    return failed(L, "pthread_create");
  return 0;
}

static const luaL_Reg functions[] = {
    {"now", calls_now},       {"pid", calls_pid},     {"fork", calls_fork},
    {"wait", calls_wait},     {"poll", calls_poll},   {"listen", calls_listen},
    {"answer", calls_answer}, {"close", calls_close}, {"kill", calls_kill},
    {"setenv", calls_setenv}, {"reaper", calls_reaper}, {NULL, NULL},
};

int luaopen_calls(lua_State *L);

int luaopen_calls(lua_State *L) {
  lua_newtable(L);
  for (const luaL_Reg *function = functions; function->name; function++) {
    lua_pushcfunction(L, function->func);
    lua_setfield(L, -2, function->name);
  }
  return 1;
}
