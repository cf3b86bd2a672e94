/* What arrives on a stream of HTTP/2: a header, then a body, under the limits that HTTP/1 has.
 *
 * A body is paid for from the server's budget, then the client may send as much again:
 *
 *     arrived ─► charge ─► consumed: its bytes go back to the windows of stream and connection
 *                  └─ no room: `starved`, the windows shrink, other streams go on while they last
 *
 * 1. A stream begins with a window of H2_WINDOW bytes, unpaid for; so has the connection. Since
 *    unpaid bytes are not consumed, H2_WINDOW bounds those of a connection, however many streams.
 * 2. A larger window (doubling with what has arrived, to BUDGET_STEP) is charged before it is
 *    granted; the connection's window grows by the same and shrinks when the stream ends.
 * 3. A header is gathered in request.head as (lengths, name, value)…; views are made at its end.
 *
 * Thread: the loop. Failure: answered with a status; what still comes is dropped and consumed for
 * the connection only, until the reply has been sent and the stream is reset. */
#include <stdio.h>

#include "base/mem.h"
#include "net/h2_int.h"

enum { PSEUDO_FIELDS = 4, HEAD_BYTES = 512 };

struct field_size {
    uint32_t name, value;
};

/* ---- the header ---- */

struct h2_stream *h2_in_begin(struct h2 *h, int32_t id)
{
    struct conn *c = h->c;
    struct h2_stream *s = NEW(struct h2_stream);
    s->h2 = h;
    s->id = id;
    s->window = H2_WINDOW;
    s->next = h->streams;
    if (h->streams)
        h->streams->prev = s;
    h->streams = s;
    s->rq = request_new(c->loop->server, c, c->loop->now_ns);
    s->rq->stream = s;
    buf_reserve(&s->rq->head, MIN(HEAD_BYTES, s->rq->head.limit));
    h2_wait(s, &h->receiving);
    return s;
}

void h2_in_header(struct h2_stream *s, struct str name, struct str value)
{
    struct request *r = s->rq;
    struct field_size size = {(uint32_t)name.n, (uint32_t)value.n};
    if (s->state != H2_HEAD || s->header_fault)
        return;
    if (name.n + value.n + sizeof size > r->head.limit - r->head.n) {
        s->header_fault = 431;
        return;
    }
    buf_add(&r->head, &size, sizeof size);
    buf_str(&r->head, name);
    buf_str(&r->head, value);
    if (r->head.failed || !request_charge_head(r))
        s->header_fault = 503;
}

/* The next field of the gathered header. */
static bool field_next(struct str *rest, struct http_header *ret_field)
{
    struct field_size size;
    if (rest->n < sizeof size)
        return false;
    memcpy(&size, rest->p, sizeof size);
    *rest = str_skip(*rest, sizeof size);
    ret_field->name = str_head(*rest, size.name);
    ret_field->value = str_head(str_skip(*rest, size.name), size.value);
    *rest = str_skip(*rest, (size_t)size.name + size.value);
    return true;
}

static void take_length(struct h2_stream *s, struct str value)
{
    uint64_t n;
    if (!str_to_u64(value, &n)) /* nghttp2 has checked it */
        return;
    s->has_length = true;
    s->length = n;
}

static void take_pseudo(struct http_request *rq, const struct http_header *f, struct str *host)
{
    if (str_eq(f->name, STR(":method")))
        rq->method = http_method_of(f->value);
    else if (str_eq(f->name, STR(":path")))
        rq->target = f->value;
    else if (str_eq(f->name, STR(":authority")))
        *host = f->value;
}

/* Views of the header; false without memory or when there are too many fields: not all of them. */
static bool take_fields(struct h2_stream *s)
{
    struct http_request *rq = &s->rq->pub;
    struct str rest = buf_view(&s->rq->head), host = {NULL, 0};
    struct http_header f, *all;
    uint32_t there = 0, left = HEADERS_MAX + PSEUDO_FIELDS, n = 0;
    while (field_next(&rest, &f))
        there++;
    all = ARENA_ARRAY(&rq->arena, struct http_header, MIN(there, left) + 1);
    if (!all)
        return false;
    rest = buf_view(&s->rq->head);
    while (left > 0 && field_next(&rest, &f)) {
        left--;
        if (f.name.n && f.name.p[0] == ':') {
            take_pseudo(rq, &f, &host);
            continue;
        }
        if (str_eq(f.name, STR("content-length")))
            take_length(s, f.value);
        all[n++] = f;
    }
    if (host.p)
        all[n++] = (struct http_header){STR("host"), host};
    rq->headers = all;
    rq->n_headers = n;
    return there <= HEADERS_MAX + PSEUDO_FIELDS;
}

/* ---- the body ---- */

static struct nghttp2_session *session_of(const struct h2_stream *s)
{
    return s->h2->session;
}

static void set_window(struct h2_stream *s, uint32_t window)
{
    struct h2 *h = s->h2;
    h->windows += window;
    h->windows -= s->window;
    s->window = window;
    if (nghttp2_session_set_local_window_size(
            h->session, NGHTTP2_FLAG_NONE, 0, (int32_t)(H2_WINDOW + h->windows)) != 0)
        h->failed = true;
}

void h2_in_close(struct h2_stream *s)
{
    if (s->unpaid)
        nghttp2_session_consume_connection(session_of(s), s->unpaid);
    s->unpaid = 0;
    if (s->window > H2_WINDOW)
        set_window(s, H2_WINDOW);
}

static void too_large(struct h2_stream *s, uint64_t seen)
{
    h2_in_close(s);
    h2_handling(s);
    router_too_large(s->rq, seen);
}

/* A stream whose body is longer than its window gets a larger one, if the budget has it. */
static void grow_window(struct h2_stream *s)
{
    struct request *r = s->rq;
    uint64_t window = MIN(2 * (uint64_t)r->body.n, BUDGET_STEP);
    uint64_t left = s->has_length ? s->length - r->body.n : UINT64_MAX;
    if (window < 2 * (uint64_t)s->window || left <= s->window)
        return;
    if (!request_charge(r, MIN(r->body.n + window, s->body_max)))
        return;
    if (nghttp2_session_set_local_window_size(
            session_of(s), NGHTTP2_FLAG_NONE, s->id, (int32_t)window) != 0)
        s->h2->failed = true;
    set_window(s, (uint32_t)window);
}

/* What is there and may come is charged, and consumed; false: no room now. */
static bool pay(struct h2_stream *s)
{
    struct request *r = s->rq;
    uint64_t ahead = s->window > H2_WINDOW && !s->remote_done ? s->window : 0;
    uint64_t most = s->has_length ? s->length : s->body_max;
    uint64_t need = MIN(r->body.n + ahead, most);
    if (!s->has_length)
        need = MAX(need, r->body.cap);
    if (!request_charge(r, need))
        return false;
    nghttp2_session_consume(session_of(s), s->id, s->unpaid);
    s->unpaid = 0;
    return true;
}

static void dispatch(struct h2_stream *s)
{
    struct request *r = s->rq;
    h2_in_close(s);
    request_uncharge(r, s->has_length ? r->body.n : r->body.cap);
    r->pub.body = buf_view(&r->body);
    h2_handling(s);
    router_dispatch(r);
}

void h2_in_data(struct h2_stream *s, const char *p, size_t n)
{
    struct request *r = s->rq;
    if (s->state == H2_LIVE) {
        h2_live_data(s, p, n);
        return;
    }
    if (s->state != H2_BODY) {
        nghttp2_session_consume_connection(session_of(s), n);
        return;
    }
    s->unpaid += n;
    if (n > s->body_max - r->body.n) {
        too_large(s, r->body.n + n);
        return;
    }
    buf_add(&r->body, p, n);
    if (r->body.failed) {
        h2_refuse(s, HTTP_REFUSED_MEMORY, "no memory for a request body");
        return;
    }
    if (!pay(s)) {
        if (s->list != &s->h2->starved)
            h2_wait(s, &s->h2->starved);
        return;
    }
    h2_wait(s, &s->h2->receiving);
    grow_window(s);
}

void h2_in_end(struct h2_stream *s)
{
    s->remote_done = true;
    if (s->state == H2_LIVE)
        h2_live_end(s);
    if (s->state != H2_BODY)
        return;
    if (s->has_length)
        s->length = s->rq->body.n;
    if (pay(s)) {
        dispatch(s);
        return;
    }
    s->state = H2_COMPLETE;
    if (s->list != &s->h2->starved)
        h2_wait(s, &s->h2->starved);
}

static void body_begin(struct h2_stream *s)
{
    struct request *r = s->rq;
    s->state = H2_BODY;
    s->body_max = router_body_max(r);
    buf_init(&r->body, s->body_max);
    if (!s->has_length || s->length == 0)
        return;
    if (s->length > s->body_max) {
        too_large(s, s->length);
        return;
    }
    r->body.p = mem_try(s->length);
    r->body.cap = r->body.p ? s->length : 0;
    if (!r->body.p)
        h2_refuse(s, HTTP_REFUSED_MEMORY, "no memory for a request body");
}

/* A client that wants to be asked for its body. */
static void send_continue(struct h2_stream *s)
{
    static uint8_t name[] = ":status", value[] = "100";
    nghttp2_nv nv = {name, value, sizeof name - 1, sizeof value - 1, NGHTTP2_NV_FLAG_NONE};
    struct str expect = http_header_get(&s->rq->pub, STR("expect"));
    if (s->state != H2_BODY || !str_eq_nocase(expect, STR("100-continue")))
        return;
    if (nghttp2_submit_headers(session_of(s), NGHTTP2_FLAG_NONE, s->id, NULL, &nv, 1, NULL) != 0)
        s->h2->failed = true;
}

/* False: it has a fault, and what there is of it was read nevertheless. */
static bool read_head(struct h2_stream *s)
{
    struct request *r = s->rq;
    s->head = true;
    r->pub.method = HTTP_M_OTHER;
    r->pub.start_mono_ns = s->h2->c->loop->now_ns;
    r->pub.peer = conn_peer(s->h2->c, &r->pub.arena);
    return take_fields(s) && !s->header_fault;
}

static void reply_unimplemented(struct h2_stream *s)
{
    struct error err = {0};
    error_set(&err, ST_UNIMPLEMENTED, __FILE__, __LINE__, "method not implemented");
    h2_in_close(s);
    h2_handling(s);
    http_reply_error(&s->rq->pub, &err);
}

void h2_in_tell_refused(struct h2_stream *s, enum http_refusal why, const char *msg)
{
    if (!s->head) {
        (void)read_head(s);
        router_glimpse(s->rq);
    }
    router_tell_refused(s->rq, why, msg);
}

void h2_in_head_done(struct h2_stream *s)
{
    struct request *r = s->rq;
    bool fault = !read_head(s);
    if (fault)
        router_glimpse(r);
    else
        request_split_target(&r->pub);
    if (fault && s->header_fault == 503) {
        h2_refuse(s, HTTP_REFUSED_MEMORY, "no memory for a request");
    } else if (fault) {
        h2_refuse(s, HTTP_REFUSED_HEADER, "request header too large");
    } else if (r->pub.target.n == 0) { /* CONNECT */
        reply_unimplemented(s);
    } else if (router_admit(r)) {
        if (r->pub.route->stream) {
            h2_live_open(s);
            return;
        }
        h2_wait(s, &s->h2->receiving);
        body_begin(s);
        send_continue(s);
    } else {
        h2_handling(s);
    }
}

/* ---- room and time ---- */

void h2_in_budget(struct h2 *h)
{
    struct h2_stream *last = h->starved.last;
    for (struct h2_stream *s = h->starved.first, *next; s; s = next) {
        next = s == last ? NULL : s->wait_next;
        if (!pay(s))
            continue;
        if (s->state == H2_COMPLETE)
            dispatch(s);
        else
            h2_wait(s, &h->receiving);
    }
}

static bool expired(const struct h2 *h, const struct h2_stream *s, enum conn_timer kind)
{
    int64_t timeout = loop_timeout_ns(h->c->loop, kind);
    return s && timeout > 0 && s->progress_ns + timeout <= h->c->loop->now_ns;
}

void h2_in_expire(struct h2 *h)
{
    char msg[128];
    struct h2_stream *s;
    while (expired(h, s = h->starved.first, CONN_T_BUDGET))
        h2_refuse(s, HTTP_REFUSED_BUDGET, "too many request bodies in flight");
    while (expired(h, s = h->receiving.first, CONN_T_BODY)) {
        snprintf(msg, sizeof msg, "error reading request %s bytes_read %zu: timeout",
            s->state == H2_HEAD ? "header" : "body", s->rq->body.n);
        if (s->state == H2_HEAD) { /* nothing was complete that could be answered */
            h2_in_tell_refused(s, HTTP_REFUSED_SLOW_HEADER, msg);
            h->failed = true;
            return;
        }
        h2_refuse(s, HTTP_REFUSED_SLOW_BODY, msg);
    }
}
