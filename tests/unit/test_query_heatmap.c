/* query: exemplars of timelines, heat maps, statistics. */
#include "test.h"

#include <stdlib.h>

#include "fixture_query.h"

typedef struct m_select_series_request series_request;
typedef struct m_select_series_response series_response;
typedef struct m_select_heatmap_request request;
typedef struct m_select_heatmap_response response;

static request heatmap(int32_t type, int32_t exemplars)
{
    return (request){.profile_typeID = STR(CPU),
        .label_selector = STR("{}"),
        .start = 1000,
        .end = 9000,
        .step = 2,
        .query_type = type,
        .exemplar_type = exemplars};
}

static void put_exemplar(struct buf *out, const struct m_exemplar *e)
{
    buf_printf(out, "(%lld %lld %.*s%.*s%s%.*s", (long long)e->timestamp, (long long)e->value,
        STR_ARG(e->profile_id), STR_ARG(e->span_id), e->trace_id.n ? "/" : "",
        STR_ARG(e->trace_id));
    for (uint32_t i = 0; i < e->labels.n; i++) {
        struct m_label_pair l = e->labels.v[i];
        if (!str_starts(l.name, STR("__")))
            buf_printf(out, " %.*s=%.*s", STR_ARG(l.name), STR_ARG(l.value));
    }
    buf_byte(out, ')');
}

static void put_labels(struct buf *out, const struct m_label_pair *v, uint32_t n)
{
    buf_byte(out, '{');
    for (uint32_t i = 0; i < n; i++)
        buf_printf(out, "%s%.*s=%.*s", i ? "," : "", STR_ARG(v[i].name), STR_ARG(v[i].value));
    buf_byte(out, '}');
}

static const char *text(struct buf *out)
{
    static char kept[1 << 14];
    assert_false(out->failed);
    assert_true(out->n < sizeof kept);
    memcpy(kept, buf_view(out).p, out->n);
    kept[out->n] = 0;
    buf_done(out);
    return kept;
}

/* "{labels} time bucket:count…(exemplar)…" */
static const char *ask(struct setup *s, request rq)
{
    response rs = {0};
    struct buf out;
    buf_init(&out, 1 << 14);
    setup_query(s);
    CHECK_OK(s, query_select_heatmap(&s->q, &rq, &rs, &s->err));
    for (uint32_t i = 0; i < rs.series.n; i++) {
        const struct m_heatmap_series *h = &rs.series.v[i];
        put_labels(&out, h->labels.v, h->labels.n);
        for (uint32_t k = 0; k < h->slots.n; k++) {
            const struct m_heatmap_slot *slot = &h->slots.v[k];
            buf_printf(&out, " %lld", (long long)slot->timestamp);
            assert_true(slot->y_min.n == 20 && slot->counts.n == 20);
            for (uint32_t b = 0; b < 20; b++)
                if (slot->counts.v[b])
                    buf_printf(&out, " %u:%d", b, slot->counts.v[b]);
            for (uint32_t e = 0; e < slot->exemplars.n; e++)
                put_exemplar(&out, &slot->exemplars.v[e]);
        }
    }
    return text(&out);
}

static const char *ask_series(struct setup *s, series_request rq)
{
    series_response rs = {0};
    struct buf out;
    buf_init(&out, 1 << 14);
    setup_query(s);
    CHECK_OK(s, query_select_series(&s->q, &rq, &rs, &s->err));
    for (uint32_t i = 0; i < rs.series.n; i++) {
        put_labels(&out, rs.series.v[i].labels.v, rs.series.v[i].labels.n);
        for (uint32_t k = 0; k < rs.series.v[i].points.n; k++) {
            const struct m_point *p = &rs.series.v[i].points.v[k];
            buf_printf(&out, " %lld=%g", (long long)p->timestamp, p->value);
            for (uint32_t e = 0; e < p->exemplars.n; e++)
                put_exemplar(&out, &p->exemplars.v[e]);
        }
    }
    return text(&out);
}

static void set_seq(struct part *p, uint32_t row, uint64_t seq)
{
    ((struct part_row *)segvec_at(&p->rows, row))->seq = seq;
}

/* Two series of one service; uploads 1 and 2 are in both. */
static struct part *fill(struct setup *s)
{
    setup_init(s);
    struct part *p = fixture_part(&s->store, "anonymous", "app");
    fixture_series(
        &s->store, p, "process_cpu", "pod=x,span_name=a", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_series(
        &s->store, p, "process_cpu", "pod=x,span_name=b", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_row(&s->store, p, 0, 2000 * MS_NS, "m 5");
    fixture_row(&s->store, p, 1, 2000 * MS_NS, "m 6");
    fixture_row(&s->store, p, 0, 2500 * MS_NS, "m 10");
    fixture_row(&s->store, p, 1, 5000 * MS_NS, "m;n 3\nm 4");
    fixture_row(&s->store, p, 1, 5001 * MS_NS, "m;n 3\nm 1");
    for (uint32_t row = 0; row < 5; row++)
        set_seq(p, row, row < 2 ? 1 : row);
    return p;
}

#define ID(seq, hash) hash "-0000-4000-8000-00000000000" seq
#define ID1 ID("1", "9e3779b1")
#define ID2 ID("2", "3c6ef362")
#define ID3 ID("3", "daa66d13")
#define ID4 ID("4", "78dde6c4")

static void test_exemplars(void **state)
{
    (void)state;
    struct setup s;
    struct str pod = STR("pod"), span = STR("span_name");
    fill(&s);
    series_request rq = {.profile_typeID = STR(CPU),
        .label_selector = STR("{}"),
        .start = 1000,
        .end = 9000,
        .step = 4,
        .exemplar_type = M_EXEMPLAR_INDIVIDUAL};
    /* Upload 1 has 11 in two series: more than the 10 of upload 2, and no span_name. */
    assert_string_equal(ask_series(&s, rq),
        "{} 5000=28(2000 11 " ID1 " pod=x service_name=app)"
        " 9000=4(5001 4 " ID4 " pod=x service_name=app span_name=b)");
    rq.group_by.v = &span;
    rq.group_by.n = 1;
    assert_string_equal(ask_series(&s, rq),
        "{span_name=b} 5000=13(5000 7 " ID3 " pod=x service_name=app)"
        " 9000=4(5001 4 " ID4 " pod=x service_name=app)"
        "{span_name=a} 5000=15(2500 10 " ID2 " pod=x service_name=app)");
    rq.group_by.v = &pod;
    rq.end = 6000;
    assert_string_equal(ask_series(&s, rq), "{pod=x} 5000=28(2000 11 " ID1 " service_name=app)");
    rq.exemplar_type = M_EXEMPLAR_NONE;
    assert_string_equal(ask_series(&s, rq), "{pod=x} 5000=28");
    setup_done(&s);
}

/* With a stack selector an exemplar has what the selector keeps. Of equals the earlier is shown. */
static void test_exemplars_of_stacks(void **state)
{
    (void)state;
    struct setup s;
    struct part *p = fill(&s);
    struct m_location_name site[] = {{STR("m")}, {STR("n")}};
    struct m_stack_trace_selector frames = {0};
    frames.call_site.v = site;
    frames.call_site.n = 2;
    fixture_make_block(&s.store, p);
    series_request rq = {.profile_typeID = STR(CPU),
        .label_selector = STR("{}"),
        .start = 1000,
        .end = 9000,
        .step = 8,
        .stack_trace_selector = &frames,
        .exemplar_type = M_EXEMPLAR_INDIVIDUAL};
    assert_string_equal(
        ask_series(&s, rq), "{} 9000=6(5000 3 " ID3 " pod=x service_name=app span_name=b)");
    setup_done(&s);
}

static void test_profiles(void **state)
{
    (void)state;
    struct setup s;
    struct str span = STR("span_name");
    fill(&s);
    /* Values 11, 10, 7, 4: buckets of 7/20. */
    request rq = heatmap(M_HEATMAP_INDIVIDUAL, M_EXEMPLAR_NONE);
    assert_string_equal(ask(&s, rq), "{} 3000 17:1 19:1 5000 8:1 7000 0:1");
    rq.exemplar_type = M_EXEMPLAR_INDIVIDUAL;
    rq.step = 100;
    assert_string_equal(ask(&s, rq),
        "{} 101000 0:1 8:1 17:1 19:1(5001 4 " ID4 " pod=x service_name=app span_name=b)"
        "(5000 7 " ID3 " pod=x service_name=app span_name=b)"
        "(2500 10 " ID2 " pod=x service_name=app span_name=a)"
        "(2000 11 " ID1 " pod=x service_name=app)");
    /* Split, values 5 and 10, 6, 7 and 4: b has more. */
    rq = heatmap(M_HEATMAP_INDIVIDUAL, 0);
    rq.group_by.v = &span;
    rq.group_by.n = 1;
    assert_string_equal(
        ask(&s, rq), "{span_name=b} 3000 6:1 5000 10:1 7000 0:1{span_name=a} 3000 3:1 19:1");
    rq.limit = 1;
    assert_string_equal(ask(&s, rq), "{span_name=b} 3000 6:1 5000 10:1 7000 0:1");
    rq.label_selector = STR("{a=\"none\"}");
    assert_string_equal(ask(&s, rq), "");
    setup_done(&s);
}

/* The slot of a time, alone, so that its value is the only one. */
static void test_grid(void **state)
{
    (void)state;
    static const struct {
        int64_t t_ns;
        const char *want;
    } rows[] = {{1000 * MS_NS, "{} 1000 0:1"}, {1000 * MS_NS + 999999, "{} 1000 0:1"},
        {1001 * MS_NS, "{} 3000 0:1"}, {3000 * MS_NS, "{} 3000 0:1"}, {9000 * MS_NS, "{} 9000 0:1"},
        {9001 * MS_NS, ""}, {1000 * MS_NS - 1, ""}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct setup s;
        setup_init(&s);
        fixture_row(&s.store, setup_cpu(&s), 0, rows[i].t_ns, "a 3\nb 4");
        assert_string_equal(ask(&s, heatmap(M_HEATMAP_INDIVIDUAL, 0)), rows[i].want);
        request rq = heatmap(M_HEATMAP_INDIVIDUAL, 0);
        rq.end = 8500; /* the last slot ends behind it */
        rq.step = 1e300;
        setup_query(&s);
        ask(&s, rq);
        setup_done(&s);
    }
}

static void test_y_min(void **state)
{
    (void)state;
    struct setup s;
    response rs = {0};
    setup_init(&s);
    struct part *p = setup_cpu(&s);
    fixture_row(&s.store, p, 0, 2000 * MS_NS, "a 100");
    request rq = heatmap(M_HEATMAP_INDIVIDUAL, 0);
    CHECK_OK(&s, query_select_heatmap(&s.q, &rq, &rs, &s.err));
    for (int i = 0; i < 20; i++) /* 100 to 101 */
        assert_true(rs.series.v[0].slots.v[0].y_min.v[i] == 100);
    fixture_row(&s.store, p, 0, 2000 * MS_NS, "a 130");
    memset(&rs, 0, sizeof rs);
    CHECK_OK(&s, query_select_heatmap(&s.q, &rq, &rs, &s.err));
    for (int i = 0; i < 20; i++)
        assert_true(rs.series.v[0].slots.v[0].y_min.v[i] == 100 + i * 30 / 20);
    setup_done(&s);
}

#define SPAN "00000000000000aa"
#define TRACE "0123456789abcdef00000000000000bb"

static void test_spans(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s);
    struct part *p = setup_cpu(&s);
    fixture_row(&s.store, p, 0, 2000 * MS_NS,
        "a 7\na 1 @" SPAN "\nb 2 @" SPAN "\nb 9 @" SPAN " #" TRACE "\nb 40 @00000000000000cc");
    fixture_row(&s.store, p, 0, 4000 * MS_NS, "b 21 @" SPAN " #" TRACE);
    fixture_row(&s.store, p, 0, 6000 * MS_NS, "b 1000");
    fixture_make_block(&s.store, p);
    /* Points of the first profile: 3, 9 with a trace, 40; of the second: 21. */
    request rq = heatmap(M_HEATMAP_SPAN, M_EXEMPLAR_SPAN);
    assert_string_equal(ask(&s, rq),
        "{} 3000 0:1 3:1 19:1(2000 3 " SPAN " service_name=app)(2000 9 " SPAN "/" TRACE
        " service_name=app)(2000 40 00000000000000cc service_name=app)"
        " 5000 9:1(4000 21 " SPAN "/" TRACE " service_name=app)");
    setup_done(&s);
}

static void test_errors(void **state)
{
    (void)state;
    struct setup s;
    response rs = {0};
    fill(&s);
    request rq = heatmap(M_HEATMAP_INDIVIDUAL, 0);
#define FAILS(what) \
    CHECK_FAILS(&s, query_select_heatmap(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT, what)
    rq.step = 0;
    FAILS("step must be >= 1ms, got 0.000000");
    rq.step = 2;
    rq.limit = -1;
    FAILS("limit must not be negative");
    rq.limit = 0;
    rq.end = 1000;
    FAILS("start time must be before end time");
    rq.end = 0;
    FAILS("missing time range");
    rq.end = 9000;
    rq.query_type = M_HEATMAP_UNSPECIFIED;
    FAILS("query_type must be");
    rq.query_type = 3;
    FAILS("query_type must be");
    rq.query_type = M_HEATMAP_SPAN;
    rq.exemplar_type = M_EXEMPLAR_INDIVIDUAL;
    FAILS("exemplar_type does not fit");
    rq.query_type = M_HEATMAP_INDIVIDUAL;
    rq.exemplar_type = M_EXEMPLAR_SPAN;
    FAILS("exemplar_type does not fit");
    rq.exemplar_type = 0;
    rq.profile_typeID = STR("a:b");
    FAILS("got(2)");
    rq.profile_typeID = STR(CPU);
    rq.label_selector = STR_EMPTY;
    FAILS("parsing label selector");
    setup_done(&s);
}

/* A budget that ends while points are gathered, at every size. */
static void test_budget(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    request rq = heatmap(M_HEATMAP_INDIVIDUAL, M_EXEMPLAR_INDIVIDUAL);
    enum status st;
    int refused = 0;
    size_t limit = 0;
    do {
        response rs = {0};
        setup_query(&s);
        arena_done(&s.arena);
        arena_init(&s.arena, limit);
        st = query_select_heatmap(&s.q, &rq, &rs, &s.err);
        assert_true(st == ST_OK || st == ST_RESOURCE_EXHAUSTED);
        refused += st != ST_OK;
        limit += 64;
    } while (st != ST_OK);
    assert_true(refused > 20);
    setup_done(&s);
}

static void test_stats(void **state)
{
    (void)state;
    struct setup s;
    struct m_empty rq = {0};
    struct m_get_profile_stats_response rs = {0};
    setup_init(&s);
    struct part *empty = setup_cpu(&s), *p = setup_cpu(&s);
    (void)empty;
    CHECK_OK(&s, query_get_profile_stats(&s.q, &rq, &rs, &s.err));
    assert_true(!rs.data_ingested && rs.oldest_profile_time == 0 && rs.newest_profile_time == 0);
    fixture_row(&s.store, p, 0, 2000 * MS_NS + 5, "a 1");
    fixture_row(&s.store, p, 0, -1, "a 1");
    fixture_row(&s.store, p, 0, 4000 * MS_NS + 999999, "a 1");
    CHECK_OK(&s, query_get_profile_stats(&s.q, &rq, &rs, &s.err));
    assert_true(rs.data_ingested);
    assert_int_equal(rs.oldest_profile_time, -1);
    assert_int_equal(rs.newest_profile_time, 4000);
    s.q.n_tenants = 2;
    CHECK_FAILS(
        &s, query_get_profile_stats(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT, "one tenant");
    setup_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exemplars),
        cmocka_unit_test(test_exemplars_of_stacks),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_grid),
        cmocka_unit_test(test_y_min),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_stats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
