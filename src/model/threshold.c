/* What survives a cut: the threshold of a budget and the fate of a node's children.
 *
 * The reference walks the tree from the roots with a heap of the `budget` largest totals and does
 * not descend below a node that did not get in. A child never has more than its parent, so nothing
 * below such a node could get in either, and the smallest element of the heap at the end is simply
 * the budget-th largest total of all nodes. That is found in expected linear time by selection;
 * pivots are drawn with the process's hash seed, so that input cannot choose the worst case. */
#include "base/hash.h"
#include "model/flamegraph_int.h"

static void swap(int64_t *a, int64_t *b)
{
    int64_t t = *a;
    *a = *b;
    *b = t;
}

/* Three-way: [lo, *ret_gt) above the pivot, [*ret_gt, *ret_eq) equal to it, the rest below. */
static void partition(
    int64_t *v, size_t lo, size_t hi, int64_t pivot, size_t *ret_gt, size_t *ret_eq)
{
    size_t gt = lo, at = lo, lt = hi;
    while (at < lt) {
        if (v[at] > pivot)
            swap(&v[at++], &v[gt++]);
        else if (v[at] < pivot)
            swap(&v[at], &v[--lt]);
        else
            at++;
    }
    *ret_gt = gt;
    *ret_eq = lt;
}

int64_t flame_kth_largest(int64_t *v, size_t n, size_t k)
{
    ASSERT(k >= 1 && k <= n);
    size_t lo = 0, hi = n, want = k - 1;
    for (uint64_t round = 0;; round++) {
        int64_t pivot = v[lo + hash_u64(round, hi) % (hi - lo)];
        size_t gt, eq;
        partition(v, lo, hi, pivot, &gt, &eq);
        if (want < gt)
            hi = gt;
        else if (want >= eq)
            lo = eq;
        else
            return pivot;
    }
}

int64_t nametree_threshold(const struct nametree *t, int64_t budget, struct arena *arena)
{
    ASSERT(t->finished);
    uint32_t n = t->n_nodes - 1;
    if (budget <= 0 || n < budget || (n == budget && !t->rest))
        return 0;
    int64_t *totals = ARENA_ARRAY(arena, int64_t, n);
    if (!totals)
        return -1;
    for (uint32_t i = 0; i < n; i++)
        totals[i] = t->nodes[i + 1].total;
    return flame_kth_largest(totals, n, (size_t)budget);
}

struct flame_cut flame_cut_children(
    const struct nametree *t, uint32_t node, int64_t min, uint32_t other_name)
{
    const struct name_node *parent = &t->nodes[node];
    struct flame_cut cut = {.other = FLAME_OTHER, .dropped = flame_rest(t, node)};
    for (uint32_t k = 0; k < parent->n_children; k++) {
        uint32_t child = t->children[parent->first_child + k];
        if (t->nodes[child].name == other_name)
            cut.other = child;
        if (flame_cut_keeps(t, child, min, other_name))
            cut.kept++;
        else
            cut.dropped += t->nodes[child].total;
    }
    return cut;
}
