/* A connection without a socket: the transport is two byte arrays, time is what the test says.
 * Used by test_http1.c, test_http2.c, test_http_delay.c, fuzz_http_request.c and fuzz_h2.c. */
#ifndef TESTS_HTTP_MEM_H
#define TESTS_HTTP_MEM_H

#include <errno.h>

#include "net/net_int.h"

struct mem_io {
    struct str in;              /* still to be read */
    bool eof;                   /* after `in` */
    size_t read_max, write_max; /* bytes per call; write_max 0: the peer does not read */
    size_t write_quota;         /* bytes in all */
    struct buf out;
    bool shut, closed;
};

static ssize_t mem_read(struct conn *c, void *p, size_t n)
{
    struct mem_io *io = c->io;
    if (io->in.n == 0)
        return io->eof ? 0 : -EAGAIN;
    n = MIN(MIN(n, io->in.n), io->read_max);
    memcpy(p, io->in.p, n);
    io->in = str_skip(io->in, n);
    return (ssize_t)n;
}

static ssize_t mem_writev(struct conn *c, const struct iovec *v, int n)
{
    struct mem_io *io = c->io;
    size_t room = MIN(io->write_max, io->write_quota), done = 0;
    ASSERT(!io->shut && !io->closed);
    if (room == 0)
        return -EAGAIN;
    for (int i = 0; i < n && room; i++) {
        size_t k = MIN(v[i].iov_len, room);
        buf_add(&io->out, v[i].iov_base, k);
        room -= k;
        done += k;
    }
    io->write_quota -= done;
    return (ssize_t)done;
}

static void mem_shutdown(struct conn *c)
{
    ((struct mem_io *)c->io)->shut = true;
}

static void mem_close(struct conn *c)
{
    ((struct mem_io *)c->io)->closed = true;
}

static const struct transport_ops transport_mem = {
    .read = mem_read, .writev = mem_writev, .shutdown = mem_shutdown, .close = mem_close};

static struct conn *mem_open_as(
    struct http_server *s, struct mem_io *io, const struct protocol_ops *protocol)
{
    *io = (struct mem_io){
        .in = STR_EMPTY, .read_max = SIZE_MAX, .write_max = SIZE_MAX, .write_quota = SIZE_MAX};
    buf_init(&io->out, 64 * MIB);
    struct conn *c = conn_new(&s->loop, &transport_mem, protocol, -1);
    c->io = io;
    return c;
}

__attribute__((unused)) static struct conn *mem_open(struct http_server *s, struct mem_io *io)
{
    return mem_open_as(s, io, &protocol_http1);
}

/* Turns of the loop until the connection has nothing more to do. The connection may be freed by it
 * when io->closed becomes true. */
static void mem_run(struct http_server *s, struct mem_io *io, struct conn *c)
{
    /* A short read is taken for an empty socket, so every turn says "readable" again. */
    size_t left;
    do {
        left = io->in.n;
        if (!io->closed)
            conn_event(c, true, io->write_max > 0, false, false);
        do
            loop_settle(&s->loop);
        while (s->loop.ready || s->loop.replies_first);
    } while (!io->closed && io->in.n < left);
}

#endif
