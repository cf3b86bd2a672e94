/* speedscope files: the stacks of every profile keep the promises of text_fuzz.h. */
#include "text_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct error err;
    struct speedscope_profile *p = NULL;
    uint32_t n = 0;
    arena_init(&arena, 16 * MIB);
    enum status st = speedscope_decode(str_make(data, size), 100, &arena, &p, &n, &err);
    ASSERT(st == ST_OK || st == ST_INVALID_ARGUMENT || st == ST_RESOURCE_EXHAUSTED);
    for (uint32_t i = 0; st == ST_OK && i < n; i++)
        text_fuzz_check(&p[i].stacks);
    arena_done(&arena);
    return 0;
}
