/* Merging blocks in a store: the same rows before, after and meanwhile; what is found at start of
 * merges that were interrupted or whose marker is lost; damage; giving way. */
#include "test.h"

#include "base/clock.h"
#include "base/log.h"
#include "fixture_blocks.h"
#include "store/compact_int.h"

#define DAY_NS (24 * HOUR_NS)
#define DAY0 (T0 - 22 * HOUR_NS) /* midnight */

/* A block per day, hour and tenant that is used, of n uploads; late ones among them. */
static void upload_days(struct store *s, uint32_t first, uint32_t n, uint32_t days)
{
    static const char *const services[] = {"one", "two", "three"};
    for (uint32_t i = first; i < first + n; i++) {
        int64_t time = DAY0 + (i / 4 % days) * DAY_NS + (i % 5) * 5 * HOUR_NS + i;
        assert_int_equal(
            upload(s, i % 4 == 1 ? "tenant-b" : "anonymous", services[i % 3], time, 1 + i % 6, i),
            ST_OK);
    }
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
}

static void compact(struct store *s, bool force)
{
    struct error err = {0};
    if (store_compact(s, force, NULL, NULL, &err) != ST_OK)
        fail_msg("store_compact: %s", err.msg);
}

struct told {
    uint32_t jobs, sources;
    uint64_t bytes_in, bytes_out;
};

static void note_job(void *ctx, const struct store_compacted *job)
{
    struct told *t = ctx;
    t->jobs++;
    t->sources += job->n_sources;
    t->bytes_in += job->bytes_in;
    t->bytes_out += job->bytes_out;
    assert_true(str_eq(job->tenant, STR("anonymous")) || str_eq(job->tenant, STR("tenant-b")));
}

static void test_same_before_and_after(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct store *s = open_sim(sim);
    struct told told = {0};
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        upload_days(s, i * 40, 40, 2);
    char *a = shown(s, "anonymous"), *b = shown(s, "tenant-b");
    uint32_t before = s->n_blocks;
    assert_true(before > 30);
    assert_int_equal(store_compact(s, true, note_job, &told, NULL), ST_OK);
    assert_int_equal(told.jobs, 2 * 2);
    assert_int_equal(told.sources, before);
    assert_true(told.bytes_out < told.bytes_in);
    assert_int_equal(s->n_blocks, 2 * 2);
    assert_int_equal(count_files(sim, ".efb"), 2 * 2);
    assert_int_equal(count_files(sim, "/24h/"), 2 * 2);
    for (uint32_t i = 0; i < s->n_blocks; i++) {
        assert_int_equal(s->blocks[i]->level, BLOCK_24H);
        assert_int_equal(block_verify(s->blocks[i], NULL), ST_OK);
    }
    for (uint64_t restart = 0; restart < 4; restart++) {
        assert_shown(s, "anonymous", a);
        assert_shown(s, "tenant-b", b);
        compact(s, true); /* nothing is left to do */
        assert_int_equal(s->n_blocks, 4);
        store_close(s);
        fs_sim_crash(sim, restart);
        s = open_sim(sim);
    }
    upload_days(s, 1000, 20, 2); /* and on it goes */
    char *more = shown(s, "anonymous");
    assert_non_null(strstr(more, "seq 161 "));
    compact(s, true);
    assert_int_equal(s->n_blocks, 4);
    assert_shown(s, "anonymous", more);
    store_close(s);
    fs_sim_free(sim);
    mem_free(a);
    mem_free(b);
    mem_free(more);
}

/* By the rules, hour by hour of the clock. */
static void test_by_the_rules(void **state)
{
    struct fs_sim *sim = fs_sim_new(2);
    struct store *s = open_sim(sim);
    (void)state;
    for (uint32_t i = 0; i < 12; i++) {
        for (uint32_t k = 0; k < 3; k++)
            assert_int_equal(
                upload(s, "anonymous", "one", DAY0 + i / 3 * HOUR_NS + k, 1, i), ST_OK);
        assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    }
    char *a = shown(s, "anonymous");
    assert_int_equal(s->n_blocks, 12);
    clock_wall_set_for_tests(DAY0 + 5 * HOUR_NS);
    compact(s, false);
    assert_int_equal(s->n_blocks, 12);
    clock_wall_set_for_tests(DAY0 + 7 * HOUR_NS);
    compact(s, false);
    assert_int_equal(s->n_blocks, 1);
    assert_int_equal(s->blocks[0]->level, BLOCK_6H);
    assert_shown(s, "anonymous", a);
    clock_wall_set_for_tests(DAY0 + 30 * HOUR_NS);
    compact(s, false);
    assert_int_equal(s->n_blocks, 1);
    assert_int_equal(s->blocks[0]->level, BLOCK_24H);
    assert_shown(s, "anonymous", a);
    clock_wall_set_for_tests(0);
    assert_true(metric_get(M_COMPACTOR_LAST) > 0);
    store_close(s);
    fs_sim_free(sim);
    mem_free(a);
}

static void test_view_is_held(void **state)
{
    struct fs_sim *sim = fs_sim_new(3);
    struct store *s = open_sim(sim);
    const struct store_view *v = NULL;
    (void)state;
    upload_days(s, 0, 60, 1);
    uint32_t files = count_files(sim, ".efb");
    assert_int_equal(
        store_view_acquire(s, STR("anonymous"), STR_EMPTY, INT64_MIN, INT64_MAX, &v, NULL), ST_OK);
    char *before = shown_view(s, v);
    compact(s, true);
    assert_int_equal(s->n_blocks, 2);
    assert_int_equal(count_files(sim, ".efb"), files + 2);
    assert_shown(s, "anonymous", before);
    char *after = shown_view(s, v);
    assert_string_equal(after, before);
    store_view_release(s, v);
    assert_int_equal(count_files(sim, ".efb"), 2);
    store_close(s);
    fs_sim_free(sim);
    mem_free(before);
    mem_free(after);
}

/* Markers and folders of what was merged go. */
static void test_nothing_is_left_behind(void **state)
{
    struct fs_sim *sim = fs_sim_new(4);
    struct store *s = open_sim(sim);
    struct fs *fs = fs_sim_fs(sim);
    (void)state;
    for (uint32_t i = 0; i < 5; i++)
        upload_days(s, i * 20, 20, 1);
    compact(s, true);
    assert_int_equal(store_expire(s, DAY0, NULL), ST_OK);
    assert_int_equal(count_files(sim, ".done"), 2 + 1); /* of the merges, and the newest cut */
    assert_int_equal(fs->dir_remove(fs, "data/blocks/anonymous/1h"), ENOENT);
    assert_int_equal(fs->dir_remove(fs, "data/blocks/anonymous/24h"), ENOTEMPTY);
    char *a = shown(s, "anonymous");
    for (uint64_t i = 0; i < 6; i++) {
        store_close(s);
        fs_sim_crash(sim, i);
        s = open_sim(sim);
        assert_shown(s, "anonymous", a);
        assert_int_equal(store_expire(s, DAY0, NULL), ST_OK);
    }
    assert_int_equal(count_files(sim, ".done"), 3);
    s->cfg.retention_ns = HOUR_NS;
    assert_int_equal(store_expire(s, DAY0 + 9 * DAY_NS, NULL), ST_OK);
    assert_int_equal(count_files(sim, ".efb"), 0);
    assert_int_equal(count_files(sim, ".done"), 2); /* the newest of both kinds */
    assert_int_equal(fs->dir_remove(fs, "data/blocks/anonymous"), ENOENT);
    upload_days(s, 500, 1, 1);
    char *b = shown(s, "anonymous");
    assert_non_null(strstr(b, "seq 101 ")); /* numbers go on */
    store_close(s);
    fs_sim_free(sim);
    mem_free(a);
    mem_free(b);
}

/* Whoever asks during merges sees everything once. */
struct race {
    struct store *s;
    atomic_uint rows; /* acknowledged */
    atomic_bool stop;
    atomic_uint queries;
};

static void *query_loop(void *arg)
{
    struct race *r = arg;
    while (!atomic_load(&r->stop)) {
        uint32_t before = atomic_load(&r->rows);
        const struct store_view *v = NULL;
        assert_int_equal(
            store_view_acquire(r->s, STR("anonymous"), STR_EMPTY, INT64_MIN, INT64_MAX, &v, NULL),
            ST_OK);
        uint32_t rows = view_rows(r->s, v, STORE_TOTALS);
        uint32_t full = view_rows(r->s, v, STORE_SAMPLES);
        store_view_release(r->s, v);
        assert_in_range(rows, before, atomic_load(&r->rows) + 1);
        assert_true(full >= rows);
        atomic_fetch_add(&r->queries, 1);
    }
    return NULL;
}

static void *compact_loop(void *arg)
{
    struct race *r = arg;
    for (uint32_t i = 0; !atomic_load(&r->stop); i++) {
        compact(r->s, i % 4 != 0);
        if (i % 3 == 0)
            assert_int_equal(store_expire(r->s, DAY0, NULL), ST_OK);
        sched_yield();
    }
    return NULL;
}

static void test_queries_during_merges(void **state)
{
    enum { UPLOADS = 300, PER_CUT = 10, QUERIERS = 2 };
    struct fs_sim *sim = fs_sim_new(5);
    struct store_config cfg = sim_config(sim);
    struct race r = {0};
    pthread_t threads[QUERIERS + 1];
    (void)state;
    cfg.cache_bytes_max = 300 << 10;
    assert_int_equal(store_open(&cfg, &r.s, NULL), ST_OK);
    for (int i = 0; i < QUERIERS; i++)
        assert_int_equal(thread_start(&threads[i], "query", query_loop, &r, NULL), ST_OK);
    assert_int_equal(thread_start(&threads[QUERIERS], "compact", compact_loop, &r, NULL), ST_OK);
    for (uint32_t i = 0; i < UPLOADS; i++) {
        assert_int_equal(
            upload(r.s, "anonymous", "one", DAY0 + (int64_t)(i % 5) * 6 * HOUR_NS, 1, i), ST_OK);
        atomic_fetch_add(&r.rows, 1);
        if (i % PER_CUT == PER_CUT - 1)
            assert_int_equal(store_cut(r.s, "test", NULL), ST_OK);
    }
    while (atomic_load(&r.queries) < 20)
        sched_yield();
    atomic_store(&r.stop, true);
    for (int i = 0; i <= QUERIERS; i++)
        thread_join(threads[i]);
    compact(r.s, true);
    assert_int_equal(rows_shown(r.s, "anonymous"), UPLOADS);
    assert_int_equal(r.s->n_blocks, 2);
    store_close(r.s);
    fs_sim_free(sim);
}

/* Damage and failures */

static const char *path_of_level(const struct found *f, const char *level, uint32_t nth)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (strstr(f->paths[i], level) && nth-- == 0)
            return f->paths[i];
    fail_msg("no block of level %s", level);
    return NULL;
}

/* A source whose data is damaged stays as it is; the others are merged without it. */
static void test_damaged_source(void **state)
{
    struct fs_sim *sim = fs_sim_new(6);
    struct store *s = open_sim(sim);
    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(upload(s, "anonymous", "one", DAY0 + i * HOUR_NS, 1, i), ST_OK);
        assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    }
    struct found *f = find_files(sim, ".efb");
    assert_true(fs_sim_flip(sim, f->paths[2], 100, 3)); /* the first section */
    assert_int_equal(store_compact(s, true, NULL, NULL, NULL), ST_DATA_LOSS);
    assert_int_equal(s->n_blocks, 6);
    assert_int_equal(count_files(sim, ".efb"), 6);
    assert_int_equal(count_files(sim, "data/tmp/"), 0);
    assert_int_equal(rows_shown(s, "anonymous"), 5);
    compact(s, true);
    assert_int_equal(s->n_blocks, 2);
    assert_int_equal(rows_shown(s, "anonymous"), 5);
    compact(s, true);
    assert_int_equal(s->n_blocks, 2);
    store_close(s);
    mem_free(f);
    fs_sim_free(sim);
}

static enum status refuse(void *ctx, struct error *err)
{
    int *left = ctx;
    if (--*left > 0)
        return ST_OK;
    FAIL(err, ST_UNAVAILABLE, "no more");
}

static void test_pause_that_fails(void **state)
{
    struct fs_sim *sim = fs_sim_new(7);
    struct store *s = open_sim(sim);
    const struct compact_rules rules = {DAY0, 0, true};
    int left = 2;
    const struct compact_caller caller = {.pause = {refuse, &left}};
    bool any = false;
    (void)state;
    upload_days(s, 0, 60, 1);
    char *a = shown(s, "anonymous");
    uint32_t blocks = s->n_blocks;
    assert_int_equal(compact_next(s, &rules, &caller, &any, NULL), ST_UNAVAILABLE);
    assert_int_equal(left, 0);
    assert_int_equal(s->n_blocks, blocks);
    assert_int_equal(s->n_merging, 0);
    assert_int_equal(count_files(sim, ".efb"), blocks);
    assert_int_equal(count_files(sim, "data/tmp/"), 0);
    assert_shown(s, "anonymous", a);
    compact(s, true); /* and nothing rests for that */
    assert_int_equal(s->n_blocks, 2);
    store_close(s);
    mem_free(a);
    fs_sim_free(sim);
}

/* Retention in the middle of a merge leaves its sources alone, and takes the result afterwards. */
static enum status expire(void *ctx, struct error *err)
{
    struct store *s = ctx;
    (void)err;
    s->cfg.retention_ns = HOUR_NS;
    assert_true(s->n_merging > 0);
    assert_int_equal(store_expire(s, DAY0 + 9 * DAY_NS, NULL), ST_OK);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    return ST_OK;
}

static void test_retention_during_a_merge(void **state)
{
    struct fs_sim *sim = fs_sim_new(8);
    struct store *s = open_sim(sim);
    const struct compact_rules rules = {DAY0, 0, true};
    const struct compact_caller caller = {.pause = {expire, s}};
    bool any = false;
    (void)state;
    upload_days(s, 0, 60, 1);
    uint32_t rows = rows_shown(s, "anonymous");
    assert_int_equal(compact_next(s, &rules, &caller, &any, NULL), ST_OK);
    assert_true(any);
    assert_int_equal(rows_shown(s, "anonymous"), rows);
    assert_int_equal(s->n_blocks, 1); /* tenant-b had no merge at work */
    assert_int_equal(rows_shown(s, "tenant-b"), 0);
    assert_int_equal(store_expire(s, DAY0 + 9 * DAY_NS, NULL), ST_OK);
    assert_int_equal(s->n_blocks, 0);
    assert_int_equal(count_files(sim, ".efb"), 0);
    store_close(s);
    fs_sim_free(sim);
}

static void test_no_room(void **state)
{
    struct fs_sim *sim = fs_sim_new(9);
    struct store *s = open_sim(sim);
    (void)state;
    upload_days(s, 0, 60, 1);
    uint32_t blocks = s->n_blocks;
    fs_sim_disk(sim, GIB, GIB - 100000);
    compact(s, true);
    assert_int_equal(s->n_blocks, blocks);
    assert_int_equal(s->n_merging, 0);
    fs_sim_disk(sim, GIB, GIB / 2);
    compact(s, true);
    assert_int_equal(s->n_blocks, 2);
    store_close(s);
    fs_sim_free(sim);
}

/* The thread */

static uint32_t blocks_now(struct store *s)
{
    mutex_lock(&s->view_lock);
    uint32_t n = s->n_blocks;
    mutex_unlock(&s->view_lock);
    return n;
}

static struct store *open_with_threads(struct fs_sim *sim)
{
    struct store_config cfg = sim_config(sim);
    struct store *s = NULL;
    cfg.no_maintenance = false;
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    return s;
}

/* It merges by itself what is due, with a query held over it, and a store that closes does not wait
 * for the end of a merge. */
static void test_thread(void **state)
{
    struct fs_sim *sim = fs_sim_new(11);
    struct store *s = open_sim(sim);
    const struct store_view *v = NULL;
    (void)state;
    for (uint32_t i = 0; i < 5; i++)
        upload_days(s, i * 40, 40, 2);
    char *a = shown(s, "anonymous"), *b = shown(s, "tenant-b");
    store_close(s);
    for (int i = 0; i < 10; i++) { /* each gets a little further */
        s = open_with_threads(sim);
        assert_shown(s, "anonymous", a);
        store_close(s);
    }
    s = open_with_threads(sim);
    assert_int_equal(
        store_view_acquire(s, STR("anonymous"), STR_EMPTY, INT64_MIN, INT64_MAX, &v, NULL), ST_OK);
    while (blocks_now(s) > 4)
        sched_yield();
    char *held = shown_view(s, v);
    assert_string_equal(held, a);
    store_view_release(s, v);
    assert_shown(s, "anonymous", a);
    assert_shown(s, "tenant-b", b);
    store_close(s);
    assert_int_equal(count_files(sim, ".efb"), 4);
    fs_sim_free(sim);
    mem_free(held);
    mem_free(a);
    mem_free(b);
}

/* What is found at start */

/* A store of one tenant with four blocks of a day that are merged; `keep`: the sources' files are
 * there again, as after a crash before they were removed. Closed. */
struct merged {
    struct fs_sim *sim;
    char *shown;
    struct found *sources;
    char merge[600]; /* the merged block */
    char marker[64];
};

static struct merged *merged_new(uint64_t seed, bool keep)
{
    struct merged *m = NEW(struct merged);
    struct buf bytes[4];
    m->sim = fs_sim_new(seed);
    struct fs *fs = fs_sim_fs(m->sim);
    struct store *s = open_sim(m->sim);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(upload(s, "anonymous", "one", DAY0 + i * HOUR_NS, 2, i), ST_OK);
        assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    }
    m->sources = find_files(m->sim, ".efb");
    assert_int_equal(m->sources->n, 4);
    for (uint32_t i = 0; i < 4; i++)
        read_file(fs, m->sources->paths[i], &bytes[i]);
    m->shown = shown(s, "anonymous");
    compact(s, true);
    struct found *f = find_files(m->sim, ".efb");
    assert_int_equal(f->n, 1);
    snprintf(m->merge, sizeof m->merge, "%s", f->paths[0]);
    char name[32];
    marker_name(name, s->blocks[0]->epoch);
    snprintf(m->marker, sizeof m->marker, "data/epochs/%s", name);
    store_close(s);
    for (uint32_t i = 0; i < 4; i++) {
        if (keep)
            put_file(fs, m->sources->paths[i], buf_view(&bytes[i]));
        buf_done(&bytes[i]);
    }
    mem_free(f);
    return m;
}

static void merged_free(struct merged *m)
{
    mem_free(m->sources);
    mem_free(m->shown);
    fs_sim_free(m->sim);
    mem_free(m);
}

static void remove_file(struct fs_sim *sim, const char *path)
{
    char folder[600];
    struct fs *fs = fs_sim_fs(sim);
    assert_int_equal(fs->unlink(fs, path), 0);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    assert_int_equal(fs->dir_sync(fs, folder), 0);
}

/* Three starts: everything is there once, `files` blocks are, `bad` are counted as damaged. */
static void check_merged(struct merged *m, uint32_t files, double bad)
{
    double before = metric_get(M_BLOCKS_BAD);
    for (uint64_t i = 0; i < 3; i++) {
        struct store *s = open_sim(m->sim);
        assert_shown(s, "anonymous", m->shown);
        assert_int_equal(count_files(m->sim, ".efb"), files);
        if (i == 0)
            assert_true(metric_get(M_BLOCKS_BAD) == before + bad);
        assert_int_equal(store_expire(s, DAY0, NULL), ST_OK);
        assert_shown(s, "anonymous", m->shown);
        store_close(s);
        fs_sim_crash(m->sim, i);
    }
}

/* The marker is durable, the machine went down before anything else. */
static void test_sources_still_there(void **state)
{
    struct merged *m = merged_new(20, true);
    (void)state;
    check_merged(m, 1, 0);
    merged_free(m);
}

/* The sources' own markers do not call them retired yet. */
static void unmark_sources(struct merged *m)
{
    uint8_t id[16];
    const struct block_target to = {fs_sim_fs(m->sim), "data", id, 0};
    assert_int_equal(datadir_format(to.fs, to.dir, id, NULL), ST_OK);
    for (uint64_t epoch = 1; epoch <= 4; epoch++) {
        struct arena arena;
        struct marker marker;
        arena_init(&arena, GIB);
        assert_int_equal(marker_read(&to, epoch, &arena, &marker, NULL), ST_OK);
        for (uint32_t i = 0; i < marker.n; i++)
            marker.entries[i].retired = false;
        assert_int_equal(marker_write(&to, &marker, NULL), ST_OK);
        arena_done(&arena);
    }
}

static void test_sources_not_marked(void **state)
{
    struct merged *m = merged_new(21, true);
    (void)state;
    unmark_sources(m);
    check_merged(m, 1, 0); /* not missing */
    struct store *s = open_sim(m->sim);
    assert_int_equal(s->n_unmarked, 0);
    store_close(s);
    merged_free(m);
}

/* Without its marker a merge did not happen, as long as its sources are there. The sources' own
 * markers must not call them retired then. */
static void test_unfinished_merge(void **state)
{
    struct fs_sim *sim = fs_sim_new(22);
    struct store *s = open_sim(sim);
    (void)state;
    upload_days(s, 0, 60, 1);
    char *a = shown(s, "anonymous");
    uint32_t blocks = s->n_blocks, n = 0;
    struct block *sources[64];
    for (uint32_t i = 0; i < s->n_blocks; i++)
        if (str_eq(s->blocks[i]->tenant, STR("anonymous")))
            sources[n++] = s->blocks[i];
    const struct block_merge rq = {.to = &s->target,
        .sources = sources,
        .n_sources = n,
        .level = BLOCK_24H,
        .start_ns = DAY0,
        .epoch = 1000};
    struct block_file file;
    assert_int_equal(block_merge(&rq, &file, NULL), ST_OK);
    assert_int_equal(count_files(sim, ".efb"), blocks + 1);
    store_close(s);
    for (uint64_t i = 0; i < 3; i++) {
        s = open_sim(sim);
        assert_int_equal(count_files(sim, ".efb"), blocks);
        assert_shown(s, "anonymous", a);
        assert_true(s->next_epoch > 1000); /* its number is not used again */
        store_close(s);
        fs_sim_crash(sim, i);
    }
    mem_free(a);
    fs_sim_free(sim);
}

/* The marker is lost, the sources are gone: the block has what they had. */
static void test_lost_marker(void **state)
{
    for (int flip = 0; flip < 2; flip++) {
        struct merged *m = merged_new(23, false);
        (void)state;
        if (flip)
            assert_true(fs_sim_flip(m->sim, m->marker, 30, 2));
        else
            remove_file(m->sim, m->marker);
        check_merged(m, 1, flip);
        struct store *s = open_sim(m->sim); /* retention works without it */
        s->cfg.retention_ns = 1;
        assert_int_equal(store_expire(s, DAY0 + 9 * DAY_NS, NULL), ST_OK);
        store_close(s);
        s = open_sim(m->sim);
        assert_int_equal(rows_shown(s, "anonymous"), 0);
        assert_int_equal(count_files(m->sim, ".efb"), 0);
        store_close(s);
        merged_free(m);
    }
}

/* The marker is lost and some of the sources are still there, or came back; or a running store was
 * copied, markers first: then the sources' own markers know nothing of the merge. */
static void test_lost_marker_and_some_sources(void **state)
{
    (void)state;
    for (uint32_t left = 0; left < 8; left++) {
        struct merged *m = merged_new(24, true);
        remove_file(m->sim, m->marker);
        if (left >= 4)
            unmark_sources(m);
        for (uint32_t i = left % 4; i < 4; i++)
            remove_file(m->sim, m->sources->paths[i]);
        check_merged(m, 1, 0);
        merged_free(m);
    }
}

/* All markers are lost: the sources are there, so the merge is the copy. */
static void test_all_markers_lost(void **state)
{
    struct merged *m = merged_new(25, true);
    struct found *f = find_files(m->sim, ".done");
    (void)state;
    for (uint32_t i = 0; i < f->n; i++)
        remove_file(m->sim, f->paths[i]);
    check_merged(m, 4, 0);
    mem_free(f);
    merged_free(m);
}

/* The marker is lost and the block is damaged: what sources there are count. */
static void test_lost_marker_and_damage(void **state)
{
    struct merged *m = merged_new(26, true);
    struct found *f = find_files(m->sim, ".done");
    (void)state;
    for (uint32_t i = 0; i < f->n; i++)
        remove_file(m->sim, f->paths[i]);
    remove_file(m->sim, m->sources->paths[3]);
    assert_true(fs_sim_flip(m->sim, m->merge, 100, 1));
    struct store *s = open_sim(m->sim);
    assert_int_equal(rows_shown(s, "anonymous"), 3);
    store_close(s);
    mem_free(f);
    merged_free(m);
}

/* The marker is there, the block is damaged, and so are not its sources: nothing is removed. */
static void test_damaged_merge_with_sources(void **state)
{
    struct merged *m = merged_new(27, true);
    (void)state;
    assert_true(fs_sim_flip(m->sim, m->merge, 20, 1));
    struct store *s = open_sim(m->sim);
    assert_int_equal(rows_shown(s, "anonymous"), 0);
    assert_int_equal(count_files(m->sim, ".efb"), 5);
    store_close(s);
    assert_true(fs_sim_flip(m->sim, m->merge, 20, 1)); /* it can be read again */
    check_merged(m, 1, 0);
    merged_free(m);
}

/* Merges of merges, and every combination of lost markers and files that are back. Only of a file
 * that is back and of whose end no marker is left nobody can know. */
static void test_chains(void **state)
{
    enum { FILES = 4, MARKERS = 4 };
    (void)state;
    for (uint32_t mask = 0; mask < 1u << (FILES - 1 + MARKERS); mask++) {
        if ((mask & 0x19) == 0x19) /* file 0 is back, its marker and that of its merge are lost */
            continue;
        struct fs_sim *sim = fs_sim_new(mask);
        struct fs *fs = fs_sim_fs(sim);
        struct store *s = open_sim(sim);
        struct buf bytes[FILES];
        char paths[FILES][600];
        for (uint32_t i = 0; i < 2; i++) { /* block 0; merged to 1; block 2; 1 and 2 to 3 */
            assert_int_equal(upload(s, "anonymous", "one", DAY0 + i * HOUR_NS, 1, i), ST_OK);
            assert_int_equal(store_cut(s, "test", NULL), ST_OK);
            for (uint32_t k = 0; k < 2; k++) {
                struct found *f = find_files(sim, k ? "/24h/" : "/1h/");
                snprintf(paths[2 * i + k], sizeof paths[0], "%s", path_of_level(f, "/", 0));
                read_file(fs, paths[2 * i + k], &bytes[2 * i + k]);
                mem_free(f);
                if (k == 0)
                    compact(s, true);
            }
        }
        char *a = shown(s, "anonymous");
        store_close(s);
        struct found *markers = find_files(sim, ".done");
        assert_int_equal(markers->n, MARKERS);
        for (uint32_t i = 0; i < FILES; i++) {
            if (i + 1 < FILES && mask >> i & 1)
                put_file(fs, paths[i], buf_view(&bytes[i]));
            buf_done(&bytes[i]);
        }
        for (uint32_t i = 0; i < MARKERS; i++)
            if (mask >> (FILES - 1 + i) & 1)
                remove_file(sim, markers->paths[i]);
        for (uint64_t i = 0; i < 2; i++) {
            s = open_sim(sim);
            char *now = shown(s, "anonymous");
            if (strcmp(a, now) != 0)
                fail_msg("mask %x start %d:\n%s\nnot\n%s", mask, (int)i, now, a);
            mem_free(now);
            assert_int_equal(store_expire(s, DAY0, NULL), ST_OK);
            assert_shown(s, "anonymous", a);
            store_close(s);
            fs_sim_crash(sim, i);
        }
        mem_free(markers);
        mem_free(a);
        fs_sim_free(sim);
    }
}

/* A merge's number above an epoch's does not make that epoch's log look cut. */
static void test_missing_log_is_noticed(void **state)
{
    struct fs_sim *sim = fs_sim_new(28);
    struct store *s = open_sim(sim);
    double damage = metric_get(M_WAL_DAMAGE);
    (void)state;
    upload_days(s, 0, 20, 1);
    assert_int_equal(upload(s, "anonymous", "one", DAY0, 1, 1), ST_OK);
    assert_int_equal(upload(s, "anonymous", "one", DAY0, 1, 2), ST_OK);
    struct found *log = find_files(sim, "data/wal/");
    assert_int_equal(log->n, 1);
    compact(s, true); /* its numbers are higher than that of the epoch that is open */
    store_seal(s);
    assert_int_equal(upload(s, "anonymous", "one", DAY0, 1, 3), ST_OK);
    store_close(s);
    remove_file(sim, log->paths[0]);
    s = open_sim(sim);
    assert_true(metric_get(M_WAL_DAMAGE) == damage + 1);
    store_close(s);
    mem_free(log);
    fs_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_before_and_after),
        cmocka_unit_test(test_by_the_rules),
        cmocka_unit_test(test_view_is_held),
        cmocka_unit_test(test_nothing_is_left_behind),
        cmocka_unit_test(test_queries_during_merges),
        cmocka_unit_test(test_damaged_source),
        cmocka_unit_test(test_pause_that_fails),
        cmocka_unit_test(test_retention_during_a_merge),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_thread),
        cmocka_unit_test(test_sources_still_there),
        cmocka_unit_test(test_sources_not_marked),
        cmocka_unit_test(test_unfinished_merge),
        cmocka_unit_test(test_lost_marker),
        cmocka_unit_test(test_lost_marker_and_some_sources),
        cmocka_unit_test(test_all_markers_lost),
        cmocka_unit_test(test_lost_marker_and_damage),
        cmocka_unit_test(test_damaged_merge_with_sources),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_missing_log_is_noticed),
    };
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
