/* A hash table from keys that live elsewhere to 32-bit ids: open addressing, linear probing.
 *
 * The table stores (id + 1, 32 hash bits); the home slot follows from those bits, so growth needs
 * no keys. The caller compares the key behind an id. Used for
 * every interning table: the keys are the elements of a segvec or an array. Not thread-safe.
 *
 *     uint32_t i;
 *     struct idmap_probe p = idmap_start(&m, hash);
 *     while (idmap_next(&m, &p, &i))
 *         if (my_eq(i, key)) return i;
 *     idmap_put(&m, hash, new_id);          // false: at its limit or without memory
 */
#ifndef BASE_IDMAP_H
#define BASE_IDMAP_H

#include "base/base.h"

struct idmap_slot {
    uint32_t id_plus_1; /* 0 = empty */
    uint32_t tag;
};

struct idmap {
    struct idmap_slot *slots;
    uint32_t n, mask; /* mask + 1 slots, a power of two; mask 0 = none yet */
    size_t *bytes;    /* account; may be NULL */
};

struct idmap_probe {
    uint32_t at, tag;
};

void idmap_init(struct idmap *m, size_t *bytes);
void idmap_done(struct idmap *m);
void idmap_clear(struct idmap *m); /* forgets the ids, keeps the memory */
MUST_USE bool idmap_put(struct idmap *m, uint64_t hash, uint32_t id);
/* Bytes the table would grow by for `more` ids. */
size_t idmap_growth(const struct idmap *m, uint32_t more);

static inline struct idmap_probe idmap_start(const struct idmap *m, uint64_t hash)
{
    uint32_t tag = (uint32_t)(hash ^ (hash >> 32));
    return (struct idmap_probe){tag & m->mask, tag};
}

static inline bool idmap_next(const struct idmap *m, struct idmap_probe *p, uint32_t *ret_id)
{
    if (UNLIKELY(!m->slots))
        return false;
    for (;;) {
        struct idmap_slot s = m->slots[p->at];
        p->at = (p->at + 1) & m->mask;
        if (s.id_plus_1 == 0)
            return false;
        if (s.tag == p->tag) {
            *ret_id = s.id_plus_1 - 1;
            return true;
        }
    }
}

#endif
