/* A sampling profiler for our own processes: where do our threads spend their CPU time?
 *
 *     agent_start ─► every thread: agent_thread_begin … agent_thread_end ─► agent_stop
 *                   one thread, about once a second: agent_drain ─► stacks (stacks.h)
 *                   when it likes: agent_encode (report.h) ─► pprof bytes
 *
 * A thread that has begun is interrupted by a timer of its own for every 1/hz s of CPU time it has
 * used, and its stack goes into a ring of its own. A thread that sleeps costs nothing. One profiler
 * per process. x86-64 only, and not under ThreadSanitizer, which delivers signals late: there
 * agent_start says ST_UNIMPLEMENTED and everything else does nothing. */
#ifndef AGENTS_CORE_AGENT_H
#define AGENTS_CORE_AGENT_H

#include "agents/core/stacks.h"
#include "agents/core/symbols.h"
#include "base/status.h"

enum { AGENT_FRAMES_MAX = 128, AGENT_THREADS_MAX = 512, AGENT_HZ = 100 };

struct agent_config {
    uint32_t hz;         /* 0: AGENT_HZ */
    uint32_t ring_words; /* per thread, a power of two; 0: 8192, enough for a second */
};

/* Takes over SIGPROF for good. */
enum status agent_start(const struct agent_config *cfg, struct error *err);
/* Every thread that began must have ended. Further ticks are ignored. */
void agent_stop(void);
bool agent_running(void);

/* The calling thread. Its stacks end in the function that called agent_thread_begin. Both do
 * nothing when the profiler does not run or the thread has (not) begun; they fit struct
 * thread_hooks. */
void agent_thread_begin(void);
void agent_thread_end(void);

/* Sets of labels that samples may carry, such as an endpoint. */
enum { AGENT_LABELS_MAX = 4, AGENT_LABEL_SETS_MAX = 256 };
struct agent_label {
    const char *key, *value; /* literals: they are kept, not copied */
};
/* An id for them; 0 (no labels) when there are too many sets. */
uint32_t agent_labels_add(const struct agent_label *labels, uint32_t n);
uint32_t agent_labels_get(uint32_t id, const struct agent_label **ret_labels);
/* Samples of the calling thread carry them from now on. */
void agent_labels_use(uint32_t id);

/* In samples; each is 1/hz s of CPU time. */
struct agent_stats {
    uint64_t taken;
    uint64_t lost; /* rings or `into` were full; they are in `into` as [lost] where it has room */
    uint64_t threads; /* that could not be sampled: over the limit, or no timer */
};
/* Moves what the rings hold into `into` (values: samples, nanoseconds) and adds to *stats. */
void agent_drain(
    struct agent_symbols *symbols, struct agent_stacks *into, struct agent_stats *stats);

#endif
