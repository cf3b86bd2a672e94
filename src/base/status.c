/* Status codes and error messages: see status.h. */
#include "base/status.h"

#include <errno.h>
#include <stdio.h>

struct status_row {
    const char *text;
    int http;
    bool retryable;
};

static const struct status_row rows[] = {
#define X(name, number, text, http, retry) [number] = {text, http, retry},
    STATUS_TABLE(X)
#undef X
};

static const struct status_row *row(enum status st)
{
    return (unsigned)st < ARRAY_LEN(rows) ? &rows[st] : &rows[ST_UNKNOWN];
}

const char *status_text(enum status st)
{
    return row(st)->text;
}

int status_http(enum status st)
{
    return row(st)->http;
}

/* snprintf says how long it would have been; never leave half a UTF-8 sequence at the cut. */
static size_t fitted(const char *msg, int would)
{
    size_t n = would < 0 ? 0 : (size_t)would;
    if (n < ERROR_MSG_MAX)
        return n;
    n = ERROR_MSG_MAX - 1;
    while (n && ((unsigned char)msg[n] & 0xC0) == 0x80)
        n--;
    return n;
}

enum status error_set(
    struct error *err, enum status code, const char *file, int line, const char *fmt, ...)
{
    if (!err)
        return code;
    va_list ap;
    va_start(ap, fmt);
    int would = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    err->code = code;
    err->http = 0;
    err->os_errno = 0;
    err->file = file;
    err->line = line;
    err->len = fitted(err->msg, would);
    return code;
}

enum status error_set_errno(struct error *err, enum status code, int os_errno, const char *file,
    int line, const char *fmt, ...)
{
    if (!err)
        return code;
    char text[ERROR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    error_set(err, code, file, line, "%s: %s", text, strerror(os_errno));
    err->os_errno = os_errno;
    return code;
}

enum status error_wrap(struct error *err, enum status code, const char *fmt, ...)
{
    if (!err)
        return code;
    char context[ERROR_MSG_MAX], old[ERROR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(context, sizeof context, fmt, ap);
    va_end(ap);
    memcpy(old, err->msg, err->len);
    old[err->len] = 0;
    int would = snprintf(err->msg, sizeof err->msg, "%s: %s", context, old);
    err->len = fitted(err->msg, would);
    err->code = code;
    return code;
}
