/* A sanitizer's LD_PRELOAD is for one process: those that it starts do without (dash crashes under TSan). */
#include <stdlib.h>

__attribute__((constructor)) static void forget_preload(void) { unsetenv("LD_PRELOAD"); }
