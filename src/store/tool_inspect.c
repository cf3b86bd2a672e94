/* What is in a block or a segment of the log, as text: see tool.h. */
#include "store/tool.h"

#include <inttypes.h>

#include "base/clock.h"
#include "store/block_int.h"
#include "store/frame_int.h"
#include "store/wal_int.h"

enum { SEGMENT_BYTES_MAX = 1 << 30 };

static void put_time(struct buf *out, int64_t time_ns)
{
    char text[32];
    clock_format_ms(time_ns, text);
    buf_printf(out, "%s", text);
}

static void put_id(struct buf *out, const uint8_t id[16])
{
    for (int i = 0; i < 16; i++)
        buf_printf(out, "%02x", id[i]);
}

/* Text of the file may be anything: control characters do not reach the terminal. */
static void put_text(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_byte(out, (uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7F ? '?' : (uint8_t)s.p[i]);
}

/* Blocks */

static void put_series(struct buf *out, const struct part *p, uint32_t series)
{
    const struct part_series *s = part_series(p, series);
    buf_printf(out, "    series %u:", series);
    for (uint32_t i = 0; i < s->n_labels; i++) {
        buf_printf(out, " ");
        put_text(out, s->labels[i].name);
        buf_printf(out, "=");
        put_text(out, s->labels[i].value);
    }
    buf_printf(out, " (");
    for (uint32_t k = 0; k < s->n_types; k++) {
        buf_printf(out, "%s", k ? ", " : "");
        put_text(out, s->types[k].type);
        buf_printf(out, ":");
        put_text(out, s->types[k].unit);
    }
    buf_printf(out, ")\n");
}

static void put_section(struct buf *out, const struct block_section *s)
{
    static const char *const codecs[] = {"plain", "zstd", "chunks"};
    buf_printf(out,
        "    %-9s type %u, slots %u+%u, at %" PRIu64 ", bytes %" PRIu64 ", raw %" PRIu64
        ", %s, check %016" PRIx64 "\n",
        s->kind < BLOCK_KINDS ? block_kind_names[s->kind] : "?", s->type, s->slot, s->n_slots,
        s->offset, s->stored_bytes, s->raw_bytes, codecs[s->codec], s->check);
}

static void put_slot(struct buf *out, const struct part_slot *s)
{
    buf_printf(out, "    slot: profiles %u, samples %" PRIu64 ", ", s->n_rows, s->n_samples);
    put_time(out, s->time_min);
    buf_printf(out, " to ");
    put_time(out, s->time_max);
    buf_printf(out, "\n");
}

static void put_type(struct buf *out, const struct symtab *sym, const uint32_t *ids)
{
    buf_printf(out, "    type:");
    for (uint32_t k = 0; k < PART_TYPE_IDS; k++) {
        buf_printf(out, k ? ":" : " ");
        put_text(out, sym_string(sym, ids[k]));
    }
    buf_printf(out, "\n");
}

static void put_dataset(struct buf *out, const struct block_dataset *bd)
{
    struct error err;
    struct dataset *ds;
    buf_printf(out, "  service ");
    put_text(out, bd->service);
    buf_printf(out, ": profiles %" PRIu64 ", series %" PRIu64 ", samples %" PRIu64 "\n", bd->n_rows,
        bd->n_series, bd->n_samples);
    for (uint32_t i = 0; i < bd->n_slots; i++)
        put_slot(out, &bd->slots[i]);
    for (uint32_t i = 0; i < bd->n_sections; i++)
        put_section(out, &bd->sections[i]);
    if (block_load(bd, true, &ds, &err) != ST_OK) {
        buf_printf(out, "    DAMAGED: %s\n", err.msg);
        return;
    }
    const struct symtab *sym = &ds->part.sym;
    buf_printf(out, "    strings %u, functions %u, mappings %u, locations %u, nodes %u\n",
        sym->strings.n, sym->functions.n, sym->mappings.n, sym->locations.n, sym->nodes.n);
    for (uint32_t i = 0; i < bd->rollups.n_types; i++)
        put_type(out, sym, bd->rollups.types[i]);
    for (uint32_t i = 0; i < part_n_series(&ds->part); i++)
        put_series(out, &ds->part, i);
    dataset_free(ds);
}

static enum status inspect_block(
    struct fs *fs, const char *path, struct buf *out, struct error *err)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    struct block *b;
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    TRY(block_open(fs, slash == path ? "/" : dir, slash ? slash + 1 : path, &b, err));
    buf_printf(out, "block, bytes %" PRIu64 "\nstore ", b->file_bytes);
    put_id(out, b->store_id);
    buf_printf(
        out, "\nepoch %016" PRIx64 "\nlevel %s from ", b->epoch, block_levels[b->level].name);
    put_time(out, b->start_ns);
    buf_printf(out, "\ntenant ");
    put_text(out, b->tenant);
    buf_printf(out, "\nhighest upload %" PRIu64 "\ndirectory check %016" PRIx64 "\nservices %u\n",
        b->seq_max, b->check, b->n_datasets);
    for (uint32_t i = 0; i < b->n_sources; i++) {
        buf_printf(out, "merged from ");
        put_text(out, b->sources[i]);
        buf_printf(out, "\n");
    }
    for (uint32_t i = 0; i < b->n_datasets; i++)
        put_dataset(out, &b->datasets[i]);
    block_unref(b);
    return ST_OK;
}

/* Logs */

struct frames {
    struct epoch *ep; /* what the frames before brought */
    struct arena scratch;
};

static void put_frame(struct buf *out, struct frames *f, struct str frame)
{
    struct frame_epoch fe;
    struct frame_stats stats;
    struct error err;
    enum status st;
    arena_reset(&f->scratch);
    if (frame_kind(frame) == FRAME_EPOCH) {
        st = frame_epoch_get(frame, &fe, &err);
        if (st == ST_OK)
            buf_printf(out,
                "    epoch %016" PRIx64 " after %016" PRIx64 " up to batch %" PRIu64 "\n", fe.epoch,
                fe.previous, fe.previous_batch);
    } else {
        st = frame_apply(f->ep, frame, &f->scratch, &stats, &err);
        if (st == ST_OK)
            buf_printf(out,
                "    upload %" PRIu64 ": bytes %zu, profiles %" PRIu64 ", samples %" PRIu64 "%s\n",
                stats.seq, frame.n, stats.rows, stats.samples,
                stats.filled ? " (frames before it are lost)" : "");
    }
    if (st != ST_OK)
        buf_printf(out, "    DAMAGED: %s\n", err.msg);
}

static void put_batches(struct buf *out, struct str data, size_t at)
{
    struct frames f = {.ep = epoch_new(0)};
    struct wal_batch b;
    arena_init(&f.scratch, GIB);
    while (at < data.n) {
        if (!wal_batch_at(data, at, &b)) {
            size_t end = wal_batch_find(data, at, 0, &b) ? b.begin : data.n;
            buf_printf(out, "  at %zu: %zu bytes are no whole batch%s\n", at, end - at,
                end == data.n ? " (a torn tail, or being written)" : ", DAMAGED");
            at = end;
            continue;
        }
        struct cursor c = cursor_make(b.payload);
        buf_printf(out, "  at %zu: batch %" PRIu64 ", bytes %zu, frames %u\n", at, b.batch,
            b.payload.n, b.n_frames);
        while (cursor_left(&c))
            put_frame(out, &f, cursor_bytes(&c, cursor_uvarint(&c)));
        at = b.end;
    }
    arena_done(&f.scratch);
    epoch_unref(f.ep);
}

static enum status inspect_segment(
    struct fs *fs, const char *path, struct buf *out, struct error *err)
{
    struct buf data;
    struct wal_head head;
    buf_init(&data, SEGMENT_BYTES_MAX);
    enum status st = fs_read_all(fs, path, SEGMENT_BYTES_MAX, &data, err);
    if (st == ST_OK) {
        bool ok = wal_head_parse(buf_view(&data), &head);
        buf_printf(out, "segment of the write-ahead log, bytes %zu\n", data.n);
        if (ok) {
            buf_printf(out, "store ");
            put_id(out, head.store_id);
            buf_printf(out, "\nepoch %016" PRIx64 "\nsegment %u\nfirst batch %" PRIu64 "\n",
                head.epoch, head.segment, head.first_batch);
        } else {
            buf_printf(out, "DAMAGED: its head\n");
        }
        put_batches(out, buf_view(&data), ok ? WAL_HEAD_BYTES : 0);
    }
    buf_done(&data);
    return st;
}

enum status tool_inspect(struct fs *fs, const char *path, struct buf *out, struct error *err)
{
    if (str_ends(str_from(path), STR(".efb")))
        return inspect_block(fs, path, out, err);
    if (str_ends(str_from(path), STR(".wal")))
        return inspect_segment(fs, path, out, err);
    if (str_ends(str_from(path), STR(".done"))) /* is text */
        return fs_read_all(fs, path, 64 * MIB, out, err);
    FAIL(err, ST_INVALID_ARGUMENT,
        "%s is neither a block (.efb) nor a log (.wal) nor a marker (.done)", path);
}
