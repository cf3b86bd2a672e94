/* The durability promise under a disk that forgets and fails: for every operation n of a run with
 * eight concurrent uploaders, over segment and epoch changes, the n-th operation fails, or fails a
 * few times, or the machine dies there; then the power goes and what was not synced is drawn from a
 * seed.
 *
 * The ledger: an upload that was acknowledged is there exactly once, whole; one that was refused
 * with "nothing stored" and given up is not there; one without a certain answer is there at most
 * once. */
#include "test.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/fs_sim.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "fixture_store.h"

enum { UPLOADERS = 8, PER_UPLOADER = 6, UPLOADS = UPLOADERS * PER_UPLOADER, TRIES = 50 };
enum outcome { OPEN, ACKNOWLEDGED, REFUSED, UNKNOWN };

static const int64_t epoch_ns = 1700000000000000000;

struct run {
    struct store *store;
    _Atomic int outcomes[UPLOADS];
    bool shown[UPLOADS];
    bool give_up; /* the machine is gone: no retries */
};

struct waiter {
    atomic_int calls;
    enum status st;
};

static void on_done(void *ctx, enum status st, const struct error *err)
{
    struct waiter *w = ctx;
    (void)err;
    w->st = st;
    ASSERT(atomic_fetch_add(&w->calls, 1) == 0);
}

/* Upload i: service by i, a time of its own, and a total that is known. */
static int64_t total_of(uint32_t i)
{
    return 1000 + i + 7;
}

static enum status upload_once(struct store *s, uint32_t i)
{
    static const char *const stacks[] = {"abc", "abd", "xyz"};
    const int64_t values[] = {1000, i, 7};
    static const char *const services[] = {"one", "two", "three"};
    struct request rq;
    struct waiter w = {0};
    request_init(&rq, services[i % 3], stacks, values, 3, 1);
    rq.prof.time_ns = epoch_ns + i;
    enum status st = store_append(s, STR("anonymous"), &rq.row, 1, on_done, &w, NULL);
    if (st == ST_OK) {
        while (!atomic_load(&w.calls))
            usleep(20);
        st = w.st;
    }
    arena_done(&rq.arena);
    return st;
}

static void upload(struct run *run, uint32_t i)
{
    for (int try = 0; try < TRIES; try++) {
        enum status st = upload_once(run->store, i);
        if (st == ST_OK || st == ST_DATA_LOSS) {
            run->outcomes[i] = st == ST_OK ? ACKNOWLEDGED : UNKNOWN;
            return;
        }
        assert_int_equal(st, ST_UNAVAILABLE);
        run->outcomes[i] = REFUSED;
        if (run->give_up)
            return;
        usleep(500);
    }
}

struct uploader {
    struct run *run;
    uint32_t first;
};

static void *uploader(void *arg)
{
    struct uploader *u = arg;
    for (uint32_t k = 0; k < PER_UPLOADER; k++) {
        upload(u->run, u->first + k * UPLOADERS);
        if (u->first == 0 && k % 2 == 1)
            (void)store_cut(u->run->store, "test", NULL);
    }
    return NULL;
}

static enum status open_store(struct fs_sim *sim, struct store **ret_store)
{
    const struct store_config cfg = {.dir = "data",
        .fs = fs_sim_fs(sim),
        .head_bytes_max = GIB,
        .segment_bytes_max = 1500,
        .queue_bytes_max = 64 * MIB,
        .log_retry_ns = NS_PER_MS,
        .no_maintenance = true};
    return store_open(&cfg, ret_store, NULL);
}

static void run_uploaders(struct run *run)
{
    pthread_t threads[UPLOADERS];
    struct uploader args[UPLOADERS];
    for (uint32_t i = 0; i < UPLOADERS; i++) {
        args[i] = (struct uploader){run, i};
        assert_int_equal(thread_start(&threads[i], "uploader", uploader, &args[i], NULL), ST_OK);
    }
    for (uint32_t i = 0; i < UPLOADERS; i++)
        thread_join(threads[i]);
}

static void count_rows(struct store *s, uint32_t seen[UPLOADS])
{
    const struct store_view *v = all_parts(s);
    struct row_walk walk = {.s = s, .v = v};
    const struct part *p;
    const struct part_row *r;
    while (row_walk_next(&walk, &p, &r)) {
        int64_t i = r->time_ns - epoch_ns;
        assert_in_range(i, 0, UPLOADS - 1);
        assert_int_equal(r->totals[0], total_of((uint32_t)i));
        seen[i]++;
    }
    store_view_release(s, v);
}

/* Also: what was shown once stays (run->shown). */
static void check_ledger(struct store *s, struct run *run, const char *when)
{
    static const char *const names[] = {"not tried", "acknowledged", "refused", "unknown"};
    uint32_t seen[UPLOADS] = {0};
    count_rows(s, seen);
    for (uint32_t i = 0; i < UPLOADS; i++) {
        if (run->shown[i] && !seen[i])
            fail_msg("%s: upload %u was shown and is gone", when, i);
        run->shown[i] |= seen[i] > 0;
    }
    for (uint32_t i = 0; i < UPLOADS; i++) {
        int o = run->outcomes[i];
        uint32_t least = o == ACKNOWLEDGED, most = o == ACKNOWLEDGED || o == UNKNOWN;
        if (seen[i] < least || seen[i] > most)
            fail_msg("%s: upload %u was %s and is there %u times", when, i, names[o], seen[i]);
    }
}

/* One run. False when the plan's operation was not reached: the run has fewer operations. */
static bool one_run(enum fs_sim_fault fault, uint64_t n, uint64_t seed)
{
    struct fs_sim *sim = fs_sim_new(seed);
    struct run *run = NEW(struct run);
    char when[100];
    snprintf(when, sizeof when, "fault %d at operation %llu, seed %llu", (int)fault,
        (unsigned long long)n, (unsigned long long)seed);
    run->give_up = fault == FS_SIM_DEAD;
    fs_sim_plan(sim, fault, n, 3, n % 3 ? EIO : ENOSPC);
    enum status st = open_store(sim, &run->store);
    for (int try = 0; st != ST_OK && fault != FS_SIM_DEAD && try < 5; try++)
        st = open_store(sim, &run->store);
    if (st == ST_OK) {
        run_uploaders(run);
        if (!run->give_up)
            check_ledger(run->store, run, when);
        store_close(run->store);
    } else {
        assert_int_equal(fault, FS_SIM_DEAD);
    }
    bool fired = fs_sim_fired(sim);
    for (uint64_t crash = 0; crash < 3; crash++) {
        if (crash == 0 && n / 2 % 2) /* half of the runs lose the process before the power */
            fs_sim_kill(sim);
        else
            fs_sim_crash(sim, seed * 31 + n * 7 + crash);
        assert_int_equal(open_store(sim, &run->store), ST_OK);
        check_ledger(run->store, run, when);
        store_close(run->store);
    }
    fs_sim_free(sim);
    mem_free(run);
    return fired;
}

static uint64_t every_n(enum fs_sim_fault fault)
{
    uint64_t n = 1;
    while (one_run(fault, n, n * 13 + (uint64_t)fault))
        n++;
    assert_true(n > 50); /* the run really goes through segments and epochs */
    return n;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dies),
        cmocka_unit_test(test_fails_once),
        cmocka_unit_test(test_fails_three_times),
    };
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
