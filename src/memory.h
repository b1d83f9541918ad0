/*
** memory.h - the one seam to malloc, and text of bounded length
*/
#ifndef CP_MEMORY_H
#define CP_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

void *cp_calloc(size_t size);
void *cp_realloc(void *block, size_t size);
void cp_free(void *block);

/* A copy that ends in NUL; NULL when there is no memory or no `text`. */
char *cp_strdup(const char *text);
char *cp_strndup(const char *text, size_t length);

/* Overwrites memory in a way that the compiler may not leave out. */
void cp_wipe(void *block, size_t size);

/* Frees a text that was a secret; and a list of them, NULL after the last. */
void cp_free_secret(char *text);
void cp_free_secrets(char **texts);

/*
** Text that grows up to a limit. All zero is an empty text without a limit; `data` is
** NULL or ends in a NUL that `length` does not count. An addition that fails changes
** nothing.
*/
typedef struct cp_text {
  char *data;
  size_t length;
  size_t size;
  size_t limit; /* 0: none */
} cp_text;

/* Makes room for so much more at once: what grows leaves copies behind, a secret too. */
bool cp_text_reserve(cp_text *text, size_t more);

bool cp_text_add(cp_text *text, const void *data, size_t length);
bool cp_text_puts(cp_text *text, const char *string);
bool cp_text_putc(cp_text *text, char c);
bool cp_text_printf(cp_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cp_text_clear(cp_text *text);
void cp_text_free(cp_text *text);
void cp_text_free_secret(cp_text *text);

/* Puts asterisks over each place where the text holds `secret`, which is not empty. */
void cp_text_blot(cp_text *text, const char *secret);

/* The same for a secret however JSON or a URL may spell its characters. */
void cp_text_blot_spelled(cp_text *text, const char *secret);

/* Gives back what a text does not need; it stays as it is when that can't be done. */
void cp_text_shrink(cp_text *text);

/* The text itself, "" when there is none. */
const char *cp_text_get(const cp_text *text);

#endif
