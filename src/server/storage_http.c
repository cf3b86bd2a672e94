/* GET /api/everflame/v1/storage: what is stored and how long the disk lasts, as JSON. The adding up
 * is store/usage.h; docs/operating.md says what the members mean.
 *
 *     by=service,type   a row per combination of tenant, service, type, level, day; default service
 *     n=20              so many rows, the largest; the rest is `other`
 *     tenant=a          only this tenant's blocks
 *
 * With multi-tenancy a request sees the blocks of its own tenants and nothing of files and the
 * disk, which are all tenants'. It is a query: it waits its turn, and ends by deadline, budget or
 * when the client leaves. */
#include "server/server_int.h"
#include "store/usage.h"

enum { ANSWER_BYTES_MAX = 64 << 20, ROWS_DEFAULT = 20, ROWS_MAX = 10000 };

struct storage_job {
    struct query_job job; /* first */
    struct usage_question question;
};

static enum status is_alive(void *ctx, struct error *err)
{
    return query_alive(ctx, err);
}

static enum status run_storage(struct query_job *job, struct query *q, struct error *err)
{
    struct usage_question *uq = &((struct storage_job *)job)->question;
    struct http_response rs = {.status = 200, .content_type = STR("application/json")};
    struct usage u;
    uq->arena = q->arena;
    uq->now_ns = q->now_ns;
    uq->alive = is_alive;
    uq->ctx = q;
    TRY(store_usage(q->store, uq, &u, err));
    buf_init(&rs.body, ANSWER_BYTES_MAX);
    usage_json(&u, uq, &rs.body);
    http_reply(job->rq, &rs);
    return ST_OK;
}

static void fail_storage(struct query_job *job, const struct error *err)
{
    handler_log_failure(job->rq, err);
    http_reply_error(job->rq, err);
}

/* Whose blocks: those of all where there is no multi-tenancy. */
static enum status read_tenant(
    const struct server *s, struct http_request *rq, struct storage_job *j, struct error *err)
{
    struct str *one = ARENA_NEW(&rq->arena, struct str);
    struct tenant_list *own = &j->job.tenants;
    bool mine = !s->config->multitenancy_enabled;
    if (!one)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory");
    if (!http_query_get(rq, STR("tenant"), one) || one->n == 0) {
        j->question.tenants = mine ? NULL : own->v;
        j->question.n_tenants = mine ? 0 : own->n;
        return ST_OK;
    }
    for (uint32_t i = 0; i < own->n; i++)
        mine |= str_eq(own->v[i], *one);
    if (!mine)
        FAIL(err, ST_PERMISSION_DENIED, "tenant %.*s is not one of X-Scope-OrgID", STR_ARG(*one));
    j->question.tenants = one;
    j->question.n_tenants = 1;
    return ST_OK;
}

static enum status read_question(
    struct server *s, struct http_request *rq, struct storage_job *j, struct error *err)
{
    struct str text;
    uint64_t n = ROWS_DEFAULT;
    j->question.by = 1u << USAGE_SERVICE;
    TRY(handler_tenants(s, rq, &j->job.tenants, err));
    TRY(read_tenant(s, rq, j, err));
    if (http_query_get(rq, STR("by"), &text) && text.n)
        TRY(usage_by_parse(text, &j->question.by, err));
    if (http_query_get(rq, STR("n"), &text) && (!str_to_u64(text, &n) || n > ROWS_MAX))
        FAIL(err, ST_INVALID_ARGUMENT, "n is a number of rows up to %d", ROWS_MAX);
    j->question.rows_max = (uint32_t)n;
    return ST_OK;
}

static void handle_storage(struct http_request *rq, void *ctx)
{
    struct server *s = ctx;
    struct error err = {0};
    struct storage_job *j = ARENA_NEW(&rq->arena, struct storage_job);
    enum status st = j ? ST_OK
                       : error_set(&err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__, "no memory");
    if (st == ST_OK) {
        j->job = (struct query_job){
            .rq = rq, .name = "storage", .run = run_storage, .fail = fail_storage};
        st = read_question(s, rq, j, &err);
    }
    if (st == ST_OK)
        query_pool_submit(s->queries, &j->job);
    else
        http_reply_error(rq, &err);
}

void storage_http_routes(struct server *s, struct route_list *l)
{
    const struct http_route r = {
        .methods = HTTP_M_GET,
        .path = "/api/everflame/v1/storage",
        .name = "storage",
        .handler = handle_storage,
        .ctx = s,
    };
    route_add(l, &r);
}
