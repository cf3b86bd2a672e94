/* Roll-ups in memory, for tests: what is written is read back through its encoded heads, and every
 * chunk is an allocation of its own, so that the address sanitizer sees a step beside it. */
#ifndef TESTS_UNIT_ROLLUP_MEM_H
#define TESTS_UNIT_ROLLUP_MEM_H

#include "base/mem.h"
#include "model/flat_tree.h"
#include "model/rollup.h"

/* A stream that chunks are handed out of. */
struct mem_stream {
    struct rollup_chunks chunks;
    struct buf raw;
    char **copies; /* by chunk; NULL as long as nobody asked */
    uint32_t asked;
};

struct mem_names {
    struct rollup_names writer;
    struct rollup_names_head head;
    struct mem_stream stream;
    struct rollup_names_reader reader;
};

struct mem_rollup {
    struct rollup_head head;
    struct mem_stream stream;
    struct rollup_reader reader;
};

static inline enum status mem_chunk(
    void *ctx, uint32_t index, struct str *ret_bytes, struct error *err)
{
    struct mem_stream *s = ctx;
    (void)err;
    ASSERT(index < s->chunks.n_chunks && !s->copies[index]);
    size_t n = rollup_chunk_size(&s->chunks, index);
    s->copies[index] = mem_try(n);
    ASSERT(s->copies[index]);
    memcpy(s->copies[index], s->raw.p + s->chunks.starts[index], n);
    *ret_bytes = str_make(s->copies[index], n);
    s->asked++;
    return ST_OK;
}

/* After `raw` is filled. */
static inline void mem_stream_start(struct mem_stream *s, const struct rollup_chunks *chunks)
{
    s->chunks = *chunks;
    s->copies = mem_new(chunks->n_chunks * sizeof *s->copies + 1);
}

/* Forgets what was asked for, for another reader. */
static inline void mem_stream_rewind(struct mem_stream *s)
{
    for (uint32_t i = 0; s->copies && i < s->chunks.n_chunks; i++) {
        mem_free(s->copies[i]);
        s->copies[i] = NULL;
    }
    s->asked = 0;
}

static inline void mem_stream_done(struct mem_stream *s)
{
    mem_stream_rewind(s);
    mem_free(s->copies);
    buf_done(&s->raw);
}

static inline void mem_rollup_write(
    struct mem_rollup *r, const struct nametree *t, struct mem_names *names, struct arena *arena)
{
    *r = (struct mem_rollup){0};
    buf_init(&r->stream.raw, 64 * MIB);
    ASSERT(rollup_write(t, &names->writer, arena, &r->stream.raw, &r->head, NULL) == ST_OK);
    mem_stream_start(&r->stream, &r->head.chunks);
}

/* The head as its bytes say. */
static inline void mem_rollup_open(struct mem_rollup *r, struct arena *arena)
{
    struct buf b;
    buf_init(&b, 1 * MIB);
    rollup_head_encode(&r->head, &b);
    struct cursor c = cursor_make(buf_view(&b));
    struct rollup_head head;
    ASSERT(rollup_head_decode(&c, arena, &head, NULL) == ST_OK && cursor_left(&c) == 0);
    mem_stream_rewind(&r->stream);
    ASSERT(rollup_reader_init(&r->reader, &head, mem_chunk, &r->stream, arena, NULL) == ST_OK);
    buf_done(&b);
}

/* After all trees are written. */
static inline void mem_names_write(struct mem_names *n)
{
    buf_init(&n->stream.raw, 64 * MIB);
    ASSERT(rollup_names_write(&n->writer, &n->stream.raw, &n->head, NULL) == ST_OK);
    mem_stream_start(&n->stream, &n->head.chunks);
}

static inline void mem_names_open(struct mem_names *n, struct arena *arena)
{
    struct buf b;
    buf_init(&b, 1 * MIB);
    rollup_names_head_encode(&n->head, &b);
    struct cursor c = cursor_make(buf_view(&b));
    struct rollup_names_head head;
    ASSERT(rollup_names_head_decode(&c, arena, &head, NULL) == ST_OK && cursor_left(&c) == 0);
    mem_stream_rewind(&n->stream);
    ASSERT(
        rollup_names_reader_init(&n->reader, &head, mem_chunk, &n->stream, arena, NULL) == ST_OK);
    buf_done(&b);
}

static inline void mem_names_done(struct mem_names *n)
{
    mem_stream_done(&n->stream);
    rollup_names_done(&n->writer);
}

/* A finished tree as a flat one; every child is put in two halves, which somebody must unite. */
static inline struct flat_tree flat_of(
    const struct nametree *t, struct rollup_names *names, struct arena *arena)
{
    struct flat_tree f = {ARENA_ZARRAY(arena, struct flat_node, 2 * (size_t)t->n_nodes), 1};
    uint32_t *at = ARENA_ZARRAY(arena, uint32_t, t->n_nodes);
    f.v[0].total = t->nodes[0].total;
    for (uint32_t i = 1; i < t->n_nodes; i++) {
        const struct name_node *n = &t->nodes[i];
        int64_t part = i % 3 ? 0 : n->self;
        for (int half = 0; half < (part ? 2 : 1); half++) {
            struct flat_node *up = &f.v[at[n->parent]];
            f.v[f.n] = (struct flat_node){half ? part : n->total - part,
                rollup_names_id(names, t->names[n->name]), 0, up->first_child};
            up->first_child = f.n;
            at[i] = half ? at[i] : f.n;
            f.n++;
        }
    }
    return f;
}

#endif
