/* See thread.h. The ranks a thread holds are a small stack of its own. */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>

#include "base/mem.h"

enum { HELD_MAX = 256 };

static _Thread_local int held[HELD_MAX];
static _Thread_local int held_n;

void mutex_init(struct mutex *m, const char *name, enum lock_rank rank)
{
    m->name = name;
    m->rank = rank;
    ASSERT(pthread_mutex_init(&m->m, NULL) == 0);
}

void mutex_done(struct mutex *m)
{
    pthread_mutex_destroy(&m->m);
}

static void take(struct mutex *m)
{
    ASSERT(held_n < HELD_MAX);
    ASSERT(pthread_mutex_lock(&m->m) == 0);
    held[held_n++] = m->rank;
}

void mutex_lock(struct mutex *m)
{
    ASSERT(held_n == 0 || held[held_n - 1] < m->rank);
    take(m);
}

void mutex_lock_next(struct mutex *m)
{
    ASSERT(held_n == 0 || held[held_n - 1] <= m->rank);
    take(m);
}

void mutex_unlock(struct mutex *m)
{
    int i = held_n - 1;
    while (i >= 0 && held[i] != m->rank)
        i--;
    ASSERT(i >= 0);
    for (; i + 1 < held_n; i++)
        held[i] = held[i + 1];
    held_n--;
    ASSERT(pthread_mutex_unlock(&m->m) == 0);
}

void gate_init(struct gate *g)
{
    /* Whoever wants to close must not starve behind a stream of readers. */
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    ASSERT(pthread_rwlock_init(&g->l, &attr) == 0);
    pthread_rwlockattr_destroy(&attr);
}

void gate_done(struct gate *g)
{
    pthread_rwlock_destroy(&g->l);
}

void gate_enter(struct gate *g)
{
    ASSERT(held_n == 0 || held[held_n - 1] < RANK_GATE);
    ASSERT(pthread_rwlock_rdlock(&g->l) == 0);
}

void gate_leave(struct gate *g)
{
    ASSERT(pthread_rwlock_unlock(&g->l) == 0);
}

void gate_close(struct gate *g)
{
    ASSERT(held_n == 0 || held[held_n - 1] < RANK_GATE);
    ASSERT(pthread_rwlock_wrlock(&g->l) == 0);
}

void gate_open(struct gate *g)
{
    ASSERT(pthread_rwlock_unlock(&g->l) == 0);
}

void cond_init(struct cond *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    ASSERT(pthread_cond_init(&c->c, &attr) == 0);
    pthread_condattr_destroy(&attr);
}

void cond_done(struct cond *c)
{
    pthread_cond_destroy(&c->c);
}

void cond_wait(struct cond *c, struct mutex *m)
{
    ASSERT(pthread_cond_wait(&c->c, &m->m) == 0);
}

bool cond_wait_until(struct cond *c, struct mutex *m, int64_t mono_ns)
{
    struct timespec ts = {mono_ns / NS_PER_S, mono_ns % NS_PER_S};
    int r = pthread_cond_timedwait(&c->c, &m->m, &ts);
    ASSERT(r == 0 || r == ETIMEDOUT);
    return r == 0;
}

void cond_signal(struct cond *c)
{
    pthread_cond_signal(&c->c);
}

void cond_broadcast(struct cond *c)
{
    pthread_cond_broadcast(&c->c);
}

struct start {
    thread_fn fn;
    void *arg;
};

static const struct thread_hooks *hooks;

void thread_hooks_set(const struct thread_hooks *h)
{
    hooks = h;
}

/* The outermost function of ours in every profile: hence the name. */
static void *thread_main(void *p)
{
    struct start s = *(struct start *)p;
    mem_free(p);
    if (hooks)
        hooks->begin();
    void *result = s.fn(s.arg);
    if (hooks)
        hooks->end();
    return result;
}

enum status thread_start(
    pthread_t *ret_thread, const char *name, thread_fn fn, void *arg, struct error *err)
{
    struct start *s = NEW(struct start);
    *s = (struct start){fn, arg};
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(ret_thread, NULL, thread_main, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r) {
        mem_free(s);
        errno = r;
        FAIL_ERRNO(err, ST_UNAVAILABLE, "cannot start thread %s", name);
    }
    pthread_setname_np(*ret_thread, name);
    return ST_OK;
}

void thread_join(pthread_t thread)
{
    ASSERT(pthread_join(thread, NULL) == 0);
}
