/* The legacy JSON of /pyroscope/render and /pyroscope/render-diff: a thin layer over the others.
 *
 *     query=<profile type id>{<matchers>} ─► SelectMergeStacktraces ─► flamebearer
 *                                         └► SelectSeries ─► timeline, groups
 *
 * The metric name (or the last matcher of __name__, whatever its operator) is the profile type id;
 * a bare profile name works where it can only mean one type. The timeline has one number per
 * interval of the window, zero-filled; it comes from the series if there is exactly one. Field
 * order and the absence of blanks are those of the reference. */
#include <stdlib.h>

#include "codec/json.h"
#include "codec/when.h"
#include "query/query_int.h"

struct side {
    struct str type_id, selector;
    struct profile_type type;
    int64_t from_ms, until_ms;
};

static int64_t floor_to(int64_t v, int64_t unit)
{
    int64_t rest = v % unit;
    return v - (rest < 0 ? rest + unit : rest);
}

/* Parameters */

/* Writes matchers back as text: the other questions take text. */
static void put_matchers(const struct selector *sel, struct buf *out)
{
    static const char *const ops[] = {"=", "!=", "=~", "!~"};
    buf_byte(out, '{');
    for (uint32_t i = 0; i < sel->n; i++) {
        if (i)
            buf_byte(out, ',');
        quote_go(sel->v[i].name, out);
        buf_str(out, str_from(ops[sel->v[i].op]));
        quote_go(sel->v[i].value, out);
    }
    buf_byte(out, '}');
}

static enum status split_query(
    struct query *q, struct str text, const char *name, struct side *s, struct error *err)
{
    struct selector sel = {0};
    struct buf out;
    if (text.n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "\"%s\" is required", name);
    enum status st = query_status(q, selector_parse(text, q->arena, &sel, err), err);
    bool found = st == ST_OK && selector_take_name(&sel, &s->type_id);
    buf_init(&out, query_left(q));
    if (found) {
        put_matchers(&sel, &out);
        st = out.failed ? query_full(q, err) : query_copy(q, buf_view(&out), &s->selector, err);
    }
    buf_done(&out);
    selector_done(&sel);
    if (st == ST_INVALID_ARGUMENT)
        return error_wrap(err, st, "failed to parse \"%s\"", name);
    TRY(st);
    if (!found)
        FAIL(err, ST_INVALID_ARGUMENT, "\"%s\" must contain a profile-type selection", name);
    return ST_OK;
}

/* The type, also of a bare name; s->type_id becomes a whole id. */
static enum status resolve_type(
    struct query *q, const char *name, struct side *s, struct error *err)
{
    struct selection found = {0};
    struct selection_request rq = {.type_id = s->type_id, .selector = s->selector};
    bool bare = str_find_char(s->type_id, ':') == STR_NPOS;
    enum status st = bare ? query_range_check(q, s->from_ms, s->until_ms, &found.range, err)
                          : profile_type_parse(s->type_id, &found.type, err);
    if (st == ST_OK && bare)
        st = selection_init(q, &rq, &found, err);
    selection_done(&found);
    if (st == ST_INVALID_ARGUMENT)
        return error_wrap(err, st, "failed to parse \"%s\"", name);
    s->type = found.type;
    s->type_id = found.type.id;
    return st;
}

static enum status read_side(struct query *q, const char *name, struct str text, struct str from,
    struct str until, struct side *s, struct error *err)
{
    s->from_ms = floor_to(when_parse_ns(from, q->now_ns), NS_PER_MS) / NS_PER_MS;
    s->until_ms = floor_to(when_parse_ns(until, q->now_ns), NS_PER_MS) / NS_PER_MS;
    TRY(split_query(q, text, name, s, err));
    return resolve_type(q, name, s, err);
}

/* 0 when it is not given, or no number. */
static int64_t read_nodes(struct str text)
{
    int64_t v;
    return str_to_i64(text, &v) ? v : 0;
}

/* Timelines */

struct timeline {
    int64_t start_ms, step_ms;
    uint64_t *samples;
    uint32_t n;
};

/* About 1500 points, snapped to round numbers; seconds. */
static int64_t interval_s(int64_t range_ms)
{
    static const int64_t POINTS = 1500;
    static const struct {
        int64_t up_to_ms, interval_s;
    } steps[] = {{17500, 15}, {25000, 20}, {45000, 30}, {90000, 60}, {210000, 120}, {450000, 300},
        {750000, 600}, {1050000, 900}, {1500000, 1200}, {2700000, 1800}, {5400000, 3600},
        {9000000, 7200}, {16200000, 10800}, {32400000, 21600}, {86400000, 43200},
        {604800000, 86400}, {1814400000, 604800}, {3628799999, 2592000}};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (range_ms <= steps[i].up_to_ms * POINTS)
            return steps[i].interval_s;
    return 365 * 86400;
}

static enum status timeline_init(
    struct query *q, const struct side *s, struct timeline *t, struct error *err)
{
    t->step_ms = interval_s(s->until_ms - s->from_ms) * 1000;
    t->start_ms = floor_to(s->from_ms, t->step_ms);
    t->n = (uint32_t)((floor_to(s->until_ms, t->step_ms) - t->start_ms) / t->step_ms);
    t->samples = ARENA_ZARRAY(q->arena, uint64_t, t->n);
    return t->samples ? ST_OK : query_full(q, err);
}

static void timeline_add(struct timeline *t, const struct m_series *s)
{
    for (uint32_t i = 0; i < s->points.n; i++) {
        int64_t at = s->points.v[i].timestamp - t->start_ms;
        if (at >= 0 && at / t->step_ms < t->n)
            t->samples[at / t->step_ms] += (uint64_t)s->points.v[i].value;
    }
}

static void timeline_put(const struct timeline *t, struct buf *out)
{
    buf_printf(out, "{\"startTime\":%lld,\"samples\":[", (long long)(t->start_ms / 1000));
    for (uint32_t i = 0; i < t->n; i++) {
        if (i)
            buf_byte(out, ',');
        json_put_u64(out, t->samples[i]);
    }
    buf_printf(
        out, "],\"durationDelta\":%lld,\"watermarks\":null}", (long long)(t->step_ms / 1000));
}

struct keyed {
    struct str key;
    const struct m_series *series;
};

static int keyed_order(const void *a, const void *b)
{
    return str_cmp(((const struct keyed *)a)->key, ((const struct keyed *)b)->key);
}

static struct str group_key(const struct m_series *s, struct str name)
{
    for (uint32_t i = 0; i < s->labels.n; i++)
        if (str_eq(s->labels.v[i].name, name))
            return s->labels.v[i].value;
    return STR("*");
}

/* One timeline per value of the first label; series that differ only in the others add up. */
static enum status put_groups(struct query *q, const struct m_select_series_response *rs,
    struct str name, struct timeline t, struct buf *out, struct error *err)
{
    uint32_t n = rs->series.n;
    struct keyed *v = ARENA_ARRAY(q->arena, struct keyed, n);
    if (!v)
        return query_full(q, err);
    for (uint32_t i = 0; i < n; i++)
        v[i] = (struct keyed){group_key(&rs->series.v[i], name), &rs->series.v[i]};
    if (n)
        qsort(v, n, sizeof *v, keyed_order);
    for (uint32_t i = 0; i < n; i++) {
        bool same = i && str_eq(v[i].key, v[i - 1].key);
        bool last = i + 1 == n || !str_eq(v[i].key, v[i + 1].key);
        if (!same)
            memset(t.samples, 0, t.n * sizeof *t.samples);
        timeline_add(&t, v[i].series);
        if (!last)
            continue;
        json_put_string(out, v[i].key);
        buf_byte(out, ':');
        timeline_put(&t, out);
        if (i + 1 < n)
            buf_byte(out, ',');
    }
    return ST_OK;
}

/* Requests */

static struct m_select_merge_stacktraces_request tree_request(
    const struct side *s, int64_t max_nodes)
{
    return (struct m_select_merge_stacktraces_request){.profile_typeID = s->type_id,
        .label_selector = s->selector,
        .start = s->from_ms,
        .end = s->until_ms,
        .max_nodes = max_nodes,
        .format = M_FORMAT_FLAMEGRAPH};
}

static enum status ask_series(struct query *q, const struct render_params *p, const struct side *s,
    const struct timeline *t, struct m_select_series_response *rs, struct error *err)
{
    struct m_select_series_request rq = {.profile_typeID = s->type_id,
        .label_selector = s->selector,
        .start = s->from_ms,
        .end = s->until_ms,
        .step = (double)t->step_ms / 1000};
    struct str *names = ARENA_ARRAY(q->arena, struct str, p->n_group_by);
    if (!names)
        return query_full(q, err);
    for (uint32_t i = 0; i < p->n_group_by; i++)
        names[i] = p->group_by[i];
    rq.group_by.v = names;
    rq.group_by.n = p->n_group_by;
    rq.aggregation = str_eq(p->aggregation, STR("avg")) ? M_AGGREGATION_AVERAGE : M_AGGREGATION_SUM;
    return query_select_series(q, &rq, rs, err);
}

static enum status render_json(struct query *q, const struct render_params *p, const struct side *s,
    int64_t nodes, struct buf *out, struct error *err)
{
    struct m_select_merge_stacktraces_request rq = tree_request(s, nodes);
    struct m_select_merge_stacktraces_response tree = {0};
    struct m_select_series_response series = {0};
    struct timeline t = {0};
    TRY(query_select_merge_stacktraces(q, &rq, &tree, err));
    TRY(timeline_init(q, s, &t, err));
    TRY(ask_series(q, p, s, &t, &series, err));
    flame_json_graph(out, tree.flamegraph);
    flame_json_metadata(out, s->type.sample_type, s->type.sample_unit, "single");
    if (series.series.n == 1)
        timeline_add(&t, &series.series.v[0]);
    buf_str(out, STR(",\"timeline\":"));
    timeline_put(&t, out);
    if (p->n_group_by) {
        buf_str(out, STR(",\"groups\":{"));
        TRY(put_groups(q, &series, p->group_by[0], t, out, err));
        buf_str(out, STR("},\"heatmap\":null}"));
    } else {
        buf_str(out, STR(",\"groups\":null,\"heatmap\":null}"));
    }
    return out->failed ? query_full(q, err) : ST_OK;
}

enum status query_render(struct query *q, const struct render_params *p, struct buf *out,
    bool *ret_is_dot, struct error *err)
{
    struct side s = {0};
    int64_t nodes = read_nodes(p->max_nodes);
    TRY(read_side(q, "query", p->query, p->from, p->until, &s, err));
    *ret_is_dot = str_eq(p->format, STR("dot"));
    if (!*ret_is_dot)
        return render_json(q, p, &s, nodes, out, err);
    struct m_select_merge_stacktraces_request rq = tree_request(&s, nodes);
    struct m_select_merge_stacktraces_response rs = {0};
    rq.format = M_FORMAT_DOT;
    TRY(query_select_merge_stacktraces(q, &rq, &rs, err));
    buf_str(out, rs.dot);
    return out->failed ? query_full(q, err) : ST_OK;
}

enum status query_render_diff(
    struct query *q, const struct render_params *p, struct buf *out, struct error *err)
{
    struct side left = {0}, right = {0};
    struct m_diff_response rs = {0};
    int64_t nodes = read_nodes(p->max_nodes);
    TRY(read_side(q, "leftQuery", p->left_query, p->left_from, p->left_until, &left, err));
    TRY(read_side(q, "rightQuery", p->right_query, p->right_from, p->right_until, &right, err));
    if (!str_eq(left.type_id, right.type_id))
        FAIL(err, ST_INVALID_ARGUMENT, "profile types must match");
    struct m_select_merge_stacktraces_request rql = tree_request(&left, nodes);
    struct m_select_merge_stacktraces_request rqr = tree_request(&right, nodes);
    TRY(query_diff(q, &(struct m_diff_request){&rql, &rqr}, &rs, err));
    flame_json_diff(out, rs.flamegraph, left.type.sample_type, left.type.sample_unit);
    return out->failed ? query_full(q, err) : ST_OK;
}
