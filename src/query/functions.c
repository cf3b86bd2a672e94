/* Function tables, of one selection or of the two sides of a diff.
 *
 *     selection ─► tables of blocks, added up by name ┐
 *               └► rows that are left ─► a table per part ┴─► sorted, cut to the rows asked for
 *
 * Tables are exact whatever is cut: a name's self is the sum of its frames', its total counts a
 * sample once however often the name is on its stack. There is no root and no `other`.
 *
 * A diff joins two tables by name before it is cut. Its rows are ranked by the larger share that
 * either side's total has of its profile; shares are compared as fractions, so no two that differ
 * compare equal. */
#include <stdlib.h>

#include "base/hash.h"
#include "model/function_table.h"
#include "query/query_int.h"

enum status selection_functions(
    struct query *q, const struct selection *s, struct function_sum *sum, struct error *err)
{
    struct tree_set set = {.functions = sum};
    enum status st = tree_set_gather(q, s, &set, err);
    tree_set_done(&set);
    return st;
}

static uint32_t rows_shown(uint32_t n, int64_t rows)
{
    return rows > 0 && rows < n ? (uint32_t)rows : n;
}

static enum status fill_table(struct query *q, const struct function_sum *sum, int64_t rows,
    struct m_function_table **ret, struct error *err)
{
    uint32_t n = rows_shown(sum->rows.n, rows);
    struct m_function_table *t = ARENA_NEW(q->arena, struct m_function_table);
    struct m_function *v = ARENA_ARRAY(q->arena, struct m_function, n);
    if (!t || !v)
        return query_full(q, err);
    for (uint32_t i = 0; i < n; i++) {
        const struct function_total *f = &sum->rows.v[i];
        v[i] = (struct m_function){f->name, f->self, f->total};
    }
    t->functions.v = v;
    t->functions.n = n;
    t->total = sum->total;
    *ret = t;
    return ST_OK;
}

enum status selection_function_table(struct query *q, const struct selection *s, int64_t rows,
    struct m_function_table **ret_table, struct error *err)
{
    struct function_sum sum;
    function_sum_init(&sum, q->arena);
    enum status st = selection_functions(q, s, &sum, err);
    if (st == ST_OK) {
        function_sum_sort(&sum);
        st = fill_table(q, &sum, rows, ret_table, err);
    }
    function_sum_done(&sum);
    return st;
}

/* Diff */

/* A row with the larger of its two shares; a side without data has no share in anything. */
struct ranked {
    struct m_function_diff f;
    int64_t part, whole;
};

static bool less(int64_t a_part, int64_t a_whole, int64_t b_part, int64_t b_whole)
{
    return (__int128)a_part * b_whole < (__int128)b_part * a_whole;
}

static void rank(struct ranked *r, int64_t left_whole, int64_t right_whole)
{
    r->part = r->f.left_total;
    r->whole = MAX(left_whole, (int64_t)1);
    if (less(r->part, r->whole, r->f.right_total, MAX(right_whole, (int64_t)1))) {
        r->part = r->f.right_total;
        r->whole = right_whole;
    }
}

static int by_share_then_name(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;
    if (less(b->part, b->whole, a->part, a->whole))
        return -1;
    if (less(a->part, a->whole, b->part, b->whole))
        return 1;
    return str_cmp(a->f.name, b->f.name);
}

/* The row of a name in the left table, or SYM_NONE. */
static uint32_t find(const struct function_sum *sum, struct str name)
{
    uint32_t i;
    struct idmap_probe p = idmap_start(&sum->ids, hash_str(name));
    while (idmap_next(&sum->ids, &p, &i))
        if (str_eq(sum->rows.v[i].name, name))
            return i;
    return SYM_NONE;
}

/* All rows of the left side, then those that only the right one has. */
static uint32_t join(
    const struct function_sum *left, const struct function_sum *right, struct ranked *v)
{
    uint32_t n = left->rows.n;
    for (uint32_t i = 0; i < n; i++) {
        const struct function_total *f = &left->rows.v[i];
        v[i].f = (struct m_function_diff){f->name, f->self, f->total, 0, 0};
    }
    for (uint32_t i = 0; i < right->rows.n; i++) {
        const struct function_total *f = &right->rows.v[i];
        uint32_t at = find(left, f->name);
        if (at == SYM_NONE) {
            at = n++;
            v[at].f = (struct m_function_diff){f->name, 0, 0, 0, 0};
        }
        v[at].f.right_self = f->self;
        v[at].f.right_total = f->total;
    }
    for (uint32_t i = 0; i < n; i++)
        rank(&v[i], left->total, right->total);
    return n;
}

enum status function_sums_diff(struct query *q, const struct function_sum *left,
    const struct function_sum *right, int64_t rows, struct m_function_diff_table **ret_table,
    struct error *err)
{
    struct m_function_diff_table *t = ARENA_NEW(q->arena, struct m_function_diff_table);
    struct ranked *v = ARENA_ARRAY(q->arena, struct ranked, (size_t)left->rows.n + right->rows.n);
    if (!t || !v)
        return query_full(q, err);
    uint32_t n = join(left, right, v);
    if (n)
        qsort(v, n, sizeof *v, by_share_then_name);
    n = rows_shown(n, rows);
    t->functions.v = ARENA_ARRAY(q->arena, struct m_function_diff, n);
    if (!t->functions.v)
        return query_full(q, err);
    for (uint32_t i = 0; i < n; i++)
        t->functions.v[i] = v[i].f;
    t->functions.n = n;
    t->left_total = left->total;
    t->right_total = right->total;
    *ret_table = t;
    return ST_OK;
}
