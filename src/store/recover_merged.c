/* Merges that a crash interrupted, or whose marker is lost: see recover.c for all other blocks.
 *
 * The marker of a merge is the switch: before it is durable the sources count, from then on the
 * block does. So what a valid marker replaces is removed, whatever its own marker says; unless the
 * block that it is in cannot be served: then it is left in place and reported.
 *
 *   a merged block without a valid marker    what becomes of it
 *   ---------------------------------------  -------------------------------------------------
 *   its sources are all served               the merge did not come to its end: removed
 *   a source is in another block already     not ours to serve, it would count twice: reported
 *   otherwise its marker was durable once:   read to the last byte, served, reported; sources
 *     sources go only after that               that are left are removed. If it is damaged they
 *                                              are served, and it is reported
 *
 * Newer merges are judged first, since the source of one may be the block of another. */
#include "store/recover_int.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

static int cmp_replaced(const void *pa, const void *pb)
{
    return str_cmp(((const struct replaced *)pa)->path, ((const struct replaced *)pb)->path);
}

static void add_replaced(struct blocks *b, struct str path, struct str by)
{
    struct replaced *r = VEC_PUSH(&b->arena, b->replaced);
    ASSERT(r);
    *r = (struct replaced){.path = path, .by = by};
}

void recover_note_replaced(struct blocks *b, const struct marker *m)
{
    for (uint32_t i = 0; i < m->n_replaces; i++)
        add_replaced(b, m->replaces[i], m->n ? m->entries[0].path : STR_EMPTY);
}

void recover_sort_replaced(struct blocks *b)
{
    if (b->replaced.n)
        qsort(b->replaced.v, b->replaced.n, sizeof *b->replaced.v, cmp_replaced);
}

struct replaced *recover_replaced(struct blocks *b, struct str path)
{
    const struct replaced key = {.path = path};
    return b->replaced.n ? bsearch(&key, b->replaced.v, b->replaced.n, sizeof key, cmp_replaced)
                         : NULL;
}

/* Merged blocks without a marker */

static struct block *find_served(const struct blocks *b, struct str path)
{
    for (uint32_t i = 0; i < b->s->n_blocks; i++)
        if (str_eq(str_from(b->s->blocks[i]->path), path))
            return b->s->blocks[i];
    return NULL;
}

/* Not judged yet: merges older than number i of the list. */
static bool is_waiting(const struct blocks *b, uint32_t i, struct str path)
{
    for (uint32_t k = i + 1; k < b->merged.n; k++)
        if (str_eq(str_from(b->merged.v[k]->path), path))
            return true;
    return false;
}

static bool has_all_sources(const struct blocks *b, uint32_t i)
{
    const struct block *m = b->merged.v[i];
    for (uint32_t k = 0; k < m->n_sources; k++)
        if (!find_served(b, m->sources[k]) && !is_waiting(b, i, m->sources[k]))
            return false;
    return true;
}

static bool has_source_elsewhere(struct blocks *b, const struct block *m)
{
    for (uint32_t k = 0; k < m->n_sources; k++)
        if (recover_replaced(b, m->sources[k]))
            return true;
    return false;
}

static void forget_broken(struct store *s, struct str path)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->n_broken; i++) {
        if (str_eq(str_from(s->broken[i].path), path))
            metric_add(M_BLOCKS_BAD, -1);
        else
            s->broken[kept++] = s->broken[i];
    }
    s->n_broken = kept;
}

/* It has what its sources had; what is left of them goes, and their markers will say so. */
static void serve_instead(struct blocks *b, struct block *m)
{
    struct block **out = mem_new((m->n_sources + (size_t)1) * sizeof *out);
    uint32_t n = 0;
    for (uint32_t k = 0; k < m->n_sources; k++) {
        struct str path = m->sources[k];
        struct block *served = find_served(b, path);
        struct listed *l = recover_listed(b, path);
        if (served)
            out[n++] = block_ref(served);
        else
            recover_remove_file(b, path); /* damaged, or not there */
        forget_broken(b->s, path);
        add_replaced(b, path, str_from(m->path));
        if (!l)
            continue;
        l->found = true;
        if (!l->entry.retired)
            retire_remember(b->s, l->epoch, path);
    }
    recover_sort_replaced(b);
    if (n)
        retire_out_of_view(b->s, out, n, NULL);
    for (uint32_t k = 0; k < n; k++)
        block_unref(out[k]);
    mem_free(out);
    recover_serve(b, block_ref(m));
}

static void judge_merged(struct blocks *b, uint32_t i)
{
    struct block *m = b->merged.v[i];
    struct error err;
    if (recover_replaced(b, str_from(m->path))) { /* of one that was judged before */
        recover_remove_file(b, str_from(m->path));
    } else if (has_source_elsewhere(b, m)) {
        recover_foreign("blocks", str_from(m->path));
    } else if (has_all_sources(b, i)) {
        compact_note_unfinished(b->s, m->epoch, m->path);
    } else if (block_verify(m, &err) != ST_OK) {
        recover_bad_block(b, m->path, &err);
    } else {
        b->unlisted++;
        LOG_WARN("merged block without a marker, checked and served", "path=%s merge=%" PRIu64,
            LOG_STR(str_from(m->path)), m->epoch);
        serve_instead(b, m);
    }
}

static int newest_first(const void *pa, const void *pb)
{
    const struct block *a = *(struct block *const *)pa, *b = *(struct block *const *)pb;
    return (a->epoch < b->epoch) - (a->epoch > b->epoch);
}

/* Files that merges made superfluous */

/* Whether its rows are served, or were and went with what they were in. */
static bool is_elsewhere(struct blocks *b, const struct replaced *r)
{
    const struct listed *l = recover_listed(b, r->by);
    return recover_replaced(b, r->by) || (l && (l->served || l->entry.retired)) ||
           find_served(b, r->by);
}

static void settle_replaced(struct blocks *b, const struct replaced *r)
{
    struct listed *l = recover_listed(b, r->path);
    if (l && !l->entry.retired)
        retire_remember(b->s, l->epoch, r->path);
    if (r->on_disk && is_elsewhere(b, r))
        recover_remove_file(b, r->path);
    else if (r->on_disk)
        LOG_ERROR("a block was merged into one that cannot be served; both are left in place",
            "path=%s into=%s", LOG_STR(r->path), LOG_STR(r->by));
}

void recover_merged(struct blocks *b)
{
    uint32_t replaced = b->replaced.n;
    for (uint32_t i = 0; i < replaced; i++)
        settle_replaced(b, &b->replaced.v[i]);
    if (b->merged.n)
        qsort(b->merged.v, b->merged.n, sizeof *b->merged.v, newest_first);
    for (uint32_t i = 0; i < b->merged.n; i++)
        judge_merged(b, i);
    for (uint32_t i = 0; i < b->merged.n; i++)
        block_unref(b->merged.v[i]);
    if (compact_undo(b->s, NULL) != ST_OK)
        LOG_WARN("what an interrupted merge left is not removed yet", "n=%u",
            b->s->compaction->n_unfinished);
}
