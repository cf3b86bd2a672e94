/* server: the query pool's bounds, deadlines and cancellation, with jobs that are under our thumb.
 */
#include "test.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "server/query_pool.h"

enum { THREADS = 2, QUEUE = 3, JOBS = THREADS + QUEUE };

/* Counts and gates; the lock orders everything the test looks at. */
static struct {
    struct mutex lock;
    struct cond changed;
    int started, done, failed;
    bool open; /* jobs may end */
    enum status last;
} at;

struct job {
    struct query_job job; /* first */
    struct http_request rq;
};

static void changed(int *what)
{
    mutex_lock(&at.lock);
    (*what)++;
    cond_broadcast(&at.changed);
    mutex_unlock(&at.lock);
}

static void wait_for(const int *what, int n)
{
    mutex_lock(&at.lock);
    while (*what < n)
        cond_wait(&at.changed, &at.lock);
    mutex_unlock(&at.lock);
}

static enum status run_gated(struct query_job *job, struct query *q, struct error *err)
{
    (void)job;
    (void)err;
    assert_true(q->n_tenants == 1 && q->arena && q->now_ns > 0);
    changed(&at.started);
    mutex_lock(&at.lock);
    while (!at.open)
        cond_wait(&at.changed, &at.lock);
    mutex_unlock(&at.lock);
    changed(&at.done);
    return ST_OK;
}

/* Takes memory until the budget is reached. */
static enum status run_greedy(struct query_job *job, struct query *q, struct error *err)
{
    (void)job;
    size_t n = 0;
    while (arena_alloc(q->arena, 1 << 16))
        n += 1 << 16;
    assert_true(n > 0 && n <= 1 << 20);
    FAIL(err, ST_RESOURCE_EXHAUSTED, "budget");
}

static void on_fail(struct query_job *job, const struct error *err)
{
    (void)job;
    mutex_lock(&at.lock);
    at.last = err->code;
    mutex_unlock(&at.lock);
    changed(&at.failed);
}

static void make_job(struct job *j, query_run_fn run)
{
    static struct str tenant = {"anonymous", 9};
    memset(j, 0, sizeof *j);
    j->rq.start_mono_ns = clock_mono_ns();
    j->job = (struct query_job){
        .rq = &j->rq, .name = "test", .run = run, .fail = on_fail, .tenants = {&tenant, 1}};
}

static struct config *config;
static struct overrides *overrides;

static struct query_pool *start(int64_t timeout_ns)
{
    struct error err = {0};
    struct query_pool *p;
    struct query_pool_config cfg = {.overrides = overrides,
        .threads = THREADS,
        .queue_max = QUEUE,
        .memory_bytes = 1 << 20,
        .timeout_ns = timeout_ns};
    at.started = at.done = at.failed = 0;
    at.open = false;
    at.last = ST_OK;
    assert_int_equal(query_pool_start(&cfg, &p, &err), ST_OK);
    return p;
}

static void open_gate(void)
{
    mutex_lock(&at.lock);
    at.open = true;
    cond_broadcast(&at.changed);
    mutex_unlock(&at.lock);
}

static void test_bounds(void **state)
{
    (void)state;
    struct query_pool *p = start(0);
    struct job jobs[JOBS + 1];
    for (int i = 0; i <= JOBS; i++)
        make_job(&jobs[i], run_gated);
    for (int i = 0; i < THREADS; i++)
        query_pool_submit(p, &jobs[i].job);
    wait_for(&at.started, THREADS);
    assert_true(metric_get(M_QUERIES_RUNNING) == THREADS);
    for (int i = THREADS; i < JOBS; i++)
        query_pool_submit(p, &jobs[i].job);
    assert_int_equal(at.failed, 0);
    query_pool_submit(p, &jobs[JOBS].job); /* one too many: answered at once */
    assert_int_equal(at.failed, 1);
    assert_int_equal(at.last, ST_RESOURCE_EXHAUSTED);
    open_gate();
    wait_for(&at.done, JOBS);
    query_pool_stop(p);
    assert_int_equal(at.done, JOBS);
    assert_int_equal(at.failed, 1);
    assert_true(metric_get(M_QUERIES_RUNNING) == 0);
}

static void test_deadline(void **state)
{
    (void)state;
    struct query_pool *p = start(NS_PER_S);
    struct job late, late_client, fine;
    at.open = true;
    make_job(&late, run_gated); /* came in so long ago that our limit is over */
    late.rq.start_mono_ns -= 2 * NS_PER_S;
    query_pool_submit(p, &late.job);
    wait_for(&at.failed, 1);
    assert_int_equal(at.last, ST_DEADLINE_EXCEEDED);
    make_job(&late_client, run_gated);
    late_client.job.deadline_mono_ns = clock_mono_ns() - 1;
    query_pool_submit(p, &late_client.job);
    wait_for(&at.failed, 2);
    assert_int_equal(at.last, ST_DEADLINE_EXCEEDED);
    make_job(&fine, run_gated);
    fine.job.deadline_mono_ns = clock_mono_ns() + 3600 * NS_PER_S;
    fine.rq.start_mono_ns += 3600 * NS_PER_S; /* no slow machine makes it late */
    query_pool_submit(p, &fine.job);
    wait_for(&at.done, 1);
    query_pool_stop(p);
    assert_int_equal(at.started, 1);
}

static void test_gone_and_budget(void **state)
{
    (void)state;
    struct query_pool *p = start(0);
    struct job gone, greedy;
    double before = metric_get(M_QUERIES_STOPPED, STR("gone"));
    make_job(&gone, run_gated);
    atomic_store(&gone.rq.gone, true);
    query_pool_submit(p, &gone.job);
    wait_for(&at.failed, 1);
    assert_int_equal(at.last, ST_CANCELED);
    assert_true(metric_get(M_QUERIES_STOPPED, STR("gone")) == before + 1);
    make_job(&greedy, run_greedy);
    query_pool_submit(p, &greedy.job);
    wait_for(&at.failed, 2);
    assert_int_equal(at.last, ST_RESOURCE_EXHAUSTED);
    query_pool_stop(p);
    assert_int_equal(at.started, 0);
}

/* Jobs that wait when the pool is told to stop are still answered. */
static void test_stop_drains(void **state)
{
    (void)state;
    struct query_pool *p = start(0);
    struct job jobs[JOBS];
    for (int i = 0; i < JOBS; i++) {
        make_job(&jobs[i], run_gated);
        query_pool_submit(p, &jobs[i].job);
        if (i < THREADS)
            wait_for(&at.started, i + 1);
    }
    open_gate();
    query_pool_stop(p);
    assert_int_equal(at.done, JOBS);
}

static int setup(void **state)
{
    (void)state;
    struct error err = {0};
    mutex_init(&at.lock, "test", RANK_LOOP);
    cond_init(&at.changed);
    config = config_new();
    return overrides_open(config, &overrides, &err) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    overrides_close(overrides);
    config_free(config);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_gone_and_budget),
        cmocka_unit_test(test_stop_drains),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
