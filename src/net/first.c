/* The first bytes of a connection choose its protocol: HTTP/2 begins with a fixed text that is no
 * HTTP/1 request ("prior knowledge"), all else is HTTP/1. Over TLS the same bytes come, so that
 * ALPN decides only what the client will send.
 *
 *   nothing yet ─► part of the text: wait ─► all of it: protocol_http2
 *                            └──────────────► another byte: protocol_http1
 *
 * Invariant: what was read is handed to the protocol as if that had read it. Thread: the loop.
 * Failure: what HTTP/1 does when a header does not arrive. */
#include "net/net_int.h"

#include "base/mem.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum { PREFACE_BYTES = sizeof preface - 1 };

/* c->proto is the number of bytes of the preface that were read: no memory while nothing comes. */
static size_t seen_of(const struct conn *c)
{
    return (size_t)(uintptr_t)c->proto;
}

static void first_open(struct conn *c)
{
    c->proto = NULL;
    conn_timer(c, CONN_T_IDLE);
}

static void first_free(struct conn *c)
{
    c->proto = NULL;
}

static bool first_want(struct conn *c, char **ret_p, size_t *ret_n)
{
    (void)c;
    *ret_p = NULL;
    *ret_n = SCRATCH_BYTES;
    return true;
}

/* Becomes that protocol, which gets what was read before. */
static void choose(struct conn *c, const struct protocol_ops *protocol)
{
    size_t seen = seen_of(c);
    conn_become(c, protocol);
    if (seen)
        c->protocol->on_data(c, preface, seen);
}

static void first_on_data(struct conn *c, const char *p, size_t n)
{
    size_t seen = seen_of(c), fresh = MIN(n, PREFACE_BYTES - seen);
    bool same = memcmp(preface + seen, p, fresh) == 0;
    if (same && seen + fresh < PREFACE_BYTES) {
        if (seen == 0)
            conn_timer(c, CONN_T_HEAD);
        c->proto = (void *)(uintptr_t)(seen + fresh);
        return;
    }
    choose(c, same ? &protocol_http2 : &protocol_http1);
    if (!c->closed)
        c->protocol->on_data(c, p, n);
}

static void first_on_eof(struct conn *c)
{
    choose(c, &protocol_http1);
    if (!c->closed)
        c->protocol->on_eof(c);
}

static void first_on_timeout(struct conn *c, enum conn_timer kind)
{
    if (kind != CONN_T_HEAD || seen_of(c) == 0) {
        conn_close(c);
        return;
    }
    choose(c, &protocol_http1);
    if (!c->closed)
        c->protocol->on_timeout(c, kind);
}

static void first_on_stop(struct conn *c)
{
    if (seen_of(c) == 0)
        conn_close(c);
}

static void nothing(struct conn *c)
{
    (void)c;
}

static void no_reply(struct conn *c, struct request *r)
{
    (void)c;
    (void)r;
    ASSERT(false); /* there was no request */
}

const struct protocol_ops protocol_first = {
    .name = "first",
    .open = first_open,
    .free = first_free,
    .want = first_want,
    .on_data = first_on_data,
    .on_eof = first_on_eof,
    .on_gone = nothing,
    .on_written = nothing,
    .on_reply = no_reply,
    .on_budget = nothing,
    .on_timeout = first_on_timeout,
    .on_stop = first_on_stop,
};
