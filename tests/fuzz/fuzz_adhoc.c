/* A file that somebody uploads to look at: any bytes in any of its formats are drawn, or refused
 * with a reason; what was drawn as JSON can be read again, and is drawn the same.
 *
 * Byte 0: bit 0, the name says that it is collapsed. */
#include "query/adhoc.h"

enum { ARENA_BYTES = 64 << 20, BYTES_MAX = 1 << 20, OUT_BYTES = 64 << 20, ALL_NODES = 1 << 20 };

static struct query query_of(struct arena *arena)
{
    struct query q = {.arena = arena, .limits = {.max_nodes_max = ALL_NODES}};
    return q;
}

static enum status draw(struct str name, struct str bytes, struct buf *out, struct error *err)
{
    struct arena arena;
    struct adhoc a;
    arena_init(&arena, ARENA_BYTES);
    struct query q = query_of(&arena);
    enum status st = adhoc_open(&q, name, bytes, BYTES_MAX, &a, err);
    for (uint32_t i = 0; st == ST_OK && i < a.n_types; i++) {
        uint32_t found;
        buf_clear(out);
        ASSERT(adhoc_type(&a, a.types[i].type, &found, NULL) == ST_OK && found <= i);
        st = adhoc_render(&q, &a, i, ALL_NODES, out, err);
    }
    if (st == ST_OK) {
        struct buf diff;
        struct adhoc_side side = {&a, 0};
        buf_init(&diff, OUT_BYTES);
        (void)adhoc_diff(&q, side, side, 100, &diff, err);
        buf_done(&diff);
    }
    arena_done(&arena);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first, second;
    struct error err = {0};
    if (size == 0)
        return 0;
    struct str name = data[0] & 1 ? STR("a.collapsed") : STR("a");
    buf_init(&first, OUT_BYTES);
    buf_init(&second, OUT_BYTES);
    enum status st = draw(name, str_make(data + 1, size - 1), &first, &err);
    ASSERT(st == ST_OK || (err.code == st && err.len > 0));
    bool whole = !str_contains(buf_view(&first), STR("\xef\xbf\xbd")); /* all names are UTF-8 */
    if (st == ST_OK && whole && draw(STR("b.json"), buf_view(&first), &second, &err) == ST_OK) {
        size_t end = str_find(buf_view(&first), STR("\"metadata\""));
        ASSERT(end != STR_NPOS && str_starts(buf_view(&second), str_head(buf_view(&first), end)));
    }
    buf_done(&first);
    buf_done(&second);
    return 0;
}
