/* Writing roll-ups: see rollup.h; the bytes are in docs/formats/rollup.md.
 *
 * A path is a group followed by the group of its heaviest child, and so on while that child has at
 * least half of what the first one had. A heap holds the children that begin the other paths, the
 * largest on top, and where their ref is to be written once their place is known:
 *
 *     heap ── pop ──→ path: group, group, …, group   (each cut off as a chunk when there is enough)
 *      ↑                      └──────┴────────┴── other children with children of their own
 *      └──────────────────────────────────────────┘
 *
 * Invariants:
 *  1. A group comes after the group that refers to it.
 *  2. Of two paths, the one whose first node has more comes first; within a path nothing has less
 *     than half of that. So whoever needs all nodes from some total up reads at most the groups
 *     from half of it up, and they are a prefix of the stream.
 *  3. The bytes are a function of the tree (order of its nodes included) and the dictionary.
 *
 * Memory: scratch in the arena, the stream in the caller's buffer. One thread. */
#include "model/rollup.h"

#include <stdlib.h>

#include "base/hash.h"
#include "model/rollup_int.h"

/* A stream that is being cut into chunks. */
struct cutter {
    struct arena *arena;
    struct buf *out;
    size_t base; /* of the stream in out */
    struct {
        uint32_t *v;
        uint32_t n, cap;
    } starts;
};

static enum status no_memory(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "the roll-up exceeds its memory");
}

static uint32_t cutter_at(const struct cutter *c)
{
    return (uint32_t)(c->out->n - c->base);
}

/* Begins a chunk here, if the last one has enough or there is none. Called before each record. */
static bool cutter_cut(struct cutter *c, bool *ret_new)
{
    uint32_t at = cutter_at(c);
    *ret_new = c->starts.n == 0 || at - c->starts.v[c->starts.n - 1] >= ROLLUP_CHUNK_BYTES;
    if (!*ret_new)
        return true;
    uint32_t *slot = VEC_PUSH(c->arena, c->starts);
    if (slot)
        *slot = at;
    return slot != NULL;
}

/* After each record: the buffer took it, and offsets still have room. */
static enum status cutter_check(const struct cutter *c, struct error *err)
{
    if (c->out->failed || c->out->n - c->base > ROLLUP_BYTES_MAX)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the roll-up is larger than %u bytes",
            (unsigned)MIN(c->out->limit, (size_t)ROLLUP_BYTES_MAX));
    return ST_OK;
}

static struct rollup_chunks cutter_chunks(const struct cutter *c)
{
    return (struct rollup_chunks){c->starts.v, c->starts.n, cutter_at(c)};
}

/* Names */

void rollup_names_init(struct rollup_names *d, struct arena *arena)
{
    *d = (struct rollup_names){.arena = arena};
    idmap_init(&d->ids, NULL);
}

void rollup_names_done(struct rollup_names *d)
{
    idmap_done(&d->ids);
    *d = (struct rollup_names){.arena = d->arena};
}

uint32_t rollup_names_id(struct rollup_names *d, struct str text)
{
    uint32_t id;
    uint64_t hash = hash_str(text);
    struct idmap_probe p = idmap_start(&d->ids, hash);
    while (idmap_next(&d->ids, &p, &id))
        if (str_eq(d->texts.v[id], text))
            return id;
    if (idmap_growth(&d->ids, 1) > d->arena->limit - d->arena->used)
        return SYM_NONE;
    struct str copy = arena_str(d->arena, text);
    struct str *slot = copy.p ? VEC_PUSH(d->arena, d->texts) : NULL;
    if (!slot)
        return SYM_NONE;
    *slot = copy;
    return idmap_put(&d->ids, hash, d->texts.n - 1) ? d->texts.n - 1 : SYM_NONE;
}

enum status rollup_names_write(const struct rollup_names *d, struct buf *out,
    struct rollup_names_head *ret_head, struct error *err)
{
    struct cutter c = {.arena = d->arena, .out = out, .base = out->n};
    struct {
        uint32_t *v;
        uint32_t n, cap;
    } first = {0};
    for (uint32_t id = 0; id < d->texts.n; id++) {
        bool cut;
        uint32_t *slot;
        if (!cutter_cut(&c, &cut))
            return no_memory(err);
        if (cut) {
            slot = VEC_PUSH(d->arena, first);
            if (!slot)
                return no_memory(err);
            *slot = id;
        }
        buf_uvarint(out, d->texts.v[id].n);
        buf_str(out, d->texts.v[id]);
        TRY(cutter_check(&c, err));
    }
    *ret_head = (struct rollup_names_head){cutter_chunks(&c), first.v, d->texts.n};
    return ST_OK;
}

/* Trees */

/* A child as it goes into a group. */
struct entry {
    uint32_t id, node;
};

/* The first node of a path that is still to be written. */
struct path {
    int64_t total;
    uint32_t node;
    uint32_t patch; /* offset of its ref */
};

struct writer {
    const struct nametree *t;
    struct rollup_names *names;
    struct cutter cut;
    int64_t unit;
    uint32_t *ids; /* name id of the tree → dictionary id, or SYM_NONE */
    struct {
        struct entry *v;
        uint32_t n, cap;
    } family;
    struct {
        struct path *v;
        uint32_t n, cap;
    } heap;
};

static bool before(const struct path *a, const struct path *b)
{
    return a->total != b->total ? a->total > b->total : a->node < b->node;
}

static bool heap_push(struct writer *w, struct path path)
{
    struct path *slot = VEC_PUSH(w->cut.arena, w->heap), *v = w->heap.v;
    if (!slot)
        return false;
    uint32_t i = w->heap.n - 1;
    for (uint32_t up; i > 0 && before(&path, &v[up = (i - 1) / 2]); i = up)
        v[i] = v[up];
    v[i] = path;
    return true;
}

static struct path heap_pop(struct writer *w)
{
    struct path *v = w->heap.v, top = v[0], last = v[--w->heap.n];
    uint32_t n = w->heap.n, i = 0;
    for (uint32_t down; (down = i * 2 + 1) < n; i = down) {
        if (down + 1 < n && before(&v[down + 1], &v[down]))
            down++;
        if (!before(&v[down], &last))
            break;
        v[i] = v[down];
    }
    if (n)
        v[i] = last;
    return top;
}

static int by_id(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

/* The children of a node by dictionary id; new names get their ids in the order of names. */
static bool collect_family(struct writer *w, const struct name_node *node)
{
    w->family.n = 0;
    for (uint32_t k = 0; k < node->n_children; k++) {
        uint32_t child = w->t->children[node->first_child + k];
        uint32_t *id = &w->ids[w->t->nodes[child].name];
        if (*id == SYM_NONE)
            *id = rollup_names_id(w->names, w->t->names[w->t->nodes[child].name]);
        struct entry *slot = *id == SYM_NONE ? NULL : VEC_PUSH(w->cut.arena, w->family);
        if (!slot)
            return false;
        *slot = (struct entry){*id, child};
    }
    qsort(w->family.v, w->family.n, sizeof *w->family.v, by_id);
    return true;
}

/* Place in the family of the child with the most; one with children of its own wins a tie. */
static uint32_t heaviest(const struct writer *w)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < w->family.n; i++) {
        const struct name_node *a = &w->t->nodes[w->family.v[i].node];
        const struct name_node *b = &w->t->nodes[w->family.v[best].node];
        if (a->total > b->total || (a->total == b->total && a->n_children && !b->n_children))
            best = i;
    }
    return best;
}

static void write_names(struct writer *w)
{
    uint32_t next_id = 0;
    for (uint32_t i = 0; i < w->family.n; i++) {
        const struct entry *e = &w->family.v[i];
        uint64_t leaf = w->t->nodes[e->node].n_children == 0;
        buf_uvarint(w->cut.out, (uint64_t)(e->id - next_id) << 1 | leaf);
        next_id = e->id + 1;
    }
}

static void write_totals(struct writer *w, uint32_t without)
{
    for (uint32_t i = 0; i < w->family.n; i++)
        if (i != without)
            buf_uvarint(w->cut.out, (uint64_t)(w->t->nodes[w->family.v[i].node].total / w->unit));
}

/* Zeros for now; heap_push remembers where. */
static bool write_refs(struct writer *w, uint32_t without)
{
    for (uint32_t i = 0; i < w->family.n; i++) {
        uint32_t child = w->family.v[i].node;
        const struct name_node *node = &w->t->nodes[child];
        if (i == without || node->n_children == 0)
            continue;
        if (!heap_push(w, (struct path){node->total, child, cutter_at(&w->cut)}))
            return false;
        buf_u32le(w->cut.out, 0);
    }
    return true;
}

/* Writes the group of a node; *ret_next is the child whose group is to follow, 0 for none. */
static enum status write_group(
    struct writer *w, uint32_t at, int64_t enough, uint32_t *ret_next, struct error *err)
{
    bool cut;
    const struct name_node *node = &w->t->nodes[at];
    if (!cutter_cut(&w->cut, &cut) || !collect_family(w, node))
        return no_memory(err);
    uint32_t n = w->family.n, heavy = heaviest(w);
    const struct name_node *h = &w->t->nodes[w->family.v[heavy].node];
    bool rest = node->self == 0, next = h->n_children > 0 && h->total >= enough;
    uint64_t flags = (next ? ROLLUP_NEXT : 0) | (rest ? ROLLUP_REST : 0);
    buf_uvarint(w->cut.out, (uint64_t)n << ROLLUP_FLAG_BITS | flags);
    if (n > 1 && flags)
        buf_uvarint(w->cut.out, heavy);
    write_names(w);
    write_totals(w, rest ? heavy : n);
    if (!write_refs(w, next ? heavy : n))
        return no_memory(err);
    *ret_next = next ? w->family.v[heavy].node : 0;
    return cutter_check(&w->cut, err);
}

static enum status write_path(struct writer *w, struct path path, struct error *err)
{
    int64_t enough = path.total - path.total / 2;
    for (uint32_t at = path.node, next = 0;; at = next) {
        TRY(write_group(w, at, enough, &next, err));
        if (next == 0)
            return ST_OK;
    }
}

static void patch_ref(const struct cutter *c, uint32_t patch)
{
    uint32_t at = cutter_at(c);
    for (unsigned i = 0; i < ROLLUP_REF_BYTES; i++)
        c->out->p[c->base + patch + i] = (char)(at >> (8 * i));
}

static enum status write_paths(struct writer *w, struct error *err)
{
    TRY(write_path(w, (struct path){.total = w->t->nodes[0].total}, err));
    while (w->heap.n) {
        struct path path = heap_pop(w);
        patch_ref(&w->cut, path.patch);
        TRY(write_path(w, path, err));
    }
    return ST_OK;
}

/* Totals are sums of selfs, so what divides all selfs divides all totals. */
static int64_t common_unit(const struct nametree *t)
{
    int64_t unit = 0;
    for (uint32_t i = 0; i < t->n_nodes && unit != 1; i++)
        for (int64_t b = t->nodes[i].self, rest; b; b = rest) {
            rest = unit % b;
            unit = b;
        }
    return MAX(unit, 1);
}

enum status rollup_write(const struct nametree *t, struct rollup_names *names, struct arena *arena,
    struct buf *out, struct rollup_head *ret_head, struct error *err)
{
    ASSERT(t->finished && !t->rest && t->nodes[0].self == 0);
    struct writer w = {.t = t, .names = names, .unit = common_unit(t)};
    w.cut = (struct cutter){.arena = arena, .out = out, .base = out->n};
    w.ids = ARENA_ARRAY(arena, uint32_t, t->n_names);
    if (!w.ids)
        return no_memory(err);
    memset(w.ids, 0xFF, (size_t)t->n_names * sizeof *w.ids);
    if (t->n_nodes > 1)
        TRY(write_paths(&w, err));
    *ret_head = (struct rollup_head){.chunks = cutter_chunks(&w.cut),
        .unit = w.unit,
        .total = t->nodes[0].total,
        .n_nodes = t->n_nodes - 1};
    return ST_OK;
}

/* Heads */

static void chunks_encode(const struct rollup_chunks *c, struct buf *out)
{
    buf_uvarint(out, c->n_chunks);
    for (uint32_t i = 0; i < c->n_chunks; i++)
        buf_uvarint(out, rollup_chunk_size(c, i));
}

void rollup_head_encode(const struct rollup_head *h, struct buf *out)
{
    chunks_encode(&h->chunks, out);
    buf_uvarint(out, (uint64_t)h->unit);
    buf_uvarint(out, (uint64_t)(h->total / h->unit));
    buf_uvarint(out, h->n_nodes);
}

void rollup_names_head_encode(const struct rollup_names_head *h, struct buf *out)
{
    chunks_encode(&h->chunks, out);
    buf_uvarint(out, h->n_names);
    for (uint32_t i = 0; i < h->chunks.n_chunks; i++)
        buf_uvarint(
            out, (i + 1 < h->chunks.n_chunks ? h->first_ids[i + 1] : h->n_names) - h->first_ids[i]);
}
