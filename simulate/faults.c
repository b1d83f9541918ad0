/*
** faults.c - what can go wrong, and what did
*/
#include "faults.h"

static const char *const texts[] = {
#define X(name, text) [FAULT_##name] = (text),
    FAULTS(X)
#undef X
};

const char *fault_text(fault which) {
  return texts[which];
}

void faults_begin(faults *all, uint64_t seed, const fault_set *off) {
  all->seed = seed;
  all->off = off;
  all->struck.count = 0;
}

static bool is_off(const fault_set *off, fault which, unsigned index) {
  for (size_t i = 0; off && i < off->count; i++)
    if (off->at[i].which == which && off->at[i].index == index) return true;
  return false;
}

bool fault_is_on(faults *all, fault which, unsigned index) {
  if (is_off(all->off, which, index)) return false;
  all->counts[which]++;
  if (all->struck.count < FAULTS_KEPT)
    all->struck.at[all->struck.count++] = (fault_at){which, index};
  return true;
}

bool fault_strikes(faults *all, fault which, unsigned index, double probability) {
  return chance(all->seed, which, index) < probability && fault_is_on(all, which, index);
}

double fault_draw(const faults *all, draw what, unsigned index) {
  return chance(all->seed, what, index);
}

unsigned fault_pick(const faults *all, draw what, unsigned index, unsigned count) {
  return (unsigned)(fault_draw(all, what, index) * count);
}
