/* Walking over a data directory: see tool.h.
 *
 *     FORMAT ─► epochs/ (markers say which blocks there must be) ─► blocks/ ─► wal/ ─► the rest
 *
 * The rules are those of recover.c and replay.c, without doing anything about what is found. */
#include "store/tool.h"

#include <errno.h>
#include <inttypes.h>

#include "base/mem.h"
#include "store/store_int.h"

enum { SEGMENT_BYTES_MAX = 1 << 30, PATH_BYTES_MAX = 4096 };

const char *tool_kind_name(enum tool_kind kind)
{
    static const char *const names[] = {
        "format", "log", "marker", "block", "quarantine", "foreign"};
    return names[kind];
}

struct listed {
    struct marker_entry entry;
    uint64_t epoch;
    bool found;
};

struct walk {
    struct block_target to;
    uint8_t id[16];
    bool one_file; /* nothing is known about a store around it */
    bool verify;
    tool_fn fn;
    void *ctx;
    struct arena arena; /* of `listed` */
    struct {
        struct listed *v;
        uint32_t n, cap;
    } listed; /* sorted by path once complete */
    struct {
        struct str *v;
        uint32_t n, cap;
    } replaced; /* by merges; the same */
    struct {
        uint64_t *v;
        uint32_t n, cap;
    } epochs; /* with a marker */
};

static void tell(struct walk *w, struct tool_entry *e, enum status st, const struct error *err)
{
    if (st != ST_OK)
        e->problem = error_str(err);
    w->fn(w->ctx, e);
}

/* 0: not there (any more). */
static uint64_t size_of(struct walk *w, const char *below)
{
    char path[PATH_BYTES_MAX];
    struct fs_file *f;
    uint64_t bytes = 0;
    if (!fs_path(path, sizeof path, w->to.dir, below) ||
        w->to.fs->file_open(w->to.fs, path, FS_READ, &f) != 0)
        return 0;
    if (w->to.fs->file_size(w->to.fs, f, &bytes) != 0)
        bytes = 0;
    w->to.fs->file_close(w->to.fs, f);
    return bytes;
}

/* Markers */

static enum status note_marker(struct walk *w, uint64_t epoch, uint32_t *ret_n, struct error *err)
{
    struct marker m;
    TRY(marker_read(&w->to, epoch, &w->arena, &m, err));
    uint64_t *marked = VEC_PUSH(&w->arena, w->epochs);
    if (marked)
        *marked = epoch;
    for (uint32_t i = 0; i < m.n; i++) {
        struct listed *l = VEC_PUSH(&w->arena, w->listed);
        if (!l)
            FAIL(err, ST_RESOURCE_EXHAUSTED, "more blocks than memory");
        *l = (struct listed){m.entries[i], epoch, false};
    }
    for (uint32_t i = 0; i < m.n_replaces; i++) {
        struct str *path = VEC_PUSH(&w->arena, w->replaced);
        if (!path)
            FAIL(err, ST_RESOURCE_EXHAUSTED, "more blocks than memory");
        *path = m.replaces[i];
    }
    *ret_n = m.n;
    return ST_OK;
}

static int cmp_listed(const void *pa, const void *pb)
{
    const struct listed *a = pa, *b = pb;
    return str_cmp(a->entry.path, b->entry.path);
}

static int cmp_paths(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool is_replaced(const struct walk *w, struct str path)
{
    return w->replaced.n &&
           bsearch(&path, w->replaced.v, w->replaced.n, sizeof path, cmp_paths) != NULL;
}

static void walk_markers(struct walk *w, const struct dir_names *names)
{
    for (uint32_t i = 0; i < names->files.n; i++) {
        char below[PATH_BYTES_MAX];
        struct error err;
        snprintf(below, sizeof below, "epochs/%.*s", STR_ARG(names->files.v[i]));
        struct tool_entry e = {
            .kind = TOOL_MARKER, .path = str_from(below), .bytes = size_of(w, below)};
        if (!marker_name_parse(below + strlen("epochs/"), &e.epoch)) {
            e.kind = TOOL_FOREIGN;
            tell(w, &e, ST_OK, NULL);
            continue;
        }
        enum status st = note_marker(w, e.epoch, &e.services, &err);
        if (st != ST_NOT_FOUND)
            tell(w, &e, st, &err);
    }
    if (w->listed.n)
        qsort(w->listed.v, w->listed.n, sizeof *w->listed.v, cmp_listed);
    if (w->replaced.n)
        qsort(w->replaced.v, w->replaced.n, sizeof *w->replaced.v, cmp_paths);
}

/* Blocks */

static struct listed *find_listed(struct walk *w, const char *path)
{
    const struct listed key = {.entry = {.path = str_from(path)}};
    return w->listed.n ? bsearch(&key, w->listed.v, w->listed.n, sizeof key, cmp_listed) : NULL;
}

static bool has_marker(const struct walk *w, uint64_t epoch)
{
    for (uint32_t i = 0; i < w->epochs.n; i++)
        if (w->epochs.v[i] == epoch)
            return true;
    return false;
}

/* Whether the store would serve it. */
static void judge_block(
    struct walk *w, const struct block *b, const struct listed *l, struct tool_entry *e)
{
    char place[BLOCK_PATH_MAX];
    if (w->one_file)
        return;
    if (memcmp(b->store_id, w->id, sizeof w->id) != 0)
        e->note = STR("of another store");
    else if (l && l->entry.retired)
        e->note = STR("retired");
    else if (is_replaced(w, str_from(b->path)))
        e->note = STR("merged into another block");
    else if (l && (l->entry.check != b->check || l->entry.bytes != b->file_bytes))
        e->problem = STR("it is not what its marker names");
    else if (!l && (has_marker(w, b->epoch) ||
                       !block_path(&w->to, b->epoch, b->tenant, b->level, b->start_ns, place) ||
                       strcmp(place, b->path) != 0))
        e->note = STR("not listed in the marker of its epoch, or a copy");
    else
        e->served = true;
    if (e->served && !l)
        e->note = STR("without a marker");
}

static void tell_block(struct walk *w, const char *dir, const char *path, const char *below)
{
    struct error err;
    struct block *b = NULL;
    struct listed *l = w->one_file ? NULL : find_listed(w, path);
    struct tool_entry e = {.kind = TOOL_BLOCK, .path = str_from(below)};
    enum status st = block_open(w->to.fs, dir, path, &b, &err);
    if (l)
        l->found = true;
    if (st != ST_OK && err.os_errno == ENOENT && !w->one_file)
        return; /* just removed */
    if (st == ST_OK) {
        e.bytes = b->file_bytes;
        e.epoch = b->epoch;
        e.block = b;
        e.tenant = b->tenant;
        e.level = block_levels[b->level].name;
        e.start_ns = b->start_ns;
        e.services = b->n_datasets;
        for (uint32_t i = 0; i < b->n_datasets; i++) {
            e.profiles += b->datasets[i].n_rows;
            e.samples += b->datasets[i].n_samples;
        }
        judge_block(w, b, l, &e);
        st = w->verify ? block_verify(b, &err) : ST_OK;
    }
    tell(w, &e, st, &err);
    block_unref(b);
}

/* tenant/level/date/file: `depth` counts them. */
static void walk_blocks(struct walk *w, const char *below, int depth)
{
    struct dir_names n;
    char root[PATH_BYTES_MAX], path[BLOCK_PATH_MAX];
    snprintf(root, sizeof root, "%s/blocks", w->to.dir);
    int e = dir_names_get(&w->to, below, &n);
    if (e) {
        struct tool_entry folder = {
            .kind = TOOL_BLOCK, .path = str_from(below), .problem = str_from(strerror(e))};
        tell(w, &folder, ST_OK, NULL);
    }
    for (uint32_t i = 0; i < n.folders.n + n.files.n; i++) {
        bool is_dir = i < n.folders.n;
        struct str name = is_dir ? n.folders.v[i] : n.files.v[i - n.folders.n];
        snprintf(path, sizeof path, "%s/%.*s", below, STR_ARG(name));
        struct tool_entry foreign = {.kind = TOOL_FOREIGN, .path = str_from(path)};
        if (is_dir && depth < 3)
            walk_blocks(w, path, depth + 1);
        else if (!is_dir && depth == 3 && str_ends(name, STR(".efb")))
            tell_block(w, root, path + strlen("blocks/"), path);
        else
            tell(w, &foreign, ST_OK, NULL);
    }
    dir_names_done(&n);
}

/* What markers name and is not there. A server may have retired it just now: its marker says so. */
static void tell_missing(struct walk *w)
{
    for (uint32_t i = 0; i < w->listed.n; i++) {
        const struct listed *l = &w->listed.v[i];
        struct marker m;
        char below[PATH_BYTES_MAX];
        bool still = false;
        if (l->found || l->entry.retired || is_replaced(w, l->entry.path))
            continue;
        if (marker_read(&w->to, l->epoch, &w->arena, &m, NULL) == ST_OK)
            for (uint32_t k = 0; k < m.n; k++)
                still |= !m.entries[k].retired && str_eq(m.entries[k].path, l->entry.path);
        if (!still)
            continue;
        snprintf(below, sizeof below, "blocks/%.*s", STR_ARG(l->entry.path));
        struct tool_entry e = {.kind = TOOL_BLOCK,
            .path = str_from(below),
            .epoch = l->epoch,
            .problem = STR("missing: its marker names it")};
        tell(w, &e, ST_OK, NULL);
    }
}

/* Logs */

struct segment_look {
    struct wal_head head;
    uint64_t next; /* batch */
    size_t at;
    char problem[160], note[160];
};

static void look_at_batches(struct segment_look *look, struct str data, struct tool_entry *e)
{
    struct wal_batch b;
    while (look->at < data.n) {
        bool whole = wal_batch_at(data, look->at, &b);
        if (!whole && !wal_batch_find(data, look->at, look->next ? look->next - 1 : 0, &b)) {
            snprintf(look->note, sizeof look->note, "%zu bytes at the end are no whole batch",
                data.n - look->at);
            break;
        }
        if (!*look->problem && (!whole || (look->next && b.batch != look->next)))
            snprintf(look->problem, sizeof look->problem,
                "batches are missing or damaged at byte %zu; batch %" PRIu64 " is at byte %zu",
                look->at, b.batch, b.begin);
        look->next = b.batch + 1;
        look->at = b.end;
        e->services++;
    }
}

static void tell_segment(struct walk *w, const char *whole, const char *below)
{
    struct buf data;
    struct error err;
    struct segment_look look = {.at = WAL_HEAD_BYTES};
    struct tool_entry e = {.kind = TOOL_SEGMENT, .path = str_from(below)};
    uint32_t segment = 0;
    const char *slash = strrchr(below, '/');
    wal_segment_name_parse(slash ? slash + 1 : below, &e.epoch, &segment);
    buf_init(&data, SEGMENT_BYTES_MAX);
    enum status st = fs_read_all(w->to.fs, whole, SEGMENT_BYTES_MAX, &data, &err);
    e.bytes = data.n;
    if (st == ST_OK && !wal_head_parse(buf_view(&data), &look.head)) {
        snprintf(look.problem, sizeof look.problem, "its head is damaged");
        look.at = 0;
    } else if (st == ST_OK) {
        look.next = look.head.first_batch;
        if (!w->one_file && (look.head.epoch != e.epoch || look.head.segment != segment ||
                                memcmp(look.head.store_id, w->id, sizeof w->id) != 0))
            snprintf(look.problem, sizeof look.problem, "it is of another store or segment");
    }
    if (st == ST_OK)
        look_at_batches(&look, buf_view(&data), &e);
    e.problem = str_from(look.problem);
    e.note = str_from(look.note);
    if (st != ST_NOT_FOUND || w->one_file)
        tell(w, &e, st, &err);
    buf_done(&data);
}

static void walk_logs(struct walk *w, const struct dir_names *names)
{
    for (uint32_t i = 0; i < names->files.n; i++) {
        char below[PATH_BYTES_MAX], whole[PATH_BYTES_MAX];
        uint64_t epoch;
        uint32_t segment;
        snprintf(below, sizeof below, "wal/%.*s", STR_ARG(names->files.v[i]));
        struct tool_entry foreign = {
            .kind = TOOL_FOREIGN, .path = str_from(below), .bytes = size_of(w, below)};
        if (!wal_segment_name_parse(below + strlen("wal/"), &epoch, &segment))
            tell(w, &foreign, ST_OK, NULL);
        else if (fs_path(whole, sizeof whole, w->to.dir, below))
            tell_segment(w, whole, below);
    }
}

static void walk_quarantine(struct walk *w, const struct dir_names *names)
{
    for (uint32_t i = 0; i < names->files.n; i++) {
        char below[PATH_BYTES_MAX];
        snprintf(below, sizeof below, "quarantine/%.*s", STR_ARG(names->files.v[i]));
        struct tool_entry e = {
            .kind = TOOL_QUARANTINE, .path = str_from(below), .bytes = size_of(w, below)};
        tell(w, &e, ST_OK, NULL);
    }
}

static void walk_folder(
    struct walk *w, const char *folder, void (*fn)(struct walk *, const struct dir_names *))
{
    struct dir_names names;
    int e = dir_names_get(&w->to, folder, &names);
    struct tool_entry bad = {
        .kind = TOOL_FOREIGN, .path = str_from(folder), .problem = str_from(e ? strerror(e) : "")};
    if (e)
        tell(w, &bad, ST_OK, NULL);
    else
        fn(w, &names);
    dir_names_done(&names);
}

enum status tool_walk(
    struct fs *fs, const char *dir, bool verify, tool_fn fn, void *ctx, struct error *err)
{
    struct walk *w = NEW(struct walk);
    struct error why;
    *w = (struct walk){.to = {.fs = fs, .dir = dir}, .verify = verify, .fn = fn, .ctx = ctx};
    w->to.store_id = w->id;
    arena_init(&w->arena, GIB);
    enum status st = datadir_format(fs, dir, w->id, &why);
    if (st == ST_OK || st == ST_DATA_LOSS) {
        struct tool_entry e = {
            .kind = TOOL_FORMAT, .path = STR("FORMAT"), .bytes = size_of(w, "FORMAT")};
        tell(w, &e, st, &why);
        walk_folder(w, "epochs", walk_markers);
        walk_blocks(w, "blocks", 0);
        tell_missing(w);
        walk_folder(w, "wal", walk_logs);
        walk_folder(w, "quarantine", walk_quarantine);
        st = ST_OK;
    } else if (st == ST_NOT_FOUND) {
        st = error_set(
            err, st, __FILE__, __LINE__, "%s is no data directory: it has no FORMAT", dir);
    } else if (err) {
        *err = why;
    }
    arena_done(&w->arena);
    mem_free(w);
    return st;
}

enum status tool_file(
    struct fs *fs, const char *path, bool verify, tool_fn fn, void *ctx, struct error *err)
{
    struct walk w = {.to = {.fs = fs, .dir = "."}, .one_file = true, .verify = verify};
    char dir[PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');
    w.fn = fn;
    w.ctx = ctx;
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    if (str_ends(str_from(path), STR(".efb")))
        tell_block(&w, slash == path ? "/" : dir, slash ? slash + 1 : path, path);
    else if (str_ends(str_from(path), STR(".wal")))
        tell_segment(&w, path, path);
    else
        FAIL(err, ST_INVALID_ARGUMENT, "%s is neither a block (.efb) nor a log (.wal)", path);
    return ST_OK;
}
