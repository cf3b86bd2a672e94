/* A function with all that calls it and all that it calls, as JSON.
 *
 *     complete tree ─► every frame of the function ─► callers: its path upwards, with its total
 *                                                  └► callees: what is below it, with its values
 *     either half ─► a name tree of its own, with the function at the top ─► cut ─► JSON
 *
 * Both halves count every frame of the function, so one that calls itself counts more than once in
 * them; `total` counts a sample once, and `self` is the function's own, as in a function table. A
 * caller's self is what its stacks begin with there: what no caller further up accounts for.
 *
 * The tree has ids of names; both halves intern all of them first, in that order, then what they
 * add to them, so that an id means the same in all three. Children are sorted by falling total,
 * then by name, with what a cut dropped (`other`, truncated) among them. A stack may be as deep as
 * it likes: nothing here recurses, and a nested answer is text that this writes, not a message.
 *
 * Cost: a step per frame of the function and caller, and per frame below each; a function that is n
 * deep in itself costs n² of them, within the deadline and budget. */
#include <stdlib.h>

#include "codec/json.h"
#include "query/query_int.h"

struct half {
    struct query *q;
    const struct nametree *from;
    struct nametree t;
    uint32_t function, other; /* names */
    uint32_t top;
};

static enum status half_init(struct half *h, struct str function, struct error *err)
{
    for (uint32_t i = 0; i < h->from->n_names; i++) {
        uint32_t id = nametree_name(&h->t, h->from->names[i]);
        TRY(query_alive(h->q, err));
        if (id == SYM_NONE)
            return query_full(h->q, err);
        ASSERT(id == i);
    }
    h->function = nametree_name(&h->t, function);
    h->other = nametree_name(&h->t, STR("other"));
    if (h->function == SYM_NONE || h->other == SYM_NONE)
        return query_full(h->q, err);
    h->top = nametree_child(&h->t, 0, h->function);
    return h->top == SYM_NONE ? query_full(h->q, err) : ST_OK;
}

static enum status add_self(struct half *h, uint32_t node, int64_t value, struct error *err)
{
    int64_t *self = &h->t.nodes[node].self;
    return __builtin_add_overflow(*self, value, self) ? query_overflow(err) : ST_OK;
}

static enum status add_callers(struct half *h, uint32_t node, struct error *err)
{
    const struct name_node *from = h->from->nodes;
    uint32_t at = h->top;
    for (uint32_t up = from[node].parent; up != 0; up = from[up].parent) {
        TRY(query_alive(h->q, err));
        at = nametree_child(&h->t, at, from[up].name);
        if (at == SYM_NONE)
            return query_full(h->q, err);
    }
    return add_self(h, at, from[node].total, err);
}

/* A frame of the tree and the one of the half that it counts for. */
struct copy {
    uint32_t from, to;
};
struct copies {
    struct copy *v;
    uint32_t n, cap;
};

static enum status add_callees(
    struct half *h, uint32_t node, struct copies *open, struct error *err)
{
    open->n = 0;
    struct copy at = {node, h->top};
    for (;;) {
        const struct name_node *from = &h->from->nodes[at.from];
        TRY(query_alive(h->q, err));
        TRY(add_self(h, at.to, from->self, err));
        for (uint32_t i = 0; i < from->n_children; i++) {
            uint32_t child = h->from->children[from->first_child + i];
            struct copy *slot = VEC_PUSH(h->q->arena, *open);
            if (!slot)
                return query_full(h->q, err);
            *slot = (struct copy){child, nametree_child(&h->t, at.to, h->from->nodes[child].name)};
            if (slot->to == SYM_NONE)
                return query_full(h->q, err);
        }
        if (open->n == 0)
            return ST_OK;
        at = open->v[--open->n];
    }
}

struct sandwich {
    struct query *q;
    struct half callers, callees;
    int64_t total, self;
    /* Writing: */
    struct buf *out;
    uint32_t *index; /* in `names`, by id; SYM_NONE where not named yet */
    MSG_LIST(uint32_t) names;
};

static enum status fill_halves(struct sandwich *s, const struct nametree *t, struct error *err)
{
    struct copies open = {0};
    uint32_t function = s->callers.function;
    uint8_t *below = arena_zalloc(s->q->arena, t->n_nodes); /* the function is it or above it */
    if (!below)
        return query_full(s->q, err);
    for (uint32_t i = 1; i < t->n_nodes; i++) {
        const struct name_node *n = &t->nodes[i];
        TRY(query_alive(s->q, err));
        below[i] = below[n->parent] || n->name == function;
        if (n->name != function)
            continue;
        s->self += n->self; /* what is counted once cannot leave the range of the whole */
        s->total += below[n->parent] ? 0 : n->total;
        TRY(add_callers(&s->callers, i, err));
        TRY(add_callees(&s->callees, i, &open, err));
    }
    TRY(query_status(s->q, nametree_finish(&s->callers.t, err), err));
    return query_status(s->q, nametree_finish(&s->callees.t, err), err);
}

/* Writing */

struct kid {
    struct str text;
    int64_t total, self;
    uint32_t node; /* SYM_NONE: what was dropped */
    uint32_t name;
};

/* An open node: its children, and which comes next. */
struct level {
    struct kid *kids;
    uint32_t n, next;
};
struct levels {
    struct level *v;
    uint32_t n, cap;
};

static int by_total_then_name(const void *x, const void *y)
{
    const struct kid *a = x, *b = y;
    if (a->total != b->total)
        return a->total < b->total ? 1 : -1;
    int c = str_cmp(a->text, b->text);
    return c ? c : (a->node > b->node) - (a->node < b->node);
}

static enum status list_kids(struct sandwich *s, const struct half *h, uint32_t node, int64_t min,
    struct level *ret, struct error *err)
{
    const struct name_node *n = &h->t.nodes[node];
    struct kid dropped = {h->t.names[h->other], 0, 0, SYM_NONE, h->other};
    struct level l = {ARENA_ARRAY(s->q->arena, struct kid, n->n_children), 0, 0};
    if (!l.kids)
        return query_full(s->q, err);
    for (uint32_t i = 0; i < n->n_children; i++) {
        uint32_t at = h->t.children[n->first_child + i];
        const struct name_node *c = &h->t.nodes[at];
        if (c->total >= min)
            l.kids[l.n++] = (struct kid){h->t.names[c->name], c->total, c->self, at, c->name};
        else
            dropped.total += c->total;
    }
    dropped.self = dropped.total;
    if (dropped.total)
        l.kids[l.n++] = dropped; /* in the place of one at least */
    if (l.n)
        qsort(l.kids, l.n, sizeof *l.kids, by_total_then_name);
    *ret = l;
    return ST_OK;
}

static enum status name_index(struct sandwich *s, uint32_t name, uint32_t *ret, struct error *err)
{
    if (s->index[name] == SYM_NONE) {
        uint32_t *slot = VEC_PUSH(s->q->arena, s->names);
        if (!slot)
            return query_full(s->q, err);
        *slot = name;
        s->index[name] = s->names.n - 1;
    }
    *ret = s->index[name];
    return ST_OK;
}

/* What comes between two members of an object. */
static void put_comma(struct buf *out)
{
    if (out->n && out->p[out->n - 1] != '{')
        buf_byte(out, ',');
}

static void put_number(struct buf *out, const char *name, int64_t v)
{
    if (v == 0)
        return;
    put_comma(out);
    buf_printf(out, "\"%s\":\"%lld\"", name, (long long)v);
}

/* All of a node but its children and its end. As everywhere, what is zero is left out. */
static enum status put_head(
    struct sandwich *s, const struct kid *k, bool children, struct error *err)
{
    uint32_t index = 0;
    TRY(name_index(s, k->name, &index, err));
    buf_byte(s->out, '{');
    if (index)
        buf_printf(s->out, "\"nameIndex\":%u", index);
    put_number(s->out, "total", k->total);
    put_number(s->out, "self", k->self);
    if (children || k->node == SYM_NONE)
        put_comma(s->out);
    if (k->node == SYM_NONE)
        buf_str(s->out, STR("\"truncated\":true"));
    if (children)
        buf_str(s->out, STR("\"children\":["));
    return s->out->failed ? query_full(s->q, err) : ST_OK;
}

/* Writes a node and opens it if it has children; else it is complete. */
static enum status put_node(struct sandwich *s, const struct half *h, const struct kid *k,
    int64_t min, struct levels *open, struct error *err)
{
    struct level l = {0};
    if (k->node != SYM_NONE)
        TRY(list_kids(s, h, k->node, min, &l, err));
    TRY(put_head(s, k, l.n > 0, err));
    if (l.n == 0) {
        buf_byte(s->out, '}');
        return ST_OK;
    }
    struct level *slot = VEC_PUSH(s->q->arena, *open);
    if (!slot)
        return query_full(s->q, err);
    *slot = l;
    return ST_OK;
}

static enum status put_half(
    struct sandwich *s, const struct half *h, int64_t nodes, struct error *err)
{
    const struct name_node *top = &h->t.nodes[h->top];
    struct levels open = {0};
    int64_t min = nametree_threshold(&h->t, nodes, s->q->arena);
    if (min < 0)
        return query_full(s->q, err);
    const struct kid first = {STR_EMPTY, top->total, top->self, h->top, top->name};
    TRY(put_node(s, h, &first, min, &open, err));
    while (open.n) {
        struct level *l = &open.v[open.n - 1];
        TRY(query_alive(s->q, err));
        if (l->next == l->n) {
            buf_str(s->out, STR("]}"));
            open.n--;
            continue;
        }
        if (l->next)
            buf_byte(s->out, ',');
        const struct kid *k = &l->kids[l->next++];
        TRY(put_node(s, h, k, min, &open, err));
    }
    return ST_OK;
}

/* The names come last: the halves decide which there are. */
static enum status put_sandwich(struct sandwich *s, int64_t nodes, struct error *err)
{
    uint32_t n = s->callers.t.n_names;
    s->index = ARENA_ARRAY(s->q->arena, uint32_t, n);
    if (!s->index)
        return query_full(s->q, err);
    memset(s->index, 0xFF, n * sizeof *s->index);
    buf_str(s->out, STR("{\"callers\":"));
    TRY(put_half(s, &s->callers, nodes, err));
    buf_str(s->out, STR(",\"callees\":"));
    TRY(put_half(s, &s->callees, nodes, err));
    put_number(s->out, "total", s->total);
    put_number(s->out, "self", s->self);
    buf_str(s->out, STR(",\"names\":["));
    for (uint32_t i = 0; i < s->names.n; i++) {
        buf_str(s->out, i ? STR(",") : STR_EMPTY);
        json_put_string(s->out, s->callers.t.names[s->names.v[i]]);
    }
    buf_str(s->out, STR("]}"));
    return s->out->failed ? query_full(s->q, err) : ST_OK;
}

static enum status make(struct sandwich *s, const struct nametree *t, struct str function,
    int64_t nodes, struct error *err)
{
    TRY(half_init(&s->callers, function, err));
    TRY(half_init(&s->callees, function, err));
    TRY(fill_halves(s, t, err));
    return put_sandwich(s, nodes, err);
}

enum status selection_sandwich(struct query *q, const struct selection *s, struct str function,
    int64_t nodes, struct str *ret_json, struct error *err)
{
    struct nametree t;
    struct buf out;
    struct sandwich sw = {
        .q = q, .out = &out, .callers = {.q = q, .from = &t}, .callees = {.q = q, .from = &t}};
    nametree_init(&t, q->arena);
    nametree_init(&sw.callers.t, q->arena);
    nametree_init(&sw.callees.t, q->arena);
    enum status st = selection_tree(q, s, 0, &t, err);
    buf_init(&out, query_left(q));
    if (st == ST_OK)
        st = make(&sw, &t, function, nodes, err);
    if (st == ST_OK)
        st = query_copy(q, buf_view(&out), ret_json, err);
    buf_done(&out);
    nametree_done(&sw.callers.t);
    nametree_done(&sw.callees.t);
    nametree_done(&t);
    return st;
}
