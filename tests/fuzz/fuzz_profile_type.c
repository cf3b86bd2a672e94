/* Profile type ids: what is accepted is made of its parts, what is not has an error text. */
#include "model/profile_type.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_parts(struct str s)
{
    size_t n = 1;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == ':';
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str id = str_make(data, size);
    struct profile_type t;
    struct error err;
    size_t n = count_parts(id);
    enum status st = profile_type_parse(id, &t, &err);
    ASSERT(st == (n == 5 || n == 6 ? ST_OK : ST_INVALID_ARGUMENT));
    if (st == ST_OK) {
        ASSERT(str_eq(t.id, id));
        size_t all = t.name.n + t.sample_type.n + t.sample_unit.n + t.period_type.n +
                     t.period_unit.n + 4;
        ASSERT(n == 5 ? all == id.n : all < id.n);
        ASSERT(t.name.p == id.p && t.period_unit.p + t.period_unit.n == id.p + all);
    } else {
        ASSERT(err.len < sizeof err.msg && error_str(&err).n > 0);
    }
    return 0;
}
