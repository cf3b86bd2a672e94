/* Base64: see base64.h.
 *
 * Four characters make three bytes; a table maps both alphabets. Whole groups take a fast loop,
 * the rest (line ends, padding, the last group) a slow one that keeps the bits in a register.
 * Invariants: 1. the output has at most in.n / 4 * 3 + 3 bytes. 2. padding, if any, completes the
 * last group and nothing but line ends follows. Thread: any. Failure: false. */
#include "codec/base64.h"

static const char alphabet[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Value of a character; 64 and more are not of the alphabets. */
enum { BAD = 64, PAD = 65, SKIP = 66 };

/* clang-format off */
static const uint8_t values[256] = {
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 66, 64, 64, 66, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 62, 64, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 65, 64, 64,
    64, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 63,
    64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
};
/* clang-format on */

struct state {
    uint32_t bits;
    unsigned chars; /* of the open group, data only */
    unsigned pads;
    uint8_t *out;
};

/* One character; false when it may not stand there. */
static bool take(struct state *s, unsigned char c)
{
    unsigned v = values[c];
    if (v == SKIP)
        return true;
    if (v == PAD)
        return ++s->pads + s->chars <= 4 && s->chars >= 2;
    if (v == BAD || s->pads)
        return false;
    s->bits = s->bits << 6 | v;
    if (++s->chars < 4)
        return true;
    *s->out++ = (uint8_t)(s->bits >> 16);
    *s->out++ = (uint8_t)(s->bits >> 8);
    *s->out++ = (uint8_t)s->bits;
    s->chars = 0;
    return true;
}

/* The hot loop: groups of four characters of the alphabets; returns how many it used up. */
static size_t whole_groups(struct state *s, struct str in)
{
    const uint8_t *p = (const uint8_t *)in.p;
    size_t i = 0;
    for (; in.n - i >= 4; i += 4) {
        uint32_t a = values[p[i]], b = values[p[i + 1]], c = values[p[i + 2]], d = values[p[i + 3]];
        if ((a | b | c | d) >= 64)
            break;
        uint32_t v = a << 18 | b << 12 | c << 6 | d;
        s->out[0] = (uint8_t)(v >> 16);
        s->out[1] = (uint8_t)(v >> 8);
        s->out[2] = (uint8_t)v;
        s->out += 3;
    }
    return i;
}

/* The group that is not full: 2 or 3 characters, padded to 4 or not at all. */
static bool finish(struct state *s)
{
    if (s->chars == 1 || (s->pads && s->pads + s->chars != 4))
        return false;
    if (s->chars >= 2)
        *s->out++ = (uint8_t)(s->bits >> (s->chars * 6 - 8));
    if (s->chars == 3)
        *s->out++ = (uint8_t)(s->bits >> 2);
    return true;
}

bool base64_decode(struct str in, struct arena *arena, struct str *ret_out)
{
    uint8_t *start = arena_alloc(arena, in.n / 4 * 3 + 3);
    if (!start)
        return false;
    struct state s = {.out = start};
    for (size_t i = 0; i < in.n; i++) {
        if (s.chars == 0 && s.pads == 0)
            i += whole_groups(&s, str_skip(in, i));
        if (i < in.n && !take(&s, (unsigned char)in.p[i]))
            return false;
    }
    if (!finish(&s))
        return false;
    *ret_out = str_make(start, (size_t)(s.out - start));
    return true;
}

void base64_put(struct buf *out, struct str in)
{
    size_t bytes;
    if (__builtin_mul_overflow(in.n / 3 + 1, 4, &bytes) || !buf_reserve(out, bytes))
        return;
    char *p = out->p + out->n;
    const uint8_t *at = (const uint8_t *)in.p, *end = at + in.n;
    for (; end - at >= 3; at += 3) {
        uint32_t v = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
        *p++ = alphabet[v >> 18];
        *p++ = alphabet[v >> 12 & 63];
        *p++ = alphabet[v >> 6 & 63];
        *p++ = alphabet[v & 63];
    }
    if (at < end) {
        uint32_t v = (uint32_t)at[0] << 16 | (end - at == 2 ? (uint32_t)at[1] << 8 : 0);
        *p++ = alphabet[v >> 18];
        *p++ = alphabet[v >> 12 & 63];
        *p++ = end - at == 2 ? alphabet[v >> 6 & 63] : '=';
        *p++ = '=';
    }
    out->n = (size_t)(p - out->p);
}
