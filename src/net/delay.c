/* Replies that are held back: a heap by the time they are due, on the loop.
 *
 * Nothing waits for such a reply but its client: the worker is free, what the request held is
 * released (http_reply.c), and there are no more of them than requests in flight.
 *
 * Invariant: v[i] is due no later than v[2 i + 1] and v[2 i + 2]. Thread: the loop. Failure:
 * without memory for one more it is sent at once. */
#include "net/net_int.h"

#include "base/mem.h"

static void swap(struct held *h, uint32_t a, uint32_t b)
{
    struct request *t = h->v[a];
    h->v[a] = h->v[b];
    h->v[b] = t;
}

bool held_put(struct held *h, struct request *r)
{
    if (h->n == h->cap) {
        uint32_t cap = MAX(2 * h->cap, 64u);
        struct request **grown = mem_grow(h->v, (size_t)cap * sizeof *grown);
        if (!grown)
            return false;
        h->v = grown;
        h->cap = cap;
    }
    uint32_t at = h->n++;
    h->v[at] = r;
    while (at && h->v[(at - 1) / 2]->send_at_ns > h->v[at]->send_at_ns) {
        swap(h, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
    return true;
}

struct request *held_take(struct held *h, int64_t now_ns)
{
    if (h->n == 0 || h->v[0]->send_at_ns > now_ns)
        return NULL;
    struct request *r = h->v[0];
    h->v[0] = h->v[--h->n];
    for (uint32_t at = 0, next; (next = 2 * at + 1) < h->n; at = next) {
        if (next + 1 < h->n && h->v[next + 1]->send_at_ns < h->v[next]->send_at_ns)
            next++;
        if (h->v[at]->send_at_ns <= h->v[next]->send_at_ns)
            break;
        swap(h, at, next);
    }
    return r;
}

int64_t held_next_ns(const struct held *h)
{
    return h->n ? h->v[0]->send_at_ns : INT64_MAX;
}

void held_done(struct held *h)
{
    ASSERT(h->n == 0);
    mem_free(h->v);
}
