/* ingest: OTLP, from the message to the rows of the store (its double, ingest_fixture.h). */
#include "test.h"

#include "ingest_fixture.h"
#include "otlp_make.h"

#include "base/metrics.h"
#include "codec/gzip.h"
#include "ingest/otlp.h"

static struct otlp_make m;

static void send(struct str message, bool json)
{
    memset(&outcome, 0, sizeof outcome);
    fake_reset();
    struct ingest_otlp request = {.tenant = STR("t"),
        .message = message,
        .json = json,
        .received_bytes = message.n,
        .arena = &test_arena,
        .now_ns = NOW_NS};
    ingest_otlp(test_ingest, &request, outcome_set, &outcome);
    assert_int_equal(outcome.calls, 1);
}

static void expect_rows(uint32_t n)
{
    if (outcome.st != ST_OK)
        fail_msg("%s", outcome.msg);
    assert_int_equal(fake.n_rows, n);
}

static void expect_refused(enum status st, int http, const char *msg)
{
    assert_int_equal(outcome.st, st);
    assert_int_equal(outcome.http, http);
    assert_string_equal(outcome.msg, msg);
}

/* A profile of that type with one sample of `main`: values, or timestamps. */
static struct buf small(const char *type, const char *unit, const char *period_type,
    const char *period_unit, uint64_t period, uint32_t n_times, int64_t value)
{
    struct buf p = om_profile(&m, type, unit, period_type, period_unit, period, NOW_NS - NS_PER_S);
    struct om_sample s = {om_frame(&m, "main"), 0, 0, !n_times, n_times, {0}, {value}};
    om_sample(&p, &s);
    return p;
}

static void send_one(struct buf *profile)
{
    send(om_message(&m, "shop", profile, &test_arena), false);
}

#define HEAD(name) \
    "{__name__=\"" name "\", __otel__=\"true\", service.name=\"shop\", service_name=\"shop\"} "

/* ── §5.6: names and values ── */

static void test_cpu(void **state)
{
    (void)state;
    om_begin(&m);
    struct buf p = small("samples", "count", "cpu", "nanoseconds", 10000000, 5, 0);
    send_one(&p);
    expect_rows(1);
    assert_string_equal(fake.rows[0],
        HEAD("process_cpu") "cpu/nanoseconds cpu/nanoseconds:10000000 "
                            "@1795382099000000000\n;main 50000000\n");
    om_begin(&m);
    p = small("samples", "count", "cpu", "nanoseconds", 1000, 0, 3); /* a value counts first */
    send_one(&p);
    expect_rows(1);
    assert_string_equal(fake.rows[0], HEAD("process_cpu") "cpu/nanoseconds cpu/nanoseconds:1000 "
                                                          "@1795382099000000000\n;main 3000\n");
    om_begin(&m);
    p = small("samples", "count", "cpu", "nanoseconds", 4, 0, INT64_MAX / 2);
    send_one(&p); /* saturates */
    expect_rows(1);
    assert_non_null(strstr(fake.rows[0], ";main 9223372036854775807\n"));
}

static void test_off_cpu(void **state)
{
    (void)state;
    om_begin(&m);
    struct buf p = om_profile(&m, "off_cpu", "nanoseconds", NULL, NULL, 0, NOW_NS);
    om_sample(&p, &(struct om_sample){om_frame(&m, "main"), 0, 0, 3, 3, {0}, {1, 2, 4}});
    send_one(&p);
    expect_rows(1);
    assert_string_equal(
        fake.rows[0], HEAD("off_cpu") "off_cpu/nanoseconds /:0 @1795382100000000000\n;main 7\n");
}

static void test_other_names(void **state)
{
    (void)state;
    static const struct {
        const char *type, *period_type;
        uint64_t period;
        const char *row;
    } cases[] = {
        {"wall", "wall", 1, HEAD("wall") "wall/nanoseconds wall/nanoseconds:1 "},
        {"alloc", "space", 1, HEAD("space") "alloc/nanoseconds space/nanoseconds:1 "},
        /* without a period the type itself, though the period type is kept */
        {"alloc", "space", 0, HEAD("alloc") "alloc/nanoseconds space/nanoseconds:0 "},
        {"events", NULL, 5, HEAD("events") "events/nanoseconds /:5 "},
        {"samples", "cpu", 1, HEAD("cpu") "samples/nanoseconds cpu/nanoseconds:1 "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        om_begin(&m);
        struct buf p = small(cases[i].type, "nanoseconds", cases[i].period_type, "nanoseconds",
            cases[i].period, 2, 0);
        send_one(&p);
        expect_rows(1);
        size_t n = strlen(cases[i].row);
        if (strncmp(fake.rows[0], cases[i].row, n) != 0)
            fail_msg("%s", fake.rows[0]);
        assert_string_equal(fake.rows[0] + n, "@1795382099000000000\n;main 2\n");
    }
    om_begin(&m);
    struct buf p = small("", "", NULL, NULL, 0, 1, 0);
    send_one(&p);
    assert_int_equal(outcome.st, ST_INVALID_ARGUMENT);
    assert_non_null(strstr(outcome.msg, "with error: invalid metric name"));
}

static void test_time(void **state)
{
    (void)state;
    om_begin(&m);
    struct buf p = om_profile(&m, "wall", "ns", NULL, NULL, 0, 0);
    om_value(&p, om_frame(&m, "main"), 1);
    send_one(&p);
    expect_rows(1);
    assert_non_null(strstr(fake.rows[0], "@1795382100000000000\n")); /* now */
    om_begin(&m);
    p = om_profile(&m, "wall", "ns", NULL, NULL, 0, NOW_NS - 7200 * NS_PER_S);
    om_value(&p, om_frame(&m, "main"), 1);
    send_one(&p);
    assert_int_equal(outcome.http, 400);
    assert_non_null(strstr(outcome.msg, "is outside of ingestion window"));
}

/* ── §5.3 to §5.5: attributes ── */

/* Sends one profile with these attributes of resource and scope; both are taken. */
static void send_with(struct buf *resource, struct buf *scope)
{
    struct buf message = om_buf(), profiles = om_buf();
    struct buf p = om_profile(&m, "wall", "ns", NULL, NULL, 0, NOW_NS);
    om_value(&p, om_frame(&m, "main"), 1);
    om_sub(&profiles, 2, &p);
    om_resource(&message, resource, scope, &profiles);
    send(om_end(&m, &message, &test_arena), false);
}

static void expect_labels(const char *labels)
{
    expect_rows(1);
    size_t n = strlen(labels);
    if (strncmp(fake.rows[0], labels, n) != 0 || strncmp(fake.rows[0] + n, " wall/ns", 8) != 0)
        fail_msg("%s", fake.rows[0]);
}

/* KeyValue whose key and AnyValue are given as bytes. */
static void key_any(struct buf *owner, const char *key, struct buf *any)
{
    struct buf b = om_buf();
    om_bytes(&b, 1, str_from(key));
    om_sub(&b, 2, any);
    om_sub(owner, 1, &b);
}

static struct buf any_array(uint32_t n, const char *text)
{
    struct buf any = om_buf(), array = om_buf();
    for (uint32_t i = 0; i < n; i++) {
        struct buf one = om_buf();
        om_bytes(&one, 1, str_from(text));
        om_sub(&array, 1, &one);
    }
    om_sub(&any, 5, &array);
    return any;
}

static void test_values(void **state)
{
    (void)state;
    om_begin(&m);
    struct buf resource = om_buf(), scope = om_buf();
    om_key_value(&resource, 1, "a.string", "text");
    om_key_value(&resource, 1, "empty", "");
    struct buf any = om_buf();
    om_uint(&any, 3, (uint64_t)-42);
    key_any(&resource, "int", &any);
    any = om_buf();
    om_uint(&any, 2, 1);
    key_any(&resource, "bool", &any);
    any = om_buf();
    om_fixed(&any, 4, 0);
    key_any(&resource, "double", &any);
    any = om_buf();
    om_bytes(&any, 7, STR("xx"));
    key_any(&resource, "bytes", &any);
    any = om_buf();
    key_any(&resource, "none", &any);
    any = any_array(1, "only");
    key_any(&resource, "one", &any);
    any = any_array(2, "x");
    key_any(&resource, "two", &any);
    any = any_array(0, "");
    key_any(&resource, "zero", &any);
    struct buf inner = any_array(1, "x"), array = om_buf();
    om_sub(&array, 1, &inner);
    any = om_buf();
    om_sub(&any, 5, &array);
    key_any(&resource, "nested", &any);
    send_with(&resource, &scope);
    expect_labels("{__name__=\"wall\", __otel__=\"true\", a.string=\"text\", int=\"-42\", "
                  "one=\"only\", service_name=\"unknown_service\"}");
}

/* The Collector refers to keys and values in the dictionary. */
static void test_references(void **state)
{
    (void)state;
    om_begin(&m);
    struct buf resource = om_buf(), scope = om_buf();
    const char *const pairs[][2] = {{"service.name", "shop"}, {"k8s.namespace.name", "größe"}};
    for (int i = 0; i < 2; i++) {
        struct buf b = om_buf(), any = om_buf();
        om_uint(&any, 8, om_string(&m, pairs[i][1]));
        om_sub(&b, 2, &any);
        om_uint(&b, 3, om_string(&m, pairs[i][0]));
        om_sub(&resource, 1, &b);
    }
    send_with(&resource, &scope);
    expect_labels("{__name__=\"wall\", __otel__=\"true\", k8s.namespace.name=\"größe\", "
                  "service.name=\"shop\", service_name=\"shop\"}");
    om_begin(&m);
    struct buf b = om_buf();
    om_uint(&b, 3, 99);
    resource = om_buf();
    scope = om_buf();
    om_sub(&resource, 1, &b);
    send_with(&resource, &scope);
    expect_refused(
        ST_INVALID_ARGUMENT, 400, "failed to convert otel profile: string index out of bounds: 99");
}

static void test_service_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *program, *labels;
    } cases[] = {
        {"shop", "sh",
            "process.executable.name=\"sh\", service.name=\"shop\", "
            "service_name=\"shop\"}"},
        {"", "sh", "process.executable.name=\"sh\", service_name=\"unknown_service:sh\"}"},
        {"", "", "service_name=\"unknown_service\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        om_begin(&m);
        struct buf resource = om_buf(), scope = om_buf();
        om_key_value(&resource, 1, "service.name", cases[i].name);
        om_key_value(&resource, 1, "process.executable.name", cases[i].program);
        send_with(&resource, &scope);
        char want[200];
        snprintf(want, sizeof want, "{__name__=\"wall\", __otel__=\"true\", %s", cases[i].labels);
        expect_labels(want);
    }
}

/* The first of a name counts: generated, resource, scope, service_name. */
static void test_precedence(void **state)
{
    (void)state;
    om_begin(&m);
    struct buf resource = om_buf(), scope = om_buf();
    om_key_value(&resource, 1, "service.name", "shop");
    om_key_value(&resource, 1, "service_name", "mine");
    om_key_value(&resource, 1, "__name__", "other");
    om_key_value(&resource, 1, "x", "resource");
    om_key_value(&resource, 1, "x", "again");
    om_key_value(&scope, 3, "x", "scope");
    om_key_value(&scope, 3, "y", "scope");
    om_bytes(&scope, 1, STR("name of the scope"));
    send_with(&resource, &scope);
    expect_labels("{__name__=\"wall\", __otel__=\"true\", service.name=\"shop\", "
                  "service_name=\"mine\", x=\"resource\", y=\"scope\"}");
}

static void test_sample_attributes(void **state)
{
    (void)state;
    om_begin(&m);
    uint32_t stack = om_frame(&m, "main"), a = om_attr(&m, "thread.name", "w1");
    uint32_t b = om_attr(&m, "thread.name", "w2"), other = om_attr(&m, "service.name", "other");
    uint32_t again = om_attr(&m, "service.name", "shop2"), taken = om_attr(&m, "__otel__", "no");
    struct buf p = om_profile(&m, "wall", "ns", NULL, NULL, 0, NOW_NS);
    om_sample(&p, &(struct om_sample){stack, 0, 1, 1, 0, {a}, {1}});
    om_sample(&p, &(struct om_sample){stack, 0, 2, 1, 0, {a, taken}, {2}});
    om_sample(&p, &(struct om_sample){stack, 0, 2, 1, 0, {other, b}, {4}});
    om_sample(&p, &(struct om_sample){stack, 0, 2, 1, 0, {other, again}, {8}});
    send_one(&p);
    expect_rows(3);
    assert_string_equal(fake.rows[0],
        "{__name__=\"wall\", __otel__=\"true\", service.name=\"shop\", service_name=\"shop\", "
        "thread.name=\"w1\"} wall/ns /:0 @1795382100000000000\n;main 3\n");
    assert_string_equal(fake.rows[1],
        "{__name__=\"wall\", __otel__=\"true\", service.name=\"shop\", service_name=\"other\"} "
        "wall/ns /:0 @1795382100000000000\n;main 8\n");
    assert_string_equal(fake.rows[2],
        "{__name__=\"wall\", __otel__=\"true\", service.name=\"shop\", service_name=\"other\", "
        "thread.name=\"w2\"} wall/ns /:0 @1795382100000000000\n;main 4\n");
}

/* ── who hears what ── */

/* Profiles of one resource, of which the middle one is bad in its own way. */
static void send_three(const char *type, const char *frame, uint32_t n_values)
{
    om_begin(&m);
    struct buf message = om_buf(), resource = om_buf(), scope = om_buf(), profiles = om_buf();
    om_key_value(&resource, 1, "service.name", "shop");
    for (int i = 0; i < 3; i++) {
        bool bad = i == 1;
        struct buf p = om_profile(&m, bad ? type : "wall", "ns", NULL, NULL, 0, NOW_NS);
        struct om_sample s = {
            om_frame(&m, bad ? frame : "main"), 0, 0, bad ? n_values : 1, 0, {0}, {1, 1}};
        om_sample(&p, &s);
        om_sub(&profiles, 2, &p);
    }
    om_resource(&message, &resource, &scope, &profiles);
    send(om_end(&m, &message, &test_arena), false);
}

static void test_partial(void **state)
{
    (void)state;
    static const struct {
        const char *type, *frame;
        uint32_t n_values;
        const char *msg;
    } cases[] = {
        {"a-b", "main", 1,
            "sample type contains - (series 1, id 'shop/a-b'): 1 of 3 profiles were refused"},
        {"wall", "x\xff", 1,
            "invalid utf8 string hex: 78ff (series 1, id 'shop/wall'): 1 of 3 profiles were "
            "refused"},
        {"wall", "main", 2,
            "sample value length mismatch (series 1, id 'shop/wall'): 1 of 3 profiles were "
            "refused"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        send_three(cases[i].type, cases[i].frame, cases[i].n_values);
        expect_refused(ST_INVALID_ARGUMENT, 400, cases[i].msg);
        assert_int_equal(fake.n_rows, 2); /* the good ones are stored */
    }
    send_three("wall", "main", 1);
    expect_rows(3);
}

static void test_label_limit(void **state)
{
    (void)state;
    test_limits.sample_labels_max = 1;
    om_begin(&m);
    uint32_t a = om_attr(&m, "a", "1"), b = om_attr(&m, "b", "1");
    struct buf p = om_profile(&m, "wall", "ns", NULL, NULL, 0, NOW_NS);
    om_sample(&p, &(struct om_sample){om_frame(&m, "main"), 0, 2, 1, 0, {a, b}, {1}});
    double before = metric_get(M_DISCARDED_SAMPLES, STR("sample_labels_limit"), STR("t"));
    send_one(&p);
    assert_int_equal(outcome.http, 400);
    assert_non_null(strstr(outcome.msg,
        "exceeds the sample labels limit (max_profile_stacktrace_sample_labels, actual: 2, limit: "
        "1)"));
    assert_true(
        metric_get(M_DISCARDED_SAMPLES, STR("sample_labels_limit"), STR("t")) == before + 1);
}

/* What cannot be converted refuses the request as a whole. */
static void test_conversion(void **state)
{
    (void)state;
    om_begin(&m);
    struct buf message = om_buf(), resource = om_buf(), scope = om_buf(), profiles = om_buf();
    for (int i = 0; i < 2; i++) {
        struct buf p = om_profile(&m, "wall", "ns", NULL, NULL, 0, NOW_NS);
        om_value(&p, i == 0 ? om_frame(&m, "main") : 99, 1);
        om_sub(&profiles, 2, &p);
    }
    om_resource(&message, &resource, &scope, &profiles);
    send(om_end(&m, &message, &test_arena), false);
    expect_refused(
        ST_INVALID_ARGUMENT, 400, "failed to convert otel profile: stack index out of bounds: 99");
    assert_int_equal(fake.calls, 0);
    send(STR("\xff"), false);
    expect_refused(ST_INVALID_ARGUMENT, 400,
        "Failed to parse protobuf request: proto: cannot parse invalid wire-format data");
    send(STR("{"), true);
    expect_refused(ST_INVALID_ARGUMENT, 400, "Failed to parse JSON request: proto: unexpected EOF");
    send(STR("{}"), true);
    expect_refused(ST_INVALID_ARGUMENT, 400, "missing profile metadata dictionary");
}

static void test_nothing(void **state)
{
    (void)state;
    send(STR("{\"resourceProfiles\":[{}],\"dictionary\":{}}"), true);
    expect_rows(0);
    assert_int_equal(fake.calls, 0);
}

static void test_limits_of_size(void **state)
{
    (void)state;
    test_limits.body_bytes_max = 100;
    om_begin(&m);
    struct buf p = small("wall", "ns", NULL, NULL, 0, 1, 0);
    send_one(&p);
    expect_refused(
        ST_INVALID_ARGUMENT, 413, "uncompressed profile payload size exceeds limit of 100 B");
    ingest_limits_default(&test_limits);
    test_limits.rate_bytes_per_s = test_limits.burst_bytes = 10;
    om_begin(&m);
    p = small("wall", "ns", NULL, NULL, 0, 1, 0);
    send_one(&p);
    assert_int_equal(outcome.http, 429);
    assert_int_equal(fake.calls, 0);
    ingest_limits_default(&test_limits);
    test_limits.rate_bytes_per_s = 0;
    test_limits.profile_bytes_max = 100;
    om_begin(&m);
    p = small("wall", "ns", NULL, NULL, 0, 1, 0);
    send_one(&p);
    assert_int_equal(outcome.http, 400);
    assert_non_null(strstr(outcome.msg, "exceeds the size limit (max_profile_size_byte"));
}

/* With sanitising on, service.name and service_name are one label; of another value it is two. */
static void test_sanitising(void **state)
{
    (void)state;
    test_limits.label_sanitization = true;
    om_begin(&m);
    struct buf p = small("wall", "ns", NULL, NULL, 0, 1, 0);
    send_one(&p);
    expect_labels("{__name__=\"wall\", __otel__=\"true\", service_name=\"shop\"}");
    om_begin(&m);
    uint32_t other = om_attr(&m, "service.name", "other");
    p = om_profile(&m, "wall", "ns", NULL, NULL, 0, NOW_NS);
    om_sample(&p, &(struct om_sample){om_frame(&m, "main"), 0, 1, 1, 0, {other}, {1}});
    send_one(&p);
    assert_int_equal(outcome.http, 400);
    assert_non_null(strstr(outcome.msg, "has duplicate label name"));
}

/* ── what real clients sent ── */

#define CAPTURES "tests/conformance/captures/"

static struct str read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *p = arena_alloc(&test_arena, (size_t)n + 1);
    assert_int_equal(fread(p, 1, (size_t)n, f), (size_t)n);
    fclose(f);
    return str_make(p, (size_t)n);
}

/* A frame of gRPC, gzip, JSON or bare protobuf, told apart by the first byte. */
static void send_capture(const char *client, unsigned i)
{
    char path[100];
    snprintf(path, sizeof path, CAPTURES "%s/%03u.bin", client, i);
    struct str body = read_file(path);
    if (body.p[0] == 0 || body.p[0] == 1)
        body = str_skip(body, 5);
    if (gzip_detect(body))
        assert_int_equal(gzip_inflate(body, 64 * MIB, &test_arena, &body, NULL), ST_OK);
    test_limits.reject_older_than_ns = test_limits.reject_newer_than_ns = 0;
    send(body, body.p[0] == '{');
    if (outcome.st != ST_OK)
        fail_msg("%s: %s", path, outcome.msg);
}

static int64_t total(const char *head)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < fake.n_profiles; i++)
        sum += str_eq(fake.profiles[i]->types[0].type, str_from(head)) ? fake.totals[i][0] : 0;
    return sum;
}

/* Every transport and encoding carries the same: 144 hits of 50 ms. */
static void test_capture_go(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 15; i++) {
        send_capture("otlp-go", i);
        assert_int_equal(fake.n_profiles, 4);
        assert_int_equal(total("cpu"), 144 * 50000000LL);
    }
}

static void test_capture_collector(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 6; i++) {
        send_capture("otlp-collector", i);
        assert_int_equal(total("cpu"), 100 * 10101010LL);
        assert_int_equal(fake.n_rows, 2); /* worker-0, worker-1 */
        const char *labels = "{__name__=\"process_cpu\", __otel__=\"true\", "
                             "k8s.namespace.name=\"größe\", process.pid=\"77\", "
                             "service.name=\"collector-shop\", service_name=\"collector-shop\", "
                             "thread.name=\"worker-0\"} cpu/nanoseconds";
        assert_int_equal(strncmp(fake.rows[0], labels, strlen(labels)), 0);
        assert_non_null(strstr(fake.rows[0], ";main;processOrder;spin span="));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(test_cpu),
        TEST_OF(test_off_cpu),
        TEST_OF(test_other_names),
        TEST_OF(test_time),
        TEST_OF(test_values),
        TEST_OF(test_references),
        TEST_OF(test_service_name),
        TEST_OF(test_precedence),
        TEST_OF(test_sample_attributes),
        TEST_OF(test_partial),
        TEST_OF(test_label_limit),
        TEST_OF(test_conversion),
        TEST_OF(test_nothing),
        TEST_OF(test_limits_of_size),
        TEST_OF(test_sanitising),
        TEST_OF(test_capture_go),
        TEST_OF(test_capture_collector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
