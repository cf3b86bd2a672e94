/* `everflame diff`: what changed between two time ranges.
 *
 * Shares of the whole are compared, not values: the ranges may differ in length and load. Both
 * profiles are uncut, so the numbers are exact. By default functions are ordered by the change of
 * their own share (self), which names the place that changed rather than everything that calls it.
 *
 * Thread: one. */
#include <math.h>
#include <stdlib.h>

#include "cli/cli_int.h"
#include "cli/draw.h"
#include "cli/tree.h"
#include "cli/units.h"
#include "codec/json.h"

enum { ROWS = 20, CELL_MAX = 256, LINES_AROUND = 4, TITLE_MAX = 4096 };

struct row {
    struct str name;
    struct tree_function f[2];
    double self_change, total_change; /* percentage points */
};

struct comparison {
    struct selection sel;
    struct time_range ranges[2];
    struct nametree tree;
    struct tree_side sides[2];
    struct row *rows;
    uint32_t n_rows;
};

static int by_change(double x, double y, struct str x_name, struct str y_name)
{
    if (fabs(x) != fabs(y))
        return fabs(x) > fabs(y) ? -1 : 1;
    return str_cmp(x_name, y_name);
}

static int by_self(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return by_change(x->self_change, y->self_change, x->name, y->name);
}

static int by_total(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return by_change(x->total_change, y->total_change, x->name, y->name);
}

static double share(int64_t part, int64_t whole)
{
    return whole ? 100 * (double)part / (double)whole : 0;
}

static enum status make_rows(struct cli *c, struct comparison *cmp)
{
    struct tree_function *f[2];
    const struct nametree *t = &cmp->tree;
    for (int i = 0; i < 2; i++)
        TRY(tree_functions(t, &cmp->sides[i], &c->arena, &f[i], &c->err));
    cmp->rows = ARENA_ARRAY(&c->arena, struct row, t->n_names);
    if (!cmp->rows)
        return cli_no_memory(c);
    for (uint32_t i = 0; i < t->n_names; i++) {
        struct row r = {.name = t->names[i], .f = {f[0][i], f[1][i]}};
        if (r.f[0].total == 0 && r.f[1].total == 0)
            continue;
        r.self_change = share(r.f[1].self, cmp->sides[1].sum) -
                        share(r.f[0].self, cmp->sides[0].sum);
        r.total_change = share(r.f[1].total, cmp->sides[1].sum) -
                         share(r.f[0].total, cmp->sides[0].sum);
        cmp->rows[cmp->n_rows++] = r;
    }
    bool total = str_eq(opt_get(c, OPT_SORT), STR("total"));
    qsort(cmp->rows, cmp->n_rows, sizeof *cmp->rows, total ? by_total : by_self);
    return ST_OK;
}

static void put_head(struct cli *c, const struct comparison *cmp)
{
    struct buf *out = &c->out;
    text_put(out, cmp->sel.service.p ? cmp->sel.service : cmp->sel.selector);
    buf_str(out, STR("  "));
    text_put(out, cmp->sel.type.id);
    for (int i = 0; i < 2; i++) {
        buf_str(out, i ? STR("\nafter   ") : STR("\nbefore  "));
        time_range_put(out, cmp->ranges[i]);
        buf_str(out, STR("  "));
        units_put(out, cmp->sel.type.sample_unit, (double)cmp->sides[i].sum);
        buf_str(out, STR(" in all"));
    }
    buf_str(out, STR("\n\n"));
}

static struct str points(struct cli *c, double change)
{
    struct buf b;
    buf_init(&b, CELL_MAX);
    if (fabs(change) < 0.05)
        buf_str(&b, change == 0 ? STR("0") : change > 0 ? STR("+<0.1") : STR("-<0.1"));
    else
        buf_printf(&b, "%+.1f", change);
    return keep_text(&c->arena, &b);
}

static struct str percent(struct cli *c, int64_t part, int64_t whole)
{
    struct buf b;
    buf_init(&b, CELL_MAX);
    units_put_percent(&b, (double)part, (double)whole);
    return keep_text(&c->arena, &b);
}

static void put_text(struct cli *c, const struct comparison *cmp)
{
    struct table t = {.arena = &c->arena, .columns = 7, .align = "rrrrrrl"};
    static const char *const heads[] = {
        "SELF", "BEFORE", "AFTER", "TOTAL", "BEFORE", "AFTER", "FUNCTION"};
    uint32_t shown = MIN(cmp->n_rows, opt_rows(c, ROWS));
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        table_cell(&t, str_from(heads[i]));
    for (uint32_t i = 0; i < shown; i++) {
        const struct row *r = &cmp->rows[i];
        table_cell(&t, points(c, r->self_change));
        for (int k = 0; k < 2; k++)
            table_cell(&t, percent(c, r->f[k].self, cmp->sides[k].sum));
        table_cell(&t, points(c, r->total_change));
        for (int k = 0; k < 2; k++)
            table_cell(&t, percent(c, r->f[k].total, cmp->sides[k].sum));
        table_cell(&t, r->name);
    }
    put_head(c, cmp);
    table_put(&t, &c->out);
    buf_str(&c->out, STR("\nSELF and TOTAL: by how many percentage points the share changed\n"));
    if (shown < cmp->n_rows)
        buf_printf(&c->out, "%u more functions: -n 0 shows all\n", cmp->n_rows - shown);
}

static void put_json(struct cli *c, const struct comparison *cmp)
{
    struct buf *out = &c->out;
    uint32_t shown = MIN(cmp->n_rows, opt_rows(c, 0));
    buf_str(out, STR("{\"service\":"));
    if (cmp->sel.service.p)
        json_put_string(out, cmp->sel.service);
    else
        buf_str(out, STR("null"));
    buf_str(out, STR(",\"selector\":"));
    json_put_string(out, cmp->sel.selector);
    buf_str(out, STR(",\"type\":"));
    json_put_string(out, cmp->sel.type.id);
    buf_str(out, STR(",\"unit\":"));
    json_put_string(out, cmp->sel.type.sample_unit);
    for (int i = 0; i < 2; i++)
        buf_printf(out, ",\"%s\":{\"from_ms\":%lld,\"until_ms\":%lld,\"total\":%lld}",
            i ? "after" : "before", (long long)(cmp->ranges[i].from_ns / NS_PER_MS),
            (long long)(cmp->ranges[i].until_ns / NS_PER_MS), (long long)cmp->sides[i].sum);
    buf_str(out, STR(",\"functions\":["));
    for (uint32_t i = 0; i < shown; i++) {
        const struct row *r = &cmp->rows[i];
        buf_str(out, i ? STR(",\n{\"name\":") : STR("\n{\"name\":"));
        json_put_string(out, r->name);
        buf_printf(out,
            ",\"self_before\":%lld,\"self_after\":%lld,\"total_before\":%lld,\"total_after\":%lld",
            (long long)r->f[0].self, (long long)r->f[1].self, (long long)r->f[0].total,
            (long long)r->f[1].total);
        buf_str(out, STR(",\"self_change_points\":"));
        json_put_double(out, r->self_change);
        buf_str(out, STR(",\"total_change_points\":"));
        json_put_double(out, r->total_change);
        buf_byte(out, '}');
    }
    buf_str(out, STR("]}\n"));
}

/* A frame is as wide as the mean of its shares, so that what is gone is still seen. */
static enum status draw(struct cli *c, const struct comparison *cmp)
{
    const struct nametree *t = &cmp->tree;
    double *weights = ARENA_ARRAY(&c->arena, double, t->n_nodes);
    if (!weights)
        return cli_no_memory(c);
    for (uint32_t i = 0; i < t->n_nodes; i++)
        weights[i] = share(cmp->sides[0].total[i], cmp->sides[0].sum) +
                     share(cmp->sides[1].total[i], cmp->sides[1].sum);
    struct drawing d = {t, weights, &cmp->sides[0], &cmp->sides[1], cmp->sel.type.sample_unit,
        cmp->sel.service.p ? cmp->sel.service : cmp->sel.selector};
    if (opt_has(c, OPT_SVG)) {
        struct buf file;
        buf_init(&file, GIB);
        enum status st = draw_svg(&d, &file, &c->err);
        if (st == ST_OK)
            st = file.failed ? cli_no_memory(c)
                             : write_file(c, opt_get(c, OPT_SVG), buf_view(&file));
        buf_done(&file);
        return st;
    }
    uint32_t window = c->term.lines > LINES_AROUND + 2 ? c->term.lines - LINES_AROUND : 0;
    put_head(c, cmp);
    return draw_text(&d, c->term.columns, opt_rows(c, window), c->term.colour, &c->out, &c->err);
}

static enum status compare(struct cli *c, struct comparison *cmp)
{
    struct m_profile *profiles[2];
    for (int i = 0; i < 2; i++)
        TRY(select_profile(c, &cmp->sel, cmp->ranges[i], &profiles[i], NULL));
    TRY(tree_compare(&cmp->tree, profiles[0], profiles[1], cmp->sides, &c->err));
    if (opt_has(c, OPT_FLAME) || opt_has(c, OPT_SVG))
        return draw(c, cmp);
    TRY(make_rows(c, cmp));
    if (opt_json(c))
        put_json(c, cmp);
    else
        put_text(c, cmp);
    return ST_OK;
}

enum status cmd_diff(struct cli *c)
{
    struct comparison cmp = {.n_rows = 0};
    if (opt_json(c) && (opt_has(c, OPT_FLAME) || opt_has(c, OPT_SVG)))
        return cli_misuse(c, "--flame and --svg draw, -o json does not: give one");
    TRY(time_range_pair(c, &cmp.ranges[0], &cmp.ranges[1]));
    struct time_range both = {MIN(cmp.ranges[0].from_ns, cmp.ranges[1].from_ns),
        MAX(cmp.ranges[0].until_ns, cmp.ranges[1].until_ns)};
    TRY(select_all(c, both, false, &cmp.sel));
    nametree_init(&cmp.tree, &c->arena);
    enum status st = compare(c, &cmp);
    nametree_done(&cmp.tree);
    return st;
}
