/* Merging the blocks of a directory without a server: see tool.h. A store is opened on it without
 * its threads, so everything holds that holds in a server: the lock, the log, crashes. */
#include "store/store_int.h"
#include "store/tool.h"

enum { SEGMENT_BYTES = 64 << 20, QUEUE_BYTES = 64 << 20 };

enum status tool_compact(
    struct fs *fs, const char *dir, bool force, store_compacted_fn fn, void *ctx, struct error *err)
{
    const struct store_config cfg = {
        .dir = dir,
        .fs = fs,
        .head_bytes_max = GIB, /* of uploads, and there are none */
        .segment_bytes_max = SEGMENT_BYTES,
        .queue_bytes_max = QUEUE_BYTES,
        .no_maintenance = true,
    };
    uint8_t id[16];
    struct store *s;
    struct error why = {0};
    enum status st = datadir_format(fs, dir, id, &why);
    if (st == ST_NOT_FOUND) /* it would be made */
        return error_set(
            err, st, __FILE__, __LINE__, "%s is no data directory: it has no FORMAT", dir);
    if (st != ST_OK) {
        if (err)
            *err = why;
        return st;
    }
    TRY(store_open(&cfg, &s, err));
    st = store_cut(s, "stop", err);
    if (st == ST_OK)
        st = store_compact(s, force, fn, ctx, err);
    store_close(s);
    return st;
}
