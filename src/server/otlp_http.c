/* OTLP profiles over HTTP/1.1: POST /v1development/profiles, and the path of the gRPC method, where
 * the same is taken (spec/ingest.md §5.1, §5.8).
 *
 * A handler finds the tenant, inflates the body and hands the message to ingest, which answers when
 * it is durable. The Content-Type decides between protobuf and JSON and must be exactly one of
 * three; a Content-Encoding other than gzip is not looked at. Success is 200 with no bytes, which
 * is an empty response message, for JSON too. Failures are plain text, but for the tenant's, which
 * is JSON. ST_DATA_LOSS closes the connection without an answer, see ingest_http.c. */
#include "base/clock.h"
#include "base/metrics.h"
#include "codec/gzip.h"
#include "ingest/otlp.h"
#include "server/server_int.h"

/* What a body may inflate to where no limit is set. */
#define INFLATE_BYTES_MAX GIB

static void reply_text(struct http_request *rq, int status, struct str text)
{
    char line[ERROR_MSG_MAX + 2];
    int n = snprintf(line, sizeof line, "%.*s\n", STR_ARG(str_head(text, ERROR_MSG_MAX)));
    http_reply_text(rq, status, STR("text/plain; charset=utf-8"), str_make(line, (size_t)n));
}

static void reply_error(struct http_request *rq, const struct error *err)
{
    reply_text(rq, err->http ? err->http : status_http(err->code), error_str(err));
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

static void handle_export(struct http_request *rq, void *ctx)
{
    struct server *s = ctx;
    struct error err = {0};
    struct ingest_otlp export = {
        .received_bytes = rq->body.n, .arena = &rq->arena, .now_ns = clock_wall_ns()};
    bool utf8_names;
    if (!handler_accept(rq, &utf8_names))
        return;
    if (handler_tenant(s, rq, &export.tenant, &err) != ST_OK) {
        http_reply_error(rq, &err);
        return;
    }
    enum status st = read_content_type(rq, &export.json, &err);
    if (st == ST_OK)
        st = read_body(rq, body_limit(s, export.tenant), &export.message, &err);
    if (st == ST_OK)
        ingest_otlp(s->ingest, &export, export_done, rq);
    else
        reply_error(rq, &err);
}

static void export_too_large(struct http_request *rq, uint64_t seen, uint64_t max)
{
    struct error err = {0};
    metric_add(M_DISCARDED_SAMPLES, 1, STR("body_size_limit_exceeded"), STR(""));
    metric_add(M_DISCARDED_BYTES, (double)seen, STR("body_size_limit_exceeded"), STR(""));
    (void)ingest_otlp_too_large("", max, &err);
    reply_error(rq, &err);
}

void otlp_http_routes(struct server *s, struct route_list *l)
{
    struct http_route r = {
        .methods = HTTP_M_POST,
        .path = "/v1development/profiles",
        .name = "v1development_profiles",
        .handler = handle_export,
        .ctx = s,
        .too_large = export_too_large,
        .body_bytes_max = s->body_bytes_max,
    };
    route_add(l, &r);
    r.path = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
    r.name = "opentelemetry_profilesservice_export";
    route_add(l, &r);
}
