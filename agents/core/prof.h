/* A sampling profiler for our own processes: where do our threads spend their CPU time?
 *
 *     prof_start ─► every thread: prof_thread_begin … prof_thread_end ─► prof_stop
 *                   one thread, about once a second: prof_drain ─► stacks (stacks.h)
 *                   when it likes: prof_encode (report.h) ─► pprof bytes
 *
 * A thread that has begun is interrupted by a timer of its own for every 1/hz s of CPU time it has
 * used, and its stack goes into a ring of its own. A thread that sleeps costs nothing. One profiler
 * per process. x86-64 only, and not under ThreadSanitizer, which delivers signals late: there
 * prof_start says ST_UNIMPLEMENTED and everything else does nothing. */
#ifndef AGENTS_CORE_PROF_H
#define AGENTS_CORE_PROF_H

#include "agents/core/stacks.h"
#include "agents/core/symbols.h"
#include "base/status.h"

enum { PROF_FRAMES_MAX = 128, PROF_THREADS_MAX = 512, PROF_HZ = 100 };

struct prof_config {
    uint32_t hz;         /* 0: PROF_HZ */
    uint32_t ring_words; /* per thread, a power of two; 0: 8192, enough for a second */
};

/* Takes over SIGPROF for good. */
enum status prof_start(const struct prof_config *cfg, struct error *err);
/* Every thread that began must have ended. Further ticks are ignored. */
void prof_stop(void);
bool prof_running(void);

/* The calling thread. Its stacks end in the function that called prof_thread_begin. Both do nothing
 * when the profiler does not run or the thread has (not) begun; they fit struct thread_hooks. */
void prof_thread_begin(void);
void prof_thread_end(void);

/* Sets of labels that samples may carry, such as an endpoint. */
enum { PROF_LABELS_MAX = 4, PROF_LABEL_SETS_MAX = 256 };
struct prof_label {
    const char *key, *value; /* literals: they are kept, not copied */
};
/* An id for them; 0 (no labels) when there are too many sets. */
uint32_t prof_labels_add(const struct prof_label *labels, uint32_t n);
uint32_t prof_labels_get(uint32_t id, const struct prof_label **ret_labels);
/* Samples of the calling thread carry them from now on. */
void prof_labels_use(uint32_t id);

/* In samples; each is 1/hz s of CPU time. */
struct prof_stats {
    uint64_t taken;
    uint64_t lost; /* rings or `into` were full; they are in `into` as [lost] where it has room */
    uint64_t threads; /* that could not be sampled: over the limit, or no timer */
};
/* Moves what the rings hold into `into` (values: samples, nanoseconds) and adds to *stats. */
void prof_drain(struct prof_symbols *symbols, struct prof_stacks *into, struct prof_stats *stats);

#endif
