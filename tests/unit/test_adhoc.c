/* Single files as flame graphs: each format drawn exactly, and what is refused. */
#include "test.h"

#include "codec/gzip.h"
#include "codec/messages.h"
#include "query/adhoc.h"

enum { BYTES_MAX = 4096, OUT_BYTES = 1 << 20 };

static struct arena arena;
static struct buf out;
static struct error err;
static struct query q;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 64 * MIB);
    buf_init(&out, OUT_BYTES);
    q = (struct query){
        .arena = &arena, .limits = {.max_nodes_default = 8192, .max_nodes_max = 1 << 20}};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    buf_done(&out);
    return 0;
}

static void expect_drawn(struct str name, struct str bytes, uint32_t type, const char *want)
{
    struct adhoc a;
    buf_clear(&out);
    if (adhoc_open(&q, name, bytes, BYTES_MAX, &a, &err) != ST_OK)
        fail_msg("%.*s: %.*s", STR_ARG(bytes), STR_ARG(error_str(&err)));
    assert_true(type < a.n_types);
    assert_int_equal(adhoc_render(&q, &a, type, 0, &out, &err), ST_OK);
    if (!str_starts(buf_view(&out), str_from(want)))
        fail_msg("%.*s, not %s", STR_ARG(buf_view(&out)), want);
    assert_true(
        str_ends(buf_view(&out), STR(",\"timeline\":null,\"groups\":null,\"heatmap\":null}")));
}

static void expect_refused(struct str name, struct str bytes, const char *want)
{
    struct adhoc a;
    assert_int_equal(adhoc_open(&q, name, bytes, BYTES_MAX, &a, &err), ST_INVALID_ARGUMENT);
    if (!str_contains(error_str(&err), str_from(want)))
        fail_msg("%.*s, not %s", STR_ARG(error_str(&err)), want);
}

static const char graph[] =
    "{\"version\":1,\"flamebearer\":{\"names\":[\"total\",\"a\",\"c\",\"d\",\"b\",\"e\"],"
    "\"levels\":"
    "[[0,4,0,0],[0,4,0,1],[0,1,0,4,0,3,2,2],[0,1,1,5,2,1,1,3]],\"numTicks\":4,\"maxSelf\":2}";

static void test_folded(void **state)
{
    struct str text = STR("a;b;e 1\na;c 2\na;c;d 1\n");
    struct buf packed;
    (void)state;
    expect_drawn(STR("x"), text, 0, graph);
    assert_true(str_contains(buf_view(&out),
        STR("\"metadata\":{\"format\":\"single\",\"spyName\":\"\",\"sampleRate\":100,"
            "\"units\":\"objects\",\"name\":\"samples\"}")));
    buf_init(&packed, 64 * KIB);
    assert_int_equal(gzip_deflate(text, 6, &packed, NULL), ST_OK);
    expect_drawn(STR("x"), buf_view(&packed), 0, graph);
    buf_done(&packed);
}

static void test_graph(void **state)
{
    char text[1024];
    (void)state;
    snprintf(text, sizeof text,
        " \n%s,\"metadata\":{\"format\":\"single\",\"units\":\"bytes\",\"name\":\"heap\"},\"x\":[1]"
        "}",
        graph);
    expect_drawn(STR("x.json"), str_from(text), 0, graph);
    assert_true(str_contains(buf_view(&out), STR("\"units\":\"bytes\",\"name\":\"heap\"")));
    snprintf(text, sizeof text, "%s,\"metadata\":{\"format\":\"double\"}}", graph);
    expect_refused(STR("x"), str_from(text), "the format \"double\" is not one flame graph");
}

static void test_graph_refused(void **state)
{
    static const struct {
        const char *levels, *why;
    } cases[] = {
        {"", "there are no levels"},
        {"[0,4,0,0],[0,4,0,9]", "level 1: a bar has no such name"},
        {"[0,4,0,0],[0,4,5,1]", "level 1: a bar has no such name, or more of its own"},
        {"[0,4,0,0],[0,5,0,1]", "level 1: a bar is not below another"},
        {"[0,4,0,0],[5,1,0,1]", "level 1: a bar is not below another"},
        {"[0,4,0,0],[3,2,0,1]", "level 1: a bar is not below another"},
        {"[0,4,0,0],[0,2,0,1],[1,2,2,1]", "level 2: a bar is not below another"},
        {"[0,4,0]", "level 0: the length is no multiple of 4"},
        {"[9223372036854775807,9223372036854775807,0,0]", "level 0: the numbers are too large"},
        {"[0,4,0,-1]", "unexpected"},
        {"[0,4,0,\"0\"]", "unexpected"},
        {"7", "unexpected"},
    };
    char text[512];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(text, sizeof text,
            "{\"flamebearer\":{\"levels\":[%s],\"names\":[\"total\",\"a\"]}}", cases[i].levels);
        expect_refused(STR("x"), str_from(text), cases[i].why);
    }
    expect_refused(STR("x"), STR("{}"), "there are no levels");
    expect_refused(STR("x"), STR("{\"flamebearer\":{\"levels\":[]}} 1"), "");
}

static void test_perf(void **state)
{
    struct str text = STR(
        "# a comment\njava 12 [001] 1.5:     1 cycles:u: \n\t7f foo+0x1 (/l/x.so)\n"
        "\t80 operator+(int) (/l)\n\nV8 Work 1/2 2.0: cycles:u:\r\n\t 7f [unknown] (/l)\r\n\r\n"
        "java 12 3.0: cycles:u:\n\t7f foo+0xff (/l/x.so)\n\t80 operator+(int) (/l)\n"
        "idle 0 4.0: cycles:u:\n");
    (void)state;
    expect_drawn(STR("x"), text, 0,
        "{\"version\":1,\"flamebearer\":{\"names\":[\"total\",\"java\",\"operator+(int)\",\"foo\","
        "\"idle\",\"V8 Work\",\"[unknown]\"],\"levels\":[[0,4,0,0],[0,1,0,5,0,1,1,4,0,2,0,1],"
        "[0,1,1,6,1,2,0,2],[2,2,2,3]],\"numTicks\":4,\"maxSelf\":2}");
    assert_true(str_contains(buf_view(&out), STR("\"name\":\"cycles:u\"")));
    expect_refused(STR("x"), STR("java 12 1.5: c:\n\t7f foo (x)\n\n\t7f foo (x)\n"),
        "perf script: line 4 is not understood");
    /* By its name it is something else. */
    expect_refused(STR("x.collapsed"), text, "");
}

/* Two types; an inlined frame; an address without a name; a sample without the type. */
static struct str make_pprof(struct buf *b)
{
    struct str strings[] = {STR(""), STR("samples"), STR("count"), STR("cpu"), STR("nanoseconds"),
        STR("main"), STR("work"), STR("/lib/x.so")};
    struct m_value_type types[] = {{1, 2}, {3, 4}};
    struct m_pprof_function functions[] = {{.id = 1, .name = 5}, {.id = 2, .name = 6}};
    struct m_pprof_mapping mapping = {.id = 1, .filename = 7, .memory_limit = 4096};
    struct m_pprof_line one = {.function_id = 1}, two[] = {{.function_id = 2}, {.function_id = 1}};
    struct m_pprof_location locations[] = {{.id = 1, .mapping_id = 1, .line = {&one, 1, 1}},
        {.id = 2, .mapping_id = 1, .line = {two, 2, 2}},
        {.id = 3, .mapping_id = 1, .address = 255}};
    uint64_t stacks[] = {2, 1, 3};
    int64_t values[] = {1, 10, 0, 20};
    struct m_pprof_sample samples[] = {{.location_id = {stacks, 2, 2}, .value = {values, 2, 2}},
        {.location_id = {stacks + 2, 1, 1}, .value = {values + 2, 2, 2}}};
    struct m_profile p = {.sample_type = {types, 2, 2},
        .sample = {samples, 2, 2},
        .mapping = {&mapping, 1, 1},
        .location = {locations, 3, 3},
        .function = {functions, 2, 2},
        .string_table = {strings, ARRAY_LEN(strings), ARRAY_LEN(strings)}};
    buf_init(b, 64 * KIB);
    msg_encode_proto(&m_profile_desc, &p, b);
    return buf_view(b);
}

static void test_pprof(void **state)
{
    struct buf b;
    struct adhoc a;
    uint32_t type;
    (void)state;
    struct str bytes = make_pprof(&b);
    expect_drawn(STR("cpu.pb"), bytes, 0,
        "{\"version\":1,\"flamebearer\":{\"names\":[\"total\",\"main\",\"work\"],\"levels\":"
        "[[0,1,0,0],[0,1,0,1],[0,1,0,1],[0,1,1,2]],\"numTicks\":1,\"maxSelf\":1}");
    expect_drawn(STR("cpu.pb"), bytes, 1,
        "{\"version\":1,\"flamebearer\":{\"names\":[\"total\",\"x.so!0xff\",\"main\",\"work\"],"
        "\"levels\":[[0,30,0,0],[0,10,0,2,0,20,20,1],[0,10,0,2],[0,10,10,3]],\"numTicks\":30,"
        "\"maxSelf\":20}");
    assert_int_equal(adhoc_open(&q, STR(""), bytes, BYTES_MAX, &a, &err), ST_OK);
    assert_int_equal(adhoc_type(&a, STR("cpu"), &type, &err), ST_OK);
    assert_int_equal(type, 1);
    assert_int_equal(adhoc_type(&a, STR(""), &type, &err), ST_OK);
    assert_int_equal(type, 0);
    assert_int_equal(adhoc_type(&a, STR("heap"), &type, &err), ST_INVALID_ARGUMENT);
    buf_done(&b);
}

static void test_refused(void **state)
{
    static char zeros[BYTES_MAX + 1];
    struct buf packed;
    (void)state;
    expect_refused(STR("x"), STR(""), "failed to parse profile: there is nothing in it");
    expect_refused(STR("x"), STR(" \n"), "there is nothing in it");
    expect_refused(STR("x"), STR("some words\n"), "failed to parse profile");
    expect_refused(STR("x"), STR("\n\xff"), "there are no stacks in it");
    expect_refused(STR("x"), STR("\x1f\x8b\x08"), "failed to parse profile");
    expect_refused(STR("x"), STR("FLR\0\0\2"), "failed to parse profile");
    buf_init(&packed, 64 * KIB);
    assert_int_equal(gzip_deflate(str_make(zeros, sizeof zeros), 6, &packed, NULL), ST_OK);
    expect_refused(STR("x"), buf_view(&packed), "exceeds maximum allowed size of 4096 bytes");
    buf_done(&packed);
}

static void test_limits(void **state)
{
    struct adhoc a;
    (void)state;
    assert_int_equal(adhoc_open(&q, STR(""), STR("a;b 1\na;c 1\n"), BYTES_MAX, &a, &err), ST_OK);
    assert_int_equal(adhoc_render(&q, &a, 0, 1 << 21, &out, &err), ST_INVALID_ARGUMENT);
    assert_int_equal(adhoc_render(&q, &a, 0, -1, &out, &err), ST_INVALID_ARGUMENT);
    assert_int_equal(adhoc_render(&q, &a, 0, 1, &out, &err), ST_OK);
    assert_true(str_contains(buf_view(&out), STR("\"other\"")));
}

static void test_diff(void **state)
{
    struct adhoc left, right;
    (void)state;
    assert_int_equal(adhoc_open(&q, STR(""), STR("a;b 1\na;c 2\n"), BYTES_MAX, &left, &err), ST_OK);
    assert_int_equal(
        adhoc_open(&q, STR(""), STR("a;b 4\na;c 8\n"), BYTES_MAX, &right, &err), ST_OK);
    assert_int_equal(adhoc_diff(&q, (struct adhoc_side){&left, 0}, (struct adhoc_side){&right, 0},
                         0, &out, &err),
        ST_OK);
    assert_true(str_eq(buf_view(&out),
        STR("{\"version\":1,\"flamebearer\":{\"names\":[\"total\",\"a\",\"c\",\"b\"],\"levels\":"
            "[[0,3,0,0,12,0,0],[0,3,0,0,12,0,1],[0,1,1,0,4,4,3,0,2,2,0,8,8,2]],\"numTicks\":15,"
            "\"maxSelf\":8},\"metadata\":{\"format\":\"double\",\"spyName\":\"\",\"sampleRate\":"
            "100,"
            "\"units\":\"objects\",\"name\":\"samples\"},\"timeline\":null,\"groups\":null,"
            "\"heatmap\":null,\"leftTicks\":3,\"rightTicks\":12}")));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_folded),
        T(test_graph),
        T(test_graph_refused),
        T(test_perf),
        T(test_pprof),
        T(test_refused),
        T(test_limits),
        T(test_diff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
