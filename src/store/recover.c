/* What is on the disk at start, besides the log: markers and blocks.
 *
 *   block listed in a valid marker       served, when its directory is what the marker says
 *   listed as retired                    removed
 *   not listed, its epoch is replayed    removed: it will be cut again
 *   not listed otherwise                 (its marker is lost) read to the last byte, served,
 * reported damaged                              left in place, not served, reported listed and not
 * there                 reported anything else                        reported, left alone
 *
 * A damaged marker is moved to quarantine/ and counts as lost. */
#include "store/store_int.h"

#include <errno.h>
#include <inttypes.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

struct names {
    struct arena arena;
    struct {
        struct str *v;
        uint32_t n, cap;
    } files, folders;
};

static void note(void *ctx, const char *name, bool is_dir)
{
    struct names *n = ctx;
    struct str *slot = is_dir ? VEC_PUSH(&n->arena, n->folders) : VEC_PUSH(&n->arena, n->files);
    ASSERT(slot);
    *slot = arena_str(&n->arena, str_from(name));
    ASSERT(slot->p);
}

static void names_of(struct store *s, const char *path, struct names *n)
{
    *n = (struct names){0};
    arena_init(&n->arena, GIB);
    int e = s->fs->dir_list(s->fs, path, note, n);
    if (e && e != ENOENT)
        LOG_ERROR("cannot list a folder of the data directory", "path=%s err=%s",
            LOG_STR(str_from(path)), LOG_STR(str_from(strerror(e))));
}

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

static void quarantine(struct store *s, const char *folder, const char *name)
{
    char from[4096], to[4096];
    snprintf(from, sizeof from, "%s/%s/%s", s->dir, folder, name);
    snprintf(to, sizeof to, "%s/quarantine/%s", s->dir, name);
    s->fs->rename(s->fs, from, to);
}

static void foreign(const char *where, struct str name)
{
    metric_add(M_FOREIGN_FILES, 1);
    LOG_WARN("not ours, left alone", "where=%s name=%s", where, LOG_STR(name));
}

static void take_marker(struct store *s, struct str file)
{
    char name[64];
    uint64_t epoch;
    struct arena arena;
    struct marker m;
    struct error err;
    snprintf(name, sizeof name, "%.*s", STR_ARG(file));
    if (file.n >= sizeof name || !marker_name_parse(name, &epoch)) {
        foreign("epochs", file);
        return;
    }
    if (epoch >= s->next_epoch)
        s->next_epoch = epoch + 1;
    arena_init(&arena, GIB);
    if (marker_read(&s->target, epoch, &arena, &m, &err) == ST_OK) {
        s->done_epochs[s->n_done_epochs++] = epoch;
        if (m.next_seq > s->next_seq)
            s->next_seq = m.next_seq;
    } else {
        LOG_ERROR("damaged marker set aside", "name=%s err=%s", name, LOG_STR(error_str(&err)));
        quarantine(s, "epochs", name);
    }
    arena_done(&arena);
}

static void clear_tmp(struct store *s)
{
    char path[4096];
    struct names n;
    snprintf(path, sizeof path, "%s/tmp", s->dir);
    names_of(s, path, &n);
    for (uint32_t i = 0; i < n.files.n; i++) {
        snprintf(path, sizeof path, "%s/tmp/%.*s", s->dir, STR_ARG(n.files.v[i]));
        s->fs->unlink(s->fs, path);
    }
    arena_done(&n.arena);
}

enum status recover_markers(struct store *s, struct error *err)
{
    char path[4096];
    struct names n;
    (void)err;
    clear_tmp(s);
    snprintf(path, sizeof path, "%s/epochs", s->dir);
    names_of(s, path, &n);
    s->next_epoch = s->next_seq = 1;
    s->done_epochs = mem_new((n.files.n + 1) * sizeof *s->done_epochs);
    for (uint32_t i = 0; i < n.files.n; i++)
        take_marker(s, n.files.v[i]);
    arena_done(&n.arena);
    qsort(s->done_epochs, s->n_done_epochs, sizeof *s->done_epochs, cmp_u64);
    return ST_OK;
}

/* Blocks */

struct listed {
    struct marker_entry entry;
    bool found;
};

struct blocks {
    struct store *s;
    struct arena arena;
    struct {
        struct listed *v;
        uint32_t n, cap;
    } listed; /* sorted by path once complete */
    char root[2100];
    uint32_t served, unlisted, damaged, missing;
};

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
            *l = (struct listed){m.entries[k], false};
        }
    }
    if (b->listed.n)
        qsort(b->listed.v, b->listed.n, sizeof *b->listed.v, cmp_listed);
}

static bool epoch_is_replayed(const struct store *s, uint64_t epoch)
{
    for (uint32_t i = 0; i < s->n_epochs; i++)
        if (s->epochs[i]->no == epoch)
            return true;
    return false;
}

static void remove_file(struct blocks *b, const char *path)
{
    char whole[4096];
    snprintf(whole, sizeof whole, "%s/%s", b->root, path);
    int e = b->s->fs->unlink(b->s->fs, whole);
    if (e)
        LOG_WARN("cannot remove a block", "path=%s err=%s", LOG_STR(str_from(path)),
            LOG_STR(str_from(strerror(e))));
}

static void bad_block(struct blocks *b, const char *path, const struct error *err)
{
    b->damaged++;
    metric_add(M_BLOCKS_BAD, 1);
    LOG_ERROR("damaged block, not served", "path=%s err=%s", LOG_STR(str_from(path)),
        LOG_STR(error_str(err)));
}

static void serve(struct blocks *b, struct block *block)
{
    mutex_lock(&b->s->view_lock);
    store_blocks_add_locked(b->s, block);
    mutex_unlock(&b->s->view_lock);
    if (block->epoch >= b->s->next_epoch)
        b->s->next_epoch = block->epoch + 1;
    b->served++;
}

static void take_unlisted(struct blocks *b, struct block *block)
{
    struct error err;
    if (epoch_is_replayed(b->s, block->epoch)) {
        block->delete_file = true; /* not finished: its epoch is cut again */
        block_unref(block);
        return;
    }
    if (block_verify(block, &err) != ST_OK) {
        bad_block(b, block->path, &err);
        block_unref(block);
        return;
    }
    b->unlisted++;
    LOG_WARN("block without a marker, checked and served", "path=%s epoch=%" PRIu64,
        LOG_STR(str_from(block->path)), block->epoch);
    serve(b, block);
}

static void take_block(struct blocks *b, const char *path)
{
    const struct listed key = {.entry = {.path = str_from(path)}};
    struct listed *l = b->listed.n ? bsearch(&key, b->listed.v, b->listed.n, sizeof key, cmp_listed)
                                   : NULL;
    struct block *block;
    struct error err;
    if (l)
        l->found = true;
    if (l && l->entry.retired) {
        remove_file(b, path);
        return;
    }
    enum status st = block_open(b->s->fs, b->root, path, &block, &err);
    if (st == ST_OK && memcmp(block->store_id, b->s->id, sizeof block->store_id) != 0) {
        block_unref(block);
        foreign("blocks", str_from(path));
        return;
    }
    if (st == ST_OK && l &&
        (block->check != l->entry.check || block->file_bytes != l->entry.bytes)) {
        st = error_set(&err, ST_DATA_LOSS, __FILE__, __LINE__, "it is not what its marker names");
        block_unref(block);
    }
    if (st != ST_OK)
        bad_block(b, path, &err);
    else if (l)
        serve(b, block);
    else
        take_unlisted(b, block);
}

/* Four levels: tenant, level, date, file; `depth` counts them. Iterative would be no clearer: the
 * depth is fixed. */
static void walk(struct blocks *b, const char *below, int depth)
{
    char path[4096];
    struct names n;
    snprintf(path, sizeof path, "%s%s%s", b->root, *below ? "/" : "", below);
    names_of(b->s, path, &n);
    for (uint32_t i = 0; i < n.folders.n; i++) {
        snprintf(path, sizeof path, "%s%s%.*s", below, *below ? "/" : "", STR_ARG(n.folders.v[i]));
        if (depth < 3)
            walk(b, path, depth + 1);
        else
            foreign("blocks", str_from(path));
    }
    for (uint32_t i = 0; i < n.files.n; i++) {
        snprintf(path, sizeof path, "%s%s%.*s", below, *below ? "/" : "", STR_ARG(n.files.v[i]));
        if (depth == 3 && str_ends(n.files.v[i], STR(".efb")))
            take_block(b, path);
        else
            foreign("blocks", str_from(path));
    }
    arena_done(&n.arena);
}

static void report_missing(struct blocks *b)
{
    for (uint32_t i = 0; i < b->listed.n; i++) {
        const struct listed *l = &b->listed.v[i];
        if (l->found || l->entry.retired)
            continue;
        b->missing++;
        metric_add(M_BLOCKS_BAD, 1);
        LOG_ERROR("block is missing", "path=%s", LOG_STR(l->entry.path));
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
    report_missing(&b);
    if (b.served || b.damaged || b.missing)
        LOG_INFO("blocks found", "served=%u without_marker=%u damaged=%u missing=%u", b.served,
            b.unlisted, b.damaged, b.missing);
    arena_done(&b.arena);
    return ST_OK;
}
