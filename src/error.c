/*
** error.c - the one error there is: its code, and the sentence made of it
*/
#include "error.h"

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
    case 201:
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
  bool refused = digest->http_status >= 400; /* whatever became of the body */
  if (digest->failure != CP_FAIL_NONE && !refused) return of_failure[digest->failure];
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
