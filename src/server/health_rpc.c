/* grpc.health.v1.Health/Check, for load balancers and probes that speak gRPC (or Connect).
 *
 * The whole server, or one of its services by name, is SERVING until it stops; a name that is no
 * service here is not_found. Watch, which is a stream, is not there: 404, which gRPC clients read
 * as unimplemented, and then poll. Needs no tenant. Thread: a worker. */
#include "server/server_int.h"

struct health_request {
    struct str service;
};
struct health_response {
    int32_t status;
};
enum { SERVING = 1, NOT_SERVING = 2 };

static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
static const struct msg_enum statuses = {names, ARRAY_LEN(names)};
static const struct msg_field request_fields[] = {
    {"service", "service", 1, MSG_STRING, false, offsetof(struct health_request, service),
        MSG_NO_HAS, NULL, NULL},
};
static const struct msg_desc request_desc = {"grpc.health.v1.HealthCheckRequest",
    sizeof(struct health_request), request_fields, ARRAY_LEN(request_fields)};
static const struct msg_field response_fields[] = {
    {"status", "status", 1, MSG_ENUM, false, offsetof(struct health_response, status), MSG_NO_HAS,
        NULL, &statuses},
};
static const struct msg_desc response_desc = {"grpc.health.v1.HealthCheckResponse",
    sizeof(struct health_response), response_fields, ARRAY_LEN(response_fields)};

static bool known(struct str service)
{
    static const char *const services[] = {"", "grpc.health.v1.Health", "push.v1.PusherService",
        "querier.v1.QuerierService", "settings.v1.SettingsService", "version.v1.Version"};
    for (size_t i = 0; i < ARRAY_LEN(services); i++)
        if (str_eq(service, str_from(services[i])))
            return true;
    return false;
}

static void handle_check(struct connect_call *call, const void *request, void *ctx)
{
    struct server *s = ctx;
    const struct health_request *rq = request;
    if (!known(rq->service)) {
        struct error err = {0};
        (void)error_set(&err, ST_NOT_FOUND, __FILE__, __LINE__, "unknown service %.*s",
            STR_ARG(str_head(rq->service, 100)));
        connect_fail(call, &err);
        return;
    }
    struct health_response rs = {atomic_load(&s->stopping) ? NOT_SERVING : SERVING};
    connect_reply(call, &rs);
}

void health_rpc_routes(struct server *s, struct route_list *l)
{
    struct connect_method check = {
        .path = "/grpc.health.v1.Health/Check",
        .name = "grpc_health_v1_health_check",
        .request = &request_desc,
        .response = &response_desc,
        .fn = handle_check,
        .ctx = s,
    };
    route_add_method(l, &check);
}
