/* Whether what a block summed beforehand is what its rows say: for `everflame storage verify`.
 *
 * Trees are walked from the root to the last leaf, tables and timelines read whole; each must sum
 * to what the rows of its type and slots have in all. */
#include "store/block_writer_int.h"

#include "base/mem.h"
#include "store/rollup_int.h"

struct checker {
    const struct block_dataset *bd;
    const struct part *stacks;
    struct part_types types;
    __int128 *totals; /* by type and slot */
    struct arena arena;
    struct error *err;
};

static enum status wrong(struct checker *c, const char *what)
{
    FAIL(c->err, ST_DATA_LOSS, "block %s is damaged: %s of service %.*s", c->bd->block->path, what,
        STR_ARG(c->bd->service));
}

static enum status sum_slot(struct checker *c, uint32_t slot)
{
    struct block_rows *rows;
    TRY(block_load_rows(c->bd, slot, BLOCK_NO_SAMPLES, c->stacks, &rows, c->err));
    for (uint32_t i = 0; i < rows->part.rows.n; i++) {
        const struct part_row *r = part_row(&rows->part, i);
        for (uint32_t k = 0; k < part_series(c->stacks, r->series)->n_types; k++)
            c->totals[(size_t)c->types.of[r->series][k] * c->bd->n_slots + slot] += r->totals[k];
    }
    block_rows_free(rows);
    return ST_OK;
}

static __int128 total_of(const struct checker *c, uint32_t type, uint32_t slot, uint32_t n)
{
    __int128 sum = 0;
    for (uint32_t i = slot; i < slot + n; i++)
        sum += c->totals[(size_t)type * c->bd->n_slots + i];
    return sum;
}

static enum status get_chunk(void *ctx, uint32_t i, struct str *ret_bytes, struct error *err)
{
    return block_chunk_get(ctx, i, ret_bytes, err);
}

struct open_group {
    int64_t total;
    uint32_t ref;
};

/* Every group once; more children than the tree says it has is a tree that shares groups. */
static enum status walk_tree(
    struct checker *c, struct rollup_reader *tree, struct rollup_names_reader *names)
{
    struct {
        struct open_group *v;
        uint32_t n, cap;
    } todo = {0};
    uint64_t seen = 0;
    struct open_group at = {tree->head.total, rollup_root(tree)};
    for (bool more = at.ref != ROLLUP_LEAF; more;) {
        struct rollup_group g;
        TRY(rollup_read_group(tree, at.ref, at.total, &g, c->err));
        seen += g.n;
        if (seen > tree->head.n_nodes)
            return wrong(c, "a tree");
        for (uint32_t i = 0; i < g.n; i++) {
            struct str name;
            TRY(rollup_name(names, g.v[i].name, &name, c->err));
            struct open_group *slot = g.v[i].ref == ROLLUP_LEAF ? NULL : VEC_PUSH(&c->arena, todo);
            if (slot)
                *slot = (struct open_group){g.v[i].total, g.v[i].ref};
            else if (g.v[i].ref != ROLLUP_LEAF)
                FAIL(c->err, ST_RESOURCE_EXHAUSTED, "no memory to verify a tree");
        }
        more = todo.n > 0;
        if (more)
            at = todo.v[--todo.n];
    }
    return seen == tree->head.n_nodes ? ST_OK : wrong(c, "a tree");
}

static enum status check_table(
    struct checker *c, const struct part_tree *t, struct rollup_names_reader *names)
{
    struct buf raw;
    struct function_table table;
    buf_init(&raw, GIB);
    enum status st = block_section_read(c->bd, &c->bd->sections[t->functions], &raw, c->err);
    if (st == ST_OK)
        st = function_table_decode(buf_view(&raw), &c->arena, &table, c->err);
    buf_done(&raw);
    TRY(st);
    for (uint32_t i = 0; i < table.n; i++) {
        struct str name;
        TRY(rollup_name(names, table.v[i].name, &name, c->err));
    }
    return ST_OK;
}

/* The root's self is what the empty stack had, which a tree leaves out: at most the rows' total. A
 * digest is of rows of other blocks. */
static enum status check_tree(struct checker *c, const struct part_tree *t,
    struct block_chunks *tree, struct block_chunks *names)
{
    struct rollup_reader reader;
    struct rollup_names_reader texts;
    arena_reset(&c->arena);
    if (tree->tree.total < 0 ||
        (t->n_slots && tree->tree.total > total_of(c, t->type, t->slot, t->n_slots)))
        return wrong(c, "the total of a tree");
    TRY(rollup_reader_init(&reader, &tree->tree, get_chunk, tree, &c->arena, c->err));
    TRY(rollup_names_reader_init(&texts, &names->names, get_chunk, names, &c->arena, c->err));
    TRY(walk_tree(c, &reader, &texts));
    for (uint32_t i = 0; i < tree->n; i++) {
        struct str bytes;
        TRY(block_chunk_get(tree, i, &bytes, c->err));
    }
    return check_table(c, t, &texts);
}

static enum status check_one(
    struct checker *c, const struct part_tree *t, struct block_chunks *names)
{
    struct block_chunks *tree;
    TRY(block_chunks_open(c->bd, &c->bd->sections[t->tree], &tree, c->err));
    enum status st = check_tree(c, t, tree, names);
    block_chunks_free(tree);
    return st;
}

static enum status check_digests(struct checker *c, struct block_chunks *names)
{
    const struct part_rollups *ru = &c->bd->rollups;
    struct store_digested *v;
    uint32_t n;
    if (ru->n_digests == 0)
        return ST_OK;
    arena_reset(&c->arena);
    TRY(digest_read(c->bd, &c->arena, &v, &n, c->err));
    for (uint32_t i = 0; i < ru->n_digests; i++)
        TRY(check_one(c, &ru->digests[i].tree, names));
    return ST_OK;
}

static enum status check_trees(struct checker *c)
{
    const struct part_rollups *ru = &c->bd->rollups;
    struct block_chunks *names = NULL;
    enum status st = ST_OK;
    if (ru->names == SYM_NONE || !ru->trees)
        return ST_OK;
    TRY(block_chunks_open(c->bd, &c->bd->sections[ru->names], &names, c->err));
    for (uint32_t i = 0; i < names->n && st == ST_OK; i++) {
        struct str bytes;
        st = block_chunk_get(names, i, &bytes, c->err);
    }
    for (uint32_t i = 0; i < ru->n_trees && st == ST_OK; i++)
        st = check_one(c, &ru->trees[i], names);
    if (st == ST_OK)
        st = check_digests(c, names);
    block_chunks_free(names);
    return st;
}

static enum status check_timeline(struct checker *c, uint32_t type)
{
    const struct part_rollups *ru = &c->bd->rollups;
    struct store_timeline t;
    struct buf raw;
    __int128 sum = 0;
    if (ru->timelines[type] == SYM_NONE)
        return ST_OK;
    arena_reset(&c->arena);
    buf_init(&raw, GIB);
    enum status st = block_section_read(c->bd, &c->bd->sections[ru->timelines[type]], &raw, c->err);
    if (st == ST_OK)
        st = timeline_decode(buf_view(&raw), &c->arena, &t, c->err);
    buf_done(&raw);
    TRY(st);
    for (uint32_t i = 0; i < t.n; i++)
        sum += t.totals[i];
    return sum == total_of(c, type, 0, c->bd->n_slots) ? ST_OK : wrong(c, "a timeline");
}

static enum status check_all(struct checker *c)
{
    const struct part_rollups *ru = &c->bd->rollups;
    TRY(part_types_find(c->stacks, &c->types, c->err));
    if (c->types.n != ru->n_types ||
        memcmp(c->types.ids, ru->types, ru->n_types * sizeof *ru->types) != 0)
        return wrong(c, "the profile types");
    size_t bytes = ((size_t)ru->n_types * c->bd->n_slots + 1) * sizeof *c->totals;
    c->totals = mem_try(bytes);
    if (!c->totals)
        FAIL(c->err, ST_RESOURCE_EXHAUSTED, "no memory to verify a block");
    memset(c->totals, 0, bytes);
    for (uint32_t i = 0; i < c->bd->n_slots; i++)
        TRY(sum_slot(c, i));
    for (uint32_t i = 0; i < ru->n_types; i++)
        TRY(check_timeline(c, i));
    return check_trees(c);
}

enum status rollups_verify(
    const struct block_dataset *bd, const struct part *stacks, struct error *err)
{
    struct checker c = {.bd = bd, .stacks = stacks, .err = err};
    if (!bd->rollups.types)
        return ST_OK; /* of version 1 */
    arena_init(&c.arena, 4 * GIB);
    enum status st = check_all(&c);
    part_types_done(&c.types);
    mem_free(c.totals);
    arena_done(&c.arena);
    return st;
}
