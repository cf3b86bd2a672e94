/* The `name` parameter: see app_name.h.
 *
 *     NAME ── { ──► KEY ── = ──► VALUE ── , or } ──► KEY     (stores a label)
 *                    └── } ──► the end; what follows is ignored
 *
 * The end of the text ends the name; a key or value that is open then is dropped silently. `}`
 * after a value does not end the list: the reference goes on with the next key, and so do we.
 *
 * Results are views of the text, trimmed. Work is linear: keys are found by hash. Thread: the
 * caller's. Failure: texts name the first character that is not allowed. */
#include "codec/app_name.h"

#include "base/hash.h"
#include "base/utf8.h"
#include "codec/arena_map_int.h"

struct label_list {
    struct app_name_label *v;
    uint32_t n, cap;
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

/* The first character of s outside the set; empty when all are allowed. */
static struct str first_bad(struct str s, bool name)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (is_word(c) || (name && (c == '-' || c == '/')))
            continue;
        uint32_t cp;
        size_t n = utf8_decode(str_skip(s, i), &cp);
        return n ? str_make(s.p + i, n) : STR("\xEF\xBF\xBD");
    }
    return STR_EMPTY;
}

static enum status check_name(struct str name, struct error *err)
{
    if (name.n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "service name is required");
    struct str bad = first_bad(name, true);
    if (bad.n)
        FAIL(err, ST_INVALID_ARGUMENT,
            "invalid service name: %.*s: character is not allowed: '%.*s'", STR_ARG(name),
            STR_ARG(bad));
    return ST_OK;
}

static enum status check_key(struct str key, struct error *err)
{
    if (key.n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "label name is required");
    struct str bad = first_bad(key, false);
    if (bad.n)
        FAIL(err, ST_INVALID_ARGUMENT, "invalid label name: %.*s: character is not allowed: '%.*s'",
            STR_ARG(key), STR_ARG(bad));
    return ST_OK;
}

static enum status store_label(struct label_list *list, struct idmap *keys, struct str key,
    struct str value, struct arena *arena, struct error *err)
{
    uint64_t hash = hash_str(key);
    struct idmap_probe probe = idmap_start(keys, hash);
    uint32_t i;
    while (idmap_next(keys, &probe, &i)) {
        if (!str_eq(list->v[i].key, key))
            continue;
        list->v[i].value = value;
        return ST_OK;
    }
    struct app_name_label *label = VEC_PUSH(arena, *list);
    if (!label || !arena_map_put(keys, arena, hash, list->n - 1))
        FAIL(err, ST_RESOURCE_EXHAUSTED, "not enough memory for the labels of the request");
    *label = (struct app_name_label){key, value};
    return ST_OK;
}

/* Bytes of s before the first of the two characters; s.n when there is none. */
static size_t until(struct str s, char a, char b)
{
    size_t i = 0;
    while (i < s.n && s.p[i] != a && s.p[i] != b)
        i++;
    return i;
}

/* The text behind the first `{`. */
static enum status parse_labels(
    struct str s, struct arena *arena, struct app_name *name, struct error *err)
{
    struct label_list list = {0};
    struct idmap keys;
    idmap_init(&keys, NULL);
    for (;;) {
        size_t n = until(s, '=', '}');
        if (n == s.n || s.p[n] == '}')
            break;
        struct str key = str_trim(str_head(s, n));
        s = str_skip(s, n + 1);
        n = until(s, ',', '}');
        if (n == s.n)
            break;
        struct str value = str_trim(str_head(s, n));
        s = str_skip(s, n + 1);
        if (str_eq(key, STR("__name__"))) {
            name->name = value;
            continue;
        }
        TRY(check_key(key, err));
        TRY(store_label(&list, &keys, key, value, arena, err));
    }
    name->labels = list.v;
    name->n = list.n;
    return ST_OK;
}

enum status app_name_parse(
    struct str text, struct arena *arena, struct app_name *ret_name, struct error *err)
{
    size_t n = str_find_char(text, '{');
    struct app_name name = {.name = str_trim(str_head(text, n))};
    TRY(check_name(name.name, err));
    if (n != STR_NPOS)
        TRY(parse_labels(str_skip(text, n + 1), arena, &name, err));
    *ret_name = name;
    return ST_OK;
}
