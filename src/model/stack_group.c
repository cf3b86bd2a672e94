/* Rows' samples to stacks: see stack_group.h.
 *
 *     rows ─► (node, row, values), sorted by node, stable ─► runs of equal nodes ─► columns
 *
 * Keys of node and place are sorted by radix; values stay where they are. Nothing is kept; all
 * scratch lies in the caller's arena. */
#include "model/stack_group.h"

#include "base/mem.h"
#include "model/samples_int.h"

enum { ROW_BYTES_MAX = 1 << 30 };

struct grouper {
    uint32_t n, n_types, n_runs;
    uint64_t *keys;   /* node << 32 | place */
    uint32_t *row_of; /* by place, as the values */
    int64_t *values[SAMPLE_TYPES_MAX];
    uint64_t units[SAMPLE_TYPES_MAX];
};

static enum status no_memory(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "out of memory for the samples of many profiles");
}

bool stack_group_takes(struct str bytes, uint32_t n_types)
{
    struct cursor c = cursor_make(bytes);
    uint64_t n = cursor_uvarint(&c), head = cursor_uvarint(&c);
    return !c.bad && n > 0 && n <= STACK_GROUP_SAMPLES_MAX && head == (uint64_t)n_types << 2;
}

static enum status take_row(struct grouper *g, const struct stack_group_row *r, uint32_t row,
    struct arena *arena, struct error *err)
{
    struct samples s = {0};
    for (uint32_t k = 0; k < g->n_types; k++) {
        TRY(samples_decode(r->bytes, g->n_types, k, arena, &s, err));
        ASSERT(s.n == r->n_samples);
        memcpy(g->values[k] + g->n, s.values, s.n * sizeof *s.values);
    }
    for (uint32_t i = 0; i < s.n; i++) {
        g->keys[g->n] = (uint64_t)s.nodes[i] << 32 | g->n;
        g->row_of[g->n++] = row;
    }
    return ST_OK;
}

static enum status take_rows(
    struct grouper *g, const struct stack_group_row *rows, uint32_t n, struct error *err)
{
    struct arena arena;
    enum status st = ST_OK;
    arena_init(&arena, ROW_BYTES_MAX);
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        arena_reset(&arena);
        st = take_row(g, &rows[i], i, &arena, err);
    }
    arena_done(&arena);
    return st;
}

static void divide_by_unit(struct grouper *g, uint32_t type)
{
    uint64_t unit = 0;
    int64_t *v = g->values[type];
    for (uint32_t i = 0; i < g->n && unit != 1; i++)
        unit = samples_gcd((uint64_t)v[i], unit);
    g->units[type] = unit;
    for (uint32_t i = 0; i < g->n && unit > 1; i++)
        v[i] = (int64_t)((uint64_t)v[i] / unit);
}

static uint32_t node_at(const struct grouper *g, uint32_t i)
{
    return (uint32_t)(g->keys[i] >> 32);
}

/* The end of the run of equal nodes that begins at i. */
static uint32_t run_end(const struct grouper *g, uint32_t i)
{
    uint32_t node = node_at(g, i);
    while (++i < g->n && node_at(g, i) == node)
        ;
    return i;
}

#define EACH_RUN(g, i, end) \
    for (uint32_t i = 0, end; i < (g)->n && (end = run_end((g), i)) > 0; i = end)

static void put_runs(struct grouper *g, struct buf *out)
{
    uint32_t lowest = 0;
    struct samples_column c = samples_column_begin(out);
    EACH_RUN(g, i, end)
    {
        buf_uvarint(out, node_at(g, i) - lowest);
        lowest = node_at(g, i) + 1;
    }
    samples_column_end(out, c);
    c = samples_column_begin(out);
    EACH_RUN(g, i, end) buf_uvarint(out, end - i - 1);
    samples_column_end(out, c);
    c = samples_column_begin(out);
    EACH_RUN(g, i, end)
    {
        lowest = 0;
        for (uint32_t p = i; p < end; p++) {
            uint32_t row = g->row_of[(uint32_t)g->keys[p]];
            buf_uvarint(out, row - lowest);
            lowest = row + 1;
        }
    }
    samples_column_end(out, c);
}

static uint64_t value_at(const struct grouper *g, uint32_t type, uint32_t i)
{
    return (uint64_t)g->values[type][(uint32_t)g->keys[i]];
}

static uint64_t base_at(const struct grouper *g, uint32_t type, uint32_t i)
{
    return type ? value_at(g, type - 1, i) : 1;
}

/* 0: there is none. */
static uint64_t factor_of(const struct grouper *g, uint32_t type, uint32_t i, uint32_t end)
{
    uint64_t base = base_at(g, type, i), first = value_at(g, type, i), product;
    if (base == 0 || first % base)
        return 0;
    uint64_t factor = first / base;
    while (++i < end)
        if (__builtin_mul_overflow(factor, base_at(g, type, i), &product) ||
            product != value_at(g, type, i))
            return 0;
    return factor;
}

static void put_values(struct grouper *g, uint32_t type, uint64_t *factors, struct buf *out)
{
    uint32_t run = 0;
    struct samples_column c = samples_column_begin(out);
    EACH_RUN(g, i, end)
    {
        factors[run] = factor_of(g, type, i, end);
        buf_uvarint(out, factors[run++]);
    }
    samples_column_end(out, c);
    run = 0;
    c = samples_column_begin(out);
    EACH_RUN(g, i, end)
    if (!factors[run++])
        for (uint32_t p = i; p < end; p++)
            buf_uvarint(out, value_at(g, type, p));
    samples_column_end(out, c);
}

/* Sorts what was taken. */
static bool sort(struct grouper *g, struct arena *scratch)
{
    uint32_t largest = 0;
    uint64_t *other = ARENA_ARRAY(scratch, uint64_t, g->n);
    if (!other)
        return false;
    for (uint32_t i = 0; i < g->n; i++)
        largest = MAX(largest, node_at(g, i));
    g->keys = samples_radix_sort(g->keys, other, g->n, largest);
    EACH_RUN(g, i, end) g->n_runs++;
    return true;
}

enum status stack_group_encode(const struct stack_group_row *rows, uint32_t n, uint32_t n_types,
    struct arena *scratch, struct buf *out, struct error *err)
{
    struct grouper g = {.n_types = n_types};
    size_t all = 0;
    for (uint32_t i = 0; i < n; i++)
        all += rows[i].n_samples;
    ASSERT(all > 0 && all <= STACK_GROUP_SAMPLES_MAX);
    g.keys = ARENA_ARRAY(scratch, uint64_t, all);
    g.row_of = ARENA_ARRAY(scratch, uint32_t, all);
    for (uint32_t k = 0; k < n_types; k++)
        g.values[k] = ARENA_ARRAY(scratch, int64_t, all);
    if (scratch->full)
        return no_memory(err);
    TRY(take_rows(&g, rows, n, err));
    uint64_t *factors = ARENA_ARRAY(scratch, uint64_t, all);
    if (!factors || !sort(&g, scratch))
        return no_memory(err);
    buf_uvarint(out, g.n_runs);
    buf_uvarint(out, n_types);
    for (uint32_t k = 0; k < n_types; k++) {
        divide_by_unit(&g, k);
        buf_uvarint(out, g.units[k]);
    }
    put_runs(&g, out);
    for (uint32_t k = 0; k < n_types; k++)
        if (g.units[k])
            put_values(&g, k, factors, out);
    if (out->failed)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the samples of many profiles need more than %zu bytes",
            out->limit);
    return ST_OK;
}
