/* The selector grammar: any bytes are a selector or an error, and what was read means what it says:
 * written back as text it parses to the same matchers. */
#include "base/buf.h"
#include "model/labels.h"
#include "model/selector.h"

static void put(const struct selector *sel, struct buf *out)
{
    static const char *const ops[] = {"=", "!=", "=~", "!~"};
    buf_byte(out, '{');
    for (uint32_t i = 0; i < sel->n; i++) {
        quote_go(sel->v[i].name, out);
        buf_str(out, str_from(ops[sel->v[i].op]));
        quote_go(sel->v[i].value, out);
        buf_byte(out, ',');
    }
    buf_byte(out, '}');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    struct selector sel = {0}, again = {0};
    struct error err;
    struct buf text;
    if (size > 8192)
        return 0;
    arena_init(&arena, 8 * MIB);
    buf_init(&text, MIB);
    enum status st = selector_parse(str_make(data, size), &arena, &sel, &err);
    ASSERT(st == ST_OK || st == ST_INVALID_ARGUMENT);
    if (st == ST_OK) {
        put(&sel, &text);
        ASSERT(selector_parse(buf_view(&text), &arena, &again, &err) == ST_OK);
        ASSERT(again.n == sel.n);
        for (uint32_t i = 0; i < sel.n; i++) {
            ASSERT(str_eq(sel.v[i].name, again.v[i].name));
            ASSERT(str_eq(sel.v[i].value, again.v[i].value));
            ASSERT(sel.v[i].op == again.v[i].op);
            for (uint32_t k = 0; k < sel.n; k++)
                ASSERT(matcher_holds(&sel.v[i], sel.v[k].value) ==
                       matcher_holds(&again.v[i], sel.v[k].value));
        }
        selector_rewrite_types(&sel);
        struct str name;
        (void)selector_take_name(&sel, &name);
    }
    selector_done(&sel);
    selector_done(&again);
    buf_done(&text);
    arena_done(&arena);
    return 0;
}
