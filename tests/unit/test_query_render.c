/* query: the JSON of render and render-diff, byte for byte. */
#include "test.h"

#include "fixture_query.h"

static struct str json(struct setup *s, struct render_params p, struct buf *out)
{
    bool dot = true;
    setup_query(s);
    buf_clear(out);
    CHECK_OK(s, query_render(&s->q, &p, out, &dot, &s->err));
    assert_int_equal(dot, str_eq(p.format, STR("dot")));
    buf_byte(out, 0);
    assert_false(out->failed);
    return str_make(out->p, out->n - 1);
}

static void fill(struct setup *s, struct buf *out)
{
    setup_init(s);
    buf_init(out, MIB);
    s->q.now_ns = 1700000045 * NS_PER_S;
    struct part *p = setup_cpu(s);
    fixture_series(&s->store, p, "process_cpu", "env=prod", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_row(&s->store, p, 0, 1700000010 * NS_PER_S, "a 3");
    fixture_row(&s->store, p, 0, 1700000020 * NS_PER_S, "a 1");
    fixture_series(&s->store, p, "memory", "", "alloc_objects:count,space:bytes", "");
    fixture_row(&s->store, p, 2, 1700000010 * NS_PER_S, "<b>\"\\&;c 1 2");
}

static void test_example(void **state)
{
    (void)state;
    struct setup s;
    struct buf out;
    fill(&s, &out);
    struct render_params p = {
        .query = STR(CPU "{}"), .from = STR("1700000000"), .until = STR("1700000045")};
    /* The window starts at 1699999995, so there are three intervals. */
    assert_string_equal(json(&s, p, &out).p,
        "{\"version\":1,\"flamebearer\":{\"names\":[\"total\",\"a\"],\"levels\":[[0,4,0,0],[0,4,4,"
        "1]],"
        "\"numTicks\":4,\"maxSelf\":4},\"metadata\":{\"format\":\"single\",\"spyName\":\"\","
        "\"sampleRate\":1000000000,\"units\":\"samples\",\"name\":\"cpu\"},\"timeline\":{"
        "\"startTime\":1699999995,\"samples\":[0,3,1],\"durationDelta\":15,\"watermarks\":null},"
        "\"groups\":null,\"heatmap\":null}");
    p.from = STR("now-45s");
    p.until = STR("now");
    assert_true(str_contains(json(&s, p, &out), STR("\"samples\":[0,3,1],")));
    buf_done(&out);
    setup_done(&s);
}

static void test_no_data_and_metadata(void **state)
{
    (void)state;
    struct setup s;
    struct buf out;
    fill(&s, &out);
    struct render_params p = {.query = STR("memory:space:bytes::{env=\"x\"}"),
        .from = STR("1700000010"),
        .until = STR("1700000010")};
    assert_string_equal(json(&s, p, &out).p,
        "{\"version\":1,\"flamebearer\":{\"names\":[\"total\"],\"levels\":[[0,0,0,0]],\"numTicks\":"
        "0,"
        "\"maxSelf\":0},\"metadata\":{\"format\":\"single\",\"spyName\":\"\",\"sampleRate\":100,"
        "\"units\":\"bytes\",\"name\":\"space\"},\"timeline\":{\"startTime\":1700000010,"
        "\"samples\":[],"
        "\"durationDelta\":15,\"watermarks\":null},\"groups\":null,\"heatmap\":null}");
    p.query = STR("{__name__=~\"memory:alloc_objects:count::\"}"); /* the operator is ignored */
    p.until = STR("1700000030");
    struct str got = json(&s, p, &out);
    assert_true(str_contains(got, STR("\"units\":\"objects\",\"name\":\"alloc_objects\"")));
    assert_true(str_contains(got, STR("\"names\":[\"total\",\"<b>\\\"\\\\&\",\"c\"]")) ||
                str_contains(got, STR("\\u003cb\\u003e\\\"\\\\\\u0026")));
    buf_done(&out);
    setup_done(&s);
}

static void test_groups(void **state)
{
    (void)state;
    struct setup s;
    struct buf out;
    struct str by[] = {STR("env"), STR("service_name")};
    fill(&s, &out);
    fixture_row(&s.store, s.store.parts[0], 1, 1700000010 * NS_PER_S, "a 10");
    struct part *web = fixture_part(&s.store, "anonymous", "web");
    fixture_series(&s.store, web, "process_cpu", "env=prod", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_row(&s.store, web, 0, 1700000010 * NS_PER_S, "a 100");
    struct render_params p = {.query = STR(CPU "{}"),
        .from = STR("1700000000"),
        .until = STR("1700000045"),
        .group_by = by,
        .n_group_by = 1};
    static const char want[] =
        "\"timeline\":{\"startTime\":1699999995,\"samples\":[0,0,0],\"durationDelta\":15,"
        "\"watermarks\":null},\"groups\":{\"*\":{\"startTime\":1699999995,\"samples\":[0,3,1],"
        "\"durationDelta\":15,\"watermarks\":null},\"prod\":{\"startTime\":1699999995,"
        "\"samples\":[0,110,0],\"durationDelta\":15,\"watermarks\":null}},\"heatmap\":null}";
    assert_true(str_ends(json(&s, p, &out), str_from(want)));
    p.n_group_by = 2; /* the first name keys the groups, nothing is lost */
    assert_true(str_ends(json(&s, p, &out), str_from(want)));
    p.query = STR(CPU "{env=\"prod\",service_name=\"web\"}");
    assert_true(str_contains(json(&s, p, &out), STR("\"timeline\":{\"startTime\":1699999995,"
                                                    "\"samples\":[0,100,0],")));
    p.query = STR(CPU "{env=\"none\"}");
    assert_true(str_ends(json(&s, p, &out), STR("\"groups\":{},\"heatmap\":null}")));
    fixture_row(&s.store, web, 0, 1700000011 * NS_PER_S, "a 50");
    p = (struct render_params){.query = STR(CPU "{service_name=\"web\"}"),
        .from = STR("1700000000"),
        .until = STR("1700000045"),
        .aggregation = STR("avg")};
    assert_true(str_contains(json(&s, p, &out), STR("\"samples\":[0,75,0],")));
    p.aggregation = STR("median");
    assert_true(str_contains(json(&s, p, &out), STR("\"samples\":[0,150,0],")));
    buf_done(&out);
    setup_done(&s);
}

/* Range to interval: both sides of every step. */
static void test_intervals(void **state)
{
    (void)state;
    static const struct {
        int64_t range_s;
        int interval_s;
    } rows[] = {{1, 15}, {26250, 15}, {26251, 20}, {37500, 20}, {37501, 30}, {67500, 30},
        {67501, 60}, {135000, 60}, {135001, 120}, {315000, 120}, {315001, 300}, {675000, 300},
        {675001, 600}, {1125000, 600}, {1125001, 900}, {1575000, 900}, {1575001, 1200},
        {2250000, 1200}, {2250001, 1800}, {4050000, 1800}, {4050001, 3600}, {8100000, 3600},
        {8100001, 7200}, {13500000, 7200}, {13500001, 10800}, {24300000, 10800}, {24300001, 21600},
        {48600000, 21600}, {48600001, 43200}, {129600000, 43200}, {129600001, 86400},
        {907200000, 86400}, {907200001, 604800}};
    struct setup s;
    struct buf out;
    fill(&s, &out);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char from[32], want[64];
        snprintf(from, sizeof from, "%lld", (long long)(1700000000 - rows[i].range_s));
        snprintf(want, sizeof want, "\"durationDelta\":%d,", rows[i].interval_s);
        struct render_params p = {
            .query = STR(CPU "{}"), .from = str_from(from), .until = STR("1700000000")};
        print_message("%lld\n", (long long)rows[i].range_s);
        assert_true(str_contains(json(&s, p, &out), str_from(want)));
    }
    struct render_params p = {
        .query = STR(CPU "{}"), .from = STR("1"), .until = STR("9223372036854775807")};
    assert_true(str_contains(json(&s, p, &out), STR("\"durationDelta\":31536000,")));
    buf_done(&out);
    setup_done(&s);
}

static void test_nodes(void **state)
{
    (void)state;
    struct setup s;
    struct buf out;
    bool dot;
    fill(&s, &out);
    fixture_row(&s.store, s.store.parts[0], 0, 1700000010 * NS_PER_S, "a;b 1\nc 9");
    struct render_params p = {
        .query = STR(CPU "{}"), .from = STR("1700000000"), .until = STR("1700000045")};
    p.max_nodes = STR("1");
    assert_true(str_contains(json(&s, p, &out), STR("\"names\":[\"total\",\"other\",\"c\"]")));
    p.max_nodes = STR("0");
    assert_true(str_contains(json(&s, p, &out), STR("\"b\"")));
    p.max_nodes = STR("many");
    assert_true(str_contains(json(&s, p, &out), STR("\"b\"")));
    p.max_nodes = STR("2000000");
    CHECK_FAILS(&s, query_render(&s.q, &p, &out, &dot, &s.err), ST_INVALID_ARGUMENT,
        "limit 2000000 is greater than allowed 1048576");
    p.max_nodes = STR_EMPTY;
    p.format = STR("dot");
    assert_true(str_starts(json(&s, p, &out), STR("digraph ")));
    p.query = STR("a:b:c:d:e{}");
    assert_int_equal(json(&s, p, &out).n, 0);
    p.format = STR("nope"); /* anything else is JSON */
    assert_true(str_starts(json(&s, p, &out), STR("{\"version\":1,")));
    buf_done(&out);
    setup_done(&s);
}

static void test_errors(void **state)
{
    (void)state;
    struct setup s;
    struct buf out;
    bool dot;
    fill(&s, &out);
    static const struct {
        const char *query, *from, *until, *error;
    } rows[] = {
        {"", "1700000000", "1700000045", "\"query\" is required"},
        {"{", "1700000000", "1700000045",
            "failed to parse \"query\": 1:2: parse error: unexpected end of input inside braces"},
        {"{a=\"b\"}", "1700000000", "1700000045",
            "\"query\" must contain a profile-type selection"},
        {"a:b{}", "1700000000", "1700000045", "failed to parse \"query\": profile-type selection"},
        {"memory{}", "1700000000", "1700000045",
            "failed to parse \"query\": profile-type selection must be of the form <name>:"
            "<sample-type>:<sample-unit>:<period-type>:<period-unit>(:delta), got(1): \"memory\"; "
            "a "
            "bare name stands for one type, there are several: memory:alloc_objects:count::, "
            "memory:space:bytes::"},
        {"goroutine{}", "1700000000", "1700000045", "no series of the selection has that name"},
        {CPU "{}", "1700000045", "1700000000", "query start time is after end time"},
        {CPU "{}", "0", "1700000000", "missing time range in the query"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct render_params p = {.query = str_from(rows[i].query),
            .from = str_from(rows[i].from),
            .until = str_from(rows[i].until)};
        setup_query(&s);
        CHECK_FAILS(
            &s, query_render(&s.q, &p, &out, &dot, &s.err), ST_INVALID_ARGUMENT, rows[i].error);
    }
    struct render_params p = {
        .query = STR("process_cpu{}"), .from = STR("1700000000"), .until = STR("1700000045")};
    assert_true(str_contains(json(&s, p, &out), STR("\"numTicks\":4,")));
    struct buf small;
    buf_init(&small, 50);
    CHECK_FAILS(&s, query_render(&s.q, &p, &small, &dot, &s.err), ST_RESOURCE_EXHAUSTED, "budget");
    buf_done(&small);
    buf_done(&out);
    setup_done(&s);
}

static void test_diff(void **state)
{
    (void)state;
    struct setup s;
    struct buf out;
    fill(&s, &out);
    struct render_params p = {.left_query = STR(CPU "{}"),
        .left_from = STR("1700000000"),
        .left_until = STR("1700000010"),
        .right_query = STR(CPU "{}"),
        .right_from = STR("1700000011"),
        .right_until = STR("1700000045")};
    CHECK_OK(&s, query_render_diff(&s.q, &p, &out, &s.err));
    buf_byte(&out, 0);
    assert_string_equal(out.p,
        "{\"version\":1,\"flamebearer\":{\"names\":[\"total\",\"a\"],\"levels\":[[0,3,0,0,1,0,0],"
        "[0,3,3,0,1,1,1]],\"numTicks\":4,\"maxSelf\":3},\"metadata\":{\"format\":\"double\","
        "\"spyName\":\"\",\"sampleRate\":1000000000,\"units\":\"samples\",\"name\":\"cpu\"},"
        "\"timeline\":null,\"groups\":null,\"heatmap\":null,\"leftTicks\":3,\"rightTicks\":1}");
    buf_clear(&out);
    p.right_until = STR("1700000012");
    CHECK_OK(&s, query_render_diff(&s.q, &p, &out, &s.err));
    buf_byte(&out, 0);
    assert_true(str_ends(str_make(out.p, out.n - 1), STR("\"heatmap\":null,\"leftTicks\":3}")));
#define FAILS(text) \
    CHECK_FAILS(&s, query_render_diff(&s.q, &p, &out, &s.err), ST_INVALID_ARGUMENT, text)
    p.right_query = STR("memory:space:bytes::{}");
    FAILS("profile types must match");
    p.right_query = STR_EMPTY;
    FAILS("\"rightQuery\" is required");
    p.left_query = STR_EMPTY;
    FAILS("\"leftQuery\" is required");
    buf_done(&out);
    setup_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_no_data_and_metadata),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_diff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
