/* The committed pages are those of the tables, and the tables are complete. */
#include "test.h"

#include <stdio.h>

#include "base/fs.h"
#include "cli/cli_int.h"

static void same(const char *path, void (*make)(struct buf *), const char *how)
{
    struct buf want, got;
    struct error err;
    buf_init(&want, 16 * MIB);
    buf_init(&got, 16 * MIB);
    assert_int_equal(fs_read_all(&fs_real, path, 16 * MIB, &got, &err), ST_OK);
    make(&want);
    assert_false(want.failed);
    if (!str_eq(buf_view(&want), buf_view(&got)))
        fail_msg("%s is not what the tables say: run %s > %s", path, how, path);
    buf_done(&want);
    buf_done(&got);
}

static void test_pages(void **state)
{
    (void)state;
    same("docs/cli.md", cli_docs_markdown, "everflame help --markdown");
    same("man/everflame.1", cli_docs_man, "everflame help --man");
}

static void test_tables(void **state)
{
    (void)state;
    uint64_t used = BIT(OPT_HELP);
    for (uint32_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        assert_non_null(c->run);
        assert_true(c->summary[0] && c->text[0] && c->examples[0].line);
        assert_ptr_equal(command_find(str_from(c->name)), c);
        assert_true(c->args_max >= c->args_min);
        assert_int_equal(c->args_max > 0, c->args[0] != 0);
        used |= c->options;
    }
    assert_int_equal(used, BIT(OPT_COUNT) - 1);
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        assert_true(option_defs[i].name && option_defs[i].text);
        for (uint32_t k = 0; k < i; k++)
            assert_string_not_equal(option_defs[i].name, option_defs[k].name);
    }
}

/* Help names every option a command takes, and fits a window. */
static void test_help(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, MIB);
    for (uint32_t i = 0; i < n_commands; i++) {
        buf_clear(&out);
        help_command(&commands[i], &out);
        for (uint32_t k = 0; k < OPT_COUNT; k++) {
            char name[64];
            snprintf(name, sizeof name, "--%s", option_defs[k].name);
            if (commands[i].options & BIT(k))
                assert_true(str_contains(buf_view(&out), str_from(name)));
        }
        struct str_split it = {.rest = buf_view(&out)};
        struct str line;
        while (str_split_next(&it, '\n', &line))
            assert_true(line.n <= 110);
    }
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
