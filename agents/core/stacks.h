/* Stacks and what they cost, added up: each distinct (frames, labels) once. Bounded; one thread. */
#ifndef AGENTS_CORE_STACKS_H
#define AGENTS_CORE_STACKS_H

#include "base/arena.h"
#include "base/idmap.h"

enum { AGENT_VALUES_MAX = 4 };

struct agent_stack {
    const uint64_t *frames; /* innermost first: functions of agent_symbols, or code addresses */
    uint32_t n, labels;
    int64_t values[AGENT_VALUES_MAX];
};

struct agent_stacks {
    struct arena arena;
    struct idmap map;
    struct {
        struct agent_stack *v;
        uint32_t n, cap;
    } list;
};

void agent_stacks_init(struct agent_stacks *s, size_t limit_bytes);
void agent_stacks_done(struct agent_stacks *s);
void agent_stacks_clear(struct agent_stacks *s); /* keeps some memory */

/* The entry of the stack, new ones with values of 0; UINT32_MAX past the limit. */
uint32_t agent_stacks_find(
    struct agent_stacks *s, const uint64_t *frames, uint32_t n, uint32_t labels);

#endif
