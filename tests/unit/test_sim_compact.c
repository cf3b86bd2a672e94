/* Merges, retention, cuts and recovery on a disk that forgets and fails: for every operation n of a
 * run over several days, the n-th operation fails, or three do, or the machine dies there; then the
 * power goes. Recovery itself is run into the same faults, and merges again.
 *
 * The ledger: a row that was acknowledged and is not too old is there exactly once, a refused one
 * never, one that retention removed for certain (its whole day was too old) never again. A view
 * that was taken before shows what it showed. */
#include "test.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "fixture_blocks.h"

enum { ROWS = 20, DAYS = 3 };
enum { UNKNOWN, ACKNOWLEDGED, REFUSED };
#define DAY_NS (24 * HOUR_NS)
#define DAY0 (T0 - 22 * HOUR_NS) /* midnight */

struct run {
    struct fs_sim *sim;
    struct store *store;
    int outcomes[ROWS];
    bool removed[ROWS]; /* for certain */
    int64_t bound_ns;   /* what is older may be gone */
    bool dead;          /* the machine may be gone: nothing to wait for */
    char what[120];
};

/* Rows 0, 1, 2 … go round the days and through hours of each. */
static int64_t time_of(uint32_t row)
{
    return DAY0 + (row % DAYS) * DAY_NS + (row / DAYS) * HOUR_NS + row;
}

static uint32_t row_of(int64_t time_ns)
{
    return (uint32_t)((time_ns - DAY0) % HOUR_NS);
}

static enum status open_store(struct run *r)
{
    struct store_config cfg = sim_config(r->sim);
    cfg.segment_bytes_max = 700;
    return store_open(&cfg, &r->store, NULL);
}

static void put_rows(struct run *r, uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++) {
        enum status st = upload(r->store, "anonymous", i % 2 ? "one" : "two", time_of(i), 1, i);
        r->outcomes[i] = st == ST_OK ? ACKNOWLEDGED : st == ST_UNAVAILABLE ? REFUSED : UNKNOWN;
        if (r->outcomes[i] != ACKNOWLEDGED && !r->dead)
            usleep(2000); /* the log begins again */
    }
}

/* Everything of the days before is too old. */
static void cut_and_expire(struct run *r, int day)
{
    bool cut = store_cut(r->store, "test", NULL) == ST_OK;
    r->bound_ns = MAX(r->bound_ns, DAY0 + day * DAY_NS);
    r->store->cfg.retention_ns = HOUR_NS;
    bool expired = store_expire(r->store, r->bound_ns + HOUR_NS, NULL) == ST_OK;
    for (uint32_t i = 0; i < ROWS && cut && expired; i++)
        r->removed[i] |= time_of(i) < r->bound_ns;
}

static void check_view(struct run *r, const struct store_view *v, const char *when)
{
    uint32_t seen[ROWS] = {0};
    struct row_walk walk = {.s = r->store, .v = v, .what = STORE_SAMPLES};
    const struct part *p;
    const struct part_row *row;
    while (row_walk_next(&walk, &p, &row))
        seen[row_of(row->time_ns)]++;
    for (uint32_t i = 0; i < ROWS; i++) {
        bool must = r->outcomes[i] == ACKNOWLEDGED && time_of(i) >= r->bound_ns;
        bool may = r->outcomes[i] != REFUSED && !r->removed[i];
        if (seen[i] < must || seen[i] > may)
            fail_msg("%s, %s: row %u (outcome %d, removed %d) is there %u times", r->what, when, i,
                r->outcomes[i], r->removed[i], seen[i]);
    }
}

static void check(struct run *r, const char *when)
{
    const struct store_view *v = all_parts(r->store);
    check_view(r, v, when);
    store_view_release(r->store, v);
}

/* Merges with a view held over it: that shows the same afterwards. */
static void compact(struct run *r, bool force, const char *when)
{
    const struct store_view *v = all_parts(r->store);
    (void)store_compact(r->store, force, NULL, NULL, NULL);
    check_view(r, v, when);
    store_view_release(r->store, v);
    check(r, when);
}

static void work(struct run *r)
{
    put_rows(r, 0, 6);
    (void)store_cut(r->store, "test", NULL);
    put_rows(r, 6, 4);
    (void)store_cut(r->store, "test", NULL);
    compact(r, true, "after the first merges");
    put_rows(r, 10, 4);
    (void)store_cut(r->store, "test", NULL);
    compact(r, true, "after merging late data");
    cut_and_expire(r, 1);
    check(r, "after retention");
    for (uint32_t i = 14; i < ROWS; i++) /* none of the day that is gone */
        if (time_of(i) >= r->bound_ns)
            put_rows(r, i, 1);
    compact(r, false, "at the end");
}

static void assert_clean(struct run *r)
{
    struct found *f = find_files(r->sim, ".efb");
    for (uint32_t i = 0; i < f->n; i++) {
        bool served = false;
        for (uint32_t k = 0; k < r->store->n_blocks; k++)
            served |= strstr(f->paths[i], r->store->blocks[k]->path) != NULL;
        if (!served)
            fail_msg("%s: %s is left over", r->what, f->paths[i]);
    }
    assert_int_equal(f->n, r->store->n_blocks);
    mem_free(f);
    assert_int_equal(count_files(r->sim, "data/tmp/"), 0);
    assert_int_equal(count_files(r->sim, "quarantine/"), 0);
    assert_int_equal(r->store->n_unmarked, 0);
    assert_int_equal(r->store->n_broken, 0);
}

/* In the end everything works: one block per day that is left, and nothing else. */
static void finish(struct run *r)
{
    double bad = metric_get(M_BLOCKS_BAD);
    assert_int_equal(open_store(r), ST_OK);
    check(r, "in the end");
    cut_and_expire(r, 1);
    assert_int_equal(store_compact(r->store, true, NULL, NULL, NULL), ST_OK);
    check(r, "after everything was merged");
    assert_in_range(r->store->n_blocks, 0, DAYS - 1);
    assert_int_equal(store_expire(r->store, r->bound_ns + HOUR_NS, NULL), ST_OK);
    assert_clean(r);
    store_close(r->store);
    fs_sim_crash(r->sim, 99);
    assert_int_equal(open_store(r), ST_OK);
    check(r, "and again");
    assert_clean(r);
    assert_true(metric_get(M_BLOCKS_BAD) == bad); /* nothing is missing or damaged */
    store_close(r->store);
}

static bool one_run(enum fs_sim_fault fault, uint64_t n)
{
    struct run *r = NEW(struct run);
    r->sim = fs_sim_new(n * 5 + (uint64_t)fault);
    r->bound_ns = INT64_MIN;
    r->dead = fault == FS_SIM_DEAD;
    for (uint32_t i = 0; i < ROWS; i++)
        r->outcomes[i] = REFUSED; /* not tried */
    snprintf(
        r->what, sizeof r->what, "fault %d at operation %llu", (int)fault, (unsigned long long)n);
    fs_sim_plan(r->sim, fault, n, 3, n % 3 ? EIO : ENOSPC);
    enum status st = open_store(r);
    for (int i = 0; i < 5 && st != ST_OK && fault != FS_SIM_DEAD; i++)
        st = open_store(r);
    if (st == ST_OK) {
        work(r);
        store_close(r->store);
    }
    bool fired = fs_sim_fired(r->sim);
    for (uint64_t crash = 0; crash < 4; crash++) {
        if (crash == 0 && n % 2)
            fs_sim_kill(r->sim);
        else
            fs_sim_crash(r->sim, n * 11 + crash);
        if (crash < 3) /* recovery and merging meet the fault again, elsewhere each time */
            fs_sim_plan(r->sim, fault, 1 + (n + 17 * crash) % 60, 3, EIO);
        st = open_store(r);
        if (st != ST_OK) {
            assert_in_range(crash, 0, 2);
            continue;
        }
        check(r, "after the crash");
        (void)store_cut(r->store, "test", NULL);
        compact(r, crash % 2, "after the crash and merging");
        store_close(r->store);
    }
    fs_sim_crash(r->sim, n);
    finish(r);
    fs_sim_free(r->sim);
    mem_free(r);
    return fired;
}

static void every_n(enum fs_sim_fault fault)
{
    uint64_t n = 1;
    while (one_run(fault, n))
        n++;
    assert_true(n > 150); /* it goes through logs, blocks, merges, markers and removals */
}

static void test_dies(void **state)
{
    (void)state;
    every_n(FS_SIM_DEAD);
}

static void test_fails_once(void **state)
{
    (void)state;
    every_n(FS_SIM_FAIL_ONCE);
}

static void test_fails_three_times(void **state)
{
    (void)state;
    every_n(FS_SIM_FAIL_COUNT);
}

/* The process ends during retention and a new one starts, which acts upon what it reads; then the
 * power goes. What the first one had not synced yet must not be what the second relied upon. */
static bool killed_then_powerless(uint64_t n, uint64_t seed)
{
    struct run r = {.sim = fs_sim_new(seed), .bound_ns = INT64_MIN};
    double bad = metric_get(M_BLOCKS_BAD);
    snprintf(r.what, sizeof r.what, "operation %llu, seed %llu", (unsigned long long)n,
        (unsigned long long)seed);
    assert_int_equal(open_store(&r), ST_OK);
    put_rows(&r, 0, 6);
    assert_int_equal(store_cut(r.store, "test", NULL), ST_OK);
    assert_int_equal(store_compact(r.store, true, NULL, NULL, NULL), ST_OK);
    fs_sim_plan(r.sim, FS_SIM_DEAD, n, 1, EIO);
    cut_and_expire(&r, 1);
    memset(r.removed, 0, sizeof r.removed); /* it only believes so */
    store_close(r.store);
    bool fired = fs_sim_fired(r.sim);
    fs_sim_kill(r.sim);
    for (uint64_t start = 0; start < 2; start++) {
        assert_int_equal(open_store(&r), ST_OK);
        check(&r, start ? "after the power went" : "after the kill");
        store_close(r.store);
        fs_sim_crash(r.sim, seed * 2 + start);
    }
    assert_true(metric_get(M_BLOCKS_BAD) == bad);
    fs_sim_free(r.sim);
    return fired;
}

static void test_killed_then_powerless(void **state)
{
    (void)state;
    uint64_t n = 1;
    for (bool fired = true; fired; n++) {
        fired = false;
        for (uint64_t seed = 1; seed <= 16; seed++)
            fired |= killed_then_powerless(n, seed);
    }
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dies),
        cmocka_unit_test(test_fails_once),
        cmocka_unit_test(test_fails_three_times),
        cmocka_unit_test(test_killed_then_powerless),
    };
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    clock_wall_set_for_tests(T0 + 400 * DAY_NS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
