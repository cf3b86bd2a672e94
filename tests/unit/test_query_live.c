/* query over the real store: while uploads arrive, and over what was cut into blocks.
 *
 * Every upload has the total 10, so whatever a reader sees in the middle is a multiple of 10 that
 * only grows; stacks are new all the time, so nodes and symbols grow under the reader too. */
#include "test.h"

#include <stdatomic.h>
#include <sched.h>
#include <unistd.h>

#include "base/thread.h"
#include "fixture_store.h"
#include "query/query.h"

enum { UPLOADS = 600, TOTAL = 10, SEAL_EVERY = 150 };

static atomic_uint acknowledged;

static void on_done(void *ctx, enum status st, const struct error *err)
{
    (void)ctx;
    (void)err;
    if (st == ST_OK)
        atomic_fetch_add(&acknowledged, 1);
}

/* A stack that no upload had before: the number in base 10, as letters. */
static void number_stack(int n, char out[8])
{
    for (int i = 0; i < 5; i++, n /= 10)
        out[i] = (char)('a' + n % 10 + i * 2);
    out[5] = 0;
}

static void *upload(void *arg)
{
    struct store *s = arg;
    for (int i = 0; i < UPLOADS; i++) {
        char fresh[8];
        number_stack(i, fresh);
        const char *const stacks[] = {fresh, "abc"};
        const int64_t values[] = {3, TOTAL - 3};
        struct request rq;
        struct error err;
        request_init(&rq, i % 3 ? "one" : "two", stacks, values, 2, 1);
        while (store_append(s, STR("anonymous"), &rq.row, 1, on_done, NULL, &err) != ST_OK)
            sched_yield();
        arena_done(&rq.arena);
        if (i % SEAL_EVERY == SEAL_EVERY - 1)
            store_seal(s);
    }
    return NULL;
}

struct answers {
    int64_t tree, pprof, series, site;
    uint32_t services;
};

#define TYPE STR("cpu:type0:count::")
enum { AT_S = 1700000000 };

static int64_t points_of(struct query *q, struct m_stack_trace_selector *stacks)
{
    struct m_select_series_response rs = {0};
    struct error err = {0};
    struct m_select_series_request rq = {.profile_typeID = TYPE,
        .label_selector = STR("{}"),
        .start = AT_S * 1000LL,
        .end = AT_S * 1000LL,
        .step = 15,
        .stack_trace_selector = stacks};
    assert_int_equal(query_select_series(q, &rq, &rs, &err), ST_OK);
    return rs.series.n ? (int64_t)rs.series.v[0].points.v[0].value : 0;
}

static struct answers ask(struct store *s)
{
    struct arena arena;
    struct str tenant = STR("anonymous");
    struct query q = {.store = s, .tenants = &tenant, .n_tenants = 1, .arena = &arena};
    struct error err = {0};
    struct answers a = {0};
    struct m_select_merge_stacktraces_request rq = {.profile_typeID = TYPE,
        .label_selector = STR("{}"),
        .start = AT_S * 1000LL,
        .end = AT_S * 1000LL};
    struct m_select_merge_stacktraces_response tree = {0}, pprof = {0};
    struct m_names_response names = {0};
    struct m_label_values_request lv = {
        .name = STR("service_name"), .start = rq.start, .end = rq.end};
    struct m_location_name site[] = {{STR("a")}, {STR("b")}};
    struct m_stack_trace_selector stacks = {0};
    arena_init(&arena, 64 * MIB);
    assert_int_equal(query_label_values(&q, &lv, &names, &err), ST_OK);
    a.services = names.names.n;
    stacks.call_site.v = site;
    stacks.call_site.n = 2;
    a.site = points_of(&q, &stacks);
    assert_int_equal(query_select_merge_stacktraces(&q, &rq, &tree, &err), ST_OK);
    a.tree = tree.flamegraph->total;
    rq.format = M_FORMAT_PPROF;
    assert_int_equal(query_select_merge_stacktraces(&q, &rq, &pprof, &err), ST_OK);
    for (uint32_t i = 0; i < pprof.pprof->profile->sample.n; i++)
        a.pprof += pprof.pprof->profile->sample.v[i].value.v[0];
    a.series = points_of(&q, NULL);
    arena_done(&arena);
    return a;
}

static void check_order(const struct answers *before, const struct answers *now)
{
    assert_int_equal(now->tree % TOTAL, 0);
    assert_int_equal(now->pprof % TOTAL, 0);
    assert_int_equal(now->series % TOTAL, 0);
    assert_true(before->services <= now->services);
    assert_true(before->series <= now->tree);
    assert_true(now->tree <= now->pprof);
    assert_true(now->pprof <= now->series);
    assert_true(before->site <= now->site);
}

static void check_all(const struct answers *a)
{
    assert_int_equal(a->tree, UPLOADS * TOTAL);
    assert_int_equal(a->pprof, UPLOADS * TOTAL);
    assert_int_equal(a->series, UPLOADS * TOTAL);
    assert_int_equal(a->services, 2);
    assert_int_equal(a->site, UPLOADS * (TOTAL - 3));
}

static void test_while_uploads_arrive(void **state)
{
    (void)state;
    char dir[] = "/tmp/everflame-query-XXXXXX";
    struct store *s = NULL;
    struct error err = {0};
    pthread_t writer;
    struct answers before = {0};
    assert_non_null(mkdtemp(dir));
    const struct store_config cfg = {.dir = dir,
        .fs = &fs_real,
        .head_bytes_max = GIB,
        .segment_bytes_max = MIB,
        .queue_bytes_max = 64 * MIB,
        .no_maintenance = true};
    assert_int_equal(store_open(&cfg, &s, &err), ST_OK);
    assert_int_equal(thread_start(&writer, "upload", upload, s, &err), ST_OK);
    while (atomic_load(&acknowledged) < UPLOADS) {
        int64_t least = (int64_t)atomic_load(&acknowledged) * TOTAL;
        struct answers now = ask(s);
        check_order(&before, &now);
        assert_true(now.tree >= least); /* acknowledged means visible */
        before = now;
    }
    thread_join(writer);
    struct answers last = ask(s);
    check_order(&before, &last);
    check_all(&last);
    assert_int_equal(store_cut(s, "test", &err), ST_OK);
    struct answers blocks = ask(s);
    check_all(&blocks);
    store_close(s);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_while_uploads_arrive)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
