/* store/usage.h: the parts add up to the files, to the byte, whatever is in the directory and
 * however it is asked for; and the forecast, number by number. */
#include "test.h"

#include <math.h>

#include "base/clock.h"
#include "base/log.h"
#include "fixture_blocks.h"
#include "store/tool.h"
#include "store/usage_int.h"

#define DAY_NS (24 * HOUR_NS)
#define DAY0 (T0 - 22 * HOUR_NS) /* midnight */

enum { ALL_MASKS = 1 << USAGE_DIMS };

/* Uploads of three tenants and a few services over days, cut into blocks. */
static void fill(struct store *s, uint32_t seed, uint32_t n)
{
    static const char *const tenants[] = {"anonymous", "b", "c.d"};
    static const char *const services[] = {"one", "two", "three", "four"};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t r = (i + 1) * 2654435761u ^ seed * 40503u;
        int64_t time = DAY0 + r / 64 % 4 * DAY_NS + r / 256 % 24 * HOUR_NS + i;
        assert_int_equal(
            upload(s, tenants[r % 7 / 3], services[r / 8 % 4], time, 1 + r / 32 % 5, i), ST_OK);
    }
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
}

static uint64_t bytes_of(struct fs_sim *sim, const char *what)
{
    struct found *f = find_files(sim, what);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < f->n; i++)
        bytes += f->sizes[i];
    mem_free(f);
    return bytes;
}

struct answer {
    struct arena arena;
    struct usage_question q;
    struct usage u;
};

static void answer_init(struct answer *a, uint32_t by)
{
    *a = (struct answer){
        .q = {.by = by, .rows_max = UINT32_MAX, .now_ns = DAY0 + 4 * DAY_NS, .arena = &a->arena}};
    arena_init(&a->arena, GIB);
}

static void ask(struct answer *a, struct store *s, uint32_t by)
{
    answer_init(a, by);
    assert_int_equal(store_usage(s, &a->q, &a->u, NULL), ST_OK);
}

static uint64_t rows_sum(const struct usage *u)
{
    uint64_t bytes = u->other_bytes;
    for (uint32_t i = 0; i < u->n_rows; i++)
        bytes += u->rows[i].bytes;
    return bytes;
}

static uint64_t files_sum(const struct usage *u)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < USAGE_FILE_KINDS; i++)
        bytes += u->files[i].bytes;
    return bytes;
}

static void check_sums(const struct usage *u, uint64_t block_bytes)
{
    uint64_t levels = 0, tenants = 0, tenant_levels = 0;
    for (uint32_t i = 0; i < USAGE_LEVELS; i++)
        levels += u->levels[i].bytes;
    for (uint32_t i = 0; i < u->n_tenants; i++) {
        tenants += u->tenants[i].bytes;
        for (uint32_t k = 0; k < USAGE_LEVELS; k++)
            tenant_levels += u->tenants[i].levels[k].bytes;
    }
    assert_int_equal(u->blocks.bytes, block_bytes);
    assert_int_equal(rows_sum(u), block_bytes);
    assert_int_equal(levels, block_bytes);
    assert_int_equal(tenants, block_bytes);
    assert_int_equal(tenant_levels, block_bytes);
    assert_int_equal(u->forecast.bytes, block_bytes);
}

/* What a row of fewer keys has is what the rows of more keys have that agree with it. */
static void check_refines(const struct usage *coarse, const struct usage *fine, uint32_t by)
{
    for (uint32_t i = 0; i < coarse->n_rows; i++) {
        uint64_t bytes = 0;
        for (uint32_t k = 0; k < fine->n_rows; k++) {
            bool agrees = true;
            for (uint32_t d = 0; d < USAGE_DIMS; d++)
                agrees &= !(by & 1u << d) || str_eq(coarse->rows[i].key[d], fine->rows[k].key[d]);
            bytes += agrees ? fine->rows[k].bytes : 0;
        }
        assert_int_equal(coarse->rows[i].bytes, bytes);
    }
}

static void check_all_keys(struct store *s, struct fs_sim *sim)
{
    struct answer all, one;
    uint64_t blocks = bytes_of(sim, ".efb");
    ask(&all, s, ALL_MASKS - 1);
    for (uint32_t by = 0; by < ALL_MASKS; by++) {
        ask(&one, s, by);
        check_sums(&one.u, blocks);
        check_refines(&one.u, &all.u, by);
        assert_int_equal(one.u.files[USAGE_BLOCKS].bytes, blocks);
        assert_int_equal(one.u.files[USAGE_UNSERVED].n, 0);
        assert_int_equal(files_sum(&one.u), bytes_of(sim, "data/"));
        assert_int_equal(one.u.n_other, 0);
        arena_done(&one.arena);
    }
    arena_done(&all.arena);
}

/* Offline, the same. */
static void check_tool(struct store *s, struct fs_sim *sim)
{
    struct answer live, off;
    ask(&live, s, ALL_MASKS - 1);
    answer_init(&off, ALL_MASKS - 1);
    assert_int_equal(tool_usage(fs_sim_fs(sim), "data", &off.q, &off.u, NULL), ST_OK);
    assert_memory_equal(live.u.files, off.u.files, sizeof live.u.files);
    assert_int_equal(live.u.n_rows, off.u.n_rows);
    for (uint32_t i = 0; i < live.u.n_rows; i++) {
        assert_int_equal(live.u.rows[i].bytes, off.u.rows[i].bytes);
        assert_true(str_eq(live.u.rows[i].key[USAGE_TYPE], off.u.rows[i].key[USAGE_TYPE]));
    }
    assert_int_equal(live.u.samples, off.u.samples);
    arena_done(&live.arena);
    arena_done(&off.arena);
}

static void test_sums(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 6; seed++) {
        struct fs_sim *sim = fs_sim_new(seed);
        struct store *s = open_sim(sim);
        fill(s, seed, 12 * seed);
        check_all_keys(s, sim);
        if (seed % 2)
            assert_int_equal(store_compact(s, true, NULL, NULL, NULL), ST_OK);
        fill(s, seed + 100, 15); /* blocks of several levels, and a log */
        assert_int_equal(upload(s, "anonymous", "one", T0, 2, 5), ST_OK);
        check_all_keys(s, sim);
        check_tool(s, sim);
        store_close(s);
        fs_sim_free(sim);
    }
}

/* Names of types, and that what a type has alone is its own. */
static void test_types(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct store *s = open_sim(sim);
    struct answer a;
    (void)state;
    assert_int_equal(upload(s, "anonymous", "one", T0, 3, 1), ST_OK);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    ask(&a, s, 1u << USAGE_TYPE);
    assert_int_equal(a.u.n_rows, 3);
    const struct block_dataset *bd = &s->blocks[0]->datasets[0];
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t own = 0;
        char name[64];
        uint32_t k = (uint32_t)(a.u.rows[i].key[USAGE_TYPE].p[strlen("cpu:type")] - '0');
        snprintf(name, sizeof name, "cpu:type%u:count::", k);
        assert_true(str_eq(a.u.rows[i].key[USAGE_TYPE], str_from(name)));
        for (uint32_t j = 0; j < bd->n_sections; j++)
            if (bd->sections[j].kind >= BLOCK_TIMELINE && bd->sections[j].kind != BLOCK_NAMES &&
                bd->sections[j].type == k)
                own += bd->sections[j].stored_bytes;
        assert_true(own > 0 && a.u.rows[i].bytes > own);
    }
    arena_done(&a.arena);
    store_close(s);
    fs_sim_free(sim);
}

static void test_one_tenant(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct store *s = open_sim(sim);
    struct answer a;
    struct str tenant = STR("b");
    (void)state;
    fill(s, 3, 40);
    answer_init(&a, 1u << USAGE_TENANT | 1u << USAGE_SERVICE);
    a.q.tenants = &tenant;
    a.q.n_tenants = 1;
    assert_int_equal(store_usage(s, &a.q, &a.u, NULL), ST_OK);
    check_sums(&a.u, bytes_of(sim, "blocks/b/"));
    assert_int_equal(files_sum(&a.u), 0); /* nothing of what others have */
    assert_int_equal(a.u.n_tenants, 1);
    assert_false(a.u.forecast.is_bounded);
    for (uint32_t i = 0; i < a.u.n_rows; i++)
        assert_true(str_eq(a.u.rows[i].key[USAGE_TENANT], tenant));
    arena_done(&a.arena);
    store_close(s);
    fs_sim_free(sim);
}

static void test_rows_max(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct store *s = open_sim(sim);
    struct answer all, a;
    (void)state;
    fill(s, 3, 40);
    ask(&all, s, 1u << USAGE_SERVICE | 1u << USAGE_TENANT);
    for (uint32_t max = 0; max <= all.u.n_rows + 1; max++) {
        answer_init(&a, all.q.by);
        a.q.rows_max = max;
        assert_int_equal(store_usage(s, &a.q, &a.u, NULL), ST_OK);
        check_sums(&a.u, bytes_of(sim, ".efb"));
        assert_int_equal(a.u.n_rows, MIN(max, all.u.n_rows));
        assert_int_equal(a.u.n_other, all.u.n_rows - a.u.n_rows);
        for (uint32_t i = 0; i + 1 < a.u.n_rows; i++)
            assert_true(a.u.rows[i].bytes >= a.u.rows[i + 1].bytes);
        arena_done(&a.arena);
    }
    arena_done(&all.arena);
    store_close(s);
    fs_sim_free(sim);
}

static void check_kind(const struct usage *u, enum usage_file kind, uint64_t n, uint64_t bytes)
{
    assert_int_equal(u->files[kind].n, n);
    assert_int_equal(u->files[kind].bytes, bytes);
}

/* Everything has a kind, nothing goes, and the sum is that of all files. */
static void test_other_files(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct fs *fs = fs_sim_fs(sim);
    struct store *s = open_sim(sim);
    struct answer a;
    static const char *const folders[] = {"data/mine", "data/mine/wal", "data/wal/x",
        "data/blocks/anonymous/1h/2023-11-14/deep", "data/state/deep", "data/tmp/deep"};
    (void)state;
    assert_int_equal(upload(s, "anonymous", "one", T0, 1, 1), ST_OK);
    fill(s, 1, 9);
    assert_int_equal(upload(s, "anonymous", "one", T0, 1, 1), ST_OK);
    uint64_t meta = bytes_of(sim, "data/LOCK") + bytes_of(sim, "data/FORMAT");
    uint64_t log = bytes_of(sim, ".wal"), markers = bytes_of(sim, ".done");
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        assert_int_equal(fs->dir_make(fs, folders[i]), 0);
    put_file(fs, "data/notes", STR("1"));
    put_file(fs, "data/mine/wal/0000000000000001-00000001.wal", STR("12"));
    put_file(fs, "data/wal/x/0000000000000001-00000001.wal", STR("123"));
    put_file(fs, "data/wal/notes", STR("1234"));
    put_file(fs, "data/epochs/notes", STR("12345"));
    put_file(fs, "data/blocks/loose.efb", STR("123456"));
    put_file(fs, "data/blocks/anonymous/1h/2023-11-14/deep/x.efb", STR("1234567"));
    put_file(fs, "data/blocks/anonymous/1h/2023-11-14/notes", STR("12345678"));
    put_file(fs, "data/blocks/anonymous/1h/2023-11-14/bad.efb", STR("123456789"));
    put_file(fs, "data/state/deep/f", STR("1234567890"));
    put_file(fs, "data/tmp/deep/f", STR("1234567890a"));
    put_file(fs, "data/quarantine/f.wal", STR("1234567890ab"));
    for (int again = 0; again < 2; again++) {
        ask(&a, s, 0);
        check_kind(&a.u, USAGE_META, 2, meta);
        check_kind(&a.u, USAGE_LOG, 1, log);
        check_kind(&a.u, USAGE_MARKERS, 1, markers);
        check_kind(&a.u, USAGE_FOREIGN, 8, 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8);
        check_kind(&a.u, USAGE_UNSERVED, 1, 9);
        check_kind(&a.u, USAGE_STATE, 1, 10);
        check_kind(&a.u, USAGE_TMP, 1, 11);
        check_kind(&a.u, USAGE_QUARANTINE, 1, 12);
        assert_int_equal(a.u.files[USAGE_BLOCKS].n, s->n_blocks);
        assert_int_equal(files_sum(&a.u), bytes_of(sim, "data/"));
        assert_int_equal(a.u.unreadable, 0);
        arena_done(&a.arena);
    }
    check_tool(s, sim);
    store_close(s);
    fs_sim_free(sim);
}

/* A damaged block is there and takes room, but is nobody's. */
static void test_damaged_block(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct store *s = open_sim(sim);
    struct answer a;
    (void)state;
    fill(s, 1, 30);
    store_close(s);
    struct found *f = find_files(sim, ".efb");
    assert_true(fs_sim_flip(sim, f->paths[0], f->sizes[0] - 40, 0));
    s = open_sim(sim);
    ask(&a, s, 1u << USAGE_TYPE);
    check_kind(&a.u, USAGE_UNSERVED, 1, f->sizes[0]);
    check_sums(&a.u, bytes_of(sim, ".efb") - f->sizes[0]);
    assert_int_equal(files_sum(&a.u), bytes_of(sim, "data/"));
    arena_done(&a.arena);
    check_tool(s, sim);
    store_close(s);
    mem_free(f);
    fs_sim_free(sim);
}

/* Types are named without reading a block: where none can be read, they are there all the same. */
static void test_reads_nothing(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct store *s = open_sim(sim);
    struct answer a;
    (void)state;
    fill(s, 1, 6);
    struct found *f = find_files(sim, ".efb");
    for (uint32_t i = 0; i < f->n; i++)
        assert_true(fs_sim_flip(sim, f->paths[i], BLOCK_HEAD_BYTES + 3, 0));
    ask(&a, s, 1u << USAGE_TYPE);
    check_sums(&a.u, bytes_of(sim, ".efb"));
    for (uint32_t i = 0; i < a.u.n_rows; i++)
        assert_true(str_ends(a.u.rows[i].key[USAGE_TYPE], STR(":count::")));
    arena_done(&a.arena);
    store_close(s);
    mem_free(f);
    fs_sim_free(sim);
}

/* A block that came after its folder was listed. */
static void test_block_in_between(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct store *s = open_sim(sim);
    struct answer a;
    struct usage_build b;
    (void)state;
    fill(s, 1, 30);
    answer_init(&a, 0);
    usage_begin(&b, &a.q, s->fs, s->dir, &s->cache);
    for (uint32_t i = 0; i < s->n_blocks; i++)
        assert_int_equal(usage_block(&b, s->blocks[i], NULL), ST_OK);
    usage_match(&b);
    check_kind(&b.out, USAGE_BLOCKS, s->n_blocks, bytes_of(sim, ".efb"));
    usage_done(&b);
    arena_done(&a.arena);
    store_close(s);
    fs_sim_free(sim);
}

/* The types of one block of a file system, by a cache of their own; false: the first has no name.
 */
static bool names_types(struct fs *fs, const char *dir, const char *path)
{
    struct block *block = NULL;
    struct block_cache cache;
    struct answer a;
    struct usage_build b;
    const struct usage_room room = {0};
    assert_int_equal(block_open(fs, dir, path, &block, NULL), ST_OK);
    answer_init(&a, 1u << USAGE_TYPE);
    usage_begin(&b, &a.q, fs, dir, NULL);
    block_cache_init(&cache, MIB);
    b.cache = &cache;
    assert_int_equal(usage_block(&b, block, NULL), ST_OK);
    usage_end(&b, &room, NULL, NULL);
    assert_int_equal(rows_sum(&b.out), block->file_bytes);
    bool named = b.out.rows[0].key[USAGE_TYPE].n > 0;
    usage_done(&b);
    block_cache_done(&cache);
    block_unref(block);
    arena_done(&a.arena);
    return named;
}

/* Version 1 has no types, version 2 has their names among the labels. */
static void test_old_versions(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct buf bytes;
    (void)state;
    assert_false(names_types(&fs_real, "tests/golden", "block-v1.efb"));
    assert_true(names_types(&fs_real, "tests/golden", "block-v2.efb"));
    read_file(&fs_real, "tests/golden/block-v2.efb", &bytes);
    assert_int_equal(fs_sim_fs(sim)->dir_make(fs_sim_fs(sim), "d"), 0);
    put_file(fs_sim_fs(sim), "d/b.efb", buf_view(&bytes));
    assert_true(fs_sim_flip(sim, "d/b.efb", BLOCK_HEAD_BYTES + 3, 0));
    assert_false(names_types(fs_sim_fs(sim), "d", "b.efb"));
    buf_done(&bytes);
    fs_sim_free(sim);
}

static enum status never(void *ctx, struct error *err)
{
    uint32_t *left = ctx;
    if ((*left)-- == 0)
        FAIL(err, ST_DEADLINE_EXCEEDED, "too late");
    return ST_OK;
}

/* Stops wherever it is told to, and where memory ends. */
static void test_stops(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct store *s = open_sim(sim);
    struct answer a;
    bool through = false;
    (void)state;
    fill(s, 2, 30);
    for (uint32_t n = 0; !through; n++) {
        uint32_t left = n;
        answer_init(&a, ALL_MASKS - 1);
        a.q.alive = never;
        a.q.ctx = &left;
        enum status st = store_usage(s, &a.q, &a.u, NULL);
        assert_true(st == ST_OK || st == ST_DEADLINE_EXCEEDED);
        through = st == ST_OK;
        assert_true(through || n < 1000);
        arena_done(&a.arena);
    }
    through = false;
    for (size_t bytes = 0; !through; bytes += 4096) {
        answer_init(&a, ALL_MASKS - 1);
        a.arena.limit = bytes;
        enum status st = store_usage(s, &a.q, &a.u, NULL);
        assert_true(st == ST_OK || st == ST_RESOURCE_EXHAUSTED);
        through = st == ST_OK;
        assert_true(through || bytes < GIB);
        arena_done(&a.arena);
    }
    store_close(s);
    fs_sim_free(sim);
}

/* Forecasts */

#define NOW (100 * DAY_NS + 12 * HOUR_NS)
#define GB 1000000000ull

/* A tenant that takes so much a day since `days` days ago. */
static struct usage_tenant steady(uint64_t per_day, uint32_t days)
{
    struct usage_tenant t = {.name = STR("t"), .bytes = per_day * days + per_day / 2};
    t.oldest_ns = (100 - (int64_t)days) * DAY_NS;
    t.day[0] = per_day / 2;
    for (uint32_t i = 1; i <= MIN(days, (uint32_t)USAGE_WEEK); i++)
        t.day[i] = t.rest[i] = per_day;
    return t;
}

static struct usage_forecast forecast(
    const struct usage_tenant *t, uint32_t n, const struct usage_room *room)
{
    struct usage_forecast f;
    usage_forecast(t, n, room, NOW, &f);
    return f;
}

static void near(double a, double b)
{
    if (fabs(a - b) > 1e-6 * MAX(fabs(a), fabs(b)) + 1e-6)
        fail_msg("%.9g is not %.9g", a, b);
}

static void test_forecast_pace(void **state)
{
    const struct usage_room none = {0};
    (void)state;
    for (uint32_t days = 1; days < 12; days++) {
        struct usage_tenant t = steady(GB, days);
        struct usage_forecast f = forecast(&t, 1, &none);
        near(f.bytes_per_day, (double)GB);
        assert_int_equal(f.days, MIN(days, (uint32_t)USAGE_WEEK));
        assert_true(f.at_rest && !f.settles && !f.fills);
        assert_int_equal(f.limit, USAGE_NO_LIMIT);
    }
    struct usage_tenant t = steady(GB, 9); /* what is not merged yet is not counted */
    t.day[1] = 3 * GB;
    t.rest[1] = 0;
    near(forecast(&t, 1, &none).bytes_per_day, (double)GB);
    assert_int_equal(forecast(&t, 1, &none).days, 6);
    for (uint32_t i = 1; i <= USAGE_WEEK; i++) /* but when there is nothing else */
        t.rest[i] = 0;
    near(forecast(&t, 1, &none).bytes_per_day, 9.0 * (double)GB / 7);
    assert_false(forecast(&t, 1, &none).at_rest);
    t = steady(GB, 9); /* days without data are days */
    t.day[3] = t.rest[3] = 0;
    near(forecast(&t, 1, &none).bytes_per_day, 6.0 * (double)GB / 7);
    t = steady(GB, 3); /* a first day that began at noon is none */
    t.oldest_ns += 12 * HOUR_NS;
    t.day[3] = t.rest[3] = GB / 2;
    near(forecast(&t, 1, &none).bytes_per_day, (double)GB);
    t = (struct usage_tenant){.bytes = GB, .oldest_ns = NOW - 6 * HOUR_NS, .day = {GB}};
    near(forecast(&t, 1, &none).bytes_per_day, 4.0 * (double)GB);
    assert_int_equal(forecast(&t, 1, &none).days, 0);
    t.oldest_ns = NOW - HOUR_NS / 2; /* too short to say */
    near(forecast(&t, 1, &none).bytes_per_day, 0);
}

static void test_forecast_bounds(void **state)
{
    struct usage_tenant t = steady(GB, 10);
    struct usage_room room = {.disk_free = 90 * GB, .disk_total = 200 * GB, .known = true};
    (void)state;
    struct usage_forecast f = forecast(&t, 1, &room);
    assert_true(f.fills && f.limit == USAGE_LIMIT_FREE);
    near(f.days_left, 90);
    near((double)f.bytes_max, 100.5e9);
    room.disk_percent = 85; /* 110 are in use, 170 may be */
    f = forecast(&t, 1, &room);
    assert_true(f.fills && f.limit == USAGE_LIMIT_DISK);
    near(f.days_left, 60);
    room.bytes_max = 50 * GB;
    f = forecast(&t, 1, &room);
    assert_true(f.fills && f.limit == USAGE_LIMIT_BYTES);
    near(f.days_left, 39.5);
    t.keep.age_ns = 30 * DAY_NS; /* stays at 31 days, below all of these */
    f = forecast(&t, 1, &room);
    assert_true(!f.fills && f.settles && f.limit == USAGE_LIMIT_KEEP);
    near(f.settles_at, 31e9);
    t.keep.bytes = 20 * GB;
    near(forecast(&t, 1, &room).settles_at, 20e9);
    t.keep.age_ns = 100 * DAY_NS;
    t.keep.bytes = 0;
    f = forecast(&t, 1, &room); /* would stay at 101: too late */
    assert_true(f.fills && f.settles);
    near(f.days_left, 39.5);
    room.bytes_max = 5 * GB; /* over it already */
    f = forecast(&t, 1, &room);
    assert_true(f.fills && f.days_left == 0);
    room = (struct usage_room){
        .disk_free = GB, .disk_total = 200 * GB, .disk_percent = 85, .known = true};
    f = forecast(&t, 1, &room);
    assert_true(f.fills && f.days_left == 0 && f.limit == USAGE_LIMIT_DISK && f.bytes_max == 0);
}

/* One tenant stops growing while the other goes on. */
static void test_forecast_two(void **state)
{
    struct usage_tenant t[2] = {steady(GB, 10), steady(2 * GB, 10)};
    struct usage_room room = {.bytes_max = 100 * GB};
    (void)state;
    t[1].keep.age_ns = 19 * DAY_NS; /* stays at 40, after 9.5 days */
    struct usage_forecast f = forecast(t, 2, &room);
    near(f.bytes_per_day, 3e9);
    assert_true(f.fills && !f.settles);
    near(f.days_left, 49.5); /* when the first has 60 */
    f = forecast(NULL, 0, &room);
    assert_true(!f.fills && f.settles && f.bytes == 0 && f.settles_at == 0);
}

static void test_gauges(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct store *s = open_sim(sim);
    (void)state;
    fill(s, 1, 30);
    usage_gauges(s);
    double all = 0;
    for (uint32_t i = 0; i < USAGE_FILE_KINDS; i++)
        all += metric_get(M_STORAGE_BYTES, str_from(usage_file_names[i]));
    near(all, (double)bytes_of(sim, "data/"));
    near(metric_get(M_STORAGE_DISK_BYTES), all);
    near(metric_get(M_TENANT_BLOCK_BYTES, STR("b"), STR("1h")),
        (double)bytes_of(sim, "blocks/b/1h/"));
    struct buf page;
    buf_init(&page, GIB);
    metrics_render(&page);
    assert_true(str_contains(buf_view(&page), STR("\neverflame_storage_days_until_full +Inf\n")));
    buf_done(&page);
    for (uint32_t i = 0; i < 150; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", i);
        assert_int_equal(upload(s, name, "one", T0, 1, i), ST_OK);
    }
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    usage_gauges(s);
    double shown = metric_get(M_TENANT_BLOCK_BYTES, STR("other"), STR("1h"));
    assert_true(shown > 0);
    shown += metric_get(M_TENANT_BLOCK_BYTES, STR("anonymous"), STR("1h"));
    shown += metric_get(M_TENANT_BLOCK_BYTES, STR("b"), STR("1h"));
    shown += metric_get(M_TENANT_BLOCK_BYTES, STR("c.d"), STR("1h"));
    uint32_t named = 0;
    for (uint32_t i = 0; i < 150; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", i);
        double bytes = metric_get(M_TENANT_BLOCK_BYTES, str_from(name), STR("1h"));
        named += bytes > 0;
        shown += bytes;
    }
    near(shown, (double)bytes_of(sim, ".efb"));
    assert_int_equal(named, 97); /* of 100; three were there before */
    store_close(s);
    fs_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_one_tenant),
        cmocka_unit_test(test_rows_max),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_damaged_block),
        cmocka_unit_test(test_reads_nothing),
        cmocka_unit_test(test_block_in_between),
        cmocka_unit_test(test_old_versions),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_forecast_pace),
        cmocka_unit_test(test_forecast_bounds),
        cmocka_unit_test(test_forecast_two),
        cmocka_unit_test(test_gauges),
    };
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
