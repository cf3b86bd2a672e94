/* The maintainer by itself: a disk that gets too full is not left to the next minute's retention.
 */
#include "test.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "fixture_store.h"
#include "store/store_int.h"

enum { TOTAL = 1 << 20, PERCENT = 85, PATIENCE_S = 20 };

static struct fs fs_small; /* fs_real on a disk that is as full as we say */
static atomic_uint used_percent;

static int space(struct fs *fs, const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
    (void)fs;
    (void)path;
    *ret_total = TOTAL;
    *ret_free = (uint64_t)TOTAL * (100 - atomic_load(&used_percent)) / 100;
    return 0;
}

static void on_done(void *ctx, enum status st, const struct error *err)
{
    (void)err;
    assert_int_equal(st, ST_OK);
    atomic_store((atomic_bool *)ctx, true);
}

/* An upload whose service's name makes a block of some 10 KB. */
static void put(struct store *s, int64_t time_ns)
{
    static const char *const stacks[] = {"ab"};
    const int64_t value = 1;
    static char service[30000];
    struct request rq;
    atomic_bool done = false;
    uint32_t x = (uint32_t)(time_ns / BLOCK_HOUR_NS);
    for (size_t i = 0; i + 1 < sizeof service; i++) {
        x = x * 1664525 + 1013904223;
        service[i] = (char)('a' + (x >> 24) % 26);
    }
    request_init(&rq, service, stacks, &value, 1, 1);
    rq.prof.time_ns = time_ns;
    assert_int_equal(store_append(s, STR("a"), &rq.row, 1, on_done, &done, NULL), ST_OK);
    while (!atomic_load(&done))
        usleep(50);
    arena_done(&rq.arena);
}

static uint32_t blocks(struct store *s)
{
    mutex_lock(&s->view_lock);
    uint32_t n = s->n_blocks;
    mutex_unlock(&s->view_lock);
    return n;
}

static void test_full_disk(void **state)
{
    char dir[64] = "/tmp/everflame-maintain-XXXXXX", cmd[100];
    struct store *s;
    (void)state;
    assert_non_null(mkdtemp(dir));
    fs_small = fs_real;
    fs_small.space = space;
    atomic_store(&used_percent, PERCENT - 10);
    const struct store_config cfg = {.dir = dir,
        .fs = &fs_small,
        .head_bytes_max = GIB,
        .segment_bytes_max = MIB,
        .queue_bytes_max = 64 * MIB,
        .retention_disk_percent = PERCENT};
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    for (int64_t hour = 0; hour < 20; hour++)
        put(s, 1700000000000000000 + hour * BLOCK_HOUR_NS);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    assert_int_equal(blocks(s), 20);
    usleep(2500000); /* the first retention, that of the start, is over: it found room */
    assert_int_equal(blocks(s), 20);
    int64_t until = clock_mono_ns() + PATIENCE_S * NS_PER_S;
    atomic_store(&used_percent, 100);
    while (blocks(s) == 20 && clock_mono_ns() < until)
        usleep(1000);
    assert_in_range(blocks(s), 1, 19); /* some are left: others filled the disk */
    store_close(s);
    snprintf(cmd, sizeof cmd, "rm -r %s", dir);
    assert_int_equal(system(cmd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full_disk)};
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
