/* The one form that every decoder ends in and the store begins with: a profile of dense indexes.
 *
 * A request has one struct prof_symbols (strings, functions, mappings, locations, stacks, label
 * sets, each once) and any number of struct profile over it. All ids are indexes into arrays; all
 * arrays and the bytes behind strings live in the request's arena or body. Nothing is shared
 * between requests, nothing is sorted unless said.
 *
 * Invariants (tests/prof_check.h asserts them; decoders guarantee them):
 *  1. strings[0] is empty; label set 0 is the empty set; every index is in range or PROF_NONE.
 *  2. A location has at least one line, or an address (unsymbolised).
 *  3. A stack is leaf first; lines of a location are innermost first (the last is the caller).
 *  4. Values are >= 0, and no sample is all zeros.
 *  5. span and trace are 0 when the sample has none; labels profile_id, span_id and trace_id never
 *     appear in a label set. */
#ifndef CODEC_PROFILE_H
#define CODEC_PROFILE_H

#include "base/arena.h"
#include "base/status.h"

#define PROF_NONE UINT32_MAX

enum prof_mapping_flags {
    PROF_HAS_FUNCTIONS = 1,
    PROF_HAS_FILENAMES = 2,
    PROF_HAS_LINE_NUMBERS = 4,
    PROF_HAS_INLINE_FRAMES = 8,
};

struct prof_function {
    uint32_t name, system_name, filename; /* strings */
    int64_t start_line;
};

struct prof_mapping {
    uint64_t start, limit, offset;
    uint32_t filename, build_id; /* strings */
    uint32_t flags;
};

struct prof_line {
    uint32_t function;
    int64_t line;
};

struct prof_location {
    uint64_t address;
    uint32_t mapping; /* or PROF_NONE */
    uint32_t first_line, n_lines;
    bool folded;
};

struct prof_stack {
    uint32_t first, n; /* of frames */
};

struct prof_label {
    uint32_t key, value; /* strings */
};

struct prof_labelset {
    uint32_t first, n; /* of labels; in the order the client's labels take precedence */
};

struct prof_symbols {
    struct str *strings;
    struct prof_function *functions;
    struct prof_mapping *mappings;
    struct prof_line *lines;
    struct prof_location *locations;
    uint32_t *frames; /* locations */
    struct prof_stack *stacks;
    struct prof_label *labels;
    struct prof_labelset *labelsets;
    uint32_t n_strings, n_functions, n_mappings, n_lines, n_locations, n_frames, n_stacks, n_labels,
        n_labelsets;
};

struct prof_sample {
    uint32_t stack, labelset;
    uint64_t span;               /* the 8 bytes of the span id, read little-endian */
    uint64_t trace_hi, trace_lo; /* big-endian halves of the 16 bytes */
};

struct prof_type {
    struct str type, unit;
};

struct profile {
    const struct prof_symbols *sym;
    struct prof_type *types;
    uint32_t n_types;
    struct prof_type period_type; /* both empty when the profile has none */
    int64_t period;
    int64_t time_ns, duration_ns; /* time 0: not set */
    struct prof_sample *samples;
    int64_t *values; /* sample i, type k: values[i * n_types + k] */
    uint32_t n_samples;
    uint64_t size_bytes;   /* uncompressed; what limits and the rate limiter count */
    uint64_t sample_bytes; /* those of it that are samples; the others are symbols */
};

#endif
