/* Exact profiles of memory and locks, for code of ours that calls these instead of the plain ones:
 * every allocation and every wait counts, nothing is sampled. Any thread that has begun
 * (prof_thread_begin) is seen with its stack; others, or without a running profiler, count as
 * [unknown]. */
#ifndef AGENTS_CORE_COUNTERS_H
#define AGENTS_CORE_COUNTERS_H

#include <stdatomic.h>

#include "agents/core/prof.h"
#include "base/thread.h"

/* Once each; not while anything allocated or locked is left. */
void prof_counters_init(void);
void prof_counters_done(void);

void *prof_heap_alloc(size_t n); /* NULL without memory; not zeroed, 16-byte aligned */
void prof_heap_free(void *p);

struct prof_mutex {
    struct mutex lock;
    _Atomic uint32_t users; /* that hold it or wait for it */
};
void prof_mutex_init(struct prof_mutex *m, const char *name, enum lock_rank rank);
void prof_mutex_done(struct prof_mutex *m);
void prof_mutex_lock(struct prof_mutex *m); /* a wait is charged to the stack that waits */
void prof_mutex_unlock(struct prof_mutex *m);

/* Adds what is in use now and what was allocated, or waited for, since the last call. Values as in
 * prof_kind_heap and prof_kind_mutex. Stacks beyond the bound of `into` count as [lost]. */
void prof_heap_report(struct prof_symbols *symbols, struct prof_stacks *into);
void prof_mutex_report(struct prof_symbols *symbols, struct prof_stacks *into);

#endif
