/* From a request to its route, and from a complete request to its handler.
 *
 * Routes are exact paths, some are prefixes; several rows of one path with different methods are
 * one resource for 405's Allow. HEAD is answered by the GET route: the protocol leaves the body
 * out. The table has some dozens of rows, so it is walked: comparing lengths first makes that
 * cheaper than a map.
 *
 * Thread: the loop. Failure: the request is replied to here (404, 405, the server's check, 503). */
#include "net/net_int.h"

#include "base/mem.h"

static const struct {
    enum http_method method;
    struct str name;
} methods[] = {
    {HTTP_M_GET, {"GET", 3}},
    {HTTP_M_HEAD, {"HEAD", 4}},
    {HTTP_M_POST, {"POST", 4}},
    {HTTP_M_PUT, {"PUT", 3}},
    {HTTP_M_DELETE, {"DELETE", 6}},
    {HTTP_M_OPTIONS, {"OPTIONS", 7}},
};

struct str http_method_name(enum http_method m)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (methods[i].method == m)
            return methods[i].name;
    return STR("OTHER");
}

enum http_method http_method_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(methods[i].name, name))
            return methods[i].method;
    return HTTP_M_OTHER;
}

static void reply_not_found(struct request *r)
{
    static const struct http_header nosniff = {{"X-Content-Type-Options", 22}, {"nosniff", 7}};
    struct http_response rs = {.status = 404,
        .content_type = STR("text/plain; charset=utf-8"),
        .more_headers = &nosniff,
        .n_more_headers = 1};
    buf_init(&rs.body, 64);
    buf_str(&rs.body, STR("404 page not found\n"));
    http_reply(&r->pub, &rs);
}

static void reply_not_allowed(struct request *r, uint32_t allowed)
{
    struct buf allow;
    buf_init(&allow, 64);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (!(allowed & methods[i].method))
            continue;
        if (allow.n)
            buf_str(&allow, STR(", "));
        buf_str(&allow, methods[i].name);
    }
    struct http_header h = {STR("Allow"), buf_view(&allow)};
    struct http_response rs = {.status = 405, .more_headers = &h, .n_more_headers = 1};
    http_reply(&r->pub, &rs);
    buf_done(&allow);
}

static uint32_t methods_of(const struct http_route *route)
{
    return route->methods | (route->methods & HTTP_M_GET ? HTTP_M_HEAD : 0);
}

/* False: the path is not below the prefix. */
static bool strip_prefix(struct request *r)
{
    struct str prefix = r->server->cfg.path_prefix;
    if (prefix.n == 0)
        return true;
    if (!str_starts(r->pub.path, prefix))
        return false;
    struct str rest = str_skip(r->pub.path, prefix.n);
    if (rest.n && rest.p[0] != '/')
        return false;
    r->pub.path = rest.n ? rest : STR("/");
    return true;
}

static bool matches(const struct http_route *route, struct str path)
{
    struct str own = str_from(route->path);
    return route->prefix ? str_starts(path, own) && path.n > own.n : str_eq(path, own);
}

/* Into pub.route, NULL: none; what methods its path has. */
static uint32_t find_route(struct request *r)
{
    const struct http_server *s = r->server;
    uint32_t allowed = 0;
    r->pub.route = NULL;
    for (uint32_t i = 0; i < s->n_routes && !r->pub.route; i++) {
        const struct http_route *route = &s->routes[i];
        if (!matches(route, r->pub.path))
            continue;
        allowed |= methods_of(route);
        if (methods_of(route) & r->pub.method)
            r->pub.route = route;
    }
    return allowed;
}

bool router_admit(struct request *r)
{
    struct http_server *s = r->server;
    struct error err;
    if (!strip_prefix(r)) {
        reply_not_found(r);
        return false;
    }
    if (s->cfg.check && s->cfg.check(&r->pub, &err) != ST_OK) {
        http_reply_error(&r->pub, &err);
        return false;
    }
    uint32_t allowed = find_route(r);
    if (r->pub.route)
        return true;
    if (allowed)
        reply_not_allowed(r, allowed);
    else
        reply_not_found(r);
    return false;
}

void router_glimpse(struct request *r)
{
    request_split_target(&r->pub);
    if (strip_prefix(r))
        (void)find_route(r);
}

uint64_t router_body_max(const struct request *r)
{
    const struct http_server_config *cfg = &r->server->cfg;
    uint64_t max = r->pub.route->body_bytes_max ? r->pub.route->body_bytes_max
                                                : cfg->body_bytes_max;
    return MIN(max, cfg->body_budget_bytes);
}

static const struct {
    enum status code;
    int http;
} refusals[HTTP_REFUSALS] = {
    [HTTP_REFUSED_HEADER] = {ST_RESOURCE_EXHAUSTED, 431},
    [HTTP_REFUSED_SLOW_HEADER] = {ST_UNKNOWN, 408},
    [HTTP_REFUSED_SLOW_BODY] = {ST_UNKNOWN, 408},
    [HTTP_REFUSED_CUT_BODY] = {ST_UNKNOWN, 408},
    [HTTP_REFUSED_BAD_BODY] = {ST_INVALID_ARGUMENT, 400},
    [HTTP_REFUSED_BUDGET] = {ST_UNAVAILABLE, 503},
    [HTTP_REFUSED_QUEUE] = {ST_UNAVAILABLE, 503},
    [HTTP_REFUSED_MEMORY] = {ST_UNAVAILABLE, 503},
    [HTTP_REFUSED_STREAM] = {ST_UNAVAILABLE, 503},
    [HTTP_REFUSED_FLOOD] = {ST_RESOURCE_EXHAUSTED, 429},
};

static void tell(struct request *r, enum http_refusal why, const char *msg, struct error *err)
{
    const struct http_route *route = r->pub.route;
    error_set(err, refusals[why].code, __FILE__, __LINE__, "%s", msg);
    err->http = refusals[why].http;
    r->pub.body = buf_view(&r->body);
    if (route && route->refused)
        route->refused(&r->pub, why, err);
}

void router_tell_refused(struct request *r, enum http_refusal why, const char *msg)
{
    struct error err;
    tell(r, why, msg, &err);
}

void http_refuse(struct request *r, enum http_refusal why, const char *msg)
{
    struct error err;
    tell(r, why, msg, &err);
    http_reply_error(&r->pub, &err);
}

static void reply_too_large(struct request *r)
{
    struct error err;
    error_set(&err, ST_INVALID_ARGUMENT, __FILE__, __LINE__, "request body too large");
    err.http = 413;
    http_reply_error(&r->pub, &err);
}

void router_too_large(struct request *r, uint64_t seen)
{
    if (r->pub.route->too_large)
        r->pub.route->too_large(&r->pub, seen, router_body_max(r));
    else
        reply_too_large(r);
}

static void refuse_version(struct request *r)
{
    struct error err;
    error_set(&err, ST_UNIMPLEMENTED, __FILE__, __LINE__, "this call needs HTTP/2");
    err.http = 505;
    http_reply_error(&r->pub, &err);
}

void router_dispatch(struct request *r)
{
    const struct http_route *route = r->pub.route;
    if (route->stream)
        refuse_version(r);
    else if (route->on_loop)
        route->handler(&r->pub, route->ctx);
    else if (!pool_push(&r->server->pool, r))
        http_refuse(r, HTTP_REFUSED_QUEUE, "too many requests are waiting");
}
