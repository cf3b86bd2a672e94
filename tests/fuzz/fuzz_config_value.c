/* One value of a setting: the first byte is its type, the rest the text: sizes, both grammars of
 * durations, numbers, booleans, lists, rules. What is taken is shown as a text that means the same.
 */
#include "base/mem.h"
#include "ingest/compiled.h"
#include "server/config_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever config_value_store writes: a member of any type. */
union member {
    struct str s;
    const void *compiled;
    double f;
    int64_t i;
    uint64_t u;
    bool b;
};

static bool store(enum config_type type, struct str text, struct arena *arena, union member *ret)
{
    struct config_value v = {0};
    bool range = false;
    memset(ret, 0, sizeof *ret);
    return config_value_parse(type, text, &v, &range) && config_value_store(type, &v, ret, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct buf first, second;
    union member m;
    if (size == 0 || size > 4096)
        return 0;
    enum config_type type = data[0] % CONFIG_ANY;
    struct str text = str_make(data + 1, size - 1);
    arena_init(&arena, MIB);
    buf_init(&first, MIB);
    buf_init(&second, MIB);
    if (store(type, text, &arena, &m)) {
        config_value_format(type, &m, &first);
        bool quoted = type == CONFIG_STRING || type == CONFIG_SECRET || type == CONFIG_LIST;
        if (!quoted) { /* texts and lists are shown as YAML, which fuzz_config reads back */
            ASSERT(!first.failed && store(type, buf_view(&first), &arena, &m));
            config_value_format(type, &m, &second);
            ASSERT(str_eq(buf_view(&first), buf_view(&second)));
        }
    }
    buf_done(&first);
    buf_done(&second);
    arena_done(&arena);
    compiled_forget();
    return 0;
}
