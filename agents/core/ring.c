/* See ring_int.h. The writer publishes with a release of `tail` after the words are there; the
 * reader gives back with a release of `head` after it has copied them. Both run anywhere: writing
 * is for signal handlers, so it calls nothing. */
#include "agents/core/ring_int.h"

#include "base/mem.h"

void ring_init(struct ring *r, uint32_t words)
{
    ASSERT(words >= 256 && (words & (words - 1)) == 0);
    *r = (struct ring){.mask = words - 1};
    r->words = mem_new(words * sizeof *r->words);
}

void ring_done(struct ring *r)
{
    mem_free(r->words);
    r->words = NULL;
}

AGENT_IN_SIGNAL void ring_put(struct ring *r, const uint64_t *words, uint32_t n)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    if (r->mask + 1 - (tail - head) < n) {
        atomic_fetch_add_explicit(&r->lost, words[0] >> 32, memory_order_relaxed);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        r->words[(tail + i) & r->mask] = words[i];
    atomic_store_explicit(&r->tail, tail + n, memory_order_release);
}

uint32_t ring_take(struct ring *r, uint64_t *ret_words)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    if (head == tail)
        return 0;
    uint32_t n = 1 + (uint32_t)(r->words[head & r->mask] & 0xFF);
    ASSERT(n <= tail - head);
    for (uint32_t i = 0; i < n; i++)
        ret_words[i] = r->words[(head + i) & r->mask];
    atomic_store_explicit(&r->head, head + n, memory_order_release);
    return n;
}
