/* Shared by flamegraph.c, diff.c, tree_bytes.c and threshold.c. */
#ifndef MODEL_FLAMEGRAPH_INT_H
#define MODEL_FLAMEGRAPH_INT_H

#include "model/flamegraph.h"

/* In place of a node index: an `other` that no node of the tree stands for. */
#define FLAME_OTHER SYM_NONE

static inline struct str flame_other_name(void)
{
    return STR("other");
}

/* The k-th largest of n values (1 <= k <= n); reorders them. */
int64_t flame_kth_largest(int64_t *v, size_t n, size_t k);

/* What children of a node have that are not in the tree: less than any threshold each. */
static inline int64_t flame_rest(const struct nametree *t, uint32_t node)
{
    return t->rest ? t->rest[node] : 0;
}

/* How the children of a node come through a cut by the tree encoder: those with at least `min`
 * stay, so does a child called `other`, which takes what the rest had. */
struct flame_cut {
    uint32_t kept;   /* with an existing `other` */
    uint32_t other;  /* index of an existing `other`, or FLAME_OTHER */
    int64_t dropped; /* sum of the totals of the rest */
};
struct flame_cut flame_cut_children(
    const struct nametree *t, uint32_t node, int64_t min, uint32_t other_name);

static inline bool flame_cut_keeps(
    const struct nametree *t, uint32_t child, int64_t min, uint32_t other_name)
{
    return t->nodes[child].total >= min || t->nodes[child].name == other_name;
}

/* Drawing: boxes are pushed, popped last in first out, and recorded in the order of visits. */
struct flame_box {
    int64_t x[2], total[2], self[2]; /* [1] is used by the diff */
    uint32_t node;                   /* or FLAME_OTHER; once recorded: index into names */
    uint32_t level;
};

struct flame_draw {
    struct arena *arena;
    const struct nametree *tree;
    unsigned sides; /* 1 or 2 */
    struct {
        struct flame_box *v;
        uint32_t n, cap;
    } stack, boxes;
    struct {
        struct str *v;
        uint32_t n, cap;
    } names;
    uint32_t *index_of; /* name id of the tree → index into names, or SYM_NONE */
    uint32_t other_name;
    uint32_t other_index; /* of `other` when the tree has no such name */
    int64_t max_self;
};

/* root_key: the text under which the root's name, `total`, is looked up later. */
enum status flame_draw_init(struct flame_draw *d, struct arena *arena, const struct nametree *t,
    unsigned sides, struct str root_key, struct error *err);
enum status flame_draw_push(struct flame_draw *d, const struct flame_box *box, struct error *err);
/* The next box to visit, already recorded; *ret_more is false when there is none. */
enum status flame_draw_visit(
    struct flame_draw *d, struct flame_box *ret_box, bool *ret_more, struct error *err);
/* Rows, names and max_self; the caller sets the totals. */
enum status flame_draw_finish(
    struct flame_draw *d, struct flamegraph *ret_graph, struct error *err);

static inline enum status flame_no_memory(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "the flame graph exceeds the memory of the query");
}

#endif
