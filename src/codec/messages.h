/* The messages we speak, as C structs; their tables are in messages.c, the same as text in proto/
 * (a test compares them). Field names are the proto names. */
#ifndef CODEC_MESSAGES_H
#define CODEC_MESSAGES_H

#include "codec/msg.h"

/* types.v1 */
struct m_label_pair {
    struct str name, value;
};
struct m_labels {
    MSG_LIST(struct m_label_pair) labels;
};
struct m_profile_type {
    struct str ID, name, sample_type, sample_unit, period_type, period_unit;
};
struct m_annotation {
    struct str key, value;
};
struct m_exemplar {
    int64_t timestamp;
    struct str profile_id, span_id, trace_id;
    int64_t value;
    MSG_LIST(struct m_label_pair) labels;
};
struct m_point {
    double value;
    int64_t timestamp;
    MSG_LIST(struct m_annotation) annotations;
    MSG_LIST(struct m_exemplar) exemplars;
};
struct m_series {
    MSG_LIST(struct m_label_pair) labels;
    MSG_LIST(struct m_point) points;
};
struct m_heatmap_slot {
    int64_t timestamp; /* where it ends */
    MSG_LIST(double) y_min;
    MSG_LIST(int32_t) counts;
    MSG_LIST(struct m_exemplar) exemplars;
};
struct m_heatmap_series {
    MSG_LIST(struct m_label_pair) labels;
    MSG_LIST(struct m_heatmap_slot) slots;
};
struct m_get_profile_stats_response {
    bool data_ingested;
    int64_t oldest_profile_time, newest_profile_time;
};
struct m_location_name {
    struct str name;
};
struct m_go_pgo {
    uint32_t keep_locations;
    bool aggregate_callees;
};
struct m_frame_filter {
    MSG_LIST(struct str)
    includeFunctionNames, excludeFunctionNames, includeFunctionNameRegexes,
        excludeFunctionNameRegexes;
};
struct m_stack_trace_selector {
    MSG_LIST(struct m_location_name) call_site;
    struct m_go_pgo *go_pgo;
    struct m_frame_filter *frame_filter;
};
enum { M_AGGREGATION_SUM, M_AGGREGATION_AVERAGE };
enum { M_EXEMPLAR_UNSPECIFIED, M_EXEMPLAR_NONE, M_EXEMPLAR_INDIVIDUAL, M_EXEMPLAR_SPAN };

/* querier.v1 */
struct m_profile_types_request {
    int64_t start, end;
};
struct m_profile_types_response {
    MSG_LIST(struct m_profile_type) profile_types;
};
struct m_label_names_request {
    MSG_LIST(struct str) matchers;
    int64_t start, end;
};
struct m_names_response { /* LabelNamesResponse and LabelValuesResponse */
    MSG_LIST(struct str) names;
};
struct m_label_values_request {
    struct str name;
    MSG_LIST(struct str) matchers;
    int64_t start, end;
};
struct m_series_request {
    MSG_LIST(struct str) matchers, label_names;
    int64_t start, end;
};
struct m_series_response {
    MSG_LIST(struct m_labels) labels_set;
};
enum {
    M_FORMAT_UNSPECIFIED,
    M_FORMAT_FLAMEGRAPH,
    M_FORMAT_TREE,
    M_FORMAT_DOT,
    M_FORMAT_PPROF,
    M_FORMAT_FUNCTIONS = MSG_JSON_ONLY,
    M_FORMAT_SANDWICH,
};
struct m_async_request {
    struct str request_id;
    int32_t type;
};
struct m_select_merge_stacktraces_request {
    struct str profile_typeID, label_selector;
    int64_t start, end;
    int64_t max_nodes;
    bool has_max_nodes;
    int32_t format;
    struct m_stack_trace_selector *stack_trace_selector;
    MSG_LIST(struct str) profile_id_selector;
    struct m_async_request *async;
    MSG_LIST(struct str) trace_id_selector, span_selector;
    struct str sandwich_function;
};
struct m_level {
    MSG_LIST(int64_t) values;
};
struct m_flamegraph {
    MSG_LIST(struct str) names;
    MSG_LIST(struct m_level) levels;
    int64_t total, max_self;
};
struct m_profile; /* google.v1.Profile, below */
struct m_pprof_profile {
    struct m_profile *profile;
};
struct m_function {
    struct str name;
    int64_t self, total;
};
struct m_function_table {
    MSG_LIST(struct m_function) functions;
    int64_t total;
};
struct m_select_merge_stacktraces_response {
    struct m_flamegraph *flamegraph;
    struct str tree;
    struct str dot;
    struct m_pprof_profile *pprof;
    struct m_function_table *functions;
    struct str sandwich; /* JSON text */
};
struct m_select_merge_span_profile_request {
    struct str profile_typeID, label_selector;
    MSG_LIST(struct str) span_selector;
    int64_t start, end;
    int64_t max_nodes;
    bool has_max_nodes;
    int32_t format;
};
struct m_select_merge_span_profile_response {
    struct m_flamegraph *flamegraph;
    struct str tree;
};
struct m_select_merge_profile_request {
    struct str profile_typeID, label_selector;
    int64_t start, end;
    int64_t max_nodes;
    bool has_max_nodes;
    struct m_stack_trace_selector *stack_trace_selector;
    MSG_LIST(struct str) profile_id_selector, trace_id_selector;
};
struct m_select_series_request {
    struct str profile_typeID, label_selector;
    int64_t start, end;
    MSG_LIST(struct str) group_by;
    double step;
    int32_t aggregation;
    bool has_aggregation;
    struct m_stack_trace_selector *stack_trace_selector;
    int64_t limit;
    bool has_limit;
    int32_t exemplar_type;
};
struct m_select_series_response {
    MSG_LIST(struct m_series) series;
};
enum { M_HEATMAP_UNSPECIFIED, M_HEATMAP_INDIVIDUAL, M_HEATMAP_SPAN };
struct m_select_heatmap_request {
    struct str profile_typeID, label_selector;
    int64_t start, end;
    double step;
    MSG_LIST(struct str) group_by;
    int32_t query_type, exemplar_type;
    int64_t limit;
    bool has_limit;
};
struct m_select_heatmap_response {
    MSG_LIST(struct m_heatmap_series) series;
};
struct m_analyze_query_request {
    int64_t start, end;
    struct str query;
};
struct m_diff_request {
    struct m_select_merge_stacktraces_request *left, *right;
    int32_t format;
    int64_t max_nodes;
};
struct m_flamegraph_diff {
    MSG_LIST(struct str) names;
    MSG_LIST(struct m_level) levels;
    int64_t total, max_self, leftTicks, rightTicks;
};
struct m_function_diff {
    struct str name;
    int64_t left_self, left_total, right_self, right_total;
};
struct m_function_diff_table {
    MSG_LIST(struct m_function_diff) functions;
    int64_t left_total, right_total;
};
struct m_diff_response {
    struct m_flamegraph_diff *flamegraph;
    struct m_function_diff_table *functions;
};

/* google.v1.Profile = pprof */
struct m_value_type {
    int64_t type, unit;
};
struct m_pprof_label {
    int64_t key, str, num, num_unit;
};
struct m_pprof_sample {
    MSG_LIST(uint64_t) location_id;
    MSG_LIST(int64_t) value;
    MSG_LIST(struct m_pprof_label) label;
};
struct m_pprof_mapping {
    uint64_t id, memory_start, memory_limit, file_offset;
    int64_t filename, build_id;
    bool has_functions, has_filenames, has_line_numbers, has_inline_frames;
};
struct m_pprof_line {
    uint64_t function_id;
    int64_t line;
};
struct m_pprof_location {
    uint64_t id, mapping_id, address;
    MSG_LIST(struct m_pprof_line) line;
    bool is_folded;
};
struct m_pprof_function {
    uint64_t id;
    int64_t name, system_name, filename, start_line;
};
struct m_profile {
    MSG_LIST(struct m_value_type) sample_type;
    MSG_LIST(struct m_pprof_sample) sample;
    MSG_LIST(struct m_pprof_mapping) mapping;
    MSG_LIST(struct m_pprof_location) location;
    MSG_LIST(struct m_pprof_function) function;
    MSG_LIST(struct str) string_table;
    int64_t drop_frames, keep_frames, time_nanos, duration_nanos;
    struct m_value_type *period_type;
    int64_t period;
    MSG_LIST(int64_t) comment;
    int64_t default_sample_type;
};

/* push.v1 */
struct m_raw_sample {
    struct str raw_profile, ID;
};
struct m_raw_series {
    MSG_LIST(struct m_label_pair) labels;
    MSG_LIST(struct m_raw_sample) samples;
    MSG_LIST(struct m_annotation) annotations; /* ignored */
};
struct m_push_request {
    MSG_LIST(struct m_raw_series) series;
};
struct m_empty {
    char none;
};

extern const struct msg_desc m_label_pair_desc, m_profile_types_request_desc,
    m_profile_types_response_desc, m_label_names_request_desc, m_names_response_desc,
    m_label_values_request_desc, m_label_values_response_desc, m_series_request_desc,
    m_series_response_desc, m_select_merge_stacktraces_request_desc,
    m_select_merge_stacktraces_response_desc, m_select_merge_span_profile_request_desc,
    m_select_merge_span_profile_response_desc, m_select_merge_profile_request_desc, m_profile_desc,
    m_select_series_request_desc, m_select_series_response_desc, m_select_heatmap_request_desc,
    m_select_heatmap_response_desc, m_get_profile_stats_request_desc,
    m_get_profile_stats_response_desc, m_analyze_query_request_desc, m_analyze_query_response_desc,
    m_diff_request_desc, m_diff_response_desc, m_push_request_desc, m_empty_desc;

#endif
