/* The `name` parameter: what is accepted has only allowed characters, distinct keys, and views. */
#include "codec/app_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool allowed(struct str s, const char *more)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (c == 0 || !strchr(more, c)))
            return false;
    }
    return true;
}

static void check_view(struct str text, struct str view)
{
    ASSERT(view.n == 0 || (view.p >= text.p && view.p + view.n <= text.p + text.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make(data, size);
    struct app_name name;
    struct error err;
    struct arena arena;
    arena_init(&arena, 4 * MIB);
    enum status st = app_name_parse(text, &arena, &name, &err);
    ASSERT(st == ST_OK || st == ST_INVALID_ARGUMENT);
    if (st == ST_OK) {
        bool renamed = str_contains(text, STR("__name__"));
        ASSERT(renamed || (name.name.n > 0 && allowed(name.name, "_.-/")));
        check_view(text, name.name);
        for (uint32_t i = 0; i < name.n; i++) {
            ASSERT(name.labels[i].key.n > 0 && allowed(name.labels[i].key, "_."));
            check_view(text, name.labels[i].key);
            check_view(text, name.labels[i].value);
            ASSERT(str_find_char(name.labels[i].value, ',') == STR_NPOS);
            for (uint32_t k = 0; k < i && i < 100; k++)
                ASSERT(!str_eq(name.labels[k].key, name.labels[i].key));
        }
    }
    arena_done(&arena);
    return 0;
}
