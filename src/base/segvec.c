/* See segvec.h. */
#include "base/segvec.h"

#include "base/mem.h"

void segvec_init(struct segvec *v, size_t size, uint32_t max, size_t *bytes)
{
    ASSERT(max <= UINT32_MAX - (1u << SEGVEC_FIRST_BITS));
    *v = (struct segvec){.size = (uint32_t)size, .max = max, .bytes = bytes};
}

void segvec_done(struct segvec *v)
{
    for (size_t k = 0; k < SEGVEC_CHUNKS; k++) {
        if (v->chunks[k] && v->bytes)
            *v->bytes -= (size_t)v->size << (SEGVEC_FIRST_BITS + k);
        mem_free(v->chunks[k]);
        v->chunks[k] = NULL;
    }
    v->n = 0;
}

static unsigned chunk_of(uint32_t i)
{
    return 31u - (unsigned)__builtin_clz(i + (1u << SEGVEC_FIRST_BITS)) - SEGVEC_FIRST_BITS;
}

void *segvec_push(struct segvec *v)
{
    if (v->n >= v->max)
        return NULL;
    unsigned k = chunk_of(v->n);
    if (!v->chunks[k]) {
        size_t bytes = (size_t)v->size << (SEGVEC_FIRST_BITS + k);
        v->chunks[k] = mem_try_zeroed(bytes);
        if (!v->chunks[k])
            return NULL;
        if (v->bytes)
            *v->bytes += bytes;
    }
    return segvec_at(v, v->n++);
}

size_t segvec_growth(const struct segvec *v, uint32_t more)
{
    size_t bytes = 0;
    if (more == 0)
        return 0;
    uint32_t last = v->n > UINT32_MAX - 128u - more ? UINT32_MAX - 128u : v->n + more - 1;
    for (unsigned k = chunk_of(v->n); k <= chunk_of(last); k++)
        if (!v->chunks[k])
            bytes += (size_t)v->size << (SEGVEC_FIRST_BITS + k);
    return bytes;
}
