/* Base64 of any bytes: what decodes and is written again decodes to the same. */
#include "codec/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make(data, size), out, again;
    struct arena arena;
    struct buf text;
    arena_init(&arena, 64 * MIB);
    buf_init(&text, 64 * MIB);
    if (base64_decode(in, &arena, &out)) {
        ASSERT(out.n <= in.n);
        base64_put(&text, out);
        ASSERT(base64_decode(buf_view(&text), &arena, &again) && str_eq(out, again));
    }
    buf_clear(&text);
    base64_put(&text, in);
    ASSERT(base64_decode(buf_view(&text), &arena, &out) && str_eq(out, in));
    buf_done(&text);
    arena_done(&arena);
    return 0;
}
