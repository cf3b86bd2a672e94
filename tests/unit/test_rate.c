/* ingest/rate: token buckets of tenants. */
#include "test.h"

#include "ingest/ingest_int.h"

static void test_bucket(void **state)
{
    (void)state;
    struct rate *r = rate_new();
    struct str a = STR("a"), b = STR("b");
    int64_t t = 1000 * NS_PER_S;
    assert_true(rate_take(r, a, 10, 100, 60, t));
    assert_false(rate_take(r, a, 10, 100, 41, t)); /* all or nothing */
    assert_true(rate_take(r, a, 10, 100, 40, t));
    assert_false(rate_take(r, a, 10, 100, 1, t));
    assert_true(rate_take(r, b, 10, 100, 100, t)); /* each its own */
    assert_false(rate_take(r, a, 10, 100, 21, t + 2 * NS_PER_S));
    assert_true(rate_take(r, a, 10, 100, 20, t + 2 * NS_PER_S));
    /* fills up to the burst, not beyond */
    assert_false(rate_take(r, a, 10, 100, 101, t + 1000 * NS_PER_S));
    assert_true(rate_take(r, a, 10, 100, 100, t + 1000 * NS_PER_S));
    rate_free(r);
}

static void test_off_and_changes(void **state)
{
    (void)state;
    struct rate *r = rate_new();
    struct str a = STR("a");
    int64_t t = 1000 * NS_PER_S;
    assert_true(rate_take(r, a, 0, 100, UINT64_MAX, t));
    assert_true(rate_take(r, a, 10, 100, 100, t));
    /* time that goes backwards gives nothing, now or when it comes back */
    assert_false(rate_take(r, a, 10, 100, 1, t - 500 * NS_PER_S));
    assert_false(rate_take(r, a, 10, 100, 1, t));
    assert_true(rate_take(r, a, 10, 100, 10, t + NS_PER_S));
    /* a smaller burst takes effect on what was saved up */
    assert_false(rate_take(r, a, 10, 5, 6, t + 100 * NS_PER_S));
    assert_true(rate_take(r, a, 10, 5, 5, t + 100 * NS_PER_S));
    rate_free(NULL);
    rate_free(r);
}

/* More tenants than there is room for: memory stays, and whoever is active is still limited. */
static void test_many_tenants(void **state)
{
    (void)state;
    struct rate *r = rate_new();
    char name[32];
    int64_t t = 1000 * NS_PER_S;
    assert_true(rate_take(r, STR("busy"), 1, 100, 100, t));
    for (int i = 0; i < 200000; i++) {
        int n = snprintf(name, sizeof name, "tenant-%d", i);
        t += NS_PER_US;
        assert_true(rate_take(r, str_make(name, (size_t)n), 1, 100, 100, t));
        assert_false(rate_take(r, str_make(name, (size_t)n), 1, 100, 1, t));
        assert_false(rate_take(r, STR("busy"), 1, 100, 1, t));
    }
    rate_free(r);
}

/* At most n in each period, which begins with the first of them. */
static void test_windows(void **state)
{
    (void)state;
    struct rate *r = rate_new();
    struct str a = STR("a"), b = STR("b");
    int64_t t = 1000 * NS_PER_S, minute = 60 * NS_PER_S;
    assert_false(rate_take_one(r, a, 0, minute, t));
    assert_false(rate_take_one(r, a, 5, 0, t));
    assert_true(rate_take_one(r, a, 2, minute, t));
    assert_true(rate_take_one(r, b, 2, minute, t));
    assert_true(rate_take_one(r, a, 2, minute, t + minute - 1));
    assert_false(rate_take_one(r, a, 2, minute, t + minute - 1));
    for (int i = 0; i < 2; i++)
        assert_true(rate_take_one(r, a, 2, minute, t + minute));
    assert_false(rate_take_one(r, a, 2, minute, t + minute));
    assert_false(rate_take_one(r, a, 1, minute, t + minute)); /* fewer from now on */
    rate_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket),
        cmocka_unit_test(test_off_and_changes),
        cmocka_unit_test(test_many_tenants),
        cmocka_unit_test(test_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
