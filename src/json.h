/*
** json.h - a strict reader of JSON text (RFC 8259) that builds nothing
** It walks over a text once and copies nothing. What it takes, lua-cjson takes too: so
** what a machine understood can be shown to a user.
*/
#ifndef CP_JSON_H
#define CP_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* The deepest nesting that is read: lua-cjson's own limit. */
#define CP_JSON_DEPTH 1000

/* A reader: where it is. Once `bad`, it reads nothing more. */
typedef struct cp_json {
  const char *at, *end;
  int depth;
  bool bad;
} cp_json;

/* A string of the text, between its quotes, as it stands there. */
typedef struct cp_json_text {
  const char *at;
  size_t length;
  bool escaped;
} cp_json_text;

void cp_json_begin(cp_json *json, const char *text, size_t length);

/* The first character of the next value; '\0' at the end or when the text is bad. */
char cp_json_peek(cp_json *json);

/*
** for (bool more = cp_json_open(json, '{'); more; more = cp_json_more(json, '}')) ...
** walks over the members of an object, or with '[' and ']' over the elements of an array.
** Each round must read a member's key and value, or an element.
*/
bool cp_json_open(cp_json *json, char bracket);
bool cp_json_more(cp_json *json, char bracket);

/* Reads a member's key and its colon. */
bool cp_json_key(cp_json *json, cp_json_text *key);

/* Reads a value that is a string. */
bool cp_json_string(cp_json *json, cp_json_text *string);

/*
** Reads a value; `*count` is it when it is an integer of up to `digits` digits, else -1.
** Over 15 digits it is the nearest double.
*/
bool cp_json_count(cp_json *json, int digits, double *count);

/* Reads over a value of any kind. */
bool cp_json_skip(cp_json *json);

/* Was that the whole text, and all of it good? */
bool cp_json_ended(cp_json *json);

/*
** Writes a string without its escapes to `plain`, which holds its length; gives the new
** one.
*/
size_t cp_json_unescape(const cp_json_text *string, char *plain);

/* Is this text UTF-8 (RFC 3629)? The reader lets anything pass, as lua-cjson does. */
bool cp_is_utf8(const char *text, size_t length);

/* Is this string, without its escapes, the same as `name`? */
bool cp_json_is(const cp_json_text *string, const char *name);

#endif
