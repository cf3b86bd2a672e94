/* Writing a block: one tenant, one hour of one sealed epoch, as one file.
 *
 *     head · sections of dataset 0 · sections of dataset 1 · … · directory · foot
 *
 * A dataset whose rows are all of the hour is written as it is. Otherwise (an epoch that crosses
 * the hour, late data) its rows are copied into a dataset of their own first (block_copy.c). One
 * that is very large is copied in pieces: a service may have several datasets in a block, so that
 * no section comes near its limit. Rows are written by series and time, as columns, so that they
 * compress.
 *
 * The file is built under tmp/, synced, renamed to its place, its folder synced. Its name follows
 * from store, epoch, tenant and hour: writing the same again after a crash replaces it. */
#include "store/block_int.h"

#include <errno.h>
#include <inttypes.h>
#include <zstd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/frame_int.h"

enum { ZSTD_LEVEL = 3, RAW_MAX = 1 << 30, TENANT_BYTES_MAX = 255 };
static const char head_magic[8] = {'E', 'F', 'B', 'L', 'K', 0, 0, 1};
static const char foot_magic[8] = {'E', 'F', 'B', 'L', 'K', 'E', 'N', 'D'};

/* Writing */

struct writer {
    const struct block_target *to;
    struct fs_file *file;
    uint64_t at; /* where the next bytes go */
    struct buf raw, packed, directory;
    ZSTD_CCtx *zstd;
    uint32_t n_datasets;
    int64_t time_min, time_max;
    uint64_t seq_max;
    struct error *err;
};

static enum status put_bytes(struct writer *w, struct str bytes)
{
    int e = w->to->fs->file_write(w->to->fs, w->file, w->at, bytes.p, bytes.n);
    if (e)
        return error_set_errno(
            w->err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot write a block");
    w->at += bytes.n;
    return ST_OK;
}

/* w->raw becomes a section: compressed where that saves at least an eighth. */
static enum status put_section(struct writer *w)
{
    enum block_codec codec = BLOCK_PLAIN;
    struct str stored = buf_view(&w->raw);
    buf_clear(&w->packed);
    if (w->raw.failed || !buf_reserve(&w->packed, ZSTD_compressBound(w->raw.n)))
        FAIL(w->err, ST_RESOURCE_EXHAUSTED, "a section of a block is larger than 1 GiB");
    size_t n = ZSTD_compress2(w->zstd, w->packed.p, w->packed.cap, w->raw.p, w->raw.n);
    if (!ZSTD_isError(n) && n < w->raw.n - w->raw.n / 8) {
        codec = BLOCK_ZSTD;
        stored = str_make(w->packed.p, n);
    }
    buf_uvarint(&w->directory, codec);
    buf_uvarint(&w->directory, w->at);
    buf_uvarint(&w->directory, stored.n);
    buf_uvarint(&w->directory, w->raw.n);
    buf_u64le(&w->directory, hash_disk(stored.p, stored.n));
    return put_bytes(w, stored);
}

struct row_key {
    uint32_t series, row;
    int64_t time_ns;
};

static int cmp_row_keys(const void *pa, const void *pb)
{
    const struct row_key *a = pa, *b = pb;
    if (a->series != b->series)
        return a->series < b->series ? -1 : 1;
    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static struct row_key *sorted_rows(const struct part *p, uint32_t n)
{
    struct row_key *keys = mem_new(n * sizeof *keys);
    for (uint32_t i = 0; i < n; i++)
        keys[i] = (struct row_key){part_row(p, i)->series, i, part_row(p, i)->time_ns};
    qsort(keys, n, sizeof *keys, cmp_row_keys);
    return keys;
}

/* One column after the other; a series keeps how many totals its rows have. */
static void put_row_columns(
    struct buf *out, const struct part *p, const struct row_key *keys, uint32_t n)
{
    uint64_t last = 0;
    buf_uvarint(out, n);
    for (uint32_t i = 0; i < n; last = keys[i++].series)
        buf_uvarint(out, keys[i].series - last);
    last = 0;
    for (uint32_t i = 0; i < n; last = (uint64_t)keys[i++].time_ns)
        buf_svarint(out, (int64_t)((uint64_t)keys[i].time_ns - last));
    last = 0;
    for (uint32_t i = 0; i < n; last = part_row(p, keys[i++].row)->seq)
        buf_svarint(out, (int64_t)(part_row(p, keys[i].row)->seq - last));
    for (uint32_t i = 0; i < n; i++)
        buf_uvarint(out, part_row(p, keys[i].row)->n_bytes);
    for (uint32_t i = 0; i < n; i++)
        buf_uvarint(out, part_row(p, keys[i].row)->n_samples);
    for (uint32_t i = 0; i < n; i++) {
        const struct part_row *r = part_row(p, keys[i].row);
        for (uint32_t k = 0; k < part_series(p, r->series)->n_types; k++)
            buf_uvarint(out, (uint64_t)r->totals[k]);
    }
}

static void put_samples(
    struct buf *out, const struct part *p, const struct row_key *keys, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct part_row *r = part_row(p, keys[i].row);
        buf_add(out, r->bytes, r->n_bytes);
    }
}

static void put_dataset_head(struct writer *w, const struct part *p, uint32_t n)
{
    int64_t time_min = INT64_MAX, time_max = INT64_MIN;
    uint64_t samples = 0;
    for (uint32_t i = 0; i < n; i++) {
        time_min = MIN(time_min, part_row(p, i)->time_ns);
        time_max = MAX(time_max, part_row(p, i)->time_ns);
        samples += part_row(p, i)->n_samples;
        w->seq_max = MAX(w->seq_max, part_row(p, i)->seq);
    }
    buf_uvarint(&w->directory, p->service.n);
    buf_str(&w->directory, p->service);
    buf_svarint(&w->directory, time_min);
    buf_svarint(&w->directory, time_max);
    buf_uvarint(&w->directory, n);
    buf_uvarint(&w->directory, p->series.n);
    buf_uvarint(&w->directory, samples);
    w->time_min = MIN(w->time_min, time_min);
    w->time_max = MAX(w->time_max, time_max);
    w->n_datasets++;
}

/* All of the dataset's first n rows. */
static enum status put_dataset(struct writer *w, const struct dataset *ds, uint32_t n)
{
    const struct part *p = &ds->part;
    struct dataset *empty = dataset_new(NULL, 0, p->tenant, p->service);
    const struct marks from = dataset_marks(empty), to = dataset_marks(ds);
    struct row_key *keys = sorted_rows(p, n);
    enum status st = ST_OK;
    put_dataset_head(w, p, n);
    for (int section = 0; section < BLOCK_SECTIONS && st == ST_OK; section++) {
        buf_clear(&w->raw);
        switch ((enum block_section)section) {
        case BLOCK_STRINGS:
            frame_put_strings(&w->raw, &p->sym, from.sym.strings, to.sym.strings);
            break;
        case BLOCK_SERIES:
            frame_put_series(&w->raw, p, 0, to.series);
            break;
        case BLOCK_ROWS:
            put_row_columns(&w->raw, p, keys, n);
            break;
        case BLOCK_SYMBOLS:
            frame_put_symbols(&w->raw, &p->sym, &from.sym, &to.sym);
            break;
        case BLOCK_NODES:
            frame_put_nodes(&w->raw, &p->sym, from.sym.nodes, to.sym.nodes);
            break;
        case BLOCK_SAMPLES:
            put_samples(&w->raw, p, keys, n);
            break;
        case BLOCK_SECTIONS:
            break;
        }
        st = put_section(w);
    }
    mem_free(keys);
    dataset_free(empty);
    return st;
}

/* Of the published rows those of the hour. */
struct hour_rows {
    uint32_t n;
    size_t bytes;
    bool others; /* the dataset has more than them */
};

static struct hour_rows count_hour(const struct part *p, int64_t hour_ns)
{
    struct hour_rows out = {0};
    uint32_t rows = part_rows(p);
    for (uint32_t i = 0; i < rows; i++) {
        const struct part_row *r = part_row(p, i);
        bool in = block_hour(r->time_ns) == hour_ns;
        out.n += in;
        out.bytes += in ? r->n_bytes : 0;
    }
    out.others = out.n != rows || p->rows.n != rows;
    return out;
}

static enum status put_copies(
    struct writer *w, const struct part *p, int64_t hour_ns, size_t piece_bytes)
{
    for (uint32_t at = 0; at < part_rows(p);) {
        struct dataset *copy = dataset_new(NULL, 0, p->tenant, p->service);
        enum status st = block_copy_rows(p, hour_ns, &at, piece_bytes, copy, w->err);
        if (st == ST_OK && copy->part.rows.n)
            st = put_dataset(w, copy, copy->part.rows.n);
        dataset_free(copy);
        TRY(st);
    }
    return ST_OK;
}

/* A piece has at most an eighth of the bound in samples: the rest is for the symbols it needs. */
static enum status put_epoch(
    struct writer *w, const struct epoch *ep, struct str tenant, int64_t hour_ns)
{
    size_t most = w->to->dataset_bytes_max ? w->to->dataset_bytes_max : BLOCK_DATASET_BYTES;
    for (uint32_t i = 0; i < ep->n_datasets; i++) {
        const struct dataset *ds = epoch_dataset(ep, i);
        if (!str_eq(ds->part.tenant, tenant))
            continue;
        struct hour_rows rows = count_hour(&ds->part, hour_ns);
        bool large = rows.bytes + ds->part.sym.bytes > most;
        if (rows.n && (large || rows.others))
            TRY(put_copies(w, &ds->part, hour_ns, large ? most / 8 : SIZE_MAX));
        else if (rows.n)
            TRY(put_dataset(w, ds, rows.n));
    }
    return ST_OK;
}

static enum status put_head(struct writer *w, uint64_t epoch, int64_t hour_ns)
{
    struct buf head;
    buf_init(&head, BLOCK_HEAD_BYTES * 8);
    buf_add(&head, head_magic, sizeof head_magic);
    buf_add(&head, w->to->store_id, 16);
    buf_u64le(&head, epoch);
    buf_u64le(&head, (uint64_t)hour_ns);
    for (int i = 0; i < 4; i++)
        buf_u32le(&head, 0);
    buf_u64le(&head, hash_disk(head.p, head.n));
    ASSERT(head.n == BLOCK_HEAD_BYTES);
    enum status st = put_bytes(w, buf_view(&head));
    buf_done(&head);
    return st;
}

/* The datasets' entries were gathered in w->directory; what stands before them is known only now.
 */
static enum status put_directory(struct writer *w, struct str tenant, struct block_file *ret_file)
{
    struct buf d;
    uint64_t at = w->at;
    buf_init(&d, RAW_MAX);
    buf_uvarint(&d, tenant.n);
    buf_str(&d, tenant);
    buf_svarint(&d, w->time_min);
    buf_svarint(&d, w->time_max);
    buf_uvarint(&d, w->seq_max);
    buf_uvarint(&d, w->n_datasets);
    buf_str(&d, buf_view(&w->directory));
    size_t bytes = d.n;
    ret_file->check = hash_disk(d.p, d.n);
    buf_u64le(&d, at);
    buf_u64le(&d, bytes);
    buf_u64le(&d, ret_file->check);
    buf_add(&d, foot_magic, sizeof foot_magic);
    enum status st = d.failed || w->directory.failed
                         ? error_set(w->err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__,
                               "the directory of a block is too large")
                         : put_bytes(w, buf_view(&d));
    buf_done(&d);
    return st;
}

/* Names and folders */

static void ulid(char out[ULID_CHARS + 1], int64_t hour_ns, uint64_t hi, uint64_t lo)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t ms = (uint64_t)(hour_ns / NS_PER_MS);
    for (int i = 9; i >= 0; i--, ms >>= 5)
        out[i] = digits[ms & 31];
    for (int i = 17; i >= 10; i--, hi >>= 5)
        out[i] = digits[hi & 31];
    for (int i = 25; i >= 18; i--, lo >>= 5)
        out[i] = digits[lo & 31];
    out[ULID_CHARS] = 0;
}

bool block_tenant_ok(struct str tenant)
{
    return tenant.n > 0 && tenant.n <= TENANT_BYTES_MAX && !memchr(tenant.p, '/', tenant.n) &&
           !memchr(tenant.p, 0, tenant.n) && !str_eq(tenant, STR(".")) &&
           !str_eq(tenant, STR(".."));
}

bool block_path(const struct block_target *to, uint64_t epoch, struct str tenant, int64_t hour_ns,
    char out[BLOCK_PATH_MAX])
{
    char name[ULID_CHARS + 1];
    int64_t year, day_no = hour_ns / (24 * BLOCK_HOUR_NS) - (hour_ns % (24 * BLOCK_HOUR_NS) < 0);
    unsigned month, day;
    uint64_t key[4], hi, lo;
    memcpy(key, to->store_id, 16);
    key[2] = epoch;
    key[3] = hash_disk(tenant.p, tenant.n);
    hi = hash_disk(key, sizeof key);
    key[2] = hi;
    lo = hash_disk(key, sizeof key);
    ulid(name, hour_ns, hi, lo);
    clock_civil_from_days(day_no, &year, &month, &day);
    int n = snprintf(out, BLOCK_PATH_MAX, "%.*s/1h/%04" PRId64 "-%02u-%02u/%s.efb", STR_ARG(tenant),
        year, month, day, name);
    return n > 0 && n < BLOCK_PATH_MAX && block_tenant_ok(tenant);
}

/* Makes and syncs every folder on the way; `path` is below blocks/. */
static int make_folders(const struct block_target *to, const char *path)
{
    char folder[4096], parent[4096];
    int n = snprintf(folder, sizeof folder, "%s/blocks/%s", to->dir, path), e = 0;
    ASSERT(n > 0 && (size_t)n < sizeof folder);
    size_t root = strlen(to->dir) + strlen("/blocks");
    for (size_t i = root + 1; folder[i] && !e; i++) {
        if (folder[i] != '/')
            continue;
        folder[i] = 0;
        snprintf(parent, sizeof parent, "%s", folder);
        *strrchr(parent, '/') = 0;
        e = to->fs->dir_make(to->fs, folder);
        if (!e)
            e = to->fs->dir_sync(to->fs, parent);
        folder[i] = '/';
    }
    return e;
}

static int finish_file(struct writer *w, const char *tmp, const char *path)
{
    struct fs *fs = w->to->fs;
    char whole[4096];
    snprintf(whole, sizeof whole, "%s/blocks/%s", w->to->dir, path);
    int e = fs->file_sync(fs, w->file);
    fs->file_close(fs, w->file);
    w->file = NULL;
    if (!e)
        e = make_folders(w->to, path);
    if (!e)
        e = fs->rename(fs, tmp, whole);
    *strrchr(whole, '/') = 0;
    return e ? e : fs->dir_sync(fs, whole);
}

static enum status write_file(struct writer *w, const struct epoch *ep, struct str tenant,
    int64_t hour_ns, struct block_file *ret_file)
{
    TRY(put_head(w, ep->no, hour_ns));
    TRY(put_epoch(w, ep, tenant, hour_ns));
    TRY(put_directory(w, tenant, ret_file));
    ret_file->bytes = w->n_datasets ? w->at : 0;
    return ST_OK;
}

static void writer_init(struct writer *w, const struct block_target *to, struct error *err)
{
    *w = (struct writer){.to = to, .time_min = INT64_MAX, .time_max = INT64_MIN, .err = err};
    buf_init(&w->raw, RAW_MAX);
    buf_init(&w->packed, 2u * RAW_MAX);
    buf_init(&w->directory, RAW_MAX);
    w->zstd = ZSTD_createCCtx();
    ASSERT(w->zstd);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
}

static void writer_done(struct writer *w)
{
    ZSTD_freeCCtx(w->zstd);
    buf_done(&w->directory);
    buf_done(&w->packed);
    buf_done(&w->raw);
}

enum status block_write(const struct block_target *to, const struct epoch *ep, struct str tenant,
    int64_t hour_ns, struct block_file *ret_file, struct error *err)
{
    struct fs *fs = to->fs;
    struct writer w;
    char tmp[4096];
    if (!block_path(to, ep->no, tenant, hour_ns, ret_file->path))
        FAIL(err, ST_INVALID_ARGUMENT, "the path of a block is too long");
    snprintf(tmp, sizeof tmp, "%s/tmp/%s", to->dir, strrchr(ret_file->path, '/') + 1);
    fs->unlink(fs, tmp);
    writer_init(&w, to, err);
    int e = fs->file_open(fs, tmp, FS_CREATE, &w.file);
    enum status st = e ? ST_UNAVAILABLE : write_file(&w, ep, tenant, hour_ns, ret_file);
    if (st == ST_OK && ret_file->bytes)
        e = finish_file(&w, tmp, ret_file->path);
    fs->file_close(fs, w.file);
    if (e || st != ST_OK || !ret_file->bytes)
        fs->unlink(fs, tmp);
    if (e)
        st = error_set_errno(
            err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot write block %s", ret_file->path);
    writer_done(&w);
    return st;
}
