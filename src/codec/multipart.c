/* multipart/form-data in place: see multipart.h.
 *
 *     preamble            lines that are no delimiter, before the first one: skipped
 *     --boundary NL       a part begins: header lines, an empty line, data …
 *     NL--boundary NL     … ends the data; the next part begins
 *     NL--boundary--      the end; what follows is ignored
 *
 * NL is CR LF, or a bare LF for the whole body when the first delimiter ends so. Blanks may follow
 * a delimiter. Of a part only `name` and `filename` of its Content-Disposition are read; quoted
 * values are views without the quotes, escapes in them are left as they are (no name of ours has
 * any). A part without a file name is a form value and invisible.
 *
 * Invariants: 1. Every view lies in the body. 2. Each step moves forward, and the search for a
 * delimiter is linear, so is the whole; at most PARTS_SEEN_MAX parts are looked at.
 * Thread: the caller's. Failure: nothing is returned. */
#include "codec/multipart.h"

enum { BOUNDARY_MAX = 256, PARTS_SEEN_MAX = 1000 };

/* "\r\n--boundary"; its tails are what is compared. */
struct delimiter {
    char text[BOUNDARY_MAX + 4];
    size_t n;
    bool bare_lf; /* lines end in LF only */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str skip_blanks(struct str s)
{
    while (s.n && is_blank(s.p[0]))
        s = str_skip(s, 1);
    return s;
}

/* ── parameters of header values: ; name=value ; name="value" ── */

static struct str take_quoted(struct str *s)
{
    size_t i = 1;
    while (i < s->n && s->p[i] != '"')
        i += s->p[i] == '\\' ? 2 : 1;
    i = MIN(i, s->n);
    struct str value = str_make(s->p + 1, i - 1);
    *s = str_skip(*s, i + 1);
    return value;
}

static struct str take_token(struct str *s)
{
    size_t i = 0;
    while (i < s->n && s->p[i] != ';' && !is_blank(s->p[i]))
        i++;
    struct str value = str_head(*s, i);
    *s = str_skip(*s, i);
    return value;
}

/* The next parameter; false when there is none. */
static bool param_next(struct str *s, struct str *ret_name, struct str *ret_value)
{
    for (;;) {
        size_t semicolon = str_find_char(*s, ';');
        if (semicolon == STR_NPOS)
            return false;
        *s = str_skip(*s, semicolon + 1);
        size_t n = 0;
        while (n < s->n && s->p[n] != '=' && s->p[n] != ';')
            n++;
        if (n == s->n)
            return false;
        if (s->p[n] == ';')
            continue;
        *ret_name = str_trim(str_head(*s, n));
        *s = skip_blanks(str_skip(*s, n + 1));
        *ret_value = s->n && s->p[0] == '"' ? take_quoted(s) : take_token(s);
        return true;
    }
}

/* "\r\n--" and the boundary, unescaped. */
static bool delimiter_make(struct str content_type, struct delimiter *d)
{
    struct str name, value;
    while (param_next(&content_type, &name, &value)) {
        if (!str_eq_nocase(name, STR("boundary")))
            continue;
        memcpy(d->text, "\r\n--", 4);
        d->n = 4;
        for (size_t i = 0; i < value.n; i++) {
            i += value.p[i] == '\\' && i + 1 < value.n;
            if (d->n == sizeof d->text)
                return false;
            d->text[d->n++] = value.p[i];
        }
        return d->n > 4;
    }
    return false;
}

/* ── lines ── */

/* Up to and with the next LF, or all that is left. */
static struct str take_line(struct str *s)
{
    size_t n = str_find_char(*s, '\n');
    n = n == STR_NPOS ? s->n : n + 1;
    struct str line = str_head(*s, n);
    *s = str_skip(*s, n);
    return line;
}

enum line_kind { LINE_OTHER, LINE_DELIMITER, LINE_FINAL };

/* `line` may lack its end only when it is the final delimiter. */
static enum line_kind line_kind(const struct delimiter *d, struct str line)
{
    struct str dash = str_make(d->text + 2, d->n - 2);
    if (!str_starts(line, dash))
        return LINE_OTHER;
    struct str rest = str_skip(line, dash.n);
    bool final = str_starts(rest, STR("--"));
    rest = final ? str_skip(rest, 2) : rest;
    while (rest.n && (rest.p[0] == ' ' || rest.p[0] == '\t'))
        rest = str_skip(rest, 1);
    bool ended = str_eq(rest, STR("\n")) || str_eq(rest, STR("\r\n"));
    if (final)
        return ended || rest.n == 0 ? LINE_FINAL : LINE_OTHER;
    return ended ? LINE_DELIMITER : LINE_OTHER;
}

/* ── parts ── */

static void read_disposition(struct str value, struct multipart_part *part)
{
    struct str kind = str_trim(str_head(value, str_find_char(value, ';')));
    if (!str_eq_nocase(kind, STR("form-data")))
        return;
    struct str name, text;
    while (param_next(&value, &name, &text)) {
        if (str_eq_nocase(name, STR("name")))
            part->name = text;
        else if (str_eq_nocase(name, STR("filename")))
            part->filename = text;
        else if (str_eq_nocase(name, STR("filename*")) && part->filename.n == 0)
            part->filename = text;
    }
}

/* A header line with the continuation lines behind it; false at the empty line. */
static bool take_header(struct str *s, struct str *ret_header)
{
    struct str line = take_line(s);
    if (str_eq(line, STR("\n")) || str_eq(line, STR("\r\n")) || line.n == 0)
        return false;
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\t'))
        line.n += take_line(s).n;
    *ret_header = line;
    return true;
}

/* Headers up to and with the empty line. */
static enum status read_headers(struct str *s, struct multipart_part *part, struct error *err)
{
    struct str line;
    *part = (struct multipart_part){STR_EMPTY, STR_EMPTY, STR_EMPTY};
    while (take_header(s, &line)) {
        size_t colon = str_find_char(line, ':');
        if (colon == STR_NPOS)
            FAIL(err, ST_INVALID_ARGUMENT, "malformed MIME header line: %.*s",
                STR_ARG(str_head(str_trim(line), 200)));
        if (str_eq_nocase(str_head(line, colon), STR("Content-Disposition")))
            read_disposition(str_skip(line, colon + 1), part);
    }
    if (s->n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "unexpected EOF");
    return ST_OK;
}

/* What may follow a delimiter; anything else means that it is data. */
static bool delimiter_ends(struct str after)
{
    return after.n == 0 || is_blank(after.p[0]) || str_starts(after, STR("--"));
}

/* Data up to the next delimiter; *s is left at its dashes. */
static enum status read_data(
    const struct delimiter *d, struct str *s, struct str *ret_data, struct error *err)
{
    struct str needle = d->bare_lf ? str_make(d->text + 1, d->n - 1) : str_make(d->text, d->n);
    struct str dash = str_make(d->text + 2, d->n - 2);
    size_t nl = needle.n - dash.n, from = 0;
    if (str_starts(*s, dash) && delimiter_ends(str_skip(*s, dash.n))) {
        *ret_data = STR_EMPTY;
        return ST_OK;
    }
    for (;;) {
        size_t hit = str_find(str_skip(*s, from), needle);
        if (hit == STR_NPOS)
            FAIL(err, ST_INVALID_ARGUMENT, "unexpected EOF");
        hit += from;
        if (delimiter_ends(str_skip(*s, hit + needle.n))) {
            *ret_data = str_head(*s, hit);
            *s = str_skip(*s, hit + nl);
            return ST_OK;
        }
        from = hit + needle.n;
    }
}

static enum status keep_part(
    struct multipart *m, const struct multipart_part *part, struct error *err)
{
    if (part->name.n == 0 || part->filename.n == 0)
        return ST_OK;
    for (uint32_t i = 0; i < m->n; i++)
        if (str_eq(m->parts[i].name, part->name))
            return ST_OK;
    if (m->n == MULTIPART_PARTS_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "multipart: more than %d files", MULTIPART_PARTS_MAX);
    m->parts[m->n++] = *part;
    return ST_OK;
}

/* Up to the first delimiter. *ret_final: there are no parts. */
static enum status skip_preamble(
    struct delimiter *d, struct str *s, bool *ret_final, struct error *err)
{
    while (s->n) {
        struct str line = take_line(s);
        enum line_kind kind = line_kind(d, line);
        if (kind == LINE_OTHER)
            continue;
        d->bare_lf = !str_ends(line, STR("\r\n"));
        *ret_final = kind == LINE_FINAL;
        return ST_OK;
    }
    FAIL(err, ST_INVALID_ARGUMENT, "multipart: NextPart: EOF");
}

enum status multipart_parse(
    struct str content_type, struct str body, struct multipart *ret_parts, struct error *err)
{
    struct multipart m;
    struct delimiter d = {0};
    bool final = false;
    m.n = 0;
    if (!delimiter_make(content_type, &d))
        FAIL(err, ST_INVALID_ARGUMENT, "malformed multipart content type header");
    TRY(skip_preamble(&d, &body, &final, err));
    for (uint32_t seen = 0; !final; seen++) {
        struct multipart_part part;
        if (seen == PARTS_SEEN_MAX)
            FAIL(err, ST_INVALID_ARGUMENT, "multipart: message too large");
        TRY(read_headers(&body, &part, err));
        TRY(read_data(&d, &body, &part.data, err));
        TRY(keep_part(&m, &part, err));
        struct str line = take_line(&body);
        enum line_kind kind = line_kind(&d, line);
        if (kind == LINE_OTHER)
            FAIL(err, ST_INVALID_ARGUMENT, "multipart: expecting a new Part; got line %.*s",
                STR_ARG(str_head(str_trim(line), 200)));
        final = kind == LINE_FINAL;
    }
    memcpy(ret_parts->parts, m.parts, m.n * sizeof *m.parts);
    ret_parts->n = m.n;
    return ST_OK;
}

struct str multipart_get(const struct multipart *m, struct str name)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (m->parts[i].data.n && str_eq(m->parts[i].name, name))
            return m->parts[i].data;
    return (struct str){0};
}
