/* The storage engine: uploads in, durable; parts out, immutable. One per process and directory.
 *
 * store_append interns, enqueues one log frame and returns; `done` is called exactly once, later
 * and from the committer's thread, when the frame is durable and visible (ST_OK), or certain never
 * to be (ST_UNAVAILABLE: nothing stored, retry), or when that cannot be known (ST_DATA_LOSS: close
 * the connection without an answer). The tenant's name and the rows, with all they refer to, live
 * until then: an upload that opens one hour too many waits for a cut and is interned afterwards.
 * See ARCHITECTURE.md, docs/formats/wal.md. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/fs.h"
#include "codec/profile.h"
#include "model/function_table.h"
#include "store/part.h"

struct store;

/* What a tenant's blocks may be; 0 = no bound. */
struct store_keep {
    int64_t age_ns;
    uint64_t bytes;
};

struct store_config {
    const char *dir;                 /* created with mode 0700 when absent */
    struct fs *fs;                   /* &fs_real, or a simulator */
    uint64_t head_bytes_max;         /* both epochs together; default 1/4 of memory */
    uint64_t segment_bytes_max;      /* of one log file */
    uint64_t queue_bytes_max;        /* frames that wait for the disk */
    uint64_t cache_bytes_max;        /* decoded parts of blocks; 0 = 1/16 of head_bytes_max */
    int64_t retention_ns;            /* blocks older than this are removed; 0 = never */
    uint64_t retention_bytes;        /* most bytes of blocks, of all tenants; 0 = no bound */
    uint32_t retention_disk_percent; /* of the file system in use by anybody; 0 = no bound */
    /* What a tenant may keep, instead of retention_ns. NULL: the same for all. Called from any
     * thread, no lock is held, while the store is open. */
    void (*keep)(void *ctx, struct str tenant, struct store_keep *ret_keep);
    void *keep_ctx;
    bool no_maintenance;  /* tests: no thread; store_cut and store_expire do the work */
    bool no_compaction;   /* blocks stay as they were cut */
    bool cut_on_close;    /* everything is in blocks when store_close returns */
    uint32_t tenants_max; /* that write between two cuts; 0 = no bound */
    int64_t log_retry_ns; /* pause between tries to begin a new log; 0 = one second */
};

/* Replays the log. Errors name the path and what to do (locked by another process, not writable,
 * newer format). */
enum status store_open(const struct store_config *cfg, struct store **ret_store, struct error *err);
/* Waits for the queue to drain, then closes. NULL is fine. */
void store_close(struct store *s);

/* One row to be: a label set and the samples of a profile that belong to it. */
struct store_row {
    struct labels labels;       /* as part_series.labels */
    const struct profile *prof; /* time_ns is set */
    const uint32_t *samples;    /* indexes into prof->samples; NULL = all */
    uint32_t n_samples;
};

typedef void (*store_done_fn)(void *ctx, enum status st, const struct error *err);

/* Why an append was refused, for those who count; STORE_REFUSED_OTHER: none of these. */
enum store_refused {
    STORE_REFUSED_OTHER,
    STORE_REFUSED_TENANTS,
    STORE_REFUSED_SERVICES,
    STORE_REFUSED_SERIES,
    STORE_REFUSED_HEAD,
};

/* What a tenant may have; 0 = no bound. Active is what was written since the last cut (at least
 * once an hour): services and series are counted in the epoch that takes data, bytes in all that
 * are in memory. */
struct store_quota {
    uint64_t services_max, series_max, head_bytes_max;
};

/* All rows or none. A status other than ST_OK: nothing was enqueued, `done` will not be called
 * (ST_RESOURCE_EXHAUSTED: a limit, named; ST_UNAVAILABLE: the log is down or its queue full). */
enum status store_append(struct store *s, struct str tenant, const struct store_row *rows,
    uint32_t n_rows, store_done_fn done, void *ctx, struct error *err);

/* The same within a tenant's quota: ST_RESOURCE_EXHAUSTED names the limit, the value now and the
 * setting. Series and services that exist are never refused. */
enum status store_append_within(struct store *s, struct str tenant, const struct store_quota *quota,
    const struct store_row *rows, uint32_t n_rows, store_done_fn done, void *ctx,
    enum store_refused *ret_refused, struct error *err);

/* Begins a new epoch: what comes from now on goes into a new log. */
void store_seal(struct store *s);
/* Seals, waits for the disk, and turns everything sealed into blocks. `reason` is for metrics. */
enum status store_cut(struct store *s, const char *reason, struct error *err);
/* Retention, now. */
enum status store_expire(struct store *s, int64_t now_ns, struct error *err);

/* Merges small blocks into large ones until there is nothing to merge; with `force` everything of a
 * tenant and UTC day into one block, whatever its age and size. `done` (may be NULL) is told of
 * every merge. Beside the thread that does the same, one at a time. */
struct store_compacted {
    struct str tenant;
    const char *level; /* "24h" */
    int64_t start_ns;
    uint32_t n_sources;
    uint64_t bytes_in, bytes_out;
};
typedef void (*store_compacted_fn)(void *ctx, const struct store_compacted *job);
enum status store_compact(
    struct store *s, bool force, store_compacted_fn done, void *ctx, struct error *err);

/* False when uploads would be refused; *ret_why says why (static text or errno text). */
bool store_writable(struct store *s, struct str *ret_why, struct arena *arena);

/* An immutable set of parts; release it when the query ends. A part of the view has labels and
 * series, and says which slots of rows there are; whoever wants stacks enters the part, whoever
 * wants rows enters a slot. Of the head all of these are the same part. */
struct store_view {
    const struct part **parts;
    uint32_t n;
};
/* Which parts: those of the tenant that may hold rows with from <= time < until (ns), of one
 * service where `service` is not empty. Damaged blocks are left out (logged, counted). */
enum status store_view_acquire(struct store *s, struct str tenant, struct str service,
    int64_t from_ns, int64_t until_ns, const struct store_view **ret_view, struct error *err);
void store_view_release(struct store *s, const struct store_view *v);
/* The times of the first and the last row of a tenant, without reading any; oldest > newest when
 * there is none. */
void store_bounds(
    struct store *s, struct str tenant, int64_t *ret_oldest_ns, int64_t *ret_newest_ns);

/* Everything below: `part` is one of a view. What is given has the same series by the same indexes.
 * NULL with ST_OK: damaged, left out. Leave what was entered with what was given. */

/* Symbols and stacks. */
enum status store_part_enter(
    struct store *s, const struct part *part, const struct part **ret_part, struct error *err);
/* How many slots there are; at least one. */
static inline uint32_t part_n_slots(const struct part *p)
{
    return p->slots ? p->n_slots : 1;
}
static inline struct part_slot part_slot(const struct part *p, uint32_t i)
{
    if (p->slots)
        return p->slots[i];
    return (struct part_slot){atomic_load_explicit(&p->time_min, memory_order_relaxed),
        atomic_load_explicit(&p->time_max, memory_order_relaxed), part_rows(p), 0};
}
/* The rows of a slot: times and totals, or with samples, by row or in groups, whose nodes are those
 * of the part that store_part_enter gives. */
enum store_rows { STORE_TOTALS, STORE_SAMPLES };
enum status store_slot_enter(struct store *s, const struct part *part, uint32_t slot,
    enum store_rows what, const struct part **ret_rows, struct error *err);
void store_part_leave(struct store *s, const struct part *part);

/* Roll-ups of part->rollups. A tree with the names that it refers to; readers take their scratch
 * from the arena. It ends with store_tree_leave, before the arena does. */
struct store_tree {
    struct rollup_reader tree;
    struct rollup_names_reader names;
    struct name_pool *pool;
    void *origin[2];
};
enum status store_tree_enter(struct store *s, const struct part *part, const struct part_tree *tree,
    struct arena *arena, struct store_tree **ret_tree, struct error *err);
void store_tree_leave(struct store *s, struct store_tree *tree);
/* The function table that belongs to a tree, by the ids of its names. */
enum status store_functions(struct store *s, const struct part *part, const struct part_tree *tree,
    struct arena *arena, struct function_table *ret_table, struct error *err);
/* Which datasets the digests of a part sum up: all that the block with this number (part->epoch)
 * has of the same tenant and service. They tell what these do only as long as the view has as many
 * parts of each. Digest trees are entered like others. *ret_n is 0 where there are none. */
struct store_digested {
    uint64_t epoch;
    uint32_t n_datasets;
};
enum status store_digest(struct store *s, const struct part *part, struct arena *arena,
    struct store_digested **ret_v, uint32_t *ret_n, struct error *err);
/* When there was how much of a type, over all series; every time once, rising. n is 0 where there
 * is none. */
struct store_timeline {
    uint32_t n;
    int64_t *times, *totals;
    uint32_t *rows; /* at that time, with a value */
};
enum status store_timeline(struct store *s, const struct part *part, uint32_t type,
    struct arena *arena, struct store_timeline *ret_timeline, struct error *err);

/* UUID text (36 characters) of the profile that upload `seq` made, and back. */
void store_profile_id(struct store *s, uint64_t seq, char out[37]);

#endif
