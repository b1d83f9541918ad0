/*
** main.c - so many go-lives, and the shortest trace of the first that goes wrong
*/
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"

static const char usage[] =
    "usage: simulate [-n COUNT] [-f FIRST] [-s SEED] [-c CHECK] [-q]\n"
    "Runs go-lives through the machines of cloudpartner, against a simulated service.\n"
    "  -n COUNT   so many, each with a seed of its own (100000)\n"
    "  -f FIRST   the first seed (1)\n"
    "  -s SEED    that one only, with its trace\n"
    "  -c CHECK   that check only\n"
    "  -q         without figures and trace\n"
    "What the model holds for certain:\n"
    "  429, 503 with a delay, and 4xx never come after a submission was taken.\n"
    "  Nobody else submits the same kind between the list read and the look-up, but a\n"
    "  rival whom the list shows whenever it shows ours, where nothing is adopted.\n"
    "  What was taken is in the list after `reconcile` seconds, and before a process\n"
    "  that adopts starts anew. An older one of the same kind began more than a minute\n"
    "  before the job. Processes of one job share a clock, which may be wrong.\n"
    "  What is forgotten by the service belongs to a job that does not adopt.\n"
    "  A nameless URL tells of the offer's newest operation, or for once of the one\n"
    "  before; that offer has no newer operation during the wait. An operation is late\n"
    "  by 20 seconds at most, in the list and at its URL. An answer without a Date, and\n"
    "  a wall clock that is set, come only where the clocks agree, and during a wait.\n"
    "Checks:\n";

typedef struct options {
  unsigned long count, first;
  bool replays, quiet;
  check only;
} options;

static void show_usage(FILE *out) {
  fputs(usage, out);
  for (check which = CHECK_NONE + 1; which < CHECK_COUNT; which++)
    fprintf(out, "  %-15s %s\n", check_id(which), check_text(which));
}

static unsigned long read_number(const char *text) {
  char *end = NULL;
  unsigned long number = text ? strtoul(text, &end, 10) : 0;
  if (text && *text && !*end) return number;
  show_usage(stderr);
  exit(2);
}

static check read_check(const char *text) {
  check which = text ? check_named(text) : CHECK_NONE;
  if (which != CHECK_NONE) return which;
  show_usage(stderr);
  exit(2);
}

static options read_options(int count, char **arguments) {
  options given = {.count = 100000, .first = 1};
  for (int i = 1; i < count; i++) {
    const char *name = arguments[i];
    if (strcmp(name, "-q") == 0) {
      given.quiet = true;
    } else if (strcmp(name, "-n") == 0) {
      given.count = read_number(arguments[++i]);
    } else if (strcmp(name, "-f") == 0) {
      given.first = read_number(arguments[++i]);
    } else if (strcmp(name, "-c") == 0) {
      given.only = read_check(arguments[++i]);
    } else if (strcmp(name, "-s") == 0) {
      given.first = read_number(arguments[++i]);
      given.replays = true;
    } else {
      bool asked = strcmp(name, "--help") == 0;
      show_usage(asked ? stdout : stderr);
      exit(asked ? 0 : 2);
    }
  }
  return given;
}

/* The shortest trace */

static sim state;
static coverage covered, ignored;

static bool fails_so(sim *of, uint64_t seed, const fault_set *off, check which) {
  sim_run(of, seed, off);
  return of->failed == which;
}

/* One round: each fault that struck is left out for good, if it is not needed. */
static bool shrink_once(sim *of, uint64_t seed, fault_set *off, check which) {
  fault_set struck = of->faults.struck;
  bool shorter = false;
  for (size_t i = struck.count; i-- > 0 && off->count < FAULTS_KEPT;) {
    off->at[off->count++] = struck.at[i];
    if (fails_so(of, seed, off, which))
      shorter = true;
    else
      off->count--;
  }
  fails_so(of, seed, off, which);
  return shorter;
}

/* An operation that is over earlier is polled less often. */
static void hurry(sim *of, uint64_t seed, const fault_set *off, check which) {
  double pace = of->pace;
  do pace *= 2;
  while (pace < 10000 && (of->pace = pace, fails_so(of, seed, off, which)));
  of->pace = pace / 2;
  fails_so(of, seed, off, which);
}

static void show_shortest(sim *of, uint64_t seed) {
  fault_set off = {.count = 0};
  check which = of->failed;
  of->covered = &ignored;
  do hurry(of, seed, &off, which);
  while (shrink_once(of, seed, &off, which));
  of->trace = stdout;
  fails_so(of, seed, &off, which);
  of->trace = NULL;
  printf("faults that are needed:");
  for (size_t i = 0; i < of->faults.struck.count; i++)
    printf("%s %s", i ? "," : "", fault_text(of->faults.struck.at[i].which));
  putchar('\n');
}

static void show_failure(sim *of, uint64_t seed, bool traces) {
  printf("violation %s: %s\nseed %llu\n", check_id(of->failed), check_text(of->failed),
         (unsigned long long)seed);
  if (!traces) return;
  puts("its shortest trace:");
  show_shortest(of, seed);
}

/* What was covered */

static void show(const char *text, unsigned long count) {
  printf("  %9lu  %s\n", count, text);
}

static void show_codes(const char *title, const unsigned long *codes) {
  printf("%s\n", title);
  for (cp_code code = CP_CODE_NONE; code <= CP_CODE_CANCELED; code++)
    if (codes[code])
      show(code == CP_CODE_NONE ? "success" : cp_code_name(code), codes[code]);
}

static void show_faults(const sim *of) {
  puts("faults struck");
  for (fault which = 0; which < FAULT_COUNT; which++)
    show(fault_text(which), of->faults.counts[which]);
}

static void show_jobs(const coverage *all) {
  puts("jobs");
  for (cp_kind kind = CP_GOLIVE; kind <= CP_CANCEL; kind++)
    show(cp_kind_name(kind), all->kinds[kind]);
  show("processes", all->processes);
  show("exchanges", all->exchanges);
  show("polls among them", all->polls);
  show("exchanges within an outage", all->in_outage);
  show("tokens renewed after a 401", all->renewed);
  show("exchanges given up at their limit", all->given_up);
  show("submissions taken", all->taken);
  show("operations adopted", all->adopted);
  show("older ones adopted, as asked for", all->adopted_older);
  show("ambiguous between several", all->several);
  show("waits at a nameless URL", all->nameless);
}

static void show_crashes(const coverage *all) {
  puts("crashes");
  for (point which = 0; which < POINT_COUNT; which++)
    show(point_text(which), all->crashes[which]);
  show("resumed by an intent", all->resumed_intent);
  show("resumed by adopting", all->resumed_adopt);
  show("resumed by the operation", all->resumed_operation);
  show("by its URL only", all->resumed_url);
}

static void show_coverage(const sim *of, const coverage *all) {
  show_faults(of);
  show_jobs(all);
  show_crashes(all);
  show_codes("submissions ended in", all->submit_codes);
  show_codes("waits ended in", all->wait_codes);
}

static double seconds_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int replay(unsigned long seed) {
  state.trace = stdout;
  sim_run(&state, seed, NULL);
  state.trace = NULL;
  if (state.failed != CHECK_NONE) show_failure(&state, seed, true);
  return state.failed != CHECK_NONE;
}

int main(int count, char **arguments) {
  options given = read_options(count, arguments);
  double began = seconds_now();
  unsigned long done = 0;
  bool failed = false;
  state.covered = &covered;
  state.pace = 1;
  state.only = given.only;
  if (given.replays) return replay(given.first);
  for (; done < given.count && !failed; done++) {
    sim_run(&state, given.first + done, NULL);
    failed = state.failed != CHECK_NONE;
  }
  if (!given.quiet) show_coverage(&state, &covered);
  if (failed) show_failure(&state, given.first + done - 1, !given.quiet);
  printf("%lu go-lives, %d violations, %.1f s\n%d passed, %d failed\n", done, failed,
         seconds_now() - began, !failed, failed);
  return failed;
}
