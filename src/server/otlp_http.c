/* OTLP profiles: over HTTP, protobuf or JSON, and over gRPC (spec/ingest.md §5.1, §5.8).
 *
 *     /v1development/profiles ─┐             ┌─ application/grpc… ─► connect.h ─► bytes ─┐
 *     …ProfilesService/Export ─┴─ content type ─ one of three exactly ─► gzip ─► bytes ──┴─► ingest
 *
 * Both paths take both. Over HTTP a Content-Encoding other than gzip is not looked at; success is
 * 200 with no bytes, which is an empty response message, for JSON too; failures are plain text, but
 * for the tenant's, which is JSON. Over gRPC they are codes. ST_DATA_LOSS closes the connection
 * without an answer, see ingest_http.c. What is refused before ingest sees it: upload_refused.c. */
#include "base/clock.h"
#include "base/metrics.h"
#include "codec/gzip.h"
#include "ingest/otlp.h"
#include "server/server_int.h"

/* What a body may inflate to where no limit is set. */
#define INFLATE_BYTES_MAX GIB

/* When a client that is told to wait may try again: soon, for clients wait longer each time. */
enum { RETRY_S = 1 };

/* Over gRPC, OTLP clients throw away what is answered with resource_exhausted, unless the answer
 * says when to try again. What no try can get through is not to be tried. */
static uint32_t retry_of(const struct error *err, const struct arena *arena)
{
    bool later = err->code == ST_UNAVAILABLE ||
                 (err->code == ST_RESOURCE_EXHAUSTED && err->http != 413 && !arena->full);
    return later ? RETRY_S : 0;
}

/* ── HTTP ── */

static void reply_error(struct http_request *rq, const struct error *err)
{
    char line[ERROR_MSG_MAX + 2];
    char seconds[12];
    uint32_t retry_s = retry_of(err, &rq->arena);
    int n = snprintf(line, sizeof line, "%.*s\n", STR_ARG(error_str(err)));
    int digits = snprintf(seconds, sizeof seconds, "%u", retry_s);
    struct http_header later = {STR("Retry-After"), str_make(seconds, (size_t)digits)};
    struct http_response rs = {.status = err->http ? err->http : status_http(err->code),
        .content_type = STR("text/plain; charset=utf-8"),
        .more_headers = &later,
        .n_more_headers = retry_s ? 1 : 0};
    buf_init(&rs.body, sizeof line);
    buf_add(&rs.body, line, (size_t)n);
    http_reply(rq, &rs);
}

static void export_done(void *ctx, enum status st, const struct error *err)
{
    struct http_request *rq = ctx;
    if (st != ST_OK)
        handler_log_failure(rq, err);
    if (st == ST_OK) {
        struct http_response rs = {.status = 200, .content_type = STR("application/x-protobuf")};
        http_reply(rq, &rs);
    } else if (st == ST_DATA_LOSS) {
        http_abandon(rq);
    } else {
        reply_error(rq, err);
    }
}

static enum status read_content_type(
    const struct http_request *rq, bool *ret_json, struct error *err)
{
    struct str type = http_header_get(rq, STR("content-type"));
    *ret_json = str_eq(type, STR("application/json"));
    if (*ret_json || str_eq(type, STR("application/x-protobuf")) ||
        str_eq(type, STR("application/protobuf")))
        return ST_OK;
    error_set(err, ST_INVALID_ARGUMENT, __FILE__, __LINE__, "Unsupported Content-Type: %.*s",
        STR_ARG(str_head(type, 200)));
    err->http = 415;
    return ST_INVALID_ARGUMENT;
}

static uint64_t body_limit(const struct server *s, struct str tenant)
{
    struct config_limits l;
    struct ingest_limits limits;
    overrides_limits(s->overrides, tenant, &l);
    config_limits_ingest(&l, &limits);
    return limits.body_bytes_max;
}

static enum status read_body(
    struct http_request *rq, uint64_t max, struct str *ret_body, struct error *err)
{
    if (max && rq->body.n > max)
        return ingest_otlp_too_large("", max, err);
    *ret_body = rq->body;
    if (!str_eq_nocase(http_header_get(rq, STR("content-encoding")), STR("gzip")))
        return ST_OK;
    if (!gzip_detect(rq->body))
        FAIL(err, ST_INVALID_ARGUMENT, "Failed to read request body: gzip: invalid header");
    uint64_t inflated_max = max ? max : INFLATE_BYTES_MAX;
    enum status st = gzip_inflate(rq->body, inflated_max, &rq->arena, ret_body, err);
    if (st == ST_RESOURCE_EXHAUSTED && !rq->arena.full)
        return ingest_otlp_too_large("uncompressed ", inflated_max, err);
    return st == ST_OK ? ST_OK : error_wrap(err, st, "failed to read gzip-compressed request body");
}

static void export_http(struct server *s, struct http_request *rq)
{
    struct error err = {0};
    struct ingest_otlp export = {
        .received_bytes = rq->body.n, .arena = &rq->arena, .now_ns = clock_wall_ns()};
    if (!upload_accept(s, rq))
        return;
    if (handler_tenant(s, rq, &export.tenant, &err) != ST_OK) {
        upload_refused_early(s, rq, &err);
        http_reply_error(rq, &err);
        return;
    }
    enum status st = read_content_type(rq, &export.json, &err);
    if (st == ST_OK)
        st = read_body(rq, body_limit(s, export.tenant), &export.message, &err);
    if (st == ST_OK) {
        handler_pad(s, rq, export.tenant);
        ingest_otlp(s->ingest, &export, export_done, rq);
        return;
    }
    upload_refused_early(s, rq, &err);
    reply_error(rq, &err);
}

/* ── gRPC ── */

static void call_done(void *ctx, enum status st, const struct error *err)
{
    static const struct m_empty empty;
    struct connect_call *call = ctx;
    if (st != ST_OK)
        handler_log_failure(call->rq, err);
    if (st == ST_OK)
        connect_reply(call, &empty);
    else if (st == ST_DATA_LOSS)
        http_abandon(call->rq);
    else
        connect_fail_later(call, err, retry_of(err, call->arena));
}

static void export_call(struct connect_call *call, const void *request, void *ctx)
{
    struct server *s = ctx;
    const struct str *message = request;
    struct error err = {0};
    struct ingest_otlp export = {.message = *message,
        .json = call->json,
        .received_bytes = call->rq->body.n,
        .arena = call->arena,
        .now_ns = clock_wall_ns()};
    if (handler_tenant(s, call->rq, &export.tenant, &err) == ST_OK) {
        handler_pad(s, call->rq, export.tenant);
        ingest_otlp(s->ingest, &export, call_done, call);
        return;
    }
    upload_refused_early(s, call->rq, &err);
    connect_fail(call, &err);
}

/* ── both ── */

static bool is_grpc(const struct http_request *rq)
{
    return str_starts(http_header_get(rq, STR("content-type")), STR("application/grpc"));
}

static void handle_export(struct http_request *rq, void *ctx)
{
    const struct connect_method *method = ctx;
    if (is_grpc(rq))
        connect_handle(rq, ctx);
    else
        export_http(method->ctx, rq);
}

static void export_too_large(struct http_request *rq, uint64_t seen, uint64_t max)
{
    const struct connect_method *method = rq->route->ctx;
    struct error err = {0};
    upload_too_large(method->ctx, rq, seen, max, &err);
    (void)ingest_otlp_too_large("", method->message_bytes_max, &err);
    if (is_grpc(rq))
        connect_too_large(rq, seen, max);
    else
        reply_error(rq, &err);
}

void otlp_http_routes(struct server *s, struct route_list *l)
{
    struct connect_method export = {
        .path = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        .name = "opentelemetry_profilesservice_export",
        .response = &m_empty_desc,
        .fn = export_call,
        .ctx = s,
        .message_bytes_max = s->body_bytes_max,
        .refused = upload_call_refused,
    };
    route_add_method(l, &export);
    struct http_route *r = &l->v[l->n - 1];
    r->handler = handle_export;
    r->too_large = export_too_large;
    r->refused = upload_method_http_refused;
    struct http_route same = *r;
    same.path = "/v1development/profiles";
    same.name = "v1development_profiles";
    route_add(l, &same);
}
