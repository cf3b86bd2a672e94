/* One text format under fuzzing: indexes in range, stacks not empty and each once, values positive.
 */
#ifndef TESTS_FUZZ_TEXT_FUZZ_H
#define TESTS_FUZZ_TEXT_FUZZ_H

#include "codec/text.h"

static inline bool text_fuzz_same(
    const struct text_stacks *s, const struct text_stack *a, const struct text_stack *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t f = 0; f < a->n; f++)
        if (s->frames[a->first + f] != s->frames[b->first + f])
            return false;
    return true;
}

static inline void text_fuzz_check(const struct text_stacks *s)
{
    volatile uint8_t sum = 0;
    for (uint32_t i = 0; i < s->n_names; i++) {
        for (size_t k = 0; k < s->names[i].n; k++)
            sum = (uint8_t)(sum + s->names[i].p[k]);
        for (uint32_t k = 0; k < i && i < 200; k++)
            ASSERT(!str_eq(s->names[i], s->names[k]));
    }
    for (uint32_t i = 0; i < s->n_stacks; i++) {
        const struct text_stack *t = &s->stacks[i];
        ASSERT(t->n > 0 && t->value > 0);
        ASSERT((uint64_t)t->first + t->n <= s->n_frames);
        for (uint32_t f = 0; f < t->n; f++)
            ASSERT(s->frames[t->first + f] < s->n_names);
        for (uint32_t k = 0; k < i && i < 200; k++)
            ASSERT(!text_fuzz_same(s, t, &s->stacks[k]));
    }
}

static inline void text_fuzz(enum text_format format, const uint8_t *data, size_t size)
{
    static const struct text_limits limits = {100, 1000};
    struct arena arena;
    struct text_stacks s;
    struct error err;
    arena_init(&arena, 16 * MIB);
    enum status st = text_decode(format, str_make(data, size), &limits, &arena, &s, &err);
    ASSERT(st == ST_OK || st == ST_INVALID_ARGUMENT || st == ST_RESOURCE_EXHAUSTED);
    if (st == ST_OK)
        text_fuzz_check(&s);
    arena_done(&arena);
}

#endif
