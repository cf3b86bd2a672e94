/* gRPC on http_stream_ops: see grpc_stream.h. Bytes in, messages out, one at a time:
 *
 *     take: prefix ─► whole message there? ─► gunzip ─► decode ─► method ─► send*, end?
 *           5 bytes      0: come again        into an arena that ends with the message
 *
 * The call ends when the client has sent everything (unless it is a method of one request), with
 * its deadline, after `silence_ns` without a message, when the server stops, or on the first error.
 * Invariants: 1. A message is at most MESSAGE_MAX bytes, which its prefix is checked for, so what
 * is not taken stays below HTTP_STREAM_INPUT. 2. After grpc_stream_end nothing is taken or sent.
 * Thread: the loop. Failure: a status in the trailers. */
#include "net/grpc_stream.h"

#include "base/clock.h"
#include "codec/gzip.h"
#include "net/rpc_int.h"

enum {
    MESSAGE_MAX = 16 * 1024,
    ARENA_MAX = 1024 * 1024,
    ANSWER_MAX = 1024 * 1024,
    TEXT_MAX = 4 * ERROR_MSG_MAX,
};

void grpc_stream_end(struct grpc_stream *st, enum status code, struct str message)
{
    char number[8];
    struct buf text;
    int n = snprintf(number, sizeof number, "%d", code);
    buf_init(&text, TEXT_MAX);
    grpc_put_percent(&text, message);
    struct http_header trailers[] = {
        {STR("Grpc-Status"), str_make(number, (size_t)n)}, {STR("Grpc-Message"), buf_view(&text)}};
    struct http_response rs = {.trailers = trailers,
        .n_trailers = 1 + (message.n > 0),
        .grpc_result = grpc_result_of(st->rq, code)};
    http_stream_end(st->rq, &rs);
    buf_done(&text);
}

static void fail(struct grpc_stream *st, const struct error *err)
{
    grpc_stream_end(st, err->code, error_str(err));
}

void grpc_stream_send(struct grpc_stream *st, const void *response)
{
    struct buf out;
    buf_init(&out, ANSWER_MAX);
    buf_add(&out, "\0\0\0\0", GRPC_PREFIX_BYTES);
    (st->json ? msg_encode_json : msg_encode_proto)(st->method->response, response, &out);
    grpc_put_prefix(&out, 0, 0);
    if (out.failed)
        grpc_stream_end(st, ST_RESOURCE_EXHAUSTED, STR("response is too large"));
    else
        http_stream_write(st->rq, buf_view(&out));
    buf_done(&out);
}

/* ---- the request ---- */

static void on_open(struct http_request *rq, void *ctx)
{
    struct error err;
    enum rpc_form form;
    struct grpc_stream *st = ARENA_NEW(&rq->arena, struct grpc_stream);
    struct http_header accept = {STR("Grpc-Accept-Encoding"), STR("gzip")};
    struct http_response rs = {.status = 200,
        .content_type = http_header_get(rq, STR("Content-Type")),
        .more_headers = &accept,
        .n_more_headers = 1};
    rq->stream_state = st;
    if (!st) {
        rs.status = 503;
    } else {
        *st = (struct grpc_stream){
            .rq = rq, .method = ctx, .heard_mono_ns = rq->start_mono_ns, .json = false};
        if (!grpc_content_type(rq, &st->json, &form) || form != RPC_GRPC)
            rs.status = 415;
    }
    rs.grpc_result = rs.status == 200 ? "cancel" : NULL; /* unless it ends */
    http_stream_begin(rq, &rs);
    if (rs.status != 200)
        http_stream_end(rq, &rs);
    else if (grpc_read_timeout(rq, &st->deadline_mono_ns, &err) != ST_OK ||
             rpc_read_encoding(http_header_get(rq, STR("Grpc-Encoding")), &st->gzip, &err) != ST_OK)
        fail(st, &err);
}

static enum status inflate(
    const struct grpc_stream *st, struct str *message, struct arena *arena, struct error *err)
{
    if (!st->gzip)
        FAIL(err, ST_INTERNAL,
            "protocol error: sent compressed message without compression support");
    if (message->n == 0)
        return ST_OK;
    enum status code = gzip_inflate(*message, MESSAGE_MAX, arena, message, err);
    return code == ST_OK ? ST_OK : error_wrap(err, code, "decompress");
}

static enum status hear(struct grpc_stream *st, struct str message, bool compressed,
    struct arena *arena, struct error *err)
{
    const struct grpc_stream_method *m = st->method;
    void *request;
    if (compressed)
        TRY(inflate(st, &message, arena, err));
    enum status code = (st->json ? msg_decode_json : msg_decode_proto)(
        m->request, message, arena, &request, err);
    if (code != ST_OK)
        return error_wrap(err, code, "unmarshal message");
    if (m->one_request && st->n_messages)
        FAIL(err, ST_UNIMPLEMENTED, "unary request has multiple messages");
    st->n_messages++;
    m->message(st, request, m->ctx);
    return ST_OK;
}

/* The length of the message at the front, with its prefix; 0: not all of it is there. */
static enum status frame_at(struct str in, size_t *ret_bytes, struct error *err)
{
    const uint8_t *p = (const uint8_t *)in.p;
    *ret_bytes = 0;
    if (in.n < GRPC_PREFIX_BYTES)
        return ST_OK;
    uint32_t n = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    if (p[0] & ~GRPC_COMPRESSED)
        FAIL(err, ST_INTERNAL, "protocol error: invalid envelope flags %08u", p[0]);
    if (n > MESSAGE_MAX)
        return rpc_too_large(n, MESSAGE_MAX, err);
    if (n <= in.n - GRPC_PREFIX_BYTES)
        *ret_bytes = GRPC_PREFIX_BYTES + n;
    return ST_OK;
}

static size_t on_take(struct http_request *rq, struct str in)
{
    struct grpc_stream *st = rq->stream_state;
    struct error err;
    struct arena arena;
    size_t n;
    enum status code = frame_at(in, &n, &err);
    if (code == ST_OK && n == 0)
        return 0;
    if (code == ST_OK) {
        st->heard_mono_ns = MAX(st->heard_mono_ns, clock_mono_ns());
        arena_init(&arena, ARENA_MAX);
        code = hear(st, str_skip(str_head(in, n), GRPC_PREFIX_BYTES), in.p[0] & GRPC_COMPRESSED,
            &arena, &err);
        arena_done(&arena);
    }
    if (code != ST_OK)
        fail(st, &err);
    return n;
}

static void on_end(struct http_request *rq, struct str rest)
{
    struct grpc_stream *st = rq->stream_state;
    if (rest.n)
        grpc_stream_end(
            st, ST_INVALID_ARGUMENT, STR("protocol error: incomplete envelope: unexpected EOF"));
    else if (!st->method->one_request)
        grpc_stream_end(st, ST_OK, STR_EMPTY);
    else if (st->n_messages == 0)
        grpc_stream_end(st, ST_UNIMPLEMENTED, STR("unary request has zero messages"));
}

/* ---- time ---- */

static void on_tick(struct http_request *rq, int64_t now_mono_ns)
{
    struct grpc_stream *st = rq->stream_state;
    if (st->deadline_mono_ns && now_mono_ns >= st->deadline_mono_ns)
        grpc_stream_end(st, ST_DEADLINE_EXCEEDED, STR("deadline exceeded"));
    else if (now_mono_ns - st->heard_mono_ns >= st->method->silence_ns)
        grpc_stream_end(st, ST_UNAVAILABLE, STR("the call was open for too long: call again"));
}

static void on_stop(struct http_request *rq)
{
    struct grpc_stream *st = rq->stream_state;
    if (st->method->stop)
        st->method->stop(st, st->method->ctx);
    grpc_stream_end(st, ST_UNAVAILABLE, STR("the server is stopping"));
}

static void on_close(struct http_request *rq)
{
    (void)rq; /* the state lives in the request's arena */
}

const struct http_stream_ops grpc_stream_ops = {
    .open = on_open,
    .take = on_take,
    .end = on_end,
    .tick = on_tick,
    .stop = on_stop,
    .close = on_close,
};
