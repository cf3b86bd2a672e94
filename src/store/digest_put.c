/* Digests: what a service had in the days before, per profile type, as one tree and one table.
 *
 *     whole trees of the service in blocks that are there already ─► merged ─► digest tree, table
 *
 * A question about a month then reads a tree per week and the days at its edges, in place of a tree
 * per day. A digest lies in the block of a later day and names the datasets that it sums up, by the
 * number of their block. It is derived, and nothing takes care of it: as soon as one of these
 * blocks is retired or merged again, questions no longer find it in their view and read days.
 *
 * Trees are merged before the rows of the service are read, so that only one of both is in memory.
 * What cannot be summed (a tree is missing, damaged, beyond the memory or int64) is left out. */
#include "store/block_writer_int.h"

#include "model/tree_merge.h"

struct source {
    const struct block_dataset *bd;
    struct block_chunks *tree, *names;
    struct rollup_reader tree_reader;
    struct rollup_names_reader names_reader;
};

struct digester {
    struct block_writer *w;
    const struct digest_rq *rq;
    struct arena list; /* datasets, sources */
    struct arena arena;
    struct {
        const struct block_dataset **v;
        uint32_t n, cap;
    } datasets;
    struct {
        struct source *v;
        uint32_t n, cap;
    } sources;     /* of the type at hand */
    struct buf of; /* the section that says of what */
};

/* Datasets: of the service, in blocks that name their types. */

static uint32_t count_datasets(const struct block *b, struct str service)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n_datasets; i++)
        n += str_eq(b->datasets[i].service, service);
    return n;
}

static bool find_datasets(struct digester *d, struct str service)
{
    uint32_t n_blocks = 0;
    for (uint32_t i = 0; i < d->rq->n_blocks; i++)
        n_blocks += count_datasets(d->rq->blocks[i], service) > 0;
    if (n_blocks < 2)
        return false;
    buf_uvarint(&d->of, n_blocks);
    for (uint32_t i = 0; i < d->rq->n_blocks; i++) {
        const struct block *b = d->rq->blocks[i];
        uint32_t n = count_datasets(b, service);
        if (n == 0)
            continue;
        buf_uvarint(&d->of, b->epoch);
        buf_uvarint(&d->of, n);
        for (uint32_t k = 0; k < b->n_datasets; k++) {
            const struct block_dataset *bd = &b->datasets[k];
            if (!str_eq(bd->service, service))
                continue;
            const struct block_dataset **slot = bd->type_names ? VEC_PUSH(&d->list, d->datasets)
                                                               : NULL;
            if (!slot)
                return false;
            *slot = bd;
        }
    }
    return !d->of.failed;
}

/* Sources */

static const struct part_tree *whole_tree(const struct block_dataset *bd, uint32_t type)
{
    const struct part_tree *t = bd->rollups.trees;
    for (uint32_t i = 0; i < bd->rollups.n_trees; i++)
        if (t[i].type == type && t[i].slot == 0 && t[i].n_slots == bd->n_slots)
            return &t[i];
    return NULL;
}

static enum status get_chunk(void *ctx, uint32_t i, struct str *ret_bytes, struct error *err)
{
    return block_chunk_get(ctx, i, ret_bytes, err);
}

static enum status open_source(
    struct digester *d, const struct block_dataset *bd, const struct part_tree *t)
{
    struct error *err = d->w->err;
    struct source *s = VEC_PUSH(&d->list, d->sources);
    if (!s)
        return ST_RESOURCE_EXHAUSTED;
    *s = (struct source){.bd = bd};
    TRY(block_chunks_open(bd, &bd->sections[t->tree], &s->tree, err));
    TRY(block_chunks_open(bd, &bd->sections[bd->rollups.names], &s->names, err));
    TRY(rollup_reader_init(&s->tree_reader, &s->tree->tree, get_chunk, s->tree, &d->arena, err));
    return rollup_names_reader_init(
        &s->names_reader, &s->names->names, get_chunk, s->names, &d->arena, err);
}

static void close_sources(struct digester *d)
{
    for (uint32_t i = 0; i < d->sources.n; i++) {
        struct source *s = &d->sources.v[i];
        if (s->names)
            block_chunks_free(s->names);
        if (s->tree)
            block_chunks_free(s->tree);
    }
    d->sources.n = 0;
}

/* ST_NOT_FOUND: a dataset has the type and no tree of it. */
static enum status open_sources(struct digester *d, struct str type)
{
    for (uint32_t i = 0; i < d->datasets.n; i++) {
        const struct block_dataset *bd = d->datasets.v[i];
        for (uint32_t k = 0; k < bd->rollups.n_types; k++) {
            if (!str_eq(bd->block->type_names[bd->type_names[k]], type))
                continue;
            const struct part_tree *t = whole_tree(bd, k);
            if (!t)
                return ST_NOT_FOUND;
            TRY(open_source(d, bd, t));
        }
    }
    return d->sources.n > 1 ? ST_OK : ST_NOT_FOUND;
}

/* Trees */

static enum status merge_sources(struct digester *d, struct nametree *t)
{
    const struct tree_merge_limits limits = {.alive = d->w->pause.fn, .ctx = d->w->pause.ctx};
    struct tree_source *v = ARENA_ARRAY(&d->arena, struct tree_source, d->sources.n);
    if (!v)
        return ST_RESOURCE_EXHAUSTED;
    for (uint32_t i = 0; i < d->sources.n; i++) {
        struct source *s = &d->sources.v[i];
        v[i] = (struct tree_source){.rollup = &s->tree_reader, .names = &s->names_reader};
    }
    return tree_merge(v, d->sources.n, &limits, t, 1, d->w->err);
}

/* What is only of the digest leaves the digest out; what is of the machine ends the merge. */
static enum status unless_broken(enum status st)
{
    bool left_out = st == ST_NOT_FOUND || st == ST_DATA_LOSS || st == ST_RESOURCE_EXHAUSTED ||
                    st == ST_OUT_OF_RANGE;
    return left_out ? ST_NOT_FOUND : st;
}

static enum status put_type(struct digester *d, struct str type)
{
    struct nametree t;
    uint32_t name = rollup_names_id(&d->w->type_names, type);
    const struct block_about about = {.kind = BLOCK_DIGEST_TREE, .type = name};
    if (name == SYM_NONE)
        return ST_NOT_FOUND;
    arena_reset(&d->arena);
    nametree_init(&t, &d->arena);
    enum status st = open_sources(d, type);
    if (st == ST_OK)
        st = merge_sources(d, &t);
    close_sources(d);
    st = unless_broken(st);
    if (st == ST_OK)
        st = block_put_tree(d->w, &d->arena, &about, &t);
    nametree_done(&t);
    return st;
}

static uint32_t n_types_with_trees(const struct block_dataset *bd)
{
    return MIN(bd->rollups.n_types, (uint32_t)PART_ROLLUP_TYPES_MAX);
}

/* Whether an earlier dataset has the type, which was seen to then. */
static bool is_done(const struct digester *d, uint32_t dataset, struct str type)
{
    for (uint32_t i = 0; i < dataset; i++) {
        const struct block_dataset *bd = d->datasets.v[i];
        for (uint32_t k = 0; k < n_types_with_trees(bd); k++)
            if (str_eq(bd->block->type_names[bd->type_names[k]], type))
                return true;
    }
    return false;
}

static enum status put_types(struct digester *d)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->datasets.n; i++) {
        const struct block_dataset *bd = d->datasets.v[i];
        for (uint32_t k = 0; k < n_types_with_trees(bd); k++) {
            struct str type = bd->block->type_names[bd->type_names[k]];
            enum status st = is_done(d, i, type) ? ST_NOT_FOUND : put_type(d, type);
            if (st != ST_OK && st != ST_NOT_FOUND)
                return st;
            n += st == ST_OK;
        }
    }
    if (n == 0)
        return ST_OK;
    buf_clear(&d->w->raw);
    buf_str(&d->w->raw, buf_view(&d->of));
    return block_put_section(d->w, &(struct block_about){.kind = BLOCK_DIGEST});
}

enum status block_put_digest(struct block_writer *w, struct str service, const struct digest_rq *rq)
{
    struct digester d = {.w = w, .rq = rq};
    if (rq->n_blocks == 0)
        return ST_OK;
    arena_init(&d.list, MIB * 64);
    arena_init(&d.arena, rq->memory);
    buf_init(&d.of, MIB);
    enum status st = find_datasets(&d, service) ? put_types(&d) : ST_OK;
    buf_done(&d.of);
    arena_done(&d.arena);
    arena_done(&d.list);
    return st;
}
