/* Java Flight Recorder (spec/ingest.md §3): bytes to profiles over one set of symbols. */
#ifndef CODEC_JFR_H
#define CODEC_JFR_H

#include "codec/profile.h"

enum { JFR_PROFILES_MAX = 9 };

struct jfr_options {
    uint32_t sample_rate;      /* Hz; period = 1e9 / rate, 0 if 0 */
    int64_t from_ns, until_ns; /* time and duration of every profile */
    uint64_t samples_max;      /* per profile, after merging; 0 = off */
    uint32_t stack_depth_max;  /* deeper stacks keep their root side; 0 = off */
};

struct jfr_profile {
    struct str name; /* __name__: process_cpu, wall, memory, mutex, block */
    struct profile profile;
};

struct jfr {
    struct jfr_profile profiles[JFR_PROFILES_MAX];
    uint32_t n;
    struct str event; /* final `event` setting; may be empty */
    uint64_t stacks_cut;
};

/* `recording` and `labels` (a LabelsSnapshot, may be empty) are already inflated and must outlive
 * the result. Nothing is allocated per sample; everything is in the arena. ST_INVALID_ARGUMENT:
 * texts of §3.11 without "parsing IngestInput-pprof failed "; ST_RESOURCE_EXHAUSTED: arena full. */
enum status jfr_decode(struct str recording, struct str labels, const struct jfr_options *opt,
    struct arena *arena, struct jfr *ret_jfr, struct error *err);

#endif
