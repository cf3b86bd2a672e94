/* Private to store: blocks, the immutable files. Every byte: docs/formats/block.md.
 *
 * A block holds what one epoch has of one tenant and one UTC hour of profile time. Its directory is
 * read at start and kept; the data of a dataset is read when a query wants it, in two steps: labels
 * (strings, series, rows) and stacks (functions, locations, nodes, samples), both cached. */
#ifndef STORE_BLOCK_INT_H
#define STORE_BLOCK_INT_H

#include "base/fs.h"
#include "model/rollup.h"
#include "store/epoch_int.h"

enum { BLOCK_HEAD_BYTES = 64, BLOCK_FOOT_BYTES = 32, BLOCK_PATH_MAX = 512 };
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
/* Whether a block that begins there has digests, of the blocks of its level that begin in
 * [*ret_from_ns, start_ns): one day of the week does, of the seven before it. */
bool block_digest_range(enum block_level level, int64_t start_ns, int64_t *ret_from_ns);

/* What a section holds; the numbers are the file's. A reader skips kinds that it does not know. */
enum block_kind {
    BLOCK_STRINGS,
    BLOCK_SERIES,
    BLOCK_ROWS,    /* of one slot */
    BLOCK_SYMBOLS, /* functions, mappings, locations */
    BLOCK_NODES,
    BLOCK_SAMPLES,   /* of one slot */
    BLOCK_SEEN,      /* per series: the types with a total above 0 */
    BLOCK_TIMELINE,  /* of a type: times, how many rows, their totals */
    BLOCK_NAMES,     /* that trees and function tables use; in chunks */
    BLOCK_TREE,      /* of a type and some slots; in chunks */
    BLOCK_FUNCTIONS, /* of a type and some slots */
    BLOCK_STACKED,   /* samples of a slot, stack by stack */
    BLOCK_DIGEST,    /* which datasets of earlier blocks the next two sum up */
    BLOCK_DIGEST_TREE,
    BLOCK_DIGEST_FUNCTIONS,
    BLOCK_KINDS
};
extern const char *const block_kind_names[BLOCK_KINDS];
/* In chunks: a table of chunks, which the section's check is of, then the chunks (chunks.c). */
enum block_codec { BLOCK_PLAIN, BLOCK_ZSTD, BLOCK_CHUNKS };

/* The table of functions of a tree is the next section, and has the next kind. */
_Static_assert(BLOCK_FUNCTIONS == BLOCK_TREE + 1 && BLOCK_DIGEST_FUNCTIONS == BLOCK_DIGEST_TREE + 1,
    "a tree comes with its table");

struct block_section {
    uint32_t kind;
    uint32_t type, slot, n_slots; /* what it is about, where the kind says so */
    enum block_codec codec;
    uint64_t offset, stored_bytes, check;
    uint64_t raw_bytes; /* in chunks: the bytes of the table */
};

struct block;
struct block_dataset;

/* What is loaded of a dataset; `users` and the list belong to the cache (cache.c).
 *
 *     LABELS   strings, series            STACKS   the same, functions, locations, nodes
 *     ROWS     a slot's rows over LABELS  SAMPLES  a slot's rows with samples over STACKS
 *     CHUNKS   a section in chunks, of which some are loaded
 */
enum block_form {
    BLOCK_LABELS_FORM,
    BLOCK_STACKS_FORM,
    BLOCK_ROWS_FORM,
    BLOCK_SAMPLES_FORM,
    BLOCK_CHUNKS_FORM
};
struct block_unit {
    struct block_dataset *of;
    uint8_t form;            /* enum block_form */
    uint32_t index;          /* of the slot or section */
    void *loaded;            /* NULL: not; a dataset, block_rows or block_chunks */
    struct block_unit *base; /* of a slot that is loaded: what it stands on, in use */
    size_t bytes;            /* as accounted */
    uint32_t users;
    struct block_unit *newer, *older; /* in the cache's order of use */
};

/* A slot's rows: a part that borrows the symbols and series of the one it stands on. */
struct block_rows {
    struct part part;
    struct buf samples, stacked;
    struct arena memory; /* of the groups */
    struct {
        struct part_group *v;
        uint32_t n, cap;
    } groups;
    size_t bytes;
};

/* A section in chunks: each is read when it is asked for, and then stays until the whole goes. */
struct block_chunk {
    uint64_t offset, stored_bytes, check;
    uint32_t raw_bytes;
    enum block_codec codec;
    _Atomic(char *) bytes;
    _Atomic(uint32_t *) numbers; /* of names: in the pool */
};
struct block_chunks {
    const struct block_dataset *of;
    const struct block_section *section;
    struct arena memory;
    struct rollup_head tree; /* one of the two, by the kind of the section */
    struct rollup_names_head names;
    struct mutex lock; /* one thread reads a chunk, the others wait */
    struct block_chunk *v;
    uint32_t n;
    _Atomic size_t bytes; /* of chunks that are loaded */
};

/* Every hour of a block that has rows is a slot, in the order of time. */
struct block_dataset {
    struct block *block;
    struct str service;
    int64_t time_min, time_max;
    uint64_t n_rows, n_series, n_samples;
    struct part_slot *slots;
    struct part_rollups rollups;
    const uint32_t *type_names;     /* per type: of the block's; NULL where the file has none */
    struct block_section *sections; /* as in the file */
    uint32_t n_slots, n_sections;
    struct mutex lock;        /* one thread loads, the others wait for it */
    struct block_unit *units; /* LABELS, STACKS, per slot ROWS and SAMPLES, per section CHUNKS */
    /* Set aside: not read again before this monotonic time. 0: fine; INT64_MAX: damaged. */
    _Atomic int64_t aside_until_ns;
};

enum { UNIT_LABELS, UNIT_STACKS, UNITS_FIXED };
static inline struct block_unit *block_unit_rows(struct block_dataset *bd, uint32_t slot)
{
    return &bd->units[UNITS_FIXED + 2 * slot];
}
static inline struct block_unit *block_unit_samples(struct block_dataset *bd, uint32_t slot)
{
    return &bd->units[UNITS_FIXED + 2 * slot + 1];
}
static inline struct block_unit *block_unit_chunks(struct block_dataset *bd, uint32_t section)
{
    return &bd->units[UNITS_FIXED + 2 * bd->n_slots + section];
}
static inline uint32_t block_n_units(const struct block_dataset *bd)
{
    return UNITS_FIXED + 2 * bd->n_slots + bd->n_sections;
}
/* block_directory.c. NULL: it has none. */
const struct block_section *block_section(
    const struct block_dataset *bd, enum block_kind kind, uint32_t type, uint32_t slot);

struct block {
    _Atomic uint32_t refs;
    struct fs *fs;
    char dir[2048];            /* of the store's blocks */
    char path[BLOCK_PATH_MAX]; /* below dir: tenant/1h/2026-11-24/ULID.efb */
    uint8_t store_id[16];
    uint64_t epoch; /* or the number of the merge that made it */
    enum block_level level;
    int64_t start_ns, time_min, time_max;
    uint64_t seq_max; /* the highest number of an upload in it */
    uint64_t file_bytes;
    struct str tenant;
    struct str *sources; /* paths of the blocks that it was merged from; of an epoch: none */
    uint32_t n_sources;
    struct str *type_names; /* name:type:unit:period type:period unit; before version 3 none */
    uint32_t n_type_names;
    struct block_dataset *datasets;
    uint32_t n_datasets;
    struct arena memory; /* of the directory */
    uint64_t check;      /* of the directory, as the marker names it */
    atomic_bool retired; /* the last reference removes the file */
};

/* block_write.c, block_put.c, block_rollup.c: the rows of `hour_ns` below the published marks, of
 * every dataset of the tenant, as one file, synced, its folder too. No row: ret->bytes 0, no file.
 */
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
/* The same name for the same content: store, epoch, tenant, level and start. */
bool block_path(const struct block_target *to, uint64_t epoch, struct str tenant,
    enum block_level level, int64_t start_ns, char out[BLOCK_PATH_MAX]);

/* How long work gives way to others: called between its pieces, it may sleep, or fail, which ends
 * the work. fn is NULL where nobody has to wait. */
struct block_pause {
    enum status (*fn)(void *ctx, struct error *err);
    void *ctx;
};
static inline enum status block_pause(const struct block_pause *p, struct error *err)
{
    return p->fn ? p->fn(p->ctx, err) : ST_OK;
}

/* Copies into `to`, from row *at on, the rows of the hour with what they refer to, at least one and
 * until their samples have `bytes` bytes; *at becomes the first row that was not looked at. */
enum status block_copy_rows(const struct part *from, int64_t hour_ns, uint32_t *at, size_t bytes,
    const struct block_pause *pause, struct dataset *to, struct error *err);

/* block_merge.c: blocks of one tenant, whose rows all lie in the range, as one block that names
 * them as its sources; one dataset after the other, each in at most `memory` bytes (0 = a default),
 * so that what it takes does not grow with the blocks. Every read is verified. Nothing is locked.
 * Between two pauses are milliseconds, where a large tree is made some hundred; when one fails no
 * file is left. */
struct block_merge {
    const struct block_target *to;
    struct block *const *sources; /* referenced by the caller */
    uint32_t n_sources;
    enum block_level level;
    int64_t start_ns;
    uint64_t epoch; /* a new number, of this merge alone */
    size_t memory;
    /* What a block that is the host of a digest sums up beside its rows (digest_put.c): referenced
     * by the caller as well. */
    struct block *const *digested;
    uint32_t n_digested;
    struct block_pause pause;
};
enum status block_merge(
    const struct block_merge *m, struct block_file *ret_file, struct error *err);

/* Fills what of the block the directory says; `at` is where it begins. ST_DATA_LOSS: it is no
 * directory (err is untouched). */
enum status block_directory_parse(
    struct block *b, uint8_t version, struct str bytes, uint64_t at, struct error *err);

/* block_read.c: head, foot and directory; everything checked. ST_DATA_LOSS also when the file is
 * not there or cannot be read (os_errno says why): then it may be readable again. */
enum status block_open(
    struct fs *fs, const char *dir, const char *path, struct block **ret_block, struct error *err);
struct block *block_ref(struct block *b);
void block_unref(struct block *b);
/* Reads and checks one section, not in chunks, into *out. */
enum status block_section_read(const struct block_dataset *bd, const struct block_section *s,
    struct buf *out, struct error *err);
/* Bytes of the file, checked and inflated, into *out. */
struct block_range {
    uint64_t offset, stored_bytes, raw_bytes, check;
    enum block_codec codec;
};
enum status block_range_read(const struct block_dataset *bd, const struct block_range *r,
    const char *what, struct buf *out, struct error *err);
/* block_verify.c: reads every byte of the file against its checksums, decodes everything. */
enum status block_verify(const struct block *b, struct error *err);

/* block_load.c: bytes to what nobody else sees yet. */
enum status block_load(
    const struct block_dataset *bd, bool stacks, struct dataset **ret_ds, struct error *err);
enum block_samples {
    BLOCK_NO_SAMPLES,
    BLOCK_GROUPED, /* as the block has them: by row or in groups */
    BLOCK_BY_ROW,
};
enum status block_load_rows(const struct block_dataset *bd, uint32_t slot, enum block_samples what,
    const struct part *base, struct block_rows **ret_rows, struct error *err);
void block_rows_free(struct block_rows *rows);
/* block_stacked.c: the groups of a slot, where it has any; grouped[i] is set for the rows in them.
 * Then, if at all: each of these rows gets bytes of its own in rows->samples, and there are no
 * groups any more. ST_DATA_LOSS without words. */
enum status block_load_groups(const struct block_dataset *bd, uint32_t slot,
    struct block_rows *rows, uint8_t *grouped, struct error *err);
enum status block_unstack(struct block_rows *rows, struct error *err);

/* block_chunks.c */
enum status block_chunks_open(const struct block_dataset *bd, const struct block_section *s,
    struct block_chunks **ret_chunks, struct error *err);
void block_chunks_free(struct block_chunks *c);
/* The bytes of a chunk, there until the chunks are freed. Any thread. */
enum status block_chunk_get(
    struct block_chunks *c, uint32_t i, struct str *ret_bytes, struct error *err);
/* Of a chunk of names: their numbers in the pool, as long. NULL: damaged, or no memory. Any thread.
 */
struct name_pool;
const uint32_t *block_chunk_numbers(struct block_chunks *c, uint32_t i, struct name_pool *pool);

/* cache.c: what is loaded, bounded in bytes, the least recently used goes first. Units in use stay.
 */
struct block_cache {
    struct mutex lock;
    size_t bytes, bytes_max;
    struct block_unit *newest, *oldest;
};
void block_cache_init(struct block_cache *c, size_t bytes_max);
void block_cache_done(struct block_cache *c); /* nothing is in use any more */
/* ST_DATA_LOSS: damaged or unreadable, logged once, set aside. What the disk could not read is
 * tried again after BLOCK_RETRY_NS. */
#define BLOCK_RETRY_NS (10 * NS_PER_S)
enum status block_cache_acquire(struct block_cache *c, struct block_unit *u, struct error *err);
void block_cache_release(struct block_cache *c, struct block_unit *u);
/* Forgets what is loaded of a block that is not in use. */
void block_cache_forget(struct block_cache *c, struct block *b);
/* The part of a unit of any form but CHUNKS. */
struct part *block_unit_part(const struct block_unit *u);

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
