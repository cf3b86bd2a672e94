/* Replies: from any thread, exactly once, in the form every protocol can send.
 *
 * http_reply renders the fields, compresses, counts and logs on the calling thread, releases what
 * the request held (so a slow reader keeps only the reply in memory) and posts it to the loop. The
 * protocol adds the status line and what concerns the connection.
 *
 * Failure: a body that outgrew its buffer's limit is never sent cut off: it becomes a 500. A second
 * reply to one request is asserted. */
#include "net/net_int.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/utf8.h"
#include "codec/gzip.h"

enum { GZIP_MIN_BYTES = 1400, GZIP_LEVEL = 1, FIELDS_MAX = 1024 * 1024 };

static struct request *request_of(struct http_request *rq)
{
    return (struct request *)rq; /* pub is the first member */
}

/* Line ends in a value would let it add fields of its own. */
void request_add_field(struct buf *fields, struct str name, struct str value)
{
    buf_str(fields, name);
    buf_str(fields, STR(": "));
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        buf_byte(fields, c == '\r' || c == '\n' || c == 0 ? ' ' : (uint8_t)c);
    }
    buf_str(fields, STR("\r\n"));
}

/* "gzip" among the codings and not with q=0. */
static bool accepts_gzip(const struct http_request *rq)
{
    struct str_split it = {http_header_get(rq, STR("accept-encoding")), false};
    struct str coding;
    while (it.rest.p && str_split_next(&it, ',', &coding)) {
        size_t semicolon = str_find_char(coding, ';');
        struct str q = semicolon == STR_NPOS ? STR_EMPTY
                                             : str_trim(str_skip(coding, semicolon + 1));
        if (!str_eq_nocase(str_trim(str_head(coding, MIN(semicolon, coding.n))), STR("gzip")))
            continue;
        bool zero = str_starts(q, STR("q=0"));
        for (size_t i = 3; zero && i < q.n; i++)
            zero = q.p[i] == '.' || q.p[i] == '0';
        return !zero;
    }
    return false;
}

static bool has_field(const struct http_response *rs, struct str name)
{
    for (uint32_t i = 0; i < rs->n_more_headers; i++)
        if (str_eq_nocase(rs->more_headers[i].name, name))
            return true;
    return false;
}

static void compress(struct request *r, const struct http_response *rs)
{
    bool forced = rs->gzip == HTTP_GZIP_ALWAYS;
    if (rs->gzip == HTTP_GZIP_NEVER || has_field(rs, STR("content-encoding")))
        return;
    if (!forced && r->content.n < GZIP_MIN_BYTES)
        return;
    if (!forced)
        request_add_field(&r->fields, STR("Vary"), STR("Accept-Encoding"));
    if (!forced && !accepts_gzip(&r->pub))
        return;
    struct buf packed;
    buf_init(&packed, r->content.n + r->content.n / 8 + 1024);
    if (gzip_deflate(buf_view(&r->content), GZIP_LEVEL, &packed, NULL) != ST_OK || packed.failed) {
        buf_done(&packed); /* no memory: as it is */
        return;
    }
    buf_done(&r->content);
    r->content = packed;
    request_add_field(&r->fields, STR("Content-Encoding"), STR("gzip"));
}

void request_account(struct request *r)
{
    const struct http_request *rq = &r->pub;
    double seconds = (double)(clock_mono_ns() - rq->start_mono_ns) / (double)NS_PER_S;
    struct str method = r->grpc_result ? STR("gRPC") : http_method_name(rq->method);
    const char *route = rq->route ? rq->route->name : "other";
    char status[16] = "abandoned";
    if (r->grpc_result)
        snprintf(status, sizeof status, "%s", r->grpc_result);
    else if (!r->abandoned)
        snprintf(status, sizeof status, "%d", r->status);
    metric_observe(
        M_REQUEST_DURATION, seconds, method, str_from(route), str_from(status), STR("false"));
    enum log_level level = r->status >= 500 ? LOG_WARN : LOG_DEBUG;
    LOG_AT(level, "request",
        "method=%.*s route=%s path=%s status=%s peer=%.*s body_bytes=%zu reply_bytes=%zu ms=%.3f",
        STR_ARG(method), route, LOG_STR(rq->path), status, STR_ARG(rq->peer), rq->body.n,
        r->content.n, seconds * 1000);
}

static void post(struct request *r)
{
    struct loop *l = &r->server->loop;
    request_account(r);
    request_release_input(r);
    loop_post(l, r);
}

static void take_reply(struct request *r)
{
    bool again = atomic_exchange(&r->replied, true);
    ASSERT(!again);
}

static void put_error_json(struct buf *out, struct str code, struct str message);

static void pad(struct request *r)
{
    const struct http_request *rq = &r->pub;
    char timing[64];
    if (rq->pad_ns <= 0 || r->status < 200 || r->status > 299)
        return;
    int64_t due_ns = rq->start_mono_ns + rq->pad_ns, left_ns = due_ns - clock_mono_ns();
    if (left_ns <= 0)
        return;
    r->send_at_ns = due_ns;
    int n = snprintf(
        timing, sizeof timing, "artificial_delay;dur=%.3f", (double)left_ns / (double)NS_PER_MS);
    request_add_field(&r->fields, STR("Server-Timing"), str_make(timing, (size_t)n));
}

void http_reply(struct http_request *rq, struct http_response *rs)
{
    struct request *r = request_of(rq);
    take_reply(r);
    buf_init(&r->fields, FIELDS_MAX);
    r->content = rs->body;
    rs->body = (struct buf){.limit = rs->body.limit};
    r->status = rs->status;
    r->grpc_result = rs->grpc_result;
    struct str type = rs->content_type;
    if (r->content.failed) {
        r->status = 500;
        type = STR("application/json");
        buf_done(&r->content);
        buf_init(&r->content, 4 * KIB);
        put_error_json(&r->content, STR("internal"), STR("the response is too large"));
    }
    if (type.n)
        request_add_field(&r->fields, STR("Content-Type"), type);
    for (uint32_t i = 0; i < rs->n_more_headers; i++)
        request_add_field(&r->fields, rs->more_headers[i].name, rs->more_headers[i].value);
    compress(r, rs);
    pad(r);
    buf_init(&r->trailers, FIELDS_MAX);
    for (uint32_t i = 0; i < rs->n_trailers; i++)
        request_add_field(&r->trailers, rs->trailers[i].name, rs->trailers[i].value);
    ASSERT(!r->fields.failed && !r->trailers.failed);
    post(r);
}

void http_abandon(struct http_request *rq)
{
    struct request *r = request_of(rq);
    take_reply(r);
    r->abandoned = true;
    post(r);
}

/* ---- errors ---- */

static void put_json_char(struct buf *out, struct str at, size_t n, uint32_t cp)
{
    static const char special[] = "\"\\\n\r\t";
    static const char letter[] = "\"\\nrt";
    const char *s = cp && cp < 0x80 ? strchr(special, (int)cp) : NULL;
    if (s)
        buf_printf(out, "\\%c", letter[s - special]);
    else if (cp < 0x20 || cp == '<' || cp == '>' || cp == '&' || cp == 0x2028 || cp == 0x2029)
        buf_printf(out, "\\u%04x", cp);
    else
        buf_add(out, at.p, n);
}

static void put_json_string(struct buf *out, struct str s)
{
    buf_byte(out, '"');
    while (s.n) {
        uint32_t cp;
        size_t n = utf8_decode(s, &cp);
        if (n == 0) {
            buf_str(out, STR("\\ufffd"));
            n = 1;
        } else {
            put_json_char(out, s, n, cp);
        }
        s = str_skip(s, n);
    }
    buf_byte(out, '"');
}

static void put_error_json(struct buf *out, struct str code, struct str message)
{
    buf_str(out, STR("{\"code\":"));
    put_json_string(out, code);
    buf_str(out, STR(",\"message\":"));
    put_json_string(out, message);
    buf_str(out, STR("}\n"));
}

void http_reply_error(struct http_request *rq, const struct error *err)
{
    static const struct http_header nosniff = {{"X-Content-Type-Options", 22}, {"nosniff", 7}};
    struct http_response rs = {.status = err->http ? err->http : status_http(err->code),
        .content_type = STR("application/json"),
        .more_headers = &nosniff,
        .n_more_headers = 1,
        .gzip = HTTP_GZIP_NEVER};
    buf_init(&rs.body, 8 * ERROR_MSG_MAX);
    put_error_json(&rs.body, str_from(status_text(err->code)), error_str(err));
    http_reply(rq, &rs);
}

void http_reply_text(struct http_request *rq, int status, struct str content_type, struct str body)
{
    struct http_response rs = {.status = status, .content_type = content_type};
    buf_init(&rs.body, MAX(body.n, (size_t)1));
    buf_str(&rs.body, body);
    http_reply(rq, &rs);
}
