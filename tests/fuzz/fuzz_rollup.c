/* Roll-ups from anywhere. The first byte says what the rest is:
 *
 *     0  a budget, the head of a tree, the head of its names, then both streams. Merged for two
 *        sides, in part and completely: where both are possible, the pictures are the same
 *     1  tree bytes: written as a roll-up and read back they are the same tree
 *     2  a function table */
#include "model/flamegraph.h"
#include "model/function_table.h"
#include "model/tree_merge.h"

#include "../unit/rollup_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena arena;

/* What a reader needs, twice: for each side. */
struct input {
    struct mem_rollup rollups[2];
    struct mem_names names[2];
};

static bool take_input(struct cursor *c, struct input *in)
{
    struct rollup_head head;
    struct rollup_names_head names;
    if (rollup_head_decode(c, &arena, &head, NULL) != ST_OK ||
        rollup_names_head_decode(c, &arena, &names, NULL) != ST_OK)
        return false;
    struct str tree = cursor_bytes(c, head.chunks.n_bytes);
    struct str texts = cursor_bytes(c, names.chunks.n_bytes);
    if (c->bad)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        in->rollups[i].head = head;
        in->names[i].head = names;
        buf_init(&in->rollups[i].stream.raw, 1 * MIB);
        buf_init(&in->names[i].stream.raw, 1 * MIB);
        buf_str(&in->rollups[i].stream.raw, tree);
        buf_str(&in->names[i].stream.raw, texts);
        mem_stream_start(&in->rollups[i].stream, &head.chunks);
        mem_stream_start(&in->names[i].stream, &names.chunks);
    }
    return true;
}

static void drop_input(struct input *in)
{
    for (unsigned i = 0; i < 2; i++) {
        mem_stream_done(&in->rollups[i].stream);
        mem_stream_done(&in->names[i].stream);
    }
}

static enum status merge(struct input *in, int64_t budget, unsigned n_sides, struct nametree *out)
{
    struct tree_source sources[2];
    struct tree_merge_limits limits = {.budget = budget};
    for (unsigned i = 0; i < 2; i++) {
        mem_rollup_open(&in->rollups[i], &arena);
        mem_names_open(&in->names[i], &arena);
        sources[i] = (struct tree_source){
            .rollup = &in->rollups[i].reader, .names = &in->names[i].reader, .side = i % n_sides};
    }
    for (unsigned i = 0; i < n_sides; i++)
        nametree_init(&out[i], &arena);
    return tree_merge(sources, 2, &limits, out, n_sides, NULL);
}

static void same_graph(const struct flamegraph *a, const struct flamegraph *b)
{
    ASSERT(a->n_levels == b->n_levels && a->n_names == b->n_names && a->total == b->total);
    for (uint32_t i = 0; i < a->n_names; i++)
        ASSERT(str_eq(a->names[i], b->names[i]));
    for (uint32_t i = 0; i < a->n_levels; i++)
        ASSERT(a->levels[i].n == b->levels[i].n &&
               memcmp(a->levels[i].values, b->levels[i].values,
                   a->levels[i].n * sizeof *a->levels[i].values) == 0);
}

static enum status draw(
    const struct nametree *t, unsigned n_sides, int64_t budget, struct flamegraph *ret)
{
    return n_sides == 2 ? flamegraph_diff(&t[0], &t[1], budget, &arena, ret, NULL)
                        : flamegraph_build(&t[0], budget, budget / 2, &arena, ret, NULL);
}

static void merge_both_ways(struct input *in, int64_t budget, unsigned n_sides)
{
    struct nametree part[2], whole[2];
    struct flamegraph some, all;
    enum status st = merge(in, budget, n_sides, part);
    enum status whole_st = merge(in, 0, n_sides, whole);
    if (st == ST_OK && whole_st == ST_OK) {
        ASSERT(part[0].nodes[0].total == whole[0].nodes[0].total);
        st = draw(part, n_sides, budget, &some);
        whole_st = draw(whole, n_sides, budget, &all);
        if (st == ST_OK && whole_st == ST_OK)
            same_graph(&some, &all);
    }
    for (unsigned i = 0; i < n_sides; i++) {
        nametree_done(&part[i]);
        nametree_done(&whole[i]);
    }
}

static void read_bytes(struct cursor *c)
{
    struct input in = {0};
    int64_t budget = cursor_byte(c);
    if (take_input(c, &in)) {
        merge_both_ways(&in, budget, 1);
        merge_both_ways(&in, budget, 2);
    }
    drop_input(&in);
}

static void write_and_read(const struct nametree *t)
{
    struct mem_rollup r;
    struct mem_names names = {0};
    struct nametree back;
    struct buf x, y;
    rollup_names_init(&names.writer, &arena);
    mem_rollup_write(&r, t, &names, &arena);
    mem_names_write(&names);
    mem_rollup_open(&r, &arena);
    mem_names_open(&names, &arena);
    nametree_init(&back, &arena);
    struct tree_source s = {.rollup = &r.reader, .names = &names.reader};
    struct tree_merge_limits limits = {0};
    ASSERT(tree_merge(&s, 1, &limits, &back, 1, NULL) == ST_OK);
    buf_init(&x, 1 * MIB);
    buf_init(&y, 1 * MIB);
    ASSERT(nametree_encode(t, 0, &x, NULL) == ST_OK);
    ASSERT(nametree_encode(&back, 0, &y, NULL) == ST_OK);
    ASSERT(str_eq(buf_view(&x), buf_view(&y)));
    buf_done(&x);
    buf_done(&y);
    nametree_done(&back);
    mem_stream_done(&r.stream);
    mem_names_done(&names);
}

static void read_tree(struct cursor *c)
{
    struct nametree t;
    nametree_init(&t, &arena);
    if (nametree_decode(str_make(c->p, cursor_left(c)), &t, NULL) == ST_OK &&
        nametree_finish(&t, NULL) == ST_OK)
        write_and_read(&t);
    nametree_done(&t);
}

static void read_table(struct cursor *c)
{
    struct function_table table;
    struct str bytes = str_make(c->p, cursor_left(c));
    if (function_table_decode(bytes, &arena, &table, NULL) != ST_OK)
        return;
    for (uint32_t i = 0; i < table.n; i++)
        ASSERT(0 <= table.v[i].self && table.v[i].self <= table.v[i].total &&
               table.v[i].total <= table.total);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 16 * KIB)
        return 0;
    arena_init(&arena, 256 * MIB);
    struct cursor c = cursor_make(str_make(data, size));
    switch (cursor_byte(&c)) {
    case 0:
        read_bytes(&c);
        break;
    case 1:
        read_tree(&c);
        break;
    case 2:
        read_table(&c);
        break;
    }
    arena_done(&arena);
    return 0;
}
