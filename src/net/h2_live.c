/* Calls that go on: streams of HTTP/2 whose handler (http_stream_ops) reads and writes in pieces.
 *
 *     DATA ─► request.body ─take─► handler ─write─► request.content ─► DATA
 *               │ at most the connection's window        │ above HTTP_STREAM_UNREAD nothing is
 * taken └ given back as it is taken              └ at most CONTENT_MAX, or the stream is reset
 *
 * 1. Everything happens in callbacks of the loop: a call holds no thread, and its memory is bounded
 *    by the two buffers. H2_LIVE_MAX of a connection and H2_LIVE_ALL_MAX of the server are open at
 *    once; more are refused with 503, which gRPC reads as unavailable.
 * 2. `copied` <= `sent` <= content.n; the buffer starts again when all of it is copied.
 * 3. `close` is the last that the handler hears: when the stream is closed or its connection goes.
 *
 * Thread: the loop. Failure: the stream is reset; nothing else of the connection suffers. */
#include "base/metrics.h"
#include "net/h2_int.h"

enum { CONTENT_MAX = 2 * 1024 * 1024, FIELDS_BYTES_MAX = 64 * 1024 };

static struct h2_stream *stream_of(struct http_request *rq)
{
    return ((struct request *)rq)->stream; /* pub is the first member */
}

static const struct http_stream_ops *ops_of(const struct h2_stream *s)
{
    return s->rq->pub.route->stream;
}

static size_t unread(const struct h2_stream *s)
{
    return s->rq->content.n - s->copied;
}

static void reset(struct h2_stream *s)
{
    s->ended = true;
    if (nghttp2_submit_rst_stream(
            s->h2->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR) != 0)
        s->h2->failed = true;
}

static void give_back(struct h2_stream *s, size_t n)
{
    ASSERT(n <= s->unpaid);
    nghttp2_session_consume(s->h2->session, s->id, n);
    s->unpaid -= n;
}

/* Gives the handler what is there, as long as the client reads what it answers. */
static void pump(struct h2_stream *s)
{
    struct http_request *rq = &s->rq->pub;
    struct buf *in = &s->rq->body;
    size_t at = 0, n = 1;
    while (!s->ended && n && unread(s) < HTTP_STREAM_UNREAD) {
        n = ops_of(s)->take(rq, str_skip(buf_view(in), at));
        ASSERT(n <= in->n - at);
        at += n;
    }
    if (s->ended)
        at = in->n;
    else if (n == 0 && s->remote_done && !s->heard_end) {
        s->heard_end = true;
        ops_of(s)->end(rq, str_skip(buf_view(in), at));
    }
    if (at == 0)
        return;
    memmove(in->p, in->p + at, in->n - at);
    in->n -= at;
    give_back(s, at);
}

/* ---- the protocol's side ---- */

void h2_live_open(struct h2_stream *s)
{
    struct h2 *h = s->h2;
    struct request *r = s->rq;
    if (h->n_live >= H2_LIVE_MAX || h->c->loop->n_live >= H2_LIVE_ALL_MAX || h->stopping) {
        metric_add(M_STREAMS_REFUSED, 1, STR("calls"));
        h2_refuse(s, HTTP_REFUSED_STREAM, "too many calls are open");
        return;
    }
    h2_wait(s, NULL);
    s->state = H2_LIVE;
    h->n_live++;
    h->c->loop->n_live++;
    buf_init(&r->body, HTTP_STREAM_INPUT);
    buf_init(&r->content, CONTENT_MAX);
    buf_init(&r->fields, FIELDS_BYTES_MAX);
    buf_init(&r->trailers, FIELDS_BYTES_MAX);
    ops_of(s)->open(&r->pub, r->pub.route->ctx);
}

void h2_live_data(struct h2_stream *s, const char *p, size_t n)
{
    s->unpaid += n;
    if (s->ended) {
        give_back(s, n);
        return;
    }
    buf_add(&s->rq->body, p, n);
    if (s->rq->body.failed) { /* no memory: the window bounds what may come */
        reset(s);
        return;
    }
    pump(s);
}

void h2_live_end(struct h2_stream *s)
{
    pump(s);
}

void h2_live_close(struct h2_stream *s)
{
    struct request *r = s->rq;
    r->abandoned = !s->ended;
    ops_of(s)->close(&r->pub);
    request_account(r);
    s->h2->n_live--;
    s->h2->c->loop->n_live--;
}

static void each(struct h2 *h, void (*fn)(struct h2_stream *s))
{
    for (struct h2_stream *s = h->n_live ? h->streams : NULL, *next; s; s = next) {
        next = s->next;
        if (s->state == H2_LIVE)
            fn(s);
    }
}

static void on_written(struct h2_stream *s)
{
    if (s->rq->body.n || (s->remote_done && !s->heard_end))
        pump(s);
}

void h2_live_written(struct h2 *h)
{
    each(h, on_written);
}

static void on_tick(struct h2_stream *s)
{
    if (!s->ended)
        ops_of(s)->tick(&s->rq->pub, s->h2->c->loop->now_ns);
}

void h2_live_tick(struct h2 *h)
{
    each(h, on_tick);
}

static void on_stop(struct h2_stream *s)
{
    if (!s->ended)
        ops_of(s)->stop(&s->rq->pub);
}

void h2_live_stop(struct h2 *h)
{
    each(h, on_stop);
}

bool h2_live_unread(const struct h2 *h)
{
    for (const struct h2_stream *s = h->n_live ? h->streams : NULL; s; s = s->next)
        if (s->state == H2_LIVE && (unread(s) || s->ended))
            return true;
    return false;
}

/* ---- the handler's side ---- */

void http_stream_begin(struct http_request *rq, const struct http_response *rs)
{
    struct h2_stream *s = stream_of(rq);
    ASSERT(s->state == H2_LIVE && !s->begun);
    s->begun = true;
    s->rq->status = rs->status;
    s->rq->grpc_result = rs->grpc_result;
    if (rs->content_type.n)
        request_add_field(&s->rq->fields, STR("Content-Type"), rs->content_type);
    for (uint32_t i = 0; i < rs->n_more_headers; i++)
        request_add_field(&s->rq->fields, rs->more_headers[i].name, rs->more_headers[i].value);
    h2_out_begin(s);
}

static void resume(struct h2_stream *s)
{
    (void)nghttp2_session_resume_data(s->h2->session, s->id); /* fails when it is not deferred */
}

void http_stream_write(struct http_request *rq, struct str bytes)
{
    struct h2_stream *s = stream_of(rq);
    struct buf *out = &s->rq->content;
    ASSERT(s->begun);
    if (s->ended)
        return;
    if (s->copied == out->n)
        out->n = s->sent = s->copied = 0;
    buf_str(out, bytes);
    if (out->failed)
        reset(s);
    else
        resume(s);
}

void http_stream_end(struct http_request *rq, const struct http_response *rs)
{
    struct h2_stream *s = stream_of(rq);
    ASSERT(s->begun);
    if (s->ended)
        return;
    for (uint32_t i = 0; i < rs->n_trailers; i++)
        request_add_field(&s->rq->trailers, rs->trailers[i].name, rs->trailers[i].value);
    s->rq->grpc_result = rs->grpc_result;
    s->ended = true;
    resume(s);
}
