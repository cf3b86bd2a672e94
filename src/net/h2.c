/* HTTP/2 on one connection: a protocol of net_int.h around an nghttp2 session. Framing, HPACK,
 * stream states and the rules of messages are nghttp2's; requests, budgets, limits and what is
 * written when are ours. Bytes go in by on_data, frames come out by fill: as many as fit into one
 * write, and only when the write before it has left.
 *
 *   stream:  HEAD ─► BODY ─► COMPLETE ─► HANDLING ─► REPLY ─► gone
 *              ├─► LIVE (h2_live.c) ─────────────────────────► gone
 *              └───────┴──────────┴─────────▲          (refused: HANDLING while a body still comes)
 *
 * 1. A stream has its request from HEADERS until the stream is closed and the handler has replied;
 *    a stream that the client resets while its handler runs stays, `closed`, until the reply. Such
 *    requests count against H2_STREAMS_MAX, so opening and resetting gains nothing; those that no
 *    worker has begun are not begun.
 * 2. Every frame costs a token; tokens come back with time, answered requests and moved bytes.
 *    Without one the connection ends (ENHANCE_YOUR_CALM): floods of pings, settings, resets, empty
 *    frames. nghttp2 bounds CONTINUATION frames, settings, resets and unsent acknowledgements.
 * 3. Of bodies that the budget has not admitted at most H2_WINDOW bytes are there (h2_in.c); of
 *    frames to be written H2_FILL_BYTES and what nghttp2 queues, which stops reading.
 * 4. A stop is announced and acknowledged before the last GOAWAY: no request in flight is lost.
 *
 * Thread: the loop. Failure: errors of a stream reset it, those of the connection end it after a
 * GOAWAY; input is then dropped for a while, so that no reset destroys it on its way. */
#include "net/h2_int.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

/* ---- streams ---- */

void h2_wait(struct h2_stream *s, struct h2_list *list)
{
    struct h2_list *old = s->list;
    if (old) {
        *(s->wait_prev ? &s->wait_prev->wait_next : &old->first) = s->wait_next;
        *(s->wait_next ? &s->wait_next->wait_prev : &old->last) = s->wait_prev;
    }
    s->list = list;
    s->wait_prev = s->wait_next = NULL;
    s->progress_ns = s->h2->c->loop->now_ns;
    if (!list)
        return;
    s->wait_prev = list->last;
    *(list->last ? &list->last->wait_next : &list->first) = s;
    list->last = s;
}

void h2_stream_free(struct h2_stream *s)
{
    struct h2 *h = s->h2;
    h2_wait(s, NULL);
    if (s->next)
        s->next->prev = s->prev;
    *(s->prev ? &s->prev->next : &h->streams) = s->next;
    if (s->rq)
        request_free(s->rq);
    mem_free(s);
}

void h2_handling(struct h2_stream *s)
{
    ASSERT(s->state < H2_HANDLING);
    h2_wait(s, NULL);
    s->state = H2_HANDLING;
    s->h2->n_handling++;
    s->h2->c->loop->n_inflight++;
}

void h2_refuse(struct h2_stream *s, enum http_refusal why, const char *msg)
{
    h2_in_close(s);
    h2_handling(s);
    http_refuse(s->rq, why, msg);
}

/* ---- the session's callbacks ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    int32_t id = frame->hd.stream_id;
    h->last_id = id;
    struct h2_stream *s = h2_in_begin(h, id);
    s->unwanted = h->n_handling >= H2_STREAMS_MAX || h->unsent > H2_UNSENT_MAX;
    return nghttp2_session_set_stream_user_data(session, id, s);
}

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    (void)flags;
    (void)user;
    if (s && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        h2_in_header(
            s, str_make((const char *)name, name_n), str_make((const char *)value, value_n));
    return 0;
}

/* nghttp2 would pass over a field with odd bytes; whoever is in front may not have. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
    const uint8_t *name, size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags,
    void *user)
{
    (void)session, (void)frame, (void)name, (void)name_n, (void)value, (void)value_n, (void)flags;
    (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int refuse_stream(nghttp2_session *session, struct h2_stream *s)
{
    struct h2 *h = s->h2;
    int32_t id = s->id;
    bool many = h->n_handling >= H2_STREAMS_MAX;
    metric_add(M_STREAMS_REFUSED, 1, many ? STR("requests") : STR("unsent_replies"));
    h2_in_tell_refused(s, HTTP_REFUSED_STREAM,
        many ? "too many requests of this connection are being handled"
             : "too many bytes of replies wait on this connection");
    h2_stream_free(s);
    nghttp2_session_set_stream_user_data(session, id, NULL);
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
}

/* What nghttp2 refuses by itself, of a client that does not yet know the limit; it has not kept the
 * header. */
static int on_invalid_frame(
    nghttp2_session *session, const nghttp2_frame *frame, int code, void *user)
{
    (void)session, (void)user;
    if (frame->hd.type == NGHTTP2_HEADERS && code == NGHTTP2_ERR_REFUSED_STREAM)
        metric_add(M_STREAMS_REFUSED, 1, STR("concurrent"));
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        h->stop_heard = h->stopping;
        return 0;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    if (!s)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && s->unwanted)
        return refuse_stream(session, s);
    if (frame->hd.type == NGHTTP2_HEADERS && !s->head)
        h2_in_head_done(s);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        h2_in_end(s);
    return 0;
}

static int on_chunk(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = stream_of(session, id);
    (void)flags;
    h->tokens += (int64_t)(n / H2_TOKEN_BYTES);
    if (s)
        h2_in_data(s, (const char *)p, n);
    else
        nghttp2_session_consume_connection(session, n);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = stream_of(session, id);
    if (!s)
        return 0;
    h2_in_close(s);
    if (s->state == H2_HANDLING) {
        s->closed = true;
        atomic_store(&s->rq->pub.gone, true);
        atomic_store(&s->rq->dropped, true);
        return 0;
    }
    if (s->state == H2_LIVE) {
        h2_live_close(s);
        h->tokens += code == NGHTTP2_NO_ERROR ? H2_TOKENS_REQUEST : 0;
    } else if (s->state == H2_REPLY) {
        h->n_replying--;
        h->unsent -= s->rq->content.n;
        h->tokens += code == NGHTTP2_NO_ERROR ? H2_TOKENS_REQUEST : 0;
    }
    h2_stream_free(s);
    return 0;
}

/* The reply is out before the whole request was there: the rest is not wanted. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        h->cut_id = MAX(h->cut_id, frame->hd.stream_id);
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    if (s && !s->remote_done)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    return 0;
}

static bool token_take(struct h2 *h)
{
    int64_t now = h->c->loop->now_ns;
    int64_t fresh = MIN(now - h->tokens_ns, NS_PER_S) * H2_TOKENS / NS_PER_S;
    if (fresh > 0) {
        h->tokens += fresh;
        h->tokens_ns = now;
    }
    h->tokens = MIN(h->tokens, H2_TOKENS) - 1;
    return h->tokens >= 0;
}

/* Uploads that had begun to arrive are refused with it. */
static void note_flood(struct h2 *h)
{
    if (h->flooded)
        return;
    h->flooded = true;
    metric_add(M_CONNECTIONS_REFUSED, 1, STR("http2_flood"));
    for (struct h2_stream *s = h->streams; s; s = s->next)
        if (s->state < H2_HANDLING)
            h2_in_tell_refused(s, HTTP_REFUSED_FLOOD, "a flood of frames on this connection");
}

/* What nghttp2 passes over: HEADERS on a stream that the client has ended itself. They may still be
 * on their way to streams that we have reset, and to those before. DATA does not come by here. */
static uint32_t frame_fault(const struct h2 *h, const nghttp2_frame_hd *hd)
{
    if (hd->type == NGHTTP2_PRIORITY)
        return hd->stream_id == 0 ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_NO_ERROR;
    bool over = hd->type == NGHTTP2_HEADERS && hd->stream_id > h->cut_id &&
                hd->stream_id <= h->last_id &&
                !nghttp2_session_find_stream(h->session, hd->stream_id);
    return over ? NGHTTP2_STREAM_CLOSED : NGHTTP2_NO_ERROR;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    struct h2 *h = user;
    uint32_t fault = frame_fault(h, hd);
    if (fault != NGHTTP2_NO_ERROR)
        return nghttp2_session_terminate_session(session, fault);
    if (token_take(h))
        return 0;
    note_flood(h);
    return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* ---- the connection ---- */

static nghttp2_session *session_new(struct h2 *h)
{
    nghttp2_session_callbacks *call;
    nghttp2_option *option;
    nghttp2_session *session;
    if (nghttp2_session_callbacks_new(&call) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_frame_callback(call, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(call, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(call, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(call, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(call, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(call, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(call, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(call, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(call, on_sent);
    nghttp2_session_callbacks_set_send_data_callback(call, h2_out_data);
    bool ok = nghttp2_option_new(&option) == 0;
    if (ok) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        ok = nghttp2_session_server_new2(&session, call, h, option) == 0;
        nghttp2_option_del(option);
    }
    nghttp2_session_callbacks_del(call);
    return ok ? session : NULL;
}

static bool submit_settings(struct h2 *h)
{
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h->c->loop->server->cfg.header_bytes_max},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    return nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, entries, ARRAY_LEN(entries)) == 0;
}

static void h2_open(struct conn *c)
{
    struct h2 *h = NEW(struct h2);
    c->proto = h;
    h->c = c;
    h->tokens = H2_TOKENS;
    h->tokens_ns = c->loop->now_ns;
    h->session = session_new(h);
    h->failed = !h->session || !submit_settings(h);
    conn_timer(c, CONN_T_IDLE);
}

static void h2_free(struct conn *c)
{
    struct h2 *h = c->proto;
    nghttp2_session_del(h->session);
    while (h->streams) {
        struct h2_stream *s = h->streams;
        if (s->state == H2_LIVE)
            h2_live_close(s);
        if (s->state == H2_HANDLING) { /* comes back with its reply */
            s->rq->conn = NULL;
            s->rq->stream = NULL;
            s->rq = NULL;
        }
        h2_stream_free(s);
    }
    mem_free(h);
    c->proto = NULL;
}

/* Nothing more is read; what comes is dropped for a while. */
static void linger(struct conn *c)
{
    struct h2 *h = c->proto;
    if (h->lingering)
        return;
    if (c->peer_done) {
        conn_close(c);
        return;
    }
    c->transport->shutdown(c);
    h->lingering = true;
}

static enum conn_timer timer_kind(const struct conn *c)
{
    const struct h2 *h = c->proto;
    if (h->lingering)
        return CONN_T_LINGER;
    if (h->starved.first)
        return CONN_T_BUDGET;
    if (c->out_first || h->n_replying || h2_live_unread(h))
        return CONN_T_WRITE;
    if (h->receiving.first)
        return CONN_T_BODY;
    if (h->n_live)
        return CONN_T_LIVE;
    if (h->n_handling)
        return CONN_T_NONE;
    return h->stopping ? CONN_T_LINGER : CONN_T_IDLE;
}

/* What the session has become: the end of a stop, of the connection, another timer. */
static void settle(struct conn *c)
{
    struct h2 *h = c->proto;
    if (c->closed)
        return;
    if (h->failed) {
        conn_close(c);
        return;
    }
    if (h->stop_heard && !h->streams) {
        h->stop_heard = false;
        nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
        conn_ready(c);
    }
    bool over = !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
    if (over && !c->out_first)
        linger(c);
    if (c->closed)
        return;
    enum conn_timer kind = timer_kind(c);
    if (kind != c->timer || (kind == CONN_T_WRITE && h->progress))
        conn_timer(c, kind);
    h->progress = false;
}

static bool h2_want(struct conn *c, char **ret_p, size_t *ret_n)
{
    struct h2 *h = c->proto;
    *ret_p = NULL;
    *ret_n = SCRATCH_BYTES;
    return h->lingering || !c->out_first ||
           nghttp2_session_get_outbound_queue_size(h->session) < H2_QUEUE_MAX;
}

static void drop(struct conn *c, size_t n)
{
    struct h2 *h = c->proto;
    h->lingered += n;
    if (h->lingered > LINGER_BYTES)
        conn_close(c);
}

static void h2_on_data(struct conn *c, const char *p, size_t n)
{
    struct h2 *h = c->proto;
    if (h->lingering) {
        drop(c, n);
        return;
    }
    if (!h->failed) {
        ssize_t used = nghttp2_session_mem_recv(h->session, (const uint8_t *)p, n);
        if (used == NGHTTP2_ERR_FLOODED)
            note_flood(h);
        h->failed |= used < 0;
        h2_in_expire(h);
        h2_live_tick(h);
    }
    if (!h->failed && nghttp2_session_want_write(h->session))
        conn_flush(c);
    settle(c);
}

static void h2_fill(struct conn *c)
{
    struct h2 *h = c->proto;
    if (!h->lingering && !h->failed)
        h2_out_fill(h);
}

/* There is room for what calls that go on held back. */
static void h2_on_written(struct conn *c)
{
    struct h2 *h = c->proto;
    if (h->n_live && !h->failed) {
        h2_live_written(h);
        if (nghttp2_session_want_write(h->session))
            conn_ready(c);
    }
    settle(c);
}

static void h2_on_gone(struct conn *c)
{
    struct h2 *h = c->proto;
    for (struct h2_stream *s = h->streams; s; s = s->next)
        if (s->state == H2_HANDLING)
            atomic_store(&s->rq->pub.gone, true);
}

static void h2_on_reply(struct conn *c, struct request *r)
{
    struct h2_stream *s = r->stream;
    struct h2 *h = c->proto;
    ASSERT(s->state == H2_HANDLING && s->rq == r);
    h->n_handling--;
    if (c->closed || s->closed) {
        s->state = H2_REPLY; /* nobody else has the request now */
        h2_stream_free(s);
    } else {
        h->n_replying++;
        h->unsent += r->content.n;
        s->state = H2_REPLY;
        h2_out_reply(s);
    }
    if (!c->closed)
        conn_ready(c); /* one write for all replies of this turn */
}

static void h2_on_budget(struct conn *c)
{
    struct h2 *h = c->proto;
    h2_in_budget(h);
    settle(c);
    if (!c->closed)
        conn_ready(c); /* windows have opened, though others may still wait */
}

static void h2_on_timeout(struct conn *c, enum conn_timer kind)
{
    struct h2 *h = c->proto;
    if (h->failed) {
        conn_close(c);
    } else if (kind == CONN_T_BODY || kind == CONN_T_BUDGET) {
        h2_in_expire(h);
        settle(c);
        if (!c->closed)
            conn_timer(c, timer_kind(c));
    } else if (kind == CONN_T_LIVE) {
        h2_live_tick(h);
        conn_timer(c, timer_kind(c));
        conn_flush(c);
        settle(c);
    } else if (kind == CONN_T_IDLE && !c->out_first) {
        nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
        conn_timer(c, CONN_T_WRITE);
        conn_flush(c);
        settle(c);
    } else {
        conn_close(c);
    }
}

static void h2_on_stop(struct conn *c)
{
    static const uint8_t ping[8] = "stopping";
    struct h2 *h = c->proto;
    if (h->lingering || h->stopping || h->failed)
        return;
    h->stopping = true;
    h2_live_stop(h);
    if (nghttp2_submit_shutdown_notice(h->session) != 0 ||
        nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, ping) != 0)
        h->failed = true;
    conn_flush(c);
    settle(c);
}

const struct protocol_ops protocol_http2 = {
    .name = "h2",
    .open = h2_open,
    .free = h2_free,
    .want = h2_want,
    .on_data = h2_on_data,
    .fill = h2_fill,
    .on_eof = conn_close,
    .on_gone = h2_on_gone,
    .on_written = h2_on_written,
    .on_reply = h2_on_reply,
    .on_budget = h2_on_budget,
    .on_timeout = h2_on_timeout,
    .on_stop = h2_on_stop,
};
