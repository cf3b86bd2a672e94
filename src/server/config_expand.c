/* ${VAR} in configuration text (-config.expand-env): pure but for getenv; main's thread at start.
 *
 * Known forms: ${V}, ${V:-d} and ${V:=d} (d when V is unset or empty), ${V-d} and ${V=d} (d when it
 * is unset). $${ stays ${. A dollar without a brace stays as it is. Defaults are taken literally;
 * other operators and a ${ inside a default are errors with their line, not guesses. */
#include "server/config_int.h"

#include <stdlib.h>

enum { NAME_MAX_BYTES = 256 };

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* One "${…}" without its braces. */
static enum status expand_one(struct str inner, size_t line, struct buf *out, struct error *err)
{
    size_t n = 0;
    while (n < inner.n && is_name_char(inner.p[n]))
        n++;
    struct str op = str_skip(inner, n);
    bool empty_too = op.n && op.p[0] == ':';
    struct str rest = str_skip(op, empty_too);
    bool has_default = rest.n && (rest.p[0] == '-' || rest.p[0] == '=');
    if (n == 0 || n >= NAME_MAX_BYTES || (op.n && !has_default) || str_contains(rest, STR("${")))
        FAIL(err, ST_INVALID_ARGUMENT,
            "line %zu: cannot expand ${%.*s}: use ${NAME} or "
            "${NAME:-default}",
            line, STR_ARG(str_head(inner, 100)));
    char name[NAME_MAX_BYTES];
    memcpy(name, inner.p, n);
    name[n] = 0;
    const char *value = getenv(name);
    if (has_default && (!value || (empty_too && !*value)))
        buf_str(out, str_skip(rest, 1));
    else if (value)
        buf_str(out, str_from(value));
    return ST_OK;
}

enum status config_expand_env(struct str text, struct buf *out, struct error *err)
{
    size_t line = 1;
    for (size_t i = 0; i < text.n;) {
        struct str rest = str_skip(text, i);
        if (str_starts(rest, STR("$${"))) {
            buf_str(out, STR("${"));
            i += 3;
            continue;
        }
        if (!str_starts(rest, STR("${"))) {
            line += text.p[i] == '\n';
            buf_byte(out, (uint8_t)text.p[i++]);
            continue;
        }
        size_t end = str_find_char(rest, '}');
        size_t eol = str_find_char(rest, '\n');
        if (end == STR_NPOS || (eol != STR_NPOS && eol < end))
            FAIL(err, ST_INVALID_ARGUMENT, "line %zu: ${ without }", line);
        TRY(expand_one(str_make(rest.p + 2, end - 2), line, out, err));
        i += end + 1;
    }
    if (out->failed)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the file is too large after expansion");
    return ST_OK;
}
