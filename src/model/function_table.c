/* Function tables: see function_table.h; the bytes are in docs/formats/rollup.md.
 *
 * A total must not count what is below another node of the same name. The tree is walked depth
 * first, counting per name how many of its nodes are open; a node adds its total if it opens the
 * first one.
 *
 *     bytes = uvarint rows, uvarint unit, then per column one uvarint per row
 *     columns: name (difference to the one before, less one), self / unit, (total − self) / unit
 *
 * Invariants of a table: names rise; selfs are not negative and add up to the table's total; a row
 * has at least its self and at most the table's total. Reading checks them. Memory: arenas, and the
 * index of a sum on the heap, which its arena's limit bounds. One thread. */
#include "model/function_table.h"

#include <stdlib.h>

#include "base/hash.h"

#define DAMAGED(err, what) FAIL((err), ST_DATA_LOSS, "damaged function table: " what)

static enum status no_memory(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "function tables exceed the memory of the query");
}

/* Making */

/* Per name of the tree. */
struct tally {
    int64_t self, total;
    uint32_t open; /* nodes on the way from the root to where the walk is */
    bool any;
};

static void enter(struct tally *tally, const struct name_node *node)
{
    tally->any = true;
    tally->self += node->self;
    if (tally->open++ == 0)
        tally->total += node->total;
}

/* cursors[i]: how many children of node i have been walked. */
static void walk(const struct nametree *t, struct tally *tallies, uint32_t *cursors)
{
    for (uint32_t at = 0;;) {
        const struct name_node *node = &t->nodes[at];
        if (cursors[at] < node->n_children) {
            at = t->children[node->first_child + cursors[at]++];
            enter(&tallies[t->nodes[at].name], &t->nodes[at]);
            continue;
        }
        if (at == 0)
            return;
        tallies[node->name].open--;
        at = node->parent;
    }
}

enum status function_table_make(const struct nametree *t, struct arena *arena,
    struct function_table *ret_table, struct error *err)
{
    ASSERT(t->finished && !t->rest);
    struct tally *tallies = ARENA_ZARRAY(arena, struct tally, t->n_names);
    uint32_t *cursors = tallies ? ARENA_ZARRAY(arena, uint32_t, t->n_nodes) : NULL;
    if (!cursors)
        return no_memory(err);
    walk(t, tallies, cursors);
    struct function_table table = {.total = t->nodes[0].total};
    for (uint32_t k = 0; k < t->n_names; k++)
        table.n += tallies[k].any;
    table.v = ARENA_ARRAY(arena, struct function_row, table.n);
    if (!table.v)
        return no_memory(err);
    struct function_row *row = table.v;
    for (uint32_t k = 0; k < t->n_names; k++)
        if (tallies[k].any)
            *row++ = (struct function_row){tallies[k].self, tallies[k].total, k};
    *ret_table = table;
    return ST_OK;
}

/* Bytes */

static int by_name_id(const void *x, const void *y)
{
    const struct function_row *a = x, *b = y;
    return (a->name > b->name) - (a->name < b->name);
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* A total is a sum over some nodes of other names, which need not be a multiple of what divides the
 * sums by name: both count. */
static int64_t common_unit(const struct function_row *v, uint32_t n)
{
    int64_t unit = 0;
    for (uint32_t i = 0; i < n && unit != 1; i++)
        unit = common_divisor(common_divisor(unit, v[i].self), v[i].total);
    return MAX(unit, 1);
}

enum status function_table_encode(const struct nametree *t, const struct function_table *table,
    struct rollup_names *names, struct arena *arena, struct buf *out, struct error *err)
{
    uint32_t n = table->n, next = 0;
    struct function_row *v = ARENA_ARRAY(arena, struct function_row, n);
    if (!v)
        return no_memory(err);
    for (uint32_t i = 0; i < n; i++) {
        v[i] = table->v[i];
        v[i].name = rollup_names_id(names, t->names[v[i].name]);
        if (v[i].name == SYM_NONE)
            return no_memory(err);
    }
    qsort(v, n, sizeof *v, by_name_id);
    int64_t unit = common_unit(v, n);
    buf_uvarint(out, n);
    buf_uvarint(out, (uint64_t)unit);
    for (uint32_t i = 0; i < n; i++) {
        buf_uvarint(out, v[i].name - next);
        next = v[i].name + 1;
    }
    for (uint32_t i = 0; i < n; i++)
        buf_uvarint(out, (uint64_t)(v[i].self / unit));
    for (uint32_t i = 0; i < n; i++)
        buf_uvarint(out, (uint64_t)((v[i].total - v[i].self) / unit));
    return out->failed ? no_memory(err) : ST_OK;
}

static enum status read_names(
    struct cursor *c, struct function_row *v, uint32_t n, struct error *err)
{
    uint64_t id = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t delta = cursor_uvarint(c);
        if (delta >= SYM_NONE - id)
            DAMAGED(err, "a name's id cannot be");
        id += delta;
        v[i].name = (uint32_t)id++;
    }
    return ST_OK;
}

static enum status read_values(
    struct cursor *c, uint64_t unit, struct function_table *table, struct error *err)
{
    uint64_t left = (uint64_t)INT64_MAX / unit, sum = 0;
    for (uint32_t i = 0; i < table->n; i++) {
        uint64_t self = cursor_uvarint(c);
        if (self > left - sum)
            DAMAGED(err, "its values leave the 64-bit range");
        sum += self;
        table->v[i].self = (int64_t)(self * unit);
    }
    table->total = (int64_t)(sum * unit);
    for (uint32_t i = 0; i < table->n; i++) {
        uint64_t more = cursor_uvarint(c), self = (uint64_t)table->v[i].self / unit;
        if (more > sum - self)
            DAMAGED(err, "a function has more than the whole");
        table->v[i].total = (int64_t)((self + more) * unit);
    }
    return ST_OK;
}

enum status function_table_decode(
    struct str bytes, struct arena *arena, struct function_table *ret_table, struct error *err)
{
    struct cursor c = cursor_make(bytes);
    uint64_t n = cursor_uvarint(&c), unit = cursor_uvarint(&c);
    if (c.bad || unit == 0 || unit > INT64_MAX || n > cursor_left(&c))
        DAMAGED(err, "its head cannot be");
    struct function_table table = {.v = ARENA_ARRAY(arena, struct function_row, n), (uint32_t)n, 0};
    if (!table.v)
        return no_memory(err);
    TRY(read_names(&c, table.v, table.n, err));
    TRY(read_values(&c, unit, &table, err));
    if (c.bad || cursor_left(&c))
        DAMAGED(err, "it does not end where it should");
    *ret_table = table;
    return ST_OK;
}

/* Adding up */

void function_sum_init(struct function_sum *s, struct arena *arena)
{
    *s = (struct function_sum){.arena = arena};
    idmap_init(&s->ids, NULL);
}

void function_sum_done(struct function_sum *s)
{
    idmap_done(&s->ids);
    *s = (struct function_sum){.arena = s->arena};
}

/* The row of a name, a new one if needed; NULL without memory. */
static struct function_total *row_of(struct function_sum *s, struct str name)
{
    uint32_t i;
    uint64_t hash = hash_str(name);
    struct idmap_probe p = idmap_start(&s->ids, hash);
    while (idmap_next(&s->ids, &p, &i))
        if (str_eq(s->rows.v[i].name, name))
            return &s->rows.v[i];
    if (idmap_growth(&s->ids, 1) > s->arena->limit - s->arena->used)
        return NULL;
    struct str copy = arena_str(s->arena, name);
    struct function_total *row = copy.p ? VEC_PUSH(s->arena, s->rows) : NULL;
    if (!row)
        return NULL;
    *row = (struct function_total){.name = copy};
    return idmap_put(&s->ids, hash, s->rows.n - 1) ? row : NULL;
}

static enum status out_of_range(struct error *err)
{
    FAIL(err, ST_OUT_OF_RANGE, "sum of samples leaves the 64-bit range");
}

static enum status add_whole(struct function_sum *s, int64_t total, struct error *err)
{
    return __builtin_add_overflow(s->total, total, &s->total) ? out_of_range(err) : ST_OK;
}

static enum status add_row(
    struct function_sum *s, struct str name, const struct function_row *row, struct error *err)
{
    struct function_total *sum = row_of(s, name);
    if (!sum)
        return no_memory(err);
    if (__builtin_add_overflow(sum->self, row->self, &sum->self) ||
        __builtin_add_overflow(sum->total, row->total, &sum->total))
        return out_of_range(err);
    return ST_OK;
}

enum status function_sum_add(struct function_sum *s, const struct function_table *table,
    struct rollup_names_reader *names, struct error *err)
{
    TRY(add_whole(s, table->total, err));
    for (uint32_t i = 0; i < table->n; i++) {
        struct str name;
        TRY(rollup_name(names, table->v[i].name, &name, err));
        TRY(add_row(s, name, &table->v[i], err));
    }
    return ST_OK;
}

enum status function_sum_add_tree(
    struct function_sum *s, const struct nametree *t, struct error *err)
{
    struct function_table table;
    TRY(function_table_make(t, t->arena, &table, err));
    TRY(add_whole(s, table.total, err));
    for (uint32_t i = 0; i < table.n; i++)
        TRY(add_row(s, t->names[table.v[i].name], &table.v[i], err));
    return ST_OK;
}

static int by_self_then_name(const void *x, const void *y)
{
    const struct function_total *a = x, *b = y;
    if (a->self != b->self)
        return a->self < b->self ? 1 : -1;
    return str_cmp(a->name, b->name);
}

void function_sum_sort(struct function_sum *s)
{
    if (s->rows.n)
        qsort(s->rows.v, s->rows.n, sizeof *s->rows.v, by_self_then_name);
}
