/* See buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/varint.h"

void buf_init(struct buf *b, size_t limit_bytes)
{
    *b = (struct buf){.limit = limit_bytes};
}

void buf_done(struct buf *b)
{
    mem_free(b->p);
    b->p = NULL;
    b->n = b->cap = 0;
}

bool buf_reserve(struct buf *b, size_t more)
{
    if (b->p && more <= b->cap - b->n)
        return true;
    if (more > b->limit || b->n > b->limit - more) {
        b->failed = true;
        return false;
    }
    size_t cap = MAX(b->cap * 2, b->n + more);
    cap = MIN(MAX(cap, (size_t)256), b->limit);
    char *p = mem_grow(b->p, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0 || !buf_reserve(b, n))
        return;
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

void buf_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    if (!buf_reserve(b, (size_t)n + 1))
        return;
    va_start(ap, fmt);
    vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

void buf_uvarint(struct buf *b, uint64_t v)
{
    if (buf_reserve(b, VARINT_MAX))
        b->n += varint_put((uint8_t *)b->p + b->n, v);
}

void buf_svarint(struct buf *b, int64_t v)
{
    buf_uvarint(b, zigzag(v));
}

void buf_u32le(struct buf *b, uint32_t v)
{
    uint8_t raw[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    buf_add(b, raw, sizeof raw);
}

void buf_u64le(struct buf *b, uint64_t v)
{
    buf_u32le(b, (uint32_t)v);
    buf_u32le(b, (uint32_t)(v >> 32));
}
