/* What pprof_normalise.c (samples, stacks, label sets) and pprof_symbols.c (everything they refer
 * to) share. Nobody else includes this. */
#ifndef CODEC_PPROF_INT_H
#define CODEC_PPROF_INT_H

#include "codec/arena_map_int.h"
#include "codec/pprof.h"

/* Not looked at yet; PROF_NONE means looked at and removed. */
#define PPROF_PENDING (UINT32_MAX - 1)

/* From ids of the wire to indexes of an array whose elements begin with their id. Of equal ids the
 * last counts; id 0 is never found. Dense ids have a table, others a map. */
struct pprof_ids {
    const char *first; /* element */
    size_t stride;
    uint32_t *table;
    uint64_t n_table;
    struct idmap map;
};

struct pprof_norm {
    const struct pprof *p;
    struct arena *arena;
    struct prof_symbols *sym;
    struct profile *out;
    struct pprof_ids locations, functions, mappings;
    /* By index of the wire: index of `sym`, PPROF_PENDING or PROF_NONE. */
    uint32_t *string_of, *location_of, *function_of, *mapping_of;
    uint32_t stub_mapping; /* or PPROF_PENDING */
    /* By content, over the arrays of `sym` and `out`; all have their final size from the start. */
    struct idmap by_string, by_function, by_mapping, by_location, by_stack, by_labelset, by_sample;
    struct pprof_label *sort; /* room for the labels of one sample */
};

/* Tables and arrays for symbols; false when the arena is full. */
MUST_USE bool pprof_symbols_init(struct pprof_norm *n);
/* Of string `i` of the wire; whatever is out of range is the empty string. */
uint32_t pprof_string(struct pprof_norm *n, int64_t i);
/* Makes location `i` of the wire, or finds that it is to be removed; sets location_of[i]. */
void pprof_location_make(struct pprof_norm *n, uint32_t i);

uint32_t pprof_ids_find_sparse(const struct pprof_ids *ids, uint64_t id);

static inline uint32_t pprof_ids_find(const struct pprof_ids *ids, uint64_t id)
{
    if (LIKELY(ids->table != NULL))
        return id < ids->n_table ? ids->table[id] : PROF_NONE;
    return pprof_ids_find_sparse(ids, id);
}

#endif
