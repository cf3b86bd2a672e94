/* grpc.health.v1.Health, for load balancers and probes: Check by gRPC, gRPC-Web or Connect, Watch
 * by gRPC over HTTP/2.
 *
 * The whole server, or one of its services by name, is SERVING until it stops. A name that is no
 * service here is not_found to Check, and SERVICE_UNKNOWN to Watch, which tells once and then again
 * when the server stops; it is open for WATCH_NS at most. Needs no tenant.
 * Thread: Check on a worker, Watch on the loop. */
#include "base/clock.h"
#include "codec/msg_table.h"
#include "server/server_int.h"

#define WATCH_NS (3600 * NS_PER_S)

struct health_request {
    struct str service;
};
struct health_response {
    int32_t status;
};
enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
static const struct msg_enum statuses = {.names = names,
    .n = ARRAY_LEN(names),
    .name = "grpc.health.v1.HealthCheckResponse.ServingStatus"};
static const struct msg_field health_request_fields[] = {
    ONE(health_request, service, "service", 1, STRING),
};
static DESC(health_request, "grpc.health.v1.HealthCheckRequest");
static const struct msg_field health_response_fields[] = {
    ENUM(health_response, status, "status", 1, statuses),
};
static DESC(health_response, "grpc.health.v1.HealthCheckResponse");

static bool known(const struct server *s, struct str service)
{
    return service.n == 0 || reflection_has_service(s, service);
}

static void handle_check(struct connect_call *call, const void *request, void *ctx)
{
    struct server *s = ctx;
    const struct health_request *rq = request;
    if (!known(s, rq->service)) {
        struct error err = {0};
        (void)error_set(&err, ST_NOT_FOUND, __FILE__, __LINE__, "unknown service %.*s",
            STR_ARG(str_head(rq->service, 100)));
        connect_fail(call, &err);
        return;
    }
    struct health_response rs = {atomic_load(&s->stopping) ? NOT_SERVING : SERVING};
    connect_reply(call, &rs);
}

static void watch_begin(struct grpc_stream *st, const void *request, void *ctx)
{
    struct server *s = ctx;
    const struct health_request *rq = request;
    struct health_response rs = {SERVING};
    if (!known(s, rq->service))
        rs.status = SERVICE_UNKNOWN;
    else if (atomic_load(&s->stopping))
        rs.status = NOT_SERVING;
    grpc_stream_send(st, &rs);
}

static void watch_stop(struct grpc_stream *st, void *ctx)
{
    static const struct health_response rs = {NOT_SERVING};
    (void)ctx;
    if (st->n_messages)
        grpc_stream_send(st, &rs);
}

void health_rpc_routes(struct server *s, struct route_list *l)
{
    struct connect_method check = {
        .path = "/grpc.health.v1.Health/Check",
        .name = "grpc_health_v1_health_check",
        .request = &health_request_desc,
        .response = &health_response_desc,
        .fn = handle_check,
        .ctx = s,
    };
    struct grpc_stream_method watch = {
        .path = "/grpc.health.v1.Health/Watch",
        .name = "grpc_health_v1_health_watch",
        .request = &health_request_desc,
        .response = &health_response_desc,
        .message = watch_begin,
        .stop = watch_stop,
        .ctx = s,
        .one_request = true,
        .silence_ns = WATCH_NS,
    };
    route_add_method(l, &check);
    route_add_stream(l, &watch);
}
