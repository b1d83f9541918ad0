/*
** slow_names.c - a resolver whose server is silent, to be preloaded: a name that begins
** with "slow." takes five seconds and is then not found.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <time.h>

typedef int lookup(const char *, const char *, const struct addrinfo *,
                   struct addrinfo **);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  const struct timespec silence = {.tv_sec = 5};
  lookup *next = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
  if (!name || strncmp(name, "slow.", 5) != 0) return next(name, service, hints, found);
  nanosleep(&silence, NULL);
  return EAI_AGAIN;
}
