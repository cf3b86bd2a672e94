/* Groups of series by the labels that a question splits by.
 *
 * A group is the set of labels asked for, in the order asked; those that a series lacks are left
 * out, so all that lack them are one group. Ids are dense, in the order in which groups were met.
 * Texts are copied into the arena; the index is on the heap within what is left of the budget. */
#include "query/query_int.h"

enum { GROUPS_MAX = 1 << 20 };

enum status groups_init(struct groups *g, struct query *q, struct buf *scratch,
    const struct str *names, uint32_t n_names, struct error *err)
{
    *g = (struct groups){.q = q, .scratch = scratch, .names = names, .n_names = n_names};
    idmap_init(&g->ids, NULL);
    g->key = ARENA_ARRAY(q->arena, struct label, n_names);
    g->kinds = ARENA_ARRAY(q->arena, enum label_kind, n_names);
    if (!g->key || !g->kinds)
        return query_full(q, err);
    for (uint32_t i = 0; i < n_names; i++)
        g->kinds[i] = label_kind(names[i]);
    return ST_OK;
}

void groups_done(struct groups *g)
{
    idmap_done(&g->ids);
    g->ids = (struct idmap){0};
}

static enum status new_group(
    struct groups *g, struct labels key, uint64_t hash, uint32_t *ret, struct error *err)
{
    struct query *q = g->q;
    if (g->list.n == GROUPS_MAX)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the series split into more than %d groups", GROUPS_MAX);
    struct labels *slot = VEC_PUSH(q->arena, g->list);
    struct label *v = ARENA_ARRAY(q->arena, struct label, key.n);
    if (!slot || !v)
        return query_full(q, err);
    for (uint32_t i = 0; i < key.n; i++) {
        TRY(query_copy(q, key.v[i].name, &v[i].name, err));
        TRY(query_copy(q, key.v[i].value, &v[i].value, err));
    }
    *slot = (struct labels){v, key.n};
    *ret = g->list.n - 1;
    return query_index_put(q, &g->ids, hash, *ret) ? ST_OK : query_full(q, err);
}

enum status groups_find(struct groups *g, const struct part_series *s, uint32_t k,
    uint32_t *ret_group, struct error *err)
{
    struct labels key = {g->key, 0};
    for (uint32_t i = 0; i < g->n_names; i++) {
        struct str value = series_label(s, k, g->kinds[i], g->names[i], g->scratch);
        if (g->kinds[i] == LABEL_PROFILE_TYPE)
            TRY(query_copy(g->q, value, &value, err));
        if (value.n)
            g->key[key.n++] = (struct label){g->names[i], value};
    }
    uint64_t hash = labels_hash(key);
    struct idmap_probe p = idmap_start(&g->ids, hash);
    while (idmap_next(&g->ids, &p, ret_group))
        if (labels_eq(g->list.v[*ret_group], key))
            return ST_OK;
    return new_group(g, key, hash, ret_group, err);
}

enum status group_labels(
    struct query *q, struct labels ls, struct m_label_pair **ret_pairs, struct error *err)
{
    struct m_label_pair *v = ARENA_ARRAY(q->arena, struct m_label_pair, ls.n);
    if (!v)
        return query_full(q, err);
    for (uint32_t i = 0; i < ls.n; i++)
        v[i] = (struct m_label_pair){ls.v[i].name, ls.v[i].value};
    *ret_pairs = v;
    return ST_OK;
}
