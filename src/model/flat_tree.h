/* A flat tree: the stacks of one part as they were summed, by names, nothing united yet.
 *
 * It costs a pass over the sums and no look-up per node: children of equal names stay apart until
 * somebody opens their parent (tree_merge.h). So a tree of a million stacks, of which a picture
 * shows some thousand, is made at the speed of memory. */
#ifndef MODEL_FLAT_TREE_H
#define MODEL_FLAT_TREE_H

#include "base/status.h"
#include "model/rollup.h"

struct flat_node {
    int64_t total;
    uint32_t name;              /* id of the names that it was made with */
    uint32_t first_child, next; /* 0: none */
};

struct flat_tree {
    struct flat_node *v; /* v[0] is the root; a parent lies before its children */
    uint32_t n;
};

/* sums[i] is the self value at stack node i of the symbols, never negative; it becomes the total
 * (sums are used up). The root is not a frame: values of the empty stack are left out. Nodes lie in
 * `nodes`, names and what is composed in the arena of the names. ST_OUT_OF_RANGE: a total leaves
 * int64; ST_RESOURCE_EXHAUSTED: the arena is full. */
enum status flat_tree_make(struct flat_tree *t, struct rollup_names *names, struct arena *nodes,
    const struct symtab *sym, int64_t *sums, uint32_t n_nodes, struct error *err);

#endif
