/* From sections to parts in memory, the same form as the head's, so that queries know only parts.
 *
 *     strings, series, seen [, symbols, nodes] ─► a dataset without rows
 *     rows [, samples and stacks] of a slot ─► a part that borrows symbols and series of such a
 * dataset
 *
 * Checksums were compared when a section was read; what is decoded here is still checked, because a
 * file may have been written by something else. What is returned never changes afterwards. Rows
 * point into the one buffer that holds the samples; without samples they have no bytes, and in
 * groups they have none of their own. */
#include "store/block_int.h"

#include "base/mem.h"
#include "base/varint.h"
#include "store/frame_int.h"

enum { RAW_MAX = 1 << 30 };

struct loader {
    const struct block_dataset *bd;
    struct dataset *ds;
    struct buf raw;
    struct error *err;
};

static enum status damaged(const struct block_dataset *bd, const char *what, struct error *err)
{
    FAIL(err, ST_DATA_LOSS, "block %s is damaged: %s of service %.*s", bd->block->path, what,
        STR_ARG(bd->service));
}

static enum status load_range(struct loader *l, enum block_kind kind, enum frame_range what)
{
    buf_clear(&l->raw);
    TRY(block_section_read(l->bd, block_section(l->bd, kind, 0, 0), &l->raw, l->err));
    if (frame_get(what, buf_view(&l->raw), l->ds, NULL) != ST_OK)
        return damaged(l->bd, "a range of symbols", l->err);
    return ST_OK;
}

/* Version 1 does not say which types have values: its rows do. */
static enum status seen_from_rows(struct loader *l)
{
    struct part *p = &l->ds->part;
    struct block_rows *rows;
    TRY(block_load_rows(l->bd, 0, BLOCK_NO_SAMPLES, p, &rows, l->err));
    for (uint32_t i = 0; i < rows->part.rows.n; i++) {
        const struct part_row *r = part_row(&rows->part, i);
        struct part_series *s = part_series(p, r->series);
        for (uint32_t k = 0; k < s->n_types; k++)
            if (r->totals[k] > 0)
                atomic_fetch_or_explicit(&s->types_seen, 1u << k, memory_order_relaxed);
    }
    block_rows_free(rows);
    return ST_OK;
}

static enum status load_seen(struct loader *l)
{
    struct part *p = &l->ds->part;
    const struct block_section *s = block_section(l->bd, BLOCK_SEEN, 0, 0);
    if (!s)
        return seen_from_rows(l);
    buf_clear(&l->raw);
    TRY(block_section_read(l->bd, s, &l->raw, l->err));
    if (l->raw.n != p->series.n)
        return damaged(l->bd, "what series have", l->err);
    for (uint32_t i = 0; i < p->series.n; i++) {
        struct part_series *ps = part_series(p, i);
        uint32_t seen = (uint8_t)l->raw.p[i];
        if (seen >> ps->n_types)
            return damaged(l->bd, "what series have", l->err);
        atomic_store_explicit(&ps->types_seen, seen, memory_order_relaxed);
    }
    return ST_OK;
}

static enum status check_types(struct loader *l)
{
    const struct part_rollups *ru = &l->bd->rollups;
    for (uint32_t i = 0; i < ru->n_types; i++)
        for (uint32_t k = 0; k < PART_TYPE_IDS; k++)
            if (ru->types[i][k] >= l->ds->part.sym.strings.n)
                return damaged(l->bd, "a profile type", l->err);
    return ST_OK;
}

/* The labels alone of a dataset: its series, and of its strings those that they and the profile
 * types use; the others keep their ids and read empty. A view holds the labels of every block that
 * a question touches, so they must not bring the names of all functions. */
static struct dataset *without_other_strings(const struct dataset *all, const uint8_t *used)
{
    const struct part *p = &all->part;
    struct dataset *ds = dataset_new(NULL, 0, p->tenant, p->service);
    bool ok = true;
    for (uint32_t i = ds->part.sym.strings.n; i < p->sym.strings.n && ok; i++)
        ok = symtab_add_string(&ds->part.sym, used[i] ? sym_string(&p->sym, i) : STR_EMPTY, false);
    for (uint32_t i = 0; i < p->series.n && ok; i++) {
        const struct part_series *s = part_series(p, i);
        ok = dataset_series(ds, s->ids, s->n_labels, s->n_types, false) != UINT32_MAX;
    }
    if (!ok) {
        dataset_free(ds);
        ds = NULL;
    }
    return ds;
}

static enum status drop_other_strings(struct loader *l)
{
    const struct part *p = &l->ds->part;
    const struct part_rollups *ru = &l->bd->rollups;
    uint8_t *used = mem_try(p->sym.strings.n + (size_t)1);
    struct dataset *labels = NULL;
    if (used) {
        memset(used, 0, p->sym.strings.n);
        for (uint32_t i = 0; i < p->series.n; i++)
            for (uint32_t k = 0; k < part_series_n_ids(part_series(p, i)); k++)
                used[part_series(p, i)->ids[k]] = 1;
        for (uint32_t i = 0; i < ru->n_types; i++)
            for (uint32_t k = 0; k < PART_TYPE_IDS; k++)
                used[ru->types[i][k]] = 1;
        labels = without_other_strings(l->ds, used);
        mem_free(used);
    }
    if (!labels)
        FAIL(l->err, ST_RESOURCE_EXHAUSTED, "no memory for the labels of block %s",
            l->bd->block->path);
    dataset_free(l->ds);
    l->ds = labels;
    return ST_OK;
}

static enum status load(struct loader *l, bool stacks)
{
    TRY(load_range(l, BLOCK_STRINGS, FRAME_STRINGS));
    TRY(load_range(l, BLOCK_SERIES, FRAME_SERIES));
    if (l->ds->part.series.n != l->bd->n_series)
        return damaged(l->bd, "the number of series", l->err);
    TRY(check_types(l));
    if (!stacks) {
        TRY(drop_other_strings(l));
        return load_seen(l);
    }
    TRY(load_range(l, BLOCK_SYMBOLS, FRAME_SYMBOLS));
    TRY(load_range(l, BLOCK_NODES, FRAME_NODES));
    return load_seen(l);
}

enum status block_load(
    const struct block_dataset *bd, bool stacks, struct dataset **ret_ds, struct error *err)
{
    struct loader l = {.bd = bd, .err = err};
    l.ds = dataset_new(NULL, 0, bd->block->tenant, bd->service);
    buf_init(&l.raw, RAW_MAX);
    enum status st = load(&l, stacks);
    buf_done(&l.raw);
    if (st != ST_OK) {
        dataset_free(l.ds);
        return st;
    }
    struct part *p = &l.ds->part;
    const struct marks to = dataset_marks(l.ds);
    p->slots = bd->slots;
    p->n_slots = bd->n_slots;
    p->rollups = &bd->rollups;
    p->epoch = bd->block->epoch;
    dataset_seal(l.ds);
    dataset_publish(l.ds, &to);
    atomic_store_explicit(&p->time_min, bd->time_min, memory_order_relaxed);
    atomic_store_explicit(&p->time_max, bd->time_max, memory_order_relaxed);
    *ret_ds = l.ds;
    return ST_OK;
}

/* Rows */

static bool row_totals(struct cursor *c, struct part *p, uint32_t n)
{
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

static bool row_columns(struct cursor *c, struct part *p, uint32_t n)
{
    uint64_t series = 0, time_ns = 0, seq = 0;
    for (uint32_t i = 0; i < n; i++) {
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
    return row_totals(c, p, n);
}

/* Rows that are in no group take their bytes from the section, in their order. */
static bool own_samples(struct part *p, struct str all, const uint8_t *grouped)
{
    for (uint32_t i = 0; i < p->rows.n; i++) {
        struct part_row *r = SEGVEC_AT(&p->rows, struct part_row, i);
        if (grouped[i])
            continue;
        if (r->n_bytes == 0 || r->n_bytes > all.n)
            return false;
        r->bytes = (const uint8_t *)all.p;
        all = str_skip(all, r->n_bytes);
    }
    return all.n == 0;
}

static enum status load_samples(struct block_rows *rows, const struct block_dataset *bd,
    uint32_t slot, enum block_samples what, struct error *err)
{
    TRY(block_section_read(bd, block_section(bd, BLOCK_SAMPLES, 0, slot), &rows->samples, err));
    size_t own = rows->samples.n;
    uint8_t *grouped = mem_try_zeroed(rows->part.rows.n + (size_t)1);
    if (!grouped)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for the samples of block %s", bd->block->path);
    enum status st = block_load_groups(bd, slot, rows, grouped, err);
    if (st == ST_OK && what == BLOCK_BY_ROW)
        st = block_unstack(rows, err);
    if (st == ST_OK && !own_samples(&rows->part, str_make(rows->samples.p, own), grouped))
        st = ST_DATA_LOSS;
    mem_free(grouped);
    return st == ST_DATA_LOSS ? damaged(bd, "the samples", err) : st;
}

static enum status load_rows(struct block_rows *rows, const struct block_dataset *bd, uint32_t slot,
    enum block_samples what, struct error *err)
{
    struct buf raw;
    buf_init(&raw, RAW_MAX);
    enum status st = block_section_read(bd, block_section(bd, BLOCK_ROWS, 0, slot), &raw, err);
    struct cursor c = cursor_make(buf_view(&raw));
    if (st == ST_OK) {
        uint64_t n = cursor_uvarint(&c);
        if (n != bd->slots[slot].n_rows || n > cursor_left(&c) ||
            !row_columns(&c, &rows->part, (uint32_t)n))
            st = damaged(bd, "the rows", err);
    }
    buf_done(&raw);
    TRY(st);
    return what ? load_samples(rows, bd, slot, what, err) : ST_OK;
}

enum status block_load_rows(const struct block_dataset *bd, uint32_t slot, enum block_samples what,
    const struct part *base, struct block_rows **ret_rows, struct error *err)
{
    struct block_rows *rows = NEW(struct block_rows);
    struct part *p = &rows->part;
    const struct part_slot *s = &bd->slots[slot];
    *p = (struct part){.tenant = base->tenant, .service = base->service, .epoch = base->epoch};
    p->sym = base->sym;
    p->series = base->series;
    segvec_init(&p->rows, sizeof(struct part_row), ROWS_MAX, &rows->bytes);
    buf_init(&rows->samples, RAW_MAX);
    buf_init(&rows->stacked, RAW_MAX);
    arena_init(&rows->memory, RAW_MAX);
    enum status st = load_rows(rows, bd, slot, what, err);
    if (st != ST_OK) {
        block_rows_free(rows);
        return st;
    }
    rows->bytes += sizeof *rows + rows->samples.cap + rows->stacked.cap + rows->memory.used;
    atomic_store_explicit(&p->n_rows_published, p->rows.n, memory_order_relaxed);
    atomic_store_explicit(&p->n_series_published, p->series.n, memory_order_relaxed);
    atomic_store_explicit(&p->n_nodes_published, p->sym.nodes.n, memory_order_relaxed);
    atomic_store_explicit(&p->time_min, s->time_min, memory_order_relaxed);
    atomic_store_explicit(&p->time_max, s->time_max, memory_order_relaxed);
    *ret_rows = rows;
    return ST_OK;
}

void block_rows_free(struct block_rows *rows)
{
    segvec_done(&rows->part.rows);
    buf_done(&rows->samples);
    buf_done(&rows->stacked);
    arena_done(&rows->memory);
    mem_free(rows);
}
