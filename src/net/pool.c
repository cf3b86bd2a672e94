/* The bounded pool of workers that run handlers: one queue, first come first served.
 *
 * 1. A request in the queue has its whole body; its handler runs exactly once, or not at all when
 *    the client took the request back before a worker came to it.
 * 2. n <= n_max: a push beyond it is refused and the caller answers 503.
 *
 * Thread: push from the loop, the rest on the workers. After its handler returned a worker does not
 * touch the request: another thread may have replied and the loop freed it. */
#include "net/net_int.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/metrics.h"

static struct request *pool_pop(struct pool *p)
{
    mutex_lock(&p->lock);
    while (!p->first && !p->stop)
        cond_wait(&p->wake, &p->lock);
    struct request *r = p->first;
    if (r) {
        p->first = r->next;
        p->n--;
        metric_set(M_WORK_QUEUE, p->n);
    }
    mutex_unlock(&p->lock);
    return r;
}

static void *worker(void *arg)
{
    struct request *r;
    while ((r = pool_pop(arg)) != NULL)
        if (atomic_load(&r->dropped))
            http_abandon(&r->pub);
        else
            r->pub.route->handler(&r->pub, r->pub.route->ctx);
    return NULL;
}

bool pool_push(struct pool *p, struct request *r)
{
    mutex_lock(&p->lock);
    bool room = p->n < p->n_max;
    if (room) {
        r->next = NULL;
        if (p->first)
            p->last->next = r;
        else
            p->first = r;
        p->last = r;
        p->n++;
        metric_set(M_WORK_QUEUE, p->n);
    }
    mutex_unlock(&p->lock);
    if (room)
        cond_signal(&p->wake);
    return room;
}

enum status pool_start(struct pool *p, uint32_t n_threads, uint32_t n_max, struct error *err)
{
    mutex_init(&p->lock, "http-pool", RANK_POOL);
    cond_init(&p->wake);
    p->n_max = n_max;
    p->threads = mem_new(n_threads * sizeof *p->threads);
    for (uint32_t i = 0; i < n_threads; i++) {
        char name[16];
        snprintf(name, sizeof name, "http-work-%u", i % 1000);
        TRY(thread_start(&p->threads[i], name, worker, p, err));
        p->n_threads++;
    }
    return ST_OK;
}

void pool_stop(struct pool *p)
{
    if (!p->threads)
        return;
    mutex_lock(&p->lock);
    ASSERT(!p->first);
    p->stop = true;
    mutex_unlock(&p->lock);
    cond_broadcast(&p->wake);
    for (uint32_t i = 0; i < p->n_threads; i++)
        thread_join(p->threads[i]);
    mem_free(p->threads);
    p->threads = NULL;
    cond_done(&p->wake);
    mutex_done(&p->lock);
}
