/* A connection: its transport, its protocol, what it still has to write, its timer.
 *
 * Sockets are registered once, edge-triggered: `readable` and `writable` remember what the kernel
 * said until a call answers EAGAIN. So waiting for a handler costs no system call, and not wanting
 * to read (backpressure) is simply not reading. conn_run moves at most TURN_BYTES each way and puts
 * the connection among the loop's `ready` ones when there is more to do. Reads of a costly one (TLS
 * handshakes) wait in line instead, and the loop does few in a turn: a crowd that arrives at once
 * slows down itself alone.
 *
 * 1. A connection is on exactly one timer list from conn_new to conn_free.
 * 2. After conn_close nothing is read, written or armed; the memory stays until the turn ends, so
 *    callers up the stack check `closed` and are safe.
 *
 * Thread: the loop. Failure: any error of the transport closes the connection. */
#include "net/net_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

/* ---- TCP ---- */

static ssize_t tcp_read(struct conn *c, void *p, size_t n)
{
    ssize_t r;
    do
        r = recv(c->fd, p, n, 0);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

static ssize_t tcp_writev(struct conn *c, const struct iovec *v, int n)
{
    struct iovec copy[OUT_IOVECS];
    ASSERT(n <= OUT_IOVECS);
    memcpy(copy, v, (size_t)n * sizeof *v);
    struct msghdr msg = {.msg_iov = copy, .msg_iovlen = (size_t)n};
    ssize_t r;
    do
        r = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

static void tcp_shutdown(struct conn *c)
{
    shutdown(c->fd, SHUT_WR);
}

static void tcp_close(struct conn *c)
{
    close(c->fd);
}

const struct transport_ops transport_tcp = {
    .read = tcp_read, .writev = tcp_writev, .shutdown = tcp_shutdown, .close = tcp_close};

/* ---- life ---- */

static void timer_unlink(struct conn *c)
{
    struct conn_list *list = &c->loop->timers[c->timer];
    if (c->prev)
        c->prev->next = c->next;
    else
        list->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        list->last = c->prev;
}

static void timer_link(struct conn *c, enum conn_timer kind)
{
    struct conn_list *list = &c->loop->timers[kind];
    c->timer = (uint8_t)kind;
    int64_t timeout = loop_timeout_ns(c->loop, kind);
    c->deadline_ns = timeout > 0 ? c->loop->now_ns + timeout : INT64_MAX;
    c->next = NULL;
    c->prev = list->last;
    if (list->last)
        list->last->next = c;
    else
        list->first = c;
    list->last = c;
}

void conn_timer(struct conn *c, enum conn_timer kind)
{
    if (c->closed)
        return;
    timer_unlink(c);
    timer_link(c, kind);
}

struct conn *conn_new(struct loop *l, const struct transport_ops *transport,
    const struct protocol_ops *protocol, int fd)
{
    struct conn *c = NEW(struct conn);
    c->loop = l;
    c->transport = transport;
    c->protocol = protocol;
    c->fd = fd;
    c->writable = true;
    l->n_conns++;
    timer_link(c, CONN_T_NONE);
    protocol->open(c);
    return c;
}

void conn_become(struct conn *c, const struct protocol_ops *protocol)
{
    ASSERT(!c->closed && !c->out_first);
    c->protocol->free(c);
    c->protocol = protocol;
    protocol->open(c);
}

void conn_close(struct conn *c)
{
    if (c->closed)
        return;
    c->protocol->on_gone(c);
    c->transport->close(c);
    c->closed = true;
    timer_unlink(c);
    c->next = c->loop->dead;
    c->loop->dead = c;
}

static void out_pop(struct conn *c)
{
    struct out *o = c->out_first;
    c->out_first = o->next;
    if (!o->next)
        c->out_last = NULL;
    buf_done(&o->b);
    mem_free(o);
}

void conn_free(struct conn *c)
{
    ASSERT(c->closed);
    c->protocol->free(c);
    while (c->out_first)
        out_pop(c);
    c->loop->n_conns--;
    mem_free(c);
}

/* ---- bytes ---- */

void conn_ready(struct conn *c)
{
    if (c->ready)
        return;
    c->ready = true;
    c->ready_next = c->loop->ready;
    c->loop->ready = c;
}

static void get_in_line(struct conn *c)
{
    if (c->ready)
        return;
    c->ready = true;
    c->ready_next = NULL;
    *c->loop->costly_end = c;
    c->loop->costly_end = &c->ready_next;
}

void conn_send(struct conn *c, struct buf *take)
{
    struct out *o = NEW(struct out);
    o->b = *take;
    *take = (struct buf){.limit = take->limit};
    if (c->out_last)
        c->out_last->next = o;
    else
        c->out_first = o;
    c->out_last = o;
}

static void out_advance(struct conn *c, size_t n)
{
    while (n) {
        struct out *o = c->out_first;
        size_t left = o->b.n - o->at;
        if (n < left) {
            o->at += n;
            return;
        }
        n -= left;
        out_pop(c);
    }
}

/* Bytes written by one call, at most TURN_BYTES; 0: not now, or closed. */
static size_t write_some(struct conn *c)
{
    struct iovec v[OUT_IOVECS];
    int n = 0;
    size_t bytes = 0;
    for (struct out *o = c->out_first; o && n < OUT_IOVECS && bytes < TURN_BYTES; o = o->next) {
        size_t left = MIN(o->b.n - o->at, TURN_BYTES - bytes);
        v[n++] = (struct iovec){o->b.p + o->at, left};
        bytes += left;
    }
    ssize_t w = c->transport->writev(c, v, n);
    if (w == -EAGAIN) {
        c->writable = false;
        return 0;
    }
    if (w <= 0) {
        conn_close(c);
        return 0;
    }
    out_advance(c, (size_t)w);
    return (size_t)w;
}

/* Something is there to be written, or the protocol has more. */
static bool out_any(struct conn *c)
{
    if (!c->out_first && c->protocol->fill)
        c->protocol->fill(c);
    return c->out_first != NULL;
}

void conn_flush(struct conn *c)
{
    size_t moved = 0;
    if (c->closed || !out_any(c))
        return;
    while (c->writable && moved < TURN_BYTES && out_any(c)) {
        size_t w = write_some(c);
        if (c->closed)
            return;
        moved += w;
    }
    if (!out_any(c)) {
        c->protocol->on_written(c);
        return;
    }
    if (moved && c->timer == CONN_T_WRITE)
        conn_timer(c, CONN_T_WRITE);
    if (c->writable)
        conn_ready(c);
}

/* One read; false: enough for now. */
static bool read_some(struct conn *c, size_t *moved)
{
    char *p;
    size_t n;
    if (!c->protocol->want(c, &p, &n) || c->closed)
        return false;
    n = MIN(n, (size_t)(p ? TURN_BYTES : SCRATCH_BYTES));
    if (!p)
        p = c->loop->scratch;
    ssize_t r = c->transport->read(c, p, n);
    if (r == -EAGAIN) {
        c->readable = false;
        return false;
    }
    if (r < 0) {
        conn_close(c);
        return false;
    }
    if (r == 0) {
        c->readable = false;
        c->peer_done = true;
        c->protocol->on_eof(c);
        return false;
    }
    /* A short read empties the socket, unless the end of the stream is what comes next. */
    if ((size_t)r < n && !c->peer_done && !c->transport->framed)
        c->readable = false;
    *moved += (size_t)r;
    c->protocol->on_data(c, p, (size_t)r);
    return !c->closed;
}

void conn_run(struct conn *c)
{
    size_t moved = 0;
    conn_flush(c);
    if (!c->closed && c->readable && c->costly) {
        get_in_line(c);
        return;
    }
    while (!c->closed && c->readable && moved < TURN_BYTES)
        if (!read_some(c, &moved))
            return;
    if (!c->closed && c->readable)
        conn_ready(c);
}

void conn_run_costly(struct conn *c)
{
    size_t moved = 0;
    read_some(c, &moved);
    conn_run(c);
}

void conn_event(struct conn *c, bool readable, bool writable, bool peer_done, bool broken)
{
    if (c->closed)
        return;
    c->readable |= readable || peer_done;
    c->writable |= writable;
    if (writable && c->read_when_writable) {
        c->read_when_writable = false;
        c->readable = true;
    }
    if (broken) {
        conn_close(c);
        return;
    }
    if (peer_done && !c->peer_done) {
        c->peer_done = true;
        c->protocol->on_gone(c);
    }
    conn_run(c);
}

struct str conn_peer(const struct conn *c, struct arena *a)
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    char text[INET6_ADDRSTRLEN] = "";
    if (memcmp(c->addr, mapped, sizeof mapped) == 0) {
        inet_ntop(AF_INET, c->addr + 12, text, sizeof text);
        return arena_printf(a, "%s:%u", text, c->port);
    }
    inet_ntop(AF_INET6, c->addr, text, sizeof text);
    return arena_printf(a, "[%s]:%u", text, c->port);
}
