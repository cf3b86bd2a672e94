/* Header lines "name:value", an empty line, the body: through the Accept check and a Connect call,
 * with an HTTP server that only counts replies. Exactly one must come. */
#include "codec/messages.h"
#include "net/accept.h"
#include "net/connect.h"

enum { HEADERS_MAX = 32, ARENA_BYTES = 4 * 1024 * 1024, MESSAGE_BYTES = 64 * 1024 };

static int replies;

struct str http_header_get(const struct http_request *rq, struct str name)
{
    for (uint32_t i = 0; i < rq->n_headers; i++) {
        if (str_eq_nocase(rq->headers[i].name, name))
            return rq->headers[i].value;
    }
    return (struct str){NULL, 0};
}

void http_reply(struct http_request *rq, struct http_response *rs)
{
    (void)rq;
    ASSERT(rs->status == 200 || rs->status >= 400);
    ASSERT(!rs->body.failed);
    replies++;
    buf_done(&rs->body);
}

/* Answers with what it was asked, so that replies vary. */
static void echo(struct connect_call *call, const void *request, void *ctx)
{
    (void)ctx;
    connect_reply(call, request);
}

static struct connect_method method = {.path = "/x.Y/Z",
    .name = "x_y_z",
    .request = &m_series_request_desc,
    .response = &m_series_request_desc,
    .fn = echo,
    .message_bytes_max = MESSAGE_BYTES};

/* The next line without its end, {NULL, 0} when there is none. */
static struct str take_line(struct str *rest)
{
    size_t n = str_find_char(*rest, '\n');
    if (n == STR_NPOS)
        return (struct str){NULL, 0};
    struct str line = str_head(*rest, n);
    *rest = str_skip(*rest, n + 1);
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make(data, size);
    struct http_header headers[HEADERS_MAX];
    struct http_request rq = {.method = HTTP_M_POST, .headers = headers, .start_mono_ns = 1};
    struct str line;
    while (rq.n_headers < HEADERS_MAX && (line = take_line(&rest)).n > 0) {
        size_t colon = str_find_char(line, ':');
        struct http_header *h = &headers[rq.n_headers++];
        h->name = str_head(line, colon);
        h->value = colon == STR_NPOS ? STR_EMPTY : str_trim(str_skip(line, colon + 1));
    }
    rq.body = rest;
    arena_init(&rq.arena, ARENA_BYTES);
    bool utf8 = false;
    struct error err;
    if (connect_accept_check(&rq, &utf8, &err) != ST_OK)
        ASSERT(!utf8 && str_starts(error_str(&err), STR("Invalid header format: ")));
    replies = 0;
    connect_handle(&rq, &method);
    ASSERT(replies == 1);
    arena_done(&rq.arena);
    return 0;
}
