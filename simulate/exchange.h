/*
** exchange.h - one exchange with the service, and what goes wrong with it
*/
#ifndef SIM_EXCHANGE_H
#define SIM_EXCHANGE_H

#include "sim.h"

/* Sends what the task wants; the answer is then in flight, if one comes at all. */
void exchange_begin(sim *of, cp_task *task);

/* An answer that nothing was sent for, or that never came. */
cp_answer *exchange_failure(cp_failure failure, cp_sent sent);

/* Nothing is in flight any more. */
void exchange_drop(sim *of);

#endif
