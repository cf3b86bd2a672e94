/* The grammar of PromQL's instant vector selectors, and nothing else of PromQL.
 *
 *     selector = metric [ "{" [ list ] "}" ] | "{" [ list ] "}"
 *     list     = matcher { "," matcher } [ "," ]
 *     matcher  = label op string | string op string | string
 *
 * A tokenizer and a loop; no recursion. Blanks and `# comments` may stand between tokens. Names and
 * values are copied into the arena (escapes undone), so the text may go afterwards.
 *
 * Invariants:
 *  1. every matcher in the list is complete: a regex matcher has its pattern.
 *  2. at most SELECTOR_MATCHERS_MAX matchers and SELECTOR_REGEXES_MAX compiled patterns.
 * Thread: the caller's. Failure: the place and what was expected; the list keeps what was read. */
#include "model/selector.h"

#include "base/utf8.h"

enum token { TOK_END, TOK_NAME, TOK_STRING, TOK_OP, TOK_COMMA, TOK_OPEN, TOK_CLOSE, TOK_OTHER };

struct lexer {
    struct str in;
    size_t at;    /* behind the token */
    size_t start; /* of the token */
    enum token token;
    enum match_op op;
    struct arena *arena;
    struct error *err;
};

/* "2:7: parse error: " and the reason. */
#define PARSE_FAIL(lx, pos, fmt, ...)                                                   \
    do {                                                                                \
        struct place place_ = place_of((lx)->in, (pos));                                \
        FAIL((lx)->err, ST_INVALID_ARGUMENT, "%zu:%zu: parse error: " fmt, place_.line, \
            place_.column __VA_OPT__(, ) __VA_ARGS__);                                  \
    } while (0)

struct place {
    size_t line, column;
};

static struct place place_of(struct str in, size_t at)
{
    struct place p = {1, 1};
    for (size_t i = 0; i < at && i < in.n; i++) {
        p.column++;
        if (in.p[i] == '\n')
            p = (struct place){p.line + 1, 1};
    }
    return p;
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Tokens */

static void skip_blanks(struct lexer *lx)
{
    while (lx->at < lx->in.n) {
        char c = lx->in.p[lx->at];
        if (c == '#') {
            size_t nl = str_find_char(str_skip(lx->in, lx->at), '\n');
            lx->at = nl == STR_NPOS ? lx->in.n : lx->at + nl;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            lx->at++;
        } else {
            return;
        }
    }
}

static enum token lex_op(struct lexer *lx, char c, char next)
{
    static const struct {
        char c, next;
        enum match_op op;
    } ops[] = {
        {'=', '~', MATCH_RE}, {'!', '~', MATCH_NRE}, {'!', '=', MATCH_NE}, {'=', 0, MATCH_EQ}};
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (ops[i].c != c || (ops[i].next && ops[i].next != next))
            continue;
        lx->op = ops[i].op;
        lx->at += ops[i].next ? 2 : 1;
        return TOK_OP;
    }
    lx->at++;
    return TOK_OTHER;
}

static enum token lex_name(struct lexer *lx, bool colons)
{
    while (lx->at < lx->in.n) {
        char c = lx->in.p[lx->at];
        if (!is_alpha(c) && !is_digit(c) && !(colons && c == ':'))
            break;
        lx->at++;
    }
    return TOK_NAME;
}

/* Only finds the end; the contents are read by read_string. */
static enum token lex_string(struct lexer *lx, char quote)
{
    for (lx->at++; lx->at < lx->in.n; lx->at++) {
        char c = lx->in.p[lx->at];
        if (c == quote) {
            lx->at++;
            return TOK_STRING;
        }
        if (c == '\\' && quote != '`')
            lx->at++;
    }
    lx->at = lx->in.n;
    return TOK_STRING;
}

/* `colons`: a metric name may be here. */
static void next(struct lexer *lx, bool colons)
{
    skip_blanks(lx);
    lx->start = lx->at;
    if (lx->at == lx->in.n) {
        lx->token = TOK_END;
        return;
    }
    char c = lx->in.p[lx->at], after = lx->at + 1 < lx->in.n ? lx->in.p[lx->at + 1] : 0;
    if (is_alpha(c) || (colons && c == ':')) {
        lx->token = lex_name(lx, colons);
    } else if (c == '"' || c == '\'' || c == '`') {
        lx->token = lex_string(lx, c);
    } else if (c == '=' || c == '!') {
        lx->token = lex_op(lx, c, after);
    } else {
        lx->at++;
        lx->token = c == ',' ? TOK_COMMA : c == '{' ? TOK_OPEN : c == '}' ? TOK_CLOSE : TOK_OTHER;
    }
}

static struct str token_text(const struct lexer *lx)
{
    return str_make(lx->in.p + lx->start, lx->at - lx->start);
}

static enum status unexpected(struct lexer *lx, bool inside, const char *expected)
{
    struct str t = str_head(token_text(lx), 100);
    const char *where = inside ? " in label matching" : "";
    if (lx->token == TOK_END)
        PARSE_FAIL(lx, lx->start, "unexpected end of input%s", inside ? " inside braces" : "");
    if (lx->token == TOK_NAME)
        PARSE_FAIL(lx, lx->start, "unexpected identifier \"%.*s\"%s, expected %s", STR_ARG(t),
            where, expected);
    if (lx->token == TOK_STRING)
        PARSE_FAIL(
            lx, lx->start, "unexpected string %.*s%s, expected %s", STR_ARG(t), where, expected);
    PARSE_FAIL(lx, lx->start, "unexpected \"%.*s\"%s, expected %s", STR_ARG(t), where, expected);
}

/* Strings */

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* n digits of the base at s[at]; false when they are not there. */
static bool read_digits(struct str s, size_t at, size_t n, int base, uint32_t *ret_value)
{
    uint32_t v = 0;
    if (n > s.n || at > s.n - n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int d = digit_value(s.p[at + i]);
        if (d >= base)
            return false;
        v = v * (uint32_t)base + (uint32_t)d;
    }
    *ret_value = v;
    return true;
}

/* The escape at s[at] = '\\': bytes it takes (0: not an escape), bytes it means in out[4]. */
static size_t read_escape(struct str s, size_t at, char out[4], size_t *ret_n)
{
    static const char simple[] = "a\ab\bf\fn\nr\rt\tv\v\\\\\"\"''";
    char c = at + 1 < s.n ? s.p[at + 1] : 0;
    uint32_t v;
    *ret_n = 1;
    for (size_t i = 0; c && simple[i]; i += 2) {
        if (simple[i] == c) {
            out[0] = simple[i + 1];
            return 2;
        }
    }
    if (c >= '0' && c <= '7') {
        bool ok = read_digits(s, at + 1, 3, 8, &v) && v <= 255;
        out[0] = ok ? (char)v : 0;
        return ok ? 4 : 0;
    }
    if (c == 'x') {
        bool ok = read_digits(s, at + 2, 2, 16, &v);
        out[0] = ok ? (char)v : 0;
        return ok ? 4 : 0;
    }
    size_t digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (!digits || !read_digits(s, at + 2, digits, 16, &v) || v > 0x10FFFF ||
        (v >= 0xD800 && v < 0xE000))
        return 0;
    *ret_n = utf8_encode(out, v);
    return 2 + digits;
}

static enum status no_memory(struct lexer *lx)
{
    FAIL(lx->err, ST_RESOURCE_EXHAUSTED, "no memory for a label selector of %zu bytes", lx->in.n);
}

/* The contents of the current string token. */
static enum status read_string(struct lexer *lx, struct str *ret)
{
    struct str t = token_text(lx);
    char quote = t.p[0];
    if (t.n < 2 || t.p[t.n - 1] != quote)
        PARSE_FAIL(lx, lx->start, "unterminated %s string", quote == '`' ? "raw" : "quoted");
    struct str s = str_make(t.p + 1, t.n - 2);
    char *out = arena_alloc(lx->arena, s.n + 1);
    size_t n = 0;
    if (!out)
        return no_memory(lx);
    for (size_t i = 0; i < s.n;) {
        if (quote == '`' || s.p[i] != '\\') {
            if (quote != '`' && s.p[i] == '\n')
                PARSE_FAIL(lx, lx->start, "unterminated quoted string");
            out[n++] = s.p[i++];
            continue;
        }
        char bytes[4] = {0};
        size_t len, took = read_escape(s, i, bytes, &len);
        if (!took)
            PARSE_FAIL(lx, lx->start + 1 + i, "unknown escape sequence");
        memcpy(out + n, bytes, len); /* never longer than what it replaces */
        n += len;
        i += took;
    }
    *ret = str_make(out, n);
    return ST_OK;
}

/* Matchers */

static enum status add(struct lexer *lx, struct selector *sel, size_t pos, struct str name,
    enum match_op op, struct str value)
{
    if (sel->n == SELECTOR_MATCHERS_MAX)
        PARSE_FAIL(lx, pos, "more than %d matchers", SELECTOR_MATCHERS_MAX);
    enum status st = selector_add(sel, name, op, value, lx->arena, lx->err);
    struct place p = place_of(lx->in, pos);
    if (st == ST_INVALID_ARGUMENT)
        return error_wrap(lx->err, st, "%zu:%zu: parse error", p.line, p.column);
    return st;
}

static enum status copy_name(struct lexer *lx, struct str *ret)
{
    *ret = arena_str(lx->arena, token_text(lx));
    return ret->p ? ST_OK : no_memory(lx);
}

/* The matcher that starts at the current token; the token after it is current afterwards. */
static enum status parse_matcher(struct lexer *lx, struct selector *sel)
{
    struct str name, value;
    size_t pos = lx->start;
    bool quoted = lx->token == TOK_STRING;
    if (quoted)
        TRY(read_string(lx, &name));
    else if (lx->token == TOK_NAME)
        TRY(copy_name(lx, &name));
    else
        return unexpected(lx, true, "identifier or \"}\"");
    next(lx, false);
    if (quoted && (lx->token == TOK_COMMA || lx->token == TOK_CLOSE))
        return add(lx, sel, pos, STR("__name__"), MATCH_EQ, name);
    if (lx->token != TOK_OP)
        return unexpected(lx, true, "label matching operator");
    enum match_op op = lx->op;
    next(lx, false);
    if (lx->token != TOK_STRING)
        return unexpected(lx, true, "string");
    if (name.n == 0 || !utf8_valid(name))
        PARSE_FAIL(lx, pos, "label names are UTF-8 and not empty");
    TRY(read_string(lx, &value));
    next(lx, false);
    return add(lx, sel, pos, name, op, value);
}

/* Behind the opening brace, to the closing one. */
static enum status parse_braces(struct lexer *lx, struct selector *sel)
{
    next(lx, false);
    while (lx->token != TOK_CLOSE) {
        TRY(parse_matcher(lx, sel));
        if (lx->token == TOK_COMMA)
            next(lx, false);
        else if (lx->token != TOK_CLOSE)
            return unexpected(lx, true, "\",\" or \"}\"");
    }
    return ST_OK;
}

enum status selector_parse(
    struct str text, struct arena *arena, struct selector *sel, struct error *err)
{
    struct lexer lx = {.in = text, .arena = arena, .err = err};
    struct str metric = STR_EMPTY;
    if (text.n > SELECTOR_BYTES_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "parse error: longer than %d bytes", SELECTOR_BYTES_MAX);
    next(&lx, true);
    if (lx.token == TOK_END)
        FAIL(err, ST_INVALID_ARGUMENT, "unknown position: parse error: unexpected end of input");
    size_t pos = lx.start;
    if (lx.token == TOK_NAME) {
        TRY(copy_name(&lx, &metric));
        next(&lx, false);
    }
    if (lx.token == TOK_OPEN) {
        TRY(parse_braces(&lx, sel));
        next(&lx, false);
    } else if (!metric.n) {
        return unexpected(&lx, false, "a metric name or \"{\"");
    }
    if (lx.token != TOK_END)
        return unexpected(&lx, false, "end of input");
    return metric.n ? add(&lx, sel, pos, STR("__name__"), MATCH_EQ, metric) : ST_OK;
}

enum status selector_add(struct selector *sel, struct str name, enum match_op op, struct str value,
    struct arena *arena, struct error *err)
{
    struct matcher m = {.name = name, .value = value, .op = op};
    if (op == MATCH_RE || op == MATCH_NRE)
        TRY(pattern_compile(value, true, arena, &m.pattern, err));
    bool compiled = m.pattern.kind == PATTERN_RE2;
    struct matcher *slot = compiled && sel->n_regexes == SELECTOR_REGEXES_MAX
                               ? NULL
                               : VEC_PUSH(arena, *sel);
    if (!slot) {
        pattern_done(&m.pattern);
        if (arena->full)
            FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for a label matcher");
        FAIL(err, ST_INVALID_ARGUMENT, "more than %d regular expressions", SELECTOR_REGEXES_MAX);
    }
    sel->n_regexes += compiled;
    *slot = m;
    return ST_OK;
}

bool matcher_holds(const struct matcher *m, struct str value)
{
    switch (m->op) {
    case MATCH_EQ:
        return str_eq(m->value, value);
    case MATCH_NE:
        return !str_eq(m->value, value);
    case MATCH_RE:
        return pattern_match(&m->pattern, value);
    case MATCH_NRE:
        break;
    }
    return !pattern_match(&m->pattern, value);
}

void selector_rewrite_types(struct selector *sel)
{
    for (uint32_t i = 0; i < sel->n; i++) {
        struct matcher *m = &sel->v[i];
        size_t colons = 0, fifth = m->value.n;
        for (size_t k = 0; k < m->value.n; k++) {
            if (m->value.p[k] == ':' && ++colons == 5)
                fifth = k;
        }
        if (m->op != MATCH_EQ || !str_eq(m->name, STR("__name__")) || colons < 4 || colons > 5)
            continue;
        m->name = STR("__profile_type__");
        m->value = str_head(m->value, fifth);
    }
}

bool selector_take_name(struct selector *sel, struct str *ret_name)
{
    uint32_t kept = 0;
    bool found = false;
    for (uint32_t i = 0; i < sel->n; i++) {
        if (!str_eq(sel->v[i].name, STR("__name__"))) {
            sel->v[kept++] = sel->v[i];
            continue;
        }
        *ret_name = sel->v[i].value;
        found = true;
        sel->n_regexes -= sel->v[i].pattern.kind == PATTERN_RE2;
        pattern_done(&sel->v[i].pattern);
    }
    sel->n = kept;
    return found;
}

void selector_done(struct selector *sel)
{
    for (uint32_t i = 0; i < sel->n; i++)
        pattern_done(&sel->v[i].pattern);
    *sel = (struct selector){0};
}
