/* store: what is appended is seen, durable, and the same after a restart. */
#include "test.h"

#include <stdatomic.h>
#include <sched.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/labels.h"
#include "store/frame_int.h"
#include "store/store.h"

/* A request with the given stacks of single letters: "abc" is root a, leaf c. */
struct request {
    struct arena arena;
    struct prof_symbols sym;
    struct profile prof;
    struct store_row row;
};

static void request_init(struct request *rq, const char *service, const char *const *stacks,
    const int64_t *values, uint32_t n, uint32_t n_types)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz";
    arena_init(&rq->arena, MIB);
    struct prof_symbols *sym = &rq->sym;
    *sym = (struct prof_symbols){.n_strings = 27,
        .n_functions = 26,
        .n_lines = 26,
        .n_locations = 26,
        .n_stacks = n,
        .n_labelsets = 1};
    sym->strings = ARENA_ZARRAY(&rq->arena, struct str, 27);
    sym->functions = ARENA_ZARRAY(&rq->arena, struct prof_function, 26);
    sym->lines = ARENA_ZARRAY(&rq->arena, struct prof_line, 26);
    sym->locations = ARENA_ZARRAY(&rq->arena, struct prof_location, 26);
    sym->stacks = ARENA_ZARRAY(&rq->arena, struct prof_stack, n);
    sym->frames = ARENA_ZARRAY(&rq->arena, uint32_t, 1000);
    sym->labelsets = ARENA_ZARRAY(&rq->arena, struct prof_labelset, 1);
    sym->strings[0] = STR_EMPTY;
    for (uint32_t i = 0; i < 26; i++) {
        sym->strings[i + 1] = str_make(alphabet + i, 1);
        sym->functions[i].name = i + 1;
        sym->lines[i] = (struct prof_line){i, (int64_t)i * 10};
        sym->locations[i] = (struct prof_location){
            .mapping = PROF_NONE, .first_line = i, .n_lines = 1};
    }
    struct profile *p = &rq->prof;
    *p = (struct profile){
        .sym = sym, .n_types = n_types, .n_samples = n, .time_ns = 1700000000000000000};
    p->types = ARENA_ZARRAY(&rq->arena, struct prof_type, n_types);
    for (uint32_t k = 0; k < n_types; k++)
        p->types[k] = (struct prof_type){arena_printf(&rq->arena, "type%u", k), STR("count")};
    p->period_type = (struct prof_type){STR_EMPTY, STR_EMPTY};
    p->samples = ARENA_ZARRAY(&rq->arena, struct prof_sample, n);
    p->values = ARENA_ZARRAY(&rq->arena, int64_t, (size_t)n * n_types);
    memcpy(p->values, values, (size_t)n * n_types * sizeof *values);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t len = (uint32_t)strlen(stacks[i]);
        sym->stacks[i] = (struct prof_stack){sym->n_frames, len};
        for (uint32_t k = len; k-- > 0;)
            sym->frames[sym->n_frames++] = (uint32_t)(stacks[i][k] - 'a');
        p->samples[i].stack = i;
    }
    struct label *ls = ARENA_ZARRAY(&rq->arena, struct label, 2);
    ls[0] = (struct label){STR("__name__"), STR("cpu")};
    ls[1] = (struct label){STR("service_name"), str_from(service)};
    rq->row = (struct store_row){.labels = {ls, 2}, .prof = p};
}

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
        .queue_bytes_max = 64 * MIB};
    enum status st = store_open(&cfg, &s, &err);
    if (st != ST_OK)
        print_error("%s\n", err.msg);
    assert_int_equal(st, ST_OK);
    return s;
}

/* Sum of one type over everything the store shows of a service, and how many rows. */
static int64_t total_of(struct store *s, const char *service, uint32_t type, uint32_t *ret_rows)
{
    const struct store_view *v = store_view_acquire(s, STR("anonymous"), INT64_MIN, INT64_MAX);
    int64_t total = 0;
    *ret_rows = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        const struct part *p = v->parts[i];
        uint32_t rows = part_rows(p), nodes = part_nodes(p);
        if (!str_eq(p->service, str_from(service)))
            continue;
        int64_t *sums = mem_new(nodes * sizeof *sums);
        for (uint32_t k = 0; k < rows; k++) {
            const struct part_row *r = part_row(p, k);
            const struct part_series *se = part_series(p, r->series);
            if (type >= se->n_types)
                continue;
            assert_int_equal(
                samples_sum(str_make(r->bytes, r->n_bytes), se->n_types, type, sums, nodes, NULL),
                ST_OK);
            *ret_rows += 1;
        }
        for (uint32_t k = 0; k < nodes; k++)
            total += sums[k];
        mem_free(sums);
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
        .queue_bytes_max = MIB};
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
