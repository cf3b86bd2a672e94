/* HTTP requests to one server: libcurl, and nothing else knows it. One thread. */
#ifndef CLI_HTTP_H
#define CLI_HTTP_H

#include "base/arena.h"
#include "base/status.h"

struct http; /* opaque */

struct http_settings { /* empty: not given */
    struct str url;    /* http or https; without a scheme it is http */
    struct str tenant, token, username, password;
};

struct http_answer {
    int status;
    struct str body; /* in the arena given to http_send; inflated */
};

enum { HTTP_TIMEOUT_S = 60 };
#define HTTP_ANSWER_BYTES_MAX (512 * MIB)

/* The settings are copied. ST_INVALID_ARGUMENT for a URL that is none. */
enum status http_open(
    const struct http_settings *settings, struct http **ret_http, struct error *err);
void http_close(struct http *h);
/* The URL for messages: with its scheme, without credentials and a slash at the end. Lives as long
 * as h. */
struct str http_url(const struct http *h);

/* Any status from the server is ST_OK here; ST_UNAVAILABLE when there was no answer, with the cure
 * in the message. A GET when content_type is NULL, else a POST. The path begins with a slash. */
enum status http_send(struct http *h, const char *path, const char *content_type, struct str body,
    struct arena *arena, struct http_answer *ret_answer, struct error *err);

#endif
