/* Replies that are held back: their order, what does not wait, clients that leave, a stop. */
#include "test.h"

#include "base/clock.h"
#include "base/mem.h"
#include "http_mem.h"

static struct {
    struct http_server *s;
    struct mem_io io;
    struct conn *c;
    struct http_request *held; /* not answered yet */
} fx;

static void on_hold(struct http_request *rq, void *ctx)
{
    (void)ctx;
    fx.held = rq;
}

static void begin(void)
{
    static const struct http_route route = {
        HTTP_M_GET, "/hold", "hold", on_hold, NULL, true, NULL, 0};
    struct http_server_config cfg;
    http_server_config_init(&cfg);
    assert_int_equal(server_new(&cfg, &route, 1, &fx.s, NULL), ST_OK);
    fx.s->loop.now_ns = 0;
    fx.c = mem_open(fx.s, &fx.io);
}

static void done(void)
{
    if (!fx.io.closed)
        conn_close(fx.c);
    loop_settle(&fx.s->loop);
    buf_done(&fx.io.out);
    server_free(fx.s);
}

static void ask(void)
{
    buf_clear(&fx.io.out);
    fx.s->loop.now_ns = 0;
    fx.io.in = STR("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    mem_run(fx.s, &fx.io, fx.c);
}

/* Due `after_ns` from now; returns when. Requests begin at time 0, where the loop stands. */
static int64_t reply(int status, int64_t after_ns)
{
    int64_t due = clock_mono_ns() + after_ns;
    fx.held->pad_ns = due;
    http_reply_text(fx.held, status, STR_EMPTY, STR("x"));
    loop_settle(&fx.s->loop);
    return due;
}

static void at(int64_t ns)
{
    fx.s->loop.now_ns = ns;
    loop_settle(&fx.s->loop);
}

static bool out_has(const char *part)
{
    return str_contains(buf_view(&fx.io.out), str_from(part));
}

static void test_waits_for_its_time(void **state)
{
    (void)state;
    begin();
    ask();
    int64_t due = reply(204, NS_PER_S);
    at(due - 1);
    assert_int_equal(fx.io.out.n, 0);
    at(due);
    assert_true(out_has("HTTP/1.1 204 "));
    assert_true(out_has("Server-Timing: artificial_delay;dur="));
    done();
}

static void test_what_does_not_wait(void **state)
{
    (void)state;
    begin();
    ask();
    reply(400, NS_PER_S); /* refused */
    assert_true(out_has("HTTP/1.1 400 "));
    assert_false(out_has("Server-Timing"));
    ask();
    reply(200, 0); /* took as long anyway */
    assert_true(out_has("HTTP/1.1 200 "));
    assert_false(out_has("Server-Timing"));
    done();
}

static void test_client_leaves(void **state)
{
    (void)state;
    begin();
    ask();
    int64_t due = reply(200, NS_PER_S);
    conn_event(fx.c, false, false, true, true);
    assert_true(fx.io.closed);
    at(due);
    assert_int_equal(fx.io.out.n, 0);
    assert_int_equal(fx.s->loop.n_inflight, 0);
    done();
}

static void test_stop_sends(void **state)
{
    (void)state;
    begin();
    ask();
    reply(200, NS_PER_S);
    assert_int_equal(fx.io.out.n, 0);
    fx.s->loop.stop_seen = true;
    loop_settle(&fx.s->loop);
    assert_true(out_has("HTTP/1.1 200 "));
    done();
}

static void test_order(void **state)
{
    (void)state;
    enum { N = 1000 };
    struct held h = {0};
    struct request *rs = mem_new(N * sizeof *rs);
    for (uint32_t i = 0; i < N; i++) {
        rs[i].send_at_ns = (int64_t)(i * 7919u % 613u);
        assert_true(held_put(&h, &rs[i]));
    }
    assert_null(held_take(&h, -1));
    int64_t last = 0;
    for (uint32_t i = 0; i < N; i++) {
        struct request *r = held_take(&h, held_next_ns(&h));
        assert_true(r->send_at_ns >= last);
        last = r->send_at_ns;
        r->send_at_ns = -1; /* each comes once */
    }
    assert_true(held_next_ns(&h) == INT64_MAX);
    held_done(&h);
    mem_free(rs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_for_its_time),
        cmocka_unit_test(test_what_does_not_wait),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_stop_sends),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
