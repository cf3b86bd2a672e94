/* The storage engine: uploads in, durable; parts out, immutable. One per process and directory.
 *
 * store_append interns, enqueues one log frame and returns; `done` is called exactly once, later
 * and from the committer's thread, when the frame is durable and visible (ST_OK), or certain never
 * to be (ST_UNAVAILABLE: nothing stored, retry), or when that cannot be known (ST_DATA_LOSS: close
 * the connection without an answer). See ARCHITECTURE.md, docs/formats/wal.md. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/fs.h"
#include "codec/profile.h"
#include "store/part.h"

struct store;

struct store_config {
    const char *dir;            /* created with mode 0700 when absent */
    struct fs *fs;              /* &fs_real, or a simulator */
    uint64_t head_bytes_max;    /* both epochs together; default 1/4 of memory */
    uint64_t segment_bytes_max; /* of one log file */
    uint64_t queue_bytes_max;   /* frames that wait for the disk */
    int64_t log_retry_ns;       /* pause between tries to begin a new log; 0 = one second */
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

/* All rows or none. A status other than ST_OK: nothing was enqueued, `done` will not be called
 * (ST_RESOURCE_EXHAUSTED: a limit, named; ST_UNAVAILABLE: the log is down or its queue full). */
enum status store_append(struct store *s, struct str tenant, const struct store_row *rows,
    uint32_t n_rows, store_done_fn done, void *ctx, struct error *err);

/* Begins a new epoch: what comes from now on goes into a new log. */
void store_seal(struct store *s);

/* False when uploads would be refused; *ret_why says why (static text or errno text). */
bool store_writable(struct store *s, struct str *ret_why, struct arena *arena);

/* An immutable set of parts; release it when the query ends. */
struct store_view {
    struct part **parts;
    uint32_t n;
};
/* Parts of the tenant that may hold rows with from <= time < until (ns). */
const struct store_view *store_view_acquire(
    struct store *s, struct str tenant, int64_t from_ns, int64_t until_ns);
void store_view_release(struct store *s, const struct store_view *v);

/* Calls fn for every tenant known to the store, in no order. */
void store_tenants(struct store *s, void (*fn)(void *ctx, struct str tenant), void *ctx);

/* UUID text (36 characters) of the profile that upload `seq` made, and back. */
void store_profile_id(struct store *s, uint64_t seq, char out[37]);

#endif
