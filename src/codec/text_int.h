/* Stacks under construction, for the files of the text formats. Nobody else includes this.
 *
 * A tree of (parent, name): node 0 is the root, the empty stack. Following a frame costs two look-
 * ups, whatever the depth, so that deep stacks that are visited often stay cheap; only the end
 * writes stacks out, and that memory is counted before it is taken. */
#ifndef CODEC_TEXT_INT_H
#define CODEC_TEXT_INT_H

#include "codec/arena_map_int.h"
#include "codec/text.h"

struct text_node {
    uint32_t parent, name, depth;
    int64_t value;
};

struct text_tree {
    struct arena *arena;
    struct error *err;
    struct {
        struct text_node *v;
        uint32_t n, cap;
    } nodes;
    struct {
        struct str *v;
        uint32_t n, cap;
    } names;
    struct idmap by_name, by_child;
};

enum status text_tree_init(struct text_tree *t, struct arena *arena, struct error *err);
/* Forgets the nodes and keeps the names. */
enum status text_restart(struct text_tree *t);
/* The id of a name; it is copied when it is new and `copy` says that it does not last. */
enum status text_name(struct text_tree *t, struct str name, bool copy, uint32_t *ret_name);
/* The node of `parent` for a name. */
enum status text_child(struct text_tree *t, uint32_t parent, uint32_t name, uint32_t *ret_node);
/* The node for a;b;c below the root. A `;` at the end adds no frame. */
enum status text_path(struct text_tree *t, struct str path, uint32_t *ret_node);
/* Saturates. */
void text_add(struct text_tree *t, uint32_t node, int64_t value);
/* Every node below the root whose value is positive, in order of appearance. */
enum status text_finish(const struct text_tree *t, struct text_stacks *ret_stacks);
enum status text_full(struct error *err);

/* text_binary.c */
enum status text_decode_trie(struct str in, struct text_tree *t);
enum status text_decode_tree(struct str in, const struct text_limits *limits, struct text_tree *t);

#endif
