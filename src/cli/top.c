/* `everflame top`: the functions that cost most.
 *
 * From the merged pprof profile, which is not cut, so that every value is exact; never from a flame
 * graph. Thread: one. */
#include <stdlib.h>

#include "cli/cli_int.h"
#include "cli/tree.h"
#include "cli/units.h"
#include "codec/json.h"

enum { ROWS = 20, CELL_MAX = 256 };

struct row {
    struct str name;
    struct tree_function f;
};

static int by_self(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->f.self != y->f.self)
        return x->f.self > y->f.self ? -1 : 1;
    if (x->f.total != y->f.total)
        return x->f.total > y->f.total ? -1 : 1;
    return str_cmp(x->name, y->name);
}

static int by_total(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->f.total != y->f.total)
        return x->f.total > y->f.total ? -1 : 1;
    return by_self(a, b);
}

static struct str cell_value(struct cli *c, struct str unit, int64_t value)
{
    struct buf b;
    buf_init(&b, CELL_MAX);
    units_put(&b, unit, (double)value);
    return keep_text(&c->arena, &b);
}

static struct str cell_percent(struct cli *c, int64_t value, int64_t whole)
{
    struct buf b;
    buf_init(&b, CELL_MAX);
    units_put_percent(&b, (double)value, (double)whole);
    return keep_text(&c->arena, &b);
}

static void put_text(
    struct cli *c, const struct selection *sel, const struct row *rows, uint32_t n, int64_t whole)
{
    struct str unit = sel->type.sample_unit;
    struct table t = {.arena = &c->arena, .columns = 5, .align = "rrrrl"};
    uint32_t shown = MIN(n, opt_rows(c, ROWS));
    static const char *const heads[] = {"SELF", "", "TOTAL", "", "FUNCTION"};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        table_cell(&t, str_from(heads[i]));
    for (uint32_t i = 0; i < shown; i++) {
        table_cell(&t, cell_value(c, unit, rows[i].f.self));
        table_cell(&t, cell_percent(c, rows[i].f.self, whole));
        table_cell(&t, cell_value(c, unit, rows[i].f.total));
        table_cell(&t, cell_percent(c, rows[i].f.total, whole));
        table_cell(&t, rows[i].name);
    }
    selection_put(&c->out, sel);
    buf_str(&c->out, STR("  "));
    units_put(&c->out, unit, (double)whole);
    buf_str(&c->out, STR(" in all\n"));
    if (type_is_state(&sel->type))
        buf_str(&c->out, STR("Every snapshot of the time range is counted: compare the shares, "
                             "and see `everflame series` for the size.\n"));
    buf_byte(&c->out, '\n');
    table_put(&t, &c->out);
    if (shown < n)
        buf_printf(&c->out, "\n%u more functions: -n 0 shows all\n", n - shown);
}

static void put_json(
    struct cli *c, const struct selection *sel, const struct row *rows, uint32_t n, int64_t whole)
{
    uint32_t shown = MIN(n, opt_rows(c, 0));
    buf_byte(&c->out, '{');
    selection_put_json(&c->out, sel);
    buf_printf(&c->out, "\"total\":%lld,\"functions\":[", (long long)whole);
    for (uint32_t i = 0; i < shown; i++) {
        buf_str(&c->out, i ? STR(",\n{\"name\":") : STR("\n{\"name\":"));
        json_put_string(&c->out, rows[i].name);
        buf_printf(&c->out, ",\"self\":%lld,\"total\":%lld}", (long long)rows[i].f.self,
            (long long)rows[i].f.total);
    }
    buf_str(&c->out, STR("]}\n"));
}

static enum status make_rows(struct cli *c, struct nametree *tree, const struct m_profile *profile,
    struct row **ret_rows, uint32_t *ret_n, int64_t *ret_whole)
{
    struct tree_side side;
    struct tree_function *functions;
    TRY(tree_add_profile(tree, profile, &c->err));
    TRY(nametree_finish(tree, &c->err));
    TRY(tree_side_of(tree, &c->arena, &side, &c->err));
    TRY(tree_functions(tree, &side, &c->arena, &functions, &c->err));
    struct row *rows = ARENA_ARRAY(&c->arena, struct row, tree->n_names);
    uint32_t n = 0;
    if (!rows)
        return cli_no_memory(c);
    for (uint32_t i = 0; i < tree->n_names; i++)
        if (functions[i].total > 0)
            rows[n++] = (struct row){tree->names[i], functions[i]};
    bool total = str_eq(opt_get(c, OPT_SORT), STR("total"));
    qsort(rows, n, sizeof *rows, total ? by_total : by_self);
    *ret_rows = rows;
    *ret_n = n;
    *ret_whole = side.sum;
    return ST_OK;
}

enum status cmd_top(struct cli *c)
{
    struct time_range range;
    struct selection sel;
    struct m_profile *profile;
    struct nametree tree;
    struct row *rows = NULL;
    uint32_t n = 0;
    int64_t whole = 0;
    TRY(time_range_get(c, &range));
    TRY(select_all(c, range, false, &sel));
    TRY(select_profile(c, &sel, range, &profile, NULL));
    nametree_init(&tree, &c->arena);
    enum status st = make_rows(c, &tree, profile, &rows, &n, &whole);
    if (st == ST_OK && opt_json(c))
        put_json(c, &sel, rows, n, whole);
    else if (st == ST_OK)
        put_text(c, &sel, rows, n, whole);
    nametree_done(&tree);
    return st;
}
