/* base: strings, varints, arenas, vectors, maps, UTF-8, clock, status. */
#include "test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/idmap.h"
#include "base/segvec.h"
#include "base/status.h"
#include "base/utf8.h"
#include "base/varint.h"

static void test_str(void **state)
{
    (void)state;
    uint64_t u;
    int64_t i;
    assert_true(str_to_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_false(str_to_u64(STR("18446744073709551616"), &u));
    assert_false(str_to_u64(STR(""), &u));
    assert_true(str_to_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_false(str_to_i64(STR("9223372036854775808"), &i));
    assert_int_equal(str_cmp(STR("a"), STR("ab")) < 0, 1);
    assert_int_equal(str_find(STR("hello"), STR("ll")), 2);
    assert_true(str_eq(str_trim(STR(" \t x y\n")), STR("x y")));
    struct str_split it = {STR("a,,b"), false};
    struct str piece;
    int n = 0;
    while (str_split_next(&it, ',', &piece))
        n++;
    assert_int_equal(n, 3);
}

static void test_hex(void **state)
{
    (void)state;
    uint8_t b[3] = {0};
    assert_true(str_to_bytes(STR("00aFf9"), b, 3));
    assert_memory_equal(b, "\x00\xaf\xf9", 3);
    assert_false(str_to_bytes(STR("00aFf"), b, 3));
    assert_false(str_to_bytes(STR("00aFf9a"), b, 3));
    assert_true(str_to_bytes(STR(""), b, 0));
    int n = 0;
    for (int c = -128; c < 128; c++)
        n += hex_digit((char)c) >= 0;
    assert_int_equal(n, 22);
}

static void test_varint(void **state)
{
    (void)state;
    static const uint64_t values[] = {
        0, 1, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        uint8_t raw[VARINT_MAX];
        size_t n = varint_put(raw, values[i]);
        assert_int_equal(n, varint_size(values[i]));
        struct cursor c = cursor_make(str_make(raw, n));
        assert_true(cursor_uvarint(&c) == values[i] && !c.bad && cursor_left(&c) == 0);
        c = cursor_make(str_make(raw, n - 1));
        cursor_uvarint(&c);
        assert_true(c.bad);
    }
    assert_true(unzigzag(zigzag(INT64_MIN)) == INT64_MIN);
    struct cursor c = cursor_make(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    cursor_uvarint(&c);
    assert_true(c.bad);
}

static void test_arena_and_buf(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 100000);
    assert_non_null(arena_alloc(&a, 10));
    assert_null(arena_alloc(&a, 100001));
    assert_true(a.full);
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    struct {
        int *v;
        uint32_t n, cap;
    } xs = {0};
    for (int i = 0; i < 1000; i++) {
        int *x = VEC_PUSH(&a, xs);
        assert_non_null(x);
        *x = i;
    }
    assert_int_equal(xs.v[999], 999);
    while (VEC_PUSH(&a, xs))
        ;
    assert_int_equal(xs.v[999], 999);
    arena_reset(&a);
    assert_false(a.full);
    arena_done(&a);

    struct buf b;
    buf_init(&b, 8);
    assert_true(buf_reserve(&b, 0) && b.p);
    buf_str(&b, STR("12345678"));
    assert_false(b.failed);
    buf_byte(&b, '9');
    assert_true(b.failed && b.n == 8);
    buf_done(&b);
}

/* A large vector is resized with its chunk, wherever that stands among the others; the limit holds,
 * and what did not fit leaves it as it was. */
static void test_large_vector(void **state)
{
    (void)state;
    for (int others = 0; others < 2; others++) {
        struct arena a;
        arena_init(&a, 40u << 20);
        struct {
            uint64_t *v;
            uint32_t n, cap;
        } xs = {0};
        uint64_t *x;
        for (uint64_t i = 0; (x = VEC_PUSH(&a, xs)); i++) {
            *x = i * 7919;
            if (others && i % 1000 == 0)
                assert_non_null(arena_alloc(&a, 24));
        }
        assert_int_equal(xs.n, 4u << 20); /* 32 MiB; twice that does not fit */
        assert_true(a.full && a.used < 34u << 20);
        for (uint64_t i = 0; i < xs.n; i++)
            assert_int_equal(xs.v[i], i * 7919);
        assert_non_null(arena_alloc(&a, 1 << 20));
        assert_null(arena_alloc(&a, 8 << 20));
        arena_reset(&a);
        assert_true(a.used <= 1 << 20);
        arena_done(&a);
    }
}

static void test_segvec_and_idmap(void **state)
{
    (void)state;
    size_t bytes = 0;
    struct segvec v;
    struct idmap m;
    segvec_init(&v, sizeof(uint64_t), 100000, &bytes);
    idmap_init(&m, &bytes);
    for (uint64_t i = 0; i < 100000; i++) {
        size_t before = bytes, growth = segvec_growth(&v, 1) + idmap_growth(&m, 1);
        uint64_t *e = segvec_push(&v);
        assert_non_null(e);
        *e = i * 7919;
        assert_true(idmap_put(&m, hash_u64(*e, 1), (uint32_t)i));
        assert_int_equal(bytes - before, growth);
    }
    assert_null(segvec_push(&v));
    for (uint64_t i = 0; i < 100000; i++) {
        uint32_t id = 0;
        struct idmap_probe p = idmap_start(&m, hash_u64(i * 7919, 1));
        bool found = false;
        while (!found && idmap_next(&m, &p, &id))
            found = *SEGVEC_AT(&v, uint64_t, id) == i * 7919;
        assert_true(found && id == i);
    }
    segvec_done(&v);
    idmap_done(&m);
    assert_int_equal(bytes, 0);
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(utf8_valid(STR("Größe ✓ 東京 plain ascii tail")));
    assert_true(utf8_valid(STR_EMPTY));
    assert_false(utf8_valid(STR("\xc0\x80")));
    assert_false(utf8_valid(STR("\xed\xa0\x80")));
    assert_false(utf8_valid(STR("\xf4\x90\x80\x80")));
    assert_false(utf8_valid(STR("abcdefgh\xe6\x9d")));
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp += 61) {
        char raw[4];
        uint32_t back;
        if (cp >= 0xD800 && cp < 0xE000)
            continue;
        size_t n = utf8_encode(raw, cp);
        assert_int_equal(utf8_decode(str_make(raw, n), &back), n);
        assert_int_equal(back, cp);
    }
}

static void test_clock(void **state)
{
    (void)state;
    char text[32];
    clock_format_ms(1700000000123000000, text);
    assert_string_equal(text, "2023-11-14T22:13:20.123Z");
    clock_format_ms(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    for (int64_t d = -800000; d < 800000; d += 379) {
        int64_t y;
        unsigned m, day;
        clock_civil_from_days(d, &y, &m, &day);
        assert_int_equal(clock_days_from_civil(y, m, day), d);
    }
}

static void test_error(void **state)
{
    (void)state;
    struct error err;
    char big[3 * ERROR_MSG_MAX];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    assert_int_equal(error_set(&err, ST_NOT_FOUND, __FILE__, __LINE__, "%s", big), ST_NOT_FOUND);
    assert_int_equal(err.len, ERROR_MSG_MAX - 1);
    error_set(&err, ST_INTERNAL, __FILE__, __LINE__, "inner %d", 5);
    error_wrap(&err, ST_INTERNAL, "outer");
    assert_string_equal(err.msg, "outer: inner 5");
    assert_string_equal(status_text(ST_RESOURCE_EXHAUSTED), "resource_exhausted");
    assert_int_equal(status_http(ST_UNAVAILABLE), 503);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_varint),
        cmocka_unit_test(test_arena_and_buf),
        cmocka_unit_test(test_large_vector),
        cmocka_unit_test(test_segvec_and_idmap),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
