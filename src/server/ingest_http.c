/* The upload endpoints: /ingest, its alias, and push.v1.PusherService/Push.
 *
 * A handler finds the tenant, hands the request to ingest and returns; the answer is sent from
 * ingest's completion, which runs on the committer's thread once the upload is durable, or at once
 * when it is refused. What is refused here, before ingest sees it, is told to it as well, so that
 * it is counted under the tenant's name. ST_DATA_LOSS closes the connection without an answer:
 * whether the upload is stored cannot be known, and either answer could be a lie. */
#include "base/clock.h"
#include "base/hash.h"
#include "server/server_int.h"

/* One tenant's part of the head, unless its limits say otherwise. */
enum { HEAD_SHARE = 4 };
#define DELAY_NS_MAX (60 * NS_PER_S)

/* What ingest gets of a tenant; its ingest_config.limits. */
static void limits_of(void *ctx, struct str tenant, struct ingest_limits *ret_limits)
{
    const struct server *s = ctx;
    struct config_limits l;
    overrides_limits(s->overrides, tenant, &l);
    config_limits_ingest(&l, ret_limits);
    if (ret_limits->head_bytes_max == 0 && s->config->multitenancy_enabled)
        ret_limits->head_bytes_max = s->head_bytes / HEAD_SHARE;
}

void handler_pad(struct server *s, struct http_request *rq, struct str tenant)
{
    struct config_limits l;
    overrides_limits(s->overrides, tenant, &l);
    if (l.artificial_delay_ns > 0)
        rq->pad_ns =
            (int64_t)((double)MIN(l.artificial_delay_ns, DELAY_NS_MAX) * (0.9 + 0.2 * hash_draw()));
}

struct ingest *handler_ingest_new(struct server *s)
{
    struct ingest_config cfg = {
        .store = s->store, .limits = limits_of, .ctx = s, .refusals = s->refusals};
    return ingest_new(&cfg);
}

static void upload_done(void *ctx, enum status st, const struct error *err)
{
    struct http_request *rq = ctx;
    if (st != ST_OK)
        handler_log_failure(rq, err);
    if (st == ST_OK) {
        struct http_response rs = {.status = 200};
        http_reply(rq, &rs);
    } else if (st == ST_DATA_LOSS) {
        http_abandon(rq);
    } else {
        http_reply_error(rq, err);
    }
}

static struct str param(struct http_request *rq, struct str name)
{
    struct str v;
    return http_query_get(rq, name, &v) ? v : (struct str){0};
}

static void handle_ingest(struct http_request *rq, void *ctx)
{
    struct server *s = ctx;
    struct error err = {0};
    if (!upload_accept(s, rq))
        return;
    struct ingest_upload up = {
        .name = param(rq, STR("name")),
        .from = param(rq, STR("from")),
        .until = param(rq, STR("until")),
        .sample_rate = param(rq, STR("sampleRate")),
        .spy_name = param(rq, STR("spyName")),
        .format = param(rq, STR("format")),
        .content_type = http_header_get(rq, STR("content-type")),
        .body = rq->body,
        .arena = &rq->arena,
        .now_ns = clock_wall_ns(),
    };
    if (handler_tenant(s, rq, &up.tenant, &err) != ST_OK) {
        upload_refused_early(s, rq, &err);
        http_reply_error(rq, &err);
        return;
    }
    handler_pad(s, rq, up.tenant);
    ingest_upload(s->ingest, &up, upload_done, rq);
}

static void ingest_too_large(struct http_request *rq, uint64_t seen, uint64_t max)
{
    struct error err = {0};
    upload_too_large(rq->route->ctx, rq, seen, max, &err);
    http_reply_error(rq, &err);
}

static void push_done(void *ctx, enum status st, const struct error *err)
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
        connect_fail(call, err);
}

static void push_too_large(struct http_request *rq, uint64_t seen, uint64_t max)
{
    const struct connect_method *m = rq->route->ctx;
    struct error err = {0};
    upload_too_large(m->ctx, rq, seen, max, &err);
    connect_too_large(rq, seen, max);
}

static void handle_push(struct connect_call *call, const void *request, void *ctx)
{
    struct server *s = ctx;
    struct error err = {0};
    if (!upload_accept(s, call->rq))
        return;
    struct ingest_push push = {
        .request = request,
        .arena = call->arena,
        .now_ns = clock_wall_ns(),
    };
    if (handler_tenant(s, call->rq, &push.tenant, &err) != ST_OK) {
        upload_refused_early(s, call->rq, &err);
        connect_fail(call, &err);
        return;
    }
    handler_pad(s, call->rq, push.tenant);
    ingest_push(s->ingest, &push, push_done, call);
}

/* What of the tenant's uploads was not taken, and which setting would change it. */
static void handle_refusals(struct http_request *rq, void *ctx)
{
    struct server *s = ctx;
    struct error err = {0};
    struct str tenant;
    if (handler_tenant(s, rq, &tenant, &err) != ST_OK) {
        http_reply_error(rq, &err);
        return;
    }
    struct http_response rs = {.status = 200, .content_type = STR("application/json")};
    buf_init(&rs.body, MIB);
    refusals_json(s->refusals, tenant, &rs.body);
    http_reply(rq, &rs);
}

void ingest_http_routes(struct server *s, struct route_list *l)
{
    struct http_route r = {
        .methods = HTTP_M_POST,
        .path = "/ingest",
        .name = "ingest",
        .handler = handle_ingest,
        .ctx = s,
        .too_large = ingest_too_large,
        .refused = upload_http_refused,
        .body_bytes_max = s->body_bytes_max,
    };
    route_add(l, &r);
    r.path = "/pyroscope/ingest";
    r.name = "pyroscope_ingest";
    route_add(l, &r);
    struct http_route refusals = {
        .methods = HTTP_M_GET,
        .path = "/api/everflame/v1/refusals",
        .name = "refusals",
        .handler = handle_refusals,
        .ctx = s,
    };
    route_add(l, &refusals);
    struct connect_method push = {
        .path = "/push.v1.PusherService/Push",
        .name = "push_v1_pusherservice_push",
        .request = &m_push_request_desc,
        .response = &m_empty_desc,
        .fn = handle_push,
        .ctx = s,
        .message_bytes_max = s->body_bytes_max,
        .refused = upload_call_refused,
    };
    route_add_method(l, &push);
    l->v[l->n - 1].too_large = push_too_large;
    l->v[l->n - 1].refused = upload_method_http_refused;
}
