/*
** pass.c - what a pass over a JSON text costs that only finds where each value ends
** usage: pass FILE ROUNDS
** Prints the medians of copying the text by memcpy, and of that pass, in microseconds.
*/
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../src/json.h"

#define ROUNDS_MAX 1000
#define TEXT_MAX   (16 * 1024 * 1024)

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void pass(const char *text, size_t length, char *copy) {
  cp_json json;
  (void)copy;
  cp_json_begin(&json, text, length);
  if (!cp_json_skip(&json) || !cp_json_ended(&json)) exit(1);
}

static void copy_text(const char *text, size_t length, char *copy) {
  memcpy(copy, text, length);
  if (copy[length / 2] != text[length / 2]) exit(1);
}

static double median_of(void (*f)(const char *, size_t, char *), const char *text,
                        size_t length, int rounds) {
  static double took[ROUNDS_MAX];
  char *copy = calloc(1, length);
  if (!copy) exit(1);
  for (int i = 0; i < rounds; i++) {
    double began = microseconds();
    f(text, length, copy);
    took[i] = microseconds() - began;
  }
  free(copy);
  qsort(took, (size_t)rounds, sizeof *took, by_size);
  return took[rounds / 2];
}

int main(int words, char **word) {
  int rounds = words == 3 ? atoi(word[2]) : 0;
  FILE *file = words == 3 ? fopen(word[1], "rb") : NULL;
  char *text = malloc(TEXT_MAX);
  if (!file || !text || rounds < 1 || rounds > ROUNDS_MAX) return 2;
  size_t length = fread(text, 1, TEXT_MAX, file);
  fclose(file);
  printf("%.1f\n", median_of(copy_text, text, length, rounds));
  printf("%.1f\n", median_of(pass, text, length, rounds));
  free(text);
  return 0;
}
