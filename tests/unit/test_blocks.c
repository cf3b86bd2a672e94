/* blocks: what was in the head is the same in blocks, whatever happens around the cut; retention.
 */
#include "test.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "fixture_blocks.h"

/* Uploads over three hours, two tenants, three services, several types, late ones among them. */
static void upload_mix(struct store *s, uint32_t n, uint32_t first)
{
    static const char *const services[] = {"one", "two", "three"};
    for (uint32_t i = first; i < first + n; i++) {
        int64_t hour = i % 7 == 3 ? -30 : (int64_t)(i % 3);
        assert_int_equal(upload(s, i % 4 == 1 ? "tenant-b" : "anonymous", services[i % 3],
                             T0 + hour * HOUR_NS + i / 2, 1 + i % 6, i),
            ST_OK);
    }
}

static void test_same_before_and_after(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct store *s = open_sim(sim);
    (void)state;
    upload_mix(s, 120, 0);
    char *a = shown(s, "anonymous"), *b = shown(s, "tenant-b");
    assert_true(strlen(a) > 1000 && strlen(b) > 1000);
    assert_non_null(strstr(a, "trace 4d/"));
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    assert_int_equal(s->n_epochs, 1);
    assert_int_equal(s->n_blocks, count_files(sim, ".efb"));
    assert_int_equal(s->n_blocks, 2 * 4); /* tenants × hours */
    assert_int_equal(count_files(sim, "data/wal/"), 0);
    assert_shown(s, "anonymous", a);
    assert_shown(s, "tenant-b", b);
    for (int restart = 0; restart < 3; restart++) {
        store_close(s);
        fs_sim_crash(sim, (uint64_t)restart);
        s = open_sim(sim);
        assert_shown(s, "anonymous", a);
        assert_shown(s, "tenant-b", b);
    }
    upload_mix(s, 20, 1000); /* numbers of uploads go on */
    char *more = shown(s, "anonymous");
    assert_non_null(strstr(more, "seq 121 "));
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    assert_shown(s, "anonymous", more);
    store_close(s);
    fs_sim_free(sim);
    mem_free(a);
    mem_free(b);
    mem_free(more);
}

/* The same rows whether a dataset was written as it is, copied for its hour, or copied in pieces.
 */
static void test_large_datasets_are_split(void **state)
{
    struct fs_sim *sim = fs_sim_new(2);
    struct store *s = open_sim(sim);
    (void)state;
    s->target.dataset_bytes_max = 800;
    upload_mix(s, 60, 0);
    char *a = shown(s, "anonymous");
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    uint32_t datasets = 0;
    for (uint32_t i = 0; i < s->n_blocks; i++) {
        datasets += s->blocks[i]->n_datasets;
        assert_int_equal(block_verify(s->blocks[i], NULL), ST_OK);
    }
    assert_true(datasets > 8 * 3);
    assert_shown(s, "anonymous", a);
    store_close(s);
    s = open_sim(sim);
    assert_shown(s, "anonymous", a);
    store_close(s);
    fs_sim_free(sim);
    mem_free(a);
}

static void test_equal_timestamps_are_kept(void **state)
{
    struct fs_sim *sim = fs_sim_new(3);
    struct store *s = open_sim(sim);
    (void)state;
    for (int i = 0; i < 50; i++)
        assert_int_equal(upload(s, "anonymous", "one", T0 + 5, 2, 3), ST_OK);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(rows_shown(s, "anonymous"), 50);
        char *a = shown(s, "anonymous");
        char last[] = "seq 50 ", first[] = "seq 1 ";
        assert_non_null(strstr(a, first));
        assert_non_null(strstr(a, last));
        mem_free(a);
        if (round == 0)
            assert_int_equal(store_cut(s, "test", NULL), ST_OK);
        store_close(s);
        s = open_sim(sim);
    }
    store_close(s);
    fs_sim_free(sim);
}

static void test_first_and_last_hour_of_time(void **state)
{
    static const int64_t times[] = {
        INT64_MIN, INT64_MIN + 1, -HOUR_NS, -1, 0, HOUR_NS - 1, INT64_MAX - 1, INT64_MAX};
    struct fs_sim *sim = fs_sim_new(4);
    struct store *s = open_sim(sim);
    (void)state;
    assert_int_equal(block_hour(-1), -HOUR_NS);
    assert_int_equal(block_hour(0), 0);
    assert_int_equal(block_hour(INT64_MIN), INT64_MIN);
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        assert_int_equal(upload(s, "anonymous", "one", times[i], 1, 1), ST_OK);
    char *a = shown(s, "anonymous");
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    assert_int_equal(s->n_blocks, 4);
    assert_shown(s, "anonymous", a);
    for (uint32_t i = 0; i < s->n_blocks; i++)
        assert_int_equal(block_verify(s->blocks[i], NULL), ST_OK);
    store_close(s);
    fs_sim_free(sim);
    mem_free(a);
}

/* Queries during cuts: at every moment everything that was acknowledged is there once. */
struct race {
    struct store *s;
    atomic_uint acknowledged;
    atomic_bool stop;
    atomic_uint queries;
};

static void *query_loop(void *arg)
{
    struct race *r = arg;
    while (!atomic_load(&r->stop)) {
        uint32_t before = atomic_load(&r->acknowledged);
        const struct store_view *v = NULL;
        assert_int_equal(
            store_view_acquire(r->s, STR("anonymous"), STR_EMPTY, INT64_MIN, INT64_MAX, &v, NULL),
            ST_OK);
        uint32_t rows = view_rows(r->s, v, STORE_TOTALS);
        uint32_t full = view_rows(r->s, v, STORE_SAMPLES);
        store_view_release(r->s, v);
        assert_in_range(rows, before, atomic_load(&r->acknowledged) + 1);
        assert_true(full >= rows); /* a part of the head may have grown in between */
        atomic_fetch_add(&r->queries, 1);
    }
    return NULL;
}

static void test_queries_during_cuts(void **state)
{
    enum { UPLOADS = 400, PER_CUT = 20, QUERIERS = 2 };
    struct fs_sim *sim = fs_sim_new(5);
    struct store_config cfg = sim_config(sim);
    struct race r = {0};
    pthread_t threads[QUERIERS];
    (void)state;
    cfg.cache_bytes_max = 300 << 10; /* a few parts: they come and go */
    assert_int_equal(store_open(&cfg, &r.s, NULL), ST_OK);
    for (int i = 0; i < QUERIERS; i++)
        assert_int_equal(thread_start(&threads[i], "query", query_loop, &r, NULL), ST_OK);
    for (uint32_t i = 0; i < UPLOADS; i++) {
        assert_int_equal(
            upload(r.s, "anonymous", "one", T0 + (int64_t)(i % 3) * HOUR_NS, 1, i), ST_OK);
        atomic_fetch_add(&r.acknowledged, 1);
        if (i % PER_CUT == PER_CUT - 1)
            assert_int_equal(store_cut(r.s, "test", NULL), ST_OK);
    }
    while (atomic_load(&r.queries) < 20)
        sched_yield();
    atomic_store(&r.stop, true);
    for (int i = 0; i < QUERIERS; i++)
        thread_join(threads[i]);
    assert_int_equal(rows_shown(r.s, "anonymous"), UPLOADS);
    store_close(r.s);
    fs_sim_free(sim);
}

/* A view shows the same before and after a cut and after retention took everything. */
static void test_view_is_held(void **state)
{
    struct fs_sim *sim = fs_sim_new(6);
    struct store_config cfg = sim_config(sim);
    struct store *s;
    const struct store_view *head, *blocks;
    (void)state;
    cfg.retention_ns = HOUR_NS;
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    upload_mix(s, 60, 0);
    assert_int_equal(
        store_view_acquire(s, STR("anonymous"), STR_EMPTY, INT64_MIN, INT64_MAX, &head, NULL),
        ST_OK);
    char *before = shown_view(s, head);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    assert_int_equal(
        store_view_acquire(s, STR("anonymous"), STR_EMPTY, INT64_MIN, INT64_MAX, &blocks, NULL),
        ST_OK);
    uint32_t files = count_files(sim, ".efb");
    assert_int_equal(store_expire(s, T0 + 100 * HOUR_NS, NULL), ST_OK);
    assert_int_equal(rows_shown(s, "anonymous"), 0);
    assert_int_equal(s->n_blocks, 0);
    assert_int_equal(count_files(sim, ".efb"), files); /* a view holds all blocks it saw */
    const struct store_view *const views[] = {head, blocks};
    for (int i = 0; i < 2; i++) {
        char *now = shown_view(s, views[i]);
        assert_string_equal(now, before);
        mem_free(now);
        store_view_release(s, views[i]);
    }
    assert_int_equal(count_files(sim, ".efb"), 0);
    store_close(s);
    fs_sim_free(sim);
    mem_free(before);
}

static uint32_t rows_of_hour(struct store *s, int64_t hour)
{
    const struct store_view *v = NULL;
    assert_int_equal(store_view_acquire(s, STR("anonymous"), STR_EMPTY, T0 + hour * HOUR_NS,
                         T0 + (hour + 1) * HOUR_NS, &v, NULL),
        ST_OK);
    uint32_t n = v->n;
    store_view_release(s, v);
    return n;
}

static void test_cache_is_bounded(void **state)
{
    enum { HOURS = 30 };
    struct fs_sim *sim = fs_sim_new(7);
    struct store_config cfg = sim_config(sim);
    struct store *s;
    (void)state;
    cfg.cache_bytes_max = 500 << 10;
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    for (int i = 0; i < HOURS; i++)
        assert_int_equal(upload(s, "anonymous", "one", T0 + i * HOUR_NS, 1, 1), ST_OK);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    const struct store_view *all = NULL;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(rows_shown(s, "anonymous"), HOURS);
        assert_true(s->cache.bytes <= cfg.cache_bytes_max);
        assert_true(s->cache.bytes > 0);
    }
    /* in use beyond the bound, within it again afterwards */
    assert_int_equal(
        store_view_acquire(s, STR("anonymous"), STR_EMPTY, INT64_MIN, INT64_MAX, &all, NULL),
        ST_OK);
    assert_true(s->cache.bytes > cfg.cache_bytes_max);
    store_view_release(s, all);
    assert_true(s->cache.bytes <= cfg.cache_bytes_max);
    /* the last used are kept: the two hours asked for last, oldest hour first in the block list */
    for (int64_t hour = 7; hour < 9; hour++)
        assert_int_equal(rows_of_hour(s, hour), 1);
    for (int64_t hour = 0; hour < HOURS; hour++) {
        bool loaded = s->blocks[hour]->datasets[0].units[UNIT_LABELS].loaded != NULL;
        assert_int_equal(s->blocks[hour]->start_ns, T0 + hour * HOUR_NS);
        if (hour == 7 || hour == 8)
            assert_true(loaded);
    }
    store_close(s);
    fs_sim_free(sim);
}

/* Retention */

static void test_retention_by_age(void **state)
{
    struct fs_sim *sim = fs_sim_new(8);
    struct store_config cfg = sim_config(sim);
    struct store *s;
    (void)state;
    cfg.retention_ns = 5 * HOUR_NS;
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    for (int i = 0; i < 10; i++) { /* an epoch each */
        assert_int_equal(upload(s, "anonymous", "one", T0 + i * HOUR_NS, 1, 1), ST_OK);
        assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    }
    /* now − retention is T0 + 4 h + 1: the row exactly at T0 + 4 h is too old, that of 5 h is not
     */
    assert_int_equal(store_expire(s, T0 + 9 * HOUR_NS, NULL), ST_OK);
    assert_int_equal(rows_shown(s, "anonymous"), 6);
    assert_int_equal(store_expire(s, T0 + 9 * HOUR_NS + 1, NULL), ST_OK);
    assert_int_equal(rows_shown(s, "anonymous"), 5);
    assert_int_equal(count_files(sim, ".efb"), 5);
    assert_int_equal(count_files(sim, ".done"), 5); /* swept with their blocks */
    store_close(s);
    fs_sim_crash(sim, 1);
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    assert_int_equal(rows_shown(s, "anonymous"), 5);
    assert_int_equal(store_expire(s, T0 + 1000 * HOUR_NS, NULL), ST_OK);
    assert_int_equal(rows_shown(s, "anonymous"), 0);
    assert_int_equal(count_files(sim, ".efb"), 0);
    assert_int_equal(count_files(sim, ".done"), 1); /* the newest has the numbers */
    store_close(s);
    s = open_sim(sim);
    assert_int_equal(upload(s, "anonymous", "one", T0, 1, 1), ST_OK);
    char *a = shown(s, "anonymous");
    assert_non_null(strstr(a, "seq 11 "));
    mem_free(a);
    store_close(s);
    fs_sim_free(sim);
}

static void test_retention_by_bytes(void **state)
{
    struct fs_sim *sim = fs_sim_new(9);
    struct store_config cfg = sim_config(sim);
    struct store *s;
    (void)state;
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    for (int i = 9; i >= 0; i--) { /* the oldest data comes last: age is by time, not by arrival */
        assert_int_equal(upload(s, "anonymous", "one", T0 + i * HOUR_NS, 1, 1), ST_OK);
        assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    }
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < s->n_blocks; i++)
        bytes += s->blocks[i]->file_bytes;
    assert_int_equal(store_expire(s, T0 + 999999 * HOUR_NS, NULL), ST_OK); /* 0 and 0: off */
    assert_int_equal(s->n_blocks, 10);
    s->cfg.retention_bytes = bytes;
    assert_int_equal(store_expire(s, T0, NULL), ST_OK);
    assert_int_equal(s->n_blocks, 10);
    s->cfg.retention_bytes = bytes - 1;
    assert_int_equal(store_expire(s, T0, NULL), ST_OK);
    assert_int_equal(s->n_blocks, 9);
    s->cfg.retention_bytes = bytes / 2;
    assert_int_equal(store_expire(s, T0, NULL), ST_OK);
    assert_true(metric_get(M_BLOCK_BYTES) <= (double)(bytes / 2));
    assert_int_equal(s->n_blocks, 5);
    for (uint32_t i = 0; i < s->n_blocks; i++)
        assert_true(s->blocks[i]->start_ns >= T0 + 5 * HOUR_NS);
    store_close(s);
    fs_sim_free(sim);
}

/* A block of one hour may hold two epochs' tenants; a marker lists several blocks: one of them
 * goes, the others stay. */
static void test_retention_takes_one_of_many(void **state)
{
    struct fs_sim *sim = fs_sim_new(10);
    struct store_config cfg = sim_config(sim);
    struct store *s;
    (void)state;
    cfg.retention_ns = 2 * HOUR_NS;
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    for (int i = 0; i < 6; i++)
        assert_int_equal(upload(s, "anonymous", "one", T0 + i * HOUR_NS, 1, 1), ST_OK);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(rows_shown(s, "anonymous"), 6 - (uint32_t)i);
        assert_int_equal(store_expire(s, T0 + (i + 2) * HOUR_NS + 1, NULL), ST_OK);
        store_close(s);
        fs_sim_crash(sim, (uint64_t)i);
        assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    }
    assert_int_equal(rows_shown(s, "anonymous"), 0);
    store_close(s);
    fs_sim_free(sim);
}

/* A full disk has no room for markers: blocks go all the same, and the markers follow. */
static void test_retention_on_a_full_disk(void **state)
{
    struct fs_sim *sim = fs_sim_new(11);
    struct store_config cfg = sim_config(sim);
    struct store *s;
    const struct store_view *v;
    struct error err;
    double bad = metric_get(M_BLOCKS_BAD);
    (void)state;
    cfg.retention_ns = 2 * HOUR_NS;
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    for (int i = 0; i < 6; i++)
        assert_int_equal(upload(s, "anonymous", "one", T0 + i * HOUR_NS, 1, 1), ST_OK);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    fs_sim_plan(sim, FS_SIM_FULL, 1, 1000, ENOSPC);
    assert_int_equal(store_expire(s, T0 + 5 * HOUR_NS + 1, &err), ST_UNAVAILABLE);
    assert_int_equal(err.os_errno, ENOSPC);
    assert_int_equal(count_files(sim, ".efb"), 2);
    assert_int_equal(rows_shown(s, "anonymous"), 2);
    assert_int_equal(
        store_view_acquire(s, STR("anonymous"), STR_EMPTY, INT64_MIN, INT64_MAX, &v, NULL), ST_OK);
    assert_int_equal(store_expire(s, T0 + 6 * HOUR_NS + 1, NULL), ST_UNAVAILABLE);
    assert_int_equal(count_files(sim, ".efb"), 2); /* in use */
    store_view_release(s, v);
    assert_int_equal(count_files(sim, ".efb"), 1);
    fs_sim_plan(sim, FS_SIM_NONE, 0, 0, 0);
    assert_int_equal(store_expire(s, T0 + 6 * HOUR_NS + 1, NULL), ST_OK);
    store_close(s);
    fs_sim_crash(sim, 5);
    s = open_sim(sim);
    assert_int_equal(rows_shown(s, "anonymous"), 1);
    assert_true(metric_get(M_BLOCKS_BAD) == bad); /* nothing is missing */
    store_close(s);
    fs_sim_free(sim);
}

/* What is there at start */

struct cut_store {
    struct fs_sim *sim;
    char *shown; /* of tenant anonymous */
    struct found *blocks;
    uint32_t rows;
};

/* A store with two cut epochs, closed. */
static struct cut_store cut_store_make(uint64_t seed)
{
    struct cut_store c = {.sim = fs_sim_new(seed)};
    struct store *s = open_sim(c.sim);
    upload_mix(s, 40, 0);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    upload_mix(s, 40, 100);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    c.shown = shown(s, "anonymous");
    c.rows = rows_shown(s, "anonymous");
    store_close(s);
    c.blocks = find_files(c.sim, "blocks/anonymous/");
    assert_int_equal(c.blocks->n, 8);
    return c;
}

static void cut_store_free(struct cut_store *c)
{
    mem_free(c->shown);
    mem_free(c->blocks);
    fs_sim_free(c->sim);
}

static void remove_file(struct fs_sim *sim, const char *path)
{
    struct fs *fs = fs_sim_fs(sim);
    assert_int_equal(fs->unlink(fs, path), 0);
}

static void test_lost_markers(void **state)
{
    struct cut_store c = cut_store_make(20);
    struct found *markers = find_files(c.sim, ".done");
    (void)state;
    assert_int_equal(markers->n, 2);
    for (uint32_t i = 0; i < 2; i++)
        remove_file(c.sim, markers->paths[i]);
    struct store *s = open_sim(c.sim);
    assert_shown(s, "anonymous", c.shown);
    assert_int_equal(upload(s, "anonymous", "one", T0, 1, 1), ST_OK);
    char *a = shown(s, "anonymous");
    assert_non_null(strstr(a, "seq 81 ")); /* from the blocks */
    mem_free(a);
    store_close(s);
    mem_free(markers);
    cut_store_free(&c);
}

static void test_damaged_marker_is_set_aside(void **state)
{
    struct cut_store c = cut_store_make(21);
    struct found *markers = find_files(c.sim, ".done");
    double bad = metric_get(M_BLOCKS_BAD);
    (void)state;
    assert_true(fs_sim_flip(c.sim, markers->paths[0], 30, 2));
    struct store *s = open_sim(c.sim);
    assert_shown(s, "anonymous", c.shown);
    assert_int_equal(count_files(c.sim, "quarantine/"), 1);
    assert_int_equal(count_files(c.sim, ".done"), 2);
    assert_true(metric_get(M_BLOCKS_BAD) == bad + 1);
    /* retention works without it */
    s->cfg.retention_ns = 1;
    assert_int_equal(store_expire(s, T0 + 99 * HOUR_NS, NULL), ST_OK);
    store_close(s);
    s = open_sim(c.sim);
    assert_int_equal(rows_shown(s, "anonymous"), 0);
    store_close(s);
    mem_free(markers);
    cut_store_free(&c);
}

/* Of a marker of another store nothing is believed, least of all that our log is superfluous. */
static void test_foreign_marker(void **state)
{
    struct fs_sim *sim = fs_sim_new(22);
    struct store *s = open_sim(sim);
    (void)state;
    assert_int_equal(upload(s, "anonymous", "one", T0, 1, 1), ST_OK);
    const struct block_target other = {
        fs_sim_fs(sim), "data", (const uint8_t *)"another store id", 0};
    const struct marker m = {.epoch = s->epoch->no, .next_seq = 1000};
    assert_int_equal(marker_write(&other, &m, NULL), ST_OK);
    store_close(s);
    s = open_sim(sim);
    assert_int_equal(rows_shown(s, "anonymous"), 1);
    assert_int_equal(count_files(sim, "quarantine/"), 1);
    store_close(s);
    fs_sim_free(sim);
}

static void test_missing_block(void **state)
{
    struct cut_store c = cut_store_make(23);
    double bad = metric_get(M_BLOCKS_BAD);
    (void)state;
    remove_file(c.sim, c.blocks->paths[0]);
    struct store *s = open_sim(c.sim);
    assert_in_range(rows_shown(s, "anonymous"), 1, c.rows - 1);
    assert_int_equal(s->n_blocks, 15);
    assert_true(metric_get(M_BLOCKS_BAD) == bad + 1);
    store_close(s);
    cut_store_free(&c);
}

/* A block that goes while the store runs: its data is left out, the rest is served. */
static void test_block_goes_missing_while_served(void **state)
{
    struct cut_store c = cut_store_make(24);
    struct store *s = open_sim(c.sim);
    (void)state;
    remove_file(c.sim, c.blocks->paths[0]);
    double bad = metric_get(M_BLOCKS_BAD);
    assert_in_range(rows_shown(s, "anonymous"), 1, c.rows - 1);
    assert_true(metric_get(M_BLOCKS_BAD) > bad);
    store_close(s);
    assert_true(metric_get(M_BLOCKS_BAD) == bad); /* nothing is served, so nothing is set aside */
    cut_store_free(&c);
}

static void test_foreign_files(void **state)
{
    struct cut_store c = cut_store_make(25);
    struct fs *fs = fs_sim_fs(c.sim);
    struct buf block;
    char path[700];
    (void)state;
    read_file(fs, c.blocks->paths[0], &block);
    struct str bytes = buf_view(&block);
    put_file(fs, "data/notes.txt", STR("mine"));
    put_file(fs, "data/epochs/README", STR("mine"));
    put_file(fs, "data/wal/0000000000000001-1.wal", STR("mine"));
    put_file(fs, "data/blocks/x.efb", bytes);
    snprintf(path, sizeof path, "%s.bak", c.blocks->paths[0]);
    put_file(fs, path, bytes);
    /* a copy of a block, beside it and in another tenant's folder: would count twice */
    snprintf(path, sizeof path, "%s", c.blocks->paths[0]);
    memcpy(strrchr(path, '/') + 1, "00000000000000000000000000", 26);
    put_file(fs, path, bytes);
    fs->dir_make(fs, "data/blocks/tenant-c");
    fs->dir_make(fs, "data/blocks/tenant-c/1h");
    fs->dir_make(fs, "data/blocks/tenant-c/1h/2023-11-14");
    snprintf(path, sizeof path, "data/blocks/tenant-c/1h/2023-11-14%s",
        strrchr(c.blocks->paths[0], '/'));
    put_file(fs, path, bytes);
    struct store *s = open_sim(c.sim);
    assert_shown(s, "anonymous", c.shown);
    assert_int_equal(s->n_blocks, 16);
    assert_true(metric_get(M_FOREIGN_FILES) == 7);
    s->cfg.retention_ns = 1;
    assert_int_equal(store_expire(s, T0 + 99 * HOUR_NS, NULL), ST_OK);
    store_close(s);
    assert_int_equal(count_files(c.sim, ".efb"), 4); /* all of them are still there */
    assert_int_equal(count_files(c.sim, "notes.txt"), 1);
    assert_int_equal(count_files(c.sim, "0000000000000001-1.wal"), 1);
    buf_done(&block);
    cut_store_free(&c);
}

static void test_block_of_another_store(void **state)
{
    struct cut_store a = cut_store_make(26), b = cut_store_make(27);
    struct fs *fs = fs_sim_fs(b.sim);
    (void)state;
    for (uint32_t i = 0; i < a.blocks->n; i++) {
        struct buf block;
        read_file(fs_sim_fs(a.sim), a.blocks->paths[i], &block);
        put_file(fs, a.blocks->paths[i], buf_view(&block));
        buf_done(&block);
    }
    struct store *s = open_sim(b.sim);
    assert_shown(s, "anonymous", b.shown);
    assert_true(metric_get(M_FOREIGN_FILES) == 8);
    store_close(s);
    cut_store_free(&a);
    cut_store_free(&b);
}

/* The machine dies after the blocks were written and before their marker. */
static void test_cut_again_after_a_crash(void **state)
{
    struct fs_sim *sim = fs_sim_new(28);
    struct store *s = open_sim(sim);
    (void)state;
    upload_mix(s, 40, 0);
    char *a = shown(s, "anonymous");
    struct block_file file;
    assert_int_equal(block_write(&s->target, s->epoch, STR("anonymous"), T0, &file, NULL), ST_OK);
    assert_true(file.bytes > 0);
    assert_int_equal(count_files(sim, ".efb"), 1);
    store_close(s);
    fs_sim_crash(sim, 4);
    s = open_sim(sim);
    assert_int_equal(count_files(sim, ".efb"), 0);
    assert_shown(s, "anonymous", a);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    assert_int_equal(count_files(sim, ".efb"), 8);
    assert_int_equal(count_files(sim, file.path), 1);
    store_close(s);
    s = open_sim(sim);
    assert_shown(s, "anonymous", a);
    store_close(s);
    fs_sim_free(sim);
    mem_free(a);
}

/* The marker is lost and of the log only the beginning is left: the block has more, so it is kept.
 */
static void test_block_with_more_than_its_log(void **state)
{
    struct fs_sim *sim = fs_sim_new(29);
    struct store *s = open_sim(sim);
    (void)state;
    for (uint32_t i = 0; i < 60; i++)
        assert_int_equal(upload(s, "anonymous", "one", T0, 2, i), ST_OK);
    struct block_file file;
    assert_int_equal(block_write(&s->target, s->epoch, STR("anonymous"), T0, &file, NULL), ST_OK);
    store_close(s);
    struct found *logs = find_files(sim, "data/wal/");
    assert_true(logs->n > 1);
    for (uint32_t i = 1; i < logs->n; i++)
        remove_file(sim, logs->paths[i]);
    s = open_sim(sim);
    assert_in_range(rows_shown(s, "anonymous"), 1, 59);
    assert_int_equal(count_files(sim, "blocks/"), 0);
    assert_int_equal(count_files(sim, "quarantine/"), 1);
    store_close(s);
    fs_sim_free(sim);
    mem_free(logs);
}

/* While cuts fail, uploads and queries go on and epochs do not pile up. */
static void test_cuts_that_fail(void **state)
{
    struct fs_sim *sim = fs_sim_new(30);
    struct store *s = open_sim(sim);
    (void)state;
    s->target.dir = "nowhere"; /* blocks cannot be written, the log can */
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(upload(s, "anonymous", "one", T0, 1, i), ST_OK);
        assert_int_equal(store_cut(s, "test", NULL), ST_UNAVAILABLE);
        assert_int_equal(rows_shown(s, "anonymous"), i + 1);
    }
    assert_int_equal(s->n_epochs, 2);
    s->target.dir = s->dir;
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    assert_int_equal(s->n_epochs, 1);
    assert_int_equal(rows_shown(s, "anonymous"), 20);
    store_close(s);
    s = open_sim(sim);
    assert_int_equal(rows_shown(s, "anonymous"), 20);
    store_close(s);
    fs_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_before_and_after),
        cmocka_unit_test(test_large_datasets_are_split),
        cmocka_unit_test(test_equal_timestamps_are_kept),
        cmocka_unit_test(test_first_and_last_hour_of_time),
        cmocka_unit_test(test_queries_during_cuts),
        cmocka_unit_test(test_view_is_held),
        cmocka_unit_test(test_cache_is_bounded),
        cmocka_unit_test(test_retention_by_age),
        cmocka_unit_test(test_retention_by_bytes),
        cmocka_unit_test(test_retention_takes_one_of_many),
        cmocka_unit_test(test_retention_on_a_full_disk),
        cmocka_unit_test(test_lost_markers),
        cmocka_unit_test(test_damaged_marker_is_set_aside),
        cmocka_unit_test(test_foreign_marker),
        cmocka_unit_test(test_missing_block),
        cmocka_unit_test(test_block_goes_missing_while_served),
        cmocka_unit_test(test_foreign_files),
        cmocka_unit_test(test_block_of_another_store),
        cmocka_unit_test(test_cut_again_after_a_crash),
        cmocka_unit_test(test_block_with_more_than_its_log),
        cmocka_unit_test(test_cuts_that_fail),
    };
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
