/* Values of settings: text to typed value and back to canonical text. Pure; any thread.
 *
 * The grammars are Go's: strconv for booleans, integers (0x, 0o, 0b, underscores) and floats,
 * time.ParseDuration for plain durations, Prometheus' for extended ones (whole numbers with the
 * units y w d h m s ms, each at most once and in that order; a plain 0). All sums are checked. */
#include "server/config_int.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { NUMBER_MAX = 64 };

static bool parse_bool(struct str s, bool *ret)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (str_eq(s, str_from(yes[i])) || str_eq(s, str_from(no[i]))) {
            *ret = str_eq(s, str_from(yes[i]));
            return true;
        }
    }
    return false;
}

static bool digit_of(char c, unsigned base, unsigned *ret)
{
    unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                 : c >= 'a' && c <= 'z' ? (unsigned)(c - 'a') + 10
                 : c >= 'A' && c <= 'Z' ? (unsigned)(c - 'A') + 10
                                        : 99;
    *ret = d;
    return d < base;
}

/* Digits with single underscores between them (also after a base prefix). */
static bool parse_digits(struct str s, unsigned base, uint64_t *ret, bool *ret_range)
{
    uint64_t v = 0;
    bool any = false, over = false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned d;
        if (s.p[i] == '_') {
            if (i + 1 == s.n || s.p[i + 1] == '_' || (i == 0 && base == 10))
                return false;
            continue;
        }
        if (!digit_of(s.p[i], base, &d))
            return false;
        any = true;
        over |= __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v);
    }
    *ret = v;
    *ret_range = over;
    return any && !over;
}

static bool parse_int(struct str s, int64_t *ret, bool *ret_range)
{
    bool neg = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_skip(s, 1);
    unsigned base = 10;
    if (s.n > 1 && s.p[0] == '0') {
        char c = s.p[1] | 0x20;
        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        s = str_skip(s, c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
    }
    uint64_t v;
    if (!parse_digits(s, base, &v, ret_range))
        return false;
    if (v > (uint64_t)INT64_MAX + neg) {
        *ret_range = true;
        return false;
    }
    *ret = neg ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static bool parse_float(struct str s, double *ret)
{
    char z[NUMBER_MAX];
    if (s.n == 0 || s.n >= sizeof z || s.p[0] == ' ')
        return false;
    memcpy(z, s.p, s.n);
    z[s.n] = 0;
    char *end;
    double v = strtod(z, &end);
    if (*end || !isfinite(v))
        return false;
    *ret = v;
    return true;
}

struct unit {
    const char *name;
    int64_t size;
};

static bool parse_bytes(struct str s, uint64_t *ret, bool *ret_range)
{
    static const struct unit units[] = {{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
        {"KB", 1000}, {"MB", 1000000}, {"GB", 1000000000}, {"B", 1}};
    int64_t size = 1, v;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        struct str u = str_from(units[i].name);
        if (str_ends(s, u)) {
            size = units[i].size;
            s = str_head(s, s.n - u.n);
            break;
        }
    }
    if (!parse_int(s, &v, ret_range) || v < 0)
        return false;
    *ret_range = __builtin_mul_overflow((uint64_t)v, (uint64_t)size, ret);
    return !*ret_range;
}

/* "12.5" at the start of *s, as a whole part and a fraction in 1e-9; advances. */
static bool take_number(struct str *s, uint64_t *ret_whole, uint64_t *ret_nano)
{
    uint64_t whole = 0, nano = 0, scale = NS_PER_S;
    size_t i = 0, digits = 0;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++, digits++) {
        if (whole > (uint64_t)INT64_MAX / 10)
            return false;
        whole = whole * 10 + (uint64_t)(s->p[i] - '0');
    }
    if (i < s->n && s->p[i] == '.')
        for (i++; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++, digits++) {
            scale /= 10;
            nano += scale * (uint64_t)(s->p[i] - '0');
        }
    *s = str_skip(*s, i);
    *ret_whole = whole;
    *ret_nano = nano;
    return digits > 0;
}

static struct str take_letters(struct str *s)
{
    size_t i = 0;
    while (i < s->n && (s->p[i] < '0' || s->p[i] > '9') && s->p[i] != '.')
        i++;
    struct str unit = str_head(*s, i);
    *s = str_skip(*s, i);
    return unit;
}

bool config_duration_parse(struct str s, int64_t *ret_ns)
{
    static const struct unit units[] = {{"ns", 1}, {"us", NS_PER_US}, {"\u00b5s", NS_PER_US},
        {"\u03bcs", NS_PER_US}, {"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S},
        {"h", 3600 * NS_PER_S}};
    bool neg = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_skip(s, 1);
    if (str_eq(s, STR("0"))) {
        *ret_ns = 0;
        return true;
    }
    if (s.n == 0)
        return false;
    int64_t sum = 0;
    while (s.n) {
        uint64_t whole, nano;
        if (!take_number(&s, &whole, &nano))
            return false;
        struct str unit = take_letters(&s);
        size_t u = 0;
        while (u < ARRAY_LEN(units) && !str_eq(unit, str_from(units[u].name)))
            u++;
        if (u == ARRAY_LEN(units))
            return false;
        int64_t part = (int64_t)((unsigned __int128)nano * (uint64_t)units[u].size / NS_PER_S), t;
        if (__builtin_mul_overflow((int64_t)whole, units[u].size, &t) ||
            __builtin_add_overflow(sum, t, &sum) || __builtin_add_overflow(sum, part, &sum))
            return false;
    }
    *ret_ns = neg ? -sum : sum;
    return true;
}

static const struct unit xunits[] = {{"y", 365 * 86400 * NS_PER_S}, {"w", 7 * 86400 * NS_PER_S},
    {"d", 86400 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"m", 60 * NS_PER_S}, {"s", NS_PER_S},
    {"ms", NS_PER_MS}};

bool config_xduration_parse(struct str s, int64_t *ret_ns)
{
    if (str_eq(s, STR("0"))) {
        *ret_ns = 0;
        return true;
    }
    if (s.n == 0)
        return false;
    int64_t sum = 0;
    size_t at = 0; /* units come in falling order */
    while (s.n) {
        uint64_t whole, nano;
        if (s.p[0] == '.' || !take_number(&s, &whole, &nano) || nano)
            return false;
        struct str unit = take_letters(&s);
        while (at < ARRAY_LEN(xunits) && !str_eq(unit, str_from(xunits[at].name)))
            at++;
        int64_t t;
        if (at == ARRAY_LEN(xunits) || whole > INT64_MAX ||
            __builtin_mul_overflow((int64_t)whole, xunits[at].size, &t) ||
            __builtin_add_overflow(sum, t, &sum))
            return false;
        at++;
    }
    *ret_ns = sum;
    return true;
}

static const struct str positions[] = {[DEFAULT_RULES_FIRST] = {"first", 5},
    [DEFAULT_RULES_LAST] = {"last", 4},
    [DEFAULT_RULES_DISABLED] = {"disabled", 8}};

static bool parse_word(struct str s, const struct str *words, size_t n, int64_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (!str_eq(s, words[i]))
            continue;
        *ret = (int64_t)i;
        return true;
    }
    return false;
}

bool config_is_compiled(enum config_type type)
{
    return type == CONFIG_RULES || type == CONFIG_TYPE_RULES || type == CONFIG_USAGE_GROUPS ||
           type == CONFIG_GROUP_SAMPLING || type == CONFIG_GROUP_QUOTAS;
}

enum status config_compile(
    enum config_type type, struct str json, const void **ret, struct error *err)
{
    const struct relabel *rules = NULL;
    const struct usage_groups *groups = NULL;
    const struct group_rules *of_groups = NULL;
    switch (type) {
    case CONFIG_RULES:
    case CONFIG_TYPE_RULES:
        TRY(relabel_compile(json, type == CONFIG_TYPE_RULES, &rules, err));
        *ret = rules;
        return ST_OK;
    case CONFIG_USAGE_GROUPS:
        TRY(usage_groups_compile(json, &groups, err));
        *ret = groups;
        return ST_OK;
    case CONFIG_GROUP_SAMPLING:
        TRY(group_sampling_compile(json, &of_groups, err));
        *ret = of_groups;
        return ST_OK;
    default:
        TRY(group_quotas_compile(json, &of_groups, err));
        *ret = of_groups;
        return ST_OK;
    }
}

/* The text of the compiled value at p. */
static struct str compiled_text(enum config_type type, const void *p)
{
    if (type == CONFIG_USAGE_GROUPS)
        return usage_groups_text(*(const struct usage_groups *const *)p);
    if (type == CONFIG_GROUP_SAMPLING || type == CONFIG_GROUP_QUOTAS)
        return group_rules_text(*(const struct group_rules *const *)p);
    return relabel_text(*(const struct relabel *const *)p);
}

bool config_value_parse(
    enum config_type type, struct str text, struct config_value *ret_value, bool *ret_range)
{
    *ret_range = false;
    switch (type) {
    case CONFIG_STRING:
    case CONFIG_SECRET:
    case CONFIG_LIST:
    case CONFIG_ANY:
        ret_value->s = text;
        return true;
    case CONFIG_RULES:
    case CONFIG_TYPE_RULES:
    case CONFIG_USAGE_GROUPS:
    case CONFIG_GROUP_SAMPLING:
    case CONFIG_GROUP_QUOTAS:
        return config_compile(type, text, &ret_value->compiled, NULL) == ST_OK;
    case CONFIG_POSITION:
        return parse_word(text, positions, ARRAY_LEN(positions), &ret_value->i);
    case CONFIG_PERIOD:
        return parse_word(text, ingest_periods, INGEST_PERIODS, &ret_value->i);
    case CONFIG_BOOL:
        return parse_bool(text, &ret_value->b);
    case CONFIG_INT:
        return parse_int(text, &ret_value->i, ret_range);
    case CONFIG_BYTES:
        return parse_bytes(text, &ret_value->u, ret_range);
    case CONFIG_FLOAT:
        return parse_float(text, &ret_value->f);
    case CONFIG_DURATION:
        return config_duration_parse(text, &ret_value->i);
    case CONFIG_XDURATION:
        return config_xduration_parse(text, &ret_value->i);
    }
    ASSERT(false);
    return false;
}

/* Go's Duration.String. */
static void format_duration(int64_t ns, struct buf *out)
{
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (ns < 0)
        buf_byte(out, '-');
    if (u == 0) {
        buf_str(out, STR("0s"));
        return;
    }
    if (u < (uint64_t)NS_PER_S) {
        const char *unit = u < (uint64_t)NS_PER_US   ? "ns"
                           : u < (uint64_t)NS_PER_MS ? "\u00b5s"
                                                     : "ms";
        double size = u < (uint64_t)NS_PER_US ? 1 : u < (uint64_t)NS_PER_MS ? 1e3 : 1e6;
        buf_printf(out, "%.10g%s", (double)u / size, unit);
        return;
    }
    uint64_t s = u / NS_PER_S, rest = u % NS_PER_S;
    if (s >= 3600)
        buf_printf(out, "%lluh", (unsigned long long)(s / 3600));
    if (s >= 60)
        buf_printf(out, "%llum", (unsigned long long)(s / 60 % 60));
    buf_printf(out, "%llu", (unsigned long long)(s % 60));
    if (rest) {
        char frac[16];
        int n = snprintf(frac, sizeof frac, ".%09llu", (unsigned long long)rest);
        while (n > 1 && frac[n - 1] == '0')
            n--;
        buf_add(out, frac, (size_t)n);
    }
    buf_byte(out, 's');
}

/* Prometheus' form: y, w and d only when they are exact. */
static void format_xduration(int64_t ns, struct buf *out)
{
    if (ns <= 0) {
        buf_str(out, STR("0s"));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(xunits) && ns; i++) {
        int64_t n = ns / xunits[i].size;
        bool exact_only = i < 3;
        if (n == 0 || (exact_only && ns % xunits[i].size))
            continue;
        buf_printf(out, "%lld%s", (long long)n, xunits[i].name);
        ns -= n * xunits[i].size;
    }
}

void config_value_format(enum config_type type, const void *p, struct buf *out)
{
    switch (type) {
    case CONFIG_STRING:
    case CONFIG_LIST:
    case CONFIG_ANY:
        buf_str(out, *(const struct str *)p);
        return;
    case CONFIG_SECRET:
        buf_str(out, ((const struct str *)p)->n ? STR("********") : STR_EMPTY);
        return;
    case CONFIG_RULES:
    case CONFIG_TYPE_RULES:
    case CONFIG_USAGE_GROUPS:
    case CONFIG_GROUP_SAMPLING:
    case CONFIG_GROUP_QUOTAS: {
        bool list = type == CONFIG_RULES || type == CONFIG_TYPE_RULES;
        struct str text = compiled_text(type, p);
        buf_str(out, text.n ? text : list ? STR("[]") : STR("{}"));
        return;
    }
    case CONFIG_POSITION:
        buf_str(out, positions[*(const int64_t *)p]);
        return;
    case CONFIG_PERIOD:
        buf_str(out, ingest_periods[*(const int64_t *)p]);
        return;
    case CONFIG_BOOL:
        buf_str(out, *(const bool *)p ? STR("true") : STR("false"));
        return;
    case CONFIG_INT:
        buf_printf(out, "%lld", (long long)*(const int64_t *)p);
        return;
    case CONFIG_BYTES:
        buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)p);
        return;
    case CONFIG_FLOAT:
        buf_printf(out, "%.10g", *(const double *)p);
        return;
    case CONFIG_DURATION:
        format_duration(*(const int64_t *)p, out);
        return;
    case CONFIG_XDURATION:
        format_xduration(*(const int64_t *)p, out);
        return;
    }
}

bool config_value_store(
    enum config_type type, const struct config_value *v, void *p, struct arena *arena)
{
    switch (type) {
    case CONFIG_STRING:
    case CONFIG_SECRET:
    case CONFIG_LIST:
    case CONFIG_ANY: {
        struct str s = arena_str(arena, v->s);
        if (s.p)
            *(struct str *)p = s;
        return s.p != NULL;
    }
    case CONFIG_RULES:
    case CONFIG_TYPE_RULES:
    case CONFIG_USAGE_GROUPS:
    case CONFIG_GROUP_SAMPLING:
    case CONFIG_GROUP_QUOTAS:
        memcpy(p, &v->compiled, sizeof v->compiled); /* a pointer of its own type */
        return true;
    case CONFIG_BOOL:
        *(bool *)p = v->b;
        return true;
    case CONFIG_BYTES:
        *(uint64_t *)p = v->u;
        return true;
    case CONFIG_FLOAT:
        *(double *)p = v->f;
        return true;
    case CONFIG_INT:
    case CONFIG_POSITION:
    case CONFIG_PERIOD:
    case CONFIG_DURATION:
    case CONFIG_XDURATION:
        *(int64_t *)p = v->i;
        return true;
    }
    return false;
}
