/* Threads, ranked locks, conditions.
 *
 * Every lock has a name and a rank; a thread takes locks in rising rank only (equal ranks only
 * through mutex_lock_next, whose caller orders them by id). A violation is an assertion failure in
 * every build. The order is docs/internals/locks.md; ranks are the enum below. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

#include "base/status.h"

enum lock_rank {
    RANK_SERVER = 10,
    RANK_POOL = 20,
    RANK_CONN = 30,
    RANK_TENANTS = 40,
    RANK_COMPACT = 43, /* one merge at a time */
    RANK_CUT = 45,     /* cuts, markers, retention */
    RANK_GATE = 48,    /* no mutex: the place of gates in the order */
    RANK_STORE = 50,   /* the set of tenants, datasets, epochs */
    RANK_BLOCK = 55,   /* loading one dataset of a block */
    RANK_DATASET = 60, /* interning and rows of one dataset */
    RANK_QUEUE = 70,   /* the commit queue */
    RANK_VIEW = 80,
    RANK_CACHE = 85,
    RANK_SIM = 88,
    RANK_LOOP = 90,  /* messages to the event loop */
    RANK_AGENT = 95, /* the list of sampled threads, counted stacks */
    RANK_METRICS = 100,
};

struct mutex {
    pthread_mutex_t m;
    const char *name;
    int rank;
};

struct cond {
    pthread_cond_t c; /* on the monotonic clock */
};

void mutex_init(struct mutex *m, const char *name, enum lock_rank rank);
void mutex_done(struct mutex *m);
void mutex_lock(struct mutex *m);
/* As mutex_lock, but another lock of the same rank may be held: the caller keeps an order by id. */
void mutex_lock_next(struct mutex *m);
void mutex_unlock(struct mutex *m);

/* Many readers or one writer; taken before every lock of a rank above RANK_GATE. */
struct gate {
    pthread_rwlock_t l;
};
void gate_init(struct gate *g);
void gate_done(struct gate *g);
void gate_enter(struct gate *g); /* shared */
void gate_leave(struct gate *g);
void gate_close(struct gate *g); /* alone: waits until everybody has left */
void gate_open(struct gate *g);

void cond_init(struct cond *c);
void cond_done(struct cond *c);
void cond_wait(struct cond *c, struct mutex *m);
/* Until the monotonic time; false on timeout. */
bool cond_wait_until(struct cond *c, struct mutex *m, int64_t mono_ns);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

typedef void *(*thread_fn)(void *arg);
/* The name shows in ps and gdb (15 bytes). Signals are blocked in every thread but main's. */
enum status thread_start(
    pthread_t *ret_thread, const char *name, thread_fn fn, void *arg, struct error *err);
void thread_join(pthread_t thread);

/* Called in every thread that thread_start starts, first and last. Set while there are no such
 * threads, and lives as long; NULL: nothing. */
struct thread_hooks {
    void (*begin)(void);
    void (*end)(void);
};
void thread_hooks_set(const struct thread_hooks *hooks);

#endif
