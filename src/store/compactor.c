/* When blocks are merged: a thread of its own, and store_compact for whoever wants it now.
 *
 * The thread looks once a minute and merges until nothing is due. It is the least important work
 * there is: nice 19 (also for the disk), and while there are uploads or queries, or were within a
 * second, it works a tenth of the time, milliseconds at once: what others would feel is not that a
 * processor is taken, but that its cache and the other half of its core are. A tenth of a processor
 * merges some 150 GB a day. Should blocks pile up all the same, it works half the time. Not
 * SCHED_IDLE: on a busy machine that may not run for seconds, and for the moment of a swap it holds
 * the lock of the view, which everybody else would wait for.
 *
 * What is old (compact_plan.c) is known by numbers: every hour the number of the newest epoch is
 * noted, and a day later everything up to it is a day old. */
#include "store/compact_int.h"

#include <inttypes.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

enum { LOOK_S = 60, NICE = 19, HOURS = 24 };
#define TURN_NS (2 * NS_PER_MS)
#define SLEEP_MAX_NS (2 * NS_PER_S)
#define STILL_BUSY_NS NS_PER_S
#define PILE_BYTES (8 * (uint64_t)GIB)
enum { REST = 9, REST_WITH_PILE = 1 }; /* times what it worked */

struct compactor {
    struct store *s;
    int64_t resumed_ns; /* since then it worked without a pause */
    uint64_t seen_seq;
    int64_t busy_until_ns;
    uint64_t noted[HOURS]; /* newest epoch, by hour */
    uint32_t n_noted;
    int64_t next_note_ns;
};

/* False: stop. */
static bool sleep_until(struct store *s, int64_t mono_ns)
{
    mutex_lock(&s->wake_lock);
    while (!s->stop_now && cond_wait_until(&s->wake, &s->wake_lock, mono_ns))
        ;
    bool go = !s->stop_now;
    mutex_unlock(&s->wake_lock);
    return go;
}

/* Whether somebody asks or uploads, or just did. */
static bool others_work(struct compactor *c, int64_t now_mono_ns)
{
    uint64_t seq = atomic_load(&c->s->next_seq);
    if (seq != c->seen_seq || atomic_load(&c->s->views) > 0)
        c->busy_until_ns = now_mono_ns + STILL_BUSY_NS;
    c->seen_seq = seq;
    return now_mono_ns < c->busy_until_ns;
}

static enum status give_way(void *ctx, struct error *err)
{
    struct compactor *c = ctx;
    int64_t now = clock_mono_ns(), worked = now - c->resumed_ns;
    if (worked < TURN_NS)
        return ST_OK;
    int64_t rest = c->s->compaction->backlog_bytes > PILE_BYTES ? REST_WITH_PILE : REST;
    int64_t sleep = others_work(c, now) ? MIN(worked * rest, SLEEP_MAX_NS) : 0;
    if (!sleep_until(c->s, now + sleep))
        FAIL(err, ST_UNAVAILABLE, "the store is closing");
    c->resumed_ns = clock_mono_ns();
    return ST_OK;
}

static void note_epoch(struct compactor *c)
{
    int64_t now = clock_mono_ns();
    if (now < c->next_note_ns)
        return;
    c->next_note_ns = now + 3600 * NS_PER_S;
    uint64_t *slot = &c->noted[c->n_noted++ % HOURS];
    if (c->n_noted > HOURS)
        c->s->compaction->old_epoch = *slot;
    *slot = atomic_load(&c->s->next_epoch) - 1;
}

static bool is_stopping(struct store *s)
{
    return !sleep_until(s, 0);
}

/* Until nothing is due. */
static enum status run(
    struct store *s, bool force, const struct compact_caller *caller, struct error *err)
{
    enum status st;
    bool any = false;
    metric_add(M_COMPACTOR_STARTED, 1);
    mutex_lock(&s->compaction->lock);
    do {
        const struct compact_rules rules = {clock_wall_ns(), s->compaction->old_epoch, force};
        st = compact_next(s, &rules, caller, &any, err);
    } while (st == ST_OK && any);
    mutex_unlock(&s->compaction->lock);
    if (st == ST_OK) {
        metric_add(M_COMPACTOR_COMPLETED, 1);
        metric_set(M_COMPACTOR_LAST, (double)clock_wall_ns() / (double)NS_PER_S);
    } else {
        metric_add(M_COMPACTOR_FAILED, 1, is_stopping(s) ? STR("shutdown") : STR("error"));
    }
    return st;
}

static void *compactor(void *arg)
{
    struct compactor c = {.s = arg, .resumed_ns = clock_mono_ns()};
    const struct compact_caller caller = {.pause = {give_way, &c}};
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), NICE) != 0)
        LOG_WARN("the compactor has the priority of everybody else", "nice=%d", NICE);
    do {
        struct error err = {0};
        note_epoch(&c);
        if (run(c.s, false, &caller, &err) != ST_OK && !is_stopping(c.s))
            LOG_WARN("merging blocks ended early, will be tried again", "err=%s",
                LOG_STR(error_str(&err)));
    } while (sleep_until(c.s, clock_mono_ns() + LOOK_S * NS_PER_S));
    return NULL;
}

enum status store_compact(
    struct store *s, bool force, store_compacted_fn done, void *ctx, struct error *err)
{
    const struct compact_caller caller = {.done = done, .done_ctx = ctx};
    return run(s, force, &caller, err);
}

enum status compactor_start(struct store *s, struct error *err)
{
    s->compaction->old_epoch = atomic_load(&s->next_epoch) - 1; /* what was there at start */
    TRY(thread_start(&s->compaction->thread, "compactor", compactor, s, err));
    s->compaction->running = true;
    return ST_OK;
}

void compactor_stop(struct store *s)
{
    if (!s->compaction->running)
        return;
    mutex_lock(&s->wake_lock);
    s->stop_now = true;
    cond_broadcast(&s->wake);
    mutex_unlock(&s->wake_lock);
    thread_join(s->compaction->thread);
    s->compaction->running = false;
}
