/* What codec/profile.h promises, asserted: for unit tests and fuzzing of its producers. */
#ifndef TESTS_PROF_CHECK_H
#define TESTS_PROF_CHECK_H

#include "codec/profile.h"

static inline void prof_check_locations(const struct prof_symbols *s)
{
    for (uint32_t i = 0; i < s->n_functions; i++) {
        ASSERT(s->functions[i].name < s->n_strings && s->functions[i].filename < s->n_strings);
        ASSERT(s->functions[i].system_name < s->n_strings);
    }
    for (uint32_t i = 0; i < s->n_mappings; i++)
        ASSERT(s->mappings[i].filename < s->n_strings && s->mappings[i].build_id < s->n_strings);
    for (uint32_t i = 0; i < s->n_lines; i++)
        ASSERT(s->lines[i].function < s->n_functions);
    for (uint32_t i = 0; i < s->n_locations; i++) {
        const struct prof_location *l = &s->locations[i];
        ASSERT(l->n_lines > 0 || l->address != 0);
        ASSERT(l->mapping == PROF_NONE || l->mapping < s->n_mappings);
        ASSERT((uint64_t)l->first_line + l->n_lines <= s->n_lines);
    }
}

static inline void prof_check_symbols(const struct prof_symbols *s)
{
    static const struct str never[] = {{"profile_id", 10}, {"span_id", 7}, {"trace_id", 8}};
    ASSERT(s->n_strings >= 1 && s->strings[0].n == 0);
    prof_check_locations(s);
    for (uint32_t i = 0; i < s->n_frames; i++)
        ASSERT(s->frames[i] < s->n_locations);
    for (uint32_t i = 0; i < s->n_stacks; i++)
        ASSERT((uint64_t)s->stacks[i].first + s->stacks[i].n <= s->n_frames);
    ASSERT(s->n_labelsets >= 1 && s->labelsets[0].n == 0);
    for (uint32_t i = 0; i < s->n_labelsets; i++)
        ASSERT((uint64_t)s->labelsets[i].first + s->labelsets[i].n <= s->n_labels);
    for (uint32_t i = 0; i < s->n_labels; i++) {
        ASSERT(s->labels[i].key < s->n_strings && s->labels[i].value < s->n_strings);
        for (size_t k = 0; k < ARRAY_LEN(never); k++)
            ASSERT(!str_eq(s->strings[s->labels[i].key], never[k]));
    }
}

/* Reads every byte of every string, so that a sanitizer sees views that lead elsewhere. */
static inline void prof_check_bytes(const struct prof_symbols *s)
{
    volatile uint8_t sum = 0;
    for (uint32_t i = 0; i < s->n_strings; i++)
        for (size_t k = 0; k < s->strings[i].n; k++)
            sum = (uint8_t)(sum + s->strings[i].p[k]);
}

static inline void prof_check(const struct profile *p)
{
    prof_check_symbols(p->sym);
    prof_check_bytes(p->sym);
    for (uint32_t i = 0; i < p->n_samples; i++) {
        const struct prof_sample *s = &p->samples[i];
        int64_t all = 0;
        ASSERT(s->stack < p->sym->n_stacks && s->labelset < p->sym->n_labelsets);
        for (uint32_t k = 0; k < p->n_types; k++) {
            ASSERT(p->values[(size_t)i * p->n_types + k] >= 0);
            all |= p->values[(size_t)i * p->n_types + k];
        }
        ASSERT(all != 0);
    }
}

#endif
