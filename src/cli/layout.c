/* Flame graph layout: see layout.h.
 *
 *     weights   main 10 ─ a 6, b 3, c 0.4, d 0.4, own 0.2        columns 20, narrow 3
 *     row 0     |main              |
 *     row 1     |a          |b    ||…        (c and d, one column together)
 *
 * Rows are made one after the other: the cells of a row are the queue from which the next row is
 * laid out, so depth is no recursion and the result is in the order it is drawn. A frame's edges
 * are its exact edges rounded, never a sum of rounded widths: errors do not add up, and a child
 * never leaves its parent.
 *
 * Thread: the caller's. Failure: only a full arena. Cost: the children of drawn frames, sorted. */
#include "cli/layout.h"

#include <math.h>
#include <stdlib.h>

struct maker {
    const struct nametree *t;
    const double *weights;
    double scale; /* columns per weight */
    uint32_t narrow;
    struct flame_layout *layout;
    uint32_t *order; /* children of one node by weight */
    double *starts;  /* exact left edge by node, in weight */
};

struct order_ctx {
    const struct nametree *t;
    const double *weights;
};

/* Heavier first, then by the order of names, which is that of the children. */
static int by_weight(const void *a, const void *b, void *ctx)
{
    const struct order_ctx *o = ctx;
    uint32_t x = o->t->children[*(const uint32_t *)a], y = o->t->children[*(const uint32_t *)b];
    if (o->weights[x] != o->weights[y])
        return o->weights[x] > o->weights[y] ? -1 : 1;
    return *(const uint32_t *)a < *(const uint32_t *)b ? -1 : 1;
}

static uint32_t column(const struct maker *m, double at)
{
    return (uint32_t)floor(at * m->scale + 0.5);
}

static bool push(struct maker *m, struct flame_cell cell)
{
    struct flame_cell *slot = VEC_PUSH(m->t->arena, *m->layout);
    if (slot)
        *slot = cell;
    return slot != NULL;
}

/* Lays out the children of one frame into the row below; false when the arena is full. */
static bool lay_children(struct maker *m, struct flame_cell up)
{
    const struct name_node *node = &m->t->nodes[up.node];
    struct order_ctx ctx = {m->t, m->weights};
    for (uint32_t i = 0; i < node->n_children; i++)
        m->order[i] = node->first_child + i;
    qsort_r(m->order, node->n_children, sizeof *m->order, by_weight, &ctx);
    double at = m->starts[up.node];
    uint32_t i = 0;
    for (; i < node->n_children; i++) {
        uint32_t child = m->t->children[m->order[i]];
        double w = m->weights[child];
        uint32_t col = column(m, at), end = MIN(column(m, at + w), up.col + up.width);
        if (w <= 0 || end < col + m->narrow)
            break;
        m->starts[child] = at;
        if (!push(m, (struct flame_cell){up.row + 1, col, end - col, child, up.node, 1, w}))
            return false;
        at += w;
    }
    struct flame_cell rest = {up.row + 1, column(m, at), 0, CELL_MERGED, up.node, 0, 0};
    for (; i < node->n_children; i++) {
        double w = m->weights[m->t->children[m->order[i]]];
        rest.weight += w;
        rest.n += w > 0;
    }
    uint32_t end = MIN(column(m, at + rest.weight), up.col + up.width);
    if (rest.n == 0 || end <= rest.col)
        return true;
    rest.width = end - rest.col;
    return push(m, rest);
}

/* Rows below the last one, along all frames that could be seen there: how deep the tree goes. */
static uint32_t depth_below(const struct nametree *t, uint32_t row, struct arena *arena)
{
    uint32_t *depth = ARENA_ZARRAY(arena, uint32_t, t->n_nodes);
    uint32_t deepest = row;
    for (uint32_t i = 1; depth && i < t->n_nodes; i++) {
        depth[i] = depth[t->nodes[i].parent] + 1;
        deepest = MAX(deepest, depth[i]);
    }
    return deepest - row;
}

enum status flame_layout_make(const struct nametree *t, const double *weights, uint32_t columns,
    uint32_t narrow, uint32_t rows_max, struct flame_layout *ret_layout, struct error *err)
{
    ASSERT(t->finished && narrow > 0 && columns > 0);
    struct flame_layout layout = {0};
    struct maker m = {t, weights, .narrow = narrow, .layout = &layout};
    m.scale = weights[0] > 0 ? columns / weights[0] : 0;
    m.order = ARENA_ARRAY(t->arena, uint32_t, t->n_nodes);
    m.starts = ARENA_ZARRAY(t->arena, double, t->n_nodes);
    bool ok = m.order && m.starts &&
              push(&m, (struct flame_cell){0, 0, columns, 0, 0, 1, weights[0]});
    uint32_t i = 0;
    for (; ok && i < layout.n && layout.v[i].row + 1 < rows_max; i++)
        if (layout.v[i].node != CELL_MERGED)
            ok = lay_children(&m, layout.v[i]);
    if (!ok)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the flame graph needs too much memory");
    layout.rows = layout.v[layout.n - 1].row + 1;
    if (i < layout.n)
        layout.rows_hidden = depth_below(t, layout.rows - 1, t->arena);
    *ret_layout = layout;
    return ST_OK;
}
