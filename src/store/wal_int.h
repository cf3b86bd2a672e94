/* Private to store: segment files of the log and their reading. Bytes: docs/formats/wal.md. */
#ifndef STORE_WAL_INT_H
#define STORE_WAL_INT_H

#include "base/fs.h"
#include "base/varint.h"

enum {
    WAL_HEAD_BYTES = 64,
    WAL_BATCH_HEAD_BYTES = 40,
    WAL_BATCH_BYTES_MAX = 64 << 20, /* of a payload; a reader refuses more */
    WAL_NAME_MAX = 64,
    WAL_PATH_MAX = 4096,
};

/* Writing: one open segment at a time, one thread. After an error the writer only closes. */
struct wal {
    struct fs *fs;
    char dir[WAL_PATH_MAX - WAL_NAME_MAX - 8];
    uint8_t store_id[16];
    struct fs_file *file;
    uint64_t epoch, offset;
    uint32_t segment;
    uint64_t durable; /* last batch of the epoch that is on the disk */
    struct buf batch; /* head and payload of the batch being built */
    uint32_t n_frames;
};

void wal_init(struct wal *w, struct fs *fs, const char *dir, const uint8_t store_id[16]);
void wal_done(struct wal *w);
/* Makes, heads and syncs a new segment file and its directory entry; 0 or errno. Batch numbers go
 * on within an epoch and begin at 1 with segment 0. */
int wal_segment_open(struct wal *w, uint64_t epoch, uint32_t segment);
void wal_segment_close(struct wal *w);
/* Closes and removes a segment that could not be begun, so that a disk that stays full does not
 * fill the folder with beginnings. */
void wal_segment_discard(struct wal *w);

/* A batch: begin, any number of frames, commit (one write, one sync; 0 or errno). */
void wal_batch_begin(struct wal *w);
void wal_batch_frame(struct wal *w, struct str frame);
int wal_batch_commit(struct wal *w);

/* Reading a whole segment from memory. */
struct wal_head {
    uint64_t epoch, first_batch;
    uint32_t segment;
    uint8_t store_id[16];
};
bool wal_head_parse(struct str data, struct wal_head *ret_head);

struct wal_batch {
    uint64_t batch, durable;
    struct str payload;
    uint32_t n_frames;
    size_t begin, end; /* in the data */
};
/* The batch that begins at `at`; false when there is no whole and right one. */
bool wal_batch_at(struct str data, size_t at, struct wal_batch *ret_batch);
/* The first whole batch at or behind `at` with a number above `after`. */
bool wal_batch_find(struct str data, size_t at, uint64_t after, struct wal_batch *ret_batch);

/* "0000000000000005-00000002.wal" */
void wal_segment_name(char out[WAL_NAME_MAX], uint64_t epoch, uint32_t segment);
bool wal_segment_name_parse(const char *name, uint64_t *ret_epoch, uint32_t *ret_segment);

#endif
