/* gRPC and gRPC-Web in memory, over HTTP/1.1, where the bytes can be written down: framing,
 * compression, deadlines, errors. The same over HTTP/2 is for real clients (tests/e2e). */
#include "test.h"

#include <stdio.h>

#include "base/clock.h"
#include "codec/base64.h"
#include "codec/gzip.h"
#include "codec/messages.h"
#include "http_mem.h"
#include "net/connect.h"

static struct fixture {
    struct http_server *s;
    struct mem_io io;
    struct conn *c;
    int64_t deadline_mono_ns;
    int n_seen;
} fx;

/* Echoes the matchers; "fail" is an error, "later" one that says when to try again, "big" more than
 * fits. */
static void label_names(struct connect_call *call, const void *request, void *ctx)
{
    const struct m_label_names_request *rq = request;
    (void)ctx;
    fx.n_seen++;
    fx.deadline_mono_ns = call->deadline_mono_ns;
    if (rq->matchers.n && str_eq(rq->matchers.v[0], STR("fail"))) {
        struct error err;
        error_set(&err, ST_NOT_FOUND, __FILE__, __LINE__, "50%% of \"\xc3\xa9\"\n\xff");
        connect_fail(call, &err);
        return;
    }
    if (rq->matchers.n && str_eq(rq->matchers.v[0], STR("later"))) {
        struct error err;
        error_set(&err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__, "too much");
        connect_fail_later(call, &err, 300);
        return;
    }
    struct m_names_response rs = {.names = {rq->matchers.v, rq->matchers.n, rq->matchers.n}};
    connect_reply(call, &rs);
}

static struct connect_method method = {.path = "/s/M",
    .name = "m",
    .request = &m_label_names_request_desc,
    .response = &m_names_response_desc,
    .fn = label_names,
    .message_bytes_max = 100};

static int setup(void **state)
{
    static const struct http_route routes[] = {{HTTP_M_POST, "/s/M", "m", connect_handle, &method,
        true, connect_too_large, 100 + CONNECT_FRAMING_BYTES}};
    struct http_server_config cfg;
    (void)state;
    http_server_config_init(&cfg);
    fx = (struct fixture){0};
    assert_int_equal(server_new(&cfg, routes, ARRAY_LEN(routes), &fx.s, NULL), ST_OK);
    fx.c = mem_open(fx.s, &fx.io);
    clock_wall_set_for_tests(784111777 * NS_PER_S);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (!fx.io.closed)
        conn_close(fx.c);
    loop_settle(&fx.s->loop);
    buf_done(&fx.io.out);
    server_free(fx.s);
    return 0;
}

/* ---- requests and answers ---- */

static void put_frame(struct buf *out, uint8_t flags, struct str payload)
{
    uint8_t head[5] = {flags, 0, 0, (uint8_t)(payload.n >> 8), (uint8_t)payload.n};
    buf_add(out, head, sizeof head);
    buf_str(out, payload);
}

/* A request with that matcher, as a message. */
static void put_message(struct buf *out, struct str matcher)
{
    struct m_label_names_request rq = {.matchers = {&matcher, 1, 1}};
    msg_encode_proto(&m_label_names_request_desc, &rq, out);
}

/* Sends; the answer's bytes are in fx.io.out, without what the last one left. */
static struct str ask(const char *type, const char *more_headers, struct str body)
{
    struct buf b;
    buf_init(&b, 64 * KIB);
    buf_printf(&b,
        "POST /s/M HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n", type,
        more_headers, body.n);
    buf_str(&b, body);
    buf_clear(&fx.io.out);
    fx.io.in = buf_view(&b);
    mem_run(fx.s, &fx.io, fx.c);
    buf_done(&b);
    return buf_view(&fx.io.out);
}

static struct str ask_matcher(const char *type, const char *more_headers, const char *matcher)
{
    struct buf message, body;
    buf_init(&message, 4 * KIB);
    buf_init(&body, 4 * KIB);
    put_message(&message, str_from(matcher));
    put_frame(&body, 0, buf_view(&message));
    struct str answer = ask(type, more_headers, buf_view(&body));
    buf_done(&message);
    buf_done(&body);
    return answer;
}

static void expect_part(struct str answer, struct str part)
{
    if (!str_contains(answer, part))
        fail_msg("no %.*s in %.*s", STR_ARG(part), STR_ARG(answer));
}

static void expect_error(struct str answer, const char *trailers)
{
    expect_part(answer, STR("HTTP/1.1 200 OK\r\n"));
    expect_part(answer, STR("\r\n\r\n0\r\n"));
    if (!str_ends(answer, str_from(trailers)))
        fail_msg("not %s at the end of %.*s", trailers, STR_ARG(answer));
}

/* ---- tests ---- */

static void test_whole_answer(void **state)
{
    (void)state;
    static const struct str want = STR("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                       "Content-Type: application/grpc+proto\r\n"
                                       "Grpc-Accept-Encoding: gzip\r\n"
                                       "Transfer-Encoding: chunked\r\nTrailer: Grpc-Status\r\n\r\n"
                                       "8\r\n\0\0\0\0\x03\x0a\x01x\r\n0\r\nGrpc-Status: 0\r\n\r\n");
    struct str answer = ask_matcher("application/grpc+proto", "TE: trailers\r\n", "x");
    assert_int_equal(answer.n, want.n);
    assert_memory_equal(answer.p, want.p, want.n);
    assert_int_equal(fx.deadline_mono_ns, 0);
}

static void test_types(void **state)
{
    (void)state;
    expect_part(ask_matcher("application/grpc", "", "x"), STR("Grpc-Status: 0"));
    expect_part(ask_matcher("Application/gRPC+proto", "", "x"), STR("Grpc-Status: 0"));
    struct buf body;
    buf_init(&body, 4 * KIB);
    put_frame(&body, 0, STR("{\"matchers\":[\"x\"]}"));
    struct str answer = ask("application/grpc+json", "", buf_view(&body));
    expect_part(answer, STR("\0\0\0\0\x0f{\"names\":[\"x\"]}\r\n0\r\nGrpc-Status: 0\r\n"));
    answer = ask("application/grpc-web+json", "", buf_view(&body));
    expect_part(answer, STR("Content-Length: 41\r\n"));
    expect_part(answer, STR("\0\0\0\0\x0f{\"names\":[\"x\"]}\x80\0\0\0\x10grpc-status: 0\r\n"));
    buf_done(&body);
    expect_part(ask_matcher("application/grpc; a=b", "", "x"), STR("HTTP/1.1 415 "));
    expect_part(ask_matcher("application/grpc+xml", "", "x"), STR("HTTP/1.1 415 "));
    expect_part(ask_matcher("application/grpc-web-text+json", "", "x"), STR("HTTP/1.1 415 "));
}

/* The pieces are encoded one by one, as browsers do. */
static void test_web_text(void **state)
{
    (void)state;
    struct buf raw, text;
    struct str answer, decoded;
    buf_init(&raw, 1 * KIB);
    buf_init(&text, 1 * KIB);
    put_frame(&raw, 0, STR("\x0a\x01x"));
    base64_put(&text, str_head(buf_view(&raw), 5));
    base64_put(&text, str_skip(buf_view(&raw), 5));
    answer = ask("application/grpc-web-text", "", buf_view(&text));
    expect_part(answer, STR("Content-Type: application/grpc-web-text\r\n"));
    struct arena a;
    arena_init(&a, 1 * MIB);
    struct str body = str_skip(answer, str_find(answer, STR("\r\n\r\n")) + 4);
    assert_true(base64_decode(body, &a, &decoded));
    static const struct str want = STR("\0\0\0\0\x03\x0a\x01x\x80\0\0\0\x10grpc-status: 0\r\n");
    assert_true(str_eq(decoded, want));
    answer = ask("application/grpc-web-text", "", STR("###"));
    body = str_skip(answer, str_find(answer, STR("\r\n\r\n")) + 4);
    assert_true(base64_decode(body, &a, &decoded));
    expect_part(decoded, STR("grpc-status: 3\r\n"));
    arena_done(&a);
    buf_done(&raw);
    buf_done(&text);
}

static void test_gzip(void **state)
{
    (void)state;
    struct buf plain, packed, body;
    struct arena a;
    struct str got;
    arena_init(&a, 1 * MIB);
    buf_init(&plain, 1 * KIB);
    buf_init(&packed, 1 * KIB);
    buf_init(&body, 1 * KIB);
    put_message(&plain, STR("zipped"));
    assert_int_equal(gzip_deflate(buf_view(&plain), 6, &packed, NULL), ST_OK);
    put_frame(&body, 1, buf_view(&packed));
    struct str answer = ask("application/grpc", "Grpc-Encoding: gzip\r\n", buf_view(&body));
    expect_part(answer, STR("Grpc-Encoding: gzip\r\n"));
    size_t at = str_find(answer, STR("\r\n\x01\0\0\0"));
    assert_int_not_equal(at, STR_NPOS);
    size_t n = (uint8_t)answer.p[at + 6];
    assert_int_equal(gzip_inflate(str_make(answer.p + at + 7, n), 1000, &a, &got, NULL), ST_OK);
    assert_true(str_eq(got, STR("\x0a\x06zipped")));
    /* The header alone compresses nothing; the flag alone is an error. */
    buf_clear(&body);
    put_frame(&body, 0, buf_view(&plain));
    answer = ask("application/grpc", "Grpc-Encoding: gzip\r\n", buf_view(&body));
    expect_part(answer, STR("Grpc-Status: 0"));
    buf_clear(&body);
    put_frame(&body, 1, buf_view(&packed));
    expect_error(ask("application/grpc", "", buf_view(&body)),
        "Grpc-Status: 13\r\nGrpc-Message: protocol error: sent compressed message without "
        "compression support\r\n\r\n");
    expect_error(ask_matcher("application/grpc", "Grpc-Encoding: br\r\n", "x"),
        "Grpc-Status: 12\r\nGrpc-Message: unknown compression \"br\": supported encodings are "
        "gzip\r\n\r\n");
    answer = ask_matcher("application/grpc", "Grpc-Accept-Encoding: identity,gzip\r\n", "x");
    expect_part(answer, STR("\r\nGrpc-Encoding: gzip\r\n"));
    buf_done(&plain);
    buf_done(&packed);
    buf_done(&body);
    arena_done(&a);
}

static void test_framing_refused(void **state)
{
    static const struct {
        struct str body;
        const char *trailers;
    } rows[] = {
        {STR(""), "Grpc-Status: 12\r\nGrpc-Message: unary request has zero messages\r\n\r\n"},
        {STR("\0\0\0\0"), "Grpc-Status: 3\r\nGrpc-Message: protocol error: incomplete envelope: "
                          "unexpected EOF\r\n\r\n"},
        {STR("\0\0\0\0\x05\x0a\x01x"),
            "Grpc-Status: 3\r\nGrpc-Message: protocol error: promised 5 bytes in enveloped "
            "message, got 3 bytes\r\n\r\n"},
        {STR("\0\0\0\0\x03\x0a\x01x\0\0\0\0\0"),
            "Grpc-Status: 12\r\nGrpc-Message: unary request has multiple messages\r\n\r\n"},
        {STR("\x02\0\0\0\0"), "Grpc-Status: 13\r\nGrpc-Message: protocol error: invalid envelope "
                              "flags 00000002\r\n\r\n"},
        {STR("\0\xff\xff\xff\xff"), "Grpc-Status: 8\r\nGrpc-Message: message size 4294967295 is "
                                    "larger than configured max 100\r\n\r\n"},
        {STR("\0\0\0\0\x02\x0a\x7f"), "\r\n\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_error(ask("application/grpc", "", rows[i].body), rows[i].trailers);
    assert_int_equal(fx.n_seen, 0);
    /* An empty message is one. */
    expect_part(ask("application/grpc", "", STR("\0\0\0\0\0")), STR("Grpc-Status: 0\r\n"));
    assert_int_equal(fx.n_seen, 1);
}

/* The details are those that the reference implementation of gRPC for Go makes of the same. */
static void test_try_later(void **state)
{
    static const char details[] = "CAgSCHRvbyBtdWNoGjEKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5S"
                                  "ZXRyeUluZm8SBQoDCKwC";
    char want[512];
    (void)state;
    snprintf(want, sizeof want,
        "\r\nGrpc-Status: 8\r\nGrpc-Message: too much\r\nGrpc-Status-Details-Bin: %s\r\n\r\n",
        details);
    expect_error(ask_matcher("application/grpc", "", "later"), want);
    snprintf(want, sizeof want,
        "grpc-status: 8\r\ngrpc-message: too much\r\ngrpc-status-details-bin: %s\r\n", details);
    expect_part(ask_matcher("application/grpc-web", "", "later"), str_from(want));
}

static void test_sizes(void **state)
{
    char text[256];
    (void)state;
    memset(text, 'x', sizeof text);
    text[98] = 0; /* and two bytes before it */
    expect_part(ask_matcher("application/grpc", "", text), STR("Grpc-Status: 0\r\n"));
    text[98] = 'x';
    text[99] = 0;
    expect_error(ask_matcher("application/grpc", "", text),
        "Grpc-Status: 8\r\nGrpc-Message: message size 101 is larger than configured max "
        "100\r\n\r\n");
    assert_int_equal(fx.n_seen, 1);
}

static void test_errors(void **state)
{
    (void)state;
    expect_error(ask_matcher("application/grpc", "", "fail"),
        "Grpc-Status: 5\r\nGrpc-Message: 50%25 of \"%C3%A9\"%0A%EF%BF%BD\r\n\r\n");
    struct str answer = ask_matcher("application/grpc-web", "", "fail");
    expect_part(answer, STR("\r\n\r\n\x80\0\0\0="
                            "grpc-status: 5\r\ngrpc-message: 50%25 of \"%C3%A9\"%0A%EF%BF%BD\r\n"));
}

static void test_deadlines(void **state)
{
    static const struct {
        const char *header;
        int64_t ns; /* -1: refused; 0: none */
    } rows[] = {
        {"Grpc-Timeout: 3H\r\n", 3 * 3600 * NS_PER_S},
        {"Grpc-Timeout: 99999999M\r\n", 99999999LL * 60 * NS_PER_S},
        {"Grpc-Timeout: 99999999H\r\n", 0},
        {"Grpc-Timeout: 10S\r\n", 10 * NS_PER_S},
        {"Grpc-Timeout: 20000m\r\n", 20 * NS_PER_S},
        {"Grpc-Timeout: 9000000u\r\n", 9 * NS_PER_S},
        {"Grpc-Timeout: 123456789S\r\n", -1},
        {"Grpc-Timeout: S\r\n", -1},
        {"Grpc-Timeout: 1s\r\n", -1},
        {"Grpc-Timeout: -1S\r\n", -1},
        {"Grpc-Timeout: 1\r\n", -1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fx.s->loop.now_ns = clock_mono_ns();
        fx.deadline_mono_ns = 0;
        struct str answer = ask_matcher("application/grpc", rows[i].header, "x");
        if (rows[i].ns < 0)
            expect_part(
                answer, STR("Grpc-Status: 3\r\nGrpc-Message: protocol error: invalid timeou"));
        else
            assert_int_equal(fx.deadline_mono_ns, rows[i].ns ? fx.s->loop.now_ns + rows[i].ns : 0);
    }
    expect_error(ask_matcher("application/grpc", "Grpc-Timeout: 1n\r\n", "x"),
        "Grpc-Status: 4\r\nGrpc-Message: deadline exceeded\r\n\r\n");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_whole_answer),
        T(test_types),
        T(test_web_text),
        T(test_gzip),
        T(test_framing_refused),
        T(test_try_later),
        T(test_sizes),
        T(test_errors),
        T(test_deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
