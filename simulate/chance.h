/*
** chance.h - random numbers that depend on nothing but what they are for
** There is no state that one draw hands on to the next: so one fault can be switched off
** and all others strike as before.
*/
#ifndef SIM_CHANCE_H
#define SIM_CHANCE_H

#include <stdint.h>

/* In [0, 1), the same for the same three. */
double chance(uint64_t seed, unsigned stream, unsigned index);

#endif
