/* Replay: the log directory becomes sealed epochs in memory.
 *
 * Two passes over the segment names: the first reads of every epoch how far the one before it
 * counts (frame_epoch.previous_batch), the second applies batches. Batch numbers run from 1 through
 * all segments of an epoch, so everything that is missing shows:
 *
 *   no whole batch at the end, nothing durable is missing    torn tail: cut there, counted
 *   a whole batch further on, or one known durable missing   damage: skip, count, name; go on
 *   an epoch that a later one names, neither here nor cut    damage: counted, named
 *
 * Epochs that have a marker are in blocks: their segments are removed. Files are never written.
 * Those of a damaged epoch are kept when the epoch is dropped. The last epoch's segments are synced
 * before what they hold is shown: after a crash of the process alone its tail may be only in the
 * page cache. */
#include "store/store_int.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "store/frame_int.h"

enum { SEGMENTS_MAX = 1 << 20, SEGMENT_BYTES_MAX = 1 << 30, BEGIN_BYTES = 4096 };

struct segment {
    uint64_t epoch;
    uint32_t segment;
    struct frame_epoch begin; /* of segment 0; epoch 0 when it is not readable */
};

struct replay {
    struct store *s;
    struct error *err;
    char wal_dir[WAL_PATH_MAX - 128];
    struct arena names; /* of segments */
    struct {
        struct segment *v;
        uint32_t n, cap;
    } segments;
    struct buf data; /* of the segment at hand */
    struct arena scratch;
    struct epoch *ep;
    uint64_t next_batch; /* expected */
    uint64_t last_known; /* batches up to this one were acknowledged; 0: not known */
    uint64_t limit;      /* batches above never happened; UINT64_MAX: no limit */
    uint64_t frames, rows, damaged;
};

/* The epoch is in blocks: a crash came between its marker and the removal of its log. */
static void remove_superfluous(struct store *s, const char *name)
{
    char path[WAL_PATH_MAX];
    snprintf(path, sizeof path, "%s/wal/%s", s->dir, name);
    int e = s->fs->unlink(s->fs, path);
    if (e)
        LOG_WARN("cannot remove the log of a cut epoch", "name=%s err=%s", name,
            LOG_STR(str_from(strerror(e))));
}

static void note_name(void *ctx, const char *name, bool is_dir)
{
    struct replay *r = ctx;
    struct segment seg = {0};
    if (is_dir || !wal_segment_name_parse(name, &seg.epoch, &seg.segment)) {
        LOG_WARN("not a segment of the log, left alone", "name=%s", LOG_STR(str_from(name)));
        metric_add(M_FOREIGN_FILES, 1);
        return;
    }
    if (recover_is_done(r->s, seg.epoch)) {
        remove_superfluous(r->s, name);
        return;
    }
    struct segment *slot = r->segments.n < SEGMENTS_MAX ? VEC_PUSH(&r->names, r->segments) : NULL;
    ASSERT(slot);
    *slot = seg;
}

static int cmp_segments(const void *pa, const void *pb)
{
    const struct segment *a = pa, *b = pb;
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    return (a->segment > b->segment) - (a->segment < b->segment);
}

static enum status load(struct replay *r, const struct segment *seg)
{
    char name[WAL_NAME_MAX], path[WAL_PATH_MAX];
    wal_segment_name(name, seg->epoch, seg->segment);
    ASSERT(fs_path(path, sizeof path, r->wal_dir, name));
    buf_clear(&r->data);
    return fs_read_all(r->s->fs, path, SEGMENT_BYTES_MAX, &r->data, r->err);
}

static enum status sync_segment(struct replay *r, const struct segment *seg)
{
    char name[WAL_NAME_MAX], path[WAL_PATH_MAX];
    struct fs_file *f;
    wal_segment_name(name, seg->epoch, seg->segment);
    ASSERT(fs_path(path, sizeof path, r->wal_dir, name));
    int e = r->s->fs->file_open(r->s->fs, path, FS_APPEND, &f);
    if (!e) {
        e = r->s->fs->file_sync(r->s->fs, f);
        r->s->fs->file_close(r->s->fs, f);
    }
    if (!e)
        e = r->s->fs->dir_sync(r->s->fs, r->wal_dir);
    if (e)
        return error_set_errno(
            r->err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot sync %s", path);
    return ST_OK;
}

/* Reads the epoch frame at the beginning of a segment 0; fe->epoch stays 0 when it is not there. */
static enum status read_begin(struct replay *r, struct segment *seg)
{
    char name[WAL_NAME_MAX], path[WAL_PATH_MAX], start[BEGIN_BYTES];
    struct fs_file *f;
    struct wal_batch b;
    size_t n = 0;
    wal_segment_name(name, seg->epoch, seg->segment);
    ASSERT(fs_path(path, sizeof path, r->wal_dir, name));
    int e = r->s->fs->file_open(r->s->fs, path, FS_READ, &f);
    if (!e) {
        e = r->s->fs->file_read(r->s->fs, f, 0, start, sizeof start, &n);
        r->s->fs->file_close(r->s->fs, f);
    }
    if (e)
        return error_set_errno(
            r->err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot read %s", path);
    if (wal_batch_at(str_make(start, n), WAL_HEAD_BYTES, &b)) {
        struct cursor c = cursor_make(b.payload);
        struct str frame = cursor_bytes(&c, cursor_uvarint(&c));
        if (c.bad || frame_epoch_get(frame, &seg->begin, NULL) != ST_OK)
            seg->begin.epoch = 0;
    }
    return ST_OK;
}

static enum status read_begins(struct replay *r)
{
    for (uint32_t i = 0; i < r->segments.n; i++)
        if (r->segments.v[i].segment == 0)
            TRY(read_begin(r, &r->segments.v[i]));
    return ST_OK;
}

/* How far `epoch` counts, as the epochs after it say. */
static void find_limit(struct replay *r, uint64_t epoch)
{
    r->limit = UINT64_MAX;
    r->last_known = 0;
    for (uint32_t i = 0; i < r->segments.n; i++) {
        const struct frame_epoch *fe = &r->segments.v[i].begin;
        if (r->segments.v[i].epoch > epoch && fe->epoch && fe->previous == epoch) {
            r->limit = r->last_known = fe->previous_batch;
            return;
        }
    }
}

static void damage(struct replay *r, const struct segment *seg, size_t at, const char *what)
{
    char name[WAL_NAME_MAX];
    wal_segment_name(name, seg->epoch, seg->segment);
    r->damaged++;
    r->ep->damaged = true;
    metric_add(M_WAL_DAMAGE, 1);
    LOG_ERROR("damage in the write-ahead log", "segment=%s offset=%zu batch=%" PRIu64 " what=%s",
        name, at, r->next_batch, LOG_STR(str_from(what)));
}

/* Nothing whole follows: a batch that the crash interrupted, which nobody was told about. */
static void torn_tail(const struct segment *seg, size_t at, size_t bytes)
{
    char name[WAL_NAME_MAX];
    wal_segment_name(name, seg->epoch, seg->segment);
    metric_add(M_WAL_TORN, 1);
    LOG_WARN("torn tail of the write-ahead log left out", "segment=%s offset=%zu bytes=%zu", name,
        at, bytes);
}

static void apply_batch(struct replay *r, const struct segment *seg, const struct wal_batch *b)
{
    struct cursor c = cursor_make(b->payload);
    while (cursor_left(&c)) {
        struct str frame = cursor_bytes(&c, cursor_uvarint(&c));
        struct frame_stats stats;
        struct error err;
        if (c.bad) {
            damage(r, seg, b->begin, "frame length");
            return;
        }
        if (frame_kind(frame) == FRAME_EPOCH)
            continue;
        arena_reset(&r->scratch);
        if (frame_apply(r->ep, frame, &r->scratch, &stats, &err) != ST_OK)
            damage(r, seg, b->begin, err.msg);
        r->frames++;
        r->rows += stats.rows;
        if (stats.seq >= r->s->next_seq)
            r->s->next_seq = stats.seq + 1;
    }
    metric_add(M_WAL_REPLAYED, (double)b->payload.n);
}

/* Applies what the segment in r->data has. *ret_more false: the epoch ends here. */
static void replay_segment(struct replay *r, const struct segment *seg, bool *ret_more)
{
    struct str data = buf_view(&r->data);
    struct wal_head head;
    size_t at = WAL_HEAD_BYTES;
    *ret_more = true;
    if (!wal_head_parse(data, &head))
        at = 0; /* batches are found without it */
    else if (memcmp(head.store_id, r->s->id, sizeof head.store_id) != 0 ||
             head.epoch != seg->epoch || head.segment != seg->segment) {
        damage(r, seg, 0, "the head is of another store or segment");
        return;
    }
    while (r->next_batch <= r->limit) {
        struct wal_batch b;
        bool whole = wal_batch_at(data, at, &b) && b.batch >= r->next_batch;
        if (!whole && !wal_batch_find(data, at, r->next_batch - 1, &b)) {
            if (at < data.n)
                torn_tail(seg, at, data.n - at);
            return;
        }
        if (b.batch > r->limit)
            break;
        if (b.batch != r->next_batch || !whole)
            damage(r, seg, at, "batches are missing or damaged");
        apply_batch(r, seg, &b);
        at = b.end;
        r->next_batch = b.batch + 1;
    }
    *ret_more = false;
}

static enum status replay_epoch(struct replay *r, uint32_t first, uint32_t n)
{
    const struct segment *segs = &r->segments.v[first];
    bool last = first + n == r->segments.n, more = true;
    find_limit(r, segs[0].epoch);
    r->ep = epoch_new(segs[0].epoch);
    r->next_batch = 1;
    for (uint32_t i = 0; i < n && more; i++) {
        enum status st = last ? sync_segment(r, &segs[i]) : ST_OK;
        if (st == ST_OK)
            st = load(r, &segs[i]);
        if (st != ST_OK) {
            epoch_unref(r->ep);
            return st;
        }
        replay_segment(r, &segs[i], &more);
    }
    if (r->last_known && r->next_batch <= r->last_known)
        damage(r, &segs[n - 1], r->data.n, "acknowledged batches are missing at the end");
    r->ep->last_batch = r->next_batch - 1;
    r->ep->n_segments = segs[n - 1].segment + 1;
    for (uint32_t i = 0; i < r->ep->n_datasets; i++)
        dataset_seal(epoch_dataset(r->ep, i));
    store_epochs_add(r->s, r->ep);
    return ST_OK;
}

static bool has_epoch(const struct replay *r, uint64_t epoch)
{
    for (uint32_t i = 0; i < r->segments.n; i++)
        if (r->segments.v[i].epoch == epoch)
            return true;
    return false;
}

/* Epochs are cut in order, and the newest marker of a cut is never removed: so an epoch with more
 * than its first batch is either here or not above that. (Numbers in between may be of merges.) */
static void find_missing_epochs(const struct replay *r)
{
    for (uint32_t i = 0; i < r->segments.n; i++) {
        const struct frame_epoch *fe = &r->segments.v[i].begin;
        if (fe->previous <= r->s->newest_cut || fe->previous_batch <= 1 ||
            has_epoch(r, fe->previous))
            continue;
        metric_add(M_WAL_DAMAGE, 1);
        LOG_ERROR("a write-ahead log is missing", "epoch=%" PRIu64 " batches=%" PRIu64,
            fe->previous, fe->previous_batch);
    }
}

static enum status replay_epochs(
    struct replay *r, uint64_t *ret_last_epoch, uint64_t *ret_last_batch)
{
    for (uint32_t i = 0, n; i < r->segments.n; i += n) {
        for (n = 1; i + n < r->segments.n; n++)
            if (r->segments.v[i + n].epoch != r->segments.v[i].epoch)
                break;
        TRY(replay_epoch(r, i, n));
        *ret_last_epoch = r->ep->no;
        *ret_last_batch = r->ep->last_batch;
        if (r->ep->no >= r->s->next_epoch)
            r->s->next_epoch = r->ep->no + 1;
    }
    return ST_OK;
}

enum status replay_all(
    struct store *s, uint64_t *ret_last_epoch, uint64_t *ret_last_batch, struct error *err)
{
    struct replay *r = NEW(struct replay);
    r->s = s;
    r->err = err;
    arena_init(&r->names, GIB);
    arena_init(&r->scratch, GIB);
    buf_init(&r->data, SEGMENT_BYTES_MAX);
    *ret_last_epoch = *ret_last_batch = 0;
    snprintf(r->wal_dir, sizeof r->wal_dir, "%s/wal", s->dir);
    int e = s->fs->dir_list(s->fs, r->wal_dir, note_name, r);
    enum status st = ST_OK;
    if (e)
        st = error_set_errno(
            err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot list %s", r->wal_dir);
    if (st == ST_OK && r->segments.n) {
        qsort(r->segments.v, r->segments.n, sizeof *r->segments.v, cmp_segments);
        st = read_begins(r);
        if (st == ST_OK) {
            find_missing_epochs(r);
            st = replay_epochs(r, ret_last_epoch, ret_last_batch);
        }
        LOG_INFO("write-ahead log replayed",
            "segments=%u uploads=%" PRIu64 " profiles=%" PRIu64 " damaged=%" PRIu64, r->segments.n,
            r->frames, r->rows, r->damaged);
    }
    buf_done(&r->data);
    arena_done(&r->scratch);
    arena_done(&r->names);
    mem_free(r);
    return st;
}
