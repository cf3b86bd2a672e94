/* What there is at all: GetProfileStats and AnalyzeQuery.
 *
 * The first gives the bounds of everything that the tenant has, which the store knows without
 * reading. The second says nothing about the cost of a query, as the reference's newer read path:
 * its answer is empty for every question. */
#include "query/query_int.h"

enum status query_get_profile_stats(struct query *q, const struct m_empty *rq,
    struct m_get_profile_stats_response *rs, struct error *err)
{
    int64_t oldest, newest;
    (void)rq;
    if (q->n_tenants != 1)
        FAIL(err, ST_INVALID_ARGUMENT, "the statistics are those of one tenant: name one");
    store_bounds(q->store, q->tenants[0], &oldest, &newest);
    if (oldest > newest)
        return ST_OK;
    *rs = (struct m_get_profile_stats_response){
        true, query_ns_to_ms(oldest), query_ns_to_ms(newest)};
    return ST_OK;
}

enum status query_analyze_query(struct query *q, const struct m_analyze_query_request *rq,
    struct m_empty *rs, struct error *err)
{
    (void)q, (void)rq, (void)rs, (void)err;
    return ST_OK;
}
