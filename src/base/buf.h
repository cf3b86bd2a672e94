/* A growable byte buffer on the heap with a limit and a sticky failure.
 *
 * Writers append without checking; past the limit nothing more is appended and `failed` stays
 * true, which is asked once at the end. Owned by whoever holds the struct; buf_done frees. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

struct buf {
    char *p;
    size_t n, cap, limit;
    bool failed;
};

void buf_init(struct buf *b, size_t limit_bytes);
void buf_done(struct buf *b);
static inline void buf_clear(struct buf *b)
{
    b->n = 0;
    b->failed = false;
}
/* Room for `more` bytes behind b->n, and a place there even for none; false (and failed) past the
 * limit. */
bool buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

static inline void buf_byte(struct buf *b, uint8_t c)
{
    if (LIKELY(b->n < b->cap) || buf_reserve(b, 1))
        b->p[b->n++] = (char)c;
}

/* LEB128, at most 10 bytes. */
void buf_uvarint(struct buf *b, uint64_t v);
void buf_svarint(struct buf *b, int64_t v); /* zigzag */
void buf_u32le(struct buf *b, uint32_t v);
void buf_u64le(struct buf *b, uint64_t v);

static inline struct str buf_view(const struct buf *b)
{
    return str_make(b->p ? b->p : "", b->n);
}

#endif
