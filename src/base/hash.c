/* See hash.h. */
#include "base/hash.h"

#include <stdatomic.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_seed;

void hash_seed_init(void)
{
    if (getrandom(&hash_seed, sizeof hash_seed, 0) != sizeof hash_seed)
        hash_seed = 0x5EEDu ^ (uint64_t)(uintptr_t)&hash_seed;
}

uint64_t hash_bytes(const void *p, size_t n)
{
    return XXH3_64bits_withSeed(p, n, hash_seed);
}

double hash_draw(void)
{
    static _Atomic uint64_t draws;
    uint64_t n = atomic_fetch_add_explicit(&draws, 1, memory_order_relaxed);
    return (double)(hash_bytes(&n, sizeof n) >> 11) * 0x1p-53;
}

uint64_t hash_disk(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}
