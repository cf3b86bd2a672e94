/* codec/gzip: round trips, members, limits, damage, bombs. */
#include "test.h"

#include <libdeflate.h>

#include "base/thread.h"
#include "codec/gzip.h"

static struct arena arena;
static struct buf packed;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 256 * MIB);
    buf_init(&packed, 64 * MIB);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    buf_done(&packed);
    return 0;
}

static struct str text(size_t n)
{
    char *p = arena_alloc(&arena, n);
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (char)('a' + (x >> 24) % 7);
    }
    return str_make(p, n);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 17, 4096, 100000, 3000000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (int level = 1; level <= 12; level += 5) {
            struct str in = text(sizes[i]), out;
            buf_clear(&packed);
            buf_str(&packed, STR("before"));
            assert_int_equal(gzip_deflate(in, level, &packed, &err), ST_OK);
            struct str gz = str_skip(buf_view(&packed), 6);
            assert_true(gzip_detect(gz));
            assert_int_equal(gzip_inflate(gz, MAX(in.n, 1), &arena, &out, &err), ST_OK);
            assert_true(str_eq(in, out));
        }
    }
    struct buf small;
    buf_init(&small, 100);
    assert_int_equal(gzip_deflate(text(1000), 1, &small, &err), ST_RESOURCE_EXHAUSTED);
    assert_int_equal(small.n, 0);
    buf_done(&small);
}

static void test_limit(void **state)
{
    (void)state;
    struct str in = text(100000), out = STR("untouched");
    assert_int_equal(gzip_deflate(in, 6, &packed, &err), ST_OK);
    assert_int_equal(gzip_inflate(buf_view(&packed), 100000, &arena, &out, &err), ST_OK);
    out = STR("untouched");
    assert_int_equal(
        gzip_inflate(buf_view(&packed), 99999, &arena, &out, &err), ST_RESOURCE_EXHAUSTED);
    assert_true(str_eq(out, STR("untouched")));
    assert_true(str_eq(
        error_str(&err), STR("decompressed size exceeds maximum allowed size of 99999 bytes")));
    struct arena small;
    arena_init(&small, 64 * KIB);
    assert_int_equal(
        gzip_inflate(buf_view(&packed), 100000, &small, &out, &err), ST_RESOURCE_EXHAUSTED);
    arena_done(&small);
}

/* What Java's GZIPOutputStream with syncFlush leaves: an empty stored block, an empty last one. */
static void test_sync_flush(void **state)
{
    (void)state;
    static const uint8_t head[] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t data[] = {0, 3, 0, 0xFC, 0xFF, 'a', 'b', 'c'};
    static const uint8_t flush[] = {0, 0, 0, 0xFF, 0xFF}, last[] = {3, 0};
    struct str out;
    buf_add(&packed, head, sizeof head);
    buf_add(&packed, data, sizeof data);
    buf_add(&packed, flush, sizeof flush);
    buf_add(&packed, last, sizeof last);
    buf_u32le(&packed, libdeflate_crc32(0, "abc", 3));
    buf_u32le(&packed, 3);
    assert_int_equal(gzip_inflate(buf_view(&packed), 3, &arena, &out, &err), ST_OK);
    assert_true(str_eq(out, STR("abc")));
}

static void test_members(void **state)
{
    (void)state;
    struct str a = text(50000), out;
    assert_int_equal(gzip_deflate(a, 1, &packed, &err), ST_OK);
    assert_int_equal(gzip_deflate(STR(""), 1, &packed, &err), ST_OK);
    assert_int_equal(gzip_deflate(STR("tail"), 1, &packed, &err), ST_OK);
    assert_int_equal(gzip_inflate(buf_view(&packed), 50004, &arena, &out, &err), ST_OK);
    assert_int_equal(out.n, 50004);
    assert_true(str_eq(str_head(out, a.n), a));
    assert_true(str_ends(out, STR("tail")));
    assert_int_equal(
        gzip_inflate(buf_view(&packed), 50003, &arena, &out, &err), ST_RESOURCE_EXHAUSTED);
    buf_str(&packed, STR("no third member"));
    assert_int_equal(gzip_inflate(buf_view(&packed), MIB, &arena, &out, &err), ST_INVALID_ARGUMENT);
    buf_clear(&packed); /* a later member that does not fit keeps the earlier ones */
    assert_int_equal(gzip_deflate(STR("head"), 1, &packed, &err), ST_OK);
    assert_int_equal(gzip_deflate(a, 1, &packed, &err), ST_OK);
    assert_int_equal(gzip_inflate(buf_view(&packed), MIB, &arena, &out, &err), ST_OK);
    assert_true(str_starts(out, STR("head")) && str_eq(str_skip(out, 4), a));
}

static void test_damage(void **state)
{
    (void)state;
    struct str in = text(300), out;
    assert_int_equal(gzip_deflate(in, 9, &packed, &err), ST_OK);
    struct str gz = buf_view(&packed);
    for (size_t n = 0; n < gz.n; n++)
        assert_int_equal(
            gzip_inflate(str_head(gz, n), MIB, &arena, &out, &err), ST_INVALID_ARGUMENT);
    for (size_t i = 10; i < gz.n; i++) { /* the header has bytes that do not matter */
        packed.p[i] ^= 0x10;
        if (gzip_inflate(gz, MIB, &arena, &out, &err) == ST_OK)
            assert_true(str_eq(in, out)); /* padding behind the last block */
        packed.p[i] ^= 0x10;
    }
    assert_false(gzip_detect(STR("\x1f")));
    assert_false(gzip_detect(STR("\x1f\x8c")));
}

/* 10 MB that would become 10 GB, as 160 members. */
static void test_bomb(void **state)
{
    (void)state;
    struct buf zeros;
    struct str out;
    buf_init(&zeros, 64 * MIB);
    assert_true(buf_reserve(&zeros, 64 * MIB));
    memset(zeros.p, 0, 64 * MIB);
    zeros.n = 64 * MIB;
    struct buf member;
    buf_init(&member, 65 * MIB);
    assert_int_equal(gzip_deflate(buf_view(&zeros), 1, &member, &err), ST_OK);
    buf_done(&zeros);
    for (int i = 0; i < 160; i++)
        buf_str(&packed, buf_view(&member));
    assert_false(packed.failed);
    struct arena small;
    arena_init(&small, 32 * MIB);
    assert_int_equal(
        gzip_inflate(buf_view(&packed), 4 * MIB, &small, &out, &err), ST_RESOURCE_EXHAUSTED);
    assert_true(small.used <= 6 * MIB);
    arena_done(&small);
    assert_int_equal(
        gzip_inflate(buf_view(&packed), 100 * MIB, &arena, &out, &err), ST_RESOURCE_EXHAUSTED);
    assert_int_equal(gzip_inflate(buf_view(&member), 64 * MIB, &arena, &out, &err), ST_OK);
    buf_done(&member);
}

static void *in_thread(void *arg)
{
    struct arena mine;
    struct str out = STR_EMPTY;
    struct error e;
    arena_init(&mine, MIB);
    enum status st = gzip_inflate(*(struct str *)arg, MIB, &mine, &out, &e);
    bool same = st == ST_OK && out.n == 1000;
    arena_done(&mine);
    return same ? arg : NULL;
}

/* Every thread has its own state and frees it: the leak checker looks on. */
static void test_threads(void **state)
{
    (void)state;
    pthread_t t[4];
    assert_int_equal(gzip_deflate(text(1000), 1, &packed, &err), ST_OK);
    struct str gz = buf_view(&packed);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, in_thread, &gz), 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        void *result = NULL;
        pthread_join(t[i], &result);
        assert_ptr_equal(result, &gz);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sync_flush, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_members, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bomb, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
