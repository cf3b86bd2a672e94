/* ingest: push.v1. What is stored and what is answered when some, all or none of the series of a
 * request are good. */
#include "test.h"

#include "ingest_fixture.h"

#include "base/metrics.h"

enum { SERIES_MAX = 8, SAMPLES_MAX = 4, LABELS_MAX = 40 };

/* A request under construction; one series at a time. */
static struct m_push_request request;
static struct m_raw_series series[SERIES_MAX];
static struct m_raw_sample samples[SERIES_MAX][SAMPLES_MAX];
static struct m_label_pair pairs[SERIES_MAX][LABELS_MAX];

static void begin(void)
{
    memset(&request, 0, sizeof request);
    memset(series, 0, sizeof series);
    memset(&outcome, 0, sizeof outcome);
    request.series.v = series;
}

static struct m_raw_series *add_series(void)
{
    uint32_t i = request.series.n++;
    assert_true(i < SERIES_MAX);
    series[i].labels.v = pairs[i];
    series[i].samples.v = samples[i];
    return &series[i];
}

static void add_label(struct m_raw_series *s, const char *name, const char *value)
{
    assert_true(s->labels.n < LABELS_MAX);
    s->labels.v[s->labels.n++] = (struct m_label_pair){str_from(name), str_from(value)};
}

static void add_profile(struct m_raw_series *s, struct str raw)
{
    assert_true(s->samples.n < SAMPLES_MAX);
    s->samples.v[s->samples.n++] = (struct m_raw_sample){raw, STR("id-1")};
}

/* A series `process_cpu` of service `name` with one profile. */
static struct m_raw_series *add_service(const char *name, struct str raw)
{
    struct m_raw_series *s = add_series();
    add_label(s, "__name__", "process_cpu");
    add_label(s, "service_name", name);
    add_profile(s, raw);
    return s;
}

static void push(void)
{
    struct ingest_push p = {STR("t"), &request, &test_arena, NOW_NS};
    int before = outcome.calls;
    ingest_push(test_ingest, &p, outcome_set, &outcome);
    assert_int_equal(outcome.calls, fake.hold ? before : before + 1);
}

static void expect(enum status st, const char *msg, uint32_t rows)
{
    assert_string_equal(outcome.msg, msg);
    assert_int_equal(outcome.st, st);
    assert_int_equal(outcome.http, status_http(st));
    assert_int_equal(fake.n_rows, rows);
}

static double discarded(const char *reason)
{
    return metric_get(M_DISCARDED_SAMPLES, str_from(reason), STR("t"));
}

static void test_stored(void **state)
{
    (void)state;
    begin();
    add_service("a", small_pprof("", ""));
    struct m_raw_series *s = add_service("b", small_pprof("thread", "main"));
    add_label(s, "__delta__", "false");
    add_label(s, "empty", "");
    add_profile(s, small_pprof("", ""));
    push();
    expect(ST_OK, "", 3);
    assert_int_equal(fake.appends, 1); /* one append for the whole request */
    assert_string_equal(fake.rows[0],
        "{__name__=\"process_cpu\", service_name=\"a\"} cpu/nanoseconds /:0 @1795382099000000000\n"
        ";main 5\n");
    assert_non_null(
        fake_row("{__name__=\"process_cpu\", service_name=\"b\", thread=\"main\"} cpu"));
    assert_non_null(fake_row("{__name__=\"process_cpu\", service_name=\"b\"} cpu"));
}

static void test_defaults(void **state)
{
    (void)state;
    begin();
    struct m_raw_series *s = add_series();
    add_label(s, "__name__", "process_cpu");
    add_label(s, "__session_id__", "0600000000000000");
    add_label(s, "__type__", "lies");
    add_profile(s, small_pprof("", ""));
    push();
    expect(ST_OK, "", 1);
    assert_non_null(fake_row("{__name__=\"process_cpu\", service_name=\"unknown_service\"} "));
}

static void test_nothing(void **state)
{
    (void)state;
    begin();
    push();
    expect(ST_INVALID_ARGUMENT, "no profiles received", 0);
    struct m_raw_series *s = add_series();
    add_label(s, "__name__", "x");
    push();
    expect(ST_INVALID_ARGUMENT, "no profiles received", 0);
    /* a profile without samples is a success that stores nothing */
    struct pprof_text t;
    pt_begin(&t, "cpu", "nanoseconds");
    add_profile(s, pt_end(&t, NOW_NS));
    push();
    expect(ST_OK, "", 0);
    assert_int_equal(fake.calls, 0);
}

static void test_one_bad(void **state)
{
    (void)state;
    begin();
    struct m_raw_series *s = add_service("probe", small_pprof("", ""));
    add_label(s, "a", "1");
    add_label(s, "a", "2");
    double before = discarded("duplicate_label_names");
    push();
    expect(ST_INVALID_ARGUMENT,
        "profile with labels '{__name__=\"process_cpu\", a=\"1\", a=\"2\", "
        "service_name=\"probe\"}' has duplicate label name: 'a'",
        0);
    assert_true(discarded("duplicate_label_names") == before + 1);

    begin();
    s = add_series();
    add_label(s, "service_name", "probe");
    add_label(s, "__name__", "");
    add_profile(s, small_pprof("", ""));
    push();
    expect(ST_INVALID_ARGUMENT,
        "invalid labels '{service_name=\"probe\"}' with error: invalid metric name", 0);

    begin();
    s = add_service("probe", STR("\xff\xff\xff\xff"));
    push();
    assert_int_equal(outcome.st, ST_INVALID_ARGUMENT);
    assert_int_equal(outcome.http, 400);
    begin();
    add_service("probe", STR(""));
    push();
    assert_int_equal(outcome.st, ST_INVALID_ARGUMENT);
    assert_true(outcome.msg[0] != 0);
    assert_int_equal(fake.calls, 0);
}

/* The good ones are stored, the answer names the first bad one and comes when they are durable. */
static void test_partial(void **state)
{
    (void)state;
    begin();
    add_service("good1", small_pprof("", ""));
    struct m_raw_series *bad = add_service("bad", small_pprof("", ""));
    add_label(bad, "a", "1");
    add_label(bad, "a", "2");
    add_service("broken", STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
    add_service("good2", small_pprof("", ""));
    fake.hold = true;
    push();
    assert_int_equal(outcome.calls, 0);
    assert_int_equal(fake.appends, 1);
    fake_commit(ST_OK);
    assert_int_equal(outcome.calls, 1);
    expect(ST_INVALID_ARGUMENT,
        "profile with labels '{__name__=\"process_cpu\", a=\"1\", a=\"2\", service_name=\"bad\"}' "
        "has duplicate label name: 'a' (series 1, id 'id-1'): 2 of 4 profiles were refused",
        2);
    assert_non_null(fake_row("{__name__=\"process_cpu\", service_name=\"good1\"}"));
    assert_non_null(fake_row("{__name__=\"process_cpu\", service_name=\"good2\"}"));
}

/* A store that fails outranks the refusal: the client must send the good ones again. */
static void test_partial_and_store_fails(void **state)
{
    (void)state;
    for (int at_once = 0; at_once < 2; at_once++) {
        fake_reset();
        begin();
        add_service("good", small_pprof("", ""));
        struct m_raw_series *bad = add_service("bad", small_pprof("", ""));
        add_label(bad, "", "x");
        if (at_once) {
            fake.refuse_first = ST_UNAVAILABLE;
            fake.refuse_text = "the log is down";
        } else {
            fake.commit_status = ST_UNAVAILABLE;
        }
        push();
        assert_int_equal(outcome.st, ST_UNAVAILABLE);
        assert_int_equal(outcome.http, 503);
        assert_string_equal(outcome.msg, "the log is down");
    }
    fake_reset();
    begin();
    add_service("good", small_pprof("", ""));
    fake.commit_status = ST_DATA_LOSS;
    push();
    assert_int_equal(outcome.st, ST_DATA_LOSS);
}

static void test_rate(void **state)
{
    (void)state;
    test_limits.rate_bytes_per_s = (double)MIB;
    test_limits.burst_bytes = 150;
    begin();
    add_service("a", small_pprof("", "")); /* about 80 bytes and 31 of labels */
    struct m_raw_series *bad = add_service("b", small_pprof("", ""));
    add_label(bad, "", "x");
    double before = discarded("rate_limited");
    push();
    assert_int_equal(outcome.st, ST_RESOURCE_EXHAUSTED);
    assert_int_equal(outcome.http, 429);
    assert_int_equal(
        strncmp(outcome.msg, "push rate limit (1.0 MiB) exceeded while adding ", 48), 0);
    assert_int_equal(fake.calls, 0); /* nothing is stored, though one of them alone would fit */
    assert_true(discarded("rate_limited") == before + 2);
    begin();
    add_service("a", small_pprof("", ""));
    push();
    expect(ST_OK, "", 1);
}

/* Somebody else says that the limit is reached; a few uploads pass all the same. */
static void test_quota(void **state)
{
    (void)state;
    const char *text = "limit of 1.5 GiB/day reached, next reset at 2026-01-01T00:00:00Z";
    double before = discarded("ingest_limit_reached");
    begin();
    add_service("a", small_pprof("", ""));
    add_service("b", small_pprof("", ""));
    test_limits.quota = (struct ingest_quota){
        .reached = true, .period_bytes = 3 * GIB / 2, .period = INGEST_DAY, .reset_s = 1767225600};
    push();
    expect(ST_RESOURCE_EXHAUSTED, text, 0);
    assert_true(discarded("ingest_limit_reached") == before + 2);
    test_limits.quota.requests = 2;
    test_limits.quota.requests_period_ns = 60 * NS_PER_S;
    push();
    expect(ST_OK, "", 2);
    assert_non_null(strstr(fake.rows[1],
        "pyroscope.ingest.throttled=\"{\\\"body\\\":{\\\"periodType\\\":\\\"day\\\","
        "\\\"periodLimitMb\\\":1536,\\\"limitResetTime\\\":1767225600,"
        "\\\"samplingPeriodSec\\\":60,\\\"samplingRequests\\\":2,"
        "\\\"usageGroup\\\":\\\"\\\"}}\""));
    push();
    expect(ST_OK, "", 4);
    push();
    expect(ST_RESOURCE_EXHAUSTED, text, 4);
    test_limits.quota.reached = false;
    begin(); /* such a note is not a client's to make */
    add_label(add_service("a", small_pprof("", "")), "pyroscope.ingest.throttled", "x");
    push();
    expect(ST_OK, "", 5);
    assert_null(strstr(fake.rows[4], "throttled"));
}

static void test_scopes(void **state)
{
    (void)state;
    static const char *const good[] = {
        "1.2.3", "v0.10.0", "1.0.0-rc.1", "1.0.0+a-b.7", "1.0.0-x+y"};
    static const char *const bad[] = {"", "v", "1", "1.2", "1.2.", "01.2.3", "1.2.3.4", "1.2.3-",
        "1.2.3+", "1.2.3-a..b", "1.2.3 ", "1.2.x", "latest",
        "1.2.3-0123456789012345678901234567890123456789"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(str_eq(ingest_scope_version(str_from(good[i])), str_from(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(ingest_scope_version(str_from(bad[i])).n, 0);
    assert_true(str_eq(ingest_scope_name(STR("com.grafana.pyroscope/godeltaprof")),
        STR("com.grafana.pyroscope/godeltaprof")));
    assert_true(str_eq(ingest_scope_name(STR("com.grafana.pyroscope/")), STR("unknown")));

    struct str rust = STR("com.grafana.pyroscope/rust"), unknown = STR("unknown");
    double known = metric_get(M_PROFILES_RECEIVED, STR("t"), rust, STR("2.0.1"));
    double others = metric_get(M_PROFILES_RECEIVED, STR("t"), unknown, STR_EMPTY);
    begin();
    struct m_raw_series *s = add_service("a", small_pprof("", ""));
    add_label(s, "otel.scope.name", "com.grafana.pyroscope/rust");
    add_label(s, "otel.scope.version", "2.0.1");
    add_service("b", small_pprof("", ""));
    push();
    expect(ST_OK, "", 2);
    assert_true(metric_get(M_PROFILES_RECEIVED, STR("t"), rust, STR("2.0.1")) == known + 1);
    assert_true(metric_get(M_PROFILES_RECEIVED, STR("t"), unknown, STR_EMPTY) == others + 1);
}

static void test_size_limits(void **state)
{
    (void)state;
    test_limits.profile_bytes_max = 16;
    begin();
    add_service("a", small_pprof("", ""));
    push();
    assert_int_equal(outcome.st, ST_INVALID_ARGUMENT);
    assert_int_equal(fake.calls, 0);
    ingest_limits_default(&test_limits);
    test_limits.body_bytes_max = 100;
    begin();
    add_service("a", small_pprof("", ""));
    add_service("b", small_pprof("", ""));
    push();
    expect(
        ST_INVALID_ARGUMENT, "uncompressed batched profile payload size exceeds limit of 100 B", 0);
    assert_int_equal(fake.calls, 0);
}

static void test_window(void **state)
{
    (void)state;
    static const struct {
        int64_t offset_ns, older, newer;
        const char *ending; /* NULL: accepted */
    } cases[] = {
        {-3600 * NS_PER_S + NS_PER_MS, 3600, 600, NULL},
        {-3600 * NS_PER_S, 3600, 600,
            "(profile timestamp: 2026-11-22 20:15:00 +0000 UTC, the ingestion window starts at "
            "2026-11-22 20:15:00 +0000 UTC and ends at 2026-11-22 21:25:00 +0000 UTC)"},
        {600 * NS_PER_S - NS_PER_MS, 3600, 600, NULL},
        {600 * NS_PER_S, 3600, 600,
            "(profile timestamp: 2026-11-22 21:25:00 +0000 UTC, the ingestion window starts at "
            "2026-11-22 20:15:00 +0000 UTC and ends at 2026-11-22 21:25:00 +0000 UTC)"},
        {-3601 * NS_PER_S, 3600, 0,
            "(profile timestamp: 2026-11-22 20:14:59 +0000 UTC, the ingestion window starts at "
            "2026-11-22 20:15:00 +0000 UTC)"},
        {601 * NS_PER_S, 0, 600,
            "(profile timestamp: 2026-11-22 21:25:01 +0000 UTC, the ingestion window ends at "
            "2026-11-22 21:25:00 +0000 UTC)"},
        {-100000 * NS_PER_S, 0, 600, NULL},
        {100000 * NS_PER_S, 3600, 0, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fake_reset();
        test_limits.reject_older_than_ns = cases[i].older * NS_PER_S;
        test_limits.reject_newer_than_ns = cases[i].newer * NS_PER_S;
        struct pprof_text t;
        pt_begin(&t, "cpu", "nanoseconds");
        pt_frame(&t, 1, pt_string(&t, "main"), 0);
        pt_sample(&t, 1, 5, 0, 0);
        begin();
        add_service("a", pt_end(&t, NOW_NS + cases[i].offset_ns));
        push();
        if (!cases[i].ending) {
            expect(ST_OK, "", 1);
            continue;
        }
        assert_int_equal(outcome.st, ST_INVALID_ARGUMENT);
        const char *head = "profile with labels '{__name__=\"process_cpu\", "
                           "service_name=\"a\"}' is outside of ingestion window ";
        assert_int_equal(strncmp(outcome.msg, head, strlen(head)), 0);
        assert_string_equal(outcome.msg + strlen(head), cases[i].ending);
    }
}

static struct str overflowing(void)
{
    struct pprof_text t;
    pt_begin(&t, "cpu", "nanoseconds");
    uint32_t a = pt_string(&t, "a"), b = pt_string(&t, "b");
    pt_frame(&t, 1, a, 0);
    pt_frame(&t, 2, b, 0);
    pt_sample(&t, 1, INT64_MAX, 0, 0);
    pt_sample(&t, 2, 1, 0, 0);
    return pt_end(&t, NOW_NS);
}

/* The store refuses sums beyond 64 bits without saying which row it was. */
static void test_overflow(void **state)
{
    (void)state;
    begin();
    add_service("a", small_pprof("", ""));
    add_service("big", overflowing());
    add_service("b", small_pprof("k", "v"));
    fake.refuse_first = ST_OUT_OF_RANGE;
    fake.refuse_text = "sum";
    push();
    expect(ST_INVALID_ARGUMENT,
        "the profile with labels '{__name__=\"process_cpu\", service_name=\"big\"}' has values "
        "whose sum exceeds 64 bits (series 1, id 'id-1'): 1 of 3 profiles were refused",
        2);
    assert_non_null(fake_row("{__name__=\"process_cpu\", service_name=\"a\"}"));
    assert_non_null(fake_row("{__name__=\"process_cpu\", k=\"v\", service_name=\"b\"}"));

    fake_reset();
    begin();
    add_service("big", overflowing());
    fake.refuse_first = ST_OUT_OF_RANGE;
    fake.refuse_text = "sum";
    push();
    expect(ST_INVALID_ARGUMENT,
        "the profile with labels '{__name__=\"process_cpu\", service_name=\"big\"}' has values "
        "whose sum exceeds 64 bits",
        0);
    assert_int_equal(fake.appends, 0);
}

/* However small the arena: one answer, nothing stored, and one that says why. */
static void test_small_arenas(void **state)
{
    (void)state;
    struct str raw = small_pprof("k", "v");
    bool stored = false;
    for (size_t limit = 0; limit < 256 * KIB && !stored; limit += 4096) {
        fake_reset();
        struct arena small;
        arena_init(&small, limit);
        begin();
        for (int i = 0; i < SERIES_MAX; i++)
            add_service("svc", raw);
        struct ingest_push p = {STR("t"), &request, &small, NOW_NS};
        ingest_push(test_ingest, &p, outcome_set, &outcome);
        assert_int_equal(outcome.calls, 1);
        stored = outcome.st == ST_OK;
        if (!stored) {
            assert_int_equal(outcome.st, ST_RESOURCE_EXHAUSTED);
            assert_int_equal(fake.calls, 0);
        }
        arena_done(&small);
    }
    assert_true(stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(test_stored),
        TEST_OF(test_defaults),
        TEST_OF(test_nothing),
        TEST_OF(test_one_bad),
        TEST_OF(test_partial),
        TEST_OF(test_partial_and_store_fails),
        TEST_OF(test_rate),
        TEST_OF(test_quota),
        TEST_OF(test_scopes),
        TEST_OF(test_size_limits),
        TEST_OF(test_window),
        TEST_OF(test_overflow),
        TEST_OF(test_small_arenas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
