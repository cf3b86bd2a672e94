/* A service that does not exist: its uploads, made from a seed.
 *
 * What an upload holds depends on the seed, the service's number and the time alone, not on what
 * was made before. The figures behind it are in synth.c. One thread per service. */
#ifndef BENCH_SYNTH_H
#define BENCH_SYNTH_H

#include "store/store.h"

struct synth;

struct synth *synth_new(uint64_t seed, uint32_t service, int64_t interval_ns);
void synth_free(struct synth *y);
struct str synth_name(const struct synth *y);

/* Adds one upload of that time to the rows. All uploads since synth_clear share their symbols. */
void synth_upload(struct synth *y, int64_t time_ns);
const struct store_row *synth_rows(struct synth *y, uint32_t *ret_n);
void synth_clear(struct synth *y);

/* Sums of all values since synth_sums_clear, per profile type; zone_a: of pods in zone "a". */
struct synth_sum {
    const char *type; /* name:type:unit:period_type:period_unit */
    int64_t total, zone_a;
    uint64_t samples; /* drawn; equal ones become one when they are stored */
};
const struct synth_sum *synth_sums(const struct synth *y, uint32_t *ret_n);
void synth_sums_clear(struct synth *y);

#endif
