/* Tree bytes: the pre-order dump in which the reference server's parts exchange name trees.
 *
 *     node  = uvarint name_length, name, uvarint self, uvarint child_count, node × child_count
 *     bytes = node of the virtual root (empty name, self 0); nothing at all for a tree without data
 *
 * Writing goes through a stack onto which children are pushed in name order, so the child with the
 * largest name comes first with everything below it. Totals are not stored. A cut drops children
 * below the threshold of the budget and adds their totals to the self of a child `other`, which is
 * made at its sorted place if there is none; children called `other` stay whatever they have, and
 * their own children are cut like any.
 *
 * Reading trusts nothing: a node takes at least three bytes, which bounds what a count may say;
 * depth only costs stack entries in the arena; names and selfs are checked. The virtual root's name
 * and self are skipped. Bytes after the tree are an error. */
#include "base/varint.h"
#include "model/flamegraph_int.h"

enum { NODE_BYTES_MIN = 3 };

/* Writing */

struct pending {
    uint32_t node; /* or FLAME_OTHER */
    int64_t extra; /* self that came from dropped siblings */
};

struct writer {
    const struct nametree *t;
    struct buf *out;
    int64_t min;
    uint32_t other_name;
    struct {
        struct pending *v;
        uint32_t n, cap;
    } stack;
};

static bool push(struct writer *w, uint32_t node, int64_t extra)
{
    struct pending *slot = VEC_PUSH(w->t->arena, w->stack);
    if (!slot)
        return false;
    *slot = (struct pending){node, extra};
    return true;
}

static bool push_children(struct writer *w, const struct name_node *node, struct flame_cut cut)
{
    const struct nametree *t = w->t;
    bool place_other = cut.dropped && cut.other == FLAME_OTHER;
    for (uint32_t k = 0; k < node->n_children; k++) {
        uint32_t child = t->children[node->first_child + k];
        if (!flame_cut_keeps(t, child, w->min, w->other_name))
            continue;
        if (place_other && str_cmp(t->names[t->nodes[child].name], flame_other_name()) > 0) {
            place_other = false;
            if (!push(w, FLAME_OTHER, cut.dropped))
                return false;
        }
        if (!push(w, child, child == cut.other ? cut.dropped : 0))
            return false;
    }
    return !place_other || push(w, FLAME_OTHER, cut.dropped);
}

static void write_node(struct writer *w, struct str name, int64_t self, uint32_t n_children)
{
    buf_uvarint(w->out, name.n);
    buf_str(w->out, name);
    buf_uvarint(w->out, (uint64_t)self);
    buf_uvarint(w->out, n_children);
}

static bool write_next(struct writer *w)
{
    struct pending at = w->stack.v[--w->stack.n];
    if (at.node == FLAME_OTHER) {
        write_node(w, flame_other_name(), at.extra, 0);
        return true;
    }
    const struct name_node *node = &w->t->nodes[at.node];
    struct flame_cut cut = flame_cut_children(w->t, at.node, w->min, w->other_name);
    uint32_t n = cut.kept + (cut.dropped && cut.other == FLAME_OTHER ? 1 : 0);
    write_node(w, w->t->names[node->name], node->self + at.extra, n);
    return push_children(w, node, cut);
}

enum status nametree_encode(
    const struct nametree *t, int64_t budget, struct buf *out, struct error *err)
{
    ASSERT(t->finished);
    if (t->n_nodes == 1)
        return ST_OK;
    struct writer w = {.t = t, .out = out};
    w.min = nametree_threshold(t, budget, t->arena);
    w.other_name = nametree_find_name(t, flame_other_name());
    bool ok = w.min >= 0 && push(&w, 0, 0);
    while (ok && !out->failed && w.stack.n)
        ok = write_next(&w);
    if (!ok || out->failed)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the tree exceeds the memory of the query");
    return ST_OK;
}

/* Reading */

struct open_node {
    uint32_t node;
    uint64_t left; /* children still to come */
};

struct raw_node {
    struct str name;
    uint64_t self, n_children;
};

static enum status read_node(struct cursor *c, struct raw_node *ret_node, struct error *err)
{
    uint64_t n = cursor_uvarint(c);
    ret_node->name = cursor_bytes(c, n);
    ret_node->self = cursor_uvarint(c);
    ret_node->n_children = cursor_uvarint(c);
    if (c->bad)
        FAIL(err, ST_INVALID_ARGUMENT, "tree bytes end within a node");
    if (ret_node->self > (uint64_t)INT64_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "tree bytes hold a negative value");
    if (ret_node->n_children > cursor_left(c) / NODE_BYTES_MIN)
        FAIL(err, ST_INVALID_ARGUMENT, "tree bytes end before all children");
    return ST_OK;
}

static enum status add_child(struct nametree *t, uint32_t parent, const struct raw_node *raw,
    uint32_t *ret_node, struct error *err)
{
    uint32_t name = nametree_name(t, raw->name);
    uint32_t node = name == SYM_NONE ? SYM_NONE : nametree_child(t, parent, name);
    if (node == SYM_NONE)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the tree exceeds the memory of the query");
    int64_t sum;
    if (__builtin_add_overflow(t->nodes[node].self, (int64_t)raw->self, &sum))
        FAIL(err, ST_OUT_OF_RANGE, "sum of samples leaves the 64-bit range");
    t->nodes[node].self = sum;
    *ret_node = node;
    return ST_OK;
}

enum status nametree_decode(struct str bytes, struct nametree *t, struct error *err)
{
    struct {
        struct open_node *v;
        uint32_t n, cap;
    } stack = {0};
    if (bytes.n < 2)
        return ST_OK;
    struct cursor c = cursor_make(bytes);
    struct raw_node raw;
    struct open_node open = {0};
    TRY(read_node(&c, &raw, err));
    open.left = raw.n_children;
    for (;;) {
        while (open.left == 0 && stack.n)
            open = stack.v[--stack.n];
        if (open.left == 0)
            break;
        open.left--;
        TRY(read_node(&c, &raw, err));
        uint32_t node = 0;
        TRY(add_child(t, open.node, &raw, &node, err));
        if (raw.n_children == 0)
            continue;
        struct open_node *slot = VEC_PUSH(t->arena, stack);
        if (!slot)
            FAIL(err, ST_RESOURCE_EXHAUSTED, "the tree exceeds the memory of the query");
        *slot = open;
        open = (struct open_node){node, raw.n_children};
    }
    if (cursor_left(&c))
        FAIL(err, ST_INVALID_ARGUMENT, "tree bytes go on after the tree");
    return ST_OK;
}
