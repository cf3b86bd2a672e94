/* What codec/profile.h promises about a decoded recording, asserted: for unit tests and fuzzing. */
#ifndef TESTS_JFR_CHECK_H
#define TESTS_JFR_CHECK_H

#include "base/utf8.h"
#include "codec/jfr.h"

static inline void jfr_check_symbols(const struct prof_symbols *s)
{
    ASSERT(s->n_strings >= 1 && s->strings[0].n == 0);
    for (uint32_t i = 0; i < s->n_strings; i++)
        ASSERT(utf8_valid(s->strings[i]));
    for (uint32_t i = 0; i < s->n_functions; i++) {
        ASSERT(s->functions[i].name > 0 && s->functions[i].name < s->n_strings);
        ASSERT(s->functions[i].filename == 0 && s->functions[i].system_name == 0);
    }
    for (uint32_t i = 0; i < s->n_lines; i++)
        ASSERT(s->lines[i].function < s->n_functions && s->lines[i].line >= 0);
    for (uint32_t i = 0; i < s->n_locations; i++) {
        const struct prof_location *l = &s->locations[i];
        ASSERT(l->mapping < s->n_mappings && l->n_lines == 1 && l->first_line < s->n_lines);
    }
    for (uint32_t i = 0; i < s->n_frames; i++)
        ASSERT(s->frames[i] < s->n_locations);
    for (uint32_t i = 0; i < s->n_stacks; i++)
        ASSERT((uint64_t)s->stacks[i].first + s->stacks[i].n <= s->n_frames);
}

static inline void jfr_check_labelsets(const struct prof_symbols *s)
{
    static const struct str never[] = {{"profile_id", 10}, {"span_id", 7}, {"trace_id", 8}};
    ASSERT(s->n_labelsets >= 1 && s->labelsets[0].n == 0);
    for (uint32_t i = 0; i < s->n_labelsets; i++)
        ASSERT((uint64_t)s->labelsets[i].first + s->labelsets[i].n <= s->n_labels);
    for (uint32_t i = 0; i < s->n_labels; i++) {
        ASSERT(s->labels[i].key < s->n_strings && s->labels[i].value < s->n_strings);
        ASSERT(s->labels[i].value != 0);
        for (size_t k = 0; k < ARRAY_LEN(never); k++)
            ASSERT(!str_eq(s->strings[s->labels[i].key], never[k]));
    }
}

static inline void jfr_check_profile(const struct profile *p, const struct jfr_options *opt)
{
    ASSERT(p->n_types >= 1 && p->n_types <= 2 && p->n_samples > 0 && p->size_bytes > 0);
    ASSERT(p->time_ns == opt->from_ns && p->duration_ns == opt->until_ns - opt->from_ns);
    ASSERT(!opt->samples_max || p->n_samples <= opt->samples_max);
    for (uint32_t i = 0; i < p->n_samples; i++) {
        const struct prof_sample *s = &p->samples[i];
        ASSERT(s->stack < p->sym->n_stacks && s->labelset < p->sym->n_labelsets);
        ASSERT(!opt->stack_depth_max || p->sym->stacks[s->stack].n <= opt->stack_depth_max);
        int64_t all = 0;
        for (uint32_t k = 0; k < p->n_types; k++) {
            ASSERT(p->values[(size_t)i * p->n_types + k] >= 0);
            all |= p->values[(size_t)i * p->n_types + k];
        }
        ASSERT(all != 0);
    }
}

static inline void jfr_check(const struct jfr *jfr, const struct jfr_options *opt)
{
    ASSERT(jfr->n <= JFR_PROFILES_MAX);
    for (uint32_t i = 0; i < jfr->n; i++) {
        ASSERT(jfr->profiles[i].profile.sym == jfr->profiles[0].profile.sym);
        jfr_check_profile(&jfr->profiles[i].profile, opt);
    }
    if (jfr->n) {
        jfr_check_symbols(jfr->profiles[0].profile.sym);
        jfr_check_labelsets(jfr->profiles[0].profile.sym);
    }
}

#endif
