/* model/profile_type: five or six parts, and the error of the reference. */
#include "test.h"

#include "model/profile_type.h"

static struct error err;

static void test_parts(void **state)
{
    (void)state;
    struct profile_type t;
    struct str id = STR("process_cpu:cpu:nanoseconds:wall:seconds");
    assert_int_equal(profile_type_parse(id, &t, &err), ST_OK);
    assert_true(str_eq(t.id, id));
    assert_true(str_eq(t.name, STR("process_cpu")));
    assert_true(str_eq(t.sample_type, STR("cpu")));
    assert_true(str_eq(t.sample_unit, STR("nanoseconds")));
    assert_true(str_eq(t.period_type, STR("wall")));
    assert_true(str_eq(t.period_unit, STR("seconds")));
}

static void test_sixth_part(void **state)
{
    (void)state;
    struct profile_type t;
    assert_int_equal(profile_type_parse(STR("a:b:c:d:e:delta"), &t, &err), ST_OK);
    assert_true(str_eq(t.id, STR("a:b:c:d:e:delta")));
    assert_true(str_eq(t.period_unit, STR("e")));
    assert_int_equal(profile_type_parse(STR("::::"), &t, &err), ST_OK);
    assert_int_equal(t.name.n + t.sample_type.n + t.sample_unit.n, 0);
    assert_int_equal(t.period_type.n + t.period_unit.n, 0);
    assert_int_equal(profile_type_parse(STR(":::::"), &t, &err), ST_OK);
}

static void expect_error(struct str id, const char *got)
{
    struct profile_type t;
    char want[512];
    memset(&t, 0x5A, sizeof t);
    struct profile_type before = t;
    assert_int_equal(profile_type_parse(id, &t, &err), ST_INVALID_ARGUMENT);
    assert_memory_equal(&t, &before, sizeof t);
    snprintf(want, sizeof want,
        "profile-type selection must be of the form "
        "<name>:<sample-type>:<sample-unit>:<period-type>:<period-unit>(:delta), got%s",
        got);
    assert_int_equal(err.len, strlen(want));
    assert_memory_equal(err.msg, want, err.len);
}

static void test_errors(void **state)
{
    (void)state;
    expect_error(STR("a:b:c:d"), "(4): \"a:b:c:d\"");
    expect_error(STR(""), "(1): \"\"");
    expect_error(STR("cpu"), "(1): \"cpu\"");
    expect_error(STR("a:b:c:d:e:f:g"), "(7): \"a:b:c:d:e:f:g\"");
    expect_error(STR("\"\n\xff"), "(1): \"\\\"\\n\\xff\"");
    assert_int_equal(
        profile_type_parse(STR("a"), &(struct profile_type){0}, NULL), ST_INVALID_ARGUMENT);
}

static void test_long(void **state)
{
    (void)state;
    static char colons[100000];
    struct profile_type t;
    memset(colons, ':', sizeof colons);
    assert_int_equal(
        profile_type_parse(str_make(colons, sizeof colons), &t, &err), ST_INVALID_ARGUMENT);
    assert_true(str_contains(error_str(&err), STR("got(100001): \":::")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_sixth_part),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
