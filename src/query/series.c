/* SelectSeries: sums of rows in time buckets, split by labels.
 *
 * The grid is anchored at the request's start: bucket i ends at start + i × step, and holds the
 * rows with end - step < t <= end (milliseconds); the first one also takes t = start - step. Rows
 * behind the last grid point are dropped, buckets without rows give no point. Nothing is divided by
 * time.
 *
 *     row ─► group of its (series, type), resolved once per part ─► cell (group, bucket) ─► sum
 *
 * Totals are stored with the rows, so samples are read only when a stack_trace selector asks which
 * of them count; and blocks have totals of all series by time, which do where the answer does not
 * split what they add up. Cells are found by a hash table; a group's last cell is tried first,
 * because rows come nearly in the order of time. Sums are integers until the end.
 *
 * AVERAGE is the sum of a bucket divided by the number of its rows. An exemplar is the profile of a
 * bucket with the largest value: which it is shows only when all rows have been seen, so all
 * profiles are kept as points until then, and rows are read where timelines would do; so they are
 * where series have annotations, which a point has from all of its rows.
 * Memory: groups, cells and points in the arena, indexes on the heap within what is left. */
#include <stdlib.h>

#include "base/hash.h"
#include "query/query_int.h"

struct cell {
    uint32_t group;
    int64_t bucket, sum, rows;
    uint32_t best; /* of the points; SYM_NONE: none */
    struct annotations *notes;
};

struct group {
    struct labels labels;
    uint32_t last_cell;
    double total;
    struct m_point *points;
    uint32_t n_points;
};

/* A (series, type). */
struct group_member {
    uint32_t series, k;
};

struct series_run {
    struct exec *x;
    const struct m_select_series_request *rq;
    const struct selection *s;
    int64_t step_ms;
    struct groups split;
    struct points points; /* when exemplars are asked for */
    bool exemplars;
    MSG_LIST(struct group) groups; /* by id in `split` */
    MSG_LIST(struct cell) cells;
    struct idmap cell_ids;
    /* Of the part at hand: */
    uint32_t *group_of; /* series × SAMPLE_TYPES_MAX, SYM_NONE where not resolved */
    uint8_t *keep;      /* which stacks count; NULL: all */
    bool annotated;     /* some series */
};

/* Groups: those of groups.c, with what is ours about them. */
static enum status find_group(
    struct series_run *r, const struct part_series *s, uint32_t k, uint32_t *ret, struct error *err)
{
    TRY(groups_find(&r->split, s, k, ret, err));
    if (*ret < r->groups.n)
        return ST_OK;
    struct group *g = VEC_PUSH(r->x->q->arena, r->groups);
    if (!g)
        return query_full(r->x->q, err);
    *g = (struct group){.labels = r->split.list.v[*ret], .last_cell = SYM_NONE};
    return ST_OK;
}

/* Cells */

static enum status find_cell(
    struct series_run *r, uint32_t group, int64_t bucket, uint32_t *ret, struct error *err)
{
    struct query *q = r->x->q;
    uint32_t *last = &r->groups.v[group].last_cell;
    if (*last != SYM_NONE && r->cells.v[*last].bucket == bucket) {
        *ret = *last;
        return ST_OK;
    }
    uint64_t hash = hash_u64(group, (uint64_t)bucket);
    struct idmap_probe p = idmap_start(&r->cell_ids, hash);
    while (idmap_next(&r->cell_ids, &p, ret)) {
        const struct cell *c = &r->cells.v[*ret];
        if (c->group == group && c->bucket == bucket) {
            *last = *ret;
            return ST_OK;
        }
    }
    struct cell *c = VEC_PUSH(q->arena, r->cells);
    if (!c || !query_index_put(q, &r->cell_ids, hash, r->cells.n - 1))
        return query_full(q, err);
    *c = (struct cell){.group = group, .bucket = bucket, .best = SYM_NONE};
    *ret = *last = r->cells.n - 1;
    return ST_OK;
}

/* False: the row is behind the last grid point. 128 bits: a hostile start is far from everything.
 */
static bool bucket_of(const struct series_run *r, int64_t time_ns, int64_t *ret_bucket)
{
    __int128 start = r->s->range.start_ms, step = r->step_ms;
    int64_t t = query_ns_to_ms(time_ns);
    *ret_bucket = 0;
    if (t <= start)
        return true;
    __int128 i = (t - start - 1) / step + 1;
    *ret_bucket = (int64_t)i;
    return start + i * step <= r->s->range.end_ms;
}

/* The row's total over the stacks that count. */
static enum status row_value(struct series_run *r, const struct exec_part *ep,
    const struct part_row *row, uint32_t k, int64_t *ret, struct error *err)
{
    struct samples s;
    *ret = row->totals[k];
    if (!r->keep)
        return ST_OK;
    TRY(exec_row_samples(r->x, ep, row, k, &s, err));
    int64_t sum = 0;
    for (uint32_t i = 0; i < s.n; i++)
        if (keep_has(r->keep, s.nodes[i]) && __builtin_add_overflow(sum, s.values[i], &sum))
            return query_overflow(err);
    *ret = sum;
    return ST_OK;
}

static enum status add_row(void *ctx, const struct exec_part *ep, const struct part_row *row,
    uint32_t k, struct error *err)
{
    struct series_run *r = ctx;
    int64_t bucket, value;
    uint32_t cell = 0, *group = &r->group_of[(size_t)row->series * SAMPLE_TYPES_MAX + k];
    if (!bucket_of(r, row->time_ns, &bucket))
        return ST_OK;
    TRY(row_value(r, ep, row, k, &value, err));
    if (value == 0)
        return ST_OK;
    if (*group == SYM_NONE)
        TRY(find_group(r, part_series(ep->part, row->series), k, group, err));
    TRY(find_cell(r, *group, bucket, &cell, err));
    struct cell *c = &r->cells.v[cell];
    c->rows++;
    if (__builtin_add_overflow(c->sum, value, &c->sum))
        return query_overflow(err);
    if (r->annotated)
        TRY(annotations_add(r->x->q, part_series(ep->part, row->series), &c->notes, err));
    if (!r->exemplars)
        return ST_OK;
    const struct point p = {.group = *group,
        .id = {row->seq},
        .time_ns = row->time_ns,
        .value = value,
        .series = row->series,
        .k = k};
    return points_add(&r->points, ep, p, err);
}

/* Timelines of blocks */

static enum status add_timeline(struct series_run *r, uint32_t *group, const struct exec_part *ep,
    const struct group_member *of, const struct store_timeline *t, struct error *err)
{
    for (uint32_t i = 0; i < t->n; i++) {
        int64_t bucket;
        uint32_t cell = 0;
        TRY(query_alive(r->x->q, err));
        if (t->times[i] < r->x->from_ns || t->times[i] >= r->x->until_ns ||
            !bucket_of(r, t->times[i], &bucket))
            continue;
        if (*group == SYM_NONE)
            TRY(find_group(r, part_series(ep->part, of->series), of->k, group, err));
        TRY(find_cell(r, *group, bucket, &cell, err));
        struct cell *c = &r->cells.v[cell];
        c->rows += t->rows[i];
        if (__builtin_add_overflow(c->sum, t->totals[i], &c->sum))
            return query_overflow(err);
    }
    return ST_OK;
}

/* Whether a (series, type) has the same labels to group by as the first; or becomes the first. */
static enum status same_labels(struct series_run *r, const struct exec_part *ep,
    struct group_member m, struct str *values, bool first, bool *ret_same, struct error *err)
{
    const struct part_series *s = part_series(ep->part, m.series);
    for (uint32_t g = 0; g < r->rq->group_by.n && *ret_same; g++) {
        struct str value = series_label(
            s, m.k, r->split.kinds[g], r->rq->group_by.v[g], &r->x->scratch);
        if (first)
            TRY(query_copy(r->x->q, value, &values[g], err));
        *ret_same = str_eq(value, values[g]);
    }
    return ST_OK;
}

/* All that match belong to the same group: their timelines can be added instead of their rows.
 * *ret_member is one of them. */
static enum status find_member(struct series_run *r, const struct exec_part *ep,
    struct group_member *ret_member, bool *ret_one, struct error *err)
{
    struct query *q = r->x->q;
    struct str *values = ARENA_ZARRAY(q->arena, struct str, r->rq->group_by.n);
    bool first = true;
    if (!values)
        return query_full(q, err);
    *ret_one = true;
    *ret_member = (struct group_member){0, 0};
    for (uint32_t i = 0; i < ep->n_series; i++) {
        TRY(query_alive(q, err));
        for (uint32_t k = 0; ep->masks[i] >> k && *ret_one; k++) {
            const struct group_member m = {i, k};
            if (!(ep->masks[i] >> k & 1))
                continue;
            TRY(same_labels(r, ep, m, values, first, ret_one, err));
            *ret_member = m;
            first = false;
        }
    }
    return ST_OK;
}

/* *ret_done: the part needs no look at its rows. */
static enum status add_timelines(
    struct series_run *r, const struct exec_part *ep, bool *ret_done, struct error *err)
{
    struct query *q = r->x->q;
    struct group_member of;
    uint32_t *types, n, group = SYM_NONE;
    bool any = false, one = false;
    *ret_done = false;
    TRY(rollups_match(q, ep, &types, &n, &any, err));
    if (!any)
        return ST_OK;
    for (uint32_t i = 0; i < n; i++)
        if (ep->part->rollups->timelines[types[i]] == SYM_NONE)
            return ST_OK;
    TRY(find_member(r, ep, &of, &one, err));
    if (!one)
        return ST_OK;
    *ret_done = true;
    for (uint32_t i = 0; i < n; i++) {
        struct store_timeline t;
        arena_reset(&r->x->rows);
        enum status st = store_timeline(q->store, ep->part, types[i], &r->x->rows, &t, err);
        if (st == ST_DATA_LOSS)
            continue;
        TRY(query_status(q, st, err));
        TRY(add_timeline(r, &group, ep, &of, &t, err));
    }
    return ST_OK;
}

static enum status add_part(struct series_run *r, struct exec_part *ep, struct error *err)
{
    struct query *q = r->x->q;
    size_t n = (size_t)ep->n_series * SAMPLE_TYPES_MAX;
    r->group_of = ARENA_ARRAY(q->arena, uint32_t, n);
    if (!r->group_of)
        return query_full(q, err);
    memset(r->group_of, 0xFF, n * sizeof *r->group_of);
    bool any, done = false;
    r->annotated = annotations_any(ep);
    if (!r->s->rules.any && !r->exemplars && !r->annotated)
        TRY(add_timelines(r, ep, &done, err));
    if (done)
        return ST_OK;
    if (!r->s->rules.any)
        return exec_rows(r->x, ep, add_row, r, err);
    TRY(exec_enter(r->x, ep, &any, err));
    if (!any)
        return ST_OK;
    TRY(exec_keep(r->x, ep, &r->s->rules, &r->keep, err));
    TRY(exec_rows(r->x, ep, add_row, r, err));
    exec_leave(r->x);
    return ST_OK;
}

/* The answer */

static int cell_order(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->bucket > y->bucket) - (x->bucket < y->bucket);
}

/* The larger total first; then by labels, in the order in which they were asked for. */
static int group_order(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (x->total != y->total)
        return x->total > y->total ? -1 : 1;
    return labels_cmp(x->labels, y->labels);
}

/* The best profile of every cell: points are complete now. */
static enum status choose_exemplars(struct series_run *r, struct error *err)
{
    for (uint32_t i = 0; i < r->points.list.n; i++) {
        const struct point *p = &r->points.list.v[i];
        int64_t bucket;
        uint32_t cell = 0;
        TRY(query_alive(r->x->q, err));
        if (!bucket_of(r, p->time_ns, &bucket))
            continue;
        TRY(find_cell(r, p->group, bucket, &cell, err));
        uint32_t *best = &r->cells.v[cell].best;
        if (*best == SYM_NONE || point_better(p, &r->points.list.v[*best]))
            *best = i;
    }
    return ST_OK;
}

static enum status fill_exemplar(
    struct series_run *r, const struct cell *c, struct m_point *out, struct error *err)
{
    struct m_exemplar *e = VEC_PUSH(r->x->q->arena, out->exemplars);
    if (!e)
        return query_full(r->x->q, err);
    return point_exemplar(&r->points, &r->split, &r->points.list.v[c->best], e, err);
}

static enum status make_points(struct series_run *r, struct error *err)
{
    struct query *q = r->x->q;
    bool average = r->rq->aggregation == M_AGGREGATION_AVERAGE;
    struct m_point *points = ARENA_ZARRAY(q->arena, struct m_point, r->cells.n);
    if (!points)
        return query_full(q, err);
    if (r->cells.n)
        qsort(r->cells.v, r->cells.n, sizeof *r->cells.v, cell_order);
    for (uint32_t i = 0; i < r->cells.n; i++) {
        const struct cell *c = &r->cells.v[i];
        struct group *g = &r->groups.v[c->group];
        if (g->n_points++ == 0)
            g->points = &points[i];
        points[i].value = average ? (double)c->sum / (double)c->rows : (double)c->sum;
        /* The sum is in range; what is added to a start far below zero need not be. */
        points[i].timestamp =
            (int64_t)((uint64_t)r->s->range.start_ms + (uint64_t)c->bucket * (uint64_t)r->step_ms);
        g->total += points[i].value;
        annotations_sort(c->notes);
        if (c->notes) {
            points[i].annotations.v = c->notes->list.v;
            points[i].annotations.n = c->notes->list.n;
        }
        if (c->best != SYM_NONE)
            TRY(fill_exemplar(r, c, &points[i], err));
    }
    return ST_OK;
}

static enum status fill_one(
    struct query *q, const struct group *g, struct m_series *out, struct error *err)
{
    TRY(group_labels(q, g->labels, &out->labels.v, err));
    out->labels.n = g->labels.n;
    out->points.v = g->points;
    out->points.n = g->n_points;
    return ST_OK;
}

static enum status fill(
    struct series_run *r, struct m_select_series_response *rs, struct error *err)
{
    struct query *q = r->x->q;
    uint32_t n = r->groups.n;
    TRY(choose_exemplars(r, err));
    TRY(make_points(r, err));
    if (n)
        qsort(r->groups.v, n, sizeof *r->groups.v, group_order);
    if (r->rq->limit > 0 && r->rq->limit < n)
        n = (uint32_t)r->rq->limit;
    rs->series.v = ARENA_ZARRAY(q->arena, struct m_series, n);
    if (!rs->series.v)
        return query_full(q, err);
    rs->series.n = n;
    for (uint32_t i = 0; i < n; i++)
        TRY(fill_one(q, &r->groups.v[i], &rs->series.v[i], err));
    return ST_OK;
}

/* One step before the start is read as well: what belongs to the first bucket. */
static enum status run(struct series_run *r, struct m_select_series_response *rs, struct error *err)
{
    struct query *q = r->x->q;
    const struct query_range *range = &r->s->range;
    int64_t start, from, until = query_range_until(range);
    if (__builtin_sub_overflow(range->start_ms, r->step_ms, &start))
        start = INT64_MIN;
    from = query_ms_to_ns(start);
    TRY(groups_init(&r->split, q, &r->x->scratch, r->rq->group_by.v, r->rq->group_by.n, err));
    TRY(exec_open(r->x, q, from, range->empty ? from : until, &r->s->sel, NULL, err));
    for (uint32_t i = 0; i < r->x->parts.n; i++)
        TRY(add_part(r, &r->x->parts.v[i], err));
    return fill(r, rs, err);
}

enum status query_select_series(struct query *q, const struct m_select_series_request *rq,
    struct m_select_series_response *rs, struct error *err)
{
    struct selection s = {0};
    struct exec x = {.q = q};
    struct series_run r = {.x = &x, .rq = rq, .s = &s};
    struct selection_request sr = {.type_id = rq->profile_typeID,
        .selector = rq->label_selector,
        .frames = rq->stack_trace_selector,
        .stripped = q->limits.include_stripped};
    TRY(query_range_check(q, rq->start, rq->end, &s.range, err));
    TRY(query_step(rq->step, &r.step_ms, err));
    if (rq->exemplar_type == M_EXEMPLAR_SPAN)
        FAIL(err, ST_UNIMPLEMENTED, "exemplars of spans are those of SelectHeatmap");
    if (rq->exemplar_type < 0 || rq->exemplar_type > M_EXEMPLAR_SPAN)
        FAIL(err, ST_UNIMPLEMENTED, "exemplar type %d is not known", rq->exemplar_type);
    r.exemplars = rq->exemplar_type == M_EXEMPLAR_INDIVIDUAL;
    if (rq->aggregation != M_AGGREGATION_SUM && rq->aggregation != M_AGGREGATION_AVERAGE)
        FAIL(err, ST_UNIMPLEMENTED, "aggregation %d is not known", rq->aggregation);
    points_init(&r.points, &x);
    idmap_init(&r.cell_ids, NULL);
    enum status st = selection_init(q, &sr, &s, err);
    if (st == ST_OK)
        st = run(&r, rs, err);
    exec_close(&x);
    points_done(&r.points);
    groups_done(&r.split);
    idmap_done(&r.cell_ids);
    selection_done(&s);
    return st;
}
