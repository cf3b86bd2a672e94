/* pprof profiles (profile.proto): decode, check, normalise; and nothing else that reads them.
 *
 *     bytes ─pprof_decode─► struct pprof (as on the wire) ─pprof_check─► ─pprof_to_profile─►
 * profile
 *
 * Decoding is one streaming pass over the bytes; strings are views. Between the steps the ingest
 * path may repair the struct in place (old clients, Go generics). Sources: spec/ingest.md §6. */
#ifndef CODEC_PPROF_H
#define CODEC_PPROF_H

#include "codec/profile.h"

struct pprof_value_type {
    int64_t type, unit;
};
struct pprof_label {
    int64_t key, str, num, num_unit;
};
struct pprof_sample {
    uint32_t first_location, n_locations; /* of location_ids */
    uint32_t first_value, n_values;       /* of values */
    uint32_t first_label, n_labels;       /* of labels */
};
struct pprof_mapping {
    uint64_t id, start, limit, offset;
    int64_t filename, build_id;
    uint32_t flags; /* PROF_HAS_… */
};
struct pprof_line {
    uint64_t function_id;
    int64_t line;
};
struct pprof_location {
    uint64_t id, mapping_id, address;
    uint32_t first_line, n_lines;
    bool folded;
};
struct pprof_function {
    uint64_t id;
    int64_t name, system_name, filename, start_line;
};

struct pprof {
    struct pprof_value_type *sample_types;
    struct pprof_sample *samples;
    uint64_t *location_ids;
    int64_t *values;
    struct pprof_label *labels;
    struct pprof_mapping *mappings;
    struct pprof_location *locations;
    struct pprof_line *lines;
    struct pprof_function *functions;
    struct str *strings;
    uint32_t n_sample_types, n_samples, n_location_ids, n_values, n_labels, n_mappings, n_locations,
        n_lines, n_functions, n_strings;
    int64_t time_ns, duration_ns, period;
    struct pprof_value_type period_type;
    bool has_period_type;
    int64_t default_sample_type;
    uint64_t size_bytes;   /* of the protobuf */
    uint64_t sample_bytes; /* of its samples */
};

struct pprof_limits { /* 0 = off */
    uint64_t size_bytes_max, samples_max, sample_labels_max, stack_depth_max, string_bytes_max;
};

/* Raw protobuf or gzip (detected); inflated data stays below limit_bytes and goes to the arena. */
enum status pprof_decode(struct str in, uint64_t limit_bytes, struct arena *arena,
    struct pprof **ret_pprof, struct error *err);

/* Why a profile was refused: the label `reason` of the metrics. */
enum pprof_reason {
    PPROF_OK,
    PPROF_MALFORMED,     /* malformed_profile */
    PPROF_SIZE_LIMIT,    /* profile_size_limit */
    PPROF_SAMPLES_LIMIT, /* samples_limit */
    PPROF_LABELS_LIMIT,  /* sample_labels_limit */
};
/* §6.5 from "profile size" on, in that order, truncating stacks and strings in place; counts of
 * cuts are added. The messages of limits start with "the profile with labels '" + labels_text. */
enum status pprof_check(struct pprof *p, const struct pprof_limits *limits, struct str labels_text,
    struct arena *arena, enum pprof_reason *ret_reason, uint64_t *stacks_cut, uint64_t *strings_cut,
    struct error *err);

/* §6.8 and §6.9: normalised and sanitised into dense indexes. Functions, mappings and locations are
 * unified by content, so stacks that differ only in cleared addresses are already summed; what no
 * kept sample needs is not there. A profile without samples left has n_samples 0. A stack may be
 * empty. Sums saturate. Fails only for lack of memory. profile_id is read as span_id (§6.12.1). */
enum status pprof_to_profile(
    const struct pprof *p, struct arena *arena, struct profile **ret_profile, struct error *err);

/* §6.6, first part: removes [go.shape.…] groups from every string; true when any changed. */
bool pprof_strip_go_shapes(struct pprof *p, struct arena *arena);

#endif
