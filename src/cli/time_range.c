/* Times as the options give them: see cli_int.h.
 *
 * The grammar of the server (codec/when.h) never fails: what it does not understand means now. A
 * person who mistypes a time must not get an answer about another one, so texts are checked first;
 * RFC 3339 is understood besides. Times without a zone are UTC.
 *
 * Thread: one. Failure: one of usage. */
#include "base/clock.h"
#include "cli/cli_int.h"
#include "cli/units.h"
#include "codec/when.h"

enum { DEFAULT_SINCE_S = 3600 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool unit_known(struct str unit)
{
    static const char *const units[] = {"s", "sec", "secs", "second", "seconds", "m", "min", "mins",
        "minute", "minutes", "h", "hour", "hours", "d", "day", "days", "w", "week", "weeks", "M",
        "mon", "month", "months", "y", "year", "years"};
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq(unit, str_from(units[i])))
            return true;
    return false;
}

/* (number unit)+ */
static bool span_valid(struct str s)
{
    if (s.n == 0 || s.n > 64)
        return false;
    while (s.n > 0) {
        size_t digits = 0;
        while (digits < s.n && is_digit(s.p[digits]))
            digits++;
        size_t end = digits;
        while (end < s.n && !is_digit(s.p[end]))
            end++;
        if (digits == 0 || digits > 12 || !unit_known(str_make(s.p + digits, end - digits)))
            return false;
        s = str_skip(s, end);
    }
    return true;
}

bool span_parse(struct str text, int64_t *ret_ns)
{
    char now_plus[80] = "now+";
    if (!span_valid(text))
        return false;
    memcpy(now_plus + 4, text.p, text.n);
    *ret_ns = when_parse_ns(str_make(now_plus, 4 + text.n), 0);
    return *ret_ns > 0 && *ret_ns < INT64_MAX;
}

/* Exactly `n` digits at *at, which moves on. */
static bool number(struct str s, size_t *at, size_t n, int64_t max, int64_t *ret_value)
{
    uint64_t v;
    if (*at + n > s.n)
        return false;
    for (size_t i = *at; i < *at + n; i++)
        if (!is_digit(s.p[i]))
            return false;
    if (!str_to_u64(str_make(s.p + *at, n), &v) || v > (uint64_t)max)
        return false;
    *at += n;
    *ret_value = (int64_t)v;
    return true;
}

static bool letter(struct str s, size_t *at, const char *any)
{
    if (*at >= s.n || !strchr(any, s.p[*at]))
        return false;
    (*at)++;
    return true;
}

/* Z, ±hh:mm or nothing, up to the end. */
static bool zone(struct str s, size_t at, int64_t *ret_offset_s)
{
    int64_t h, m;
    *ret_offset_s = 0;
    if (at == s.n || (letter(s, &at, "Zz") && at == s.n))
        return true;
    bool west = s.p[at] == '-';
    if (!letter(s, &at, "+-") || !number(s, &at, 2, 23, &h) || !letter(s, &at, ":") ||
        !number(s, &at, 2, 59, &m) || at != s.n)
        return false;
    *ret_offset_s = (west ? -1 : 1) * (h * 3600 + m * 60);
    return true;
}

static bool date(struct str s, size_t *at, int64_t *ret_days)
{
    int64_t y, m, d, back_y;
    unsigned back_m, back_d;
    if (!number(s, at, 4, 2200, &y) || !letter(s, at, "-") || !number(s, at, 2, 12, &m) ||
        !letter(s, at, "-") || !number(s, at, 2, 31, &d) || y < 1970 || m < 1 || d < 1)
        return false;
    *ret_days = clock_days_from_civil(y, (unsigned)m, (unsigned)d);
    clock_civil_from_days(*ret_days, &back_y, &back_m, &back_d);
    return back_m == m && back_d == d; /* no 31st of February */
}

/* 2026-11-22, 2026-11-22T10:00, 2026-11-22 10:00:05.25+01:00 */
static bool rfc3339(struct str s, int64_t *ret_ns)
{
    int64_t days, h = 0, m = 0, sec = 0, fraction = 0, scale = NS_PER_S, offset = 0;
    size_t at = 0;
    if (!date(s, &at, &days))
        return false;
    if (at < s.n) {
        if (!letter(s, &at, "Tt ") || !number(s, &at, 2, 23, &h) || !letter(s, &at, ":") ||
            !number(s, &at, 2, 59, &m))
            return false;
        if (letter(s, &at, ":") && !number(s, &at, 2, 60, &sec))
            return false;
        if (letter(s, &at, "."))
            for (; at < s.n && is_digit(s.p[at]) && scale > 1; at++) {
                fraction = fraction * 10 + (s.p[at] - '0');
                scale /= 10;
            }
        if (!zone(s, at, &offset))
            return false;
    }
    *ret_ns = (days * 86400 + h * 3600 + m * 60 + sec - offset) * NS_PER_S + fraction * scale;
    return true;
}

bool time_parse(struct str text, int64_t now_ns, int64_t *ret_ns)
{
    struct str s = str_trim(text);
    uint64_t digits;
    if (rfc3339(s, ret_ns))
        return true;
    struct str offset = str_starts(s, STR("now")) ? str_skip(s, 3) : s;
    bool good = s.n > 0 && offset.n == 0; /* "now" */
    if (offset.n > 1 && (offset.p[0] == '-' || offset.p[0] == '+'))
        good = span_valid(str_skip(offset, 1));
    else if (offset.n == s.n && s.n >= 8)
        good = str_to_u64(s, &digits) && is_digit(s.p[0]);
    if (good)
        *ret_ns = when_parse_ns(s, now_ns);
    return good && *ret_ns > 0 && *ret_ns < INT64_MAX;
}

static enum status bad_time(struct cli *c, const char *option, struct str text)
{
    return cli_misuse(c,
        "--%s does not understand the time `%.*s`: write now-30m, 2026-11-22T10:00:00Z or "
        "1700000000",
        option, STR_ARG(text));
}

static enum status since_get(struct cli *c, int64_t *ret_ns)
{
    struct str text = opt_get(c, OPT_SINCE);
    *ret_ns = DEFAULT_SINCE_S * NS_PER_S;
    if (text.p && !span_parse(text, ret_ns))
        return cli_misuse(
            c, "--since does not understand `%.*s`: write 30s, 5m, 1h30m, 2d or 1w", STR_ARG(text));
    return ST_OK;
}

enum status time_range_get(struct cli *c, struct time_range *ret_range)
{
    struct str from = opt_get(c, OPT_FROM), until = opt_get(c, OPT_UNTIL);
    struct time_range r = {.until_ns = c->now_ns};
    int64_t since;
    TRY(since_get(c, &since));
    if (until.p && !time_parse(until, c->now_ns, &r.until_ns))
        return bad_time(c, "until", until);
    if (from.p && opt_has(c, OPT_SINCE))
        return cli_misuse(c, "--from and --since both say where the range begins: give one");
    r.from_ns = r.until_ns - since;
    if (from.p && !time_parse(from, c->now_ns, &r.from_ns))
        return bad_time(c, "from", from);
    if (r.from_ns >= r.until_ns)
        return cli_misuse(c, "the time range ends before it begins: --from must be before --until");
    if (r.from_ns <= 0)
        return cli_misuse(c, "the time range begins before 1970: shorten --since");
    *ret_range = r;
    return ST_OK;
}

static enum status parse_pair(
    struct cli *c, enum option_id id, struct str text, struct time_range *ret_range)
{
    size_t dots = str_find(text, STR(".."));
    const char *name = option_defs[id].name;
    if (dots == STR_NPOS)
        return cli_misuse(c, "--%s wants two times: --%s now-2h..now-1h", name, name);
    struct str from = str_head(text, dots), until = str_skip(text, dots + 2);
    struct time_range r;
    if (!time_parse(from, c->now_ns, &r.from_ns))
        return bad_time(c, name, from);
    if (!time_parse(until, c->now_ns, &r.until_ns))
        return bad_time(c, name, until);
    if (r.from_ns >= r.until_ns)
        return cli_misuse(c, "--%s ends before it begins", name);
    *ret_range = r;
    return ST_OK;
}

enum status time_range_pair(struct cli *c, struct time_range *before, struct time_range *after)
{
    struct str a = opt_get(c, OPT_BEFORE), b = opt_get(c, OPT_AFTER), at = opt_get(c, OPT_AT);
    if (!!a.p != !!b.p || !!at.p == !!a.p || (a.p && opt_has(c, OPT_SINCE)))
        return cli_misuse(c, "say what to compare: --at TIME (with --since), or --before A..B and "
                             "--after C..D");
    if (a.p) {
        TRY(parse_pair(c, OPT_BEFORE, a, before));
        return parse_pair(c, OPT_AFTER, b, after);
    }
    int64_t middle, length;
    TRY(since_get(c, &length));
    if (!time_parse(at, c->now_ns, &middle))
        return bad_time(c, "at", at);
    if (middle >= c->now_ns)
        return cli_misuse(c, "--at lies in the future: nothing has been measured after it");
    length = MIN(length, c->now_ns - middle);
    if (length >= middle)
        return cli_misuse(c, "the time range begins before 1970: shorten --since");
    *before = (struct time_range){middle - length, middle - NS_PER_MS};
    *after = (struct time_range){middle, middle + length};
    return ST_OK;
}

void time_range_put(struct buf *out, struct time_range r)
{
    int64_t s = NS_PER_S;
    units_put_time(out, r.from_ns / s * s);
    buf_str(out, STR(" to "));
    units_put_time(out, (r.until_ns + s - 1) / s * s);
    buf_str(out, STR(" UTC"));
}
