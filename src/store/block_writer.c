/* A block's file while it is written: head, sections, directory, foot.
 *
 * It is built under tmp/, synced, renamed to its place, its folder synced. Its name follows from
 * store, epoch, tenant, level and range: writing the same again after a crash replaces it. What
 * failed leaves no file. */
#include "store/block_writer_int.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/ulid.h"

enum { RAW_MAX = 1 << 30, TENANT_BYTES_MAX = 255 };
/* A day's block stays, so what gains from it is compressed harder: text by a sixth. The samples are
 * nearly all of the bytes and gain nothing. */
enum { ZSTD_LEVEL = 3, ZSTD_LEVEL_DAY = 9 };
static const bool gains[BLOCK_KINDS] = {[BLOCK_STRINGS] = true,
    [BLOCK_ROWS] = true,
    [BLOCK_SYMBOLS] = true,
    [BLOCK_TIMELINE] = true,
    [BLOCK_NAMES] = true};
static const char head_magic[8] = {'E', 'F', 'B', 'L', 'K', 0, 0, 3};
static const char foot_magic[8] = {'E', 'F', 'B', 'L', 'K', 'E', 'N', 'D'};

/* Writing */

static enum status put_bytes(struct block_writer *w, struct str bytes)
{
    int e = w->to->fs->file_write(w->to->fs, w->file, w->at, bytes.p, bytes.n);
    if (e)
        return error_set_errno(
            w->err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot write a block");
    w->at += bytes.n;
    return ST_OK;
}

/* Appends to w->packed what `raw` is stored as. */
static enum status pack(
    struct block_writer *w, enum block_kind kind, struct str raw, enum block_codec *ret_codec)
{
    int level = w->level == BLOCK_24H && gains[kind] ? ZSTD_LEVEL_DAY : ZSTD_LEVEL;
    TRY(block_pause(&w->pause, w->err));
    if (!buf_reserve(&w->packed, ZSTD_compressBound(raw.n)))
        FAIL(w->err, ST_RESOURCE_EXHAUSTED, "a section of a block is larger than 1 GiB");
    char *at = w->packed.p + w->packed.n;
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, level);
    size_t n = ZSTD_compress2(w->zstd, at, w->packed.cap - w->packed.n, raw.p, raw.n);
    bool smaller = !ZSTD_isError(n) && n < raw.n - raw.n / 8;
    *ret_codec = smaller ? BLOCK_ZSTD : BLOCK_PLAIN;
    if (smaller)
        w->packed.n += n;
    else
        buf_str(&w->packed, raw);
    return ST_OK;
}

struct stored {
    enum block_codec codec;
    size_t bytes, raw_bytes;
    uint64_t check;
};

static void put_entry(
    struct block_writer *w, const struct block_about *about, const struct stored *s)
{
    struct buf *b = &w->sections;
    buf_uvarint(b, about->kind);
    buf_uvarint(b, about->type);
    buf_uvarint(b, about->slot);
    buf_uvarint(b, about->n_slots);
    buf_uvarint(b, s->codec);
    buf_uvarint(b, s->bytes);
    buf_uvarint(b, s->raw_bytes);
    buf_u64le(b, s->check);
    w->n_sections++;
}

enum status block_put_section(struct block_writer *w, const struct block_about *about)
{
    struct stored s = {.raw_bytes = w->raw.n};
    buf_clear(&w->packed);
    if (w->raw.failed)
        FAIL(w->err, ST_RESOURCE_EXHAUSTED, "a section of a block is larger than 1 GiB");
    TRY(pack(w, about->kind, buf_view(&w->raw), &s.codec));
    s.bytes = w->packed.n;
    s.check = hash_disk(w->packed.p, w->packed.n);
    put_entry(w, about, &s);
    return put_bytes(w, buf_view(&w->packed));
}

enum status block_put_chunks(struct block_writer *w, const struct block_about *about,
    struct str head, struct str stream, const struct rollup_chunks *chunks)
{
    struct stored s = {.codec = BLOCK_CHUNKS};
    struct buf table;
    enum status st = ST_OK;
    buf_init(&table, RAW_MAX);
    buf_str(&table, head);
    buf_clear(&w->packed);
    for (uint32_t i = 0; i < chunks->n_chunks && st == ST_OK; i++) {
        enum block_codec codec = BLOCK_PLAIN;
        size_t at = w->packed.n;
        st = pack(w, about->kind,
            str_make(stream.p + chunks->starts[i], rollup_chunk_size(chunks, i)), &codec);
        buf_uvarint(&table, codec);
        buf_uvarint(&table, w->packed.n - at);
        buf_u64le(&table, hash_disk(w->packed.p + at, w->packed.n - at));
    }
    if (st == ST_OK && (table.failed || w->packed.failed))
        st = error_set(w->err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__,
            "a section of a block is larger than 1 GiB");
    s.raw_bytes = table.n;
    s.bytes = table.n + w->packed.n;
    s.check = hash_disk(buf_view(&table).p, table.n);
    if (st == ST_OK)
        st = put_bytes(w, buf_view(&table));
    buf_done(&table);
    TRY(st);
    put_entry(w, about, &s);
    return put_bytes(w, buf_view(&w->packed));
}

void block_put_next(struct block_writer *w)
{
    buf_clear(&w->sections);
    w->n_sections = 0;
    rollup_names_done(&w->names);
    arena_reset(&w->names_arena);
    rollup_names_init(&w->names, &w->names_arena);
}

static enum status put_head(struct block_writer *w, const struct block_place *place)
{
    struct buf head;
    buf_init(&head, BLOCK_HEAD_BYTES * 8);
    buf_add(&head, head_magic, sizeof head_magic);
    buf_add(&head, w->to->store_id, 16);
    buf_u64le(&head, place->epoch);
    buf_u64le(&head, (uint64_t)place->start_ns);
    buf_u64le(&head, (uint64_t)place->level);
    buf_u64le(&head, 0);
    buf_u64le(&head, hash_disk(head.p, head.n));
    ASSERT(head.n == BLOCK_HEAD_BYTES);
    enum status st = put_bytes(w, buf_view(&head));
    buf_done(&head);
    return st;
}

static void put_string(struct buf *out, struct str s)
{
    buf_uvarint(out, s.n);
    buf_str(out, s);
}

/* The datasets' entries were gathered in w->directory; what stands before them is known only now.
 */
static enum status put_directory(struct block_writer *w, struct str tenant,
    const struct str *sources, uint32_t n_sources, struct block_file *ret_file)
{
    struct buf d;
    uint64_t at = w->at;
    buf_init(&d, RAW_MAX);
    put_string(&d, tenant);
    buf_svarint(&d, w->time_min);
    buf_svarint(&d, w->time_max);
    buf_uvarint(&d, w->seq_max);
    buf_uvarint(&d, n_sources);
    for (uint32_t i = 0; i < n_sources; i++)
        put_string(&d, sources[i]);
    buf_uvarint(&d, w->type_names.texts.n);
    for (uint32_t i = 0; i < w->type_names.texts.n; i++)
        put_string(&d, w->type_names.texts.v[i]);
    buf_uvarint(&d, w->n_datasets);
    buf_str(&d, buf_view(&w->directory));
    size_t bytes = d.n;
    ret_file->check = hash_disk(d.p, d.n);
    buf_u64le(&d, at);
    buf_u64le(&d, bytes);
    buf_u64le(&d, ret_file->check);
    buf_add(&d, foot_magic, sizeof foot_magic);
    enum status st = d.failed || w->directory.failed || w->sections.failed
                         ? error_set(w->err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__,
                               "the directory of a block is too large")
                         : put_bytes(w, buf_view(&d));
    buf_done(&d);
    return st;
}

/* Names and folders */

bool block_tenant_ok(struct str tenant)
{
    return tenant.n > 0 && tenant.n <= TENANT_BYTES_MAX && !memchr(tenant.p, '/', tenant.n) &&
           !memchr(tenant.p, 0, tenant.n) && !str_eq(tenant, STR(".")) &&
           !str_eq(tenant, STR(".."));
}

bool block_path(const struct block_target *to, uint64_t epoch, struct str tenant,
    enum block_level level, int64_t start_ns, char out[BLOCK_PATH_MAX])
{
    char name[ULID_CHARS + 1];
    int64_t year, day_no = start_ns / (24 * BLOCK_HOUR_NS) - (start_ns % (24 * BLOCK_HOUR_NS) < 0);
    unsigned month, day;
    uint64_t key[4], hi, lo;
    memcpy(key, to->store_id, 16);
    key[2] = epoch;
    key[3] = hash_disk(tenant.p, tenant.n);
    hi = hash_disk(key, sizeof key);
    key[2] = hi;
    lo = hash_disk(key, sizeof key);
    ulid_put(name, start_ns / NS_PER_MS, hi, lo);
    clock_civil_from_days(day_no, &year, &month, &day);
    int n = snprintf(out, BLOCK_PATH_MAX, "%.*s/%s/%04" PRId64 "-%02u-%02u/%s.efb", STR_ARG(tenant),
        block_levels[level].name, year, month, day, name);
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

static int finish_file(struct block_writer *w)
{
    struct fs *fs = w->to->fs;
    char whole[4096];
    snprintf(whole, sizeof whole, "%s/blocks/%s", w->to->dir, w->path);
    int e = fs->file_sync(fs, w->file);
    fs->file_close(fs, w->file);
    w->file = NULL;
    if (!e)
        e = make_folders(w->to, w->path);
    if (!e)
        e = fs->rename(fs, w->tmp, whole);
    *strrchr(whole, '/') = 0;
    return e ? e : fs->dir_sync(fs, whole);
}

static void writer_init(struct block_writer *w, const struct block_target *to, struct error *err)
{
    *w = (struct block_writer){.to = to, .time_min = INT64_MAX, .time_max = INT64_MIN, .err = err};
    buf_init(&w->raw, RAW_MAX);
    buf_init(&w->packed, 2u * RAW_MAX);
    buf_init(&w->sections, RAW_MAX);
    buf_init(&w->directory, RAW_MAX);
    arena_init(&w->type_names_arena, RAW_MAX);
    rollup_names_init(&w->type_names, &w->type_names_arena);
    arena_init(&w->names_arena, RAW_MAX);
    rollup_names_init(&w->names, &w->names_arena);
    w->zstd = ZSTD_createCCtx();
    ASSERT(w->zstd);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
}

static void writer_done(struct block_writer *w)
{
    ZSTD_freeCCtx(w->zstd);
    rollup_names_done(&w->names);
    arena_done(&w->names_arena);
    rollup_names_done(&w->type_names);
    arena_done(&w->type_names_arena);
    buf_done(&w->directory);
    buf_done(&w->sections);
    buf_done(&w->packed);
    buf_done(&w->raw);
}

enum status block_writer_begin(struct block_writer *w, const struct block_target *to,
    const struct block_place *place, struct error *err)
{
    struct fs *fs = to->fs;
    writer_init(w, to, err);
    w->level = place->level;
    if (!block_path(to, place->epoch, place->tenant, place->level, place->start_ns, w->path))
        FAIL(err, ST_INVALID_ARGUMENT, "the path of a block is too long");
    snprintf(w->tmp, sizeof w->tmp, "%s/tmp/%s", to->dir, strrchr(w->path, '/') + 1);
    fs->unlink(fs, w->tmp);
    int e = fs->file_open(fs, w->tmp, FS_CREATE, &w->file);
    if (e)
        return error_set_errno(
            err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot write block %s", w->path);
    return put_head(w, place);
}

enum status block_writer_finish(struct block_writer *w, enum status st, struct str tenant,
    const struct str *sources, uint32_t n_sources, struct block_file *ret_file)
{
    struct fs *fs = w->to->fs;
    *ret_file = (struct block_file){0};
    bool wanted = st == ST_OK && w->n_datasets;
    if (wanted)
        st = put_directory(w, tenant, sources, n_sources, ret_file);
    int e = wanted && st == ST_OK ? finish_file(w) : 0;
    fs->file_close(fs, w->file);
    if (e)
        st = error_set_errno(
            w->err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot write block %s", w->path);
    if (wanted && st == ST_OK) {
        memcpy(ret_file->path, w->path, sizeof w->path);
        ret_file->bytes = w->at;
    } else if (*w->tmp) {
        fs->unlink(fs, w->tmp);
    }
    writer_done(w);
    return st;
}
