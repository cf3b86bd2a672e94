/* query: function tables, diffs of them, sandwiches. Tables and sandwiches of random stacks are
 * compared with ones that are counted stack by stack. */
#include "test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "codec/msg.h"
#include "fixture_query.h"

typedef struct m_select_merge_stacktraces_request request;
typedef struct m_select_merge_stacktraces_response response;

static request about(int32_t format, const char *function)
{
    return (request){.profile_typeID = STR(CPU),
        .label_selector = STR("{}"),
        .start = 1000,
        .end = 9000,
        .format = format,
        .sandwich_function = str_from(function)};
}

static const char *text_of(const struct msg_desc *desc, const void *msg)
{
    static char text[1 << 16];
    struct buf out;
    buf_init(&out, sizeof text - 1);
    msg_encode_json(desc, msg, &out);
    assert_false(out.failed);
    memcpy(text, buf_view(&out).p, out.n);
    text[out.n] = 0;
    buf_done(&out);
    return text;
}

static const char *ask(struct setup *s, request rq)
{
    response rs = {0};
    setup_query(s);
    CHECK_OK(s, query_select_merge_stacktraces(&s->q, &rq, &rs, &s->err));
    return text_of(&m_select_merge_stacktraces_response_desc, &rs);
}

/* f calls itself; `other` and `total` are functions like any other. */
static void fill(struct setup *s)
{
    setup_init(s);
    struct part *p = setup_cpu(s), *more = fixture_part(&s->store, "anonymous", "app");
    fixture_series(&s->store, more, "process_cpu", "", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_row(&s->store, p, 0, 1000 * MS_NS, "main;f;f 4\nmain;f 1\nmain;g;f;h 2");
    fixture_row(&s->store, more, 0, 9000 * MS_NS, "other;f 3\nmain;total 8");
    fixture_row(&s->store, p, 0, 9001 * MS_NS, "late 100");
}

static void test_table(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    request rq = about(M_FORMAT_FUNCTIONS, "");
#define ROW(name, values) "{\"name\":\"" name "\"," values "}"
    assert_string_equal(ask(&s, rq),
        "{\"functions\":{\"functions\":[" ROW("f", "\"self\":\"8\",\"total\":\"10\"") "," ROW(
            "total", "\"self\":\"8\",\"total\":\"8\"") "," ROW("h",
            "\"self\":\"2\",\"total\":\"2\"") "," ROW("g", "\"total\":\"2\"") "," ROW("main",
            "\"total\":\"15\"") "," ROW("other", "\"total\":\"3\"") "],\"total\":\"18\"}}");
    rq.max_nodes = 1;
    assert_string_equal(ask(&s, rq), "{\"functions\":{\"functions\":[" ROW("f",
                                         "\"self\":\"8\",\"total\":\"10\"") "],\"total\":\"18\"}}");
    rq.label_selector = STR("{a=\"none\"}");
    assert_string_equal(ask(&s, rq), "{\"functions\":{}}");
    setup_done(&s);
}

static void test_table_limits(void **state)
{
    (void)state;
    struct setup s;
    response rs = {0};
    fill(&s);
    request rq = about(M_FORMAT_FUNCTIONS, "");
    rq.max_nodes = -1;
    CHECK_FAILS(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT,
        "max flamegraph nodes limit must be set");
    rq.max_nodes = 2000000;
    CHECK_FAILS(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT,
        "max flamegraph nodes limit 2000000 is greater");
    rq.max_nodes = 0;
    s.q.limits.max_nodes_default = 2;
    setup_query(&s);
    CHECK_OK(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err));
    assert_int_equal(rs.functions->functions.n, 2);
    s.q.limits.max_nodes_max = 0;
    rq.max_nodes = -1;
    CHECK_OK(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err));
    assert_int_equal(rs.functions->functions.n, 6);
    setup_done(&s);
}

/* A number is never one of these formats. */
static void test_numbers(void **state)
{
    (void)state;
    static const int32_t numbers[] = {5, 6, INT32_MAX, -1};
    struct setup s;
    fill(&s);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        request rq = about(numbers[i], "f");
        response rs = {0};
        setup_query(&s);
        CHECK_OK(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err));
        assert_non_null(rs.flamegraph);
        assert_null(rs.functions);
        assert_int_equal(rs.sandwich.n, 0);
    }
    setup_done(&s);
}

static void test_diff(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s);
    struct part *p = setup_cpu(&s);
    fixture_series(&s.store, p, "process_cpu", "v=2", "cpu:nanoseconds", "cpu:nanoseconds");
    /* Shares of a: 1/3 and 333333333333/999999999999, the same; of b a hair more. */
    fixture_row(&s.store, p, 0, 2000 * MS_NS, "a 1\nc 2");
    fixture_row(&s.store, p, 1, 2000 * MS_NS, "a 333333333333\nb 333333333334\nd 333333333332");
    request left = about(0, ""), right = left;
    left.label_selector = STR("{v=\"\"}");
    right.label_selector = STR("{v=\"2\"}");
    left.max_nodes = right.max_nodes = 7000000; /* ignored */
    struct m_diff_request rq = {&left, &right, M_FORMAT_FUNCTIONS, 3};
    struct m_diff_response rs = {0};
    CHECK_OK(&s, query_diff(&s.q, &rq, &rs, &s.err));
    assert_string_equal(text_of(&m_diff_response_desc, &rs),
        "{\"functions\":{\"functions\":["
        "{\"name\":\"c\",\"leftSelf\":\"2\",\"leftTotal\":\"2\"},"
        "{\"name\":\"b\",\"rightSelf\":\"333333333334\",\"rightTotal\":\"333333333334\"},"
        "{\"name\":\"a\",\"leftSelf\":\"1\",\"leftTotal\":\"1\",\"rightSelf\":\"333333333333\","
        "\"rightTotal\":\"333333333333\"}],"
        "\"leftTotal\":\"3\",\"rightTotal\":\"999999999999\"}}");
    left.label_selector = STR("{v=\"3\"}");
    rq.max_nodes = 1;
    memset(&rs, 0, sizeof rs);
    CHECK_OK(&s, query_diff(&s.q, &rq, &rs, &s.err));
    assert_int_equal(rs.functions->functions.n, 1);
    assert_true(str_eq(rs.functions->functions.v[0].name, STR("b")));
    assert_int_equal(rs.functions->left_total, 0);
    setup_done(&s);
}

static void test_diff_formats(void **state)
{
    (void)state;
    static const int32_t refused[] = {
        M_FORMAT_TREE, M_FORMAT_DOT, M_FORMAT_PPROF, M_FORMAT_SANDWICH};
    struct setup s;
    fill(&s);
    request side = about(0, "");
    struct m_diff_response rs = {0};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct m_diff_request rq = {&side, &side, refused[i], 0};
        CHECK_FAILS(&s, query_diff(&s.q, &rq, &rs, &s.err), ST_UNIMPLEMENTED, "a diff");
    }
    struct m_diff_request rq = {&side, NULL, M_FORMAT_FUNCTIONS, 0};
    CHECK_FAILS(&s, query_diff(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT, "profile-type");
    rq = (struct m_diff_request){&side, &side, 5, 0};
    CHECK_OK(&s, query_diff(&s.q, &rq, &rs, &s.err));
    assert_non_null(rs.flamegraph);
    assert_null(rs.functions);
    setup_done(&s);
}

#define NODE(index, total, rest) "{\"nameIndex\":" index ",\"total\":\"" total "\"" rest "}"

#define TOP(total, rest) "{\"total\":\"" total "\"" rest "}" /* name 0 is left out */

static void test_sandwich(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    /* Frames of f: main;f 5, main;f;f 4, main;g;f 2, other;f 3. */
    assert_string_equal(ask(&s, about(M_FORMAT_SANDWICH, "f")),
        "{\"sandwich\":{\"callers\":{\"total\":\"14\",\"children\":[" NODE(
            "1", "5", ",\"self\":\"5\"") "," TOP("4",
            ",\"children\":[" NODE("1", "4", ",\"self\":\"4\"") "]") "," NODE("2", "3",
            ",\"self\":\"3\"") "," NODE("3", "2",
            ",\"children\":[" NODE("1", "2",
                ",\"self\":\"2\"") "]") "]},\"callees\":{\"total\":\"14\",\"self\":\"8\","
                                        "\"children\":[" TOP("4", ",\"self\":\"4\"") "," NODE("4",
                                            "2",
                                            ",\"self\":\"2\"") "]},\"total\":\"10\",\"self\":\"8\","
                                                               "\"names\":[\"f\",\"main\","
                                                               "\"other\",\"g\",\"h\"]}}");
    setup_done(&s);
}

/* Either half is cut by itself; what was dropped is not a function called `other`. */
static void test_sandwich_cut(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    request rq = about(M_FORMAT_SANDWICH, "f");
    rq.max_nodes = 2;
    assert_string_equal(ask(&s, rq),
        "{\"sandwich\":{\"callers\":{\"total\":\"14\",\"children\":[" NODE(
            "1", "9", ",\"self\":\"9\",\"truncated\":true") "," NODE("2", "5",
            ",\"self\":\"5\"") "]},\"callees\":{\"total\":\"14\",\"self\":\"8\",\"children\":"
                               "[" TOP("4", ",\"self\":\"4\"") "," NODE("1", "2",
                                   ",\"self\":\"2\",\"truncated\":true") "]},\"total\":\"10\","
                                                                         "\"self\":\"8\","
                                                                         "\"names\":[\"f\","
                                                                         "\"other\",\"main\"]}"
                                                                         "}");
    setup_done(&s);
}

static void test_sandwich_of_nothing(void **state)
{
    (void)state;
    struct setup s;
    response rs = {0};
    fill(&s);
    assert_string_equal(ask(&s, about(M_FORMAT_SANDWICH, "no")),
        "{\"sandwich\":{\"callers\":{},\"callees\":{},\"names\":[\"no\"]}}");
    request rq = about(M_FORMAT_SANDWICH, "f");
    rq.label_selector = STR("{a=\"none\"}");
    assert_string_equal(
        ask(&s, rq), "{\"sandwich\":{\"callers\":{},\"callees\":{},\"names\":[\"f\"]}}");
    rq = about(M_FORMAT_SANDWICH, "");
    CHECK_FAILS(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT,
        "sandwich_function is required");
    setup_done(&s);
}

/* 20,000 frames deep: nothing recurses, and what is too much is refused within the budget. */
static void test_deep(void **state)
{
    (void)state;
    enum { DEPTH = 20000 };
    static char stack[4 * DEPTH + 8];
    struct setup s;
    response rs = {0};
    setup_init(&s);
    struct part *p = setup_cpu(&s);
    size_t n = (size_t)snprintf(stack, sizeof stack, "g");
    for (int i = 1; i < DEPTH; i++, n += 2)
        memcpy(stack + n, ";f", 2);
    memcpy(stack + n, " 1", 3);
    fixture_row(&s.store, p, 0, 2000 * MS_NS, stack);
    setup_query(&s);
    request rq = about(M_FORMAT_SANDWICH, "g");
    CHECK_OK(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err));
    assert_true(rs.sandwich.n > 20 * DEPTH);
    setup_query(&s);
    rq = about(M_FORMAT_SANDWICH, "f");
    s.q.deadline_mono_ns = 1;
    CHECK_FAILS(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err), ST_DEADLINE_EXCEEDED,
        "deadline");
    setup_done(&s);
}

/* Random stacks */

enum { NAMES = 5, STACKS = 40, DEPTH_MAX = 7 };

struct stack {
    uint32_t depth;
    uint8_t names[DEPTH_MAX];
    int64_t value;
};

static uint64_t rng_state;

static uint64_t rng(uint64_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (rng_state >> 33) % below;
}

static void draw(struct setup *s, struct part *p, struct stack *x)
{
    char text[64];
    size_t n = 0;
    x->depth = 1 + (uint32_t)rng(DEPTH_MAX);
    x->value = 1 + (int64_t)rng(50);
    for (uint32_t k = 0; k < x->depth; k++) {
        x->names[k] = (uint8_t)rng(NAMES);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%c", k ? ";" : "", 'a' + x->names[k]);
    }
    snprintf(text + n, sizeof text - n, " %lld", (long long)x->value);
    fixture_row(&s->store, p, 0, 2000 * MS_NS, text);
}

/* The number behind "name":" at the end of what a sandwich begins with. */
static int64_t number_after(struct str text, const char *what)
{
    char *z = mem_new(text.n + 1);
    memcpy(z, text.p, text.n);
    z[text.n] = 0;
    const char *at = strstr(z, what);
    int64_t v = at ? strtoll(at + strlen(what), NULL, 10) : 0;
    mem_free(z);
    return v;
}

static void check_function(struct setup *s, const struct stack *x, uint8_t name)
{
    int64_t self = 0, total = 0, frames = 0;
    for (uint32_t i = 0; i < STACKS; i++) {
        uint32_t n = 0;
        for (uint32_t k = 0; k < x[i].depth; k++)
            n += x[i].names[k] == name;
        frames += n * x[i].value;
        total += n ? x[i].value : 0;
        self += x[i].names[x[i].depth - 1] == name ? x[i].value : 0;
    }
    char text[2] = {(char)('a' + name), 0};
    request rq = about(M_FORMAT_FUNCTIONS, text);
    response rs = {0};
    setup_query(s);
    CHECK_OK(s, query_select_merge_stacktraces(&s->q, &rq, &rs, &s->err));
    const struct m_function *f = NULL;
    for (uint32_t i = 0; i < rs.functions->functions.n; i++)
        if (str_eq(rs.functions->functions.v[i].name, str_from(text)))
            f = &rs.functions->functions.v[i];
    assert_int_equal(f ? f->self : 0, self);
    assert_int_equal(f ? f->total : 0, total);
    rq.format = M_FORMAT_SANDWICH;
    CHECK_OK(s, query_select_merge_stacktraces(&s->q, &rq, &rs, &s->err));
    assert_int_equal(number_after(rs.sandwich, "{\"callers\":{\"total\":\""), frames);
    assert_int_equal(number_after(rs.sandwich, "\"callees\":{\"total\":\""), frames);
    size_t tail = rs.sandwich.n - 2; /* back to the end of the callees */
    while (tail > 0 && rs.sandwich.p[tail] != '}')
        tail--;
    assert_int_equal(number_after(str_skip(rs.sandwich, tail), "\"total\":\""), total);
    assert_int_equal(number_after(str_skip(rs.sandwich, tail), "\"self\":\""), self);
}

static void test_random(void **state)
{
    (void)state;
    struct stack x[STACKS];
    for (rng_state = 1; rng_state <= 20; rng_state++) {
        uint64_t seed = rng_state;
        struct setup s;
        setup_init(&s);
        struct part *p = setup_cpu(&s);
        for (uint32_t i = 0; i < STACKS; i++)
            draw(&s, p, &x[i]);
        for (uint8_t name = 0; name < NAMES; name++)
            check_function(&s, x, name);
        setup_done(&s);
        rng_state = seed;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_table_limits),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_diff_formats),
        cmocka_unit_test(test_sandwich),
        cmocka_unit_test(test_sandwich_cut),
        cmocka_unit_test(test_sandwich_of_nothing),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
