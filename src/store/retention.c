/* Retention: whole blocks go, the oldest first.
 *
 *     marker says "retired", synced ─► out of the view ─► the last reference removes the file
 *
 * A crash in between leaves a file that its marker calls retired: the next start removes it. A
 * query that still reads the block keeps it. Markers whose blocks are all retired go at the next
 * start, when the files are known to be gone. */
#include "store/store_int.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

/* References to the blocks served now. */
struct snapshot {
    struct block **v;
    uint32_t n;
};

static struct snapshot take_snapshot(struct store *s)
{
    struct snapshot out;
    mutex_lock(&s->view_lock);
    out.n = s->n_blocks;
    out.v = mem_new((out.n + 1) * sizeof *out.v);
    for (uint32_t i = 0; i < out.n; i++)
        out.v[i] = block_ref(s->blocks[i]);
    mutex_unlock(&s->view_lock);
    return out;
}

static enum status mark_retired(struct store *s, const struct block *b, struct error *err)
{
    struct arena arena;
    struct marker m;
    arena_init(&arena, GIB);
    enum status st = marker_read(&s->target, b->epoch, &arena, &m, err);
    if (st == ST_OK) {
        for (uint32_t i = 0; i < m.n; i++)
            if (str_eq(m.entries[i].path, str_from(b->path)))
                m.entries[i].retired = true;
        st = marker_write(&s->target, &m, err);
    } else if (st == ST_NOT_FOUND || st == ST_DATA_LOSS) {
        st = ST_OK; /* a block without a marker: nothing promises it */
    }
    arena_done(&arena);
    return st;
}

static void take_out(struct store *s, struct block *b)
{
    mutex_lock(&s->view_lock);
    uint32_t kept = 0;
    bool there = false;
    for (uint32_t i = 0; i < s->n_blocks; i++) {
        if (s->blocks[i] == b)
            there = true;
        else
            s->blocks[kept++] = s->blocks[i];
    }
    s->n_blocks = kept;
    mutex_unlock(&s->view_lock);
    if (there)
        block_unref(b);
}

static enum status retire(struct store *s, struct block *b, const char *reason, struct error *err)
{
    TRY(mark_retired(s, b, err));
    b->delete_file = true;
    take_out(s, b);
    block_cache_forget(&s->cache, b);
    metric_add(M_RETIRED_BLOCKS, 1, str_from(reason));
    LOG_INFO("block retired", "path=%s reason=%s bytes=%" PRIu64, LOG_STR(str_from(b->path)),
        reason, b->file_bytes);
    return ST_OK;
}

static int cmp_age(const void *pa, const void *pb)
{
    const struct block *a = *(struct block *const *)pa, *b = *(struct block *const *)pb;
    return (a->time_max > b->time_max) - (a->time_max < b->time_max);
}

enum status retention_run(struct store *s, int64_t now_ns, struct error *err)
{
    struct snapshot snap = take_snapshot(s);
    uint64_t bytes = 0;
    enum status st = ST_OK;
    if (snap.n)
        qsort(snap.v, snap.n, sizeof *snap.v, cmp_age);
    for (uint32_t i = 0; i < snap.n; i++)
        bytes += snap.v[i]->file_bytes;
    for (uint32_t i = 0; i < snap.n && st == ST_OK; i++) {
        struct block *b = snap.v[i];
        bool old = s->cfg.retention_ns && b->time_max < now_ns - s->cfg.retention_ns;
        bool over = s->cfg.retention_bytes && bytes > s->cfg.retention_bytes;
        if (!old && !over)
            break;
        bytes -= b->file_bytes;
        st = retire(s, b, old ? "age" : "bytes", err);
    }
    for (uint32_t i = 0; i < snap.n; i++)
        block_unref(snap.v[i]);
    mem_free(snap.v);
    metric_set(M_BLOCK_BYTES, (double)bytes);
    return st;
}

enum status store_expire(struct store *s, int64_t now_ns, struct error *err)
{
    mutex_lock(&s->cut_lock);
    enum status st = retention_run(s, now_ns, err);
    mutex_unlock(&s->cut_lock);
    return st;
}
