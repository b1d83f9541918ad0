/*
** engine.c - libcurl multi on one thread of the process: requests in, answers out
*/
#include "engine.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

/* Handles and connections kept for the next exchanges. */
#define IDLE_TRANSFERS   32
#define IDLE_CONNECTIONS 32L

/* The thread sleeps for so long at most, in milliseconds; whoever needs it wakes it. */
#define LONG_POLL 600000

/* While a program runs, it is looked after this often, in milliseconds. */
#define TICK 20

/* What a program says on its stream of errors is kept up to this, in bytes. */
#define ERRORS_MAX 4096

struct cp_exchange {
  cp_exchange *previous, *next;
  cp_port *port;
  void *owner;
  bool abandoned;
  cp_request request;
  cp_answer *answer;
  cp_transfer *transfer;
  cp_process process; /* of a program */
  double began;       /* likewise */
};

typedef struct chain {
  cp_exchange *first, *last;
} chain;

struct cp_port {
  cp_route route;
  cp_signal signal;
  chain done;
  bool raised;
  bool closed;
  cp_port *leader;    /* whose answers raise the signal, too */
  cp_port *followers; /* the first; the others by `next` */
  cp_port *next;
  unsigned long generation;
  size_t exchanges; /* with the engine; the last one of a closed port frees it */
};

/* What the thread works at. All but the inbox is its own: no lock guards it. */
typedef struct workshop {
  CURLM *multi;
  chain inbox;
  chain active;
  chain programs;
  cp_transfer *idle[IDLE_TRANSFERS];
  int idle_count;
} workshop;

/* The engine, of which a process has one. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t stopped;
  unsigned long generation; /* one more in each forked child */
  int states;
  bool notices_forks;
  bool prepared; /* for the whole process: libcurl and atexit */
  bool running, stopping, exiting;
  bool given_up; /* some exchange is abandoned, or its port closed */
  bool asleep;   /* the thread is about to wait, and must be woken */
  pthread_t thread;
  workshop work;
  workshop parents; /* in a forked child: left alone, but not forgotten */
} engine = {.lock = PTHREAD_MUTEX_INITIALIZER, .stopped = PTHREAD_COND_INITIALIZER};

static void lock(void) {
  pthread_mutex_lock(&engine.lock);
}

static void unlock(void) {
  pthread_mutex_unlock(&engine.lock);
}

/* Chains */

static void append(chain *to, cp_exchange *exchange) {
  exchange->previous = to->last;
  exchange->next = NULL;
  *(to->last ? &to->last->next : &to->first) = exchange;
  to->last = exchange;
}

static void leave(chain *from, cp_exchange *exchange) {
  *(exchange->previous ? &exchange->previous->next : &from->first) = exchange->next;
  *(exchange->next ? &exchange->next->previous : &from->last) = exchange->previous;
}

static chain take_all(chain *from) {
  chain all = *from;
  *from = (chain){0};
  return all;
}

/* Ports */

static void leave_leader(cp_port *port) {
  if (!port->leader) return;
  cp_port **link = &port->leader->followers;
  while (*link != port) link = &(*link)->next;
  *link = port->next;
  port->leader = port->next = NULL;
}

/* Whatever follows it, or is followed: nothing leads here any more. */
static void unlink_port(cp_port *port) {
  leave_leader(port);
  while (port->followers) leave_leader(port->followers);
}

static void free_port(cp_port *port) {
  cp_signal_close(&port->signal);
  cp_route_free(&port->route);
  cp_free(port);
}

/* Nobody has taken it, and with it perhaps a token. */
static void wipe_answer(cp_answer *answer) {
  cp_text_free_secret(&answer->headers);
  cp_text_free_secret(&answer->body);
  cp_text_free_secret(&answer->detail);
}

/* With the lock held. */
static void free_exchange(cp_exchange *exchange) {
  cp_port *port = exchange->port;
  if (exchange->answer && exchange->request.is_secret) wipe_answer(exchange->answer);
  cp_request_free(&exchange->request);
  if (exchange->answer) cp_answer_free(exchange->answer);
  cp_free(exchange->answer);
  cp_free(exchange);
  if (--port->exchanges == 0 && port->closed) free_port(port);
}

static void free_chain(chain exchanges) {
  for (cp_exchange *exchange = exchanges.first, *next; exchange; exchange = next) {
    next = exchange->next;
    free_exchange(exchange);
  }
}

/* With the lock held. */
static void ring(cp_port *port) {
  if (!port->raised) cp_signal_raise(&port->signal);
  port->raised = true;
}

/* With the lock held. */
static void deliver(cp_exchange *exchange) {
  cp_port *port = exchange->port;
  if (port->closed || exchange->abandoned) {
    free_exchange(exchange);
    return;
  }
  append(&port->done, exchange);
  ring(port);
  for (cp_port *one = port->followers; one; one = one->next) ring(one);
}

/* On the thread */

static cp_transfer *get_transfer(void) {
  return engine.work.idle_count ? engine.work.idle[--engine.work.idle_count]
                                : cp_transfer_new();
}

static void put_transfer(cp_transfer *transfer) {
  if (engine.work.idle_count < IDLE_TRANSFERS && cp_transfer_is_reusable(transfer))
    engine.work.idle[engine.work.idle_count++] = transfer;
  else
    cp_transfer_free(transfer);
}

static void release_transfer(cp_exchange *exchange) {
  curl_multi_remove_handle(engine.work.multi, cp_transfer_handle(exchange->transfer));
  cp_transfer_abandon(exchange->transfer);
  put_transfer(exchange->transfer);
  exchange->transfer = NULL;
}

static void fail(cp_exchange *exchange, cp_sent sent, const char *detail) {
  exchange->answer->failure = CP_FAIL_NETWORK;
  exchange->answer->sent = sent;
  if (!exchange->answer->detail.length) cp_text_puts(&exchange->answer->detail, detail);
}

static bool begin_transfer(cp_exchange *exchange) {
  cp_transfer *transfer = get_transfer();
  if (!transfer) return false;
  bool ok =
      cp_transfer_begin(transfer, &exchange->port->route, &exchange->request,
                        exchange->answer, exchange) &&
      curl_multi_add_handle(engine.work.multi, cp_transfer_handle(transfer)) == CURLM_OK;
  if (ok)
    exchange->transfer = transfer;
  else
    cp_transfer_free(transfer);
  return ok;
}

/* Programs */

static bool begin_program(cp_exchange *exchange) {
  char *const *words = exchange->request.program;
  exchange->answer->body.limit = exchange->request.max_body;
  exchange->answer->detail.limit = ERRORS_MAX;
  cp_text_reserve(&exchange->answer->body, CP_SECRET_SIZE);
  exchange->began = cp_os_now();
  int error = cp_process_start(&exchange->process, words, exchange->request.environment);
  if (!error) return true;
  cp_text_printf(&exchange->answer->detail, "%s: %s", words[0], strerror(error));
  return false;
}

static void end_program(cp_exchange *exchange, cp_failure failure) {
  cp_process_end(&exchange->process);
  exchange->answer->failure = failure;
  exchange->answer->sent = CP_SENT_YES;
  exchange->answer->seconds = cp_os_now() - exchange->began;
}

/* Has the program come to its end, or to that of its time or of its output's bound? */
static bool tend_program(cp_exchange *exchange) {
  cp_answer *answer = exchange->answer;
  cp_progress progress =
      cp_process_tend(&exchange->process, &answer->body, &answer->detail);
  bool late = cp_os_now() - exchange->began >= exchange->request.timeout;
  if (progress == CP_RUNS_ON && !late) return false;
  end_program(exchange, progress == CP_ENDED      ? CP_FAIL_NONE
                        : progress == CP_TOO_MUCH ? CP_FAIL_TOO_LARGE
                                                  : CP_FAIL_TIMEOUT);
  return true;
}

static void tend_programs(chain *finished) {
  for (cp_exchange *exchange = engine.work.programs.first, *next; exchange;
       exchange = next) {
    next = exchange->next;
    if (!tend_program(exchange)) continue;
    leave(&engine.work.programs, exchange);
    append(finished, exchange);
  }
}

/* With the lock held. */
static chain take_given_up_programs(void) {
  chain given_up = {0};
  for (cp_exchange *exchange = engine.work.programs.first, *next; exchange;
       exchange = next) {
    next = exchange->next;
    if (!exchange->abandoned && !exchange->port->closed) continue;
    leave(&engine.work.programs, exchange);
    append(&given_up, exchange);
  }
  return given_up;
}

/* Without the lock: a process takes a moment to be gone. */
static void end_programs(chain programs) {
  for (cp_exchange *exchange = programs.first; exchange; exchange = exchange->next)
    end_program(exchange, CP_FAIL_NETWORK);
}

static bool begin(cp_exchange *exchange) {
  chain *active = exchange->request.program ? &engine.work.programs : &engine.work.active;
  bool ok =
      exchange->request.program ? begin_program(exchange) : begin_transfer(exchange);
  if (ok) append(active, exchange);
  return ok;
}

static void give_up_abandoned(void) {
  for (cp_exchange *exchange = engine.work.active.first, *next; exchange;
       exchange = next) {
    next = exchange->next;
    if (!exchange->abandoned && !exchange->port->closed) continue;
    leave(&engine.work.active, exchange);
    release_transfer(exchange);
    free_exchange(exchange);
  }
}

/* Without the lock: a first handle takes libcurl long enough to be felt in a frame. */
static chain begin_all(chain arrived) {
  chain failed = {0};
  for (cp_exchange *exchange = arrived.first, *next; exchange; exchange = next) {
    next = exchange->next;
    if (begin(exchange)) continue;
    fail(exchange, CP_SENT_NO, "out of memory");
    append(&failed, exchange);
  }
  return failed;
}

static void deliver_all(chain finished) {
  for (cp_exchange *exchange = finished.first, *next; exchange; exchange = next) {
    next = exchange->next;
    deliver(exchange);
  }
}

/* With the lock held. */
static void wake(void) {
  if (engine.running && engine.asleep) curl_multi_wakeup(engine.work.multi);
  engine.asleep = false;
}

/* Takes what came in; false when it is time to stop. */
static bool take_in(void) {
  lock();
  bool goes_on = !engine.stopping;
  engine.asleep = false;
  chain arrived = take_all(&engine.work.inbox), ended = {0};
  if (engine.given_up) give_up_abandoned();
  if (engine.given_up) ended = take_given_up_programs();
  engine.given_up = false;
  unlock();
  end_programs(ended);
  chain failed = begin_all(arrived);
  lock();
  free_chain(ended);
  deliver_all(failed);
  unlock();
  return goes_on;
}

static void complete(CURL *easy, CURLcode result, chain *finished) {
  cp_transfer *transfer = cp_transfer_of(easy);
  cp_exchange *exchange = cp_transfer_owner(transfer);
  leave(&engine.work.active, exchange);
  cp_transfer_end(transfer, (int)result);
  release_transfer(exchange);
  append(finished, exchange);
}

/* Answers go out in batches: one lock and at most one signal for each port. */
static void give_out(void) {
  chain finished = {0};
  const CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(engine.work.multi, &left)))
    if (message->msg == CURLMSG_DONE)
      complete(message->easy_handle, message->data.result, &finished);
  tend_programs(&finished);
  if (!finished.first) return;
  lock();
  deliver_all(finished);
  unlock();
}

/* An exchange that its owner may still abandon is answered, not freed. Lock held. */
static void give_back(chain exchanges, cp_sent sent) {
  for (cp_exchange *exchange = exchanges.first, *next; exchange; exchange = next) {
    next = exchange->next;
    if (exchange->transfer) release_transfer(exchange);
    fail(exchange, sent, "the engine was stopped");
    deliver(exchange);
  }
}

static void clean_up(void) {
  end_programs(engine.work.programs);
  lock();
  give_back(take_all(&engine.work.programs), CP_SENT_MAYBE);
  give_back(take_all(&engine.work.active), CP_SENT_MAYBE);
  give_back(take_all(&engine.work.inbox), CP_SENT_NO);
  unlock();
  while (engine.work.idle_count)
    cp_transfer_free(engine.work.idle[--engine.work.idle_count]);
  curl_multi_cleanup(engine.work.multi);
  engine.work.multi = NULL;
}

/*
** Waits for libcurl's sockets, unless something came in meanwhile: who brings that
** wakes a sleeping thread only, since each wake-up costs both sides a few system calls.
*/
static void rest(void) {
  lock();
  bool busy = engine.work.inbox.first || engine.given_up || engine.stopping;
  engine.asleep = !busy;
  unlock();
  int limit = engine.work.programs.first ? TICK : LONG_POLL;
  if (!busy) curl_multi_poll(engine.work.multi, NULL, 0, limit, NULL);
}

static void *run(void *unused) {
  int under_way;
  while (take_in()) {
    curl_multi_perform(engine.work.multi, &under_way);
    give_out();
    rest();
  }
  clean_up();
  return unused;
}

/* Starting and stopping */

/* With the lock held: from here on no exchange is taken until the thread has ended. */
static bool begin_to_stop(void) {
  if (!engine.running || engine.stopping) return false;
  engine.stopping = true;
  wake();
  return true;
}

static void join(void) {
  pthread_join(engine.thread, NULL);
  lock();
  engine.running = engine.stopping = false;
  pthread_cond_broadcast(&engine.stopped);
  unlock();
}

/* A thread that outlived exit would run on in libraries that are being taken down. */
static void stop_at_exit(void) {
  lock();
  engine.exiting = true;
  while (engine.stopping) pthread_cond_wait(&engine.stopped, &engine.lock);
  bool ours = begin_to_stop();
  unlock();
  if (ours) join();
}

/* The child has no thread. What the parent had under way stays the parent's. */
static void start_over_in_child(void) {
  pthread_mutex_init(&engine.lock, NULL);
  pthread_cond_init(&engine.stopped, NULL);
  engine.generation++;
  engine.running = engine.stopping = engine.given_up = engine.asleep = false;
  engine.parents = engine.work;
  engine.work = (workshop){0};
}

/*
** atexit after libcurl's initialization, so that it runs before libcurl's and
** OpenSSL's.
*/
static bool prepare(void) {
  if (!engine.prepared) {
    cp_os_pin();
    engine.prepared = cp_transfer_global_init() && atexit(stop_at_exit) == 0;
  }
  return engine.prepared;
}

/* With the lock held. */
static bool start(void) {
  while (engine.stopping) pthread_cond_wait(&engine.stopped, &engine.lock);
  if (engine.running) return true;
  if (engine.exiting || !engine.notices_forks || !prepare()) return false;
  engine.work.multi = curl_multi_init();
  if (!engine.work.multi) return false;
  curl_multi_setopt(engine.work.multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS);
  engine.running = cp_os_thread(&engine.thread, run, NULL);
  if (engine.running) return true;
  curl_multi_cleanup(engine.work.multi);
  engine.work.multi = NULL;
  return false;
}

void cp_engine_enter(void) {
  lock();
  engine.states++;
  if (!engine.notices_forks)
    engine.notices_forks = pthread_atfork(lock, unlock, start_over_in_child) == 0;
  unlock();
}

unsigned long cp_engine_generation(void) {
  return engine.generation;
}

void cp_engine_leave(void) {
  lock();
  bool ours = --engine.states == 0 && begin_to_stop();
  unlock();
  if (ours) join();
}

/* What a client calls */

cp_port *cp_port_new(const cp_route *route) {
  cp_port *port = cp_calloc(sizeof *port);
  if (!port) return NULL;
  if (!cp_signal_open(&port->signal)) {
    cp_free(port);
    return NULL;
  }
  lock();
  port->generation = engine.generation;
  unlock();
  port->route = *route;
  return port;
}

/* Was the port made before a fork, by the parent? Then nothing will arrive here. */
static bool is_foreign(const cp_port *port) {
  return port->generation != engine.generation;
}

cp_route cp_port_leave(cp_port *port) {
  cp_route route = port->route;
  port->route = (cp_route){0};
  lock();
  unlink_port(port);
  unlock();
  free_port(port);
  return route;
}

/*
** A parent's exchanges can't be freed in the child: its thread was at them when it
** forked.
*/
void cp_port_close(cp_port *port) {
  lock();
  unlink_port(port);
  unlock();
  if (is_foreign(port)) {
    free_port(port);
    return;
  }
  lock();
  port->closed = true;
  port->exchanges++; /* so that the port stays until this is done with it */
  free_chain(take_all(&port->done));
  if (--port->exchanges == 0) {
    free_port(port);
  } else {
    engine.given_up = true;
    wake();
  }
  unlock();
}

/* With the lock held. */
static void set_leader(cp_port *port, cp_port *leader) {
  leave_leader(port);
  port->leader = leader;
  if (leader) port->next = leader->followers;
  if (leader) leader->followers = port;
}

/* What has arrived already rings as well: nobody else will tell of it. */
void cp_port_follow(cp_port *port, cp_port *leader) {
  lock();
  if (port->leader != leader) set_leader(port, leader);
  if (leader && leader->done.first) ring(port);
  unlock();
}

/* A parent's descriptor is not a forked child's to raise. */
void cp_port_ring(cp_port *port) {
  lock();
  if (!is_foreign(port)) ring(port);
  unlock();
}

const cp_signal *cp_port_signal(const cp_port *port) {
  return &port->signal;
}

static cp_exchange *new_exchange(cp_port *port, cp_request *request, void *owner) {
  cp_exchange *exchange = cp_calloc(sizeof *exchange);
  cp_answer *answer = cp_calloc(sizeof *answer);
  if (!exchange || !answer) {
    cp_free(exchange);
    cp_free(answer);
    return NULL;
  }
  *exchange =
      (cp_exchange){.port = port, .owner = owner, .request = *request, .answer = answer};
  *request = (cp_request){0};
  return exchange;
}

static bool hand_over(cp_exchange *exchange) {
  lock();
  bool ok = start();
  if (ok) {
    exchange->port->exchanges++;
    append(&engine.work.inbox, exchange);
    wake();
  }
  unlock();
  return ok;
}

cp_exchange *cp_port_submit(cp_port *port, cp_request *request, void *owner) {
  cp_exchange *exchange = new_exchange(port, request, owner);
  if (exchange && hand_over(exchange)) return exchange;
  if (exchange) *request = exchange->request;
  if (exchange) cp_free(exchange->answer);
  cp_free(exchange);
  cp_request_free(request);
  return NULL;
}

cp_answer *cp_port_take(cp_port *port, void **owner) {
  lock();
  if (port->raised) cp_signal_clear(&port->signal);
  port->raised = false;
  cp_exchange *exchange = port->done.first;
  cp_answer *answer = NULL;
  if (exchange) {
    leave(&port->done, exchange);
    answer = exchange->answer;
    *owner = exchange->owner;
    exchange->answer = NULL;
    free_exchange(exchange);
  }
  unlock();
  return answer;
}

/* It may have arrived meanwhile: then it lies in its port. */
void cp_exchange_abandon(cp_exchange *exchange) {
  lock();
  exchange->abandoned = true;
  exchange->owner = NULL;
  engine.given_up = true;
  wake();
  unlock();
}
