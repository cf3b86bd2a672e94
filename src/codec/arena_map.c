/* See arena_map_int.h. At most three quarters full; at most 2^31 slots. One thread; a failure
 * leaves the map as it was. */
#include "codec/arena_map_int.h"

enum { FIRST_SLOTS = 64 };
#define SLOTS_MAX (1u << 31)

static void move_slots(const struct idmap *m, struct idmap_slot *fresh, uint32_t mask)
{
    for (size_t i = 0; m->slots && i <= m->mask; i++) {
        struct idmap_slot s = m->slots[i];
        if (!s.id_plus_1)
            continue;
        uint32_t at = s.tag & mask;
        while (fresh[at].id_plus_1)
            at = (at + 1) & mask;
        fresh[at] = s;
    }
}

bool arena_map_reserve(struct idmap *m, struct arena *a, uint32_t n)
{
    uint32_t slots = m->slots ? m->mask + 1 : FIRST_SLOTS;
    while (n > (slots - 1) / 4 * 3) {
        if (slots == SLOTS_MAX)
            return false;
        slots *= 2;
    }
    if (m->slots && slots == m->mask + 1)
        return true;
    struct idmap_slot *fresh = ARENA_ZARRAY(a, struct idmap_slot, slots);
    if (!fresh)
        return false;
    move_slots(m, fresh, slots - 1);
    m->slots = fresh;
    m->mask = slots - 1;
    return true;
}
