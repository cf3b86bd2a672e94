/* Open hours: how many hours of profile time a tenant may have in memory, and who waits for a cut.
 *
 *     append: hour is open ─► nothing to do
 *             opens one more, at most HOURS_MAX in memory ─► it is open
 *             opens one too many ─► the maintainer is woken, the upload waits ─► cut ─► append
 * again
 *
 * Each hour of a tenant becomes a block of its own, so late data of many hours must not gather in
 * one epoch. An epoch remembers the hours it has (struct tenant_use, only growing until the epoch
 * goes); those of all epochs in memory count together. They are taken at the end of the reservation
 * (quota_reserve), so a refused upload opens nothing.
 *
 * An upload that must wait is set aside whole, without a thread and before anything was interned;
 * the maintainer appends it after the cut. The rows belong to the caller until `done`. At most
 * WAITING_MAX wait, each WAIT_S at most (a cut may fail); the others are refused with the reason,
 * which is true for them too: nothing was stored, try again. Without a maintainer nobody waits.
 *
 * Threads: any for admit, open and wait; the maintainer alone retries. hours_lock guards the hours
 * of every tenant against other writers, and the list. */
#include "store/store_int.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"

enum { WAITING_MAX = 256, WAIT_S = 10 };

struct waiting {
    struct waiting *next;
    int64_t until_mono_ns;
    struct str tenant;
    struct store_quota quota;
    const struct store_row *rows;
    uint32_t n_rows;
    store_done_fn done;
    void *ctx;
};

static bool has_hour(const int64_t *v, uint32_t n, int64_t hour)
{
    while (n && v[n - 1] != hour)
        n--;
    return n > 0;
}

static bool is_open(const struct tenant_use *use, int64_t hour)
{
    return has_hour(use->hours, atomic_load_explicit(&use->n_hours, memory_order_acquire), hour);
}

void tenant_hour_open(struct tenant_use *use, int64_t hour)
{
    uint32_t n = use->n_hours;
    if (n == HOURS_MAX || has_hour(use->hours, n, hour))
        return;
    use->hours[n] = hour;
    atomic_store_explicit(&use->n_hours, n + 1, memory_order_release);
}

/* The hours that other epochs in memory have and this one does not, up to HOURS_MAX. */
static enum status find_others(struct quota *q)
{
    uint32_t n;
    q->others = ARENA_ARRAY(q->arena, int64_t, HOURS_MAX);
    struct epoch **v = q->others ? store_epochs_hold(q->s, q->arena, &n) : NULL;
    if (!v)
        FAIL(q->err, ST_RESOURCE_EXHAUSTED, "out of memory for one upload");
    for (uint32_t i = 0; i < n; i++) {
        const struct tenant_use *use = epoch_tenant_find(v[i], q->tenant, NULL);
        uint32_t hours = use && v[i] != q->s->epoch ? atomic_load(&use->n_hours) : 0;
        for (uint32_t k = 0; k < hours && q->n_others < HOURS_MAX; k++)
            if (!has_hour(q->others, q->n_others, use->hours[k]))
                q->others[q->n_others++] = use->hours[k];
    }
    store_epochs_release(v, n);
    return ST_OK;
}

enum status hours_admit(struct quota *q, const struct store_row *rows, uint32_t n_rows)
{
    for (uint32_t i = 0; i < n_rows; i++) {
        int64_t hour = block_hour(rows[i].prof->time_ns);
        if ((q->use && is_open(q->use, hour)) || has_hour(q->fresh, q->n_fresh, hour))
            continue;
        if (!q->fresh)
            q->fresh = ARENA_ARRAY(q->arena, int64_t, HOURS_MAX);
        if (!q->fresh)
            FAIL(q->err, ST_RESOURCE_EXHAUSTED, "out of memory for one upload");
        if (q->n_fresh == HOURS_MAX)
            FAIL(q->err, ST_INVALID_ARGUMENT,
                "an upload has profiles of more than %d hours: send it in parts", HOURS_MAX);
        q->fresh[q->n_fresh++] = hour;
    }
    return q->n_fresh ? find_others(q) : ST_OK;
}

enum status hours_open(struct quota *q)
{
    struct tenant_use *use = q->use;
    if (!q->n_fresh)
        return ST_OK;
    mutex_lock(&q->s->hours_lock);
    uint32_t n = use->n_hours;
    for (uint32_t i = 0; i < q->n_others; i++)
        n += !is_open(use, q->others[i]);
    for (uint32_t i = 0; i < q->n_fresh; i++)
        n += !is_open(use, q->fresh[i]) && !has_hour(q->others, q->n_others, q->fresh[i]);
    bool fits = n <= HOURS_MAX;
    for (uint32_t i = 0; fits && i < q->n_fresh; i++)
        tenant_hour_open(use, q->fresh[i]);
    mutex_unlock(&q->s->hours_lock);
    if (fits)
        return ST_OK;
    q->hours_full = true;
    FAIL(q->err, ST_UNAVAILABLE,
        "profiles of %u different hours would be in memory, %d are allowed: they are written "
        "into blocks, try again",
        n, HOURS_MAX);
}

static void wake_maintainer(struct store *s)
{
    atomic_store(&s->hours_full, true);
    mutex_lock(&s->wake_lock);
    cond_broadcast(&s->wake);
    mutex_unlock(&s->wake_lock);
}

static bool add_waiting(struct store *s, struct waiting *w)
{
    mutex_lock(&s->hours_lock);
    bool room = !s->hours_closed && s->n_waiting < WAITING_MAX;
    if (room) {
        w->next = NULL;
        *s->waiting_tail = w;
        s->waiting_tail = &w->next;
        metric_set(M_HEAD_WAITING, ++s->n_waiting);
    }
    mutex_unlock(&s->hours_lock);
    return room;
}

bool hours_wait(struct store *s, struct str tenant, const struct store_quota *quota,
    const struct store_row *rows, uint32_t n_rows, store_done_fn done, void *ctx)
{
    struct waiting *w = NEW(struct waiting);
    *w = (struct waiting){.until_mono_ns = clock_mono_ns() + WAIT_S * NS_PER_S,
        .tenant = tenant,
        .quota = *quota,
        .rows = rows,
        .n_rows = n_rows,
        .done = done,
        .ctx = ctx};
    bool waits = add_waiting(s, w);
    if (!waits)
        mem_free(w);
    wake_maintainer(s); /* from here on the upload may be over */
    return waits;
}

static void retry(struct store *s, struct waiting *w)
{
    struct error err;
    enum store_refused refused;
    bool hours_full = false;
    enum status st = append_once(
        s, w->tenant, &w->quota, w->rows, w->n_rows, w->done, w->ctx, &refused, &hours_full, &err);
    if (st != ST_OK && hours_full && clock_mono_ns() < w->until_mono_ns && add_waiting(s, w)) {
        atomic_store(&s->hours_full, true);
        return;
    }
    if (st != ST_OK)
        w->done(w->ctx, st, &err);
    mem_free(w);
}

void hours_retry(struct store *s, bool last)
{
    mutex_lock(&s->hours_lock);
    struct waiting *list = s->waiting_head;
    s->waiting_head = NULL;
    s->waiting_tail = &s->waiting_head;
    s->n_waiting = 0;
    s->hours_closed |= last;
    metric_set(M_HEAD_WAITING, 0);
    mutex_unlock(&s->hours_lock);
    for (struct waiting *w = list, *next; w; w = next) {
        next = w->next;
        retry(s, w);
    }
}
