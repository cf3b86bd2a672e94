/* A tree of function names with self and total values: what flame graphs are drawn from.
 *
 * Built by adding parts: the builder maps each part's stack nodes to (parent, name) nodes of its
 * own, names being interned over all parts by their text. Nodes are in an array; a parent has a
 * smaller index than its children. After nametree_finish every node knows its total and its
 * children, sorted by name bytewise. Values are never negative; sums that leave int64 fail.
 *
 * Texts are copied into the arena, so a tree outlives the symbols it was added from. The root is
 * not a frame: values of the empty stack are left out, as in the reference. Whatever runs out of
 * memory fails with ST_RESOURCE_EXHAUSTED; the tree can then only be given to nametree_done. */
#ifndef MODEL_NAMETREE_H
#define MODEL_NAMETREE_H

#include "base/arena.h"
#include "base/idmap.h"
#include "base/status.h"
#include "model/symtab.h"

struct name_node {
    uint32_t parent, name; /* node 0 is the root: parent 0, name = the empty text */
    int64_t self, total;
    uint32_t first_child, n_children; /* of nametree.children, after finish; before: newest child */
    uint32_t next;                    /* older child of the same parent; 0 = none */
};

struct nametree {
    struct arena *arena;
    struct str *names;
    struct name_node *nodes;
    uint32_t *children; /* node indexes, grouped by parent, sorted by name */
    /* By node, what children have that the tree does not (tree_merge.h): for drawing only. NULL:
     * it has all. */
    int64_t *rest;
    uint32_t n_names, cap_names, n_nodes, cap_nodes;
    struct idmap name_ids, node_ids; /* on the heap: nametree_done */
    bool finished, unindexed;
};

void nametree_init(struct nametree *t, struct arena *arena);
void nametree_done(struct nametree *t);

/* Adds sums[i] as self value at stack node i of the symbols. Locations expand to their lines,
 * outermost first; an unsymbolised location reads `<basename of mapping>!0x<address>`. Cost: one
 * pass over n_nodes and one lookup per node with a value below it. */
enum status nametree_add(struct nametree *t, const struct symtab *sym, const int64_t *sums,
    uint32_t n_nodes, struct error *err);
/* One path of names, root first (tests). Makes the nodes also when self is 0. */
enum status nametree_add_path(
    struct nametree *t, const struct str *names, uint32_t n, int64_t self, struct error *err);
/* Totals and sorted children; adding more needs another finish. */
enum status nametree_finish(struct nametree *t, struct error *err);

/* For what builds trees from other shapes: ids, new where needed; SYM_NONE without memory. */
uint32_t nametree_name(struct nametree *t, struct str name);
uint32_t nametree_child(struct nametree *t, uint32_t parent, uint32_t name);
/* The same for who knows that the parent has no such child: nothing is looked up. Such a tree can
 * only be finished. */
uint32_t nametree_new_child(struct nametree *t, uint32_t parent, uint32_t name);
/* The id of a name that is there, else SYM_NONE. */
uint32_t nametree_find_name(const struct nametree *t, struct str name);

#endif
