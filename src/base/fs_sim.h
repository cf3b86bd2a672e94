/* The fault-injecting twin of fs_real, for tests: a file system in memory that forgets what was not
 * synced and fails when told to.
 *
 * Model. A file has its current bytes and its durable bytes; a write dirties 512-byte sectors; a
 * sync makes the dirty ones durable. A directory entry (created, renamed, removed) is durable after
 * a sync of its directory. A crash keeps of every unsynced sector, entry and size either the old or
 * the new state, each drawn from the seed. A directory is durable when it is made; one that was
 * removed may come back, with what was removed from it and not synced. A sync that fails makes some
 * dirty sectors durable and forgets that the others were dirty, as Linux does: a later sync does
 * not save them.
 *
 * Counted operations are those that can lose data: create, write, sync, dir_sync, rename, unlink,
 * truncate, dir_remove. Thread-safe; one lock. */
#ifndef BASE_FS_SIM_H
#define BASE_FS_SIM_H

#include "base/fs.h"

struct fs_sim;

enum fs_sim_fault {
    FS_SIM_NONE,
    FS_SIM_FAIL_ONCE,  /* operation n fails with the given errno, everything else works */
    FS_SIM_FAIL_COUNT, /* operations n .. n + count - 1 fail */
    FS_SIM_FULL,       /* as FAIL_COUNT, but only writes fail: the disk is full */
    FS_SIM_DEAD,       /* from operation n on nothing has any effect: the machine is gone */
};

struct fs_sim *fs_sim_new(uint64_t seed);
void fs_sim_free(struct fs_sim *sim);
struct fs *fs_sim_fs(struct fs_sim *sim);

/* Operations are counted from 1 again. */
void fs_sim_plan(
    struct fs_sim *sim, enum fs_sim_fault fault, uint64_t n, uint64_t count, int error);
uint64_t fs_sim_ops(struct fs_sim *sim);
bool fs_sim_fired(struct fs_sim *sim); /* the plan's operation has been reached */

/* Power loss: open handles die (using one asserts), what is left is drawn from the seed. Locks go.
 */
void fs_sim_crash(struct fs_sim *sim, uint64_t seed);
/* The process dies, the machine does not: handles and locks go, everything written stays in the
 * page cache, as durable or not as it was. */
void fs_sim_kill(struct fs_sim *sim);
/* Flips bits of the current and durable bytes: bit b of byte `at`. False when there is no such
 * byte. */
bool fs_sim_flip(struct fs_sim *sim, const char *path, uint64_t at, unsigned bit);
/* What space() says from now on: a disk of `total` bytes, of which all files have their sizes and
 * others have `others`. Before: all of it is free. */
void fs_sim_disk(struct fs_sim *sim, uint64_t total, uint64_t others);
/* From now on opening the file, or listing the folder, fails with `error`, and so do reads of open
 * handles; 0: works again. */
void fs_sim_break(struct fs_sim *sim, const char *path, int error);
/* Calls fn for every file with its current size. */
void fs_sim_files(
    struct fs_sim *sim, void (*fn)(void *ctx, const char *path, uint64_t size), void *ctx);

#endif
