/* An append-only vector whose elements never move: one writer at a time, any number of readers.
 *
 * Chunk k holds FIRST << k elements, so 27 chunks reach 2^32. The writer (under its own lock)
 * appends; readers use any index below a count that was published to them with release/acquire
 * order after the append. Elements are zeroed when their chunk is made. */
#ifndef BASE_SEGVEC_H
#define BASE_SEGVEC_H

#include "base/base.h"

enum { SEGVEC_FIRST_BITS = 6, SEGVEC_CHUNKS = 27 };

struct segvec {
    char *chunks[SEGVEC_CHUNKS];
    uint32_t n;    /* the writer's count */
    uint32_t size; /* of an element */
    uint32_t max;  /* elements */
    size_t *bytes; /* account that grows with every chunk; may be NULL */
};

void segvec_init(struct segvec *v, size_t size, uint32_t max, size_t *bytes);
void segvec_done(struct segvec *v);
/* A zeroed new element, or NULL at the maximum or without memory. */
void *segvec_push(struct segvec *v);
/* Bytes that `more` appends would allocate: for reserving before anything is handed out. */
size_t segvec_growth(const struct segvec *v, uint32_t more);

static inline void *segvec_at(const struct segvec *v, uint32_t i)
{
    uint32_t j = i + (1u << SEGVEC_FIRST_BITS);
    unsigned k = 31u - (unsigned)__builtin_clz(j);
    uint32_t off = j - (1u << k);
    return v->chunks[k - SEGVEC_FIRST_BITS] + (size_t)off * v->size;
}

#define SEGVEC_AT(v, type, i) ((type *)segvec_at((v), (i)))

#endif
