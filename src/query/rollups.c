/* What need not be summed: roll-ups of blocks in place of their rows.
 *
 *     part ─► are the matching types matched by all of their series? ─► digests over parts that lie
 * in the range as a whole, then trees over slots that do, the largest first ─► covered; the rows of
 * all other slots ─► flat trees
 *     all trees ─► merged best-first, as far as the answer needs
 *
 * A roll-up is about all series of its type. So it answers only where the selector keeps all of
 * them or none, and nothing looks at single samples: no span, trace or profile ids, no frames.
 * Answers are the same either way; only the way differs. */
#include "model/function_table.h"
#include "query/query_int.h"

/* Types behind the first few have no roll-ups: not known here. */
static uint32_t type_index(const struct part_rollups *ru, const uint32_t *ids)
{
    for (uint32_t i = 0; i < MIN(ru->n_types, (uint32_t)PART_ROLLUP_TYPES_MAX); i++)
        if (memcmp(ru->types[i], ids, sizeof ru->types[i]) == 0)
            return i;
    return SYM_NONE;
}

/* How many series of each type have a value at all, and how many of these match. */
struct type_count {
    uint32_t have, match;
};

static enum status count_types(
    struct query *q, const struct exec_part *ep, struct type_count *counts, struct error *err)
{
    const struct part_rollups *ru = ep->part->rollups;
    for (uint32_t i = 0; i < ep->n_series; i++) {
        const struct part_series *s = part_series(ep->part, i);
        uint32_t seen = atomic_load_explicit(&s->types_seen, memory_order_relaxed);
        TRY(query_alive(q, err));
        for (uint32_t k = 0; seen >> k; k++) {
            uint32_t ids[PART_TYPE_IDS], type;
            if (!(seen >> k & 1))
                continue;
            part_type_ids(s, k, ids);
            type = type_index(ru, ids);
            counts[MIN(type, ru->n_types)].have++; /* an unknown one: behind the last */
            counts[MIN(type, ru->n_types)].match += ep->masks[i] >> k & 1;
        }
    }
    return ST_OK;
}

enum status rollups_match(struct query *q, const struct exec_part *ep, uint32_t **ret_types,
    uint32_t *ret_n, bool *ret_any, struct error *err)
{
    const struct part_rollups *ru = ep->part->rollups;
    *ret_any = false;
    *ret_n = 0;
    if (!ru || ru->n_types == 0)
        return ST_OK;
    struct type_count *counts = ARENA_ZARRAY(q->arena, struct type_count, ru->n_types + (size_t)1);
    *ret_types = ARENA_ARRAY(q->arena, uint32_t, ru->n_types);
    if (!counts || !*ret_types)
        return query_full(q, err);
    TRY(count_types(q, ep, counts, err));
    if (counts[ru->n_types].match)
        return ST_OK;
    for (uint32_t i = 0; i < ru->n_types; i++) {
        if (counts[i].match && counts[i].match != counts[i].have)
            return ST_OK;
        if (counts[i].match)
            (*ret_types)[(*ret_n)++] = i;
    }
    *ret_any = *ret_n > 0;
    return ST_OK;
}

/* Choosing trees */

bool exec_may_cover(const struct exec *x, const struct exec_part *ep, uint32_t slot, uint32_t n)
{
    for (uint32_t i = slot; i < slot + n; i++) {
        const struct part_slot s = part_slot(ep->part, i);
        if (s.time_min < x->from_ns || s.time_max >= x->until_ns ||
            (ep->covered && keep_has(ep->covered, i)))
            return false;
    }
    return true;
}

enum status exec_cover(
    struct exec *x, struct exec_part *ep, uint32_t slot, uint32_t n, struct error *err)
{
    if (!ep->covered)
        ep->covered = arena_zalloc(x->q->arena, part_n_slots(ep->part) / 8 + (size_t)1);
    if (!ep->covered)
        return query_full(x->q, err);
    for (uint32_t i = slot; i < slot + n; i++)
        ep->covered[i >> 3] |= (uint8_t)(1u << (i & 7));
    return ST_OK;
}

static const struct part_tree *tree_like(
    const struct part_rollups *ru, const struct part_tree *like, uint32_t type)
{
    for (uint32_t i = 0; i < ru->n_trees; i++) {
        const struct part_tree *t = &ru->trees[i];
        if (t->type == type && t->slot == like->slot && t->n_slots == like->n_slots)
            return t;
    }
    return NULL;
}

/* The table of a tree instead of the tree. The scratch is nobody's here: no row is entered. */
static enum status add_table(struct tree_set *set, struct exec *x, const struct part *part,
    const struct part_tree *t, bool *ret_any, struct error *err)
{
    struct store_tree *tree;
    struct function_table table;
    arena_reset(&x->rows);
    TRY(store_tree_enter(x->q->store, part, t, &x->rows, &tree, err));
    if (!tree)
        return ST_OK;
    enum status st = store_functions(x->q->store, part, t, &x->rows, &table, err);
    *ret_any = st == ST_OK;
    if (st == ST_OK)
        st = function_sum_add(set->functions, &table, &tree->names, err);
    else if (st == ST_DATA_LOSS)
        st = ST_OK;
    store_tree_leave(x->q->store, tree);
    return st;
}

enum status tree_set_take(struct tree_set *set, struct exec *x, const struct part *part,
    const struct part_tree *t, bool *ret_any, struct error *err)
{
    *ret_any = false;
    if (set->functions)
        return query_status(set->q, add_table(set, x, part, t, ret_any, err), err);
    struct store_tree **slot = VEC_PUSH(set->q->arena, set->trees);
    if (!slot)
        return query_full(set->q, err);
    TRY(query_status(
        set->q, store_tree_enter(x->q->store, part, t, set->q->arena, slot, err), err));
    *ret_any = *slot != NULL;
    set->trees.n -= !*ret_any;
    return ST_OK;
}

/* A range of slots is covered when all wanted types have a tree of it. What is damaged is left out
 * like the rows it stands for. */
static enum status take_range(struct tree_set *set, struct exec *x, struct exec_part *ep,
    const struct part_tree *like, const uint32_t *types, uint32_t n, struct error *err)
{
    const struct part_rollups *ru = ep->part->rollups;
    bool any;
    for (uint32_t i = 0; i < n; i++)
        if (!tree_like(ru, like, types[i]))
            return ST_OK;
    for (uint32_t i = 0; i < n; i++)
        TRY(tree_set_take(set, x, ep->part, tree_like(ru, like, types[i]), &any, err));
    return exec_cover(x, ep, like->slot, like->n_slots, err);
}

static enum status take_trees(
    struct tree_set *set, struct exec *x, struct exec_part *ep, struct error *err)
{
    uint32_t *types, n;
    bool any = false;
    TRY(rollups_match(set->q, ep, &types, &n, &any, err));
    if (!any || ep->part->rollups->n_trees == 0)
        return ST_OK;
    const struct part_rollups *ru = ep->part->rollups;
    for (uint32_t i = 0; i < ru->n_trees; i++)
        if (ru->trees[i].type == types[0] &&
            exec_may_cover(x, ep, ru->trees[i].slot, ru->trees[i].n_slots))
            TRY(take_range(set, x, ep, &ru->trees[i], types, n, err));
    return ST_OK;
}

/* Gathering */

/* Nothing but the table stays: the tree is made in the scratch, which sums need no more. */
static enum status add_table_of_rows(struct tree_set *set, struct exec *x,
    const struct exec_part *ep, const struct exec_sums *sums, struct error *err)
{
    struct nametree t;
    arena_reset(&x->rows);
    nametree_init(&t, &x->rows);
    enum status st = nametree_add(&t, &ep->part->sym, sums->v, ep->n_nodes, err);
    if (st == ST_OK)
        st = nametree_finish(&t, err);
    if (st == ST_OK)
        st = function_sum_add_tree(set->functions, &t, err);
    nametree_done(&t);
    return st;
}

static enum status add_rows(struct tree_set *set, struct exec *x, struct exec_part *ep,
    const struct selection *s, struct exec_sums *sums, struct error *err)
{
    bool any;
    TRY(exec_enter(x, ep, &any, err));
    if (!any)
        return ST_OK;
    TRY(exec_sum_part(x, ep, &s->rules, sums, err));
    if (sums->any && set->functions) {
        TRY(query_status(set->q, add_table_of_rows(set, x, ep, sums, err), err));
        exec_leave(x);
        return ST_OK;
    }
    if (sums->any)
        TRY(flat_set_add(&set->flats, &ep->part->sym, sums->v, ep->n_nodes, err));
    exec_leave(x);
    return ST_OK;
}

static enum status gather(struct tree_set *set, struct exec *x, const struct selection *s,
    struct exec_sums *sums, struct error *err)
{
    bool whole = !s->rules.any && s->ids.n_profiles == 0 && s->ids.n_spans == 0 &&
                 s->ids.n_traces == 0;
    if (whole)
        TRY(digests_take(set, x, err));
    for (uint32_t i = 0; i < x->parts.n; i++) {
        if (whole)
            TRY(take_trees(set, x, &x->parts.v[i], err));
        TRY(add_rows(set, x, &x->parts.v[i], s, sums, err));
    }
    return ST_OK;
}

enum status tree_set_gather(
    struct query *q, const struct selection *s, struct tree_set *set, struct error *err)
{
    struct exec x = {0};
    struct exec_sums sums = {0};
    set->q = q;
    flat_set_init(&set->flats, q);
    enum status st = selection_open(q, s, &x, err);
    if (st == ST_OK)
        st = gather(set, &x, s, &sums, err);
    exec_close(&x);
    return st;
}

void tree_set_done(struct tree_set *set)
{
    for (uint32_t i = 0; i < set->trees.n; i++)
        store_tree_leave(set->q->store, set->trees.v[i]);
    flat_set_done(&set->flats);
    *set = (struct tree_set){0};
}

/* Merging */

static enum status alive(void *ctx, struct error *err)
{
    return query_alive(ctx, err);
}

static void add_sources(
    const struct tree_set *set, unsigned side, struct tree_source *v, uint32_t *n)
{
    for (uint32_t i = 0; i < set->flats.trees.n; i++)
        v[(*n)++] = (struct tree_source){
            .flat = &set->flats.trees.v[i], .texts = &set->flats.names, .side = side};
    for (uint32_t i = 0; i < set->trees.n; i++)
        v[(*n)++] = (struct tree_source){
            .rollup = &set->trees.v[i]->tree, .names = &set->trees.v[i]->names, .side = side};
}

enum status tree_sets_merge(struct query *q, struct tree_set *sets, uint32_t n_sides,
    int64_t budget, struct nametree *ret_trees, struct error *err)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_sides; i++)
        n += sets[i].trees.n + sets[i].flats.trees.n;
    struct tree_source *v = ARENA_ARRAY(q->arena, struct tree_source, n);
    const struct tree_merge_limits limits = {budget, alive, q};
    if (!v)
        return query_full(q, err);
    n = 0;
    for (uint32_t i = 0; i < n_sides; i++)
        add_sources(&sets[i], i, v, &n);
    return query_status(q, tree_merge(v, n, &limits, ret_trees, n_sides, err), err);
}
