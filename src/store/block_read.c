/* Opening a block: head, foot, directory; reading sections against their checksums.
 *
 * Every byte of the file is covered by exactly one checksum (head, each section, directory) or is
 * compared with a constant (the foot's magic) or is what a checksum is compared with; and sections
 * must follow each other without gaps. So any flipped bit is found: what the directory covers at
 * opening, the rest when it is read. */
#include "store/block_int.h"

#include <errno.h>
#include <inttypes.h>
#include <zstd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/varint.h"

enum { DIRECTORY_BYTES_MAX = 1 << 28, SECTION_RAW_MAX = 1 << 30 };
enum { VERSION_FIRST = 1, VERSION = 3 };
static const char head_magic[7] = {'E', 'F', 'B', 'L', 'K', 0, 0};
static const char foot_magic[8] = {'E', 'F', 'B', 'L', 'K', 'E', 'N', 'D'};

struct opener {
    uint8_t version;
    struct fs *fs;
    struct fs_file *file;
    struct block *b;
    uint64_t directory_at, directory_bytes;
    struct buf directory;
    struct error *err;
};

static enum status damaged(struct opener *o, const char *what)
{
    FAIL(o->err, ST_DATA_LOSS, "block %s is damaged: %s", o->b->path, what);
}

static enum status file_path(const struct block *b, char out[4096], struct error *err)
{
    int n = snprintf(out, 4096, "%s/%s", b->dir, b->path);
    if (n < 0 || n >= 4096)
        FAIL(err, ST_INVALID_ARGUMENT, "the path of a block is too long");
    return ST_OK;
}

/* Short of memory or handles it is the machine's fault, otherwise the file's. */
static enum status cannot(const struct block *b, const char *what, int e, struct error *err)
{
    bool machine = e == ENOMEM || e == EMFILE || e == ENFILE;
    return error_set_errno(err, machine ? ST_UNAVAILABLE : ST_DATA_LOSS, e, __FILE__, __LINE__,
        "cannot %s block %s", what, b->path);
}

static enum status read_at(struct fs *fs, struct fs_file *file, const struct block *b, uint64_t at,
    void *p, size_t n, struct error *err)
{
    size_t got = 0;
    int e = fs->file_read(fs, file, at, p, n, &got);
    if (e)
        return cannot(b, "read", e, err);
    if (got != n)
        FAIL(err, ST_DATA_LOSS, "block %s is damaged: it is too short", b->path);
    return ST_OK;
}

static enum status read_head(struct opener *o)
{
    char raw[BLOCK_HEAD_BYTES];
    TRY(read_at(o->fs, o->file, o->b, 0, raw, sizeof raw, o->err));
    o->version = (uint8_t)raw[7];
    bool ours = memcmp(raw, head_magic, sizeof head_magic) == 0 && o->version >= VERSION_FIRST;
    if (ours && o->version > VERSION)
        FAIL(o->err, ST_DATA_LOSS, "block %s has format version %d, this everflame reads up to %d",
            o->b->path, o->version, VERSION);
    if (!ours || load_u64le(raw + BLOCK_HEAD_BYTES - 8) != hash_disk(raw, BLOCK_HEAD_BYTES - 8))
        return damaged(o, "its head");
    memcpy(o->b->store_id, raw + 8, 16);
    o->b->epoch = load_u64le(raw + 24);
    o->b->start_ns = (int64_t)load_u64le(raw + 32);
    o->b->level = (enum block_level)(uint8_t)raw[40];
    if (o->b->level >= BLOCK_LEVELS ||
        block_range_start(o->b->level, o->b->start_ns) != o->b->start_ns)
        return damaged(o, "its range");
    return ST_OK;
}

static enum status read_foot(struct opener *o)
{
    char raw[BLOCK_FOOT_BYTES];
    uint64_t size = o->b->file_bytes;
    if (size < BLOCK_HEAD_BYTES + BLOCK_FOOT_BYTES)
        return damaged(o, "it is too short");
    TRY(read_at(o->fs, o->file, o->b, size - sizeof raw, raw, sizeof raw, o->err));
    o->directory_at = load_u64le(raw);
    o->directory_bytes = load_u64le(raw + 8);
    o->b->check = load_u64le(raw + 16);
    if (memcmp(raw + 24, foot_magic, sizeof foot_magic) != 0 ||
        o->directory_bytes > DIRECTORY_BYTES_MAX || o->directory_at < BLOCK_HEAD_BYTES ||
        o->directory_bytes > size - BLOCK_FOOT_BYTES ||
        o->directory_at != size - BLOCK_FOOT_BYTES - o->directory_bytes)
        return damaged(o, "its foot");
    if (!buf_reserve(&o->directory, o->directory_bytes))
        FAIL(o->err, ST_RESOURCE_EXHAUSTED, "no memory for the directory of block %s", o->b->path);
    TRY(read_at(o->fs, o->file, o->b, o->directory_at, o->directory.p, o->directory_bytes, o->err));
    o->directory.n = o->directory_bytes;
    if (hash_disk(o->directory.p, o->directory.n) != o->b->check)
        return damaged(o, "its directory");
    return ST_OK;
}

/* The directory: block_directory.c. */
static enum status parse_directory(struct opener *o)
{
    enum status st = block_directory_parse(
        o->b, o->version, buf_view(&o->directory), o->directory_at, o->err);
    return st == ST_DATA_LOSS ? damaged(o, "its directory") : st;
}

static enum status open_file(struct opener *o)
{
    TRY(read_head(o));
    TRY(read_foot(o));
    return parse_directory(o);
}

enum status block_open(
    struct fs *fs, const char *dir, const char *path, struct block **ret_block, struct error *err)
{
    struct block *b = NEW(struct block);
    struct opener o = {.fs = fs, .b = b, .err = err};
    char whole[4096];
    b->refs = 1;
    b->fs = fs;
    snprintf(b->dir, sizeof b->dir, "%s", dir);
    snprintf(b->path, sizeof b->path, "%s", path);
    arena_init(&b->memory, SIZE_MAX);
    buf_init(&o.directory, DIRECTORY_BYTES_MAX);
    enum status st = file_path(b, whole, err);
    int e = st == ST_OK ? fs->file_open(fs, whole, FS_READ, &o.file) : 0;
    if (e)
        st = cannot(b, "open", e, err);
    if (st == ST_OK) {
        e = fs->file_size(fs, o.file, &b->file_bytes);
        st = e ? cannot(b, "read", e, err) : open_file(&o);
        fs->file_close(fs, o.file);
    }
    buf_done(&o.directory);
    if (st != ST_OK) {
        block_unref(b);
        return st;
    }
    *ret_block = b;
    return ST_OK;
}

struct block *block_ref(struct block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void block_unref(struct block *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t i = 0; i < b->n_datasets; i++) {
        struct block_dataset *bd = &b->datasets[i];
        for (uint32_t u = 0; u < block_n_units(bd); u++)
            ASSERT(!bd->units[u].loaded); /* the cache holds a reference while it is */
        mutex_done(&bd->lock);
        if (atomic_load(&bd->aside_until_ns))
            metric_add(M_BLOCKS_BAD, -1);
    }
    char whole[4096];
    if (atomic_load(&b->retired) && file_path(b, whole, NULL) == ST_OK) {
        int e = b->fs->unlink(b->fs, whole);
        if (e && e != ENOENT)
            LOG_WARN("cannot remove a retired block, the next start will", "path=%s err=%s",
                LOG_STR(str_from(b->path)), LOG_STR(str_from(strerror(e))));
    }
    arena_done(&b->memory);
    mem_free(b);
}

static enum status inflate(const struct block *b, const struct block_range *r, struct str stored,
    struct buf *out, struct error *err)
{
    if (r->codec == BLOCK_PLAIN) {
        buf_str(out, stored);
    } else if (buf_reserve(out, r->raw_bytes)) {
        size_t n = ZSTD_decompress(out->p + out->n, r->raw_bytes, stored.p, stored.n);
        if (ZSTD_isError(n) || n != r->raw_bytes)
            FAIL(err, ST_DATA_LOSS, "block %s is damaged: a section does not inflate", b->path);
        out->n += n;
    }
    if (out->failed)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for a section of block %s", b->path);
    return ST_OK;
}

enum status block_range_read(const struct block_dataset *bd, const struct block_range *r,
    const char *what, struct buf *out, struct error *err)
{
    const struct block *b = bd->block;
    struct fs_file *file;
    struct buf stored;
    char whole[4096];
    TRY(file_path(b, whole, err));
    int e = b->fs->file_open(b->fs, whole, FS_READ, &file);
    if (e)
        return cannot(b, "open", e, err);
    buf_init(&stored, SECTION_RAW_MAX + MIB);
    enum status st = buf_reserve(&stored, r->stored_bytes + 1)
                         ? read_at(b->fs, file, b, r->offset, stored.p, r->stored_bytes, err)
                         : error_set(err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__,
                               "no memory for a section of block %s", b->path);
    b->fs->file_close(b->fs, file);
    if (st == ST_OK && hash_disk(stored.p, r->stored_bytes) != r->check)
        st = error_set(err, ST_DATA_LOSS, __FILE__, __LINE__,
            "block %s is damaged: the %s of service %.*s", b->path, what, STR_ARG(bd->service));
    if (st == ST_OK)
        st = inflate(b, r, str_make(stored.p, r->stored_bytes), out, err);
    buf_done(&stored);
    return st;
}

enum status block_section_read(const struct block_dataset *bd, const struct block_section *s,
    struct buf *out, struct error *err)
{
    ASSERT(s->codec != BLOCK_CHUNKS);
    const struct block_range r = {s->offset, s->stored_bytes, s->raw_bytes, s->check, s->codec};
    return block_range_read(
        bd, &r, s->kind < BLOCK_KINDS ? block_kind_names[s->kind] : "a section", out, err);
}
