/* What a block sums beforehand: per profile type, over all series, a tree of names and a table of
 * functions of the whole dataset, and when there was how much.
 *
 *     rows of a type ─► one sum per stack node ─► name tree ─► tree and function sections
 *
 * In a day's block the same for each quarter of the day where a node stands for sixteen entries: a
 * tree that saves less takes more bytes than it is worth. All of this is derived: whatever cannot
 * be summed (a total beyond int64, a tree beyond memory) is left out, and questions sum the rows.
 */
#include "store/block_writer_int.h"

#include <errno.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/function_table.h"
#include "store/rollup_int.h"

enum { RAW_MAX = 1 << 30, TREE_BYTES_MAX = 1 << 30, GROUP_HOURS = 6, ENTRIES_PER_NODE = 16 };

/* Types */

static uint32_t find_type(struct part_types *t, struct idmap *index, const uint32_t *ids)
{
    size_t bytes = PART_TYPE_IDS * sizeof *ids;
    uint64_t hash = hash_bytes(ids, bytes);
    uint32_t id;
    struct idmap_probe p = idmap_start(index, hash);
    while (idmap_next(index, &p, &id))
        if (memcmp(t->ids[id], ids, bytes) == 0)
            return id;
    memcpy(t->ids[t->n], ids, bytes);
    return idmap_put(index, hash, t->n) ? t->n++ : SYM_NONE;
}

enum status part_types_find(const struct part *p, struct part_types *ret, struct error *err)
{
    struct idmap index;
    size_t n = p->series.n;
    bool ok = true;
    *ret = (struct part_types){0};
    arena_init(&ret->arena, 4 * GIB);
    ret->of = arena_alloc(&ret->arena, (n + 1) * sizeof *ret->of);
    ret->ids = arena_alloc(&ret->arena, (n + 1) * SAMPLE_TYPES_MAX * sizeof *ret->ids);
    if (!ret->of || !ret->ids)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for the series of a block");
    idmap_init(&index, NULL);
    for (uint32_t i = 0; i < n && ok; i++) {
        const struct part_series *s = part_series(p, i);
        for (uint32_t k = 0; k < s->n_types && ok; k++) {
            uint32_t ids[PART_TYPE_IDS];
            part_type_ids(s, k, ids);
            ret->of[i][k] = find_type(ret, &index, ids);
            ok = ret->of[i][k] != SYM_NONE;
        }
    }
    idmap_done(&index);
    return ok ? ST_OK
              : error_set(err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__,
                    "no memory for the series of a block");
}

void part_types_done(struct part_types *t)
{
    arena_done(&t->arena);
}

/* Summing */

struct roller {
    struct block_writer *w;
    const struct part *p;
    const struct row_keys *keys;
    const struct part_types *types;
    int64_t *sums; /* per node */
    struct arena arena;
};

/* Calls `fn` for every row of slots [slot, slot + n) and each of its types that is `type` and has a
 * value. */
#define EACH_ROW(r, first, end, type, row, k)                              \
    for (uint32_t i_ = (first); i_ < (end); i_++)                          \
        for (uint32_t k = 0, n_ = row_types((r), i_, &(row)); k < n_; k++) \
            if ((r)->types->of[(row)->series][k] == (type) && (row)->totals[k] > 0)

static uint32_t row_types(const struct roller *r, uint32_t i, const struct part_row **ret_row)
{
    *ret_row = part_row(r->p, r->keys->v[i].row);
    return part_series(r->p, (*ret_row)->series)->n_types;
}

/* Adds to *entries how many samples went in. ST_NOT_FOUND: they cannot be summed. */
static enum status sum_slot(struct roller *r, uint32_t type, uint32_t slot, uint64_t *entries)
{
    const struct part_row *row;
    EACH_ROW(r, r->keys->slots[slot], r->keys->slots[slot + 1], type, row, k)
    {
        uint32_t n_types = part_series(r->p, row->series)->n_types;
        struct str bytes = str_make(row->bytes, row->n_bytes);
        if (samples_sum(bytes, n_types, k, r->sums, r->p->sym.nodes.n, NULL) != ST_OK)
            return ST_NOT_FOUND;
        *entries += row->n_samples;
    }
    return block_pause(&r->w->pause, r->w->err);
}

/* ST_NOT_FOUND also when there is nothing. */
static enum status sum_slots(
    struct roller *r, uint32_t type, uint32_t slot, uint32_t n_slots, uint64_t *ret_entries)
{
    *ret_entries = 0;
    memset(r->sums, 0, r->p->sym.nodes.n * sizeof *r->sums);
    for (uint32_t i = slot; i < slot + n_slots; i++)
        TRY(sum_slot(r, type, i, ret_entries));
    return *ret_entries ? ST_OK : ST_NOT_FOUND;
}

static enum status put_stream(struct block_writer *w, struct arena *arena,
    const struct block_about *about, const struct nametree *t)
{
    struct rollup_head head;
    struct buf bytes;
    buf_clear(&w->raw);
    if (rollup_write(t, &w->names, arena, &w->raw, &head, NULL) != ST_OK)
        return ST_NOT_FOUND;
    buf_init(&bytes, RAW_MAX);
    rollup_head_encode(&head, &bytes);
    enum status st = bytes.failed ? ST_NOT_FOUND
                                  : block_put_chunks(w, about, buf_view(&bytes), buf_view(&w->raw),
                                        &head.chunks);
    buf_done(&bytes);
    return st;
}

enum status block_put_tree(struct block_writer *w, struct arena *arena,
    const struct block_about *about, const struct nametree *t)
{
    struct function_table table;
    struct block_about functions = *about;
    functions.kind++;
    TRY(put_stream(w, arena, about, t));
    buf_clear(&w->raw);
    if (function_table_make(t, arena, &table, NULL) != ST_OK ||
        function_table_encode(t, &table, &w->names, arena, &w->raw, NULL) != ST_OK)
        return ST_NOT_FOUND;
    return block_put_section(w, &functions);
}

/* ST_NOT_FOUND: it cannot be made, or does not pay. */
static enum status put_range(
    struct roller *r, uint32_t type, uint32_t slot, uint32_t n_slots, bool whole)
{
    uint64_t entries;
    struct nametree t;
    const struct block_about about = {BLOCK_TREE, type, slot, n_slots};
    TRY(sum_slots(r, type, slot, n_slots, &entries));
    arena_reset(&r->arena);
    nametree_init(&t, &r->arena);
    bool made = nametree_add(&t, &r->p->sym, r->sums, r->p->sym.nodes.n, NULL) == ST_OK &&
                nametree_finish(&t, NULL) == ST_OK;
    bool pays = whole || (uint64_t)t.n_nodes * ENTRIES_PER_NODE <= entries;
    enum status st = made && pays ? block_put_tree(r->w, &r->arena, &about, &t) : ST_NOT_FOUND;
    nametree_done(&t);
    return st;
}

static enum status unless_left_out(enum status st)
{
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* The slots from `slot` on that lie in the same group of hours. */
static uint32_t group_end(const struct roller *r, uint32_t slot)
{
    int64_t span = GROUP_HOURS * BLOCK_HOUR_NS;
    int64_t group = r->keys->v[r->keys->slots[slot]].hour_ns / span;
    uint32_t end = slot + 1;
    while (end < r->keys->n_slots && r->keys->v[r->keys->slots[end]].hour_ns / span == group)
        end++;
    return end;
}

static enum status put_trees(struct roller *r, uint32_t type)
{
    uint32_t n = r->keys->n_slots;
    TRY(unless_left_out(put_range(r, type, 0, n, true)));
    if (r->w->level != BLOCK_24H)
        return ST_OK;
    for (uint32_t slot = 0, end; slot < n; slot = end) {
        end = group_end(r, slot);
        if (end - slot > 1 && end - slot < n)
            TRY(unless_left_out(put_range(r, type, slot, end - slot, false)));
    }
    return ST_OK;
}

/* Timelines */

struct moment {
    int64_t time_ns, total;
};

static int by_time(const void *pa, const void *pb)
{
    const struct moment *a = pa, *b = pb;
    return (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
}

/* Equal times become one; false when a total leaves int64. */
static bool fold(struct moment *v, uint32_t n, struct store_timeline *t)
{
    for (uint32_t i = 0; i < n; i++) {
        if (t->n == 0 || t->times[t->n - 1] != v[i].time_ns) {
            t->times[t->n] = v[i].time_ns;
            t->rows[t->n] = 1;
            t->totals[t->n++] = v[i].total;
        } else {
            t->rows[t->n - 1]++;
            if (__builtin_add_overflow(t->totals[t->n - 1], v[i].total, &t->totals[t->n - 1]))
                return false;
        }
    }
    return true;
}

static enum status put_timeline(struct roller *r, uint32_t type)
{
    const struct part_row *row;
    struct store_timeline t = {0};
    uint32_t n = 0;
    arena_reset(&r->arena);
    EACH_ROW(r, 0, r->keys->n, type, row, k) n++;
    struct moment *v = ARENA_ARRAY(&r->arena, struct moment, n);
    t.times = ARENA_ARRAY(&r->arena, int64_t, n);
    t.totals = ARENA_ARRAY(&r->arena, int64_t, n);
    t.rows = ARENA_ARRAY(&r->arena, uint32_t, n);
    if (n == 0 || !v || !t.times || !t.totals || !t.rows)
        return ST_OK;
    n = 0;
    EACH_ROW(r, 0, r->keys->n, type, row, k) v[n++] = (struct moment){row->time_ns, row->totals[k]};
    qsort(v, n, sizeof *v, by_time);
    if (!fold(v, n, &t))
        return ST_OK;
    buf_clear(&r->w->raw);
    timeline_encode(&t, &r->w->raw);
    return block_put_section(r->w, &(struct block_about){BLOCK_TIMELINE, type, 0, 0});
}

/* Names */

static enum status put_names(struct roller *r)
{
    struct rollup_names_head head;
    struct buf bytes;
    const struct block_about about = {.kind = BLOCK_NAMES};
    buf_clear(&r->w->raw);
    if (rollup_names_write(&r->w->names, &r->w->raw, &head, NULL) != ST_OK)
        return ST_OK; /* trees without names are not used */
    buf_init(&bytes, RAW_MAX);
    rollup_names_head_encode(&head, &bytes);
    enum status st = bytes.failed ? ST_OK
                                  : block_put_chunks(r->w, &about, buf_view(&bytes),
                                        buf_view(&r->w->raw), &head.chunks);
    buf_done(&bytes);
    return st;
}

static enum status put_all(struct roller *r)
{
    for (uint32_t i = 0; i < MIN(r->types->n, (uint32_t)PART_ROLLUP_TYPES_MAX); i++) {
        TRY(put_timeline(r, i));
        TRY(put_trees(r, i));
    }
    return put_names(r);
}

enum status block_put_rollups(struct block_writer *w, const struct part *p,
    const struct row_keys *keys, const struct part_types *types)
{
    struct roller r = {.w = w, .p = p, .keys = keys, .types = types};
    r.sums = mem_try((p->sym.nodes.n + (size_t)1) * sizeof *r.sums);
    if (!r.sums)
        return ST_OK;
    arena_init(&r.arena, TREE_BYTES_MAX);
    enum status st = put_all(&r);
    arena_done(&r.arena);
    mem_free(r.sums);
    return st;
}
