/* Blocks leave: because of retention, or because a merge replaced them.
 *
 *     marker says "retired", synced ─► out of the view ─► the last reference removes the file
 *
 * A crash in between leaves a file that its marker calls retired: the next start removes it. A
 * query that still reads the block keeps it.
 *
 * What is gone and is not called retired yet (a full disk has no room for the marker; or a merge's
 * marker replaced it) is remembered and its marker written later. Should the machine go down before
 * that, the next start knows of merged ones by the merge's marker, and reports others missing.
 *
 * A marker goes when all its blocks are retired, their files and those it replaces and the epoch's
 * log are known to be gone: otherwise a file that comes back after a power cut would count as one
 * that lost its marker. The newest of a cut and of a merge stay: they have the numbers that go on,
 * and say how far epochs are in blocks.
 *
 * Everything here is called under cut_lock. */
#include "store/store_int.h"

#include <errno.h>
#include <inttypes.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

/* Marking */

void retire_remember(struct store *s, uint64_t epoch, struct str path)
{
    s->unmarked = mem_grow(s->unmarked, (s->n_unmarked + 1) * sizeof *s->unmarked);
    ASSERT(s->unmarked && path.n < BLOCK_PATH_MAX);
    struct unmarked *u = &s->unmarked[s->n_unmarked++];
    u->epoch = epoch;
    snprintf(u->path, sizeof u->path, "%.*s", STR_ARG(path));
}

static bool is_remembered(const struct store *s, uint64_t epoch, struct str path)
{
    for (uint32_t i = 0; i < s->n_unmarked; i++)
        if (s->unmarked[i].epoch == epoch && str_eq(path, str_from(s->unmarked[i].path)))
            return true;
    return false;
}

/* One write for all that is remembered of the epoch. */
static enum status mark_epoch(struct store *s, uint64_t epoch, struct error *err)
{
    struct arena arena;
    struct marker m;
    arena_init(&arena, GIB);
    enum status st = marker_read(&s->target, epoch, &arena, &m, err);
    if (st == ST_OK) {
        for (uint32_t i = 0; i < m.n; i++)
            m.entries[i].retired |= is_remembered(s, epoch, m.entries[i].path);
        st = marker_write(&s->target, &m, err);
    } else if (st == ST_NOT_FOUND || st == ST_DATA_LOSS) {
        st = ST_OK; /* a block without a marker: nothing promises it */
    }
    arena_done(&arena);
    return st;
}

static enum status settle_epoch(struct store *s, uint64_t epoch, struct error *err)
{
    uint32_t kept = 0;
    TRY(mark_epoch(s, epoch, err));
    for (uint32_t i = 0; i < s->n_unmarked; i++)
        if (s->unmarked[i].epoch != epoch)
            s->unmarked[kept++] = s->unmarked[i];
    s->n_unmarked = kept;
    return ST_OK;
}

enum status retire_settle(struct store *s, struct error *err)
{
    while (s->n_unmarked)
        TRY(settle_epoch(s, s->unmarked[s->n_unmarked - 1].epoch, err));
    return ST_OK;
}

/* Leaving */

void retire_leaving(struct store *s, struct str path, uint64_t bytes)
{
    s->leaving = mem_grow(s->leaving, (s->n_leaving + 1) * sizeof *s->leaving);
    ASSERT(s->leaving && path.n < BLOCK_PATH_MAX);
    struct leaving *l = &s->leaving[s->n_leaving++];
    l->bytes = bytes;
    snprintf(l->path, sizeof l->path, "%.*s", STR_ARG(path));
}

void retire_out_of_view(struct store *s, struct block *const *blocks, uint32_t n, struct block *in)
{
    uint32_t kept = 0, out = 0;
    struct block **gone = mem_new((n + 1) * sizeof *gone);
    for (uint32_t i = 0; i < n; i++) {
        atomic_store(&blocks[i]->retired, true);
        retire_leaving(s, str_from(blocks[i]->path), blocks[i]->file_bytes);
    }
    mutex_lock(&s->view_lock);
    for (uint32_t i = 0; i < s->n_blocks; i++) {
        if (atomic_load(&s->blocks[i]->retired) && out < n)
            gone[out++] = s->blocks[i];
        else
            s->blocks[kept++] = s->blocks[i];
    }
    s->n_blocks = kept;
    if (in)
        store_blocks_add_locked(s, in);
    mutex_unlock(&s->view_lock);
    ASSERT(out == n);
    for (uint32_t i = 0; i < n; i++) {
        block_unref(gone[i]);
        block_cache_forget(&s->cache, blocks[i]);
    }
    mem_free(gone);
    metric_add(M_BLOCKS_CLEANED, n);
    s->sweep = true;
}

enum status retire_block(struct store *s, struct block *b, const char *reason, struct error *err)
{
    struct error why = {0};
    retire_remember(s, b->epoch, str_from(b->path));
    enum status st = settle_epoch(s, b->epoch, &why);
    if (st != ST_OK && why.os_errno != ENOSPC) {
        s->n_unmarked--; /* it stays */
        if (err)
            *err = why;
        return st;
    }
    retire_out_of_view(s, &b, 1, NULL);
    metric_add(M_RETIRED_BLOCKS, 1, str_from(reason));
    LOG_INFO("block retired", "path=%s reason=%s bytes=%" PRIu64, LOG_STR(str_from(b->path)),
        reason, b->file_bytes);
    return ST_OK;
}

static bool is_gone(struct store *s, struct str path)
{
    char whole[4096];
    struct fs_file *f = NULL;
    snprintf(whole, sizeof whole, "%s/blocks/%.*s", s->dir, STR_ARG(path));
    int e = s->fs->file_open(s->fs, whole, FS_READ, &f);
    if (!e)
        s->fs->file_close(s->fs, f);
    return e == ENOENT;
}

/* Folders of a block, innermost first, as long as they are empty. */
static void remove_folders(struct store *s, const char *path)
{
    char folder[4096];
    int e = 0;
    size_t root = strlen(s->dir) + strlen("/blocks");
    snprintf(folder, sizeof folder, "%s/blocks/%s", s->dir, path);
    for (char *slash; !e && (slash = strrchr(folder, '/')) && slash > folder + root;) {
        *slash = 0;
        e = s->fs->dir_remove(s->fs, folder);
        e = e == ENOENT ? 0 : e;
    }
    if (e && e != ENOTEMPTY)
        LOG_WARN("cannot remove an empty folder of blocks", "path=%s err=%s",
            LOG_STR(str_from(folder)), LOG_STR(str_from(strerror(e))));
}

uint64_t retire_tidy(struct store *s)
{
    uint64_t bytes = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->n_leaving; i++) {
        struct leaving *l = &s->leaving[i];
        bool gone = is_gone(s, str_from(l->path));
        bytes += gone ? 0 : l->bytes;
        if (gone && !s->n_merging) /* a merge may just have made the folder */
            remove_folders(s, l->path);
        else
            s->leaving[kept++] = *l;
    }
    s->n_leaving = kept;
    return bytes;
}

/* Sweeping markers */

struct seen_marker {
    uint64_t epoch;
    bool merge, superfluous;
};

struct sweep {
    struct store *s;
    struct arena arena;
    struct dir_names wal, names;
    struct {
        struct seen_marker *v;
        uint32_t n, cap;
    } markers;
    uint64_t newest[2]; /* of a cut, of a merge */
    bool again;         /* something may become superfluous by itself */
};

/* Makes the removal of the file durable; where its folder is gone, that of the folder. */
static bool sync_folder_of(struct store *s, struct str path)
{
    char folder[4096];
    size_t root = strlen(s->dir) + strlen("/blocks");
    snprintf(folder, sizeof folder, "%s/blocks/%.*s", s->dir, STR_ARG(path));
    int e = ENOENT;
    for (char *slash; e == ENOENT && (slash = strrchr(folder, '/')) && slash >= folder + root;) {
        *slash = 0;
        e = s->fs->dir_sync(s->fs, folder);
    }
    return e == 0;
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

/* Whether nothing of what the marker names is there, and will not come back. */
static bool all_gone(struct store *s, const struct marker *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (!is_gone(s, m->entries[i].path) || !sync_folder_of(s, m->entries[i].path))
            return false;
    for (uint32_t i = 0; i < m->n_replaces; i++)
        if (!is_gone(s, m->replaces[i]) || !sync_folder_of(s, m->replaces[i]))
            return false;
    return true;
}

static void look_at_marker(struct sweep *w, uint64_t epoch)
{
    struct marker m;
    bool needed = marker_read(&w->s->target, epoch, &w->arena, &m, NULL) != ST_OK;
    struct seen_marker *seen = needed ? NULL : VEC_PUSH(&w->arena, w->markers);
    if (!seen)
        return;
    *seen = (struct seen_marker){.epoch = epoch, .merge = m.n_replaces > 0};
    w->newest[seen->merge] = MAX(w->newest[seen->merge], epoch);
    for (uint32_t i = 0; !needed && i < m.n; i++)
        needed = !m.entries[i].retired;
    seen->superfluous = !needed && !has_log(&w->wal, epoch) && all_gone(w->s, &m);
    w->again |= !needed && !seen->superfluous;
}

static void look_at_markers(struct sweep *w)
{
    for (uint32_t i = 0; i < w->names.files.n; i++) {
        char name[64];
        uint64_t epoch;
        snprintf(name, sizeof name, "%.*s", STR_ARG(w->names.files.v[i]));
        if (marker_name_parse(name, &epoch))
            look_at_marker(w, epoch);
    }
}

void retire_sweep(struct store *s)
{
    char wal_dir[WAL_PATH_MAX];
    struct sweep w = {.s = s};
    ASSERT(fs_path(wal_dir, sizeof wal_dir, s->dir, "wal") && s->n_unmarked == 0);
    arena_init(&w.arena, GIB);
    int e = dir_names_get(&s->target, "wal", &w.wal),
        e2 = dir_names_get(&s->target, "epochs", &w.names);
    if (!e && !e2 && s->fs->dir_sync(s->fs, wal_dir) == 0) {
        look_at_markers(&w);
        for (uint32_t i = 0; i < w.markers.n; i++) {
            const struct seen_marker *m = &w.markers.v[i];
            if (m->superfluous && m->epoch != w.newest[m->merge])
                w.again |= marker_remove(&s->target, m->epoch) != 0;
        }
        s->sweep = w.again;
    }
    dir_names_done(&w.names);
    dir_names_done(&w.wal);
    arena_done(&w.arena);
}
