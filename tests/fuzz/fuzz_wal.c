/* The log from anywhere. The first byte chooses:
 *
 *   0  a segment as it is: every batch that is found lies within the bytes, numbers rise
 *   1  the payload of a batch (its checks are taken as right): frames are applied; whatever was
 *      accepted can be cut to blocks, which are whole and have every row */
#include "base/fs_sim.h"
#include "base/log.h"
#include "base/varint.h"
#include "store/block_int.h"
#include "store/frame_int.h"
#include "store/wal_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EPOCH_BYTES_MAX = 64 << 20, BLOCKS_MAX = 8 };

static void find_batches(struct str data)
{
    struct wal_batch b;
    struct wal_head head;
    uint64_t last = 0;
    wal_head_parse(data, &head);
    for (size_t at = 0; wal_batch_find(data, at, last, &b); at = b.end) {
        ASSERT(b.begin >= at && b.end <= data.n && b.batch > last);
        ASSERT(b.end - b.begin == b.payload.n + WAL_BATCH_HEAD_BYTES);
        last = b.batch;
    }
}

/* The first rows of the epoch say which blocks are tried. */
static void cut(const struct epoch *ep, const struct part *p)
{
    static const uint8_t id[16] = "sixteen bytes id";
    struct fs_sim *sim = fs_sim_new(1);
    struct fs *fs = fs_sim_fs(sim);
    const struct block_target to = {fs, "d", id, 4096};
    static const char *const dirs[] = {"d", "d/blocks", "d/tmp"};
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        fs->dir_make(fs, dirs[i]);
    for (uint32_t i = 0; i < part_rows(p) && i < BLOCKS_MAX; i++) {
        int64_t hour = block_hour(part_row(p, i)->time_ns);
        struct block_file file = {0};
        struct block *b = NULL;
        uint64_t rows = 0, want = 0;
        ASSERT(block_write(&to, ep, p->tenant, hour, &file, NULL) == ST_OK);
        ASSERT(block_open(fs, "d/blocks", file.path, &b, NULL) == ST_OK);
        ASSERT(b->check == file.check && block_verify(b, NULL) == ST_OK);
        for (uint32_t k = 0; k < b->n_datasets; k++)
            rows += b->datasets[k].n_rows;
        for (uint32_t e = 0; e < ep->n_datasets; e++) {
            const struct part *q = &epoch_dataset(ep, e)->part;
            for (uint32_t k = 0; str_eq(q->tenant, p->tenant) && k < part_rows(q); k++)
                want += block_hour(part_row(q, k)->time_ns) == hour;
        }
        ASSERT(rows == want);
        block_unref(b);
    }
    fs_sim_free(sim);
}

static void apply_frames(struct str payload)
{
    struct cursor c = cursor_make(payload);
    struct epoch *ep = epoch_new(1);
    struct arena scratch;
    arena_init(&scratch, 64 * MIB);
    while (cursor_left(&c) && atomic_load(&ep->bytes) < EPOCH_BYTES_MAX) {
        struct str frame = cursor_bytes(&c, cursor_uvarint(&c));
        struct frame_stats stats;
        struct frame_epoch fe;
        arena_reset(&scratch);
        if (frame_kind(frame) == FRAME_EPOCH)
            (void)frame_epoch_get(frame, &fe, NULL);
        else
            (void)frame_apply(ep, frame, &scratch, &stats, NULL);
    }
    for (uint32_t i = 0; i < ep->n_datasets; i++)
        dataset_seal(epoch_dataset(ep, i));
    if (atomic_load(&ep->bytes) < EPOCH_BYTES_MAX)
        for (uint32_t i = 0; i < ep->n_datasets && i < BLOCKS_MAX; i++)
            cut(ep, &epoch_dataset(ep, i)->part);
    arena_done(&scratch);
    epoch_unref(ep);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 64 * KIB)
        return 0;
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    struct str rest = str_make(data + 1, size - 1);
    if (data[0] == 0)
        find_batches(rest);
    else
        apply_frames(rest);
    return 0;
}
