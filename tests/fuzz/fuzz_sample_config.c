/* The form part sample_type_config: any JSON; every entry is found by its type. */
#include "ingest/ingest_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct sample_config config;
    struct error err = {0};
    arena_init(&arena, 16 * MIB);
    enum status st = sample_config_parse(str_make(data, size), &arena, &config, &err);
    if (st == ST_OK) {
        for (uint32_t i = 0; i < config.n; i++)
            ASSERT(sample_config_find(&config, config.v[i].type));
    } else {
        ASSERT(st == ST_INVALID_ARGUMENT || (st == ST_RESOURCE_EXHAUSTED && arena.full));
        ASSERT(err.code == st && err.len > 0);
    }
    arena_done(&arena);
    return 0;
}
