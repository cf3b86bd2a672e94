/* Points: what is looked at one by one, profiles or spans of profiles, and exemplars made of them.
 *
 * A profile can lie in several rows of a group, where sample labels split it into series; a span in
 * many samples. What has the same id in the same group is one point, its values added up, and the
 * labels that it is shown with are those that all its series have.
 *
 * Of two points the larger is the better exemplar, then the earlier, then the one with the smaller
 * id, so that an answer does not depend on the order of rows. Points are in the arena, 80 bytes
 * each; their index is on the heap within what is left of the budget. They refer to series of the
 * views and end with exec_close. */
#include <inttypes.h>

#include "base/hash.h"
#include "query/query_int.h"

void points_init(struct points *p, struct exec *x)
{
    *p = (struct points){.x = x};
    idmap_init(&p->ids, NULL);
}

void points_done(struct points *p)
{
    idmap_done(&p->ids);
    p->ids = (struct idmap){0};
}

static bool same_point(const struct point *a, const struct point *b)
{
    return a->group == b->group && memcmp(a->id, b->id, sizeof a->id) == 0;
}

/* A series that the point has not been seen in yet. */
static enum status add_origin(
    struct points *p, struct point *to, struct point_origin from, struct error *err)
{
    for (const struct point_origin *o = &to->origin; o; o = o->next)
        if (o->series == from.series && o->k == from.k)
            return ST_OK;
    struct point_origin *more = ARENA_NEW(p->x->q->arena, struct point_origin);
    if (!more)
        return query_full(p->x->q, err);
    *more = (struct point_origin){from.series, from.k, to->origin.next};
    to->origin.next = more;
    return ST_OK;
}

enum status points_add(
    struct points *p, const struct exec_part *ep, struct point point, struct error *err)
{
    struct query *q = p->x->q;
    uint32_t i;
    /* The series of the view, which stay when the part is left. */
    const struct part *part = p->x->entered == ep ? p->x->light : ep->part;
    point.origin = (struct point_origin){part_series(part, point.series), point.k, NULL};
    uint64_t hash = hash_u64(hash_bytes(point.id, sizeof point.id), point.group);
    struct idmap_probe probe = idmap_start(&p->ids, hash);
    while (idmap_next(&p->ids, &probe, &i)) {
        struct point *old = &p->list.v[i];
        if (!same_point(old, &point))
            continue;
        if (__builtin_add_overflow(old->value, point.value, &old->value))
            return query_overflow(err);
        return add_origin(p, old, point.origin, err);
    }
    struct point *slot = VEC_PUSH(q->arena, p->list);
    if (!slot || !query_index_put(q, &p->ids, hash, p->list.n - 1))
        return query_full(q, err);
    *slot = point;
    return ST_OK;
}

bool point_better(const struct point *a, const struct point *b)
{
    if (a->value != b->value)
        return a->value > b->value;
    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns;
    for (size_t i = 0; i < POINT_IDS; i++)
        if (a->id[i] != b->id[i])
            return a->id[i] < b->id[i];
    return false;
}

/* Exemplars */

static bool asked_for(const struct groups *g, struct str name)
{
    for (uint32_t i = 0; i < g->n_names; i++)
        if (str_eq(g->names[i], name))
            return true;
    return false;
}

static bool in_all(struct points *p, const struct point *point, const struct label *l)
{
    enum label_kind kind = label_kind(l->name);
    for (const struct point_origin *o = point->origin.next; o; o = o->next)
        if (!str_eq(series_label(o->series, o->k, kind, l->name, &p->x->scratch), l->value))
            return false;
    return true;
}

static enum status fill_labels(struct points *p, const struct groups *g, const struct point *point,
    struct m_exemplar *ret, struct error *err)
{
    struct query *q = p->x->q;
    const struct part_series *s = point->origin.series;
    struct label *v = ARENA_ARRAY(q->arena, struct label, s->n_labels + LABELS_SYNTHETIC);
    struct m_label_pair *out = ARENA_ARRAY(
        q->arena, struct m_label_pair, s->n_labels + LABELS_SYNTHETIC);
    if (!v || !out)
        return query_full(q, err);
    uint32_t n = series_labels(s, point->origin.k, &p->x->scratch, v), kept = 0;
    for (uint32_t i = 0; i < n; i++) /* before the scratch is used again */
        TRY(query_copy(q, v[i].value, &v[i].value, err));
    for (uint32_t i = 0; i < n; i++) {
        if (asked_for(g, v[i].name) || !in_all(p, point, &v[i]))
            continue;
        TRY(query_copy(q, v[i].name, &out[kept].name, err));
        out[kept++].value = v[i].value;
    }
    ret->labels.v = out;
    ret->labels.n = kept;
    return ST_OK;
}

static enum status fill_ids(
    struct points *p, const struct point *point, struct m_exemplar *ret, struct error *err)
{
    struct query *q = p->x->q;
    if (!point->is_span) {
        char uuid[37];
        store_profile_id(q->store, point->id[0], uuid);
        return query_copy(q, str_from(uuid), &ret->profile_id, err);
    }
    ret->span_id = arena_printf(q->arena, "%016" PRIx64, __builtin_bswap64(point->id[1]));
    bool traced = point->id[2] || point->id[3];
    if (traced)
        ret->trace_id = arena_printf(
            q->arena, "%016" PRIx64 "%016" PRIx64, point->id[2], point->id[3]);
    return ret->span_id.p && (ret->trace_id.p || !traced) ? ST_OK : query_full(q, err);
}

enum status point_exemplar(struct points *p, const struct groups *g, const struct point *point,
    struct m_exemplar *ret_exemplar, struct error *err)
{
    *ret_exemplar = (struct m_exemplar){
        .timestamp = query_ns_to_ms(point->time_ns), .value = point->value};
    TRY(fill_ids(p, point, ret_exemplar, err));
    return fill_labels(p, g, point, ret_exemplar, err);
}
