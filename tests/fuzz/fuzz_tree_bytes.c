/* Tree bytes from anywhere: what is accepted can be written again, reads back as the same tree, and
 * every cut of it keeps the total. */
#include "model/flamegraph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(const struct nametree *t, int64_t budget, struct arena *arena)
{
    struct buf first, second;
    struct nametree back;
    struct flamegraph g;
    buf_init(&first, 1 * MIB);
    buf_init(&second, 1 * MIB);
    nametree_init(&back, arena);
    ASSERT(nametree_encode(t, budget, &first, NULL) == ST_OK);
    ASSERT(nametree_decode(buf_view(&first), &back, NULL) == ST_OK);
    ASSERT(nametree_finish(&back, NULL) == ST_OK);
    ASSERT(nametree_encode(&back, 0, &second, NULL) == ST_OK);
    ASSERT(str_eq(buf_view(&first), buf_view(&second)));
    ASSERT(back.nodes[0].total == t->nodes[0].total);
    ASSERT(flamegraph_build(t, 8, budget, arena, &g, NULL) == ST_OK);
    ASSERT(g.levels[0].n == 4 && g.levels[0].values[1] == t->nodes[0].total);
    nametree_done(&back);
    buf_done(&first);
    buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct nametree t;
    if (size > 16 * KIB)
        return 0;
    arena_init(&arena, 64 * MIB);
    nametree_init(&t, &arena);
    bool read = nametree_decode(str_make(data, size), &t, NULL) == ST_OK;
    if (read && nametree_finish(&t, NULL) == ST_OK) {
        write_and_read(&t, 0, &arena);
        write_and_read(&t, 3, &arena);
    }
    nametree_done(&t);
    arena_done(&arena);
    return 0;
}
