/* Sample types that a tenant does not want (spec/ingest.md §6.7): for each type the rules see the
 * series' labels with __type__ and __unit__; the columns of dropped types go from every sample.
 *
 * Values may be shared with nobody, but types are shared between the profiles of some decoders, so
 * both are copied. Samples that only had values in dropped columns are left to the store, which
 * keeps no sample without a value. Pure; in the request's arena. */
#include "ingest/relabel_int.h"

static bool type_kept(const struct ingest_request *rq, const struct ingest_series *s,
    const struct prof_type *type, bool *ret_keep)
{
    struct label_set set = {0};
    set.v = ARENA_ARRAY(rq->arena, struct label, (size_t)s->labels.n + 2);
    if (!set.v)
        return false;
    set.cap = s->labels.n + 2;
    set.n = s->labels.n;
    if (set.n)
        memcpy(set.v, s->labels.v, set.n * sizeof *set.v);
    return label_set_put(&set, rq->arena, STR("__type__"), type->type) &&
           label_set_put(&set, rq->arena, STR("__unit__"), type->unit) &&
           relabel_apply(rq->limits.sample_type_rules, &set, rq->arena, ret_keep);
}

enum status ingest_drop_types(struct ingest_request *rq, struct ingest_series *s, struct error *err)
{
    struct profile *p = s->prof;
    uint32_t n = p->n_types, kept = 0;
    if (!rq->limits.sample_type_rules)
        return ST_OK;
    struct prof_type *types = ARENA_ARRAY(rq->arena, struct prof_type, n);
    uint32_t *columns = ARENA_ARRAY(rq->arena, uint32_t, n);
    if (!types || !columns)
        return ingest_arena_full(rq->arena, err);
    for (uint32_t k = 0; k < n; k++) {
        bool keep;
        if (!type_kept(rq, s, &p->types[k], &keep))
            return ingest_arena_full(rq->arena, err);
        if (!keep)
            continue;
        types[kept] = p->types[k];
        columns[kept++] = k;
    }
    if (kept == n)
        return ST_OK;
    int64_t *values = ARENA_ARRAY(rq->arena, int64_t, (size_t)p->n_samples * kept);
    if (!values)
        return ingest_arena_full(rq->arena, err);
    for (uint32_t i = 0; i < p->n_samples; i++)
        for (uint32_t k = 0; k < kept; k++)
            values[(size_t)i * kept + k] = p->values[(size_t)i * n + columns[k]];
    p->types = types;
    p->values = values;
    p->n_types = kept;
    return ST_OK;
}
