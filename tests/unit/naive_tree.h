/* Name trees drawn step by step as the wire format is described, without thought for speed: what
 * the code is compared with. Nothing is freed before naive_reset. */
#ifndef TESTS_UNIT_NAIVE_TREE_H
#define TESTS_UNIT_NAIVE_TREE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/varint.h"

enum { NAIVE_CHILDREN = 32, NAIVE_NODES = 4096, NAIVE_ROWS = 64 };

struct naive {
    struct str name;
    int64_t self, total;
    struct naive *child[NAIVE_CHILDREN];
    size_t n;
};

static struct naive naive_pool[NAIVE_NODES];
static size_t naive_used;

static inline void naive_reset(void)
{
    naive_used = 0;
}

static inline struct naive *naive_new(struct str name)
{
    assert_true(naive_used < NAIVE_NODES);
    struct naive *n = &naive_pool[naive_used++];
    *n = (struct naive){.name = name};
    return n;
}

/* The child of that name, inserted at its sorted place when missing. */
static inline struct naive *naive_child(struct naive *parent, struct str name)
{
    size_t at = 0;
    while (at < parent->n && str_cmp(parent->child[at]->name, name) < 0)
        at++;
    if (at < parent->n && str_eq(parent->child[at]->name, name))
        return parent->child[at];
    assert_true(parent->n < NAIVE_CHILDREN);
    for (size_t i = parent->n++; i > at; i--)
        parent->child[i] = parent->child[i - 1];
    return parent->child[at] = naive_new(name);
}

static inline void naive_add(struct naive *root, const struct str *names, size_t n, int64_t self)
{
    struct naive *at = root;
    for (size_t i = 0; i < n; i++)
        at = naive_child(at, names[i]);
    if (at != root)
        at->self += self;
}

static inline int64_t naive_totals(struct naive *n)
{
    n->total = n->self;
    for (size_t i = 0; i < n->n; i++)
        n->total += naive_totals(n->child[i]);
    return n->total;
}

static inline size_t naive_size(const struct naive *n)
{
    size_t size = 1;
    for (size_t i = 0; i < n->n; i++)
        size += naive_size(n->child[i]);
    return size;
}

static inline size_t naive_index_of_min(const int64_t *v, size_t n)
{
    size_t min = 0;
    for (size_t i = 1; i < n; i++)
        if (v[i] < v[min])
            min = i;
    return min;
}

/* Depth first over the real nodes, last child first, with the N largest so far. */
static inline int64_t naive_threshold(const struct naive *root, int64_t budget)
{
    static const struct naive *stack[NAIVE_NODES];
    static int64_t heap[NAIVE_NODES];
    size_t depth = 0, n = 0;
    if (budget <= 0 || (int64_t)naive_size(root) - 1 <= budget)
        return 0;
    for (size_t i = 0; i < root->n; i++)
        stack[depth++] = root->child[i];
    while (depth) {
        const struct naive *at = stack[--depth];
        if (n < (size_t)budget) {
            heap[n++] = at->total;
        } else {
            size_t min = naive_index_of_min(heap, n);
            if (at->total <= heap[min])
                continue;
            heap[min] = at->total;
        }
        for (size_t i = 0; i < at->n; i++)
            stack[depth++] = at->child[i];
    }
    return n < (size_t)budget ? 0 : heap[naive_index_of_min(heap, n)];
}

/* Tree bytes, cut by the budget; changes the tree. */
static inline void naive_encode(struct naive *root, int64_t budget, struct buf *out)
{
    static struct naive *stack[NAIVE_NODES];
    size_t depth = 0;
    int64_t min = naive_threshold(root, budget);
    if (root->n == 0)
        return;
    stack[depth++] = root;
    while (depth) {
        struct naive *at = stack[--depth];
        int64_t dropped = 0;
        size_t kept = 0;
        for (size_t i = 0; i < at->n; i++) {
            struct naive *c = at->child[i];
            if (c->total >= min || str_eq(c->name, STR("other")))
                at->child[kept++] = c;
            else
                dropped += c->total;
        }
        at->n = kept;
        if (dropped) {
            struct naive *other = naive_child(at, STR("other"));
            other->self += dropped;
            other->total += dropped;
        }
        buf_uvarint(out, at == root ? 0 : at->name.n);
        if (at != root)
            buf_str(out, at->name);
        buf_uvarint(out, (uint64_t)at->self);
        buf_uvarint(out, at->n);
        for (size_t i = 0; i < at->n; i++)
            stack[depth++] = at->child[i];
    }
}

static inline void naive_decode_children(struct cursor *c, struct naive *at, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct str name = cursor_bytes(c, cursor_uvarint(c));
        struct naive *child = naive_child(at, name);
        child->self += (int64_t)cursor_uvarint(c);
        naive_decode_children(c, child, cursor_uvarint(c));
    }
}

static inline struct naive *naive_decode(struct str bytes)
{
    struct naive *root = naive_new(STR_EMPTY);
    struct cursor c = cursor_make(bytes);
    if (bytes.n >= 2) {
        assert_int_equal(cursor_uvarint(&c), 0);
        assert_int_equal(cursor_uvarint(&c), 0);
        naive_decode_children(&c, root, cursor_uvarint(&c));
    }
    assert_false(c.bad);
    assert_int_equal(cursor_left(&c), 0);
    naive_totals(root);
    return root;
}

/* A drawn graph: rows of absolute x until naive_close_rows. */
struct naive_graph {
    struct str names[NAIVE_NODES];
    size_t n_names;
    struct str root_key;
    int64_t rows[NAIVE_ROWS][NAIVE_NODES];
    size_t row_n[NAIVE_ROWS], n_rows;
    int64_t max_self;
};

static inline void naive_graph_init(struct naive_graph *g, struct str root_key)
{
    g->n_names = 1;
    g->names[0] = STR("total");
    g->root_key = root_key;
    g->n_rows = 0;
    g->max_self = 0;
    memset(g->row_n, 0, sizeof g->row_n);
}

static inline int64_t naive_intern(struct naive_graph *g, struct str name)
{
    if (str_eq(name, g->root_key))
        return 0;
    for (size_t i = 1; i < g->n_names; i++)
        if (str_eq(g->names[i], name))
            return (int64_t)i;
    g->names[g->n_names] = name;
    return (int64_t)g->n_names++;
}

static inline void naive_record(struct naive_graph *g, size_t row, const int64_t *v, size_t width)
{
    assert_true(row < NAIVE_ROWS && g->row_n[row] + width <= NAIVE_NODES);
    memcpy(&g->rows[row][g->row_n[row]], v, width * sizeof *v);
    g->row_n[row] += width;
    if (row + 1 > g->n_rows)
        g->n_rows = row + 1;
}

/* Reverses each row and makes the x columns (`x_columns` of them, 3 apart) relative. */
static inline void naive_close_rows(struct naive_graph *g, size_t width, size_t x_columns)
{
    static int64_t old[NAIVE_NODES];
    for (size_t r = 0; r < g->n_rows; r++) {
        size_t n = g->row_n[r] / width;
        memcpy(old, g->rows[r], sizeof old);
        for (size_t i = 0; i < n; i++)
            memcpy(&g->rows[r][i * width], &old[(n - 1 - i) * width], width * sizeof *old);
        for (size_t k = 0; k < x_columns; k++) {
            int64_t end = 0;
            for (size_t i = 0; i < n; i++) {
                int64_t *v = &g->rows[r][i * width + k * 3], x = v[0];
                v[0] = x - end;
                end = x + v[1];
            }
        }
    }
}

struct naive_visit {
    const struct naive *node, *right; /* right: diff only */
    int64_t x[2];
    size_t row;
    bool root;
};

/* Flame graph of a decoded tree with the client's budget. */
static inline void naive_flame(struct naive *root, int64_t budget, struct naive_graph *g)
{
    static struct naive_visit stack[NAIVE_NODES];
    size_t depth = 0;
    int64_t min = naive_threshold(root, budget);
    naive_graph_init(g, STR("total"));
    stack[depth++] = (struct naive_visit){.node = root, .root = true};
    while (depth) {
        struct naive_visit at = stack[--depth];
        int64_t name = at.root ? 0 : naive_intern(g, at.node->name);
        int64_t v[4] = {at.x[0], at.node->total, at.node->self, name};
        naive_record(g, at.row, v, 4);
        if (at.node->self > g->max_self)
            g->max_self = at.node->self;
        int64_t x = at.x[0] + at.node->self, rest = 0;
        for (size_t i = 0; i < at.node->n; i++) {
            const struct naive *c = at.node->child[i];
            if (c->total >= min && !str_eq(c->name, STR("other"))) {
                stack[depth++] = (struct naive_visit){.node = c, .x = {x}, .row = at.row + 1};
                x += c->total;
            } else {
                rest += c->total;
            }
        }
        if (rest) {
            struct naive *other = naive_new(STR("other"));
            other->self = other->total = rest;
            stack[depth++] = (struct naive_visit){.node = other, .x = {x}, .row = at.row + 1};
        }
    }
    naive_close_rows(g, 4, 1);
}

/* Gives both trees the same nodes, missing ones with zeros. */
static inline void naive_unite(struct naive *a, struct naive *b)
{
    for (size_t i = 0; i < a->n; i++)
        naive_child(b, a->child[i]->name);
    for (size_t i = 0; i < b->n; i++)
        naive_child(a, b->child[i]->name);
    for (size_t i = 0; i < a->n; i++)
        naive_unite(a->child[i], b->child[i]);
}

static inline void naive_heap_all(
    const struct naive *a, const struct naive *b, int64_t budget, int64_t *heap, size_t *n)
{
    int64_t v = a->total > b->total ? a->total : b->total;
    if (*n < (size_t)budget) {
        heap[(*n)++] = v;
    } else {
        size_t min = naive_index_of_min(heap, *n);
        if (v > heap[min])
            heap[min] = v;
    }
    for (size_t i = 0; i < a->n; i++)
        naive_heap_all(a->child[i], b->child[i], budget, heap, n);
}

static inline void naive_diff(
    struct naive *left, struct naive *right, int64_t budget, struct naive_graph *g)
{
    static struct naive_visit stack[NAIVE_NODES];
    static int64_t heap[NAIVE_NODES];
    size_t depth = 0, n = 0;
    int64_t min = 0;
    naive_unite(left, right);
    if (budget > 0 && (int64_t)naive_size(left) > budget) {
        naive_heap_all(left, right, budget, heap, &n);
        min = heap[naive_index_of_min(heap, n)];
    }
    naive_graph_init(g, STR_EMPTY);
    stack[depth++] = (struct naive_visit){.node = left, .right = right};
    while (depth) {
        struct naive_visit at = stack[--depth];
        const struct naive *l = at.node, *r = at.right;
        int64_t v[7] = {at.x[0], l->total, l->self, at.x[1], r->total, r->self, 0};
        v[6] = naive_intern(g, l->name);
        naive_record(g, at.row, v, 7);
        int64_t self = l->self > r->self ? l->self : r->self;
        g->max_self = self > g->max_self ? self : g->max_self;
        struct naive_visit c = {.x = {at.x[0] + l->self, at.x[1] + r->self}, .row = at.row + 1};
        struct naive *rest[2] = {naive_new(STR("other")), naive_new(STR("other"))};
        for (size_t i = 0; i < l->n; i++) {
            c.node = l->child[i];
            c.right = r->child[i];
            if (c.node->total >= min || c.right->total >= min) {
                stack[depth++] = c;
                c.x[0] += c.node->total;
                c.x[1] += c.right->total;
            } else {
                rest[0]->total = rest[0]->self += c.node->total;
                rest[1]->total = rest[1]->self += c.right->total;
            }
        }
        if (rest[0]->total || rest[1]->total) {
            c.node = rest[0];
            c.right = rest[1];
            stack[depth++] = c;
        }
    }
    naive_close_rows(g, 7, 2);
}

#endif
