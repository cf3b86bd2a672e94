/* Open hours: at most HOURS_MAX of a tenant in memory; who opens one more waits for a cut, is
 * stored after it, and is refused where no cut can come. */
#include "test.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "fixture_store.h"
#include "store/store_int.h"

enum { THREADS = 8, PER_THREAD = 20 };

static const int64_t first_ns = 1700000000000000000;
static char dir[64];
static struct store *s;
static struct fs fs_broken; /* fs_real, but no block can be written */

static int no_blocks(struct fs *fs, const char *path, enum fs_mode mode, struct fs_file **ret_file)
{
    if (mode != FS_READ && strstr(path, ".efb"))
        return EIO;
    return fs_real.file_open(fs, path, mode, ret_file);
}

static void open_store(struct fs *fs, bool maintenance)
{
    const struct store_config cfg = {.dir = dir,
        .fs = fs,
        .head_bytes_max = GIB,
        .segment_bytes_max = 64 * MIB,
        .queue_bytes_max = 64 * MIB,
        .no_maintenance = !maintenance,
        .no_compaction = true}; /* blocks are counted */
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
}

static int begin(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/everflame-hours-XXXXXX");
    return mkdtemp(dir) ? 0 : 1;
}

static int end(void **state)
{
    (void)state;
    char cmd[100];
    store_close(s);
    snprintf(cmd, sizeof cmd, "rm -r %s", dir);
    return system(cmd);
}

/* An upload: `n` rows, one hour apart, for one tenant. */
struct upload {
    struct request rq[HOURS_MAX + 1];
    struct store_row rows[HOURS_MAX + 1];
    uint32_t n;
    atomic_int calls;
    enum status st;
    char why[ERROR_MSG_MAX];
};

static void on_done(void *ctx, enum status st, const struct error *err)
{
    struct upload *u = ctx;
    u->st = st;
    snprintf(u->why, sizeof u->why, "%s", err ? err->msg : "");
    assert_int_equal(atomic_fetch_add(&u->calls, 1), 0);
}

static struct upload *upload_start(const char *tenant, uint32_t hour, uint32_t n)
{
    static const char *const stacks[] = {"ab"};
    struct upload *u = NEW(struct upload);
    const int64_t value = 1;
    struct error err;
    u->n = n;
    for (uint32_t i = 0; i < n; i++) {
        request_init(&u->rq[i], "svc", stacks, &value, 1, 1);
        u->rq[i].prof.time_ns = first_ns + (hour + i) * BLOCK_HOUR_NS;
        u->rows[i] = u->rq[i].row;
    }
    enum status st = store_append(s, str_from(tenant), u->rows, n, on_done, u, &err);
    if (st != ST_OK)
        on_done(u, st, &err);
    return u;
}

static enum status upload_end(struct upload *u, char *why)
{
    while (!atomic_load(&u->calls))
        usleep(50);
    for (uint32_t i = 0; i < u->n; i++)
        arena_done(&u->rq[i].arena);
    enum status st = u->st;
    if (why)
        snprintf(why, ERROR_MSG_MAX, "%s", u->why);
    mem_free(u);
    return st;
}

static enum status put(const char *tenant, uint32_t hour, uint32_t n, char *why)
{
    return upload_end(upload_start(tenant, hour, n), why);
}

/* The hours of a tenant in all epochs in memory, counted from their rows. */
static uint32_t hours_in_memory(struct str tenant)
{
    static int64_t hours[4096];
    uint32_t n = 0;
    mutex_lock(&s->view_lock);
    for (uint32_t e = 0; e < s->n_epochs; e++)
        for (uint32_t d = 0; d < s->epochs[e]->n_datasets; d++) {
            const struct part *p = &epoch_dataset(s->epochs[e], d)->part;
            uint32_t rows = str_eq(p->tenant, tenant) ? part_rows(p) : 0;
            for (uint32_t i = 0, k; i < rows; i++) {
                int64_t hour = block_hour(part_row(p, i)->time_ns);
                for (k = 0; k < n && hours[k] != hour; k++)
                    ;
                hours[k] = hour;
                n += k == n;
            }
        }
    mutex_unlock(&s->view_lock);
    return n;
}

static uint32_t rows_shown(const char *tenant)
{
    const struct store_view *v;
    uint32_t n = 0;
    assert_int_equal(
        store_view_acquire(s, str_from(tenant), STR_EMPTY, INT64_MIN, INT64_MAX, &v, NULL), ST_OK);
    struct row_walk walk = {.s = s, .v = v};
    const struct part *p;
    const struct part_row *r;
    while (row_walk_next(&walk, &p, &r))
        n++;
    store_view_release(s, v);
    return n;
}

static void test_one_after_the_other(void **state)
{
    (void)state;
    open_store(&fs_real, true);
    for (uint32_t hour = 0; hour < 3 * HOURS_MAX + 1; hour++) {
        assert_int_equal(put("a", hour, 1, NULL), ST_OK);
        assert_in_range(hours_in_memory(STR("a")), 0, HOURS_MAX);
    }
    assert_in_range(s->n_blocks, HOURS_MAX, 3 * HOURS_MAX);
    assert_int_equal(rows_shown("a"), 3 * HOURS_MAX + 1);
}

static void *many(void *arg)
{
    uint32_t *first = arg;
    for (uint32_t i = 0; i < PER_THREAD; i++) {
        assert_int_equal(put("a", *first + i, 1 + i % 3, NULL), ST_OK);
        assert_int_equal(put("b", i % HOURS_MAX, 1, NULL), ST_OK);
        assert_in_range(hours_in_memory(STR("a")), 0, HOURS_MAX);
    }
    return NULL;
}

static void test_many_at_once(void **state)
{
    pthread_t threads[THREADS];
    uint32_t first[THREADS], rows = 0;
    (void)state;
    open_store(&fs_real, true);
    for (uint32_t i = 0; i < THREADS; i++) {
        first[i] = i * 1000;
        assert_int_equal(thread_start(&threads[i], "uploader", many, &first[i], NULL), ST_OK);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    for (uint32_t i = 0; i < PER_THREAD; i++)
        rows += THREADS * (1 + i % 3);
    assert_int_equal(rows_shown("a"), rows);
    assert_int_equal(rows_shown("b"), THREADS * PER_THREAD);
}

static void test_too_many_in_one(void **state)
{
    char why[ERROR_MSG_MAX];
    (void)state;
    open_store(&fs_real, true);
    assert_int_equal(put("a", 0, HOURS_MAX + 1, why), ST_INVALID_ARGUMENT);
    assert_non_null(strstr(why, "more than 64 hours"));
    assert_int_equal(rows_shown("a"), 0);
    assert_int_equal(put("a", 0, HOURS_MAX, NULL), ST_OK);
    assert_int_equal(put("a", 10, HOURS_MAX, NULL), ST_OK); /* ten are new: after a cut */
    assert_int_equal(rows_shown("a"), 2 * HOURS_MAX);
}

/* Nobody would cut: refused at once, nothing stored; others go on. */
static void test_refused(void **state)
{
    char why[ERROR_MSG_MAX];
    (void)state;
    open_store(&fs_real, false);
    assert_int_equal(put("a", 0, HOURS_MAX, NULL), ST_OK);
    assert_int_equal(put("a", HOURS_MAX, 1, why), ST_UNAVAILABLE);
    assert_non_null(strstr(why, "65 different hours"));
    assert_int_equal(put("a", 5, 1, NULL), ST_OK);
    assert_int_equal(put("b", 500, 1, NULL), ST_OK);
    assert_int_equal(rows_shown("a"), HOURS_MAX + 1);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    assert_int_equal(put("a", HOURS_MAX, 1, NULL), ST_OK);
}

/* Hours that replay brought back count until their epoch is in blocks. */
static void test_after_a_restart(void **state)
{
    (void)state;
    open_store(&fs_real, false);
    assert_int_equal(put("a", 0, HOURS_MAX, NULL), ST_OK);
    store_close(s);
    open_store(&fs_real, false);
    assert_int_equal(put("a", HOURS_MAX, 1, NULL), ST_UNAVAILABLE);
    assert_int_equal(put("a", 3, 1, NULL), ST_OK);
    store_close(s);
    open_store(&fs_real, true);
    assert_int_equal(put("a", HOURS_MAX, 1, NULL), ST_OK);
    assert_in_range(hours_in_memory(STR("a")), 1, HOURS_MAX);
    assert_int_equal(rows_shown("a"), HOURS_MAX + 2);
}

/* The cut fails: who waits is told so in the end, others do not notice. */
static void test_cut_fails(void **state)
{
    char why[ERROR_MSG_MAX];
    (void)state;
    fs_broken = fs_real;
    fs_broken.file_open = no_blocks;
    open_store(&fs_broken, true);
    assert_int_equal(put("a", 0, HOURS_MAX, NULL), ST_OK);
    struct upload *u = upload_start("a", HOURS_MAX, 1);
    assert_int_equal(put("b", HOURS_MAX, 1, NULL), ST_OK);
    assert_int_equal(put("a", 1, 1, NULL), ST_OK);
    assert_int_equal(atomic_load(&u->calls), 0);
    store_close(s);
    assert_int_equal(upload_end(u, why), ST_UNAVAILABLE);
    assert_non_null(strstr(why, "65 different hours"));
    open_store(&fs_real, false);
    assert_int_equal(rows_shown("a"), HOURS_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_after_the_other, begin, end),
        cmocka_unit_test_setup_teardown(test_many_at_once, begin, end),
        cmocka_unit_test_setup_teardown(test_too_many_in_one, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_after_a_restart, begin, end),
        cmocka_unit_test_setup_teardown(test_cut_fails, begin, end),
    };
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
