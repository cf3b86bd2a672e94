/* The cache of loaded block parts: see block_int.h.
 *
 * One lock guards the list, the counts and which part is loaded; loading itself happens outside of
 * it, under the dataset's own lock, so that two queries never load the same thing twice and others
 * are not held up. A loaded part keeps a reference to its block. What is over the bound goes when
 * its last user does, and so do the parts of a retired block: its file waits for them. */
#include "store/block_int.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

void block_cache_init(struct block_cache *c, size_t bytes_max)
{
    *c = (struct block_cache){.bytes_max = bytes_max};
    mutex_init(&c->lock, "store.cache", RANK_CACHE);
}

static void list_remove(struct block_cache *c, struct block_part *bp)
{
    *(bp->newer ? &bp->newer->older : &c->newest) = bp->older;
    *(bp->older ? &bp->older->newer : &c->oldest) = bp->newer;
    bp->newer = bp->older = NULL;
}

static void list_push(struct block_cache *c, struct block_part *bp)
{
    bp->older = c->newest;
    bp->newer = NULL;
    *(c->newest ? &c->newest->newer : &c->oldest) = bp;
    c->newest = bp;
}

enum { AT_ONCE = 64 };

/* What left the cache, to be freed outside of its lock. */
struct dropped {
    uint32_t n;
    struct dataset *ds[AT_ONCE];
    struct block *blocks[AT_ONCE];
};

/* Under the lock: takes out unused parts, those of block `of`, or the oldest until the bound is
 * kept. `ds` moves out here, so that the part can be loaded again at once. */
static void take_unused(struct block_cache *c, const struct block *of, struct dropped *out)
{
    out->n = 0;
    for (struct block_part *bp = c->oldest, *newer; bp && out->n < AT_ONCE; bp = newer) {
        newer = bp->newer;
        if (bp->users || (of ? bp->of->block != of : c->bytes <= c->bytes_max))
            continue;
        list_remove(c, bp);
        c->bytes -= bp->bytes;
        out->ds[out->n] = bp->ds;
        out->blocks[out->n++] = bp->of->block;
        bp->ds = NULL;
    }
    metric_set(M_CACHE_BYTES, (double)c->bytes);
}

static void drop(struct block_cache *c, const struct block *of)
{
    struct dropped out;
    do {
        mutex_lock(&c->lock);
        take_unused(c, of, &out);
        mutex_unlock(&c->lock);
        for (uint32_t i = 0; i < out.n; i++) {
            dataset_free(out.ds[i]);
            block_unref(out.blocks[i]);
        }
    } while (out.n == AT_ONCE);
}

void block_cache_done(struct block_cache *c)
{
    c->bytes_max = 0;
    drop(c, NULL);
    ASSERT(!c->newest);
    mutex_done(&c->lock);
}

void block_cache_forget(struct block_cache *c, struct block *b)
{
    drop(c, b);
}

/* Under the cache's lock. */
static bool use_if_loaded(struct block_cache *c, struct block_part *bp)
{
    if (!bp->ds)
        return false;
    bp->users++;
    list_remove(c, bp);
    list_push(c, bp);
    return true;
}

/* Damage stays; what the disk could not read may come back. */
static void set_aside(struct block_dataset *bd, const struct error *err)
{
    bool retry = err->os_errno && err->os_errno != ENOENT;
    int64_t until = retry ? clock_mono_ns() + BLOCK_RETRY_NS : INT64_MAX;
    if (atomic_exchange(&bd->aside_until_ns, until) == 0)
        metric_add(M_BLOCKS_BAD, 1);
    LOG_ERROR("damaged block, the service's data of that hour is set aside", "for_s=%lld err=%s",
        retry ? BLOCK_RETRY_NS / NS_PER_S : -1LL, LOG_STR(error_str(err)));
}

static void back_again(struct block_dataset *bd)
{
    if (atomic_exchange(&bd->aside_until_ns, 0) == 0)
        return;
    metric_add(M_BLOCKS_BAD, -1);
    LOG_INFO("block can be read again", "path=%s", LOG_STR(str_from(bd->block->path)));
}

static enum status load_part(
    struct block_cache *c, struct block_dataset *bd, enum block_view view, struct error *err)
{
    struct block_part *bp = &bd->parts[view];
    struct error mine;
    struct dataset *ds;
    enum status st = block_load(bd, view, &ds, err ? err : &mine);
    if (st == ST_DATA_LOSS)
        set_aside(bd, err ? err : &mine);
    TRY(st);
    back_again(bd);
    ds->part.origin = bp;
    mutex_lock_next(&c->lock);
    bp->ds = ds;
    bp->bytes = ds->charged;
    bp->users = 1;
    c->bytes += bp->bytes;
    list_push(c, bp);
    block_ref(bd->block);
    mutex_unlock(&c->lock);
    return ST_OK;
}

enum status block_cache_acquire(struct block_cache *c, struct block_dataset *bd,
    enum block_view view, struct block_part **ret_part, struct error *err)
{
    struct block_part *bp = &bd->parts[view];
    int64_t aside = atomic_load(&bd->aside_until_ns);
    if (aside == INT64_MAX || (aside && clock_mono_ns() < aside))
        FAIL(err, ST_DATA_LOSS, "block %s is damaged", bd->block->path);
    mutex_lock(&c->lock);
    bool loaded = use_if_loaded(c, bp);
    mutex_unlock(&c->lock);
    enum status st = ST_OK;
    if (!loaded) {
        mutex_lock(&bd->lock);
        mutex_lock_next(&c->lock);
        loaded = use_if_loaded(c, bp);
        mutex_unlock(&c->lock);
        if (!loaded)
            st = load_part(c, bd, view, err);
        mutex_unlock(&bd->lock);
    }
    TRY(st);
    drop(c, NULL);
    *ret_part = bp;
    return ST_OK;
}

void block_cache_release(struct block_cache *c, struct block_part *bp)
{
    mutex_lock(&c->lock);
    ASSERT(bp->users > 0);
    bool last = --bp->users == 0, over = last && c->bytes > c->bytes_max;
    struct block *retired = last && atomic_load(&bp->of->block->retired) ? block_ref(bp->of->block)
                                                                         : NULL;
    mutex_unlock(&c->lock);
    if (over)
        drop(c, NULL);
    if (retired)
        drop(c, retired);
    block_unref(retired);
}
