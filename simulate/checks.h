/*
** checks.h - what must hold, whatever goes wrong
*/
#ifndef SIM_CHECKS_H
#define SIM_CHECKS_H

#include "sim.h"

/* Before an exchange: is it one that the policy allows now? */
void check_request(sim *of, const cp_task *task);

/* When its answer is digested: notes what the service has told by it. */
void check_answer(sim *of, const cp_task *task);

/* At the end of a task of either kind. */
void check_submission(sim *of, const cp_task *task);
void check_wait(sim *of, const cp_task *task);

#endif
