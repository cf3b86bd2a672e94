/* Shapes made from finished name trees, byte for byte those of the reference server: flame graph,
 * tree bytes, diff. */
#ifndef MODEL_FLAMEGRAPH_H
#define MODEL_FLAMEGRAPH_H

#include "base/buf.h"
#include "model/nametree.h"

struct flame_level {
    int64_t *values; /* groups of 4 (flame graph) or 7 (diff) */
    uint32_t n;      /* int64s */
};

struct flamegraph {
    struct str *names;
    struct flame_level *levels;
    uint32_t n_names, n_levels;
    int64_t total, max_self;
    int64_t left_ticks, right_ticks; /* diff only */
};

/* The total a node must have to survive a cut to `budget` nodes: the budget-th largest total, 0
 * when the tree has at most `budget` nodes (the root not counted) or budget <= 0. -1: the arena,
 * used for scratch, is full. */
int64_t nametree_threshold(const struct nametree *t, int64_t budget, struct arena *arena);

/* Pre-order bytes, nodes below the threshold merged into `other`; no bytes for no data. */
enum status nametree_encode(
    const struct nametree *t, int64_t budget, struct buf *out, struct error *err);
/* Adds what tree bytes hold to t, which the caller finishes: children in any order, equal siblings
 * merged, fewer than 2 bytes are no data. Time and memory are bounded by the input's size. */
enum status nametree_decode(struct str bytes, struct nametree *t, struct error *err);

/* The tree cut by `budget` (validated) as the tree bytes are, then drawn with `raw_budget` (as the
 * client sent it), without going through bytes. Everything in the arena. */
enum status flamegraph_build(const struct nametree *t, int64_t budget, int64_t raw_budget,
    struct arena *arena, struct flamegraph *ret_graph, struct error *err);
/* Both trees uncut: they are cut once, by the larger side, so that no frame reads 0 because
 * one side was cut. */
enum status flamegraph_diff(const struct nametree *left, const struct nametree *right,
    int64_t budget, struct arena *arena, struct flamegraph *ret_graph, struct error *err);

#endif
