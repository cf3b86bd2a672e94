/* The event loop: one thread that owns every connection.
 *
 * A turn: wait (epoll) → events → replies of other threads → replies that were held back →
 * connections with more to do → the first of the costly ones → bodies that waited for the budget →
 * timers → free what was closed.
 * Other threads reach the loop only by loop_post (a list under a lock, an eventfd when it was
 * empty) and loop_wake.
 *
 * 1. Nothing here blocks but epoll_wait, which never waits while there are connections to run or
 *    replies.
 * 2. n_inflight = requests whose reply has not been taken; the loop ends only at 0, so a request
 * can always be replied to.
 * 3. Timer lists are in order of deadlines (see enum conn_timer), so arming is O(1) and only heads
 *    are looked at.
 *
 * Failure: an error of epoll itself is our mistake (asserted). */
#include "net/net_int.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"

enum { EVENTS = 256 };

enum status loop_init(struct loop *l, struct http_server *s, struct error *err)
{
    *l = (struct loop){.server = s, .epoll_fd = -1, .wake_fd = -1, .listen_fd = -1};
    l->costly_end = &l->costly;
    mutex_init(&l->lock, "loop", RANK_LOOP);
    l->now_ns = clock_mono_ns();
    l->scratch = mem_try(SCRATCH_BYTES);
    if (!l->scratch)
        FAIL(err, ST_UNAVAILABLE, "no memory for the event loop");
    return ST_OK;
}

static enum status watch(struct loop *l, int fd, void *tag, uint32_t events, struct error *err)
{
    struct epoll_event ev = {.events = events, .data.ptr = tag};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        FAIL_ERRNO(err, ST_UNAVAILABLE, "epoll_ctl");
    return ST_OK;
}

enum status loop_open(struct loop *l, int listen_fd, struct error *err)
{
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd < 0)
        FAIL_ERRNO(err, ST_UNAVAILABLE, "epoll_create1");
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->wake_fd < 0)
        FAIL_ERRNO(err, ST_UNAVAILABLE, "eventfd");
    l->listen_fd = listen_fd;
    TRY(watch(l, l->wake_fd, &l->wake_fd, EPOLLIN, err));
    return watch(l, listen_fd, &l->listen_fd, EPOLLIN, err);
}

void loop_done(struct loop *l)
{
    ASSERT(l->n_conns == 0 && l->n_inflight == 0 && !l->replies_first);
    if (l->listen_fd >= 0)
        close(l->listen_fd);
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    held_done(&l->held);
    mem_free(l->scratch);
    mutex_done(&l->lock);
}

int64_t loop_timeout_ns(const struct loop *l, enum conn_timer kind)
{
    const struct http_server_config *cfg = &l->server->cfg;
    switch (kind) {
    case CONN_T_IDLE:
        return cfg->idle_timeout_ns;
    case CONN_T_HEAD:
        return cfg->header_timeout_ns;
    case CONN_T_BODY:
        return cfg->body_timeout_ns;
    case CONN_T_BUDGET:
        return cfg->budget_timeout_ns;
    case CONN_T_WRITE:
        return cfg->write_timeout_ns;
    case CONN_T_LIVE:
        return LIVE_TICK_NS;
    case CONN_T_LINGER:
        return LINGER_NS;
    default:
        return 0;
    }
}

struct str loop_date(struct loop *l)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t now = MAX(clock_wall_ns() / NS_PER_S, 0), year;
    if (now == l->date_s)
        return str_from(l->date);
    unsigned month, day, rest = (unsigned)(now % 86400);
    clock_civil_from_days(now / 86400, &year, &month, &day);
    snprintf(l->date, sizeof l->date, "%s, %02u %s %04d %02u:%02u:%02u GMT",
        days[(now / 86400 + 4) % 7], day, months[month - 1], (int)year, rest / 3600, rest / 60 % 60,
        rest % 60);
    l->date_s = now;
    return str_from(l->date);
}

/* ---- messages ---- */

void loop_wake(struct loop *l)
{
    uint64_t one = 1;
    if (l->wake_fd < 0)
        return;
    ssize_t w = write(l->wake_fd, &one, sizeof one);
    ASSERT(w == sizeof one || errno == EAGAIN); /* EAGAIN: 2^64 wakes are pending already */
}

void loop_post(struct loop *l, struct request *r)
{
    r->next = NULL;
    mutex_lock(&l->lock);
    bool first = !l->replies_first;
    if (first)
        l->replies_first = r;
    else
        l->replies_last->next = r;
    l->replies_last = r;
    /* Under the lock: once the loop has this reply it may end and the server be freed. */
    if (first && !(l->running && pthread_equal(pthread_self(), l->thread)))
        loop_wake(l);
    mutex_unlock(&l->lock);
}

static struct request *take_replies(struct loop *l)
{
    mutex_lock(&l->lock);
    struct request *r = l->replies_first;
    l->replies_first = l->replies_last = NULL;
    mutex_unlock(&l->lock);
    return r;
}

static bool replies_wait(struct loop *l)
{
    mutex_lock(&l->lock);
    bool any = l->replies_first != NULL;
    mutex_unlock(&l->lock);
    return any;
}

static void give_reply(struct loop *l, struct request *r)
{
    struct conn *c = r->conn;
    l->n_inflight--;
    if (!c) {
        request_free(r);
        return;
    }
    c->protocol->on_reply(c, r);
    if (!c->closed && !c->ready)
        conn_run(c);
}

static void run_replies(struct loop *l)
{
    for (struct request *r = take_replies(l), *next; r; r = next) {
        next = r->next;
        bool hold = r->send_at_ns > l->now_ns && r->conn;
        if (!hold || !held_put(&l->held, r))
            give_reply(l, r);
    }
}

/* When the server stops, nobody is kept waiting. */
static void run_held(struct loop *l)
{
    struct request *r;
    while ((r = held_take(&l->held, l->stop_seen ? INT64_MAX : l->now_ns)) != NULL)
        give_reply(l, r);
}

/* ---- the parts of a turn ---- */

static void run_ready(struct loop *l)
{
    struct conn *c = l->ready;
    l->ready = NULL;
    for (struct conn *next; c; c = next) {
        next = c->ready_next;
        c->ready = false;
        if (!c->closed)
            conn_run(c);
    }
}

static void run_costly(struct loop *l)
{
    for (int i = 0; i < COSTLY_PER_TURN && l->costly; i++) {
        struct conn *c = l->costly;
        l->costly = c->ready_next;
        if (!l->costly)
            l->costly_end = &l->costly;
        c->ready = false;
        if (!c->closed)
            conn_run_costly(c);
    }
}

/* All that wait, oldest first: one huge body must not hold up the small ones behind it. Whoever
 * gives back posts a reply next, so a change is never missed for long. */
static void run_budget(struct loop *l)
{
    uint64_t gives = atomic_load(&l->server->budget_gives);
    if (gives == l->seen_gives)
        return;
    l->seen_gives = gives;
    struct conn *last = l->timers[CONN_T_BUDGET].last;
    for (struct conn *c = l->timers[CONN_T_BUDGET].first, *next; c; c = next) {
        next = c == last ? NULL : c->next;
        c->protocol->on_budget(c);
        if (!c->closed && c->timer != CONN_T_BUDGET)
            conn_run(c);
    }
}

static void run_timers(struct loop *l)
{
    for (enum conn_timer kind = CONN_T_IDLE; kind < CONN_TIMERS; kind++) {
        struct conn *c;
        while ((c = l->timers[kind].first) != NULL && c->deadline_ns <= l->now_ns)
            c->protocol->on_timeout(c, kind);
    }
}

static void reap(struct loop *l)
{
    for (struct conn *c = l->dead, *next; c; c = next) {
        next = c->next;
        ASSERT(!c->ready);
        conn_free(c);
    }
    l->dead = NULL;
}

/* Returns the end of that list, where the next one goes. */
static struct conn **forget_closed(struct conn **at)
{
    while (*at) {
        struct conn *c = *at;
        if (!c->closed) {
            at = &c->ready_next;
            continue;
        }
        c->ready = false;
        *at = c->ready_next;
    }
    return at;
}

/* Closed connections must not stay among those that will run. */
static void ready_forget_closed(struct loop *l)
{
    if (!l->dead)
        return;
    forget_closed(&l->ready);
    l->costly_end = forget_closed(&l->costly);
}

void loop_settle(struct loop *l)
{
    run_replies(l); /* before run_ready: many replies on one connection leave in one write */
    run_held(l);
    run_ready(l);
    run_costly(l);
    run_budget(l);
    run_timers(l);
    ready_forget_closed(l);
    reap(l);
}

/* Gauges that change with every request are shown once a turn. */
static void show_gauges(struct loop *l)
{
    uint64_t body = atomic_load(&l->server->body_used);
    if (body != l->shown_body)
        metric_set(M_BODY_BYTES, (double)body);
    if (l->n_conns != l->shown_conns)
        metric_set(M_TCP_CONNECTIONS, l->n_conns, STR("http"));
    l->shown_body = body;
    l->shown_conns = l->n_conns;
}

static int wait_ms(struct loop *l)
{
    int64_t until = INT64_MAX, stop_at = atomic_load(&l->server->stop_at_ns);
    if (l->ready || l->costly || replies_wait(l) || (l->stop_seen && l->held.n))
        return 0;
    until = MIN(until, held_next_ns(&l->held));
    for (enum conn_timer kind = CONN_T_IDLE; kind < CONN_TIMERS; kind++)
        if (l->timers[kind].first)
            until = MIN(until, l->timers[kind].first->deadline_ns);
    if (l->accept_again_ns)
        until = MIN(until, l->accept_again_ns);
    if (l->stop_seen)
        until = MIN(until, stop_at);
    if (until == INT64_MAX)
        return -1;
    int64_t left = until - l->now_ns;
    if (left <= 0) /* past the deadline of a stop there is only waiting for handlers */
        return l->stop_seen && until == stop_at ? -1 : 0;
    return (int)MIN((left + NS_PER_MS - 1) / NS_PER_MS, 60000);
}

static void on_event(struct loop *l, const struct epoll_event *ev)
{
    uint64_t count;
    if (ev->data.ptr == &l->wake_fd) {
        ssize_t n = read(l->wake_fd, &count, sizeof count);
        ASSERT(n == sizeof count || errno == EAGAIN);
        return;
    }
    if (ev->data.ptr == &l->listen_fd) {
        if (l->listen_fd >= 0)
            server_accept(l->server);
        return;
    }
    conn_event(ev->data.ptr, ev->events & EPOLLIN, ev->events & EPOLLOUT, ev->events & EPOLLRDHUP,
        ev->events & (EPOLLHUP | EPOLLERR));
}

/* ---- stopping ---- */

static void each_conn(struct loop *l, void (*fn)(struct conn *c))
{
    for (enum conn_timer kind = CONN_T_NONE; kind < CONN_TIMERS; kind++) {
        struct conn *last = l->timers[kind].last;
        for (struct conn *c = l->timers[kind].first, *next; c; c = next) {
            next = c == last ? NULL : c->next;
            fn(c);
        }
    }
}

/* What the client has already sent is still served. */
static void stop_one(struct conn *c)
{
    c->readable = true;
    conn_run(c);
    if (!c->closed)
        c->protocol->on_stop(c);
}

static void stop_begin(struct loop *l)
{
    l->stop_seen = true;
    close(l->listen_fd);
    l->listen_fd = -1;
    l->accept_again_ns = 0;
    each_conn(l, stop_one);
}

/* True when nothing is left. */
static bool stopped(struct loop *l)
{
    if (!l->stop_seen && atomic_load(&l->server->stopping))
        stop_begin(l);
    if (!l->stop_seen)
        return false;
    if (l->now_ns >= atomic_load(&l->server->stop_at_ns))
        each_conn(l, conn_close);
    ready_forget_closed(l);
    reap(l);
    return l->n_conns == 0 && l->n_inflight == 0;
}

void *loop_main(void *arg)
{
    struct loop *l = arg;
    struct epoll_event events[EVENTS];
    l->thread = pthread_self();
    l->running = true;
    for (;;) {
        l->now_ns = clock_mono_ns();
        if (stopped(l))
            break;
        int n = epoll_wait(l->epoll_fd, events, EVENTS, wait_ms(l));
        ASSERT(n >= 0 || errno == EINTR);
        l->now_ns = clock_mono_ns();
        for (int i = 0; i < n; i++)
            on_event(l, &events[i]);
        if (l->accept_again_ns && l->now_ns >= l->accept_again_ns)
            server_accept(l->server);
        loop_settle(l);
        show_gauges(l);
    }
    show_gauges(l);
    return NULL;
}
