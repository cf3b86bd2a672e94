/* See self_profile.h.
 *
 *     every thread ─ticks─► rings ─1 s─► stacks ─10 s─► pprof ─► ingest_push ─► store
 *
 * A thread of its own drains and appends, in process: no HTTP, but the same path as everybody's
 * uploads behind it, with the tenant's limits. It is sampled like the others, so what it costs is
 * in the profile. Without a single sample (an idle server) nothing is appended.
 *
 * Invariants: one push at a time; its arena and bytes live until its completion, which runs on the
 * committer's thread and only sets `pushed`. A refused profile is logged and gone. */
#include "server/self_profile.h"

#include <stdlib.h>
#include <unistd.h>

#include "agents/core/agent.h"
#include "agents/core/report.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "server/tenants.h"

#define DRAIN_NS NS_PER_S
#define PUSH_NS (10 * NS_PER_S)

enum { STACK_BYTES_MAX = 8 << 20, PUSH_BYTES_MAX = 32 << 20, HOST_BYTES = 256, LABELS = 5 };

struct self_profile {
    char tenant[TENANT_BYTES_MAX + 1], host[HOST_BYTES];
    struct ingest *ingest;
    pthread_t thread;
    bool started;

    struct mutex lock; /* of the three below */
    struct cond changed;
    bool stopping, pushed;
    bool refused; /* the last push */

    /* Of the thread alone. */
    struct agent_symbols *symbols;
    struct agent_stacks stacks;
    struct agent_stats stats;
    int64_t since_ns; /* wall: where the profile begins */
    struct arena arena;
    struct buf pprof;
};

/* ── one push ── */

static void push_done(void *ctx, enum status st, const struct error *err)
{
    struct self_profile *sp = ctx;
    if (st != ST_OK)
        LOG_WARN("a profile of the server itself was not stored", "reason=\"%s\"",
            LOG_STR(error_str(err)));
    mutex_lock(&sp->lock);
    sp->pushed = true;
    sp->refused = st != ST_OK;
    cond_signal(&sp->changed);
    mutex_unlock(&sp->lock);
}

static void push_and_wait(struct self_profile *sp, int64_t now_ns)
{
    struct m_label_pair labels[LABELS] = {
        {STR("__name__"), str_from(agent_kind_cpu.name)},
        {STR("service_name"), STR("everflame")},
        {STR("hostname"), str_from(sp->host)},
        {STR("target"), STR("all")},
        {STR("version"), STR(EVERFLAME_VERSION)},
    };
    struct m_raw_sample sample = {.raw_profile = buf_view(&sp->pprof)};
    struct m_raw_series series = {.labels = {labels, LABELS, LABELS}, .samples = {&sample, 1, 1}};
    struct m_push_request request = {.series = {&series, 1, 1}};
    struct ingest_push push = {
        .tenant = str_from(sp->tenant),
        .request = &request,
        .arena = &sp->arena,
        .now_ns = now_ns,
    };
    sp->pushed = false;
    ingest_push(sp->ingest, &push, push_done, sp);
    mutex_lock(&sp->lock);
    while (!sp->pushed)
        cond_wait(&sp->changed, &sp->lock);
    metric_add(M_SELF_PROFILES, 1, sp->refused ? STR("refused") : STR("stored"));
    mutex_unlock(&sp->lock);
}

static void append(struct self_profile *sp)
{
    struct error err = {0};
    int64_t now = clock_wall_ns();
    struct agent_report report = {.kind = &agent_kind_cpu,
        .time_ns = sp->since_ns,
        .duration_ns = MAX(now - sp->since_ns, 0),
        .period = NS_PER_S / AGENT_HZ};
    buf_clear(&sp->pprof);
    if (agent_encode(&report, &sp->stacks, sp->symbols, &sp->pprof, &err) != ST_OK)
        LOG_WARN("a profile of the server itself was not made", "reason=\"%s\"",
            LOG_STR(error_str(&err)));
    else if (sp->pprof.n)
        push_and_wait(sp, now);
    arena_reset(&sp->arena);
    agent_stacks_clear(&sp->stacks);
    sp->since_ns = now;
}

/* ── the thread ── */

/* True when it is time to end. */
static bool wait_until(struct self_profile *sp, int64_t mono_ns)
{
    mutex_lock(&sp->lock);
    while (!sp->stopping && cond_wait_until(&sp->changed, &sp->lock, mono_ns))
        ;
    bool stopping = sp->stopping;
    mutex_unlock(&sp->lock);
    return stopping;
}

static void drain(struct self_profile *sp)
{
    uint64_t before = sp->stats.lost;
    agent_drain(sp->symbols, &sp->stacks, &sp->stats);
    metric_add(M_SELF_PROFILE_LOST, (double)(sp->stats.lost - before));
}

static void *work(void *arg)
{
    struct self_profile *sp = arg;
    int64_t next = clock_mono_ns() + DRAIN_NS, next_push = next + PUSH_NS - DRAIN_NS;
    while (!wait_until(sp, next)) {
        drain(sp);
        next += DRAIN_NS;
        if (clock_mono_ns() < next_push)
            continue;
        append(sp);
        next_push += PUSH_NS;
        /* After a stall (a slow disk, a suspended machine) nothing is made up for. */
        next = MAX(next, clock_mono_ns());
        next_push = MAX(next_push, next);
    }
    return NULL;
}

/* ── from outside ── */

static void set_host(struct self_profile *sp)
{
    const char *name = getenv("HOSTNAME");
    if (name && name[0])
        snprintf(sp->host, sizeof sp->host, "%s", name);
    else if (gethostname(sp->host, sizeof sp->host - 1) != 0)
        snprintf(sp->host, sizeof sp->host, "unknown");
}

static enum status set_tenant(struct self_profile *sp, const struct config *c, struct error *err)
{
    struct str id = c->self_profiling_tenant.n ? c->self_profiling_tenant : STR("anonymous");
    struct str tenant;
    TRY(tenants_parse_one(c->multitenancy_enabled, id, &sp->arena, &tenant, err));
    snprintf(sp->tenant, sizeof sp->tenant, "%.*s", STR_ARG(tenant));
    return ST_OK;
}

enum status self_profile_begin(
    const struct config *c, struct self_profile **ret_profile, struct error *err)
{
    static const struct thread_hooks hooks = {agent_thread_begin, agent_thread_end};
    static const struct agent_config cfg = {.hz = AGENT_HZ};
    struct error why = {0};
    *ret_profile = NULL;
    if (c->self_profiling_disable_push)
        return ST_OK;
    struct self_profile *sp = NEW(struct self_profile);
    arena_init(&sp->arena, PUSH_BYTES_MAX);
    enum status st = set_tenant(sp, c, err);
    if (st == ST_OK && agent_start(&cfg, &why) == ST_OK) {
        set_host(sp);
        buf_init(&sp->pprof, PUSH_BYTES_MAX);
        mutex_init(&sp->lock, "self profile", RANK_LOOP);
        cond_init(&sp->changed);
        agent_stacks_init(&sp->stacks, STACK_BYTES_MAX);
        sp->symbols = agent_symbols_new();
        thread_hooks_set(&hooks);
        *ret_profile = sp;
        return ST_OK;
    }
    if (st == ST_OK) /* the first lines a person sees are where it listens and what to type */
        LOG_DEBUG("the server does not profile itself", "reason=\"%s\"", why.msg);
    arena_done(&sp->arena);
    mem_free(sp);
    return st == ST_OK ? ST_OK : error_wrap(err, st, "self_profiling.tenant_id");
}

enum status self_profile_start(struct self_profile *sp, struct ingest *ingest, struct error *err)
{
    if (!sp)
        return ST_OK;
    sp->ingest = ingest;
    sp->since_ns = clock_wall_ns();
    TRY(thread_start(&sp->thread, "selfprof", work, sp, err));
    sp->started = true;
    return ST_OK;
}

void self_profile_stop(struct self_profile *sp)
{
    if (!sp || !sp->started)
        return;
    mutex_lock(&sp->lock);
    sp->stopping = true;
    cond_signal(&sp->changed);
    mutex_unlock(&sp->lock);
    thread_join(sp->thread);
    sp->started = false;
}

void self_profile_end(struct self_profile *sp)
{
    if (!sp)
        return;
    ASSERT(!sp->started);
    thread_hooks_set(NULL);
    agent_stop();
    agent_symbols_free(sp->symbols);
    agent_stacks_done(&sp->stacks);
    cond_done(&sp->changed);
    mutex_done(&sp->lock);
    buf_done(&sp->pprof);
    arena_done(&sp->arena);
    mem_free(sp);
}
