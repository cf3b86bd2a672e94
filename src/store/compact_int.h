/* Private to store: compaction. Small blocks become large ones; see compact.c and compact_plan.c.
 */
#ifndef STORE_COMPACT_INT_H
#define STORE_COMPACT_INT_H

#include "store/store_int.h"

enum {
    COMPACT_HOUR_BLOCKS = 8,    /* more of one hour are joined */
    COMPACT_SOURCES_MAX = 1024, /* of one job; what is over follows in the next */
    COMPACT_LATE_FRACTION = 4,  /* late data waits until it has a quarter of the large block */
};
#define COMPACT_GRACE_6H_NS (1800 * NS_PER_S)
#define COMPACT_GRACE_24H_NS (3600 * NS_PER_S)

/* What the plan looks at of a block. */
struct compact_block {
    struct str tenant;
    enum block_level level;
    int64_t start_ns;
    uint64_t bytes;
    uint64_t epoch;
    bool unfit; /* damaged, or at rest after a failure: never a source */
};

struct compact_rules {
    int64_t now_ns;
    uint64_t old_epoch; /* blocks up to this number are a day old, or were there at start */
    bool force;         /* every day of a tenant becomes one block, whatever its age or size */
};

/* Blocks of one tenant that become one block of `level`, which starts at `start_ns`. */
struct compact_job {
    enum block_level level;
    int64_t start_ns;
    uint32_t *sources; /* indexes of blocks */
    uint32_t n_sources;
};

/* compact_plan.c, pure: the next job, or false: there is none. Doing what it says until there is
 * none ends: each job makes the blocks fewer, or raises one to a larger level. */
bool compact_plan(const struct compact_block *blocks, uint32_t n, const struct compact_rules *rules,
    struct arena *arena, struct compact_job *ret_job);

/* A merge that failed after its file, or its marker, may have reached the disk. */
struct unfinished {
    uint64_t epoch;
    char path[BLOCK_PATH_MAX];
};

/* A block that is no source for now: it is damaged, or a merge with it failed. */
struct resting {
    int64_t until_mono_ns;
    char path[BLOCK_PATH_MAX];
};

struct compaction {
    struct mutex lock; /* one merge at a time; held over it. Guards what follows */
    struct resting *resting;
    uint32_t n_resting;
    uint64_t old_epoch; /* as in compact_rules */
    bool told_space;
    uint64_t backlog_bytes; /* of blocks that are not of a day yet */
    size_t merge_bytes;     /* block_merge.memory; a part of what the head may have */

    struct unfinished *unfinished; /* cut_lock */
    uint32_t n_unfinished;

    pthread_t thread;
    bool running;
};

struct compact_caller {
    struct block_pause pause;
    store_compacted_fn done; /* may be NULL */
    void *done_ctx;
};

/* compact.c */
void compact_init(struct store *s);
void compact_done(struct store *s);
/* The next job, if there is one and room for it: *ret_any. c->lock is held. */
enum status compact_next(struct store *s, const struct compact_rules *rules,
    const struct compact_caller *caller, bool *ret_any, struct error *err);
/* Both under cut_lock. Removes what is unfinished, durably; fails as long as that is not certain:
 * then nothing may be merged or retired, because a marker that nobody counts with may be there. */
void compact_note_unfinished(struct store *s, uint64_t epoch, const char *path);
enum status compact_undo(struct store *s, struct error *err);

/* compactor.c: the thread. */
enum status compactor_start(struct store *s, struct error *err);
void compactor_stop(struct store *s);

#endif
