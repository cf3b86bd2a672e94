/* model/nametree: stacks of symbols become paths of names; totals, order, limits. */
#include "test.h"

#include "base/hash.h"
#include "model/flamegraph.h"

static uint64_t rng_state;

static uint64_t rng(uint64_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (rng_state >> 33) % below;
}

static struct arena arena;
static struct nametree tree;
static struct symtab sym;
static struct error err;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 64 * MIB);
    nametree_init(&tree, &arena);
    symtab_init(&sym);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    symtab_done(&sym);
    nametree_done(&tree);
    arena_done(&arena);
    return 0;
}

static uint32_t function(const char *name)
{
    struct sym_function f = {.name = symtab_string(&sym, str_from(name))};
    return symtab_function(&sym, &f);
}

/* Up to three functions, innermost first, NULL ends. */
static uint32_t location(const char *a, const char *b, const char *c)
{
    const char *names[] = {a, b, c};
    struct sym_line lines[3];
    struct sym_location loc = {.mapping = SYM_NONE};
    uint32_t n = 0;
    for (; n < 3 && names[n]; n++)
        lines[n] = (struct sym_line){function(names[n]), n};
    return symtab_location(&sym, &loc, lines, n);
}

static uint32_t bare_location(const char *file, uint64_t address)
{
    struct sym_mapping m = {.filename = file ? symtab_string(&sym, str_from(file)) : 0};
    struct sym_location loc = {.address = address};
    loc.mapping = file ? symtab_mapping(&sym, &m) : SYM_NONE;
    return symtab_location(&sym, &loc, NULL, 0);
}

/* Pre-order, children in name order: `a:self/total(b:…,c:…)`. */
static void print_node(const struct nametree *t, uint32_t i, struct buf *out)
{
    const struct name_node *n = &t->nodes[i];
    buf_str(out, t->names[n->name]);
    buf_printf(out, ":%lld/%lld", (long long)n->self, (long long)n->total);
    for (uint32_t k = 0; k < n->n_children; k++) {
        buf_byte(out, k ? ',' : '(');
        assert_int_equal(t->nodes[t->children[n->first_child + k]].parent, i);
        print_node(t, t->children[n->first_child + k], out);
    }
    if (n->n_children)
        buf_byte(out, ')');
}

static void expect(const char *want)
{
    struct buf out;
    assert_int_equal(nametree_finish(&tree, &err), ST_OK);
    buf_init(&out, 1 * MIB);
    print_node(&tree, 0, &out);
    buf_byte(&out, 0);
    assert_string_equal(out.p, want);
    buf_done(&out);
}

static enum status add(const int64_t *sums, uint32_t n)
{
    return nametree_add(&tree, &sym, sums, n, &err);
}

static void empty_tree(void **state)
{
    (void)state;
    expect(":0/0");
    int64_t nothing[1] = {5};
    assert_int_equal(add(nothing, 0), ST_OK);
    assert_int_equal(add(nothing, 1), ST_OK); /* the empty stack is no frame */
    expect(":0/0");
}

static void stacks_become_paths(void **state)
{
    (void)state;
    uint32_t main_at_1 = location("main", NULL, NULL);
    struct sym_location again = {.mapping = SYM_NONE, .address = 7};
    struct sym_line line = {function("main"), 99};
    uint32_t main_at_99 = symtab_location(&sym, &again, &line, 1);
    uint32_t inlined = location("inner", "middle", "outer");
    uint32_t a = symtab_node(&sym, 0, main_at_1), b = symtab_node(&sym, 0, main_at_99);
    uint32_t c = symtab_node(&sym, a, inlined), d = symtab_node(&sym, b, location("b", 0, 0));
    uint32_t unused = symtab_node(&sym, d, location("no value below", NULL, NULL));
    int64_t sums[16] = {0};
    sums[0] = 1000;
    sums[a] = 1;
    sums[b] = 2;
    sums[c] = 4;
    sums[d] = 8;
    assert_int_equal(add(sums, unused + 1), ST_OK);
    expect(":0/15(main:3/15(b:8/8,outer:0/4(middle:0/4(inner:4/4))))");
    assert_int_equal(nametree_find_name(&tree, STR("no value below")), SYM_NONE);
    /* Another part with ids of its own meets by names. */
    assert_int_equal(add(sums, unused + 1), ST_OK);
    expect(":0/30(main:6/30(b:16/16,outer:0/8(middle:0/8(inner:8/8))))");
}

static void addresses_without_symbols(void **state)
{
    (void)state;
    int64_t sums[8] = {0};
    uint32_t n = symtab_node(&sym, 0, bare_location("/usr/lib/libc.so.6", 0x1aF));
    sums[n] = 1;
    sums[symtab_node(&sym, 0, bare_location("libz", UINT64_MAX))] = 2;
    sums[symtab_node(&sym, 0, bare_location("/dir/", 1))] = 4;
    sums[n = symtab_node(&sym, 0, bare_location(NULL, 0))] = 8;
    assert_int_equal(add(sums, n + 1), ST_OK);
    expect(":0/15(libc.so.6!0x1af:1/1,libz!0xffffffffffffffff:2/2,unknown!0x0:8/8,"
           "unknown!0x1:4/4)");
}

static void names_outlive_symbols(void **state)
{
    (void)state;
    uint32_t n = symtab_node(&sym, 0, location("gone", NULL, NULL));
    int64_t sums[8] = {0};
    sums[n] = 3;
    assert_int_equal(add(sums, n + 1), ST_OK);
    symtab_done(&sym);
    symtab_init(&sym);
    expect(":0/3(gone:3/3)");
}

static void paths(void **state)
{
    (void)state;
    struct str ab[] = {STR("a"), STR("b")}, empty[] = {STR("")};
    assert_int_equal(nametree_add_path(&tree, ab, 2, 0, &err), ST_OK);
    assert_int_equal(nametree_add_path(&tree, empty, 1, 5, &err), ST_OK);
    assert_int_equal(nametree_add_path(&tree, NULL, 0, 9, &err), ST_OK);
    expect(":0/5(:5/5,a:0/0(b:0/0))");
}

static void values_out_of_range(void **state)
{
    (void)state;
    struct str a[] = {STR("a")}, b[] = {STR("b")};
    assert_int_equal(nametree_add_path(&tree, a, 1, -1, &err), ST_OUT_OF_RANGE);
    assert_int_equal(nametree_add_path(&tree, a, 1, INT64_MAX, &err), ST_OK);
    assert_int_equal(nametree_add_path(&tree, a, 1, 1, &err), ST_OUT_OF_RANGE);
    assert_int_equal(nametree_finish(&tree, &err), ST_OK);
    assert_int_equal(nametree_add_path(&tree, b, 1, 1, &err), ST_OK);
    assert_int_equal(nametree_finish(&tree, &err), ST_OUT_OF_RANGE);
    uint32_t n = symtab_node(&sym, 0, location("a", NULL, NULL));
    int64_t sums[8] = {0};
    sums[n] = -1;
    assert_int_equal(add(sums, n + 1), ST_OUT_OF_RANGE);
}

/* Random symbols; the naive way walks every stack by itself. */
static void random_node(uint32_t n_locations)
{
    uint32_t parent = rng(4) ? (uint32_t)rng(symtab_counts(&sym).nodes) : 0;
    symtab_node(&sym, parent, (uint32_t)rng(n_locations));
}

static void random_symbols(void)
{
    static const char *const names[] = {"a", "b", "other", "", "total", "c", "d"};
    for (int i = 0; i < 20; i++) {
        const char *n[3];
        for (int k = 0; k < 3; k++)
            n[k] = rng(3 - (k == 0)) ? names[rng(ARRAY_LEN(names))] : NULL;
        if (n[0])
            location(n[0], n[1], n[1] ? n[2] : NULL);
        else
            bare_location(rng(2) ? "/lib/x" : NULL, rng(3));
    }
    for (int i = 0; i < 60; i++)
        random_node(symtab_counts(&sym).locations);
}

static void naive_add(struct nametree *t, uint32_t node, int64_t self)
{
    struct str path[512];
    uint32_t n = ARRAY_LEN(path), end = n;
    for (; node; node = sym_node(&sym, node).parent) {
        const struct sym_location *loc = sym_location(&sym, sym_node(&sym, node).location);
        for (uint32_t i = 0; i < loc->n_lines; i++) {
            const struct sym_line *l = sym_line(&sym, loc->first_line + i);
            path[--n] = sym_string(&sym, sym_function(&sym, l->function)->name);
        }
        if (loc->n_lines == 0)
            path[--n] = arena_printf(&arena, "%s!0x%llx",
                loc->mapping == SYM_NONE ? "unknown" : "x", (unsigned long long)loc->address);
    }
    assert_int_equal(nametree_add_path(t, path + n, end - n, self, &err), ST_OK);
}

static void random_parts(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        rng_state = seed;
        struct nametree naive;
        struct buf got, want;
        nametree_done(&tree);
        arena_reset(&arena);
        nametree_init(&naive, &arena);
        buf_init(&got, 1 * MIB);
        buf_init(&want, 1 * MIB);
        for (int part = 0; part < 3; part++) {
            symtab_done(&sym);
            symtab_init(&sym);
            random_symbols();
            int64_t sums[64] = {0};
            uint32_t n = symtab_counts(&sym).nodes;
            for (uint32_t i = 0; i < n; i++)
                sums[i] = rng(3) ? 0 : (int64_t)rng(100);
            for (uint32_t i = 0; i < n; i++)
                if (sums[i])
                    naive_add(&naive, i, sums[i]);
            assert_int_equal(add(sums, n), ST_OK);
        }
        assert_int_equal(nametree_finish(&tree, &err), ST_OK);
        assert_int_equal(nametree_finish(&naive, &err), ST_OK);
        assert_int_equal(nametree_encode(&tree, 0, &got, &err), ST_OK);
        assert_int_equal(nametree_encode(&naive, 0, &want, &err), ST_OK);
        assert_true(str_eq(buf_view(&got), buf_view(&want)));
        for (uint32_t i = 1; i < tree.n_nodes; i++)
            assert_true(tree.nodes[i].parent < i && tree.nodes[i].total > 0);
        buf_done(&got);
        buf_done(&want);
        nametree_done(&naive);
    }
}

/* A stack of a million frames, and the same within an arena that is too small for it. */
static void deep_stack(void **state)
{
    (void)state;
    enum { N = 1000000 };
    static int64_t sums[N + 1];
    uint32_t at = 0, f = location("f", NULL, NULL), g = location("g", NULL, NULL);
    for (uint32_t i = 0; i < N; i++)
        at = symtab_node(&sym, at, i & 1 ? f : g);
    assert_int_equal(at, N);
    sums[N] = 1;
    struct arena room;
    struct nametree t;
    arena_init(&room, 256 * MIB);
    nametree_init(&t, &room);
    assert_int_equal(nametree_add(&t, &sym, sums, N + 1, &err), ST_OK);
    assert_int_equal(nametree_finish(&t, &err), ST_OK);
    assert_int_equal(t.n_nodes, N + 1);
    assert_int_equal(t.nodes[0].total, 1);
    nametree_done(&t);
    arena_done(&room);
    for (size_t limit = 1 * MIB; limit <= 32 * MIB; limit *= 4) {
        arena_init(&room, limit);
        nametree_init(&t, &room);
        assert_int_equal(nametree_add(&t, &sym, sums, N + 1, &err), ST_RESOURCE_EXHAUSTED);
        nametree_done(&t);
        arena_done(&room);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(empty_tree),
        TEST(stacks_become_paths),
        TEST(addresses_without_symbols),
        TEST(names_outlive_symbols),
        TEST(paths),
        TEST(values_out_of_range),
        TEST(random_parts),
        TEST(deep_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
