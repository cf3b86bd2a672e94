/* Opening, closing, views: see store.h. Appending is append.c, the disk commit.c, reading back
 * replay.c. */
#include "store/compact_int.h"

#include <errno.h>
#include <inttypes.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

static void locks_init(struct store *s)
{
    gate_init(&s->gate);
    mutex_init(&s->cut_lock, "store.cut", RANK_CUT);
    mutex_init(&s->wake_lock, "store.wake", RANK_QUEUE);
    cond_init(&s->wake);
    mutex_init(&s->queue_lock, "store.queue", RANK_QUEUE);
    mutex_init(&s->hours_lock, "store.hours", RANK_QUEUE);
    mutex_init(&s->view_lock, "store.view", RANK_VIEW);
    cond_init(&s->queue_wake);
    s->queue_tail = &s->queue_head;
    s->waiting_tail = &s->waiting_head;
}

static void store_free(struct store *s)
{
    block_cache_done(&s->cache);
    name_pool_done(&s->names);
    compact_done(s);
    for (uint32_t i = 0; i < s->n_blocks; i++)
        block_unref(s->blocks[i]);
    mem_free(s->blocks);
    mem_free(s->done_epochs);
    for (uint32_t i = 0; i < s->n_epochs; i++)
        epoch_unref(s->epochs[i]);
    mem_free(s->epochs);
    mem_free(s->unmarked);
    mem_free(s->broken);
    mem_free(s->leaving);
    mem_free(s->usage_shown);
    epoch_unref(s->epoch);
    wal_done(&s->wal);
    datadir_close(s);
    cond_done(&s->queue_wake);
    cond_done(&s->wake);
    mutex_done(&s->wake_lock);
    mutex_done(&s->cut_lock);
    mutex_done(&s->view_lock);
    mutex_done(&s->hours_lock);
    mutex_done(&s->queue_lock);
    gate_done(&s->gate);
    mem_free(s);
}

static enum status open_log(struct store *s, struct error *err)
{
    char wal_dir[WAL_PATH_MAX];
    TRY(recover_markers(s, err));
    TRY(replay_all(s, &s->replayed_epoch, &s->replayed_batch, err));
    TRY(recover_blocks(s, err));
    ASSERT(fs_path(wal_dir, sizeof wal_dir, s->dir, "wal"));
    wal_init(&s->wal, s->fs, wal_dir, s->id);
    s->epoch = epoch_new(atomic_fetch_add(&s->next_epoch, 1));
    store_epochs_add(s, epoch_ref(s->epoch));
    int e = commit_log_begin(s, s->epoch, s->replayed_epoch, s->replayed_batch);
    if (e && e != ENOSPC && e != EDQUOT)
        return error_set_errno(err, ST_UNAVAILABLE, e, __FILE__, __LINE__,
            "cannot write the write-ahead log in %s", wal_dir);
    s->writable = e == 0;
    if (e) { /* what there is can be asked for; the committer goes on trying */
        snprintf(s->why_not, sizeof s->why_not, "the write-ahead log cannot be written: %s",
            strerror(e));
        LOG_ERROR("the disk is full: uploads are refused until there is room", "dir=%s",
            LOG_STR(str_from(wal_dir)));
    }
    return ST_OK;
}

static enum status start_threads(struct store *s, struct error *err)
{
    TRY(commit_start(s, err));
    enum status st = s->cfg.no_maintenance ? ST_OK : maintain_start(s, err);
    if (st == ST_OK && !s->cfg.no_maintenance && !s->cfg.no_compaction)
        st = compactor_start(s, err);
    if (st != ST_OK) {
        maintain_stop(s);
        commit_stop(s);
    }
    return st;
}

enum status store_open(const struct store_config *cfg, struct store **ret_store, struct error *err)
{
    struct store *s = NEW(struct store);
    s->cfg = *cfg;
    s->fs = cfg->fs;
    if (s->cfg.log_retry_ns == 0)
        s->cfg.log_retry_ns = NS_PER_S;
    if (s->cfg.cache_bytes_max == 0)
        s->cfg.cache_bytes_max = s->cfg.head_bytes_max / 16;
    s->sweep = true;
    s->hours_closed = s->cfg.no_maintenance;
    locks_init(s);
    compact_init(s);
    block_cache_init(&s->cache, s->cfg.cache_bytes_max);
    name_pool_init(&s->names, NAME_POOL_BYTES);
    enum status st = datadir_open(s, err);
    s->target = (struct block_target){s->fs, s->dir, s->id};
    if (st == ST_OK)
        st = open_log(s, err);
    if (st == ST_OK)
        st = start_threads(s, err);
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
    compactor_stop(s);
    maintain_stop(s);
    if (s->cfg.cut_on_close) {
        struct error err;
        if (store_cut(s, "stop", &err) != ST_OK)
            LOG_WARN(
                "not everything is in blocks, the log has it", "err=%s", LOG_STR(error_str(&err)));
    }
    commit_stop(s);
    store_free(s);
}

void store_epochs_add_locked(struct store *s, struct epoch *ep)
{
    if (s->n_epochs == s->cap_epochs) {
        s->cap_epochs = s->cap_epochs ? s->cap_epochs * 2 : 16;
        s->epochs = mem_grow(s->epochs, s->cap_epochs * sizeof *s->epochs);
        ASSERT(s->epochs);
    }
    s->epochs[s->n_epochs++] = ep;
}

void store_epochs_add(struct store *s, struct epoch *ep)
{
    mutex_lock(&s->view_lock);
    store_epochs_add_locked(s, ep);
    mutex_unlock(&s->view_lock);
}

struct epoch **store_epochs_hold(struct store *s, struct arena *arena, uint32_t *ret_n)
{
    mutex_lock(&s->view_lock);
    struct epoch **v = ARENA_ARRAY(arena, struct epoch *, s->n_epochs);
    uint32_t n = v ? s->n_epochs : 0;
    for (uint32_t i = 0; i < n; i++)
        v[i] = epoch_ref(s->epochs[i]);
    mutex_unlock(&s->view_lock);
    *ret_n = n;
    return v;
}

void store_epochs_release(struct epoch **v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        epoch_unref(v[i]);
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

/* Views: references to everything that was served at one moment, and the parts that fit the
 * question. Head parts are used in place; of blocks, the labels of each fitting dataset are loaded
 * and kept. */

struct view {
    struct store_view pub; /* first */
    struct epoch **epochs;
    struct block **blocks;
    uint32_t n_epochs, n_blocks, cap_parts;
};

struct question {
    struct str tenant, service;
    int64_t from_ns, until_ns;
};

static bool in_time(const struct question *q, int64_t time_min, int64_t time_max)
{
    return time_min < q->until_ns && time_max >= q->from_ns;
}

static bool fits(const struct question *q, struct str tenant, struct str service)
{
    return str_eq(tenant, q->tenant) && (q->service.n == 0 || str_eq(service, q->service));
}

static void add_part(struct view *v, const struct part *p)
{
    if (v->pub.n == v->cap_parts) {
        v->cap_parts = v->cap_parts ? v->cap_parts * 2 : 16;
        v->pub.parts = mem_grow(v->pub.parts, v->cap_parts * sizeof *v->pub.parts);
        ASSERT(v->pub.parts);
    }
    v->pub.parts[v->pub.n++] = p;
}

static void add_epoch(struct view *v, const struct epoch *ep, const struct question *q)
{
    uint32_t n = atomic_load_explicit(&ep->n_datasets, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++) {
        const struct part *p = &epoch_dataset(ep, i)->part;
        if (part_rows(p) && fits(q, p->tenant, p->service) &&
            in_time(q, atomic_load_explicit(&p->time_min, memory_order_relaxed),
                atomic_load_explicit(&p->time_max, memory_order_relaxed)))
            add_part(v, p);
    }
}

static bool any_slot_in_time(const struct question *q, const struct block_dataset *bd)
{
    for (uint32_t i = 0; i < bd->n_slots; i++)
        if (in_time(q, bd->slots[i].time_min, bd->slots[i].time_max))
            return true;
    return false;
}

static enum status add_block(
    struct store *s, struct view *v, struct block *b, const struct question *q, struct error *err)
{
    if (!str_eq(b->tenant, q->tenant) || !in_time(q, b->time_min, b->time_max))
        return ST_OK;
    for (uint32_t i = 0; i < b->n_datasets; i++) {
        struct block_dataset *bd = &b->datasets[i];
        struct block_unit *labels = &bd->units[UNIT_LABELS];
        if (!fits(q, b->tenant, bd->service) || !any_slot_in_time(q, bd))
            continue;
        enum status st = block_cache_acquire(&s->cache, labels, err);
        if (st == ST_DATA_LOSS)
            continue;
        TRY(st);
        add_part(v, block_unit_part(labels));
    }
    return ST_OK;
}

static struct view *view_of_all(struct store *s)
{
    struct view *v = NEW(struct view);
    atomic_fetch_add(&s->views, 1);
    mutex_lock(&s->view_lock);
    v->n_epochs = s->n_epochs;
    v->n_blocks = s->n_blocks;
    v->epochs = mem_new((v->n_epochs + 1) * sizeof *v->epochs);
    v->blocks = mem_new((v->n_blocks + 1) * sizeof *v->blocks);
    for (uint32_t i = 0; i < v->n_epochs; i++)
        v->epochs[i] = epoch_ref(s->epochs[i]);
    for (uint32_t i = 0; i < v->n_blocks; i++)
        v->blocks[i] = block_ref(s->blocks[i]);
    mutex_unlock(&s->view_lock);
    return v;
}

enum status store_view_acquire(struct store *s, struct str tenant, struct str service,
    int64_t from_ns, int64_t until_ns, const struct store_view **ret_view, struct error *err)
{
    const struct question q = {tenant, service, from_ns, until_ns};
    struct view *v = view_of_all(s);
    enum status st = ST_OK;
    for (uint32_t i = 0; i < v->n_epochs; i++)
        add_epoch(v, v->epochs[i], &q);
    for (uint32_t i = 0; i < v->n_blocks && st == ST_OK; i++)
        st = add_block(s, v, v->blocks[i], &q, err);
    if (st != ST_OK) {
        store_view_release(s, &v->pub);
        return st;
    }
    *ret_view = &v->pub;
    return ST_OK;
}

void store_view_release(struct store *s, const struct store_view *pub)
{
    struct view *v = (struct view *)(uintptr_t)pub;
    if (!v)
        return;
    for (uint32_t i = 0; i < v->pub.n; i++)
        store_part_leave(s, v->pub.parts[i]);
    atomic_fetch_sub(&s->views, 1);
    for (uint32_t i = 0; i < v->n_epochs; i++)
        epoch_unref(v->epochs[i]);
    for (uint32_t i = 0; i < v->n_blocks; i++)
        block_unref(v->blocks[i]);
    mem_free(v->epochs);
    mem_free(v->blocks);
    mem_free(v->pub.parts);
    mem_free(v);
}

void store_bounds(
    struct store *s, struct str tenant, int64_t *ret_oldest_ns, int64_t *ret_newest_ns)
{
    const struct question q = {tenant, STR_EMPTY, INT64_MIN, INT64_MAX};
    struct view *v = view_of_all(s);
    int64_t oldest = INT64_MAX, newest = INT64_MIN;
    for (uint32_t i = 0; i < v->n_epochs; i++)
        add_epoch(v, v->epochs[i], &q);
    for (uint32_t i = 0; i < v->pub.n; i++) {
        const struct part_slot all = part_slot(v->pub.parts[i], 0);
        oldest = MIN(oldest, all.time_min);
        newest = MAX(newest, all.time_max);
    }
    for (uint32_t i = 0; i < v->n_blocks; i++)
        if (str_eq(v->blocks[i]->tenant, tenant)) {
            oldest = MIN(oldest, v->blocks[i]->time_min);
            newest = MAX(newest, v->blocks[i]->time_max);
        }
    store_view_release(s, &v->pub);
    *ret_oldest_ns = oldest;
    *ret_newest_ns = newest;
}

static enum status enter_unit(
    struct store *s, struct block_unit *u, const struct part **ret_part, struct error *err)
{
    *ret_part = NULL;
    enum status st = block_cache_acquire(&s->cache, u, err);
    if (st == ST_DATA_LOSS)
        return ST_OK;
    TRY(st);
    *ret_part = block_unit_part(u);
    return ST_OK;
}

enum status store_part_enter(
    struct store *s, const struct part *part, const struct part **ret_part, struct error *err)
{
    struct block_unit *labels = part->origin;
    if (labels)
        return enter_unit(s, &labels->of->units[UNIT_STACKS], ret_part, err);
    *ret_part = part;
    return ST_OK;
}

enum status store_slot_enter(struct store *s, const struct part *part, uint32_t slot,
    enum store_rows what, const struct part **ret_rows, struct error *err)
{
    struct block_unit *labels = part->origin;
    if (labels)
        return enter_unit(s,
            what == STORE_TOTALS ? block_unit_rows(labels->of, slot)
                                 : block_unit_samples(labels->of, slot),
            ret_rows, err);
    *ret_rows = part;
    return ST_OK;
}

void store_part_leave(struct store *s, const struct part *part)
{
    if (part && part->origin)
        block_cache_release(&s->cache, part->origin);
}
