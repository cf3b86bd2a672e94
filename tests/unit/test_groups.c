/* Usage groups: what is refused, which groups a series is in, quotas, sampling, totals. */
#include "test.h"

#include "base/metrics.h"
#include "ingest/groups_int.h"
#include "ingest_fixture.h"

static int end(void **state)
{
    int st = fixture_end(state);
    compiled_forget();
    return st;
}
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_begin, end)

/* ── settings ── */

enum what { GROUPS, SAMPLING, QUOTAS };

static enum status compile(enum what what, const char *json, const void **ret, struct error *err)
{
    const struct usage_groups *g = NULL;
    const struct group_rules *r = NULL;
    enum status st = what == GROUPS     ? usage_groups_compile(str_from(json), &g, err)
                     : what == SAMPLING ? group_sampling_compile(str_from(json), &r, err)
                                        : group_quotas_compile(str_from(json), &r, err);
    *ret = what == GROUPS ? (const void *)g : (const void *)r;
    return st;
}

static const void *compiled(enum what what, const char *json)
{
    struct error err = {0};
    const void *ret = NULL;
    if (compile(what, json, &ret, &err) != ST_OK)
        fail_msg("%s", err.msg);
    return ret;
}

static void bad_settings_are_named(void **state)
{
    (void)state;
    static const struct {
        enum what what;
        const char *json, *text;
    } cases[] = {
        {GROUPS, "[]", "usage groups are not a mapping"},
        {GROUPS, "{\"a\":{}}", "usage group \"a\": its selector is not a string"},
        {GROUPS, "{\"a\":\"\"}",
            "usage group \"a\": unknown position: parse error: unexpected end of input"},
        {GROUPS, "{\"a\":\"{b=~\\\"(\\\"}\"}",
            "usage group \"a\": 1:2: parse error: error parsing regexp: missing ): ("},
        {GROUPS, "{\"\":\"{}\"}", "usage group \"\": the name of a usage group has 1 to 200 bytes"},
        {GROUPS, "{\"other\":\"{}\"}",
            "usage group \"other\": the name is taken for what is in no group"},
        {GROUPS, "{\"a\":\"{}\",\"a\":\"{}\"}", "usage group \"a\": it stands there twice"},
        {GROUPS, "{\"a${b}\":\"{}\"}",
            "usage group \"a${b}\": what ${ begins in a name is ${labels.<name>}"},
        {GROUPS, "{\"${labels.}\":\"{}\"}",
            "usage group \"${labels.}\": what ${ begins in a name is ${labels.<name>}"},
        {GROUPS, "{\"${labels.x\":\"{}\"}",
            "usage group \"${labels.x\": what ${ begins in a name is ${labels.<name>}"},
        {SAMPLING, "{\"a\":1}", "usage group \"a\": it is not a mapping"},
        {SAMPLING, "{\"a\":{\"probability\":1.5}}",
            "usage group \"a\": probability is not a number from 0 to 1"},
        {SAMPLING, "{\"a\":{\"probability\":\"-1\"}}",
            "usage group \"a\": probability is not a number from 0 to 1"},
        {SAMPLING, "{\"a\":{\"probability\":\"x\"}}",
            "usage group \"a\": probability is not a number from 0 to 1"},
        {SAMPLING, "{\"a\":{\"limit_reached\":true}}",
            "usage group \"a\": there is no setting limit_reached"},
        {SAMPLING, "{\"a\":{},\"b\":{},\"a\":{}}", "usage group \"a\" stands there twice"},
        {QUOTAS, "{\"a\":{\"limit_reached\":\"maybe\"}}",
            "usage group \"a\": limit_reached is out of its range"},
        {QUOTAS, "{\"a\":{\"period_limit_mb\":-1}}",
            "usage group \"a\": period_limit_mb is out of its range"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        const void *ret;
        assert_int_equal(compile(cases[i].what, cases[i].json, &ret, &err), ST_INVALID_ARGUMENT);
        assert_string_equal(err.msg, cases[i].text);
    }
}

static void there_are_at_most_fifty(void **state)
{
    (void)state;
    for (int n = USAGE_GROUPS_MAX; n <= USAGE_GROUPS_MAX + 1; n++) {
        struct buf b;
        struct error err = {0};
        const struct usage_groups *g = NULL;
        buf_init(&b, MIB);
        for (int i = 0; i < n; i++)
            buf_printf(&b, "%c\"g%d\":\"{}\"", i ? ',' : '{', i);
        buf_byte(&b, '}');
        assert_int_equal(usage_groups_compile(buf_view(&b), &g, &err),
            n > USAGE_GROUPS_MAX ? ST_INVALID_ARGUMENT : ST_OK);
        assert_string_equal(
            err.msg, n > USAGE_GROUPS_MAX ? "usage group \"g50\": more than 50 usage groups" : "");
        buf_done(&b);
    }
}

static void none_is_nothing(void **state)
{
    (void)state;
    for (enum what what = GROUPS; what <= QUOTAS; what++) {
        assert_null(compiled(what, ""));
        assert_null(compiled(what, "{}"));
    }
    const char *json = "{\"a\":\"{}\"}";
    assert_ptr_equal(compiled(GROUPS, json), compiled(GROUPS, json));
    assert_true(str_eq(usage_groups_text(compiled(GROUPS, json)), str_from(json)));
}

/* ── the groups of a series ── */

static double drawn;
static int n_draws;

static double draw(void *ctx)
{
    (void)ctx;
    n_draws++;
    return drawn;
}

/* The server's limits come from a file; here they are set, and draws are ours. */
static void set_up(const char *groups, const char *sampling, const char *quotas)
{
    struct ingest_config cfg = {
        .store = (struct store *)&fake, .limits = give_limits, .draw = draw};
    ingest_free(test_ingest);
    test_ingest = ingest_new(&cfg);
    test_limits.usage_groups = compiled(GROUPS, groups);
    test_limits.group_sampling = compiled(SAMPLING, sampling);
    test_limits.group_quotas = compiled(QUOTAS, quotas);
    n_draws = 0;
}

/* "name=metric name …" of a series with these labels, "a=1 b=2". */
static const char *groups_of(struct str tenant, const char *labels)
{
    struct label_set set = {0};
    struct str_split it = {str_from(labels), false};
    struct str pair;
    while (str_split_next(&it, ' ', &pair)) {
        size_t eq = str_find_char(pair, '=');
        assert_true(label_set_put(&set, &test_arena, str_head(pair, eq), str_skip(pair, eq + 1)));
    }
    struct ingest_request *rq = ingest_request_new(
        test_ingest, tenant, &test_arena, NOW_NS, outcome_set, &outcome);
    struct ingest_series *s = ingest_request_add(rq);
    s->labels = label_set_view(&set);
    assert_true(ingest_groups_find(rq, s));
    struct buf b;
    buf_init(&b, MIB);
    for (uint32_t i = 0; i < s->n_groups; i++)
        buf_printf(&b, "%s%.*s=%.*s", i ? " " : "", STR_ARG(s->groups[i].name),
            STR_ARG(s->groups[i].metric));
    const char *text = arena_cstr(&test_arena, buf_view(&b));
    buf_done(&b);
    return text;
}

static void a_series_is_in_every_group_that_holds(void **state)
{
    (void)state;
    struct str t = STR("t");
    assert_string_equal(groups_of(t, "a=1"), "");
    set_up("{\"one\":\"{a=\\\"1\\\"}\",\"not\":\"{b!=\\\"1\\\",a=~\\\".+\\\"}\","
           "\"x-${labels.a}-${labels.b}y\":\"{}\",\"${labels.c}\":\"{}\"}",
        "", "");
    assert_string_equal(groups_of(t, "a=1"), "one=one not=not");
    assert_string_equal(groups_of(t, "a=2 b=1"), "x-2-1y=x-2-1y");
    assert_string_equal(groups_of(t, "z=1"), "other=other");
    assert_string_equal(groups_of(t, "a=1 b=1 c=one"), "one=one x-1-1y=x-1-1y"); /* once */
    set_up("", "{\"other\":{\"probability\":0.5}}", "");
    assert_string_equal(groups_of(t, "a=1"), "other=other");
}

static void metrics_know_a_bounded_number_of_names(void **state)
{
    (void)state;
    char labels[300], want[600];
    set_up("{\"${labels.a}\":\"{}\"}", "", "");
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 80; i++) {
            snprintf(labels, sizeof labels, "a=n%d", i);
            snprintf(want, sizeof want, i < 64 ? "n%d=n%d" : "n%d=overflow", i, i);
            assert_string_equal(groups_of(STR("t"), labels), want);
        }
    assert_string_equal(groups_of(STR("u"), "a=n70"), "n70=n70");
    assert_string_equal(groups_of(STR("u"), "a=\xff"), "\xff=overflow");
    memset(labels, 'x', 203);
    memcpy(labels, "a=", 2);
    labels[203] = 0;
    assert_non_null(strstr(groups_of(STR("u"), labels), "=overflow"));
}

static void metrics_know_a_bounded_number_of_tenants(void **state)
{
    (void)state;
    int overflows = 0;
    set_up("{\"${labels.a}\":\"{}\"}", "", "");
    for (int i = 0; i < 600; i++) {
        char tenant[16];
        snprintf(tenant, sizeof tenant, "t%d", i);
        overflows += strcmp(groups_of(str_from(tenant), "a=1"), "1=overflow") == 0;
    }
    assert_int_equal(overflows, 600 - 512);
}

/* ── requests ── */

enum { SERIES_MAX = 4 };
static struct m_push_request request;
static struct m_raw_series series[SERIES_MAX];
static struct m_raw_sample samples[SERIES_MAX];
static struct m_label_pair pairs[SERIES_MAX][2];

/* One series per service, and what is answered. */
static void push(const char *const *services, struct str raw)
{
    memset(&request, 0, sizeof request);
    memset(&outcome, 0, sizeof outcome);
    request.series.v = series;
    for (; services[request.series.n]; request.series.n++) {
        uint32_t i = request.series.n;
        samples[i] = (struct m_raw_sample){raw, STR("id")};
        pairs[i][0] = (struct m_label_pair){STR("__name__"), STR("process_cpu")};
        pairs[i][1] = (struct m_label_pair){STR("service_name"), str_from(services[i])};
        series[i] = (struct m_raw_series){0};
        series[i].labels.v = pairs[i];
        series[i].labels.n = 2;
        series[i].samples.v = &samples[i];
        series[i].samples.n = 1;
    }
    struct ingest_push p = {STR("t"), &request, &test_arena, NOW_NS};
    ingest_push(test_ingest, &p, outcome_set, &outcome);
    assert_int_equal(outcome.calls, 1);
}
#define PUSH(raw, ...) push((const char *const[]){__VA_ARGS__, NULL}, raw)

static void upload(const char *name, const char *body)
{
    memset(&outcome, 0, sizeof outcome);
    const struct ingest_upload up = {.tenant = STR("t"),
        .name = str_from(name),
        .format = STR("groups"),
        .body = str_from(body),
        .arena = &test_arena,
        .now_ns = NOW_NS};
    ingest_upload(test_ingest, &up, outcome_set, &outcome);
    assert_int_equal(outcome.calls, 1);
}

static double discarded(const char *reason)
{
    return metric_get(M_DISCARDED_SAMPLES, str_from(reason), STR("t"));
}

static double group_discarded(const char *reason, const char *group)
{
    return metric_get(M_GROUP_DISCARDED, str_from(reason), STR("t"), str_from(group));
}

static void a_quota_refuses_what_is_in_its_group(void **state)
{
    (void)state;
    const char *text = "limit of 1.0 GiB/hour reached for usage group shops, "
                       "next reset at 2026-01-01T00:00:00Z";
    set_up("{\"shops\":\"{service_name=~\\\"a|b\\\"}\"}", "",
        "{\"shops\":{\"limit_reached\":true,\"period_limit_mb\":\"1024\"},"
        "\"other\":{\"limit_reached\":false}}");
    test_limits.quota.period = INGEST_HOUR;
    test_limits.quota.reset_s = 1767225600;
    struct str raw = small_pprof("", "");
    double before = discarded("ingest_limit_reached"),
           bytes = group_discarded("ingest_limit_reached", "shops");

    PUSH(raw, "a", "b"); /* all of it: to be sent again */
    assert_int_equal(outcome.st, ST_RESOURCE_EXHAUSTED);
    assert_string_equal(outcome.msg, text);
    assert_int_equal(fake.calls, 0);
    assert_true(discarded("ingest_limit_reached") == before + 2);
    assert_true(group_discarded("ingest_limit_reached", "shops") > bytes);

    PUSH(raw, "c", "a"); /* some of it: not again, or c would be stored twice */
    assert_int_equal(outcome.st, ST_FAILED_PRECONDITION);
    assert_non_null(strstr(outcome.msg, text));
    assert_non_null(strstr(outcome.msg, "1 of 2 profiles were refused"));
    assert_int_equal(fake.n_rows, 1);
    assert_non_null(strstr(fake.rows[0], "service_name=\"c\""));
    assert_true(discarded("ingest_limit_reached") == before + 3);

    upload("a", "x 1\n");
    assert_int_equal(outcome.http, 429);
    assert_string_equal(outcome.msg, text);
    upload("c", "x 1\n");
    assert_int_equal(outcome.st, ST_OK);
}

static void a_few_pass_a_quota(void **state)
{
    (void)state;
    set_up("", "", "{\"other\":{\"limit_reached\":true}}");
    test_limits.quota.requests = 1;
    test_limits.quota.requests_period_ns = NS_PER_S;
    upload("a", "x 1\n");
    assert_int_equal(outcome.st, ST_OK);
    assert_non_null(strstr(fake.rows[0], "pyroscope.ingest.throttled"));
    assert_non_null(strstr(fake.rows[0], "\\\"usageGroup\\\":\\\"other\\\"}}"));
    upload("a", "x 1\n");
    assert_int_equal(outcome.http, 429);
    fixture_end(state);
    fixture_begin(state);
    set_up("", "", "{\"other\":{\"limit_reached\":true}}"); /* with the tenant's: still one */
    test_limits.quota = (struct ingest_quota){
        .reached = true, .requests = 1, .requests_period_ns = NS_PER_S};
    upload("a", "x 1\n");
    assert_int_equal(outcome.st, ST_OK);
    upload("a", "x 1\n");
    assert_int_equal(outcome.http, 429);
}

static void sampling_is_by_the_smallest_probability(void **state)
{
    (void)state;
    set_up("{\"a\":\"{service_name=\\\"a\\\"}\",\"s-${labels.service_name}\":\"{service_name!="
           "\\\"c\\\"}\"}",
        "{\"a\":{\"probability\":0.5},\"s-${labels.service_name}\":{\"probability\":0.75},"
        "\"s-b\":{\"probability\":0.25}}",
        "");
    static const struct {
        const char *service;
        double drawn;
        bool kept;
    } cases[] = {{"a", 0.49, true}, {"a", 0.5, false}, {"b", 0.24, true}, {"b", 0.25, false},
        {"d", 0.74, true}, {"d", 0.75, false}, {"c", 0.99, true}};
    double before = discarded("dropped_by_sampling_rules");
    uint32_t kept = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        drawn = cases[i].drawn;
        upload(cases[i].service, "x 1\n");
        assert_int_equal(outcome.st, ST_OK);
        kept += cases[i].kept;
        assert_int_equal(fake.n_rows, kept);
        assert_true(
            discarded("dropped_by_sampling_rules") == before + (double)(i + 1) - (double)kept);
    }
    assert_int_equal(n_draws, 6); /* none for c, which is in no group that has a rule */
}

static void only_some_of_a_request_may_stay(void **state)
{
    (void)state;
    set_up("{\"a\":\"{service_name=\\\"a\\\"}\"}", "{\"a\":{\"probability\":0}}", "");
    PUSH(small_pprof("", ""), "a", "c", "a");
    assert_int_equal(outcome.st, ST_OK);
    assert_int_equal(fake.n_rows, 1);
    assert_non_null(strstr(fake.rows[0], "service_name=\"c\""));
    PUSH(small_pprof("", ""), "a");
    assert_int_equal(outcome.st, ST_OK);
    assert_int_equal(fake.calls, 1);
}

/* Three samples, two of them with a label; spans are forgotten. */
static struct str labelled_pprof(int64_t third)
{
    struct pprof_text t;
    pt_begin(&t, "cpu", "nanoseconds");
    uint32_t f = pt_string(&t, "f"), g = pt_string(&t, "g"), key = pt_string(&t, "thread"),
             value = pt_string(&t, "main");
    pt_frame(&t, 1, f, 0);
    pt_frame(&t, 2, g, 0);
    pt_sample(&t, 1, 5, 0, 0);
    pt_sample(&t, 1, 7, key, value);
    pt_sample(&t, 2, third, key, value);
    return pt_end(&t, NOW_NS - NS_PER_S);
}

static void totals_stay_by_label_set(void **state)
{
    (void)state;
    set_up("", "{\"other\":{\"probability\":0}}", "");
    test_limits.keep_stripped = true;
    test_limits.labels_per_series_max = 3; /* the new label does not count */
    double before = discarded("dropped_by_sampling_rules");
    PUSH(labelled_pprof(9), "a");
    assert_int_equal(outcome.st, ST_OK);
    assert_int_equal(fake.n_rows, 2);
    assert_string_equal(
        fake_row("{__name__=\"process_cpu\", __sampled__=\"true\", service_name=\"a\"}"),
        "{__name__=\"process_cpu\", __sampled__=\"true\", service_name=\"a\"} cpu/nanoseconds /:0 "
        "@1795382099000000000\n 5\n");
    assert_string_equal(fake_row("{__name__=\"process_cpu\", __sampled__=\"true\", "
                                 "service_name=\"a\", thread=\"main\"}"),
        "{__name__=\"process_cpu\", __sampled__=\"true\", service_name=\"a\", thread=\"main\"} "
        "cpu/nanoseconds /:0 @1795382099000000000\n 16\n");
    assert_true(discarded("dropped_by_sampling_rules") == before + 1);
    PUSH(labelled_pprof(INT64_MAX), "a");
    assert_int_equal(outcome.st, ST_INVALID_ARGUMENT);
    assert_string_equal(outcome.msg, "the profile has values whose sum exceeds 64 bits");
    assert_int_equal(fake.n_rows, 2);
    assert_true(discarded("dropped_by_sampling_rules") == before + 1);
}

static void text_uploads_keep_totals_too(void **state)
{
    (void)state;
    set_up("", "{\"other\":{\"probability\":0}}", "");
    test_limits.keep_stripped = true;
    upload("a", "x;y 1\nx;z 2\n");
    assert_int_equal(outcome.st, ST_OK);
    assert_int_equal(fake.n_rows, 1);
    assert_non_null(strstr(fake.rows[0], "__sampled__=\"true\""));
    assert_non_null(strstr(fake.rows[0], "\n 30000000\n"));
}

static void stages_and_parts_are_counted(void **state)
{
    (void)state;
    struct str t = STR("stages");
    set_up("{\"a\":\"{service_name=\\\"a\\\"}\"}", "{\"a\":{\"probability\":0}}", "");
    struct str raw = small_pprof("", "");
    for (int i = 0; i < 2; i++) {
        const struct ingest_upload up = {.tenant = t,
            .name = i ? STR("b") : STR("a"),
            .format = STR("pprof"),
            .body = raw,
            .arena = &test_arena,
            .now_ns = NOW_NS};
        memset(&outcome, 0, sizeof outcome);
        ingest_upload(test_ingest, &up, outcome_set, &outcome);
        assert_int_equal(outcome.st, ST_OK);
    }
    assert_true(metric_get(M_RECEIVED_STAGE, t, STR("received")) == 2.0 * (double)raw.n);
    assert_true(metric_get(M_RECEIVED_STAGE, t, STR("sampled")) == (double)raw.n);
    double of_samples = metric_get(M_RECEIVED_SAMPLE_BYTES, STR("process_cpu"), t);
    double symbols = metric_get(M_RECEIVED_SYMBOL_BYTES, STR("process_cpu"), t);
    assert_true(of_samples == 4); /* one location, one value */
    assert_true(of_samples + symbols == (double)raw.n);
    double whole = metric_get(M_GROUP_RECEIVED, STR("process_cpu"), t, STR("a"));
    assert_true(whole > (double)raw.n); /* with its labels */
    assert_true(
        metric_get(M_GROUP_DISCARDED, STR("dropped_by_sampling_rules"), t, STR("a")) == whole);
    assert_true(metric_get(M_GROUP_RECEIVED, STR("process_cpu"), t, STR("other")) == whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(bad_settings_are_named),
        T(there_are_at_most_fifty),
        T(none_is_nothing),
        T(a_series_is_in_every_group_that_holds),
        T(metrics_know_a_bounded_number_of_names),
        T(metrics_know_a_bounded_number_of_tenants),
        T(a_quota_refuses_what_is_in_its_group),
        T(a_few_pass_a_quota),
        T(sampling_is_by_the_smallest_probability),
        T(only_some_of_a_request_may_stay),
        T(totals_stay_by_label_set),
        T(text_uploads_keep_totals_too),
        T(stages_and_parts_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
