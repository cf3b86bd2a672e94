/* Stacks of functions as a pprof profile. */
#ifndef AGENTS_CORE_REPORT_H
#define AGENTS_CORE_REPORT_H

#include "agents/core/stacks.h"
#include "agents/core/symbols.h"
#include "base/buf.h"
#include "base/status.h"

struct prof_kind { /* of profile: process_cpu, memory, mutex */
    const char *name;
    struct {
        const char *type, *unit;
    } values[PROF_VALUES_MAX];
    uint32_t n_values;
    const char *period_type, *period_unit;
};
extern const struct prof_kind prof_kind_cpu, prof_kind_heap, prof_kind_mutex;

struct prof_report {
    const struct prof_kind *kind;
    int64_t time_ns, duration_ns, period;
};

/* Entries whose values are all 0 are left out; without any other the result is empty (0 samples).
 * Appends to out. */
enum status prof_encode(const struct prof_report *report, const struct prof_stacks *stacks,
    const struct prof_symbols *symbols, struct buf *out, struct error *err);

#endif
