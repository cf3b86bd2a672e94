/* LEB128 and little-endian integers: the bytes of our own formats and of protobuf.
 *
 * struct cursor reads them from untrusted bytes: past the end or on a bad varint `bad` is set,
 * reads give 0 and the position stays at the end, so a parser checks once per record. */
#ifndef BASE_VARINT_H
#define BASE_VARINT_H

#include "base/str.h"

enum { VARINT_MAX = 10 };

static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Writes at most VARINT_MAX bytes; returns how many. */
static inline size_t varint_put(uint8_t *p, uint64_t v)
{
    size_t n = 0;
    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

static inline size_t varint_size(uint64_t v)
{
    return (size_t)(70 - __builtin_clzll(v | 1)) / 7;
}

struct cursor {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct cursor cursor_make(struct str s)
{
    const uint8_t *p = (const uint8_t *)s.p;
    return (struct cursor){p, s.n ? p + s.n : p, false}; /* no sum with NULL, not even of 0 */
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->p);
}

static inline void cursor_fail(struct cursor *c)
{
    c->bad = true;
    c->p = c->end;
}

uint64_t cursor_uvarint_slow(struct cursor *c);

static inline uint64_t cursor_uvarint(struct cursor *c)
{
    if (LIKELY(c->p < c->end && *c->p < 0x80))
        return *c->p++;
    return cursor_uvarint_slow(c);
}

static inline int64_t cursor_svarint(struct cursor *c)
{
    return unzigzag(cursor_uvarint(c));
}

static inline uint8_t cursor_byte(struct cursor *c)
{
    if (UNLIKELY(c->p >= c->end)) {
        cursor_fail(c);
        return 0;
    }
    return *c->p++;
}

static inline struct str cursor_bytes(struct cursor *c, uint64_t n)
{
    if (UNLIKELY(n > cursor_left(c))) {
        cursor_fail(c);
        return STR_EMPTY;
    }
    struct str s = str_make(c->p, (size_t)n);
    c->p += n;
    return s;
}

static inline uint32_t load_u32le(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

static inline uint64_t load_u64le(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

uint64_t cursor_u64le(struct cursor *c);

#endif
