/* `everflame top`: the functions that cost most.
 *
 * From the server's function table, which is exact; a server that has none is asked for the merged
 * pprof profile, which is not cut, and the table is made from that. Never from a flame graph.
 * Thread: one. */
#include <stdlib.h>

#include "cli/cli_int.h"
#include "cli/tree.h"
#include "cli/units.h"
#include "codec/json.h"

enum { ROWS = 20, CELL_MAX = 256, TABLE_ROWS_MAX = 100000 };

struct row {
    struct str name;
    struct tree_function f;
};
struct rows {
    struct row *v;
    uint32_t n;
    int64_t whole; /* of the profile */
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

static void put_text(struct cli *c, const struct selection *sel, const struct rows *r)
{
    const struct row *rows = r->v;
    uint32_t n = r->n;
    int64_t whole = r->whole;
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

static void put_json(struct cli *c, const struct selection *sel, const struct rows *r)
{
    const struct row *rows = r->v;
    uint32_t shown = MIN(r->n, opt_rows(c, 0));
    buf_byte(&c->out, '{');
    selection_put_json(&c->out, sel);
    buf_printf(&c->out, "\"total\":%lld,\"functions\":[", (long long)r->whole);
    for (uint32_t i = 0; i < shown; i++) {
        buf_str(&c->out, i ? STR(",\n{\"name\":") : STR("\n{\"name\":"));
        json_put_string(&c->out, rows[i].name);
        buf_printf(&c->out, ",\"self\":%lld,\"total\":%lld}", (long long)rows[i].f.self,
            (long long)rows[i].f.total);
    }
    buf_str(&c->out, STR("]}\n"));
}

/* From the server's table; ret_rows->n stays 0 without one. */
static enum status ask_table(struct cli *c, const struct selection *sel, struct rows *ret_rows)
{
    const struct m_select_merge_stacktraces_request rq = {
        .profile_typeID = sel->type.id,
        .label_selector = sel->selector,
        .start = sel->range.from_ns / NS_PER_MS,
        .end = sel->range.until_ns / NS_PER_MS,
        .max_nodes = TABLE_ROWS_MAX,
        .has_max_nodes = true,
        .format = M_FORMAT_FUNCTIONS,
    };
    void *answer;
    TRY(client_try_json(c, "SelectMergeStacktraces", &m_select_merge_stacktraces_request_desc, &rq,
        &m_select_merge_stacktraces_response_desc, &answer));
    const struct m_select_merge_stacktraces_response *rs = answer;
    const struct m_function_table *t = rs ? rs->functions : NULL;
    if (!t || t->functions.n == TABLE_ROWS_MAX)
        return ST_OK; /* not known to the server, or cut */
    struct row *v = ARENA_ARRAY(&c->arena, struct row, t->functions.n);
    if (!v)
        return cli_no_memory(c);
    for (uint32_t i = 0; i < t->functions.n; i++) {
        const struct m_function *f = &t->functions.v[i];
        v[i] = (struct row){f->name, {f->self, f->total}};
    }
    *ret_rows = (struct rows){v, t->functions.n, t->total};
    return ST_OK;
}

static enum status rows_of_tree(
    struct cli *c, struct nametree *tree, const struct m_profile *profile, struct rows *ret_rows)
{
    struct tree_side side;
    struct tree_function *functions;
    TRY(tree_add_profile(tree, profile, &c->err));
    TRY(nametree_finish(tree, &c->err));
    TRY(tree_side_of(tree, &c->arena, &side, &c->err));
    TRY(tree_functions(tree, &side, &c->arena, &functions, &c->err));
    struct rows r = {.v = ARENA_ARRAY(&c->arena, struct row, tree->n_names), .whole = side.sum};
    if (!r.v)
        return cli_no_memory(c);
    for (uint32_t i = 0; i < tree->n_names; i++)
        if (functions[i].total > 0)
            r.v[r.n++] = (struct row){tree->names[i], functions[i]};
    *ret_rows = r;
    return ST_OK;
}

/* From the merged profile; fails when there is nothing. */
static enum status ask_profile(struct cli *c, const struct selection *sel, struct rows *ret_rows)
{
    struct m_profile *profile;
    struct nametree tree;
    TRY(select_profile(c, sel, sel->range, &profile, NULL));
    nametree_init(&tree, &c->arena);
    enum status st = rows_of_tree(c, &tree, profile, ret_rows);
    nametree_done(&tree);
    return st;
}

enum status cmd_top(struct cli *c)
{
    struct time_range range;
    struct selection sel;
    struct rows rows = {0};
    TRY(time_range_get(c, &range));
    TRY(select_all(c, range, false, &sel));
    TRY(ask_table(c, &sel, &rows));
    if (rows.n == 0)
        TRY(ask_profile(c, &sel, &rows));
    bool total = str_eq(opt_get(c, OPT_SORT), STR("total"));
    if (rows.n)
        qsort(rows.v, rows.n, sizeof *rows.v, total ? by_total : by_self);
    if (opt_json(c))
        put_json(c, &sel, &rows);
    else
        put_text(c, &sel, &rows);
    return ST_OK;
}
