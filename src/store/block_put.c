/* A dataset becomes sections of a block.
 *
 *     digest · strings · series · seen · symbols · nodes · stacks, rows and samples of each slot ·
 *     roll-ups
 *
 * Rows are written slot by slot, a slot being an hour that has any, by series and time, as columns,
 * so that they compress, and so that a question about an hour of a large block reads that hour. */
#include "store/block_writer_int.h"

#include "base/mem.h"
#include "store/frame_int.h"

enum { RAW_MAX = 1 << 30 };

static int cmp_row_keys(const void *pa, const void *pb)
{
    const struct row_key *a = pa, *b = pb;
    if (a->hour_ns != b->hour_ns)
        return a->hour_ns < b->hour_ns ? -1 : 1;
    if (a->series != b->series)
        return a->series < b->series ? -1 : 1;
    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static void sort_rows(const struct part *p, uint32_t n, struct row_keys *keys)
{
    keys->v = mem_new(n * sizeof *keys->v);
    keys->slots = mem_new((n + (size_t)1) * sizeof *keys->slots);
    keys->stacked = mem_new(n + (size_t)1);
    keys->n = n;
    for (uint32_t i = 0; i < n; i++) {
        const struct part_row *r = part_row(p, i);
        keys->v[i] = (struct row_key){block_hour(r->time_ns), r->time_ns, r->series, i};
    }
    qsort(keys->v, n, sizeof *keys->v, cmp_row_keys);
    for (uint32_t i = 0; i < n; i++)
        if (i == 0 || keys->v[i].hour_ns != keys->v[i - 1].hour_ns)
            keys->slots[keys->n_slots++] = i;
    keys->slots[keys->n_slots] = n;
}

/* One column after the other; a series keeps how many totals its rows have. */
static void put_row_columns(struct buf *out, const struct part *p, const struct row_key *keys,
    const uint8_t *stacked, uint32_t n)
{
    uint64_t last = 0;
    buf_uvarint(out, n);
    for (uint32_t i = 0; i < n; last = keys[i++].series)
        buf_uvarint(out, keys[i].series - last);
    last = 0;
    for (uint32_t i = 0; i < n; last = (uint64_t)keys[i++].time_ns)
        buf_svarint(out, (int64_t)((uint64_t)keys[i].time_ns - last));
    last = 0;
    for (uint32_t i = 0; i < n; last = part_row(p, keys[i++].row)->seq)
        buf_svarint(out, (int64_t)(part_row(p, keys[i].row)->seq - last));
    for (uint32_t i = 0; i < n; i++)
        buf_uvarint(out, stacked[i] ? 0 : part_row(p, keys[i].row)->n_bytes);
    for (uint32_t i = 0; i < n; i++)
        buf_uvarint(out, part_row(p, keys[i].row)->n_samples);
    for (uint32_t i = 0; i < n; i++) {
        const struct part_row *r = part_row(p, keys[i].row);
        for (uint32_t k = 0; k < part_series(p, r->series)->n_types; k++)
            buf_uvarint(out, (uint64_t)r->totals[k]);
    }
}

static void put_samples(struct buf *out, const struct part *p, const struct row_key *keys,
    const uint8_t *stacked, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct part_row *r = part_row(p, keys[i].row);
        buf_add(out, r->bytes, stacked[i] ? 0 : r->n_bytes);
    }
}

static enum status put_slot(struct block_writer *w, const struct part *p,
    const struct row_keys *keys, const struct part_types *types, uint32_t slot)
{
    uint32_t first = keys->slots[slot], n = keys->slots[slot + 1] - first;
    TRY(block_put_stacked(w, p, keys, types, slot));
    buf_clear(&w->raw);
    put_row_columns(&w->raw, p, keys->v + first, keys->stacked + first, n);
    TRY(block_put_section(w, &(struct block_about){BLOCK_ROWS, 0, slot, 1}));
    buf_clear(&w->raw);
    put_samples(&w->raw, p, keys->v + first, keys->stacked + first, n);
    return block_put_section(w, &(struct block_about){BLOCK_SAMPLES, 0, slot, 1});
}

/* Only of the rows that are written: a dataset may have others that are not published yet. */
static void put_seen(struct buf *out, const struct part *p, const struct row_keys *keys)
{
    uint8_t *seen = mem_new(p->series.n + (size_t)1);
    for (uint32_t i = 0; i < keys->n; i++) {
        const struct part_row *r = part_row(p, keys->v[i].row);
        for (uint32_t k = 0; k < part_series(p, r->series)->n_types; k++)
            seen[r->series] |= (uint8_t)((r->totals[k] > 0) << k);
    }
    buf_add(out, seen, p->series.n);
    mem_free(seen);
}

static enum status put_symbols(
    struct block_writer *w, const struct dataset *ds, const struct row_keys *keys)
{
    const struct part *p = &ds->part;
    struct dataset *empty = dataset_new(NULL, 0, p->tenant, p->service);
    const struct marks from = dataset_marks(empty), to = dataset_marks(ds);
    static const enum block_kind order[] = {
        BLOCK_STRINGS, BLOCK_SERIES, BLOCK_SEEN, BLOCK_SYMBOLS, BLOCK_NODES};
    enum status st = ST_OK;
    for (size_t i = 0; i < ARRAY_LEN(order) && st == ST_OK; i++) {
        buf_clear(&w->raw);
        if (order[i] == BLOCK_STRINGS)
            frame_put_strings(&w->raw, &p->sym, from.sym.strings, to.sym.strings);
        else if (order[i] == BLOCK_SERIES)
            frame_put_series(&w->raw, p, 0, to.series);
        else if (order[i] == BLOCK_SEEN)
            put_seen(&w->raw, p, keys);
        else if (order[i] == BLOCK_SYMBOLS)
            frame_put_symbols(&w->raw, &p->sym, &from.sym, &to.sym);
        else
            frame_put_nodes(&w->raw, &p->sym, from.sym.nodes, to.sym.nodes);
        st = block_put_section(w, &(struct block_about){.kind = order[i]});
    }
    dataset_free(empty);
    return st;
}

static void put_slot_entry(
    struct block_writer *w, const struct part *p, const struct row_keys *keys, uint32_t slot)
{
    struct part_slot s = {INT64_MAX, INT64_MIN, 0, 0};
    for (uint32_t i = keys->slots[slot]; i < keys->slots[slot + 1]; i++) {
        const struct part_row *r = part_row(p, keys->v[i].row);
        s.time_min = MIN(s.time_min, r->time_ns);
        s.time_max = MAX(s.time_max, r->time_ns);
        s.n_rows++;
        s.n_samples += r->n_samples;
        w->seq_max = MAX(w->seq_max, r->seq);
    }
    buf_svarint(&w->directory, s.time_min);
    buf_svarint(&w->directory, s.time_max);
    buf_uvarint(&w->directory, s.n_rows);
    buf_uvarint(&w->directory, s.n_samples);
    w->time_min = MIN(w->time_min, s.time_min);
    w->time_max = MAX(w->time_max, s.time_max);
}

/* Its five ids in the dataset, and which of the block's names it has. */
static void put_type(struct block_writer *w, const struct part *p, const uint32_t *ids)
{
    struct buf text;
    buf_init(&text, RAW_MAX);
    part_type_name(&p->sym, ids, &text);
    uint32_t name = rollup_names_id(&w->type_names, buf_view(&text));
    for (uint32_t k = 0; k < PART_TYPE_IDS; k++)
        buf_uvarint(&w->directory, ids[k]);
    buf_uvarint(&w->directory, name);
    w->directory.failed |= text.failed || name == SYM_NONE;
    buf_done(&text);
}

static void put_entry(struct block_writer *w, const struct part *p, const struct row_keys *keys,
    const struct part_types *types)
{
    struct buf *d = &w->directory;
    buf_uvarint(d, p->service.n);
    buf_str(d, p->service);
    buf_uvarint(d, p->series.n);
    buf_uvarint(d, keys->n_slots);
    for (uint32_t i = 0; i < keys->n_slots; i++)
        put_slot_entry(w, p, keys, i);
    buf_uvarint(d, types->n);
    for (uint32_t i = 0; i < types->n; i++)
        put_type(w, p, types->ids[i]);
    buf_uvarint(d, w->n_sections);
    buf_str(d, buf_view(&w->sections));
    w->n_datasets++;
}

static enum status put_sections(struct block_writer *w, const struct dataset *ds,
    const struct row_keys *keys, const struct part_types *types)
{
    TRY(put_symbols(w, ds, keys));
    for (uint32_t i = 0; i < keys->n_slots; i++)
        TRY(put_slot(w, &ds->part, keys, types, i));
    return block_put_rollups(w, &ds->part, keys, types);
}

enum status block_put_dataset(struct block_writer *w, const struct dataset *ds, uint32_t n)
{
    struct row_keys keys = {0};
    struct part_types types;
    enum status st = part_types_find(&ds->part, &types, w->err);
    if (st == ST_OK) {
        sort_rows(&ds->part, n, &keys);
        st = put_sections(w, ds, &keys, &types);
    }
    if (st == ST_OK)
        put_entry(w, &ds->part, &keys, &types);
    block_put_next(w);
    part_types_done(&types);
    mem_free(keys.v);
    mem_free(keys.slots);
    mem_free(keys.stacked);
    return st;
}
