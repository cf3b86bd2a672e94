/* What there is at all: GetProfileStats and AnalyzeQuery.
 *
 * The first looks at the bounds of everything that the tenant has, which parts know without being
 * read. The second says nothing about the cost of a query, as the reference's newer read path: its
 * answer is empty for every question. */
#include "query/query_int.h"

enum status query_get_profile_stats(struct query *q, const struct m_empty *rq,
    struct m_get_profile_stats_response *rs, struct error *err)
{
    const struct store_view *view;
    int64_t oldest = INT64_MAX, newest = INT64_MIN;
    (void)rq;
    if (q->n_tenants != 1)
        FAIL(err, ST_INVALID_ARGUMENT, "the statistics are those of one tenant: name one");
    TRY(store_view_acquire(q->store, q->tenants[0], STR_EMPTY, INT64_MIN, INT64_MAX, &view, err));
    for (uint32_t i = 0; i < view->n; i++)
        for (uint32_t k = 0; k < part_n_slots(view->parts[i]); k++) {
            const struct part_slot s = part_slot(view->parts[i], k);
            oldest = MIN(oldest, s.time_min);
            newest = MAX(newest, s.time_max);
        }
    store_view_release(q->store, view);
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
