/* The samples of a slot stack by stack (model/stack_group.h): what a day's block has in place of
 * most rows' bytes.
 *
 *     rows of a slot ─► groups: same first type, as many types, a bounded number of samples ─► kind
 *     11; what is in no group (spans, a very large row, a type behind the first
 * PART_ROLLUP_TYPES_MAX: a group is one pass over the rows) keeps its bytes in kind 5
 *
 * A group is the rows' numbers in the slot and what stack_group_encode makes of them. A row that is
 * in a group has 0 bytes in the column of kind 2, which no row with samples of its own has. */
#include "store/block_writer_int.h"

#include "base/mem.h"
#include "model/stack_group.h"

enum { RAW_MAX = 1 << 30 };
#define SCRATCH_MAX ((size_t)128 << 20)

/* Writing */

struct stacker {
    const struct part *p;
    const struct row_key *keys; /* of the slot */
    const struct part_types *types;
    uint8_t *stacked; /* of the slot */
    uint32_t n, samples_max;
    uint32_t *numbers; /* of the rows in the group at hand */
    struct stack_group_row *rows;
    uint32_t n_rows;
    const struct block_pause *pause;
    struct arena scratch;
};

static bool takes(const struct stacker *s, const struct part_row *r)
{
    uint32_t n_types = part_series(s->p, r->series)->n_types;
    return s->types->of[r->series][0] < PART_ROLLUP_TYPES_MAX && r->n_samples <= s->samples_max &&
           stack_group_takes(str_make(r->bytes, r->n_bytes), n_types);
}

/* The rows that go with row `first`, from there on; until there are enough samples. */
static void gather(struct stacker *s, uint32_t first)
{
    uint32_t series = s->keys[first].series, samples = 0;
    uint32_t type = s->types->of[series][0], n_types = part_series(s->p, series)->n_types;
    s->n_rows = 0;
    for (uint32_t i = first; i < s->n; i++) {
        const struct part_row *r = part_row(s->p, s->keys[i].row);
        if (s->stacked[i] || s->types->of[r->series][0] != type ||
            part_series(s->p, r->series)->n_types != n_types || !takes(s, r))
            continue;
        if (r->n_samples > s->samples_max - samples)
            return;
        samples += r->n_samples;
        s->stacked[i] = 1;
        s->numbers[s->n_rows] = i;
        s->rows[s->n_rows++] = (struct stack_group_row){
            str_make(r->bytes, r->n_bytes), r->n_samples};
    }
}

static enum status put_group(
    struct stacker *s, uint32_t n_types, struct buf *out, struct error *err)
{
    buf_uvarint(out, s->n_rows);
    for (uint32_t i = 0, lowest = 0; i < s->n_rows; lowest = s->numbers[i++] + 1)
        buf_uvarint(out, s->numbers[i] - lowest);
    arena_reset(&s->scratch);
    return stack_group_encode(s->rows, s->n_rows, n_types, &s->scratch, out, err);
}

static enum status put_groups(struct stacker *s, struct buf *out, struct error *err)
{
    for (uint32_t i = 0; i < s->n; i++) {
        const struct part_row *r = part_row(s->p, s->keys[i].row);
        if (s->stacked[i] || !takes(s, r))
            continue;
        TRY(block_pause(s->pause, err));
        gather(s, i);
        TRY(put_group(s, part_series(s->p, r->series)->n_types, out, err));
    }
    return ST_OK;
}

enum status block_put_stacked(struct block_writer *w, const struct part *p,
    const struct row_keys *keys, const struct part_types *types, uint32_t slot)
{
    uint32_t first = keys->slots[slot], n = keys->slots[slot + 1] - first;
    struct stacker s = {.p = p,
        .keys = keys->v + first,
        .types = types,
        .stacked = keys->stacked + first,
        .n = n,
        .samples_max = w->group_samples,
        .pause = &w->pause};
    if (!w->group_samples)
        return ST_OK;
    s.numbers = mem_new(n * sizeof *s.numbers);
    s.rows = mem_new(n * sizeof *s.rows);
    arena_init(&s.scratch, SCRATCH_MAX);
    buf_clear(&w->raw);
    enum status st = put_groups(&s, &w->raw, w->err);
    arena_done(&s.scratch);
    mem_free(s.rows);
    mem_free(s.numbers);
    TRY(st);
    return w->raw.n ? block_put_section(w, &(struct block_about){BLOCK_STACKED, 0, slot, 1})
                    : ST_OK;
}

/* Reading */

/* The rows of a group by their numbers in the slot; each is in one group and has no other bytes. */
static bool read_numbers(const struct part *p, struct cursor *c, struct part_group *g,
    uint32_t *numbers, uint8_t *grouped)
{
    uint64_t number = 0, all = 0;
    for (uint32_t i = 0; i < g->n_rows; i++, number++) {
        uint64_t step = cursor_uvarint(c);
        if (c->bad || step >= p->rows.n || (number += step) >= p->rows.n)
            return false;
        const struct part_row *r = part_row(p, (uint32_t)number);
        uint32_t n_types = part_series(p, r->series)->n_types;
        g->n_types = i ? g->n_types : n_types;
        if (r->n_bytes || grouped[number] || n_types != g->n_types)
            return false;
        grouped[number] = 1;
        numbers[i] = (uint32_t)number;
        all += r->n_samples;
    }
    g->rows = numbers;
    return all <= STACK_GROUP_SAMPLES_MAX;
}

static enum status read_group(
    struct block_rows *rows, struct cursor *c, uint8_t *grouped, struct error *err)
{
    uint64_t n = cursor_uvarint(c);
    struct part_group *g = VEC_PUSH(&rows->memory, rows->groups);
    if (c->bad || n == 0 || n > cursor_left(c))
        return ST_DATA_LOSS;
    uint32_t *numbers = ARENA_ARRAY(&rows->memory, uint32_t, n);
    if (!g || !numbers)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "out of memory for the samples of many profiles");
    *g = (struct part_group){.n_rows = (uint32_t)n};
    if (!read_numbers(&rows->part, c, g, numbers, grouped))
        return ST_DATA_LOSS;
    return stack_group_take(c, g->n_types, &g->bytes, err);
}

enum status block_load_groups(const struct block_dataset *bd, uint32_t slot,
    struct block_rows *rows, uint8_t *grouped, struct error *err)
{
    const struct block_section *s = block_section(bd, BLOCK_STACKED, 0, slot);
    if (!s)
        return ST_OK;
    TRY(block_section_read(bd, s, &rows->stacked, err));
    struct cursor c = cursor_make(buf_view(&rows->stacked));
    while (cursor_left(&c))
        TRY(read_group(rows, &c, grouped, err));
    rows->part.groups = rows->groups.v;
    rows->part.n_groups = rows->groups.n;
    return ST_OK;
}

static enum status unstack(
    struct block_rows *rows, const struct part_group *g, struct arena *scratch, struct error *err)
{
    struct part *p = &rows->part;
    uint32_t *n_samples = ARENA_ARRAY(scratch, uint32_t, g->n_rows);
    uint32_t *bytes = ARENA_ARRAY(scratch, uint32_t, g->n_rows);
    if (!n_samples || !bytes)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "out of memory for the samples of many profiles");
    for (uint32_t i = 0; i < g->n_rows; i++)
        n_samples[i] = part_row(p, g->rows[i])->n_samples;
    TRY(stack_group_decode(g->bytes, n_samples, g->n_rows, g->n_types, p->sym.nodes.n, scratch,
        &rows->samples, bytes, err));
    for (uint32_t i = 0; i < g->n_rows; i++)
        SEGVEC_AT(&p->rows, struct part_row, g->rows[i])->n_bytes = bytes[i];
    return ST_OK;
}

/* The buffer moves while it grows: rows point into it when all is there. */
enum status block_unstack(struct block_rows *rows, struct error *err)
{
    struct part *p = &rows->part;
    size_t at = rows->samples.n;
    struct arena scratch;
    enum status st = ST_OK;
    arena_init(&scratch, SCRATCH_MAX);
    for (uint32_t i = 0; i < p->n_groups && st == ST_OK; i++) {
        arena_reset(&scratch);
        st = unstack(rows, &p->groups[i], &scratch, err);
    }
    arena_done(&scratch);
    TRY(st);
    for (uint32_t i = 0; i < p->n_groups; i++)
        for (uint32_t k = 0; k < p->groups[i].n_rows; k++) {
            struct part_row *r = SEGVEC_AT(&p->rows, struct part_row, p->groups[i].rows[k]);
            r->bytes = (const uint8_t *)rows->samples.p + at;
            at += r->n_bytes;
        }
    p->groups = NULL;
    p->n_groups = 0;
    buf_done(&rows->stacked);
    return ST_OK;
}
