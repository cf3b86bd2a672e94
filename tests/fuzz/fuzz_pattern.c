/* Regular expressions: the first line is the pattern, the rest the text. Bounded time and memory;
 * the shortcut for words agrees with the engine, which is reached by a flag group around the
 * pattern. */
#include "model/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct str in = str_make(data, size);
    size_t nl = str_find_char(in, '\n');
    struct str text = nl == STR_NPOS ? STR_EMPTY : str_skip(in, nl + 1);
    struct str re = nl == STR_NPOS ? in : str_head(in, nl);
    struct error err;
    if (size > 4096)
        return 0;
    arena_init(&arena, MIB);
    for (int whole = 0; whole < 2; whole++) {
        struct pattern p, engine;
        enum status st = pattern_compile(re, whole, &arena, &p, &err);
        ASSERT(st == ST_OK || st == ST_INVALID_ARGUMENT);
        if (st != ST_OK)
            continue;
        bool hit = pattern_match(&p, text);
        /* `(?-i)` changes nothing, but it is no word. */
        struct str wrapped = arena_printf(
            &arena, "(?-i)(?:%.*s)", STR_ARG(re)); /* the arena is large enough */
        if (p.kind != PATTERN_RE2 && !memchr(re.p, 0, re.n)) {
            ASSERT(pattern_compile(wrapped, whole, &arena, &engine, &err) == ST_OK);
            ASSERT(engine.kind == PATTERN_RE2);
            /* For the engine `.` is a character, and bytes that are not UTF-8 are none. */
            ASSERT(pattern_match(&engine, text) == hit || p.kind != PATTERN_WORDS);
            pattern_done(&engine);
        }
        pattern_done(&p);
    }
    arena_done(&arena);
    return 0;
}
