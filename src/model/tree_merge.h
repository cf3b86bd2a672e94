/* K trees of names merged best-first from the root, as far as a picture of a given budget needs.
 *
 * Nodes are opened by falling merged total (of two sides: the larger); opening one reads its
 * children from every source that has it and adds them up by name. A child never has more than its
 * parent, so after `budget` nodes have come, with T the total of the last, and those that tie with
 * it, whatever was not opened has less than T, and so has all below it. What results is an ordinary
 * finished name tree:
 *
 *  - a node that was opened has its exact self and total, and those of its children that have at
 *    least what is known of T by then; what the others have together is its `rest`;
 *  - a node that was not opened is a leaf whose self is its exact total;
 *  - a child called `other` of an opened node is there and opened whatever it has, as cuts keep it.
 *
 * What is drawn from it is byte for byte what would be drawn from the complete tree:
 *
 *     nametree_encode(budget), flamegraph_build(budget, raw_budget), flamegraph_diff(budget)
 *
 * Why. Let T(N) be the N-th largest total of the complete tree, its root not counted; 0 if N <= 0
 * or there are no more than N nodes. Nodes with at least T(budget) and all that is above them are
 * opened; so the partial tree has every node with at least T(budget), and the N-th largest of the
 * partial tree is T(N) for every N <= budget. A child is left out only when budget nodes have more
 * than it: so it is below T(budget), and a tree with a rest stands for more than budget nodes; one
 * without has more than budget nodes if the complete tree has (else everything was opened).
 *  1. nametree_encode writes the children of nodes that reach T(budget) and of `other`s below
 *     them: opened all, so selfs, totals and names of children are exact. What it drops it adds up
 *     by total, and the rest with it.
 *  2. flamegraph_build(budget > 0): its first threshold is T(budget); the second only looks at what
 *     1. would write; the drawing visits nodes that reach the larger of both. If T(budget) is 0,
 *     because there are no more nodes or the others have nothing, everything was opened, whatever
 *     raw_budget says.
 *     flamegraph_build(budget <= 0): T(raw_budget) alone cuts.
 *     Hence tree_merge_budget below; a larger one does as well, as it only opens more.
 *  3. flamegraph_diff counts the root, which is the largest: its threshold is the larger total that
 *     is budget-th with it, so at least the budget-th without it, at which the merge stops.
 *
 * For shapes that look at all nodes (nametree_encode with another budget, dot_build, function
 * tables) merge with budget 0, which opens everything.
 *
 * Cost: one table lookup per child entry that is read, one insertion per node of the result, one
 * look-up of a text per name and source. Memory: the arenas of the results, for what is kept: a few
 * times `budget`, whatever is read. */
#ifndef MODEL_TREE_MERGE_H
#define MODEL_TREE_MERGE_H

#include "model/flat_tree.h"
#include "model/nametree.h"
#include "model/rollup.h"

/* One of: a flat tree in memory with its names; a roll-up with its names. Sources next to each
 * other that have the same names share what was looked up. */
struct tree_source {
    const struct flat_tree *flat;
    const struct rollup_names *texts;
    struct rollup_reader *rollup;
    struct rollup_names_reader *names;
    unsigned side; /* 0, or 1 for the right side of a diff */
};

struct tree_merge_limits {
    int64_t budget; /* nodes; <= 0: all */
    /* Asked every few thousand entries; its status is passed on. May be NULL. */
    enum status (*alive)(void *ctx, struct error *err);
    void *ctx;
};

/* What flamegraph_build(budget, raw_budget) needs. */
static inline int64_t tree_merge_budget(int64_t budget, int64_t raw_budget)
{
    return budget > 0 ? budget : raw_budget;
}

/* Merges the sources of side s into ret_trees[s], s < n_sides (1 or 2): trees that were just made
 * by nametree_init, nothing added; they are finished when this succeeds, and else can only be given
 * to nametree_done. Both have the same name ids, and names that only the other one uses.
 * ST_RESOURCE_EXHAUSTED: an arena is full; ST_OUT_OF_RANGE: the sum of a side leaves int64;
 * ST_DATA_LOSS: a roll-up is damaged; else what a chunk callback or `alive` said. */
enum status tree_merge(const struct tree_source *sources, uint32_t n_sources,
    const struct tree_merge_limits *limits, struct nametree *ret_trees, unsigned n_sides,
    struct error *err);

#endif
