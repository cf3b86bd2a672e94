/* Command lines, one argument per line. The first byte chooses: the server's flags, or the command
 * line's options with its two grammars of times. A refusal says why. */
#include "base/mem.h"
#include "cli/cli_int.h"
#include "ingest/compiled.h"
#include "server/config_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARGS_MAX = 24, NOW_S = 1795382000 };

struct args {
    char *v[ARGS_MAX + 1];
    int n;
};

static void split(struct str text, struct arena *arena, struct args *ret)
{
    struct str_split lines = {text, text.n == 0};
    struct str line;
    static char name[] = "everflame";
    ret->v[0] = name;
    ret->n = 1;
    while (ret->n < ARGS_MAX && str_split_next(&lines, '\n', &line)) {
        ret->v[ret->n] = arena_cstr(arena, line);
        ASSERT(ret->v[ret->n]);
        ret->n++;
    }
    ret->v[ret->n] = NULL;
}

static void flags(struct args *a)
{
    struct config *c = config_new();
    struct error err = {0};
    for (int all = 0; all < 2; all++) {
        enum status st = config_flags_parse(c, a->n, a->v, all, &err);
        ASSERT(st == ST_OK || (err.code == st && err.len > 0));
    }
    (void)config_validate(c, &err);
    config_free(c);
}

static void options(struct args *a, struct arena *arena)
{
    const struct command *named = a->n > 1 ? command_find(str_from(a->v[1])) : NULL;
    struct cli c = {
        .command = named ? named : commands, .arena = *arena, .now_ns = NOW_S * NS_PER_S};
    struct time_range range;
    int64_t ns;
    buf_init(&c.out, MIB);
    if (options_parse(&c, a->n, a->v) == ST_OK) {
        if (time_range_get(&c, &range) == ST_OK)
            ASSERT(range.from_ns <= range.until_ns);
        (void)opt_rows(&c, 10);
    }
    for (int i = 1; i < a->n; i++) {
        (void)time_parse(str_from(a->v[i]), c.now_ns, &ns);
        if (span_parse(str_from(a->v[i]), &ns))
            ASSERT(ns >= 0);
    }
    buf_done(&c.out);
    *arena = c.arena;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct args a;
    if (size == 0 || size > 8192)
        return 0;
    arena_init(&arena, 16 * MIB);
    split(str_make(data + 1, size - 1), &arena, &a);
    if (data[0] & 1)
        options(&a, &arena);
    else
        flags(&a);
    arena_done(&arena);
    compiled_forget();
    return 0;
}
