/* Shapes made from finished name trees, exactly as spec/query.md §2.9-§2.11 draws them. */
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

/* §2.9 step 6: 0 when the tree has at most `budget` nodes or budget <= 0. */
int64_t nametree_threshold(const struct nametree *t, int64_t budget, struct arena *arena);

/* §2.10: pre-order bytes, nodes below the threshold merged into `other`; no bytes for no data. */
enum status nametree_encode(
    const struct nametree *t, int64_t budget, struct buf *out, struct error *err);
/* Reads tree bytes back (§2.10 rules for readers); bounded by the input's size. */
enum status nametree_decode(struct str bytes, struct nametree *t, struct error *err);

/* The pipeline of §2.9: the tree cut by `budget` (validated), then drawn with `raw_budget`, without
 * going through bytes. Everything in the arena. */
enum status flamegraph_build(const struct nametree *t, int64_t budget, int64_t raw_budget,
    struct arena *arena, struct flamegraph *ret_graph, struct error *err);
/* §2.11; both trees uncut: they are cut once, by the larger side, so that no frame reads 0 because
 * one side was cut. */
enum status flamegraph_diff(const struct nametree *left, const struct nametree *right,
    int64_t budget, struct arena *arena, struct flamegraph *ret_graph, struct error *err);

#endif
