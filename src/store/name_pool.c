/* Numbers of names: see name_pool_int.h.
 *
 * A table from text to number, with its own copies of the texts. What does not fit within its bytes
 * empties it: what is asked for now matters more than what was asked for once. Numbers go on from
 * where they were, so those given before never stand for another text; after four billion there are
 * none left, and every name gets 0. One lock, held for the names of one chunk at a time. */
#include "store/name_pool_int.h"

#include "base/hash.h"
#include "base/metrics.h"

void name_pool_init(struct name_pool *p, size_t bytes_max)
{
    *p = (struct name_pool){.first = 1, .bytes_max = bytes_max};
    mutex_init(&p->lock, "store.names", RANK_CACHE);
    arena_init(&p->memory, bytes_max);
    idmap_init(&p->ids, &p->index_bytes);
}

void name_pool_done(struct name_pool *p)
{
    idmap_done(&p->ids);
    arena_done(&p->memory);
    mutex_done(&p->lock);
}

static void forget(struct name_pool *p)
{
    p->first += p->texts.n;
    p->texts.v = NULL;
    p->texts.n = p->texts.cap = 0;
    idmap_done(&p->ids);
    arena_done(&p->memory);
    arena_init(&p->memory, p->bytes_max);
}

static size_t bytes_used(const struct name_pool *p)
{
    return p->memory.used + p->index_bytes;
}

static uint32_t add(struct name_pool *p, struct str text, uint64_t hash)
{
    if (p->texts.n >= UINT32_MAX - p->first || bytes_used(p) >= p->bytes_max)
        return 0;
    struct str copy = arena_str(&p->memory, text),
               *slot = copy.p ? VEC_PUSH(&p->memory, p->texts) : NULL;
    if (!slot || !idmap_put(&p->ids, hash, p->texts.n - 1))
        return 0;
    *slot = copy;
    return p->first + p->texts.n - 1;
}

static uint32_t number(struct name_pool *p, struct str text)
{
    uint64_t hash = hash_str(text);
    uint32_t i;
    struct idmap_probe at = idmap_start(&p->ids, hash);
    while (idmap_next(&p->ids, &at, &i))
        if (str_eq(p->texts.v[i], text))
            return p->first + i;
    uint32_t n = add(p, text, hash);
    if (n)
        return n;
    forget(p);
    return add(p, text, hash);
}

void name_pool_number(
    struct name_pool *p, const struct str *texts, uint32_t n, uint32_t *ret_numbers)
{
    mutex_lock(&p->lock);
    for (uint32_t i = 0; i < n; i++)
        ret_numbers[i] = number(p, texts[i]);
    metric_set(M_NAMES_BYTES, (double)bytes_used(p));
    mutex_unlock(&p->lock);
}
