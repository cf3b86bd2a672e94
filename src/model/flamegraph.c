/* Flame graphs of name trees, equal to what the reference server sends.
 *
 * There the tree is cut twice: by the tree encoder with the validated budget, which merges what it
 * drops into a child `other` at its sorted place, and by the drawing with the client's own budget,
 * which folds small children and every `other` into one `other` at the right end. Drawing a cut
 * tree needs no copy of it:
 *
 *  1. A node is drawn if it and all nodes above it reach both thresholds and are not called
 *     `other`; so the larger threshold decides.
 *  2. What is folded at a node is the same mass either way: its total less its self and the totals
 *     of the children that are drawn. No box for a mass of zero.
 *  3. Only the second threshold depends on the cut tree's nodes, `other`s and what is below them
 *     included: cut_totals lists these.
 *
 * Hence totals are exact at every budget. Failure: ST_RESOURCE_EXHAUSTED when the arena is full. */
#include "model/flamegraph_int.h"

/* Totals of all nodes of the tree cut by `min`: at most one of each node and one of an `other`
 * below it. NULL when the arena is full. */
static int64_t *cut_totals(
    const struct nametree *t, int64_t min, struct arena *arena, uint32_t *ret_n)
{
    uint32_t other_name = nametree_find_name(t, flame_other_name());
    bool *reached = ARENA_ZARRAY(arena, bool, t->n_nodes);
    int64_t *totals = reached ? ARENA_ARRAY(arena, int64_t, (size_t)t->n_nodes * 2) : NULL;
    if (!totals)
        return NULL;
    uint32_t n = 0;
    reached[0] = true;
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        if (!reached[i])
            continue;
        struct flame_cut cut = flame_cut_children(t, i, min, other_name);
        if (cut.dropped && cut.other == FLAME_OTHER)
            totals[n++] = cut.dropped;
        const uint32_t *child = t->children + t->nodes[i].first_child;
        for (const uint32_t *end = child + t->nodes[i].n_children; child < end; child++) {
            if (!flame_cut_keeps(t, *child, min, other_name))
                continue;
            reached[*child] = true;
            totals[n++] = t->nodes[*child].total + (*child == cut.other ? cut.dropped : 0);
        }
    }
    *ret_n = n;
    return totals;
}

/* The larger of the two thresholds; -1 when the arena is full. */
static int64_t draw_threshold(
    const struct nametree *t, int64_t budget, int64_t raw_budget, struct arena *arena)
{
    int64_t first = nametree_threshold(t, budget, arena);
    if (first < 0 || raw_budget <= 0)
        return first;
    if (first == 0)
        return nametree_threshold(t, raw_budget, arena);
    uint32_t n;
    int64_t *totals = cut_totals(t, first, arena, &n);
    if (!totals)
        return -1;
    if (n <= raw_budget)
        return first;
    return MAX(first, flame_kth_largest(totals, n, (size_t)raw_budget));
}

static enum status push_children(
    struct flame_draw *d, const struct flame_box *box, int64_t min, struct error *err)
{
    const struct nametree *t = d->tree;
    const struct name_node *node = &t->nodes[box->node];
    struct flame_box child = {.x = {box->x[0] + box->self[0]}, .level = box->level + 1};
    int64_t other = flame_rest(t, box->node);
    for (uint32_t k = 0; k < node->n_children; k++) {
        child.node = t->children[node->first_child + k];
        const struct name_node *c = &t->nodes[child.node];
        if (c->total < min || c->name == d->other_name) {
            other += c->total;
            continue;
        }
        child.total[0] = c->total;
        child.self[0] = c->self;
        TRY(flame_draw_push(d, &child, err));
        child.x[0] += c->total;
    }
    if (other == 0)
        return ST_OK;
    child.node = FLAME_OTHER;
    child.total[0] = child.self[0] = other;
    return flame_draw_push(d, &child, err);
}

enum status flamegraph_build(const struct nametree *t, int64_t budget, int64_t raw_budget,
    struct arena *arena, struct flamegraph *ret_graph, struct error *err)
{
    ASSERT(t->finished);
    int64_t min = draw_threshold(t, budget, raw_budget, arena);
    if (min < 0)
        return flame_no_memory(err);
    struct flame_draw d;
    TRY(flame_draw_init(&d, arena, t, 1, STR("total"), err));
    struct flame_box box = {.total = {t->nodes[0].total}};
    TRY(flame_draw_push(&d, &box, err));
    for (bool more = true;;) {
        TRY(flame_draw_visit(&d, &box, &more, err));
        if (!more)
            break;
        if (box.node != FLAME_OTHER)
            TRY(push_children(&d, &box, min, err));
    }
    TRY(flame_draw_finish(&d, ret_graph, err));
    ret_graph->total = t->nodes[0].total;
    return ST_OK;
}
