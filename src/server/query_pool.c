/* See query_pool.h. A list under one lock, a condition, N threads.
 *
 * 1. A job is answered exactly once: by its `run` on success, else by its `fail`.
 * 2. Nothing of a job is touched after it was answered: it lives in the request.
 * 3. The deadline is the earlier of the client's and of ours, counted from the request's arrival.
 *
 * A job whose client left while it waited is not run; the answer goes nowhere, but ends it. */
#include "server/query_pool.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/thread.h"

struct query_pool {
    struct query_pool_config cfg;
    struct mutex lock;
    struct cond wake;
    struct query_job *first, *last; /* lock, as the rest */
    uint32_t waiting, running;
    bool stop;
    pthread_t *threads;
    uint32_t n_threads;
};

static void count_stop(enum status st)
{
    if (st == ST_DEADLINE_EXCEEDED)
        metric_add(M_QUERIES_STOPPED, 1, STR("deadline"));
    else if (st == ST_RESOURCE_EXHAUSTED)
        metric_add(M_QUERIES_STOPPED, 1, STR("budget"));
    else if (st == ST_CANCELED)
        metric_add(M_QUERIES_STOPPED, 1, STR("gone"));
}

static int64_t deadline_of(const struct query_pool *p, const struct query_job *job)
{
    int64_t ours = p->cfg.timeout_ns > 0 ? job->rq->start_mono_ns + p->cfg.timeout_ns : 0;
    if (!job->deadline_mono_ns || !ours)
        return job->deadline_mono_ns + ours;
    return MIN(job->deadline_mono_ns, ours);
}

static enum status run_one(
    struct query_pool *p, struct query_job *job, struct arena *arena, struct error *err)
{
    struct query q = {
        .store = p->cfg.store,
        .tenants = job->tenants.v,
        .n_tenants = job->tenants.n,
        .arena = arena,
        .deadline_mono_ns = deadline_of(p, job),
        .gone = &job->rq->gone,
        .now_ns = clock_wall_ns(),
        .utf8_names = job->utf8_names,
    };
    overrides_query_limits(p->cfg.overrides, job->tenants.v, job->tenants.n, &q.limits);
    if (atomic_load(&job->rq->gone))
        FAIL(err, ST_CANCELED, "the client left");
    if (q.deadline_mono_ns && clock_mono_ns() >= q.deadline_mono_ns)
        FAIL(err, ST_DEADLINE_EXCEEDED, "the query waited too long for its turn");
    return job->run(job, &q, err);
}

static void work(struct query_pool *p, struct query_job *job)
{
    struct arena arena;
    struct error err = {0};
    int64_t start = clock_mono_ns();
    struct str name = str_from(job->name);
    arena_init(&arena, p->cfg.memory_bytes);
    enum status st = run_one(p, job, &arena, &err);
    if (st != ST_OK) {
        count_stop(st);
        job->fail(job, &err);
    }
    arena_done(&arena);
    metric_observe(M_QUERY_SECONDS, (double)(clock_mono_ns() - start) / (double)NS_PER_S, name);
}

static void *worker(void *arg)
{
    struct query_pool *p = arg;
    mutex_lock(&p->lock);
    for (;;) {
        while (!p->first && !p->stop)
            cond_wait(&p->wake, &p->lock);
        struct query_job *job = p->first;
        if (!job)
            break; /* stopped, and nothing waits */
        p->first = job->next;
        p->waiting--;
        metric_set(M_QUERIES_RUNNING, ++p->running);
        mutex_unlock(&p->lock);
        work(p, job);
        mutex_lock(&p->lock);
        metric_set(M_QUERIES_RUNNING, --p->running);
    }
    mutex_unlock(&p->lock);
    return NULL;
}

enum status query_pool_start(
    const struct query_pool_config *cfg, struct query_pool **ret_pool, struct error *err)
{
    struct query_pool *p = NEW(struct query_pool);
    p->cfg = *cfg;
    mutex_init(&p->lock, "query pool", RANK_POOL);
    cond_init(&p->wake);
    p->threads = mem_new(cfg->threads * sizeof *p->threads);
    while (p->n_threads < cfg->threads) {
        enum status st = thread_start(&p->threads[p->n_threads], "query", worker, p, err);
        if (st != ST_OK) {
            query_pool_stop(p);
            return st;
        }
        p->n_threads++;
    }
    *ret_pool = p;
    return ST_OK;
}

void query_pool_stop(struct query_pool *p)
{
    if (!p)
        return;
    mutex_lock(&p->lock);
    p->stop = true;
    cond_broadcast(&p->wake);
    mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->n_threads; i++)
        thread_join(p->threads[i]);
    cond_done(&p->wake);
    mutex_done(&p->lock);
    mem_free(p->threads);
    mem_free(p);
}

void query_pool_submit(struct query_pool *p, struct query_job *job)
{
    job->next = NULL;
    mutex_lock(&p->lock);
    bool full = p->waiting >= p->cfg.queue_max && p->running >= p->n_threads;
    if (!full) {
        if (p->first)
            p->last->next = job;
        else
            p->first = job;
        p->last = job;
        p->waiting++;
        cond_signal(&p->wake);
    }
    mutex_unlock(&p->lock);
    if (!full)
        return;
    struct error err = {0};
    metric_add(M_QUERIES_STOPPED, 1, STR("queue"));
    (void)error_set(&err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__,
        "%u queries are waiting already: try again, or raise -query.queue-max", p->cfg.queue_max);
    job->fail(job, &err);
}
