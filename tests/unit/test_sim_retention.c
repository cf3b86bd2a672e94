/* Cuts, recovery and retention on a disk that forgets and fails: for every operation n of a run
 * over several epochs and hours, the n-th operation fails, or three do, or the machine dies there;
 * then the power goes. Recovery itself is run into the same faults.
 *
 * The ledger: a row that was acknowledged and is not older than retention is there exactly once;
 * one that retention removed (store_expire said so) never comes back; one that was refused or is
 * old but not known to be removed is there at most once. */
#include "test.h"

#include <unistd.h>

#include "base/log.h"
#include "fixture_blocks.h"

enum { ROWS = 12, KEPT_HOURS = 3 };
enum { UNKNOWN, ACKNOWLEDGED, REFUSED };

struct run {
    struct fs_sim *sim;
    struct store *store;
    int outcomes[ROWS];
    bool removed[ROWS]; /* for certain */
    int64_t now_ns;     /* of the latest retention that was tried */
    char what[120];
};

static int64_t time_of(uint32_t row)
{
    return T0 + (row % 6) * HOUR_NS + row;
}

static bool is_old(const struct run *r, uint32_t row)
{
    return time_of(row) < r->now_ns - KEPT_HOURS * HOUR_NS;
}

static enum status open_store(struct run *r)
{
    struct store_config cfg = sim_config(r->sim);
    cfg.retention_ns = KEPT_HOURS * HOUR_NS;
    cfg.segment_bytes_max = 700;
    return store_open(&cfg, &r->store, NULL);
}

static void put_rows(struct run *r, uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++) {
        enum status st = upload(r->store, "anonymous", i % 2 ? "one" : "two", time_of(i), 1, i);
        r->outcomes[i] = st == ST_OK ? ACKNOWLEDGED : st == ST_UNAVAILABLE ? REFUSED : UNKNOWN;
        if (r->outcomes[i] != ACKNOWLEDGED)
            usleep(2000); /* the log begins again, or the machine is gone */
    }
}

/* Everything older than the bound when retention says it is done: what an epoch in memory has of it
 * is not removed yet, so only after a cut. */
static void cut_and_expire(struct run *r, int64_t hours)
{
    bool cut = store_cut(r->store, "test", NULL) == ST_OK;
    r->now_ns = MAX(r->now_ns, T0 + hours * HOUR_NS);
    bool expired = store_expire(r->store, r->now_ns, NULL) == ST_OK;
    for (uint32_t i = 0; i < ROWS && cut && expired; i++)
        r->removed[i] |= is_old(r, i);
}

static void check(struct run *r, const char *when)
{
    uint32_t seen[ROWS] = {0};
    const struct store_view *v = all_parts(r->store);
    struct row_walk walk = {.s = r->store, .v = v};
    const struct part *p;
    const struct part_row *row;
    while (row_walk_next(&walk, &p, &row))
        seen[(row->time_ns - T0) % HOUR_NS]++;
    store_view_release(r->store, v);
    for (uint32_t i = 0; i < ROWS; i++) {
        bool must = r->outcomes[i] == ACKNOWLEDGED && !is_old(r, i);
        bool may = r->outcomes[i] != REFUSED && !r->removed[i];
        if (seen[i] < must || seen[i] > may)
            fail_msg("%s, %s: row %u (outcome %d, old %d, removed %d) is there %u times", r->what,
                when, i, r->outcomes[i], is_old(r, i), r->removed[i], seen[i]);
    }
}

static void work(struct run *r)
{
    put_rows(r, 0, 4);
    cut_and_expire(r, 0);
    put_rows(r, 4, 4);
    cut_and_expire(r, 4); /* hour 0 is too old */
    check(r, "in between");
    put_rows(r, 8, 4);
    cut_and_expire(r, 6); /* hours 1 and 2 */
    cut_and_expire(r, 6);
    check(r, "at the end");
}

static bool one_run(enum fs_sim_fault fault, uint64_t n)
{
    struct run *r = NEW(struct run);
    r->sim = fs_sim_new(n * 5 + (uint64_t)fault);
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
        if (crash < 3) /* recovery meets the fault again, a little later each time */
            fs_sim_plan(r->sim, fault, 1 + (n + 7 * crash) % 40, 3, EIO);
        st = open_store(r);
        if (st != ST_OK) {
            assert_in_range(crash, 0, 2);
            continue;
        }
        check(r, "after the crash");
        cut_and_expire(r, 6);
        check(r, "after the second cut");
        store_close(r->store);
    }
    st = open_store(r);
    assert_int_equal(st, ST_OK);
    for (uint32_t i = 0; i < ROWS; i++)
        r->removed[i] = is_old(r, i);
    check(r, "in the end");
    assert_int_equal(r->store->n_blocks, count_files(r->sim, ".efb")); /* nothing is left over */
    assert_int_equal(count_files(r->sim, "data/tmp/"), 0);
    store_close(r->store);
    fs_sim_free(r->sim);
    mem_free(r);
    return fired;
}

static void every_n(enum fs_sim_fault fault)
{
    uint64_t n = 1;
    while (one_run(fault, n))
        n++;
    assert_true(n > 60); /* it goes through logs, blocks, markers and removals */
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

/* A disk that is full for long: the log is begun again and again, and leaves nothing behind. */
static void test_full_for_long(void **state)
{
    struct run *r = NEW(struct run);
    (void)state;
    r->sim = fs_sim_new(77);
    assert_int_equal(open_store(r), ST_OK);
    put_rows(r, 0, 4);
    fs_sim_plan(r->sim, FS_SIM_FULL, 1, 600, ENOSPC);
    enum status st = ST_OK;
    for (int i = 0; i < 20000 && fs_sim_ops(r->sim) < 600; i++) {
        st = upload(r->store, "anonymous", "one", T0, 1, 1);
        assert_true(st == ST_UNAVAILABLE || st == ST_DATA_LOSS);
        assert_true(rows_shown(r->store, "anonymous") == 4);
        usleep(1000);
    }
    assert_true(fs_sim_ops(r->sim) >= 600);
    for (int i = 0; i < 2000 && (st = upload(r->store, "anonymous", "one", time_of(4), 1, 4)); i++)
        usleep(1000);
    assert_int_equal(st, ST_OK); /* by itself */
    assert_in_range(count_files(r->sim, "data/wal/"), 2, 6);
    assert_in_range(r->store->n_epochs, 2, 4);
    assert_int_equal(store_cut(r->store, "test", NULL), ST_OK);
    store_close(r->store);
    fs_sim_crash(r->sim, 3);
    assert_int_equal(open_store(r), ST_OK);
    assert_int_equal(rows_shown(r->store, "anonymous"), 5);
    store_close(r->store);
    fs_sim_free(r->sim);
    mem_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dies),
        cmocka_unit_test(test_fails_once),
        cmocka_unit_test(test_fails_three_times),
        cmocka_unit_test(test_full_for_long),
    };
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
