/* What the commands compute from merged profiles: trees, tables of functions, comparisons. Pure. */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include "codec/messages.h"
#include "model/nametree.h"

/* Adds every sample of value column 0 to the tree, which the caller finishes. Inlined lines
 * expand, outermost first; a location without lines reads `<basename of mapping>!0x<address>`. */
enum status tree_add_profile(struct nametree *t, const struct m_profile *p, struct error *err);

/* Whether the server left something out: it puts what it cuts into a function `other` at a location
 * that is nowhere. */
bool tree_profile_is_cut(const struct m_profile *p);

/* A value per node, by node index. A tree of one profile has its own; a comparison has two sides
 * over the nodes of one tree. */
struct tree_side {
    int64_t *self, *total;
    int64_t sum; /* of all */
};

/* Copies of the values of a finished tree. */
enum status tree_side_of(
    const struct nametree *t, struct arena *arena, struct tree_side *ret_side, struct error *err);
/* Both profiles in one tree, finished, its values being the sums; and each side over its nodes. */
enum status tree_compare(struct nametree *t, const struct m_profile *before,
    const struct m_profile *after, struct tree_side ret_sides[2], struct error *err);

/* By name id: self, and total counted once per stack however often the function stands in it. */
struct tree_function {
    int64_t self, total;
};
enum status tree_functions(const struct nametree *t, const struct tree_side *side,
    struct arena *arena, struct tree_function **ret_functions, struct error *err);

#endif
