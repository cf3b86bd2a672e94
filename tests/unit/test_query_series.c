/* query: SelectSeries. The grid, groups, order and limit, averages, stack selectors. */
#include "test.h"

#include "fixture_query.h"

typedef struct m_select_series_request request;
typedef struct m_select_series_response response;

static request series(int64_t start, int64_t end, double step)
{
    return (request){.profile_typeID = STR(CPU),
        .label_selector = STR("{}"),
        .start = start,
        .end = end,
        .step = step};
}

/* "{a=1} t=v t=v; {…} …" */
static const char *text_of(const response *rs)
{
    static char out[8192];
    size_t n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < rs->series.n; i++) {
        const struct m_series *s = &rs->series.v[i];
        n += (size_t)snprintf(out + n, sizeof out - n, "%s{", i ? "; " : "");
        for (uint32_t k = 0; k < s->labels.n; k++)
            n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s=%.*s", k ? "," : "",
                STR_ARG(s->labels.v[k].name), STR_ARG(s->labels.v[k].value));
        n += (size_t)snprintf(out + n, sizeof out - n, "}");
        for (uint32_t k = 0; k < s->points.n; k++)
            n += (size_t)snprintf(out + n, sizeof out - n, " %lld=%g",
                (long long)s->points.v[k].timestamp, s->points.v[k].value);
    }
    return out;
}

static const char *ask(struct setup *s, request rq)
{
    response rs = {0};
    setup_query(s);
    CHECK_OK(s, query_select_series(&s->q, &rq, &rs, &s->err));
    return text_of(&rs);
}

/* start = 1000 s, end = 1060 s, step = 15 s; each row alone. */
static void test_grid(void **state)
{
    (void)state;
    static const struct {
        int64_t t_ns, end_s;
        const char *want;
    } rows[] = {
        {1000000 * MS_NS, 1060, "{} 1000000=7"},
        {1000000 * MS_NS + 999999, 1060, "{} 1000000=7"}, /* milliseconds count */
        {1000001 * MS_NS, 1060, "{} 1015000=7"}, {1015000 * MS_NS, 1060, "{} 1015000=7"},
        {1015001 * MS_NS, 1060, "{} 1030000=7"}, {1060000 * MS_NS, 1060, "{} 1060000=7"},
        {1060001 * MS_NS, 1060, ""}, {985001 * MS_NS, 1060, "{} 1000000=7"},
        {985000 * MS_NS, 1060, "{} 1000000=7"}, /* only the first bucket has its left edge */
        {985000 * MS_NS - 1, 1060, ""}, {1060000 * MS_NS, 1070, "{} 1060000=7"},
        {1062000 * MS_NS, 1070, ""}, /* behind the last grid point */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct setup s;
        setup_init(&s);
        s.q.now_ns = 2000 * NS_PER_S;
        struct part *p = setup_cpu(&s);
        fixture_row(&s.store, p, 0, rows[i].t_ns, "a 3\nb 4");
        print_message("grid %zu\n", i);
        assert_string_equal(ask(&s, series(1000000, rows[i].end_s * 1000, 15)), rows[i].want);
        setup_done(&s);
    }
}

/* Totals without stacks count only for who wants them. */
static void test_stripped(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s);
    s.q.now_ns = 2000 * NS_PER_S;
    struct part *p = setup_cpu(&s);
    fixture_series(
        &s.store, p, "process_cpu", "__sampled__=true", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_row(&s.store, p, 0, 1000000 * MS_NS, "a 1");
    fixture_row(&s.store, p, 1, 1000000 * MS_NS, "a 10");
    assert_string_equal(ask(&s, series(1000000, 1060000, 15)), "{} 1000000=1");
    s.q.limits.include_stripped = true;
    assert_string_equal(ask(&s, series(1000000, 1060000, 15)), "{} 1000000=11");
    setup_done(&s);
}

static void fill(struct setup *s)
{
    setup_init(s);
    struct part *p = fixture_part(&s->store, "anonymous", "app");
    const char *const labels[] = {"env=prod,zone=a", "env=prod,zone=b", "env=dev", "zone=c"};
    for (int i = 0; i < 4; i++)
        fixture_series(&s->store, p, "process_cpu", labels[i], "samples:count,cpu:nanoseconds",
            "cpu:nanoseconds");
    fixture_row(&s->store, p, 0, 1500 * MS_NS, "main;a 1 10");
    fixture_row(&s->store, p, 0, 3500 * MS_NS, "main;b 1 20");
    fixture_row(&s->store, p, 1, 1500 * MS_NS, "main;a 1 5");
    fixture_row(&s->store, p, 2, 2500 * MS_NS, "main;a 1 35\nmain;b 0 5");
    fixture_row(&s->store, p, 3, 1501 * MS_NS, "main;c 1 1");
    fixture_row(&s->store, p, 3, 1502 * MS_NS, "main;c 1 0"); /* no row for cpu */
    struct part *q = fixture_part(&s->store, "anonymous", "web");
    fixture_series(
        &s->store, q, "process_cpu", "env=prod,zone=a", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_row(&s->store, q, 0, 1600 * MS_NS, "main;a 4");
}

static void test_groups(void **state)
{
    (void)state;
    struct setup s;
    struct str env[] = {STR("env")}, two[] = {STR("zone"), STR("env")};
    struct str synthetic[] = {STR("__profile_type__"), STR("service_name"), STR("__type__")};
    struct str none[] = {STR("nothing")};
    fill(&s);
    request rq = series(1000, 5000, 1);
    assert_string_equal(ask(&s, rq), "{} 2000=20 3000=40 4000=20");
    rq.group_by.v = env;
    rq.group_by.n = 1;
    assert_string_equal(ask(&s, rq), "{env=dev} 3000=40; {env=prod} 2000=19 4000=20; {} 2000=1");
    rq.group_by.v = two;
    rq.group_by.n = 2;
    assert_string_equal(ask(&s, rq),
        "{env=dev} 3000=40; {zone=a,env=prod} 2000=14 4000=20; {zone=b,env=prod} 2000=5; {zone=c} "
        "2000=1");
    rq.limit = 2;
    assert_string_equal(ask(&s, rq), "{env=dev} 3000=40; {zone=a,env=prod} 2000=14 4000=20");
    rq.limit = -1;
    assert_true(strstr(ask(&s, rq), "{zone=c}"));
    rq.group_by.v = synthetic;
    rq.group_by.n = 3;
    assert_string_equal(ask(&s, rq),
        "{__profile_type__=" CPU ",service_name=app,__type__=cpu} 2000=16 3000=40 4000=20; "
        "{__profile_type__=" CPU ",service_name=web,__type__=cpu} 2000=4");
    rq.group_by.v = none;
    rq.group_by.n = 1;
    assert_string_equal(ask(&s, rq), "{} 2000=20 3000=40 4000=20");
    rq = series(1000, 5000, 1);
    rq.label_selector = STR("{env=~\".+\",zone!=\"a\"}");
    assert_string_equal(ask(&s, rq), "{} 2000=5 3000=40");
    rq.label_selector = STR("{env=\"none\"}");
    assert_string_equal(ask(&s, rq), "");
    rq = series(1000, 5000, 1);
    rq.profile_typeID = STR("process_cpu:samples:count:cpu:nanoseconds");
    assert_string_equal(ask(&s, rq), "{} 2000=4 3000=1 4000=1");
    setup_done(&s);
}

/* "t:k=v,k=v t:…" of the first series */
static const char *notes_of(const response *rs)
{
    static char out[8192];
    size_t n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < rs->series.v[0].points.n; i++) {
        const struct m_point *p = &rs->series.v[0].points.v[i];
        n += (size_t)snprintf(
            out + n, sizeof out - n, "%s%lld:", i ? " " : "", (long long)p->timestamp);
        for (uint32_t k = 0; k < p->annotations.n; k++)
            n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s=%.*s", k ? "," : "",
                STR_ARG(p->annotations.v[k].key), STR_ARG(p->annotations.v[k].value));
    }
    return out;
}

static const char *ask_notes(struct setup *s, request rq)
{
    response rs = {0};
    setup_query(s);
    CHECK_OK(s, query_select_series(&s->q, &rq, &rs, &s->err));
    assert_int_equal(rs.series.n, 1);
    return notes_of(&rs);
}

/* Of all rows of a bucket, each once, in order; and they are no labels. */
static void test_annotations(void **state)
{
    (void)state;
    static const char *const labels[] = {"env=prod,pyroscope.ingest.throttled=later",
        "pyroscope.ingest.sampled=half,pyroscope.ingest.throttled=early", "env=prod"};
    static const char want[] = "2000:pyroscope.ingest.sampled=half,pyroscope.ingest.throttled="
                               "early,pyroscope.ingest.throttled=later 3000: "
                               "4000:pyroscope.ingest.throttled=later";
    struct setup s;
    struct str name[] = {STR("pyroscope.ingest.throttled")};
    setup_init(&s);
    struct part *p = fixture_part(&s.store, "anonymous", "app");
    for (int i = 0; i < 3; i++)
        fixture_series(&s.store, p, "process_cpu", labels[i], "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_row(&s.store, p, 0, 1500 * MS_NS, "main;a 1");
    fixture_row(&s.store, p, 0, 1600 * MS_NS, "main;a 1");
    fixture_row(&s.store, p, 1, 1700 * MS_NS, "main;b 1");
    fixture_row(&s.store, p, 2, 2500 * MS_NS, "main;a 2");
    fixture_row(&s.store, p, 0, 3500 * MS_NS, "main;b 5");
    fixture_row(&s.store, p, 2, 3600 * MS_NS, "main;b 1");
    request rq = series(1000, 5000, 1);
    assert_string_equal(ask_notes(&s, rq), want);
    rq.exemplar_type = M_EXEMPLAR_INDIVIDUAL;
    assert_string_equal(ask_notes(&s, rq), want);
    rq.group_by.v = name;
    rq.group_by.n = 1;
    assert_string_equal(ask_notes(&s, rq), want);
    rq = series(1000, 5000, 1);
    rq.label_selector = STR("{\"pyroscope.ingest.throttled\"=\"\"}");
    assert_string_equal(ask(&s, rq), "{} 2000=3 3000=2 4000=6");
    rq.label_selector = STR("{\"pyroscope.ingest.throttled\"=~\".+\"}");
    assert_string_equal(ask(&s, rq), "");
    rq.label_selector = STR("{env=\"prod\"}");
    assert_string_equal(ask_notes(&s, rq), "2000:pyroscope.ingest.throttled=later 3000: "
                                           "4000:pyroscope.ingest.throttled=later");
    struct m_location_name site[] = {{STR("main")}, {STR("b")}};
    struct m_stack_trace_selector below = {0};
    below.call_site.v = site;
    below.call_site.n = 2;
    rq = series(1000, 5000, 1);
    rq.stack_trace_selector = &below;
    assert_string_equal(ask_notes(&s, rq),
        "2000:pyroscope.ingest.sampled=half,pyroscope.ingest.throttled=early "
        "4000:pyroscope.ingest.throttled=later");
    setup_done(&s);
}

/* Equal sums are ordered by labels. */
static void test_order(void **state)
{
    (void)state;
    struct setup s;
    struct str by[] = {STR("n")};
    setup_init(&s);
    struct part *p = setup_cpu(&s);
    const char *const names[] = {"n=c", "n=a", "n=b"};
    for (int i = 0; i < 3; i++) {
        uint32_t id = fixture_series(
            &s.store, p, "process_cpu", names[i], "cpu:nanoseconds", "cpu:nanoseconds");
        fixture_row(&s.store, p, id, 2000 * MS_NS, i == 2 ? "a 2" : "a 1");
    }
    request rq = series(1000, 5000, 1);
    rq.group_by.v = by;
    rq.group_by.n = 1;
    assert_string_equal(ask(&s, rq), "{n=b} 2000=2; {n=a} 2000=1; {n=c} 2000=1");
    setup_done(&s);
}

static void test_average(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    request rq = series(1000, 5000, 1);
    rq.aggregation = M_AGGREGATION_AVERAGE;
    assert_string_equal(ask(&s, rq), "{} 2000=5 3000=40 4000=20"); /* (10 + 5 + 1 + 4) / 4 */
    rq = series(4000, 4000, 4);
    rq.aggregation = M_AGGREGATION_AVERAGE;
    assert_string_equal(ask(&s, rq), "{} 4000=13.3333"); /* 80 / 6 */
    setup_done(&s);
}

static void test_stack_selector(void **state)
{
    (void)state;
    struct setup s;
    struct m_location_name site[] = {{STR("main")}, {STR("a")}};
    struct m_stack_trace_selector stacks = {0};
    struct m_frame_filter filter = {0};
    struct str b = STR("b");
    fill(&s);
    request rq = series(1000, 5000, 1);
    rq.stack_trace_selector = &stacks;
    assert_string_equal(ask(&s, rq), "{} 2000=20 3000=40 4000=20");
    stacks.call_site.v = site;
    stacks.call_site.n = 2;
    assert_string_equal(ask(&s, rq), "{} 2000=19 3000=35");
    stacks.call_site.n = 1;
    assert_string_equal(ask(&s, rq), "{} 2000=20 3000=40 4000=20");
    stacks.frame_filter = &filter;
    filter.includeFunctionNames.v = &b;
    filter.includeFunctionNames.n = 1;
    assert_string_equal(ask(&s, rq), "{} 3000=5 4000=20");
    setup_done(&s);
}

static void test_errors(void **state)
{
    (void)state;
    struct setup s;
    response rs = {0};
    fill(&s);
    request rq = series(0, 5000, 0);
#define FAILS(code, text) CHECK_FAILS(&s, query_select_series(&s.q, &rq, &rs, &s.err), code, text)
    FAILS(ST_INVALID_ARGUMENT, "missing time range");
    rq.start = 1000;
    FAILS(ST_INVALID_ARGUMENT, "step must be >= 1ms");
    rq.step = -1;
    FAILS(ST_INVALID_ARGUMENT, "step must be >= 1ms");
    rq.step = 0.0009;
    FAILS(ST_INVALID_ARGUMENT, "step must be >= 1ms");
    rq.step = __builtin_nan("");
    FAILS(ST_INVALID_ARGUMENT, "step must be >= 1ms");
    rq.step = 1;
    rq.exemplar_type = M_EXEMPLAR_SPAN;
    FAILS(ST_UNIMPLEMENTED, "SelectHeatmap");
    rq.exemplar_type = 4;
    FAILS(ST_UNIMPLEMENTED, "exemplar type 4");
    rq.exemplar_type = M_EXEMPLAR_NONE;
    rq.aggregation = 2;
    FAILS(ST_UNIMPLEMENTED, "aggregation");
    rq.aggregation = 0;
    rq.profile_typeID = STR("a:b");
    FAILS(ST_INVALID_ARGUMENT, "got(2)");
    rq.profile_typeID = STR(CPU);
    rq.label_selector = STR("");
    FAILS(ST_INVALID_ARGUMENT, "parsing label selector");
    setup_done(&s);
}

/* Steps and ranges that no clock has. */
static void test_extremes(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    assert_string_equal(ask(&s, series(5000, 5000, __builtin_inf())), "{} 5000=80");
    assert_string_equal(ask(&s, series(1000, 5000, 1e300)), ""); /* one bucket, up to 1000 */
    assert_string_equal(ask(&s, series(2000, 5000, 1e300)), "{} 2000=20");
    /* Anchored at the smallest number there is: 9224 steps of 10^18 ms to the year 1970. */
    request rq = series(INT64_MIN, INT64_MAX, 1e300);
    response rs = {0};
    setup_query(&s);
    CHECK_OK(&s, query_select_series(&s.q, &rq, &rs, &s.err));
    assert_int_equal(rs.series.n, 1);
    assert_true(rs.series.v[0].points.v[0].value == 80);
    assert_string_equal(
        ask(&s, series(1000, 5000, 0.001)), "{} 1500=15 1501=1 1600=4 2500=40 3500=20");
    setup_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid),
        cmocka_unit_test(test_stripped),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_annotations),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_average),
        cmocka_unit_test(test_stack_selector),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
