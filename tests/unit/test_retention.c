/* Retention per tenant and of all: by age, by bytes, by the disk; what cannot be served expires as
 * well; markers and folders go with their blocks. */
#include "test.h"

#include "base/log.h"
#include "fixture_blocks.h"

struct limits {
    struct store_keep a, b; /* of tenants "a" and "b"; others: nothing is said */
    struct mutex lock;      /* of a rank as the server's: asked for before any lock of the store */
};

static void keep(void *ctx, struct str tenant, struct store_keep *ret_keep)
{
    struct limits *l = ctx;
    mutex_lock(&l->lock);
    if (str_eq(tenant, STR("a")))
        *ret_keep = l->a;
    if (str_eq(tenant, STR("b")))
        *ret_keep = l->b;
    mutex_unlock(&l->lock);
}

struct env {
    struct fs_sim *sim;
    struct store *s;
    struct limits limits;
};

static void open_env(struct env *e)
{
    struct store_config cfg = sim_config(e->sim);
    cfg.keep = keep;
    cfg.keep_ctx = &e->limits;
    assert_int_equal(store_open(&cfg, &e->s, NULL), ST_OK);
}

static struct env *env_new(uint64_t seed)
{
    struct env *e = NEW(struct env);
    e->sim = fs_sim_new(seed);
    mutex_init(&e->limits.lock, "limits", RANK_TENANTS);
    open_env(e);
    return e;
}

static void env_restart(struct env *e, uint64_t seed)
{
    store_close(e->s);
    fs_sim_crash(e->sim, seed);
    open_env(e);
}

static void env_free(struct env *e)
{
    store_close(e->s);
    mutex_done(&e->limits.lock);
    fs_sim_free(e->sim);
    mem_free(e);
}

/* One block per hour. */
static void fill(struct env *e, const char *tenant, int from_hour, int n)
{
    for (int i = from_hour; i < from_hour + n; i++)
        assert_int_equal(upload(e->s, tenant, "one", T0 + i * HOUR_NS, 1, 1), ST_OK);
    assert_int_equal(store_cut(e->s, "test", NULL), ST_OK);
}

static void expire_at(struct env *e, int64_t now_ns)
{
    struct error err = {0};
    if (store_expire(e->s, now_ns, &err) != ST_OK)
        fail_msg("store_expire: %s", err.msg);
}

static uint64_t bytes_of(struct env *e, const char *tenant)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < e->s->n_blocks; i++)
        if (!tenant || str_eq(e->s->blocks[i]->tenant, str_from(tenant)))
            bytes += e->s->blocks[i]->file_bytes;
    return bytes;
}

/* The hours from first on are what the tenant has. */
static void assert_hours(struct env *e, const char *tenant, int first, int n)
{
    const struct store_view *v = NULL;
    assert_int_equal(rows_shown(e->s, tenant), n);
    assert_int_equal(store_view_acquire(e->s, str_from(tenant), STR_EMPTY, T0 + first * HOUR_NS,
                         INT64_MAX, &v, NULL),
        ST_OK);
    assert_int_equal(v->n, n);
    store_view_release(e->s, v);
}

static void test_age_per_tenant(void **state)
{
    struct env *e = env_new(1);
    (void)state;
    fill(e, "a", 0, 10);
    fill(e, "b", 0, 10);
    fill(e, "c", 0, 10);
    e->limits.a.age_ns = 3 * HOUR_NS;
    e->limits.b.age_ns = 7 * HOUR_NS;
    e->s->cfg.retention_ns = 8 * HOUR_NS; /* of whom nothing is said */
    expire_at(e, T0 + 10 * HOUR_NS + 1);
    assert_hours(e, "a", 8, 2);
    assert_hours(e, "b", 4, 6);
    assert_hours(e, "c", 3, 7);
    e->limits.a.age_ns = HOUR_NS; /* changes count at once */
    e->limits.b.age_ns = 0;
    expire_at(e, T0 + 10 * HOUR_NS + 1);
    assert_hours(e, "a", 10, 0);
    assert_hours(e, "b", 4, 6);
    env_restart(e, 5);
    assert_hours(e, "a", 10, 0);
    assert_hours(e, "b", 4, 6);
    env_free(e);
}

static void test_now_at_the_ends_of_time(void **state)
{
    struct env *e = env_new(2);
    (void)state;
    fill(e, "a", 0, 3);
    e->limits.a.age_ns = HOUR_NS;
    expire_at(e, INT64_MIN);
    assert_hours(e, "a", 0, 3);
    e->limits.a.age_ns = INT64_MAX;
    expire_at(e, -5);
    assert_hours(e, "a", 0, 3);
    env_free(e);
}

static void test_bytes_per_tenant(void **state)
{
    struct env *e = env_new(3);
    (void)state;
    fill(e, "a", 0, 10);
    fill(e, "b", 0, 10);
    e->limits.a.bytes = bytes_of(e, "a") / 2;
    e->limits.b.bytes = bytes_of(e, "b");
    expire_at(e, T0);
    assert_hours(e, "a", 5, 5);
    assert_hours(e, "b", 0, 10);
    e->limits.b.bytes = 1;
    expire_at(e, T0);
    assert_hours(e, "b", 10, 0);
    env_free(e);
}

/* The tenant that has the most gives first: the others lose nothing before it is as small. */
static void test_bytes_of_all(void **state)
{
    struct env *e = env_new(4);
    (void)state;
    fill(e, "a", 0, 12);
    fill(e, "b", 0, 4);
    fill(e, "c", 0, 2);
    uint64_t block = bytes_of(e, "c") / 2;
    e->s->cfg.retention_bytes = bytes_of(e, NULL) - 7 * block;
    expire_at(e, T0);
    assert_hours(e, "a", 7, 5);
    assert_hours(e, "b", 0, 4);
    assert_hours(e, "c", 0, 2);
    e->s->cfg.retention_bytes = 6 * block + block / 2;
    expire_at(e, T0);
    assert_hours(e, "a", 10, 2);
    assert_hours(e, "b", 2, 2);
    assert_hours(e, "c", 0, 2);
    env_free(e);
}

static void test_disk(void **state)
{
    struct env *e = env_new(5);
    (void)state;
    fill(e, "a", 0, 20);
    fill(e, "b", 0, 5);
    uint64_t all = bytes_of(e, NULL), total = all * 2;
    e->s->cfg.retention_disk_percent = 85;
    fs_sim_disk(e->sim, total, total / 5);
    expire_at(e, T0); /* 70 %, and what markers and the log have */
    assert_hours(e, "a", 0, 20);
    fs_sim_disk(e->sim, total, total * 3 / 10);
    expire_at(e, T0);
    uint64_t free_bytes = 0, said = 0;
    fs_sim_fs(e->sim)->space(fs_sim_fs(e->sim), "data", &free_bytes, &said);
    assert_true(total - free_bytes <= total / 100 * 85);
    assert_true(total - free_bytes > total / 100 * 75); /* and no more than needed */
    assert_hours(e, "b", 0, 5);
    uint32_t left = e->s->n_blocks;
    expire_at(e, T0);
    assert_int_equal(e->s->n_blocks, left);
    env_free(e);
}

/* Files that queries hold do not count twice: the next run takes no more for them. */
static void test_disk_with_files_held(void **state)
{
    struct env *e = env_new(6);
    const struct store_view *v = NULL;
    (void)state;
    fill(e, "a", 0, 20);
    uint64_t all = bytes_of(e, NULL);
    e->s->cfg.retention_disk_percent = 50;
    assert_int_equal(
        store_view_acquire(e->s, STR("a"), STR_EMPTY, INT64_MIN, INT64_MAX, &v, NULL), ST_OK);
    fs_sim_disk(e->sim, all * 2, all / 2);
    expire_at(e, T0);
    uint32_t left = e->s->n_blocks;
    assert_in_range(left, 2, 19);
    assert_int_equal(count_files(e->sim, ".efb"), 20);
    for (int i = 0; i < 3; i++)
        expire_at(e, T0);
    assert_int_equal(e->s->n_blocks, left);
    store_view_release(e->s, v);
    expire_at(e, T0);
    assert_in_range(e->s->n_blocks, left - 1, left);
    env_free(e);
}

/* Of a disk that others filled, a part stays for blocks: otherwise nothing new would live a minute.
 */
static void test_disk_that_others_filled(void **state)
{
    struct env *e = env_new(7);
    (void)state;
    fill(e, "a", 0, 20);
    uint64_t all = bytes_of(e, NULL);
    e->s->cfg.retention_disk_percent = 85;
    fs_sim_disk(e->sim, all * 10, all * 9);
    expire_at(e, T0);
    assert_true(bytes_of(e, NULL) <= all / 2);
    assert_true(bytes_of(e, NULL) > all / 2 - all / 10);
    e->s->cfg.retention_disk_percent = 0;
    fs_sim_disk(e->sim, all, all);
    uint32_t left = e->s->n_blocks;
    expire_at(e, T0);
    assert_int_equal(e->s->n_blocks, left);
    env_free(e);
}

/* Folders below blocks/, whatever is in them. */
static void count_folders(struct fs *fs, const char *path, uint32_t *n);
struct folders {
    struct fs *fs;
    const char *path;
    uint32_t *n;
};
static void folder_one(void *ctx, const char *name, bool is_dir)
{
    const struct folders *f = ctx;
    char path[600];
    if (!is_dir)
        return;
    ++*f->n;
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    count_folders(f->fs, path, f->n);
}
static void count_folders(struct fs *fs, const char *path, uint32_t *n)
{
    struct folders f = {fs, path, n};
    assert_int_equal(fs->dir_list(fs, path, folder_one, &f), 0);
}

static void test_folders_go(void **state)
{
    struct env *e = env_new(8);
    struct fs *fs = fs_sim_fs(e->sim);
    uint32_t n = 0;
    (void)state;
    fill(e, "a", 0, 1);  /* 2023-11-14 */
    fill(e, "a", 10, 1); /* 2023-11-15 */
    fill(e, "b", 0, 1);
    count_folders(fs, "data/blocks", &n);
    assert_int_equal(n, 2 + 2 + 3);
    e->limits.a.age_ns = e->limits.b.age_ns = HOUR_NS;
    expire_at(e, T0 + 5 * HOUR_NS);
    n = 0;
    count_folders(fs, "data/blocks", &n);
    assert_int_equal(n, 3); /* a, its level, its second day */
    put_file(fs, "data/blocks/a/notes", STR("mine"));
    expire_at(e, T0 + 50 * HOUR_NS);
    n = 0;
    count_folders(fs, "data/blocks", &n);
    assert_int_equal(n, 1); /* a: something of somebody else is in it */
    assert_int_equal(count_files(e->sim, "notes"), 1);
    fill(e, "b", 60, 1); /* and they are made again */
    assert_hours(e, "b", 60, 1);
    for (uint64_t i = 0; i < 5; i++) {
        env_restart(e, i);
        assert_hours(e, "a", 0, 0);
        assert_hours(e, "b", 60, 1);
    }
    env_free(e);
}

/* A damaged block and a missing one: they keep their marker until their day is too old. */
static void test_broken_blocks_expire(void **state)
{
    struct env *e = env_new(9);
    double bad = metric_get(M_BLOCKS_BAD);
    (void)state;
    fill(e, "a", 0, 1);
    fill(e, "a", 1, 1);
    fill(e, "a", 40, 1);
    struct found *f = find_files(e->sim, ".efb");
    assert_int_equal(f->n, 3);
    assert_true(fs_sim_flip(e->sim, f->paths[0], 20, 3));
    assert_int_equal(fs_sim_fs(e->sim)->unlink(fs_sim_fs(e->sim), f->paths[1]), 0);
    assert_int_equal(
        fs_sim_fs(e->sim)->dir_sync(fs_sim_fs(e->sim), "data/blocks/a/1h/2023-11-14"), 0);
    env_restart(e, 1);
    assert_hours(e, "a", 40, 1);
    assert_true(metric_get(M_BLOCKS_BAD) == bad + 2);
    assert_int_equal(e->s->n_broken, 2);
    e->limits.a.age_ns = 10 * HOUR_NS;
    expire_at(e, T0 + 11 * HOUR_NS); /* the day ends at T0 + 2 h */
    assert_int_equal(count_files(e->sim, ".efb"), 2);
    assert_int_equal(count_files(e->sim, ".done"), 3);
    expire_at(e, T0 + 12 * HOUR_NS + 1);
    assert_int_equal(count_files(e->sim, ".efb"), 1);
    assert_int_equal(count_files(e->sim, ".done"), 1);
    assert_true(metric_get(M_BLOCKS_BAD) == bad);
    env_restart(e, 2);
    assert_true(metric_get(M_BLOCKS_BAD) == bad);
    assert_hours(e, "a", 40, 1);
    mem_free(f);
    env_free(e);
}

/* A marker keeps what it replaces through reading and writing; its check covers it. */
static void test_marker_replaces(void **state)
{
    struct env *e = env_new(10);
    struct arena arena;
    struct marker_entry entry = {STR("a/24h/2023-11-14/X.efb"), 10, 20, false};
    struct str replaces[] = {STR("a/1h/2023-11-14/Y.efb"), STR("a/1h/2023-11-14/Z z.efb")};
    const struct marker m = {.epoch = 77,
        .next_seq = 5,
        .entries = &entry,
        .n = 1,
        .replaces = replaces,
        .n_replaces = 2};
    struct marker back;
    (void)state;
    arena_init(&arena, GIB);
    assert_int_equal(marker_write(&e->s->target, &m, NULL), ST_OK);
    assert_int_equal(marker_read(&e->s->target, 77, &arena, &back, NULL), ST_OK);
    assert_int_equal(back.n, 1);
    assert_int_equal(back.n_replaces, 2);
    assert_true(str_eq(back.replaces[0], replaces[0]) && str_eq(back.replaces[1], replaces[1]));
    assert_true(str_eq(back.entries[0].path, entry.path));
    assert_int_equal(marker_remove(&e->s->target, 77), 0);
    arena_done(&arena);
    env_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_age_per_tenant),
        cmocka_unit_test(test_now_at_the_ends_of_time),
        cmocka_unit_test(test_bytes_per_tenant),
        cmocka_unit_test(test_bytes_of_all),
        cmocka_unit_test(test_disk),
        cmocka_unit_test(test_disk_with_files_held),
        cmocka_unit_test(test_disk_that_others_filled),
        cmocka_unit_test(test_folders_go),
        cmocka_unit_test(test_broken_blocks_expire),
        cmocka_unit_test(test_marker_replaces),
    };
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
