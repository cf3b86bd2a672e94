/* model/dot: the call graph's numbers and text. */
#include "test.h"

#include "model/dot.h"

static struct arena arena;
static struct nametree tree;
static struct buf out;
static struct error err;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 64 * MIB);
    nametree_init(&tree, &arena);
    buf_init(&out, 1 * MIB);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&out);
    nametree_done(&tree);
    arena_done(&arena);
    return 0;
}

/* "a;b;c": names cut at ';'. */
static void add(const char *stack, int64_t self)
{
    struct str names[16], name;
    uint32_t n = 0;
    struct str_split it = {.rest = str_from(stack)};
    while (str_split_next(&it, ';', &name))
        names[n++] = name;
    assert_int_equal(nametree_add_path(&tree, names, n, self, &err), ST_OK);
}

static const char *dot(int64_t max_nodes, const char *unit)
{
    assert_int_equal(nametree_finish(&tree, &err), ST_OK);
    buf_clear(&out);
    assert_int_equal(dot_build(&tree, max_nodes, STR("cpu"), str_from(unit), &out, &err), ST_OK);
    buf_byte(&out, 0);
    return out.p;
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no %s in\n%s", part, text);
}

static void has_not(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("%s in\n%s", part, text);
}

static void whole_text(void **state)
{
    (void)state;
    add("main", 1500);
    add("main;work", 1500);
    assert_string_equal(dot(0, "nanoseconds"),
        "digraph \"unnamed\" {\n"
        "node [style=filled fillcolor=\"#f8f8f8\"]\n"
        "subgraph cluster_L { \"Type: cpu\" [shape=box fontsize=16 label=\"Type: cpu\\l"
        "Showing nodes accounting for 3us (100.00%) of 3us total\\l\"] }\n"
        "N1 [label=\"main\\n1.50us (50.00%)\\nof 3us (100.00%)\" id=\"node1\" fontsize=24 "
        "shape=box tooltip=\"main (3us)\" color=\"#b20000\" fillcolor=\"#edd5d5\"]\n"
        "N2 [label=\"work\\n1.50us (50.00%)\" id=\"node2\" fontsize=24 "
        "shape=box tooltip=\"work (1.50us)\" color=\"#b22100\" fillcolor=\"#edd9d5\"]\n"
        "N1 -> N2 [label=\" 1.50us\" weight=51 penwidth=3 color=\"#b22100\" "
        "tooltip=\"main -> work (1.50us)\" labeltooltip=\"main -> work (1.50us)\"]\n"
        "}\n");
}

static void no_data(void **state)
{
    (void)state;
    assert_string_equal(dot(0, "count"), "");
    add("a;b", 0);
    assert_string_equal(dot(0, "count"), "");
}

/* Each stack counts once per function and per edge; no edge to itself. */
static void recursion(void **state)
{
    (void)state;
    add("f;g;f;g;f", 10);
    add("f;f", 5);
    add("g;f", 1);
    const char *text = dot(0, "count");
    has(text, "N1 [label=\"f\\n16 (100.00%)\" ");
    has(text, "N2 [label=\"g\\n0 of 11 (68.75%)\" ");
    has(text, "N2 -> N1 [label=\" 11\" ");
    has(text, "N1 -> N2 [label=\" 10\" ");
    has_not(text, "N1 -> N1");
}

/* Of three in a chain the middle one is left out: its edge is residual. */
static void trimming(void **state)
{
    (void)state;
    add("a;b;c", 10);
    add("a;b2;c", 8);
    add("a;c", 5);
    add("d", 4);
    const char *text = dot(2, "count");
    has(text, "Showing nodes accounting for 23 (85.19%) of 27 total\\l");
    has(text, "Showing top 2 nodes out of 5\\l");
    has(text, "N1 [label=\"a\\n0 of 23 (85.19%)\" ");
    has(text, "N2 [label=\"c\\n23 (85.19%)\" ");
    has(text, "N1 -> N2 [label=\" 23\" weight=86 penwidth=5 ");
    has(text, "tooltip=\"a ... c (23)\" style=\"dotted\"]");
    has_not(text, "N3 ");
    has(dot(5, "count"), "N5 ");
    has_not(dot(5, "count"), "dotted");
}

static void small_things_are_dropped(void **state)
{
    (void)state;
    add("big", 100000);
    add("big;small", 400);
    add("big;edge", 90);
    add("edge", 1000);
    const char *text = dot(0, "count");
    has(text, "Dropped 1 nodes (cum < 507)\\l");
    has(text, "N2 [label=\"edge\\n1090 ");
    has_not(text, "N3 ");
    has_not(text, "N1 -> N2"); /* 90 is below a thousandth */
}

static void at_most_a_hundred(void **state)
{
    (void)state;
    char name[8];
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof name, "f%d", i);
        add(name, 1000);
    }
    has(dot(0, "count"), "N100 [");
    has_not(out.p, "N101 [");
    has(dot(-5, "count"), "N100 [");
    has_not(out.p, "N101 [");
    has(dot(101, "count"), "N101 [");
}

static void units(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *unit, *want;
    } cases[] = {
        {999, "nanoseconds", " (999ns)"},
        {1000, "nanoseconds", " (1us)"},
        {2500000, "nanoseconds", " (2.50ms)"},
        {30000000000, "nanoseconds", " (30s)"},
        {5400000000000, "nanoseconds", " (1.50hrs)"},
        {2000, "microseconds", " (2ms)"},
        {90, "seconds", " (90s)"},
        {1023, "bytes", " (1023B)"},
        {1024, "bytes", " (1kB)"},
        {1572864, "bytes", " (1.50MB)"},
        {INT64_MAX, "bytes", " (8192PB)"},
        {123456789, "count", " (123456789)"},
        {12, "", " (12)"},
        {12, "cows", " (12)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        nametree_done(&tree);
        add("x", cases[i].value);
        has(dot(0, cases[i].unit), cases[i].want);
    }
}

static void names_are_escaped(void **state)
{
    (void)state;
    add("say \"hi\"\\\n\xff", 1);
    add(";\xc3\xa9", 2);
    const char *text = dot(0, "count");
    has(text, "[label=\"say \\\"hi\\\"\\\\ \xef\xbf\xbd\\n1 (33.33%)\"");
    has(text, "[label=\"\xc3\xa9\\n2 ");
    has(text, "[label=\"\\n0 of 2 ");
}

static void full_memory(void **state)
{
    (void)state;
    struct buf small;
    add("a;b", 1);
    assert_int_equal(nametree_finish(&tree, &err), ST_OK);
    buf_init(&small, 100);
    assert_int_equal(dot_build(&tree, 0, STR(""), STR(""), &small, &err), ST_RESOURCE_EXHAUSTED);
    buf_done(&small);
    struct arena room;
    struct nametree t;
    arena_init(&room, 16 * MIB);
    nametree_init(&t, &room);
    uint32_t at = 0, a = nametree_name(&t, STR("a")), b = nametree_name(&t, STR("b"));
    for (int i = 0; i < 100000; i++)
        at = nametree_child(&t, at, i & 1 ? b : a);
    assert_int_not_equal(at, SYM_NONE);
    t.nodes[at].self = 1;
    assert_int_equal(nametree_finish(&t, &err), ST_OK);
    assert_int_equal(dot_build(&t, 0, STR(""), STR(""), &out, &err), ST_OK);
    room.limit = room.used;
    assert_int_equal(dot_build(&t, 0, STR(""), STR(""), &out, &err), ST_RESOURCE_EXHAUSTED);
    nametree_done(&t);
    arena_done(&room);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whole_text),
        TEST(no_data),
        TEST(recursion),
        TEST(trimming),
        TEST(small_things_are_dropped),
        TEST(at_most_a_hundred),
        TEST(units),
        TEST(names_are_escaped),
        TEST(full_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
