/* Making flat trees: see flat_tree.h.
 *
 * High to low, sums become totals (a parent has the smaller index, so its children have come); low
 * to high, every stack node with a total becomes a node, or one per line where lines are inlined.
 * Scratch is on the heap: 4 bytes per stack node and per element of the symbols that is named. */
#include "model/flat_tree.h"

#include "base/mem.h"
#include "model/frame_names.h"

struct maker {
    struct flat_tree *t;
    const struct symtab *sym;
    const int64_t *totals;
    uint32_t *map; /* stack node → node */
    struct frame_names names;
    struct arena *nodes;
    uint32_t cap;
};

static uint32_t intern(void *ctx, struct str name)
{
    return rollup_names_id(ctx, name);
}

/* *ret_n: how many have a total. */
static enum status make_totals(
    const struct symtab *sym, int64_t *sums, uint32_t n_nodes, uint32_t *ret_n, struct error *err)
{
    *ret_n = 0;
    sums[0] = 0;
    for (uint32_t i = n_nodes; i-- > 1;) {
        if (sums[i] == 0)
            continue;
        int64_t *parent = &sums[sym_node(sym, i).parent];
        if (__builtin_add_overflow(*parent, sums[i], parent))
            FAIL(err, ST_OUT_OF_RANGE, "sum of samples leaves the 64-bit range");
        ++*ret_n;
    }
    return ST_OK;
}

/* A new child of `parent`; 0 without memory. */
static uint32_t add_child(struct maker *m, uint32_t parent, uint32_t name, int64_t total)
{
    struct flat_tree *t = m->t;
    if (t->n == m->cap) {
        struct flat_node *v = arena_vec_grow(m->nodes, t->v, t->n, &m->cap, sizeof *t->v);
        if (!v)
            return 0;
        t->v = v;
    }
    t->v[t->n] = (struct flat_node){total, name, 0, t->v[parent].first_child};
    t->v[parent].first_child = t->n;
    return t->n++;
}

/* The node of a frame, the outermost of its lines first; 0 without memory. */
static uint32_t add_frame(struct maker *m, uint32_t parent, uint32_t location, int64_t total)
{
    uint32_t name = frame_names_location(&m->names, location);
    if (UNLIKELY(name == SYM_NONE))
        return 0;
    if (LIKELY(name != FRAME_SEVERAL))
        return add_child(m, parent, name, total);
    const struct sym_location *loc = sym_location(m->sym, location);
    for (uint32_t i = loc->n_lines; i-- > 0;) {
        name = frame_names_line(&m->names, loc->first_line + i);
        parent = name == SYM_NONE ? 0 : add_child(m, parent, name, total);
        if (!parent)
            return 0;
    }
    return parent;
}

static bool add_all(struct maker *m, uint32_t n_nodes)
{
    m->map[0] = 0;
    for (uint32_t i = 1; i < n_nodes; i++) {
        if (m->totals[i] == 0)
            continue;
        struct sym_node node = sym_node(m->sym, i);
        m->map[i] = add_frame(m, m->map[node.parent], node.location, m->totals[i]);
        if (!m->map[i])
            return false;
    }
    return true;
}

enum status flat_tree_make(struct flat_tree *t, struct rollup_names *names, struct arena *nodes,
    const struct symtab *sym, int64_t *sums, uint32_t n_nodes, struct error *err)
{
    uint32_t n = 0;
    if (n_nodes)
        TRY(make_totals(sym, sums, n_nodes, &n, err));
    struct maker m = {.t = t, .sym = sym, .totals = sums, .nodes = nodes, .cap = n + 1};
    m.names = (struct frame_names){
        .sym = sym, .arena = names->arena, .intern = intern, .ctx = names};
    *t = (struct flat_tree){ARENA_ARRAY(nodes, struct flat_node, n + (size_t)1), 1};
    m.map = mem_try((n_nodes + (size_t)1) * sizeof *m.map);
    bool ok = t->v && m.map;
    if (ok) {
        t->v[0] = (struct flat_node){.total = n_nodes ? sums[0] : 0};
        ok = add_all(&m, n_nodes);
    }
    frame_names_done(&m.names);
    mem_free(m.map);
    if (!ok)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the tree of stacks exceeds the memory of the query");
    return ST_OK;
}
