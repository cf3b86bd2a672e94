/* Hashes: XXH3 (BSD). hash_seed is drawn once per process, so that input cannot aim at our tables;
 * what is written to disk uses hash_disk, which has no seed. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

extern uint64_t hash_seed;
void hash_seed_init(void); /* once, before threads; tests may leave it 0 */

uint64_t hash_bytes(const void *p, size_t n);
uint64_t hash_disk(const void *p, size_t n);

static inline uint64_t hash_str(struct str s)
{
    return hash_bytes(s.p, s.n);
}

/* Mixes two words: for keys made of ids. */
static inline uint64_t hash_u64(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)(a ^ hash_seed ^ 0x9E3779B97F4A7C15u) *
                          (b ^ 0xD6E8FEB86659FD93u);
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* From 0 to below 1, another number each time; not for secrets. Any thread. */
double hash_draw(void);

#endif
