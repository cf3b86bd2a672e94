/* querier.v1.QuerierService: a table of methods over the functions of query.h.
 *
 * The decoded request waits in the query pool; its thread runs the function into an arena with the
 * query's budget and replies. Answers and errors are Connect's. */
#include "server/server_int.h"

typedef enum status (*method_fn)(struct query *q, const void *rq, void *rs, struct error *err);

/* query_x with its types taken off. */
#define METHOD_FN(x)                                                                         \
    static enum status run_##x(struct query *q, const void *rq, void *rs, struct error *err) \
    {                                                                                        \
        return query_##x(q, rq, rs, err);                                                    \
    }
METHOD_FN(profile_types)
METHOD_FN(label_names)
METHOD_FN(label_values)
METHOD_FN(series)
METHOD_FN(select_merge_stacktraces)
METHOD_FN(select_merge_span_profile)
METHOD_FN(select_merge_profile)
METHOD_FN(select_series)
METHOD_FN(select_heatmap)
METHOD_FN(diff)
METHOD_FN(get_profile_stats)
METHOD_FN(analyze_query)

struct querier_method {
    struct rpc_row rpc;
    method_fn fn;
};

#define METHOD(upper, lower, x, request, response)                                          \
    {                                                                                       \
        {"/querier.v1.QuerierService/" upper, "querier_v1_querierservice_" lower, &request, \
            &response},                                                                     \
            run_##x                                                                         \
    }
static const struct querier_method methods[] = {
    METHOD("ProfileTypes", "profiletypes", profile_types, m_profile_types_request_desc,
        m_profile_types_response_desc),
    METHOD(
        "LabelNames", "labelnames", label_names, m_label_names_request_desc, m_names_response_desc),
    METHOD("LabelValues", "labelvalues", label_values, m_label_values_request_desc,
        m_label_values_response_desc),
    METHOD("Series", "series", series, m_series_request_desc, m_series_response_desc),
    METHOD("SelectMergeStacktraces", "selectmergestacktraces", select_merge_stacktraces,
        m_select_merge_stacktraces_request_desc, m_select_merge_stacktraces_response_desc),
    METHOD("SelectMergeSpanProfile", "selectmergespanprofile", select_merge_span_profile,
        m_select_merge_span_profile_request_desc, m_select_merge_span_profile_response_desc),
    METHOD("SelectMergeProfile", "selectmergeprofile", select_merge_profile,
        m_select_merge_profile_request_desc, m_profile_desc),
    METHOD("SelectSeries", "selectseries", select_series, m_select_series_request_desc,
        m_select_series_response_desc),
    METHOD("SelectHeatmap", "selectheatmap", select_heatmap, m_select_heatmap_request_desc,
        m_select_heatmap_response_desc),
    METHOD("Diff", "diff", diff, m_diff_request_desc, m_diff_response_desc),
    METHOD("GetProfileStats", "getprofilestats", get_profile_stats,
        m_get_profile_stats_request_desc, m_get_profile_stats_response_desc),
    METHOD("AnalyzeQuery", "analyzequery", analyze_query, m_analyze_query_request_desc,
        m_analyze_query_response_desc),
};

/* In the request's arena. */
struct rpc {
    struct query_job job; /* first */
    struct connect_call *call;
    const void *request;
};

static enum status rpc_run(struct query_job *job, struct query *q, struct error *err)
{
    struct rpc *r = (struct rpc *)job;
    const struct querier_method *m = r->call->method->row;
    void *rs = arena_zalloc(q->arena, m->rpc.response->size);
    if (!rs)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for the answer");
    TRY(m->fn(q, r->request, rs, err));
    connect_reply(r->call, rs);
    return ST_OK;
}

static void rpc_fail(struct query_job *job, const struct error *err)
{
    handler_log_failure(job->rq, err);
    connect_fail(((struct rpc *)job)->call, err);
}

static void handle(struct connect_call *call, const void *request, void *ctx)
{
    struct server *s = ctx;
    struct error err = {0};
    bool utf8_names;
    if (!handler_accept(call->rq, &utf8_names))
        return;
    struct rpc *r = ARENA_NEW(call->arena, struct rpc);
    if (!r) {
        (void)error_set(&err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__, "no memory");
        connect_fail(call, &err);
        return;
    }
    *r = (struct rpc){
        .job = {.rq = call->rq,
            .name = call->method->name,
            .run = rpc_run,
            .fail = rpc_fail,
            .deadline_mono_ns = call->deadline_mono_ns,
            .utf8_names = utf8_names},
        .call = call,
        .request = request,
    };
    if (handler_tenants(s, call->rq, &r->job.tenants, &err) != ST_OK) {
        connect_fail(call, &err);
        return;
    }
    query_pool_submit(s->queries, &r->job);
}

void querier_rpc_routes(struct server *s, struct route_list *l)
{
    route_add_service(l, &(struct connect_method){.fn = handle, .ctx = s}, methods, sizeof *methods,
        ARRAY_LEN(methods));
}
