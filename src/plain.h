/*
** plain.h - somebody else's words as plain text: HTML without markup, many lines as one
*/
#ifndef CP_PLAIN_H
#define CP_PLAIN_H

#include <stddef.h>

/* The dots at the end of a line that was cut, in bytes. */
#define CP_LINE_EXTRA 3

/*
** Writes HTML as plain text to `plain`, which holds `length` bytes: no tags, entities
** decoded, blanks folded. Gives the number of bytes written; there is no NUL.
*/
size_t cp_plain(const char *html, size_t length, char *plain);

/*
** Writes text as one line to `line`, which holds `limit` + CP_LINE_EXTRA bytes: control
** characters become blanks, and what is over the limit dots. Gives the length written.
*/
size_t cp_line(const char *text, size_t length, size_t limit, char *line);

#endif
