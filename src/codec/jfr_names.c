/* Names that the JVM and libraries generate, merged to one: accessors, lambdas, proxies, temporary
 * libraries. Each rule replaces a whole symbol; the comments give it as a regular expression, where
 * `.` is any byte but a line feed. The rules apply one after the other, in this order.
 *
 * Nearly no symbol matches, so a look at its ends and for "$$" comes first; the rules themselves
 * walk over the symbol from left to right, without going back. Pure. */
#include "codec/jfr_int.h"

static bool eat(struct str *s, struct str text)
{
    if (!str_starts(*s, text))
        return false;
    *s = str_skip(*s, text.n);
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static size_t eat_all(struct str *s, bool (*is)(char))
{
    size_t n = 0;
    while (n < s->n && is(s->p[n]))
        n++;
    *s = str_skip(*s, n);
    return n;
}

/* (\.?/tmp/)? */
static void eat_tmp(struct str *s)
{
    if (!eat(s, STR("./tmp/")))
        eat(s, STR("/tmp/"));
}

/* (\.so)( \(deleted\))?$ */
static bool is_library_end(struct str s)
{
    if (!eat(&s, STR(".so")))
        return false;
    eat(&s, STR(" (deleted)"));
    return s.n == 0;
}

static size_t rfind(struct str s, struct str needle)
{
    for (size_t at = s.n; at >= needle.n; at--) {
        const char *p = s.p + at - needle.n;
        if (*p == *needle.p && memcmp(p, needle.p, needle.n) == 0)
            return at - needle.n;
    }
    return STR_NPOS;
}

/* The part of `s` up to the end of the last `mark`, if .+ comes before it and `s` is one line. */
static bool head_with(struct str s, struct str mark, struct str *ret_head)
{
    size_t at = rfind(s, mark);
    if (at == STR_NPOS || at == 0 || memchr(s.p, '\n', s.n))
        return false;
    *ret_head = str_head(s, at + mark.n);
    return true;
}

/* ^(jdk/internal/reflect/GeneratedMethodAccessor)(\d+)$ → \1_ */
static bool accessor(struct str s, struct str *ret_head)
{
    struct str rest = s;
    if (!eat(&rest, STR("jdk/internal/reflect/GeneratedMethodAccessor")))
        return false;
    *ret_head = str_head(s, s.n - rest.n);
    return eat_all(&rest, is_digit) > 0 && rest.n == 0;
}

/* ^(.+\$\$Lambda)(\$?\d*[./](0x)?[\da-f]+|\d+)$ → \1_; what follows "$$Lambda" cannot hold a
 * second one, so the last one counts. */
static bool lambda(struct str s, struct str *ret_head)
{
    if (!head_with(s, STR("$$Lambda"), ret_head))
        return false;
    struct str rest = str_skip(s, ret_head->n);
    bool dollar = eat(&rest, STR("$"));
    size_t digits = eat_all(&rest, is_digit);
    if (rest.n == 0)
        return digits > 0 && !dollar;
    if (!eat(&rest, STR(".")) && !eat(&rest, STR("/")))
        return false;
    struct str hex = rest;
    if (eat(&hex, STR("0x")) && eat_all(&hex, is_hex) > 0 && hex.n == 0)
        return true;
    return eat_all(&rest, is_hex) > 0 && rest.n == 0;
}

/* ^(\.?/tmp/)?(libzstd-jni-\d+\.\d+\.\d+-)(\d+)(\.so)( \(deleted\))?$ */
static bool zstd_library(struct str s)
{
    eat_tmp(&s);
    return eat(&s, STR("libzstd-jni-")) && eat_all(&s, is_digit) > 0 && eat(&s, STR(".")) &&
           eat_all(&s, is_digit) > 0 && eat(&s, STR(".")) && eat_all(&s, is_digit) > 0 &&
           eat(&s, STR("-")) && eat_all(&s, is_digit) > 0 && is_library_end(s);
}

/* ^(\.?/tmp/)?(lib)?(amazonCorrettoCryptoProvider)(NativeLibraries\.)?([0-9a-f]{16})
 * (/libcrypto|/libamazonCorrettoCryptoProvider)?(\.so)( \(deleted\))?$ */
static bool corretto_library(struct str s)
{
    eat_tmp(&s);
    eat(&s, STR("lib"));
    if (!eat(&s, STR("amazonCorrettoCryptoProvider")))
        return false;
    eat(&s, STR("NativeLibraries."));
    if (eat_all(&s, is_hex) != 16)
        return false;
    if (!eat(&s, STR("/libcrypto")))
        eat(&s, STR("/libamazonCorrettoCryptoProvider"));
    return is_library_end(s);
}

/* ^(\.?/tmp/)?(libasyncProfiler)-(linux-arm64|linux-musl-x64|linux-x64|macos)-
 * (17b9a1d8156277a98ccc871afa9a8f69215f92)(\.so)( \(deleted\))?$ */
static bool profiler_library(struct str s)
{
    eat_tmp(&s);
    return eat(&s, STR("libasyncProfiler-")) &&
           (eat(&s, STR("linux-arm64")) || eat(&s, STR("linux-musl-x64")) ||
               eat(&s, STR("linux-x64")) || eat(&s, STR("macos"))) &&
           eat(&s, STR("-17b9a1d8156277a98ccc871afa9a8f69215f92")) && is_library_end(s);
}

static bool may_be_generated(struct str s)
{
    if (s.n < 8)
        return false;
    char last = s.p[s.n - 1];
    if ((last == 'o' && s.p[s.n - 3] == '.') || last == ')')
        return true;
    if (s.p[0] == 'j' && is_digit(last) && str_starts(s, STR("jdk/internal/reflect/G")))
        return true;
    const char *p = s.p, *end = s.p + s.n - 1;
    while ((p = memchr(p, '$', (size_t)(end - p)))) {
        if (p[1] == '$')
            return true;
        p++;
    }
    return false;
}

struct str jfr_name_rewrite(struct str s, struct arena *arena)
{
    if (LIKELY(!may_be_generated(s)))
        return s;
    if (zstd_library(s))
        return STR("libzstd-jni-_.so");
    if (corretto_library(s))
        return STR("libamazonCorrettoCryptoProvider_.so");
    if (profiler_library(s))
        return STR("libasyncProfiler-_.so");
    struct str head = s;
    bool changed = accessor(s, &head) || lambda(s, &head);
    /* ^(.+\$\$EnhancerBySpringCGLIB\$\$)(.*)$ → \1_ looks at what the lambda rule left. */
    struct str proxy;
    if (head_with(changed ? head : s, STR("$$EnhancerBySpringCGLIB$$"), &proxy)) {
        head = proxy;
        changed = true;
    }
    return changed ? arena_str_join(arena, head, STR("_")) : s;
}
