/* codec/app_name: the grammar of `name`, its texts, floods. */
#include "test.h"

#include "base/buf.h"
#include "codec/app_name.h"

static struct arena arena;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 64 * MIB);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

/* "name|key=value|key=value", or the error. */
static struct str shown(struct str text)
{
    struct app_name n;
    struct buf out;
    if (app_name_parse(text, &arena, &n, &err) != ST_OK)
        return error_str(&err);
    buf_init(&out, MIB);
    buf_str(&out, n.name);
    for (uint32_t i = 0; i < n.n; i++)
        buf_printf(&out, "|%.*s=%.*s", STR_ARG(n.labels[i].key), STR_ARG(n.labels[i].value));
    struct str s = arena_str(&arena, buf_view(&out));
    buf_done(&out);
    return s;
}

static void test_table(void **state)
{
    (void)state;
    static const struct {
        const char *in, *want;
    } table[] = {
        {"foo", "foo"},
        {"foo{}", "foo"},
        {"foo{bar=1,baz=2}", "foo|bar=1|baz=2"},
        {" foo { bar = 1 , baz = 2 } ", "foo|bar=1|baz=2"},
        {"foo{a=b=c}", "foo|a=b=c"},
        {"foo{a={\"x\"}}", "foo|a={\"x\""},
        {"foo{a=1", "foo"},
        {"foo{a=1,b=2", "foo|a=1"},
        {"foo{a}", "foo"},
        {"foo{a", "foo"},
        {"foo{", "foo"},
        {"foo{a=}", "foo|a="},
        {"foo{a=1,}", "foo|a=1"},
        {"foo{,a=1}", "invalid label name: ,a: character is not allowed: ','"},
        {"foo{a=1,b=2,a=3}", "foo|a=3|b=2"},
        {"foo{a=1}b=2}c", "foo|a=1|b=2"},
        {"foo{a=1}}b=2}", "foo|a=1"},
        {"foo{__name__=b c}", "b c"},
        {"foo{__name__ = x ,a=1}", "x|a=1"},
        {"foo{__session_id__=0011,1a.b=c}", "foo|__session_id__=0011|1a.b=c"},
        {"my/app-1.cpu", "my/app-1.cpu"},
        {"my app", "invalid service name: my app: character is not allowed: ' '"},
        {"", "service name is required"},
        {"  ", "service name is required"},
        {"{a=1}", "service name is required"},
        {"foo{=1}", "label name is required"},
        {"foo{ =1}", "label name is required"},
        {"foo{=1", "foo"},
        {"pröbe.cpu", "invalid service name: pröbe.cpu: character is not allowed: 'ö'"},
        {"p{größe=c}", "invalid label name: größe: character is not allowed: 'ö'"},
        {"p{a-b=c}", "invalid label name: a-b: character is not allowed: '-'"},
        {"p\xFF", "invalid service name: p\xFF: character is not allowed: '\xEF\xBF\xBD'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct str got = shown(str_from(table[i].in));
        if (!str_eq(got, str_from(table[i].want)))
            fail_msg("%s: %.*s, not %s", table[i].in, STR_ARG(got), table[i].want);
    }
}

static void test_many(void **state)
{
    (void)state;
    struct buf text;
    struct app_name n;
    buf_init(&text, 64 * MIB);
    buf_str(&text, STR("app{"));
    for (int i = 0; i < 200000; i++)
        buf_printf(&text, "k%d=%d,", i % 100000, i);
    buf_str(&text, STR("}"));
    assert_int_equal(app_name_parse(buf_view(&text), &arena, &n, &err), ST_OK);
    assert_int_equal(n.n, 100000);
    assert_true(str_eq(n.labels[7].key, STR("k7")));
    assert_true(str_eq(n.labels[7].value, STR("100007")));
    struct arena small;
    arena_init(&small, 64 * KIB);
    assert_int_equal(app_name_parse(buf_view(&text), &small, &n, &err), ST_RESOURCE_EXHAUSTED);
    arena_done(&small);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
