/* Label sets and Go's way to quote: see labels.h.
 *
 * Sorting must be stable, because of two labels of one name the first one wins or is named in an
 * error, and must not be quadratic, because it runs before the number of labels is checked: small
 * sets are sorted by insertion, larger ones by merging upwards through a scratch array.
 *
 * quote_go follows strconv.Quote. Go asks its Unicode tables what is printable (letters, marks,
 * numbers, punctuation, symbols, the ASCII space); here everything from U+00A1 on is, except the
 * ranges below: separators, format characters, surrogates, private use, noncharacters and the
 * unassigned rest of the planes. The approximation: code points that are unassigned inside the
 * blocks in use are written as they are. No I/O; any thread. */
#include "model/labels.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { INSERTION_MAX = 24 };

static void insertion_sort(struct label *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        struct label x = v[i];
        uint32_t at = i;
        for (; at > 0 && str_cmp(v[at - 1].name, x.name) > 0; at--)
            v[at] = v[at - 1];
        v[at] = x;
    }
}

/* [lo, mid) and [mid, hi) of `from`, each sorted, into `to`. */
static void merge(
    const struct label *from, struct label *to, uint32_t lo, uint32_t mid, uint32_t hi)
{
    uint32_t a = lo, b = mid;
    for (uint32_t i = lo; i < hi; i++) {
        bool left = a < mid && (b == hi || str_cmp(from[a].name, from[b].name) <= 0);
        to[i] = left ? from[a++] : from[b++];
    }
}

static void merge_sort(struct label *v, struct label *scratch, uint32_t n)
{
    struct label *from = v, *to = scratch;
    for (uint64_t i = 0; i < n; i += INSERTION_MAX)
        insertion_sort(v + i, (uint32_t)MIN((uint64_t)INSERTION_MAX, n - i));
    for (uint64_t width = INSERTION_MAX; width < n; width *= 2) {
        for (uint64_t lo = 0; lo < n; lo += 2 * width)
            merge(from, to, (uint32_t)lo, (uint32_t)MIN(lo + width, (uint64_t)n),
                (uint32_t)MIN(lo + 2 * width, (uint64_t)n));
        struct label *t = from;
        from = to;
        to = t;
    }
    if (from != v)
        memcpy(v, from, n * sizeof *v);
}

void labels_sort(struct label *v, uint32_t n)
{
    struct label *scratch = n > INSERTION_MAX ? mem_try(n * sizeof *scratch) : NULL;
    if (scratch)
        merge_sort(v, scratch, n);
    else
        insertion_sort(v, n); /* also, slowly, when there is no memory */
    mem_free(scratch);
}

struct str labels_get(struct labels ls, struct str name)
{
    uint32_t lo = 0, hi = ls.n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (str_cmp(ls.v[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < ls.n && str_eq(ls.v[lo].name, name) ? ls.v[lo].value : (struct str){0};
}

bool label_is_annotation(struct str name)
{
    return str_eq(name, STR("pyroscope.ingest.throttled")) ||
           str_eq(name, STR("pyroscope.ingest.sampled"));
}

bool labels_eq(struct labels a, struct labels b)
{
    if (a.n != b.n)
        return false;
    for (uint32_t i = 0; i < a.n; i++)
        if (!str_eq(a.v[i].name, b.v[i].name) || !str_eq(a.v[i].value, b.v[i].value))
            return false;
    return true;
}

int labels_cmp(struct labels a, struct labels b)
{
    uint32_t n = MIN(a.n, b.n);
    for (uint32_t i = 0; i < n; i++) {
        int c = str_cmp(a.v[i].name, b.v[i].name);
        if (c == 0)
            c = str_cmp(a.v[i].value, b.v[i].value);
        if (c)
            return c;
    }
    return (a.n > b.n) - (a.n < b.n);
}

uint64_t labels_hash(struct labels ls)
{
    uint64_t h = ls.n;
    for (uint32_t i = 0; i < ls.n; i++) {
        h = hash_u64(h, hash_str(ls.v[i].name));
        h = hash_u64(h, hash_str(ls.v[i].value));
    }
    return h;
}

void labels_format(struct labels ls, struct buf *out)
{
    buf_byte(out, '{');
    for (uint32_t i = 0; i < ls.n; i++) {
        if (i)
            buf_str(out, STR(", "));
        buf_str(out, ls.v[i].name);
        buf_byte(out, '=');
        quote_go(ls.v[i].value, out);
    }
    buf_byte(out, '}');
}

/* Quoting */

struct range {
    uint32_t first, last;
};

/* Not printable from U+007F on; rising. */
static const struct range not_printable[] = {
    {0x007F, 0x00A0}, /* controls, no-break space */
    {0x00AD, 0x00AD}, /* soft hyphen */
    {0x0600, 0x0605}, /* Arabic number marks */
    {0x061C, 0x061C}, {0x06DD, 0x06DD}, {0x070F, 0x070F}, {0x0890, 0x0891}, {0x08E2, 0x08E2},
    {0x1680, 0x1680},                   /* Ogham space */
    {0x180E, 0x180E}, {0x2000, 0x200F}, /* spaces, zero width, directions */
    {0x2028, 0x202F},                   /* line and paragraph separator, embeddings */
    {0x205F, 0x206F},                   /* medium space, invisible operators, isolates */
    {0x3000, 0x3000},                   /* ideographic space */
    {0xD800, 0xF8FF},                   /* surrogates, private use */
    {0xFDD0, 0xFDEF},                   /* noncharacters */
    {0xFEFF, 0xFEFF},                   /* byte order mark */
    {0xFFF0, 0xFFFB},                   /* unassigned, interlinear marks */
    {0xFFFE, 0xFFFF}, {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F},
    {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0x1FFFE, 0x1FFFF}, {0x2FA1E, 0x2FFFF},
    {0x323B0, 0xE00FF},  /* rest of plane 3, planes 4 to 13, tags */
    {0xE01F0, 0x10FFFF}, /* rest of plane 14, private use planes */
};

static bool printable(uint32_t cp)
{
    if (LIKELY(cp < 0x7F))
        return cp >= ' ';
    for (size_t i = 0; i < ARRAY_LEN(not_printable) && not_printable[i].first <= cp; i++)
        if (cp <= not_printable[i].last)
            return false;
    return true;
}

/* The letter after the backslash, 0 when there is none. */
static char short_escape(uint32_t cp)
{
    static const char letters[] = "abtnvfr"; /* from U+0007 to U+000D */
    if (cp == '"' || cp == '\\')
        return (char)cp;
    return cp >= 7 && cp <= 13 ? letters[cp - 7] : 0;
}

static void quote_rune(struct str rune, uint32_t cp, struct buf *out)
{
    char letter = short_escape(cp);
    if (letter) {
        buf_byte(out, '\\');
        buf_byte(out, (uint8_t)letter);
    } else if (printable(cp)) {
        buf_str(out, rune);
    } else if (cp < ' ' || cp == 0x7F) {
        buf_printf(out, "\\x%02x", cp);
    } else if (cp < 0x10000) {
        buf_printf(out, "\\u%04x", cp);
    } else {
        buf_printf(out, "\\U%08x", cp);
    }
}

void quote_go(struct str s, struct buf *out)
{
    buf_byte(out, '"');
    while (s.n) {
        uint32_t cp;
        size_t n = utf8_decode(s, &cp);
        if (n)
            quote_rune(str_head(s, n), cp, out);
        else
            buf_printf(out, "\\x%02x", (uint8_t)s.p[0]);
        s = str_skip(s, n ? n : 1);
    }
    buf_byte(out, '"');
}
