/* Reading a block to the last byte: what `everflame storage verify` does, and the start with a
 * block that lost its marker.
 *
 * Every section and chunk is read against its checksum. Rows and samples are decoded and must add
 * up to what the directory says; roll-ups are read from the root to the leaves, and what they sum
 * must be what the rows sum. */
#include "store/block_int.h"

#include "base/mem.h"
#include "model/function_table.h"
#include "store/rollup_int.h"

struct verifier {
    const struct block_dataset *bd;
    const struct part *stacks;
    uint64_t rows, samples;
    struct error *err;
};

static enum status wrong(const struct block_dataset *bd, const char *what, struct error *err)
{
    FAIL(err, ST_DATA_LOSS, "block %s is damaged: %s of service %.*s", bd->block->path, what,
        STR_ARG(bd->service));
}

static enum status verify_row(struct verifier *v, const struct part_slot *slot,
    const struct part *p, const struct part_row *r)
{
    uint32_t n, n_types = part_series(p, r->series)->n_types;
    int64_t totals[SAMPLE_TYPES_MAX];
    if (samples_check(str_make(r->bytes, r->n_bytes), n_types, part_nodes(p), &n, totals, NULL) !=
        ST_OK)
        return wrong(v->bd, "the samples of a row", v->err);
    if (n != r->n_samples || memcmp(totals, r->totals, n_types * sizeof *totals) != 0)
        return wrong(v->bd, "a total", v->err);
    if (r->time_ns < slot->time_min || r->time_ns > slot->time_max ||
        r->seq > v->bd->block->seq_max)
        return wrong(v->bd, "the time or number of a row", v->err);
    uint32_t seen = atomic_load_explicit(
        &part_series(p, r->series)->types_seen, memory_order_relaxed);
    for (uint32_t k = 0; k < n_types; k++)
        if (r->totals[k] > 0 && !(seen >> k & 1))
            return wrong(v->bd, "what a series has", v->err);
    v->samples += n;
    return ST_OK;
}

static enum status verify_slot(struct verifier *v, uint32_t slot)
{
    struct block_rows *rows;
    int64_t time_min = INT64_MAX, time_max = INT64_MIN;
    enum status st = ST_OK;
    v->samples = 0;
    TRY(block_load_rows(v->bd, slot, BLOCK_BY_ROW, v->stacks, &rows, v->err));
    for (uint32_t i = 0; i < rows->part.rows.n && st == ST_OK; i++) {
        const struct part_row *r = part_row(&rows->part, i);
        st = verify_row(v, &v->bd->slots[slot], &rows->part, r);
        time_min = MIN(time_min, r->time_ns);
        time_max = MAX(time_max, r->time_ns);
    }
    block_rows_free(rows);
    TRY(st);
    const struct part_slot *s = &v->bd->slots[slot];
    if (v->samples != s->n_samples || time_min != s->time_min || time_max != s->time_max)
        return wrong(v->bd, "the directory's entry", v->err);
    return ST_OK;
}

static enum status verify_type_names(struct verifier *v)
{
    const struct block_dataset *bd = v->bd;
    struct buf text;
    bool same = true;
    buf_init(&text, GIB);
    for (uint32_t i = 0; bd->type_names && i < bd->rollups.n_types; i++) {
        buf_clear(&text);
        part_type_name(&v->stacks->sym, bd->rollups.types[i], &text);
        same = same && str_eq(buf_view(&text), bd->block->type_names[bd->type_names[i]]);
    }
    buf_done(&text);
    return same ? ST_OK : wrong(bd, "the name of a type", v->err);
}

/* Kinds that this version does not know: their checks at least. */
static enum status verify_unknown(struct verifier *v)
{
    for (uint32_t i = 0; i < v->bd->n_sections; i++) {
        const struct block_section *s = &v->bd->sections[i];
        struct buf raw;
        if (s->kind < BLOCK_KINDS)
            continue;
        struct block_range r = {s->offset, s->stored_bytes, s->stored_bytes, s->check, BLOCK_PLAIN};
        if (s->codec == BLOCK_CHUNKS)
            r.stored_bytes = r.raw_bytes = s->raw_bytes;
        buf_init(&raw, GIB);
        enum status st = block_range_read(v->bd, &r, "a section", &raw, v->err);
        buf_done(&raw);
        TRY(st);
    }
    return ST_OK;
}

static enum status verify_dataset(
    const struct block_dataset *bd, int64_t *time_min, int64_t *time_max, struct error *err)
{
    struct dataset *ds;
    TRY(block_load(bd, true, &ds, err));
    struct verifier v = {.bd = bd, .stacks = &ds->part, .err = err};
    enum status st = ST_OK;
    for (uint32_t i = 0; i < bd->n_slots && st == ST_OK; i++)
        st = verify_slot(&v, i);
    if (st == ST_OK)
        st = rollups_verify(bd, &ds->part, err);
    if (st == ST_OK)
        st = verify_type_names(&v);
    if (st == ST_OK)
        st = verify_unknown(&v);
    dataset_free(ds);
    *time_min = MIN(*time_min, bd->time_min);
    *time_max = MAX(*time_max, bd->time_max);
    return st;
}

enum status block_verify(const struct block *b, struct error *err)
{
    int64_t time_min = INT64_MAX, time_max = INT64_MIN;
    for (uint32_t i = 0; i < b->n_datasets; i++)
        TRY(verify_dataset(&b->datasets[i], &time_min, &time_max, err));
    if (time_min != b->time_min || time_max != b->time_max)
        FAIL(err, ST_DATA_LOSS, "block %s is damaged: its times", b->path);
    return ST_OK;
}
