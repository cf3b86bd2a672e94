/* Retention: whole blocks go, the oldest first.
 *
 *     marker says "retired", synced ─► out of the view ─► the last reference removes the file
 *
 * A crash in between leaves a file that its marker calls retired: the next start removes it. A
 * query that still reads the block keeps it.
 *
 * A full disk has no room for the marker: then the block goes first, and its marker is written when
 * there is room. Should the machine go down in between, the next start reports the block missing.
 *
 * A marker goes when all its blocks are retired and their files and the epoch's log are known to be
 * gone: otherwise a file that comes back after a power cut would count as one that lost its marker.
 * The newest marker stays: it has the numbers that go on. */
#include "store/store_int.h"

#include <errno.h>
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

static enum status mark_retired(struct store *s, uint64_t epoch, struct str path, struct error *err)
{
    struct arena arena;
    struct marker m;
    arena_init(&arena, GIB);
    enum status st = marker_read(&s->target, epoch, &arena, &m, err);
    if (st == ST_OK) {
        for (uint32_t i = 0; i < m.n; i++)
            if (str_eq(m.entries[i].path, path))
                m.entries[i].retired = true;
        st = marker_write(&s->target, &m, err);
    } else if (st == ST_NOT_FOUND || st == ST_DATA_LOSS) {
        st = ST_OK; /* a block without a marker: nothing promises it */
    }
    arena_done(&arena);
    return st;
}

static void remember_unmarked(struct store *s, const struct block *b)
{
    s->unmarked = mem_grow(s->unmarked, (s->n_unmarked + 1) * sizeof *s->unmarked);
    ASSERT(s->unmarked);
    struct unmarked *u = &s->unmarked[s->n_unmarked++];
    u->epoch = b->epoch;
    snprintf(u->path, sizeof u->path, "%s", b->path);
}

static enum status mark_the_unmarked(struct store *s, struct error *err)
{
    while (s->n_unmarked) {
        const struct unmarked *u = &s->unmarked[s->n_unmarked - 1];
        TRY(mark_retired(s, u->epoch, str_from(u->path), err));
        s->n_unmarked--;
    }
    return ST_OK;
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
    struct error why = {0};
    enum status st = mark_retired(s, b->epoch, str_from(b->path), &why);
    if (st != ST_OK && why.os_errno == ENOSPC) {
        remember_unmarked(s, b);
    } else if (st != ST_OK) {
        if (err)
            *err = why;
        return st;
    }
    atomic_store(&b->retired, true);
    take_out(s, b);
    block_cache_forget(&s->cache, b);
    s->sweep = true;
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

/* Sweeping markers */

static bool is_gone(struct store *s, const char *folder, struct str name)
{
    char path[4096];
    struct fs_file *f = NULL;
    snprintf(path, sizeof path, "%s/%s/%.*s", s->dir, folder, STR_ARG(name));
    int e = s->fs->file_open(s->fs, path, FS_READ, &f);
    if (!e)
        s->fs->file_close(s->fs, f);
    return e == ENOENT;
}

/* Makes the removal of the file durable. */
static bool sync_folder_of(struct store *s, struct str path)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/blocks/%.*s", s->dir, STR_ARG(path));
    *strrchr(folder, '/') = 0;
    int e = s->fs->dir_sync(s->fs, folder);
    return e == 0 || e == ENOENT;
}

static bool has_log(const struct dir_names *wal, uint64_t epoch)
{
    for (uint32_t i = 0; i < wal->files.n; i++) {
        char name[WAL_NAME_MAX];
        uint64_t of;
        uint32_t segment;
        snprintf(name, sizeof name, "%.*s", STR_ARG(wal->files.v[i]));
        if (wal_segment_name_parse(name, &of, &segment) && of == epoch)
            return true;
    }
    return false;
}

/* False: not yet. */
static bool sweep_marker(struct store *s, uint64_t epoch, const struct dir_names *wal)
{
    struct arena arena;
    struct marker m;
    arena_init(&arena, GIB);
    bool needed = marker_read(&s->target, epoch, &arena, &m, NULL) != ST_OK;
    for (uint32_t i = 0; !needed && i < m.n; i++)
        needed = !m.entries[i].retired;
    bool gone = !has_log(wal, epoch);
    for (uint32_t i = 0; !needed && gone && i < m.n; i++)
        gone = is_gone(s, "blocks", m.entries[i].path) && sync_folder_of(s, m.entries[i].path);
    if (!needed && gone)
        gone = marker_remove(&s->target, epoch) == 0;
    arena_done(&arena);
    return needed || gone;
}

/* 0: not the name of a marker. */
static uint64_t epoch_of_marker(struct str file)
{
    char name[64];
    uint64_t epoch = 0;
    snprintf(name, sizeof name, "%.*s", STR_ARG(file));
    return marker_name_parse(name, &epoch) ? epoch : 0;
}

static void sweep_markers(struct store *s)
{
    char wal_dir[WAL_PATH_MAX];
    struct dir_names wal, markers;
    uint64_t newest = 0;
    ASSERT(fs_path(wal_dir, sizeof wal_dir, s->dir, "wal"));
    int e = dir_names_get(&s->target, "wal", &wal),
        e2 = dir_names_get(&s->target, "epochs", &markers);
    if (!e && !e2 && s->fs->dir_sync(s->fs, wal_dir) == 0) {
        s->sweep = false;
        for (uint32_t i = 0; i < markers.files.n; i++)
            newest = MAX(newest, epoch_of_marker(markers.files.v[i]));
        for (uint32_t i = 0; i < markers.files.n; i++) {
            uint64_t epoch = epoch_of_marker(markers.files.v[i]);
            if (epoch && epoch != newest && !sweep_marker(s, epoch, &wal))
                s->sweep = true;
        }
    }
    dir_names_done(&markers);
    dir_names_done(&wal);
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
    if (st == ST_OK)
        st = mark_the_unmarked(s, err);
    metric_set(M_BLOCK_BYTES, (double)bytes);
    if (s->sweep)
        sweep_markers(s);
    return st;
}

enum status store_expire(struct store *s, int64_t now_ns, struct error *err)
{
    mutex_lock(&s->cut_lock);
    enum status st = retention_run(s, now_ns, err);
    mutex_unlock(&s->cut_lock);
    return st;
}
