/* The maintainer: one thread that decides when to cut and when to expire.
 *
 *   at once           an upload would open one hour too many of a tenant (hours.c): cut
 *   every second      the head above half its bound, or a tenant above half its share: cut
 *   hh:02             a new hour of the wall clock, two minutes in (uploads of the last seconds
 * arrive late): cut at once           sealed epochs that wait (replayed at start, or failed): cut
 *   every minute      retention, gauges, free memory back to the system
 *   every second      the disk is fuller than blocks may make it: retention, before uploads fail
 *
 * A cut that fails (disk full, read-only, EIO) is tried again every few seconds; uploads and
 * queries go on as long as memory and the log allow. */
#include "store/store_int.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

enum { TICK_MS = 1000, RETRY_S = 5, EXPIRE_S = 60, LATE_S = 120 };

static int64_t hour_for_cuts(int64_t wall_ns)
{
    return (wall_ns - LATE_S * NS_PER_S) / BLOCK_HOUR_NS;
}

/* What a cut would be for; NULL: nothing to do. */
static const char *reason_to_cut(struct store *s, bool hours_full)
{
    size_t bytes = store_head_bytes(s);
    int64_t hour = hour_for_cuts(clock_wall_ns());
    mutex_lock(&s->view_lock);
    uint32_t epochs = s->n_epochs;
    mutex_unlock(&s->view_lock);
    metric_set(M_HEAD_BYTES, (double)bytes);
    metric_set(M_EPOCHS, epochs);
    if (bytes > s->cfg.head_bytes_max / 2)
        return "bytes";
    if (hours_full)
        return "hours";
    if (atomic_exchange(&s->tenant_half, false))
        return "tenant";
    if (hour != s->cut_hour) {
        s->cut_hour = hour;
        return "hour";
    }
    return epochs > 1 ? "sealed" : NULL;
}

static enum status run_cut(struct store *s, const char *reason, struct error *err)
{
    if (strcmp(reason, "sealed") != 0)
        return store_cut(s, reason, err);
    mutex_lock(&s->cut_lock);
    enum status st = cut_sealed(s, reason, err);
    mutex_unlock(&s->cut_lock);
    return st;
}

static void gauges(struct store *s)
{
    uint64_t free_bytes = 0, total = 0;
    if (s->fs->space(s->fs, s->dir, &free_bytes, &total) == 0) {
        metric_set(M_DISK_FREE, (double)free_bytes);
        metric_set(M_STORAGE_USED, (double)(total - MIN(free_bytes, total)));
        metric_set(M_STORAGE_TOTAL, (double)total);
    }
    metric_set(M_HEAD_BYTES_LIMIT, (double)s->cfg.head_bytes_max);
    mutex_lock(&s->view_lock);
    metric_set(M_BLOCKS, s->n_blocks);
    mutex_unlock(&s->view_lock);
    usage_gauges(s);
}

/* Whoever filled it. Retention then removes what it may; it is not asked every second. */
static bool disk_too_full(struct store *s)
{
    uint64_t free_bytes = 0, total = 0, percent = s->cfg.retention_disk_percent;
    if (percent == 0 || s->fs->space(s->fs, s->dir, &free_bytes, &total) != 0)
        return false;
    return total - MIN(free_bytes, total) > total / 100 * percent;
}

/* Sleeps until the time or until somebody waits for a cut; false: stop. */
static bool pause(struct store *s, int64_t until_mono_ns)
{
    mutex_lock(&s->wake_lock);
    while (!s->stop_now && !atomic_load(&s->hours_full) &&
           cond_wait_until(&s->wake, &s->wake_lock, until_mono_ns))
        ;
    bool go = !s->stop_now;
    mutex_unlock(&s->wake_lock);
    return go;
}

static void *maintainer(void *arg)
{
    struct store *s = arg;
    int64_t next_cut = 0, next_expire = 0, next_early = 0, next_retry = 0;
    bool hours_full = false;
    do {
        struct error err;
        int64_t now = clock_mono_ns();
        hours_full |= atomic_exchange(&s->hours_full, false);
        const char *reason = now >= next_cut ? reason_to_cut(s, hours_full) : NULL;
        if (reason) {
            bool cut = run_cut(s, reason, &err) == ST_OK;
            if (!cut)
                LOG_ERROR("cut failed, will be tried again", "err=%s", LOG_STR(error_str(&err)));
            next_cut = cut ? 0 : now + RETRY_S * NS_PER_S;
            hours_full &= !cut;
        }
        if (!hours_full || now >= next_retry) {
            hours_retry(s, false);
            next_retry = now + TICK_MS * NS_PER_MS;
        }
        if (now >= next_expire || (now >= next_early && disk_too_full(s))) {
            if (store_expire(s, clock_wall_ns(), &err) != ST_OK)
                LOG_ERROR("retention failed", "err=%s", LOG_STR(error_str(&err)));
            gauges(s);
            mem_trim();
            next_expire = now + EXPIRE_S * NS_PER_S;
            next_early = now + RETRY_S * NS_PER_S;
        }
    } while (pause(s, clock_mono_ns() + TICK_MS * NS_PER_MS));
    return NULL;
}

enum status maintain_start(struct store *s, struct error *err)
{
    s->cut_hour = hour_for_cuts(clock_wall_ns());
    TRY(thread_start(&s->maintainer, "maintainer", maintainer, s, err));
    s->maintaining = true;
    return ST_OK;
}

void maintain_stop(struct store *s)
{
    if (!s->maintaining)
        return;
    mutex_lock(&s->wake_lock);
    s->stop_now = true;
    cond_broadcast(&s->wake);
    mutex_unlock(&s->wake_lock);
    thread_join(s->maintainer);
    s->maintaining = false;
    hours_retry(s, true);
}
