/* The parts of a running server, as its handlers see them. */
#ifndef SERVER_SERVER_INT_H
#define SERVER_SERVER_INT_H

#include "base/thread.h"
#include "codec/descriptor.h"
#include "net/connect.h"
#include "net/grpc_stream.h"
#include "net/http.h"
#include "server/config.h"
#include "server/overrides.h"
#include "server/query_pool.h"
#include "server/tenants.h"

struct self_profile;

struct server {
    struct config *config;
    struct overrides *overrides;
    struct store *store;
    struct refusals *refusals;
    struct ingest *ingest;
    struct query_pool *queries;
    struct http_server *http;
    struct self_profile *self_profile; /* NULL: off */
    uint64_t body_bytes_max;           /* of one upload, over all tenants */
    int64_t start_wall_ns;
    uint64_t head_bytes;               /* the bound of the store */
    atomic_bool stopping;              /* /ready says no */
    struct mutex state_lock;           /* the files of settings_rpc.c */
    struct descriptor_set descriptors; /* of reflection_rpc.c, and what they are in */
    struct arena descriptor_arena;
};

/* Tenants of a request by the server's mode. */
enum status handler_tenants(
    struct server *s, struct http_request *rq, struct tenant_list *ret_list, struct error *err);
enum status handler_tenant(
    struct server *s, struct http_request *rq, struct str *ret_tenant, struct error *err);
/* The same for services that know no union of tenants: several are invalid_argument, as in the
 * reference. */
enum status handler_only_tenant(
    struct server *s, struct http_request *rq, struct str *ret_tenant, struct error *err);
/* The answer to this upload waits as long as the tenant's settings say, if it is taken. */
void handler_pad(struct server *s, struct http_request *rq, struct str tenant);
/* Reads the Accept header. False: it is no list of media types, and the request was answered with
 * 400 and plain text, as the reference does it. */
bool handler_accept(struct http_request *rq, bool *ret_utf8_names);

/* Logs a failure that is ours (5xx), before it is answered: after that the request is gone. */
void handler_log_failure(const struct http_request *rq, const struct error *err);

/* Routes, each file its own; added to a list that lives as long as the server. */
enum { SERVER_ROUTES_MAX = 128, SERVER_STREAMS_MAX = 8 };
struct route_list {
    struct http_route v[SERVER_ROUTES_MAX];
    struct connect_method methods[SERVER_ROUTES_MAX];
    struct grpc_stream_method streams[SERVER_STREAMS_MAX];
    uint32_t n, n_methods, n_streams;
};
void route_add(struct route_list *l, const struct http_route *r);
/* A POST route for the method; message_bytes_max also bounds its body. */
void route_add_method(struct route_list *l, const struct connect_method *m);
/* The methods of a service, by a table whose rows begin with an rpc_row; what is `common` to them
 * is given once. The row is the method's `row`. */
struct rpc_row {
    const char *path, *name;
    const struct msg_desc *request, *response;
};
void route_add_service(struct route_list *l, const struct connect_method *common, const void *rows,
    size_t row_size, uint32_t n);
void route_add_stream(struct route_list *l, const struct grpc_stream_method *m);

/* What is refused of an ingest route before ingest sees it; all must come before the reply.
 * Counted, and on record where its tenant can be told. */
void upload_refused(
    struct server *s, struct http_request *rq, struct str reason, const struct error *err);
void upload_refused_bytes(struct server *s, struct http_request *rq, struct str reason,
    uint64_t bytes, const struct error *err);
/* The reason is the code's. */
void upload_refused_early(struct server *s, struct http_request *rq, const struct error *err);
/* As handler_accept. */
bool upload_accept(struct server *s, struct http_request *rq);
/* A body over the limit, or only announced to be: sets err, too. */
void upload_too_large(
    struct server *s, struct http_request *rq, uint64_t seen, uint64_t max, struct error *err);
/* connect_method.refused; http_route.refused where route.ctx is the server, and the method. */
void upload_call_refused(struct http_request *rq, const struct error *err, void *ctx);
void upload_http_refused(struct http_request *rq, enum http_refusal why, const struct error *err);
void upload_method_http_refused(
    struct http_request *rq, enum http_refusal why, const struct error *err);

struct ingest *handler_ingest_new(struct server *s);
void ingest_http_routes(struct server *s, struct route_list *l);
void otlp_http_routes(struct server *s, struct route_list *l);
void querier_rpc_routes(struct server *s, struct route_list *l);
void render_http_routes(struct server *s, struct route_list *l);
void ops_http_routes(struct server *s, struct route_list *l);
void info_rpc_routes(struct server *s, struct route_list *l);
void health_rpc_routes(struct server *s, struct route_list *l);
void settings_rpc_routes(struct server *s, struct route_list *l);
void adhoc_rpc_routes(struct server *s, struct route_list *l);
void debuginfo_rpc_routes(struct server *s, struct route_list *l);
/* After all others: it tells what there is. */
enum status reflection_rpc_routes(struct server *s, struct route_list *l, struct error *err);
/* Whether there is such a service, by the list that reflection gives. */
bool reflection_has_service(const struct server *s, struct str name);
void storage_http_routes(struct server *s, struct route_list *l);

#endif
