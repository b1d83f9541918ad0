/*
** chance.c - random numbers that depend on nothing but what they are for
*/
#include "chance.h"

/* The finalizer of splitmix64 (Steele, Lea, Flood: Fast splittable PRNGs, 2014). */
static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

double chance(uint64_t seed, unsigned stream, unsigned index) {
  uint64_t place = (uint64_t)stream << 32 | index;
  uint64_t x = mix(mix(seed + 0x9e3779b97f4a7c15u) ^ (place * 0x9e3779b97f4a7c15u));
  return (double)(x >> 11) * 0x1p-53;
}
