/* model/tree_merge and model/function_table: whatever is drawn from the merged partial tree equals,
 * byte for byte, what is drawn from one complete tree of everything; function tables equal those
 * counted stack by stack. Random trees with seeds, which a failure prints. */
#include "test.h"

#include "model/flamegraph.h"
#include "model/function_table.h"
#include "model/tree_merge.h"

#include "rollup_mem.h"

enum { SOURCES_MAX = 6, PATHS_MAX = 400, DEPTH_MAX = 12 };

static uint64_t rng_state;

static uint64_t rng(uint64_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (rng_state >> 33) % below;
}

static struct error err;

/* What a failure is to be repeated with. */
static uint64_t seed_now;

static int print_seed(void **state)
{
    (void)state;
    print_message("last seed %llu\n", (unsigned long long)seed_now);
    return 0;
}

struct path {
    struct str names[DEPTH_MAX];
    uint32_t n, source;
    int64_t self;
};

/* Sources over two dictionaries, and the complete trees of both sides. */
struct world {
    struct arena arena;
    struct nametree trees[SOURCES_MAX], full[2];
    struct mem_rollup rollups[SOURCES_MAX];
    struct mem_names dictionaries[2];
    struct tree_source sources[SOURCES_MAX];
    struct flat_tree flats[SOURCES_MAX];
    struct rollup_names flat_names;
    struct path paths[PATHS_MAX];
    uint32_t n_sources, n_paths;
    unsigned n_sides;
};

static struct world w;

static const char *const name_pool[] = {"other", "total", "", "a", "b", "othe", "other2", "z",
    "\xff", "aa", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y"};

/* Deep or wide, of few or many names, with ties and zeros or with large values of a common unit. */
static void random_paths(uint64_t paths_max)
{
    static const int64_t units[] = {1, 1, 1, 10000000, 524288};
    uint64_t depth = 1 + rng(DEPTH_MAX), names = 1 + rng(ARRAY_LEN(name_pool));
    uint64_t values = 1 + (rng(3) ? rng(5) : rng(100000));
    int64_t unit = units[rng(ARRAY_LEN(units))];
    w.n_paths = (uint32_t)rng(paths_max + 1);
    for (uint32_t i = 0; i < w.n_paths; i++) {
        struct path *p = &w.paths[i];
        p->n = (uint32_t)rng(depth + 1);
        p->source = (uint32_t)rng(w.n_sources);
        p->self = (int64_t)rng(values) * unit;
        for (uint32_t k = 0; k < p->n; k++)
            p->names[k] = str_from(name_pool[rng(names)]);
    }
}

static void add(struct nametree *t, const struct path *p)
{
    assert_int_equal(nametree_add_path(t, p->names, p->n, p->self, &err), ST_OK);
}

static void finish(struct nametree *t)
{
    assert_int_equal(nametree_finish(t, &err), ST_OK);
}

static void make_sources(void)
{
    for (uint32_t i = 0; i < w.n_sources; i++) {
        finish(&w.trees[i]);
        struct tree_source *s = &w.sources[i];
        s->side = (unsigned)rng(w.n_sides);
        struct mem_names *d = &w.dictionaries[rng(2)];
        bool flat = rng(3) == 0;
        w.flats[i] = flat_of(&w.trees[i], &w.flat_names, &w.arena);
        s->flat = flat ? &w.flats[i] : NULL;
        s->texts = flat ? &w.flat_names : NULL;
        s->rollup = flat ? NULL : &w.rollups[i].reader;
        s->names = flat ? NULL : &d->reader;
        mem_rollup_write(&w.rollups[i], &w.trees[i], d, &w.arena);
    }
    mem_names_write(&w.dictionaries[0]);
    mem_names_write(&w.dictionaries[1]);
}

static void make_world(uint64_t seed, unsigned n_sides, uint64_t paths_max)
{
    rng_state = seed_now = seed;
    w = (struct world){.n_sources = (uint32_t)rng(SOURCES_MAX) + 1, .n_sides = n_sides};
    arena_init(&w.arena, 512 * MIB);
    rollup_names_init(&w.flat_names, &w.arena);
    for (unsigned i = 0; i < 2; i++) {
        nametree_init(&w.full[i], &w.arena);
        rollup_names_init(&w.dictionaries[i].writer, &w.arena);
    }
    for (uint32_t i = 0; i < w.n_sources; i++)
        nametree_init(&w.trees[i], &w.arena);
    random_paths(paths_max);
    for (uint32_t i = 0; i < w.n_paths; i++)
        add(&w.trees[w.paths[i].source], &w.paths[i]);
    make_sources();
    for (uint32_t i = 0; i < w.n_paths; i++)
        add(&w.full[w.sources[w.paths[i].source].side], &w.paths[i]);
    finish(&w.full[0]);
    finish(&w.full[1]);
}

static void drop_world(void)
{
    rollup_names_done(&w.flat_names);
    for (uint32_t i = 0; i < w.n_sources; i++) {
        nametree_done(&w.trees[i]);
        mem_stream_done(&w.rollups[i].stream);
    }
    for (unsigned i = 0; i < 2; i++) {
        nametree_done(&w.full[i]);
        mem_names_done(&w.dictionaries[i]);
    }
    arena_done(&w.arena);
}

/* One merge, with readers of its own. */
static void merge(int64_t budget, struct arena *arena, struct nametree *out)
{
    for (uint32_t i = 0; i < w.n_sources; i++)
        mem_rollup_open(&w.rollups[i], arena);
    for (unsigned i = 0; i < 2; i++)
        mem_names_open(&w.dictionaries[i], arena);
    for (unsigned i = 0; i < w.n_sides; i++)
        nametree_init(&out[i], arena);
    struct tree_merge_limits limits = {.budget = budget};
    assert_int_equal(tree_merge(w.sources, w.n_sources, &limits, out, w.n_sides, &err), ST_OK);
}

static void same_graph(const struct flamegraph *a, const struct flamegraph *b)
{
    assert_int_equal(a->n_names, b->n_names);
    for (uint32_t i = 0; i < a->n_names; i++)
        assert_true(str_eq(a->names[i], b->names[i]));
    assert_int_equal(a->n_levels, b->n_levels);
    for (uint32_t i = 0; i < a->n_levels; i++) {
        assert_int_equal(a->levels[i].n, b->levels[i].n);
        assert_memory_equal(
            a->levels[i].values, b->levels[i].values, a->levels[i].n * sizeof(int64_t));
    }
    assert_int_equal(a->total, b->total);
    assert_int_equal(a->max_self, b->max_self);
    assert_int_equal(a->left_ticks, b->left_ticks);
    assert_int_equal(a->right_ticks, b->right_ticks);
}

static void same_bytes(const struct nametree *a, const struct nametree *b, int64_t budget)
{
    struct buf x, y;
    buf_init(&x, 16 * MIB);
    buf_init(&y, 16 * MIB);
    assert_int_equal(nametree_encode(a, budget, &x, &err), ST_OK);
    assert_int_equal(nametree_encode(b, budget, &y, &err), ST_OK);
    assert_true(str_eq(buf_view(&x), buf_view(&y)));
    buf_done(&x);
    buf_done(&y);
}

static uint64_t nodes_of_parts, nodes_of_full, trees_with_rest;

/* Whatever the merge opened, totals are those of the complete tree. */
static void check_one(int64_t budget, int64_t raw_budget, int64_t more)
{
    struct arena arena;
    struct nametree part;
    struct flamegraph got, want;
    arena_init(&arena, 256 * MIB);
    merge(tree_merge_budget(budget, raw_budget) + more, &arena, &part);
    assert_int_equal(part.nodes[0].total, w.full[0].nodes[0].total);
    assert_true(part.n_nodes <= w.full[0].n_nodes);
    nodes_of_parts += part.n_nodes;
    nodes_of_full += w.full[0].n_nodes;
    trees_with_rest += part.rest != NULL;
    enum status st = flamegraph_build(&part, budget, raw_budget, &arena, &got, &err);
    assert_int_equal(st, ST_OK);
    st = flamegraph_build(&w.full[0], budget, raw_budget, &arena, &want, &err);
    assert_int_equal(st, ST_OK);
    same_graph(&got, &want);
    if (budget > 0 || raw_budget <= 0)
        same_bytes(&part, &w.full[0], budget);
    nametree_done(&part);
    arena_done(&arena);
}

static uint64_t diffs_with_rest;

static void check_diff(int64_t budget, int64_t more)
{
    struct arena arena;
    struct nametree part[2];
    struct flamegraph got, want;
    arena_init(&arena, 256 * MIB);
    merge(budget + more, &arena, part);
    enum status st = flamegraph_diff(&part[0], &part[1], budget, &arena, &got, &err);
    assert_int_equal(st, ST_OK);
    st = flamegraph_diff(&w.full[0], &w.full[1], budget, &arena, &want, &err);
    assert_int_equal(st, ST_OK);
    same_graph(&got, &want);
    diffs_with_rest += part[0].rest && part[1].rest;
    nametree_done(&part[0]);
    nametree_done(&part[1]);
    arena_done(&arena);
}

/* -1 to a bit more than there are nodes. */
static int64_t random_budget(uint32_t n_nodes)
{
    return (int64_t)rng(n_nodes + 3) - 1;
}

static void draws_like_the_complete_tree(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        make_world(seed, 1, seed % 10 ? 40 : PATHS_MAX);
        uint32_t n = w.full[0].n_nodes;
        check_one(0, 0, 0);
        for (unsigned k = 0; k < 6; k++) {
            int64_t budget = random_budget(n), raw = random_budget(n);
            int64_t more = tree_merge_budget(budget, raw) > 0 ? (int64_t)rng(4) : 0;
            check_one(budget, raw, more);
            check_one(k, raw, 0);
        }
        drop_world();
    }
    /* It is a partial tree that was drawn. */
    assert_true(nodes_of_parts < nodes_of_full / 4 * 3);
    assert_true(trees_with_rest > 1000);
}

static void diffs_like_the_complete_trees(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        make_world(seed, 2, seed % 10 ? 40 : PATHS_MAX);
        uint32_t n = w.full[0].n_nodes + w.full[1].n_nodes;
        check_diff(0, 0);
        for (unsigned k = 1; k < 6; k++) {
            int64_t budget = random_budget(n);
            check_diff(budget, budget > 0 ? (int64_t)rng(4) : 0);
            check_diff(k, 0);
        }
        drop_world();
    }
    assert_true(diffs_with_rest > 1000);
}

/* Function tables */

static struct function_total *naive_row(struct function_sum *naive, struct str name)
{
    for (uint32_t i = 0; i < naive->rows.n; i++)
        if (str_eq(naive->rows.v[i].name, name))
            return &naive->rows.v[i];
    struct function_total *row = VEC_PUSH(naive->arena, naive->rows);
    assert_non_null(row);
    *row = (struct function_total){.name = name};
    return row;
}

/* Stack by stack: each name on it has the value once. */
static void naive_add(struct function_sum *naive, const struct path *p)
{
    for (uint32_t k = 0; k < p->n; k++) {
        bool again = false;
        for (uint32_t j = 0; j < k; j++)
            again |= str_eq(p->names[j], p->names[k]);
        struct function_total *row = naive_row(naive, p->names[k]);
        row->total += again ? 0 : p->self;
        row->self += k + 1 == p->n ? p->self : 0;
    }
    naive->total += p->n ? p->self : 0;
}

/* From the tree as it is, or through bytes and a dictionary that knows other names as well. */
static void add_table(struct function_sum *sum, uint32_t i, struct mem_names *d)
{
    if (w.sources[i].flat) {
        assert_int_equal(function_sum_add_tree(sum, &w.trees[i], &err), ST_OK);
        return;
    }
    struct buf bytes;
    struct function_table table, back;
    buf_init(&bytes, 1 * MIB);
    assert_int_equal(function_table_make(&w.trees[i], &w.arena, &table, &err), ST_OK);
    enum status st = function_table_encode(&w.trees[i], &table, &d->writer, &w.arena, &bytes, &err);
    assert_int_equal(st, ST_OK);
    assert_int_equal(function_table_decode(buf_view(&bytes), &w.arena, &back, &err), ST_OK);
    assert_int_equal(back.n, table.n);
    assert_int_equal(back.total, table.total);
    mem_stream_done(&d->stream);
    mem_names_write(d);
    mem_names_open(d, &w.arena);
    assert_int_equal(function_sum_add(sum, &back, &d->reader, &err), ST_OK);
    buf_done(&bytes);
}

static void function_tables_are_exact(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        struct function_sum sum, naive;
        make_world(seed, 1, seed % 10 ? 40 : PATHS_MAX);
        function_sum_init(&sum, &w.arena);
        function_sum_init(&naive, &w.arena);
        for (uint32_t i = 0; i < w.n_sources; i++)
            add_table(&sum, i, &w.dictionaries[rng(2)]);
        for (uint32_t i = 0; i < w.n_paths; i++)
            naive_add(&naive, &w.paths[i]);
        function_sum_sort(&sum);
        function_sum_sort(&naive);
        assert_int_equal(sum.total, naive.total);
        assert_int_equal(sum.rows.n, naive.rows.n);
        for (uint32_t i = 0; i < sum.rows.n; i++) {
            assert_true(str_eq(sum.rows.v[i].name, naive.rows.v[i].name));
            assert_int_equal(sum.rows.v[i].self, naive.rows.v[i].self);
            assert_int_equal(sum.rows.v[i].total, naive.rows.v[i].total);
        }
        function_sum_done(&sum);
        drop_world();
    }
}

/* Limits */

static void stops_at_every_limit_of_memory(void **state)
{
    (void)state;
    make_world(7, 2, PATHS_MAX);
    enum status st = ST_RESOURCE_EXHAUSTED;
    uint32_t tries = 0;
    for (size_t limit = 0; st == ST_RESOURCE_EXHAUSTED; limit += 1024, tries++) {
        struct arena arena, readers;
        struct nametree out[2];
        arena_init(&arena, limit);
        arena_init(&readers, 256 * MIB);
        for (uint32_t i = 0; i < w.n_sources; i++)
            mem_rollup_open(&w.rollups[i], &readers);
        for (unsigned i = 0; i < 2; i++) {
            mem_names_open(&w.dictionaries[i], &readers);
            nametree_init(&out[i], &arena);
        }
        struct tree_merge_limits limits = {.budget = 0};
        st = tree_merge(w.sources, w.n_sources, &limits, out, 2, &err);
        for (unsigned i = 0; i < 2; i++)
            nametree_done(&out[i]);
        arena_done(&arena);
        arena_done(&readers);
    }
    assert_int_equal(st, ST_OK);
    assert_true(tries > 10);
    drop_world();
}

static enum status dead(void *ctx, struct error *e)
{
    ++*(uint32_t *)ctx;
    FAIL(e, ST_CANCELED, "the client left");
}

static void stops_when_nobody_waits(void **state)
{
    (void)state;
    struct arena arena;
    struct nametree wide, out;
    uint32_t asked = 0;
    arena_init(&arena, 256 * MIB);
    nametree_init(&wide, &arena);
    nametree_init(&out, &arena);
    for (uint32_t i = 0; i < 100000; i++) {
        char text[16];
        struct str name = str_make(text, (size_t)snprintf(text, sizeof text, "f%u", i));
        assert_int_equal(nametree_add_path(&wide, &name, 1, 1, &err), ST_OK);
    }
    finish(&wide);
    struct rollup_names names;
    rollup_names_init(&names, &arena);
    struct flat_tree flat = flat_of(&wide, &names, &arena);
    struct tree_source source = {.flat = &flat, .texts = &names};
    struct tree_merge_limits limits = {.budget = 10, .alive = dead, .ctx = &asked};
    assert_int_equal(tree_merge(&source, 1, &limits, &out, 1, &err), ST_CANCELED);
    assert_int_equal(asked, 1);
    rollup_names_done(&names);
    nametree_done(&wide);
    nametree_done(&out);
    arena_done(&arena);
}

static void sums_that_overflow(void **state)
{
    (void)state;
    struct arena arena;
    struct nametree big, out, sides[2];
    struct function_sum sum;
    arena_init(&arena, 16 * MIB);
    nametree_init(&big, &arena);
    nametree_init(&out, &arena);
    struct str name = STR("f");
    assert_int_equal(nametree_add_path(&big, &name, 1, INT64_MAX, &err), ST_OK);
    finish(&big);
    struct rollup_names names;
    rollup_names_init(&names, &arena);
    struct flat_tree flat = flat_of(&big, &names, &arena);
    struct tree_source sources[] = {
        {.flat = &flat, .texts = &names}, {.flat = &flat, .texts = &names}};
    struct tree_merge_limits limits = {.budget = 10};
    assert_int_equal(tree_merge(sources, 2, &limits, &out, 1, &err), ST_OUT_OF_RANGE);
    nametree_done(&out);
    /* Each side for itself. */
    sources[1].side = 1;
    nametree_init(&sides[0], &arena);
    nametree_init(&sides[1], &arena);
    assert_int_equal(tree_merge(sources, 2, &limits, sides, 2, &err), ST_OK);
    assert_int_equal(sides[1].nodes[0].total, INT64_MAX);
    function_sum_init(&sum, &arena);
    assert_int_equal(function_sum_add_tree(&sum, &big, &err), ST_OK);
    assert_int_equal(function_sum_add_tree(&sum, &big, &err), ST_OUT_OF_RANGE);
    function_sum_done(&sum);
    rollup_names_done(&names);
    nametree_done(&big);
    nametree_done(&sides[0]);
    nametree_done(&sides[1]);
    arena_done(&arena);
}

static void no_sources(void **state)
{
    (void)state;
    struct arena arena;
    struct nametree out;
    arena_init(&arena, 1 * MIB);
    nametree_init(&out, &arena);
    struct tree_merge_limits limits = {.budget = 10};
    assert_int_equal(tree_merge(NULL, 0, &limits, &out, 1, &err), ST_OK);
    assert_int_equal(out.n_nodes, 1);
    nametree_done(&out);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(draws_like_the_complete_tree, print_seed),
        cmocka_unit_test_teardown(diffs_like_the_complete_trees, print_seed),
        cmocka_unit_test_teardown(function_tables_are_exact, print_seed),
        cmocka_unit_test(stops_at_every_limit_of_memory),
        cmocka_unit_test(stops_when_nobody_waits),
        cmocka_unit_test(sums_that_overflow),
        cmocka_unit_test(no_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
