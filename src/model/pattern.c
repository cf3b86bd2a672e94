/* Regular expressions in Go's syntax: see pattern.h.
 *
 * Three quarters of the expressions that dashboards send are no expressions: a name, or names
 * joined by `|`, perhaps in one pair of brackets, with `\.` for the dots. Those become a sorted
 * list of words. What is left goes to RE2 after two repairs of the text, both outside of `\Q…\E`
 * and of character classes: `(?<name>` is written `(?P<name>`, which the RE2 of the distribution
 * knows, and
 * `\C` (one byte, which Go does not have) is refused.
 *
 * Invariants:
 *  1. kind PATTERN_RE2 ⇔ `re` is set.
 *  2. words are valid UTF-8, as RE2 would demand.
 * Thread: the caller's; a compiled pattern is read-only. Failure: a status; nothing to free then.
 */
#include "model/pattern.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "model/re2_shim.h"

static bool is_meta(char c)
{
    return memchr("\\.+*?()|[]{}^$", c, 14) != NULL;
}

static bool is_word(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_punct(char c)
{
    return c > ' ' && c < 127 && !is_word(c);
}

static int word_order(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* One pair of brackets around everything means nothing here: `(a|b)`, `(?:a|b)`. */
static struct str without_group(struct str s)
{
    if (s.n >= 2 && s.p[0] == '(' && s.p[s.n - 1] == ')') {
        struct str in = str_make(s.p + 1, s.n - 2);
        return str_starts(in, STR("?:")) ? str_skip(in, 2) : in;
    }
    return s;
}

/* Splits at `|` and undoes escapes; false when the text is more than words. *ret_full: no memory.
 */
static bool split_words(struct str s, struct arena *arena, struct pattern *p, bool *ret_full)
{
    size_t n = 1;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\') {
            if (++i == s.n || !is_punct(s.p[i]))
                return false;
        } else if (s.p[i] == '|') {
            n++;
        } else if (is_meta(s.p[i])) {
            return false;
        }
    }
    struct str *words = ARENA_ARRAY(arena, struct str, n);
    char *out = arena_alloc(arena, s.n + 1);
    *ret_full = !words || !out;
    if (*ret_full)
        return false;
    size_t k = 0;
    words[0] = str_make(out, 0);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '|') {
            words[++k] = str_make(out, 0);
            continue;
        }
        if (s.p[i] == '\\')
            i++;
        *out++ = s.p[i];
        words[k].n++;
    }
    qsort(words, n, sizeof *words, word_order);
    p->kind = PATTERN_WORDS;
    p->words = words;
    p->n_words = (uint32_t)n;
    return true;
}

/* The end of the character class that starts at s[at] = '['; s.n when it has none. */
static size_t class_end(struct str s, size_t at)
{
    size_t i = at + 1;
    if (i < s.n && s.p[i] == '^')
        i++;
    if (i < s.n && s.p[i] == ']')
        i++;
    while (i < s.n && s.p[i] != ']') {
        struct str rest = str_skip(s, i);
        size_t posix = str_starts(rest, STR("[:")) ? str_find(rest, STR(":]")) : STR_NPOS;
        if (posix != STR_NPOS)
            i += posix + 2;
        else
            i += s.p[i] == '\\' ? 2 : 1;
    }
    return MIN(i, s.n);
}

/* The length of what is copied as it is at s[at]: an escape, a quotation, a class, a byte. */
static size_t verbatim(struct str s, size_t at)
{
    if (s.p[at] == '[')
        return class_end(s, at) - at;
    if (s.p[at] != '\\' || at + 1 == s.n)
        return 1;
    if (s.p[at + 1] != 'Q')
        return 2;
    size_t end = str_find(str_skip(s, at), STR("\\E"));
    return end == STR_NPOS ? s.n - at : end + 2;
}

static enum status to_re2(struct str s, struct arena *arena, struct str *ret, struct error *err)
{
    /* A rewritten group has at least four bytes and grows by one. */
    char *out = arena_alloc(arena, s.n + s.n / 4 + 1);
    if (!out)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for a regular expression");
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        struct str rest = str_skip(s, i);
        if (str_starts(rest, STR("\\C")))
            FAIL(err, ST_INVALID_ARGUMENT, "error parsing regexp: invalid escape sequence: `\\C`");
        if (str_starts(rest, STR("(?<")) && rest.n > 3 && is_word(rest.p[3])) {
            memcpy(out + n, "(?P<", 4);
            n += 4;
            i += 3;
            continue;
        }
        size_t len = verbatim(s, i);
        memcpy(out + n, s.p + i, len);
        n += len;
        i += len;
    }
    *ret = str_make(out, n);
    return ST_OK;
}

static enum status compile(
    struct str text, bool whole, struct arena *arena, struct re2_shim **ret_re, struct error *err)
{
    char why[512];
    struct str re2_text = STR_EMPTY;
    TRY(to_re2(text, arena, &re2_text, err));
    *ret_re = re2_shim_new(re2_text.p, re2_text.n, whole, why, sizeof why);
    if (!*ret_re)
        FAIL(err, ST_INVALID_ARGUMENT, "error parsing regexp: %s", why);
    return ST_OK;
}

enum status pattern_compile(struct str text, bool whole, struct arena *arena,
    struct pattern *ret_pattern, struct error *err)
{
    struct pattern p = {.whole = whole};
    bool full = false;
    if (text.n > PATTERN_BYTES_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "error parsing regexp: longer than %d bytes",
            PATTERN_BYTES_MAX);
    if (!utf8_valid(text))
        FAIL(err, ST_INVALID_ARGUMENT, "error parsing regexp: invalid UTF-8");
    if (str_eq(text, STR(".*"))) {
        p.kind = PATTERN_ANY;
    } else if (whole && str_eq(text, STR(".+"))) {
        p.kind = PATTERN_NONEMPTY;
    } else if (!split_words(without_group(text), arena, &p, &full)) {
        if (full)
            FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for a regular expression");
        p.kind = PATTERN_RE2;
        TRY(compile(text, whole, arena, &p.re, err));
    }
    *ret_pattern = p;
    return ST_OK;
}

static bool words_match(const struct pattern *p, struct str text)
{
    if (p->whole)
        return bsearch(&text, p->words, p->n_words, sizeof text, word_order) != NULL;
    for (uint32_t i = 0; i < p->n_words; i++)
        if (str_contains(text, p->words[i]))
            return true;
    return false;
}

bool pattern_match(const struct pattern *p, struct str text)
{
    switch (p->kind) {
    case PATTERN_ANY:
        return true;
    case PATTERN_NONEMPTY:
        return text.n > 0;
    case PATTERN_WORDS:
        return words_match(p, text);
    case PATTERN_RE2:
        break;
    }
    return re2_shim_match(p->re, text.p, text.n);
}

void pattern_done(struct pattern *p)
{
    re2_shim_free(p->re);
    *p = (struct pattern){0};
}
