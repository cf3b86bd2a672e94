/* query: time ranges and limits, and the label questions. */
#include "test.h"

#include "fixture_query.h"
#include "query/query_int.h"

/* Names or values as one text. */
static const char *joined(const struct str *v, uint32_t n)
{
    static char out[4096];
    size_t at = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%.*s", i ? " " : "", STR_ARG(v[i]));
    return out;
}

static const char *names_of(struct setup *s, struct m_label_names_request rq)
{
    struct m_names_response rs = {0};
    setup_query(s);
    CHECK_OK(s, query_label_names(&s->q, &rq, &rs, &s->err));
    return joined(rs.names.v, rs.names.n);
}

static const char *values_of(struct setup *s, const char *name, const char *matcher)
{
    struct m_names_response rs = {0};
    struct m_label_values_request rq = {.name = str_from(name), .start = 1000, .end = 9000};
    struct str m = str_from(matcher ? matcher : "");
    rq.matchers.v = &m;
    rq.matchers.n = matcher ? 1 : 0;
    setup_query(s);
    CHECK_OK(s, query_label_values(&s->q, &rq, &rs, &s->err));
    return joined(rs.names.v, rs.names.n);
}

static const char *series_of(
    struct setup *s, const char *const *names, uint32_t n_names, const char *matcher)
{
    static char out[8192];
    struct m_series_response rs = {0};
    struct m_series_request rq = {.start = 1000, .end = 9000};
    struct str wanted[8], m = str_from(matcher ? matcher : "");
    for (uint32_t i = 0; i < n_names; i++)
        wanted[i] = str_from(names[i]);
    rq.label_names.v = wanted;
    rq.label_names.n = n_names;
    rq.matchers.v = &m;
    rq.matchers.n = matcher ? 1 : 0;
    setup_query(s);
    CHECK_OK(s, query_series(&s->q, &rq, &rs, &s->err));
    size_t at = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < rs.labels_set.n; i++) {
        at += (size_t)snprintf(out + at, sizeof out - at, "{");
        for (uint32_t k = 0; k < rs.labels_set.v[i].labels.n; k++) {
            const struct m_label_pair *l = &rs.labels_set.v[i].labels.v[k];
            at += (size_t)snprintf(out + at, sizeof out - at, "%s%.*s=%.*s", k ? "," : "",
                STR_ARG(l->name), STR_ARG(l->value));
        }
        at += (size_t)snprintf(out + at, sizeof out - at, "}");
    }
    return out;
}

/* Two services; a type that never has a value; rows inside and outside of 1000..9000 ms. */
static void fill(struct setup *s)
{
    setup_init(s);
    struct part *a = fixture_part(&s->store, "anonymous", "app");
    uint32_t cpu = fixture_series(&s->store, a, "process_cpu", "env=prod",
        "cpu:nanoseconds,samples:count", "cpu:nanoseconds");
    uint32_t dev = fixture_series(&s->store, a, "process_cpu", "env=dev,stadt.teil=West",
        "cpu:nanoseconds,samples:count", "cpu:nanoseconds");
    uint32_t old = fixture_series(
        &s->store, a, "process_cpu", "env=old", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_row(&s->store, a, cpu, 2000 * MS_NS, "main;a 10 0");
    fixture_row(&s->store, a, dev, 3000 * MS_NS, "main;a 10 1");
    fixture_row(&s->store, a, old, 999 * MS_NS + 999999, "main;a 10");
    fixture_row(&s->store, a, old, 9001 * MS_NS, "main;a 10");
    struct part *b = fixture_part(&s->store, "anonymous", "web");
    uint32_t mem = fixture_series(&s->store, b, "memory", "", "alloc_space:bytes", "");
    fixture_row(&s->store, b, mem, 4000 * MS_NS, "main 7");
    /* The same series in another part, and another tenant's. */
    struct part *a2 = fixture_part(&s->store, "anonymous", "app");
    fixture_series(&s->store, a2, "process_cpu", "env=prod", "cpu:nanoseconds,samples:count",
        "cpu:nanoseconds");
    fixture_row(&s->store, a2, 0, 9000 * MS_NS + 999999, "main;a 10 0");
    struct part *c = fixture_part(&s->store, "other", "secret");
    fixture_series(&s->store, c, "goroutine", "", "goroutine:count", "goroutine:count");
    fixture_row(&s->store, c, 0, 4000 * MS_NS, "main 7");
}

static const struct {
    int64_t start, end, lookback_s, length_s;
    const char *error; /* or */
    int64_t got_start, got_end;
    bool empty;
} ranges[] = {
    {0, 5000, 0, 0, "missing time range in the query", 0, 0, false},
    {5000, 0, 0, 0, "missing time range in the query", 0, 0, false},
    {0, 0, 0, 0, "missing time range in the query", 0, 0, false},
    {5001, 5000, 0, 0, "query start time is after end time", 0, 0, false},
    {5000, 5000, 0, 0, NULL, 5000, 5000, false},
    {-5, 5, 0, 0, NULL, -5, 5, false},
    /* now is 100000 s; lookback 1000 s: from 99000000 ms on */
    {1000, 98999999, 1000, 0, NULL, 0, 98999999, true},
    {1000, 99000000, 1000, 0, NULL, 99000000, 99000000, false},
    {1000, 99500000, 1000, 0, NULL, 99000000, 99500000, false},
    {99200000, 99500000, 1000, 0, NULL, 99200000, 99500000, false},
    /* length */
    {1000, 86401000, 0, 86400, NULL, 1000, 86401000, false},
    {1000, 90001000, 0, 86400,
        "the query time range exceeds the limit (max_query_length, actual: 25h0m0s, limit: "
        "24h0m0s)",
        0, 0, false},
    /* length counts after clamping; an empty range is never too long */
    {1000, 99500000, 1000, 600, NULL, 99000000, 99500000, false},
    {1000, 98000000, 1000, 600, NULL, 0, 98000000, true},
    {1000, 99700000, 1000, 600,
        "the query time range exceeds the limit (max_query_length, actual: 11m40s, limit: 10m0s)",
        0, 0, false},
    {INT64_MIN, INT64_MAX, 0, 0, NULL, INT64_MIN, INT64_MAX, false},
    {INT64_MIN, INT64_MAX, 0, 600, "exceeds the limit", 0, 0, false},
    /* the order of the checks */
    {0, -5, 1000, 600, "missing time range in the query", 0, 0, false},
    {7000, 6000, 1000, 600, "query start time is after end time", 0, 0, false},
};

static void test_ranges(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s);
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        struct query_range r = {0};
        s.q.limits.max_query_lookback_ns = ranges[i].lookback_s * NS_PER_S;
        s.q.limits.max_query_length_ns = ranges[i].length_s * NS_PER_S;
        print_message("range %zu\n", i);
        enum status st = query_range_check(&s.q, ranges[i].start, ranges[i].end, &r, &s.err);
        if (ranges[i].error) {
            assert_int_equal(st, ST_INVALID_ARGUMENT);
            assert_true(str_contains(error_str(&s.err), str_from(ranges[i].error)));
            continue;
        }
        assert_int_equal(st, ST_OK);
        assert_int_equal(r.empty, ranges[i].empty);
        assert_int_equal(r.end_ms, ranges[i].got_end);
        if (!r.empty)
            assert_int_equal(r.start_ms, ranges[i].got_start);
    }
    setup_done(&s);
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {{0, "0s"}, {1, "1ns"}, {1500, "1.5µs"}, {1000000, "1ms"}, {1500000000, "1.5s"},
        {60000000000, "1m0s"}, {61001000000, "1m1.001s"}, {3600000000000, "1h0m0s"},
        {90061000000001, "25h1m1.000000001s"}, {-60000000000, "-1m0s"},
        {60000000005, "1m0.000000005s"}, {INT64_MAX, "2562047h47m16.854775807s"},
        {INT64_MIN, "-2562047h47m16.854775808s"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[DURATION_TEXT];
        query_format_duration(rows[i].ns, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_nodes(void **state)
{
    (void)state;
    static const struct {
        int64_t dflt, max, given, want;
        const char *error;
    } rows[] = {{8192, 1048576, 0, 8192, NULL}, {8192, 1048576, 5, 5, NULL},
        {8192, 1048576, 1048576, 1048576, NULL},
        {8192, 1048576, 2000000, 0,
            "max flamegraph nodes limit 2000000 is greater than allowed 1048576"},
        {8192, 1048576, -1, 0, "max flamegraph nodes limit must be set (max allowed 1048576)"},
        {8192, 0, -1, -1, NULL}, {8192, 0, 5000000, 5000000, NULL}, {0, 0, 0, 0, NULL},
        {0, 1048576, 0, 0, NULL}};
    struct setup s;
    setup_init(&s);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t got = 0;
        s.q.limits.max_nodes_default = rows[i].dflt;
        s.q.limits.max_nodes_max = rows[i].max;
        enum status st = query_nodes_check(&s.q, rows[i].given, &got, &s.err);
        assert_int_equal(st, rows[i].error ? ST_INVALID_ARGUMENT : ST_OK);
        if (rows[i].error)
            assert_string_equal(s.err.msg, rows[i].error);
        else
            assert_int_equal(got, rows[i].want);
    }
    setup_done(&s);
}

static void test_profile_types(void **state)
{
    (void)state;
    struct setup s;
    struct m_profile_types_response rs = {0};
    fill(&s);
    struct m_profile_types_request rq = {.start = 1000, .end = 9000};
    CHECK_OK(&s, query_profile_types(&s.q, &rq, &rs, &s.err));
    assert_int_equal(rs.profile_types.n, 3);
    const struct m_profile_type *t = &rs.profile_types.v[0];
    assert_true(str_eq(t->ID, STR("memory:alloc_space:bytes::")));
    assert_true(str_eq(t->name, STR("memory")));
    assert_true(str_eq(t->sample_type, STR("alloc_space")));
    assert_true(str_eq(t->sample_unit, STR("bytes")));
    assert_int_equal(t->period_type.n, 0);
    assert_true(str_eq(rs.profile_types.v[1].ID, STR(CPU)));
    assert_true(str_eq(rs.profile_types.v[1].period_unit, STR("nanoseconds")));
    assert_true(str_eq(rs.profile_types.v[2].ID, STR("process_cpu:samples:count:cpu:nanoseconds")));
    /* Without times: the last hour. */
    rs = (struct m_profile_types_response){0};
    rq = (struct m_profile_types_request){0};
    s.q.now_ns = 3600 * NS_PER_S + 4001 * MS_NS;
    CHECK_OK(&s, query_profile_types(&s.q, &rq, &rs, &s.err));
    assert_int_equal(rs.profile_types.n, 1); /* the rows of 9000 ms on, none with samples:count */
    rq.end = 9000;
    CHECK_FAILS(
        &s, query_profile_types(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT, "missing time range");
    setup_done(&s);
}

static void test_label_names(void **state)
{
    (void)state;
    struct setup s;
    struct m_label_names_request rq = {.start = 1000, .end = 9000};
    fill(&s);
    assert_string_equal(names_of(&s, rq),
        "__name__ __period_type__ __period_unit__ __profile_type__ __service_name__ __type__ "
        "__unit__ env service_name stadt.teil");
    s.q.utf8_names = false;
    assert_string_equal(names_of(&s, rq),
        "__name__ __period_type__ __period_unit__ __profile_type__ __service_name__ __type__ "
        "__unit__ env service_name");
    struct str m[] = {STR("{service_name=\"web\"}"), STR("memory"), STR("{}")};
    rq.matchers.v = m;
    rq.matchers.n = 3;
    assert_string_equal(names_of(&s, rq),
        "__name__ __profile_type__ __service_name__ __type__ __unit__ service_name");
    m[1] = STR("process_cpu"); /* all matchers of all texts are ANDed */
    assert_string_equal(names_of(&s, rq), "");
    m[2] = STR("");
    struct m_names_response rs = {0};
    CHECK_FAILS(&s, query_label_names(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT,
        "failed to parse label selector \"\": unknown position: parse error: unexpected end of");
    m[2] = STR("{a=~\"(\"}");
    CHECK_FAILS(&s, query_label_names(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT,
        "failed to parse label selector \"{a=~\\\"(\\\"}\": 1:2: parse error: error parsing "
        "regexp: ");
    rq.start = 0; /* the range is looked at first */
    CHECK_FAILS(
        &s, query_label_names(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT, "missing time range");
    setup_done(&s);
}

static void test_label_values(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    assert_string_equal(values_of(&s, "env", NULL), "dev prod"); /* old: rows outside only */
    assert_string_equal(values_of(&s, "service_name", NULL), "app web");
    assert_string_equal(values_of(&s, "__service_name__", NULL), "app web");
    assert_string_equal(values_of(&s, "__name__", NULL), "memory process_cpu");
    assert_string_equal(values_of(&s, "__type__", NULL), "alloc_space cpu samples");
    assert_string_equal(values_of(&s, "__unit__", NULL), "bytes count nanoseconds");
    assert_string_equal(values_of(&s, "__period_type__", NULL), "cpu");
    assert_string_equal(values_of(&s, "__period_unit__", NULL), "nanoseconds");
    assert_string_equal(values_of(&s, "stadt.teil", NULL), "West");
    assert_string_equal(values_of(&s, "nothing", NULL), "");
    assert_string_equal(values_of(&s, "__profile_type__", "{__type__!=\"cpu\"}"),
        "memory:alloc_space:bytes:: process_cpu:samples:count:cpu:nanoseconds");
    assert_string_equal(values_of(&s, "env", CPU "{}"), "dev prod");
    assert_string_equal(
        values_of(&s, "env", "process_cpu:samples:count:cpu:nanoseconds:delta{}"), "dev");
    assert_string_equal(values_of(&s, "env", "{__profile_type__=~\".*:samples:.*\"}"), "dev");
    assert_string_equal(values_of(&s, "service_name", "{__period_type__=\"\"}"), "web");
    assert_string_equal(values_of(&s, "service_name", "{env=\"\"}"), "web");
    assert_string_equal(values_of(&s, "service_name", "{__service_name__=~\"a.*\"}"), "app");
    assert_string_equal(values_of(&s, "service_name", "{service_name!=\"app\"}"), "web");
    struct m_names_response rs = {0};
    struct m_label_values_request rq = {.start = 1000, .end = 9000};
    CHECK_FAILS(
        &s, query_label_values(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT, "name is required");
    rq.end = 0;
    CHECK_FAILS(
        &s, query_label_values(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT, "missing time range");
    s.q.n_tenants = 2;
    assert_string_equal(values_of(&s, "service_name", NULL), "app secret web");
    s.q.limits.max_query_lookback_ns = NS_PER_S; /* all of it is older */
    assert_string_equal(values_of(&s, "service_name", NULL), "");
    setup_done(&s);
}

static void test_series(void **state)
{
    (void)state;
    struct setup s;
    static const char *const two[] = {"service_name", "__profile_type__"};
    static const char *const city[] = {"stadt.teil"};
    static const char *const mixed[] = {"stadt.teil", "env", "nothing"};
    fill(&s);
    assert_string_equal(series_of(&s, two, 2, NULL),
        "{__profile_type__=memory:alloc_space:bytes::,service_name=web}"
        "{__profile_type__=" CPU ",service_name=app}"
        "{__profile_type__=process_cpu:samples:count:cpu:nanoseconds,service_name=app}");
    assert_string_equal(series_of(&s, NULL, 0, "{env=\"prod\"}"),
        "{__name__=process_cpu,__period_type__=cpu,__period_unit__=nanoseconds,"
        "__profile_type__=" CPU
        ",__service_name__=app,__type__=cpu,__unit__=nanoseconds,env=prod,service_name=app}");
    assert_string_equal(series_of(&s, NULL, 0, "memory"),
        "{__name__=memory,__profile_type__=memory:alloc_space:bytes::,__service_name__=web,"
        "__type__=alloc_space,__unit__=bytes,service_name=web}");
    assert_string_equal(series_of(&s, mixed, 3, NULL), "{env=dev,stadt.teil=West}{env=prod}");
    assert_string_equal(series_of(&s, city, 1, NULL), "{stadt.teil=West}");
    s.q.utf8_names = false;
    assert_string_equal(series_of(&s, mixed, 3, NULL), "{env=dev}{env=prod}");
    assert_string_equal(series_of(&s, city, 1, NULL), "");
    assert_string_equal(series_of(&s, two, 2, "{env=~\"x.*\"}"), "");
    setup_done(&s);
}

/* Stored labels of the names that follow from the type lose. */
static void test_synthetic_win(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s);
    struct part *p = fixture_part(&s.store, "anonymous", "app");
    fixture_series(&s.store, p, "memory", "__type__=fake,__period_type__=fake", "alloc:bytes", "");
    fixture_row(&s.store, p, 0, 4000 * MS_NS, "main 7");
    assert_string_equal(series_of(&s, NULL, 0, NULL),
        "{__name__=memory,__profile_type__=memory:alloc:bytes::,__service_name__=app,"
        "__type__=alloc,__unit__=bytes,service_name=app}");
    assert_string_equal(values_of(&s, "__type__", "{__type__=\"fake\"}"), "");
    setup_done(&s);
}

/* Whatever the budget, the answer is right or says that it ran out. */
static void test_budget(void **state)
{
    (void)state;
    struct setup s;
    bool ok = false, failed = false;
    setup_init(&s);
    struct part *p = fixture_part(&s.store, "anonymous", "app");
    for (int i = 0; i < 300; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "n=%d", i);
        uint32_t id = fixture_series(&s.store, p, "cpu", labels, "cpu:ns", "");
        fixture_row(&s.store, p, id, 4000 * MS_NS, "main 7");
    }
    for (size_t limit = 1024; !ok; limit += 8192) {
        struct m_series_response rs = {0};
        struct m_series_request rq = {.start = 1000, .end = 9000};
        setup_query(&s);
        s.arena.limit = limit;
        enum status st = query_series(&s.q, &rq, &rs, &s.err);
        ok = st == ST_OK;
        failed |= !ok;
        assert_int_equal(s.arena.limit, limit); /* what was reserved is given back */
        if (ok) {
            assert_int_equal(rs.labels_set.n, 300);
            continue;
        }
        char budget[32];
        snprintf(budget, sizeof budget, "%zu", limit);
        assert_int_equal(st, ST_RESOURCE_EXHAUSTED);
        assert_true(str_contains(error_str(&s.err), str_from(budget)));
        assert_true(str_contains(error_str(&s.err), STR("time range")));
    }
    assert_true(failed);
    setup_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_profile_types),
        cmocka_unit_test(test_label_names),
        cmocka_unit_test(test_label_values),
        cmocka_unit_test(test_series),
        cmocka_unit_test(test_synthetic_win),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
