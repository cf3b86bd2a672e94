/* gRPC and gRPC-Web, unary, over any HTTP version: the calls of connect.h in another form.
 *
 *     body:     flags (1 byte: bit 0 compressed) · length (4, big endian) · message
 *     trailers: grpc-status: 0   grpc-message: percent-encoded      (HTTP/2, or HTTP/1.1 chunked)
 *               grpc-status-details-bin: when to try again, where a method says so
 *     gRPC-Web: the trailers are the last frame of the body, bit 7 of its flags set; the form with
 *               -text is all of that in base64, in one piece or frame by frame
 *
 * The HTTP status is always 200; the content type of the answer is the request's. A request is one
 * message; the answer is one, compressed when the client takes it, or none and an error.
 * Thread: that of connect.c. Failure: a status in the trailers. */
#include "base/clock.h"
#include "base/utf8.h"
#include "codec/base64.h"
#include "codec/gzip.h"
#include "net/media_type.h"
#include "net/rpc_int.h"

enum {
    FLAG_TRAILERS = 0x80,
    TIMEOUT_DIGITS = 8,
    TRAILER_BYTES_MAX = 4 * ERROR_MSG_MAX + 256,
};

static const struct {
    struct str type;
    enum rpc_form form;
    bool json;
} types[] = {
    {STR("application/grpc"), RPC_GRPC, false},
    {STR("application/grpc+proto"), RPC_GRPC, false},
    {STR("application/grpc+json"), RPC_GRPC, true},
    {STR("application/grpc-web"), RPC_GRPC_WEB, false},
    {STR("application/grpc-web+proto"), RPC_GRPC_WEB, false},
    {STR("application/grpc-web+json"), RPC_GRPC_WEB, true},
    {STR("application/grpc-web-text"), RPC_GRPC_WEB_TEXT, false},
    {STR("application/grpc-web-text+proto"), RPC_GRPC_WEB_TEXT, false},
};

bool grpc_content_type(const struct http_request *rq, bool *ret_json, enum rpc_form *ret_form)
{
    struct media_type t;
    struct str value = http_header_get(rq, STR("Content-Type"));
    if (value.n == 0 || media_type_parse(value, &t, NULL) != ST_OK || t.n > 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (!str_eq_nocase(t.name, types[i].type))
            continue;
        *ret_json = types[i].json;
        *ret_form = types[i].form;
        return true;
    }
    return false;
}

/* ── the request ── */

enum status grpc_read_timeout(
    const struct http_request *rq, int64_t *ret_deadline_mono_ns, struct error *err)
{
    static const struct {
        char unit;
        int64_t ns;
    } units[] = {{'H', 3600 * NS_PER_S}, {'M', 60 * NS_PER_S}, {'S', NS_PER_S}, {'m', NS_PER_MS},
        {'u', 1000}, {'n', 1}};
    struct str value = http_header_get(rq, STR("Grpc-Timeout"));
    uint64_t n;
    if (value.n == 0)
        return ST_OK;
    for (size_t i = 0; i < ARRAY_LEN(units) && value.n <= TIMEOUT_DIGITS + 1; i++) {
        if (value.p[value.n - 1] != units[i].unit || !str_to_u64(str_head(value, value.n - 1), &n))
            continue;
        int64_t now = rq->start_mono_ns, after;
        if (!__builtin_mul_overflow((int64_t)n, units[i].ns, &after) &&
            !__builtin_add_overflow(now, after, &after))
            *ret_deadline_mono_ns = MAX(after, 1);
        return ST_OK;
    }
    FAIL(err, ST_INVALID_ARGUMENT, "protocol error: invalid timeout \"%.*s\"",
        STR_ARG(str_head(value, 100)));
}

/* The one frame of the body. */
static enum status read_frame(
    struct str body, uint64_t max, bool *ret_compressed, struct str *ret_payload, struct error *err)
{
    if (body.n == 0)
        FAIL(err, ST_UNIMPLEMENTED, "unary request has zero messages");
    if (body.n < GRPC_PREFIX_BYTES)
        FAIL(err, ST_INVALID_ARGUMENT, "protocol error: incomplete envelope: unexpected EOF");
    const uint8_t *p = (const uint8_t *)body.p;
    uint64_t n = (uint64_t)p[1] << 24 | p[2] << 16 | p[3] << 8 | p[4];
    if (p[0] & ~GRPC_COMPRESSED)
        FAIL(err, ST_INTERNAL, "protocol error: invalid envelope flags %08u", p[0]);
    if (n > max)
        return rpc_too_large(n, max, err);
    if (n > body.n - GRPC_PREFIX_BYTES)
        FAIL(err, ST_INVALID_ARGUMENT,
            "protocol error: promised %llu bytes in enveloped message, got %zu bytes",
            (unsigned long long)n, body.n - GRPC_PREFIX_BYTES);
    if (n < body.n - GRPC_PREFIX_BYTES)
        FAIL(err, ST_UNIMPLEMENTED, "unary request has multiple messages");
    *ret_compressed = p[0] & GRPC_COMPRESSED;
    *ret_payload = str_skip(body, GRPC_PREFIX_BYTES);
    return ST_OK;
}

/* Pieces that were encoded one by one end in padding each. */
static enum status decode_text(struct connect_call *call, struct str *body, struct error *err)
{
    struct str rest = *body;
    char *all = arena_alloc(call->arena, rest.n + 1);
    size_t n = 0;
    if (!all)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "out of memory for the request");
    while (rest.n) {
        size_t end = str_find_char(rest, '=');
        end = end == STR_NPOS ? rest.n : end;
        while (end < rest.n && rest.p[end] == '=')
            end++;
        struct str piece;
        if (!base64_decode(str_head(rest, end), call->arena, &piece))
            FAIL(err, ST_INVALID_ARGUMENT, "protocol error: the body is not base64");
        if (piece.n)
            memcpy(all + n, piece.p, piece.n);
        n += piece.n;
        rest = str_skip(rest, end);
    }
    *body = str_make(all, n);
    return ST_OK;
}

enum status grpc_read(struct connect_call *call, void **ret_message, struct error *err)
{
    bool gzip, compressed = false;
    struct str body = call->rq->body;
    TRY(grpc_read_timeout(call->rq, &call->deadline_mono_ns, err));
    TRY(rpc_read_encoding(http_header_get(call->rq, STR("Grpc-Encoding")), &gzip, err));
    if (call->form == RPC_GRPC_WEB_TEXT)
        TRY(decode_text(call, &body, err));
    TRY(read_frame(body, rpc_message_max(call->method), &compressed, &body, err));
    call->request_was_gzip = gzip;
    if (compressed && !gzip)
        FAIL(err, ST_INTERNAL,
            "protocol error: sent compressed message without compression support");
    if (compressed && body.n)
        TRY(rpc_inflate(call, &body, err));
    return rpc_decode(call, body, ret_message, err);
}

/* ── the answer ── */

void grpc_put_prefix(struct buf *out, size_t at, uint8_t flags)
{
    size_t n = out->n - at - GRPC_PREFIX_BYTES;
    uint8_t prefix[GRPC_PREFIX_BYTES] = {
        flags, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    if (!out->failed)
        memcpy(out->p + at, prefix, sizeof prefix);
}

void grpc_put_percent(struct buf *out, struct str s)
{
    while (s.n) {
        uint32_t cp;
        size_t n = utf8_decode(s, &cp);
        if (n == 0)
            buf_str(out, STR("%EF%BF%BD"));
        for (size_t i = 0; i < n; i++) {
            uint8_t c = (uint8_t)s.p[i];
            if (c < 0x20 || c > 0x7E || c == '%')
                buf_printf(out, "%%%02X", c);
            else
                buf_byte(out, c);
        }
        s = str_skip(s, MAX(n, (size_t)1));
    }
}

/* As the reference counts calls. */
const char *grpc_result_of(const struct http_request *rq, enum status code)
{
    if (code == ST_OK)
        return "success";
    return code == ST_CANCELED || atomic_load(&rq->gone) ? "cancel" : "error";
}

static void put_field(struct buf *out, uint32_t number, struct str bytes)
{
    buf_uvarint(out, number << 3 | 2);
    buf_uvarint(out, bytes.n);
    buf_str(out, bytes);
}

/* google.rpc.Status with one detail, google.rpc.RetryInfo: code = 1, message = 2, details = 3 of
 * Any {type_url = 1, value = 2}; retry_delay = 1 of Duration {seconds = 1}. */
static void put_details(struct buf *out, const struct error *err, uint32_t retry_s)
{
    enum { DELAY_BYTES_MAX = 16, ANY_BYTES_MAX = 128 };
    struct buf delay, info, any, whole;
    buf_init(&delay, DELAY_BYTES_MAX);
    buf_init(&info, DELAY_BYTES_MAX);
    buf_init(&any, ANY_BYTES_MAX);
    buf_init(&whole, TRAILER_BYTES_MAX);
    buf_uvarint(&delay, 1 << 3);
    buf_uvarint(&delay, retry_s);
    put_field(&info, 1, buf_view(&delay));
    put_field(&any, 1, STR("type.googleapis.com/google.rpc.RetryInfo"));
    put_field(&any, 2, buf_view(&info));
    buf_uvarint(&whole, 1 << 3);
    buf_uvarint(&whole, err->code);
    put_field(&whole, 2, error_str(err));
    put_field(&whole, 3, buf_view(&any));
    base64_put(out, buf_view(&whole));
    buf_done(&delay);
    buf_done(&info);
    buf_done(&any);
    buf_done(&whole);
}

/* The body is complete: trailers, and the text form of all. err is NULL when all is well; retry_s
 * is 0 when nothing is said of another try. */
static void send(struct http_request *rq, enum rpc_form form, bool gzip, struct buf *body,
    const struct error *err, uint32_t retry_s)
{
    char number[8];
    struct buf text, details, packed;
    struct str message = err ? error_str(err) : STR_EMPTY;
    enum status code = err ? err->code : ST_OK;
    int n = snprintf(number, sizeof number, "%d", code);
    buf_init(&text, TRAILER_BYTES_MAX);
    buf_init(&details, TRAILER_BYTES_MAX);
    grpc_put_percent(&text, message);
    if (err && retry_s)
        put_details(&details, err, retry_s);
    struct http_header trailers[] = {{STR("Grpc-Status"), str_make(number, (size_t)n)},
        {STR("Grpc-Message"), buf_view(&text)},
        {STR("Grpc-Status-Details-Bin"), buf_view(&details)}};
    struct http_header headers[] = {
        {STR("Grpc-Accept-Encoding"), STR("gzip")}, {STR("Grpc-Encoding"), STR("gzip")}};
    struct http_response rs = {.status = 200,
        .content_type = http_header_get(rq, STR("Content-Type")),
        .more_headers = headers,
        .n_more_headers = gzip ? 2 : 1,
        .trailers = trailers,
        .n_trailers = form == RPC_GRPC ? 1 + (message.n > 0) + (details.n > 0) : 0,
        .grpc_result = grpc_result_of(rq, code),
        .gzip = HTTP_GZIP_NEVER};
    if (form != RPC_GRPC) {
        size_t at = body->n;
        buf_add(body, "\0\0\0\0", GRPC_PREFIX_BYTES);
        buf_printf(body, "grpc-status: %s\r\n", number);
        if (message.n)
            buf_printf(body, "grpc-message: %.*s\r\n", (int)text.n, text.p);
        if (details.n)
            buf_printf(body, "grpc-status-details-bin: %.*s\r\n", (int)details.n, details.p);
        grpc_put_prefix(body, at, FLAG_TRAILERS);
    }
    if (form == RPC_GRPC_WEB_TEXT) {
        buf_init(&packed, 2 * body->n + 16);
        base64_put(&packed, buf_view(body));
        buf_done(body);
        *body = packed;
    }
    rs.body = *body;
    http_reply(rq, &rs);
    buf_done(&text);
    buf_done(&details);
}

void grpc_fail(
    struct http_request *rq, enum rpc_form form, const struct error *err, uint32_t retry_s)
{
    struct buf body;
    ASSERT(err->code != ST_OK);
    buf_init(&body, 2 * TRAILER_BYTES_MAX);
    send(rq, form, false, &body, err, retry_s);
}

/* A frame with the message in `plain`, compressed when that works; false: no memory. */
static bool compress(struct buf *plain, struct buf *out)
{
    buf_init(out, plain->n + plain->n / 8 + 1024);
    buf_add(out, "\0\0\0\0", GRPC_PREFIX_BYTES);
    struct str message = str_skip(buf_view(plain), GRPC_PREFIX_BYTES);
    if (gzip_deflate(message, RPC_GZIP_LEVEL, out, NULL) == ST_OK && !out->failed)
        return true;
    buf_done(out);
    return false;
}

void grpc_reply(struct connect_call *call, const void *response)
{
    struct error err;
    struct buf body, packed;
    bool wanted = call->request_was_gzip || rpc_accepts_gzip(call->rq, STR("Grpc-Accept-Encoding"));
    buf_init(&body, RPC_RESPONSE_BYTES_MAX);
    buf_add(&body, "\0\0\0\0", GRPC_PREFIX_BYTES);
    rpc_encode(call, response, &body);
    if (body.failed) {
        buf_done(&body);
        (void)error_set(&err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__, "response is too large");
        grpc_fail(call->rq, call->form, &err, 0);
        return;
    }
    bool gzip = wanted && compress(&body, &packed);
    if (gzip) {
        buf_done(&body);
        body = packed;
    }
    grpc_put_prefix(&body, 0, gzip ? GRPC_COMPRESSED : 0);
    body.limit = RPC_RESPONSE_BYTES_MAX + TRAILER_BYTES_MAX;
    send(call->rq, call->form, gzip, &body, NULL, 0);
}
