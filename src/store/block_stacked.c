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
        .samples_max = w->group_samples};
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

struct unstacker {
    struct part *p;
    struct buf *samples; /* where rows' bytes go */
    size_t *places;      /* by row: where its bytes begin there */
    struct arena scratch;
    struct error *err;
};

/* The rows of the next group: their numbers, how many samples each has. False: there are no such
 * rows, or a group may not be that large. */
static bool read_numbers(
    struct unstacker *u, struct cursor *c, uint32_t n, uint32_t *numbers, uint32_t *n_samples)
{
    uint64_t number = 0, all = 0;
    for (uint32_t i = 0; i < n; i++, number++) {
        uint64_t step = cursor_uvarint(c);
        if (step >= u->p->rows.n || (number += step) >= u->p->rows.n)
            return false;
        const struct part_row *r = part_row(u->p, (uint32_t)number);
        numbers[i] = (uint32_t)number;
        n_samples[i] = r->n_samples;
        all += r->n_samples;
        if (r->n_bytes || part_series(u->p, r->series)->n_types !=
                              part_series(u->p, part_row(u->p, numbers[0])->series)->n_types)
            return false;
    }
    return !c->bad && all <= STACK_GROUP_SAMPLES_MAX;
}

static enum status read_group(struct unstacker *u, struct cursor *c)
{
    uint64_t n = cursor_uvarint(c);
    if (c->bad || n == 0 || n > cursor_left(c))
        return ST_DATA_LOSS;
    arena_reset(&u->scratch);
    uint32_t *numbers = ARENA_ARRAY(&u->scratch, uint32_t, n);
    uint32_t *n_samples = ARENA_ARRAY(&u->scratch, uint32_t, n);
    uint32_t *bytes = ARENA_ARRAY(&u->scratch, uint32_t, n);
    if (!numbers || !n_samples || !bytes)
        FAIL(u->err, ST_RESOURCE_EXHAUSTED, "out of memory for the samples of many profiles");
    if (!read_numbers(u, c, (uint32_t)n, numbers, n_samples))
        return ST_DATA_LOSS;
    uint32_t n_types = part_series(u->p, part_row(u->p, numbers[0])->series)->n_types;
    size_t at = u->samples->n;
    TRY(stack_group_decode(c, n_samples, (uint32_t)n, n_types, u->p->sym.nodes.n, &u->scratch,
        u->samples, bytes, u->err));
    for (uint32_t i = 0; i < n; i++) {
        struct part_row *r = SEGVEC_AT(&u->p->rows, struct part_row, numbers[i]);
        r->n_bytes = bytes[i];
        u->places[numbers[i]] = at;
        at += bytes[i];
    }
    return ST_OK;
}

static enum status read_groups(
    struct unstacker *u, const struct block_dataset *bd, const struct block_section *s)
{
    struct buf raw;
    buf_init(&raw, RAW_MAX);
    arena_init(&u->scratch, SCRATCH_MAX);
    enum status st = block_section_read(bd, s, &raw, u->err);
    struct cursor c = cursor_make(buf_view(&raw));
    while (st == ST_OK && cursor_left(&c))
        st = read_group(u, &c);
    arena_done(&u->scratch);
    buf_done(&raw);
    return st;
}

enum status block_load_stacked(const struct block_dataset *bd, uint32_t slot, struct part *p,
    struct buf *samples, struct error *err)
{
    const struct block_section *s = block_section(bd, BLOCK_STACKED, 0, slot);
    struct unstacker u = {.p = p, .samples = samples, .err = err};
    if (!s)
        return ST_OK;
    u.places = mem_try((p->rows.n + (size_t)1) * sizeof *u.places);
    if (!u.places)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for the samples of block %s", bd->block->path);
    memset(u.places, 0xFF, p->rows.n * sizeof *u.places);
    enum status st = read_groups(&u, bd, s);
    for (uint32_t i = 0; i < p->rows.n && st == ST_OK; i++)
        if (u.places[i] != SIZE_MAX)
            SEGVEC_AT(&p->rows, struct part_row, i)->bytes = (const uint8_t *)samples->p +
                                                             u.places[i];
    mem_free(u.places);
    return st;
}
