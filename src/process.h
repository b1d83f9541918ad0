/*
** process.h - the POSIX seam to a program that is run for its output
** Nothing here waits: whoever runs it looks after it now and then, and has descriptors
** that are readable when there is output.
*/
#ifndef CP_PROCESS_H
#define CP_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "memory.h"

/* What a process writes to, in the order of its descriptors 1 and 2. */
enum { CP_OUTPUT, CP_ERRORS, CP_STREAMS };

/* All zero is none. */
typedef struct cp_process {
  bool runs;
  pid_t pid;
  int streams[CP_STREAMS]; /* to read from; -1: closed */
} cp_process;

/*
** The path of a program that is found by PATH; NULL: none is, or no memory. To be called,
** as the next one, where the environment may be read: another thread may change it.
*/
char *cp_process_find(const char *name);

/* A copy of the environment, NULL after the last; NULL without memory. */
char **cp_process_environment(void);

/*
** Starts a program, a path, with these words (NULL after the last) and this environment,
** without a shell: in a process group of its own, with no input, no signal blocked or
** ignored, and none of our descriptors but its streams. Gives 0 or what is wrong, an
** errno.
*/
int cp_process_start(cp_process *process, char *const *words, char *const *environment);

/* What a look after it came to. */
typedef enum cp_progress { CP_RUNS_ON, CP_ENDED, CP_TOO_MUCH } cp_progress;

/*
** Adds what the process has written to `output`, up to its limit, and to `errors`, where
** the rest is dropped. It has ended when it is gone, whoever may have reaped it and
** whatever still holds its streams: then all that it wrote has been read.
*/
cp_progress cp_process_tend(cp_process *process, cp_text *output, cp_text *errors);

/* Kills it with all of its group, unless it has ended, and closes its streams. */
void cp_process_end(cp_process *process);

#endif
