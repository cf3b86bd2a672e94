/* query/selector and query/pattern: every rule of the grammar and of matching, as tables. */
#include "test.h"

#include "model/selector.h"

/* The matchers of a selector as text: name op value, joined by a blank. */
static void show(const struct selector *sel, char *out, size_t size)
{
    static const char *const ops[] = {"=", "!=", "=~", "!~"};
    size_t n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < sel->n; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%.*s%s%.*s", i ? " " : "",
            STR_ARG(sel->v[i].name), ops[sel->v[i].op], STR_ARG(sel->v[i].value));
}

static const struct {
    const char *text, *matchers; /* or */
    const char *error;
} grammar[] = {
    {"{}", "", NULL},
    {"cpu", "__name__=cpu", NULL},
    {"cpu{}", "__name__=cpu", NULL},
    {" cpu { } ", "__name__=cpu", NULL},
    {"a:b:c:d:e{x=\"y\"}", "x=y __name__=a:b:c:d:e", NULL},
    {":a{}", "__name__=:a", NULL},
    {"and{}", "__name__=and", NULL},
    {"{a=\"b\"}", "a=b", NULL},
    {"{a=\"b\",}", "a=b", NULL},
    {"{a=\"b\", }", "a=b", NULL},
    {"{a=\"b\",c!=\"d\",e=~\"f\",g!~\"h\"}", "a=b c!=d e=~f g!~h", NULL},
    {"{a='b',c=`d\\n`}", "a=b c=d\\n", NULL},
    {"{a=`x\ny`}", "a=x\ny", NULL},
    {"{ # one\n a = \"b\" # two\n , c\t=\r\"d\" } # three", "a=b c=d", NULL},
    {"{\"foo.bar\"=\"x\"}", "foo.bar=x", NULL},
    {"{'Gr\xc3\xb6\xc3\x9f' != 'x'}", "Gr\xc3\xb6\xc3\x9f!=x", NULL},
    {"{\"metric\"}", "__name__=metric", NULL},
    {"{\"metric\",a=\"b\"}", "__name__=metric a=b", NULL},
    {"{\"a\",\"b\"}", "__name__=a __name__=b", NULL},
    {"outer{\"inner\"}", "__name__=inner __name__=outer", NULL},
    {"{a=\"b\",a=\"c\"}", "a=b a=c", NULL},
    {"{a=\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\\'\"}", "a=\a\b\f\n\r\t\v\\\"'", NULL},
    {"{a=\"\\101\\x42\\u0043\\U00000044\"}", "a=ABCD", NULL},
    {"{a=\"\\u20ac\"}", "a=\xe2\x82\xac", NULL},
    {"{a=\"\\xff\"}", "a=\xff", NULL},
    {"{a=\"#}\"}", "a=#}", NULL},
    {"{__profile_type__=\"a:b:c:d:e\"}", "__profile_type__=a:b:c:d:e", NULL},
    /* errors */
    {"", NULL, "unknown position: parse error: unexpected end of input"},
    {"  # nothing", NULL, "unknown position: parse error: unexpected end of input"},
    {"{", NULL, "1:2: parse error: unexpected end of input inside braces"},
    {"{a=}", NULL, "1:4: parse error: unexpected \"}\" in label matching, expected string"},
    {"{a=\n}", NULL, "2:1: parse error: unexpected \"}\" in label matching, expected string"},
    {"{,}", NULL,
        "1:2: parse error: unexpected \",\" in label matching, expected identifier or \"}\""},
    {"{a=\"b\",,c=\"d\"}", NULL,
        "1:8: parse error: unexpected \",\" in label matching, expected identifier or \"}\""},
    {"{a}", NULL,
        "1:3: parse error: unexpected \"}\" in label matching, expected label matching operator"},
    {"{a=b}", NULL,
        "1:4: parse error: unexpected identifier \"b\" in label matching, expected string"},
    {"{a=\"b\" c=\"d\"}", NULL,
        "1:8: parse error: unexpected identifier \"c\" in label matching, expected \",\" or \"}\""},
    {"{a==\"b\"}", NULL, "1:4: parse error: unexpected \"=\" in label matching, expected string"},
    {"{a~\"b\"}", NULL,
        "1:3: parse error: unexpected \"~\" in label matching, expected label matching operator"},
    {"{1a=\"b\"}", NULL,
        "1:2: parse error: unexpected \"1\" in label matching, expected identifier or \"}\""},
    {"{a.b=\"c\"}", NULL,
        "1:3: parse error: unexpected \".\" in label matching, expected label matching operator"},
    {"{a:b=\"c\"}", NULL,
        "1:3: parse error: unexpected \":\" in label matching, expected label matching operator"},
    {"{\"\"=\"x\"}", NULL, "1:2: parse error: label names are UTF-8 and not empty"},
    {"{\"\\xff\"=\"x\"}", NULL, "1:2: parse error: label names are UTF-8 and not empty"},
    {"{a=\"b}", NULL, "1:4: parse error: unterminated quoted string"},
    {"{a=\"b\\\"}", NULL, "1:4: parse error: unterminated quoted string"},
    {"{a=\"", NULL, "1:4: parse error: unterminated quoted string"},
    {"{a=`b}", NULL, "1:4: parse error: unterminated raw string"},
    {"{a=\"b\nc\"}", NULL, "1:4: parse error: unterminated quoted string"},
    {"{a=\"\\q\"}", NULL, "1:5: parse error: unknown escape sequence"},
    {"{a=\"\\400\"}", NULL, "1:5: parse error: unknown escape sequence"},
    {"{a=\"\\12\"}", NULL, "1:5: parse error: unknown escape sequence"},
    {"{a=\"\\x4\"}", NULL, "1:5: parse error: unknown escape sequence"},
    {"{a=\"\\ud800\"}", NULL, "1:5: parse error: unknown escape sequence"},
    {"{a=\"\\U00110000\"}", NULL, "1:5: parse error: unknown escape sequence"},
    {"{a=\"b\"} x", NULL, "1:9: parse error: unexpected identifier \"x\", expected end of input"},
    {"cpu[5m]", NULL, "1:4: parse error: unexpected \"[\", expected end of input"},
    {"cpu{} offset 5m", NULL,
        "1:7: parse error: unexpected identifier \"offset\", expected end of input"},
    {"sum(cpu)", NULL, "1:4: parse error: unexpected \"(\", expected end of input"},
    {"{a=\"b\"} and {c=\"d\"}", NULL,
        "1:9: parse error: unexpected identifier \"and\", expected end of input"},
    {"1", NULL, "1:1: parse error: unexpected \"1\", expected a metric name or \"{\""},
    {"{a=~\"(\"}", NULL, "1:2: parse error: error parsing regexp: missing ): ("},
};

static void test_grammar(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(grammar); i++) {
        struct arena arena;
        struct selector sel = {0};
        struct error err = {0};
        char text[512];
        arena_init(&arena, MIB);
        enum status st = selector_parse(str_from(grammar[i].text), &arena, &sel, &err);
        print_message("[%s] %s\n", grammar[i].text, st ? err.msg : "");
        assert_int_equal(st, grammar[i].error ? ST_INVALID_ARGUMENT : ST_OK);
        if (grammar[i].error) {
            assert_string_equal(err.msg, grammar[i].error);
        } else {
            show(&sel, text, sizeof text);
            assert_string_equal(text, grammar[i].matchers);
        }
        selector_done(&sel);
        arena_done(&arena);
    }
}

static const struct {
    const char *matcher, *value;
    bool holds;
} matching[] = {
    {"{x=\"a\"}", "a", true},
    {"{x=\"a\"}", "A", false},
    {"{x=\"a\"}", "", false},
    {"{x=\"\"}", "", true},
    {"{x!=\"a\"}", "", true},
    {"{x!=\"\"}", "", false},
    {"{x!=\"\"}", "a", true},
    {"{x=~\".*\"}", "", true},
    {"{x=~\".*\"}", "a\nb", true},
    {"{x=~\".+\"}", "", false},
    {"{x=~\".+\"}", "\n", true},
    {"{x!~\".+\"}", "", true},
    {"{x!~\".*\"}", "", false},
    {"{x=~\"\"}", "", true},
    {"{x=~\"\"}", "a", false},
    {"{x=~\"|a\"}", "", true},
    {"{x=~\"|a\"}", "a", true},
    {"{x=~\"|a\"}", "b", false},
    {"{x=~\"foo|bar|baz\"}", "bar", true},
    {"{x=~\"foo|bar|baz\"}", "barb", false},
    {"{x=~\"(foo|bar)\"}", "foo", true},
    {"{x=~\"(foo|bar)\"}", "(foo|bar)", false},
    {"{x=~\"(?:foo|bar)\"}", "bar", true},
    {"{x=~\"(foo)|(bar)\"}", "bar", true},
    {"{x=~\"a\\\\.b\"}", "a.b", true},
    {"{x=~\"a\\\\.b\"}", "axb", false},
    {"{x=~\"a.b\"}", "axb", true},
    {"{x=~\"a.b\"}", "a\nb", true},
    {"{x=~\"b\"}", "abc", false},
    {"{x=~\"a|ab\"}", "ab", true},
    {"{x=~\"a|ab.*\"}", "abc", true},
    {"{x=~\"^a$\"}", "a", true},
    {"{x=~\"^a$\"}", "b\na", false},
    {"{x=~\"(?m)^a$.b\"}", "a\nb", true},
    {"{x=~\"(?i)ABC\"}", "abc", true},
    {"{x=~\"a(?-s:.)b\"}", "a\nb", false},
    {"{x=~\"\\\\d+\"}", "123", true},
    {"{x=~\"\\\\w\\\\s\\\\S\\\\b\"}", "a b", true},
    {"{x=~\"[[:alpha:]]+\"}", "abc", true},
    {"{x=~\"\\\\pL+\"}", "gr\xc3\xb6\xc3\x9f", true},
    {"{x=~\".\"}", "\xc3\xb6", true},
    {"{x=~\"\\\\Qa.b\\\\E.*\"}", "a.bc", true},
    {"{x=~\"\\\\Qa.b\\\\E.*\"}", "axbc", false},
    {"{x=~\"\\\\Q(?<n>\\\\E.*\"}", "(?<n>z", true},
    {"{x=~\"(?P<n>a+)b\"}", "aab", true},
    {"{x=~\"(?<n>a+)b\"}", "aab", true},
    {"{x=~\"(?<n>a)(?<m>b)?c\"}", "ac", true},
    {"{x=~\"(?<1>a).\"}", "ab", true},
    {"{x=~\"[(?<n>]+\"}", "(?<n>", true},
    {"{x=~\"[(?<n>]+\"}", "P", false},
    {"{x=~\"[]a]+\"}", "]a", true},
    {"{x=~\"[^]a]+\"}", "b(", true},
    {"{x=~\"a{1000}\"}", "a", false},
    {"{x=~\"a*?b\"}", "aab", true},
    {"{x!~\"a.*\"}", "abc", false},
    {"{x!~\"a.*\"}", "b", true},
};

static void test_matching(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(matching); i++) {
        struct arena arena;
        struct selector sel = {0};
        struct error err = {0};
        arena_init(&arena, MIB);
        print_message("%s on \"%s\"\n", matching[i].matcher, matching[i].value);
        assert_int_equal(selector_parse(str_from(matching[i].matcher), &arena, &sel, &err), ST_OK);
        assert_int_equal(sel.n, 1);
        assert_int_equal(matcher_holds(&sel.v[0], str_from(matching[i].value)), matching[i].holds);
        selector_done(&sel);
        arena_done(&arena);
    }
}

static void test_bad_patterns(void **state)
{
    (void)state;
    static const char *const bad[] = {"(", ")", "a)|(b", "[", "a**", "(?<=x)y", "(?<!x)y", "(?=x)",
        "(?>a)", "a++", "(a)\\1", "\\C", "\\k<n>", "a{1001}", "(?<>a)", "(?<a-b>a)", "\\8", "x\\",
        "[b-a]", "(?z)", "\xff", "((((((((((a{100}){100}){100}){100}){100}", "\\pX"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct arena arena;
        struct pattern p = {0};
        struct error err = {0};
        arena_init(&arena, MIB);
        print_message("%s\n", bad[i]);
        assert_int_equal(
            pattern_compile(str_from(bad[i]), true, &arena, &p, &err), ST_INVALID_ARGUMENT);
        assert_true(str_starts(error_str(&err), STR("error parsing regexp: ")));
        assert_null(p.re);
        arena_done(&arena);
    }
}

/* Names and alternations never reach the engine; searching ones do what the engine would. */
static void test_plain_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool whole;
        enum pattern_kind kind;
        const char *yes, *no;
    } rows[] = {
        {"abc", true, PATTERN_WORDS, "abc", "abcd"},
        {"abc", false, PATTERN_WORDS, "xabcd", "ab"},
        {"a|b", false, PATTERN_WORDS, "xb", "c"},
        {"runtime\\.", false, PATTERN_WORDS, "go runtime.main", "runtimex"},
        {"", false, PATTERN_WORDS, "x", NULL},
        {".*", true, PATTERN_ANY, "", NULL},
        {".*", false, PATTERN_ANY, "\n", NULL},
        {".+", true, PATTERN_NONEMPTY, "\n", ""},
        {".+", false, PATTERN_RE2, "a", "\n"},
        {"^a", false, PATTERN_RE2, "ab", "ba"},
        {"a.c", false, PATTERN_RE2, "xabcx", "a\nc"},
        {"a.c", true, PATTERN_RE2, "a\nc", "xabc"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct pattern p;
        struct error err = {0};
        arena_init(&arena, MIB);
        print_message("%s\n", rows[i].text);
        assert_int_equal(
            pattern_compile(str_from(rows[i].text), rows[i].whole, &arena, &p, &err), ST_OK);
        assert_int_equal(p.kind, rows[i].kind);
        assert_true(pattern_match(&p, str_from(rows[i].yes)));
        if (rows[i].no)
            assert_false(pattern_match(&p, str_from(rows[i].no)));
        pattern_done(&p);
        arena_done(&arena);
    }
}

static void test_rewrite(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"a:b:c:d:e", "__profile_type__=a:b:c:d:e"},
        {"a:b:c:d:e:delta{x=\"y\"}", "x=y __profile_type__=a:b:c:d:e"},
        {"a:b:c::", "__profile_type__=a:b:c::"},
        {"a:b:c:d", "__name__=a:b:c:d"},
        {"a:b:c:d:e:f:g", "__name__=a:b:c:d:e:f:g"},
        {"{__name__!=\"a:b:c:d:e\"}", "__name__!=a:b:c:d:e"},
        {"{x=\"a:b:c:d:e\"}", "x=a:b:c:d:e"},
        {"cpu", "__name__=cpu"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct selector sel = {0};
        char text[256];
        arena_init(&arena, MIB);
        assert_int_equal(selector_parse(str_from(rows[i].text), &arena, &sel, NULL), ST_OK);
        selector_rewrite_types(&sel);
        show(&sel, text, sizeof text);
        assert_string_equal(text, rows[i].want);
        selector_done(&sel);
        arena_done(&arena);
    }
}

static void test_take_name(void **state)
{
    (void)state;
    struct arena arena;
    struct selector sel = {0};
    struct str name = STR_EMPTY;
    char text[256];
    arena_init(&arena, MIB);
    assert_int_equal(
        selector_parse(STR("last{__name__=~\"fi.*rst\",a=~\"b.*\"}"), &arena, &sel, NULL), ST_OK);
    assert_true(selector_take_name(&sel, &name));
    assert_true(str_eq(name, STR("last")));
    show(&sel, text, sizeof text);
    assert_string_equal(text, "a=~b.*");
    assert_int_equal(sel.n_regexes, 1);
    assert_false(selector_take_name(&sel, &name));
    selector_done(&sel);
    arena_done(&arena);
}

static void test_limits(void **state)
{
    (void)state;
    struct arena arena;
    struct selector sel = {0};
    struct error err = {0};
    static char text[SELECTOR_BYTES_MAX + 2];
    arena_init(&arena, 64 * MIB);
    memset(text, ' ', sizeof text);
    assert_int_equal(selector_parse(str_make(text, SELECTOR_BYTES_MAX + 1), &arena, &sel, &err),
        ST_INVALID_ARGUMENT);
    size_t n = 0;
    text[n++] = '{';
    for (int i = 0; i <= SELECTOR_REGEXES_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "a=~\"x%d.*\",", i);
    text[n++] = '}';
    assert_int_equal(selector_parse(str_make(text, n), &arena, &sel, &err), ST_INVALID_ARGUMENT);
    assert_true(str_contains(error_str(&err), STR("regular expressions")));
    assert_int_equal(sel.n, SELECTOR_REGEXES_MAX);
    selector_done(&sel);
    n = 1;
    for (int i = 0; i <= SELECTOR_MATCHERS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "a=\"%d\",", i);
    text[n++] = '}';
    assert_int_equal(selector_parse(str_make(text, n), &arena, &sel, &err), ST_INVALID_ARGUMENT);
    assert_true(str_contains(error_str(&err), STR("matchers")));
    selector_done(&sel);
    arena_done(&arena);
    /* A full arena is a status at whatever point it fills up, and leaks nothing. */
    bool ok = false;
    for (size_t limit = 16 * 1024; !ok && limit < MIB; limit += 4096) {
        arena_init(&arena, limit);
        (void)arena_alloc(&arena, limit > 16 * 1024 ? 15 * 1024 : 16 * 1024 - 64);
        enum status st = selector_parse(
            STR("{a=\"b\",c=~\"d.*\",e=~\"f|g|h\",i=\"j\",k=~\"l+\"}"), &arena, &sel, &err);
        assert_true(st == ST_OK || st == ST_RESOURCE_EXHAUSTED);
        ok = st == ST_OK;
        selector_done(&sel);
        arena_done(&arena);
    }
    assert_true(ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_matching),
        cmocka_unit_test(test_bad_patterns),
        cmocka_unit_test(test_plain_patterns),
        cmocka_unit_test(test_rewrite),
        cmocka_unit_test(test_take_name),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
