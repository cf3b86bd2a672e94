/* See idmap.h. At most three quarters full. */
#include "base/idmap.h"

#include "base/mem.h"

enum { FIRST_SLOTS = 64 };

void idmap_init(struct idmap *m, size_t *bytes)
{
    *m = (struct idmap){.bytes = bytes};
}

static size_t slots_of(const struct idmap *m)
{
    return m->slots ? (size_t)m->mask + 1 : 0;
}

void idmap_done(struct idmap *m)
{
    if (m->bytes)
        *m->bytes -= slots_of(m) * sizeof *m->slots;
    mem_free(m->slots);
    idmap_init(m, m->bytes);
}

void idmap_clear(struct idmap *m)
{
    if (m->slots)
        memset(m->slots, 0, slots_of(m) * sizeof *m->slots);
    m->n = 0;
}

static size_t slots_for(const struct idmap *m, uint64_t n)
{
    size_t slots = MAX(slots_of(m), (size_t)FIRST_SLOTS);
    while (n > slots / 4 * 3)
        slots *= 2;
    return slots;
}

static void insert(struct idmap_slot *slots, uint32_t mask, struct idmap_slot s)
{
    uint32_t at = s.tag & mask;
    while (slots[at].id_plus_1)
        at = (at + 1) & mask;
    slots[at] = s;
}

static bool grow(struct idmap *m, size_t slots)
{
    if (slots > (size_t)UINT32_MAX)
        return false;
    struct idmap_slot *fresh = mem_try(slots * sizeof *fresh);
    if (!fresh)
        return false;
    memset(fresh, 0, slots * sizeof *fresh);
    for (size_t i = 0; i < slots_of(m); i++)
        if (m->slots[i].id_plus_1)
            insert(fresh, (uint32_t)(slots - 1), m->slots[i]);
    if (m->bytes)
        *m->bytes += (slots - slots_of(m)) * sizeof *fresh;
    mem_free(m->slots);
    m->slots = fresh;
    m->mask = (uint32_t)(slots - 1);
    return true;
}

bool idmap_put(struct idmap *m, uint64_t hash, uint32_t id)
{
    size_t slots = slots_for(m, (uint64_t)m->n + 1);
    if (slots != slots_of(m) && !grow(m, slots))
        return false;
    uint32_t tag = (uint32_t)(hash ^ (hash >> 32));
    insert(m->slots, m->mask, (struct idmap_slot){id + 1, tag});
    m->n++;
    return true;
}

size_t idmap_growth(const struct idmap *m, uint32_t more)
{
    size_t slots = slots_for(m, (uint64_t)m->n + more);
    return (slots - slots_of(m)) * sizeof *m->slots;
}
