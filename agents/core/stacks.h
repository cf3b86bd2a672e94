/* Stacks and what they cost, added up: each distinct (frames, labels) once. Bounded; one thread. */
#ifndef AGENTS_CORE_STACKS_H
#define AGENTS_CORE_STACKS_H

#include "base/arena.h"
#include "base/idmap.h"

enum { PROF_VALUES_MAX = 4 };

struct prof_stack {
    const uint64_t *frames; /* innermost first: functions of prof_symbols, or code addresses */
    uint32_t n, labels;
    int64_t values[PROF_VALUES_MAX];
};

struct prof_stacks {
    struct arena arena;
    struct idmap map;
    struct {
        struct prof_stack *v;
        uint32_t n, cap;
    } list;
};

void prof_stacks_init(struct prof_stacks *s, size_t limit_bytes);
void prof_stacks_done(struct prof_stacks *s);
void prof_stacks_clear(struct prof_stacks *s); /* keeps some memory */

/* The entry of the stack, new ones with values of 0; UINT32_MAX past the limit. */
uint32_t prof_stacks_find(
    struct prof_stacks *s, const uint64_t *frames, uint32_t n, uint32_t labels);

#endif
