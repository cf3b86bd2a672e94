/* Merging blocks: many small ones become one that unifies their symbols.
 *
 *     for every service: for every block, dataset, slot: rows copied into one dataset, which brings
 *     only the symbols they need ─► sections and roll-ups of the new block
 *
 * One dataset is in memory at a time, with one slot of one source beside it. When it reaches the
 * bound it is written and another one of the same service begun, so what a merge takes does not
 * grow with the blocks. The sources are read past the cache, every byte against its checksum. */
#include "store/block_writer_int.h"

#include "base/mem.h"
#include "model/stack_group.h"

#define MERGE_BYTES ((size_t)256 << 20)
/* Of the samples that a day's block has stack by stack, so many at a time: their scratch is at most
 * a quarter of the bound. */
enum { BYTES_PER_GROUP_SAMPLE = 256, GROUP_SAMPLES_LEAST = 1 << 13 };

struct merge {
    const struct block_merge *rq;
    struct block_writer w;
    struct dataset *ds; /* being filled; NULL: nothing yet */
    size_t most;
    struct error *err;
};

static void forget(struct merge *m)
{
    if (m->ds)
        dataset_free(m->ds);
    m->ds = NULL;
}

static enum status flush(struct merge *m)
{
    enum status st = ST_OK;
    if (m->ds && m->ds->part.rows.n)
        st = block_put_dataset(&m->w, m->ds, m->ds->part.rows.n);
    forget(m);
    return st;
}

/* A piece of the rows is copied at a time, so that the bound is kept within one piece. */
static enum status add_rows(struct merge *m, const struct part *p, int64_t hour_ns)
{
    for (uint32_t at = 0; at < part_rows(p);) {
        if (!m->ds)
            m->ds = dataset_new(NULL, 0, p->tenant, p->service);
        TRY(block_copy_rows(p, hour_ns, &at, m->most / 8, &m->rq->pause, m->ds, m->err));
        dataset_charge(m->ds);
        if (m->ds->charged > m->most)
            TRY(flush(m));
        TRY(block_pause(&m->rq->pause, m->err));
    }
    return ST_OK;
}

static enum status add_source(struct merge *m, const struct block_dataset *bd)
{
    struct dataset *stacks;
    TRY(block_load(bd, true, &stacks, m->err));
    enum status st = block_pause(&m->rq->pause, m->err);
    for (uint32_t i = 0; i < bd->n_slots && st == ST_OK; i++) {
        struct block_rows *rows;
        st = block_load_rows(bd, i, BLOCK_BY_ROW, &stacks->part, &rows, m->err);
        if (st != ST_OK)
            break;
        st = add_rows(m, &rows->part, block_hour(bd->slots[i].time_min));
        block_rows_free(rows);
    }
    dataset_free(stacks);
    return st;
}

static enum status add_service(struct merge *m, struct str service)
{
    const struct digest_rq digest = {m->rq->digested, m->rq->n_digested, m->most};
    TRY(block_put_digest(&m->w, service, &digest));
    for (uint32_t i = 0; i < m->rq->n_sources; i++) {
        const struct block *b = m->rq->sources[i];
        for (uint32_t k = 0; k < b->n_datasets; k++)
            if (str_eq(b->datasets[k].service, service))
                TRY(add_source(m, &b->datasets[k]));
    }
    return flush(m);
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Every service once, by name. */
static enum status add_all(struct merge *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->rq->n_sources; i++)
        n += m->rq->sources[i]->n_datasets;
    struct str *v = mem_new((n + (size_t)1) * sizeof *v);
    n = 0;
    for (uint32_t i = 0; i < m->rq->n_sources; i++)
        for (uint32_t k = 0; k < m->rq->sources[i]->n_datasets; k++)
            v[n++] = m->rq->sources[i]->datasets[k].service;
    qsort(v, n, sizeof *v, by_text);
    enum status st = ST_OK;
    for (uint32_t i = 0; i < n && st == ST_OK; i++)
        if (i == 0 || !str_eq(v[i], v[i - 1]))
            st = add_service(m, v[i]);
    mem_free(v);
    return st;
}

enum status block_merge(
    const struct block_merge *rq, struct block_file *ret_file, struct error *err)
{
    struct merge m = {.rq = rq, .most = rq->memory ? rq->memory : MERGE_BYTES, .err = err};
    ASSERT(rq->n_sources > 0);
    const struct block_place place = {rq->sources[0]->tenant, rq->level, rq->start_ns, rq->epoch};
    struct str *sources = mem_new(rq->n_sources * sizeof *sources);
    for (uint32_t i = 0; i < rq->n_sources; i++)
        sources[i] = str_from(rq->sources[i]->path);
    enum status st = block_writer_begin(&m.w, rq->to, &place, err);
    m.w.pause = rq->pause;
    if (rq->level == BLOCK_24H)
        m.w.group_samples = (uint32_t)MIN(
            MAX(m.most / BYTES_PER_GROUP_SAMPLE, GROUP_SAMPLES_LEAST), STACK_GROUP_SAMPLES_MAX);
    if (st == ST_OK)
        st = add_all(&m);
    forget(&m);
    st = block_writer_finish(&m.w, st, place.tenant, sources, rq->n_sources, ret_file);
    mem_free(sources);
    return st;
}
