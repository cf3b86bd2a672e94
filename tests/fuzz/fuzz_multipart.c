/* multipart bodies: byte 0 says how long the Content-Type is. Views lie in the body, names differ,
 * and a part that is found is the first of its name. */
#include "codec/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_view(struct str body, struct str view)
{
    ASSERT(view.n == 0 || (view.p >= body.p && view.p + view.n <= body.p + body.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct multipart m = {.n = 12345};
    struct error err;
    struct str type = STR("multipart/form-data; boundary=XX"), body = str_make(data, size);
    if (size && data[0] && data[0] < size) {
        type = str_make(data + 1, data[0] - 1u);
        body = str_make(data + data[0], size - data[0]);
    }
    if (multipart_parse(type, body, &m, &err) != ST_OK) {
        ASSERT(m.n == 12345 && err.len > 0);
        return 0;
    }
    ASSERT(m.n <= MULTIPART_PARTS_MAX);
    for (uint32_t i = 0; i < m.n; i++) {
        const struct multipart_part *p = &m.parts[i];
        ASSERT(p->name.n > 0 && p->filename.n > 0);
        check_view(body, p->name);
        check_view(body, p->filename);
        check_view(body, p->data);
        for (uint32_t k = 0; k < i; k++)
            ASSERT(!str_eq(p->name, m.parts[k].name));
        struct str got = multipart_get(&m, p->name);
        ASSERT(p->data.n ? got.p == p->data.p : got.p == NULL);
    }
    return 0;
}
