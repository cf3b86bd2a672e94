/* server: who a request belongs to. */
#include "test.h"

#include "server/tenants.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static void expect_one(const char *header, const char *tenant)
{
    struct str got;
    struct error err = {0};
    assert_int_equal(tenants_parse_one(true, str_from(header), &arena, &got, &err), ST_OK);
    assert_true(str_eq(got, str_from(tenant)));
}

static void expect_error(const char *header, const char *text)
{
    struct str got;
    struct error err = {0};
    enum status st = tenants_parse_one(true, str_from(header), &arena, &got, &err);
    assert_int_equal(st, ST_UNAUTHENTICATED);
    assert_string_equal(err.msg, text);
}

static void test_off(void **state)
{
    (void)state;
    struct error err = {0};
    struct str got;
    static const char *const headers[] = {"", "team", "a/b", "a|b"};
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        assert_int_equal(tenants_parse_one(false, str_from(headers[i]), &arena, &got, &err), ST_OK);
        assert_true(str_eq(got, STR("anonymous")));
    }
}

static void test_one(void **state)
{
    (void)state;
    expect_one("team-a", "team-a");
    expect_one("A_9!.*'()", "A_9!.*'()");
    expect_one("a|a", "a");
    expect_one("a:k=v", "a");
    expect_one("a:k=v:x=y|a", "a");
    char longest[TENANT_BYTES_MAX + 2];
    memset(longest, 't', sizeof longest);
    longest[TENANT_BYTES_MAX] = 0;
    expect_one(longest, longest);
    longest[TENANT_BYTES_MAX] = 't';
    longest[TENANT_BYTES_MAX + 1] = 0;
    expect_error(longest, "tenant ID is too long: max 150 characters");
}

static void test_errors(void **state)
{
    (void)state;
    expect_error("", "no org id");
    expect_error("a|", "no org id");
    expect_error("a|b", "multiple org IDs present");
    expect_error("a/b", "tenant ID 'a/b' contains unsupported character '/'");
    expect_error("..", "tenant ID is '.' or '..'");
    expect_error(".", "tenant ID is '.' or '..'");
    expect_error("a b", "tenant ID 'a b' contains unsupported character ' '");
    expect_error(
        "gr\xC3\xB6n", "tenant ID 'gr\xC3\xB6n' contains unsupported character '\xC3\xB6'");
    expect_error("a:b", "tenant ID 'a:b' contains unsupported character ':'");
    expect_error("a:=b", "tenant ID 'a:=b' contains unsupported character ':'");
    expect_error("a:k=v/..", "tenant ID 'a:k=v/..' contains unsupported character ':'");
}

static void test_several(void **state)
{
    (void)state;
    struct tenant_list l;
    struct error err = {0};
    assert_int_equal(tenants_parse(true, STR("c|a|b|a"), &arena, &l, &err), ST_OK);
    assert_int_equal(l.n, 3);
    assert_true(str_eq(l.v[0], STR("a")) && str_eq(l.v[1], STR("b")) && str_eq(l.v[2], STR("c")));
    char many[4 * (TENANTS_MAX + 2)];
    size_t n = 0;
    for (int i = 0; i <= TENANTS_MAX; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "%st%d", i ? "|" : "", i);
    assert_int_equal(tenants_parse(true, str_make(many, n), &arena, &l, &err), ST_UNAUTHENTICATED);
    assert_string_equal(err.msg, "more than 64 org IDs present");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_several),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
