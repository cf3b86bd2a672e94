/* An idmap whose slots live in an arena: for the tables of one request.
 *
 * It is looked up with idmap_start and idmap_next; it grows by doubling, gives nothing back and is
 * gone with the arena (never idmap_done). Inside codec only. */
#ifndef CODEC_ARENA_MAP_INT_H
#define CODEC_ARENA_MAP_INT_H

#include "base/arena.h"
#include "base/idmap.h"

/* Room for n ids in all; false when the arena is full. */
MUST_USE bool arena_map_reserve(struct idmap *m, struct arena *a, uint32_t n);

MUST_USE static inline bool arena_map_put(
    struct idmap *m, struct arena *a, uint64_t hash, uint32_t id)
{
    bool room = m->slots && m->n < m->mask / 4 * 3;
    if (UNLIKELY(!room) && !arena_map_reserve(m, a, m->n + 1))
        return false;
    uint32_t tag = (uint32_t)(hash ^ (hash >> 32)), at = tag & m->mask;
    while (m->slots[at].id_plus_1)
        at = (at + 1) & m->mask;
    m->slots[at] = (struct idmap_slot){id + 1, tag};
    m->n++;
    return true;
}

#endif
