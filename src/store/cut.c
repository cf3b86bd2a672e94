/* The cut: a sealed epoch becomes blocks, and its log goes.
 *
 *     write every block, synced ─► marker, synced ─► swap in the view ─► remove the log
 *
 * A crash before the marker: the log is replayed and the epoch cut again, over the same names.
 * After the marker: the blocks are served and the log is ignored. A marker is written even for an
 * epoch without rows before its log goes, because the log of a failed epoch may hold frames that
 * were refused, and only the next epoch's log says so. Such an empty marker is removed once the log
 * is gone for good.
 *
 * Queries see the epoch until the swap and the blocks from then on, never both and never neither.
 * One cut at a time (cut_lock); the committer and queries go on meanwhile. */
#include "store/store_int.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

/* What an epoch has: tenants and the hours of their published rows, each once. */
struct bucket {
    struct str tenant;
    int64_t hour_ns;
};

struct cut {
    struct store *s;
    struct epoch *ep;
    struct arena arena;
    struct {
        struct bucket *v;
        uint32_t n, cap;
    } buckets;
    struct marker marker;
    struct block **blocks;
    struct error *err;
};

static int cmp_buckets(const void *pa, const void *pb)
{
    const struct bucket *a = pa, *b = pb;
    int c = str_cmp(a->tenant, b->tenant);
    return c ? c : (a->hour_ns > b->hour_ns) - (a->hour_ns < b->hour_ns);
}

static enum status no_memory(struct cut *c)
{
    FAIL(c->err, ST_RESOURCE_EXHAUSTED, "out of memory while cutting epoch %" PRIu64, c->ep->no);
}

static enum status add_part(struct cut *c, const struct part *p)
{
    int64_t last = INT64_MIN;
    uint32_t rows = part_rows(p);
    for (uint32_t i = 0; i < rows; i++) {
        int64_t hour = block_hour(part_row(p, i)->time_ns);
        if (i && hour == last)
            continue;
        struct bucket *b = VEC_PUSH(&c->arena, c->buckets);
        if (!b)
            return no_memory(c);
        *b = (struct bucket){p->tenant, hour};
        last = hour;
    }
    return ST_OK;
}

static enum status find_buckets(struct cut *c)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->ep->n_datasets; i++)
        TRY(add_part(c, &epoch_dataset(c->ep, i)->part));
    if (c->buckets.n)
        qsort(c->buckets.v, c->buckets.n, sizeof *c->buckets.v, cmp_buckets);
    for (uint32_t i = 0; i < c->buckets.n; i++)
        if (!kept || cmp_buckets(&c->buckets.v[kept - 1], &c->buckets.v[i]) != 0)
            c->buckets.v[kept++] = c->buckets.v[i];
    c->buckets.n = kept;
    return ST_OK;
}

static enum status write_blocks(struct cut *c)
{
    c->marker = (struct marker){.epoch = c->ep->no, .next_seq = atomic_load(&c->s->next_seq)};
    c->marker.entries = ARENA_ZARRAY(&c->arena, struct marker_entry, c->buckets.n);
    c->blocks = ARENA_ZARRAY(&c->arena, struct block *, c->buckets.n);
    if (!c->marker.entries || !c->blocks)
        return no_memory(c);
    for (uint32_t i = 0; i < c->buckets.n; i++) {
        struct block_file file = {0};
        const struct bucket *b = &c->buckets.v[i];
        TRY(block_write(&c->s->target, c->ep, b->tenant, b->hour_ns, &file, c->err));
        ASSERT(file.bytes);
        c->marker.entries[c->marker.n++] = (struct marker_entry){
            .path = arena_str(&c->arena, str_from(file.path)),
            .bytes = file.bytes,
            .check = file.check,
        };
    }
    return ST_OK;
}

/* What was written is what is read: the blocks are opened before the marker promises them. */
static enum status open_blocks(struct cut *c)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/blocks", c->s->dir);
    for (uint32_t i = 0; i < c->marker.n; i++) {
        const struct marker_entry *e = &c->marker.entries[i];
        char path[BLOCK_PATH_MAX];
        snprintf(path, sizeof path, "%.*s", STR_ARG(e->path));
        TRY(block_open(c->s->fs, dir, path, &c->blocks[i], c->err));
        if (c->blocks[i]->check != e->check)
            FAIL(c->err, ST_DATA_LOSS, "block %s is not what was written", path);
    }
    return ST_OK;
}

void store_blocks_add_locked(struct store *s, struct block *b)
{
    if (s->n_blocks == s->cap_blocks) {
        s->cap_blocks = s->cap_blocks ? s->cap_blocks * 2 : 64;
        s->blocks = mem_grow(s->blocks, s->cap_blocks * sizeof *s->blocks);
        ASSERT(s->blocks);
    }
    s->blocks[s->n_blocks++] = b;
}

static void swap_in(struct cut *c)
{
    struct store *s = c->s;
    mutex_lock(&s->view_lock);
    for (uint32_t i = 0; i < c->marker.n; i++) {
        store_blocks_add_locked(s, c->blocks[i]);
        c->blocks[i] = NULL;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->n_epochs; i++)
        if (s->epochs[i] != c->ep)
            s->epochs[kept++] = s->epochs[i];
    ASSERT(kept + 1 == s->n_epochs);
    s->n_epochs = kept;
    mutex_unlock(&s->view_lock);
    epoch_unref(c->ep); /* the view's; the cut has one of its own */
}

/* Files of a damaged log are kept, in quarantine/, for whoever wants to look. */
int cut_drop_log(struct store *s, const struct epoch *ep)
{
    char name[WAL_NAME_MAX], from[4096], to[4096], dir[4096];
    int e = 0;
    for (uint32_t i = 0; i < ep->n_segments; i++) {
        wal_segment_name(name, ep->no, i);
        snprintf(from, sizeof from, "%s/wal/%s", s->dir, name);
        snprintf(to, sizeof to, "%s/quarantine/%s", s->dir, name);
        int one = ep->damaged ? s->fs->rename(s->fs, from, to) : s->fs->unlink(s->fs, from);
        e = one && one != ENOENT ? one : e;
    }
    snprintf(dir, sizeof dir, "%s/quarantine", s->dir);
    if (!e && ep->damaged)
        e = s->fs->dir_sync(s->fs, dir);
    snprintf(dir, sizeof dir, "%s/wal", s->dir);
    return e ? e : s->fs->dir_sync(s->fs, dir);
}

static enum status cut_epoch_steps(struct cut *c)
{
    TRY(find_buckets(c));
    TRY(write_blocks(c));
    TRY(open_blocks(c));
    TRY(marker_write(&c->s->target, &c->marker, c->err));
    swap_in(c);
    int e = cut_drop_log(c->s, c->ep);
    if (e) /* the next start removes it: the marker is there */
        LOG_WARN("cannot remove the log of a cut epoch", "epoch=%" PRIu64 " err=%s", c->ep->no,
            LOG_STR(str_from(strerror(e))));
    else if (c->marker.n == 0)
        marker_remove(&c->s->target, c->ep->no);
    return ST_OK;
}

static enum status cut_epoch(
    struct store *s, struct epoch *ep, const char *reason, struct error *err)
{
    struct cut c = {.s = s, .ep = ep, .err = err};
    int64_t begun = clock_mono_ns();
    uint64_t bytes = 0;
    arena_init(&c.arena, GIB);
    enum status st = cut_epoch_steps(&c);
    for (uint32_t i = 0; i < c.marker.n; i++) {
        bytes += c.marker.entries[i].bytes;
        if (c.blocks)
            block_unref(c.blocks[i]);
    }
    metric_add(M_CUTS, 1, str_from(reason), st == ST_OK ? STR("ok") : STR("failed"));
    metric_observe(M_CUT_SECONDS, (double)(clock_mono_ns() - begun) / 1e9);
    if (st == ST_OK && c.marker.n)
        LOG_INFO("epoch cut to blocks",
            "epoch=%" PRIu64 " reason=%s blocks=%u bytes=%" PRIu64 " ms=%lld", ep->no, reason,
            c.marker.n, bytes, (clock_mono_ns() - begun) / NS_PER_MS);
    arena_done(&c.arena);
    return st;
}

struct barrier {
    struct mutex lock;
    struct cond wake;
    bool passed;
};

static void barrier_passed(void *ctx, enum status st, const struct error *err)
{
    struct barrier *b = ctx;
    (void)st; /* refused or durable: either way nothing of the epoch is queued any more */
    (void)err;
    mutex_lock(&b->lock);
    b->passed = true;
    cond_broadcast(&b->wake);
    mutex_unlock(&b->lock);
}

void cut_barrier(struct store *s, struct epoch *ep)
{
    struct barrier b = {0};
    struct commit_item *item = mem_new(sizeof *item);
    mutex_init(&b.lock, "store.barrier", RANK_LOOP);
    cond_init(&b.wake);
    buf_init(&item->frame, 0);
    item->epoch = epoch_ref(ep);
    item->done = barrier_passed;
    item->ctx = &b;
    if (commit_enqueue(s, item)) {
        mutex_lock(&b.lock);
        while (!b.passed)
            cond_wait(&b.wake, &b.lock);
        mutex_unlock(&b.lock);
    } else { /* the committer has stopped: nothing is queued */
        epoch_unref(item->epoch);
        mem_free(item);
    }
    cond_done(&b.wake);
    mutex_done(&b.lock);
}

/* The oldest epoch that takes no data any more, with a reference; NULL: there is none. */
static struct epoch *next_sealed(struct store *s)
{
    gate_enter(&s->gate);
    struct epoch *open = s->epoch, *found = NULL;
    mutex_lock(&s->view_lock);
    if (s->n_epochs && s->epochs[0] != open)
        found = epoch_ref(s->epochs[0]);
    mutex_unlock(&s->view_lock);
    gate_leave(&s->gate);
    return found;
}

enum status cut_sealed(struct store *s, const char *reason, struct error *err)
{
    enum status st = ST_OK;
    for (struct epoch *ep; st == ST_OK && (ep = next_sealed(s));) {
        cut_barrier(s, ep);
        st = cut_epoch(s, ep, reason, err);
        epoch_unref(ep);
    }
    return st;
}

enum status store_cut(struct store *s, const char *reason, struct error *err)
{
    mutex_lock(&s->cut_lock);
    enum status st = cut_sealed(s, reason, err);
    gate_enter(&s->gate);
    bool any = s->epoch->n_datasets > 0;
    gate_leave(&s->gate);
    if (st == ST_OK && any) { /* while cuts fail, epochs must not pile up */
        store_seal(s);
        st = cut_sealed(s, reason, err);
    }
    mutex_unlock(&s->cut_lock);
    return st;
}
