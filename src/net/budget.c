/* Requests as objects, and the budget of request bodies in flight.
 *
 * Every byte of body memory is charged to its server before it is filled: a body whose length is
 * known reserves at most BUDGET_STEP ahead of what arrived, so that announcing a lot holds nothing;
 * a chunked one reserves the capacity of its buffer. Headers larger than usual are charged, too.
 *
 * 1. body_used only grows on the loop thread, so "is there room" cannot be outrun.
 * 2. body_used = the sum of `charged` and `head_charged` of all requests whose input is not
 * released.
 *
 * Thread: taking on the loop, giving back on any (http_reply releases on the replying thread, so
 * that a slow reader never holds the budget). Failure: no room is an answer, not an error. */
#include "net/net_int.h"

#include "base/mem.h"

struct request *request_new(struct http_server *s, struct conn *c, int64_t now_ns)
{
    struct request *r = NEW(struct request);
    r->server = s;
    r->conn = c;
    r->pub.start_mono_ns = now_ns;
    r->pub.target = r->pub.path = r->pub.query = r->pub.body = r->pub.peer = STR_EMPTY;
    /* Decoding may need several times the body; what a handler may keep is bounded by this. */
    uint64_t arena_max = MAX(64 * MIB, s->cfg.body_bytes_max);
    arena_init(&r->pub.arena, arena_max > SIZE_MAX / 4 ? SIZE_MAX : 4 * arena_max);
    buf_init(&r->head, s->cfg.header_bytes_max);
    return r;
}

void request_release_input(struct request *r)
{
    arena_done(&r->pub.arena);
    buf_done(&r->head);
    buf_done(&r->body);
    budget_give(r->server, r->charged + r->head_charged);
    r->charged = r->head_charged = 0;
    r->pub.target = r->pub.path = r->pub.query = r->pub.body = r->pub.peer = STR_EMPTY;
    r->pub.headers = NULL;
    r->pub.n_headers = 0;
}

void request_free(struct request *r)
{
    request_release_input(r);
    buf_done(&r->fields);
    buf_done(&r->content);
    buf_done(&r->trailers);
    mem_free(r);
}

bool budget_take(struct http_server *s, uint64_t bytes)
{
    uint64_t used = atomic_load_explicit(&s->body_used, memory_order_relaxed);
    if (bytes > s->cfg.body_budget_bytes || used > s->cfg.body_budget_bytes - bytes)
        return false;
    atomic_fetch_add(&s->body_used, bytes);
    return true;
}

void budget_give(struct http_server *s, uint64_t bytes)
{
    if (bytes == 0)
        return;
    uint64_t before = atomic_fetch_sub(&s->body_used, bytes);
    ASSERT(before >= bytes);
    atomic_fetch_add(&s->budget_gives, 1);
}

bool request_charge(struct request *r, uint64_t bytes)
{
    if (bytes <= r->charged)
        return true;
    if (!budget_take(r->server, bytes - r->charged))
        return false;
    r->charged = bytes;
    return true;
}

void request_uncharge(struct request *r, uint64_t keep)
{
    if (keep >= r->charged)
        return;
    budget_give(r->server, r->charged - keep);
    r->charged = keep;
}

bool request_charge_head(struct request *r)
{
    uint64_t bytes = r->head.cap;
    if (bytes <= HEAD_FREE_BYTES || bytes <= r->head_charged)
        return true;
    if (!budget_take(r->server, bytes - r->head_charged))
        return false;
    r->head_charged = bytes;
    return true;
}
