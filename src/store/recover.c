/* What is on the disk at start, besides the log: markers and blocks.
 *
 *   a block                                     what becomes of it
 *   ------------------------------------------  ---------------------------------------------
 *   listed in a valid marker                    served, when its directory is what the marker says
 *   listed as retired                           removed
 *   replaced by a merge, or merged and its      recover_merged.c
 *     marker is lost
 *   of another store, not at its own place,
 *     or its epoch's marker does not list it    not ours: reported, left alone
 *   its epoch is replayed                       removed, it will be cut again; but kept in
 *                                               quarantine/ when it has more rows than the replay
 *   its marker is lost                          read to the last byte, served, reported
 *   damaged or unreadable                       reported, left in place, not served
 *   listed and not there                        reported
 *   one of these two, listed, and its date is   retired: what keeps its marker must not stay for
 *     older than the tenant keeps               ever (retention.c)
 *
 * A damaged marker is moved to quarantine/ and counts as lost. What cannot be read for another
 * reason (permissions, the disk) must not be taken for damage where logs and numbers depend on it:
 * then the store does not open and says why. */
#include "store/recover_int.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

/* Markers */

static int cmp_u64(const void *pa, const void *pb)
{
    uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;
    return (a > b) - (a < b);
}

bool recover_is_done(const struct store *s, uint64_t epoch)
{
    return s->n_done_epochs &&
           bsearch(&epoch, s->done_epochs, s->n_done_epochs, sizeof epoch, cmp_u64);
}

void recover_foreign(const char *where, struct str name)
{
    metric_add(M_FOREIGN_FILES, 1);
    LOG_WARN("not ours, left alone", "where=%s name=%s", where, LOG_STR(name));
}

static enum status take_marker(struct store *s, struct str file, struct error *err)
{
    char name[64], below[80];
    uint64_t epoch;
    struct arena arena;
    struct marker m;
    snprintf(name, sizeof name, "%.*s", STR_ARG(file));
    if (file.n >= sizeof name || !marker_name_parse(name, &epoch)) {
        recover_foreign("epochs", file);
        return ST_OK;
    }
    if (epoch >= s->next_epoch)
        s->next_epoch = epoch + 1;
    arena_init(&arena, GIB);
    struct error why;
    enum status st = marker_read(&s->target, epoch, &arena, &m, &why);
    if (st == ST_OK) {
        s->done_epochs[s->n_done_epochs++] = epoch;
        if (m.n_replaces == 0 && epoch > s->newest_cut)
            s->newest_cut = epoch;
        if (m.next_seq > s->next_seq)
            s->next_seq = m.next_seq;
    } else if (st == ST_DATA_LOSS) {
        metric_add(M_BLOCKS_BAD, 1);
        LOG_ERROR("damaged marker set aside", "name=%s err=%s", name, LOG_STR(error_str(&why)));
        snprintf(below, sizeof below, "epochs/%s", name);
        datadir_quarantine(s, below);
        st = ST_OK;
    } else if (err) {
        *err = why;
    }
    arena_done(&arena);
    return st;
}

static void clear_tmp(struct store *s)
{
    char path[4096];
    struct dir_names n;
    dir_names_get(&s->target, "tmp", &n);
    for (uint32_t i = 0; i < n.files.n; i++) {
        snprintf(path, sizeof path, "%s/tmp/%.*s", s->dir, STR_ARG(n.files.v[i]));
        s->fs->unlink(s->fs, path);
    }
    dir_names_done(&n);
}

/* A process may have ended between the rename of a marker and its sync. What acts upon the marker
 * here must not outlive it, should the power go next. */
static int sync_markers(struct store *s)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/epochs", s->dir);
    return s->fs->dir_sync(s->fs, dir);
}

enum status recover_markers(struct store *s, struct error *err)
{
    struct dir_names n = {0};
    clear_tmp(s);
    int e = sync_markers(s);
    e = e ? e : dir_names_get(&s->target, "epochs", &n);
    enum status st = ST_OK;
    if (e)
        st = error_set_errno(
            err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot sync and list %s/epochs", s->dir);
    s->next_epoch = s->next_seq = 1;
    s->done_epochs = mem_new((n.files.n + 1) * sizeof *s->done_epochs);
    for (uint32_t i = 0; i < n.files.n && st == ST_OK; i++)
        st = take_marker(s, n.files.v[i], err);
    dir_names_done(&n);
    qsort(s->done_epochs, s->n_done_epochs, sizeof *s->done_epochs, cmp_u64);
    return st;
}

/* Blocks */

static int cmp_listed(const void *pa, const void *pb)
{
    const struct listed *a = pa, *b = pb;
    return str_cmp(a->entry.path, b->entry.path);
}

static void read_markers(struct blocks *b)
{
    for (uint32_t i = 0; i < b->s->n_done_epochs; i++) {
        struct marker m;
        if (marker_read(&b->s->target, b->s->done_epochs[i], &b->arena, &m, NULL) != ST_OK)
            continue;
        for (uint32_t k = 0; k < m.n; k++) {
            struct listed *l = VEC_PUSH(&b->arena, b->listed);
            ASSERT(l);
            *l = (struct listed){.entry = m.entries[k], .epoch = m.epoch};
        }
        recover_note_replaced(b, &m);
    }
    if (b->listed.n)
        qsort(b->listed.v, b->listed.n, sizeof *b->listed.v, cmp_listed);
    recover_sort_replaced(b);
}

struct listed *recover_listed(struct blocks *b, struct str path)
{
    const struct listed key = {.entry = {.path = path}};
    return b->listed.n ? bsearch(&key, b->listed.v, b->listed.n, sizeof key, cmp_listed) : NULL;
}

static const struct epoch *replayed_epoch(const struct store *s, uint64_t epoch)
{
    for (uint32_t i = 0; i < s->n_epochs; i++)
        if (s->epochs[i]->no == epoch)
            return s->epochs[i];
    return NULL;
}

static uint64_t rows_of(const struct epoch *ep, struct str tenant, int64_t hour_ns)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < ep->n_datasets; i++) {
        const struct part *p = &epoch_dataset(ep, i)->part;
        for (uint32_t k = 0; str_eq(p->tenant, tenant) && k < part_rows(p); k++)
            n += block_hour(part_row(p, k)->time_ns) == hour_ns;
    }
    return n;
}

void recover_remove_file(struct blocks *b, struct str path)
{
    char whole[4096];
    snprintf(whole, sizeof whole, "%s/%.*s", b->root, STR_ARG(path));
    int e = b->s->fs->unlink(b->s->fs, whole);
    if (e && e != ENOENT)
        LOG_WARN("cannot remove a block", "path=%s err=%s", LOG_STR(path),
            LOG_STR(str_from(strerror(e))));
    retire_leaving(b->s, path, 0); /* and its folders, when they are empty */
}

void recover_bad_block(struct blocks *b, const char *path, const struct error *err)
{
    b->damaged++;
    metric_add(M_BLOCKS_BAD, 1);
    LOG_ERROR("damaged block, not served", "path=%s err=%s", LOG_STR(str_from(path)),
        LOG_STR(error_str(err)));
}

/* tenant/level/yyyy-mm-dd/file: when that day is over. INT64_MAX: never. */
static int64_t end_of_date(struct str path)
{
    struct str_split parts = {path, false};
    struct str date = STR_EMPTY;
    char text[16];
    int year, month, day;
    int64_t end;
    for (int i = 0; i < 3; i++)
        if (!str_split_next(&parts, '/', &date))
            return INT64_MAX;
    snprintf(text, sizeof text, "%.*s", STR_ARG(date));
    if (sscanf(text, "%4d-%2d-%2d", &year, &month, &day) != 3 || month < 1 || month > 12)
        return INT64_MAX;
    int64_t days = clock_days_from_civil(year, (unsigned)month, (unsigned)day) + 1;
    return __builtin_mul_overflow(days, 24 * BLOCK_HOUR_NS, &end) ? INT64_MAX : end;
}

/* It is not served, and its marker has to go at some time. */
static void note_broken(struct blocks *b, const struct listed *l)
{
    struct store *s = b->s;
    if (l->entry.path.n >= BLOCK_PATH_MAX || str_find_char(l->entry.path, '/') == STR_NPOS)
        return;
    s->broken = mem_grow(s->broken, (s->n_broken + 1) * sizeof *s->broken);
    ASSERT(s->broken);
    struct broken *broken = &s->broken[s->n_broken++];
    broken->epoch = l->epoch;
    broken->until_ns = end_of_date(l->entry.path);
    snprintf(broken->path, sizeof broken->path, "%.*s", STR_ARG(l->entry.path));
}

void recover_serve(struct blocks *b, struct block *block)
{
    mutex_lock(&b->s->view_lock);
    store_blocks_add_locked(b->s, block);
    mutex_unlock(&b->s->view_lock);
    if (block->seq_max >= b->s->next_seq)
        b->s->next_seq = block->seq_max + 1;
    b->served++;
}

/* Written, and then its marker was not: the log has everything and is cut again. Should the block
 * have more, the log has lost something that this file may be the last to know. */
static void take_unfinished(struct blocks *b, struct block *block, const struct epoch *ep)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < block->n_datasets; i++)
        rows += block->datasets[i].n_rows;
    if (rows <= rows_of(ep, block->tenant, block->start_ns)) {
        atomic_store(&block->retired, true);
        return;
    }
    char below[BLOCK_PATH_MAX + 16];
    metric_add(M_BLOCKS_BAD, 1);
    b->damaged++;
    LOG_ERROR("a block has more than the log it was made of, set aside", "path=%s epoch=%" PRIu64,
        LOG_STR(str_from(block->path)), block->epoch);
    snprintf(below, sizeof below, "blocks/%s", block->path);
    datadir_quarantine(b->s, below);
}

static void take_unlisted(struct blocks *b, struct block *block)
{
    struct error err;
    char place[BLOCK_PATH_MAX];
    const struct epoch *ep = replayed_epoch(b->s, block->epoch);
    bool ours = block_path(&b->s->target, block->epoch, block->tenant, block->level,
                    block->start_ns, place) &&
                strcmp(place, block->path) == 0 && !recover_is_done(b->s, block->epoch);
    if (!ours) { /* a copy, say: served it would count twice */
        recover_foreign("blocks", str_from(block->path));
    } else if (ep) {
        take_unfinished(b, block, ep);
    } else if (block->n_sources) {
        struct block **slot = VEC_PUSH(&b->arena, b->merged);
        ASSERT(slot);
        *slot = block_ref(block);
    } else if (block_verify(block, &err) != ST_OK) {
        recover_bad_block(b, block->path, &err);
    } else {
        b->unlisted++;
        LOG_WARN("block without a marker, checked and served", "path=%s epoch=%" PRIu64,
            LOG_STR(str_from(block->path)), block->epoch);
        recover_serve(b, block_ref(block));
    }
    block_unref(block);
}

static void take_listed(struct blocks *b, struct listed *l, struct block *block)
{
    struct error err;
    if (block->check == l->entry.check && block->file_bytes == l->entry.bytes) {
        l->served = true;
        recover_serve(b, block);
        return;
    }
    error_set(&err, ST_DATA_LOSS, __FILE__, __LINE__, "it is not what its marker names");
    recover_bad_block(b, block->path, &err);
    note_broken(b, l);
    block_unref(block);
}

static void take_open(struct blocks *b, struct listed *l, struct block *block)
{
    if (memcmp(block->store_id, b->s->id, sizeof block->store_id) != 0) {
        recover_foreign("blocks", str_from(block->path));
        block_unref(block);
        return;
    }
    if (block->epoch >= b->s->next_epoch) /* also of one that goes: its file may come back */
        b->s->next_epoch = block->epoch + 1;
    if (l)
        take_listed(b, l, block);
    else
        take_unlisted(b, block);
}

static void take_block(struct blocks *b, const char *path)
{
    struct listed *l = recover_listed(b, str_from(path));
    struct replaced *r = recover_replaced(b, str_from(path));
    struct block *block;
    struct error err;
    if (l)
        l->found = true;
    if (r) {
        r->on_disk = true;
    } else if (l && l->entry.retired) {
        recover_remove_file(b, str_from(path));
    } else if (block_open(b->s->fs, b->root, path, &block, &err) == ST_OK) {
        take_open(b, l, block);
    } else {
        recover_bad_block(b, path, &err);
        if (l)
            note_broken(b, l);
    }
}

/* Four levels: tenant, level, date, file; `depth` counts them. Iterative would be no clearer: the
 * depth is fixed. */
static void walk(struct blocks *b, const char *below, int depth)
{
    char path[BLOCK_PATH_MAX];
    struct dir_names n;
    const char *slash = *below ? "/" : "";
    snprintf(path, sizeof path, "blocks%s%s", slash, below);
    int e = dir_names_get(&b->s->target, path, &n);
    if (e) {
        metric_add(M_BLOCKS_BAD, 1);
        LOG_ERROR("cannot list a folder of blocks", "path=%s err=%s", LOG_STR(str_from(path)),
            LOG_STR(str_from(strerror(e))));
    }
    for (uint32_t i = 0; i < n.folders.n + n.files.n; i++) {
        bool is_dir = i < n.folders.n;
        struct str name = is_dir ? n.folders.v[i] : n.files.v[i - n.folders.n];
        int len = snprintf(path, sizeof path, "%s%s%.*s", below, slash, STR_ARG(name));
        bool fits = len > 0 && (size_t)len < sizeof path;
        if (fits && is_dir && depth < 3)
            walk(b, path, depth + 1);
        else if (fits && !is_dir && depth == 3 && str_ends(name, STR(".efb")))
            take_block(b, path);
        else
            recover_foreign("blocks", str_from(path));
    }
    if (!e && depth > 0 && n.folders.n + n.files.n == 0) {
        snprintf(path, sizeof path, "%s/x", below);
        retire_leaving(b->s, str_from(path), 0); /* a folder of which nothing is left */
    }
    dir_names_done(&n);
}

static void report_missing(struct blocks *b)
{
    for (uint32_t i = 0; i < b->listed.n; i++) {
        const struct listed *l = &b->listed.v[i];
        if (l->found || l->entry.retired || recover_replaced(b, l->entry.path))
            continue;
        b->missing++;
        metric_add(M_BLOCKS_BAD, 1);
        LOG_ERROR("block is missing", "path=%s", LOG_STR(l->entry.path));
        note_broken(b, l);
    }
}

enum status recover_blocks(struct store *s, struct error *err)
{
    struct blocks b = {.s = s};
    (void)err;
    arena_init(&b.arena, GIB);
    snprintf(b.root, sizeof b.root, "%s/blocks", s->dir);
    read_markers(&b);
    walk(&b, "", 0);
    recover_merged(&b);
    report_missing(&b);
    if (b.served || b.damaged || b.missing)
        LOG_INFO("blocks found", "served=%u without_marker=%u damaged=%u missing=%u", b.served,
            b.unlisted, b.damaged, b.missing);
    arena_done(&b.arena);
    return ST_OK;
}
