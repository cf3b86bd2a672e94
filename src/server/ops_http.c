/* Pages for operators: readiness, health, metrics, build, configuration, and `/`, which says in
 * plain text what to do next and what was received. None of them but a tenant's limits needs a
 * tenant, so none of them shows what a tenant sent; where there is only one tenant, `/` names its
 * services.
 *
 * Readiness, health and metrics run on the event loop: they must answer when all workers are busy,
 * and cost microseconds to a few milliseconds. */
#include <unistd.h>

#include "base/metrics.h"
#include "base/mem.h"
#include "codec/json.h"
#include "server/machine.h"
#include "server/server_int.h"

enum { PAGE_BYTES_MAX = 64 << 20, WHY_BYTES = 16 << 10 };

static const struct str text_plain = {"text/plain; charset=utf-8", 25};

static void reply_buf(struct http_request *rq, struct str content_type, struct buf *body)
{
    struct http_response rs = {.status = 200, .content_type = content_type, .body = *body};
    http_reply(rq, &rs);
}

static void handle_ready(struct http_request *rq, void *ctx)
{
    struct server *s = ctx;
    struct arena arena;
    struct str why;
    if (atomic_load(&s->stopping)) {
        http_reply_text(rq, 503, text_plain, STR("the server is stopping\n"));
        return;
    }
    arena_init(&arena, WHY_BYTES);
    if (store_writable(s->store, &why, &arena)) {
        http_reply_text(rq, 200, text_plain, STR("ready"));
    } else {
        struct str text = arena_printf(&arena, "uploads are refused: %.*s\n", STR_ARG(why));
        http_reply_text(rq, 503, text_plain, text.p ? text : STR("uploads are refused\n"));
    }
    arena_done(&arena);
}

static void handle_healthy(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_reply_text(rq, 200, text_plain, STR("healthy"));
}

static void handle_metrics(struct http_request *rq, void *ctx)
{
    struct buf out;
    (void)ctx;
    machine_metrics();
    buf_init(&out, PAGE_BYTES_MAX);
    metrics_render(&out);
    reply_buf(rq, STR("text/plain; version=0.0.4; charset=utf-8"), &out);
}

static void handle_buildinfo(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_reply_text(rq, 200, STR("application/json"),
        STR("{\"status\":\"success\",\"data\":{\"version\":\"" EVERFLAME_VERSION
            "\",\"revision\":\"\",\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\","
            "\"goVersion\":\"\"}}\n"));
}

static void reply_config(struct http_request *rq, struct server *s, enum config_dump what)
{
    struct buf out;
    buf_init(&out, PAGE_BYTES_MAX);
    config_dump(s->config, what, &out);
    reply_buf(rq, text_plain, &out);
}

/* ?mode=diff | defaults; the paths that end in /diff and /default are the reference's. */
static void handle_config(struct http_request *rq, void *ctx)
{
    struct str mode = STR_EMPTY;
    struct error err = {0};
    if (str_ends(rq->path, STR("/diff")))
        mode = STR("diff");
    else if (str_ends(rq->path, STR("/default")))
        mode = STR("defaults");
    else if (!http_query_get(rq, STR("mode"), &mode))
        mode = STR_EMPTY;
    if (mode.n == 0) {
        reply_config(rq, ctx, CONFIG_DUMP_ALL);
    } else if (str_eq(mode, STR("diff"))) {
        reply_config(rq, ctx, CONFIG_DUMP_DIFF);
    } else if (str_eq(mode, STR("defaults"))) {
        reply_config(rq, ctx, CONFIG_DUMP_DEFAULTS);
    } else {
        (void)error_set(&err, ST_INVALID_ARGUMENT, __FILE__, __LINE__,
            "unknown mode: use ?mode=diff or ?mode=defaults");
        http_reply_error(rq, &err);
    }
}

static void handle_runtime_config(struct http_request *rq, void *ctx)
{
    struct server *s = ctx;
    if (!s->config->runtime_file.n) {
        http_reply_text(rq, 200, text_plain, STR("runtime config file doesn't exist\n"));
        return;
    }
    struct buf out;
    buf_init(&out, PAGE_BYTES_MAX);
    overrides_dump(s->overrides, &out);
    reply_buf(rq, text_plain, &out);
}

/* Of the tenant that asks. */
static void handle_tenant_limits(struct http_request *rq, void *ctx)
{
    struct server *s = ctx;
    struct error err = {0};
    struct str tenant;
    struct buf out;
    if (handler_only_tenant(s, rq, &tenant, &err) != ST_OK) {
        http_reply_error(rq, &err);
        return;
    }
    buf_init(&out, PAGE_BYTES_MAX);
    overrides_tenant_dump(s->overrides, tenant, &out);
    reply_buf(rq, text_plain, &out);
}

/* ── the first page ── */

struct home {
    struct query_job job; /* first */
    struct server *server;
    struct str base; /* http://host:port/prefix */
};

static void home_head(const struct home *h, struct buf *out)
{
    const struct server *s = h->server;
    const char *tenant = s->config->multitenancy_enabled ? " -H 'X-Scope-OrgID: TENANT'" : "";
    int len = (int)h->base.n;
    const char *base = h->base.p;
    buf_printf(out,
        "Everflame " EVERFLAME_VERSION ": continuous profiling\n\n"
        "Send a profile by hand\n"
        "  printf 'main;work 5\\nmain;idle 2\\n' | curl%s --data-binary @- \\\n"
        "    '%.*s/ingest?name=my-app.cpu&from=now-10s&until=now'\n\n"
        "Or let a Pyroscope SDK or agent send: its server address is\n"
        "  %.*s\n\n"
        "Ask for the flame graph\n"
        "  curl%s -G '%.*s/pyroscope/render' -d from=now-1h -d until=now \\\n"
        "    --data-urlencode "
        "'query=process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name=\"my-app\"}'\n\n"
        "Or add it to Grafana: a data source of type Grafana Pyroscope with this URL\n"
        "  %.*s\n\n"
        "Look after it: /ready /healthy /metrics /api/v1/status/config /api/v1/status/buildinfo\n"
        "  /runtime_config /api/v1/tenant_limits /api/everflame/v1/storage\n"
        "  /api/everflame/v1/refusals\n"
        "\n",
        tenant, len, base, len, base, tenant, len, base, len, base);
}

static void home_counts(struct buf *out)
{
    buf_printf(out, "Received so far\n  %.0f profiles in memory of %.0f series\n",
        metric_get(M_HEAD_PROFILES), metric_get(M_HEAD_SERIES));
}

static enum status run_home(struct query_job *job, struct query *q, struct error *err)
{
    struct home *h = (struct home *)job;
    struct buf out;
    struct m_names_response rs = {0};
    if (!h->server->config->multitenancy_enabled) {
        int64_t now_ms = q->now_ns / NS_PER_MS;
        int64_t length_ms = q->limits.max_query_length_ns / NS_PER_MS;
        struct m_label_values_request rq = {.name = STR("service_name"),
            .start = length_ms ? MAX(now_ms - length_ms, 1) : 1,
            .end = now_ms};
        TRY(query_label_values(q, &rq, &rs, err));
    }
    buf_init(&out, PAGE_BYTES_MAX);
    home_head(h, &out);
    home_counts(&out);
    for (uint32_t i = 0; i < MIN(rs.names.n, 20u); i++)
        buf_printf(&out, "  %.*s\n", STR_ARG(rs.names.v[i]));
    if (rs.names.n > 20)
        buf_printf(&out, "  and %u services more: /api/v1/apps\n", rs.names.n - 20);
    reply_buf(job->rq, text_plain, &out);
    return ST_OK;
}

static void home_fail(struct query_job *job, const struct error *err)
{
    http_reply_error(job->rq, err);
}

/* The address the client used, when its Host header is harmless to show. */
static struct str base_url(const struct server *s, struct http_request *rq)
{
    struct str host = http_header_get(rq, STR("host"));
    bool ok = host.n && host.n < 300;
    for (size_t i = 0; i < host.n; i++)
        ok = ok && (host.p[i] > ' ' && host.p[i] < 127 && !strchr("'\"\\$`<>", host.p[i]));
    struct str url = ok ? arena_printf(&rq->arena, "http://%.*s%.*s", STR_ARG(host),
                              STR_ARG(s->config->path_prefix))
                        : STR("http://localhost:4040");
    return url.p ? url : STR("http://localhost:4040");
}

static void handle_home(struct http_request *rq, void *ctx)
{
    struct server *s = ctx;
    struct error err = {0};
    struct home *h = ARENA_NEW(&rq->arena, struct home);
    enum status st = h ? ST_OK
                       : error_set(&err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__, "no memory");
    if (st == ST_OK) {
        h->job = (struct query_job){.rq = rq, .name = "root", .run = run_home, .fail = home_fail};
        h->server = s;
        h->base = base_url(s, rq);
        st = tenants_parse(false, STR_EMPTY, &rq->arena, &h->job.tenants, &err);
    }
    if (st == ST_OK)
        query_pool_submit(s->queries, &h->job);
    else
        http_reply_error(rq, &err);
}

void ops_http_routes(struct server *s, struct route_list *l)
{
    static const struct {
        const char *path, *name;
        http_handler_fn handler;
        bool on_loop;
    } pages[] = {
        {"/", "root", handle_home, false},
        {"/ready", "ready", handle_ready, true},
        {"/healthy", "healthy", handle_healthy, true},
        {"/healthz", "healthz", handle_healthy, true},
        {"/metrics", "metrics", handle_metrics, true},
        {"/api/v1/status/buildinfo", "api_v1_status_buildinfo", handle_buildinfo, true},
        {"/api/v1/status/config", "api_v1_status_config", handle_config, false},
        {"/api/v1/status/config/diff", "api_v1_status_config_diff", handle_config, false},
        {"/api/v1/status/config/default", "api_v1_status_config_default", handle_config, false},
        {"/config", "config", handle_config, false},
        {"/runtime_config", "runtime_config", handle_runtime_config, false},
        {"/api/v1/tenant_limits", "api_v1_tenant_limits", handle_tenant_limits, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        struct http_route r = {
            .methods = HTTP_M_GET,
            .path = pages[i].path,
            .name = pages[i].name,
            .handler = pages[i].handler,
            .ctx = s,
            .on_loop = pages[i].on_loop,
        };
        route_add(l, &r);
    }
}
