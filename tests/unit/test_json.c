/* codec/json and codec/base64: grammar, escapes, numbers, positions, writers. */
#include "test.h"

#include <math.h>

#include "codec/base64.h"
#include "codec/json.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 64 * MIB);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

/* Reads all tokens into a line of letters; the error's text on failure. */
static const char *tokens(struct str in)
{
    static char line[4096];
    static const char letters[] = ".{}[]nS#tf0";
    struct json_reader r;
    struct error err;
    enum json_token token;
    size_t n = 0;
    json_start(&r, in, &arena);
    do {
        if (json_next(&r, &token, &err) != ST_OK) {
            snprintf(line, sizeof line, "%s", err.msg);
            return line;
        }
        assert_true(n < sizeof line - 1);
        line[n++] = letters[token];
    } while (token != JSON_END);
    line[n] = 0;
    return line;
}

static void test_grammar(void **state)
{
    (void)state;
    assert_string_equal(tokens(STR("{}")), "{}.");
    assert_string_equal(tokens(STR(" [ ] \n")), "[].");
    assert_string_equal(tokens(STR("[1,-0.5e+3,true,false,null,\"x\"]")), "[##tf0S].");
    assert_string_equal(tokens(STR("{\"a\" : {\"b\":[{}]},\t\"c\":1}")), "{n{n[{}]}n#}.");
    assert_string_equal(tokens(STR("7")), "#.");
    assert_string_equal(tokens(STR("")), "unexpected EOF");
    assert_string_equal(tokens(STR("{\"a\":")), "unexpected EOF");
    assert_string_equal(tokens(STR("[\"a")), "unexpected EOF");
    assert_string_equal(tokens(STR("[\"a\\")), "unexpected EOF");
    assert_string_equal(tokens(STR("[1,]")), "syntax error (line 1:4): unexpected token ]");
    assert_string_equal(tokens(STR("{,}")), "syntax error (line 1:2): unexpected token ,");
    assert_string_equal(tokens(STR("{\"a\":1,}")), "syntax error (line 1:8): unexpected token }");
    assert_string_equal(tokens(STR("{\"a\" 1}")), "syntax error (line 1:6): unexpected token 1");
    assert_string_equal(tokens(STR("{1:2}")), "syntax error (line 1:2): unexpected token 1");
    assert_string_equal(tokens(STR("[1 2]")), "syntax error (line 1:4): unexpected token 2");
    assert_string_equal(tokens(STR("[}")), "syntax error (line 1:2): unexpected token }");
    assert_string_equal(tokens(STR("{} {}")), "syntax error (line 1:4): unexpected token {");
    assert_string_equal(tokens(STR("\n [ü")), "syntax error (line 2:3): unexpected token ü");
    assert_string_equal(tokens(STR("nulls")), "syntax error (line 1:1): unexpected token n");
}

static void test_numbers_grammar(void **state)
{
    (void)state;
    static const char *const bad[] = {"01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "1a", "--1",
        "1.5.5", "Infinity", "NaN", "-Infinity", "1\"", "1e5e"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[32];
        snprintf(text, sizeof text, "[%s,2]", bad[i]);
        if (strcmp(bad[i], "1\"") != 0)
            assert_int_equal(strncmp(tokens(str_from(text)), "syntax error", 12), 0);
        assert_false(json_is_number(str_from(bad[i])));
    }
    assert_true(json_is_number(STR("-0.0E-0")));
    assert_false(json_is_number(STR("1 ")));
    assert_false(json_is_number(STR("")));
    char longest[JSON_NUMBER_MAX + 2];
    memset(longest, '1', sizeof longest);
    assert_string_equal(tokens(str_make(longest, JSON_NUMBER_MAX)), "#.");
    assert_string_equal(
        tokens(str_make(longest, JSON_NUMBER_MAX + 1)), "syntax error (line 1:1): invalid number");
}

static bool string_is(struct str in, struct str want)
{
    struct json_reader r;
    enum json_token token;
    json_start(&r, in, &arena);
    return json_next(&r, &token, NULL) == ST_OK && token == JSON_STRING && str_eq(r.text, want);
}

static void test_strings(void **state)
{
    (void)state;
    assert_true(string_is(STR("\"\""), STR("")));
    assert_true(string_is(STR("\"gr\xc3\xbc\xc3\x9f\""), STR("gr\xc3\xbc\xc3\x9f")));
    assert_true(string_is(STR("\"a\\/b\\n\\\"\\\\\""), STR("a/b\n\"\\")));
    assert_true(string_is(STR("\"\\u0000\""), STR("\0")));
    assert_true(string_is(STR("\"\\u00fc\\u20AC\""), STR("\xc3\xbc\xe2\x82\xac")));
    assert_true(string_is(STR("\"\\ud83d\\ude00\""), STR("\xf0\x9f\x98\x80")));
    static const char *const bad[] = {"\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\u0041\"",
        "\"\\ud83dx\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\x01\"", "\"\n\"", "\"\xff\"",
        "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\\\n\"", "\"\\\xff\""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(strncmp(tokens(str_from(bad[i])), "syntax error", 12), 0);
    assert_string_equal(
        tokens(STR("\"\\\0\"")), "syntax error (line 1:1): invalid escape in string");
}

/* What ends a string, or is not plain in it, at every place: strings are read eight bytes at once.
 */
static void test_string_lengths(void **state)
{
    (void)state;
    for (size_t n = 0; n < 20; n++) {
        char text[32] = "\"";
        memset(text + 1, 'a', n);
        text[1 + n] = '"';
        memcpy(text + 2 + n, "\"\\\x01\xff", 5); /* nobody looks behind the end */
        struct json_reader r;
        enum json_token token;
        json_start(&r, str_make(text, sizeof text), &arena);
        assert_int_equal(json_next(&r, &token, NULL), ST_OK);
        assert_true(r.text.n == n && r.at == n + 2);
        for (size_t at = 0; at < n; at++) {
            text[1 + at] = '\x1f';
            assert_int_equal(strncmp(tokens(str_make(text, n + 2)), "syntax error", 12), 0);
            text[1 + at] = '\xff';
            assert_int_equal(strncmp(tokens(str_make(text, n + 2)), "syntax error", 12), 0);
            text[1 + at] = '\x7f';
            assert_true(string_is(str_make(text, n + 2), str_make(text + 1, n)));
            text[1 + at] = '\\';
            bool last = at + 1 == n; /* the quote is escaped */
            assert_string_equal(tokens(str_make(text, n + 2)),
                last ? "unexpected EOF" : "syntax error (line 1:1): invalid escape in string");
            text[1 + at] = 'a';
        }
    }
}

static void test_depth(void **state)
{
    (void)state;
    static char deep[JSON_DEPTH_MAX + 1];
    memset(deep, '[', sizeof deep);
    struct json_reader r;
    struct error err;
    json_start(&r, str_make(deep, JSON_DEPTH_MAX), &arena);
    assert_int_equal(json_skip(&r, &err), ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, "unexpected EOF");
    json_start(&r, str_make(deep, JSON_DEPTH_MAX + 1), &arena);
    assert_int_equal(json_skip(&r, &err), ST_INVALID_ARGUMENT);
    assert_non_null(strstr(err.msg, "exceeded max recursion depth"));
}

static void test_skip(void **state)
{
    (void)state;
    struct json_reader r;
    enum json_token token;
    json_start(&r, STR("[{\"a\":[1,{\"b\":2}]},3]"), &arena);
    assert_int_equal(json_next(&r, &token, NULL), ST_OK);
    assert_int_equal(json_skip(&r, NULL), ST_OK);
    assert_int_equal(json_next(&r, &token, NULL), ST_OK);
    assert_int_equal(token, JSON_NUMBER);
    assert_true(str_eq(r.text, STR("3")));
}

static void test_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } good[] = {{"0", 0}, {"-0", 0}, {"0e99999", 0}, {"0.000", 0}, {"10.0", 10}, {"1e3", 1000},
        {"1.5e1", 15}, {"1500e-2", 15}, {"-1E2", -100}, {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN}, {"9.223372036854775807e18", INT64_MAX},
        {"0.00000000000000000005e20", 5}, {"1234567890123456789", 1234567890123456789}, {"-1", -1},
        {"1e00000000000000000000000002", 100}};
    int64_t i;
    uint64_t u;
    for (size_t k = 0; k < ARRAY_LEN(good); k++) {
        assert_true(json_to_i64(str_from(good[k].text), &i));
        assert_true(i == good[k].want);
    }
    static const char *const bad[] = {"1.5", "1e-1", "9223372036854775808", "-9223372036854775809",
        "1e19", "1e99999999999999999999", "1e-99999999999999999999", "", "x", "1 ", " 1", "+1",
        "01", "-", "-01", "9999999999999999999", "0.1e0"};
    for (size_t k = 0; k < ARRAY_LEN(bad); k++)
        assert_false(json_to_i64(str_from(bad[k]), &i));
    assert_true(json_to_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_true(json_to_u64(STR("1.8446744073709551615e19"), &u) && u == UINT64_MAX);
    assert_true(json_to_u64(STR("9999999999999999999"), &u) && u == 9999999999999999999u);
    assert_false(json_to_u64(STR("18446744073709551616"), &u));
    assert_false(json_to_u64(STR("-1"), &u));
    assert_false(json_to_u64(STR("1e20"), &u));
}

static void assert_double(double v, const char *want)
{
    struct buf b;
    buf_init(&b, 1000);
    json_put_double(&b, v);
    assert_int_equal(b.n, strlen(want));
    assert_memory_equal(b.p, want, b.n);
    double back;
    if (want[0] != '"') {
        assert_true(json_to_double(buf_view(&b), &back));
        assert_memory_equal(&back, &v, sizeof v);
    }
    buf_done(&b);
}

static void test_doubles(void **state)
{
    (void)state;
    assert_double(0, "0");
    assert_double(-0.0, "-0.0");
    assert_double(15, "15");
    assert_double(-470000000000.0, "-470000000000");
    assert_double(9007199254740991.0, "9007199254740991");
    assert_double(0.1, "0.1");
    assert_double(0.1 + 0.2, "0.30000000000000004");
    assert_double(1e100, "1e+100");
    assert_double(5e-324, "4.94065645841247e-324");
    assert_double(1.7976931348623157e308, "1.7976931348623157e+308");
    assert_double((double)NAN, "\"NaN\"");
    assert_double((double)INFINITY, "\"Infinity\"");
    assert_double(-(double)INFINITY, "\"-Infinity\"");
    double v;
    assert_false(json_to_double(STR("1e309"), &v));
    assert_true(json_to_double(STR("1e-400"), &v) && v == 0);
    assert_false(json_to_double(STR("0x10"), &v));
}

static void test_put_string(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    json_put_string(&b, STR("a\"\\\n\x01\x7f\0gr\xc3\xbc\xff\xe2\x82"));
    assert_true(str_eq(buf_view(&b), STR("\"a\\\"\\\\\\n\\u0001\x7f\\u0000gr\xc3\xbc\xef\xbf\xbd"
                                         "\xef\xbf\xbd\xef\xbf\xbd\"")));
    buf_clear(&b);
    json_put_i64(&b, INT64_MIN);
    json_put_u64(&b, UINT64_MAX);
    assert_true(str_eq(buf_view(&b), STR("-922337203685477580818446744073709551615")));
    buf_done(&b);
}

static bool base64_is(struct str in, struct str want)
{
    struct str out;
    return base64_decode(in, &arena, &out) && str_eq(out, want);
}

static void test_base64(void **state)
{
    (void)state;
    assert_true(base64_is(STR(""), STR("")));
    assert_true(base64_is(STR("Zg=="), STR("f")));
    assert_true(base64_is(STR("Zg"), STR("f")));
    assert_true(base64_is(STR("Zm8="), STR("fo")));
    assert_true(base64_is(STR("Zm8"), STR("fo")));
    assert_true(base64_is(STR("Zm9v"), STR("foo")));
    assert_true(base64_is(STR("Zm9vYmFy"), STR("foobar")));
    assert_true(base64_is(STR("-_-_"), STR("\xfb\xff\xbf")));
    assert_true(base64_is(STR("+/+/"), STR("\xfb\xff\xbf")));
    assert_true(base64_is(STR("Zm9v\r\nYm\nFy\n"), STR("foobar")));
    static const char *const bad[] = {"Z", "Zg=", "Zg===", "Zm8==", "Zm9v=", "=",
        "====", "Zg==Zg==", "Z=g=", "%%%", "Zm9v!", "Zm9vZ"};
    struct str out;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(base64_decode(str_from(bad[i]), &arena, &out));
    struct buf b;
    buf_init(&b, 1000);
    char bytes[40];
    for (size_t n = 0; n < sizeof bytes; n++) {
        bytes[n] = (char)(n * 37 + 11);
        buf_clear(&b);
        base64_put(&b, str_make(bytes, n));
        assert_int_equal(b.n, (n + 2) / 3 * 4);
        assert_true(base64_is(buf_view(&b), str_make(bytes, n)));
    }
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_numbers_grammar),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_string_lengths),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_put_string),
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
