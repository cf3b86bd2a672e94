/* model/samples and model/symtab: encoding against a naive model, interning, damage. */
#include "test.h"

#include "base/hash.h"
#include "base/mem.h"
#include "model/samples.h"
#include "model/symtab.h"

static uint64_t rng_state;

static uint64_t rng(uint64_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (rng_state >> 33) % below;
}

enum { NODES = 500, N_MAX = 3000 };

static void one_round(bool spans, bool traces, uint32_t n_types)
{
    static struct sample_in v[N_MAX];
    static int64_t sums[SAMPLE_TYPES_MAX][NODES], got[NODES];
    uint32_t n = (uint32_t)rng(N_MAX), before = n;
    int64_t unit = rng(3) ? 10000000 : 1, totals[SAMPLE_TYPES_MAX];
    struct error err;
    struct arena arena;
    struct buf out;
    memset(sums, 0, sizeof sums);
    arena_init(&arena, 64 * MIB);
    buf_init(&out, 16 * MIB);
    for (uint32_t i = 0; i < n; i++) {
        v[i] = (struct sample_in){.node = (uint32_t)rng(NODES)};
        v[i].span = spans ? rng(20) : 0;
        v[i].trace_hi = traces ? rng(5) : 0;
        v[i].trace_lo = traces ? rng(5) : 0;
        for (uint32_t k = 0; k < n_types; k++) {
            v[i].values[k] = (int64_t)rng(1000) * unit;
            sums[k][v[i].node] += v[i].values[k];
        }
    }
    assert_int_equal(samples_encode(v, &n, n_types, &arena, &out, totals, &err), ST_OK);
    assert_true(n <= before);
    uint32_t checked;
    int64_t check_totals[SAMPLE_TYPES_MAX];
    assert_int_equal(
        samples_check(buf_view(&out), n_types, NODES, &checked, check_totals, &err), ST_OK);
    assert_int_equal(checked, n);
    for (uint32_t k = 0; k < n_types; k++) {
        struct samples s;
        int64_t total = 0, by_decode[NODES] = {0};
        memset(got, 0, sizeof got);
        assert_int_equal(samples_sum(buf_view(&out), n_types, k, got, NODES, &err), ST_OK);
        assert_memory_equal(got, sums[k], sizeof got);
        assert_int_equal(samples_decode(buf_view(&out), n_types, k, &arena, &s, &err), ST_OK);
        for (uint32_t i = 0; i < s.n; i++) {
            by_decode[s.nodes[i]] += s.values[i];
            total += s.values[i];
            if (i && !spans && !traces)
                assert_true(s.nodes[i] > s.nodes[i - 1]);
        }
        assert_memory_equal(by_decode, sums[k], sizeof got);
        assert_int_equal(total, totals[k]);
        assert_int_equal(total, check_totals[k]);
    }
    arena_done(&arena);
    buf_done(&out);
}

static void test_random(void **state)
{
    (void)state;
    for (rng_state = 1; rng_state < 200; rng_state++) {
        uint64_t seed = rng_state;
        one_round(seed % 3 == 0, seed % 5 == 0, 1 + (uint32_t)(seed % 4));
        rng_state = seed;
    }
}

static void test_spans_kept(void **state)
{
    (void)state;
    struct sample_in v[] = {{.node = 7, .span = 2, .values = {5}}, {.node = 7, .values = {1}},
        {.node = 7, .span = 2, .values = {3}}, {.node = 2, .trace_hi = 9, .values = {4}}};
    uint32_t n = ARRAY_LEN(v);
    int64_t totals[SAMPLE_TYPES_MAX];
    struct arena arena;
    struct buf out;
    struct samples s;
    arena_init(&arena, MIB);
    buf_init(&out, MIB);
    assert_int_equal(samples_encode(v, &n, 1, &arena, &out, totals, NULL), ST_OK);
    assert_int_equal(n, 3);
    assert_int_equal(totals[0], 13);
    assert_int_equal(samples_decode(buf_view(&out), 1, 0, &arena, &s, NULL), ST_OK);
    assert_int_equal(s.nodes[0], 2);
    assert_int_equal(s.trace_hi[0], 9);
    assert_int_equal(s.values[1], 1);
    assert_int_equal(s.spans[1], 0);
    assert_int_equal(s.values[2], 8);
    assert_int_equal(s.spans[2], 2);
    arena_done(&arena);
    buf_done(&out);
}

/* A row of a series that was lost has fewer columns than the series says: the others read 0. */
static void test_fewer_columns(void **state)
{
    struct sample_in in[2] = {{.node = 1, .values = {5}}, {.node = 3, .values = {7}}};
    uint32_t n = 2;
    int64_t totals[SAMPLE_TYPES_MAX];
    struct arena arena;
    struct buf bytes;
    (void)state;
    arena_init(&arena, MIB);
    buf_init(&bytes, MIB);
    assert_int_equal(samples_encode(in, &n, 1, &arena, &bytes, totals, NULL), ST_OK);
    for (uint32_t k = 0; k < SAMPLE_TYPES_MAX; k++) {
        struct samples out;
        int64_t sums[4] = {0};
        assert_int_equal(
            samples_decode(buf_view(&bytes), SAMPLE_TYPES_MAX, k, &arena, &out, NULL), ST_OK);
        assert_int_equal(out.n, 2);
        assert_int_equal(out.nodes[1], 3);
        assert_int_equal(out.values[1], k ? 0 : 7);
        assert_int_equal(samples_sum(buf_view(&bytes), SAMPLE_TYPES_MAX, k, sums, 4, NULL), ST_OK);
        assert_int_equal(sums[3], k ? 0 : 7);
    }
    buf_done(&bytes);
    arena_done(&arena);
}

static void test_overflow(void **state)
{
    (void)state;
    struct sample_in v[] = {{.node = 1, .values = {INT64_MAX}}, {.node = 2, .values = {1}}};
    uint32_t n = 2;
    int64_t totals[SAMPLE_TYPES_MAX], sums[3] = {0, 1, 0};
    struct arena arena;
    struct buf out;
    arena_init(&arena, MIB);
    buf_init(&out, MIB);
    assert_int_equal(samples_encode(v, &n, 1, &arena, &out, totals, NULL), ST_OUT_OF_RANGE);
    n = 1;
    buf_clear(&out);
    assert_int_equal(samples_encode(v, &n, 1, &arena, &out, totals, NULL), ST_OK);
    assert_int_equal(samples_sum(buf_view(&out), 1, 0, sums, 3, NULL), ST_OUT_OF_RANGE);
    arena_done(&arena);
    buf_done(&out);
}

/* Any flipped byte is either noticed or harmless: no bad access, no node out of range. */
static void test_damage(void **state)
{
    (void)state;
    struct sample_in v[40];
    uint32_t n = ARRAY_LEN(v);
    int64_t totals[SAMPLE_TYPES_MAX];
    struct arena arena;
    struct buf out;
    arena_init(&arena, 64 * MIB);
    buf_init(&out, MIB);
    for (uint32_t i = 0; i < n; i++)
        v[i] = (struct sample_in){
            .node = i * 3, .span = i % 4, .trace_lo = i % 3, .values = {i, i * 7}};
    assert_int_equal(samples_encode(v, &n, 2, &arena, &out, totals, NULL), ST_OK);
    for (size_t at = 0; at < out.n; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            char *copy = mem_new(out.n);
            int64_t sums[120] = {0};
            uint32_t checked;
            struct samples s;
            memcpy(copy, out.p, out.n);
            copy[at] ^= (char)(1 << bit);
            struct str bytes = str_make(copy, out.n);
            (void)samples_sum(bytes, 2, 1, sums, 120, NULL);
            (void)samples_decode(bytes, 2, 0, &arena, &s, NULL);
            (void)samples_check(bytes, 2, 120, &checked, totals, NULL);
            arena_reset(&arena);
            mem_free(copy);
        }
        int64_t sums[120] = {0};
        assert_int_not_equal(samples_check(str_make(out.p, at), 2, 120, &n, totals, NULL), ST_OK);
        (void)samples_sum(str_make(out.p, at), 2, 0, sums, 120, NULL);
    }
    arena_done(&arena);
    buf_done(&out);
}

/* What samples_check says of one value column, the plain way. */
static bool naive_total(struct str column, uint32_t n, uint64_t unit, int64_t *ret_total)
{
    struct cursor c = cursor_make(column);
    unsigned __int128 total = 0;
    bool fine = true;
    for (uint32_t i = 0; i < n; i++) {
        total = (uint64_t)total + (unsigned __int128)cursor_uvarint(&c) * unit;
        fine &= total <= INT64_MAX;
    }
    *ret_total = (int64_t)total;
    return fine && !c.bad && cursor_left(&c) == 0;
}

static void check_column(struct str column, uint32_t n, uint64_t unit)
{
    int64_t want, got[SAMPLE_TYPES_MAX];
    uint32_t n_got;
    struct buf row;
    buf_init(&row, MIB);
    buf_uvarint(&row, n);
    buf_uvarint(&row, 1 << 2);
    buf_uvarint(&row, n);
    for (uint32_t i = 0; i < n; i++)
        buf_byte(&row, 1);
    buf_uvarint(&row, unit);
    buf_uvarint(&row, column.n);
    buf_str(&row, column);
    bool fine = naive_total(column, n, unit, &want);
    enum status st = samples_check(buf_view(&row), 1, n + 1, &n_got, got, NULL);
    assert_int_equal(st, fine ? ST_OK : ST_DATA_LOSS);
    if (fine) {
        assert_int_equal(n_got, n);
        assert_int_equal(got[0], want);
    }
    assert_int_equal(samples_check(buf_view(&row), 1, n, &n_got, got, NULL) == ST_OK, fine && !n);
    buf_done(&row);
}

/* Varints of up to `bytes_max` bytes, now and then in more bytes than they need. */
static void random_column(struct buf *out, uint32_t n, unsigned bytes_max)
{
    buf_clear(out);
    for (uint32_t i = 0; i < n; i++) {
        unsigned bytes = 1 + (unsigned)rng(bytes_max);
        for (unsigned k = 1; k < bytes; k++)
            buf_byte(out, (uint8_t)(0x80 | rng(128)));
        buf_byte(out, (uint8_t)rng(bytes < VARINT_MAX ? 128 : 3));
    }
}

/* Sums of columns by words: every mix of lengths, at every place in a word, and bad ones. */
static void test_check_columns(void **state)
{
    struct buf column;
    (void)state;
    rng_state = 7;
    buf_init(&column, MIB);
    for (uint32_t round = 0; round < 20000; round++) {
        uint32_t n = (uint32_t)rng(round % 50 ? 40 : 1500);
        random_column(&column, n, round % 7 ? 1 + round % 5 : 11);
        uint64_t unit = rng(4) ? rng(3) : UINT64_C(1) << rng(64);
        check_column(buf_view(&column), n, unit);
        check_column(buf_view(&column), n + 1, unit);
        if (n)
            check_column(buf_view(&column), n - 1, unit);
        if (!column.n)
            continue;
        column.p[rng(column.n)] ^= (char)(rng(4) ? 0x80 : 0xFF);
        check_column(buf_view(&column), n, unit);
        column.p[column.n - 1] |= (char)0x80;
        check_column(buf_view(&column), n, unit);
    }
    buf_done(&column);
}

static void test_symtab(void **state)
{
    (void)state;
    struct symtab st;
    symtab_init(&st);
    size_t empty = st.bytes;
    assert_int_equal(symtab_string(&st, STR_EMPTY), 0);
    uint32_t a = symtab_string(&st, STR("a")), b = symtab_string(&st, STR("b"));
    assert_int_equal(symtab_string(&st, STR("a")), a);
    struct sym_function fa = {.name = a}, fb = {.name = b};
    uint32_t f1 = symtab_function(&st, &fa), f2 = symtab_function(&st, &fb);
    assert_int_equal(symtab_function(&st, &fa), f1);
    struct sym_location loc = {.mapping = SYM_NONE};
    struct sym_line l1 = {f1, 10}, l2 = {f2, 20}, both[] = {{f1, 10}, {f2, 20}};
    uint32_t x = symtab_location(&st, &loc, &l1, 1), y = symtab_location(&st, &loc, &l2, 1);
    uint32_t z = symtab_location(&st, &loc, both, 2);
    assert_int_equal(symtab_location(&st, &loc, both, 2), z);
    assert_true(x != y && y != z);
    uint32_t s1[] = {x, y, z}, s2[] = {y, y, z};
    uint32_t n1 = symtab_stack(&st, s1, 3), n2 = symtab_stack(&st, s2, 3);
    assert_int_equal(symtab_stack(&st, s1, 3), n1);
    assert_int_equal(sym_node(&st, n1).parent, sym_node(&st, n2).parent);
    assert_int_equal(st.nodes.n, 1 + 4);
    assert_int_equal(symtab_stack(&st, NULL, 0), 0);
    assert_true(st.bytes > empty);
    symtab_seal(&st);
    assert_true(str_eq(sym_string(&st, a), STR("a")));
    symtab_done(&st);
}

/* The reservation is never less than what interning then takes. */
static void test_symtab_growth(void **state)
{
    (void)state;
    struct symtab st;
    symtab_init(&st);
    rng_state = 42;
    for (int round = 0; round < 300; round++) {
        uint32_t n = 1 + (uint32_t)rng(200);
        struct sym_demand d = {.strings = n,
            .functions = n,
            .lines = n,
            .locations = n,
            .nodes = n,
            .stacks = 1,
            .text_bytes = 0};
        char text[64];
        for (uint32_t i = 0; i < n; i++)
            d.text_bytes += 20;
        size_t before = st.bytes, most = symtab_growth(&st, &d);
        uint32_t stack[201];
        for (uint32_t i = 0; i < n; i++) {
            int len = snprintf(text, sizeof text, "f%014llu", (unsigned long long)rng(100000000));
            struct sym_function f = {.name = symtab_string(&st, str_make(text, (size_t)len))};
            struct sym_line line = {symtab_function(&st, &f), (int64_t)i};
            struct sym_location loc = {.mapping = SYM_NONE};
            stack[i] = symtab_location(&st, &loc, &line, 1);
        }
        assert_int_not_equal(symtab_stack(&st, stack, n), SYM_NONE);
        assert_true(st.bytes - before <= most);
    }
    symtab_done(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_spans_kept),
        cmocka_unit_test(test_fewer_columns),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_check_columns),
        cmocka_unit_test(test_symtab),
        cmocka_unit_test(test_symtab_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
