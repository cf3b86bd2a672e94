/* Numbers, texts, times, types and file detection of the command line. */
#include "test.h"

#include <math.h>

#include "cli/cli_int.h"
#include "cli/units.h"
#include "cli/upload.h"

static struct buf out;

static int setup(void **state)
{
    (void)state;
    buf_init(&out, MIB);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&out);
    return 0;
}

/* What was written since the last call. */
static const char *written(void)
{
    static char text[65536];
    assert_false(out.failed);
    assert_true(out.n < sizeof text);
    memcpy(text, buf_view(&out).p, out.n);
    text[out.n] = 0;
    buf_clear(&out);
    return text;
}

static const char *units(const char *unit, double v)
{
    units_put(&out, str_from(unit), v);
    return written();
}

static void test_units(void **state)
{
    (void)state;
    static const struct {
        const char *unit;
        double value;
        const char *text;
    } cases[] = {
        {"nanoseconds", 0, "0 ns"},
        {"nanoseconds", 1, "1 ns"},
        {"nanoseconds", 850, "850 ns"},
        {"nanoseconds", 999, "999 ns"},
        {"nanoseconds", 999.7, "1.00 µs"},
        {"nanoseconds", 1000, "1.00 µs"},
        {"nanoseconds", 12345, "12.3 µs"},
        {"nanoseconds", 999499, "999 µs"},
        {"nanoseconds", 999500, "1.00 ms"},
        {"nanoseconds", 9994999, "9.99 ms"},
        {"nanoseconds", 9996000, "10.0 ms"},
        {"nanoseconds", 99960000, "100 ms"},
        {"nanoseconds", 1.5e9, "1.50 s"},
        {"nanoseconds", 59.94e9, "59.9 s"},
        {"nanoseconds", 59.96e9, "60.0 s"},
        {"nanoseconds", 59.999e9, "1.00 min"},
        {"nanoseconds", 90e9, "1.50 min"},
        {"nanoseconds", 7200e9, "2.00 h"},
        {"nanoseconds", 1e18, "277778 h"},
        {"nanoseconds", -2500, "-2.50 µs"},
        {"bytes", 1023, "1023 B"},
        {"bytes", 1024, "1.00 KiB"},
        {"bytes", 1536, "1.50 KiB"},
        {"bytes", 1048575, "1.00 MiB"},
        {"bytes", 5368709120.0, "5.00 GiB"},
        {"count", 7, "7"},
        {"count", 0.5, "0.50"},
        {"count", 1234, "1.23 k"},
        {"count", 5e6, "5.00 M"},
        {"", 123456789, "123 M"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(units(cases[i].unit, cases[i].value), cases[i].text);
}

static void test_percent(void **state)
{
    (void)state;
    static const struct {
        double part, whole;
        const char *text;
    } cases[] = {{0, 0, "0%"}, {5, 0, "0%"}, {0, 9, "0%"}, {9, 9, "100%"}, {1, 3, "33.3%"},
        {1, 10000, "<0.1%"}, {999, 1000, "99.9%"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        units_put_percent(&out, cases[i].part, cases[i].whole);
        assert_string_equal(written(), cases[i].text);
    }
}

static void test_spans_and_times(void **state)
{
    (void)state;
    units_put_span(&out, 90 * NS_PER_S);
    assert_string_equal(written(), "90 s");
    units_put_span(&out, 3600 * NS_PER_S);
    assert_string_equal(written(), "60 min");
    units_put_span(&out, 5 * 86400 * NS_PER_S);
    assert_string_equal(written(), "5 d");
    units_put_time(&out, 1700000000 * NS_PER_S);
    assert_string_equal(written(), "2023-11-14 22:13:20");
    units_put_time(&out, 1699999980 * NS_PER_S);
    assert_string_equal(written(), "2023-11-14 22:13");
}

static void test_hostile_text(void **state)
{
    (void)state;
    text_put(&out, STR("a\x1b[31mb\r\n\x07"
                       "c\xff\xc2\x9b"
                       "d\xe2\x80\xae"
                       "e"));
    assert_string_equal(written(), "a\xEF\xBF\xBD[31mb\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
                                   "c\xEF\xBF\xBD\xEF\xBF\xBD"
                                   "d\xEF\xBF\xBD"
                                   "e");
}

static void test_cut(void **state)
{
    (void)state;
    assert_int_equal(text_put_cut(&out, STR("abcdef"), 6), 6);
    assert_string_equal(written(), "abcdef");
    assert_int_equal(text_put_cut(&out, STR("abcdef"), 4), 4);
    assert_string_equal(written(), "abc…");
    assert_int_equal(text_put_cut(&out, STR("abcdef"), 1), 1);
    assert_string_equal(written(), "…");
    assert_int_equal(text_put_cut(&out, STR("abcdef"), 0), 0);
    assert_string_equal(written(), "");
    /* Two columns each: three do not fit into five with an ellipsis. */
    assert_int_equal(text_width(STR("漢字漢")), 6);
    assert_int_equal(text_put_cut(&out, STR("漢字漢"), 5), 5);
    assert_string_equal(written(), "漢字…");
    assert_int_equal(text_put_cut(&out, STR("漢字漢"), 4), 3);
    assert_string_equal(written(), "漢…");
    assert_int_equal(text_width(STR("e\xCC\x81")), 1);
}

static void test_wrapping(void **state)
{
    (void)state;
    text_put_wrapped(&out, STR("one two three\n\n  kept  as it is\nfour"), 2, 10);
    assert_string_equal(written(), "  one two\n  three\n\n    kept  as it is\n  four\n");
    text_put_wrapped(&out, STR("averyveryverylongword x"), 0, 10);
    assert_string_equal(written(), "averyveryverylongword\nx\n");
}

static void test_spark(void **state)
{
    (void)state;
    double v[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, NAN, 8};
    spark_put(&out, v, ARRAY_LEN(v));
    assert_string_equal(written(), "▁▁▂▃▄▅▆▇█ █");
    double zero[] = {0, 0, NAN};
    spark_put(&out, zero, 3);
    assert_string_equal(written(), "▁▁ ");
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(edit_distance(STR("top"), STR("top")), 0);
    assert_int_equal(edit_distance(STR("tpo"), STR("top")), 2);
    assert_int_equal(edit_distance(STR(""), STR("top")), 3);
    assert_int_equal(edit_distance(STR("kitten"), STR("sitting")), 3);
    char longest[200];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(edit_distance(str_make(longest, sizeof longest), STR("x")), 31);
    assert_string_equal(command_nearest(STR("flam"))->name, "flame");
    assert_string_equal(command_nearest(STR("uplaod"))->name, "upload");
}

static void test_time_grammar(void **state)
{
    (void)state;
    const int64_t now = 1700000000 * NS_PER_S;
    static const struct {
        const char *text;
        int64_t s;
    } good[] = {
        {"now", 1700000000},
        {"now-1h", 1699996400},
        {"-1h", 1699996400},
        {"now-1h30m", 1699994600},
        {"now+5min", 1700000300},
        {"now-2d", 1699827200},
        {"1700000123", 1700000123},
        {"1700000123000", 1700000123},
        {"1700000123000000000", 1700000123},
        {"20231114", 1699920000},
        {"2023-11-14", 1699920000},
        {"2023-11-14T22:13", 1699999980},
        {"2023-11-14 22:13:20", 1700000000},
        {"2023-11-14T22:13:20Z", 1700000000},
        {"2023-11-14T22:13:20.999+01:00", 1699996400},
        {"2023-11-14T22:13:20-02:30", 1700009000},
    };
    static const char *const bad[] = {"", "nwo", "yesterday", "now-1", "now-1x", "now-", "now1h",
        "1h", "12", "now-1h-", "2023-02-31", "2023-11-14T25:00", "2023-11-14T22:13:20Zx",
        "2023-11-14T22:13:20+1", "1700000123.5", "now-99999999999999h", "2023-11-14T", "+"};
    int64_t ns;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!time_parse(str_from(good[i].text), now, &ns))
            fail_msg("%s is not understood", good[i].text);
        if (ns / NS_PER_S != good[i].s)
            fail_msg("%s is %lld", good[i].text, (long long)(ns / NS_PER_S));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (time_parse(str_from(bad[i]), now, &ns))
            fail_msg("%s is understood", bad[i]);
    assert_true(time_parse(STR("2023-11-14T22:13:20.25Z"), now, &ns));
    assert_int_equal(ns, now + NS_PER_S / 4);
    assert_true(span_parse(STR("1h30m"), &ns));
    assert_int_equal(ns, 5400 * NS_PER_S);
    assert_false(span_parse(STR("0s"), &ns));
    assert_false(span_parse(STR("-1h"), &ns));
    assert_false(span_parse(STR("1h "), &ns));
}

static void test_types(void **state)
{
    (void)state;
    const struct str ids[] = {
        STR("block:contentions:count:block:count"),
        STR("block:delay:nanoseconds:block:count"),
        STR("memory:alloc_in_new_tlab_bytes:bytes:space:bytes"),
        STR("memory:alloc_in_new_tlab_objects:count:space:bytes"),
        STR("process_cpu:cpu:nanoseconds:cpu:nanoseconds"),
        STR("process_cpu:samples:count:cpu:nanoseconds"),
        STR("wall:wall:nanoseconds:cpu:nanoseconds"),
        STR("wall:wall:nanoseconds:wall:nanoseconds"),
    };
    struct str hits[ARRAY_LEN(ids)];
    static const struct {
        const char *word;
        uint32_t n, first;
    } cases[] = {
        {"cpu", 1, 4},
        {"alloc", 1, 2},
        {"block", 1, 1},
        {"wall", 2, 6}, /* two differ only in their period type: no guessing */
        {"lock", 0, 0},
        {"goroutine", 0, 0},
        {"samples", 1, 5},
        {"memory", 2, 2},
        {"block:contentions", 1, 0},
        {"wall:wall:nanoseconds:wall:nanoseconds", 1, 7},
        {"nonsense", 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t n = types_match(str_from(cases[i].word), ids, ARRAY_LEN(ids), hits);
        if (n != cases[i].n || (n && !str_eq(hits[0], ids[cases[i].first])))
            fail_msg("%s: %u", cases[i].word, n);
    }
}

static void test_detection(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, MIB);
    /* sample_type {1, 2}, string table "", "cpu", "ns" */
    static const char pprof[] = "\x0a\x04\x08\x01\x10\x02\x32\x00\x32\x03"
                                "cpu\x32\x02"
                                "ns";
    assert_int_equal(upload_detect(str_make(pprof, sizeof pprof - 1), &a), UPLOAD_PPROF);
    assert_int_equal(upload_detect(str_make("FLR\0\0\2", 6), &a), UPLOAD_JFR);
    assert_int_equal(upload_detect(STR("main;work 3\n\nmain 4\r\n"), &a), UPLOAD_FOLDED);
    assert_int_equal(upload_detect(STR("a b c;d 3"), &a), UPLOAD_FOLDED);
    assert_int_equal(upload_detect(STR("main;work 3\nmain work\n"), &a), UPLOAD_UNKNOWN);
    assert_int_equal(upload_detect(STR(" 3\n"), &a), UPLOAD_UNKNOWN);
    assert_int_equal(upload_detect(STR("\n\n"), &a), UPLOAD_UNKNOWN);
    assert_int_equal(upload_detect(STR(""), &a), UPLOAD_UNKNOWN);
    assert_int_equal(upload_detect(STR("{\"a\": 1}"), &a), UPLOAD_UNKNOWN);
    assert_int_equal(
        upload_detect(
            STR(" {\"$schema\":\"https://www.speedscope.app/file-format-schema.json\"}"), &a),
        UPLOAD_SPEEDSCOPE);
    assert_true(str_eq(upload_service(STR("/tmp/my shop.pb.gz"), &a), STR("my-shop")));
    assert_true(str_eq(upload_service(STR("cpu"), &a), STR("cpu")));
    assert_int_equal(upload_service(STR("x/.hidden"), &a).n, 0);
    arena_done(&a);
}

static void test_table(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, MIB);
    struct table t = {.arena = &a, .columns = 3, .align = "rll"};
    static const char *const cells[] = {"N", "NAME", "X", "10", "漢字", "y", "7", "é", "z"};
    for (size_t i = 0; i < ARRAY_LEN(cells); i++)
        table_cell(&t, str_from(cells[i]));
    table_put(&t, &out);
    assert_string_equal(written(), " N  NAME  X\n10  漢字  y\n 7  é     z\n");
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_units, setup, teardown),
        cmocka_unit_test_setup_teardown(test_percent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spans_and_times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrapping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spark, setup, teardown),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_time_grammar),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_detection),
        cmocka_unit_test_setup_teardown(test_table, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
