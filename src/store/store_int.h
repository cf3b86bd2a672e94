/* Private to store: the store itself and the commit queue.
 *
 * Lock order: gate, epoch.lock, dataset locks (by id), queue, view. The gate is held shared by
 * every append from the look-up of its epoch to its place in the queue, and closed for a switch of
 * epochs: so all frames of an epoch are queued before the first of the next. */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include "store/block_int.h"
#include "store/epoch_int.h"
#include "store/name_pool_int.h"
#include "store/store.h"
#include "store/wal_int.h"

/* A block that is gone and whose marker does not say so yet. */
struct unmarked {
    uint64_t epoch;
    char path[BLOCK_PATH_MAX];
};

/* A block that a marker lists and that cannot be served, until everything in it is too old. */
struct broken {
    uint64_t epoch;
    int64_t until_ns; /* the end of its date */
    char path[BLOCK_PATH_MAX];
};
static inline struct str broken_tenant(const struct broken *b)
{
    return str_head(str_from(b->path), str_find_char(str_from(b->path), '/'));
}

/* A block that left the view; its file goes with its last user. */
struct leaving {
    uint64_t bytes;
    char path[BLOCK_PATH_MAX];
};

/* What a frame makes visible once it is durable. */
struct commit_section {
    struct dataset *ds;
    struct marks to;
};

/* A frame on its way to the disk. `frame` is empty for a barrier: done is called in its turn. */
struct commit_item {
    struct commit_item *next;
    struct epoch *epoch; /* a reference */
    struct buf frame;
    store_done_fn done;
    void *ctx;
    uint32_t n_rows;
    uint64_t n_samples;
    uint32_t n_sections;
    struct commit_section sections[];
};

struct store {
    struct store_config cfg;
    struct fs *fs;
    char dir[2048];
    struct fs_file *lock_file;
    uint8_t id[16];
    uint64_t *done_epochs; /* sorted; of recover.c */
    uint32_t n_done_epochs;
    uint64_t newest_cut; /* the highest of them that is not of a merge */

    struct gate gate;    /* guards the two below */
    struct epoch *epoch; /* takes new data; a reference */
    bool writable;
    char why_not[256];
    _Atomic uint64_t next_seq;
    _Atomic uint64_t next_epoch;

    struct mutex queue_lock;
    struct cond queue_wake;
    struct commit_item *queue_head, **queue_tail;
    size_t queue_bytes;
    bool stopping;

    struct wal wal;                          /* the committer's */
    uint64_t replayed_epoch, replayed_batch; /* the last of the log at start */
    pthread_t committer;

    struct mutex view_lock; /* guards what is served: the two sets below, swapped together */
    struct epoch **epochs;  /* references, oldest first */
    uint32_t n_epochs, cap_epochs;
    struct block **blocks; /* references */
    uint32_t n_blocks, cap_blocks;

    _Atomic uint32_t views; /* that queries hold now */
    struct block_target target;
    struct block_cache cache;
    struct name_pool names;

    struct mutex
        cut_lock; /* one cut, retention or swap of a merge at a time; guards to n_merging */
    bool sweep;   /* there may be markers that name nothing any more */
    struct unmarked *unmarked;
    uint32_t n_unmarked;
    struct broken *broken;
    uint32_t n_broken;
    struct leaving *leaving;
    uint32_t n_leaving;
    struct compaction *compaction; /* compact_int.h */
    struct block *const *merging;  /* sources of the merge at work: retention leaves them alone */
    uint32_t n_merging;
    pthread_t maintainer;
    bool maintaining;
    struct mutex wake_lock;
    struct cond wake;
    bool stop_now;
    atomic_bool tenant_half; /* a tenant has half of its share of the head: cut soon */
    int64_t cut_hour;        /* of the wall clock, the last one that was cut for */

    struct usage_shown *usage_shown; /* the maintainer's: of usage_gauges.c */

    struct mutex hours_lock; /* guards tenant_use.hours against writers, and what is below */
    struct waiting *waiting_head, **waiting_tail; /* uploads that wait for a cut */
    uint32_t n_waiting;
    bool hours_closed;      /* nobody waits: there is no maintainer (any more) */
    atomic_bool hours_full; /* cut now */
};

/* commit.c */
enum status commit_start(struct store *s, struct error *err);
void commit_stop(struct store *s); /* drains first */
/* False when the queue is full (nothing taken). */
bool commit_enqueue(struct store *s, struct commit_item *item);
/* Opens the log of a new epoch that follows `previous`; 0 or errno. The committer, or store_open.
 */
int commit_log_begin(struct store *s, struct epoch *ep, uint64_t previous, uint64_t previous_batch);
/* A new, empty epoch takes over as the one that takes data; the gate is closed meanwhile. With
 * why_not, uploads are refused from then on. Any thread that holds no lock. */
struct epoch *commit_switch(struct store *s, const char *why_not); /* a reference */

/* replay.c: every epoch of the log directory, into s->epochs; sets next_seq and next_epoch. */
enum status replay_all(
    struct store *s, uint64_t *ret_last_epoch, uint64_t *ret_last_batch, struct error *err);

/* recover.c: markers and block files at start, before replay. Epochs with a valid marker are in
 * s->done_epochs: their logs are removed instead of replayed. */
enum status recover_markers(struct store *s, struct error *err);
bool recover_is_done(const struct store *s, uint64_t epoch);
/* After replay: serves the blocks that markers list, checks and reports the others. */
enum status recover_blocks(struct store *s, struct error *err);

/* cut.c */
/* Turns every sealed epoch into blocks, oldest first. The caller sealed what it wants cut. */
enum status cut_sealed(struct store *s, const char *reason, struct error *err);
/* Waits until everything queued so far is on the disk or refused. */
void cut_barrier(struct store *s, struct epoch *ep);
void store_blocks_add_locked(struct store *s, struct block *b); /* takes the reference */
int cut_drop_log(struct store *s, const struct epoch *ep);

/* retire.c: blocks leave the view and the disk. Under cut_lock. */
/* Its marker says it is gone, or will (full disk); then it goes. On failure it stays. */
enum status retire_block(struct store *s, struct block *b, const char *reason, struct error *err);
/* These leave, `in` (a reference, or NULL) comes, in one step. The caller has references. */
void retire_out_of_view(struct store *s, struct block *const *blocks, uint32_t n, struct block *in);
/* The file goes with its last user, and its folders when nothing else is in them. */
void retire_leaving(struct store *s, struct str path, uint64_t bytes);
/* A block is gone, or will be, and the marker of its epoch does not call it retired yet. */
void retire_remember(struct store *s, uint64_t epoch, struct str path);
/* Writes all such markers. */
enum status retire_settle(struct store *s, struct error *err);
/* Removes folders of which nothing is left. Returns the bytes of files that are still held. */
uint64_t retire_tidy(struct store *s);
/* Removes markers that name nothing any more. Nothing is unsettled. */
void retire_sweep(struct store *s);

/* maintain.c: the thread that cuts and expires. */
enum status maintain_start(struct store *s, struct error *err);
void maintain_stop(struct store *s);

/* usage_gauges.c: adds up what is stored, for /metrics. The maintainer. */
void usage_gauges(struct store *s);

/* datadir.c */
/* The store's id of dir/FORMAT; ST_NOT_FOUND when there is no such file. */
enum status datadir_format(struct fs *fs, const char *dir, uint8_t ret_id[16], struct error *err);
enum status datadir_open(struct store *s, struct error *err);
void datadir_close(struct store *s);
/* Moves a file into quarantine/, where nothing reads it; errors are logged. `below`: its path below
 * the data directory. */
void datadir_quarantine(struct store *s, const char *below);
/* The entries of a folder; 0 (none) when there is no such folder, or errno. */
struct dir_names {
    struct arena arena;
    struct {
        struct str *v;
        uint32_t n, cap;
    } files, folders;
};
int dir_names_get(const struct block_target *to, const char *below, struct dir_names *ret_names);
void dir_names_done(struct dir_names *n);

void store_epochs_add(struct store *s, struct epoch *ep); /* takes the reference */
void store_epochs_add_locked(struct store *s, struct epoch *ep);
/* References to the epochs in memory, oldest first; NULL and none when the arena is full. */
struct epoch **store_epochs_hold(struct store *s, struct arena *arena, uint32_t *ret_n);
void store_epochs_release(struct epoch **v, uint32_t n);
size_t store_head_bytes(struct store *s);

/* quota.c */
struct quota {
    struct store *s;
    struct str tenant;
    struct store_quota limit;
    struct arena *arena; /* scratch */
    struct tenant_use *use;
    uint32_t series_coming; /* that this append reserved in `use` */
    size_t head_bytes;      /* of the tenant, before the append */
    enum store_refused refused;
    int64_t *fresh, *others; /* hours: to be opened; open in other epochs. Of hours.c */
    uint32_t n_fresh, n_others;
    bool hours_full;
    struct error *err;
};
/* No lock but the gate is held. Before datasets are made: fails when the new ones would be too
 * many, or when their series would. */
enum status quota_admit(struct quota *q, const struct store_row *rows, uint32_t n_rows);
/* The dataset of a service, made if it is new; fails when there are too many. */
enum status quota_dataset(struct quota *q, struct str service, struct dataset **ret_ds);
/* With the locks of all datasets held. `bytes`: the most the append may add. */
enum status quota_reserve(struct quota *q, const struct store_row *rows, uint32_t n_rows,
    struct dataset *(*dataset_of)(const void *ctx, const struct store_row *row), const void *ctx,
    size_t bytes);
void quota_release(struct quota *q); /* the append is over */

/* hours.c */
/* The gate is held. Fails when the upload alone has too many hours. */
enum status hours_admit(struct quota *q, const struct store_row *rows, uint32_t n_rows);
/* The last step of the reservation. ST_UNAVAILABLE with q->hours_full: a cut must come first. */
enum status hours_open(struct quota *q);
/* After the gate is left: the upload waits for a cut, and ends by `done`. False: it does not. */
bool hours_wait(struct store *s, struct str tenant, const struct store_quota *quota,
    const struct store_row *rows, uint32_t n_rows, store_done_fn done, void *ctx);
/* Appends what waits, again. `last`: nobody waits any more. */
void hours_retry(struct store *s, bool last);

/* append.c */
enum { FRAME_BYTES_MAX = 48 << 20, NAME_POOL_BYTES = 32 << 20 };
/* store_append_within without waiting. *ret_hours_full is set when a cut must come first. */
enum status append_once(struct store *s, struct str tenant, const struct store_quota *quota,
    const struct store_row *rows, uint32_t n_rows, store_done_fn done, void *ctx,
    enum store_refused *ret_refused, bool *ret_hours_full, struct error *err);

#endif
