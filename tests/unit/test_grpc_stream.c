/* gRPC calls of many messages, over HTTP/2 in memory: framing, ends, limits, time, a client that
 * does not read. The same with real clients is in tests/e2e. */
#include "test.h"

#include <stdio.h>

#include "codec/gzip.h"
#include "codec/messages.h"
#include "http2_talk.h"
#include "net/grpc_stream.h"

enum { LARGE = 40000 };
static uint64_t n_heard;
static bool say_much;

/* Answers with the matchers; LARGE bytes when asked to. */
static void echo(struct grpc_stream *st, const void *request, void *ctx)
{
    const struct m_label_names_request *rq = request;
    static char bytes[LARGE];
    struct str much = str_make(memset(bytes, 'x', sizeof bytes), sizeof bytes);
    struct m_names_response rs = {.names = {rq->matchers.v, rq->matchers.n, rq->matchers.n}};
    assert_null(ctx);
    if (say_much)
        rs.names.v = &much, rs.names.n = 1;
    n_heard++;
    grpc_stream_send(st, &rs);
}

static void good_bye(struct grpc_stream *st, void *ctx)
{
    struct str word = STR("bye");
    struct m_names_response rs = {.names = {&word, 1, 1}};
    assert_null(ctx);
    grpc_stream_send(st, &rs);
}

static const struct grpc_stream_method many = {.path = "/s/Many",
    .name = "many",
    .request = &m_label_names_request_desc,
    .response = &m_names_response_desc,
    .message = echo,
    .silence_ns = 60 * NS_PER_S};
static const struct grpc_stream_method one = {.path = "/s/One",
    .name = "one",
    .request = &m_label_names_request_desc,
    .response = &m_names_response_desc,
    .message = echo,
    .stop = good_bye,
    .one_request = true,
    .silence_ns = 3600 * NS_PER_S};

static const struct http_route routes[] = {
    {.methods = HTTP_M_POST,
        .path = "/s/Many",
        .name = "many",
        .ctx = (void *)(uintptr_t)&many,
        .stream = &grpc_stream_ops},
    {.methods = HTTP_M_POST,
        .path = "/s/One",
        .name = "one",
        .ctx = (void *)(uintptr_t)&one,
        .stream = &grpc_stream_ops},
};

static void start(void)
{
    struct http_server_config cfg = defaults();
    n_heard = 0;
    say_much = false;
    open_routes(&cfg, routes, ARRAY_LEN(routes));
}

static void stop(void)
{
    close_all();
}

/* ---- messages ---- */

static struct buf sending;

static void put_prefix(uint8_t flags, size_t n)
{
    uint8_t head[5] = {
        flags, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    buf_add(&sending, head, sizeof head);
}

static void put_message(const char *matcher, bool gzip)
{
    struct buf message, packed;
    struct str v = str_from(matcher);
    struct m_label_names_request rq = {.matchers = {&v, 1, 1}};
    buf_init(&message, 64 * KIB);
    buf_init(&packed, 64 * KIB);
    msg_encode_proto(&m_label_names_request_desc, &rq, &message);
    if (gzip)
        assert_int_equal(gzip_deflate(buf_view(&message), 6, &packed, NULL), ST_OK);
    struct str bytes = buf_view(gzip ? &packed : &message);
    put_prefix(gzip, bytes.n);
    buf_str(&sending, bytes);
    buf_done(&message);
    buf_done(&packed);
}

static int32_t call_as(const char *path, const char *type, const char *name, const char *value)
{
    nghttp2_nv v[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":path", path),
        NV(":authority", "there"), NV("te", "trailers"), NV("content-type", type),
        NV(name ? name : "a", value ? value : "b")};
    nghttp2_data_provider data = {.read_callback = read_body};
    cl.body = buf_view(&sending);
    cl.sent = 0;
    int32_t id = nghttp2_submit_request(cl.session, NULL, v, ARRAY_LEN(v), &data, NULL);
    assert_true(id > 0);
    return id;
}

static int32_t call(const char *path)
{
    return call_as(path, "application/grpc", NULL, NULL);
}

/* What is more in `sending` goes out on the call whose body is held. */
static void go_on(int32_t id)
{
    cl.body = buf_view(&sending);
    assert_int_equal(nghttp2_session_resume_data(cl.session, id), 0);
    talk();
}

/* The answers of a call, joined by commas. */
static const char *answers(int32_t id)
{
    static char out[4096];
    struct str rest = buf_view(&seen_of(id)->body);
    size_t n = 0;
    struct arena arena;
    arena_init(&arena, MIB);
    while (rest.n) {
        const uint8_t *p = (const uint8_t *)rest.p;
        assert_true(rest.n >= 5 && p[0] == 0);
        size_t size = (size_t)p[3] << 8 | p[4];
        void *msg;
        assert_int_equal(msg_decode_proto(&m_names_response_desc, str_head(str_skip(rest, 5), size),
                             &arena, &msg, NULL),
            ST_OK);
        const struct m_names_response *rs = msg;
        n += (size_t)snprintf(
            out + n, sizeof out - n, "%s%.*s", n ? "," : "", STR_ARG(rs->names.v[0]));
        rest = str_skip(rest, 5 + size);
    }
    out[n] = 0;
    arena_done(&arena);
    return out;
}

static void expect_end(int32_t id, const char *want, const char *code, const char *message)
{
    char line[256];
    struct str headers = buf_view(&seen_of(id)->headers);
    assert_int_equal(seen_of(id)->status, 200);
    assert_string_equal(answers(id), want);
    snprintf(line, sizeof line, "grpc-status: %s\n", code);
    if (!str_contains(headers, str_from(line)))
        fail_msg("no %s in %.*s", line, STR_ARG(headers));
    snprintf(line, sizeof line, "grpc-message: %s\n", message);
    if (*message && !str_contains(headers, str_from(line)))
        fail_msg("no %s in %.*s", line, STR_ARG(headers));
    assert_int_equal(seen_of(id)->code, NGHTTP2_NO_ERROR);
    assert_int_equal(fx.s->loop.n_live, 0);
}

static int setup(void **state)
{
    (void)state;
    buf_init(&sending, 4 * MIB);
    start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&sending);
    stop();
    return 0;
}

/* ---- the exchange ---- */

static void test_each_is_answered(void **state)
{
    (void)state;
    cl.hold_body = true;
    put_message("a", false);
    int32_t id = call("/s/Many");
    talk();
    assert_string_equal(answers(id), "a");
    assert_int_equal(seen_of(id)->code, NOT_CLOSED);
    put_message("b", false);
    put_message("c", false);
    go_on(id);
    assert_string_equal(answers(id), "a,b,c");
    assert_int_equal(fx.s->loop.n_live, 1);
    cl.hold_body = false;
    put_message("d", false);
    go_on(id);
    expect_end(id, "a,b,c,d", "0", "");
    assert_true(
        str_contains(buf_view(&seen_of(id)->headers), STR("content-type: application/grpc\n")));
}

static void test_any_pieces(void **state)
{
    for (size_t piece = 1; piece < 30; piece++) {
        fx.io.read_max = fx.io.write_max = piece;
        put_message("in", false);
        put_message("pieces", false);
        int32_t id = call("/s/Many");
        talk();
        expect_end(id, "in,pieces", "0", "");
        teardown(state);
        setup(state);
    }
}

static void test_no_message(void **state)
{
    (void)state;
    int32_t id = call("/s/Many");
    talk();
    expect_end(id, "", "0", "");
    id = call("/s/One");
    talk();
    expect_end(id, "", "12", "unary request has zero messages");
}

static void test_one_request(void **state)
{
    (void)state;
    put_message("x", false);
    int32_t open = call("/s/One");
    talk();
    assert_string_equal(answers(open), "x");
    assert_int_equal(seen_of(open)->code, NOT_CLOSED);
    nghttp2_submit_rst_stream(cl.session, NGHTTP2_FLAG_NONE, open, NGHTTP2_CANCEL);
    talk();
    assert_int_equal(fx.s->loop.n_live, 0);
    put_message("y", false);
    int32_t id = call("/s/One");
    talk();
    expect_end(id, "x", "12", "unary request has multiple messages");
}

static void test_compressed(void **state)
{
    (void)state;
    put_message("small", true);
    put_message("plain", false);
    int32_t id = call_as("/s/Many", "application/grpc+proto", "grpc-encoding", "gzip");
    talk();
    expect_end(id, "small,plain", "0", "");
    id = call("/s/Many");
    talk();
    expect_end(id, "", "13", "protocol error: sent compressed message without compression support");
    id = call_as("/s/Many", "application/grpc", "grpc-encoding", "zstd");
    talk();
    expect_end(id, "", "12", "unknown compression \"zstd\": supported encodings are gzip");
}

/* A megabyte in a few bytes. */
static void test_bomb(void **state)
{
    static char zeros[1 << 20];
    struct buf packed;
    (void)state;
    buf_init(&packed, 4 * MIB);
    assert_int_equal(gzip_deflate(str_make(zeros, sizeof zeros), 9, &packed, NULL), ST_OK);
    put_prefix(1, packed.n);
    buf_str(&sending, buf_view(&packed));
    buf_done(&packed);
    int32_t id = call_as("/s/Many", "application/grpc", "grpc-encoding", "gzip");
    talk();
    expect_end(id, "", "8", "");
    assert_int_equal(n_heard, 0);
}

static void test_bad_frames(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *code, *message;
    } cases[] = {
        {"\0\0\0", 3, "3", "protocol error: incomplete envelope: unexpected EOF"},
        {"\0\0\0\0\5ab", 7, "3", "protocol error: incomplete envelope: unexpected EOF"},
        {"\2\0\0\0\0", 5, "13", "protocol error: invalid envelope flags 00000002"},
        {"\0\0\0\x40\1", 5, "8", "message size 16385 is larger than configured max 16384"},
        {"\0\xff\xff\xff\xff", 5, "8",
            "message size 4294967295 is larger than configured max 16384"},
        {"\0\0\0\0\2\xff\xff", 7, "3", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&sending);
        put_message("good", false);
        buf_add(&sending, cases[i].bytes, cases[i].n);
        int32_t id = call("/s/Many");
        talk();
        expect_end(id, "good", cases[i].code, cases[i].message);
    }
}

static void test_other_types(void **state)
{
    (void)state;
    static const char *const types[] = {"application/proto", "application/grpc-web", "text/plain"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        int32_t id = call_as("/s/Many", types[i], NULL, NULL);
        talk();
        assert_int_equal(seen_of(id)->status, 415);
        assert_int_equal(fx.s->loop.n_live, 0);
    }
}

static void test_below_http2(void **state)
{
    static const char ask[] = "POST /s/Many HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                              "Content-Type: application/grpc\r\n\r\n\0\0\0\0\0";
    (void)state;
    fx.io.in = str_make(ask, sizeof ask - 1);
    mem_run(fx.s, &fx.io, fx.c);
    assert_true(str_starts(buf_view(&fx.io.out), STR("HTTP/1.1 505 ")));
    assert_int_equal(n_heard, 0);
}

/* ---- limits ---- */

static void test_too_many(void **state)
{
    enum { AT_ONCE = 16 };
    int32_t ids[AT_ONCE + 1];
    (void)state;
    cl.hold_body = true;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        ids[i] = call("/s/Many");
    talk();
    assert_int_equal(fx.s->loop.n_live, AT_ONCE);
    for (size_t i = 0; i < AT_ONCE; i++)
        assert_int_equal(seen_of(ids[i])->code, NOT_CLOSED);
    assert_int_equal(seen_of(ids[AT_ONCE])->status, 503);
    fx.s->loop.n_live = 1024; /* of other connections */
    nghttp2_submit_rst_stream(cl.session, NGHTTP2_FLAG_NONE, ids[0], NGHTTP2_CANCEL);
    talk();
    fx.s->loop.n_live = 1024;
    int32_t more = call("/s/Many");
    talk();
    assert_int_equal(seen_of(more)->status, 503);
    fx.s->loop.n_live = AT_ONCE - 1;
}

/* A client that sends a lot and opens its window by and by: nothing is lost, little is kept. */
static void test_unread(void **state)
{
    enum { MESSAGES = 40 };
    (void)state;
    nghttp2_session_del(cl.session);
    client_open(true);
    say_much = true;
    for (int i = 0; i < MESSAGES; i++)
        put_message("more", false);
    int32_t id = call("/s/Many");
    talk();
    size_t first = seen_of(id)->body.n;
    assert_int_equal(first, 65535); /* the window */
    assert_true(n_heard >= 2 && n_heard <= 4);
    for (int i = 0; i < 1000 && seen_of(id)->code == NOT_CLOSED; i++) {
        uint64_t heard = n_heard;
        nghttp2_session_consume(cl.session, id, seen_of(id)->body.n);
        buf_clear(&seen_of(id)->body);
        talk();
        assert_true(n_heard - heard <= 3);
    }
    assert_int_equal(n_heard, MESSAGES);
    assert_int_equal(seen_of(id)->code, NGHTTP2_NO_ERROR);
    assert_true(str_contains(buf_view(&seen_of(id)->headers), STR("grpc-status: 0\n")));
}

static void test_never_read(void **state)
{
    (void)state;
    nghttp2_session_del(cl.session);
    client_open(true);
    say_much = true;
    for (int i = 0; i < 40; i++)
        put_message("more", false);
    (void)call("/s/Many");
    talk();
    later(29 * NS_PER_S);
    assert_false(fx.io.closed);
    later(2 * NS_PER_S);
    assert_true(fx.io.closed);
    assert_int_equal(fx.s->loop.n_live, 0);
}

/* ---- time ---- */

static void pass(int seconds)
{
    for (int i = 0; i < seconds; i++) {
        later(NS_PER_S);
        talk();
    }
}

static void test_silence(void **state)
{
    (void)state;
    fx.s->loop.now_ns = clock_mono_ns();
    cl.hold_body = true;
    int32_t id = call("/s/Many");
    talk();
    pass(55);
    assert_int_equal(seen_of(id)->code, NOT_CLOSED);
    pass(11);
    expect_end(id, "", "14", "the call was open for too long: call again");
    assert_false(fx.io.closed);
}

static void test_deadline(void **state)
{
    (void)state;
    cl.hold_body = true;
    int32_t id = call_as("/s/One", "application/grpc", "grpc-timeout", "20S");
    talk();
    pass(19);
    assert_int_equal(seen_of(id)->code, NOT_CLOSED);
    pass(7);
    expect_end(id, "", "4", "deadline exceeded");
    id = call_as("/s/One", "application/grpc", "grpc-timeout", "x");
    talk();
    expect_end(id, "", "3", "protocol error: invalid timeout \"x\"");
}

/* ---- the end ---- */

static void test_server_stops(void **state)
{
    (void)state;
    put_message("hello", false);
    int32_t open = call("/s/One");
    talk();
    fx.c->protocol->on_stop(fx.c);
    talk();
    expect_end(open, "hello,bye", "14", "the server is stopping");
    assert_true(fx.io.shut);
}

static void test_client_leaves(void **state)
{
    (void)state;
    cl.hold_body = true;
    put_message("hello", false);
    (void)call("/s/Many");
    (void)call("/s/One");
    talk();
    assert_int_equal(fx.s->loop.n_live, 2);
    fx.io.eof = true;
    server_turn();
    assert_true(fx.io.closed);
    loop_settle(&fx.s->loop);
    assert_int_equal(fx.s->loop.n_live, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_each_is_answered),
        T(test_any_pieces),
        T(test_no_message),
        T(test_one_request),
        T(test_compressed),
        T(test_bomb),
        T(test_bad_frames),
        T(test_other_types),
        T(test_below_http2),
        T(test_too_many),
        T(test_unread),
        T(test_never_read),
        T(test_silence),
        T(test_deadline),
        T(test_server_stops),
        T(test_client_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
