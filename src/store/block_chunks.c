/* Sections in chunks: what questions touch lies in the first few, so only these are read.
 *
 *     head of the roll-up or of the names, n × { uvarint codec, uvarint stored bytes, check }
 *     chunk · chunk · …
 *
 * The head says how many chunks there are and how large each is (model/rollup.h). The section's own
 * check is of this table, which is read when the section is opened; each chunk has its own. A chunk
 * is read once, under the lock, published with release order, and freed with the whole. So are the
 * numbers of its names, which are made without the lock: of two who make them one throws his away.
 */
#include "store/block_int.h"
#include "store/name_pool_int.h"

#include "base/mem.h"
#include "base/varint.h"

enum { HEAD_BYTES_MAX = 1 << 28 };

static enum status damaged(const struct block_chunks *c, struct error *err)
{
    FAIL(err, ST_DATA_LOSS, "block %s is damaged: the chunks of the %s of service %.*s",
        c->of->block->path, block_kind_names[c->section->kind], STR_ARG(c->of->service));
}

static bool parse_head(
    struct block_chunks *c, struct cursor *cur, const struct rollup_chunks **ret_chunks)
{
    bool names = c->section->kind == BLOCK_NAMES;
    *ret_chunks = names ? &c->names.chunks : &c->tree.chunks;
    return (names ? rollup_names_head_decode(cur, &c->memory, &c->names, NULL)
                  : rollup_head_decode(cur, &c->memory, &c->tree, NULL)) == ST_OK;
}

static bool parse(struct block_chunks *c, struct str table)
{
    struct cursor cur = cursor_make(table);
    const struct rollup_chunks *chunks;
    uint64_t at = c->section->offset + table.n, end = c->section->offset + c->section->stored_bytes;
    if (!parse_head(c, &cur, &chunks))
        return false;
    c->v = ARENA_ZARRAY(&c->memory, struct block_chunk, chunks->n_chunks);
    if (!c->v)
        return false;
    for (; c->n < chunks->n_chunks; c->n++) {
        struct block_chunk *k = &c->v[c->n];
        uint64_t codec = cursor_uvarint(&cur);
        k->codec = (enum block_codec)(codec < BLOCK_CHUNKS ? codec : BLOCK_CHUNKS);
        k->offset = at;
        k->stored_bytes = cursor_uvarint(&cur);
        k->raw_bytes = rollup_chunk_size(chunks, c->n);
        k->check = cursor_u64le(&cur);
        if (cur.bad || k->codec == BLOCK_CHUNKS || k->stored_bytes > end - at ||
            (k->codec == BLOCK_PLAIN && k->raw_bytes != k->stored_bytes))
            return false;
        at += k->stored_bytes;
    }
    return cursor_left(&cur) == 0 && at == end;
}

enum status block_chunks_open(const struct block_dataset *bd, const struct block_section *s,
    struct block_chunks **ret_chunks, struct error *err)
{
    struct block_chunks *c = NEW(struct block_chunks);
    const struct block_range table = {s->offset, s->raw_bytes, s->raw_bytes, s->check, BLOCK_PLAIN};
    struct buf raw;
    *c = (struct block_chunks){.of = bd, .section = s};
    mutex_init(&c->lock, "store.chunks", RANK_BLOCK);
    arena_init(&c->memory, HEAD_BYTES_MAX);
    buf_init(&raw, s->raw_bytes);
    enum status st = block_range_read(bd, &table, block_kind_names[s->kind], &raw, err);
    if (st == ST_OK && !parse(c, buf_view(&raw)))
        st = damaged(c, err);
    buf_done(&raw);
    if (st != ST_OK) {
        block_chunks_free(c);
        return st;
    }
    *ret_chunks = c;
    return ST_OK;
}

void block_chunks_free(struct block_chunks *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        mem_free(atomic_load_explicit(&c->v[i].bytes, memory_order_relaxed));
        mem_free(atomic_load_explicit(&c->v[i].numbers, memory_order_relaxed));
    }
    mutex_done(&c->lock);
    arena_done(&c->memory);
    mem_free(c);
}

static enum status load(struct block_chunks *c, struct block_chunk *k, struct error *err)
{
    const struct block_range r = {k->offset, k->stored_bytes, k->raw_bytes, k->check, k->codec};
    struct buf raw;
    buf_init(&raw, k->raw_bytes);
    enum status st = block_range_read(c->of, &r, block_kind_names[c->section->kind], &raw, err);
    if (st != ST_OK) {
        buf_done(&raw);
        return st;
    }
    char *bytes = mem_try(raw.n + 1);
    if (bytes)
        memcpy(bytes, buf_view(&raw).p, raw.n);
    buf_done(&raw);
    if (!bytes)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for a chunk of block %s", c->of->block->path);
    atomic_fetch_add_explicit(&c->bytes, k->raw_bytes + 1, memory_order_relaxed);
    atomic_store_explicit(&k->bytes, bytes, memory_order_release);
    return ST_OK;
}

enum status block_chunk_get(
    struct block_chunks *c, uint32_t i, struct str *ret_bytes, struct error *err)
{
    ASSERT(i < c->n);
    struct block_chunk *k = &c->v[i];
    char *bytes = atomic_load_explicit(&k->bytes, memory_order_acquire);
    if (!bytes) {
        mutex_lock(&c->lock);
        bytes = atomic_load_explicit(&k->bytes, memory_order_relaxed);
        enum status st = bytes ? ST_OK : load(c, k, err);
        mutex_unlock(&c->lock);
        TRY(st);
        bytes = atomic_load_explicit(&k->bytes, memory_order_relaxed);
    }
    *ret_bytes = str_make(bytes, k->raw_bytes);
    return ST_OK;
}

/* The caller frees them. */
static uint32_t *make_numbers(
    struct block_chunks *c, uint32_t i, uint32_t n, struct name_pool *pool)
{
    struct str bytes = STR_EMPTY;
    if (block_chunk_get(c, i, &bytes, NULL) != ST_OK || n > bytes.n)
        return NULL;
    struct str *texts = mem_try(n * sizeof *texts);
    uint32_t *numbers = texts ? mem_try(n * sizeof *numbers) : NULL;
    if (numbers && rollup_names_parse(&c->names, i, bytes, texts, NULL) == ST_OK) {
        name_pool_number(pool, texts, n, numbers);
    } else {
        mem_free(numbers);
        numbers = NULL;
    }
    mem_free(texts);
    return numbers;
}

const uint32_t *block_chunk_numbers(struct block_chunks *c, uint32_t i, struct name_pool *pool)
{
    ASSERT(i < c->n && c->section->kind == BLOCK_NAMES);
    struct block_chunk *k = &c->v[i];
    uint32_t *there = atomic_load_explicit(&k->numbers, memory_order_acquire);
    if (there)
        return there;
    uint32_t n = rollup_names_of_chunk(&c->names, i), *numbers = make_numbers(c, i, n, pool);
    if (!numbers)
        return NULL;
    if (!atomic_compare_exchange_strong(&k->numbers, &there, numbers)) {
        mem_free(numbers);
        return there;
    }
    atomic_fetch_add_explicit(&c->bytes, n * sizeof *numbers, memory_order_relaxed);
    return numbers;
}
