/* The HTTP/1 protocol in memory: framing, refusals, budget, time; no socket, no thread. */
#include "test.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http_mem.h"
#include "net/http1_int.h"

/* ---- a server without threads ---- */

struct fixture {
    struct http_server *s;
    struct mem_io io;
    struct conn *c;
    struct http_request *held; /* the request that on_hold did not answer */
    uint64_t seen, max;
    char told[256]; /* what on_refused was told last */
};
static struct fixture fx;

static void on_echo(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_reply_text(rq, 200, STR("text/plain"), rq->body);
}

static void on_path(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_reply_text(rq, 200, STR("text/plain"), rq->path);
}

static void on_hold(struct http_request *rq, void *ctx)
{
    (void)ctx;
    fx.held = rq;
}

static void on_abandon(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_abandon(rq);
}

static void on_too_large(struct http_request *rq, uint64_t seen, uint64_t max)
{
    fx.seen = seen;
    fx.max = max;
    http_reply_text(rq, 429, STR("text/plain"), STR("mine"));
}

static void on_refused(struct http_request *rq, enum http_refusal why, const struct error *err)
{
    (void)err;
    struct str tenant = http_header_get(rq, STR("x-scope-orgid"));
    snprintf(fx.told, sizeof fx.told, "%d %.*s?%.*s %.*s %.*s", why, STR_ARG(rq->path),
        STR_ARG(rq->query), STR_ARG(tenant), STR_ARG(rq->body));
}

static void on_injection(struct http_request *rq, void *ctx)
{
    (void)ctx;
    struct http_header h = {STR("X-Value"), STR("a\r\nSet-Cookie: b\0c")};
    struct http_response rs = {.status = 200, .more_headers = &h, .n_more_headers = 1};
    http_reply(rq, &rs);
}

static void on_cut(struct http_request *rq, void *ctx)
{
    (void)ctx;
    struct http_response rs = {.status = 200};
    buf_init(&rs.body, 4);
    buf_str(&rs.body, STR("too long"));
    http_reply(rq, &rs);
}

static void on_trailers(struct http_request *rq, void *ctx)
{
    (void)ctx;
    struct http_header trailers[] = {{STR("Grpc-Status"), STR("0")}, {STR("X-B"), STR("b\r\nc")}};
    struct http_response rs = {.status = 200, .trailers = trailers, .n_trailers = 2};
    buf_init(&rs.body, 64);
    buf_str(&rs.body, rq->body);
    http_reply(rq, &rs);
}

static const struct http_route routes[] = {
    {HTTP_M_GET | HTTP_M_POST, "/trailers", "trailers", on_trailers, NULL, true, NULL, 0},
    {HTTP_M_GET, "/", "root", on_path, NULL, true, NULL, 0},
    {HTTP_M_POST | HTTP_M_PUT, "/echo", "echo", on_echo, NULL, true, NULL, 0},
    {HTTP_M_GET, "/echo", "echo", on_path, NULL, true, NULL, 0},
    {HTTP_M_POST, "/small", "small", on_echo, NULL, true, NULL, 10},
    {HTTP_M_POST, "/mine", "mine", on_echo, NULL, true, on_too_large, 10},
    {HTTP_M_GET, "/hold", "hold", on_hold, NULL, true, NULL, 0},
    {HTTP_M_POST, "/told", "told", on_echo, NULL, true, NULL, 0, on_refused},
    {HTTP_M_GET, "/abandon", "abandon", on_abandon, NULL, true, NULL, 0},
    {HTTP_M_GET, "/injection", "injection", on_injection, NULL, true, NULL, 0},
    {HTTP_M_GET, "/cut", "cut", on_cut, NULL, true, NULL, 0},
};

static void open_with(const struct http_server_config *cfg)
{
    fx = (struct fixture){0};
    assert_int_equal(server_new(cfg, routes, ARRAY_LEN(routes), &fx.s, NULL), ST_OK);
    fx.s->loop.now_ns = 0;
    fx.c = mem_open(fx.s, &fx.io);
    clock_wall_set_for_tests(784111777 * NS_PER_S);
}

static struct http_server_config defaults(void)
{
    struct http_server_config cfg;
    http_server_config_init(&cfg);
    return cfg;
}

static void open_default(void)
{
    struct http_server_config cfg = defaults();
    open_with(&cfg);
}

static void done(void)
{
    if (!fx.io.closed)
        conn_close(fx.c);
    loop_settle(&fx.s->loop);
    assert_int_equal(fx.s->body_used, 0);
    buf_done(&fx.io.out);
    server_free(fx.s);
}

static void feed_str(struct str in)
{
    fx.io.in = in;
    mem_run(fx.s, &fx.io, fx.c);
}

#define feed(literal) feed_str(STR(literal))

static void later(int64_t ns)
{
    fx.s->loop.now_ns += ns;
    loop_settle(&fx.s->loop);
    loop_settle(&fx.s->loop);
}

static bool out_has(const char *part)
{
    return str_contains(buf_view(&fx.io.out), str_from(part));
}

static int count_out(const char *part)
{
    struct str rest = buf_view(&fx.io.out);
    int n = 0;
    size_t at;
    while ((at = str_find(rest, str_from(part))) != STR_NPOS) {
        rest = str_skip(rest, at + 1);
        n++;
    }
    return n;
}

static void expect_status(const char *status)
{
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %s ", status);
    if (!str_starts(buf_view(&fx.io.out), str_from(line)))
        fail_msg("wanted %s, got %.*s", status, STR_ARG(buf_view(&fx.io.out)));
}

/* ---- plain requests ---- */

static void test_whole_reply(void **state)
{
    (void)state;
    open_default();
    feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(str_eq(
        buf_view(&fx.io.out), STR("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                  "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\n/")));
    assert_false(fx.io.closed);
    done();
}

static void test_head_and_versions(void **state)
{
    (void)state;
    open_default();
    feed("HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(out_has("Content-Length: 5\r\n\r\n"));
    assert_true(str_ends(buf_view(&fx.io.out), STR("\r\n\r\n")));
    buf_clear(&fx.io.out);
    feed("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect_status("200");
    assert_true(out_has("Connection: keep-alive\r\n"));
    assert_false(fx.io.closed);
    feed("GET / HTTP/1.0\r\n\r\n");
    assert_true(out_has("Connection: close\r\n"));
    assert_true(fx.io.closed);
    done();
}

static void test_targets(void **state)
{
    (void)state;
    struct http_server_config cfg = defaults();
    cfg.path_prefix = STR("/base/");
    open_with(&cfg);
    feed("GET http://host:1/base/echo?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(str_ends(buf_view(&fx.io.out), STR("\r\n\r\n/echo")));
    buf_clear(&fx.io.out);
    feed("GET /base HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(str_ends(buf_view(&fx.io.out), STR("\r\n\r\n/")));
    buf_clear(&fx.io.out);
    feed("GET /based/echo HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_status("404");
    assert_true(str_ends(buf_view(&fx.io.out), STR("\r\n\r\n404 page not found\n")));
    buf_clear(&fx.io.out);
    feed("DELETE /base/echo HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_status("405");
    assert_true(out_has("Allow: GET, HEAD, POST, PUT\r\n"));
    assert_true(out_has("Content-Length: 0\r\n"));
    assert_false(fx.io.closed);
    done();
}

static void test_upgrade_is_ignored(void **state)
{
    (void)state;
    open_default();
    feed("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
         "Content-Length: 2\r\n\r\nhi");
    expect_status("200");
    assert_true(str_ends(buf_view(&fx.io.out), STR("\r\n\r\nhi")));
    done();
}

/* ---- framing ---- */

#define PIPELINED                                                              \
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"           \
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n"                                        \
    "\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n" \
    "2;a=b;c=\"d e\"\r\nth\r\n003\r\nree\r\n0;x\r\nTrailer: x\r\nY:\r\n\r\n"   \
    "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"

static void check_pipelined(size_t read_max)
{
    open_default();
    fx.io.read_max = read_max;
    feed(PIPELINED);
    struct str out = buf_view(&fx.io.out);
    size_t one = str_find(out, STR("\r\n\r\none")), root = str_find(out, STR("\r\n\r\n/H"));
    size_t three = str_find(out, STR("\r\n\r\nthreeHTTP"));
    assert_true(one < root && root < three && three != STR_NPOS);
    assert_true(str_ends(out, STR("\r\n\r\n/echo")));
    assert_int_equal(count_out("HTTP/1.1 200 OK"), 4);
    done();
}

static void test_pipelining_in_any_pieces(void **state)
{
    (void)state;
    for (size_t n = 1; n <= sizeof PIPELINED; n++)
        check_pipelined(n);
}

static void test_pipelined_behind_a_held_request(void **state)
{
    (void)state;
    open_default();
    feed("GET /hold HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(fx.io.out.n, 0);
    assert_non_null(fx.held);
    char *p;
    size_t n;
    assert_false(fx.c->protocol->want(fx.c, &p, &n));
    http_reply_text(fx.held, 202, STR_EMPTY, STR_EMPTY);
    loop_settle(&fx.s->loop);
    loop_settle(&fx.s->loop);
    expect_status("202");
    assert_true(str_ends(buf_view(&fx.io.out), STR("\r\n\r\n/")));
    done();
}

static void test_partial_writes(void **state)
{
    (void)state;
    open_default();
    fx.io.write_max = 1;
    feed(PIPELINED);
    assert_int_equal(count_out("HTTP/1.1 200 OK"), 4);
    done();
}

struct hostile {
    const char *status;
    struct str raw;
};
#define H "POST /echo HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED H "Transfer-Encoding: chunked\r\n\r\n"
#define BAD(status, literal)             \
    {                                    \
        status,                          \
        {                                \
            literal, sizeof(literal) - 1 \
        }                                \
    }

static const struct hostile hostiles[] = {
    /* two servers could see two different ends of these */
    BAD("400", H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD("400", H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
    BAD("400", H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD("400", H "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    BAD("400", H "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
    BAD("400", H "Content-Length: 3, 3\r\n\r\nabc"),
    BAD("400", H "Content-Length: +3\r\n\r\nabc"),
    BAD("400", H "Content-Length: 0x3\r\n\r\nabc"),
    BAD("400", H "Content-Length: -3\r\n\r\nabc"),
    BAD("400", H "Content-Length:\r\n\r\nabc"),
    BAD("400", H "Content-Length: 3 3\r\n\r\nabc"),
    BAD("400", H "Content-Length: 99999999999999999999999\r\n\r\nabc"),
    BAD("400", H "Content-Length : 3\r\n\r\nabc"),
    BAD("400", H "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    BAD("501", H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    BAD("501", H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    BAD("400", H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    BAD("400", H "Transfer-Encoding:\x0b"
                 "chunked\r\n\r\n0\r\n\r\n"),
    BAD("400", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    /* line ends, folding, names */
    BAD("400", "GET / HTTP/1.1\nHost: a\n\n"),
    BAD("400", "GET / HTTP/1.1\r\nHost: a\n\r\n"),
    BAD("400", "GET / HTTP/1.1\r\nHost: a\r\n\n"),
    BAD("400", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"),
    BAD("400", "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"),
    BAD("400", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    BAD("400", "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n"),
    BAD("400", "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"),
    BAD("400", "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"),
    BAD("400", "GET / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n"),
    BAD("400", "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n"),
    BAD("400", "GET / HTTP/1.1\r\n\r\n"),
    BAD("400", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    /* request lines */
    BAD("400", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD("400", "GET / x HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD("400", "GET /\r\n\r\n"),
    BAD("400", "get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD("400", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD("400", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD("400", "SOURCE / ICE/1.0\r\n\r\n"),
    BAD("505", "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    BAD("505", "GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
    BAD("505", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    BAD("501", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD("400", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    BAD("417", H "Expect: something\r\nContent-Length: 1\r\n\r\n"),
    /* chunks */
    BAD("400", CHUNKED "3\nabc\r\n0\r\n\r\n"),
    BAD("400", CHUNKED "3\r\nabc\n0\r\n\r\n"),
    BAD("400", CHUNKED "3\r\nabcd\r\n0\r\n\r\n"),
    BAD("400", CHUNKED "\r\nabc\r\n0\r\n\r\n"),
    BAD("400", CHUNKED "-3\r\nabc\r\n0\r\n\r\n"),
    BAD("400", CHUNKED "0x3\r\nabc\r\n0\r\n\r\n"),
    BAD("400", CHUNKED ";a\r\nabc\r\n0\r\n\r\n"),
    BAD("400", CHUNKED "3;a\nabc\r\n0\r\n\r\n"),
    BAD("400", CHUNKED "1000000000000000\r\nabc"),
    BAD("400", CHUNKED "0\r\n\n"),
    BAD("400", CHUNKED "0\r\nX: y\n\r\n"),
    BAD("400", CHUNKED "0\r\nX: y\r\n\n"),
    BAD("400", CHUNKED "0\r\n folded\r\n\r\n"),
};

static void test_hostile(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hostiles); i++) {
        for (size_t piece = 1; piece < 200; piece += 99) {
            open_default();
            fx.io.read_max = piece;
            feed_str(hostiles[i].raw);
            expect_status(hostiles[i].status);
            assert_int_equal(count_out("HTTP/1.1 "), 1);
            assert_true(out_has("Connection: close\r\n"));
            assert_true(fx.io.shut);
            feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); /* never served */
            assert_int_equal(count_out("HTTP/1.1 "), 1);
            later(LINGER_NS);
            assert_true(fx.io.closed);
            done();
        }
    }
}

static void add_headers(struct buf *b, int n, size_t value_bytes)
{
    buf_str(b, STR("GET / HTTP/1.1\r\nHost: a\r\n"));
    for (int i = 0; i < n; i++) {
        buf_printf(b, "X-%d: ", i);
        for (size_t k = 0; k < value_bytes; k++)
            buf_byte(b, 'v');
        buf_str(b, STR("\r\n"));
    }
    buf_str(b, STR("\r\n"));
}

static void check_headers(int n, size_t value_bytes, const char *status)
{
    struct buf b;
    buf_init(&b, 1 * MIB);
    add_headers(&b, n, value_bytes);
    open_default();
    feed_str(buf_view(&b));
    expect_status(status);
    buf_done(&b);
    done();
}

static void test_header_limits(void **state)
{
    (void)state;
    check_headers(HEADERS_MAX - 1, 10, "200");
    check_headers(HEADERS_MAX, 10, "431");
    /* 34 bytes around the value */
    check_headers(1, 64 * KIB - 34, "200");
    check_headers(1, 64 * KIB - 33, "431");
}

static void test_endless_empty_lines(void **state)
{
    (void)state;
    struct http_server_config cfg = defaults();
    cfg.header_bytes_max = 100;
    open_with(&cfg);
    for (int i = 0; i < 50; i++)
        feed("\r\n");
    expect_status("431");
    done();
}

/* ---- what is refused is told to its route ---- */

static void told(enum http_refusal why, const char *status, const char *text)
{
    char want[256];
    snprintf(want, sizeof want, "%d %s", why, text);
    assert_string_equal(fx.told, want);
    expect_status(status);
    done();
}

/* A header of `head`, and behind it what is too much. */
static void open_small(const char *head)
{
    struct http_server_config cfg = defaults();
    cfg.header_bytes_max = 100;
    open_with(&cfg);
    feed_str(str_from(head));
    for (int i = 0; i < 10; i++)
        feed("0123456789");
}

static void test_refused_header_is_told(void **state)
{
    (void)state;
    open_small("POST /told?a HTTP/1.1\r\nX-Scope-OrgID: t\r\nX-Long: ");
    told(HTTP_REFUSED_HEADER, "431", "/told?a t ");
    open_small("\r\nPOST /told HTTP/1.1\r\nX-Scope-OrgID: half");
    told(HTTP_REFUSED_HEADER, "431", "/told?  ");
    open_small("POST /told HTTP/1.1\r\nwithout colon\r\nX-Scope-OrgID: t\r\n");
    told(HTTP_REFUSED_HEADER, "431", "/told?  ");
    open_small("POST /told?");
    told(HTTP_REFUSED_HEADER, "431",
        "/told?01234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "012345678  ");
    for (int i = 0; i < 3; i++) { /* no such route, another method, nothing at all */
        open_small(i == 0 ? "POST /tol?" : i == 1 ? "GET /told HTTP/1.1\r\n" : "POST");
        assert_string_equal(fx.told, "");
        expect_status("431");
        done();
    }
}

static void test_slow_header_is_told(void **state)
{
    (void)state;
    open_default();
    feed("POST /told HTTP/1.1\r\nX-Scope-OrgID: t\r\n");
    later(11 * NS_PER_S);
    told(HTTP_REFUSED_SLOW_HEADER, "408", "/told? t ");
}

static void test_refused_body_is_told(void **state)
{
    (void)state;
    const struct str head = STR("POST /told HTTP/1.1\r\nHost: a\r\nX-Scope-OrgID: t\r\n");
    open_default();
    feed_str(head);
    feed("Content-Length: 9\r\n\r\nhalf");
    later(31 * NS_PER_S);
    told(HTTP_REFUSED_SLOW_BODY, "408", "/told? t half");
    open_default();
    feed_str(head);
    feed("Transfer-Encoding: chunked\r\n\r\n4\r\nhalfx");
    told(HTTP_REFUSED_BAD_BODY, "400", "/told? t half");
}

/* ---- bodies ---- */

static void test_body_limit(void **state)
{
    (void)state;
    open_default();
    feed("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789");
    expect_status("200");
    buf_clear(&fx.io.out);
    feed("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    expect_status("413");
    assert_true(
        out_has("{\"code\":\"invalid_argument\",\"message\":\"request body too large\"}\n"));
    assert_true(out_has("X-Content-Type-Options: nosniff\r\n"));
    assert_true(fx.io.shut && !fx.io.closed);
    fx.io.eof = true;
    feed("01234567890");
    assert_true(fx.io.closed);
    done();
}

static void test_chunked_body_limit(void **state)
{
    (void)state;
    open_default();
    feed("POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
         "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n");
    expect_status("200");
    buf_clear(&fx.io.out);
    feed("POST /mine HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
         "5\r\n01234\r\nFF\r\n");
    expect_status("429");
    assert_true(str_ends(buf_view(&fx.io.out), STR("mine")));
    assert_int_equal(fx.seen, 5 + 255);
    assert_int_equal(fx.max, 10);
    done();
}

static void test_framing_without_data(void **state)
{
    (void)state;
    struct http_server_config cfg = defaults();
    cfg.header_bytes_max = 200;
    open_with(&cfg);
    feed(CHUNKED "1;");
    for (int i = 0; i < 100; i++)
        feed("xxxxxxxxxx");
    expect_status("400");
    done();
}

static void test_linger_is_bounded(void **state)
{
    (void)state;
    open_default();
    feed("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    expect_status("413");
    struct str junk = str_make(mem_new(1 * MIB), 1 * MIB);
    for (uint64_t i = 0; i < LINGER_BYTES / MIB; i++) {
        feed_str(junk);
        assert_false(fx.io.closed);
    }
    feed_str(junk);
    assert_true(fx.io.closed);
    mem_free((void *)(uintptr_t)junk.p);
    done();
}

static void test_refused_body_is_skipped(void **state)
{
    (void)state;
    open_default();
    fx.io.read_max = 7;
    feed("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n"
         "GET / HTTP/1.1\r\nHost: smuggled\r\n\r\n------"
         "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_status("404");
    assert_int_equal(count_out("HTTP/1.1 "), 2);
    assert_true(str_ends(buf_view(&fx.io.out), STR("\r\n\r\n/echo")));
    done();
}

static void test_expect(void **state)
{
    (void)state;
    open_default();
    feed(H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_true(str_eq(buf_view(&fx.io.out), STR("HTTP/1.1 100 Continue\r\n\r\n")));
    feed("hi");
    assert_true(str_ends(buf_view(&fx.io.out), STR("\r\n\r\nhi")));
    buf_clear(&fx.io.out);
    feed(H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"); /* did not wait */
    expect_status("200");
    assert_int_equal(count_out("HTTP/1.1 "), 1);
    buf_clear(&fx.io.out);
    feed("POST /small HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
    expect_status("413");
    assert_int_equal(count_out("HTTP/1.1 "), 1);
    done();
}

static void test_expect_behind_a_pipelined_request(void **state)
{
    (void)state;
    open_default();
    feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_true(str_ends(buf_view(&fx.io.out), STR("/HTTP/1.1 100 Continue\r\n\r\n")));
    done();
}

/* ---- the budget ---- */

static void test_budget(void **state)
{
    (void)state;
    struct http_server_config cfg = defaults();
    cfg.body_budget_bytes = 100;
    open_with(&cfg);
    assert_true(budget_take(fx.s, 95));
    fx.io.read_max = 9;
    feed(H "Content-Length: 10\r\n\r\n0123456789");
    assert_true(fx.io.in.n > 0); /* not even read */
    assert_int_equal(fx.c->timer, CONN_T_BUDGET);
    later(4 * NS_PER_S);
    assert_int_equal(fx.io.out.n, 0);
    budget_give(fx.s, 95);
    loop_settle(&fx.s->loop);
    mem_run(fx.s, &fx.io, fx.c);
    expect_status("200");
    assert_true(str_ends(buf_view(&fx.io.out), STR("\r\n\r\n0123456789")));
    assert_int_equal(fx.s->body_used, 0);
    buf_clear(&fx.io.out);

    assert_true(budget_take(fx.s, 95));
    feed(CHUNKED "A\r\n0123456789\r\n0\r\n\r\n");
    later(4 * NS_PER_S);
    assert_int_equal(fx.io.out.n, 0);
    later(1 * NS_PER_S); /* looking again did not start the time anew */
    expect_status("503");
    assert_true(
        out_has("{\"code\":\"unavailable\",\"message\":\"too many request bodies in flight\"}"));
    budget_give(fx.s, 95);
    done();
}

static void test_large_headers_are_charged(void **state)
{
    (void)state;
    struct http_server_config cfg = defaults();
    cfg.body_budget_bytes = 40 * KIB;
    open_with(&cfg);
    struct str junk = str_make(mem_new(9 * KIB), 9 * KIB);
    memset((void *)(uintptr_t)junk.p, 'x', junk.n);
    feed("GET /echo?");
    assert_int_equal(fx.s->body_used, 0);
    for (size_t i = 1; i <= 4; i++) {
        feed_str(junk);
        assert_int_equal(fx.io.out.n, 0);
        assert_true(fx.s->body_used >= i * junk.n && fx.s->body_used <= 40 * KIB);
    }
    feed_str(junk);
    expect_status("503");
    assert_int_equal(fx.s->body_used, 0);
    mem_free((void *)(uintptr_t)junk.p);
    done();
}

static void test_body_over_the_budget_is_too_large(void **state)
{
    (void)state;
    struct http_server_config cfg = defaults();
    cfg.body_budget_bytes = 100;
    open_with(&cfg);
    feed(H "Content-Length: 101\r\n\r\n");
    expect_status("413");
    done();
}

static void test_announcing_holds_little(void **state)
{
    (void)state;
    open_default();
    feed(H "Content-Length: 200000000\r\n\r\nx");
    assert_true(fx.s->body_used <= BUDGET_STEP);
    struct str junk = str_make(mem_new(3 * MIB), 3 * MIB);
    feed_str(junk);
    assert_true(fx.s->body_used > 3 * MIB && fx.s->body_used <= 3 * MIB + 2 * BUDGET_STEP);
    mem_free((void *)(uintptr_t)junk.p);
    done();
}

/* ---- time, leaving, stopping ---- */

static void test_timeouts(void **state)
{
    (void)state;
    struct http_server_config cfg = defaults();
    open_with(&cfg);
    later(cfg.idle_timeout_ns - 1);
    assert_false(fx.io.closed);
    later(1);
    assert_true(fx.io.closed);
    assert_int_equal(fx.io.out.n, 0);
    done();

    open_with(&cfg); /* a byte now and then does not help */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(fx.io.out.n, 0);
        feed("G");
        later(cfg.header_timeout_ns / 10);
    }
    expect_status("408");
    assert_true(out_has("timeout reading the request header"));
    later(LINGER_NS);
    assert_true(fx.io.closed);
    done();

    open_with(&cfg); /* while for bodies it does */
    feed(H "Content-Length: 5\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        feed("x");
        later(cfg.body_timeout_ns - 1);
        assert_int_equal(fx.io.out.n, 0);
    }
    later(1);
    expect_status("408");
    assert_true(
        out_has("{\"code\":\"unknown\",\"message\":\"error reading request body bytes_read 3: "
                "timeout\"}\n"));
    done();
}

static void test_write_timeout(void **state)
{
    (void)state;
    struct http_server_config cfg = defaults();
    open_with(&cfg);
    fx.io.write_quota = 0;
    feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    later(cfg.write_timeout_ns - 1);
    fx.io.write_quota = 1; /* progress */
    conn_event(fx.c, false, true, false, false);
    assert_int_equal(fx.io.out.n, 1);
    later(cfg.write_timeout_ns - 1);
    assert_false(fx.io.closed);
    later(1);
    assert_true(fx.io.closed);
    done();
}

static void test_eof(void **state)
{
    (void)state;
    open_default();
    fx.io.eof = true;
    feed("GET / HT");
    assert_true(fx.io.closed);
    assert_int_equal(fx.io.out.n, 0);
    done();
    open_default();
    fx.io.eof = true;
    feed(H "Content-Length: 5\r\n\r\nabc");
    expect_status("408");
    assert_true(out_has("bytes_read 3: unexpected EOF"));
    done();
}

static void test_gone(void **state)
{
    (void)state;
    open_default();
    feed("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_false(atomic_load(&fx.held->gone));
    conn_event(fx.c, false, false, true, false); /* closed its sending side only */
    assert_true(atomic_load(&fx.held->gone));
    http_reply_text(fx.held, 200, STR_EMPTY, STR("still sent"));
    fx.io.eof = true;
    mem_run(fx.s, &fx.io, fx.c);
    expect_status("200");
    assert_true(fx.io.closed);
    done();

    open_default();
    feed("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    conn_event(fx.c, false, false, true, true); /* reset */
    assert_true(atomic_load(&fx.held->gone));
    assert_true(fx.io.closed);
    loop_settle(&fx.s->loop); /* frees the connection, not the request */
    assert_true(str_eq(fx.held->path, STR("/hold")));
    http_reply_text(fx.held, 200, STR_EMPTY, STR("to nobody"));
    loop_settle(&fx.s->loop);
    assert_int_equal(fx.io.out.n, 0);
    done();
}

static void test_abandon(void **state)
{
    (void)state;
    open_default();
    feed("GET /abandon HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(fx.io.closed);
    assert_int_equal(fx.io.out.n, 0);
    done();
}

static void test_stop_closes_after_the_reply(void **state)
{
    (void)state;
    open_default();
    feed("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    atomic_store(&fx.s->stopping, true);
    fx.c->protocol->on_stop(fx.c);
    assert_false(fx.io.closed);
    http_reply_text(fx.held, 200, STR_EMPTY, STR("bye"));
    loop_settle(&fx.s->loop);
    assert_true(out_has("Connection: close\r\n"));
    assert_true(fx.io.closed);
    done();
}

/* ---- replies ---- */

static void test_reply_fields_are_safe(void **state)
{
    (void)state;
    open_default();
    feed("GET /injection HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(out_has("X-Value: a  Set-Cookie: b c\r\n"));
    done();
}

static void test_trailers(void **state)
{
    (void)state;
    open_default();
    feed("POST /trailers HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\nseventeen letters"
         "POST /trailers HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
         "HEAD /trailers HTTP/1.1\r\nHost: x\r\n\r\n"
         "POST /trailers HTTP/1.0\r\nHost: x\r\nContent-Length: 3\r\n\r\nold");
    static const char head[] = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                               "Transfer-Encoding: chunked\r\nTrailer: Grpc-Status, X-B\r\n\r\n";
    static const char end[] = "0\r\nGrpc-Status: 0\r\nX-B: b  c\r\n\r\n";
    char want[2048];
    snprintf(want, sizeof want,
        "%s11\r\nseventeen letters\r\n%s%s%s%s"
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 3\r\n"
        "Connection: close\r\n\r\nold",
        head, end, head, end, head);
    assert_int_equal(fx.io.out.n, strlen(want));
    assert_memory_equal(fx.io.out.p, want, strlen(want));
    done();
}

static void test_cut_body_is_an_error(void **state)
{
    (void)state;
    open_default();
    feed("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_status("500");
    assert_true(out_has("{\"code\":\"internal\",\"message\":\"the response is too large\"}\n"));
    done();
}

static void test_error_json(void **state)
{
    (void)state;
    open_default();
    feed("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    struct error err;
    error_set(&err, ST_INVALID_ARGUMENT, __FILE__, __LINE__,
        "<a> & \"b\" \\ \n\t\x01 %s \xff\xc3 ü \xe2\x80\xa8", "€");
    err.http = 422;
    http_reply_error(fx.held, &err);
    loop_settle(&fx.s->loop);
    expect_status("422");
    assert_true(out_has("Content-Type: application/json\r\n"));
    assert_true(out_has(
        "{\"code\":\"invalid_argument\",\"message\":\"\\u003ca\\u003e \\u0026 \\\"b\\\" \\\\ "
        "\\n\\t\\u0001 € \\ufffd\\ufffd ü \\u2028\"}\n"));
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_reply),
        cmocka_unit_test(test_head_and_versions),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_upgrade_is_ignored),
        cmocka_unit_test(test_pipelining_in_any_pieces),
        cmocka_unit_test(test_pipelined_behind_a_held_request),
        cmocka_unit_test(test_partial_writes),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_header_limits),
        cmocka_unit_test(test_endless_empty_lines),
        cmocka_unit_test(test_refused_header_is_told),
        cmocka_unit_test(test_slow_header_is_told),
        cmocka_unit_test(test_refused_body_is_told),
        cmocka_unit_test(test_body_limit),
        cmocka_unit_test(test_chunked_body_limit),
        cmocka_unit_test(test_framing_without_data),
        cmocka_unit_test(test_linger_is_bounded),
        cmocka_unit_test(test_refused_body_is_skipped),
        cmocka_unit_test(test_expect),
        cmocka_unit_test(test_expect_behind_a_pipelined_request),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_large_headers_are_charged),
        cmocka_unit_test(test_body_over_the_budget_is_too_large),
        cmocka_unit_test(test_announcing_holds_little),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_write_timeout),
        cmocka_unit_test(test_eof),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_abandon),
        cmocka_unit_test(test_stop_closes_after_the_reply),
        cmocka_unit_test(test_reply_fields_are_safe),
        cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_cut_body_is_an_error),
        cmocka_unit_test(test_error_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
