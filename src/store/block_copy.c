/* Copying rows of an hour into a dataset of their own, with only the symbols they need.
 *
 *     row ─► node ─► location ─► function ─► string        each mapped once, by a table per id
 * space
 *
 * Ids of the copy are new; two elements that are equal (what stands for lost stacks) become one.
 * Runs in the cut, on a sealed epoch, and in merges: nothing changes below it. */
#include "store/block_int.h"

#include "base/mem.h"

enum { ROW_BYTES_MAX = 1 << 30, PAUSE_BYTES = 1 << 15 };

struct copy {
    const struct part *from;
    struct dataset *to;
    uint32_t *strings, *functions, *mappings, *locations, *nodes, *series;
    uint32_t *way; /* of copy_node */
    struct arena arena, row;
    struct buf bytes;
    struct error *err;
};

static enum status copy_full(struct copy *c)
{
    FAIL(c->err, ST_RESOURCE_EXHAUSTED, "out of memory while cutting a block");
}

static uint32_t copy_string(struct copy *c, uint32_t i)
{
    if (c->strings[i] == SYM_NONE)
        c->strings[i] = symtab_string(&c->to->part.sym, sym_string(&c->from->sym, i));
    ASSERT(c->strings[i] != SYM_NONE);
    return c->strings[i];
}

static uint32_t copy_function(struct copy *c, uint32_t i)
{
    if (c->functions[i] == SYM_NONE) {
        struct sym_function f = *sym_function(&c->from->sym, i);
        f.name = copy_string(c, f.name);
        f.system_name = copy_string(c, f.system_name);
        f.filename = copy_string(c, f.filename);
        c->functions[i] = symtab_function(&c->to->part.sym, &f);
    }
    ASSERT(c->functions[i] != SYM_NONE);
    return c->functions[i];
}

static uint32_t copy_mapping(struct copy *c, uint32_t i)
{
    if (i == SYM_NONE)
        return SYM_NONE;
    if (c->mappings[i] == SYM_NONE) {
        struct sym_mapping m = *sym_mapping(&c->from->sym, i);
        m.filename = copy_string(c, m.filename);
        m.build_id = copy_string(c, m.build_id);
        c->mappings[i] = symtab_mapping(&c->to->part.sym, &m);
    }
    ASSERT(c->mappings[i] != SYM_NONE);
    return c->mappings[i];
}

static uint32_t copy_location(struct copy *c, uint32_t i)
{
    if (c->locations[i] == SYM_NONE) {
        struct sym_location loc = *sym_location(&c->from->sym, i);
        struct sym_line *lines = mem_new(loc.n_lines * sizeof *lines);
        for (uint32_t k = 0; k < loc.n_lines; k++) {
            lines[k] = *sym_line(&c->from->sym, loc.first_line + k);
            lines[k].function = copy_function(c, lines[k].function);
        }
        loc.mapping = copy_mapping(c, loc.mapping);
        c->locations[i] = symtab_location(&c->to->part.sym, &loc, lines, loc.n_lines);
        mem_free(lines);
    }
    ASSERT(c->locations[i] != SYM_NONE);
    return c->locations[i];
}

/* Up to the first known ancestor, noting the way, then down again: stacks may be deep. */
static uint32_t copy_node(struct copy *c, uint32_t node)
{
    uint32_t depth = 0;
    for (uint32_t up = node; c->nodes[up] == SYM_NONE; up = sym_node(&c->from->sym, up).parent)
        c->way[depth++] = up;
    while (depth) {
        uint32_t n = c->way[--depth];
        struct sym_node from = sym_node(&c->from->sym, n);
        c->nodes[n] = symtab_node(
            &c->to->part.sym, c->nodes[from.parent], copy_location(c, from.location));
        ASSERT(c->nodes[n] != SYM_NONE);
    }
    return c->nodes[node];
}

static uint32_t copy_series(struct copy *c, uint32_t i)
{
    if (c->series[i] == UINT32_MAX) {
        const struct part_series *s = part_series(c->from, i);
        uint32_t n = part_series_n_ids(s), *ids = mem_new(n * sizeof *ids);
        for (uint32_t k = 0; k < n; k++)
            ids[k] = copy_string(c, s->ids[k]);
        c->series[i] = dataset_series(c->to, ids, s->n_labels, s->n_types, true);
        mem_free(ids);
    }
    ASSERT(c->series[i] != UINT32_MAX);
    return c->series[i];
}

static enum status copy_row(struct copy *c, const struct part_row *from)
{
    struct part_row r = *from;
    uint32_t n_types = part_series(c->from, r.series)->n_types;
    struct sample_in *v = ARENA_ZARRAY(&c->row, struct sample_in, r.n_samples);
    if (!v)
        return copy_full(c);
    for (uint32_t k = 0; k < n_types; k++) {
        struct samples s;
        TRY(samples_decode(str_make(from->bytes, from->n_bytes), n_types, k, &c->row, &s, c->err));
        for (uint32_t i = 0; i < s.n; i++) {
            v[i].node = k ? v[i].node : copy_node(c, s.nodes[i]);
            v[i].values[k] = s.values[i];
            v[i].span = s.spans ? s.spans[i] : 0;
            v[i].trace_hi = s.trace_hi ? s.trace_hi[i] : 0;
            v[i].trace_lo = s.trace_lo ? s.trace_lo[i] : 0;
        }
    }
    buf_clear(&c->bytes);
    TRY(samples_encode(v, &r.n_samples, n_types, &c->row, &c->bytes, r.totals, c->err));
    r.series = copy_series(c, r.series);
    r.bytes = (const uint8_t *)c->bytes.p;
    r.n_bytes = (uint32_t)c->bytes.n;
    return dataset_row(c->to, &r) ? ST_OK : copy_full(c);
}

static enum status copy_tables(struct copy *c)
{
    const struct symtab *sym = &c->from->sym;
    const uint32_t n[] = {sym->strings.n, sym->functions.n, sym->mappings.n, sym->locations.n,
        sym->nodes.n, c->from->series.n, sym->nodes.n};
    uint32_t **tables[] = {
        &c->strings, &c->functions, &c->mappings, &c->locations, &c->nodes, &c->series, &c->way};
    for (size_t i = 0; i < ARRAY_LEN(n); i++) {
        *tables[i] = ARENA_ARRAY(&c->arena, uint32_t, n[i]);
        if (!*tables[i])
            return copy_full(c);
        memset(*tables[i], 0xFF, n[i] * sizeof **tables[i]);
    }
    c->nodes[0] = 0;
    return ST_OK;
}

enum status block_copy_rows(const struct part *from, int64_t hour_ns, uint32_t *at, size_t bytes,
    const struct block_pause *pause, struct dataset *to, struct error *err)
{
    struct copy c = {.from = from, .to = to, .err = err};
    arena_init(&c.arena, 4 * GIB);
    arena_init(&c.row, 4 * GIB);
    buf_init(&c.bytes, ROW_BYTES_MAX);
    enum status st = copy_tables(&c);
    uint32_t n = part_rows(from), i = *at;
    size_t paused = 0;
    for (size_t copied = 0; i < n && copied < bytes && st == ST_OK; i++) {
        const struct part_row *r = part_row(from, i);
        if (block_hour(r->time_ns) != hour_ns)
            continue;
        arena_reset(&c.row);
        st = copy_row(&c, r);
        copied += r->n_bytes + 1;
        if (st == ST_OK && copied - paused > PAUSE_BYTES) {
            paused = copied;
            st = block_pause(pause, err);
        }
    }
    *at = i;
    buf_done(&c.bytes);
    arena_done(&c.row);
    arena_done(&c.arena);
    return st;
}
