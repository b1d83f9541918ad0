/*
** os.h - the POSIX seam: threads, descriptors, clocks, chance
*/
#ifndef CP_OS_H
#define CP_OS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "memory.h"

/* Seconds that run on in suspend and never jump; their zero means nothing. */
double cp_os_now(void);

/* Unix seconds. */
double cp_os_wall(void);

/* Fills memory with unpredictable bytes. */
void cp_os_random(void *bytes, size_t size);

/*
** Appends what a regular file holds, up to the text's limit. NULL, or what is wrong with
** it in a few words. Nothing that a path can name makes it wait: no pipe, no terminal.
*/
const char *cp_os_read(const char *path, cp_text *text);

/* Starts a thread that no signal of the host's is delivered to. */
bool cp_os_thread(pthread_t *thread, void *(*run)(void *), void *argument);

/* Keeps this module's code mapped until the process ends. */
void cp_os_pin(void);

/*
** A descriptor that one thread raises and another polls and clears. All zero is closed.
** (An eventfd where there is one, else a pipe.)
*/
typedef struct cp_signal {
  int read_end, write_end;
  bool open;
} cp_signal;

bool cp_signal_open(cp_signal *signal);
void cp_signal_close(cp_signal *signal);
void cp_signal_raise(const cp_signal *signal);
void cp_signal_clear(const cp_signal *signal);

/*
** Waits until the signal is raised or `seconds` have passed; without a signal, just that
** long, or until a signal of the host's comes in.
*/
void cp_signal_wait(const cp_signal *signal, double seconds);

#endif
