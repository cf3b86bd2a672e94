/* The store's quotas: what a tenant may have is refused whole, by name, and leaves nothing. */
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fixture_store.h"
#include "store/store_int.h"

/* Of one upload; several threads may have one each. */
struct outcome {
    atomic_bool done;
    enum store_refused refused;
    struct error err;
};

static void on_done(void *ctx, enum status st, const struct error *why)
{
    struct outcome *o = ctx;
    (void)why;
    assert_int_equal(st, ST_OK);
    atomic_store(&o->done, true);
}

static struct store *s;
static char dir[64];
static struct error err;
static enum store_refused refused;

static void open_again(uint32_t tenants_max)
{
    const struct store_config cfg = {.dir = dir,
        .fs = &fs_real,
        .head_bytes_max = GIB,
        .segment_bytes_max = MIB,
        .queue_bytes_max = 64 * MIB,
        .tenants_max = tenants_max,
        .no_maintenance = true};
    assert_int_equal(store_open(&cfg, &s, &err), ST_OK);
}

static int begin(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/everflame-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    open_again(2);
    return 0;
}

static int end(void **state)
{
    (void)state;
    char cmd[100];
    store_close(s);
    snprintf(cmd, sizeof cmd, "rm -r %s", dir);
    return system(cmd);
}

/* One upload of n series of a service: label `pod` from first on. Waits for the disk. */
static enum status put_as(struct outcome *o, const char *tenant, const char *service,
    uint32_t first, uint32_t n, const struct store_quota *quota)
{
    static const char *const stacks[] = {"ab"};
    const int64_t value = 1;
    struct request rq;
    request_init(&rq, service, stacks, &value, 1, 1);
    struct store_row *rows = ARENA_ZARRAY(&rq.arena, struct store_row, n);
    for (uint32_t i = 0; i < n; i++) {
        struct label *l = ARENA_ZARRAY(&rq.arena, struct label, 3);
        l[0] = rq.row.labels.v[0];
        l[1] = (struct label){STR("pod"), arena_printf(&rq.arena, "pod-%u", first + i)};
        l[2] = rq.row.labels.v[1];
        rows[i] = rq.row;
        rows[i].labels = (struct labels){l, 3};
    }
    enum status st = store_append_within(
        s, str_from(tenant), quota, rows, n, on_done, o, &o->refused, &o->err);
    while (st == ST_OK && !atomic_load(&o->done))
        sched_yield();
    arena_done(&rq.arena);
    return st;
}

static enum status put(const char *tenant, const char *service, uint32_t first, uint32_t n,
    const struct store_quota *quota)
{
    struct outcome o = {0};
    enum status st = put_as(&o, tenant, service, first, n, quota);
    err = o.err;
    refused = o.refused;
    return st;
}

static void refused_as(enum status st, enum store_refused why, const char *text)
{
    assert_int_equal(st, ST_RESOURCE_EXHAUSTED);
    assert_int_equal(refused, why);
    assert_string_equal(err.msg, text);
}

static const struct tenant_use *use_of(const char *tenant)
{
    return epoch_tenant_find(s->epoch, str_from(tenant), NULL);
}

static void series_are_counted_and_refused_whole(void **state)
{
    (void)state;
    const struct store_quota q = {.series_max = 10};
    assert_int_equal(put("t", "a", 0, 6, &q), ST_OK);
    assert_int_equal(use_of("t")->series, 6);
    refused_as(put("t", "a", 6, 5, &q), STORE_REFUSED_SERIES,
        "too many active series: 5 more would exceed the limit, current: 6, limit: 10 "
        "(max_active_series)");
    assert_int_equal(use_of("t")->series, 6);
    /* 8 rows, but 4 of them exist: exactly at the limit */
    assert_int_equal(put("t", "a", 2, 8, &q), ST_OK);
    assert_int_equal(use_of("t")->series, 10);
    assert_int_equal(use_of("t")->series_coming, 0);
    assert_int_equal(put("t", "a", 0, 10, &q), ST_OK); /* what exists goes on */
    refused_as(put("t", "a", 9, 2, &q), STORE_REFUSED_SERIES,
        "too many active series: 1 more would exceed the limit, current: 10, limit: 10 "
        "(max_active_series)");
    /* another tenant is not concerned */
    assert_int_equal(put("u", "a", 0, 10, &q), ST_OK);
}

static void refused_uploads_leave_no_strings(void **state)
{
    (void)state;
    const struct store_quota q = {.series_max = 1};
    assert_int_equal(put("t", "a", 0, 1, &q), ST_OK);
    const struct dataset *ds = epoch_dataset_find(s->epoch, STR("t"), STR("a"));
    uint32_t strings = symtab_counts(&ds->part.sym).strings;
    assert_int_equal(put("t", "a", 100, 50, &q), ST_RESOURCE_EXHAUSTED);
    assert_int_equal(symtab_counts(&ds->part.sym).strings, strings);
    assert_int_equal(put("t", "b", 0, 1, &q), ST_RESOURCE_EXHAUSTED);
    assert_null(epoch_dataset_find(s->epoch, STR("t"), STR("b")));
    assert_int_equal(use_of("t")->services, 1);
}

static void services_are_counted(void **state)
{
    (void)state;
    const struct store_quota q = {.services_max = 2};
    assert_int_equal(put("t", "a", 0, 5, &q), ST_OK);
    assert_int_equal(put("t", "b", 0, 5, &q), ST_OK);
    assert_int_equal(put("t", "a", 5, 5, &q), ST_OK);
    refused_as(put("t", "c", 0, 1, &q), STORE_REFUSED_SERVICES,
        "too many active services: 1 more would exceed the limit, current: 2, limit: 2 "
        "(max_active_services)");
    assert_null(epoch_dataset_find(s->epoch, STR("t"), STR("c")));
    const struct store_quota more = {.services_max = 3};
    assert_int_equal(put("t", "c", 0, 1, &more), ST_OK);
}

static void tenants_are_counted(void **state)
{
    (void)state;
    const struct store_quota q = {0};
    assert_int_equal(put("t", "a", 0, 1, &q), ST_OK);
    assert_int_equal(put("u", "a", 0, 1, &q), ST_OK);
    refused_as(put("v", "a", 0, 1, &q), STORE_REFUSED_TENANTS,
        "too many active tenants: v would be one more, current: 2, limit: 2 (store.max-tenants)");
    assert_int_equal(put("u", "b", 0, 1, &q), ST_OK);
}

static void a_tenant_has_a_share_of_the_head(void **state)
{
    (void)state;
    const struct store_quota q = {.head_bytes_max = 4 * MIB};
    enum status st = ST_OK;
    uint32_t n = 0;
    while (st == ST_OK && n < 1000)
        st = put("t", "a", 100 * n++, 100, &q);
    assert_int_equal(st, ST_RESOURCE_EXHAUSTED);
    assert_int_equal(refused, STORE_REFUSED_HEAD);
    assert_non_null(strstr(err.msg, "limit: 4194304 (max_head_bytes)"));
    assert_true(atomic_load(&s->tenant_half)); /* a cut is asked for */
    assert_true(use_of("t")->bytes <= 4 * MIB);
    assert_int_equal(put("u", "a", 0, 1, &q), ST_OK);
    /* Cut: the share is free again, and so are series. */
    assert_int_equal(store_cut(s, "test", &err), ST_OK);
    assert_null(use_of("t"));
    assert_int_equal(put("t", "a", 0, 100, &q), ST_OK);
}

enum { PODS = 300, PODS_MAX = 100 };
static atomic_int taken[PODS];
static atomic_bool wrong;

static void *put_pods(void *arg)
{
    const struct store_quota q = {.series_max = PODS_MAX, .services_max = 3};
    static const char *const services[] = {"a", "b", "c"};
    uint32_t first = *(uint32_t *)arg;
    for (uint32_t i = 0; i < PODS; i++) {
        struct outcome o = {0};
        uint32_t pod = (first + i) % PODS;
        enum status st = put_as(&o, "t", services[pod % 3], pod, 1, &q);
        if (st == ST_OK)
            atomic_store(&taken[pod], 1);
        else if (st != ST_RESOURCE_EXHAUSTED || o.refused != STORE_REFUSED_SERIES)
            atomic_store(&wrong, true);
    }
    return NULL;
}

/* Uploads of several threads at once reach the limit and never pass it. */
static void threads_share_a_limit(void **state)
{
    (void)state;
    pthread_t t[4];
    uint32_t firsts[4] = {0, 40, 150, 220};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, put_pods, &firsts[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    int n = 0;
    for (uint32_t i = 0; i < PODS; i++)
        n += atomic_load(&taken[i]);
    assert_false(atomic_load(&wrong));
    assert_int_equal(n, PODS_MAX);
    assert_int_equal(use_of("t")->series, PODS_MAX);
    assert_int_equal(use_of("t")->series_coming, 0);
}

static void replay_counts_and_a_new_epoch_starts_at_zero(void **state)
{
    (void)state;
    const struct store_quota q = {.series_max = 3};
    assert_int_equal(put("t", "a", 0, 3, &q), ST_OK);
    store_close(s);
    open_again(2);
    assert_int_equal(s->n_epochs, 2);
    assert_int_equal(epoch_tenant_find(s->epochs[0], STR("t"), NULL)->series, 3);
    assert_int_equal(put("t", "a", 10, 3, &q), ST_OK);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        T(series_are_counted_and_refused_whole),
        T(refused_uploads_leave_no_strings),
        T(services_are_counted),
        T(tenants_are_counted),
        T(a_tenant_has_a_share_of_the_head),
        T(threads_share_a_limit),
        T(replay_counts_and_a_new_epoch_starts_at_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
