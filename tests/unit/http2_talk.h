/* HTTP/2 in memory: the client of http2_client.h against the server's side of a connection, without
 * a socket or a thread. For test_http2.c and test_grpc_stream.c. */
#ifndef TESTS_HTTP2_TALK_H
#define TESTS_HTTP2_TALK_H

#include "base/clock.h"
#include "http2_client.h"
#include "http_mem.h"

static struct fixture {
    struct http_server *s;
    struct mem_io io;
    struct conn *c;
} fx;

static void server_turn(void)
{
    if (!fx.io.closed) {
        conn_event(fx.c, true, fx.io.write_max > 0, false, false);
        do
            loop_settle(&fx.s->loop);
        while (fx.s->loop.ready || fx.s->loop.replies_first);
    }
}

/* Feeds what the client has to send. */
static bool client_sends(void)
{
    const uint8_t *p;
    bool any = false;
    ssize_t n;
    while (!fx.io.closed && (n = nghttp2_session_mem_send(cl.session, &p)) > 0) {
        fx.io.in = str_make((const char *)p, (size_t)n);
        while (!fx.io.closed && fx.io.in.n)
            mem_run(fx.s, &fx.io, fx.c);
        any = true;
    }
    return any;
}

static bool client_reads(void)
{
    size_t n = fx.io.out.n - cl.out_at;
    if (n == 0)
        return false;
    ssize_t used = nghttp2_session_mem_recv(
        cl.session, (const uint8_t *)fx.io.out.p + cl.out_at, n);
    assert_int_equal(used, (ssize_t)n);
    cl.out_at = fx.io.out.n;
    return true;
}

/* Until neither side has anything to say. */
static void talk(void)
{
    bool any;
    do {
        any = client_sends();
        server_turn();
        any |= client_reads();
    } while (any);
}

static struct http_server_config defaults(void)
{
    struct http_server_config cfg;
    http_server_config_init(&cfg);
    return cfg;
}

static void open_routes(
    const struct http_server_config *cfg, const struct http_route *routes, uint32_t n)
{
    fx = (struct fixture){0};
    assert_int_equal(server_new(cfg, routes, n, &fx.s, NULL), ST_OK);
    fx.s->loop.now_ns = 0;
    fx.c = mem_open_as(fx.s, &fx.io, &protocol_first);
    clock_wall_set_for_tests(784111777 * NS_PER_S);
    client_open(false);
}

static void close_all(void)
{
    if (!fx.io.closed)
        conn_close(fx.c);
    loop_settle(&fx.s->loop);
    assert_int_equal(fx.s->body_used, 0);
    buf_done(&fx.io.out);
    server_free(fx.s);
    nghttp2_session_del(cl.session);
    for (int i = 0; i < STREAMS; i++) {
        buf_done(&cl.streams[i].headers);
        buf_done(&cl.streams[i].body);
    }
}

static void later(int64_t ns)
{
    fx.s->loop.now_ns += ns;
    loop_settle(&fx.s->loop);
    loop_settle(&fx.s->loop);
    client_reads();
}

#endif
