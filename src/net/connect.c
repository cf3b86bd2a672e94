/* RPC: see connect.h. Here is the form of Connect, and what it shares with gRPC (grpc.c).
 *
 *     Content-Type ─► Content-Encoding ─► Connect-Protocol-Version ─► Connect-Timeout-Ms
 *       415 else        501 else             400 if not 1               400 if no number
 *     ─► size ─► gunzip ─► decode ─► deadline passed? ─► method ─► connect_reply | connect_fail
 *       429 else  400      400        504
 *
 * The call lives in the request's arena, so it ends with the reply. Responses use the encoding of
 * the request and are gzip, however small, when the client takes it or sent gzip itself; errors are
 * always JSON and never compressed.
 * Invariants: 1. Every path ends in exactly one http_reply. 2. Nothing of the call is touched after
 * it. Thread: connect_handle on a worker; replies on any. Failure: an error body. */
#include "net/connect.h"

#include "base/clock.h"
#include "codec/gzip.h"
#include "codec/json.h"
#include "net/media_type.h"
#include "net/rpc_int.h"

#define MESSAGE_BYTES_MAX (16 * MIB)
enum { ERROR_BYTES_MAX = 8 * ERROR_MSG_MAX, TIMEOUT_DIGITS_MAX = 10 };

static const struct http_header accept_encoding = {{"Accept-Encoding", 15}, {"gzip", 4}};

uint64_t rpc_message_max(const struct connect_method *m)
{
    return m->message_bytes_max ? m->message_bytes_max : MESSAGE_BYTES_MAX;
}

/* ── answers ── */

static void reply_error(struct http_request *rq, enum status code, struct str message)
{
    ASSERT(code != ST_OK);
    struct http_response rs = {.status = status_http(code),
        .content_type = STR("application/json"),
        .more_headers = &accept_encoding,
        .n_more_headers = 1,
        .gzip = HTTP_GZIP_NEVER};
    buf_init(&rs.body, ERROR_BYTES_MAX);
    buf_str(&rs.body, STR("{\"code\":"));
    json_put_string(&rs.body, str_from(status_text(code)));
    if (message.n) {
        buf_str(&rs.body, STR(",\"message\":"));
        json_put_string(&rs.body, message);
    }
    buf_byte(&rs.body, '}');
    http_reply(rq, &rs);
}

/* Not a protocol we speak: the types we do speak, no body. */
static void reply_415(struct http_request *rq)
{
    static const struct http_header accept_post = {STR("Accept-Post"),
        STR("application/grpc, application/grpc+json, application/grpc+proto, "
            "application/grpc-web, application/grpc-web+json, application/grpc-web+proto, "
            "application/json, application/json; charset=utf-8, application/proto")};
    struct http_response rs = {
        .status = 415, .more_headers = &accept_post, .n_more_headers = 1, .gzip = HTTP_GZIP_NEVER};
    http_reply(rq, &rs);
}

void connect_fail_later(struct connect_call *call, const struct error *err, uint32_t retry_s)
{
    call->rq->pad_ns = 0; /* gRPC fails with a status of 200 */
    if (call->form != RPC_CONNECT) {
        grpc_fail(call->rq, call->form, err, retry_s);
        return;
    }
    reply_error(call->rq, err->code, error_str(err));
}

void connect_fail(struct connect_call *call, const struct error *err)
{
    connect_fail_later(call, err, 0);
}

bool rpc_accepts_gzip(const struct http_request *rq, struct str header)
{
    struct str rest = http_header_get(rq, header);
    while (rest.n > 0) {
        size_t n = 0;
        while (n < rest.n && rest.p[n] != ',' && rest.p[n] != ' ')
            n++;
        if (str_eq(str_head(rest, n), STR("gzip")))
            return true;
        rest = str_skip(rest, n + 1);
    }
    return false;
}

void rpc_encode(const struct connect_call *call, const void *response, struct buf *out)
{
    if (call->json)
        msg_encode_json(call->method->response, response, out);
    else
        msg_encode_proto(call->method->response, response, out);
}

void connect_reply(struct connect_call *call, const void *response)
{
    struct http_request *rq = call->rq;
    if (call->form != RPC_CONNECT) {
        grpc_reply(call, response);
        return;
    }
    struct http_response rs = {.status = 200,
        .content_type = call->json ? STR("application/json") : STR("application/proto"),
        .more_headers = &accept_encoding,
        .n_more_headers = 1,
        .gzip = HTTP_GZIP_NEVER};
    if (call->request_was_gzip || rpc_accepts_gzip(rq, STR("Accept-Encoding")))
        rs.gzip = HTTP_GZIP_ALWAYS;
    buf_init(&rs.body, RPC_RESPONSE_BYTES_MAX);
    rpc_encode(call, response, &rs.body);
    if (rs.body.failed) {
        buf_done(&rs.body);
        reply_error(rq, ST_RESOURCE_EXHAUSTED, STR("response is too large"));
        return;
    }
    http_reply(rq, &rs);
}

void connect_too_large(struct http_request *rq, uint64_t seen, uint64_t max)
{
    struct error err;
    bool json;
    enum rpc_form form;
    bool grpc = grpc_content_type(rq, &json, &form);
    if (grpc && seen > CONNECT_FRAMING_BYTES)
        seen -= CONNECT_FRAMING_BYTES;
    if (rq->route) /* the route's own maximum has room for framing */
        max = MIN(max, rpc_message_max(rq->route->ctx));
    (void)rpc_too_large(seen, max, &err);
    if (grpc)
        grpc_fail(rq, form, &err, 0);
    else
        reply_error(rq, err.code, error_str(&err));
}

/* ── the request ── */

/* application/proto, or application/json with at most charset=utf-8. */
static bool read_content_type(const struct http_request *rq, bool *ret_json)
{
    struct media_type t;
    struct str value = http_header_get(rq, STR("Content-Type"));
    if (value.n == 0 || media_type_parse(value, &t, NULL) != ST_OK)
        return false;
    if (t.n == 0 && str_eq_nocase(t.name, STR("application/proto"))) {
        *ret_json = false;
        return true;
    }
    if (!str_eq_nocase(t.name, STR("application/json")) || t.n > 1)
        return false;
    if (t.n == 1 && (!str_eq_nocase(t.params[0].name, STR("charset")) ||
                        !str_eq_nocase(t.params[0].value, STR("utf-8"))))
        return false;
    *ret_json = true;
    return true;
}

enum status rpc_too_large(uint64_t size, uint64_t max, struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "message size %llu is larger than configured max %llu",
        (unsigned long long)size, (unsigned long long)max);
}

enum status rpc_read_encoding(struct str value, bool *ret_gzip, struct error *err)
{
    bool gzip = str_eq_nocase(value, STR("gzip"));
    if (value.n == 0 || gzip || str_eq_nocase(value, STR("identity"))) {
        *ret_gzip = gzip;
        return ST_OK;
    }
    FAIL(err, ST_UNIMPLEMENTED, "unknown compression \"%.*s\": supported encodings are gzip",
        STR_ARG(str_head(value, 100)));
}

static enum status read_version(const struct http_request *rq, struct error *err)
{
    struct str value = http_header_get(rq, STR("Connect-Protocol-Version"));
    if (value.n == 0 || str_eq(value, STR("1")))
        return ST_OK;
    FAIL(err, ST_INVALID_ARGUMENT, "Connect-Protocol-Version must be \"1\": got \"%.*s\"",
        STR_ARG(str_head(value, 100)));
}

static enum status read_timeout(struct connect_call *call, struct error *err)
{
    struct str value = http_header_get(call->rq, STR("Connect-Timeout-Ms"));
    uint64_t ms;
    if (value.n == 0)
        return ST_OK;
    if (value.n > TIMEOUT_DIGITS_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "parse timeout: \"%.*s\" has >%d digits",
            STR_ARG(str_head(value, 100)), TIMEOUT_DIGITS_MAX);
    if (!str_to_u64(value, &ms))
        FAIL(err, ST_INVALID_ARGUMENT, "parse timeout: \"%.*s\" is not a number of milliseconds",
            STR_ARG(value));
    int64_t deadline = call->rq->start_mono_ns + (int64_t)ms * NS_PER_MS;
    call->deadline_mono_ns = MAX(deadline, 1);
    return ST_OK;
}

enum status rpc_inflate(struct connect_call *call, struct str *body, struct error *err)
{
    uint64_t max = rpc_message_max(call->method);
    if (!gzip_detect(*body))
        FAIL(err, ST_INVALID_ARGUMENT, "get decompressor: gzip: invalid header");
    enum status st = gzip_inflate(*body, max, call->arena, body, err);
    if (st == ST_RESOURCE_EXHAUSTED && !call->arena->full)
        FAIL(err, st, "message size is larger than configured max %llu", (unsigned long long)max);
    return st == ST_OK ? st : error_wrap(err, st, "decompress");
}

enum status rpc_decode(
    struct connect_call *call, struct str body, void **ret_message, struct error *err)
{
    if (!call->method->request) {
        struct str *bytes = ARENA_NEW(call->arena, struct str);
        if (!bytes)
            FAIL(err, ST_RESOURCE_EXHAUSTED, "out of memory for the request");
        *bytes = body;
        *ret_message = bytes;
        return ST_OK;
    }
    enum status st = (call->json ? msg_decode_json : msg_decode_proto)(
        call->method->request, body, call->arena, ret_message, err);
    return st == ST_OK ? st : error_wrap(err, st, "unmarshal message");
}

/* An empty body is never compressed, whatever the header says. */
static enum status read_message(struct connect_call *call, void **ret_message, struct error *err)
{
    uint64_t max = rpc_message_max(call->method);
    struct str body = call->rq->body;
    if (body.n > max)
        return rpc_too_large(body.n, max, err);
    if (call->request_was_gzip && body.n > 0)
        TRY(rpc_inflate(call, &body, err));
    return rpc_decode(call, body, ret_message, err);
}

static enum status read_connect(struct connect_call *call, void **ret_message, struct error *err)
{
    struct str encoding = http_header_get(call->rq, STR("Content-Encoding"));
    TRY(rpc_read_encoding(encoding, &call->request_was_gzip, err));
    TRY(read_version(call->rq, err));
    TRY(read_timeout(call, err));
    return read_message(call, ret_message, err);
}

static enum status read_call(struct connect_call *call, void **ret_message, struct error *err)
{
    TRY((call->form == RPC_CONNECT ? read_connect : grpc_read)(call, ret_message, err));
    if (call->deadline_mono_ns && clock_mono_ns() >= call->deadline_mono_ns)
        FAIL(err, ST_DEADLINE_EXCEEDED, "deadline exceeded");
    return ST_OK;
}

static void tell_refused(
    const struct connect_method *m, struct http_request *rq, const struct error *err)
{
    if (m->refused)
        m->refused(rq, err, m->ctx);
}

void connect_handle(struct http_request *rq, void *method)
{
    bool json;
    enum rpc_form form = RPC_CONNECT;
    struct error err;
    if (!grpc_content_type(rq, &json, &form) && !read_content_type(rq, &json)) {
        (void)error_set(
            &err, ST_INVALID_ARGUMENT, __FILE__, __LINE__, "the Content-Type is not supported");
        tell_refused(method, rq, &err);
        reply_415(rq);
        return;
    }
    struct connect_call *call = ARENA_NEW(&rq->arena, struct connect_call);
    if (!call) {
        (void)error_set(
            &err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__, "out of memory for the request");
        tell_refused(method, rq, &err);
        connect_fail(&(struct connect_call){.rq = rq, .form = form}, &err);
        return;
    }
    *call = (struct connect_call){
        .rq = rq, .method = method, .arena = &rq->arena, .form = form, .json = json};
    void *message;
    if (read_call(call, &message, &err) == ST_OK) {
        call->method->fn(call, message, call->method->ctx);
        return;
    }
    tell_refused(method, rq, &err);
    connect_fail(call, &err);
}
