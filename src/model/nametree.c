/* Name trees: see nametree.h.
 *
 * Adding a part is two passes over its stack nodes. High to low marks the nodes that have a value
 * at or below them (a parent has the smaller index, so its mark comes in time); low to high maps
 * each marked node to a node of ours, which is one lookup of (parent, name).
 *
 * Finishing sums totals high to low and sorts children without comparing them: the distinct names
 * are sorted once, then nodes go to their parents in the order of their names.
 *
 * Invariants:
 *  1. nodes[0] is the root with self 0, names[0] the empty text; nodes[i].parent < i for i > 0.
 *  2. (parent, name) is unique, names are unique by text.
 *  3. totals are at least self plus the totals of the children, never negative.
 * Memory: names and nodes in the arena; the two indexes on the heap, each growth refused unless the
 * arena's limit has that much left; scratch on the heap, freed on return, 4 bytes per element of
 * the symbols that were added. One thread. */
#include "model/nametree.h"

#include "base/hash.h"
#include "base/mem.h"
#include "model/frame_names.h"

static enum status no_memory(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "the name tree exceeds the memory of the query");
}

void nametree_init(struct nametree *t, struct arena *arena)
{
    *t = (struct nametree){.arena = arena};
    idmap_init(&t->name_ids, NULL);
    idmap_init(&t->node_ids, NULL);
}

void nametree_done(struct nametree *t)
{
    idmap_done(&t->name_ids);
    idmap_done(&t->node_ids);
    *t = (struct nametree){.arena = t->arena};
}

/* The indexes live on the heap; the arena's limit bounds them all the same. */
static bool index_put(struct nametree *t, struct idmap *m, uint64_t hash, uint32_t id)
{
    if (idmap_growth(m, 1) > t->arena->limit - t->arena->used) {
        t->arena->full = true;
        return false;
    }
    return idmap_put(m, hash, id);
}

static uint32_t find_name(const struct nametree *t, struct str name, uint64_t hash)
{
    uint32_t id;
    struct idmap_probe p = idmap_start(&t->name_ids, hash);
    while (idmap_next(&t->name_ids, &p, &id))
        if (str_eq(t->names[id], name))
            return id;
    return SYM_NONE;
}

uint32_t nametree_find_name(const struct nametree *t, struct str name)
{
    return find_name(t, name, hash_str(name));
}

static uint32_t add_name(struct nametree *t, struct str name, uint64_t hash)
{
    if (t->n_names == t->cap_names) {
        struct str *v = arena_vec_grow(
            t->arena, t->names, t->n_names, &t->cap_names, sizeof *t->names);
        if (!v)
            return SYM_NONE;
        t->names = v;
    }
    struct str copy = arena_str(t->arena, name);
    if (!copy.p || !index_put(t, &t->name_ids, hash, t->n_names))
        return SYM_NONE;
    t->names[t->n_names] = copy;
    return t->n_names++;
}

static bool add_node(struct nametree *t, uint32_t parent, uint32_t name)
{
    if (t->n_nodes == t->cap_nodes) {
        struct name_node *v = arena_vec_grow(
            t->arena, t->nodes, t->n_nodes, &t->cap_nodes, sizeof *t->nodes);
        if (!v)
            return false;
        t->nodes = v;
    }
    struct name_node *up = &t->nodes[parent];
    uint32_t older = t->n_nodes ? up->first_child : 0;
    if (t->n_nodes) {
        up->first_child = t->n_nodes;
        up->n_children++;
    }
    t->nodes[t->n_nodes++] = (struct name_node){.parent = parent, .name = name, .next = older};
    return true;
}

/* Adding goes on after a finish: children are lists again. */
static void relink(struct nametree *t)
{
    for (uint32_t i = 0; i < t->n_nodes; i++)
        t->nodes[i].first_child = t->nodes[i].n_children = 0;
    for (uint32_t i = 1; i < t->n_nodes; i++) {
        struct name_node *up = &t->nodes[t->nodes[i].parent];
        t->nodes[i].next = up->first_child;
        up->first_child = i;
        up->n_children++;
    }
}

/* Makes the root and its name if they are not there yet: init cannot fail, so adding does it. */
static bool have_root(struct nametree *t)
{
    if (t->finished)
        relink(t);
    t->finished = false;
    if (t->n_nodes)
        return true;
    if (t->n_names == 0 && add_name(t, STR_EMPTY, hash_str(STR_EMPTY)) == SYM_NONE)
        return false;
    return add_node(t, 0, 0);
}

uint32_t nametree_name(struct nametree *t, struct str name)
{
    if (!have_root(t))
        return SYM_NONE;
    uint64_t hash = hash_str(name);
    uint32_t id = find_name(t, name, hash);
    return id != SYM_NONE ? id : add_name(t, name, hash);
}

/* Most families are small: their list is walked, which stays in the cache line of the parent's last
 * children; the index would be a cache miss of its own for every node. */
enum { FAMILY_FEW = 8 };

/* A family that grows past FAMILY_FEW moves into the index. */
static bool index_family(struct nametree *t, uint32_t parent)
{
    for (uint32_t i = t->nodes[parent].first_child; i; i = t->nodes[i].next)
        if (!index_put(t, &t->node_ids, hash_u64(parent, t->nodes[i].name), i))
            return false;
    return true;
}

static uint32_t child_of(struct nametree *t, uint32_t parent, uint32_t name)
{
    uint32_t id, n = t->nodes[parent].n_children;
    if (LIKELY(n <= FAMILY_FEW)) {
        for (id = t->nodes[parent].first_child; id; id = t->nodes[id].next)
            if (t->nodes[id].name == name)
                return id;
        id = t->n_nodes;
        if (!add_node(t, parent, name) || (n == FAMILY_FEW && !index_family(t, parent)))
            return SYM_NONE;
        return id;
    }
    uint64_t hash = hash_u64(parent, name);
    struct idmap_probe p = idmap_start(&t->node_ids, hash);
    while (idmap_next(&t->node_ids, &p, &id))
        if (t->nodes[id].parent == parent && t->nodes[id].name == name)
            return id;
    id = t->n_nodes;
    return add_node(t, parent, name) && index_put(t, &t->node_ids, hash, id) ? id : SYM_NONE;
}

uint32_t nametree_child(struct nametree *t, uint32_t parent, uint32_t name)
{
    if (!have_root(t))
        return SYM_NONE;
    ASSERT(!t->unindexed && parent < t->n_nodes && name < t->n_names);
    return child_of(t, parent, name);
}

uint32_t nametree_new_child(struct nametree *t, uint32_t parent, uint32_t name)
{
    ASSERT(t->n_nodes && !t->finished && parent < t->n_nodes && name < t->n_names);
    t->unindexed = true;
    uint32_t id = t->n_nodes;
    return add_node(t, parent, name) ? id : SYM_NONE;
}

static enum status add_self(struct nametree *t, uint32_t node, int64_t self, struct error *err)
{
    if (node == 0)
        return ST_OK;
    if (self < 0)
        FAIL(err, ST_OUT_OF_RANGE, "a name tree cannot hold negative values");
    int64_t sum;
    if (__builtin_add_overflow(t->nodes[node].self, self, &sum))
        FAIL(err, ST_OUT_OF_RANGE, "sum of samples leaves the 64-bit range");
    t->nodes[node].self = sum;
    return ST_OK;
}

enum status nametree_add_path(
    struct nametree *t, const struct str *names, uint32_t n, int64_t self, struct error *err)
{
    if (!have_root(t))
        return no_memory(err);
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t name = nametree_name(t, names[i]);
        at = name == SYM_NONE ? SYM_NONE : child_of(t, at, name);
        if (at == SYM_NONE)
            return no_memory(err);
    }
    return add_self(t, at, self, err);
}

/* Adding symbols */

struct adder {
    struct nametree *t;
    const struct symtab *sym;
    uint32_t *map; /* stack node → mark, then our node */
    struct frame_names names;
};

static uint32_t intern(void *ctx, struct str name)
{
    return nametree_name(ctx, name);
}

/* Our node for `location` called from our node `parent`; outermost line first. */
static uint32_t frame_node(struct adder *a, uint32_t parent, uint32_t location)
{
    uint32_t name = frame_names_location(&a->names, location);
    if (UNLIKELY(name == SYM_NONE))
        return SYM_NONE;
    if (LIKELY(name != FRAME_SEVERAL))
        return child_of(a->t, parent, name);
    const struct sym_location *loc = sym_location(a->sym, location);
    for (uint32_t i = loc->n_lines; i-- > 0 && parent != SYM_NONE;) {
        name = frame_names_line(&a->names, loc->first_line + i);
        parent = name == SYM_NONE ? SYM_NONE : child_of(a->t, parent, name);
    }
    return parent;
}

/* map[i] = 1 for every node with a value at or below it, else 0. */
static void mark(struct adder *a, const int64_t *sums, uint32_t n_nodes)
{
    memset(a->map, 0, (size_t)n_nodes * sizeof *a->map);
    for (uint32_t i = n_nodes; i-- > 1;) {
        if (sums[i] == 0 && a->map[i] == 0)
            continue;
        uint32_t parent = sym_node(a->sym, i).parent;
        ASSERT(parent < i);
        a->map[i] = 1;
        a->map[parent] = 1;
    }
}

static enum status add_marked(
    struct adder *a, const int64_t *sums, uint32_t n_nodes, struct error *err)
{
    a->map[0] = 0;
    for (uint32_t i = 1; i < n_nodes; i++) {
        if (a->map[i] == 0)
            continue;
        struct sym_node node = sym_node(a->sym, i);
        a->map[i] = frame_node(a, a->map[node.parent], node.location);
        if (a->map[i] == SYM_NONE)
            return no_memory(err);
        TRY(add_self(a->t, a->map[i], sums[i], err));
    }
    return ST_OK;
}

enum status nametree_add(struct nametree *t, const struct symtab *sym, const int64_t *sums,
    uint32_t n_nodes, struct error *err)
{
    if (!have_root(t))
        return no_memory(err);
    if (n_nodes < 2)
        return ST_OK;
    struct adder a = {.t = t, .sym = sym, .map = mem_try((size_t)n_nodes * sizeof *a.map)};
    a.names = (struct frame_names){.sym = sym, .arena = t->arena, .intern = intern, .ctx = t};
    enum status st = ST_OK;
    if (a.map) {
        mark(&a, sums, n_nodes);
        st = add_marked(&a, sums, n_nodes, err);
    } else {
        st = no_memory(err);
    }
    mem_free(a.map);
    frame_names_done(&a.names);
    return st;
}

/* Finishing */

static enum status sum_totals(struct nametree *t, struct error *err)
{
    for (uint32_t i = 0; i < t->n_nodes; i++)
        t->nodes[i].total = t->nodes[i].self + (t->rest ? t->rest[i] : 0);
    for (uint32_t i = t->n_nodes; i-- > 1;) {
        struct name_node *parent = &t->nodes[t->nodes[i].parent];
        if (__builtin_add_overflow(parent->total, t->nodes[i].total, &parent->total))
            FAIL(err, ST_OUT_OF_RANGE, "sum of samples leaves the 64-bit range");
    }
    return ST_OK;
}

static int by_name(const void *x, const void *y, void *names)
{
    const struct str *v = names;
    return str_cmp(v[*(const uint32_t *)x], v[*(const uint32_t *)y]);
}

/* Gives every parent its place in `children`, of the size of its family. */
static void place_families(struct nametree *t)
{
    for (uint32_t i = 0; i < t->n_nodes; i++)
        t->nodes[i].n_children = 0;
    for (uint32_t i = 1; i < t->n_nodes; i++)
        t->nodes[t->nodes[i].parent].n_children++;
    uint32_t at = 0;
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        t->nodes[i].first_child = at;
        at += t->nodes[i].n_children;
        t->nodes[i].n_children = 0; /* counted again while filling */
    }
}

/* Scratch: order and head have n_names elements, next has n_nodes. */
static void sort_children(struct nametree *t, uint32_t *order, uint32_t *head, uint32_t *next)
{
    for (uint32_t k = 0; k < t->n_names; k++) {
        order[k] = k;
        head[k] = 0; /* ends a list: the root is in none */
    }
    qsort_r(order, t->n_names, sizeof *order, by_name, t->names);
    for (uint32_t i = t->n_nodes; i-- > 1;) {
        next[i] = head[t->nodes[i].name];
        head[t->nodes[i].name] = i;
    }
    for (uint32_t k = 0; k < t->n_names; k++) {
        for (uint32_t i = head[order[k]]; i; i = next[i]) {
            struct name_node *parent = &t->nodes[t->nodes[i].parent];
            t->children[parent->first_child + parent->n_children++] = i;
        }
    }
}

enum status nametree_finish(struct nametree *t, struct error *err)
{
    if (!have_root(t))
        return no_memory(err);
    TRY(sum_totals(t, err));
    t->children = ARENA_ARRAY(t->arena, uint32_t, t->n_nodes);
    uint32_t *scratch = mem_try(((size_t)t->n_names * 2 + t->n_nodes) * sizeof *scratch);
    if (!t->children || !scratch) {
        mem_free(scratch);
        return no_memory(err);
    }
    place_families(t);
    sort_children(t, scratch, scratch + t->n_names, scratch + (size_t)t->n_names * 2);
    mem_free(scratch);
    t->finished = true;
    return ST_OK;
}
