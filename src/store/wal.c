/* Segment files of the log: writing batches, finding them again.
 *
 * A batch is what one fdatasync made durable: a head, then frames with their lengths. The head has
 * a checksum of its own, so that a reader knows where the next batch begins even when a payload is
 * damaged. Each batch names the last one that was durable when it was written: whatever lies before
 * it in the epoch was acknowledged, so a hole there is damage and not a torn tail.
 *
 * Runs on the committer's thread. A write or sync that fails leaves the segment unusable: the
 * caller closes it and never writes or syncs that file again. */
#include "store/wal_int.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/metrics.h"

static const char segment_magic[8] = {'E', 'F', 'W', 'A', 'L', 0, 0, 1};
enum { BATCH_MAGIC = 0x31424645 }; /* "EFB1" */

void wal_init(struct wal *w, struct fs *fs, const char *dir, const uint8_t store_id[16])
{
    *w = (struct wal){.fs = fs};
    int n = snprintf(w->dir, sizeof w->dir, "%s", dir);
    ASSERT(n > 0 && (size_t)n < sizeof w->dir);
    memcpy(w->store_id, store_id, 16);
    buf_init(&w->batch, (size_t)WAL_BATCH_BYTES_MAX + WAL_BATCH_HEAD_BYTES);
}

void wal_done(struct wal *w)
{
    wal_segment_close(w);
    buf_done(&w->batch);
}

void wal_segment_name(char out[WAL_NAME_MAX], uint64_t epoch, uint32_t segment)
{
    snprintf(out, WAL_NAME_MAX, "%016" PRIx64 "-%08" PRIx32 ".wal", epoch, segment);
}

bool wal_segment_name_parse(const char *name, uint64_t *ret_epoch, uint32_t *ret_segment)
{
    uint64_t epoch;
    uint32_t segment;
    char again[WAL_NAME_MAX];
    if (sscanf(name, "%16" SCNx64 "-%8" SCNx32 ".wal", &epoch, &segment) != 2)
        return false;
    wal_segment_name(again, epoch, segment);
    if (strcmp(name, again) != 0)
        return false;
    *ret_epoch = epoch;
    *ret_segment = segment;
    return true;
}

static void put_head(struct buf *out, const struct wal *w)
{
    size_t at = out->n;
    buf_add(out, segment_magic, sizeof segment_magic);
    buf_add(out, w->store_id, sizeof w->store_id);
    buf_u64le(out, w->epoch);
    buf_u64le(out, w->durable + 1);
    buf_u32le(out, w->segment);
    for (int i = 0; i < 3; i++)
        buf_u32le(out, 0);
    buf_u64le(out, hash_disk(out->p + at, WAL_HEAD_BYTES - 8));
    ASSERT(out->n - at == WAL_HEAD_BYTES);
}

bool wal_head_parse(struct str data, struct wal_head *ret_head)
{
    if (data.n < WAL_HEAD_BYTES || memcmp(data.p, segment_magic, sizeof segment_magic) != 0 ||
        load_u64le(data.p + WAL_HEAD_BYTES - 8) != hash_disk(data.p, WAL_HEAD_BYTES - 8))
        return false;
    memcpy(ret_head->store_id, data.p + 8, 16);
    ret_head->epoch = load_u64le(data.p + 24);
    ret_head->first_batch = load_u64le(data.p + 32);
    ret_head->segment = load_u32le(data.p + 40);
    return true;
}

static int make_segment(struct wal *w, const char *path)
{
    int e = w->fs->file_open(w->fs, path, FS_CREATE, &w->file);
    if (e)
        return e;
    buf_clear(&w->batch);
    put_head(&w->batch, w);
    e = w->fs->file_write(w->fs, w->file, 0, w->batch.p, w->batch.n);
    if (!e)
        e = w->fs->file_sync(w->fs, w->file);
    return e ? e : w->fs->dir_sync(w->fs, w->dir);
}

int wal_segment_open(struct wal *w, uint64_t epoch, uint32_t segment)
{
    char name[WAL_NAME_MAX], path[WAL_PATH_MAX];
    ASSERT(!w->file);
    if (segment == 0)
        w->durable = 0;
    w->epoch = epoch;
    w->segment = segment;
    w->offset = WAL_HEAD_BYTES;
    wal_segment_name(name, epoch, segment);
    ASSERT(fs_path(path, sizeof path, w->dir, name));
    int e = make_segment(w, path);
    metric_add(M_WAL_FAILURES, e != 0, STR("open"));
    return e;
}

void wal_segment_close(struct wal *w)
{
    if (w->file)
        w->fs->file_close(w->fs, w->file);
    w->file = NULL;
}

void wal_segment_discard(struct wal *w)
{
    char name[WAL_NAME_MAX], path[WAL_PATH_MAX];
    if (!w->file) /* nothing was made, or the name is of somebody else */
        return;
    wal_segment_close(w);
    wal_segment_name(name, w->epoch, w->segment);
    ASSERT(fs_path(path, sizeof path, w->dir, name));
    w->fs->unlink(w->fs, path);
}

void wal_batch_begin(struct wal *w)
{
    buf_clear(&w->batch);
    ASSERT(buf_reserve(&w->batch, WAL_BATCH_HEAD_BYTES));
    w->batch.n = WAL_BATCH_HEAD_BYTES;
    w->n_frames = 0;
}

void wal_batch_frame(struct wal *w, struct str frame)
{
    buf_uvarint(&w->batch, frame.n);
    buf_str(&w->batch, frame);
    w->n_frames++;
}

int wal_batch_commit(struct wal *w)
{
    struct buf head;
    char *p = w->batch.p;
    size_t payload = w->batch.n - WAL_BATCH_HEAD_BYTES;
    ASSERT(w->file && !w->batch.failed && payload <= WAL_BATCH_BYTES_MAX);
    buf_init(&head, WAL_BATCH_HEAD_BYTES * 8);
    buf_u32le(&head, BATCH_MAGIC);
    buf_u32le(&head, (uint32_t)payload);
    buf_u64le(&head, w->durable + 1);
    buf_u64le(&head, w->durable);
    buf_u64le(&head, hash_disk(p + WAL_BATCH_HEAD_BYTES, payload));
    buf_u32le(&head, w->n_frames);
    buf_u32le(&head, (uint32_t)hash_disk(head.p, head.n));
    ASSERT(head.n == WAL_BATCH_HEAD_BYTES);
    memcpy(p, head.p, head.n);
    buf_done(&head);
    int64_t begin = clock_mono_ns();
    int e = w->fs->file_write(w->fs, w->file, w->offset, p, w->batch.n);
    metric_add(M_WAL_FAILURES, e != 0, STR("write"));
    if (e)
        return e;
    e = w->fs->file_sync(w->fs, w->file);
    metric_add(M_WAL_FAILURES, e != 0, STR("sync"));
    if (e)
        return e;
    w->offset += w->batch.n;
    w->durable++;
    metric_add(M_WAL_BYTES, (double)w->batch.n);
    metric_add(M_WAL_SYNCS, 1);
    metric_observe(M_WAL_SYNC_SECONDS, (double)(clock_mono_ns() - begin) / 1e9);
    metric_observe(M_WAL_BATCH_FRAMES, w->n_frames);
    return 0;
}

bool wal_batch_at(struct str data, size_t at, struct wal_batch *ret_batch)
{
    if (at > data.n || data.n - at < WAL_BATCH_HEAD_BYTES)
        return false;
    const char *p = data.p + at;
    uint64_t payload = load_u32le(p + 4);
    if (load_u32le(p) != BATCH_MAGIC || load_u32le(p + 36) != (uint32_t)hash_disk(p, 36) ||
        payload > data.n - at - WAL_BATCH_HEAD_BYTES)
        return false;
    if (load_u64le(p + 24) != hash_disk(p + WAL_BATCH_HEAD_BYTES, payload))
        return false;
    *ret_batch = (struct wal_batch){
        .batch = load_u64le(p + 8),
        .durable = load_u64le(p + 16),
        .payload = str_make(p + WAL_BATCH_HEAD_BYTES, payload),
        .n_frames = load_u32le(p + 32),
        .begin = at,
        .end = at + WAL_BATCH_HEAD_BYTES + payload,
    };
    return true;
}

bool wal_batch_find(struct str data, size_t at, uint64_t after, struct wal_batch *ret_batch)
{
    static const struct str magic = STR("EFB1");
    for (;;) {
        struct str rest = str_skip(data, at);
        size_t hit = str_find(rest, magic);
        if (hit == STR_NPOS || rest.n == 0)
            return false;
        at += hit;
        if (wal_batch_at(data, at, ret_batch) && ret_batch->batch > after)
            return true;
        at++;
    }
}
