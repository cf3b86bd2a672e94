/* Retention: which blocks go. Whole ones, each tenant's oldest first (by its newest row):
 *
 *   what is older than the tenant keeps                 by age, per tenant
 *   what is more than the tenant may have               by bytes, per tenant
 *   what is more than all may have                      of the tenant that has the most,
 *   while the disk is too full, whoever filled it         again and again
 *
 * So one tenant that fills the store loses its own data and nobody else's. Of a disk that others
 * filled, blocks give way until they have DISK_FLOOR_PERCENT of it left: otherwise the files of
 * somebody else would push everything out, as soon as it is in.
 *
 * Limits are asked for before cut_lock is taken, so that they may have locks of their own. What a
 * merge is reading stays until it is done. How a block goes: retire.c. */
#include "store/compact_int.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

enum { DISK_FLOOR_PERCENT = 5 };

struct ward {
    struct str tenant;
    struct store_keep keep;
    uint64_t bytes;
    struct {
        struct block **v;
        uint32_t n, cap;
    } blocks; /* that may go, oldest first */
    uint32_t at;
};

struct retention {
    struct store *s;
    int64_t now_ns;
    struct arena arena;
    struct {
        struct ward *v;
        uint32_t n, cap;
    } wards;               /* by tenant */
    struct block **blocks; /* references to what is served */
    uint32_t n_blocks;
    uint64_t bytes, leaving_bytes;
    struct error *err;
};

static int cmp_wards(const void *pa, const void *pb)
{
    return str_cmp(((const struct ward *)pa)->tenant, ((const struct ward *)pb)->tenant);
}

static int cmp_age(const void *pa, const void *pb)
{
    const struct block *a = *(struct block *const *)pa, *b = *(struct block *const *)pb;
    return (a->time_max > b->time_max) - (a->time_max < b->time_max);
}

static struct ward *find_ward(struct retention *r, struct str tenant)
{
    const struct ward key = {.tenant = tenant};
    return r->wards.n ? bsearch(&key, r->wards.v, r->wards.n, sizeof key, cmp_wards) : NULL;
}

static void add_ward(struct retention *r, struct str tenant)
{
    struct ward *w = VEC_PUSH(&r->arena, r->wards);
    ASSERT(w);
    *w = (struct ward){.tenant = arena_str(&r->arena, tenant)};
    ASSERT(w->tenant.p);
}

/* Who has blocks, and what they may keep. Without any lock. */
static void ask_limits(struct retention *r)
{
    struct store *s = r->s;
    uint32_t kept = 0;
    mutex_lock(&s->view_lock);
    for (uint32_t i = 0; i < s->n_blocks; i++)
        if (!i || !str_eq(s->blocks[i]->tenant, s->blocks[i - 1]->tenant))
            add_ward(r, s->blocks[i]->tenant);
    mutex_unlock(&s->view_lock);
    mutex_lock(&s->cut_lock);
    for (uint32_t i = 0; i < s->n_broken; i++)
        add_ward(r, broken_tenant(&s->broken[i]));
    mutex_unlock(&s->cut_lock);
    if (r->wards.n)
        qsort(r->wards.v, r->wards.n, sizeof *r->wards.v, cmp_wards);
    for (uint32_t i = 0; i < r->wards.n; i++)
        if (!kept || cmp_wards(&r->wards.v[kept - 1], &r->wards.v[i]) != 0)
            r->wards.v[kept++] = r->wards.v[i];
    r->wards.n = kept;
    for (uint32_t i = 0; i < r->wards.n; i++) {
        struct ward *w = &r->wards.v[i];
        w->keep.age_ns = s->cfg.retention_ns;
        if (s->cfg.keep)
            s->cfg.keep(s->cfg.keep_ctx, w->tenant, &w->keep);
    }
}

static bool is_merging(const struct store *s, const struct block *b)
{
    for (uint32_t i = 0; i < s->n_merging; i++)
        if (s->merging[i] == b)
            return true;
    return false;
}

/* A tenant whose first block came since the limits were asked for is looked at the next time. */
static void sort_blocks(struct retention *r)
{
    struct store *s = r->s;
    mutex_lock(&s->view_lock);
    r->n_blocks = s->n_blocks;
    r->blocks = mem_new((r->n_blocks + 1) * sizeof *r->blocks);
    for (uint32_t i = 0; i < r->n_blocks; i++)
        r->blocks[i] = block_ref(s->blocks[i]);
    mutex_unlock(&s->view_lock);
    if (r->n_blocks)
        qsort(r->blocks, r->n_blocks, sizeof *r->blocks, cmp_age);
    for (uint32_t i = 0; i < r->n_blocks; i++) {
        struct block *b = r->blocks[i];
        struct ward *w = find_ward(r, b->tenant);
        r->bytes += b->file_bytes;
        if (!w)
            continue;
        w->bytes += b->file_bytes;
        struct block **slot = is_merging(s, b) ? NULL : VEC_PUSH(&r->arena, w->blocks);
        if (slot)
            *slot = b;
    }
}

/* The oldest block of the tenant goes. */
static enum status let_go(struct retention *r, struct ward *w, const char *reason)
{
    struct block *b = w->blocks.v[w->at];
    TRY(retire_block(r->s, b, reason, r->err));
    w->at++;
    w->bytes -= b->file_bytes;
    r->bytes -= b->file_bytes;
    r->leaving_bytes += b->file_bytes;
    return ST_OK;
}

static bool is_old(const struct retention *r, const struct ward *w, int64_t time_ns)
{
    int64_t bound;
    return w->keep.age_ns > 0 && !__builtin_sub_overflow(r->now_ns, w->keep.age_ns, &bound) &&
           time_ns < bound;
}

static enum status keep_within(struct retention *r, struct ward *w)
{
    while (w->at < w->blocks.n && is_old(r, w, w->blocks.v[w->at]->time_max))
        TRY(let_go(r, w, "age"));
    while (w->at < w->blocks.n && w->keep.bytes && w->bytes > w->keep.bytes)
        TRY(let_go(r, w, "tenant_bytes"));
    return ST_OK;
}

static struct ward *largest(struct retention *r)
{
    struct ward *found = NULL;
    for (uint32_t i = 0; i < r->wards.n; i++) {
        struct ward *w = &r->wards.v[i];
        if (w->at < w->blocks.n && (!found || w->bytes > found->bytes))
            found = w;
    }
    return found;
}

/* Until all together have `bytes` at most. */
static enum status shrink_to(struct retention *r, uint64_t bytes, const char *reason)
{
    struct ward *w;
    while (r->bytes > bytes && (w = largest(r)))
        TRY(let_go(r, w, reason));
    return ST_OK;
}

/* How much all may have for the sake of the disk. Files that left the view and are still held by
 * queries count as free already, and so does what a merge has written: its sources go soon. */
static uint64_t disk_allows(const struct retention *r)
{
    const struct store *s = r->s;
    uint64_t free_bytes = 0, total = 0, percent = s->cfg.retention_disk_percent;
    if (percent == 0 || percent >= 100 || s->fs->space(s->fs, s->dir, &free_bytes, &total) != 0 ||
        total < free_bytes)
        return UINT64_MAX;
    uint64_t used = total - free_bytes, most = total / 100 * percent;
    used -= MIN(used, r->leaving_bytes);
    for (uint32_t i = 0; i < s->n_merging; i++)
        used -= MIN(used, s->merging[i]->file_bytes);
    if (used <= most)
        return UINT64_MAX;
    uint64_t over = used - most, least = total / 100 * DISK_FLOOR_PERCENT;
    return MAX(r->bytes > over ? r->bytes - over : 0, least);
}

/* What cannot be served grows old as well: its marker must not stay for ever. */
static void expire_broken(struct retention *r)
{
    struct store *s = r->s;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->n_broken; i++) {
        struct broken *b = &s->broken[i];
        const struct ward *w = find_ward(r, broken_tenant(b));
        char path[4096];
        if (!w || !is_old(r, w, b->until_ns)) {
            s->broken[kept++] = *b;
            continue;
        }
        retire_remember(s, b->epoch, str_from(b->path));
        snprintf(path, sizeof path, "%s/blocks/%s", s->dir, b->path);
        s->fs->unlink(s->fs, path);
        s->sweep = true;
        metric_add(M_BLOCKS_BAD, -1);
        metric_add(M_RETIRED_BLOCKS, 1, STR("age"));
        LOG_INFO("damaged block retired", "path=%s", LOG_STR(str_from(b->path)));
    }
    s->n_broken = kept;
}

static enum status run(struct retention *r)
{
    struct store *s = r->s;
    r->leaving_bytes = retire_tidy(s);
    sort_blocks(r);
    TRY(compact_undo(s, r->err));
    for (uint32_t i = 0; i < r->wards.n; i++)
        TRY(keep_within(r, &r->wards.v[i]));
    if (s->cfg.retention_bytes)
        TRY(shrink_to(r, s->cfg.retention_bytes, "bytes"));
    TRY(shrink_to(r, disk_allows(r), "disk"));
    expire_broken(r);
    return retire_settle(s, r->err);
}

static void set_gauges(const struct retention *r)
{
    int64_t oldest = INT64_MAX;
    for (uint32_t i = 0; i < r->n_blocks; i++)
        if (!atomic_load(&r->blocks[i]->retired))
            oldest = MIN(oldest, r->blocks[i]->time_min);
    metric_set(M_OLDEST_BLOCK, oldest == INT64_MAX ? 0 : (double)oldest / (double)NS_PER_S);
    metric_set(M_BLOCK_BYTES, (double)r->bytes);
}

enum status store_expire(struct store *s, int64_t now_ns, struct error *err)
{
    struct retention r = {.s = s, .now_ns = now_ns, .err = err};
    arena_init(&r.arena, GIB);
    ask_limits(&r);
    mutex_lock(&s->cut_lock);
    enum status st = run(&r);
    set_gauges(&r);
    for (uint32_t i = 0; i < r.n_blocks; i++)
        block_unref(r.blocks[i]);
    mem_free(r.blocks);
    if (s->sweep && s->n_unmarked == 0)
        retire_sweep(s);
    if (st == ST_OK)
        retire_tidy(s);
    mutex_unlock(&s->cut_lock);
    arena_done(&r.arena);
    return st;
}
