/*
** os.c - the POSIX seam: threads, descriptors, clocks, chance
*/
#define _GNU_SOURCE /* dladdr, RTLD_NOLOAD, getentropy */
#include "os.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/eventfd.h>
#endif
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#if defined(CLOCK_BOOTTIME)
#define RUNNING_CLOCK CLOCK_BOOTTIME
#else
#define RUNNING_CLOCK CLOCK_MONOTONIC /* on macOS this one runs on in suspend */
#endif

static double read_clock(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

double cp_os_now(void) {
  return read_clock(RUNNING_CLOCK);
}

double cp_os_wall(void) {
  return read_clock(CLOCK_REALTIME);
}

/*
** Where the kernel refuses (an old one in a jail), the clocks still differ from call to
** call.
*/
void cp_os_random(void *bytes, size_t size) {
  if (getentropy(bytes, size) == 0) return;
  unsigned char *byte = bytes;
  uint64_t seed = (uint64_t)(cp_os_wall() * 1e9) ^ (uint64_t)getpid() << 32;
  while (size--) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    *byte++ = (unsigned char)(seed >> 56);
  }
}

static const char *why_not(int error) {
  switch (error) {
    case ENOENT: return "is missing";
    case EACCES: return "may not be read";
    default: return "can't be read";
  }
}

/* A file may hold a secret: room for all of it at once, and no copies. */
static const char *read_file(int fd, cp_text *text) {
  struct stat status;
  if (fstat(fd, &status) != 0) return "can't be read";
  if (S_ISDIR(status.st_mode)) return "is a directory";
  if (!S_ISREG(status.st_mode)) return "is no regular file";
  size_t size = status.st_size > 0 ? (size_t)status.st_size : 0;
  if (status.st_size > (off_t)text->limit) return "is too large";
  if (!cp_text_reserve(text, size)) return "needs more memory than there is";
  ssize_t got = read(fd, text->data, size);
  if (got < 0) return "can't be read";
  text->length = (size_t)got;
  text->data[text->length] = '\0';
  return NULL;
}

const char *cp_os_read(const char *path, cp_text *text) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return why_not(errno);
  const char *fault = read_file(fd, text);
  close(fd);
  return fault;
}

bool cp_os_thread(pthread_t *thread, void *(*run)(void *), void *argument) {
  sigset_t all, before;
  sigfillset(&all);
  if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
  bool ok = pthread_create(thread, NULL, run, argument) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return ok;
}

/* A host may unload the module while its thread still runs, or before atexit calls it. */
void cp_os_pin(void) {
  Dl_info self;
  union {
    void (*function)(void);
    void *address;
  } here = {.function = cp_os_pin};
  if (dladdr(here.address, &self) != 0)
    (void)dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE | RTLD_NOLOAD);
}

bool cp_signal_open(cp_signal *signal) {
#if defined(__linux__)
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  *signal = (cp_signal){.read_end = fd, .write_end = fd, .open = fd >= 0};
#else
  int ends[2];
  bool ok = pipe(ends) == 0;
  for (int i = 0; ok && i < 2; i++) {
    fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    fcntl(ends[i], F_SETFL, O_NONBLOCK);
  }
  *signal = (cp_signal){
      .read_end = ok ? ends[0] : -1, .write_end = ok ? ends[1] : -1, .open = ok};
#endif
  return signal->open;
}

void cp_signal_close(cp_signal *signal) {
  if (!signal->open) return;
  close(signal->read_end);
  if (signal->write_end != signal->read_end) close(signal->write_end);
  *signal = (cp_signal){0};
}

void cp_signal_raise(const cp_signal *signal) {
  uint64_t one = 1;
  ssize_t written = write(signal->write_end, &one, sizeof one);
  (void)written; /* a full pipe is raised already */
}

void cp_signal_clear(const cp_signal *signal) {
  uint64_t counts[64];
  while (read(signal->read_end, counts, sizeof counts) == (ssize_t)sizeof counts)
    continue;
}

void cp_signal_wait(const cp_signal *signal, double seconds) {
  struct pollfd one = {.fd = signal ? signal->read_end : -1, .events = POLLIN};
  int milliseconds = (int)ceil(fmin(fmax(seconds, 0), 3600) * 1000);
  (void)poll(&one, signal ? 1 : 0, milliseconds);
}
