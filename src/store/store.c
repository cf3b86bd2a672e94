/* Opening, closing, views: see store.h. Appending is append.c, the disk commit.c, reading back
 * replay.c. */
#include "store/store_int.h"

#include <inttypes.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

static void locks_init(struct store *s)
{
    gate_init(&s->gate);
    mutex_init(&s->queue_lock, "store.queue", RANK_QUEUE);
    mutex_init(&s->view_lock, "store.view", RANK_VIEW);
    cond_init(&s->queue_wake);
    s->queue_tail = &s->queue_head;
}

static void store_free(struct store *s)
{
    for (uint32_t i = 0; i < s->n_epochs; i++)
        epoch_unref(s->epochs[i]);
    epoch_unref(s->epoch);
    wal_done(&s->wal);
    datadir_close(s);
    cond_done(&s->queue_wake);
    mutex_done(&s->view_lock);
    mutex_done(&s->queue_lock);
    gate_done(&s->gate);
    mem_free(s);
}

static enum status open_log(struct store *s, struct error *err)
{
    char wal_dir[WAL_PATH_MAX];
    uint64_t last_epoch, last_batch;
    TRY(replay_all(s, &last_epoch, &last_batch, err));
    ASSERT(fs_path(wal_dir, sizeof wal_dir, s->dir, "wal"));
    wal_init(&s->wal, s->fs, wal_dir, s->id);
    s->epoch = epoch_new(atomic_fetch_add(&s->next_epoch, 1));
    store_epochs_add(s, epoch_ref(s->epoch));
    int e = commit_log_begin(s, s->epoch, last_epoch, last_batch);
    if (e)
        return error_set_errno(err, ST_UNAVAILABLE, e, __FILE__, __LINE__,
            "cannot write the write-ahead log in %s", wal_dir);
    s->writable = true;
    return ST_OK;
}

enum status store_open(const struct store_config *cfg, struct store **ret_store, struct error *err)
{
    struct store *s = NEW(struct store);
    s->cfg = *cfg;
    s->fs = cfg->fs;
    if (s->cfg.log_retry_ns == 0)
        s->cfg.log_retry_ns = NS_PER_S;
    locks_init(s);
    enum status st = datadir_open(s, err);
    if (st == ST_OK)
        st = open_log(s, err);
    if (st == ST_OK)
        st = commit_start(s, err);
    if (st != ST_OK) {
        store_free(s);
        return st;
    }
    *ret_store = s;
    return ST_OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    commit_stop(s);
    store_free(s);
}

void store_epochs_add(struct store *s, struct epoch *ep)
{
    mutex_lock(&s->view_lock);
    ASSERT(s->n_epochs < STORE_EPOCHS_MAX);
    s->epochs[s->n_epochs++] = ep;
    mutex_unlock(&s->view_lock);
}

size_t store_head_bytes(struct store *s)
{
    size_t bytes = 0;
    mutex_lock_next(&s->view_lock);
    for (uint32_t i = 0; i < s->n_epochs; i++)
        bytes += atomic_load(&s->epochs[i]->bytes);
    mutex_unlock(&s->view_lock);
    return bytes;
}

void store_seal(struct store *s)
{
    epoch_unref(commit_switch(s, NULL));
}

bool store_writable(struct store *s, struct str *ret_why, struct arena *arena)
{
    gate_enter(&s->gate);
    bool writable = s->writable;
    *ret_why = writable ? STR_EMPTY : arena_str(arena, str_from(s->why_not));
    gate_leave(&s->gate);
    return writable;
}

void store_profile_id(struct store *s, uint64_t seq, char out[37])
{
    uint8_t id[16];
    uint64_t halves[2];
    memcpy(halves, s->id, sizeof halves);
    halves[0] = hash_disk((const uint64_t[]){halves[0], halves[1], seq, 1}, 32);
    halves[1] = hash_disk((const uint64_t[]){halves[0], halves[1], seq, 2}, 32);
    memcpy(id, halves, sizeof id);
    id[6] = (uint8_t)((id[6] & 0x0F) | 0x80); /* version 8: vendor specific */
    id[8] = (uint8_t)((id[8] & 0x3F) | 0x80);
    for (size_t i = 0, at = 0; i < sizeof id; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        at += (size_t)snprintf(out + at, 3, "%02x", id[i]);
    }
}

/* Views */

struct view {
    struct store_view pub; /* first */
    struct epoch **epochs;
    uint32_t n_epochs;
};

static bool overlaps(const struct part *p, struct str tenant, int64_t from_ns, int64_t until_ns)
{
    if (part_rows(p) == 0 || !str_eq(p->tenant, tenant))
        return false;
    return atomic_load_explicit(&p->time_min, memory_order_relaxed) < until_ns &&
           atomic_load_explicit(&p->time_max, memory_order_relaxed) >= from_ns;
}

static void add_parts(struct view *v, const struct epoch *ep, uint32_t *cap, struct str tenant,
    int64_t from_ns, int64_t until_ns)
{
    uint32_t n = atomic_load_explicit(&ep->n_datasets, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++) {
        struct part *p = &epoch_dataset(ep, i)->part;
        if (!overlaps(p, tenant, from_ns, until_ns))
            continue;
        if (v->pub.n == *cap) {
            *cap = *cap ? *cap * 2 : 16;
            v->pub.parts = mem_grow(v->pub.parts, *cap * sizeof *v->pub.parts);
            ASSERT(v->pub.parts);
        }
        v->pub.parts[v->pub.n++] = p;
    }
}

const struct store_view *store_view_acquire(
    struct store *s, struct str tenant, int64_t from_ns, int64_t until_ns)
{
    struct view *v = NEW(struct view);
    uint32_t cap = 0;
    mutex_lock(&s->view_lock);
    v->n_epochs = s->n_epochs;
    v->epochs = mem_new((v->n_epochs + 1) * sizeof *v->epochs);
    for (uint32_t i = 0; i < v->n_epochs; i++)
        v->epochs[i] = epoch_ref(s->epochs[i]);
    mutex_unlock(&s->view_lock);
    for (uint32_t i = 0; i < v->n_epochs; i++)
        add_parts(v, v->epochs[i], &cap, tenant, from_ns, until_ns);
    return &v->pub;
}

void store_view_release(struct store *s, const struct store_view *pub)
{
    struct view *v = (struct view *)(uintptr_t)pub;
    (void)s;
    if (!v)
        return;
    for (uint32_t i = 0; i < v->n_epochs; i++)
        epoch_unref(v->epochs[i]);
    mem_free(v->epochs);
    mem_free(v->pub.parts);
    mem_free(v);
}

/* A tenant may be in several epochs: fn sees it once per dataset that is the first of its tenant in
 * its epoch and not in an older one. Few tenants and epochs: a plain search. */
static bool seen_before(const struct view *v, uint32_t epoch, uint32_t dataset, struct str tenant)
{
    for (uint32_t e = 0; e <= epoch; e++) {
        uint32_t n = e == epoch ? dataset : atomic_load(&v->epochs[e]->n_datasets);
        for (uint32_t i = 0; i < n; i++)
            if (str_eq(epoch_dataset(v->epochs[e], i)->part.tenant, tenant))
                return true;
    }
    return false;
}

void store_tenants(struct store *s, void (*fn)(void *ctx, struct str tenant), void *ctx)
{
    const struct store_view *pub = store_view_acquire(s, STR_EMPTY, 0, 0);
    const struct view *v = (const struct view *)pub;
    for (uint32_t e = 0; e < v->n_epochs; e++) {
        uint32_t n = atomic_load_explicit(&v->epochs[e]->n_datasets, memory_order_acquire);
        for (uint32_t i = 0; i < n; i++) {
            const struct part *p = &epoch_dataset(v->epochs[e], i)->part;
            if (part_rows(p) && !seen_before(v, e, i, p->tenant))
                fn(ctx, p->tenant);
        }
    }
    store_view_release(s, pub);
}
