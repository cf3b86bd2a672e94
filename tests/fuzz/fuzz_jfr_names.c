/* Names of any bytes: a rewritten one is a head of the name and "_", or one of three libraries. */
#include "codec/jfr_int.h"

static bool is_library(struct str s)
{
    return str_eq(s, STR("libzstd-jni-_.so")) || str_eq(s, STR("libasyncProfiler-_.so")) ||
           str_eq(s, STR("libamazonCorrettoCryptoProvider_.so"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make(data, size);
    struct arena arena;
    arena_init(&arena, MIB);
    struct str out = jfr_name_rewrite(in, &arena);
    bool same = out.p == in.p && out.n == in.n;
    if (!same && !is_library(out)) {
        ASSERT(out.n >= 2 && out.p[out.n - 1] == '_');
        ASSERT(str_starts(in, str_head(out, out.n - 1)));
        ASSERT(!memchr(in.p, '\n', in.n));
    }
    ASSERT(str_eq(jfr_name_rewrite(out, &arena), out)); /* once is enough */
    arena_done(&arena);
    return 0;
}
