/* The HTTP server with its threads on loopback, driven by raw sockets. What needs no thread is in
 * test_http1.c. Nothing here sleeps: tests wait for bytes, for the end of a stream (sockets have a
 * timeout of 20 s, which fails the test), or for a count that handlers raise. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "codec/gzip.h"
#include "net/http.h"

/* ---- counts ---- */

/* A counter that tests and handlers wait on. */
struct count {
    struct mutex lock;
    struct cond changed;
    int n;
};
static struct count entered, opened;

static void count_add(struct count *g, int n)
{
    mutex_lock(&g->lock);
    g->n += n;
    mutex_unlock(&g->lock);
    cond_broadcast(&g->changed);
}

/* Waits for n and takes them. */
static void count_take(struct count *g, int n)
{
    mutex_lock(&g->lock);
    while (g->n < n)
        cond_wait(&g->changed, &g->lock);
    g->n -= n;
    mutex_unlock(&g->lock);
}

/* ---- handlers ---- */

static struct http_request *held;
static atomic_bool saw_gone;

static void on_hello(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_reply_text(rq, 200, STR("text/plain"), STR("hello"));
}

static void on_echo(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_reply_text(rq, 200, STR("text/plain"), rq->body);
}

static void on_peer(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_reply_text(rq, 200, STR("text/plain"), rq->peer);
}

/* Announces itself and answers when the test says so. */
static void on_gated(struct http_request *rq, void *ctx)
{
    (void)ctx;
    count_add(&entered, 1);
    count_take(&opened, 1);
    http_reply_text(rq, 200, STR("text/plain"), STR("gated"));
}

static void on_held(struct http_request *rq, void *ctx)
{
    (void)ctx;
    held = rq;
    count_add(&entered, 1);
}

static void on_wait_gone(struct http_request *rq, void *ctx)
{
    (void)ctx;
    count_add(&entered, 1);
    while (!atomic_load(&rq->gone))
        usleep(100);
    atomic_store(&saw_gone, true);
    /* The connection is freed by now or soon; the request is ours. */
    assert_true(str_eq(rq->path, STR("/wait-gone")));
    http_reply_text(rq, 200, STR("text/plain"), rq->target);
    count_add(&entered, 1);
}

/* ?n= bytes that can be checked. */
static void on_big(struct http_request *rq, void *ctx)
{
    (void)ctx;
    struct str n;
    uint64_t bytes = 0;
    struct http_response rs = {.status = 200};
    if (http_query_get(rq, STR("n"), &n))
        str_to_u64(n, &bytes);
    buf_init(&rs.body, bytes);
    buf_reserve(&rs.body, bytes);
    for (uint64_t i = 0; i < bytes; i++)
        buf_byte(&rs.body, (uint8_t)(i * 7 + (i >> 16)));
    http_reply(rq, &rs);
}

static void on_zipped(struct http_request *rq, void *ctx)
{
    struct http_response rs = {.status = 200, .gzip = *(enum http_gzip *)ctx};
    buf_init(&rs.body, 1 * MIB);
    struct str n;
    uint64_t bytes = 0;
    if (http_query_get(rq, STR("n"), &n))
        str_to_u64(n, &bytes);
    for (uint64_t i = 0; i < bytes; i++)
        buf_byte(&rs.body, 'z');
    http_reply(rq, &rs);
}

static enum http_gzip gzip_auto = HTTP_GZIP_AUTO, gzip_always = HTTP_GZIP_ALWAYS,
                      gzip_never = HTTP_GZIP_NEVER;

static atomic_int told[HTTP_REFUSALS];

static void on_refused(struct http_request *rq, enum http_refusal why, const struct error *err)
{
    (void)rq;
    (void)err;
    atomic_fetch_add(&told[why], 1);
}

static const struct http_route routes[] = {
    {HTTP_M_GET, "/hello", "hello", on_hello, NULL, true, NULL, 0},
    {HTTP_M_POST, "/echo", "echo", on_echo, NULL, false, NULL, 0},
    {HTTP_M_GET, "/peer", "peer", on_peer, NULL, false, NULL, 0},
    {HTTP_M_GET | HTTP_M_POST, "/gated", "gated", on_gated, NULL, false, NULL, 0, on_refused},
    {HTTP_M_GET, "/held", "held", on_held, NULL, false, NULL, 0},
    {HTTP_M_GET, "/wait-gone", "wait_gone", on_wait_gone, NULL, false, NULL, 0},
    {HTTP_M_GET, "/big", "big", on_big, NULL, false, NULL, 0},
    {HTTP_M_GET, "/auto", "auto", on_zipped, &gzip_auto, false, NULL, 0},
    {HTTP_M_GET, "/always", "always", on_zipped, &gzip_always, false, NULL, 0},
    {HTTP_M_GET, "/never", "never", on_zipped, &gzip_never, false, NULL, 0},
};

/* ---- a server and clients ---- */

static struct http_server *server;

static struct http_server_config config(void)
{
    struct http_server_config cfg;
    http_server_config_init(&cfg);
    cfg.address = STR("127.0.0.1");
    cfg.port = 0;
    cfg.workers = 2;
    return cfg;
}

static void start_with(const struct http_server_config *cfg)
{
    struct error err;
    if (http_server_start(cfg, routes, ARRAY_LEN(routes), &server, &err) != ST_OK)
        fail_msg("%s", err.msg);
}

static void start(void)
{
    struct http_server_config cfg = config();
    start_with(&cfg);
}

static void stop(void)
{
    http_server_stop(server, 10 * NS_PER_S);
    assert_true(metric_get(M_TCP_CONNECTIONS, STR("http")) == 0);
    assert_true(metric_get(M_BODY_BYTES) == 0);
    assert_true(metric_get(M_WORK_QUEUE) == 0);
}

static int dial_small(int receive_bytes)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
        .sin_port = htons(http_server_port(server)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {20, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    assert_true(fd >= 0);
    if (receive_bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    return fd;
}

static int dial(void)
{
    return dial_small(0);
}

/* False when the server has closed. */
static bool put(int fd, struct str s)
{
    while (s.n) {
        ssize_t w = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (w <= 0)
            return false;
        s = str_skip(s, (size_t)w);
    }
    return true;
}

#define PUT(fd, literal) assert_true(put(fd, STR(literal)))

struct answer {
    int status;
    struct str head, body;
    struct buf bytes;
};

static void answer_done(struct answer *a)
{
    buf_done(&a->bytes);
}

static uint64_t length_of(struct str head)
{
    size_t at = str_find(head, STR("Content-Length: "));
    uint64_t n = 0;
    if (at == STR_NPOS)
        return 0;
    struct str rest = str_skip(head, at + 16);
    assert_true(str_to_u64(str_head(rest, str_find_char(rest, '\r')), &n));
    return n;
}

/* Reads exactly one answer; false at the end of the stream. */
static bool read_answer(int fd, bool with_body, struct answer *a)
{
    *a = (struct answer){0};
    buf_init(&a->bytes, 256 * MIB);
    while (!str_ends(buf_view(&a->bytes), STR("\r\n\r\n"))) {
        char c;
        ssize_t r = recv(fd, &c, 1, 0);
        if (r <= 0) {
            assert_true(r == 0 || errno == ECONNRESET);
            answer_done(a);
            return false;
        }
        buf_byte(&a->bytes, (uint8_t)c);
    }
    size_t head = a->bytes.n;
    uint64_t n = with_body ? length_of(buf_view(&a->bytes)) : 0;
    assert_true(buf_reserve(&a->bytes, n));
    for (uint64_t got = 0; got < n;) {
        ssize_t r = recv(fd, a->bytes.p + head + got, n - got, 0);
        assert_true(r > 0);
        got += (uint64_t)r;
    }
    a->bytes.n += n;
    a->head = str_head(buf_view(&a->bytes), head);
    a->body = str_skip(buf_view(&a->bytes), head);
    a->status = (a->head.p[9] - '0') * 100 + (a->head.p[10] - '0') * 10 + a->head.p[11] - '0';
    return true;
}

static void expect_answer(int fd, int status, const char *body)
{
    struct answer a;
    assert_true(read_answer(fd, true, &a));
    assert_int_equal(a.status, status);
    if (!str_eq(a.body, str_from(body)))
        fail_msg("wanted %s, got %.*s", body, STR_ARG(a.body));
    answer_done(&a);
}

static void expect_end(int fd)
{
    char c;
    ssize_t r = recv(fd, &c, 1, 0);
    if (r > 0 || (r < 0 && errno != ECONNRESET))
        fail_msg("wanted the end, got %zd (%s)", r, strerror(errno));
    close(fd);
}

/* ---- tests ---- */

static void test_queries(void **state)
{
    (void)state;
    struct http_request rq = {0};
    struct str v, *all;
    arena_init(&rq.arena, 1 * MIB);
    rq.query = STR("a=1&b=x+y%2Bz&a=%41%c3%bc&bad=%4&bad2=%zz&c&d=&=e&f;g=1&%61=3&h=a=b&&");
    assert_true(http_query_get(&rq, STR("a"), &v) && str_eq(v, STR("1")));
    assert_true(http_query_get(&rq, STR("b"), &v) && str_eq(v, STR("x y+z")));
    assert_true(http_query_get(&rq, STR("c"), &v) && v.n == 0);
    assert_true(http_query_get(&rq, STR("d"), &v) && v.n == 0);
    assert_true(http_query_get(&rq, STR(""), &v) && str_eq(v, STR("e")));
    assert_true(http_query_get(&rq, STR("h"), &v) && str_eq(v, STR("a=b")));
    assert_false(http_query_get(&rq, STR("bad"), &v));
    assert_false(http_query_get(&rq, STR("bad2"), &v));
    assert_false(http_query_get(&rq, STR("f"), &v));
    assert_false(http_query_get(&rq, STR("g"), &v));
    assert_false(http_query_get(&rq, STR("A"), &v));
    assert_int_equal(http_query_all(&rq, STR("a"), &all), 3);
    assert_true(str_eq(all[0], STR("1")) && str_eq(all[1], STR("Aü")) && str_eq(all[2], STR("3")));
    assert_int_equal(http_query_all(&rq, STR("none"), &all), 0);
    rq.query = STR_EMPTY;
    assert_false(http_query_get(&rq, STR(""), &v));
    arena_done(&rq.arena);
}

static void test_header_lookup(void **state)
{
    (void)state;
    const struct http_header headers[] = {{STR("Host"), STR("a")}, {STR("X-Scope-OrgID"), STR("t")},
        {STR("x-scope-orgid"), STR("u")}};
    struct http_request rq = {.headers = headers, .n_headers = 3};
    assert_true(str_eq(http_header_get(&rq, STR("x-scope-ORGID")), STR("t")));
    assert_null(http_header_get(&rq, STR("x-scope")).p);
}

static void test_keep_alive(void **state)
{
    (void)state;
    start();
    int fd = dial();
    for (int i = 0; i < 100; i++) {
        PUT(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        expect_answer(fd, 200, "hello");
        PUT(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nworld");
        expect_answer(fd, 200, "world");
    }
    PUT(fd, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_answer(fd, 404, "404 page not found\n");
    PUT(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect_answer(fd, 200, "hello");
    expect_end(fd);
    stop();
}

static void test_three_requests_in_one_write(void **state)
{
    (void)state;
    start();
    int fd = dial();
    PUT(fd, "GET /gated HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nend");
    count_take(&entered, 1); /* the slowest is first */
    count_add(&opened, 1);
    expect_answer(fd, 200, "gated");
    expect_answer(fd, 200, "hello");
    expect_answer(fd, 200, "end");
    close(fd);
    stop();
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    start();
    int fd = dial();
    struct str in = STR("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: t\r\n\r\n");
    for (size_t i = 0; i < in.n; i++)
        assert_true(put(fd, str_make(in.p + i, 1)));
    expect_answer(fd, 200, "abc");
    close(fd);
    stop();
}

static void test_large_bodies(void **state)
{
    (void)state;
    start();
    size_t n = 20 * MIB;
    char *p = mem_new(n), head[128];
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(i * 11 + (i >> 13));
    int fd = dial();
    snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", n);
    for (int i = 0; i < 2; i++) {
        struct answer a;
        assert_true(put(fd, str_from(head)));
        assert_true(put(fd, str_make(p, n)));
        assert_true(read_answer(fd, true, &a));
        assert_int_equal(a.status, 200);
        assert_true(str_eq(a.body, str_make(p, n)));
        answer_done(&a);
    }
    close(fd);
    mem_free(p);
    stop();
}

static void test_expect_continue(void **state)
{
    (void)state;
    start();
    int fd = dial();
    PUT(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    expect_answer(fd, 100, "");
    PUT(fd, "hi");
    expect_answer(fd, 200, "hi");
    close(fd);
    stop();
}

static void test_reply_from_another_thread(void **state)
{
    (void)state;
    start();
    int fd = dial();
    PUT(fd, "GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    count_take(&entered, 1);
    http_reply_text(held, 200, STR("text/plain"), STR("from the test"));
    expect_answer(fd, 200, "from the test");
    PUT(fd, "GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    count_take(&entered, 1);
    http_abandon(held);
    expect_end(fd);
    stop();
}

static void check_gone(bool reset)
{
    start();
    atomic_store(&saw_gone, false);
    int fd = dial();
    PUT(fd, "GET /wait-gone HTTP/1.1\r\nHost: a\r\n\r\n");
    count_take(&entered, 1);
    struct linger hard = {1, 0};
    if (reset)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    count_take(&entered, 1);
    assert_true(atomic_load(&saw_gone));
    stop();
}

static void test_client_leaves(void **state)
{
    (void)state;
    check_gone(false);
    check_gone(true);
}

static void test_slow_clients(void **state)
{
    (void)state;
    struct http_server_config cfg = config();
    cfg.header_timeout_ns = cfg.body_timeout_ns = cfg.idle_timeout_ns = 50 * NS_PER_MS;
    cfg.write_timeout_ns = 200 * NS_PER_MS;
    start_with(&cfg);
    int idle = dial(), head = dial(), body = dial(), reader = dial_small(4096);
    PUT(head, "GET /hello HT");
    PUT(body, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1234");
    PUT(reader, "GET /big?n=50000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_end(idle);
    expect_answer(
        head, 408, "{\"code\":\"unknown\",\"message\":\"timeout reading the request header\"}\n");
    expect_end(head);
    expect_answer(body, 408,
        "{\"code\":\"unknown\",\"message\":\"error reading request body bytes_read 4: "
        "timeout\"}\n");
    expect_end(body);
    char c;
    uint64_t got = 0;
    /* Its deadline passes before it reads on: what comes is what the kernel had buffered. */
    int64_t until = clock_mono_ns() + 20 * NS_PER_S;
    while (metric_get(M_TCP_CONNECTIONS, STR("http")) > 0 && clock_mono_ns() < until)
        usleep(1000);
    while (recv(reader, &c, 1, 0) > 0)
        got++;
    assert_true(got < 50000000);
    close(reader);
    stop();
}

static void test_slow_reader_blocks_nobody(void **state)
{
    (void)state;
    start();
    int slow = dial_small(4096), fast = dial();
    PUT(slow, "GET /big?n=30000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    struct answer a;
    for (int i = 0; i < 200; i++) {
        PUT(fast, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        expect_answer(fast, 200, "hello");
    }
    assert_true(read_answer(slow, true, &a));
    assert_int_equal(a.body.n, 30000000);
    for (size_t i = 0; i < a.body.n; i++)
        if ((uint8_t)a.body.p[i] != (uint8_t)(i * 7 + (i >> 16)))
            fail_msg("wrong byte at %zu", i);
    answer_done(&a);
    close(slow);
    close(fast);
    stop();
}

static void test_a_thousand_connections(void **state)
{
    (void)state;
    enum { N = 1000 };
    static int fds[N];
    start();
    for (int i = 0; i < N; i++)
        fds[i] = dial();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++)
            PUT(fds[i], "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ndata");
        for (int i = 0; i < N; i++)
            expect_answer(fds[i], 200, "data");
    }
    assert_true(metric_get(M_TCP_CONNECTIONS, STR("http")) == N);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    stop();
}

static void test_full_queue(void **state)
{
    (void)state;
    struct http_server_config cfg = config();
    cfg.workers = 1;
    cfg.queue_max = 1;
    start_with(&cfg);
    int a = dial(), b = dial(), c = dial();
    PUT(a, "GET /gated HTTP/1.1\r\nHost: a\r\n\r\n");
    count_take(&entered, 1);
    PUT(b, "GET /gated HTTP/1.1\r\nHost: a\r\n\r\n");
    while (metric_get(M_WORK_QUEUE) < 1)
        usleep(100);
    PUT(c, "GET /gated HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_answer(
        c, 503, "{\"code\":\"unavailable\",\"message\":\"too many requests are waiting\"}\n");
    assert_int_equal(atomic_load(&told[HTTP_REFUSED_QUEUE]), 1);
    PUT(c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"); /* the loop has no queue */
    expect_answer(c, 200, "hello");
    count_add(&opened, 2);
    expect_answer(a, 200, "gated");
    count_take(&entered, 1);
    expect_answer(b, 200, "gated");
    close(a);
    close(b);
    close(c);
    stop();
}

#define HUNDRED                                                              \
    "0123456789012345678901234567890123456789012345678901234567890123456789" \
    "012345678901234567890123456789"

static void test_body_budget(void **state)
{
    (void)state;
    struct http_server_config cfg = config();
    cfg.body_budget_bytes = 150;
    cfg.budget_timeout_ns = 20 * NS_PER_S;
    start_with(&cfg);
    int a = dial(), b = dial();
    PUT(a, "POST /gated HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" HUNDRED);
    count_take(&entered, 1); /* holds 100 of 150 bytes */
    PUT(b, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" HUNDRED);
    count_add(&opened, 1);
    expect_answer(a, 200, "gated");
    expect_answer(b, 200, HUNDRED);
    close(a);
    close(b);
    stop();

    cfg.budget_timeout_ns = 50 * NS_PER_MS;
    start_with(&cfg);
    a = dial();
    b = dial();
    PUT(a, "POST /gated HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" HUNDRED);
    count_take(&entered, 1);
    PUT(b, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" HUNDRED);
    expect_answer(
        b, 503, "{\"code\":\"unavailable\",\"message\":\"too many request bodies in flight\"}\n");
    expect_end(b);
    count_add(&opened, 1);
    expect_answer(a, 200, "gated");
    close(a);
    stop();
}

static void test_connections_max(void **state)
{
    (void)state;
    struct http_server_config cfg = config();
    cfg.connections_max = 2;
    double before = metric_get(M_CONNECTIONS_REFUSED, STR("connections_max"));
    start_with(&cfg);
    int a = dial(), b = dial();
    PUT(a, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_answer(a, 200, "hello");
    PUT(b, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_answer(b, 200, "hello");
    int c = dial();
    expect_answer(c, 503, "{\"code\":\"unavailable\",\"message\":\"too many connections\"}\n");
    expect_end(c);
    assert_true(metric_get(M_CONNECTIONS_REFUSED, STR("connections_max")) == before + 1);
    close(a);
    close(b);
    stop();
}

static void test_no_descriptors(void **state)
{
    (void)state;
    start();
    struct rlimit old, tight;
    struct sockaddr_in sa = {.sin_family = AF_INET,
        .sin_port = htons(http_server_port(server)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    double before = metric_get(M_CONNECTIONS_REFUSED, STR("descriptors"));
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* the lowest free number, so all below are in use */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = (struct rlimit){(rlim_t)fd + 1, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    PUT(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    while (metric_get(M_CONNECTIONS_REFUSED, STR("descriptors")) == before)
        usleep(100);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    expect_answer(fd, 200, "hello"); /* it had waited in the backlog */
    close(fd);
    stop();
}

static void test_too_large_while_sending(void **state)
{
    (void)state;
    struct http_server_config cfg = config();
    cfg.body_bytes_max = 1000;
    start_with(&cfg);
    int fd = dial();
    struct str junk = str_make(mem_new(4 * MIB), 4 * MIB);
    PUT(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n");
    assert_true(put(fd, junk)); /* lingering: the answer survives what we go on sending */
    expect_answer(
        fd, 413, "{\"code\":\"invalid_argument\",\"message\":\"request body too large\"}\n");
    expect_end(fd);
    mem_free((void *)(uintptr_t)junk.p);
    stop();
}

static void get_zipped(int fd, const char *request, struct answer *a)
{
    assert_true(put(fd, str_from(request)));
    assert_true(read_answer(fd, true, a));
    assert_int_equal(a->status, 200);
}

static void check_zip(int fd, const char *request, size_t plain_bytes, bool zipped)
{
    struct answer a;
    struct arena arena;
    struct str plain;
    get_zipped(fd, request, &a);
    arena_init(&arena, 4 * MIB);
    assert_int_equal(str_contains(a.head, STR("Content-Encoding: gzip\r\n")), zipped);
    if (zipped)
        assert_int_equal(gzip_inflate(a.body, 1 * MIB, &arena, &plain, NULL), ST_OK);
    else
        plain = a.body;
    assert_int_equal(plain.n, plain_bytes);
    arena_done(&arena);
    answer_done(&a);
}

static void test_gzip(void **state)
{
    (void)state;
    start();
    int fd = dial();
#define ZIP(path, accept) "GET " path " HTTP/1.1\r\nHost: a\r\n" accept "\r\n"
    check_zip(fd, ZIP("/auto?n=1400", "Accept-Encoding: gzip\r\n"), 1400, true);
    check_zip(fd, ZIP("/auto?n=1400", "Accept-Encoding: br, GZIP ; q=0.5\r\n"), 1400, true);
    check_zip(fd, ZIP("/auto?n=1400", "Accept-Encoding: gzip;q=0, br\r\n"), 1400, false);
    check_zip(fd, ZIP("/auto?n=1400", "Accept-Encoding: gzip; q=0.00\r\n"), 1400, false);
    check_zip(fd, ZIP("/auto?n=1400", "Accept-Encoding: xgzip\r\n"), 1400, false);
    check_zip(fd, ZIP("/auto?n=1400", ""), 1400, false);
    check_zip(fd, ZIP("/auto?n=1399", "Accept-Encoding: gzip\r\n"), 1399, false);
    check_zip(fd, ZIP("/always?n=1", ""), 1, true);
    check_zip(fd, ZIP("/never?n=5000", "Accept-Encoding: gzip\r\n"), 5000, false);
    close(fd);
    stop();
}

static void test_stop_drains(void **state)
{
    (void)state;
    struct http_server_config cfg = config();
    cfg.workers = 1;
    start_with(&cfg);
    int a = dial(), b = dial(), idle = dial();
    PUT(a, "GET /gated HTTP/1.1\r\nHost: a\r\n\r\n");
    count_take(&entered, 1);
    PUT(b, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nqueued");
    while (metric_get(M_WORK_QUEUE) < 1)
        usleep(100);
    count_add(&opened, 1);
    stop(); /* returns when all is answered */
    expect_answer(a, 200, "gated");
    expect_answer(b, 200, "queued");
    expect_end(a);
    expect_end(b);
    expect_end(idle);
}

static void *open_late(void *arg)
{
    (void)arg;
    usleep(50000); /* beyond the deadline of the stop: which then only waits for the handler */
    count_add(&opened, 1);
    return NULL;
}

static void test_stop_cuts_off_at_its_deadline(void **state)
{
    (void)state;
    start();
    int fd = dial();
    pthread_t thread;
    PUT(fd, "GET /gated HTTP/1.1\r\nHost: a\r\n\r\n");
    count_take(&entered, 1);
    assert_int_equal(thread_start(&thread, "late", open_late, NULL, NULL), ST_OK);
    http_server_stop(server, 1 * NS_PER_MS);
    thread_join(thread);
    expect_end(fd);
}

static void test_both_address_families(void **state)
{
    (void)state;
    struct http_server_config cfg = config();
    cfg.address = STR_EMPTY;
    start_with(&cfg);
    int fd = dial();
    struct answer a;
    PUT(fd, "GET /peer HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(read_answer(fd, true, &a));
    assert_true(str_starts(a.body, STR("127.0.0.1:")));
    answer_done(&a);
    close(fd);
    struct sockaddr_in6 sa = {.sin6_family = AF_INET6,
        .sin6_port = htons(http_server_port(server)),
        .sin6_addr = in6addr_loopback};
    fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0) {
        PUT(fd, "GET /peer HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_true(read_answer(fd, true, &a));
        assert_true(str_starts(a.body, STR("[::1]:")));
        answer_done(&a);
    } else {
        print_message("no IPv6 here\n");
    }
    close(fd);
    stop();
}

static void test_bad_address(void **state)
{
    (void)state;
    struct http_server_config cfg = config();
    struct error err;
    struct http_server *s = NULL;
    cfg.address = STR("192.0.2.1"); /* documentation only: not of this machine */
    assert_int_equal(http_server_start(&cfg, routes, 1, &s, &err), ST_UNAVAILABLE);
    assert_null(s);
    start(); /* a port in use */
    cfg = config();
    cfg.port = http_server_port(server);
    assert_int_equal(http_server_start(&cfg, routes, 1, &s, &err), ST_UNAVAILABLE);
    stop();
}

static void test_metrics(void **state)
{
    (void)state;
    struct buf out;
    start();
    int fd = dial();
    PUT(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_answer(fd, 200, "hello");
    buf_init(&out, 16 * MIB);
    metrics_render(&out);
    assert_true(str_contains(buf_view(&out),
        STR("pyroscope_request_duration_seconds_count{method=\"GET\",route=\"hello\","
            "status_code=\"200\",ws=\"false\"}")));
    assert_true(str_contains(
        buf_view(&out), STR("pyroscope_tcp_connections_limit{protocol=\"http\"} 16384\n")));
    assert_true(str_contains(buf_view(&out), STR("everflame_body_bytes_limit ")));
    buf_done(&out);
    close(fd);
    stop();
}

static int setup(void **state)
{
    (void)state;
    struct count *counts[] = {&entered, &opened};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        mutex_init(&counts[i]->lock, "count", RANK_SERVER);
        cond_init(&counts[i]->changed);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_header_lookup),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_three_requests_in_one_write),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_reply_from_another_thread),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_slow_clients),
        cmocka_unit_test(test_slow_reader_blocks_nobody),
        cmocka_unit_test(test_a_thousand_connections),
        cmocka_unit_test(test_full_queue),
        cmocka_unit_test(test_body_budget),
        cmocka_unit_test(test_connections_max),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_too_large_while_sending),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_stop_drains),
        cmocka_unit_test(test_stop_cuts_off_at_its_deadline),
        cmocka_unit_test(test_both_address_families),
        cmocka_unit_test(test_bad_address),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
