/*
** tasks.c - what is under way: machines, a heap of timers, the client's queue
*/
#include "tasks.h"

#include <math.h>
#include <string.h>

#include "document.h"

/* Lists */

static void append(cp_list *list, cp_task *task) {
  task->list = list;
  task->previous = list->last;
  task->next = NULL;
  *(list->last ? &list->last->next : &list->first) = task;
  list->last = task;
}

static void leave_list(cp_task *task) {
  cp_list *list = task->list;
  if (!list) return;
  *(task->previous ? &task->previous->next : &list->first) = task->next;
  *(task->next ? &task->next->previous : &list->last) = task->previous;
  task->list = NULL;
}

/* The heap of timers: the parent of place i is i / 2, counted from 1 */

static cp_task **place(cp_tasks *tasks, size_t i) {
  return &tasks->heap[i - 1];
}

static void put(cp_tasks *tasks, size_t i, cp_task *task) {
  *place(tasks, i) = task;
  task->timer = i;
}

static void rise(cp_tasks *tasks, size_t i, cp_task *task) {
  for (; i > 1 && (*place(tasks, i / 2))->key > task->key; i /= 2)
    put(tasks, i, *place(tasks, i / 2));
  put(tasks, i, task);
}

static size_t smaller_child(cp_tasks *tasks, size_t i) {
  size_t child = 2 * i;
  bool right = child < tasks->heap_count &&
               (*place(tasks, child + 1))->key < (*place(tasks, child))->key;
  return child + right;
}

static void sink(cp_tasks *tasks, size_t i, cp_task *task) {
  while (2 * i <= tasks->heap_count) {
    size_t child = smaller_child(tasks, i);
    if ((*place(tasks, child))->key >= task->key) break;
    put(tasks, i, *place(tasks, child));
    i = child;
  }
  put(tasks, i, task);
}

/*
** Memory for a timer of each open task is taken when the task is added, so this can't
** fail.
*/
static void set_timer(cp_tasks *tasks, cp_task *task, double key) {
  task->key = key;
  if (key < INFINITY) rise(tasks, ++tasks->heap_count, task);
}

static void clear_timer(cp_tasks *tasks, cp_task *task) {
  size_t hole = task->timer;
  if (hole == 0) return;
  task->timer = 0;
  cp_task *last = *place(tasks, tasks->heap_count--);
  if (last == task) return;
  if (hole > 1 && (*place(tasks, hole / 2))->key > last->key)
    rise(tasks, hole, last);
  else
    sink(tasks, hole, last);
}

static bool reserve_timers(cp_tasks *tasks, size_t count) {
  if (count <= tasks->heap_size) return true;
  size_t size = tasks->heap_size ? tasks->heap_size * 2 : 16;
  cp_task **heap = cp_realloc(tasks->heap, size * sizeof *heap);
  if (!heap) return false;
  tasks->heap = heap;
  tasks->heap_size = size;
  return true;
}

/* The container */

static void make_ready(cp_tasks *tasks, cp_task *task) {
  clear_timer(tasks, task);
  leave_list(task);
  if (!task->driven) append(&tasks->ready, task);
}

bool cp_tasks_add(cp_tasks *tasks, cp_task *task) {
  if (!reserve_timers(tasks, tasks->open + 1)) return false;
  tasks->open++;
  make_ready(tasks, task);
  return true;
}

void cp_tasks_free(cp_tasks *tasks) {
  cp_free(tasks->heap);
  *tasks = (cp_tasks){0};
}

void cp_tasks_wake(cp_tasks *tasks, double now) {
  while (tasks->heap_count && (*place(tasks, 1))->key <= now)
    make_ready(tasks, *place(tasks, 1));
}

/* A place for an exchange goes to a submission first. */
static void admit(cp_tasks *tasks) {
  while (tasks->in_flight < tasks->places) {
    cp_task *task =
        tasks->submissions.first ? tasks->submissions.first : tasks->others.first;
    if (!task) return;
    tasks->in_flight++;
    task->holds_place = true;
    task->stage = CP_STAGE_ADMITTED;
    make_ready(tasks, task);
  }
}

/*
** A place is given away when all that can be thought has been: a submission that has just
** read its list goes on before a read that waited longer.
*/
cp_task *cp_tasks_next(cp_tasks *tasks) {
  if (!tasks->ready.first) admit(tasks);
  cp_task *task = tasks->ready.first;
  if (!task) return NULL;
  leave_list(task);
  task->driven = true;
  return task;
}

double cp_tasks_timeout(const cp_tasks *tasks, double now) {
  bool queued = tasks->submissions.first || tasks->others.first;
  if (tasks->ready.first || (queued && tasks->in_flight < tasks->places)) return 0;
  return tasks->heap_count ? fmax(tasks->heap[0]->key - now, 0) : -1;
}

/* A task's way */

static void forget(cp_answer **answer) {
  if (*answer) cp_answer_free(*answer);
  cp_free(*answer);
  *answer = NULL;
}

static bool writes(const cp_task *task) {
  return cp_api_writes(task->todo.as.send.endpoint);
}

/* What a submission was answered stays beside what the list says afterwards. */
static void replace_answer(cp_task *task, cp_answer *answer) {
  cp_answer **old = task->of_post ? &task->posted : &task->answer;
  forget(old);
  if (task->of_post) task->posted = task->answer;
  task->answer = answer;
  task->of_post = writes(task);
}

/* A part of the whole begins: nothing of it was sent yet, but what is polled was. */
static void begin_anew(cp_task *task) {
  bool polls = task->todo.as.send.endpoint == CP_ENDPOINT_POLL;
  forget(&task->answer);
  forget(&task->posted);
  task->of_post = false;
  cp_text_clear(&task->left_out);
  task->sent = polls ? CP_SENT_YES : CP_SENT_NO;
}

const cp_answer *cp_task_spoken(const cp_task *task) {
  return task->posted && !task->of_post ? task->posted : task->answer;
}

const cp_submission *cp_task_submission(const cp_task *task) {
  if (task->machine == &cp_submission_machine) return &task->as.submission;
  return task->machine == &cp_release_machine ? cp_release_submission(&task->as.release)
                                              : NULL;
}

static void give_place_back(cp_tasks *tasks, cp_task *task) {
  if (task->holds_place) tasks->in_flight--;
  task->holds_place = false;
}

static void detach(cp_tasks *tasks, cp_task *task) {
  clear_timer(tasks, task);
  leave_list(task);
  give_place_back(tasks, task);
}

static void leave_group(cp_tasks *tasks, cp_task *group) {
  if (!group || --group->as.group.open || group->stage == CP_STAGE_ENDED) return;
  make_ready(tasks, group);
}

static void end(cp_tasks *tasks, cp_task *task, const cp_outcome *outcome) {
  if (task->stage == CP_STAGE_ENDED) return;
  detach(tasks, task);
  task->outcome = *outcome;
  task->stage = CP_STAGE_ENDED;
  tasks->open--;
  tasks->news++;
  leave_group(tasks, task->group);
}

void cp_task_end(cp_tasks *tasks, cp_task *task, cp_code code) {
  end(tasks, task, &(cp_outcome){.code = code, .sent = task->sent});
}

void cp_task_free(cp_tasks *tasks, cp_task *task) {
  cp_task_end(tasks, task, CP_CODE_CANCELED);
  if (task->machine && task->machine->release) task->machine->release(&task->as);
  forget(&task->answer);
  forget(&task->posted);
  cp_text_free(&task->document);
  cp_text_free(&task->left_out);
  cp_operation_free(&task->operation);
  cp_free(task->argument);
  cp_free(task->body);
  cp_free(task->if_match);
  cp_free(task->etag);
  cp_free_secret(task->headers);
  *task = (cp_task){.stage = CP_STAGE_ENDED};
}

/* A machine that keeps the time does more at the deadline than to end. */
static double deadline(const cp_task *task) {
  const cp_machine *machine = task->machine;
  bool keeps_time = machine->keeps_time && machine->keeps_time(&task->as);
  return keeps_time ? INFINITY : task->deadline;
}

/* From here on whoever comes first may drive it, once it is ready again. */
static cp_want park(cp_tasks *tasks, cp_task *task, double key) {
  task->driven = false;
  clear_timer(tasks, task);
  set_timer(tasks, task, fmin(key, deadline(task)));
  return CP_WANT_NOTHING;
}

/* What a submission reads before and after its POST is as urgent as that. */
static void enqueue(cp_tasks *tasks, cp_task *task) {
  bool first = cp_task_submission(task) || task->machine == &cp_put_machine;
  task->stage = CP_STAGE_QUEUED;
  append(first ? &tasks->submissions : &tasks->others, task);
}

/* When the exchange is given up, whether it was queued or in flight. */
static double send_limit(const cp_task *task) {
  return task->todo.as.send.limit > 0 ? task->todo.as.send.limit : INFINITY;
}

static void end_by_machine(cp_tasks *tasks, cp_task *task) {
  bool failed = task->todo.kind == CP_TODO_FAILED;
  cp_outcome outcome = {.sent = task->sent};
  if (failed)
    outcome = (cp_outcome){.code = task->todo.as.failed.code,
                           .sent = task->todo.as.failed.sent,
                           .of_answer = task->todo.as.failed.of_answer,
                           .no_memory = task->todo.as.failed.code == CP_CODE_NONE};
  end(tasks, task, &outcome);
}

static cp_want end_by_deadline(cp_tasks *tasks, cp_task *task) {
  const cp_machine *machine = task->machine;
  if (machine->is_decided && machine->is_decided(&task->as, &task->todo))
    end_by_machine(tasks, task);
  else
    cp_task_end(tasks, task, CP_CODE_DEADLINE);
  return CP_WANT_END;
}

static cp_want think(cp_tasks *tasks, cp_task *task, const cp_clock *clock) {
  task->machine->next(&task->as, clock, &task->todo);
  bool goes_on = task->todo.kind == CP_TODO_SEND || task->todo.kind == CP_TODO_WAIT;
  if (goes_on && clock->now >= deadline(task)) return end_by_deadline(tasks, task);
  switch (task->todo.kind) {
    case CP_TODO_SEND:
      if (task->todo.as.send.anew) begin_anew(task);
      enqueue(tasks, task);
      return park(tasks, task, send_limit(task));
    case CP_TODO_WAIT: task->stage = CP_STAGE_PAUSE; return CP_WANT_MORE;
    case CP_TODO_CALL: return CP_WANT_CALL;
    default: end_by_machine(tasks, task); return CP_WANT_END;
  }
}

/* Goes on to `after`, with an event on the way when somebody wants it. */
static cp_want tell(const cp_tasks *tasks, cp_task *task, cp_event event,
                    cp_stage after) {
  task->stage = after;
  task->event = event;
  return tasks->logs ? CP_WANT_LOG : CP_WANT_MORE;
}

static cp_want pause(const cp_tasks *tasks, cp_task *task) {
  static const cp_event events[] = {[CP_BEFORE_RETRY] = CP_EVENT_RETRY,
                                    [CP_BEFORE_POLL] = CP_EVENT_POLL,
                                    [CP_BEFORE_LOOK_UP] = CP_EVENT_RECONCILE};
  if (task->todo.as.wait.reason == CP_BEFORE_LAST) {
    task->stage = CP_STAGE_LIE_DOWN;
    return CP_WANT_MORE;
  }
  return tell(tasks, task, events[task->todo.as.wait.reason], CP_STAGE_LIE_DOWN);
}

static cp_want lie_down(cp_tasks *tasks, cp_task *task) {
  task->stage = CP_STAGE_ASLEEP;
  return park(tasks, task, task->todo.as.wait.until);
}

/*
** `sent` speaks of what the call was made for: of a submission, not of the list that is
** read before it. What a wait follows was sent long ago.
*/
static void note_sent(cp_task *task, cp_sent sent) {
  if (writes(task) || task->machine == &cp_read_machine) task->sent = sent;
}

static cp_want launch(cp_task *task, const cp_clock *clock) {
  task->stage = CP_STAGE_FLIGHT;
  task->launched = clock->now;
  note_sent(task, CP_SENT_MAYBE);
  return CP_WANT_EXCHANGE;
}

/* An answer that has come is never given up for a deadline that has passed meanwhile. */
static bool may_be_ended(const cp_task *task) {
  return task->stage != CP_STAGE_THINK && task->stage != CP_STAGE_ANSWERED &&
         task->stage != CP_STAGE_DIGEST && task->stage != CP_STAGE_ENDED;
}

static cp_want await_answer(cp_tasks *tasks, cp_task *task, const cp_clock *clock) {
  if (clock->now >= send_limit(task)) return CP_WANT_GIVE_UP;
  if (task->stage == CP_STAGE_QUEUED && !task->list) enqueue(tasks, task);
  return park(tasks, task, send_limit(task));
}

static cp_want want_token(cp_task *task, const cp_clock *clock) {
  if (clock->now >= send_limit(task)) return CP_WANT_GIVE_UP;
  task->stage = CP_STAGE_REQUEST;
  return CP_WANT_TOKEN;
}

static cp_want advance(cp_tasks *tasks, cp_task *task, const cp_clock *clock) {
  switch (task->stage) {
    case CP_STAGE_ASLEEP: task->stage = CP_STAGE_THINK; return CP_WANT_MORE;
    case CP_STAGE_THINK: return think(tasks, task, clock);
    case CP_STAGE_ADMITTED: return want_token(task, clock);
    case CP_STAGE_REQUEST: return tell(tasks, task, CP_EVENT_REQUEST, CP_STAGE_LAUNCH);
    case CP_STAGE_LAUNCH: return launch(task, clock);
    case CP_STAGE_QUEUED: return await_answer(tasks, task, clock);
    case CP_STAGE_FLIGHT: return await_answer(tasks, task, clock);
    case CP_STAGE_ANSWERED: return tell(tasks, task, CP_EVENT_ANSWER, CP_STAGE_DIGEST);
    case CP_STAGE_DIGEST: return CP_WANT_DIGEST;
    case CP_STAGE_PAUSE: return pause(tasks, task);
    case CP_STAGE_LIE_DOWN: return lie_down(tasks, task);
    case CP_STAGE_ENDED: return CP_WANT_END;
  }
  return CP_WANT_NOTHING;
}

cp_want cp_task_advance(cp_tasks *tasks, cp_task *task, const cp_clock *clock) {
  cp_want want;
  if (may_be_ended(task) && clock->now >= deadline(task))
    return end_by_deadline(tasks, task);
  do want = advance(tasks, task, clock);
  while (want == CP_WANT_MORE);
  return want;
}

void cp_task_await_token(cp_tasks *tasks, cp_task *task, double until) {
  task->stage = CP_STAGE_ADMITTED;
  task->token_news = CP_NEWS_NONE;
  append(&tasks->tokenless, task);
  park(tasks, task, fmin(until, send_limit(task)));
}

bool cp_tasks_tell_token(cp_tasks *tasks, cp_token_news news) {
  bool any = tasks->tokenless.first != NULL;
  while (tasks->tokenless.first) {
    tasks->tokenless.first->token_news = news;
    make_ready(tasks, tasks->tokenless.first);
  }
  return any;
}

void cp_task_leave(cp_tasks *tasks, cp_task *task) {
  task->driven = false;
  make_ready(tasks, task);
}

void cp_task_answered(cp_tasks *tasks, cp_task *task, cp_answer *answer) {
  if (task->stage == CP_STAGE_ENDED) { /* while its driver was out: it stays ended */
    cp_answer_free(answer);
    cp_free(answer);
    return;
  }
  replace_answer(task, answer);
  note_sent(task, answer->sent);
  task->stage = CP_STAGE_ANSWERED;
  give_place_back(tasks, task);
  make_ready(tasks, task);
}

/* The same bytes mean the same: a document that comes again is not read again. */
static bool is_unchanged(const cp_task *task, const cp_text *body) {
  return body->length && task->document.length == body->length &&
         memcmp(task->document.data, body->data, body->length) == 0;
}

/* Keeps the document that was understood, and what it said. */
static void keep_document(cp_task *task, const cp_digest *digest) {
  cp_text_free(&task->document);
  task->document = task->answer->body;
  task->answer->body = (cp_text){0};
  cp_text_shrink(&task->document); /* it may lie here for days, and many beside it */
  task->state = digest->state;
  task->blocked = digest->blocked;
}

static void digest_status(cp_task *task, cp_document document, cp_digest *digest) {
  if (is_unchanged(task, &task->answer->body)) {
    digest->understood = true;
    digest->state = task->state;
    digest->blocked = task->blocked;
    return;
  }
  cp_document_digest(document, &task->answer->body, digest);
  digest->changed = digest->understood;
  if (digest->understood) keep_document(task, digest);
}

/* Is this one read by users as it came, from the answer? */
static bool stays_in_answer(cp_document document) {
  return document == CP_DOC_LIST || document == CP_DOC_ARRAY || document == CP_DOC_OFFER;
}

static void digest_document(cp_task *task, cp_document document, cp_digest *digest) {
  if (cp_code_of(digest) != CP_CODE_NONE) return;
  if (stays_in_answer(document))
    cp_document_digest(document, &task->answer->body, digest);
  else if (document != CP_DOC_NONE)
    digest_status(task, document, digest);
}

bool cp_is_etag(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) return false;
  return length > 0;
}

/* Of the offer in the answer; one that brings none has none that is known. */
static void keep_etag(cp_task *task, cp_digest *digest) {
  cp_free(task->etag);
  task->etag = NULL;
  bool good = cp_code_of(digest) == CP_CODE_NONE && digest->etag;
  if (!good || !cp_is_etag(digest->etag, digest->etag_length)) return;
  task->etag = cp_calloc(digest->etag_length + 1);
  if (task->etag)
    memcpy(task->etag, digest->etag, digest->etag_length);
  else
    digest->understood = false;
}

/* When the answer came: it may have lain long until somebody stepped. */
static double arrival(const cp_task *task, const cp_clock *clock) {
  return clock->wall - fmax(clock->now - task->launched - task->answer->seconds, 0);
}

/*
** A status that was understood needs no answer any more; it may be long until the next.
*/
void cp_task_digest(cp_task *task, const cp_clock *clock) {
  cp_digest digest;
  cp_document document = cp_api_document(task->todo.as.send.endpoint);
  cp_digest_headers(task->answer, arrival(task, clock), &digest);
  digest.body = &task->answer->body;
  digest_document(task, document, &digest);
  if (document == CP_DOC_OFFER) keep_etag(task, &digest);
  if (task->of_post || !task->posted) task->hint = digest.retry_after;
  task->renewed = false;
  task->stage = CP_STAGE_THINK;
  task->machine->take(&task->as, clock, &digest);
  if (digest.understood && !stays_in_answer(document)) forget(&task->answer);
  cp_digest_free(&digest);
}

void cp_task_send_again(cp_tasks *tasks, cp_task *task) {
  task->renewed = true;
  enqueue(tasks, task);
  park(tasks, task, send_limit(task));
}
