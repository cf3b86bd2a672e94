/* The JSON reader: see json.h.
 *
 * A state says what may come next; a bit per open level says whether it is an object, so nesting
 * costs a bit and no recursion.
 *
 *            ┌──────────────── value ────────────────┐
 *   VALUE ───┤                                       ├──► AFTER ── , ──► VALUE | NAME
 *            └─ { ─► FIRST_NAME    [ ─► FIRST_VALUE ─┘      └──── } ] ──► AFTER (one level up)
 *
 * Invariants: 1. at <= in.n, always. 2. depth levels have their bit set or clear in `objects`.
 * 3. Every call consumes at least one byte, or fails, or returns JSON_END.
 * Thread: the caller's. Failure: a status with the position; nothing is kept. */
#include "codec/json.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "base/varint.h"

enum { VALUE, FIRST_VALUE, NAME, FIRST_NAME, AFTER };
enum { SHOWN_MAX = 100, PLAIN_DIGITS_MAX = 19 };

void json_start(struct json_reader *r, struct str in, struct arena *arena)
{
    r->in = in;
    r->at = r->token_at = 0;
    r->arena = arena;
    r->text = STR_EMPTY;
    r->depth = 0;
    r->state = VALUE;
}

struct str json_shown(const struct json_reader *r)
{
    size_t n = r->at - r->token_at;
    if (n > SHOWN_MAX) {
        n = SHOWN_MAX;
        while (n && ((unsigned char)r->in.p[r->token_at + n] & 0xC0) == 0x80)
            n--;
    }
    return str_make(r->in.p + r->token_at, n);
}

void json_position(const struct json_reader *r, uint32_t *ret_line, uint32_t *ret_column)
{
    uint32_t line = 1, column = 1;
    for (size_t i = 0; i < r->token_at; i++) {
        unsigned char c = (unsigned char)r->in.p[i];
        column += (c & 0xC0) != 0x80;
        if (c == '\n') {
            line++;
            column = 1;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

static enum status syntax(const struct json_reader *r, const char *what, struct error *err)
{
    uint32_t line, column;
    json_position(r, &line, &column);
    FAIL(err, ST_INVALID_ARGUMENT, "syntax error (line %u:%u): %s", line, column, what);
}

enum status json_unexpected(const struct json_reader *r, struct error *err)
{
    struct str left = str_skip(r->in, r->token_at);
    if (left.n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "unexpected EOF");
    uint32_t line, column, cp;
    json_position(r, &line, &column);
    size_t first = utf8_decode(left, &cp);
    struct str shown = r->at > r->token_at ? json_shown(r) : str_head(left, first ? first : 1);
    FAIL(err, ST_INVALID_ARGUMENT, "syntax error (line %u:%u): unexpected token %.*s", line, column,
        STR_ARG(shown));
}

static inline void skip_blanks(struct json_reader *r)
{
    while (r->at < r->in.n && (unsigned char)r->in.p[r->at] <= ' ') {
        char c = r->in.p[r->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            break;
        r->at++;
    }
    r->token_at = r->at;
}

static bool in_object(const struct json_reader *r)
{
    uint32_t level = r->depth - 1;
    return r->objects[level / 8] >> (level % 8) & 1;
}

static enum status open_level(struct json_reader *r, bool object, struct error *err)
{
    if (r->depth == JSON_DEPTH_MAX)
        return syntax(r, "exceeded max recursion depth", err);
    uint8_t bit = (uint8_t)(1u << (r->depth % 8));
    if (object)
        r->objects[r->depth / 8] |= bit;
    else
        r->objects[r->depth / 8] &= (uint8_t)~bit;
    r->depth++;
    r->at++;
    r->state = object ? FIRST_NAME : FIRST_VALUE;
    return ST_OK;
}

/* ── strings ── */

static bool hex4(const char *p, uint32_t *ret_value)
{
    uint8_t b[2];
    bool ok = str_to_bytes(str_make(p, 4), b, sizeof b);
    *ret_value = ok ? (uint32_t)(b[0] << 8 | b[1]) : 0;
    return ok;
}

/* \uXXXX, or two of them for a code point above U+FFFF; a lone surrogate is an error. Returns the
 * length read, 0 on failure. */
static size_t unescape_unicode(struct str s, char *out, size_t *n)
{
    uint32_t cp, low;
    if (s.n < 6 || !hex4(s.p + 2, &cp))
        return 0;
    size_t used = 6;
    if (cp >= 0xDC00 && cp <= 0xDFFF)
        return 0;
    if (cp >= 0xD800 && cp < 0xDC00) {
        if (s.n < 12 || s.p[6] != '\\' || s.p[7] != 'u' || !hex4(s.p + 8, &low) || low < 0xDC00 ||
            low > 0xDFFF)
            return 0;
        cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
        used = 12;
    }
    *n += utf8_encode(out + *n, cp);
    return used;
}

/* One escape at the start of s; the same contract. */
static size_t unescape(struct str s, char *out, size_t *n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s.n < 2)
        return 0;
    if (s.p[1] == 'u')
        return unescape_unicode(s, out, n);
    const char *hit = s.p[1] ? strchr(from, s.p[1]) : NULL;
    if (!hit)
        return 0;
    out[(*n)++] = to[hit - from];
    return 2;
}

/* `body` is between the quotes and has escapes; decoded text is never longer than its source. */
static enum status decode_escapes(struct json_reader *r, struct str body, struct error *err)
{
    char *out = arena_alloc(r->arena, body.n);
    if (!out)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "out of memory for the request");
    size_t n = 0;
    for (size_t i = 0; i < body.n;) {
        const char *escape = memchr(body.p + i, '\\', body.n - i);
        size_t plain = escape ? (size_t)(escape - body.p) - i : body.n - i;
        memcpy(out + n, body.p + i, plain);
        n += plain;
        i += plain;
        if (i == body.n)
            break;
        size_t used = unescape(str_skip(body, i), out, &n);
        if (used == 0)
            return syntax(r, "invalid escape in string", err);
        i += used;
    }
    r->text = str_make(out, n);
    return ST_OK;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* How many of eight bytes come before one that ends a string, is an escape, a control character or
 * beyond ASCII. A borrow reaches higher bytes only, so the lowest mark is exact. */
static size_t plain8(const char *p)
{
    uint64_t v = load_u64le(p);
    uint64_t quote = v ^ EACH('"'), slash = v ^ EACH('\\');
    uint64_t odd = v | ((v - EACH(0x20)) & ~v) | ((quote - EACH(1)) & ~quote) |
                   ((slash - EACH(1)) & ~slash);
    odd &= EACH(0x80);
    return odd ? (size_t)__builtin_ctzll(odd) / 8 : 8;
}

/* Leaves `at` behind the closing quote and the decoded text in r->text. */
static enum status read_string(struct json_reader *r, struct error *err)
{
    const char *start = r->in.p + r->at + 1, *p = start, *end = r->in.p + r->in.n;
    bool escapes = false;
    unsigned char high = 0;
    for (size_t n = 8; n == 8 && end - p >= 8;)
        p += n = plain8(p);
    for (; p < end && *p != '"'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20)
            return syntax(r, "invalid character in string", err);
        high |= c;
        if (c == '\\') {
            escapes = true;
            if (++p == end)
                break;
            high |= (unsigned char)*p;
        }
    }
    if (p >= end)
        FAIL(err, ST_INVALID_ARGUMENT, "unexpected EOF");
    struct str body = str_make(start, (size_t)(p - start));
    if (high >= 0x80 && !utf8_valid(body))
        return syntax(r, "invalid UTF-8 in string", err);
    r->at = (size_t)(p - r->in.p) + 1;
    r->text = body;
    return escapes ? decode_escapes(r, body, err) : ST_OK;
}

/* ── numbers and words ── */

static size_t digits(struct str s, size_t from)
{
    size_t i = from;
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    return i - from;
}

/* Length of the number at the start of s, 0 if there is none. */
static size_t number_length(struct str s)
{
    size_t i = s.n && s.p[0] == '-';
    size_t n = digits(s, i);
    if (n == 0 || (n > 1 && s.p[i] == '0'))
        return 0;
    i += n;
    if (i < s.n && s.p[i] == '.') {
        n = digits(s, i + 1);
        if (n == 0)
            return 0;
        i += 1 + n;
    }
    if (i < s.n && (s.p[i] | 0x20) == 'e') {
        i++;
        i += i < s.n && (s.p[i] == '+' || s.p[i] == '-');
        n = digits(s, i);
        if (n == 0)
            return 0;
        i += n;
    }
    return i;
}

/* What would glue to a number or a word and so make it another token. */
static bool ends_token(const struct json_reader *r, size_t at)
{
    static const bool ends[256] = {[' '] = true,
        ['\t'] = true,
        ['\r'] = true,
        ['\n'] = true,
        [','] = true,
        [':'] = true,
        [']'] = true,
        ['}'] = true,
        ['['] = true,
        ['{'] = true,
        ['"'] = true};
    return at == r->in.n || ends[(unsigned char)r->in.p[at]];
}

static enum status read_number(struct json_reader *r, enum json_token *ret_token, struct error *err)
{
    size_t n = number_length(str_skip(r->in, r->at));
    if (n == 0 || n > JSON_NUMBER_MAX || !ends_token(r, r->at + n))
        return syntax(r, "invalid number", err);
    r->text = str_make(r->in.p + r->at, n);
    r->at += n;
    r->state = AFTER;
    *ret_token = JSON_NUMBER;
    return ST_OK;
}

static enum status read_word(struct json_reader *r, enum json_token *ret_token, struct error *err)
{
    static const struct {
        struct str word;
        enum json_token token;
    } words[] = {{{"true", 4}, JSON_TRUE}, {{"false", 5}, JSON_FALSE}, {{"null", 4}, JSON_NULL}};
    struct str left = str_skip(r->in, r->at);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!str_starts(left, words[i].word) || !ends_token(r, r->at + words[i].word.n))
            continue;
        r->at += words[i].word.n;
        r->state = AFTER;
        *ret_token = words[i].token;
        return ST_OK;
    }
    return json_unexpected(r, err);
}

/* ── tokens ── */

static enum status read_value(struct json_reader *r, enum json_token *ret_token, struct error *err)
{
    if (r->at == r->in.n)
        return json_unexpected(r, err);
    char c = r->in.p[r->at];
    switch (c) {
    case '{':
        *ret_token = JSON_OBJECT;
        return open_level(r, true, err);
    case '[':
        *ret_token = JSON_ARRAY;
        return open_level(r, false, err);
    case '"':
        *ret_token = JSON_STRING;
        r->state = AFTER;
        return read_string(r, err);
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return read_number(r, ret_token, err);
        return read_word(r, ret_token, err);
    }
}

/* The name, the colon behind it; the value is the next token. */
static enum status read_name(struct json_reader *r, enum json_token *ret_token, struct error *err)
{
    if (r->at == r->in.n || r->in.p[r->at] != '"')
        return json_unexpected(r, err);
    TRY(read_string(r, err));
    size_t start = r->token_at;
    skip_blanks(r);
    if (r->at == r->in.n || r->in.p[r->at] != ':')
        return json_unexpected(r, err);
    r->at++;
    r->token_at = start;
    r->state = VALUE;
    *ret_token = JSON_NAME;
    return ST_OK;
}

static enum status close_level(struct json_reader *r, enum json_token *ret_token)
{
    *ret_token = in_object(r) ? JSON_OBJECT_END : JSON_ARRAY_END;
    r->at++;
    r->depth--;
    r->state = AFTER;
    return ST_OK;
}

static bool at_close(const struct json_reader *r)
{
    return r->at < r->in.n && r->in.p[r->at] == (in_object(r) ? '}' : ']');
}

enum status json_next(struct json_reader *r, enum json_token *ret_token, struct error *err)
{
    skip_blanks(r);
    if (r->state == AFTER && r->depth == 0) {
        if (r->at < r->in.n)
            return json_unexpected(r, err);
        *ret_token = JSON_END;
        return ST_OK;
    }
    bool may_close = r->state == AFTER || r->state == FIRST_NAME || r->state == FIRST_VALUE;
    if (may_close && at_close(r))
        return close_level(r, ret_token);
    if (r->state == AFTER) {
        if (r->at == r->in.n || r->in.p[r->at] != ',')
            return json_unexpected(r, err);
        r->at++;
        skip_blanks(r);
        r->state = in_object(r) ? NAME : VALUE;
    }
    if (r->state == NAME || r->state == FIRST_NAME)
        return read_name(r, ret_token, err);
    return read_value(r, ret_token, err);
}

enum status json_skip(struct json_reader *r, struct error *err)
{
    uint32_t depth = r->depth;
    enum json_token token;
    do
        TRY(json_next(r, &token, err));
    while (r->depth > depth);
    return ST_OK;
}

bool json_is_number(struct str s)
{
    return s.n > 0 && s.n <= JSON_NUMBER_MAX && number_length(s) == s.n;
}

/* ── values of numbers ── */

/* The exponent's text, clamped: beyond ±100000 no number of JSON_NUMBER_MAX digits is an integer
 * that fits, unless it is zero. */
static int64_t exponent(struct str s)
{
    bool negative = s.n && s.p[0] == '-';
    int64_t v = 0;
    for (size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'); i < s.n; i++)
        v = MIN(v * 10 + (s.p[i] - '0'), 100000);
    return negative ? -v : v;
}

/* sign × magnitude, exactly; false for fractions and beyond 64 bits. */
static bool to_integer(struct str s, bool *ret_negative, uint64_t *ret_magnitude)
{
    char sig[JSON_NUMBER_MAX];
    size_t n = 0, fraction = 0, i = s.p[0] == '-';
    bool point = false;
    for (; i < s.n && (s.p[i] | 0x20) != 'e'; i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        fraction += point;
        if (n || s.p[i] != '0')
            sig[n++] = s.p[i];
    }
    int64_t exp = (i < s.n ? exponent(str_skip(s, i + 1)) : 0) - (int64_t)fraction;
    for (; n && sig[n - 1] == '0'; n--)
        exp++;
    uint64_t v = 0;
    if (n && (exp < 0 || exp > 20))
        return false;
    for (size_t k = 0; n && k < n + (size_t)exp; k++) {
        unsigned digit = k < n ? (unsigned)(sig[k] - '0') : 0;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    *ret_negative = s.p[0] == '-' && v;
    *ret_magnitude = v;
    return true;
}

/* The usual number: digits, so few that they cannot overflow. False: it needs to_integer. */
static bool plain_integer(struct str s, bool *ret_negative, uint64_t *ret_magnitude)
{
    bool negative = s.n && s.p[0] == '-';
    s = str_skip(s, negative);
    if (s.n == 0 || s.n > PLAIN_DIGITS_MAX || (s.n > 1 && s.p[0] == '0'))
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        v = v * 10 + digit;
    }
    *ret_negative = negative && v;
    *ret_magnitude = v;
    return true;
}

static bool read_integer(struct str number, bool *ret_negative, uint64_t *ret_magnitude)
{
    return plain_integer(number, ret_negative, ret_magnitude) ||
           (json_is_number(number) && to_integer(number, ret_negative, ret_magnitude));
}

bool json_to_i64(struct str number, int64_t *ret_value)
{
    bool negative;
    uint64_t v;
    if (!read_integer(number, &negative, &v))
        return false;
    if (v > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_value = (int64_t)(negative ? 0 - v : v);
    return true;
}

bool json_to_u64(struct str number, uint64_t *ret_value)
{
    bool negative;
    uint64_t v;
    if (!read_integer(number, &negative, &v) || negative)
        return false;
    *ret_value = v;
    return true;
}

bool json_to_double(struct str number, double *ret_value)
{
    char z[JSON_NUMBER_MAX + 1];
    if (!json_is_number(number))
        return false;
    memcpy(z, number.p, number.n);
    z[number.n] = 0;
    double v = strtod(z, NULL);
    if (__builtin_isinf(v))
        return false;
    *ret_value = v;
    return true;
}
