/* The files of a data directory by kind: every entry below it is looked at and counted once, by
 * where it is and how it is called. Folders are taken from a list, so depth does not matter; links
 * are not followed and nothing is opened. Files come and go meanwhile: those are counted or not.
 *
 *     wal/ epochs/       by name; what is not so called is foreign
 *     blocks/            tenant/level/date/….efb is a block, to be matched with what is served
 *     state/ tmp/ quarantine/  all of it
 *     anything else      foreign
 *
 * What cannot be listed, or has too long a path, is counted as unreadable. Any thread. */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/store_int.h"
#include "store/usage_int.h"

enum { PATH_BYTES_MAX = 4096, BLOCK_DEPTH = 3 };

const char *const usage_file_names[USAGE_FILE_KINDS] = {
    [USAGE_BLOCKS] = "blocks",
    [USAGE_UNSERVED] = "unserved",
    [USAGE_LOG] = "log",
    [USAGE_MARKERS] = "markers",
    [USAGE_STATE] = "state",
    [USAGE_QUARANTINE] = "quarantine",
    [USAGE_TMP] = "tmp",
    [USAGE_META] = "meta",
    [USAGE_FOREIGN] = "foreign",
};

/* What a folder holds: files of this kind, if they are called right. */
struct folder {
    struct str path; /* below the directory */
    enum usage_file kind;
    uint32_t depth; /* below the directory */
};

struct walk {
    struct usage_build *b;
    struct {
        struct folder *v;
        uint32_t n, cap;
    } todo;
    struct folder at;
    bool full; /* no memory */
};

static enum usage_file folder_kind(const struct folder *in, const char *name)
{
    static const struct {
        const char *name;
        enum usage_file kind;
    } ours[] = {{"wal", USAGE_LOG}, {"epochs", USAGE_MARKERS}, {"blocks", USAGE_BLOCKS},
        {"state", USAGE_STATE}, {"tmp", USAGE_TMP}, {"quarantine", USAGE_QUARANTINE}};
    bool open = in->kind == USAGE_STATE || in->kind == USAGE_TMP || in->kind == USAGE_QUARANTINE ||
                (in->kind == USAGE_BLOCKS && in->depth <= BLOCK_DEPTH);
    for (size_t i = 0; i < ARRAY_LEN(ours) && in->depth == 0; i++)
        if (strcmp(name, ours[i].name) == 0)
            return ours[i].kind;
    return open ? in->kind : USAGE_FOREIGN;
}

static enum usage_file file_kind(const struct folder *in, const char *name)
{
    uint64_t epoch;
    uint32_t segment;
    bool ours = true;
    if (in->kind == USAGE_META)
        ours = strcmp(name, "LOCK") == 0 || strcmp(name, "FORMAT") == 0;
    else if (in->kind == USAGE_LOG)
        ours = wal_segment_name_parse(name, &epoch, &segment);
    else if (in->kind == USAGE_MARKERS)
        ours = marker_name_parse(name, &epoch);
    else if (in->kind == USAGE_BLOCKS)
        ours = in->depth == BLOCK_DEPTH + 1 && str_ends(str_from(name), STR(".efb"));
    return ours ? in->kind : USAGE_FOREIGN;
}

static void take_folder(struct walk *w, const char *below, const char *name)
{
    struct folder *f = VEC_PUSH(w->b->q->arena, w->todo);
    if (f)
        *f = (struct folder){
            arena_str(w->b->q->arena, str_from(below)), folder_kind(&w->at, name), w->at.depth + 1};
    w->full |= !f || !f->path.p;
}

static void take_file(struct walk *w, const char *below, const char *name, uint64_t bytes)
{
    enum usage_file kind = file_kind(&w->at, name);
    if (kind != USAGE_BLOCKS) {
        w->b->out.files[kind].n++;
        w->b->out.files[kind].bytes += bytes;
        return;
    }
    struct usage_path *p = VEC_PUSH(w->b->q->arena, w->b->found);
    if (p)
        *p = (struct usage_path){
            arena_str(w->b->q->arena, str_from(below + strlen("blocks/"))), bytes};
    w->full |= !p || !p->path.p;
}

static void take_entry(void *ctx, const char *name, bool is_dir)
{
    struct walk *w = ctx;
    struct fs *fs = w->b->at.fs;
    char below[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    uint64_t bytes;
    int n = snprintf(
        below, sizeof below, "%.*s%s%s", STR_ARG(w->at.path), w->at.path.n ? "/" : "", name);
    bool fits = n > 0 && (size_t)n < sizeof below &&
                fs_path(path, sizeof path, w->b->at.dir, below);
    if (w->full)
        return;
    if (fits && is_dir) {
        take_folder(w, below, name);
        return;
    }
    int e = fits ? fs->path_bytes(fs, path, &bytes) : ENAMETOOLONG;
    if (e == 0)
        take_file(w, below, name, bytes);
    else
        w->b->out.unreadable += e != ENOENT;
}

static int list_folder(struct walk *w)
{
    char path[PATH_BYTES_MAX], below[PATH_BYTES_MAX];
    struct fs *fs = w->b->at.fs;
    snprintf(below, sizeof below, "%.*s", STR_ARG(w->at.path));
    if (w->at.path.n == 0)
        return fs->dir_list(fs, w->b->at.dir, take_entry, w);
    if (!fs_path(path, sizeof path, w->b->at.dir, below))
        return ENAMETOOLONG;
    int e = fs->dir_list(fs, path, take_entry, w);
    return e == ENOENT ? 0 : e;
}

enum status usage_files(struct usage_build *b, struct error *err)
{
    struct walk w = {.b = b, .at = {STR_EMPTY, USAGE_META, 0}};
    for (;;) {
        b->out.unreadable += list_folder(&w) != 0;
        if (w.full)
            return usage_no_memory(err);
        if (b->q->alive)
            TRY(b->q->alive(b->q->ctx, err));
        if (w.todo.n == 0)
            return ST_OK;
        w.at = w.todo.v[--w.todo.n];
    }
}

/* Blocks */

static int cmp_paths(const void *pa, const void *pb)
{
    return str_cmp(((const struct usage_path *)pa)->path, ((const struct usage_path *)pb)->path);
}

static bool is_among(const struct usage_paths *in, const struct usage_path *p)
{
    return in->n && bsearch(p, in->v, in->n, sizeof *p, cmp_paths);
}

static void count(struct usage_build *b, enum usage_file kind, uint64_t bytes)
{
    b->out.files[kind].n++;
    b->out.files[kind].bytes += bytes;
}

void usage_match(struct usage_build *b)
{
    struct usage_paths *found = &b->found, *served = &b->served;
    if (found->n)
        qsort(found->v, found->n, sizeof *found->v, cmp_paths);
    if (served->n)
        qsort(served->v, served->n, sizeof *served->v, cmp_paths);
    for (uint32_t i = 0; i < found->n; i++)
        count(b, is_among(served, &found->v[i]) ? USAGE_BLOCKS : USAGE_UNSERVED, found->v[i].bytes);
    for (uint32_t i = 0; i < served->n; i++) { /* came since the folder was listed */
        char below[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
        uint64_t bytes;
        snprintf(below, sizeof below, "blocks/%.*s", STR_ARG(served->v[i].path));
        if (!is_among(found, &served->v[i]) && fs_path(path, sizeof path, b->at.dir, below) &&
            b->at.fs->path_bytes(b->at.fs, path, &bytes) == 0)
            count(b, USAGE_BLOCKS, bytes);
    }
}
