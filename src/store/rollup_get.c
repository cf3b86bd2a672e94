/* Reading what a block summed beforehand: see store.h and rollup_int.h.
 *
 * Trees and names are sections in chunks, cached as far as they were read. Function tables and
 * timelines are small and read when they are asked for. What turns out damaged sets the dataset
 * aside like everything else of it. */
#include "store/rollup_int.h"

#include "base/mem.h"
#include "store/store_int.h"

enum { RAW_MAX = 1 << 30 };

static struct block_dataset *dataset_of(const struct part *part)
{
    ASSERT(part->origin && part->rollups);
    return ((struct block_unit *)part->origin)->of;
}

static enum status get_chunk(void *ctx, uint32_t i, struct str *ret_bytes, struct error *err)
{
    return block_chunk_get(ctx, i, ret_bytes, err);
}

static const uint32_t *get_numbers(void *ctx, uint32_t i)
{
    struct store_tree *t = ctx;
    return block_chunk_numbers(t->names.ctx, i, t->pool);
}

static enum status init_readers(struct store_tree *t, struct block_chunks *tree,
    struct block_chunks *names, struct arena *arena, struct error *err)
{
    TRY(rollup_reader_init(&t->tree, &tree->tree, get_chunk, tree, arena, err));
    TRY(rollup_names_reader_init(&t->names, &names->names, get_chunk, names, arena, err));
    t->names.numbers = get_numbers;
    t->names.numbers_ctx = t;
    return ST_OK;
}

enum status store_tree_enter(struct store *s, const struct part *part, const struct part_tree *tree,
    struct arena *arena, struct store_tree **ret_tree, struct error *err)
{
    struct block_dataset *bd = dataset_of(part);
    struct block_unit *units[] = {
        block_unit_chunks(bd, tree->tree), block_unit_chunks(bd, part->rollups->names)};
    struct store_tree *t = ARENA_NEW(arena, struct store_tree);
    enum status st = ST_OK;
    *ret_tree = NULL;
    if (!t)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for a roll-up");
    *t = (struct store_tree){.pool = &s->names};
    for (size_t i = 0; i < ARRAY_LEN(units) && st == ST_OK; i++) {
        st = block_cache_acquire(&s->cache, units[i], err);
        t->origin[i] = st == ST_OK ? units[i] : NULL;
    }
    if (st == ST_OK)
        st = init_readers(t, units[0]->loaded, units[1]->loaded, arena, err);
    if (st != ST_OK) {
        store_tree_leave(s, t);
        return st == ST_DATA_LOSS ? ST_OK : st;
    }
    *ret_tree = t;
    return ST_OK;
}

void store_tree_leave(struct store *s, struct store_tree *tree)
{
    for (size_t i = 0; tree && i < ARRAY_LEN(tree->origin); i++)
        if (tree->origin[i])
            block_cache_release(&s->cache, tree->origin[i]);
}

static enum status read_section(
    const struct block_dataset *bd, uint32_t section, struct buf *raw, struct error *err)
{
    buf_init(raw, RAW_MAX);
    return block_section_read(bd, &bd->sections[section], raw, err);
}

enum status store_functions(struct store *s, const struct part *part, const struct part_tree *tree,
    struct arena *arena, struct function_table *ret_table, struct error *err)
{
    struct buf raw;
    (void)s;
    enum status st = read_section(dataset_of(part), tree->functions, &raw, err);
    if (st == ST_OK)
        st = function_table_decode(buf_view(&raw), arena, ret_table, err);
    buf_done(&raw);
    return st;
}

/* Digests */

static bool digest_parse(
    struct str bytes, struct arena *arena, struct store_digested **ret_v, uint32_t *ret_n)
{
    struct cursor c = cursor_make(bytes);
    uint64_t n = cursor_uvarint(&c);
    if (c.bad || n > cursor_left(&c) / 2)
        return false;
    struct store_digested *v = ARENA_ARRAY(arena, struct store_digested, n);
    for (uint64_t i = 0; v && i < n; i++) {
        uint64_t epoch = cursor_uvarint(&c), datasets = cursor_uvarint(&c);
        if (datasets == 0 || datasets > UINT32_MAX)
            return false;
        v[i] = (struct store_digested){epoch, (uint32_t)datasets};
    }
    if (c.bad || cursor_left(&c))
        return false;
    *ret_v = v;
    *ret_n = v ? (uint32_t)n : 0;
    return true;
}

enum status digest_read(const struct block_dataset *bd, struct arena *arena,
    struct store_digested **ret_v, uint32_t *ret_n, struct error *err)
{
    struct buf raw;
    *ret_n = 0;
    enum status st = read_section(bd, bd->rollups.digest, &raw, err);
    if (st == ST_OK && !digest_parse(buf_view(&raw), arena, ret_v, ret_n))
        st = error_set(err, ST_DATA_LOSS, __FILE__, __LINE__,
            "block %s is damaged: the digest of service %.*s", bd->block->path,
            STR_ARG(bd->service));
    buf_done(&raw);
    return st;
}

enum status store_digest(struct store *s, const struct part *part, struct arena *arena,
    struct store_digested **ret_v, uint32_t *ret_n, struct error *err)
{
    (void)s;
    *ret_n = 0;
    return part->rollups->n_digests ? digest_read(dataset_of(part), arena, ret_v, ret_n, err)
                                    : ST_OK;
}

/* Timelines */

void timeline_encode(const struct store_timeline *t, struct buf *out)
{
    uint64_t last = 0;
    buf_uvarint(out, t->n);
    for (uint32_t i = 0; i < t->n; last = (uint64_t)t->times[i++])
        buf_svarint(out, (int64_t)((uint64_t)t->times[i] - last));
    for (uint32_t i = 0; i < t->n; i++)
        buf_uvarint(out, t->rows[i]);
    for (uint32_t i = 0; i < t->n; i++)
        buf_uvarint(out, (uint64_t)t->totals[i]);
}

static bool read_columns(struct cursor *c, struct store_timeline *t)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        last += (uint64_t)cursor_svarint(c);
        t->times[i] = (int64_t)last;
        if (i && t->times[i] <= t->times[i - 1])
            return false;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        uint64_t rows = cursor_uvarint(c);
        t->rows[i] = (uint32_t)rows;
        if (rows == 0 || rows > UINT32_MAX)
            return false;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        t->totals[i] = (int64_t)cursor_uvarint(c);
        if (t->totals[i] <= 0)
            return false;
    }
    return !c->bad && cursor_left(c) == 0;
}

enum status timeline_decode(
    struct str bytes, struct arena *arena, struct store_timeline *ret, struct error *err)
{
    struct cursor c = cursor_make(bytes);
    uint64_t n = cursor_uvarint(&c);
    if (c.bad || n > cursor_left(&c) / 3)
        FAIL(err, ST_DATA_LOSS, "a timeline is damaged");
    *ret = (struct store_timeline){.n = (uint32_t)n};
    ret->times = ARENA_ARRAY(arena, int64_t, n);
    ret->totals = ARENA_ARRAY(arena, int64_t, n);
    ret->rows = ARENA_ARRAY(arena, uint32_t, n);
    if (!ret->times || !ret->totals || !ret->rows)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for a timeline");
    if (!read_columns(&c, ret))
        FAIL(err, ST_DATA_LOSS, "a timeline is damaged");
    return ST_OK;
}

enum status store_timeline(struct store *s, const struct part *part, uint32_t type,
    struct arena *arena, struct store_timeline *ret_timeline, struct error *err)
{
    struct buf raw;
    uint32_t section = part->rollups->timelines[type];
    (void)s;
    *ret_timeline = (struct store_timeline){0};
    if (section == SYM_NONE)
        return ST_OK;
    enum status st = read_section(dataset_of(part), section, &raw, err);
    if (st == ST_OK)
        st = timeline_decode(buf_view(&raw), arena, ret_timeline, err);
    buf_done(&raw);
    return st;
}
