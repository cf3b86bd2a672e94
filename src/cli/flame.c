/* `everflame flame`: a flame graph in the terminal, as SVG, as collapsed stacks or as pprof.
 *
 * All from the merged pprof profile, which is not cut. --pprof hands it on as the server made it,
 * with addresses, lines and mappings. Thread: one. */
#include "cli/cli_int.h"
#include "cli/draw.h"
#include "cli/tree.h"
#include "cli/units.h"
#include "codec/gzip.h"
#include "codec/json.h"

#define FILE_BYTES_MAX (2 * GIB)

enum { LINES_AROUND = 3, GZIP_LEVEL = 6, TITLE_MAX = 4096 };

static enum status put_pprof(struct cli *c, struct str raw)
{
    struct buf file;
    buf_init(&file, FILE_BYTES_MAX);
    enum status st = gzip_deflate(raw, GZIP_LEVEL, &file, &c->err);
    if (st == ST_OK)
        st = write_file(c, opt_get(c, OPT_PPROF), buf_view(&file));
    buf_done(&file);
    return st;
}

/* A frame cannot hold what separates frames and lines. */
static void put_frame_name(struct buf *out, struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        buf_byte(out, ch == ';' ? ':' : ch == '\n' || ch == '\r' ? ' ' : (uint8_t)ch);
    }
}

static enum status put_collapsed(struct cli *c, const struct nametree *t)
{
    uint32_t *path = ARENA_ARRAY(&c->arena, uint32_t, t->n_nodes);
    if (!path)
        return cli_no_memory(c);
    for (uint32_t i = 1; i < t->n_nodes; i++) {
        uint32_t depth = 0;
        if (t->nodes[i].self == 0)
            continue;
        for (uint32_t at = i; at != 0; at = t->nodes[at].parent)
            path[depth++] = t->nodes[at].name;
        while (depth-- > 0) {
            put_frame_name(&c->out, t->names[path[depth]]);
            buf_byte(&c->out, depth ? ';' : ' ');
        }
        buf_printf(&c->out, "%lld\n", (long long)t->nodes[i].self);
    }
    return c->out.failed ? cli_no_memory(c) : ST_OK;
}

/* Nodes in an order in which parents come first; parents are indexes, -1 for the outermost. */
static void put_json(struct cli *c, const struct selection *sel, const struct nametree *t)
{
    struct buf *out = &c->out;
    buf_byte(out, '{');
    selection_put_json(out, sel);
    buf_printf(out, "\"total\":%lld,\"frames\":[", (long long)t->nodes[0].total);
    for (uint32_t i = 1; i < t->n_nodes; i++) {
        buf_str(out, i > 1 ? STR(",\n{\"name\":") : STR("\n{\"name\":"));
        json_put_string(out, t->names[t->nodes[i].name]);
        buf_printf(out, ",\"parent\":%lld,\"self\":%lld,\"total\":%lld}",
            (long long)t->nodes[i].parent - 1, (long long)t->nodes[i].self,
            (long long)t->nodes[i].total);
    }
    buf_str(out, STR("]}\n"));
}

static uint32_t rows_for(const struct cli *c)
{
    uint32_t window = c->term.lines > LINES_AROUND + 2 ? c->term.lines - LINES_AROUND : 0;
    return opt_rows(c, window);
}

static enum status draw(struct cli *c, const struct selection *sel, const struct nametree *t)
{
    struct tree_side side;
    double *weights = ARENA_ARRAY(&c->arena, double, t->n_nodes);
    if (!weights)
        return cli_no_memory(c);
    TRY(tree_side_of(t, &c->arena, &side, &c->err));
    for (uint32_t i = 0; i < t->n_nodes; i++)
        weights[i] = (double)side.total[i];
    struct buf title;
    buf_init(&title, TITLE_MAX);
    selection_put(&title, sel);
    struct drawing d = {t, weights, &side, NULL, sel->type.sample_unit, STR_EMPTY};
    d.title = keep_text(&c->arena, &title);
    if (!opt_has(c, OPT_SVG)) {
        buf_str(&c->out, d.title);
        buf_byte(&c->out, '\n');
        return draw_text(&d, c->term.columns, rows_for(c), c->term.colour, &c->out, &c->err);
    }
    struct buf file;
    buf_init(&file, FILE_BYTES_MAX);
    enum status st = draw_svg(&d, &file, &c->err);
    if (st == ST_OK)
        st = file.failed ? cli_no_memory(c) : write_file(c, opt_get(c, OPT_SVG), buf_view(&file));
    buf_done(&file);
    return st;
}

static enum status show(struct cli *c, const struct selection *sel, const struct m_profile *profile)
{
    struct nametree t;
    nametree_init(&t, &c->arena);
    enum status st = tree_add_profile(&t, profile, &c->err);
    if (st == ST_OK)
        st = nametree_finish(&t, &c->err);
    if (st == ST_OK && opt_has(c, OPT_COLLAPSED))
        st = put_collapsed(c, &t);
    else if (st == ST_OK && opt_json(c))
        put_json(c, sel, &t);
    else if (st == ST_OK)
        st = draw(c, sel, &t);
    nametree_done(&t);
    return st;
}

enum status cmd_flame(struct cli *c)
{
    struct time_range range;
    struct selection sel;
    struct m_profile *profile;
    struct str raw;
    if (opt_has(c, OPT_COLLAPSED) + opt_has(c, OPT_PPROF) + opt_has(c, OPT_SVG) + opt_json(c) > 1)
        return cli_misuse(
            c, "--collapsed, --pprof, --svg and -o json exclude each other: give one");
    TRY(time_range_get(c, &range));
    TRY(select_all(c, range, false, &sel));
    TRY(select_profile(c, &sel, range, &profile, &raw));
    if (opt_has(c, OPT_PPROF))
        return put_pprof(c, raw);
    return show(c, &sel, profile);
}
