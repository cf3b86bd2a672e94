/* A whole HTTP/2 connection in memory: any frames, or any bytes behind the preface, in any pieces,
 * while other bodies come and go in the budget, the peer reads or does not, and time passes. What
 * is sent must be whole frames, and at the end nothing may be held.
 *
 * Byte 0: bit 0 raw bytes, else frames as (type, flags, stream, length, payload); the rest seeds
 * the pieces. */
#include <stdlib.h>

#include "../unit/http_mem.h"
#include "base/clock.h"
#include "codec/messages.h"
#include "net/grpc_stream.h"

enum { BUDGET = 8192, HELD_MAX = 128, LARGE = 200000, HEAD = 9 };

static struct http_request *held[HELD_MAX];
static int n_held;

static void on_echo(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_reply_text(rq, 200, STR("text/plain"), rq->body);
}

static void on_hold(struct http_request *rq, void *ctx)
{
    (void)ctx;
    ASSERT(n_held < HELD_MAX);
    held[n_held++] = rq;
}

static void on_abandon(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_abandon(rq);
}

static void on_large(struct http_request *rq, void *ctx)
{
    (void)ctx;
    struct http_response rs = {.status = 200, .gzip = HTTP_GZIP_NEVER};
    buf_init(&rs.body, LARGE);
    for (int i = 0; i < LARGE / 8; i++)
        buf_str(&rs.body, STR("eight by"));
    http_reply(rq, &rs);
}

static void on_trailers(struct http_request *rq, void *ctx)
{
    (void)ctx;
    struct http_header trailer = {STR("Grpc-Status"), STR("0")};
    struct http_response rs = {.status = 200, .trailers = &trailer, .n_trailers = 1};
    buf_init(&rs.body, 64 * KIB);
    buf_str(&rs.body, rq->body);
    http_reply(rq, &rs);
}

static void on_message(struct grpc_stream *st, const void *request, void *ctx)
{
    (void)ctx;
    grpc_stream_send(st, request);
}

static void on_call_stop(struct grpc_stream *st, void *ctx)
{
    (void)ctx;
    grpc_stream_send(st, &(struct m_label_names_request){.start = 1});
}

static const struct grpc_stream_method call = {.path = "/s",
    .name = "s",
    .request = &m_label_names_request_desc,
    .response = &m_label_names_request_desc,
    .message = on_message,
    .stop = on_call_stop,
    .silence_ns = 20 * NS_PER_S};

enum { ANY = HTTP_M_GET | HTTP_M_POST };
static const struct http_route routes[] = {
    {ANY, "/", "root", on_echo, NULL, true, NULL, 0},
    {ANY, "/index.html", "index", on_hold, NULL, true, NULL, 16},
    {ANY, "/a", "a", on_abandon, NULL, true, NULL, 0},
    {ANY, "/l", "l", on_large, NULL, true, NULL, 0},
    {ANY, "/t", "t", on_trailers, NULL, true, NULL, 0},
    {.methods = ANY,
        .path = "/s",
        .name = "s",
        .ctx = (void *)(uintptr_t)&call,
        .stream = &grpc_stream_ops},
};

static void reply_all(void)
{
    while (n_held)
        http_reply_text(held[--n_held], 200, STR("text/plain"), STR("held"));
}

/* The input as frames. */
static void put_frames(struct str in, struct buf *out)
{
    while (in.n >= 4) {
        const uint8_t *p = (const uint8_t *)in.p;
        size_t n = MIN((size_t)p[3], in.n - 4);
        uint8_t head[HEAD] = {0, 0, (uint8_t)n, p[0] % 11, p[1], 0, 0, 0, p[2]};
        buf_add(out, head, sizeof head);
        buf_add(out, in.p + 4, n);
        in = str_skip(in, 4 + n);
    }
}

/* Whole frames of the size that a client takes unasked. */
static void check_output(struct str out)
{
    if (str_starts(out, STR("HTTP/1.1 "))) /* the preface was incomplete */
        return;
    while (out.n) {
        const uint8_t *p = (const uint8_t *)out.p;
        ASSERT(out.n >= HEAD);
        size_t n = (size_t)p[0] << 16 | p[1] << 8 | p[2];
        ASSERT(n <= 16384 && n + HEAD <= out.n && p[3] <= 9);
        out = str_skip(out, n + HEAD);
    }
}

static void run(struct http_server *s, struct str input, uint32_t seed)
{
    struct mem_io io;
    struct conn *c = mem_open_as(s, &io, &protocol_first);
    const char *end = input.p + input.n;
    io.in = str_head(input, 0);
    while (io.in.p + io.in.n < end && !io.closed) {
        seed = seed * 1664525u + 1013904223u;
        size_t piece = 1 + (seed >> 8) % (seed & 1 ? 40000 : 50);
        io.in.n = MIN(io.in.n + piece, (size_t)(end - io.in.p));
        io.write_max = (seed & 0x30000) == 0x30000 ? 0 : 1 + (seed >> 4) % 5000;
        uint64_t crowd = seed & 0x40000 ? BUDGET - s->body_used : 0;
        ASSERT(crowd == 0 || budget_take(s, crowd));
        mem_run(s, &io, c);
        ASSERT(s->body_used <= BUDGET);
        budget_give(s, crowd);
        if (seed & 0x80000)
            reply_all();
        s->loop.now_ns += seed & 0x100000 ? NS_PER_S : 1;
        if (!io.closed)
            mem_run(s, &io, c);
    }
    reply_all();
    io.write_max = SIZE_MAX;
    if (!io.closed)
        c->protocol->on_stop(c);
    if (!io.closed)
        mem_run(s, &io, c);
    check_output(buf_view(&io.out));
    reply_all();
    if (!io.closed)
        conn_close(c);
    loop_settle(&s->loop);
    ASSERT(io.closed && s->loop.n_conns == 0 && s->loop.n_inflight == 0 && s->body_used == 0 &&
           s->loop.n_live == 0);
    buf_done(&io.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_server_config cfg;
    struct http_server *s;
    struct buf input;
    if (size == 0)
        return 0;
    clock_wall_set_for_tests(NS_PER_S);
    http_server_config_init(&cfg);
    cfg.header_bytes_max = 1024;
    cfg.body_bytes_max = 4096;
    cfg.body_budget_bytes = BUDGET;
    ASSERT(server_new(&cfg, routes, ARRAY_LEN(routes), &s, NULL) == ST_OK);
    buf_init(&input, 16 * MIB);
    buf_str(&input, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    struct str rest = str_make((const char *)data + 1, size - 1);
    if (data[0] & 1)
        buf_str(&input, rest);
    else
        put_frames(rest, &input);
    run(s, buf_view(&input), data[0]);
    server_free(s);
    buf_done(&input);
    return 0;
}
