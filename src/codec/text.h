/* The text and tree formats of /ingest (spec/ingest.md §2.6, §2.8): stacks and counts. */
#ifndef CODEC_TEXT_H
#define CODEC_TEXT_H

#include "base/arena.h"
#include "base/status.h"

/* Distinct stacks, root first; frames are indexes into `names`. Counts are summed per stack; only
 * stacks with at least one frame and a positive count are kept. Names are views of the input or
 * live in the arena. */
struct text_stack {
    uint32_t first, n; /* of frames */
    int64_t value;
};
struct text_stacks {
    struct str *names;
    uint32_t *frames;
    struct text_stack *stacks;
    uint32_t n_names, n_frames, n_stacks;
};

struct text_limits {
    uint64_t name_bytes_max, children_max; /* trees only (§2.6); 0 = off */
};

enum text_format { TEXT_FOLDED, TEXT_LINES, TEXT_TRIE, TEXT_TREE };

/* ST_INVALID_ARGUMENT with the texts of the reference where the spec or probes.json has them.
 * Depth, node and memory use are bounded by the input's size and the arena. */
enum status text_decode(enum text_format format, struct str in, const struct text_limits *limits,
    struct arena *arena, struct text_stacks *ret_stacks, struct error *err);

/* `perf script`: blocks of a header line and indented frames, leaf first; the process is the root.
 * Every block counts 1. *ret_event is the first one's event, "" when it names none. */
bool perf_script_detect(struct str in);
enum status perf_script_decode(struct str in, struct arena *arena, struct text_stacks *ret_stacks,
    struct str *ret_event, struct error *err);

/* The JSON of /pyroscope/render: one flame graph of 4 numbers a bar. */
struct flamebearer {
    struct str name, units; /* as its metadata has them, or "" */
    struct text_stacks stacks;
};
enum status flamebearer_decode(
    struct str json, struct arena *arena, struct flamebearer *ret_graph, struct error *err);

struct speedscope_profile {
    struct str name, unit;
    struct text_stacks stacks; /* values: weights × precision factor (§2.8 step 3) */
    uint32_t sample_rate;      /* for the Put step of §2.6; nanoseconds are not lost */
};
/* Ordered by startValue; the stacks of all profiles share one array of names. */
enum status speedscope_decode(struct str json, uint32_t sample_rate, struct arena *arena,
    struct speedscope_profile **ret_profiles, uint32_t *ret_n, struct error *err);

#endif
