/* What handlers ask a request: headers and form-encoded query parameters.
 *
 * Decoding is that of HTML forms ('+' is a space, %XX a byte). As in the reference, a pair with a
 * broken escape or a ';' is as if it were not there. Values without escapes are views of the
 * target, others live in the request's arena; nothing is decoded before it is asked for.
 *
 * Thread: the one that has the request. Failure: absent; a full arena reads as absent, too. */
#include "net/net_int.h"

struct str http_header_get(const struct http_request *rq, struct str name)
{
    for (uint32_t i = 0; i < rq->n_headers; i++)
        if (str_eq_nocase(rq->headers[i].name, name))
            return rq->headers[i].value;
    return (struct str){NULL, 0};
}

void request_split_target(struct http_request *rq)
{
    struct str t = rq->target;
    size_t scheme = str_find(t, STR("://"));
    if (t.n && t.p[0] != '/' && scheme != STR_NPOS) { /* absolute form: http://host/path */
        t = str_skip(t, scheme + 3);
        size_t slash = str_find_char(t, '/');
        t = slash == STR_NPOS ? STR("/") : str_skip(t, slash);
    }
    size_t mark = str_find_char(t, '?');
    rq->path = mark == STR_NPOS ? t : str_head(t, mark);
    rq->query = mark == STR_NPOS ? STR_EMPTY : str_skip(t, mark + 1);
}

/* The next decoded byte: 1 and *ret_c, 0 at the end, -1 on a broken escape. */
static int form_next(struct str *s, char *ret_c)
{
    if (s->n == 0)
        return 0;
    char c = s->p[0];
    if (c != '%') {
        *s = str_skip(*s, 1);
        *ret_c = c == '+' ? ' ' : c;
        return 1;
    }
    if (s->n < 3 || hex_digit(s->p[1]) < 0 || hex_digit(s->p[2]) < 0)
        return -1;
    *ret_c = (char)(hex_digit(s->p[1]) << 4 | hex_digit(s->p[2]));
    *s = str_skip(*s, 3);
    return 1;
}

static bool form_valid(struct str raw)
{
    char c;
    int r;
    while ((r = form_next(&raw, &c)) > 0)
        continue;
    return r == 0;
}

static bool form_equals(struct str raw, struct str plain)
{
    char c;
    size_t at = 0;
    int r;
    while ((r = form_next(&raw, &c)) > 0)
        if (at == plain.n || plain.p[at++] != c)
            return false;
    return r == 0 && at == plain.n;
}

static bool form_decode(struct arena *a, struct str raw, struct str *ret_value)
{
    if (str_find_char(raw, '%') == STR_NPOS && str_find_char(raw, '+') == STR_NPOS) {
        *ret_value = raw;
        return true;
    }
    char *p = arena_alloc(a, raw.n), c;
    size_t n = 0;
    if (!p)
        return false;
    while (form_next(&raw, &c) > 0)
        p[n++] = c;
    *ret_value = str_make(p, n);
    return true;
}

/* The raw value of the next pair of that name; false at the end. */
static bool pair_next(struct str_split *it, struct str name, struct str *ret_raw)
{
    struct str pair;
    while (str_split_next(it, '&', &pair)) {
        if (pair.n == 0 || str_find_char(pair, ';') != STR_NPOS)
            continue;
        size_t eq = str_find_char(pair, '=');
        struct str value = eq == STR_NPOS ? STR_EMPTY : str_skip(pair, eq + 1);
        if (!form_equals(eq == STR_NPOS ? pair : str_head(pair, eq), name) || !form_valid(value))
            continue;
        *ret_raw = value;
        return true;
    }
    return false;
}

bool http_query_get(struct http_request *rq, struct str name, struct str *ret_value)
{
    struct str_split it = {rq->query, false};
    struct str raw;
    return pair_next(&it, name, &raw) && form_decode(&rq->arena, raw, ret_value);
}

uint32_t http_query_all(struct http_request *rq, struct str name, struct str **ret_values)
{
    struct str_split it = {rq->query, false};
    struct str raw;
    uint32_t n = 0, at = 0;
    while (pair_next(&it, name, &raw))
        n++;
    *ret_values = NULL;
    if (n == 0)
        return 0;
    struct str *values = ARENA_ARRAY(&rq->arena, struct str, n);
    if (!values)
        return 0;
    it = (struct str_split){rq->query, false};
    while (at < n && pair_next(&it, name, &raw) && form_decode(&rq->arena, raw, &values[at]))
        at++;
    *ret_values = values;
    return at;
}
