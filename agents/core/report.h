/* Stacks of functions as a pprof profile. */
#ifndef AGENTS_CORE_REPORT_H
#define AGENTS_CORE_REPORT_H

#include "agents/core/stacks.h"
#include "agents/core/symbols.h"
#include "base/buf.h"
#include "base/status.h"

struct agent_kind { /* of profile: process_cpu, memory, mutex */
    const char *name;
    struct {
        const char *type, *unit;
    } values[AGENT_VALUES_MAX];
    uint32_t n_values;
    const char *period_type, *period_unit;
};
extern const struct agent_kind agent_kind_cpu, agent_kind_heap, agent_kind_mutex;

struct agent_report {
    const struct agent_kind *kind;
    int64_t time_ns, duration_ns, period;
};

/* Entries whose values are all 0 are left out; without any other the result is empty (0 samples).
 * Appends to out. */
enum status agent_encode(const struct agent_report *report, const struct agent_stacks *stacks,
    const struct agent_symbols *symbols, struct buf *out, struct error *err);

#endif
