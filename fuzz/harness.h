/*
** harness.h - what the fuzz targets share
*/
#ifndef CP_FUZZ_HARNESS_H
#define CP_FUZZ_HARNESS_H

#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../src/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In a block of just its size, so that the sanitizer sees the first byte read beyond. */
static inline cp_text exact_text(const void *data, size_t length) {
  char *copy = malloc(length + 1);
  assert(copy);
  if (length) memcpy(copy, data, length);
  copy[length] = '\0';
  return (cp_text){.data = copy, .length = length, .size = length + 1};
}

/* The same without the NUL, for what is told the length and must not look for one. */
static inline cp_text exact_bytes(const void *data, size_t length) {
  char *copy = malloc(length);
  assert(copy || !length);
  if (length) memcpy(copy, data, length);
  return (cp_text){.data = copy, .length = length, .size = length};
}

static inline bool is_control(char c) {
  return (unsigned char)c < ' ' || c == 0x7f;
}

static inline bool has_control(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (is_control(text[i])) return true;
  return false;
}

#endif
