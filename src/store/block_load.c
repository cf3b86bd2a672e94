/* From sections to a dataset in memory: the same form as the head's, so that queries know only
 * parts.
 *
 * Checksums were compared when a section was read; what is decoded here is still checked, because a
 * file may have been written by something else. The dataset is published before it is returned and
 * never changes afterwards. Rows point into the one buffer that holds the samples; in a part with
 * labels only they have no bytes. */
#include "store/block_int.h"

#include "base/varint.h"
#include "store/frame_int.h"

enum { RAW_MAX = 1 << 30 };

struct loader {
    const struct block_dataset *bd;
    struct dataset *ds;
    struct buf raw;
    struct error *err;
};

static enum status damaged(struct loader *l, const char *what)
{
    FAIL(l->err, ST_DATA_LOSS, "block %s is damaged: %s of service %.*s", l->bd->block->path, what,
        STR_ARG(l->bd->service));
}

static enum status load_range(struct loader *l, enum block_section section, enum frame_range what)
{
    buf_clear(&l->raw);
    TRY(block_section_read(l->bd, section, &l->raw, l->err));
    if (frame_get(what, buf_view(&l->raw), l->ds, NULL) != ST_OK)
        return damaged(l, "a range of symbols");
    return ST_OK;
}

static bool row_columns(struct cursor *c, struct dataset *ds, uint64_t n)
{
    struct part *p = &ds->part;
    uint64_t series = 0, time_ns = 0, seq = 0;
    for (uint64_t i = 0; i < n; i++) {
        struct part_row *r = segvec_push(&p->rows);
        series += cursor_uvarint(c);
        if (!r || series >= p->series.n)
            return false;
        r->series = (uint32_t)series;
    }
    for (uint32_t i = 0; i < n; i++) {
        time_ns += (uint64_t)cursor_svarint(c);
        SEGVEC_AT(&p->rows, struct part_row, i)->time_ns = (int64_t)time_ns;
    }
    for (uint32_t i = 0; i < n; i++) {
        seq += (uint64_t)cursor_svarint(c);
        SEGVEC_AT(&p->rows, struct part_row, i)->seq = seq;
    }
    for (uint32_t i = 0; i < n; i++)
        SEGVEC_AT(&p->rows, struct part_row, i)->n_bytes = (uint32_t)cursor_uvarint(c);
    for (uint32_t i = 0; i < n; i++)
        SEGVEC_AT(&p->rows, struct part_row, i)->n_samples = (uint32_t)cursor_uvarint(c);
    for (uint32_t i = 0; i < n; i++) {
        struct part_row *r = SEGVEC_AT(&p->rows, struct part_row, i);
        for (uint32_t k = 0; k < part_series(p, r->series)->n_types; k++) {
            r->totals[k] = (int64_t)cursor_uvarint(c);
            if (r->totals[k] < 0)
                return false;
        }
    }
    return !c->bad && cursor_left(c) == 0;
}

static enum status load_rows(struct loader *l)
{
    buf_clear(&l->raw);
    TRY(block_section_read(l->bd, BLOCK_ROWS, &l->raw, l->err));
    struct cursor c = cursor_make(buf_view(&l->raw));
    uint64_t n = cursor_uvarint(&c);
    if (n != l->bd->n_rows || n > cursor_left(&c) || !row_columns(&c, l->ds, n))
        return damaged(l, "the rows");
    return ST_OK;
}

/* The samples move into the dataset's memory in one piece; rows take their bytes in order. */
static enum status load_samples(struct loader *l)
{
    struct part *p = &l->ds->part;
    buf_clear(&l->raw);
    TRY(block_section_read(l->bd, BLOCK_SAMPLES, &l->raw, l->err));
    struct str all = arena_str(&l->ds->memory, buf_view(&l->raw));
    if (!all.p)
        FAIL(l->err, ST_RESOURCE_EXHAUSTED, "no memory for the samples of a block");
    for (uint32_t i = 0; i < p->rows.n; i++) {
        struct part_row *r = SEGVEC_AT(&p->rows, struct part_row, i);
        if (r->n_bytes > all.n)
            return damaged(l, "the samples");
        r->bytes = (const uint8_t *)all.p;
        all = str_skip(all, r->n_bytes);
    }
    return all.n ? damaged(l, "the samples") : ST_OK;
}

static enum status load(struct loader *l, enum block_view view)
{
    TRY(load_range(l, BLOCK_STRINGS, FRAME_STRINGS));
    TRY(load_range(l, BLOCK_SERIES, FRAME_SERIES));
    TRY(load_rows(l));
    if (view == BLOCK_LABELS)
        return ST_OK;
    TRY(load_range(l, BLOCK_SYMBOLS, FRAME_SYMBOLS));
    TRY(load_range(l, BLOCK_NODES, FRAME_NODES));
    return load_samples(l);
}

enum status block_load(const struct block_dataset *bd, enum block_view view,
    struct dataset **ret_ds, struct error *err)
{
    struct loader l = {.bd = bd, .err = err};
    l.ds = dataset_new(NULL, 0, bd->block->tenant, bd->service);
    buf_init(&l.raw, RAW_MAX);
    enum status st = load(&l, view);
    buf_done(&l.raw);
    if (st != ST_OK) {
        dataset_free(l.ds);
        return st;
    }
    struct marks to = dataset_marks(l.ds);
    dataset_seal(l.ds);
    dataset_publish(l.ds, &to);
    *ret_ds = l.ds;
    return ST_OK;
}
