/* codec/when: the time grammar against known instants and against the C library's calendar. */
#include "test.h"

#include <time.h>

#include "codec/when.h"

#define NOW 1700000000123456789LL
#define HOUR (3600 * NS_PER_S)
#define DAY (24 * HOUR)

static void test_table(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        int64_t want;
    } table[] = {
        {"", NOW},
        {"  ", NOW},
        {"now", NOW},
        {"yesterday", NOW},
        {"20200101", 1577836800000000000},
        {"2020_01_01", 1577836800000000000},
        {" 2020,01 01\n", 1577836800000000000},
        {"19000101", 19000101 * NS_PER_S},
        {"19010101", -2177452800000000000},
        {"20200230", 20200230 * NS_PER_S},
        {"20200229", 1582934400000000000},
        {"21000229", 21000229 * NS_PER_S},
        {"20201301", 20201301 * NS_PER_S},
        {"20201200", 20201200 * NS_PER_S},
        {"1577836800", 1577836800000000000},
        {"1577836800001", 1577836800001000000},
        {"1577836800000001", 1577836800000001000},
        {"1577836800000000001", 1577836800000000001},
        {"0", 0},
        {"157783680000", INT64_MAX},
        {"9999999999999999", INT64_MAX},
        {"99999999999999999999", NOW},
        {"1655834200.5", NOW},
        {"-5", NOW},
        {"now-1h", NOW - HOUR},
        {"now - 1h", NOW - HOUR},
        {"now-30s", NOW - 30 * NS_PER_S},
        {"-1h", NOW - HOUR},
        {"+5m", NOW + 300 * NS_PER_S},
        {"then+5min", NOW + 300 * NS_PER_S},
        {"now-1h30m", NOW - HOUR - 1800 * NS_PER_S},
        {"now-1h+30m", NOW + 1800 * NS_PER_S},
        {"now-1d", NOW - DAY},
        {"now-2weeks", NOW - 14 * DAY},
        {"now-1mon", NOW - 30 * DAY},
        {"now-1M", NOW - 30 * DAY},
        {"now-1Min", NOW - 30 * DAY},
        {"now-1month", NOW - 30 * DAY},
        {"now-1y", NOW - 365 * DAY},
        {"now-1sec", NOW - NS_PER_S},
        {"now-7", NOW},
        {"now-7x", NOW},
        {"now-h", NOW},
        {"now-", NOW},
        {"-", NOW},
        {"now-1_0,s", NOW - 10 * NS_PER_S},
        {"now-999999999999999999999999y", NOW - INT64_MAX},
        {"now+999999999999999999999999y", INT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        int64_t got = when_parse_ns(str_from(table[i].in), NOW);
        if (got != table[i].want)
            fail_msg("%s: %lld, not %lld", table[i].in, (long long)got, (long long)table[i].want);
    }
}

static void test_calendar(void **state)
{
    (void)state;
    for (int64_t day = -25000; day < 100000; day += 3) { /* 1901 to 2243 */
        time_t t = (time_t)(day * 86400);
        struct tm tm;
        char text[16];
        assert_non_null(gmtime_r(&t, &tm));
        assert_int_equal(strftime(text, sizeof text, "%Y%m%d", &tm), 8);
        assert_int_equal(when_parse_ns(str_from(text), NOW), day * 86400 * NS_PER_S);
    }
}

static void test_long(void **state)
{
    (void)state;
    char text[1000];
    memset(text, '1', sizeof text);
    assert_int_equal(when_parse_ns(str_make(text, sizeof text), NOW), NOW);
    memset(text, '_', sizeof text);
    memcpy(text + 900, "-1h", 3);
    assert_int_equal(when_parse_ns(str_make(text, sizeof text), NOW), NOW - HOUR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
