/* Ad hoc profiles as files: ids, order, damage, and that the oldest go. */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "server/adhoc_files.h"

static struct arena arena;
static struct error err;
static char dir[64];
static struct str data;

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/everflame-adhoc-XXXXXX");
    assert_non_null(mkdtemp(dir));
    data = str_from(dir);
    arena_init(&arena, 2 * GIB);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    arena_done(&arena);
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static struct str add(const char *name, struct str bytes)
{
    struct adhoc_file f;
    if (adhoc_files_add(data, STR("t"), str_from(name), bytes, &arena, &f, &err) != ST_OK)
        fail_msg("%.*s", STR_ARG(error_str(&err)));
    return f.id;
}

static uint32_t listed(struct adhoc_list *ret)
{
    struct adhoc_list list;
    assert_int_equal(adhoc_files_list(data, STR("t"), &arena, ret ? ret : &list, &err), ST_OK);
    return (ret ? ret : &list)->n;
}

static void test_ids(void **state)
{
    static const char *const bad[] = {"", "x", "01KB0000000000000000000000",
        "01KB0000000000000000000000_x", "01kb0000000000000000000000-x",
        "81KB0000000000000000000000-x", "01KB000000000000000000000U-x",
        "01KB0000000000000000000000-x/y", "01KB0000000000000000000000-x y",
        "../../../../../../../../../../x"};
    struct adhoc_file f;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(adhoc_id_parse(str_from(bad[i]), &f, &err), ST_INVALID_ARGUMENT);
    assert_int_equal(adhoc_id_parse(STR("0000000001ZZZZZZZZZZZZZZZZ-a.b_C-9"), &f, &err), ST_OK);
    assert_int_equal(f.uploaded_ms, 1);
    assert_true(str_eq(f.name, STR("a.b_C-9")));
    assert_int_equal(adhoc_id_parse(STR("0000000001ZZZZZZZZZZZZZZZZ-"), &f, &err), ST_OK);
    assert_true(str_eq(adhoc_name(STR("a b/\xc3\xa9.pb"), &arena), STR("a_b___.pb")));
}

static void test_keeps(void **state)
{
    struct adhoc_list list;
    struct str bytes;
    (void)state;
    assert_int_equal(listed(NULL), 0);
    struct str a = add("first", STR("one")), b = add("second", STR("")), c = add("", STR("three"));
    assert_int_equal(listed(&list), 3);
    assert_true(str_eq(list.v[0].id, c) && str_eq(list.v[1].id, b) && str_eq(list.v[2].id, a));
    assert_true(list.v[0].uploaded_ms > list.v[1].uploaded_ms);
    assert_int_equal(adhoc_files_read(data, STR("t"), a, &arena, &bytes, &err), ST_OK);
    assert_true(str_eq(bytes, STR("one")));
    assert_int_equal(adhoc_files_read(data, STR("t"), b, &arena, &bytes, &err), ST_OK);
    assert_int_equal(bytes.n, 0);
    assert_int_equal(adhoc_files_read(data, STR("u"), a, &arena, &bytes, &err), ST_NOT_FOUND);
}

static void test_damage(void **state)
{
    struct state_file at;
    struct str bytes, id = add("x", STR("some bytes"));
    (void)state;
    assert_int_equal(state_file_at(data, STR("t"), "adhoc", id, &at, &err), ST_OK);
    for (long size = 44; size >= 0; size--) { /* cut, and at last nothing */
        assert_int_equal(truncate(at.file, size), 0);
        assert_int_equal(adhoc_files_read(data, STR("t"), id, &arena, &bytes, &err), ST_DATA_LOSS);
    }
}

static void test_number(void **state)
{
    struct adhoc_list list;
    struct str id[ADHOC_FILES_MAX + 5];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(id); i++)
        id[i] = add("n", STR("a 1\n"));
    assert_int_equal(listed(&list), ADHOC_FILES_MAX);
    assert_true(str_eq(list.v[0].id, id[ARRAY_LEN(id) - 1]));
    assert_true(str_eq(list.v[ADHOC_FILES_MAX - 1].id, id[5]));
}

/* Files of 16 MiB without a byte written. */
static void test_bytes(void **state)
{
    struct adhoc_file f;
    (void)state;
    for (int i = 0; i < 18; i++) {
        struct state_file at;
        struct str id = add("large", STR("x"));
        assert_int_equal(state_file_at(data, STR("t"), "adhoc", id, &at, &err), ST_OK);
        assert_int_equal(truncate(at.file, ADHOC_FILE_BYTES), 0);
    }
    assert_int_equal(listed(NULL), 16); /* the last one was small when it came */
    add("small", STR("x"));
    assert_int_equal(listed(NULL), 16);
    char *large = arena_zalloc(&arena, ADHOC_FILE_BYTES + 1);
    assert_int_equal(adhoc_files_add(data, STR("t"), STR("x"),
                         str_make(large, ADHOC_FILE_BYTES + 1), &arena, &f, &err),
        ST_RESOURCE_EXHAUSTED);
    assert_int_equal(listed(NULL), 16);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_ids), T(test_keeps), T(test_damage), T(test_number), T(test_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
