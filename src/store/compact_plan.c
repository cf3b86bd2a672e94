/* Which blocks to join next. Pure: blocks and the time in, one job out.
 *
 * Looked at one tenant's UTC day at a time, the first rule that applies:
 *
 *   the day is over (1 h ago)       all its blocks        ─► one block of 24 h
 *   a sixth hour is over (½ h ago)  its blocks            ─► one block of 6 h
 *   an hour has more than 8 blocks  those                 ─► one block of 1 h
 *
 * Late data of a range that has its large block already waits until it is larger than a quarter of
 * that, or a day old: so each byte of a large block is rewritten a few times and not once per late
 * upload. "A day old" is known by the number of the epoch; what was there at start counts as old.
 *
 * One block alone is rewritten only as the 24 h block of its day, never to its own level. So every
 * job makes the blocks fewer or raises one that stays alone, and jobs come to an end.
 *
 * Of all jobs that are due the smallest level goes first, then the oldest range: small joins are
 * quick and take the most blocks away. Blocks that touch the far ends of time are left alone: their
 * ranges are not whole. */
#include "store/compact_int.h"

#include <stdlib.h>

struct item {
    const struct compact_block *block;
    int64_t day_ns;
};

/* What a range of one level has. */
struct census {
    uint32_t n_small, n_large; /* below the level, and of it */
    uint64_t small_bytes, large_bytes;
    bool old; /* something small is */
};

struct candidate {
    bool any;
    enum block_level level;
    int64_t start_ns;
    const struct item *day; /* the items of its day */
    uint32_t n_day;
};

static bool at_the_edge(int64_t day_ns)
{
    int64_t span = block_levels[BLOCK_24H].span_ns;
    return day_ns < INT64_MIN + span || day_ns > INT64_MAX - 2 * span;
}

static int cmp_items(const void *pa, const void *pb)
{
    const struct item *a = pa, *b = pb;
    const struct compact_block *x = a->block, *y = b->block;
    int c = str_cmp(x->tenant, y->tenant);
    if (c)
        return c;
    if (a->day_ns != b->day_ns)
        return a->day_ns < b->day_ns ? -1 : 1;
    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    if (x->start_ns != y->start_ns)
        return x->start_ns < y->start_ns ? -1 : 1;
    return (x->epoch > y->epoch) - (x->epoch < y->epoch);
}

static bool is_within(const struct compact_block *b, enum block_level level, int64_t start_ns)
{
    return b->level <= level && block_range_start(level, b->start_ns) == start_ns;
}

static struct census count(const struct candidate *c, const struct compact_rules *rules)
{
    struct census out = {0};
    for (uint32_t i = 0; i < c->n_day; i++) {
        const struct compact_block *b = c->day[i].block;
        if (!is_within(b, c->level, c->start_ns))
            continue;
        bool large = b->level == c->level;
        *(large ? &out.n_large : &out.n_small) += 1;
        *(large ? &out.large_bytes : &out.small_bytes) += b->bytes;
        out.old |= !large && b->epoch <= rules->old_epoch;
    }
    return out;
}

static bool is_over(const struct candidate *c, const struct compact_rules *rules)
{
    static const int64_t grace[BLOCK_LEVELS] = {
        [BLOCK_6H] = COMPACT_GRACE_6H_NS, [BLOCK_24H] = COMPACT_GRACE_24H_NS};
    return rules->now_ns >= c->start_ns + block_levels[c->level].span_ns + grace[c->level];
}

static bool is_due(const struct candidate *c, const struct compact_rules *rules)
{
    struct census n = count(c, rules);
    uint32_t all = n.n_small + n.n_large;
    if (rules->force)
        return all > 1 || n.n_small == 1;
    if (c->level == BLOCK_1H)
        return n.n_large > COMPACT_HOUR_BLOCKS;
    if (!is_over(c, rules))
        return false;
    if (n.n_large == 0)
        return n.n_small > 1 || (n.n_small == 1 && c->level == BLOCK_24H);
    return n.n_large > 1 ||
           (n.n_small && (n.old || n.small_bytes > n.large_bytes / COMPACT_LATE_FRACTION));
}

/* The better of two that are due. */
static void offer(struct candidate *best, const struct candidate *c)
{
    if (!best->any || c->level < best->level ||
        (c->level == best->level && c->start_ns < best->start_ns)) {
        *best = *c;
        best->any = true;
    }
}

static void look_at_hours(
    struct candidate *best, const struct candidate *quarter, const struct compact_rules *rules)
{
    struct candidate hour = *quarter;
    hour.level = BLOCK_1H;
    for (int i = 0; i < 6; i++, hour.start_ns += block_levels[BLOCK_1H].span_ns)
        if (is_due(&hour, rules))
            offer(best, &hour);
}

static void look_at_day(
    struct candidate *best, const struct item *day, uint32_t n, const struct compact_rules *rules)
{
    struct candidate whole = {.level = BLOCK_24H, .start_ns = day->day_ns, .day = day, .n_day = n};
    if (is_due(&whole, rules)) {
        offer(best, &whole);
        return;
    }
    if (rules->force)
        return;
    bool waits = count(&whole, rules).n_large > 0; /* what is small is late */
    struct candidate quarter = whole;
    quarter.level = BLOCK_6H;
    for (int i = 0; i < 4; i++, quarter.start_ns += block_levels[BLOCK_6H].span_ns) {
        if (!waits && is_due(&quarter, rules))
            offer(best, &quarter);
        else
            look_at_hours(best, &quarter, rules);
    }
}

static bool fill(const struct candidate *c, const struct compact_block *blocks, struct arena *arena,
    struct compact_job *ret_job)
{
    struct compact_job job = {.level = c->level, .start_ns = c->start_ns};
    job.sources = ARENA_ARRAY(arena, uint32_t, c->n_day);
    if (!job.sources)
        return false;
    for (uint32_t i = 0; i < c->n_day && job.n_sources < COMPACT_SOURCES_MAX; i++)
        if (is_within(c->day[i].block, c->level, c->start_ns))
            job.sources[job.n_sources++] = (uint32_t)(c->day[i].block - blocks);
    *ret_job = job;
    return true;
}

bool compact_plan(const struct compact_block *blocks, uint32_t n, const struct compact_rules *rules,
    struct arena *arena, struct compact_job *ret_job)
{
    struct item *items = ARENA_ARRAY(arena, struct item, (size_t)n + 1);
    struct candidate best = {0};
    uint32_t kept = 0;
    if (!items)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        int64_t day = block_range_start(BLOCK_24H, blocks[i].start_ns);
        if (!blocks[i].unfit && !at_the_edge(day))
            items[kept++] = (struct item){&blocks[i], day};
    }
    if (kept)
        qsort(items, kept, sizeof *items, cmp_items);
    for (uint32_t i = 0, k; i < kept; i = k) {
        for (k = i + 1; k < kept; k++)
            if (items[k].day_ns != items[i].day_ns ||
                !str_eq(items[k].block->tenant, items[i].block->tenant))
                break;
        look_at_day(&best, &items[i], k - i, rules);
    }
    return best.any && fill(&best, blocks, arena, ret_job);
}
