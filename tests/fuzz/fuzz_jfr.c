/* Recording and labels: byte 0 picks options, two bytes are the length of the labels, which come
 * first; the rest is the recording. What decodes must keep the promises of codec/profile.h. */
#include "../jfr_check.h"
#include "codec/jfr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    size_t n = MIN((size_t)(data[1] | data[2] << 8), size - 3);
    struct str labels = str_make(data + 3, n), recording = str_make(data + 3 + n, size - 3 - n);
    const struct jfr_options opt = {
        .sample_rate = data[0] & 1 ? 100 : 0,
        .from_ns = 1000,
        .until_ns = 2000,
        .samples_max = data[0] & 2 ? 3 : 0,
        .stack_depth_max = data[0] & 4 ? 2 : 0,
    };
    struct arena arena;
    struct jfr jfr;
    struct error err = {0};
    arena_init(&arena, data[0] & 8 ? 40 * KIB : 64 * MIB);
    enum status st = jfr_decode(recording, labels, &opt, &arena, &jfr, &err);
    if (st == ST_OK)
        jfr_check(&jfr, &opt);
    else
        ASSERT((st == ST_INVALID_ARGUMENT || st == ST_RESOURCE_EXHAUSTED) && err.code == st &&
               err.len > 0);
    arena_done(&arena);
    return 0;
}
