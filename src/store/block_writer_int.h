/* Private to store: a block while it is being written. One thread. */
#ifndef STORE_BLOCK_WRITER_INT_H
#define STORE_BLOCK_WRITER_INT_H

#include <zstd.h>

#include "store/block_int.h"

struct block_writer {
    const struct block_target *to;
    struct fs_file *file;
    uint64_t at; /* where the next bytes go */
    enum block_level level;
    uint32_t group_samples; /* at most so many are written stack by stack together; 0: none are */
    struct buf raw, packed;
    struct buf sections;  /* entries of the dataset at hand */
    struct buf directory; /* entries of the datasets before it */
    struct arena type_names_arena;
    struct rollup_names type_names; /* of all datasets so far */
    struct arena names_arena;
    struct rollup_names names; /* of the trees and tables of the dataset at hand */
    ZSTD_CCtx *zstd;
    uint32_t n_sections, n_datasets;
    int64_t time_min, time_max;
    uint64_t seq_max;
    char tmp[4096], path[BLOCK_PATH_MAX];
    struct block_pause pause; /* of the work at hand; none unless it is set */
    struct error *err;
};

/* block_writer.c: the file. */
struct block_place {
    struct str tenant;
    enum block_level level;
    int64_t start_ns;
    uint64_t epoch;
};
/* Opens the file under tmp/ and writes its head. End it with finish, always. */
enum status block_writer_begin(struct block_writer *w, const struct block_target *to,
    const struct block_place *place, struct error *err);
/* With `st` ST_OK: directory, foot, sync, rename to its place, folder synced. Else, or without
 * datasets, removes it (ret_file->bytes 0). Frees the writer. */
enum status block_writer_finish(struct block_writer *w, enum status st, struct str tenant,
    const struct str *sources, uint32_t n_sources, struct block_file *ret_file);

/* What a section is about. */
struct block_about {
    enum block_kind kind;
    uint32_t type, slot, n_slots;
};
/* w->raw becomes a section: compressed where that saves at least an eighth. */
enum status block_put_section(struct block_writer *w, const struct block_about *about);
/* A section in chunks: of `stream`, cut by `chunks`, with the bytes of their head. */
enum status block_put_chunks(struct block_writer *w, const struct block_about *about,
    struct str head, struct str stream, const struct rollup_chunks *chunks);

/* The dataset at hand ends: what follows belongs to the next. */
void block_put_next(struct block_writer *w);

/* A tree, about->kind, and behind it the table of its functions; names go to w->names. Scratch in
 * the arena. ST_NOT_FOUND: it cannot be made. A tree without its table is not used by anybody. */
enum status block_put_tree(struct block_writer *w, struct arena *arena,
    const struct block_about *about, const struct nametree *t);

/* digest_put.c: the digest of a service, as the first sections of its next dataset. */
struct digest_rq {
    struct block *const *blocks;
    uint32_t n_blocks;
    size_t memory; /* at most, for a tree */
};
enum status block_put_digest(
    struct block_writer *w, struct str service, const struct digest_rq *rq);

/* block_put.c: the first n rows of a dataset, all in the writer's range, with roll-ups, behind what
 * was put before. Ends the dataset. */
enum status block_put_dataset(struct block_writer *w, const struct dataset *ds, uint32_t n);

/* Rows in the order of the file: by hour, series, time, arrival. */
struct row_key {
    int64_t hour_ns, time_ns;
    uint32_t series, row;
};
struct row_keys {
    struct row_key *v;
    uint32_t n;
    uint32_t *slots; /* where each begins, and n */
    uint32_t n_slots;
    uint8_t *stacked; /* 1: the row's samples are in the section of stacks */
};

/* rollup_put.c: the profile types of a part, their entries in the directory, and what is summed of
 * them beforehand. */
struct part_types {
    struct arena arena;
    uint32_t (*ids)[PART_TYPE_IDS];
    uint32_t n;
    uint32_t (*of)[SAMPLE_TYPES_MAX]; /* by series and type of it: index */
};
enum status part_types_find(const struct part *p, struct part_types *ret, struct error *err);
void part_types_done(struct part_types *t);
/* block_stacked.c: the slot's section of stacks, if it is to have one; marks the rows in it. */
enum status block_put_stacked(struct block_writer *w, const struct part *p,
    const struct row_keys *keys, const struct part_types *types, uint32_t slot);
enum status block_put_rollups(struct block_writer *w, const struct part *p,
    const struct row_keys *keys, const struct part_types *types);

#endif
