/* Connect unary RPC: see connect.h.
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

#define MESSAGE_BYTES_MAX (16 * MIB)
#define RESPONSE_BYTES_MAX (512 * MIB)
enum { ERROR_BYTES_MAX = 8 * ERROR_MSG_MAX, TIMEOUT_DIGITS_MAX = 10 };

static const struct http_header accept_encoding = {{"Accept-Encoding", 15}, {"gzip", 4}};

static uint64_t message_max(const struct connect_method *m)
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
    static const struct http_header accept_post = {{"Accept-Post", 11},
        {"application/json, application/json; charset=utf-8, application/proto", 68}};
    struct http_response rs = {
        .status = 415, .more_headers = &accept_post, .n_more_headers = 1, .gzip = HTTP_GZIP_NEVER};
    http_reply(rq, &rs);
}

void connect_fail(struct connect_call *call, const struct error *err)
{
    reply_error(call->rq, err->code, error_str(err));
}

/* Tokens between commas and blanks; one with a q-value is another token, as in the reference. */
static bool accepts_gzip(const struct http_request *rq)
{
    struct str rest = http_header_get(rq, STR("Accept-Encoding"));
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

void connect_reply(struct connect_call *call, const void *response)
{
    struct http_request *rq = call->rq;
    struct http_response rs = {.status = 200,
        .content_type = call->json ? STR("application/json") : STR("application/proto"),
        .more_headers = &accept_encoding,
        .n_more_headers = 1,
        .gzip = HTTP_GZIP_NEVER};
    if (call->request_was_gzip || accepts_gzip(rq))
        rs.gzip = HTTP_GZIP_ALWAYS;
    buf_init(&rs.body, RESPONSE_BYTES_MAX);
    if (call->json)
        msg_encode_json(call->method->response, response, &rs.body);
    else
        msg_encode_proto(call->method->response, response, &rs.body);
    if (rs.body.failed) {
        buf_done(&rs.body);
        reply_error(rq, ST_RESOURCE_EXHAUSTED, STR("response is too large"));
        return;
    }
    http_reply(rq, &rs);
}

void connect_too_large(struct http_request *rq, uint64_t seen, uint64_t max)
{
    char text[100];
    int n = snprintf(text, sizeof text, "message size %llu is larger than configured max %llu",
        (unsigned long long)seen, (unsigned long long)max);
    reply_error(rq, ST_RESOURCE_EXHAUSTED, str_make(text, (size_t)n));
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

static enum status read_encoding(struct connect_call *call, struct error *err)
{
    struct str value = http_header_get(call->rq, STR("Content-Encoding"));
    call->request_was_gzip = str_eq_nocase(value, STR("gzip"));
    if (value.n == 0 || call->request_was_gzip || str_eq_nocase(value, STR("identity")))
        return ST_OK;
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

static enum status inflate(
    struct connect_call *call, uint64_t max, struct str *body, struct error *err)
{
    if (!gzip_detect(*body))
        FAIL(err, ST_INVALID_ARGUMENT, "get decompressor: gzip: invalid header");
    enum status st = gzip_inflate(*body, max, call->arena, body, err);
    if (st == ST_RESOURCE_EXHAUSTED && !call->arena->full)
        FAIL(err, st, "message size is larger than configured max %llu", (unsigned long long)max);
    return st == ST_OK ? st : error_wrap(err, st, "decompress");
}

/* An empty body is never compressed, whatever the header says. */
static enum status read_message(struct connect_call *call, void **ret_message, struct error *err)
{
    uint64_t max = message_max(call->method);
    struct str body = call->rq->body;
    if (body.n > max)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "message size %zu is larger than configured max %llu",
            body.n, (unsigned long long)max);
    if (call->request_was_gzip && body.n > 0)
        TRY(inflate(call, max, &body, err));
    enum status st = (call->json ? msg_decode_json : msg_decode_proto)(
        call->method->request, body, call->arena, ret_message, err);
    return st == ST_OK ? st : error_wrap(err, st, "unmarshal message");
}

static enum status read_call(struct connect_call *call, void **ret_message, struct error *err)
{
    TRY(read_encoding(call, err));
    TRY(read_version(call->rq, err));
    TRY(read_timeout(call, err));
    TRY(read_message(call, ret_message, err));
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
    struct error err;
    if (!read_content_type(rq, &json)) {
        (void)error_set(
            &err, ST_INVALID_ARGUMENT, __FILE__, __LINE__, "the Content-Type is not supported");
        tell_refused(method, rq, &err);
        reply_415(rq);
        return;
    }
    struct connect_call *call = ARENA_NEW(&rq->arena, struct connect_call);
    if (!call) {
        reply_error(rq, ST_RESOURCE_EXHAUSTED, STR("out of memory for the request"));
        return;
    }
    *call = (struct connect_call){.rq = rq, .method = method, .arena = &rq->arena, .json = json};
    void *message;
    if (read_call(call, &message, &err) == ST_OK) {
        call->method->fn(call, message, call->method->ctx);
        return;
    }
    tell_refused(method, rq, &err);
    connect_fail(call, &err);
}
