/* Looking at a data directory or one of its files, for `everflame storage`. All but tool_compact
 * only read; a server may be running on the directory: files that come and go meanwhile are no
 * problem. */
#ifndef STORE_TOOL_H
#define STORE_TOOL_H

#include "base/buf.h"
#include "base/fs.h"
#include "store/store.h"

enum tool_kind {
    TOOL_FORMAT,
    TOOL_SEGMENT,
    TOOL_MARKER,
    TOOL_BLOCK,
    TOOL_QUARANTINE,
    TOOL_FOREIGN
};
const char *tool_kind_name(enum tool_kind kind);

/* One file. What it does not have is 0 or empty. */
struct tool_entry {
    enum tool_kind kind;
    struct str path; /* below the directory; of a single file as given */
    uint64_t bytes, epoch;
    struct str tenant; /* of a block */
    const char *level; /* "1h", …; NULL: no block */
    int64_t start_ns;  /* of its range */
    uint32_t services; /* of a block; of a marker: blocks; of a segment: batches */
    uint64_t profiles, samples;
    struct str problem;  /* empty: none was found */
    struct str note;     /* what is unusual and still right */
    struct block *block; /* open during the call; NULL: no block, or none that can be read */
    bool served;         /* a store would serve it */
};
/* Texts live during the call. */
typedef void (*tool_fn)(void *ctx, const struct tool_entry *e);

/* Every file of the directory; with `verify` every byte is read against its check and decoded.
 * Damage is an entry's problem; a status is only for what ends the walk (no such directory, a newer
 * version). */
enum status tool_walk(
    struct fs *fs, const char *dir, bool verify, tool_fn fn, void *ctx, struct error *err);
/* One file by its name, ….efb or ….wal (anything else: ST_INVALID_ARGUMENT). */
enum status tool_file(
    struct fs *fs, const char *path, bool verify, tool_fn fn, void *ctx, struct error *err);
/* Turns the log into blocks and merges blocks as a server would, or with `force` everything of a
 * tenant and UTC day into one. No server may run on the directory. */
enum status tool_compact(struct fs *fs, const char *dir, bool force, store_compacted_fn fn,
    void *ctx, struct error *err);
/* What is in such a file or a marker, as text for people. */
enum status tool_inspect(struct fs *fs, const char *path, struct buf *out, struct error *err);

#endif
