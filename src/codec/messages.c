/* The tables of messages.h: one row per field, by rising number.
 *
 * The macros (msg_table.h) check that the C type of a field fits its kind. JSON names and numbers
 * are compared with the texts in proto/ by a unit test. Everything is constant. */
#include "codec/messages.h"

#include "codec/msg_table.h"

/* ── types.v1 ── */

static const char *const aggregation_names[] = {
    "TIME_SERIES_AGGREGATION_TYPE_SUM", "TIME_SERIES_AGGREGATION_TYPE_AVERAGE"};
static const struct msg_enum aggregation = {.name = "types.v1.TimeSeriesAggregationType",
    .names = aggregation_names,
    .n = ARRAY_LEN(aggregation_names)};

static const char *const exemplar_names[] = {"EXEMPLAR_TYPE_UNSPECIFIED", "EXEMPLAR_TYPE_NONE",
    "EXEMPLAR_TYPE_INDIVIDUAL", "EXEMPLAR_TYPE_SPAN"};
static const struct msg_enum exemplar = {
    .name = "types.v1.ExemplarType", .names = exemplar_names, .n = ARRAY_LEN(exemplar_names)};

static const struct msg_field m_label_pair_fields[] = {
    ONE(m_label_pair, name, "name", 1, STRING),
    ONE(m_label_pair, value, "value", 2, STRING),
};
DESC(m_label_pair, "types.v1.LabelPair");

static const struct msg_field m_labels_fields[] = {
    SUBS(m_labels, labels, "labels", 1, m_label_pair),
};
static DESC(m_labels, "types.v1.Labels");

static const struct msg_field m_profile_type_fields[] = {
    ONE(m_profile_type, ID, "ID", 1, STRING),
    ONE(m_profile_type, name, "name", 2, STRING),
    ONE(m_profile_type, sample_type, "sampleType", 4, STRING),
    ONE(m_profile_type, sample_unit, "sampleUnit", 5, STRING),
    ONE(m_profile_type, period_type, "periodType", 6, STRING),
    ONE(m_profile_type, period_unit, "periodUnit", 7, STRING),
};
static DESC(m_profile_type, "types.v1.ProfileType");

static const struct msg_field m_annotation_fields[] = {
    ONE(m_annotation, key, "key", 1, STRING),
    ONE(m_annotation, value, "value", 2, STRING),
};
static DESC(m_annotation, "types.v1.ProfileAnnotation");

static const struct msg_field m_exemplar_fields[] = {
    ONE(m_exemplar, timestamp, "timestamp", 1, INT64),
    ONE(m_exemplar, profile_id, "profileId", 2, STRING),
    ONE(m_exemplar, span_id, "spanId", 3, STRING),
    ONE(m_exemplar, value, "value", 4, INT64),
    SUBS(m_exemplar, labels, "labels", 5, m_label_pair),
    ONE(m_exemplar, trace_id, "traceId", 6, STRING),
};
static DESC(m_exemplar, "types.v1.Exemplar");

static const struct msg_field m_point_fields[] = {
    ONE(m_point, value, "value", 1, DOUBLE),
    ONE(m_point, timestamp, "timestamp", 2, INT64),
    SUBS(m_point, annotations, "annotations", 3, m_annotation),
    SUBS(m_point, exemplars, "exemplars", 4, m_exemplar),
};
static DESC(m_point, "types.v1.Point");

static const struct msg_field m_series_fields[] = {
    SUBS(m_series, labels, "labels", 1, m_label_pair),
    SUBS(m_series, points, "points", 2, m_point),
};
static DESC(m_series, "types.v1.Series");

static const struct msg_field m_heatmap_slot_fields[] = {
    ONE(m_heatmap_slot, timestamp, "timestamp", 1, INT64),
    MANY(m_heatmap_slot, y_min, "yMin", 2, DOUBLE),
    MANY(m_heatmap_slot, counts, "counts", 3, INT32),
    SUBS(m_heatmap_slot, exemplars, "exemplars", 4, m_exemplar),
};
static DESC(m_heatmap_slot, "types.v1.HeatmapSlot");

static const struct msg_field m_heatmap_series_fields[] = {
    SUBS(m_heatmap_series, labels, "labels", 1, m_label_pair),
    SUBS(m_heatmap_series, slots, "slots", 2, m_heatmap_slot),
};
static DESC(m_heatmap_series, "types.v1.HeatmapSeries");

const struct msg_desc m_get_profile_stats_request_desc = {
    "types.v1.GetProfileStatsRequest", sizeof(struct m_empty), NULL, 0};

#define PROFILE_STATS m_get_profile_stats_response
static const struct msg_field m_get_profile_stats_response_fields[] = {
    ONE(PROFILE_STATS, data_ingested, "dataIngested", 1, BOOL),
    ONE(PROFILE_STATS, oldest_profile_time, "oldestProfileTime", 2, INT64),
    ONE(PROFILE_STATS, newest_profile_time, "newestProfileTime", 3, INT64),
};
DESC(m_get_profile_stats_response, "types.v1.GetProfileStatsResponse");

static const struct msg_field m_location_name_fields[] = {
    ONE(m_location_name, name, "name", 1, STRING),
};
static DESC(m_location_name, "types.v1.Location");

static const struct msg_field m_go_pgo_fields[] = {
    ONE(m_go_pgo, keep_locations, "keepLocations", 1, UINT32),
    ONE(m_go_pgo, aggregate_callees, "aggregateCallees", 2, BOOL),
};
static DESC(m_go_pgo, "types.v1.GoPGO");

static const struct msg_field m_frame_filter_fields[] = {
    MANY(m_frame_filter, includeFunctionNames, "includeFunctionNames", 1, STRING),
    MANY(m_frame_filter, excludeFunctionNames, "excludeFunctionNames", 2, STRING),
    MANY(m_frame_filter, includeFunctionNameRegexes, "includeFunctionNameRegexes", 3, STRING),
    MANY(m_frame_filter, excludeFunctionNameRegexes, "excludeFunctionNameRegexes", 4, STRING),
};
static DESC(m_frame_filter, "types.v1.StackFrameFilter");

static const struct msg_field m_stack_trace_selector_fields[] = {
    SUBS(m_stack_trace_selector, call_site, "callSite", 1, m_location_name),
    SUB(m_stack_trace_selector, go_pgo, "goPgo", 2, m_go_pgo),
    SUB(m_stack_trace_selector, frame_filter, "frameFilter", 3, m_frame_filter),
};
static DESC(m_stack_trace_selector, "types.v1.StackTraceSelector");

static const struct msg_field m_label_names_request_fields[] = {
    MANY(m_label_names_request, matchers, "matchers", 1, STRING),
    ONE(m_label_names_request, start, "start", 2, INT64),
    ONE(m_label_names_request, end, "end", 3, INT64),
};
DESC(m_label_names_request, "types.v1.LabelNamesRequest");

static const struct msg_field m_names_response_fields[] = {
    MANY(m_names_response, names, "names", 1, STRING),
};
DESC(m_names_response, "types.v1.LabelNamesResponse");
DESC_LIKE(m_label_values_response, m_names_response, "types.v1.LabelValuesResponse");

static const struct msg_field m_label_values_request_fields[] = {
    ONE(m_label_values_request, name, "name", 1, STRING),
    MANY(m_label_values_request, matchers, "matchers", 2, STRING),
    ONE(m_label_values_request, start, "start", 3, INT64),
    ONE(m_label_values_request, end, "end", 4, INT64),
};
DESC(m_label_values_request, "types.v1.LabelValuesRequest");

/* ── google.v1.Profile ── */

static const struct msg_field m_value_type_fields[] = {
    ONE(m_value_type, type, "type", 1, INT64),
    ONE(m_value_type, unit, "unit", 2, INT64),
};
static DESC(m_value_type, "google.v1.ValueType");

static const struct msg_field m_pprof_label_fields[] = {
    ONE(m_pprof_label, key, "key", 1, INT64),
    ONE(m_pprof_label, str, "str", 2, INT64),
    ONE(m_pprof_label, num, "num", 3, INT64),
    ONE(m_pprof_label, num_unit, "numUnit", 4, INT64),
};
static DESC(m_pprof_label, "google.v1.Label");

static const struct msg_field m_pprof_sample_fields[] = {
    MANY(m_pprof_sample, location_id, "locationId", 1, UINT64),
    MANY(m_pprof_sample, value, "value", 2, INT64),
    SUBS(m_pprof_sample, label, "label", 3, m_pprof_label),
};
static DESC(m_pprof_sample, "google.v1.Sample");

static const struct msg_field m_pprof_mapping_fields[] = {
    ONE(m_pprof_mapping, id, "id", 1, UINT64),
    ONE(m_pprof_mapping, memory_start, "memoryStart", 2, UINT64),
    ONE(m_pprof_mapping, memory_limit, "memoryLimit", 3, UINT64),
    ONE(m_pprof_mapping, file_offset, "fileOffset", 4, UINT64),
    ONE(m_pprof_mapping, filename, "filename", 5, INT64),
    ONE(m_pprof_mapping, build_id, "buildId", 6, INT64),
    ONE(m_pprof_mapping, has_functions, "hasFunctions", 7, BOOL),
    ONE(m_pprof_mapping, has_filenames, "hasFilenames", 8, BOOL),
    ONE(m_pprof_mapping, has_line_numbers, "hasLineNumbers", 9, BOOL),
    ONE(m_pprof_mapping, has_inline_frames, "hasInlineFrames", 10, BOOL),
};
static DESC(m_pprof_mapping, "google.v1.Mapping");

static const struct msg_field m_pprof_line_fields[] = {
    ONE(m_pprof_line, function_id, "functionId", 1, UINT64),
    ONE(m_pprof_line, line, "line", 2, INT64),
};
static DESC(m_pprof_line, "google.v1.Line");

static const struct msg_field m_pprof_location_fields[] = {
    ONE(m_pprof_location, id, "id", 1, UINT64),
    ONE(m_pprof_location, mapping_id, "mappingId", 2, UINT64),
    ONE(m_pprof_location, address, "address", 3, UINT64),
    SUBS(m_pprof_location, line, "line", 4, m_pprof_line),
    ONE(m_pprof_location, is_folded, "isFolded", 5, BOOL),
};
static DESC(m_pprof_location, "google.v1.Location");

static const struct msg_field m_pprof_function_fields[] = {
    ONE(m_pprof_function, id, "id", 1, UINT64),
    ONE(m_pprof_function, name, "name", 2, INT64),
    ONE(m_pprof_function, system_name, "systemName", 3, INT64),
    ONE(m_pprof_function, filename, "filename", 4, INT64),
    ONE(m_pprof_function, start_line, "startLine", 5, INT64),
};
static DESC(m_pprof_function, "google.v1.Function");

static const struct msg_field m_profile_fields[] = {
    SUBS(m_profile, sample_type, "sampleType", 1, m_value_type),
    SUBS(m_profile, sample, "sample", 2, m_pprof_sample),
    SUBS(m_profile, mapping, "mapping", 3, m_pprof_mapping),
    SUBS(m_profile, location, "location", 4, m_pprof_location),
    SUBS(m_profile, function, "function", 5, m_pprof_function),
    MANY(m_profile, string_table, "stringTable", 6, STRING),
    ONE(m_profile, drop_frames, "dropFrames", 7, INT64),
    ONE(m_profile, keep_frames, "keepFrames", 8, INT64),
    ONE(m_profile, time_nanos, "timeNanos", 9, INT64),
    ONE(m_profile, duration_nanos, "durationNanos", 10, INT64),
    SUB(m_profile, period_type, "periodType", 11, m_value_type),
    ONE(m_profile, period, "period", 12, INT64),
    MANY(m_profile, comment, "comment", 13, INT64),
    ONE(m_profile, default_sample_type, "defaultSampleType", 14, INT64),
};
DESC(m_profile, "google.v1.Profile");

/* ── querier.v1 ── */

static const char *const format_names[] = {"PROFILE_FORMAT_UNSPECIFIED",
    "PROFILE_FORMAT_FLAMEGRAPH", "PROFILE_FORMAT_TREE", "PROFILE_FORMAT_DOT",
    "PROFILE_FORMAT_PPROF"};
static const char *const format_json_names[] = {
    "PROFILE_FORMAT_FUNCTIONS", "PROFILE_FORMAT_SANDWICH"};
static const struct msg_enum profile_format = {.name = "querier.v1.ProfileFormat",
    .names = format_names,
    .n = ARRAY_LEN(format_names),
    .json_names = format_json_names,
    .n_json = ARRAY_LEN(format_json_names)};

static const char *const async_names[] = {"ASYNC_QUERY_TYPE_DISABLED", "ASYNC_QUERY_TYPE_FORCE"};
static const struct msg_enum async_type = {
    .name = "querier.v1.AsyncQueryType", .names = async_names, .n = ARRAY_LEN(async_names)};

static const struct msg_field m_profile_types_request_fields[] = {
    ONE(m_profile_types_request, start, "start", 1, INT64),
    ONE(m_profile_types_request, end, "end", 2, INT64),
};
DESC(m_profile_types_request, "querier.v1.ProfileTypesRequest");

static const struct msg_field m_profile_types_response_fields[] = {
    SUBS(m_profile_types_response, profile_types, "profileTypes", 1, m_profile_type),
};
DESC(m_profile_types_response, "querier.v1.ProfileTypesResponse");

static const struct msg_field m_series_request_fields[] = {
    MANY(m_series_request, matchers, "matchers", 1, STRING),
    MANY(m_series_request, label_names, "labelNames", 2, STRING),
    ONE(m_series_request, start, "start", 3, INT64),
    ONE(m_series_request, end, "end", 4, INT64),
};
DESC(m_series_request, "querier.v1.SeriesRequest");

static const struct msg_field m_series_response_fields[] = {
    SUBS(m_series_response, labels_set, "labelsSet", 2, m_labels),
};
DESC(m_series_response, "querier.v1.SeriesResponse");

static const struct msg_field m_async_request_fields[] = {
    ONE(m_async_request, request_id, "requestId", 1, STRING),
    ENUM(m_async_request, type, "type", 2, async_type),
};
static DESC(m_async_request, "querier.v1.AsyncQueryRequest");

#define STACKTRACES m_select_merge_stacktraces_request
static const struct msg_field m_select_merge_stacktraces_request_fields[] = {
    ONE(STACKTRACES, profile_typeID, "profileTypeID", 1, STRING),
    ONE(STACKTRACES, label_selector, "labelSelector", 2, STRING),
    ONE(STACKTRACES, start, "start", 3, INT64),
    ONE(STACKTRACES, end, "end", 4, INT64),
    OPTIONAL(STACKTRACES, max_nodes, "maxNodes", 5, INT64),
    ENUM(STACKTRACES, format, "format", 6, profile_format),
    SUB(STACKTRACES, stack_trace_selector, "stackTraceSelector", 7, m_stack_trace_selector),
    MANY(STACKTRACES, profile_id_selector, "profileIdSelector", 8, STRING),
    SUB(STACKTRACES, async, "async", 9, m_async_request),
    MANY(STACKTRACES, trace_id_selector, "traceIdSelector", 10, STRING),
    MANY(STACKTRACES, span_selector, "spanSelector", 11, STRING),
    ONE(STACKTRACES, sandwich_function, "sandwichFunction", MSG_JSON_ONLY, STRING),
};
DESC(m_select_merge_stacktraces_request, "querier.v1.SelectMergeStacktracesRequest");

static const struct msg_field m_level_fields[] = {
    MANY(m_level, values, "values", 1, INT64),
};
static DESC(m_level, "querier.v1.Level");

static const struct msg_field m_flamegraph_fields[] = {
    MANY(m_flamegraph, names, "names", 1, STRING),
    SUBS(m_flamegraph, levels, "levels", 2, m_level),
    ONE(m_flamegraph, total, "total", 3, INT64),
    ONE(m_flamegraph, max_self, "maxSelf", 4, INT64),
};
static DESC(m_flamegraph, "querier.v1.FlameGraph");

static const struct msg_field m_pprof_profile_fields[] = {
    SUB(m_pprof_profile, profile, "profile", 1, m_profile),
};
static DESC(m_pprof_profile, "querier.v1.PprofProfile");

static const struct msg_field m_function_fields[] = {
    ONE(m_function, name, "name", MSG_JSON_ONLY, STRING),
    ONE(m_function, self, "self", MSG_JSON_ONLY + 1, INT64),
    ONE(m_function, total, "total", MSG_JSON_ONLY + 2, INT64),
};
static DESC(m_function, "querier.v1.Function");

static const struct msg_field m_function_table_fields[] = {
    SUBS(m_function_table, functions, "functions", MSG_JSON_ONLY, m_function),
    ONE(m_function_table, total, "total", MSG_JSON_ONLY + 1, INT64),
};
static DESC(m_function_table, "querier.v1.FunctionTable");

#define STACKTRACES_RESPONSE m_select_merge_stacktraces_response
static const struct msg_field m_select_merge_stacktraces_response_fields[] = {
    SUB(STACKTRACES_RESPONSE, flamegraph, "flamegraph", 1, m_flamegraph),
    ONE(STACKTRACES_RESPONSE, tree, "tree", 2, BYTES),
    ONE(STACKTRACES_RESPONSE, dot, "dot", 3, STRING),
    SUB(STACKTRACES_RESPONSE, pprof, "pprof", 5, m_pprof_profile),
    SUB(STACKTRACES_RESPONSE, functions, "functions", MSG_JSON_ONLY, m_function_table),
    ONE(STACKTRACES_RESPONSE, sandwich, "sandwich", MSG_JSON_ONLY + 1, JSON),
};
DESC(m_select_merge_stacktraces_response, "querier.v1.SelectMergeStacktracesResponse");

#define SPAN_PROFILE m_select_merge_span_profile_request
static const struct msg_field m_select_merge_span_profile_request_fields[] = {
    ONE(SPAN_PROFILE, profile_typeID, "profileTypeID", 1, STRING),
    ONE(SPAN_PROFILE, label_selector, "labelSelector", 2, STRING),
    MANY(SPAN_PROFILE, span_selector, "spanSelector", 3, STRING),
    ONE(SPAN_PROFILE, start, "start", 4, INT64),
    ONE(SPAN_PROFILE, end, "end", 5, INT64),
    OPTIONAL(SPAN_PROFILE, max_nodes, "maxNodes", 6, INT64),
    ENUM(SPAN_PROFILE, format, "format", 7, profile_format),
};
DESC(m_select_merge_span_profile_request, "querier.v1.SelectMergeSpanProfileRequest");

static const struct msg_field m_select_merge_span_profile_response_fields[] = {
    SUB(m_select_merge_span_profile_response, flamegraph, "flamegraph", 1, m_flamegraph),
    ONE(m_select_merge_span_profile_response, tree, "tree", 2, BYTES),
};
DESC(m_select_merge_span_profile_response, "querier.v1.SelectMergeSpanProfileResponse");

#define MERGE_PROFILE m_select_merge_profile_request
static const struct msg_field m_select_merge_profile_request_fields[] = {
    ONE(MERGE_PROFILE, profile_typeID, "profileTypeID", 1, STRING),
    ONE(MERGE_PROFILE, label_selector, "labelSelector", 2, STRING),
    ONE(MERGE_PROFILE, start, "start", 3, INT64),
    ONE(MERGE_PROFILE, end, "end", 4, INT64),
    OPTIONAL(MERGE_PROFILE, max_nodes, "maxNodes", 5, INT64),
    SUB(MERGE_PROFILE, stack_trace_selector, "stackTraceSelector", 6, m_stack_trace_selector),
    MANY(MERGE_PROFILE, profile_id_selector, "profileIdSelector", 7, STRING),
    MANY(MERGE_PROFILE, trace_id_selector, "traceIdSelector", 8, STRING),
};
DESC(m_select_merge_profile_request, "querier.v1.SelectMergeProfileRequest");

#define SERIES m_select_series_request
static const struct msg_field m_select_series_request_fields[] = {
    ONE(SERIES, profile_typeID, "profileTypeID", 1, STRING),
    ONE(SERIES, label_selector, "labelSelector", 2, STRING),
    ONE(SERIES, start, "start", 3, INT64),
    ONE(SERIES, end, "end", 4, INT64),
    MANY(SERIES, group_by, "groupBy", 5, STRING),
    ONE(SERIES, step, "step", 6, DOUBLE),
    OPTIONAL_ENUM(SERIES, aggregation, "aggregation", 7, aggregation),
    SUB(SERIES, stack_trace_selector, "stackTraceSelector", 8, m_stack_trace_selector),
    OPTIONAL(SERIES, limit, "limit", 9, INT64),
    ENUM(SERIES, exemplar_type, "exemplarType", 10, exemplar),
};
DESC(m_select_series_request, "querier.v1.SelectSeriesRequest");

static const struct msg_field m_select_series_response_fields[] = {
    SUBS(m_select_series_response, series, "series", 1, m_series),
};
DESC(m_select_series_response, "querier.v1.SelectSeriesResponse");

static const char *const heatmap_names[] = {
    "HEATMAP_QUERY_TYPE_UNSPECIFIED", "HEATMAP_QUERY_TYPE_INDIVIDUAL", "HEATMAP_QUERY_TYPE_SPAN"};
static const struct msg_enum heatmap_type = {
    .name = "querier.v1.HeatmapQueryType", .names = heatmap_names, .n = ARRAY_LEN(heatmap_names)};

#define HEATMAP m_select_heatmap_request
static const struct msg_field m_select_heatmap_request_fields[] = {
    ONE(HEATMAP, profile_typeID, "profileTypeID", 1, STRING),
    ONE(HEATMAP, label_selector, "labelSelector", 2, STRING),
    ONE(HEATMAP, start, "start", 3, INT64),
    ONE(HEATMAP, end, "end", 4, INT64),
    ONE(HEATMAP, step, "step", 5, DOUBLE),
    MANY(HEATMAP, group_by, "groupBy", 6, STRING),
    ENUM(HEATMAP, query_type, "queryType", 7, heatmap_type),
    ENUM(HEATMAP, exemplar_type, "exemplarType", 8, exemplar),
    OPTIONAL(HEATMAP, limit, "limit", 9, INT64),
};
DESC(m_select_heatmap_request, "querier.v1.SelectHeatmapRequest");

static const struct msg_field m_select_heatmap_response_fields[] = {
    SUBS(m_select_heatmap_response, series, "series", 1, m_heatmap_series),
};
DESC(m_select_heatmap_response, "querier.v1.SelectHeatmapResponse");

static const struct msg_field m_analyze_query_request_fields[] = {
    ONE(m_analyze_query_request, start, "start", 2, INT64),
    ONE(m_analyze_query_request, end, "end", 3, INT64),
    ONE(m_analyze_query_request, query, "query", 4, STRING),
};
DESC(m_analyze_query_request, "querier.v1.AnalyzeQueryRequest");

const struct msg_desc m_analyze_query_response_desc = {
    "querier.v1.AnalyzeQueryResponse", sizeof(struct m_empty), NULL, 0};

static const struct msg_field m_diff_request_fields[] = {
    SUB(m_diff_request, left, "left", 1, m_select_merge_stacktraces_request),
    SUB(m_diff_request, right, "right", 2, m_select_merge_stacktraces_request),
    ENUM(m_diff_request, format, "format", MSG_JSON_ONLY, profile_format),
    ONE(m_diff_request, max_nodes, "maxNodes", MSG_JSON_ONLY + 1, INT64),
};
DESC(m_diff_request, "querier.v1.DiffRequest");

static const struct msg_field m_flamegraph_diff_fields[] = {
    MANY(m_flamegraph_diff, names, "names", 1, STRING),
    SUBS(m_flamegraph_diff, levels, "levels", 2, m_level),
    ONE(m_flamegraph_diff, total, "total", 3, INT64),
    ONE(m_flamegraph_diff, max_self, "maxSelf", 4, INT64),
    ONE(m_flamegraph_diff, leftTicks, "leftTicks", 5, INT64),
    ONE(m_flamegraph_diff, rightTicks, "rightTicks", 6, INT64),
};
static DESC(m_flamegraph_diff, "querier.v1.FlameGraphDiff");

static const struct msg_field m_function_diff_fields[] = {
    ONE(m_function_diff, name, "name", MSG_JSON_ONLY, STRING),
    ONE(m_function_diff, left_self, "leftSelf", MSG_JSON_ONLY + 1, INT64),
    ONE(m_function_diff, left_total, "leftTotal", MSG_JSON_ONLY + 2, INT64),
    ONE(m_function_diff, right_self, "rightSelf", MSG_JSON_ONLY + 3, INT64),
    ONE(m_function_diff, right_total, "rightTotal", MSG_JSON_ONLY + 4, INT64),
};
static DESC(m_function_diff, "querier.v1.FunctionDiff");

static const struct msg_field m_function_diff_table_fields[] = {
    SUBS(m_function_diff_table, functions, "functions", MSG_JSON_ONLY, m_function_diff),
    ONE(m_function_diff_table, left_total, "leftTotal", MSG_JSON_ONLY + 1, INT64),
    ONE(m_function_diff_table, right_total, "rightTotal", MSG_JSON_ONLY + 2, INT64),
};
static DESC(m_function_diff_table, "querier.v1.FunctionDiffTable");

static const struct msg_field m_diff_response_fields[] = {
    SUB(m_diff_response, flamegraph, "flamegraph", 1, m_flamegraph_diff),
    SUB(m_diff_response, functions, "functions", MSG_JSON_ONLY, m_function_diff_table),
};
DESC(m_diff_response, "querier.v1.DiffResponse");

/* ── push.v1 ── */

static const struct msg_field m_raw_sample_fields[] = {
    ONE(m_raw_sample, raw_profile, "rawProfile", 1, BYTES),
    ONE(m_raw_sample, ID, "ID", 2, STRING),
};
static DESC(m_raw_sample, "push.v1.RawSample");

static const struct msg_field m_raw_series_fields[] = {
    SUBS(m_raw_series, labels, "labels", 1, m_label_pair),
    SUBS(m_raw_series, samples, "samples", 2, m_raw_sample),
    SUBS(m_raw_series, annotations, "annotations", 3, m_annotation),
};
static DESC(m_raw_series, "push.v1.RawProfileSeries");

static const struct msg_field m_push_request_fields[] = {
    SUBS(m_push_request, series, "series", 1, m_raw_series),
};
DESC(m_push_request, "push.v1.PushRequest");

const struct msg_desc m_empty_desc = {"push.v1.PushResponse", sizeof(struct m_empty), NULL, 0};
