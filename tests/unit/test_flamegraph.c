/* model/flamegraph: the shapes of the wire format: worked examples byte for byte, then random trees
 * against a naive copy of the construction at every budget. */
#include "test.h"

#include "model/flamegraph.h"

#include "naive_tree.h"

static uint64_t rng_state;

static uint64_t rng(uint64_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (rng_state >> 33) % below;
}

static struct arena arena;
static struct nametree tree, right_tree;
static struct error err;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 256 * MIB);
    nametree_init(&tree, &arena);
    nametree_init(&right_tree, &arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nametree_done(&tree);
    nametree_done(&right_tree);
    arena_done(&arena);
    return 0;
}

/* "a;b;c": names cut at ';'. */
static void add(struct nametree *t, const char *stack, int64_t self)
{
    struct str names[16], name;
    uint32_t n = 0;
    struct str_split it = {.rest = str_from(stack)};
    while (str_split_next(&it, ';', &name))
        names[n++] = name;
    assert_int_equal(nametree_add_path(t, names, n, self, &err), ST_OK);
}

static void finish(struct nametree *t)
{
    assert_int_equal(nametree_finish(t, &err), ST_OK);
}

static const char *text_of(const struct flamegraph *g)
{
    static struct buf out;
    static bool made;
    if (!made)
        buf_init(&out, 1 * MIB);
    made = true;
    buf_clear(&out);
    for (uint32_t i = 0; i < g->n_names; i++)
        buf_printf(&out, "%s%.*s", i ? "," : "", STR_ARG(g->names[i]));
    for (uint32_t k = 0; k < g->n_levels; k++) {
        buf_printf(&out, " [");
        for (uint32_t i = 0; i < g->levels[k].n; i++)
            buf_printf(&out, "%s%lld", i ? "," : "", (long long)g->levels[k].values[i]);
        buf_printf(&out, "]");
    }
    buf_printf(&out, " total=%lld max_self=%lld", (long long)g->total, (long long)g->max_self);
    buf_byte(&out, 0);
    return out.p;
}

static void expect_flame(int64_t budget, int64_t raw, const char *want)
{
    struct flamegraph g;
    assert_int_equal(flamegraph_build(&tree, budget, raw, &arena, &g, &err), ST_OK);
    assert_string_equal(text_of(&g), want);
}

static void expect_bytes(const struct nametree *t, int64_t budget, const char *hex)
{
    struct buf out;
    char got[1024];
    buf_init(&out, 1 * MIB);
    assert_int_equal(nametree_encode(t, budget, &out, &err), ST_OK);
    assert_true(out.n * 3 < sizeof got);
    for (size_t i = 0; i < out.n; i++)
        snprintf(got + i * 3, 4, "%02x ", (uint8_t)out.p[i]);
    got[out.n ? out.n * 3 - 1 : 0] = 0;
    assert_string_equal(got, hex);
    buf_done(&out);
}

static void add_example(void)
{
    add(&tree, "a;b;e", 1);
    add(&tree, "a;c", 2);
    add(&tree, "a;c;d", 1);
    finish(&tree);
}

static void example_flame(void **state)
{
    (void)state;
    static const char whole[] = "total,a,c,d,b,e [0,4,0,0] [0,4,0,1] [0,1,0,4,0,3,2,2] "
                                "[0,1,1,5,2,1,1,3] total=4 max_self=2";
    static const char two[] = "total,a,other,c [0,4,0,0] [0,4,0,1] [0,3,2,3,0,1,1,2] [2,1,1,2] "
                              "total=4 max_self=2";
    static const char one[] = "total,a,other [0,4,0,0] [0,4,0,1] [0,4,4,2] total=4 max_self=4";
    add_example();
    expect_flame(0, 0, whole);
    expect_flame(-1, -7, whole);
    expect_flame(8192, 0, whole);
    expect_flame(3, 0, whole);
    expect_flame(0, 3, whole);
    expect_flame(2, 0, two);
    expect_flame(0, 2, two);
    expect_flame(1, 0, one);
    expect_flame(0, 1, one);
}

static void example_no_data(void **state)
{
    (void)state;
    finish(&tree);
    expect_flame(8192, 0, "total [0,0,0,0] total=0 max_self=0");
    expect_flame(1, 1, "total [0,0,0,0] total=0 max_self=0");
    expect_bytes(&tree, 8192, "");
}

static void names_of_the_root(void **state)
{
    (void)state;
    add(&tree, "total", 1);
    add(&tree, "", 2);
    finish(&tree);
    expect_flame(0, 0, "total, [0,3,0,0] [0,2,2,1,0,1,1,0] total=3 max_self=2");
}

static void real_other_loses_its_children(void **state)
{
    (void)state;
    add(&tree, "other;x", 3);
    add(&tree, "z", 1);
    finish(&tree);
    expect_flame(0, 0, "total,other,z [0,4,0,0] [0,1,1,2,0,3,3,1] total=4 max_self=3");
    expect_bytes(&tree, 0, "00 00 02 01 7a 01 00 05 6f 74 68 65 72 00 01 01 78 03 00");
    /* The threshold is 3: z goes into the real `other`, which keeps x. */
    expect_bytes(&tree, 1, "00 00 01 05 6f 74 68 65 72 01 01 01 78 03 00");
}

static void example_bytes(void **state)
{
    (void)state;
    add_example();
    expect_bytes(&tree, 0, "00 00 01 01 61 00 02 01 63 02 01 01 64 01 00 01 62 00 01 01 65 01 00");
    /* `other` stands at its sorted place, behind c, and so comes first. */
    expect_bytes(&tree, 2,
        "00 00 01 01 61 00 02 05 6f 74 68 65 72 01 00 01 63 02 01 05 6f 74 68 65 72 01 00");
}

static void decode(struct nametree *t, const void *bytes, size_t n)
{
    assert_int_equal(nametree_decode(str_make(bytes, n), t, &err), ST_OK);
    finish(t);
}

static void reading_sorts_and_merges(void **state)
{
    (void)state;
    static const char unsorted[] = "\0\0\3\1b\1\0\1a\2\1\1c\1\0\1b\4\0";
    decode(&tree, unsorted, sizeof unsorted - 1);
    expect_bytes(&tree, 0, "00 00 02 01 62 05 00 01 61 02 01 01 63 01 00");
    assert_int_equal(tree.nodes[0].total, 8);
    /* Reading again adds to what is there. */
    decode(&tree, unsorted, sizeof unsorted - 1);
    expect_bytes(&tree, 0, "00 00 02 01 62 0a 00 01 61 04 01 01 63 02 00");
    decode(&right_tree, "\5", 1);
    expect_bytes(&right_tree, 0, "");
}

static void reading_refuses_damage(void **state)
{
    (void)state;
    static const struct {
        const char *p;
        size_t n;
    } bad[] = {
        {"\0\0", 2},                                              /* no count */
        {"\0\0\1", 3},                                            /* no child */
        {"\0\0\1\1a\1", 6},                                       /* ends within the child */
        {"\0\0\1\7a\1\0", 7},                                     /* name beyond the end */
        {"\0\0\0x", 4},                                           /* goes on after the tree */
        {"\0\0\1\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0", 15}, /* self of 64 bits */
        {"\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0\0\0", 15}, /* a count that cannot be */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(
            nametree_decode(str_make(bad[i].p, bad[i].n), &tree, &err), ST_INVALID_ARGUMENT);
    static const char twice[] =
        "\0\0\2\1a\xff\xff\xff\xff\xff\xff\xff\xff\x7f\0\1a\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
    assert_int_equal(nametree_decode(str_make(twice, sizeof twice), &tree, &err), ST_OUT_OF_RANGE);
}

static void expect_diff(int64_t budget, const char *want, int64_t left, int64_t right)
{
    struct flamegraph g;
    assert_int_equal(flamegraph_diff(&tree, &right_tree, budget, &arena, &g, &err), ST_OK);
    assert_string_equal(text_of(&g), want);
    assert_int_equal(g.left_ticks, left);
    assert_int_equal(g.right_ticks, right);
}

static void example_diff(void **state)
{
    (void)state;
    add(&tree, "a;b", 1);
    add(&tree, "a;c", 2);
    add(&right_tree, "a;b", 4);
    add(&right_tree, "a;c", 8);
    finish(&tree);
    finish(&right_tree);
    static const char whole[] =
        "total,a,c,b [0,3,0,0,12,0,0] [0,3,0,0,12,0,1] [0,1,1,0,4,4,3,0,2,2,0,8,8,2] "
        "total=15 max_self=8";
    expect_diff(0, whole, 3, 12);
    expect_diff(4, whole, 3, 12); /* four nodes with the root */
    expect_diff(3,
        "total,a,other,c [0,3,0,0,12,0,0] [0,3,0,0,12,0,1] [0,2,2,0,8,8,3,0,1,1,0,4,4,2] "
        "total=15 max_self=8",
        3, 12);
}

static void diff_of_empty_sides(void **state)
{
    (void)state;
    finish(&tree);
    finish(&right_tree);
    expect_diff(0, "total [0,0,0,0,0,0,0] total=0 max_self=0", 0, 0);
    add(&right_tree, "", 2);
    add(&right_tree, "total", 3);
    finish(&right_tree);
    expect_diff(
        0, "total,total [0,0,0,0,5,0,0] [0,0,0,0,2,2,0,0,0,0,0,3,3,1] total=5 max_self=3", 0, 5);
}

static void diff_that_overflows(void **state)
{
    (void)state;
    struct flamegraph g;
    add(&tree, "a", INT64_MAX);
    add(&right_tree, "a", 1);
    finish(&tree);
    finish(&right_tree);
    assert_int_equal(flamegraph_diff(&tree, &right_tree, 0, &arena, &g, &err), ST_OUT_OF_RANGE);
}

/* Random trees */

static struct naive_graph want;

static void same_graph(const struct flamegraph *g, int64_t total)
{
    assert_int_equal(g->n_names, want.n_names);
    for (size_t i = 0; i < want.n_names; i++)
        assert_true(str_eq(g->names[i], want.names[i]));
    assert_int_equal(g->n_levels, want.n_rows);
    for (size_t r = 0; r < want.n_rows; r++) {
        assert_int_equal(g->levels[r].n, want.row_n[r]);
        assert_memory_equal(g->levels[r].values, want.rows[r], want.row_n[r] * sizeof(int64_t));
    }
    assert_int_equal(g->max_self, want.max_self);
    assert_int_equal(g->total, total);
}

/* The same random paths for both; some have no value, so that zero totals occur. */
static void random_paths(uint64_t seed, struct nametree *t, struct naive *naive)
{
    static const char *const pool[] = {
        "other", "total", "", "a", "b", "othe", "other2", "z", "\xff", "aa", "p", "q"};
    rng_state = seed;
    uint64_t paths = rng(25), names = 1 + rng(ARRAY_LEN(pool)), values = 1 + rng(6);
    for (uint64_t i = 0; i < paths; i++) {
        struct str path[6];
        uint32_t n = (uint32_t)rng(ARRAY_LEN(path) + 1);
        for (uint32_t k = 0; k < n; k++)
            path[k] = str_from(pool[rng(names)]);
        int64_t self = (int64_t)rng(values);
        assert_int_equal(nametree_add_path(t, path, n, self, &err), ST_OK);
        naive_add(naive, path, n, self);
    }
    finish(t);
    naive_totals(naive);
    assert_int_equal(naive->total, t->nodes[0].total);
    assert_int_equal(naive_size(naive), t->n_nodes);
}

static void check_bytes(const struct nametree *t, struct str bytes, int64_t budget)
{
    struct buf out;
    struct nametree back;
    buf_init(&out, 1 * MIB);
    assert_int_equal(nametree_encode(t, budget, &out, &err), ST_OK);
    assert_int_equal(out.n, bytes.n);
    if (out.n)
        assert_memory_equal(out.p, bytes.p, bytes.n);
    nametree_init(&back, &arena);
    decode(&back, bytes.p, bytes.n);
    buf_clear(&out);
    assert_int_equal(nametree_encode(&back, 0, &out, &err), ST_OK);
    assert_true(str_eq(buf_view(&out), bytes));
    assert_int_equal(back.nodes[0].total, t->nodes[0].total);
    nametree_done(&back);
    buf_done(&out);
}

static void check_budget(const struct nametree *t, uint64_t seed, int64_t budget)
{
    struct nametree copy;
    struct buf bytes;
    nametree_init(&copy, &arena);
    buf_init(&bytes, 1 * MIB);
    naive_reset();
    struct naive *naive = naive_new(STR_EMPTY);
    random_paths(seed, &copy, naive);
    assert_int_equal(nametree_threshold(t, budget, &arena), naive_threshold(naive, budget));
    naive_encode(naive, budget, &bytes); /* cuts the naive tree */
    check_bytes(t, buf_view(&bytes), budget);
    size_t keep = naive_used;
    for (int64_t raw = -1; raw <= (int64_t)t->n_nodes + 1; raw++) {
        struct flamegraph g;
        naive_used = keep;
        naive_flame(naive_decode(buf_view(&bytes)), raw, &want);
        assert_int_equal(flamegraph_build(t, budget, raw, &arena, &g, &err), ST_OK);
        same_graph(&g, t->nodes[0].total);
    }
    buf_done(&bytes);
    nametree_done(&copy);
}

static void random_flames(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        print_message("flame seed %llu\n", (unsigned long long)seed);
        naive_reset();
        nametree_done(&tree);
        arena_reset(&arena);
        random_paths(seed, &tree, naive_new(STR_EMPTY));
        for (int64_t budget = -1; budget <= (int64_t)tree.n_nodes + 1; budget++)
            check_budget(&tree, seed, budget);
    }
}

static void random_diffs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        print_message("diff seed %llu\n", (unsigned long long)seed);
        naive_reset();
        nametree_done(&tree);
        nametree_done(&right_tree);
        arena_reset(&arena);
        struct naive *l = naive_new(STR_EMPTY), *r = naive_new(STR_EMPTY);
        random_paths(seed, &tree, l);
        random_paths(seed * 1000003, &right_tree, r);
        naive_unite(l, r);
        int64_t size = (int64_t)naive_size(l);
        size_t keep = naive_used;
        for (int64_t budget = -1; budget <= size + 1; budget++) {
            struct flamegraph g;
            naive_used = keep;
            naive_diff(l, r, budget, &want);
            assert_int_equal(flamegraph_diff(&tree, &right_tree, budget, &arena, &g, &err), ST_OK);
            same_graph(&g, tree.nodes[0].total + right_tree.nodes[0].total);
        }
    }
}

/* A chain and a comb of a million nodes: no recursion, and a full arena is a status. */
static void large_trees(void **state)
{
    (void)state;
    enum { N = 1000000 };
    struct flamegraph g;
    struct buf out;
    uint32_t node = 0, a = nametree_name(&tree, STR("a"));
    for (uint32_t i = 0; i < N; i++) {
        node = nametree_child(&tree, node, a);
        assert_int_not_equal(node, SYM_NONE);
    }
    tree.nodes[node].self = 7;
    finish(&tree);
    struct arena room;
    arena_init(&room, 1024 * MIB);
    assert_int_equal(flamegraph_build(&tree, 0, 0, &room, &g, &err), ST_OK);
    assert_int_equal(g.n_levels, N + 1);
    assert_int_equal(g.levels[N].values[2], 7);
    arena_done(&room);
    buf_init(&out, 64 * MIB);
    assert_int_equal(nametree_encode(&tree, 0, &out, &err), ST_OK);
    assert_int_equal(nametree_decode(buf_view(&out), &right_tree, &err), ST_OK);
    finish(&right_tree);
    assert_int_equal(right_tree.n_nodes, N + 1);
    assert_int_equal(right_tree.nodes[0].total, 7);
    buf_done(&out);
    arena_init(&room, 8 * MIB);
    assert_int_equal(flamegraph_build(&tree, 0, 0, &room, &g, &err), ST_RESOURCE_EXHAUSTED);
    assert_int_equal(
        flamegraph_diff(&tree, &right_tree, 5, &room, &g, &err), ST_RESOURCE_EXHAUSTED);
    assert_int_equal(nametree_threshold(&tree, 10, &room), -1);
    arena_done(&room);
    buf_init(&out, 1000);
    assert_int_equal(nametree_encode(&tree, 0, &out, &err), ST_RESOURCE_EXHAUSTED);
    buf_done(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(example_flame),
        TEST(example_no_data),
        TEST(names_of_the_root),
        TEST(real_other_loses_its_children),
        TEST(example_bytes),
        TEST(reading_sorts_and_merges),
        TEST(reading_refuses_damage),
        TEST(example_diff),
        TEST(diff_of_empty_sides),
        TEST(diff_that_overflows),
        TEST(random_flames),
        TEST(random_diffs),
        TEST(large_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
