/* See utf8.h. */
#include "base/utf8.h"

size_t utf8_decode(struct str s, uint32_t *ret_cp)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s.n == 0)
        return 0;
    uint8_t lead = (uint8_t)s.p[0];
    if (lead < 0x80) {
        *ret_cp = lead;
        return 1;
    }
    size_t n = lead >= 0xF0 && lead < 0xF8   ? 4
               : lead >= 0xE0 && lead < 0xF0 ? 3
               : lead >= 0xC2 && lead < 0xE0 ? 2
                                             : 0;
    if (n == 0 || n > s.n)
        return 0;
    uint32_t cp = lead & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (((uint8_t)s.p[i] & 0xC0) != 0x80)
            return 0;
        cp = cp << 6 | ((uint8_t)s.p[i] & 0x3F);
    }
    if (cp < least[n] || cp > 0x10FFFF || (cp >= 0xD800 && cp < 0xE000))
        return 0;
    *ret_cp = cp;
    return n;
}

bool utf8_valid(struct str s)
{
    size_t i = 0;
    while (i < s.n) {
        uint64_t word;
        while (i + 8 <= s.n) { /* eight ASCII bytes at a time */
            memcpy(&word, s.p + i, 8);
            if (word & 0x8080808080808080u)
                break;
            i += 8;
        }
        if (i >= s.n)
            break;
        uint32_t cp;
        size_t n = utf8_decode(str_skip(s, i), &cp);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

size_t utf8_encode(char out[4], uint32_t cp)
{
    ASSERT(cp <= 0x10FFFF && !(cp >= 0xD800 && cp < 0xE000));
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}
