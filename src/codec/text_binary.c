/* The binary formats trie and tree: see text.h.
 *
 *     trie   node = len, bytes, value, children     depth first, until the input ends
 *     tree   node = len, name, self, children       depth first, exactly one root
 *
 * Integers are LEB128. In a trie the text of a stack is spread over the nodes from the root down,
 * cut anywhere, also inside a name:
 *
 *     node "foo;ba" ─┬─ node "r"  ─► foo;bar        complete: foo     open text: ba
 *                    └─ node "z"  ─► foo;baz
 *
 * A level remembers the node of the complete frames and its open text, a range of one buffer that
 * children extend. Values of trie nodes and `self` beyond 63 bits saturate.
 *
 * Invariants: 1. Depth is a stack of levels in the arena, no recursion. 2. The open text is hashed
 * again for each value and each frame; that work has a budget of WORK_RATIO per byte of input, far
 * above what profilers need, so that a long open text with many children costs bounded time.
 * Thread: the caller's. Failure: the texts of Go's binary package and io.ErrUnexpectedEOF. */
#include "base/varint.h"
#include "codec/text_int.h"

enum { WORK_RATIO = 64 };

static enum status eof(struct error *err)
{
    FAIL(err, ST_INVALID_ARGUMENT, "unexpected EOF");
}

static enum status read_varint(struct cursor *c, uint64_t *ret_value, struct error *err)
{
    size_t left = cursor_left(c);
    *ret_value = cursor_uvarint(c);
    if (c->bad && left >= VARINT_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "binary: varint overflows a 64-bit integer");
    return c->bad ? eof(err) : ST_OK;
}

static int64_t to_value(uint64_t v)
{
    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

/* ── trie ── */

struct trie_level {
    uint64_t left;       /* children to come */
    size_t open, n_open; /* range of the buffer: text of a frame that is not complete */
    uint32_t node;       /* of the complete frames */
};

struct trie {
    struct text_tree *t;
    char *buffer;
    size_t cap, work;
    struct {
        struct trie_level *v;
        uint32_t n, cap;
    } levels;
};

static enum status buffer_put(struct trie *trie, size_t at, struct str s)
{
    if (s.n > trie->cap - at) {
        size_t cap = MAX(trie->cap * 2, at + s.n);
        char *p = arena_alloc(trie->t->arena, cap);
        if (!p)
            return text_full(trie->t->err);
        if (at)
            memcpy(p, trie->buffer, at);
        trie->buffer = p;
        trie->cap = cap;
    }
    if (s.n)
        memcpy(trie->buffer + at, s.p, s.n);
    return ST_OK;
}

/* The node below l->node for the open text. */
static enum status close_frame(struct trie *trie, const struct trie_level *l, uint32_t *ret_node)
{
    struct text_tree *t = trie->t;
    uint32_t name;
    if (trie->work < l->n_open)
        FAIL(t->err, ST_INVALID_ARGUMENT, "trie: names are too long");
    trie->work -= l->n_open;
    struct str open = l->n_open ? str_make(trie->buffer + l->open, l->n_open) : STR_EMPTY;
    TRY(text_name(t, open, true, &name));
    return text_child(t, l->node, name, ret_node);
}

/* The level of a node: its parent's, extended by the suffix. */
static enum status extend(struct trie *trie, struct trie_level *l, struct str suffix)
{
    for (;;) {
        size_t n = str_find_char(suffix, ';');
        struct str piece = str_head(suffix, n);
        TRY(buffer_put(trie, l->open + l->n_open, piece));
        l->n_open += piece.n;
        if (n == STR_NPOS)
            return ST_OK;
        TRY(close_frame(trie, l, &l->node));
        l->open += l->n_open; /* the parent's text stays for its other children */
        l->n_open = 0;
        suffix = str_skip(suffix, n + 1);
    }
}

static enum status trie_node(struct trie *trie, struct cursor *c)
{
    struct text_tree *t = trie->t;
    uint64_t len, value;
    while (trie->levels.n && trie->levels.v[trie->levels.n - 1].left == 0)
        trie->levels.n--;
    struct trie_level l = {0};
    if (trie->levels.n) {
        l = trie->levels.v[trie->levels.n - 1];
        trie->levels.v[trie->levels.n - 1].left--;
    }
    TRY(read_varint(c, &len, t->err));
    struct str suffix = cursor_bytes(c, len);
    if (c->bad)
        return eof(t->err);
    TRY(extend(trie, &l, suffix));
    TRY(read_varint(c, &value, t->err));
    TRY(read_varint(c, &l.left, t->err));
    if (value) {
        uint32_t node = l.node;
        if (l.n_open)
            TRY(close_frame(trie, &l, &node));
        text_add(t, node, to_value(value));
    }
    struct trie_level *level = VEC_PUSH(t->arena, trie->levels);
    if (!level)
        return text_full(t->err);
    *level = l;
    return ST_OK;
}

enum status text_decode_trie(struct str in, struct text_tree *t)
{
    struct trie trie = {.t = t, .work = in.n * WORK_RATIO};
    struct cursor c = cursor_make(in);
    while (c.p < c.end)
        TRY(trie_node(&trie, &c));
    return ST_OK;
}

/* ── tree ── */

struct tree_level {
    uint64_t left;
    uint32_t node;
};

struct tree_head {
    struct str name;
    uint64_t self, children;
};

static enum status read_tree_node(struct cursor *c, const struct text_limits *limits,
    struct tree_head *ret_head, struct error *err)
{
    uint64_t len, name_max = limits->name_bytes_max, children_max = limits->children_max;
    TRY(read_varint(c, &len, err));
    if (name_max && len > name_max)
        FAIL(err, ST_INVALID_ARGUMENT, "tree node name length %llu exceeds maximum %llu",
            (unsigned long long)len, (unsigned long long)name_max);
    ret_head->name = cursor_bytes(c, len);
    if (c->bad)
        return eof(err);
    TRY(read_varint(c, &ret_head->self, err));
    TRY(read_varint(c, &ret_head->children, err));
    if (children_max && ret_head->children > children_max)
        FAIL(err, ST_INVALID_ARGUMENT, "tree node children count %llu exceeds maximum %llu",
            (unsigned long long)ret_head->children, (unsigned long long)children_max);
    return ST_OK;
}

enum status text_decode_tree(struct str in, const struct text_limits *limits, struct text_tree *t)
{
    struct cursor c = cursor_make(in);
    struct tree_head head;
    struct {
        struct tree_level *v;
        uint32_t n, cap;
    } levels = {0};
    TRY(read_tree_node(&c, limits, &head, t->err));
    if (head.name.n)
        FAIL(t->err, ST_INVALID_ARGUMENT, "tree root has a name");
    struct tree_level next = {head.children, 0};
    for (;;) {
        struct tree_level *level = next.left ? VEC_PUSH(t->arena, levels) : NULL;
        if (next.left && !level)
            return text_full(t->err);
        if (level)
            *level = next;
        while (levels.n && levels.v[levels.n - 1].left == 0)
            levels.n--;
        if (levels.n == 0)
            return ST_OK;
        struct tree_level *parent = &levels.v[levels.n - 1];
        parent->left--;
        uint32_t name;
        TRY(read_tree_node(&c, limits, &head, t->err));
        TRY(text_name(t, head.name, false, &name));
        TRY(text_child(t, parent->node, name, &next.node));
        text_add(t, next.node, to_value(head.self));
        next.left = head.children;
    }
}
