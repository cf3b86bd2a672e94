/* SelectHeatmap: how many profiles, or spans of profiles, had which value when.
 *
 *     rows ─► points ─► slots of time × 20 buckets of values ─► counts, the largest of each
 *
 * The grid of time is anchored at the start: slot i ends at start + i × step and holds what came
 * after the slot before, the first one what came at the start itself. The grid of values divides
 * what lies between the smallest and the largest point of all groups into 20 equal buckets. Slots
 * without points are left out; others have all 20 counts.
 *
 * A point is a profile, with its total; or a span in a profile, with the sum of its samples, found
 * by its id, its trace and the profile's time. Samples that belong to no span are no points. */
#include <math.h>
#include <stdlib.h>

#include "query/query_int.h"

enum { BUCKETS = 20 };

struct heatmap {
    struct exec *x;
    const struct m_select_heatmap_request *rq;
    const struct selection *s;
    int64_t step_ms, min, max;
    double *y_min; /* of all slots */
    struct groups groups;
    struct points points;
};

/* Points */

static enum status add_profile(void *ctx, const struct exec_part *ep, const struct part_row *row,
    uint32_t k, struct error *err)
{
    struct heatmap *h = ctx;
    struct point p = {.time_ns = row->time_ns,
        .value = row->totals[k],
        .id = {row->seq},
        .series = row->series,
        .k = k};
    TRY(groups_find(&h->groups, part_series(ep->part, row->series), k, &p.group, err));
    return points_add(&h->points, ep, p, err);
}

static enum status add_spans(void *ctx, const struct exec_part *ep, const struct part_row *row,
    uint32_t k, struct error *err)
{
    struct heatmap *h = ctx;
    struct samples s;
    struct point p = {.time_ns = row->time_ns, .is_span = true, .series = row->series, .k = k};
    TRY(exec_row_samples(h->x, ep, row, k, &s, err));
    if (!s.spans)
        return ST_OK;
    TRY(groups_find(&h->groups, part_series(ep->part, row->series), k, &p.group, err));
    for (uint32_t i = 0; i < s.n; i++) {
        TRY(query_alive(h->x->q, err));
        if (!s.spans[i] || s.values[i] == 0)
            continue;
        p.value = s.values[i];
        p.id[0] = (uint64_t)row->time_ns;
        p.id[1] = s.spans[i];
        p.id[2] = s.trace_hi ? s.trace_hi[i] : 0;
        p.id[3] = s.trace_lo ? s.trace_lo[i] : 0;
        TRY(points_add(&h->points, ep, p, err));
    }
    return ST_OK;
}

static enum status gather(struct heatmap *h, struct exec_part *ep, struct error *err)
{
    bool any;
    if (h->rq->query_type == M_HEATMAP_INDIVIDUAL)
        return exec_rows(h->x, ep, add_profile, h, err);
    TRY(exec_enter(h->x, ep, &any, err));
    if (!any)
        return ST_OK;
    TRY(exec_rows(h->x, ep, add_spans, h, err));
    exec_leave(h->x);
    return ST_OK;
}

/* The grid */

/* 128 bits: a hostile start is far from everything. */
static int64_t slot_of(const struct heatmap *h, int64_t time_ns)
{
    __int128 start = h->s->range.start_ms, t = query_ns_to_ms(time_ns);
    return t <= start ? 0 : (int64_t)((t - start - 1) / h->step_ms + 1);
}

static int64_t slot_end(const struct heatmap *h, int64_t slot)
{
    __int128 end = h->s->range.start_ms + (__int128)slot * h->step_ms;
    return end > INT64_MAX ? INT64_MAX : (int64_t)end;
}

static uint32_t bucket_of(const struct heatmap *h, int64_t value)
{
    __int128 i = (__int128)(value - h->min) * BUCKETS / (h->max - h->min);
    return i < BUCKETS ? (uint32_t)i : BUCKETS - 1;
}

/* Values are above zero, so their differences are in range. */
static enum status make_buckets(struct heatmap *h, struct error *err)
{
    h->min = INT64_MAX;
    h->max = INT64_MIN;
    for (uint32_t i = 0; i < h->points.list.n; i++) {
        h->min = MIN(h->min, h->points.list.v[i].value);
        h->max = MAX(h->max, h->points.list.v[i].value);
    }
    if (h->min == h->max) {
        h->min -= h->max == INT64_MAX; /* one that nothing can be above */
        h->max = h->min + 1;
    }
    h->y_min = ARENA_ARRAY(h->x->q->arena, double, BUCKETS);
    if (!h->y_min)
        return query_full(h->x->q, err);
    for (int i = 0; i < BUCKETS; i++)
        h->y_min[i] = (double)(h->min + (int64_t)((__int128)i * (h->max - h->min) / BUCKETS));
    return ST_OK;
}

/* The answer */

/* A point at its place. */
struct place {
    uint32_t group, bucket;
    int64_t slot;
    const struct point *point;
};

static int by_place(const void *x, const void *y)
{
    const struct place *a = x, *b = y;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    if (a->bucket != b->bucket)
        return a->bucket < b->bucket ? -1 : 1;
    return point_better(b->point, a->point) - point_better(a->point, b->point);
}

static enum status make_places(struct heatmap *h, struct place **ret_places, struct error *err)
{
    uint32_t n = h->points.list.n;
    struct place *v = ARENA_ARRAY(h->x->q->arena, struct place, n);
    if (!v)
        return query_full(h->x->q, err);
    for (uint32_t i = 0; i < n; i++) {
        const struct point *p = &h->points.list.v[i];
        TRY(query_alive(h->x->q, err));
        v[i] = (struct place){p->group, bucket_of(h, p->value), slot_of(h, p->time_ns), p};
    }
    if (n)
        qsort(v, n, sizeof *v, by_place);
    *ret_places = v;
    return ST_OK;
}

/* Places v[0..n) are of one slot; the first of each bucket is its exemplar. */
static enum status fill_slot(struct heatmap *h, const struct place *v, uint32_t n,
    struct m_heatmap_slot *out, struct error *err)
{
    struct query *q = h->x->q;
    out->timestamp = slot_end(h, v->slot);
    out->y_min.v = h->y_min;
    out->counts.v = ARENA_ZARRAY(q->arena, int32_t, BUCKETS);
    if (!out->counts.v)
        return query_full(q, err);
    out->y_min.n = out->counts.n = BUCKETS;
    for (uint32_t i = 0; i < n; i++) {
        TRY(query_alive(q, err));
        out->counts.v[v[i].bucket] += out->counts.v[v[i].bucket] < INT32_MAX;
        bool first = i == 0 || v[i].bucket != v[i - 1].bucket;
        if (!first || h->rq->exemplar_type <= M_EXEMPLAR_NONE)
            continue;
        struct m_exemplar *e = VEC_PUSH(q->arena, out->exemplars);
        if (!e)
            return query_full(q, err);
        TRY(point_exemplar(&h->points, &h->groups, v[i].point, e, err));
    }
    return ST_OK;
}

/* Places v[0..n) are of one group. */
static enum status fill_series(struct heatmap *h, const struct place *v, uint32_t n,
    struct m_heatmap_series *out, struct error *err)
{
    struct labels ls = h->groups.list.v[v->group];
    TRY(group_labels(h->x->q, ls, &out->labels.v, err));
    out->labels.n = ls.n;
    for (uint32_t i = 0, next; i < n; i = next) {
        struct m_heatmap_slot *slot = VEC_PUSH(h->x->q->arena, out->slots);
        if (!slot)
            return query_full(h->x->q, err);
        *slot = (struct m_heatmap_slot){0};
        for (next = i + 1; next < n && v[next].slot == v[i].slot;)
            next++;
        TRY(fill_slot(h, v + i, next - i, slot, err));
    }
    return ST_OK;
}

struct run {
    const struct place *v;
    uint32_t n;
    struct labels labels;
};

static int by_count(const void *x, const void *y)
{
    const struct run *a = x, *b = y;
    if (a->n != b->n)
        return a->n > b->n ? -1 : 1;
    return labels_cmp(a->labels, b->labels);
}

static enum status fill(struct heatmap *h, struct m_select_heatmap_response *rs, struct error *err)
{
    struct query *q = h->x->q;
    struct place *v = NULL;
    uint32_t n = 0, total = h->points.list.n;
    if (total == 0)
        return ST_OK;
    TRY(make_buckets(h, err));
    TRY(make_places(h, &v, err));
    struct run *runs = ARENA_ARRAY(q->arena, struct run, h->groups.list.n);
    if (!runs)
        return query_full(q, err);
    for (uint32_t i = 0, next; i < total; i = next) {
        for (next = i + 1; next < total && v[next].group == v[i].group;)
            next++;
        runs[n++] = (struct run){v + i, next - i, h->groups.list.v[v[i].group]};
    }
    qsort(runs, n, sizeof *runs, by_count);
    if (h->rq->limit > 0 && h->rq->limit < n)
        n = (uint32_t)h->rq->limit;
    rs->series.v = ARENA_ZARRAY(q->arena, struct m_heatmap_series, n);
    if (!rs->series.v)
        return query_full(q, err);
    rs->series.n = n;
    for (uint32_t i = 0; i < n; i++)
        TRY(fill_series(h, runs[i].v, runs[i].n, &rs->series.v[i], err));
    return ST_OK;
}

static enum status run(struct heatmap *h, struct m_select_heatmap_response *rs, struct error *err)
{
    struct query *q = h->x->q;
    TRY(groups_init(&h->groups, q, &h->x->scratch, h->rq->group_by.v, h->rq->group_by.n, err));
    TRY(selection_open(q, h->s, h->x, err));
    for (uint32_t i = 0; i < h->x->parts.n; i++)
        TRY(gather(h, &h->x->parts.v[i], err));
    return fill(h, rs, err);
}

static enum status check(const struct m_select_heatmap_request *rq, struct error *err)
{
    bool spans = rq->query_type == M_HEATMAP_SPAN;
    if (rq->limit < 0)
        FAIL(err, ST_INVALID_ARGUMENT, "limit must not be negative");
    if (rq->start >= rq->end)
        FAIL(err, ST_INVALID_ARGUMENT, "start time must be before end time");
    if (!spans && rq->query_type != M_HEATMAP_INDIVIDUAL)
        FAIL(err, ST_INVALID_ARGUMENT,
            "query_type must be HEATMAP_QUERY_TYPE_INDIVIDUAL or HEATMAP_QUERY_TYPE_SPAN");
    if (rq->exemplar_type > M_EXEMPLAR_NONE &&
        rq->exemplar_type != (spans ? M_EXEMPLAR_SPAN : M_EXEMPLAR_INDIVIDUAL))
        FAIL(err, ST_INVALID_ARGUMENT, "exemplar_type does not fit the query_type");
    return ST_OK;
}

enum status query_select_heatmap(struct query *q, const struct m_select_heatmap_request *rq,
    struct m_select_heatmap_response *rs, struct error *err)
{
    struct selection s = {0};
    struct exec x = {.q = q};
    struct heatmap h = {.x = &x, .rq = rq, .s = &s};
    const struct selection_request sr = {
        .type_id = rq->profile_typeID, .selector = rq->label_selector};
    TRY(query_range_check(q, rq->start, rq->end, &s.range, err));
    TRY(query_step(rq->step, &h.step_ms, err));
    TRY(check(rq, err));
    points_init(&h.points, &x);
    enum status st = selection_init(q, &sr, &s, err);
    if (st == ST_OK)
        st = run(&h, rs, err);
    exec_close(&x);
    points_done(&h.points);
    groups_done(&h.groups);
    selection_done(&s);
    return st;
}
