/* Plain HTTP over the read path: /pyroscope/render, /pyroscope/render-diff,
 * /pyroscope/label-values and /api/v1/apps. Parameters are decoded into the request's arena, the
 * work is a job of the query pool, errors are JSON. */
#include "codec/json.h"
#include "server/server_int.h"

enum { RENDER_BYTES_MAX = 256 << 20, LAST_MS = 3600 * 1000 };

struct page {
    struct query_job job; /* first */
    struct render_params params;
    struct str label; /* label-values */
};

static void page_fail(struct query_job *job, const struct error *err)
{
    handler_log_failure(job->rq, err);
    http_reply_error(job->rq, err);
}

/* Takes the body. */
static enum status page_reply(
    struct query_job *job, struct buf *body, struct str content_type, struct error *err)
{
    if (body->failed) {
        buf_done(body);
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the answer is larger than %d bytes", RENDER_BYTES_MAX);
    }
    struct http_response rs = {.status = 200, .content_type = content_type, .body = *body};
    http_reply(job->rq, &rs);
    return ST_OK;
}

static enum status run_render(struct query_job *job, struct query *q, struct error *err)
{
    struct page *p = (struct page *)job;
    struct buf out;
    bool dot = false;
    buf_init(&out, RENDER_BYTES_MAX);
    enum status st = query_render(q, &p->params, &out, &dot, err);
    if (st != ST_OK) {
        buf_done(&out);
        return st;
    }
    return page_reply(
        job, &out, dot ? STR("text/plain; charset=utf-8") : STR("application/json"), err);
}

static enum status run_diff(struct query_job *job, struct query *q, struct error *err)
{
    struct page *p = (struct page *)job;
    struct buf out;
    buf_init(&out, RENDER_BYTES_MAX);
    enum status st = query_render_diff(q, &p->params, &out, err);
    if (st != ST_OK) {
        buf_done(&out);
        return st;
    }
    return page_reply(job, &out, STR("application/json"), err);
}

static enum status reply_names(
    struct query_job *job, const struct m_names_response *names, struct error *err)
{
    struct buf out;
    buf_init(&out, RENDER_BYTES_MAX);
    buf_byte(&out, '[');
    for (uint32_t i = 0; i < names->names.n; i++) {
        if (i)
            buf_byte(&out, ',');
        json_put_string(&out, names->names.v[i]);
    }
    buf_str(&out, STR("]\n"));
    return page_reply(job, &out, STR("application/json"), err);
}

/* label=__name__ means the ids of the profile types. */
static enum status reply_types(struct query_job *job, struct query *q, struct error *err)
{
    int64_t now_ms = q->now_ns / NS_PER_MS;
    struct m_profile_types_request rq = {.start = now_ms - LAST_MS, .end = now_ms};
    struct m_profile_types_response rs = {0};
    TRY(query_profile_types(q, &rq, &rs, err));
    struct buf out;
    buf_init(&out, RENDER_BYTES_MAX);
    buf_str(&out, rs.profile_types.n ? STR("[") : STR("null\n"));
    for (uint32_t i = 0; i < rs.profile_types.n; i++) {
        json_put_string(&out, rs.profile_types.v[i].ID);
        buf_str(&out, i + 1 < rs.profile_types.n ? STR(",") : STR("]\n"));
    }
    return page_reply(job, &out, STR("application/json"), err);
}

static enum status run_label_values(struct query_job *job, struct query *q, struct error *err)
{
    struct page *p = (struct page *)job;
    if (str_eq(p->label, STR("__name__")))
        return reply_types(job, q, err);
    int64_t now_ms = q->now_ns / NS_PER_MS;
    struct m_label_values_request rq = {.name = p->label, .start = now_ms - LAST_MS, .end = now_ms};
    struct m_names_response rs = {0};
    TRY(query_label_values(q, &rq, &rs, err));
    return reply_names(job, &rs, err);
}

/* The services of all time that may be asked for. */
static enum status run_apps(struct query_job *job, struct query *q, struct error *err)
{
    int64_t now_ms = q->now_ns / NS_PER_MS, length_ms = q->limits.max_query_length_ns / NS_PER_MS;
    struct m_label_values_request rq = {
        .name = STR("service_name"),
        .start = length_ms ? MAX(now_ms - length_ms, 1) : 1,
        .end = now_ms,
    };
    struct m_names_response rs = {0};
    TRY(query_label_values(q, &rq, &rs, err));
    return reply_names(job, &rs, err);
}

static struct str param(struct http_request *rq, const char *name)
{
    struct str v;
    return http_query_get(rq, str_from(name), &v) ? v : STR_EMPTY;
}

static void read_params(struct http_request *rq, struct render_params *p)
{
    *p = (struct render_params){
        .query = param(rq, "query"),
        .from = param(rq, "from"),
        .until = param(rq, "until"),
        .left_query = param(rq, "leftQuery"),
        .left_from = param(rq, "leftFrom"),
        .left_until = param(rq, "leftUntil"),
        .right_query = param(rq, "rightQuery"),
        .right_from = param(rq, "rightFrom"),
        .right_until = param(rq, "rightUntil"),
        .max_nodes = param(rq, "maxNodes"),
        .aggregation = param(rq, "aggregation"),
        .format = param(rq, "format"),
    };
    struct str *groups = NULL;
    if (!p->max_nodes.n)
        p->max_nodes = param(rq, "max-nodes");
    p->n_group_by = http_query_all(rq, STR("groupBy"), &groups);
    p->group_by = groups;
}

static void submit(struct server *s, struct http_request *rq, query_run_fn run)
{
    struct error err = {0};
    bool utf8_names;
    if (!handler_accept(rq, &utf8_names))
        return;
    struct page *p = ARENA_NEW(&rq->arena, struct page);
    enum status st = p ? ST_OK
                       : error_set(&err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__, "no memory");
    if (st == ST_OK) {
        p->job = (struct query_job){.rq = rq,
            .name = rq->route->name,
            .run = run,
            .fail = page_fail,
            .utf8_names = utf8_names};
        read_params(rq, &p->params);
        p->label = param(rq, "label");
        st = handler_tenants(s, rq, &p->job.tenants, &err);
    }
    if (st == ST_OK && run == run_label_values && !p->label.n)
        st = error_set(
            &err, ST_INVALID_ARGUMENT, __FILE__, __LINE__, "label parameter is required");
    if (st == ST_OK)
        query_pool_submit(s->queries, &p->job);
    else
        http_reply_error(rq, &err);
}

static void handle_render(struct http_request *rq, void *ctx)
{
    submit(ctx, rq, run_render);
}

static void handle_diff(struct http_request *rq, void *ctx)
{
    submit(ctx, rq, run_diff);
}

static void handle_label_values(struct http_request *rq, void *ctx)
{
    submit(ctx, rq, run_label_values);
}

static void handle_apps(struct http_request *rq, void *ctx)
{
    submit(ctx, rq, run_apps);
}

void render_http_routes(struct server *s, struct route_list *l)
{
    static const struct {
        const char *path, *name;
        http_handler_fn handler;
    } pages[] = {
        {"/pyroscope/render", "pyroscope_render", handle_render},
        {"/pyroscope/render-diff", "pyroscope_render_diff", handle_diff},
        {"/pyroscope/label-values", "pyroscope_label_values", handle_label_values},
        {"/api/v1/apps", "api_v1_apps", handle_apps},
    };
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        struct http_route r = {
            .methods = HTTP_M_GET,
            .path = pages[i].path,
            .name = pages[i].name,
            .handler = pages[i].handler,
            .ctx = s,
        };
        route_add(l, &r);
    }
}
