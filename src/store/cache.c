/* The cache of what is loaded of blocks: see block_int.h.
 *
 * One lock guards the list, the counts and which unit is loaded; loading itself happens outside of
 * it, under the dataset's own lock, so that two queries never load the same thing twice and others
 * are not held up. A loaded unit keeps a reference to its block, and one of a slot keeps what it
 * stands on in use. What is over the bound goes when its last user does, and so does what is loaded
 * of a retired block: its file waits for that. */
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

static void list_remove(struct block_cache *c, struct block_unit *u)
{
    *(u->newer ? &u->newer->older : &c->newest) = u->older;
    *(u->older ? &u->older->newer : &c->oldest) = u->newer;
    u->newer = u->older = NULL;
}

static void list_push(struct block_cache *c, struct block_unit *u)
{
    u->older = c->newest;
    u->newer = NULL;
    *(c->newest ? &c->newest->newer : &c->oldest) = u;
    c->newest = u;
}

/* What each form is: how it is loaded, measured and freed. */

struct loaded {
    void *p;
    size_t bytes;
};

static enum status load_dataset(
    struct block_unit *u, const struct block_unit *base, struct loaded *ret, struct error *err)
{
    struct dataset *ds;
    (void)base;
    TRY(block_load(u->of, u->form == BLOCK_STACKS_FORM, &ds, err));
    ds->part.origin = u;
    *ret = (struct loaded){ds, ds->charged};
    return ST_OK;
}

static void free_dataset(void *p)
{
    dataset_free(p);
}

static enum status load_slot(
    struct block_unit *u, const struct block_unit *base, struct loaded *ret, struct error *err)
{
    struct block_rows *rows;
    TRY(block_load_rows(u->of, u->index,
        u->form == BLOCK_SAMPLES_FORM ? BLOCK_GROUPED : BLOCK_NO_SAMPLES, block_unit_part(base),
        &rows, err));
    rows->part.origin = u;
    *ret = (struct loaded){rows, rows->bytes};
    return ST_OK;
}

static void free_slot(void *p)
{
    block_rows_free(p);
}

static size_t chunks_bytes(const struct block_chunks *c)
{
    return sizeof *c + c->memory.used + atomic_load_explicit(&c->bytes, memory_order_relaxed);
}

static enum status load_chunks(
    struct block_unit *u, const struct block_unit *base, struct loaded *ret, struct error *err)
{
    struct block_chunks *c;
    (void)base;
    TRY(block_chunks_open(u->of, &u->of->sections[u->index], &c, err));
    *ret = (struct loaded){c, chunks_bytes(c)};
    return ST_OK;
}

static void free_chunks(void *p)
{
    block_chunks_free(p);
}

static const struct {
    enum status (*load)(
        struct block_unit *u, const struct block_unit *base, struct loaded *ret, struct error *err);
    void (*free)(void *loaded);
    bool on_base;
    uint32_t base; /* index into the dataset's units */
} forms[] = {
    [BLOCK_LABELS_FORM] = {load_dataset, free_dataset, false, 0},
    [BLOCK_STACKS_FORM] = {load_dataset, free_dataset, false, 0},
    [BLOCK_ROWS_FORM] = {load_slot, free_slot, true, UNIT_LABELS},
    [BLOCK_SAMPLES_FORM] = {load_slot, free_slot, true, UNIT_STACKS},
    [BLOCK_CHUNKS_FORM] = {load_chunks, free_chunks, false, 0},
};

struct part *block_unit_part(const struct block_unit *u)
{
    ASSERT(u->loaded && u->form != BLOCK_CHUNKS_FORM);
    return forms[u->form].on_base ? &((struct block_rows *)u->loaded)->part
                                  : &((struct dataset *)u->loaded)->part;
}

/* Dropping */

enum { AT_ONCE = 64 };

/* What left the cache, to be freed outside of its lock. */
struct dropped {
    uint32_t n;
    struct {
        void *loaded;
        void (*free)(void *loaded);
        struct block_unit *base;
        struct block *block;
    } v[AT_ONCE];
};

/* Under the lock: takes out what is not in use, of block `of`, or the oldest until the bound is
 * kept. `loaded` moves out here, so that the unit can be loaded again at once. */
static void take_unused(struct block_cache *c, const struct block *of, struct dropped *out)
{
    out->n = 0;
    for (struct block_unit *u = c->oldest, *newer; u && out->n < AT_ONCE; u = newer) {
        newer = u->newer;
        if (u->users || (of ? u->of->block != of : c->bytes <= c->bytes_max))
            continue;
        list_remove(c, u);
        c->bytes -= u->bytes;
        out->v[out->n].loaded = u->loaded;
        out->v[out->n].free = forms[u->form].free;
        out->v[out->n].base = u->base;
        out->v[out->n++].block = u->of->block;
        u->loaded = NULL;
        u->base = NULL;
    }
    metric_set(M_CACHE_BYTES, (double)c->bytes);
}

/* What something stood on may have become unused by that. */
static bool let_go(struct block_cache *c, struct dropped *out)
{
    bool again = out->n == AT_ONCE;
    for (uint32_t i = 0; i < out->n; i++) {
        out->v[i].free(out->v[i].loaded);
        if (!out->v[i].base)
            continue;
        mutex_lock(&c->lock);
        ASSERT(out->v[i].base->users > 0);
        again |= --out->v[i].base->users == 0;
        mutex_unlock(&c->lock);
    }
    for (uint32_t i = 0; i < out->n; i++)
        block_unref(out->v[i].block);
    return again;
}

static void drop(struct block_cache *c, const struct block *of)
{
    struct dropped out;
    do {
        mutex_lock(&c->lock);
        take_unused(c, of, &out);
        mutex_unlock(&c->lock);
    } while (let_go(c, &out));
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

/* Taking */

/* Under the cache's lock. */
static bool use_if_loaded(struct block_cache *c, struct block_unit *u)
{
    if (!u->loaded)
        return false;
    u->users++;
    list_remove(c, u);
    list_push(c, u);
    return true;
}

/* Damage stays; what the disk could not read may come back. */
static void set_aside(struct block_dataset *bd, const struct error *err)
{
    bool retry = err->os_errno && err->os_errno != ENOENT;
    int64_t until = retry ? clock_mono_ns() + BLOCK_RETRY_NS : INT64_MAX;
    if (atomic_exchange(&bd->aside_until_ns, until) == 0)
        metric_add(M_BLOCKS_BAD, 1);
    LOG_ERROR("damaged block, the service's data of that time is set aside", "for_s=%lld err=%s",
        retry ? BLOCK_RETRY_NS / NS_PER_S : -1LL, LOG_STR(error_str(err)));
}

static void back_again(struct block_dataset *bd)
{
    if (atomic_exchange(&bd->aside_until_ns, 0) == 0)
        return;
    metric_add(M_BLOCKS_BAD, -1);
    LOG_INFO("block can be read again", "path=%s", LOG_STR(str_from(bd->block->path)));
}

/* Takes over the use of `base`. */
static enum status load_unit(
    struct block_cache *c, struct block_unit *u, struct block_unit *base, struct error *err)
{
    struct block_dataset *bd = u->of;
    struct error mine;
    struct loaded loaded;
    enum status st = forms[u->form].load(u, base, &loaded, err ? err : &mine);
    if (st == ST_DATA_LOSS)
        set_aside(bd, err ? err : &mine);
    TRY(st);
    back_again(bd);
    mutex_lock_next(&c->lock);
    u->loaded = loaded.p;
    u->bytes = loaded.bytes;
    u->base = base;
    u->users = 1;
    c->bytes += u->bytes;
    list_push(c, u);
    block_ref(bd->block);
    mutex_unlock(&c->lock);
    return ST_OK;
}

/* One thread loads, the others find it loaded. *ret_taken: the base is in use by the unit now. */
static enum status load_or_wait(struct block_cache *c, struct block_unit *u,
    struct block_unit *base, bool *ret_taken, struct error *err)
{
    mutex_lock(&u->of->lock);
    mutex_lock_next(&c->lock);
    bool loaded = use_if_loaded(c, u);
    mutex_unlock(&c->lock);
    enum status st = loaded ? ST_OK : load_unit(c, u, base, err);
    *ret_taken = !loaded && st == ST_OK;
    mutex_unlock(&u->of->lock);
    return st;
}

static enum status acquire(struct block_cache *c, struct block_unit *u, struct error *err)
{
    struct block_unit *base = NULL;
    bool taken = false;
    mutex_lock(&c->lock);
    bool loaded = use_if_loaded(c, u);
    mutex_unlock(&c->lock);
    if (loaded)
        return ST_OK;
    if (forms[u->form].on_base) {
        base = &u->of->units[forms[u->form].base];
        TRY(block_cache_acquire(c, base, err));
    }
    enum status st = load_or_wait(c, u, base, &taken, err);
    if (base && !taken)
        block_cache_release(c, base);
    return st;
}

/* Calls itself once: what a slot stands on stands on nothing. */
enum status block_cache_acquire(struct block_cache *c, struct block_unit *u, struct error *err)
{
    int64_t aside = atomic_load(&u->of->aside_until_ns);
    if (aside == INT64_MAX || (aside && clock_mono_ns() < aside))
        FAIL(err, ST_DATA_LOSS, "block %s is damaged", u->of->block->path);
    TRY(acquire(c, u, err));
    drop(c, NULL);
    return ST_OK;
}

/* Chunks that were loaded meanwhile count from now on. Under the lock. */
static void account(struct block_cache *c, struct block_unit *u)
{
    if (u->form != BLOCK_CHUNKS_FORM)
        return;
    size_t now = chunks_bytes(u->loaded);
    c->bytes += now - u->bytes;
    u->bytes = now;
}

void block_cache_release(struct block_cache *c, struct block_unit *u)
{
    mutex_lock(&c->lock);
    ASSERT(u->users > 0);
    account(c, u);
    bool last = --u->users == 0, over = last && c->bytes > c->bytes_max;
    struct block *retired = last && atomic_load(&u->of->block->retired) ? block_ref(u->of->block)
                                                                        : NULL;
    mutex_unlock(&c->lock);
    if (over)
        drop(c, NULL);
    if (retired)
        drop(c, retired);
    block_unref(retired);
}
