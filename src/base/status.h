/* What can fail returns enum status; an optional struct error carries the words.
 *
 * The codes are those of gRPC and Connect, number for number, so that the edge maps them by one
 * table. Libraries return errors; only the edge logs or sends them. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdarg.h>

#include "base/str.h"

/*      name               number  text                  HTTP  retryable */
#define STATUS_TABLE(X)                                          \
    X(OK, 0, "ok", 200, false)                                   \
    X(CANCELED, 1, "canceled", 499, false)                       \
    X(UNKNOWN, 2, "unknown", 500, false)                         \
    X(INVALID_ARGUMENT, 3, "invalid_argument", 400, false)       \
    X(DEADLINE_EXCEEDED, 4, "deadline_exceeded", 504, true)      \
    X(NOT_FOUND, 5, "not_found", 404, false)                     \
    X(ALREADY_EXISTS, 6, "already_exists", 409, false)           \
    X(PERMISSION_DENIED, 7, "permission_denied", 403, false)     \
    X(RESOURCE_EXHAUSTED, 8, "resource_exhausted", 429, true)    \
    X(FAILED_PRECONDITION, 9, "failed_precondition", 400, false) \
    X(ABORTED, 10, "aborted", 409, true)                         \
    X(OUT_OF_RANGE, 11, "out_of_range", 400, false)              \
    X(UNIMPLEMENTED, 12, "unimplemented", 501, false)            \
    X(INTERNAL, 13, "internal", 500, false)                      \
    X(UNAVAILABLE, 14, "unavailable", 503, true)                 \
    X(DATA_LOSS, 15, "data_loss", 500, false)                    \
    X(UNAUTHENTICATED, 16, "unauthenticated", 401, false)

enum status {
#define X(name, number, text, http, retry) ST_##name = number,
    STATUS_TABLE(X)
#undef X
};

const char *status_text(enum status st);
int status_http(enum status st);

#define ERROR_MSG_MAX 2048

/* Lives on the caller's stack; messages longer than the buffer are cut at a UTF-8 boundary. */
struct error {
    enum status code;
    int http; /* overrides the table's HTTP status when not 0 (408, 413, 415, 422) */
    int os_errno;
    const char *file;
    int line;
    size_t len;
    char msg[ERROR_MSG_MAX];
};

static inline struct str error_str(const struct error *err)
{
    return str_make(err->msg, err->len);
}

/* All return `code`, so that they end a function; err may be NULL. */
enum status error_set(struct error *err, enum status code, const char *file, int line,
    const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Same, and appends ": " and the text of errno. */
enum status error_set_errno(struct error *err, enum status code, int os_errno, const char *file,
    int line, const char *fmt, ...) PRINTF_LIKE(6, 7);
/* Puts "context: " before what err already says; the code stays. */
enum status error_wrap(struct error *err, enum status code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#define FAIL(err, code, ...) return error_set((err), (code), __FILE__, __LINE__, __VA_ARGS__)
#define FAIL_ERRNO(err, code, ...) \
    return error_set_errno((err), (code), errno, __FILE__, __LINE__, __VA_ARGS__)
#define TRY(expr)                           \
    do {                                    \
        enum status try_status_ = (expr);   \
        if (UNLIKELY(try_status_ != ST_OK)) \
            return try_status_;             \
    } while (0)

#endif
