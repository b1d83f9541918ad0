/*
** error.c - the one error there is: its code, and the sentence made of it
*/
#include "error.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {[CP_CODE_NONE] = "none",
#define X(constant, name, advice) [CP_CODE_##constant] = (name),
                                    CP_CODES(X)
#undef X
};

static const char *const advices[] = {[CP_CODE_NONE] = "",
#define X(constant, name, advice) [CP_CODE_##constant] = (advice),
                                      CP_CODES(X)
#undef X
};

static const cp_code of_failure[] = {
    [CP_FAIL_NONE] = CP_CODE_NONE,
    [CP_FAIL_RESOLVE] = CP_CODE_RESOLVE,
    [CP_FAIL_CONNECT] = CP_CODE_CONNECT,
    [CP_FAIL_TLS] = CP_CODE_TLS,
    [CP_FAIL_TIMEOUT] = CP_CODE_TIMEOUT,
    [CP_FAIL_NETWORK] = CP_CODE_NETWORK,
    [CP_FAIL_PROTOCOL] = CP_CODE_PROTOCOL,
    [CP_FAIL_TOO_LARGE] = CP_CODE_TOO_LARGE,
    [CP_FAIL_UNTRUSTED_URL] = CP_CODE_UNTRUSTED_URL,
    [CP_FAIL_CREDENTIAL] = CP_CODE_CREDENTIAL,
};

const char *cp_code_name(cp_code code) {
  return names[code];
}

const char *cp_code_advice(cp_code code) {
  return advices[code];
}

cp_code cp_code_of_failure(cp_failure failure) {
  return of_failure[failure];
}

cp_failure cp_failure_named(const char *name) {
  for (cp_failure failure = CP_FAIL_RESOLVE; failure <= CP_FAIL_CREDENTIAL; failure++)
    if (strcmp(names[of_failure[failure]], name) == 0) return failure;
  return CP_FAIL_NETWORK;
}

static cp_code of_status(int status) {
  switch (status) {
    case 200:
    case 202: return CP_CODE_NONE;
    case 400:
    case 422: return CP_CODE_INVALID_REQUEST;
    case 401: return CP_CODE_UNAUTHORIZED;
    case 403: return CP_CODE_FORBIDDEN;
    case 404:
    case 410: return CP_CODE_NOT_FOUND;
    case 409: return CP_CODE_CONFLICT;
    case 412: return CP_CODE_PRECONDITION_FAILED;
    case 429: return CP_CODE_THROTTLED;
    default:
      return status >= 500 && status < 600 ? CP_CODE_SERVER_ERROR
                                           : CP_CODE_UNEXPECTED_STATUS;
  }
}

cp_code cp_code_of(const cp_digest *digest) {
  if (digest->failure != CP_FAIL_NONE) return of_failure[digest->failure];
  return of_status(digest->http_status);
}

bool cp_code_retryable(cp_code code) {
  switch (code) {
    case CP_CODE_THROTTLED:
    case CP_CODE_SERVER_ERROR:
    case CP_CODE_RESOLVE:
    case CP_CODE_CONNECT:
    case CP_CODE_TIMEOUT:
    case CP_CODE_NETWORK:
    case CP_CODE_DEADLINE: return true;
    default: return false;
  }
}

const char *cp_sent_name(cp_sent sent) {
  static const char *const words[] = {"no", "maybe", "yes"};
  return words[sent];
}

/* A long text is cut where a UTF-8 character begins. */
static size_t cut(const char *text, size_t length, size_t limit) {
  if (length <= limit) return length;
  while (limit > 0 && ((unsigned char)text[limit] & 0xc0) == 0x80) limit--;
  return limit;
}

bool cp_text_add_line(cp_text *text, const char *line, size_t length, size_t limit) {
  size_t end = cut(line, length, limit);
  for (size_t i = 0; i < end; i++) {
    bool control = (unsigned char)line[i] < ' ' || line[i] == 0x7f;
    if (!cp_text_putc(text, control ? ' ' : line[i])) return false;
  }
  return end == length || cp_text_puts(text, "...");
}

static bool add_utf8(cp_text *text, unsigned long c) {
  char bytes[4];
  if (c < 0x80) return cp_text_putc(text, (char)c);
  if (c < 0x800) {
    bytes[0] = (char)(0xc0 | c >> 6);
    bytes[1] = (char)(0x80 | (c & 0x3f));
    return cp_text_add(text, bytes, 2);
  }
  if (c < 0x10000) {
    bytes[0] = (char)(0xe0 | c >> 12);
    bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
    bytes[2] = (char)(0x80 | (c & 0x3f));
    return cp_text_add(text, bytes, 3);
  }
  bytes[0] = (char)(0xf0 | c >> 18);
  bytes[1] = (char)(0x80 | (c >> 12 & 0x3f));
  bytes[2] = (char)(0x80 | (c >> 6 & 0x3f));
  bytes[3] = (char)(0x80 | (c & 0x3f));
  return cp_text_add(text, bytes, 4);
}

/* The character that an entity names, without & and ;; 0 for one that is not known. */
static unsigned long entity(const char *name) {
  static const struct {
    const char *name;
    unsigned long c;
  } known[] = {{"amp", '&'},  {"lt", '<'},    {"gt", '>'},
               {"quot", '"'}, {"apos", '\''}, {"nbsp", ' '}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i].name, name) == 0) return known[i].c;
  if (name[0] != '#') return 0;
  bool hex = name[1] == 'x' || name[1] == 'X';
  unsigned long c = strtoul(name + (hex ? 2 : 1), NULL, hex ? 16 : 10);
  bool surrogate = c >= 0xd800 && c <= 0xdfff;
  return c >= ' ' && c <= 0x10ffff && !surrogate ? c : 0;
}

/* The entity at `at`, its length in `*used`; 0 when that is just an ampersand. */
static unsigned long read_entity(const char *at, const char *end, size_t *used) {
  char name[12];
  size_t length = 0;
  for (at++; at + length < end && at[length] != ';'; length++) {
    if (length == sizeof name - 1) return 0;
    name[length] = at[length];
  }
  if (at + length == end) return 0;
  name[length] = '\0';
  *used = length + 2;
  return entity(name);
}

/*
** The end of the tag that begins at `at`; `at` itself when that is just a less-than
** sign.
*/
static const char *skip_tag(const char *at, const char *end) {
  bool tag = at + 1 < end && strchr("/!?", at[1] ? at[1] : ' ') != NULL;
  tag = tag || (at + 1 < end && ((at[1] | 32) >= 'a' && (at[1] | 32) <= 'z'));
  const char *close = tag ? memchr(at, '>', (size_t)(end - at)) : NULL;
  return close ? close + 1 : at;
}

static bool add_blank(cp_text *text, size_t start) {
  bool needed = text->length > start && text->data[text->length - 1] != ' ';
  return !needed || cp_text_putc(text, ' ');
}

/* Appends what begins at `*at` and moves past it. */
static bool add_piece(cp_text *text, size_t start, const char **at, const char *end) {
  size_t used = 1;
  if (**at == '<') {
    const char *after = skip_tag(*at, end);
    if (after != *at) {
      *at = after;
      return add_blank(text, start);
    }
  }
  unsigned long c = **at == '&' ? read_entity(*at, end, &used) : 0;
  char plain = **at;
  *at += c ? used : 1;
  if (c && c != ' ') return add_utf8(text, c);
  if (c || (unsigned char)plain <= ' ' || plain == 0x7f) return add_blank(text, start);
  return cp_text_putc(text, plain);
}

bool cp_text_add_plain(cp_text *text, const char *html, size_t length) {
  const char *at = html, *end = html + length;
  size_t start = text->length;
  while (at < end)
    if (!add_piece(text, start, &at, end)) return false;
  while (text->length > start && text->data[text->length - 1] == ' ')
    text->data[--text->length] = '\0';
  return true;
}
