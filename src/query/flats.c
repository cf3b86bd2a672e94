/* The rows of many parts as flat trees, in memory that the result bounds.
 *
 *     sums of a part ─► flat tree ─┬─► … ─► merged with the roll-ups, as far as the answer needs
 *                                  └─► more than 64 MB or an eighth of the budget, and twice what
 *                                      was left the last time: all of them become one, of every
 *                                      node once
 *
 * A flat tree is made without a look-up per node, and of most nothing but the front is ever read.
 * So they are kept as they are as long as that costs little memory; many days of unmerged blocks,
 * each a part with nearly the same stacks, are folded again and again, at a cost in proportion to
 * what came since.
 *
 * The trees lie in an arena of their own, so that what was folded can be let go. What it has is
 * taken off the query's budget as long as it is there. Texts lie in the query's arena: a name is
 * there once, whatever the number of parts. */
#include "query/query_int.h"

enum { FOLD_FRACTION = 8, FOLD_BYTES = 64 << 20 };

/* Takes off the budget what the trees have by now. */
static void account(struct flat_set *f)
{
    struct query *q = f->q;
    q->arena->limit += f->lent;
    q->lent -= f->lent;
    f->lent = MIN(f->arena.used, q->arena->limit);
    q->arena->limit -= f->lent;
    q->lent += f->lent;
}

void flat_set_init(struct flat_set *f, struct query *q)
{
    *f = (struct flat_set){.q = q};
    rollup_names_init(&f->names, q->arena);
    arena_init(&f->arena, 0);
}

void flat_set_done(struct flat_set *f)
{
    if (!f->q)
        return;
    arena_done(&f->arena);
    account(f);
    rollup_names_done(&f->names);
    *f = (struct flat_set){0};
}

static enum status alive(void *ctx, struct error *err)
{
    return query_alive(ctx, err);
}

static enum status unite(struct flat_set *f, struct nametree *t, struct error *err)
{
    const struct tree_merge_limits limits = {0, alive, f->q};
    struct tree_source *v = ARENA_ARRAY(t->arena, struct tree_source, f->trees.n);
    if (!v)
        return query_full(f->q, err);
    for (uint32_t i = 0; i < f->trees.n; i++)
        v[i] = (struct tree_source){.flat = &f->trees.v[i], .texts = &f->names};
    return tree_merge(v, f->trees.n, &limits, t, 1, err);
}

/* The tree as a flat one of the same names: parents lie before their children there, too. */
static enum status flatten(
    struct flat_set *f, const struct nametree *t, struct flat_tree *ret, struct error *err)
{
    struct flat_node *v = ARENA_ARRAY(&f->arena, struct flat_node, t->n_nodes);
    uint32_t *names = ARENA_ARRAY(t->arena, uint32_t, t->n_names);
    if (!v || !names)
        return query_full(f->q, err);
    for (uint32_t i = 1; i < t->n_names; i++) /* 0 is the root's, which is no frame */
        names[i] = rollup_names_id(&f->names, t->names[i]);
    v[0] = (struct flat_node){.total = t->nodes[0].total};
    for (uint32_t i = 1; i < t->n_nodes; i++) {
        const struct name_node *n = &t->nodes[i];
        TRY(query_alive(f->q, err));
        ASSERT(n->parent < i && names[n->name] != SYM_NONE);
        v[i] = (struct flat_node){n->total, names[n->name], 0, v[n->parent].first_child};
        v[n->parent].first_child = i;
    }
    *ret = (struct flat_tree){v, t->n_nodes};
    return ST_OK;
}

static enum status fold(struct flat_set *f, struct error *err)
{
    struct nametree t;
    struct arena scratch;
    arena_init(&scratch, query_left(f->q));
    nametree_init(&t, &scratch);
    enum status st = unite(f, &t, err);
    if (st == ST_OK) {
        arena_done(&f->arena);
        arena_init(&f->arena, f->lent + query_left(f->q) - MIN(scratch.used, query_left(f->q)));
        st = flatten(f, &t, &f->trees.v[0], err);
        f->trees.n = 1;
        f->folded = f->arena.used;
        account(f);
    }
    nametree_done(&t);
    arena_done(&scratch);
    return st;
}

static bool is_large(const struct flat_set *f)
{
    size_t budget = f->q->arena->limit + f->q->reserved + f->q->lent;
    return f->trees.n > 1 && f->arena.used > MIN(budget / FOLD_FRACTION, FOLD_BYTES) &&
           f->arena.used / 2 > f->folded;
}

enum status flat_set_add(struct flat_set *f, const struct symtab *sym, int64_t *sums,
    uint32_t n_nodes, struct error *err)
{
    struct flat_tree *tree = VEC_PUSH(f->q->arena, f->trees);
    if (!tree)
        return query_full(f->q, err);
    f->arena.limit = f->arena.used + query_left(f->q);
    enum status st = flat_tree_make(tree, &f->names, &f->arena, sym, sums, n_nodes, err);
    account(f);
    TRY(query_status(f->q, st, err));
    return is_large(f) ? query_status(f->q, fold(f, err), err) : ST_OK;
}
