/* What of the ingest routes is refused before ingest sees it: by HTTP itself, by the form of a
 * call, by the tenant that is missing. All of them, over every transport, end in one place, so that
 * the same fault has the same reason, and is in the metrics and on record alike.
 *
 *     HTTP: size, time, budget, queue, streams ─► table ─┐
 *     forms of a call, Accept, content type ─► the code ─┼─► upload_refused ─► ingest_refuse
 *     body over the limit ─► whose limit it was ─────────┘
 *
 * Thread: the loop or a worker, whoever refuses; a few hundred bytes are parsed and short locks
 * taken. Failure: a tenant that cannot be read is nobody, and counted in the metrics only. */
#include "base/clock.h"
#include "ingest/ingest.h"
#include "net/accept.h"
#include "server/server_int.h"

static struct str param(struct http_request *rq, struct str name)
{
    struct str v;
    return http_query_get(rq, name, &v) ? v : (struct str){0};
}

void upload_refused(
    struct server *s, struct http_request *rq, struct str reason, const struct error *err)
{
    upload_refused_bytes(s, rq, reason, rq->body.n, err);
}

void upload_refused_bytes(struct server *s, struct http_request *rq, struct str reason,
    uint64_t bytes, const struct error *err)
{
    struct error no_tenant = {0};
    struct ingest_refusal r = {
        .name = param(rq, STR("name")),
        .format = param(rq, STR("format")),
        .content_type = http_header_get(rq, STR("content-type")),
        .reason = reason,
        .bytes = bytes,
        .now_ns = clock_wall_ns(),
    };
    if (handler_tenant(s, rq, &r.tenant, &no_tenant) != ST_OK)
        r.tenant = STR_EMPTY;
    ingest_refuse(s->ingest, &r, &rq->arena, err);
}

static struct str reason_of(const struct http_request *rq, const struct error *err)
{
    if (err->code == ST_UNAUTHENTICATED)
        return STR("unauthenticated");
    if (rq->arena.full)
        return STR("profile_size_limit");
    if (err->code == ST_RESOURCE_EXHAUSTED || err->http == 413)
        return STR("body_size_limit_exceeded");
    return err->code == ST_DEADLINE_EXCEEDED ? STR("unknown") : STR("malformed_request");
}

void upload_refused_early(struct server *s, struct http_request *rq, const struct error *err)
{
    upload_refused(s, rq, reason_of(rq, err), err);
}

void upload_call_refused(struct http_request *rq, const struct error *err, void *ctx)
{
    upload_refused_early(ctx, rq, err);
}

bool upload_accept(struct server *s, struct http_request *rq)
{
    struct error err = {0};
    bool utf8_names;
    if (connect_accept_check(rq, &utf8_names, &err) != ST_OK)
        upload_refused_early(s, rq, &err);
    return handler_accept(rq, &utf8_names);
}

void upload_too_large(
    struct server *s, struct http_request *rq, uint64_t seen, uint64_t max, struct error *err)
{
    double mb = overrides_body_limit_mb(s->overrides);
    bool budget = mb <= 0 || mb * (double)MIB > (double)max; /* what all may use together is less */
    error_set(err, ST_INVALID_ARGUMENT, __FILE__, __LINE__,
        "request body too large: %llu bytes, limit %llu (%s)", (unsigned long long)seen,
        (unsigned long long)max, budget ? "server.body-budget" : "ingestion_body_limit_mb");
    err->http = 413;
    upload_refused_bytes(
        s, rq, budget ? STR("body_budget_exceeded") : STR("body_size_limit_exceeded"), seen, err);
}

/* ── by HTTP itself ── */

static const struct str reasons[HTTP_REFUSALS] = {
    [HTTP_REFUSED_HEADER] = STR("header_too_large"),
    [HTTP_REFUSED_SLOW_HEADER] = STR("header_timeout"),
    [HTTP_REFUSED_SLOW_BODY] = STR("body_timeout"),
    [HTTP_REFUSED_CUT_BODY] = STR("incomplete_body"),
    [HTTP_REFUSED_BAD_BODY] = STR("malformed_request"),
    [HTTP_REFUSED_BUDGET] = STR("body_budget_exceeded"),
    [HTTP_REFUSED_QUEUE] = STR("too_many_requests"),
    [HTTP_REFUSED_MEMORY] = STR("out_of_memory"),
    [HTTP_REFUSED_STREAM] = STR("too_many_streams"),
    [HTTP_REFUSED_FLOOD] = STR("http2_flood"),
};

void upload_http_refused(struct http_request *rq, enum http_refusal why, const struct error *err)
{
    upload_refused(rq->route->ctx, rq, reasons[why], err);
}

void upload_method_http_refused(
    struct http_request *rq, enum http_refusal why, const struct error *err)
{
    const struct connect_method *method = rq->route->ctx;
    upload_refused(method->ctx, rq, reasons[why], err);
}
