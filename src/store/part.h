/* A part: one dataset (tenant, service) in one epoch or one block, as readers see it.
 *
 * Head and blocks have the same form in memory, so a query knows only parts. Of a live epoch a
 * reader takes the published counts once (part_rows), and everything those rows refer to is there:
 * the commit publishes with release order after the rows are durable. Nothing published ever moves
 * or changes; the view that handed the part out keeps it alive. */
#ifndef STORE_PART_H
#define STORE_PART_H

#include <stdatomic.h>

#include "model/labels.h"
#include "model/samples.h"
#include "model/symtab.h"

struct part_type {
    struct str type, unit;
};

/* A label set with the sample types that share its rows. */
struct part_series {
    const struct label *labels; /* sorted; __name__ and service_name among them, no type labels */
    uint32_t n_labels;
    uint32_t n_types; /* 1..SAMPLE_TYPES_MAX */
    struct part_type types[SAMPLE_TYPES_MAX];
    struct part_type period; /* both empty when there is none */
    /* The same as string ids: name, value per label; type, unit per type; period type, unit. */
    const uint32_t *ids;
    _Atomic uint32_t types_seen; /* bit k: a published row has a total > 0 for type k */
};

struct part_row {
    int64_t time_ns;
    uint64_t seq; /* the upload; with the store's id it is the profile's id */
    uint32_t series;
    uint32_t n_bytes;
    const uint8_t *bytes; /* model/samples.h */
    uint32_t n_samples;
    int64_t totals[SAMPLE_TYPES_MAX];
};

struct part {
    struct str tenant, service;
    uint64_t epoch;
    void *origin; /* the store's: where the part came from */
    struct symtab sym;
    struct segvec series; /* struct part_series */
    struct segvec rows;   /* struct part_row */
    _Atomic uint32_t n_rows_published, n_series_published, n_nodes_published;
    _Atomic int64_t time_min, time_max; /* of published rows; min > max: none */
};

static inline uint32_t part_series_n_ids(const struct part_series *s)
{
    return 2 * (s->n_labels + s->n_types + 1);
}

static inline struct part_series *part_series(const struct part *p, uint32_t i)
{
    return SEGVEC_AT(&p->series, struct part_series, i);
}
static inline const struct part_row *part_row(const struct part *p, uint32_t i)
{
    return SEGVEC_AT(&p->rows, const struct part_row, i);
}
/* Take this first, then the others: rows refer only to series and nodes below those counts. */
static inline uint32_t part_rows(const struct part *p)
{
    return atomic_load_explicit(&p->n_rows_published, memory_order_acquire);
}
static inline uint32_t part_nodes(const struct part *p)
{
    return atomic_load_explicit(&p->n_nodes_published, memory_order_acquire);
}
static inline uint32_t part_n_series(const struct part *p)
{
    return atomic_load_explicit(&p->n_series_published, memory_order_acquire);
}

#endif
