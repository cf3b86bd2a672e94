/* The time grammar: see when.h.
 *
 *     digits                        a date (8 digits) or Unix time, its unit told by the length
 *     word [+-] number unit …       now plus or minus the sum; the word is not looked at
 *
 * The text is first stripped of blanks, `_` and `,`; what does not fit the buffer is not
 * understood. Arithmetic saturates: hostile numbers are times far away. Pure; nothing fails. */
#include "codec/when.h"

enum { TEXT_MAX = 256, DAY_S = 86400 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int64_t add_sat(int64_t a, int64_t b)
{
    int64_t r;
    if (__builtin_add_overflow(a, b, &r))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return r;
}

/* b is positive. */
static int64_t mul_sat(int64_t a, int64_t b)
{
    int64_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return a > 0 ? INT64_MAX : INT64_MIN;
    return r;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar; years count from March, so that the
 * leap day is the last of its year. */
static int64_t days_from_date(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era_year = y % 400;
    int64_t year_day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t era_day = era_year * 365 + era_year / 4 - era_year / 100 + year_day;
    return y / 400 * 146097 + era_day - 719468;
}

static bool parse_date(struct str s, int64_t *ret_ns)
{
    static const int8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t v;
    if (s.n != 8 || !str_to_u64(s, &v))
        return false;
    int64_t y = (int64_t)(v / 10000), m = (int64_t)(v / 100 % 100), d = (int64_t)(v % 100);
    if (y <= 1900 || m < 1 || m > 12 || d < 1)
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (d > month_days[m - 1] + (m == 2 && leap))
        return false;
    *ret_ns = mul_sat(days_from_date(y, m, d), DAY_S * NS_PER_S);
    return true;
}

static int64_t parse_digits(struct str s, int64_t now_ns)
{
    int64_t v;
    if (parse_date(s, &v))
        return v;
    if (!str_to_i64(s, &v))
        return now_ns;
    switch (s.n) {
    case 13:
        return mul_sat(v, NS_PER_MS);
    case 16:
        return mul_sat(v, NS_PER_US);
    case 19:
        return v;
    default:
        return mul_sat(v, NS_PER_S);
    }
}

static int64_t unit_seconds(struct str unit)
{
    static const struct {
        const char *prefix;
        int64_t seconds;
    } units[] = {
        {"s", 1},
        {"mon", 30 * DAY_S},
        {"M", 30 * DAY_S},
        {"m", 60},
        {"h", 3600},
        {"d", DAY_S},
        {"w", 7 * DAY_S},
        {"y", 365 * DAY_S},
    };
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_starts(unit, str_from(units[i].prefix)))
            return units[i].seconds;
    return 0;
}

/* The seconds of "1h30m…": numbers, each with everything up to the next digit as its unit. */
static int64_t parse_offset(struct str s)
{
    int64_t sum = 0;
    while (s.n > 0) {
        size_t digits = 0, end;
        int64_t v = 0;
        while (digits < s.n && is_digit(s.p[digits]))
            v = add_sat(mul_sat(v, 10), s.p[digits++] - '0');
        for (end = digits; end < s.n && !is_digit(s.p[end]);)
            end++;
        struct str unit = str_make(s.p + digits, end - digits);
        int64_t seconds = unit_seconds(unit);
        sum = add_sat(sum, seconds ? mul_sat(v, seconds) : 0);
        s = str_skip(s, end);
    }
    return sum;
}

/* What counts of the text; false when it is too long to mean anything. */
static bool strip(struct str text, char *out, size_t *n)
{
    text = str_trim(text);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '_' || c == ',' || c == ' ')
            continue;
        if (*n == TEXT_MAX)
            return false;
        out[(*n)++] = c;
    }
    return true;
}

int64_t when_parse_ns(struct str text, int64_t now_ns)
{
    char out[TEXT_MAX];
    size_t n = 0, digits = 0;
    if (!strip(text, out, &n) || n == 0)
        return now_ns;
    struct str s = str_make(out, n);
    while (digits < n && is_digit(out[digits]))
        digits++;
    if (digits == n)
        return parse_digits(s, now_ns);
    size_t sign = str_find_char(s, '+');
    if (sign == STR_NPOS)
        sign = str_find_char(s, '-');
    if (sign == STR_NPOS)
        return now_ns;
    int64_t offset = mul_sat(parse_offset(str_skip(s, sign + 1)), NS_PER_S);
    return add_sat(now_ns, out[sign] == '-' ? -offset : offset);
}
