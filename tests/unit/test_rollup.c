/* model/rollup: the bytes of a worked example, reading that touches only the front, and damage of
 * every byte, which ends in an error or in a valid answer. */
#include "test.h"

#include <stdlib.h>

#include "model/flamegraph.h"
#include "model/function_table.h"
#include "model/tree_merge.h"

#include "rollup_mem.h"

static struct arena arena;
static struct nametree tree;
static struct mem_names names;
static struct mem_rollup rollup;
static struct error err;

static int setup(void **state)
{
    (void)state;
    names = (struct mem_names){0};
    rollup = (struct mem_rollup){0};
    arena_init(&arena, 1 * GIB);
    nametree_init(&tree, &arena);
    rollup_names_init(&names.writer, &arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nametree_done(&tree);
    mem_names_done(&names);
    mem_stream_done(&rollup.stream);
    arena_done(&arena);
    return 0;
}

static void add(const char *stack, int64_t self)
{
    struct str path[16], name;
    uint32_t n = 0;
    struct str_split it = {.rest = str_from(stack)};
    while (str_split_next(&it, ';', &name))
        path[n++] = name;
    assert_int_equal(nametree_add_path(&tree, path, n, self, &err), ST_OK);
}

static void write_all(void)
{
    assert_int_equal(nametree_finish(&tree, &err), ST_OK);
    mem_rollup_write(&rollup, &tree, &names, &arena);
    mem_names_write(&names);
}

static void open_all(struct arena *readers)
{
    mem_rollup_open(&rollup, readers);
    mem_names_open(&names, readers);
}

static void expect_hex(struct str bytes, const char *hex)
{
    char got[1024] = "";
    assert_true(bytes.n * 3 < sizeof got);
    for (size_t i = 0; i < bytes.n; i++)
        snprintf(got + i * 3, 4, "%02x ", (uint8_t)bytes.p[i]);
    got[bytes.n ? bytes.n * 3 - 1 : 0] = 0;
    assert_string_equal(got, hex);
}

static void expect_head(const struct rollup_head *h, const char *hex)
{
    struct buf b;
    buf_init(&b, 1 * KIB);
    rollup_head_encode(h, &b);
    expect_hex(buf_view(&b), hex);
    buf_done(&b);
}

/* The example of docs/formats/rollup.md. */
static void the_example(void **state)
{
    (void)state;
    add("main;work;read", 60);
    add("main;work", 20);
    add("main;idle;poll", 30);
    add("main;init", 10);
    write_all();
    expect_hex(buf_view(&rollup.stream.raw),
        "07 00 "                      /* root: one child, all of it, next: main */
        "0f 02 02 01 00 03 01 10 00 " /* main: idle, init (leaf), work (all the rest, next) */
        "00 00 "
        "04 09 06 " /* work: read, with a self */
        "06 0b");   /* idle: poll */
    expect_head(&rollup.head, "01 12 0a 0c 06");
    expect_hex(buf_view(&names.stream.raw),
        "04 6d 61 69 6e 04 69 64 6c 65 04 69 6e 69 74 04 77 6f 72 6b 04 72 65 61 64 04 70 6f 6c "
        "6c");
}

static void a_tree_without_nodes(void **state)
{
    (void)state;
    write_all();
    expect_hex(buf_view(&rollup.stream.raw), "");
    expect_head(&rollup.head, "00 01 00 00");
    open_all(&arena);
    assert_int_equal(rollup_root(&rollup.reader), ROLLUP_LEAF);
    struct str text;
    assert_int_equal(rollup_name(&names.reader, 0, &text, &err), ST_DATA_LOSS);
}

/* Reading */

static uint32_t *rollup_refs; /* of each node of the tree, by compare_all */

/* Compares a group with the node it is of, and notes where the groups of its children are. */
static void compare_group(const struct rollup_group *g, struct rollup_names_reader *nr,
    const struct name_node *node, uint32_t *by_name, uint32_t *refs)
{
    const uint32_t *children = tree.children + node->first_child;
    assert_int_equal(g->n, node->n_children);
    assert_int_equal(g->self, node->self);
    for (uint32_t k = 0; k < g->n; k++)
        by_name[tree.nodes[children[k]].name] = children[k];
    for (uint32_t k = 0; k < g->n; k++) {
        struct str text;
        assert_int_equal(rollup_name(nr, g->v[k].name, &text, &err), ST_OK);
        uint32_t child = by_name[nametree_find_name(&tree, text)];
        assert_true(child && &tree.nodes[tree.nodes[child].parent] == node);
        assert_int_equal(g->v[k].total, tree.nodes[child].total);
        refs[child] = g->v[k].ref;
    }
    for (uint32_t k = 0; k < g->n; k++)
        by_name[tree.nodes[children[k]].name] = 0;
}

static int by_ref(const void *x, const void *y)
{
    const uint32_t *refs = rollup_refs;
    uint32_t a = refs[*(const uint32_t *)x], b = refs[*(const uint32_t *)y];
    return (a > b) - (a < b);
}

/* Whatever has some total lies before all that has less than half of it. */
static void compare_order(void)
{
    uint32_t *order = ARENA_ARRAY(&arena, uint32_t, tree.n_nodes);
    for (uint32_t i = 0; i < tree.n_nodes; i++)
        order[i] = i;
    qsort(order, tree.n_nodes, sizeof *order, by_ref);
    int64_t largest_behind = 0;
    for (uint32_t i = tree.n_nodes; i-- > 0;) {
        if (rollup_refs[order[i]] == ROLLUP_LEAF)
            continue;
        int64_t total = tree.nodes[order[i]].total;
        assert_true(total >= largest_behind / 2);
        largest_behind = MAX(largest_behind, total);
    }
}

/* Follows the tree and its roll-up at the same time. */
static void compare_all(struct rollup_reader *r, struct rollup_names_reader *nr)
{
    uint32_t *refs = rollup_refs = ARENA_ZARRAY(&arena, uint32_t, tree.n_nodes);
    uint32_t *by_name = ARENA_ZARRAY(&arena, uint32_t, tree.n_names);
    refs[0] = rollup_root(r);
    for (uint32_t i = 0; i < tree.n_nodes; i++) {
        const struct name_node *node = &tree.nodes[i];
        struct rollup_group g;
        assert_int_equal(refs[i] == ROLLUP_LEAF, node->n_children == 0);
        if (refs[i] == ROLLUP_LEAF)
            continue;
        assert_int_equal(rollup_read_group(r, refs[i], node->total, &g, &err), ST_OK);
        compare_group(&g, nr, node, by_name, refs);
    }
    compare_order();
}

/* `n` stacks of a few hundred bytes of names, the first ones heavy. */
static void add_many(uint32_t n)
{
    uint64_t random = 1;
    for (uint32_t i = 0; i < n; i++) {
        char text[12][32];
        struct str path[12];
        for (uint32_t k = 0; k < 12; k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            uint32_t f = (uint32_t)(random >> 33) % (3 + 40 * k);
            int len = snprintf(text[k], sizeof text[k], "package.of.%u.Function%u", k, f);
            path[k] = str_make(text[k], (size_t)len);
        }
        int64_t self = i < 100 ? 1000 : 1 + i % 3;
        assert_int_equal(nametree_add_path(&tree, path, 12, self, &err), ST_OK);
    }
}

static void reads_back_what_was_written(void **state)
{
    (void)state;
    add_many(20000);
    write_all();
    assert_true(rollup.head.chunks.n_chunks > 10 && names.head.chunks.n_chunks > 1);
    for (uint32_t i = 0; i + 1 < rollup.head.chunks.n_chunks; i++)
        assert_true(rollup_chunk_size(&rollup.head.chunks, i) >= ROLLUP_CHUNK_BYTES);
    open_all(&arena);
    compare_all(&rollup.reader, &names.reader);
    assert_int_equal(rollup.stream.asked, rollup.head.chunks.n_chunks);
}

static void a_small_question_reads_the_front(void **state)
{
    (void)state;
    add_many(20000);
    write_all();
    open_all(&arena);
    struct nametree out;
    nametree_init(&out, &arena);
    struct tree_source s = {.rollup = &rollup.reader, .names = &names.reader};
    struct tree_merge_limits limits = {.budget = 100};
    assert_int_equal(tree_merge(&s, 1, &limits, &out, 1, &err), ST_OK);
    assert_int_equal(out.nodes[0].total, tree.nodes[0].total);
    assert_true(rollup.stream.asked <= 2);
    for (uint32_t i = 0; i < rollup.stream.asked; i++)
        assert_non_null(rollup.stream.copies[i]);
    nametree_done(&out);
}

/* A chain and a family larger than any stack or chunk. */
static void deep_and_wide(void **state)
{
    (void)state;
    enum { MANY = 200000 };
    struct str *path = ARENA_ARRAY(&arena, struct str, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        path[i] = i % 2 ? STR("even") : STR("odd");
    assert_int_equal(nametree_add_path(&tree, path, MANY, 7, &err), ST_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        struct str name = arena_printf(&arena, "function %u", i);
        assert_int_equal(nametree_add_path(&tree, &name, 1, 7, &err), ST_OK);
    }
    write_all();
    assert_int_equal(rollup.head.unit, 7);
    open_all(&arena);
    compare_all(&rollup.reader, &names.reader);
    struct function_table table;
    assert_int_equal(function_table_make(&tree, &arena, &table, &err), ST_OK);
    assert_int_equal(table.n, MANY + 2);
    for (uint32_t i = 0; i < table.n; i++)
        assert_int_equal(table.v[i].total, 7);
}

/* Damage */

/* Reads everything that the bytes say, as an answer would; what it says must hold together. */
static void read_damaged(int64_t budget)
{
    struct arena readers;
    struct nametree out;
    struct flamegraph g;
    arena_init(&readers, 64 * MIB);
    nametree_init(&out, &readers);
    open_all(&readers);
    struct tree_source s = {.rollup = &rollup.reader, .names = &names.reader};
    struct tree_merge_limits limits = {.budget = budget};
    enum status st = tree_merge(&s, 1, &limits, &out, 1, &err);
    if (st == ST_OK) {
        assert_int_equal(out.nodes[0].total, rollup.head.total);
        assert_true(out.n_nodes - 1 <= rollup.head.n_nodes);
        st = flamegraph_build(&out, budget, 0, &readers, &g, &err);
        assert_int_equal(st, ST_OK);
    } else {
        assert_int_equal(st, ST_DATA_LOSS);
    }
    nametree_done(&out);
    arena_done(&readers);
}

static void damage_stream(struct buf *raw)
{
    for (size_t i = 0; i < raw->n; i++) {
        char was = raw->p[i];
        for (unsigned change = 1; change < 256; change++) {
            raw->p[i] = (char)((uint8_t)was ^ change);
            read_damaged(0);
            read_damaged(3);
        }
        raw->p[i] = was;
    }
}

static void add_some(void)
{
    add("main;work;read;other", 60);
    add("main;work;read;x", 3);
    add("main;work;write;y;y", 8);
    add("main;work", 20);
    add("main;idle;poll", 30);
    add("main;idle;wait", 30);
    add("main;init", 10);
    add("other;main;work", 0);
    add("z;work;read", 1);
    write_all();
}

static void every_byte_of_a_tree(void **state)
{
    (void)state;
    add_some();
    damage_stream(&rollup.stream.raw);
}

static void every_byte_of_the_names(void **state)
{
    (void)state;
    add_some();
    damage_stream(&names.stream.raw);
}

/* A head that is still one is used; reading it must end within its bytes. */
static void every_byte_of_a_head(void **state)
{
    (void)state;
    struct buf b;
    add_many(3000);
    write_all();
    struct rollup_head good = rollup.head;
    struct rollup_names_head good_names = names.head;
    assert_true(good.chunks.n_chunks > 1 && good_names.chunks.n_chunks > 1);
    buf_init(&b, 1 * KIB);
    rollup_head_encode(&good, &b);
    rollup_names_head_encode(&good_names, &b);
    for (size_t i = 0; i < b.n * 255; i++) {
        struct rollup_head h;
        struct rollup_names_head nh;
        char *copy = mem_try(b.n);
        memcpy(copy, b.p, b.n);
        copy[i / 255] = (char)((uint8_t)copy[i / 255] ^ (1 + i % 255));
        struct cursor c = cursor_make(str_make(copy, b.n - i % 2));
        enum status st = rollup_head_decode(&c, &arena, &h, &err);
        if (st == ST_OK)
            st = rollup_names_head_decode(&c, &arena, &nh, &err);
        assert_true(st == ST_OK || st == ST_DATA_LOSS);
        if (st == ST_OK)
            assert_true(h.chunks.n_bytes <= ROLLUP_BYTES_MAX && nh.n_names <= nh.chunks.n_bytes);
        mem_free(copy);
    }
    buf_done(&b);
}

static void every_byte_of_a_table(void **state)
{
    (void)state;
    struct buf b;
    struct function_table table, back;
    add_some();
    buf_init(&b, 1 * KIB);
    assert_int_equal(function_table_make(&tree, &arena, &table, &err), ST_OK);
    enum status st = function_table_encode(&tree, &table, &names.writer, &arena, &b, &err);
    assert_int_equal(st, ST_OK);
    for (size_t i = 0; i < b.n * 256; i++) {
        size_t n = i % 256 ? b.n : i / 256;
        char *copy = mem_try(n + 1);
        memcpy(copy, b.p, n);
        if (i % 256)
            copy[i / 256] = (char)((uint8_t)copy[i / 256] ^ i % 256);
        st = function_table_decode(str_make(copy, n), &arena, &back, &err);
        assert_true(st == ST_OK || st == ST_DATA_LOSS);
        assert_true(st == ST_OK || n <= b.n);
        int64_t selfs = 0;
        for (uint32_t k = 0; st == ST_OK && k < back.n; k++) {
            selfs += back.v[k].self;
            assert_true(back.v[k].self >= 0 && back.v[k].self <= back.v[k].total);
            assert_true(back.v[k].total <= back.total);
            assert_true(k == 0 || back.v[k].name > back.v[k - 1].name);
        }
        assert_true(st != ST_OK || selfs == back.total);
        mem_free(copy);
    }
    buf_done(&b);
}

/* Bytes made by hand, with names a to d and a head that says what it likes. */
static enum status merge_bytes(struct str bytes, int64_t total, uint32_t n_nodes)
{
    static const uint32_t start = 0;
    struct nametree out;
    for (uint32_t i = 0; i < 4; i++)
        (void)rollup_names_id(&names.writer, str_make(&"abcd"[i], 1));
    mem_stream_done(&names.stream);
    mem_names_write(&names);
    mem_stream_done(&rollup.stream);
    buf_init(&rollup.stream.raw, 1 * MIB);
    buf_str(&rollup.stream.raw, bytes);
    struct rollup_chunks chunks = {&start, 1, (uint32_t)bytes.n};
    rollup.head = (struct rollup_head){chunks, 1, total, n_nodes};
    mem_stream_start(&rollup.stream, &chunks);
    open_all(&arena);
    nametree_init(&out, &arena);
    struct tree_source s = {.rollup = &rollup.reader, .names = &names.reader};
    struct tree_merge_limits limits = {.budget = 0};
    enum status st = tree_merge(&s, 1, &limits, &out, 1, &err);
    nametree_done(&out);
    return st;
}

#define MERGE(bytes, total, n_nodes) merge_bytes(STR(bytes), total, n_nodes)

static void what_cannot_be(void **state)
{
    (void)state;
    /* One leaf `a`, total 3; the same as the rest; two of them. */
    assert_int_equal(MERGE("\4\1\3", 3, 1), ST_OK);
    assert_int_equal(MERGE("\6\1", 3, 1), ST_OK);
    assert_int_equal(MERGE("\x8\1\1\2\1", 3, 2), ST_OK);
    assert_int_equal(MERGE("\4\1\2", 3, 1), ST_DATA_LOSS); /* a self of the root */
    assert_int_equal(MERGE("\4\1\4", 3, 1), ST_DATA_LOSS); /* more than its parent */
    assert_int_equal(MERGE("\xa\0\1\1\4", 3, 2), ST_DATA_LOSS);
    assert_int_equal(MERGE("\4\x9\3", 3, 1), ST_DATA_LOSS);       /* name 4 */
    assert_int_equal(MERGE("\0\0", 0, 1), ST_DATA_LOSS);          /* no child */
    assert_int_equal(MERGE("\x8\1\3", 3, 1), ST_DATA_LOSS);       /* a child that is missing */
    assert_int_equal(MERGE("\xa\2\1\1\1\2", 3, 2), ST_DATA_LOSS); /* the heavy child is none */
    assert_int_equal(MERGE("\7\1", 3, 1), ST_DATA_LOSS);          /* a leaf's group is next */
    assert_int_equal(MERGE("\7\0", 3, 1), ST_DATA_LOSS);          /* next is behind the end */
    assert_int_equal(MERGE("\7\1\6\1", 3, 2), ST_DATA_LOSS);      /* it is one all the same */
    assert_int_equal(MERGE("\7\0\6\1", 3, 2), ST_OK);
    assert_int_equal(MERGE("\7\0\6\1", 3, 1), ST_DATA_LOSS);  /* more nodes than the head says */
    assert_int_equal(MERGE("\6\0\6\0\0\0\6\1", 3, 2), ST_OK); /* by a ref */
    assert_int_equal(MERGE("\6\0\0\0\0\0\6\1", 3, 2), ST_DATA_LOSS);  /* to itself */
    assert_int_equal(MERGE("\6\0\5\0\0\0\6\1", 3, 2), ST_DATA_LOSS);  /* into itself */
    assert_int_equal(MERGE("\6\0\x8\0\0\0\6\1", 3, 2), ST_DATA_LOSS); /* behind the end */
    assert_int_equal(MERGE("\6\0\xff\xff\xff\xff\6\1", 3, 2), ST_DATA_LOSS);
}

static enum status one_chunk(void *ctx, uint32_t index, struct str *ret_bytes, struct error *e)
{
    (void)index;
    (void)e;
    *ret_bytes = *(struct str *)ctx;
    return ST_OK;
}

/* A group is read, with the reader alone to refuse it. */
static enum status read_first(struct str bytes)
{
    static const uint32_t start = 0;
    struct rollup_head head = {{&start, 1, (uint32_t)bytes.n}, 1, 3, 1};
    struct rollup_group g;
    enum status st = rollup_reader_init(&rollup.reader, &head, one_chunk, &bytes, &arena, &err);
    assert_int_equal(st, ST_OK);
    return rollup_read_group(&rollup.reader, 0, 3, &g, &err);
}

static void refs_lead_on(void **state)
{
    (void)state;
    assert_int_equal(read_first(STR("\6\0\6\0\0\0\6\1")), ST_OK);
    assert_int_equal(read_first(STR("\6\0\7\0\0\0\6\1")), ST_OK);
    assert_int_equal(read_first(STR("\6\0\0\0\0\0\6\1")), ST_DATA_LOSS);
    assert_int_equal(read_first(STR("\6\0\5\0\0\0\6\1")), ST_DATA_LOSS);
    assert_int_equal(read_first(STR("\7\0\6\1")), ST_OK);
    assert_int_equal(read_first(STR("\7\0")), ST_DATA_LOSS);
    assert_int_equal(read_first(STR("\6\0\x8\0\0\0\6\1")), ST_DATA_LOSS);
}

/* Each of 60 groups refers to the next one twice, at no total: 2^60 nodes, were they followed. */
static void groups_that_are_shared(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 * MIB);
    for (uint32_t i = 0; i < 60; i++) {
        buf_str(&b, STR("\x8\0\0\0\0")); /* two children a, b, without totals */
        for (unsigned k = 0; k < 2; k++)
            buf_u32le(&b, (i + 1) * 13);
    }
    buf_str(&b, STR("\6\1"));
    assert_int_equal(merge_bytes(buf_view(&b), 0, (uint32_t)b.n - 1), ST_DATA_LOSS);
    buf_done(&b);
}

/* Chunks that are not what the head says */

static enum status no_chunk(void *ctx, uint32_t index, struct str *ret_bytes, struct error *e)
{
    (void)ctx;
    (void)index;
    (void)ret_bytes;
    FAIL(e, ST_UNAVAILABLE, "the disk is gone");
}

static void chunks_that_do_not_come(void **state)
{
    (void)state;
    struct rollup_group g;
    struct str text;
    add_some();
    /* All that the head says, and a byte more. */
    struct str bytes = arena_str_join(&arena, buf_view(&rollup.stream.raw), STR("x"));
    struct str texts = arena_str_join(&arena, buf_view(&names.stream.raw), STR("x"));
    struct rollup_reader *r = &rollup.reader;
    struct rollup_names_reader *nr = &names.reader;
    enum status st = rollup_reader_init(r, &rollup.head, one_chunk, &bytes, &arena, &err);
    assert_int_equal(st, ST_OK);
    assert_int_equal(rollup_read_group(r, 0, rollup.head.total, &g, &err), ST_DATA_LOSS);
    st = rollup_reader_init(r, &rollup.head, no_chunk, NULL, &arena, &err);
    assert_int_equal(st, ST_OK);
    assert_int_equal(rollup_read_group(r, 0, rollup.head.total, &g, &err), ST_UNAVAILABLE);
    st = rollup_names_reader_init(nr, &names.head, one_chunk, &texts, &arena, &err);
    assert_int_equal(st, ST_OK);
    assert_int_equal(rollup_name(nr, 0, &text, &err), ST_DATA_LOSS);
    names.head.n_names--;
    names.head.chunks.n_bytes = (uint32_t)names.stream.raw.n;
    texts = buf_view(&names.stream.raw);
    st = rollup_names_reader_init(nr, &names.head, one_chunk, &texts, &arena, &err);
    assert_int_equal(st, ST_OK);
    assert_int_equal(rollup_name(nr, 0, &text, &err), ST_DATA_LOSS); /* one too many */
    st = rollup_names_reader_init(nr, &names.head, no_chunk, NULL, &arena, &err);
    assert_int_equal(st, ST_OK);
    assert_int_equal(rollup_name(nr, 0, &text, &err), ST_UNAVAILABLE);
}

static void writing_stops_at_limits(void **state)
{
    (void)state;
    struct buf out;
    struct arena small;
    struct rollup_head head;
    add_many(500);
    write_all();
    buf_init(&out, rollup.stream.raw.n - 1);
    enum status st = rollup_write(&tree, &names.writer, &arena, &out, &head, &err);
    assert_int_equal(st, ST_RESOURCE_EXHAUSTED);
    buf_done(&out);
    buf_init(&out, 1 * MIB);
    arena_init(&small, 1 * KIB);
    st = rollup_write(&tree, &names.writer, &small, &out, &head, &err);
    assert_int_equal(st, ST_RESOURCE_EXHAUSTED);
    arena_done(&small);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_example, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tree_without_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_back_what_was_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_small_question_reads_the_front, setup, teardown),
        cmocka_unit_test_setup_teardown(deep_and_wide, setup, teardown),
        cmocka_unit_test_setup_teardown(every_byte_of_a_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(every_byte_of_the_names, setup, teardown),
        cmocka_unit_test_setup_teardown(every_byte_of_a_head, setup, teardown),
        cmocka_unit_test_setup_teardown(every_byte_of_a_table, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be, setup, teardown),
        cmocka_unit_test_setup_teardown(refs_lead_on, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_that_are_shared, setup, teardown),
        cmocka_unit_test_setup_teardown(chunks_that_do_not_come, setup, teardown),
        cmocka_unit_test_setup_teardown(writing_stops_at_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
