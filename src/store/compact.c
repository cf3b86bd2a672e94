/* One merge, from the plan to the last trace of its sources.
 *
 *     plan ─► new block, synced ─► marker "n: this block, replaces those", synced ─► one swap of
 * the view ─► the sources' own markers say "retired" ─► their files go with their last reference
 *
 * The marker is the switch: one durable write that lists the block and what it replaces. A crash
 * before it: the sources are there, the block is removed at start. After it: what the marker
 * replaces counts as retired, whatever its own marker says. See recover_merged.c.
 *
 * 1. A view sees the sources or the block, never both and never neither.
 * 2. The number of a merge comes from the same counter as epochs: a marker's number is used once.
 * 3. Sources stay until the merge is over: retention leaves them alone (s->merging). So a block
 *    without its marker either has all its sources beside it, or its marker was durable once.
 * 4. Whether a marker whose write failed is on the disk is not known. Until it is certainly gone,
 *    and the block with it, nothing is merged or retired (compact_undo).
 *
 * Merging itself runs without locks but the compaction's own; cut_lock is held to choose and to
 * swap. A source that turns out to be damaged is not taken again while the process runs; after
 * another failure that would repeat itself the sources rest for an hour. */
#include "store/compact_int.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

#define REST_NS (3600 * NS_PER_S)
#define SPACE_MAX ((uint64_t)GIB)
enum { SPACE_FRACTION = 50, MERGE_LEAST = 8 << 20, MERGE_MOST = 256 << 20 };

struct merge {
    struct store *s;
    struct arena arena;
    struct block **all; /* references to what is served */
    uint32_t n_all;
    struct block **sources;
    struct compact_job job;
    struct block **digested;
    uint32_t n_digested;
    uint64_t epoch, bytes_in;
    struct block_file file;
    struct block *made;
    struct error *err;
};

void compact_init(struct store *s)
{
    s->compaction = NEW(struct compaction);
    mutex_init(&s->compaction->lock, "store.compact", RANK_COMPACT);
    s->compaction->merge_bytes = MAX(MIN(s->cfg.head_bytes_max / 8, MERGE_MOST), MERGE_LEAST);
}

void compact_done(struct store *s)
{
    struct compaction *c = s->compaction;
    mem_free(c->resting);
    mem_free(c->unfinished);
    mutex_done(&c->lock);
    mem_free(c);
    s->compaction = NULL;
}

/* Resting */

static void let_rest(struct compaction *c, const struct block *b, int64_t until_mono_ns)
{
    c->resting = mem_grow(c->resting, (c->n_resting + 1) * sizeof *c->resting);
    ASSERT(c->resting);
    struct resting *r = &c->resting[c->n_resting++];
    r->until_mono_ns = until_mono_ns;
    memcpy(r->path, b->path, sizeof r->path);
}

static void wake_rested(struct compaction *c, int64_t now_mono_ns)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->n_resting; i++)
        if (c->resting[i].until_mono_ns > now_mono_ns)
            c->resting[kept++] = c->resting[i];
    c->n_resting = kept;
}

static bool is_unfit(const struct compaction *c, const struct block *b, int64_t now_mono_ns)
{
    for (uint32_t i = 0; i < b->n_datasets; i++)
        if (atomic_load(&b->datasets[i].aside_until_ns) > now_mono_ns)
            return true;
    for (uint32_t i = 0; i < c->n_resting; i++)
        if (strcmp(c->resting[i].path, b->path) == 0)
            return true;
    return false;
}

/* Choosing. Under cut_lock. */

static void take_all(struct merge *m)
{
    struct store *s = m->s;
    mutex_lock(&s->view_lock);
    m->n_all = s->n_blocks;
    m->all = mem_new((m->n_all + 1) * sizeof *m->all);
    for (uint32_t i = 0; i < m->n_all; i++)
        m->all[i] = block_ref(s->blocks[i]);
    mutex_unlock(&s->view_lock);
}

/* What the block that is to be made sums up in a digest: of each week of a tenant one block does,
 * of the week before. */
static bool find_digested(struct merge *m)
{
    const struct block *first = m->sources[0];
    int64_t from_ns;
    m->digested = ARENA_ARRAY(&m->arena, struct block *, m->n_all);
    if (!m->digested || !block_digest_range(m->job.level, m->job.start_ns, &from_ns))
        return m->digested != NULL;
    for (uint32_t i = 0; i < m->n_all; i++) {
        struct block *b = m->all[i];
        if (b->level == m->job.level && str_eq(b->tenant, first->tenant) &&
            b->start_ns >= from_ns && b->start_ns < m->job.start_ns)
            m->digested[m->n_digested++] = b;
    }
    return true;
}

/* ST_OK and no source: there is nothing to do. */
static enum status choose(struct merge *m, const struct compact_rules *rules)
{
    int64_t now = clock_mono_ns();
    TRY(compact_undo(m->s, m->err));
    take_all(m);
    wake_rested(m->s->compaction, now);
    struct compact_block *blocks = ARENA_ARRAY(&m->arena, struct compact_block, m->n_all + 1);
    m->sources = ARENA_ARRAY(&m->arena, struct block *, m->n_all + 1);
    if (!blocks || !m->sources)
        FAIL(m->err, ST_RESOURCE_EXHAUSTED, "out of memory while planning a merge");
    m->s->compaction->backlog_bytes = 0;
    for (uint32_t i = 0; i < m->n_all; i++) {
        const struct block *b = m->all[i];
        m->s->compaction->backlog_bytes += b->level == BLOCK_24H ? 0 : b->file_bytes;
        blocks[i] = (struct compact_block){b->tenant, b->level, b->start_ns, b->file_bytes,
            b->epoch, is_unfit(m->s->compaction, b, now)};
    }
    if (!compact_plan(blocks, m->n_all, rules, &m->arena, &m->job))
        return ST_OK;
    for (uint32_t i = 0; i < m->job.n_sources; i++) {
        m->sources[i] = m->all[m->job.sources[i]];
        m->bytes_in += m->sources[i]->file_bytes;
    }
    if (!find_digested(m))
        FAIL(m->err, ST_RESOURCE_EXHAUSTED, "out of memory while planning a merge");
    m->epoch = atomic_fetch_add(&m->s->next_epoch, 1);
    m->s->merging = m->sources;
    m->s->n_merging = m->job.n_sources;
    return ST_OK;
}

/* The result is at most about as large as its sources. */
static bool has_room(struct merge *m)
{
    struct store *s = m->s;
    uint64_t free_bytes = 0, total = 0;
    if (s->fs->space(s->fs, s->dir, &free_bytes, &total) != 0)
        return true;
    uint64_t spare = MIN(total / SPACE_FRACTION, SPACE_MAX);
    bool room = free_bytes >= spare && free_bytes - spare >= m->bytes_in;
    if (!room && !s->compaction->told_space)
        LOG_WARN("blocks are not merged until the disk has room", "need=%" PRIu64 " free=%" PRIu64,
            m->bytes_in + spare, free_bytes);
    s->compaction->told_space = !room;
    return room;
}

/* Undoing. Under cut_lock. */

void compact_note_unfinished(struct store *s, uint64_t epoch, const char *path)
{
    struct compaction *c = s->compaction;
    c->unfinished = mem_grow(c->unfinished, (c->n_unfinished + 1) * sizeof *c->unfinished);
    ASSERT(c->unfinished);
    struct unfinished *u = &c->unfinished[c->n_unfinished++];
    u->epoch = epoch;
    snprintf(u->path, sizeof u->path, "%s", path);
}

/* Unlinks and syncs the folder; also when there is nothing to unlink, for it may have been removed
 * before, without the sync. */
static int remove_durably(struct store *s, const char *path)
{
    char folder[4096];
    int e = s->fs->unlink(s->fs, path);
    if (e && e != ENOENT)
        return e;
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    e = s->fs->dir_sync(s->fs, folder);
    return e == ENOENT ? 0 : e;
}

/* The marker first: without it the block means nothing. */
static int undo_one(struct store *s, const struct unfinished *u)
{
    char path[4096], name[32];
    marker_name(name, u->epoch);
    snprintf(path, sizeof path, "%s/epochs/%s", s->dir, name);
    int e = remove_durably(s, path);
    if (!e) {
        snprintf(path, sizeof path, "%s/blocks/%s", s->dir, u->path);
        e = remove_durably(s, path);
    }
    if (!e)
        retire_leaving(s, str_from(u->path), 0);
    return e;
}

enum status compact_undo(struct store *s, struct error *err)
{
    struct compaction *c = s->compaction;
    while (c->n_unfinished) {
        int e = undo_one(s, &c->unfinished[c->n_unfinished - 1]);
        if (e)
            return error_set_errno(err, ST_UNAVAILABLE, e, __FILE__, __LINE__,
                "cannot remove what a merge left, %s", c->unfinished[c->n_unfinished - 1].path);
        c->n_unfinished--;
    }
    return ST_OK;
}

/* Merging */

static enum status make_block(struct merge *m, const struct compact_caller *caller)
{
    const struct block_merge rq = {
        .to = &m->s->target,
        .sources = m->sources,
        .n_sources = m->job.n_sources,
        .level = m->job.level,
        .start_ns = m->job.start_ns,
        .epoch = m->epoch,
        .memory = m->s->compaction->merge_bytes,
        .digested = m->digested,
        .n_digested = m->n_digested,
        .pause = caller->pause,
    };
    char dir[4096];
    TRY(block_merge(&rq, &m->file, m->err));
    snprintf(dir, sizeof dir, "%s/blocks", m->s->dir);
    TRY(block_open(m->s->fs, dir, m->file.path, &m->made, m->err));
    if (m->made->check != m->file.check || m->made->file_bytes != m->file.bytes)
        FAIL(m->err, ST_UNAVAILABLE, "block %s is not what was written", m->file.path);
    return ST_OK;
}

/* Under cut_lock: from here on the block counts and its sources do not. */
static enum status put_in_place(struct merge *m)
{
    struct store *s = m->s;
    struct error err;
    struct marker_entry entry = {
        .path = str_from(m->file.path), .bytes = m->file.bytes, .check = m->file.check};
    struct marker marker = {.epoch = m->epoch,
        .next_seq = atomic_load(&s->next_seq),
        .entries = &entry,
        .n = 1,
        .n_replaces = m->job.n_sources};
    marker.replaces = ARENA_ARRAY(&m->arena, struct str, m->job.n_sources);
    if (!marker.replaces)
        FAIL(m->err, ST_RESOURCE_EXHAUSTED, "out of memory for the marker of a merge");
    for (uint32_t i = 0; i < m->job.n_sources; i++)
        marker.replaces[i] = str_from(m->sources[i]->path);
    TRY(marker_write(&s->target, &marker, m->err));
    for (uint32_t i = 0; i < m->job.n_sources; i++)
        retire_remember(s, m->sources[i]->epoch, str_from(m->sources[i]->path));
    retire_out_of_view(s, m->sources, m->job.n_sources, m->made);
    m->made = NULL;
    if (retire_settle(s, &err) != ST_OK)
        LOG_WARN("markers of merged blocks are not written yet", "merge=%" PRIu64 " err=%s",
            m->epoch, LOG_STR(error_str(&err)));
    return ST_OK;
}

/* The file may be there although it failed: a rename that was not synced. */
static void give_up(struct merge *m)
{
    char path[BLOCK_PATH_MAX];
    if (block_path(
            &m->s->target, m->epoch, m->sources[0]->tenant, m->job.level, m->job.start_ns, path)) {
        compact_note_unfinished(m->s, m->epoch, path);
        (void)compact_undo(m->s, NULL); /* later, then */
    }
}

static void blame(struct merge *m, enum status st)
{
    struct compaction *c = m->s->compaction;
    int64_t now = clock_mono_ns();
    struct error err;
    uint32_t bad = 0;
    for (uint32_t i = 0; st == ST_DATA_LOSS && i < m->job.n_sources; i++)
        if (block_verify(m->sources[i], &err) == ST_DATA_LOSS) {
            LOG_ERROR("damaged block is not merged", "path=%s err=%s",
                LOG_STR(str_from(m->sources[i]->path)), LOG_STR(error_str(&err)));
            let_rest(c, m->sources[i], INT64_MAX);
            bad++;
        }
    for (uint32_t i = 0; !bad && st != ST_UNAVAILABLE && i < m->job.n_sources; i++)
        let_rest(c, m->sources[i], now + REST_NS);
}

static void report(struct merge *m, enum status st, int64_t begun)
{
    int64_t ns = clock_mono_ns() - begun;
    struct str level = str_from(block_levels[m->job.level].name);
    metric_add(M_COMPACTIONS, 1, level, st == ST_OK ? STR("ok") : STR("failed"));
    metric_observe(M_COMPACTION_SECONDS, (double)ns / 1e9, level);
    if (st != ST_OK)
        return;
    metric_add(M_COMPACTION_BYTES, (double)m->bytes_in, STR("in"));
    metric_add(M_COMPACTION_BYTES, (double)m->file.bytes, STR("out"));
    LOG_INFO("blocks merged",
        "path=%s sources=%u bytes_in=%" PRIu64 " bytes_out=%" PRIu64 " ms=%lld",
        LOG_STR(str_from(m->file.path)), m->job.n_sources, m->bytes_in, m->file.bytes,
        (long long)(ns / NS_PER_MS));
}

static enum status do_merge(struct merge *m, const struct compact_caller *caller)
{
    struct store *s = m->s;
    int64_t begun = clock_mono_ns();
    enum status st = make_block(m, caller);
    mutex_lock(&s->cut_lock);
    if (st == ST_OK)
        st = put_in_place(m);
    if (st != ST_OK)
        give_up(m);
    s->merging = NULL;
    s->n_merging = 0;
    mutex_unlock(&s->cut_lock);
    if (st != ST_OK)
        blame(m, st);
    report(m, st, begun);
    return st;
}

static void cancel(struct store *s)
{
    mutex_lock(&s->cut_lock);
    s->merging = NULL;
    s->n_merging = 0;
    mutex_unlock(&s->cut_lock);
}

static void tell(const struct merge *m, const struct compact_caller *caller)
{
    const struct store_compacted job = {m->sources[0]->tenant, block_levels[m->job.level].name,
        m->job.start_ns, m->job.n_sources, m->bytes_in, m->file.bytes};
    if (caller->done)
        caller->done(caller->done_ctx, &job);
}

enum status compact_next(struct store *s, const struct compact_rules *rules,
    const struct compact_caller *caller, bool *ret_any, struct error *err)
{
    struct merge m = {.s = s, .err = err};
    arena_init(&m.arena, GIB);
    mutex_lock(&s->cut_lock);
    enum status st = choose(&m, rules);
    mutex_unlock(&s->cut_lock);
    bool any = st == ST_OK && m.job.n_sources;
    if (any && !has_room(&m)) {
        cancel(s);
        any = false;
    }
    if (any)
        st = do_merge(&m, caller);
    if (any && st == ST_OK)
        tell(&m, caller);
    block_unref(m.made);
    for (uint32_t i = 0; i < m.n_all; i++)
        block_unref(m.all[i]);
    mem_free(m.all);
    arena_done(&m.arena);
    *ret_any = any;
    return st;
}
