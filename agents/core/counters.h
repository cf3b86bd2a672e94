/* Exact profiles of memory and locks, for code of ours that calls these instead of the plain ones:
 * every allocation and every wait counts, nothing is sampled. Any thread that has begun
 * (agent_thread_begin) is seen with its stack; others, or without a running profiler, count as
 * [unknown]. */
#ifndef AGENTS_CORE_COUNTERS_H
#define AGENTS_CORE_COUNTERS_H

#include <stdatomic.h>

#include "agents/core/agent.h"
#include "base/thread.h"

/* Once each; not while anything allocated or locked is left. */
void agent_counters_init(void);
void agent_counters_done(void);

void *agent_heap_alloc(size_t n); /* NULL without memory; not zeroed, 16-byte aligned */
void agent_heap_free(void *p);

struct agent_mutex {
    struct mutex lock;
    _Atomic uint32_t users; /* that hold it or wait for it */
};
void agent_mutex_init(struct agent_mutex *m, const char *name, enum lock_rank rank);
void agent_mutex_done(struct agent_mutex *m);
void agent_mutex_lock(struct agent_mutex *m); /* a wait is charged to the stack that waits */
void agent_mutex_unlock(struct agent_mutex *m);

/* Adds what is in use now and what was allocated, or waited for, since the last call. Values as in
 * agent_kind_heap and agent_kind_mutex. Stacks beyond the bound of `into` count as [lost]. */
void agent_heap_report(struct agent_symbols *symbols, struct agent_stacks *into);
void agent_mutex_report(struct agent_symbols *symbols, struct agent_stacks *into);

#endif
