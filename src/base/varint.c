/* The slow paths of varint.h. */
#include "base/varint.h"

uint64_t cursor_uvarint_slow(struct cursor *c)
{
    uint64_t v = 0;
    const uint8_t *p = c->p;
    for (unsigned shift = 0; shift < 70 && p < c->end; shift += 7) {
        uint8_t b = *p++;
        if (shift == 63 && b > 1)
            break; /* would overflow 64 bits */
        v |= (uint64_t)(b & 0x7F) << shift;
        if (b < 0x80) {
            c->p = p;
            return v;
        }
    }
    cursor_fail(c);
    return 0;
}

uint64_t cursor_u64le(struct cursor *c)
{
    struct str s = cursor_bytes(c, 8);
    return s.n == 8 ? load_u64le(s.p) : 0;
}
