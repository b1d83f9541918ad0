/*
** engine.h - libcurl multi on one thread of the process: requests in, answers out
** A request may also be a program to run: its output is the answer.
** The thread starts with the first exchange and ends with the last Lua state, or at
** exit. What is in flight belongs to the engine until it is taken, so nothing here ever
** waits for the network. In a forked child the parent's engine is left alone and a new
** one starts.
*/
#ifndef CP_ENGINE_H
#define CP_ENGINE_H

#include "os.h"
#include "transfer.h"

/* One request and its answer, on its way. */
typedef struct cp_exchange cp_exchange;

/* A client's mailbox: where its answers arrive, and the descriptor that tells. */
typedef struct cp_port cp_port;

/*
** A Lua state begins and ends to use the engine; the last end stops and joins the
** thread.
*/
void cp_engine_enter(void);
void cp_engine_leave(void);

/* How many forks made this process from the first one that used the engine. */
unsigned long cp_engine_generation(void);

/* NULL without memory or descriptors. The port owns `route`'s texts then. */
cp_port *cp_port_new(const cp_route *route);

/* Gives up what is in flight, at once, and the port. */
void cp_port_close(cp_port *port);

/*
** Gives up a parent's port in a forked child; the route's texts are the caller's again.
*/
cp_route cp_port_leave(cp_port *port);

const cp_signal *cp_port_signal(const cp_port *port);

/*
** From now on the port's signal is raised by answers at another port, too; NULL: no more.
** It follows one at most.
*/
void cp_port_follow(cp_port *port, cp_port *leader);

/* Raises the port's signal. */
void cp_port_ring(cp_port *port);

/*
** Hands a request over; the engine owns its contents then, whatever is returned. NULL
** when the thread can't be started or there is no memory: nothing was sent.
*/
cp_exchange *cp_port_submit(cp_port *port, cp_request *request, void *owner);

/* An answer that has arrived, for the caller to free, and whose it is; NULL: no other. */
cp_answer *cp_port_take(cp_port *port, void **owner);

/* Gives an exchange up: it has no owner any more and no answer will arrive. */
void cp_exchange_abandon(cp_exchange *exchange);

#endif
