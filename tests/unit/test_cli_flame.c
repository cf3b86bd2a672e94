/* Trees from profiles, comparison, function tables, layout and drawing of the command line. */
#include "test.h"

#include "cli/draw.h"
#include "cli/tree.h"

static struct arena arena;
static struct buf out;
static struct error err;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 256 * MIB);
    buf_init(&out, 16 * MIB);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    buf_done(&out);
    return 0;
}

static const char *written(void)
{
    assert_false(out.failed);
    buf_byte(&out, 0);
    const char *text = arena_cstr(&arena, str_make(out.p, out.n - 1));
    assert_non_null(text);
    buf_clear(&out);
    return text;
}

/* Profiles are made by hand: functions f0, f1, …, one location each, ids far apart. */
enum { FUNCTIONS = 6 };

struct made {
    struct m_profile p;
    struct str strings[FUNCTIONS + 2];
    struct m_pprof_function functions[FUNCTIONS];
    struct m_pprof_location locations[FUNCTIONS];
    struct m_pprof_line lines[FUNCTIONS];
    struct m_pprof_sample samples[32];
    uint64_t ids[32][8];
    int64_t values[32];
};

static uint64_t location(uint32_t f)
{
    return 1000 + 7 * f;
}

static struct made *profile_new(void)
{
    static const char *const names[] = {"f0", "f1", "f2", "f3", "f4", "f5"};
    struct made *m = ARENA_NEW(&arena, struct made);
    assert_non_null(m);
    m->strings[0] = STR_EMPTY;
    m->strings[FUNCTIONS + 1] = STR("/usr/lib/libx.so");
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        m->strings[i + 1] = str_from(names[i]);
        m->functions[i] = (struct m_pprof_function){.id = 50 + i, .name = i + 1};
        m->lines[i] = (struct m_pprof_line){.function_id = 50 + i};
        m->locations[i].id = location(i);
        m->locations[i].line.v = &m->lines[i];
        m->locations[i].line.n = 1;
    }
    m->p.string_table.v = m->strings;
    m->p.string_table.n = FUNCTIONS + 2;
    m->p.function.v = m->functions;
    m->p.function.n = FUNCTIONS;
    m->p.location.v = m->locations;
    m->p.location.n = FUNCTIONS;
    m->p.sample.v = m->samples;
    return m;
}

/* "012" is f0 → f1 → f2, root first. */
static void sample(struct made *m, const char *stack, int64_t value)
{
    uint32_t i = m->p.sample.n++, n = (uint32_t)strlen(stack);
    for (uint32_t k = 0; k < n; k++)
        m->ids[i][k] = location((uint32_t)(stack[n - 1 - k] - '0'));
    m->values[i] = value;
    m->samples[i].location_id.v = m->ids[i];
    m->samples[i].location_id.n = n;
    m->samples[i].value.v = &m->values[i];
    m->samples[i].value.n = 1;
}

static uint32_t name_id(const struct nametree *t, const char *name)
{
    uint32_t id = nametree_find_name(t, str_from(name));
    assert_true(id != SYM_NONE);
    return id;
}

static void test_functions(void **state)
{
    (void)state;
    struct made *m = profile_new();
    sample(m, "0", 1);
    sample(m, "012", 10);
    sample(m, "0101", 100); /* f0 and f1 stand in it twice */
    sample(m, "3", 1000);
    sample(m, "", 5); /* no stack: in no flame graph either */
    struct nametree t;
    struct tree_side side;
    struct tree_function *f;
    nametree_init(&t, &arena);
    assert_int_equal(tree_add_profile(&t, &m->p, &err), ST_OK);
    assert_int_equal(nametree_finish(&t, &err), ST_OK);
    assert_int_equal(tree_side_of(&t, &arena, &side, &err), ST_OK);
    assert_int_equal(side.sum, 1111);
    assert_int_equal(tree_functions(&t, &side, &arena, &f, &err), ST_OK);
    static const struct {
        const char *name;
        int64_t self, total;
    } want[] = {{"f0", 1, 111}, {"f1", 100, 110}, {"f2", 10, 10}, {"f3", 1000, 1000}};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(f[name_id(&t, want[i].name)].self, want[i].self);
        assert_int_equal(f[name_id(&t, want[i].name)].total, want[i].total);
    }
    nametree_done(&t);
}

static void test_inlined_and_addresses(void **state)
{
    (void)state;
    struct made *m = profile_new();
    /* location 1 is f1 with f2 inlined into it; location 3 has only an address */
    struct m_pprof_line inlined[] = {{.function_id = 52}, {.function_id = 51}};
    struct m_pprof_mapping mapping = {.id = 9, .filename = FUNCTIONS + 1};
    m->locations[1].line.v = inlined;
    m->locations[1].line.n = 2;
    m->locations[3].line.n = 0;
    m->locations[3].mapping_id = 9;
    m->locations[3].address = 0xabc;
    m->p.mapping.v = &mapping;
    m->p.mapping.n = 1;
    sample(m, "013", 7);
    m->samples[0].location_id.v[2] = 4242; /* the root is of no known location */
    struct nametree t;
    nametree_init(&t, &arena);
    assert_int_equal(tree_add_profile(&t, &m->p, &err), ST_OK);
    assert_int_equal(nametree_finish(&t, &err), ST_OK);
    static const char *const path[] = {"?", "f1", "f2", "libx.so!0xabc"};
    uint32_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(path); i++) {
        assert_int_equal(t.nodes[at].n_children, 1);
        at = t.children[t.nodes[at].first_child];
        assert_true(str_eq(t.names[t.nodes[at].name], str_from(path[i])));
    }
    assert_int_equal(t.nodes[at].self, 7);
    nametree_done(&t);
}

static void test_bad_sums(void **state)
{
    (void)state;
    struct made *m = profile_new();
    struct nametree t;
    sample(m, "0", INT64_MAX);
    sample(m, "1", 1);
    nametree_init(&t, &arena);
    assert_int_equal(tree_add_profile(&t, &m->p, &err), ST_OK);
    assert_int_equal(nametree_finish(&t, &err), ST_OUT_OF_RANGE);
    nametree_done(&t);
    sample(m, "0", 1);
    nametree_init(&t, &arena);
    assert_int_equal(tree_add_profile(&t, &m->p, &err), ST_OUT_OF_RANGE);
    nametree_done(&t);
    m->values[0] = -1;
    nametree_init(&t, &arena);
    assert_int_equal(tree_add_profile(&t, &m->p, &err), ST_INVALID_ARGUMENT);
    nametree_done(&t);
}

/* f0 is in both, f1 only before, f2 only after. */
static void compare(struct nametree *t, struct tree_side sides[2])
{
    struct made *a = profile_new(), *b = profile_new();
    sample(a, "0", 10);
    sample(a, "01", 30);
    sample(b, "0", 100);
    sample(b, "02", 300);
    nametree_init(t, &arena);
    assert_int_equal(tree_compare(t, &a->p, &b->p, sides, &err), ST_OK);
}

static void test_comparison(void **state)
{
    (void)state;
    struct nametree t;
    struct tree_side s[2];
    compare(&t, s);
    assert_int_equal(s[0].sum, 40);
    assert_int_equal(s[1].sum, 400);
    static const struct {
        const char *name;
        int64_t self[2], total[2];
    } want[] = {{"f0", {10, 100}, {40, 400}}, {"f1", {30, 0}, {30, 0}}, {"f2", {0, 300}, {0, 300}}};
    for (int k = 0; k < 2; k++) {
        struct tree_function *f;
        assert_int_equal(tree_functions(&t, &s[k], &arena, &f, &err), ST_OK);
        for (size_t i = 0; i < ARRAY_LEN(want); i++) {
            assert_int_equal(f[name_id(&t, want[i].name)].self, want[i].self[k]);
            assert_int_equal(f[name_id(&t, want[i].name)].total, want[i].total[k]);
        }
    }
    nametree_done(&t);
}

static void path(struct nametree *t, const char *folded, int64_t value)
{
    struct str names[8], piece;
    struct str_split it = {.rest = str_from(folded)};
    uint32_t n = 0;
    while (str_split_next(&it, ';', &piece))
        names[n++] = piece;
    assert_int_equal(nametree_add_path(t, names, n, value, &err), ST_OK);
}

static struct drawing drawing_of(struct nametree *t, struct tree_side *side)
{
    assert_int_equal(nametree_finish(t, &err), ST_OK);
    assert_int_equal(tree_side_of(t, &arena, side, &err), ST_OK);
    double *w = ARENA_ARRAY(&arena, double, t->n_nodes);
    assert_non_null(w);
    for (uint32_t i = 0; i < t->n_nodes; i++)
        w[i] = (double)side->total[i];
    return (struct drawing){t, w, side, NULL, STR("count"), STR("t")};
}

static void small_tree(struct nametree *t)
{
    nametree_init(t, &arena);
    path(t, "main;b;x", 50);
    path(t, "main;a", 30);
    path(t, "main;c", 7);
    path(t, "main;d", 7);
    path(t, "main", 6);
}

static void test_text_fits(void **state)
{
    (void)state;
    struct nametree t;
    struct tree_side side;
    small_tree(&t);
    struct drawing d = drawing_of(&t, &side);
    assert_int_equal(draw_text(&d, 40, 100, false, &out, &err), ST_OK);
    assert_string_equal(written(), "|all 100\n"
                                   "|main 100%\n"
                                   "|b 50.0%            |a 30.0%    |c |d\n"
                                   "|x 50.0%\n");
    nametree_done(&t);
}

static void test_narrow_frames_merge(void **state)
{
    (void)state;
    struct nametree t;
    struct tree_side side;
    small_tree(&t);
    struct drawing d = drawing_of(&t, &side);
    assert_int_equal(draw_text(&d, 20, 100, false, &out, &err), ST_OK);
    assert_string_equal(written(), "|all 100\n"
                                   "|main 100%\n"
                                   "|b 50.0%  |a    |…\n"
                                   "|x 50.0%\n");
    assert_int_equal(draw_text(&d, 20, 2, false, &out, &err), ST_OK);
    const char *text = written();
    assert_non_null(strstr(text, "|main 100%\n…"));
    assert_non_null(strstr(text, "up to 2 rows deeper"));
    nametree_done(&t);
}

static void test_colour(void **state)
{
    (void)state;
    struct nametree t;
    struct tree_side side;
    small_tree(&t);
    struct drawing d = drawing_of(&t, &side);
    assert_int_equal(draw_text(&d, 40, 100, true, &out, &err), ST_OK);
    const char *text = written();
    assert_non_null(strstr(text, "\x1b[48;5;"));
    assert_null(strchr(text, '|'));
    nametree_done(&t);
    struct tree_side s[2];
    compare(&t, s);
    double w[] = {200, 200, 75, 75};
    assert_int_equal(t.n_nodes, 4);
    struct drawing both = {&t, w, &s[0], &s[1], STR("count"), STR("t")};
    assert_int_equal(draw_text(&both, 40, 100, true, &out, &err), ST_OK);
    text = written();
    assert_non_null(strstr(text, "\x1b[48;5;75m\x1b[38;5;16m f1 -75.0"));  /* gone: blue */
    assert_non_null(strstr(text, "\x1b[48;5;203m\x1b[38;5;16m f2 +75.0")); /* new: red */
    assert_non_null(strstr(text, "\x1b[48;5;252m\x1b[38;5;16m f0 +0.0"));
    nametree_done(&t);
}

/* Whatever the tree: cells of a row do not overlap, lie below their parent, rows rise. */
static void check_layout(const struct nametree *t, const struct flame_layout *l, uint32_t columns)
{
    struct flame_cell *of = ARENA_ZARRAY(&arena, struct flame_cell, t->n_nodes);
    assert_non_null(of);
    for (uint32_t i = 0; i < l->n; i++) {
        const struct flame_cell *cell = &l->v[i];
        assert_true(cell->width > 0 && cell->col + cell->width <= columns);
        if (i > 0) {
            const struct flame_cell *last = cell - 1, *up = &of[cell->parent];
            assert_true(cell->row == last->row ? cell->col >= last->col + last->width
                                               : cell->row == last->row + 1);
            assert_int_equal(up->row + 1, cell->row);
            assert_true(cell->col >= up->col);
            assert_true(cell->col + cell->width <= up->col + up->width);
        }
        if (cell->node != CELL_MERGED)
            of[cell->node] = *cell;
    }
}

static void test_layout_of_random_trees(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int round = 0; round < 60; round++) {
        struct nametree t;
        struct tree_side side;
        nametree_init(&t, &arena);
        for (int i = 0; i < 300; i++) {
            char text[64];
            size_t n = 0;
            do {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                n += (size_t)snprintf(
                    text + n, sizeof text - n, "%s%c", n ? ";" : "", (char)('a' + seed % 7));
            } while (n < 12 && seed % 3);
            path(&t, text, (int64_t)(seed % 1000) * (seed % 11 == 0 ? 1000 : 1) + 1);
        }
        struct drawing d = drawing_of(&t, &side);
        static const uint32_t widths[] = {20, 37, 80, 211, 100000};
        for (size_t k = 0; k < ARRAY_LEN(widths); k++) {
            struct flame_layout l;
            assert_int_equal(
                flame_layout_make(&t, d.weights, widths[k], 3, UINT32_MAX, &l, &err), ST_OK);
            check_layout(&t, &l, widths[k]);
            assert_int_equal(l.rows_hidden, 0);
        }
        nametree_done(&t);
        arena_reset(&arena);
    }
}

/* A stack deeper than any recursion would survive. */
static void test_deep(void **state)
{
    (void)state;
    enum { DEPTH = 300000 };
    struct nametree t;
    struct tree_side side;
    struct tree_function *f;
    nametree_init(&t, &arena);
    uint32_t name = nametree_name(&t, STR("r")), node = 0;
    for (int i = 0; i < DEPTH; i++)
        node = nametree_child(&t, node, name);
    t.nodes[node].self = 3;
    struct drawing d = drawing_of(&t, &side);
    assert_int_equal(tree_functions(&t, &side, &arena, &f, &err), ST_OK);
    assert_int_equal(f[name].total, 3);
    assert_int_equal(draw_text(&d, 20, 10, false, &out, &err), ST_OK);
    assert_non_null(strstr(written(), "up to 299991 rows deeper"));
    nametree_done(&t);
}

static void test_svg_is_escaped(void **state)
{
    (void)state;
    struct nametree t;
    struct tree_side side;
    nametree_init(&t, &arena);
    path(&t,
        "<script>&\"x\";a\x01"
        "b",
        2999);
    path(&t, "small", 1);
    struct drawing d = drawing_of(&t, &side);
    d.title = STR("<t>");
    assert_int_equal(draw_svg(&d, &out, &err), ST_OK);
    const char *text = written();
    assert_non_null(strstr(text, "&lt;script&gt;&amp;&quot;x&quot; (3.00 k, 100.0%, self 0)"));
    assert_non_null(strstr(text, "&lt;t&gt;"));
    assert_non_null(strstr(text, "small (1, &lt;0.1%, self 1)"));
    assert_null(strchr(text, 1));
    assert_non_null(strstr(text, "a\xEF\xBF\xBD"
                                 "b"));
    nametree_done(&t);
}

static void test_nothing_to_draw(void **state)
{
    (void)state;
    struct nametree t;
    struct tree_side side;
    nametree_init(&t, &arena);
    struct drawing d = drawing_of(&t, &side);
    assert_int_equal(draw_text(&d, 30, 10, false, &out, &err), ST_OK);
    assert_string_equal(written(), "|all 0\n");
    nametree_done(&t);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_functions),
        CASE(test_inlined_and_addresses),
        CASE(test_bad_sums),
        CASE(test_comparison),
        CASE(test_text_fits),
        CASE(test_narrow_frames_merge),
        CASE(test_colour),
        CASE(test_layout_of_random_trees),
        CASE(test_deep),
        CASE(test_svg_is_escaped),
        CASE(test_nothing_to_draw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
