/* Call graphs as DOT: see dot.h.
 *
 * A function's flat value is the sum of the selfs of its nodes. Its cumulative value, and that of
 * an edge caller → callee, counts every stack once however often it passes there: a walk counts
 * what is open on the way from the root, and only the outermost occurrence adds its total.
 *
 *     tree nodes ─ key: name id ──── sum_once ─→ cum per function ─→ which functions are kept
 *     tree nodes ─ key: edge id ──── sum_once ─→ weight per edge
 *
 * An edge leads from the nearest kept function above; where functions in between were left out it
 * is residual and drawn dotted. A function that calls itself gets no edge. As pprof does by
 * default, functions below 0.5 % and edges below 0.1 % of the total are left out; unlike pprof, the
 * functions are chosen by cumulative value alone and no residual edge is removed as redundant.
 * Equal values are ordered by name, so the text is a function of the tree. One thread, no I/O. */
#include "model/dot.h"

#include <inttypes.h>
#include <math.h>

#include "base/hash.h"
#include "base/utf8.h"

enum { MAX_NODES_DEFAULT = 100, NODE_PART = 200, EDGE_PART = 1000, NO_KEY = UINT32_MAX };

struct edge {
    uint32_t from, to; /* name ids, later numbers of kept functions */
    int64_t weight;
    bool residual;
};

struct graph {
    const struct nametree *t;
    struct arena *arena;
    int64_t total;
    int64_t *flat, *cum; /* by name id */
    uint32_t *kept;      /* name ids, by falling cum */
    uint32_t n_kept, n_functions, n_dropped;
    uint32_t *number; /* by name id: place in kept, or NO_KEY */
    struct {
        struct edge *v;
        uint32_t n, cap;
    } edges;
    struct idmap edge_ids;
};

/* sum[key] = total of all tree nodes with that key that have none with it above them. */
static bool sum_once(struct graph *g, const uint32_t *key, uint32_t n_keys, int64_t *sum)
{
    const struct nametree *t = g->t;
    uint32_t *open = ARENA_ZARRAY(g->arena, uint32_t, n_keys);
    /* node << 1, or with 1 on the way back; a node is on the stack at most once in each form. */
    uint64_t *stack = ARENA_ARRAY(g->arena, uint64_t, (size_t)t->n_nodes * 2);
    if (!open || !stack)
        return false;
    size_t n = 0;
    stack[n++] = 0;
    while (n) {
        uint64_t at = stack[--n];
        const struct name_node *node = &t->nodes[at >> 1];
        uint32_t k = key[at >> 1];
        if (at & 1) {
            open[k]--;
            continue;
        }
        if (k != NO_KEY) {
            if (open[k]++ == 0)
                sum[k] += node->total;
            stack[n++] = at | 1;
        }
        for (uint32_t i = 0; i < node->n_children; i++)
            stack[n++] = (uint64_t)t->children[node->first_child + i] << 1;
    }
    return true;
}

static bool sum_functions(struct graph *g)
{
    const struct nametree *t = g->t;
    uint32_t *key = ARENA_ARRAY(g->arena, uint32_t, t->n_nodes);
    g->flat = ARENA_ZARRAY(g->arena, int64_t, t->n_names);
    g->cum = ARENA_ZARRAY(g->arena, int64_t, t->n_names);
    if (!key || !g->flat || !g->cum)
        return false;
    key[0] = NO_KEY;
    for (uint32_t i = 1; i < t->n_nodes; i++) {
        key[i] = t->nodes[i].name;
        g->flat[key[i]] += t->nodes[i].self;
    }
    return sum_once(g, key, t->n_names, g->cum);
}

static int by_cum(const void *x, const void *y, void *graph)
{
    const struct graph *g = graph;
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    int c = (g->cum[a] < g->cum[b]) - (g->cum[a] > g->cum[b]);
    return c ? c : str_cmp(g->t->names[a], g->t->names[b]);
}

static bool choose_functions(struct graph *g, int64_t max_nodes)
{
    uint32_t n_names = g->t->n_names;
    g->kept = ARENA_ARRAY(g->arena, uint32_t, n_names);
    g->number = ARENA_ARRAY(g->arena, uint32_t, n_names);
    if (!g->kept || !g->number)
        return false;
    uint32_t n = 0;
    for (uint32_t k = 0; k < n_names; k++) {
        g->number[k] = NO_KEY;
        if (g->cum[k] == 0)
            continue;
        g->n_functions++;
        if (g->cum[k] >= g->total / NODE_PART)
            g->kept[n++] = k;
    }
    g->n_dropped = g->n_functions - n;
    qsort_r(g->kept, n, sizeof *g->kept, by_cum, g);
    g->n_kept = (uint32_t)MIN((int64_t)n, max_nodes);
    for (uint32_t i = 0; i < g->n_kept; i++)
        g->number[g->kept[i]] = i;
    return true;
}

/* The edge's id, new at first sight; NO_KEY without memory. */
static uint32_t edge_id(struct graph *g, uint32_t from, uint32_t to)
{
    uint64_t hash = hash_u64(from, to);
    uint32_t id;
    struct idmap_probe p = idmap_start(&g->edge_ids, hash);
    while (idmap_next(&g->edge_ids, &p, &id))
        if (g->edges.v[id].from == from && g->edges.v[id].to == to)
            return id;
    struct edge *e = VEC_PUSH(g->arena, g->edges);
    if (!e || !idmap_put(&g->edge_ids, hash, g->edges.n - 1))
        return NO_KEY;
    *e = (struct edge){from, to, 0, false};
    return g->edges.n - 1;
}

/* key[i] = the edge that tree node i is the callee of, NO_KEY if none. */
static bool find_edges(struct graph *g, uint32_t *key)
{
    const struct nametree *t = g->t;
    uint32_t *above = ARENA_ARRAY(g->arena, uint32_t, t->n_nodes); /* nearest kept, 0 none */
    if (!above)
        return false;
    above[0] = 0;
    key[0] = NO_KEY;
    for (uint32_t i = 1; i < t->n_nodes; i++) {
        uint32_t parent = t->nodes[i].parent, name = t->nodes[i].name;
        bool parent_kept = parent && g->number[t->nodes[parent].name] != NO_KEY;
        above[i] = parent_kept ? parent : above[parent];
        key[i] = NO_KEY;
        if (above[i] == 0 || g->number[name] == NO_KEY || t->nodes[above[i]].name == name ||
            t->nodes[i].total == 0)
            continue;
        key[i] = edge_id(g, g->number[t->nodes[above[i]].name], g->number[name]);
        if (key[i] == NO_KEY)
            return false;
        g->edges.v[key[i]].residual |= !parent_kept;
    }
    return true;
}

static int by_weight(const void *x, const void *y)
{
    const struct edge *a = x, *b = y;
    if (a->weight != b->weight)
        return a->weight < b->weight ? 1 : -1;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    return (a->to > b->to) - (a->to < b->to);
}

static bool sum_edges(struct graph *g)
{
    uint32_t *key = ARENA_ARRAY(g->arena, uint32_t, g->t->n_nodes);
    if (!key || !find_edges(g, key))
        return false;
    int64_t *weight = ARENA_ZARRAY(g->arena, int64_t, g->edges.n);
    if (!weight || !sum_once(g, key, g->edges.n, weight))
        return false;
    for (uint32_t i = 0; i < g->edges.n; i++)
        g->edges.v[i].weight = weight[i];
    if (g->edges.n)
        qsort(g->edges.v, g->edges.n, sizeof *g->edges.v, by_weight);
    while (g->edges.n && g->edges.v[g->edges.n - 1].weight < g->total / EDGE_PART)
        g->edges.n--;
    return true;
}

/* Text */

struct scale {
    const char *name;
    double factor; /* in the smallest unit of its family */
};

static const struct scale time_scale[] = {
    {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"hrs", 3600e9}};
static const struct scale byte_scale[] = {{"B", 1}, {"kB", 1024.0}, {"MB", 1048576.0},
    {"GB", 1073741824.0}, {"TB", 1099511627776.0}, {"PB", 1125899906842624.0}};

static const struct unit {
    const char *name;
    const struct scale *scale;
    unsigned n;
    double factor;
} units[] = {
    {"nanoseconds", time_scale, ARRAY_LEN(time_scale), 1},
    {"microseconds", time_scale, ARRAY_LEN(time_scale), 1e3},
    {"milliseconds", time_scale, ARRAY_LEN(time_scale), 1e6},
    {"seconds", time_scale, ARRAY_LEN(time_scale), 1e9},
    {"bytes", byte_scale, ARRAY_LEN(byte_scale), 1},
};

static const struct unit *unit_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq(name, str_from(units[i].name)))
            return &units[i];
    return NULL;
}

/* 1500 ns → "1.50us"; plain when the unit is a count or not known. */
static void write_value(struct buf *out, int64_t value, const struct unit *unit)
{
    if (value == 0 || !unit) {
        buf_printf(out, "%" PRId64, value);
        return;
    }
    double v = (double)value * unit->factor;
    unsigned k = unit->n - 1;
    while (k > 0 && v < unit->scale[k].factor)
        k--;
    v /= unit->scale[k].factor;
    buf_printf(out, fabs(v - round(v)) < 0.005 ? "%.0f%s" : "%.2f%s", v, unit->scale[k].name);
}

static void write_percent(struct buf *out, int64_t value, int64_t total)
{
    buf_printf(out, " (%.2f%%)", 100.0 * (double)value / (double)total);
}

/* Inside quotes; what is not UTF-8 reads U+FFFD, control characters read as spaces. */
static void write_text(struct buf *out, struct str s)
{
    while (s.n) {
        uint32_t cp;
        size_t n = utf8_decode(s, &cp);
        if (n == 0) {
            buf_str(out, STR("\xEF\xBF\xBD"));
        } else if (cp < ' ' || cp == 0x7F) {
            buf_byte(out, ' ');
        } else {
            if (cp == '"' || cp == '\\')
                buf_byte(out, '\\');
            buf_str(out, str_head(s, n));
        }
        s = str_skip(s, n ? n : 1);
    }
}

/* Grey for nothing, red for all; pale in the background. */
static void write_color(struct buf *out, double part, bool background)
{
    double saturation = background ? 0.1 : 1.0, value = background ? 0.93 : 0.7;
    if (part < 0.2)
        saturation *= part / 0.2;
    double score = part > 0 ? pow(part, 0.3) : 0;
    unsigned red = (unsigned)(value * 255), blue = (unsigned)(value * (1 - saturation) * 255);
    unsigned green = (unsigned)(value * (1 - saturation * score) * 255);
    buf_printf(out, "\"#%02x%02x%02x\"", red, green, blue);
}

static void write_legend(struct graph *g, struct str type, const struct unit *unit, struct buf *out)
{
    int64_t shown = 0;
    for (uint32_t i = 0; i < g->n_kept; i++)
        shown += g->flat[g->kept[i]];
    buf_str(out, STR("subgraph cluster_L { \"Type: "));
    write_text(out, type);
    buf_str(out, STR("\" [shape=box fontsize=16 label=\"Type: "));
    write_text(out, type);
    buf_str(out, STR("\\lShowing nodes accounting for "));
    write_value(out, shown, unit);
    write_percent(out, shown, g->total);
    buf_str(out, STR(" of "));
    write_value(out, g->total, unit);
    buf_str(out, STR(" total\\l"));
    if (g->n_dropped) {
        buf_printf(out, "Dropped %u nodes (cum < ", g->n_dropped);
        write_value(out, g->total / NODE_PART, unit);
        buf_str(out, STR(")\\l"));
    }
    if (g->n_kept + g->n_dropped < g->n_functions)
        buf_printf(out, "Showing top %u nodes out of %u\\l", g->n_kept, g->n_functions);
    buf_str(out, STR("\"] }\n"));
}

static void write_node(
    const struct graph *g, uint32_t i, int64_t flat_max, const struct unit *unit, struct buf *out)
{
    uint32_t name = g->kept[i];
    int64_t flat = g->flat[name], cum = g->cum[name];
    int size = 8;
    if (flat)
        size += (int)ceil(16 * sqrt((double)flat / (double)flat_max));
    buf_printf(out, "N%u [label=\"", i + 1);
    write_text(out, g->t->names[name]);
    buf_str(out, STR("\\n"));
    write_value(out, flat, unit);
    if (flat)
        write_percent(out, flat, g->total);
    if (cum != flat) {
        buf_str(out, flat ? STR("\\nof ") : STR(" of "));
        write_value(out, cum, unit);
        write_percent(out, cum, g->total);
    }
    buf_printf(out, "\" id=\"node%u\" fontsize=%d shape=box tooltip=\"", i + 1, size);
    write_text(out, g->t->names[name]);
    buf_str(out, STR(" ("));
    write_value(out, cum, unit);
    buf_str(out, STR(")\" color="));
    write_color(out, (double)cum / (double)g->total, false);
    buf_str(out, STR(" fillcolor="));
    write_color(out, (double)cum / (double)g->total, true);
    buf_str(out, STR("]\n"));
}

static void write_tip(
    const struct graph *g, const struct edge *e, const struct unit *unit, struct buf *out)
{
    buf_str(out, STR("tooltip=\""));
    write_text(out, g->t->names[g->kept[e->from]]);
    buf_str(out, e->residual ? STR(" ... ") : STR(" -> "));
    write_text(out, g->t->names[g->kept[e->to]]);
    buf_str(out, STR(" ("));
    write_value(out, e->weight, unit);
    buf_str(out, STR(")\""));
}

static void write_edge(
    const struct graph *g, const struct edge *e, const struct unit *unit, struct buf *out)
{
    double part = (double)e->weight / (double)g->total;
    int weight = 1 + (int)MIN(100 * part, 100.0), width = 1 + (int)MIN(5 * part, 5.0);
    buf_printf(out, "N%u -> N%u [label=\" ", e->from + 1, e->to + 1);
    write_value(out, e->weight, unit);
    buf_byte(out, '"');
    if (weight > 1)
        buf_printf(out, " weight=%d", weight);
    if (width > 1)
        buf_printf(out, " penwidth=%d", width);
    buf_str(out, STR(" color="));
    write_color(out, part, false);
    buf_byte(out, ' ');
    write_tip(g, e, unit, out);
    buf_str(out, STR(" label"));
    write_tip(g, e, unit, out);
    buf_str(out, e->residual ? STR(" style=\"dotted\"]\n") : STR("]\n"));
}

static void write_graph(struct graph *g, struct str type, struct str unit_name, struct buf *out)
{
    const struct unit *unit = unit_of(unit_name);
    int64_t flat_max = 0;
    for (uint32_t i = 0; i < g->n_kept; i++)
        flat_max = MAX(flat_max, g->flat[g->kept[i]]);
    buf_str(out, STR("digraph \"unnamed\" {\nnode [style=filled fillcolor=\"#f8f8f8\"]\n"));
    write_legend(g, type, unit, out);
    for (uint32_t i = 0; i < g->n_kept; i++)
        write_node(g, i, flat_max, unit, out);
    for (uint32_t i = 0; i < g->edges.n; i++)
        write_edge(g, &g->edges.v[i], unit, out);
    buf_str(out, STR("}\n"));
}

enum status dot_build(const struct nametree *t, int64_t max_nodes, struct str type, struct str unit,
    struct buf *out, struct error *err)
{
    ASSERT(t->finished && !t->rest);
    if (t->nodes[0].total == 0)
        return ST_OK;
    struct graph g = {.t = t, .arena = t->arena, .total = t->nodes[0].total};
    idmap_init(&g.edge_ids, NULL);
    bool ok = sum_functions(&g) &&
              choose_functions(&g, max_nodes > 0 ? max_nodes : MAX_NODES_DEFAULT) && sum_edges(&g);
    idmap_done(&g.edge_ids);
    if (ok)
        write_graph(&g, type, unit, out);
    if (!ok || out->failed)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the call graph exceeds the memory of the query");
    return ST_OK;
}
