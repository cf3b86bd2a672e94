/* pprof: decode, check with small limits, normalise; the result keeps the promises of profile.h.
 * Profiles that fail the check are normalised as well: sanitising must stand alone. */
#include "codec/pprof.h"
#include "../prof_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ranges(const struct pprof *p)
{
    for (uint32_t i = 0; i < p->n_samples; i++) {
        const struct pprof_sample *s = &p->samples[i];
        ASSERT((uint64_t)s->first_location + s->n_locations <= p->n_location_ids);
        ASSERT((uint64_t)s->first_value + s->n_values <= p->n_values);
        ASSERT((uint64_t)s->first_label + s->n_labels <= p->n_labels);
    }
    for (uint32_t i = 0; i < p->n_locations; i++)
        ASSERT((uint64_t)p->locations[i].first_line + p->locations[i].n_lines <= p->n_lines);
}

static __int128 total(const struct pprof *p)
{
    __int128 sum = 0;
    for (uint32_t i = 0; i < p->n_values; i++)
        sum += p->values[i] > 0 ? p->values[i] : 0;
    return sum;
}

static void normalise(const struct pprof *p, struct arena *arena)
{
    struct profile *out = NULL;
    struct error err;
    enum status st = pprof_to_profile(p, arena, &out, &err);
    ASSERT(st == ST_OK || st == ST_RESOURCE_EXHAUSTED);
    if (st != ST_OK)
        return;
    prof_check(out);
    ASSERT(out->n_samples <= p->n_samples && out->n_types == p->n_sample_types);
    __int128 sum = 0;
    for (size_t i = 0; i < (size_t)out->n_samples * out->n_types; i++)
        sum += out->values[i];
    ASSERT(sum <= total(p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct pprof_limits limits = {1 << 16, 100, 5, 8, 30};
    struct arena arena;
    struct pprof *p = NULL;
    struct error err;
    enum pprof_reason reason;
    uint64_t stacks_cut = 0, strings_cut = 0;
    arena_init(&arena, 16 * MIB);
    enum status st = pprof_decode(str_make(data, size), MIB, &arena, &p, &err);
    ASSERT(st == ST_OK || st == ST_INVALID_ARGUMENT || st == ST_RESOURCE_EXHAUSTED);
    if (st == ST_OK) {
        check_ranges(p);
        normalise(p, &arena);
        st = pprof_check(p, &limits, STR("{}"), &arena, &reason, &stacks_cut, &strings_cut, &err);
        ASSERT((st == ST_OK) == (reason == PPROF_OK));
        ASSERT(st == ST_OK || err.len > 0);
        check_ranges(p);
        pprof_strip_go_shapes(p, &arena);
        normalise(p, &arena);
    }
    arena_done(&arena);
    return 0;
}
