/* model/labels: order, lookup, text, quoting as Go does it. */
#include "test.h"

#include "base/utf8.h"
#include "model/labels.h"

static uint64_t rng_state;

static uint64_t rng(uint64_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (rng_state >> 33) % below;
}

static void expect_quoted(struct str in, const char *want)
{
    struct buf out;
    buf_init(&out, 4096);
    quote_go(in, &out);
    buf_byte(&out, 0);
    assert_string_equal(out.p, want);
    buf_done(&out);
}

static void test_quote(void **state)
{
    (void)state;
    expect_quoted(STR(""), "\"\"");
    expect_quoted(STR("plain ~text"), "\"plain ~text\"");
    expect_quoted(STR("\a\b\t\n\v\f\r"), "\"\\a\\b\\t\\n\\v\\f\\r\"");
    expect_quoted(STR("a\"b\\c'd"), "\"a\\\"b\\\\c'd\"");
    expect_quoted(STR("\0\1\x1b\x7f"), "\"\\x00\\x01\\x1b\\x7f\"");
    expect_quoted(STR("\xff\x80z\xc3"), "\"\\xff\\x80z\\xc3\"");
    expect_quoted(STR("\xed\xa0\x80"), "\"\\xed\\xa0\\x80\""); /* a surrogate is not UTF-8 */
    expect_quoted(STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""); /* é € and a smiling face */
    expect_quoted(STR("\xef\xbf\xbd"), "\"\xef\xbf\xbd\"");
    expect_quoted(STR("\xc2\x85\xc2\xa0\xc2\xad"), "\"\\u0085\\u00a0\\u00ad\"");
    expect_quoted(STR("\xe2\x80\xa8\xe2\x80\xa9"), "\"\\u2028\\u2029\"");
    expect_quoted(STR("\xe2\x80\x8b\xef\xbb\xbf\xef\xbf\xbf"), "\"\\u200b\\ufeff\\uffff\"");
    expect_quoted(STR("\xee\x80\x80"), "\"\\ue000\"");
    expect_quoted(STR("\xf0\xb0\x80\x80\xf0\xbf\xbf\xbf"), "\"\xf0\xb0\x80\x80\\U0003ffff\"");
    expect_quoted(STR("\xf3\xa0\x81\x81\xf4\x8f\xbf\xbf"), "\"\\U000e0041\\U0010ffff\"");
}

/* Every code point comes back: either as it is or by its number. */
static void test_quote_all(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    for (uint32_t cp = 0xA1; cp < 0x110000; cp++) {
        char raw[4], escaped[16];
        if (cp >= 0xD800 && cp < 0xE000)
            continue;
        size_t n = utf8_encode(raw, cp);
        buf_clear(&out);
        quote_go(str_make(raw, n), &out);
        int m = snprintf(escaped, sizeof escaped, cp < 0x10000 ? "\\u%04x" : "\\U%08x", cp);
        struct str inner = str_make(out.p + 1, out.n - 2);
        assert_true(str_eq(inner, str_make(raw, n)) || str_eq(inner, str_make(escaped, (size_t)m)));
    }
    buf_done(&out);
}

static void test_format(void **state)
{
    (void)state;
    struct label v[] = {{STR("a"), STR("b")}, {STR("c.d"), STR("e\"\n")}};
    struct buf out;
    buf_init(&out, 100);
    labels_format((struct labels){v, 0}, &out);
    labels_format((struct labels){v, 1}, &out);
    labels_format((struct labels){v, 2}, &out);
    buf_byte(&out, 0);
    assert_string_equal(out.p, "{}{a=\"b\"}{a=\"b\", c.d=\"e\\\"\\n\"}");
    buf_done(&out);
    buf_init(&out, 4);
    labels_format((struct labels){v, 2}, &out);
    assert_true(out.failed);
    buf_done(&out);
}

static void test_get(void **state)
{
    (void)state;
    struct label v[] = {{STR(""), STR("0")}, {STR("a"), STR("")}, {STR("b"), STR("2")},
        {STR("b"), STR("3")}, {STR("bb"), STR("4")}};
    struct labels ls = {v, ARRAY_LEN(v)};
    assert_true(str_eq(labels_get(ls, STR("")), STR("0")));
    assert_true(str_eq(labels_get(ls, STR("b")), STR("2")));
    assert_true(str_eq(labels_get(ls, STR("bb")), STR("4")));
    struct str empty = labels_get(ls, STR("a"));
    assert_true(empty.p && empty.n == 0);
    assert_null(labels_get(ls, STR("c")).p);
    assert_null(labels_get(ls, STR("aa")).p);
    assert_null(labels_get((struct labels){NULL, 0}, STR("a")).p);
}

static void test_compare(void **state)
{
    (void)state;
    struct label ab[] = {{STR("a"), STR("b")}, {STR("c"), STR("d")}};
    struct label ae[] = {{STR("a"), STR("e")}};
    struct label abc[] = {{STR("ab"), STR("")}, {STR("c"), STR("d")}};
    struct labels two = {ab, 2}, one = {ab, 1}, other = {ae, 1}, shifted = {abc, 2};
    assert_true(labels_cmp(one, two) < 0 && labels_cmp(two, one) > 0);
    assert_true(labels_cmp(two, other) < 0 && labels_cmp(other, two) > 0);
    assert_true(labels_cmp(two, shifted) < 0);
    assert_int_equal(labels_cmp(two, two), 0);
    assert_true(labels_eq(two, two) && labels_eq(one, (struct labels){ab, 1}));
    assert_false(labels_eq(one, two) || labels_eq(one, other) || labels_eq(two, shifted));
    assert_int_equal(labels_hash(one), labels_hash((struct labels){ab, 1}));
    assert_int_not_equal(labels_hash(one), labels_hash(two));
    assert_int_not_equal(labels_hash(two), labels_hash(shifted)); /* where a name ends counts */
    assert_int_not_equal(labels_hash(one), labels_hash(other));
}

/* Stable: equal names keep the order of their values. */
static void test_sort(void **state)
{
    (void)state;
    enum { N_MAX = 1000 };
    static struct label v[N_MAX];
    static char names[N_MAX][4], places[N_MAX][8];
    for (uint64_t seed = 1; seed <= 300; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        rng_state = seed;
        uint32_t n = (uint32_t)rng(seed % 2 ? 60 : N_MAX + 1);
        for (uint32_t i = 0; i < n; i++) {
            int len = snprintf(names[i], sizeof names[i], "%d", (int)rng(1 + n / 3 % 700));
            snprintf(places[i], sizeof places[i], "%06u", i);
            v[i] = (struct label){str_make(names[i], (size_t)len), str_make(places[i], 6)};
        }
        labels_sort(v, n);
        uint64_t sum = 0, place;
        for (uint32_t i = 0; i < n; i++) {
            assert_true(str_to_u64(v[i].value, &place));
            assert_ptr_equal(v[i].name.p, names[place]);
            sum += place + 1;
            if (i == 0)
                continue;
            int c = str_cmp(v[i - 1].name, v[i].name);
            assert_true(c < 0 || (c == 0 && str_cmp(v[i - 1].value, v[i].value) < 0));
        }
        assert_int_equal(sum, (uint64_t)n * (n + 1) / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quote),
        cmocka_unit_test(test_quote_all),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_sort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
