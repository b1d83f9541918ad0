/*
** world.h - how a job is to be done, and what the offer has been through before
*/
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim.h"

void world_make(sim *of);

/* Gives an operation that the service takes its course. */
void world_take(sim *of, operation *taken);

#endif
