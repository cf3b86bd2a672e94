/* HTTP/1.1 and 1.0 on one connection: a protocol of net_int.h.
 *
 * One request at a time. While one is with its handler nothing is read; what the last read brought
 * beyond it waits in `stash` (at most SCRATCH_BYTES) and is parsed after the reply.
 *
 *   IDLE ─► HEAD ─► BODY ◄─► BUDGET          BODY: the body arrives; a known length is read
 *             │       │        │              straight into its final buffer, a chunked one is
 *             ▼       ▼        ▼              copied once out of the loop's scratch buffer.
 *            HANDLING ◄────────┘              BUDGET: it waits for room, nothing is read.
 *             │
 *             ▼                               SKIP: the rest of a refused request's body is read
 *            WRITING ─► IDLE, SKIP, LINGER         to keep the connection.
 *                                             LINGER: the last reply is out and our side closed;
 *                                                  input is dropped for a while, so that a reset
 *                                                  does not destroy the reply on its way.
 *
 * 1. rq exists from the first byte of a header until its reply was taken; exactly one reply.
 * 2. stash holds bytes only in BUDGET, HANDLING, WRITING (and while feed_stash runs).
 * 3. A request whose end we did not see (or could not trust) closes the connection after its reply.
 *
 * Thread: the loop. Failure: answered with an error and closed. Pure of sockets: bytes come by
 * on_data, replies by on_reply, time by on_timeout. */
#include "net/net_int.h"

#include <stdio.h>

#include "base/mem.h"
#include "net/http1_int.h"

enum state { S_IDLE, S_HEAD, S_BODY, S_BUDGET, S_HANDLING, S_WRITING, S_SKIP, S_LINGER };

#define TO(s) (1u << (s))
static const uint32_t successors[] = {
    [S_IDLE] = TO(S_HEAD),
    [S_HEAD] = TO(S_BODY) | TO(S_HANDLING),
    [S_BODY] = TO(S_BUDGET) | TO(S_HANDLING),
    [S_BUDGET] = TO(S_BODY) | TO(S_HANDLING),
    [S_HANDLING] = TO(S_WRITING),
    [S_WRITING] = TO(S_IDLE) | TO(S_SKIP) | TO(S_LINGER),
    [S_SKIP] = TO(S_IDLE),
    [S_LINGER] = 0,
};

struct http1 {
    enum state state;
    enum head_scan_state scan;
    struct request *rq;
    struct buf stash;
    size_t stash_at;
    uint64_t length;   /* of a body that is not chunked; S_SKIP: left to skip; S_LINGER: seen */
    uint64_t body_max; /* of this request */
    struct chunked chunks;
    bool chunked, expect, incomplete, keep_alive;
};

static void enter(struct conn *c, enum state next)
{
    static const enum conn_timer timers[] = {
        [S_IDLE] = CONN_T_IDLE,
        [S_HEAD] = CONN_T_HEAD,
        [S_BODY] = CONN_T_BODY,
        [S_BUDGET] = CONN_T_BUDGET,
        [S_HANDLING] = CONN_T_NONE,
        [S_WRITING] = CONN_T_WRITE,
        [S_SKIP] = CONN_T_BODY,
        [S_LINGER] = CONN_T_LINGER,
    };
    struct http1 *h = c->proto;
    ASSERT(successors[h->state] & TO(next));
    if (next == S_HANDLING)
        c->loop->n_inflight++;
    h->state = next;
    conn_timer(c, timers[next]);
}

static void http1_open(struct conn *c)
{
    struct http1 *h = NEW(struct http1);
    buf_init(&h->stash, SCRATCH_BYTES);
    c->proto = h;
    conn_timer(c, CONN_T_IDLE);
}

static void http1_free(struct conn *c)
{
    struct http1 *h = c->proto;
    if (h->rq && h->state == S_HANDLING)
        h->rq->conn = NULL; /* comes back with its reply */
    else if (h->rq)
        request_free(h->rq);
    buf_done(&h->stash);
    mem_free(h);
    c->proto = NULL;
}

/* ---- refusing ---- */

/* Answers now; the rest of the message is not to be trusted or not worth reading. */
static void last_answer(struct conn *c)
{
    struct http1 *h = c->proto;
    h->incomplete = true;
    h->rq->keep_alive = false;
    enter(c, S_HANDLING);
}

static void refuse(struct conn *c, enum http_refusal why, const char *msg)
{
    struct http1 *h = c->proto;
    last_answer(c);
    http_refuse(h->rq, why, msg);
}

/* A header that is not complete, or has too many fields: whose it is, as far as it says. */
static void refuse_head(struct conn *c, enum http_refusal why, const char *msg)
{
    struct http1 *h = c->proto;
    struct http_request *rq = &h->rq->pub;
    struct http1_head head;
    http1_head_glimpse(buf_view(&h->rq->head), &rq->arena, &head);
    rq->method = head.method;
    rq->target = head.target;
    rq->headers = head.headers;
    rq->n_headers = head.n_headers;
    rq->peer = conn_peer(c, &rq->arena);
    router_glimpse(h->rq);
    refuse(c, why, msg);
}

static void too_large(struct conn *c, uint64_t seen)
{
    struct http1 *h = c->proto;
    last_answer(c);
    router_too_large(h->rq, seen);
}

static void refuse_body(struct conn *c, enum http_refusal why, const char *text)
{
    struct http1 *h = c->proto;
    char msg[128];
    snprintf(msg, sizeof msg, "error reading request body bytes_read %zu: %s", h->rq->body.n, text);
    refuse(c, why, msg);
}

/* ---- the body ---- */

static void body_complete(struct conn *c)
{
    struct http1 *h = c->proto;
    struct request *r = h->rq;
    r->pub.body = buf_view(&r->body);
    h->length = 0;
    enter(c, S_HANDLING);
    if (c->peer_done)
        atomic_store(&r->pub.gone, true);
    router_dispatch(r);
}

/* Charges for a body of `need` bytes, and somewhat ahead; false: no room in the budget. */
static bool body_charge(struct http1 *h, uint64_t need)
{
    struct request *r = h->rq;
    uint64_t want = need;
    if (need <= r->charged)
        return true;
    if (!h->chunked)
        want = MIN(h->length, MAX(need, r->charged + BUDGET_STEP));
    else
        want = MIN(h->body_max, MAX(MAX(need, 2 * (uint64_t)r->body.cap), 4 * KIB));
    return request_charge(r, want);
}

/* Room for a body of `need` bytes; false: the connection waits for the budget or was refused. */
static bool body_room(struct conn *c, uint64_t need)
{
    struct http1 *h = c->proto;
    struct request *r = h->rq;
    if (!body_charge(h, need)) {
        enter(c, S_BUDGET);
        return false;
    }
    if (h->chunked && !buf_reserve(&r->body, r->charged - r->body.n)) {
        refuse(c, HTTP_REFUSED_MEMORY, "no memory for a request body");
        return false;
    }
    return true;
}

/* A body of known length. The bytes may already be where they belong (http1_want). */
static size_t feed_sized(struct conn *c, const char *p, size_t n)
{
    struct http1 *h = c->proto;
    struct buf *b = &h->rq->body;
    if (b->n == h->rq->charged && !body_room(c, b->n + 1))
        return 0;
    size_t take = MIN(n, (size_t)MIN(h->length, h->rq->charged) - b->n);
    if (p != b->p + b->n)
        memcpy(b->p + b->n, p, take);
    b->n += take;
    if (b->n == h->length)
        body_complete(c);
    else
        conn_timer(c, CONN_T_BODY);
    return take;
}

static size_t feed_chunked(struct conn *c, const char *p, size_t n)
{
    struct http1 *h = c->proto;
    struct buf *b = &h->rq->body;
    struct str data;
    /* Room for all of it before the first byte, so that a step never stops in the middle. */
    if (!body_room(c, MIN((uint64_t)b->n + n, h->body_max)))
        return 0;
    size_t used = chunked_step(&h->chunks, p, n, &data);
    /* Both checks see the same numbers however the input is split. */
    if (h->chunks.overhead > c->loop->server->cfg.header_bytes_max + 16 * (uint64_t)b->n) {
        refuse(c, HTTP_REFUSED_BAD_BODY, "chunked body has too much framing");
        return used;
    }
    uint64_t coming = data.n + chunked_pending(&h->chunks);
    if (coming > h->body_max - b->n) {
        too_large(c, b->n + coming);
        return used;
    }
    buf_str(b, data);
    ASSERT(!b->failed);
    if (chunked_bad(&h->chunks))
        refuse(c, HTTP_REFUSED_BAD_BODY, "malformed chunked body");
    else if (chunked_done(&h->chunks))
        body_complete(c);
    else
        conn_timer(c, CONN_T_BODY);
    return used;
}

/* ---- the header ---- */

/* The router has answered before the body was read: skip a short rest, else close. */
static void after_refusal(struct conn *c, const struct http1_head *head)
{
    struct http1 *h = c->proto;
    if (head->chunked || head->expect_continue || head->length > SKIP_BYTES) {
        h->incomplete = true;
        h->keep_alive = false;
    } else {
        h->length = head->length;
    }
}

static void body_begin(struct conn *c, const struct http1_head *head)
{
    struct http1 *h = c->proto;
    struct request *r = h->rq;
    h->chunked = head->chunked;
    h->length = head->length;
    h->body_max = router_body_max(r);
    buf_init(&r->body, h->body_max);
    if (head->length > h->body_max) {
        too_large(c, head->length);
        return;
    }
    if (!head->chunked && head->length == 0) {
        h->length = 0;
        body_complete(c);
        return;
    }
    if (!head->chunked) {
        r->body.p = mem_try(head->length);
        r->body.cap = r->body.p ? head->length : 0;
        if (!r->body.p) {
            refuse(c, HTTP_REFUSED_MEMORY, "no memory for a request body");
            return;
        }
    }
    h->chunks = (struct chunked){0};
    h->expect = head->expect_continue;
    enter(c, S_BODY);
}

/* What could be read in two ways is nobody's: no route is told. */
static void refuse_malformed(struct conn *c, const struct error *err)
{
    struct http1 *h = c->proto;
    last_answer(c);
    http_reply_error(&h->rq->pub, err);
}

static void refuse_bad_byte(struct conn *c)
{
    struct error err = {0};
    error_set(
        &err, ST_INVALID_ARGUMENT, __FILE__, __LINE__, "malformed request: bad byte in the header");
    refuse_malformed(c, &err);
}

static void head_complete(struct conn *c)
{
    struct http1 *h = c->proto;
    struct request *r = h->rq;
    struct http1_head head;
    struct error err;
    enum status st = http1_head_parse(buf_view(&r->head), &r->pub.arena, &head, &err);
    if (st == ST_RESOURCE_EXHAUSTED) {
        refuse_head(c, HTTP_REFUSED_HEADER, err.msg);
        return;
    }
    if (st != ST_OK) {
        refuse_malformed(c, &err);
        return;
    }
    r->pub.start_mono_ns = c->loop->now_ns;
    r->pub.method = head.method;
    r->pub.target = head.target;
    r->pub.headers = head.headers;
    r->pub.n_headers = head.n_headers;
    r->pub.peer = conn_peer(c, &r->pub.arena);
    r->http10 = head.http10;
    r->keep_alive = h->keep_alive = head.keep_alive;
    request_split_target(&r->pub);
    /* The router may reply at once, and a reply takes the views above away. */
    if (router_admit(r)) {
        body_begin(c, &head);
        return;
    }
    after_refusal(c, &head);
    r->keep_alive = h->keep_alive;
    enter(c, S_HANDLING);
}

static size_t feed_head(struct conn *c, const char *p, size_t n)
{
    struct http1 *h = c->proto;
    struct loop *l = c->loop;
    if (h->state == S_IDLE) {
        h->scan = HEAD_S_START;
        h->incomplete = h->expect = false;
        h->length = 0;
        h->rq = request_new(l->server, c, l->now_ns);
        enter(c, S_HEAD);
    }
    struct buf *b = &h->rq->head;
    size_t used = http1_head_scan(&h->scan, p, MIN(n, b->limit - b->n));
    buf_add(b, p, used);
    if (b->failed || !request_charge_head(h->rq))
        refuse_head(c, HTTP_REFUSED_MEMORY, "no memory for a request");
    else if (h->scan == HEAD_S_BAD)
        refuse_bad_byte(c);
    else if (h->scan == HEAD_S_DONE)
        head_complete(c);
    else if (b->n == b->limit)
        refuse_head(c, HTTP_REFUSED_HEADER, "request header too large");
    return used;
}

/* ---- bytes ---- */

static size_t feed_skip(struct conn *c, size_t n)
{
    struct http1 *h = c->proto;
    size_t take = MIN(n, (size_t)h->length);
    h->length -= take;
    if (h->length == 0)
        enter(c, S_IDLE);
    else
        conn_timer(c, CONN_T_BODY);
    return take;
}

static size_t feed_linger(struct conn *c, size_t n)
{
    struct http1 *h = c->proto;
    h->length += n;
    if (h->length > LINGER_BYTES)
        conn_close(c);
    return n;
}

/* Consumes what the state can take; 0: not now. */
static size_t feed(struct conn *c, const char *p, size_t n)
{
    struct http1 *h = c->proto;
    switch (h->state) {
    case S_IDLE:
    case S_HEAD:
        return feed_head(c, p, n);
    case S_BODY:
        return h->chunked ? feed_chunked(c, p, n) : feed_sized(c, p, n);
    case S_SKIP:
        return feed_skip(c, n);
    case S_LINGER:
        return feed_linger(c, n);
    default:
        return 0;
    }
}

static size_t feed_all(struct conn *c, const char *p, size_t n)
{
    size_t at = 0;
    while (at < n && !c->closed) {
        size_t used = feed(c, p + at, n - at);
        if (used == 0)
            break;
        at += used;
    }
    return at;
}

/* A client that expects to be asked for its body, and has not begun to send it. */
static void send_continue(struct conn *c)
{
    struct http1 *h = c->proto;
    if (!h->expect || h->state != S_BODY || h->rq->body.n || h->chunks.overhead)
        return;
    h->expect = false;
    struct buf b;
    buf_init(&b, 64);
    buf_str(&b, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    conn_send(c, &b);
    conn_flush(c);
}

/* Goes on with what waited. */
static void feed_stash(struct conn *c)
{
    struct http1 *h = c->proto;
    struct buf *b = &h->stash;
    if (b->n == 0)
        return;
    h->stash_at += feed_all(c, b->p + h->stash_at, b->n - h->stash_at);
    if (c->closed || h->stash_at < b->n)
        return;
    buf_done(b);
    h->stash_at = 0;
    send_continue(c);
}

static void http1_on_data(struct conn *c, const char *p, size_t n)
{
    struct http1 *h = c->proto;
    size_t used = feed_all(c, p, n);
    if (c->closed)
        return;
    if (used < n) {
        ASSERT(h->stash.n == 0);
        buf_add(&h->stash, p + used, n - used);
        ASSERT(!h->stash.failed);
    }
    send_continue(c);
}

static bool http1_want(struct conn *c, char **ret_p, size_t *ret_n)
{
    struct http1 *h = c->proto;
    *ret_p = NULL;
    *ret_n = SCRATCH_BYTES;
    if (h->state == S_BUDGET || h->state == S_HANDLING || h->state == S_WRITING)
        return false;
    ASSERT(h->stash.n == 0);
    if (h->state != S_BODY || h->chunked)
        return true;
    struct buf *b = &h->rq->body;
    if (b->n == h->rq->charged && !body_room(c, b->n + 1))
        return false;
    *ret_p = b->p + b->n;
    *ret_n = (size_t)MIN(h->length, h->rq->charged) - b->n;
    return true;
}

static void http1_on_budget(struct conn *c)
{
    struct http1 *h = c->proto;
    ASSERT(h->state == S_BUDGET);
    size_t waiting = h->stash.n - h->stash_at;
    uint64_t need = h->rq->body.n + (h->chunked ? waiting : 1);
    if (!body_charge(h, MIN(need, h->body_max)))
        return; /* and the timer goes on */
    enter(c, S_BODY);
    feed_stash(c);
}

static void http1_on_eof(struct conn *c)
{
    struct http1 *h = c->proto;
    if (h->state == S_BODY)
        refuse_body(c, HTTP_REFUSED_CUT_BODY, "unexpected EOF");
    else
        conn_close(c);
}

static void http1_on_gone(struct conn *c)
{
    struct http1 *h = c->proto;
    if (h->rq && h->state == S_HANDLING)
        atomic_store(&h->rq->pub.gone, true);
}

/* ---- the reply ---- */

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {412, "Precondition Failed"},
        {413, "Request Entity Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Entity"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Status";
}

/* "Trailer: A, B" of the trailers' names. */
static void put_trailer_names(struct buf *head, struct str trailers)
{
    buf_str(head, STR("Transfer-Encoding: chunked\r\nTrailer: "));
    for (bool first = true; trailers.n; first = false) {
        if (!first)
            buf_str(head, STR(", "));
        buf_str(head, str_head(trailers, str_find_char(trailers, ':')));
        trailers = str_skip(trailers, str_find(trailers, STR("\r\n")) + 2);
    }
    buf_str(head, STR("\r\n"));
}

/* One chunk, behind the header and its size, and the end with its trailers. */
static void send_chunked(struct conn *c, struct request *r)
{
    struct buf end;
    buf_init(&end, r->trailers.n + 16);
    buf_str(&end, r->content.n ? STR("\r\n0\r\n") : STR("0\r\n"));
    buf_str(&end, buf_view(&r->trailers));
    buf_str(&end, STR("\r\n"));
    ASSERT(!end.failed);
    if (r->content.n)
        conn_send(c, &r->content);
    conn_send(c, &end);
}

static void send_reply(struct conn *c, struct request *r, bool keep_alive)
{
    bool bodiless = r->status == 204 || r->status == 304;
    bool chunked = r->trailers.n && !bodiless && !r->http10;
    struct str date = loop_date(c->loop);
    struct buf head;
    buf_init(&head, r->fields.n + r->trailers.n + 512);
    buf_printf(
        &head, "HTTP/1.1 %d %s\r\nDate: %.*s\r\n", r->status, reason_of(r->status), STR_ARG(date));
    buf_str(&head, buf_view(&r->fields));
    if (chunked)
        put_trailer_names(&head, buf_view(&r->trailers));
    else if (!bodiless)
        buf_printf(&head, "Content-Length: %zu\r\n", r->content.n);
    if (!keep_alive)
        buf_str(&head, STR("Connection: close\r\n"));
    else if (r->http10)
        buf_str(&head, STR("Connection: keep-alive\r\n"));
    buf_str(&head, STR("\r\n"));
    if (chunked && r->pub.method != HTTP_M_HEAD && r->content.n)
        buf_printf(&head, "%zx\r\n", r->content.n);
    ASSERT(!head.failed);
    conn_send(c, &head);
    if (chunked && r->pub.method != HTTP_M_HEAD)
        send_chunked(c, r);
    else if (!bodiless && r->pub.method != HTTP_M_HEAD && r->content.n)
        conn_send(c, &r->content);
}

static void http1_on_reply(struct conn *c, struct request *r)
{
    struct http1 *h = c->proto;
    ASSERT(h->state == S_HANDLING && h->rq == r);
    h->rq = NULL;
    if (c->closed || r->abandoned) {
        request_free(r);
        conn_close(c);
        return;
    }
    h->keep_alive = r->keep_alive && !atomic_load(&c->loop->server->stopping);
    send_reply(c, r, h->keep_alive);
    request_free(r);
    enter(c, S_WRITING);
    conn_flush(c);
}

static void http1_on_written(struct conn *c)
{
    struct http1 *h = c->proto;
    if (h->state != S_WRITING)
        return;
    if (atomic_load(&c->loop->server->stopping))
        h->keep_alive = false;
    if (!h->keep_alive && !h->incomplete && h->length == 0 && h->stash.n == 0) {
        conn_close(c);
        return;
    }
    if (!h->keep_alive) {
        c->transport->shutdown(c);
        h->length = 0;
        enter(c, S_LINGER);
    } else {
        enter(c, h->length ? S_SKIP : S_IDLE);
    }
    feed_stash(c);
}

/* ---- time ---- */

static void http1_on_timeout(struct conn *c, enum conn_timer kind)
{
    struct http1 *h = c->proto;
    if (kind == CONN_T_HEAD)
        refuse_head(c, HTTP_REFUSED_SLOW_HEADER, "timeout reading the request header");
    else if (kind == CONN_T_BODY && h->state == S_BODY)
        refuse_body(c, HTTP_REFUSED_SLOW_BODY, "timeout");
    else if (kind == CONN_T_BUDGET)
        refuse(c, HTTP_REFUSED_BUDGET, "too many request bodies in flight");
    else
        conn_close(c);
}

static void http1_on_stop(struct conn *c)
{
    struct http1 *h = c->proto;
    if (h->state == S_IDLE || h->state == S_SKIP)
        conn_close(c);
}

const struct protocol_ops protocol_http1 = {
    .name = "http/1.1",
    .open = http1_open,
    .free = http1_free,
    .want = http1_want,
    .on_data = http1_on_data,
    .on_eof = http1_on_eof,
    .on_gone = http1_on_gone,
    .on_written = http1_on_written,
    .on_reply = http1_on_reply,
    .on_budget = http1_on_budget,
    .on_timeout = http1_on_timeout,
    .on_stop = http1_on_stop,
};
