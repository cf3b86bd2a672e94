/* Stacks on their way from a signal handler to the thread that drains: one writer, one reader, no
 * locks. A record is a head word and its frames; it is written whole or not at all. Private. */
#ifndef AGENTS_CORE_RING_INT_H
#define AGENTS_CORE_RING_INT_H

#include <stdatomic.h>

#include "base/base.h"

/* Also what runs in a signal handler: it reads stacks, which the sanitizers would object to. */
#define AGENT_IN_SIGNAL __attribute__((no_sanitize("address", "undefined", "thread")))

struct ring {
    uint64_t *words;
    uint64_t mask;
    _Atomic uint64_t head; /* next word to read; moved by the reader */
    _Atomic uint64_t tail; /* next word to write; moved by the writer */
    _Atomic uint64_t lost; /* by weight; only grows */
};

/* Head word: frames (8 bits), end of the stack (7), whether the second frame is a maybe (1), labels
 * (16), weight (32). */
static inline uint64_t ring_head(
    uint32_t n, uint32_t end, bool maybe, uint32_t labels, uint32_t weight)
{
    return n | (uint64_t)end << 8 | (uint64_t)maybe << 15 | (uint64_t)labels << 16 |
           (uint64_t)weight << 32;
}

void ring_init(struct ring *r, uint32_t words);
void ring_done(struct ring *r);
/* words[0] is the head word. Full: `lost` grows by its weight. */
void ring_put(struct ring *r, const uint64_t *words, uint32_t n);
/* Into room for 256 words; 0 when there is nothing. */
uint32_t ring_take(struct ring *r, uint64_t *ret_words);

#endif
