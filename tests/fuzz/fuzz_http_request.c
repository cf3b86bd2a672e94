/* A whole HTTP/1 connection in memory: any bytes, in any pieces. Two different splittings of one
 * input must give the same replies, but for "100 Continue", which depends on timing by nature.
 * The first byte of the input chooses the pieces. */
#include <stdlib.h>

#include "../unit/http_mem.h"
#include "base/clock.h"

enum { BUDGET = 4096 };

static void on_echo(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_reply_text(rq, 200, STR("text/plain"), rq->body);
}

static void on_query(struct http_request *rq, void *ctx)
{
    (void)ctx;
    struct str one = STR_EMPTY, *all;
    struct http_response rs = {.status = 200, .gzip = HTTP_GZIP_NEVER};
    buf_init(&rs.body, 1 * MIB);
    bool has = http_query_get(rq, STR("a"), &one);
    uint32_t n = http_query_all(rq, STR("a"), &all);
    ASSERT(has == (n > 0));
    ASSERT(n == 0 || str_eq(all[0], one));
    for (uint32_t i = 0; i < n; i++)
        buf_str(&rs.body, all[i]);
    struct http_header h = {STR("X-Echo"), one};
    rs.more_headers = &h;
    rs.n_more_headers = 1;
    struct str agent = http_header_get(rq, STR("user-agent"));
    buf_str(&rs.body, agent.p ? agent : STR("none"));
    http_reply(rq, &rs);
}

static void on_abandon(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_abandon(rq);
}

static void on_too_large(struct http_request *rq, uint64_t seen, uint64_t max)
{
    struct error err;
    ASSERT(seen > max);
    error_set(&err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__, "%llu over %llu",
        (unsigned long long)seen, (unsigned long long)max);
    http_reply_error(rq, &err);
}

static enum status on_check(struct http_request *rq, struct error *err)
{
    if (http_header_get(rq, STR("x-deny")).p)
        FAIL(err, ST_UNAUTHENTICATED, "no <org> id");
    return ST_OK;
}

static const struct http_route routes[] = {
    {HTTP_M_POST | HTTP_M_PUT, "/echo", "echo", on_echo, NULL, true, NULL, 0},
    {HTTP_M_POST, "/small", "small", on_echo, NULL, true, on_too_large, 16},
    {HTTP_M_GET, "/query", "query", on_query, NULL, true, NULL, 0},
    {HTTP_M_GET, "/abandon", "abandon", on_abandon, NULL, true, NULL, 0},
};

static void strip_continue(struct buf *b)
{
    static const struct str line = {"HTTP/1.1 100 Continue\r\n\r\n", 25};
    size_t at;
    while ((at = str_find(buf_view(b), line)) != STR_NPOS) {
        memmove(b->p + at, b->p + at + line.n, b->n - at - line.n);
        b->n -= line.n;
    }
}

/* Pieces of 1 + (state % span) bytes. */
static size_t next_piece(uint32_t *state, uint32_t span)
{
    *state = *state * 1664525u + 1013904223u;
    return 1 + (*state >> 8) % span;
}

static void run(struct str input, uint32_t seed, uint32_t span, struct buf *ret_out)
{
    struct http_server_config cfg;
    struct http_server *s;
    struct mem_io io;
    http_server_config_init(&cfg);
    cfg.header_bytes_max = 1024;
    cfg.body_bytes_max = 2048;
    cfg.body_budget_bytes = BUDGET;
    cfg.check = on_check;
    ASSERT(server_new(&cfg, routes, ARRAY_LEN(routes), &s, NULL) == ST_OK);
    struct conn *c = mem_open(s, &io);
    const char *end = input.p + input.n;
    io.in = str_head(input, 0);
    while (io.in.p + io.in.n < end && !io.closed) {
        size_t piece = next_piece(&seed, span);
        io.in.n = MIN(io.in.n + piece, (size_t)(end - io.in.p));
        io.read_max = piece;
        io.write_max = seed & 0x20000 && span < UINT32_MAX ? 0 : SIZE_MAX;
        /* Now and then other bodies fill the budget for a while. */
        uint64_t crowd = seed & 0x10000 ? BUDGET - s->body_used : 0;
        ASSERT(crowd == 0 || budget_take(s, crowd));
        mem_run(s, &io, c);
        budget_give(s, crowd);
        if (!io.closed)
            mem_run(s, &io, c);
    }
    io.write_max = SIZE_MAX;
    io.eof = true;
    mem_run(s, &io, c);
    if (!io.closed)
        conn_close(c);
    loop_settle(&s->loop);
    ASSERT(io.closed && s->loop.n_conns == 0);
    ASSERT(s->body_used == 0);
    server_free(s);
    *ret_out = io.out;
    strip_continue(ret_out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    clock_wall_set_for_tests(NS_PER_S);
    struct str input = str_make(data + 1, size - 1);
    struct buf whole, pieces;
    run(input, 0, UINT32_MAX, &whole);
    run(input, data[0], 1 + data[0] % 64, &pieces);
    if (!str_eq(buf_view(&whole), buf_view(&pieces)))
        abort();
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
