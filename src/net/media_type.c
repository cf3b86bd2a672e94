/* Media types: see media_type.h.
 *
 *     token [ '/' token ] { ';' token '=' ( token | '"' … '"' ) } [ ';' ]     blanks between
 *
 * Invariant: only views of the text, at most MEDIA_PARAMS_MAX parameters, every name once (the same
 * value again is let through). Thread: any. Failure: a status; *ret_type untouched. */
#include "net/media_type.h"

static bool token_char(char c)
{
    return c > 0x20 && c < 0x7F && !strchr("()<>@,;:\\\"/[]?=", c);
}

/* The token at the start of *rest, which moves behind it; may be empty. */
static struct str take_token(struct str *rest)
{
    size_t n = 0;
    while (n < rest->n && token_char(rest->p[n]))
        n++;
    struct str token = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return token;
}

static bool take_char(struct str *rest, char c)
{
    *rest = str_trim(*rest);
    if (rest->n == 0 || rest->p[0] != c)
        return false;
    *rest = str_trim(str_skip(*rest, 1));
    return true;
}

/* Behind the opening quote; false when there is no closing one. */
static bool take_quoted(struct str *rest, struct str *ret_value)
{
    for (size_t i = 0; i < rest->n; i++) {
        char c = rest->p[i];
        if (c == '"') {
            *ret_value = str_head(*rest, i);
            *rest = str_skip(*rest, i + 1);
            return true;
        }
        if (c == '\r' || c == '\n')
            return false;
        i += c == '\\' && i + 1 < rest->n && (rest->p[i + 1] == '"' || rest->p[i + 1] == '\\');
    }
    return false;
}

static bool take_param(struct str *rest, struct media_param *ret_param)
{
    if (!take_char(rest, ';'))
        return false;
    struct media_param p;
    p.name = take_token(rest);
    if (p.name.n == 0 || !take_char(rest, '='))
        return false;
    if (rest->n && rest->p[0] == '"') {
        *rest = str_skip(*rest, 1);
        if (!take_quoted(rest, &p.value))
            return false;
    } else {
        p.value = take_token(rest);
        if (p.value.n == 0)
            return false;
    }
    *ret_param = p;
    return true;
}

static enum status check_name(struct str name, struct error *err)
{
    struct str rest = name;
    if (take_token(&rest).n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "mime: no media type");
    if (rest.n == 0)
        return ST_OK;
    if (rest.p[0] != '/')
        FAIL(err, ST_INVALID_ARGUMENT, "mime: expected slash after first token");
    rest = str_skip(rest, 1);
    if (take_token(&rest).n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "mime: expected token after slash");
    if (rest.n > 0)
        FAIL(err, ST_INVALID_ARGUMENT, "mime: unexpected content after media subtype");
    return ST_OK;
}

static enum status add_param(struct media_type *t, struct media_param p, struct error *err)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (!str_eq_nocase(t->params[i].name, p.name))
            continue;
        if (str_eq(t->params[i].value, p.value))
            return ST_OK;
        FAIL(err, ST_INVALID_ARGUMENT, "mime: duplicate parameter name");
    }
    if (t->n == MEDIA_PARAMS_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "mime: more than %d parameters", MEDIA_PARAMS_MAX);
    t->params[t->n++] = p;
    return ST_OK;
}

enum status media_type_parse(struct str text, struct media_type *ret_type, struct error *err)
{
    struct media_type t;
    size_t semicolon = str_find_char(text, ';');
    t.name = str_trim(str_head(text, semicolon));
    t.n = 0;
    TRY(check_name(t.name, err));
    struct str rest = semicolon == STR_NPOS ? STR_EMPTY : str_skip(text, semicolon);
    for (rest = str_trim(rest); rest.n > 0 && !str_eq(rest, STR(";")); rest = str_trim(rest)) {
        struct media_param p;
        if (!take_param(&rest, &p))
            FAIL(err, ST_INVALID_ARGUMENT, "mime: invalid media parameter");
        TRY(add_param(&t, p, err));
    }
    *ret_type = t;
    return ST_OK;
}
