/* Roll-ups: a finished name tree as bytes of which a question reads only what it draws.
 *
 * A tree is a stream of *groups*, one per node that has children: the children with their totals,
 * and where the group of each is. Groups stand in falling order of their node's total, so that the
 * front of the stream is what best-first reading (tree_merge.h) touches. The stream is cut at group
 * borders into chunks, which the owner compresses, checksums and hands back when asked. Names are
 * ids of a dictionary that all trees of a dataset share, numbered in the order in which trees name
 * them and cut into chunks as well. The bytes: docs/formats/rollup.md.
 *
 * Nothing that is read is believed: bad bytes are ST_DATA_LOSS, never a bad access or an endless
 * loop. A reader belongs to one thread; what it points to must stay until it is no longer used. */
#ifndef MODEL_ROLLUP_H
#define MODEL_ROLLUP_H

#include "base/buf.h"
#include "base/idmap.h"
#include "base/varint.h"
#include "model/nametree.h"

/* Chunks are cut as soon as they have this much; a large group makes a large chunk. */
enum { ROLLUP_CHUNK_BYTES = 32 * 1024 };
#define ROLLUP_BYTES_MAX ((uint32_t)1 << 30)

/* Where the chunks of a stream begin: starts[0] is 0, each chunk ends where the next one begins,
 * the last one at n_bytes. An empty stream has none. */
struct rollup_chunks {
    const uint32_t *starts;
    uint32_t n_chunks, n_bytes;
};

static inline uint32_t rollup_chunk_size(const struct rollup_chunks *c, uint32_t i)
{
    return (i + 1 < c->n_chunks ? c->starts[i + 1] : c->n_bytes) - c->starts[i];
}

/* Names: the dictionary */

struct rollup_names {
    struct arena *arena;
    struct {
        struct str *v; /* by dictionary id; copies in the arena */
        uint32_t n, cap;
    } texts;
    struct idmap ids; /* on the heap: rollup_names_done */
};

/* What a reader of names needs beside the chunks. */
struct rollup_names_head {
    struct rollup_chunks chunks;
    const uint32_t *first_ids; /* of each chunk, rising, from 0 */
    uint32_t n_names;
};

void rollup_names_init(struct rollup_names *d, struct arena *arena);
void rollup_names_done(struct rollup_names *d);
/* The id of a text, a new one if needed; SYM_NONE without memory. */
uint32_t rollup_names_id(struct rollup_names *d, struct str text);
/* The texts as one stream appended to `out` (offsets count from its end), the head in the arena of
 * the dictionary. Call it when all trees and function tables are written. */
enum status rollup_names_write(const struct rollup_names *d, struct buf *out,
    struct rollup_names_head *ret_head, struct error *err);

/* Trees */

/* What a reader of a tree needs beside the chunks. */
struct rollup_head {
    struct rollup_chunks chunks;
    int64_t unit;     /* values are stored divided by it */
    int64_t total;    /* of the root, in values as they were */
    uint32_t n_nodes; /* the root not counted */
};

/* Writes a finished tree as one stream appended to `out` (offsets count from its end), its names
 * into the dictionary, the head's array and scratch (about 24 bytes per node) into the arena. The
 * tree that is asked for most is written first: its names come first in the dictionary.
 * ST_RESOURCE_EXHAUSTED: more than ROLLUP_BYTES_MAX, `out` or an arena is full. */
enum status rollup_write(const struct nametree *t, struct rollup_names *names, struct arena *arena,
    struct buf *out, struct rollup_head *ret_head, struct error *err);

/* Heads as bytes, for the owner's directory: a few bytes and about 3 per chunk. Reading checks them
 * and takes what belongs to the head from the cursor; arrays go to the arena. */
void rollup_head_encode(const struct rollup_head *h, struct buf *out);
enum status rollup_head_decode(
    struct cursor *c, struct arena *arena, struct rollup_head *ret_head, struct error *err);
void rollup_names_head_encode(const struct rollup_names_head *h, struct buf *out);
enum status rollup_names_head_decode(
    struct cursor *c, struct arena *arena, struct rollup_names_head *ret_head, struct error *err);

/* Reading */

/* Gives the raw bytes of a chunk, of exactly the size the head says. Called at most once per chunk
 * and reader; the bytes stay as long as the reader is used. Errors are passed on as they are. */
typedef enum status (*rollup_chunk_fn)(
    void *ctx, uint32_t index, struct str *ret_bytes, struct error *err);

/* Numbers of the names of a chunk, one each, that mean the same in whatever dictionary: equal
 * numbers, equal texts; 0 says nothing. NULL: there are none. */
typedef const uint32_t *(*rollup_numbers_fn)(void *ctx, uint32_t index);

struct rollup_names_reader {
    struct rollup_names_head head;
    rollup_chunk_fn chunk;
    void *ctx;
    struct arena *arena;
    struct str **texts;        /* by chunk: its names, or NULL as long as nobody asked */
    rollup_numbers_fn numbers; /* NULL unless the owner sets it after the start */
    void *numbers_ctx;
};

/* Takes a copy of the head, whose arrays must stay. The arena takes 8 bytes per chunk now and 16
 * per name of each chunk that is loaded. */
enum status rollup_names_reader_init(struct rollup_names_reader *r,
    const struct rollup_names_head *head, rollup_chunk_fn chunk, void *ctx, struct arena *arena,
    struct error *err);
/* The text of an id; a view of the chunk. ST_DATA_LOSS when there is no such id. */
enum status rollup_name(
    struct rollup_names_reader *r, uint32_t id, struct str *ret_text, struct error *err);

/* The numbers of all names of the chunk that has the id, which is there; or NULL. */
const uint32_t *rollup_name_numbers(
    const struct rollup_names_reader *r, uint32_t id, uint32_t *ret_chunk);
static inline uint32_t rollup_names_of_chunk(const struct rollup_names_head *h, uint32_t i)
{
    return (i + 1 < h->chunks.n_chunks ? h->first_ids[i + 1] : h->n_names) - h->first_ids[i];
}
/* The names of a chunk, as views of its bytes; ret_texts has room for them. */
enum status rollup_names_parse(const struct rollup_names_head *h, uint32_t i, struct str bytes,
    struct str *ret_texts, struct error *err);

#define ROLLUP_LEAF UINT32_MAX
#define ROLLUP_ROOT 0u /* the ref of the root's group, unless the tree has no nodes */

struct rollup_child {
    int64_t total;
    uint32_t name; /* dictionary id, not checked against the dictionary: rollup_name does that */
    uint32_t ref;  /* of its group, or ROLLUP_LEAF: no children, self == total */
};

/* The children of a node, by rising dictionary id. What they leave of the node's total is its
 * self, so selfs are not stored. */
struct rollup_group {
    const struct rollup_child *v; /* of the reader, until its next group */
    uint32_t n;                   /* at least 1 */
    int64_t self;                 /* of the node whose group this is, never negative */
};

struct rollup_reader {
    struct rollup_head head;
    rollup_chunk_fn chunk;
    void *ctx;
    struct arena *arena;
    struct str *bytes; /* by chunk; p is NULL as long as nobody asked */
    struct rollup_child *children;
    uint32_t cap_children, last_chunk;
};

/* Takes a copy of the head, whose arrays must stay. The arena takes 16 bytes per chunk now and 16
 * per child of the largest group, twice. */
enum status rollup_reader_init(struct rollup_reader *r, const struct rollup_head *head,
    rollup_chunk_fn chunk, void *ctx, struct arena *arena, struct error *err);
/* Where the root's group is: ROLLUP_ROOT, or ROLLUP_LEAF for a tree without nodes. */
static inline uint32_t rollup_root(const struct rollup_reader *r)
{
    return r->head.n_nodes ? ROLLUP_ROOT : ROLLUP_LEAF;
}
/* Fetches the begin of a group that will be read soon, if its chunk is there. */
void rollup_prefetch_group(const struct rollup_reader *r, uint32_t ref);
/* Reads the group at `ref`, whose node has `total` (of the root: head.total). Every ref it gives is
 * larger than its own, so following refs ends; a tree made to share groups is for the caller to
 * stop, who should not read more than head.n_nodes children in all. */
enum status rollup_read_group(struct rollup_reader *r, uint32_t ref, int64_t total,
    struct rollup_group *ret_group, struct error *err);

#endif
