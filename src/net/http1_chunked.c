/* The chunked transfer coding, RFC 9112 section 7.1, one byte of framing at a time.
 *
 * Ours and not llhttp's because 8.1 refuses a second chunk extension, ends trailers at a bare LF,
 * and hides chunk sizes until their data comes. This one is strict about line ends: a proxy in
 * front and we must never disagree where a request ends.
 *
 *   SIZE ─hex─► SIZE ─;─► EXT ─CR─► SIZE_LF ─LF─► DATA ─all─► DATA_CR ─► DATA_LF ─► SIZE
 *   SIZE ─CR─► SIZE_LF; size 0: SIZE_LF ─LF─► TRAILER_START ─► TRAILER ─► TRAILER_LF ─►
 * TRAILER_START TRAILER_START ─CR─► END_LF ─LF─► DONE;       anything else ─► BAD
 *
 * Extensions and trailers are skipped, never interpreted; the caller bounds `overhead`. Pure: any
 * splitting of the input gives the same data. */
#include "net/http1_int.h"

enum {
    SIZE,
    EXT,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_START,
    TRAILER,
    TRAILER_LF,
    END_LF,
    DONE,
    BAD,
};

enum { DIGITS_MAX = 15 }; /* of a size: below 2^60 */

static uint8_t on_size(struct chunked *d, char c)
{
    int v = hex_digit(c);
    if (v >= 0) {
        if (d->digits == DIGITS_MAX)
            return BAD;
        d->digits++;
        d->left = d->left << 4 | (unsigned)v;
        return SIZE;
    }
    if (d->digits == 0)
        return BAD;
    return c == '\r' ? SIZE_LF : c == ';' || c == ' ' || c == '\t' ? EXT : BAD;
}

/* Inside extensions and trailers: anything visible, spaces and tabs. */
static uint8_t on_text(char c, uint8_t same, uint8_t after_cr)
{
    if (c == '\r')
        return after_cr;
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7F ? BAD : same;
}

static uint8_t on_framing(struct chunked *d, char c)
{
    switch (d->state) {
    case SIZE:
        return on_size(d, c);
    case EXT:
        return on_text(c, EXT, SIZE_LF);
    case SIZE_LF:
        return c != '\n' ? BAD : d->left ? DATA : TRAILER_START;
    case DATA_CR:
        return c == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        d->digits = 0;
        return c == '\n' ? SIZE : BAD;
    case TRAILER_START: /* no folded lines */
        return c == '\r' ? END_LF : c == ' ' || c == '\t' ? BAD : on_text(c, TRAILER, BAD);
    case TRAILER:
        return on_text(c, TRAILER, TRAILER_LF);
    case TRAILER_LF:
        return c == '\n' ? TRAILER_START : BAD;
    case END_LF:
        return c == '\n' ? DONE : BAD;
    default:
        return BAD;
    }
}

size_t chunked_step(struct chunked *d, const char *p, size_t n, struct str *ret_data)
{
    size_t at = 0;
    *ret_data = STR_EMPTY;
    while (at < n && d->state != DATA && d->state != DONE && d->state != BAD) {
        d->state = on_framing(d, p[at++]);
        d->overhead++;
    }
    if (d->state != DATA)
        return at;
    size_t take = d->left < n - at ? (size_t)d->left : n - at;
    *ret_data = str_make(p + at, take);
    d->left -= take;
    if (d->left == 0)
        d->state = DATA_CR;
    return at + take;
}

uint64_t chunked_pending(const struct chunked *d)
{
    return d->state == DATA ? d->left : 0;
}

bool chunked_done(const struct chunked *d)
{
    return d->state == DONE;
}

bool chunked_bad(const struct chunked *d)
{
    return d->state == BAD;
}
