/* Private to store: blocks, the immutable files. Every byte: docs/formats/block.md.
 *
 * A block holds what one epoch has of one tenant and one UTC hour of profile time. Its directory is
 * read at start and kept; the data of a dataset is read when a query wants it, in two steps: labels
 * (strings, series, rows) and stacks (functions, locations, nodes, samples), both cached. */
#ifndef STORE_BLOCK_INT_H
#define STORE_BLOCK_INT_H

#include "store/epoch_int.h"
#include "base/fs.h"

enum { BLOCK_HEAD_BYTES = 64, BLOCK_FOOT_BYTES = 32, BLOCK_PATH_MAX = 512, ULID_CHARS = 26 };
#define BLOCK_HOUR_NS (3600 * NS_PER_S)

/* The start of the UTC hour of a time; the first, partial hour of int64 starts at INT64_MIN. */
static inline int64_t block_hour(int64_t time_ns)
{
    int64_t hour = time_ns / BLOCK_HOUR_NS - (time_ns % BLOCK_HOUR_NS < 0);
    return hour < INT64_MIN / BLOCK_HOUR_NS ? INT64_MIN : hour * BLOCK_HOUR_NS;
}

/* Blocks of one epoch hold an hour; compaction makes larger ones of them. A block of a level lies
 * within one range of that length, aligned in UTC. */
enum block_level { BLOCK_1H, BLOCK_6H, BLOCK_24H, BLOCK_LEVELS };
struct block_level_info {
    const char *name; /* of the folder */
    int64_t span_ns;
};
extern const struct block_level_info block_levels[BLOCK_LEVELS];
/* The start of the range of a level that holds a time; like block_hour at the edge of int64. */
int64_t block_range_start(enum block_level level, int64_t time_ns);

/* The order is the order in the file. */
enum block_section {
    BLOCK_STRINGS,
    BLOCK_SERIES,
    BLOCK_ROWS,
    BLOCK_SYMBOLS, /* functions, mappings, locations */
    BLOCK_NODES,
    BLOCK_SAMPLES,
    BLOCK_SECTIONS
};
extern const char *const block_section_names[BLOCK_SECTIONS];
enum block_codec { BLOCK_PLAIN, BLOCK_ZSTD };

struct block_range {
    uint64_t offset, stored_bytes, raw_bytes, check;
    enum block_codec codec;
};

struct block;
struct block_dataset;

/* What is loaded of a dataset: a part with labels and rows only, or with everything. `users` and
 * the list belong to the cache (cache.c). */
enum block_view { BLOCK_LABELS, BLOCK_FULL, BLOCK_VIEWS };
struct block_part {
    struct block_dataset *of;
    struct dataset *ds; /* NULL: not loaded */
    size_t bytes;       /* as accounted */
    uint32_t users;
    struct block_part *newer, *older; /* in the cache's order of use */
};

struct block_dataset {
    struct block *block;
    struct str service;
    int64_t time_min, time_max;
    uint64_t n_rows, n_series, n_samples;
    struct block_range sections[BLOCK_SECTIONS];
    struct mutex lock; /* one thread loads, the others wait for it */
    struct block_part parts[BLOCK_VIEWS];
    /* Set aside: not read again before this monotonic time. 0: fine; INT64_MAX: damaged. */
    _Atomic int64_t aside_until_ns;
};

struct block {
    _Atomic uint32_t refs;
    struct fs *fs;
    char dir[2048];            /* of the store's blocks */
    char path[BLOCK_PATH_MAX]; /* below dir: tenant/1h/2026-11-24/ULID.efb */
    uint8_t store_id[16];
    uint64_t epoch;
    int64_t hour_ns, time_min, time_max;
    uint64_t seq_max; /* the highest number of an upload in it */
    uint64_t file_bytes;
    struct str tenant;
    struct block_dataset *datasets;
    uint32_t n_datasets;
    struct arena memory; /* of the directory */
    uint64_t check;      /* of the directory, as the marker names it */
    atomic_bool retired; /* the last reference removes the file */
};

/* block_write.c and block_copy.c: the rows of `hour_ns` below the published marks, of every dataset
 * of the tenant, as one file, synced, its folder too. No row: *ret_bytes 0 and no file. */
struct block_file {
    char path[BLOCK_PATH_MAX];
    uint64_t bytes, check; /* of the directory */
};
struct block_target {
    struct fs *fs;
    const char *dir; /* of the store */
    const uint8_t *store_id;
    size_t dataset_bytes_max; /* a larger dataset is split; 0 = BLOCK_DATASET_BYTES */
};
#define BLOCK_DATASET_BYTES ((size_t)512 << 20)
enum status block_write(const struct block_target *to, const struct epoch *ep, struct str tenant,
    int64_t hour_ns, struct block_file *ret_file, struct error *err);
/* Whether a tenant can be a folder: what the server lets in, always. */
bool block_tenant_ok(struct str tenant);
/* The same name for the same content: store, epoch, tenant, hour. */
bool block_path(const struct block_target *to, uint64_t epoch, struct str tenant, int64_t hour_ns,
    char out[BLOCK_PATH_MAX]);

/* Copies into `to`, from row *at on, the rows of the hour with what they refer to, at least one and
 * until their samples have `bytes` bytes; *at becomes the first row that was not looked at. */
enum status block_copy_rows(const struct part *from, int64_t hour_ns, uint32_t *at, size_t bytes,
    struct dataset *to, struct error *err);

/* block_merge.c: blocks of one tenant, whose rows all lie in the range, as one block that names
 * them as its sources; one dataset after the other, each in at most `memory` bytes (0 = a default),
 * so that what it takes does not grow with the blocks. Every read is verified. Nothing is locked;
 * `pause` is called every few milliseconds and may sleep or fail (then no file is left). */
struct block_merge {
    const struct block_target *to;
    struct block *const *sources; /* referenced by the caller */
    uint32_t n_sources;
    enum block_level level;
    int64_t start_ns;
    uint64_t epoch; /* a new number, of this merge alone */
    size_t memory;
    enum status (*pause)(void *ctx, struct error *err);
    void *ctx;
};
enum status block_merge(
    const struct block_merge *m, struct block_file *ret_file, struct error *err);

/* block_read.c: head, foot and directory; everything checked. ST_DATA_LOSS also when the file is
 * not there or cannot be read (os_errno says why): then it may be readable again. */
enum status block_open(
    struct fs *fs, const char *dir, const char *path, struct block **ret_block, struct error *err);
struct block *block_ref(struct block *b);
void block_unref(struct block *b);
/* Reads and checks one section into *out. */
enum status block_section_read(
    const struct block_dataset *bd, enum block_section section, struct buf *out, struct error *err);
/* Reads every byte of the file against its checksums, decodes everything. */
enum status block_verify(const struct block *b, struct error *err);

/* block_load.c: bytes to a dataset nobody else sees yet. */
enum status block_load(const struct block_dataset *bd, enum block_view view,
    struct dataset **ret_ds, struct error *err);

/* cache.c: loaded parts, bounded in bytes, the least recently used go first. Parts in use stay. */
struct block_cache {
    struct mutex lock;
    size_t bytes, bytes_max;
    struct block_part *newest, *oldest;
};
void block_cache_init(struct block_cache *c, size_t bytes_max);
void block_cache_done(struct block_cache *c); /* nothing is in use any more */
/* ST_DATA_LOSS: damaged or unreadable, logged once, set aside. What the disk could not read is
 * tried again after BLOCK_RETRY_NS. */
#define BLOCK_RETRY_NS (10 * NS_PER_S)
enum status block_cache_acquire(struct block_cache *c, struct block_dataset *bd,
    enum block_view view, struct block_part **ret_part, struct error *err);
void block_cache_release(struct block_cache *c, struct block_part *bp);
/* Forgets what is loaded of a block that is not in use. */
void block_cache_forget(struct block_cache *c, struct block *b);

/* marker.c: epochs/<n>.done, what became of an epoch, or what a merge made of which blocks. Text,
 * with a check over everything before. */
struct marker_entry {
    struct str path; /* below blocks/ */
    uint64_t bytes, check;
    bool retired; /* removed by retention or compaction; the file may still be there */
};
struct marker {
    uint64_t epoch;
    uint64_t next_seq; /* uploads up to here have their numbers */
    struct marker_entry *entries;
    uint32_t n;
    struct str
        *replaces; /* paths: the sources of a merge, superfluous from now on; of a cut: none */
    uint32_t n_replaces;
};
enum status marker_write(const struct block_target *to, const struct marker *m, struct error *err);
enum status marker_read(const struct block_target *to, uint64_t epoch, struct arena *arena,
    struct marker *ret_marker, struct error *err);
int marker_remove(const struct block_target *to, uint64_t epoch);
void marker_name(char out[32], uint64_t epoch); /* "0000000000000005.done" */
bool marker_name_parse(const char *name, uint64_t *ret_epoch);

#endif
