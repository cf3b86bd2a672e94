/* Numbers and texts as people read them: see units.h.
 *
 * A number is divided by the largest scale it reaches and shown with three digits. It reaches a
 * scale already where rounding would carry it there, so that 999.9 ns reads 1.00 µs and never
 * 1000 ns. Text from profiles goes to terminals only through text_put: a function name may hold
 * anything, escape sequences as well. Widths follow the blocks of wide and of combining
 * characters, which is what terminals do.
 *
 * Thread: any, no state. Failure: only through the buffer. */
#include "cli/units.h"

#include <math.h>

#include "base/clock.h"
#include "base/utf8.h"

struct scale {
    double factor;
    const char *unit;
};

static const struct scale time_scales[] = {
    {3600e9, "h"}, {60e9, "min"}, {1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}};
static const struct scale byte_scales[] = {{1125899906842624.0, "PiB"}, {1099511627776.0, "TiB"},
    {1073741824.0, "GiB"}, {1048576.0, "MiB"}, {1024.0, "KiB"}, {1, "B"}};
static const struct scale count_scales[] = {
    {1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}};
enum { N_SCALES = 6 };
_Static_assert(ARRAY_LEN(time_scales) == N_SCALES && ARRAY_LEN(byte_scales) == N_SCALES &&
                   ARRAY_LEN(count_scales) == N_SCALES,
    "one loop serves all");

/* Where three digits round to the next unit's 1.00. */
static bool reaches(double v, double factor, double smaller)
{
    double half_digit = factor / smaller >= 1000 ? 0.5 : factor / smaller >= 100 ? 0.05 : 0.005;
    return v >= factor || (v + half_digit * smaller >= factor && smaller < factor);
}

void units_put(struct buf *out, struct str unit, double value)
{
    const struct scale *scales = count_scales;
    if (str_eq(unit, STR("nanoseconds")))
        scales = time_scales;
    else if (str_eq(unit, STR("bytes")))
        scales = byte_scales;
    double v = fabs(value);
    uint32_t i = 0;
    while (i + 1 < N_SCALES && !reaches(v, scales[i].factor, scales[i + 1].factor))
        i++;
    double shown = v / scales[i].factor;
    bool whole = scales[i].factor == 1 && shown == floor(shown);
    int digits = whole || shown >= 99.95 ? 0 : shown >= 9.995 ? 1 : 2;
    buf_printf(out, "%s%.*f%s%s", value < 0 ? "-" : "", digits, shown, scales[i].unit[0] ? " " : "",
        scales[i].unit);
}

void units_put_percent(struct buf *out, double part, double whole)
{
    double p = whole > 0 ? 100 * part / whole : 0;
    if (p > 0 && p < 0.05)
        buf_str(out, STR("<0.1%"));
    else if (p == 0 || p == 100)
        buf_printf(out, "%.0f%%", p);
    else
        buf_printf(out, "%.1f%%", p);
}

void units_put_span(struct buf *out, int64_t ns)
{
    int64_t s = (ns + NS_PER_S / 2) / NS_PER_S;
    if (s < 120)
        buf_printf(out, "%lld s", (long long)s);
    else if (s < 120 * 60)
        buf_printf(out, "%lld min", (long long)(s / 60));
    else if (s < 48 * 3600)
        buf_printf(out, "%lld h", (long long)(s / 3600));
    else
        buf_printf(out, "%lld d", (long long)(s / 86400));
}

void units_put_time(struct buf *out, int64_t wall_ns)
{
    char t[32];
    clock_format_ms(wall_ns, t);
    t[10] = ' ';
    buf_add(out, t, memcmp(t + 16, ":00", 3) == 0 ? 16 : 19);
}

/* Text */

/* One code point, or U+FFFD for a bad byte or a control character; returns the bytes taken. */
static size_t shown_char(struct str s, uint32_t *ret_cp)
{
    size_t n = utf8_decode(s, ret_cp);
    bool control = *ret_cp < 0x20 || (*ret_cp >= 0x7F && *ret_cp < 0xA0) || *ret_cp == 0x2028 ||
                   *ret_cp == 0x2029 || (*ret_cp >= 0x202A && *ret_cp <= 0x202E) ||
                   (*ret_cp >= 0x2066 && *ret_cp <= 0x2069);
    if (n == 0 || control)
        *ret_cp = 0xFFFD;
    return n ? n : 1;
}

static uint32_t char_width(uint32_t cp)
{
    static const struct {
        uint32_t first, last;
        uint32_t width;
    } blocks[] = {
        {0x0300, 0x036F, 0},
        {0x1100, 0x115F, 2},
        {0x200B, 0x200F, 0},
        {0x2E80, 0xA4CF, 2},
        {0xAC00, 0xD7A3, 2},
        {0xF900, 0xFAFF, 2},
        {0xFE00, 0xFE0F, 0},
        {0xFE30, 0xFE6F, 2},
        {0xFF00, 0xFF60, 2},
        {0xFFE0, 0xFFE6, 2},
        {0x1F300, 0x1FAFF, 2},
        {0x20000, 0x3FFFD, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        if (cp >= blocks[i].first && cp <= blocks[i].last)
            return blocks[i].width;
    return 1;
}

static void put_char(struct buf *out, uint32_t cp)
{
    char bytes[4];
    buf_add(out, bytes, utf8_encode(bytes, cp));
}

void text_put(struct buf *out, struct str s)
{
    uint32_t cp;
    for (size_t n = 0; s.n > 0; s = str_skip(s, n)) {
        n = shown_char(s, &cp);
        put_char(out, cp);
    }
}

uint32_t text_width(struct str s)
{
    uint32_t cp, width = 0;
    for (size_t n = 0; s.n > 0; s = str_skip(s, n)) {
        n = shown_char(s, &cp);
        width += char_width(cp);
    }
    return width;
}

uint32_t text_put_cut(struct buf *out, struct str s, uint32_t width)
{
    uint32_t cp, at = 0, whole = text_width(s);
    if (whole <= width) {
        text_put(out, s);
        return whole;
    }
    for (size_t n = 0; s.n > 0; s = str_skip(s, n)) {
        n = shown_char(s, &cp);
        if (at + char_width(cp) + 1 > width)
            break;
        at += char_width(cp);
        put_char(out, cp);
    }
    if (at < width) {
        put_char(out, 0x2026);
        at++;
    }
    return at;
}

void text_put_spaces(struct buf *out, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        buf_byte(out, ' ');
}

static void put_wrapped_line(struct buf *out, struct str line, uint32_t indent, uint32_t width)
{
    struct str_split it = {.rest = line};
    struct str word;
    uint32_t at = 0;
    while (str_split_next(&it, ' ', &word)) {
        uint32_t w = text_width(word);
        if (at > 0 && at + 1 + w > width) {
            buf_byte(out, '\n');
            at = 0;
        }
        text_put_spaces(out, at > 0 ? 1 : indent);
        text_put(out, word);
        at = (at > 0 ? at + 1 : indent) + w;
    }
    buf_byte(out, '\n');
}

void text_put_wrapped(struct buf *out, struct str s, uint32_t indent, uint32_t width)
{
    struct str_split it = {.rest = s};
    struct str line;
    while (str_split_next(&it, '\n', &line)) {
        if (line.n > 0 && line.p[0] != ' ') {
            put_wrapped_line(out, line, indent, width);
            continue;
        }
        if (line.n > 0)
            text_put_spaces(out, indent);
        text_put(out, line);
        buf_byte(out, '\n');
    }
}

void spark_put(struct buf *out, const double *values, uint32_t n)
{
    double max = 0;
    for (uint32_t i = 0; i < n; i++)
        if (values[i] > max)
            max = values[i];
    for (uint32_t i = 0; i < n; i++) {
        if (isnan(values[i])) {
            buf_byte(out, ' ');
            continue;
        }
        double height = max > 0 ? ceil(8 * values[i] / max) : 1;
        put_char(out, 0x2580 + (uint32_t)MIN(MAX(height, 1), 8));
    }
}

uint32_t edit_distance(struct str a, struct str b)
{
    enum { LENGTH_MAX = 32 };
    uint32_t row[LENGTH_MAX + 1];
    a = str_head(a, LENGTH_MAX);
    b = str_head(b, LENGTH_MAX);
    for (uint32_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (uint32_t i = 0; i < a.n; i++) {
        uint32_t diagonal = row[0];
        row[0] = i + 1;
        for (uint32_t j = 0; j < b.n; j++) {
            uint32_t change = diagonal + (a.p[i] != b.p[j]);
            diagonal = row[j + 1];
            row[j + 1] = MIN(change, MIN(row[j], row[j + 1]) + 1);
        }
    }
    return row[b.n];
}
