/* Private to model: what the two forms of samples (samples.c, stack_group.c) are written with. */
#ifndef MODEL_SAMPLES_INT_H
#define MODEL_SAMPLES_INT_H

#include "model/samples.h"

/* keys are node << 32 | index; two arrays take turns. Returns the sorted one. Stable. */
uint64_t *samples_radix_sort(uint64_t *keys, uint64_t *other, uint32_t n, uint32_t largest);

static inline uint64_t samples_gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* A column goes to its place with its length before it: written behind a gap of the most a length
 * can need, then moved up. */
struct samples_column {
    size_t at;
};

static inline struct samples_column samples_column_begin(struct buf *out)
{
    struct samples_column c = {out->n};
    if (buf_reserve(out, VARINT_MAX))
        out->n += VARINT_MAX;
    return c;
}

static inline void samples_column_end(struct buf *out, struct samples_column c)
{
    if (out->failed)
        return;
    size_t bytes = out->n - c.at - VARINT_MAX;
    size_t head = varint_put((uint8_t *)out->p + c.at, bytes);
    memmove(out->p + c.at + head, out->p + c.at + VARINT_MAX, bytes);
    out->n = c.at + head + bytes;
}

static inline struct cursor samples_column_take(struct cursor *c)
{
    return cursor_make(cursor_bytes(c, cursor_uvarint(c)));
}

#endif
