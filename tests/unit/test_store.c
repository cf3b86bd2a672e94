/* store: what is appended is seen, durable, and the same after a restart. */
#include "test.h"

#include <stdatomic.h>
#include <sched.h>
#include <unistd.h>

#include "base/mem.h"
#include "fixture_store.h"

struct waiter {
    atomic_int calls;
    enum status st;
};

static void on_done(void *ctx, enum status st, const struct error *err)
{
    struct waiter *w = ctx;
    (void)err;
    w->st = st;
    atomic_fetch_add(&w->calls, 1);
}

static enum status append_and_wait(struct store *s, const struct store_row *rows, uint32_t n)
{
    struct waiter w = {0};
    struct error err;
    enum status st = store_append(s, STR("anonymous"), rows, n, on_done, &w, &err);
    if (st != ST_OK)
        return st;
    while (!atomic_load(&w.calls))
        sched_yield();
    return w.st;
}

static struct store *open_store(const char *dir)
{
    struct store *s = NULL;
    struct error err = {0};
    const struct store_config cfg = {.dir = dir,
        .fs = &fs_real,
        .head_bytes_max = GIB,
        .segment_bytes_max = 4096,
        .queue_bytes_max = 64 * MIB,
        .no_maintenance = true};
    enum status st = store_open(&cfg, &s, &err);
    if (st != ST_OK)
        print_error("%s\n", err.msg);
    assert_int_equal(st, ST_OK);
    return s;
}

/* Sum of one type over everything the store shows of a service, and how many rows. */
static int64_t total_of(struct store *s, const char *service, uint32_t type, uint32_t *ret_rows)
{
    const struct store_view *v = all_parts(s);
    int64_t total = 0;
    *ret_rows = 0;
    struct row_walk walk = {.s = s, .v = v, .what = STORE_SAMPLES};
    const struct part *p;
    const struct part_row *r;
    while (row_walk_next(&walk, &p, &r)) {
        const struct part_series *se = part_series(p, r->series);
        if (!str_eq(p->service, str_from(service)) || type >= se->n_types)
            continue;
        uint32_t nodes = part_nodes(p);
        int64_t *sums = mem_new(nodes * sizeof *sums);
        assert_int_equal(
            samples_sum(str_make(r->bytes, r->n_bytes), se->n_types, type, sums, nodes, NULL),
            ST_OK);
        for (uint32_t k = 0; k < nodes; k++)
            total += sums[k];
        mem_free(sums);
        *ret_rows += 1;
    }
    store_view_release(s, v);
    return total;
}

static char *temp_dir(void)
{
    static char dir[64];
    snprintf(dir, sizeof dir, "/tmp/everflame-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static void remove_dir(const char *dir)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    const char *dir = temp_dir(), *const stacks[] = {"abc", "abd", "x"};
    const int64_t values[] = {1, 10, 2, 20, 4, 0};
    struct store *s = open_store(dir);
    struct request a, b;
    uint32_t rows;
    request_init(&a, "one", stacks, values, 3, 2);
    request_init(&b, "two", stacks, values, 3, 1);
    for (int i = 0; i < 200; i++) {
        const struct store_row both[] = {a.row, b.row};
        assert_int_equal(append_and_wait(s, both, i % 2 ? 2 : 1), ST_OK);
    }
    for (int restart = 0; restart < 3; restart++) {
        assert_int_equal(total_of(s, "one", 0, &rows), 200 * 7);
        assert_int_equal(rows, 200);
        assert_int_equal(total_of(s, "one", 1, &rows), 200 * 30);
        assert_int_equal(total_of(s, "two", 0, &rows), 100 * (1 + 10 + 2));
        store_close(s);
        s = open_store(dir);
    }
    store_close(s);
    arena_done(&a.arena);
    arena_done(&b.arena);
    remove_dir(dir);
}

static void test_many_types_are_split(void **state)
{
    (void)state;
    const char *dir = temp_dir(), *const stacks[] = {"ab"};
    const int64_t values[] = {1, 2, 3, 4, 5, 6};
    struct store *s = open_store(dir);
    struct request a;
    uint32_t rows;
    request_init(&a, "one", stacks, values, 1, 6);
    assert_int_equal(append_and_wait(s, &a.row, 1), ST_OK);
    assert_int_equal(total_of(s, "one", 0, &rows), 1 + 5);
    assert_int_equal(rows, 2);
    assert_int_equal(total_of(s, "one", 3, &rows), 4);
    store_close(s);
    arena_done(&a.arena);
    remove_dir(dir);
}

/* A row that fails takes the whole upload back; the next upload is whole. */
static void test_overflow_takes_all_back(void **state)
{
    (void)state;
    const char *dir = temp_dir(), *const stacks[] = {"ab", "cd"};
    const int64_t fine[] = {1, 2}, bad[] = {INT64_MAX, 1};
    struct store *s = open_store(dir);
    struct request a, b;
    uint32_t rows;
    request_init(&a, "one", stacks, fine, 2, 1);
    request_init(&b, "one", stacks, bad, 2, 1);
    const struct store_row both[] = {a.row, b.row};
    assert_int_equal(append_and_wait(s, both, 2), ST_OUT_OF_RANGE);
    assert_int_equal(total_of(s, "one", 0, &rows), 0);
    assert_int_equal(append_and_wait(s, &a.row, 1), ST_OK);
    store_close(s);
    s = open_store(dir);
    assert_int_equal(total_of(s, "one", 0, &rows), 3);
    assert_int_equal(rows, 1);
    store_close(s);
    arena_done(&a.arena);
    arena_done(&b.arena);
    remove_dir(dir);
}

static void test_second_process_is_refused(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    struct store *s = open_store(dir), *second;
    struct error err;
    const struct store_config cfg = {.dir = dir,
        .fs = &fs_real,
        .head_bytes_max = GIB,
        .segment_bytes_max = 4096,
        .queue_bytes_max = MIB,
        .no_maintenance = true};
    assert_int_equal(store_open(&cfg, &second, &err), ST_FAILED_PRECONDITION);
    assert_non_null(strstr(err.msg, "in use by another process"));
    store_close(s);
    remove_dir(dir);
}

static void test_profile_id(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    struct store *s = open_store(dir);
    char a[37], b[37], c[37];
    store_profile_id(s, 1, a);
    store_profile_id(s, 2, b);
    store_profile_id(s, 1, c);
    assert_string_equal(a, c);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 36);
    assert_int_equal(a[14], '8');
    store_close(s);
    remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_many_types_are_split),
        cmocka_unit_test(test_overflow_takes_all_back),
        cmocka_unit_test(test_second_process_is_refused),
        cmocka_unit_test(test_profile_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
