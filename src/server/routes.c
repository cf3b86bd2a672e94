/* What all handlers share: the list of routes, tenants of a request, the Accept header. */
#include "base/log.h"
#include "net/accept.h"
#include "server/server_int.h"

void route_add(struct route_list *l, const struct http_route *r)
{
    ASSERT(l->n < SERVER_ROUTES_MAX);
    l->v[l->n++] = *r;
}

void route_add_method(struct route_list *l, const struct connect_method *m)
{
    ASSERT(l->n_methods < SERVER_ROUTES_MAX);
    struct connect_method *own = &l->methods[l->n_methods++];
    *own = *m;
    struct http_route r = {
        .methods = HTTP_M_POST,
        .path = own->path,
        .name = own->name,
        .handler = connect_handle,
        .ctx = own,
        .too_large = connect_too_large,
        .body_bytes_max = (own->message_bytes_max ? own->message_bytes_max : 16 * MIB) +
                          CONNECT_FRAMING_BYTES,
    };
    route_add(l, &r);
}

void route_add_service(struct route_list *l, const struct connect_method *common, const void *rows,
    size_t row_size, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct rpc_row *row = (const void *)((const char *)rows + i * row_size);
        struct connect_method m = *common;
        m.path = row->path;
        m.name = row->name;
        m.request = row->request;
        m.response = row->response;
        m.row = row;
        route_add_method(l, &m);
    }
}

void route_add_stream(struct route_list *l, const struct grpc_stream_method *m)
{
    enum { BODY_MAX = 64 * 1024 }; /* below HTTP/2, where it is refused */
    ASSERT(l->n_streams < SERVER_STREAMS_MAX);
    struct grpc_stream_method *own = &l->streams[l->n_streams++];
    *own = *m;
    struct http_route r = {
        .methods = HTTP_M_POST,
        .path = own->path,
        .name = own->name,
        .ctx = own,
        .body_bytes_max = BODY_MAX,
        .stream = &grpc_stream_ops,
    };
    route_add(l, &r);
}

enum status handler_tenants(
    struct server *s, struct http_request *rq, struct tenant_list *ret_list, struct error *err)
{
    return tenants_parse(s->config->multitenancy_enabled, http_header_get(rq, STR("x-scope-orgid")),
        &rq->arena, ret_list, err);
}

enum status handler_tenant(
    struct server *s, struct http_request *rq, struct str *ret_tenant, struct error *err)
{
    return tenants_parse_one(s->config->multitenancy_enabled,
        http_header_get(rq, STR("x-scope-orgid")), &rq->arena, ret_tenant, err);
}

enum status handler_only_tenant(
    struct server *s, struct http_request *rq, struct str *ret_tenant, struct error *err)
{
    struct tenant_list l;
    TRY(handler_tenants(s, rq, &l, err));
    if (l.n != 1)
        FAIL(err, ST_INVALID_ARGUMENT, "multiple org IDs present");
    *ret_tenant = l.v[0];
    return ST_OK;
}

void handler_log_failure(const struct http_request *rq, const struct error *err)
{
    int http = err->http ? err->http : status_http(err->code);
    if (http >= 500)
        LOG_ERROR("request failed", "path=%s code=%s err=%s at=%s:%d", LOG_STR(rq->path),
            status_text(err->code), LOG_STR(error_str(err)), err->file ? err->file : "", err->line);
}

bool handler_accept(struct http_request *rq, bool *ret_utf8_names)
{
    struct error err = {0};
    if (connect_accept_check(rq, ret_utf8_names, &err) == ST_OK)
        return true;
    char text[ERROR_MSG_MAX + 2];
    int n = snprintf(text, sizeof text, "%.*s\n", STR_ARG(error_str(&err)));
    http_reply_text(rq, 400, STR("text/plain; charset=utf-8"), str_make(text, (size_t)n));
    return false;
}
