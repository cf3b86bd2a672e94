/* A configuration file of any bytes: expanded, read, dumped; what is dumped reads back. */
#include "server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make(data, size);
    struct buf out;
    struct error err = {0};
    buf_init(&out, 1 << 20);
    if (config_expand_env(text, &out, &err) == ST_OK)
        ASSERT(out.n <= 1 << 20);
    struct config *c = config_new();
    if (config_yaml(c, text, "f", &err) == ST_OK) {
        struct config *again = config_new();
        buf_clear(&out);
        config_dump(c, CONFIG_DUMP_ALL, &out);
        enum status st = config_yaml(again, buf_view(&out), "f", &err);
        ASSERT(out.failed || st == ST_OK);
        config_free(again);
        (void)config_validate(c, &err);
    }
    config_free(c);
    buf_done(&out);
    return 0;
}
