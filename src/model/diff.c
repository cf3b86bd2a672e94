/* The diff of two name trees: one tree of all paths of either side, drawn with both sides' values.
 *
 * The union is a name tree of its own, so that names and (parent, name) pairs meet by its indexes
 * and its children come sorted; its own values stay 0, those of the sides are arrays by union node:
 *
 *     left node ──┐
 *                 ├─ union node ── value[LEFT], value[RIGHT]
 *     right node ─┘
 *
 * A child is drawn if either side reaches the threshold, which is the budget-th largest of
 * max(left, right) over all nodes, the root included; the rest folds into one `other` on the right.
 * Unlike in the flame graph the name `other` is nothing special, and the root is looked up as the
 * empty name, so a function without a name shares the root's `total` while one called `total` does
 * not. Failure: ST_RESOURCE_EXHAUSTED when the arena is full, ST_OUT_OF_RANGE when both totals
 * together leave int64. */
#include "model/flamegraph_int.h"

enum { LEFT, RIGHT };

struct pair {
    int64_t self[2], total[2], rest[2];
};

struct diff {
    struct nametree both;
    struct pair *values; /* by node of `both` */
    int64_t min;
};

/* Adds the shape of `t` to the union; NULL when the arena is full. */
static uint32_t *unite(struct nametree *both, const struct nametree *t, struct arena *arena)
{
    uint32_t *names = ARENA_ARRAY(arena, uint32_t, t->n_names);
    uint32_t *nodes = names ? ARENA_ARRAY(arena, uint32_t, t->n_nodes) : NULL;
    if (!nodes)
        return NULL;
    for (uint32_t k = 0; k < t->n_names; k++) {
        names[k] = nametree_name(both, t->names[k]);
        if (names[k] == SYM_NONE)
            return NULL;
    }
    nodes[0] = 0;
    for (uint32_t i = 1; i < t->n_nodes; i++) {
        const struct name_node *node = &t->nodes[i];
        nodes[i] = nametree_child(both, nodes[node->parent], names[node->name]);
        if (nodes[i] == SYM_NONE)
            return NULL;
    }
    return nodes;
}

static void take_values(
    struct diff *diff, const struct nametree *t, const uint32_t *nodes, unsigned side)
{
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        diff->values[nodes[i]].self[side] = t->nodes[i].self;
        diff->values[nodes[i]].total[side] = t->nodes[i].total;
        diff->values[nodes[i]].rest[side] = flame_rest(t, i);
    }
}

static bool set_threshold(struct diff *diff, int64_t budget, struct arena *arena)
{
    uint32_t n = diff->both.n_nodes;
    diff->min = 0;
    if (budget <= 0 || n <= budget)
        return true;
    int64_t *larger = ARENA_ARRAY(arena, int64_t, n);
    if (!larger)
        return false;
    for (uint32_t i = 0; i < n; i++)
        larger[i] = MAX(diff->values[i].total[LEFT], diff->values[i].total[RIGHT]);
    diff->min = flame_kth_largest(larger, n, (size_t)budget);
    return true;
}

static enum status build(struct diff *diff, const struct nametree *left,
    const struct nametree *right, int64_t budget, struct arena *arena, struct error *err)
{
    const uint32_t *left_nodes = unite(&diff->both, left, arena);
    const uint32_t *right_nodes = left_nodes ? unite(&diff->both, right, arena) : NULL;
    if (!right_nodes)
        return flame_no_memory(err);
    TRY(nametree_finish(&diff->both, err));
    diff->values = ARENA_ZARRAY(arena, struct pair, diff->both.n_nodes);
    if (!diff->values)
        return flame_no_memory(err);
    take_values(diff, left, left_nodes, LEFT);
    take_values(diff, right, right_nodes, RIGHT);
    return set_threshold(diff, budget, arena) ? ST_OK : flame_no_memory(err);
}

static void set_values(struct flame_box *box, const struct pair *values)
{
    for (unsigned s = LEFT; s <= RIGHT; s++) {
        box->self[s] = values->self[s];
        box->total[s] = values->total[s];
    }
}

static enum status push_children(
    struct flame_draw *d, const struct diff *diff, const struct flame_box *box, struct error *err)
{
    const struct name_node *node = &diff->both.nodes[box->node];
    struct pair other = {0};
    struct flame_box child = {.level = box->level + 1};
    for (unsigned s = LEFT; s <= RIGHT; s++) {
        child.x[s] = box->x[s] + box->self[s];
        other.self[s] = other.total[s] = diff->values[box->node].rest[s];
    }
    for (uint32_t k = 0; k < node->n_children; k++) {
        child.node = diff->both.children[node->first_child + k];
        const struct pair *v = &diff->values[child.node];
        if (v->total[LEFT] < diff->min && v->total[RIGHT] < diff->min) {
            for (unsigned s = LEFT; s <= RIGHT; s++)
                other.self[s] = other.total[s] += v->total[s];
            continue;
        }
        set_values(&child, v);
        TRY(flame_draw_push(d, &child, err));
        for (unsigned s = LEFT; s <= RIGHT; s++)
            child.x[s] += v->total[s];
    }
    if (other.total[LEFT] == 0 && other.total[RIGHT] == 0)
        return ST_OK;
    child.node = FLAME_OTHER;
    set_values(&child, &other);
    return flame_draw_push(d, &child, err);
}

static enum status draw(
    const struct diff *diff, struct arena *arena, struct flamegraph *ret_graph, struct error *err)
{
    struct flame_draw d;
    TRY(flame_draw_init(&d, arena, &diff->both, 2, STR_EMPTY, err));
    struct flame_box box = {0};
    set_values(&box, &diff->values[0]);
    TRY(flame_draw_push(&d, &box, err));
    for (bool more = true;;) {
        TRY(flame_draw_visit(&d, &box, &more, err));
        if (!more)
            break;
        if (box.node != FLAME_OTHER)
            TRY(push_children(&d, diff, &box, err));
    }
    return flame_draw_finish(&d, ret_graph, err);
}

enum status flamegraph_diff(const struct nametree *left, const struct nametree *right,
    int64_t budget, struct arena *arena, struct flamegraph *ret_graph, struct error *err)
{
    ASSERT(left->finished && right->finished);
    int64_t total;
    if (__builtin_add_overflow(left->nodes[0].total, right->nodes[0].total, &total))
        FAIL(err, ST_OUT_OF_RANGE, "sum of both sides leaves the 64-bit range");
    struct diff diff;
    struct flamegraph g;
    nametree_init(&diff.both, arena);
    enum status st = build(&diff, left, right, budget, arena, err);
    if (st == ST_OK)
        st = draw(&diff, arena, &g, err);
    nametree_done(&diff.both);
    TRY(st);
    g.total = total;
    g.left_ticks = left->nodes[0].total;
    g.right_ticks = right->nodes[0].total;
    *ret_graph = g;
    return ST_OK;
}
