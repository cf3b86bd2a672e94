/* The best-first merge: see tree_merge.h for what it gives and why that is enough.
 *
 * A merged node has its totals and the list of its occurrences: where its children are in each of
 * the sources that have any. Opening it reads these groups into one batch; children meet in
 * `slots`, an array by name that a round number clears. The budget-th largest total so far bounds
 * the final one from below: a child that stays under it is never drawn and never opened, so only
 * what it has is added to the rest of its parent; the others become merged nodes and nodes of the
 * trees. Of a hundred children that are read some five are kept.
 *
 *     heap ── largest total ──→ node ── occurrences ──→ batch of children, by source
 *      ↑                         ↑                            │ source's name id → our name id
 *      │                        rest                          │
 *      └──── those kept ←────────┴──── children ←─ slots[name]┘
 *
 * Invariants:
 *  1. Nodes are made in the order in which they are opened, those of one opening in a row; without
 * a budget those that are done with are dropped from the end.
 *  2. The total of a node is at least the sum of its children, in each source and so merged: only
 *     the sum of the roots can overflow.
 *  3. A source gives at most as many children as its head has nodes: groups that damage made shared
 *     do not multiply.
 *  4. Once a child was left out, the trees have at least `budget` nodes, all of them with more.
 *
 * Memory: the arena of the first tree; occurrences are reused once they are read. One thread. */
#include "model/tree_merge.h"
#include "model/merge_names_int.h"

/* Child entries between two questions whether to go on. */
enum { ALIVE_EVERY = 4096, NONE = MERGE_NONE };
/* From so many sources on names are compared by number: with few it is not worth a table. */
enum { NUMBER_FROM = 3 };
_Static_assert(NONE == ROLLUP_LEAF, "a leaf of a roll-up has no occurrence");

struct occurrence {
    int64_t total;
    uint32_t source, ref; /* of the group; of a tree in memory: the node */
    uint32_t next;        /* or NONE */
};

/* A child in one source, as it was read. */
struct entry {
    int64_t total;
    uint32_t source, ref; /* NONE for a leaf */
    uint32_t name;        /* id of the source; then our name id */
};

/* A child of the opening. */
struct child {
    int64_t total[2]; /* by side */
    uint32_t name;
    uint32_t sides; /* bit s: side s has it; then the merged node that it became, or NONE */
};

struct merged {
    int64_t total[2]; /* by side */
    uint32_t node[2]; /* of the trees; 0 where a side does not have it, and for the root */
    uint32_t occurrences;
    uint32_t name;
};

/* What the children of a node that were not kept have. */
struct rest {
    int64_t total[2];
    uint32_t node;
};

struct candidate {
    int64_t key; /* the larger total */
    uint32_t node;
};

/* What is known of a source beside its description. */
struct source_state {
    struct merge_ids ids;
    uint32_t n_names;
    uint32_t left; /* children it may still give */
    unsigned side;
};

struct slot {
    uint32_t round, child;
};

struct merge {
    const struct tree_source *sources;
    struct source_state *states;
    const struct tree_merge_limits *limits;
    struct nametree *trees;
    unsigned n_sides;
    struct arena *arena;
    struct {
        struct merged *v;
        uint32_t n, cap;
    } nodes;
    struct {
        struct rest *v;
        uint32_t n, cap;
    } rests;
    struct merge_names names;
    struct {
        struct child *v;
        uint32_t n, cap;
    } children; /* of the opening */
    struct {
        struct occurrence *v;
        uint32_t n, cap;
    } occurrences;
    struct {
        struct entry *v;
        uint32_t n, cap;
    } batch; /* of the opening */
    struct {
        struct candidate *v;
        uint32_t n, cap;
    } heap;
    struct {
        struct slot *v; /* by our name id */
        uint32_t n, cap;
    } slots;
    struct {
        int64_t
            *v; /* the `budget` largest keys so far, the smallest on top; NULL: all are opened */
        uint32_t n, cap;
    } best;
    uint32_t free;  /* list of occurrences, or NONE */
    uint32_t round; /* number of the opening */
    uint32_t entries;
};

/* Names */

static enum status add_slots(struct merge *m, struct error *err)
{
    while (m->slots.n < m->names.all.n) {
        struct slot *slot = VEC_PUSH(m->arena, m->slots);
        if (!slot)
            return merge_no_memory(err);
        *slot = (struct slot){0};
    }
    return ST_OK;
}

static enum status look_up_name(struct merge *m, const struct entry *e, struct error *err)
{
    struct merge_ids *ids = &m->states[e->source].ids;
    TRY(merge_names_find(&m->names, &m->sources[e->source], ids, e->name, err));
    return add_slots(m, err);
}

/* Nodes */

static bool add_occurrence(struct merge *m, uint32_t node, struct occurrence o)
{
    uint32_t i = m->free;
    if (i != NONE) {
        m->free = m->occurrences.v[i].next;
    } else {
        struct occurrence *slot = VEC_PUSH(m->arena, m->occurrences);
        if (!slot)
            return false;
        i = m->occurrences.n - 1;
    }
    o.next = m->nodes.v[node].occurrences;
    m->nodes.v[node].occurrences = i;
    m->occurrences.v[i] = o;
    return true;
}

/* The child that an entry is of takes the place of its name. There is room. */
static inline void add_entry(struct merge *m, struct entry *e)
{
    struct slot *slot = &m->slots.v[e->name];
    unsigned side = m->states[e->source].side;
    if (slot->round != m->round) {
        *slot = (struct slot){m->round, m->children.n};
        m->children.v[m->children.n++] = (struct child){.name = e->name};
    }
    struct child *child = &m->children.v[slot->child];
    child->total[side] += e->total;
    child->sides |= 1u << side;
    e->name = slot->child;
}

/* Adds the batch up by name. What misses the cache costs more than all the rest, unless many do so
 * at a time: so the places of names were fetched when the batch was read, and here those of slots,
 * before the first is needed. */
static enum status add_up(struct merge *m, struct error *err)
{
    for (uint32_t k = 0; k < m->batch.n; k++) {
        struct entry *e = &m->batch.v[k];
        const uint32_t *name = &m->states[e->source].ids.names[e->name];
        if (UNLIKELY(*name == 0))
            TRY(look_up_name(m, e, err));
        e->name = *name - 1;
        __builtin_prefetch(&m->slots.v[e->name]);
    }
    m->children.n = 0;
    while (UNLIKELY(m->children.cap < m->batch.n)) {
        struct child *v = arena_vec_grow(m->arena, NULL, 0, &m->children.cap, sizeof *v);
        if (!v)
            return merge_no_memory(err);
        m->children.v = v;
    }
    for (uint32_t k = 0; k < m->batch.n; k++)
        add_entry(m, &m->batch.v[k]);
    return ST_OK;
}

/* Makes a child a node, of the trees of the sides that have it. */
static enum status keep_child(
    struct merge *m, uint32_t parent, struct child *child, struct error *err)
{
    uint32_t name = 0;
    TRY(merge_names_in_trees(&m->names, child->name, &name, err));
    struct merged *node = VEC_PUSH(m->arena, m->nodes);
    if (!node)
        return merge_no_memory(err);
    *node = (struct merged){.occurrences = NONE, .name = child->name};
    for (unsigned side = 0; side < m->n_sides; side++) {
        if (!(child->sides >> side & 1))
            continue;
        uint32_t up = m->nodes.v[parent].node[side];
        node->total[side] = child->total[side];
        node->node[side] = nametree_new_child(&m->trees[side], up, name);
        if (node->node[side] == SYM_NONE)
            return merge_no_memory(err);
    }
    child->sides = m->nodes.n - 1;
    return ST_OK;
}

/* Room for n more entries in the batch; NULL without memory. */
static struct entry *batch_reserve(struct merge *m, uint32_t n)
{
    while (UNLIKELY(m->batch.cap - m->batch.n < n)) {
        struct entry *v = arena_vec_grow(
            m->arena, m->batch.v, m->batch.n, &m->batch.cap, sizeof *v);
        if (!v)
            return NULL;
        m->batch.v = v;
    }
    m->batch.n += n;
    return m->batch.v + (m->batch.n - n);
}

static enum status collect_rollup(
    struct merge *m, const struct occurrence *at, int64_t *ret_self, struct error *err)
{
    struct rollup_group g;
    struct source_state *st = &m->states[at->source];
    TRY(rollup_read_group(m->sources[at->source].rollup, at->ref, at->total, &g, err));
    if (g.n > st->left)
        FAIL(err, ST_DATA_LOSS, "damaged roll-up: more nodes than its head says");
    st->left -= g.n;
    struct entry *e = batch_reserve(m, g.n);
    if (!e)
        return merge_no_memory(err);
    for (const struct rollup_child *c = g.v, *end = g.v + g.n; c < end; c++, e++) {
        if (UNLIKELY(c->name >= st->n_names))
            FAIL(err, ST_DATA_LOSS, "damaged roll-up: a name is not in the dictionary");
        __builtin_prefetch(&st->ids.names[c->name]);
        *e = (struct entry){c->total, at->source, c->ref, c->name};
    }
    *ret_self = g.self;
    return ST_OK;
}

static enum status collect_flat(
    struct merge *m, const struct occurrence *at, int64_t *ret_self, struct error *err)
{
    const struct flat_node *v = m->sources[at->source].flat->v;
    *ret_self = at->total;
    for (uint32_t i = v[at->ref].first_child; i; i = v[i].next) {
        struct entry *e = batch_reserve(m, 1);
        if (!e)
            return merge_no_memory(err);
        __builtin_prefetch(&m->states[at->source].ids.names[v[i].name]);
        *e = (struct entry){v[i].total, at->source, v[i].first_child ? i : NONE, v[i].name};
        *ret_self -= v[i].total;
    }
    return ST_OK;
}

/* While one group is read the begin of the next one is on its way. */
static void prefetch_group(const struct merge *m, uint32_t at)
{
    if (at == NONE)
        return;
    const struct occurrence *o = &m->occurrences.v[at];
    const struct tree_source *s = &m->sources[o->source];
    if (s->rollup)
        rollup_prefetch_group(s->rollup, o->ref);
}

static enum status check_alive(struct merge *m, struct error *err)
{
    m->entries = 0;
    return m->limits->alive ? m->limits->alive(m->limits->ctx, err) : ST_OK;
}

/* Collects the children of a node from all sources, and takes from its self, which is its total so
 * far, what they have. */
static enum status collect_children(struct merge *m, uint32_t i, struct error *err)
{
    m->batch.n = 0;
    while (m->nodes.v[i].occurrences != NONE) {
        uint32_t at = m->nodes.v[i].occurrences;
        struct occurrence o = m->occurrences.v[at];
        m->nodes.v[i].occurrences = o.next;
        m->occurrences.v[at].next = m->free;
        m->free = at;
        prefetch_group(m, o.next);
        int64_t self = 0;
        bool flat = m->sources[o.source].flat != NULL;
        TRY(flat ? collect_flat(m, &o, &self, err) : collect_rollup(m, &o, &self, err));
        if (i == 0 && self != 0)
            FAIL(err, ST_DATA_LOSS, "damaged roll-up: the root has a self");
        unsigned side = m->sources[o.source].side;
        m->trees[side].nodes[m->nodes.v[i].node[side]].self -= o.total - self;
    }
    return ST_OK;
}

/* Best so far */

static int64_t key_of(const int64_t total[2])
{
    return MAX(total[0], total[1]);
}

/* What a node must have to be drawn or opened, as far as can be said: at least what the budget-th
 * best has. */
static bool may_open(const struct merge *m, const int64_t total[2], uint32_t name)
{
    return !m->best.v || m->best.n < m->best.cap || key_of(total) >= m->best.v[0] ||
           name == m->names.other;
}

static void note_key(struct merge *m, int64_t key)
{
    int64_t *v = m->best.v;
    uint32_t i = 0, n = m->best.n;
    if (!v)
        return;
    if (n < m->best.cap) {
        i = m->best.n++;
        for (uint32_t up; i > 0 && v[up = (i - 1) / 2] > key; i = up)
            v[i] = v[up];
    } else if (key > v[0]) {
        for (uint32_t down; (down = i * 2 + 1) < n; i = down) {
            if (down + 1 < n && v[down + 1] < v[down])
                down++;
            if (v[down] >= key)
                break;
            v[i] = v[down];
        }
    } else {
        return;
    }
    v[i] = key;
}

/* Children become nodes, or what they have becomes the rest of their parent. */
static enum status keep_children(struct merge *m, uint32_t parent, struct error *err)
{
    struct rest rest = {.node = NONE};
    for (uint32_t k = 0; k < m->children.n; k++) {
        struct child *child = &m->children.v[k];
        if (may_open(m, child->total, child->name)) {
            TRY(keep_child(m, parent, child, err));
            continue;
        }
        rest.node = parent;
        rest.total[0] += child->total[0];
        rest.total[1] += child->total[1];
        child->sides = NONE;
    }
    struct rest *slot = rest.node == parent ? VEC_PUSH(m->arena, m->rests) : NULL;
    if (slot)
        *slot = rest;
    return slot || rest.node == NONE ? ST_OK : merge_no_memory(err);
}

/* Makes the children of a node; none if it is a leaf or was opened before. */
static enum status open_node(struct merge *m, uint32_t i, struct error *err)
{
    TRY(collect_children(m, i, err));
    m->round++;
    TRY(add_up(m, err));
    m->entries += m->batch.n;
    if (UNLIKELY(m->entries >= ALIVE_EVERY))
        TRY(check_alive(m, err));
    for (uint32_t k = 0; k < m->children.n; k++)
        note_key(m, key_of(m->children.v[k].total));
    TRY(keep_children(m, i, err));
    for (uint32_t k = 0; k < m->batch.n; k++) {
        const struct entry *e = &m->batch.v[k];
        uint32_t node = e->ref != NONE ? m->children.v[e->name].sides : NONE;
        struct occurrence o = {e->total, e->source, e->ref, NONE};
        if (node != NONE && !add_occurrence(m, node, o))
            return merge_no_memory(err);
    }
    return ST_OK;
}

/* Best first */

static bool heap_push(struct merge *m, struct candidate c)
{
    struct candidate *slot = VEC_PUSH(m->arena, m->heap), *v = m->heap.v;
    if (!slot)
        return false;
    uint32_t i = m->heap.n - 1;
    for (uint32_t up; i > 0 && v[up = (i - 1) / 2].key < c.key; i = up)
        v[i] = v[up];
    v[i] = c;
    return true;
}

static void heap_drop_top(struct merge *m)
{
    struct candidate *v = m->heap.v, last = v[--m->heap.n];
    uint32_t n = m->heap.n, i = 0;
    for (uint32_t down; (down = i * 2 + 1) < n; i = down) {
        if (down + 1 < n && v[down + 1].key > v[down].key)
            down++;
        if (v[down].key <= last.key)
            break;
        v[i] = v[down];
    }
    if (n)
        v[i] = last;
}

/* What an opening has made: leaves as yet. */
static void take_as_leaves(struct merge *m, uint32_t first)
{
    for (uint32_t i = first; i < m->nodes.n; i++)
        for (unsigned side = 0; side < m->n_sides; side++)
            if (m->nodes.v[i].node[side])
                m->trees[side].nodes[m->nodes.v[i].node[side]].self = m->nodes.v[i].total[side];
}

/* They become candidates, but for those that are opened whatever they have, and what these make in
 * turn. */
static enum status settle(struct merge *m, uint32_t first, struct error *err)
{
    for (uint32_t i = first; i < m->nodes.n; i++) {
        uint32_t made = m->nodes.n;
        struct candidate c = {key_of(m->nodes.v[i].total), i};
        if (!heap_push(m, c))
            return merge_no_memory(err);
        if (m->nodes.v[i].name != m->names.other)
            continue;
        TRY(open_node(m, i, err));
        take_as_leaves(m, made);
    }
    return ST_OK;
}

static enum status open_best(struct merge *m, struct error *err)
{
    int64_t popped = 0, min = 0;
    while (m->heap.n) {
        struct candidate best = m->heap.v[0];
        if (popped >= m->limits->budget && best.key < min)
            break;
        heap_drop_top(m);
        if (++popped == m->limits->budget)
            min = best.key;
        uint32_t first = m->nodes.n;
        TRY(open_node(m, best.node, err));
        take_as_leaves(m, first);
        TRY(settle(m, first, err));
    }
    return ST_OK;
}

/* Without a budget every node is opened, and is of no use any more once all below it is: so the
 * last one made comes first, and memory is that of the result and of one way down. */
static enum status open_all(struct merge *m, struct error *err)
{
    while (m->nodes.n > 1) {
        uint32_t made = m->nodes.n;
        if (m->nodes.v[made - 1].occurrences == NONE) {
            m->nodes.n--;
            continue;
        }
        TRY(open_node(m, made - 1, err));
        take_as_leaves(m, made);
    }
    return ST_OK;
}

/* Beginning and end */

static enum status start_names(struct merge *m, uint32_t i, struct error *err)
{
    const struct tree_source *s = &m->sources[i];
    struct source_state *st = &m->states[i];
    const struct tree_source *last = i > 0 ? s - 1 : NULL;
    if (last && s->names == last->names && s->texts == last->texts) {
        st->ids = m->states[i - 1].ids;
        st->n_names = m->states[i - 1].n_names;
        return ST_OK;
    }
    st->n_names = s->flat ? s->texts->texts.n : s->names->head.n_names;
    st->ids.names = ARENA_ZARRAY(m->arena, uint32_t, st->n_names);
    st->ids.looked = ARENA_ZARRAY(m->arena, bool, s->flat ? 0 : s->names->head.chunks.n_chunks);
    return st->ids.names && st->ids.looked ? ST_OK : merge_no_memory(err);
}

static enum status start_source(struct merge *m, uint32_t i, struct error *err)
{
    const struct tree_source *s = &m->sources[i];
    ASSERT(s->side < m->n_sides && (s->flat ? s->texts && !s->names : s->rollup && s->names));
    int64_t total = s->flat ? s->flat->v[0].total : s->rollup->head.total;
    bool leaf = s->flat ? s->flat->n == 1 : s->rollup->head.n_nodes == 0;
    TRY(start_names(m, i, err));
    m->states[i].side = s->side;
    m->states[i].left = s->flat ? 0 : s->rollup->head.n_nodes;
    struct occurrence o = {.total = total, .source = i, .ref = s->flat ? 0 : ROLLUP_ROOT};
    int64_t *sum = &m->nodes.v[0].total[s->side];
    if (__builtin_add_overflow(*sum, total, sum))
        FAIL(err, ST_OUT_OF_RANGE, "sum of samples leaves the 64-bit range");
    return leaf || add_occurrence(m, 0, o) ? ST_OK : merge_no_memory(err);
}

static enum status start(struct merge *m, uint32_t n_sources, struct error *err)
{
    uint32_t root, in_trees = 0;
    m->states = ARENA_ZARRAY(m->arena, struct source_state, n_sources);
    struct merged *node = m->states ? VEC_PUSH(m->arena, m->nodes) : NULL;
    if (!node)
        return merge_no_memory(err);
    TRY(merge_names_add(&m->names, STR_EMPTY, &root, err));
    TRY(add_slots(m, err));
    TRY(merge_names_in_trees(
        &m->names, root, &in_trees, err)); /* makes the roots of the trees, too */
    *node = (struct merged){.occurrences = NONE, .name = root};
    if (n_sources >= NUMBER_FROM)
        TRY(merge_names_number(&m->names, err));
    for (uint32_t i = 0; i < n_sources; i++)
        TRY(start_source(m, i, err));
    for (unsigned side = 0; side < m->n_sides; side++)
        m->trees[side].nodes[0].self = node->total[side];
    return ST_OK;
}

/* Beyond so many nodes nothing is gained by knowing the best so far. */
static enum status start_best(struct merge *m, struct error *err)
{
    enum { BEST_MAX = 1 << 20 };
    int64_t budget = m->limits->budget;
    if (budget <= 0 || budget > BEST_MAX)
        return ST_OK;
    m->best.cap = (uint32_t)budget;
    m->best.v = ARENA_ARRAY(m->arena, int64_t, m->best.cap);
    return m->best.v ? ST_OK : merge_no_memory(err);
}

/* Rests by node of the trees; none if every node has all its children. */
static enum status place_rests(struct merge *m, struct error *err)
{
    for (unsigned side = 0; side < m->n_sides && m->rests.n; side++) {
        struct nametree *t = &m->trees[side];
        t->rest = ARENA_ZARRAY(m->arena, int64_t, t->n_nodes);
        if (!t->rest)
            return merge_no_memory(err);
        for (uint32_t i = 0; i < m->rests.n; i++) {
            const struct rest *r = &m->rests.v[i];
            uint32_t node = m->nodes.v[r->node].node[side];
            t->rest[node] += r->total[side];
        }
    }
    return ST_OK;
}

static enum status run(struct merge *m, uint32_t n_sources, struct error *err)
{
    TRY(start(m, n_sources, err));
    TRY(start_best(m, err));
    TRY(open_node(m, 0, err));
    take_as_leaves(m, 1);
    if (m->limits->budget <= 0)
        return open_all(m, err);
    TRY(settle(m, 1, err));
    TRY(open_best(m, err));
    return place_rests(m, err);
}

enum status tree_merge(const struct tree_source *sources, uint32_t n_sources,
    const struct tree_merge_limits *limits, struct nametree *ret_trees, unsigned n_sides,
    struct error *err)
{
    ASSERT(n_sides == 1 || n_sides == 2);
    ASSERT(ret_trees[0].n_names == 0 && ret_trees[n_sides - 1].n_names == 0);
    struct merge m = {.sources = sources,
        .limits = limits,
        .trees = ret_trees,
        .n_sides = n_sides,
        .arena = ret_trees[0].arena,
        .free = NONE};
    merge_names_init(&m.names, m.arena, ret_trees, n_sides);
    enum status st = run(&m, n_sources, err);
    merge_names_done(&m.names);
    for (unsigned side = 0; side < n_sides && st == ST_OK; side++)
        st = nametree_finish(&ret_trees[side], err);
    return st;
}
