/* model/stack_group: what goes in comes out, small enough, and damage is noticed or harmless. */
#include "test.h"

#include "base/mem.h"
#include "model/stack_group.h"

static uint64_t rng_state;

static uint64_t rng(uint64_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (rng_state >> 33) % below;
}

enum { NODES = 3000, ROWS_MAX_HERE = 60, SAMPLES_MAX_HERE = 200 };

struct group {
    struct arena arena;
    struct buf bytes[ROWS_MAX_HERE];
    struct stack_group_row rows[ROWS_MAX_HERE];
    uint32_t n_samples[ROWS_MAX_HERE];
    uint32_t n, n_types;
    struct buf out;
};

/* What types there are: the same on every stack, a multiple of the one before, anything, zero. */
static int64_t value_of(uint32_t node, uint32_t k, const int64_t *before)
{
    switch ((node + k) % 5) {
    case 0:
        return 10000000;
    case 1:
        return k ? before[k - 1] * (1 + node % 7) : 3;
    case 2:
        return 0;
    case 3:
        return (int64_t)rng(1 << 20) << rng(40);
    default:
        return (int64_t)rng(5);
    }
}

static void put_row(struct group *g, uint32_t row)
{
    static struct sample_in v[SAMPLES_MAX_HERE];
    uint32_t n = 1 + (uint32_t)rng(SAMPLES_MAX_HERE - 1);
    int64_t totals[SAMPLE_TYPES_MAX];
    for (uint32_t i = 0; i < n; i++) {
        v[i] = (struct sample_in){.node = (uint32_t)rng(rng(2) ? NODES : 20)};
        for (uint32_t k = 0; k < g->n_types; k++)
            v[i].values[k] = value_of(v[i].node, k, v[i].values);
    }
    buf_init(&g->bytes[row], MIB);
    assert_int_equal(
        samples_encode(v, &n, g->n_types, &g->arena, &g->bytes[row], totals, NULL), ST_OK);
    g->rows[row] = (struct stack_group_row){buf_view(&g->bytes[row]), n};
    g->n_samples[row] = n;
    assert_true(stack_group_takes(g->rows[row].bytes, g->n_types));
}

static void group_make(struct group *g, uint64_t seed)
{
    rng_state = seed;
    *g = (struct group){.n = 1 + (uint32_t)rng(ROWS_MAX_HERE - 1), .n_types = 1 + seed % 4};
    arena_init(&g->arena, 64 * MIB);
    buf_init(&g->out, 16 * MIB);
    for (uint32_t i = 0; i < g->n; i++)
        put_row(g, i);
    assert_int_equal(
        stack_group_encode(g->rows, g->n, g->n_types, &g->arena, &g->out, NULL), ST_OK);
}

static void group_done(struct group *g)
{
    for (uint32_t i = 0; i < g->n; i++)
        buf_done(&g->bytes[i]);
    buf_done(&g->out);
    arena_done(&g->arena);
}

static enum status decode(struct group *g, struct str in, uint32_t n_nodes, struct buf *rows,
    uint32_t bytes[ROWS_MAX_HERE], size_t *ret_left)
{
    struct cursor c = cursor_make(in);
    struct str group;
    *ret_left = 0;
    TRY(stack_group_take(&c, g->n_types, &group, NULL));
    *ret_left = cursor_left(&c);
    return stack_group_decode(
        group, g->n_samples, g->n, g->n_types, n_nodes, &g->arena, rows, bytes, NULL);
}

static void assert_same(struct group *g, uint32_t row, struct str got)
{
    for (uint32_t k = 0; k < g->n_types; k++) {
        struct samples a, b;
        assert_int_equal(
            samples_decode(g->rows[row].bytes, g->n_types, k, &g->arena, &a, NULL), ST_OK);
        assert_int_equal(samples_decode(got, g->n_types, k, &g->arena, &b, NULL), ST_OK);
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.nodes, b.nodes, a.n * sizeof *a.nodes);
        assert_memory_equal(a.values, b.values, a.n * sizeof *a.values);
        assert_null(b.spans);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 80; seed++) {
        struct group g;
        struct buf rows;
        uint32_t bytes[ROWS_MAX_HERE];
        size_t left, at = 0;
        buf_init(&rows, 16 * MIB);
        group_make(&g, seed);
        buf_byte(&g.out, 0x55); /* what stands behind a group stays */
        assert_int_equal(decode(&g, buf_view(&g.out), NODES, &rows, bytes, &left), ST_OK);
        assert_int_equal(left, 1);
        for (uint32_t i = 0; i < g.n; at += bytes[i++])
            assert_same(&g, i, str_make(rows.p + at, bytes[i]));
        assert_int_equal(at, rows.n);
        buf_done(&rows);
        group_done(&g);
    }
}

static enum status sum(
    struct group *g, struct str in, uint32_t type, uint32_t n_nodes, int64_t *sums)
{
    uint8_t wanted[ROWS_MAX_HERE];
    for (uint32_t i = 0; i < g->n; i++)
        wanted[i] = (i * 7 + type) % 3 != 0;
    return stack_group_sum(in, wanted, g->n, g->n_types, type, sums, n_nodes, NULL);
}

/* Summed where they are, the samples of some rows give what these rows give one by one, also when
 * there are sums already. */
static void test_sums(void **state)
{
    static int64_t got[NODES], want[NODES];
    (void)state;
    for (uint64_t seed = 1; seed < 80; seed++) {
        struct group g;
        group_make(&g, seed);
        for (uint32_t k = 0; k < g.n_types; k++) {
            enum status st = ST_OK;
            for (uint32_t i = 0; i < NODES; i++)
                got[i] = want[i] = i % 5;
            for (uint32_t i = 0; i < g.n && st == ST_OK; i++)
                if ((i * 7 + k) % 3 != 0)
                    st = samples_sum(g.rows[i].bytes, g.n_types, k, want, NODES, NULL);
            assert_int_equal(sum(&g, buf_view(&g.out), k, NODES, got), st);
            if (st == ST_OK)
                assert_memory_equal(got, want, sizeof got);
        }
        group_done(&g);
    }
}

/* What leaves 64 bits says so: in a run, with the unit, and with what was there. */
static void test_sums_out_of_range(void **state)
{
    static const struct {
        int64_t value[2], before;
        enum status want;
    } cases[] = {
        {{INT64_MAX, 1}, 0, ST_OUT_OF_RANGE},
        {{INT64_MAX - 1, 1}, 0, ST_OK},
        {{INT64_MAX - 1, 1}, 1, ST_OUT_OF_RANGE},
        {{INT64_MAX / 2, INT64_MAX / 2}, 0, ST_OK}, /* of which the unit is all */
        {{INT64_MAX / 2, INT64_MAX / 2}, 2, ST_OUT_OF_RANGE},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct group g = {.n = 2, .n_types = 1};
        int64_t sums[2] = {0, cases[i].before}, totals[SAMPLE_TYPES_MAX];
        const uint8_t wanted[2] = {1, 1};
        arena_init(&g.arena, MIB);
        buf_init(&g.out, MIB);
        for (uint32_t r = 0; r < 2; r++) {
            struct sample_in v = {.node = 1, .values = {cases[i].value[r]}};
            uint32_t one = 1;
            buf_init(&g.bytes[r], MIB);
            assert_int_equal(
                samples_encode(&v, &one, 1, &g.arena, &g.bytes[r], totals, NULL), ST_OK);
            g.rows[r] = (struct stack_group_row){buf_view(&g.bytes[r]), 1};
        }
        assert_int_equal(stack_group_encode(g.rows, 2, 1, &g.arena, &g.out, NULL), ST_OK);
        assert_int_equal(
            stack_group_sum(buf_view(&g.out), wanted, 2, 1, 0, sums, 2, NULL), cases[i].want);
        if (cases[i].want == ST_OK)
            assert_true(sums[1] == cases[i].value[0] + cases[i].value[1] + cases[i].before);
        group_done(&g);
    }
}

/* A stack that is in every row with the same value costs a byte per row, whatever its types. */
static void test_small(void **state)
{
    enum { N = 1000 };
    struct stack_group_row rows[N];
    struct sample_in v = {.node = 70000, .values = {7, 7 * 512}};
    struct arena arena;
    struct buf row, out;
    int64_t totals[SAMPLE_TYPES_MAX];
    uint32_t one = 1;
    (void)state;
    arena_init(&arena, 64 * MIB);
    buf_init(&row, MIB);
    buf_init(&out, MIB);
    assert_int_equal(samples_encode(&v, &one, 2, &arena, &row, totals, NULL), ST_OK);
    for (uint32_t i = 0; i < N; i++)
        rows[i] = (struct stack_group_row){buf_view(&row), 1};
    assert_int_equal(stack_group_encode(rows, N, 2, &arena, &out, NULL), ST_OK);
    assert_true(out.n < N + 40);
    buf_done(&out);
    buf_done(&row);
    arena_done(&arena);
}

static void test_takes(void **state)
{
    struct sample_in v[2] = {{.node = 1, .span = 5, .values = {1}}, {.node = 2, .values = {1}}};
    int64_t totals[SAMPLE_TYPES_MAX];
    uint32_t n = 2;
    struct arena arena;
    struct buf row;
    (void)state;
    arena_init(&arena, MIB);
    buf_init(&row, MIB);
    assert_int_equal(samples_encode(v, &n, 1, &arena, &row, totals, NULL), ST_OK);
    assert_false(stack_group_takes(buf_view(&row), 1)); /* a span */
    buf_clear(&row);
    n = 1;
    assert_int_equal(samples_encode(v + 1, &n, 1, &arena, &row, totals, NULL), ST_OK);
    assert_true(stack_group_takes(buf_view(&row), 1));
    assert_false(stack_group_takes(buf_view(&row), 2)); /* fewer columns than types */
    buf_clear(&row);
    n = 0;
    assert_int_equal(samples_encode(v, &n, 1, &arena, &row, totals, NULL), ST_OK);
    assert_false(stack_group_takes(buf_view(&row), 1)); /* no sample */
    assert_false(stack_group_takes(STR_EMPTY, 1));
    buf_done(&row);
    arena_done(&arena);
}

/* Whatever is cut off or flipped: no bad access, and what is decoded passes for samples or is
 * refused by whoever reads them. */
static void test_damage(void **state)
{
    struct group g;
    struct buf rows;
    uint32_t bytes[ROWS_MAX_HERE];
    static int64_t sums[NODES];
    size_t left;
    (void)state;
    group_make(&g, 6);
    buf_init(&rows, 16 * MIB);
    assert_int_equal(decode(&g, buf_view(&g.out), 10, &rows, bytes, &left), ST_DATA_LOSS);
    assert_int_equal(sum(&g, buf_view(&g.out), 0, 10, sums), ST_DATA_LOSS);
    for (size_t at = 0; at < g.out.n; at += 1 + at / 40) {
        char *copy = mem_new(g.out.n); /* its own, so that a read behind the end is seen */
        memcpy(copy, g.out.p, g.out.n);
        copy[at] ^= (char)(1 << rng(8));
        buf_clear(&rows);
        (void)decode(&g, str_make(copy, g.out.n), NODES, &rows, bytes, &left);
        for (uint32_t k = 0; k < g.n_types; k++)
            (void)sum(&g, str_make(copy, g.out.n), k, NODES, sums);
        buf_clear(&rows);
        assert_int_equal(
            decode(&g, str_make(g.out.p, at), NODES, &rows, bytes, &left), ST_DATA_LOSS);
        assert_int_equal(sum(&g, str_make(g.out.p, at), 0, NODES, sums), ST_DATA_LOSS);
        mem_free(copy);
    }
    buf_done(&rows);
    group_done(&g);
}

/* Memory that ends anywhere is a status. */
static void test_memory(void **state)
{
    struct group g;
    struct buf out;
    (void)state;
    group_make(&g, 3);
    buf_init(&out, 16 * MIB);
    for (size_t limit = 0; limit < 256 * KIB; limit += 8 * KIB) {
        struct arena small;
        uint32_t bytes[ROWS_MAX_HERE];
        arena_init(&small, limit);
        enum status st = stack_group_encode(g.rows, g.n, g.n_types, &small, &out, NULL);
        assert_true(st == ST_OK || st == ST_RESOURCE_EXHAUSTED);
        arena_done(&small);
        arena_init(&small, limit);
        st = stack_group_decode(
            buf_view(&g.out), g.n_samples, g.n, g.n_types, NODES, &small, &out, bytes, NULL);
        assert_true(st == ST_OK || st == ST_RESOURCE_EXHAUSTED);
        arena_done(&small);
    }
    buf_done(&out);
    group_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_sums_out_of_range),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_takes),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
