/* HTTP/2 in memory: nghttp2's client against the server's side of a connection, without a socket or
 * a thread. What a client library would never send is written as bytes. */
#include "test.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "http2_talk.h"

/* ---- the server ---- */

static struct {
    struct http_request *v[STREAMS];
    int n;
} held;
static struct buf large;           /* what /large answers */
static int refused[HTTP_REFUSALS]; /* told to their routes */

static void on_echo(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_reply_text(rq, 200, STR("text/plain"), rq->body);
}

static void on_what(struct http_request *rq, void *ctx)
{
    (void)ctx;
    char text[256];
    int n = snprintf(text, sizeof text, "%.*s|%.*s|%.*s", STR_ARG(rq->path), STR_ARG(rq->query),
        STR_ARG(http_header_get(rq, STR("host"))));
    http_reply_text(rq, 200, STR("text/plain"), str_make(text, (size_t)n));
}

static void on_hold(struct http_request *rq, void *ctx)
{
    (void)ctx;
    held.v[held.n++] = rq;
}

static void on_refused(struct http_request *rq, enum http_refusal why, const struct error *err)
{
    assert_true(str_eq(http_header_get(rq, STR("host")), STR("there")));
    assert_true(err->len > 0);
    refused[why]++;
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
    buf_init(&rs.body, large.n);
    buf_str(&rs.body, buf_view(&large));
    http_reply(rq, &rs);
}

static void on_trailers(struct http_request *rq, void *ctx)
{
    (void)ctx;
    struct http_header more = {STR("X-Upper"), STR("Value")};
    struct http_header trailer = {STR("Grpc-Status"), STR("0")};
    struct http_response rs = {.status = 200,
        .more_headers = &more,
        .n_more_headers = 1,
        .trailers = &trailer,
        .n_trailers = 1};
    buf_init(&rs.body, 16);
    buf_str(&rs.body, rq->body);
    http_reply(rq, &rs);
}

static const struct http_route routes[] = {
    {HTTP_M_POST, "/echo", "echo", on_echo, NULL, true, NULL, 0},
    {HTTP_M_POST, "/small", "small", on_echo, NULL, true, NULL, 10},
    {HTTP_M_GET, "/what", "what", on_what, NULL, true, NULL, 0, on_refused},
    {HTTP_M_GET | HTTP_M_POST, "/hold", "hold", on_hold, NULL, true, NULL, 0, on_refused},
    {HTTP_M_GET, "/abandon", "abandon", on_abandon, NULL, true, NULL, 0},
    {HTTP_M_GET, "/large", "large", on_large, NULL, true, NULL, 0},
    {HTTP_M_POST, "/trailers", "trailers", on_trailers, NULL, true, NULL, 0},
};

static void open_with(const struct http_server_config *cfg)
{
    held.n = 0;
    memset(refused, 0, sizeof refused);
    open_routes(cfg, routes, ARRAY_LEN(routes));
}

static void open_default(void)
{
    struct http_server_config cfg = defaults();
    open_with(&cfg);
}

static void done(void)
{
    close_all();
    buf_done(&large);
}

static void reply_held(int i, const char *text)
{
    http_reply_text(held.v[i], 200, STR("text/plain"), str_from(text));
}

static void expect(int32_t id, int status, const char *body)
{
    struct seen *s = seen_of(id);
    assert_int_equal(s->status, status);
    assert_int_equal(s->code, NGHTTP2_NO_ERROR);
    struct str got = buf_view(&s->body);
    if (body && !str_eq(got, str_from(body)))
        fail_msg("got %.*s, not %s", STR_ARG(got), body);
}

static bool has_header(int32_t id, const char *line)
{
    return str_contains(buf_view(&seen_of(id)->headers), str_from(line));
}

/* Bytes that no client library sends; behind what the client has to say. */
static void feed_raw(const char *p, size_t n)
{
    fx.io.in = str_make(p, n);
    while (!fx.io.closed && fx.io.in.n)
        mem_run(fx.s, &fx.io, fx.c);
}

static size_t put_frame(char *at, uint8_t type, uint8_t flags, uint32_t id, const char *p, size_t n)
{
    char head[9] = {(char)(n >> 16), (char)(n >> 8), (char)n, (char)type, (char)flags,
        (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};
    memcpy(at, head, sizeof head);
    if (n)
        memcpy(at + sizeof head, p, n);
    return sizeof head + n;
}

static void feed_frame(uint8_t type, uint8_t flags, uint32_t id, const char *p, size_t n)
{
    char frame[32 * 1024];
    assert_true(n + 9 <= sizeof frame);
    feed_raw(frame, put_frame(frame, type, flags, id, p, n));
}

/* ---- requests and replies ---- */

static void test_requests(void **state)
{
    (void)state;
    open_default();
    int32_t what = submit("GET", "/what?a=b", NULL, NULL);
    int32_t none = submit("GET", "/none", NULL, NULL);
    int32_t head = submit("HEAD", "/what", NULL, NULL);
    int32_t wrong = submit("PUT", "/echo", NULL, NULL);
    talk();
    expect(what, 200, "/what|a=b|there");
    assert_true(has_header(what, "content-type: text/plain\n"));
    assert_true(has_header(what, "date: Sun, 06 Nov 1994 08:49:37 GMT\n"));
    assert_true(has_header(what, "content-length: 15\n"));
    expect(none, 404, "404 page not found\n");
    expect(head, 200, "");
    assert_true(has_header(head, "content-length: 12\n"));
    expect(wrong, 405, "");
    assert_true(has_header(wrong, "allow: POST\n"));
    cl.body = STR("hello");
    int32_t echo = submit("POST", "/echo", NULL, NULL);
    talk();
    expect(echo, 200, "hello");
    int32_t sized = submit("POST", "/echo", "content-length", "5");
    talk();
    expect(sized, 200, "hello");
    done();
}

static void test_any_pieces(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 40; piece++) {
        open_default();
        fx.io.read_max = piece;
        fx.io.write_max = piece;
        cl.body = STR("in pieces");
        int32_t id = submit("POST", "/echo", NULL, NULL);
        talk();
        expect(id, 200, "in pieces");
        done();
    }
}

/* What begins like the preface and is not. */
static void test_http1_on_the_same_port(void **state)
{
    static const char *const requests[] = {"GET /what HTTP/1.1\r\nHost: x\r\n\r\n", "P",
        "PRI * HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"};
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\n", "HTTP/1.1 408 ", "HTTP/1.1 ",
        "HTTP/1.1 505 ", "HTTP/1.1 200 OK\r\n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        open_default();
        fx.io.read_max = 1;
        feed_raw(requests[i], strlen(requests[i]));
        fx.s->loop.now_ns += 11 * NS_PER_S;
        loop_settle(&fx.s->loop);
        loop_settle(&fx.s->loop);
        if (!str_starts(buf_view(&fx.io.out), str_from(answers[i])))
            fail_msg("%zu: %.*s", i, STR_ARG(buf_view(&fx.io.out)));
        done();
    }
}

static void test_idle_before_the_first_byte(void **state)
{
    (void)state;
    open_default();
    later(119 * NS_PER_S);
    assert_false(fx.io.closed);
    later(2 * NS_PER_S);
    assert_true(fx.io.closed);
    done();
}

static void test_out_of_order(void **state)
{
    (void)state;
    open_default();
    int32_t a = submit("GET", "/hold", NULL, NULL), b = submit("GET", "/hold", NULL, NULL);
    int32_t c = submit("GET", "/what", NULL, NULL);
    talk();
    assert_int_equal(held.n, 2);
    expect(c, 200, NULL);
    assert_int_equal(seen_of(a)->code, NOT_CLOSED);
    reply_held(1, "second");
    talk();
    expect(b, 200, "second");
    assert_int_equal(seen_of(a)->code, NOT_CLOSED);
    reply_held(0, "first");
    talk();
    expect(a, 200, "first");
    done();
}

/* Replies of one turn leave in one write. */
static void test_one_write(void **state)
{
    (void)state;
    open_default();
    for (int i = 0; i < 20; i++)
        submit("GET", "/hold", NULL, NULL);
    talk();
    for (int i = 0; i < 20; i++)
        reply_held(i, "x");
    fx.io.write_quota = 0;
    loop_settle(&fx.s->loop);
    assert_non_null(fx.c->out_first);
    assert_ptr_equal(fx.c->out_first, fx.c->out_last);
    fx.io.write_quota = SIZE_MAX;
    fx.c->writable = true;
    talk();
    for (int i = 0; i < 20; i++)
        expect(2 * i + 1, 200, "x");
    done();
}

static void test_trailers(void **state)
{
    (void)state;
    open_default();
    cl.body = STR("body");
    int32_t id = submit("POST", "/trailers", NULL, NULL);
    talk();
    expect(id, 200, "body");
    assert_true(has_header(id, "x-upper: Value\n"));
    assert_true(has_header(id, "grpc-status: 0\n"));
    assert_false(has_header(id, "content-length"));
    cl.body = STR_EMPTY;
    id = submit("POST", "/trailers", NULL, NULL);
    talk();
    expect(id, 200, "");
    assert_true(has_header(id, "grpc-status: 0\n"));
    done();
}

static void test_abandon(void **state)
{
    (void)state;
    open_default();
    int32_t id = submit("GET", "/abandon", NULL, NULL), next = submit("GET", "/what", NULL, NULL);
    talk();
    assert_int_equal(seen_of(id)->code, NGHTTP2_INTERNAL_ERROR);
    expect(next, 200, NULL);
    done();
}

static void test_expect_continue(void **state)
{
    (void)state;
    open_default();
    cl.hold_body = true;
    int32_t id = submit("POST", "/echo", "expect", "100-continue");
    talk();
    assert_int_equal(seen_of(id)->status, 100);
    cl.hold_body = false;
    cl.body = STR("now");
    nghttp2_session_resume_data(cl.session, id);
    talk();
    expect(id, 200, "now");
    done();
}

/* ---- bodies ---- */

static char *make_bytes(size_t n)
{
    char *p = mem_new(n);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(i * 31 + i / 251);
    return p;
}

static void test_large_bodies_both_ways(void **state)
{
    enum { BYTES = 5 * 1024 * 1024 };
    (void)state;
    char length[16], *p = make_bytes(BYTES);
    snprintf(length, sizeof length, "%d", BYTES);
    open_default();
    cl.body = str_make(p, BYTES);
    for (int i = 0; i < 6; i++) { /* a window that shrank would stop one of them */
        int32_t id = submit(
            "POST", "/echo", i % 2 ? "content-length" : NULL, i % 2 ? length : NULL);
        talk();
        assert_int_equal(seen_of(id)->status, 200);
        assert_int_equal(seen_of(id)->body.n, BYTES);
        assert_memory_equal(seen_of(id)->body.p, p, BYTES);
        buf_done(&seen_of(id)->body);
        assert_int_equal(fx.s->body_used, 0);
        assert_true(nghttp2_session_get_remote_window_size(cl.session) <= 65535 + 1024 * 1024);
    }
    done();
    mem_free(p);
}

static void test_body_limits(void **state)
{
    (void)state;
    open_default();
    cl.body = STR("0123456789");
    int32_t fits = submit("POST", "/small", NULL, NULL);
    talk();
    expect(fits, 200, "0123456789");
    cl.body = STR("0123456789a");
    int32_t over = submit("POST", "/small", NULL, NULL);
    talk();
    expect(over, 413, NULL);
    over = submit("POST", "/small", "content-length", "11");
    talk();
    expect(over, 413, NULL);
    cl.hold_body = true; /* the end never comes: the stream is reset after the reply */
    over = submit("POST", "/small", NULL, NULL);
    talk();
    expect(over, 413, NULL);
    int32_t none = submit("POST", "/none", NULL, NULL);
    talk();
    expect(none, 404, NULL);
    cl.hold_body = false;
    cl.body = STR_EMPTY;
    fits = submit("GET", "/what", NULL, NULL);
    talk();
    expect(fits, 200, NULL);
    done();
}

static struct http_server_config small_budget(void)
{
    struct http_server_config cfg = defaults();
    cfg.body_budget_bytes = 300000;
    return cfg;
}

static void test_budget(void **state)
{
    (void)state;
    struct http_server_config cfg = small_budget();
    char *p = make_bytes(250000);
    open_with(&cfg);
    assert_true(budget_take(fx.s, 200000));
    cl.body = str_make(p, 250000);
    int32_t id = submit("POST", "/echo", "content-length", "250000");
    talk();
    assert_int_equal(seen_of(id)->code, NOT_CLOSED);
    assert_true(cl.sent <= 100000 + 65535); /* what it paid for, and a window */
    assert_true(fx.s->body_used <= 300000);
    int32_t other = submit_get("/what"); /* others go on */
    talk();
    expect(other, 200, NULL);
    budget_give(fx.s, 200000);
    server_turn();
    client_reads();
    talk();
    assert_int_equal(seen_of(id)->status, 200);
    assert_int_equal(seen_of(id)->body.n, 250000);
    done();
    mem_free(p);
}

/* However many streams: what is not paid for is one window in all. */
static void test_unpaid_bytes_are_bounded(void **state)
{
    (void)state;
    struct http_server_config cfg = small_budget();
    char *p = make_bytes(60000);
    size_t sent = 0;
    open_with(&cfg);
    assert_true(budget_take(fx.s, 300000));
    cl.body = str_make(p, 60000);
    for (int i = 0; i < 50; i++) {
        submit("POST", "/echo", NULL, NULL);
        talk();
        sent += cl.sent;
    }
    assert_in_range(sent, 60000, 65535);
    later(6 * NS_PER_S);
    talk();
    expect(1, 503, NULL);
    budget_give(fx.s, 300000);
    done();
    mem_free(p);
}

static void test_body_timeout(void **state)
{
    (void)state;
    open_default();
    cl.hold_body = true;
    cl.body = STR("part");
    int32_t stalls = submit("POST", "/echo", NULL, NULL);
    talk();
    for (int i = 0; i < 8; i++) { /* pings and other requests are no progress of this one */
        later(5 * NS_PER_S);
        nghttp2_submit_ping(cl.session, NGHTTP2_FLAG_NONE, NULL);
        submit_get("/what");
        talk();
    }
    assert_int_equal(seen_of(stalls)->status, 408);
    done();
}

/* Half a header holds a stream as half a body does. */
static void test_header_timeout(void **state)
{
    (void)state;
    open_default();
    talk();
    feed_frame(NGHTTP2_HEADERS, 0, 1, "\x82", 1);
    later(29 * NS_PER_S);
    assert_false(fx.io.closed);
    later(2 * NS_PER_S);
    assert_true(fx.io.closed);
    done();
}

/* What a stream may send again is said at once, though another one still waits for room. */
static void test_budget_for_one_of_two(void **state)
{
    (void)state;
    struct http_server_config cfg = small_budget();
    char *p = make_bytes(34000);
    open_with(&cfg);
    assert_true(budget_take(fx.s, 300000));
    cl.body = str_make(p, 34000);
    cl.hold_body = true;
    submit("POST", "/echo", "content-length", "100000");
    talk();
    feed_frame(
        NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 101, "\x83\x86\x41\x01x\x44\x05/echo", 12);
    feed_frame(NGHTTP2_DATA, 0, 101, p, 15500);
    feed_frame(NGHTTP2_DATA, 0, 101, p, 15500);
    assert_int_equal(nghttp2_session_get_remote_window_size(cl.session), 65535 - 34000);
    budget_give(fx.s, 35000);
    loop_settle(&fx.s->loop);
    loop_settle(&fx.s->loop);
    client_reads();
    assert_int_equal(fx.s->body_used, 300000 - 35000 + 34000);
    assert_int_equal(nghttp2_session_get_remote_window_size(cl.session), 65535);
    conn_close(fx.c);
    loop_settle(&fx.s->loop);
    budget_give(fx.s, 265000);
    done();
    mem_free(p);
}

/* ---- streams that end early ---- */

static void test_reset_while_handled(void **state)
{
    (void)state;
    open_default();
    int32_t id = submit("GET", "/hold", NULL, NULL);
    talk();
    assert_false(atomic_load(&held.v[0]->gone));
    nghttp2_submit_rst_stream(cl.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    talk();
    assert_true(atomic_load(&held.v[0]->gone));
    reply_held(0, "late");
    talk();
    assert_int_equal(seen_of(id)->status, 0);
    int32_t next = submit("GET", "/what", NULL, NULL);
    talk();
    expect(next, 200, NULL);
    done();
}

/* CVE-2023-44487: opening and resetting does not make more handlers run. */
static void test_rapid_reset(void **state)
{
    (void)state;
    double before = metric_get(M_STREAMS_REFUSED, STR("requests"));
    open_default();
    for (int i = 0; i < 500; i++) {
        int32_t id = submit("GET", "/hold", NULL, NULL);
        talk();
        if (i < 100)
            nghttp2_submit_rst_stream(cl.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
        else
            assert_int_equal(seen_of(id)->code, NGHTTP2_REFUSED_STREAM);
    }
    assert_int_equal(held.n, 100);
    assert_int_equal(refused[HTTP_REFUSED_STREAM], 400);
    assert_true(metric_get(M_STREAMS_REFUSED, STR("requests")) == before + 400);
    for (int i = 0; i < 100; i++)
        reply_held(i, "late");
    talk();
    int32_t id = submit("GET", "/what", NULL, NULL);
    talk();
    expect(id, 200, NULL);
    done();
}

static void test_rapid_reset_ends_the_connection(void **state)
{
    (void)state;
    open_default();
    for (int i = 0; i < STREAMS - 1 && !cl.goaways; i++) {
        int32_t id = submit("GET", "/hold", NULL, NULL);
        client_sends();
        nghttp2_submit_rst_stream(cl.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
        talk();
        while (held.n)
            reply_held(--held.n, "late");
    }
    assert_int_equal(cl.goaways, 1);
    done();
}

static void test_connection_dies_while_handled(void **state)
{
    (void)state;
    open_default();
    submit("GET", "/hold", NULL, NULL);
    submit("GET", "/hold", NULL, NULL);
    talk();
    conn_close(fx.c);
    assert_true(atomic_load(&held.v[0]->gone) && atomic_load(&held.v[1]->gone));
    reply_held(0, "before the connection is freed");
    loop_settle(&fx.s->loop);
    reply_held(1, "after");
    loop_settle(&fx.s->loop);
    assert_int_equal(fx.s->loop.n_inflight, 0);
    assert_int_equal(fx.s->loop.n_conns, 0);
    done();
}

/* ---- floods and limits ---- */

static void start_raw(void)
{
    open_default();
    talk();
}

static void expect_ended(uint32_t code)
{
    const uint8_t *p = (const uint8_t *)fx.io.out.p;
    size_t at = 0, last = 0;
    for (; at + 9 <= fx.io.out.n; at += 9 + (p[at] << 16 | p[at + 1] << 8 | p[at + 2]))
        last = at;
    assert_int_equal(at, fx.io.out.n);
    assert_int_equal(p[last + 3], NGHTTP2_GOAWAY);
    assert_int_equal(p[last + 16], code);
    assert_true(fx.io.shut || fx.io.closed);
}

static void test_frame_floods(void **state)
{
    static const struct {
        uint8_t type, flags;
        uint32_t id;
        const char *p;
        size_t n;
    } floods[] = {
        {NGHTTP2_PING, 0, 0, "12345678", 8},
        {NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678", 8},
        {NGHTTP2_SETTINGS, 0, 0, "", 0},
        {NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\x01", 4},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
        start_raw();
        int n = 0;
        for (; n < 20000 && !fx.io.shut && !fx.io.closed; n++)
            feed_frame(floods[i].type, floods[i].flags, floods[i].id, floods[i].p, floods[i].n);
        assert_in_range(n, 900, 10100);
        expect_ended(NGHTTP2_ENHANCE_YOUR_CALM);
        done();
    }
}

/* A peer that does not read what it makes us answer: the queue is bounded, then nothing is read. */
static void test_unread_answers(void **state)
{
    (void)state;
    start_raw();
    fx.io.write_max = 0;
    fx.c->writable = false;
    for (int i = 0; i < 5000 && !fx.io.closed; i++) {
        char frame[17];
        put_frame(frame, NGHTTP2_PING, 0, 0, "12345678", 8);
        fx.io.in = str_make(frame, sizeof frame);
        conn_event(fx.c, true, false, false, false);
        if (fx.io.in.n) {
            assert_in_range(i, 10, 400);
            break;
        }
        assert_true(i < 1000);
    }
    later(31 * NS_PER_S);
    assert_true(fx.io.closed);
    done();
}

static void test_continuation_flood(void **state)
{
    (void)state;
    start_raw();
    feed_frame(NGHTTP2_HEADERS, 0, 1, "\x82", 1);
    for (int i = 0; i < 100 && !fx.io.closed && !fx.io.shut; i++)
        feed_frame(NGHTTP2_CONTINUATION, 0, 1, "\x00\x01x\x01y", 5);
    assert_true(fx.io.closed || fx.io.shut);
    done();
}

static void test_header_limits(void **state)
{
    (void)state;
    char value[4000], block[16000];
    struct http_server_config cfg = defaults();
    cfg.header_bytes_max = 16 * KIB;
    open_with(&cfg);
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    nghttp2_nv v[140] = {NV(":method", "GET"), NV(":scheme", "http"), NV(":path", "/what"),
        NV(":authority", "there")};
    for (size_t i = 4; i < ARRAY_LEN(v); i++)
        v[i] = (nghttp2_nv)NV("x-many", "1");
    assert_int_equal(nghttp2_submit_request(cl.session, NULL, v, 140, NULL, NULL), 1);
    for (size_t i = 4; i < 19; i++)
        v[i] = (nghttp2_nv)NV("x-long", value);
    assert_int_equal(nghttp2_submit_request(cl.session, NULL, v, 9, NULL, NULL), 3);
    assert_int_equal(nghttp2_submit_request(cl.session, NULL, v, 6, NULL, NULL), 5);
    talk();
    expect(1, 431, NULL);
    expect(3, 431, NULL);
    assert_int_equal(refused[HTTP_REFUSED_HEADER], 2);
    expect(5, 200, NULL);
    /* One long field in the table, named again and again by one byte each. */
    size_t n = 0;
    memcpy(block, "\x82\x86\x84\x40\x01z\x7f\xa1\x1e", 9); /* literal, indexed: z, 4000 bytes */
    n = 9;
    memset(block + n, 'z', 4000);
    n += 4000;
    memset(block + n, '\xbe', 10000);
    n += 10000;
    feed_frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 7, block, n);
    assert_true(fx.s->body_used <= 128 * KIB);
    assert_false(fx.io.closed);
    done();
}

static void test_malformed(void **state)
{
    static const char *const fields[][2] = {{"x", "fine"}, {"x", "a\x01z"}, {"x y", "a"},
        {"connection", "close"}, {"te", "gzip"}, {":extra", "a"}, {"content-length", "-1"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        open_default();
        submit("GET", "/what", fields[i][0], fields[i][1]);
        talk();
        if (i == 0)
            expect(1, 200, NULL);
        else
            assert_int_equal(seen_of(1)->code, NGHTTP2_PROTOCOL_ERROR);
        int32_t next = submit_get("/what");
        talk();
        expect(next, 200, NULL);
        done();
    }
}

static void test_garbage_after_the_preface(void **state)
{
    (void)state;
    start_raw();
    feed_raw("GET / HTTP/1.1\r\n\r\n", 18);
    client_reads();
    assert_true(cl.goaways == 1 || fx.io.closed);
    assert_true(fx.io.shut || fx.io.closed);
    done();
}

#define GET_WHAT "\x82\x86\x41\x01x\x44\x05/what"
enum { WHOLE = NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM };

/* A client that goes on where it has ended itself breaks the rules. */
static void test_frames_on_what_the_client_ended(void **state)
{
    (void)state;
    for (uint32_t id = 3; id <= 5; id += 2) {
        start_raw();
        feed_frame(NGHTTP2_HEADERS, WHOLE, 5, GET_WHAT, strlen(GET_WHAT));
        assert_false(fx.io.shut || fx.io.closed);
        feed_frame(NGHTTP2_HEADERS, WHOLE, id, GET_WHAT, strlen(GET_WHAT));
        expect_ended(NGHTTP2_STREAM_CLOSED);
        done();
    }
    start_raw();
    feed_frame(NGHTTP2_PRIORITY, 0, 0, "\0\0\0\x03\x10", 5);
    expect_ended(NGHTTP2_PROTOCOL_ERROR);
    done();
}

/* One that has not heard yet of our end does not. */
static void test_frames_on_what_we_reset(void **state)
{
    (void)state;
    open_default();
    cl.hold_body = true;
    int32_t cut = submit("POST", "/what", NULL, NULL);
    talk();
    assert_int_equal(seen_of(cut)->status, 405);
    assert_int_equal(seen_of(cut)->code, NGHTTP2_NO_ERROR);
    feed_frame(NGHTTP2_DATA, 0, (uint32_t)cut, "body", 4);
    feed_frame(NGHTTP2_HEADERS, WHOLE, (uint32_t)cut, "\x00\x01x\x01y", 5);
    int32_t next = submit_get("/what");
    talk();
    assert_int_equal(seen_of(next)->status, 200);
    assert_int_equal(cl.goaways, 0);
    done();
}

/* ---- slow readers ---- */

static void test_large_reply_to_a_slow_reader(void **state)
{
    (void)state;
    open_default();
    nghttp2_session_del(cl.session);
    client_open(true);
    char *p = make_bytes(1000000);
    buf_init(&large, 1000000);
    buf_add(&large, p, 1000000);
    int32_t id = submit("GET", "/large", NULL, NULL);
    talk();
    assert_int_equal(seen_of(id)->body.n, 65535);
    for (int i = 0; i < 40 && seen_of(id)->code == NOT_CLOSED; i++) {
        later(20 * NS_PER_S); /* slow, but not idle */
        assert_false(fx.io.closed);
        nghttp2_session_consume(cl.session, id, 65535);
        talk();
    }
    expect(id, 200, NULL);
    assert_int_equal(seen_of(id)->body.n, 1000000);
    assert_memory_equal(seen_of(id)->body.p, p, 1000000);
    id = submit("GET", "/large", NULL, NULL);
    talk();
    later(31 * NS_PER_S);
    assert_true(fx.io.closed);
    mem_free(p);
    done();
}

/* ---- the end ---- */

static void test_stop(void **state)
{
    (void)state;
    open_default();
    int32_t first = submit("GET", "/hold", NULL, NULL);
    talk();
    fx.c->protocol->on_stop(fx.c);
    int32_t late = submit("GET", "/what", NULL, NULL); /* crosses the notice */
    client_sends();
    server_turn();
    client_reads();
    assert_int_equal(cl.goaways, 1);
    talk();
    expect(late, 200, NULL);
    assert_false(fx.io.shut);
    reply_held(0, "whole");
    talk();
    expect(first, 200, "whole");
    assert_int_equal(cl.goaways, 2);
    assert_int_equal(cl.goaway_code, NGHTTP2_NO_ERROR);
    assert_true(fx.io.shut);
    done();
}

static void test_stop_without_an_answer(void **state)
{
    (void)state;
    start_raw();
    fx.c->protocol->on_stop(fx.c);
    later(3 * NS_PER_S);
    assert_true(fx.io.closed);
    done();
}

static void test_idle(void **state)
{
    (void)state;
    open_default();
    int32_t id = submit("GET", "/what", NULL, NULL);
    talk();
    expect(id, 200, NULL);
    later(119 * NS_PER_S);
    nghttp2_submit_ping(cl.session, NGHTTP2_FLAG_NONE, NULL);
    talk(); /* a ping is no use of the connection */
    later(2 * NS_PER_S);
    assert_int_equal(cl.goaways, 1);
    assert_int_equal(cl.goaway_code, NGHTTP2_NO_ERROR);
    later(3 * NS_PER_S);
    assert_true(fx.io.closed);
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_any_pieces),
        cmocka_unit_test(test_http1_on_the_same_port),
        cmocka_unit_test(test_idle_before_the_first_byte),
        cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_one_write),
        cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_abandon),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_large_bodies_both_ways),
        cmocka_unit_test(test_body_limits),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_unpaid_bytes_are_bounded),
        cmocka_unit_test(test_body_timeout),
        cmocka_unit_test(test_header_timeout),
        cmocka_unit_test(test_budget_for_one_of_two),
        cmocka_unit_test(test_reset_while_handled),
        cmocka_unit_test(test_rapid_reset),
        cmocka_unit_test(test_rapid_reset_ends_the_connection),
        cmocka_unit_test(test_connection_dies_while_handled),
        cmocka_unit_test(test_frame_floods),
        cmocka_unit_test(test_unread_answers),
        cmocka_unit_test(test_continuation_flood),
        cmocka_unit_test(test_header_limits),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_garbage_after_the_preface),
        cmocka_unit_test(test_frames_on_what_the_client_ended),
        cmocka_unit_test(test_frames_on_what_we_reset),
        cmocka_unit_test(test_large_reply_to_a_slow_reader),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stop_without_an_answer),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
