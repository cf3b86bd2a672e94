/* See ulid.h: Crockford's base 32, ten digits of time and twice eight. Pure. */
#include "base/ulid.h"

enum { TIME_CHARS = 10, DIGIT_BITS = 5 };
static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void put(char *out, int n, uint64_t v)
{
    for (int i = n - 1; i >= 0; i--, v >>= DIGIT_BITS)
        out[i] = digits[v & 31];
}

void ulid_put(char out[ULID_CHARS + 1], int64_t ms, uint64_t hi, uint64_t lo)
{
    put(out, TIME_CHARS, (uint64_t)ms);
    put(out + TIME_CHARS, 8, hi);
    put(out + TIME_CHARS + 8, 8, lo);
    out[ULID_CHARS] = 0;
}

bool ulid_parse(struct str s, int64_t *ret_ms)
{
    uint64_t ms = 0;
    if (s.n != ULID_CHARS || s.p[0] > '7') /* 48 bits */
        return false;
    for (size_t i = 0; i < ULID_CHARS; i++) {
        const char *d = s.p[i] ? strchr(digits, s.p[i]) : NULL;
        if (!d)
            return false;
        if (i < TIME_CHARS)
            ms = ms << DIGIT_BITS | (uint64_t)(d - digits);
    }
    *ret_ms = (int64_t)ms;
    return true;
}
