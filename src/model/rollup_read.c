/* Reading roll-ups: see rollup.h; the bytes are in docs/formats/rollup.md.
 *
 * A ref is an offset of the stream; the chunk that holds it is found by the table of the head and
 * asked for once. A group never leaves its chunk, so decoding it is a walk of one cursor.
 *
 * What is checked, so that wrong bytes do no more than give a wrong tree:
 *  1. Chunks have the size of the head; a group ends within its chunk.
 *  2. Ids rise; totals are not negative, and together not more than what the node has.
 *  3. A ref lies behind the group that holds it and within the stream: following refs ends.
 *  4. A group has no more children than bytes, names of a chunk are as many as the head says.
 *
 * Memory: the reader's arena, bounded by the size of the chunks that were asked for. One thread. */
#include "model/rollup.h"
#include "model/rollup_int.h"

#define DAMAGED(err, what) FAIL((err), ST_DATA_LOSS, "damaged roll-up: " what)

static enum status no_memory(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "reading roll-ups exceeds the memory of the query");
}

/* Heads */

static enum status chunks_decode(
    struct cursor *c, struct arena *arena, struct rollup_chunks *ret_chunks, struct error *err)
{
    uint64_t n = cursor_uvarint(c), at = 0;
    if (c->bad || n > cursor_left(c))
        DAMAGED(err, "the table of chunks ends early");
    uint32_t *starts = ARENA_ARRAY(arena, uint32_t, n);
    if (!starts)
        return no_memory(err);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t size = cursor_uvarint(c);
        if (size == 0 || size > ROLLUP_BYTES_MAX - at)
            DAMAGED(err, "a chunk's size cannot be");
        starts[i] = (uint32_t)at;
        at += size;
    }
    *ret_chunks = (struct rollup_chunks){starts, (uint32_t)n, (uint32_t)at};
    return ST_OK;
}

enum status rollup_head_decode(
    struct cursor *c, struct arena *arena, struct rollup_head *ret_head, struct error *err)
{
    struct rollup_head h;
    TRY(chunks_decode(c, arena, &h.chunks, err));
    uint64_t unit = cursor_uvarint(c), total = cursor_uvarint(c), n = cursor_uvarint(c);
    if (c->bad)
        DAMAGED(err, "the head ends early");
    if (unit == 0 || unit > INT64_MAX || total > (uint64_t)INT64_MAX / unit)
        DAMAGED(err, "its values leave the 64-bit range");
    /* A node takes a byte at least, and the root's group has a header. */
    if (n ? n >= h.chunks.n_bytes : h.chunks.n_bytes || total)
        DAMAGED(err, "its number of nodes cannot be");
    h.unit = (int64_t)unit;
    h.total = (int64_t)(total * unit);
    h.n_nodes = (uint32_t)n;
    *ret_head = h;
    return ST_OK;
}

enum status rollup_names_head_decode(
    struct cursor *c, struct arena *arena, struct rollup_names_head *ret_head, struct error *err)
{
    struct rollup_names_head h;
    TRY(chunks_decode(c, arena, &h.chunks, err));
    uint64_t n = cursor_uvarint(c), at = 0;
    if (c->bad || n > h.chunks.n_bytes)
        DAMAGED(err, "its number of names cannot be");
    uint32_t *first = ARENA_ARRAY(arena, uint32_t, h.chunks.n_chunks);
    if (!first)
        return no_memory(err);
    for (uint32_t i = 0; i < h.chunks.n_chunks; i++) {
        uint64_t names = cursor_uvarint(c);
        if (names == 0 || names > n - at)
            DAMAGED(err, "a chunk's number of names cannot be");
        first[i] = (uint32_t)at;
        at += names;
    }
    if (c->bad || at != n)
        DAMAGED(err, "chunks do not have all names");
    h.first_ids = first;
    h.n_names = (uint32_t)n;
    *ret_head = h;
    return ST_OK;
}

/* The last i with starts[i] <= at; starts[0] is 0. */
static uint32_t place_of(const uint32_t *starts, uint32_t n, uint32_t at)
{
    uint32_t lo = 0;
    while (n > 1) {
        uint32_t half = n / 2;
        if (starts[lo + half] <= at)
            lo += half;
        n -= half;
    }
    return lo;
}

static enum status load_chunk(const struct rollup_chunks *chunks, rollup_chunk_fn chunk, void *ctx,
    uint32_t i, struct str *ret_bytes, struct error *err)
{
    struct str bytes = STR_EMPTY;
    TRY(chunk(ctx, i, &bytes, err));
    if (bytes.n != rollup_chunk_size(chunks, i))
        DAMAGED(err, "a chunk is not as large as the head says");
    *ret_bytes = bytes;
    return ST_OK;
}

/* Names */

enum status rollup_names_reader_init(struct rollup_names_reader *r,
    const struct rollup_names_head *head, rollup_chunk_fn chunk, void *ctx, struct arena *arena,
    struct error *err)
{
    *r = (struct rollup_names_reader){.head = *head, .chunk = chunk, .ctx = ctx, .arena = arena};
    r->texts = ARENA_ZARRAY(arena, struct str *, head->chunks.n_chunks);
    return r->texts ? ST_OK : no_memory(err);
}

enum status rollup_names_parse(const struct rollup_names_head *h, uint32_t i, struct str bytes,
    struct str *ret_texts, struct error *err)
{
    struct cursor c = cursor_make(bytes);
    uint32_t n = rollup_names_of_chunk(h, i);
    for (uint32_t k = 0; k < n; k++) {
        uint64_t size = cursor_uvarint(&c);
        ret_texts[k] = cursor_bytes(&c, size);
    }
    if (c.bad || cursor_left(&c))
        DAMAGED(err, "a chunk does not have the names of the head");
    return ST_OK;
}

static enum status load_names(struct rollup_names_reader *r, uint32_t i, struct error *err)
{
    struct str bytes = STR_EMPTY;
    const struct rollup_names_head *h = &r->head;
    TRY(load_chunk(&h->chunks, r->chunk, r->ctx, i, &bytes, err));
    uint32_t n = rollup_names_of_chunk(h, i);
    if (n > bytes.n)
        DAMAGED(err, "a chunk has fewer names than the head says");
    struct str *texts = ARENA_ARRAY(r->arena, struct str, n);
    if (!texts)
        return no_memory(err);
    TRY(rollup_names_parse(h, i, bytes, texts, err));
    r->texts[i] = texts;
    return ST_OK;
}

const uint32_t *rollup_name_numbers(
    const struct rollup_names_reader *r, uint32_t id, uint32_t *ret_chunk)
{
    ASSERT(id < r->head.n_names);
    *ret_chunk = place_of(r->head.first_ids, r->head.chunks.n_chunks, id);
    return r->numbers ? r->numbers(r->numbers_ctx, *ret_chunk) : NULL;
}

enum status rollup_name(
    struct rollup_names_reader *r, uint32_t id, struct str *ret_text, struct error *err)
{
    if (id >= r->head.n_names)
        DAMAGED(err, "there is no such name");
    uint32_t i = place_of(r->head.first_ids, r->head.chunks.n_chunks, id);
    if (!r->texts[i])
        TRY(load_names(r, i, err));
    *ret_text = r->texts[i][id - r->head.first_ids[i]];
    return ST_OK;
}

/* Trees */

enum status rollup_reader_init(struct rollup_reader *r, const struct rollup_head *head,
    rollup_chunk_fn chunk, void *ctx, struct arena *arena, struct error *err)
{
    *r = (struct rollup_reader){.head = *head, .chunk = chunk, .ctx = ctx, .arena = arena};
    r->bytes = ARENA_ARRAY(arena, struct str, head->chunks.n_chunks);
    if (!r->bytes)
        return no_memory(err);
    for (uint32_t i = 0; i < head->chunks.n_chunks; i++)
        r->bytes[i] = (struct str){0};
    return ST_OK;
}

/* Of a ref within the stream. */
static uint32_t chunk_of(const struct rollup_reader *r, uint32_t ref)
{
    const struct rollup_chunks *chunks = &r->head.chunks;
    uint32_t i = r->last_chunk;
    if (ref < chunks->starts[i] || ref - chunks->starts[i] >= rollup_chunk_size(chunks, i))
        i = place_of(chunks->starts, chunks->n_chunks, ref);
    return i;
}

void rollup_prefetch_group(const struct rollup_reader *r, uint32_t ref)
{
    if (ref >= r->head.chunks.n_bytes)
        return;
    uint32_t i = chunk_of(r, ref);
    if (r->bytes[i].p)
        __builtin_prefetch(r->bytes[i].p + (ref - r->head.chunks.starts[i]));
}

/* What stands from `ref` to the end of its chunk, and where that is. */
static enum status find_group(struct rollup_reader *r, uint32_t ref, struct cursor *ret_cursor,
    uint32_t *ret_end, struct error *err)
{
    const struct rollup_chunks *chunks = &r->head.chunks;
    if (ref >= chunks->n_bytes)
        DAMAGED(err, "a group lies behind the end");
    uint32_t i = chunk_of(r, ref);
    if (!r->bytes[i].p)
        TRY(load_chunk(chunks, r->chunk, r->ctx, i, &r->bytes[i], err));
    r->last_chunk = i;
    *ret_cursor = cursor_make(str_skip(r->bytes[i], ref - chunks->starts[i]));
    *ret_end = chunks->starts[i] + rollup_chunk_size(chunks, i);
    return ST_OK;
}

/* Room for n children; they are not kept when it grows. */
static bool reserve(struct rollup_reader *r, uint32_t n)
{
    if (LIKELY(n <= r->cap_children))
        return true;
    uint32_t cap = MAX(MAX(n, r->cap_children * 2), 64);
    struct rollup_child *v = ARENA_ARRAY(r->arena, struct rollup_child, cap);
    if (!v)
        return false;
    r->children = v;
    r->cap_children = cap;
    return true;
}

struct header {
    uint32_t n;
    uint32_t rest, next; /* index of the heavy child where the flag is set, else n */
};

static enum status read_header(struct cursor *c, struct header *ret_header, struct error *err)
{
    uint64_t header = cursor_uvarint(c);
    uint64_t n = header >> ROLLUP_FLAG_BITS, heavy = 0;
    if (n == 0 || n > cursor_left(c))
        DAMAGED(err, "a group's number of children cannot be");
    bool rest = header & ROLLUP_REST, next = header & ROLLUP_NEXT;
    if (n > 1 && (rest || next))
        heavy = cursor_uvarint(c);
    if (heavy >= n)
        DAMAGED(err, "a group has no such child");
    *ret_header = (struct header){.n = (uint32_t)n,
        .rest = (uint32_t)(rest ? heavy : n),
        .next = (uint32_t)(next ? heavy : n)};
    return ST_OK;
}

/* Most numbers of a group have two or three bytes. */
static inline uint64_t read_number(struct cursor *c)
{
    const uint8_t *p = c->p;
    if (UNLIKELY(cursor_left(c) < 3) || (p[0] & p[1] & p[2] & 0x80))
        return cursor_uvarint(c);
    if (p[0] < 0x80) {
        c->p = p + 1;
        return p[0];
    }
    if (p[1] < 0x80) {
        c->p = p + 2;
        return (uint64_t)p[1] << 7 | (p[0] & 0x7F);
    }
    c->p = p + 3;
    return (uint64_t)p[2] << 14 | (uint64_t)(p[1] & 0x7F) << 7 | (p[0] & 0x7F);
}

/* Names and whether they are leaves; what has children has ref 0 for now. */
static enum status read_names(
    struct cursor *c, struct rollup_child *v, uint32_t n, uint32_t *ret_leaves, struct error *err)
{
    uint64_t id = 0;
    *ret_leaves = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t coded = read_number(c);
        *ret_leaves += coded & 1;
        id += coded >> 1;
        if (id >= SYM_NONE)
            DAMAGED(err, "a name's id cannot be");
        v[i].name = (uint32_t)id++;
        v[i].ref = coded & 1 ? ROLLUP_LEAF : 0;
    }
    return ST_OK;
}

static enum status read_totals(const struct rollup_reader *r, struct cursor *c,
    const struct header *h, int64_t total, int64_t *ret_self, struct error *err)
{
    struct rollup_child *v = r->children;
    int64_t unit = r->head.unit;
    uint64_t left = (uint64_t)(unit == 1 ? total : total / unit);
    for (uint32_t i = 0; i < h->n; i++) {
        uint64_t units = i == h->rest ? 0 : read_number(c);
        if (units > left)
            DAMAGED(err, "children have more than their parent");
        left -= units;
        v[i].total = (int64_t)units * unit;
    }
    if (h->rest < h->n) {
        v[h->rest].total = (int64_t)left * unit;
        left = 0;
    }
    *ret_self = (int64_t)left * unit;
    return ST_OK;
}

static enum status read_refs(const struct rollup_reader *r, struct cursor *c,
    const struct header *h, uint32_t leaves, uint32_t end, struct error *err)
{
    struct rollup_child *v = r->children;
    if (h->next < h->n && v[h->next].ref == ROLLUP_LEAF)
        DAMAGED(err, "a leaf has a group");
    uint32_t n_refs = h->n - leaves - (h->next < h->n);
    struct str raw = cursor_bytes(c, (uint64_t)n_refs * ROLLUP_REF_BYTES);
    if (c->bad)
        DAMAGED(err, "a group ends early");
    uint32_t behind = end - (uint32_t)cursor_left(c);
    for (uint32_t i = 0; i < h->n; i++) {
        if (v[i].ref == ROLLUP_LEAF)
            continue;
        v[i].ref = behind;
        if (i != h->next) {
            v[i].ref = load_u32le(raw.p);
            raw = str_skip(raw, ROLLUP_REF_BYTES);
        }
        if (v[i].ref < behind || v[i].ref >= r->head.chunks.n_bytes)
            DAMAGED(err, "a group does not lie behind its parent's");
    }
    return ST_OK;
}

/* Most groups are links of a chain: one child that has all, no leaf, next. False, and nothing read,
 * when this one is not, or not entirely in order. */
static bool read_link(struct rollup_reader *r, const struct cursor *at, uint32_t end, int64_t total,
    struct rollup_group *ret_group)
{
    struct cursor c = *at;
    if (cursor_byte(&c) != (1 << ROLLUP_FLAG_BITS | ROLLUP_REST | ROLLUP_NEXT))
        return false;
    uint64_t coded = cursor_uvarint(&c);
    uint32_t behind = end - (uint32_t)cursor_left(&c);
    if (c.bad || coded & 1 || coded >> 1 >= SYM_NONE || behind >= r->head.chunks.n_bytes)
        return false;
    r->children[0] = (struct rollup_child){total, (uint32_t)(coded >> 1), behind};
    *ret_group = (struct rollup_group){r->children, 1, 0};
    return true;
}

enum status rollup_read_group(struct rollup_reader *r, uint32_t ref, int64_t total,
    struct rollup_group *ret_group, struct error *err)
{
    struct cursor c = {0};
    struct header h = {0};
    uint32_t end = 0, leaves = 0;
    int64_t self = 0;
    TRY(find_group(r, ref, &c, &end, err));
    if (!reserve(r, 1))
        return no_memory(err);
    if (read_link(r, &c, end, total, ret_group))
        return ST_OK;
    TRY(read_header(&c, &h, err));
    if (!reserve(r, h.n))
        return no_memory(err);
    TRY(read_names(&c, r->children, h.n, &leaves, err));
    TRY(read_totals(r, &c, &h, total, &self, err));
    TRY(read_refs(r, &c, &h, leaves, end, err));
    *ret_group = (struct rollup_group){r->children, h.n, self};
    return ST_OK;
}
