/* JSON texts of strings and numbers: see json.h.
 *
 * Everything is appended to a buffer whose failure is sticky. The integers and plain runs of
 * strings are the hot paths: a flame graph has a million of the former.
 * Invariant: whatever the bytes given, the output is valid JSON and valid UTF-8.
 * Thread: the caller's. Failure: only out->failed. */
#include "codec/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

static bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void put_control(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *hit = c ? strchr(from, c) : NULL;
    if (hit) {
        char two[2] = {'\\', to[hit - from]};
        buf_add(out, two, sizeof two);
        return;
    }
    char six[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    buf_add(out, six, sizeof six);
}

void json_put_string(struct buf *out, struct str s)
{
    buf_byte(out, '"');
    for (size_t i = 0; i < s.n;) {
        size_t run = i;
        while (run < s.n && plain((unsigned char)s.p[run]))
            run++;
        buf_add(out, s.p + i, run - i);
        if (run == s.n)
            break;
        i = run;
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x80) {
            put_control(out, c);
            i++;
            continue;
        }
        uint32_t cp;
        size_t n = utf8_decode(str_skip(s, i), &cp);
        if (n)
            buf_add(out, s.p + i, n);
        else
            buf_str(out, STR("\xEF\xBF\xBD"));
        i += n ? n : 1;
    }
    buf_byte(out, '"');
}

static void put_digits(struct buf *out, bool negative, uint64_t v)
{
    char text[24], *p = text + sizeof text;
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    if (negative)
        *--p = '-';
    buf_add(out, p, (size_t)(text + sizeof text - p));
}

void json_put_i64(struct buf *out, int64_t v)
{
    put_digits(out, v < 0, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void json_put_u64(struct buf *out, uint64_t v)
{
    put_digits(out, false, v);
}

void json_put_double(struct buf *out, double v)
{
    if (isnan(v)) {
        buf_str(out, STR("\"NaN\""));
        return;
    }
    if (isinf(v)) {
        buf_str(out, v > 0 ? STR("\"Infinity\"") : STR("\"-Infinity\""));
        return;
    }
    if (v == 0 && signbit(v)) { /* as "-0" many readers would take it for the integer 0 */
        buf_str(out, STR("-0.0"));
        return;
    }
    if (fabs(v) < 9007199254740992.0 && v == (double)(int64_t)v) {
        json_put_i64(out, (int64_t)v);
        return;
    }
    char text[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_str(out, str_from(text));
}
