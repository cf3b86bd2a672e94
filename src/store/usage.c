/* What is stored, by block: see usage.h.
 *
 *     view ─► each block ─► its services ─► their types ─► rows, by the key that was asked for
 *                    └────► tenants, levels, days ─► forecast
 *
 * The directories of blocks are in memory, so nothing is read. Only those of blocks before version
 * 3 do not name their types: when types are asked for, the block cache loads their labels.
 *
 *   1. The rows and `other` add up to the bytes of the blocks, the levels do, the tenants do.
 *   2. At most USAGE_ROWS_MAX rows are told apart; what comes later is `other`. Memory is the
 * arena's.
 *
 * Any thread. The view's lock is held while references are taken, no other. */
#include "store/usage_int.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/store_int.h"

_Static_assert((int)USAGE_LEVELS == (int)BLOCK_LEVELS, "levels are those of blocks");

enum { USAGE_ROWS_MAX = 1 << 16, SCRATCH_BYTES = 64 << 20, TYPE_BYTES_MAX = 4096 };
#define DAY_NS (24 * BLOCK_HOUR_NS)

const char *const usage_dim_names[USAGE_DIMS] = {
    [USAGE_TENANT] = "tenant",
    [USAGE_SERVICE] = "service",
    [USAGE_TYPE] = "type",
    [USAGE_LEVEL] = "level",
    [USAGE_DAY] = "day",
};

enum status usage_no_memory(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED,
        "what is stored does not fit into the memory of one query: ask for one tenant, or raise "
        "-query.memory-budget");
}

enum status usage_by_parse(struct str text, uint32_t *ret_by, struct error *err)
{
    struct str_split parts = {text, false};
    struct str part;
    uint32_t by = 0;
    while (str_split_next(&parts, ',', &part)) {
        uint32_t i = 0;
        while (i < USAGE_DIMS && !str_eq(part, str_from(usage_dim_names[i])))
            i++;
        if (i == USAGE_DIMS)
            FAIL(err, ST_INVALID_ARGUMENT,
                "by is a list of tenant, service, type, level and day, not \"%.*s\"",
                STR_ARG(part));
        by |= 1u << i;
    }
    *ret_by = by;
    return ST_OK;
}

bool usage_wants(const struct usage_question *q, struct str tenant)
{
    for (uint32_t i = 0; i < q->n_tenants; i++)
        if (str_eq(q->tenants[i], tenant))
            return true;
    return q->n_tenants == 0;
}

/* Shares of a whole by weights. Each is what brings the sum of all so far to its right value, so
 * nothing is lost and the last one takes no rounding of the others. */
struct division {
    uint64_t whole, weights; /* of all */
    uint64_t upto, given;    /* so far */
};

static uint64_t next_share(struct division *d, uint64_t weight)
{
    d->upto += weight;
    uint64_t all = (uint64_t)((unsigned __int128)d->whole * d->upto / d->weights);
    uint64_t share = all - d->given;
    d->given = all;
    return share;
}

/* Rows */

struct item {
    struct str key[USAGE_DIMS];
    uint64_t bytes;
    int64_t oldest_ns, newest_ns;
};

static bool same_key(const struct str *a, const struct str *b)
{
    for (uint32_t i = 0; i < USAGE_DIMS; i++)
        if (!str_eq(a[i], b[i]))
            return false;
    return true;
}

static bool copy_key(struct usage_build *b, const struct item *it, struct usage_row *row)
{
    for (uint32_t i = 0; i < USAGE_DIMS; i++) {
        row->key[i] = it->key[i].n ? arena_str(b->q->arena, it->key[i]) : STR_EMPTY;
        if (!row->key[i].p)
            return false;
    }
    return true;
}

static enum status add_row(struct usage_build *b, struct item *it, struct error *err)
{
    uint64_t h = 0;
    uint32_t id;
    for (uint32_t i = 0; i < USAGE_DIMS; i++) {
        if (!(b->q->by & 1u << i))
            it->key[i] = STR_EMPTY;
        h = hash_u64(h, hash_str(it->key[i]));
    }
    struct idmap_probe p = idmap_start(&b->row_ids, h);
    struct usage_row *row = NULL;
    while (!row && idmap_next(&b->row_ids, &p, &id))
        if (same_key(b->rows.v[id].key, it->key))
            row = &b->rows.v[id];
    if (!row && b->rows.n == USAGE_ROWS_MAX) {
        b->out.other_bytes += it->bytes;
        return ST_OK;
    }
    if (!row) {
        row = VEC_PUSH(b->q->arena, b->rows);
        if (!row || !copy_key(b, it, row) || !idmap_put(&b->row_ids, h, b->rows.n - 1))
            return usage_no_memory(err);
        row->bytes = 0;
        row->oldest_ns = it->oldest_ns;
        row->newest_ns = it->newest_ns;
    }
    row->bytes += it->bytes;
    row->oldest_ns = MIN(row->oldest_ns, it->oldest_ns);
    row->newest_ns = MAX(row->newest_ns, it->newest_ns);
    return ST_OK;
}

/* Types */

static uint64_t stored_bytes(const struct block_dataset *bd)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < bd->n_sections; i++)
        bytes += bd->sections[i].stored_bytes;
    return bytes;
}

static bool is_of_type(const struct block_section *s)
{
    return s->kind == BLOCK_TIMELINE || s->kind == BLOCK_TREE || s->kind == BLOCK_FUNCTIONS;
}

/* name:type:unit:period type:period unit; empty where it is not known. */
static struct str type_name(
    struct arena *arena, const struct part *labels, const uint32_t ids[PART_TYPE_IDS])
{
    struct buf text;
    buf_init(&text, TYPE_BYTES_MAX);
    part_type_name(&labels->sym, ids, &text);
    struct str name = text.failed ? STR_EMPTY : arena_str(arena, buf_view(&text));
    buf_done(&text);
    return name.p ? name : STR_EMPTY;
}

/* Adds `it` once per type of the dataset. Without labels, of old blocks, they have no names. */
static enum status add_types(struct usage_build *b, const struct block_dataset *bd,
    const struct part *labels, struct item *it, struct error *err)
{
    uint32_t n = bd->rollups.n_types;
    uint64_t *own = ARENA_ZARRAY(&b->scratch, uint64_t, (size_t)n + 1), all_own = 0;
    if (!own)
        return usage_no_memory(err);
    for (uint32_t i = 0; i < bd->n_sections; i++) {
        const struct block_section *s = &bd->sections[i];
        if (!is_of_type(s) || s->type >= n)
            continue;
        own[s->type] += s->stored_bytes;
        all_own += s->stored_bytes;
    }
    struct division shared = {.whole = it->bytes - all_own, .weights = all_own ? all_own : n};
    for (uint32_t i = 0; i < n; i++) {
        struct item one = *it;
        if (bd->type_names)
            one.key[USAGE_TYPE] = bd->block->type_names[bd->type_names[i]];
        else if (labels)
            one.key[USAGE_TYPE] = type_name(&b->scratch, labels, bd->rollups.types[i]);
        one.bytes = own[i] + next_share(&shared, all_own ? own[i] : 1);
        TRY(add_row(b, &one, err));
    }
    return n ? ST_OK : add_row(b, it, err);
}

static enum status add_dataset(
    struct usage_build *b, struct block_dataset *bd, struct item *it, struct error *err)
{
    if (b->q->alive)
        TRY(b->q->alive(b->q->ctx, err));
    if (!(b->q->by & 1u << USAGE_TYPE))
        return add_row(b, it, err);
    arena_reset(&b->scratch);
    if (bd->type_names)
        return add_types(b, bd, NULL, it, err);
    struct block_unit *labels = &bd->units[UNIT_LABELS];
    enum status st = block_cache_acquire(b->cache, labels, err);
    if (st != ST_OK && st != ST_DATA_LOSS)
        return st;
    bool named = st == ST_OK;
    st = add_types(b, bd, named ? block_unit_part(labels) : NULL, it, err);
    if (named)
        block_cache_release(b->cache, labels);
    return st;
}

static enum status add_datasets(struct usage_build *b, struct block *block, struct error *err)
{
    uint64_t sections = 0;
    char day[32] = "";
    struct item it = {
        .bytes = block->file_bytes, .oldest_ns = block->time_min, .newest_ns = block->time_max};
    for (uint32_t i = 0; i < block->n_datasets; i++)
        sections += stored_bytes(&block->datasets[i]);
    struct division rest = {
        .whole = block->file_bytes - sections, .weights = sections ? sections : block->n_datasets};
    clock_format_ms(block->start_ns, day);
    for (uint32_t i = 0; i < block->n_datasets; i++) {
        struct block_dataset *bd = &block->datasets[i];
        uint64_t own = stored_bytes(bd);
        it = (struct item){.bytes = own + next_share(&rest, sections ? own : 1),
            .oldest_ns = bd->time_min,
            .newest_ns = bd->time_max};
        it.key[USAGE_TENANT] = block->tenant;
        it.key[USAGE_SERVICE] = bd->service;
        it.key[USAGE_LEVEL] = str_from(block_levels[block->level].name);
        it.key[USAGE_DAY] = str_make(day, 10);
        TRY(add_dataset(b, bd, &it, err));
    }
    return block->n_datasets ? ST_OK : add_row(b, &it, err);
}

/* Tenants */

static struct usage_tenant *tenant_of(struct usage_build *b, struct str name)
{
    uint64_t h = hash_str(name);
    uint32_t id;
    struct idmap_probe p = idmap_start(&b->tenant_ids, h);
    while (idmap_next(&b->tenant_ids, &p, &id))
        if (str_eq(b->tenants.v[id].name, name))
            return &b->tenants.v[id];
    struct usage_tenant *t = VEC_PUSH(b->q->arena, b->tenants);
    if (!t)
        return NULL;
    *t = (struct usage_tenant){.name = arena_str(b->q->arena, name), .oldest_ns = INT64_MAX};
    return t->name.p && idmap_put(&b->tenant_ids, h, b->tenants.n - 1) ? t : NULL;
}

static bool add_tenant(struct usage_build *b, const struct block *block)
{
    struct usage_tenant *t = tenant_of(b, block->tenant);
    int64_t today = block_range_start(BLOCK_24H, b->q->now_ns), before;
    if (!t)
        return false;
    t->levels[block->level].n++;
    t->levels[block->level].bytes += block->file_bytes;
    t->bytes += block->file_bytes;
    t->oldest_ns = MIN(t->oldest_ns, block->time_min);
    if (__builtin_sub_overflow(today, block_range_start(BLOCK_24H, block->start_ns), &before) ||
        before < 0 || before / DAY_NS > USAGE_WEEK)
        return true;
    t->day[before / DAY_NS] += block->file_bytes;
    if (block->level == BLOCK_24H)
        t->rest[before / DAY_NS] += block->file_bytes;
    return true;
}

enum status usage_block(struct usage_build *b, struct block *block, struct error *err)
{
    struct usage *u = &b->out;
    if (!usage_wants(b->q, block->tenant))
        return ST_OK;
    struct usage_path *path = VEC_PUSH(b->q->arena, b->served);
    if (!path || !add_tenant(b, block))
        return usage_no_memory(err);
    *path = (struct usage_path){arena_str(b->q->arena, str_from(block->path)), block->file_bytes};
    if (!path->path.p)
        return usage_no_memory(err);
    u->levels[block->level].n++;
    u->levels[block->level].bytes += block->file_bytes;
    u->oldest_ns = u->blocks.n ? MIN(u->oldest_ns, block->time_min) : block->time_min;
    u->newest_ns = u->blocks.n ? MAX(u->newest_ns, block->time_max) : block->time_max;
    u->blocks.n++;
    u->blocks.bytes += block->file_bytes;
    for (uint32_t i = 0; i < block->n_datasets; i++) {
        u->profiles += block->datasets[i].n_rows;
        u->samples += block->datasets[i].n_samples;
    }
    return add_datasets(b, block, err);
}

/* Beginning and end */

void usage_begin(struct usage_build *b, const struct usage_question *q, struct fs *fs,
    const char *dir, struct block_cache *cache)
{
    *b = (struct usage_build){.q = q, .at = {.fs = fs, .dir = dir}, .cache = cache};
    arena_init(&b->scratch, SCRATCH_BYTES);
    idmap_init(&b->row_ids, NULL);
    idmap_init(&b->tenant_ids, NULL);
}

void usage_done(struct usage_build *b)
{
    idmap_done(&b->row_ids);
    idmap_done(&b->tenant_ids);
    arena_done(&b->scratch);
}

static int cmp_rows(const void *pa, const void *pb)
{
    const struct usage_row *a = pa, *b = pb;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    for (uint32_t i = 0; i < USAGE_DIMS; i++) {
        int c = str_cmp(a->key[i], b->key[i]);
        if (c)
            return c;
    }
    return 0;
}

static int cmp_tenants(const void *pa, const void *pb)
{
    const struct usage_tenant *a = pa, *b = pb;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return str_cmp(a->name, b->name);
}

void usage_end(struct usage_build *b, const struct usage_room *room,
    void (*keep)(void *ctx, struct str tenant, struct store_keep *ret_keep), void *ctx)
{
    struct usage *u = &b->out;
    if (b->rows.n)
        qsort(b->rows.v, b->rows.n, sizeof *b->rows.v, cmp_rows);
    if (b->tenants.n)
        qsort(b->tenants.v, b->tenants.n, sizeof *b->tenants.v, cmp_tenants);
    u->rows = b->rows.v;
    u->n_rows = MIN(b->rows.n, b->q->rows_max);
    u->n_other = b->rows.n - u->n_rows;
    for (uint32_t i = u->n_rows; i < b->rows.n; i++)
        u->other_bytes += u->rows[i].bytes;
    u->tenants = b->tenants.v;
    u->n_tenants = b->tenants.n;
    for (uint32_t i = 0; i < u->n_tenants && keep; i++)
        keep(ctx, u->tenants[i].name, &u->tenants[i].keep);
    usage_forecast(u->tenants, u->n_tenants, room, b->q->now_ns, &u->forecast);
}

static void keep_of(void *ctx, struct str tenant, struct store_keep *ret_keep)
{
    struct store *s = ctx;
    *ret_keep = (struct store_keep){.age_ns = s->cfg.retention_ns};
    if (s->cfg.keep)
        s->cfg.keep(s->cfg.keep_ctx, tenant, ret_keep);
}

static enum status add_served(struct store *s, struct usage_build *b, struct error *err)
{
    enum status st = ST_OK;
    mutex_lock(&s->view_lock);
    uint32_t n = s->n_blocks;
    struct block **blocks = mem_new((n + 1) * sizeof *blocks);
    for (uint32_t i = 0; i < n; i++)
        blocks[i] = block_ref(s->blocks[i]);
    mutex_unlock(&s->view_lock);
    for (uint32_t i = 0; i < n && st == ST_OK; i++)
        st = usage_block(b, blocks[i], err);
    for (uint32_t i = 0; i < n; i++)
        block_unref(blocks[i]);
    mem_free(blocks);
    return st;
}

/* Files first: a block that comes in between is asked for by name, one that goes is not served. */
enum status store_usage(
    struct store *s, const struct usage_question *q, struct usage *ret_usage, struct error *err)
{
    struct usage_build b;
    struct usage_room room = {0};
    usage_begin(&b, q, s->fs, s->dir, &s->cache);
    enum status st = q->n_tenants ? ST_OK : usage_files(&b, err);
    if (st == ST_OK)
        st = add_served(s, &b, err);
    if (st == ST_OK && q->n_tenants == 0) {
        usage_match(&b);
        room.bytes_max = s->cfg.retention_bytes;
        room.disk_percent = s->cfg.retention_disk_percent;
        room.known = s->fs->space(s->fs, s->dir, &room.disk_free, &room.disk_total) == 0;
    }
    if (st == ST_OK) {
        usage_end(&b, &room, keep_of, s);
        *ret_usage = b.out;
    }
    usage_done(&b);
    return st;
}
