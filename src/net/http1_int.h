/* Private to net: the parts of HTTP/1 that are pure functions of bytes. */
#ifndef NET_HTTP1_INT_H
#define NET_HTTP1_INT_H

#include "base/status.h"
#include "net/http.h"

/* Finds the end of a header in any splitting and checks what every line must keep. */
enum head_scan_state {
    HEAD_S_START, /* before the request line: empty lines are skipped */
    HEAD_S_LINE,  /* inside a line */
    HEAD_S_CR,
    HEAD_S_LINE_START, /* a header line begins, or the final empty line */
    HEAD_S_START_CR,
    HEAD_S_END_CR,
    HEAD_S_DONE,
    HEAD_S_BAD,
};
/* Consumes up to the end of the header (HEAD_S_DONE) or the first bad byte (HEAD_S_BAD). */
size_t http1_head_scan(enum head_scan_state *state, const char *p, size_t n);

struct http1_head {
    enum http_method method;
    struct str target;
    struct http_header *headers; /* in the arena */
    uint32_t n_headers;
    bool http10, keep_alive;
    bool has_length, chunked, expect_continue;
    uint64_t length;
};
/* `raw` is a scanned header. On failure err has the HTTP status to answer. */
enum status http1_head_parse(
    struct str raw, struct arena *arena, struct http1_head *ret_head, struct error *err);
/* Of a header that is refused, scanned as far as it came: method, target and the first HEADERS_MAX
 * fields whose lines are complete. To say whose it was, not to be acted upon. */
void http1_head_glimpse(struct str raw, struct arena *arena, struct http1_head *ret_head);

/* The chunked body coding. */
struct chunked {
    uint8_t state;
    uint8_t digits;
    uint64_t left;     /* of the chunk being read */
    uint64_t overhead; /* bytes that were not data */
};
/* Consumes framing and at most one run of data: *ret_data views into p. */
size_t chunked_step(struct chunked *d, const char *p, size_t n, struct str *ret_data);
/* Data of the current chunk that is still to come; 0 while its size is not complete. */
uint64_t chunked_pending(const struct chunked *d);
bool chunked_done(const struct chunked *d);
bool chunked_bad(const struct chunked *d);

#endif
