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
    const uint8_t *bytes; /* model/samples.h; NULL: in a group, or not loaded */
    uint32_t n_samples;
    int64_t totals[SAMPLE_TYPES_MAX];
};

/* Rows of a day's block that have no bytes of their own have their samples together, stack by stack
 * (model/stack_group.h). None of these has a span or trace. */
struct part_group {
    const uint32_t *rows; /* rising: the part's row of each of the group */
    uint32_t n_rows, n_types;
    struct str bytes;
};

/* A part of a block has its rows in slots, one per hour that has any; a live part has none, its
 * rows are its own. See store_slot_enter. */
struct part_slot {
    int64_t time_min, time_max;
    uint32_t n_rows;
    uint64_t n_samples;
};

/* What a block knows beforehand of a profile type over all series: sums of some of its slots. */
enum { PART_TYPE_IDS = 5 }; /* strings: name, type, unit, period type, period unit */
/* Only the first types have roll-ups: each costs a pass over all rows, and a client may make one
 * type per series. Of the others rows are summed. */
enum { PART_ROLLUP_TYPES_MAX = 256 };
/* Appends name:type:unit:period type:period unit. */
void part_type_name(const struct symtab *sym, const uint32_t ids[PART_TYPE_IDS], struct buf *out);
struct part_tree {
    uint32_t type, slot, n_slots;
    uint32_t tree, functions; /* the store's: which sections */
};
/* What a part sums up of a type in datasets of other parts: store_digest says which. */
struct part_digest {
    struct str type;       /* name:type:unit:period type:period unit */
    struct part_tree tree; /* of no slots */
};
struct part_rollups {
    const uint32_t (*types)[PART_TYPE_IDS];
    const uint32_t *timelines;     /* per type; the store's: which section */
    const struct part_tree *trees; /* those over more slots first */
    uint32_t n_types, n_trees;
    uint32_t names; /* the store's: which section */
    const struct part_digest *digests;
    uint32_t n_digests;
    uint32_t digest; /* the store's: which section */
};

struct part {
    struct str tenant, service;
    uint64_t epoch; /* or the number of the merge that made its block */
    void *origin;   /* the store's: where the part came from */
    const struct part_slot *slots;
    uint32_t n_slots;
    const struct part_rollups *rollups; /* or NULL */
    struct symtab sym;
    struct segvec series; /* struct part_series */
    struct segvec rows;   /* struct part_row */
    const struct part_group *groups;
    uint32_t n_groups;
    _Atomic uint32_t n_rows_published, n_series_published, n_nodes_published;
    _Atomic int64_t time_min, time_max; /* of published rows; min > max: none */
};

static inline uint32_t part_series_n_ids(const struct part_series *s)
{
    return 2 * (s->n_labels + s->n_types + 1);
}
/* The string `__name__` of every dataset. */
enum { PART_STRING_NAME = 2 };
/* The profile type of type k, as strings: 0 where it has none. */
static inline void part_type_ids(const struct part_series *s, uint32_t k, uint32_t ids[])
{
    const uint32_t *types = s->ids + 2 * (size_t)s->n_labels;
    const uint32_t *period = types + 2 * (size_t)s->n_types;
    ids[0] = 0;
    for (uint32_t i = 0; i < s->n_labels; i++)
        if (s->ids[2 * i] == PART_STRING_NAME)
            ids[0] = s->ids[2 * i + 1];
    ids[1] = types[2 * k];
    ids[2] = types[2 * k + 1];
    ids[3] = period[0];
    ids[4] = period[1];
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
