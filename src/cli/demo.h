/* The parts of `everflame demo`: batches of profiles to push, and recordings to replay. */
#ifndef CLI_DEMO_H
#define CLI_DEMO_H

#include "agents/core/agent.h"
#include "agents/core/report.h"
#include "cli/cli_int.h"

enum demo_kind { DEMO_CPU, DEMO_HEAP, DEMO_MUTEX, DEMO_KINDS };
extern const struct agent_kind *const demo_kinds[DEMO_KINDS];

/* ── demo_push.c ── */

enum { DEMO_BATCH_MAX = 64 };

/* Profiles on their way to the server in one request; on the stack of whoever sends. */
struct demo_batch {
    struct arena arena;
    struct m_raw_series series[DEMO_BATCH_MAX];
    uint32_t n;
};

struct demo_profile {
    enum demo_kind kind;
    const struct agent_stacks *stacks;
    uint32_t release;
    int64_t time_ns, duration_ns;
};

void demo_batch_init(struct demo_batch *b);
void demo_batch_done(struct demo_batch *b);
/* A profile without samples is left out. */
enum status demo_batch_add(struct cli *c, struct demo_batch *b, const struct demo_profile *p,
    const struct agent_symbols *symbols);
/* Sends and empties it; push.v1. */
enum status demo_batch_send(struct cli *c, struct demo_batch *b);

/* ── demo_replay.c ── */

/* What was recorded of one release. */
struct demo_recording {
    struct agent_stacks kinds[DEMO_KINDS];
};
int64_t demo_recording_samples(const struct demo_recording *r);

struct demo_replay {
    double scale;    /* of the recorded amounts */
    uint32_t age;    /* steps since the cache was emptied, from 1 */
    uint64_t random; /* state; not 0 */
};
/* The recording as it would look in another stretch of time: each stack's amounts times the scale,
 * rounded up or down by chance, so that sums stay true. Into *ret_stacks, which is cleared; false
 * when they have no room. */
bool demo_replay(const struct demo_recording *r, enum demo_kind kind, struct demo_replay *how,
    struct agent_stacks *ret_stacks);

#endif
