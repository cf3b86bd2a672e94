/* Digests in place of the trees of days: see store_digest.
 *
 *     a part that has digests ─► which datasets they sum up ─► is every one of them a part of this
 * view, in the range as a whole, and matched in the one type that is asked for, all of it?
 *     ─► one tree for all of them, which are covered
 *
 * A view that lacks one of the datasets, because its block was retired or merged anew since, reads
 * trees of days. So does a question for several types at a time, which nobody draws. */
#include "query/query_int.h"

enum { TYPE_BYTES_MAX = 4096 };

/* A digest that is being looked at. */
struct candidate {
    struct tree_set *set;
    struct exec *x;
    const struct exec_part *host;
    struct buf type; /* the one that its parts match */
    struct buf scratch;
    MSG_LIST(struct exec_part *) parts; /* that it sums up */
};

static bool is_part_of(
    const struct candidate *c, const struct part *p, const struct store_digested *d)
{
    const struct part *host = c->host->part;
    return p->origin && p->epoch == d->epoch && str_eq(p->tenant, host->tenant) &&
           str_eq(p->service, host->service);
}

/* *ret_all: as many as there were. */
static enum status find_parts(
    struct candidate *c, const struct store_digested *d, bool *ret_all, struct error *err)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->x->parts.n; i++) {
        struct exec_part *ep = &c->x->parts.v[i];
        if (!is_part_of(c, ep->part, d) || !exec_may_cover(c->x, ep, 0, part_n_slots(ep->part)))
            continue;
        struct exec_part **slot = VEC_PUSH(c->set->q->arena, c->parts);
        if (!slot)
            return query_full(c->set->q, err);
        *slot = ep;
        n++;
    }
    *ret_all = n == d->n_datasets;
    return ST_OK;
}

static enum status find_all_parts(struct candidate *c, bool *ret_all, struct error *err)
{
    struct query *q = c->set->q;
    struct store_digested *v = NULL;
    uint32_t n = 0;
    enum status st = store_digest(q->store, c->host->part, q->arena, &v, &n, err);
    *ret_all = st == ST_OK && n > 0;
    if (st == ST_DATA_LOSS)
        return ST_OK;
    TRY(query_status(q, st, err));
    for (uint32_t i = 0; i < n && *ret_all; i++) {
        TRY(query_alive(q, err));
        TRY(find_parts(c, &v[i], ret_all, err));
    }
    return ST_OK;
}

/* *ret_one: the part matches one type, all of it, and that is the one of the parts before. */
static enum status match_type(
    struct candidate *c, const struct exec_part *ep, bool *ret_one, struct error *err)
{
    uint32_t *types = NULL, n = 0;
    *ret_one = false;
    TRY(rollups_match(c->set->q, ep, &types, &n, ret_one, err));
    *ret_one = *ret_one && n == 1;
    if (!*ret_one)
        return ST_OK;
    struct buf *name = c->type.n ? &c->scratch : &c->type;
    buf_clear(name);
    part_type_name(&ep->part->sym, ep->part->rollups->types[types[0]], name);
    *ret_one = !name->failed && str_eq(buf_view(name), buf_view(&c->type));
    return ST_OK;
}

static const struct part_digest *digest_of(const struct part_rollups *ru, struct str type)
{
    for (uint32_t i = 0; i < ru->n_digests; i++)
        if (str_eq(ru->digests[i].type, type))
            return &ru->digests[i];
    return NULL;
}

static enum status look_at(struct candidate *c, struct error *err)
{
    bool ok;
    TRY(find_all_parts(c, &ok, err));
    for (uint32_t i = 0; i < c->parts.n && ok; i++)
        TRY(match_type(c, c->parts.v[i], &ok, err));
    const struct part_digest *d = ok ? digest_of(c->host->part->rollups, buf_view(&c->type)) : NULL;
    if (!d)
        return ST_OK;
    TRY(tree_set_take(c->set, c->x, c->host->part, &d->tree, &ok, err));
    for (uint32_t i = 0; i < c->parts.n && ok; i++)
        TRY(exec_cover(c->x, c->parts.v[i], 0, part_n_slots(c->parts.v[i]->part), err));
    return ST_OK;
}

/* A digest is of days before those of its part: most questions are not about these. */
static bool may_help(const struct exec *x, const struct part *p)
{
    return p->rollups && p->rollups->n_digests && x->from_ns < part_slot(p, 0).time_min;
}

enum status digests_take(struct tree_set *set, struct exec *x, struct error *err)
{
    enum status st = ST_OK;
    struct candidate c = {.set = set, .x = x};
    buf_init(&c.type, TYPE_BYTES_MAX);
    buf_init(&c.scratch, TYPE_BYTES_MAX);
    for (uint32_t i = 0; i < x->parts.n && st == ST_OK; i++) {
        c.host = &x->parts.v[i];
        c.parts.n = 0;
        buf_clear(&c.type);
        if (may_help(x, c.host->part))
            st = look_at(&c, err);
    }
    buf_done(&c.scratch);
    buf_done(&c.type);
    return st;
}
