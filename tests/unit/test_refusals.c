/* Refusals: grouped by service and reason, bounded, newest first, and the same after a restart. */
#include "test.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "ingest/refusals.h"
#include "server/config_int.h"

static char dir[64];
static struct refusals *r;

static void open_again(void)
{
    struct error err = {0};
    assert_int_equal(refusals_open(&fs_real, dir, &r, &err), ST_OK);
}

static int begin(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/everflame-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    open_again();
    return 0;
}

static int end(void **state)
{
    (void)state;
    char cmd[100];
    refusals_close(r);
    snprintf(cmd, sizeof cmd, "rm -r %s", dir);
    return system(cmd);
}

static void says(const char *tenant, const char *want)
{
    struct buf b;
    buf_init(&b, MIB);
    refusals_json(r, str_from(tenant), &b);
    buf_byte(&b, 0);
    assert_string_equal(b.p, want);
    buf_done(&b);
}

#define AT(s) ((s)*NS_PER_S)

static const char *const two =
    "{\"refusals\":[\n"
    "{\"service\":\"a\",\"reason\":\"series_limit\",\"setting\":\"limits.max_active_series\","
    "\"count\":5,\"last\":\"2026-11-22T00:00:09.000Z\",\"lastUnixMs\":1795305609000,"
    "\"message\":\"second \\\"time\\\"\"},\n"
    "{\"service\":\"b\",\"reason\":\"rate_limited\",\"setting\":\"limits.ingestion_rate_mb\","
    "\"count\":1,\"last\":\"2026-11-22T00:00:05.000Z\",\"lastUnixMs\":1795305605000,"
    "\"message\":\"too fast\"}]}\n";

static void note_two(void)
{
    refusals_note(r, STR("t"), STR("a"), STR("series_limit"), 2, STR("first"), AT(1795305600LL));
    refusals_note(r, STR("t"), STR("b"), STR("rate_limited"), 1, STR("too fast"), AT(1795305605LL));
    refusals_note(
        r, STR("t"), STR("a"), STR("series_limit"), 3, STR("second \"time\""), AT(1795305609LL));
}

static void are_grouped_and_kept(void **state)
{
    (void)state;
    says("t", "{\"refusals\":[]}\n");
    note_two();
    says("t", two);
    says("u", "{\"refusals\":[]}\n");
    refusals_close(r);
    open_again();
    says("t", two);
    refusals_note(r, STR("t"), STR("b"), STR("rate_limited"), 1, STR("again"), AT(1795305610LL));
    refusals_close(r);
    open_again();
    struct buf b;
    buf_init(&b, MIB);
    refusals_json(r, STR("t"), &b);
    assert_true(str_contains(buf_view(&b), STR("\"count\":2")));
    assert_true(str_contains(buf_view(&b), STR("\"message\":\"again\"")));
    buf_done(&b);
}

static void are_bounded(void **state)
{
    (void)state;
    char name[2000];
    memset(name, 'x', sizeof name);
    for (uint32_t i = 0; i < 3000; i++) {
        int n = snprintf(name, sizeof name, "%u", i);
        struct str s = str_make(name, (size_t)n);
        refusals_note(r, STR("t"), s, STR("series_limit"), 1, s, AT(1795305600LL + i));
        refusals_note(r, s, STR("a"), STR("series_limit"), 1, s, AT(1795305600LL + i));
    }
    struct buf b;
    buf_init(&b, MIB);
    refusals_json(r, STR("t"), &b);
    assert_true(str_starts(buf_view(&b), STR("{\"refusals\":[\n{\"service\":\"2999\"")));
    assert_true(str_contains(buf_view(&b), STR("{\"service\":\"2936\"")));
    assert_false(str_contains(buf_view(&b), STR("{\"service\":\"2935\"")));
    buf_done(&b);
    says("5", "{\"refusals\":[]}\n"); /* made room */
    memset(name, 'x', sizeof name);
    refusals_note(r, str_make(name, sizeof name), STR("a"), STR("unknown"), 1, STR("m"), 0);
    refusals_note(r, STR("v"), str_make(name, sizeof name), STR("no such reason"), 1,
        str_make(name, sizeof name), 0);
    buf_init(&b, MIB);
    refusals_json(r, STR("v"), &b);
    assert_true(b.n < 1000);
    assert_true(str_contains(buf_view(&b), STR("\"reason\":\"unknown\"")));
    buf_done(&b);
}

/* A flood of one kind does not push out the last of another. */
static void last_of_each_kind_stays(void **state)
{
    (void)state;
    struct buf b;
    for (uint32_t i = 0; i < refusal_reasons_n; i++)
        refusals_note(r, STR("t"), STR("a"), str_from(refusal_reasons[i].reason), 1, STR("m"),
            AT(1795305600LL));
    for (int64_t i = 0; i < 1000; i++) {
        char name[20];
        int n = snprintf(name, sizeof name, "s%d", (int)i);
        refusals_note(r, STR("t"), str_make(name, (size_t)n), STR("rate_limited"), 1, STR("m"),
            AT(1795305700LL + i));
    }
    refusals_close(r);
    open_again();
    buf_init(&b, MIB);
    refusals_json(r, STR("t"), &b);
    for (uint32_t i = 0; i < refusal_reasons_n; i++) {
        char want[100];
        snprintf(want, sizeof want, "\"reason\":\"%s\"", refusal_reasons[i].reason);
        assert_true(str_contains(buf_view(&b), str_from(want)));
    }
    buf_done(&b);
}

static void count_name(void *ctx, const char *name, bool is_dir)
{
    uint32_t *n = ctx;
    *n += is_dir && name[0] == 't';
}

static uint32_t count_dirs(void)
{
    char state_dir[100];
    uint32_t n = 0;
    snprintf(state_dir, sizeof state_dir, "%s/state", dir);
    assert_int_equal(fs_real.dir_list(&fs_real, state_dir, count_name, &n), 0);
    return n;
}

/* Tenants that nobody knows may be named without end: their files are bounded as well. */
static void files_are_bounded(void **state)
{
    (void)state;
    char path[200];
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 600; i++) {
            char name[20];
            int n = snprintf(name, sizeof name, "t%u", round * 600 + i);
            refusals_note(r, str_make(name, (size_t)n), STR("a"), STR("rate_limited"), 1, STR("m"),
                AT(1795305600LL));
        }
        refusals_close(r);
        open_again();
        assert_int_equal(count_dirs(), 512);
    }
    says("t0", "{\"refusals\":[]}\n");
    struct buf b;
    buf_init(&b, MIB);
    refusals_json(r, STR("t1799"), &b);
    assert_true(str_contains(buf_view(&b), STR("rate_limited")));
    buf_done(&b);
    /* what is not ours stays */
    snprintf(path, sizeof path, "%s/state/t1799/settings.pb", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    for (uint32_t i = 0; i < 512; i++) {
        char name[20];
        int n = snprintf(name, sizeof name, "t%u", 5000 + i);
        refusals_note(r, str_make(name, (size_t)n), STR("a"), STR("rate_limited"), 1, STR("m"),
            AT(1795305600LL));
    }
    refusals_close(r);
    open_again();
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(count_dirs(), 513);
}

static void *note_and_read(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    struct buf b;
    buf_init(&b, MIB);
    for (unsigned i = 0; i < 3000; i++) {
        char name[20];
        int n = snprintf(name, sizeof name, "t%u", (i / 2 * 11 + seed) % 700);
        struct str tenant = str_make(name, (size_t)n);
        refusals_note(r, i % 2 ? tenant : STR("t"), tenant, STR("rate_limited"), 1, tenant,
            AT(1795305600LL + i));
        if (i % 100 == 0) {
            buf_clear(&b);
            refusals_json(r, STR("t"), &b);
        }
    }
    buf_done(&b);
    return NULL;
}

/* Uploads note, a page reads, tenants make room, the writer writes; nothing of tenant t is lost. */
static void threads(void **state)
{
    (void)state;
    pthread_t t[4];
    unsigned seeds[4] = {1, 2, 3, 4};
    struct buf b;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, note_and_read, &seeds[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    refusals_close(r);
    open_again();
    assert_int_equal(count_dirs(), 512);
    buf_init(&b, MIB);
    refusals_json(r, STR("t"), &b);
    assert_true(str_contains(buf_view(&b), STR("rate_limited")));
    buf_done(&b);
}

static void bad_files_are_absent(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{", "[[[[", "{\"refusals\":[{\"count\":\"x\"}]",
        "{\"refusals\":[{\"reason\":7,\"count\":-1,\"lastUnixMs\":1e99}]}",
        "{\"refusals\":[{\"service\":\"x\",\"lastUnixMs\":9223372036854775807}]}",
        "{\"refusals\":[{\"service\":\"x\",\"lastUnixMs\":-9223372036854775808}]}", "\xff"};
    char path[200];
    note_two();
    refusals_close(r);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        snprintf(path, sizeof path, "%s/state/t/refusals.json", dir);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(texts[i], f);
        assert_int_equal(fclose(f), 0);
        open_again();
        note_two();
        refusals_close(r);
    }
    open_again();
    struct buf b;
    buf_init(&b, MIB);
    refusals_json(r, STR("t"), &b);
    assert_true(str_contains(buf_view(&b), STR("\"message\":\"too fast\"")));
    buf_done(&b);
}

/* Whoever follows the hint finds the setting. */
static void settings_exist(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < refusal_reasons_n; i++)
        if (refusal_reasons[i].setting[0])
            assert_true(config_find_yaml(str_from(refusal_reasons[i].setting)) >= 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        T(are_grouped_and_kept),
        T(are_bounded),
        T(last_of_each_kind_stays),
        T(files_are_bounded),
        T(threads),
        T(bad_files_are_absent),
        cmocka_unit_test(settings_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
