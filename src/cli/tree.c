/* Trees and tables from merged profiles: see tree.h.
 *
 * A comparison puts both profiles into one tree: nodes are only ever appended, so the values after
 * the first profile are kept aside, and the second side is what the sums have more.
 *
 * Functions: one walk over the tree with a count per name of how often it stands on the path. A
 * node adds its total to its name only where that count is 0, so recursion counts once and a total
 * is never above the whole. The walk keeps a cursor per node instead of recursing; depth costs
 * nothing.
 *
 * Invariants: sums are exact or the call fails; a side's totals are self plus children.
 * Thread: the caller's. Failure: a status; the tree can then only be given to nametree_done. */
#include "cli/tree.h"

#include "base/hash.h"
#include "base/idmap.h"

static enum status full(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED,
        "the profile needs more memory than a command may use: narrow it down with --label or a "
        "shorter --since");
}

/* Ids of locations and functions to their places in the lists. */
struct profile_index {
    struct idmap locations, functions;
    /* Name ids in the tree, SYM_NONE where not met yet: by function, and by location for those
     * without lines. */
    uint32_t *names, *addresses;
};

#define FIND(map, list, wanted, ret_i)                                      \
    ({                                                                      \
        struct idmap_probe p_ = idmap_start(&(map), hash_u64((wanted), 0)); \
        bool found_ = false;                                                \
        while (!found_ && idmap_next(&(map), &p_, (ret_i)))                 \
            found_ = (list).v[*(ret_i)].id == (wanted);                     \
        found_;                                                             \
    })

static enum status index_make(
    struct profile_index *ix, const struct m_profile *p, struct arena *arena, struct error *err)
{
    for (uint32_t i = 0; i < p->location.n; i++)
        if (!idmap_put(&ix->locations, hash_u64(p->location.v[i].id, 0), i))
            return full(err);
    for (uint32_t i = 0; i < p->function.n; i++)
        if (!idmap_put(&ix->functions, hash_u64(p->function.v[i].id, 0), i))
            return full(err);
    ix->names = ARENA_ARRAY(arena, uint32_t, MAX(p->function.n, 1u));
    ix->addresses = ARENA_ARRAY(arena, uint32_t, MAX(p->location.n, 1u));
    if (!ix->names || !ix->addresses)
        return full(err);
    for (uint32_t i = 0; i < p->function.n; i++)
        ix->names[i] = SYM_NONE;
    for (uint32_t i = 0; i < p->location.n; i++)
        ix->addresses[i] = SYM_NONE;
    return ST_OK;
}

static struct str string_at(const struct m_profile *p, int64_t i)
{
    return i >= 0 && i < p->string_table.n ? p->string_table.v[i] : STR_EMPTY;
}

/* The name of an unsymbolised location. */
static uint32_t address_name(
    struct nametree *t, const struct m_profile *p, const struct m_pprof_location *loc)
{
    struct str file = STR_EMPTY;
    for (uint32_t i = 0; i < p->mapping.n; i++)
        if (p->mapping.v[i].id == loc->mapping_id)
            file = string_at(p, p->mapping.v[i].filename);
    size_t slash = str_rfind_char(file, '/');
    if (slash != STR_NPOS)
        file = str_skip(file, slash + 1);
    struct str name = arena_printf(
        t->arena, "%.*s!0x%llx", STR_ARG(file), (unsigned long long)loc->address);
    return name.p ? nametree_name(t, name) : SYM_NONE;
}

static uint32_t function_name(
    struct nametree *t, const struct m_profile *p, struct profile_index *ix, uint64_t id)
{
    uint32_t i;
    if (!FIND(ix->functions, p->function, id, &i))
        return nametree_name(t, STR("?"));
    if (ix->names[i] == SYM_NONE)
        ix->names[i] = nametree_name(t, string_at(p, p->function.v[i].name));
    return ix->names[i];
}

/* The node below `node` that a location leads to; SYM_NONE without memory. */
static uint32_t descend(struct nametree *t, const struct m_profile *p, struct profile_index *ix,
    uint32_t node, uint64_t location)
{
    uint32_t i;
    if (!FIND(ix->locations, p->location, location, &i)) {
        uint32_t unknown = nametree_name(t, STR("?"));
        return unknown == SYM_NONE ? SYM_NONE : nametree_child(t, node, unknown);
    }
    const struct m_pprof_location *loc = &p->location.v[i];
    if (loc->line.n == 0) {
        if (ix->addresses[i] == SYM_NONE)
            ix->addresses[i] = address_name(t, p, loc);
        return ix->addresses[i] == SYM_NONE ? SYM_NONE : nametree_child(t, node, ix->addresses[i]);
    }
    for (uint32_t k = loc->line.n; k-- > 0 && node != SYM_NONE;) {
        uint32_t name = function_name(t, p, ix, loc->line.v[k].function_id);
        node = name == SYM_NONE ? SYM_NONE : nametree_child(t, node, name);
    }
    return node;
}

static enum status add_samples(
    struct nametree *t, const struct m_profile *p, struct profile_index *ix, struct error *err)
{
    for (uint32_t i = 0; i < p->sample.n; i++) {
        const struct m_pprof_sample *s = &p->sample.v[i];
        int64_t value = s->value.n ? s->value.v[0] : 0;
        if (value < 0)
            FAIL(err, ST_INVALID_ARGUMENT, "the answer holds a negative value");
        if (value == 0 || s->location_id.n == 0)
            continue;
        uint32_t node = 0;
        for (uint32_t k = s->location_id.n; k-- > 0 && node != SYM_NONE;)
            node = descend(t, p, ix, node, s->location_id.v[k]);
        if (node == SYM_NONE)
            return full(err);
        if (__builtin_add_overflow(t->nodes[node].self, value, &t->nodes[node].self))
            FAIL(err, ST_OUT_OF_RANGE, "the sum is too large: shorten the time range");
    }
    return ST_OK;
}

enum status tree_add_profile(struct nametree *t, const struct m_profile *p, struct error *err)
{
    struct profile_index ix = {0};
    idmap_init(&ix.locations, NULL);
    idmap_init(&ix.functions, NULL);
    enum status st = index_make(&ix, p, t->arena, err);
    if (st == ST_OK)
        st = add_samples(t, p, &ix, err);
    idmap_done(&ix.locations);
    idmap_done(&ix.functions);
    t->finished = false;
    return st;
}

bool tree_profile_is_cut(const struct m_profile *p)
{
    for (uint32_t i = 0; i < p->location.n; i++) {
        const struct m_pprof_location *loc = &p->location.v[i];
        if (loc->mapping_id || loc->address || loc->line.n != 1)
            continue;
        for (uint32_t k = 0; k < p->function.n; k++)
            if (p->function.v[k].id == loc->line.v[0].function_id &&
                str_eq(string_at(p, p->function.v[k].name), STR("other")))
                return true;
    }
    return false;
}

enum status tree_side_of(
    const struct nametree *t, struct arena *arena, struct tree_side *ret_side, struct error *err)
{
    struct tree_side s = {.sum = t->nodes[0].total};
    s.self = ARENA_ARRAY(arena, int64_t, t->n_nodes);
    s.total = ARENA_ARRAY(arena, int64_t, t->n_nodes);
    if (!s.self || !s.total)
        return full(err);
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        s.self[i] = t->nodes[i].self;
        s.total[i] = t->nodes[i].total;
    }
    *ret_side = s;
    return ST_OK;
}

enum status tree_compare(struct nametree *t, const struct m_profile *before,
    const struct m_profile *after, struct tree_side ret_sides[2], struct error *err)
{
    struct tree_side first, a, b;
    TRY(tree_add_profile(t, before, err));
    uint32_t n_first = t->n_nodes;
    TRY(nametree_finish(t, err));
    TRY(tree_side_of(t, t->arena, &first, err));
    TRY(tree_add_profile(t, after, err));
    TRY(nametree_finish(t, err));
    TRY(tree_side_of(t, t->arena, &b, err));
    a = (struct tree_side){.sum = first.sum};
    a.self = ARENA_ZARRAY(t->arena, int64_t, t->n_nodes);
    a.total = ARENA_ZARRAY(t->arena, int64_t, t->n_nodes);
    if (!a.self || !a.total)
        return full(err);
    memcpy(a.self, first.self, n_first * sizeof *a.self);
    memcpy(a.total, first.total, n_first * sizeof *a.total);
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        b.self[i] -= a.self[i];
        b.total[i] -= a.total[i];
    }
    b.sum -= a.sum;
    ret_sides[0] = a;
    ret_sides[1] = b;
    return ST_OK;
}

enum status tree_functions(const struct nametree *t, const struct tree_side *side,
    struct arena *arena, struct tree_function **ret_functions, struct error *err)
{
    ASSERT(t->finished);
    struct tree_function *functions = ARENA_ZARRAY(arena, struct tree_function, t->n_names);
    uint32_t *on_path = ARENA_ZARRAY(arena, uint32_t, t->n_names);
    uint32_t *next = ARENA_ZARRAY(arena, uint32_t, t->n_nodes);
    if (!functions || !on_path || !next)
        return full(err);
    for (uint32_t at = 0;;) {
        const struct name_node *node = &t->nodes[at];
        if (next[at] == 0 && at != 0) {
            struct tree_function *f = &functions[node->name];
            f->self += side->self[at];
            if (on_path[node->name]++ == 0)
                f->total += side->total[at];
        }
        if (next[at] < node->n_children) {
            at = t->children[node->first_child + next[at]++];
            continue;
        }
        if (at == 0)
            break;
        on_path[node->name]--;
        at = node->parent;
    }
    *ret_functions = functions;
    return ST_OK;
}
