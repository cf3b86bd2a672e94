/* The read path: one function per question, over the parts of a store view.
 *
 *     selector → matching series → rows in range → per-part sums → name tree → shape
 *
 * Requests and answers are the messages of codec/messages.h; answers live in q->arena. No I/O and
 * no clock reads except the deadline; runs on the caller's thread. Each function validates in the
 * order of the reference (time range, max_nodes, type id, selector) and returns Connect codes:
 * ST_INVALID_ARGUMENT, ST_UNIMPLEMENTED (an option that is not built is never ignored),
 * ST_RESOURCE_EXHAUSTED (budget, with the number that would help), ST_DEADLINE_EXCEEDED,
 * ST_CANCELED, ST_OUT_OF_RANGE (a sum leaves int64). No data is never an error. */
#ifndef QUERY_QUERY_H
#define QUERY_QUERY_H

#include "codec/messages.h"
#include "store/store.h"

struct query_limits {
    int64_t max_query_lookback_ns; /* 0 = off */
    int64_t max_query_length_ns;   /* 0 = off */
    int64_t max_nodes_default, max_nodes_max;
    bool max_nodes_on_select_merge_profile;
    bool include_stripped; /* SelectSeries counts profiles of which only totals were kept */
};

struct query {
    struct store *store;
    const struct str *tenants; /* answers are their union */
    uint32_t n_tenants;
    struct arena *arena;      /* its limit is the memory budget of the query */
    int64_t deadline_mono_ns; /* 0 = none */
    const atomic_bool *gone;  /* set when the client left; may be NULL */
    int64_t now_ns;
    struct query_limits limits;
    bool utf8_names; /* the client takes label names beyond [a-zA-Z_][a-zA-Z0-9_]* */
    uint32_t checks; /* of query_alive: internal */
    size_t reserved; /* taken off arena->limit while a query runs: internal */
    size_t lent;     /* the same, by trees that do not lie in the arena: internal */
};

/* Deadline, cancellation; called in every loop, cheap. */
enum status query_alive(struct query *q, struct error *err);

enum status query_profile_types(struct query *q, const struct m_profile_types_request *rq,
    struct m_profile_types_response *rs, struct error *err);
enum status query_label_names(struct query *q, const struct m_label_names_request *rq,
    struct m_names_response *rs, struct error *err);
enum status query_label_values(struct query *q, const struct m_label_values_request *rq,
    struct m_names_response *rs, struct error *err);
enum status query_series(struct query *q, const struct m_series_request *rq,
    struct m_series_response *rs, struct error *err);
enum status query_select_merge_stacktraces(struct query *q,
    const struct m_select_merge_stacktraces_request *rq,
    struct m_select_merge_stacktraces_response *rs, struct error *err);
enum status query_select_merge_span_profile(struct query *q,
    const struct m_select_merge_span_profile_request *rq,
    struct m_select_merge_span_profile_response *rs, struct error *err);
enum status query_select_merge_profile(struct query *q,
    const struct m_select_merge_profile_request *rq, struct m_profile *rs, struct error *err);
enum status query_select_series(struct query *q, const struct m_select_series_request *rq,
    struct m_select_series_response *rs, struct error *err);
enum status query_select_heatmap(struct query *q, const struct m_select_heatmap_request *rq,
    struct m_select_heatmap_response *rs, struct error *err);
enum status query_get_profile_stats(struct query *q, const struct m_empty *rq,
    struct m_get_profile_stats_response *rs, struct error *err);
enum status query_analyze_query(struct query *q, const struct m_analyze_query_request *rq,
    struct m_empty *rs, struct error *err);
enum status query_diff(struct query *q, const struct m_diff_request *rq, struct m_diff_response *rs,
    struct error *err);

/* /pyroscope/render and /pyroscope/render-diff: decoded parameters in, JSON (or DOT) out. */
struct render_params {
    struct str query, from, until;                                                      /* render */
    struct str left_query, left_from, left_until, right_query, right_from, right_until; /* diff */
    struct str max_nodes; /* maxNodes, else max-nodes; empty = not given */
    const struct str *group_by;
    uint32_t n_group_by;
    struct str aggregation, format;
};
enum status query_render(struct query *q, const struct render_params *p, struct buf *out,
    bool *ret_is_dot, struct error *err);
enum status query_render_diff(
    struct query *q, const struct render_params *p, struct buf *out, struct error *err);

#endif
