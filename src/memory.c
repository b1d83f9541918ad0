/*
** memory.c - the one seam to malloc, and text of bounded length
*/
#include "memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *cp_calloc(size_t size) {
  return calloc(1, size);
}

void *cp_realloc(void *block, size_t size) {
  return realloc(block, size);
}

void cp_free(void *block) {
  free(block);
}

char *cp_strndup(const char *text, size_t length) {
  char *copy = text ? cp_calloc(length + 1) : NULL;
  if (copy) memcpy(copy, text, length);
  return copy;
}

char *cp_strdup(const char *text) {
  return text ? cp_strndup(text, strlen(text)) : NULL;
}

void cp_wipe(void *block, size_t size) {
  volatile unsigned char *byte = block;
  while (size--) *byte++ = 0;
}

void cp_free_secret(char *text) {
  if (text) cp_wipe(text, strlen(text));
  cp_free(text);
}

void cp_free_secrets(char **texts) {
  for (char **text = texts; text && *text; text++) cp_free_secret(*text);
  cp_free(texts);
}

bool cp_text_reserve(cp_text *text, size_t more) {
  if (more > SIZE_MAX / 2 - text->length - 1) return false;
  size_t needed = text->length + more + 1;
  if (text->limit && needed - 1 > text->limit) return false;
  if (needed <= text->size) return true;
  size_t size = text->size ? text->size : 64;
  while (size < needed) size *= 2;
  char *data = cp_realloc(text->data, size);
  if (!data) return false;
  text->data = data;
  text->size = size;
  text->data[text->length] = '\0';
  return true;
}

bool cp_text_add(cp_text *text, const void *data, size_t length) {
  if (!cp_text_reserve(text, length)) return false;
  if (length) memcpy(text->data + text->length, data, length);
  text->length += length;
  text->data[text->length] = '\0';
  return true;
}

bool cp_text_puts(cp_text *text, const char *string) {
  return cp_text_add(text, string, strlen(string));
}

bool cp_text_putc(cp_text *text, char c) {
  return cp_text_add(text, &c, 1);
}

bool cp_text_printf(cp_text *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (length < 0 || !cp_text_reserve(text, (size_t)length)) return false;
  va_start(arguments, format);
  vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
  va_end(arguments);
  text->length += (size_t)length;
  return true;
}

void cp_text_clear(cp_text *text) {
  text->length = 0;
  if (text->data) text->data[0] = '\0';
}

void cp_text_free(cp_text *text) {
  cp_free(text->data);
  *text = (cp_text){.limit = text->limit};
}

void cp_text_free_secret(cp_text *text) {
  if (text->data) cp_wipe(text->data, text->size);
  cp_text_free(text);
}

/* By length, since an answer may hold a NUL. */
static char *find(const cp_text *text, size_t from, const char *secret, size_t length) {
  for (; from + length <= text->length; from++) {
    char *at = memchr(text->data + from, secret[0], text->length - length + 1 - from);
    if (!at || memcmp(at, secret, length) == 0) return at;
    from = (size_t)(at - text->data);
  }
  return NULL;
}

/* Goes on behind what it has blotted: a secret may be asterisks itself. */
void cp_text_blot(cp_text *text, const char *secret) {
  size_t length = strlen(secret), from = 0;
  for (char *at; (at = find(text, from, secret, length)); memset(at, '*', length))
    from = (size_t)(at - text->data) + length;
}

static int hex(const char *at, int count) {
  int value = 0;
  for (; count > 0; count--, at++) {
    const char *digits = "0123456789ABCDEFabcdef", *found = strchr(digits, *at);
    if (!*at || !found) return -1;
    int digit = (int)(found - digits);
    value = value * 16 + (digit < 16 ? digit : digit - 6);
  }
  return value;
}

/* In how many bytes a text has this character: as it is, \/, \u002b or %2B; 0: not. */
static size_t spelled(const char *at, size_t left, char c) {
  if (*at == '\\' && left >= 6 && at[1] == 'u' && hex(at + 2, 4) == (unsigned char)c)
    return 6;
  if (*at == '\\' && left >= 2 && at[1] == c) return 2;
  if (*at == '%' && left >= 3 && hex(at + 1, 2) == (unsigned char)c) return 3;
  return *at == c;
}

static size_t spelled_all(const char *at, size_t left, const char *secret) {
  size_t used = 0;
  for (; *secret; secret++) {
    size_t length = used < left ? spelled(at + used, left - used, *secret) : 0;
    if (!length) return 0;
    used += length;
  }
  return used;
}

void cp_text_blot_spelled(cp_text *text, const char *secret) {
  cp_text_blot(text, secret);
  for (size_t i = 0, length; i < text->length; i += length ? length : 1) {
    length = spelled_all(text->data + i, text->length - i, secret);
    memset(text->data + i, '*', length);
  }
}

void cp_text_shrink(cp_text *text) {
  char *data = text->data ? cp_realloc(text->data, text->length + 1) : NULL;
  if (!data) return;
  text->data = data;
  text->size = text->length + 1;
}

const char *cp_text_get(const cp_text *text) {
  return text->data ? text->data : "";
}
