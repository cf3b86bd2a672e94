/* gzip of any bytes: the output never exceeds its limit, which the first two bytes are; a larger
 * limit gives the same or more; and the same bytes, packed and unpacked, are themselves. */
#include "codec/gzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct buf packed;
    struct str out, more;
    struct error err = {0};
    if (size < 2 || size > 65536)
        return 0;
    uint64_t limit = data[0] | (uint64_t)data[1] << 8;
    struct str in = str_make(data + 2, size - 2);
    arena_init(&arena, 64 * MIB);
    enum status st = gzip_inflate(in, limit, &arena, &out, &err);
    ASSERT(st == ST_OK || st == ST_INVALID_ARGUMENT || st == ST_RESOURCE_EXHAUSTED);
    if (st == ST_OK) {
        ASSERT(out.n <= limit);
        ASSERT(gzip_inflate(in, 16 * MIB, &arena, &more, &err) == ST_OK && str_eq(out, more));
    }
    buf_init(&packed, MIB);
    ASSERT(gzip_deflate(in, 1 + data[0] % 12, &packed, &err) == ST_OK);
    ASSERT(gzip_inflate(buf_view(&packed), in.n, &arena, &out, &err) == ST_OK && str_eq(out, in));
    buf_done(&packed);
    arena_done(&arena);
    return 0;
}
