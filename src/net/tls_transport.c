/* TLS as a transport of connections: the socket's bytes through OpenSSL.
 *
 * The handshake runs inside the first reads, of which the loop does few in a turn: until it is done
 * the connection is `costly`. The session is made by the first of them. What a reply has in several
 * pieces is put together up to one record, so that header and body leave in one. SIGPIPE must be
 * ignored by the process.
 *
 * 1. Reading goes on until OpenSSL wants more: a short read says nothing about the socket.
 * 2. A read that has to write first (a handshake, a key update) goes on when that is possible.
 * 3. Once OpenSSL has failed nothing is called on the session but SSL_free.
 *
 * Thread: the loop, which also pays for the handshakes, one step of one of them in a turn. Failure:
 * the connection is closed; a request in plain HTTP is told what is wrong. */
#include "net/tls_int.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/metrics.h"

enum { RECORD_BYTES = 16 * 1024 };

struct tls_io {
    struct tls *tls;
    SSL *ssl; /* NULL: nothing has come yet */
    bool established, failed;
};

void tls_accept(struct tls *t, struct conn *c)
{
    struct tls_io *io = NEW(struct tls_io);
    io->tls = t;
    c->io = io;
    c->costly = true;
    conn_timer(c, CONN_T_HEAD); /* for the handshake */
}

/* With the certificates of now. */
static bool begin(struct conn *c)
{
    struct tls_io *io = c->io;
    io->ssl = tls_session_new(io->tls);
    if (!io->ssl || SSL_set_fd(io->ssl, c->fd) != 1) {
        metric_add(M_CONNECTIONS_REFUSED, 1, STR("tls"));
        return false;
    }
    SSL_set_accept_state(io->ssl);
    return true;
}

static void tell_plain_http(struct conn *c)
{
    static const char text[] = "HTTP/1.0 400 Bad Request\r\n\r\n"
                               "Client sent an HTTP request to an HTTPS server.\n";
    ssize_t ignored = send(c->fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)ignored;
}

static void established(struct conn *c)
{
    struct tls_io *io = c->io;
    io->established = true;
    c->costly = false;
    metric_add(M_TLS_HANDSHAKES, 1, STR("ok"));
    if (c->protocol == &protocol_first)
        conn_timer(c, CONN_T_IDLE);
}

static ssize_t fail(struct conn *c)
{
    struct tls_io *io = c->io;
    unsigned long code = ERR_peek_error();
    io->failed = true;
    if (io->established)
        return -EPROTO;
    metric_add(M_TLS_HANDSHAKES, 1, STR("failed"));
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST)
        tell_plain_http(c);
    return -EPROTO;
}

static ssize_t tls_read(struct conn *c, void *p, size_t n)
{
    struct tls_io *io = c->io;
    ERR_clear_error();
    if (!io->ssl && !begin(c))
        return -ENOMEM;
    int r = SSL_read(io->ssl, p, (int)MIN(n, (size_t)INT_MAX));
    if (!io->established && SSL_is_init_finished(io->ssl))
        established(c);
    if (r > 0)
        return r;
    switch (SSL_get_error(io->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        c->read_when_writable = true;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return fail(c);
    }
}

/* The pieces in one, if there is more than one and the first does not fill a record. */
static size_t gather(const struct iovec *v, int n, char *record, const char **ret_p)
{
    size_t at = 0;
    *ret_p = v[0].iov_base;
    if (n == 1 || v[0].iov_len >= RECORD_BYTES)
        return v[0].iov_len;
    for (int i = 0; i < n && at < RECORD_BYTES; i++) {
        size_t take = MIN(v[i].iov_len, RECORD_BYTES - at);
        memcpy(record + at, v[i].iov_base, take);
        at += take;
    }
    *ret_p = record;
    return at;
}

/* OpenSSL wants a write that did not succeed again, with the same bytes: they are first in the
 * connection's queue until then. */
static ssize_t tls_writev(struct conn *c, const struct iovec *v, int n)
{
    struct tls_io *io = c->io;
    char record[RECORD_BYTES];
    const char *p;
    ASSERT(io->established); /* protocols answer what they have read */
    size_t bytes = gather(v, n, record, &p);
    ERR_clear_error();
    int r = SSL_write(io->ssl, p, (int)MIN(bytes, (size_t)INT_MAX));
    if (r > 0)
        return r;
    return SSL_get_error(io->ssl, r) == SSL_ERROR_WANT_WRITE ? -EAGAIN : fail(c);
}

static void tls_shutdown(struct conn *c)
{
    struct tls_io *io = c->io;
    ERR_clear_error();
    if (io->established && !io->failed && !(SSL_get_shutdown(io->ssl) & SSL_SENT_SHUTDOWN))
        SSL_shutdown(io->ssl);
    shutdown(c->fd, SHUT_WR);
}

static void tls_close_conn(struct conn *c)
{
    struct tls_io *io = c->io;
    ERR_clear_error();
    if (io->established && !io->failed && !(SSL_get_shutdown(io->ssl) & SSL_SENT_SHUTDOWN))
        SSL_shutdown(io->ssl); /* "close notify" */
    SSL_free(io->ssl);
    mem_free(io);
    c->io = NULL;
    close(c->fd);
}

const struct transport_ops transport_tls = {.read = tls_read,
    .writev = tls_writev,
    .shutdown = tls_shutdown,
    .close = tls_close_conn,
    .framed = true};
