/* The cache of loaded block parts: see block_int.h.
 *
 * One lock guards the list, the counts and which part is loaded; loading itself happens outside of
 * it, under the dataset's own lock, so that two queries never load the same thing twice and others
 * are not held up. A loaded part keeps a reference to its block. What is over the bound goes when
 * its last user does. */
#include "store/block_int.h"

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

/* Takes unused parts out until the bound is kept (or, with `of`, those of that block); they are
 * freed by the caller, outside the lock, through the list of `older`. */
static struct block_part *take_unused(struct block_cache *c, const struct block *of)
{
    struct block_part *out = NULL;
    for (struct block_part *bp = c->oldest, *next; bp; bp = next) {
        next = bp->newer;
        if (bp->users || (of ? bp->of->block != of : c->bytes <= c->bytes_max))
            continue;
        list_remove(c, bp);
        c->bytes -= bp->bytes;
        bp->older = out;
        out = bp;
    }
    metric_set(M_CACHE_BYTES, (double)c->bytes);
    return out;
}

/* `ds` moves out under the lock so that the part can be loaded again at once. */
static void drop(struct block_cache *c, const struct block *of)
{
    enum { AT_ONCE = 64 };
    for (;;) {
        struct dataset *ds[AT_ONCE];
        struct block *blocks[AT_ONCE];
        uint32_t n = 0;
        mutex_lock(&c->lock);
        struct block_part *out = take_unused(c, of);
        while (out && n < AT_ONCE) {
            struct block_part *next = out->older;
            ds[n] = out->ds;
            blocks[n++] = out->of->block;
            out->ds = NULL;
            out->older = NULL;
            out = next;
        }
        for (struct block_part *next; out;
             out = next) { /* more than fit: back, for the next turn */
            next = out->older;
            c->bytes += out->bytes;
            list_push(c, out);
        }
        mutex_unlock(&c->lock);
        for (uint32_t i = 0; i < n; i++) {
            dataset_free(ds[i]);
            block_unref(blocks[i]);
        }
        if (n < AT_ONCE)
            return;
    }
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

static void set_aside(struct block_dataset *bd, const struct error *err)
{
    if (atomic_exchange(&bd->damaged, true))
        return;
    metric_add(M_BLOCKS_BAD, 1);
    LOG_ERROR("damaged block, the service's data of that hour is set aside", "err=%s",
        LOG_STR(error_str(err)));
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
    if (atomic_load(&bd->damaged))
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
    bool over = --bp->users == 0 && c->bytes > c->bytes_max;
    mutex_unlock(&c->lock);
    if (over)
        drop(c, NULL);
}
