/* See tenants.h. An id is 1 to 150 bytes of letters, digits and ! - _ . * ' ( ), not "." or "..",
 * so it is safe as the name of a directory. Text after the first ':' of an id is metadata
 * (key=value pairs, at most 64 bytes) and ignored; a ':' with anything else behind it is a bad
 * character. */
#include "server/tenants.h"

#include "base/utf8.h"

enum { METADATA_BYTES_MAX = 64 };

static bool is_id_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!-_.*'()", c));
}

/* key=value, more of them separated by ':'; characters as in ids. */
static bool is_metadata(struct str s)
{
    struct str_split it = {s, false};
    struct str pair;
    if (s.n == 0 || s.n > METADATA_BYTES_MAX)
        return false;
    while (str_split_next(&it, ':', &pair)) {
        size_t eq = str_find_char(pair, '=');
        if (eq == 0 || eq == STR_NPOS)
            return false;
        for (size_t i = 0; i < pair.n; i++)
            if (i != eq && !is_id_char(pair.p[i]))
                return false;
    }
    return true;
}

static enum status check_id(struct str id, struct error *err)
{
    if (id.n == 0)
        FAIL(err, ST_UNAUTHENTICATED, "no org id");
    for (size_t i = 0; i < id.n; i++) {
        if (is_id_char(id.p[i]))
            continue;
        uint32_t cp;
        size_t n = utf8_decode(str_skip(id, i), &cp);
        struct str c = n ? str_make(id.p + i, n) : STR("\xEF\xBF\xBD");
        FAIL(err, ST_UNAUTHENTICATED, "tenant ID '%.*s' contains unsupported character '%.*s'",
            STR_ARG(str_head(id, TENANT_BYTES_MAX)), STR_ARG(c));
    }
    if (id.n > TENANT_BYTES_MAX)
        FAIL(err, ST_UNAUTHENTICATED, "tenant ID is too long: max %d characters", TENANT_BYTES_MAX);
    if (str_eq(id, STR(".")) || str_eq(id, STR("..")))
        FAIL(err, ST_UNAUTHENTICATED, "tenant ID is '.' or '..'");
    return ST_OK;
}

/* Keeps the list sorted and without doubles. */
static void insert(struct tenant_list *l, struct str id)
{
    uint32_t at = l->n;
    while (at && str_cmp(l->v[at - 1], id) > 0)
        at--;
    if (at && str_eq(l->v[at - 1], id))
        return;
    memmove(l->v + at + 1, l->v + at, (l->n - at) * sizeof *l->v);
    l->v[at] = id;
    l->n++;
}

enum status tenants_parse(bool enabled, struct str header, struct arena *arena,
    struct tenant_list *ret_list, struct error *err)
{
    struct tenant_list l = {ARENA_ARRAY(arena, struct str, TENANTS_MAX), 0};
    if (!l.v)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for the request");
    if (!enabled) {
        insert(&l, STR("anonymous"));
        *ret_list = l;
        return ST_OK;
    }
    if (header.n == 0)
        FAIL(err, ST_UNAUTHENTICATED, "no org id");
    struct str_split it = {header, false};
    struct str id;
    while (str_split_next(&it, '|', &id)) {
        size_t colon = str_find_char(id, ':');
        if (colon != STR_NPOS && is_metadata(str_skip(id, colon + 1)))
            id = str_head(id, colon);
        TRY(check_id(id, err));
        if (l.n == TENANTS_MAX)
            FAIL(err, ST_UNAUTHENTICATED, "more than %d org IDs present", TENANTS_MAX);
        insert(&l, id);
    }
    *ret_list = l;
    return ST_OK;
}

enum status tenants_parse_one(
    bool enabled, struct str header, struct arena *arena, struct str *ret_tenant, struct error *err)
{
    struct tenant_list l;
    TRY(tenants_parse(enabled, header, arena, &l, err));
    if (l.n != 1)
        FAIL(err, ST_UNAUTHENTICATED, "multiple org IDs present");
    *ret_tenant = l.v[0];
    return ST_OK;
}
