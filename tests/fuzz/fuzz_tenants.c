/* The header that names the tenants of a request: ids are safe as names of directories, sorted and
 * different; one tenant is taken exactly where the list has one. */
#include "server/tenants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_id(struct str id)
{
    ASSERT(id.n > 0 && id.n <= TENANT_BYTES_MAX);
    ASSERT(!str_eq(id, STR(".")) && !str_eq(id, STR("..")));
    for (size_t i = 0; i < id.n; i++)
        ASSERT(id.p[i] > ' ' && id.p[i] < 127 && !strchr("/\\|:\"", id.p[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct tenant_list l;
    struct str one;
    struct error err = {0};
    struct str header = str_make(data, size);
    arena_init(&arena, MIB);
    ASSERT(tenants_parse(false, header, &arena, &l, &err) == ST_OK && l.n == 1);
    ASSERT(str_eq(l.v[0], STR("anonymous")));
    enum status st = tenants_parse(true, header, &arena, &l, &err);
    if (st == ST_OK) {
        ASSERT(l.n > 0 && l.n <= TENANTS_MAX);
        for (uint32_t i = 0; i < l.n; i++) {
            check_id(l.v[i]);
            ASSERT(i == 0 || str_cmp(l.v[i - 1], l.v[i]) < 0);
        }
        ASSERT((tenants_parse_one(true, header, &arena, &one, &err) == ST_OK) == (l.n == 1));
    } else {
        ASSERT(st == ST_UNAUTHENTICATED && err.code == st && err.len > 0);
    }
    arena_done(&arena);
    return 0;
}
